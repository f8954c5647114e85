//! The exposition's text, taken apart: what the exposition writes and nothing else, so that no line of it can be wrong.

use std::borrow::Cow;

/// A line that says something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Line<'t> {
    /// What the metric is.
    Help {
        name: &'t str,
        help: &'t str,
    },
    /// Its type, as Prometheus calls it.
    Type {
        name: &'t str,
        kind: &'t str,
    },
    Sample(Sample<'t>),
}

/// A value of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample<'t> {
    /// Of the series, with what a histogram appends to its own.
    pub(super) name: &'t str,
    /// What stands between the braces.
    pub(super) labels: &'t str,
    /// The number as it is written.
    pub(super) value: &'t str,
    /// The line without the value: no two series have the same.
    pub(super) series: &'t str,
}

/// The lines of `text`.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.split('\n').filter_map(|line| match line.strip_prefix("# ") {
        Some(comment) => {
            let (word, rest) = comment.split_once(' ')?;
            let (name, rest) = rest.split_once(' ')?;
            match word {
                "HELP" => Some(Line::Help { name, help: rest }),
                "TYPE" => Some(Line::Type { name, kind: rest }),
                _ => None,
            }
        }
        None => {
            let (series, value) = line.rsplit_once(' ')?;
            let (name, labels) = match series.split_once('{') {
                Some((name, rest)) => (name, rest.strip_suffix('}')?),
                None => (series, ""),
            };
            Some(Line::Sample(Sample { name, labels, value, series }))
        }
    })
}

impl<'t> Sample<'t> {
    /// The labels: names and values.
    pub(super) fn labels(&self) -> impl Iterator<Item = (&'t str, Cow<'t, str>)> {
        labels(self.labels)
    }

    pub(super) fn number(&self) -> f64 {
        self.value.parse().unwrap_or(f64::NAN)
    }
}

/// The labels in what stands between braces: names and values.
pub(super) fn labels(mut rest: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    std::iter::from_fn(move || {
        let (name, behind) = rest.split_once("=\"")?;
        let end = end_of_value(behind)?;
        let (value, behind) = behind.split_at_checked(end)?;
        let behind = behind.strip_prefix('"')?;
        rest = behind.strip_prefix(',').unwrap_or(behind);
        Some((name, unescaped(value)))
    })
}

/// Where the quote stands that ends a value.
fn end_of_value(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut from = 0;
    loop {
        let at = from + memchr::memchr2(b'"', b'\\', bytes.get(from..)?)?;
        match bytes.get(at) {
            Some(b'"') => return Some(at),
            _ => from = at + 2,
        }
    }
}

fn unescaped(value: &str) -> Cow<'_, str> {
    if !value.contains('\\') {
        return Cow::Borrowed(value);
    }
    let mut plain = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('n') => plain.push('\n'),
                Some(escaped) => plain.push(escaped),
                None => {}
            },
            _ => plain.push(character),
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_what_they_say() {
        let text = "# HELP a_total What, a help.\n# TYPE a_total counter\na_total{x=\"1 } 2\",y=\"\"} 3\nb 1.5\nc{} 7\n\n# else\n";
        let lines = lines(text).collect::<Vec<_>>();
        assert_eq!(lines.first(), Some(&Line::Help { name: "a_total", help: "What, a help." }));
        assert_eq!(lines.get(1), Some(&Line::Type { name: "a_total", kind: "counter" }));
        let samples = lines.iter().filter_map(|line| match line {
            Line::Sample(sample) => Some((sample.name, sample.labels().collect::<Vec<_>>(), sample.number())),
            _ => None,
        });
        let labels = vec![("x", Cow::Borrowed("1 } 2")), ("y", Cow::Borrowed(""))];
        assert_eq!(samples.collect::<Vec<_>>(), [("a_total", labels, 3.0), ("b", vec![], 1.5), ("c", vec![], 7.0)]);
    }

    proptest! {
        #[test]
        fn values_come_back(values in prop::collection::vec("[\\\\\"\n,={}x é]{0,8}", 0..4)) {
            let escaped = |value: &String| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let block = values.iter().map(|value| format!("l=\"{}\"", escaped(value))).collect::<Vec<_>>().join(",");
            let line = format!("m{{{block}}} 1");
            let Some(Line::Sample(sample)) = lines(&line).next() else { panic!("{line}") };
            let back = sample.labels().map(|(name, value)| (name, value.into_owned())).collect::<Vec<_>>();
            prop_assert_eq!(back, values.iter().map(|value| ("l", value.clone())).collect::<Vec<_>>());
        }
    }
}
