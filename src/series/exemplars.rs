//! Exemplars: of the lines that were counted last, which one it was, by an id that leads to it elsewhere.
//!
//! Each counter of a row has the last one, and each bucket of a histogram. They are bounded, and may forget: no count depends on them.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The id of a line, and when it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exemplar {
    /// Its labels as they stand inside `{…}`: 128 characters of names and values at most.
    pub labels: Arc<str>,
    /// What was observed or added, as cells hold it.
    pub value: i64,
    /// The log's time, in milliseconds since 1970; `None` when the line does not tell it.
    pub time_ms: Option<i64>,
}

/// Exemplars of all rows of a shard, at most: with labels of 128 characters 4 MiB.
pub const MAX_EXEMPLARS: usize = 16_384;

/// Where an exemplar is: which sum, and which bucket of the same metric; 0 for a counter.
pub(super) type Place = (u32, u32);

/// The exemplars of a shard. When there are too many, all are forgotten, and lines bring new ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Exemplars(BTreeMap<Place, Exemplar>);

impl Exemplars {
    /// Keeps `exemplar`, unless a later one is there.
    pub(super) fn keep(&mut self, place: Place, exemplar: Exemplar) {
        let known = self.0.get_mut(&place);
        match known {
            Some(known) if known.time_ms > exemplar.time_ms => {}
            Some(known) => *known = exemplar,
            None => {
                if self.0.len() >= MAX_EXEMPLARS {
                    self.0.clear();
                }
                self.0.insert(place, exemplar);
            }
        }
    }

    /// Those at `sum`, by bucket.
    pub(super) fn of(&self, sum: u32) -> impl Iterator<Item = (u32, &Exemplar)> {
        self.0.range((sum, 0)..=(sum, u32::MAX)).map(|((_, bucket), exemplar)| (*bucket, exemplar))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exemplar(time_ms: i64) -> Exemplar {
        Exemplar { labels: "a=\"b\"".into(), value: 1, time_ms: Some(time_ms) }
    }

    #[test]
    fn the_latest_is_kept_and_there_are_never_too_many() {
        let mut exemplars = Exemplars::default();
        for time_ms in [5, 7, 6] {
            exemplars.keep((3, 1), exemplar(time_ms));
        }
        assert_eq!(
            exemplars.of(3).map(|(bucket, exemplar)| (bucket, exemplar.time_ms)).collect::<Vec<_>>(),
            [(1, Some(7))]
        );
        for sum in 4..3 * MAX_EXEMPLARS as u32 {
            exemplars.keep((sum, 0), exemplar(1));
            assert!(exemplars.0.len() <= MAX_EXEMPLARS);
            assert_eq!(exemplars.of(sum).count(), 1);
        }
    }
}
