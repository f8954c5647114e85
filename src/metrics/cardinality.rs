//! Which metrics have how many series, and by which values of their labels: for `/api/cardinality`, the status page and
//! `tailmeter check`.
//!
//! Values are told as the exposition has them, after their policies.

use std::cmp::Reverse;

use serde::Serialize;

use super::{Form, Planned};
use crate::exposition::Snapshot;
use crate::series::Census;

/// Values of a label that are told, at most: those with the most series.
const TOP: usize = 10;

/// Everything that is counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cardinality {
    /// Series of all metrics, those that have expired included.
    pub series: usize,
    /// Most that all metrics together may have.
    pub limit: usize,
    /// Those with series, the most first.
    pub metrics: Vec<MetricCardinality>,
}

/// The series of one metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MetricCardinality {
    /// Its name.
    pub name: &'static str,
    /// The log family that it is of.
    pub family: &'static str,
    /// Label combinations that it holds.
    pub series: usize,
    /// Most that it may hold.
    pub limit: usize,
    /// Those of them that are not shown, because they are idle.
    pub expired: usize,
    /// How long an idle one is shown; none: always.
    pub expire_after_seconds: Option<u64>,
    /// Samples that were counted under `other`, because a policy or a limit did not admit them.
    pub overflow: u64,
    /// Lines that its series take in the text exposition, expired ones included.
    pub samples: usize,
    /// Memory of its cells and labels. Metrics that share rows share the labels, too, and each tells them.
    pub bytes: usize,
    /// Its labels, that with the most values first.
    pub labels: Vec<LabelCardinality>,
}

/// The values of one label in one metric.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LabelCardinality {
    /// Its name.
    pub name: String,
    /// Different values.
    pub values: usize,
    /// Those with the most series.
    pub top: Vec<ValueCardinality>,
}

/// A value of a label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ValueCardinality {
    /// As it is shown.
    pub value: String,
    /// Series that have it.
    pub series: usize,
}

impl Cardinality {
    /// That of `metrics`, where all together may have `limit` series.
    pub fn new(limit: usize, mut metrics: Vec<MetricCardinality>) -> Self {
        metrics.sort_by_key(|metric| Reverse(metric.series));
        Self { series: metrics.iter().map(|metric| metric.series).sum(), limit, metrics }
    }
}

impl Planned {
    /// That of each metric with series in `snapshot`, in the order of the catalogue.
    pub fn cardinality(&self, snapshot: &Snapshot, now_ms: u64) -> Vec<MetricCardinality> {
        let groups = 0..self.plan.groups.len();
        let census = groups.map(|group| self.directory.census(group, snapshot.cells.rows(group), TOP));
        let census = census.collect::<Vec<_>>();
        let metrics = self.plan.family.metrics.iter().zip(&self.plan.slots).enumerate();
        let told = metrics.filter_map(|(index, (metric, slot))| {
            let slot = (*slot)?;
            let (group, census) = (self.plan.groups.get(slot.group)?, census.get(slot.group)?);
            if census.rows == 0 {
                return None;
            }
            // A histogram has a bucket above its bounds, its sum and its count.
            let form = self.plan.forms.get(index)?;
            let buckets = form.buckets();
            let samples = match form {
                Form::Counter | Form::Gauge | Form::Last => 1,
                Form::Histogram { .. } => buckets + 2,
                Form::Summary { quantiles, .. } => quantiles.len() + 2,
            };
            Some(MetricCardinality {
                name: metric.name,
                family: self.plan.family.name,
                series: census.rows,
                limit: group.max_series,
                expired: snapshot.idle(slot.group, self.plan.fresh_since(index, now_ms)),
                expire_after_seconds: self.plan.expire_after.get(index).copied().flatten().map(|span| span.as_secs()),
                overflow: snapshot.fell_out.get(index).copied().unwrap_or(0),
                samples: census.rows * samples,
                bytes: census.rows * (8 + 4 * buckets) + census.bytes,
                labels: labels_of(census),
            })
        });
        told.collect()
    }
}

fn labels_of(census: &Census) -> Vec<LabelCardinality> {
    let labels = census.labels.iter().map(|(name, values, top)| {
        let top = top.iter().map(|(value, series)| ValueCardinality { value: value.clone(), series: *series });
        LabelCardinality { name: name.clone(), values: *values, top: top.collect() }
    });
    let mut labels = labels.collect::<Vec<_>>();
    labels.sort_by_key(|label| Reverse(label.values));
    labels
}
