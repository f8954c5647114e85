//! Counts requests in the metrics of the other program.
//!
//! Simpler than the usual counter, and slower: every request is looked up once, by the values of all labels that any
//! metric has; behind that stand its rows, each made when the first line counts there.

use std::sync::Arc;

use tailmeter_parsers::envelope;
use tailmeter_parsers::haproxy::format::{Place, Spans};
use tailmeter_parsers::haproxy::{Layouts, Line, Means, Reading, Scanner};

use super::{ABORTS, BYTES_READ, METRICS, PROCESSING_ERRORS, QUEUES, REQUESTS, SESSION_DURATION, TIMERS};
use crate::metrics::exemplar::Calendar;
use crate::metrics::haproxy::count::Numbers;
use crate::metrics::haproxy::labels::{Field, Laid, Naming, Subject};
use crate::metrics::{Buckets, Counter, Dialect, Family, Plan, Slot, Tally};
use crate::series::{Base, Cells, Directory, NO_ENTRY, Texts};

/// Counts HAProxy's requests in a shard of its own.
pub struct Requests {
    scanner: Scanner,
    is_usual: bool,
    reader: Reader,
    shard: Shard,
}

/// Reads all lines in place of the scanner, where they are not laid out as usual; else those that it leaves.
struct Reader {
    layouts: Arc<Layouts>,
    spans: Spans,
}

/// Cells and what leads to them.
struct Shard {
    plan: Arc<Plan>,
    directory: Naming,
    cells: Cells,
    fell_out: Vec<u64>,
    /// The sources of each group's labels.
    values: Vec<Vec<Value>>,
    /// Each of them once: what a request is looked up by.
    all: Vec<Value>,
    /// Their bytes -> number of the tuple.
    tuples: Texts,
    /// Number of groups × number of the tuple + group -> row.
    rows: Vec<Option<Row>>,
    /// The bytes that are looked up; kept to be used again.
    key: Vec<u8>,
    /// By metric; those of a counter are not asked for.
    buckets: Vec<Buckets>,
    /// For the times of exemplars, if some metric has them.
    calendar: Option<Calendar>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    base: Base,
    fell_out: bool,
}

/// A request that is being counted.
#[derive(Clone, Copy)]
struct Request<'s, 'a> {
    subject: Subject<'s, 'a>,
    logasap: bool,
    /// Where its rows begin.
    first: usize,
    times: u32,
}

/// Where a label's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    /// Where the usual metrics have it from.
    Usual(Field),
    /// With the `~` of TLS.
    Frontend,
    Method,
    Path,
    Logasap,
}

impl Requests {
    /// A counter with those rows that have no labels.
    pub fn new(plan: Arc<Plan>, directory: Arc<Directory>, dialect: &Dialect) -> Self {
        let values = plan.groups.iter().map(|group| group.labels.iter().map(|label| Value::of(&label.name)).collect());
        let values: Vec<Vec<Value>> = values.collect();
        let mut all = Vec::new();
        for value in values.iter().flatten() {
            if !all.contains(value) {
                all.push(*value);
            }
        }
        let mut cells = Cells::new(plan.groups.iter().map(|group| group.layout));
        for (group, labels) in values.iter().enumerate() {
            if labels.is_empty() {
                cells.base(group, directory.row(group, |_, _| {}).row);
            }
        }
        let shard = Shard {
            cells,
            fell_out: vec![0; METRICS.len()],
            values,
            all,
            tuples: Texts::new(plan.memo_entries),
            rows: Vec::new(),
            key: Vec::new(),
            buckets: (0..METRICS.len()).map(|metric| plan.buckets_of(metric)).collect(),
            calendar: plan.exemplars.iter().any(Option::is_some).then(Calendar::of_this_machine),
            plan,
            directory: Naming { directory, declared: dialect.declared() },
        };
        let reader = Reader { layouts: layouts(dialect), spans: Spans::default() };
        Self { scanner: Scanner::new(), is_usual: *dialect == Dialect::Usual, reader, shard }
    }
}

fn layouts(dialect: &Dialect) -> Arc<Layouts> {
    match dialect {
        Dialect::Usual => Layouts::usual(),
        Dialect::Haproxy(layouts) => Arc::clone(layouts),
    }
}

impl Counter for Requests {
    fn count(&mut self, lines: &[u8], tally: &mut Tally) {
        let Self { scanner, is_usual, reader, shard } = self;
        if !*is_usual {
            let lines = lines.strip_suffix(b"\n").unwrap_or(lines);
            lines.split(|byte| *byte == b'\n').for_each(|line| reader.count(shard, line, tally));
            return;
        }
        scanner.scan(lines, &mut |batch| {
            for index in 0..batch.len() {
                match batch.line(index) {
                    Line::Http(http) => {
                        tally.parsed += 1;
                        shard.count(Subject::Http(http), &Numbers::of(http), batch.repeated(index));
                    }
                    Line::Other(Ok(_)) => tally.ignored += 1,
                    // Also what was cut on its way, and the rarer ones of the usual layouts.
                    Line::Other(Err(_)) => reader.count(shard, batch.text(index), tally),
                }
            }
        });
    }

    fn speak(&mut self, dialect: &Dialect) {
        self.reader.layouts = layouts(dialect);
        self.is_usual = *dialect == Dialect::Usual;
        self.shard.directory.declared = dialect.declared();
        // Tuples may have other rows.
        self.shard.rows.fill(None);
    }

    fn tell_time(&mut self, now: u64) {
        self.shard.cells.tell_time(now);
    }

    fn visit(&self, see: &mut dyn FnMut(&'static Family, &Cells, &[u64])) {
        see(self.shard.plan.family, &self.shard.cells, &self.shard.fell_out);
    }
}

impl Reader {
    /// Reads and counts a line.
    fn count(&mut self, shard: &mut Shard, line: &[u8], tally: &mut Tally) {
        let Self { layouts, spans } = self;
        let envelope = envelope::detect(line);
        match layouts.read(line, &envelope, spans) {
            Ok(Reading::Record { layout, record }) if layouts.means(layout) == Means::Http && !record.is_step() => {
                tally.parsed += 1;
                let numbers = Numbers::of_record(&record);
                let laid = Laid { record, captures: layouts.captures(layout) };
                shard.count(Subject::Record(&laid), &numbers, envelope.repeated);
            }
            Ok(_) => tally.ignored += 1,
            Err(reject) => {
                tally.reject(reject, line);
                shard.count_error();
            }
        }
    }
}

impl Shard {
    /// Counts a request that stands for `times` of its kind.
    fn count(&mut self, subject: Subject<'_, '_>, numbers: &Numbers, times: u32) {
        let request = self.look_up(subject, numbers.logasap, times);
        self.add(REQUESTS, request, 1);
        if has_bytes(subject) {
            self.add(BYTES_READ, request, numbers.bytes);
        }
        let [header, queue, connect, response, total] = numbers.timers_ms;
        for ((timer, abort), ms) in TIMERS.into_iter().zip(ABORTS).zip([header, queue, connect, response]) {
            match u64::try_from(ms) {
                Ok(ms) => self.observe(timer, request, ms),
                Err(_) if ms == -1 => self.add(abort, request, 1),
                Err(_) => {}
            }
        }
        if let Ok(ms) = u64::try_from(total) {
            self.observe(SESSION_DURATION, request, ms);
        }
        for ((metric, length), is_known) in QUEUES.into_iter().zip(numbers.queues).zip(numbers.has_queues) {
            if is_known {
                self.observe(metric, request, length.into());
            }
        }
    }

    /// The place of a request's rows, made when there is none.
    fn look_up<'s, 'a>(&mut self, subject: Subject<'s, 'a>, logasap: bool, times: u32) -> Request<'s, 'a> {
        self.key.clear();
        for value in &self.all {
            let start = self.key.len();
            value.write(subject, logasap, &mut self.key);
            let length = (self.key.len() - start) as u32;
            self.key.extend_from_slice(&length.to_le_bytes());
        }
        let groups = self.values.len();
        let tuple = match self.tuples.find(&self.key) {
            NO_ENTRY => {
                let tuple = self.tuples.insert(&self.key);
                // Numbers of what was forgotten are given anew.
                self.rows.truncate(tuple as usize * groups);
                self.rows.resize((tuple as usize + 1) * groups, None);
                tuple
            }
            tuple => tuple,
        };
        Request { subject, logasap, first: tuple as usize * groups, times }
    }

    /// Adds `amount` for each time to a counter.
    fn add(&mut self, metric: usize, request: Request<'_, '_>, amount: u64) {
        let Some((slot, base)) = self.place(metric, request) else { return };
        self.cells.add(base, slot.sum, amount.wrapping_mul(request.times.into()));
        self.exemplify(metric, (base, slot.sum, 0), request.subject, amount);
    }

    /// Observes `value` in a histogram.
    fn observe(&mut self, metric: usize, request: Request<'_, '_>, value: u64) {
        let Some((slot, base)) = self.place(metric, request) else { return };
        let bucket = self.buckets.get(metric).map_or(0, |buckets| buckets.of(value));
        self.cells.add(base, slot.sum, value.wrapping_mul(request.times.into()));
        self.cells.count(base, slot.bucket + bucket, request.times);
        if let Some(Some(finder)) = self.plan.finders.get(metric) {
            let mark = finder.mark(i64::try_from(value).unwrap_or(i64::MAX));
            self.cells.distribute((slot.group, base), slot.distribution, mark, request.times.into());
        }
        self.exemplify(metric, (base, slot.sum, bucket), request.subject, value);
    }

    /// Keeps an exemplar of a value, if the metric has any.
    fn exemplify(
        &mut self,
        metric: usize,
        (base, sum, bucket): (Base, usize, usize),
        subject: Subject<'_, '_>,
        value: u64,
    ) {
        if let Some(Some(source)) = self.plan.exemplars.get(metric)
            && let Some(witness) = subject.witness(*source, self.calendar.as_ref())
        {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            let bucket = self.plan.forms.get(metric).map_or(bucket, |form| form.exemplar_bucket(bucket, value));
            let exemplar = witness.of(value);
            self.cells.exemplify(base, sum, bucket, exemplar);
        }
    }

    /// Where `metric` is counted for a request; `None` when it is disabled.
    fn place(&mut self, metric: usize, request: Request<'_, '_>) -> Option<(Slot, Base)> {
        let slot = self.plan.slots[metric]?;
        let at = request.first + slot.group;
        let row = match self.rows.get(at)? {
            Some(row) => *row,
            None => self.make(slot.group, at, request),
        };
        self.fell_out[metric] += u64::from(row.fell_out) * u64::from(request.times);
        Some((slot, row.base))
    }

    /// The row of a request in `group`, which it has not counted in before.
    #[cold]
    fn make(&mut self, group: usize, at: usize, request: Request<'_, '_>) -> Row {
        let values = &self.values[group];
        let field = |index: usize| match values.get(index)? {
            Value::Usual(field) => Some(*field),
            Value::Frontend => Some(Field::Frontend),
            Value::Method | Value::Path | Value::Logasap => None,
        };
        let write = |index: usize, out: &mut Vec<u8>| values[index].write(request.subject, request.logasap, out);
        let found = self.directory.checked(group, field, request.subject, write);
        let row = Row { base: self.cells.base(group, found.row), fell_out: found.fell_out };
        if let Some(known) = self.rows.get_mut(at) {
            *known = Some(row);
        }
        row
    }

    /// Counts a line that could not be read.
    fn count_error(&mut self) {
        let Some(slot) = self.plan.slots[PROCESSING_ERRORS] else { return };
        let row = self.directory.directory.row(slot.group, |_, _| {}).row;
        let base = self.cells.base(slot.group, row);
        self.cells.add(base, slot.sum, 1);
    }
}

/// True when the line says how many bytes the client got.
fn has_bytes(subject: Subject<'_, '_>) -> bool {
    match subject {
        Subject::Record(laid) => laid.record.number(Place::BytesRead).is_some(),
        _ => true,
    }
}

impl Value {
    fn of(name: &str) -> Self {
        match name {
            "frontend_name" => Self::Frontend,
            "http_request_method" => Self::Method,
            "http_request_path" => Self::Path,
            "logasap" => Self::Logasap,
            // No metric here has a meaning of its own for a label.
            _ => Self::Usual(Field::of(name, usize::MAX)),
        }
    }

    /// Appends the value, as that program has it.
    fn write(self, subject: Subject<'_, '_>, logasap: bool, out: &mut Vec<u8>) {
        const INVALID: &[u8] = b"invalid";
        let start = out.len();
        match self {
            Self::Usual(field) => subject.write(field, "", out),
            Self::Frontend => {
                subject.write(Field::Frontend, "", out);
                let end = out.len();
                subject.write(Field::Ssl, "", out);
                let is_tls = out.get(end..) == Some(b"true");
                out.truncate(end);
                if is_tls {
                    out.push(b'~');
                }
            }
            Self::Method => {
                subject.write(Field::Method, "", out);
                if out.get(start..) == Some(b"<BADREQ>") {
                    out.truncate(start);
                    out.extend_from_slice(INVALID);
                }
            }
            Self::Path => {
                subject.write(Field::Path, "", out);
                if out.len() == start {
                    out.extend_from_slice(INVALID);
                }
            }
            Self::Logasap => out.extend_from_slice(if logasap { b"True" } else { b"False" }),
        }
    }
}
