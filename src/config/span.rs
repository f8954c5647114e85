//! Lengths of time as an operator writes them, which is Prometheus' way: `90s`, `15m`, `1h30m`, `7d`.

use std::time::Duration;

/// Units, the longest first, and their milliseconds.
const UNITS: [(&str, u128); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// The length of time that `text` says: numbers with units, the longest unit first, each at most once.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let (mut rest, mut units, mut sum) = (text, UNITS.as_slice(), 0u128);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, behind) = rest.split_at(digits);
        let letters = behind.len() - behind.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (unit, behind) = behind.split_at(letters);
        let place = units.iter().position(|(name, _)| *name == unit)?;
        sum = sum.checked_add(number.parse::<u128>().ok()?.checked_mul(units[place].1)?)?;
        (rest, units) = (behind, &units[place + 1..]);
    }
    u64::try_from(sum).ok().map(Duration::from_millis)
}

/// `span` in the same way; what is below a millisecond is left out.
pub fn shown(span: Duration) -> String {
    let (mut rest, mut text) = (span.as_millis(), String::new());
    // Weeks and years are harder to read than days, unless they are whole.
    let units = UNITS.iter().filter(|(name, length)| !matches!(*name, "y" | "w") || rest % length == 0);
    for (name, length) in units.collect::<Vec<_>>() {
        if rest >= *length {
            text.push_str(&format!("{}{name}", rest / length));
            rest %= length;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_prometheus_does() {
        for (text, seconds) in
            [("90s", 90), ("15m", 900), ("1h30m", 5400), ("7d", 604_800), ("1y", 31_536_000), ("0s", 0)]
        {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("1s500ms"), Some(Duration::from_millis(1500)));
        for text in ["", "5", "s", "1.5h", "-1h", "1 h", "1h1h", "1s1m", "1hour", "99999999999999999999y", "h1", "1µs"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        for (seconds, text) in [
            (0, "0s"),
            (1, "1s"),
            (90, "1m30s"),
            (5400, "1h30m"),
            (604_800, "1w"),
            (691_200, "8d"),
            (315_360_000, "10y"),
        ] {
            assert_eq!(shown(Duration::from_secs(seconds)), text);
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)));
        }
    }
}
