//! HAProxy's metrics, and how its lines update them.
//!
//! Here is the catalogue. `needs` says which fields of a log-format each metric and label come from; `labels` where values are; `rows` finds the rows of a line by looks into a
//! [`Memo`](crate::series::Memo) with raw bytes of it; `count` adds. What only few lines have (aborted phases,
//! abnormal ends, TLS fields) has rows of its own, looked up when needed; so have the lines that are neither requests
//! nor sessions (`count/notices`).
//!
//! `compat` is another catalogue for the same lines, with a counter of its own.

mod bounds;
pub mod compat;
mod count;
mod endings;
mod extras;
mod grid;
mod labels;
pub mod needs;
mod rows;

pub use count::Haproxy;
pub use endings::endings;

use super::{Family, Kind, Label, Metric, Plan, Unit};
use crate::config::Config;

/// Upper bounds of all timers, in seconds.
const TIMER: Kind =
    Kind::Histogram(&[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]);
/// Upper bounds of the queues' lengths.
const QUEUE: Kind = Kind::Histogram(&[0.0, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0]);

/// What may be added to the labels of metrics that HTTP lines count.
const OPT_IN: &[&str] = &[
    "server_name",
    "status_code",
    "http_request_method",
    "termination_state",
    "http_version",
    "ssl",
    "http_request_path",
    "client_ip",
    "client_port",
    "request_header_N",
    "response_header_N",
    "request_header_NAME",
    "response_header_NAME",
    "ssl_fc_sni",
];

const PROXIES: &[&str] = &["frontend_name", "backend_name"];

const fn timer(name: &'static str, help: &'static str) -> Metric {
    Metric { name, help, kind: TIMER, unit: Unit::Seconds, labels: PROXIES, opt_in: OPT_IN, is_on: true }
}

const fn counter(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Metric {
    Metric::counter(name, help, labels)
}

/// The metrics. Their order is that of the exposition; the constants below name their places.
const METRICS: &[Metric] = &[
    Metric {
        opt_in: OPT_IN,
        ..counter(
            "haproxy_log_requests_total",
            "HTTP requests logged.",
            &["frontend_name", "backend_name", "server_name", "status_code", "http_request_method"],
        )
    },
    Metric {
        opt_in: &["client_ip", "client_port", "ssl"],
        ..counter(
            "haproxy_log_sessions_total",
            "TCP sessions logged.",
            &["frontend_name", "backend_name", "server_name", "termination_state"],
        )
    },
    Metric {
        unit: Unit::Bytes,
        opt_in: OPT_IN,
        ..counter(
            "haproxy_log_response_bytes_total",
            "Bytes sent to clients (%B), headers included.",
            &["frontend_name", "backend_name", "server_name"],
        )
    },
    timer("haproxy_log_request_header_duration_seconds", "Time to receive the request's headers (TR)."),
    timer("haproxy_log_queue_duration_seconds", "Time spent waiting in queues (Tw)."),
    timer("haproxy_log_connect_duration_seconds", "Time to connect to the server (Tc)."),
    timer("haproxy_log_response_duration_seconds", "Time until the server sent the response's headers (Tr)."),
    timer("haproxy_log_request_duration_seconds", "Time from the request's first byte to the response's last (Ta)."),
    timer("haproxy_log_session_duration_seconds", "Time from accept to close of TCP sessions (Tt)."),
    Metric {
        opt_in: OPT_IN,
        ..counter(
            "haproxy_log_aborted_requests_total",
            "Requests and sessions that never reached a phase: its timer is -1. Each timer of -1 counts once.",
            &["frontend_name", "backend_name", "phase"],
        )
    },
    Metric {
        opt_in: &["server_name"],
        ..counter(
            "haproxy_log_terminations_total",
            "Requests and sessions that ended abnormally, by the first two characters of their termination state.",
            &["frontend_name", "backend_name", "termination_state"],
        )
    },
    counter("haproxy_log_retries_total", "Connection attempts beyond the first.", &["backend_name", "server_name"]),
    counter(
        "haproxy_log_redispatches_total",
        "Requests and sessions sent to another server after a failure.",
        &["backend_name", "server_name"],
    ),
    Metric {
        name: "haproxy_log_server_queue_length",
        help: "Requests queued before this one at its server.",
        kind: QUEUE,
        unit: Unit::None,
        labels: &["backend_name"],
        opt_in: &["server_name"],
        is_on: true,
    },
    Metric {
        name: "haproxy_log_backend_queue_length",
        help: "Requests queued before this one at its backend.",
        kind: QUEUE,
        unit: Unit::None,
        labels: &["backend_name"],
        opt_in: &["server_name"],
        is_on: true,
    },
    counter(
        "haproxy_log_connection_errors_total",
        "Connections that failed before they had a session.",
        &["frontend_name", "reason"],
    ),
    Metric {
        opt_in: &["ssl_ciphers"],
        ..counter(
            "haproxy_log_tls_connections_total",
            "Requests over TLS whose line has the fields of `option httpslog`.",
            &["frontend_name", "ssl_version", "resumed"],
        )
    },
    counter(
        "haproxy_log_server_state_changes_total",
        "Changes of servers' states logged.",
        &["backend_name", "server_name", "state"],
    ),
    Metric {
        opt_in: &["reason"],
        ..counter(
            "haproxy_log_health_checks_total",
            "Health and agent checks logged (`option log-health-checks`): those that changed something.",
            &["backend_name", "server_name", "result"],
        )
    },
    counter("haproxy_log_no_server_available_total", "Times that a backend lost its last server.", &["backend_name"]),
    Metric {
        unit: Unit::Bytes,
        opt_in: OPT_IN,
        ..counter(
            "haproxy_log_request_bytes_total",
            "Bytes received from clients (%U), where the log-format has them.",
            &["frontend_name", "backend_name", "server_name"],
        )
    },
    counter(
        "haproxy_log_incomplete_records_total",
        "Lines written before the end (logasap) or cut on their way (truncated).",
        &["reason"],
    ),
];

const REQUESTS: usize = 0;
const SESSIONS: usize = 1;
const RESPONSE_BYTES: usize = 2;
/// TR, Tw, Tc, Tr, Ta.
const TIMERS: [usize; 5] = [3, 4, 5, 6, 7];
const SESSION_DURATION: usize = 8;
const ABORTED: usize = 9;
const TERMINATIONS: usize = 10;
const RETRIES: usize = 11;
const REDISPATCHES: usize = 12;
const SERVER_QUEUE: usize = 13;
const BACKEND_QUEUE: usize = 14;
const CONNECTION_ERRORS: usize = 15;
const TLS_CONNECTIONS: usize = 16;
const SERVER_STATE_CHANGES: usize = 17;
const HEALTH_CHECKS: usize = 18;
const NO_SERVER_AVAILABLE: usize = 19;
const REQUEST_BYTES: usize = 20;
const INCOMPLETE: usize = 21;

/// The phases of the timers TR, Tw, Tc, Tr, and Ta or Tt, which HAProxy never leaves out.
const PHASES: [&str; 5] = ["request", "queue", "connect", "response", "active"];

const fn label(name: &'static str, help: &'static str, private: bool) -> Label {
    Label { name, help, private }
}

const LABELS: &[Label] = &[
    label("frontend_name", "Name of the frontend, without the `~` of TLS.", false),
    label("backend_name", "Name of the backend.", false),
    label("server_name", "Name of the server, `<NOSRV>` or `<STATS>`.", false),
    label("status_code", "Status code of the response; `-1` for none.", false),
    label("http_request_method", "A registered method, `<BADREQ>`, or `other`.", false),
    label("termination_state", "How it ended: two characters in `terminations_total`, else as logged.", false),
    label("http_version", "For example `HTTP/1.1`; `other` when the request has none.", false),
    label("ssl", "`true` when the client came over TLS.", false),
    label("phase", "`request`, `queue`, `connect` or `response`; `active` if even the last timer is missing.", false),
    label("ssl_version", "Version of TLS, for example `TLSv1.3`.", false),
    label("resumed", "`true` when the TLS session was resumed.", false),
    label("ssl_ciphers", "Name of the TLS cipher suite.", false),
    label(
        "state",
        "`up`, `down`, `stopping`, `maintenance`, `drain`, `ready` (maintenance or drain is over), \
         `remains_in_maintenance`, `remains_in_drain`, `resolved` (its name has an address again), or `other`.",
        false,
    ),
    label("result", "`succeeded`, `conditionally_succeeded` or `failed`.", false),
    label(
        "reason",
        "In `incomplete_records_total` `logasap` or `truncated`; else HAProxy's message as a word of a fixed table, \
         for example `ssl_handshake_failure` or `layer4_timeout`, or `other`.",
        false,
    ),
    label("http_request_path", "Path of the request, without its query.", true),
    label("client_ip", "Address of the client.", true),
    label("client_port", "Port of the client.", true),
    label("request_header_N", "The Nth captured request header.", true),
    label("response_header_N", "The Nth captured response header.", true),
    label("request_header_NAME", "The captured request header of that name, which the haproxy.cfg must tell.", true),
    label("response_header_NAME", "The captured response header of that name.", true),
    label("ssl_fc_sni", "Name that the client asked for in TLS.", true),
];

/// The HAProxy family.
pub const FAMILY: Family = Family { name: "haproxy", metrics: METRICS, labels: LABELS, compat: None, member: None };

/// Which lines count a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// Those about requests.
    Http,
    /// Those about sessions.
    Tcp,
    /// Either.
    Both,
    /// Only some lines; each such metric has rows of its own.
    Some(usize),
}

/// Which lines count `metric`.
pub fn lines(metric: usize) -> Lines {
    match metric {
        REQUESTS | 3 | 6 | 7 => Lines::Http,
        SESSIONS | SESSION_DURATION => Lines::Tcp,
        ABORTED | TERMINATIONS | CONNECTION_ERRORS.. => Lines::Some(metric),
        _ => Lines::Both,
    }
}

/// The plan of this family under `config`.
pub fn plan(config: &Config) -> Plan {
    Plan::new(&FAMILY, config, lines)
}
