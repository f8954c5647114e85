//! OpenSMTPD's metrics, and how its lines update them.

use tailmeter_parsers::opensmtpd::{self, Event};
use tailmeter_parsers::{Envelope, Reject};

use super::mail::Count;
use super::{Family, Label, Member, Metric, Plan, Rows, Unit};

const METRICS: &[Metric] = &[
    Metric::counter("opensmtpd_log_connections_total", "Connections of clients, as they begin and end.", &["event"]),
    Metric::counter("opensmtpd_log_messages_received_total", "Messages that came in.", &[]).with(&["protocol"]),
    Metric::histogram(
        "opensmtpd_log_message_size_bytes",
        "Size of the messages that came in (size).",
        (Unit::Bytes, &[1e3, 1e4, 1e5, 1e6, 1e7, 5e7]),
        &[],
    ),
    Metric::counter(
        "opensmtpd_log_deliveries_total",
        "What became of recipients, each attempt once.",
        &["agent", "result"],
    ),
    Metric::histogram(
        "opensmtpd_log_delivery_delay_seconds",
        "Time from a message's arrival to the end of an attempt to deliver it (delay), in whole seconds.",
        (
            Unit::Seconds,
            &[0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0, 432_000.0],
        ),
        &["agent", "result"],
    ),
    Metric::counter("opensmtpd_log_auth_failures_total", "Clients that could not prove who they are.", &[]),
];

places! { CONNECTIONS, MESSAGES_RECEIVED, MESSAGE_SIZE, DELIVERIES, DELIVERY_DELAY, AUTH_FAILURES }

const LABELS: &[Label] = &[
    Label::new("event", "`connected` or `disconnected`."),
    Label::new("protocol", "`ESMTP`, `SMTP` or `other`."),
    Label::new("agent", "`mda` for delivery on this host, `mta` for delivery to another."),
    Label::new("result", "`Ok`, `TempFail`, `PermFail` or `other`."),
];

/// The places of the labels there.
mod label {
    places! { EVENT, PROTOCOL, AGENT, RESULT }
}

/// OpenSMTPD.
pub const FAMILY: Family = Family {
    name: "opensmtpd",
    metrics: METRICS,
    labels: LABELS,
    compat: None,
    member: Some(Member::of::<Opensmtpd>()),
};

/// Counts OpenSMTPD's events.
pub(super) struct Opensmtpd;

impl Count for Opensmtpd {
    type Event<'a> = Event<'a>;
    const IS_PROGRAM: fn(&[u8]) -> bool = opensmtpd::is_program;
    const READ: for<'a> fn(&'a [u8], &Envelope<'a>) -> Result<Event<'a>, Reject> = opensmtpd::read;

    fn new(_: &Plan) -> Self {
        Self
    }

    fn count(&mut self, event: &Event<'_>, _: &Envelope<'_>, rows: &mut Rows) {
        match event {
            Event::Connection(connection) => rows.count(CONNECTIONS, |label| match label {
                label::EVENT => connection.event.as_bytes(),
                _ => b"",
            }),
            Event::Message(message) => {
                rows.count(MESSAGES_RECEIVED, |label| match (label, message.protocol) {
                    (label::PROTOCOL, known @ (b"ESMTP" | b"SMTP")) => known,
                    _ => b"other",
                });
                rows.observe(MESSAGE_SIZE, i64::try_from(message.size_bytes).unwrap_or(i64::MAX), |_| b"");
            }
            Event::Delivery(delivery) => {
                let value = |label| match label {
                    label::AGENT => delivery.agent.as_bytes(),
                    label::RESULT => delivery.result.as_bytes(),
                    _ => b"",
                };
                rows.count(DELIVERIES, value);
                if let Some(delay_ms) = delivery.delay_ms.and_then(|ms| i64::try_from(ms).ok()) {
                    rows.observe(DELIVERY_DELAY, delay_ms, value);
                }
            }
            Event::Authentication(authentication) if authentication.result == "permfail" => {
                rows.count(AUTH_FAILURES, |_| b"");
            }
            Event::Authentication(_) | Event::Known(_) => {}
        }
    }
}
