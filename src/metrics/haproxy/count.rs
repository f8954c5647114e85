//! Counts lines in a shard.

mod declare;
mod notices;
mod records;

pub(super) use records::method;

use std::sync::Arc;

use tailmeter_parsers::haproxy::{Batch, Event, Http, Line, Scanner, Tcp};

use super::bounds::Bounds;
use super::labels::{Field, Naming, Subject, pack, write_field};
use super::rows::{self, Found, Places, Resolver};
use super::{
    ABORTED, BACKEND_QUEUE, INCOMPLETE, METRICS, PHASES, REDISPATCHES, REQUESTS, RESPONSE_BYTES, RETRIES, SERVER_QUEUE,
    SESSION_DURATION, SESSIONS, TERMINATIONS, TIMERS, TLS_CONNECTIONS,
};
use crate::metrics::exemplar::Calendar;
use crate::metrics::{Counter, Dialect, Family, Plan, Tally};
use crate::series::{Base, Cells, Directory, Key, Memo, NO_ENTRY};
use records::Records;

/// A line that counts in metrics with rows of their own.
#[derive(Clone, Copy)]
struct Unusual<'s, 'a> {
    subject: Subject<'s, 'a>,
    /// Its names, as [`Places::names_id`] gives them.
    names: u64,
}

/// What the lines of both kinds have in common.
pub(super) struct Numbers {
    pub(super) bytes: u64,
    /// TR, Tw, Tc, Tr, and Ta or Tt, in milliseconds. What a kind has no place for is not looked at.
    pub(super) timers_ms: [i32; 5],
    pub(super) retries: u32,
    pub(super) redispatched: bool,
    pub(super) queues: [u32; 2],
    /// Which of them the line tells.
    pub(super) has_queues: [bool; 2],
    pub(super) logasap: bool,
    pub(super) ended_normally: bool,
}

impl Numbers {
    #[inline]
    pub(super) fn of<L: rows::Line>(line: &L) -> Self {
        Self {
            bytes: line.bytes_read(),
            timers_ms: line.timers_ms(),
            retries: line.retries(),
            redispatched: line.redispatched(),
            queues: line.queues(),
            has_queues: [true; 2],
            logasap: line.logasap(),
            ended_normally: line.ended_normally(),
        }
    }

    fn of_tcp(tcp: &Tcp<'_>) -> Self {
        let [queue, connect, total] = tcp.timers_ms;
        Self {
            bytes: tcp.bytes_read,
            timers_ms: [0, queue, connect, 0, total],
            retries: tcp.retries,
            redispatched: tcp.redispatched,
            queues: tcp.queues,
            has_queues: [true; 2],
            logasap: tcp.logasap,
            ended_normally: tcp.termination_state().first() == Some(&b'-'),
        }
    }
}

/// Counts HAProxy's lines in a shard of its own.
pub struct Haproxy {
    scanner: Scanner,
    /// What reads all lines in place of the scanner, where they are not laid out as usual; else those that it leaves.
    records: Records,
    is_usual: bool,
    shard: Shard,
}

/// Cells and what leads to them.
struct Shard {
    plan: Arc<Plan>,
    directory: Naming,
    cells: Cells,
    fell_out: Vec<u64>,
    /// Metrics of which not every row that can be expected is there.
    held_back: Vec<usize>,
    /// The sources of each group's labels.
    fields: Vec<Vec<Field>>,
    /// Those of them that the names do not say.
    beyond: Vec<Vec<Field>>,
    http: Places,
    tcp: Places,
    /// Rows of the metrics that only some lines count.
    some: Memo,
    /// Rows of lines that are neither requests nor sessions, or of layouts of the operator's own. Their keys are texts,
    /// which would make looks into `some` longer.
    rare: Memo,
    /// The bytes of a key's fields beyond the names; kept to be used again.
    more: Vec<u8>,
    bounds: Bounds,
    /// For the times of exemplars, if some metric has them.
    calendar: Option<Calendar>,
}

impl Haproxy {
    /// A counter with those rows that can be expected of `dialect`.
    pub fn new(plan: Arc<Plan>, directory: Arc<Directory>, dialect: &Dialect) -> Self {
        let mut fields = vec![Vec::new(); plan.groups.len()];
        for (metric, slot) in plan.slots.iter().enumerate() {
            if let Some(slot) = slot {
                let labels = plan.groups[slot.group].labels.iter();
                fields[slot.group] = labels.map(|label| Field::of(&label.name, metric)).collect();
            }
        }
        let [header, queue, connect, response, request] = TIMERS.map(Some);
        let both = [Some(RETRIES), Some(REDISPATCHES), Some(SERVER_QUEUE), Some(BACKEND_QUEUE)];
        let metrics = |lines, [header, queue, connect, response, total]: [Option<usize>; 5]| {
            let [retries, redispatches, server, backend] = both;
            let bytes = Some(RESPONSE_BYTES);
            [Some(lines), bytes, header, queue, connect, response, total, retries, redispatches, server, backend]
        };
        let http = metrics(REQUESTS, [header, queue, connect, response, request]);
        let tcp = metrics(SESSIONS, [None, queue, connect, None, Some(SESSION_DURATION)]);
        let shard = Shard {
            cells: Cells::new(plan.groups.iter().map(|group| group.layout)),
            fell_out: vec![0; METRICS.len()],
            held_back: Vec::new(),
            http: Places::new(&plan, &fields, http),
            tcp: Places::new(&plan, &fields, tcp),
            some: Memo::new(plan.memo_entries, 1),
            rare: Memo::new(plan.memo_entries, 1),
            more: Vec::new(),
            bounds: Bounds::new(&plan),
            calendar: plan.exemplars.iter().any(Option::is_some).then(Calendar::of_this_machine),
            beyond: fields
                .iter()
                .map(|fields| fields.iter().copied().filter(|field| !field.is_in_names()).collect())
                .collect(),
            plan,
            directory: Naming::new(directory),
            fields,
        };
        let records = Records::new(dialect);
        let mut counter = Self { scanner: Scanner::new(), records, is_usual: *dialect == Dialect::Usual, shard };
        counter.shard.declare(dialect);
        counter
    }
}

impl Counter for Haproxy {
    fn count(&mut self, lines: &[u8], tally: &mut Tally) {
        let Self { scanner, records, is_usual, shard } = self;
        if *is_usual {
            scanner.scan(lines, &mut |batch| shard.count(batch, records, tally));
        } else {
            records.count(shard, lines, tally);
        }
    }

    fn speak(&mut self, dialect: &Dialect) {
        self.records = Records::new(dialect);
        self.is_usual = *dialect == Dialect::Usual;
        // Names of lines are numbered anew, and may have other rows.
        self.shard.some.forget();
        self.shard.rare.forget();
        self.shard.declare(dialect);
    }

    fn tell_time(&mut self, now: u64) {
        self.shard.cells.tell_time(now);
    }

    fn visit(&self, see: &mut dyn FnMut(&'static Family, &Cells, &[u64])) {
        see(self.shard.plan.family, &self.shard.cells, &self.shard.fell_out);
    }

    fn held_back(&self) -> Vec<&'static str> {
        self.shard.held_back.iter().filter_map(|metric| METRICS.get(*metric)).map(|metric| metric.name).collect()
    }
}

impl Shard {
    fn count(&mut self, batch: &Batch<'_>, records: &mut Records, tally: &mut Tally) {
        let lookups = self.http.beyond.is_empty().then(|| self.http.look_up(batch.requests(), &self.cells));
        std::hint::black_box(lookups.as_ref().map(|lookups| lookups.touched));
        if let (Some(requests), Some(lookups)) = (batch.all_requests(), &lookups)
            && lookups.is_complete
        {
            // The usual batch: requests that have all been seen before.
            tally.parsed += requests.len() as u64;
            self.http.update_all(requests, &lookups.found, self.cells.open(), &self.bounds);
            if !self.http.extras.is_empty() {
                for (http, found) in requests.iter().zip(&lookups.found) {
                    let subject = (Subject::Http(http), self.calendar.as_ref());
                    self.http.count_extras(*found, &Numbers::of(http), 1, subject, &mut self.cells);
                }
            }
            let mut more = if self.http.any_fell_out() { u32::MAX } else { 0 };
            for (index, http) in requests.iter().enumerate() {
                more |= u32::from(has_more(http)) << index;
            }
            for (index, (http, found)) in requests.iter().zip(&lookups.found).enumerate() {
                if more >> index & 1 == 1 {
                    self.count_more(http, *found, 1);
                }
            }
            return;
        }
        // Entries are valid until something is forgotten.
        let forgotten = self.http.forgotten();
        for index in 0..batch.len() {
            let times = batch.repeated(index);
            match batch.line(index) {
                Line::Http(http) => {
                    tally.parsed += 1;
                    let lookups = lookups.as_ref().filter(|_| self.http.forgotten() == forgotten);
                    let found = match lookups.map(|lookups| lookups.found[index]) {
                        Some(found) if found.names != NO_ENTRY && found.full != NO_ENTRY => found,
                        _ => self.find_http(http),
                    };
                    self.count_http(http, found, times);
                }
                Line::Other(Ok(Event::Tcp(tcp))) => {
                    tally.parsed += 1;
                    self.count_tcp(tcp, times);
                }
                Line::Other(Ok(Event::Notice(notice))) if notice.is_counted() => {
                    tally.parsed += 1;
                    self.count_notice(*notice, times);
                }
                Line::Other(Ok(_)) => tally.ignored += 1,
                // Also what was cut on its way, and the rarer ones of the usual layouts.
                Line::Other(Err(_)) => records.count_line(self, batch.text(index), tally),
            }
        }
    }

    /// The entries of a request, made when they are new.
    #[cold]
    fn find_http(&mut self, http: &Http<'_>) -> Found {
        let Self { directory, fields, cells, more, http: places, .. } = self;
        let mut resolver = Resolver { directory, fields, cells, more };
        resolver.find(places, Subject::Http(http), http.raw_names(), (http.status_code, http.method_key()))
    }

    fn count_http(&mut self, http: &Http<'_>, found: Found, times: u32) {
        let numbers = Numbers::of(http);
        self.http.update(found, &numbers, times, self.cells.open(), &self.bounds);
        if !self.http.extras.is_empty() {
            let subject = (Subject::Http(http), self.calendar.as_ref());
            self.http.count_extras(found, &numbers, times, subject, &mut self.cells);
        }
        if has_more(http) || self.http.any_fell_out() {
            self.count_more(http, found, times);
        }
    }

    /// Counts what only some requests have: see [`has_more`].
    #[inline(never)]
    fn count_more(&mut self, http: &Http<'_>, found: Found, times: u32) {
        self.http.count_fallen(&self.plan, found, times, &mut self.fell_out);
        let line = Unusual { subject: Subject::Http(http), names: self.http.names_id(found) };
        self.count_unusual(line, &Numbers::of(http), http.truncated, times);
        // Without TLS the fields are there all the same, with dashes.
        if http.tls().is_some_and(|tls| tls.ssl_version != b"-") {
            self.count_some(TLS_CONNECTIONS, line, "", times);
        }
    }

    fn count_tcp(&mut self, tcp: &Tcp<'_>, times: u32) {
        let subject = Subject::Tcp(tcp);
        let Self { directory, fields, cells, more, tcp: places, .. } = &mut *self;
        let found = Resolver { directory, fields, cells, more }.find(places, subject, tcp.raw_names(), (0, (0, 0)));
        let numbers = Numbers::of_tcp(tcp);
        self.tcp.count_fallen(&self.plan, found, times, &mut self.fell_out);
        self.tcp.update(found, &numbers, times, self.cells.open(), &self.bounds);
        if !self.tcp.extras.is_empty() {
            self.tcp.count_extras(found, &numbers, times, (subject, self.calendar.as_ref()), &mut self.cells);
        }
        if !numbers.ended_normally || numbers.logasap || numbers.timers_ms.iter().any(|ms| *ms < 0) {
            self.count_unusual(Unusual { subject, names: self.tcp.names_id(found) | 1 << 55 }, &numbers, false, times);
        }
    }

    /// Counts aborted phases, an abnormal end, and an incomplete line.
    fn count_unusual(&mut self, line: Unusual<'_, '_>, numbers: &Numbers, truncated: bool, times: u32) {
        for (phase, ms) in PHASES.iter().zip(numbers.timers_ms) {
            if ms < 0 {
                self.count_some(ABORTED, line, phase, times);
            }
        }
        if !numbers.ended_normally {
            self.count_some(TERMINATIONS, line, "", times);
        }
        if numbers.logasap {
            self.count_some(INCOMPLETE, line, "logasap", times);
        }
        if truncated {
            self.count_some(INCOMPLETE, line, "truncated", times);
        }
    }

    /// Counts a line in a metric that has rows of its own.
    fn count_some(&mut self, metric: usize, line: Unusual<'_, '_>, word: &str, times: u32) {
        let Some(slot) = self.plan.slots[metric] else { return };
        let Unusual { subject, names } = line;
        let fields = &self.fields[slot.group];
        self.more.clear();
        for field in &self.beyond[slot.group] {
            write_field(subject, *field, &mut self.more);
        }
        // The first four letters of a word tell it from all others; so few small values are the whole key, but
        // for long labels.
        let word_id = word.bytes().take(4).fold(0, |id, byte| id << 8 | u64::from(byte));
        let id = (metric as u64) << 56 | names;
        let (key, hash, known) = match pack(&self.more) {
            Some(values) => {
                let words = [id, word_id << 32 ^ values];
                let (hash, known) = self.some.look_up(words);
                (Key { text: &[], more: &[], words }, hash, known)
            }
            None => {
                let key = Key { text: &self.more, more: &[], words: [id, word_id] };
                let hash = self.some.hash(&key);
                (key, hash, self.some.get(hash, &key))
            }
        };
        let entry = match known {
            NO_ENTRY => {
                let found = self.directory.row(slot.group, fields, subject, word);
                let base = self.cells.base(slot.group, found.row);
                self.some.insert(hash, &key, &[base], u32::from(found.fell_out))
            }
            entry => entry,
        };
        self.fell_out[metric] += u64::from(self.some.fell_out(entry)) * u64::from(times);
        if let [base] = *self.some.bases(entry) {
            self.cells.add(base, slot.sum, u64::from(times));
            self.exemplify(metric, (base, slot.sum), subject, 1);
        }
    }

    /// Keeps an exemplar of what a line has added to a counter, if the metric has any.
    #[inline]
    fn exemplify(&mut self, metric: usize, (base, sum): (Base, usize), subject: Subject<'_, '_>, amount: i64) {
        if let Some(Some(source)) = self.plan.exemplars.get(metric)
            && let Some(witness) = subject.witness(*source, self.calendar.as_ref())
        {
            self.cells.exemplify(base, sum, 0, witness.of(amount));
        }
    }
}

/// True when a request counts in metrics that only some lines count.
#[inline(always)]
fn has_more(http: &Http<'_>) -> bool {
    let [request, queue, connect, response, total] = http.timers_ms;
    let is_aborted = request | queue | connect | response | total < 0;
    is_aborted | !http.ended_normally | http.logasap | http.truncated | http.has_tls()
}
