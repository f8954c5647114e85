//! The machine that reads lines: a list of steps, one for each value, run from the left to the right.
//!
//! A step takes the literal text before its value, finds where the value ends, and checks it. Where values end is
//! decided once, when a format is compiled: by their length, by their own shape, or by a delimiter that they never
//! hold. Only where none of this helps (free text that may hold what follows it) the machine takes the first place
//! that fits, and comes back for the next one when the rest of the line does not.

use std::ops::Range;

use super::Missing;
use super::encoded;
use super::layout::Step;
use crate::{Reason, Reject};

/// Values that a format may have.
pub(super) const MAX_VALUES: usize = 128;
/// Places to come back to in one line.
const MAX_CHOICES: usize = 8;
/// How often the machine comes back in one line, at most: a line made to need more is rejected.
const MAX_RETURNS: usize = 512;

/// Where the values of one line stand; made once and used for every line.
#[derive(Clone, Debug)]
pub struct Spans {
    /// Start and end of each value in the line, quotes and braces left out; the end before the start where there is
    /// none. With [`Self::DECODED`] in the start: in `decoded`.
    pub(super) values: Box<[(u32, u32); MAX_VALUES]>,
    /// Values that have been read: all of the format's, or those before the cut.
    pub(super) count: usize,
    truncated: bool,
    /// The value in which the line was cut.
    pub(super) partial: Option<(u32, u32)>,
    /// What values stand for that the line does not have as they are: kept to be used again. Never longer than some
    /// times the line.
    pub(super) decoded: Vec<u8>,
    /// Members of an object that the format does not have.
    strange: usize,
}

/// No value.
const NOTHING: (u32, u32) = (1, 0);

impl Default for Spans {
    fn default() -> Self {
        Self {
            values: Box::new([NOTHING; MAX_VALUES]),
            count: 0,
            truncated: false,
            partial: None,
            decoded: Vec::new(),
            strange: 0,
        }
    }
}

impl Spans {
    /// Marks a start in `decoded`.
    pub(super) const DECODED: u32 = 1 << 31;

    /// The bytes of value `index` in `line`; `None` behind the place where the line was cut.
    pub(super) fn text<'r>(&'r self, line: &'r [u8], index: usize) -> Option<&'r [u8]> {
        self.bytes(line, *self.values[..self.count].get(index)?)
    }

    /// What the line has of value `index`, if it was cut in it.
    pub(super) fn partial<'r>(&'r self, line: &'r [u8], index: usize) -> Option<&'r [u8]> {
        self.bytes(line, self.partial?).filter(|_| self.truncated && index == self.count)
    }

    fn bytes<'r>(&'r self, line: &'r [u8], (start, end): (u32, u32)) -> Option<&'r [u8]> {
        let text = if start & Self::DECODED == 0 { line } else { &self.decoded };
        text.get((start & !Self::DECODED) as usize..end as usize)
    }

    /// Values that were read.
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// True when the line ends before the format does.
    pub(in super::super) const fn truncated(&self) -> bool {
        self.truncated
    }

    /// How many members of an object the format does not have.
    pub(in super::super) const fn strange(&self) -> usize {
        self.strange
    }

    /// Begins a line whose `count` values may come in any order.
    pub(super) fn clear(&mut self, count: usize) {
        self.values.iter_mut().take(count).for_each(|value| *value = NOTHING);
        (self.count, self.truncated, self.partial, self.strange) = (count, false, None, 0);
    }

    /// True when value `index` has been read.
    pub(super) fn has(&self, index: usize) -> bool {
        self.values.get(index).is_some_and(|(start, end)| start <= end)
    }

    /// Notes that a member was passed over.
    pub(super) const fn pass_over(&mut self) {
        self.strange += 1;
    }

    /// Notes that the line was cut behind `count` values, maybe in one: its number, from and to.
    pub(super) fn cut(&mut self, count: usize, partial: Option<(usize, usize, usize)>) {
        let partial = partial.filter(|(index, ..)| *index == count);
        self.partial = partial.map(|(_, start, end)| (start as u32, end as u32));
        (self.count, self.truncated) = (count, true);
    }

    /// Where value `index` starts and ends; `None` behind the place where the line was cut.
    pub(super) fn span(&self, index: usize) -> Option<(u32, u32)> {
        self.values[..self.count].get(index).copied()
    }

    /// The same while the line is being read.
    pub(super) fn bounds(&self, index: usize) -> Option<(u32, u32)> {
        self.values.get(index).copied()
    }

    pub(super) fn set(&mut self, index: usize, start: usize, end: usize) {
        if let Some(value) = self.values.get_mut(index) {
            *value = (start as u32, end as u32);
        }
    }
}

/// How the end of a value is found, unless its encoding says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It always has so many bytes.
    Length(usize),
    /// At its first byte that the value cannot hold.
    Span,
    /// Behind the closing brace, and the quote if there is one; or at once, when there is no opening one.
    Captures,
    /// At the first such byte: it is what follows, and the value never holds it.
    Byte(u8),
    /// Where the byte that follows stands for the last time before the other one, which neither this value nor the next
    /// holds: `2001:db8::1:443 `.
    Last { byte: u8, before: u8 },
    /// Where the text that follows stands for the first time; certain, because the value never holds all of it.
    Text,
    /// The same, but the value may hold that text: other places are tried when the rest does not fit.
    Choice,
    /// The value is the rest of the line.
    Line,
}

/// A place to come back to.
#[derive(Clone, Copy, Default)]
struct Choice {
    step: usize,
    /// It has been taken for nothing at all: the last resort.
    is_nothing: bool,
    /// Where the value begins, and where it was taken to end.
    start: usize,
    end: usize,
}

/// Why a run of steps stopped.
#[derive(Clone, Copy)]
struct Stop {
    step: usize,
    at: usize,
    reason: Reason,
}

/// Reads `line` from offset `at` on.
///
/// # Errors
/// Where the line left the format. A line that ends early is no error once all values before `needed` are there.
pub(super) fn read(
    steps: &[Step],
    tail: &[u8],
    needed: usize,
    line: &[u8],
    at: usize,
    spans: &mut Spans,
) -> Result<(), Reject> {
    spans.strange = 0;
    let mut run = Run { steps, tail, line, start: at, spans, choices: [Choice::default(); MAX_CHOICES], depth: 0 };
    let first = match run.forward(0, at) {
        Ok(()) => return Ok(()),
        Err(stop) => stop,
    };
    // The way that got furthest says what is wrong with the line.
    let (mut furthest, mut choices, mut depth) = (first, run.choices, run.depth);
    for _ in 0..MAX_RETURNS {
        let Some((step, next)) = run.next_choice() else { break };
        match run.forward(step, next) {
            Ok(()) => return Ok(()),
            // What is cut in something is not the line of a format in which that is nothing.
            Err(_) if furthest.reason == Reason::Truncated && run.takes_nothing() => {}
            Err(stop) if stop.step > furthest.step => (furthest, choices, depth) = (stop, run.choices, run.depth),
            Err(_) => {}
        }
    }
    let Stop { step, reason, .. } = furthest;
    if reason != Reason::Truncated || step < needed {
        return Err(reject(steps, at, &furthest));
    }
    // Once more the way that led there.
    (run.choices, run.depth) = (choices, 0);
    let mut from = (0, at);
    for choice in choices.iter().take(depth) {
        let _ = run.forward_to(from.0, from.1, choice.step + 1);
        if steps.get(choice.step).is_some_and(|step| step.end != Some(End::Captures) || choice.is_nothing) {
            run.spans.set(choice.step, choice.start, choice.end);
        }
        from = (choice.step + 1, choice.end);
    }
    let end = run.forward_to(from.0, from.1, step);
    let value = end.ok().zip(steps.get(step)).and_then(|(end, step)| run.literal(step, end).ok());
    run.spans.cut(step, value.map(|start| (step, start, line.len())));
    Ok(())
}

/// Takes the steps `range` alone, which are not the first, the first way that fits. Returns where they end.
pub(super) fn take(
    steps: &[Step],
    tail: &[u8],
    range: Range<usize>,
    line: &[u8],
    at: usize,
    spans: &mut Spans,
) -> Option<usize> {
    let mut run =
        Run { steps, tail, line, start: usize::MAX, spans, choices: [Choice::default(); MAX_CHOICES], depth: 0 };
    run.forward_to(range.start, at, range.end).ok()
}

fn reject(steps: &[Step], start: usize, stop: &Stop) -> Reject {
    let name = |step: usize| steps.get(step).or(steps.last()).map_or("message", Step::name);
    if stop.step < 2 {
        // What does not even begin as the format does is none of its lines.
        return Reject { reason: Reason::UnknownForm, field: name(0), offset: start };
    }
    Reject { reason: stop.reason, field: name(stop.step), offset: stop.at }
}

/// One line on its way through the steps.
struct Run<'r> {
    steps: &'r [Step],
    tail: &'r [u8],
    line: &'r [u8],
    /// Where the message begins.
    start: usize,
    spans: &'r mut Spans,
    choices: [Choice; MAX_CHOICES],
    depth: usize,
}

impl Run<'_> {
    /// Takes every step from number `step` on, and what follows the last one.
    fn forward(&mut self, step: usize, at: usize) -> Result<(), Stop> {
        let at = self.forward_to(step, at, self.steps.len())?;
        let rest = self.line.get(at..).unwrap_or_default();
        let tail = match self.tail.strip_prefix(b" ") {
            Some(shorter) if !rest.starts_with(b" ") && self.is_behind_space(at) => shorter,
            _ => self.tail,
        };
        // What is added or lost at the end of a line on its way are spaces.
        if rest == tail || rest.trim_ascii_end() == tail.trim_ascii_end() {
            self.spans.count = self.steps.len();
            self.spans.truncated = false;
            return Ok(());
        }
        let reason = if tail.starts_with(rest) { Reason::Truncated } else { Reason::Delimiter };
        Err(Stop { step: self.steps.len(), at, reason })
    }

    /// Takes the steps before number `last`. Returns where the line has been read to.
    fn forward_to(&mut self, first: usize, mut at: usize, last: usize) -> Result<usize, Stop> {
        for (index, step) in self.steps.iter().enumerate().take(last).skip(first) {
            let stop = |at, reason| Stop { step: index, at, reason };
            at = self.literal(step, at).map_err(|(at, reason)| stop(at, reason))?;
            let rest = self.line.get(at..).unwrap_or_default();
            let (value, length) = self.value(index, step, rest).map_err(|reason| stop(at, reason))?;
            self.spans.set(index, at + value.0, at + value.1);
            if (step.end == Some(End::Choice) || (step.missing == Missing::Nothing && length > 0))
                && self.depth < MAX_CHOICES
            {
                self.choices[self.depth] = Choice { step: index, is_nothing: false, start: at, end: at + length };
                self.depth += 1;
            }
            at += length;
        }
        Ok(at)
    }

    /// Takes the text before a value.
    fn literal(&self, step: &Step, at: usize) -> Result<usize, (usize, Reason)> {
        let rest = self.line.get(at..).unwrap_or_default();
        // Nothing is never compared: to do that costs more than a long text where its address is none.
        if step.before.is_empty() || rest.starts_with(&step.before) {
            return Ok(at + step.before.len());
        }
        // Behind a value that was not written HAProxy leaves out a second space.
        if let (true, Some(shorter)) = (self.is_behind_space(at), step.before.strip_prefix(b" "))
            && rest.starts_with(shorter)
        {
            return Ok(at + shorter.len());
        }
        let reason = if step.before.starts_with(rest) { Reason::Truncated } else { Reason::Delimiter };
        Err((at, reason))
    }

    /// True where HAProxy writes no space: it is there already, or the line begins.
    fn is_behind_space(&self, at: usize) -> bool {
        at == self.start || self.line.get(at.wrapping_sub(1)) == Some(&b' ')
    }

    /// Finds the value at the start of `rest`: where it is without its braces and quotes, and where it ends with them.
    #[inline]
    fn value(&self, index: usize, step: &Step, rest: &[u8]) -> Result<((usize, usize), usize), Reason> {
        let Some(end) = &step.end else {
            let length = encoded::length_within(step.encoding, rest, self.is_last(index))?;
            return Ok(((0, length), length));
        };
        if step.check.is_left_out(rest) {
            return Ok(((0, 0), 0));
        }
        let next = || self.steps.get(index + 1).map_or(self.tail, |next| &next.before);
        if *end != End::Captures
            && step.may_vanish()
            && next().strip_prefix(b" ").is_some_and(|next| step.is_left_out_before(next, rest))
        {
            return Ok(((0, 0), 0));
        }
        let length = match *end {
            End::Length(length) => Some(length).filter(|length| *length <= rest.len()),
            End::Captures => return captures(rest),
            // What ends with the line may have been cut there.
            End::Span => {
                Some(step.check.held().span(rest)).filter(|length| *length < rest.len() || self.is_last(index))
            }
            End::Byte(byte) => find(byte, rest),
            End::Last { byte, before } => {
                find(before, rest).map(|end| memchr::memrchr(byte, &rest[..end]).unwrap_or(end))
            }
            End::Text => memchr::memmem::find(rest, next()),
            // The last ends where the line's end begins: it may end as that begins.
            End::Choice if index + 1 == self.steps.len() && self.ends_with_tail(step, rest) => {
                Some(rest.len() - self.tail.len())
            }
            End::Choice => {
                let mut places = memchr::memmem::find_iter(rest, next()).take(MAX_RETURNS);
                places.find(|length| step.check.fits(&rest[..*length]).is_ok())
            }
            End::Line => Some(rest.len()),
        };
        match length {
            Some(length) => match step.check.fits(&rest[..length]) {
                Ok(()) => Ok(((0, length), length)),
                // It may go on behind the cut.
                Err(_) if length == rest.len() => step.check.begins(rest).and(Err(Reason::Truncated)),
                Err(reason) => Err(reason),
            },
            None if step.may_vanish() && !step.check.tells_nothing() => Ok(((0, 0), 0)),
            None => step.check.begins(rest).and(Err(Reason::Truncated)),
        }
    }

    /// True when `rest` is a value and what follows the last one, to the byte.
    fn ends_with_tail(&self, step: &Step, rest: &[u8]) -> bool {
        rest.strip_suffix(self.tail).is_some_and(|value| step.check.fits(value).is_ok())
    }

    /// True when nothing follows value `index`.
    fn is_last(&self, index: usize) -> bool {
        index + 1 == self.steps.len() && self.tail.is_empty()
    }

    /// True on a way that takes something for nothing.
    fn takes_nothing(&self) -> bool {
        self.choices.iter().take(self.depth).any(|choice| choice.is_nothing)
    }

    /// The next place where the last choice may end, and the step behind it; choices without one are given up.
    fn next_choice(&mut self) -> Option<(usize, usize)> {
        while self.depth > 0 {
            let Choice { step: index, is_nothing, start, end } = self.choices[self.depth - 1];
            let step = self.steps.get(index)?;
            let next = self.steps.get(index + 1).map_or(self.tail, |next| &next.before);
            let rest = self.line.get(end + 1..).unwrap_or_default();
            let further =
                if is_nothing || step.end != Some(End::Choice) { None } else { memchr::memmem::find(rest, next) };
            let choice = &mut self.choices[self.depth - 1];
            match further {
                Some(further) => choice.end = end + 1 + further,
                // No capture may be declared, or nothing have been written.
                None if !is_nothing && step.may_vanish() => (choice.is_nothing, choice.end) = (true, start),
                None => {
                    self.depth -= 1;
                    continue;
                }
            }
            let end = choice.end;
            if end == start || step.check.fits(self.line.get(start..end).unwrap_or_default()).is_ok() {
                self.spans.set(index, start, end);
                return Some((index + 1, end));
            }
        }
        None
    }
}

/// Captures at the start of `rest`: none, or `{…}`, or `"{…}"`.
fn captures(rest: &[u8]) -> Result<((usize, usize), usize), Reason> {
    let quotes = usize::from(rest.starts_with(b"\"{"));
    if !rest[quotes..].starts_with(b"{") {
        // Not an empty value but none at all.
        return Ok(((1, 0), 0));
    }
    let Some(end) = memchr::memchr(b'}', rest) else { return Err(Reason::Truncated) };
    match rest.get(end + 1) {
        Some(b'"') if quotes == 1 => Ok(((2, end), end + 2)),
        Some(_) if quotes == 1 => Err(Reason::Delimiter),
        None if quotes == 1 => Err(Reason::Truncated),
        _ => Ok(((1 + quotes, end), end + 1)),
    }
}

/// As `memchr`, for values that are short.
#[inline]
fn find(byte: u8, text: &[u8]) -> Option<usize> {
    let (near, far) = text.split_at_checked(16).unwrap_or((text, &[]));
    match near.iter().position(|other| *other == byte) {
        Some(at) => Some(at),
        None => memchr::memchr(byte, far).map(|at| near.len() + at),
    }
}
