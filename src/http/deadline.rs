//! A stream that fails with `TimedOut` when its peer does not deliver a request head, or does not take a
//! response, in time. Below hyper in the flow: hyper has no limit for slow readers, and its limit for request
//! heads also runs on idle kept-alive connections, which deserve a longer one.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::Options;

/// Where a connection stands, shared by its stream (which enforces the deadlines) and its service (which knows
/// when a request begins and ends).
#[derive(Debug)]
pub(super) struct Progress {
    state: Mutex<State>,
    head_timeout: Duration,
    idle_timeout: Duration,
    response_timeout: Duration,
}

#[derive(Debug)]
struct State {
    /// Set while the client owes the bytes of a request head.
    read_by: Option<Instant>,
    /// Set from the first request on.
    write_by: Option<Instant>,
    /// True from the end of a response until the first byte of the next request.
    is_idle: bool,
    /// The task that waits for bytes. hyper has begun to wait for the next request when it lets go of the last
    /// response, and must look again to see the deadline.
    reader: Option<Waker>,
}

impl Progress {
    /// Of a connection that was accepted just now.
    pub(super) fn new(options: &Options) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                read_by: Some(Instant::now() + options.head_timeout),
                write_by: None,
                is_idle: false,
                reader: None,
            }),
            head_timeout: options.head_timeout,
            idle_timeout: options.idle_timeout,
            response_timeout: options.response_timeout,
        })
    }

    /// A request head is complete: from now on the time of its response runs.
    pub(super) fn begin_response(&self) {
        let mut state = self.state();
        state.read_by = None;
        state.write_by = Some(Instant::now() + self.response_timeout);
        state.is_idle = false;
    }

    /// The response is in hyper's hands. The deadline for its last bytes stays.
    pub(super) fn end_response(&self) {
        let mut state = self.state();
        state.read_by = Some(Instant::now() + self.idle_timeout);
        state.is_idle = true;
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    /// True if the connection owes its client nothing but, at most, the response under way. While the client
    /// is sending a request, its first one above all, closing would leave that request without an answer.
    pub(super) fn may_close(&self) -> bool {
        let state = self.state();
        state.is_idle || state.read_by.is_none()
    }

    fn read_some(&self) {
        let mut state = self.state();
        if state.is_idle {
            state.is_idle = false;
            state.read_by = Some(Instant::now() + self.head_timeout);
        }
    }

    /// Remembers that the task of `cx` waits for bytes; returns until when it may.
    fn wait_for_bytes(&self, cx: &Context<'_>) -> Option<Instant> {
        let mut state = self.state();
        match &mut state.reader {
            Some(reader) => reader.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        state.read_by
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is plain data, valid after any panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The stream with the deadlines of a [`Progress`].
#[derive(Debug)]
pub(super) struct DeadlineStream<S> {
    stream: S,
    progress: Arc<Progress>,
    read_timer: Option<Pin<Box<Sleep>>>,
    write_timer: Option<Pin<Box<Sleep>>>,
}

impl<S> DeadlineStream<S> {
    pub(super) fn new(stream: S, progress: Arc<Progress>) -> Self {
        Self { stream, progress, read_timer: None, write_timer: None }
    }

    /// Turns what a write gave into an error if it must wait and its time is over.
    fn bounded_write<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_pending()
            && let Some(deadline) = self.progress.state().write_by
        {
            ready!(poll_until(&mut self.write_timer, deadline, cx));
            return Poll::Ready(Err(too_slow("the client did not take the response")));
        }
        polled
    }
}

/// Ready when `deadline` has passed; otherwise `cx` is woken then. The timer is kept, and moved only when the
/// deadline is another one.
fn poll_until(timer: &mut Option<Pin<Box<Sleep>>>, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
    let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
    if timer.deadline() != deadline {
        timer.as_mut().reset(deadline);
    }
    timer.as_mut().poll(cx)
}

fn too_slow(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

impl<S: AsyncRead + Unpin> AsyncRead for DeadlineStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if polled.is_ready() {
            if buffer.filled().len() > before {
                this.progress.read_some();
            }
            return polled;
        }
        // Bytes do not move the deadline of a head that has begun, or a drip of them would hold it off for ever.
        let read_by = this.progress.wait_for_bytes(cx);
        if let Some(deadline) = read_by {
            ready!(poll_until(&mut this.read_timer, deadline, cx));
            return Poll::Ready(Err(too_slow("the client did not send a request")));
        }
        Poll::Pending
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for DeadlineStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.bounded_write(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.bounded_write(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.bounded_write(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.bounded_write(cx, polled)
    }
}
