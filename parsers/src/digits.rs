//! Decimal numbers of a few digits, all of which are read together: the steps do not depend on how many there are.
//!
//! Eight bytes of a text are taken as a number of 64 bits, the first the lowest, less the digit 0: so digits are 0 to 9, and all else
//! is above.

/// A one in each of eight bytes.
const EACH: u64 = 0x0101_0101_0101_0101;

/// The bytes of `text` less the digit 0.
#[inline(always)]
pub(crate) fn values(text: [u8; 8]) -> u64 {
    u64::from_le_bytes(text) ^ (EACH * u64::from(b'0'))
}

/// The highest bit of each byte that is no digit.
#[inline(always)]
pub(crate) fn others(values: u64) -> u64 {
    (((values & (EACH * 0x7f)) + EACH * (0x80 - 10)) | values) & (EACH * 0x80)
}

/// The number that eight digits are.
#[inline(always)]
pub(crate) fn eight(values: u64) -> u64 {
    let pairs = (values * 10 + (values >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    (fours * 10_000 + (fours >> 32)) & 0xffff_ffff
}

/// The number that `text` begins with and how many digits it has; `None` without one, with more than seven, and less than eight
/// bytes before the end.
#[inline(always)]
pub(crate) fn leading(text: &[u8]) -> Option<(u64, usize)> {
    let values = values(*text.first_chunk()?);
    match others(values).trailing_zeros() / 8 {
        length @ 1..=7 => Some((eight(values << (64 - 8 * length)), length as usize)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_end_where_their_digits_do() {
        for (text, expected) in [
            (&b"0, nrcpt"[..], Some((0, 1))),
            (b"1234567, ", Some((1_234_567, 7))),
            (b"0409300, nrcpt", Some((409_300, 7))),
            (b"12345678, ", None),
            (b"1 (queue", Some((1, 1))),
            (b", nrcpt=", None),
            (b"\xb01234567", None),
            (b"1\xb0123456", Some((1, 1))),
            (b"98:12345", Some((98, 2))),
            (b"98/12345", Some((98, 2))),
            (b"1234567", None),
            (b"", None),
        ] {
            assert_eq!(leading(text), expected, "{}", text.escape_ascii());
        }
        for byte in 0..=u8::MAX {
            let text = [b'7', b'1', byte, b'2', b'2', b'2', b'2', b' '];
            let expected =
                if byte.is_ascii_digit() { 71 * 100_000 + u64::from(byte - b'0') * 10_000 + 2222 } else { 71 };
            assert_eq!(leading(&text).map(|(value, _)| value), Some(expected), "{byte}");
        }
    }
}
