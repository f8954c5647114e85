//! Sendmail's metrics, and how its lines update them.

use tailmeter_parsers::sendmail::{self, Delivery, Event};
use tailmeter_parsers::{Envelope, Reject};

use super::mail::Count;
use super::{Family, Label, Member, Metric, Plan, Rows, Unit};

/// Upper bounds of delays, in seconds.
const DELAYS: (Unit, &[f64]) = (
    Unit::Seconds,
    &[0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0, 432_000.0],
);

const METRICS: &[Metric] = &[
    Metric::counter("sendmail_log_messages_received_total", "Messages that came in.", &["protocol"]),
    Metric::histogram(
        "sendmail_log_message_size_bytes",
        "Size of the messages that came in (size).",
        (Unit::Bytes, &[1e3, 1e4, 1e5, 1e6, 1e7, 5e7]),
        &[],
    ),
    Metric::counter(
        "sendmail_log_deliveries_total",
        "What became of recipients, each attempt once; a line may have several recipients.",
        &["mailer", "result", "dsn_class"],
    ),
    Metric::histogram(
        "sendmail_log_delivery_delay_seconds",
        "Time from a message's arrival to the end of an attempt to deliver it (delay), in whole seconds, once a line.",
        DELAYS,
        &["mailer", "result"],
    ),
    Metric::histogram(
        "sendmail_log_delivery_transmission_seconds",
        "Time that an attempt to deliver took (xdelay), in whole seconds, once a line.",
        DELAYS,
        &["mailer", "result"],
    ),
    Metric::counter("sendmail_log_rejects_total", "What was refused to clients.", &["ruleset", "code"]),
    Metric::counter("sendmail_log_auth_failures_total", "Clients that could not prove who they are.", &[])
        .with(&["mechanism"]),
];

places! {
    MESSAGES_RECEIVED, MESSAGE_SIZE, DELIVERIES, DELIVERY_DELAY, DELIVERY_TRANSMISSION, REJECTS, AUTH_FAILURES
}

const LABELS: &[Label] = &[
    Label::new("protocol", "`ESMTP`, `ESMTPS`, `ESMTPSA`, `SMTP`, …, `local` when handed in on this host, or `other`."),
    Label::new("mailer", "The mailer, by its name in the configuration; `none` when none was reached."),
    Label::new("result", "`sent`, `deferred`, `queued`, `quarantined` or `failed`."),
    Label::new("dsn_class", "First digit of the delivery status: `2`, `4` or `5`; `none` without one."),
    Label::new(
        "ruleset",
        "The ruleset that refused, for example `check_rcpt`; `milter`, or `none` where Sendmail did by itself.",
    ),
    Label::new("code", "The reply's three digits; `none` where the line has none."),
    Label::new("mechanism", "The SASL mechanism; `other` for one that is not registered."),
];

/// The places of the labels there.
mod label {
    places! { PROTOCOL, MAILER, RESULT, DSN_CLASS, RULESET, CODE, MECHANISM }
}

/// Sendmail.
pub const FAMILY: Family =
    Family { name: "sendmail", metrics: METRICS, labels: LABELS, compat: None, member: Some(Member::of::<Sendmail>()) };

/// Counts Sendmail's events.
pub(super) struct Sendmail;

impl Count for Sendmail {
    type Event<'a> = Event<'a>;
    const IS_PROGRAM: fn(&[u8]) -> bool = sendmail::is_program;
    const READ: for<'a> fn(&'a [u8], &Envelope<'a>) -> Result<Event<'a>, Reject> = sendmail::read;

    fn new(_: &Plan) -> Self {
        Self
    }

    fn count(&mut self, event: &Event<'_>, _: &Envelope<'_>, rows: &mut Rows) {
        match event {
            Event::Message(message) if message.is_received() => {
                rows.count(MESSAGES_RECEIVED, |label| match label {
                    label::PROTOCOL => message.protocol_label().as_bytes(),
                    _ => b"",
                });
                rows.observe(MESSAGE_SIZE, i64::try_from(message.size_bytes).unwrap_or(i64::MAX), |_| b"");
            }
            Event::Delivery(delivery) => count_delivery(delivery, rows),
            Event::Rejection(rejection) => rows.count(REJECTS, |label| match label {
                label::RULESET => rejection.ruleset_label(),
                label::CODE => rejection.code_label(),
                _ => b"",
            }),
            Event::AuthenticationFailure(failure) => rows.count(AUTH_FAILURES, |label| match label {
                label::MECHANISM => failure.mechanism_label().as_bytes(),
                _ => b"",
            }),
            Event::Message(_) | Event::Known(_) => {}
        }
    }
}

fn count_delivery(delivery: &Delivery<'_>, rows: &mut Rows) {
    let value = |label| match label {
        label::MAILER => delivery.mailer_label(),
        label::RESULT => delivery.result.as_bytes(),
        label::DSN_CLASS => delivery.dsn_class().as_bytes(),
        _ => b"",
    };
    rows.add(DELIVERIES, i64::try_from(delivery.recipient_count()).unwrap_or(1), value);
    for (metric, time_ms) in [(DELIVERY_DELAY, delivery.delay_ms), (DELIVERY_TRANSMISSION, delivery.transmission_ms)] {
        if let Some(time_ms) = time_ms.and_then(|ms| i64::try_from(ms).ok()) {
            rows.observe(metric, time_ms, value);
        }
    }
}
