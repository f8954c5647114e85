//! Counting rows by the values of their labels.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::{Directory, RowId};

/// Values of a label, each with the number of its rows.
pub type Top = Vec<(String, usize)>;

/// Rows of a group, by the values of each label.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// How many rows.
    pub rows: usize,
    /// Bytes of their labels.
    pub bytes: usize,
    /// The labels, in the order of the group: name, different values, and those with the most rows, each with their number.
    pub labels: Vec<(String, usize, Top)>,
}

impl Directory {
    /// Counts these rows of `group`; `top` values of each label are named.
    pub fn census(&self, group: usize, rows: impl Iterator<Item = RowId>, top: usize) -> Census {
        let mut blocks: Vec<Arc<str>> = Vec::new();
        self.visit_from(group, 0, |block, _| blocks.push(Arc::clone(block)));
        let names = self.groups().get(group).map(|group| group.labels.as_slice()).unwrap_or_default();
        let mut counts = vec![HashMap::<&str, usize, RandomState>::default(); names.len()];
        let mut census = Census::default();
        for block in rows.filter_map(|row| blocks.get(row as usize)) {
            census.rows += 1;
            census.bytes += block.len();
            for (values, value) in counts.iter_mut().zip(values(block)) {
                *values.entry(value).or_default() += 1;
            }
        }
        let labels = names.iter().zip(counts).map(|(label, values)| {
            let mut order = values.iter().collect::<Vec<_>>();
            // The same every time, whatever the order of the map.
            order.sort_unstable_by_key(|(value, rows)| (Reverse(**rows), **value));
            let named = order.into_iter().take(top).map(|(value, rows)| (shown(value).into_owned(), *rows));
            (label.name.clone(), values.len(), named.collect())
        });
        census.labels = labels.collect();
        census
    }
}

/// The values in `block`, as they are written between their quotes.
fn values(block: &str) -> impl Iterator<Item = &str> {
    let mut rest = block;
    std::iter::from_fn(move || {
        let (_, behind) = rest.split_once("=\"")?;
        let (mut end, bytes) = (0, behind.as_bytes());
        while *bytes.get(end)? != b'"' {
            end += if bytes.get(end) == Some(&b'\\') { 2 } else { 1 };
        }
        let value = behind.get(..end)?;
        rest = behind.get(end + 1..)?;
        Some(value)
    })
}

/// What whoever reads the exposition takes `value` for.
fn shown(value: &str) -> Cow<'_, str> {
    if !value.contains('\\') {
        return Cow::Borrowed(value);
    }
    let mut text = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        // The store writes no other escapes than those of the quote and the backslash.
        text.push(if character == '\\' { characters.next().unwrap_or(character) } else { character });
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::{Group, Labels, Layout, Policy};

    #[test]
    fn rows_are_counted_by_the_values_of_their_labels() {
        let labels = ["a", "b"].map(|name| Labels { name: name.into(), policy: Policy::default() }).into();
        let directory = Directory::new(vec![Group { labels, max_series: 9, metrics: 1, layout: Layout::default() }]);
        let tuples = [["x", "=\""], ["x", "\\,b=\"c"], ["y", "=\""], ["\u{1}\\xff", "é"], ["unused", "unused"]];
        let rows =
            tuples.map(|values| directory.row(0, |label, out| out.extend_from_slice(values[label].as_bytes())).row);
        let census = directory.census(0, rows[..4].iter().copied(), 2);
        let named = |values: [(&str, usize); 2]| values.map(|(value, rows)| (value.to_owned(), rows)).to_vec();
        assert_eq!(census.rows, 4);
        assert_eq!(census.labels[0], ("a".to_owned(), 3, named([("x", 2), (r"\x01\x5cxff", 1)])));
        assert_eq!(census.labels[1], ("b".to_owned(), 3, named([("=\"", 2), (r#"\,b="c"#, 1)])));
        assert_eq!(directory.census(0, std::iter::empty(), 2).rows, 0);
    }
}
