//! A cursor over one line: takes fields from the left and remembers where it stands, so that every refusal
//! names a field and an offset.

use crate::{Reason, Reject, near};

/// Stands before the next unread byte of a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Starts at offset `at` of `line`.
    pub(crate) const fn new(line: &'a [u8], at: usize) -> Self {
        Self { line, at }
    }

    /// Offset of the next unread byte.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// Offset of the delimiter that has just been taken: where the field before it ends.
    pub(crate) const fn field_end(&self) -> u32 {
        self.at.saturating_sub(1) as u32
    }

    /// The whole line.
    pub(crate) const fn line(&self) -> &'a [u8] {
        self.line
    }

    /// What has not been read yet.
    #[inline(always)]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.line.get(self.at..).unwrap_or_default()
    }

    /// Refuses the line here.
    #[cold]
    pub(crate) const fn reject<T>(&self, reason: Reason, field: &'static str) -> Result<T, Reject> {
        Err(Reject { reason, field, offset: self.at })
    }

    /// Takes the bytes before the next `delimiter`, and the delimiter. Returns where the field ends.
    ///
    /// # Errors
    /// [`Reason::Truncated`] when the line ends first.
    #[inline(always)]
    pub(crate) fn until(&mut self, delimiter: u8, field: &'static str) -> Result<&'a [u8], Reject> {
        let rest = self.rest();
        match near::find(delimiter, rest) {
            Some(length) => {
                self.at += length + 1;
                Ok(&rest[..length])
            }
            None => self.reject(Reason::Truncated, field),
        }
    }

    /// Takes an unsigned decimal number of at most 18 digits, up to its first other byte.
    ///
    /// # Errors
    /// [`Reason::Truncated`] at the end of the line, [`Reason::Number`] without a digit, [`Reason::Range`]
    /// when it is too long or above `max`.
    pub(crate) fn number(&mut self, max: u64, field: &'static str) -> Result<u64, Reject> {
        let rest = self.rest();
        let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if length == 0 {
            let reason = if rest.is_empty() { Reason::Truncated } else { Reason::Number };
            return self.reject(reason, field);
        }
        if length > 18 {
            return self.reject(Reason::Range, field);
        }
        let value = rest[..length].iter().fold(0, |value, byte| value * 10 + u64::from(byte - b'0'));
        if value > max {
            return self.reject(Reason::Range, field);
        }
        self.at += length;
        Ok(value)
    }

    /// Takes `byte` if it is next.
    #[inline(always)]
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let found = self.line.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    /// Takes `byte`.
    ///
    /// # Errors
    /// [`Reason::Delimiter`] when another byte stands there, [`Reason::Truncated`] when none does.
    #[inline(always)]
    pub(crate) fn expect(&mut self, byte: u8, field: &'static str) -> Result<(), Reject> {
        if self.take(byte) { Ok(()) } else { self.without(&[byte], field) }
    }

    /// Takes `text` if it is next.
    #[inline(always)]
    pub(crate) fn take_text(&mut self, text: &[u8]) -> bool {
        let found = self.rest().starts_with(text);
        self.at += if found { text.len() } else { 0 };
        found
    }

    /// Takes `text`.
    ///
    /// # Errors
    /// [`Reason::Delimiter`] when something else stands there, [`Reason::Truncated`] when the line ends inside it.
    #[inline(always)]
    pub(crate) fn expect_text(&mut self, text: &[u8], field: &'static str) -> Result<(), Reject> {
        if self.take_text(text) { Ok(()) } else { self.without(text, field) }
    }

    /// Refuses the line, for `text` does not follow.
    #[cold]
    fn without(&self, text: &[u8], field: &'static str) -> Result<(), Reject> {
        let reason = if text.starts_with(self.rest()) { Reason::Truncated } else { Reason::Delimiter };
        self.reject(reason, field)
    }

    /// Takes what stands before the next `text`, and `text`; nothing when there is none.
    pub(crate) fn take_until(&mut self, text: &[u8]) -> Option<&'a [u8]> {
        let rest = self.rest();
        let length = memchr::memmem::find(rest, text)?;
        self.at += length + text.len();
        Some(&rest[..length])
    }

    /// Goes on by `count` bytes, at most to the line's end.
    pub(crate) fn skip(&mut self, count: usize) {
        self.at = self.line.len().min(self.at + count);
    }

    /// Takes the rest of the line.
    pub(crate) fn take_rest(&mut self) -> &'a [u8] {
        let rest = self.rest();
        self.at += rest.len();
        rest
    }
}

/// Thousandths of the decimal number that `text` is, with or without a sign; further digits are cut off. `None` when it is
/// none, or has more than twelve digits before its point.
pub(crate) fn thousandths(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let point = memchr::memchr(b'.', digits).unwrap_or(digits.len());
    let (whole, fraction) = (digits.get(..point)?, digits.get(point + 1..).unwrap_or_default());
    let is_number = whole.iter().chain(fraction).all(u8::is_ascii_digit);
    if whole.is_empty() || whole.len() > 12 || !is_number {
        return None;
    }
    let places = fraction.iter().copied().chain([b'0'; 3]).take(3);
    let value = whole.iter().copied().chain(places).fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
    Some(if is_negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_numbers_become_thousandths() {
        for (text, value) in [
            ("0", Some(0)),
            ("-1.25", Some(-1250)),
            ("+3.5", Some(3500)),
            ("15.", Some(15_000)),
            ("0.0019", Some(1)),
            ("-0.5", Some(-500)),
            ("999999999999.999", Some(999_999_999_999_999)),
            ("1000000000000", None),
            ("", None),
            ("-", None),
            (".5", None),
            ("1e3", None),
            ("1.2.3", None),
            ("nan", None),
        ] {
            assert_eq!(thousandths(text.as_bytes()), value, "{text}");
        }
    }
}
