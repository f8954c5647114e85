//! A recorder that only remembers: for one-shot runs.
//!
//! The exporter crate's recorder calibrates a clock when it is made, for up to 200 ms of processor time: nothing
//! to a service, but as long as it takes to replay hundreds of megabytes.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use super::METRICS;
use crate::metrics::Kind;

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

    /// Appends those of `names` that have samples, in the order of the catalogue.
    pub fn render(&self, names: &[&str], out: &mut Vec<u8>) {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for metric in METRICS.iter().filter(|metric| names.contains(&metric.name)) {
            let is_counter = metric.kind == Kind::Counter;
            let kind = if is_counter { "counter" } else { "gauge" };
            let mut samples = values.iter().filter(|((name, _), _)| name == metric.name).peekable();
            if samples.peek().is_some() {
                let _ = writeln!(text, "# HELP {} {}\n# TYPE {} {kind}", metric.name, metric.help, metric.name);
            }
            for ((name, labels), value) in samples {
                let value = value.load(Relaxed);
                let value = if is_counter { value as f64 } else { f64::from_bits(value) };
                let _ = writeln!(text, "{name}{{{labels}}} {value}");
            }
        }
        out.extend_from_slice(text.as_bytes());
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
