//! What the login processes write: who logged in, and whose login came to nothing.
//!
//! ```text
//! Login: user=<alice>, method=PLAIN, rip=192.0.2.7, lip=192.0.2.1, mpid=14654, TLS, session=<DbZ0pM1g4r1/AAAB>
//! Logged in: user=<alice>, …                                                                      Dovecot 2.4
//! Aborted login (auth failed, 1 attempts in 2 secs): user=<alice>, …                              Dovecot 2.2
//! Disconnected: Connection closed (auth failed, 2 attempts in 9 secs): user=<alice>, …            Dovecot 2.3
//! Login aborted: Connection closed (auth failed, 2 attempts in 9 secs) (auth_failed): user=<alice>, … Dovecot 2.4
//! ```
//!
//! The part behind `: ` is `login_log_format_elements`, here as it is by default. Its first element is the user's
//! name, which before a login is whatever a client sent, so the others are looked for from the right.

use memchr::memmem::{find, rfind};

use super::{behind, number};

/// `login_log_format_elements`. Slices are empty where the line has no such element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Elements<'a> {
    /// The user's name, as the client gave it.
    pub user: &'a [u8],
    /// The SASL mechanism, in upper case.
    pub method: &'a [u8],
    /// The client's address.
    pub rip: &'a [u8],
    /// The address that the client connected to.
    pub lip: &'a [u8],
    /// The process id of the session that begins.
    pub mpid: Option<u32>,
    /// `TLS`, `TLS handshaking: …`, or `secured` for a connection that is trusted without.
    pub secured: &'a [u8],
    /// The session's id.
    pub session: &'a [u8],
}

impl<'a> Elements<'a> {
    /// Reads the elements of `text`, in which nothing else is.
    pub(super) fn read(text: &'a [u8]) -> Self {
        let mut elements = Self::default();
        let rip = rfind(text, b", rip=").or_else(|| text.starts_with(b"rip=").then_some(0));
        let lip = rfind(text, b", lip=");
        // Of the program's own text, the method stands right before the client's address.
        let head = &text[..rip.or(lip).unwrap_or(text.len())];
        if let Some(at) = rfind(head, b", method=") {
            let method = word(&head[at + b", method=".len()..]);
            if is_mechanism(method) {
                elements.method = method;
            }
        }
        elements.user = user(head);
        if let Some(at) = rip {
            elements.rip = word(behind(behind(&text[at..], b", "), b"rip="));
        }
        if let Some(at) = lip {
            elements.lip = word(&text[at + b", lip=".len()..]);
        }
        let tail = lip.max(rip).map_or(text, |at| &text[at..]);
        elements.rest(tail);
        elements
    }

    /// Reads the elements behind the addresses.
    fn rest(&mut self, text: &'a [u8]) {
        let session = rfind(text, b"session=<");
        if let Some(at) = session {
            let id = &text[at + b"session=<".len()..];
            self.session = memchr::memchr(b'>', id).map_or(id, |end| &id[..end]);
        }
        let text = &text[..session.unwrap_or(text.len())];
        if let Some(at) = find(text, b", mpid=") {
            self.mpid = number(word(&text[at + b", mpid=".len()..])).and_then(|pid| u32::try_from(pid).ok());
        }
        let secured = find(text, b", TLS").or_else(|| find(text, b", secured"));
        if let Some(at) = secured {
            let text = &text[at + 2..];
            self.secured = text.strip_suffix(b", ").unwrap_or(text);
        }
    }

    /// The mechanism, if it is one that Dovecot has, else `other`; before a login a client can name any. Empty without one.
    pub fn mechanism(&self) -> &'a [u8] {
        match self.method {
            [] => &[],
            method if MECHANISMS.iter().any(|known| known.as_bytes() == method) => method,
            _ => b"other",
        }
    }

    /// True when the connection was encrypted, and the handshake done.
    pub fn has_tls(&self) -> bool {
        self.secured.starts_with(b"TLS") && !self.secured.starts_with(b"TLS handshaking")
    }
}

/// The mechanisms of Dovecot 2.2 to 2.4.
const MECHANISMS: [&str; 22] = [
    "PLAIN",
    "LOGIN",
    "XOAUTH2",
    "OAUTHBEARER",
    "SCRAM-SHA-256",
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-1",
    "SCRAM-SHA-1-PLUS",
    "CRAM-MD5",
    "DIGEST-MD5",
    "APOP",
    "GSSAPI",
    "GSS-SPNEGO",
    "NTLM",
    "EXTERNAL",
    "ANONYMOUS",
    "OTP",
    "SKEY",
    "RPA",
    "WINBIND",
    "DOVECOT-TOKEN",
    "LUA",
];

/// The name between `user=<` and the last `>` before the next element.
fn user(head: &[u8]) -> &[u8] {
    let Some(at) = find(head, b"user=<") else { return &[] };
    let text = &head[at + b"user=<".len()..];
    let text = match rfind(text, b">, method=") {
        Some(end) if is_mechanism(word(&text[end + b">, method=".len()..])) => return &text[..end],
        _ => text,
    };
    memchr::memrchr(b'>', text).map_or(text, |end| &text[..end])
}

/// The text before `, `.
fn word(text: &[u8]) -> &[u8] {
    find(text, b", ").map_or(text, |end| &text[..end])
}

/// True for the name of a SASL mechanism: at most 20 letters, digits, `-` and `_` (RFC 4422).
fn is_mechanism(text: &[u8]) -> bool {
    (1..=20).contains(&text.len())
        && text.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"-_".contains(byte))
}

/// Splits a login process's text into its message and its elements; `None` for a line that is cut before them.
pub(super) fn split(text: &[u8]) -> Option<(&[u8], Elements<'_>)> {
    const FIRST: [&[u8]; 5] = [b": user=<", b": method=", b": rip=", b": mpid=", b": session=<"];
    let at = FIRST.iter().find_map(|first| find(text, first))?;
    let (message, elements) = (&text[..at], &text[at + 2..]);
    let is_cut = elements.starts_with(b"user=<") && !elements.contains(&b'>');
    (!is_cut).then(|| (message, Elements::read(elements)))
}

/// Why a login came to nothing, in the words that Dovecot 2.4 has for it; those of earlier versions are translated.
///
/// Where only earlier versions have a reason, it has a word of its own.
pub(super) fn abort_reason(message: &[u8], elements: &Elements<'_>) -> &'static str {
    if let Some(code) = message.strip_suffix(b")").and_then(|text| rfind(text, b" (").map(|at| &text[at + 2..])) {
        if let Some(code) = CODES.iter().find(|known| known.as_bytes() == code) {
            return code;
        }
        if let Some((_, code)) = WORDED.iter().find(|(text, _)| code.starts_with(text)) {
            if *code == "no_auth_attempts" && elements.secured.starts_with(b"TLS handshaking") {
                return "tls_handshake_not_finished";
            }
            return code;
        }
    }
    let message = behind(behind(message, b"Login aborted: "), b"Aborted login: ");
    let message = behind(behind(message, b"Disconnected: "), b"Disconnected: ");
    PLAIN.iter().find(|(text, _)| message.starts_with(text)).map_or("other", |(_, code)| code)
}

/// The codes that Dovecot 2.4 writes last.
const CODES: [&str; 31] = [
    "anonymous_auth_disabled",
    "auth_aborted_by_client",
    "auth_failed",
    "auth_nologin_referral",
    "auth_process_comm_fail",
    "auth_process_not_ready",
    "auth_waiting_client",
    "authorization_failed",
    "cleartext_auth_disabled",
    "client_ssl_cert_missing",
    "client_ssl_cert_untrusted",
    "client_ssl_not_started",
    "connection_limit",
    "internal_failure",
    "invalid_base64",
    "invalid_mech",
    "login_disabled",
    "no_auth_attempts",
    "password_expired",
    "process_full",
    "proxy_dest_auth_failed",
    "proxy_dest_auth_temp_failed",
    "proxy_dest_connect_failed",
    "proxy_dest_internal_failure",
    "proxy_dest_protocol_failure",
    "proxy_dest_redirected",
    "proxy_dest_remote_failure",
    "shutting_down",
    "temp_fail",
    "tls_handshake_not_finished",
    "user_disabled",
];

/// What earlier versions write in parentheses.
const WORDED: [(&[u8], &str); 23] = [
    (b"no auth attempts", "no_auth_attempts"),
    (b"auth failed", "auth_failed"),
    (b"client didn't finish SASL auth", "auth_waiting_client"),
    (b"disconnected before auth was ready", "auth_process_not_ready"),
    (b"disconnected before greeting", "auth_process_not_ready"),
    (b"disconnected while authenticating", "disconnected_while_authenticating"),
    (b"disconnected while finishing login", "disconnected_while_finishing_login"),
    (b"disconnected during TLS handshake", "tls_handshake_not_finished"),
    (b"aborted authentication", "auth_aborted_by_client"),
    (b"auth process communication failure", "auth_process_comm_fail"),
    (b"authorization failed", "authorization_failed"),
    (b"auth service reported temporary failure", "temp_fail"),
    (b"internal failure", "internal_failure"),
    (b"proxy dest auth failed", "proxy_dest_auth_failed"),
    (b"user disabled", "user_disabled"),
    (b"password expired", "password_expired"),
    (b"sent invalid base64 in response", "invalid_base64"),
    (b"login disabled", "login_disabled"),
    (b"tried to use unsupported auth mechanism", "invalid_mech"),
    (b"tried to use disallowed", "cleartext_auth_disabled"),
    (b"client sent an invalid cert", "client_ssl_cert_untrusted"),
    (b"client didn't send a cert", "client_ssl_cert_missing"),
    (b"cert required", "client_ssl_not_started"),
];

/// What stands there when there are no parentheses.
const PLAIN: [(&[u8], &str); 14] = [
    (b"Maximum number of connections", "connection_limit"),
    (b"Internal login failure", "internal_failure"),
    (b"Auth process broken", "auth_process_comm_fail"),
    (b"Connection queue full", "process_full"),
    (b"Shutting down", "shutting_down"),
    (b"Server shutting down", "shutting_down"),
    (b"TLS initialization failed", "tls_initialization_failed"),
    (b"Inactivity", "inactivity"),
    (b"Timeout", "inactivity"),
    (b"Too many ", "too_many_bad_commands"),
    (b"Input buffer full", "input_too_long"),
    (b"Authentication response too large", "input_too_long"),
    (b"Connection closed", "connection_closed"),
    (b"Aborted login", "connection_closed"),
];
