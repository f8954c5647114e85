//! Lines on frontends and backends.
//!
//! ```text
//! backend app has no server available!
//! Paused frontend www.
//! Proxy www stopped (cumulated conns: FE: 1, BE: 0).
//! ```
//!
//! A section `listen` is called `proxy`.

use super::{Notice, take_number};
use crate::cursor::Cursor;
use crate::{Reason, Reject};

/// A backend that lost its last server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackendState<'a> {
    /// The backend's name.
    pub backend_name: &'a [u8],
    /// True when the line was cut behind the name.
    pub truncated: bool,
}

/// A proxy that begins or ceases to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proxy<'a> {
    /// The proxy's name.
    pub proxy_name: &'a [u8],
    /// What stands behind the name.
    rest: &'a [u8],
    /// What became of it.
    pub state: ProxyState,
}

/// What became of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "HAProxy's own words")]
pub enum ProxyState {
    Started,
    Pausing,
    Paused,
    PauseFailed,
    Resuming,
    Resumed,
    Enabling,
    Stopping,
    Stopped,
    HardStopped,
}

impl ProxyState {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Pausing => "pausing",
            Self::Paused => "paused",
            Self::PauseFailed => "pause_failed",
            Self::Resuming => "resuming",
            Self::Resumed => "resumed",
            Self::Enabling => "enabling",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::HardStopped => "hard_stopped",
        }
    }
}

impl Proxy<'_> {
    /// Connections that a stopped proxy has had, as frontend and as backend.
    pub fn cumulated_connections(&self) -> Option<[u64; 2]> {
        let mut cursor = Cursor::new(self.rest, 0);
        cursor.expect_text(b" (cumulated conns: FE: ", "").ok()?;
        let frontend = take_number(&mut cursor)?;
        cursor.expect_text(b", BE: ", "").ok()?;
        Some([frontend, take_number(&mut cursor)?])
    }
}

/// What proxies are called.
const TYPES: [&[u8]; 3] = [b"frontend ", b"backend ", b"proxy "];
/// How the lines that begin with `Proxy NAME` go on.
const STATES: [(&[u8], ProxyState); 3] =
    [(b"started", ProxyState::Started), (b"stopped", ProxyState::Stopped), (b"hard-stopped", ProxyState::HardStopped)];

/// Reads on from the name behind `Proxy `. `None` when it is something else that HAProxy says.
pub(super) fn parse(mut cursor: Cursor<'_>) -> Option<Proxy<'_>> {
    let proxy_name = cursor.until(b' ', "proxy_name").ok()?;
    let (words, state) = STATES.iter().find(|(words, _)| cursor.rest().starts_with(words))?;
    cursor.take_text(words);
    Some(Proxy { proxy_name, rest: cursor.rest(), state: *state })
}

/// Reads on from the type behind the word that `state` stands for. `None` when it is something else.
pub(super) fn parse_typed(mut cursor: Cursor<'_>, state: ProxyState) -> Option<Proxy<'_>> {
    TYPES.iter().find(|words| cursor.take_text(words))?;
    let text = cursor.take_rest();
    let end = memchr::memchr(b' ', text).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    // A name may hold full stops; the one behind it ends the line.
    let name = if rest.is_empty() { name.strip_suffix(b".").unwrap_or(name) } else { name };
    Some(Proxy { proxy_name: name, rest, state })
}

/// Reads on from the name behind `backend `, `frontend ` or `proxy `.
pub(super) fn parse_named<'a>(mut cursor: Cursor<'a>, message: &'a [u8]) -> Result<Notice<'a>, Reject> {
    if message.starts_with(b"backend ID mismatch: ") || message.starts_with(b"backend name mismatch: ") {
        return Ok(Notice::process(message));
    }
    let start = cursor;
    let name = cursor.until(b' ', "backend_name")?;
    if name.is_empty() {
        return start.reject(Reason::Grammar, "backend_name");
    }
    let rest = cursor.rest();
    let no_server = b"has no server available!";
    match rest {
        b"" => cursor.reject(Reason::Truncated, "state"),
        _ if rest == no_server => Ok(Notice::BackendState(BackendState { backend_name: name, truncated: false })),
        _ if no_server.starts_with(rest) => {
            Ok(Notice::BackendState(BackendState { backend_name: name, truncated: true }))
        }
        _ if b"failed to enter pause mode.".starts_with(rest) => {
            Ok(Notice::Proxy(Proxy { proxy_name: name, rest, state: ProxyState::PauseFailed }))
        }
        _ => cursor.reject(Reason::UnknownForm, "state"),
    }
}
