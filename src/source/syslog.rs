//! Syslog: messages that programs send to a socket ([`Syslog`]), as datagrams or over connections.
//!
//! Five transports ([`Transport`], from `address`): UDP and Unix datagrams are read by one task (`datagram`), which
//! also finds out what the kernel dropped (`drops`). TCP, Unix streams and TLS on TCP (`tls`) have a task a connection
//! (`stream`), which takes messages out of the bytes (`framing`). Both ways lead into one `feed`, which makes lines of
//! messages and blocks of lines. Sockets are made, and taken away, in `listen`.
//!
//! # What is delivered
//! Every message that was received whole, as one line, with whatever envelope it has. A newline within a message
//! becomes `#012`, as rsyslog writes it: no sender can make two lines of one message. Newlines and NUL bytes at its
//! end are taken off, and what is empty then is ignored. Of a connection, the incomplete last line is delivered when
//! it closes; an incomplete counted message is an error. Messages that the kernel dropped are counted
//! ([`Incident::Dropped`](crate::source::Incident::Dropped)): UDP alone drops, all other senders wait.
//!
//! # Bounds
//! Memory is bounded whatever is sent: a block, and a line for each connection that is in the middle of one. Who
//! sends faster than lines are counted fills the kernel's buffers.

mod address;
mod datagram;
mod drops;
mod feed;
mod framing;
mod listen;
mod senders;
mod stream;
mod tls;

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::status::{Telemetry, Trouble};
use super::{Sink, Status};

pub use address::{AddressError, Transport};
pub use framing::Framing;
pub use senders::{Network, NetworkError};
pub use tls::{Tls, TlsError};

use datagram::Datagrams;
use feed::Feed;
use listen::{Listening, Socket, SocketFile};
use stream::Streams;

/// How long, at shutdown, what the kernel holds is still read.
const DRAIN: Duration = Duration::from_millis(300);

/// How long to wait after the system refused to receive or accept, before it is asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// What to listen on, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where messages come from.
    pub transport: Transport,
    /// The source's name in telemetry.
    pub name: String,
    /// Longest line delivered whole (bytes), at least 1.
    pub max_line_bytes: usize,
    /// A block is handed over when it has this many bytes, if not before.
    pub block_bytes: usize,
    /// Receive buffer (bytes) to ask the kernel for; datagrams only. Without the right to exceed
    /// `net.core.rmem_max` the kernel gives no more than that: see [`Syslog::warnings`].
    pub receive_buffer_bytes: usize,
    /// How messages are told apart on a connection.
    pub framing: Framing,
    /// A message that announces more bytes than this closes its connection. At most 99,999,999.
    pub max_frame_bytes: u64,
    /// Connections that are read at a time, at least 1. Further ones wait, and are counted as an error.
    pub max_connections: usize,
    /// Permissions of a Unix socket's file.
    pub socket_mode: u32,
    /// Who may send, over UDP, TCP and TLS; empty: everybody.
    pub senders: Vec<Network>,
    /// Certificate and key; TLS only.
    pub tls: Option<Tls>,
}

impl Options {
    /// For `transport`, named like it: 64 KiB lines, 256 KiB blocks, an 8 MiB receive buffer, framing detected, frames
    /// of up to 1 MiB, 256 connections, a Unix socket that everybody may write to, and no restriction of senders.
    pub fn new(transport: Transport) -> Self {
        Options {
            name: transport.to_string(),
            transport,
            max_line_bytes: 65_536,
            block_bytes: 256 * 1024,
            receive_buffer_bytes: 8 * 1024 * 1024,
            framing: Framing::Detected,
            max_frame_bytes: 1024 * 1024,
            max_connections: 256,
            socket_mode: 0o666,
            senders: Vec::new(),
            tls: None,
        }
    }
}

/// Why nothing can be received at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The socket cannot be made: the port is taken, the address is not this machine's, permission is missing.
    #[error("cannot listen on {transport}: {error}")]
    Listen {
        /// Where.
        transport: Transport,
        /// What the system said.
        error: io::Error,
    },
    /// Another program reads the Unix socket.
    #[error("cannot listen on {0}: another program does")]
    InUse(Transport),
    /// Something that is no socket is at the path, and is left alone.
    #[error("cannot listen on {0}: a file that is no socket is there")]
    NotASocket(Transport),
    /// TLS without certificate and key.
    #[error("cannot listen on {0}: TLS needs a certificate and a key")]
    NoCertificate(Transport),
    /// Certificate, key or client CA are unusable.
    #[error("cannot listen on {transport}: {error}")]
    Tls {
        /// Where.
        transport: Transport,
        /// What is wrong with which file.
        error: Box<TlsError>,
    },
}

/// What works, but not as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// The kernel gave a smaller receive buffer.
    #[error(
        "the kernel gives a receive buffer of {given} bytes instead of {asked}: raise net.core.rmem_max, or grant \
         CAP_NET_ADMIN"
    )]
    SmallBuffer {
        /// Bytes asked for.
        asked: usize,
        /// Bytes given.
        given: usize,
    },
    /// The kernel's table of sockets cannot be read.
    #[error("messages that the kernel drops cannot be counted: {0}")]
    UnknownDrops(String),
}

/// Receives syslog messages on one socket.
///
/// Its telemetry goes to the `metrics` recorder that is installed when it is made.
pub struct Syslog {
    listening: Listening,
    /// Removes a Unix socket's file in the end.
    file: Option<SocketFile>,
    feed: Feed,
    status: Arc<Status>,
    telemetry: Telemetry,
    options: Options,
}

impl Syslog {
    /// Listens from now on; messages wait in the kernel's buffers until [`run`](Self::run) is called. Lines go to
    /// `sink`.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn bind(options: Options, sink: Box<dyn Sink>) -> Result<Self, Error> {
        let (listening, file) = listen::listen(&options)?;
        let status = Arc::new(Status::default());
        let telemetry = Telemetry::of_socket(&options.name);
        telemetry.up(&status, true);
        telemetry.looked(&status);
        let feed = Feed::new(sink, options.max_line_bytes, options.block_bytes);
        Ok(Syslog { listening, file, feed, status, telemetry, options })
    }

    /// Where it listens: as asked, with the port that the system chose for port 0.
    pub fn local_address(&self) -> Transport {
        self.listening.address.clone()
    }

    /// What works, but not as asked; for a message at start.
    pub fn warnings(&self) -> &[Warning] {
        &self.listening.warnings
    }

    /// Stays current while it runs.
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status)
    }

    /// Receives until `shutdown` is ready; then reads what the kernel holds, for at most 0.3 s, and drops the sink.
    /// Must be called on a tokio runtime with time and I/O enabled. Troubles are counted and tried again, not returned.
    ///
    /// # Panics
    /// When the sink panicked.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let (stop, stopped) = watch::channel(false);
        let reporter = Reporter { status: self.status, telemetry: Arc::new(self.telemetry) };
        let reading = async {
            match self.listening.socket {
                Socket::Datagrams(socket) => {
                    Datagrams::new(socket, self.feed, reporter.clone(), &self.options).run(stopped).await;
                }
                Socket::Streams(acceptor) => {
                    Streams::new(acceptor, self.feed, reporter.clone(), &self.options).run(stopped).await;
                }
            }
        };
        let (mut reading, mut shutdown) = (pin!(reading), pin!(shutdown));
        tokio::select! {
            () = &mut reading => {}
            () = &mut shutdown => {
                stop.send_replace(true);
                reading.await;
            }
        }
        reporter.telemetry.up(&reporter.status, false);
        drop(self.file);
    }
}

/// Tells what befalls the source, from any of its tasks.
#[derive(Clone)]
struct Reporter {
    status: Arc<Status>,
    telemetry: Arc<Telemetry>,
}

impl Reporter {
    fn error(&self, trouble: Trouble) {
        self.telemetry.error(&self.status, trouble);
    }

    fn read(&self, bytes: usize) {
        self.telemetry.read(&self.status, bytes as u64);
    }

    fn dropped(&self, messages: u64) {
        self.telemetry.dropped(&self.status, messages);
    }
}
