//! Every bound of the endpoint, with its default and its reason.

use std::io;
use std::time::Duration;

/// Bounds of the endpoint. `Options::default()` is right for a server that Prometheus scrapes.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Longest wait for a complete request head, from the connection or from the head's first byte: 10 s.
    pub head_timeout: Duration,
    /// Longest wait for the next request on a kept-alive connection: 90 s, which spans the usual scrape
    /// intervals. While every connection slot is taken, idle connections are closed at once instead.
    pub idle_timeout: Duration,
    /// Longest time from a complete request head until the client has taken the whole response: 60 s. Waiting for an
    /// exposition has the same limit of its own, and answers 503 when it passes.
    pub response_timeout: Duration,
    /// Longest wait for responses under way at shutdown: 5 s. Then their connections are cut.
    pub shutdown_timeout: Duration,
    /// Connections served at once: 64. Further ones wait in the kernel's accept queue. At least 1.
    pub max_connections: usize,
    /// Most bytes of a request head: 16 KiB. Beyond it the answer is 431. At least 8 KiB, hyper's own minimum.
    pub max_head_bytes: usize,
    /// Expositions alive at once, copies of all counts: 4. Scrapes that come while one is waiting to be made share it, so
    /// that neither a burst of scrapes nor slow readers multiply memory. At least 1. What is written of one takes memory only
    /// for 64 KiB at a time, and below 1 MiB for packing it.
    pub max_expositions: usize,
    /// Told of each failure to accept a connection, out of file descriptors for example, before the pause that
    /// follows it (10 ms, doubling up to 1 s). Does nothing by default.
    pub on_accept_error: fn(&io::Error),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(90),
            response_timeout: Duration::from_secs(60),
            shutdown_timeout: Duration::from_secs(5),
            max_connections: 64,
            max_head_bytes: 16 * 1024,
            max_expositions: 4,
            on_accept_error: |_| {},
        }
    }
}

/// First pause after a failure to accept.
pub(super) const ACCEPT_PAUSE_FIRST: Duration = Duration::from_millis(10);
/// Longest pause after repeated failures to accept.
pub(super) const ACCEPT_PAUSE_LONGEST: Duration = Duration::from_secs(1);
/// hyper panics on a smaller request head limit.
pub(super) const MIN_HEAD_BYTES: usize = 8 * 1024;
