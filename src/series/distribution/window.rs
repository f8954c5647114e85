//! A sliding window of values, of which quantiles can be told: a histogram of high dynamic range for each fifth of the window.
//!
//! Histograms grow with the largest value they have seen: with two significant digits, up to 29 KB each, 150 KB a row. Quantiles are off by no more than
//! 1 %.

use hdrhistogram::Histogram;

/// What the configuration says of a summary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowShape {
    /// How long values stay in it, in seconds, at least `PARTS`.
    pub seconds: u64,
}

/// Parts of a window. While the oldest leaves, the newest fills: what is shown is of four to five parts.
const PARTS: u64 = 5;

/// Significant digits of values.
const DIGITS: u8 = 2;

impl WindowShape {
    /// How long a part is, in seconds.
    fn part_seconds(&self) -> u64 {
        (self.seconds / PARTS).max(1)
    }

    fn part(&self, now: u64) -> u64 {
        now / self.part_seconds()
    }
}

/// What a row has counted last.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// The parts that have something, by number, ascending: those of the time since 1970.
    parts: Vec<(u64, Histogram<u32>)>,
}

impl PartialEq for Window {
    fn eq(&self, other: &Self) -> bool {
        // Histograms of the same counts are the same, whatever memory they have.
        self.parts == other.parts
    }
}

impl Window {
    pub(super) fn count(&mut self, value: u64, times: u64, now: u64, shape: &WindowShape) {
        if let Some(part) = self.part(shape.part(now)) {
            record(part, value, u32::try_from(times).unwrap_or(u32::MAX));
        }
    }

    pub(super) fn merge(&mut self, other: &Self, _: &WindowShape) {
        for (number, theirs) in &other.parts {
            if let Some(mine) = self.part(*number) {
                // It grows as far as it must.
                let _ = mine.add(theirs);
            }
        }
    }

    /// The quantiles, each from 0 to 1, of what is in the window at `now`, as cells hold values; `None` when it is empty.
    pub fn quantiles(&self, quantiles: &[f64], now: u64, shape: &WindowShape) -> Option<Vec<u64>> {
        let present = shape.part(now);
        let mut all = Histogram::<u64>::new(DIGITS).ok()?;
        for (_, part) in self.parts.iter().filter(|(number, _)| number + PARTS > present) {
            for recorded in part.iter_recorded() {
                // As above.
                let _ = all.record_n(recorded.value_iterated_to(), recorded.count_at_value().into());
            }
        }
        let quantile = |quantile: &f64| all.value_at_quantile(*quantile);
        (!all.is_empty()).then(|| quantiles.iter().map(quantile).collect())
    }

    /// Part `number`, which is made when there is none; `None` when it has left the window already.
    fn part(&mut self, number: u64) -> Option<&mut Histogram<u32>> {
        let found = self.parts.binary_search_by_key(&number, |(number, _)| *number);
        let at = match found {
            Ok(at) => at,
            Err(at) => {
                self.parts.insert(at, (number, Histogram::new(DIGITS).ok()?));
                let newest = self.parts.last().map_or(0, |(number, _)| *number);
                let gone = self.parts.partition_point(|(number, _)| number + PARTS <= newest);
                self.parts.drain(..gone);
                at.checked_sub(gone)?
            }
        };
        self.parts.get_mut(at).map(|(_, part)| part)
    }

    /// Appends `beginning/value=count,…` for each part, with `:` in between; `-` where there is none. The beginning is in seconds since 1970, so that
    /// parts of another length can be made of it.
    pub(super) fn write(&self, out: &mut String, shape: &WindowShape) {
        for (index, (number, part)) in self.parts.iter().enumerate() {
            out.push_str(if index == 0 { "" } else { ":" });
            out.push_str(&(number * shape.part_seconds()).to_string());
            let mut separator = '/';
            for recorded in part.iter_recorded() {
                out.push_str(&format!("{separator}{}={}", recorded.value_iterated_to(), recorded.count_at_value()));
                separator = ',';
            }
        }
        if self.parts.is_empty() {
            out.push('-');
        }
    }

    pub(super) fn read(text: &str, shape: &WindowShape) -> Option<Self> {
        let mut window = Self::default();
        for part in text.split(':').filter(|part| *part != "-") {
            let (beginning, values) = part.split_once('/')?;
            let Some(part) = window.part(shape.part(beginning.parse().ok()?)) else { continue };
            for value in values.split(',') {
                let (value, count) = value.split_once('=')?;
                record(part, value.parse().ok()?, count.parse().ok()?);
            }
        }
        Some(window)
    }
}

/// Records a value; one beyond 2^62, which no log has, as that.
fn record(part: &mut Histogram<u32>, value: u64, times: u32) {
    // It grows as far as it must.
    let _ = part.record_n(value.min(1 << 62), times);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: WindowShape = WindowShape { seconds: 50 };
    const QUANTILES: [f64; 5] = [0.0, 0.5, 0.9, 0.99, 1.0];

    fn text(window: &Window) -> String {
        let mut text = String::new();
        window.write(&mut text, &SHAPE);
        text
    }

    #[test]
    fn quantiles_are_off_by_a_hundredth_at_most() {
        let (mut one, mut two, mut values) = (Window::default(), Window::default(), Vec::new());
        let mut value = 1u64;
        for index in 0..5000u64 {
            value = (value * 48_271) % 2_147_483_647;
            let value = value % [10, 1000, 100_000, 10_000_000][(index % 4) as usize];
            let shard = if index % 3 == 0 { &mut one } else { &mut two };
            shard.count(value, 1, 1000 + index / 100 % 40, &SHAPE);
            values.push(value);
        }
        one.merge(&two, &SHAPE);
        values.sort_unstable();
        let quantiles = one.quantiles(&QUANTILES, 1039, &SHAPE).unwrap();
        for (quantile, found) in QUANTILES.into_iter().zip(quantiles) {
            let rank = ((quantile * values.len() as f64).ceil() as usize).max(1);
            let truth = values[rank - 1];
            assert!(found.abs_diff(truth) * 100 <= truth, "{quantile}: {found}, not {truth}");
        }
        assert_eq!(
            Window::read(&text(&one), &SHAPE).unwrap().quantiles(&QUANTILES, 1039, &SHAPE),
            one.quantiles(&QUANTILES, 1039, &SHAPE)
        );
    }

    #[test]
    fn what_is_old_leaves_whether_or_not_something_comes() {
        let mut window = Window::default();
        window.count(7, 1, 100, &SHAPE);
        window.count(9, 1, 120, &SHAPE);
        let median = |window: &Window, now| window.quantiles(&[0.5], now, &SHAPE).map(|values| values[0]);
        assert_eq!(
            [120, 149, 150, 169, 170].map(|now| median(&window, now)),
            [Some(7), Some(7), Some(9), Some(9), None]
        );
        for now in 200..2000 {
            window.count(3, 1, now, &SHAPE);
            assert!(window.parts.len() <= PARTS as usize);
        }
        // What comes too late changes nothing.
        let before = window.clone();
        window.count(1 << 40, 1, 100, &SHAPE);
        assert_eq!(window, before);
        assert_eq!(median(&window, 1999), Some(3));
    }

    #[test]
    fn no_row_takes_more_than_150_kilobytes() {
        let mut window = Window::default();
        for now in 0..50 {
            [0, 1, 1000, u64::MAX >> 1].iter().for_each(|value| window.count(*value, u64::MAX, now, &SHAPE));
        }
        let bytes: usize = window.parts.iter().map(|(_, part)| part.distinct_values() * size_of::<u32>()).sum();
        assert!(bytes <= 150_000, "{bytes}");
        assert_eq!(window.quantiles(&[0.5], 49, &SHAPE).map(|values| values.len()), Some(1));
    }

    #[test]
    fn what_is_no_window_is_not_read() {
        assert_eq!(Window::read("-", &SHAPE), Some(Window::default()));
        for text in ["", "x", "10", "10/", "10/1", "10/1=", "10/=1", "10/1=-1", "10/1=1:", "x/1=1"] {
            assert_eq!(Window::read(text, &SHAPE), None, "{text}");
        }
        // Parts of another length go to those that they began in.
        let read = Window::read("100/5=2:110/6=1", &WindowShape { seconds: 100 }).unwrap();
        assert_eq!(read.parts.len(), 1);
    }
}
