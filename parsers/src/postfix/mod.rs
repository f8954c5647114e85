//! Postfix's log lines, 3.4 to 3.11 (Postfix's own sources; `log_adhoc.c` has the deliveries, `smtpd.c`,
//! `smtpd_check.c` and `cleanup_milter.c` have what is refused).
//!
//! ```text
//! postfix/smtpd[811]: 4F1AB6C02D: client=mail.example.org[192.0.2.7], sasl_method=PLAIN, sasl_username=ann
//! postfix/smtp[815]: 4F1AB6C02D: to=<joe@example.net>, relay=mx.example.net[198.51.100.3]:25, delay=0.9, delays=0.1/0/0.5/0.3, dsn=2.0.0, status=sent (250 OK)
//! ```
//!
//! A program's tag is `INSTANCE/[SERVICE/]DAEMON` ([`Tag`]); the daemon says what its lines can be. A line begins with
//! its message's queue id, where it has one. Postfix replaces control characters by `?`, but much of what it writes
//! (addresses, replies, message ids) comes from strangers: a field's end is where Postfix's own syntax ends it, looked
//! for from the left.

mod cause;
mod commands;
mod delivery;
mod event;
mod known;
mod postscreen;
mod queue;
mod rejection;
mod scan;
mod session;
mod show;
mod smtp;
mod tail;
mod words;

pub use event::{
    Bounce, Client, Command, Commands, Connect, ConnectFailure, Delivery, Disconnect, Event, Expired, Listed,
    LostConnection, MessageId, Passed, Peer, Pickup, Queued, Rejection, Removed, SaslFailure, TestFailed, Tls, Warning,
};
pub use words::{
    Action, Cause, Daemon, Direction, Failure, Lost, Notification, Pass, Removal, Severity, Stage, Status, Test, Trust,
};

use crate::cursor::Cursor;
use crate::envelope::{self, Envelope};
use crate::{Reason, Reject};

/// A program's tag, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag<'a> {
    /// `postfix`, `postfix-mx`, … (`syslog_name` up to its first slash): what stands before the first slash.
    pub instance: &'a [u8],
    /// What follows it: `smtpd`, `submission/smtpd`.
    pub service: &'a [u8],
    /// The program itself: what stands behind the last slash.
    pub daemon: Daemon,
}

impl<'a> Tag<'a> {
    /// Takes `program` apart, if it is one of Postfix's: it has a slash and ends with the name of a daemon, or it is
    /// `postfix` alone, for a daemon whose name is lost.
    pub fn of(program: &'a [u8]) -> Option<Self> {
        // As most are: no daemon's name has a slash.
        if let Some((instance, service)) = program.split_at_checked(b"postfix".len())
            && instance == b"postfix"
            && let Some(service) = service.strip_prefix(b"/")
            && let Some(daemon) = Daemon::of(service).filter(|daemon| *daemon != Daemon::Unnamed)
        {
            return Some(Self { instance, service, daemon });
        }
        let Some(last) = memchr::memrchr(b'/', program) else {
            return (program == b"postfix").then_some(Self {
                instance: program,
                service: &[],
                daemon: Daemon::Unnamed,
            });
        };
        let daemon = Daemon::of(program.get(last + 1..)?).filter(|daemon| *daemon != Daemon::Unnamed)?;
        let first = memchr::memchr(b'/', program)?;
        Some(Self { instance: program.get(..first)?, service: program.get(first + 1..)?, daemon })
    }
}

/// True when `program` (the syslog tag) is one of Postfix's.
pub fn is_program(program: &[u8]) -> bool {
    Tag::of(program).is_some()
}

/// Reads one line (without its newline).
///
/// # Errors
/// A [`Reject`] when the line is none of Postfix's or is broken. Its offset counts from the line's start.
pub fn parse(line: &[u8]) -> Result<Event<'_>, Reject> {
    read(line, &envelope::detect(line))
}

/// Reads the message of a line whose envelope is known.
///
/// # Errors
/// As [`parse`].
pub fn read<'a>(line: &'a [u8], envelope: &Envelope<'a>) -> Result<Event<'a>, Reject> {
    let Some(tag) = Tag::of(envelope.program) else {
        return Err(Reject { reason: Reason::UnknownForm, field: "program", offset: envelope.start });
    };
    read_of(tag.daemon, line, envelope)
}

/// Reads the message of a line that `daemon` wrote.
///
/// # Errors
/// As [`parse`].
pub fn read_of<'a>(daemon: Daemon, line: &'a [u8], envelope: &Envelope<'a>) -> Result<Event<'a>, Reject> {
    let line = line.get(..envelope.end).unwrap_or(line);
    let mut cursor = Cursor::new(line, envelope.start);
    if let Some(queue_id) = scan::queue_id(&mut cursor) {
        return queue::read(cursor, queue_id, daemon);
    }
    if let Some(severity) = severity(&mut cursor) {
        return Ok(warning(cursor, severity, daemon));
    }
    match daemon {
        Daemon::Smtpd | Daemon::Qmqpd => smtpd(cursor, daemon),
        Daemon::Postscreen => postscreen(cursor),
        Daemon::Dnsblog => dnsblog(cursor),
        Daemon::Unnamed => unnamed(cursor),
        daemon => other(cursor, daemon),
    }
}

/// A line of smtpd or qmqpd that does not begin with a queue id.
fn smtpd<'a>(mut cursor: Cursor<'a>, daemon: Daemon) -> Result<Event<'a>, Reject> {
    match cursor.rest().first() {
        Some(b'c') if cursor.take_text(b"connect from ") => return session::connect(cursor),
        Some(b'd') if cursor.take_text(b"disconnect from ") => return session::disconnect(cursor),
        Some(b'N') if cursor.take_text(b"NOQUEUE: ") => return noqueue(cursor, daemon),
        Some(b'l' | b't' | b'i') => {
            if let Some(lost) = session::lost(&mut cursor) {
                return session::lost_connection(cursor, None, lost);
            }
        }
        Some(b'p') => {
            if let Some(action) = rejection::action(&mut cursor) {
                return rejection::read(cursor, None, action);
            }
        }
        _ => {}
    }
    other(cursor, daemon)
}

/// Behind `NOQUEUE: `.
fn noqueue<'a>(mut cursor: Cursor<'a>, daemon: Daemon) -> Result<Event<'a>, Reject> {
    if cursor.take_text(b"client=") {
        return session::client(cursor, None);
    }
    if let Some(lost) = session::lost(&mut cursor) {
        return session::lost_connection(cursor, None, lost);
    }
    if let Some(action) = rejection::action(&mut cursor) {
        return rejection::read(cursor, None, action);
    }
    match known::of_message(cursor.rest(), daemon) {
        Some(kind) => Ok(Event::Known(kind)),
        None => unknown(cursor),
    }
}

/// A line of postscreen.
fn postscreen<'a>(mut cursor: Cursor<'a>) -> Result<Event<'a>, Reject> {
    if let Some(event) = postscreen::read(cursor)? {
        return Ok(event);
    }
    if cursor.take_text(b"NOQUEUE: ") || cursor.rest().starts_with(b"reject: connect from ") {
        return noqueue(cursor, Daemon::Postscreen);
    }
    other(cursor, Daemon::Unnamed)
}

/// `addr ADDRESS listed by domain LIST as ANSWER`
fn dnsblog<'a>(mut cursor: Cursor<'a>) -> Result<Event<'a>, Reject> {
    if !cursor.take_text(b"addr ") {
        return other(cursor, Daemon::Dnsblog);
    }
    let address = cursor.until(b' ', "addr")?;
    cursor.expect_text(b"listed by domain ", "domain")?;
    let list = cursor.until(b' ', "domain")?;
    cursor.expect_text(b"as ", "answer")?;
    Ok(Event::Listed(Listed { address, list, answer: cursor.take_rest() }))
}

/// A line of any of them. tlsproxy, too, writes `CONNECT from`, but not to where.
fn unnamed<'a>(cursor: Cursor<'a>) -> Result<Event<'a>, Reject> {
    match cursor.rest() {
        [b'a', b'd', b'd', b'r', b' ', ..] => dnsblog(cursor),
        [b'r', b'e', b'j', b'e', b'c', b't', ..] => postscreen(cursor),
        [b'C', b'O', b'N', b'N', ..] if memchr::memmem::find(cursor.rest(), b" to [").is_none() => {
            other(cursor, Daemon::Tlsproxy)
        }
        [b'N', b'O', b'Q', ..] => smtpd(cursor, Daemon::Unnamed),
        [b'A'..=b'Z', ..] => postscreen(cursor),
        _ => smtpd(cursor, Daemon::Unnamed),
    }
}

/// Any other line that does not begin with a queue id.
fn other<'a>(mut cursor: Cursor<'a>, daemon: Daemon) -> Result<Event<'a>, Reject> {
    if let Some(trust) = session::trust(&mut cursor) {
        return session::tls(cursor, &[], trust);
    }
    if matches!(daemon, Daemon::Smtp | Daemon::Lmtp | Daemon::Tlsproxy | Daemon::Unnamed)
        && let Some(event) = smtp::read(cursor, &[])
    {
        return Ok(event);
    }
    match known::line(cursor, daemon) {
        Some(kind) => Ok(Event::Known(kind)),
        None => unknown(cursor),
    }
}

/// Refuses what no table knows.
fn unknown<'a>(cursor: Cursor<'a>) -> Result<Event<'a>, Reject> {
    let reason = if cursor.rest().is_empty() { Reason::Truncated } else { Reason::UnknownForm };
    cursor.reject(reason, "message")
}

/// Takes `warning: ` or its like.
fn severity(cursor: &mut Cursor<'_>) -> Option<Severity> {
    match cursor.rest().first()? {
        b'w' if cursor.take_text(b"warning: ") => Some(Severity::Warning),
        b'e' if cursor.take_text(b"error: ") => Some(Severity::Error),
        b'f' if cursor.take_text(b"fatal: ") => Some(Severity::Fatal),
        b'p' if cursor.take_text(b"panic: ") => Some(Severity::Panic),
        _ => None,
    }
}

/// Reads on behind `warning: `: a failed login, or free text, of which the beginning tells the kind.
fn warning<'a>(cursor: Cursor<'a>, severity: Severity, daemon: Daemon) -> Event<'a> {
    const KINDS: [(&[u8], &str); 13] = [
        (b"hostname ", "hostname"),
        (b"Connection concurrency limit exceeded: ", "rate_limit"),
        (b"Connection rate limit exceeded: ", "rate_limit"),
        (b"Message delivery request rate limit exceeded: ", "rate_limit"),
        (b"Recipient address rate limit exceeded: ", "rate_limit"),
        (b"New TLS session rate limit exceeded: ", "rate_limit"),
        (b"AUTH command rate limit exceeded: ", "rate_limit"),
        (b"non-SMTP command from ", "non_smtp_command"),
        (b"Illegal address syntax from ", "address_syntax"),
        (b"TLS library problem: ", "tls"),
        (b"SASL", "sasl"),
        (b"connect to Milter service ", "milter"),
        (b"milter ", "milter"),
    ];
    if matches!(daemon, Daemon::Smtpd | Daemon::Unnamed)
        && let Some(event) = session::sasl_failure(cursor)
    {
        return event;
    }
    let text = cursor.rest();
    let kind = KINDS.iter().find(|(start, _)| scan::begins(text, start)).map_or("other", |(_, kind)| *kind);
    Event::Warning(Warning { severity, kind, text })
}

/// The word for a SASL mechanism, whatever its case: one of a fixed list, else `other`.
pub fn sasl_method(name: &[u8]) -> &'static str {
    const METHODS: [&str; 16] = [
        "PLAIN",
        "LOGIN",
        "CRAM-MD5",
        "DIGEST-MD5",
        "SCRAM-SHA-1",
        "SCRAM-SHA-256",
        "SCRAM-SHA-1-PLUS",
        "SCRAM-SHA-256-PLUS",
        "XOAUTH2",
        "OAUTHBEARER",
        "EXTERNAL",
        "GSSAPI",
        "GSS-SPNEGO",
        "NTLM",
        "ANONYMOUS",
        "OTP",
    ];
    METHODS.iter().find(|method| method.as_bytes().eq_ignore_ascii_case(name)).copied().unwrap_or("other")
}
