//! HAProxy's metrics, and how its lines update them.
//!
//! Every line updates one row in each group of its kind. The rows are found by one look into a [`Memo`] with
//! raw bytes of the line; what only few lines have (aborted phases, abnormal ends, TLS fields) has rows of
//! its own, looked up when needed.

use std::sync::Arc;

use tailmeter_parsers::haproxy::{BATCH, Batch, Event, Http, Line, Method, Scanner, Tcp};

use super::{Buckets, Counter, Family, Kind, Label, Metric, Plan, Slot, Tally, Unit};
use crate::config::Config;
use crate::series::{Base, Cells, Directory, EntryId, Key, Memo, NO_ENTRY, Open};

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
    "ssl_fc_sni",
];

const PROXIES: &[&str] = &["frontend_name", "backend_name"];

const fn timer(name: &'static str, help: &'static str) -> Metric {
    Metric { name, help, kind: TIMER, unit: Unit::Seconds, labels: PROXIES, opt_in: OPT_IN }
}

const fn counter(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Metric {
    Metric { name, help, kind: Kind::Counter, unit: Unit::None, labels, opt_in: &[] }
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
    },
    Metric {
        name: "haproxy_log_backend_queue_length",
        help: "Requests queued before this one at its backend.",
        kind: QUEUE,
        unit: Unit::None,
        labels: &["backend_name"],
        opt_in: &["server_name"],
    },
    Metric {
        opt_in: &["ssl_ciphers"],
        ..counter(
            "haproxy_log_tls_connections_total",
            "Requests over TLS whose line has the fields of `option httpslog`.",
            &["frontend_name", "ssl_version", "resumed"],
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
const TLS_CONNECTIONS: usize = 15;
const INCOMPLETE: usize = 16;

/// The phases of the timers TR, Tw, Tc, Tr; Ta is never missing.
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
    label("phase", "`request`, `queue`, `connect` or `response`.", false),
    label("ssl_version", "Version of TLS, for example `TLSv1.3`.", false),
    label("resumed", "`true` when the TLS session was resumed.", false),
    label("ssl_ciphers", "Name of the TLS cipher suite.", false),
    label("reason", "`logasap` or `truncated`.", false),
    label("http_request_path", "Path of the request, without its query.", true),
    label("client_ip", "Address of the client.", true),
    label("client_port", "Port of the client.", true),
    label("request_header_N", "The Nth captured request header.", true),
    label("response_header_N", "The Nth captured response header.", true),
    label("ssl_fc_sni", "Name that the client asked for in TLS.", true),
];

/// The HAProxy family.
pub const FAMILY: Family = Family { name: "haproxy", metrics: METRICS, labels: LABELS };

/// Which lines count a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lines {
    Http,
    Tcp,
    Both,
    /// Only some lines; each such metric has rows of its own.
    Some(usize),
}

fn lines(metric: usize) -> Lines {
    match metric {
        REQUESTS | 3 | 6 | 7 => Lines::Http,
        SESSIONS | SESSION_DURATION => Lines::Tcp,
        ABORTED | TERMINATIONS | TLS_CONNECTIONS | INCOMPLETE => Lines::Some(metric),
        _ => Lines::Both,
    }
}

/// The plan of this family under `config`.
pub fn plan(config: &Config) -> Plan {
    Plan::new(&FAMILY, config, lines)
}

/// Where a label's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Frontend,
    Backend,
    Server,
    Status,
    Method,
    Termination,
    /// The first two characters of the termination state.
    Ending,
    Version,
    Ssl,
    Phase,
    SslVersion,
    Resumed,
    Ciphers,
    Reason,
    Path,
    ClientIp,
    ClientPort,
    RequestHeader(usize),
    ResponseHeader(usize),
    Sni,
}

impl Field {
    /// The source of label `name` of `metric`. The configuration has been checked: every name is of the
    /// vocabulary.
    fn of(name: &str, metric: usize) -> Self {
        match name {
            "termination_state" if metric == TERMINATIONS => Self::Ending,
            "frontend_name" => Self::Frontend,
            "backend_name" => Self::Backend,
            "server_name" => Self::Server,
            "status_code" => Self::Status,
            "http_request_method" => Self::Method,
            "termination_state" => Self::Termination,
            "http_version" => Self::Version,
            "ssl" => Self::Ssl,
            "phase" => Self::Phase,
            "ssl_version" => Self::SslVersion,
            "resumed" => Self::Resumed,
            "ssl_ciphers" => Self::Ciphers,
            "reason" => Self::Reason,
            "http_request_path" => Self::Path,
            "client_ip" => Self::ClientIp,
            "client_port" => Self::ClientPort,
            "ssl_fc_sni" => Self::Sni,
            _ => {
                let number = |prefix| name.strip_prefix(prefix).and_then(|number: &str| number.parse().ok());
                match (number("request_header_"), number("response_header_")) {
                    (Some(number), _) => Self::RequestHeader(number),
                    (_, Some(number)) => Self::ResponseHeader(number),
                    _ => Self::Reason,
                }
            }
        }
    }

    /// True when it stands in the raw names, or in the word that goes with the metric.
    fn is_in_names(self) -> bool {
        matches!(self, Self::Frontend | Self::Backend | Self::Server | Self::Ssl | Self::Phase | Self::Reason)
    }
}

/// The line whose labels are wanted.
#[derive(Clone, Copy)]
enum Subject<'s, 'a> {
    Http(&'s Http<'a>),
    Tcp(&'s Tcp<'a>),
}

impl<'a> Subject<'_, 'a> {
    /// Appends the value of `field`. `word` is the value of phase and reason.
    fn write(self, field: Field, word: &str, out: &mut Vec<u8>) {
        let text: &[u8] = match (field, self) {
            (Field::Phase | Field::Reason, _) => word.as_bytes(),
            (Field::Frontend, Subject::Http(http)) => http.frontend_name(),
            (Field::Frontend, Subject::Tcp(tcp)) => tcp.frontend_name(),
            (Field::Backend, Subject::Http(http)) => http.backend_name(),
            (Field::Backend, Subject::Tcp(tcp)) => tcp.backend_name(),
            (Field::Server, Subject::Http(http)) => http.server_name(),
            (Field::Server, Subject::Tcp(tcp)) => tcp.server_name(),
            (Field::Termination, _) => termination_state(self.termination_state(), 4),
            (Field::Ending, _) => termination_state(self.termination_state(), 2),
            (Field::Ssl, Subject::Http(http)) => truth(http.ssl()),
            (Field::Ssl, Subject::Tcp(tcp)) => truth(tcp.ssl()),
            (Field::ClientIp, Subject::Http(http)) => http.client_ip(),
            (Field::ClientIp, Subject::Tcp(tcp)) => tcp.client_ip(),
            (Field::ClientPort, Subject::Http(http)) => return write_number(http.client_port(), out),
            (Field::ClientPort, Subject::Tcp(tcp)) => return write_number(tcp.client_port(), out),
            (_, Subject::Tcp(_)) => b"",
            (Field::Status, Subject::Http(http)) => match http.status_code {
                -1 => b"-1",
                100..=999 => return write_number(http.status_code as u32, out),
                _ => crate::series::OTHER,
            },
            (Field::Method, Subject::Http(http)) => match http.method() {
                Method::Known(method) => method,
                Method::BadRequest => b"<BADREQ>",
                Method::Other => crate::series::OTHER,
            },
            (Field::Version, Subject::Http(http)) => http.http_version().unwrap_or(crate::series::OTHER),
            (Field::Path, Subject::Http(http)) => http.path().unwrap_or_default(),
            (Field::RequestHeader(number), Subject::Http(http)) => nth(http.request_headers(), number),
            (Field::ResponseHeader(number), Subject::Http(http)) => nth(http.response_headers(), number),
            (Field::Sni, Subject::Http(http)) => http.tls().map_or(b"", |tls| tls.ssl_fc_sni),
            (Field::SslVersion, Subject::Http(http)) => http.tls().map_or(b"", |tls| tls.ssl_version),
            (Field::Ciphers, Subject::Http(http)) => http.tls().map_or(b"", |tls| tls.ssl_ciphers),
            (Field::Resumed, Subject::Http(http)) => truth(http.tls().is_some_and(|tls| tls.ssl_fc_is_resumed == b"1")),
        };
        out.extend_from_slice(text);
    }

    fn termination_state(self) -> &'a [u8] {
        match self {
            Self::Http(http) => http.termination_state(),
            Self::Tcp(tcp) => tcp.termination_state(),
        }
    }
}

fn truth(value: bool) -> &'static [u8] {
    if value { b"true" } else { b"false" }
}

fn write_number(number: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn nth<'a>(headers: Option<impl Iterator<Item = &'a [u8]>>, number: usize) -> &'a [u8] {
    headers.and_then(|mut headers| headers.nth(number.wrapping_sub(1))).unwrap_or_default()
}

/// The first `length` characters of a termination state, if they are some that HAProxy writes
/// (configuration manual, 8.5).
fn termination_state(state: &[u8], length: usize) -> &[u8] {
    const CHARACTERS: [&[u8]; 4] = [b"-CSPLRIDUKcs", b"-RQCHDLTP", b"-NIDVEOU", b"-NIUPRD"];
    let state = state.get(..length).unwrap_or(state);
    let is_known = state.iter().zip(CHARACTERS).all(|(character, known)| known.contains(character));
    if is_known { state } else { crate::series::OTHER }
}

/// Where a metric is counted: its cells in a row, and which of the line's rows that is: one of its names, or,
/// from [`GROUPS`] on, one of its full tuple. The last row of the names is where disabled metrics go.
#[derive(Clone, Copy, Debug)]
struct Place {
    sum: usize,
    bucket: usize,
    row: usize,
}

/// Rows of one raw tuple of names, at most; more than there are metrics. A power of two, so that an index can
/// be wrapped instead of checked.
const GROUPS: usize = 16;

impl Place {
    const DISABLED: Self = Self { sum: 0, bucket: 0, row: GROUPS - 1 };
}

/// Where the lines of one kind count. A line is looked up in two steps, because there are few names, which
/// stay in the nearest cache, and with status and method many tuples.
#[derive(Debug)]
struct Places {
    /// Raw names -> rows in the groups whose labels are all in the names.
    names: Rows,
    /// Names, status, method and the fields beyond -> rows in all other groups.
    full: Rows,
    /// Fields that a raw tuple needs beyond names, status and method.
    beyond: Vec<Field>,
    lines: Place,
    bytes: Place,
    /// TR, Tw, Tc, Tr, and Ta or Tt.
    timers: [Place; 5],
    retries: Place,
    redispatches: Place,
    queues: [Place; 2],
    /// True when all of them but `lines` are counted in rows of the names.
    are_of_names: bool,
}

/// Rows by raw tuple.
#[derive(Debug)]
struct Rows {
    memo: Memo,
    /// The groups of the plan that they are in, in the order of an entry's rows.
    groups: Vec<usize>,
}

/// A line's entries.
#[derive(Clone, Copy, Debug)]
struct Found {
    names: EntryId,
    full: EntryId,
}

impl Places {
    fn new(plan: &Plan, fields: &[Vec<Field>], metrics: [Option<usize>; 11]) -> Self {
        let (mut of_names, mut of_full) = (Vec::new(), Vec::new());
        let places = metrics.map(|metric| {
            let Some(slot) = metric.and_then(|metric: usize| plan.slots[metric]) else { return Place::DISABLED };
            let Slot { group, sum, bucket } = slot;
            let is_of_names = fields[group].iter().all(|field| field.is_in_names());
            let (groups, first) = if is_of_names { (&mut of_names, 0) } else { (&mut of_full, GROUPS) };
            let row = groups.iter().position(|other| *other == group).unwrap_or_else(|| {
                groups.push(group);
                groups.len() - 1
            });
            Place { sum, bucket, row: first + row }
        });
        let mut beyond = Vec::new();
        for field in of_full.iter().flat_map(|group: &usize| &fields[*group]) {
            let is_in_key = field.is_in_names() || matches!(field, Field::Status | Field::Method);
            if !is_in_key && !beyond.contains(field) {
                beyond.push(*field);
            }
        }
        let [lines, bytes, request, queue, connect, response, total, retries, redispatches, server, backend] = places;
        let names = Memo::new(plan.memo_entries, GROUPS);
        let full = Memo::new(plan.memo_entries, of_full.len());
        let are_of_names = places[1..].iter().all(|place| place.row < GROUPS);
        Self {
            are_of_names,
            names: Rows { memo: names, groups: of_names },
            full: Rows { memo: full, groups: of_full },
            beyond,
            lines,
            bytes,
            timers: [request, queue, connect, response, total],
            retries,
            redispatches,
            queues: [server, backend],
        }
    }
}

/// A line that counts in metrics with rows of their own.
#[derive(Clone, Copy)]
struct Unusual<'s, 'a> {
    subject: Subject<'s, 'a>,
    /// Its names, as [`Places::names_id`] gives them.
    names: u64,
}

/// What the lines of both kinds have in common.
struct Numbers {
    bytes: u64,
    /// TR, Tw, Tc, Tr, and Ta or Tt, in milliseconds. What a kind has no place for is not looked at.
    timers_ms: [i32; 5],
    retries: u32,
    redispatched: bool,
    queues: [u32; 2],
    logasap: bool,
    ended_normally: bool,
}

impl Numbers {
    #[inline]
    fn of_http(http: &Http<'_>) -> Self {
        Self {
            bytes: http.bytes_read,
            timers_ms: http.timers_ms,
            retries: http.retries,
            redispatched: http.redispatched,
            queues: http.queues,
            logasap: http.logasap,
            ended_normally: http.ended_normally,
        }
    }

    fn of_tcp(tcp: &Tcp<'_>) -> Self {
        let [queue, connect, total] = tcp.timers_ms;
        Self {
            bytes: tcp.bytes_read,
            timers_ms: [0, queue, connect, 0, total],
            retries: tcp.retries,
            redispatched: tcp.redispatched,
            queues: tcp.queues,
            logasap: tcp.logasap,
            ended_normally: tcp.termination_state().first() == Some(&b'-'),
        }
    }
}

/// Counts HAProxy's lines in a shard of its own.
pub struct Haproxy {
    scanner: Scanner,
    shard: Shard,
}

/// Cells and what leads to them.
struct Shard {
    plan: Arc<Plan>,
    directory: Arc<Directory>,
    cells: Cells,
    fell_out: Vec<u64>,
    /// The sources of each group's labels.
    fields: Vec<Vec<Field>>,
    http: Places,
    tcp: Places,
    /// Rows of the metrics that only some lines count.
    some: Memo,
    /// The bytes of a key's fields beyond the names; kept to be used again.
    more: Vec<u8>,
    timer_buckets: Buckets,
    queue_buckets: Buckets,
}

impl Haproxy {
    /// A counter without a row.
    pub fn new(plan: Arc<Plan>, directory: Arc<Directory>) -> Self {
        let mut fields = vec![Vec::new(); plan.groups.len()];
        for (metric, slot) in plan.slots.iter().enumerate() {
            if let Some(slot) = slot {
                let labels = plan.groups[slot.group].labels.iter();
                fields[slot.group] = labels.map(|label| Field::of(&label.name, metric)).collect();
            }
        }
        let [header, queue, connect, response, request] = TIMERS.map(Some);
        let both = [Some(RETRIES), Some(REDISPATCHES), Some(SERVER_QUEUE), Some(BACKEND_QUEUE)];
        let metrics = |lines, [header, queue, connect, response, total]: [Option<usize>; 5]| {
            let [retries, redispatches, server, backend] = both;
            let bytes = Some(RESPONSE_BYTES);
            [Some(lines), bytes, header, queue, connect, response, total, retries, redispatches, server, backend]
        };
        let http = metrics(REQUESTS, [header, queue, connect, response, request]);
        let tcp = metrics(SESSIONS, [None, queue, connect, None, Some(SESSION_DURATION)]);
        let buckets = |metric: usize| match METRICS[metric].kind {
            Kind::Histogram(bounds) => Buckets::new(bounds, METRICS[metric].unit),
            _ => Buckets::new(&[], Unit::None),
        };
        let shard = Shard {
            cells: Cells::new(plan.groups.iter().map(|group| group.layout)),
            fell_out: vec![0; METRICS.len()],
            http: Places::new(&plan, &fields, http),
            tcp: Places::new(&plan, &fields, tcp),
            some: Memo::new(plan.memo_entries, 1),
            more: Vec::new(),
            timer_buckets: buckets(TIMERS[0]),
            queue_buckets: buckets(SERVER_QUEUE),
            plan,
            directory,
            fields,
        };
        Self { scanner: Scanner::new(), shard }
    }
}

impl Counter for Haproxy {
    fn count(&mut self, lines: &[u8], tally: &mut Tally) {
        let shard = &mut self.shard;
        self.scanner.scan(lines, &mut |batch| shard.count(batch, tally));
    }

    fn cells(&self) -> &Cells {
        &self.shard.cells
    }

    fn fell_out(&self) -> &[u64] {
        &self.shard.fell_out
    }
}

/// What is found of a batch of requests, step by step for all of them: so they wait for memory together, not
/// one after the other.
struct Lookups {
    hashes: [u64; BATCH],
    slots: [u64; BATCH],
    found: [Found; BATCH],
    /// True when every line has both entries.
    is_complete: bool,
    /// Of the cells that will be needed; means nothing.
    touched: u64,
}

impl Places {
    /// Looks up the requests of a batch. Only when names, status and method are the whole key.
    #[inline]
    fn look_up(&self, requests: &[Http<'_>], cells: &Cells) -> Lookups {
        let none = Found { names: NO_ENTRY, full: NO_ENTRY };
        let mut lookups =
            Lookups { hashes: [0; BATCH], slots: [0; BATCH], found: [none; BATCH], is_complete: true, touched: 0 };
        let (names, full) = (&self.names.memo, &self.full.memo);
        let Lookups { found, hashes, slots, touched, .. } = &mut lookups;
        for ((http, found), hash) in requests.iter().zip(&mut *found).zip(&mut *hashes) {
            let text = http.raw_names();
            let names_hash = names.hash_text(text);
            found.names = names.find_text(names_hash, names.candidate(names_hash, names.slot(names_hash)), text);
            *hash = full.hash_words(full_words(found.names, http_words(http)));
        }
        for (slot, hash) in slots.iter_mut().zip(&*hashes).take(requests.len()) {
            *slot = full.slot(*hash);
        }
        for ((found, hash), slot) in found.iter_mut().zip(&*hashes).zip(&*slots).take(requests.len()) {
            found.full = full.candidate(*hash, *slot);
        }
        for found in found.iter().take(requests.len()) {
            *touched ^= full.touch(found.full);
        }
        let mut missing = false;
        for ((http, found), hash) in requests.iter().zip(&mut *found).zip(&*hashes) {
            found.full = full.find_words(*hash, found.full, full_words(found.names, http_words(http)));
            missing |= (found.names == NO_ENTRY) | (found.full == NO_ENTRY);
        }
        for found in found.iter().take(requests.len()) {
            if let [base, ..] = full.bases(found.full) {
                *touched ^= cells.touch(*base);
            }
        }
        lookups.is_complete = !missing;
        lookups
    }

    /// A number of the names of a line: no other names of its kind have it, before or after they are forgotten.
    fn names_id(&self, found: Found) -> u64 {
        (self.names.memo.forgotten() & 0x3f_ffff) << 32 | u64::from(found.names)
    }
}

impl Places {
    /// Changes when entries found before are gone.
    fn forgotten(&self) -> u64 {
        self.names.memo.forgotten() + self.full.memo.forgotten()
    }
}

impl Shard {
    fn count(&mut self, batch: &Batch<'_>, tally: &mut Tally) {
        let lookups = self.http.beyond.is_empty().then(|| self.http.look_up(batch.requests(), &self.cells));
        std::hint::black_box(lookups.as_ref().map(|lookups| lookups.touched));
        if let (Some(requests), Some(lookups)) = (batch.all_requests(), &lookups)
            && lookups.is_complete
        {
            // The usual batch: requests that have all been seen before.
            tally.parsed += requests.len() as u64;
            for (http, found) in requests.iter().zip(&lookups.found) {
                self.count_http(http, *found, 1);
            }
            return;
        }
        // Entries are valid until something is forgotten.
        let forgotten = self.http.forgotten();
        for index in 0..batch.len() {
            let times = batch.repeated(index);
            match batch.line(index) {
                Line::Http(http) => {
                    tally.parsed += 1;
                    let lookups = lookups.as_ref().filter(|_| self.http.forgotten() == forgotten);
                    let found = match lookups.map(|lookups| lookups.found[index]) {
                        Some(found) if found.names != NO_ENTRY && found.full != NO_ENTRY => found,
                        _ => self.find_http(http),
                    };
                    self.count_http(http, found, times);
                }
                Line::Other(Ok(Event::Tcp(tcp))) => {
                    tally.parsed += 1;
                    self.count_tcp(tcp, times);
                }
                Line::Other(Ok(_)) => tally.ignored += 1,
                Line::Other(Err(reject)) => tally.reject(*reject, batch.text(index)),
            }
        }
    }

    /// The entries of a request, made when they are new.
    #[cold]
    fn find_http(&mut self, http: &Http<'_>) -> Found {
        let Self { directory, fields, cells, more, http: places, .. } = self;
        let mut resolver = Resolver { directory, fields, cells, more };
        resolver.find(places, Subject::Http(http), http.raw_names(), http_words(http))
    }

    #[inline(always)]
    fn count_http(&mut self, http: &Http<'_>, found: Found, times: u32) {
        let numbers = Numbers::of_http(http);
        self.http.count_fallen(&self.plan, found, times, &mut self.fell_out);
        let (cells, buckets) = (self.cells.open(), [&self.timer_buckets, &self.queue_buckets]);
        self.http.update(found, &numbers, times, cells, buckets);
        let [request, queue, connect, response, total] = numbers.timers_ms;
        let aborted = request | queue | connect | response | total < 0;
        if !numbers.ended_normally | numbers.logasap | http.truncated | aborted {
            self.count_unusual(
                Unusual { subject: Subject::Http(http), names: self.http.names_id(found) },
                &numbers,
                http.truncated,
                times,
            );
        }
        if http.has_tls() {
            self.count_some(
                TLS_CONNECTIONS,
                Unusual { subject: Subject::Http(http), names: self.http.names_id(found) },
                "",
                times,
            );
        }
    }

    fn count_tcp(&mut self, tcp: &Tcp<'_>, times: u32) {
        let subject = Subject::Tcp(tcp);
        let Self { directory, fields, cells, more, tcp: places, .. } = &mut *self;
        let found = Resolver { directory, fields, cells, more }.find(places, subject, tcp.raw_names(), [0; 2]);
        let numbers = Numbers::of_tcp(tcp);
        self.tcp.count_fallen(&self.plan, found, times, &mut self.fell_out);
        let (cells, buckets) = (self.cells.open(), [&self.timer_buckets, &self.queue_buckets]);
        self.tcp.update(found, &numbers, times, cells, buckets);
        if !numbers.ended_normally || numbers.logasap || numbers.timers_ms.iter().any(|ms| *ms < 0) {
            self.count_unusual(Unusual { subject, names: self.tcp.names_id(found) | 1 << 55 }, &numbers, false, times);
        }
    }

    /// Counts aborted phases, an abnormal end, and an incomplete line.
    #[cold]
    fn count_unusual(&mut self, line: Unusual<'_, '_>, numbers: &Numbers, truncated: bool, times: u32) {
        for (phase, ms) in PHASES.iter().zip(numbers.timers_ms) {
            if ms < 0 {
                self.count_some(ABORTED, line, phase, times);
            }
        }
        if !numbers.ended_normally {
            self.count_some(TERMINATIONS, line, "", times);
        }
        if numbers.logasap {
            self.count_some(INCOMPLETE, line, "logasap", times);
        }
        if truncated {
            self.count_some(INCOMPLETE, line, "truncated", times);
        }
    }

    /// Counts a line in a metric that has rows of its own.
    fn count_some(&mut self, metric: usize, line: Unusual<'_, '_>, word: &str, times: u32) {
        let Some(slot) = self.plan.slots[metric] else { return };
        let Unusual { subject, names } = line;
        let fields = &self.fields[slot.group];
        self.more.clear();
        for field in fields.iter().filter(|field| !field.is_in_names()) {
            write_field(subject, *field, &mut self.more);
        }
        // The first four letters of a word tell it from all others; so few small values are the whole key, but
        // for long labels.
        let word_id = word.bytes().take(4).fold(0, |id, byte| id << 8 | u64::from(byte));
        let id = (metric as u64) << 56 | names;
        let key = match pack(&self.more) {
            Some(values) => Key { text: &[], more: &[], words: [id, word_id << 32 ^ values] },
            None => Key { text: &self.more, more: &[], words: [id, word_id] },
        };
        let hash = self.some.hash(&key);
        let known = match key.text {
            [] => self.some.find_words(hash, self.some.candidate(hash, self.some.slot(hash)), key.words),
            _ => self.some.get(hash, &key),
        };
        let entry = match known {
            NO_ENTRY => {
                let write = |index: usize, out: &mut Vec<u8>| subject.write(fields[index], word, out);
                let found = self.directory.row(slot.group, write);
                let base = self.cells.base(slot.group, found.row);
                self.some.insert(hash, &key, &[base], u32::from(found.fell_out))
            }
            entry => entry,
        };
        self.fell_out[metric] += u64::from(self.some.fell_out(entry)) * u64::from(times);
        if let [base] = self.some.bases(entry) {
            self.cells.add(*base, slot.sum, u64::from(times));
        }
    }
}

impl Places {
    /// Adds what every line has to its rows. `buckets` are those of timers and of queues.
    #[inline(always)]
    fn update(&self, found: Found, numbers: &Numbers, times: u32, cells: Open<'_>, buckets: [&Buckets; 2]) {
        if self.are_of_names {
            self.update_as::<true>(found, numbers, times, cells, buckets);
        } else {
            self.update_as::<false>(found, numbers, times, cells, buckets);
        }
    }

    #[inline(always)]
    fn update_as<const ARE_OF_NAMES: bool>(
        &self,
        found: Found,
        numbers: &Numbers,
        times: u32,
        mut cells: Open<'_>,
        buckets: [&Buckets; 2],
    ) {
        let full = self.full.memo.bases(found.full);
        let Some(names) = self.names.memo.bases(found.names).first_chunk::<GROUPS>() else { return };
        let any_base = |place: &Place| match place.row {
            row if row < GROUPS => names[row],
            row => full.get(row - GROUPS).copied().unwrap_or(Base::UNUSED),
        };
        let base = |place: &Place| if ARE_OF_NAMES { names[place.row % GROUPS] } else { any_base(place) };
        let weight = u64::from(times);
        cells.add(any_base(&self.lines), self.lines.sum, weight);
        if !numbers.logasap {
            cells.add(base(&self.bytes), self.bytes.sum, numbers.bytes * weight);
        }
        if numbers.retries > 0 {
            cells.add(base(&self.retries), self.retries.sum, u64::from(numbers.retries) * weight);
        }
        if numbers.redispatched {
            cells.add(base(&self.redispatches), self.redispatches.sum, weight);
        }
        let mut observe = |place: &Place, buckets: &Buckets, value: u64| {
            let base = base(place);
            cells.add(base, place.sum, value * weight);
            cells.count(base, place.bucket + buckets.of(value), times);
        };
        let [request, queue, connect, response, total] = numbers.timers_ms;
        // A line written before the end does not say how long it all took.
        let total = if numbers.logasap { -1 } else { total };
        let mut timer = |place: &Place, ms: i32| {
            if ms >= 0 {
                observe(place, buckets[0], ms as u64);
            }
        };
        timer(&self.timers[0], request);
        timer(&self.timers[1], queue);
        timer(&self.timers[2], connect);
        timer(&self.timers[3], response);
        timer(&self.timers[4], total);
        if numbers.queues == [0, 0] {
            // Nearly always, and the first bucket is the one of 0.
            for place in &self.queues {
                cells.count(base(place), place.bucket, times);
            }
            return;
        }
        for (place, length) in self.queues.iter().zip(numbers.queues) {
            let bucket = place.bucket + buckets[1].of(u64::from(length));
            cells.add(base(place), place.sum, u64::from(length) * weight);
            cells.count(base(place), bucket, times);
        }
    }

    /// Counts a line that fell out of the labels or limits of some groups, once per metric there.
    #[inline(always)]
    fn count_fallen(&self, plan: &Plan, found: Found, times: u32, fell_out: &mut [u64]) {
        for (rows, entry) in [(&self.names, found.names), (&self.full, found.full)] {
            let groups = rows.memo.fell_out(entry);
            if groups != 0 {
                rows.count_fallen(plan, groups, times, fell_out);
            }
        }
    }
}

impl Rows {
    #[cold]
    fn count_fallen(&self, plan: &Plan, groups: u32, times: u32, fell_out: &mut [u64]) {
        for (position, group) in self.groups.iter().enumerate() {
            if groups >> position & 1 == 1 {
                for (slot, fell_out) in plan.slots.iter().zip(&mut *fell_out) {
                    if slot.is_some_and(|slot| slot.group == *group) {
                        *fell_out += u64::from(times);
                    }
                }
            }
        }
    }
}

/// The small values of a key whose names have an entry.
#[inline(always)]
fn full_words(names: EntryId, words: [u64; 2]) -> [u64; 2] {
    [u64::from(names) << 32 | words[0], words[1]]
}

#[inline(always)]
fn http_words(http: &Http<'_>) -> [u64; 2] {
    let (length, method) = http.method_key();
    [u64::from(http.status_code as u16) << 16 | u64::from(length.min(9)), method]
}

/// The values of few short fields as one number; none is 0.
fn pack(values: &[u8]) -> Option<u64> {
    let mut bytes = [0; 8];
    bytes.get_mut(..values.len())?.copy_from_slice(values);
    Some(u64::from_le_bytes(bytes))
}

/// Appends the values of `fields`, so that no two lists of values give the same bytes.
fn write_fields(subject: Subject<'_, '_>, fields: &[Field], out: &mut Vec<u8>) {
    fields.iter().for_each(|field| write_field(subject, *field, out));
}

fn write_field(subject: Subject<'_, '_>, field: Field, out: &mut Vec<u8>) {
    let start = out.len();
    subject.write(field, "", out);
    let length = (out.len() - start) as u32;
    out.extend_from_slice(&length.to_le_bytes());
}

/// Finds the entries of a line, and makes what is missing.
struct Resolver<'r> {
    directory: &'r Directory,
    fields: &'r [Vec<Field>],
    cells: &'r mut Cells,
    /// The bytes of a key's fields beyond the names.
    more: &'r mut Vec<u8>,
}

impl Resolver<'_> {
    /// The entries of a line with these raw names and small values.
    fn find(&mut self, places: &mut Places, subject: Subject<'_, '_>, names: &[u8], words: [u64; 2]) -> Found {
        let key = Key { text: names, more: &[], words: [0; 2] };
        let hash = places.names.memo.hash(&key);
        let mut names = places.names.memo.get(hash, &key);
        if names == NO_ENTRY {
            let forgotten = places.names.memo.forgotten();
            let (mut bases, fell_out) = self.resolve(&places.names.groups, subject);
            bases.resize(GROUPS, Base::UNUSED);
            names = places.names.memo.insert(hash, &key, &bases, fell_out);
            if places.names.memo.forgotten() != forgotten {
                // The numbers of names are given anew.
                places.full.memo.forget();
            }
        }
        self.more.clear();
        write_fields(subject, &places.beyond, self.more);
        let key = Key { text: self.more, more: &[], words: full_words(names, words) };
        let hash = places.full.memo.hash(&key);
        let mut full = places.full.memo.get(hash, &key);
        if full == NO_ENTRY {
            let (bases, fell_out) = resolve(self.directory, self.fields, self.cells, &places.full.groups, subject);
            full = places.full.memo.insert(hash, &key, &bases, fell_out);
        }
        Found { names, full }
    }

    fn resolve(&mut self, groups: &[usize], subject: Subject<'_, '_>) -> (Vec<Base>, u32) {
        resolve(self.directory, self.fields, self.cells, groups, subject)
    }
}

/// Looks up, or makes, the rows of a raw tuple seen for the first time. Bit i of the second value: in
/// `groups[i]` it fell out.
#[cold]
fn resolve(
    directory: &Directory,
    fields: &[Vec<Field>],
    cells: &mut Cells,
    groups: &[usize],
    subject: Subject<'_, '_>,
) -> (Vec<Base>, u32) {
    let mut fell_out = 0;
    let bases = groups.iter().enumerate().map(|(position, group)| {
        let found = directory.row(*group, |index, out| subject.write(fields[*group][index], "", out));
        fell_out |= u32::from(found.fell_out) << position;
        cells.base(*group, found.row)
    });
    (bases.collect(), fell_out)
}
