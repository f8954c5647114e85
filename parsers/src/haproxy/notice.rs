//! HAProxy's lines about itself, its servers and its checks: known, and (until they are counted) ignored.

/// What kind of line it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// An empty line.
    Empty,
    /// `Connect from IP:PORT to IP:PORT (FRONTEND/MODE)`, `Connect to unix:1 (FRONTEND/MODE)`: a frontend
    /// without a log option.
    Connect,
    /// `IP:PORT [DATE] FRONTEND/BIND: MESSAGE`: a connection that failed before it had a session.
    ConnectionError,
    /// `Health check for …`, `Agent check for …`.
    HealthCheck,
    /// `Server B/S is DOWN, reason: …`
    ServerState,
    /// `backend B has no server available!`
    BackendState,
    /// `Proxy P started.`, `Stopping frontend F …`
    Proxy,
    /// `[NOTICE] (123) : …`: what HAProxy says on its standard error.
    Process,
}

/// How each kind starts. The first byte of none is a digit: addresses leave at once.
const STARTS: [(&[u8], Notice); 19] = [
    (b"Connect from ", Notice::Connect),
    (b"Connect to ", Notice::Connect),
    (b"Health check ", Notice::HealthCheck),
    (b"Agent check ", Notice::HealthCheck),
    (b"Server ", Notice::ServerState),
    (b"Backup Server ", Notice::ServerState),
    (b"backend ", Notice::BackendState),
    (b"proxy ", Notice::BackendState),
    (b"Proxy ", Notice::Proxy),
    (b"Paused ", Notice::Proxy),
    (b"Pausing ", Notice::Proxy),
    (b"Resumed ", Notice::Proxy),
    (b"Resuming ", Notice::Proxy),
    (b"Enabling ", Notice::Proxy),
    (b"Stopping ", Notice::Proxy),
    (b"[NOTICE]", Notice::Process),
    (b"[WARNING]", Notice::Process),
    (b"[ALERT]", Notice::Process),
    (b"[DEBUG]", Notice::Process),
];

impl Notice {
    /// The kind's name in `tailmeter parse`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Connect => "connect",
            Self::ConnectionError => "connection_error",
            Self::HealthCheck => "health_check",
            Self::ServerState => "server_state",
            Self::BackendState => "backend_state",
            Self::Proxy => "proxy",
            Self::Process => "process",
        }
    }

    /// The kind of `message`, when it is a notice by its first words.
    pub(super) fn of(message: &[u8]) -> Option<Self> {
        match message.first() {
            None => Some(Self::Empty),
            Some(byte) if byte.is_ascii_digit() => None,
            Some(b' ' | b'\t') if message.iter().all(u8::is_ascii_whitespace) => Some(Self::Empty),
            Some(_) => STARTS.iter().find(|(start, _)| message.starts_with(start)).map(|(_, notice)| *notice),
        }
    }
}
