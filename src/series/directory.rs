//! Which label tuples have a row, and how many may.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::policy::{OTHER, Policy, escape_into, unescape};
use super::{Layout, RowId};

/// One label of a group: its name, and what is done to its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// The label's name.
    pub name: String,
    /// The rule for its values.
    pub policy: Policy,
}

/// What a group is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The labels of all its metrics.
    pub labels: Vec<Labels>,
    /// Rows at most, the overflow row included; at least 1.
    pub max_series: usize,
    /// Metrics that share its rows: each row is a series of each of them.
    pub metrics: usize,
    /// The cells of its rows.
    pub layout: Layout,
}

/// A row, and how it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The row.
    pub row: RowId,
    /// True when a value was not allowed, or when the tuple was one too many: counted as overflow.
    pub fell_out: bool,
}

/// What became of a tuple of an earlier run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restored {
    /// It has this row.
    Row(RowId),
    /// It has a value that is not allowed any more.
    NotAllowed,
    /// It is no tuple of the group's labels.
    NotATuple,
}

/// How many series all metrics may have together; shared by the directories of all families.
///
/// # Bounds
/// Beyond the limit only the overflow row of each metric still comes, and what an earlier run has shown.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    /// A budget of `limit` series.
    pub const fn new(limit: usize) -> Self {
        Self { limit, used: AtomicUsize::new(0) }
    }

    /// The limit.
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// Series so far.
    pub fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// Takes `series` if no more than `limit` are taken then.
    fn take(&self, series: usize, limit: usize) -> bool {
        let taken = |used: usize| used.checked_add(series).filter(|sum| *sum <= limit);
        self.used.fetch_update(Relaxed, Relaxed, taken).is_ok()
    }

    /// Takes `series`, whatever the limit.
    fn exceed(&self, series: usize) {
        self.used.fetch_add(series, Relaxed);
    }
}

/// The label tuples of every group, each written as the inside of `{…}` in the exposition. A tuple is added
/// once and keeps its row for ever.
#[derive(Debug)]
pub struct Directory {
    groups: Vec<Group>,
    tuples: Mutex<Vec<Tuples>>,
    budget: Arc<Budget>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Tuples {
    table: HashTable<RowId>,
    blocks: Vec<Arc<str>>,
    /// When each row was made, in milliseconds since 1970; 0 if unknown.
    made_ms: Vec<u64>,
    overflow: Option<RowId>,
}

impl Directory {
    /// A directory of `groups`, without a row, which has no limits but theirs.
    pub fn new(groups: Vec<Group>) -> Self {
        Self::within(Arc::new(Budget::new(usize::MAX)), groups)
    }

    /// A directory of `groups`, without a row, whose series count in `budget`.
    pub fn within(budget: Arc<Budget>, groups: Vec<Group>) -> Self {
        let tuples = groups.iter().map(|_| Tuples::default()).collect();
        Self { groups, tuples: Mutex::new(tuples), budget, hasher: RandomState::default() }
    }

    /// The groups.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The row of the tuple in `group` whose raw value for label number i is what `value(i, out)` appends.
    pub fn row(&self, group: usize, mut value: impl FnMut(usize, &mut Vec<u8>)) -> Found {
        let Group { labels, max_series, metrics, .. } = &self.groups[group];
        let (block, mut fell_out) = shown(labels, &mut value);
        let mut tuples = self.tuples.lock().unwrap_or_else(PoisonError::into_inner);
        let tuples = &mut tuples[group];
        if let Some(row) = self.find(tuples, &block) {
            return Found { row, fell_out };
        }
        if let Some(row) = tuples.overflow {
            return Found { row, fell_out: true };
        }
        if tuples.blocks.len() + 1 < *max_series && self.budget.take(*metrics, self.budget.limit) {
            return Found { row: self.insert(tuples, block, now_ms()), fell_out };
        }
        // The last row is for all that come too late. A tuple that is written like it is in its own row there.
        let mut other = Vec::with_capacity(64);
        labels.iter().for_each(|label| write_label(&label.name, OTHER, &mut other));
        fell_out |= block != other;
        let row = self.find(tuples, &other).unwrap_or_else(|| {
            self.budget.exceed(*metrics);
            self.insert(tuples, other, now_ms())
        });
        tuples.overflow = Some(row);
        Found { row, fell_out }
    }

    /// The row of a tuple that may come: before a line has it, it is shown as zero. `None` when there is no room for it,
    /// because half of the rows are for what is not known beforehand.
    pub fn declare(&self, group: usize, mut value: impl FnMut(usize, &mut Vec<u8>)) -> Option<RowId> {
        let Group { labels, max_series, metrics, .. } = self.groups.get(group)?;
        let (block, _) = shown(labels, &mut value);
        let mut tuples = self.tuples.lock().unwrap_or_else(PoisonError::into_inner);
        let tuples = tuples.get_mut(group)?;
        let known = self.find(tuples, &block);
        let has_room =
            |tuples: &Tuples| tuples.blocks.len() < max_series / 2 && self.budget.take(*metrics, self.budget.limit / 2);
        known.or_else(|| has_room(tuples).then(|| self.insert(tuples, block, now_ms())))
    }

    /// The row of a tuple that an earlier run wrote as `block`. The limit does not hold for it: what has been shown
    /// stays, though nothing new comes to it once the limit is reached.
    pub fn restore(&self, group: usize, block: &str) -> Restored {
        let Some(values) = self.groups.get(group).and_then(|group| values(&group.labels, block.as_bytes())) else {
            return Restored::NotATuple;
        };
        let is_allowed = |(label, value): (&Labels, &Vec<u8>)| label.policy.may_show(value);
        if !self.groups[group].labels.iter().zip(&values).all(is_allowed) {
            return Restored::NotAllowed;
        }
        let mut tuples = self.tuples.lock().unwrap_or_else(PoisonError::into_inner);
        let tuples = &mut tuples[group];
        let known = self.find(tuples, block.as_bytes());
        Restored::Row(known.unwrap_or_else(|| {
            self.budget.exceed(self.groups[group].metrics);
            self.insert(tuples, block.as_bytes().to_vec(), 0)
        }))
    }

    /// The tuple of `row` of `group`, as the inside of `{…}`.
    pub fn block(&self, group: usize, row: RowId) -> Option<Arc<str>> {
        let tuples = self.tuples.lock().unwrap_or_else(PoisonError::into_inner);
        tuples.get(group)?.blocks.get(row as usize).map(Arc::clone)
    }

    /// The values of `row` of `group`, by label.
    pub fn values(&self, group: usize, row: RowId) -> Option<Vec<Vec<u8>>> {
        values(&self.groups.get(group)?.labels, self.block(group, row)?.as_bytes())
    }

    fn find(&self, tuples: &Tuples, block: &[u8]) -> Option<RowId> {
        let hash = self.hasher.hash_one(block);
        tuples.table.find(hash, |row| tuples.blocks[*row as usize].as_bytes() == block).copied()
    }

    fn insert(&self, tuples: &mut Tuples, block: Vec<u8>, made_ms: u64) -> RowId {
        let hash = self.hasher.hash_one(block.as_slice());
        let row = tuples.blocks.len() as RowId;
        // Escaping leaves nothing but valid UTF-8.
        let block =
            String::from_utf8(block).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        tuples.blocks.push(block.into());
        tuples.made_ms.push(made_ms);
        let blocks = &tuples.blocks;
        tuples.table.insert_unique(hash, row, |row| self.hasher.hash_one(blocks[*row as usize].as_bytes()));
        row
    }

    /// Number of rows in `group`.
    pub fn len(&self, group: usize) -> usize {
        self.tuples.lock().unwrap_or_else(PoisonError::into_inner)[group].blocks.len()
    }

    /// Shows the tuples of `group` from row `first` on to `visit`, in the order of their rows, with when each was made, in
    /// milliseconds since 1970; 0 if unknown.
    pub fn visit_from(&self, group: usize, first: usize, mut visit: impl FnMut(&Arc<str>, u64)) {
        let tuples = self.tuples.lock().unwrap_or_else(PoisonError::into_inner);
        let Tuples { blocks, made_ms, .. } = &tuples[group];
        blocks.iter().zip(made_ms).skip(first).for_each(|(block, made_ms)| visit(block, *made_ms));
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// The tuple of the values that `value(i, out)` appends, as it is written, and whether one of them is not allowed.
fn shown(labels: &[Labels], value: &mut impl FnMut(usize, &mut Vec<u8>)) -> (Vec<u8>, bool) {
    let (mut block, mut raw, mut fell_out) = (Vec::with_capacity(256), Vec::with_capacity(64), false);
    for (index, label) in labels.iter().enumerate() {
        raw.clear();
        value(index, &mut raw);
        let shown = label.policy.apply(&raw);
        fell_out |= shown.is_none();
        write_label(&label.name, shown.unwrap_or(OTHER), &mut block);
    }
    (block, fell_out)
}

/// The values of `labels` in `block`; `None` when it is not what [`write_label`] writes for them.
fn values(labels: &[Labels], block: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut values, mut rest) = (Vec::with_capacity(labels.len()), block);
    for (index, label) in labels.iter().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix(b",")?;
        }
        rest = rest.strip_prefix(label.name.as_bytes())?.strip_prefix(b"=\"")?;
        let mut end = 0;
        while *rest.get(end)? != b'"' {
            end += if rest[end] == b'\\' { 2 } else { 1 };
        }
        values.push(unescape(&rest[..end])?);
        rest = &rest[end + 1..];
    }
    rest.is_empty().then_some(values)
}

fn write_label(name: &str, value: &[u8], block: &mut Vec<u8>) {
    if !block.is_empty() {
        block.push(b',');
    }
    block.extend_from_slice(name.as_bytes());
    block.extend_from_slice(b"=\"");
    escape_into(value, block);
    block.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(max_series: usize, policy: Policy) -> Directory {
        let labels = ["a", "b"].map(|name| Labels { name: name.into(), policy: policy.clone() }).into();
        Directory::new(vec![Group { labels, max_series, metrics: 2, layout: Layout::default() }])
    }

    fn row(directory: &Directory, values: [&str; 2]) -> Found {
        directory.row(0, |index, out| out.extend_from_slice(values[index].as_bytes()))
    }

    #[test]
    fn the_last_row_takes_what_comes_too_late() {
        let directory = directory(3, Policy::default());
        assert_eq!(row(&directory, ["1", "2"]), Found { row: 0, fell_out: false });
        assert_eq!(row(&directory, ["2", "1"]), Found { row: 1, fell_out: false });
        assert_eq!(row(&directory, ["3", "3"]), Found { row: 2, fell_out: true });
        assert_eq!(row(&directory, ["4", "4"]), Found { row: 2, fell_out: true });
        assert_eq!(row(&directory, ["1", "2"]), Found { row: 0, fell_out: false });
        let mut blocks = Vec::new();
        directory.visit_from(0, 1, |block, _| blocks.push(block.to_string()));
        assert_eq!(blocks, [r#"a="2",b="1""#, r#"a="other",b="other""#]);
    }

    #[test]
    fn all_groups_share_a_budget() {
        let labels = vec![Labels { name: "a".into(), policy: Policy::default() }];
        let group = |metrics| Group { labels: labels.clone(), max_series: 9, metrics, layout: Layout::default() };
        let budget = Arc::new(Budget::new(7));
        let [one, two] = [0, 1].map(|_| Directory::within(Arc::clone(&budget), vec![group(3), group(1)]));
        let row = |directory: &Directory, group, value: &str| {
            directory.row(group, |_, out| out.extend_from_slice(value.as_bytes()))
        };
        assert_eq!(row(&one, 0, "x"), Found { row: 0, fell_out: false });
        assert_eq!(two.declare(0, |_, out| out.push(b'x')), None, "half of it is for what is not known beforehand");
        assert_eq!(row(&two, 0, "x"), Found { row: 0, fell_out: false });
        assert_eq!(budget.used(), 6);
        // One more is too much for three metrics, not for one.
        assert_eq!(row(&one, 0, "y"), Found { row: 1, fell_out: true });
        assert_eq!(one.block(0, 1).as_deref(), Some(r#"a="other""#));
        assert_eq!(row(&one, 1, "x"), Found { row: 0, fell_out: true });
        assert_eq!(one.block(1, 0).as_deref(), Some(r#"a="other""#));
        assert_eq!(row(&one, 0, "x"), Found { row: 0, fell_out: false });
        assert_eq!(budget.used(), 10, "each metric has its row for the rest");
        assert_eq!(two.restore(1, r#"a="z""#), Restored::Row(0));
        assert_eq!((row(&two, 1, "z").fell_out, row(&two, 1, "w").fell_out, budget.used()), (false, true, 12));
    }

    #[test]
    fn half_of_the_rows_can_be_declared() {
        let directory = directory(5, Policy::allow(["1", "2"]));
        let declare =
            |values: [&str; 2]| directory.declare(0, |index, out| out.extend_from_slice(values[index].as_bytes()));
        assert_eq!(declare(["1", "1"]), Some(0));
        assert_eq!(declare(["1", "3"]), Some(1));
        assert_eq!(declare(["2", "2"]), None);
        assert_eq!(declare(["1", "9"]), Some(1));
        assert_eq!(directory.values(0, 1), Some(vec![b"1".to_vec(), b"other".to_vec()]));
        assert_eq!(row(&directory, ["2", "2"]), Found { row: 2, fell_out: false });
        assert_eq!(declare(["2", "2"]), Some(2));
        assert_eq!(directory.len(0), 3);
    }

    #[test]
    fn one_series_is_all_in_other() {
        let directory = directory(1, Policy::default());
        assert_eq!(row(&directory, ["1", "2"]), Found { row: 0, fell_out: true });
        assert_eq!(directory.len(0), 1);
    }

    #[test]
    fn what_is_other_by_itself_does_not_fall_out() {
        let tuples = [["other", "other"], ["1", "2"], ["other", "other"]];
        for order in [[0, 1, 2], [1, 0, 2]] {
            let directory = directory(1, Policy::default());
            let found = order.map(|number| row(&directory, tuples[number]));
            assert_eq!(found, order.map(|number| Found { row: 0, fell_out: number == 1 }));
        }
    }

    #[test]
    fn one_series_without_labels_is_its_own() {
        let directory =
            Directory::new(vec![Group { labels: Vec::new(), max_series: 1, metrics: 1, layout: Layout::default() }]);
        for _ in 0..2 {
            let found = directory.row(0, |_, _| ());
            assert_eq!(found, Found { row: 0, fell_out: false });
        }
    }

    #[test]
    fn tuples_come_back_as_they_were_written() {
        let values = ["", "x", "other", "a\"b\\", "\\", "\\xff", ",b=\"", "\u{1}é"];
        let (first, second) = (directory(99, Policy::default()), directory(2, Policy::default()));
        for a in values {
            for b in values {
                let found = row(&first, [a, b]).row;
                let block = first.block(0, found).unwrap();
                assert_eq!(second.restore(0, &block), Restored::Row(found));
                assert_eq!(second.restore(0, &block), Restored::Row(found));
                assert_eq!(row(&second, [a, b]), Found { row: found, fell_out: false });
            }
        }
        // The limit has been reached long ago.
        assert!(row(&second, ["new", "new"]).fell_out);
        for block in
            ["", r#"a="x""#, r#"a="x",b="y","#, r#"a="x",c="y""#, r#"a="\x",b="y""#, r#"a="x",b="y\"#, r#"a="x" "#]
        {
            assert_eq!(second.restore(0, block), Restored::NotATuple, "{block}");
        }
    }

    #[test]
    fn values_not_allowed_do_not_come_back() {
        let directory = directory(9, Policy::allow(["x", "y"]));
        assert_eq!(directory.restore(0, r#"a="x",b="z""#), Restored::NotAllowed);
        assert_eq!(directory.restore(0, r#"a="x",b="other""#), Restored::Row(0));
        assert_eq!(row(&directory, ["x", "z"]), Found { row: 0, fell_out: true });
    }

    #[test]
    fn values_not_allowed_fall_out_one_by_one() {
        let directory = directory(9, Policy::allow(["x", "y"]));
        assert_eq!(row(&directory, ["x", "z"]), Found { row: 0, fell_out: true });
        assert_eq!(row(&directory, ["x", "y"]), Found { row: 1, fell_out: false });
        assert_eq!(row(&directory, ["x", "w"]), Found { row: 0, fell_out: true });
    }
}
