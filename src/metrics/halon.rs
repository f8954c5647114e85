//! Halon's metrics, and how its lines update them.

use tailmeter_parsers::halon::{self, Event, Message};
use tailmeter_parsers::{Envelope, Reject};

use super::mail::Count;
use super::{Family, Label, Member, Metric, Plan, Rows, Unit};

const METRICS: &[Metric] = &[
    Metric::counter(
        "halon_log_deliveries_total",
        "Attempts to deliver a message, and messages that were refused or removed.",
        &["action", "serverid", "transportid", "code_class"],
    )
    .with(&["tlsprotocol"]),
    Metric::histogram(
        "halon_log_time_in_queue_seconds",
        "Time from a message's arrival to when it left the queue.",
        (
            Unit::Seconds,
            &[
                0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 240.0, 500.0, 1800.0, 3600.0, 7200.0, 14_400.0,
                28_800.0, 86_400.0,
            ],
        ),
        &[],
    )
    .with(&["action", "serverid", "transportid"]),
    Metric::histogram(
        "halon_log_message_size_bytes",
        "Size of the messages that came into the queue, were refused or left the queue, wherever the log tells it.",
        (Unit::Bytes, &[1e3, 1e4, 1e5, 1e6, 1e7, 5e7]),
        &[],
    )
    .with(&["action", "serverid", "transportid"]),
];

places! { DELIVERIES, TIME_IN_QUEUE, MESSAGE_SIZE }

const LABELS: &[Label] = &[
    Label::new(
        "action",
        "What was done, in lower case: `deliver`, `queue` (tried in vain, and tried again), `bounce`, `delete`, `reject`, `defer`, …, or by the \
         script for attempts `delivered`, `deferred`, `bounced`, `removed`; `other` for words of a site's own.",
    ),
    Label::new(
        "serverid",
        "The server that the message came by, as the configuration calls it; `none` where the line does not have it.",
    ),
    Label::new(
        "transportid",
        "The transport that it leaves by, as the configuration calls it; `none` where the line does not have it.",
    ),
    Label::new("code_class", "First digit of the reply: `2`, `4` or `5`; `none` where there was no reply."),
    Label::new("tlsprotocol", "Version of TLS of the client, for example `TLSv1.3`; `none` without TLS."),
];

/// The places of the labels there.
mod label {
    places! { ACTION, SERVERID, TRANSPORTID, CODE_CLASS, TLSPROTOCOL }
}

/// Halon.
pub const FAMILY: Family =
    Family { name: "halon", metrics: METRICS, labels: LABELS, compat: None, member: Some(Member::of::<Halon>()) };

/// Longest name from the configuration, in bytes.
const MAX_NAME: usize = 64;

/// Counts Halon's events.
pub(super) struct Halon;

impl Count for Halon {
    type Event<'a> = Event<'a>;
    const IS_PROGRAM: fn(&[u8]) -> bool = halon::is_program;
    const ENVELOPE: Option<fn(&[u8]) -> Envelope<'_>> = Some(halon::envelope);
    const READ: for<'a> fn(&'a [u8], &Envelope<'a>) -> Result<Event<'a>, Reject> = halon::read;

    fn new(_: &Plan) -> Self {
        Self
    }

    fn count(&mut self, event: &Event<'_>, _: &Envelope<'_>, rows: &mut Rows) {
        let (message, is_reception) = match event {
            Event::Delivery(message) => (message, false),
            Event::Reception(message) => (message, true),
            Event::Known(_) => return,
        };
        let value = |label| match label {
            label::ACTION => message.action.as_bytes(),
            label::SERVERID => name(message.serverid),
            label::TRANSPORTID => name(message.transportid),
            label::CODE_CLASS => code_class(message),
            label::TLSPROTOCOL => name(message.tlsprotocol),
            _ => b"",
        };
        if !is_reception {
            rows.count(DELIVERIES, value);
            if let Some(time_ms) = message.time_in_queue_ms() {
                rows.observe(TIME_IN_QUEUE, time_ms as i64, value);
            }
        }
        // Not at each attempt.
        let is_once = is_reception || !halon::UNFINISHED.contains(&message.action);
        if let (true, Some(size)) = (is_once, message.size) {
            rows.observe(MESSAGE_SIZE, size as i64, value);
        }
    }
}

/// A name that the configuration has, as a label.
fn name(name: &[u8]) -> &[u8] {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/#&".contains(byte);
    match name {
        [] => b"none",
        name if name.len() <= MAX_NAME && name.iter().all(is_plain) => name,
        _ => b"other",
    }
}

/// The class of a reply's code.
fn code_class(message: &Message<'_>) -> &'static [u8] {
    match message.errorcode {
        Some(200..=299) => b"2",
        Some(400..=499) => b"4",
        Some(500..=599) => b"5",
        Some(1..) => b"other",
        Some(0) | None => b"none",
    }
}
