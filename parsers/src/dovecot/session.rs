//! How a session ended, and what it counted.
//!
//! ```text
//! Disconnected: Logged out in=204 out=11585 deleted=1 expunged=1 trashed=0 hdr_count=3 …     imap
//! Disconnected: Logged out top=1/3348, retr=1/3360, del=1/2, size=6686                         pop3
//! Disconnected: Logged out bytes=46/102                                                        managesieve
//! Connection closed bytes=0/17                                                                 managesieve
//! Disconnected: Connection closed (state=RCPT TO) in=61 out=93                                 submission
//! Disconnect from 192.0.2.7: Logged out (state=READY)                                          lmtp
//! proxy(alice,192.0.2.9:143): Disconnected by client: Connection closed (5s idle, in=204, out=11585)
//! ```
//!
//! The numbers are `imap_logout_format` and its like. They stand last, behind words that a client may have chosen.

use memchr::memmem::{find, rfind};

use super::{behind, number};

/// What a session counted. `None` where the line does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counts {
    /// Bytes from the client.
    pub bytes_in: Option<u64>,
    /// Bytes to the client. POP3 says by default only how many belong to messages (`top`, `retr`).
    pub bytes_out: Option<u64>,
}

impl Counts {
    /// Reads the numbers at the end of `text`.
    pub(super) fn read(text: &[u8]) -> Self {
        if let Some(at) = rfind(text, b"in=") {
            let bytes_out = rfind(text, b"out=").filter(|out| *out > at).and_then(|out| digits(&text[out + 4..]));
            let bytes_in = digits(&text[at + 3..]);
            if bytes_in.is_some() && boundary(text, at) {
                return Self { bytes_in, bytes_out };
            }
        }
        if let Some(at) = rfind(text, b"bytes=").filter(|at| boundary(text, *at)) {
            let (bytes_in, bytes_out) = pair(&text[at + 6..]);
            if bytes_in.is_some() {
                return Self { bytes_in, bytes_out };
            }
        }
        if let Some(at) = rfind(text, b"top=").filter(|at| boundary(text, *at)) {
            let top = pair(&text[at + 4..]).1;
            let retr = find(&text[at..], b"retr=").and_then(|retr| pair(&text[at + retr + 5..]).1);
            if let (Some(top), Some(retr)) = (top, retr) {
                return Self { bytes_in: None, bytes_out: Some(top.saturating_add(retr)) };
            }
        }
        Self::default()
    }
}

/// True when a word begins at `at`.
fn boundary(text: &[u8], at: usize) -> bool {
    at == 0 || matches!(text[at - 1], b' ' | b'(')
}

/// The number at the start of `text`.
fn digits(text: &[u8]) -> Option<u64> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    number(&text[..length])
}

/// The numbers of `N/N` at the start of `text`.
fn pair(text: &[u8]) -> (Option<u64>, Option<u64>) {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let second = text.get(length..).and_then(|rest| rest.strip_prefix(b"/")).and_then(digits);
    (number(&text[..length]), second)
}

/// The text of a session's end, if `text` is one: what the program says about why.
pub(super) fn ending(text: &[u8]) -> Option<&[u8]> {
    if let Some(reason) = text.strip_prefix(b"Disconnected: ") {
        return Some(reason);
    }
    if let Some(rest) = text.strip_prefix(b"Disconnect from ") {
        return Some(find(rest, b": ").map_or(&rest[rest.len()..], |at| &rest[at + 2..]));
    }
    let ends =
        [&b"Connection closed"[..], b"Logged out", b"Disconnected ", b"Disconnected in", b"Server shutting down"];
    ends.iter().any(|end| text.starts_with(end)).then_some(text)
}

/// A word for why a session ended.
pub(super) fn reason(text: &[u8]) -> &'static str {
    let text = behind(text, b"Disconnected: ");
    REASONS.iter().find(|(words, _)| text.starts_with(words)).map_or("other", |(_, reason)| reason)
}

const REASONS: [(&[u8], &str); 37] = [
    (b"Logged out", "logged_out"),
    (b"Client quit", "logged_out"),
    (b"Client has quit", "logged_out"),
    (b"Successful quit", "logged_out"),
    (b"Connection closed", "connection_closed"),
    (b"Connection lost", "connection_closed"),
    (b"Remote closed connection", "connection_closed"),
    (b"Disconnected in ", "connection_closed"),
    (b"Disconnected by client", "connection_closed"),
    (b"Disconnected by server", "server_closed"),
    (b"Client has not read server output", "output_blocked"),
    (b"Disconnected for inactivity in reading our output", "output_blocked"),
    (b"Inactivity", "inactivity"),
    (b"Disconnected for inactivity", "inactivity"),
    (b"Timeout", "inactivity"),
    (b"Timed out", "inactivity"),
    (b"User kicked", "kicked"),
    (b"Kicked by admin", "kicked"),
    (b"Kicked", "kicked"),
    (b"Server shutting down", "shutting_down"),
    (b"Shutting down", "shutting_down"),
    (b"Internal error", "internal_error"),
    (b"Too many ", "too_many_bad_commands"),
    (b"Input line too long", "input_too_long"),
    (b"Input buffer full", "input_too_long"),
    (b"Command line too long", "input_too_long"),
    (b"Mailbox is in inconsistent state", "inconsistent_state"),
    (b"IMAP session state is inconsistent", "inconsistent_state"),
    (b"Couldn't lock POP3 session", "session_locked"),
    (b"Failed to connect to relay server", "relay_failed"),
    (b"Lost connection to relay server", "relay_failed"),
    (b"FETCH failed", "command_failed"),
    (b"FETCH for mailbox", "command_failed"),
    (b"Storage error", "storage_error"),
    (b"POP3 UIDLs couldn't be listed", "storage_error"),
    (b"Client state initialization failed", "internal_error"),
    (b"Unexpected TLS handshake failure", "tls_failed"),
];
