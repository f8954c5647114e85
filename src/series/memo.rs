//! Raw bytes of a line -> the rows that it counts in. The hot path's one lookup.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::RowId;

/// What identifies a raw tuple: bytes of the line as they stand there, and small values.
#[derive(Clone, Copy, Debug)]
pub struct Key<'k> {
    /// Bytes that stand together in the line.
    pub text: &'k [u8],
    /// Further bytes, from elsewhere.
    pub more: &'k [u8],
    /// Small values, packed.
    pub words: [u64; 2],
}

/// The rows of a raw tuple, one per group of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route<const GROUPS: usize> {
    /// The row in each group.
    pub rows: [RowId; GROUPS],
    /// Bit g: in group g the tuple fell out of its labels or limits.
    pub fell_out: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry<const GROUPS: usize> {
    start: u32,
    text: u32,
    more: u32,
    words: [u64; 2],
    route: Route<GROUPS>,
}

/// A bounded memory of raw tuples. When it is full it forgets everything and starts again: rows are not
/// lost by that, they are only looked up once more.
#[derive(Debug)]
pub struct Memo<const GROUPS: usize> {
    table: HashTable<Entry<GROUPS>>,
    texts: Vec<u8>,
    hasher: RandomState,
    max_entries: usize,
    max_bytes: usize,
}

impl<const GROUPS: usize> Memo<GROUPS> {
    /// Remembers at most `max_entries` tuples of 128 bytes on average.
    pub fn new(max_entries: usize) -> Self {
        let max_entries = max_entries.clamp(1, 1 << 24);
        Self {
            table: HashTable::new(),
            texts: Vec::new(),
            hasher: RandomState::default(),
            max_entries,
            max_bytes: 128 * max_entries,
        }
    }

    /// The hash of `key`, seeded at random.
    #[inline]
    pub fn hash(&self, key: &Key<'_>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key.text);
        if !key.more.is_empty() {
            hasher.write(key.more);
        }
        hasher.write_u64(key.words[0]);
        hasher.write_u64(key.words[1]);
        hasher.finish()
    }

    /// The route of `key`, whose hash is `hash`.
    #[inline]
    pub fn find(&self, hash: u64, key: &Key<'_>) -> Option<&Route<GROUPS>> {
        let equal = |entry: &Entry<GROUPS>| {
            entry.words == key.words
                && entry.text as usize == key.text.len()
                && entry.more as usize == key.more.len()
                && self.texts.get(entry.start as usize..).is_some_and(|text| {
                    text.len() >= key.text.len() + key.more.len()
                        && text[..key.text.len()] == *key.text
                        && text[key.text.len()..key.text.len() + key.more.len()] == *key.more
                })
        };
        self.table.find(hash, equal).map(|entry| &entry.route)
    }

    /// Remembers the route of a key that was not found.
    pub fn insert(&mut self, hash: u64, key: &Key<'_>, route: Route<GROUPS>) {
        let length = key.text.len() + key.more.len();
        if self.table.len() >= self.max_entries || self.texts.len() + length > self.max_bytes {
            self.table.clear();
            self.texts.clear();
        }
        if length > self.max_bytes {
            return;
        }
        let entry = Entry {
            start: self.texts.len() as u32,
            text: key.text.len() as u32,
            more: key.more.len() as u32,
            words: key.words,
            route,
        };
        self.texts.extend_from_slice(key.text);
        self.texts.extend_from_slice(key.more);
        let (texts, hasher) = (&self.texts, &self.hasher);
        let rehash = |entry: &Entry<GROUPS>| {
            let (start, middle) = (entry.start as usize, (entry.start + entry.text) as usize);
            let mut state = hasher.build_hasher();
            state.write(&texts[start..middle]);
            if entry.more > 0 {
                state.write(&texts[middle..middle + entry.more as usize]);
            }
            state.write_u64(entry.words[0]);
            state.write_u64(entry.words[1]);
            state.finish()
        };
        self.table.insert_unique(hash, entry, rehash);
    }

    /// Number of tuples remembered.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// True when none is remembered.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(row: RowId) -> Route<1> {
        Route { rows: [row], fell_out: 0 }
    }

    #[test]
    fn keys_are_told_apart_by_every_part() {
        let mut memo = Memo::new(100);
        let keys = [
            Key { text: b"ab", more: b"c", words: [1, 2] },
            Key { text: b"a", more: b"bc", words: [1, 2] },
            Key { text: b"abc", more: b"", words: [1, 2] },
            Key { text: b"ab", more: b"c", words: [2, 1] },
        ];
        for (row, key) in keys.iter().enumerate() {
            let hash = memo.hash(key);
            assert_eq!(memo.find(hash, key), None);
            memo.insert(hash, key, route(row as RowId));
        }
        for (row, key) in keys.iter().enumerate() {
            assert_eq!(memo.find(memo.hash(key), key), Some(&route(row as RowId)));
        }
    }

    #[test]
    fn a_full_memory_forgets_and_goes_on() {
        let mut memo = Memo::new(10);
        for number in 0..1000u64 {
            let key = Key { text: &number.to_le_bytes(), more: b"", words: [0, 0] };
            let hash = memo.hash(&key);
            memo.insert(hash, &key, route(number as RowId));
            assert_eq!(memo.find(hash, &key), Some(&route(number as RowId)));
            assert!(memo.len() <= 10);
        }
        let endless = vec![b'x'; 100_000];
        let key = Key { text: &endless, more: b"", words: [0, 0] };
        memo.insert(memo.hash(&key), &key, route(1));
        assert_eq!(memo.find(memo.hash(&key), &key), None);
    }
}
