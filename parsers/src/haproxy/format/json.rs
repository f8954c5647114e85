//! JSON as HAProxy writes it, which is not always JSON: one value at the start of a text.
//!
//! ```text
//! "GET /a\"b HTTP/1.1"  204  null  true  ["www.example.org", "-"]
//! ```
//!
//! HAProxy 3.0 escapes quotes and backslashes and lets every other byte pass; 3.2 escapes control characters and
//! bytes beyond ASCII too, each *byte* as `\u00XX`. Relays write what the standard says.

use crate::Reason;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'t> {
    /// What is between its quotes.
    Text(&'t [u8]),
    /// What is between its brackets.
    Array(&'t [u8]),
    /// A number, `true`, `false`.
    Bare(&'t [u8]),
    /// `null`, or an object.
    Nothing,
}

impl<'t> Token<'t> {
    /// What `value`, which [`length`] has measured, is.
    pub(super) fn of(value: &'t [u8]) -> Self {
        match value {
            [b'"', inside @ .., b'"'] => Self::Text(inside),
            [b'[', inside @ .., b']'] => Self::Array(inside),
            [b'{', ..] | b"null" => Self::Nothing,
            bare => Self::Bare(bare),
        }
    }
}

/// The length of the value that `text` begins with. A number or a word may be cut where `text` ends.
///
/// # Errors
/// [`Reason::Truncated`] when it goes on beyond the text, [`Reason::Grammar`] when there is none.
pub(super) fn length(text: &[u8]) -> Result<usize, Reason> {
    match text.first() {
        None => Err(Reason::Truncated),
        Some(b'"') => string(text),
        Some(b'[' | b'{') => nested(text),
        Some(_) => {
            let is_bare = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
            match text.iter().position(|byte| !is_bare(byte)).unwrap_or(text.len()) {
                0 => Err(Reason::Grammar),
                length => Ok(length),
            }
        }
    }
}

/// The length of the whole number, `true`, `false` or `null` that `text` begins with.
///
/// # Errors
/// As [`length`].
pub(super) fn word(text: &[u8]) -> Result<usize, Reason> {
    const WORDS: [&[u8]; 3] = [b"null", b"true", b"false"];
    if let Some(word) = WORDS.iter().find(|word| text.starts_with(word)) {
        return Ok(word.len());
    }
    let sign = usize::from(text.first() == Some(&b'-'));
    let digits = text.iter().skip(sign).take_while(|byte| byte.is_ascii_digit()).count();
    match digits {
        0 if text.len() == sign || WORDS.iter().any(|word| word.starts_with(text)) => Err(Reason::Truncated),
        0 => Err(Reason::Grammar),
        digits => Ok(sign + digits),
    }
}

/// True when the value's end is not its own last byte: it may go on where the text ends.
pub(super) fn is_open_ended(value: &[u8]) -> bool {
    !matches!(value.first(), Some(b'"' | b'[' | b'{'))
}

fn string(text: &[u8]) -> Result<usize, Reason> {
    let mut at = 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', text.get(at..).unwrap_or_default()) {
        at += found;
        if text.get(at) == Some(&b'"') {
            return Ok(at + 1);
        }
        at += 2;
    }
    Err(Reason::Truncated)
}

fn nested(text: &[u8]) -> Result<usize, Reason> {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                at += string(text.get(at..).unwrap_or_default())?;
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Ok(at);
        }
    }
    Err(Reason::Truncated)
}

/// Appends `text`, what stands between quotes, without its escapes. One that is cut, or none, is left out.
///
/// `\u0000` to `\u00FF` are bytes, as HAProxy means them; what is beyond becomes UTF-8.
pub(super) fn unescape(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(backslash) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(rest.get(..backslash).unwrap_or_default());
        rest = rest.get(backslash + 1..).unwrap_or_default();
        let Some((escape, behind)) = rest.split_first() else { return };
        rest = behind;
        match escape {
            b'u' => rest = unicode(rest, out),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            other => out.push(*other),
        }
    }
    out.extend_from_slice(rest);
}

/// Appends what `XXXX`, and the second half of a pair behind it, stand for. Returns what follows.
fn unicode<'t>(text: &'t [u8], out: &mut Vec<u8>) -> &'t [u8] {
    let Some((unit, rest)) = four_digits(text) else { return text.get(4..).unwrap_or_default() };
    if let Ok(byte) = u8::try_from(unit) {
        out.push(byte);
        return rest;
    }
    let pair = rest.strip_prefix(b"\\u").and_then(four_digits).filter(|(low, _)| matches!(low, 0xdc00..=0xdfff));
    let (code, rest) = match pair {
        Some((low, behind)) if matches!(unit, 0xd800..=0xdbff) => {
            (0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00), behind)
        }
        _ => (unit, rest),
    };
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    rest
}

fn four_digits(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_at_checked(4)?;
    let number = digits.iter().try_fold(0, |number, digit| Some(number << 4 | char::from(*digit).to_digit(16)?))?;
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_end_where_they_should() {
        for (text, expected) in [
            (&b"\"a\\\"b\\\\\", 1"[..], Ok(8)),
            (b"\"\", 1", Ok(2)),
            (b"-1}", Ok(2)),
            (b"null, ", Ok(4)),
            (b"[\"a]\", [1]], ", Ok(11)),
            (b"{\"a\": {}}}", Ok(9)),
            (b"204", Ok(3)),
            (b"\"a\\\"", Err(Reason::Truncated)),
            (b"\"a\\", Err(Reason::Truncated)),
            (b"[\"a\"", Err(Reason::Truncated)),
            (b"", Err(Reason::Truncated)),
            (b", ", Err(Reason::Grammar)),
            (b"]", Err(Reason::Grammar)),
        ] {
            assert_eq!(length(text), expected, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn escapes_are_undone() {
        for (text, expected) in [
            (&b"te\\\"x\\\\t\tq \xff"[..], &b"te\"x\\t\tq \xff"[..]),
            (b"te\\\"x\\\\t\\tq \\u00FF", b"te\"x\\t\tq \xff"),
            (b"cu\\u00C3\\u00A9rl", "cu\u{e9}rl".as_bytes()),
            (b"\\u20ac\\ud83d\\ude00\\ud83d!", "\u{20ac}\u{1f600}\u{fffd}!".as_bytes()),
            (b"a\\u00", b"a"),
            (b"a\\", b"a"),
            (b"\\/\\b\\f\\n\\r", b"/\x08\x0c\n\r"),
        ] {
            let mut out = Vec::new();
            unescape(text, &mut out);
            assert_eq!(out, expected, "{}", text.escape_ascii());
        }
    }
}
