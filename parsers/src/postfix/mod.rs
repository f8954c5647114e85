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

mod commands;
mod event;
mod show;
mod words;

pub use event::{
    Bounce, Client, Command, Commands, Connect, ConnectFailure, Delivery, Disconnect, Event, Expired, Listed,
    LostConnection, MessageId, Passed, Peer, Pickup, Queued, Rejection, Removed, SaslFailure, TestFailed, Tls, Warning,
};
pub use words::{
    Action, Cause, Daemon, Direction, Failure, Lost, Notification, Pass, Removal, Severity, Stage, Status, Test, Trust,
};

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
    /// Takes `program` apart, if it is one of Postfix's: it has a slash and ends with the name of a daemon.
    pub fn of(program: &'a [u8]) -> Option<Self> {
        let last = memchr::memrchr(b'/', program)?;
        let daemon = Daemon::of(program.get(last + 1..)?)?;
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
    let line = line.get(..envelope.end).unwrap_or(line);
    let Some(tag) = Tag::of(envelope.program) else {
        return Err(Reject { reason: Reason::UnknownForm, field: "program", offset: envelope.start });
    };
    let _ = (line, tag);
    Err(Reject { reason: Reason::UnknownForm, field: "message", offset: envelope.start })
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
