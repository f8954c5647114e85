//! Times as mail servers write them for people: `1w2d3h4m5s`, `0.349s`, `3+01:02:03`.

use crate::cursor::Cursor;

/// Units, the longest first, in milliseconds.
const UNITS: [(u8, u64); 5] =
    [(b'w', 604_800_000), (b'd', 86_400_000), (b'h', 3_600_000), (b'm', 60_000), (b's', 1000)];

/// Reads a time like `1w2d3h4m5s`, `0.349s` or `3m45s`, in milliseconds; all of `text` has to be one.
pub(crate) fn units_ms(text: &[u8]) -> Option<u64> {
    let mut cursor = Cursor::new(text, 0);
    let (mut total, mut units) = (0u64, UNITS.iter());
    while !cursor.rest().is_empty() {
        let number = cursor.number(9_999_999_999, "time").ok()?;
        let thousandths = fraction_ms(&mut cursor)?;
        if thousandths > 0 && cursor.rest() != b"s" {
            return None;
        }
        let (_, length) = units.find(|(letter, _)| cursor.take(*letter))?;
        total = total.checked_add(number.checked_mul(*length)?)?.checked_add(thousandths)?;
    }
    (!text.is_empty()).then_some(total)
}

/// Reads a time like `00:00:02`, `3+01:02:03` or `00:00:00.5`, in milliseconds; all of `text` has to be one.
pub(crate) fn clock_ms(text: &[u8]) -> Option<u64> {
    let mut cursor = Cursor::new(text, 0);
    let mut first = cursor.number(9_999_999, "time").ok()?;
    let mut days = 0;
    if cursor.take(b'+') {
        days = first;
        first = cursor.number(99, "time").ok()?;
    }
    let mut seconds = days * 24 + first;
    for _ in 0..2 {
        if !cursor.take(b':') {
            return None;
        }
        seconds = seconds * 60 + cursor.number(59, "time").ok()?;
    }
    let thousandths = fraction_ms(&mut cursor)?;
    cursor.rest().is_empty().then_some(seconds * 1000 + thousandths)
}

/// `.349`, if it is next.
fn fraction_ms(cursor: &mut Cursor<'_>) -> Option<u64> {
    if !cursor.take(b'.') {
        return Some(0);
    }
    let before = cursor.at();
    let fraction = cursor.number(999_999_999, "time").ok()?;
    let digits = u32::try_from(cursor.at() - before).ok()?;
    Some(fraction * 1000 / 10u64.checked_pow(digits)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::{clock_ms, units_ms};

    #[test]
    fn units() {
        for (text, expected) in [
            ("0s", 0),
            ("3m45s", 225_000),
            ("2h3m", 7_380_000),
            ("1w2d3h4m5s", 788_645_000),
            ("0.349s", 349),
            ("1.000001s", 1000),
            ("12m", 720_000),
        ] {
            assert_eq!(units_ms(text.as_bytes()), Some(expected), "{text}");
        }
        for text in ["", "s", "5", "-5s", "5s3m", "1s2s", "0.3m", "1.s", "99999999999s", "1s ", "1x"] {
            assert_eq!(units_ms(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn clocks() {
        for (text, expected) in [("00:00:02", 2000), ("3+01:02:03", 262_923_000), ("100:00:00", 360_000_000)] {
            assert_eq!(clock_ms(text.as_bytes()), Some(expected), "{text}");
        }
        for text in ["", "00:00", "00:60:00", "1+", "1+2", "00:00:02x", "-1:00:00"] {
            assert_eq!(clock_ms(text.as_bytes()), None, "{text}");
        }
    }
}
