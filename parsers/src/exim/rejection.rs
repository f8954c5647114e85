//! Lines of refusal: an ACL, a limit or a check said no.
//!
//! ```text
//! H=client.example.net (helo) [192.0.2.7] X=TLS1.3:… CV=no F=<a@example.com> temporarily rejected RCPT <b@example.org>: greylisted
//! H=[192.0.2.7] rejected connection in "connect" ACL: no service for you
//! id H=(helo) [192.0.2.7] F=<a@example.com> rejected after DATA: This message contains malware
//! id rejected from <a@example.com> H=(helo) [192.0.2.7]: message too big: read=28416 max=20480
//! rejected EHLO from [192.0.2.7]: syntactically invalid argument(s): bad name!
//! ```
//!
//! What the client said is shown raw, at most 100 bytes of it: a recipient ends at the bracket outside its quotes.

use super::Event;
use super::address::{take_bracketed, take_host, take_name, take_word};
use super::known;
use super::tls_version;
use crate::cursor::Cursor;
use crate::event::Field;
use crate::{Reason, Reject};

/// Something that was refused. Slices are empty when the line has no such field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection<'a> {
    /// The message's id in the log, if there was a message yet.
    pub id: Option<&'a [u8]>,
    /// When it was refused, by Exim's name of the ACL that runs then (`RCPT`, `PREDATA`, `DATA`, …), `HELO` and
    /// `CONNECT` for the first two, `local_scan`, or `other`.
    pub phase: &'static str,
    /// True when the client may come again.
    pub is_temporary: bool,
    /// The client: name, HELO name in parentheses, address.
    pub host: &'a [u8],
    /// TLS: version, cipher suite, bits (`X`).
    pub cipher: &'a [u8],
    /// The envelope's sender (`F`).
    pub sender: &'a [u8],
    /// What the client had said behind the command's name.
    pub argument: &'a [u8],
    /// Why, in Exim's or the configuration's words.
    pub reason: &'a [u8],
    /// Why, as a word of a fixed table.
    pub reason_label: &'static str,
}

/// Exim's words for phases, and ours. What is next to be read behind them stands in the last column.
const PHASES: [(&[u8], &str, Argument); 20] = [
    (b"RCPT ", "RCPT", Argument::Address),
    (b"MAIL ", "MAIL", Argument::Address),
    (b"after DATA PRDR", "PRDR", Argument::None),
    (b"after DATA", "DATA", Argument::None),
    (b"DATA", "PREDATA", Argument::None),
    (b"during MIME ACL checks", "MIME", Argument::None),
    (b"EHLO or HELO ", "HELO", Argument::Text),
    (b"connection in \"connect\" ACL", "CONNECT", Argument::None),
    (b"connection", "CONNECT", Argument::None),
    (b"AUTH ", "AUTH", Argument::Text),
    (b"STARTTLS", "STARTTLS", Argument::Text),
    (b"ETRN ", "ETRN", Argument::Text),
    (b"EXPN ", "EXPN", Argument::Text),
    (b"VRFY ", "VRFY", Argument::Text),
    (b"MAILAUTH ", "MAILAUTH", Argument::Text),
    (b"WELLKNOWN", "WELLKNOWN", Argument::Text),
    (b"DKIM", "DKIM", Argument::Text),
    (b"by non-SMTP ACL", "non-SMTP", Argument::None),
    (b"by local_scan()", "local_scan", Argument::None),
    (b"QUIT", "QUIT", Argument::Text),
];

/// What the client had said.
#[derive(Clone, Copy)]
enum Argument {
    None,
    /// An address in brackets, and perhaps parameters.
    Address,
    /// Anything.
    Text,
}

/// Most bytes of the client's words that Exim shows.
const ARGUMENT_BYTES: usize = 100;

/// Reads a message that is a refusal, or starts with a client; nothing when it is neither.
pub(super) fn read<'a>(cursor: &mut Cursor<'a>, id: Option<&'a [u8]>) -> Option<Result<Event<'a>, Reject>> {
    let mut ahead = *cursor;
    match ahead.rest() {
        [b' ', b'D', b'S', b'H', ..] | [b'H' | b'U', b'=', ..] => Some(by_client(&mut ahead, id)),
        [b'F', b'=', b'<', ..] => Some(by_client(&mut ahead, id)),
        [b'r' | b't' | b'u' | b'C' | b'c' | b'S', ..] => {
            by_server(&mut ahead, id).map(|found| Ok(Event::Rejection(found)))
        }
        _ => None,
    }
}

/// `H=… [F=<…>] …`: the client first.
fn by_client<'a>(cursor: &mut Cursor<'a>, id: Option<&'a [u8]>) -> Result<Event<'a>, Reject> {
    let mut rejection = new(id);
    cursor.take_text(b" DS");
    if cursor.take_text(b"H=") {
        match take_host(cursor, 0) {
            Some(host) => rejection.host = host,
            // An outgoing connection to a host by its name alone, or a line that was cut.
            None => return Ok(Event::Known(known::HOST_ERROR)),
        }
    } else if cursor.take_text(b"U=") {
        rejection.host = take_word(cursor);
    }
    if !rejection.host.is_empty() && !cursor.take(b' ') {
        return Ok(Event::Known(known::HOST_ERROR));
    }
    take_details(cursor, &mut rejection);
    if cursor.take_text(b"temporarily ") {
        rejection.is_temporary = true;
    }
    if !cursor.take_text(b"rejected ") {
        if [&b"rejected "[..], b"temporarily rejected "].iter().any(|words| words.starts_with(cursor.rest())) {
            return cursor.reject(Reason::Truncated, "phase");
        }
        return Ok(Event::Known(known::of_client(cursor.rest())));
    }
    let Some((words, phase, argument)) = PHASES.iter().find(|(words, ..)| cursor.rest().starts_with(words)) else {
        if PHASES.iter().any(|(words, ..)| words.starts_with(cursor.rest())) {
            *cursor = Cursor::new(cursor.line(), cursor.line().len());
            return cursor.reject(Reason::Truncated, "phase");
        }
        return Ok(Event::Known("text"));
    };
    cursor.take_text(words);
    rejection.phase = phase;
    rejection.argument = take_argument(cursor, *argument);
    cursor.take_text(b": ");
    finish(cursor, &mut rejection);
    Ok(Event::Rejection(rejection))
}

/// Takes `I=`, `U=`, `Ci=`, TLS, and `F=<…>` with who was authenticated; the space behind each.
fn take_details<'a>(cursor: &mut Cursor<'a>, rejection: &mut Rejection<'a>) {
    loop {
        if cursor.take_text(b"F=<") {
            rejection.sender = take_bracketed(cursor);
            cursor.take(b' ');
            if cursor.take_text(b"A=") {
                take_word(cursor);
                cursor.take(b' ');
            }
            return;
        }
        if cursor.take_text(b"X=") {
            rejection.cipher = take_word(cursor);
        } else if cursor.take_text(b"DN=\"") {
            take_name(cursor);
        } else if [&b"I=["[..], b"U=", b"Ci=", b"CV=", b"SNI="].iter().any(|field| cursor.rest().starts_with(field)) {
            take_word(cursor);
        } else {
            return;
        }
        if !cursor.take(b' ') {
            return;
        }
    }
}

/// Takes what the client said, up to the colon before the reason.
fn take_argument<'a>(cursor: &mut Cursor<'a>, argument: Argument) -> &'a [u8] {
    let text = cursor.rest();
    let shown = &text[..text.len().min(ARGUMENT_BYTES)];
    let start = match argument {
        Argument::None => return b"",
        Argument::Address if text.starts_with(b"<") => {
            let mut ahead = Cursor::new(shown, 1);
            take_bracketed(&mut ahead);
            ahead.at()
        }
        Argument::Address | Argument::Text => 0,
    };
    let colon = text.get(start..).and_then(|rest| memchr::memmem::find(rest, b": "));
    let length = colon.map_or(text.len(), |colon| start + colon);
    let argument = &text[..length.min(ARGUMENT_BYTES)];
    cursor.take_text(argument);
    argument
}

/// Takes the reason.
fn finish<'a>(cursor: &mut Cursor<'a>, rejection: &mut Rejection<'a>) {
    rejection.reason = cursor.take_rest();
    rejection.reason_label = reason_label(rejection.reason);
}

/// Refusals that Exim writes by itself: how they start, the phase, the reason.
const BY_SERVER: [(&[u8], &str, &str); 21] = [
    (b"rejected EHLO from ", "HELO", "helo"),
    (b"rejected HELO from ", "HELO", "helo"),
    (b"rejected MAIL from ", "MAIL", "protocol"),
    (b"rejected MAIL command ", "MAIL", "rate_limit"),
    (b"rejected MAIL FROM:<", "MAIL", "size"),
    (b"rejected XCLIENT from ", "XCLIENT", "protocol"),
    (b"rejected from <", "DATA", "size"),
    (b"rejected \"", "other", "protocol"),
    (b"temporarily rejected \"", "other", "protocol"),
    (b"unqualified sender rejected: <", "MAIL", "sender"),
    (b"unqualified recipient rejected: <", "RCPT", "recipient_unknown"),
    (b"unqualified verify rejected: <", "VRFY", "recipient_unknown"),
    (b"unqualified expn rejected: <", "EXPN", "recipient_unknown"),
    (b"too many recipients: message rejected: sender=<", "RCPT", "rate_limit"),
    (b"too many recipients: excess temporarily rejected: sender=<", "RCPT", "rate_limit"),
    (b"refused connection from ", "CONNECT", "policy"),
    (b"temporarily refused connection from ", "CONNECT", "rate_limit"),
    (b"connection from ", "CONNECT", "policy"),
    (b"Connection from ", "CONNECT", "rate_limit"),
    (b"SMTP protocol synchronization error ", "other", "protocol"),
    (b"SMTP call from ", "other", "protocol"),
];

fn by_server<'a>(cursor: &mut Cursor<'a>, id: Option<&'a [u8]>) -> Option<Rejection<'a>> {
    let text = cursor.rest();
    let (words, phase, label) = BY_SERVER.iter().find(|(words, ..)| text.starts_with(words))?;
    let mut rejection = Rejection { phase, reason_label: label, ..new(id) };
    cursor.take_text(words);
    rejection.is_temporary =
        text.starts_with(b"temporarily ") || memchr::memmem::find(words, b" temporarily ").is_some();
    if words.ends_with(b"<") {
        rejection.sender = take_bracketed(cursor);
        cursor.take(b' ');
    }
    if *label != "protocol" || *phase != "other" || words.ends_with(b" from ") {
        cursor.take_text(b"H=");
        rejection.host = take_host(cursor, 0).unwrap_or_default();
        if cursor.take(b' ') {
            take_details(cursor, &mut rejection);
        }
    }
    cursor.take_text(b": ");
    rejection.reason = cursor.take_rest();
    let may_be_served = matches!(*words, b"connection from " | b"Connection from ");
    if may_be_served && !rejection.reason.starts_with(b"refused") {
        return None;
    }
    if *words == b"rejected from <" && !rejection.reason.starts_with(b"message too big: ") {
        rejection.reason_label = reason_label(rejection.reason);
    }
    Some(rejection)
}

fn new(id: Option<&[u8]>) -> Rejection<'_> {
    Rejection {
        id,
        phase: "other",
        is_temporary: false,
        host: b"",
        cipher: b"",
        sender: b"",
        argument: b"",
        reason: b"",
        reason_label: "other",
    }
}

/// Words that tell why, in lower case, as Exim, its default configuration and Debian's write them. The first that a
/// reason holds decides.
const REASONS: [(&[u8], &str); 40] = [
    (b"relay not permitted", "relay_denied"),
    (b"relaying denied", "relay_denied"),
    (b"unrouteable address", "recipient_unknown"),
    (b"sender verify", "sender"),
    (b"sender verification", "sender"),
    (b"black list", "dnsbl"),
    (b"blacklist", "dnsbl"),
    (b"block list", "dnsbl"),
    (b"blocklist", "dnsbl"),
    (b"listed at ", "dnsbl"),
    (b"listed in ", "dnsbl"),
    (b"listed by ", "dnsbl"),
    (b"dnsbl", "dnsbl"),
    (b"found in ", "dnsbl"),
    (b"greylist", "greylist"),
    (b"graylist", "greylist"),
    (b"sender rate", "rate_limit"),
    (b"rate limit", "rate_limit"),
    (b"ratelimit", "rate_limit"),
    (b"too many", "rate_limit"),
    (b"malware", "virus"),
    (b"virus", "virus"),
    (b"spam", "spam"),
    (b"message too big", "size"),
    (b"size", "size"),
    (b"unknown user", "recipient_unknown"),
    (b"user unknown", "recipient_unknown"),
    (b"no such user", "recipient_unknown"),
    (b"mailbox is full", "quota"),
    (b"quota", "quota"),
    (b"restricted characters", "recipient"),
    (b"syntax", "syntax"),
    (b"malformed", "syntax"),
    (b"reverse dns", "rdns"),
    (b"rdns", "rdns"),
    (b"ptr record", "rdns"),
    (b"helo", "helo"),
    (b"spf", "spf"),
    (b"dmarc", "dmarc"),
    (b"callout", "callout"),
];

/// Bytes of a reason that are looked at: behind them other servers' words may stand.
const REASON_BYTES: usize = 160;

fn reason_label(reason: &[u8]) -> &'static str {
    let mut lower = [0; REASON_BYTES];
    let length = reason.len().min(REASON_BYTES);
    let (Some(lower), Some(reason)) = (lower.get_mut(..length), reason.get(..length)) else { return "other" };
    lower.copy_from_slice(reason);
    lower.make_ascii_lowercase();
    REASONS.iter().find(|(words, _)| memchr::memmem::find(lower, words).is_some()).map_or("other", |(_, label)| label)
}

impl Rejection<'_> {
    /// The version of TLS, where it was used and ciphers are logged.
    pub fn tls_version(&self) -> Option<&'static str> {
        (!self.cipher.is_empty()).then(|| tls_version(self.cipher))
    }

    pub(super) fn visit(&self, see: &mut dyn FnMut(&'static str, Field<'_>)) {
        see("message_id", self.id.map_or(Field::Missing, Field::text));
        see("phase", Field::text(self.phase.as_bytes()));
        see("is_temporary", Field::Truth(self.is_temporary));
        see("H", Field::text(self.host));
        see("X", Field::text(self.cipher));
        see("F", Field::text(self.sender));
        see("argument", Field::text(self.argument));
        see("reason", Field::text(self.reason));
        see("reason_label", Field::text(self.reason_label.as_bytes()));
    }
}
