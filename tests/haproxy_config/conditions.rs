//! Conditions are evaluated as HAProxy evaluates them.

use tailmeter_parsers::haproxy::config::{Process, read};

use crate::lab::Lab;
use crate::program::{Chance, facts, messages, variable};

/// Conditions without any operator around them.
const TERMS: &[&str] = &[
    "0",
    "1",
    "-1",
    "+0",
    "0x10",
    "00",
    "defined(A)",
    "defined(E)",
    "defined(NONE)",
    "defined",
    "defined()",
    "streq(\"$A\",\"x  y\")",
    "streq(\"$B_4\",b)",
    "streq(\"$B_4\", b)",
    "strneq(a,a)",
    "streq('\"a,b\",\"a,b\"')",
    "streq(\\\"a)\\\",'\"a)\"')",
    "streq(,)",
    "version_atleast(2.4-dev19)",
    "version_atleast(2)",
    "version_before(2.6.12)",
    "version_before(99)",
    "version_atleast(99.1)",
    "feature(EPOLL)",
    "feature(KQUEUE)",
    "feature(OPENSSL)",
    "feature(NONSENSE)",
];

/// What the reader makes of a condition; `None` if it is a mistake.
fn ours(condition: &str, version: &str, features: &str) -> Option<bool> {
    let text = format!("global\n.if {condition}\nlog-tag yes\n.else\nnode no\n.endif\n");
    let process = Process { environment: &variable, version: Some(version), features: Some(features) };
    let config = read(&[("a.cfg", text.as_bytes())], &process).ok()?;
    assert_ne!(config.log_tag.is_some(), config.node.is_some(), "{condition} has one value");
    Some(config.log_tag.is_some())
}

fn condition(chance: &mut Chance, depth: u32) -> String {
    match chance.below(if depth == 0 { 2 } else { 7 }) {
        0 | 1 => chance.pick(TERMS).to_owned(),
        2 => format!("!{}", condition(chance, depth - 1)),
        3 => format!("({} )", condition(chance, depth - 1)),
        4 | 5 => format!("{} && {}", condition(chance, depth - 1), condition(chance, depth - 1)),
        _ => format!("{} ||{}", condition(chance, depth - 1), condition(chance, depth - 1)),
    }
}

#[test]
fn have_the_values_that_haproxy_finds() {
    let lab = Lab::new();
    let (version, features) = facts(&lab);
    let mut chance = Chance::new();
    let mut conditions = TERMS.iter().map(|term| (*term).to_owned()).collect::<Vec<_>>();
    conditions.extend((0..400).map(|_| condition(&mut chance, 3)));
    let line = |condition: &String| format!(".if {condition}\n.notice yes\n.else\n.notice no\n.endif\n");
    let text = conditions.iter().map(line).collect::<String>();
    let messages = messages(&lab, text.as_bytes());
    assert_eq!(messages.len(), conditions.len(), "HAProxy evaluates every condition: {:?}", messages.last());
    for (condition, (_, message)) in conditions.iter().zip(&messages) {
        let theirs = message == b"'yes'.";
        assert_eq!(ours(condition, &version, &features), Some(theirs), "{condition}");
    }
}

#[test]
fn are_mistakes_where_haproxy_finds_mistakes() {
    let lab = Lab::new();
    for condition in
        ["a", "(1", "1)", "1 &&", "|| 1", "!", "1 & 1", "1 1", "defined(", "streq(a)", "streq(a,b,c)", "()"]
    {
        let text = format!(".if {condition}\n.endif\n");
        let messages = messages(&lab, text.as_bytes());
        let is_refused = messages.iter().any(|(line, message)| *line == 1 && message.ends_with(b":"));
        assert!(is_refused, "{condition}: {messages:?}");
        assert_eq!(ours(condition, "2.6.12", ""), None, "{condition}");
    }
}
