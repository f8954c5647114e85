//! The recorded logs of a mail family, for tests of its parser.

use tailmeter_parsers::{Event, Field, Reject};

#[path = "../mail/mod.rs"]
mod mail;
#[path = "../random/mod.rs"]
mod random;

use random::Random;

/// Reads a line, and every field of its event.
fn read<'a, E: Event>(line: &'a [u8], parse: impl Fn(&'a [u8]) -> Result<E, Reject>) -> Result<E, Reject> {
    let event = parse(line)?;
    let mut previous = Vec::new();
    event.visit(&mut |name, field| {
        assert!(!previous.contains(&name), "{name} twice");
        previous.push(name);
        if let Field::Text(text) = field {
            let is_of_line = line.as_ptr_range().contains(&text.as_ptr());
            assert!(!is_of_line || line.windows(text.len()).any(|part| part == text), "{name} is not in the line");
        }
    });
    Ok(event)
}

/// Holds a parser against the recorded lines: all are known but those of the logs in `rejecting`, and no cut or changed
/// line makes it panic.
pub(crate) fn check<E: Event>(family: &str, rejecting: &[&str], parse: impl Fn(&'static [u8]) -> Result<E, Reject>) {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x9e37_79b9_7f4a_7c15);
    println!("SEED={seed}");
    let mut random = Random(seed);
    let mut unknown = Vec::new();
    for (log, line) in mail::lines(family, 200) {
        // Events borrow from their line; a test may leak a few of them.
        let line: &'static [u8] = line.leak();
        match read(line, &parse) {
            Err(reject) if !rejecting.contains(&log.as_str()) => {
                unknown.push(format!("{log}: {reject}: {}", line.escape_ascii()));
            }
            _ => {}
        }
        for end in 0..line.len() {
            if let Err(reject) = read(&line[..end], &parse) {
                assert!(reject.offset <= end, "{reject} in {}", line[..end].escape_ascii());
            }
        }
        for _ in 0..8 {
            let changed: &'static [u8] = random.change(line, 0, b" <>\"\\[](){}=:,.-*@0aZ\0\xff").leak();
            if let Err(reject) = read(changed, &parse) {
                assert!(reject.offset <= changed.len(), "{reject} in {}", changed.escape_ascii());
            }
        }
    }
    assert!(unknown.is_empty(), "{} unknown lines:\n{}", unknown.len(), unknown.join("\n"));
}

/// The kind of a line, and its fields by name as people read them.
pub(crate) fn show<E: Event>(event: &E) -> (&'static str, Vec<(&'static str, String)>) {
    let mut fields = Vec::new();
    event.visit(&mut |name, field| {
        let text = match field {
            Field::Missing => return,
            Field::Text(text) => String::from_utf8_lossy(text).into_owned(),
            Field::Number(number) => number.to_string(),
            Field::Seconds(ms) => format!("{ms} ms"),
            Field::Truth(truth) => truth.to_string(),
            other => format!("{other:?}"),
        };
        fields.push((name, text));
    });
    (event.kind(), fields)
}

/// Asserts that `line` is of a kind and has these fields; one with no text has to be missing.
pub(crate) fn expect<E: Event>(event: Result<E, Reject>, kind: &str, expected: &[(&str, &str)]) {
    let event = event.unwrap_or_else(|reject| panic!("{reject}, expected {kind} {expected:?}"));
    let (found, fields) = show(&event);
    assert_eq!(found, kind, "{fields:?}");
    for (name, text) in expected {
        let field = fields.iter().find(|(field, _)| field == name).map_or("", |(_, text)| text);
        assert_eq!(field, *text, "{name} of {fields:?}");
    }
}
