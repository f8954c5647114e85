//! Exim's metrics, and how its lines update them.
//!
//! `under_way` follows a message from line to line, for what can only be known at its end.

mod under_way;

use tailmeter_parsers::exim::{self, Arrival, Delivery, DeliveryResult, Event};
use tailmeter_parsers::{Envelope, Reject};

use self::under_way::UnderWay;
use super::correlator::Correlator;
use super::mail::Count;
use super::{Family, Kind, Label, Member, Metric, Plan, Rows, Unit};

/// Upper bounds of times that messages and deliveries take, in seconds.
const DELAYS: (Unit, &[f64]) = (
    Unit::Seconds,
    &[0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0, 432_000.0],
);

const METRICS: &[Metric] = &[
    Metric::counter("exim_log_messages_received_total", "Messages that came in (`<=`).", &["protocol", "tls"]),
    Metric::histogram(
        "exim_log_message_size_bytes",
        "Size of the messages that came in (S).",
        (Unit::Bytes, &[1e3, 1e4, 1e5, 1e6, 1e7, 5e7]),
        &[],
    ),
    Metric::counter(
        "exim_log_deliveries_total",
        "What became of recipients, each attempt once.",
        &["transport", "result"],
    )
    .with(&["router"]),
    Metric::counter("exim_log_completed_total", "Messages of which nothing was left to do (`Completed`).", &[]),
    Metric::histogram(
        "exim_log_queue_duration_seconds",
        "Time since a message's arrival (QT), at its end or at each delivery, where Exim logs it.",
        DELAYS,
        &["scope"],
    ),
    Metric::histogram(
        "exim_log_delivery_duration_seconds",
        "Time that a delivery took (DT), where Exim logs it; not that of failures, where another server could write it.",
        DELAYS,
        &["transport", "result"],
    )
    .with(&["router"]),
    Metric::histogram(
        "exim_log_receive_duration_seconds",
        "Time that receiving a message took (RT), where Exim logs it.",
        DELAYS,
        &[],
    ),
    Metric::counter("exim_log_rejects_total", "What was refused to clients.", &["phase", "reason"]).with(&["temporary"]),
    Metric::counter("exim_log_auth_failures_total", "Clients that could not prove who they are.", &["mechanism"]),
    Metric::counter(
        "exim_log_tls_connections_total",
        "Messages that came, and deliveries that went, over TLS; connections used again are counted once where Exim says so.",
        &["direction", "protocol"],
    ),
    Metric::histogram(
        "exim_log_message_duration_seconds",
        "Time from a message's arrival to its completion, once a message.",
        DELAYS,
        &["outcome"],
    ),
    Metric { kind: Kind::Gauge, ..Metric::counter("exim_log_correlator_messages", "Messages under way.", &[]) },
    Metric::counter(
        "exim_log_correlator_evictions_total",
        "Messages forgotten before their end, because there were too many or they took too long.",
        &[],
    ),
];

places! {
    MESSAGES_RECEIVED, MESSAGE_SIZE, DELIVERIES, COMPLETED, QUEUE_DURATION, DELIVERY_DURATION, RECEIVE_DURATION, REJECTS,
    AUTH_FAILURES, TLS_CONNECTIONS, MESSAGE_DURATION, CORRELATOR_MESSAGES, CORRELATOR_EVICTIONS
}

const LABELS: &[Label] = &[
    Label::new(
        "protocol",
        "In `messages_received_total` Exim's word, for example `esmtps` or `local`, or `other`; in \
         `tls_connections_total` the version of TLS, for example `TLSv1.3`.",
    ),
    Label::new("tls", "`true` when it came over TLS."),
    Label::new("transport", "The transport, by its name in the configuration; `none` when none was reached."),
    Label::new("router", "The router, by its name in the configuration; `none` when none was reached."),
    Label::new("result", "`delivered`, `additional`, `cutthrough`, `suppressed`, `deferred` or `failed`."),
    Label::new(
        "scope",
        "`message` for the whole time of a message on the queue, `delivery` for that until a delivery.",
    ),
    Label::new(
        "phase",
        "What the client did, by Exim's name of the ACL that runs then: `CONNECT`, `HELO`, `AUTH`, `STARTTLS`, `MAIL`, \
         `RCPT`, `PREDATA`, `DATA`, `MIME`, `PRDR`, `DKIM`, `VRFY`, `EXPN`, `ETRN`, `non-SMTP`, `local_scan`, …, or `other`.",
    ),
    Label::new(
        "reason",
        "Why, as a word: `relay_denied`, `recipient_unknown`, `recipient`, `sender`, `dnsbl`, `greylist`, `rate_limit`, \
         `virus`, `spam`, `size`, `quota`, `syntax`, `rdns`, `helo`, `spf`, `dmarc`, `callout`, `policy`, `protocol` or `other`.",
    ),
    Label::new("temporary", "`true` when the client may come again."),
    Label::new("mechanism", "The authenticator, by its name in the configuration."),
    Label::new("direction", "`inbound` or `outbound`."),
    Label::new("outcome", "What became of all recipients: `sent`, `bounced`, `expired`, or `mixed`."),
];

/// The places of the labels there.
mod label {
    places! {
        PROTOCOL, TLS, TRANSPORT, ROUTER, RESULT, SCOPE, PHASE, REASON, TEMPORARY, MECHANISM, DIRECTION, OUTCOME
    }
}

/// Exim.
pub const FAMILY: Family =
    Family { name: "exim", metrics: METRICS, labels: LABELS, compat: None, member: Some(Member::of::<Exim>()) };

/// Counts Exim's events.
pub(super) struct Exim {
    under_way: UnderWay,
}

impl Count for Exim {
    type Event<'a> = Event<'a>;
    const IS_PROGRAM: fn(&[u8]) -> bool = exim::is_program;
    const ENVELOPE: Option<fn(&[u8]) -> Envelope<'_>> = Some(exim::envelope);
    const READ: for<'a> fn(&'a [u8], &Envelope<'a>) -> Result<Event<'a>, Reject> = exim::read;

    fn new(_: &Plan) -> Self {
        Self { under_way: UnderWay::default() }
    }

    fn count(&mut self, event: &Event<'_>, envelope: &Envelope<'_>, rows: &mut Rows) {
        self.under_way.follow(event, envelope, rows);
        match event {
            Event::Arrival(arrival) => count_arrival(arrival, rows),
            Event::Delivery(delivery) => count_delivery(delivery, rows),
            Event::Completed(completed) => {
                rows.count(COMPLETED, |_| b"");
                observe_queue(b"message", completed.queue_time_ms, rows);
            }
            Event::Rejection(rejection) => rows.count(REJECTS, |label| match label {
                label::PHASE => rejection.phase.as_bytes(),
                label::REASON => rejection.reason_label.as_bytes(),
                label::TEMPORARY => truth(rejection.is_temporary),
                _ => b"",
            }),
            Event::AuthenticationFailure(failure) => rows.count(AUTH_FAILURES, |label| match label {
                label::MECHANISM => failure.authenticator,
                _ => b"",
            }),
            Event::Known(_) => {}
        }
    }

    fn settle(&mut self, rows: &mut Rows) {
        self.under_way.messages.settle(CORRELATOR_MESSAGES, CORRELATOR_EVICTIONS, rows);
    }

    fn correlator(&self) -> Option<&Correlator> {
        Some(&self.under_way.messages)
    }

    fn correlator_mut(&mut self) -> Option<&mut Correlator> {
        Some(&mut self.under_way.messages)
    }
}

fn count_arrival(arrival: &Arrival<'_>, rows: &mut Rows) {
    rows.count(MESSAGES_RECEIVED, |label| match label {
        label::PROTOCOL => arrival.protocol_label().as_bytes(),
        label::TLS => truth(arrival.is_tls()),
        _ => b"",
    });
    observe(rows, MESSAGE_SIZE, arrival.size_bytes, |_| b"");
    observe(rows, RECEIVE_DURATION, arrival.receive_time_ms, |_| b"");
    if let Some(version) = arrival.tls_version() {
        count_tls(b"inbound", version, rows);
    }
}

fn count_delivery(delivery: &Delivery<'_>, rows: &mut Rows) {
    let value = |label| match label {
        label::TRANSPORT => delivery.transport_label(),
        label::ROUTER => delivery.router_label(),
        label::RESULT => delivery.result.as_str().as_bytes(),
        _ => b"",
    };
    rows.count(DELIVERIES, value);
    observe(rows, DELIVERY_DURATION, delivery.delivery_time_ms, value);
    observe_queue(b"delivery", delivery.queue_time_ms, rows);
    let is_connection = matches!(delivery.result, DeliveryResult::Delivered | DeliveryResult::Cutthrough);
    if let (true, false, Some(version)) = (is_connection, delivery.is_reused, delivery.tls_version()) {
        count_tls(b"outbound", version, rows);
    }
}

fn count_tls(direction: &[u8], version: &'static str, rows: &mut Rows) {
    rows.count(TLS_CONNECTIONS, |label| match label {
        label::DIRECTION => direction,
        label::PROTOCOL => version.as_bytes(),
        _ => b"",
    });
}

fn observe_queue(scope: &[u8], time_ms: Option<u64>, rows: &mut Rows) {
    observe(rows, QUEUE_DURATION, time_ms, |label| match label {
        label::SCOPE => scope,
        _ => b"",
    });
}

fn observe<'v>(rows: &mut Rows, metric: usize, amount: Option<u64>, value: impl Fn(usize) -> &'v [u8]) {
    if let Some(amount) = amount.and_then(|amount| i64::try_from(amount).ok()) {
        rows.observe(metric, amount, value);
    }
}

const fn truth(is_true: bool) -> &'static [u8] {
    if is_true { b"true" } else { b"false" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_are_those_of_the_tables() {
        assert_eq!(METRICS[CORRELATOR_EVICTIONS].name, "exim_log_correlator_evictions_total");
        assert_eq!(METRICS[REJECTS].name, "exim_log_rejects_total");
        assert_eq!(LABELS[label::OUTCOME].name, "outcome");
        assert_eq!(LABELS[label::PHASE].name, "phase");
    }
}
