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
#[path = "end_to_end/traffic.rs"]
mod traffic;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use lab::{Lab, find, free_ports, is_udp_bound, text};
use origin::{Answer, Origin};
use prometheus::{Labels, Prometheus};
use traffic::{Client, Request, Step, Traffic, now};

/// Seconds that rates and percentiles look back.
const WINDOW: f64 = 15.0;

/// How much later than a request Prometheus may know of it, in seconds: it scrapes every second, the line
/// takes a moment through rsyslog and tailmeter, and the machine may be busy.
const LAG: f64 = 2.0;

/// How often logrotate rotates the log while it is written.
const ROTATIONS: u32 = 5;

/// Debian's configuration, but for addresses, shorter waits and the proxies.
const HAPROXY: &str = "
global
    log 127.0.0.1:{syslog} local0
    nbthread 2
    maxconn 500

defaults
    log global
    mode http
    option httplog
    option dontlognull
    option abortonclose
    retries 1
    timeout connect 200ms
    timeout client 50s
    timeout server 50s

frontend web
    bind 127.0.0.1:{web}
    http-request return status 204 if { path /ping }
    use_backend retired if { path_beg /retired/ }
    use_backend lost if { path_beg /lost/ }
    default_backend site

frontend api
    bind 127.0.0.1:{api}
    use_backend site if { path_beg /site/ }
    default_backend service

backend site
    balance roundrobin
    server a 127.0.0.1:{origin_a}
    server b 127.0.0.1:{origin_b}

backend service
    server c 127.0.0.1:{origin_c}

# Nobody listens: the system gives port 1 to nobody who does not ask for it.
backend retired
    server old 127.0.0.1:1 check inter 100ms
backend lost
    server nobody 127.0.0.1:1
";

/// The template is the one Debian uses since version 12.
const RSYSLOG: &str = r#"
global(workDirectory="{directory}")
module(load="imudp")
module(load="builtin:omfile" template="RSYSLOG_FileFormat" fileCreateMode="0640")
input(type="imudp" address="127.0.0.1" port="{syslog}" rcvbufSize="4m")
local0.* action(type="omfile" file="{directory}/haproxy.log")
"#;

/// Debian's stanza, with `create` from its main file, and a signal to the rsyslog of this run.
const LOGROTATE: &str = "
{directory}/haproxy.log {
    daily
    rotate 7
    create 0640
    missingok
    notifempty
    compress
    delaycompress
    postrotate
        kill -HUP $(cat {directory}/rsyslogd.pid)
    endscript
}
";

const PROMETHEUS: &str = "
global:
  scrape_interval: 1s
  scrape_timeout: 1s
scrape_configs:
  - job_name: tailmeter
    static_configs:
      - targets: ['{tailmeter}']
";

const TAILMETER: &str = "
metrics:
  haproxy_log_response_duration_seconds: {labels: [backend_name, server_name]}
";

/// The servers' delays. They lie well inside different buckets; 95th percentile, median and longest of `b` and
/// `c` do, too.
const A: origin::Delay = |_| 70;
const B: origin::Delay = |count| if count.is_multiple_of(10) { 700 } else { 160 };
const C: origin::Delay = |count| if count.is_multiple_of(50) { 700 } else { 350 };

/// The bounds of the timers' buckets, in seconds.
const BOUNDS: [f64; 17] = [
    0.0,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    f64::INFINITY,
];

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
    Client {
        frontend,
        every_ms,
        requests,
    }
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

/// Everything that runs, and where it is.
struct Run {
    lab: Lab,
    log: PathBuf,
    logrotate: PathBuf,
    zcat: PathBuf,
    prometheus: Prometheus,
    origins: BTreeMap<&'static str, Origin>,
    ports: BTreeMap<&'static str, u16>,
}

/// What is true, by the books.
struct Truth {
    book: Vec<Request>,
    /// The end of the window of rates and percentiles, in Unix seconds.
    window_end: f64,
    /// Lines of all generations of the log, and how many of them are about requests.
    lines: u64,
    request_lines: u64,
}

impl Run {
    fn start() -> Self {
        let [haproxy, rsyslogd, logrotate, prometheus, _, zcat] = find([
            ("haproxy", "haproxy"),
            ("rsyslogd", "rsyslog"),
            ("logrotate", "logrotate"),
            ("prometheus", "prometheus"),
            ("setpriv", "util-linux"),
            ("zcat", "gzip"),
        ]);
        let mut lab = Lab::new();
        let log = lab.path("haproxy.log");
        let [web, api, syslog, prometheus_port] = free_ports();
        let origins = BTreeMap::from([
            ("a", Origin::start("a", A)),
            ("b", Origin::start("b", B)),
            ("c", Origin::start("c", C)),
        ]);
        let numbers = [
            ("{syslog}", syslog),
            ("{web}", web),
            ("{api}", api),
            ("{origin_a}", origins["a"].port),
            ("{origin_b}", origins["b"].port),
            ("{origin_c}", origins["c"].port),
        ];
        let filled = |text: &str| {
            let fill = |text: String, (name, port): &(&str, u16)| text.replace(name, &port.to_string());
            numbers.iter().fold(text.to_owned(), fill)
        };
        lab.write("rsyslog.conf", &filled(RSYSLOG));
        let pid_file = lab.path("rsyslogd.pid");
        let pid_file = pid_file.to_str().unwrap();
        lab.start("rsyslogd", &rsyslogd, &["-n", "-C", "-f", "rsyslog.conf", "-i", pid_file]);
        lab.until("rsyslog listens", || is_udp_bound(syslog).then_some(()));
        lab.write("haproxy.cfg", &filled(HAPROXY));
        lab.start("haproxy", &haproxy, &["-db", "-f", "haproxy.cfg"]);
        for port in [web, api] {
            let connects = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok().map(drop);
            lab.until("HAProxy listens", connects);
        }
        lab.until("HAProxy has found a server down, and rsyslog has written so", || {
            text(&log).contains("has no server available").then_some(())
        });
        let tailmeter = Self::start_tailmeter(&mut lab, &log);
        lab.write("prometheus.yml", &PROMETHEUS.replace("{tailmeter}", &tailmeter));
        let listen = format!("--web.listen-address=127.0.0.1:{prometheus_port}");
        let options = ["--config.file=prometheus.yml", "--storage.tsdb.path=tsdb", &listen];
        lab.start("prometheus", &prometheus, &options);
        let prometheus = Prometheus { port: prometheus_port };
        lab.until("Prometheus has scraped tailmeter", || {
            prometheus.value(r#"up{job="tailmeter"} == 1"#, now())
        });
        lab.write("logrotate.conf", LOGROTATE);
        Self {
            lab,
            log,
            logrotate,
            zcat,
            prometheus,
            origins,
            ports: BTreeMap::from([("web", web), ("api", api)]),
        }
    }

    /// Returns the address that tailmeter says it serves on.
    fn start_tailmeter(lab: &mut Lab, log: &std::path::Path) -> String {
        let config = lab.write("tailmeter.yml", TAILMETER);
        let state = lab.path("state");
        let [config, state, log] = [&config, &state, log].map(|path| path.to_str().unwrap());
        let arguments = [
            "run", "--config", config, "--haproxy", log, "--listen", "127.0.0.1:0", "--state-dir", state,
        ];
        lab.start("tailmeter", env!("CARGO_BIN_EXE_tailmeter").as_ref(), &arguments);
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let output = lab.output("tailmeter");
            let address = output.split_once("http://").and_then(|(_, rest)| rest.split_once("/metrics"));
            if let Some((address, _)) = address {
                return address.to_owned();
            }
            assert!(Instant::now() < deadline, "tailmeter does not say where it listens");
            lab.until("tailmeter runs", || Some(()));
        }
    }

    /// Runs the clients for a window and some, with rotations meanwhile; then waits until Prometheus knows
    /// everything.
    fn drive(&mut self) -> Truth {
        let traffic = Traffic::start(CLIENTS, &self.ports, &self.origins["c"]);
        let began = now();
        // The window begins when Prometheus has surely seen every series once.
        let length = LAG + WINDOW + 1.0;
        for rotation in 1..=ROTATIONS {
            let due = began + length * f64::from(rotation) / f64::from(ROTATIONS + 1);
            let log = &self.log;
            self.lab.until("lines in the file between two rotations", || {
                assert!(!traffic.has_failed(), "a client failed");
                (now() >= due && log.metadata().is_ok_and(|file| file.len() > 0)).then_some(())
            });
            self.rotate();
        }
        self.lab.until("the end of the window", || {
            assert!(!traffic.has_failed(), "a client failed");
            (now() >= began + length).then_some(())
        });
        let window_end = now();
        let book = traffic.stop();
        let (lines, request_lines) = self.wait_for_lines(book.len() as u64);
        self.wait_for_scrapes(lines, window_end);
        Truth {
            book,
            window_end,
            lines,
            request_lines,
        }
    }

    fn rotate(&self) {
        let run = Command::new(&self.logrotate)
            .args(["--force", "--state", "logrotate.state", "logrotate.conf"])
            .current_dir(self.log.parent().unwrap())
            .output()
            .expect("logrotate starts");
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success() && said.is_empty(), "logrotate: {said}");
    }

    /// All lines that were ever written, in all generations.
    fn written(&self) -> String {
        let directory = self.log.parent().unwrap();
        let names = directory.read_dir().unwrap().map(|entry| entry.unwrap().path());
        let is_generation = |path: &PathBuf| path.to_str().unwrap().contains("haproxy.log");
        let run = Command::new(&self.zcat)
            .arg("-f")
            .args(names.filter(is_generation))
            .output()
            .expect("zcat starts");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8(run.stdout).unwrap()
    }

    /// Waits until rsyslog has written a line for each request; all lines, and those about requests.
    fn wait_for_lines(&mut self, requests: u64) -> (u64, u64) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let written = self.written();
            let about_requests = written.lines().filter(|line| line.contains("]: 127.0.0.1:")).count() as u64;
            if about_requests >= requests {
                return (written.lines().count() as u64, about_requests);
            }
            assert!(
                Instant::now() < deadline,
                "{requests} requests, but {about_requests} lines about requests in the log"
            );
            self.lab.until("the programs run", || Some(()));
        }
    }

    /// Waits until Prometheus has scraped all lines once, and then again: a scrape may meet a block of
    /// lines half way.
    fn wait_for_scrapes(&mut self, lines: u64, window_end: f64) {
        let prometheus = self.prometheus;
        let mut seen = 0.0;
        let waited = Instant::now();
        let all = self.lab.until("tailmeter has counted every line", || {
            seen = prometheus.value("sum(tailmeter_lines_total)", now()).unwrap_or(seen);
            let is_late = waited.elapsed() > Duration::from_secs(30);
            assert!(!is_late, "{lines} lines were written, tailmeter has counted {seen}");
            (seen >= lines as f64).then(now)
        });
        let after = all.max(window_end);
        self.lab.until("another scrape", || {
            let scraped = prometheus.value(r#"timestamp(up{job="tailmeter"})"#, now())?;
            (scraped > after).then_some(())
        });
    }
}

#[test]
fn prometheus_knows_what_haproxy_served() {
    let mut run = Run::start();
    let truth = run.drive();
    assert_eq!(truth.request_lines, truth.book.len() as u64, "HAProxy logged what the clients did");
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
    assert_eq!(
        value(&format!("sum(tailmeter_rotations_total{source})")),
        Some(f64::from(ROTATIONS))
    );
    assert_eq!(value("sum(tailmeter_source_errors_total)").unwrap_or(0.0), 0.0);
    assert_eq!(value("sum(tailmeter_rejected_lines_total)").unwrap_or(0.0), 0.0);

    let outcomes = format!("sum by (outcome) (tailmeter_lines_total{source})");
    let outcomes = run.prometheus.query(&outcomes, &["outcome"], now()).unwrap();
    let ignored = truth.lines - truth.request_lines;
    // The server that is down, and the backend that has no other.
    assert_eq!(ignored, 2);
    let expected = [("parsed", truth.request_lines), ("ignored", ignored), ("rejected", 0)];
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

/// Bytes to clients. The service is left out: clients that are gone cannot tell what was sent to them.
fn check_bytes(run: &Run, truth: &Truth) {
    let labels = ["frontend_name", "backend_name", "server_name"];
    let query = format!(
        "sum by ({}) (haproxy_log_response_bytes_total{{backend_name!=\"service\"}})",
        labels.join(", ")
    );
    let found = run.prometheus.query(&query, &labels, now()).unwrap();
    let bytes = |request: &Request| match request.backend {
        "service" => 0,
        _ => request.bytes.unwrap_or(0),
    };
    let expected = sum(&truth.book, |request| vec![request.frontend, request.backend, &request.server], bytes);
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
