//! Which rows a line counts in, and what every line adds to them: the hot path behind the parser.

use tailmeter_parsers::haproxy::{BATCH, Http};

use super::count::Numbers;
use super::labels::{Field, Subject, write_fields};
use crate::metrics::{Buckets, Plan, Slot};
use crate::series::{Base, Cells, Directory, EntryId, Key, Memo, NO_ENTRY, Open};

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
    pub(super) names: Rows,
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
}

/// Rows by raw tuple.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) memo: Memo,
    /// The groups of the plan that they are in, in the order of an entry's rows.
    pub(super) groups: Vec<usize>,
}

/// A line's entries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) names: EntryId,
    pub(super) full: EntryId,
}

impl Places {
    pub(super) fn new(plan: &Plan, fields: &[Vec<Field>], metrics: [Option<usize>; 11]) -> Self {
        let (mut of_names, mut of_full) = (Vec::new(), Vec::new());
        let places = metrics.map(|metric| {
            let Some(slot) = metric.and_then(|metric: usize| plan.slots[metric]) else { return Place::DISABLED };
            let Slot { group, sum, bucket } = slot;
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
        let names = Memo::new(plan.memo_entries, GROUPS);
        let full = Memo::new(plan.memo_entries, of_full.len());
        let are_of_names = places[1..].iter().all(|place| place.row < GROUPS);
        Self {
            are_of_names,
            names: Rows { memo: names, groups: of_names },
            full: Rows { memo: full, groups: of_full },
            beyond,
            lines,
            bytes,
            timers: [request, queue, connect, response, total],
            retries,
            redispatches,
            queues: [server, backend],
        }
    }
}

/// What is found of a batch of requests, step by step for all of them: so they wait for memory together, not
/// one after the other.
pub(super) struct Lookups {
    pub(super) hashes: [u64; BATCH],
    pub(super) pairs: [[u32; 2]; BATCH],
    pub(super) found: [Found; BATCH],
    /// True when every line has both entries.
    pub(super) is_complete: bool,
    /// Of the cells that will be needed; means nothing.
    pub(super) touched: u64,
}

impl Places {
    /// Looks up the requests of a batch. Only when names, status and method are the whole key.
    #[inline]
    pub(super) fn look_up(&self, requests: &[Http<'_>], cells: &Cells) -> Lookups {
        let none = Found { names: NO_ENTRY, full: NO_ENTRY };
        let mut lookups =
            Lookups { hashes: [0; BATCH], pairs: [[0; 2]; BATCH], found: [none; BATCH], is_complete: true, touched: 0 };
        let (names, full) = (&self.names.memo, &self.full.memo);
        let Lookups { found, hashes, pairs, touched, .. } = &mut lookups;
        for ((http, found), hash) in requests.iter().zip(&mut *found).zip(&mut *hashes) {
            let text = http.raw_names();
            let names_hash = names.hash_text(text);
            found.names = names.find_text(names_hash, names.candidate(names_hash, names.pair(names_hash)), text);
            *hash = full.hash_words(full_words(found.names, http_words(http)));
        }
        for (pair, hash) in pairs.iter_mut().zip(&*hashes).take(requests.len()) {
            *pair = full.pair(*hash);
        }
        for ((found, hash), pair) in found.iter_mut().zip(&*hashes).zip(&*pairs).take(requests.len()) {
            found.full = full.candidate(*hash, *pair);
        }
        for found in found.iter().take(requests.len()) {
            *touched ^= full.touch(found.full);
        }
        let mut missing = false;
        for ((http, found), hash) in requests.iter().zip(&mut *found).zip(&*hashes) {
            found.full = full.find_words(*hash, found.full, full_words(found.names, http_words(http)));
            missing |= (found.names == NO_ENTRY) | (found.full == NO_ENTRY);
        }
        for found in found.iter().take(requests.len()) {
            if let [base, ..] = full.bases(found.full) {
                *touched ^= cells.touch(*base);
            }
        }
        lookups.is_complete = !missing;
        lookups
    }

    /// A number of the names of a line: no other names of its kind have it, before or after they are forgotten.
    pub(super) fn names_id(&self, found: Found) -> u64 {
        (self.names.memo.forgotten() & 0x3f_ffff) << 32 | u64::from(found.names)
    }

    /// Changes when entries found before are gone.
    pub(super) fn forgotten(&self) -> u64 {
        self.names.memo.forgotten() + self.full.memo.forgotten()
    }

    /// Adds what every line has to its rows. `buckets` are those of timers and of queues.
    #[inline(always)]
    pub(super) fn update(&self, found: Found, numbers: &Numbers, times: u32, cells: Open<'_>, buckets: [&Buckets; 2]) {
        if self.are_of_names {
            self.update_as::<true>(found, numbers, times, cells, buckets);
        } else {
            self.update_as::<false>(found, numbers, times, cells, buckets);
        }
    }

    #[inline(always)]
    pub(super) fn update_as<const ARE_OF_NAMES: bool>(
        &self,
        found: Found,
        numbers: &Numbers,
        times: u32,
        mut cells: Open<'_>,
        buckets: [&Buckets; 2],
    ) {
        let full = self.full.memo.bases(found.full);
        let Some(names) = self.names.memo.bases(found.names).first_chunk::<GROUPS>() else { return };
        let any_base = |place: &Place| match place.row {
            row if row < GROUPS => names[row],
            row => full.get(row - GROUPS).copied().unwrap_or(Base::UNUSED),
        };
        let base = |place: &Place| if ARE_OF_NAMES { names[place.row % GROUPS] } else { any_base(place) };
        let weight = u64::from(times);
        cells.add(any_base(&self.lines), self.lines.sum, weight);
        if !numbers.logasap {
            cells.add(base(&self.bytes), self.bytes.sum, numbers.bytes.wrapping_mul(weight));
        }
        if numbers.retries > 0 {
            cells.add(base(&self.retries), self.retries.sum, u64::from(numbers.retries).wrapping_mul(weight));
        }
        if numbers.redispatched {
            cells.add(base(&self.redispatches), self.redispatches.sum, weight);
        }
        let mut observe = |place: &Place, buckets: &Buckets, value: u64| {
            let base = base(place);
            cells.add(base, place.sum, value.wrapping_mul(weight));
            cells.count(base, place.bucket + buckets.of(value), times);
        };
        let [request, queue, connect, response, total] = numbers.timers_ms;
        // A line written before the end does not say how long it all took.
        let total = if numbers.logasap { -1 } else { total };
        let mut timer = |place: &Place, ms: i32| {
            if ms >= 0 {
                observe(place, buckets[0], ms as u64);
            }
        };
        timer(&self.timers[0], request);
        timer(&self.timers[1], queue);
        timer(&self.timers[2], connect);
        timer(&self.timers[3], response);
        timer(&self.timers[4], total);
        if numbers.queues == [0, 0] {
            // Nearly always, and the first bucket is the one of 0.
            for place in &self.queues {
                cells.count(base(place), place.bucket, times);
            }
            return;
        }
        for (place, length) in self.queues.iter().zip(numbers.queues) {
            let bucket = place.bucket + buckets[1].of(u64::from(length));
            cells.add(base(place), place.sum, u64::from(length).wrapping_mul(weight));
            cells.count(base(place), bucket, times);
        }
    }

    /// Counts a line that fell out of the labels or limits of some groups, once per metric there.
    #[inline(always)]
    pub(super) fn count_fallen(&self, plan: &Plan, found: Found, times: u32, fell_out: &mut [u64]) {
        for (rows, entry) in [(&self.names, found.names), (&self.full, found.full)] {
            let groups = rows.memo.fell_out(entry);
            if groups != 0 {
                rows.count_fallen(plan, groups, times, fell_out);
            }
        }
    }
}

impl Rows {
    #[cold]
    pub(super) fn count_fallen(&self, plan: &Plan, groups: u32, times: u32, fell_out: &mut [u64]) {
        for (position, group) in self.groups.iter().enumerate() {
            if groups >> position & 1 == 1 {
                for (slot, fell_out) in plan.slots.iter().zip(&mut *fell_out) {
                    if slot.is_some_and(|slot| slot.group == *group) {
                        *fell_out += u64::from(times);
                    }
                }
            }
        }
    }
}

/// The small values of a key whose names have an entry.
#[inline(always)]
pub(super) fn full_words(names: EntryId, words: [u64; 2]) -> [u64; 2] {
    [u64::from(names) << 32 | words[0], words[1]]
}

#[inline(always)]
pub(super) fn http_words(http: &Http<'_>) -> [u64; 2] {
    let (length, method) = http.method_key();
    [u64::from(http.status_code as u16) << 16 | u64::from(length.min(9)), method]
}

/// Finds the entries of a line, and makes what is missing.
pub(super) struct Resolver<'r> {
    pub(super) directory: &'r Directory,
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
        words: [u64; 2],
    ) -> Found {
        let key = Key { text: names, more: &[], words: [0; 2] };
        let hash = places.names.memo.hash(&key);
        let mut names = places.names.memo.get(hash, &key);
        if names == NO_ENTRY {
            let forgotten = places.names.memo.forgotten();
            let (mut bases, fell_out) = self.resolve(&places.names.groups, subject);
            bases.resize(GROUPS, Base::UNUSED);
            names = places.names.memo.insert(hash, &key, &bases, fell_out);
            if places.names.memo.forgotten() != forgotten {
                // The numbers of names are given anew.
                places.full.memo.forget();
            }
        }
        self.more.clear();
        write_fields(subject, &places.beyond, self.more);
        let key = Key { text: self.more, more: &[], words: full_words(names, words) };
        let hash = places.full.memo.hash(&key);
        let mut full = places.full.memo.get(hash, &key);
        if full == NO_ENTRY {
            let (bases, fell_out) = resolve(self.directory, self.fields, self.cells, &places.full.groups, subject);
            full = places.full.memo.insert(hash, &key, &bases, fell_out);
        }
        Found { names, full }
    }

    pub(super) fn resolve(&mut self, groups: &[usize], subject: Subject<'_, '_>) -> (Vec<Base>, u32) {
        resolve(self.directory, self.fields, self.cells, groups, subject)
    }
}

/// Looks up, or makes, the rows of a raw tuple seen for the first time. Bit i of the second value: in
/// `groups[i]` it fell out.
#[cold]
pub(super) fn resolve(
    directory: &Directory,
    fields: &[Vec<Field>],
    cells: &mut Cells,
    groups: &[usize],
    subject: Subject<'_, '_>,
) -> (Vec<Base>, u32) {
    let mut fell_out = 0;
    let bases = groups.iter().enumerate().map(|(position, group)| {
        let found = directory.row(*group, |index, out| subject.write(fields[*group][index], "", out));
        fell_out |= u32::from(found.fell_out) << position;
        cells.base(*group, found.row)
    });
    (bases.collect(), fell_out)
}
