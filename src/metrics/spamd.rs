//! spamd's metrics, and how its lines update them.

use tailmeter_parsers::spamd::{self, Event};
use tailmeter_parsers::{Envelope, Reject};

use super::mail::Count;
use super::{Family, Label, Member, Metric, Plan, Rows, Unit};

/// Upper bounds of the times that a scan takes, in seconds.
const TIMES: (Unit, &[f64]) =
    (Unit::Seconds, &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0]);

/// Upper bounds of scores.
const SCORES: (Unit, &[f64]) = (
    Unit::Points,
    &[-10.0, -5.0, -2.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0, 50.0, 100.0],
);

const METRICS: &[Metric] = &[
    Metric::counter("spamd_log_messages_total", "Messages that were judged.", &["result"]),
    Metric::histogram("spamd_log_scan_duration_seconds", "Time that this took.", TIMES, &[]).with(&["result"]),
    Metric::histogram("spamd_log_score", "Score of the messages, in whole points.", SCORES, &[]).with(&["result"]),
];

places! { MESSAGES, SCAN_DURATION, SCORE }

const LABELS: &[Label] = &[Label::new("result", "`spam` or `clean`.")];

/// The places of the labels there.
mod label {
    places! { RESULT }
}

/// spamd.
pub const FAMILY: Family =
    Family { name: "spamd", metrics: METRICS, labels: LABELS, compat: None, member: Some(Member::of::<Spamd>()) };

/// Counts spamd's events.
pub(super) struct Spamd;

impl Count for Spamd {
    type Event<'a> = Event<'a>;
    const IS_PROGRAM: fn(&[u8]) -> bool = spamd::is_program;
    const ENVELOPE: Option<fn(&[u8]) -> Envelope<'_>> = Some(spamd::envelope);
    const READ: for<'a> fn(&'a [u8], &Envelope<'a>) -> Result<Event<'a>, Reject> = spamd::read;

    fn new(_: &Plan) -> Self {
        Self
    }

    fn count(&mut self, event: &Event<'_>, _: &Envelope<'_>, rows: &mut Rows) {
        let Event::Verdict(verdict) = event else { return };
        let result: &[u8] = if verdict.is_spam { b"spam" } else { b"clean" };
        let value = |label| if label == label::RESULT { result } else { b"" };
        rows.count(MESSAGES, value);
        rows.observe(SCAN_DURATION, verdict.scan_ms as i64, value);
        rows.observe(SCORE, verdict.score, value);
    }
}
