//! From a checkpoint to the file: only what differs from the one before is written.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Statement, Transaction, params};

use super::checkpoint::{Checkpoint, Place, SourceKey};
use super::load::Kept;
use super::record::{Generation, Group, Stand, Texts, overflow_checksum, total_checksum};
use crate::exposition::Snapshot;
use crate::metrics::Totals;
use crate::series::RowId;
use crate::source::Position;

/// Writes into a transaction, and keeps the sum of all checksums.
pub(super) struct Writer<'t> {
    pub(super) transaction: &'t Transaction<'t>,
    pub(super) sum: u64,
    pub(super) next_row: i64,
    now_ms: i64,
}

impl<'t> Writer<'t> {
    /// `sum` is that of the records in the file, `next_row` a number greater than that of each row.
    pub(super) fn new(transaction: &'t Transaction<'t>, sum: u64, next_row: i64) -> Self {
        Self { transaction, sum, next_row, now_ms: now_ms() }
    }

    /// Counts a record with checksum `new` in the place of one with checksum `old`.
    pub(super) fn replace(&mut self, old: Option<u64>, new: Option<u64>) {
        self.sum = self.sum.wrapping_sub(old.unwrap_or(0)).wrapping_add(new.unwrap_or(0));
    }

    /// Adds a group and its metrics; returns its number.
    pub(super) fn group(&mut self, group: &Group) -> rusqlite::Result<i64> {
        let last = "SELECT coalesce(max(id), 0) FROM row_groups";
        let id = self.transaction.query_row(last, [], |row| row.get::<_, i64>(0))? + 1;
        let checksum = group.checksum(id);
        let insert = "INSERT INTO row_groups (id, family, labels, sum_cells, bucket_cells, checksum)
            VALUES (?, ?, ?, ?, ?, ?)";
        let (sums, buckets) = (group.layout.sums as i64, group.layout.buckets as i64);
        self.transaction.execute(insert, params![id, group.family, group.labels, sums, buckets, checksum as i64])?;
        self.replace(None, Some(checksum));
        for metric in &group.metrics {
            let checksum = metric.checksum(id);
            let insert =
                "INSERT INTO metrics (group_id, name, kind, bounds, sum_cell, bucket_cell, distribution, checksum)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
            let [sum, bucket, distribution] = [metric.sum, metric.bucket, metric.distribution].map(|cell| cell as i64);
            let values =
                params![id, metric.name, metric.kind, metric.bounds, sum, bucket, distribution, checksum as i64];
            self.transaction.execute(insert, values)?;
            self.replace(None, Some(checksum));
        }
        Ok(id)
    }

    /// Writes what differs between `old`, which is in the file, and `new`.
    pub(super) fn changes(&mut self, kept: &mut [Kept], old: &Checkpoint, new: &Checkpoint) -> rusqlite::Result<()> {
        let none = Snapshot::default();
        for (index, (kept, new)) in kept.iter_mut().zip(&new.families).enumerate() {
            let old = old.families.get(index).unwrap_or(&none);
            self.rows(kept, old, new)?;
            self.overflow(kept, old, new)?;
        }
        self.totals(&old.totals, &new.totals)?;
        self.positions(&old.positions, &new.positions)?;
        self.messages(&old.messages, &new.messages)
    }

    fn rows(&mut self, kept: &mut Kept, old: &Snapshot, new: &Snapshot) -> rusqlite::Result<()> {
        let (mut texts, mut before) = (Texts::default(), Texts::default());
        let mut upsert = upsert_row(self.transaction)?;
        for (group, id) in kept.groups.clone().into_iter().enumerate() {
            let layout = kept.plan.groups[group].layout;
            for row in new.cells.rows(group) {
                if is_same_row(old, new, group, row) {
                    continue;
                }
                let Some(labels) = kept.directory.block(group, row) else { continue };
                let row_id = kept.row_id(group, row, &mut self.next_row);
                texts.write(new, layout, group, row);
                let was = old.cells.holds(group, row).then(|| {
                    before.write(old, layout, group, row);
                    before.checksum(row_id, id, &labels)
                });
                let checksum = texts.checksum(row_id, id, &labels);
                let Texts { sums, buckets, distributions, changed_at_ms } = &texts;
                let (changed_at_ms, checked) = (*changed_at_ms as i64, checksum as i64);
                upsert.execute(params![row_id, id, labels, sums, buckets, distributions, changed_at_ms, checked])?;
                self.replace(was, Some(checksum));
            }
        }
        Ok(())
    }

    fn overflow(&mut self, kept: &Kept, old: &Snapshot, new: &Snapshot) -> rusqlite::Result<()> {
        let family = kept.plan.family;
        for (index, (metric, samples)) in family.metrics.iter().zip(&new.fell_out).enumerate() {
            let was = old.fell_out.get(index).copied().unwrap_or(0);
            if *samples == was {
                continue;
            }
            let checksum = |samples| overflow_checksum(family.name, metric.name, samples);
            let upsert = "INSERT OR REPLACE INTO overflow (family, metric, samples, checksum) VALUES (?, ?, ?, ?)";
            let values = params![family.name, metric.name, *samples as i64, checksum(*samples) as i64];
            self.transaction.execute(upsert, values)?;
            self.replace((was > 0).then(|| checksum(was)), Some(checksum(*samples)));
        }
        Ok(())
    }

    fn totals(&mut self, old: &BTreeMap<SourceKey, Totals>, new: &BTreeMap<SourceKey, Totals>) -> rusqlite::Result<()> {
        let upsert = "INSERT OR REPLACE INTO totals (source, format, name, value, checksum) VALUES (?, ?, ?, ?, ?)";
        let (none, mut upsert) = (Totals::default(), self.transaction.prepare(upsert)?);
        for (key, new) in new {
            let old = old.get(key).unwrap_or(&none);
            if old == new {
                continue;
            }
            let old = old.named();
            for (name, value) in new.named() {
                let was = old.get(&name).copied().unwrap_or(0);
                if was == value {
                    continue;
                }
                let checksum = total_checksum(key, &name, value);
                upsert.execute(params![key.source, key.format, name, value as i64, checksum as i64])?;
                self.replace((was > 0).then(|| total_checksum(key, &name, was)), Some(checksum));
            }
        }
        Ok(())
    }

    fn positions(&mut self, old: &BTreeMap<Place, Position>, new: &BTreeMap<Place, Position>) -> rusqlite::Result<()> {
        let upsert = "INSERT OR REPLACE INTO positions (source, format, key, kind, device, inode,
            fingerprint, file_offset, file_size, modified_ns, predecessor, cursor, moved_at_ms, checksum)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let mut upsert = self.transaction.prepare(upsert)?;
        for (place, position) in new {
            let was = old.get(place);
            if was == Some(position) {
                continue;
            }
            let stand = Stand::of(position);
            let checksum = stand.checksum(place);
            let (source, format, key) = (&place.source.source, &place.source.format, &place.key);
            upsert.execute(params![
                source,
                format,
                key,
                stand.kind,
                stand.device,
                stand.inode,
                stand.fingerprint,
                stand.offset,
                stand.size,
                stand.modified_ns,
                stand.predecessor,
                stand.cursor,
                self.now_ms,
                checksum as i64
            ])?;
            self.replace(was.map(|was| Stand::of(was).checksum(place)), Some(checksum));
        }
        for (place, was) in old.iter().filter(|(place, _)| !new.contains_key(*place)) {
            let delete = "DELETE FROM positions WHERE source = ? AND format = ? AND key = ?";
            self.transaction.execute(delete, params![place.source.source, place.source.format, place.key])?;
            self.replace(Some(Stand::of(was).checksum(place)), None);
        }
        Ok(())
    }

    /// Ends the writing, which becomes generation `number`.
    pub(super) fn seal(self, number: u64) -> rusqlite::Result<Generation> {
        let generation = Generation { number, committed_at_ms: self.now_ms, sum: self.sum };
        let upsert = "INSERT OR REPLACE INTO last_commit (one, generation, committed_at_ms, sum, checksum)
            VALUES (1, ?, ?, ?, ?)";
        let (number, sum, checksum) = (generation.number as i64, self.sum as i64, generation.checksum() as i64);
        self.transaction.execute(upsert, params![number, self.now_ms, sum, checksum])?;
        Ok(generation)
    }
}

/// True when nothing of `row` has to be written.
fn is_same_row(old: &Snapshot, new: &Snapshot, group: usize, row: RowId) -> bool {
    old.changed.at(group, row) == new.changed.at(group, row) && new.cells.is_same_row(&old.cells, group, row)
}

/// Writes a row, be it new or not: its number, its group's, labels, sums, buckets, distributions, when it changed, checksum.
pub(super) fn upsert_row<'t>(transaction: &'t Transaction<'_>) -> rusqlite::Result<Statement<'t>> {
    transaction.prepare(
        "INSERT INTO label_rows (id, group_id, labels, sums, buckets, distributions, changed_at_ms, checksum)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET sums = excluded.sums,
         buckets = excluded.buckets, distributions = excluded.distributions,
         changed_at_ms = excluded.changed_at_ms, checksum = excluded.checksum",
    )
}

impl Kept {
    /// The number of a row in the file; a new one when it has none yet.
    pub(super) fn row_id(&mut self, group: usize, row: RowId, next: &mut i64) -> i64 {
        let ids = &mut self.rows[group];
        if ids.len() <= row as usize {
            ids.resize(row as usize + 1, 0);
        }
        let id = &mut ids[row as usize];
        if *id == 0 {
            *id = *next;
            *next += 1;
        }
        *id
    }
}

/// True when something differs that [`Writer::changes`] would write.
pub(super) fn differ(kept: &[Kept], old: &Checkpoint, new: &Checkpoint) -> bool {
    let none = Snapshot::default();
    let differs = |(index, (kept, new)): (usize, (&Kept, &Snapshot))| {
        let old = old.families.get(index).unwrap_or(&none);
        let groups = 0..kept.groups.len();
        let mut rows = groups.flat_map(|group| new.cells.rows(group).map(move |row| (group, row)));
        old.fell_out != new.fell_out || rows.any(|(group, row)| !is_same_row(old, new, group, row))
    };
    old.totals != new.totals
        || old.positions != new.positions
        || old.messages != new.messages
        || kept.iter().zip(&new.families).enumerate().any(differs)
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
