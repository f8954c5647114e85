//! policyd-spf's metrics, and how its lines update them.

use tailmeter_parsers::spf::{self, Event};
use tailmeter_parsers::{Envelope, Reject};

use super::mail::Count;
use super::{Family, Label, Member, Metric, Plan, Rows};

const METRICS: &[Metric] =
    &[Metric::counter("spf_log_results_total", "Senders that were checked.", &["result", "identity"])
        .with(&["action"])];

places! { RESULTS }

const LABELS: &[Label] = &[
    Label::new(
        "result",
        "`pass`, `fail`, `softfail`, `neutral`, `none`, `permerror`, `temperror`, `skipped` for clients that are not checked, or \
         `other`.",
    ),
    Label::new("identity", "What was checked: `mailfrom` or `helo`; `none` where the line does not say, or `other`."),
    Label::new(
        "action",
        "What Postfix was told: `prepend`, `reject`, `defer`, `result_only` for a restriction class, or `none`.",
    ),
];

/// The places of the labels there.
mod label {
    places! { RESULT, IDENTITY, ACTION }
}

/// policyd-spf.
pub const FAMILY: Family =
    Family { name: "spf", metrics: METRICS, labels: LABELS, compat: None, member: Some(Member::of::<Spf>()) };

/// Counts policyd-spf's events.
pub(super) struct Spf;

impl Count for Spf {
    type Event<'a> = Event<'a>;
    const IS_PROGRAM: fn(&[u8]) -> bool = spf::is_program;
    const READ: for<'a> fn(&'a [u8], &Envelope<'a>) -> Result<Event<'a>, Reject> = spf::read;

    fn new(_: &Plan) -> Self {
        Self
    }

    fn count(&mut self, event: &Event<'_>, _: &Envelope<'_>, rows: &mut Rows) {
        let Event::Check(check) = event else { return };
        rows.count(RESULTS, |label| match label {
            label::RESULT => check.result.as_bytes(),
            label::IDENTITY => check.identity.as_bytes(),
            label::ACTION => check.action.as_bytes(),
            _ => b"",
        });
    }
}
