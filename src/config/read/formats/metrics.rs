//! The metrics of a format: type, value, labels, conditions and buckets of each.

use super::{Listed, repeated};
use crate::config::LabelChoice;
use crate::config::error::clip;
use crate::config::read::Schema;
use crate::config::yaml::{Key, Node, Place, Value};
use crate::metrics::custom::pattern::Matcher;
use crate::metrics::custom::{
    self, Condition, Definition, FieldKind, MetricDefinition, MetricKind, refuse_label_name, refuse_metric_name,
};

const KEYS: &[&str] = &["type", "help", "value", "labels", "constant_labels", "when", "buckets"];
const METRIC_TYPES: &[&str] = &["counter", "gauge", "histogram", "summary"];

/// Most buckets of a histogram.
const MAX_BUCKETS: usize = 200;

/// Upper bounds for durations, in seconds, unless told otherwise.
const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Upper bounds for bytes.
const BYTES: &[f64] = &[256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 16_777_216.0, 268_435_456.0];

/// What is read of a metric before it is known whether its parts fit together.
#[derive(Default)]
struct Parts {
    kind: Option<usize>,
    help: Option<String>,
    value: Option<(Place, String)>,
    labels: Vec<(Place, LabelChoice)>,
    constants: Vec<(String, String)>,
    when: Vec<Condition>,
    buckets: Option<(Place, Vec<f64>)>,
}

impl Schema<'_> {
    /// Reads the metrics of a format into `definition`; `names` are its fields. Returns their labels.
    pub(super) fn format_metrics(
        &mut self,
        key: &Key,
        node: &Node,
        definition: &mut Definition,
        names: &[String],
    ) -> Vec<Listed> {
        let mut listed = Vec::new();
        let entries = self.reader.map(key.place, node);
        if entries.is_empty() || entries.len() > custom::MOST {
            let message = format!("a format has from 1 to {} metrics", custom::MOST);
            self.reader.report(key.place, message, None);
        }
        for (key, node) in entries.iter().take(custom::MOST) {
            let mistakes = self.reader.mistakes();
            let parts = self.metric_parts(key, node, names);
            let labels = parts.labels.clone();
            let Some(metric) = self.metric_of(key, parts, definition) else { continue };
            if self.reader.mistakes() > mistakes {
                continue;
            }
            self.keep_policies(&metric, &labels);
            listed.push((metric.name.clone(), labels));
            definition.metrics.push(metric);
        }
        let conditions = definition.metrics.iter().map(|metric| metric.when.len()).sum::<usize>();
        if conditions > custom::MOST {
            let message = format!("the metrics of a format can have {} conditions, not {conditions}", custom::MOST);
            self.reader.report(key.place, message, None);
            definition.metrics.iter_mut().for_each(|metric| metric.when.clear());
        }
        listed
    }

    /// Policies that stand in a format are as if they stood under `metrics`.
    fn keep_policies(&mut self, metric: &MetricDefinition, labels: &[(Place, LabelChoice)]) {
        if labels.iter().all(|(_, label)| label.policy.is_none()) {
            return;
        }
        let constants = metric.constants.iter().map(|(name, _)| LabelChoice { name: name.clone(), policy: None });
        let labels = labels.iter().map(|(_, label)| label.clone()).chain(constants).collect();
        self.config.metrics.entry(metric.name.clone()).or_default().labels = Some(labels);
    }

    fn metric_parts(&mut self, name: &Key, node: &Node, names: &[String]) -> Parts {
        let mut parts = Parts::default();
        for (key, node) in self.reader.map(name.place, node) {
            match key.name.as_str() {
                "type" => {
                    parts.kind = self.one_of("a type", METRIC_TYPES, key, node);
                }
                "help" => parts.help = self.help(key, node),
                "value" => parts.value = self.field_name(key, node, names).map(|name| (node.place, name)),
                "labels" => parts.labels = self.metric_labels(key, node, names),
                "constant_labels" => parts.constants = self.constants(key, node),
                "when" => parts.when = self.conditions(key, node, names),
                "buckets" => parts.buckets = self.format_buckets(key, node).map(|buckets| (key.place, buckets)),
                _ => {
                    self.reader.unknown_key(key, KEYS);
                }
            }
        }
        let both = parts.constants.iter().map(|(name, _)| name.as_str());
        let both = both.chain(parts.labels.iter().map(|(_, label)| label.name.as_str()));
        if let Some(name) = repeated(both).first() {
            let message = format!("label `{}` is there twice", clip(name));
            let is_it = |(_, label): &&(Place, LabelChoice)| label.name == **name;
            let place = parts.labels.iter().rev().find(is_it).map_or(node.place, |(place, _)| *place);
            self.reader.report(place, message, None);
        }
        parts
    }

    /// The metric that `parts` make, if they fit together.
    fn metric_of(&mut self, key: &Key, parts: Parts, definition: &Definition) -> Option<MetricDefinition> {
        let Some(kind) = parts.kind else {
            let message = format!("the metric `{}` has no `type`", clip(&key.name));
            let help = "counter, gauge, histogram or summary".to_owned();
            self.reader.report(key.place, message, Some(help));
            return None;
        };
        let value_kind = parts.value.as_ref().map(|(_, name)| definition.kind_of(name));
        let kind = match kind {
            0 => MetricKind::Counter,
            1 => MetricKind::Gauge,
            2 => MetricKind::Histogram(self.bounds_of(key, &parts, value_kind)?),
            _ => MetricKind::Summary,
        };
        if let Some((place, _)) = parts.buckets.as_ref().filter(|_| !matches!(kind, MetricKind::Histogram(_))) {
            self.reader.report(*place, "`buckets` go with `type: histogram`".to_owned(), None);
        }
        self.check_value(key, &parts, value_kind, &kind);
        let family = self.catalogue.families().to_vec();
        let is_taken = definition.metrics.iter().any(|metric| metric.name == key.name);
        let refused = refuse_metric_name(&key.name, &kind, &family);
        if let Some(why) = refused.or_else(|| is_taken.then(|| "this metric is there already".to_owned())) {
            let message = format!("`{}` cannot be the name of this metric: {why}", clip(&key.name));
            self.reader.report(key.place, message, None);
        }
        let help = parts.help.unwrap_or_else(|| format!("From lines of the format {}.", definition.name));
        Some(MetricDefinition {
            name: key.name.clone(),
            help,
            kind,
            value: parts.value.map(|(_, name)| name),
            labels: parts.labels.into_iter().map(|(_, label)| label.name).collect(),
            constants: parts.constants,
            when: parts.when,
        })
    }

    /// Checks that the metric has a value if it needs one, and that it is a number.
    fn check_value(&mut self, key: &Key, parts: &Parts, value: Option<FieldKind>, kind: &MetricKind) {
        let Some((place, name)) = &parts.value else {
            if *kind != MetricKind::Counter {
                let message =
                    format!("the metric `{}` needs a `value`: the field whose numbers it shows", clip(&key.name));
                self.reader.report(key.place, message, None);
            }
            return;
        };
        match value {
            Some(FieldKind::String) | None => {
                let message = format!("`{}` is text, not a number", clip(name));
                let help = format!("say what it is under `fields`, for example {name}: {{type: duration, unit: s}}");
                self.reader.report(*place, message, Some(help));
            }
            Some(FieldKind::Timestamp(_)) if *kind != MetricKind::Gauge => {
                self.reader.report(*place, "a point in time can only be shown by a gauge".to_owned(), None);
            }
            Some(_) => {}
        }
    }

    /// The bounds of a histogram.
    fn bounds_of(&mut self, key: &Key, parts: &Parts, value: Option<FieldKind>) -> Option<Vec<f64>> {
        match (&parts.buckets, value) {
            (Some((_, buckets)), _) => Some(buckets.clone()),
            (None, Some(FieldKind::Duration(_))) => Some(SECONDS.to_vec()),
            (None, Some(FieldKind::Bytes)) => Some(BYTES.to_vec()),
            // One mistake is enough.
            (None, None | Some(FieldKind::String | FieldKind::Timestamp(_))) => Some(Vec::new()),
            (None, Some(_)) => {
                let message = format!("the histogram `{}` needs `buckets`", clip(&key.name));
                let help = "upper bounds in the unit of its samples: buckets: [1, 5, 10]".to_owned();
                self.reader.report(key.place, message, Some(help));
                None
            }
        }
    }

    fn help(&mut self, key: &Key, node: &Node) -> Option<String> {
        let help = self.reader.word("a sentence", key.place, node)?;
        if help.contains(|character: char| character.is_control() || character == '\\') {
            let message = "the help is one line, without backslashes".to_owned();
            self.reader.report(node.place, message, None);
            return None;
        }
        Some(help)
    }

    /// The name of a field that the format has.
    fn field_name(&mut self, key: &Key, node: &Node, names: &[String]) -> Option<String> {
        let name = self.reader.word("a field", key.place, node)?;
        self.check_field(&name, node.place, names).then_some(name)
    }

    fn check_field(&mut self, name: &str, place: Place, names: &[String]) -> bool {
        let is_known = names.iter().any(|known| known == name);
        if !is_known {
            let help = format!("fields of this format: {}", names.join(", "));
            self.reader.unknown("field", name, place, names.iter().map(String::as_str), Some(help));
        }
        is_known
    }

    fn metric_labels(&mut self, key: &Key, node: &Node, names: &[String]) -> Vec<(Place, LabelChoice)> {
        let mut labels: Vec<(Place, LabelChoice)> = Vec::new();
        for item in self.reader.list(key.place, node, "for example labels: [status, method]") {
            let Some((place, choice)) = self.choice(key, item) else { continue };
            if !self.check_field(&choice.name, place, names) {
                continue;
            }
            if let Some(why) = refuse_label_name(&choice.name) {
                let message = format!("`{}` cannot be a label: {why}", clip(&choice.name));
                self.reader.report(place, message, None);
                continue;
            }
            labels.push((place, choice));
        }
        labels
    }

    fn constants(&mut self, key: &Key, node: &Node) -> Vec<(String, String)> {
        let mut constants = Vec::new();
        for (key, node) in self.reader.map(key.place, node) {
            if let Some(why) = refuse_label_name(&key.name) {
                let message = format!("`{}` cannot be a label: {why}", clip(&key.name));
                self.reader.report(key.place, message, None);
            }
            let value = self.reader.word("a value", key.place, node);
            constants.extend(value.map(|value| (key.name.clone(), value)));
        }
        constants
    }

    fn conditions(&mut self, key: &Key, node: &Node, names: &[String]) -> Vec<Condition> {
        let mut conditions = Vec::new();
        for (field, node) in self.reader.map(key.place, node) {
            if !self.check_field(&field.name, field.place, names) {
                continue;
            }
            let (key, node, is_negated) = match &node.value {
                Value::Map(entries) => match entries.as_slice() {
                    [(not, node)] if not.name == "not" => (not, node, true),
                    _ => {
                        let what = "a regular expression, or `not` with one";
                        self.reader.expected(what, field.place, node, Some("for example {status: {not: '^2'}}"));
                        continue;
                    }
                },
                _ => (field, node, false),
            };
            let pattern = self.regex(key, node, Matcher::of);
            conditions.extend(pattern.map(|(pattern, _)| Condition { field: field.name.clone(), pattern, is_negated }));
        }
        conditions
    }

    fn format_buckets(&mut self, key: &Key, node: &Node) -> Option<Vec<f64>> {
        let items = self.reader.list(key.place, node, "for example buckets: [0.1, 0.5, 1]");
        if items.is_empty() || items.len() > MAX_BUCKETS {
            let message = format!("a histogram has from 1 to {MAX_BUCKETS} buckets");
            self.reader.report(key.place, message, None);
            return None;
        }
        let mut bounds: Vec<f64> = Vec::new();
        for item in items {
            let number = match &item.value {
                Value::Number(text) => text.parse::<f64>().ok().filter(|number| number.is_finite()),
                _ => None,
            };
            let Some(number) = number else {
                self.reader.expected("a number", key.place, item, None);
                return None;
            };
            if bounds.last().is_some_and(|last| *last >= number) || !(0.0..=9e9).contains(&number) {
                let message = "buckets grow, from 0 to 9e9".to_owned();
                self.reader.report(item.place, message, None);
                return None;
            }
            bounds.push(number);
        }
        Some(bounds)
    }
}
