//! The log-format lexer against the real HAProxy: what `haproxy -c` accepts is accepted, and nothing else.
//!
//! `SEED` asks for the texts of an earlier run.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "log_format/values.rs"]
mod values;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

use tailmeter_parsers::haproxy::format::alias::ALIASES;
use tailmeter_parsers::haproxy::format::{Converter, Expression, Kind, lex};

/// Texts in a run.
const TEXTS: usize = 1500;

/// Pieces that texts are made of: items, parts of items, and what can stand between them.
const PIECES: &[&str] = &[
    "%ci",
    "%[src]",
    "%{+Q}r",
    "%{+Q,-M}o",
    "%{-X}[status,hex]",
    "%[capture.req.hdr(0),lower]",
    "%%",
    "%Ts",
    "%{+E}HQ",
    "%[src,ipmask(24)]",
    "%[var(txn.a,\"a b\")]",
    "%[capture.req.uri,regsub(\"a,[)]\",b,g)]",
    "%[capture.req.uri,regsub(a\\ b,\\\",g)]",
    "%",
    "%",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    ",",
    "+",
    "-",
    "\"",
    "\\",
    "'",
    " ",
    "  ",
    "\t",
    ":",
    "/",
    "|",
    "#",
    "o",
    "Q",
    "+X",
    "a1",
    "7",
    "src",
    "lower",
    "é",
    "%xy",
    "%Ci",
    "%ci2",
    "%[src,,lower]",
    "%[src,lower,]",
    "%[]",
    "%[src ]",
    "%[ src]",
    "%{Q}B",
    "%{}B",
    "%{+json}o",
    "%[status()]",
    "%[src,lower()]",
];

/// What HAProxy 3.0 added: names. An earlier one prints them.
const NAMED: &[&str] = &[
    "%(a){+Q}ci",
    "%(b-1:sint)[status]",
    "%(c:int)Ta",
    "%()r",
    "%(:str)cp",
    "%(d_:bool)%",
    "%(e",
    "%(f:",
    "%{+Q}(g)r",
];

/// Expressions of fetches and converters with these arguments are valid in every version.
const VALID: &[(&str, &[&str])] = &[
    ("src", &[]),
    ("status", &[]),
    ("capture.req.uri", &[]),
    ("capture.req.hdr", &["0"]),
    ("var", &["txn.a", "a b"]),
    ("hex", &[]),
    ("lower", &[]),
    ("ipmask", &["24"]),
    ("regsub", &["a,[)]", "b", "g"]),
    ("regsub", &["a b", "\"", "g"]),
];

/// Splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) % bound as u64) as usize
    }

    fn text(&mut self, pieces: &[&str]) -> String {
        let count = 1 + self.below(6);
        let mut text = (0..count).map(|_| pieces[self.below(pieces.len())]).collect::<String>();
        // Half of them lose a character, which is where brackets, quotes and flags go wrong.
        if self.below(2) == 0 {
            let places = text.char_indices().map(|(at, _)| at).collect::<Vec<_>>();
            text.remove(places[self.below(places.len())]);
        }
        text
    }
}

/// True when HAProxy knows it, so that only its form decides.
fn is_valid(name: &str, arguments: &[String]) -> bool {
    VALID.iter().any(|(valid, expected)| *valid == name && arguments == *expected)
}

fn is_known(expression: &Expression) -> bool {
    let is_known = |converter: &Converter| is_valid(&converter.name, &converter.arguments);
    is_valid(&expression.fetch, &expression.arguments) && expression.converters.iter().all(is_known)
}

/// The 2 of HAProxy 2.6.
fn major_version() -> u32 {
    let output = Command::new("haproxy").arg("-v").output().expect("haproxy is installed");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = said.split_once("version ").and_then(|(_, rest)| rest.split('.').next()?.parse().ok());
    version.unwrap_or_else(|| panic!("{said}"))
}

/// What HAProxy says to each text: its complaints by the texts' places. One frontend is made for each of them.
fn complaints(texts: &[String]) -> BTreeMap<usize, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("haproxy.cfg");
    let mut config = "defaults\n mode http\n timeout client 1s\n".to_owned();
    let head = config.lines().count();
    for (index, text) in texts.iter().enumerate() {
        let quoted = text.replace('\'', "'\"'\"'");
        writeln!(config, "frontend f{index}\n bind 127.0.0.1:1\n log-format '{quoted}'").unwrap();
    }
    std::fs::write(&path, &config).unwrap();
    let check = || Command::new("haproxy").arg("-c").arg("-f").arg(&path).output().expect("haproxy is installed");
    // 3.0.11 was seen to crash now and then on hundreds of mistakes; what it says then is not all.
    let output = (0..5).map(|_| check()).find(|output| output.status.code().is_some());
    let output = output.expect("haproxy comes to an end by itself");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut complaints = BTreeMap::new();
    for line in said.lines() {
        let Some((place, complaint)) = line.split_once("]: ").or_else(|| line.split_once("] : ")) else { continue };
        let Some(number) = place.rsplit(':').next().and_then(|number| number.parse::<usize>().ok()) else { continue };
        if line.starts_with("[ALERT]") {
            assert!(complaint.contains("log-format"), "{line}");
            complaints.insert((number - head) / 3 - 1, complaint.to_owned());
        }
    }
    assert_eq!(output.status.success(), complaints.is_empty(), "{said}");
    complaints
}

#[test]
fn haproxy_accepts_what_the_lexer_accepts() {
    let seed = std::env::var("SEED").map_or_else(|_| u64::from(std::process::id()), |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    let mut random = Random(seed);
    let has_names = major_version() >= 3;
    let pieces = if has_names { [PIECES, NAMED].concat() } else { PIECES.to_vec() };
    let mut texts = Vec::new();
    while texts.len() < TEXTS {
        let text = random.text(&pieces);
        // An unknown fetch is no mistake of form.
        let is_known = lex(&text).is_ok_and(|format| {
            format.items.iter().all(|item| match &item.kind {
                Kind::Expression(expression) => is_known(expression),
                Kind::Literal(_) | Kind::Separator | Kind::Alias(_) => true,
            })
        });
        if !text.is_empty() && (has_names || !text.contains("%(")) && (is_known || lex(&text).is_err()) {
            texts.push(text);
        }
    }
    let complaints = complaints(&texts);
    assert!(complaints.len() > TEXTS / 5 && complaints.len() < TEXTS * 4 / 5, "{}", complaints.len());
    for (index, text) in texts.iter().enumerate() {
        match (lex(text), complaints.get(&index)) {
            (Ok(_), None) | (Err(_), Some(_)) => {}
            (ours, theirs) => panic!("{text}\nhere: {ours:?}\nHAProxy: {theirs:?}"),
        }
    }
}

#[test]
fn haproxy_knows_every_alias_and_no_other() {
    let letters = |letter: u8| (letter as char).is_ascii_alphabetic().then_some(letter as char);
    let single = (b'A'..=b'z').filter_map(letters).collect::<Vec<_>>();
    let pairs = single.iter().flat_map(|one| single.iter().map(move |two| format!("{one}{two}")));
    let longer = ALIASES.iter().map(|alias| alias.letters.to_owned()).filter(|letters| letters.len() > 2);
    let names = single.iter().map(char::to_string).chain(pairs).chain(longer).collect::<Vec<_>>();
    let complaints = complaints(&names.iter().map(|name| format!("%{name}")).collect::<Vec<_>>());
    for (index, name) in names.iter().enumerate() {
        let ours = lex(&format!("%{name}")).is_ok();
        // What a later version brought, the installed one may lack.
        let is_later = ALIASES.iter().any(|alias| alias.letters == name && alias.since != "2.4");
        assert!(is_later || ours != complaints.contains_key(&index), "%{name}: {:?}", complaints.get(&index));
    }
}
