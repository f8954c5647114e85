//! From the file to cells, under whatever configuration holds now.
//!
//! A group of rows that the configuration has, too, comes back as it is. The metrics of any other group are moved,
//! one by one, to the groups that count them now, if their labels, type and bounds are the same. What fits nowhere
//! is left as it is, *kept aside*: it is not shown, not added to anything, and comes back when it fits again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rusqlite::{Connection, Row, Transaction, params};

use super::checkpoint::{Checkpoint, Place, SourceKey};
use super::error::Cause;
use super::messages;
use super::policy::{fingerprints, mixed, policies, salts, same};
use super::record::{
    Generation, Group, Metric, Stand, Texts, overflow_checksum, read_numbers, total_checksum, write_numbers,
};
use super::write::{Writer, upsert_row};
use crate::exposition::Snapshot;
use crate::metrics::{Plan, Planned, Slot, Totals};
use crate::series::{Cells, Directory, Layout, Restored, RowId, Shape};

/// A family and where it is in the file.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) plan: Arc<Plan>,
    pub(super) directory: Arc<Directory>,
    /// Numbers of its groups in the file.
    pub(super) groups: Vec<i64>,
    /// Numbers of its rows in the file, by group and row; 0 for none yet.
    pub(super) rows: Vec<Vec<i64>>,
}

impl Kept {
    pub(super) fn new(Planned { plan, directory }: Planned) -> Self {
        let groups = plan.groups.len();
        Self { plan, directory, groups: vec![0; groups], rows: vec![Vec::new(); groups] }
    }
}

/// What was in the file.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) base: Checkpoint,
    pub(super) generation: Generation,
    pub(super) next_row: i64,
    /// Rows that are kept aside, wholly or in part.
    pub(super) aside: u64,
    moves: Moves,
    /// Fingerprints of the policies of each group in the file.
    policies: BTreeMap<i64, String>,
    /// Groups of the plans that have rows kept aside: these were made by other rules.
    mixed: BTreeSet<Target>,
}

/// Number of a family, and of a group in its plan.
type Target = (usize, usize);

/// What has to be rewritten for the present configuration.
#[derive(Debug, Default)]
struct Moves {
    /// Records that are moved to other groups, and so leave the file: table, SQL condition's values, checksum.
    metrics: Vec<(i64, Metric)>,
    groups: Vec<(i64, u64)>,
    rows: Vec<(i64, u64)>,
    /// Cells that came from other groups, by their new group and their labels.
    arrived: BTreeMap<(Target, String), Arrived>,
    /// Number and checksum of the rows that groups with arrivals have in the file already, by labels, with
    /// their cells when those are kept aside.
    present: BTreeMap<(Target, String), (i64, u64, Option<Cut>)>,
}

/// Cells from other groups.
#[derive(Debug)]
struct Arrived {
    cut: Cut,
    /// By label: the value was shown by the same rules as now.
    same: Vec<bool>,
}

/// The cells of one row.
#[derive(Clone, Debug, Default)]
struct Cut {
    sums: Vec<u64>,
    buckets: Vec<u64>,
    /// As they stand in the file.
    distributions: Vec<String>,
    changed_at_ms: u64,
}

impl Arrived {
    fn is_same(&self, label: usize) -> bool {
        self.same.get(label).copied().unwrap_or(false)
    }
}

impl Cut {
    fn zero(layout: Layout) -> Self {
        let empty = |shape: &Shape| {
            let mut text = String::new();
            shape.empty().write(&mut text, shape);
            text
        };
        let distributions = layout.distributions.iter().map(empty).collect();
        Self { sums: vec![0; layout.sums], buckets: vec![0; layout.buckets], distributions, changed_at_ms: 0 }
    }

    fn read(texts: &Texts) -> Option<Self> {
        let Texts { sums, buckets, distributions, changed_at_ms } = texts;
        let distributions = distributions.split(' ').filter(|text| !text.is_empty()).map(str::to_owned).collect();
        Some(Self {
            sums: read_numbers(sums)?,
            buckets: read_numbers(buckets)?,
            distributions,
            changed_at_ms: *changed_at_ms,
        })
    }

    /// Adds the cells that `metric` has in `from` to those at `slot`, in rows of `layout`. `None` when they are not all there.
    fn take(&mut self, from: &Self, metric: &Metric, slot: Slot, layout: Layout) -> Option<()> {
        if metric.is_last() {
            let there = from.sums.get(metric.sum..metric.sum + 2)?;
            self.sums.get_mut(slot.sum..slot.sum + 2)?.copy_from_slice(there);
            return Some(());
        }
        if metric.has_distribution() {
            let here = self.distributions.get_mut(slot.distribution)?;
            let there = from.distributions.get(metric.distribution)?;
            *here = layout.distributions.get(slot.distribution)?.sum(here, there)?;
        }
        let sum = self.sums.get_mut(slot.sum)?;
        *sum = sum.wrapping_add(*from.sums.get(metric.sum)?);
        let length = metric.buckets();
        let there = from.buckets.get(metric.bucket..metric.bucket + length)?;
        let here = self.buckets.get_mut(slot.bucket..slot.bucket + length)?;
        here.iter_mut().zip(there).for_each(|(here, there)| *here += there);
        self.changed_at_ms = self.changed_at_ms.max(from.changed_at_ms);
        Some(())
    }

    /// Adds it to a row of `layout`. `None` when a distribution is none.
    fn add_to(
        &self,
        Snapshot { cells, changed, .. }: &mut Snapshot,
        layout: Layout,
        group: usize,
        row: RowId,
    ) -> Option<()> {
        changed.set_latest(group, row, self.changed_at_ms);
        let base = cells.base(group, row);
        if layout.is_last {
            // Whatever this run sets is later.
            let pairs = self.sums.as_chunks::<2>().0.iter().enumerate();
            pairs.for_each(|(pair, [order, value])| cells.set_as(base, 2 * pair, (*order).min(1), *value));
            return Some(());
        }
        self.sums.iter().enumerate().for_each(|(sum, value)| cells.add(base, sum, *value));
        self.buckets.iter().enumerate().for_each(|(bucket, times)| cells.count_many(base, bucket, *times));
        for (number, (text, shape)) in self.distributions.iter().zip(layout.distributions).enumerate() {
            cells.add_distribution((group, base), number, &shape.read(text)?);
        }
        Some(())
    }
}

/// What becomes of the rows of a group in the file.
#[derive(Debug)]
enum Fate {
    /// It is a group of the plan.
    Same(Target),
    /// These of its metrics go to other groups; true when all do.
    Moved(Vec<(Metric, Target, Slot)>, bool),
    /// Nothing fits.
    Aside,
}

/// Reads everything, checks every record, and fills `kept`.
///
/// # Errors
/// The file cannot be read, or is not what was written.
pub(super) fn load(connection: &Connection, kept: &mut [Kept]) -> Result<Loaded, Cause> {
    let mut sum = 0u64;
    let generation = generation(connection)?;
    let groups = groups(connection, &mut sum)?;
    let fates = fates(&groups, kept);
    let mut base = Checkpoint {
        families: kept.iter().map(|kept| empty(&kept.plan)).collect(),
        totals: totals(connection, &mut sum)?,
        positions: positions(connection, &mut sum)?,
        messages: messages::load(connection, &mut sum)?,
        salts: salts(connection, &mut sum)?,
    };
    let policies = policies(connection, &mut sum)?;
    overflow(connection, kept, &mut base, &mut sum)?;
    let mut rows = Rows {
        kept,
        base: &mut base,
        fates: &fates,
        moves: Moves::default(),
        aside: 0,
        next_row: 1,
        targets: BTreeSet::new(),
        same: BTreeMap::new(),
        mixed: BTreeSet::new(),
    };
    rows.judge(&policies);
    rows.targets = fates
        .values()
        .flat_map(|fate| match fate {
            Fate::Moved(metrics, _) => metrics.iter().map(|(_, target, _)| *target).collect(),
            _ => Vec::new(),
        })
        .collect();
    rows.read(connection, &mut sum)?;
    let Rows { mut moves, aside, next_row, mixed, .. } = rows;
    for (id, group) in &groups {
        let Some(Fate::Moved(metrics, all)) = fates.get(id) else { continue };
        moves.metrics.extend(metrics.iter().map(|(metric, ..)| (*id, metric.clone())));
        if *all {
            moves.groups.push((*id, group.checksum(*id)));
        }
    }
    if sum != generation.sum {
        return Err(Cause::damaged("records are missing, or are of an earlier commit"));
    }
    Ok(Loaded { base, generation, next_row, aside, moves, policies, mixed })
}

fn empty(plan: &Plan) -> Snapshot {
    let cells = Cells::new(plan.groups.iter().map(|group| group.layout));
    Snapshot { cells, fell_out: vec![0; plan.family.metrics.len()], ..Snapshot::default() }
}

/// A record's checksum, which must be `expected`.
pub(super) fn checked(table: &str, row: &Row<'_>, expected: u64, sum: &mut u64) -> Result<(), Cause> {
    let checksum = row.get::<_, i64>("checksum")? as u64;
    if checksum != expected {
        return Err(Cause::damaged(format!("a record of {table} does not fit its checksum")));
    }
    *sum = sum.wrapping_add(checksum);
    Ok(())
}

/// The last commit.
pub(super) fn generation(connection: &Connection) -> Result<Generation, Cause> {
    let read = |row: &Row<'_>| {
        let number = |name: &str| row.get::<_, i64>(name);
        let generation = Generation {
            number: number("generation")? as u64,
            committed_at_ms: number("committed_at_ms")?,
            sum: number("sum")? as u64,
        };
        Ok((generation, number("checksum")? as u64))
    };
    let (generation, checksum) = connection.query_row("SELECT * FROM last_commit", [], read)?;
    if checksum != generation.checksum() {
        return Err(Cause::damaged("the record of the last commit does not fit its checksum"));
    }
    Ok(generation)
}

/// The place or number of cells in column `name`.
fn place(row: &Row<'_>, name: &str) -> Result<usize, Cause> {
    let place: i64 = row.get(name)?;
    usize::try_from(place).map_err(|_| Cause::damaged("a number of cells is negative"))
}

fn groups(connection: &Connection, sum: &mut u64) -> Result<BTreeMap<i64, Group>, Cause> {
    let mut groups = BTreeMap::new();
    let mut statement = connection.prepare("SELECT * FROM row_groups ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get("id")?;
        let (sums, buckets) = (place(row, "sum_cells")?, place(row, "bucket_cells")?);
        let layout = Layout { sums, buckets, ..Layout::default() };
        let group = Group { family: row.get("family")?, labels: row.get("labels")?, layout, metrics: Vec::new() };
        checked("row_groups", row, group.checksum(id), sum)?;
        groups.insert(id, group);
    }
    let mut statement = connection.prepare("SELECT * FROM metrics ORDER BY group_id, name")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get("group_id")?;
        let metric = Metric {
            name: row.get("name")?,
            kind: row.get("kind")?,
            bounds: row.get("bounds")?,
            sum: place(row, "sum_cell")?,
            bucket: place(row, "bucket_cell")?,
            distribution: place(row, "distribution")?,
        };
        checked("metrics", row, metric.checksum(id), sum)?;
        let group = groups.get_mut(&id).ok_or_else(|| Cause::damaged("a metric has no group"))?;
        group.layout.is_last |= metric.is_last();
        group.metrics.push(metric);
    }
    Ok(groups)
}

/// Decides on every group of the file, and tells `kept` the numbers of those that are the same.
fn fates(groups: &BTreeMap<i64, Group>, kept: &mut [Kept]) -> BTreeMap<i64, Fate> {
    let mut fates = BTreeMap::new();
    for (family, kept) in kept.iter_mut().enumerate() {
        let plan = Arc::clone(&kept.plan);
        let present = (0..plan.groups.len()).map(|group| Group::of(&plan, group)).collect::<Vec<_>>();
        for (id, group) in groups.iter().filter(|(_, group)| group.family == plan.family.name) {
            let same = present.iter().position(|present| present == group);
            if let Some(same) = same.filter(|same| kept.groups[*same] == 0) {
                kept.groups[same] = *id;
                fates.insert(*id, Fate::Same((family, same)));
                continue;
            }
            let target = |metric: &Metric| {
                let is_it = |present: &Group| {
                    present.labels == group.labels && present.metrics.iter().any(|other| other.is_same(metric))
                };
                let group = present.iter().position(is_it)?;
                let index = plan.family.metrics.iter().position(|known| known.name == metric.name)?;
                Some((metric.clone(), (family, group), plan.slots[index]?))
            };
            let moved = group.metrics.iter().filter_map(target).collect::<Vec<_>>();
            let all = moved.len() == group.metrics.len();
            fates.insert(*id, if moved.is_empty() { Fate::Aside } else { Fate::Moved(moved, all) });
        }
    }
    fates
}

/// Reading of the rows.
struct Rows<'l> {
    kept: &'l mut [Kept],
    base: &'l mut Checkpoint,
    fates: &'l BTreeMap<i64, Fate>,
    /// The groups that others are moved to.
    targets: BTreeSet<Target>,
    moves: Moves,
    aside: u64,
    next_row: i64,
    /// By a group in the file and one that its rows come to, and label: the rules are the same.
    same: BTreeMap<(i64, Target), Vec<bool>>,
    /// Groups with rows that are kept aside.
    mixed: BTreeSet<Target>,
}

impl Rows<'_> {
    /// Finds out which values were shown by the same rules as now.
    fn judge(&mut self, policies: &BTreeMap<i64, String>) {
        for (id, fate) in self.fates {
            let targets: Vec<Target> = match fate {
                Fate::Same(target) => vec![*target],
                Fate::Moved(metrics, _) => metrics.iter().map(|(_, target, _)| *target).collect(),
                Fate::Aside => Vec::new(),
            };
            for target in targets {
                let now = fingerprints(&self.kept[target.0].plan, target.1);
                self.same.insert((*id, target), same(policies.get(id).map(String::as_str), &now));
            }
        }
    }

    fn read(&mut self, connection: &Connection, sum: &mut u64) -> Result<(), Cause> {
        let mut statement = connection.prepare("SELECT * FROM label_rows ORDER BY id")?;
        let mut rows = statement.query([])?;
        let (mut texts, mut labels) = (Texts::default(), String::new());
        while let Some(row) = rows.next()? {
            let (id, group): (i64, i64) = (row.get("id")?, row.get("group_id")?);
            let Texts { sums, buckets, distributions, .. } = &mut texts;
            let columns = [("sums", sums), ("buckets", buckets), ("distributions", distributions)];
            for (name, text) in [("labels", &mut labels)].into_iter().chain(columns) {
                text.clear();
                text.push_str(row.get_ref(name)?.as_str().map_err(rusqlite::Error::from)?);
            }
            texts.changed_at_ms = row.get::<_, i64>("changed_at_ms")? as u64;
            let checksum = texts.checksum(id, group, &labels);
            checked("label_rows", row, checksum, sum)?;
            self.next_row = self.next_row.max(id + 1);
            let cut = Cut::read(&texts).ok_or_else(|| Cause::damaged("a cell is no number"))?;
            match self.fates.get(&group) {
                Some(Fate::Same(target)) => self.restore((group, *target), id, &labels, cut, checksum)?,
                Some(Fate::Moved(metrics, all)) => {
                    for (metric, target, slot) in metrics {
                        let layout = self.kept[target.0].plan.groups[target.1].layout;
                        let arrived = self.moves.arrived.entry((*target, labels.clone()));
                        let arrived = arrived.or_insert_with(|| Arrived { cut: Cut::zero(layout), same: Vec::new() });
                        let taken = arrived.cut.take(&cut, metric, *slot, layout);
                        taken.ok_or_else(|| Cause::damaged("a row lacks cells"))?;
                        let same = self.same.get(&(group, *target)).map(Vec::as_slice).unwrap_or_default();
                        // Shown by the one group, it may be shown, whatever the other had by its name.
                        arrived.same.resize(same.len(), false);
                        arrived.same.iter_mut().zip(same).for_each(|(all, same)| *all |= same);
                    }
                    match all {
                        true => self.moves.rows.push((id, checksum)),
                        false => self.aside += 1,
                    }
                }
                Some(Fate::Aside) | None => self.aside += 1,
            }
        }
        self.arrive()
    }

    /// A row of a group in the file that is the same as one of the plan.
    fn restore(
        &mut self,
        (from, target): (i64, Target),
        id: i64,
        labels: &str,
        cut: Cut,
        checksum: u64,
    ) -> Result<(), Cause> {
        let (family, group) = target;
        let same = self.same.get(&(from, target)).map(Vec::as_slice).unwrap_or_default();
        let is_same = |label: usize| same.get(label).copied().unwrap_or(false);
        let kept = &mut self.kept[family];
        let layout = kept.plan.groups[group].layout;
        let lengths = (layout.sums, layout.buckets, layout.distributions.len());
        if (cut.sums.len(), cut.buckets.len(), cut.distributions.len()) != lengths {
            return Err(Cause::damaged("a row has not as many cells as its group"));
        }
        let mut aside = None;
        match kept.directory.restore(group, labels, is_same) {
            Restored::NotATuple => return Err(Cause::damaged("a row has other labels than its group")),
            Restored::NotAllowed => {
                self.aside += 1;
                self.mixed.insert(target);
                aside = Some(cut);
            }
            Restored::Row(row) => {
                if self.base.families[family].cells.holds(group, row) {
                    return Err(Cause::damaged("a row comes twice"));
                }
                kept.row_id(group, row, &mut { id });
                cut.add_to(&mut self.base.families[family], layout, group, row).ok_or_else(no_distribution)?;
            }
        }
        if self.targets.contains(&target) {
            self.moves.present.insert((target, labels.to_owned()), (id, checksum, aside));
        }
        Ok(())
    }

    /// Adds what has been moved to its new rows.
    fn arrive(&mut self) -> Result<(), Cause> {
        for (((family, group), labels), arrived) in &self.moves.arrived {
            let cut = &arrived.cut;
            match self.kept[*family].directory.restore(*group, labels, |label| arrived.is_same(label)) {
                Restored::Row(row) => {
                    let layout = self.kept[*family].plan.groups[*group].layout;
                    let snapshot = &mut self.base.families[*family];
                    cut.add_to(snapshot, layout, *group, row).ok_or_else(no_distribution)?;
                }
                Restored::NotAllowed => {
                    self.aside += 1;
                    self.mixed.insert((*family, *group));
                }
                Restored::NotATuple => return Err(Cause::damaged("a row has other labels than its group")),
            }
        }
        Ok(())
    }
}

fn no_distribution() -> Cause {
    Cause::damaged("a distribution cannot be read")
}

impl Loaded {
    /// Writes the groups that are new, and what has been moved to other groups.
    pub(super) fn arrange(
        &self,
        writer: &mut Writer<'_>,
        kept: &mut [Kept],
        file: &Transaction<'_>,
    ) -> rusqlite::Result<()> {
        let Moves { metrics, groups, rows, arrived, present } = &self.moves;
        let policies = |group: i64| self.policies.get(&group).map(String::as_str);
        for (id, metric) in metrics {
            file.execute("DELETE FROM metrics WHERE group_id = ? AND name = ?", (id, &metric.name))?;
            writer.replace(Some(metric.checksum(*id)), None);
        }
        for (table, records) in [("row_groups", groups), ("label_rows", rows)] {
            let mut delete = file.prepare(&format!("DELETE FROM {table} WHERE id = ?"))?;
            for (id, checksum) in records {
                delete.execute([id])?;
                writer.replace(Some(*checksum), None);
            }
        }
        for (group, _) in groups {
            writer.policies(*group, policies(*group), None)?;
        }
        for (family, kept) in kept.iter_mut().enumerate() {
            for group in 0..kept.groups.len() {
                let mut before = policies(kept.groups[group]);
                if kept.groups[group] == 0 {
                    (kept.groups[group], before) = (writer.group(&Group::of(&kept.plan, group))?, None);
                }
                let now = fingerprints(&kept.plan, group);
                let now = if self.mixed.contains(&(family, group)) { mixed(&now) } else { now };
                writer.policies(kept.groups[group], before, Some(&now))?;
            }
        }
        let (mut texts, mut upsert) = (Texts::default(), upsert_row(file)?);
        for (key, arrived) in arrived {
            let (((family, group), labels), cut) = (key, &arrived.cut);
            let kept = &mut kept[*family];
            let known = present.get(key);
            let id = match kept.directory.restore(*group, labels, |label| arrived.is_same(label)) {
                Restored::Row(row) => {
                    texts.write(&self.base.families[*family], kept.plan.groups[*group].layout, *group, row);
                    kept.row_id(*group, row, &mut writer.next_row)
                }
                // Kept aside there as it was here, together with what is aside there.
                _ => {
                    let other = known.and_then(|(.., aside)| aside.as_ref());
                    let is_last = kept.plan.groups[*group].layout.is_last;
                    texts.changed_at_ms = cut.changed_at_ms.max(other.map_or(0, |other| other.changed_at_ms));
                    let add = |here: &[u64], there: Option<&Vec<u64>>, out: &mut String| {
                        // Last values do not add up.
                        let there = there.filter(|_| !is_last);
                        let there = there.map(Vec::as_slice).unwrap_or_default();
                        let there = there.iter().copied().chain(std::iter::repeat(0));
                        write_numbers(here.iter().zip(there).map(|(a, b)| a.wrapping_add(b)), out);
                    };
                    add(&cut.sums, other.map(|other| &other.sums), &mut texts.sums);
                    add(&cut.buckets, other.map(|other| &other.buckets), &mut texts.buckets);
                    let shapes = kept.plan.groups[*group].layout.distributions;
                    let sums = cut.distributions.iter().zip(shapes).enumerate().map(|(number, (here, shape))| {
                        let there = other.and_then(|other| other.distributions.get(number));
                        there.and_then(|there| shape.sum(here, there)).unwrap_or_else(|| here.clone())
                    });
                    texts.distributions = sums.collect::<Vec<_>>().join(" ");
                    known.map_or_else(
                        || {
                            writer.next_row += 1;
                            writer.next_row - 1
                        },
                        |(id, ..)| *id,
                    )
                }
            };
            let checksum = texts.checksum(id, kept.groups[*group], labels);
            let Texts { sums, buckets, distributions, changed_at_ms } = &texts;
            let (group, changed_at_ms, checked) = (kept.groups[*group], *changed_at_ms as i64, checksum as i64);
            upsert.execute(params![id, group, labels, sums, buckets, distributions, changed_at_ms, checked])?;
            writer.replace(known.map(|(_, was, _)| *was), Some(checksum));
        }
        Ok(())
    }
}

fn overflow(connection: &Connection, kept: &[Kept], base: &mut Checkpoint, sum: &mut u64) -> Result<(), Cause> {
    let mut statement = connection.prepare("SELECT * FROM overflow")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (family, metric): (String, String) = (row.get("family")?, row.get("metric")?);
        let samples = row.get::<_, i64>("samples")? as u64;
        checked("overflow", row, overflow_checksum(&family, &metric, samples), sum)?;
        for (kept, snapshot) in kept.iter().zip(&mut base.families) {
            let metrics = kept.plan.family.metrics.iter().zip(&mut snapshot.fell_out);
            let is_it = |name: &str| kept.plan.family.name == family && name == metric;
            metrics.filter(|(known, _)| is_it(known.name)).for_each(|(_, fell_out)| *fell_out = samples);
        }
    }
    Ok(())
}

fn totals(connection: &Connection, sum: &mut u64) -> Result<BTreeMap<SourceKey, Totals>, Cause> {
    let mut totals: BTreeMap<SourceKey, Totals> = BTreeMap::new();
    let mut statement = connection.prepare("SELECT * FROM totals")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let key = SourceKey { source: row.get("source")?, format: row.get("format")? };
        let (name, value): (String, i64) = (row.get("name")?, row.get("value")?);
        checked("totals", row, total_checksum(&key, &name, value as u64), sum)?;
        totals.entry(key).or_default().set(&name, value as u64);
    }
    Ok(totals)
}

fn positions(connection: &Connection, sum: &mut u64) -> Result<BTreeMap<Place, crate::source::Position>, Cause> {
    let mut positions = BTreeMap::new();
    let mut statement = connection.prepare("SELECT * FROM positions")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let source = SourceKey { source: row.get("source")?, format: row.get("format")? };
        let place = Place { source, key: row.get("key")? };
        let stand = Stand {
            kind: row.get("kind")?,
            device: row.get("device")?,
            inode: row.get("inode")?,
            fingerprint: row.get("fingerprint")?,
            offset: row.get("file_offset")?,
            size: row.get("file_size")?,
            modified_ns: row.get("modified_ns")?,
            predecessor: row.get("predecessor")?,
            cursor: row.get("cursor")?,
        };
        checked("positions", row, stand.checksum(&place), sum)?;
        let position = stand.position().ok_or_else(|| Cause::damaged("a position is of no known kind"))?;
        positions.insert(place, position);
    }
    Ok(positions)
}
