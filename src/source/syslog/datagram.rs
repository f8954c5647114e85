//! Receiving datagrams: one task a socket, which looks for what is there.
//!
//! A busy socket is not waited for: it is looked at every few milliseconds, so that it costs a wake for many
//! datagrams, and is registered with the system again when nothing was found. How long it may be left alone depends on the
//! receive buffer, which must hold what comes meanwhile.

use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::RecvFlags;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, sleep_until};

use super::drops::Drops;
use super::feed::Feed;
use super::listen::{Datagram, DatagramSocket};
use super::senders::{Network, may_send};
use super::{DRAIN, Options, PAUSE, Reporter};
use crate::source::status::Trouble;

/// Datagrams that one look takes at most, before others have their turn.
const LOOK: usize = 1024;

/// The most that UDP can carry, and HAProxy can send.
const LARGEST: usize = 65_535;

/// When, after a datagram, drops are read. Whatever was dropped was dropped while the buffer was full, so a datagram
/// is received after it: nothing stays unseen when the sender falls silent.
const DROPS_AFTER: Duration = Duration::from_millis(250);

/// For this much receive buffer a busy socket is left alone for a millisecond; and for how long at most.
const BUFFER_PER_MILLISECOND: usize = 2 * 1024 * 1024;
const LONGEST_REST: Duration = Duration::from_millis(5);

/// Reads one socket.
///
/// # Bounds
/// The largest datagram, and what the feed holds; nothing while the socket is quiet.
pub(super) struct Datagrams {
    socket: Datagram,
    drops: Option<Drops>,
    feed: Feed,
    reporter: Reporter,
    senders: Vec<Network>,
    buffer: Vec<u8>,
    buffer_bytes: usize,
    /// How long a busy socket is left alone.
    rest: Duration,
    /// When to read the drops: not at all, unless something was received.
    drops_due: Option<Instant>,
}

/// What a look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    /// All there was.
    Some,
    /// As much as one look takes.
    More,
    /// The system refused.
    Trouble,
}

impl Datagrams {
    pub(super) fn new(socket: DatagramSocket, feed: Feed, reporter: Reporter, options: &Options) -> Self {
        let DatagramSocket { socket, drops, receive_buffer } = socket;
        let milliseconds = u64::try_from(receive_buffer / BUFFER_PER_MILLISECOND).unwrap_or(u64::MAX);
        Datagrams {
            socket,
            drops,
            feed,
            reporter,
            senders: options.senders.clone(),
            buffer: Vec::new(),
            // With room for what closes a message that is as long as a line may be.
            buffer_bytes: options.max_line_bytes.saturating_add(2).max(LARGEST),
            rest: Duration::from_millis(milliseconds).min(LONGEST_REST),
            drops_due: None,
        }
    }

    pub(super) async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        while !*stopped.borrow() {
            let found = self.look();
            if found == Found::More {
                // A flood that never ends must show what it loses, too.
                if self.drops_due.is_some_and(|due| due <= Instant::now()) {
                    self.read_drops();
                }
                yield_now().await;
                continue;
            }
            if found == Found::Nothing && self.drops_due.is_none() {
                self.buffer = Vec::new();
                self.feed.release();
            }
            let due = self.drops_due;
            tokio::select! {
                _ = stopped.changed() => {}
                () = next_look(found, self.rest, &self.socket, &self.reporter) => {}
                () = until(due) => self.read_drops(),
            }
        }
        let deadline = Instant::now() + DRAIN;
        while self.look() == Found::More && Instant::now() < deadline {}
        self.read_drops();
    }

    /// Receives what is there, up to a bound, and hands it over.
    fn look(&mut self) -> Found {
        if self.buffer.is_empty() {
            self.buffer = vec![0; self.buffer_bytes];
        }
        let mut found = Found::Nothing;
        let mut bytes = 0;
        for _ in 0..LOOK {
            match self.socket.receive(&mut self.buffer, !self.senders.is_empty()) {
                Ok(datagram) => {
                    found = Found::More;
                    bytes += datagram.length;
                    if datagram.sender.is_some_and(|sender| !may_send(&self.senders, sender)) {
                        self.reporter.error(Trouble::Sender);
                        continue;
                    }
                    let received = self.buffer.get(..datagram.length).unwrap_or(&self.buffer);
                    let is_whole = datagram.length <= self.buffer.len();
                    self.feed.message(received, is_whole, datagram.length as u64);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    found = if found == Found::More { Found::Some } else { Found::Nothing };
                    break;
                }
                Err(_) => {
                    self.reporter.error(Trouble::Read);
                    found = Found::Trouble;
                    break;
                }
            }
        }
        self.feed.flush();
        self.reporter.read(bytes);
        if bytes > 0 || found == Found::More {
            self.drops_due.get_or_insert_with(|| Instant::now() + DROPS_AFTER);
        }
        found
    }

    fn read_drops(&mut self) {
        self.drops_due = None;
        match self.drops.as_mut().map_or(Ok(0), Drops::take) {
            Ok(0) => {}
            Ok(messages) => {
                self.reporter.dropped(messages);
                self.feed.dropped(messages);
            }
            Err(_) => self.reporter.error(Trouble::Drops),
        }
    }
}

/// Ready when it is time for the next look, after one that `found` this.
async fn next_look(found: Found, rest: Duration, socket: &Datagram, reporter: &Reporter) {
    match found {
        Found::Trouble => sleep(PAUSE).await,
        Found::Some | Found::More if !rest.is_zero() => sleep(rest).await,
        Found::Nothing | Found::Some | Found::More => {
            if socket.readable().await.is_err() {
                reporter.error(Trouble::Watch);
                sleep(PAUSE).await;
            }
        }
    }
}

/// Ready at `due`, or never.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

/// What was received.
struct Received {
    /// Bytes that were sent; more than the buffer has when it was too short.
    length: usize,
    /// Known when it was asked for, and only over IP.
    sender: Option<IpAddr>,
}

impl Datagram {
    /// Ready when there may be something. The socket is registered with the system for that time only, as a copy, so
    /// that failing to do so loses nothing.
    async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Udp(socket) => tokio::net::UdpSocket::from_std(socket.try_clone()?)?.readable().await,
            Self::Unix(socket) => tokio::net::UnixDatagram::from_std(socket.try_clone()?)?.readable().await,
        }
    }

    /// Receives a datagram if there is one. The sender's address is copied only for who `asks_sender`.
    fn receive(&self, buffer: &mut [u8], asks_sender: bool) -> Result<Received, Errno> {
        let flags = RecvFlags::TRUNC | RecvFlags::DONTWAIT;
        let socket = match self {
            Self::Udp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        };
        if !asks_sender {
            let (_, length) = rustix::net::recv(socket, buffer, flags)?;
            return Ok(Received { length, sender: None });
        }
        let (_, length, sender) = rustix::net::recvfrom(socket, buffer, flags)?;
        let sender = sender.and_then(|sender| SocketAddr::try_from(sender).ok()).map(|sender| sender.ip());
        Ok(Received { length, sender })
    }
}
