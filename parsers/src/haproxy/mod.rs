//! HAProxy's log lines, 2.4 to 3.x, default formats (HAProxy configuration manual, chapter 8.2).
//!
//! ```text
//! 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /index.html HTTP/1.1"
//! 10.0.1.2:33320 [06/Feb/2009:12:12:56.319] fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0
//! ```
//!
//! [`parse`] reads one line and is the definition of correct. [`Scanner`] reads whole blocks and hands out
//! what [`parse`] would have returned, several times faster.

pub mod config;
pub mod format;
mod http;
mod layouts;
mod notice;
mod scan;
mod sketch;
mod tcp;
mod termination;
#[cfg(target_arch = "x86_64")]
mod vector;

pub use http::{Http, Method, Tls};
pub use layouts::{Asked, Layouts, Means, Reading, label};
pub use notice::{
    BackendState, CheckResult, Connect, ConnectionError, Details, HealthCheck, Notice, Process, Proxy, ProxyState,
    Remaining, ServerAddress, ServerChange, ServerState, Status,
};
pub use scan::{BATCH, Batch, Line, Scanner};
pub use sketch::{Sketch, Sketcher, Sketches, termination_key};
pub use tcp::Tcp;
pub use termination::{Meaning, TERMINATION, meanings};

use crate::cursor::Cursor;
use crate::envelope::{self, Envelope, has_shape};
use crate::{Reason, Reject};

/// What a HAProxy line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A request (`option httplog`, `option httpslog`).
    Http(Http<'a>),
    /// A TCP session (`option tcplog`).
    Tcp(Tcp<'a>),
    /// Anything else: some are counted, the others are *ignored*.
    Notice(Notice<'a>),
}

impl Event<'_> {
    /// The event's kind, as `tailmeter parse` names it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Tcp(_) => "tcp",
            Self::Notice(notice) => notice.as_str(),
        }
    }
}

/// Reads one line (without its newline).
///
/// # Errors
/// A [`Reject`] when the line is none of HAProxy's or is broken. Its offset counts from the line's start.
pub fn parse(line: &[u8]) -> Result<Event<'_>, Reject> {
    parse_message(line, &envelope::detect(line))
}

/// Reads the message of a line whose envelope is known.
///
/// # Errors
/// As [`parse`].
pub fn parse_message<'a>(line: &'a [u8], envelope: &Envelope<'a>) -> Result<Event<'a>, Reject> {
    let (mut cursor, client_end) = match start(&line[..envelope.end], envelope.start) {
        Start::Notice(notice) => return notice.map(Event::Notice),
        Start::Session { cursor, client_end } => (cursor, client_end),
        Start::Other(reject) => return Err(reject),
    };
    names(&mut cursor)?;
    let head = Head { start: envelope.start as u32, client_end, names_end: cursor.field_end() };
    let timers = memchr::memchr(b' ', cursor.rest()).map_or(cursor.rest(), |end| &cursor.rest()[..end]);
    let complete = timers.len() < cursor.rest().len();
    match timers.iter().filter(|byte| **byte == b'/').count() {
        4 if complete => http::parse(cursor, head).map(Event::Http),
        2 if complete => tcp::parse(cursor, head).map(Event::Tcp),
        _ if complete => cursor.reject(Reason::Delimiter, "timers"),
        _ => cursor.reject(Reason::Truncated, "timers"),
    }
}

/// What the line is, if it is neither a request nor a session.
fn notice<'a>(line: &'a [u8], envelope: &Envelope<'a>) -> Option<Result<Notice<'a>, Reject>> {
    match start(line.get(..envelope.end)?, envelope.start) {
        Start::Notice(notice) => Some(notice),
        Start::Session { .. } | Start::Other(_) => None,
    }
}

/// What a message turns out to be by how it begins.
enum Start<'a> {
    /// A notice, which has been read, or a broken one.
    Notice(Result<Notice<'a>, Reject>),
    /// A request or a session: client, date and frontend have been read.
    Session { cursor: Cursor<'a>, client_end: u32 },
    /// None of them.
    Other(Reject),
}

/// Reads the message at offset `at` of `line` as far as it takes to tell what it is.
fn start(line: &[u8], at: usize) -> Start<'_> {
    if let Some(notice) = Notice::parse(line, at) {
        return Start::Notice(notice);
    }
    let mut cursor = Cursor::new(line, at);
    if let Err(reject) = client(&mut cursor) {
        let notice = Notice::parse_address(line.get(at..).unwrap_or_default());
        return notice.map_or(Start::Other(reject), |notice| Start::Notice(Ok(notice)));
    }
    let client_end = cursor.field_end();
    if let Err(reject) = date(&mut cursor) {
        return Start::Other(reject);
    }
    match cursor.until(b' ', "frontend_name") {
        Ok([]) => Start::Other(Reject { reason: Reason::Grammar, field: "frontend_name", offset: cursor.at() }),
        Ok(frontend) if notice::is_listener(frontend) => {
            Start::Notice(notice::parse_connection_error(cursor, at, client_end).map(Notice::ConnectionError))
        }
        Ok(_) => Start::Session { cursor, client_end },
        Err(reject) => Start::Other(reject),
    }
}

/// Where the fields that every session has stand in the line.
struct Head {
    /// Where the message starts.
    start: u32,
    /// Where the client ends; the date is between the spaces behind it.
    client_end: u32,
    /// Where the server's name ends.
    names_end: u32,
}

/// `FRONTEND[~] BACKEND/SERVER`, taken apart.
struct Names<'a> {
    frontend: &'a [u8],
    ssl: bool,
    backend: &'a [u8],
    server: &'a [u8],
}

impl<'a> Names<'a> {
    fn of(names: &'a [u8]) -> Self {
        let (frontend, rest) = split_at(names, b' ');
        let (backend, server) = split_at(rest, b'/');
        match frontend.strip_suffix(b"~") {
            Some(frontend) => Self { frontend, ssl: true, backend, server },
            None => Self { frontend, ssl: false, backend, server },
        }
    }
}

/// What stands before and behind the first `delimiter`.
fn split_at(text: &[u8], delimiter: u8) -> (&[u8], &[u8]) {
    let at = memchr::memchr(delimiter, text).unwrap_or(text.len());
    (&text[..at], text.get(at + 1..).unwrap_or_default())
}

/// `ADDRESS:PORT `, where the address may be IPv4, IPv6 or the word `unix`. The date must follow.
fn client(cursor: &mut Cursor<'_>) -> Result<(), Reject> {
    let start = *cursor;
    let client = cursor.until(b' ', "client_ip").or_else(|_| start.reject(Reason::UnknownForm, "client_ip"))?;
    let colon = memchr::memrchr(b':', client).filter(|colon| *colon > 0);
    let port = colon.map_or(&[][..], |colon| &client[colon + 1..]);
    if port.is_empty() || port.len() > 5 || !port.iter().all(u8::is_ascii_digit) {
        return start.reject(Reason::UnknownForm, "client_ip");
    }
    Ok(())
}

/// `[06/Feb/2009:12:14:14.655] `
fn date(cursor: &mut Cursor<'_>) -> Result<(), Reject> {
    let start = *cursor;
    let date = cursor.until(b' ', "accept_date")?;
    let valid = date.len() == 26
        && has_shape(date, b"[00/")
        && envelope::month(&date[4..7]).is_some()
        && has_shape(&date[7..], b"/0000:00:00:00.000]");
    if valid { Ok(()) } else { start.reject(Reason::Grammar, "accept_date") }
}

/// `BACKEND/SERVER `; neither name is empty, and neither holds a slash.
fn names(cursor: &mut Cursor<'_>) -> Result<(), Reject> {
    let start = *cursor;
    let names = cursor.until(b' ', "server_name")?;
    let slash = memchr::memchr(b'/', names);
    if slash.is_none_or(|slash| slash == 0 || slash + 1 == names.len() || names[slash + 1..].contains(&b'/')) {
        return start.reject(Reason::Grammar, "backend_name");
    }
    Ok(())
}

/// A timer in milliseconds. `-1` says that its phase was never reached.
fn timer(cursor: &mut Cursor<'_>, field: &'static str) -> Result<i32, Reject> {
    let start = *cursor;
    if cursor.take(b'-') {
        if cursor.number(u64::MAX, field)? != 1 {
            return start.reject(Reason::Range, field);
        }
        return Ok(-1);
    }
    Ok(cursor.number(i32::MAX as u64, field)? as i32)
}

/// `actconn/feconn/beconn/srv_conn/[+]retries `: the retries, and whether the session was redispatched.
fn connections(cursor: &mut Cursor<'_>) -> Result<(u32, bool), Reject> {
    for field in ["actconn", "feconn", "beconn", "srv_conn"] {
        cursor.number(u64::from(u32::MAX), field)?;
        cursor.expect(b'/', field)?;
    }
    let redispatched = cursor.take(b'+');
    let retries = cursor.number(u64::from(u32::MAX), "retries")?;
    cursor.expect(b' ', "retries")?;
    Ok((retries as u32, redispatched))
}

/// `srv_queue/backend_queue`
fn queues(cursor: &mut Cursor<'_>) -> Result<[u32; 2], Reject> {
    let server = cursor.number(u64::from(u32::MAX), "srv_queue")?;
    cursor.expect(b'/', "srv_queue")?;
    let backend = cursor.number(u64::from(u32::MAX), "backend_queue")?;
    Ok([server as u32, backend as u32])
}

/// The bytes read, with a leading `+` when the line was written before the end (`option logasap`).
fn bytes_read(cursor: &mut Cursor<'_>) -> Result<(u64, bool), Reject> {
    let logasap = cursor.take(b'+');
    let bytes = cursor.number(u64::MAX, "bytes_read")?;
    cursor.expect(b' ', "bytes_read")?;
    Ok((bytes, logasap))
}

/// Checks a termination state of `length` characters: letters or dashes.
fn termination_state(cursor: &mut Cursor<'_>, length: usize) -> Result<(), Reject> {
    let start = *cursor;
    let state = cursor.until(b' ', "termination_state")?;
    if state.len() == length && state.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'-') {
        return Ok(());
    }
    start.reject(Reason::Grammar, "termination_state")
}

/// Splits `ADDRESS:PORT`.
fn split_client(client: &[u8]) -> (&[u8], u32) {
    let colon = memchr::memrchr(b':', client).unwrap_or(client.len());
    let port = client.get(colon + 1..).unwrap_or_default();
    (&client[..colon], decimal(port) as u32)
}

/// A field already known to hold at most 18 digits.
fn decimal(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |value, byte| value * 10 + u64::from(byte.wrapping_sub(b'0')))
}

/// The four connection counts that a text already known to be valid begins with.
fn split_connections(text: &[u8]) -> [u32; 4] {
    let mut counts = [0; 4];
    for (count, digits) in counts.iter_mut().zip(text.split(|byte| *byte == b'/')) {
        *count = decimal(digits) as u32;
    }
    counts
}
