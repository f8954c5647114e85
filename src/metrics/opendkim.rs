//! OpenDKIM's metrics, and how its lines update them.

use tailmeter_parsers::opendkim::{self, Event};
use tailmeter_parsers::{Envelope, Reject};

use super::mail::Count;
use super::{Family, Label, Member, Metric, Plan, Rows};

const METRICS: &[Metric] = &[
    Metric::counter("opendkim_log_verifications_total", "Messages that were verified.", &["result"]),
    Metric::counter("opendkim_log_signatures_total", "Signatures that were added.", &[]).with(&["domain"]),
];

places! { VERIFICATIONS, SIGNATURES }

const LABELS: &[Label] = &[
    Label::new(
        "result",
        "`pass`, `fail`, `none` without a signature, `temperror` without a key, or `permerror` for a revoked key or a broken \
         signature.",
    ),
    Label::private("domain", "The domain that signs."),
];

/// The places of the labels there.
mod label {
    places! { RESULT, DOMAIN }
}

/// OpenDKIM.
pub const FAMILY: Family =
    Family { name: "opendkim", metrics: METRICS, labels: LABELS, compat: None, member: Some(Member::of::<Opendkim>()) };

/// Counts OpenDKIM's events.
pub(super) struct Opendkim;

impl Count for Opendkim {
    type Event<'a> = Event<'a>;
    const IS_PROGRAM: fn(&[u8]) -> bool = opendkim::is_program;
    const READ: for<'a> fn(&'a [u8], &Envelope<'a>) -> Result<Event<'a>, Reject> = opendkim::read;

    fn new(_: &Plan) -> Self {
        Self
    }

    fn count(&mut self, event: &Event<'_>, _: &Envelope<'_>, rows: &mut Rows) {
        match event {
            Event::Verified(verified) => rows.count(VERIFICATIONS, |label| match label {
                label::RESULT => verified.result.as_bytes(),
                _ => b"",
            }),
            Event::Signed(signed) => rows.count(SIGNATURES, |label| match label {
                label::DOMAIN => signed.domain,
                _ => b"",
            }),
            Event::Known(_) => {}
        }
    }
}
