//! Counts that were made under one configuration, as another one shows them: for a reload without a state. With one,
//! the state does it.

use crate::exposition::Snapshot;
use crate::metrics::{Kind, Metric, Plan, Planned, Slot};
use crate::series::{Base, Cells, Restored};
use crate::state::Checkpoint;

/// What `before` has counted for the plans of `old`, under those of `new`: each metric that has the same labels, with
/// those rows that are allowed. The rest is forgotten.
pub(super) fn reshaped(before: &Checkpoint, old: &[Planned], new: &[Planned]) -> Checkpoint {
    let family = |store: &Planned| {
        let cells = Cells::new(store.plan.groups.iter().map(|group| group.layout));
        let mut after = Snapshot { cells, fell_out: vec![0; store.plan.family.metrics.len()], ..Snapshot::default() };
        let known = old.iter().zip(&before.families).find(|(other, _)| other.plan.family == store.plan.family);
        if let Some((old, before)) = known {
            move_metrics(before, old, store, &mut after);
        }
        after
    };
    Checkpoint {
        families: new.iter().map(family).collect(),
        totals: before.totals.clone(),
        positions: before.positions.clone(),
        messages: before.messages.clone(),
    }
}

fn move_metrics(before: &Snapshot, old: &Planned, new: &Planned, after: &mut Snapshot) {
    for (index, (metric, to)) in new.plan.family.metrics.iter().zip(&new.plan.slots).enumerate() {
        // A custom format may have other metrics than before, or count them in other cells.
        let is_same = |known: &&Metric| (known.name, known.kind, known.unit) == (metric.name, metric.kind, metric.unit);
        let Some(known) = old.plan.family.metrics.iter().position(|known| is_same(&known)) else { continue };
        let (Some(Some(from)), Some(to)) = (old.plan.slots.get(known).copied(), *to) else { continue };
        if names(&old.plan, from).ne(names(&new.plan, to)) {
            continue;
        }
        if let Some(fell_out) = after.fell_out.get_mut(index) {
            *fell_out = before.fell_out.get(known).copied().unwrap_or(0);
        }
        let buckets = match metric.kind {
            Kind::Histogram(bounds) => bounds.len() + 1,
            Kind::Counter | Kind::Gauge | Kind::Last => 0,
        };
        for row in before.cells.rows(from.group) {
            let Some(block) = old.directory.block(from.group, row) else { continue };
            if let Restored::Row(there) = new.directory.restore(to.group, &block) {
                let changed_at_ms = before.changed.at(from.group, row).unwrap_or(0);
                after.changed.set_latest(to.group, there, changed_at_ms);
                let base = after.cells.base(to.group, there);
                let [sum, next] = [0, 1].map(|cell| before.cells.sum(from.group, row, from.sum + cell));
                match metric.kind {
                    Kind::Last => after.cells.set_as(base, to.sum, sum, next),
                    _ => after.cells.add(base, to.sum, sum),
                }
                count(&mut after.cells, base, to.bucket, before.cells.buckets(from.group, row, from.bucket, buckets));
            }
        }
    }
}

fn count(cells: &mut Cells, base: Base, first: usize, buckets: impl Iterator<Item = u64>) {
    buckets.enumerate().for_each(|(bucket, times)| cells.count_many(base, first + bucket, times));
}

fn names(plan: &Plan, slot: Slot) -> impl Iterator<Item = &str> {
    plan.groups[slot.group].labels.iter().map(|label| label.name.as_str())
}
