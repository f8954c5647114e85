//! What writes the log.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::lines::{Line, Random};

/// Pause between two writes.
const PAUSE: Duration = Duration::from_millis(5);

/// Appends random lines, some of them in two pieces, as fast as it is told, until it is ended.
pub(crate) struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Writer {
    /// Begins to write about `rate` lines a second to the log at `path`.
    pub(crate) fn begin(path: &Path, seed: u64, rate: usize) -> Self {
        let mut file = File::options().append(true).create(true).open(path).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let (mut random, started, mut lines) = (Random(seed), Instant::now(), 0);
            while !stopped.load(Relaxed) {
                let due = (started.elapsed().as_secs_f64() * rate as f64) as usize;
                let mut text = Vec::new();
                for _ in lines..due {
                    text.extend_from_slice(&Line::of(random.number()).0);
                    text.push(b'\n');
                }
                lines = lines.max(due);
                // A line may be seen before it is complete.
                let (first, second) = text.split_at(random.below(text.len() + 1));
                for piece in [first, second] {
                    file.write_all(piece).unwrap();
                    thread::sleep(PAUSE);
                }
            }
            lines
        });
        Self { stop, thread }
    }

    /// Ends; returns the lines written.
    pub(crate) fn end(self) -> usize {
        self.stop.store(true, Relaxed);
        self.thread.join().unwrap()
    }
}
