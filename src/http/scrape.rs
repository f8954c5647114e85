//! Takes what is shown, for simultaneous scrapes together.
//!
//! That runs on tokio's blocking threads: it takes locks that the sources' workers hold for a block at a time,
//! so on an async worker it could hold up the health answers and every other connection.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Pages;
use crate::exposition::Exposition;

/// Takes one exposition at a time. Scrapes that were waiting when that began share the result; later
/// ones do not, so that nobody gets samples older than his request.
pub(super) struct Scrapes {
    pages: Arc<dyn Pages>,
    /// Numbers the arrivals of scrapes and the beginnings of expositions in one sequence.
    sequence: AtomicU64,
    /// Scrapes inside [`Scrapes::exposition`].
    waiting: AtomicUsize,
    /// When the last one began, and it itself as long as somebody waits who may share it.
    last: tokio::sync::Mutex<Option<(u64, Arc<Alive>)>>,
    /// One permit for each exposition alive.
    alive: Arc<Semaphore>,
}

/// An exposition that responses are written from. Its permit goes back when the last of them has ended.
pub(super) struct Alive {
    pub(super) exposition: Arc<Exposition>,
    _permit: OwnedSemaphorePermit,
}

impl Scrapes {
    /// Keeps at most `max_alive` expositions in memory, at least 1.
    pub(super) fn new(pages: Arc<dyn Pages>, max_alive: usize) -> Self {
        Self {
            pages,
            sequence: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            last: tokio::sync::Mutex::new(None),
            alive: Arc::new(Semaphore::new(max_alive.clamp(1, Semaphore::MAX_PERMITS))),
        }
    }

    /// The exposition as of now. Waits while others are taken, and while slow readers hold every exposition
    /// that may be alive; the caller limits the wait.
    ///
    /// # Errors
    ///
    /// Taking it panicked.
    pub(super) async fn exposition(&self) -> io::Result<Arc<Alive>> {
        let arrived = self.sequence.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting::begin(&self.waiting);
        let mut last = self.last.lock().await;
        let exposition = match last.take() {
            Some((began, exposition)) if began > arrived => {
                *last = Some((began, Arc::clone(&exposition)));
                exposition
            }
            // An older one is given up first: it counts among those alive.
            older => {
                drop(older);
                let (began, exposition) = self.expose().await?;
                *last = Some((began, Arc::clone(&exposition)));
                exposition
            }
        };
        if waiting.end() {
            *last = None;
        }
        Ok(exposition)
    }

    /// Takes a new one; returns when that began, too.
    async fn expose(&self) -> io::Result<(u64, Arc<Alive>)> {
        let permit = Arc::clone(&self.alive).acquire_owned().await.map_err(io::Error::other)?;
        let began = self.sequence.fetch_add(1, Ordering::Relaxed);
        let pages = Arc::clone(&self.pages);
        // The permit goes along: if the client leaves, taking it ends by itself and is still counted.
        let exposition =
            tokio::task::spawn_blocking(move || Arc::new(Alive { exposition: pages.exposition(), _permit: permit }))
                .await
                .map_err(io::Error::other)?;
        Ok((began, exposition))
    }
}

/// Counts a scrape among the waiting ones until it is dropped, be it because its client has left.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }

    /// Ends the wait; true if no other scrape waits. Called under the lock of `Scrapes::last`, so that one of
    /// two that leave together knows to be the last.
    fn end(self) -> bool {
        let Self(waiting) = self;
        std::mem::forget(self);
        waiting.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
