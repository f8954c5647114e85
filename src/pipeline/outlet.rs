//! What sources feed, whichever pipeline that is: after a reload it may be another one, and the source goes on.

use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use super::{Feed, Lines, Pipeline, Shard, lock};
use crate::metrics::Dialect;
use crate::source::records::{Records, Rule};
use crate::source::{Block, Incident, Position, Sink};

/// Where everything goes that one source gives: a shard of the present pipeline.
pub struct Outlet {
    source: String,
    format: &'static str,
    lines: Arc<Lines>,
    end: Mutex<End>,
}

struct End {
    shard: Shard,
    dialect: Dialect,
    relays: Vec<Weak<Slot>>,
    /// How lines are joined to records.
    rule: Option<Arc<Rule>>,
}

/// A feed that can be exchanged.
struct Slot {
    key: String,
    /// `None` only while it is exchanged.
    feed: Mutex<Option<Records<Feed>>>,
}

impl Outlet {
    /// For the source named `source` (see [`source_name`](crate::metrics::own::source_name)), read as `format` in
    /// `dialect`; `None`
    /// when there is no such format.
    pub fn new(pipeline: &Pipeline, source: &str, format: &'static str, dialect: Dialect) -> Option<Self> {
        let (shard, rule) = (pipeline.shard(format, &dialect)?, pipeline.rule(format));
        let end = Mutex::new(End { shard, dialect, relays: Vec::new(), rule });
        Some(Self { source: source.to_owned(), format, lines: Arc::default(), end })
    }

    /// What takes the blocks of the source, or of that one of its files which `key` tells apart.
    pub fn relay(&self, key: &str) -> Relay {
        let mut end = lock(&self.end);
        let feed = end.shard.feed_counting(&self.source, key, Arc::clone(&self.lines));
        let feed = Mutex::new(Some(Records::new(feed, end.rule.clone())));
        let slot = Arc::new(Slot { key: key.to_owned(), feed });
        end.relays.retain(|relay| relay.strong_count() > 0);
        end.relays.push(Arc::downgrade(&slot));
        Relay(slot)
    }

    /// Lines are written in `dialect` from now on.
    pub fn speak(&self, dialect: &Dialect) {
        let mut end = lock(&self.end);
        if end.dialect != *dialect {
            end.shard.speak(dialect);
            end.dialect = dialect.clone();
        }
    }

    /// True when lines are joined to records: one may wait for its next line.
    pub fn joins_lines(&self) -> bool {
        lock(&self.end).rule.is_some()
    }

    /// Counts the records to which no line has been added for `patience`.
    pub fn settle(&self, patience: Duration) {
        self.each(|records| records.settle(patience));
    }

    /// The source ends in this run: counts the records that cannot be read again.
    pub fn end(&self) {
        self.each(Records::end);
    }

    fn each(&self, change: impl Fn(&mut Records<Feed>)) {
        let slots = lock(&self.end).relays.iter().filter_map(Weak::upgrade).collect::<Vec<_>>();
        slots.iter().for_each(|slot| slot.change(&change));
    }

    /// Lines of the source so far, those of earlier runs included.
    pub fn lines(&self) -> Arc<Lines> {
        Arc::clone(&self.lines)
    }
}

/// Takes the blocks of a source, or of one of its files.
pub struct Relay(Arc<Slot>);

impl Relay {
    /// Where reading stands, at first where an earlier run left it.
    pub fn position(&self) -> Option<Position> {
        lock(&self.0.feed).as_ref()?.sink().position()
    }
}

impl Slot {
    fn change(&self, change: impl FnOnce(&mut Records<Feed>)) {
        if let Some(records) = lock(&self.feed).as_mut() {
            change(records);
        }
    }
}

impl Sink for Relay {
    fn block(&mut self, block: Block<'_>) {
        self.0.change(|records| records.block(block));
    }

    fn stands(&mut self, position: Position, befell: &[Incident]) {
        self.0.change(|records| records.stands(position, befell));
    }

    fn left(&mut self, befell: &[Incident]) {
        self.0.change(|records| records.left(befell));
    }

    fn incident(&mut self, incident: Incident) {
        self.0.change(|records| records.incident(incident));
    }

    fn wants_lines(&self) -> bool {
        lock(&self.0.feed).as_ref().is_some_and(Records::wants_lines)
    }
}

/// Has the sources of `outlets` wait while `renew` makes another pipeline, and go on with that one.
///
/// # Errors
/// What `renew` returns: everything is as before.
pub fn switch<E>(
    outlets: &[Arc<Outlet>],
    renew: impl FnOnce() -> Result<Arc<Pipeline>, E>,
) -> Result<Arc<Pipeline>, E> {
    let mut ends = outlets.iter().map(|outlet| lock(&outlet.end)).collect::<Vec<_>>();
    let slots =
        ends.iter().map(|end| end.relays.iter().filter_map(Weak::upgrade).collect::<Vec<_>>()).collect::<Vec<_>>();
    let mut feeds = slots
        .iter()
        .map(|slots| slots.iter().map(|slot| lock(&slot.feed)).collect::<Vec<_>>())
        .collect::<Vec<Vec<MutexGuard<'_, Option<Records<Feed>>>>>>();
    let pipeline = renew()?;
    for (((outlet, end), slots), feeds) in outlets.iter().zip(&mut ends).zip(&slots).zip(&mut feeds) {
        let Some(shard) = pipeline.shard(outlet.format, &end.dialect) else { continue };
        end.rule = pipeline.rule(outlet.format);
        for (slot, feed) in slots.iter().zip(feeds) {
            let new = shard.feed_counting(&outlet.source, &slot.key, Arc::new(Lines::default()));
            // An open record stays open: its lines have been read already.
            **feed = feed.take().map(|records| records.go_on(end.rule.clone(), |_| new.counting(&outlet.lines)));
        }
        end.shard = shard;
    }
    Ok(pipeline)
}
