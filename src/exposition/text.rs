//! The text forms: Prometheus text 0.0.4, and OpenMetrics 1.0, which differs in a few rules:
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>.
//!
//! - The name of a counter's metric lacks the `_total` that its samples have. Counters of other programs' metrics that have none
//!   are `unknown`, as Prometheus' own libraries have it, so that their samples keep their names.
//! - A unit is told where the name ends with it, and quotes in HELP are escaped.
//! - Bounds that are whole numbers are written `1.0`.
//! - A histogram with bounds below zero may have no sum. Its buckets, sums and counts are metrics of type `unknown` then,
//!   each with all rows: the samples are the same, and nothing is lost.
//! - Counters and buckets have exemplars.
//! - `# EOF` ends it.

use super::rendering::Pass;
use super::table::{Head, Number, Row, Type, Value};
use crate::metrics::{Compat, Unit};
use crate::series::Exemplar;

/// Which of the text forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Prometheus text.
    Prometheus,
    /// OpenMetrics, with `_created` samples or without.
    OpenMetrics { has_created: bool },
}

/// Writes one table.
#[derive(Debug)]
pub(super) struct Writer {
    style: Style,
    kind: Type,
    help: String,
    unit: Option<&'static str>,
    /// Of the values of exemplars.
    cell_unit: Unit,
    /// Of the samples; of those of a histogram, without suffix.
    name: String,
    /// In HELP and TYPE.
    short_name: String,
    /// Of a histogram: what stands before the labels of a bucket, and what closes them, by bucket.
    bucket: Vec<u8>,
    bounds: Vec<String>,
    part: Part,
    has_head: bool,
}

/// Which samples of a histogram are being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// All, row by row.
    All,
    /// Those of one kind, as a metric of their own.
    Buckets,
    Sums,
    Counts,
}

impl Part {
    const fn suffix(self) -> &'static str {
        match self {
            Self::All => "",
            Self::Buckets => "_bucket",
            Self::Sums => "_sum",
            Self::Counts => "_count",
        }
    }
}

impl Writer {
    pub(super) fn new(head: &Head, style: Style) -> Self {
        let is_openmetrics = style != Style::Prometheus;
        let bounds = &head.bounds;
        let is_below_zero = bounds.first().is_some_and(|bound| *bound < 0.0);
        let bound = |bound: &f64| format!("le=\"{}\"}} ", bound_as_text(*bound, is_openmetrics, head.compat));
        Self {
            style,
            kind: head.kind,
            cell_unit: head.unit,
            help: escaped_help(&head.help, is_openmetrics),
            unit: head.unit_name().filter(|_| is_openmetrics && !is_below_zero),
            name: head.name.to_string(),
            short_name: if is_openmetrics { head.short_name() } else { &*head.name }.to_owned(),
            bucket: [head.name.as_bytes(), b"_bucket{"].concat(),
            bounds: bounds.iter().map(bound).chain(["le=\"+Inf\"} ".to_owned()]).collect(),
            part: if is_openmetrics && is_below_zero { Part::Buckets } else { Part::All },
            has_head: false,
        }
    }

    #[cold]
    fn write_head(&mut self, out: &mut Vec<u8>) {
        self.has_head = true;
        let Self { help, part, .. } = self;
        let name = [self.short_name.as_str(), part.suffix()].concat();
        let kind = match self.kind {
            _ if *part != Part::All => "unknown",
            Type::Counter if self.style != Style::Prometheus && self.short_name == self.name => "unknown",
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Histogram => "histogram",
            Type::Summary => "summary",
        };
        if !help.is_empty() {
            push(out, &["# HELP ", &name, " ", help, "\n"]);
        }
        push(out, &["# TYPE ", &name, " ", kind, "\n"]);
        if let Some(unit) = self.unit {
            push(out, &["# UNIT ", &name, " ", unit, "\n"]);
        }
    }

    fn write_histogram(&self, row: &Row<'_>, counts: &[u64], sum: Number, out: &mut Vec<u8>) {
        let labels = row.labels;
        let mut buffer = itoa::Buffer::new();
        if matches!(self.part, Part::All | Part::Buckets) {
            let mut count = 0_u64;
            for (bucket, (bound, in_bucket)) in self.bounds.iter().zip(counts).enumerate() {
                count = count.saturating_add(*in_bucket);
                out.extend_from_slice(&self.bucket);
                out.extend_from_slice(labels);
                if !labels.is_empty() {
                    out.push(b',');
                }
                out.extend_from_slice(bound.as_bytes());
                out.extend_from_slice(buffer.format(count).as_bytes());
                if !row.exemplars.is_empty() && self.part == Part::All {
                    self.write_exemplar(row.exemplar(bucket, self.bounds.len()), out);
                }
                out.push(b'\n');
            }
        }
        if matches!(self.part, Part::All | Part::Sums) {
            write_name(&self.name, "_sum", labels, out);
            write_number(sum, out);
            out.push(b'\n');
        }
        if matches!(self.part, Part::All | Part::Counts) {
            write_name(&self.name, "_count", labels, out);
            let count = counts.iter().fold(0_u64, |count, in_bucket| count.saturating_add(*in_bucket));
            out.extend_from_slice(buffer.format(count).as_bytes());
            out.push(b'\n');
        }
    }

    fn write_summary(&self, labels: &[u8], quantiles: &[(f64, Number)], count: u64, sum: Number, out: &mut Vec<u8>) {
        for (quantile, value) in quantiles {
            let quantile = bound_as_text(*quantile, self.style != Style::Prometheus, None);
            push(out, &[&self.name, "{"]);
            out.extend_from_slice(labels);
            push(out, &[if labels.is_empty() { "" } else { "," }, "quantile=\"", &quantile, "\"} "]);
            write_number(*value, out);
            out.push(b'\n');
        }
        write_name(&self.name, "_sum", labels, out);
        write_number(sum, out);
        out.push(b'\n');
        write_name(&self.name, "_count", labels, out);
        out.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
        out.push(b'\n');
    }

    /// Only OpenMetrics has exemplars.
    #[cold]
    fn write_exemplar(&self, exemplar: Option<&Exemplar>, out: &mut Vec<u8>) {
        let Some(Exemplar { labels, value, time_ms }) = exemplar.filter(|_| self.style != Style::Prometheus) else {
            return;
        };
        push(out, &[" # {", labels, "} "]);
        write_number(Number::of_cell(*value as u64, self.cell_unit), out);
        if let Some(time_ms) = time_ms {
            out.push(b' ');
            write_number(Number::Thousandths(time_ms.unsigned_abs(), *time_ms < 0), out);
        }
    }

    /// When counting began, of what OpenMetrics takes for a counter or a histogram.
    fn write_created(&self, row: &Row<'_>, out: &mut Vec<u8>) {
        let may_have = match self.kind {
            Type::Counter => self.short_name != self.name,
            Type::Gauge => false,
            Type::Histogram => self.part == Part::All,
            Type::Summary => true,
        };
        if let Some(created_ms) = row.created_ms.filter(|_| may_have) {
            write_name(&self.short_name, "_created", row.labels, out);
            write_number(Number::Thousandths(created_ms, false), out);
            out.push(b'\n');
        }
    }
}

impl Pass for Writer {
    #[inline]
    fn row(&mut self, row: &Row<'_>, out: &mut Vec<u8>) -> usize {
        let before = out.len();
        if !self.has_head {
            self.write_head(out);
        }
        match row.value {
            Value::Number(number) => {
                write_name(&self.name, "", row.labels, out);
                write_number(number, out);
                if !row.exemplars.is_empty() && self.kind == Type::Counter && self.short_name != self.name {
                    self.write_exemplar(row.exemplar(0, 1), out);
                }
                out.push(b'\n');
            }
            Value::Histogram { counts, sum, .. } => self.write_histogram(row, counts, sum, out),
            Value::Summary { quantiles, count, sum } => self.write_summary(row.labels, quantiles, count, sum, out),
        }
        if let Style::OpenMetrics { has_created: true } = self.style {
            self.write_created(row, out);
        }
        out.len() - before
    }

    fn end(&mut self, _: &mut Vec<u8>) -> bool {
        let next = match self.part {
            Part::Buckets if self.has_head => Part::Sums,
            Part::Sums => Part::Counts,
            _ => return false,
        };
        (self.part, self.has_head) = (next, false);
        true
    }
}

fn push(out: &mut Vec<u8>, parts: &[&str]) {
    parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
}

fn escaped_help(help: &str, is_openmetrics: bool) -> String {
    let help = help.replace('\\', "\\\\").replace('\n', "\\n");
    if is_openmetrics { help.replace('"', "\\\"") } else { help }
}

fn bound_as_text(bound: f64, is_openmetrics: bool, compat: Option<Compat>) -> String {
    match compat {
        _ if is_openmetrics => {
            let text = as_go_does(bound);
            if text.contains(['.', 'e']) { text } else { text + ".0" }
        }
        None => bound.to_string(),
        // As Python does: `5.0`, not `5`. To older Prometheus servers these are two series.
        Some(Compat::HaproxyLogExporter) => format!("{bound:?}"),
        Some(Compat::PostfixExporter) => as_go_does(bound),
    }
}

/// `bound` as Go's client library writes it: `1e+06`, not `1000000`.
fn as_go_does(bound: f64) -> String {
    let scientific = format!("{bound:e}");
    match scientific.split_once('e').map(|(digits, exponent)| (digits, exponent.parse::<i32>())) {
        Some((digits, Ok(exponent @ 6..))) => format!("{digits}e+{exponent:02}"),
        Some((digits, Ok(exponent @ ..-4))) => format!("{digits}e-{:02}", exponent.unsigned_abs()),
        _ => bound.to_string(),
    }
}

#[inline]
fn write_name(name: &str, suffix: &str, labels: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(suffix.as_bytes());
    if !labels.is_empty() {
        out.push(b'{');
        out.extend_from_slice(labels);
        out.push(b'}');
    }
    out.push(b' ');
}

/// Writes a value exactly.
fn write_number(number: Number, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    let (value, one, is_below_zero) = match number {
        Number::Whole(value) => return out.extend_from_slice(buffer.format(value).as_bytes()),
        Number::Thousandths(value, is_below_zero) => (value, 1000, is_below_zero),
        Number::Millionths(value, is_below_zero) => (value, 1_000_000, is_below_zero),
        Number::Float(value) => return write_float(value, out),
    };
    if is_below_zero {
        out.push(b'-');
    }
    out.extend_from_slice(buffer.format(value / one).as_bytes());
    let mut fraction = value % one;
    if fraction > 0 {
        out.push(b'.');
    }
    while fraction > 0 {
        fraction *= 10;
        out.push(b'0' + (fraction / one) as u8);
        fraction %= one;
    }
}

fn write_float(value: f64, out: &mut Vec<u8>) {
    let text = match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        // `NaN` is itself.
        _ => value.to_string(),
    };
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Unit;

    #[test]
    fn bounds_are_written_as_go_does() {
        let bounds =
            [(0.0, "0"), (0.00001, "1e-05"), (0.001, "0.001"), (1.0, "1"), (2.5, "2.5"), (172_800.0, "172800")];
        for (bound, text) in bounds.into_iter().chain([(1e6, "1e+06"), (2.5e6, "2.5e+06"), (1e12, "1e+12")]) {
            assert_eq!(as_go_does(bound), text);
        }
    }

    /// The list of the specification, under "Canonical Numbers".
    #[test]
    fn bounds_of_openmetrics_are_canonical() {
        let texts = "0.0 0.001 0.002 0.01 0.1 0.9 1.0 1.75 10.0 1e-10 1e-09 1e-05 0.0001 100.0 100000.0 1e+06 1e+10";
        for text in texts.split(' ') {
            assert_eq!(bound_as_text(text.parse().unwrap_or(f64::NAN), true, None), text);
        }
        assert_eq!(bound_as_text(-2.0, true, None), "-2.0");
    }

    #[test]
    fn milliseconds_are_written_as_exact_seconds() {
        let written = |value: u64, unit: Unit| {
            let mut out = Vec::new();
            write_number(Number::of_cell(value, unit), &mut out);
            String::from_utf8_lossy(&out).into_owned()
        };
        for (ms, text) in [(0, "0"), (1, "0.001"), (10, "0.01"), (100, "0.1"), (1000, "1"), (12_340, "12.34")] {
            assert_eq!(written(ms, Unit::Seconds), text);
        }
        assert_eq!(written(-1_250_i64 as u64, Unit::Points), "-1.25");
        for (millionths, text) in [(1, "0.000001"), (1_500_000, "1.5"), (20_000_000, "20"), (120_034, "0.120034")] {
            assert_eq!(written(millionths, Unit::FineSeconds), text);
        }
    }

    #[test]
    fn floats_are_written_so_that_they_can_be_read_back() {
        for value in [0.1, -3.0, 1e300, 5e-324, f64::MAX] {
            let mut out = Vec::new();
            write_float(value, &mut out);
            assert_eq!(String::from_utf8_lossy(&out).parse(), Ok(value));
        }
        for (value, text) in [(f64::INFINITY, "+Inf"), (f64::NEG_INFINITY, "-Inf"), (f64::NAN, "NaN")] {
            let mut out = Vec::new();
            write_float(value, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
    }
}
