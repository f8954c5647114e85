//! What `tailmeter explain` says of a format that the configuration describes.

use std::fmt::Write;
use std::io;

use serde::Serialize;

use crate::metrics::Kind;
use crate::metrics::custom::{Explained, Format};

/// All that is said.
#[derive(Serialize)]
struct Explanation<'f> {
    format: &'f str,
    messages: Vec<Explained>,
    fields: Vec<String>,
    metrics: Vec<Metric<'f>>,
}

#[derive(Serialize)]
struct Metric<'f> {
    name: &'f str,
    r#type: &'static str,
    labels: &'f [&'static str],
}

/// The explanation of `format`, for people or as JSON.
pub(super) fn explanation(format: &Format, json: bool) -> io::Result<String> {
    let metric = |metric: &'static crate::metrics::Metric| Metric {
        name: metric.name,
        r#type: match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge | Kind::Last => "gauge",
            Kind::Histogram(_) => "histogram",
            Kind::Summary(_) => "summary",
        },
        labels: metric.labels,
    };
    let explanation = Explanation {
        format: &format.definition.name,
        messages: format.explain(),
        fields: format.definition.field_names(),
        metrics: format.family.metrics.iter().map(metric).collect(),
    };
    match json {
        true => serde_json::to_string_pretty(&explanation).map(|text| text + "\n").map_err(io::Error::from),
        false => text_of(&explanation).map_err(io::Error::other),
    }
}

fn text_of(explanation: &Explanation<'_>) -> Result<String, std::fmt::Error> {
    let mut text = format!("{}\n\n", explanation.format);
    for Explained { what, how, .. } in &explanation.messages {
        writeln!(text, "  {what}: {how}")?;
    }
    writeln!(text, "\n  fields: {}\n", explanation.fields.join(", "))?;
    for Metric { name, r#type, labels } in &explanation.metrics {
        let labels = if labels.is_empty() { String::new() } else { format!(" by {}", labels.join(", ")) };
        writeln!(text, "  {name} ({type}){labels}")?;
    }
    Ok(text)
}
