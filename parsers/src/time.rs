//! Times of lines, for the differences between them.
//!
//! Syslog's classic time has neither year nor zone. It is read as a time of some year without a 29th of February: two of them
//! are less than half a year apart.

use crate::envelope::month;

/// When a line was written, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(u64);

const DAY_MS: u64 = 86_400_000;

/// The year of those that have none.
const YEAR_MS: u64 = 365 * DAY_MS;

impl Time {
    /// Reads `Feb  1 12:14:14`, `2026-02-01T12:14:14[.123][Z|+01:00]`, also with a space in the place of the `T`, and before a
    /// zone. `None` when it is neither.
    pub fn of(text: &[u8]) -> Option<Self> {
        match text.first()? {
            b'0'..=b'9' => Self::of_iso(text),
            _ => Self::of_bsd(text),
        }
    }

    /// From what [`Time::as_ms`] has given.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since 1970 in UTC; or, for a time without a year, since the year's beginning.
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// True when its line did not tell the year.
    const fn has_no_year(self) -> bool {
        self.0 < YEAR_MS
    }

    /// Milliseconds from `earlier` to this; 0 when it was not earlier. `None` when only one of them has a year.
    pub fn since(self, earlier: Self) -> Option<u64> {
        match (self.has_no_year(), earlier.has_no_year()) {
            (false, false) => Some(self.0.saturating_sub(earlier.0)),
            (true, true) => {
                let apart = (self.0 + YEAR_MS - earlier.0) % YEAR_MS;
                Some(if apart < YEAR_MS / 2 { apart } else { 0 })
            }
            _ => None,
        }
    }

    /// This, less `ms`.
    pub fn before(self, ms: u64) -> Self {
        match self.has_no_year() {
            true => Self((self.0 + YEAR_MS - ms % YEAR_MS) % YEAR_MS),
            // Never so early that it would seem to have no year.
            false => Self(self.0.saturating_sub(ms).max(YEAR_MS)),
        }
    }

    fn of_bsd(text: &[u8]) -> Option<Self> {
        const DAYS: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
        let month = month(text.get(..3)?)?;
        let rest = text.get(4..)?;
        let rest = rest.strip_prefix(b" ").unwrap_or(rest);
        let digits = rest.iter().take(2).take_while(|byte| byte.is_ascii_digit()).count();
        let day = number(rest.get(..digits)?)?;
        let of_day = clock(rest.get(digits + 1..)?)?;
        let days = DAYS.get(month)? + day.clamp(1, 31) - 1;
        Some(Self((days * DAY_MS + of_day) % YEAR_MS))
    }

    fn of_iso(text: &[u8]) -> Option<Self> {
        if text.get(4) != Some(&b'-') {
            return None;
        }
        let (year, month) = (number(text.get(..4)?)?, number(text.get(5..7)?)?);
        let (day, of_day) = (number(text.get(8..10)?)?, clock(text.get(11..19)?)?);
        let mut rest = text.get(19..)?;
        let mut fraction_ms = 0;
        if let Some(fraction) = rest.strip_prefix(b".").or_else(|| rest.strip_prefix(b",")) {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let digit = |at: usize| fraction.get(at).filter(|_| at < digits).map_or(0, |byte| u64::from(byte - b'0'));
            fraction_ms = 100 * digit(0) + 10 * digit(1) + digit(2);
            rest = fraction.get(digits..)?;
        }
        let rest = rest.strip_prefix(b" ").unwrap_or(rest);
        let zone_ms = match rest {
            [sign @ (b'+' | b'-'), zone @ ..] => {
                let minutes = zone.strip_prefix(b":").unwrap_or(zone);
                let minutes = minutes.get(2..)?;
                let minutes = minutes.strip_prefix(b":").unwrap_or(minutes);
                let ms = (number(zone.get(..2)?)? * 60 + number(minutes.get(..2)?)?) * 60_000;
                if *sign == b'+' { -(ms as i64) } else { ms as i64 }
            }
            _ => 0,
        };
        let ms = days(year, month.clamp(1, 12), day.clamp(1, 31)) * DAY_MS + of_day + fraction_ms;
        Some(Self(ms.saturating_add_signed(zone_ms).max(YEAR_MS)))
    }
}

/// `12:14:14` as milliseconds since midnight.
fn clock(text: &[u8]) -> Option<u64> {
    let (hours, minutes, seconds) = (number(text.get(..2)?)?, number(text.get(3..5)?)?, number(text.get(6..8)?)?);
    Some(((hours * 60 + minutes) * 60 + seconds) * 1000)
}

/// Days from 1970 to a day of the Gregorian calendar.
fn days(year: u64, month: u64, day: u64) -> u64 {
    // Years begin in March here, so that leap days come last.
    let year = (if month <= 2 { year.wrapping_sub(1) } else { year }).clamp(1970 - 1, 9999);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    (year * 365 + year / 4 - year / 100 + year / 400 + of_year).saturating_sub(719_468)
}

/// A decimal number of one to four digits.
fn number(text: &[u8]) -> Option<u64> {
    let is_number = (1..=4).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    is_number.then(|| text.iter().fold(0, |value, byte| value * 10 + u64::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> u64 {
        Time::of(text.as_bytes()).unwrap_or_else(|| panic!("{text}")).as_ms()
    }

    #[test]
    fn times_with_a_year_are_those_of_utc() {
        assert_eq!(ms("2026-02-01T12:14:14Z"), 1_769_948_054_000);
        assert_eq!(ms("2026-02-01T12:14:14.572449+01:00"), 1_769_944_454_572);
        assert_eq!(ms("2026-02-01 12:14:14.5 -0130"), 1_769_953_454_500);
        assert_eq!(ms("2024-02-29T00:00:00Z"), 1_709_164_800_000);
        assert_eq!(ms("2024-03-01T00:00:00Z") - ms("2024-02-28T00:00:00Z"), 2 * DAY_MS);
    }

    #[test]
    fn times_without_a_year_go_on_in_january() {
        let [december, january] = ["Dec 31 23:59:58", "Jan  1 00:00:03"].map(|text| Time::of(text.as_bytes()).unwrap());
        assert_eq!(january.since(december), Some(5000));
        assert_eq!(december.since(january), Some(0));
        assert_eq!(january.before(5000), december);
        assert_eq!(ms("Feb 01 12:14:14"), ms("Feb 1 12:14:14"));
    }

    #[test]
    fn times_of_both_kinds_have_no_difference() {
        let [with, without] =
            ["2026-02-01T12:14:14Z", "Feb  1 12:14:14"].map(|text| Time::of(text.as_bytes()).unwrap());
        assert_eq!((with.since(without), without.since(with)), (None, None));
    }

    #[test]
    fn nonsense_is_no_time() {
        for text in
            ["", "x", "2026", "2026-02-01T12:14", "Foo  1 12:14:14", "Feb", "Feb  ", "Feb x", "99999999999999999999"]
        {
            assert_eq!(Time::of(text.as_bytes()), None, "{text}");
        }
    }
}
