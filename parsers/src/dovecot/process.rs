//! Where a line comes from: the process, the user it serves, and the severity, before the text itself.
//!
//! ```text
//! imap-login: TEXT
//! imap(alice)<14654><DbZ0pM1g4r1/AAAB>: Error: TEXT        `mail_log_prefix` as it is by default
//! lmtp(14622): TEXT                                        a process that serves nobody yet
//! lmtp(14622, alice@example.net): <session>: TEXT          Dovecot 2.2
//! auth(alice,192.0.2.7,sasl:plain)<5EJxpM1g3L1/AAAB>: TEXT Dovecot 2.4
//! auth-worker(alice,192.0.2.7)<17092><0GO8wc1gWN1/AAAB>: request [1]: Error: TEXT
//! ```
//!
//! The severity `Info: ` is written to files only; syslog has it in its own way.

use memchr::{memchr, memmem};

use crate::cursor::Cursor;
use crate::{Reason, Reject};

/// How bad a line says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// `Debug: `
    Debug,
    /// `Info: `, or nothing in syslog.
    Info,
    /// `Warning: `
    Warning,
    /// `Error: `
    Error,
    /// `Fatal: `
    Fatal,
    /// `Panic: `
    Panic,
}

impl Level {
    const ALL: [(&'static [u8], Self); 6] = [
        (b"Info: ", Self::Info),
        (b"Error: ", Self::Error),
        (b"Warning: ", Self::Warning),
        (b"Debug: ", Self::Debug),
        (b"Fatal: ", Self::Fatal),
        (b"Panic: ", Self::Panic),
    ];

    /// Dovecot's own word, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Fatal => "fatal",
            Self::Panic => "panic",
        }
    }

    /// True when `text` ends with a severity.
    pub(super) fn is_at_end(text: &[u8]) -> bool {
        Self::ALL.iter().any(|(word, _)| text.ends_with(word))
    }

    /// The severity at the start of `text`, and its length there.
    pub(super) fn at_start(text: &[u8]) -> Option<(Self, usize)> {
        Self::ALL.iter().find(|(word, _)| text.starts_with(word)).map(|(word, level)| (*level, word.len()))
    }
}

/// What stands before a line's text. Slices are empty where the line has no such part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process<'a> {
    /// Dovecot's name of the process: `imap-login`, `imap`, `lmtp`, `auth`.
    pub service: &'a [u8],
    /// What stands between the parentheses behind it: the user, or a process id.
    pub(super) identity: &'a [u8],
    /// The session's id.
    pub session: &'a [u8],
    /// How bad the line says that it is.
    pub level: Level,
}

impl<'a> Process<'a> {
    /// Takes the process and the severity.
    ///
    /// # Errors
    /// [`Reason::UnknownForm`] where no process has its name, [`Reason::Truncated`] when the line ends before the text.
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<Self, Reject> {
        let name = cursor.rest().iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)).count();
        if name == 0 || name > 32 {
            return cursor.reject(Reason::UnknownForm, "service");
        }
        let service = take(cursor, name);
        let mut process = Self { service, identity: &[], session: &[], level: Level::Info };
        if cursor.take(b'(') {
            process.identity = identity(cursor)?;
        }
        while cursor.take(b'<') {
            let text = cursor.until(b'>', "session")?;
            // `<pid><session>`: the last one is the session; what is all digits and alone is the process id.
            process.session = if text.iter().all(u8::is_ascii_digit) { &[] } else { text };
        }
        cursor.expect_text(b": ", "service")?;
        // A worker of Dovecot 2.4 names its request before the severity.
        if cursor.rest().starts_with(b"request [") {
            cursor.take_until(b"]: ");
        }
        if let Some((level, length)) = Level::at_start(cursor.rest()) {
            process.level = level;
            take(cursor, length);
        }
        Ok(process)
    }

    /// The user that the process serves; empty when it serves none.
    pub fn user(&self) -> &'a [u8] {
        let identity = match memmem::find(self.identity, b", ") {
            Some(comma) if self.identity[..comma].iter().all(u8::is_ascii_digit) => &self.identity[comma + 2..],
            _ => self.identity,
        };
        if self.service.starts_with(b"auth") {
            // Dovecot 2.4: `USER,IP,sasl:MECHANISM`. Only these have an address there.
            return memchr(b',', identity).map_or(&[], |comma| &identity[..comma]);
        }
        if identity.iter().all(u8::is_ascii_digit) { &[] } else { identity }
    }

    /// The protocol that the process speaks, as Dovecot's documentation names it; `other` where it speaks none.
    pub fn protocol(&self) -> &'static str {
        match self.service {
            b"imap" | b"imap-login" | b"imap-hibernate" | b"imap-urlauth" | b"imap-urlauth-login" => "imap",
            b"pop3" | b"pop3-login" => "pop3",
            b"submission" | b"submission-login" => "submission",
            b"managesieve" | b"managesieve-login" | b"sieve" | b"sieve-login" => "managesieve",
            b"lmtp" => "lmtp",
            b"lda" | b"deliver" | b"dovecot-lda" => "lda",
            b"doveadm" | b"dsync-server" | b"dsync-local" | b"dsync-remote" => "doveadm",
            _ => "other",
        }
    }

    /// True for the processes that speak with clients before anyone has logged in.
    pub(super) fn is_login(&self) -> bool {
        self.service.ends_with(b"-login")
    }
}

/// What stands before the `)` that closes the name. Users can have any name: the first `)` that is followed as it must.
fn identity<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], Reject> {
    let text = cursor.rest();
    let closes = |at: &usize| matches!(text.get(at + 1..), Some([b'<', ..] | [b':', b' ', ..]));
    match memchr::memchr_iter(b')', text).find(closes) {
        Some(at) => {
            take(cursor, at + 1);
            Ok(&text[..at])
        }
        None => cursor.reject(Reason::Truncated, "user"),
    }
}

/// Takes so many bytes, which the rest of the line has.
fn take<'a>(cursor: &mut Cursor<'a>, length: usize) -> &'a [u8] {
    let taken = &cursor.rest()[..length];
    *cursor = Cursor::new(cursor.line(), cursor.at() + length);
    taken
}
