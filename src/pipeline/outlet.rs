//! What sources feed, whichever pipeline that is: after a reload it may be another one, and the source goes on.

use std::sync::{Arc, Mutex, MutexGuard, Weak};

use super::{Feed, Lines, Pipeline, Shard, lock};
use crate::metrics::Dialect;
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
}

/// A feed that can be exchanged.
struct Slot {
    key: String,
    feed: Mutex<Feed>,
}

impl Outlet {
    /// For the source named `source` (see [`source_name`](crate::metrics::own::source_name)), read as `format` in
    /// `dialect`; `None`
    /// when there is no such format.
    pub fn new(pipeline: &Pipeline, source: &str, format: &'static str, dialect: Dialect) -> Option<Self> {
        let end = Mutex::new(End { shard: pipeline.shard(format, &dialect)?, dialect, relays: Vec::new() });
        Some(Self { source: source.to_owned(), format, lines: Arc::default(), end })
    }

    /// What takes the blocks of the source, or of that one of its files which `key` tells apart.
    pub fn relay(&self, key: &str) -> Relay {
        let mut end = lock(&self.end);
        let feed = Mutex::new(end.shard.feed_counting(&self.source, key, Arc::clone(&self.lines)));
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
        lock(&self.0.feed).position()
    }
}

impl Sink for Relay {
    fn block(&mut self, block: Block<'_>) {
        lock(&self.0.feed).block(block);
    }

    fn stands(&mut self, position: Position, befell: &[Incident]) {
        lock(&self.0.feed).stands(position, befell);
    }

    fn left(&mut self, befell: &[Incident]) {
        lock(&self.0.feed).left(befell);
    }

    fn incident(&mut self, incident: Incident) {
        lock(&self.0.feed).incident(incident);
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
        .collect::<Vec<Vec<MutexGuard<'_, Feed>>>>();
    let pipeline = renew()?;
    for (((outlet, end), slots), feeds) in outlets.iter().zip(&mut ends).zip(&slots).zip(&mut feeds) {
        let Some(shard) = pipeline.shard(outlet.format, &end.dialect) else { continue };
        for (slot, feed) in slots.iter().zip(feeds) {
            **feed = shard.feed_counting(&outlet.source, &slot.key, Arc::new(Lines::default())).counting(&outlet.lines);
        }
        end.shard = shard;
    }
    Ok(pipeline)
}
