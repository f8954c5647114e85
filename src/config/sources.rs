//! What to read: the kinds of input that a configuration, or one argument of the command line, can name.

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use crate::metrics::own::source_name;
use crate::source::syslog::{AddressError, Framing, Network, Options, Tls, Transport};

/// What standard input is called.
const STANDARD_INPUT: &str = "-";
/// What an argument for the journal begins with.
const JOURNAL: &str = "journal:";

/// One log to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Where its lines come from.
    pub input: Input,
    /// Name of the log family that its lines belong to.
    pub format: String,
    /// How they are written, where the operators of the program choose.
    pub written: Written,
    /// What it is called in the metrics, instead of its path or address; not empty.
    pub name: Option<String>,
}

/// What says how lines are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Written {
    /// As the program does unless told otherwise.
    #[default]
    Usual,
    /// By this `log-format` of HAProxy.
    LogFormat(String),
    /// As this configuration of HAProxy says: its files, and folders of files, in HAProxy's order.
    HaproxyConfig(Vec<PathBuf>),
}

/// Where lines come from. Only the syntax of names has been checked, not that anything is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file, or the files that match a pattern.
    File {
        /// Path or glob pattern, not empty.
        path: String,
        /// Patterns of paths that are left out.
        exclude: Vec<String>,
    },
    /// The systemd journal.
    Journal(JournalInput),
    /// A socket for syslog messages.
    Syslog(SyslogInput),
    /// A named pipe, or standard input: `-`.
    Pipe(PathBuf),
}

/// What of the journal is read: everything, unless something is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalInput {
    /// Entries with one of these syslog identifiers.
    pub identifiers: Vec<String>,
    /// Entries of one of these units.
    pub units: Vec<String>,
    /// Matches in `journalctl`'s own words: `FIELD=VALUE`, and `+` between alternatives.
    pub matches: Vec<String>,
    /// Journal files in this directory instead of the system's.
    pub directory: Option<PathBuf>,
}

/// What to listen on, and how. Settings that do not go with the transport have their default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogInput {
    /// Kind of socket, and its address.
    pub transport: Transport,
    /// How messages are told apart on a connection.
    pub framing: Framing,
    /// Who may send; empty: everybody.
    pub senders: Vec<Network>,
    /// Receive buffer (bytes) to ask the kernel for, within [`Self::RECEIVE_BUFFER_BYTES_RANGE`].
    pub receive_buffer_bytes: usize,
    /// Connections that are read at a time, within [`Self::MAX_CONNECTIONS_RANGE`].
    pub max_connections: usize,
    /// Permissions of a Unix socket's file, at most `0o777`.
    pub socket_mode: u32,
    /// Certificate and key: there with [`Transport::Tls`], and only there.
    pub tls: Option<Tls>,
}

impl Source {
    /// The value of the label `source`: the name, or else what the input is called.
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.input.label())
    }
}

impl Input {
    /// True when two of them cannot be read at the same time: they are the same socket.
    pub fn is_same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Syslog(one), Self::Syslog(two)) => one.transport == two.transport,
            (one, two) => one == two,
        }
    }

    /// The input that one argument names: `-` is standard input, `journal:` the journal, or what has one of the
    /// identifiers in `journal:IDENT,IDENT`, `udp://…`, `tcp://…`, `unix://…` and `unixgram://…` a syslog socket;
    /// anything else is a path, also of a named pipe, or a pattern. A path that looks like one of the others can be written `./journal:x`.
    ///
    /// # Errors
    /// What is wrong with the address, the identifiers or the pattern. A file whose name is no pattern is taken if
    /// it is there.
    pub fn of(text: &str) -> Result<Self, InputError> {
        if text == STANDARD_INPUT {
            return Ok(Self::Pipe(PathBuf::from(text)));
        }
        if let Some(identifiers) = text.strip_prefix(JOURNAL) {
            return journal_of(identifiers).map(Self::Journal);
        }
        if is_address(text) {
            return syslog_of(text).map(Self::Syslog);
        }
        if std::fs::metadata(text).is_ok_and(|found| found.file_type().is_fifo()) {
            return Ok(Self::Pipe(PathBuf::from(text)));
        }
        match check_pattern(text) {
            Err(error) if !Path::new(text).exists() => Err(error),
            _ => Ok(Self::File { path: text.to_owned(), exclude: Vec::new() }),
        }
    }

    /// What it is called unless it is given a name: its path, pattern or address; `journal` or `journal:IDENT,…`; `-`.
    pub fn label(&self) -> String {
        match self {
            Self::File { path, .. } => source_name(path.as_bytes()),
            Self::Journal(JournalInput { identifiers, .. }) if identifiers.is_empty() => "journal".to_owned(),
            Self::Journal(JournalInput { identifiers, .. }) => format!("{JOURNAL}{}", identifiers.join(",")),
            Self::Syslog(SyslogInput { transport, .. }) => transport.to_string(),
            Self::Pipe(path) => source_name(path.as_os_str().as_encoded_bytes()),
        }
    }

    /// True for standard input.
    pub fn is_standard_input(&self) -> bool {
        matches!(self, Self::Pipe(path) if path == Path::new(STANDARD_INPUT))
    }
}

impl SyslogInput {
    /// Receive buffers that can be asked for, in bytes.
    pub const RECEIVE_BUFFER_BYTES_RANGE: std::ops::RangeInclusive<usize> = 4096..=1024 * 1024 * 1024;
    /// Numbers of connections that can be asked for.
    pub const MAX_CONNECTIONS_RANGE: std::ops::RangeInclusive<usize> = 1..=100_000;

    /// Listens on `transport` with the defaults of [`Options::new`]. TLS still needs its certificate.
    pub fn new(transport: Transport) -> Self {
        let defaults = Options::new(transport);
        Self {
            transport: defaults.transport,
            framing: defaults.framing,
            senders: defaults.senders,
            receive_buffer_bytes: defaults.receive_buffer_bytes,
            max_connections: defaults.max_connections,
            socket_mode: defaults.socket_mode,
            tls: defaults.tls,
        }
    }
}

/// What is wrong with the name of an input, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InputError {
    /// Offset (bytes) in the name.
    pub offset: usize,
    /// For people.
    pub message: String,
}

impl InputError {
    fn new(offset: usize, message: impl Into<String>) -> Self {
        Self { offset, message: message.into() }
    }
}

impl From<AddressError> for InputError {
    fn from(AddressError { offset, message }: AddressError) -> Self {
        Self { offset, message }
    }
}

/// `IDENT,IDENT`, or nothing.
fn journal_of(text: &str) -> Result<JournalInput, InputError> {
    let mut identifiers = Vec::new();
    let mut offset = JOURNAL.len();
    for identifier in text.split(',').filter(|_| !text.is_empty()) {
        if identifier.is_empty() {
            return Err(InputError::new(offset, "an identifier is missing, as in journal:haproxy,postfix"));
        }
        identifiers.push(identifier.to_owned());
        offset += identifier.len() + 1;
    }
    Ok(JournalInput { identifiers, ..JournalInput::default() })
}

/// True for `SCHEME://…`, whether the scheme is known or not.
pub(super) fn is_address(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn syslog_of(text: &str) -> Result<SyslogInput, InputError> {
    match text.parse()? {
        Transport::Tls(_) => {
            Err(InputError::new(0, "tls:// needs a certificate and a key, which a configuration file can name"))
        }
        transport => Ok(SyslogInput::new(transport)),
    }
}

/// Checks the path or pattern of files.
pub(super) fn check_pattern(text: &str) -> Result<(), InputError> {
    if text.trim().is_empty() {
        return Err(InputError::new(0, "the path is empty"));
    }
    if let Some(offset) = text.find('\0') {
        return Err(InputError::new(offset, "a path cannot contain a null character"));
    }
    let Err(error) = glob::Pattern::new(text) else {
        return Ok(());
    };
    let offset = text.char_indices().nth(error.pos).map_or(text.len(), |(offset, _)| offset);
    Err(InputError::new(offset, format!("bad glob pattern: {}", error.msg)))
}
