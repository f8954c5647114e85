//! The schema: from the tree of a configuration file to a checked [`Config`].

mod formats;
mod histogram;
mod policy;
mod postfix;
mod push;
mod sources;

use policy::{POLICY_KEYS, proposal};

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::catalogue::{Catalogue, label, label_matches, numbered_stem, supported};
use super::error::{ConfigErrors, clip};
use super::reader::Reader;
use super::yaml::{Key, Node, Place, Value};
use super::{Config, EXPIRE_AFTER_RANGE, Expiry, LabelChoice, MAX_LINE_BYTES_RANGE, MAX_SERIES_RANGE, MetricConfig};
use crate::metrics::{Compat, Family, Metric, families};
use crate::series::Salt;

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
    "push",
    "formats",
];
const METRIC_KEYS: &[&str] =
    &["labels", "max_series", "expire_after", "enabled", "buckets", "native", "summary", "exemplars"];
/// In place of a time: not at any.
const NEVER: &str = "never";

/// Applies the schema to `root`, the tree of `source`, and checks names against `families`. What it does not say is as in `config`.
/// Files that it names are read if there is a `folder`, from which their paths go.
pub(super) fn read(
    root: &Node,
    file_name: &str,
    source: &str,
    families: &[&Family],
    folder: Option<&Path>,
    config: Config,
) -> Result<Config, ConfigErrors> {
    let (reader, catalogue) = (Reader::new(file_name, source), Catalogue::new(families));
    let mut schema = Schema { reader, catalogue, config, folder, salts: Vec::new() };
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
    /// Where paths of files go from; `None` when these are not to be read.
    folder: Option<&'a Path>,
    /// Keys of hashes: labels that are to have the same share it.
    salts: Vec<Arc<Salt>>,
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
                "push" => self.push(key, node),
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
        if policy.is_none_or(|policy| !policy.decides()) && label(family, name).is_some_and(|label| label.private) {
            // Some rules alone let through whatever they do not fit.
            let which = if policy.is_some_and(|policy| !policy.is_empty()) {
                " that says which values there may be"
            } else {
                ""
            };
            let message = format!("label `{name}` identifies people or grows with traffic: it needs a policy{which}");
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
