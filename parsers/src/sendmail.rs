//! Sendmail's lines (8.14 to 8.18).
//!
//! ```text
//! 6ALJH8sG003393: from=<a@example.com>, size=22, class=0, nrcpts=1, msgid=<x@example.com>, proto=ESMTPSA, daemon=MTA, relay=client.example.net [192.0.2.7]
//! 6ALJH8sG003393: to=<b@example.net>, ctladdr=<a@example.com> (1000/1000), delay=00:00:02, xdelay=00:00:01, mailer=esmtp, pri=30022, relay=mx.example.net. [192.0.2.26], dsn=2.0.0, stat=Sent (ok)
//! 6ALJH5uf003156: ruleset=check_rcpt, arg1=<x@example.com>, relay=client.example.net [192.0.2.7], reject=550 5.7.1 <x@example.com>... Relaying denied
//! 6ALJH8sG003393: AUTH failure (PLAIN): authentication failure (-13) SASL(-13): …, user=alice, relay=client.example.net [192.0.2.7]
//! ```
//!
//! A message's id in the queue and a colon, fields with `, ` between. Without an id stand lines on connections and the program
//! itself.
//!
//! Addresses keep their quotes, and what imitates a field in one stands inside them. `msgid=` is the sender's: of what may
//! stand behind it the last counts. `reply=` and `stat=` are another server's: where there is a reply the status code,
//! which stands before it, tells the result.
//!
//! Sendmail 8.17.1: `headers.c` (`logsender`), `deliver.c` (`logdelivery`), `parseaddr.c` (`rscheck`), `srvrsmtp.c`.

use crate::cursor::Cursor;
use crate::duration::clock_ms;
use crate::envelope::{self, Envelope};
use crate::event::Field;
use crate::{Reason, Reject};

/// What a Sendmail line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A transaction has ended: with a message, or without.
    Message(Message<'a>),
    /// What became of recipients.
    Delivery(Delivery<'a>),
    /// Something that a client wanted was refused.
    Rejection(Rejection<'a>),
    /// A client could not prove who it is.
    AuthenticationFailure(AuthenticationFailure<'a>),
    /// A known line that nothing counts, and what kind it is.
    Known(&'static str),
}

/// `from=`: the end of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The id in the queue.
    pub id: &'a [u8],
    /// `from`
    pub sender: &'a [u8],
    /// `size` in bytes.
    pub size_bytes: u64,
    /// `nrcpts`: recipients that were accepted.
    pub recipients: u64,
    /// `msgid`; empty when no message came.
    pub message_id: &'a [u8],
    /// `proto`, for example `ESMTPS`; empty when it was handed in on this host.
    pub protocol: &'a [u8],
    /// `relay`: the client.
    pub relay: &'a [u8],
}

/// `to=`: what became of one or several recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// The id in the queue.
    pub id: &'a [u8],
    /// `to`: recipients with commas between them.
    pub recipients: &'a [u8],
    /// `delay`: time since the message came in, in milliseconds.
    pub delay_ms: Option<u64>,
    /// `xdelay`: time that this delivery took, in milliseconds.
    pub transmission_ms: Option<u64>,
    /// `mailer`, by its name in the configuration; empty when none was reached.
    pub mailer: &'a [u8],
    /// `relay`: the other host.
    pub relay: &'a [u8],
    /// `dsn`: the status code.
    pub dsn: &'a [u8],
    /// `reply`: what the other host said.
    pub reply: &'a [u8],
    /// `stat`: in words, to the line's end.
    pub status: &'a [u8],
    /// `sent`, `deferred`, `queued`, `quarantined` or `failed`.
    pub result: &'static str,
}

/// `reject=`, or one of the refusals that are written without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection<'a> {
    /// The id in the queue.
    pub id: &'a [u8],
    /// The ruleset, `milter`, or `none` where Sendmail itself refuses.
    pub ruleset: &'a [u8],
    /// `arg1`: what the ruleset looked at.
    pub argument: &'a [u8],
    /// `relay`: the client.
    pub relay: &'a [u8],
    /// The reply's code, three digits.
    pub code: &'a [u8],
    /// What stands behind the code.
    pub reason: &'a [u8],
}

/// `AUTH failure (PLAIN): …`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthenticationFailure<'a> {
    /// The id in the queue.
    pub id: &'a [u8],
    /// The mechanism, as the client named it.
    pub mechanism: &'a [u8],
    /// Why, who and from where.
    pub text: &'a [u8],
}

/// True when `program` (the syslog tag) is this family's: `sendmail`, `sm-mta`, `sm-msp-queue`.
pub fn is_program(program: &[u8]) -> bool {
    program == b"sendmail" || program.starts_with(b"sm-") || program.starts_with(b"sendmail-")
}

/// Reads the message of a line whose envelope is known.
///
/// # Errors
/// A [`Reject`] when the line is none of Sendmail's or is broken. Its offset counts from the line's start.
pub fn read<'a>(line: &'a [u8], envelope: &Envelope<'a>) -> Result<Event<'a>, Reject> {
    let mut cursor = Cursor::new(line.get(..envelope.end).unwrap_or(line), envelope.start);
    let id = take_id(&mut cursor);
    if cursor.take_text(b"ruleset=") {
        return rejection(&mut cursor, id.unwrap_or_default());
    }
    let Some(id) = id else {
        return match process(cursor.rest()) {
            Some(kind) => Ok(Event::Known(kind)),
            None => cursor.reject(Reason::UnknownForm, "message"),
        };
    };
    if cursor.take_text(b"from=") {
        return message(&mut cursor, id).map(Event::Message);
    }
    if cursor.take_text(b"to=") {
        return delivery(&mut cursor, id).map(Event::Delivery);
    }
    if cursor.take_text(b"AUTH failure (") {
        let mechanism = cursor.until(b')', "mechanism")?;
        cursor.take_text(b": ");
        return Ok(Event::AuthenticationFailure(AuthenticationFailure { id, mechanism, text: cursor.take_rest() }));
    }
    if cursor.take_text(b"Milter: ") || cursor.take_text(b"milter=") {
        return milter(&mut cursor, id);
    }
    Ok(own_refusal(cursor.rest(), id).map_or_else(|| Event::Known(about_message(cursor.rest())), Event::Rejection))
}

/// Reads a whole line: envelope, then message.
///
/// # Errors
/// As [`read`].
pub fn parse(line: &[u8]) -> Result<Event<'_>, Reject> {
    read(line, &envelope::detect(line))
}

/// Takes `6ALJH8sG003393: `: the time in eight characters and a process id of five digits or more. `NOQUEUE` is none.
fn take_id<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let text = cursor.rest();
    let length = text.iter().take(32).position(|byte| *byte == b':')?;
    let (id, rest) = text.split_at_checked(length)?;
    let digits = id.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    if id != b"NOQUEUE" && (length < 12 || digits < 5 || !id.iter().all(u8::is_ascii_alphanumeric)) {
        return None;
    }
    if !rest.starts_with(b": ") {
        return None;
    }
    cursor.take_text(id);
    cursor.take_text(b": ");
    Some(id)
}

/// Takes what stands before `mark`, which is outside quotes, and the mark. When there is none outside, because a quote was
/// cut, the first one counts.
fn take_before<'a>(cursor: &mut Cursor<'a>, mark: &[u8]) -> Option<&'a [u8]> {
    let text = cursor.rest();
    let (mut is_quoted, mut is_escaped) = (false, false);
    let found = text.iter().enumerate().find_map(|(at, byte)| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted && text[at..].starts_with(mark) => return Some(at),
            _ => {}
        }
        None
    });
    let at = found.or_else(|| memchr::memmem::find(text, mark))?;
    cursor.take_text(&text[..at]);
    cursor.take_text(mark);
    Some(&text[..at])
}

fn message<'a>(cursor: &mut Cursor<'a>, id: &'a [u8]) -> Result<Message<'a>, Reject> {
    let start = *cursor;
    let Some(sender) = take_before(cursor, b", size=") else { return cursor.reject(Reason::Truncated, "size") };
    let (mut sender, mut numbers) = (sender, take_numbers(cursor));
    // A long address is shown without its middle, and may have lost a quote.
    if numbers.is_err() {
        let mut ahead = start;
        while ahead.take_until(b", size=").is_some() {
            let length = ahead.at() - b", size=".len() - start.at();
            if let Ok(found) = take_numbers(&mut ahead) {
                (sender, numbers) = (start.rest().get(..length).unwrap_or_default(), Ok(found));
                *cursor = ahead;
                break;
            }
        }
    }
    let (size_bytes, recipients) = numbers?;
    let mut message = Message { id, sender, size_bytes, recipients, message_id: b"", protocol: b"", relay: b"" };
    // The rest is read from the right, down to the sender's own words.
    let mut rest = cursor.take_rest();
    if let Some(at) = memchr::memmem::rfind(rest, b", relay=") {
        message.relay = &rest[at + b", relay=".len()..];
        rest = &rest[..at];
    }
    if let Some(at) = memchr::memmem::rfind(rest, b", proto=") {
        let protocol = &rest[at + b", proto=".len()..];
        message.protocol = memchr::memchr(b',', protocol).map_or(protocol, |end| &protocol[..end]);
        rest = &rest[..at];
    }
    for kind in [&b", bodytype=8BITMIME"[..], b", bodytype=7BIT"] {
        rest = rest.strip_suffix(kind).unwrap_or(rest);
    }
    message.message_id = rest.strip_prefix(b", msgid=").unwrap_or_default();
    Ok(message)
}

/// Takes what stands behind `size=`: `22, class=0, nrcpts=1`.
fn take_numbers(cursor: &mut Cursor<'_>) -> Result<(u64, u64), Reject> {
    let size_bytes = cursor.number(u64::MAX, "size")?;
    cursor.expect_text(b", class=", "class")?;
    cursor.take(b'-');
    cursor.number(u64::MAX, "class")?;
    cursor.expect_text(b", nrcpts=", "nrcpts")?;
    Ok((size_bytes, cursor.number(u64::MAX, "nrcpts")?))
}

fn delivery<'a>(cursor: &mut Cursor<'a>, id: &'a [u8]) -> Result<Delivery<'a>, Reject> {
    let Some(mut recipients) = take_before(cursor, b", delay=") else {
        return cursor.reject(Reason::Truncated, "delay");
    };
    let mut ahead = Cursor::new(recipients, 0);
    if let Some(before) = take_before(&mut ahead, b", ctladdr=") {
        recipients = before;
    }
    let mut delivery = Delivery {
        id,
        recipients: recipients.strip_suffix(b", [more]").unwrap_or(recipients),
        delay_ms: clock_ms(take_value(cursor)),
        transmission_ms: None,
        mailer: b"",
        relay: b"",
        dsn: b"",
        reply: b"",
        status: b"",
        result: "failed",
    };
    loop {
        if cursor.take_text(b", xdelay=") {
            delivery.transmission_ms = clock_ms(take_value(cursor));
        } else if cursor.take_text(b", mailer=") {
            delivery.mailer = take_value(cursor);
        } else if cursor.take_text(b", relay=") {
            delivery.relay = take_value(cursor);
        } else if cursor.take_text(b", dsn=") {
            delivery.dsn = take_value(cursor);
        } else if cursor.take_text(b", reply=") {
            delivery.reply = take_until_last_status(cursor);
        } else if cursor.take_text(b", stat=") {
            delivery.status = cursor.take_rest();
            break;
        } else if cursor.take_text(b", ") {
            take_value(cursor);
        } else if cursor.rest().is_empty() {
            return cursor.reject(Reason::Truncated, "stat");
        } else {
            take_value(cursor);
        }
    }
    if delivery.status.is_empty() {
        return cursor.reject(Reason::Truncated, "stat");
    }
    delivery.result = result(&delivery);
    Ok(delivery)
}

/// Takes a value: what stands before the next comma and space, or the end.
fn take_value<'a>(cursor: &mut Cursor<'a>) -> &'a [u8] {
    let text = cursor.rest();
    let value = memchr::memmem::find(text, b", ").map_or(text, |end| &text[..end]);
    cursor.take_text(value);
    value
}

/// Takes another server's reply, which ends before the last `stat=`.
fn take_until_last_status<'a>(cursor: &mut Cursor<'a>) -> &'a [u8] {
    let text = cursor.rest();
    let reply = memchr::memmem::rfind(text, b", stat=").map_or(text, |end| &text[..end]);
    cursor.take_text(reply);
    reply
}

/// What became of it: in Sendmail's words, or, where another server's stand before them, by the status code.
fn result(delivery: &Delivery<'_>) -> &'static str {
    const WORDS: [(&[u8], &str); 5] = [
        (b"Sent", "sent"),
        (b"Deferred", "deferred"),
        (b"queued", "queued"),
        (b"quarantined", "quarantined"),
        (b"Transient parse error", "deferred"),
    ];
    let by_code = match delivery.dsn.first() {
        Some(b'2') => "sent",
        Some(b'4') => "deferred",
        _ => "failed",
    };
    if !delivery.reply.is_empty() {
        return by_code;
    }
    WORDS.iter().find(|(words, _)| delivery.status.starts_with(words)).map_or(by_code, |(_, result)| result)
}

fn rejection<'a>(cursor: &mut Cursor<'a>, id: &'a [u8]) -> Result<Event<'a>, Reject> {
    let ruleset = cursor.until(b',', "ruleset")?;
    let mut ahead = *cursor;
    let Some(details) = take_before(&mut ahead, b", reject=") else {
        let rest = cursor.rest();
        if rest.ends_with(b", discard") || memchr::memmem::find(rest, b", quarantine=").is_some() {
            return Ok(Event::Known("discarded"));
        }
        return ahead.reject(Reason::Truncated, "reject");
    };
    let mut inside = Cursor::new(details, 0);
    inside.take_text(b" arg1=");
    let argument = take_before(&mut inside, b", relay=").unwrap_or_default();
    let relay = inside.take_rest();
    let (code, reason) = code(ahead.take_rest());
    Ok(Event::Rejection(Rejection { id, ruleset, argument, relay, code, reason }))
}

/// `to=<b@example.org>, reject=550 5.7.1 no`, `name, action=rcpt, reject=550 5.7.1 no`, `connect: host=…, addr=…, reject=…`
fn milter<'a>(cursor: &mut Cursor<'a>, id: &'a [u8]) -> Result<Event<'a>, Reject> {
    let mut ahead = *cursor;
    let Some(argument) = take_before(&mut ahead, b", reject=") else {
        let is_refused = [&b", reject"[..], b", tempfail"].iter().any(|ending| cursor.rest().ends_with(ending));
        if !is_refused {
            return Ok(Event::Known("milter"));
        }
        let argument = cursor.take_rest();
        return Ok(Event::Rejection(Rejection {
            id,
            ruleset: b"milter",
            argument,
            relay: b"",
            code: b"",
            reason: b"",
        }));
    };
    let (code, reason) = code(ahead.take_rest());
    Ok(Event::Rejection(Rejection { id, ruleset: b"milter", argument, relay: b"", code, reason }))
}

/// Three digits, and what stands behind them.
fn code(text: &[u8]) -> (&[u8], &[u8]) {
    match text {
        [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9', b' ' | b'-', rest @ ..] => (&text[..3], rest),
        [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9'] => (text, b""),
        _ => (b"", text),
    }
}

/// What Sendmail refuses by itself; it has one code for each.
fn own_refusal<'a>(text: &'a [u8], id: &'a [u8]) -> Option<Rejection<'a>> {
    let refusal =
        |argument, code: &'static [u8], reason| Rejection { id, ruleset: b"none", argument, relay: b"", code, reason };
    if let Some(argument) = text.strip_suffix(b"... User unknown").filter(|argument| argument.starts_with(b"<")) {
        return Some(refusal(argument, b"550", b"User unknown"));
    }
    (text == b"Too many recipients").then(|| refusal(b"", b"452", text))
}

/// Other lines that have an id.
fn about_message(text: &[u8]) -> &'static str {
    const BEGINNINGS: [(&[u8], &str); 24] = [
        (b"<-- ", "protocol"),
        (b"--- ", "protocol"),
        (b"SYSERR", "error"),
        (b"Losing ", "error"),
        (b"collect: ", "lost_connection"),
        (b"lost input channel from ", "lost_connection"),
        (b"timeout waiting for input from ", "lost_connection"),
        (b"connect from ", "connection"),
        (b"SMTP outgoing connect on ", "connection"),
        (b"done; delay=", "done"),
        (b"clone", "clone"),
        (b"owner", "clone"),
        (b"forward ", "forward"),
        (b"alias ", "alias"),
        (b"message size ", "size"),
        (b"makeconnection ", "outgoing_connection"),
        (b"STARTTLS", "tls"),
        (b"AUTH", "authentication"),
        (b"discarded", "discarded"),
        (b"Milter ", "milter"),
        (b"milter", "milter"),
        (b"Authentication-Warning: ", "warning"),
        (b"ETRN ", "etrn"),
        (b"tls_", "tls"),
    ];
    const HELD: [(&[u8], &str); 7] = [
        (b" did not issue MAIL/EXPN/VRFY/ETRN during connection to ", "connection"),
        (b": Possible SMTP RCPT flood, throttling.", "throttled"),
        (b": possible SMTP attack: command=", "throttled"),
        (b": DSN: ", "bounce"),
        (b": return to sender: ", "bounce"),
        (b": postmaster notify: ", "bounce"),
        (b" [rejected]", "rejected_command"),
    ];
    if let Some((_, kind)) = BEGINNINGS.iter().find(|(words, _)| text.starts_with(words)) {
        return kind;
    }
    HELD.iter().find(|(words, _)| memchr::memmem::find(text, words).is_some()).map_or("text", |(_, kind)| kind)
}

/// Lines without an id.
fn process(text: &[u8]) -> Option<&'static str> {
    const BEGINNINGS: [(&[u8], &str); 24] = [
        (b"starting daemon (", "daemon"),
        (b"restarting ", "daemon"),
        (b"stopping daemon, ", "daemon"),
        (b"started as: ", "daemon"),
        (b"rejecting ", "daemon"),
        (b"accepting ", "daemon"),
        (b"deferring connections", "daemon"),
        (b"daemon ", "daemon"),
        (b"finis, pid=", "daemon"),
        (b"grew ", "daemon"),
        (b"error: ", "error"),
        (b"SYSERR", "error"),
        (b"My unqualified host name ", "warning"),
        (b"unable to qualify my own domain name ", "warning"),
        (b"gethostbyaddr(", "warning"),
        (b"alias database ", "alias"),
        (b"/", "alias"),
        (b"STARTTLS", "tls"),
        (b"AUTH", "authentication"),
        (b"runqueue: ", "queue_run"),
        (b"WARNING: ", "warning"),
        (b"poststats: ", "error"),
        (b"engine=", "tls"),
        (b"tls_", "tls"),
    ];
    BEGINNINGS.iter().find(|(words, _)| text.starts_with(words)).map(|(_, kind)| *kind)
}

/// The protocols that Sendmail knows of.
const PROTOCOLS: [&str; 8] = ["ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA", "SMTP", "SMTPS", "LMTP", "BSMTP"];

impl Message<'_> {
    /// False when the transaction ended without a message: every recipient was refused, or the client gave up.
    pub fn is_received(&self) -> bool {
        self.recipients > 0 && !self.message_id.is_empty()
    }

    /// The protocol as a label value: `local` when it was handed in on this host, or `other`.
    pub fn protocol_label(&self) -> &'static str {
        if self.protocol.is_empty() {
            return "local";
        }
        PROTOCOLS.iter().find(|known| known.as_bytes() == self.protocol).copied().unwrap_or("other")
    }
}

/// A name of the configuration as a label value: letters, digits, underscores and hyphens.
fn name_label(name: &[u8]) -> &[u8] {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'*');
    match name {
        b"" => b"none",
        name if name.len() <= 64 && name.iter().all(is_name) => name,
        _ => b"other",
    }
}

impl<'a> Delivery<'a> {
    /// How many recipients the line is about.
    pub fn recipient_count(&self) -> u64 {
        let (mut commas, mut all_commas, mut is_quoted, mut is_escaped) = (0, 0, false, false);
        for byte in self.recipients.strip_suffix(b",").unwrap_or(self.recipients) {
            match byte {
                b',' => {
                    all_commas += 1;
                    commas += u64::from(!is_quoted);
                }
                _ if is_escaped => is_escaped = false,
                b'\\' if is_quoted => is_escaped = true,
                b'"' => is_quoted = !is_quoted,
                _ => {}
            }
        }
        // A quote that is never closed was cut.
        1 + if is_quoted { all_commas } else { commas }
    }

    /// The mailer as a label value.
    pub fn mailer_label(&self) -> &'a [u8] {
        name_label(self.mailer)
    }

    /// The class of the status code: `2`, `4`, `5`, or `none`.
    pub fn dsn_class(&self) -> &'static str {
        match self.dsn {
            [b'2', b'.', ..] => "2",
            [b'4', b'.', ..] => "4",
            [b'5', b'.', ..] => "5",
            b"" => "none",
            _ => "other",
        }
    }
}

impl<'a> Rejection<'a> {
    /// The ruleset as a label value.
    pub fn ruleset_label(&self) -> &'a [u8] {
        name_label(self.ruleset)
    }

    /// The code as a label value, `none` without one.
    pub fn code_label(&self) -> &'a [u8] {
        if self.code.is_empty() { b"none" } else { self.code }
    }
}

impl<'a> AuthenticationFailure<'a> {
    /// The mechanism as a label value.
    pub fn mechanism_label(&self) -> &'static str {
        const MECHANISMS: [&str; 10] = [
            "PLAIN",
            "LOGIN",
            "CRAM-MD5",
            "DIGEST-MD5",
            "SCRAM-SHA-1",
            "SCRAM-SHA-256",
            "GSSAPI",
            "EXTERNAL",
            "NTLM",
            "XOAUTH2",
        ];
        MECHANISMS.iter().find(|known| known.as_bytes() == self.mechanism).copied().unwrap_or("other")
    }
}

impl crate::Event for Event<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Message(message) if message.is_received() => "message",
            Self::Message(_) => "empty_transaction",
            Self::Delivery(_) => "delivery",
            Self::Rejection(_) => "rejection",
            Self::AuthenticationFailure(_) => "authentication_failure",
            Self::Known(kind) => kind,
        }
    }

    fn is_ignored(&self) -> bool {
        match self {
            Self::Message(message) => !message.is_received(),
            Self::Known(_) => true,
            _ => false,
        }
    }

    fn visit(&self, see: &mut dyn FnMut(&'static str, Field<'_>)) {
        match self {
            Self::Message(message) => {
                see("id", Field::text(message.id));
                see("from", Field::text(message.sender));
                see("size", Field::number(i64::try_from(message.size_bytes).ok()));
                see("nrcpts", Field::number(i64::try_from(message.recipients).ok()));
                see("msgid", Field::text(message.message_id));
                see("proto", Field::text(message.protocol));
                see("relay", Field::text(message.relay));
            }
            Self::Delivery(delivery) => {
                see("id", Field::text(delivery.id));
                see("to", Field::text(delivery.recipients));
                see("delay", delivery.delay_ms.map_or(Field::Missing, Field::Seconds));
                see("xdelay", delivery.transmission_ms.map_or(Field::Missing, Field::Seconds));
                see("mailer", Field::text(delivery.mailer));
                see("relay", Field::text(delivery.relay));
                see("dsn", Field::text(delivery.dsn));
                see("reply", Field::text(delivery.reply));
                see("stat", Field::text(delivery.status));
                see("result", Field::text(delivery.result.as_bytes()));
            }
            Self::Rejection(rejection) => {
                see("id", Field::text(rejection.id));
                see("ruleset", Field::text(rejection.ruleset));
                see("arg1", Field::text(rejection.argument));
                see("relay", Field::text(rejection.relay));
                see("code", Field::text(rejection.code));
                see("reject", Field::text(rejection.reason));
            }
            Self::AuthenticationFailure(failure) => {
                see("id", Field::text(failure.id));
                see("mechanism", Field::text(failure.mechanism));
                see("text", Field::text(failure.text));
            }
            Self::Known(_) => {}
        }
    }
}
