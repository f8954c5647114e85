//! Ids of lines as labels of exemplars, and when lines were written.
//!
//! A time without a zone is one of this machine's, as programs log it; one without a year is of the last twelve months.

use std::cell::Cell;
use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tailmeter_parsers::Time;

use crate::config::ExemplarSource;
use crate::series::Exemplar;

/// Characters of names and values of an exemplar's labels, at most: what OpenMetrics allows.
pub(super) const MAX_CHARACTERS: usize = 128;

/// What all exemplars of a line have in common.
#[derive(Clone, Debug)]
pub(super) struct Witness {
    labels: Arc<str>,
    time_ms: Option<i64>,
}

impl Witness {
    /// Of a line with this id, written at `time_ms`; `None` when the id is none that can be shown.
    pub(super) fn new(source: ExemplarSource, id: &[u8], time_ms: Option<i64>) -> Option<Self> {
        let labels = match source {
            ExemplarSource::UniqueId => label("unique_id", id)?,
            ExemplarSource::QueueId => label("queue_id", id)?,
            ExemplarSource::Traceparent => {
                let [trace_id, span_id] = traceparent(id)?;
                format!("{},{}", label("trace_id", trace_id)?, label("span_id", span_id)?)
            }
        };
        Some(Self { labels: labels.into(), time_ms })
    }

    /// The exemplar of a value that the line has, as cells hold it.
    pub(super) fn of(&self, value: i64) -> Exemplar {
        Exemplar { labels: Arc::clone(&self.labels), value, time_ms: self.time_ms }
    }
}

/// `name="id"`; `None` when there is no id, or one that is too long, or one with other signs than ids have.
fn label(name: &str, id: &[u8]) -> Option<String> {
    let id = std::str::from_utf8(id).ok().filter(|id| id.bytes().all(|byte| byte.is_ascii_graphic()))?;
    if id.is_empty() || id == "-" || name.len() + id.len() > MAX_CHARACTERS {
        return None;
    }
    let escaped = id.replace('\\', "\\\\").replace('"', "\\\"");
    Some(format!("{name}=\"{escaped}\""))
}

/// The ids of the trace and of the span in `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`.
pub(super) fn traceparent(text: &[u8]) -> Option<[&[u8]; 2]> {
    let mut parts = text.splitn(4, |byte| *byte == b'-');
    let (version, trace_id, span_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    // Later versions may have more behind the flags.
    let (flags, more) = flags.split_at_checked(2)?;
    let is_hexadecimal = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let all = [(version, 2), (trace_id, 32), (span_id, 16), (flags, 2)];
    let has_shape = all.iter().all(|(part, length)| part.len() == *length && part.iter().all(is_hexadecimal));
    let is_known = version != b"ff" && (more.is_empty() || (version != b"00" && more.starts_with(b"-")));
    let is_zero = |id: &[u8]| id.iter().all(|byte| *byte == b'0');
    (has_shape && is_known && !is_zero(trace_id) && !is_zero(span_id)).then_some([trace_id, span_id])
}

/// Reads times of logs.
#[derive(Debug)]
pub(super) struct Calendar {
    zone: TimeZone,
    /// The minute that HAProxy wrote last, `01/Feb/2026:12:14`, and when it began.
    minute: Cell<Option<([u8; 17], i64)>>,
}

impl Calendar {
    /// That of this machine.
    pub(super) fn of_this_machine() -> Self {
        Self { zone: TimeZone::system(), minute: Cell::new(None) }
    }

    /// Milliseconds since 1970 of a time as syslog writes it, or HAProxy: `01/Feb/2026:12:14:14.001`, with or without a zone.
    pub(super) fn ms(&self, text: &[u8]) -> Option<i64> {
        if text.get(2) == Some(&b'/') {
            // Neighbours are of the same minute nearly always. `:14.001` is what differs; with a zone there is more.
            let (minute, seconds) = text.split_first_chunk::<17>()?;
            let digit =
                |at: usize| seconds.get(at).filter(|byte| byte.is_ascii_digit()).map(|byte| i64::from(byte - b'0'));
            let is_local = seconds.len() == 7 && seconds.first() == Some(&b':') && seconds.get(3) == Some(&b'.');
            return match (self.minute.get(), is_local) {
                (Some((known, began)), true) if known == *minute => {
                    let tens = [(1, 10_000), (2, 1000), (4, 100), (5, 10), (6, 1)];
                    tens.iter().try_fold(began, |ms, (at, unit)| Some(ms + digit(*at)? * unit))
                }
                (_, true) => {
                    let began = self.haproxy_ms(&[minute, &b":00"[..]].concat())?;
                    self.minute.set(Some((*minute, began)));
                    self.haproxy_ms(text)
                }
                _ => self.haproxy_ms(text),
            };
        }
        if text.first()?.is_ascii_digit() {
            return Time::of(text)?.as_ms().try_into().ok();
        }
        self.bsd_ms(text, Timestamp::now())
    }

    fn haproxy_ms(&self, text: &[u8]) -> Option<i64> {
        let text = std::str::from_utf8(text).ok()?;
        let (time, zone) = text.split_once(' ').map_or((text, None), |(time, zone)| (time, Some(zone)));
        let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let local = DateTime::strptime("%d/%b/%Y:%H:%M:%S", time).ok()?;
        let ms: i64 = format!("{fraction:0<3.3}").parse().ok()?;
        let time = match zone {
            Some(zone) => {
                let (sign, digits) = zone.split_at_checked(1)?;
                let (hours, minutes) = digits.split_at_checked(2)?;
                let minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
                let utc = local.to_zoned(TimeZone::UTC).ok()?.timestamp();
                utc.as_millisecond() - if sign == "-" { -minutes } else { minutes } * 60_000
            }
            None => local.to_zoned(self.zone.clone()).ok()?.timestamp().as_millisecond(),
        };
        Some(time + ms)
    }

    /// `Feb  1 12:14:14` of the year before `now`.
    fn bsd_ms(&self, text: &[u8], now: Timestamp) -> Option<i64> {
        let text = std::str::from_utf8(text).ok()?;
        let year = now.to_zoned(self.zone.clone()).year();
        let of_year = |year: i16| {
            let time = DateTime::strptime("%Y %b %e %H:%M:%S", format!("{year} {text}")).ok()?;
            Some(time.to_zoned(self.zone.clone()).ok()?.timestamp())
        };
        // Clocks of other machines may be fast.
        let latest = now.saturating_add(SignedDuration::from_hours(24)).ok()?;
        let time = of_year(year).filter(|time| *time <= latest).or_else(|| of_year(year - 1))?;
        Some(time.as_millisecond())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_traceparent_is_one() {
        let good = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let ids: [&[u8]; 2] = [b"4bf92f3577b34da6a3ce929d0e0e4736", b"00f067aa0ba902b7"];
        assert_eq!(traceparent(good), Some(ids));
        assert_eq!(traceparent(b"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"), Some(ids));
        for at in 0..good.len() {
            assert_eq!(traceparent(&good[..at]), None);
            let mut other = *good;
            other[at] = b'G';
            assert_eq!(traceparent(&other), None);
        }
        for text in [
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert_eq!(traceparent(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn labels_are_never_too_long_and_never_break_out() {
        let long = "x".repeat(MAX_CHARACTERS - "unique_id".len());
        let label =
            |id: &str| Witness::new(ExemplarSource::UniqueId, id.as_bytes(), None).map(|witness| witness.labels);
        assert_eq!(label(&long).as_deref(), Some(format!("unique_id=\"{long}\"").as_str()));
        assert_eq!(label(&format!("{long}x")), None);
        assert_eq!(label("a\"b\\").as_deref(), Some(r#"unique_id="a\"b\\""#));
        for id in ["", "-", "a b", "ä", "\n"] {
            assert_eq!(label(id), None, "{id}");
        }
    }

    #[test]
    fn times_are_those_of_their_zone() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let calendar = Calendar { zone, minute: Cell::new(None) };
        for (text, ms) in [
            ("01/Feb/2026:12:14:14.001", 1_769_944_454_001),
            ("01/Feb/2026:12:14:15.020", 1_769_944_455_020),
            ("01/Feb/2026:12:15:00.000", 1_769_944_500_000),
            ("01/Aug/2026:12:14:14.050", 1_785_579_254_050),
            ("01/Feb/2026:12:14:14 +0000", 1_769_948_054_000),
            ("01/Feb/2026:12:14:14 -0130", 1_769_953_454_000),
            ("2026-02-01T12:14:14.572449+01:00", 1_769_944_454_572),
        ] {
            assert_eq!(calendar.ms(text.as_bytes()), Some(ms), "{text}");
        }
        for text in ["", "x", "01/Foo/2026:12:14:14.001", "99/Feb/2026:12:14:14.001", "01/Feb/2026", "Feb 30 12:14:14"]
        {
            assert_eq!(calendar.ms(text.as_bytes()), None, "{text}");
        }
        let now: Timestamp = "2026-02-01T11:14:14Z".parse().unwrap();
        let ms = |text: &str| calendar.bsd_ms(text.as_bytes(), now);
        assert_eq!(ms("Feb  1 12:14:14"), Some(1_769_944_454_000));
        assert_eq!(ms("Feb  2 12:14:13"), Some(1_769_944_454_000 + 86_399_000));
        assert_eq!(ms("Feb  2 12:14:15"), Some(1_769_944_454_000 + 86_401_000 - 365 * 86_400_000));
    }
}
