//! Wakes: one `linemux` instance for all files of the process, which only ever says "look now".
//!
//! `linemux` cannot drop the watch of one file, may watch an inode that is no longer at its path, and watches
//! the whole directory of a missing file. Each of these is answered by building a new instance with the
//! files that want wakes at that moment, at most every few intervals, and looking at them all once after it,
//! since whatever happened in between was not noticed.

use std::collections::{BTreeMap, HashMap};
use std::future::{pending, poll_fn};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Poll;
use std::time::Duration;

use linemux::MuxedEvents;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::unconstrained;
use tokio::time::{Instant, sleep_until};

/// Notices taken in one go. More than this in one coalescing interval are dropped together with the
/// instance, which bounds what its queue can hold.
const NOTICES: usize = 1024;

/// Notices in one go that concern none of our files, which make watching directories for missing files not
/// worth it.
const NOISE: usize = 100;

/// Notices in one go that concern one file, which make its watch cost more than looking at it on the
/// coalescing interval.
const FLOOD: usize = 50;

/// Coalescing intervals between two instances.
const RENEW_INTERVALS: u32 = 10;

/// What a follower asks of the [`Watcher`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Wake me.
    Arm,
    /// Do not wake me.
    Drop,
    /// Wake me, but another file is at the path now.
    Renew,
}

/// What is said to the [`Watcher`]. A number names each file.
#[derive(Debug)]
pub(super) enum Ask {
    /// A file is followed from now on, and wants wakes if any are given at all.
    Follow(usize, PathBuf, Arc<Wake>),
    /// Its follower asks for something.
    Request(usize, Request),
    /// It is not followed any more.
    Leave(usize),
}

/// What the [`Watcher`] tells a follower: a set of flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Signals(u8);

impl Signals {
    /// Something happened to the file, or may have.
    pub(super) const WAKE: u8 = 1;
    /// The slow tick.
    pub(super) const TICK: u8 = 2;
    /// The watch works from now on.
    pub(super) const ARMED: u8 = 4;
    /// The watch is not to be had.
    pub(super) const REFUSED: u8 = 8;
    /// The watch was dropped because its directory is noisy.
    pub(super) const DROPPED: u8 = 16;
    /// Wakes come in floods: the watch is better dropped while the file is busy.
    pub(super) const FLOOD: u8 = 64;
    /// Notices were lost.
    pub(super) const LOST: u8 = 32;

    pub(super) fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }

    #[cfg(test)]
    pub(super) fn of(flags: u8) -> Self {
        Signals(flags)
    }
}

/// Where signals for one follower gather until it takes them.
#[derive(Debug, Default)]
pub(super) struct Wake {
    signals: AtomicU8,
    notify: Notify,
}

impl Wake {
    fn signal(&self, flags: u8) {
        self.signals.fetch_or(flags, Ordering::AcqRel);
        self.notify.notify_one();
    }

    /// Waits until there are signals. They stay until [`take`](Self::take).
    pub(super) async fn wait(&self) {
        self.notify.notified().await;
    }

    pub(super) fn take(&self) -> Signals {
        Signals(self.signals.swap(0, Ordering::AcqRel))
    }
}

/// One followed file, as the watcher knows it.
struct Watched {
    path: PathBuf,
    wake: Arc<Wake>,
    wanted: bool,
    registered: bool,
    /// The file was at its path when registered and ever since, as far as is known.
    present: bool,
}

/// Turns the system's notices into wakes.
pub(super) struct Watcher {
    files: BTreeMap<usize, Watched>,
    asks: mpsc::Receiver<Ask>,
    coalesce: Duration,
    tick: Duration,
    /// Wakes are given at all.
    wakes: bool,
    instance: Option<MuxedEvents>,
    /// Which files a path in a notice concerns.
    names: HashMap<PathBuf, Vec<usize>>,
    renew_at: Option<Instant>,
    renewed_at: Option<Instant>,
}

/// Notices taken together.
#[derive(Debug, Default)]
struct Batch {
    notices: usize,
    /// Notices that concern none of the files.
    strays: usize,
    /// The file of each other notice, sorted.
    files: Vec<usize>,
    /// Notices were lost, or the instance failed.
    lost: bool,
    /// The instance watches nothing any more.
    empty: bool,
}

impl Watcher {
    /// A watcher of the files that it is told of, which all want wakes if `wakes` is true.
    pub(super) fn new(asks: mpsc::Receiver<Ask>, (coalesce, tick): (Duration, Duration), wakes: bool) -> Self {
        Watcher {
            files: BTreeMap::new(),
            asks,
            coalesce,
            tick,
            wakes,
            instance: None,
            names: HashMap::new(),
            renew_at: None,
            renewed_at: None,
        }
    }

    /// Runs until `shutdown`.
    pub(super) async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let mut tick_at = Instant::now() + self.tick;
        // Notices are taken at most once per coalescing interval, or a busy directory would keep us awake.
        let mut hold_until: Option<Instant> = None;
        loop {
            let hold = hold_until.is_some();
            tokio::select! {
                _ = shutdown.changed() => return,
                Some(ask) = self.asks.recv() => self.answer(ask).await,
                batch = take_notices(self.instance.as_mut(), &self.names), if !hold => {
                    hold_until = Some(Instant::now() + self.coalesce);
                    self.notice(batch);
                }
                () = until(hold_until), if hold => hold_until = None,
                () = until(self.renew_at) => self.renew().await,
                () = sleep_until(tick_at) => {
                    tick_at = Instant::now() + self.tick;
                    self.tick().await;
                }
            }
        }
    }

    async fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Follow(file, path, wake) => {
                let watched = Watched { path, wake, wanted: self.wakes, registered: false, present: false };
                self.files.insert(file, watched);
                match self.instance {
                    _ if !self.wakes || self.renew_at.is_some() => {}
                    Some(_) => self.register(file).await,
                    None => self.renew_soon(),
                }
            }
            Ask::Request(file, request) => self.request(file, request).await,
            Ask::Leave(file) => {
                let left = self.files.remove(&file);
                for files in self.names.values_mut() {
                    files.retain(|other| *other != file);
                }
                if left.is_some_and(|left| left.registered) {
                    self.renew_soon();
                }
            }
        }
    }

    async fn request(&mut self, file: usize, request: Request) {
        let Some(watched) = self.files.get_mut(&file) else {
            return;
        };
        watched.wanted = request != Request::Drop;
        match request {
            Request::Arm if self.renew_at.is_some() => {}
            Request::Arm if watched.registered => watched.wake.signal(Signals::ARMED),
            Request::Arm if self.instance.is_some() => self.register(file).await,
            _ => self.renew_soon(),
        }
    }

    fn notice(&mut self, batch: Batch) {
        for same in batch.files.chunk_by(|one, other| one == other) {
            let flood = if same.len() >= FLOOD { Signals::FLOOD } else { 0 };
            if let Some(watched) = same.first().and_then(|file| self.files.get(file)) {
                watched.wake.signal(Signals::WAKE | flood);
            }
        }
        if batch.strays > 0 {
            // linemux takes the path off the notice that a file left it, and off those that the file is
            // still written to.
            for watched in self.files.values_mut() {
                watched.present &= watched.path.exists();
                if !watched.present {
                    watched.wake.signal(Signals::WAKE);
                }
            }
        }
        if batch.strays >= NOISE {
            for watched in self.files.values_mut() {
                if !watched.present && watched.wanted {
                    watched.wanted = false;
                    watched.wake.signal(Signals::DROPPED);
                }
            }
            self.renew_soon();
        }
        if batch.lost {
            self.signal_all(Signals::WAKE | Signals::LOST);
        }
        if batch.lost || batch.empty || batch.notices >= NOTICES {
            self.renew_soon();
        }
        if batch.lost || batch.empty {
            self.forget();
        }
    }

    async fn tick(&mut self) {
        self.signal_all(Signals::TICK);
        for file in self.wanting() {
            match self.instance {
                Some(_) => self.register(file).await,
                None => self.renew_soon(),
            }
        }
    }

    fn signal_all(&self, flags: u8) {
        for watched in self.files.values() {
            watched.wake.signal(flags);
        }
    }

    fn renew_soon(&mut self) {
        let earliest = match self.renewed_at {
            Some(at) => at + self.coalesce * RENEW_INTERVALS,
            None => Instant::now(),
        };
        self.renew_at.get_or_insert(earliest);
    }

    fn forget(&mut self) {
        self.instance = None;
        self.names.clear();
        for watched in self.files.values_mut() {
            watched.registered = false;
        }
    }

    /// Builds a new instance with the files that want wakes.
    async fn renew(&mut self) {
        self.renew_at = None;
        self.renewed_at = Some(Instant::now());
        self.forget();
        let wanting = self.wanting();
        if wanting.is_empty() {
            return;
        }
        self.instance = MuxedEvents::new().ok();
        for file in wanting {
            self.register(file).await;
        }
    }

    /// The files that want wakes and get none.
    fn wanting(&self) -> Vec<usize> {
        let wanting = |(file, watched): (&usize, &Watched)| (watched.wanted && !watched.registered).then_some(*file);
        self.files.iter().filter_map(wanting).collect()
    }

    /// Asks for wakes of one file, and tells its follower the answer.
    async fn register(&mut self, file: usize) {
        let Some(watched) = self.files.get_mut(&file) else { return };
        let name = match &mut self.instance {
            Some(instance) => instance.add_file(&watched.path).await.ok(),
            None => None,
        };
        watched.registered = name.is_some();
        watched.present = watched.path.exists();
        match name {
            Some(name) => {
                let files = self.names.entry(name).or_default();
                if !files.contains(&file) {
                    files.push(file);
                }
                watched.wake.signal(Signals::ARMED | Signals::WAKE);
            }
            None => watched.wake.signal(Signals::REFUSED),
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

/// Waits for a notice and takes all that are there, at most [`NOTICES`].
async fn take_notices(instance: Option<&mut MuxedEvents>, names: &HashMap<PathBuf, Vec<usize>>) -> Batch {
    let Some(instance) = instance else {
        return pending().await;
    };
    let mut batch = Batch::default();
    // Tokio's budget would end each go after 128 notices; ours is bounded by itself.
    unconstrained(poll_fn(|context| {
        while batch.notices < NOTICES {
            match pin!(instance.next_event()).poll(context) {
                Poll::Pending if batch.notices == 0 => return Poll::Pending,
                Poll::Pending => break,
                Poll::Ready(Ok(Some(notice))) => {
                    batch.notices += 1;
                    batch.lost |= notice.need_rescan();
                    let concerned = notice.paths.iter().filter_map(|path| names.get(path));
                    let before = batch.files.len();
                    batch.files.extend(concerned.flatten());
                    batch.strays += usize::from(batch.files.len() == before);
                }
                Poll::Ready(Ok(None)) => {
                    batch.empty = true;
                    break;
                }
                Poll::Ready(Err(_)) => {
                    batch.lost = true;
                    break;
                }
            }
        }
        Poll::Ready(())
    }))
    .await;
    batch.files.sort_unstable();
    batch
}
