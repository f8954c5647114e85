//! Renders the exposition for scrapes, into buffers that are reused.
//!
//! Rendering runs on tokio's blocking threads: it takes locks that the sources' workers hold for a block at a time,
//! so on an async worker it could hold up the health answers and every other connection.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hyper::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Pages;

/// Renders one exposition at a time. Scrapes that were waiting when a rendering began share its result; later
/// ones do not, so that nobody gets samples older than his request.
pub(super) struct Scrapes {
    pages: Arc<dyn Pages>,
    /// Numbers the arrivals of scrapes and the beginnings of renderings in one sequence.
    sequence: AtomicU64,
    /// Scrapes inside [`Scrapes::exposition`].
    waiting: AtomicUsize,
    /// When the last rendering began, and its result as long as somebody waits who may share it.
    last: tokio::sync::Mutex<Option<(u64, Arc<Exposition>)>>,
    /// One permit for each exposition alive.
    alive: Arc<Semaphore>,
    spare: Arc<Spare>,
}

/// Buffers of finished responses, kept for the next. Two, since steady scraping by a pair of servers needs no
/// more: what a burst made beyond them is freed.
#[derive(Default)]
struct Spare(Mutex<Vec<Vec<u8>>>);

impl Spare {
    const MAX: usize = 2;

    fn take(&self) -> Vec<u8> {
        let mut buffers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buffers.pop().unwrap_or_default()
    }

    fn give_back(&self, mut buffer: Vec<u8>) {
        // Growing may have left the buffer with more room than any rendering needs. Keep twice of this one.
        let wanted = buffer.len().saturating_mul(2);
        buffer.clear();
        buffer.shrink_to(wanted);
        let mut buffers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buffers.len() < Self::MAX {
            buffers.push(buffer);
        }
    }
}

/// A rendered exposition. Its buffer and its permit go back when the last response has been written.
struct Exposition {
    text: Vec<u8>,
    spare: Arc<Spare>,
    _alive: OwnedSemaphorePermit,
}

impl Drop for Exposition {
    fn drop(&mut self) {
        self.spare.give_back(std::mem::take(&mut self.text));
    }
}

/// One response's share of an exposition, in the shape that `Bytes::from_owner` takes.
struct Share(Arc<Exposition>);

impl AsRef<[u8]> for Share {
    fn as_ref(&self) -> &[u8] {
        &self.0.text
    }
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
            spare: Arc::default(),
        }
    }

    /// The exposition as of now. Waits while other scrapes render, and while slow readers hold every exposition
    /// that may be alive; the caller limits the wait.
    ///
    /// # Errors
    ///
    /// Rendering panicked.
    pub(super) async fn exposition(&self) -> io::Result<Bytes> {
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
                let (began, exposition) = self.render().await?;
                *last = Some((began, Arc::clone(&exposition)));
                exposition
            }
        };
        if waiting.end() {
            *last = None;
        }
        Ok(Bytes::from_owner(Share(exposition)))
    }

    /// Renders anew; returns when that began, too.
    async fn render(&self) -> io::Result<(u64, Arc<Exposition>)> {
        let permit = Arc::clone(&self.alive).acquire_owned().await.map_err(io::Error::other)?;
        let began = self.sequence.fetch_add(1, Ordering::Relaxed);
        let pages = Arc::clone(&self.pages);
        let spare = Arc::clone(&self.spare);
        // The permit goes along: if the client leaves, the rendering ends by itself and is still counted.
        let exposition = tokio::task::spawn_blocking(move || {
            let mut text = spare.take();
            pages.exposition(&mut text);
            Arc::new(Exposition { text, spare, _alive: permit })
        })
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
