//! From catalogue and configuration to groups of rows: which metrics share a row, and where its cells are.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::config::{Config, ExemplarSource, MetricConfig, NativeConfig, PostfixConfig, SummaryConfig};
use crate::series::{Finder, Group, Labels, Layout, NativeShape, Policy, Salt, Shape, WindowShape};

use super::custom::Format;
use super::{Family, Kind, Metric, Unit};

/// Where the cells of a metric are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The group, by its number in the plan.
    pub group: usize,
    /// The counter's cell, or that of the histogram's sum, or the first of a last value's two.
    pub sum: usize,
    /// The first bucket cell, for a histogram. A summary has one, which counts.
    pub bucket: usize,
    /// The number of its distribution in the row, if it has one.
    pub distribution: usize,
}

/// What a metric is under a configuration.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// The last value.
    Last,
    /// A histogram: classic, native, or both.
    Histogram {
        /// Upper bounds, in the metric's unit, ascending. None where it is native only: the one bucket that is left counts.
        bounds: Arc<[f64]>,
        /// What is kept beside the buckets.
        native: Option<NativeShape>,
    },
    /// Quantiles of what was observed last.
    Summary {
        /// From 0 to 1, ascending.
        quantiles: Arc<[f64]>,
        /// What they are of.
        window: WindowShape,
    },
}

/// Series of a summary unless the configuration says otherwise: each may take 150 KB.
const SUMMARY_SERIES: usize = 500;

impl Form {
    /// What `metric` is where `chosen` is said of it.
    pub(crate) fn of(metric: &Metric, chosen: Option<&MetricConfig>) -> Self {
        let summary = |SummaryConfig { quantiles, window_seconds }: &SummaryConfig| Self::Summary {
            quantiles: quantiles.as_slice().into(),
            window: WindowShape { seconds: *window_seconds },
        };
        let own = chosen.and_then(|chosen| chosen.summary.as_ref());
        match (metric.kind, own) {
            (Kind::Counter, _) => Self::Counter,
            (Kind::Gauge, _) => Self::Gauge,
            (Kind::Last, _) => Self::Last,
            (_, Some(own)) => summary(own),
            (Kind::Summary(quantiles), None) => {
                summary(&SummaryConfig { quantiles: quantiles.to_vec(), ..SummaryConfig::default() })
            }
            (Kind::Histogram(bounds), None) => {
                let native = chosen.and_then(|chosen| chosen.native.as_ref());
                let bounds = match chosen.and_then(|chosen| chosen.buckets.as_deref()) {
                    _ if native.is_some_and(|native| !native.classic) => &[],
                    Some(own) => own,
                    None => bounds,
                };
                let shape = |native: &NativeConfig| NativeShape {
                    schema: native.schema,
                    max_buckets: native.max_buckets,
                    zero_threshold: native.zero_threshold,
                    scale: metric.unit.scale(),
                };
                Self::Histogram { bounds: bounds.into(), native: native.map(shape) }
            }
        }
    }

    /// Upper bounds of its buckets, in the metric's unit.
    pub fn bounds(&self) -> &[f64] {
        match self {
            Self::Histogram { bounds, .. } => bounds,
            _ => &[],
        }
    }

    /// Its bucket cells: one for each bound, and one above, which alone counts where there is no bound.
    pub fn buckets(&self) -> usize {
        match self {
            Self::Counter | Self::Gauge | Self::Last => 0,
            Self::Histogram { .. } | Self::Summary { .. } => self.bounds().len() + 1,
        }
    }

    /// The bucket that an exemplar of `value` is kept for, where it falls into `bucket`: without classic buckets one for each number of bits.
    pub(super) fn exemplar_bucket(&self, bucket: usize, value: i64) -> usize {
        match self {
            Self::Histogram { bounds, native: Some(_) } if bounds.is_empty() => {
                (u64::BITS - value.unsigned_abs().leading_zeros()) as usize
            }
            _ => bucket,
        }
    }

    /// The distribution that it has in each row, if any.
    pub fn shape(&self) -> Option<Shape> {
        match self {
            Self::Counter | Self::Gauge | Self::Last => None,
            Self::Histogram { native, .. } => native.clone().map(Shape::Native),
            Self::Summary { window, .. } => Some(Shape::Window(window.clone())),
        }
    }
}

/// What is counted for one family under one configuration.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The family.
    pub family: &'static Family,
    /// The groups, by number.
    pub groups: Vec<Group>,
    /// Where each metric of the family is counted, by its index there; `None` when it is disabled.
    pub slots: Vec<Option<Slot>>,
    /// What each metric of the family is.
    pub forms: Vec<Form>,
    /// What leads from each metric's samples to lines, by index in the family, if anything does.
    pub exemplars: Vec<Option<ExemplarSource>>,
    /// By metric: what finds the marks of its distribution.
    pub(super) finders: Vec<Option<Finder>>,
    /// How long an idle series of each metric is shown, by its index in the family; `None` for always.
    pub expire_after: Vec<Option<Duration>>,
    /// Tuples of raw labels worth remembering.
    pub memo_entries: usize,
    /// What the configuration says of Postfix.
    pub postfix: Arc<PostfixConfig>,
    /// Keys of hashes that are exchanged from time to time.
    rotating: Vec<Arc<Salt>>,
    /// The format whose family this is, if the configuration describes it.
    pub custom: Option<Arc<Format>>,
}

impl Plan {
    /// Plans `family`. Metrics share a group when they have the same labels, policies and limit and the same
    /// `lines(metric index)`: what is not counted by the same lines would only show empty series.
    pub fn new<L: PartialEq>(family: &'static Family, config: &Config, lines: impl Fn(usize) -> L) -> Self {
        let mut groups: Vec<(L, Group)> = Vec::new();
        let mut shapes: Vec<Vec<Shape>> = Vec::new();
        let chosen = |metric: &Metric| config.metrics.get(metric.name);
        let forms = family.metrics.iter().map(|metric| Form::of(metric, chosen(metric))).collect::<Vec<_>>();
        let slots = family.metrics.iter().enumerate().map(|(index, metric)| {
            if !config.is_enabled(metric) {
                return None;
            }
            let labels = labels(metric, config);
            let form = forms.get(index)?;
            let usual = match form {
                Form::Summary { .. } => config.max_series.min(SUMMARY_SERIES),
                _ => config.max_series,
            };
            let max_series = chosen(metric).and_then(|chosen| chosen.max_series).unwrap_or(usual);
            let kind = lines(index);
            let is_last = metric.kind == Kind::Last;
            let shared = |(other, group): &(L, Group)| {
                *other == kind
                    && group.labels == labels
                    && group.max_series == max_series
                    && group.layout.is_last == is_last
            };
            let group = groups.iter().position(shared).unwrap_or_else(|| {
                let layout = Layout { is_last, ..Layout::default() };
                groups.push((kind, Group { labels, max_series, metrics: 0, layout }));
                shapes.push(Vec::new());
                groups.len() - 1
            });
            groups[group].1.metrics += 1;
            let layout = &mut groups[group].1.layout;
            let shapes = &mut shapes[group];
            let distribution = shapes.len();
            let slot = Slot { group, sum: layout.sums, bucket: layout.buckets, distribution };
            layout.sums += if is_last { 2 } else { 1 };
            layout.buckets += form.buckets();
            shapes.extend(form.shape());
            Some(slot)
        });
        let slots = slots.collect();
        for ((_, group), shapes) in groups.iter_mut().zip(shapes) {
            group.layout.distributions = Shape::interned(shapes);
        }
        let exemplars = family.metrics.iter().map(|metric| chosen(metric)?.exemplars).collect();
        let finders = forms.iter().map(|form| form.shape().map(|shape| shape.finder())).collect();
        let groups = groups.into_iter().map(|(_, group)| group).collect();
        let expire_after = family.metrics.iter().map(|metric| config.expire_after(metric)).collect();
        let memo_entries = (4 * config.max_series).clamp(1 << 12, 1 << 20);
        let postfix = Arc::clone(&config.postfix);
        let mut plan = Self {
            family,
            groups,
            slots,
            forms,
            exemplars,
            finders,
            expire_after,
            memo_entries,
            postfix,
            rotating: Vec::new(),
            custom: None,
        };
        plan.rotating = plan.salts().filter(|salt| salt.rotates()).cloned().collect();
        plan
    }
}

impl Plan {
    /// True when both count the same in the same cells.
    pub fn is_same(&self, other: &Self) -> bool {
        let is_same_beside =
            self.expire_after == other.expire_after && self.postfix == other.postfix && self.custom == other.custom;
        (&self.groups, &self.slots, &self.forms, &self.exemplars)
            == (&other.groups, &other.slots, &other.forms, &other.exemplars)
            && is_same_beside
    }

    /// True when observing `metric` takes more than adding to cells.
    pub(super) fn has_more(&self, metric: usize) -> bool {
        self.finders.get(metric).is_some_and(Option::is_some) || self.has_exemplars(metric)
    }

    /// True when samples of `metric` have exemplars.
    pub(super) fn has_exemplars(&self, metric: usize) -> bool {
        self.exemplars.get(metric).is_some_and(Option::is_some)
    }

    /// The buckets of `metric`.
    pub fn buckets_of(&self, metric: usize) -> Buckets {
        let unit = self.family.metrics.get(metric).map_or(Unit::None, |metric| metric.unit);
        Buckets::new(self.forms.get(metric).map(Form::bounds).unwrap_or_default(), unit)
    }

    /// The keys of hashes, as often as labels have them.
    pub fn salts(&self) -> impl Iterator<Item = &Arc<Salt>> {
        let labels = self.groups.iter().flat_map(|group| &group.labels);
        labels.filter_map(|label| label.policy.hash.as_ref()).map(|hash| &hash.0)
    }

    /// Exchanges the keys whose time is over. As long as it returns the same number, raw values are shown as before: who
    /// remembers what became of them asks before each block of lines.
    #[inline]
    pub fn turn(&self) -> u64 {
        if self.rotating.is_empty() { 0 } else { self.turn_at(SystemTime::now()) }
    }

    #[cold]
    fn turn_at(&self, now: SystemTime) -> u64 {
        self.rotating.iter().map(|salt| salt.turn(now)).sum()
    }

    /// Since when, in milliseconds since 1970, a row of `metric` must have changed to be shown at `now_ms`; 0 when it is shown
    /// always.
    pub fn fresh_since(&self, metric: usize, now_ms: u64) -> u64 {
        let span = self.expire_after.get(metric).copied().flatten();
        span.map_or(0, |span| now_ms.saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The labels that any of `metrics` has, each once, by its place in the family's vocabulary.
    pub(super) fn labels_of(&self, metrics: &[usize]) -> Vec<usize> {
        let slots = metrics.iter().filter_map(|metric| *self.slots.get(*metric)?);
        let names = slots.flat_map(|slot| self.groups[slot.group].labels.iter().map(|label| label.name.as_str()));
        let places = names.filter_map(|name| self.family.labels.iter().position(|label| label.name == name));
        places.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }
}

/// The labels of `metric` under `config`.
fn labels(metric: &Metric, config: &Config) -> Vec<Labels> {
    let policy =
        |name: &str, own: Option<&Policy>| own.or_else(|| config.labels.get(name)).cloned().unwrap_or_default();
    match config.metrics.get(metric.name).and_then(|chosen| chosen.labels.as_ref()) {
        Some(chosen) => {
            let labels = chosen.iter().map(|choice| Labels {
                policy: policy(&choice.name, choice.policy.as_ref()),
                name: choice.name.clone(),
            });
            labels.collect()
        }
        None => {
            let names = metric.labels.iter();
            names.map(|name| Labels { policy: policy(name, None), name: (*name).to_owned() }).collect()
        }
    }
}

/// Upper bounds of a histogram in what its cells hold, exactly: a value of a cell is at most this when what it is shown as is at most the
/// bound as it is shown.
pub(super) fn in_cells(bounds: &[f64], unit: Unit) -> impl Iterator<Item = i64> {
    bounds.iter().map(move |bound| floor(*bound, unit.decimals()))
}

/// `bound` times 10 to the power of `places`, rounded down, by its shortest decimal digits.
fn floor(bound: f64, places: usize) -> i64 {
    // Never with an exponent.
    let text = bound.abs().to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (near, far) = fraction.split_at(fraction.len().min(places));
    let digits = whole.bytes().chain(near.bytes()).chain(std::iter::repeat_n(b'0', places - near.len()));
    let value = digits.fold(0i64, |value, digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    if bound < 0.0 { -value - i64::from(far.bytes().any(|digit| digit != b'0')) } else { value }
}

/// Value -> bucket, exact at every bound.
#[derive(Clone, Debug)]
pub struct Buckets {
    /// The bucket of each small value.
    table: Vec<u8>,
    /// The bounds, in the unit of the cells.
    bounds: Vec<u64>,
}

impl Buckets {
    /// Most values that are looked up directly.
    const TABLE: u64 = 16_384;

    /// The buckets of a histogram whose cells hold `unit` as the log counts it.
    pub fn new(bounds: &[f64], unit: Unit) -> Self {
        // What has no negative values has no negative bounds.
        let bounds = in_cells(bounds, unit).map(|bound| bound.try_into().unwrap_or(0)).collect::<Vec<_>>();
        let last = bounds.last().map_or(0, |bound| bound + 1);
        let table = (0..last.min(Self::TABLE)).map(|value| bounds.partition_point(|bound| *bound < value) as u8);
        Self { table: table.collect(), bounds }
    }

    /// The number of the bucket that `value` falls into; the number of bounds when it is above them all.
    #[inline]
    pub fn of(&self, value: u64) -> usize {
        match self.table.get(value as usize) {
            Some(bucket) => usize::from(*bucket),
            None => self.of_large(value),
        }
    }

    #[cold]
    fn of_large(&self, value: u64) -> usize {
        self.bounds.partition_point(|bound| *bound < value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_exact_at_every_bound() {
        let bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 1.0, 10.0, 30.0, 60.0];
        let buckets = Buckets::new(&bounds, Unit::Seconds);
        for value in (0..70_000).chain([1 << 31, u64::MAX]) {
            let expected = bounds.iter().position(|bound| value as f64 / 1000.0 <= *bound).unwrap_or(bounds.len());
            assert_eq!(buckets.of(value), expected, "{value} ms");
        }
        let buckets = Buckets::new(&[], Unit::Seconds);
        assert_eq!([0, 1, u64::MAX].map(|value| buckets.of(value)), [0; 3]);
        let buckets = Buckets::new(&[0.0, 1.0, 2.0, 3.0, 5.0], Unit::None);
        assert_eq!([0, 1, 2, 3, 4, 5, 6].map(|value| buckets.of(value)), [0, 1, 2, 3, 4, 4, 5]);
    }

    #[test]
    fn bounds_are_rounded_down_exactly() {
        let bounds = [0.29, 1.001, 16.384, 1_234_567_890.123, 0.0009, 4.35, 1e300, -0.0015, -2.0];
        let cells = in_cells(&bounds, Unit::Seconds).collect::<Vec<_>>();
        assert_eq!(cells, [290, 1001, 16_384, 1_234_567_890_123, 0, 4350, i64::MAX, -2, -2000]);
        assert_eq!(in_cells(&[2.5, 1e6, -0.5], Unit::Bytes).collect::<Vec<_>>(), [2, 1_000_000, -1]);
    }

    #[test]
    fn as_many_bounds_as_there_may_be_are_exact_at_each() {
        let bounds = (1..=crate::config::MAX_BUCKETS).map(|bound| (67 * bound) as f64 / 1000.0).collect::<Vec<_>>();
        let buckets = Buckets::new(&bounds, Unit::Seconds);
        for value in 0..20_000 {
            assert_eq!(buckets.of(value), (value as usize).div_ceil(67).saturating_sub(1).min(bounds.len()), "{value}");
        }
    }
}
