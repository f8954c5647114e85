//! What has been shown stays, whatever rules made it, as long as these are the same; and what a new rule is there to hide
//! does not come back from the state.

use std::path::Path;

use tailmeter::config::Config;
use tailmeter::pipeline::Pipeline;

use crate::{REQUESTS, count, expected, feed, labelled, request, values};

/// Runs with the state in `folder`, counts a request for each path, and commits.
fn run(folder: &Path, config: &Config, paths: &[&str]) -> Pipeline {
    let pipeline = Pipeline::with_state(config, &folder.join("tailmeter.db"), |_| {}).unwrap();
    let lines = paths.iter().map(|path| request("192.0.2.7", "h", path)).collect::<String>();
    count(&mut feed(&pipeline, "haproxy"), &lines);
    pipeline.checkpoint().unwrap();
    pipeline
}

fn paths(rules: &str) -> Config {
    labelled(REQUESTS, &format!("[{{http_request_path: {{{rules}}}}}]"))
}

#[test]
fn values_that_have_rows_were_first() {
    let folder = tempfile::tempdir().unwrap();
    let three = paths("max_values: 3");
    let shown = |pipeline: &Pipeline| values(pipeline, REQUESTS);
    let first = run(folder.path(), &three, &["/b", "/a", "/b", "/other", ""]);
    assert_eq!(shown(&first), expected(&[("/a", 1), ("/b", 2), ("/other", 1), ("", 1)]));
    drop(first);
    let second = run(folder.path(), &three, &["/c", "/a", "/d"]);
    assert_eq!(shown(&second), expected(&[("/a", 2), ("/b", 2), ("/other", 1), ("", 1), ("other", 2)]));
    drop(second);
    // More may come.
    let third = run(folder.path(), &paths("max_values: 4"), &["/d", "/c", "/a"]);
    assert_eq!(shown(&third), expected(&[("/a", 3), ("/b", 2), ("/d", 1), ("/other", 1), ("", 1), ("other", 3)]));
    drop(third);
    // Fewer: the first ones stay, the others are kept aside, and come back.
    let fourth = run(folder.path(), &paths("max_values: 1"), &["/a"]);
    assert_eq!(shown(&fourth), expected(&[("/b", 2), ("", 1), ("other", 4)]));
    drop(fourth);
    let fifth = run(folder.path(), &paths("max_values: 4"), &["/a"]);
    assert_eq!(shown(&fifth)["/a"], 4);
}

#[test]
fn what_a_rule_has_made_comes_back_by_the_same_rule() {
    let folder = tempfile::tempdir().unwrap();
    // Applied twice, each of these would make something else.
    let rules = "rewrite: [{pattern: '/(.*)', to: '/x$1'}], max_values: 9";
    drop(run(folder.path(), &paths(rules), &["/a", "/a", "/b"]));
    let again = run(folder.path(), &paths(rules), &["/a"]);
    assert_eq!(values(&again, REQUESTS), expected(&[("/xa", 3), ("/xb", 1)]));
    drop(again);
    for (rules, shown) in [("hash: random", 2), ("template: auto", 3), ("ip_prefix: {}", 2)] {
        let folder = tempfile::tempdir().unwrap();
        drop(run(folder.path(), &paths(rules), &["/a/7", "/b", "/c/@", "/a/8"]));
        let again = run(folder.path(), &paths(rules), &["/a/7"]);
        let values = values(&again, REQUESTS);
        assert_eq!(values.values().sum::<u64>(), 5, "{rules}: {values:?}");
        assert!(values.values().any(|count| *count >= shown), "{rules}: {values:?}");
    }
}

#[test]
fn a_new_rule_hides_what_was_shown() {
    let raw = ["/users/ann@example.net", "/users/7"];
    let rules = [
        ("template: auto", expected(&[("/users/:number", 1)])),
        ("template: [/users/:id]", expected(&[("/users/:id", 1)])),
        ("rewrite: [{pattern: '/users/(.*)', to: '$1'}], max_values: 9", expected(&[("7", 1)])),
        ("ip_prefix: {}", expected(&[("other", 1)])),
        ("deny: [{prefix: /users}], unbounded: true", expected(&[("other", 1)])),
        ("allow: [/users/7]", expected(&[("/users/7", 2)])),
    ];
    for (rules, shown) in rules {
        let folder = tempfile::tempdir().unwrap();
        drop(run(folder.path(), &paths("unbounded: true"), &raw));
        let with_state = run(folder.path(), &paths(rules), &["/users/7"]);
        assert_eq!(values(&with_state, REQUESTS), shown, "{rules}");
        // What was kept aside is there again without the rule.
        drop(with_state);
        let without = run(folder.path(), &paths("unbounded: true"), &[]);
        assert_eq!(values(&without, REQUESTS)["/users/ann@example.net"], 1, "{rules}");
        // A reload without a state forgets it.
        let pipeline = Pipeline::new(&paths("unbounded: true"), |_| {});
        count(&mut feed(&pipeline, "haproxy"), &raw.map(|path| request("192.0.2.7", "h", path)).concat());
        let reloaded = pipeline.reconfigured(&paths(rules), None).unwrap();
        count(&mut feed(&reloaded, "haproxy"), &request("192.0.2.7", "h", "/users/7"));
        assert_eq!(values(&reloaded, REQUESTS), shown, "{rules}");
    }
}

/// Another label's rules, or another metric's, change nothing for a value.
#[test]
fn rules_are_judged_label_by_label() {
    let folder = tempfile::tempdir().unwrap();
    let rewrite = "{http_request_path: {rewrite: [{pattern: '/(.*)', to: '/x$1'}], max_values: 9}}";
    let both = |method: &str| labelled(REQUESTS, &format!("[{rewrite}, {{http_request_method: {method}}}]"));
    drop(run(folder.path(), &both("{allow: [GET]}"), &["/a"]));
    let again = run(folder.path(), &both("{allow: [GET, POST]}"), &["/a"]);
    let text = crate::exposition(&again);
    let row = "haproxy_log_requests_total{http_request_path=\"/xa\",http_request_method=\"GET\"} 2\n";
    assert!(text.contains(row), "{text}");
}
