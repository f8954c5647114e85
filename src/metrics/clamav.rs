//! ClamAV's metrics, and how its lines update them.

use tailmeter_parsers::clamav::{self, Event};
use tailmeter_parsers::{Envelope, Reject};

use super::mail::Count;
use super::{Family, Label, Member, Metric, Plan, Rows};

const METRICS: &[Metric] = &[Metric::counter(
    "clamav_log_infected_total",
    "Infected files, streams and messages; where clamd and clamav-milter log to the same place, each counts.",
    &[],
)
.with(&["program", "signature"])];

places! { INFECTED }

const LABELS: &[Label] = &[
    Label::new("program", "`clamd` or `clamav-milter`."),
    Label::private("signature", "Name of the signature that matched."),
];

/// The places of the labels there.
mod label {
    places! { PROGRAM, SIGNATURE }
}

/// ClamAV.
pub const FAMILY: Family =
    Family { name: "clamav", metrics: METRICS, labels: LABELS, compat: None, member: Some(Member::of::<Clamav>()) };

/// Counts ClamAV's events.
pub(super) struct Clamav;

impl Count for Clamav {
    type Event<'a> = Event<'a>;
    const IS_PROGRAM: fn(&[u8]) -> bool = clamav::is_program;
    const ENVELOPE: Option<fn(&[u8]) -> Envelope<'_>> = Some(clamav::envelope);
    const READ: for<'a> fn(&'a [u8], &Envelope<'a>) -> Result<Event<'a>, Reject> = clamav::read;

    fn new(_: &Plan) -> Self {
        Self
    }

    fn count(&mut self, event: &Event<'_>, _: &Envelope<'_>, rows: &mut Rows) {
        let Event::Infected(infected) = event else { return };
        rows.count(INFECTED, |label| match label {
            label::PROGRAM => infected.program.as_bytes(),
            label::SIGNATURE => infected.signature,
            _ => b"",
        });
    }
}
