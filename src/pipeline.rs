//! The one file that names every stage: from configuration to running sources, counters, state and exposition.
//!
//! A source's blocks go to its [`Feed`], which counts them in a [`Shard`]: cells of one family behind one lock
//! that is taken once a block. [`Pipeline::checkpoint`] takes the same locks, one after the other, to copy the cells,
//! together with what became of the lines and where reading stands, and commits that to the state.
//! [`Pipeline::expose`] shows the last copy that has been committed; without a state, one that it takes. [`Exporter`] is what the endpoint shows of all that.
//!
//! - `shard`: counting.
//! - `keeper`: when checkpoints are made, and which one is shown.
//! - `outlet`: what sources feed, whichever pipeline that is after a reload.
//! - `reshape`: counts of one configuration under another.
//! - `exporter`: the pages of the endpoint.

mod exporter;
mod keeper;
mod outlet;
mod reshape;
mod shard;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::config::Config;
use crate::exposition::{Exposition, Protocol, Rendering, Selection, Snapshot, Snapshots, View};
use crate::metrics::own::{SeriesTelemetry, SourceTelemetry, StateTelemetry};
use crate::metrics::{self, Cardinality, Dialect, Ending, Family, Planned, Totals};
use crate::series::Salt;
use crate::source::records::Rule;
use crate::state::{self, Checkpoint, Salts, SourceKey, Store};

pub use exporter::{Exporter, Followed, Shown, Wish};
pub use keeper::Keeping;
pub use outlet::{Outlet, Relay, switch};
pub use shard::{Feed, Lines, Shard};

use keeper::Keeper;
use reshape::reshaped;
use shard::{Counted, Knowing, Latest, SharedCounted, begin_with, end_with};

/// Takes a line for people, without its newline.
pub type Say = fn(fmt::Arguments<'_>);

/// Tells the time, in milliseconds since 1970.
pub type Clock = fn() -> u64;

/// Everything between the sources and the exposition.
pub struct Pipeline {
    families: Vec<Planned>,
    max_series_total: usize,
    shards: Mutex<Vec<SharedCounted>>,
    registry: Arc<Registry>,
    keeper: Keeper,
    /// One scrape at a time: its memory is used again by the next one.
    scrapes: Mutex<Vec<Scrape>>,
    say: Say,
}

/// What the feeds share.
struct Registry {
    /// What earlier runs have left.
    base: Arc<Checkpoint>,
    /// Grows with every change in a shard.
    changes: AtomicU64,
    sources: Mutex<BTreeMap<SourceKey, SourceTelemetry>>,
    /// How many feeds there have been.
    feeds: AtomicU64,
    latest: Mutex<Latest>,
    /// True when lines are counted as they are written: then the time matters for what remembers only the last.
    is_live: AtomicBool,
}

/// What a scrape of one family needs.
struct Scrape {
    view: View,
    /// The own telemetry by metric of the family; `None` until the metric has a series.
    reported: Vec<Option<SeriesTelemetry>>,
}

impl Pipeline {
    /// A pipeline for every family under `config`, without a source and without a state. `say` gets masked samples
    /// of rejected lines.
    ///
    /// Its telemetry goes to the recorder that is current when it is recorded: install it first.
    pub fn new(config: &Config, say: Say) -> Self {
        Self::of(config, Planned::all(config), None, Arc::default(), say)
    }

    /// The same with the state at `path`, which is begun if there is none: everything counted in earlier runs is
    /// there again. `say` also gets what happens to the state.
    ///
    /// # Errors
    /// The state cannot be used: see [`Store::open`].
    pub fn with_state(config: &Config, path: &Path, say: Say) -> Result<Self, state::Error> {
        let families = Planned::all(config);
        let mut store = Store::open(path, families.clone())?;
        store.notices().iter().for_each(|notice| say(format_args!("{notice}")));
        let base = Arc::clone(store.committed());
        Ok(Self::of(config, families, Some(store), base, say))
    }

    /// The same, telling the time by `clock` instead of the system's.
    #[must_use]
    pub fn by_clock(mut self, clock: Clock) -> Self {
        self.keeper.set_clock(clock);
        self
    }

    /// A pipeline under `config` that goes on with everything that this one has counted. Nothing may be counted any more in
    /// this one. With a state, everything is committed first, and the new pipeline goes on with the state, at `path`; what
    /// does not fit `config` is kept aside there, and without a state it is forgotten.
    ///
    /// # Errors
    /// The state cannot be used now. This pipeline is as it was.
    pub fn reconfigured(&self, config: &Config, path: Option<&Path>) -> Result<Self, state::Error> {
        let after = match path {
            Some(path) => {
                self.checkpoint()?;
                Self::with_state(config, path, self.say)?
            }
            None => {
                let families = Planned::all(config);
                let mut before = Checkpoint::default();
                self.capture(&mut before);
                before.date(&self.keeper.shown(), self.keeper.now_ms());
                let base = reshaped(&before, &self.families, &families);
                Self::of(config, families, None, Arc::new(base), self.say)
            }
        };
        Ok(after.by_clock(self.keeper.clock()))
    }

    fn of(config: &Config, families: Vec<Planned>, store: Option<Store>, base: Arc<Checkpoint>, say: Say) -> Self {
        take_up(&families, base.salts.clone());
        let scrape = |planned: &Planned| Scrape {
            view: View::new(Arc::clone(&planned.plan), Arc::clone(&planned.directory)),
            reported: planned.plan.family.metrics.iter().map(|_| None).collect(),
        };
        let is_dated = families.iter().flat_map(|planned| &planned.plan.expire_after).any(Option::is_some);
        Self {
            scrapes: Mutex::new(families.iter().map(scrape).collect()),
            keeper: Keeper::new(store, Arc::clone(&base), is_dated, say),
            registry: Arc::new(Registry {
                base,
                changes: AtomicU64::new(0),
                sources: Mutex::default(),
                feeds: AtomicU64::new(0),
                latest: Mutex::default(),
                is_live: AtomicBool::new(false),
            }),
            families,
            max_series_total: config.max_series_total,
            shards: Mutex::default(),
            say,
        }
    }

    /// True when the rows of this pipeline are those that `config` asks for, and are shown as long.
    pub fn fits(&self, config: &Config) -> bool {
        let is_same = |planned: &Planned| {
            let plan = planned.plan.family.plan(config);
            plan.is_some_and(|plan| plan.is_same(&planned.plan))
        };
        // A format has other metrics with another program's.
        self.families.iter().map(|planned| planned.plan.family).eq(config.families())
            && self.families.iter().all(is_same)
            && self.max_series_total == config.max_series_total
    }

    /// Names of the families whose metrics may be shown.
    pub fn families(&self) -> impl Iterator<Item = &'static str> {
        self.families.iter().map(|planned| planned.plan.family.name)
    }

    /// The keys of the source named `source`, read as `format`, of which a position is known.
    pub fn keys(&self, source: &str, format: &str) -> Vec<Arc<str>> {
        let positions = lock(&self.registry.latest).keys().cloned().collect::<BTreeSet<_>>();
        let known = positions.iter().chain(self.registry.base.positions.keys());
        let of_source = known.filter(|place| *place.source.source == *source && *place.source.format == *format);
        of_source.map(|place| Arc::clone(&place.key)).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The format called `name` that sources can be read as.
    pub fn format(&self, name: &str) -> Option<&'static str> {
        let families = self.families.iter().map(|planned| planned.plan.family).collect::<Vec<_>>();
        metrics::formats(&families).find(|format| *format == name)
    }

    /// How lines of `format` are joined to records, if they are.
    pub fn rule(&self, format: &str) -> Option<Arc<Rule>> {
        let family = self.families.iter().find(|planned| planned.plan.family.name == format)?;
        family.plan.custom.as_ref()?.records.clone()
    }

    /// A new shard for lines in `dialect` of `format`; `None` when no family is read as that.
    pub fn shard(&self, format: &'static str, dialect: &Dialect) -> Option<Shard> {
        let counter = metrics::counter(format, &self.families, dialect)?;
        let counting = Arc::new(());
        let counted = Arc::new(Mutex::new(Counted::new(counter, &counting)));
        lock(&self.shards).push(Arc::clone(&counted));
        let registry = Arc::clone(&self.registry);
        let shard = Shard { format, counted, registry, say: self.say, _counting: counting };
        shard.has_declared();
        Some(shard)
    }

    /// Commits what has changed since the last checkpoint. Without a state it does nothing.
    ///
    /// # Errors
    /// That failed. Counting goes on, what was committed last is shown, and the next checkpoint has it all.
    pub fn checkpoint(&self) -> Result<(), state::Error> {
        self.keeper.checkpoint(Duration::ZERO, || self.changes(), |checkpoint| self.capture(checkpoint))
    }

    /// Adds every log-derived metric to `exposition`, and tells the own telemetry what goes with it: add that one
    /// afterwards. With a state, everything that is shown has been committed.
    pub fn expose(&self, exposition: &mut Exposition) {
        self.keeper.freshen(|| self.changes(), |checkpoint| self.capture(checkpoint));
        let mut scrapes = lock(&self.scrapes);
        let (shown, now_ms) = (self.keeper.shown(), self.keeper.now_ms());
        let snapshots: Snapshots = Arc::<Checkpoint>::clone(&shown);
        for (index, ((planned, scrape), snapshot)) in
            self.families.iter().zip(scrapes.iter_mut()).zip(&shown.families).enumerate()
        {
            scrape.view.tell_time(self.registry.now());
            scrape.view.expire(now_ms);
            scrape.view.expose(&snapshots, index, exposition);
            scrape.report(planned, snapshot, now_ms);
        }
        self.registry.report(&shown.totals);
        if self.keeper.is_durable() {
            self.keeper.report(&StateTelemetry::new());
        }
    }

    /// Appends the same to `out` in the text format.
    pub fn render(&self, out: &mut Vec<u8>) {
        let mut exposition = Exposition::default();
        self.expose(&mut exposition);
        Rendering::new(exposition.into(), Protocol::Text004, Selection::default()).write_all(out);
    }

    /// How what the lines are about ended abnormally, by family, the commonest first. As recent as for
    /// [`expose`](Self::expose).
    pub fn endings(&self) -> Vec<Ending> {
        self.keeper.freshen(|| self.changes(), |checkpoint| self.capture(checkpoint));
        let shown = self.keeper.shown();
        let families = self.families.iter().zip(&shown.families);
        families.flat_map(|(planned, snapshot)| planned.endings(snapshot)).collect()
    }

    /// How many series each metric has, and by which values of its labels. As recent as for [`render`](Self::render).
    pub fn cardinality(&self) -> Cardinality {
        self.keeper.freshen(|| self.changes(), |checkpoint| self.capture(checkpoint));
        let (shown, now_ms) = (self.keeper.shown(), self.keeper.now_ms());
        let families = self.families.iter().zip(&shown.families);
        let metrics = families.flat_map(|(planned, snapshot)| planned.cardinality(snapshot, now_ms));
        Cardinality::new(self.max_series_total, metrics.collect())
    }

    /// Shows what has been counted of each family. As recent as for [`render`](Self::render).
    pub fn visit(&self, see: &mut dyn FnMut(&Planned, &Snapshot)) {
        self.keeper.freshen(|| self.changes(), |checkpoint| self.capture(checkpoint));
        let shown = self.keeper.shown();
        self.families.iter().zip(&shown.families).for_each(|(planned, snapshot)| see(planned, snapshot));
    }

    fn changes(&self) -> u64 {
        self.registry.changes.load(Relaxed)
    }

    /// Copies the cells of every shard, added up, with everything that goes with them.
    fn capture(&self, checkpoint: &mut Checkpoint) {
        begin_with(&self.registry.base, self.families.len(), checkpoint);
        let mut knowing = Knowing::new();
        let place = |family: &Family| self.families.iter().position(|planned| planned.plan.family == family);
        // The list is copied, so that a shard that is busy with a block keeps nobody from making another.
        let shards = lock(&self.shards).clone();
        shards.iter().for_each(|shard| lock(shard).add_to(checkpoint, &place, &mut knowing));
        end_with(&self.registry.base, &self.families, checkpoint);
        // After the rows: whatever one of them was made with, if it still holds, is here.
        checkpoint.salts = salts(&self.families).map(|(name, salt)| (name, salt.keep())).collect();
    }
}

/// The random keys of hashes, with their names.
fn salts(families: &[Planned]) -> impl Iterator<Item = (String, &Arc<Salt>)> {
    let salts = families.iter().flat_map(|planned| planned.plan.salts());
    salts.filter_map(|salt| Some((salt.name()?, salt)))
}

/// Has the hashes go on with the keys that are `known`. Of others, those of the same name have the same.
fn take_up(families: &[Planned], mut known: Salts) {
    for (name, salt) in salts(families) {
        salt.take_up(*known.entry(name).or_insert_with(|| salt.keep()));
    }
}

impl Scrape {
    /// Series, limit and overflow of each metric. Metrics without a series stay silent.
    fn report(&mut self, Planned { plan, .. }: &Planned, snapshot: &Snapshot, now_ms: u64) {
        let groups = &plan.groups;
        let series = (0..groups.len()).map(|group| snapshot.cells.rows(group).count()).collect::<Vec<_>>();
        let metrics = plan.family.metrics.iter().zip(&plan.slots);
        for (index, ((metric, slot), reported)) in metrics.zip(&mut self.reported).enumerate() {
            let Some(slot) = slot.filter(|slot| series[slot.group] > 0) else { continue };
            let reported = reported.get_or_insert_with(|| SeriesTelemetry::new(metric.name));
            reported.held.set(series[slot.group] as f64);
            reported.limit.set(groups[slot.group].max_series as f64);
            reported.overflow.absolute(snapshot.fell_out.get(index).copied().unwrap_or(0));
            reported.expired.set(snapshot.idle(slot.group, plan.fresh_since(index, now_ms)) as f64);
        }
    }
}

impl Registry {
    /// The time, in seconds since 1970; 0 where everything is counted at once, as in a replay.
    fn now(&self) -> u64 {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if self.is_live.load(Relaxed) { now() } else { 0 }
    }

    /// Makes the telemetry of a source; returns what it had brought in earlier runs, if anything, once.
    fn enter(&self, key: &SourceKey) -> Option<Totals> {
        let mut sources = lock(&self.sources);
        if sources.contains_key(key) {
            return None;
        }
        sources.insert(key.clone(), SourceTelemetry::new(&key.source, &key.format));
        self.base.totals.get(key).cloned()
    }

    /// Shows what befell each source.
    fn report(&self, totals: &BTreeMap<SourceKey, Totals>) {
        let sources = lock(&self.sources);
        let mut of_source: BTreeMap<&str, Totals> = BTreeMap::new();
        for (key, telemetry) in sources.iter() {
            let Some(totals) = totals.get(key) else { continue };
            telemetry.show_lines(totals);
            // The same source may be read as several formats.
            let all = of_source.entry(&key.source).or_default();
            all.add(totals);
            telemetry.show_source(all);
        }
    }
}

/// Locks. What a thread that panicked left behind is still a set of plain numbers.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
