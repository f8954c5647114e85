//! The schema: from the tree of a configuration file to a checked [`Config`].

mod formats;
mod histogram;
mod postfix;
mod sources;

use std::collections::BTreeSet;

use super::catalogue::{Catalogue, label, label_matches, numbered_stem, supported};
use super::error::{ConfigErrors, clip};
use super::reader::Reader;
use super::yaml::{Key, Node, Place, Value};
use super::{
    Config, EXPIRE_AFTER_RANGE, Expiry, LabelChoice, LabelPolicy, MAX_LINE_BYTES_RANGE, MAX_SERIES_RANGE, MetricConfig,
};
use crate::metrics::{Compat, Family, Metric, families};

const ROOT_KEYS: &[&str] = &[
    "listen",
    "max_line_bytes",
    "max_series",
    "max_series_total",
    "expire_after",
    "compat",
    "sources",
    "labels",
    "metrics",
    "postfix",
    "created_samples",
    "formats",
];
const METRIC_KEYS: &[&str] =
    &["labels", "max_series", "expire_after", "enabled", "buckets", "native", "summary", "exemplars"];
/// In place of a time: not at any.
const NEVER: &str = "never";
const POLICY_KEYS: &[&str] = &["allow", "unbounded"];

/// Applies the schema to `root`, the tree of `source`, and checks names against `families`. What it does not say is as in `config`.
pub(super) fn read(
    root: &Node,
    file_name: &str,
    source: &str,
    families: &[&Family],
    config: Config,
) -> Result<Config, ConfigErrors> {
    let mut schema = Schema { reader: Reader::new(file_name, source), catalogue: Catalogue::new(families), config };
    schema.root(root);
    match schema.reader.into_errors() {
        None => Ok(schema.config),
        Some(errors) => Err(errors),
    }
}

struct Schema<'a> {
    reader: Reader<'a>,
    catalogue: Catalogue<'a>,
    config: Config,
}

/// The catalogue entry of the metric whose settings are read.
type Known<'a> = (&'a Family, &'a Metric);

impl<'a> Schema<'a> {
    fn root(&mut self, root: &Node) {
        let entries = self.reader.map(root.place, root);
        // First, wherever it stands: it says which metrics and labels there are.
        for (key, node) in entries.iter().filter(|(key, _)| key.name == "compat") {
            self.compat(key, node);
        }
        // Then, for the same reason.
        let mut labels = Vec::new();
        for (key, node) in entries.iter().filter(|(key, _)| key.name == "formats") {
            labels = self.formats(key, node);
        }
        for (key, node) in entries {
            match key.name.as_str() {
                "listen" => self.listen(key, node),
                "max_line_bytes" => {
                    if let Some(number) = self.reader.number(key, node, MAX_LINE_BYTES_RANGE) {
                        self.config.max_line_bytes = number;
                    }
                }
                "max_series" => {
                    if let Some(number) = self.reader.number(key, node, MAX_SERIES_RANGE) {
                        self.config.max_series = number;
                    }
                }
                "max_series_total" => {
                    if let Some(number) = self.reader.number(key, node, MAX_SERIES_RANGE) {
                        self.config.max_series_total = number;
                    }
                }
                "expire_after" => {
                    if let Some(expiry) = self.expiry(key, node) {
                        self.config.expire_after = expiry;
                    }
                }
                "sources" => self.sources(key, node),
                "labels" => self.labels(key, node),
                "postfix" => self.postfix(key, node),
                "created_samples" => {
                    self.config.created_samples = self.reader.bool(key, node).unwrap_or_default();
                }
                "compat" | "formats" | "metrics" => {}
                _ => {
                    self.reader.unknown_key(key, ROOT_KEYS);
                }
            }
        }
        // Metrics come last, wherever they stand: whether a private label may be used depends on `labels`.
        for (key, node) in entries.iter().filter(|(key, _)| key.name == "metrics") {
            for (key, node) in self.reader.map(key.place, node) {
                let mut metric = self.metric(key, node);
                let within = self.config.metrics.remove(&key.name);
                // The policies that stand in a format, unless others are given here.
                metric.labels = metric.labels.or(within.and_then(|within| within.labels));
                self.config.metrics.insert(key.name.clone(), metric);
            }
        }
        self.check_formats(&labels);
    }

    fn listen(&mut self, key: &Key, node: &Node) {
        if let Value::Text(text) = &node.value
            && let Ok(address) = text.parse()
        {
            self.config.listen = address;
            return;
        }
        let help = "for example 127.0.0.1:9129, 0.0.0.0:9129 or '[::]:9129'";
        self.reader.expected("an IP address and a port", key.place, node, Some(help));
    }

    fn compat(&mut self, key: &Key, node: &Node) {
        let Some(name) = self.reader.word("the name of a program", key.place, node) else { return };
        let Some(compat) = Compat::named(&name) else {
            let known = || Compat::ALL.iter().map(|compat| compat.name());
            let help = format!("known programs: {}", known().collect::<Vec<_>>().join(", "));
            return self.reader.unknown("program", &name, node.place, known(), Some(help));
        };
        // The command line comes first.
        if self.config.compat.is_some() {
            return;
        }
        self.config.compat = Some(compat);
        self.config.listen.set_port(compat.port());
        self.catalogue = Catalogue::new(families(Some(compat)));
    }

    /// The policies that hold wherever their label is used.
    fn labels(&mut self, key: &Key, node: &Node) {
        for (key, node) in self.reader.map(key.place, node) {
            if !self.catalogue.has_label(&key.name) {
                let known = self.catalogue.labels().collect();
                self.unknown_label(&key.name, key.place, known, None);
            }
            let policy = self.policy(key, node);
            self.config.labels.insert(key.name.clone(), policy);
        }
    }

    /// A policy; where it has a mistake, one that raises no further error.
    fn policy(&mut self, label: &Key, node: &Node) -> LabelPolicy {
        let stand_in = LabelPolicy { unbounded: true, ..LabelPolicy::default() };
        let Value::Map(entries) = &node.value else {
            let help = proposal(&label.name);
            let what = "a policy with `allow` or `unbounded`";
            self.reader.expected(what, label.place, node, Some(&help));
            return stand_in;
        };
        if entries.is_empty() {
            let message = format!("the policy of `{}` is empty", clip(&label.name));
            self.reader.report(label.place, message, Some(proposal(&label.name)));
            return stand_in;
        }
        let mut policy = LabelPolicy::default();
        let mut unbounded_key = None;
        let mut failed = false;
        for (key, node) in entries {
            match key.name.as_str() {
                "allow" => {
                    policy.allow = self.allow(key, node);
                    failed |= policy.allow.is_none();
                }
                "unbounded" => {
                    let value = self.reader.bool(key, node);
                    failed |= value.is_none();
                    policy.unbounded = value.unwrap_or_default();
                    unbounded_key = Some(key.place);
                }
                _ => {
                    self.reader.unknown_key(key, POLICY_KEYS);
                    failed = true;
                }
            }
        }
        if let (Some(_), true, Some(place)) = (&policy.allow, policy.unbounded, unbounded_key) {
            let message = "`unbounded: true` contradicts `allow`: keep one of them".to_owned();
            self.reader.report(place, message, None);
        }
        if failed { stand_in } else { policy }
    }

    fn allow(&mut self, key: &Key, node: &Node) -> Option<Vec<String>> {
        let Value::List(items) = &node.value else {
            let help = "for example allow: [GET, POST]";
            self.reader.expected("a list of values", key.place, node, Some(help));
            return None;
        };
        if items.is_empty() {
            let message = "an empty `allow` turns every value into `other`".to_owned();
            let help = "leave the label out instead".to_owned();
            self.reader.report(key.place, message, Some(help));
            return None;
        }
        let mut values = Vec::with_capacity(items.len());
        let mut seen = BTreeSet::new();
        for item in items {
            match self.reader.text(item) {
                Some(text) if seen.insert(text.clone()) => values.push(text),
                Some(text) => {
                    let message = format!("`{}` is listed twice", clip(&text));
                    self.reader.report(item.place, message, None);
                }
                None => self.reader.expected("a value", key.place, item, None),
            }
        }
        Some(values)
    }

    fn metric(&mut self, name: &Key, node: &Node) -> MetricConfig {
        let known = self.catalogue.metric(&name.name);
        if known.is_none() {
            let metrics = self.catalogue.metrics();
            self.reader.unknown("metric", &name.name, name.place, metrics, None);
        }
        let mut metric = MetricConfig::default();
        let entries = self.reader.map(name.place, node);
        for (key, node) in entries {
            match key.name.as_str() {
                "labels" => metric.labels = Some(self.choices(known, key, node)),
                "max_series" => {
                    metric.max_series = self.reader.number(key, node, MAX_SERIES_RANGE);
                }
                "expire_after" => metric.expire_after = self.expiry(key, node),
                "enabled" => metric.enabled = self.reader.bool(key, node).unwrap_or_default(),
                _ if self.observed(known, key, node, &mut metric) => {}
                _ => {
                    self.reader.unknown_key(key, METRIC_KEYS);
                }
            }
        }
        self.check_observed(entries, &metric);
        metric
    }

    /// How long an idle series is shown.
    fn expiry(&mut self, key: &Key, node: &Node) -> Option<Expiry> {
        match &node.value {
            Value::Text(text) if text == NEVER => Some(Expiry::Never),
            _ => self.reader.span(key, node, EXPIRE_AFTER_RANGE, Some(NEVER)).map(Expiry::After),
        }
    }

    /// The label list of a metric; `known` is `None` when there is no such metric.
    fn choices(&mut self, known: Option<Known<'a>>, key: &Key, node: &Node) -> Vec<LabelChoice> {
        if matches!(node.value, Value::Null) {
            let help = "write [] for no labels";
            self.reader.expected("a list of labels", key.place, node, Some(help));
        }
        let mut choices = Vec::new();
        let mut seen = BTreeSet::new();
        for item in self.reader.list(key.place, node, "for example [frontend_name]") {
            let Some((place, choice)) = self.choice(key, item) else {
                continue;
            };
            if !seen.insert(choice.name.clone()) {
                let message = format!("label `{}` is listed twice", clip(&choice.name));
                self.reader.report(place, message, None);
                continue;
            }
            if let Some(known) = known {
                self.check_choice(known, place, &choice);
            }
            choices.push(choice);
        }
        choices
    }

    /// One item of a label list: a name, or a name with its policy.
    fn choice(&mut self, list: &Key, item: &Node) -> Option<(Place, LabelChoice)> {
        let entries = match &item.value {
            Value::Map(entries) => entries,
            _ => {
                let name = self.reader.word("a label", list.place, item)?;
                return Some((item.place, LabelChoice { name, policy: None }));
            }
        };
        let [(key, node)] = entries.as_slice() else {
            let second = entries.get(1).map(|(key, _)| key);
            let place = second.map_or(item.place, |key| key.place);
            let message = match second {
                Some(key) if POLICY_KEYS.contains(&key.name.as_str()) => {
                    format!("`{}` must be indented below its label", key.name)
                }
                _ => "expected one label for each item of the list".to_owned(),
            };
            self.reader.report(place, message, None);
            return None;
        };
        let policy = Some(self.policy(key, node));
        let name = key.name.clone();
        Some((key.place, LabelChoice { name, policy }))
    }

    /// Checks that the metric supports the label, and that a private one has a policy.
    fn check_choice(&mut self, (family, metric): Known<'a>, place: Place, choice: &LabelChoice) {
        let name = choice.name.as_str();
        if !supported(metric).any(|entry| label_matches(entry, name)) {
            let known: Vec<_> = supported(metric).collect();
            let help = Some(match known.as_slice() {
                [] => format!("{} has no labels", metric.name),
                known => format!("{} can have: {}", metric.name, known.join(", ")),
            });
            if label(family, name).is_some() {
                let message = format!("`{}` cannot have the label `{}`", metric.name, clip(name));
                self.reader.report(place, message, help);
            } else {
                self.unknown_label(name, place, known, help);
            }
            return;
        }
        let policy = choice.policy.as_ref().or(self.config.labels.get(name));
        let is_bounded = policy.is_some_and(|policy| policy.allow.is_some() || policy.unbounded);
        if !is_bounded && label(family, name).is_some_and(|label| label.private) {
            let message = format!("label `{name}` identifies people or grows with traffic: it needs a policy");
            self.reader.report(place, message, Some(proposal(name)));
        }
    }

    /// Notes a label that does not exist. Some of those that do want a number in the place of their `N`.
    fn unknown_label(&mut self, name: &str, place: Place, known: Vec<&str>, help: Option<String>) {
        let numbered = known
            .iter()
            .filter_map(|entry| numbered_stem(entry))
            .find(|stem| name.starts_with(stem) || stem.trim_end_matches('_') == name);
        match numbered {
            Some(stem) => {
                let name = clip(name);
                let message = format!("unknown label `{name}`; `{stem}` ends in a number from 1 to 64");
                self.reader.report(place, message, help);
            }
            None => self.reader.unknown("label", name, place, known.into_iter(), help),
        }
    }
}

/// What to write for a label that has no usable policy.
fn proposal(label: &str) -> String {
    let label = clip(label);
    format!(
        "write {{{label}: {{allow: [a, b]}}}} to keep those values, or {{{label}: {{unbounded: true}}}} to keep all"
    )
}
