//! Values that go out by themselves, for networks where nobody can scrape, and for runs that only end.
//!
//! What is pushed is what a scrape would show at that moment: the exposition's text is the only input. So a value that is
//! pushed has been committed to the state before, as one that is scraped has.
//!
//! ```text
//! exposition  ->  samples  ->  batches  ->  buffer  ->  server
//! (text)          text         remote_write, otlp  buffer  client
//! ```
//!
//! # Layout
//!
//! - [`gateway`]: the whole text to a Pushgateway, once, at the end of a one-shot run.
//! - `remote_write`, `otlp`: protocols: a text as batches for a server, and what its answers mean. `protobuf` is the
//!   encoding of both; `text` takes the exposition apart.
//! - `pusher`: takes a text every interval and delivers batches, each in order until the server has it; `buffer` is
//!   what waits meanwhile.
//! - `client`: one request to a [`Server`]; `url` is its address, `login` what it wants to know of us, `tls` how it is known.
//!
//! # Bounds
//!
//! While a text is made into batches, it and the one before are in memory, which ends the series that have gone since. A batch
//! has at most 2,000 series or a mebibyte, and a series more. What waits for a server is limited by
//! [`Receiver::max_buffer_bytes`]; beyond that the oldest batches go, and are counted. A request takes at most
//! [`Server::timeout`], an answer is read up to 64 KiB, and redirects are not followed: a server that sends its clients
//! elsewhere would get credentials sent there, too.

mod base64;
mod buffer;
mod client;
pub mod gateway;
mod login;
mod otlp;
mod protobuf;
mod pusher;
mod remote_write;
mod text;
mod tls;
mod url;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

pub use client::{Header, HeaderError};
pub use login::Login;
pub use pusher::{Pushing, Say, Scene, Take};
pub use tls::ServerTls;
pub use url::{Url, UrlError};

/// Time between two pushes unless told otherwise, and what can be asked for.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(15);
/// See [`DEFAULT_INTERVAL`].
pub const INTERVAL_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
/// How long a request may take unless told otherwise, and what can be asked for.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// See [`DEFAULT_TIMEOUT`].
pub const TIMEOUT_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(300);
/// Bytes that may wait for a server unless told otherwise: with 10,000 series, hours.
pub const DEFAULT_MAX_BUFFER_BYTES: usize = 16 << 20;
/// See [`DEFAULT_MAX_BUFFER_BYTES`]. The lower end has room for a batch.
pub const MAX_BUFFER_BYTES_RANGE: RangeInclusive<usize> = 2 << 20..=1 << 30;

/// Where values are pushed to while tailmeter runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushConfig {
    /// A server that speaks Prometheus remote-write 1.0.
    pub remote_write: Option<Receiver>,
    /// A server that speaks OTLP over HTTP.
    pub otlp: Option<Receiver>,
}

/// A server that gets all values again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// The server.
    pub server: Server,
    /// Time from push to push, within [`INTERVAL_RANGE`].
    pub interval: Duration,
    /// What tells the values of this tailmeter from those of others: labels of each series, or attributes of the
    /// resource. They come before those that tailmeter has by itself; an empty value takes one away.
    pub identity: BTreeMap<String, String>,
    /// Bytes that may wait for the server, within [`MAX_BUFFER_BYTES_RANGE`].
    pub max_buffer_bytes: usize,
}

/// A server that values are pushed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its address.
    pub url: Url,
    /// Longest time for a request, from the connection to the end of the answer.
    pub timeout: Duration,
    /// Headers beside those of the protocol.
    pub headers: Vec<Header>,
    /// What it wants to know of us. A login in the address comes second.
    pub login: Login,
    /// How it is known to be the right one, for https.
    pub tls: ServerTls,
}

impl Server {
    /// The server at `url`, without any setting.
    pub fn new(url: Url) -> Self {
        let (login, tls) = (Login::None, ServerTls::default());
        Self { url, timeout: DEFAULT_TIMEOUT, headers: Vec::new(), login, tls }
    }
}

impl Receiver {
    /// The server at `url`, without any setting.
    pub fn new(url: Url) -> Self {
        Self {
            server: Server::new(url),
            interval: DEFAULT_INTERVAL,
            identity: BTreeMap::new(),
            max_buffer_bytes: DEFAULT_MAX_BUFFER_BYTES,
        }
    }
}

/// True when `name` can be the name of a label that a server gets besides those of the metrics.
pub fn is_label_name(name: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(is_word)
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && !name.starts_with("__")
}
