//! OpenDMARC's metrics, and how its lines update them.

use tailmeter_parsers::opendmarc::{self, Event};
use tailmeter_parsers::{Envelope, Reject};

use super::mail::Count;
use super::{Family, Label, Member, Metric, Plan, Rows};

const METRICS: &[Metric] =
    &[Metric::counter("opendmarc_log_results_total", "Messages that were checked.", &["result"]).with(&["domain"])];

places! { RESULTS }

const LABELS: &[Label] = &[
    Label::new("result", "`pass`, `fail`, `none` without a policy, `temperror` or `permerror`."),
    Label::private("domain", "The domain of the message's `From:`."),
];

/// The places of the labels there.
mod label {
    places! { RESULT, DOMAIN }
}

/// OpenDMARC.
pub const FAMILY: Family = Family {
    name: "opendmarc",
    metrics: METRICS,
    labels: LABELS,
    compat: None,
    member: Some(Member::of::<Opendmarc>()),
};

/// Counts OpenDMARC's events.
pub(super) struct Opendmarc;

impl Count for Opendmarc {
    type Event<'a> = Event<'a>;
    const IS_PROGRAM: fn(&[u8]) -> bool = opendmarc::is_program;
    const READ: for<'a> fn(&'a [u8], &Envelope<'a>) -> Result<Event<'a>, Reject> = opendmarc::read;

    fn new(_: &Plan) -> Self {
        Self
    }

    fn count(&mut self, event: &Event<'_>, _: &Envelope<'_>, rows: &mut Rows) {
        let Event::Checked(checked) = event else { return };
        rows.count(RESULTS, |label| match label {
            label::RESULT => checked.result.as_bytes(),
            label::DOMAIN => checked.domain,
            _ => b"",
        });
    }
}
