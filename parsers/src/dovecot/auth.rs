//! What the auth processes write about a login that fails.
//!
//! ```text
//! auth: passwd-file(alice,192.0.2.7,<7QBbms1grNV/AAAB>): Password mismatch                       Dovecot 2.3
//! auth-worker(304): pam(alice,192.0.2.7): unknown user
//! auth-worker(304): conn unix:auth-worker (pid=301,uid=101): auth-worker<1>: sql(alice,192.0.2.7,<…>): unknown user
//! auth(alice,192.0.2.7,sasl:plain)<7QBbms1grNV/AAAB>: passwd-file: Password mismatch             Dovecot 2.4
//! auth(alice,192.0.2.7,sasl:plain)<302><7QBbms1grNV/AAAB>: request [1]: sql: Password mismatch
//! ```
//!
//! The backend is the passdb's name in the configuration, its driver where it has none, or the mechanism. With
//! `auth_verbose_passwords` the text ends with what the client sent: nothing of the text is kept, only a word for it.

use memchr::memmem::find;

use super::AuthFailure;
use super::process::{Level, Process};

/// Reads the text of an auth process; `None` where no login fails in it.
pub(super) fn read<'a>(process: &Process<'a>, text: &'a [u8]) -> Option<AuthFailure<'a>> {
    let text = worker(text);
    let (request, text) = match identified(process, text) {
        Some(parts) => parts,
        None if text.starts_with(b"User found from deny passdb") => (Request::default(), text),
        None => return None,
    };
    let is_login = !request.rip.is_empty();
    let reason = match reason(text) {
        Some(reason) => reason,
        // Errors about no login are about the database as a whole.
        None if is_login && process.level >= Level::Error => "internal_error",
        None if is_login && process.level == Level::Info && !is_harmless(text) => "other",
        None => return None,
    };
    Some(AuthFailure { process: *process, request, reason })
}

/// The login that an auth process writes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Request<'a> {
    /// The passdb's name, or the mechanism's; empty when the line has neither.
    pub backend: &'a [u8],
    /// The user's name as the client gave it; `?` when it may not even be looked up.
    pub user: &'a [u8],
    /// The client's address.
    pub rip: &'a [u8],
    /// The login session's id.
    pub session: &'a [u8],
}

/// What a worker process writes before what it writes about.
fn worker(text: &[u8]) -> &[u8] {
    if let Some(rest) = text.strip_prefix(b"conn unix:") {
        return find(rest, b"auth-worker<")
            .and_then(|at| find(&rest[at..], b">: ").map(|end| &rest[at + end + 3..]))
            .unwrap_or(text);
    }
    text
}

/// Splits off who it is about: before the text in Dovecot 2.3, in the process's name in 2.4.
fn identified<'a>(process: &Process<'a>, text: &'a [u8]) -> Option<(Request<'a>, &'a [u8])> {
    let length = text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)).count();
    if length == 0 || length > 32 {
        return None;
    }
    let (backend, rest) = text.split_at(length);
    if let Some(rest) = rest.strip_prefix(b": ") {
        let (user, rip) = split_identity(process.identity)?;
        return Some((Request { backend, user, rip, session: process.session }, rest));
    }
    let rest = rest.strip_prefix(b"(")?;
    // Names may hold `): `, so the first that an address stands before, as it does where a client is known.
    let mut closing = memchr::memmem::find_iter(rest, b"): ");
    let known = closing.find_map(|end| Some((end, split_identity(&rest[..end])?)));
    match known {
        Some((end, (user, rip))) => {
            let session = rest[..end]
                .strip_suffix(b">")
                .and_then(|text| memchr::memmem::rfind(text, b",<").map(|at| &text[at + 2..]));
            Some((Request { backend, user, rip, session: session.unwrap_or_default() }, &rest[end + 3..]))
        }
        None => {
            let end = find(rest, b"): ")?;
            Some((Request { backend, user: &rest[..end], rip: &[], session: &[] }, &rest[end + 3..]))
        }
    }
}

/// `USER,IP[,master][,sasl:MECHANISM][,<SESSION>]`; `None` without an address.
fn split_identity(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut end = text.len();
    for _ in 0..4 {
        let at = memchr::memrchr(b',', &text[..end])?;
        let part = &text[at + 1..end];
        if is_address(part) {
            return Some((&text[..at], part));
        }
        if !(part == b"master" || part.starts_with(b"sasl:") || part.starts_with(b"<") && part.ends_with(b">")) {
            return None;
        }
        end = at;
    }
    None
}

/// True for what an IPv4 or IPv6 address is made of.
fn is_address(text: &[u8]) -> bool {
    (2..=45).contains(&text.len())
        && text.iter().any(|byte| matches!(byte, b'.' | b':'))
        && text.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':'))
}

/// A word for why a login failed; `None` for a text that is in no table.
fn reason(text: &[u8]) -> Option<&'static str> {
    if let Some((_, reason)) = REASONS.iter().find(|(words, _)| text.starts_with(words)) {
        return Some(reason);
    }
    text.starts_with(b"allow_").then(|| find(text, b" check failed")).flatten().map(|_| "address_not_allowed")
}

/// True for texts about logins that do not fail by it.
fn is_harmless(text: &[u8]) -> bool {
    const HARMLESS: [&[u8]; 7] = [
        b"Falling back to expired data from cache",
        b"Master user logging in as",
        b"Policy check action",
        b"Allowing any password",
        b"login",
        b"Auth request finished",
        b"trying the next",
    ];
    HARMLESS.iter().any(|words| text.starts_with(words))
}

const REASONS: [(&[u8], &str); 45] = [
    (b"Password mismatch", "password_mismatch"),
    (b"password mismatch", "password_mismatch"),
    (b"unknown user", "unknown_user"),
    (b"User unknown", "unknown_user"),
    (b"user not found", "unknown_user"),
    (b"pam_authenticate() failed: Authentication failure", "password_mismatch"),
    (b"pam_authenticate() failed: User not known", "unknown_user"),
    (b"pam_authenticate() failed", "pam_authenticate"),
    (b"pam_acct_mgmt() failed", "pam_acct_mgmt"),
    (b"pam_", "internal_error"),
    (b"invalid credentials", "password_mismatch"),
    (b"Login failed (status=1", "password_mismatch"),
    (b"User found from deny passdb", "denied"),
    (b"Username character disallowed", "username_disallowed"),
    (b"Username contains disallowed", "username_disallowed"),
    (b"Empty username", "username_missing"),
    (b"username not known", "username_missing"),
    (b"Username or token missing", "username_missing"),
    (b"Missing username", "username_missing"),
    (b"Invalid username", "username_disallowed"),
    (b"login user: ", "username_disallowed"),
    (b"Attempted master login with no master passdbs", "no_master_passdb"),
    (b"Attempted login with password having illegal chars", "password_disallowed"),
    (b"Login attempt with empty password", "password_empty"),
    (b"nopassword given and password is not empty", "password_not_empty"),
    (b"nopassword set but password is non-empty", "password_not_empty"),
    (b"No password returned", "no_password"),
    (b"invalid password field", "no_password"),
    (b"Authentication failure due to policy server refusal", "policy_refused"),
    (b"Request timed out", "timeout"),
    (b"oauth2 failed", "token_invalid"),
    (b"Token", "token_invalid"),
    (b"token", "token_invalid"),
    (b"invalid input", "invalid_input"),
    (b"malformed data", "invalid_input"),
    (b"invalid challenge", "invalid_input"),
    (b"Invalid continued data", "invalid_input"),
    (b"Invalid base64", "invalid_input"),
    (b"no initial response", "invalid_input"),
    (b"Client requested", "invalid_input"),
    (b"User not authorized", "not_authorized"),
    (b"Not authorized", "not_authorized"),
    (b"user not authenticated", "password_mismatch"),
    (b"Cross-realm authentication not supported", "not_authorized"),
    (b"authn_name", "invalid_input"),
];
