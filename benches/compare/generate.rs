//! Writes a log that looks like a busy HAProxy with `option httplog`, for the side-by-side runs.
//!
//! A line in its usual form (HAProxy configuration.txt 8.2.3 behind an RFC 3164 envelope):
//!
//! ```text
//! Feb  1 12:14:14 lb1 haproxy[1234]: 10.0.1.2:33317 [01/Feb/2026:12:14:14.546] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 "GET /index.html HTTP/1.1"
//! ```
//!
//! What matters to a parser's speed is kept as real traffic has it: the mix of label tuples (a few
//! hot servers, a long tail of statuses and methods), the lengths of the numbers, the share of
//! lines that leave the usual shape (aborted phases, `<NOSRV>`, `<BADREQ>`, retries, queues). The
//! same seed writes the same bytes on every machine: the program uses the standard library alone,
//! its own random numbers, and only exact floating-point operations.

mod request;
mod traffic;

use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::process::ExitCode;

use request::{Request, Site, Truth};
use traffic::{AGENTS, BACKENDS, FRONTENDS, HOSTS, METHODS, NO_METHOD, Piece, Random, STATUSES, ServerName, WORDS};

const USAGE: &str = "usage: generate --bytes SIZE --out FILE [--seed N] [--truth FILE] [--captures] \
[--envelope rfc3164|iso|none]

  --bytes SIZE     stop behind the line that reaches SIZE: 500, 10K, 10M, 1G (powers of 1000)
  --out FILE       where the log goes, - for standard output
  --seed N         the same seed writes the same bytes (default 1)
  --truth FILE     what was written, counted, as JSON
  --captures       add captured request and response headers, {…} {…}
  --envelope KIND  the syslog prefix: rfc3164 (default), iso, or none";

/// The first line's time, 2026-02-01 12:14:14.655 UTC, in microseconds since the epoch.
const START_US: u64 = 1_769_948_054_655_000;
/// The mean time between two lines is half of this: about 1,000 requests a second.
const MAX_GAP_US: u32 = 2_000;
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const PIDS: [&str; 2] = ["1234", "1235"];

/// Bytes gathered before they are written.
const BUFFER: usize = 1 << 20;

#[derive(Clone, Copy, PartialEq)]
enum Envelope {
    Rfc3164,
    Iso,
    None,
}

struct Options {
    bytes: u64,
    seed: u64,
    out: String,
    truth: Option<String>,
    captures: bool,
    envelope: Envelope,
}

fn options(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options =
        Options { bytes: 0, seed: 1, out: String::new(), truth: None, captures: false, envelope: Envelope::Rfc3164 };
    let mut arguments = arguments;
    while let Some(name) = arguments.next() {
        if name == "--captures" {
            options.captures = true;
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
        let wrong = || format!("{name}: {value} does not fit\n{USAGE}");
        match name.as_str() {
            "--bytes" => options.bytes = size(&value).ok_or_else(wrong)?,
            "--seed" => options.seed = value.parse().map_err(|_| wrong())?,
            "--out" => options.out = value,
            "--truth" => options.truth = Some(value),
            "--envelope" => {
                options.envelope = match value.as_str() {
                    "rfc3164" => Envelope::Rfc3164,
                    "iso" => Envelope::Iso,
                    "none" => Envelope::None,
                    _ => return Err(wrong()),
                }
            }
            _ => return Err(format!("unknown option {name}\n{USAGE}")),
        }
    }
    if options.bytes == 0 || options.out.is_empty() {
        return Err(USAGE.to_owned());
    }
    Ok(options)
}

/// `500`, `10K`, `10M`, `1G` in bytes.
fn size(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 1_000),
        b'M' => (&text[..text.len() - 1], 1_000_000),
        b'G' => (&text[..text.len() - 1], 1_000_000_000),
        _ => (text, 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// The growing text, and the state that lines share.
struct Writer<'a> {
    text: Vec<u8>,
    site: &'a Site,
    random: Random,
    /// The time of the last line, in microseconds since the epoch.
    now_us: u64,
    /// The day of the last line, and its calendar date: (days since the epoch, (year, month, day)).
    day: (u64, (u64, usize, u64)),
    captures: bool,
    envelope: Envelope,
}

impl Writer<'_> {
    fn put(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }

    fn number(&mut self, value: u64) {
        let mut digits = [0; 20];
        let mut start = digits.len();
        let mut rest = value;
        loop {
            start -= 1;
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.text.extend_from_slice(&digits[start..]);
    }

    /// `value` in exactly `width` digits.
    fn padded(&mut self, value: u64, width: u32) {
        for place in (0..width).rev() {
            self.text.push(b'0' + (value / 10u64.pow(place) % 10) as u8);
        }
    }

    fn clock(&mut self, seconds: u64) {
        for (value, end) in [(seconds / 3600 % 24, ":"), (seconds / 60 % 60, ":"), (seconds % 60, "")] {
            self.padded(value, 2);
            self.put(end);
        }
    }

    /// The year, the month from 0, and the day of the month.
    fn date(&mut self, seconds: u64) -> (u64, usize, u64) {
        let day = seconds / 86_400;
        if self.day.0 != day {
            self.day = (day, calendar(day));
        }
        self.day.1
    }

    /// The syslog prefix up to the colon and space behind the tag.
    fn prefix(&mut self) {
        let (year, month, day) = self.date(self.now_us / 1_000_000);
        match self.envelope {
            Envelope::None => return,
            Envelope::Rfc3164 => {
                self.put(MONTHS[month]);
                self.put(if day < 10 { "  " } else { " " });
                self.number(day);
                self.put(" ");
                self.clock(self.now_us / 1_000_000);
            }
            Envelope::Iso => {
                self.number(year);
                self.put("-");
                self.padded(month as u64 + 1, 2);
                self.put("-");
                self.padded(day, 2);
                self.put("T");
                self.clock(self.now_us / 1_000_000);
                self.put(".");
                self.padded(self.now_us % 1_000_000, 6);
                self.put("+00:00");
            }
        }
        self.put(" lb1 haproxy[");
        let pid = PIDS[self.random.below(2) as usize];
        self.put(pid);
        self.put("]: ");
    }

    fn client(&mut self) {
        let bits = self.random.next();
        if bits & 0x7f == 0 {
            self.put("2001:db8:");
            self.hex(bits >> 8, 4);
            self.put("::");
            self.hex(bits >> 24, 3);
        } else {
            self.put(["10.0", "10.1", "192.0", "203.0"][(bits >> 8 & 3) as usize]);
            self.put(".");
            self.number(bits >> 16 & 0xff);
            self.put(".");
            self.number(bits >> 24 & 0xff);
        }
        self.put(":");
        self.number(1024 + (bits >> 32) % 64_000);
    }

    fn hex(&mut self, bits: u64, digits: u32) {
        for digit in 0..digits {
            self.text.push(b"0123456789abcdef"[(bits >> (4 * digit) & 15) as usize]);
        }
    }

    /// The accept date: the line is written when the request ends, `active_ms` later.
    fn accepted(&mut self, active_ms: u64) {
        let milliseconds = self.now_us / 1_000 - active_ms;
        let seconds = milliseconds / 1_000;
        let (year, month, day) = self.date(seconds);
        self.put(" [");
        self.padded(day, 2);
        self.put("/");
        self.put(MONTHS[month]);
        self.put("/");
        self.number(year);
        self.put(":");
        self.clock(seconds);
        self.put(".");
        self.padded(milliseconds % 1_000, 3);
        self.put("] ");
    }

    /// Timers, status, bytes and the two captured cookies.
    fn measures(&mut self, request: &Request) {
        for (index, timer) in request.timers.iter().enumerate() {
            if *timer < 0 {
                self.put("-");
            }
            self.number(timer.unsigned_abs());
            self.put(if index < 4 { "/" } else { " " });
        }
        self.put(STATUSES.get(request.status).map_or("-1", |status| status.0));
        self.put(" ");
        self.number(u64::from(request.bytes));
        self.put(" - - ");
    }

    /// Termination state, connection counts, retries and queues.
    fn session(&mut self, request: &Request) {
        self.put(request.abort.map_or("--", |abort| abort.state));
        let named = request.abort.is_none_or(|abort| matches!(abort.server, ServerName::Named));
        let cookie = match (named && BACKENDS[request.backend].4, self.random.below(10)) {
            (false, _) => "-- ",
            (true, 0) => "NI ",
            (true, _) => "VN ",
        };
        self.put(cookie);
        let server = if named { 1 + self.random.below(24) } else { 0 };
        let backend = server + self.random.below(60);
        let frontend = 1 + backend + self.random.below(300);
        let process = frontend + self.random.below(500);
        for connections in [process, frontend, backend, server] {
            self.number(u64::from(connections));
            self.put("/");
        }
        self.put(request.retries);
        self.put(" ");
        // A request waits for its own server (persistence) or for any server of the backend.
        let own = if named && BACKENDS[request.backend].4 { request.queued } else { 0 };
        self.number(u64::from(own));
        self.put("/");
        self.number(u64::from(request.queued - own));
        self.put(" ");
    }

    fn headers(&mut self) {
        let host = HOSTS[self.random.below(3) as usize];
        let agent = AGENTS[self.random.below(4) as usize];
        for part in ["{", host, "|", agent, "} {text/html|"] {
            self.put(part);
        }
        let length = u64::from(self.random.below(100_000));
        self.number(length);
        self.put("} ");
    }

    /// The quoted request line.
    fn request_line(&mut self, request: &Request) {
        if request.method == NO_METHOD {
            self.put("\"<BADREQ>\"\n");
            return;
        }
        self.put("\"");
        self.put(METHODS[request.method].0);
        self.put(" ");
        let site = self.site;
        for piece in &site.shapes[site.popularity.draw(&mut self.random)] {
            match piece {
                Piece::Text(text) => self.put(text),
                Piece::Number(digits) => {
                    let value = self.random.below(10u32.pow(*digits));
                    self.number(u64::from(value));
                }
                Piece::Hex(digits) => {
                    let bits = self.random.next();
                    self.hex(bits, *digits);
                }
                Piece::Word => {
                    let word = WORDS[self.random.below(WORDS.len() as u32) as usize];
                    self.put(word);
                }
            }
        }
        let tls = FRONTENDS[request.frontend].0.ends_with('~');
        let second = tls && self.random.below(10) < 8;
        self.put(if second { " HTTP/2.0\"\n" } else { " HTTP/1.1\"\n" });
    }

    fn line(&mut self, truth: &mut Truth) {
        self.now_us += u64::from(self.random.below(MAX_GAP_US));
        let request = Request::draw(self.site, &mut self.random);
        request.count(truth);
        self.prefix();
        self.client();
        self.accepted(request.timers[4].unsigned_abs());
        self.put(FRONTENDS[request.frontend].0);
        self.put(" ");
        let site = self.site;
        self.put(&site.places[request.place]);
        self.put(" ");
        self.measures(&request);
        self.session(&request);
        if self.captures {
            self.headers();
        }
        self.request_line(&request);
    }
}

/// The year, the month from 0, and the day of the month, `day` days after 1970-01-01.
fn calendar(day: u64) -> (u64, usize, u64) {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (mut year, mut rest) = (1970, day);
    while rest >= 365 + u64::from(leap(year)) {
        rest -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while rest >= lengths[month] {
        rest -= lengths[month];
        month += 1;
    }
    (year, month, rest + 1)
}

fn generate(options: &Options, out: &mut dyn Write) -> io::Result<Truth> {
    let mut random = Random(options.seed);
    let site = Site::new(&mut random);
    let mut truth = Truth::default();
    let mut writer = Writer {
        text: Vec::with_capacity(BUFFER + 4096),
        site: &site,
        random,
        now_us: START_US,
        day: (0, calendar(0)),
        captures: options.captures,
        envelope: options.envelope,
    };
    while truth.bytes < options.bytes {
        let before = writer.text.len();
        writer.line(&mut truth);
        truth.bytes += (writer.text.len() - before) as u64;
        if writer.text.len() >= BUFFER {
            out.write_all(&writer.text)?;
            writer.text.clear();
        }
    }
    out.write_all(&writer.text)?;
    out.flush()?;
    Ok(truth)
}

fn run() -> Result<(), String> {
    let options = options(env::args().skip(1))?;
    let named = |path: &str, error: io::Error| format!("{path}: {error}");
    let mut out: Box<dyn Write> = match options.out.as_str() {
        "-" => Box::new(io::stdout().lock()),
        path => Box::new(File::create(path).map_err(|error| named(path, error))?),
    };
    let truth = generate(&options, &mut out).map_err(|error| named(&options.out, error))?;
    if let Some(path) = &options.truth {
        std::fs::write(path, truth.json()).map_err(|error| named(path, error))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // A closed standard error leaves nobody to tell.
            let _ = writeln!(io::stderr(), "generate: {message}");
            ExitCode::FAILURE
        }
    }
}
