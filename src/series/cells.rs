//! The cells of a shard: plain integers, all groups in two arrays. Beside them stand the distributions and exemplars that the
//! configuration asks for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::exemplars::{Exemplar, Exemplars};
use super::{Distribution, Mark, RowId, Shape};

/// How many cells a row has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// 64-bit cells: one per counter, and one per histogram for the sum of its observations.
    pub sums: usize,
    /// Bucket cells: for each histogram one per upper bound, and one for what is above them all.
    pub buckets: usize,
    /// The 64-bit cells are pairs: when a last value was set, as a number that grows with each, and the value. 0: never.
    pub is_last: bool,
    /// The distributions. Behind the sums of a row stands for each the number of its own, counted from 1.
    pub distributions: &'static [Shape],
}

/// Numbers values that were set, in all shards. Those of earlier runs have 1.
static SET: AtomicU64 = AtomicU64::new(2);

/// Where the cells of a row begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    sums: u32,
    buckets: u32,
}

impl Base {
    /// The row has no cells in this shard.
    const NONE: Self = Self { sums: u32::MAX, buckets: u32::MAX };
    /// Cells that are never shown, where what is not counted goes.
    pub const UNUSED: Self = Self { sums: 0, buckets: 0 };
}

impl Base {
    /// The index of cell `sum` of the row, for [`Open::add_at`].
    pub fn sum(self, sum: usize) -> u32 {
        self.sums + sum as u32
    }

    /// The index of bucket cell `bucket` of the row, for [`Open::count_at`].
    pub fn bucket(self, bucket: usize) -> u32 {
        self.buckets + bucket as u32
    }
}

/// Cells at [`Base::UNUSED`]: more than the buckets of any histogram.
const UNUSED: usize = 256;

/// Cells of every row that a shard has counted in. Bucket cells hold 32 bits, which keeps rows small; what
/// does not fit is carried aside.
#[derive(Clone, Debug, Default)]
pub struct Cells {
    layouts: Vec<Layout>,
    /// By group and row.
    bases: Vec<Vec<Base>>,
    sums: Vec<u64>,
    buckets: Vec<u32>,
    /// Multiples of 2^32 by index in `buckets`.
    carried: BTreeMap<usize, u64>,
    distributions: Vec<Distribution>,
    exemplars: Exemplars,
    /// The time, in seconds since 1970; 0 where nothing depends on it.
    now: u64,
}

impl Cells {
    /// Cells for groups of rows with these layouts; no row yet.
    pub fn new(layouts: impl IntoIterator<Item = Layout>) -> Self {
        let layouts = layouts.into_iter().collect::<Vec<_>>();
        let mut cells = Self { bases: vec![Vec::new(); layouts.len()], layouts, ..Self::default() };
        cells.clear();
        cells
    }

    /// Where the cells of `row` of `group` begin; they are made, as zeros, when there are none.
    pub fn base(&mut self, group: usize, row: RowId) -> Base {
        let (bases, row) = (&mut self.bases[group], row as usize);
        if bases.len() <= row {
            bases.resize(row + 1, Base::NONE);
        }
        if bases[row] == Base::NONE {
            // 2^32 cells would be 16 GiB and more: the limits on series come first.
            let layout = &self.layouts[group];
            bases[row] = Base { sums: self.sums.len() as u32, buckets: self.buckets.len() as u32 };
            self.sums.resize(self.sums.len() + layout.sums, 0);
            self.buckets.resize(self.buckets.len() + layout.buckets, 0);
            for shape in layout.distributions {
                self.distributions.push(shape.empty());
                self.sums.push(self.distributions.len() as u64);
            }
        }
        bases[row]
    }

    /// Adds `value` to cell `sum` of the row at `base`. Sums wrap at 2^64.
    #[inline(always)]
    pub fn add(&mut self, base: Base, sum: usize, value: u64) {
        self.open().add(base, sum, value);
    }

    /// Counts `times` observations in bucket cell `bucket` of the row at `base`.
    #[inline(always)]
    pub fn count(&mut self, base: Base, bucket: usize, times: u32) {
        self.open().count(base, bucket, times);
    }

    /// Sets the last value whose pair of cells begins at `sum` of the row at `base`, after all others so far.
    #[inline]
    pub fn set(&mut self, base: Base, sum: usize, value: u64) {
        self.set_as(base, sum, SET.fetch_add(1, Relaxed), value);
    }

    /// The same, if nothing has been set there with a higher number than `order`.
    pub fn set_as(&mut self, base: Base, sum: usize, order: u64, value: u64) {
        let at = base.sums as usize + sum;
        if let Some([known, last]) = self.sums.get_mut(at..at + 2)
            && order >= *known
        {
            (*known, *last) = (order, value);
        }
    }

    /// Counts `times` values at `mark` in distribution number `number` of the row at `base`, which is of `group`.
    pub fn distribute(&mut self, (group, base): (usize, Base), number: usize, mark: Mark, times: u64) {
        let Some(layout) = self.layouts.get(group) else { return };
        let Some(shape) = layout.distributions.get(number) else { return };
        let at = self.sums.get(base.sums as usize + layout.sums + number).copied().unwrap_or(0);
        if let Some(distribution) = (at as usize).checked_sub(1).and_then(|at| self.distributions.get_mut(at)) {
            distribution.count(mark, times, self.now, shape);
        }
    }

    /// Adds `other` to distribution number `number` of the row at `base`, which is of `group`.
    pub fn add_distribution(&mut self, (group, base): (usize, Base), number: usize, other: &Distribution) {
        let Some(layout) = self.layouts.get(group) else { return };
        let Some(shape) = layout.distributions.get(number) else { return };
        let at = self.sums.get(base.sums as usize + layout.sums + number).copied().unwrap_or(0);
        if let Some(distribution) = (at as usize).checked_sub(1).and_then(|at| self.distributions.get_mut(at)) {
            distribution.merge(other, shape);
        }
    }

    /// Distribution number `number` of `row` of `group`, if it has any.
    pub fn distribution(&self, group: usize, row: RowId, number: usize) -> Option<&Distribution> {
        self.distribution_at(group, self.base_of(group, row)?, number)
    }

    fn distribution_at(&self, group: usize, base: Base, number: usize) -> Option<&Distribution> {
        let layout = self.layouts.get(group).filter(|layout| number < layout.distributions.len())?;
        let at = *self.sums.get(base.sums as usize + layout.sums + number)?;
        self.distributions.get((at as usize).checked_sub(1)?)
    }

    /// What is counted from now on is counted at `now`, in seconds since 1970.
    pub fn tell_time(&mut self, now: u64) {
        self.now = now;
    }

    /// Keeps `exemplar` for cell `sum` of the row at `base`: for its counter, or for a histogram's bucket.
    pub fn exemplify(&mut self, base: Base, sum: usize, bucket: usize, exemplar: Exemplar) {
        self.exemplars.keep((base.sum(sum), bucket as u32), exemplar);
    }

    /// The exemplars of cell `sum` of `row` of `group`, by bucket.
    pub fn exemplars(&self, group: usize, row: RowId, sum: usize) -> impl Iterator<Item = (u32, &Exemplar)> {
        let base = self.base_of(group, row).filter(|_| !self.exemplars.is_empty());
        base.into_iter().flat_map(move |base| self.exemplars.of(base.sum(sum)))
    }

    /// The cells as slices, for many additions in a row.
    #[inline(always)]
    pub fn open(&mut self) -> Open<'_> {
        Open { sums: &mut self.sums, buckets: &mut self.buckets, carried: &mut self.carried }
    }

    /// Reads the cell at `index` (see [`Base::sum`]), for nothing but having it near.
    #[inline(always)]
    pub fn touch(&self, index: usize) -> u64 {
        self.sums.get(index).copied().unwrap_or(0)
    }

    #[cold]
    fn carry(&mut self, index: usize, count: u64) {
        *self.carried.entry(index).or_default() += count;
    }

    fn base_of(&self, group: usize, row: RowId) -> Option<Base> {
        self.bases.get(group)?.get(row as usize).copied().filter(|base| *base != Base::NONE)
    }

    /// The value of cell `sum` of `row` of `group`; 0 for a row without cells.
    pub fn sum(&self, group: usize, row: RowId, sum: usize) -> u64 {
        self.base_of(group, row).map_or(0, |base| self.sums[base.sums as usize + sum])
    }

    /// The counts of `length` bucket cells of `row` of `group`, from `bucket` on; zeros for a row without cells.
    pub fn buckets(&self, group: usize, row: RowId, bucket: usize, length: usize) -> impl Iterator<Item = u64> {
        let first = self.base_of(group, row).map(|base| base.buckets as usize + bucket);
        (0..length).map(move |offset| match first {
            None => 0,
            Some(first) if self.carried.is_empty() => u64::from(self.buckets[first + offset]),
            Some(first) => {
                let index = first + offset;
                u64::from(self.buckets[index]) + self.carried.get(&index).copied().unwrap_or(0)
            }
        })
    }

    /// Number of groups.
    pub fn groups(&self) -> usize {
        self.bases.len()
    }

    /// True when `row` of `group` has cells here, be they zeros.
    pub fn holds(&self, group: usize, row: RowId) -> bool {
        self.base_of(group, row).is_some()
    }

    /// The rows of `group` that have cells here, in order.
    pub fn rows(&self, group: usize) -> impl Iterator<Item = RowId> {
        let bases = self.bases.get(group).map(Vec::as_slice).unwrap_or_default();
        bases.iter().zip(0..).filter(|(base, _)| **base != Base::NONE).map(|(_, row)| row)
    }

    /// Counts `times` observations in bucket cell `bucket` of the row at `base`, however many they are.
    pub fn count_many(&mut self, base: Base, bucket: usize, times: u64) {
        self.count(base, bucket, times as u32);
        if times >> 32 > 0 {
            self.carry(base.buckets as usize + bucket, times >> 32 << 32);
        }
    }

    /// True when `row` of `group` has the same cells here as in `other`, whose groups are the same.
    pub fn is_same_row(&self, other: &Self, group: usize, row: RowId) -> bool {
        let (here, there) = match (self.base_of(group, row), other.base_of(group, row)) {
            (Some(here), Some(there)) => (here, there),
            (here, there) => return here == there,
        };
        let Some(layout) = self.layouts.get(group) else { return false };
        let sums = |base: Base| base.sums as usize..base.sums as usize + layout.sums;
        let range = |base: Base| base.buckets as usize..base.buckets as usize + layout.buckets;
        let carried = |cells: &Self, base: Base| {
            let carried = cells.carried.range(range(base));
            carried.map(|(index, carried)| (index - base.buckets as usize, *carried)).collect::<Vec<_>>()
        };
        let is_carried = !self.carried.is_empty() || !other.carried.is_empty();
        let is_same_distribution =
            |number: usize| self.distribution_at(group, here, number) == other.distribution_at(group, there, number);
        self.sums.get(sums(here)) == other.sums.get(sums(there))
            && self.buckets.get(range(here)) == other.buckets.get(range(there))
            && (!is_carried || carried(self, here) == carried(other, there))
            && (0..layout.distributions.len()).all(is_same_distribution)
    }

    /// Adds all cells of `other`, a shard of the same groups. Cells without a row become a copy.
    pub fn merge(&mut self, other: &Self) {
        if self.bases.iter().all(Vec::is_empty) {
            self.layouts.clone_from(&other.layouts);
            self.bases.clone_from(&other.bases);
            self.sums.clone_from(&other.sums);
            self.buckets.clone_from(&other.buckets);
            self.carried.clone_from(&other.carried);
            self.distributions.clone_from(&other.distributions);
            self.exemplars.clone_from(&other.exemplars);
            return;
        }
        for (group, layout) in other.layouts.iter().enumerate() {
            for row in 0..other.bases[group].len() as RowId {
                let Some(from) = other.base_of(group, row) else { continue };
                let base = self.base(group, row);
                let sums = from.sums as usize..from.sums as usize + layout.sums;
                let sums = other.sums.get(sums).unwrap_or_default();
                if layout.is_last {
                    let pairs = sums.as_chunks::<2>().0.iter().enumerate();
                    pairs.for_each(|(pair, [order, value])| self.set_as(base, 2 * pair, *order, *value));
                } else {
                    sums.iter().enumerate().for_each(|(sum, value)| self.add(base, sum, *value));
                }
                for bucket in 0..layout.buckets {
                    let index = from.buckets as usize + bucket;
                    self.count(base, bucket, other.buckets[index]);
                    if let Some(carried) = other.carried.get(&index) {
                        self.carry(base.buckets as usize + bucket, *carried);
                    }
                }
                for number in 0..layout.distributions.len() {
                    if let Some(distribution) = other.distribution_at(group, from, number) {
                        self.add_distribution((group, base), number, distribution);
                    }
                }
                if !other.exemplars.is_empty() {
                    for sum in 0..layout.sums {
                        for (bucket, exemplar) in other.exemplars.of(from.sum(sum)) {
                            self.exemplify(base, sum, bucket as usize, exemplar.clone());
                        }
                    }
                }
            }
        }
    }

    /// Forgets every row and keeps the memory.
    pub fn clear(&mut self) {
        self.bases.iter_mut().for_each(Vec::clear);
        self.sums.clear();
        self.sums.resize(UNUSED, 0);
        self.buckets.clear();
        self.buckets.resize(UNUSED, 0);
        self.carried.clear();
        self.distributions.clear();
        self.exemplars.clear();
    }
}

/// The cells of a shard while a line is counted.
pub struct Open<'c> {
    sums: &'c mut [u64],
    buckets: &'c mut [u32],
    carried: &'c mut BTreeMap<usize, u64>,
}

impl Open<'_> {
    /// Adds `value` to cell `sum` of the row at `base`. Sums wrap at 2^64.
    #[inline(always)]
    pub fn add(&mut self, base: Base, sum: usize, value: u64) {
        self.add_at(base.sums as usize + sum, value);
    }

    /// Adds `value` to the cell at `index`. Sums wrap at 2^64.
    #[inline(always)]
    pub fn add_at(&mut self, index: usize, value: u64) {
        if let Some(cell) = self.sums.get_mut(index) {
            *cell = cell.wrapping_add(value);
        }
    }

    /// Counts `times` observations in bucket cell `bucket` of the row at `base`.
    #[inline(always)]
    pub fn count(&mut self, base: Base, bucket: usize, times: u32) {
        self.count_at(base.buckets as usize + bucket, times);
    }

    /// Counts `times` observations in the bucket cell at `index`.
    #[inline(always)]
    pub fn count_at(&mut self, index: usize, times: u32) {
        let Some(cell) = self.buckets.get_mut(index) else { return };
        let (value, has_carried) = cell.overflowing_add(times);
        *cell = value;
        if has_carried {
            carry(self.carried, index);
        }
    }
}

/// Apart, so that whoever counts may keep the slices in registers.
#[cold]
fn carry(carried: &mut BTreeMap<usize, u64>, index: usize) {
    *carried.entry(index).or_default() += 1 << 32;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells() -> Cells {
        Cells::new([
            Layout { sums: 1, buckets: 2, ..Layout::default() },
            Layout { sums: 2, ..Layout::default() },
            Layout { sums: 4, is_last: true, ..Layout::default() },
        ])
    }

    #[test]
    fn buckets_count_beyond_32_bits() {
        let mut shard = cells();
        let base = shard.base(0, 1);
        for _ in 0..5 {
            shard.count(base, 1, u32::MAX);
        }
        assert_eq!(shard.buckets(0, 1, 0, 2).collect::<Vec<_>>(), [0, 5 * u64::from(u32::MAX)]);
        let mut total = cells();
        total.merge(&shard);
        total.merge(&shard);
        assert_eq!(total.buckets(0, 1, 1, 1).collect::<Vec<_>>(), [10 * u64::from(u32::MAX)]);
    }

    #[test]
    fn shards_with_different_rows_add_up() {
        let (mut one, mut two, mut total) = (cells(), cells(), cells());
        for (shard, rows) in [(&mut one, [(3, 5), (0, 7)]), (&mut two, [(3, 11), (9, 13)])] {
            for (row, value) in rows {
                let base = shard.base(1, row);
                shard.add(base, 1, value);
            }
        }
        total.merge(&one);
        total.merge(&two);
        assert_eq!([0, 3, 9].map(|row| total.sum(1, row, 1)), [7, 16, 13]);
        total.clear();
        assert_eq!(total.sum(1, 3, 1), 0);
    }

    #[test]
    fn the_last_value_wins_whichever_shard_set_it() {
        let (mut one, mut two) = (cells(), cells());
        let base = one.base(2, 0);
        one.set(base, 0, 5);
        let there = two.base(2, 0);
        two.set(there, 0, 7);
        two.set(there, 2, 8);
        one.set(base, 2, 6);
        for shards in [[&one, &two], [&two, &one]] {
            let mut total = cells();
            shards.iter().for_each(|shard| total.merge(shard));
            assert_eq!([1, 3].map(|sum| total.sum(2, 0, sum)), [7, 6]);
        }
        // What an earlier run has set counts where nothing else was.
        let mut before = cells();
        let base = before.base(2, 0);
        before.set_as(base, 0, 1, 3);
        let mut total = cells();
        total.merge(&one);
        total.merge(&before);
        assert_eq!(total.sum(2, 0, 1), 5);
    }

    #[test]
    fn rows_are_compared_cell_by_cell() {
        let (mut one, mut two) = (cells(), cells());
        let base = one.base(0, 3);
        assert!(!one.is_same_row(&two, 0, 3) && !two.is_same_row(&one, 0, 3) && one.is_same_row(&two, 0, 2));
        two.base(1, 0);
        let other = two.base(0, 3);
        assert!(one.is_same_row(&two, 0, 3));
        one.count_many(base, 1, 7 << 32 | 5);
        assert_eq!(one.buckets(0, 3, 0, 2).collect::<Vec<_>>(), [0, 7 << 32 | 5]);
        two.count(other, 1, 5);
        assert!(!one.is_same_row(&two, 0, 3));
        two.count_many(other, 1, 7 << 32);
        assert!(one.is_same_row(&two, 0, 3));
        two.add(other, 0, 1);
        assert!(!one.is_same_row(&two, 0, 3));
        assert_eq!((one.rows(0).collect::<Vec<_>>(), one.holds(0, 2), one.holds(0, 3)), (vec![3], false, true));
    }

    #[test]
    fn a_row_without_cells_is_zero() {
        let cells = cells();
        assert_eq!(cells.sum(0, 7, 0), 0);
        assert_eq!(cells.buckets(0, 7, 0, 2).sum::<u64>(), 0);
    }
}
