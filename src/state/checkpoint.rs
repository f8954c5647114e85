//! What a commit holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use tailmeter_parsers::Reason;

use crate::exposition::Snapshot;
use crate::source::{Incident, Loss, Position, Rotation};

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

/// What befell the lines of one source, over all runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Lines that became events.
    pub parsed: u64,
    /// Lines that are known and not counted.
    pub ignored: u64,
    /// Lines that are not of the format, by [`Reason::index`].
    pub rejected: [u64; Reason::ALL.len()],
    /// Lines longer than the limit. They are among the others, too.
    pub truncated: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Rotations followed, by [`Rotation::index`].
    pub rotations: [u64; Rotation::ALL.len()],
    /// Bytes that can never be read, by [`Loss::index`].
    pub lost_bytes: [u64; Loss::ALL.len()],
    /// Messages that the kernel threw away.
    pub dropped_messages: u64,
}

impl Totals {
    /// All rejected lines.
    pub fn rejected_lines(&self) -> u64 {
        self.rejected.iter().sum()
    }

    /// Counts an incident.
    pub fn incident(&mut self, incident: Incident) {
        match incident {
            Incident::Rotated(rotation) => self.rotations[rotation.index()] += 1,
            Incident::Lost(bytes, reason) => self.lost_bytes[reason.index()] += bytes,
            Incident::Dropped(messages) => self.dropped_messages += messages,
        }
    }

    /// Adds those of `other`.
    pub fn add(&mut self, other: &Self) {
        let mut other = other.clone();
        for ((_, total), (_, count)) in self.cells().into_iter().zip(other.cells()) {
            *total += *count;
        }
    }

    /// Each number with its name in the state. A name stands for the same thing for ever.
    pub(super) fn cells(&mut self) -> Vec<(Name, &mut u64)> {
        let Self { parsed, ignored, rejected, truncated, read_bytes, rotations, lost_bytes, dropped_messages } = self;
        let mut cells = vec![
            (Name("parsed", ""), parsed),
            (Name("ignored", ""), ignored),
            (Name("truncated", ""), truncated),
            (Name("read_bytes", ""), read_bytes),
            (Name("dropped_messages", ""), dropped_messages),
        ];
        cells.extend(Reason::ALL.map(|reason| Name("rejected.", reason.as_str())).into_iter().zip(rejected));
        cells.extend(Rotation::ALL.map(|kind| Name("rotations.", kind.as_str())).into_iter().zip(rotations));
        cells.extend(Loss::ALL.map(|reason| Name("lost_bytes.", reason.as_str())).into_iter().zip(lost_bytes));
        cells
    }
}

/// The name of a number, in two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name(pub(super) &'static str, pub(super) &'static str);

impl Name {
    /// True when `name` is this one, written together.
    pub(super) fn is(self, name: &str) -> bool {
        name.strip_prefix(self.0) == Some(self.1)
    }
}
