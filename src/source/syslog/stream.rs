//! Connections: one task accepts them, and each has a task of its own, which takes messages out of its bytes.
//!
//! All share one [`Feed`] behind a lock that is taken once a read; what is handed over are whole lines, so connections
//! may take turns at any of them. A connection that waits for bytes holds no memory: bytes are read into the
//! stack, and only what has come of an unfinished message is kept.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, ready};
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinError, JoinSet, yield_now};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::feed::Feed;
use super::framing::{BadCount, Framer};
use super::listen::Acceptor;
use super::senders::{Network, may_send};
use super::{DRAIN, Options, PAUSE, Reporter};
use crate::source::status::Trouble;

/// Bytes of one read.
const READ: usize = 64 * 1024;

/// Reads of one connection, before others have their turn.
const READS: usize = 4;

/// How long a sender may take to agree on TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A sender that has been silent for this long is asked whether it is still there: those that are gone would hold
/// their places for ever.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// At shutdown, a connection on which nothing comes for this long has been read to its end.
const QUIET: Duration = Duration::from_millis(30);

/// Accepts and reads connections.
pub(super) struct Streams {
    acceptor: Acceptor,
    connection: Connection,
    /// Accepted, and waiting for a place.
    waiting: Option<Accepted>,
    /// One permit for each connection that may be open.
    places: Arc<Semaphore>,
    senders: Vec<Network>,
    /// Every open connection. Dropping it ends them.
    connections: JoinSet<()>,
}

/// A connection that nobody reads yet.
enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Streams {
    pub(super) fn new(acceptor: Acceptor, feed: Feed, reporter: Reporter, options: &Options) -> Self {
        let tls = match &acceptor {
            Acceptor::Tls(_, tls) => Some(tls.clone()),
            Acceptor::Tcp(_) | Acceptor::Unix(_) => None,
        };
        let framer = Framer::new(options.framing, options.max_line_bytes, options.max_frame_bytes);
        Streams {
            acceptor,
            connection: Connection { feed: Arc::new(Mutex::new(feed)), reporter, framer, tls },
            waiting: None,
            places: Arc::new(Semaphore::new(options.max_connections.clamp(1, Semaphore::MAX_PERMITS))),
            senders: options.senders.clone(),
            connections: JoinSet::new(),
        }
    }

    pub(super) async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let of_connections = stopped.clone();
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => {}
            never = self.accept(&of_connections) => match never {},
        }
        self.accept_the_last(&of_connections);
        let all_ended = async {
            while let Some(ended) = self.connections.join_next().await {
                rethrow(ended);
            }
        };
        // Every connection ends by itself in that time; this is for one that a busy machine holds up.
        let _ = timeout(DRAIN * 2, all_ended).await;
    }

    /// Accepts for ever. A connection that finds no place waits unread; those behind it, in the kernel's queue.
    async fn accept(&mut self, stopped: &watch::Receiver<bool>) -> Infallible {
        loop {
            while let Some(ended) = self.connections.try_join_next() {
                rethrow(ended);
            }
            if self.waiting.is_none() {
                match self.acceptor.accept().await {
                    Ok(accepted) => self.waiting = self.admit(accepted),
                    // Its sender was gone before it was accepted.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => {
                        // Out of file descriptors or memory, mostly: it stays in the queue.
                        self.connection.reporter.error(Trouble::Accept);
                        sleep(PAUSE).await;
                    }
                }
                continue;
            }
            if self.places.available_permits() == 0 {
                self.connection.reporter.error(Trouble::Connections);
            }
            if let Ok(place) = Arc::clone(&self.places).acquire_owned().await {
                self.serve_waiting(place, stopped);
            }
        }
    }

    /// At shutdown, takes those that are in the kernel's queue: what they have sent is read.
    fn accept_the_last(&mut self, stopped: &watch::Receiver<bool>) {
        while let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            if self.waiting.is_none() {
                match self.acceptor.accept_now() {
                    Ok(accepted) => self.waiting = self.admit(accepted),
                    Err(_) => return,
                }
            }
            self.serve_waiting(place, stopped);
        }
    }

    fn serve_waiting(&mut self, place: OwnedSemaphorePermit, stopped: &watch::Receiver<bool>) {
        if let Some(accepted) = self.waiting.take() {
            let connection = self.connection.clone();
            self.connections.spawn(connection.serve(accepted, place, stopped.clone()));
        }
    }

    /// `None` when the sender may not send.
    fn admit(&self, accepted: Accepted) -> Option<Accepted> {
        if let Accepted::Tcp(stream, sender) = &accepted {
            if !may_send(&self.senders, sender.ip()) {
                self.connection.reporter.error(Trouble::Sender);
                return None;
            }
            // Without it, a dead sender holds a place; nothing else suffers.
            let _ = sockopt::set_tcp_keepidle(stream, KEEPALIVE);
            let _ = sockopt::set_socket_keepalive(stream, true);
        }
        Some(accepted)
    }
}

impl Acceptor {
    /// Waits for a connection. The listener is registered with the system for that time only, as a copy, so that
    /// failing to do so loses nothing.
    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) | Self::Tls(listener, _) => {
                let (stream, sender) = TcpListener::from_std(listener.try_clone()?)?.accept().await?;
                Ok(Accepted::Tcp(stream, sender))
            }
            Self::Unix(listener) => {
                let (stream, _) = UnixListener::from_std(listener.try_clone()?)?.accept().await?;
                Ok(Accepted::Unix(stream))
            }
        }
    }

    /// Takes a connection from the kernel's queue.
    fn accept_now(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) | Self::Tls(listener, _) => {
                let (stream, sender) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok(Accepted::Tcp(TcpStream::from_std(stream)?, sender))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok(Accepted::Unix(UnixStream::from_std(stream)?))
            }
        }
    }
}

/// What a connection needs to be read.
#[derive(Clone)]
struct Connection {
    feed: Arc<Mutex<Feed>>,
    reporter: Reporter,
    /// At its beginning.
    framer: Framer,
    tls: Option<TlsAcceptor>,
}

/// What became of a read.
enum Taken {
    Bytes,
    /// The sender closed the connection.
    End,
    Refused(BadCount),
}

impl Connection {
    /// Reads a connection to its end, and gives `place` back.
    async fn serve(self, accepted: Accepted, place: OwnedSemaphorePermit, stopped: watch::Receiver<bool>) {
        let _place = place;
        let reporter = self.reporter.clone();
        let served = match accepted {
            Accepted::Unix(stream) => self.read(stream, stopped).await,
            Accepted::Tcp(stream, _) => match self.tls.clone() {
                Some(tls) => self.read_encrypted(stream, tls, stopped).await,
                None => self.read(stream, stopped).await,
            },
        };
        match served {
            Ok(()) => {}
            // What rustls finds wrong is invalid data.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => reporter.error(Trouble::Tls),
            Err(_) => reporter.error(Trouble::Read),
        }
    }

    async fn read_encrypted(
        self,
        stream: TcpStream,
        tls: TlsAcceptor,
        mut stopped: watch::Receiver<bool>,
    ) -> io::Result<()> {
        let has_drained = async {
            let _ = stopped.wait_for(|stopped| *stopped).await;
            sleep(DRAIN).await;
        };
        let agreed = tokio::select! {
            agreed = timeout(HANDSHAKE, tls.accept(stream)) => agreed,
            () = has_drained => return Ok(()),
        };
        match agreed {
            Ok(Ok(stream)) => self.read(stream, stopped).await,
            Ok(Err(_)) | Err(_) => {
                self.reporter.error(Trouble::Tls);
                Ok(())
            }
        }
    }

    /// Reads to the end; at shutdown, what is there.
    async fn read<S: AsyncRead + Unpin>(mut self, mut stream: S, mut stopped: watch::Receiver<bool>) -> io::Result<()> {
        let mut reads = 0;
        // Lasts for ever until shutdown.
        let mut drained_at = None;
        loop {
            let taken = match drained_at {
                None => tokio::select! {
                    biased;
                    _ = stopped.wait_for(|stopped| *stopped) => {
                        drained_at = Some(Instant::now() + DRAIN);
                        continue;
                    }
                    taken = self.take(&mut stream) => taken,
                },
                Some(drained_at) => {
                    let quiet_at = (Instant::now() + QUIET).min(drained_at);
                    timeout_at(quiet_at, self.take(&mut stream)).await.unwrap_or(Ok(Taken::End))
                }
            };
            match taken {
                Ok(Taken::Bytes) => {}
                Ok(Taken::End) => {
                    self.finish();
                    return Ok(());
                }
                Ok(Taken::Refused(BadCount)) => {
                    self.reporter.error(Trouble::Frame);
                    return Ok(());
                }
                // TLS that is not closed in its own way: the sender was ended.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.finish();
                    return Ok(());
                }
                Err(error) => {
                    self.finish();
                    return Err(error);
                }
            }
            reads += 1;
            if reads % READS == 0 {
                yield_now().await;
            }
            if drained_at.is_some_and(|drained_at| Instant::now() >= drained_at) {
                self.finish();
                return Ok(());
            }
        }
    }

    /// Waits for bytes, and hands over what they complete. Nothing is lost when it is given up while it waits.
    async fn take<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> io::Result<Taken> {
        poll_fn(|context| {
            let mut space = [const { MaybeUninit::<u8>::uninit() }; READ];
            let mut buffer = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer))?;
            Poll::Ready(Ok(self.hand_over(buffer.filled())))
        })
        .await
    }

    fn hand_over(&mut self, bytes: &[u8]) -> Taken {
        if bytes.is_empty() {
            return Taken::End;
        }
        self.reporter.read(bytes.len());
        let mut feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = self.framer.take(bytes, &mut feed);
        feed.flush();
        match taken {
            Ok(()) => Taken::Bytes,
            Err(bad) => Taken::Refused(bad),
        }
    }

    /// Nothing comes any more.
    fn finish(&mut self) {
        let mut feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.framer.finish(&mut feed) {
            self.reporter.error(Trouble::Frame);
        }
        feed.flush();
    }
}

/// Goes on with the panic of a connection's task, which would vanish otherwise.
fn rethrow(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}
