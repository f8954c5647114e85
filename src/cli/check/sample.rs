//! Counting sample logs as `run` would, but without limits, and what that says of labels.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::files::Files;
use super::super::{Failure, WrittenOptions, format_named, say, understand};
use super::propose::{Values, propose};
use crate::config::{Config, Input, LabelPolicy, Written};
use crate::metrics::{self, LabelCardinality, families};
use crate::pipeline::Pipeline;

/// Series of one metric that are counted, at most, and of all together. Such a sample takes about a gigabyte.
const MAX_SERIES: usize = 200_000;
const MAX_SERIES_TOTAL: usize = 1_000_000;

/// A label explodes that has so many values, and without which there would be so many times fewer series.
const MANY_VALUES: usize = 50;
const MANY_TIMES: usize = 5;

/// Labels of one metric for which rules are proposed, at most.
const MAX_RULES: usize = 4;

/// What was found in sample logs.
#[derive(Debug, Serialize)]
pub(super) struct Sample {
    /// What the logs were read as.
    pub(super) formats: BTreeSet<String>,
    pub(super) parsed: u64,
    pub(super) ignored: u64,
    pub(super) rejected: u64,
    /// Series of all metrics.
    pub(super) series: usize,
    /// True when there were more than are counted.
    pub(super) has_more: bool,
    pub(super) metrics: Vec<Predicted>,
    /// Labels that multiply the series, those first that do it most.
    pub(super) explosions: Vec<Explosion>,
    /// Rules for them, as they can be pasted into the configuration.
    pub(super) proposal: Option<Proposal>,
}

/// How many series a metric would have.
#[derive(Debug, Serialize)]
pub(super) struct Predicted {
    pub(super) name: &'static str,
    pub(super) series: usize,
    /// Most that it may have: what is beyond is counted as `other`.
    pub(super) max_series: usize,
    /// Its labels, that with the most values first.
    pub(super) labels: Vec<LabelCardinality>,
}

/// A label that multiplies the series of a metric.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Explosion {
    pub(super) label: String,
    pub(super) metric: &'static str,
    pub(super) values: usize,
    pub(super) series: usize,
    /// Series that there would be without the label.
    pub(super) series_without: usize,
    /// Rules for the label; none when those that it has say all that can be said.
    pub(super) rules: Option<String>,
    /// Why these.
    pub(super) reason: Option<String>,
    /// Series of the metric with these rules, and those that are proposed for its other labels.
    pub(super) series_with_rules: usize,
}

/// Rules for the configuration.
#[derive(Debug, Serialize)]
pub(super) struct Proposal {
    pub(super) yaml: String,
    /// Series of the metrics that it is about, now and then.
    pub(super) series: usize,
    pub(super) series_then: usize,
}

/// The rows of a metric, by the values of its labels, with the samples of each.
struct Table {
    metric: &'static str,
    labels: Vec<String>,
    rows: HashMap<Vec<Vec<u8>>, u64>,
    max_series: usize,
}

/// Counts `paths` under `config`.
///
/// # Errors
/// It is not known what they are, or they cannot be read.
pub(super) fn count(
    paths: &[PathBuf],
    format: Option<&str>,
    written: &WrittenOptions,
    config: &Config,
) -> Result<Sample, Failure> {
    let mut unlimited = config.clone();
    (unlimited.max_series, unlimited.max_series_total) = (MAX_SERIES, MAX_SERIES_TOTAL);
    unlimited.metrics.values_mut().for_each(|metric| metric.max_series = None);
    let ledger = metrics::own::Ledger::default();
    ::metrics::with_local_recorder(&ledger, || {
        let pipeline = Pipeline::new(&unlimited, say);
        let (mut lines, mut formats) = (Vec::new(), BTreeSet::new());
        for path in paths {
            let (format, written) = what_is(path, format, written, config)?;
            let format = format_named(&format, config)?;
            formats.insert(format.to_owned());
            let unknown = || Failure::Usage(format!("{format} is not read with this --compat"));
            let shard = pipeline.shard(format, &understand(&written)?).ok_or_else(unknown)?;
            let feed = |name: &str| {
                let feed = shard.feed(name, name);
                lines.push(feed.lines());
                feed
            };
            Files::new(std::slice::from_ref(path), config, pipeline.rule(format)).read(feed, &|| false)?;
        }
        let outcomes = lines.iter().map(|lines| lines.outcomes()).fold([0; 3], |mut total, lines| {
            total.iter_mut().zip(lines).for_each(|(total, lines)| *total += lines);
            total
        });
        Ok(Sample::of(&pipeline, config, formats, outcomes))
    })
}

/// What a sample is read as: what the options say, else as the source does that would read it, else as all sources are.
fn what_is(
    path: &Path,
    format: Option<&str>,
    written: &WrittenOptions,
    config: &Config,
) -> Result<(String, Written), Failure> {
    let asked = written.written();
    if let Some(format) = format.or(asked.as_ref().map(|_| "haproxy")) {
        return Ok((format.to_owned(), asked.unwrap_or_default()));
    }
    let name = path.to_string_lossy();
    let is_its = |input: &Input| match input {
        Input::File { path, .. } => {
            *path == name || glob::Pattern::new(path).is_ok_and(|pattern| pattern.matches_path(Path::new(&*name)))
        }
        _ => false,
    };
    let of = |source: &crate::config::Source| (source.format.clone(), source.written.clone());
    if let Some(source) = config.sources.iter().find(|source| is_its(&source.input)) {
        return Ok(of(source));
    }
    match config.sources.as_slice() {
        [first, rest @ ..] if rest.iter().all(|other| of(other) == of(first)) => Ok(of(first)),
        _ => Err(Failure::Usage(format!(
            "{name} belongs to no source of the configuration: say what it is with --format"
        ))),
    }
}

impl Sample {
    fn of(
        pipeline: &Pipeline,
        config: &Config,
        formats: BTreeSet<String>,
        [parsed, ignored, rejected]: [u64; 3],
    ) -> Self {
        let cardinality = pipeline.cardinality();
        let has_more = cardinality.metrics.iter().any(|metric| metric.series >= MAX_SERIES)
            || cardinality.series >= MAX_SERIES_TOTAL;
        let mut tables = tables(pipeline, config);
        let explosions = tables.iter_mut().flat_map(|table| explosions(table, config)).collect::<Vec<_>>();
        let proposal = Proposal::of(&explosions, config);
        let metrics = cardinality.metrics.into_iter().map(|metric| Predicted {
            name: metric.name,
            series: metric.series,
            max_series: config.max_series_of(metric.name),
            labels: metric.labels,
        });
        let (series, metrics) = (cardinality.series, metrics.collect());
        Self { formats, parsed, ignored, rejected, series, has_more, metrics, explosions, proposal }
    }
}

/// The rows of every metric.
fn tables(pipeline: &Pipeline, config: &Config) -> Vec<Table> {
    let mut tables = Vec::new();
    pipeline.visit(&mut |planned, snapshot| {
        for (metric, slot) in planned.plan.family.metrics.iter().zip(&planned.plan.slots) {
            let Some((slot, group)) = slot.and_then(|slot| Some((slot, planned.plan.groups.get(slot.group)?))) else {
                continue;
            };
            // Of a histogram what was observed in all: that tells as well which values matter.
            let samples = |row| snapshot.cells.sum(slot.group, row, slot.sum);
            let rows = snapshot.cells.rows(slot.group);
            let rows = rows.filter_map(|row| Some((planned.directory.values(slot.group, row)?, samples(row))));
            tables.push(Table {
                metric: metric.name,
                labels: group.labels.iter().map(|label| label.name.clone()).collect(),
                rows: rows.collect(),
                max_series: config.max_series_of(metric.name),
            });
        }
    });
    tables
}

impl Table {
    /// The values of label number `label`, with the samples of each.
    fn values(&self, label: usize) -> Values {
        let mut values = Values::new();
        for (tuple, samples) in &self.rows {
            if let Some(value) = tuple.get(label) {
                *values.entry(value.clone()).or_default() += samples;
            }
        }
        values
    }

    /// Series without label number `label`.
    fn without(&self, label: usize) -> usize {
        let others = |tuple: &Vec<Vec<u8>>| {
            let others = tuple.iter().enumerate().filter(|(other, _)| *other != label);
            others.map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        self.rows.keys().map(others).collect::<HashSet<_>>().len()
    }

    /// The label that multiplies the series most, if one does: its place, its values, and the series without it.
    fn exploding(&self, done: &[usize]) -> Option<(usize, Values, usize)> {
        let candidates = (0..self.labels.len()).filter(|label| !done.contains(label));
        let (label, without) =
            candidates.map(|label| (label, self.without(label))).min_by_key(|(_, without)| *without)?;
        let (values, series) = (self.values(label), self.rows.len());
        let is_many = values.len() >= MANY_VALUES && series >= MANY_TIMES * without.max(1);
        (is_many || (series > self.max_series && values.len() > 1)).then_some((label, values, without))
    }

    /// What is left of the rows when `policy` holds for label number `label`.
    fn apply(&mut self, label: usize, policy: &LabelPolicy) {
        let mut shown: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let (mut known, mut spare) = (HashSet::new(), Vec::new());
        for raw in self.values(label).into_keys() {
            let mut value = raw.clone();
            let is_shown = policy.apply(&mut value, &mut spare)
                && (known.contains(&value) || policy.max_values.is_none_or(|limit| known.len() < limit));
            if !is_shown {
                value = crate::series::OTHER.to_vec();
            }
            known.insert(value.clone());
            shown.insert(raw, value);
        }
        for (mut tuple, samples) in std::mem::take(&mut self.rows) {
            if let Some(value) = tuple.get_mut(label)
                && let Some(shown) = shown.get(value)
            {
                value.clone_from(shown);
            }
            *self.rows.entry(tuple).or_default() += samples;
        }
    }
}

/// Labels of a metric that explode one after the other, each with the rules for those before.
fn explosions(table: &mut Table, config: &Config) -> Vec<Explosion> {
    let (mut found, mut done) = (Vec::<Explosion>::new(), Vec::new());
    while found.len() < MAX_RULES
        && let Some((label, values, without)) = table.exploding(&done)
    {
        done.push(label);
        let (Some(name), series) = (table.labels.get(label).cloned(), table.rows.len()) else { break };
        let policy = policy_of(config, table.metric, &name);
        let proposed = propose(&name, &values, policy);
        if let Some((_, policy, _)) = &proposed {
            table.apply(label, policy);
        }
        let (rules, reason) = proposed.map(|(rules, _, reason)| (rules, reason)).unzip();
        found.push(Explosion {
            label: name,
            metric: table.metric,
            values: values.len(),
            series,
            series_without: without,
            rules,
            reason,
            series_with_rules: 0,
        });
    }
    found.iter_mut().for_each(|explosion| explosion.series_with_rules = table.rows.len());
    found
}

/// The policy that holds for a label in a metric.
fn policy_of<'c>(config: &'c Config, metric: &str, label: &str) -> Option<&'c LabelPolicy> {
    let own = config.metric(metric).and_then(|metric| metric.labels.as_ref());
    let choice = own.and_then(|choices| choices.iter().find(|choice| choice.name == label));
    choice.and_then(|choice| choice.policy.as_ref()).or_else(|| config.labels.get(label))
}

impl Proposal {
    fn of(explosions: &[Explosion], config: &Config) -> Option<Self> {
        let rules = explosions.iter().filter_map(|explosion| Some((explosion, explosion.rules.as_ref()?)));
        let rules = rules.collect::<Vec<_>>();
        if rules.is_empty() {
            return None;
        }
        // Each metric once: the first explosion tells how many series there are, all tell how many there would be.
        let mut about = BTreeMap::new();
        for (explosion, _) in &rules {
            let series = about.entry(explosion.metric).or_insert((0, 0));
            *series = (explosion.series.max(series.0), explosion.series_with_rules);
        }
        // A policy that a metric has for itself is replaced there, any other one wherever the label is used.
        let has_own = |explosion: &Explosion| {
            let own = config.metric(explosion.metric).and_then(|metric| metric.labels.as_ref());
            own.is_some_and(|own| own.iter().any(|choice| choice.name == explosion.label && choice.policy.is_some()))
        };
        let (own, shared): (Vec<_>, Vec<_>) = rules.into_iter().partition(|(explosion, _)| has_own(explosion));
        let mut yaml = String::new();
        let mut seen = BTreeSet::new();
        for (explosion, rules) in shared.iter().filter(|(explosion, _)| seen.insert(explosion.label.as_str())) {
            if yaml.is_empty() {
                yaml.push_str("labels:\n");
            }
            yaml.push_str(&format!("  {}: {{{rules}}}\n", explosion.label));
        }
        for (index, metric) in
            own.iter().map(|(explosion, _)| explosion.metric).collect::<BTreeSet<_>>().iter().enumerate()
        {
            yaml.push_str(if index == 0 { "metrics:\n" } else { "" });
            yaml.push_str(&format!("  {metric}:\n    labels:\n"));
            let catalogue = families(config.compat).iter().flat_map(|family| family.metrics);
            let labels = catalogue.filter(|known| known.name == *metric).flat_map(|metric| config.labels_of(metric));
            for (label, _) in labels {
                let rules = own.iter().find(|(other, _)| other.metric == *metric && other.label == label);
                match rules {
                    Some((_, rules)) => yaml.push_str(&format!("      - {label}: {{{rules}}}\n")),
                    None => yaml.push_str(&format!("      - {label}\n")),
                }
            }
        }
        let (series, series_then) = about.values().fold((0, 0), |sum, series| (sum.0 + series.0, sum.1 + series.1));
        Some(Self { yaml, series, series_then })
    }
}
