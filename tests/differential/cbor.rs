//! What CBOR of one item says, as far as it takes to tell that a value was read from it: the plain item says the same, and
//! its text stands in the digits.

use crate::format::Truth;

/// True when `value` is what these digits stand for.
pub(crate) fn agrees(value: &[u8], truth: &Truth) -> bool {
    let written = truth.written.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\""));
    let Some(bytes) = bytes(written.unwrap_or(&truth.written)) else { return false };
    let plain = truth.plain.as_slice();
    match bytes.as_slice() {
        [0xf4] => [&b"false"[..], b"0"].contains(&value),
        [0xf5] => [&b"true"[..], b"1"].contains(&value),
        [0x00..=0x3b, ..] => {
            let plain = plain.strip_prefix(b"+").unwrap_or(plain);
            plain == value
                || (plain.ends_with(value) && plain.iter().rev().skip(value.len()).all(|digit| *digit == b'0'))
        }
        // Bytes and texts, in one piece or a single chunk. Their braces are the captures' own.
        [0x40..=0x5b, ..] | [0x5f, ..] | [0x60..=0x7b, ..] | [0x7f, ..] => {
            let text = chunk(&bytes);
            let bare = text.strip_prefix(b"{").and_then(|text| text.strip_suffix(b"}"));
            text == value || bare == Some(value)
        }
        // A list of texts, in quotes but for the dash of what is missing.
        [0x9f, ..] => {
            let listed = value.iter().filter(|byte| **byte != b'"').copied().collect::<Vec<_>>();
            listed == plain
        }
        _ => false,
    }
}

fn bytes(digits: &[u8]) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(pair).collect())?
}

/// The bytes of a text.
fn chunk(bytes: &[u8]) -> &[u8] {
    match bytes {
        [0x40..=0x57 | 0x60..=0x77, text @ ..] => text,
        [0x58 | 0x78, _, text @ ..] | [0x59 | 0x79, _, _, text @ ..] => text,
        [0x5f | 0x7f, text @ .., 0xff] => chunk(text),
        _ => b"",
    }
}

#[test]
fn values_agree_with_their_digits() {
    let truth = |written: &str, plain: &str| Truth { written: written.into(), plain: plain.into() };
    assert!(agrees(b"127.0.0.1", &truth("693132372E302E302E31", "127.0.0.1")));
    assert!(agrees(b"a|", &truth("7F647B617C7DFF", "{a|}")));
    assert!(agrees(b"57", &truth("1839", "+57")));
    assert!(agrees(b"\"a\" -", &truth("9F7F6161FF7F612DFFFF", "a -")));
    assert!(!agrees(b"58", &truth("1839", "57")));
    assert!(!agrees(b"b", &truth("7F6161FF", "a")));
}
