//! The one file that names every stage: from configuration to running sources, counters and exposition.
//!
//! A source's blocks go to its [`Feed`], which counts them in a [`Shard`]: cells of one family behind one lock
//! that is taken once a block. [`Pipeline::render`] takes the same locks, one after the other, to copy the cells,
//! and writes the exposition from the copy. [`Exporter`] is what the endpoint shows of all that.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tailmeter_parsers::Reason;

use crate::config::Config;
use crate::exposition::{Snapshot, View};
use crate::http::{Pages, SourceStatus};
use crate::metrics::own::{SeriesTelemetry, SourceTelemetry, Telemetry};
use crate::metrics::{Counter, FAMILIES, Family, Plan, Tally};
use crate::series::Directory;
use crate::source::{Block, Incident, Sink, Status};

/// A rejected line of a source is shown (masked) at most this often.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(60);

/// Takes a line for people, without its newline.
pub type Say = fn(fmt::Arguments<'_>);

/// Everything between the sources and the exposition.
pub struct Pipeline {
    families: Vec<FamilyStore>,
    /// One scrape at a time: its memory is used again by the next one.
    scrapes: Mutex<Vec<Scrape>>,
    say: Say,
}

/// What is counted for one family.
struct FamilyStore {
    family: &'static Family,
    plan: Arc<Plan>,
    directory: Arc<Directory>,
    counters: Mutex<Vec<SharedCounter>>,
}

type SharedCounter = Arc<Mutex<Box<dyn Counter>>>;

/// What a scrape of one family needs, and what earlier ones told the own telemetry.
struct Scrape {
    snapshot: Snapshot,
    view: View,
    /// By metric of the family; `None` until the metric has a series.
    reported: Vec<Option<Reported>>,
}

/// The own telemetry of one metric.
struct Reported {
    telemetry: SeriesTelemetry,
    /// How much of the overflow has been told.
    overflow: u64,
}

impl Pipeline {
    /// A pipeline for every family under `config`, without a source. `say` gets masked samples of rejected lines.
    ///
    /// Its telemetry goes to the recorder that is current when it is recorded: install it first.
    pub fn new(config: &Config, say: Say) -> Self {
        let families: Vec<FamilyStore> = FAMILIES
            .iter()
            .filter_map(|family| {
                let plan = Arc::new(family.plan(config)?);
                Some(FamilyStore {
                    directory: Arc::new(Directory::new(plan.groups.clone())),
                    family,
                    plan,
                    counters: Mutex::default(),
                })
            })
            .collect();
        let scrapes = families
            .iter()
            .map(|store| Scrape {
                snapshot: Snapshot::default(),
                view: View::new(Arc::clone(&store.plan), Arc::clone(&store.directory)),
                reported: store.family.metrics.iter().map(|_| None).collect(),
            })
            .collect();
        Self { families, scrapes: Mutex::new(scrapes), say }
    }

    /// A new shard of the family called `format`; `None` when there is no such family.
    pub fn shard(&self, format: &str) -> Option<Shard> {
        let store = self.families.iter().find(|store| store.family.name == format)?;
        let counter = store.family.counter(Arc::clone(&store.plan), Arc::clone(&store.directory))?;
        let counter = Arc::new(Mutex::new(counter));
        lock(&store.counters).push(Arc::clone(&counter));
        Some(Shard { family: store.family, counter, say: self.say })
    }

    /// Appends every log-derived metric, in the text format, and tells the own telemetry how full the series
    /// are: render that one afterwards.
    pub fn render(&self, out: &mut Vec<u8>) {
        let mut scrapes = lock(&self.scrapes);
        for (store, scrape) in self.families.iter().zip(scrapes.iter_mut()) {
            store.fill(&mut scrape.snapshot);
            scrape.view.render(&scrape.snapshot, out);
            store.report(scrape);
        }
    }
}

impl FamilyStore {
    /// Copies the cells of every shard, added up.
    fn fill(&self, snapshot: &mut Snapshot) {
        snapshot.clear();
        // The list is copied, so that a shard that is busy with a block keeps nobody from making another.
        let counters = lock(&self.counters).clone();
        for counter in counters {
            let counter = lock(&counter);
            snapshot.add(counter.cells(), counter.fell_out());
        }
    }

    /// Series, limit and overflow of each metric. Metrics without a series stay silent.
    fn report(&self, scrape: &mut Scrape) {
        let Scrape { snapshot, reported, .. } = scrape;
        let metrics = self.family.metrics.iter().zip(&self.plan.slots);
        for (index, ((metric, slot), reported)) in metrics.zip(reported).enumerate() {
            let Some(slot) = slot else { continue };
            let series = self.directory.len(slot.group);
            if series == 0 {
                continue;
            }
            let reported =
                reported.get_or_insert_with(|| Reported { telemetry: SeriesTelemetry::new(metric.name), overflow: 0 });
            let limit = self.plan.groups[slot.group].max_series;
            reported.telemetry.held.set(series as f64);
            reported.telemetry.limit.set(limit as f64);
            let overflow = snapshot.fell_out.get(index).copied().unwrap_or(0);
            let more = overflow.saturating_sub(reported.overflow);
            reported.telemetry.overflow.increment(more);
            reported.overflow = overflow;
        }
    }
}

/// Cells of one family, counted by one source, or by several that are never read at the same time.
#[derive(Clone)]
pub struct Shard {
    family: &'static Family,
    counter: SharedCounter,
    say: Say,
}

impl Shard {
    /// What takes the blocks of the source named `source` (see [`source_name`](crate::metrics::own::source_name)).
    pub fn feed(&self, source: &str) -> Feed {
        Feed {
            shard: self.clone(),
            source: source.to_owned(),
            telemetry: SourceTelemetry::new(source, self.family.name),
            lines: Arc::default(),
            sampled: None,
        }
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
}

/// Takes a source's blocks, counts them in its shard, and tells the own telemetry what became of the lines.
pub struct Feed {
    shard: Shard,
    source: String,
    telemetry: SourceTelemetry,
    lines: Arc<Lines>,
    /// When a rejected line was shown last.
    sampled: Option<Instant>,
}

impl Feed {
    /// Lines so far; stays current while the feed is fed.
    pub fn lines(&self) -> Arc<Lines> {
        Arc::clone(&self.lines)
    }

    fn report(&mut self, tally: &Tally) {
        let outcomes = [tally.parsed, tally.ignored, tally.rejected_lines()];
        for (total, lines) in self.lines.outcomes.iter().zip(outcomes) {
            total.fetch_add(lines, Relaxed);
        }
        self.telemetry.parsed.increment(tally.parsed);
        self.telemetry.ignored.increment(tally.ignored);
        for reason in Reason::ALL {
            let lines = tally.rejected[reason.index()];
            if lines > 0 {
                self.telemetry.reject(reason.as_str(), lines);
            }
        }
        if let Some((reject, line)) = &tally.sample
            && self.sampled.is_none_or(|sampled| sampled.elapsed() >= SAMPLE_INTERVAL)
        {
            self.sampled = Some(Instant::now());
            let (source, format) = (&self.source, self.shard.family.name);
            (self.shard.say)(format_args!("{source}: rejected as {format} ({reject}), masked: {line}"));
        }
    }
}

impl Sink for Feed {
    fn block(&mut self, block: Block<'_>) {
        let mut tally = Tally::default();
        lock(&self.shard.counter).count(block.lines, &mut tally);
        if block.cut {
            self.telemetry.truncated.increment(1);
            self.lines.truncated.fetch_add(1, Relaxed);
        }
        self.telemetry.read_bytes.increment(block.bytes);
        self.report(&tally);
    }

    fn incident(&mut self, incident: Incident) {
        match incident {
            Incident::Rotated(rotation) => self.telemetry.rotations[rotation.index()].increment(1),
            Incident::Lost(bytes, reason) => self.telemetry.lost_bytes[reason.index()].increment(bytes),
            Incident::Dropped(messages) => self.telemetry.dropped_messages.increment(messages),
        }
    }
}

/// A running exporter, as its endpoint shows it.
pub struct Exporter {
    pipeline: Arc<Pipeline>,
    telemetry: Telemetry,
    sources: Vec<Followed>,
}

/// One followed source.
pub struct Followed {
    /// Its name, see [`source_name`](crate::metrics::own::source_name).
    pub name: String,
    /// Name of the family that parses it.
    pub format: &'static str,
    /// Where reading stands.
    pub status: Arc<Status>,
    /// What became of its lines.
    pub lines: Arc<Lines>,
}

impl Exporter {
    /// Shows `pipeline`, `telemetry` and the `sources` that feed them.
    pub fn new(pipeline: Arc<Pipeline>, telemetry: Telemetry, sources: Vec<Followed>) -> Self {
        Self { pipeline, telemetry, sources }
    }
}

impl Pages for Exporter {
    fn exposition(&self, out: &mut Vec<u8>) {
        self.pipeline.render(out);
        self.telemetry.render(out);
    }

    fn sources(&self) -> Vec<SourceStatus> {
        let shown = |source: &Followed| SourceStatus {
            name: source.name.clone(),
            format: source.format,
            up: source.status.up(),
            read_bytes: source.status.read_bytes(),
            lag_bytes: source.status.lag_bytes(),
            lines: source.lines.outcomes(),
        };
        self.sources.iter().map(shown).collect()
    }

    fn is_ready(&self) -> bool {
        self.sources.iter().all(|source| source.status.looked_once())
    }
}

/// Locks. What a thread that panicked left behind is still a set of plain numbers.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
