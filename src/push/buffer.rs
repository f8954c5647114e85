//! What waits for a server, in order and within a limit.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::body::Bytes;
use tokio::sync::Notify;

/// The content of one request.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) content: Bytes,
    /// Samples, or data points, in it.
    pub(super) samples: u64,
}

/// Batches that no server has yet.
#[derive(Debug)]
pub(super) struct Buffer {
    waiting: Mutex<Waiting>,
    changed: Notify,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    batches: VecDeque<Batch>,
    /// The number of the first one.
    first: u64,
    bytes: usize,
    is_closed: bool,
}

impl Buffer {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { waiting: Mutex::default(), changed: Notify::new(), max_bytes }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds `batches`; returns how many samples went to make room for them, the oldest.
    pub(super) fn add(&self, batches: Vec<Batch>) -> u64 {
        let mut waiting = self.waiting();
        waiting.bytes += batches.iter().map(|batch| batch.content.len()).sum::<usize>();
        waiting.batches.extend(batches);
        let mut dropped = 0;
        while waiting.bytes > self.max_bytes {
            dropped += waiting.take_first();
        }
        self.changed.notify_one();
        dropped
    }

    /// Nothing more is added.
    pub(super) fn close(&self) {
        self.waiting().is_closed = true;
        self.changed.notify_one();
    }

    /// The first batch with its number, once there is one; `None` when there will be none.
    pub(super) async fn first(&self) -> Option<(u64, Batch)> {
        loop {
            {
                let waiting = self.waiting();
                match waiting.batches.front() {
                    Some(batch) => return Some((waiting.first, batch.clone())),
                    None if waiting.is_closed => return None,
                    None => {}
                }
            }
            self.changed.notified().await;
        }
    }

    /// Batch `number`, which was the first one, needs to wait no more.
    pub(super) fn done(&self, number: u64) {
        let mut waiting = self.waiting();
        // It may have gone to make room.
        if waiting.first == number {
            waiting.take_first();
        }
    }

    /// Bytes that wait, and samples in them.
    pub(super) fn held(&self) -> (usize, u64) {
        let waiting = self.waiting();
        (waiting.bytes, waiting.batches.iter().map(|batch| batch.samples).sum())
    }
}

impl Waiting {
    fn take_first(&mut self) -> u64 {
        let Some(batch) = self.batches.pop_front() else { return 0 };
        self.first += 1;
        self.bytes -= batch.content.len();
        batch.samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(bytes: usize, samples: u64) -> Batch {
        Batch { content: Bytes::from(vec![0; bytes]), samples }
    }

    #[tokio::test]
    async fn the_oldest_goes_first() {
        let buffer = Buffer::new(100);
        assert_eq!(buffer.add(vec![batch(40, 1), batch(40, 2)]), 0);
        let Some((number, first)) = buffer.first().await else { panic!("two wait") };
        assert_eq!((number, first.samples), (0, 1));
        // It goes while it is under way.
        assert_eq!(buffer.add(vec![batch(50, 3)]), 1);
        buffer.done(number);
        assert_eq!(buffer.held(), (90, 5));
        let Some((number, second)) = buffer.first().await else { panic!("two wait") };
        assert_eq!((number, second.samples), (1, 2));
        buffer.done(number);
        buffer.close();
        buffer.done(2);
        assert_eq!((buffer.held(), buffer.first().await.is_none()), ((0, 0), true));
    }
}
