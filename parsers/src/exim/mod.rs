//! Exim's main log, its reject log, and what it sends to syslog (Exim 4.96 to 4.98, specification chapter 52).
//!
//! ```text
//! 2023-05-30 06:10:13 1q3rFb-0005Jf-0c <= a@example.com H=client.example.net [192.0.2.7] P=esmtps X=TLS1.3:… CV=no S=15670 id=x@example.com
//! 2023-05-30 06:10:13.345 +0200 [4711] 1q3rFb-000000007TQ-0igE => b@example.net R=dnslookup T=remote_smtp H=mx.example.net [192.0.2.9] C="250 Ok" QT=1s DT=0.3s
//! 2023-05-30 06:10:14 1q3rFb-0005Jf-0c Completed QT=1s
//! 2023-05-30 06:10:15 H=(helo) [192.0.2.7] F=<a@example.com> rejected RCPT <x@example.org>: relay not permitted
//! ```
//!
//! A line is a time, perhaps with a fraction, a zone and a process id (`log_selector`, `log_timezone`), the id of the
//! message it is about, if any, and text. Ids are 6-6-2 digits of base 62, since 4.97 6-11-4. In syslog another
//! time, a host and `exim[pid]:` stand before it, and without `syslog_timestamp` its own is missing; what does not fit a
//! packet, or has several lines, comes as `[1/3] …`, `[1\9] …`.
//!
//! Configurations write lines of their own (`logwrite`, `log_message`), so in a line that is Exim's for sure, by its time
//! or its tag, no text is wrong: what no table knows is the kind `text`. A rejected message's headers stand
//! behind the reject log's lines; they are known by how they begin.
//!
//! Subjects, addresses, HELO names, message ids, certificates' names and other servers' replies come from outside
//! and may look like any field. Fields are taken from the left, in Exim's order; where outside text has no
//! end of its own, nothing is read behind it.
//!
//! Exim 4.98.2: `log.c`, `receive.c`, `deliver.c`, `smtp_in.c`.

mod address;
mod arrival;
mod delivery;
mod known;
mod rejection;

pub use arrival::Arrival;
pub use delivery::{Delivery, DeliveryResult};
pub use rejection::Rejection;

use crate::cursor::Cursor;
use crate::duration::units_ms;
use crate::envelope::{self, Envelope, has_shape};
use crate::event::Field;
use crate::{Reason, Reject};

/// What an Exim line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// `<=`: a message has come in.
    Arrival(Arrival<'a>),
    /// `=>` and its kin: what became of a recipient.
    Delivery(Delivery<'a>),
    /// `Completed`: nothing of the message is left to do.
    Completed(Completed<'a>),
    /// Something that a client wanted was refused.
    Rejection(Rejection<'a>),
    /// A client could not prove who it is.
    AuthenticationFailure(AuthenticationFailure<'a>),
    /// A known line that nothing counts, and what kind it is.
    Known(&'static str),
}

/// The end of a message's time on the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completed<'a> {
    /// The message's id in the log.
    pub id: &'a [u8],
    /// Time from its arrival to now, in milliseconds (`QT`, with `queue_time_overall`).
    pub queue_time_ms: Option<u64>,
}

/// `plain_server authenticator failed for (helo) [192.0.2.7]: 535 Incorrect authentication data (set_id=alice)`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthenticationFailure<'a> {
    /// The authenticator, by its name in the configuration.
    pub authenticator: &'a [u8],
    /// Who could not, and what it was told.
    pub text: &'a [u8],
}

/// True when `program` (the syslog tag) is this family's.
pub fn is_program(program: &[u8]) -> bool {
    program.strip_prefix(b"exim").is_some_and(|rest| matches!(rest, b"" | b"4") || rest.starts_with(b"-"))
}

/// Finds the envelope: Exim's own time, or syslog's, or both.
pub fn envelope(line: &[u8]) -> Envelope<'_> {
    let end = line.len() - usize::from(line.last() == Some(&b'\r'));
    if let Some(own) = own_time(line, 0, end) {
        return own;
    }
    if is_header(line) {
        return Envelope { end, ..Envelope::none(line) };
    }
    let mut envelope = envelope::detect(line);
    if let Some(own) = own_time(line, envelope.start, envelope.end) {
        envelope.start = own.start;
        if envelope.timestamp.is_empty() {
            (envelope.timestamp, envelope.timestamp_start) = (own.timestamp, own.timestamp_start);
        }
        envelope.pid = envelope.pid.or(own.pid);
    }
    envelope
}

/// Reads the message of a line whose envelope is known.
///
/// # Errors
/// A [`Reject`] when the line is none of Exim's or is broken. Its offset counts from the line's start.
pub fn read<'a>(line: &'a [u8], envelope: &Envelope<'a>) -> Result<Event<'a>, Reject> {
    let line = line.get(..envelope.end).unwrap_or(line);
    let mut cursor = Cursor::new(line, envelope.start);
    let is_own = !envelope.timestamp.is_empty() && (envelope.program.is_empty() || is_program(envelope.program));
    if envelope.timestamp.is_empty() && envelope.program.is_empty() && is_header(line) {
        return Ok(Event::Known("rejected_header"));
    }
    if let Some(part) = take_part(&mut cursor)
        && part > 1
    {
        return Ok(Event::Known("continuation"));
    }
    if let Some(own) = own_time(line, cursor.at(), line.len()) {
        cursor = Cursor::new(line, own.start);
    }
    if cursor.rest().starts_with(b"[") {
        take_pid(&mut cursor);
    }
    let id = take_id(&mut cursor);
    message(&mut cursor, id, is_own || is_program(envelope.program))
}

/// Reads a whole line: envelope, then message.
///
/// # Errors
/// As [`read`].
pub fn parse(line: &[u8]) -> Result<Event<'_>, Reject> {
    read(line, &envelope(line))
}

fn message<'a>(cursor: &mut Cursor<'a>, id: Option<&'a [u8]>, is_own: bool) -> Result<Event<'a>, Reject> {
    let text = cursor.rest();
    if let Some(id) = id {
        if let Some(fake) = arrival::take_flag(cursor) {
            return arrival::read(cursor, id, fake).map(Event::Arrival);
        }
        if let Some(result) = delivery::take_flag(cursor) {
            return delivery::read(cursor, id, result).map(Event::Delivery);
        }
        if let Some(completed) = completed(text, id) {
            return Ok(Event::Completed(completed));
        }
        if COMPLETED.starts_with(text) {
            return cursor.reject(Reason::Truncated, "message");
        }
    }
    if let Some(event) = rejection::read(cursor, id) {
        return event;
    }
    if let Some(failure) = authentication_failure(text) {
        return Ok(Event::AuthenticationFailure(failure));
    }
    match known::kind(text) {
        Some(kind) => Ok(Event::Known(kind)),
        None if is_own || id.is_some() => Ok(Event::Known("text")),
        None => cursor.reject(Reason::UnknownForm, "message"),
    }
}

const COMPLETED: &[u8] = b"Completed";

fn completed<'a>(text: &'a [u8], id: &'a [u8]) -> Option<Completed<'a>> {
    let rest = text.strip_prefix(COMPLETED)?;
    let time = rest.strip_prefix(b" QT=");
    let queue_time_ms = time.and_then(units_ms);
    (rest.is_empty() || time.is_some()).then_some(Completed { id, queue_time_ms })
}

fn authentication_failure(text: &[u8]) -> Option<AuthenticationFailure<'_>> {
    let length = text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')).count();
    let text_of = text.get(length..)?.strip_prefix(b" authenticator failed for ")?;
    (1..=64).contains(&length).then(|| AuthenticationFailure { authenticator: &text[..length], text: text_of })
}

/// `2023-05-30 06:10:13[.345][ +0200] [[pid] ]` at `start`.
fn own_time(line: &[u8], start: usize, end: usize) -> Option<Envelope<'_>> {
    let text = line.get(start..end)?;
    if !has_shape(text, b"0000-00-00 00:00:00") {
        return None;
    }
    let mut length = 19;
    if has_shape(&text[length..], b".000") {
        length += 4;
    }
    if has_shape(&text[length..], b" +0000") || has_shape(&text[length..], b" -0000") {
        length += 6;
    }
    if text.get(length).is_some_and(|byte| *byte != b' ') {
        return None;
    }
    let mut cursor = Cursor::new(&line[..end], (start + length + 1).min(end));
    let pid = take_pid(&mut cursor);
    Some(Envelope {
        timestamp: &text[..length],
        timestamp_start: start,
        pid,
        start: cursor.at(),
        end,
        ..Envelope::none(line)
    })
}

/// `[pid] `
fn take_pid(cursor: &mut Cursor<'_>) -> Option<u32> {
    let mut ahead = *cursor;
    if !ahead.take(b'[') {
        return None;
    }
    let pid = ahead.number(u64::from(u32::MAX), "pid").ok()?;
    if !ahead.take_text(b"] ") {
        return None;
    }
    *cursor = ahead;
    u32::try_from(pid).ok()
}

/// `[1/3] `, `[1\9] `: which part of a line or of several lines this is.
fn take_part(cursor: &mut Cursor<'_>) -> Option<u64> {
    let mut ahead = *cursor;
    if !ahead.take(b'[') {
        return None;
    }
    let part = ahead.number(u64::MAX, "part").ok()?;
    if !ahead.take(b'/') && !ahead.take(b'\\') {
        return None;
    }
    ahead.number(u64::MAX, "part").ok()?;
    if !ahead.take_text(b"] ") {
        return None;
    }
    *cursor = ahead;
    Some(part)
}

/// The id of a message, and the space behind it.
fn take_id<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let text = cursor.rest();
    let length = [16, 23].into_iter().find(|length| matches!(text.get(*length), None | Some(b' ')))?;
    let id = text.get(..length).filter(|id| is_id(id))?;
    cursor.take_text(id);
    cursor.take(b' ');
    Some(id)
}

fn is_id(id: &[u8]) -> bool {
    let places: &[usize] = if id.len() == 16 { &[6, 13] } else { &[6, 18] };
    id.iter()
        .enumerate()
        .all(|(at, byte)| if places.contains(&at) { *byte == b'-' } else { byte.is_ascii_alphanumeric() })
}

/// The lines that stand in the reject log behind a rejected message's: envelope and headers, each with a
/// letter or a space before it, or folded.
fn is_header(line: &[u8]) -> bool {
    match line {
        [b' ' | b'\t', ..] | [] => true,
        [b'*' | b'B' | b'C' | b'F' | b'I' | b'P' | b'R' | b'S' | b'T', b' ', rest @ ..] => {
            let name = rest.iter().take_while(|byte| byte.is_ascii_graphic() && **byte != b':').count();
            name > 0 && rest.get(name) == Some(&b':')
        }
        _ => line.starts_with(b"Envelope-from: <") || line.starts_with(b"Envelope-to: <") || is_mark(line),
    }
}

/// What ends headers that were too long, and the rule that older versions write.
fn is_mark(line: &[u8]) -> bool {
    line == b"*** truncated ***" || (line.len() > 8 && line.iter().all(|byte| *byte == b'-'))
}

/// The version of TLS in what stands behind `X=`, for example `TLS1.3:ECDHE_…:256`, in the words of OpenSSL.
fn tls_version(cipher: &[u8]) -> &'static str {
    let version = memchr::memchr(b':', cipher).map_or(cipher, |length| &cipher[..length]);
    match version.strip_prefix(b"TLS") {
        Some(b"1.3" | b"v1.3") => "TLSv1.3",
        Some(b"1.2" | b"v1.2") => "TLSv1.2",
        Some(b"1.1" | b"v1.1") => "TLSv1.1",
        Some(b"1.0" | b"1" | b"v1" | b"v1.0") => "TLSv1",
        _ => "other",
    }
}

impl crate::Event for Event<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Arrival(_) => "arrival",
            Self::Delivery(_) => "delivery",
            Self::Completed(_) => "completed",
            Self::Rejection(_) => "rejection",
            Self::AuthenticationFailure(_) => "authentication_failure",
            Self::Known(kind) => kind,
        }
    }

    fn is_ignored(&self) -> bool {
        matches!(self, Self::Known(_))
    }

    fn visit(&self, see: &mut dyn FnMut(&'static str, Field<'_>)) {
        match self {
            Self::Arrival(arrival) => arrival.visit(see),
            Self::Delivery(delivery) => delivery.visit(see),
            Self::Completed(completed) => {
                see("message_id", Field::text(completed.id));
                see("QT", completed.queue_time_ms.map_or(Field::Missing, Field::Seconds));
            }
            Self::Rejection(rejection) => rejection.visit(see),
            Self::AuthenticationFailure(failure) => {
                see("authenticator", Field::text(failure.authenticator));
                see("text", Field::text(failure.text));
            }
            Self::Known(_) => {}
        }
    }
}
