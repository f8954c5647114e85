//! What writes the log.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::harness::until;
use crate::lines::{Line, Random};

/// Pause between two writes.
const PAUSE: Duration = Duration::from_millis(5);

/// Appends random lines, some of them in two pieces, as fast as it is told, until it is ended.
pub(crate) struct Writer {
    orders: Arc<Orders>,
    thread: JoinHandle<()>,
}

/// What the writer is told, and tells.
pub(crate) struct Orders {
    /// The log.
    pub(crate) log: PathBuf,
    /// A file that whoever rotates the log makes, for it to be opened anew; it is removed when that is done.
    pub(crate) reopen: PathBuf,
    hold: AtomicBool,
    is_held: AtomicBool,
    lines: AtomicUsize,
    stop: AtomicBool,
}

impl Orders {
    /// Lines written so far.
    pub(crate) fn lines(&self) -> usize {
        self.lines.load(Relaxed)
    }

    /// Waits until something more is written.
    pub(crate) fn wait_for_more(&self) {
        let lines = self.lines();
        until("more lines", || self.lines() > lines);
    }

    /// Has nothing written while `work` is done.
    pub(crate) fn hold(&self, work: impl FnOnce()) {
        self.hold.store(true, Relaxed);
        until("a pause", || self.is_held.load(Relaxed));
        work();
        self.hold.store(false, Relaxed);
        until("the end of a pause", || !self.is_held.load(Relaxed));
    }
}

impl Writer {
    /// Begins to write about `rate` lines a second to `log`, and all of them again to `truth`.
    pub(crate) fn begin(log: &Path, truth: &Path, seed: u64, rate: usize) -> Self {
        let orders = Arc::new(Orders {
            log: log.to_owned(),
            reopen: truth.with_extension("reopen"),
            hold: AtomicBool::default(),
            is_held: AtomicBool::default(),
            lines: AtomicUsize::default(),
            stop: AtomicBool::default(),
        });
        let (mut file, mut truth) = (open(log), open(truth));
        let told = Arc::clone(&orders);
        let thread = thread::spawn(move || {
            let (mut random, started) = (Random(seed), Instant::now());
            while !told.stop.load(Relaxed) {
                if told.reopen.exists() {
                    file = open(&told.log);
                    fs::remove_file(&told.reopen).unwrap();
                }
                let hold = told.hold.load(Relaxed);
                told.is_held.store(hold, Relaxed);
                if hold {
                    thread::sleep(PAUSE);
                    continue;
                }
                let due = (started.elapsed().as_secs_f64() * rate as f64) as usize;
                let mut text = Vec::new();
                for _ in told.lines()..due {
                    text.extend_from_slice(&Line::of(random.number()).0);
                    text.push(b'\n');
                }
                truth.write_all(&text).unwrap();
                // A line may be seen before it is complete.
                let (first, second) = text.split_at(random.below(text.len() + 1));
                for piece in [first, second] {
                    file.write_all(piece).unwrap();
                    thread::sleep(PAUSE);
                }
                told.lines.fetch_max(due, Relaxed);
            }
        });
        Self { orders, thread }
    }

    pub(crate) fn orders(&self) -> Arc<Orders> {
        Arc::clone(&self.orders)
    }

    /// Ends; returns the lines written.
    pub(crate) fn end(self) -> usize {
        self.orders.stop.store(true, Relaxed);
        self.thread.join().unwrap();
        self.orders.lines()
    }
}

fn open(path: &Path) -> File {
    File::options().append(true).create(true).open(path).unwrap()
}
