//! A counter that is easy to see through: each line by itself, each metric by itself, nothing shared, nothing
//! remembered but the rows. Written from METRICS.md; what tailmeter counts is held against it.

use std::collections::{BTreeMap, BTreeSet};

use tailmeter::config::Config;
use tailmeter::metrics::haproxy::FAMILY;
use tailmeter_parsers::envelope;
use tailmeter_parsers::haproxy::{Event, Http, Method, Notice, Tcp, parse};

use super::rules::shown;
use super::strict::{Labels, Metric};

/// Upper bounds of the timers, in seconds.
const TIMER: &str = "0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 30 60";
/// Upper bounds of the queues.
const QUEUE: &str = "0 1 2 3 5 10 20 50 100";

/// The metrics of timers, with their phase: TR, Tw, Tc, Tr, Ta, Tt.
pub(crate) const TIMERS: [(&str, &str); 6] = [
    ("haproxy_log_request_header_duration_seconds", "request"),
    ("haproxy_log_queue_duration_seconds", "queue"),
    ("haproxy_log_connect_duration_seconds", "connect"),
    ("haproxy_log_response_duration_seconds", "response"),
    ("haproxy_log_request_duration_seconds", "active"),
    ("haproxy_log_session_duration_seconds", "active"),
];

/// What a line does to a row.
#[derive(Clone, Copy)]
enum Change {
    /// The row is there; that is all.
    None,
    /// Adds a number.
    Add(u64),
    /// Observes a value, in millionths of the metric's unit.
    Observe(u128),
}

/// A row's cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    /// The value, or the sum, in millionths.
    pub(crate) millionths: u128,
    /// Observations by bucket, each for itself.
    pub(crate) buckets: Vec<u64>,
}

/// One metric.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    pub(crate) rows: BTreeMap<Labels, Cell>,
    /// All of its samples, whatever their labels.
    pub(crate) total: Cell,
    /// Samples that fell out of labels or limit.
    pub(crate) fell_out: u64,
    /// Labels and values that have a row.
    admitted: BTreeSet<(String, Vec<u8>)>,
    /// The row of all that came too late has been needed.
    is_full: bool,
}

/// What lines should have counted.
pub(crate) struct Reference<'c> {
    config: &'c Config,
    pub(crate) metrics: BTreeMap<&'static str, Expected>,
    pub(crate) parsed: u64,
    pub(crate) ignored: u64,
    pub(crate) rejected: u64,
    /// Lines, with their repetitions, whose last timer is incomplete and -1 at once.
    pub(crate) incomplete_aborted: u64,
}

impl<'c> Reference<'c> {
    pub(crate) fn new(config: &'c Config) -> Self {
        let metrics = BTreeMap::new();
        Self { config, metrics, parsed: 0, ignored: 0, rejected: 0, incomplete_aborted: 0 }
    }

    /// Counts one line, without its newline.
    pub(crate) fn line(&mut self, line: &[u8]) {
        let times = u64::from(envelope::detect(line).repeated);
        match parse(line) {
            Ok(event @ Event::Http(http)) => {
                self.parsed += 1;
                self.http(&event, &http, times);
            }
            Ok(event @ Event::Tcp(tcp)) => {
                self.parsed += 1;
                self.tcp(&event, &tcp, times);
            }
            Ok(event @ Event::Notice(notice)) if notice.is_counted() => {
                self.parsed += 1;
                self.notice(&event, &notice, times);
            }
            Ok(_) => self.ignored += 1,
            Err(_) => self.rejected += 1,
        }
    }

    fn http(&mut self, event: &Event<'_>, http: &Http<'_>, times: u64) {
        let mut count = |metric, word, change| self.count(metric, event, word, change, times);
        count("haproxy_log_requests_total", "", Change::Add(1));
        for ((metric, phase), ms) in TIMERS[..5].iter().zip(http.timers_ms) {
            let is_incomplete = *phase == "active" && http.logasap;
            count(metric, "", observed(ms, is_incomplete));
            if ms < 0 {
                count("haproxy_log_aborted_requests_total", phase, Change::Add(1));
            }
        }
        if http.tls().is_some_and(|tls| tls.ssl_version != b"-") {
            count("haproxy_log_tls_connections_total", "", Change::Add(1));
        }
        let last = http.timers_ms[4];
        let numbers = (http.bytes_read, http.retries, http.redispatched, http.queues);
        self.both(event, numbers, http.logasap, last, http.termination_state(), times);
        if http.truncated {
            self.count("haproxy_log_incomplete_records_total", event, "truncated", Change::Add(1), times);
        }
    }

    fn tcp(&mut self, event: &Event<'_>, tcp: &Tcp<'_>, times: u64) {
        let mut count = |metric, word, change| self.count(metric, event, word, change, times);
        count("haproxy_log_sessions_total", "", Change::Add(1));
        for ((metric, phase), ms) in [TIMERS[1], TIMERS[2], TIMERS[5]].iter().zip(tcp.timers_ms) {
            let is_incomplete = *phase == "active" && tcp.logasap;
            count(metric, "", observed(ms, is_incomplete));
            if ms < 0 {
                count("haproxy_log_aborted_requests_total", phase, Change::Add(1));
            }
        }
        let last = tcp.timers_ms[2];
        let numbers = (tcp.bytes_read, tcp.retries, tcp.redispatched, tcp.queues);
        self.both(event, numbers, tcp.logasap, last, tcp.termination_state(), times);
    }

    fn notice(&mut self, event: &Event<'_>, notice: &Notice<'_>, times: u64) {
        let (metric, reason) = match notice {
            Notice::ConnectionError(error) => ("haproxy_log_connection_errors_total", error.reason),
            Notice::HealthCheck(check) => {
                ("haproxy_log_health_checks_total", check.details().reason.unwrap_or("other"))
            }
            Notice::ServerState(_) => ("haproxy_log_server_state_changes_total", ""),
            Notice::BackendState(_) => ("haproxy_log_no_server_available_total", ""),
            other => panic!("{other:?} should be ignored"),
        };
        self.count(metric, event, reason, Change::Add(1), times);
        if notice.truncated() {
            self.count("haproxy_log_incomplete_records_total", event, "truncated", Change::Add(1), times);
        }
    }

    fn both(
        &mut self,
        event: &Event<'_>,
        (bytes, retries, redispatched, queues): (u64, u32, bool, [u32; 2]),
        logasap: bool,
        last_ms: i32,
        state: &[u8],
        times: u64,
    ) {
        if logasap && last_ms < 0 {
            self.incomplete_aborted += times;
        }
        let mut count = |metric, word, change| self.count(metric, event, word, change, times);
        let bytes = if logasap { Change::None } else { Change::Add(bytes) };
        count("haproxy_log_response_bytes_total", "", bytes);
        if logasap {
            count("haproxy_log_incomplete_records_total", "logasap", Change::Add(1));
        }
        if state[0] != b'-' {
            count("haproxy_log_terminations_total", "", Change::Add(1));
        }
        count("haproxy_log_retries_total", "", Change::Add(u64::from(retries)));
        count("haproxy_log_redispatches_total", "", Change::Add(u64::from(redispatched)));
        let [server, backend] = queues.map(|length| Change::Observe(1_000_000 * u128::from(length)));
        count("haproxy_log_server_queue_length", "", server);
        count("haproxy_log_backend_queue_length", "", backend);
    }

    /// Counts in the row of the line's labels, under the operator's rules.
    fn count(&mut self, name: &'static str, event: &Event<'_>, word: &str, change: Change, times: u64) {
        let metric = FAMILY.metrics.iter().find(|metric| metric.name == name).expect(name);
        if !self.config.is_enabled(metric) {
            return;
        }
        let expected = self.metrics.entry(name).or_default();
        let (mut labels, mut others, mut fell_out) = (Labels::new(), Labels::new(), false);
        for (label, policy) in self.config.labels_of(metric) {
            let raw = value(label, name, event, word);
            let most = policy.and_then(|policy| policy.max_values).unwrap_or(usize::MAX);
            let admitted = &expected.admitted;
            let has_room = |value: &Vec<u8>| {
                let of_label = || admitted.iter().filter(|(name, _)| *name == label);
                is_free(value) || of_label().count() < most || of_label().any(|(_, known)| known == value)
            };
            let shown = policy.map_or(Some(raw.clone()), |policy| shown(policy, &raw)).filter(has_room);
            fell_out |= shown.is_none();
            labels.push((label.to_owned(), shown.unwrap_or_else(|| b"other".to_vec())));
            others.push((label.to_owned(), b"other".to_vec()));
        }
        let has_room = expected.rows.len() + 1 < self.config.max_series_of(name) && !expected.is_full;
        if !expected.rows.contains_key(&labels) && !has_room {
            expected.is_full = true;
            // What is called `other` by itself is in the right row there.
            fell_out |= labels != others;
            labels = others;
        }
        expected.fell_out += if fell_out { times } else { 0 };
        if !expected.rows.contains_key(&labels) {
            expected.admitted.extend(labels.iter().filter(|(_, value)| !is_free(value)).cloned());
        }
        let cell = expected.rows.entry(labels).or_default();
        for cell in [cell, &mut expected.total] {
            cell.change(name, change, times);
        }
    }
}

/// True for what is no value, and so is not counted as one.
fn is_free(value: &[u8]) -> bool {
    value.is_empty() || value == b"other"
}

/// How many samples of a histogram each of `buckets` holds; their bounds are those of metric `name`.
fn bounds(name: &str) -> Option<Vec<&'static str>> {
    let bounds = if name.ends_with("_seconds") { TIMER } else { QUEUE };
    (!name.ends_with("_total")).then(|| bounds.split(' ').chain(["+Inf"]).collect())
}

fn observed(ms: i32, is_incomplete: bool) -> Change {
    if ms < 0 || is_incomplete { Change::None } else { Change::Observe(1000 * ms as u128) }
}

impl Cell {
    fn change(&mut self, name: &str, change: Change, times: u64) {
        let bounds = bounds(name).unwrap_or_default();
        self.buckets.resize(bounds.len(), 0);
        match change {
            Change::None => {}
            Change::Add(number) => self.millionths += 1_000_000 * u128::from(number) * u128::from(times),
            Change::Observe(millionths) => {
                self.millionths += millionths * u128::from(times);
                // The infinite bound parses as a number, too.
                let fits = |bound: &&str| millionths as f64 <= (bound.parse::<f64>().expect("a number") * 1e6).round();
                let bucket = bounds.iter().position(fits).expect("the last takes all");
                self.buckets[bucket] += times;
            }
        }
    }

    /// The same as the exposition shows it.
    fn cumulative(&self, name: &str) -> Vec<(String, u64)> {
        let mut count = 0;
        let bounds = bounds(name).unwrap_or_default();
        let buckets = bounds.into_iter().zip(&self.buckets).map(|(bound, in_bucket)| {
            count += in_bucket;
            (bound.to_owned(), count)
        });
        buckets.collect()
    }
}

impl Expected {
    /// Compares every row.
    #[track_caller]
    pub(crate) fn assert_rows(&self, shown: &Metric) {
        let name = shown.name.as_str();
        for (labels, row) in &shown.rows {
            let cell = self.rows.get(labels).unwrap_or_else(|| panic!("{name}{labels:?} should not be there"));
            assert_eq!(1000 * row.thousandths, cell.millionths, "{name}{labels:?}");
            assert_eq!(row.buckets, cell.cumulative(name), "{name}{labels:?}");
        }
        assert_eq!(shown.rows.len(), self.rows.len(), "rows of {name}");
    }

    /// Compares the sum over all rows.
    #[track_caller]
    pub(crate) fn assert_total(&self, shown: &Metric) {
        assert_eq!(1000 * shown.thousandths(), self.total.millionths, "{}", shown.name);
        let mut buckets = vec![0; self.total.buckets.len()];
        for row in shown.rows.values() {
            let mut before = 0;
            for (total, (_, count)) in buckets.iter_mut().zip(&row.buckets) {
                *total += count - before;
                before = *count;
            }
        }
        assert_eq!(buckets, self.total.buckets, "{}", shown.name);
    }
}

/// The raw value of a label, as bytes.
pub(crate) fn value(label: &str, metric: &str, event: &Event<'_>, word: &str) -> Vec<u8> {
    let truth = |value: bool| if value { "true" } else { "false" }.as_bytes().to_vec();
    match (label, event) {
        ("phase" | "reason", _) => word.into(),
        ("frontend_name", Event::Http(http)) => http.frontend_name().into(),
        ("frontend_name", Event::Tcp(tcp)) => tcp.frontend_name().into(),
        ("backend_name", Event::Http(http)) => http.backend_name().into(),
        ("backend_name", Event::Tcp(tcp)) => tcp.backend_name().into(),
        ("server_name", Event::Http(http)) => http.server_name().into(),
        ("server_name", Event::Tcp(tcp)) => tcp.server_name().into(),
        ("client_ip", Event::Http(http)) => http.client_ip().into(),
        ("client_ip", Event::Tcp(tcp)) => tcp.client_ip().into(),
        ("client_port", Event::Http(http)) => http.client_port().to_string().into(),
        ("client_port", Event::Tcp(tcp)) => tcp.client_port().to_string().into(),
        ("ssl", Event::Http(http)) => truth(http.ssl()),
        ("ssl", Event::Tcp(tcp)) => truth(tcp.ssl()),
        ("termination_state", Event::Http(http)) => ending(http.termination_state(), metric),
        ("termination_state", Event::Tcp(tcp)) => ending(tcp.termination_state(), metric),
        (_, Event::Http(http)) => http_value(label, http),
        (_, Event::Notice(notice)) => notice_value(label, notice).into(),
        // What only requests have is empty in sessions.
        _ => Vec::new(),
    }
}

fn notice_value<'a>(label: &str, notice: &Notice<'a>) -> &'a [u8] {
    match (label, notice) {
        ("frontend_name", Notice::ConnectionError(error)) => error.frontend_name(),
        ("backend_name", Notice::HealthCheck(check)) => check.backend_name(),
        ("server_name", Notice::HealthCheck(check)) => check.server_name(),
        ("result", Notice::HealthCheck(check)) => check.result.as_str().as_bytes(),
        ("backend_name", Notice::ServerState(server)) => server.backend_name(),
        ("server_name", Notice::ServerState(server)) => server.server_name(),
        ("state", Notice::ServerState(server)) => server.change.as_str().as_bytes(),
        ("backend_name", Notice::BackendState(backend)) => backend.backend_name,
        _ => panic!("no such label: {label}"),
    }
}

fn http_value(label: &str, http: &Http<'_>) -> Vec<u8> {
    let tls = http.tls();
    let headers = |prefix: &str| label.strip_prefix(prefix).map(|number| number.parse::<usize>().expect(label) - 1);
    let number = headers("request_header_").or(headers("response_header_")).unwrap_or_default();
    let found: &[u8] = match label {
        "status_code" => return status(http.status_code),
        "http_request_method" => match http.method() {
            Method::Known(method) => method,
            Method::BadRequest => b"<BADREQ>",
            Method::Other => b"other",
        },
        "http_version" => http.http_version().unwrap_or(b"other"),
        "http_request_path" => http.path().unwrap_or_default(),
        "ssl_fc_sni" => tls.map_or(b"", |tls| tls.ssl_fc_sni),
        "ssl_version" => tls.map_or(b"", |tls| tls.ssl_version),
        "ssl_ciphers" => tls.map_or(b"", |tls| tls.ssl_ciphers),
        "resumed" if tls.is_some_and(|tls| tls.ssl_fc_is_resumed == b"1") => b"true",
        "resumed" => b"false",
        _ if label.starts_with("request_header_") => {
            http.request_headers().and_then(|mut headers| headers.nth(number)).unwrap_or_default()
        }
        _ if label.starts_with("response_header_") => {
            http.response_headers().and_then(|mut headers| headers.nth(number)).unwrap_or_default()
        }
        _ => panic!("no such label: {label}"),
    };
    found.into()
}

fn status(code: i16) -> Vec<u8> {
    match code {
        -1 | 100..=999 => code.to_string().into(),
        _ => b"other".into(),
    }
}

/// A termination state, or its first two characters, when HAProxy writes such (configuration manual, 8.5).
fn ending(state: &[u8], metric: &str) -> Vec<u8> {
    let shown = if metric == "haproxy_log_terminations_total" { &state[..2] } else { state };
    let known = ["-CSPLRIDUKcs", "-RQCHDLT", "-NIDVEOU", "-NIUPRD"];
    let is_known = shown.iter().zip(known).all(|(character, known)| known.as_bytes().contains(character));
    if is_known { shown.into() } else { b"other".into() }
}
