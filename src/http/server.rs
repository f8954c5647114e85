//! Accepts connections within the bounds of [`Options`], and ends them in an orderly way.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::content::Tracked;
use super::deadline::{DeadlineStream, Progress};
use super::options::{ACCEPT_PAUSE_FIRST, ACCEPT_PAUSE_LONGEST, MIN_HEAD_BYTES};
use super::routes::Routes;
use super::{Options, Pages};

/// Serves `pages` on `listener` until `shutdown` completes, then lets the responses under way finish, for at
/// most [`Options::shutdown_timeout`]. The listener closes as soon as `shutdown` completes. Needs a tokio runtime
/// with time and I/O.
///
/// # Errors
///
/// The listener cannot be made ready for tokio. Failures to accept a connection are retried, not returned.
pub async fn serve(
    listener: TcpListener,
    pages: Arc<dyn Pages>,
    options: Options,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let slots = options.max_connections.clamp(1, MAX_SLOTS as usize);
    let (closing, is_closing) = watch::channel(false);
    let mut server = Server {
        connection: Connection {
            routes: Arc::new(Routes::new(pages, &options)),
            options,
            slots: Arc::new(Semaphore::new(slots)),
            is_closing,
            is_full: Arc::new(Notify::new()),
        },
        connections: JoinSet::new(),
    };
    let mut shutdown = pin!(shutdown);
    tokio::select! {
        biased;
        () = &mut shutdown => {}
        never = server.accept(&listener) => match never {},
    }
    drop(listener);
    // Nobody listening means that no connection is left.
    let _ = closing.send(true);
    let all_closed = async { while server.connections.join_next().await.is_some() {} };
    // Dropping the server cuts the connections that are left when the time is over.
    let _ = tokio::time::timeout(options.shutdown_timeout, all_closed).await;
    Ok(())
}

/// Beyond this many connections, file descriptors are the limit.
const MAX_SLOTS: u32 = 1 << 16;

struct Server {
    connection: Connection,
    /// Every open connection. Dropping it ends them.
    connections: JoinSet<()>,
}

impl Server {
    /// Accepts for ever. A slot is taken before the connection is accepted: what finds none stays in the kernel's
    /// queue.
    async fn accept(&mut self, listener: &tokio::net::TcpListener) -> Infallible {
        let mut pause = ACCEPT_PAUSE_FIRST;
        loop {
            while self.connections.try_join_next().is_some() {}
            let Ok(slot) = Arc::clone(&self.connection.slots).acquire_owned().await else {
                // The semaphore is never closed; if it were, there would be nothing left to accept.
                return std::future::pending().await;
            };
            let error = match listener.accept().await {
                Ok((stream, _)) => {
                    pause = ACCEPT_PAUSE_FIRST;
                    // Responses are written in large pieces: waiting to fill packets would only delay them. Failure
                    // costs nothing but that delay.
                    let _ = stream.set_nodelay(true);
                    let connection = self.connection.clone();
                    self.connections.spawn(connection.serve(stream, slot));
                    if self.connection.slots.available_permits() == 0 {
                        // Idle connections must not keep others waiting.
                        self.connection.is_full.notify_waiters();
                    }
                    continue;
                }
                Err(error) => error,
            };
            (self.connection.options.on_accept_error)(&error);
            pause = self.rest(&error, pause).await;
        }
    }

    /// Waits as `error` asks for; returns the next pause.
    async fn rest(&self, error: &io::Error, pause: Duration) -> Duration {
        match error.kind() {
            // The client was gone before it was accepted. The next one may be there.
            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted => {
                ACCEPT_PAUSE_FIRST
            }
            // Out of file descriptors or memory, mostly. The connection stays in the queue, and accepting it
            // would fail again at once. Idle connections hold descriptors.
            _ => {
                self.connection.is_full.notify_waiters();
                tokio::time::sleep(pause).await;
                (pause * 2).min(ACCEPT_PAUSE_LONGEST)
            }
        }
    }
}

/// What a connection needs to be served.
#[derive(Clone)]
struct Connection {
    routes: Arc<Routes>,
    options: Options,
    /// One permit for each connection that may be open.
    slots: Arc<Semaphore>,
    /// Turns true at shutdown.
    is_closing: watch::Receiver<bool>,
    /// Notified when the last slot is taken, or file descriptors run out.
    is_full: Arc<Notify>,
}

impl Connection {
    /// Serves one connection to its end, and gives `slot` back.
    async fn serve<S>(mut self, stream: S, slot: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let _slot = slot;
        let progress = Progress::new(&self.options);
        let routes = Arc::clone(&self.routes);
        let of_service = Arc::clone(&progress);
        let slots = Arc::clone(&self.slots);
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            of_service.begin_response();
            let routes = Arc::clone(&routes);
            let progress = Arc::clone(&of_service);
            let slots = Arc::clone(&slots);
            async move {
                // The body is dropped unread: hyper closes the connection after the response if it matters.
                let (head, _) = request.into_parts();
                let mut response = routes.answer(&head).await;
                if slots.available_permits() == 0 {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(header::CONNECTION, close);
                }
                Ok::<_, Infallible>(response.map(|content| Tracked::new(content, progress)))
            }
        });
        let stream = TokioIo::new(DeadlineStream::new(stream, Arc::clone(&progress)));
        let mut connection = pin!(
            http1::Builder::new()
                // The stream has deadlines of its own.
                .header_read_timeout(None)
                .max_buf_size(self.options.max_head_bytes.max(MIN_HEAD_BYTES))
                .serve_connection(stream, service)
        );
        let mut closes = false;
        loop {
            let closes_now = tokio::select! {
                // How a connection failed is its client's business: it is gone.
                _ = connection.as_mut() => return,
                _ = self.is_closing.wait_for(|is_closing| *is_closing), if !closes => true,
                () = self.is_full.notified(), if !closes => progress.may_close(),
            };
            if closes_now {
                closes = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
