//! A reader of lines against the truth in them: whatever compiles a log-format and takes lines apart.

use std::cell::RefCell;
use std::collections::BTreeMap;

use tailmeter_parsers::Envelope;
use tailmeter_parsers::haproxy::format::{Layout, Spans};

use crate::format::{Cut, Format, Truth};
use crate::{cbor, json};

/// Fields of a line: one for each item, in the format's order.
pub(crate) type Fields = Vec<(String, Found)>;

/// A field, as it was found.
#[derive(Debug)]
pub(crate) enum Found {
    /// For sure; `None` where the line says that it is absent.
    Value(Option<Vec<u8>>),
    /// The reader says that it cannot know.
    Unsure,
}

/// What is under test. A format that it does not take, or a line, is an error, which is counted and no mistake.
pub(crate) type Read = fn(format: &str, line: &[u8]) -> Result<Fields, String>;

/// What became of all lines.
#[derive(Default)]
pub(crate) struct Verdict {
    pub(crate) agreed: usize,
    /// Fields that were found, and those that the reader was not sure of.
    pub(crate) found: usize,
    pub(crate) unsure: usize,
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
            Err(reason) if is_certain(&text) => return self.wrong.push(reason),
            Err(reason) => return *self.refused.entry(reason).or_default() += 1,
        };
        let items = format.items().collect::<Vec<_>>();
        let complaint = if fields.len() == items.len() {
            let pairs = fields.iter().zip(&cut.truths).zip(&items);
            let unsure = fields.iter().filter(|(_, found)| matches!(found, Found::Unsure)).count();
            self.unsure += unsure;
            self.found += fields.len() - unsure;
            let mut wrong = pairs.filter_map(|(((name, found), truth), item)| match found {
                Found::Value(value) if !agrees(value.as_deref(), truth, item.encoding()) => {
                    Some((name, value, truth, item))
                }
                _ => None,
            });
            wrong.next().map(|(name, value, truth, item)| {
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

/// True when a value is what HAProxy wrote: of an encoded one, what that stands for; of another, with or without the quotes
/// and escapes that the format asks for. Or when it is none and HAProxy had none: nothing, quoted or not, `-`, JSON's
/// `null`, CBOR's `F6`.
pub(crate) fn agrees(value: Option<&[u8]>, truth: &Truth, encoding: Option<&str>) -> bool {
    let written = &truth.written[..];
    match (encoding, value) {
        (Some("json"), Some(value)) => json::agrees(value, written),
        (Some("json"), None) => [&b"null"[..], b"\"\""].contains(&written),
        (Some(_), Some(value)) => cbor::agrees(value, written),
        (Some(_), None) => [&b"F6"[..], b"60", b"7FFF", b"\"\""].contains(&written),
        (None, Some(value)) => [written, &truth.plain, bare(written), bare(&truth.plain)].contains(&value),
        (None, None) => [&b""[..], b"-", b"\"\""].contains(&written),
    }
}

/// True when the compiler says that it can read every line of this format.
fn is_certain(format: &str) -> bool {
    Layout::of(format).is_ok_and(|layout| layout.is_certain())
}

/// Captures without their braces and quotes.
fn bare(text: &[u8]) -> &[u8] {
    let text = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(text);
    text.strip_prefix(b"{").and_then(|text| text.strip_suffix(b"}")).unwrap_or(text)
}

/// Reads by the compiled log-format.
pub(crate) fn compiled(format: &str, line: &[u8]) -> Result<Fields, String> {
    thread_local! {
        static LAYOUTS: RefCell<BTreeMap<String, Result<Layout, String>>> = const { RefCell::new(BTreeMap::new()) };
    }
    LAYOUTS.with_borrow_mut(|layouts| {
        let compile = || Layout::of(format).map_err(|mistake| mistake.message);
        let layout = layouts.entry(format.to_owned()).or_insert_with(compile).as_ref().map_err(Clone::clone)?;
        if layout.is_ambiguous() {
            return Err("nothing tells some items apart".to_owned());
        }
        let (mut spans, envelope) = (Spans::default(), Envelope::none(line));
        let record = layout
            .read(line, &envelope, &mut spans)
            .map_err(|reject| format!("{reject}: {format}\n  {}", line.escape_ascii()))?;
        if record.truncated() {
            return Err(format!("taken for truncated: {format}\n  {}", line.escape_ascii()));
        }
        let field = |(name, value, is_certain): (&str, Option<&[u8]>, bool)| {
            let value = value.map(<[u8]>::to_vec);
            (name.to_owned(), if is_certain { Found::Value(value) } else { Found::Unsure })
        };
        Ok(record.written().map(field).collect())
    })
}

#[test]
fn a_value_agrees_with_what_was_written() {
    let truth = |written: &str, plain: &str| Truth { written: written.into(), plain: plain.into() };
    let plain = |value: Option<&[u8]>, truth: &Truth| agrees(value, truth, None);
    assert!(plain(Some(b"a b"), &truth("\"a b\"", "a b")));
    assert!(plain(Some(b"\"a b\""), &truth("\"a b\"", "a b")));
    assert!(!plain(Some(b"a"), &truth("\"a b\"", "a b")));
    assert!(!plain(Some(b""), &truth("-", "-")));
    assert!(plain(None, &truth("-", "")));
    assert!(plain(None, &truth("\"\"", "")));
    assert!(!plain(None, &truth("0", "0")));
    assert!(!plain(None, &truth("null", "null")));
    assert!(agrees(None, &truth("null", ""), Some("json")));
    assert!(agrees(None, &truth("F6", ""), Some("cbor")));
    assert!(!agrees(Some(b"1839"), &truth("1839", "1839"), Some("cbor")));
}
