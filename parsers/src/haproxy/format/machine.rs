//! The machine that reads lines: a list of steps, one for each value, run from the left to the right.
//!
//! A step takes the literal text before its value, finds where the value ends, and checks it. Where values end is
//! decided once, when a format is compiled: by their length, by their own shape, or by a delimiter that they never
//! hold. Only where none of this helps (free text that may hold what follows it) the machine takes the first place
//! that fits, and comes back for the next one when the rest of the line does not.

use std::ops::Range;

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
    /// Start and end of each value in the line, quotes and braces left out.
    values: Box<[(u32, u32); MAX_VALUES]>,
    /// Values that have been read: all of the format's, or those before the cut.
    count: usize,
    truncated: bool,
    /// Where the value begins in which the line was cut.
    partial: Option<usize>,
}

impl Default for Spans {
    fn default() -> Self {
        Self { values: Box::new([(0, 0); MAX_VALUES]), count: 0, truncated: false, partial: None }
    }
}

impl Spans {
    /// The bytes of value `index` in `line`; `None` behind the place where the line was cut.
    pub(super) fn text<'a>(&self, line: &'a [u8], index: usize) -> Option<&'a [u8]> {
        let (start, end) = *self.values[..self.count].get(index)?;
        line.get(start as usize..end as usize)
    }

    /// What the line has of value `index`, if it was cut in it.
    pub(super) fn partial<'a>(&self, line: &'a [u8], index: usize) -> Option<&'a [u8]> {
        line.get(self.partial?..).filter(|_| self.truncated && index == self.count)
    }

    /// Values that were read.
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// True when the line ends before the format does.
    pub(in super::super) const fn truncated(&self) -> bool {
        self.truncated
    }

    /// Where value `index` starts and ends; `None` behind the place where the line was cut.
    pub(super) fn span(&self, index: usize) -> Option<(u32, u32)> {
        self.values[..self.count].get(index).copied()
    }

    /// The same while the line is being read.
    pub(super) fn bounds(&self, index: usize) -> Option<(u32, u32)> {
        self.values.get(index).copied()
    }

    fn set(&mut self, index: usize, start: usize, end: usize) {
        if let Some(value) = self.values.get_mut(index) {
            *value = (start as u32, end as u32);
        }
    }
}

/// How the end of a value is found.
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
    let mut run = Run { steps, tail, line, spans, choices: [Choice::default(); MAX_CHOICES], depth: 0 };
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
            Err(stop) if stop.step > furthest.step => (furthest, choices, depth) = (stop, run.choices, run.depth),
            Err(_) => {}
        }
    }
    let Stop { step, reason, .. } = furthest;
    if reason != Reason::Truncated || step < needed {
        return Err(reject(steps, &furthest));
    }
    // Once more the way that led there.
    (run.choices, run.depth) = (choices, 0);
    let mut from = (0, at);
    for choice in choices.iter().take(depth) {
        let _ = run.forward_to(from.0, from.1, choice.step);
        run.spans.set(choice.step, choice.start, choice.end);
        from = (choice.step + 1, choice.end);
    }
    let end = run.forward_to(from.0, from.1, step);
    let value = end.ok().zip(steps.get(step)).and_then(|(end, step)| run.literal(step, end).ok());
    run.spans.partial = value;
    run.spans.count = step;
    run.spans.truncated = true;
    Ok(())
}

/// Takes the steps `range` alone, the first way that fits. Returns where they end.
pub(super) fn take(
    steps: &[Step],
    tail: &[u8],
    range: Range<usize>,
    line: &[u8],
    at: usize,
    spans: &mut Spans,
) -> Option<usize> {
    let mut run = Run { steps, tail, line, spans, choices: [Choice::default(); MAX_CHOICES], depth: 0 };
    run.forward_to(range.start, at, range.end).ok()
}

fn reject(steps: &[Step], stop: &Stop) -> Reject {
    let field = steps.get(stop.step).or(steps.last()).map_or("message", Step::name);
    // What does not even begin as the format does is none of its lines.
    let reason = if stop.step < 2 { Reason::UnknownForm } else { stop.reason };
    Reject { reason, field, offset: stop.at }
}

/// One line on its way through the steps.
struct Run<'r> {
    steps: &'r [Step],
    tail: &'r [u8],
    line: &'r [u8],
    spans: &'r mut Spans,
    choices: [Choice; MAX_CHOICES],
    depth: usize,
}

impl Run<'_> {
    /// Takes every step from number `step` on, and what follows the last one.
    fn forward(&mut self, step: usize, at: usize) -> Result<(), Stop> {
        let at = self.forward_to(step, at, self.steps.len())?;
        let rest = self.line.get(at..).unwrap_or_default();
        // What is added or lost at the end of a line on its way are spaces.
        if rest == self.tail || rest.trim_ascii_end() == self.tail.trim_ascii_end() {
            self.spans.count = self.steps.len();
            self.spans.truncated = false;
            return Ok(());
        }
        let reason = if self.tail.starts_with(rest) { Reason::Truncated } else { Reason::Delimiter };
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
            if step.end == End::Choice && self.depth < MAX_CHOICES {
                self.choices[self.depth] = Choice { step: index, start: at, end: at + length };
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
        let is_behind_space = at == 0 || self.line.get(at - 1) == Some(&b' ');
        if let (true, Some(shorter)) = (is_behind_space, step.before.strip_prefix(b" "))
            && rest.starts_with(shorter)
        {
            return Ok(at + shorter.len());
        }
        let reason = if step.before.starts_with(rest) { Reason::Truncated } else { Reason::Delimiter };
        Err((at, reason))
    }

    /// Finds the value at the start of `rest`: where it is without its braces and quotes, and where it ends with them.
    #[inline]
    fn value(&self, index: usize, step: &Step, rest: &[u8]) -> Result<((usize, usize), usize), Reason> {
        if step.check.is_left_out(rest) {
            return Ok(((0, 0), 0));
        }
        let next = || self.steps.get(index + 1).map_or(self.tail, |next| &next.before);
        let length = match step.end {
            End::Length(length) => Some(length).filter(|length| *length <= rest.len()),
            End::Captures => return captures(rest),
            // What ends with the line may have been cut there.
            End::Span => Some(step.check.held().span(rest)).filter(|length| *length < rest.len() || self.is_last(index)),
            End::Byte(byte) => find(byte, rest),
            End::Last { byte, before } => find(before, rest).map(|end| memchr::memrchr(byte, &rest[..end]).unwrap_or(end)),
            End::Text => memchr::memmem::find(rest, next()),
            End::Choice => {
                let mut places = memchr::memmem::find_iter(rest, next()).take(MAX_RETURNS);
                places.find(|length| step.check.fits(&rest[..*length]).is_ok())
            }
            End::Line => Some(rest.len()),
        };
        match length {
            Some(length) => step.check.fits(&rest[..length]).map(|()| ((0, length), length)),
            None => step.check.begins(rest).and(Err(Reason::Truncated)),
        }
    }

    /// True when nothing follows value `index`.
    fn is_last(&self, index: usize) -> bool {
        index + 1 == self.steps.len() && self.tail.is_empty()
    }

    /// The next place where the last choice may end, and the step behind it; choices without one are given up.
    fn next_choice(&mut self) -> Option<(usize, usize)> {
        while self.depth > 0 {
            let Choice { step, start, end } = self.choices[self.depth - 1];
            let next = self.steps.get(step + 1).map_or(self.tail, |next| &next.before);
            let rest = self.line.get(end + 1..).unwrap_or_default();
            let check = self.steps.get(step).map(|step| &step.check);
            if let Some(further) = memchr::memmem::find(rest, next) {
                let end = end + 1 + further;
                self.choices[self.depth - 1].end = end;
                if check.is_some_and(|check| check.fits(&self.line[start..end]).is_ok()) {
                    self.spans.set(step, start, end);
                    return Some((step + 1, end));
                }
                continue;
            }
            self.depth -= 1;
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
