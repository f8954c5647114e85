//! The whole way of a log line, with the programs a user would have: HAProxy logs to rsyslog, which writes a
//! file that logrotate rotates; tailmeter follows it; Prometheus scrapes tailmeter and is asked by PromQL.
//!
//! Clients and servers around HAProxy are the test's own, and keep book of what they did. What Prometheus
//! says is held against that book: counts must be equal to it, rates and percentiles within what is true.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says why where people look"
)]

#[path = "end_to_end/lab.rs"]
mod lab;
#[path = "end_to_end/origin.rs"]
mod origin;
#[path = "end_to_end/prometheus.rs"]
mod prometheus;
#[path = "end_to_end/run.rs"]
mod run;
#[path = "end_to_end/traffic.rs"]
mod traffic;

use std::collections::BTreeMap;

use origin::Answer;
use prometheus::Labels;
use run::{LAG, ROTATIONS, Run, Truth, WINDOW, is_about_request};
use traffic::{Client, Request, Step, now};

/// The servers' delays. They lie well inside different buckets; 95th percentile, median and longest of `b` and
/// `c` do, too.
const A: origin::Delay = |_| 70;
const B: origin::Delay = |count| if count.is_multiple_of(10) { 700 } else { 160 };
const C: origin::Delay = |count| if count.is_multiple_of(50) { 700 } else { 350 };

/// The bounds of the timers' buckets, in seconds.
const BOUNDS: [f64; 17] =
    [0.0, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, f64::INFINITY];

const PAGES: &[Step] = &[
    Step::Served("GET", "/", "site"),
    Step::Served("GET", "/login?next=/", "site"),
    Step::Served("POST", "/status/201", "site"),
    Step::Served("GET", "/status/404", "site"),
    Step::Served("HEAD", "/", "site"),
    Step::Served("GET", "/status/500", "site"),
    Step::Served("BREW", "/pot", "site"),
];
const CALLS: &[Step] = &[
    Step::Served("GET", "/v1/things", "service"),
    Step::Served("PUT", "/v1/things/1", "service"),
    Step::Served("DELETE", "/status/204", "service"),
    Step::Served("GET", "/site/", "site"),
];

const fn client(frontend: &'static str, every_ms: u64, requests: &'static [Step]) -> Client {
    Client { frontend, every_ms, requests }
}

const CLIENTS: &[Client] = &[
    client("web", 250, PAGES),
    client("web", 255, PAGES),
    client("web", 260, PAGES),
    client("web", 265, PAGES),
    client("api", 400, CALLS),
    client("api", 410, CALLS),
    client("api", 420, CALLS),
    client("api", 430, CALLS),
    client("web", 10, &[Step::Refused("GET", "/ping", "web", "<NOSRV>")]),
    client("web", 300, &[Step::Refused("GET", "/retired/", "retired", "<NOSRV>")]),
    client("web", 350, &[Step::Refused("POST", "/lost/", "lost", "nobody")]),
    client("web", 400, &[Step::Garbage("no request at all\r\n\r\n")]),
    client("api", 500, &[Step::Abandoned("service", "c", "400")]),
];

#[test]
fn prometheus_knows_what_haproxy_served() {
    let mut run = Run::start([A, B, C]);
    let truth = run.drive(CLIENTS);
    check_telemetry(&run, &truth);
    check_requests(&run, &truth);
    check_bytes(&run, &truth);
    check_phases(&run, &truth);
    check_endings(&run, &truth);
    check_rates(&run, &truth);
    check_percentiles(&run, &truth);
}

/// Asserts that two vectors are equal, and shows only what differs.
#[track_caller]
fn assert_same(what: &str, found: &BTreeMap<Labels, f64>, expected: &BTreeMap<Labels, f64>) {
    let keys = found.keys().chain(expected.keys());
    let differences = keys
        .filter(|key| found.get(*key) != expected.get(*key))
        .map(|key| (key, (found.get(key), expected.get(key))))
        .collect::<BTreeMap<_, _>>();
    assert!(differences.is_empty(), "{what}: (found, expected) differ: {differences:#?}");
}

/// Sums the values that `count` gives the requests of the book. A sum of zero is no series.
fn sum(
    book: &[Request],
    labels: impl Fn(&Request) -> Vec<&str>,
    count: impl Fn(&Request) -> u64,
) -> BTreeMap<Labels, f64> {
    let mut sums = BTreeMap::new();
    for request in book.iter().filter(|request| count(request) > 0) {
        let labels = labels(request).into_iter().map(str::to_owned).collect();
        *sums.entry(labels).or_insert(0.0) += count(request) as f64;
    }
    sums
}

/// What tailmeter says about itself.
fn check_telemetry(run: &Run, truth: &Truth) {
    let value = |query: &str| run.prometheus.value(query, now());
    assert_eq!(value(r#"up{job="tailmeter"}"#), Some(1.0));
    // Never down in between, either.
    assert_eq!(value(r#"min_over_time(up{job="tailmeter"}[1m])"#), Some(1.0));
    let source = format!("{{source=\"{}\"}}", run.log.display());
    assert_eq!(value(&format!("tailmeter_source_up{source}")), Some(1.0));
    assert_eq!(value(&format!("tailmeter_source_lag_bytes{source}")), Some(0.0));
    assert_eq!(value(&format!("sum(tailmeter_rotations_total{source})")), Some(f64::from(ROTATIONS)));
    assert_eq!(value("sum(tailmeter_source_errors_total)").unwrap_or(0.0), 0.0);
    assert_eq!(value("sum(tailmeter_rejected_lines_total)").unwrap_or(0.0), 0.0);

    let outcomes = format!("sum by (outcome) (tailmeter_lines_total{source})");
    let outcomes = run.prometheus.query(&outcomes, &["outcome"], now()).unwrap();
    // The server that is down, and the backend that has no other.
    assert_eq!(value("sum(haproxy_log_server_state_changes_total{state=\"down\"})"), Some(1.0));
    assert_eq!(value("sum(haproxy_log_no_server_available_total)"), Some(1.0));
    let parsed = truth.book.len() + 2;
    assert_eq!(truth.written.lines().count(), parsed, "a line for each request, and two");
    let expected = [("parsed", parsed), ("ignored", 0), ("rejected", 0)];
    let expected = expected.map(|(outcome, lines)| (vec![outcome.to_owned()], lines as f64));
    assert_same("lines", &outcomes, &BTreeMap::from(expected));
}

/// How many requests, by all labels; and what else every request counts.
fn check_requests(run: &Run, truth: &Truth) {
    let labels = ["frontend_name", "backend_name", "server_name", "status_code", "http_request_method"];
    let query = format!("sum by ({}) (haproxy_log_requests_total)", labels.join(", "));
    let found = run.prometheus.query(&query, &labels, now()).unwrap();
    let method = |method: &'static str| if method == "BREW" { "other" } else { method };
    let all = |request: &Request| -> Vec<String> {
        let words = [request.frontend, request.backend, &request.server, &request.status, method(request.method)];
        words.map(str::to_owned).into()
    };
    let mut expected = BTreeMap::<Labels, f64>::new();
    for request in &truth.book {
        *expected.entry(all(request)).or_default() += 1.0;
    }
    // Every kind of request was there.
    assert!(expected.len() >= 20, "{expected:#?}");
    assert_same("requests", &found, &expected);

    let query = "sum by (frontend_name) (haproxy_log_request_duration_seconds_count)";
    let found = run.prometheus.query(query, &["frontend_name"], now()).unwrap();
    assert_same("durations", &found, &sum(&truth.book, |request| vec![request.frontend], |_| 1));
}

/// Bytes to clients. HAProxy counts them in its own representation of HTTP, so no client can know the number: the
/// truth is the log, read by counting spaces.
fn check_bytes(run: &Run, truth: &Truth) {
    let labels = ["frontend_name", "backend_name", "server_name"];
    let query = format!("sum by ({}) (haproxy_log_response_bytes_total)", labels.join(", "));
    let found = run.prometheus.query(&query, &labels, now()).unwrap();
    let mut expected = BTreeMap::<Labels, f64>::new();
    for line in truth.written.lines().filter(|line| is_about_request(line)) {
        let fields = line.split(' ').skip(3).collect::<Vec<_>>();
        let (backend, server) = fields[3].split_once('/').expect("two names");
        let bytes = fields[6].parse::<f64>().expect("a number");
        *expected.entry([fields[2], backend, server].map(str::to_owned).into()).or_default() += bytes;
    }
    assert_same("bytes", &found, &expected);
}

/// The phases that requests never reached.
fn check_phases(run: &Run, truth: &Truth) {
    let query = "sum by (phase) (haproxy_log_aborted_requests_total)";
    let found = run.prometheus.query(query, &["phase"], now()).unwrap();
    let never_reached = |request: &Request| {
        let has_server = request.server != "<NOSRV>";
        [
            ("request", request.method == "<BADREQ>"),
            ("queue", !has_server),
            ("connect", !has_server || request.backend == "lost"),
            ("response", !has_server || request.backend == "lost" || request.bytes.is_none()),
        ]
    };
    let mut expected = BTreeMap::<Labels, f64>::new();
    for request in &truth.book {
        for (phase, _) in never_reached(request).into_iter().filter(|(_, never)| *never) {
            *expected.entry(vec![phase.to_owned()]).or_default() += 1.0;
        }
    }
    assert_same("aborted phases", &found, &expected);
}

/// Abnormal ends, and attempts to connect beyond the first.
fn check_endings(run: &Run, truth: &Truth) {
    let query = "sum by (termination_state) (haproxy_log_terminations_total)";
    let found = run.prometheus.query(query, &["termination_state"], now()).unwrap();
    fn ending(request: &Request) -> Vec<&str> {
        match (request.method, request.backend) {
            ("<BADREQ>", _) => vec!["PR"],
            (_, "web") => vec!["LR"],
            (_, "retired" | "lost") => vec!["SC"],
            _ => vec!["CH"],
        }
    }
    let is_abnormal = |request: &Request| {
        let is_served = request.bytes.is_some() && matches!(request.backend, "site" | "service");
        u64::from(!is_served)
    };
    assert_same("terminations", &found, &sum(&truth.book, ending, is_abnormal));

    let query = "sum by (backend_name, server_name) (haproxy_log_retries_total) > 0";
    let found = run.prometheus.query(query, &["backend_name", "server_name"], now()).unwrap();
    // `retries 1`, and every first attempt fails.
    let retries = |request: &Request| u64::from(request.backend == "lost");
    let expected = sum(&truth.book, |request| vec![request.backend, &request.server], retries);
    assert_same("retries", &found, &expected);
}

/// Requests a second, by status code.
///
/// The truth is what ended within the window. Prometheus knows a request up to [`LAG`] late and extends what it saw
/// evenly to the ends of the window; so at each end it may be wrong by what ended within [`LAG`] of it, and by
/// no more.
fn check_rates(run: &Run, truth: &Truth) {
    let query = format!("sum by (status_code) (rate(haproxy_log_requests_total[{WINDOW}s]))");
    let found = run.prometheus.query(&query, &["status_code"], truth.window_end).unwrap();
    let between = |from: f64, to: f64| {
        let within = |request: &Request| u64::from(request.at > from && request.at <= to);
        sum(&truth.book, |request| vec![&request.status], within)
    };
    let (from, to) = (truth.window_end - WINDOW, truth.window_end);
    let least = between(from + LAG, to - LAG);
    let most = between(from - LAG, to + LAG);
    for (status, most) in &most {
        let rate = found.get(status).unwrap_or_else(|| panic!("no rate of {status:?}"));
        let (least, most) = (least.get(status).unwrap_or(&0.0) / WINDOW, most / WINDOW);
        eprintln!("rate of {status:?}: {least:.2} <= {rate:.2} <= {most:.2}");
        assert!((least..=most).contains(rate), "rate of {status:?}: {least} <= {rate} <= {most}");
    }
}

/// The 95th percentile of each server's time to respond.
///
/// The truth is the time that the server itself took, for all it answered within the window: its 95th percentile
/// by rank. Prometheus cannot know more than the bucket.
fn check_percentiles(run: &Run, truth: &Truth) {
    let query = format!(
        "histogram_quantile(0.95, sum by (le, backend_name, server_name) \
         (rate(haproxy_log_response_duration_seconds_bucket[{WINDOW}s])))"
    );
    let labels = ["backend_name", "server_name"];
    let found = run.prometheus.query(&query, &labels, truth.window_end).unwrap();
    let mut buckets = Vec::new();
    for (backend, server) in [("site", "a"), ("site", "b"), ("service", "c")] {
        let window = truth.window_end - WINDOW..truth.window_end;
        let answers = run.origins[server].answers();
        let within = answers.iter().filter(|Answer { at, .. }| window.contains(at));
        let mut took = within.map(|answer| answer.took).collect::<Vec<_>>();
        took.sort_by(f64::total_cmp);
        let percentile = took[(took.len() * 95).div_ceil(100) - 1];
        let bucket = BOUNDS.windows(2).find(|bounds| percentile <= bounds[1]).unwrap();
        let value = found[&vec![backend.to_owned(), server.to_owned()]];
        eprintln!("95th percentile of {server}: {percentile:.3} s, in {bucket:?}; PromQL: {value:.3}");
        assert!(
            bucket[0] < value && value <= bucket[1],
            "server {server} took {percentile} s, which is in {bucket:?}; PromQL says {value}"
        );
        buckets.push(bucket[1]);
    }
    // Unless each has its own, the comparison says little.
    assert_eq!(buckets, [0.1, 1.0, 0.5]);
}
