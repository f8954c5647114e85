//! What is shown, whatever the form: a table for each metric, a row for each of its label tuples.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::Snapshot;
use super::view::Tuples;
use crate::metrics::{Compat, Kind, Metric, Slot, Unit};

/// The snapshots of all families, shared with whoever took them for as long as somebody writes from them.
pub type Snapshots = Arc<dyn AsRef<[Snapshot]> + Send + Sync>;

/// Everything that can be shown of one moment. Whoever writes from it needs no lock.
#[derive(Debug, Default)]
pub struct Exposition {
    pub(super) sections: Vec<Section>,
    /// True when OpenMetrics text has `_created` samples. Protobuf always tells when counting began.
    pub has_created_samples: bool,
}

/// The tables of one log family, in the order of its catalogue.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) family: &'static str,
    pub(super) tables: Vec<Table>,
}

impl Exposition {
    /// Appends the tables of a family.
    pub fn add(&mut self, family: &'static str, tables: Vec<Table>) {
        self.sections.push(Section { family, tables });
    }
}

/// What the rows of a metric hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A value that only grows.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// Buckets and a sum.
    Histogram,
}

/// What is said of a metric once.
#[derive(Clone, Debug)]
pub struct Head {
    /// Full name, with `_total`.
    pub name: Cow<'static, str>,
    /// A sentence; may be empty.
    pub help: Cow<'static, str>,
    /// What its rows hold.
    pub kind: Type,
    /// Upper bounds of a histogram, in its unit, ascending, without `+Inf`.
    pub bounds: Arc<[f64]>,
    /// Unit of its samples.
    pub unit: Unit,
    /// Whose metric it is, if not tailmeter's own: decides how bounds are written.
    pub compat: Option<Compat>,
    /// The cells hold the last value, behind a number that says when it was set.
    pub is_last: bool,
}

impl Head {
    /// What the catalogue says.
    pub fn of(metric: &Metric, compat: Option<Compat>) -> Self {
        let Metric { name, help, kind, unit, .. } = *metric;
        let is_last = kind == Kind::Last;
        let (kind, bounds) = match kind {
            Kind::Counter => (Type::Counter, &[][..]),
            Kind::Gauge | Kind::Last => (Type::Gauge, &[][..]),
            Kind::Histogram(bounds) => (Type::Histogram, bounds),
        };
        Self { name: name.into(), help: help.into(), kind, bounds: bounds.into(), unit, compat, is_last }
    }

    /// A metric that is nobody else's and no histogram.
    pub fn plain(name: impl Into<Cow<'static, str>>, help: impl Into<Cow<'static, str>>, kind: Type) -> Self {
        Self {
            name: name.into(),
            help: help.into(),
            kind,
            bounds: [].into(),
            unit: Unit::None,
            compat: None,
            is_last: false,
        }
    }

    /// The unit as OpenMetrics and protobuf have it, if the name ends with it as they demand.
    pub(super) fn unit_name(&self) -> Option<&'static str> {
        let unit = match self.unit {
            Unit::None | Unit::Fine => return None,
            Unit::Seconds | Unit::FineSeconds => "seconds",
            Unit::Milliseconds => "milliseconds",
            Unit::Points => "points",
            Unit::Bytes => "bytes",
        };
        let short = self.short_name().strip_suffix(unit)?;
        short.ends_with('_').then_some(unit)
    }

    /// The name of the metric in OpenMetrics: that of a counter lacks its `_total`.
    pub(super) fn short_name(&self) -> &str {
        match self.kind {
            Type::Counter => self.name.strip_suffix("_total").unwrap_or(&self.name),
            _ => &self.name,
        }
    }
}

/// A metric and its rows.
#[derive(Debug)]
pub struct Table {
    pub(super) head: Head,
    rows: Rows,
}

enum Rows {
    /// Cells of a snapshot: what logs tell.
    /// Those that changed since `since_ms`.
    Counted { tuples: Arc<Tuples>, slot: Slot, snapshots: Snapshots, family: usize, since_ms: u64 },
    /// Values: what tailmeter tells of itself.
    Told(Vec<Sample>),
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counted { slot, family, .. } => write!(f, "Counted({family}, {slot:?})"),
            Self::Told(samples) => write!(f, "Told({samples:?})"),
        }
    }
}

/// One value with its labels.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// The inside of `{…}` in the text format, escaped.
    pub labels: String,
    /// The value.
    pub value: Number,
    /// When counting began, in milliseconds since 1970.
    pub created_ms: Option<u64>,
}

/// A value as exact as it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole number.
    Whole(u64),
    /// So many thousandths, and whether they are below zero.
    Thousandths(u64, bool),
    /// So many millionths, and whether they are below zero.
    Millionths(u64, bool),
    /// Anything else.
    Float(f64),
}

impl Default for Number {
    fn default() -> Self {
        Self::Whole(0)
    }
}

impl Number {
    /// What a cell says in the metric's unit. Milliseconds and microseconds become seconds here, and thousandths points.
    pub(super) const fn of_cell(value: u64, unit: Unit) -> Self {
        match unit {
            Unit::Seconds => Self::Thousandths(value, false),
            // Kept as two's complement.
            Unit::Points if (value as i64) < 0 => Self::Thousandths(value.wrapping_neg(), true),
            Unit::Points => Self::Thousandths(value, false),
            Unit::FineSeconds | Unit::Fine => Self::Millionths(value, false),
            Unit::None | Unit::Milliseconds | Unit::Bytes => Self::Whole(value),
        }
    }

    /// The same of a cell that is below zero in two's complement.
    const fn of_signed_cell(value: i64, unit: Unit) -> Self {
        match Self::of_cell(value.unsigned_abs(), unit) {
            Self::Thousandths(number, _) => Self::Thousandths(number, value < 0),
            Self::Millionths(number, _) => Self::Millionths(number, value < 0),
            Self::Whole(_) if value < 0 => Self::Float(value as f64),
            number => number,
        }
    }

    /// The nearest floating-point number.
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Whole(value) => value as f64,
            Self::Thousandths(value, false) => value as f64 / 1000.0,
            Self::Thousandths(value, true) => -(value as f64 / 1000.0),
            Self::Millionths(value, false) => value as f64 / 1e6,
            Self::Millionths(value, true) => -(value as f64 / 1e6),
            Self::Float(value) => value,
        }
    }
}

/// A row as it is written.
pub(super) struct Row<'a> {
    /// The inside of `{…}` in the text format.
    pub(super) labels: &'a [u8],
    /// The same in protobuf takes so many bytes.
    pub(super) encoded_labels: usize,
    /// When counting began, in milliseconds since 1970.
    pub(super) created_ms: Option<u64>,
    pub(super) value: Value<'a>,
}

/// What a row holds.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    /// Of a counter or gauge.
    Number(Number),
    /// Of a histogram: observations in each bucket, the last for what is above all bounds, and their sum.
    Histogram { counts: &'a [u64], sum: Number },
}

impl Table {
    /// A table of values, in their order.
    pub const fn told(head: Head, samples: Vec<Sample>) -> Self {
        Self { head, rows: Rows::Told(samples) }
    }

    /// The rows of a metric whose cells are at `slot` of the snapshot number `family` and have changed since `since_ms`; 0 for all.
    pub(super) fn counted(
        head: Head,
        tuples: Arc<Tuples>,
        (slot, since_ms): (Slot, u64),
        (snapshots, family): (Snapshots, usize),
    ) -> Self {
        Self { head, rows: Rows::Counted { tuples, slot, snapshots, family, since_ms } }
    }

    /// Shows rows from number `first` on, until `see` does not want more; returns the number of the next one, `None` at the
    /// end. `counts` is memory.
    #[inline]
    pub(super) fn visit(
        &self,
        first: usize,
        counts: &mut Vec<u64>,
        mut see: impl FnMut(Row<'_>) -> bool,
    ) -> Option<usize> {
        match &self.rows {
            Rows::Told(samples) => {
                for (number, sample) in samples.iter().enumerate().skip(first) {
                    let labels = sample.labels.as_bytes();
                    let encoded_labels = super::protobuf::encoded_labels(labels);
                    let value = Value::Number(sample.value);
                    if !see(Row { labels, encoded_labels, created_ms: sample.created_ms, value }) {
                        return Some(number + 1);
                    }
                }
                None
            }
            Rows::Counted { tuples, slot, snapshots, family, since_ms } => {
                let snapshot = (**snapshots).as_ref().get(*family)?;
                let cells = &snapshot.cells;
                let (unit, buckets) = (self.head.unit, self.head.bounds.len() + 1);
                for (number, tuple) in tuples.from(first) {
                    if !snapshot.shows(slot.group, tuple.row, *since_ms) {
                        continue;
                    }
                    let cell = cells.sum(slot.group, tuple.row, slot.sum);
                    let sum = match self.head.is_last {
                        // Never set.
                        true if cell == 0 => continue,
                        true => Number::of_signed_cell(cells.sum(slot.group, tuple.row, slot.sum + 1) as i64, unit),
                        false => Number::of_cell(cell, unit),
                    };
                    let value = match self.head.kind {
                        Type::Histogram => {
                            counts.clear();
                            counts.extend(cells.buckets(slot.group, tuple.row, slot.bucket, buckets));
                            Value::Histogram { counts, sum }
                        }
                        Type::Counter | Type::Gauge => Value::Number(sum),
                    };
                    let (labels, encoded_labels) = (tuple.labels, tuple.encoded_labels);
                    if !see(Row { labels, encoded_labels, created_ms: tuple.created_ms, value }) {
                        return Some(number + 1);
                    }
                }
                None
            }
        }
    }
}
