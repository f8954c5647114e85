//! From catalogue and configuration to groups of rows: which metrics share a row, and where its cells are.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{Config, LabelPolicy, PostfixConfig};
use crate::series::{Group, Labels, Layout, Policy};

use super::custom::Format;
use super::{Family, Kind, Metric, Unit};

/// How finely the log counts seconds: cells hold milliseconds.
pub(crate) const MILLISECONDS: f64 = 1000.0;
/// How finely custom formats count seconds and other numbers with a fraction.
const MILLIONTHS: f64 = 1e6;

/// Where the cells of a metric are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The group, by its number in the plan.
    pub group: usize,
    /// The counter's cell, or that of the histogram's sum, or the first of a last value's two.
    pub sum: usize,
    /// The first bucket cell, for a histogram.
    pub bucket: usize,
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
    /// How long an idle series of each metric is shown, by its index in the family; `None` for always.
    pub expire_after: Vec<Option<Duration>>,
    /// Tuples of raw labels worth remembering.
    pub memo_entries: usize,
    /// What the configuration says of Postfix.
    pub postfix: Arc<PostfixConfig>,
    /// The format whose family this is, if the configuration describes it.
    pub custom: Option<Arc<Format>>,
}

impl Plan {
    /// Plans `family`. Metrics share a group when they have the same labels, policies and limit and the same
    /// `lines(metric index)`: what is not counted by the same lines would only show empty series.
    pub fn new<L: PartialEq>(family: &'static Family, config: &Config, lines: impl Fn(usize) -> L) -> Self {
        let mut groups: Vec<(L, Group)> = Vec::new();
        let slots = family.metrics.iter().enumerate().map(|(index, metric)| {
            let chosen = config.metrics.get(metric.name);
            if !config.is_enabled(metric) {
                return None;
            }
            let labels = labels(metric, config);
            let max_series = chosen.and_then(|chosen| chosen.max_series).unwrap_or(config.max_series);
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
                groups.len() - 1
            });
            groups[group].1.metrics += 1;
            let layout = &mut groups[group].1.layout;
            let slot = Slot { group, sum: layout.sums, bucket: layout.buckets };
            layout.sums += if is_last { 2 } else { 1 };
            if let Kind::Histogram(bounds) = metric.kind {
                layout.buckets += bounds.len() + 1;
            }
            Some(slot)
        });
        let slots = slots.collect();
        let groups = groups.into_iter().map(|(_, group)| group).collect();
        let expire_after = family.metrics.iter().map(|metric| config.expire_after(metric)).collect();
        let memo_entries = (4 * config.max_series).clamp(1 << 12, 1 << 20);
        let postfix = Arc::clone(&config.postfix);
        Self { family, groups, slots, expire_after, memo_entries, postfix, custom: None }
    }
}

impl Plan {
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
    let policy = |name: &str, own: Option<&LabelPolicy>| {
        let rule = own.or_else(|| config.labels.get(name));
        match rule {
            Some(LabelPolicy { allow: Some(allow), .. }) => Policy::allow(allow),
            Some(LabelPolicy { unbounded: true, .. }) => Policy::open(),
            _ => Policy::default(),
        }
    };
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

/// Upper bounds of a histogram in what its cells hold.
pub(super) fn in_cells(bounds: &[f64], unit: Unit) -> impl Iterator<Item = i64> {
    let (scale, slack) = match unit {
        Unit::Seconds | Unit::Points => (MILLISECONDS, 1e-6),
        Unit::FineSeconds | Unit::Fine => (MILLIONTHS, 1e-3),
        Unit::None | Unit::Milliseconds | Unit::Bytes => (1.0, 1e-6),
    };
    // A whole number of milliseconds is at most 2.5 when it is at most 2.
    bounds.iter().map(move |bound| (bound * scale + slack).floor() as i64)
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
        let buckets = Buckets::new(&[0.0, 1.0, 2.0, 3.0, 5.0], Unit::None);
        assert_eq!([0, 1, 2, 3, 4, 5, 6].map(|value| buckets.of(value)), [0, 1, 2, 3, 4, 4, 5]);
    }
}
