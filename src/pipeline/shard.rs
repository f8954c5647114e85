//! Shards: what one source has counted, and where it stands, behind one lock that is taken once a block.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tailmeter_parsers::Reject;

use super::{Registry, Say, lock};
use crate::exposition::Snapshot;
use crate::metrics::{Counter, Family, Tally, Totals};
use crate::source::{Block, End, Incident, Position, Sink};
use crate::state::{Checkpoint, Place, SourceKey};

/// A rejected line of a source is shown (masked) at most this often.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(60);

/// Cells of one family, counted by one source, or by several that are never read at the same time.
#[derive(Clone)]
pub struct Shard {
    pub(super) family: &'static Family,
    pub(super) counted: SharedCounted,
    pub(super) registry: Arc<Registry>,
    pub(super) say: Say,
}

pub(super) type SharedCounted = Arc<Mutex<Counted>>;

/// What changes together: the counts of blocks, and where reading stands behind them.
pub(super) struct Counted {
    counter: Box<dyn Counter>,
    feeds: Vec<Fed>,
}

/// What a feed has brought since the start.
struct Fed {
    place: Place,
    totals: Totals,
    position: Option<Position>,
}

impl Counted {
    pub(super) fn new(counter: Box<dyn Counter>) -> Self {
        Self { counter, feeds: Vec::new() }
    }

    /// The number of the feed at `place`. A file that comes back in the same run goes on where its last feed stands,
    /// not where the run before left it, in `base`.
    fn number_of(&mut self, place: Place, base: &Checkpoint) -> usize {
        if let Some(number) = self.feeds.iter().position(|fed| fed.place == place) {
            return number;
        }
        let position = base.positions.get(&place).cloned();
        self.feeds.push(Fed { place, totals: Totals::default(), position });
        self.feeds.len() - 1
    }

    /// Adds everything to a checkpoint, the cells to those of family number `family` there.
    pub(super) fn add_to(&self, checkpoint: &mut Checkpoint, family: usize) {
        if let Some(snapshot) = checkpoint.families.get_mut(family) {
            snapshot.add(self.counter.cells(), self.counter.fell_out());
        }
        for Fed { place, totals, position } in &self.feeds {
            match checkpoint.totals.get_mut(&place.source) {
                Some(total) => total.add(totals),
                None => drop(checkpoint.totals.insert(place.source.clone(), totals.clone())),
            }
            match position {
                Some(position) => drop(checkpoint.positions.insert(place.clone(), position.clone())),
                None => drop(checkpoint.positions.remove(place)),
            }
        }
    }
}

impl Shard {
    /// What takes the blocks of the source named `source` (see [`source_name`](crate::metrics::own::source_name)),
    /// or of that one of its files or journals which `key` tells apart. It stands where the feed of that name before it
    /// left it, be it in an earlier run, until the source says otherwise.
    pub fn feed(&self, source: &str, key: &str) -> Feed {
        let source = SourceKey { source: source.into(), format: self.family.name.into() };
        let before = self.registry.enter(&source);
        let place = Place { source: source.clone(), key: key.into() };
        let number = lock(&self.counted).number_of(place, &self.registry.base);
        let lines = Lines::default();
        lines.set(before.as_ref().unwrap_or(&Totals::default()));
        Feed { shard: self.clone(), number, source: source.source, lines: Arc::new(lines), sampled: None }
    }
}

/// Lines of one source so far, by outcome. Each number is current on its own.
#[derive(Debug, Default)]
pub struct Lines {
    outcomes: [AtomicU64; 3],
    truncated: AtomicU64,
}

impl Lines {
    /// Lines that were parsed, ignored, rejected.
    pub fn outcomes(&self) -> [u64; 3] {
        self.outcomes.each_ref().map(|lines| lines.load(Relaxed))
    }

    /// Lines longer than the limit, of which only the beginning was read. They are among the others, too.
    pub fn truncated(&self) -> u64 {
        self.truncated.load(Relaxed)
    }

    fn set(&self, totals: &Totals) {
        let outcomes = [totals.parsed, totals.ignored, totals.rejected_lines()];
        self.outcomes.iter().zip(outcomes).for_each(|(total, lines)| total.store(lines, Relaxed));
        self.truncated.store(totals.truncated, Relaxed);
    }

    fn add(&self, tally: &Tally, is_cut: bool) {
        let outcomes = [tally.parsed, tally.ignored, tally.rejected_lines()];
        for (total, lines) in self.outcomes.iter().zip(outcomes) {
            total.fetch_add(lines, Relaxed);
        }
        self.truncated.fetch_add(u64::from(is_cut), Relaxed);
    }
}

/// Takes the blocks of a source and counts them in its shard, together with what became of the lines and with where
/// reading stands.
pub struct Feed {
    shard: Shard,
    /// Its number in the shard.
    number: usize,
    source: Arc<str>,
    lines: Arc<Lines>,
    /// When a rejected line was shown last.
    sampled: Option<Instant>,
}

impl Feed {
    /// Lines so far, those of earlier runs included; stays current while the feed is fed.
    pub fn lines(&self) -> Arc<Lines> {
        Arc::clone(&self.lines)
    }

    /// Where reading stands, at first where an earlier run left it.
    pub fn position(&self) -> Option<Position> {
        lock(&self.shard.counted).feeds.get(self.number)?.position.clone()
    }

    /// Changes something under the shard's lock.
    fn change(&self, change: impl FnOnce(&mut dyn Counter, &mut Fed)) {
        let mut counted = lock(&self.shard.counted);
        let Counted { counter, feeds } = &mut *counted;
        if let Some(fed) = feeds.get_mut(self.number) {
            // Before the change: who looks for changes sees this one too early rather than too late.
            self.shard.registry.changes.fetch_add(1, Relaxed);
            change(&mut **counter, fed);
        }
    }

    /// Shows a rejected line now and then, masked.
    fn show(&mut self, reject: &Reject, line: &str) {
        if self.sampled.is_none_or(|sampled| sampled.elapsed() >= SAMPLE_INTERVAL) {
            self.sampled = Some(Instant::now());
            let (source, format) = (&self.source, self.shard.family.name);
            (self.shard.say)(format_args!("{source}: rejected as {format} ({reject}), masked: {line}"));
        }
    }
}

impl Sink for Feed {
    fn block(&mut self, block: Block<'_>) {
        let mut tally = Tally::default();
        self.change(|counter, fed| {
            counter.count(block.lines, &mut tally);
            fed.totals.lines(&tally);
            fed.totals.truncated += u64::from(block.cut);
            fed.totals.read_bytes += block.bytes;
            fed.move_to(block.end);
        });
        self.lines.add(&tally, block.cut);
        if let Some((reject, line)) = &tally.sample {
            self.show(reject, line);
        }
    }

    fn stands(&mut self, position: Position, befell: &[Incident]) {
        self.change(|_, fed| {
            fed.totals.incidents(befell);
            fed.position = Some(position);
        });
    }

    fn left(&mut self, befell: &[Incident]) {
        self.change(|_, fed| {
            fed.totals.incidents(befell);
            fed.position = None;
        });
    }

    fn incident(&mut self, incident: Incident) {
        self.change(|_, fed| fed.totals.incidents(&[incident]));
    }
}

impl Fed {
    /// Moves the position to the end of a block.
    fn move_to(&mut self, end: End<'_>) {
        match (end, &mut self.position) {
            (End::Offset(offset), Some(Position::File(file))) => {
                file.offset = offset;
                file.size = file.size.max(offset);
            }
            // An offset of no file: a replay.
            (End::Offset(_) | End::Nowhere, _) => {}
            (End::Cursor(cursor), Some(Position::Cursor(known))) => {
                known.clear();
                known.push_str(cursor);
            }
            (End::Cursor(cursor), position) => *position = Some(Position::Cursor(cursor.to_owned())),
            (End::Moved(moved), position) => {
                *position = Some(moved.position.clone());
                self.totals.incidents(&moved.befell);
            }
        }
    }
}

/// Empties a checkpoint, whose memory is kept, down to the totals and positions that earlier runs left in `base`.
pub(super) fn begin_with(base: &Checkpoint, families: usize, checkpoint: &mut Checkpoint) {
    checkpoint.families.resize_with(families, Snapshot::default);
    checkpoint.families.iter_mut().for_each(Snapshot::clear);
    checkpoint.totals = BTreeMap::clone(&base.totals);
    checkpoint.positions = BTreeMap::clone(&base.positions);
}

/// Adds the cells that earlier runs left in `base`. They come last: the first shard that is added is merely copied,
/// which takes least of the time that its lock is held.
pub(super) fn end_with(base: &Checkpoint, checkpoint: &mut Checkpoint) {
    for (snapshot, base) in checkpoint.families.iter_mut().zip(&base.families) {
        snapshot.add(&base.cells, &base.fell_out);
    }
}
