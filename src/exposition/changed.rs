//! When rows changed, for rows that are not shown any more once they are idle.
//!
//! Counting keeps no time: two snapshots are compared, and what differs is dated when the later one was taken. So a row is
//! never dated earlier than its last addition, and later by no more than the time between two snapshots.

use crate::series::RowId;

/// When each row of a family was last found changed, in milliseconds since 1970 by the system's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// By group and row; 0 for unknown.
    times_ms: Vec<Vec<u64>>,
}

impl Changed {
    /// When `row` of `group` changed, if that is known.
    pub fn at(&self, group: usize, row: RowId) -> Option<u64> {
        self.times_ms.get(group)?.get(row as usize).copied().filter(|time_ms| *time_ms > 0)
    }

    /// Dates `row` of `group`; 0 for unknown.
    pub fn set(&mut self, group: usize, row: RowId, time_ms: u64) {
        let row = row as usize;
        if self.times_ms.len() <= group {
            self.times_ms.resize_with(group + 1, Vec::new);
        }
        if let Some(times_ms) = self.times_ms.get_mut(group) {
            if times_ms.len() <= row {
                times_ms.resize(row + 1, 0);
            }
            if let Some(known_ms) = times_ms.get_mut(row) {
                *known_ms = time_ms;
            }
        }
    }

    /// Dates `row` of `group` unless it has a later date.
    pub fn set_latest(&mut self, group: usize, row: RowId, time_ms: u64) {
        self.set(group, row, time_ms.max(self.at(group, row).unwrap_or(0)));
    }

    /// Forgets every date and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.times_ms.iter_mut().for_each(Vec::clear);
    }
}
