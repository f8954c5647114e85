//! What a check found, as text.

use super::super::columns::{WIDTH, line_of, paragraph, table, title};
use super::sample::{Explosion, Sample};
use super::{Checked, LabelShown, MetricShown};

/// Labels of a metric in a sample that are shown.
const LABELS: usize = 4;

pub(super) fn of(checked: &Checked) -> String {
    let mut text = String::new();
    match &checked.config {
        Some(file) => title(&mut text, &format!("{file} is in order.")),
        None => title(&mut text, "There is no configuration file: these are the defaults."),
    }
    text.push('\n');
    title(&mut text, "Sources");
    if checked.sources.is_empty() {
        line_of(&mut text, "none; options of `run` can name some");
    }
    let sources = checked.sources.iter().map(|source| vec![source.name.clone(), source.format.clone()]);
    table(&mut text, sources.collect(), &[80, 30]);
    text.push('\n');
    title(&mut text, &format!("Metrics: at most {} series together", checked.max_series_total));
    let header = ["Metric", "Series", "Idle", "Labels"].map(str::to_owned).to_vec();
    let metrics = checked.metrics.iter().map(metric);
    table(&mut text, std::iter::once(header).chain(metrics).collect(), &[48, 10, 8, 46]);
    if let Some(sample) = &checked.sample {
        text.push('\n');
        write_sample(&mut text, sample);
    }
    text
}

fn metric(metric: &MetricShown) -> Vec<String> {
    let label = |label: &LabelShown| match label.rules.as_slice() {
        [] => label.name.clone(),
        rules => format!("{} ({})", label.name, rules.join(", ")),
    };
    let idle = metric.expire_after.clone().unwrap_or_else(|| "stay".to_owned());
    let labels = metric.labels.iter().map(label).collect::<Vec<_>>().join(", ");
    vec![metric.name.to_owned(), format!("{:>6}", metric.max_series), idle, labels]
}

fn write_sample(text: &mut String, sample: &Sample) {
    let Sample { parsed, ignored, rejected, series, has_more, .. } = sample;
    let lines = parsed + ignored + rejected;
    let more = if *has_more { "more than " } else { "" };
    title(
        text,
        &format!(
            "Sample: {lines} lines, {parsed} parsed, {ignored} ignored, {rejected} rejected: {more}{series} series"
        ),
    );
    let header = ["Metric", "Series", "At most", "Values of its labels"].map(str::to_owned).to_vec();
    let metrics = sample.metrics.iter().map(|metric| {
        let labels = metric.labels.iter().take(LABELS).map(|label| format!("{} {}", label.name, label.values));
        let over = if metric.series > metric.max_series { " !" } else { "" };
        vec![
            metric.name.to_owned(),
            format!("{:>7}", metric.series),
            format!("{:>7}{over}", metric.max_series),
            labels.collect::<Vec<_>>().join(", "),
        ]
    });
    table(text, std::iter::once(header).chain(metrics).collect(), &[48, 8, 10, 46]);
    text.push('\n');
    if sample.explosions.is_empty() {
        title(text, "No label explodes.");
        return;
    }
    title(text, "Labels that explode");
    for explosion in &sample.explosions {
        paragraph(text, &about(explosion));
    }
    if let Some(proposal) = &sample.proposal {
        text.push('\n');
        title(
            text,
            &format!(
                "Proposal: {} series in place of {}. For the configuration:",
                proposal.series_then, proposal.series
            ),
        );
        text.push('\n');
        for line in proposal.yaml.lines() {
            for part in folded(line) {
                text.push_str(&part);
                text.push('\n');
            }
        }
    }
}

fn about(explosion: &Explosion) -> String {
    let Explosion { label, metric, values, series, series_without, .. } = explosion;
    let rest = match &explosion.reason {
        Some(reason) => format!("; {reason}"),
        None => "; its rules admit too many, so add max_values, or leave it out".to_owned(),
    };
    format!("{label} of {metric}: {values} values make {series} series of {series_without}{rest}")
}

/// A line of YAML with breaks behind commas where it is too long, which change nothing inside of braces.
fn folded(line: &str) -> Vec<String> {
    let indent = line.len() - line.trim_start().len() + 4;
    let (mut lines, mut rest) = (Vec::new(), line.to_owned());
    while rest.chars().count() > WIDTH {
        let end = rest.char_indices().nth(WIDTH).map_or(rest.len(), |(end, _)| end);
        let Some(cut) = rest.get(..end).and_then(|head| head.rfind("', '")).map(|quote| quote + 2) else { break };
        let (head, tail) = rest.split_at(cut);
        lines.push(head.to_owned());
        rest = format!("{}{}", " ".repeat(indent), tail.trim_start());
    }
    lines.push(rest);
    lines
}
