//! What is known of a proxy, and what it has from its `defaults` (`proxy_defproxy_cpy` in HAProxy's `proxy.c`).

use super::{LogFormat, Place, Target, Word};

/// A frontend, a listen or a backend, with what it inherited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Its name. A frontend and a backend may share one.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Where it begins.
    pub place: Place,
    /// Its protocol.
    pub mode: Mode,
    /// It is not started.
    pub is_disabled: bool,
    /// Where its lines go. Without a target there are none.
    pub targets: Vec<Target>,
    /// The format of its sessions' lines. Without one, a line `Connect from …` is written when a session begins. Backends
    /// have none: a session is logged by its frontend.
    pub log_format: Option<LogFormat>,
    /// `error-log-format`: the format of lines about connections that failed before there was a session.
    pub error_log_format: Option<Word>,
    /// `log-format-sd`: the structured data of RFC 5424.
    pub log_format_sd: Option<Word>,
    /// `log-tag`, before that of `global`.
    pub log_tag: Option<Word>,
    /// `log-steps` (3.1): when lines are written, other than once at the end of a session.
    pub log_steps: Option<Vec<Vec<u8>>>,
    /// `option dontlognull`: connections without a byte have no line.
    pub dontlognull: bool,
    /// `option dontlog-normal`: only sessions with errors or retries have lines.
    pub dontlog_normal: bool,
    /// `option log-separate-errors`: sessions with errors are of level `err`.
    pub log_separate_errors: bool,
    /// `option logasap`: lines are written before the end, with a `+` before what goes on.
    pub logasap: bool,
    /// `option log-health-checks`: results of health checks have lines.
    pub log_health_checks: bool,
    /// `option socket-stats`: a listener without a name is called `sock-` and its number.
    pub socket_stats: bool,
    /// The slots of `%hr`, in their order.
    pub request_captures: Vec<Capture>,
    /// The slots of `%hs`, in their order.
    pub response_captures: Vec<Capture>,
    /// `capture cookie`: what `%CC` and `%CS` hold.
    pub cookie_capture: Option<Capture>,
    /// `unique-id-format`: what `%ID` holds.
    pub unique_id_format: Option<Word>,
    /// `unique-id-header`
    pub unique_id_header: Option<Vec<u8>>,
    /// Its listeners.
    pub binds: Vec<Bind>,
    /// `default_backend`
    pub default_backend: Option<Vec<u8>>,
    /// The backends of `use_backend`, in their order, each once, where the configuration names them.
    pub use_backends: Vec<Vec<u8>>,
    /// A `use_backend` computes the name.
    pub computes_backend: bool,
    /// The names of its servers. Those that are added while HAProxy runs are unknown here.
    pub servers: Vec<Vec<u8>>,
    /// It has other servers, too: more than are kept, or their names depend on a variable that is not set here.
    pub has_unsure_servers: bool,
    /// What stands in the place of a server where HAProxy itself answers, but for `<NOSRV>`: `<STATS>`, `<CACHE>`,
    /// `<PROMEX>`, `<lua.name>`.
    pub applets: Vec<Vec<u8>>,
}

/// What a proxy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `frontend`
    Frontend,
    /// `listen`: both in one.
    Listen,
    /// `backend`
    Backend,
}

impl Kind {
    /// True for frontends and listens: sessions are logged by them.
    pub const fn takes_connections(self) -> bool {
        matches!(self, Self::Frontend | Self::Listen)
    }

    /// True for backends and listens.
    pub const fn has_servers(self) -> bool {
        matches!(self, Self::Backend | Self::Listen)
    }

    /// Its keyword.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Frontend => "frontend",
            Self::Listen => "listen",
            Self::Backend => "backend",
        }
    }
}

/// A proxy's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// `mode tcp`, also the default.
    Tcp,
    /// `mode http`
    Http,
    /// `mode log`: a backend of syslog servers.
    Log,
    /// `mode spop`: a backend of agents.
    Spop,
    /// One that is not known here.
    Other,
}

/// A slot of captured text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// The name of the header or cookie it holds, if it holds one.
    pub name: Option<Vec<u8>>,
    /// Bytes that are kept, at most.
    pub length: u32,
    /// Where it is declared.
    pub place: Place,
}

/// A `bind` line. Errors of connections name its listeners: by their name, or else by a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// The addresses, as they are written.
    pub addresses: Vec<u8>,
    /// `name`
    pub name: Option<Vec<u8>>,
    /// `id`: the number of its first listener.
    pub id: Option<u32>,
    /// `ssl`, or QUIC: the frontend's name has a `~` behind it in the lines.
    pub is_tls: bool,
    /// Where it stands.
    pub place: Place,
}

impl Proxy {
    /// A proxy without anything.
    pub(super) const fn new(kind: Kind, name: Vec<u8>, place: Place) -> Self {
        Self {
            name,
            kind,
            place,
            mode: Mode::Tcp,
            is_disabled: false,
            targets: Vec::new(),
            log_format: None,
            error_log_format: None,
            log_format_sd: None,
            log_tag: None,
            log_steps: None,
            dontlognull: false,
            dontlog_normal: false,
            log_separate_errors: false,
            logasap: false,
            log_health_checks: false,
            socket_stats: false,
            request_captures: Vec::new(),
            response_captures: Vec::new(),
            cookie_capture: None,
            unique_id_format: None,
            unique_id_header: None,
            binds: Vec::new(),
            default_backend: None,
            use_backends: Vec::new(),
            computes_backend: false,
            servers: Vec::new(),
            has_unsure_servers: false,
            applets: Vec::new(),
        }
    }

    /// A proxy with what `defaults` has for its kind.
    pub(super) fn inherit(defaults: &Self, kind: Kind, name: Vec<u8>, place: Place) -> Self {
        let mut proxy = Self { kind, name, place, ..defaults.clone() };
        if !kind.takes_connections() {
            proxy.log_format = None;
            proxy.error_log_format = None;
            proxy.log_format_sd = None;
            proxy.log_steps = None;
            proxy.default_backend = None;
        }
        proxy
    }
}
