//! CBOR (RFC 8949) in hexadecimal digits, as HAProxy writes it: one item at the start of a text.
//!
//! ```text
//! 693132372E302E302E31     text of nine bytes: 127.0.0.1
//! 7F63474554612FFF         text in chunks, GET and /
//! 18CC                     204
//! F6                       nothing
//! 9F7F617361FFFF           an array
//! ```

use crate::Reason;

/// How deep items may be nested. HAProxy writes arrays of texts.
const DEPTH: usize = 8;

/// What ends an item whose length is not known at its beginning.
const BREAK: u8 = 0xff;

/// Major types.
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const SIMPLE: u8 = 7;

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item<'t> {
    Number(i64),
    Truth(bool),
    /// Its digits, see [`text`].
    Text(&'t [u8]),
    /// The digits behind its head, see [`elements`].
    Array(&'t [u8]),
    /// Null, and what HAProxy does not write.
    Nothing,
}

/// How an item begins.
struct Head {
    major: u8,
    /// Its number, or how many follow; `None` when a [`BREAK`] ends it.
    argument: Option<u64>,
    /// Digits of the head.
    length: usize,
}

fn head(text: &[u8]) -> Result<Head, Reason> {
    let first = byte(text)?;
    let bytes = match first & 31 {
        small @ 0..=23 => return Ok(Head { major: first >> 5, argument: Some(small.into()), length: 2 }),
        31 => return Ok(Head { major: first >> 5, argument: None, length: 2 }),
        size @ 24..=27 => 1_usize << (size - 24),
        _ => return Err(Reason::Grammar),
    };
    let mut argument = 0;
    for index in 1..=bytes {
        argument = argument << 8 | u64::from(byte(text.get(2 * index..).unwrap_or_default())?);
    }
    Ok(Head { major: first >> 5, argument: Some(argument), length: 2 + 2 * bytes })
}

/// The byte that `text` begins with.
fn byte(text: &[u8]) -> Result<u8, Reason> {
    let digit = |digit: u8| char::from(digit).to_digit(16).ok_or(Reason::Grammar);
    match text {
        [high, low, ..] => Ok((digit(*high)? << 4 | digit(*low)?) as u8),
        [high] => digit(*high).and(Err(Reason::Truncated)),
        [] => Err(Reason::Truncated),
    }
}

/// Digits of the item that `text` begins with.
///
/// # Errors
/// [`Reason::Truncated`] when it goes on beyond the text, [`Reason::Grammar`] when there is none.
pub(super) fn length(text: &[u8]) -> Result<usize, Reason> {
    item(text, DEPTH)
}

/// As [`length`], of a value: `+Q` puts the digits of a text between quotes, or leaves nothing but them.
pub(super) fn value_length(text: &[u8]) -> Result<usize, Reason> {
    let Some(inside) = text.strip_prefix(b"\"") else { return length(text) };
    let digits = if inside.starts_with(b"\"") { 0 } else { length(inside)? };
    match inside.get(digits) {
        Some(b'"') => Ok(digits + 2),
        Some(_) => Err(Reason::Delimiter),
        None => Err(Reason::Truncated),
    }
}

fn item(text: &[u8], depth: usize) -> Result<usize, Reason> {
    let Head { major, argument, length: mut at } = head(text)?;
    let rest = |at: usize| text.get(at..).unwrap_or_default();
    let inner = depth.checked_sub(1).ok_or(Reason::Grammar)?;
    match (major, argument) {
        (BYTES | TEXT, Some(bytes)) => {
            let digits = usize::try_from(bytes).ok().and_then(|bytes| bytes.checked_mul(2));
            let end = digits.and_then(|digits| digits.checked_add(at)).ok_or(Reason::Grammar)?;
            return if end <= text.len() { Ok(end) } else { Err(Reason::Truncated) };
        }
        (TAG, Some(_)) => return Ok(at + item(rest(at), inner)?),
        (ARRAY | MAP, Some(count)) => {
            // Each takes at least two digits: a count that lies ends with the text.
            for _ in 0..count.saturating_mul(if major == MAP { 2 } else { 1 }) {
                at += item(rest(at), inner)?;
            }
        }
        (BYTES | TEXT | ARRAY | MAP, None) => {
            while byte(rest(at))? != BREAK {
                at += item(rest(at), inner)?;
            }
            at += 2;
        }
        (_, Some(_)) => {}
        (_, None) => return Err(Reason::Grammar),
    }
    Ok(at)
}

impl<'t> Item<'t> {
    /// What `value`, which [`value_length`] has measured, is.
    pub(super) fn of(value: &'t [u8]) -> Self {
        let digits = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
        let Ok(Head { major, argument, length }) = head(digits) else { return Self::Nothing };
        let number = || i64::try_from(argument.unwrap_or(u64::MAX)).unwrap_or(i64::MAX);
        match (major, argument) {
            (0, _) => Self::Number(number()),
            (NEGATIVE, _) => Self::Number(-1 - number()),
            (BYTES | TEXT, _) => Self::Text(digits),
            (ARRAY, None) => Self::Array(digits.get(length..digits.len().saturating_sub(2)).unwrap_or_default()),
            (ARRAY, Some(_)) => Self::Array(digits.get(length..).unwrap_or_default()),
            (SIMPLE, Some(20)) => Self::Truth(false),
            (SIMPLE, Some(21)) => Self::Truth(true),
            _ => Self::Nothing,
        }
    }
}

/// Appends the bytes of a text, in chunks or not, as far as `digits` have them.
///
/// # Errors
/// [`Reason::Grammar`] when something else than digits stands there.
pub(super) fn text(digits: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
    let mut rest = digits;
    let mut is_chunked = false;
    loop {
        let Head { major, argument, length } = match head(rest) {
            Err(Reason::Truncated) => return Ok(()),
            head => head?,
        };
        rest = rest.get(length..).unwrap_or_default();
        match (major, argument) {
            (BYTES | TEXT, Some(bytes)) => {
                let digits = usize::try_from(bytes).map_or(usize::MAX, |bytes| bytes.saturating_mul(2));
                let (chunk, behind) = rest.split_at_checked(digits).unwrap_or((rest, &[]));
                for pair in chunk.chunks_exact(2) {
                    out.push(byte(pair)?);
                }
                rest = behind;
            }
            (BYTES | TEXT, None) if !is_chunked => is_chunked = true,
            _ => return Ok(()),
        }
        if !is_chunked {
            return Ok(());
        }
    }
}

/// The items of an array.
pub(super) fn elements(digits: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = digits;
    std::iter::from_fn(move || {
        let (element, behind) = rest.split_at_checked(length(rest).ok()?)?;
        rest = behind;
        Some(element)
    })
}

/// True when `text` is that of a map whose end is a [`BREAK`]: how a line of HAProxy's begins.
pub(super) fn opens(text: &[u8]) -> Result<bool, Reason> {
    Ok(byte(text)? == MAP << 5 | 31)
}

/// True when the map ends here.
pub(super) fn closes(text: &[u8]) -> Result<bool, Reason> {
    Ok(byte(text)? == BREAK)
}

/// The name of a member, as HAProxy writes it.
pub(super) fn key(name: &str) -> Vec<u8> {
    let length = name.len();
    let head = match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ 0..24), _) => vec![TEXT << 5 | length],
        (Ok(length), _) => vec![TEXT << 5 | 24, length],
        (_, Ok(length)) => [&[TEXT << 5 | 25][..], &length.to_be_bytes()].concat(),
        _ => [&[TEXT << 5 | 26][..], &u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()].concat(),
    };
    let bytes = head.into_iter().chain(name.bytes());
    bytes.flat_map(|byte| format!("{byte:02X}").into_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_end_where_they_should() {
        for (digits, expected) in [
            ("693132372E302E302E31F6", Ok(20)),
            ("7F63474554612FFF00", Ok(16)),
            ("18CC18", Ok(4)),
            ("1901F7", Ok(6)),
            ("20", Ok(2)),
            ("F6FF", Ok(2)),
            ("9F7F6161FF7F612DFFFF00", Ok(20)),
            ("826161F500", Ok(8)),
            ("BF6161F5FF", Ok(10)),
            ("7F63474554", Err(Reason::Truncated)),
            ("6347455", Err(Reason::Truncated)),
            ("1", Err(Reason::Truncated)),
            ("", Err(Reason::Truncated)),
            ("\"F6\"", Err(Reason::Grammar)),
            ("FF", Err(Reason::Grammar)),
            ("GG", Err(Reason::Grammar)),
            ("9F9F9F9F9F9F9F9F9F9F", Err(Reason::Grammar)),
            ("9BFFFFFFFFFFFFFFFF00", Err(Reason::Truncated)),
            ("7BFFFFFFFFFFFFFFFF00", Err(Reason::Grammar)),
        ] {
            assert_eq!(length(digits.as_bytes()), expected, "{digits}");
        }
        assert_eq!(value_length(b"\"6161\"6161"), Ok(6));
        assert_eq!(value_length(b"\"\""), Ok(2));
        assert_eq!(value_length(b"\"6161"), Err(Reason::Truncated));
    }

    #[test]
    fn items_are_what_they_are() {
        assert_eq!(Item::of(b"1901F7"), Item::Number(503));
        assert_eq!(Item::of(b"20"), Item::Number(-1));
        assert_eq!(Item::of(b"F5"), Item::Truth(true));
        assert_eq!(Item::of(b"F6"), Item::Nothing);
        assert_eq!(Item::of(b"1BFFFFFFFFFFFFFFFF"), Item::Number(i64::MAX));
        let Item::Array(inside) = Item::of(b"9F7F6161FF7F612DFFFF") else { panic!() };
        let mut out = Vec::new();
        elements(inside).for_each(|element| text(element, &mut out).unwrap());
        assert_eq!(out, b"a-");
        out.clear();
        text(b"7F634745546120612", &mut out).unwrap();
        assert_eq!(out, b"GET ", "what was cut");
        assert!(text(b"62GG00", &mut out).is_err());
        assert_eq!(key("client"), b"66636C69656E74");
    }
}
