//! Values that HAProxy encodes, JSON or CBOR: from what stands in the line to the text that it stands for.
//!
//! What reads a line, `machine` or `object`, finds where each value begins and ends. Then this makes the spans of the
//! encoded ones those of their contents: in the line, where it has them as they are; otherwise in bytes of their own,
//! which are kept to be used again, so that no line allocates.

use super::layout::Step;
use super::machine::Spans;
use super::{Encoding, Grammar, cbor};
use crate::{Reason, Reject, json};

/// The length of the value that `text` begins with; `None` for one that may go on beyond the text.
///
/// # Errors
/// [`Reason::Truncated`] when it does so, [`Reason::Grammar`] when there is none.
pub(super) fn length(encoding: Encoding, text: &[u8]) -> Result<Option<usize>, Reason> {
    match encoding {
        Encoding::Cbor => cbor::value_length(text).map(Some),
        Encoding::Json | Encoding::None => {
            let length = json::length(text)?;
            Ok(Some(length).filter(|length| *length < text.len() || !json::is_open_ended(text)))
        }
    }
}

/// The length of the value that `text` begins with, when anything may follow it, unless it is the last.
///
/// # Errors
/// As [`length`].
pub(super) fn length_within(encoding: Encoding, text: &[u8], is_last: bool) -> Result<usize, Reason> {
    if encoding == Encoding::Cbor {
        return cbor::value_length(text);
    }
    let length = if json::is_open_ended(text) { json::word(text)? } else { json::length(text)? };
    let may_go_on = length == text.len() && text.last().is_some_and(u8::is_ascii_digit) && json::is_open_ended(text);
    if may_go_on && !is_last { Err(Reason::Truncated) } else { Ok(length) }
}

/// Decodes every encoded value that was read.
///
/// # Errors
/// The first that cannot be one of its field.
pub(super) fn decode(steps: &[Step], line: &[u8], spans: &mut Spans) -> Result<(), Reject> {
    let Spans { values, count, partial, decoded, .. } = spans;
    decoded.clear();
    for (span, step) in values.iter_mut().take(*count).zip(steps) {
        let (start, end) = (span.0 as usize, span.1 as usize);
        let (false, Some(value)) = (step.encoding == Encoding::None, line.get(start..end)) else { continue };
        let reject = |reason| Reject { reason, field: step.name(), offset: start };
        let mut decoder = Decoder { step, line, decoded: &mut *decoded };
        let found = match step.encoding {
            Encoding::Cbor => decoder.cbor(value).map_err(reject)?,
            Encoding::Json | Encoding::None => decoder.json(value, start),
        };
        let place = found.unwrap_or(Place::Decoded(1, 0));
        if let (None, Some(text)) = (step.typed, place.text(line, decoded)) {
            step.check.fits(text).map_err(reject)?;
        }
        *span = place.span();
    }
    let Some(step) = steps.get(*count).filter(|step| step.encoding != Encoding::None) else { return Ok(()) };
    *partial = partial.and_then(|(start, end)| {
        let value = line.get(start as usize..end as usize)?;
        let start = decoded.len();
        match (step.encoding, value) {
            (Encoding::Cbor, digits) => cbor::text(digits.strip_prefix(b"\"").unwrap_or(digits), decoded).ok()?,
            (_, [b'"', text @ ..]) => json::unescape(text, decoded),
            _ => return None,
        }
        Some(Place::Decoded(start, decoded.len()).span())
    });
    Ok(())
}

/// Where the contents of a value are, from and to.
#[derive(Clone, Copy)]
enum Place {
    Line(usize, usize),
    Decoded(usize, usize),
}

impl Place {
    fn text<'t>(self, line: &'t [u8], decoded: &'t [u8]) -> Option<&'t [u8]> {
        match self {
            Self::Line(start, end) => line.get(start..end),
            Self::Decoded(start, end) => decoded.get(start..end),
        }
    }

    /// Without the braces of captures.
    fn bare(self, line: &[u8], decoded: &[u8]) -> Self {
        let Some([b'{', .., b'}']) = self.text(line, decoded) else { return self };
        match self {
            Self::Line(start, end) => Self::Line(start + 1, end - 1),
            Self::Decoded(start, end) => Self::Decoded(start + 1, end - 1),
        }
    }

    const fn span(self) -> (u32, u32) {
        match self {
            Self::Line(start, end) => (start as u32, end as u32),
            Self::Decoded(start, end) => (start as u32 | Spans::DECODED, end as u32),
        }
    }
}

/// Decodes one value.
struct Decoder<'d> {
    step: &'d Step,
    line: &'d [u8],
    decoded: &'d mut Vec<u8>,
}

impl Decoder<'_> {
    /// `value` stands at `at` of the line.
    fn json(&mut self, value: &[u8], at: usize) -> Option<Place> {
        match json::Token::of(value) {
            json::Token::Nothing => None,
            json::Token::Text(text) if memchr::memchr(b'\\', text).is_none() => {
                self.settle(Place::Line(at + 1, at + 1 + text.len()))
            }
            json::Token::Text(text) => {
                let start = self.decoded.len();
                json::unescape(text, self.decoded);
                self.settle(Place::Decoded(start, self.decoded.len()))
            }
            json::Token::Array(inside) => {
                let start = self.decoded.len();
                let mut rest = inside;
                while let Ok(length) = json::length(rest.trim_ascii_start()) {
                    let (element, behind) = rest.trim_ascii_start().split_at_checked(length)?;
                    let begin = self.begin_element(start);
                    if let json::Token::Text(text) = json::Token::of(element) {
                        json::unescape(text, self.decoded);
                    }
                    self.end_element(begin);
                    rest = behind.trim_ascii_start();
                    rest = rest.strip_prefix(b",").unwrap_or(rest);
                }
                Some(Place::Decoded(start, self.decoded.len()))
            }
            json::Token::Bare(b"true") => self.truth(true),
            json::Token::Bare(b"false") => self.truth(false),
            json::Token::Bare(_) => Some(Place::Line(at, at + value.len())),
        }
    }

    fn cbor(&mut self, digits: &[u8]) -> Result<Option<Place>, Reason> {
        let start = self.decoded.len();
        match cbor::Item::of(digits) {
            cbor::Item::Nothing => Ok(None),
            cbor::Item::Number(number) => {
                self.decoded.extend_from_slice(number.to_string().as_bytes());
                Ok(Some(Place::Decoded(start, self.decoded.len())))
            }
            cbor::Item::Truth(truth) => Ok(self.truth(truth)),
            cbor::Item::Text(digits) => {
                cbor::text(digits, self.decoded)?;
                Ok(self.settle(Place::Decoded(start, self.decoded.len())))
            }
            cbor::Item::Array(inside) => {
                for element in cbor::elements(inside) {
                    let begin = self.begin_element(start);
                    cbor::text(element, self.decoded)?;
                    self.end_element(begin);
                }
                Ok(Some(Place::Decoded(start, self.decoded.len())))
            }
        }
    }

    /// Text as the field has it.
    fn settle(&mut self, place: Place) -> Option<Place> {
        match (self.step.grammar, place.text(self.line, self.decoded)?) {
            (Grammar::Captures, _) => Some(place.bare(self.line, self.decoded)),
            (Grammar::Boolean, b"") => None,
            (Grammar::Boolean, b"true") => self.truth(true),
            (Grammar::Boolean, b"false") => self.truth(false),
            _ => Some(place),
        }
    }

    /// Truths are written 1 and 0 in plain text.
    fn truth(&mut self, truth: bool) -> Option<Place> {
        let is_plain = self.step.grammar == Grammar::Boolean;
        let text: &[u8] = match (truth, is_plain) {
            (true, true) => b"1",
            (false, true) => b"0",
            (true, false) => b"true",
            (false, false) => b"false",
        };
        let start = self.decoded.len();
        self.decoded.extend_from_slice(text);
        Some(Place::Decoded(start, self.decoded.len()))
    }

    /// Elements of a list that begins at `start`: as [`Grammar::CaptureList`] has them in plain text, with quotes.
    /// Returns where it begins.
    fn begin_element(&mut self, start: usize) -> usize {
        if self.decoded.len() > start {
            self.decoded.push(b' ');
        }
        self.decoded.push(b'"');
        self.decoded.len() - 1
    }

    /// A dash, which says that a header is missing, has no quotes.
    fn end_element(&mut self, begin: usize) {
        if self.decoded.get(begin..).is_some_and(|element| element == b"\"-") {
            self.decoded.truncate(begin);
            self.decoded.push(b'-');
        } else {
            self.decoded.push(b'"');
        }
    }
}
