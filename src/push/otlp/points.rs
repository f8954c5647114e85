//! The exposition's lines as OTLP sees them: a histogram's lines are one point.

use std::iter::Peekable;

use super::super::text::{Line, Sample, lines};

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Family<'t> {
    pub(super) name: &'t str,
    pub(super) help: &'t str,
    pub(super) kind: Kind,
}

/// What OTLP calls the data of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
}

impl Kind {
    fn named(name: &str) -> Self {
        match name {
            "counter" => Self::Counter,
            "histogram" => Self::Histogram,
            "summary" => Self::Summary,
            _ => Self::Gauge,
        }
    }

    /// The data's field in `Metric`.
    pub(super) fn field(self) -> u32 {
        match self {
            Self::Gauge => 5,
            Self::Counter => 7,
            Self::Histogram => 9,
            Self::Summary => 11,
        }
    }

    /// True when a point counts from some moment on.
    pub(super) fn is_cumulative(self) -> bool {
        self != Self::Gauge
    }
}

/// A data point.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point<'t> {
    pub(super) family: Family<'t>,
    /// What stands between the braces, without a bound or a quantile.
    pub(super) labels: &'t str,
    pub(super) value: Value<'t>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'t> {
    /// As it is written.
    Number(&'t str),
    Buckets {
        /// Upper bounds, without the infinite one.
        bounds: Vec<f64>,
        /// Observations up to each bound, and all.
        counts: Vec<u64>,
        sum: f64,
        count: u64,
    },
    Quantiles {
        quantiles: Vec<(f64, f64)>,
        sum: f64,
        count: u64,
    },
}

/// The points of `text`.
pub(super) fn points(text: &str) -> impl Iterator<Item = Point<'_>> {
    let mut lines = lines(text).peekable();
    let (mut described, mut typed) = (("", ""), ("", Kind::Gauge));
    std::iter::from_fn(move || {
        loop {
            match lines.next()? {
                Line::Help { name, help } => described = (name, help),
                Line::Type { name, kind } => typed = (name, Kind::named(kind)),
                Line::Sample(sample) => {
                    let of = |name: &str| {
                        let help = if described.0 == name { described.1 } else { "" };
                        (help, if typed.0 == name { typed.1 } else { Kind::Gauge })
                    };
                    // The lines of a histogram have names of their own.
                    let name = match typed.1 {
                        Kind::Histogram | Kind::Summary if part(sample.name, typed.0).is_some() => typed.0,
                        _ => sample.name,
                    };
                    let (help, kind) = of(name);
                    let family = Family { name, help, kind };
                    return Some(match kind {
                        Kind::Histogram | Kind::Summary => gathered(family, sample, &mut lines),
                        _ => Point { family, labels: sample.labels, value: Value::Number(sample.value) },
                    });
                }
            }
        }
    })
}

/// What a line tells of a histogram or a summary: nothing, `_bucket`, `_sum` or `_count`.
fn part<'n>(name: &'n str, family: &str) -> Option<&'n str> {
    name.strip_prefix(family).filter(|part| ["", "_bucket", "_sum", "_count"].contains(part))
}

/// The point of which `sample` is the first line; takes the others.
fn gathered<'t>(
    family: Family<'t>,
    sample: Sample<'t>,
    lines: &mut Peekable<impl Iterator<Item = Line<'t>>>,
) -> Point<'t> {
    let of = labels_and_bound(&sample).0;
    let (mut bounds, mut values, mut sum, mut count) = (Vec::new(), Vec::new(), 0.0, 0.0);
    let mut next = Some(sample);
    while let Some(sample) = next {
        let (_, bound) = labels_and_bound(&sample);
        match (part(sample.name, family.name), bound) {
            (Some("_sum"), _) => sum = sample.number(),
            (Some("_count"), _) => count = sample.number(),
            (_, Some(bound)) => {
                bounds.push(bound);
                values.push(sample.number());
            }
            _ => {}
        }
        let belongs = |line: &Line<'t>| match line {
            Line::Sample(sample) => part(sample.name, family.name).is_some() && labels_and_bound(sample).0 == of,
            _ => false,
        };
        next = lines.next_if(belongs).and_then(|line| match line {
            Line::Sample(sample) => Some(sample),
            _ => None,
        });
    }
    let count = count as u64;
    let value = match family.kind {
        Kind::Histogram => {
            bounds.retain(|bound| bound.is_finite());
            Value::Buckets { bounds, counts: values.into_iter().map(|value| value as u64).collect(), sum, count }
        }
        _ => Value::Quantiles { quantiles: bounds.into_iter().zip(values).collect(), sum, count },
    };
    Point { family, labels: of, value }
}

/// The labels of a line without its bound or quantile, which comes last, and that.
fn labels_and_bound<'t>(sample: &Sample<'t>) -> (&'t str, Option<f64>) {
    for name in ["le=\"", "quantile=\""] {
        // A quote in a value has a backslash before it.
        let Some(at) = sample.labels.rfind(name) else { continue };
        let (labels, bound) = sample.labels.split_at(at);
        let bound =
            bound.strip_prefix(name).and_then(|bound| bound.strip_suffix('"')).and_then(|bound| bound.parse().ok());
        if let Some(bound) = bound.filter(|_| labels.is_empty() || labels.ends_with(',')) {
            return (labels.strip_suffix(',').unwrap_or(labels), Some(bound));
        }
    }
    (sample.labels, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# HELP a_total Of a.
# TYPE a_total counter
a_total{x=\"1\"} 3
# HELP h_seconds Of h.
# TYPE h_seconds histogram
h_seconds_bucket{x=\"1\",le=\"0.1\"} 1
h_seconds_bucket{x=\"1\",le=\"+Inf\"} 4
h_seconds_sum{x=\"1\"} 2.5
h_seconds_count{x=\"1\"} 4
h_seconds_bucket{handle=\"2\",le=\"0.1\"} 0
h_seconds_bucket{handle=\"2\",le=\"+Inf\"} 0
h_seconds_sum{handle=\"2\"} 0
h_seconds_count{handle=\"2\"} 0
# HELP s_seconds Of s.
# TYPE s_seconds summary
s_seconds{quantile=\"0.5\"} 0.25
s_seconds{quantile=\"0.9\"} NaN
s_seconds_sum 9
s_seconds_count 2
bare 7
";

    #[test]
    fn the_lines_of_a_histogram_are_one_point() {
        let points = points(TEXT).collect::<Vec<_>>();
        let shown = points.iter().map(|point| (point.family.name, point.family.help, point.labels));
        let expected = [
            ("a_total", "Of a.", "x=\"1\""),
            ("h_seconds", "Of h.", "x=\"1\""),
            ("h_seconds", "Of h.", "handle=\"2\""),
            ("s_seconds", "Of s.", ""),
            ("bare", "", ""),
        ];
        assert_eq!(shown.collect::<Vec<_>>(), expected);
        let kinds = points.iter().map(|point| point.family.kind).collect::<Vec<_>>();
        assert_eq!(kinds, [Kind::Counter, Kind::Histogram, Kind::Histogram, Kind::Summary, Kind::Gauge]);
        let Some(Value::Buckets { bounds, counts, sum, count }) = points.get(1).map(|point| &point.value) else {
            panic!("{points:?}")
        };
        assert_eq!((bounds.as_slice(), counts.as_slice(), *sum, *count), (&[0.1][..], &[1, 4][..], 2.5, 4));
        let Some(Value::Quantiles { quantiles, sum: 9.0, count: 2 }) = points.get(3).map(|point| &point.value) else {
            panic!("{points:?}")
        };
        assert_eq!(quantiles.first(), Some(&(0.5, 0.25)));
    }
}
