//! What the configuration may say of what a metric observes: other buckets, native histograms, summaries, and exemplars.

use std::ops::RangeInclusive;

/// Upper bounds of a histogram, at most.
pub const MAX_BUCKETS: usize = 250;
/// Buckets of a native histogram that can be asked for, at most: with fewer than 16 not all values would have one.
pub const MAX_NATIVE_BUCKETS_RANGE: RangeInclusive<usize> = 16..=2048;
/// Quantiles of a summary, at most.
pub const MAX_QUANTILES: usize = 20;
/// Windows of summaries that can be asked for, in seconds.
pub const WINDOW_SECONDS_RANGE: RangeInclusive<usize> = 10..=86_400;

/// A metric as a native histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct NativeConfig {
    /// 2^schema buckets for every doubling, within [`SCHEMAS`](crate::series::SCHEMAS): 3 for bounds that are 9 % apart.
    pub schema: i8,
    /// Buckets of a row, at most, within [`MAX_NATIVE_BUCKETS_RANGE`]. With more it is made coarser.
    pub max_buckets: usize,
    /// Values up to this are in the bucket near zero. In the metric's unit.
    pub zero_threshold: f64,
    /// True when it has its classic buckets, too.
    pub classic: bool,
}

impl Default for NativeConfig {
    /// As the client library for Go has it, with the schema next to its factor of 1.1.
    fn default() -> Self {
        Self { schema: 3, max_buckets: 160, zero_threshold: 2f64.powi(-128), classic: true }
    }
}

/// A metric as a summary.
#[derive(Clone, Debug, PartialEq)]
pub struct SummaryConfig {
    /// Quantiles, each from 0 to 1, ascending.
    pub quantiles: Vec<f64>,
    /// How long a value is among those that they are of, within [`WINDOW_SECONDS_RANGE`].
    pub window_seconds: u64,
}

impl Default for SummaryConfig {
    fn default() -> Self {
        Self { quantiles: vec![0.5, 0.9, 0.99], window_seconds: 600 }
    }
}

/// What leads from a sample to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExemplarSource {
    /// HAProxy's unique id, where the log-format has it.
    UniqueId,
    /// A captured request header with a trace's context, as W3C has it.
    Traceparent,
    /// The queue id of Postfix.
    QueueId,
}

impl ExemplarSource {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::UniqueId, Self::Traceparent, Self::QueueId];

    /// Its name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UniqueId => "unique_id",
            Self::Traceparent => "traceparent",
            Self::QueueId => "queue_id",
        }
    }

    /// The family whose lines have it.
    pub const fn family(self) -> &'static str {
        match self {
            Self::UniqueId | Self::Traceparent => "haproxy",
            Self::QueueId => "postfix",
        }
    }
}
