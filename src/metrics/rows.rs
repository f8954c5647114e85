//! Rows of a mail family in a shard: from an event's label values to additions.
//!
//! A family names its metrics and labels by their places in its tables. For each addition it says what the value of a
//! label is; those that the metric has under this configuration are asked for, in their order, and looked up together as they
//! stand in the line: policies run only when such a tuple is new.

mod repeats;

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;

pub(super) use repeats::Recall;
use repeats::{Addition, Repeats, Words};

use super::exemplar::Witness;
use super::plan::in_cells;
use super::{Form, Plan, Planned, Slot};
use crate::series::{Base, Cells, Directory, Key, Memo, NO_ENTRY, fold};

/// The rows of one family.
pub struct Rows {
    plan: Arc<Plan>,
    directory: Arc<Directory>,
    cells: Cells,
    fell_out: Vec<u64>,
    /// By group: its labels, by their places in the family's vocabulary.
    labels: Vec<Vec<usize>>,
    /// By metric: its labels, as bits, by their places in the family's vocabulary.
    masks: Vec<u64>,
    /// By metric: its buckets.
    bounds: Vec<Bounds>,
    memo: Memo,
    /// Spots that were found by what is told of them.
    told: Box<[(u64, Option<Spot>); TOLD]>,
    /// What tuples are known by in the memo.
    seeds: [u64; 4],
    /// How many lines the present one stands for.
    times: u32,
    /// What leads to the present line, if the configuration asks for it and the line has it.
    witness: Option<Witness>,
    /// True when the configuration asks for more than cells of any metric.
    any_more: bool,
    /// What [`Plan::turn`] said of the rows that are remembered.
    turn: u64,
    /// The head of the present line, if it is known.
    head: u64,
    /// Lines that have come before, and what the present one adds, if that is to be remembered.
    repeats: Repeats,
    is_recorded: bool,
    recorded: Vec<Addition>,
}

/// Spots that are remembered by what is told of them; a power of two.
const TOLD: usize = 1024;

/// The upper bounds of a metric's buckets, as its cells hold them.
struct Bounds {
    bounds: Vec<i64>,
    /// By the number of bits of an amount: the first bucket that it can be in.
    first: [u16; 65],
    /// True when there are more than two bounds between amounts with the same number of bits.
    has_more: bool,
}

impl Bounds {
    fn new(bounds: Vec<i64>) -> Self {
        // How many bounds are below every amount of so many bits.
        let below = |bits: usize| match bits {
            0 => bounds.partition_point(|bound| *bound < 0),
            1..64 => bounds.partition_point(|bound| *bound < 1 << (bits - 1)),
            _ => bounds.len(),
        };
        let first = std::array::from_fn(|bits| u16::try_from(below(bits)).unwrap_or(u16::MAX));
        let has_more = (0..64).any(|bits| below(bits + 1) - below(bits) > 2);
        Self { bounds, first, has_more }
    }

    /// The number of the bucket of `amount`.
    #[inline]
    fn bucket(&self, amount: i64) -> usize {
        if amount < 0 {
            return self.bounds.iter().take_while(|bound| **bound < amount).count();
        }
        let bits = (64 - amount.leading_zeros()) as usize;
        let first = usize::from(self.first.get(bits).copied().unwrap_or_default());
        // Two that it may be above, whether it is or not: how many it is above cannot be foretold.
        let above = |at: usize| usize::from(self.bounds.get(first + at).is_some_and(|bound| *bound < amount));
        let bucket = first + above(0) + above(1);
        if self.has_more {
            bucket + self.bounds.iter().skip(first + 2).take_while(|bound| **bound < amount).count()
        } else {
            bucket
        }
    }
}

impl Rows {
    /// No row but those of metrics without labels, which are there from the beginning.
    pub(super) fn new(Planned { plan, directory }: Planned) -> Self {
        let family = plan.family;
        let place = |name: &str| family.labels.iter().position(|label| label.name == name).unwrap_or(usize::MAX);
        let labels = |group: &crate::series::Group| group.labels.iter().map(|label| place(&label.name)).collect();
        let bounds =
            |(metric, form): (&super::Metric, &Form)| Bounds::new(in_cells(form.bounds(), metric.unit).collect());
        let mask = |slot: &Option<Slot>| {
            let group = slot.and_then(|slot| plan.groups.get(slot.group));
            group.map_or(0, |group| group.labels.iter().fold(0, |mask, label| mask | 1 << place(&label.name).min(63)))
        };
        let hasher = RandomState::default();
        let mut cells = Cells::new(plan.groups.iter().map(|group| group.layout));
        let bare = plan.groups.iter().enumerate().filter(|(_, group)| group.labels.is_empty() && !group.layout.is_last);
        bare.for_each(|(group, _)| {
            cells.base(group, directory.row(group, |_, _| {}).row);
        });
        Self {
            cells,
            fell_out: vec![0; family.metrics.len()],
            labels: plan.groups.iter().map(labels).collect(),
            masks: plan.slots.iter().map(mask).collect(),
            bounds: family.metrics.iter().zip(&plan.forms).map(bounds).collect(),
            told: Box::new([(0, None); TOLD]),
            memo: Memo::new(plan.memo_entries, 1),
            seeds: [1u64, 2, 3, 4].map(|seed| hasher.hash_one(seed) | 1),
            times: 1,
            turn: plan.turn(),
            head: 0,
            repeats: Repeats::default(),
            is_recorded: false,
            recorded: Vec::new(),
            witness: None,
            any_more: (0..family.metrics.len()).any(|metric| plan.has_more(metric)),
            plan,
            directory,
        }
    }

    /// A block of lines begins: forgets where raw values led to, if they are now shown as others.
    #[inline]
    pub(super) fn turn(&mut self) {
        let turn = self.plan.turn();
        if turn != self.turn {
            self.turn = turn;
            self.memo.forget();
            self.told.fill((0, None));
            // None of them waits between blocks.
            self.repeats.forget();
        }
    }

    /// What follows is of a line that stands for `times` of its kind, and has a head that is known as `head`, or 0.
    pub(super) fn begin(&mut self, times: u32, head: u64) {
        (self.times, self.head, self.is_recorded) = (times, head, false);
        self.witness = None;
    }

    /// Counts the present line by what is remembered of `message`, all of it that is behind its head. If it has come once, what it
    /// adds is put down.
    #[inline]
    pub(super) fn recall(&mut self, message: &[u8]) -> Recall {
        // What is more than cells may depend on the line.
        if self.any_more {
            return Recall::New;
        }
        // The head is a fixed number of bytes, and the message ends with its length: no two of both have the same.
        let mut print = Print { seeds: self.seeds, words: [self.head ^ self.seeds[3], self.seeds[2]] };
        print.take(message);
        let recall = self.repeats.recall(print.words);
        if matches!(recall, Recall::Again(_)) {
            self.is_recorded = true;
            self.recorded.clear();
        }
        recall
    }

    /// Remembers what has been put down of a line that was recalled with the fingerprint `words`.
    pub(super) fn learn(&mut self, words: Words, is_parsed: bool) {
        if self.repeats.is_full(&self.recorded) {
            self.settle();
            self.repeats.forget();
        }
        self.repeats.learn(words, is_parsed, &self.recorded);
    }

    /// Adds what the lines add that were counted by what is remembered of them.
    pub(super) fn settle(&mut self) {
        self.is_recorded = false;
        for line in 0..self.repeats.waiting() {
            let (times, additions) = self.repeats.take(line);
            self.times = times;
            for number in additions {
                match self.repeats.addition(number) {
                    Some(Addition { spot, amount, is_observed: true }) => self.observe_at(&spot, amount),
                    Some(Addition { spot, amount, is_observed: false }) => self.add_at(&spot, amount),
                    None => {}
                }
            }
        }
        self.repeats.settled();
        self.begin(1, 0);
    }

    /// It is a line that `witness` leads to.
    pub(super) fn tell(&mut self, witness: Option<Witness>) {
        self.witness = witness;
    }

    /// What is counted from now on is counted at `now`, in seconds since 1970.
    pub(super) fn tell_time(&mut self, now: u64) {
        self.cells.tell_time(now);
    }

    /// True when `metric` is counted under this configuration.
    pub fn has(&self, metric: usize) -> bool {
        self.plan.slots.get(metric).is_some_and(Option::is_some)
    }

    /// Adds one to the counter `metric` of the family, in the row with the values that `value` has for its labels, each by its
    /// place in the family's vocabulary.
    pub fn count<'v>(&mut self, metric: usize, value: impl Fn(usize) -> &'v [u8]) {
        self.add(metric, 1, value);
    }

    /// Adds `amount` to the counter or gauge `metric`; a negative one takes away.
    pub fn add<'v>(&mut self, metric: usize, amount: i64, value: impl Fn(usize) -> &'v [u8]) {
        if let Some(spot) = self.find(metric, value) {
            self.add_at(&spot, amount);
        }
    }

    /// Observes `amount`, in the unit of its cells (milliseconds, bytes, thousandths of points), in the histogram `metric`.
    pub fn observe<'v>(&mut self, metric: usize, amount: i64, value: impl Fn(usize) -> &'v [u8]) {
        if let Some(spot) = self.find(metric, value) {
            self.observe_at(&spot, amount);
        }
    }

    /// The same as [`Rows::add`] where the row is known.
    #[inline]
    pub fn add_at(&mut self, spot: &Spot, amount: i64) {
        self.record(spot, amount, false);
        self.add_only(spot, amount);
        if spot.has_exemplars
            && let Some(witness) = &self.witness
        {
            self.cells.exemplify(spot.base, spot.sum.into(), 0, witness.of(amount));
        }
    }

    /// The same as [`Rows::observe`] where the row is known.
    #[inline]
    pub fn observe_at(&mut self, spot: &Spot, amount: i64) {
        self.record(spot, amount, true);
        self.add_only(spot, amount);
        let bucket = self.bounds.get(usize::from(spot.metric)).map_or(0, |bounds| bounds.bucket(amount));
        self.cells.count(spot.base, usize::from(spot.bucket) + bucket, self.times);
        if spot.has_more {
            self.observe_more(spot, amount, bucket);
        }
    }

    /// What only some configurations ask for.
    #[cold]
    fn observe_more(&mut self, spot: &Spot, amount: i64, bucket: usize) {
        let metric = usize::from(spot.metric);
        if let (Some(Some(finder)), Some(Some(slot))) = (self.plan.finders.get(metric), self.plan.slots.get(metric)) {
            let mark = finder.mark(amount);
            self.cells.distribute((slot.group, spot.base), slot.distribution, mark, self.times.into());
        }
        if spot.has_exemplars
            && let Some(witness) = &self.witness
        {
            let bucket = self.plan.forms.get(metric).map_or(0, |form| form.exemplar_bucket(bucket, amount));
            self.cells.exemplify(spot.base, spot.sum.into(), bucket, witness.of(amount));
        }
    }

    /// Sets the last value of a metric where the row is known.
    pub fn set_at(&mut self, spot: &Spot, value: i64) {
        self.fall_out(spot);
        self.cells.set(spot.base, spot.sum.into(), value as u64);
    }

    #[inline]
    fn add_only(&mut self, spot: &Spot, amount: i64) {
        self.fall_out(spot);
        self.cells.add(spot.base, spot.sum.into(), (amount as u64).wrapping_mul(self.times.into()));
    }

    #[inline]
    fn record(&mut self, spot: &Spot, amount: i64, is_observed: bool) {
        if self.is_recorded {
            self.recorded.push(Addition { spot: *spot, amount, is_observed });
        }
    }

    #[inline]
    fn fall_out(&mut self, spot: &Spot) {
        if spot.fell_out
            && let Some(fell_out) = self.fell_out.get_mut(usize::from(spot.metric))
        {
            *fell_out += u64::from(self.times);
        }
    }

    /// The row of `metric` for a line; `None` when it is disabled.
    pub fn find<'v>(&mut self, metric: usize, value: impl Fn(usize) -> &'v [u8]) -> Option<Spot> {
        let slot = (*self.plan.slots.get(metric)?)?;
        let labels = self.labels.get(slot.group)?;
        let mut print = Print { seeds: self.seeds, words: [slot.group as u64, self.seeds[0]] };
        for label in labels {
            print.take(value(*label));
        }
        let entry = match self.memo.look_up(print.words) {
            (hash, NO_ENTRY) => {
                let key = Key { text: &[], more: &[], words: print.words };
                let write = |index: usize, out: &mut Vec<u8>| {
                    out.extend_from_slice(labels.get(index).map(|label| value(*label)).unwrap_or_default());
                };
                let found = self.directory.row(slot.group, write);
                let base = self.cells.base(slot.group, found.row);
                self.memo.insert(hash, &key, &[base], u32::from(found.fell_out))
            }
            (_, entry) => entry,
        };
        Some(Spot {
            base: *self.memo.bases(entry).first()?,
            metric: metric as u16,
            sum: slot.sum as u16,
            bucket: slot.bucket as u16,
            fell_out: self.memo.fell_out(entry) != 0,
            has_more: self.any_more && self.plan.has_more(metric),
            has_exemplars: self.any_more && self.plan.has_exemplars(metric),
        })
    }

    /// What `find` finds, in fewer steps where the line's head and `code` say which values the labels in `told` have, and the
    /// metric has no others.
    #[inline]
    pub fn find_told<'v>(
        &mut self,
        metric: usize,
        (told, code): (Told, u8),
        value: impl Fn(usize) -> &'v [u8],
    ) -> Option<Spot> {
        if !self.is_told(metric, told) {
            return self.find(metric, value);
        }
        let key = self.head << 16 | (metric as u64) << 8 | u64::from(code);
        let at = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as usize;
        if let Some((known, spot)) = self.told.get(at)
            && *known == key
        {
            return *spot;
        }
        let spot = self.find(metric, value);
        if let Some(known) = self.told.get_mut(at) {
            *known = (key, spot);
        }
        spot
    }

    /// True when the present line's head and a code say all about the labels of `metric`.
    #[inline]
    pub fn is_told(&self, metric: usize, told: Told) -> bool {
        self.head != 0 && self.masks.get(metric).is_some_and(|mask| mask & !told.0 == 0)
    }

    /// Adds one to the counter `metric`, whose row is found as by [`Rows::find_told`].
    #[inline]
    pub fn count_told<'v>(&mut self, metric: usize, told: (Told, u8), value: impl Fn(usize) -> &'v [u8]) {
        if let Some(spot) = self.find_told(metric, told, value) {
            self.add_at(&spot, 1);
        }
    }

    /// Observes `amount` in the histogram `metric`, whose row is found as by [`Rows::find_told`].
    #[inline]
    pub fn observe_told<'v>(
        &mut self,
        metric: usize,
        amount: i64,
        told: (Told, u8),
        value: impl Fn(usize) -> &'v [u8],
    ) {
        if let Some(spot) = self.find_told(metric, told, value) {
            self.observe_at(&spot, amount);
        }
    }

    /// What `find` finds for lines that have `texts` in common, found once for all of them: `texts` must say everything that it
    /// depends on.
    pub fn find_all<'k, 't, T>(
        &mut self,
        known: &'k mut Known<T>,
        texts: impl IntoIterator<Item = &'t [u8]>,
        find: impl FnOnce(&mut Self, &mut Vec<T>),
    ) -> &'k [T] {
        let mut print = Print { seeds: self.seeds, words: [self.seeds[1], self.seeds[0]] };
        texts.into_iter().for_each(|text| print.take(text));
        known.turn(self.turn);
        let (start, end) = self.find_all_by(known, print.words, find);
        known.found.get(start..end).unwrap_or_default()
    }

    /// The same for lines that have their head and `code` in common: these must say everything that `find` depends on.
    pub fn find_all_told<'k, T>(
        &mut self,
        known: &'k mut Known<T>,
        code: u8,
        find: impl FnOnce(&mut Self, &mut Vec<T>),
    ) -> &'k [T] {
        known.turn(self.turn);
        let key = self.head << 8 | u64::from(code);
        let at = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize;
        let (start, end) = match known.near.get(at) {
            Some((near, start, end)) if *near == key => (*start as usize, *end as usize),
            _ => {
                let words = [self.head ^ self.seeds[2], u64::from(code) ^ self.seeds[3]];
                let (start, end) = self.find_all_by(known, words, find);
                if let Some(near) = known.near.get_mut(at) {
                    *near = (key, start as u32, end as u32);
                }
                (start, end)
            }
        };
        known.found.get(start..end).unwrap_or_default()
    }

    /// Where in `known` it is.
    #[inline]
    fn find_all_by<T>(
        &mut self,
        known: &mut Known<T>,
        words: [u64; 2],
        find: impl FnOnce(&mut Self, &mut Vec<T>),
    ) -> (usize, usize) {
        let entry = match known.memo.look_up(words) {
            (hash, NO_ENTRY) => {
                let key = Key { text: &[], more: &[], words };
                let entry = known.memo.insert(hash, &key, &[Base::UNUSED], 0);
                // Numbers of what was forgotten are given anew.
                if entry == 0 {
                    known.near = [(0, 0, 0); NEAR];
                }
                known.ends.truncate(entry as usize);
                known.found.truncate(known.ends.last().map_or(0, |end| *end as usize));
                find(self, &mut known.found);
                known.ends.push(known.found.len() as u32);
                entry
            }
            (_, entry) => entry,
        };
        let end = |entry: usize| known.ends.get(entry).map_or(0, |end| *end as usize);
        ((entry as usize).checked_sub(1).map_or(0, end), end(entry as usize))
    }

    /// The plan that the rows are by.
    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The cells; groups as in the plan.
    pub(super) fn cells(&self) -> &Cells {
        &self.cells
    }

    /// Lines per metric that fell out of its labels or its limit.
    pub(super) fn fell_out(&self) -> &[u64] {
        &self.fell_out
    }
}

/// Labels that the head of a line and a small number tell.
#[derive(Clone, Copy, Debug)]
pub struct Told(u64);

impl Told {
    /// These, by their places in the family's vocabulary, of which the first 63 can be told.
    pub const fn of(labels: &[usize]) -> Self {
        let (mut mask, mut at) = (0, 0);
        while at < labels.len() {
            assert!(labels[at] < 63);
            mask |= 1 << labels[at];
            at += 1;
        }
        Self(mask)
    }
}

/// Where a metric is counted: a row's cells, and where in them those of the metric are.
#[derive(Clone, Copy, Debug)]
pub struct Spot {
    base: Base,
    metric: u16,
    sum: u16,
    bucket: u16,
    /// The tuple fell out of its labels or limits.
    fell_out: bool,
    /// The metric has a distribution or exemplars.
    has_more: bool,
    has_exemplars: bool,
}

/// What was found for lines that have a text in common. Bounded: when it is full, it forgets everything and starts again.
pub struct Known<T> {
    memo: Memo,
    /// By entry: where what was found for it ends.
    ends: Vec<u32>,
    found: Vec<T>,
    /// Those of some heads and codes, with where what was found for them begins and ends.
    near: [(u64, u32, u32); NEAR],
    /// As for [`Rows`].
    turn: u64,
}

/// Heads and codes that are found at once; a power of two.
const NEAR: usize = 64;

impl<T> Known<T> {
    /// Forgets what was found in another turn than this one.
    #[inline]
    fn turn(&mut self, turn: u64) {
        if self.turn != turn {
            self.turn = turn;
            self.memo.forget();
            self.near = [(0, 0, 0); NEAR];
        }
    }
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self { memo: Memo::new(4096, 1), ends: Vec::new(), found: Vec::new(), near: [(0, 0, 0); NEAR], turn: 0 }
    }
}

/// The fingerprint of a tuple: 128 bits, with seeds drawn at random. Two tuples share one as good as never, so nothing else is
/// kept of them.
struct Print {
    seeds: [u64; 4],
    words: [u64; 2],
}

impl Print {
    /// Takes in the next value.
    #[inline(always)]
    fn take(&mut self, value: &[u8]) {
        let mut rest = value;
        while rest.len() > 16
            && let Some((chunk, more)) = rest.split_first_chunk::<16>()
        {
            self.mix(
                chunk.first_chunk().map_or(0, |low| u64::from_le_bytes(*low)),
                chunk.last_chunk().map_or(0, |high| u64::from_le_bytes(*high)),
            );
            rest = more;
        }
        // The first and the last bytes, which may be the same; with the length they are as good as all.
        let (low, high) = match (rest.first_chunk::<8>(), rest.last_chunk::<8>()) {
            (Some(low), Some(high)) => (u64::from_le_bytes(*low), u64::from_le_bytes(*high)),
            _ => match (rest.first_chunk::<4>(), rest.last_chunk::<4>(), rest) {
                (Some(low), Some(high), _) => (u32::from_le_bytes(*low).into(), u32::from_le_bytes(*high).into()),
                (.., &[one, ref more @ ..]) => {
                    let [second, third] = [0, 1].map(|at| more.get(at).map_or(0, |byte| u64::from(*byte)));
                    (u64::from(one) | second << 8 | third << 16, 0)
                }
                _ => (0, 0),
            },
        };
        self.mix(low, high);
        self.words[0] ^= value.len() as u64;
    }

    #[inline(always)]
    fn mix(&mut self, low: u64, high: u64) {
        let [a, b, c, d] = self.seeds;
        let [one, two] = self.words;
        self.words = [fold(one ^ low ^ a, high ^ b), fold(two ^ high ^ c, low ^ d)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_in_the_first_bucket_that_they_are_not_above() {
        for bounds in [
            vec![],
            vec![0],
            vec![10, 100, 500, 1000, 2500, 5000, 10_000, 432_000_000],
            vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17],
            vec![-5000, -1, 0, 1, 5000, 6000, 15_000],
            vec![i64::MIN, i64::MAX - 1, i64::MAX],
            (-300..=300).collect(),
        ] {
            let buckets = Bounds::new(bounds.clone());
            let near = bounds.iter().flat_map(|bound| [-1, 0, 1].map(|step| bound.saturating_add(step)));
            for amount in near.chain(-20..20).chain((0..63).map(|bits| 1 << bits)) {
                let expected = bounds.iter().position(|bound| amount <= *bound).unwrap_or(bounds.len());
                assert_eq!(buckets.bucket(amount), expected, "{amount} {bounds:?}");
            }
        }
    }
}
