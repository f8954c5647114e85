//! postgrey's metrics, and how its lines update them.

use tailmeter_parsers::postgrey::{self, Event};
use tailmeter_parsers::{Envelope, Reject};

use super::mail::Count;
use super::{Family, Label, Member, Metric, Plan, Rows, Unit};

const METRICS: &[Metric] = &[
    Metric::counter("postgrey_log_actions_total", "Requests answered.", &["action", "reason"]),
    Metric::histogram(
        "postgrey_log_delay_seconds",
        "Time between the first attempt of a triplet and the one that passed.",
        (Unit::Seconds, &[60.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0, 86_400.0, 432_000.0]),
        &[],
    ),
];

places! { ACTIONS, DELAY }

const LABELS: &[Label] = &[
    Label::new("action", "What Postfix was told: `pass`, `greylist` or `other`."),
    Label::new(
        "reason",
        "`new`, `early_retry`, `triplet_found`, `client_whitelist`, `recipient_whitelist`, `client_auto_whitelist` or `other`.",
    ),
];

/// The places of the labels there.
mod label {
    places! { ACTION, REASON }
}

/// postgrey.
pub const FAMILY: Family =
    Family { name: "postgrey", metrics: METRICS, labels: LABELS, compat: None, member: Some(Member::of::<Postgrey>()) };

/// Counts postgrey's events.
pub(super) struct Postgrey;

impl Count for Postgrey {
    type Event<'a> = Event<'a>;
    const IS_PROGRAM: fn(&[u8]) -> bool = postgrey::is_program;
    const READ: for<'a> fn(&'a [u8], &Envelope<'a>) -> Result<Event<'a>, Reject> = postgrey::read;

    fn new(_: &Plan) -> Self {
        Self
    }

    fn count(&mut self, event: &Event<'_>, _: &Envelope<'_>, rows: &mut Rows) {
        let Event::Action(action) = event else { return };
        let word: &[u8] = match action.action {
            known @ (b"pass" | b"greylist") => known,
            _ => b"other",
        };
        rows.count(ACTIONS, |label| match label {
            label::ACTION => word,
            label::REASON => action.reason.as_bytes(),
            _ => b"",
        });
        if let Some(delay_s) = action.delay_s {
            rows.observe(DELAY, delay_s as i64 * 1000, |_| b"");
        }
    }
}
