//! When checkpoints are made, and which one is shown.
//!
//! With a state, a scrape asks for a checkpoint unless the last one is recent, and shows the last one that has been
//! committed. Commits are made by a thread of their own, so that a slow disk holds up neither counting nor, for
//! long, a scrape. Without a state, everything is shown as it is.
//!
//! Each checkpoint is compared with the one before, so that it is known when rows changed: always with a state, which keeps
//! that; without one only if rows can expire.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{io, thread};

use super::{Clock, Pipeline, Say, lock};
use crate::metrics::own::StateTelemetry;
use crate::state::{Checkpoint, Error, Store};

/// A checkpoint at most this old is shown as it is.
const RECENT: Duration = Duration::from_secs(1);

/// What has changed is committed at least this often; so much is read again after a crash.
const INTERVAL: Duration = Duration::from_secs(5);

/// How long a scrape waits for a commit before it shows the one before.
const PATIENCE: Duration = Duration::from_secs(2);

/// Pause after a failed commit; it doubles with every further one, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Keeps the checkpoints of a pipeline.
pub(super) struct Keeper {
    /// Held while a checkpoint is made; nobody waits for it who counts or shows.
    work: Mutex<Work>,
    shown: Mutex<Arc<Checkpoint>>,
    progress: Mutex<Progress>,
    progressed: Condvar,
    /// The time, in milliseconds since 1970.
    clock: Clock,
    /// True when it matters without a state, too, when rows changed.
    is_dated: bool,
    say: Say,
}

#[derive(Default)]
struct Work {
    store: Option<Store>,
    /// The checkpoint before the last, for its memory.
    spare: Option<Arc<Checkpoint>>,
    /// Changes that the last checkpoint had seen; `None` after a failure.
    seen: Option<u64>,
}

/// How it goes.
struct Progress {
    is_durable: bool,
    opened_at: Instant,
    /// When the state was last known to hold everything that this run had counted.
    current_at: Option<Instant>,
    took: Duration,
    /// Failures in all, and in a row.
    errors: u64,
    failures: u32,
    retry_at: Option<Instant>,
    rows_kept_aside: u64,
    /// Attempts that have ended or were put off.
    attempts: u64,
    /// A thread makes the checkpoints; somebody waits for one; it is to end.
    has_thread: bool,
    is_asked: bool,
    is_ending: bool,
}

impl Keeper {
    /// Keeps checkpoints in `store`, if there is one. `base` is what there is at the beginning. With `is_dated` it is noted when
    /// rows changed.
    pub(super) fn new(store: Option<Store>, base: Arc<Checkpoint>, is_dated: bool, say: Say) -> Self {
        let progress = Progress {
            is_durable: store.is_some(),
            opened_at: Instant::now(),
            current_at: None,
            took: Duration::ZERO,
            errors: 0,
            failures: 0,
            retry_at: None,
            rows_kept_aside: store.as_ref().map_or(0, Store::rows_kept_aside),
            attempts: 0,
            has_thread: false,
            is_asked: false,
            is_ending: false,
        };
        Self {
            work: Mutex::new(Work { store, ..Work::default() }),
            shown: Mutex::new(base),
            clock: system_clock,
            is_dated,
            progress: Mutex::new(progress),
            progressed: Condvar::new(),
            say,
        }
    }

    /// Tells the time by `clock` from now on.
    pub(super) fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    /// What tells the time.
    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    /// The time, in milliseconds since 1970.
    pub(super) fn now_ms(&self) -> u64 {
        (self.clock)()
    }

    /// The checkpoint to show: with a state, one that is committed.
    pub(super) fn shown(&self) -> Arc<Checkpoint> {
        Arc::clone(&lock(&self.shown))
    }

    /// True with a state.
    pub(super) fn is_durable(&self) -> bool {
        lock(&self.progress).is_durable
    }

    /// Tells how the state fares.
    pub(super) fn report(&self, telemetry: &StateTelemetry) {
        let progress = lock(&self.progress);
        telemetry.age.set(progress.current_at.unwrap_or(progress.opened_at).elapsed().as_secs_f64());
        telemetry.duration.set(progress.took.as_secs_f64());
        telemetry.errors.absolute(progress.errors);
        telemetry.rows_kept_aside.set(progress.rows_kept_aside as f64);
    }

    fn is_recent(&self) -> bool {
        lock(&self.progress).current_at.is_some_and(|current| current.elapsed() < RECENT)
    }

    /// Makes sure that what is shown is recent, as far as that is possible. `changes` and `capture` as for
    /// [`checkpoint`](Self::checkpoint).
    pub(super) fn freshen(&self, changes: impl Fn() -> u64, capture: impl FnOnce(&mut Checkpoint)) {
        let progress = lock(&self.progress);
        if !progress.is_durable {
            drop(progress);
            return self.retake(changes, capture);
        }
        let is_put_off = progress.retry_at.is_some_and(|retry| Instant::now() < retry);
        let has_thread = progress.has_thread;
        drop(progress);
        if is_put_off || self.is_recent() {
            return;
        }
        if has_thread {
            return self.ask();
        }
        // What went wrong has been said and counted.
        let _ = self.checkpoint(RECENT, changes, capture);
    }

    /// Has the thread make a checkpoint, and waits for it within reason.
    fn ask(&self) {
        let mut progress = lock(&self.progress);
        let before = progress.attempts;
        progress.is_asked = true;
        self.progressed.notify_all();
        let is_open = |progress: &mut Progress| progress.attempts == before && !progress.is_ending;
        drop(self.progressed.wait_timeout_while(progress, PATIENCE, is_open).unwrap_or_else(PoisonError::into_inner));
    }

    /// Shows what there is, without a state.
    fn retake(&self, changes: impl Fn() -> u64, capture: impl FnOnce(&mut Checkpoint)) {
        let mut work = lock(&self.work);
        let changes = changes();
        if work.seen == Some(changes) {
            return;
        }
        if self.is_dated {
            let mut next = room(&mut work.spare);
            capture(&mut next);
            let before = self.shown();
            next.date(&before, self.now_ms());
            *lock(&self.shown) = Arc::new(next);
            (work.spare, work.seen) = (Some(before), Some(changes));
            return;
        }
        // The memory is used again, unless somebody still writes from it.
        let mut shown = lock(&self.shown);
        match Arc::get_mut(&mut shown) {
            Some(checkpoint) => capture(checkpoint),
            None => {
                let mut checkpoint = Checkpoint::default();
                capture(&mut checkpoint);
                *shown = Arc::new(checkpoint);
            }
        }
        work.seen = Some(changes);
    }

    /// Commits what has changed, unless the last checkpoint is younger than `age`. `changes` counts the changes,
    /// `capture` takes everything that is to be kept.
    ///
    /// # Errors
    /// It could not be committed. Counting goes on, and the next one has it all.
    pub(super) fn checkpoint(
        &self,
        age: Duration,
        changes: impl Fn() -> u64,
        capture: impl FnOnce(&mut Checkpoint),
    ) -> Result<(), Error> {
        let mut work = lock(&self.work);
        let is_done = lock(&self.progress).current_at.is_some_and(|current| current.elapsed() < age);
        let began = Instant::now();
        let outcome = if is_done { Ok(None) } else { work.commit(changes, capture, self.clock) };
        if let Some(store) = &mut work.store {
            *lock(&self.shown) = Arc::clone(store.committed());
            store.notices().iter().for_each(|notice| (self.say)(format_args!("{notice}")));
        }
        let aside = work.store.as_ref().map_or(0, Store::rows_kept_aside);
        let mut progress = lock(&self.progress);
        progress.rows_kept_aside = aside;
        match &outcome {
            Ok(_) if is_done => {}
            Ok(took) => {
                progress.took = took.unwrap_or(progress.took);
                progress.current_at = Some(began);
                progress.retry_at = None;
                if std::mem::take(&mut progress.failures) > 0 {
                    (self.say)(format_args!("the state is committed again"));
                }
            }
            Err(error) => {
                let pause = FIRST_PAUSE * 2u32.saturating_pow(progress.failures.min(16));
                progress.retry_at = Some(Instant::now() + pause.min(LONGEST_PAUSE));
                progress.errors += 1;
                progress.failures += 1;
                if progress.failures == 1 {
                    (self.say)(format_args!("{error}; counting goes on, and what was committed last is shown"));
                }
            }
        }
        progress.attempts += 1;
        self.progressed.notify_all();
        outcome.map(drop)
    }

    /// Waits until a checkpoint is due; false when it is time to end.
    fn wait(&self) -> bool {
        let mut progress = lock(&self.progress);
        let started = Instant::now();
        while !progress.is_ending {
            let now = Instant::now();
            let due = started + if progress.is_asked { Duration::ZERO } else { INTERVAL };
            let due = progress.retry_at.map_or(due, |retry| due.max(retry));
            let Some(rest) = due.checked_duration_since(now).filter(|rest| !rest.is_zero()) else {
                progress.is_asked = false;
                return true;
            };
            let waited = self.progressed.wait_timeout(progress, rest).unwrap_or_else(PoisonError::into_inner);
            progress = waited.0;
        }
        false
    }
}

impl Work {
    /// Commits what has changed; returns how long that took, if there was anything.
    fn commit(
        &mut self,
        changes: impl Fn() -> u64,
        capture: impl FnOnce(&mut Checkpoint),
        clock: Clock,
    ) -> Result<Option<Duration>, Error> {
        let Some(store) = &mut self.store else { return Ok(None) };
        let changes = changes();
        if self.seen == Some(changes) {
            store.keep().inspect_err(|_| self.seen = None)?;
            return Ok(None);
        }
        self.seen = None;
        let mut next = room(&mut self.spare);
        capture(&mut next);
        let started = Instant::now();
        let before = Arc::clone(store.committed());
        next.date(&before, clock());
        store.commit(Arc::new(next))?;
        self.spare = Some(before);
        self.seen = Some(changes);
        Ok(Some(started.elapsed()))
    }
}

/// A checkpoint to fill, in the memory of `spare` unless somebody still writes from it.
fn room(spare: &mut Option<Arc<Checkpoint>>) -> Checkpoint {
    spare.take().and_then(Arc::into_inner).unwrap_or_default()
}

fn system_clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The thread that makes the checkpoints of a pipeline.
pub struct Keeping {
    pipeline: Arc<Pipeline>,
    thread: Option<JoinHandle<()>>,
}

impl Pipeline {
    /// Commits from now on in the background: at least every 5 s, and when a scrape asks for it.
    ///
    /// # Errors
    /// There can be no more threads.
    pub fn keep(self: &Arc<Self>) -> io::Result<Keeping> {
        let is_durable = lock(&self.keeper.progress).is_durable;
        self.registry.is_live.store(true, Relaxed);
        let pipeline = Arc::clone(self);
        let work = move || {
            while pipeline.keeper.wait() {
                // What went wrong has been said and counted.
                let _ = pipeline.checkpoint();
            }
        };
        let thread =
            is_durable.then(|| thread::Builder::new().name("checkpoint".to_owned()).spawn(work)).transpose()?;
        lock(&self.keeper.progress).has_thread = thread.is_some();
        Ok(Keeping { pipeline: Arc::clone(self), thread })
    }
}

impl Keeping {
    /// Ends the thread with a last checkpoint. The sources must have ended.
    ///
    /// # Errors
    /// The last checkpoint could not be committed: the next run reads again what came since the one before.
    pub fn end(mut self) -> Result<(), Error> {
        self.stop();
        self.pipeline.checkpoint()
    }

    fn stop(&mut self) {
        let mut progress = lock(&self.pipeline.keeper.progress);
        progress.is_ending = true;
        self.pipeline.keeper.progressed.notify_all();
        drop(progress);
        if let Some(thread) = self.thread.take() {
            // It has nothing to say.
            let _ = thread.join();
        }
        lock(&self.pipeline.keeper.progress).has_thread = false;
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.stop();
    }
}
