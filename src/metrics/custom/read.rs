//! Records of a format that the configuration describes: which fields one has, and their values.
//!
//! A record is a line, or several that belong together with newlines in between. Nothing is allocated for one: what a reader needs is
//! used again for the next.

use std::sync::Arc;

use memchr::memchr;
use tailmeter_parsers::envelope::{Heads, detect};
use tailmeter_parsers::number::decimal;
use tailmeter_parsers::pointers::{self, unescape};
use tailmeter_parsers::{Envelope, Reason, Reject};

use super::pattern::{Cache, Parsed, Pattern, Slots};
use super::{ENVELOPE_FIELDS, EnvelopeKind, Field, FieldKind, Format, Machines, Messages, Value};

/// Reads records of one format.
pub struct Reader {
    format: Arc<Format>,
    /// Machines that find every group; the format's own find those that metrics need.
    all: Option<Vec<Pattern>>,
    heads: Heads,
    caches: Vec<Cache>,
    slots: Slots,
    values: Vec<pointers::Value>,
    /// The fields that an envelope has, by number.
    of_envelope: [Option<usize>; ENVELOPE_FIELDS.len()],
    buffers: Buffers,
}

/// What the record at hand has been found to hold.
#[derive(Default)]
struct Buffers {
    found: Vec<Found>,
    numbers: Vec<Option<i64>>,
    /// Values that do not stand in the record as they are.
    scratch: Vec<u8>,
    /// Lines of a record without their envelopes.
    joined: Vec<u8>,
}

/// Where the value of a field is.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    place: Place,
    start: u32,
    end: u32,
    /// Offset in the record, for people.
    at: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Missing,
    Record,
    Joined,
    Scratch,
}

/// A record that has been read.
pub struct Event<'a> {
    pub(super) format: &'a Format,
    record: &'a [u8],
    buffers: &'a Buffers,
    /// What stands before the message of its first line.
    pub envelope: Envelope<'a>,
    /// The kind of message, if the format names it.
    pub kind: Option<&'a str>,
    /// It is known, and counts nothing.
    pub is_ignored: bool,
}

/// A value for people.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shown<'a> {
    /// The record has none.
    Missing,
    /// As it stands there.
    Text(&'a [u8]),
    /// A whole number.
    Number(i64),
    /// Millionths of a number, or microseconds.
    Millionths(i64),
}

/// The envelope of `line`.
fn envelope<'l>(kind: EnvelopeKind, line: &'l [u8], heads: Option<&mut Heads>) -> Envelope<'l> {
    let detected = |heads: Option<&mut Heads>| heads.map_or_else(|| detect(line), |heads| heads.detect(line));
    match kind {
        EnvelopeKind::None => none(line),
        EnvelopeKind::Syslog => detected(heads),
        EnvelopeKind::Cri => {
            let envelope = detected(heads);
            let behind = line.get(envelope.timestamp.len() + 1..).unwrap_or_default();
            let is_cri = behind.starts_with(b"stdout ") || behind.starts_with(b"stderr ");
            if is_cri { envelope } else { none(line) }
        }
    }
}

/// A line that is all message, but for a closing `\r`.
fn none(line: &[u8]) -> Envelope<'_> {
    let mut envelope = Envelope::none(line);
    envelope.end = end(line);
    envelope
}

/// The length of `line` without a closing `\r`.
fn end(line: &[u8]) -> usize {
    line.len() - usize::from(line.last() == Some(&b'\r'))
}

/// The message of `line`.
pub(super) fn message(kind: EnvelopeKind, line: &[u8]) -> &[u8] {
    let envelope = envelope(kind, line, None);
    line.get(envelope.start..envelope.end).unwrap_or_default()
}

impl Reader {
    /// For what metrics need of records.
    pub fn new(format: Arc<Format>) -> Self {
        Self::of(format, None)
    }

    /// For every field that records have.
    ///
    /// # Errors
    /// A pattern is too large with all its groups.
    pub fn of_all(format: Arc<Format>) -> Result<Self, String> {
        let number = |name: &str| format.fields.iter().position(|field| field.name == name);
        let all = match &format.definition.messages {
            Messages::Json(_) => Vec::new(),
            Messages::Patterns(patterns) => {
                let built = patterns.iter().map(|pattern| {
                    let parsed = Parsed::of(&pattern.text).map_err(|mistake| mistake.message)?;
                    parsed.pattern(&number, patterns.len() == 1)
                });
                built.collect::<Result<_, _>>()?
            }
        };
        Ok(Self::of(Arc::clone(&format), Some(all)))
    }

    fn of(format: Arc<Format>, all: Option<Vec<Pattern>>) -> Self {
        let patterns = match (&all, &format.machines) {
            (Some(all), _) => all.as_slice(),
            (None, Machines::Patterns(patterns)) => patterns.as_slice(),
            (None, Machines::Json(_)) => &[],
        };
        let pointers = match &format.machines {
            Machines::Patterns(_) => 0,
            Machines::Json(pointers) => pointers.len(),
        };
        let number = |name: &str| {
            let is_of_messages = |number: &usize| *number >= format.messages_fields();
            format.fields.iter().position(|field| field.name == name).filter(is_of_messages)
        };
        Self {
            caches: patterns.iter().map(Pattern::cache).collect(),
            slots: vec![None; patterns.iter().map(Pattern::slots).max().unwrap_or(0)],
            values: vec![pointers::Value::default(); pointers],
            of_envelope: ENVELOPE_FIELDS.map(number),
            buffers: Buffers {
                found: vec![Found::default(); format.fields.len()],
                numbers: vec![None; format.fields.len()],
                ..Buffers::default()
            },
            heads: Heads::new(),
            all,
            format,
        }
    }

    /// The format.
    pub fn format(&self) -> &Arc<Format> {
        &self.format
    }

    /// The length of the first record of `lines`, which is not empty, with its newline; and whether it begins as one does.
    pub fn first(&self, lines: &[u8]) -> (usize, bool) {
        match &self.format.records {
            None => (memchr(b'\n', lines).map_or(lines.len(), |newline| newline + 1), true),
            Some(rule) => rule.first(lines),
        }
    }

    /// Reads a record.
    ///
    /// # Errors
    /// It is none of the format's, or is broken.
    pub fn read<'a>(&'a mut self, record: &'a [u8]) -> Result<Event<'a>, Reject> {
        let Self { format, all, heads, caches, slots, values, of_envelope, buffers } = self;
        let (format, shows_all) = (&**format, all.is_some());
        let kind = format.definition.envelope;
        let newline = memchr(b'\n', record);
        let first = record.get(..newline.unwrap_or(record.len())).unwrap_or_default();
        let envelope = envelope(kind, first, Some(heads));
        buffers.found.fill(Found::default());
        buffers.scratch.clear();
        buffers.joined.clear();
        if newline.is_some() && kind != EnvelopeKind::None {
            join(kind, record, &mut buffers.joined);
        }
        let text = Text::of(record, &buffers.joined, &envelope, newline.is_some());
        let mut definition = None;
        match (&format.machines, &format.definition.messages) {
            (Machines::Json(pointers), _) => {
                let broken = |(reason, at)| Reject { reason, field: "json", offset: text.offset(at) };
                pointers.find(text.bytes, values, &mut buffers.scratch).map_err(broken)?;
                let Buffers { found, scratch, .. } = buffers;
                scratch.clear();
                let fields = format.fields.iter().map(|field| field.is_asked || shows_all);
                for ((value, there), is_asked) in values.iter().zip(found).zip(fields) {
                    *there = text.value(value, is_asked, scratch);
                }
            }
            (Machines::Patterns(own), Messages::Patterns(definitions)) => {
                let patterns = all.as_ref().unwrap_or(own);
                let mut tried = patterns.iter().zip(caches).zip(definitions);
                let fitting = tried.find_map(|((pattern, cache), definition)| {
                    pattern.find(text.bytes, cache, slots).then_some((pattern, definition))
                });
                let Some((pattern, fitting)) = fitting else {
                    return Err(Reject { reason: Reason::UnknownForm, field: "message", offset: text.offset(0) });
                };
                definition = Some(fitting);
                for (field, places) in pattern.fields.iter().zip(slots.as_chunks::<2>().0.iter().skip(1)) {
                    if let ([Some(start), Some(end)], Some(there)) = (places, buffers.found.get_mut(*field)) {
                        *there = text.found(start.get(), end.get());
                    }
                }
            }
            (Machines::Patterns(_), Messages::Json(_)) => {}
        }
        buffers.add_envelope(&envelope, record, of_envelope);
        let is_ignored = definition.is_some_and(|definition| definition.is_ignored);
        if !is_ignored {
            buffers.check(&format.fields, record, shows_all)?;
        }
        let kind = definition.and_then(|definition| definition.name.as_deref());
        Ok(Event { format, record, buffers, envelope, kind, is_ignored })
    }
}

/// Appends the messages of the lines of `record`.
fn join(kind: EnvelopeKind, record: &[u8], out: &mut Vec<u8>) {
    for (number, line) in record.split(|byte| *byte == b'\n').enumerate() {
        if number > 0 {
            out.push(b'\n');
        }
        out.extend_from_slice(message(kind, line));
    }
}

/// The message of a record, and where it stands.
#[derive(Clone, Copy)]
struct Text<'t> {
    bytes: &'t [u8],
    place: Place,
    /// Its offset there.
    base: usize,
    /// Its offset in the record.
    start: usize,
    record: usize,
}

impl<'t> Text<'t> {
    fn of(record: &'t [u8], joined: &'t [u8], envelope: &Envelope<'_>, has_lines: bool) -> Self {
        let start = envelope.start;
        let (bytes, place, base) = match (has_lines, joined) {
            (true, []) => (record.get(..end(record)), Place::Record, 0),
            (true, joined) => (Some(joined), Place::Joined, 0),
            (false, _) => (record.get(start..envelope.end), Place::Record, start),
        };
        Self { bytes: bytes.unwrap_or_default(), place, base, start, record: record.len() }
    }

    /// The offset in the record of what is at `at`; of the later lines of one whose lines have envelopes about.
    fn offset(&self, at: usize) -> usize {
        (self.start + at).min(self.record)
    }

    fn found(&self, start: usize, end: usize) -> Found {
        let at = self.offset(start) as u32;
        Found { place: self.place, start: (self.base + start) as u32, end: (self.base + end) as u32, at }
    }

    /// A value of JSON. Without its escapes if it `is_asked` for.
    fn value(&self, value: &pointers::Value, is_asked: bool, scratch: &mut Vec<u8>) -> Found {
        match value.kind {
            pointers::Kind::Missing => Found::default(),
            pointers::Kind::Escaped if is_asked => {
                let start = scratch.len() as u32;
                unescape(self.bytes.get(value.start..value.end).unwrap_or_default(), scratch);
                let at = self.offset(value.start) as u32;
                Found { place: Place::Scratch, start, end: scratch.len() as u32, at }
            }
            _ => self.found(value.start, value.end),
        }
    }
}

impl Format {
    /// How many of the fields are of messages; those of the envelope follow.
    fn messages_fields(&self) -> usize {
        match &self.definition.messages {
            Messages::Json(pointers) => pointers.len(),
            Messages::Patterns(_) if self.definition.envelope == EnvelopeKind::Syslog => {
                let is_added = |name: &str| ENVELOPE_FIELDS.contains(&name);
                let added = self.fields.iter().rev().take_while(|field| is_added(field.name)).count();
                self.fields.len() - added
            }
            Messages::Patterns(_) => self.fields.len(),
        }
    }
}

impl Buffers {
    fn add_envelope(&mut self, envelope: &Envelope<'_>, record: &[u8], fields: &[Option<usize>; 3]) {
        let [hostname, program, severity] = *fields;
        for (field, value) in [(hostname, envelope.hostname), (program, envelope.program)] {
            let Some(there) = field.and_then(|field| self.found.get_mut(field)) else { continue };
            // It is a part of the record.
            let start = (value.as_ptr() as usize).wrapping_sub(record.as_ptr() as usize);
            if !value.is_empty() && value != b"-" && start + value.len() <= record.len() {
                let (start, end) = (start as u32, (start + value.len()) as u32);
                *there = Found { place: Place::Record, start, end, at: start };
            }
        }
        let severity = severity.and_then(|field| self.found.get_mut(field)).zip(envelope.severity());
        if let Some((there, severity)) = severity {
            let start = self.scratch.len() as u32;
            self.scratch.extend_from_slice(severity.as_bytes());
            *there = Found { place: Place::Scratch, start, end: self.scratch.len() as u32, at: 0 };
        }
    }

    /// Reads numbers, and checks what values have to fit.
    fn check(&mut self, fields: &[Field], record: &[u8], all: bool) -> Result<(), Reject> {
        let Self { found, numbers, scratch, joined } = self;
        for ((field, found), number) in fields.iter().zip(found).zip(numbers) {
            *number = None;
            if !(all || field.is_asked) || found.place == Place::Missing {
                continue;
            }
            let text = match found.place {
                Place::Record => record,
                Place::Joined => joined,
                _ => scratch,
            };
            let text = text.get(found.start as usize..found.end as usize).unwrap_or_default();
            let reject = |reason| Reject { reason, field: field.name, offset: found.at as usize };
            // What programs write where there is no number.
            if field.kind.is_number() && matches!(text, b"" | b"-") {
                *found = Found::default();
                continue;
            }
            if field.fits.as_ref().is_some_and(|fits| !fits.fits(text)) {
                return Err(reject(Reason::Grammar));
            }
            if field.kind.is_number() {
                let value = value(text, field.kind).map_err(reject)?;
                if value < 0 && !field.is_signed {
                    return Err(reject(Reason::Range));
                }
                *number = Some(value);
            }
        }
        Ok(())
    }
}

/// The number that `text` is, in what is counted in.
fn value(text: &[u8], kind: FieldKind) -> Result<i64, Reason> {
    let is_whole = matches!(kind, FieldKind::Integer | FieldKind::Bytes);
    if is_whole && !text.iter().skip(1).all(u8::is_ascii_digit) {
        let millionths = decimal(text, 6)?;
        return if millionths % 1_000_000 == 0 { Ok(millionths / 1_000_000) } else { Err(Reason::Number) };
    }
    decimal(text, kind.unit().1)
}

impl<'a> Event<'a> {
    /// The text of field number `field`; empty where it is missing.
    pub(super) fn text(&self, field: usize) -> &'a [u8] {
        let Some(found) = self.buffers.found.get(field) else { return b"" };
        let whole = match found.place {
            Place::Missing => return b"",
            Place::Record => self.record,
            Place::Joined => &self.buffers.joined,
            Place::Scratch => &self.buffers.scratch,
        };
        whole.get(found.start as usize..found.end as usize).unwrap_or_default()
    }

    /// The number that field number `field` is, in what is counted in.
    pub(super) fn number(&self, field: usize) -> Option<i64> {
        self.buffers.numbers.get(field).copied().flatten()
    }

    /// The value of a label.
    pub(super) fn label(&self, value: Option<Value>) -> &'a [u8] {
        match value {
            Some(Value::Field(field)) => self.text(field),
            Some(Value::Constant(text)) => text.as_bytes(),
            None => b"",
        }
    }

    /// Every field and its value, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, Shown<'a>)> {
        self.format.fields.iter().enumerate().map(|(number, field)| {
            let is_missing = self.buffers.found.get(number).is_none_or(|found| found.place == Place::Missing);
            let shown = match (field.kind, self.number(number)) {
                _ if is_missing => Shown::Missing,
                (FieldKind::Integer | FieldKind::Bytes, Some(number)) => Shown::Number(number),
                (FieldKind::String, _) | (_, None) => Shown::Text(self.text(number)),
                (_, Some(number)) => Shown::Millionths(number),
            };
            (field.name, shown)
        })
    }
}
