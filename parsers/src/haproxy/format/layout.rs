//! From the items of a log-format to a [`Layout`], which reads lines: the compiler's back.
//!
//! Where a value ends must be known without looking at what the rest of the line says. Mostly its grammar tells: the
//! byte that follows is none that the value can hold. Where it does not, the compiler says so in a [`Note`], with the
//! column and what cannot be told apart.

use std::borrow::Cow;

use super::check::{Bytes, Check};
use super::lexer::{Item, Kind, Mistake, lex};
use super::machine::{self, End, MAX_VALUES, Spans};
use super::record::{Place, Record};
use super::{Encoding, Grammar, Missing};
use crate::envelope::Envelope;
use crate::Reject;

/// A log-format that lines can be read by.
#[derive(Clone, Debug)]
pub struct Layout {
    text: String,
    pub(super) steps: Vec<Step>,
    /// What follows the last value.
    pub(super) tail: Box<[u8]>,
    /// Values that must be there before a line counts as cut, and not as foreign.
    needed: usize,
    /// The step of each [`Place`], by its number; [`NOWHERE`] for none.
    places: [u8; Place::ALL.len()],
    is_http: bool,
    notes: Vec<Note>,
}

const NOWHERE: u8 = u8::MAX;

/// What the compiler has to say about a log-format that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Offset in the log-format, in bytes.
    pub column: usize,
    /// A sentence without its full stop.
    pub message: String,
}

/// One value, and how it is read.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// The text before it.
    pub(super) before: Box<[u8]>,
    pub(super) end: End,
    pub(super) check: Check,
    /// The field's own name, and what the catalogue calls it.
    pub(super) field: Cow<'static, str>,
    pub(super) canonical: Cow<'static, str>,
    pub(super) grammar: Grammar,
    /// What is written when there is none.
    pub(super) missing: Missing,
    /// Hexadecimal digits.
    pub(super) is_hexadecimal: bool,
    /// It is several values that nothing tells apart.
    pub(super) is_blurred: bool,
}

impl Step {
    /// Its name in a [`Reject`].
    pub(super) fn name(&self) -> &'static str {
        const SAMPLES: [&str; 4] = ["fc_err", "ssl_fc_err", "ssl_c_err", "ssl_c_ca_err"];
        match &self.canonical {
            Cow::Borrowed(name) => name,
            Cow::Owned(name) => {
                let known = Place::ALL.iter().map(|(_, name)| *name).chain(SAMPLES);
                known.into_iter().find(|known| known == name).unwrap_or("sample")
            }
        }
    }
}

impl PartialEq for Layout {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Layout {}

impl Layout {
    /// Compiles `text`, a log-format as HAProxy has it after the quotes and backslashes of haproxy.cfg.
    ///
    /// # Errors
    /// What HAProxy would refuse, and where it stands.
    pub fn of(text: &str) -> Result<Self, Mistake> {
        let format = lex(text)?;
        if format.encoding != Encoding::None {
            let message = "lines that are JSON or CBOR as a whole cannot be read yet".into();
            return Err(Mistake { column: 0, message });
        }
        let mut notes = Vec::new();
        notes.extend(format.remarks.iter().map(|Mistake { column, message }| Note { column: *column, message: message.clone() }));
        let (values, tail) = values(&format.items);
        let values = told_apart(values, &mut notes);
        if values.len() > MAX_VALUES {
            let column = values[MAX_VALUES].item.column;
            return Err(Mistake { column, message: format!("more than {MAX_VALUES} values") });
        }
        if values.is_empty() {
            return Err(Mistake { column: 0, message: "this log-format writes no value".into() });
        }
        let mut steps = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            let step = value.step(values.get(index + 1..).unwrap_or_default(), &tail, steps.last(), &mut notes);
            steps.push(step);
        }
        notes.sort_by_key(|note| note.column);
        let (needed, places, is_http) = (needed(&steps), places(&steps), values.iter().any(Value::is_http));
        Ok(Self { text: text.into(), steps, tail: tail.into(), needed, places, is_http, notes })
    }

    /// The log-format.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What cannot be told apart, and what is odd.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// True when it has a field that only HTTP has.
    pub const fn is_http(&self) -> bool {
        self.is_http
    }

    /// True when it has the field.
    pub fn has(&self, place: Place) -> bool {
        self.place(place).is_some()
    }

    /// The step of `place`.
    pub(super) fn place(&self, place: Place) -> Option<usize> {
        self.places.get(place as usize).filter(|step| **step != NOWHERE).map(|step| usize::from(*step))
    }

    /// Reads the message of a line.
    ///
    /// # Errors
    /// Where the line is not laid out like this.
    pub fn read<'r, 'a>(
        &'r self,
        line: &'a [u8],
        envelope: &Envelope<'_>,
        spans: &'r mut Spans,
    ) -> Result<Record<'r, 'a>, Reject> {
        let line = line.get(..envelope.end).unwrap_or(line);
        machine::read(&self.steps, &self.tail, self.needed, line, envelope.start, spans)?;
        Ok(Record::new(self, line, spans))
    }

    /// What follows the last value.
    pub(in super::super) fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// The name of value number `index`, for a [`Reject`].
    pub(in super::super) fn name(&self, index: usize) -> &'static str {
        self.steps.get(index).map_or("message", Step::name)
    }

    /// What [`Layout::read`] found in `line`, if it was the last to use `spans`.
    pub(in super::super) fn record<'r, 'a>(
        &'r self,
        line: &'a [u8],
        envelope: &Envelope<'_>,
        spans: &'r Spans,
    ) -> Record<'r, 'a> {
        Record::new(self, line.get(..envelope.end).unwrap_or(line), spans)
    }
}

/// A value of a log-format: an item that writes something, and the text before it.
struct Value<'i> {
    item: &'i Item,
    grammar: Grammar,
    before: Vec<u8>,
    /// It is more than one.
    is_blurred: bool,
}

/// The values of `items`, and the text behind the last one.
fn values(items: &[Item]) -> (Vec<Value<'_>>, Vec<u8>) {
    let mut values: Vec<Value<'_>> = Vec::new();
    let mut text = Vec::new();
    for item in items {
        match &item.kind {
            Kind::Literal(literal) => text.extend_from_slice(literal.as_bytes()),
            // Nothing stands before the first.
            Kind::Separator if values.is_empty() && text.is_empty() => {}
            Kind::Separator => text.push(b' '),
            Kind::Alias(_) | Kind::Expression(_) => {
                let Some(grammar) = item.grammar() else { continue };
                let is_quoted = is_quoted(item);
                if is_quoted {
                    text.push(b'"');
                }
                values.push(Value { item, grammar, before: std::mem::take(&mut text), is_blurred: false });
                if is_quoted {
                    text.push(b'"');
                }
            }
        }
    }
    (values, text)
}

/// True when the quotes are always there, and nothing but quotes: they are text around the value then.
fn is_quoted(item: &Item) -> bool {
    item.is_quoted() && !matches!(item.grammar(), Some(Grammar::Captures))
}

impl Value<'_> {
    fn check(&self) -> Check {
        if self.is_blurred { Check::any() } else { Check::of(self.grammar, self.item) }
    }

    fn is_http(&self) -> bool {
        match &self.item.kind {
            Kind::Alias(alias) => alias.is_http || alias.grammar == Grammar::Status,
            _ => matches!(self.item.canonical(), Some("status_code" | "http_request_method" | "http_request_path")),
        }
    }

    /// True when its own bytes tell where it ends and `next` begins, with nothing between them.
    fn ends_before(&self, next: &Self) -> bool {
        let check = self.check();
        let begins = match next.grammar {
            Grammar::Captures if next.item.flags.quote => Bytes::of(|byte| byte == b'"'),
            Grammar::Captures => Bytes::of(|byte| byte == b'{'),
            _ => *next.check().held(),
        };
        check.length().is_some() || self.grammar == Grammar::Captures || !check.held().meets(&begins)
    }

    fn step(&self, following: &[Value<'_>], tail: &[u8], last: Option<&Step>, notes: &mut Vec<Note>) -> Step {
        let check = self.check();
        let next = following.first();
        let after = next.map_or(tail, |next| &next.before);
        // What follows the value that follows.
        let beyond = following.get(1).map_or(tail, |beyond| &beyond.before);
        let end = match check.length() {
            Some(length) => End::Length(length),
            None if self.grammar == Grammar::Captures => End::Captures,
            None => self.end(&check, after, next, beyond, last),
        };
        if end == End::Choice && !last.is_some_and(|last| last.end == End::Choice) {
            notes.push(self.choice_note(after));
        }
        let canonical = match &self.item.kind {
            Kind::Alias(alias) => Cow::Borrowed(alias.field),
            _ => Cow::Owned(self.item.canonical().unwrap_or_default().into()),
        };
        let field = match &self.item.name {
            Some(name) => Cow::Owned(name.clone()),
            None => canonical.clone(),
        };
        let missing = self.item.missing();
        Step { before: self.before.clone().into(), end, check, field, canonical, grammar: self.grammar, missing, is_hexadecimal: self.item.flags.hexa, is_blurred: self.is_blurred }
    }

    /// The byte at which it ends for sure, if it does not hold `other`; `after` follows it.
    fn ends_at(&self, other: u8, after: &[u8]) -> Option<u8> {
        let held = *self.check().held();
        let first = after.first().copied()?;
        (!held.has(first) && !held.has(other)).then_some(first)
    }

    /// Where it ends, if its length does not say so.
    fn end(&self, check: &Check, after: &[u8], next: Option<&Self>, beyond: &[u8], last: Option<&Step>) -> End {
        let held = check.held();
        match after {
            [] if next.is_none() => End::Line,
            // It ends with the bytes that it can hold, if what follows cannot begin with one of them.
            [] => End::Span,
            [first, ..] if !held.has(*first) => End::Byte(*first),
            text if text.iter().any(|byte| !held.has(*byte)) => End::Text,
            [byte] if let Some(before) = next.and_then(|next| next.ends_at(*byte, beyond)).filter(|byte| !held.has(*byte)) => {
                End::Last { byte: *byte, before }
            }
            // Of several in a row, the first one takes what could belong to either.
            _ if last.is_some_and(|last| last.end == End::Choice && *last.before == *after) => End::Byte(after[0]),
            _ => End::Choice,
        }
    }

    fn choice_note(&self, after: &[u8]) -> Note {
        let shown = String::from_utf8_lossy(after);
        let field = self.item.field().unwrap_or_default();
        let message = format!(
            "{field} can hold the text \"{shown}\" that follows it: where it ends is seen from what comes after it"
        );
        Note { column: self.item.column, message }
    }
}

/// `values`, with those made into one that nothing tells apart.
fn told_apart<'i>(values: Vec<Value<'i>>, notes: &mut Vec<Note>) -> Vec<Value<'i>> {
    let mut apart: Vec<Value<'i>> = Vec::with_capacity(values.len());
    for value in values {
        let is_blurred = apart.last().is_some_and(|last| value.before.is_empty() && !last.ends_before(&value));
        match apart.last_mut() {
            Some(last) if is_blurred => {
                let (one, other) = (last.item.field().unwrap_or_default(), value.item.field().unwrap_or_default());
                let message =
                    format!("nothing stands between {one} and {other} to tell where one ends: neither is read");
                notes.push(Note { column: value.item.column, message });
                last.is_blurred = true;
            }
            _ => apart.push(value),
        }
    }
    apart
}

/// Behind which value a line that ends is taken for one that was cut.
fn needed(steps: &[Step]) -> usize {
    const NAMES: [&str; 3] = ["frontend_name", "backend_name", "server_name"];
    let last = steps.iter().rposition(|step| NAMES.contains(&&*step.canonical));
    last.map_or(1, |last| last + 1)
}

/// Where each place is found: the first step that the catalogue calls so.
fn places(steps: &[Step]) -> [u8; Place::ALL.len()] {
    Place::ALL.map(|(_, name)| {
        let found = steps.iter().position(|step| !step.is_blurred && step.canonical == name);
        found.and_then(|step| u8::try_from(step).ok()).unwrap_or(NOWHERE)
    })
}
