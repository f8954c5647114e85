//! What the metrics must be: sums by metric and label values, in the units of the log.

use std::collections::HashMap;

/// Upper bounds of the buckets of times, in milliseconds.
const DELAYS: &[i64] = &[
    10,
    100,
    500,
    1000,
    2500,
    5000,
    10_000,
    30_000,
    60_000,
    300_000,
    900_000,
    3_600_000,
    14_400_000,
    86_400_000,
    432_000_000,
];
const SIZES: &[i64] = &[1000, 10_000, 100_000, 1_000_000, 10_000_000, 50_000_000];
const RECIPIENTS: &[i64] = &[1, 2, 3, 5, 10, 25, 50, 100];
const ATTEMPTS: &[i64] = &[1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50];

/// Name, without what all have in common, and values of the labels, in the order of the catalogue.
pub(crate) type Key = (&'static str, [&'static str; 5]);

/// Sums of a histogram.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Histogram {
    /// By bucket, the last without a bound; each without those before.
    pub(crate) buckets: Vec<u64>,
    /// In milliseconds, for times.
    pub(crate) sum: i64,
}

impl Histogram {
    pub(crate) fn observe(&mut self, bounds: &[i64], value: i64) {
        self.buckets.resize(bounds.len() + 1, 0);
        self.buckets[bounds.partition_point(|bound| *bound < value)] += 1;
        self.sum += value;
    }
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Truth {
    pub(crate) counters: HashMap<Key, i64>,
    pub(crate) histograms: HashMap<Key, Histogram>,
}

impl Truth {
    /// Adds to a counter.
    pub(crate) fn count(&mut self, name: &'static str, labels: &[&'static str], number: i64) {
        *self.counters.entry(key(name, labels)).or_default() += number;
    }

    /// Adds to a histogram.
    pub(crate) fn observe(&mut self, name: &'static str, labels: &[&'static str], value: u64) {
        let value = value as i64;
        self.histograms.entry(key(name, labels)).or_default().observe(bounds(name), value);
    }

    /// The sum of a counter over its labels.
    #[allow(dead_code, reason = "not every user asks")]
    pub(crate) fn total(&self, wanted: &str) -> i64 {
        self.counters.iter().filter(|((name, _), _)| *name == wanted).map(|(_, value)| value).sum()
    }
}

/// The bounds of a metric's buckets.
pub(crate) fn bounds(name: &str) -> &'static [i64] {
    match name {
        "message_size_bytes" => SIZES,
        "message_recipients" => RECIPIENTS,
        "delivery_attempts" => ATTEMPTS,
        _ => DELAYS,
    }
}

fn key(name: &'static str, labels: &[&'static str]) -> Key {
    let mut values = [""; 5];
    values.iter_mut().zip(labels).for_each(|(value, label)| *value = label);
    (name, values)
}
