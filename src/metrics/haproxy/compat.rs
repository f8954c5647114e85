//! The metrics of the Python prometheus-haproxy-log-exporter, for those whose dashboards and alerts are built on it:
//! its names, types, labels and buckets, counted by the same lines.
//!
//! Here is the catalogue; `count` counts. What differs from that program, and why, stands in METRICS.md
//! ([`DIFFERENCES`]); a test compares both over the same logs.

mod count;

pub use count::Requests;

use super::{Kind, Label, Metric, Plan, Unit, counter, label};
use crate::config::Config;
use crate::metrics::{Compat, Family};

/// Upper bounds of all timers, in milliseconds.
const TIMER: Kind = Kind::Histogram(&[
    5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0, 10000.0,
]);
/// Upper bounds of the queues' lengths.
const QUEUE: Kind = Kind::Histogram(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 20.0, 30.0, 40.0, 60.0, 100.0]);

/// What every metric that lines of requests count may have.
const OPT_IN: &[&str] = &[
    "status_code",
    "frontend_name",
    "backend_name",
    "server_name",
    "http_request_path",
    "http_request_method",
    "client_ip",
    "client_port",
];

/// Labels of the counters, unless configured otherwise.
const COUNTED: &[&str] = &["status_code", "backend_name", "server_name"];

const fn timer(name: &'static str, help: &'static str) -> Metric {
    Metric { name, help, kind: TIMER, unit: Unit::Milliseconds, labels: &[], opt_in: OPT_IN, is_on: true }
}

const fn abort(name: &'static str, help: &'static str) -> Metric {
    Metric { opt_in: OPT_IN, ..counter(name, help, &[]) }
}

const fn queue(name: &'static str, help: &'static str) -> Metric {
    Metric { name, help, kind: QUEUE, unit: Unit::None, labels: &[], opt_in: OPT_IN, is_on: true }
}

/// The metrics, in the order of the exposition; the constants below name their places.
const METRICS: &[Metric] = &[
    Metric { opt_in: OPT_IN, ..counter("haproxy_log_requests_total", "HTTP requests logged.", COUNTED) },
    Metric {
        unit: Unit::Bytes,
        opt_in: OPT_IN,
        ..counter("haproxy_log_bytes_read_total", "Bytes sent to clients (%B), headers included.", COUNTED)
    },
    timer("haproxy_log_request_wait_milliseconds", "Time to receive the request's headers (TR or Tq)."),
    timer("haproxy_log_request_queued_milliseconds", "Time spent waiting in queues (Tw)."),
    timer("haproxy_log_server_tcp_connection_establish_milliseconds", "Time to connect to the server (Tc)."),
    timer("haproxy_log_response_processing_milliseconds", "Time until the server sent the response's headers (Tr)."),
    Metric {
        labels: &["logasap"],
        ..timer("haproxy_log_session_duration_milliseconds", "Time of the whole request (Ta or Tt).")
    },
    abort("haproxy_log_request_abort_total", "Requests whose headers never arrived: TR is -1."),
    abort("haproxy_log_request_pre_queue_abort_total", "Requests that never reached a queue: Tw is -1."),
    // Without `_total`, as its users know it.
    abort("haproxy_log_request_pre_server_connection_abort", "Requests without a connection to a server: Tc is -1."),
    abort("haproxy_log_request_response_abort_total", "Requests whose response's headers never came: Tr is -1."),
    queue("haproxy_log_server_queue_length", "Requests queued before this one at its server."),
    queue("haproxy_log_backend_queue_length", "Requests queued before this one at its backend."),
    counter("haproxy_log_processing_errors_total", "Lines that could not be read.", &[]),
];

const REQUESTS: usize = 0;
const BYTES_READ: usize = 1;
/// TR, Tw, Tc, Tr.
const TIMERS: [usize; 4] = [2, 3, 4, 5];
const SESSION_DURATION: usize = 6;
/// The same timers at -1.
const ABORTS: [usize; 4] = [7, 8, 9, 10];
/// Of the server and of the backend.
const QUEUES: [usize; 2] = [11, 12];
const PROCESSING_ERRORS: usize = 13;

const LABELS: &[Label] = &[
    label("status_code", "Status code of the response; `-1` for none.", false),
    label(
        "frontend_name",
        "Name of the frontend as logged: with a `~` behind it when the client came over TLS.",
        false,
    ),
    label("backend_name", "Name of the backend.", false),
    label("server_name", "Name of the server, `<NOSRV>` or `<STATS>`.", false),
    label("http_request_method", "A registered method, `invalid` for a broken request, or `other`.", false),
    label("logasap", "`True` when the line was written before the end (`option logasap`), otherwise `False`.", false),
    label("http_request_path", "Path of the request, without its query; `invalid` without one.", true),
    label("client_ip", "Address of the client.", true),
    label("client_port", "Port of the client.", true),
];

/// What METRICS.md says of the differences.
pub const DIFFERENCES: &str = "\
Shown in place of the metrics above with `--compat haproxy-log-exporter`, or `compat: haproxy-log-exporter` in the
configuration: the names, types, labels, buckets and label values of the Python prometheus-haproxy-log-exporter 0.0.2,
so that dashboards and alerts built on it keep working. A metric without labels is there from the start, with zeros. What
differs is meant to:

- `bytes_read_total` counts bytes. There it grows by 1 a line.
- `processing_errors_total` counts lines that are not HAProxy's. There it also counts every line that is no request of an
  IPv4 client in `option httplog`: IPv6 clients, `option httpslog`, sessions of `option tcplog`, checks, starts and stops. Here
  requests of every layout count as requests, and the other lines are known and count nothing.
- `http_request_method` is `other` for a method that nobody has registered, so that it stays small. There it is whatever was
  sent; and `invalid` for every request with a whole URL, as HTTP/2 has them.
- `http_request_path` has no query, which may hold secrets. It, `client_ip` and `client_port` need a policy.
- A label list in the configuration is the whole list: `session_duration_milliseconds` keeps `logasap` only if it is named.
";

/// The HAProxy family as that program shows it.
pub const FAMILY: Family = Family {
    name: "haproxy",
    metrics: METRICS,
    labels: LABELS,
    compat: Some(Compat::HaproxyLogExporter),
    member: None,
};

/// The plan of this family under `config`. What not every request counts has rows of its own.
pub fn plan(config: &Config) -> Plan {
    Plan::new(&FAMILY, config, |metric| match metric {
        REQUESTS | BYTES_READ => None,
        _ if QUEUES.contains(&metric) => None,
        _ => Some(metric),
    })
}
