//! What a commit holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::exposition::Snapshot;
use crate::metrics::{Message, Totals};
use crate::source::Position;

/// All counts at one moment, and where reading stands behind them.
#[derive(Clone, Debug, Default)]
pub struct Checkpoint {
    /// The cells of each family, in the order in which the families were given to
    /// [`Store::open`](super::Store::open).
    pub families: Vec<Snapshot>,
    /// What befell the lines of each source.
    pub totals: BTreeMap<SourceKey, Totals>,
    /// Where reading stands.
    pub positions: BTreeMap<Place, Position>,
    /// Messages under way, by id.
    pub messages: Messages,
}

impl AsRef<[Snapshot]> for Checkpoint {
    fn as_ref(&self) -> &[Snapshot] {
        &self.families
    }
}

impl Checkpoint {
    /// Dates the rows of every family, see [`Snapshot::date`]; `before` is the checkpoint before this one.
    pub fn date(&mut self, before: &Self, now_ms: u64) {
        let none = Snapshot::default();
        for (index, snapshot) in self.families.iter_mut().enumerate() {
            snapshot.date(before.families.get(index).unwrap_or(&none), now_ms);
        }
    }
}

/// The messages under way in each room, ordered by id.
pub type Messages = BTreeMap<Mailroom, Vec<Message>>;

/// Whose messages are under way: one family's, as one source tells of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mailroom {
    /// The source.
    pub source: SourceKey,
    /// The family's name.
    pub family: Arc<str>,
}

/// A source, read as one format.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceKey {
    /// Its name, see [`source_name`](crate::metrics::own::source_name).
    pub source: Arc<str>,
    /// The name of the log family.
    pub format: Arc<str>,
}

/// What a position is of: one of a source's files, its journal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The source.
    pub source: SourceKey,
    /// Tells its files apart.
    pub key: Arc<str>,
}
