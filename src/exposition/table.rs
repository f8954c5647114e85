//! What is shown, whatever the form: a table for each metric, a row for each of its label tuples.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::Snapshot;
use super::view::Tuples;
use crate::metrics::{Compat, Form, Metric, Slot, Unit};
use crate::series::{Distribution, Exemplar, Native, NativeShape};

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
    /// Quantiles, a count and a sum.
    Summary,
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
}

impl Head {
    /// What the catalogue says.
    pub fn of(metric: &Metric, compat: Option<Compat>) -> Self {
        Self::under(metric, &Form::of(metric, None), compat)
    }

    /// The same of a metric that a configuration has given this form.
    pub(super) fn under(metric: &Metric, form: &Form, compat: Option<Compat>) -> Self {
        let Metric { name, help, unit, .. } = *metric;
        let kind = match form {
            Form::Counter => Type::Counter,
            Form::Gauge | Form::Last => Type::Gauge,
            Form::Histogram { .. } => Type::Histogram,
            Form::Summary { .. } => Type::Summary,
        };
        let bounds = match form {
            Form::Histogram { bounds, .. } => Arc::clone(bounds),
            _ => [].into(),
        };
        Self { name: name.into(), help: help.into(), kind, bounds, unit, compat }
    }

    /// A metric that is nobody else's and no histogram.
    pub fn plain(name: impl Into<Cow<'static, str>>, help: impl Into<Cow<'static, str>>, kind: Type) -> Self {
        Self { name: name.into(), help: help.into(), kind, bounds: [].into(), unit: Unit::None, compat: None }
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
    /// Those that changed since a time.
    Counted(Counted),
    /// Values: what tailmeter tells of itself.
    Told(Vec<Sample>),
}

/// Where the rows of a metric are.
pub(super) struct Counted {
    pub(super) tuples: Arc<Tuples>,
    pub(super) form: Form,
    pub(super) slot: Slot,
    /// All families', and the number of the one.
    pub(super) snapshots: Snapshots,
    pub(super) family: usize,
    /// Rows are shown that have changed since then, in milliseconds since 1970; 0 for all.
    pub(super) since_ms: u64,
    /// The time, in seconds since 1970: of summaries.
    pub(super) now: u64,
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counted(Counted { slot, family, .. }) => write!(f, "Counted({family}, {slot:?})"),
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
    /// What leads to lines that it has counted: by bucket, of a native histogram without others by size.
    pub(super) exemplars: &'a [(u32, &'a Exemplar)],
}

impl<'a> Row<'a> {
    /// The exemplar of a bucket, of which there are so many; for the only one the last of all.
    pub(super) fn exemplar(&self, bucket: usize, buckets: usize) -> Option<&'a Exemplar> {
        let of_bucket = |(number, _): &&(u32, &Exemplar)| buckets == 1 || *number as usize == bucket;
        let mut exemplars = self.exemplars.iter().filter(of_bucket).map(|(_, exemplar)| *exemplar);
        let first = exemplars.next()?;
        Some(exemplars.fold(first, |last, next| if next.time_ms >= last.time_ms { next } else { last }))
    }
}

/// What a row holds.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    /// Of a counter or gauge.
    Number(Number),
    /// Of a histogram: observations in each bucket, the last for what is above all bounds, and their sum.
    Histogram { counts: &'a [u64], sum: Number, native: Option<(&'a Native, &'a NativeShape)> },
    /// Of a summary: quantiles with their values, and count and sum of everything.
    Summary { quantiles: &'a [(f64, Number)], count: u64, sum: Number },
}

impl Table {
    /// A table of values, in their order.
    pub const fn told(head: Head, samples: Vec<Sample>) -> Self {
        Self { head, rows: Rows::Told(samples) }
    }

    /// The rows of a metric.
    pub(super) const fn counted(head: Head, rows: Counted) -> Self {
        Self { head, rows: Rows::Counted(rows) }
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
                    if !see(Row { labels, encoded_labels, created_ms: sample.created_ms, value, exemplars: &[] }) {
                        return Some(number + 1);
                    }
                }
                None
            }
            Rows::Counted(counted) => counted.visit(first, &self.head, counts, see),
        }
    }
}

impl Counted {
    /// See [`Table::visit`].
    #[inline]
    fn visit(
        &self,
        first: usize,
        head: &Head,
        counts: &mut Vec<u64>,
        mut see: impl FnMut(Row<'_>) -> bool,
    ) -> Option<usize> {
        let Self { tuples, form, slot, snapshots, family, since_ms, now } = self;
        let snapshot = (**snapshots).as_ref().get(*family)?;
        let cells = &snapshot.cells;
        let (unit, buckets) = (head.unit, head.bounds.len() + 1);
        for (number, tuple) in tuples.from(first) {
            if !snapshot.shows(slot.group, tuple.row, *since_ms) {
                continue;
            }
            let sum = Number::of_cell(cells.sum(slot.group, tuple.row, slot.sum), unit);
            let distribution = || cells.distribution(slot.group, tuple.row, slot.distribution);
            let mut shown = Vec::new();
            let value = match form {
                Form::Histogram { native, .. } => {
                    counts.clear();
                    counts.extend(cells.buckets(slot.group, tuple.row, slot.bucket, buckets));
                    let native = native.as_ref().and_then(|shape| match distribution()? {
                        Distribution::Native(native) => Some((native, shape)),
                        Distribution::Window(_) => None,
                    });
                    Value::Histogram { counts, sum, native }
                }
                Form::Summary { quantiles, window } => {
                    let values = match distribution() {
                        Some(Distribution::Window(last)) => last.quantiles(quantiles, *now, window),
                        _ => None,
                    };
                    let value = |index: usize| values.as_ref().and_then(|values| values.get(index));
                    shown.extend(quantiles.iter().enumerate().map(|(index, quantile)| {
                        let cell = |cell: &u64| Number::of_cell(*cell, unit);
                        (*quantile, value(index).map_or(Number::Float(f64::NAN), cell))
                    }));
                    let count = cells.buckets(slot.group, tuple.row, slot.bucket, 1).sum();
                    Value::Summary { quantiles: &shown, count, sum }
                }
                Form::Counter | Form::Gauge => Value::Number(sum),
                // Never set.
                Form::Last if cells.sum(slot.group, tuple.row, slot.sum) == 0 => continue,
                Form::Last => {
                    let last = cells.sum(slot.group, tuple.row, slot.sum + 1) as i64;
                    Value::Number(Number::of_signed_cell(last, unit))
                }
            };
            let exemplars = cells.exemplars(slot.group, tuple.row, slot.sum).collect::<Vec<_>>();
            let (labels, encoded_labels, exemplars) = (tuple.labels, tuple.encoded_labels, exemplars.as_slice());
            if !see(Row { labels, encoded_labels, created_ms: tuple.created_ms, value, exemplars }) {
                return Some(number + 1);
            }
        }
        None
    }
}
