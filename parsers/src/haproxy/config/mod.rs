//! What a `haproxy.cfg` says about the log that this HAProxy writes (configuration manual, chapters 2 to 4 and 8).
//!
//! ```text
//! defaults
//!     mode http
//!     log global
//!     option httplog
//!
//! frontend www
//!     bind :443 ssl crt site.pem name tls
//!     capture request header Host len 64
//!     log-format "%ci %[var(txn.id)] ${SITE}"
//!     default_backend static
//! ```
//!
//! [`read`] takes the texts of all files of a process, in their order, and returns its proxies with what each has after
//! inheritance. It stands beside the line parsers: what it returns tells which of them reads a line. It allocates, since it
//! runs once and not for every line, but does no I/O. HAProxy's own sources (`cfgparse.c`, `cfgparse-listen.c`, `proxy.c`,
//! `log.c`; 2.6 to 3.x) say what it does where the manual does not.
//!
//! # Layout
//!
//! - `words`: a line, cut into words; `variables`: the environment; `condition`: `.if`; `version`: numbers to compare.
//! - `reader`: lines, conditional blocks and sections.
//! - `proxy`: what is known of a proxy, and inheritance; `keywords`: the keywords that change it.
//! - `declared`: the names that lines may have.
//! - `target`: `log` lines; `profile`: `log-profile` sections; `formats`: HAProxy's own formats.

mod condition;
mod declared;
mod formats;
mod keywords;
mod profile;
mod proxy;
mod reader;
mod target;
#[cfg(test)]
mod tests;
mod variables;
mod version;
mod words;

use core::fmt;

pub use declared::{Backend, Declared, Frontend, NO_SERVER};
pub use formats::{Format, LogFormat};
pub use profile::{LogProfile, Step};
pub use proxy::{Bind, Capture, Kind, Mode, Proxy};
pub use target::{Header, Target};
pub use words::Word;

/// A place in the configuration. Line and column count from 1; a column is a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Index into the files that were given to [`read`].
    pub file: usize,
    /// Line of that file.
    pub line: u32,
    /// Column of that line.
    pub column: u32,
}

/// Something that keeps the log from being understood. HAProxy mostly refuses it, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where.
    pub place: Place,
    /// What, without the place.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.place.line, self.place.column, self.message)
    }
}

impl core::error::Error for Mistake {}

/// Something that was read, but may be meant otherwise, or cannot be known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where.
    pub place: Place,
    /// True when lines of the log may be missing or read wrongly for it.
    pub is_lossy: bool,
    /// What, without the place.
    pub message: String,
}

/// What is known of the HAProxy that reads the files.
#[derive(Clone, Copy)]
pub struct Process<'p> {
    /// Its environment: the value of a variable that is set.
    pub environment: &'p dyn Fn(&str) -> Option<Vec<u8>>,
    /// Its version, as `haproxy -v` shows it (`2.6.12-1+deb12u4`), if it is known.
    pub version: Option<&'p str>,
    /// Its features, as `haproxy -vv` lists them (`+EPOLL -KQUEUE`), if they are known.
    pub features: Option<&'p str>,
}

impl fmt::Debug for Process<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("version", &self.version).field("features", &self.features).finish()
    }
}

/// What a configuration says about the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Frontends, listens and backends, in the order of the files.
    pub proxies: Vec<Proxy>,
    /// `log` lines of `global`: HAProxy's own messages, and what proxies with `log global` write.
    pub targets: Vec<Target>,
    /// `log-tag` of `global`; without one, the tag is the program's name, mostly `haproxy`.
    pub log_tag: Option<Word>,
    /// `log-send-hostname`: lines have a hostname, by default this one; empty is the machine's name.
    pub send_hostname: Option<Vec<u8>>,
    /// `node`, the name that the statistics page shows.
    pub node: Option<Vec<u8>>,
    /// The name of a proxy depends on a variable that is not set here.
    pub has_unsure_names: bool,
    /// `log-profile` sections.
    pub profiles: Vec<LogProfile>,
    /// What could not be known for sure, in the order of the files.
    pub warnings: Vec<Warning>,
}

impl Config {
    /// The proxy that takes connections under `name`: a frontend or a listen.
    pub fn frontend(&self, name: &[u8]) -> Option<&Proxy> {
        self.proxies.iter().find(|proxy| proxy.kind.takes_connections() && proxy.name == name)
    }

    /// The proxy that has servers under `name`: a backend or a listen.
    pub fn backend(&self, name: &[u8]) -> Option<&Proxy> {
        self.proxies.iter().find(|proxy| proxy.kind.has_servers() && proxy.name == name)
    }
}

/// Reads the files of one HAProxy, each with its name and its text, in the order in which HAProxy gets them.
///
/// # Errors
/// All [`Mistake`]s, in the order of the files.
///
/// # Bounds
/// 100 mistakes and 1,000 warnings are told; 65,536 servers are kept.
pub fn read(files: &[(&str, &[u8])], process: &Process<'_>) -> Result<Config, Vec<Mistake>> {
    reader::read(files, process)
}
