//! The exposition: rows of cells as text for Prometheus. Fifth stage of the flow.
//!
//! A scrape takes a [`Snapshot`], copies of all cells made shard by shard under the locks that counting
//! uses, and writes it at leisure. The label block of a row was escaped once, when the row was made.

mod text;

pub use text::{CONTENT_TYPE, View};

use crate::series::Cells;

/// The cells of one family at one moment, all shards added up.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Groups as in the plan.
    pub cells: Cells,
    /// Lines that fell out of labels or limits, by metric of the family.
    pub fell_out: Vec<u64>,
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

    /// Back to nothing; keeps the memory.
    pub fn clear(&mut self) {
        self.cells.clear();
        self.fell_out.clear();
    }
}
