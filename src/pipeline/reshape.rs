//! Counts that were made under one configuration, as another one shows them: for a reload without a state. With one,
//! the state does it.

use crate::exposition::Snapshot;
use crate::metrics::{Form, Metric, Plan, Planned, Slot};
use crate::series::{Base, Cells, Restored};
use crate::state::Checkpoint;

/// What `before` has counted for the plans of `old`, under those of `new`: each metric that has the same labels and buckets, with
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
        salts: before.salts.clone(),
    }
}

fn move_metrics(before: &Snapshot, old: &Planned, new: &Planned, after: &mut Snapshot) {
    for (index, (metric, to)) in new.plan.family.metrics.iter().zip(&new.plan.slots).enumerate() {
        // A format may have other metrics than before, or count them in other cells.
        let is_known = |known: &Metric| (known.name, known.unit) == (metric.name, metric.unit);
        let Some(known) = old.plan.family.metrics.iter().position(is_known) else { continue };
        let (Some(Some(from)), Some(to)) = (old.plan.slots.get(known).copied(), *to) else { continue };
        let (Some(before_form), Some(form)) = (old.plan.forms.get(known), new.plan.forms.get(index)) else {
            continue;
        };
        if names(&old.plan, from).ne(names(&new.plan, to)) || !is_same(before_form, form) {
            continue;
        }
        if let Some(fell_out) = after.fell_out.get_mut(index) {
            *fell_out = before.fell_out.get(known).copied().unwrap_or(0);
        }
        let buckets = form.buckets();
        let prints = |store: &Planned, slot: Slot| {
            let labels = store.plan.groups[slot.group].labels.iter();
            labels.map(|label| label.policy.fingerprint()).collect::<Vec<_>>()
        };
        let (prints_before, prints_now) = (prints(old, from), prints(new, to));
        for row in before.cells.rows(from.group) {
            let Some(block) = old.directory.block(from.group, row) else { continue };
            let is_same = |label: usize| prints_before.get(label) == prints_now.get(label);
            if let Restored::Row(there) = new.directory.restore(to.group, &block, is_same) {
                let changed_at_ms = before.changed.at(from.group, row).unwrap_or(0);
                after.changed.set_latest(to.group, there, changed_at_ms);
                let base = after.cells.base(to.group, there);
                let sum = |cell: usize| before.cells.sum(from.group, row, from.sum + cell);
                match form {
                    Form::Last => after.cells.set_as(base, to.sum, sum(0), sum(1)),
                    _ => after.cells.add(base, to.sum, sum(0)),
                }
                count(&mut after.cells, base, to.bucket, before.cells.buckets(from.group, row, from.bucket, buckets));
                if form.shape().is_some()
                    && let Some(distribution) = before.cells.distribution(from.group, row, from.distribution)
                {
                    after.cells.add_distribution((to.group, base), to.distribution, distribution);
                }
            }
        }
    }
}

/// True when what `old` has counted can be shown as `new`.
fn is_same(old: &Form, new: &Form) -> bool {
    match (old, new) {
        (Form::Histogram { bounds, native: None }, Form::Histogram { bounds: others, native: None }) => {
            bounds == others
        }
        (Form::Histogram { bounds, native: Some(native) }, Form::Histogram { bounds: others, native: Some(other) }) => {
            bounds == others && native.zero_threshold == other.zero_threshold
        }
        // What a window holds is counted anew: its parts may be of another length.
        (Form::Summary { window, .. }, Form::Summary { window: other, .. }) => window == other,
        _ => std::mem::discriminant(old) == std::mem::discriminant(new) && !matches!(old, Form::Histogram { .. }),
    }
}

fn count(cells: &mut Cells, base: Base, first: usize, buckets: impl Iterator<Item = u64>) {
    buckets.enumerate().for_each(|(bucket, times)| cells.count_many(base, first + bucket, times));
}

fn names(plan: &Plan, slot: Slot) -> impl Iterator<Item = &str> {
    plan.groups[slot.group].labels.iter().map(|label| label.name.as_str())
}
