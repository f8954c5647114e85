//! Files: replayed once to their end ([`replay`]), or followed while they grow ([`Tailer`]).
//!
//! A followed file is one task that looks at it (`look`), at times that `pace` decides from what the looks
//! found and from wakes, which one watcher for all files gives (`wake`). Truth is what a look reads through
//! its own open handle; a wake only says "look now", so a lost, late or wrong one costs time, never a line.
//! Both ways of reading cut the bytes into blocks of whole lines with the same code (`lines`).
//!
//! # What is delivered
//! Every line of the file once, also over renames. The last line is held back until its newline is there,
//! or until the file has been left for its successor. Not recovered are: lines of a file that came and went
//! between two looks, and lines that were cut off before a look read them.

mod fingerprint;
mod generation;
mod lines;
mod look;
mod pace;
mod packed;
mod replay;
mod siblings;
mod wake;

use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep_until};

use crate::source::{Identity, Sink, Status};

pub use fingerprint::Fingerprint;
pub use replay::replay;

use look::{Outcome, Tail};
use pace::Pace;
use wake::{Request, Signals, Wake, Watcher};

/// Requests to the watcher that may wait for it; a follower that sends more waits itself.
const REQUESTS: usize = 64;

/// Where to begin in a file that is there at the start. One that appears later is read from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At offset 0.
    Beginning,
    /// Behind the last whole line.
    End,
}

/// How files are read.
#[derive(Clone, Debug)]
pub struct Options {
    /// Longest line delivered whole (bytes, without its newline), at least 1.
    pub max_line_bytes: usize,
    /// Least room for one read (bytes), at least 1. With `max_line_bytes` it is the memory a file takes
    /// while it is read; a quiet file takes none.
    pub block_bytes: usize,
    /// Where to begin in a file without a position to resume from.
    pub start: Start,
    /// A file is looked at at most this often; more often only to catch up with a backlog.
    pub coalesce: Duration,
    /// Every file is looked at at least this often, whatever the system says of it. Missing files are tried
    /// again after pauses that grow from `coalesce` to this.
    pub tick: Duration,
    /// How long a file that has a successor with something in it must have been quiet before it is left.
    pub linger: Duration,
    /// Ask the system for wakes. Without, files are polled every ten `coalesce`, which serves file systems
    /// that give none.
    pub wakes: bool,
}

impl Default for Options {
    /// For following files: 64 KiB lines, 256 KiB blocks, from the end, a look at most every 100 ms and at
    /// least every 10 s, a second's linger, with wakes.
    fn default() -> Self {
        Options {
            max_line_bytes: 65_536,
            block_bytes: 256 * 1024,
            start: Start::End,
            coalesce: Duration::from_millis(100),
            tick: Duration::from_secs(10),
            linger: Duration::from_secs(1),
            wakes: true,
        }
    }
}

impl Options {
    /// For [`replay`]: blocks of 1 MiB.
    pub fn for_replay() -> Self {
        Options { block_bytes: 1024 * 1024, start: Start::Beginning, ..Options::default() }
    }
}

/// A place in a file, from which reading resumes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The file.
    pub file: Identity,
    /// What it begins with, since inodes are used again.
    pub fingerprint: Fingerprint,
    /// Offset (bytes) behind the last line that was counted, as [`Block::end`](crate::source::Block::end)
    /// gave it.
    pub offset: u64,
    /// Most bytes that the file was seen to have: what lies behind the offset is known to exist. Of a compressed
    /// file, what is known of its contents.
    pub size: u64,
    /// Time (nanoseconds since 1970) of the last change of the file that was seen; 0 when unknown. What was
    /// changed later may be newer.
    pub modified_ns: u64,
    /// What the file that was read before this one begins with.
    pub predecessor: Fingerprint,
}

/// One file to follow.
pub struct File {
    path: PathBuf,
    sink: Box<dyn Sink>,
    resume: Option<Position>,
    start: Option<Start>,
    gone_after: Option<Duration>,
    /// The source it is one of many files of.
    source: Option<String>,
}

impl File {
    /// Follows what is at `path`, through symbolic links, and hands its lines to `sink`.
    pub fn new(path: impl Into<PathBuf>, sink: Box<dyn Sink>) -> Self {
        File { path: path.into(), sink, resume: None, start: None, gone_after: None, source: None }
    }

    /// Begins at `position` if the file at the path is the one it names and reaches that far; otherwise at
    /// the beginning of whatever is at the path.
    #[must_use]
    pub fn resume(mut self, position: Position) -> Self {
        self.resume = Some(position);
        self
    }
}

/// Follows files.
///
/// Its telemetry goes to the `metrics` recorder that is installed when it is made.
pub struct Tailer {
    files: Vec<(PathBuf, Tail, Arc<Status>)>,
    options: Options,
}

impl Tailer {
    /// Prepares to follow `files`; nothing is opened before [`run`](Self::run).
    pub fn new(files: Vec<File>, options: Options) -> Self {
        let prepared = |file: File| {
            let status = Arc::new(Status::default());
            let path = file.path.clone();
            let tail = Tail::new(file, &options, Arc::clone(&status));
            (path, tail, status)
        };
        Tailer { files: files.into_iter().map(prepared).collect(), options }
    }

    /// Where each file stands, in the order given to [`new`](Self::new); stays current while it runs.
    pub fn statuses(&self) -> Vec<(PathBuf, Arc<Status>)> {
        let shown = |(path, _, status): &(PathBuf, Tail, Arc<Status>)| (path.clone(), status.clone());
        self.files.iter().map(shown).collect()
    }

    /// Follows the files until `shutdown` is ready, looks at each a last time, and drops the sinks. Must be
    /// called on a tokio runtime with time enabled; each file gets a task of its own, which reads and calls
    /// its sink without leaving the thread and yields between looks.
    ///
    /// # Panics
    /// When a sink panicked.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let (stop, stopped) = watch::channel(false);
        let (requests, asked) = mpsc::channel(REQUESTS);
        let mut tasks = JoinSet::new();
        let mut watched = Vec::with_capacity(self.files.len());
        for (index, (path, tail, _)) in self.files.into_iter().enumerate() {
            let wake = Arc::new(Wake::default());
            watched.push((path, Arc::clone(&wake)));
            let options = &self.options;
            let follower = Follower {
                index,
                tail,
                pace: Pace::new(options.coalesce, options.tick, options.wakes),
                wake,
                requests: requests.clone(),
                coalesce: options.coalesce,
            };
            tasks.spawn(follower.run(stopped.clone()));
        }
        let intervals = (self.options.coalesce, self.options.tick);
        let watcher = Watcher::new(watched, asked, intervals, self.options.wakes);
        tasks.spawn(watcher.run(stopped));

        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(ended) = tasks.join_next() => rethrow(ended),
            }
        }
        stop.send_replace(true);
        while let Some(ended) = tasks.join_next().await {
            rethrow(ended);
        }
    }
}

/// Goes on with the panic of a task, which would vanish otherwise.
fn rethrow(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}

/// The task of one file.
struct Follower {
    index: usize,
    tail: Tail,
    pace: Pace,
    wake: Arc<Wake>,
    requests: mpsc::Sender<(usize, Request)>,
    coalesce: Duration,
}

impl Follower {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let mut signals = Signals::default();
        loop {
            let looked_at = Instant::now();
            let outcome = self.look_to_the_end(&stopped).await;
            if *stopped.borrow() {
                return;
            }
            let plan = self.pace.plan(&outcome, signals);
            if plan.gave_up {
                self.tail.watch_failed();
            }
            if let Some(request) = plan.request {
                // The watcher ends only at shutdown, when nothing more is asked of it.
                let _ = self.requests.send((self.index, request)).await;
            }
            if plan.next_in.is_none() {
                self.tail.release();
            }
            let due = plan.next_in.map(|next_in| looked_at + next_in);
            tokio::select! {
                _ = stopped.changed() => {}
                () = self.wake.wait() => {
                    tokio::select! {
                        _ = stopped.changed() => {}
                        () = sleep_until(looked_at + self.coalesce) => {}
                    }
                }
                () = sleep_until(due.unwrap_or(looked_at)), if due.is_some() => {}
            }
            signals = self.wake.take();
            if self.pace.hear(signals) {
                self.tail.watch_failed();
            }
        }
    }

    /// Looks until nothing more is there at once, letting others run in between. At shutdown one look is
    /// enough: what it leaves is read by the next run.
    async fn look_to_the_end(&mut self, stopped: &watch::Receiver<bool>) -> Outcome {
        let mut outcome = self.tail.look(std::time::Instant::now());
        while outcome.more && !*stopped.borrow() {
            yield_now().await;
            outcome = self.tail.look(std::time::Instant::now()).after(outcome);
        }
        outcome
    }
}
