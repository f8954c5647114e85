//! `tailmeter check`: whether a configuration is right, what it would count, and, with sample logs, how many series that would
//! be, which label makes them, and rules that would bring them down.
//!
//! Here is what is said, as one value; `text` writes it for people, `--json` as it is. `sample` counts, `propose` learns rules
//! from the values of a label.

mod propose;
mod sample;
mod text;

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use serde::Serialize;

use super::{CompatOption, ConfigOption, Failure, WrittenOptions, say};
use crate::config::{Config, Source, shown_span};
use crate::metrics::{Family, Kind, Metric, families};

/// Check a configuration, and what it would count
///
/// Reads the configuration and everything that it names, tells every mistake, and prints what would be counted: sources,
/// metrics, labels and limits. Nothing is followed and no state is touched.
///
/// With --sample, logs are counted as `run` would count them, but without limits: that says how many series each metric will
/// have, and how many values each label. Labels whose values multiply the series are named, with rules learned from the
/// sample that would bring them down; what is printed can be pasted into the configuration.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigOption,
    #[command(flatten)]
    compat: CompatOption,
    /// Log to count; may be repeated
    #[arg(long, value_name = "LOG", env = "TAILMETER_SAMPLE", num_args = 1..)]
    sample: Vec<PathBuf>,
    /// Log family of the samples [default: that of the source of the configuration that would read them]
    #[arg(long, value_name = "FORMAT", env = "TAILMETER_FORMAT")]
    format: Option<String>,
    #[command(flatten)]
    written: WrittenOptions,
    /// Print one JSON object
    #[arg(long, env = "TAILMETER_JSON", value_parser = FalseyValueParser::new())]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  tailmeter check --config /etc/tailmeter.yml
  tailmeter check --config /etc/tailmeter.yml --sample /var/log/haproxy.log.1
  tailmeter check --format haproxy --sample /var/log/haproxy.log --json | jq .sample.metrics";

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.compat.load(&arguments.config)?;
    for source in &config.sources {
        let failed = |error| Failure::Usage(format!("{}: {error}", source.label()));
        let understood = source.written.understand().map_err(failed)?;
        understood.warnings.iter().for_each(|warning| say(format_args!("warning: {warning}")));
    }
    let sample = match arguments.sample.as_slice() {
        [] => None,
        paths => Some(sample::count(paths, arguments.format.as_deref(), &arguments.written, &config)?),
    };
    let checked = Checked::of(arguments, &config, sample);
    let out = if arguments.json {
        serde_json::to_string_pretty(&checked).map(|text| text + "\n").map_err(io::Error::from)
    } else {
        Ok(text::of(&checked))
    };
    match out.and_then(|text| io::stdout().lock().write_all(text.as_bytes())) {
        // Whoever read it has seen enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Work(format!("cannot write what was found: {error}")))
        }
        _ => Ok(()),
    }
}

/// All that is said.
#[derive(Debug, Serialize)]
struct Checked {
    /// The file; none: the defaults.
    config: Option<String>,
    listen: String,
    max_line_bytes: usize,
    /// Most series of all metrics together.
    max_series_total: usize,
    sources: Vec<SourceShown>,
    /// Those that lines of the sources, or of the sample, count in.
    metrics: Vec<MetricShown>,
    sample: Option<sample::Sample>,
}

/// What would be read.
#[derive(Debug, Serialize)]
struct SourceShown {
    name: String,
    format: String,
}

/// What would be counted.
#[derive(Debug, Serialize)]
struct MetricShown {
    name: &'static str,
    family: &'static str,
    kind: &'static str,
    labels: Vec<LabelShown>,
    max_series: usize,
    /// How long an idle series is shown; none: always.
    expire_after: Option<String>,
}

/// A label, and which rules there are for its values.
#[derive(Debug, Serialize)]
struct LabelShown {
    name: String,
    rules: Vec<&'static str>,
}

impl Checked {
    fn of(arguments: &Arguments, config: &Config, sample: Option<sample::Sample>) -> Self {
        let shown = |source: &Source| SourceShown { name: source.label(), format: source.format.clone() };
        let sources = config.sources.iter().map(shown).collect::<Vec<_>>();
        let sampled = sample.iter().flat_map(|sample| &sample.formats).map(String::as_str);
        let formats = sources.iter().map(|source| source.format.as_str()).chain(sampled).collect::<Vec<_>>();
        let is_read =
            |family: &&&'static Family| formats.is_empty() || formats.iter().any(|format| family.is_read_as(format));
        let read = families(config.compat).iter().filter(is_read);
        let metrics = read.flat_map(|family| {
            let counted = family.metrics.iter().filter(|metric| config.is_enabled(metric));
            counted.map(|metric| MetricShown::of(family, metric, config))
        });
        Self {
            config: arguments.config.config.as_ref().map(|path| path.display().to_string()),
            listen: config.listen.to_string(),
            max_line_bytes: config.max_line_bytes,
            max_series_total: config.max_series_total,
            metrics: metrics.collect(),
            sources,
            sample,
        }
    }
}

impl MetricShown {
    fn of(family: &Family, metric: &Metric, config: &Config) -> Self {
        let labels = config.labels_of(metric).into_iter().map(|(name, policy)| {
            let rules = policy.map(|policy| {
                let rules = [
                    ("lower", policy.lower),
                    ("rewrite", !policy.rewrite.is_empty()),
                    ("template", policy.template.is_some()),
                    ("ip_prefix", policy.ip_prefix.is_some()),
                    ("deny", policy.deny.is_some()),
                    ("allow", policy.allow.is_some()),
                    ("from_file", policy.from_file.is_some()),
                    ("hash", policy.hash.is_some()),
                    ("max_values", policy.max_values.is_some()),
                    ("unbounded", policy.unbounded),
                ];
                rules.into_iter().filter(|(_, is_there)| *is_there).map(|(rule, _)| rule).collect()
            });
            LabelShown { name: name.to_owned(), rules: rules.unwrap_or_default() }
        });
        Self {
            name: metric.name,
            family: family.name,
            kind: match metric.kind {
                Kind::Counter => "counter",
                Kind::Gauge | Kind::Last => "gauge",
                Kind::Histogram(_) => "histogram",
                Kind::Summary(_) => "summary",
            },
            labels: labels.collect(),
            max_series: config.max_series_of(metric.name),
            expire_after: config.expire_after(metric).map(shown_span),
        }
    }
}
