//! METRICS.md, written from the catalogue, and LOG_FORMAT.md (`log_format`): what stands there cannot differ from what
//! the program does. A test compares them with the files in the repository.

mod log_format;

use std::fmt::{self, Write};

use tailmeter_parsers::haproxy::TERMINATION;

pub use log_format::log_format;

use crate::metrics::{Compat, FAMILIES, Family, Kind, Metric, Unit, families, haproxy, own, postfix};

const INTRODUCTION: &str = "\
# Metrics

Generated from the catalogue of the program; do not edit. After a change: `UPDATE=1 cargo test --test generated`.

A metric has its default labels unless the configuration gives it a list of its own, which may hold every label named
for it here. Labels marked *private* identify people or grow with traffic: using one needs a policy for it, or the
explicit word `unbounded: true`. Values that a policy does not allow, and series beyond `max_series`, are counted under
the value `other`: sums stay right, and `tailmeter_label_overflow_total` counts the samples.
";

/// The text of METRICS.md.
pub fn metrics() -> String {
    let mut text = INTRODUCTION.to_owned();
    // Writing to a String cannot fail.
    for family in FAMILIES {
        let _ = write_family(&mut text, &format!("Logs of the format `{}`", family.name), "", family);
    }
    for compat in Compat::ALL {
        for family in families(Some(*compat)).iter().filter(|family| family.compat == Some(*compat)) {
            let title = format!("Logs of the format `{}` with `--compat {}`", family.name, compat.name());
            let about = match compat {
                Compat::HaproxyLogExporter => haproxy::compat::DIFFERENCES,
                Compat::PostfixExporter => postfix::compat::DIFFERENCES,
            };
            let _ = write_family(&mut text, &title, about, family);
        }
    }
    let _ = write_family(&mut text, "tailmeter itself", "", &own::FAMILY);
    let _ = write_terminations(&mut text);
    text
}

const TERMINATIONS: &str = "
## HAProxy's termination states

What the characters of `termination_state` say. `haproxy_log_terminations_total` has the first two: what ended the
request or session, and in which phase. So `SH` is a server that went away before it had answered, and `cD` a client that
let data wait for too long. In lines of requests two more follow, about the cookie that keeps a client with its server:
what the client sent, and what became of it in the response. A character that HAProxy does not write is counted as `other`.
";

/// The characters of HAProxy's termination state, a table for each place.
fn write_terminations(text: &mut String) -> fmt::Result {
    const PLACES: [&str; 4] =
        ["First: ended by", "Second: ended", "Third: the client's cookie", "Fourth: the response's cookie"];
    text.push_str(TERMINATIONS);
    for (place, meanings) in PLACES.iter().zip(TERMINATION) {
        writeln!(text, "\n| {place} | |\n|---|---|")?;
        for one in meanings {
            writeln!(text, "| `{}` | {} |", char::from(one.character), cell(one.meaning))?;
        }
    }
    Ok(())
}

/// `about`: what is to be said before the tables, if anything.
fn write_family(text: &mut String, title: &str, about: &str, family: &Family) -> fmt::Result {
    write!(text, "\n## {title}\n\n")?;
    if !about.is_empty() {
        writeln!(text, "{about}")?;
    }
    text.push_str("| Metric | Type | Unit | Default labels | Meaning |\n|---|---|---|---|---|\n");
    for metric in family.metrics {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge | Kind::Last => "gauge",
            Kind::Histogram(_) => "histogram",
            Kind::Summary(_) => "summary",
        };
        let unit = match metric.unit {
            Unit::None | Unit::Fine => "",
            Unit::Seconds | Unit::FineSeconds => "seconds",
            Unit::Milliseconds => "milliseconds",
            Unit::Points => "points",
            Unit::Bytes => "bytes",
        };
        let labels = codes(metric.labels.iter().copied());
        let (name, help) = (metric.name, cell(metric.help));
        writeln!(text, "| `{name}` | {kind} | {unit} | {labels} | {help} |")?;
    }
    write_opt_in(text, family)?;
    write_buckets(text, family)?;
    text.push_str("\n| Label | Meaning |\n|---|---|\n");
    for label in family.labels {
        let private = if label.private { "*private*: " } else { "" };
        let (name, help) = (label.name, cell(label.help));
        writeln!(text, "| `{name}` | {private}{help} |")?;
    }
    Ok(())
}

/// The labels that can be added, by metrics that have the same ones.
fn write_opt_in(text: &mut String, family: &Family) -> fmt::Result {
    let added = |metric: &Metric| -> Vec<&'static str> {
        let opt_in = metric.opt_in.iter().copied();
        opt_in.filter(|label| !metric.labels.contains(label)).collect()
    };
    let groups = grouped(family, |metric| Some(added(metric)).filter(|labels| !labels.is_empty()));
    if groups.is_empty() {
        return Ok(());
    }
    text.push_str("\n| Labels that can be added | to |\n|---|---|\n");
    for (labels, metrics) in groups {
        let (open, private): (Vec<_>, Vec<_>) = labels.iter().copied().partition(|name| !is_private(family, name));
        let mut shown = codes(open.iter().copied());
        if !private.is_empty() {
            let comma = if open.is_empty() { "" } else { "; " };
            write!(shown, "{comma}*private*: {}", codes(private.iter().copied()))?;
        }
        writeln!(text, "| {shown} | {} |", codes(metrics.into_iter()))?;
    }
    Ok(())
}

fn is_private(family: &Family, name: &str) -> bool {
    family.labels.iter().any(|label| label.name == name && label.private)
}

/// The upper bounds of histograms, by histograms that have the same ones.
fn write_buckets(text: &mut String, family: &Family) -> fmt::Result {
    let groups = grouped(family, |metric| match metric.kind {
        Kind::Histogram(bounds) => Some((bounds, metric.unit)),
        Kind::Counter | Kind::Gauge | Kind::Last | Kind::Summary(_) => None,
    });
    if groups.is_empty() {
        return Ok(());
    }
    text.push_str("\n| Upper bounds of the buckets (`+Inf` follows) | of |\n|---|---|\n");
    for ((bounds, _), metrics) in groups {
        let bounds: Vec<String> = bounds.iter().map(f64::to_string).collect();
        let metrics = codes(metrics.into_iter());
        writeln!(text, "| {} | {metrics} |", bounds.join(" "))?;
    }
    Ok(())
}

/// The metrics that have the same `key`, in the order of the catalogue.
fn grouped<K: PartialEq>(family: &Family, key: impl Fn(&Metric) -> Option<K>) -> Vec<(K, Vec<&'static str>)> {
    let mut groups: Vec<(K, Vec<&'static str>)> = Vec::new();
    for metric in family.metrics {
        let Some(key) = key(metric) else { continue };
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, metrics)) => metrics.push(metric.name),
            None => groups.push((key, vec![metric.name])),
        }
    }
    groups
}

fn codes<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// `text` inside a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
