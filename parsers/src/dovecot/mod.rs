//! Dovecot: IMAP, POP3, submission and ManageSieve logins and sessions, deliveries by LMTP, dovecot-lda and Sieve.
//!
//! ```text
//! Nov 21 18:36:44 mx1 dovecot: imap-login: Login: user=<alice>, method=PLAIN, rip=192.0.2.7, …, TLS, session=<…>
//! Nov 21 18:36:44 mx1 dovecot: imap(alice)<14654><DbZ0pM1g4r1/AAAB>: Disconnected: Logged out in=204 out=11585 …
//! Nov 21 18:36:44 mx1 dovecot: lmtp(alice)<14622><KEAIK7vkAWseOQAAg+zDdQ>: msgid=<m0@example.org>: saved mail to INBOX
//! Nov 21 18:37:07 imap-login: Info: Login: user=<alice>, …                          `log_path`: a file of Dovecot's own
//! ```
//!
//! After the envelope: the process ([`Process`]), then its text. Sources: Dovecot 2.3.19 and 2.4.1 with Pigeonhole,
//! `src/lib/failures.c`, `src/login-common`, `src/auth`, `src/imap`, `src/pop3`, `src/lmtp`, `src/submission`, `src/lib-lda`,
//! Pigeonhole's `src/lib-sieve`; of 2.2 what its users show.
//!
//! Names of users, message ids and mailboxes come from outside and can imitate all of this; the files here say how each
//! form is held against it. Passwords, which `auth_verbose_passwords` has Dovecot write, are in no event.

mod auth;
mod delivery;
mod login;
mod own_file;
mod process;
mod session;

pub use auth::Request;
pub use delivery::Action;
pub use login::Elements;
pub use own_file::envelope;
pub use process::{Level, Process};
pub use session::Counts;

use crate::cursor::Cursor;
use crate::{Envelope, Field, Reason, Reject};

/// True when `program`, the syslog tag, is Dovecot's: its `instance_name`.
pub fn is_program(program: &[u8]) -> bool {
    program.strip_prefix(b"dovecot").is_some_and(|rest| rest.is_empty() || matches!(rest[0], b'-' | b'_' | b'/'))
}

/// What a line tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Someone logged in, or a proxy did so for them.
    Login(Login<'a>),
    /// A connection ended before anyone logged in.
    LoginAbort(LoginAbort<'a>),
    /// A passdb or a mechanism refused a login.
    AuthFailure(AuthFailure<'a>),
    /// A session ended.
    Disconnection(Disconnection<'a>),
    /// Something was done with a message.
    Delivery(Delivery<'a>),
    /// Known, and nothing counts it: a word for what it is.
    Known(&'static str),
}

/// `Login:`, `Logged in:`, `Started proxying`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Login<'a> {
    /// The login process.
    pub process: Process<'a>,
    /// Who logged in and how.
    pub elements: Elements<'a>,
}

/// `Disconnected`, `Aborted login`, `Login aborted` of a login process
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginAbort<'a> {
    /// The login process.
    pub process: Process<'a>,
    /// A word for why: Dovecot 2.4's own, into which those of earlier versions are translated; `other` for no known one.
    pub reason: &'static str,
    /// Who tried and how.
    pub elements: Elements<'a>,
}

/// A login that a passdb or a mechanism refused. One login can have several, one of each passdb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthFailure<'a> {
    /// The auth process.
    pub process: Process<'a>,
    /// The login.
    pub request: Request<'a>,
    /// A word for why; `other` for a text that is in no table.
    pub reason: &'static str,
}

/// `Disconnected: …` of a session
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnection<'a> {
    /// The session's process, or the login process where it is a proxy's.
    pub process: Process<'a>,
    /// The user; empty for a session that serves nobody.
    pub user: &'a [u8],
    /// The session's id.
    pub session: &'a [u8],
    /// A word for why; `other` for a text that is in no table.
    pub reason: &'static str,
    /// What the session counted.
    pub counts: Counts,
}

/// `saved mail to`, `stored mail into mailbox`, `forwarded to`, …
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// The process that delivers.
    pub process: Process<'a>,
    /// What was done.
    pub action: Action,
    /// The message's id, with its `<>`; empty where the line has none.
    pub msgid: &'a [u8],
    /// The mailbox; empty where the line names none.
    pub mailbox: &'a [u8],
}

/// Reads a whole line: envelope, then message.
///
/// # Errors
/// What [`read`] says.
pub fn parse(line: &[u8]) -> Result<Event<'_>, Reject> {
    read(line, &envelope(line))
}

/// Reads the message of a line whose envelope is known.
///
/// # Errors
/// [`Reason::UnknownForm`] for what no process of Dovecot writes, [`Reason::Truncated`] for a line that is cut before what
/// a metric needs.
pub fn read<'a>(line: &'a [u8], envelope: &Envelope<'a>) -> Result<Event<'a>, Reject> {
    let mut cursor = Cursor::new(line.get(..envelope.end).unwrap_or(line), envelope.start);
    let process = Process::read(&mut cursor)?;
    let text = cursor.rest();
    if text.is_empty() {
        return cursor.reject(Reason::Truncated, "message");
    }
    if process.level == Level::Debug {
        return Ok(Event::Known("debug"));
    }
    if process.is_login() {
        return read_login(&cursor, process, text);
    }
    if process.service.starts_with(b"auth") {
        return Ok(auth::read(&process, text).map_or(Event::Known(kind_of(&process, "auth")), Event::AuthFailure));
    }
    if let Some(outcome) = delivery::read(text).or_else(|| custom_delivery(&process, text)) {
        let delivery::Outcome { action, msgid, mailbox } = outcome;
        return Ok(match action {
            Some(action) => Event::Delivery(Delivery { process, action, msgid, mailbox }),
            None => Event::Known(kind_of(&process, "sieve")),
        });
    }
    if process.level > Level::Info {
        return Ok(Event::Known(process.level.as_str()));
    }
    if process.protocol() != "other"
        && let Some(end) = session::ending(text)
    {
        let counts = Counts::read(text);
        let (reason, user, session) = (session::reason(end), process.user(), process.session);
        return Ok(Event::Disconnection(Disconnection { process, user, session, reason, counts }));
    }
    match known(&process, text) {
        Some(kind) => Ok(Event::Known(kind)),
        None => cursor.reject(Reason::UnknownForm, "message"),
    }
}

/// A `deliver_log_format` of the operator's own.
fn custom_delivery<'a>(process: &Process<'_>, text: &'a [u8]) -> Option<delivery::Outcome<'a>> {
    if text.starts_with(b"sieve: ") || !matches!(process.protocol(), "lmtp" | "lda") {
        return None;
    }
    delivery::read_custom(text)
}

/// Reads the text of a login process.
fn read_login<'a>(cursor: &Cursor<'a>, process: Process<'a>, text: &'a [u8]) -> Result<Event<'a>, Reject> {
    if process.level > Level::Info {
        return Ok(Event::Known(process.level.as_str()));
    }
    let proxied =
        text.strip_prefix(b"proxy(").and_then(|text| memchr::memmem::find(text, b"): ").map(|end| &text[end + 3..]));
    let text = proxied.unwrap_or(text);
    let starts = |words: &[&[u8]]| words.iter().any(|word| text.starts_with(word));
    if proxied.is_some() && starts(&[b"Disconnected by ", b"disconnecting "]) {
        let (text, elements) = login::split(text).unwrap_or((text, Elements::default()));
        let counts = Counts::read(text);
        let reason = match memchr::memmem::find(text, b"(Disconnected by ") {
            Some(at) => &text[at + 1..],
            None => text,
        };
        let (reason, user, session) = (session::reason(reason), elements.user, elements.session);
        return Ok(Event::Disconnection(Disconnection { process, user, session, reason, counts }));
    }
    if starts(&[b"Authenticate ", b"Login failed", b"SSL is disabled"]) {
        return Ok(Event::Known("login_failed"));
    }
    let is_login = starts(&[b"Login: ", b"Logged in: ", b"Started proxying to ", b"started proxying to "]);
    if !is_login && !starts(&ABORTS) {
        return match proxied {
            Some(_) => Ok(Event::Known("proxy")),
            None => cursor.reject(Reason::UnknownForm, "message"),
        };
    }
    let Some((message, elements)) = login::split(text) else {
        return Err(Reject { reason: Reason::Truncated, field: "user", offset: cursor.line().len() });
    };
    if is_login {
        return Ok(Event::Login(Login { process, elements }));
    }
    let reason = login::abort_reason(message, &elements);
    Ok(Event::LoginAbort(LoginAbort { process, reason, elements }))
}

/// How a login process's last words about a connection begin.
const ABORTS: [&[u8]; 14] = [
    b"Disconnected",
    b"Login aborted",
    b"Aborted login",
    b"Maximum number of connections",
    b"Internal login failure",
    b"Auth process broken",
    b"Connection queue full",
    b"Connection closed",
    b"Inactivity",
    b"Shutting down",
    b"Server shutting down",
    b"Too many ",
    b"TLS initialization failed",
    b"Input buffer full",
];

/// The severity's name, or `info` at the normal one.
fn kind_of(process: &Process<'_>, info: &'static str) -> &'static str {
    if process.level > Level::Info { process.level.as_str() } else { info }
}

/// A word for a text that nothing counts.
fn known(process: &Process<'_>, text: &[u8]) -> Option<&'static str> {
    if let Some(kind) = SERVICES.iter().find(|name| name.as_bytes() == process.service) {
        return Some(kind);
    }
    // A proxy for LMTP writes the session's id once more.
    let session = text.strip_prefix(b"<").and_then(|text| memchr::memmem::find(text, b">: "));
    let text = session.map_or(text, |end| &text[end + 4..]);
    TEXTS.iter().find(|(start, _)| text.starts_with(start)).map(|(_, kind)| *kind)
}

/// Processes of which no text at the normal severity is counted.
const SERVICES: [&str; 32] = [
    "aggregator",
    "anvil",
    "config",
    "dict",
    "dict-async",
    "dict-expire",
    "director",
    "dns-client",
    "dns_client",
    "doveadm",
    "doveadm-server",
    "doveconf",
    "dovecot",
    "dsync-local",
    "dsync-remote",
    "dsync-server",
    "health-check",
    "imap-hibernate",
    "imap-urlauth",
    "imap-urlauth-worker",
    "indexer",
    "indexer-worker",
    "ipc",
    "log",
    "master",
    "old-stats",
    "quota-status",
    "quota-warning",
    "replicator",
    "script",
    "ssl-params",
    "stats",
];

/// How texts of sessions and deliveries begin that nothing counts.
const TEXTS: [(&[u8], &str); 28] = [
    (b"Connect from ", "connect"),
    (b"sieve: ", "sieve"),
    (b"imapsieve: ", "sieve"),
    (b"msgid=", "delivery"),
    (b"Sent message to ", "proxy"),
    (b"Failed to send message to ", "proxy"),
    (b"delete: ", "mail_log"),
    (b"undelete: ", "mail_log"),
    (b"expunge: ", "mail_log"),
    (b"save: ", "mail_log"),
    (b"copy: ", "mail_log"),
    (b"copy from ", "mail_log"),
    (b"append: ", "mail_log"),
    (b"flag_change: ", "mail_log"),
    (b"flags: ", "mail_log"),
    (b"autoexpunge", "mail_log"),
    (b"Mailbox ", "mail_log"),
    (b"mailbox_", "mail_log"),
    (b"mailbox ", "mail_log"),
    (b"Namespace ", "storage"),
    (b"acl", "storage"),
    (b"ACL", "storage"),
    (b"fts", "storage"),
    (b"quota", "storage"),
    (b"Quota", "storage"),
    (b"Indexed ", "storage"),
    (b"Hibernat", "hibernate"),
    (b"relay: ", "relay"),
];

impl crate::Event for Event<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Login(_) => "login",
            Self::LoginAbort(_) => "login_abort",
            Self::AuthFailure(_) => "auth_failure",
            Self::Disconnection(_) => "disconnection",
            Self::Delivery(_) => "delivery",
            Self::Known(kind) => kind,
        }
    }

    fn is_ignored(&self) -> bool {
        matches!(self, Self::Known(_))
    }

    fn visit(&self, see: &mut dyn FnMut(&'static str, Field<'_>)) {
        match self {
            Self::Login(Login { process, elements }) => {
                see("protocol", Field::Text(process.protocol().as_bytes()));
                elements.visit(see);
            }
            Self::LoginAbort(LoginAbort { process, reason, elements }) => {
                see("protocol", Field::Text(process.protocol().as_bytes()));
                see("reason", Field::Text(reason.as_bytes()));
                elements.visit(see);
            }
            Self::AuthFailure(AuthFailure { request, reason, .. }) => {
                see("backend", Field::text(request.backend));
                see("user", Field::text(request.user));
                see("rip", Field::text(request.rip));
                see("session", Field::text(request.session));
                see("reason", Field::Text(reason.as_bytes()));
            }
            Self::Disconnection(Disconnection { process, user, session, reason, counts }) => {
                see("protocol", Field::Text(process.protocol().as_bytes()));
                see("user", Field::text(user));
                see("session", Field::text(session));
                see("reason", Field::Text(reason.as_bytes()));
                see("in", Field::number(counts.bytes_in.and_then(|bytes| i64::try_from(bytes).ok())));
                see("out", Field::number(counts.bytes_out.and_then(|bytes| i64::try_from(bytes).ok())));
            }
            Self::Delivery(Delivery { process, action, msgid, mailbox }) => {
                see("protocol", Field::Text(process.protocol().as_bytes()));
                see("user", Field::text(process.user()));
                see("session", Field::text(process.session));
                see("msgid", Field::text(msgid));
                see("action", Field::Text(action.as_str().as_bytes()));
                see("mailbox", Field::text(mailbox));
            }
            Self::Known(_) => {}
        }
    }
}

impl Elements<'_> {
    fn visit(&self, see: &mut dyn FnMut(&'static str, Field<'_>)) {
        see("user", Field::text(self.user));
        see("method", Field::text(self.method));
        see("rip", Field::text(self.rip));
        see("lip", Field::text(self.lip));
        see("mpid", Field::number(self.mpid));
        see("tls", Field::Truth(self.has_tls()));
        see("session", Field::text(self.session));
    }
}

/// `text` without `prefix`, if it starts with it.
fn behind<'a>(text: &'a [u8], prefix: &[u8]) -> &'a [u8] {
    text.strip_prefix(prefix).unwrap_or(text)
}

/// A decimal number of at most 18 digits.
fn number(text: &[u8]) -> Option<u64> {
    let valid = (1..=18).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    valid.then(|| text.iter().fold(0, |value, byte| value * 10 + u64::from(byte - b'0')))
}
