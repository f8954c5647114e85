//! rspamd's metrics, and how its lines update them.

use tailmeter_parsers::rspamd::{self, Event};
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
    Metric::counter("rspamd_log_messages_total", "Messages that were judged.", &["action"]),
    Metric::histogram("rspamd_log_scan_duration_seconds", "Time that this took.", TIMES, &[]).with(&["action"]),
    Metric::histogram("rspamd_log_score", "Score of the messages, in points.", SCORES, &[]).with(&["action"]),
    Metric::counter(
        "rspamd_log_symbols_total",
        "Symbols that matched; counted only if the configuration names this metric.",
        &["symbol"],
    )
    .off(),
];

places! { MESSAGES, SCAN_DURATION, SCORE, SYMBOLS }

const LABELS: &[Label] = &[
    Label::new(
        "action",
        "What is to be done: `no action`, `greylist`, `add header`, `rewrite subject`, `soft reject`, `reject`, `discard`, \
         `quarantine`, `accept`, `unknown action`, or `other` for one of the configuration's own.",
    ),
    Label::new("symbol", "Name of a symbol, as rspamd's configuration has it."),
];

/// The places of the labels there.
mod label {
    places! { ACTION, SYMBOL }
}

/// rspamd.
pub const FAMILY: Family =
    Family { name: "rspamd", metrics: METRICS, labels: LABELS, compat: None, member: Some(Member::of::<Rspamd>()) };

/// Counts rspamd's events.
pub(super) struct Rspamd;

impl Count for Rspamd {
    type Event<'a> = Event<'a>;
    const IS_PROGRAM: fn(&[u8]) -> bool = rspamd::is_program;
    const ENVELOPE: Option<fn(&[u8]) -> Envelope<'_>> = Some(rspamd::envelope);
    const READ: for<'a> fn(&'a [u8], &Envelope<'a>) -> Result<Event<'a>, Reject> = rspamd::read;

    fn new(_: &Plan) -> Self {
        Self
    }

    fn count(&mut self, event: &Event<'_>, _: &Envelope<'_>, rows: &mut Rows) {
        let Event::Task(task) = event else { return };
        let value = |label| match label {
            label::ACTION => task.action.as_bytes(),
            _ => b"",
        };
        rows.count(MESSAGES, value);
        rows.observe(SCAN_DURATION, task.time_ms as i64, value);
        if let Some(score) = task.score {
            rows.observe(SCORE, score, value);
        }
        if rows.has(SYMBOLS) {
            for symbol in task.symbols {
                rows.count(SYMBOLS, |label| if label == label::SYMBOL { symbol } else { value(label) });
            }
        }
    }
}
