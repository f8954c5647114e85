//! A recorder that only remembers: for one-shot runs.
//!
//! The exporter crate's recorder calibrates a clock when it is made, for up to 200 ms of processor time: nothing
//! to a service, but as long as it takes to replay hundreds of megabytes.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use super::{FAMILY, METRICS};
use crate::exposition::{Exposition, Head, Number, Protocol, Rendering, Sample, Selection, Table};
use crate::metrics::{Kind, Metric};

/// Counters and gauges by name and labels.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The labels as they stand between braces.
    values: Mutex<BTreeMap<(String, String), Arc<AtomicU64>>>,
}

impl Ledger {
    fn value(&self, key: &Key) -> Arc<AtomicU64> {
        let mut labels = String::new();
        for label in key.labels() {
            let separator = if labels.is_empty() { "" } else { "," };
            // Backslashes have been doubled, see `label_value`.
            let value = label.value().replace('"', "\\\"").replace('\n', "\\n");
            // Writing to a String cannot fail.
            let _ = write!(labels, "{separator}{}=\"{value}\"", label.key());
        }
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(values.entry((key.name().to_owned(), labels)).or_default())
    }

    /// Adds those of `names` that have samples to `exposition`, in the order of the catalogue.
    pub fn expose(&self, names: &[&str], exposition: &mut Exposition) {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let table = |metric: &Metric| {
            let samples = values.iter().filter(|((name, _), _)| name == metric.name);
            let samples = samples.map(|((_, labels), value)| {
                let value = value.load(Relaxed);
                let is_counter = metric.kind == Kind::Counter;
                let value = if is_counter { Number::Whole(value) } else { Number::Float(f64::from_bits(value)) };
                Sample { labels: labels.clone(), value, created_ms: None }
            });
            Table::told(Head::of(metric, None), samples.collect())
        };
        let metrics = METRICS.iter().filter(|metric| names.contains(&metric.name));
        exposition.add(FAMILY.name, metrics.map(table).collect());
    }

    /// Appends the same to `out` in the text format.
    pub fn render(&self, names: &[&str], out: &mut Vec<u8>) {
        let mut exposition = Exposition::default();
        self.expose(names, &mut exposition);
        Rendering::new(exposition.into(), Protocol::Text004, Selection::default()).write_all(out);
    }
}

impl Recorder for Ledger {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.value(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.value(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
