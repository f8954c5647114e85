//! Stalwart's metrics, and how its lines update them.

use tailmeter_parsers::stalwart::{self, Event, Logged};
use tailmeter_parsers::{Envelope, Reject};

use super::mail::Count;
use super::{Family, Label, Member, Metric, Plan, Rows, Unit};

const METRICS: &[Metric] = &[
    Metric::counter("stalwart_log_events_total", "Events.", &["event", "level"]).with(LISTENER),
    Metric::histogram(
        "stalwart_log_event_duration_seconds",
        "How long it took what the events tell of (`elapsed`); of `delivery.completed` the message's whole time in the queue.",
        (
            Unit::Seconds,
            &[
                0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0, 14_400.0,
                86_400.0, 432_000.0,
            ],
        ),
        &["event"],
    )
    .with(LISTENER),
    Metric::histogram(
        "stalwart_log_message_size_bytes",
        "Size of the messages that came into the queue.",
        (Unit::Bytes, &[1e3, 1e4, 1e5, 1e6, 1e7, 5e7]),
        &[],
    )
    .with(LISTENER),
    Metric::counter(
        "stalwart_log_auth_failures_total",
        "Logins that failed (`auth.failed`, which is of the level `debug` unless configured otherwise).",
        &[],
    )
    .with(LISTENER),
    Metric::counter(
        "stalwart_log_deliveries_total",
        "Recipients whose message was delivered or returned, and messages whose delivery was put off.",
        &["result"],
    ),
];

/// What may be added to the labels of metrics of what clients do.
const LISTENER: &[&str] = &["listener"];

places! { EVENTS, EVENT_DURATION, MESSAGE_SIZE, AUTH_FAILURES, DELIVERIES }

const LABELS: &[Label] = &[
    Label::new("event", "The event's id in Stalwart's documentation, for example `delivery.delivered`."),
    Label::new("level", "`error`, `warn`, `info`, `debug` or `trace`; `none` in JSON, which does not have it."),
    Label::new(
        "result",
        "`delivered` (`delivery.dsn-success`), `failed` (`delivery.dsn-perm-fail`) or `deferred` (`queue.rescheduled`).",
    ),
    Label::new(
        "listener",
        "The listener that the client came by, as the configuration calls it; `none` where there was no client.",
    ),
];

/// The places of the labels there.
mod label {
    places! { EVENT, LEVEL, RESULT, LISTENER }
}

/// Stalwart.
pub const FAMILY: Family =
    Family { name: "stalwart", metrics: METRICS, labels: LABELS, compat: None, member: Some(Member::of::<Stalwart>()) };

/// Events that say what became of a recipient or a message, and what that is called.
const RESULTS: [(&[u8], &str); 3] =
    [(b"delivery.dsn-success", "delivered"), (b"delivery.dsn-perm-fail", "failed"), (b"queue.rescheduled", "deferred")];

/// Longest name of a listener, in bytes.
const MAX_LISTENER: usize = 64;

/// Counts Stalwart's events.
pub(super) struct Stalwart;

impl Count for Stalwart {
    type Event<'a> = Event<'a>;
    const IS_PROGRAM: fn(&[u8]) -> bool = stalwart::is_program;
    const ENVELOPE: Option<fn(&[u8]) -> Envelope<'_>> = Some(stalwart::envelope);
    const READ: for<'a> fn(&'a [u8], &Envelope<'a>) -> Result<Event<'a>, Reject> = stalwart::read;

    fn new(_: &Plan) -> Self {
        Self
    }

    fn count(&mut self, event: &Event<'_>, _: &Envelope<'_>, rows: &mut Rows) {
        let Event::Logged(logged) = event else { return };
        let result = RESULTS.iter().find(|(event, _)| *event == logged.event).map(|(_, result)| *result);
        let value = |label| match label {
            label::EVENT => logged.event,
            label::LEVEL => logged.level.as_bytes(),
            label::RESULT => result.unwrap_or_default().as_bytes(),
            label::LISTENER => listener(logged),
            _ => b"",
        };
        rows.count(EVENTS, value);
        if let Some(elapsed_ms) = logged.elapsed_ms {
            rows.observe(EVENT_DURATION, elapsed_ms as i64, value);
        }
        // `queue.queue-message`, `queue.queue-dsn` and their like: each message once. Elsewhere it is the size of something else.
        if let (true, Some(size)) = (logged.event.starts_with(b"queue.queue-"), logged.size) {
            rows.observe(MESSAGE_SIZE, size as i64, value);
        }
        if logged.event == b"auth.failed" {
            rows.count(AUTH_FAILURES, value);
        }
        if result.is_some() {
            rows.count(DELIVERIES, value);
        }
    }
}

/// The listener, as a label.
fn listener<'a>(logged: &Logged<'a>) -> &'a [u8] {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
    match logged.listener_id {
        [] => b"none",
        name if name.len() <= MAX_LISTENER && name.iter().all(is_name) => name,
        _ => b"other",
    }
}
