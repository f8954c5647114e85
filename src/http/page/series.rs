//! The table of the metrics with the most series: how many, of how many, and which label makes them.

use std::fmt::{self, Write};

use super::{Escaped, Grouped};
use crate::metrics::{Cardinality, MetricCardinality};

/// Metrics that are shown, at most.
const METRICS: usize = 15;

/// Values of a label that are shown, at most.
const VALUES: usize = 3;

/// Characters of a value that are shown, at most.
const LONGEST: usize = 60;

/// Appends the table.
pub(super) fn write(html: &mut String, cardinality: &Cardinality) -> fmt::Result {
    write!(
        html,
        "<h2>Series</h2>\n<p>{} of at most {}</p>\n",
        Grouped(cardinality.series as u64),
        Grouped(cardinality.limit as u64)
    )?;
    html.push_str(
        "<div class=\"table\">\n<table>\n<thead><tr><th scope=\"col\">Metric</th>\
         <th scope=\"col\" class=\"n\">Series</th><th scope=\"col\" class=\"n\">At most</th>\
         <th scope=\"col\" class=\"n\">Idle</th><th scope=\"col\" class=\"n\">Overflow</th>\
         <th scope=\"col\">Label with the most values</th></tr></thead>\n<tbody>\n",
    );
    for metric in cardinality.metrics.iter().take(METRICS) {
        write_metric(html, metric)?;
    }
    html.push_str("</tbody>\n</table>\n</div>\n");
    Ok(())
}

fn write_metric(html: &mut String, metric: &MetricCardinality) -> fmt::Result {
    let some = if metric.overflow == 0 { "" } else { " some" };
    write!(
        html,
        "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
         <td class=\"n{some}\">{}</td><td class=\"w\">",
        Escaped(metric.name),
        Grouped(metric.series as u64),
        Grouped(metric.limit as u64),
        Grouped(metric.expired as u64),
        Grouped(metric.overflow),
    )?;
    if let Some(label) = metric.labels.first() {
        let values = if label.values == 1 { "value" } else { "values" };
        write!(html, "{}: {} {values}", Escaped(&label.name), Grouped(label.values as u64))?;
        for (index, top) in label.top.iter().take(VALUES).enumerate() {
            let lead = if index == 0 { ", such as" } else { "," };
            let value = top.value.char_indices().nth(LONGEST).map_or(&*top.value, |(end, _)| &top.value[..end]);
            let cut = if value.len() < top.value.len() { "…" } else { "" };
            write!(html, "{lead} <code>{}{cut}</code> ({})", Escaped(value), Grouped(top.series as u64))?;
        }
    }
    html.push_str("</td></tr>\n");
    Ok(())
}
