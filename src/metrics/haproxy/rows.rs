//! Which rows a line counts in, and what every line adds to them: the hot path behind the parser.

mod line;

pub(super) use line::Line;

use tailmeter_parsers::haproxy::BATCH;

use super::SESSION_DURATION;
use super::bounds::{Bounds, Each, Find, Shared};
use super::count::Numbers;
use super::extras::Extra;
use super::grid::Grid;
use super::labels::{Field, Naming, Subject, write_fields};
use crate::metrics::{Plan, Slot};
use crate::series::{Base, Cells, EntryId, Key, Memo, NO_ENTRY, Open, Texts};

/// Where a metric is counted: its cells in a row, and which of the line's rows that is: one of its names, or,
/// from [`GROUPS`] on, one of its full tuple. The last row of the names is where disabled metrics go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) sum: usize,
    pub(super) bucket: usize,
    pub(super) row: usize,
}

/// Rows of one raw tuple of names, at most; more than there are metrics. A power of two, so that an index can
/// be wrapped instead of checked.
pub(super) const GROUPS: usize = 16;

impl Place {
    pub(super) const DISABLED: Self = Self { sum: 0, bucket: 0, row: GROUPS - 1 };
}

/// Where the lines of one kind count. A line is looked up in two steps, because there are few names, which
/// stay in the nearest cache, and with status and method many tuples.
#[derive(Debug)]
pub(super) struct Places {
    /// Raw names -> rows in the groups whose labels are all in the names.
    pub(super) names: NamesRows,
    /// Names, status, method and the fields beyond -> rows in all other groups.
    pub(super) full: Rows,
    /// Fields that a raw tuple needs beyond names, status and method.
    pub(super) beyond: Vec<Field>,
    pub(super) lines: Place,
    pub(super) bytes: Place,
    /// TR, Tw, Tc, Tr, and Ta or Tt.
    pub(super) timers: [Place; 5],
    pub(super) retries: Place,
    pub(super) redispatches: Place,
    pub(super) queues: [Place; 2],
    /// True when all of them but `lines` are counted in rows of the names.
    pub(super) are_of_names: bool,
    /// True when the last timer is Tt.
    has_sessions: bool,
    /// What the configuration asks for beyond cells.
    pub(super) extras: Vec<Extra>,
    /// The cell that counts the line, by entry of the full tuple.
    line_cells: Vec<u32>,
    /// The entries of full tuples by names, status and method, if these are the whole tuple.
    grid: Grid,
}

/// The cells that nearly every line with the same names adds to, by their indexes: one cache line says them all.
/// What is not counted by names has cells that are never shown.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Near {
    bytes: u32,
    sums: [u32; 5],
    /// The first bucket of each timer, and of each queue.
    buckets: [u32; 5],
    queues: [u32; 2],
}

/// Rows by raw names.
#[derive(Debug)]
pub(super) struct NamesRows {
    pub(super) texts: Texts,
    /// The groups of the plan that they are in, in the order of an entry's rows.
    groups: Vec<usize>,
    /// The metrics of each group.
    metrics: Vec<Vec<usize>>,
    /// By entry: the bases of its rows.
    bases: Vec<[Base; GROUPS]>,
    /// By entry: bit i, in `groups[i]` it fell out of labels or limits.
    fell_out: Vec<u32>,
    /// By entry.
    near: Vec<Near>,
    /// True when any entry fell out.
    any_fell_out: bool,
}

/// Rows by raw tuple.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) memo: Memo,
    /// The groups of the plan that they are in, in the order of an entry's rows.
    pub(super) groups: Vec<usize>,
    /// The metrics of each group.
    metrics: Vec<Vec<usize>>,
}

/// A line's entries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) names: EntryId,
    pub(super) full: EntryId,
    /// Which cell counts the line.
    pub(super) cell: u32,
}

impl Near {
    const UNUSED: Self = Self { bytes: 0, sums: [0; 5], buckets: [0; 5], queues: [0; 2] };

    /// Observes a timer `times`, unless it is -1.
    #[inline(always)]
    fn observe(&self, timer: usize, ms: i32, times: u32, cells: &mut Open<'_>, bounds: impl Find) {
        if ms >= 0 {
            cells.add_at(self.sums[timer] as usize, (ms as u64).wrapping_mul(u64::from(times)));
            cells.count_at(self.buckets[timer] as usize + bounds.timer(timer, ms as u64), times);
        }
    }
}

impl NamesRows {
    /// The bases of the rows of names.
    pub(super) fn bases(&self, names: EntryId) -> Option<&[Base; GROUPS]> {
        self.bases.get(names as usize)
    }
}

impl Places {
    pub(super) fn new(plan: &Plan, fields: &[Vec<Field>], metrics: [Option<usize>; 11]) -> Self {
        let (mut of_names, mut of_full) = (Vec::new(), Vec::new());
        let places = metrics.map(|metric| {
            let Some(slot) = metric.and_then(|metric: usize| plan.slots[metric]) else { return Place::DISABLED };
            let Slot { group, sum, bucket, .. } = slot;
            let is_of_names = fields[group].iter().all(|field| field.is_in_names());
            let (groups, first) = if is_of_names { (&mut of_names, 0) } else { (&mut of_full, GROUPS) };
            let row = groups.iter().position(|other| *other == group).unwrap_or_else(|| {
                groups.push(group);
                groups.len() - 1
            });
            Place { sum, bucket, row: first + row }
        });
        let mut beyond = Vec::new();
        for field in of_full.iter().flat_map(|group: &usize| &fields[*group]) {
            let is_in_key = field.is_in_names() || matches!(field, Field::Status | Field::Method);
            if !is_in_key && !beyond.contains(field) {
                beyond.push(*field);
            }
        }
        let [lines, bytes, request, queue, connect, response, total, retries, redispatches, server, backend] = places;
        let metrics_in = |group: usize| {
            let slots = plan.slots.iter().enumerate();
            slots.filter(|(_, slot)| slot.is_some_and(|slot| slot.group == group)).map(|(metric, _)| metric).collect()
        };
        let metrics_of = |groups: &[usize]| groups.iter().map(|group| metrics_in(*group)).collect();
        let names = NamesRows {
            texts: Texts::new(plan.memo_entries),
            metrics: metrics_of(&of_names),
            groups: of_names,
            bases: Vec::new(),
            fell_out: Vec::new(),
            near: Vec::new(),
            any_fell_out: false,
        };
        let full = Memo::new(plan.memo_entries, of_full.len());
        let extras = metrics.iter().zip(&places).enumerate();
        let extras = extras.filter_map(|(measured, (metric, place))| Extra::new(plan, (*metric)?, measured, *place));
        let are_of_names = places[1..].iter().all(|place| place.row < GROUPS);
        Self {
            extras: extras.collect(),
            has_sessions: metrics.contains(&Some(SESSION_DURATION)),
            are_of_names,
            names,
            full: Rows { memo: full, metrics: metrics_of(&of_full), groups: of_full },
            beyond,
            lines,
            bytes,
            timers: [request, queue, connect, response, total],
            retries,
            redispatches,
            queues: [server, backend],
            line_cells: Vec::new(),
            grid: Grid::new(),
        }
    }

    /// Forgets which rows lines have.
    pub(super) fn forget(&mut self) {
        self.names.texts.forget();
        self.full.memo.forget();
        self.grid.clear();
    }

    /// Keeps the rows of new names.
    fn add_names(&mut self, names: EntryId, rows: &[Base], fell_out: u32) {
        let mut bases = [Base::UNUSED; GROUPS];
        bases.iter_mut().zip(rows).for_each(|(base, row)| *base = *row);
        let base = |place: &Place| bases.get(place.row).copied().unwrap_or(Base::UNUSED);
        let sum = |place: &Place| base(place).sum(place.sum);
        let bucket = |place: &Place| base(place).bucket(place.bucket);
        let near = Near {
            bytes: sum(&self.bytes),
            sums: self.timers.each_ref().map(sum),
            buckets: self.timers.each_ref().map(bucket),
            queues: self.queues.each_ref().map(bucket),
        };
        let rows = &mut self.names;
        // Numbers of what was forgotten are given anew.
        rows.bases.truncate(names as usize);
        rows.fell_out.truncate(names as usize);
        rows.near.truncate(names as usize);
        rows.bases.push(bases);
        rows.fell_out.push(fell_out);
        rows.near.push(near);
        rows.any_fell_out |= fell_out != 0;
    }
}

impl Found {
    /// What counts nowhere.
    pub(super) const NONE: Self = Self { names: NO_ENTRY, full: NO_ENTRY, cell: 0 };
}

/// What is found of a batch of requests, step by step for all of them: so they wait for memory together, not
/// one after the other.
pub(super) struct Lookups {
    places: [usize; BATCH],
    pub(super) found: [Found; BATCH],
    /// True when every line has both entries.
    pub(super) is_complete: bool,
    /// Of the cells that will be needed; means nothing.
    pub(super) touched: u64,
}

impl Places {
    /// Looks up the requests of a batch. Only when names, status and method are the whole key.
    #[inline]
    pub(super) fn look_up<L: Line>(&self, requests: &[L], cells: &Cells) -> Lookups {
        let mut lookups = Lookups { places: [0; BATCH], found: [Found::NONE; BATCH], is_complete: true, touched: 0 };
        let names = &self.names.texts;
        let Lookups { found, places, touched, .. } = &mut lookups;
        for ((http, found), place) in requests.iter().zip(&mut *found).zip(&mut *places) {
            found.names = names.find(http.raw_names());
            *place = self.grid.place(found.names, http.status_code(), http.method_key());
        }
        for (found, place) in found.iter_mut().zip(&*places).take(requests.len()) {
            (found.full, found.cell) = self.grid.get(*place);
        }
        let mut missing = false;
        for (http, found) in requests.iter().zip(&mut *found) {
            if found.full == NO_ENTRY && found.names != NO_ENTRY {
                found.full = self.find_full(found.names, http);
                found.cell = self.line_cell(found.full);
            }
            missing |= found.full == NO_ENTRY;
            *touched ^= cells.touch(found.cell as usize);
        }
        lookups.is_complete = !missing;
        lookups
    }

    /// The entry of a full tuple that has no place in the grid.
    #[cold]
    fn find_full<L: Line>(&self, names: EntryId, line: &L) -> EntryId {
        let words = full_words(names, words((line.status_code(), line.method_key())));
        self.full.memo.look_up(words).1
    }

    /// The cell that counts a line with this entry.
    #[inline(always)]
    fn line_cell(&self, full: EntryId) -> u32 {
        self.line_cells.get(full as usize).copied().unwrap_or(0)
    }

    /// A number of the names of a line: no other names of its kind have it, before or after they are forgotten.
    pub(super) fn names_id(&self, found: Found) -> u64 {
        (self.names.texts.forgotten() & 0x3f_ffff) << 32 | u64::from(found.names)
    }

    /// Changes when entries found before are gone.
    pub(super) fn forgotten(&self) -> u64 {
        self.names.texts.forgotten() + self.full.memo.forgotten()
    }

    /// Adds what the requests of a usual batch have to their rows.
    #[inline]
    pub(super) fn update_all<L: Line>(&self, requests: &[L], found: &[Found; BATCH], cells: Open<'_>, bounds: &Bounds) {
        match bounds {
            Bounds::Shared(buckets) => self.add_all(requests, found, cells, Shared(buckets)),
            Bounds::Each(buckets) => {
                self.add_all(requests, found, cells, Each { buckets, has_sessions: self.has_sessions });
            }
        }
    }

    /// One kind of cell after the other: each pass needs little, which stays in registers.
    #[inline(never)]
    fn add_all<L: Line>(&self, requests: &[L], found: &[Found; BATCH], mut cells: Open<'_>, bounds: impl Find) {
        let mut near = [&Near::UNUSED; BATCH];
        for (near, found) in near.iter_mut().zip(found).take(requests.len()) {
            *near = self.names.near.get(found.names as usize).unwrap_or(&Near::UNUSED);
        }
        // Neighbours often add to the same cells, and then wait for one another: several kinds a pass, for something
        // to do meanwhile.
        for ((http, found), near) in requests.iter().zip(found).zip(near) {
            cells.add_at(found.cell as usize, 1);
            cells.add_at(near.bytes as usize, if http.logasap() { 0 } else { http.bytes_read() });
            if (http.queues()[0] | http.queues()[1] | http.retries()) == 0 && !http.redispatched() {
                cells.count_at(near.queues[0] as usize, 1);
                cells.count_at(near.queues[1] as usize, 1);
            } else {
                self.update_rare(found.names, &Numbers::of(http), 1, &mut cells, bounds);
            }
        }
        for (http, near) in requests.iter().zip(near) {
            near.observe(0, http.timers_ms()[0], 1, &mut cells, bounds);
            near.observe(1, http.timers_ms()[1], 1, &mut cells, bounds);
            near.observe(2, http.timers_ms()[2], 1, &mut cells, bounds);
        }
        for (http, near) in requests.iter().zip(near) {
            near.observe(3, http.timers_ms()[3], 1, &mut cells, bounds);
            near.observe(4, if http.logasap() { -1 } else { http.timers_ms()[4] }, 1, &mut cells, bounds);
        }
        if !self.are_of_names {
            for (http, found) in requests.iter().zip(found) {
                self.update_full(found.full, &Numbers::of(http), 1, &mut cells, bounds);
            }
        }
    }

    /// Adds what every line has to its rows.
    #[inline(always)]
    pub(super) fn update(&self, found: Found, numbers: &Numbers, times: u32, cells: Open<'_>, bounds: &Bounds) {
        match bounds {
            Bounds::Shared(buckets) => self.add(found, numbers, times, cells, Shared(buckets)),
            Bounds::Each(buckets) => {
                self.add(found, numbers, times, cells, Each { buckets, has_sessions: self.has_sessions });
            }
        }
    }

    #[inline(always)]
    fn add(&self, found: Found, numbers: &Numbers, times: u32, mut cells: Open<'_>, bounds: impl Find) {
        let Some(near) = self.names.near.get(found.names as usize) else { return };
        let weight = u64::from(times);
        cells.add_at(found.cell as usize, weight);
        if !numbers.logasap {
            cells.add_at(near.bytes as usize, numbers.bytes.wrapping_mul(weight));
        }
        for (timer, ms) in numbers.timers_ms.into_iter().enumerate() {
            // A line written before the end does not say how long it all took.
            let ms = if timer == 4 && numbers.logasap { -1 } else { ms };
            near.observe(timer, ms, times, &mut cells, bounds);
        }
        let is_empty =
            (numbers.queues[0] | numbers.queues[1] | numbers.retries) == 0 && numbers.has_queues == [true; 2];
        if is_empty && !numbers.redispatched {
            // Nearly always, and the first bucket is the one of 0.
            cells.count_at(near.queues[0] as usize, times);
            cells.count_at(near.queues[1] as usize, times);
        } else {
            self.update_rare(found.names, numbers, times, &mut cells, bounds);
        }
        if !self.are_of_names {
            self.update_full(found.full, numbers, times, &mut cells, bounds);
        }
    }

    /// Adds queues that are not empty, retries and redispatches.
    #[inline(never)]
    fn update_rare(&self, names: EntryId, numbers: &Numbers, times: u32, cells: &mut Open<'_>, bounds: impl Find) {
        let Some(bases) = self.names.bases(names) else { return };
        self.add_rare(|place| bases.get(place.row).copied(), numbers, times, cells, bounds);
    }

    /// Adds to those rows that names alone do not lead to.
    #[inline(never)]
    fn update_full(&self, full: EntryId, numbers: &Numbers, times: u32, cells: &mut Open<'_>, bounds: impl Find) {
        let bases = self.full.memo.bases(full);
        let base = |place: &Place| bases.get(place.row.checked_sub(GROUPS)?).copied();
        let weight = u64::from(times);
        if let Some(base) = base(&self.bytes).filter(|_| !numbers.logasap) {
            cells.add(base, self.bytes.sum, numbers.bytes.wrapping_mul(weight));
        }
        let timers = if numbers.logasap { 4 } else { 5 };
        for (timer, (place, ms)) in self.timers.iter().zip(numbers.timers_ms).enumerate().take(timers) {
            if let Some(base) = base(place).filter(|_| ms >= 0) {
                cells.add(base, place.sum, (ms as u64).wrapping_mul(weight));
                cells.count(base, place.bucket + bounds.timer(timer, ms as u64), times);
            }
        }
        self.add_rare(base, numbers, times, cells, bounds);
    }

    fn add_rare(
        &self,
        base: impl Fn(&Place) -> Option<Base>,
        numbers: &Numbers,
        times: u32,
        cells: &mut Open<'_>,
        bounds: impl Find,
    ) {
        let weight = u64::from(times);
        let counts = [(&self.retries, numbers.retries), (&self.redispatches, u32::from(numbers.redispatched))];
        for (place, count) in counts {
            if let Some(base) = base(place).filter(|_| count > 0) {
                cells.add(base, place.sum, u64::from(count).wrapping_mul(weight));
            }
        }
        let queues = self.queues.iter().zip(numbers.queues).zip(numbers.has_queues);
        for (queue, ((place, length), is_known)) in queues.enumerate() {
            if let Some(base) = base(place).filter(|_| is_known) {
                cells.add(base, place.sum, u64::from(length).wrapping_mul(weight));
                cells.count(base, place.bucket + bounds.queue(queue, u64::from(length)), times);
            }
        }
    }

    /// True when a line may have fallen out of labels or limits.
    #[inline(always)]
    pub(super) fn any_fell_out(&self) -> bool {
        self.names.any_fell_out || self.full.memo.any_fell_out()
    }

    /// True when a line with these entries fell out of the labels or limits of some group.
    #[inline(always)]
    pub(super) fn fell_out(&self, found: Found) -> bool {
        self.any_fell_out() && (self.names.fell_out(found.names) | self.full.memo.fell_out(found.full)) != 0
    }

    /// Counts a line that fell out of the labels or limits of some groups, once per metric there.
    #[inline(always)]
    pub(super) fn count_fallen(&self, found: Found, times: u32, fell_out: &mut [u64]) {
        let groups = self.names.fell_out(found.names);
        if groups != 0 {
            count_fallen(&self.names.metrics, groups, times, fell_out);
        }
        let groups = self.full.memo.fell_out(found.full);
        if groups != 0 {
            count_fallen(&self.full.metrics, groups, times, fell_out);
        }
    }
}

impl NamesRows {
    /// Bit i: in `groups[i]` lines with these names fell out.
    #[inline(always)]
    fn fell_out(&self, names: EntryId) -> u32 {
        if self.any_fell_out { self.fell_out.get(names as usize).copied().unwrap_or(0) } else { 0 }
    }
}

/// Counts a line in `fell_out` of the metrics that stand at the places set in `bits`.
#[inline(never)]
fn count_fallen(metrics: &[Vec<usize>], mut bits: u32, times: u32, fell_out: &mut [u64]) {
    while bits != 0 {
        let of_group = metrics.get(bits.trailing_zeros() as usize).map(Vec::as_slice).unwrap_or_default();
        bits &= bits - 1;
        for metric in of_group {
            if let Some(fell_out) = fell_out.get_mut(*metric) {
                *fell_out += u64::from(times);
            }
        }
    }
}

/// The small values of a key whose names have an entry.
#[inline(always)]
pub(super) fn full_words(names: EntryId, words: [u64; 2]) -> [u64; 2] {
    [u64::from(names) << 32 | words[0], words[1]]
}

/// The status code and the method's key, as small values of a key.
#[inline(always)]
fn words((status, (length, method)): (i16, (u32, u64))) -> [u64; 2] {
    [u64::from(status as u16) << 16 | u64::from(length.min(9)), method]
}

/// Finds the entries of a line, and makes what is missing.
pub(super) struct Resolver<'r> {
    pub(super) directory: &'r Naming,
    pub(super) fields: &'r [Vec<Field>],
    pub(super) cells: &'r mut Cells,
    /// The bytes of a key's fields beyond the names.
    pub(super) more: &'r mut Vec<u8>,
}

impl Resolver<'_> {
    /// The entries of a line with these raw names and small values.
    pub(super) fn find(
        &mut self,
        places: &mut Places,
        subject: Subject<'_, '_>,
        names: &[u8],
        (status, method): (i16, (u32, u64)),
    ) -> Found {
        let text = names;
        let mut names = places.names.texts.find(text);
        if names == NO_ENTRY {
            let (bases, fell_out) = self.resolve(&places.names.groups, subject);
            names = places.names.texts.insert(text);
            if names == 0 {
                // Numbers are given anew.
                places.full.memo.forget();
            }
            places.add_names(names, &bases, fell_out);
        }
        self.more.clear();
        write_fields(subject, &places.beyond, self.more);
        let key = Key { text: self.more, more: &[], words: full_words(names, words((status, method))) };
        let hash = places.full.memo.hash(&key);
        let mut full = places.full.memo.get(hash, &key);
        if full == NO_ENTRY {
            let (bases, fell_out) = resolve(self.directory, self.fields, self.cells, &places.full.groups, subject);
            full = places.full.memo.insert(hash, &key, &bases, fell_out);
            if full == 0 {
                places.grid.clear();
            }
            places.line_cells.truncate(full as usize);
            let of_names = places.names.bases.get(names as usize).and_then(|bases| bases.get(places.lines.row));
            let base = bases.get(places.lines.row.wrapping_sub(GROUPS)).or(of_names);
            places.line_cells.push(base.map_or(0, |base| base.sum(places.lines.sum)));
        }
        let cell = places.line_cell(full);
        // Sessions of the usual layouts are not looked up in batches.
        if places.beyond.is_empty() && !matches!(subject, Subject::Tcp(_)) {
            places.grid.set(names, status, method, (full, cell));
        }
        Found { names, full, cell }
    }

    pub(super) fn resolve(&mut self, groups: &[usize], subject: Subject<'_, '_>) -> (Vec<Base>, u32) {
        resolve(self.directory, self.fields, self.cells, groups, subject)
    }
}

/// Looks up, or makes, the rows of a raw tuple seen for the first time. Bit i of the second value: in
/// `groups[i]` it fell out.
#[cold]
pub(super) fn resolve(
    directory: &Naming,
    fields: &[Vec<Field>],
    cells: &mut Cells,
    groups: &[usize],
    subject: Subject<'_, '_>,
) -> (Vec<Base>, u32) {
    let mut fell_out = 0;
    let bases = groups.iter().enumerate().map(|(position, group)| {
        let found = directory.row(*group, &fields[*group], subject, "");
        fell_out |= u32::from(found.fell_out) << position;
        cells.base(*group, found.row)
    });
    (bases.collect(), fell_out)
}
