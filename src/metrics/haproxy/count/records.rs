//! Counts lines that a log-format of the operator's own, or a haproxy.cfg, lays out; and those that were cut on their way.
//!
//! Such a line counts in the metrics whose fields it has. Each layout has places of its own, in the rows of all.

use std::cell::RefCell;
use std::sync::Arc;

use tailmeter_parsers::envelope::Envelope;
use tailmeter_parsers::haproxy::format::{Layout, Place, Record, Spans};
use tailmeter_parsers::haproxy::{BATCH, Layouts, Means, Method, Reading, Sketch, Sketcher, Sketches, termination_key};
use tailmeter_parsers::{Reject, envelope};

use super::{Numbers, Shard, Unusual};
use crate::metrics::haproxy::labels::{Drawn, Field, Laid, Subject};
use crate::metrics::haproxy::needs::feeds;
use crate::metrics::haproxy::rows::{Found, Places, Resolver};
use crate::metrics::haproxy::{
    ABORTED, BACKEND_QUEUE, CONNECTION_ERRORS, INCOMPLETE, PHASES, REDISPATCHES, REQUEST_BYTES, REQUESTS,
    RESPONSE_BYTES, RETRIES, SERVER_QUEUE, SESSION_DURATION, SESSIONS, TERMINATIONS, TIMERS, TLS_CONNECTIONS,
};
use crate::metrics::{Dialect, Tally};
use crate::series::NO_ENTRY;

/// A timer that the line does not tell; a phase that was never reached is -1.
pub(super) const UNKNOWN_MS: i32 = -2;

/// What reads the lines of a source that are not, or not all, of the usual layouts.
pub(super) struct Records {
    dialect: Dialect,
    /// Made for the first line: of the usual layouts most sources never have one that the scanner leaves.
    ready: Option<Ready>,
}

struct Ready {
    sketcher: Sketcher,
    readers: Readers,
}

/// What reads lines one by one, and where they count.
struct Readers {
    layouts: Arc<Layouts>,
    spans: Spans,
    /// By layout.
    places: Vec<Places>,
    /// The names of a line that do not stand together in it, as they stand in a line of `option httplog`.
    names: Vec<u8>,
}

impl Records {
    pub(super) fn new(dialect: &Dialect) -> Self {
        Self { dialect: dialect.clone(), ready: None }
    }

    /// Counts every line of `block`.
    pub(super) fn count(&mut self, shard: &mut Shard, block: &[u8], tally: &mut Tally) {
        let Ready { sketcher, readers } = self.ready(shard);
        sketcher.scan(block, &mut |batch| readers.count_batch(shard, batch, tally));
    }

    pub(super) fn count_line(&mut self, shard: &mut Shard, line: &[u8], tally: &mut Tally) {
        self.ready(shard).readers.count_line(shard, line, tally);
    }

    fn ready(&mut self, shard: &Shard) -> &mut Ready {
        self.ready.get_or_insert_with(|| Ready::new(&self.dialect, shard))
    }
}

impl Ready {
    #[cold]
    fn new(dialect: &Dialect, shard: &Shard) -> Self {
        let layouts = match dialect {
            Dialect::Usual => Layouts::usual(),
            Dialect::Haproxy(layouts) => Arc::clone(layouts),
        };
        let places = (0..layouts.all().len()).map(|number| places(&layouts, number, shard)).collect();
        let sketcher = Sketcher::new(Arc::clone(&layouts));
        Self { sketcher, readers: Readers { layouts, spans: Spans::default(), places, names: Vec::new() } }
    }
}

impl Readers {
    /// Counts a batch: what has been seen before by its sketches, all other lines one by one.
    fn count_batch(&mut self, shard: &mut Shard, batch: &Sketches<'_>, tally: &mut Tally) {
        let (lines, sketches) = (batch.lines(), batch.slots());
        let all = u32::MAX >> (BATCH - lines.len());
        let (mut left, mut more, mut names) = (batch.left() & all, 0, [0; BATCH]);
        match self.places.first() {
            Some(places) if places.beyond.is_empty() && left != all => {
                let mut lookups = places.look_up(sketches, &shard.cells);
                std::hint::black_box(lookups.touched);
                for (index, (sketch, found)) in sketches.iter().zip(&mut lookups.found).enumerate() {
                    left |= u32::from(found.full == NO_ENTRY) << index;
                    more |= u32::from(has_more(sketch)) << index;
                    if left >> index & 1 == 1 {
                        *found = Found::NONE;
                    }
                }
                more &= !left;
                tally.parsed += u64::from((all & !left).count_ones());
                places.update_all(sketches, &lookups.found, shard.cells.open(), &shard.bounds);
                if !places.extras.is_empty() {
                    let seen = sketches.iter().zip(&lookups.found).filter(|(_, found)| found.full != NO_ENTRY);
                    for (sketch, found) in seen {
                        let drawn = Drawn { sketch, layouts: &self.layouts, spans: RefCell::new(&mut self.spans) };
                        let subject = (Subject::Sketch(&drawn), shard.calendar.as_ref());
                        places.count_extras(*found, &Numbers::of(sketch), 1, subject, &mut shard.cells);
                    }
                }
                if places.any_fell_out() {
                    for found in lookups.found.iter().take(lines.len()) {
                        places.count_fallen(&shard.plan, *found, 1, &mut shard.fell_out);
                    }
                }
                // Neither requests nor sessions of the usual layouts have such a number.
                names = lookups.found.map(|found| places.names_id(found) | 1 << 54);
            }
            _ => left = all,
        }
        // In their order, in which new rows are numbered.
        for index in bits(left | more) {
            match (lines.get(index), sketches.get(index), names.get(index)) {
                (Some(line), ..) if left >> index & 1 == 1 => self.count_line(shard, line, tally),
                (_, Some(sketch), Some(names)) => self.count_more(shard, sketch, *names),
                _ => {}
            }
        }
    }

    /// Counts what only some lines have, of one that has a sketch.
    fn count_more(&mut self, shard: &mut Shard, sketch: &Sketch<'_>, names: u64) {
        let Self { layouts, spans, .. } = self;
        let drawn = Drawn { sketch, layouts, spans: RefCell::new(spans) };
        let line = Unusual { subject: Subject::Sketch(&drawn), names };
        shard.count_unusual(line, &Numbers::of(sketch), false, 1);
    }

    fn count_line(&mut self, shard: &mut Shard, line: &[u8], tally: &mut Tally) {
        let envelope = envelope::detect(line);
        match self.read(shard, line, &envelope) {
            Ok(true) => tally.parsed += 1,
            Ok(false) => tally.ignored += 1,
            Err(reject) => tally.reject(reject, line),
        }
    }

    /// Reads and counts a line; false when it counts nothing.
    fn read(&mut self, shard: &mut Shard, line: &[u8], envelope: &Envelope<'_>) -> Result<bool, Reject> {
        let Self { layouts, spans, places, names } = self;
        let times = envelope.repeated;
        let (layout, record) = match layouts.read(line, envelope, spans)? {
            Reading::Record { layout, record } => (layout, record),
            Reading::Notice(notice) if notice.is_counted() => {
                shard.count_notice(notice, times);
                return Ok(true);
            }
            Reading::Notice(_) => return Ok(false),
        };
        let laid = Laid { record, captures: layouts.captures(layout) };
        let Some(places) = places.get_mut(layout) else { return Ok(false) };
        match layouts.means(layout) {
            Means::Step => return Ok(false),
            // A line on the way of a session that has another one at its end (`%OG` of log-profile).
            _ if record.is_step() => return Ok(false),
            Means::Error => shard.count_rare(CONNECTION_ERRORS, Subject::Record(&laid), record.error_reason(), times),
            Means::Http | Means::Tcp => shard.count_record(places, &laid, names, times),
        }
        Ok(true)
    }
}

/// The metrics that each place is for: of several, the first one that the layout has a field for.
const COUNTED: [&[usize]; 11] = {
    let [header, queue, connect, response, request] = TIMERS;
    [
        &[REQUESTS, SESSIONS],
        &[RESPONSE_BYTES],
        &[header],
        &[queue],
        &[connect],
        &[response],
        &[request, SESSION_DURATION],
        &[RETRIES],
        &[REDISPATCHES],
        &[SERVER_QUEUE],
        &[BACKEND_QUEUE],
    ]
};

/// The places of the bits that are set.
fn bits(mut word: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = word.checked_ilog2().map(|_| word.trailing_zeros() as usize)?;
        word &= word - 1;
        Some(at)
    })
}

/// True when a line that has a sketch counts in metrics that only some lines count.
#[inline(always)]
fn has_more(sketch: &Sketch<'_>) -> bool {
    let [request, queue, connect, response, total] = sketch.timers_ms();
    (request | queue | connect | response | total < 0) | !sketch.ended_normally()
}

/// Where the lines of layout `number` count: only in metrics that it has a field for.
fn places(layouts: &Layouts, number: usize, shard: &Shard) -> Places {
    let Some(layout) = layouts.all().nth(number) else { return Places::new(&shard.plan, &shard.fields, [None; 11]) };
    let means = layouts.means(number);
    let metrics = COUNTED.map(|metrics| metrics.iter().copied().find(|metric| feeds(layout, means, *metric)));
    let mut places = Places::new(&shard.plan, &shard.fields, metrics);
    if has_state_for_method(layout) {
        places.beyond.retain(|field| *field != Field::Termination);
    }
    places
}

impl Numbers {
    pub(in crate::metrics::haproxy) fn of_record(record: &Record<'_>) -> Self {
        let number = |place| record.number(place);
        // What a layout has not, it has no place for either: only of a line that was cut it matters that nothing is known.
        let timer = |place| number(place).map_or(UNKNOWN_MS, |ms| i32::try_from(ms).unwrap_or(i32::MAX));
        let queue = |place| number(place).map_or(0, |queue| u32::try_from(queue).unwrap_or(u32::MAX));
        let last = if record.layout().has(Place::TimeActive) { Place::TimeActive } else { Place::TimeTotal };
        let state = record.text(Place::TerminationState);
        Self {
            bytes: number(Place::BytesRead).map_or(0, i64::unsigned_abs),
            timers_ms: [Place::TimeRequest, Place::TimeQueue, Place::TimeConnect, Place::TimeResponse, last].map(timer),
            retries: number(Place::Retries).map_or(0, |retries| u32::try_from(retries).unwrap_or(u32::MAX)),
            redispatched: record.text(Place::Retries).is_some_and(|text| text.starts_with(b"+")),
            queues: [Place::SrvQueue, Place::BackendQueue].map(queue),
            has_queues: [Place::SrvQueue, Place::BackendQueue].map(|place| number(place).is_some()),
            logasap: record.logasap(),
            ended_normally: state.is_none_or(|state| state.starts_with(b"-")),
        }
    }
}

impl Shard {
    fn count_record(&mut self, places: &mut Places, laid: &Laid<'_>, names: &mut Vec<u8>, times: u32) {
        let (record, subject) = (&laid.record, Subject::Record(laid));
        let names = record.raw_names().unwrap_or_else(|| {
            names.clear();
            for (place, behind) in [(Place::FrontendName, b" "), (Place::BackendName, b"/"), (Place::ServerName, b" ")]
            {
                names.extend_from_slice(record.text(place).unwrap_or_default());
                names.extend_from_slice(behind);
            }
            names.as_slice()
        });
        let Self { directory, fields, cells, more, .. } = &mut *self;
        let found = Resolver { directory, fields, cells, more }.find(places, subject, names, small_values(record));
        let numbers = Numbers::of_record(record);
        places.count_fallen(&self.plan, found, times, &mut self.fell_out);
        places.update(found, &numbers, times, self.cells.open(), &self.bounds);
        if !places.extras.is_empty() {
            places.count_extras(found, &numbers, times, (subject, self.calendar.as_ref()), &mut self.cells);
        }
        self.count_rest(subject, record, &numbers, times);
    }

    /// Counts what only some lines have.
    fn count_rest(&mut self, subject: Subject<'_, '_>, record: &Record<'_>, numbers: &Numbers, times: u32) {
        for (phase, ms) in PHASES.iter().zip(numbers.timers_ms) {
            if ms == -1 {
                self.count_rare(ABORTED, subject, phase, times);
            }
        }
        if !numbers.ended_normally {
            self.count_rare(TERMINATIONS, subject, "", times);
        }
        for (reason, is_so) in [("logasap", numbers.logasap), ("truncated", record.truncated())] {
            if is_so {
                self.count_rare(INCOMPLETE, subject, reason, times);
            }
        }
        if record.text(Place::SslVersion).is_some() {
            self.count_rare(TLS_CONNECTIONS, subject, "", times);
        }
        if let Some(bytes) = record.number(Place::RequestBytes) {
            self.add_rare(REQUEST_BYTES, subject, "", times, bytes.unsigned_abs());
        }
    }
}

/// The status code, -2 where there is none, and the method's key, or what stands in its place.
fn small_values(record: &Record<'_>) -> (i16, (u32, u64)) {
    let key = match has_state_for_method(record.layout()) {
        true => termination_key(record.text(Place::TerminationState).unwrap_or_default()),
        false => Method::key(method(record)),
    };
    (record.number(Place::StatusCode).map_or(-2, |status| status as i16), key)
}

/// True when lines have a termination state and no method. Then it takes the method's place in the key of a full tuple:
/// sessions are counted by it.
fn has_state_for_method(layout: &Layout) -> bool {
    let has_method = layout.has(Place::HttpRequestMethod) || layout.has(Place::HttpRequest);
    layout.has(Place::TerminationState) && !has_method
}

/// The method as it is written, wherever the layout has it; empty where it has none.
pub(in crate::metrics::haproxy) fn method<'a>(record: &Record<'a>) -> &'a [u8] {
    if let Some(method) = record.text(Place::HttpRequestMethod) {
        return method;
    }
    let request = record.text(Place::HttpRequest).unwrap_or_default();
    match record.request().method {
        Some(method) => method,
        None if request.starts_with(b"<BADREQ>") => b"<BADREQ>",
        None => b"",
    }
}
