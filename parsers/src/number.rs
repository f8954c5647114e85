//! Decimal numbers of any program's log, in integers: `0.0425` seconds are 42,500 microseconds.

use crate::Reason;

/// Largest value that is read, which is also the largest whole number up to which `f64` has them all.
pub const LARGEST: i64 = 1 << 53;

/// The number that `text` is, times ten to the power of `scale`, rounded to the nearest whole number, and away from zero
/// between two. A sign, a fraction (`.5`, too) and an exponent may be there.
///
/// # Errors
/// [`Reason::Number`] for what is none, [`Reason::Range`] for what is beyond [`LARGEST`] on either side.
pub fn decimal(text: &[u8], scale: i32) -> Result<i64, Reason> {
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let mantissa_end = digits.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(digits.len());
    let (mantissa, exponent) = digits.split_at_checked(mantissa_end).ok_or(Reason::Number)?;
    let exponent = if exponent.is_empty() { 0 } else { self::exponent(exponent.get(1..).unwrap_or_default())? };
    let (whole, fraction) = match memchr::memchr(b'.', mantissa) {
        None => (mantissa, &[][..]),
        Some(point) => (mantissa.get(..point).unwrap_or_default(), mantissa.get(point + 1..).unwrap_or_default()),
    };
    let has_empty_fraction = fraction.is_empty() && mantissa.len() > whole.len();
    let mut all = whole.iter().chain(fraction);
    if has_empty_fraction || mantissa.is_empty() || !all.clone().all(u8::is_ascii_digit) {
        return Err(Reason::Number);
    }
    // So many digits stand before the point, once it has moved.
    let places = whole.len() as i64 + i64::from(exponent) + i64::from(scale);
    let mut value = 0_i64;
    for _ in 0..places {
        let digit = match all.next() {
            Some(digit) => i64::from(digit - b'0'),
            None if value == 0 => break,
            None => 0,
        };
        value = value * 10 + digit;
        if value > LARGEST {
            return Err(Reason::Range);
        }
    }
    let rounds_up = places >= 0 && all.next().is_some_and(|digit| *digit >= b'5');
    value += i64::from(rounds_up);
    Ok(if is_negative { -value } else { value })
}

/// A number of at most three digits, with its sign.
fn exponent(text: &[u8]) -> Result<i32, Reason> {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] | digits => (1, digits),
    };
    let is_small = (1..=3).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let value = digits.iter().take(3).fold(0, |number, digit| number * 10 + i32::from(digit.wrapping_sub(b'0')));
    if is_small { Ok(sign * value) } else { Err(Reason::Number) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_scaled_and_rounded() {
        for (text, scale, expected) in [
            ("0", 6, Ok(0)),
            ("0.042", 6, Ok(42_000)),
            ("17", 0, Ok(17)),
            ("+17", 3, Ok(17_000)),
            ("-1.25", 6, Ok(-1_250_000)),
            (".5", 0, Ok(1)),
            ("0.4999999", 0, Ok(0)),
            ("0.0000015", 6, Ok(2)),
            ("5.1234e-05", 6, Ok(51)),
            ("1E3", 0, Ok(1000)),
            ("1e-300", 6, Ok(0)),
            ("0e999", 6, Ok(0)),
            ("00012", 0, Ok(12)),
            ("9007199254740992", 0, Ok(LARGEST)),
            ("9007199254740993", 0, Err(Reason::Range)),
            ("1e999", 0, Err(Reason::Range)),
            ("99999999999999999999999", 6, Err(Reason::Range)),
            ("", 0, Err(Reason::Number)),
            ("-", 0, Err(Reason::Number)),
            (".", 0, Err(Reason::Number)),
            ("1.", 0, Err(Reason::Number)),
            ("1e", 0, Err(Reason::Number)),
            ("1e1000", 0, Err(Reason::Number)),
            ("1e-", 0, Err(Reason::Number)),
            ("--1", 0, Err(Reason::Number)),
            ("1 ", 0, Err(Reason::Number)),
            ("0x10", 0, Err(Reason::Number)),
            ("NaN", 0, Err(Reason::Number)),
            ("12ms", 0, Err(Reason::Number)),
        ] {
            assert_eq!(decimal(text.as_bytes(), scale), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn numbers_are_those_of_the_standard_library(value in -1e9f64..1e9, scale in 0i32..=6) {
            let text = format!("{value:.4}");
            let exact = text.parse::<f64>().unwrap_or_default() * 10f64.powi(scale);
            let found = decimal(text.as_bytes(), scale).unwrap_or_default() as f64;
            prop_assert!((found - exact).abs() <= 0.5 + exact.abs() * 1e-15, "{text}: {found}, not {exact}");
        }

        #[test]
        fn no_bytes_are_too_much(text: Vec<u8>, scale in 0i32..=6) {
            let is_number = std::str::from_utf8(&text).is_ok_and(|text| text.parse::<f64>().is_ok());
            prop_assert!(is_number || decimal(&text, scale).is_err());
        }
    }
}
