//! The own telemetry as tables: the recorder's text taken apart, and what the system says of the process.

use std::collections::BTreeMap;

use super::{
    METRICS, PROCESS_CPU_SECONDS, PROCESS_MAX_FDS, PROCESS_OPEN_FDS, PROCESS_RESIDENT_MEMORY, PROCESS_START_TIME,
    PROCESS_THREADS, PROCESS_VIRTUAL_MEMORY, PROCESS_VIRTUAL_MEMORY_MAX,
};
use crate::exposition::{Head, Number, Sample, Table, Type};
use crate::metrics::{Kind, Metric};

/// The tables in `text`, which the recorder wrote, without the lines that are hidden.
pub(super) fn recorded(text: &str, is_hidden: impl Fn(&str) -> bool) -> Vec<Table> {
    // The recorder walks hash maps. It escapes line breaks, so that every line is a comment or a sample. What libraries record
    // of themselves would be after the table, by name; none of those that are used here does.
    let mut metrics: BTreeMap<(usize, &str), Recorded<'_>> = BTreeMap::new();
    for line in text.lines() {
        let (comment, rest) = match (line.strip_prefix("# HELP "), line.strip_prefix("# TYPE ")) {
            (Some(rest), _) => (Some(Comment::Help), rest),
            (_, Some(rest)) => (Some(Comment::Type), rest),
            _ => (None, line),
        };
        let end = rest.find(['{', ' ']).unwrap_or_default();
        let (name, rest) = rest.split_at(end);
        let place = METRICS.iter().position(|metric| metric.name == name).unwrap_or(METRICS.len());
        if name.is_empty() || is_hidden(line) {
            continue;
        }
        let metric = metrics.entry((place, name)).or_default();
        match comment {
            Some(Comment::Help) => metric.help = rest.trim_start(),
            Some(Comment::Type) => metric.kind = rest.trim_start(),
            None => metric.samples.extend(sample(rest)),
        }
    }
    let tables = metrics.into_iter().filter_map(|((place, name), mut metric)| {
        metric.samples.sort_by(|one, other| one.labels.cmp(&other.labels));
        let head = match METRICS.get(place) {
            Some(known) => Head::of(known, None),
            None => metric.head(name)?,
        };
        Some(Table::told(head, metric.samples))
    });
    tables.collect()
}

enum Comment {
    Help,
    Type,
}

/// What the recorder says of a metric.
#[derive(Default)]
struct Recorded<'a> {
    help: &'a str,
    kind: &'a str,
    samples: Vec<Sample>,
}

impl Recorded<'_> {
    /// Of a metric that is not in the table; `None` for types that nobody records here.
    fn head(&self, name: &str) -> Option<Head> {
        let kind = match self.kind {
            "counter" => Type::Counter,
            "gauge" => Type::Gauge,
            _ => return None,
        };
        Some(Head::plain(name.to_owned(), self.help.to_owned(), kind))
    }
}

/// What stands behind the name of a sample.
fn sample(text: &str) -> Option<Sample> {
    let (labels, value) = text.rsplit_once(' ')?;
    let labels = labels.strip_prefix('{').and_then(|labels| labels.strip_suffix('}')).unwrap_or_default();
    let value = value.parse().map(Number::Whole).or_else(|_| value.parse().map(Number::Float)).ok()?;
    Some(Sample { labels: labels.to_owned(), value, created_ms: None })
}

/// What the system says of this process; what it does not say is left out.
pub(super) fn process() -> Vec<Table> {
    // 0 means unlimited there. The largest number keeps ratios like open/max meaningful.
    let limit = |max: Option<u64>| max.map(|max| if max == 0 { u64::MAX } else { max });
    let process = metrics_process::collector::collect();
    let started_ms = process.start_time_seconds.map(|seconds| seconds.saturating_mul(1000));
    let values = [
        (&PROCESS_CPU_SECONDS, process.cpu_seconds_total.map(Number::Float)),
        (&PROCESS_OPEN_FDS, process.open_fds.map(Number::Whole)),
        (&PROCESS_MAX_FDS, limit(process.max_fds).map(Number::Whole)),
        (&PROCESS_VIRTUAL_MEMORY, process.virtual_memory_bytes.map(Number::Whole)),
        (&PROCESS_VIRTUAL_MEMORY_MAX, limit(process.virtual_memory_max_bytes).map(Number::Whole)),
        (&PROCESS_RESIDENT_MEMORY, process.resident_memory_bytes.map(Number::Whole)),
        (&PROCESS_START_TIME, process.start_time_seconds.map(Number::Whole)),
        (&PROCESS_THREADS, process.threads.map(Number::Whole)),
    ];
    let told = |(metric, value): (&Metric, Option<Number>)| {
        let created_ms = started_ms.filter(|_| metric.kind == Kind::Counter);
        Some(Table::told(Head::of(metric, None), vec![Sample { labels: String::new(), value: value?, created_ms }]))
    };
    values.into_iter().filter_map(told).collect()
}
