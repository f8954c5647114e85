//! Following files: a task each, one watcher for all, and a way to add and remove files meanwhile.

use std::collections::HashMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet, yield_now};
use tokio::time::{Duration, Instant, sleep_until};

use super::look::{Outcome, Tail};
use super::pace::Pace;
use super::pattern::Pattern;
use super::wake::{Ask, Signals, Wake, Watcher};
use super::{File, Options};
use crate::source::Status;

/// What may wait to be said to the watcher; a follower that says more waits itself.
const ASKS: usize = 64;

/// Follows files.
///
/// Its telemetry goes to the `metrics` recorder that is installed when a file is added.
pub struct Tailer {
    files: Vec<Prepared>,
    handle: Handle,
    commands: mpsc::UnboundedReceiver<Command>,
}

/// Adds files to a [`Tailer`] and removes them, before it runs and while it does.
#[derive(Clone)]
pub struct Handle {
    commands: mpsc::UnboundedSender<Command>,
    options: Arc<Options>,
}

/// A file that can be followed.
struct Prepared {
    path: PathBuf,
    /// The pattern that it matched.
    source: Option<PathBuf>,
    tail: Tail,
    status: Arc<Status>,
}

enum Command {
    Add(Box<Prepared>),
    AddPattern(Box<Pattern>, Arc<Status>),
    Remove(PathBuf, oneshot::Sender<()>),
}

impl Tailer {
    /// Prepares to follow `files`; nothing is opened before [`run`](Self::run).
    pub fn new(files: Vec<File>, options: Options) -> Self {
        let (sender, commands) = mpsc::unbounded_channel();
        let handle = Handle { commands: sender, options: Arc::new(options) };
        let files = files.into_iter().map(|file| handle.prepare(file)).collect();
        Tailer { files, handle, commands }
    }

    /// Where each file stands, in the order given to [`new`](Self::new); stays current while it runs.
    pub fn statuses(&self) -> Vec<(PathBuf, Arc<Status>)> {
        self.files.iter().map(|file| (file.path.clone(), Arc::clone(&file.status))).collect()
    }

    /// For adding and removing files.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Follows the files until `shutdown` is ready, looks at each a last time, and drops the sinks. Must be
    /// called on a tokio runtime with time enabled; each file gets a task of its own, which reads and calls
    /// its sink without leaving the thread and yields between looks.
    ///
    /// # Panics
    /// When a sink panicked.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Tailer { files, handle, mut commands } = self;
        let options = Arc::clone(&handle.options);
        let (asks, asked) = mpsc::channel(ASKS);
        let (stop, stopped) = watch::channel(false);
        let watcher = Watcher::new(asked, (options.coalesce, options.tick), options.wakes);
        let watching = tokio::spawn(watcher.run(stopped));
        let mut following = Following { handle, asks, tasks: JoinSet::new(), entries: HashMap::new(), next: 0 };
        for file in files {
            following.add(file).await;
        }
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(command) = commands.recv() => following.obey(command).await,
                Some(ended) = following.tasks.join_next() => following.ended(ended).await,
            }
        }
        for entry in following.entries.values() {
            entry.stop.send_replace(true);
        }
        stop.send_replace(true);
        while let Some(ended) = following.tasks.join_next().await {
            following.ended(ended).await;
        }
        let _ = watching.await;
    }
}

impl Handle {
    /// Follows one more file, from [`File::start`] or a position on, and tells where it stands. Nothing happens
    /// once the tailer has ended.
    pub fn add(&self, file: File) -> Arc<Status> {
        let prepared = self.prepare(file);
        let status = Arc::clone(&prepared.status);
        let _ = self.commands.send(Command::Add(Box::new(prepared)));
        status
    }

    /// Follows every file that matches `pattern`, and tells where they stand together.
    pub fn add_pattern(&self, pattern: Pattern) -> Arc<Status> {
        let status = Arc::new(Status::default());
        let _ = self.commands.send(Command::AddPattern(Box::new(pattern), Arc::clone(&status)));
        status
    }

    /// Looks at the file at `path`, or the files that match the pattern `path`, a last time, drops the sinks, and
    /// returns then. [`Sink::left`](crate::source::Sink::left) is not called: the files are still there.
    pub async fn remove(&self, path: &Path) {
        let (done, is_done) = oneshot::channel();
        let _ = self.commands.send(Command::Remove(path.to_owned(), done));
        let _ = is_done.await;
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    fn prepare(&self, file: File) -> Prepared {
        let status = Arc::new(Status::default());
        let (path, source) = (file.path.clone(), file.source.clone());
        let tail = Tail::new(file, &self.options, Arc::clone(&status));
        Prepared { path, source, tail, status }
    }
}

/// What runs.
struct Following {
    handle: Handle,
    asks: mpsc::Sender<Ask>,
    /// Each ends with its number.
    tasks: JoinSet<usize>,
    entries: HashMap<usize, Entry>,
    next: usize,
}

/// A followed file, or a pattern.
struct Entry {
    path: PathBuf,
    source: Option<PathBuf>,
    status: Arc<Status>,
    stop: watch::Sender<bool>,
    /// Who waits for its end.
    waiting: Vec<Arc<oneshot::Sender<()>>>,
}

impl Following {
    async fn obey(&mut self, command: Command) {
        match command {
            Command::Add(file) => self.add(*file).await,
            Command::AddPattern(pattern, status) => {
                let (path, handle) = (pattern.path(), self.handle.clone());
                let (number, stopped) = self.enter(path, None, Arc::clone(&status));
                self.tasks.spawn(async move {
                    pattern.run(handle, status, stopped).await;
                    number
                });
            }
            Command::Remove(path, done) => {
                let done = Arc::new(done);
                let is_meant = |entry: &&mut Entry| entry.path == path || entry.source.as_ref() == Some(&path);
                for entry in self.entries.values_mut().filter(is_meant) {
                    entry.stop.send_replace(true);
                    entry.waiting.push(Arc::clone(&done));
                }
            }
        }
    }

    async fn add(&mut self, file: Prepared) {
        let is_wanted =
            |source: &PathBuf| self.entries.values().any(|entry| entry.path == *source && !*entry.stop.borrow());
        if !file.source.as_ref().is_none_or(is_wanted) {
            // Its pattern was removed meanwhile.
            file.status.leave();
            return;
        }
        let Prepared { path, source, tail, status } = file;
        let (number, stopped) = self.enter(path.clone(), source, Arc::clone(&status));
        let wake = Arc::new(Wake::default());
        let options = &self.handle.options;
        let follower = Follower {
            number,
            tail,
            pace: Pace::new(options.coalesce, options.tick, options.wakes),
            wake: Arc::clone(&wake),
            asks: self.asks.clone(),
            coalesce: options.coalesce,
        };
        // The watcher ends only at shutdown, when nobody needs it any more.
        let _ = self.asks.send(Ask::Follow(number, path, wake)).await;
        self.tasks.spawn(async move {
            follower.run(stopped).await;
            number
        });
    }

    fn enter(&mut self, path: PathBuf, source: Option<PathBuf>, status: Arc<Status>) -> (usize, watch::Receiver<bool>) {
        let number = self.next;
        self.next += 1;
        let (stop, stopped) = watch::channel(false);
        self.entries.insert(number, Entry { path, source, status, stop, waiting: Vec::new() });
        (number, stopped)
    }

    /// Strikes off a task that has ended, and goes on with its panic, which would vanish otherwise.
    async fn ended(&mut self, ended: Result<usize, JoinError>) {
        match ended {
            Ok(number) => {
                if let Some(entry) = self.entries.remove(&number) {
                    entry.status.leave();
                }
                let _ = self.asks.send(Ask::Leave(number)).await;
            }
            Err(error) => {
                if let Ok(panic) = error.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
            }
        }
    }
}

/// The task of one file.
struct Follower {
    number: usize,
    tail: Tail,
    pace: Pace,
    wake: Arc<Wake>,
    asks: mpsc::Sender<Ask>,
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
            if outcome.gone {
                return self.tail.leave();
            }
            let plan = self.pace.plan(&outcome, signals);
            if plan.gave_up {
                self.tail.watch_failed();
            }
            if let Some(request) = plan.request {
                // The watcher ends only at shutdown, when nothing more is asked of it.
                let _ = self.asks.send(Ask::Request(self.number, request)).await;
            }
            if plan.next_in.is_none() || outcome.read == 0 {
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
