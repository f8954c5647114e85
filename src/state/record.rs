//! Records as they stand in the tables: texts of cells, descriptions of groups, and their checksums.

use super::checkpoint::{Place, SourceKey};
use super::digest::Digest;
use crate::exposition::Snapshot;
use crate::metrics::{Form, Plan};
use crate::series::{Layout, RowId};
use crate::source::{Identity, Position, file};

/// The kind of last values.
const LAST: &str = "last";
/// What follows the kind where cells hold millionths.
const MILLIONTHS: &str = " of millionths";

/// The state of the whole file, behind each commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation {
    /// Grows by one with every commit.
    pub(super) number: u64,
    pub(super) committed_at_ms: i64,
    /// Of the checksums of all other records.
    pub(super) sum: u64,
}

impl Generation {
    pub(super) fn checksum(self) -> u64 {
        Digest::new("last_commit").number(self.number).number(self.committed_at_ms as u64).number(self.sum).sum()
    }
}

/// What a group is, whichever configuration it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) family: String,
    /// Names, with commas in between.
    pub(super) labels: String,
    /// The cells of its rows.
    pub(super) layout: Layout,
    /// By name.
    pub(super) metrics: Vec<Metric>,
}

/// A metric of a group, and where its cells are in the group's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Metric {
    pub(super) name: String,
    pub(super) kind: String,
    /// Upper bounds, with spaces in between.
    pub(super) bounds: String,
    pub(super) sum: usize,
    pub(super) bucket: usize,
    /// The number of its distribution in the rows, if its kind has one.
    pub(super) distribution: usize,
}

/// The kinds whose rows have distributions; behind the first stands its threshold of zero.
const NATIVE: &str = "native histogram";
const SUMMARY: &str = "summary";

impl Group {
    /// Group number `group` of `plan`.
    pub(super) fn of(plan: &Plan, group: usize) -> Self {
        let names = plan.groups[group].labels.iter().map(|label| label.name.as_str()).collect::<Vec<_>>();
        let metrics = plan.family.metrics.iter().zip(&plan.slots).zip(&plan.forms);
        let mut metrics = metrics
            .filter_map(|((metric, slot), form)| {
                let slot = slot.filter(|slot| slot.group == group)?;
                let kind = match form {
                    Form::Counter | Form::Gauge => "counter".to_owned(),
                    Form::Last => LAST.to_owned(),
                    Form::Histogram { native: None, .. } => "histogram".to_owned(),
                    Form::Histogram { native: Some(native), .. } => format!("{NATIVE} {:e}", native.zero_threshold),
                    Form::Summary { .. } => SUMMARY.to_owned(),
                };
                // Cells that count something else are not the same.
                let kind = if metric.unit.decimals() > 3 { kind + MILLIONTHS } else { kind };
                let bounds = form.bounds().iter().map(f64::to_string).collect::<Vec<_>>();
                let distribution = if form.shape().is_some() { slot.distribution } else { 0 };
                let (sum, bucket) = (slot.sum, slot.bucket);
                Some(Metric { name: metric.name.to_owned(), kind, bounds: bounds.join(" "), sum, bucket, distribution })
            })
            .collect::<Vec<_>>();
        metrics.sort_by(|a, b| a.name.cmp(&b.name));
        Self {
            family: plan.family.name.to_owned(),
            labels: names.join(","),
            // What distributions there are the metrics say.
            layout: Layout { distributions: &[], ..plan.groups[group].layout },
            metrics,
        }
    }

    pub(super) fn checksum(&self, id: i64) -> u64 {
        let digest = Digest::new("row_groups").number(id as u64).text(&self.family).text(&self.labels);
        digest.number(self.layout.sums as u64).number(self.layout.buckets as u64).sum()
    }
}

impl Metric {
    /// Bucket cells: one for each bound, and one above.
    pub(super) fn buckets(&self) -> usize {
        match self.plain_kind() {
            "counter" | LAST => 0,
            _ => self.bounds.split_whitespace().count() + 1,
        }
    }

    /// The kind, whatever the cells hold.
    fn plain_kind(&self) -> &str {
        self.kind.strip_suffix(MILLIONTHS).unwrap_or(&self.kind)
    }

    /// True for a last value, which has two cells: its order and itself.
    pub(super) fn is_last(&self) -> bool {
        self.plain_kind() == LAST
    }

    /// True when rows have a distribution for it.
    pub(super) fn has_distribution(&self) -> bool {
        self.kind.starts_with(NATIVE) || self.plain_kind() == SUMMARY
    }

    /// True when both count the same, wherever the cells are.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.name, &self.kind, &self.bounds) == (&other.name, &other.kind, &other.bounds)
    }

    pub(super) fn checksum(&self, group: i64) -> u64 {
        let digest = Digest::new("metrics").number(group as u64).text(&self.name).text(&self.kind);
        let digest = digest.text(&self.bounds).number(self.sum as u64).number(self.bucket as u64);
        // Records of earlier versions had none.
        if self.has_distribution() { digest.number(self.distribution as u64).sum() } else { digest.sum() }
    }
}

/// The cells of a row as texts: numbers with spaces in between. Kept to be used again.
#[derive(Debug, Default)]
pub(super) struct Texts {
    pub(super) sums: String,
    pub(super) buckets: String,
    pub(super) distributions: String,
    /// When the row changed; 0 for unknown.
    pub(super) changed_at_ms: u64,
}

impl Texts {
    /// Writes the cells of `row` of `group`.
    pub(super) fn write(
        &mut self,
        Snapshot { cells, changed, .. }: &Snapshot,
        layout: Layout,
        group: usize,
        row: RowId,
    ) {
        self.changed_at_ms = changed.at(group, row).unwrap_or(0);
        // Of last values the order is that of one run, and is taken up as 1: any that the next one sets is later.
        let most = |sum: usize| if layout.is_last && sum.is_multiple_of(2) { 1 } else { u64::MAX };
        write_numbers((0..layout.sums).map(|sum| cells.sum(group, row, sum).min(most(sum))), &mut self.sums);
        write_numbers(cells.buckets(group, row, 0, layout.buckets), &mut self.buckets);
        self.distributions.clear();
        for (number, shape) in layout.distributions.iter().enumerate() {
            if number > 0 {
                self.distributions.push(' ');
            }
            if let Some(distribution) = cells.distribution(group, row, number) {
                distribution.write(&mut self.distributions, shape);
            }
        }
    }

    pub(super) fn checksum(&self, id: i64, group: i64, labels: &str) -> u64 {
        let digest = Digest::new("label_rows").number(id as u64).number(group as u64).text(labels);
        let digest = digest.text(&self.sums).text(&self.buckets);
        // Earlier versions wrote rows without these.
        let digest = if self.distributions.is_empty() { digest } else { digest.text(&self.distributions) };
        if self.changed_at_ms > 0 { digest.number(self.changed_at_ms).sum() } else { digest.sum() }
    }
}

pub(super) fn write_numbers(numbers: impl Iterator<Item = u64>, out: &mut String) {
    let mut buffer = itoa::Buffer::new();
    out.clear();
    for number in numbers {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(buffer.format(number));
    }
}

pub(super) fn read_numbers(text: &str) -> Option<Vec<u64>> {
    text.split(' ').filter(|number| !number.is_empty()).map(|number| number.parse().ok()).collect()
}

/// Checksum of samples that fell out of a metric.
pub(super) fn overflow_checksum(family: &str, metric: &str, samples: u64) -> u64 {
    Digest::new("overflow").text(family).text(metric).number(samples).sum()
}

/// Checksum of one number of a source.
pub(super) fn total_checksum(key: &SourceKey, name: &str, value: u64) -> u64 {
    Digest::new("totals").text(&key.source).text(&key.format).text(name).number(value).sum()
}

/// A position as it stands in its columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stand {
    pub(super) kind: String,
    pub(super) device: Option<i64>,
    pub(super) inode: Option<i64>,
    pub(super) fingerprint: Option<String>,
    pub(super) offset: Option<i64>,
    pub(super) size: Option<i64>,
    pub(super) modified_ns: Option<i64>,
    pub(super) predecessor: Option<String>,
    pub(super) cursor: Option<String>,
}

impl Stand {
    pub(super) fn of(position: &Position) -> Self {
        match position {
            Position::File(position) => Self {
                kind: "file".to_owned(),
                device: Some(position.file.device as i64),
                inode: Some(position.file.inode as i64),
                fingerprint: Some(fingerprint_text(position.fingerprint)),
                offset: Some(position.offset as i64),
                size: Some(position.size as i64),
                modified_ns: Some(position.modified_ns as i64),
                predecessor: Some(fingerprint_text(position.predecessor)),
                cursor: None,
            },
            Position::Cursor(cursor) => {
                Self { kind: "cursor".to_owned(), cursor: Some(cursor.clone()), ..Self::default() }
            }
        }
    }

    /// The position; `None` when it is none that this version knows.
    pub(super) fn position(&self) -> Option<Position> {
        match self.kind.as_str() {
            "file" => Some(Position::File(file::Position {
                file: Identity { device: self.device? as u64, inode: self.inode? as u64 },
                fingerprint: fingerprint(self.fingerprint.as_ref()?)?,
                offset: self.offset? as u64,
                size: self.size? as u64,
                modified_ns: self.modified_ns? as u64,
                predecessor: fingerprint(self.predecessor.as_ref()?)?,
            })),
            "cursor" => self.cursor.clone().map(Position::Cursor),
            _ => None,
        }
    }

    pub(super) fn checksum(&self, place: &Place) -> u64 {
        let Place { source: SourceKey { source, format }, key } = place;
        let digest = Digest::new("positions").text(source).text(format).text(key).text(&self.kind);
        let numbers = [self.device, self.inode, self.offset, self.size, self.modified_ns];
        let digest = numbers.into_iter().fold(digest, |digest, number| match number {
            Some(number) => digest.number(1).number(number as u64),
            None => digest.number(0),
        });
        [&self.fingerprint, &self.predecessor, &self.cursor]
            .into_iter()
            .fold(digest, |digest, text| match text {
                Some(text) => digest.number(1).text(text),
                None => digest.number(0),
            })
            .sum()
    }
}

/// How many bytes a fingerprint is of, and its digest: `1024:0123…`.
fn fingerprint_text(fingerprint: file::Fingerprint) -> String {
    format!("{}:{:032x}", fingerprint.length, u128::from_be_bytes(fingerprint.digest))
}

fn fingerprint(text: &str) -> Option<file::Fingerprint> {
    let (length, digest) = text.split_once(':')?;
    let digest = u128::from_str_radix(digest, 16).ok()?.to_be_bytes();
    Some(file::Fingerprint { length: length.parse().ok()?, digest })
}
