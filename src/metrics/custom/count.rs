//! Counting records of a format that the configuration describes.

use std::collections::BTreeSet;
use std::sync::Arc;

use tailmeter_parsers::{Reason, Reject};

use super::read::{Event, Reader};
use super::{Format, Value};
use crate::metrics::rows::{Known, Spot};
use crate::metrics::{Counter, Dialect, Family, Kind, Planned, Rows, Tally};
use crate::series::Cells;

/// Counts the records of one format.
pub(in crate::metrics) struct Custom {
    reader: Reader,
    counting: Counting,
}

struct Counting {
    rows: Rows,
    /// Where records are counted whose labels have the same values, and which the same metrics count.
    known: Known<Place>,
    /// Fields that are labels of any metric.
    labels: Vec<usize>,
    /// Bits of the metrics that are not switched off.
    enabled: u64,
}

/// A row of a metric.
#[derive(Clone, Copy)]
struct Place {
    metric: usize,
    spot: Spot,
}

impl Custom {
    /// A counter for `format` under the plan, without a row.
    pub(in crate::metrics) fn new(format: Arc<Format>, planned: Planned) -> Self {
        let values = format.metrics.iter().flat_map(|metric| metric.labels.iter().flatten());
        let fields = values.filter_map(|value| match value {
            Value::Field(field) => Some(*field),
            Value::Constant(_) => None,
        });
        let labels = fields.collect::<BTreeSet<_>>().into_iter().collect();
        let rows = Rows::new(planned);
        let enabled = (0..format.metrics.len()).filter(|metric| rows.has(*metric)).fold(0, |bits, bit| bits | 1 << bit);
        Self { reader: Reader::new(format), counting: Counting { rows, known: Known::default(), labels, enabled } }
    }

    fn record(&mut self, record: &[u8], tally: &mut Tally) {
        let lines = 1 + memchr::memchr_iter(b'\n', record).count() as u64;
        match self.reader.read(record) {
            Err(reject) => {
                tally.reject(reject, record);
                tally.reject_more(reject.reason, lines - 1);
            }
            Ok(event) if event.is_ignored => tally.ignored += lines,
            Ok(event) => match self.counting.event(&event) {
                true => tally.parsed += lines,
                false => tally.ignored += lines,
            },
        }
    }
}

impl Counting {
    /// Counts a record; false when no metric does.
    fn event(&mut self, event: &Event<'_>) -> bool {
        let format = event.format;
        let counted = self.enabled & format.counted(event);
        if counted == 0 {
            return false;
        }
        self.rows.begin(event.envelope.repeated, 0);
        let bits = counted.to_le_bytes();
        let texts = self.labels.iter().map(|field| event.text(*field)).chain([&bits[..]]);
        let places = self.rows.find_all(&mut self.known, texts, |rows, found| {
            for (number, metric) in format.metrics.iter().enumerate() {
                if counted >> number & 1 == 0 {
                    continue;
                }
                let label = |place: usize| event.label(metric.labels.get(place).copied().flatten());
                found.extend(rows.find(number, label).map(|spot| Place { metric: number, spot }));
            }
        });
        for Place { metric, spot } in places {
            let Some((program, known)) = format.metrics.get(*metric).zip(format.family.metrics.get(*metric)) else {
                continue;
            };
            let amount = program.value.and_then(|field| event.number(field)).unwrap_or(1);
            match known.kind {
                Kind::Histogram(_) | Kind::Summary(_) => self.rows.observe_at(spot, amount),
                Kind::Last => self.rows.set_at(spot, amount),
                Kind::Counter | Kind::Gauge => self.rows.add_at(spot, amount),
            }
        }
        true
    }
}

impl Format {
    /// The metrics that count a record, a bit each.
    fn counted(&self, event: &Event<'_>) -> u64 {
        let mut holding = 0_u64;
        for (number, check) in self.conditions.iter().enumerate() {
            let holds = check.matcher.fits(event.text(check.field)) != check.is_negated;
            holding |= u64::from(holds) << number;
        }
        let mut counted = 0;
        for (number, metric) in self.metrics.iter().enumerate() {
            let has_value = metric.value.is_none_or(|field| event.number(field).is_some());
            let holds = metric.when.iter().all(|condition| holding >> condition & 1 == 1);
            counted |= u64::from(has_value && holds) << number;
        }
        counted
    }
}

impl Counter for Custom {
    fn count(&mut self, lines: &[u8], tally: &mut Tally) {
        self.counting.rows.turn();
        let mut rest = lines;
        while !rest.is_empty() {
            let (length, is_begun) = self.reader.first(rest);
            let (record, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            let record = record.strip_suffix(b"\n").unwrap_or(record);
            match is_begun {
                true => self.record(record, tally),
                // The rest of a record that was cut, or whose beginning was never read.
                false => tally.reject(Reject { reason: Reason::Truncated, field: "start", offset: 0 }, record),
            }
            rest = behind;
        }
    }

    fn speak(&mut self, _: &Dialect) {}

    fn tell_time(&mut self, now: u64) {
        self.counting.rows.tell_time(now);
    }

    fn visit(&self, see: &mut dyn FnMut(&'static Family, &Cells, &[u64])) {
        let rows = &self.counting.rows;
        see(rows.plan().family, rows.cells(), rows.fell_out());
    }
}
