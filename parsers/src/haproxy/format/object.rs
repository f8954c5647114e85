//! Lines that are one JSON object or one CBOR map of the format's named items (`%{+json}o`, `%{+cbor}o`, HAProxy 3.0
//! and later).
//!
//! ```text
//! {"client": "10.0.0.1", "status": 204, "hdrs": ["www.example.org", "-"], "request": "GET /a\"b HTTP/1.1"}
//! BF66636C69656E746831302E302E302E316673746174757318CC…FF
//! ```
//!
//! HAProxy writes them in the order of the format. What a relay put into another order is read too, and what it added
//! is passed over. A line that was cut has the values before the cut.

use super::layout::Step;
use super::machine::Spans;
use super::{Encoding, Type, cbor, encoded};
use crate::{Reason, Reject, json};

/// Reads `line` from offset `at` on.
///
/// # Errors
/// Where it is no such object, or which of its members is missing. A line that ends early is no error once all values
/// before `needed` are there.
pub(super) fn read(
    encoding: Encoding,
    steps: &[Step],
    needed: usize,
    line: &[u8],
    at: usize,
    spans: &mut Spans,
) -> Result<(), Reject> {
    spans.clear(steps.len());
    let mut run = Run { encoding, steps, line, spans, expected: 0 };
    let outcome = run.members(at);
    let is_read = |spans: &Spans, index: usize| spans.has(index);
    let missing = (0..steps.len()).find(|index| !is_read(spans, *index));
    let reject = |index: usize, reason, offset| {
        let field = steps.get(index).or(steps.last()).map_or("message", Step::name);
        let is_foreign = (0..steps.len()).all(|index| !is_read(spans, index));
        Reject { reason: if is_foreign { Reason::UnknownForm } else { reason }, field, offset }
    };
    match (outcome, missing) {
        (Ok(_), None) => Ok(()),
        (Ok(end), Some(index)) => Err(reject(index, Reason::Delimiter, end)),
        (Err(Stop { reason: Reason::Truncated, index, at, is_value }), missing) => {
            if let Some(missing) = missing.filter(|missing| *missing < needed) {
                return Err(reject(missing, Reason::Truncated, line.len()));
            }
            let last = (0..steps.len()).rfind(|index| is_read(spans, *index));
            spans.cut(last.map_or(0, |last| last + 1), is_value.then_some((index, at, line.len())));
            Ok(())
        }
        (Err(Stop { reason, index, at, .. }), _) => Err(reject(index, reason, at)),
    }
}

/// Why and where reading stopped.
struct Stop {
    reason: Reason,
    /// The step whose value it was, or would have been.
    index: usize,
    at: usize,
    /// True inside of a value.
    is_value: bool,
}

/// The name of a member.
#[derive(Clone, Copy)]
struct Key {
    /// Where it stands, from and to, as it is written.
    start: usize,
    end: usize,
    /// Where its value begins.
    value: usize,
}

/// One line on its way.
struct Run<'r> {
    encoding: Encoding,
    steps: &'r [Step],
    line: &'r [u8],
    spans: &'r mut Spans,
    /// The step that HAProxy writes next.
    expected: usize,
}

impl Run<'_> {
    fn stop(&self, at: usize, reason: Reason) -> Stop {
        Stop { reason, index: self.expected, at, is_value: false }
    }

    fn rest(&self, at: usize) -> &[u8] {
        self.line.get(at..).unwrap_or_default()
    }

    /// Reads all of the object. Returns where it ends.
    fn members(&mut self, at: usize) -> Result<usize, Stop> {
        let mut at = self.open(at)?;
        loop {
            let Some(key) = self.key(at)? else { return self.close(at) };
            let (index, value) = (self.step(key), key.value);
            let length = self.value(index, value)?;
            match index {
                Some(index) => {
                    self.spans.set(index, value, value + length);
                    self.expected = index + 1;
                }
                None => self.spans.pass_over(),
            }
            at = value + length;
            if self.encoding == Encoding::Json {
                at = self.behind(at)?;
            }
        }
    }

    /// Takes what every line begins with.
    fn open(&self, at: usize) -> Result<usize, Stop> {
        let rest = self.rest(at);
        let (length, is_open) = match self.encoding {
            Encoding::Cbor => (2, cbor::opens(rest).map_err(|reason| self.stop(at, reason))?),
            Encoding::Json | Encoding::None => (1, rest.starts_with(b"{")),
        };
        if is_open { Ok(at + length) } else { Err(self.stop(at, Reason::UnknownForm)) }
    }

    /// Takes a key. `None` where the object ends.
    fn key(&self, at: usize) -> Result<Option<Key>, Stop> {
        if self.encoding == Encoding::Cbor {
            let stop = |reason| self.stop(at, reason);
            if cbor::closes(self.rest(at)).map_err(stop)? {
                return Ok(None);
            }
            let end = at + cbor::length(self.rest(at)).map_err(stop)?;
            return Ok(Some(Key { start: at, end, value: end }));
        }
        let at = self.blanks(at);
        match self.rest(at).first() {
            Some(b'}') => return Ok(None),
            Some(b'"') => {}
            Some(_) => return Err(self.stop(at, Reason::Delimiter)),
            None => return Err(self.stop(at, Reason::Truncated)),
        }
        let end = at + json::length(self.rest(at)).map_err(|reason| self.stop(at, reason))?;
        let colon = self.blanks(end);
        match self.rest(colon).first() {
            Some(b':') => Ok(Some(Key { start: at, end, value: self.blanks(colon + 1) })),
            Some(_) => Err(self.stop(colon, Reason::Delimiter)),
            None => Err(self.stop(colon, Reason::Truncated)),
        }
    }

    /// Takes the comma behind a value of JSON, if the object goes on.
    fn behind(&self, at: usize) -> Result<usize, Stop> {
        let at = self.blanks(at);
        match self.rest(at).first() {
            Some(b'}') => Ok(at),
            Some(b',') => Ok(at + 1),
            Some(_) => Err(self.stop(at, Reason::Delimiter)),
            None => Err(self.stop(at, Reason::Truncated)),
        }
    }

    /// Takes the end; nothing but blanks may follow.
    fn close(&self, at: usize) -> Result<usize, Stop> {
        let end = if self.encoding == Encoding::Cbor { at + 2 } else { self.blanks(at) + 1 };
        if self.rest(end).trim_ascii().is_empty() { Ok(end) } else { Err(self.stop(end, Reason::Delimiter)) }
    }

    /// The step of a key. Mostly that which is next in the format; of one that comes twice the second is passed over.
    fn step(&self, Key { start, end, .. }: Key) -> Option<usize> {
        let key = self.line.get(start..end)?;
        let is_it = |step: &Step| {
            key.eq_ignore_ascii_case(&step.before) && (self.encoding == Encoding::Cbor || key == &*step.before)
        };
        if self.steps.get(self.expected).is_some_and(is_it) && !self.spans.has(self.expected) {
            return Some(self.expected);
        }
        let mut all = self.steps.iter().enumerate();
        all.find(|(index, step)| is_it(step) && !self.spans.has(*index)).map(|(index, _)| index)
    }

    /// The length of the value at `at`.
    fn value(&self, index: Option<usize>, at: usize) -> Result<usize, Stop> {
        let rest = self.rest(at);
        let step = index.and_then(|index| Some((index, self.steps.get(index)?)));
        let found = match step {
            Some((index, step)) if step.typed == Some(Type::Raw) => self.raw(index, rest).ok_or(Reason::Truncated),
            _ => encoded::length(self.encoding, rest).and_then(|length| length.ok_or(Reason::Truncated)),
        };
        found.map_err(|reason| Stop { reason, index: index.unwrap_or(self.expected), at, is_value: index.is_some() })
    }

    /// The length of a value that is not encoded: what follows it is the next key, or the object's end.
    fn raw(&self, index: usize, rest: &[u8]) -> Option<usize> {
        match self.steps.get(index + 1) {
            Some(next) => {
                let mut places = memchr::memmem::find_iter(rest, &*next.before);
                places.find_map(|place| rest.get(..place)?.ends_with(b", ").then_some(place - 2))
            }
            None => memchr::memrchr(b'}', rest),
        }
    }

    fn blanks(&self, at: usize) -> usize {
        at + self.rest(at).iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
    }
}
