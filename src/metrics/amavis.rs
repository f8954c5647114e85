//! amavis's metrics, and how its lines update them.

use tailmeter_parsers::amavis::{self, Event};
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
    Metric::counter(
        "amavis_log_messages_total",
        "Messages that were let pass or held back; one whose recipients fare differently is both.",
        &["verdict", "category"],
    ),
    Metric::histogram("amavis_log_scan_duration_seconds", "Time that amavis took for a message.", TIMES, &[])
        .with(&["verdict", "category"]),
    Metric::histogram("amavis_log_score", "Score of the messages that have one, in points.", SCORES, &[])
        .with(&["verdict", "category"]),
];

places! { MESSAGES, SCAN_DURATION, SCORE }

const LABELS: &[Label] = &[
    Label::new("verdict", "`Passed`, `Blocked` or `Not-Delivered`."),
    Label::new(
        "category",
        "What the message is: `CLEAN`, `SPAM`, `SPAMMY`, `INFECTED`, `BANNED`, `UNCHECKED`, `UNCHECKED-ENCRYPTED`, \
         `UNCHECKED-OVER-LIMITS`, `BAD-HEADER`, `OVERSIZED`, `MTA-BLOCKED`, `TEMPFAIL`, `OTHER`, `CATCHALL` or `other`.",
    ),
];

/// The places of the labels there.
mod label {
    places! { VERDICT, CATEGORY }
}

/// amavis.
pub const FAMILY: Family =
    Family { name: "amavis", metrics: METRICS, labels: LABELS, compat: None, member: Some(Member::of::<Amavis>()) };

/// Counts amavis's events.
pub(super) struct Amavis;

impl Count for Amavis {
    type Event<'a> = Event<'a>;
    const IS_PROGRAM: fn(&[u8]) -> bool = amavis::is_program;
    const READ: for<'a> fn(&'a [u8], &Envelope<'a>) -> Result<Event<'a>, Reject> = amavis::read;

    fn new(_: &Plan) -> Self {
        Self
    }

    fn count(&mut self, event: &Event<'_>, _: &Envelope<'_>, rows: &mut Rows) {
        let Event::Verdict(found) = event else { return };
        let value = |label| match label {
            label::VERDICT => found.verdict.as_bytes(),
            label::CATEGORY => found.category.as_bytes(),
            _ => b"",
        };
        rows.count(MESSAGES, value);
        if let Some(elapsed_ms) = found.elapsed_ms {
            rows.observe(SCAN_DURATION, elapsed_ms as i64, value);
        }
        if let Some(score) = found.score {
            rows.observe(SCORE, score, value);
        }
    }
}
