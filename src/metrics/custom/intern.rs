//! What the catalogue's tables hold of formats that a configuration describes.
//!
//! Tables have static texts. Those of a configuration are leaked, once for each that differs from all before: a reload with the
//! same formats leaks nothing, one with a change what is new. So what is leaked is bounded by what an operator ever
//! writes down while the program runs; a configuration has 1 MiB at most.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::metrics::{Family, Label, Metric};

static TEXTS: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
static NAMES: Mutex<Vec<&'static [&'static str]>> = Mutex::new(Vec::new());
static BOUNDS: Mutex<Vec<&'static [f64]>> = Mutex::new(Vec::new());
static FAMILIES: Mutex<Vec<&'static Family>> = Mutex::new(Vec::new());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `text`, for good.
pub(super) fn text(text: &str) -> &'static str {
    let mut texts = lock(&TEXTS);
    let texts = texts.get_or_insert_default();
    if let Some(known) = texts.get(text) {
        return known;
    }
    let leaked: &'static str = Box::leak(text.into());
    texts.insert(leaked);
    leaked
}

/// A list that is the same as one of `known`, or becomes one of them.
fn list<T: PartialEq>(known: &Mutex<Vec<&'static [T]>>, list: Vec<T>) -> &'static [T] {
    let mut known = lock(known);
    if let Some(same) = known.iter().find(|known| ***known == *list) {
        return same;
    }
    let leaked: &'static [T] = Box::leak(list.into());
    known.push(leaked);
    leaked
}

pub(super) fn names(names: Vec<&'static str>) -> &'static [&'static str] {
    list(&NAMES, names)
}

pub(super) fn bounds(bounds: &[f64]) -> &'static [f64] {
    list(&BOUNDS, bounds.to_vec())
}

/// The family called `name` with these metrics and labels.
pub(super) fn family(name: &str, metrics: Vec<Metric>, labels: Vec<Label>) -> &'static Family {
    let mut known = lock(&FAMILIES);
    let is_same =
        |known: &&&'static Family| known.name == name && *known.metrics == *metrics && *known.labels == *labels;
    if let Some(same) = known.iter().find(is_same) {
        return same;
    }
    let (metrics, labels): (&'static [Metric], &'static [Label]) =
        (Box::leak(metrics.into()), Box::leak(labels.into()));
    let family = Family { name: text(name), metrics, labels, compat: None, member: None };
    let leaked: &'static Family = Box::leak(Box::new(family));
    known.push(leaked);
    leaked
}
