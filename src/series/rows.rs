//! The cells of one group in one shard.

use std::collections::BTreeMap;

use super::RowId;

/// How many cells a row has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// 64-bit cells: one per counter, and one per histogram for the sum of its observations.
    pub sums: usize,
    /// Bucket cells: for each histogram one per upper bound, and one for what is above them all.
    pub buckets: usize,
}

/// Rows of cells. Bucket cells hold 32 bits, which keeps rows small; what does not fit is carried aside.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    layout: Layout,
    sums: Vec<u64>,
    buckets: Vec<u32>,
    /// Multiples of 2^32 by index in `buckets`.
    carried: BTreeMap<usize, u64>,
}

impl Rows {
    /// No row yet.
    pub fn new(layout: Layout) -> Self {
        Self { layout, ..Self::default() }
    }

    /// The cells of each row.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Makes room for row `row` and all before it.
    pub fn grow(&mut self, row: RowId) {
        let rows = row as usize + 1;
        if self.sums.len() < rows * self.layout.sums || self.buckets.len() < rows * self.layout.buckets {
            self.sums.resize(rows * self.layout.sums, 0);
            self.buckets.resize(rows * self.layout.buckets, 0);
        }
    }

    /// Adds `value` to cell `sum` of `row`. Sums wrap at 2^64.
    #[inline]
    pub fn add(&mut self, row: RowId, sum: usize, value: u64) {
        if let Some(cell) = self.sums.get_mut(row as usize * self.layout.sums + sum) {
            *cell = cell.wrapping_add(value);
        }
    }

    /// Counts `times` observations in bucket cell `bucket` of `row`.
    #[inline]
    pub fn count(&mut self, row: RowId, bucket: usize, times: u32) {
        let index = row as usize * self.layout.buckets + bucket;
        let Some(cell) = self.buckets.get_mut(index) else { return };
        let (value, carry) = cell.overflowing_add(times);
        *cell = value;
        if carry {
            *self.carried.entry(index).or_default() += 1 << 32;
        }
    }

    /// The value of cell `sum` of `row`; 0 for a row without cells.
    pub fn sum(&self, row: RowId, sum: usize) -> u64 {
        self.sums.get(row as usize * self.layout.sums + sum).copied().unwrap_or(0)
    }

    /// The count in bucket cell `bucket` of `row`; 0 for a row without cells.
    pub fn bucket(&self, row: RowId, bucket: usize) -> u64 {
        let index = row as usize * self.layout.buckets + bucket;
        let carried = if self.carried.is_empty() { 0 } else { self.carried.get(&index).copied().unwrap_or(0) };
        self.buckets.get(index).map_or(0, |count| u64::from(*count)) + carried
    }

    /// Sets every cell to zero and keeps the memory.
    pub fn clear(&mut self) {
        self.sums.clear();
        self.buckets.clear();
        self.carried.clear();
    }

    /// Adds all cells of `other`, a shard's rows of the same group.
    pub fn merge(&mut self, other: &Self) {
        if self.sums.is_empty() && self.buckets.is_empty() {
            // The only shard, or the first: a copy.
            self.sums.extend_from_slice(&other.sums);
            self.buckets.extend_from_slice(&other.buckets);
            self.carried.extend(&other.carried);
            return;
        }
        self.sums.resize(self.sums.len().max(other.sums.len()), 0);
        self.buckets.resize(self.buckets.len().max(other.buckets.len()), 0);
        for (sum, more) in self.sums.iter_mut().zip(&other.sums) {
            *sum = sum.wrapping_add(*more);
        }
        for (index, (count, more)) in self.buckets.iter_mut().zip(&other.buckets).enumerate() {
            let (value, carry) = count.overflowing_add(*more);
            *count = value;
            if carry {
                *self.carried.entry(index).or_default() += 1 << 32;
            }
        }
        for (index, carried) in &other.carried {
            *self.carried.entry(*index).or_default() += carried;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_count_beyond_32_bits() {
        let mut rows = Rows::new(Layout { sums: 1, buckets: 2 });
        rows.grow(1);
        for _ in 0..5 {
            rows.count(1, 1, u32::MAX);
        }
        assert_eq!(rows.bucket(1, 1), 5 * u64::from(u32::MAX));
        let mut total = Rows::new(Layout { sums: 1, buckets: 2 });
        total.merge(&rows);
        total.merge(&rows);
        assert_eq!(total.bucket(1, 1), 10 * u64::from(u32::MAX));
        assert_eq!(total.bucket(0, 1), 0);
    }

    #[test]
    fn a_row_without_cells_is_zero() {
        let rows = Rows::new(Layout { sums: 1, buckets: 1 });
        assert_eq!((rows.sum(7, 0), rows.bucket(7, 0)), (0, 0));
    }
}
