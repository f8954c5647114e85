//! Questions that a configuration asks of the metric catalogue: does this name exist, what is close to
//! it, what does this metric support.

use std::ops::RangeInclusive;

use crate::metrics::{Family, Label, Metric, formats};

/// Numbers that the trailing `_N` of a label name stands for.
const NUMBERS: RangeInclusive<u8> = 1..=64;

/// The families that a configuration is checked against.
#[derive(Clone)]
pub(super) struct Catalogue<'a>(Vec<&'a Family>);

impl<'a> Catalogue<'a> {
    pub(super) fn new(families: &[&'a Family]) -> Self {
        Self(families.to_vec())
    }

    /// Adds the family of a format that the configuration describes.
    pub(super) fn add(&mut self, family: &'static Family) {
        self.0.push(family);
    }

    /// All of them.
    pub(super) fn families(&self) -> &[&'a Family] {
        &self.0
    }

    /// Names of the formats.
    pub(super) fn formats(&self) -> impl Iterator<Item = &'static str> {
        formats(&self.0)
    }

    /// The metric called `name`, and its family.
    pub(super) fn metric(&self, name: &str) -> Option<(&'a Family, &'a Metric)> {
        self.0.iter().find_map(|family| {
            let metric = family.metrics.iter().find(|metric| metric.name == name)?;
            Some((*family, metric))
        })
    }

    /// Names of all metrics.
    pub(super) fn metrics(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().flat_map(|family| family.metrics.iter().map(|metric| metric.name))
    }

    /// True when some metric of some family can have the label `name`.
    pub(super) fn has_label(&self, name: &str) -> bool {
        self.labels().any(|entry| label_matches(entry, name))
    }

    /// Label names of all families, `_N` as it stands. A name comes as often as families have it.
    pub(super) fn labels(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().flat_map(|family| family.labels.iter().map(|label| label.name))
    }
}

/// Labels that `metric` can have, the default ones first.
pub(super) fn supported(metric: &Metric) -> impl Iterator<Item = &'static str> {
    metric.labels.iter().chain(metric.opt_in).copied()
}

/// The vocabulary entry of `family` for the label `name`.
pub(super) fn label<'a>(family: &'a Family, name: &str) -> Option<&'a Label> {
    family.labels.iter().find(|label| label_matches(label.name, name))
}

/// True when `name` is `entry`, or `entry` with a number in the place of its `N`, or with a header's name, in lower case
/// and with `_` for other signs, in the place of its `NAME`.
pub(super) fn label_matches(entry: &str, name: &str) -> bool {
    if let Some(stem) = entry.strip_suffix("NAME") {
        let is_name = |rest: &str| rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        return name
            .strip_prefix(stem)
            .is_some_and(|rest| is_name(rest) && rest.starts_with(|c: char| !c.is_ascii_digit()));
    }
    let Some(stem) = numbered_stem(entry) else {
        return entry == name;
    };
    name.strip_prefix(stem).is_some_and(|digits| {
        !digits.starts_with(['0', '+']) && digits.parse().is_ok_and(|number: u8| NUMBERS.contains(&number))
    })
}

/// `request_header_` for `request_header_N`.
pub(super) fn numbered_stem(entry: &str) -> Option<&str> {
    entry.strip_suffix('N').filter(|stem| stem.ends_with('_'))
}

/// The one of `names` that `word` was most likely meant to be, if any is close enough: one edit for every
/// four characters, or only its beginning or end left out (`requests_total`, `status`).
pub(super) fn closest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A word that long is no slip of any name, and the distance takes time in proportion to its length.
    if word.len() > 128 {
        return None;
    }
    let word = word.to_lowercase();
    let is_part = |name: &str| {
        let end = name.strip_suffix(&word);
        let start = name.strip_prefix(&word);
        end.is_some_and(|rest| rest.ends_with('_')) || start.is_some_and(|rest| rest.starts_with('_'))
    };
    let edits = |name: &str| match is_part(name) {
        true => 0,
        false => strsim::damerau_levenshtein(&word, &name.to_lowercase()),
    };
    names
        .map(|name| (edits(name), name))
        .filter(|&(edits, name)| edits <= word.len().min(name.len()).div_ceil(4))
        .min_by_key(|&(edits, _)| edits)
        .map(|(_, name)| name)
}
