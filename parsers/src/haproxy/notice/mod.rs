//! HAProxy's lines about connections that failed, its servers, their checks, and itself.
//!
//! ```text
//! 192.0.2.7:40001 [01/Feb/2024:01:33:38.571] https-in/1: SSL handshake failure
//! Health check for server app/app1 failed, reason: Layer4 timeout, check duration: 2001ms, status: 0/2 DOWN.
//! Server app/app1 is DOWN. 1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.
//! backend app has no server available!
//! ```
//!
//! Each form is read in a file of its own, from the left: what a check answered or a DNS server said stands behind
//! the fields that are counted. What only people read is taken apart when asked for.
//!
//! HAProxy 2.6 and 3.0: `session.c`, `check.c`, `server.c`, `backend.c`, `proxy.c`, `listener.c`, `frontend.c`.

mod check;
mod connect;
mod connection_error;
mod details;
mod process;
mod proxy;
mod server;

pub use check::{CheckResult, HealthCheck, Status};
pub use connect::Connect;
pub use connection_error::ConnectionError;
pub(super) use connection_error::{TLS_REASON, reason_of, reason_of_number};
pub(super) use connection_error::{is_listener, parse as parse_connection_error};
pub use details::Details;
pub use process::Process;
pub use proxy::{BackendState, Proxy, ProxyState};
pub use server::{Remaining, ServerAddress, ServerChange, ServerState};

use super::names;
use crate::cursor::Cursor;
use crate::{Reason, Reject};

/// The word for whatever a table does not have.
const OTHER: &str = "other";

/// A line that is neither a request nor a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice<'a> {
    /// An empty line.
    Empty,
    /// `Connect from IP:PORT to IP:PORT (FRONTEND/MODE)`
    Connect(Connect<'a>),
    /// `IP:PORT [DATE] FRONTEND/BIND: MESSAGE`
    ConnectionError(ConnectionError<'a>),
    /// `Health check for …`, `Agent check for …`
    HealthCheck(HealthCheck<'a>),
    /// `Server B/S is DOWN, reason: …`
    ServerState(ServerState<'a>),
    /// `B/S changed its IP from … to … by …`
    ServerAddress(ServerAddress<'a>),
    /// `backend B has no server available!`
    BackendState(BackendState<'a>),
    /// `Proxy P started.`, `Paused frontend F.`
    Proxy(Proxy<'a>),
    /// What HAProxy says of its own process, and whatever it writes on its standard error.
    Process(Process<'a>),
}

/// How the forms start, but for those that start with a name or an address.
#[derive(Clone, Copy)]
enum Form {
    Connect,
    UnknownClient,
    HealthCheck,
    AgentCheck,
    Server,
    BackupServer,
    /// What HAProxy says of a proxy by its type and name.
    Named,
    Proxy,
    /// A type and a name follow.
    ProxyIs(ProxyState),
}

/// The first byte of none is a digit: addresses leave at once.
const FORMS: [(&[u8], Form); 17] = [
    (b"Connect from ", Form::Connect),
    (b"Connect to ", Form::Connect),
    (b"unknown [", Form::UnknownClient),
    (b"Health check for ", Form::HealthCheck),
    (b"Agent check for ", Form::AgentCheck),
    (b"Server ", Form::Server),
    (b"Backup Server ", Form::BackupServer),
    (b"backend ", Form::Named),
    (b"frontend ", Form::Named),
    (b"proxy ", Form::Named),
    (b"Proxy ", Form::Proxy),
    (b"Paused ", Form::ProxyIs(ProxyState::Paused)),
    (b"Pausing ", Form::ProxyIs(ProxyState::Pausing)),
    (b"Resumed ", Form::ProxyIs(ProxyState::Resumed)),
    (b"Resuming ", Form::ProxyIs(ProxyState::Resuming)),
    (b"Enabling ", Form::ProxyIs(ProxyState::Enabling)),
    (b"Stopping ", Form::ProxyIs(ProxyState::Stopping)),
];

impl<'a> Notice<'a> {
    /// The kind's name in `tailmeter parse`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Connect(_) => "connect",
            Self::ConnectionError(_) => "connection_error",
            Self::HealthCheck(_) => "health_check",
            Self::ServerState(_) => "server_state",
            Self::ServerAddress(_) => "server_address",
            Self::BackendState(_) => "backend_state",
            Self::Proxy(_) => "proxy",
            Self::Process(_) => "process",
        }
    }

    /// True when a metric counts such lines; the others are known and ignored.
    pub const fn is_counted(&self) -> bool {
        match self {
            Self::ConnectionError(_) | Self::HealthCheck(_) | Self::ServerState(_) | Self::BackendState(_) => true,
            Self::Empty | Self::Connect(_) | Self::ServerAddress(_) | Self::Proxy(_) | Self::Process(_) => false,
        }
    }

    /// True when the line is known to have been cut on its way.
    pub fn truncated(&self) -> bool {
        match self {
            Self::ConnectionError(error) => error.truncated(),
            Self::HealthCheck(check) => check.truncated(),
            Self::ServerState(state) => state.truncated(),
            Self::BackendState(state) => state.truncated,
            _ => false,
        }
    }

    /// Reads the message that starts at `start` of `line`, when it is a notice by its first words.
    pub(super) fn parse(line: &'a [u8], start: usize) -> Option<Result<Self, Reject>> {
        let message = line.get(start..).unwrap_or_default();
        match message.first() {
            None => return Some(Ok(Self::Empty)),
            Some(byte) if byte.is_ascii_digit() => return None,
            Some(b' ' | b'\t') if message.iter().all(u8::is_ascii_whitespace) => return Some(Ok(Self::Empty)),
            Some(_) => {}
        }
        let Some((words, form)) = FORMS.iter().find(|(words, _)| message.starts_with(words)) else {
            return Process::parse(message).map(|process| Ok(Self::Process(process)));
        };
        let cursor = Cursor::new(line, start + words.len());
        Some(match *form {
            Form::Connect => Ok(Self::Connect(Connect::new(message))),
            Form::UnknownClient => connection_error::parse_unknown(line, start).map(Self::ConnectionError),
            Form::HealthCheck => check::parse(cursor, false).map(Self::HealthCheck),
            Form::AgentCheck => check::parse(cursor, true).map(Self::HealthCheck),
            Form::Server => server::parse(cursor, false).map(Self::ServerState),
            Form::BackupServer => server::parse(cursor, true).map(Self::ServerState),
            Form::Named => proxy::parse_named(cursor, message),
            Form::Proxy => Ok(proxy::parse(cursor).map_or_else(|| Self::process(message), Self::Proxy)),
            Form::ProxyIs(state) => {
                Ok(proxy::parse_typed(cursor, state).map_or_else(|| Self::process(message), Self::Proxy))
            }
        })
    }

    /// Reads a message that starts with neither a client nor the words of a form.
    pub(super) fn parse_address(message: &'a [u8]) -> Option<Self> {
        ServerAddress::parse(message).map(Self::ServerAddress)
    }

    fn process(message: &'a [u8]) -> Self {
        Self::Process(Process::new(message))
    }
}

/// Takes `BACKEND/SERVER `.
fn take_names<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], Reject> {
    let text = cursor.rest();
    let start = cursor.at();
    names(cursor)?;
    Ok(text.get(..cursor.at() - start - 1).unwrap_or_default())
}

/// Takes the first of `phrases` that is next, and says what it stands for.
fn take_phrase<T: Copy>(
    cursor: &mut Cursor<'_>,
    phrases: &[(&[u8], T)],
    field: &'static str,
) -> Result<Option<T>, Reject> {
    if let Some((words, meaning)) = phrases.iter().find(|(words, _)| cursor.rest().starts_with(words)) {
        cursor.take_text(words);
        return Ok(Some(*meaning));
    }
    if phrases.iter().any(|(words, _)| words.starts_with(cursor.rest())) {
        return cursor.reject(Reason::Truncated, field);
    }
    Ok(None)
}

/// Takes a number of any length, its digits beyond 18 making it `None`.
fn take_number(cursor: &mut Cursor<'_>) -> Option<u64> {
    cursor.number(u64::MAX, "").ok()
}
