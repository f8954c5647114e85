//! The spelling: times, ids, delays.

use std::io::Write;

/// Both count the same queue ids.
const HOSTS: [&str; 2] = ["mx1", "mx2"];

/// Days from 1970 to the log's first day, 2026-03-01.
const FIRST_DAY: u64 = 20_513;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Appends a line: its time, its host, `text`.
#[allow(clippy::expect_used, reason = "memory takes what is written")]
pub(super) fn write(out: &mut Vec<u8>, text: &str, at_ms: u64, host: u8, is_classic: bool) {
    let (year, month, day) = date(FIRST_DAY + at_ms / 86_400_000);
    let of_day = at_ms % 86_400_000;
    let (hour, minute, second, ms) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60, of_day % 1000);
    let host = HOSTS[usize::from(host)];
    let written = if is_classic {
        let month = MONTHS[month as usize - 1];
        writeln!(out, "{month} {day:>2} {hour:02}:{minute:02}:{second:02} {host} postfix/{text}")
    } else {
        writeln!(
            out,
            "{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}{:03}+00:00 {host} postfix/{text}",
            text.len() * 7 % 1000
        )
    };
    written.expect("memory takes what is written");
}

/// Year, month and day of a day since 1970.
fn date(day: u64) -> (u64, u64, u64) {
    // Years that begin in March have their leap day at the end.
    let day = day + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, date)
}

/// The queue id with this number: even and odd ones are those of two hosts. Every third is a long one.
pub(super) fn queue_id(id: u64) -> String {
    const DIGITS: &[u8; 52] = b"0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
    let number = id / 2;
    if !number.is_multiple_of(3) {
        // An odd factor: no two are the same.
        return format!("{:010X}", number.wrapping_mul(0x9e_3779_b97f) & 0xff_ffff_ffff);
    }
    let (mut left, mut text) = (number, *b"4d0000000zw00");
    for place in (2..9).rev() {
        text[place] = DIGITS[(left % 52) as usize];
        left /= 52;
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// A time as Postfix writes it, two digits that count and at most two behind the point; and what that is, in milliseconds.
pub(super) fn seconds(ms: u64) -> (String, u64) {
    match ms {
        0..=4 => ("0".to_owned(), 0),
        5..995 => {
            let hundredths = (ms + 5) / 10;
            (format!("0.{hundredths:02}").trim_end_matches('0').to_owned(), hundredths * 10)
        }
        995..9950 => {
            let tenths = (ms + 50) / 100;
            (format!("{}.{}", tenths / 10, tenths % 10).trim_end_matches(".0").to_owned(), tenths * 100)
        }
        _ => (((ms + 500) / 1000).to_string(), (ms + 500) / 1000 * 1000),
    }
}
