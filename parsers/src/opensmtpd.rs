//! OpenSMTPD's lines (`smtpd`, 6.6 to 7.6).
//!
//! ```text
//! 20db03dc403fef5d smtp connected address=192.0.2.7 host=client.example.net
//! 20db03dc403fef5d smtp message msgid=29022a67 size=275 nrcpt=2 proto=ESMTP
//! 20db03df42de2019 mda delivery evpid=29022a67858be0b5 from=<a@example.com> to=<b@example.org> rcpt=<b@example.org> user=b delay=1m2s result=Ok stat=Delivered
//! 20db03eb824a5072 mta delivery evpid=af2ed516428be323 from=<a@example.com> to=<b@example.net> rcpt=<-> source="192.0.2.1" relay="192.0.2.26 (mx.example.net)" delay=0s result="Ok" stat="250 2.0.0 Ok"
//! 20db0402289754b0 smtp authentication user=alice result=permfail
//! ```
//!
//! A session's id (16 hexadecimal digits), what has it (`smtp` takes mail in, `mda` and `mta` deliver), a word, and fields.
//! What is not about a session starts with a word and a colon: `smtp-out: `, `warn: `, a filter's name.
//!
//! What other servers and delivery agents say stands behind `stat=` at the end, unescaped: all before it is OpenSMTPD's, or
//! an address, in which OpenSMTPD lets neither brackets nor spaces through. A user's name is the client's, but only
//! `result=` stands behind it.
//!
//! OpenSMTPD 7.6.0p1: `smtp_session.c`, `mda.c`, `mta.c`, `mta_session.c`.

use crate::cursor::Cursor;
use crate::duration::units_ms;
use crate::envelope::{self, Envelope};
use crate::event::Field;
use crate::{Reason, Reject};

/// What an OpenSMTPD line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A client's connection begins or ends.
    Connection(Connection<'a>),
    /// A message has come in.
    Message(Message<'a>),
    /// What became of a recipient.
    Delivery(Delivery<'a>),
    /// A client tried to prove who it is.
    Authentication(Authentication<'a>),
    /// A known line that nothing counts, and what kind it is.
    Known(&'static str),
}

/// The beginning or end of a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection<'a> {
    /// The session's id.
    pub session: &'a [u8],
    /// `connected` or `disconnected`.
    pub event: &'static str,
    /// `address` of a beginning: an IP address or `local`.
    pub address: &'a [u8],
    /// `host` of a beginning: the client's name.
    pub host: &'a [u8],
    /// `reason` of an end, without its quotes.
    pub reason: &'a [u8],
}

/// A message that has come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The session's id.
    pub session: &'a [u8],
    /// The message's id; those of its envelopes start like it.
    pub message_id: &'a [u8],
    /// `size` in bytes.
    pub size_bytes: u64,
    /// `nrcpt`: how many recipients; none when the line was cut.
    pub recipients: Option<u64>,
    /// `proto`: `ESMTP` or `SMTP`; empty when the line was cut.
    pub protocol: &'a [u8],
}

/// What became of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// The session's id.
    pub session: &'a [u8],
    /// `mda` for delivery on this host, `mta` for delivery to another.
    pub agent: &'static str,
    /// The envelope's id.
    pub evpid: &'a [u8],
    /// `from`
    pub sender: &'a [u8],
    /// `to`
    pub recipient: &'a [u8],
    /// `rcpt`: the recipient before aliases; empty when there is none.
    pub original_recipient: &'a [u8],
    /// `user`, with `mda`.
    pub user: &'a [u8],
    /// `source`: the local address, with `mta`.
    pub source: &'a [u8],
    /// `relay`: the other host, with `mta`.
    pub relay: &'a [u8],
    /// `delay`: time since the message came in, in milliseconds; none when a clock was set back.
    pub delay_ms: Option<u64>,
    /// `result`: `Ok`, `TempFail`, `PermFail`, or `other`.
    pub result: &'static str,
    /// `stat`: what the other side said.
    pub status: &'a [u8],
}

/// A client's attempt to prove who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authentication<'a> {
    /// The session's id.
    pub session: &'a [u8],
    /// The name that it gave.
    pub user: &'a [u8],
    /// `ok`, `permfail` or `tempfail`.
    pub result: &'static str,
}

/// True when `program` (the syslog tag) is this family's.
pub fn is_program(program: &[u8]) -> bool {
    program == b"smtpd"
}

/// Reads the message of a line whose envelope is known.
///
/// # Errors
/// A [`Reject`] when the line is none of OpenSMTPD's or is broken. Its offset counts from the line's start.
pub fn read<'a>(line: &'a [u8], envelope: &Envelope<'a>) -> Result<Event<'a>, Reject> {
    let mut cursor = Cursor::new(line.get(..envelope.end).unwrap_or(line), envelope.start);
    let Some(session) = take_session(&mut cursor) else {
        return match process(cursor.rest()) {
            Some(kind) => Ok(Event::Known(kind)),
            None => cursor.reject(Reason::UnknownForm, "message"),
        };
    };
    if cursor.take_text(b"smtp ") {
        return smtp(&mut cursor, session);
    }
    for (name, agent) in [(b"mta ", "mta"), (b"mda ", "mda")] {
        if cursor.take_text(name) {
            if cursor.take_text(b"delivery ") {
                return delivery(&mut cursor, session, agent).map(Event::Delivery);
            }
            return known(&cursor, &OUTGOING);
        }
    }
    cursor.reject(if cursor.rest().len() < 5 { Reason::Truncated } else { Reason::UnknownForm }, "agent")
}

/// Reads a whole line: envelope, then message.
///
/// # Errors
/// As [`read`].
pub fn parse(line: &[u8]) -> Result<Event<'_>, Reject> {
    read(line, &envelope::detect(line))
}

/// Hexadecimal digits of a session's id.
const SESSION_DIGITS: usize = 16;

fn take_session<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let text = cursor.rest();
    let id = text.get(..SESSION_DIGITS).filter(|id| id.iter().all(u8::is_ascii_hexdigit))?;
    if text.get(SESSION_DIGITS) != Some(&b' ') {
        return None;
    }
    cursor.take_text(id);
    cursor.take(b' ');
    Some(id)
}

/// Words behind `smtp` that nothing counts, and their kinds.
const INCOMING: [(&[u8], &str); 6] = [
    (b"envelope ", "envelope"),
    (b"failed-command ", "failed_command"),
    (b"bad-input ", "bad_input"),
    (b"tls ", "tls"),
    (b"client-cert-check ", "certificate"),
    (b"cert-check ", "certificate"),
];

/// The same behind `mta` and `mda`.
const OUTGOING: [(&[u8], &str); 11] = [
    (b"connecting ", "outgoing_connection"),
    (b"connected", "outgoing_connection"),
    (b"disconnected ", "outgoing_connection"),
    (b"closing ", "outgoing_connection"),
    (b"error ", "outgoing_error"),
    (b"host-rejects-all-mails", "outgoing_error"),
    (b"tls ", "tls"),
    (b"starttls ", "tls"),
    (b"server-cert-check ", "certificate"),
    (b"cert-check ", "certificate"),
    (b"ssl_check_name", "certificate"),
];

fn known<'a>(cursor: &Cursor<'a>, words: &[(&'static [u8], &'static str)]) -> Result<Event<'a>, Reject> {
    match words.iter().find(|(words, _)| cursor.rest().starts_with(words)) {
        Some((_, kind)) => Ok(Event::Known(kind)),
        None => cursor.reject(Reason::UnknownForm, "event"),
    }
}

fn smtp<'a>(cursor: &mut Cursor<'a>, session: &'a [u8]) -> Result<Event<'a>, Reject> {
    if cursor.take_text(b"connected address=") {
        let address = take_word(cursor);
        let host = if cursor.take_text(b" host=") { cursor.take_rest() } else { b"" };
        let connection = Connection { session, event: "connected", address, host, reason: b"" };
        return Ok(Event::Connection(connection));
    }
    if cursor.take_text(b"disconnected ") {
        cursor.take(b' ');
        let reason = if cursor.take_text(b"reason=") { cursor.take_rest() } else { b"" };
        let reason = reason.strip_prefix(b"\"").map_or(reason, |reason| reason.strip_suffix(b"\"").unwrap_or(reason));
        let connection = Connection { session, event: "disconnected", address: b"", host: b"", reason };
        return Ok(Event::Connection(connection));
    }
    if cursor.take_text(b"message ") {
        return message(cursor, session).map(Event::Message);
    }
    if cursor.take_text(b"authentication ") {
        return authentication(cursor, session).map(Event::Authentication);
    }
    known(cursor, &INCOMING)
}

fn message<'a>(cursor: &mut Cursor<'a>, session: &'a [u8]) -> Result<Message<'a>, Reject> {
    cursor.expect_text(b"msgid=", "msgid")?;
    let message_id = take_word(cursor);
    cursor.expect_text(b" size=", "size")?;
    let size_bytes = cursor.number(u64::MAX, "size")?;
    let recipients = cursor.take_text(b" nrcpt=").then(|| cursor.number(u64::MAX, "nrcpt")).transpose()?;
    let protocol = if cursor.take_text(b" proto=") { cursor.take_rest() } else { b"" };
    Ok(Message { session, message_id, size_bytes, recipients, protocol })
}

fn delivery<'a>(cursor: &mut Cursor<'a>, session: &'a [u8], agent: &'static str) -> Result<Delivery<'a>, Reject> {
    cursor.expect_text(b"evpid=", "evpid")?;
    let evpid = take_word(cursor);
    cursor.expect_text(b" from=<", "from")?;
    let sender = cursor.until(b'>', "from")?;
    cursor.expect_text(b" to=<", "to")?;
    let recipient = cursor.until(b'>', "to")?;
    let original_recipient = if cursor.take_text(b" rcpt=<") { cursor.until(b'>', "rcpt")? } else { b"" };
    let (mut user, mut source, mut relay): (&[u8], &[u8], &[u8]) = (b"", b"", b"");
    if agent == "mda" {
        cursor.expect_text(b" user=", "user")?;
        user = take_word(cursor);
    } else {
        cursor.expect_text(b" source=\"", "source")?;
        source = cursor.until(b'"', "source")?;
        cursor.expect_text(b" relay=\"", "relay")?;
        relay = cursor.until(b'"', "relay")?;
    }
    cursor.expect_text(b" delay=", "delay")?;
    let delay_ms = units_ms(take_word(cursor));
    cursor.expect_text(b" result=", "result")?;
    let (result, status) = result(cursor)?;
    Ok(Delivery {
        session,
        agent,
        evpid,
        sender,
        recipient,
        original_recipient: if original_recipient == b"-" { b"" } else { original_recipient },
        user,
        source: if source == b"-" { b"" } else { source },
        relay,
        delay_ms,
        result,
        status,
    })
}

/// `Ok stat=…` or `"Ok" stat="…"`. A result that the line ends in may have been cut.
fn result<'a>(cursor: &mut Cursor<'a>) -> Result<(&'static str, &'a [u8]), Reject> {
    let is_quoted = cursor.take(b'"');
    let text = cursor.rest();
    let length = text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let result = ["Ok", "TempFail", "PermFail"].into_iter().find(|result| result.as_bytes() == &text[..length]);
    if length == text.len() {
        return cursor.reject(Reason::Truncated, "result");
    }
    cursor.take_text(&text[..length]);
    cursor.take(b'"');
    let status = if cursor.take_text(b" stat=") { cursor.take_rest() } else { b"" };
    let status = if is_quoted { status.strip_prefix(b"\"").unwrap_or(status) } else { status };
    let status = if is_quoted { status.strip_suffix(b"\"").unwrap_or(status) } else { status };
    Ok((result.unwrap_or("other"), status))
}

fn authentication<'a>(cursor: &mut Cursor<'a>, session: &'a [u8]) -> Result<Authentication<'a>, Reject> {
    cursor.expect_text(b"user=", "user")?;
    let text = cursor.rest();
    for (ending, result) in
        [(&b" result=ok"[..], "ok"), (b" result=permfail", "permfail"), (b" result=tempfail", "tempfail")]
    {
        if let Some(user) = text.strip_suffix(ending) {
            return Ok(Authentication { session, user, result });
        }
    }
    cursor.reject(Reason::Truncated, "result")
}

/// What is not about a session.
fn process(text: &[u8]) -> Option<&'static str> {
    const BEGINNINGS: [(&[u8], &str); 9] = [
        (b"smtp-out: ", "outgoing"),
        (b"smtp-in: ", "incoming"),
        (b"info: ", "process"),
        (b"warn: ", "warning"),
        (b"fatal: ", "fatal"),
        (b"fatal in ", "fatal"),
        (b"debug: ", "debug"),
        (b"Exiting", "process"),
        (b"exiting", "process"),
    ];
    if let Some((_, kind)) = BEGINNINGS.iter().find(|(words, _)| text.starts_with(words)) {
        return Some(kind);
    }
    // Processes and filters write their names and a colon first.
    let name = text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte)).count();
    (name > 0 && text.get(name..).is_some_and(|rest| rest.starts_with(b": "))).then_some("process")
}

/// Takes a word: what stands before the next space or the end.
fn take_word<'a>(cursor: &mut Cursor<'a>) -> &'a [u8] {
    let text = cursor.rest();
    let word = memchr::memchr(b' ', text).map_or(text, |length| &text[..length]);
    cursor.take_text(word);
    word
}

impl crate::Event for Event<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Connection(_) => "connection",
            Self::Message(_) => "message",
            Self::Delivery(_) => "delivery",
            Self::Authentication(_) => "authentication",
            Self::Known(kind) => kind,
        }
    }

    fn is_ignored(&self) -> bool {
        match self {
            Self::Authentication(authentication) => authentication.result != "permfail",
            Self::Known(_) => true,
            _ => false,
        }
    }

    fn visit(&self, see: &mut dyn FnMut(&'static str, Field<'_>)) {
        match self {
            Self::Connection(connection) => {
                see("session", Field::text(connection.session));
                see("event", Field::text(connection.event.as_bytes()));
                see("address", Field::text(connection.address));
                see("host", Field::text(connection.host));
                see("reason", Field::text(connection.reason));
            }
            Self::Message(message) => {
                see("session", Field::text(message.session));
                see("msgid", Field::text(message.message_id));
                see("size", Field::number(i64::try_from(message.size_bytes).ok()));
                see("nrcpt", Field::number(message.recipients.and_then(|count| i64::try_from(count).ok())));
                see("proto", Field::text(message.protocol));
            }
            Self::Delivery(delivery) => {
                see("session", Field::text(delivery.session));
                see("agent", Field::text(delivery.agent.as_bytes()));
                see("evpid", Field::text(delivery.evpid));
                see("from", Field::text(delivery.sender));
                see("to", Field::text(delivery.recipient));
                see("rcpt", Field::text(delivery.original_recipient));
                see("user", Field::text(delivery.user));
                see("source", Field::text(delivery.source));
                see("relay", Field::text(delivery.relay));
                see("delay", delivery.delay_ms.map_or(Field::Missing, Field::Seconds));
                see("result", Field::text(delivery.result.as_bytes()));
                see("stat", Field::text(delivery.status));
            }
            Self::Authentication(authentication) => {
                see("session", Field::text(authentication.session));
                see("user", Field::text(authentication.user));
                see("result", Field::text(authentication.result.as_bytes()));
            }
            Self::Known(_) => {}
        }
    }
}
