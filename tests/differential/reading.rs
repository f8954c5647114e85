//! A reader of lines against the truth in them: whatever compiles a log-format and takes lines apart.

use std::collections::BTreeMap;

use crate::format::{Cut, Format, Truth};

/// Fields of a line: one for each item, in the format's order; `None` for what the line says is absent.
pub(crate) type Fields = Vec<(String, Option<Vec<u8>>)>;

/// What is under test. A format that it does not take, or a line, is an error, which is counted and no mistake.
pub(crate) type Read = fn(format: &str, line: &[u8]) -> Result<Fields, String>;

/// What became of all lines.
#[derive(Default)]
pub(crate) struct Verdict {
    pub(crate) agreed: usize,
    /// How many lines were refused, by reason.
    pub(crate) refused: BTreeMap<String, usize>,
    /// Fields that are not what HAProxy wrote.
    pub(crate) wrong: Vec<String>,
}

impl Verdict {
    pub(crate) fn add(&mut self, read: Read, format: &Format, cut: &Cut<'_>) {
        let text = format.text();
        let fields = match read(&text, cut.left) {
            Ok(fields) => fields,
            Err(reason) => return *self.refused.entry(reason).or_default() += 1,
        };
        let items = format.items().collect::<Vec<_>>();
        let complaint = if fields.len() == items.len() {
            let pairs = fields.iter().zip(&cut.truths).zip(&items);
            let mut wrong = pairs.filter(|(((_, value), truth), _)| !agrees(value.as_deref(), truth));
            wrong.next().map(|(((name, value), truth), item)| {
                let value = value.as_ref().map(|value| value.escape_ascii().to_string());
                let [written, plain] = [&truth.written, &truth.plain].map(|bytes| bytes.escape_ascii().to_string());
                format!("{name}: {value:?} is not %{}: {written} or {plain}", item.what)
            })
        } else {
            Some(format!("{} fields, {} items", fields.len(), items.len()))
        };
        match complaint {
            None => self.agreed += 1,
            Some(complaint) => self.wrong.push(format!("{text}\n  {}\n  {complaint}", cut.left.escape_ascii())),
        }
    }
}

/// True when a value is what HAProxy wrote, with or without the quotes and escapes that the format asks for, or when it is
/// none and HAProxy had none: nothing, quoted or not, `-`, or JSON's `null`.
pub(crate) fn agrees(value: Option<&[u8]>, truth: &Truth) -> bool {
    match value {
        Some(value) => value == truth.written || value == truth.plain,
        None => [&b""[..], b"-", b"\"\"", b"null"].contains(&truth.written.as_slice()),
    }
}

/// Reads nothing: stands here until formats are compiled.
pub(crate) fn refuse(_: &str, _: &[u8]) -> Result<Fields, String> {
    Err("formats are not compiled yet".to_owned())
}

#[test]
fn a_value_agrees_with_what_was_written() {
    let truth = |written: &str, plain: &str| Truth { written: written.into(), plain: plain.into() };
    assert!(agrees(Some(b"a b"), &truth("\"a b\"", "a b")));
    assert!(agrees(Some(b"\"a b\""), &truth("\"a b\"", "a b")));
    assert!(!agrees(Some(b"a"), &truth("\"a b\"", "a b")));
    assert!(!agrees(Some(b""), &truth("-", "-")));
    assert!(agrees(None, &truth("-", "")));
    assert!(agrees(None, &truth("\"\"", "")));
    assert!(!agrees(None, &truth("0", "0")));
}
