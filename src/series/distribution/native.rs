//! A native histogram: exponential buckets, of which only those with something in them are kept.
//!
//! A schema s has 2^s buckets for every doubling: bucket i ends at 2^(i / 2^s), which belongs to it. Two neighbours of one schema are one bucket
//! of the next coarser one, so a histogram that gets too many buckets is made coarser, as the client libraries of Prometheus do, and nothing is
//! counted twice or lost. What it looks like in the end depends only on what was observed, not on the order, nor on the shards: it has the finest
//! schema with which it has no more buckets than it may.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::Mark;

/// Schemas that there are: from buckets that each span 16 doublings to 256 buckets a doubling.
pub const SCHEMAS: RangeInclusive<i8> = -4..=8;

/// What the configuration says of a native histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct NativeShape {
    /// The finest schema, within [`SCHEMAS`].
    pub schema: i8,
    /// Most buckets, without that near zero.
    pub max_buckets: usize,
    /// Values up to this, above and below zero, are in the bucket near zero. In the metric's unit.
    pub zero_threshold: f64,
    /// What cells hold for 1 of the metric's unit: 1000 for milliseconds.
    pub scale: f64,
}

/// Its numbers are all finite.
impl Eq for NativeShape {}

/// The count of each bucket that has one, by number, ascending.
type Buckets = Vec<(i32, u64)>;

/// What a row has counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Native {
    schema: i8,
    zero: u64,
    positive: Buckets,
    negative: Buckets,
}

impl Native {
    /// Nothing.
    pub fn new(shape: &NativeShape) -> Self {
        Self { schema: shape.schema, zero: 0, positive: Buckets::new(), negative: Buckets::new() }
    }

    /// Its schema: that of its shape, or a coarser one.
    pub const fn schema(&self) -> i8 {
        self.schema
    }

    /// Values in the bucket near zero.
    pub const fn zero(&self) -> u64 {
        self.zero
    }

    /// Buckets of values above zero that have something: number and count, ascending.
    pub fn positive(&self) -> &[(i32, u64)] {
        &self.positive
    }

    /// The same of values below zero, by their distance from it.
    pub fn negative(&self) -> &[(i32, u64)] {
        &self.negative
    }

    /// Everything counted.
    pub fn total(&self) -> u64 {
        self.zero + self.positive.iter().chain(&self.negative).map(|(_, count)| count).sum::<u64>()
    }

    pub(super) fn count(&mut self, mark: Mark, times: u64, shape: &NativeShape) {
        let (buckets, number) = match mark {
            Mark::Positive(number) => (&mut self.positive, number),
            Mark::Negative(number) => (&mut self.negative, number),
            Mark::Zero => return self.zero += times,
            Mark::Value(_) => return,
        };
        let number = coarser(number, shape.schema - self.schema);
        match buckets.binary_search_by_key(&number, |(number, _)| *number) {
            Ok(at) => {
                if let Some((_, count)) = buckets.get_mut(at) {
                    *count += times;
                }
            }
            Err(at) => {
                buckets.insert(at, (number, times));
                self.limit(shape);
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self, shape: &NativeShape) {
        self.reduce(other.schema);
        let steps = other.schema - self.schema;
        self.zero += other.zero;
        for (mine, theirs) in [(&mut self.positive, &other.positive), (&mut self.negative, &other.negative)] {
            mine.extend(theirs.iter().map(|(number, count)| (coarser(*number, steps), *count)));
            // Two or three ascending runs: the stable sort merges them.
            mine.sort_by_key(|(number, _)| *number);
            join(mine);
        }
        self.limit(shape);
    }

    /// Makes it coarser until it has no more buckets than it may.
    fn limit(&mut self, shape: &NativeShape) {
        while self.positive.len() + self.negative.len() > shape.max_buckets && self.schema > *SCHEMAS.start() {
            self.reduce(self.schema - 1);
        }
    }

    /// Makes it as coarse as `schema`, if it is not.
    fn reduce(&mut self, schema: i8) {
        let steps = self.schema - schema;
        if steps <= 0 {
            return;
        }
        for buckets in [&mut self.positive, &mut self.negative] {
            buckets.iter_mut().for_each(|(number, _)| *number = coarser(*number, steps));
            join(buckets);
        }
        self.schema = schema;
    }

    /// Appends `schema:zero:positive:negative`, buckets as `number=count`.
    pub(super) fn write(&self, out: &mut String) {
        let Self { schema, zero, positive, negative } = self;
        out.push_str(&format!("{schema}:{zero}"));
        for buckets in [positive, negative] {
            let mut separator = ':';
            for (number, count) in buckets {
                out.push_str(&format!("{separator}{number}={count}"));
                separator = ',';
            }
            if buckets.is_empty() {
                out.push(separator);
            }
        }
    }

    pub(super) fn read(text: &str, shape: &NativeShape) -> Option<Self> {
        let mut parts = text.split(':');
        let (schema, zero) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let mut buckets = || {
            let pairs = parts.next()?.split(',').filter(|pair| !pair.is_empty());
            let pairs =
                pairs.map(|pair| pair.split_once('=').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?))));
            let buckets = pairs.collect::<Option<Buckets>>()?;
            buckets.is_sorted_by(|(a, _), (b, _)| a < b).then_some(buckets)
        };
        let (positive, negative) = (buckets()?, buckets()?);
        if parts.next().is_some() || !SCHEMAS.contains(&schema) {
            return None;
        }
        let mut native = Self { schema, zero, positive, negative };
        native.reduce(shape.schema);
        native.limit(shape);
        Some(native)
    }
}

/// Adds neighbours up that have the same number.
fn join(buckets: &mut Buckets) {
    buckets.dedup_by(|(number, count), (kept, total)| {
        let is_same = number == kept;
        if is_same {
            *total += *count;
        }
        is_same
    });
}

/// The number of a bucket in the schema that is `steps` coarser: half, rounded up, at every step.
fn coarser(number: i32, steps: i8) -> i32 {
    let steps = steps.max(0);
    (number + (1 << steps) - 1) >> steps
}

/// The bucket of `value`, which is above zero and normal, in `schema`. `bounds` are those of [`bounds`].
fn number(value: f64, schema: i8, bounds: &[f64]) -> i32 {
    // value = fraction * 2^exponent, where the fraction is at least a half and less than one.
    let bits = value.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i32 - 1022;
    let fraction = f64::from_bits((bits & ((1 << 52) - 1)) | (1022 << 52));
    match u32::try_from(schema) {
        Ok(schema) if schema > 0 => {
            ((exponent - 1) << schema) + bounds.partition_point(|bound| *bound < fraction) as i32
        }
        _ => coarser(if fraction == 0.5 { exponent - 1 } else { exponent }, -schema),
    }
}

/// Where buckets end between a half and one, of a schema above 0: the first one at a half.
fn bounds(schema: i8) -> Vec<f64> {
    let buckets = 1u32 << schema.clamp(0, 8);
    (0..buckets).map(|number| 0.5 * (f64::from(number) / f64::from(buckets)).exp2()).collect()
}

/// The buckets of values as cells hold them. Those of small values stand in a table.
#[derive(Clone, Debug)]
pub struct Table {
    /// The number of the bucket; [`NEAR_ZERO`] for that one.
    small: Arc<[i16]>,
    bounds: Arc<[f64]>,
    schema: i8,
    zero_threshold: f64,
    scale: f64,
}

/// Values that are looked up directly.
const SMALL: usize = 16_384;

const NEAR_ZERO: i16 = i16::MIN;

impl Table {
    pub(super) fn new(shape: &NativeShape) -> Self {
        let NativeShape { schema, zero_threshold, scale, .. } = *shape;
        let mut table = Self { small: Arc::new([]), bounds: bounds(schema).into(), schema, zero_threshold, scale };
        let small = (0..SMALL as u64).map(|value| match table.find(value) {
            Some(number) => i16::try_from(number).unwrap_or(i16::MAX),
            None => NEAR_ZERO,
        });
        table.small = small.collect();
        table
    }

    /// Where `value` goes.
    #[inline]
    pub fn mark(&self, value: i64) -> Mark {
        let distance = value.unsigned_abs();
        let found = match self.small.get(usize::try_from(distance).unwrap_or(usize::MAX)) {
            Some(&NEAR_ZERO) => None,
            Some(number) => Some(i32::from(*number)),
            None => self.find(distance),
        };
        match found {
            None => Mark::Zero,
            Some(number) if value > 0 => Mark::Positive(number),
            Some(number) => Mark::Negative(number),
        }
    }

    fn find(&self, distance: u64) -> Option<i32> {
        let value = distance as f64 / self.scale;
        (value > self.zero_threshold && distance > 0).then(|| number(value, self.schema, &self.bounds))
    }
}

#[cfg(test)]
mod tests;
