//! Postfix's metrics, and how its lines update them.
//!
//! Here is the catalogue. `count` says which metrics an event counts in; `under_way` follows a message from line to line, for
//! what can only be known at its end.

mod count;
mod under_way;

use super::{Family, Kind, Label, Member, Metric, Unit};

/// Upper bounds of delays, in seconds: from a message that is passed on at once to one that is given up after five days.
const DELAYS: (Unit, &[f64]) = (
    Unit::Seconds,
    &[0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0, 432_000.0],
);

/// What may be added to the labels of any metric.
const ANY: &[&str] = &["instance", "service"];
/// The same for those whose default labels have the service.
const INSTANCE: &[&str] = &["instance"];

const METRICS: &[Metric] = &[
    Metric::counter("postfix_log_connections_total", "Sessions that clients began (smtpd, postscreen).", &["service"])
        .with(INSTANCE),
    Metric::counter(
        "postfix_log_disconnections_total",
        "Sessions that ended; clean if all of their commands succeeded.",
        &["service", "clean"],
    )
    .with(INSTANCE),
    Metric::counter(
        "postfix_log_smtpd_commands_total",
        "Commands of clients, as the summaries of their sessions tell.",
        &["service", "command", "result"],
    )
    .with(INSTANCE),
    Metric::counter(
        "postfix_log_lost_connections_total",
        "Sessions that did not end as they should.",
        &["service", "reason", "stage"],
    )
    .with(INSTANCE),
    Metric::counter(
        "postfix_log_rejects_total",
        "Clients, senders, recipients and messages that access rules, milters or checks of content acted on.",
        &["service", "action", "stage", "code", "reason"],
    )
    .with(&["enhanced_code", "instance"]),
    Metric::counter("postfix_log_sasl_logins_total", "Messages of clients that had logged in.", &["service", "method"])
        .with(&["username", "instance"]),
    Metric::counter("postfix_log_sasl_failures_total", "Logins that failed.", &["service", "method"])
        .with(&["username", "instance"]),
    Metric::counter("postfix_log_tls_connections_total", "TLS sessions.", &["direction", "trust", "protocol"])
        .with(&["cipher", "instance", "service"]),
    Metric::counter("postfix_log_messages_received_total", "Messages that clients brought.", &["service", "sasl"])
        .with(INSTANCE),
    Metric::counter("postfix_log_queue_insertions_total", "Messages that came into the queue.", &[]).with(ANY),
    Metric::counter("postfix_log_queue_removals_total", "Messages that left the queue.", &[]).with(ANY),
    Metric::counter("postfix_log_queue_expirations_total", "Messages that were given up.", &[]).with(ANY),
    Metric::histogram(
        "postfix_log_message_size_bytes",
        "Size of the messages that came into the queue.",
        (Unit::Bytes, &[1e3, 1e4, 1e5, 1e6, 1e7, 5e7]),
        &[],
    )
    .with(ANY),
    Metric::histogram(
        "postfix_log_message_recipients",
        "Recipients of the messages that came into the queue.",
        (Unit::None, &[1.0, 2.0, 3.0, 5.0, 10.0, 25.0, 50.0, 100.0]),
        &[],
    )
    .with(ANY),
    Metric::counter(
        "postfix_log_deliveries_total",
        "Attempts to deliver a message to one recipient.",
        &["transport", "status", "dsn_class"],
    )
    .with(&["dsn", "relay", "recipient_domain", "instance", "service"]),
    Metric::histogram(
        "postfix_log_delivery_delay_seconds",
        "Time from a message's arrival to the end of an attempt to deliver it.",
        DELAYS,
        &["transport", "status"],
    )
    .with(&["relay", "instance", "service"]),
    Metric::histogram(
        "postfix_log_delivery_stage_seconds",
        "The parts of that time.",
        DELAYS,
        &["transport", "status", "stage"],
    )
    .with(ANY),
    Metric::histogram(
        "postfix_log_message_duration_seconds",
        "Time from a message's arrival to its removal, once a message, also through a content filter.",
        DELAYS,
        &["outcome"],
    )
    .with(ANY),
    Metric::histogram(
        "postfix_log_delivery_attempts",
        "How often the delivery of a message was begun until it was done, once a message.",
        (Unit::None, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 50.0]),
        &["outcome"],
    )
    .with(ANY),
    Metric::counter("postfix_log_bounces_total", "Notifications that were sent.", &["kind"]).with(ANY),
    Metric::counter(
        "postfix_log_milter_actions_total",
        "What milters did with clients, senders, recipients and messages; they are among the rejects, too.",
        &["action", "stage"],
    )
    .with(ANY),
    Metric::counter("postfix_log_postscreen_passes_total", "Clients that postscreen let pass.", &["kind"]).with(ANY),
    Metric::counter("postfix_log_postscreen_tests_failed_total", "Tests of postscreen that clients failed.", &["test"])
        .with(ANY),
    Metric::histogram(
        "postfix_log_postscreen_dnsbl_rank",
        "Score of the clients that DNS lists have.",
        (Unit::None, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0]),
        &[],
    )
    .with(ANY),
    Metric::counter("postfix_log_dnsbl_hits_total", "Clients that a DNS list has.", &["list"]).with(ANY),
    Metric::counter(
        "postfix_log_connect_failures_total",
        "Connections to servers that failed.",
        &["service", "reason"],
    )
    .with(&["relay", "instance"]),
    Metric::counter("postfix_log_warnings_total", "Complaints of Postfix's programs.", &["service", "severity"])
        .with(INSTANCE),
    Metric { kind: Kind::Gauge, ..Metric::counter("postfix_log_correlator_messages", "Messages under way.", &[]) },
    Metric::counter(
        "postfix_log_correlator_evictions_total",
        "Messages forgotten before their end, because there were too many or they took too long.",
        &[],
    ),
];

places! {
    CONNECTIONS, DISCONNECTIONS, SMTPD_COMMANDS, LOST_CONNECTIONS, REJECTS, SASL_LOGINS, SASL_FAILURES, TLS_CONNECTIONS, MESSAGES_RECEIVED, QUEUE_INSERTIONS, QUEUE_REMOVALS, QUEUE_EXPIRATIONS, MESSAGE_SIZE, MESSAGE_RECIPIENTS, DELIVERIES, DELIVERY_DELAY, DELIVERY_STAGE, MESSAGE_DURATION, DELIVERY_ATTEMPTS, BOUNCES, MILTER_ACTIONS, POSTSCREEN_PASSES, POSTSCREEN_TESTS_FAILED, POSTSCREEN_DNSBL_RANK, DNSBL_HITS, CONNECT_FAILURES, WARNINGS, CORRELATOR_MESSAGES, CORRELATOR_EVICTIONS
}

const LABELS: &[Label] = &[
    Label::new("instance", "What the program's tag begins with: `postfix`, or the name of another instance."),
    Label::new("service", "What follows in the tag: `smtpd`, `submission/smtpd`, `smtp`."),
    Label::new("clean", "`true` if all commands succeeded."),
    Label::new("command", "The command in lower case; `unknown` for those that Postfix does not know."),
    Label::new("result", "`ok` or `rejected`."),
    Label::new(
        "reason",
        "In `rejects_total` what Postfix's reply says, as a word: `dnsbl`, `rdns`, `helo`, `sender`, `recipient`, \
         `recipient_unknown`, `relay_denied`, `greylist`, `rate_limit`, `size`, `storage`, `milter`, `proxy`, `protocol`, \
         `tls`, `auth`, `content`, `access`, `policy`, `authentication`, `temporary`, `other`, or a word of the \
         configuration; in `lost_connections_total` `lost`, `timeout`, `errors` or `pipelining`; in \
         `connect_failures_total` `refused`, `timeout`, `unreachable`, `lost`, `dns`, `tls`, `rejected`, `local` or `other`.",
    ),
    Label::new(
        "stage",
        "The command of the session (`RCPT`, `END-OF-MESSAGE`); in `delivery_stage_seconds` `before_queue_manager`, \
         `queue_manager`, `connection_setup` or `transmission`.",
    ),
    Label::new("action", "What was done: `reject`, `discard`, `hold`, `milter-reject`, …"),
    Label::new("code", "The reply's three digits; `none` where there was no reply."),
    Label::new("enhanced_code", "The reply's enhanced status code; `none` where it has none."),
    Label::new("method", "The SASL mechanism; `other` for one that is not registered."),
    Label::private("username", "The name by which a client logs in."),
    Label::new("direction", "`inbound` or `outbound`."),
    Label::new("trust", "`Anonymous`, `Untrusted`, `Trusted` or `Verified`."),
    Label::new("protocol", "Version of TLS, for example `TLSv1.3`."),
    Label::new("cipher", "Name of the TLS cipher."),
    Label::new("sasl", "`true` if the client had logged in."),
    Label::new("transport", "The delivery agent: `smtp`, `lmtp`, `local`, `virtual`, `pipe`, `error`, …"),
    Label::new("status", "`sent`, `deferred`, `bounced`, `expired`, `deliverable`, `undeliverable` or `other`."),
    Label::new("dsn_class", "First digit of the delivery status: `2`, `4` or `5`."),
    Label::new("dsn", "The delivery status, for example `5.1.1`."),
    Label::private("relay", "The server, by name, address and port."),
    Label::private("recipient_domain", "The recipient's domain, in lower case."),
    Label::new("outcome", "What became of all recipients: `sent`, `bounced`, `expired`, or `mixed`."),
    Label::new(
        "kind",
        "Of a notification `non-delivery`, `delay` or `delivery status`; of a pass `new`, `old` or `allowlist`.",
    ),
    Label::new("test", "The test that failed, for example `pregreet`."),
    Label::new("list", "The list's domain."),
    Label::new("severity", "`warning`, `error`, `fatal` or `panic`."),
];

/// The places of the labels there.
mod label {
    places! {
        INSTANCE, SERVICE, CLEAN, COMMAND, RESULT, REASON, STAGE, ACTION, CODE, ENHANCED_CODE, METHOD, USERNAME, DIRECTION, TRUST, PROTOCOL, CIPHER, SASL, TRANSPORT, STATUS, DSN_CLASS, DSN, RELAY, RECIPIENT_DOMAIN, OUTCOME, KIND, TEST, LIST, SEVERITY
    }
}

/// Postfix.
pub const FAMILY: Family = Family {
    name: "postfix",
    metrics: METRICS,
    labels: LABELS,
    compat: None,
    member: Some(Member::of::<count::Postfix>()),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_are_those_of_the_tables() {
        assert_eq!(METRICS[CORRELATOR_EVICTIONS].name, "postfix_log_correlator_evictions_total");
        assert_eq!(METRICS[BOUNCES].name, "postfix_log_bounces_total");
        assert_eq!(METRICS[DELIVERIES].name, "postfix_log_deliveries_total");
        assert_eq!(LABELS[label::SEVERITY].name, "severity");
        assert_eq!(LABELS[label::SASL].name, "sasl");
        assert_eq!(LABELS[label::KIND].name, "kind");
    }
}
