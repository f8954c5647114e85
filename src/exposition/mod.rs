//! The exposition: rows of cells in the forms that Prometheus reads. Fifth stage of the flow.
//!
//! A scrape takes a [`Snapshot`], copies of all cells made shard by shard under the locks that counting
//! uses, and writes it at leisure, a piece at a time. The label block of a row was escaped once, when the row was made.
//!
//! - `table`: what is shown, whatever the form: the tables of an [`Exposition`], a metric each, and their rows.
//! - `view`: the tables of a family, whose rows are kept in order from scrape to scrape.
//! - `format`: the forms, and what they are called in HTTP.
//! - `selection`: which metrics a request asks for.
//! - `rendering`: goes through tables row by row and writes them in one form, `text` or `protobuf`.

mod changed;
mod format;
mod protobuf;
mod rendering;
mod selection;
mod table;
mod text;
mod view;

pub use changed::Changed;
pub use format::{Escaping, Format, Protocol};
pub use rendering::Rendering;
pub use selection::Selection;
pub use table::{Exposition, Head, Number, Sample, Snapshots, Table, Type};
pub use view::View;

use crate::series::{Cells, RowId};

/// The cells of one family at one moment, all shards added up.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Groups as in the plan.
    pub cells: Cells,
    /// Lines that fell out of labels or limits, by metric of the family.
    pub fell_out: Vec<u64>,
    /// When each row was last found changed. Shards do not know: see [`Snapshot::date`].
    pub changed: Changed,
}

impl Snapshot {
    /// Adds what a shard holds. An empty snapshot becomes a copy.
    pub fn add(&mut self, cells: &Cells, fell_out: &[u64]) {
        self.cells.merge(cells);
        self.fell_out.resize(fell_out.len().max(self.fell_out.len()), 0);
        for (total, count) in self.fell_out.iter_mut().zip(fell_out) {
            *total += count;
        }
    }

    /// Rows of `group` that have cells and have not changed `since_ms`; none when that is 0.
    pub fn idle(&self, group: usize, since_ms: u64) -> usize {
        match since_ms {
            0 => 0,
            _ => self.cells.rows(group).filter(|row| !self.shows(group, *row, since_ms)).count(),
        }
    }

    /// True when `row` of `group` has cells and has changed `since_ms`; 0 is always.
    fn shows(&self, group: usize, row: RowId, since_ms: u64) -> bool {
        self.cells.holds(group, row) && (since_ms == 0 || self.changed.at(group, row).unwrap_or(0) >= since_ms)
    }

    /// Back to nothing; keeps the memory.
    pub fn clear(&mut self) {
        self.cells.clear();
        self.fell_out.clear();
        self.changed.clear();
    }

    /// Dates every row: one with the cells that it has in `before`, the snapshot before this one, as it is dated there, any
    /// other one `now_ms`. So is one that is dated later than now, or not at all.
    pub fn date(&mut self, before: &Self, now_ms: u64) {
        for group in 0..self.cells.groups() {
            for row in self.cells.rows(group) {
                let known = before.changed.at(group, row).filter(|known_ms| *known_ms <= now_ms);
                let known = known.filter(|_| self.cells.is_same_row(&before.cells, group, row));
                self.changed.set(group, row, known.unwrap_or(now_ms));
            }
        }
    }
}

impl AsRef<[Snapshot]> for Snapshot {
    fn as_ref(&self) -> &[Snapshot] {
        std::slice::from_ref(self)
    }
}
