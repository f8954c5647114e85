//! The metrics of postfix_exporter, for those whose dashboards and alerts are built on it: its names, HELP texts, types, labels
//! and buckets, counted by the same lines.
//!
//! Here is the catalogue; `line` reads, `count` counts. What differs from that program, and why, stands in METRICS.md
//! ([`DIFFERENCES`]); a test compares both over the same logs.

mod count;
mod line;

use crate::metrics::{Compat, Family, Label, Member, Metric, Unit};

/// Upper bounds of the parts of a delivery's time, in seconds.
const DELAYS: (Unit, &[f64]) = (Unit::Seconds, &[0.001, 0.01, 0.1, 1.0, 10.0, 60.0, 3600.0, 86_400.0, 172_800.0]);
/// Upper bounds of numbers of recipients.
const RECIPIENTS: (Unit, &[f64]) = (Unit::None, &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]);
/// Upper bounds of messages' sizes.
const SIZES: (Unit, &[f64]) = (Unit::Bytes, &[1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9]);

/// Labels of TLS sessions.
const SESSION: &[&str] = &["trust", "protocol", "cipher", "secret_bits", "algorithm_bits"];

/// The metrics, by name; the constants below are their places.
const METRICS: &[Metric] = &[
    Metric::counter("opendkim_signatures_added_total", "Total number of messages signed.", &["subject", "domain"]),
    Metric::counter(
        "postfix_bounce_non_delivery_notification_total",
        "Total number of non delivery notification sent by bounce.",
        &[],
    ),
    Metric::counter("postfix_cleanup_messages_processed_total", "Total number of messages processed by cleanup.", &[]),
    Metric::counter("postfix_cleanup_messages_rejected_total", "Total number of messages rejected by cleanup.", &[]),
    Metric::histogram(
        "postfix_lmtp_delivery_delay_seconds",
        "LMTP message processing time in seconds.",
        DELAYS,
        &["stage"],
    ),
    Metric::histogram(
        "postfix_pipe_delivery_delay_seconds",
        "Pipe message processing time in seconds.",
        DELAYS,
        &["relay", "stage"],
    ),
    Metric::counter("postfix_qmgr_messages_expired_total", "Total number of messages expired from mail queues.", &[]),
    // Misspelt, as its users know it.
    Metric::histogram(
        "postfix_qmgr_messages_inserted_receipients",
        "Legacy metric, please switch to postfix_qmgr_messages_inserted_recipients.",
        RECIPIENTS,
        &[],
    ),
    Metric::histogram(
        "postfix_qmgr_messages_inserted_recipients",
        "Number of recipients per message inserted into the mail queues.",
        RECIPIENTS,
        &[],
    ),
    Metric::histogram(
        "postfix_qmgr_messages_inserted_size_bytes",
        "Size of messages inserted into the mail queues in bytes.",
        SIZES,
        &[],
    ),
    Metric::counter("postfix_qmgr_messages_removed_total", "Total number of messages removed from mail queues.", &[]),
    Metric::counter(
        "postfix_smtp_bounced_messages_by_dsn_total",
        "Total number of messages that have been bounced on SMTP by DSN.",
        &["dsn"],
    ),
    Metric::counter(
        "postfix_smtp_connection_timed_out_total",
        "Total number of messages that have been deferred on SMTP.",
        &[],
    ),
    Metric::counter(
        "postfix_smtp_deferred_messages_by_dsn_total",
        "Total number of messages that have been deferred on SMTP by DSN.",
        &["dsn"],
    ),
    Metric::histogram(
        "postfix_smtp_delivery_delay_seconds",
        "SMTP message processing time in seconds.",
        DELAYS,
        &["stage"],
    ),
    Metric::counter(
        "postfix_smtp_messages_processed_total",
        "Total number of messages that have been processed by the smtp process.",
        &["status"],
    ),
    // Without `_total`, as its users know it.
    Metric::counter("postfix_smtp_status_deferred", "Total number of messages deferred.", &[]),
    Metric::counter("postfix_smtp_tls_connections_total", "Total number of outgoing TLS connections.", SESSION),
    Metric::counter("postfix_smtpd_connections_lost_total", "Total number of connections lost.", &["after_stage"]),
    Metric::counter("postfix_smtpd_connects_total", "Total number of incoming connections.", &[]),
    Metric::counter("postfix_smtpd_disconnects_total", "Total number of incoming disconnections.", &[]),
    Metric::counter(
        "postfix_smtpd_forward_confirmed_reverse_dns_errors_total",
        "Total number of connections for which forward-confirmed DNS cannot be resolved.",
        &[],
    ),
    Metric::counter("postfix_smtpd_messages_processed_total", "Total number of messages processed.", &["sasl_method"]),
    Metric::counter("postfix_smtpd_messages_rejected_total", "Total number of NOQUEUE rejects.", &["code"]),
    Metric::counter(
        "postfix_smtpd_sasl_authentication_failures_total",
        "Total number of SASL authentication failures.",
        &[],
    ),
    Metric::counter("postfix_smtpd_tls_connections_total", "Total number of incoming TLS connections.", SESSION),
    Metric::counter(
        "postfix_unsupported_log_entries_total",
        "Log entries that could not be processed.",
        &["level", "service"],
    ),
    Metric::counter("postfix_virtual_delivered_total", "Total number of mail delivered to a virtual mailbox.", &[]),
    // Nothing counts these two, there as here: they are shown as zeros.
    Metric::counter(
        "postfix_cleanup_messages_not_accepted_total",
        "Total number of messages not accepted by cleanup.",
        &[],
    ),
    Metric::counter(
        "postfix_smtp_deferred_messages_total",
        "Total number of messages that have been deferred on SMTP.",
        &[],
    ),
];

places! {
    SIGNATURES, NON_DELIVERY, CLEANUP_PROCESSED, CLEANUP_REJECTED, LMTP_DELAY, PIPE_DELAY, QMGR_EXPIRED, QMGR_RECEIPIENTS, QMGR_RECIPIENTS, QMGR_SIZE, QMGR_REMOVED, SMTP_BOUNCED_DSN, SMTP_TIMED_OUT, SMTP_DEFERRED_DSN, SMTP_DELAY, SMTP_PROCESSED, SMTP_DEFERRED, SMTP_TLS, LOST, CONNECTS, DISCONNECTS, REVERSE_DNS_ERRORS, SMTPD_PROCESSED, REJECTED, SASL_FAILURES, SMTPD_TLS, UNSUPPORTED, VIRTUAL_DELIVERED
}

const LABELS: &[Label] = &[
    Label::new("subject", "opendkim's selector."),
    Label::new("domain", "The domain that a signature is for."),
    Label::new("relay", "The service of `master.cf` that piped the message."),
    Label::new(
        "stage",
        "`before_queue_manager`, `queue_manager`, `connection_setup` or `transmission`; empty for smtp, whose parts are in one \
         histogram.",
    ),
    Label::new("dsn", "The delivery status, for example `5.1.1`."),
    Label::new("status", "`sent`, `deferred`, `bounced`, `SOFTBOUNCE`, `deliverable`, `undeliverable` or `other`."),
    Label::new("trust", "`Anonymous`, `Untrusted`, `Trusted` or `Verified`."),
    Label::new("protocol", "Version of TLS, for example `TLSv1.3`."),
    Label::new("cipher", "Name of the TLS cipher."),
    Label::new("secret_bits", "Bits of the cipher's key in use."),
    Label::new("algorithm_bits", "Bits of the cipher's key."),
    Label::new("after_stage", "The command after which the connection was lost."),
    Label::new("sasl_method", "The SASL mechanism; `other` for one that is not registered, `NONE` without a login."),
    Label::new("code", "The reply's three digits."),
    Label::new(
        "service",
        "What follows `postfix/` in the tag: `local`, `submission/smtpd`; `postfix` for bounce and virtual; `opendkim`; empty for \
         another instance's tag.",
    ),
    Label::new("level", "`warning`, `error`, `fatal`, `panic`, or empty."),
];

/// The places of the labels there.
mod label {
    places! {
        SUBJECT, DOMAIN, RELAY, STAGE, DSN, STATUS, TRUST, PROTOCOL, CIPHER, SECRET_BITS, ALGORITHM_BITS, AFTER_STAGE, SASL_METHOD, CODE, SERVICE, LEVEL
    }
}

/// What METRICS.md says of the differences.
pub const DIFFERENCES: &str = "\
Shown in place of the metrics above with `--compat postfix-exporter`, or `compat: postfix-exporter` in the configuration: the
names, HELP texts, types, labels, buckets and values of postfix_exporter 0.19.0 (the maintained fork of kumina/postfix_exporter),
so that dashboards and alerts built on it keep working. `/metrics` is then on port 9154, as there, unless told otherwise, but on the
loopback address alone. Other formats keep tailmeter's metrics. Its quirks are kept: the parts of an SMTP delivery are in one
histogram with an empty `stage`, a message is inserted anew whenever it becomes active, connections that are lost `after DATA (9
bytes)` or `after END-OF-MESSAGE` are unsupported lines. What is not there, or differs, is meant to:

- What does not come from logs is left out: the queue's metrics (`postfix_showq_…`, which `postqueue` or Postfix's own socket have),
  `postfix_up` (`up` of Prometheus and `tailmeter_source_lag_seconds` say whether lines are read) and
  `postfix_exporter_build_info`.
- Lines of other programs count nothing; `tailmeter_ignored_program_lines_total` has them. There they are unsupported entries
  without a service. Those of other instances of Postfix (`postfix-mx/smtpd`) are that here, too.
- Lines are known by what Postfix writes, not by what may stand anywhere in them: an address or a reply that imitates another
  line's words counts nothing. Words that Postfix does not write are `other`, lines that it does not write unsupported entries.
- Every envelope is read, also that of RFC 5424, and `message repeated N times` counts N times.
- Delays are whole milliseconds.
- Services with a name of their own (`submission/smtpd`) are unsupported entries, as there, unless `compat_services` under `postfix`
  in the configuration names them; it stands for `--postfix.smtpd_service_label` and its like. `exclude_services` holds as usual.

Version 0.3.0, which Debian 12 and 13 have, shows fewer metrics, an empty `sasl_method` where it is `NONE`, and no `level`.
";

/// The Postfix family as that program shows it.
pub const FAMILY: Family = Family {
    name: "postfix",
    metrics: METRICS,
    labels: LABELS,
    compat: Some(Compat::PostfixExporter),
    member: Some(Member::of::<count::PostfixExporter>()),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_are_those_of_the_tables() {
        assert_eq!(METRICS[VIRTUAL_DELIVERED].name, "postfix_virtual_delivered_total");
        assert_eq!(METRICS[SMTP_DEFERRED].name, "postfix_smtp_status_deferred");
        assert_eq!(METRICS[CLEANUP_REJECTED].name, "postfix_cleanup_messages_rejected_total");
        assert_eq!(LABELS[label::LEVEL].name, "level");
        assert_eq!(LABELS[label::SASL_METHOD].name, "sasl_method");
    }
}
