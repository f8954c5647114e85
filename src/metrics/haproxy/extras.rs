//! What only some configurations ask for of a line: distributions and exemplars.

use tailmeter_parsers::envelope;
use tailmeter_parsers::haproxy::Reading;
use tailmeter_parsers::haproxy::format::{Place as Field, Record};

use super::count::Numbers;
use super::labels::Subject;
use super::rows::{Found, GROUPS, Place, Places};
use crate::config::ExemplarSource;
use crate::metrics::exemplar::{Calendar, Witness, traceparent};
use crate::metrics::{Buckets, Form, Plan};
use crate::series::{Base, Cells, Finder};

/// A metric that nearly every line counts, and what more there is to do for it.
#[derive(Debug)]
pub(super) struct Extra {
    /// Its number among the metrics that [`Places::new`] has been given.
    measured: usize,
    place: Place,
    group: usize,
    /// The number of its distribution in a row, and what finds marks for that.
    distribution: Option<(usize, Finder)>,
    /// What its exemplars come from, and the buckets that they are of.
    exemplars: Option<(ExemplarSource, Buckets, Form)>,
}

impl Extra {
    /// What there is to do for `metric`, if there is anything.
    pub(super) fn new(plan: &Plan, metric: usize, measured: usize, place: Place) -> Option<Self> {
        let slot = (*plan.slots.get(metric)?)?;
        let finder = plan.finders.get(metric)?.clone();
        let source = *plan.exemplars.get(metric)?;
        if finder.is_none() && source.is_none() {
            return None;
        }
        Some(Self {
            measured,
            place,
            group: slot.group,
            distribution: finder.map(|finder| (slot.distribution, finder)),
            exemplars: source
                .and_then(|source| Some((source, plan.buckets_of(metric), plan.forms.get(metric)?.clone()))),
        })
    }

    /// What a line has for it; `None` for nothing.
    fn value(&self, numbers: &Numbers) -> Option<u64> {
        match self.measured {
            0 => Some(1),
            1 => Some(numbers.bytes).filter(|_| !numbers.logasap),
            timer @ 2..=6 => {
                let ms = numbers.timers_ms.get(timer - 2).copied()?;
                u64::try_from(ms).ok().filter(|_| timer != 6 || !numbers.logasap)
            }
            7 => Some(u64::from(numbers.retries)).filter(|retries| *retries > 0),
            8 => numbers.redispatched.then_some(1),
            queue => {
                let queue = queue - 9;
                numbers
                    .queues
                    .get(queue)
                    .filter(|_| numbers.has_queues.get(queue) == Some(&true))
                    .map(|q| u64::from(*q))
            }
        }
    }
}

impl Places {
    /// Does what more there is to do for a line that has been counted.
    #[cold]
    pub(super) fn count_extras(
        &self,
        found: Found,
        numbers: &Numbers,
        times: u32,
        (subject, calendar): (Subject<'_, '_>, Option<&Calendar>),
        cells: &mut Cells,
    ) {
        let mut known: Option<(ExemplarSource, Option<Witness>)> = None;
        for extra in &self.extras {
            let Some(value) = extra.value(numbers) else { continue };
            let Some(base) = self.base(found, &extra.place) else { continue };
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            if let Some((number, finder)) = &extra.distribution {
                cells.distribute((extra.group, base), *number, finder.mark(value), times.into());
            }
            if let Some((source, buckets, form)) = &extra.exemplars {
                if known.as_ref().is_none_or(|(known, _)| known != source) {
                    known = Some((*source, subject.witness(*source, calendar)));
                }
                if let Some((_, Some(witness))) = &known {
                    let bucket = form.exemplar_bucket(buckets.of(value.unsigned_abs()), value);
                    cells.exemplify(base, extra.place.sum, bucket, witness.of(value));
                }
            }
        }
    }

    fn base(&self, found: Found, place: &Place) -> Option<Base> {
        match place.row.checked_sub(GROUPS) {
            None => self.names.bases(found.names)?.get(place.row).copied(),
            Some(row) => self.full.memo.bases(found.full).get(row).copied(),
        }
    }
}

impl Subject<'_, '_> {
    /// What leads to the line; `None` where it has no such id.
    pub(super) fn witness(self, source: ExemplarSource, calendar: Option<&Calendar>) -> Option<Witness> {
        let calendar = calendar?;
        match (self, source) {
            (Subject::Http(http), ExemplarSource::Traceparent) => {
                let id = http.request_headers()?.find(|header| traceparent(header).is_some())?;
                Witness::new(source, id, calendar.ms(http.accept_date()))
            }
            (Subject::Record(laid), _) => of_record(&laid.record, source, calendar),
            (Subject::Sketch(drawn), _) => {
                let (line, mut spans) = (drawn.sketch.line(), drawn.spans.borrow_mut());
                match drawn.layouts.read(line, &envelope::detect(line), &mut spans) {
                    Ok(Reading::Record { record, .. }) => of_record(&record, source, calendar),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

fn of_record(record: &Record<'_>, source: ExemplarSource, calendar: &Calendar) -> Option<Witness> {
    let id = match source {
        ExemplarSource::UniqueId => record.text(Field::UniqueId)?,
        ExemplarSource::Traceparent => {
            let is_one = |text: &&[u8]| traceparent(text).is_some();
            let captured = record.captures(Field::RequestHeaders).find(is_one);
            // Or logged by itself, as `%[req.hdr(traceparent)]` or another name of its own.
            captured.or_else(|| record.written().find_map(|(_, text, _)| text.filter(is_one)))?
        }
        ExemplarSource::QueueId => return None,
    };
    let date = record.written().find_map(|(name, text, _)| text.filter(|_| name == "accept_date"));
    Witness::new(source, id, date.and_then(|date| calendar.ms(date)))
}
