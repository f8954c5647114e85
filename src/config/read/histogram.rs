//! What the file says of what a metric observes: `buckets`, `native`, `summary`, `exemplars`.

use super::{Known, Schema};
use crate::config::error::clip;
use crate::config::yaml::{Key, Node, Place, Value};
use crate::config::{
    ExemplarSource, MAX_BUCKETS, MAX_NATIVE_BUCKETS_RANGE, MAX_QUANTILES, MetricConfig, NativeConfig, SummaryConfig,
    WINDOW_SECONDS_RANGE,
};
use crate::metrics::{Family, Kind, Metric};
use crate::series::SCHEMAS;

const NATIVE_KEYS: &[&str] = &["schema", "max_buckets", "zero_threshold", "classic"];
const SUMMARY_KEYS: &[&str] = &["quantiles", "window_seconds"];

impl Schema<'_> {
    /// Reads a setting of this file; false when `key` is none of them.
    pub(super) fn observed(
        &mut self,
        known: Option<Known<'_>>,
        key: &Key,
        node: &Node,
        metric: &mut MetricConfig,
    ) -> bool {
        match key.name.as_str() {
            "buckets" => metric.buckets = self.of_histogram(known, key).and_then(|()| self.buckets(known, key, node)),
            "native" => metric.native = self.of_histogram(known, key).and_then(|()| self.native(key, node)),
            "summary" => metric.summary = self.of_histogram(known, key).and_then(|()| self.summary(known, key, node)),
            "exemplars" => metric.exemplars = self.exemplars(known, key, node),
            _ => return false,
        }
        true
    }

    /// Notes what contradicts itself in the settings of a metric, whose keys and values are `entries`.
    pub(super) fn check_observed(&mut self, entries: &[(Key, Node)], metric: &MetricConfig) {
        let place = |name: &str| entries.iter().find(|(key, _)| key.name == name).map(|(key, _)| key.place);
        let is_native_only = metric.native.as_ref().is_some_and(|native| !native.classic);
        let contradictions = [
            (metric.summary.is_some(), "buckets", "a summary has no buckets: keep `buckets` or `summary`"),
            (metric.summary.is_some(), "native", "a metric is a histogram or a summary: keep `native` or `summary`"),
            (is_native_only, "buckets", "with `classic: false` there are no such buckets: leave one of them out"),
        ];
        for (is_so, name, message) in contradictions {
            if let Some(place) = place(name).filter(|_| is_so) {
                self.reader.report(place, message.to_owned(), None);
            }
        }
        if let (Some(_), Some(place)) = (&metric.summary, place("exemplars")) {
            self.reader.report(place, "a summary has no exemplars".to_owned(), None);
        }
    }

    /// Notes a setting that only histograms have, at another metric.
    fn of_histogram(&mut self, known: Option<Known<'_>>, key: &Key) -> Option<()> {
        match known {
            Some((_, metric)) if !matches!(metric.kind, Kind::Histogram(_)) => {
                let message = format!("`{}` is no histogram: it has no `{}`", metric.name, key.name);
                self.reader.report(key.place, message, None);
                None
            }
            _ => Some(()),
        }
    }

    fn buckets(&mut self, known: Option<Known<'_>>, key: &Key, node: &Node) -> Option<Vec<f64>> {
        let unit = known.map(|(_, metric)| metric.unit);
        let help = "upper bounds in the metric's unit, for example [0.1, 0.5, 1]; +Inf follows by itself";
        let bounds = self.ascending(key, node, ("bound", MAX_BUCKETS), help)?;
        for (place, bound) in &bounds {
            if *bound < 0.0 && unit.is_some_and(|unit| !unit.is_signed()) {
                let message = format!("`{bound}`: this metric has no values below zero");
                self.reader.report(*place, message, None);
                return None;
            }
        }
        Some(bounds.into_iter().map(|(_, bound)| bound).collect())
    }

    fn native(&mut self, key: &Key, node: &Node) -> Option<NativeConfig> {
        let mut native = NativeConfig::default();
        match &node.value {
            Value::Bool(true) => return Some(native),
            Value::Bool(false) => return None,
            Value::Map(_) => {}
            _ => {
                let help = "for example native: {schema: 3, max_buckets: 160}, or native: true for these";
                self.reader.expected("true, false or a mapping", key.place, node, Some(help));
                return None;
            }
        }
        for (key, node) in self.reader.map(key.place, node) {
            match key.name.as_str() {
                "schema" => {
                    let is_schema = |number: &f64| number.fract() == 0.0 && *number >= -4.0 && *number <= 8.0;
                    match number(node).filter(is_schema) {
                        Some(schema) => native.schema = schema as i8,
                        None => {
                            let what = format!("a whole number from {} to {}", SCHEMAS.start(), SCHEMAS.end());
                            let help = "a schema has 2^schema buckets for every doubling";
                            self.reader.expected(&what, key.place, node, Some(help));
                        }
                    }
                }
                "max_buckets" => {
                    if let Some(number) = self.reader.number(key, node, MAX_NATIVE_BUCKETS_RANGE) {
                        native.max_buckets = number;
                    }
                }
                "zero_threshold" => match number(node).filter(|number| *number >= 0.0) {
                    Some(threshold) => native.zero_threshold = threshold,
                    None => self.reader.expected("a number from 0 on, in the metric's unit", key.place, node, None),
                },
                "classic" => native.classic = self.reader.bool(key, node).unwrap_or(true),
                _ => {
                    self.reader.unknown_key(key, NATIVE_KEYS);
                }
            }
        }
        Some(native)
    }

    fn summary(&mut self, known: Option<Known<'_>>, key: &Key, node: &Node) -> Option<SummaryConfig> {
        if let Some((_, metric)) = known.filter(|(_, metric)| metric.unit.is_signed()) {
            let message = format!("`{}` has values below zero: it cannot be a summary", metric.name);
            self.reader.report(key.place, message, None);
            return None;
        }
        let mut summary = SummaryConfig::default();
        match &node.value {
            Value::Bool(true) => return Some(summary),
            Value::Bool(false) => return None,
            Value::Map(_) => {}
            _ => {
                let help = "for example summary: {quantiles: [0.5, 0.9, 0.99], window_seconds: 600}, or summary: true for these";
                self.reader.expected("true, false or a mapping", key.place, node, Some(help));
                return None;
            }
        }
        for (key, node) in self.reader.map(key.place, node) {
            match key.name.as_str() {
                "quantiles" => {
                    let help = "for example quantiles: [0.5, 0.9, 0.99]";
                    let quantiles = self.ascending(key, node, ("quantile", MAX_QUANTILES), help).unwrap_or_default();
                    for (place, quantile) in &quantiles {
                        if !(0.0..=1.0).contains(quantile) {
                            let message = format!("`{quantile}`: quantiles are from 0 to 1");
                            self.reader.report(*place, message, None);
                        }
                    }
                    summary.quantiles = quantiles.into_iter().map(|(_, quantile)| quantile).collect();
                }
                "window_seconds" => {
                    if let Some(number) = self.reader.number(key, node, WINDOW_SECONDS_RANGE) {
                        summary.window_seconds = number as u64;
                    }
                }
                _ => {
                    self.reader.unknown_key(key, SUMMARY_KEYS);
                }
            }
        }
        Some(summary)
    }

    /// A list of finite numbers, each above the one before, with their places. `what` they are called, and how many there may be.
    fn ascending(
        &mut self,
        key: &Key,
        node: &Node,
        (what, most): (&str, usize),
        help: &str,
    ) -> Option<Vec<(Place, f64)>> {
        let items = match &node.value {
            Value::List(items) => items,
            _ => {
                self.reader.expected("a list of numbers", key.place, node, Some(help));
                return None;
            }
        };
        if items.is_empty() || items.len() > most {
            let message = format!("`{}` has {} numbers: there may be from 1 to {most}", key.name, items.len());
            self.reader.report(key.place, message, Some(help.to_owned()));
            return None;
        }
        let mut numbers: Vec<(Place, f64)> = Vec::with_capacity(items.len());
        for item in items {
            let Some(number) = number(item) else {
                let is_quoted =
                    matches!(&item.value, Value::Text(text) if text.parse::<f64>().is_ok_and(f64::is_finite));
                self.reader.expected(
                    "a finite number",
                    key.place,
                    item,
                    Some(if is_quoted { "leave out the quotes" } else { help }),
                );
                return None;
            };
            if let Some((_, before)) = numbers.last().filter(|(_, before)| *before >= number) {
                let message = format!("the {what} `{number}` is not above the one before it, `{before}`");
                self.reader.report(item.place, message, None);
                return None;
            }
            numbers.push((item.place, number));
        }
        Some(numbers)
    }

    fn exemplars(&mut self, known: Option<Known<'_>>, key: &Key, node: &Node) -> Option<ExemplarSource> {
        let names = || ExemplarSource::ALL.iter().map(|source| source.name());
        let help = format!("known sources: {}", names().collect::<Vec<_>>().join(", "));
        let name = self.reader.word("a source of exemplars", key.place, node)?;
        let Some(source) = ExemplarSource::ALL.into_iter().find(|source| source.name() == name) else {
            self.reader.unknown("source of exemplars", &name, node.place, names(), Some(help));
            return None;
        };
        let Some((family, metric)) = known else { return Some(source) };
        if let Some(message) = cannot_have(source, family, metric) {
            self.reader.report(node.place, message, None);
            return None;
        }
        Some(source)
    }
}

/// Why samples of `metric` have no exemplars from `source`, if so.
fn cannot_have(source: ExemplarSource, family: &Family, metric: &Metric) -> Option<String> {
    let (name, source_name) = (clip(metric.name), source.name());
    if matches!(metric.kind, Kind::Gauge | Kind::Last) {
        return Some(format!("`{name}` is a gauge: it has no exemplars"));
    }
    (family.name != source.family())
        .then(|| format!("lines that `{name}` counts have no `{source_name}`: only those of {} do", source.family()))
}

/// A finite number; without the sign of zero.
fn number(node: &Node) -> Option<f64> {
    match &node.value {
        Value::Number(text) => text.parse().ok().map(|number: f64| number + 0.0).filter(|number| number.is_finite()),
        _ => None,
    }
}
