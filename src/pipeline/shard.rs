//! Shards: what one source has counted, and where it stands, behind one lock that is taken once a block.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use tailmeter_parsers::Reject;

use super::{Registry, Say, lock};
use crate::exposition::Snapshot;
use crate::metrics::{Counter, Dialect, Family, Kind, Planned, Tally, Totals};
use crate::source::{Block, End, Incident, Position, Sink};
use crate::state::{Checkpoint, Mailroom, Place, SourceKey};

/// A rejected line of a source is shown (masked) at most this often.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(60);

/// Cells of the families of one format, counted by one source, or by several that are never read at the same time.
#[derive(Clone)]
pub struct Shard {
    pub(super) format: &'static str,
    pub(super) counted: SharedCounted,
    pub(super) registry: Arc<Registry>,
    pub(super) say: Say,
    /// Held as long as anybody can count here.
    pub(super) _counting: Arc<()>,
}

pub(super) type SharedCounted = Arc<Mutex<Counted>>;

/// What changes together: the counts of blocks, and where reading stands behind them.
pub(super) struct Counted {
    counter: Box<dyn Counter>,
    /// The first one is of the source that is counted here.
    feeds: Vec<Fed>,
    counting: Weak<()>,
}

/// What a feed has brought since the start. It stays when the feed has gone.
struct Fed {
    place: Place,
    totals: Totals,
    position: Option<Position>,
    /// Of several feeds of the same place, the one with the highest number knows the position.
    number: u64,
}

/// Who knows each position, while a checkpoint is made.
pub(super) type Knowing = BTreeMap<Place, u64>;

impl Counted {
    /// Counts nothing yet, and nothing more when `counting` is dropped.
    pub(super) fn new(counter: Box<dyn Counter>, counting: &Arc<()>) -> Self {
        Self { counter, feeds: Vec::new(), counting: Arc::downgrade(counting) }
    }

    /// Adds everything to a checkpoint; `place` is that of a family there.
    pub(super) fn add_to(
        &self,
        checkpoint: &mut Checkpoint,
        place: &dyn Fn(&Family) -> Option<usize>,
        knowing: &mut Knowing,
    ) {
        self.counter.visit(&mut |family, cells, fell_out| {
            if let Some(snapshot) = place(family).and_then(|place| checkpoint.families.get_mut(place)) {
                snapshot.add(cells, fell_out);
            }
        });
        if let Some(fed) = self.feeds.first() {
            self.counter.under_way(&mut |family, correlator| {
                let room = Mailroom { source: fed.place.source.clone(), family: family.name.into() };
                checkpoint.messages.entry(room).or_default().extend(correlator.messages());
            });
        }
        for Fed { place, totals, position, number } in &self.feeds {
            match checkpoint.totals.get_mut(&place.source) {
                Some(total) => total.add(totals),
                None => drop(checkpoint.totals.insert(place.source.clone(), totals.clone())),
            }
            let known = knowing.entry(place.clone()).or_insert(*number);
            if *known > *number {
                continue;
            }
            *known = *number;
            match position {
                Some(position) => drop(checkpoint.positions.insert(place.clone(), position.clone())),
                None => drop(checkpoint.positions.remove(place)),
            }
        }
    }
}

impl Shard {
    /// Lines are written in `dialect` from now on.
    pub fn speak(&self, dialect: &Dialect) {
        lock(&self.counted).counter.speak(dialect);
        self.has_declared();
    }

    /// Rows may be there before a line: they are a change, too. Tells which metrics lack some.
    pub(super) fn has_declared(&self) {
        self.registry.changes.fetch_add(1, Relaxed);
        let names = lock(&self.counted).counter.held_back().join(", ");
        if !names.is_empty() {
            (self.say)(format_args!(
                "not every series that the configuration of {} lets expect is there from the beginning: \
                 half of `max_series` is kept for others ({names})",
                self.format
            ));
        }
    }

    /// What takes the blocks of the source named `source` (see [`source_name`](crate::metrics::own::source_name)),
    /// or of that one of its files or journals which `key` tells apart. It stands where the feed before it left it, or
    /// an earlier run, until the source says otherwise.
    pub fn feed(&self, source: &str, key: &str) -> Feed {
        self.feed_counting(source, key, Arc::default())
    }

    /// The same, counting in `lines` too, which it may share with other feeds of the source.
    pub(super) fn feed_counting(&self, source: &str, key: &str, lines: Arc<Lines>) -> Feed {
        let source = SourceKey { source: source.into(), format: self.format.into() };
        if let Some(before) = self.registry.enter(&source) {
            lines.set(&before);
            self.resume(&source);
        }
        let place = Place { source: source.clone(), key: key.into() };
        let mut latest = lock(&self.registry.latest);
        self.take_over(&latest, &place.source);
        if let Some((counted, index)) = latest.get(&place)
            && Arc::ptr_eq(counted, &self.counted)
        {
            // A file that comes back goes on where it was left.
            return Feed { shard: self.clone(), index: *index, source: source.source, lines, sampled: None };
        }
        let mut position = self.registry.position(&latest, &place);
        let before = if position.is_none() { self.registry.elsewhere(&latest, &place) } else { None };
        let before = before.map(|(other, found)| {
            position = Some(found);
            other
        });
        let mut counted = lock(&self.counted);
        let index = counted.feeds.len();
        // Where another source had it, it is known no more.
        for (place, position) in [(Some(place), position), (before, None)] {
            let Some(place) = place else { continue };
            let number = self.registry.feeds.fetch_add(1, Relaxed);
            latest.insert(place.clone(), (Arc::clone(&self.counted), counted.feeds.len()));
            counted.feeds.push(Fed { place, totals: Totals::default(), position, number });
        }
        drop(counted);
        drop(latest);
        Feed { shard: self.clone(), index, source: source.source, lines, sampled: None }
    }

    /// Takes up the messages that another shard has left under way, which was the source's until that was begun anew.
    fn take_over(&self, latest: &Latest, source: &SourceKey) {
        let others = latest.iter().filter(|(place, _)| place.source == *source).map(|(_, (counted, _))| counted);
        for other in others.filter(|other| !Arc::ptr_eq(other, &self.counted)) {
            let mut left = Vec::new();
            let mut other = lock(other);
            if other.counting.strong_count() == 0 {
                other.counter.leave(&mut |family, messages| left.push((family, messages)));
            }
            drop(other);
            left.iter().for_each(|(family, messages)| lock(&self.counted).counter.resume(family.name, messages));
        }
    }

    /// Takes up the messages that an earlier run has left under way.
    fn resume(&self, source: &SourceKey) {
        self.registry.changes.fetch_add(1, Relaxed);
        let rooms = self.registry.base.messages.iter().filter(|(room, _)| room.source == *source);
        rooms.for_each(|(room, messages)| lock(&self.counted).counter.resume(&room.family, messages));
    }
}

impl Registry {
    /// Where reading stands at `place`, by what the last feed there left or, before the first, an earlier run.
    fn position(&self, latest: &Latest, place: &Place) -> Option<Position> {
        match latest.get(place) {
            Some((counted, index)) => lock(counted).feeds.get(*index)?.position.clone(),
            None => self.base.positions.get(place).cloned(),
        }
    }

    /// The same of a file that another source has read before: it is known there by the same key.
    fn elsewhere(&self, latest: &Latest, place: &Place) -> Option<(Place, Position)> {
        let is_same = |other: &&Place| other.key == place.key && other.source.format == place.source.format;
        let mut others = latest.keys().chain(self.base.positions.keys()).filter(is_same);
        others.find_map(|other| match self.position(latest, other)? {
            position @ Position::File(_) => Some((other.clone(), position)),
            Position::Cursor(_) => None,
        })
    }
}

/// The last feed of each place: its shard, and its place there.
pub(super) type Latest = BTreeMap<Place, (SharedCounted, usize)>;

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
    /// Its place in the shard.
    index: usize,
    source: Arc<str>,
    lines: Arc<Lines>,
    /// When a rejected line was shown last.
    sampled: Option<Instant>,
}

impl Feed {
    /// Goes on counting in `lines`.
    pub(super) fn counting(self, lines: &Arc<Lines>) -> Self {
        Self { lines: Arc::clone(lines), ..self }
    }

    /// Lines so far, those of earlier runs included; stays current while the feed is fed.
    pub fn lines(&self) -> Arc<Lines> {
        Arc::clone(&self.lines)
    }

    /// Where reading stands, at first where an earlier run left it.
    pub fn position(&self) -> Option<Position> {
        lock(&self.shard.counted).feeds.get(self.index)?.position.clone()
    }

    /// Changes something under the shard's lock.
    fn change(&self, change: impl FnOnce(&mut dyn Counter, &mut Fed)) {
        let mut counted = lock(&self.shard.counted);
        let Counted { counter, feeds, .. } = &mut *counted;
        if let Some(fed) = feeds.get_mut(self.index) {
            // Before the change: who looks for changes sees this one too early rather than too late.
            self.shard.registry.changes.fetch_add(1, Relaxed);
            change(&mut **counter, fed);
        }
    }

    /// Shows a rejected line now and then, masked.
    fn show(&mut self, reject: &Reject, line: &str) {
        if self.sampled.is_none_or(|sampled| sampled.elapsed() >= SAMPLE_INTERVAL) {
            self.sampled = Some(Instant::now());
            let (source, format) = (&self.source, self.shard.format);
            (self.shard.say)(format_args!("{source}: rejected as {format} ({reject}), masked: {line}"));
        }
    }
}

impl Sink for Feed {
    fn block(&mut self, block: Block<'_>) {
        let mut tally = Tally::default();
        let now = self.shard.registry.now();
        self.change(|counter, fed| {
            counter.tell_time(now);
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
    checkpoint.messages.clear();
}

/// Adds the cells that earlier runs left in `base`. They come last: the first shard that is added is merely copied,
/// which takes least of the time that its lock is held. Gauges say how things are in this run.
pub(super) fn end_with(base: &Checkpoint, stores: &[Planned], checkpoint: &mut Checkpoint) {
    for ((snapshot, base), Planned { plan, .. }) in checkpoint.families.iter_mut().zip(&base.families).zip(stores) {
        snapshot.add(&base.cells, &base.fell_out);
        let gauges = plan.family.metrics.iter().zip(&plan.slots).filter(|(metric, _)| metric.kind == Kind::Gauge);
        for slot in gauges.filter_map(|(_, slot)| *slot) {
            for row in base.cells.rows(slot.group) {
                let there = snapshot.cells.base(slot.group, row);
                let before = base.cells.sum(slot.group, row, slot.sum);
                snapshot.cells.add(there, slot.sum, before.wrapping_neg());
            }
        }
    }
    for messages in checkpoint.messages.values_mut() {
        messages.sort_by_key(|message| message.id);
        // Sources of the same name may tell of the same message; the state has each one once.
        messages.dedup_by_key(|message| message.id);
    }
    // Of sources that nobody reads any more.
    for (room, messages) in &base.messages {
        checkpoint.messages.entry(room.clone()).or_insert_with(|| messages.clone());
    }
}
