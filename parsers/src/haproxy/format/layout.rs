//! From the items of a log-format to a [`Layout`], which reads lines: the compiler's back.
//!
//! Where a value ends must be known without looking at what the rest of the line says. Mostly its grammar tells: the
//! byte that follows is none that the value can hold. Where it does not, the compiler says so in a [`Note`], with the
//! column and what cannot be told apart.

use std::borrow::Cow;

use super::check::{Bytes, Check};
use super::doubt::{doubt, doubts};
use super::lexer::{Item, Kind, Mistake, lex};
use super::machine::{self, End, MAX_VALUES, Spans};
use super::record::{Place, Record};
use super::{Encoding, Flags, Grammar, Missing, Type, cbor, encoded, object};
use crate::Reject;
use crate::envelope::Envelope;

/// A log-format that lines can be read by.
#[derive(Clone, Debug)]
pub struct Layout {
    text: String,
    /// Of whole lines.
    encoding: Encoding,
    /// Some value is encoded.
    is_encoded: bool,
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
    /// True when values are not read for it, or where one ends is a guess.
    pub is_lossy: bool,
    /// A sentence without its full stop.
    pub message: String,
}

/// One value, and how it is read.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// Where its item stands in the log-format.
    column: usize,
    /// The text before it; its key as it is written, in a line that is an object.
    pub(super) before: Box<[u8]>,
    /// `None`: where its encoding says.
    pub(super) end: Option<End>,
    /// How it is written.
    pub(super) encoding: Encoding,
    /// A number whose digits the text that follows seems to go on with.
    pub(super) runs_on: bool,
    /// The type that its name asks for.
    pub(super) typed: Option<Type>,
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
    /// Whatever its value and its neighbours' hold, it is found.
    pub(super) is_certain: bool,
}

impl Step {
    /// True when it may be that nothing at all is written.
    pub(super) fn may_vanish(&self) -> bool {
        let is_list = matches!(self.grammar, Grammar::Captures | Grammar::CaptureList);
        (is_list && self.encoding == Encoding::None) || self.missing == Missing::Nothing
    }

    /// True when nothing was written, since `rest`, behind a space that HAProxy does not write twice, is what follows: either
    /// its first byte is none of a value's, or all of it is there with some such byte.
    pub(super) fn is_left_out_before(&self, next: &[u8], rest: &[u8]) -> bool {
        let is_strange = |byte: &u8| !self.check.held().has(*byte);
        let begins = next.first().is_some_and(|first| is_strange(first) && rest.first() == Some(first));
        begins || (rest.starts_with(next) && next.iter().any(is_strange))
    }

    /// Its name in a [`Reject`].
    pub(super) fn name(&self) -> &'static str {
        const SAMPLES: [&str; 2] = ["ssl_c_err", "ssl_c_ca_err"];
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
        let mut format = lex(text)?;
        format.items.iter_mut().try_for_each(settle_encoding)?;
        let mut notes = Vec::new();
        notes.extend(format.remarks.iter().map(|Mistake { column, message }| Note {
            column: *column,
            is_lossy: false,
            message: message.clone(),
        }));
        let (values, tail) = match format.encoding {
            Encoding::None => {
                let (values, tail) = values(&format.items);
                (told_apart(values, &tail, &mut notes), tail)
            }
            encoding => (members(&format.items, encoding), Vec::new()),
        };
        if values.len() > MAX_VALUES {
            let column = values[MAX_VALUES].item.column;
            return Err(Mistake { column, message: format!("more than {MAX_VALUES} values") });
        }
        if values.is_empty() {
            return Err(Mistake { column: 0, message: "this log-format writes no value".into() });
        }
        let mut steps = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            let step = value.step(values.get(index + 1..).unwrap_or_default(), &tail, steps.last());
            steps.push(step);
        }
        // The members of an object are found by their names.
        if format.encoding == Encoding::None {
            doubt(&mut steps, &tail);
            notes.extend(doubts(&steps, &values));
        }
        notes.sort_by_key(|note| note.column);
        let (needed, places, is_http) = (needed(&steps), places(&steps), values.iter().any(Value::is_http));
        let is_encoded = steps.iter().any(|step| step.encoding != Encoding::None);
        let encoding = format.encoding;
        Ok(Self { text: text.into(), encoding, is_encoded, steps, tail: tail.into(), needed, places, is_http, notes })
    }

    /// The log-format.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// True when nothing tells some of its values apart.
    pub fn is_ambiguous(&self) -> bool {
        self.steps.iter().any(|step| step.is_blurred)
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

    /// How the values of `place` are written.
    pub fn grammar(&self, place: Place) -> Option<Grammar> {
        self.steps.get(self.place(place)?).map(|step| step.grammar)
    }

    /// True when the values of `item`, which is one of this log-format, are read.
    pub fn reads(&self, item: &Item) -> bool {
        self.steps.iter().any(|step| step.column == item.column && !step.is_blurred)
    }

    /// The step of `place`.
    pub(super) fn place(&self, place: Place) -> Option<usize> {
        self.places.get(place as usize).filter(|step| **step != NOWHERE).map(|step| usize::from(*step))
    }

    /// Reads the message of a line.
    ///
    /// # Errors
    /// Where the line is not laid out like this.
    pub fn read<'r>(
        &'r self,
        line: &'r [u8],
        envelope: &Envelope<'_>,
        spans: &'r mut Spans,
    ) -> Result<Record<'r>, Reject> {
        let line = line.get(..envelope.end).unwrap_or(line);
        match self.encoding {
            Encoding::None => machine::read(&self.steps, &self.tail, self.needed, line, envelope.start, spans)?,
            encoding => object::read(encoding, &self.steps, self.needed, line, envelope.start, spans)?,
        }
        if self.is_encoded {
            encoded::decode(&self.steps, line, spans)?;
        }
        Ok(Record::new(self, line, spans))
    }

    /// True when every value is found for sure, whatever it and the others are.
    pub fn is_certain(&self) -> bool {
        self.steps.iter().all(|step| step.is_certain && !step.is_blurred)
    }

    /// What follows the last value.
    pub(in super::super) fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// True when some value has an encoding.
    pub(in super::super) const fn is_encoded(&self) -> bool {
        self.is_encoded
    }

    /// The name of value number `index`, for a [`Reject`].
    pub(in super::super) fn name(&self, index: usize) -> &'static str {
        self.steps.get(index).map_or("message", Step::name)
    }

    /// What [`Layout::read`] found in `line`, if it was the last to use `spans`.
    pub(in super::super) fn record<'r>(
        &'r self,
        line: &'r [u8],
        envelope: &Envelope<'_>,
        spans: &'r Spans,
    ) -> Record<'r> {
        Record::new(self, line.get(..envelope.end).unwrap_or(line), spans)
    }
}

/// A value of a log-format: an item that writes something, and the text before it.
pub(super) struct Value<'i> {
    item: &'i Item,
    grammar: Grammar,
    /// Of its grammar; of any text when it is more than one value. Made once, which is most of what compiling takes.
    check: Check,
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
                let grammar = if item.flags.encoding == Encoding::None { grammar } else { typed(grammar, item) };
                values.push(Value::new(item, grammar, std::mem::take(&mut text)));
                if is_quoted {
                    text.push(b'"');
                }
            }
        }
    }
    (values, text)
}

/// The values of an object, each with its key.
fn members(items: &[Item], encoding: Encoding) -> Vec<Value<'_>> {
    let values = items.iter().filter_map(|item| {
        let (name, grammar) = (item.name.as_deref()?, item.grammar()?);
        let before = match encoding {
            Encoding::Cbor => cbor::key(name),
            Encoding::Json | Encoding::None => format!("\"{name}\"").into_bytes(),
        };
        Some(Value::new(item, typed(grammar, item), before))
    });
    values.collect()
}

/// What an encoded value of `item` is, by the type that its name asks for.
fn typed(grammar: Grammar, item: &Item) -> Grammar {
    let is_number = !grammar.is_quotable() && !matches!(grammar, Grammar::Termination(_) | Grammar::Date);
    match item.typed {
        Some(Type::Bool) => Grammar::Boolean,
        Some(Type::Sint) if !is_number => Grammar::Integer,
        _ => grammar,
    }
}

/// Settles how an item is written that asks for an encoding.
fn settle_encoding(item: &mut Item) -> Result<(), Mistake> {
    let refused = |message: &str| Err(Mistake { column: item.column, message: message.to_owned() });
    match item.flags.encoding {
        Encoding::None => Ok(()),
        Encoding::Cbor if item.flags.bin => refused("+bin writes bytes that no line can hold: leave it out"),
        Encoding::Cbor if item.typed == Some(Type::Raw) => refused("a raw value has no end in CBOR"),
        _ if item.typed == Some(Type::Raw) => {
            item.flags = Flags { encoding: Encoding::None, quote: false, mandatory: false, ..item.flags };
            Ok(())
        }
        _ => Ok(()),
    }
}

/// True when the quotes are always there, and nothing but quotes: they are text around the value then.
fn is_quoted(item: &Item) -> bool {
    item.is_quoted() && !matches!(item.grammar(), Some(Grammar::Captures))
}

impl<'i> Value<'i> {
    /// Where its item stands in the log-format.
    pub(super) fn column(&self) -> usize {
        self.item.column
    }

    fn new(item: &'i Item, grammar: Grammar, before: Vec<u8>) -> Self {
        let check = match item.flags.encoding {
            Encoding::None => Check::of(grammar, item),
            Encoding::Json | Encoding::Cbor => Check::of_encoded(grammar, item),
        };
        Self { item, grammar, check, before, is_blurred: false }
    }

    /// Nothing tells it from the one behind it.
    fn blur(&mut self) {
        (self.check, self.is_blurred) = (Check::any(), true);
    }

    fn is_http(&self) -> bool {
        match &self.item.kind {
            Kind::Alias(alias) => alias.is_http || alias.grammar == Grammar::Status,
            _ => matches!(self.item.canonical(), Some("status_code" | "http_request_method" | "http_request_path")),
        }
    }

    fn is_encoded(&self) -> bool {
        self.item.flags.encoding != Encoding::None && !self.is_blurred
    }

    /// True when it may be a number of JSON, which goes on as long as digits follow.
    fn is_bare(&self) -> bool {
        let Item { kind, typed, flags, .. } = self.item;
        let is_text = match (kind, self.grammar) {
            (_, Grammar::Termination(_) | Grammar::Date | Grammar::DateUtc | Grammar::DateLocal) => true,
            (Kind::Alias(_), Grammar::Counter | Grammar::Seconds | Grammar::Milliseconds) => flags.hexa,
            // What its type is, only HAProxy knows.
            (Kind::Expression(_), Grammar::Text) => false,
            (_, grammar) => grammar.is_quotable(),
        };
        let is_number = match typed {
            Some(Type::Str | Type::Bool) => false,
            Some(Type::Sint) if matches!(kind, Kind::Expression(_)) => true,
            _ => !is_text,
        };
        is_number && self.is_encoded() && flags.encoding == Encoding::Json
    }

    /// True when its own bytes tell where it ends and `next` begins, with nothing between them. Behind that one stands
    /// the byte `beyond`: of a value that is not there.
    fn ends_before(&self, next: &Self, beyond: Option<u8>) -> bool {
        let check = &self.check;
        let held = match self.is_encoded() {
            true if !self.is_bare() => return true,
            true => Bytes::of(|byte| byte.is_ascii_digit()),
            false => *check.held(),
        };
        let begins = match next.grammar {
            _ if next.is_encoded() => match next.item.flags.encoding {
                Encoding::Cbor => Bytes::of(|byte| byte.is_ascii_hexdigit() || byte == b'"'),
                Encoding::Json | Encoding::None => {
                    let is_bare = next.is_bare();
                    Bytes::of(|byte| b"\"[tfn".contains(&byte) || (is_bare && b"-0123456789".contains(&byte)))
                }
            },
            Grammar::Captures if next.item.flags.quote => Bytes::of(|byte| byte == b'"'),
            Grammar::Captures => Bytes::of(|byte| byte == b'{'),
            Grammar::Query => Bytes::of(|byte| byte == b'?'),
            _ => *next.check.held(),
        };
        let may_vanish = next.item.missing() == Missing::Nothing;
        let is_clear = !may_vanish || beyond.is_some_and(|byte| !held.has(byte));
        check.length().is_some() || self.grammar == Grammar::Captures || (is_clear && !held.meets(&begins))
    }

    fn step(&self, following: &[Value<'_>], tail: &[u8], last: Option<&Step>) -> Step {
        let check = &self.check;
        let next = following.first();
        let after = next.map_or(tail, |next| &next.before);
        // What follows the value that follows.
        let beyond = following.get(1).map_or(tail, |beyond| &beyond.before);
        let end = (!self.is_encoded()).then(|| match check.length() {
            // Those of HAProxy 1.1 had no milliseconds.
            Some(_) if self.grammar == Grammar::Date && after.first().is_some_and(|byte| !check.held().has(*byte)) => {
                self.end(after, next, beyond, last)
            }
            Some(length) => End::Length(length),
            None if self.grammar == Grammar::Captures => End::Captures,
            None => self.end(after, next, beyond, last),
        });
        let check = check.ending_at(match end {
            Some(End::Byte(byte)) => Some(byte),
            _ => None,
        });
        let canonical = match &self.item.kind {
            Kind::Alias(alias) => Cow::Borrowed(alias.field),
            _ => Cow::Owned(self.item.canonical().unwrap_or_default().into()),
        };
        let field = match &self.item.name {
            Some(name) => Cow::Owned(name.clone()),
            None => canonical.clone(),
        };
        let missing = match self.item.missing() {
            // Even nothing has an encoding.
            Missing::Nothing if self.is_encoded() => Missing::Quotes,
            missing => missing,
        };
        let is_hexadecimal = self.item.flags.hexa
            && matches!(self.grammar, Grammar::Counter | Grammar::Seconds | Grammar::Milliseconds | Grammar::Port);
        Step {
            column: self.item.column,
            before: self.before.clone().into(),
            end,
            encoding: if self.is_encoded() { self.item.flags.encoding } else { Encoding::None },
            runs_on: self.is_bare() && after.first().is_some_and(u8::is_ascii_digit),
            typed: self.item.typed,
            check,
            field,
            canonical,
            grammar: self.grammar,
            missing,
            is_hexadecimal,
            is_blurred: self.is_blurred,
            is_certain: true,
        }
    }

    /// The byte at which it ends for sure, if it does not hold `other`; `after` follows it.
    fn ends_at(&self, other: u8, after: &[u8]) -> Option<u8> {
        let held = self.check.held();
        let first = after.first().copied()?;
        (!held.has(first) && !held.has(other)).then_some(first)
    }

    /// Where it ends, if its length does not say so.
    fn end(&self, after: &[u8], next: Option<&Self>, beyond: &[u8], last: Option<&Step>) -> End {
        let held = self.check.held();
        match after {
            [] if next.is_none() => End::Line,
            // It ends with the bytes that it can hold, if what follows cannot begin with one of them.
            [] => End::Span,
            [first, ..] if !held.has(*first) => End::Byte(*first),
            text if text.iter().any(|byte| !held.has(*byte)) => End::Text,
            [byte]
                if let Some(before) =
                    next.and_then(|next| next.ends_at(*byte, beyond)).filter(|byte| !held.has(*byte)) =>
            {
                End::Last { byte: *byte, before }
            }
            // Of several in a row, the first one takes what could belong to either.
            _ if last.is_some_and(|last| last.end == Some(End::Choice)) && *self.before == *after => {
                End::Byte(after[0])
            }
            _ => End::Choice,
        }
    }
}

/// `values`, with those made into one that nothing tells apart.
fn told_apart<'i>(values: Vec<Value<'i>>, tail: &[u8], notes: &mut Vec<Note>) -> Vec<Value<'i>> {
    let mut apart: Vec<Value<'i>> = Vec::with_capacity(values.len());
    let beyond = values.iter().skip(1).map(|value| value.before.first().copied()).chain([tail.first().copied()]);
    let beyond = beyond.collect::<Vec<_>>();
    for (value, beyond) in values.into_iter().zip(beyond) {
        let is_next = |last: &Value<'_>| value.before.is_empty() && !last.ends_before(&value, beyond);
        let is_blurred = apart.last().is_some_and(is_next);
        match apart.last_mut() {
            Some(last) if is_blurred => {
                let (one, other) = (last.item.field().unwrap_or_default(), value.item.field().unwrap_or_default());
                let message =
                    format!("nothing stands between {one} and {other} to tell where one ends: neither is read");
                notes.push(Note { column: value.item.column, is_lossy: true, message });
                last.blur();
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
