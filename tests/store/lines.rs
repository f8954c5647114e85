//! Random HAProxy lines and random configurations for them, from small vocabularies, so that everything meets
//! everything. The same seed gives the same.

use std::collections::BTreeMap;
use std::fmt;

use tailmeter::config::{Config, LabelChoice, LabelPolicy, MetricConfig};
use tailmeter::metrics::haproxy::FAMILY;
use tailmeter_parsers::envelope;
use tailmeter_parsers::haproxy::format::Spans;
use tailmeter_parsers::haproxy::{Layouts, parse};

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.number() % limit as u64) as usize
    }

    /// True once in `n` times.
    pub(crate) fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }
}

const FRONTENDS: &[&[u8]] = &[b"http-in", b"https-in~", b"api", b"f", b"~", b"other", b"q\"u\\ote\\xff", b"\xff\xfe~"];
const BACKENDS: &[&[u8]] = &[b"app", b"static:1", b"other", b"b\xc3\xa9"];
const SERVERS: &[&[u8]] =
    &[b"app1", b"app2", b"srv\\x0a", b"<NOSRV>", b"<STATS>", b"other", b"a-server-with-quite-a-long-name-for-its-kind"];
const CLIENTS: &[&[u8]] = &[b"10.0.0.1:33317", b"10.0.0.2:5", b"::1:33317", b"unix:1", b"fe80::1:65535"];
const METHODS: &[&[u8]] = &[
    b"GET",
    b"GET",
    b"POST",
    b"HEAD",
    b"FOO",
    b"other",
    b"",
    b"VERSION-CONTROL",
    b"VERSION-CONTROLS",
    b"PROPFIND",
    b"get",
];
const PATHS: &[&[u8]] =
    &[b"/", b"/a", b"/a?b=c", b"/b\\x", b"/\xc3\xa9", b"/\xc3", b"/a b", b"*", b"/\\n\x01", b"?", b""];
const VERSIONS: &[&[u8]] = &[b" HTTP/1.1", b" HTTP/1.1", b" HTTP/2.0", b" HTTP/3", b" HTTP/10.0", b" HTP", b""];
const STATUSES: &[&[u8]] = &[b"200", b"200", b"404", b"503", b"-1", b"0", b"99", b"100", b"999"];
const STATES: &[&[u8]] = &[b"----", b"----", b"--NI", b"SC--", b"CD--", b"PR--", b"ZZ--", b"SHzz", b"cD-V"];
const TCP_STATES: &[&[u8]] = &[b"--", b"--", b"SC", b"cD", b"ZZ", b"-D"];
const RETRIES: &[&[u8]] = &[b"0", b"0", b"0", b"1", b"3", b"+0", b"+3", b"+4294967295"];
const QUEUES: &[&[u8]] = &[b"0", b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"50", b"51", b"100", b"101", b"4294967295"];
const BYTES: &[&[u8]] = &[b"0", b"212", b"2750", b"99999999", b"100000000", b"999999999999"];
const TIMERS_MS: &[i32] = &[
    -1,
    -1,
    0,
    0,
    1,
    2,
    3,
    5,
    6,
    10,
    11,
    25,
    26,
    50,
    51,
    100,
    250,
    251,
    499,
    500,
    1000,
    1001,
    2500,
    5000,
    10_000,
    30_000,
    60_000,
    60_001,
    i32::MAX,
];
const HEADERS: &[&[u8]] =
    &[b"", b"www.example.net", b"other", b"caf#C3#A9", b"\xff", b"\\", b"a b", b"Mozilla/5.0 (X11; Linux x86_64)"];
const NAMES_ASKED_FOR: &[&[u8]] = &[b"-", b"www.example.net", b"a/b c"];
const ENVELOPES: &[&[u8]] = &[
    b"Feb  1 12:14:14 lb1 haproxy[1234]: ",
    b"Feb  1 12:14:14 lb1 haproxy[1234]: ",
    b"<134>Feb  1 12:14:15 haproxy[77]: ",
    b"2026-02-01T12:14:14.572449+00:00 lb1 haproxy[1234]: ",
    b"<134>1 2026-02-01T12:14:14.572449+00:00 lb1 haproxy 1234 - - ",
    b"",
];
const NOTICES: &[&[u8]] = &[
    b"Proxy http-in started.",
    b"Server app/app1 is DOWN, reason: Layer4 timeout.",
    b"Server app/app1 is UP. 1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.",
    b"Backup Server other/other does what other servers do.",
    b"Server a\\pp/\xff\"q is UP/READY (leaving forced maintenance).",
    b"Health check for server app/app1 failed, reason: Layer4 timeout, check duration: 101ms, status: 0/2 DOWN.",
    b"Health check for server app/app1 failed, reason: Layer7 wrong status, code: 500, status: 0/2 DOWN.",
    b"Agent check for backup server static:1/app2 conditionally succeeded, reason: Words to come, status: 0/2 DOWN.",
    b"backend app has no server available!",
    b"proxy other has no server available!",
    b"Connect from 10.0.0.1:5 to 10.0.0.2:80 (http-in/HTTP)",
    b"10.0.0.1:5 [01/Feb/2026:12:14:14.001] http-in/1: SSL handshake failure",
    b"10.0.0.1:5 [01/Feb/2026:12:14:14.001] http-in/2: SSL handshake failure (error:0A000076:SSL routines)",
    b"unknown [01/Feb/2026:12:14:14.001] other/1: Words to come",
    b"",
    b"   ",
];
const REPETITIONS: &[&str] = &["1", "2", "3", "7", "0", "x", "4000"];

/// A line without its newline. Shows itself as text.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Line(pub(crate) Vec<u8>);

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

impl Line {
    /// The line of this seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut random = Random(seed);
        let random = &mut random;
        let message = match random.below(40) {
            0..=21 => http(random),
            22..=31 => tcp(random),
            32..=37 => random.pick(NOTICES).to_vec(),
            _ => (0..random.below(80)).map(|_| random.number() as u8).collect(),
        };
        let mut line = random.pick(ENVELOPES).to_vec();
        match random.below(8) {
            0 => {
                let times = random.pick(REPETITIONS);
                line.extend_from_slice(format!("message repeated {times} times: [ ").as_bytes());
                line.extend_from_slice(&message);
                line.push(b']');
            }
            _ => line.extend_from_slice(&message),
        }
        match random.below(20) {
            0 | 1 => line.truncate(random.below(line.len() + 1)),
            2 => (0..3).for_each(|_| {
                let at = random.below(line.len() + 1);
                if let Some(byte) = line.get_mut(at) {
                    *byte = random.number() as u8;
                }
            }),
            3 => line.push(b'\r'),
            _ => {}
        }
        line.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
        Self(line)
    }
}

impl Line {
    /// A line of this seed or a later one that counts in all metrics of its kind or in none: not one that was cut on its
    /// way, and counts in part.
    pub(crate) fn whole(seed: u64) -> Self {
        let (layouts, mut spans) = (Layouts::usual(), Spans::default());
        let mut is_whole = |line: &Self| {
            parse(&line.0).is_ok() || layouts.read(&line.0, &envelope::detect(&line.0), &mut spans).is_err()
        };
        (0..).map(|turn| Self::of(seed.wrapping_add(turn))).find(|line| is_whole(line)).expect("most lines are")
    }
}

/// The lines of this block; `is_closed` gives the last one its newline, without which an empty line is none.
pub(crate) fn block(lines: &[Line], is_closed: bool) -> Vec<u8> {
    let lines = lines.iter().map(|line| line.0.as_slice()).collect::<Vec<_>>();
    let mut block = lines.join(&b'\n');
    if lines.last().is_some_and(|last| is_closed || last.is_empty()) {
        block.push(b'\n');
    }
    block
}

/// Client, date and names.
fn head(random: &mut Random) -> Vec<u8> {
    let ms = format!(" [01/Feb/2026:12:14:14.{:03}] ", random.below(1000));
    let (client, frontend) = (random.pick(CLIENTS), random.pick(FRONTENDS));
    [client, ms.as_bytes(), frontend, b" ", random.pick(BACKENDS), b"/", random.pick(SERVERS), b" "].concat()
}

/// `count` timers, a slash between them, the last with a `+` when it is incomplete.
fn timers(random: &mut Random, count: usize, is_incomplete: bool) -> String {
    let last = (if is_incomplete { "+" } else { "" }, count - 1);
    let timer = |at: usize| format!("{}{}", if at == last.1 { last.0 } else { "" }, random.pick(TIMERS_MS));
    (0..count).map(timer).collect::<Vec<_>>().join("/")
}

fn queues(random: &mut Random) -> Vec<u8> {
    [&b"12/11/10/1/"[..], random.pick(RETRIES), b" ", random.pick(QUEUES), b"/", random.pick(QUEUES)].concat()
}

fn bytes_read(random: &mut Random, is_incomplete: bool) -> Vec<u8> {
    let mark: &[u8] = if is_incomplete && random.once_in(2) { b"+" } else { b"" };
    [mark, random.pick(BYTES)].concat()
}

fn tcp(random: &mut Random) -> Vec<u8> {
    let (head, is_incomplete) = (head(random), random.once_in(6));
    let (timers, bytes) = (timers(random, 3, is_incomplete), bytes_read(random, is_incomplete));
    [&head[..], timers.as_bytes(), b" ", &bytes, b" ", random.pick(TCP_STATES), b" ", &queues(random)].concat()
}

fn http(random: &mut Random) -> Vec<u8> {
    let (mut line, is_incomplete) = (head(random), random.once_in(6));
    line.extend_from_slice(timers(random, 5, is_incomplete).as_bytes());
    let (status, bytes) = (random.pick(STATUSES), bytes_read(random, is_incomplete));
    for part in [&b" "[..], status, b" ", &bytes, b" - - ", random.pick(STATES), b" ", &queues(random), b" "] {
        line.extend_from_slice(part);
    }
    for _ in 0..random.pick(&[0, 0, 1, 2]) {
        let headers = (0..1 + random.below(3)).map(|_| random.pick(HEADERS)).collect::<Vec<_>>();
        line.extend_from_slice(&[&b"{"[..], headers.join(&b'|').as_slice(), b"} "].concat());
    }
    match random.below(12) {
        0 => line.extend_from_slice(b"\"<BADREQ>\""),
        _ => {
            let (method, path, version) = (random.pick(METHODS), random.pick(PATHS), random.pick(VERSIONS));
            line.extend_from_slice(&[&b"\""[..], method, b" ", path, version, b"\""].concat());
        }
    }
    if random.once_in(5) {
        let (resumed, name) = (random.pick(&[b"0", b"1"]), random.pick(NAMES_ASKED_FOR));
        let version: &[u8] = random.pick(&[b"TLSv1.3/TLS_AES_128_GCM_SHA256", b"TLSv1.2/ECDHE", b"-/-"]);
        line.extend_from_slice(&[&b" 0/0000000000000000/0/0/"[..], &resumed[..], b" ", name, b"/", version].concat());
    }
    line
}

/// Values that policies allow; most occur.
pub(crate) const ALLOWED: &[&str] = &[
    "http-in",
    "https-in",
    "api",
    "q\"u\\ote\\xff",
    "app",
    "static:1",
    "bé",
    "app1",
    "<NOSRV>",
    "other",
    "GET",
    "POST",
    "200",
    "404",
    "-1",
    "",
    "----",
    "SC",
    "--",
    "true",
    "10.0.0.1",
    "33317",
    "/a",
    "/",
    "www.example.net",
    "request",
    "connect",
    "logasap",
    "down",
    "failed",
    "ssl_handshake_failure",
    "layer4_timeout",
    "TLSv1.3",
    "HTTP/1.1",
    "nowhere",
];
const LIMITS: &[usize] = &[1, 1, 2, 3, 4, 7, 20, 1000];

/// A policy that lists values.
fn lists(random: &mut Random) -> LabelPolicy {
    LabelPolicy::allow((0..1 + random.below(12)).map(|_| random.pick(ALLOWED)).collect::<Vec<_>>())
}

/// A label by its name in the catalogue, with a number in the place of its `N`.
fn named(label: &str, random: &mut Random) -> String {
    match label.strip_suffix("_N") {
        Some(stem) => format!("{stem}_{}", 1 + random.below(3)),
        None => label.to_owned(),
    }
}

/// The configuration of this seed, whose labels, metrics and, when `is_bounded`, limits and lists of values are random.
pub(crate) fn config(seed: u64, is_bounded: bool) -> Config {
    config_with(seed, is_bounded.then_some(lists))
}

/// The same with policies that `policy` makes; without, there are no limits either.
pub(crate) fn config_with(seed: u64, policy: Option<fn(&mut Random) -> LabelPolicy>) -> Config {
    let is_bounded = policy.is_some();
    let policy = policy.unwrap_or(lists);
    let mut random = Random(seed);
    let random = &mut random;
    let mut config = Config::default();
    if is_bounded && random.once_in(2) {
        config.max_series = random.pick(LIMITS);
    }
    for label in FAMILY.labels {
        if is_bounded && random.once_in(5) {
            let policy = policy(random);
            config.labels.insert(named(label.name, random), policy);
        }
    }
    let changed = random.pick(&[1, 2, 8]);
    for metric in FAMILY.metrics {
        if random.once_in(changed) {
            let mut own = MetricConfig { enabled: !random.once_in(10), ..MetricConfig::default() };
            if !random.once_in(4) {
                let mut choices = BTreeMap::new();
                // What headers are called only a haproxy.cfg says.
                let known = metric.labels.iter().chain(metric.opt_in).copied();
                let known = known.filter(|name| !name.ends_with("_NAME")).collect::<Vec<_>>();
                for _ in 0..random.below(6) {
                    let own = match random.below(3) {
                        0 if is_bounded => Some(policy(random)),
                        1 => Some(LabelPolicy::open()),
                        _ => None,
                    };
                    // In random order: the map's key is a number.
                    let name = named(random.pick(&known), random);
                    if choices.values().all(|choice: &LabelChoice| choice.name != name) {
                        choices.insert(random.number(), LabelChoice { name, policy: own });
                    }
                }
                own.labels = Some(choices.into_values().collect());
            }
            if is_bounded && random.once_in(2) {
                own.max_series = Some(random.pick(LIMITS));
            }
            config.metrics.insert(metric.name.to_owned(), own);
        }
    }
    config
}
