//! The tables of one family. Their order never depends on the order of the lines: metrics as in the catalogue, rows by
//! their labels.

use std::sync::Arc;

use super::table::{Counted, Exposition, Head, Snapshots, Table};
use super::{Protocol, Rendering, Selection, Snapshot, protobuf};
use crate::metrics::Plan;
use crate::series::{Directory, RowId};

/// What the exposition of one family needs to know beside the cells; kept from scrape to scrape.
#[derive(Debug)]
pub struct View {
    plan: Arc<Plan>,
    directory: Arc<Directory>,
    /// By group. Whoever writes from rows that have become more keeps those that it began with.
    groups: Vec<Arc<Tuples>>,
    /// Rows that are idle now for longer than their metric allows are not shown.
    now_ms: u64,
    /// The time, in seconds since 1970; 0 where nothing depends on it.
    now: u64,
}

/// The rows of a group: their labels, and their order in the exposition.
///
/// The directory's label blocks lie anywhere in memory. Here they stand one behind the other, as they are written.
#[derive(Debug, Default)]
pub(super) struct Tuples {
    /// In the order of the exposition.
    order: Vec<Place>,
    text: Vec<u8>,
}

/// Where a row stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    row: RowId,
    encoded_labels: u32,
    /// Of its block in the text.
    end: usize,
    /// 0 if unknown.
    created_ms: u64,
}

/// A row's labels.
pub(super) struct Tuple<'a> {
    pub(super) row: RowId,
    /// The inside of `{…}` in the text format.
    pub(super) labels: &'a [u8],
    /// The same in protobuf takes so many bytes.
    pub(super) encoded_labels: usize,
    /// When the row was made, in milliseconds since 1970.
    pub(super) created_ms: Option<u64>,
}

impl View {
    /// A view of the family that `plan` is for.
    pub fn new(plan: Arc<Plan>, directory: Arc<Directory>) -> Self {
        let groups = plan.groups.iter().map(|_| Arc::default()).collect();
        Self { plan, directory, groups, now_ms: 0, now: 0 }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What is shown from now on is shown at `now`, in seconds since 1970.
    pub fn tell_time(&mut self, now: u64) {
        self.now = now;
    }

    /// What is idle at `now_ms`, milliseconds since 1970, for longer than its metric allows is not shown from now on.
    pub fn expire(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
    }

    /// Adds every metric of the family to `exposition`, with the rows that have cells in snapshot number `index`. Rows made
    /// since then are not shown, nor metrics without rows.
    pub fn expose(&mut self, snapshots: &Snapshots, index: usize, exposition: &mut Exposition) {
        for (group, tuples) in self.groups.iter_mut().enumerate() {
            refresh(tuples, &self.directory, group);
        }
        let family = self.plan.family;
        let metrics = family.metrics.iter().zip(&self.plan.slots).zip(&self.plan.forms).enumerate();
        let tables = metrics.filter_map(|(number, ((metric, slot), form))| {
            let slot = (*slot)?;
            let tuples = Arc::clone(&self.groups[slot.group]);
            let (form, snapshots) = (form.clone(), Arc::clone(snapshots));
            let head = Head::under(metric, &form, family.compat);
            let since_ms = self.plan.fresh_since(number, self.now_ms);
            Some(Table::counted(
                head,
                Counted { tuples, form, slot, snapshots, family: index, since_ms, now: self.now },
            ))
        });
        exposition.add(family.name, tables.collect());
    }

    /// Appends every metric of the family that has a row in `snapshot`, of which it takes a copy, in the text format.
    pub fn render(&mut self, snapshot: &Snapshot, out: &mut Vec<u8>) {
        let mut exposition = Exposition::default();
        let snapshots: Snapshots = Arc::new(snapshot.clone());
        self.expose(&snapshots, 0, &mut exposition);
        Rendering::new(Arc::new(exposition), Protocol::Text004, Selection::default()).write_all(out);
    }
}

/// Takes up the rows that `directory` has got since the last time.
fn refresh(tuples: &mut Arc<Tuples>, directory: &Directory, group: usize) {
    let mut added = Vec::new();
    directory.visit_from(group, tuples.order.len(), |block, made_ms| added.push((Arc::clone(block), made_ms)));
    if added.is_empty() {
        return;
    }
    let known = tuples.order.len() as RowId;
    let mut rows = tuples.from(0).map(|(_, tuple)| tuple).collect::<Vec<_>>();
    rows.extend((known..).zip(&added).map(|(row, (block, made_ms))| {
        let labels = block.as_bytes();
        let created_ms = Some(*made_ms).filter(|made_ms| *made_ms > 0);
        Tuple { row, labels, encoded_labels: protobuf::encoded_labels(labels), created_ms }
    }));
    // Two runs, the first one sorted: the stable sort merges them.
    rows.sort_by_key(|tuple| tuple.labels);
    let length = rows.iter().map(|tuple| tuple.labels.len()).sum();
    let mut sorted = Tuples { order: Vec::with_capacity(rows.len()), text: Vec::with_capacity(length) };
    for Tuple { row, labels, encoded_labels, created_ms } in rows {
        sorted.text.extend_from_slice(labels);
        let (end, created_ms) = (sorted.text.len(), created_ms.unwrap_or(0));
        // Labels come from lines, which are shorter than 4 GiB.
        sorted.order.push(Place { row, encoded_labels: encoded_labels as u32, end, created_ms });
    }
    *tuples = Arc::new(sorted);
}

impl Tuples {
    /// The rows from number `first` on, and their numbers.
    pub(super) fn from(&self, first: usize) -> impl Iterator<Item = (usize, Tuple<'_>)> {
        let before = first.checked_sub(1).and_then(|before| self.order.get(before));
        let mut start = before.map_or(0, |place| place.end);
        self.order.iter().enumerate().skip(first).map(move |(number, place)| {
            let Place { row, encoded_labels, end, created_ms } = *place;
            let labels = &self.text[start..end];
            start = end;
            let created_ms = (created_ms > 0).then_some(created_ms);
            (number, Tuple { row, labels, encoded_labels: encoded_labels as usize, created_ms })
        })
    }
}
