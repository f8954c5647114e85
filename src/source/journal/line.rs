//! A journal entry as one line, like the one rsyslog would have written:
//!
//! ```text
//! 2026-02-01T12:14:14.572449+00:00 lb1 haproxy[73411]: MESSAGE
//! ```
//!
//! Time and process id are the sender's account of them, where it gave one. A newline inside the message becomes
//! `#012`. Bytes that would make a name something else than a name become `_`.

use std::io::Write;

use super::export::Entry;

/// Seconds of a day.
const DAY: u64 = 86_400;

/// The first second after the year 9999, since 1970.
const END_OF_TIME: u64 = 253_402_300_800;

/// Appends the line of `entry`, without its newline. True when it is longer than `limit` bytes: as many were appended.
pub(super) fn write(entry: &Entry, limit: usize, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    time(entry, out);
    out.push(b' ');
    name(&entry.hostname, b"-_.", b"-", out);
    out.push(b' ');
    let identifier = if entry.identifier.is_empty() { &entry.command } else { &entry.identifier };
    // The first byte of a tag is a letter or a digit.
    let first = identifier.iter().position(u8::is_ascii_alphanumeric).unwrap_or(identifier.len());
    name(&identifier[first..], b"_-./@", b"unknown", out);
    if let Some(pid) = [&entry.syslog_pid, &entry.pid].into_iter().find(|pid| is_number(pid)) {
        out.push(b'[');
        out.extend_from_slice(pid);
        out.push(b']');
    }
    out.extend_from_slice(b": ");
    message(entry.message.strip_suffix(b"\n").unwrap_or(&entry.message), out);
    let is_longer = out.len() - start > limit;
    out.truncate(out.len().min(start + limit));
    is_longer || entry.cut
}

fn message(message: &[u8], out: &mut Vec<u8>) {
    for (index, part) in message.split(|&byte| byte == b'\n').enumerate() {
        if index > 0 {
            out.extend_from_slice(b"#012");
        }
        out.extend_from_slice(part);
    }
}

/// Appends `name` with every byte replaced that is neither letter nor digit nor in `allowed`; or else `instead`.
fn name(name: &[u8], allowed: &[u8], instead: &[u8], out: &mut Vec<u8>) {
    if name.is_empty() {
        out.extend_from_slice(instead);
    }
    let shown = |&byte: &u8| if byte.is_ascii_alphanumeric() || allowed.contains(&byte) { byte } else { b'_' };
    out.extend(name.iter().map(shown));
}

fn is_number(text: &[u8]) -> bool {
    (1..=9).contains(&text.len()) && text.iter().all(u8::is_ascii_digit)
}

/// When the entry was made, in microseconds since 1970; 0 when it does not say.
pub(super) fn microseconds(entry: &Entry) -> u64 {
    let read = |text: &[u8]| std::str::from_utf8(text).ok()?.parse().ok();
    let plausible = |time: &u64| time / 1_000_000 < END_OF_TIME;
    [&entry.sent, &entry.received].into_iter().filter_map(|text| read(text)).find(plausible).unwrap_or(0)
}

/// `2026-02-01T12:14:14.572449+00:00`
fn time(entry: &Entry, out: &mut Vec<u8>) {
    let microseconds = microseconds(entry);
    let seconds = microseconds / 1_000_000;
    let (year, month, day) = date(seconds / DAY);
    let (hour, minute, second) = (seconds % DAY / 3600, seconds % 3600 / 60, seconds % 60);
    let fraction = microseconds % 1_000_000;
    // Writing to a vector does not fail.
    let _ = write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:06}+00:00");
}

/// Year, month and day of a day since 1970. Years are taken to begin in March, so that the leap day is their last.
fn date(days: u64) -> (u64, u64, u64) {
    const FOUR_CENTURIES: u64 = 146_097;
    // From the first of March of the year 0.
    let days = days + 719_468;
    let within = days % FOUR_CENTURIES;
    // Each leap day so far, taken out, leaves years of 365 days.
    let year = (within - within / 1_460 + within / 36_524 - within / (FOUR_CENTURIES - 1)) / 365;
    let of_year = within - (365 * year + year / 4 - year / 100);
    // Months since March; five of them have 153 days.
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (days / FOUR_CENTURIES * 400 + year + later, month, day)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;
    use tailmeter_parsers::envelope::detect;

    use super::*;

    fn entry(time: &str, hostname: &str, identifier: &str, pid: &str, message: &[u8]) -> Entry {
        Entry {
            received: time.into(),
            hostname: hostname.into(),
            identifier: identifier.into(),
            pid: pid.into(),
            message: message.to_vec(),
            ..Entry::default()
        }
    }

    fn line(entry: &Entry) -> String {
        let mut out = Vec::new();
        assert!(!write(entry, 10_000, &mut out));
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn dates_are_those_of_a_calendar_counted_day_by_day() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..END_OF_TIME / DAY {
            assert_eq!(date(days), (year, month, day), "day {days}");
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + u64::from(is_leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }

    #[test]
    fn an_entry_reads_like_a_line_of_rsyslog() {
        let full = entry("1769948054572449", "lb1", "haproxy", "73411", b"a\nb\n");
        assert_eq!(line(&full), "2026-02-01T12:14:14.572449+00:00 lb1 haproxy[73411]: a#012b");
        let sent = Entry { sent: "1000000".into(), syslog_pid: "7".into(), ..full };
        assert_eq!(line(&sent), "1970-01-01T00:00:01.000000+00:00 lb1 haproxy[7]: a#012b");
        assert_eq!(line(&Entry::default()), "1970-01-01T00:00:00.000000+00:00 - unknown: ");
        let odd = entry("99999999999999999999", "a b:", "(sd-pam) x", "1x", b"\xff");
        assert_eq!(line(&odd), "1970-01-01T00:00:00.000000+00:00 a_b_ sd-pam__x: \u{fffd}");
        let named = Entry { command: "cat".into(), ..Entry::default() };
        assert_eq!(line(&named), "1970-01-01T00:00:00.000000+00:00 - cat: ");
    }

    #[test]
    fn a_line_is_as_long_as_the_limit_says() {
        let entry = entry("0", "h", "t", "", b"\n\n");
        let mut out = b"before".to_vec();
        assert!(write(&entry, 40, &mut out));
        assert_eq!(out, b"before1970-01-01T00:00:00.000000+00:00 h t: #0");
    }

    proptest! {
        /// Whatever an entry says, the envelope is found where it ends, with its names.
        #[test]
        fn the_parsers_know_the_envelope(
            time in any::<u64>().prop_map(|time| time.to_string()),
            hostname in prop_oneof!["[a-z0-9.-]{0,8}", any::<String>()],
            identifier in prop_oneof!["[a-z][a-z/]{0,8}", any::<String>()],
            pid in prop_oneof!["[0-9]{0,12}", any::<String>()],
            message in "[a-z]{1,8}",
        ) {
            let entry = entry(&time, &hostname, &identifier, &pid, message.as_bytes());
            let line = line(&entry);
            let envelope = detect(line.as_bytes());
            prop_assert_eq!(&line[envelope.start..envelope.end], message, "{}", line);
            prop_assert_eq!(envelope.pid, pid.parse().ok().filter(|_| is_number(pid.as_bytes())));
            let is_tag = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./@".contains(&byte);
            if identifier.starts_with(|first: char| first.is_ascii_alphanumeric()) && identifier.bytes().all(is_tag) {
                prop_assert_eq!(envelope.program, identifier.as_bytes());
            }
        }
    }
}
