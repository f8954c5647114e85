//! Steps put together into stretches, each of which is read at once: the compiler's back for vector instructions.
//!
//! A [`Stretch`] says nothing that its steps do not say. It says it in the form of masks and tables, so that a window
//! of 64 bytes is checked without a branch that depends on the line. A line that does not fit a stretch exactly takes its
//! steps one by one, in [`Layout::take`]: a stretch may be too strict, but what it takes, the steps take as well.

#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only vector instructions need all of it"))]

use core::cell::Cell;

use super::Grammar;
use super::check::{Bytes, Form};
use super::layout::{Layout, Step};
use super::machine::{End, Spans};
use super::record::Place;

/// Bytes of a window.
pub(in super::super) const WINDOW: usize = 64;
/// Numbers that are converted together.
const NUMBERS: usize = 8;
/// Bytes of usual values that a window should have room for, so that longer ones still fit.
const ROOM: usize = 52;

/// Some consecutive steps, from `first` to before `last`. Begins with the text before the first, and ends where its last
/// value ends.
#[derive(Clone, Debug)]
pub(in super::super) struct Stretch {
    pub(in super::super) first: usize,
    pub(in super::super) last: usize,
    pub(in super::super) kind: Kind,
    /// Which values' bounds are to be kept.
    pub(in super::super) bounds: Vec<Bound>,
    /// The text before its first value, and how long it is. (Of a [`Kind::Run`] all delimiters.)
    pub(in super::super) text: [u8; WINDOW],
    pub(in super::super) length: u32,
}

/// How a stretch is read.
#[derive(Clone, Debug)]
pub(in super::super) enum Kind {
    /// Values between delimiters that none of them holds.
    Run(Box<Run>),
    /// A fixed number of bytes.
    Shape(Box<Shape>),
    /// Two values: the second is a number, between the last `byte` before the first `end`, and that.
    Pair { byte: u8, end: u8, longest: u32, bad: Set },
    /// One value to the first place of these bytes; it has no byte of `bad`, and if there is such a set, is not empty.
    Text { end: u8, second: Option<u8>, bad: Option<Set> },
    /// As often as `count` says, a space and `{…}`, or nothing; a space that follows is meant to be the one before, where
    /// nothing is.
    Captures { count: usize },
    /// What only the machine reads.
    Steps,
}

/// ASCII bytes, as vector instructions look them up: bit h of byte l says that the byte with upper half h and lower half
/// l is in it.
pub(in super::super) type Set = [u8; 16];

/// Several values, and the delimiters around them.
#[derive(Clone, Debug)]
pub(in super::super) struct Run {
    /// They are numbers, and every byte that is no digit is a delimiter.
    pub(in super::super) is_number: bool,
    pub(in super::super) delimiters: Set,
    /// Bytes that are neither delimiters nor may be in a value.
    pub(in super::super) bad: Set,
    /// By value: number of the delimiter before it, and of the one behind it.
    pub(in super::super) starts: [u8; 16],
    pub(in super::super) ends: [u8; 16],
    /// Bit i: a delimiter stands before value i. Not always before the first.
    pub(in super::super) has_start: u16,
    /// By value: from the first byte of the text before it to the last.
    pub(in super::super) gaps: [u8; 16],
    /// By value.
    pub(in super::super) shortest: [u8; 16],
    pub(in super::super) longest: [u8; 16],
    /// True when the order of the delimiters says all.
    pub(in super::super) is_loose: bool,
    /// Characters of the termination state that follows loose values; 0 for none.
    pub(in super::super) termination: u32,
    /// Bit i: value i may be -1.
    pub(in super::super) minus: u16,
    /// By [`Metric`]: which value it is.
    pub(in super::super) order: [u32; 16],
    /// Bit i: value i is some metric.
    pub(in super::super) counted: u16,
    /// Bit m: this run has metric m.
    pub(in super::super) metrics: u16,
}

/// What each byte must be; bit i of a mask is byte i.
#[derive(Clone, Debug)]
pub(in super::super) struct Shape {
    /// The bytes at `exact`: of months those of the last line that was read.
    pub(in super::super) text: Cell<[u8; WINDOW]>,
    pub(in super::super) exact: u64,
    pub(in super::super) digits: u64,
    pub(in super::super) letters: u64,
    pub(in super::super) signs: u64,
    /// Where the names of months begin.
    pub(in super::super) months: Vec<usize>,
    /// Where the values begin and end.
    pub(in super::super) values: Vec<(usize, usize)>,
}

/// A start or an end that is to be kept.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Bound {
    pub(in super::super) mark: Mark,
    /// The value's number in its stretch.
    pub(in super::super) value: usize,
    pub(in super::super) is_end: bool,
}

/// Offsets that counting needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Mark {
    NamesStart,
    NamesEnd,
    Termination,
    /// Of the method, or of the request that begins with it.
    MethodStart,
    MethodEnd,
}

/// Numbers that counting needs, in the order of a sketch.
const METRICS: [Place; 11] = [
    Place::TimeRequest,
    Place::TimeQueue,
    Place::TimeConnect,
    Place::TimeResponse,
    Place::TimeActive,
    Place::StatusCode,
    Place::BytesRead,
    Place::Retries,
    Place::SrvQueue,
    Place::BackendQueue,
    Place::TimeTotal,
];
/// The last timer is one of two.
const TIME_ACTIVE: usize = 4;
pub(in super::super) const MARKS: usize = 5;

/// What counting needs of a line, by place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub(in super::super) struct Found {
    /// Timers, status, bytes, retries, queues; of -1 all bits are set.
    pub(in super::super) numbers: [u32; 16],
    /// By [`Mark`].
    pub(in super::super) marks: [u32; MARKS],
    /// True when the retries have a plus.
    pub(in super::super) redispatched: bool,
}

impl Layout {
    /// Puts the steps together.
    pub(in super::super) fn stretches(&self) -> Vec<Stretch> {
        let mut stretches: Vec<Stretch> = Vec::new();
        let mut first = 0;
        while let Some(step) = self.steps.get(first) {
            let (kind, text, length, last) = self
                .run(first)
                .or_else(|| self.shape(first))
                .or_else(|| self.single(first))
                .unwrap_or_else(|| (Kind::Steps, [0; WINDOW], step.before.len(), first + 1));
            let bounds = self.bounds(first, last);
            stretches.push(Stretch { first, last, kind, bounds, text, length: length as u32 });
            first = last;
        }
        stretches
    }

    /// What follows value `index`; the newline of a line behind the last one.
    fn behind(&self, index: usize) -> &[u8] {
        match self.steps.get(index + 1) {
            Some(next) => &next.before,
            None if self.tail.is_empty() => b"\n",
            None => &self.tail,
        }
    }

    /// Numbers, or words, from step `first` on.
    fn run(&self, first: usize) -> Option<(Kind, [u8; WINDOW], usize, usize)> {
        let step = self.steps.get(first)?;
        let is_number = self.is_number(first);
        let (mut room, mut last) = (step.before.len(), first);
        let mut delimiters = step.before.to_vec();
        while last < self.steps.len() {
            let behind = self.behind(last);
            let fits = if is_number { self.is_number(last) } else { self.is_word(last) };
            let usual = if is_number { 4 } else { 14 };
            let is_same = last == first || is_number || self.is_same_kind(first, last);
            if !fits || !is_same || last - first == NUMBERS || (last > first && room + usual + 1 > ROOM) {
                break;
            }
            room += usual + behind.len();
            delimiters.extend_from_slice(behind);
            last += 1;
        }
        // One word alone may as well be long.
        if last == first || (!is_number && last == first + 1) {
            return None;
        }
        let mut run = Run {
            is_number,
            delimiters: [0; 16],
            bad: [0; 16],
            starts: [0; 16],
            ends: [0; 16],
            has_start: 0,
            gaps: [0; 16],
            shortest: [0; 16],
            longest: [u8::MAX; 16],
            is_loose: false,
            termination: 0,
            minus: 0,
            order: [0; 16],
            counted: 0,
            metrics: 0,
        };
        let mut at = 0;
        for (value, index) in (first..last).enumerate() {
            let step = self.steps.get(index)?;
            at += step.before.len();
            if at > 0 {
                run.starts[value] = at as u8 - 1;
                run.gaps[value] = (step.before.len() as u8).wrapping_sub(1);
                run.has_start |= 1 << value;
            }
            run.ends[value] = at as u8;
            (run.shortest[value], run.longest[value]) = if is_number { (1, 8) } else { (0, 63) };
            match step.check.form() {
                Form::Number { minus, max, .. } => {
                    run.longest[value] = max.checked_ilog10().map_or(8, |digits| digits.min(8)) as u8;
                    run.minus |= u16::from(minus) << value;
                    if max == 999 || max == 99_999 {
                        run.longest[value] += 1;
                    }
                }
                Form::Word => run.shortest[value] = 1,
                _ => {}
            }
            for (metric, place) in METRICS.iter().enumerate().filter(|(_, place)| self.place(**place) == Some(index)) {
                if let Some(metric) = self.metric(metric, *place) {
                    run.order[metric] = value as u32;
                    run.counted |= 1 << value;
                    run.metrics |= 1 << metric;
                }
            }
        }
        let is_single = (first + 1..last).all(|index| self.steps.get(index).is_some_and(|step| step.before.len() == 1));
        run.is_loose = !is_number
            && step.before.len() == 1
            && is_single
            && run.shortest == [0; 16]
            && self.bounds(first, last).is_empty();
        // Of what follows the last value only the first byte.
        let mut text = [0; WINDOW];
        let mut length = at + 1;
        if run.is_loose
            && let Some(step) = self.steps.get(last).filter(|step| *step.before == *b" ")
            && let (Form::Termination, Some(End::Length(characters))) = (step.check.form(), &step.end)
            && self.behind(last).first() == Some(&b' ')
        {
            run.termination = *characters as u32;
            delimiters.extend_from_slice(self.behind(last));
            length += 1;
            last += 1;
        }
        text.get_mut(..length)?.copy_from_slice(delimiters.get(..length)?);
        delimiters.truncate(length);
        run.delimiters = set(&Bytes::of(|byte| delimiters.contains(&byte)));
        // What not every one of them may hold makes a line rare.
        for index in first..last {
            run.bad.iter_mut().zip(self.bad_of(index, step, &delimiters)).for_each(|(bad, other)| *bad |= other);
        }
        Some((Kind::Run(Box::new(run)), text, length, last))
    }

    /// True when value `index` is a number between texts without a digit.
    fn is_number(&self, index: usize) -> bool {
        let Some(step) = self.steps.get(index) else { return false };
        let is_end = matches!(step.end, Some(End::Byte(_) | End::Line));
        let has_digit = |text: &[u8]| text.iter().any(u8::is_ascii_digit);
        let behind = self.behind(index);
        is_end
            && matches!(step.check.form(), Form::Number { .. } | Form::Integer)
            && (index == 0 || !step.before.is_empty())
            && !behind.is_empty()
            && !has_digit(&step.before)
            && !has_digit(behind)
    }

    /// True when value `index` is a word, usually a short one, between delimiters that are no part of words.
    fn is_word(&self, index: usize) -> bool {
        let Some(step) = self.steps.get(index) else { return false };
        let is_delimiter = |text: &[u8]| {
            (1..=3).contains(&text.len())
                && text.iter().all(|byte| byte.is_ascii_punctuation() || byte.is_ascii_whitespace())
        };
        let is_short = matches!(step.grammar, Grammar::Name | Grammar::NameTls | Grammar::Cookie | Grammar::Boolean)
            || matches!(step.grammar, Grammar::Version | Grammar::Method);
        is_short
            && matches!(step.end, Some(End::Byte(_) | End::Line | End::Choice | End::Text))
            && matches!(step.check.form(), Form::Word | Form::Text)
            && (is_delimiter(&step.before) || (index == 0 && step.before.is_empty()))
            && is_delimiter(self.behind(index))
    }

    /// True when the values of both steps are names, or both any text.
    fn is_same_kind(&self, one: usize, other: usize) -> bool {
        let is_text = |index: usize| self.steps.get(index).map(|step| step.check.form() == Form::Text);
        let is_name =
            |index: usize| self.steps.get(index).map(|step| matches!(step.grammar, Grammar::Name | Grammar::NameTls));
        is_text(one) == is_text(other) && is_name(one) == is_name(other)
    }

    /// The ASCII bytes that are neither in `delimiters` nor in a value of step `index`.
    fn bad_of(&self, index: usize, other: &Step, delimiters: &[u8]) -> Set {
        let step = self.steps.get(index).unwrap_or(other);
        let is_choosy = step.check.is_choosy();
        set(&Bytes::of(|byte| is_choosy && !step.check.taken().has(byte) && !delimiters.contains(&byte)))
    }

    /// Values that always have the same length.
    fn shape(&self, first: usize) -> Option<(Kind, [u8; WINDOW], usize, usize)> {
        let (mut text, mut at, mut last) = ([0; WINDOW], 0, first);
        let (cell, months, values) = (Cell::new(text), Vec::new(), Vec::new());
        let mut shape = Shape { text: cell, exact: 0, digits: 0, letters: 0, signs: 0, months, values };
        while let Some(step) = self.steps.get(last) {
            // A date that may lack its milliseconds ends at a byte. Those that do take the steps.
            let (Some(End::Length(_) | End::Byte(_)), Some(length)) = (&step.end, step.check.length()) else { break };
            let start = at + step.before.len();
            if start + length > WINDOW {
                break;
            }
            let bits = |from: usize, to: usize| (from..to).fold(0, |bits, at| bits | 1u64 << at);
            match step.check.form() {
                Form::Termination => shape.letters |= bits(start, start + length),
                Form::Number { .. } => shape.digits |= bits(start, start + length),
                Form::Date(example) => {
                    shape.months.push(start + 3);
                    for (offset, byte) in example.iter().enumerate() {
                        text[start + offset] = *byte;
                        match byte {
                            b'0' => shape.digits |= 1 << (start + offset),
                            b'+' => shape.signs |= 1 << (start + offset),
                            _ => shape.exact |= 1 << (start + offset),
                        }
                    }
                }
                _ => break,
            }
            text[at..start].copy_from_slice(&step.before);
            shape.exact |= bits(at, start);
            shape.values.push((start, start + length));
            at = start + length;
            last += 1;
        }
        shape.text.set(text);
        (last > first).then(|| (Kind::Shape(Box::new(shape)), text, at, last))
    }

    /// One value, or an address and its port.
    fn single(&self, first: usize) -> Option<(Kind, [u8; WINDOW], usize, usize)> {
        let step = self.steps.get(first)?;
        let (behind, form) = (self.behind(first), step.check.form());
        let mut text = [0; WINDOW];
        text.get_mut(..step.before.len())?.copy_from_slice(&step.before);
        let bad = step.check.is_choosy().then(|| self.bad_of(first, step, b"\n"));
        let (kind, count) = match *step.end.as_ref()? {
            End::Captures => {
                let rest = self.steps.get(first..).unwrap_or_default();
                let count =
                    rest.iter().take_while(|step| step.end == Some(End::Captures) && *step.before == *b" ").count();
                let is_lenient = match rest.get(count) {
                    Some(next) => next.before.first() == Some(&b' ') && next.before.get(1) != Some(&b' '),
                    None => false,
                };
                ((count > 0 && is_lenient).then_some(Kind::Captures { count })?, count)
            }
            End::Last { byte, before } if form == Form::Word => {
                let Form::Number { max: 99_999, .. } = self.steps.get(first + 1)?.check.form() else { return None };
                let is_pair =
                    behind == [byte] && self.is_number(first + 1) && self.behind(first + 1).first() == Some(&before);
                (is_pair.then_some(Kind::Pair { byte, end: before, longest: 5, bad: bad? })?, 2)
            }
            End::Byte(end) if matches!(form, Form::Word | Form::Text) => (Kind::Text { end, second: None, bad }, 1),
            End::Line if matches!(form, Form::Word | Form::Text) => (Kind::Text { end: b'\n', second: None, bad }, 1),
            End::Choice | End::Text if matches!(form, Form::Word | Form::Text) => {
                (Kind::Text { end: *behind.first()?, second: behind.get(1).copied(), bad }, 1)
            }
            _ => return None,
        };
        Some((kind, text, step.before.len(), first + count))
    }

    /// What is to be kept of the values from step `first` to before `last`.
    fn bounds(&self, first: usize, last: usize) -> Vec<Bound> {
        let mut bounds = Vec::new();
        let mut add = |mark, index: Option<usize>, is_end| {
            if let Some(index) = index.filter(|index| (first..last).contains(index)) {
                bounds.push(Bound { mark, value: index - first, is_end });
            }
        };
        let names = self.names();
        add(Mark::NamesStart, names.map(|(first, _)| first), false);
        add(Mark::NamesEnd, names.map(|(_, last)| last), true);
        add(Mark::Termination, self.place(Place::TerminationState), false);
        let method = self.place(Place::HttpRequestMethod).or(self.place(Place::HttpRequest));
        add(Mark::MethodStart, method, false);
        add(Mark::MethodEnd, method, true);
        bounds
    }

    /// The first and the last of the steps that are names, if nothing stands between them but their delimiters.
    pub(super) fn names(&self) -> Option<(usize, usize)> {
        let places = [Place::FrontendName, Place::BackendName, Place::ServerName];
        let steps = || places.iter().filter_map(|place| self.place(*place));
        let (first, last) = (steps().min()?, steps().max()?);
        (steps().count() == last - first + 1).then_some((first, last))
    }

    /// Where in a sketch the number at `place` is kept, if it is.
    fn metric(&self, metric: usize, place: Place) -> Option<usize> {
        match place {
            Place::TimeTotal => (!self.has(Place::TimeActive)).then_some(TIME_ACTIVE),
            _ => Some(metric),
        }
    }

    /// True when the stretches say all that a line counts for.
    pub(in super::super) fn is_sketchable(&self) -> bool {
        let is_rare = [Place::LogOrigin, Place::RequestBytes, Place::SslVersion].iter().any(|place| self.has(*place));
        let has_names =
            [Place::FrontendName, Place::BackendName, Place::ServerName].iter().any(|place| self.has(*place));
        !is_rare && (!has_names || self.names().is_some())
    }

    /// Characters of its termination states; 0 when it has none.
    pub fn termination_length(&self) -> usize {
        let step = self.place(Place::TerminationState).and_then(|index| self.steps.get(index));
        step.and_then(|step| step.check.length()).unwrap_or(0)
    }

    /// What a sketch holds before its line is read.
    pub(in super::super) fn nothing_found(&self) -> Found {
        let mut numbers = [0; 16];
        if !self.has(Place::StatusCode) {
            numbers[5] = -2i32 as u32;
        }
        Found { numbers, marks: [0; MARKS], redispatched: false }
    }

    /// Takes the steps of `stretch` one by one. Returns where its last value ends; `None` when they do not fit, or say
    /// what a sketch cannot hold.
    #[cold]
    pub(in super::super) fn take(
        &self,
        stretch: &Stretch,
        line: &[u8],
        at: usize,
        spans: &mut Spans,
        found: &mut Found,
    ) -> Option<usize> {
        let at = super::machine::take(&self.steps, &self.tail, stretch.first..stretch.last, line, at, spans)?;
        for bound in &stretch.bounds {
            let (start, end) = spans.bounds(stretch.first + bound.value)?;
            found.marks[bound.mark as usize] = if bound.is_end { end } else { start };
        }
        for (metric, place) in METRICS.iter().enumerate() {
            let index = self.place(*place).filter(|index| (stretch.first..stretch.last).contains(index));
            let (Some(index), Some(metric)) = (index, self.metric(metric, *place)) else { continue };
            let (start, end) = spans.bounds(index)?;
            let text = line.get(start as usize..end as usize)?;
            match text.first() {
                Some(b'+') if *place == Place::Retries => found.redispatched = true,
                // The line was written before the end.
                Some(b'+') => return None,
                _ => {}
            }
            let number = i32::try_from(self.steps.get(index)?.number(text)?).ok()?;
            found.numbers[metric] = number as u32;
        }
        Some(at)
    }
}

fn set(bytes: &Bytes) -> Set {
    let mut set = [0; 16];
    for byte in (0..128u8).filter(|byte| bytes.has(*byte)) {
        set[usize::from(byte & 15)] |= 1 << (byte >> 4);
    }
    set
}
