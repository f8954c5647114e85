//! Raw bytes of a line -> the rows that it counts in. The hot path's one lookup.
//!
//! A table of our own, because a batch of lines looks up in steps: all hashes, then all slots, then all
//! entries. So the processor waits for the memory of many lines at once, not for one line after the other.

use std::hash::{BuildHasher, Hasher};
use std::slice::from_ref;

use foldhash::fast::RandomState;

use super::cells::Base;

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

/// Number of a remembered tuple, or [`NO_ENTRY`].
pub type EntryId = u32;

/// What a lookup returns when there is none: a plain number, so that looking up a batch needs no branch on it.
pub const NO_ENTRY: EntryId = EntryId::MAX;

/// Bits of the hash in a slot. The others number the entries.
const TAG_BITS: u32 = 12;

/// The bits that a slot shares with every hash of its entry.
#[inline(always)]
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32 >> (32 - TAG_BITS) << (32 - TAG_BITS)
}

/// True when `slot` may hold the entry of a hash with `tag`.
#[inline(always)]
fn has_tag(slot: u32, tag: u32) -> bool {
    (slot ^ tag) >> (32 - TAG_BITS) == 0
}

/// The entry in `slot`; [`NO_ENTRY`] in an empty one.
#[inline(always)]
fn entry_of(slot: u32) -> EntryId {
    (slot << TAG_BITS >> TAG_BITS).wrapping_sub(1)
}

/// The small values of an entry's key, and the base of its row in the first group.
#[derive(Clone, Copy, Debug)]
struct Near {
    words: [u64; 2],
    base: Base,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u32,
    text: u32,
    more: u32,
    fell_out: u32,
}

/// A bounded memory of raw tuples. When it is full it forgets everything and starts again: rows are not
/// lost by that, they are only looked up once more.
#[derive(Debug)]
pub struct Memo {
    /// Open addressing in pairs, at most five eighths full. The upper [`TAG_BITS`] of a slot are those of the hash,
    /// the others the entry's number plus one; 0 is empty. Small, because slots fill most of a cache.
    slots: Vec<u32>,
    /// What most lookups need of each entry, apart from the rest and together, for few cache lines.
    near: Vec<Near>,
    entries: Vec<Entry>,
    /// True when an entry's key has more than small values.
    any_text: bool,
    /// True when an entry fell out.
    any_fell_out: bool,
    texts: Vec<u8>,
    /// For each entry its row's base in each group, when there are several.
    bases: Vec<Base>,
    groups: usize,
    /// How often everything was forgotten.
    forgotten: u64,
    seeds: [u64; 4],
    hasher: RandomState,
    max_entries: usize,
    max_bytes: usize,
}

impl Memo {
    /// Remembers at most `max_entries` tuples of 128 bytes on average, each with rows in `groups` groups.
    pub fn new(max_entries: usize, groups: usize) -> Self {
        let hasher = RandomState::default();
        let max_entries = max_entries.clamp(1, (1 << (32 - TAG_BITS)) - 2);
        Self {
            slots: vec![0; 64],
            near: Vec::new(),
            entries: Vec::new(),
            any_text: false,
            any_fell_out: false,
            texts: Vec::new(),
            bases: Vec::new(),
            groups,
            forgotten: 0,
            seeds: [1u64, 2, 3, 4].map(|seed| hasher.hash_one(seed) | 1),
            hasher,
            max_entries,
            max_bytes: 128 * max_entries,
        }
    }

    /// The hash of `key`, seeded at random.
    pub fn hash(&self, key: &Key<'_>) -> u64 {
        match (key.text, key.more, key.words) {
            ([], [], words) => self.hash_words(words),
            _ => self.hash_any(key),
        }
    }

    /// The hash of a key that is nothing but `words`.
    #[inline(always)]
    pub fn hash_words(&self, words: [u64; 2]) -> u64 {
        let [a, b, c, d] = self.seeds;
        fold(fold(words[0] ^ a, words[1] ^ b) ^ c, d)
    }

    #[cold]
    fn hash_any(&self, key: &Key<'_>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key.text);
        hasher.write(key.more);
        hasher.write_u64(key.words[0]);
        hasher.write_u64(key.words[1]);
        hasher.write_usize(key.text.len());
        hasher.finish()
    }

    /// The first two slots where the entry with `hash` can be: what [`Memo::candidate`] looks at first.
    #[inline(always)]
    pub fn pair(&self, hash: u64) -> [u32; 2] {
        let at = hash as usize & (self.slots.len() - 2);
        self.slots.get(at..).and_then(|slots| slots.first_chunk()).copied().unwrap_or_default()
    }

    /// The first entry that can be the one with `hash`, whose first pair of slots is `pair`.
    #[inline(always)]
    pub fn candidate(&self, hash: u64, mut pair: [u32; 2]) -> EntryId {
        let (tag, mut next) = (tag(hash), hash);
        loop {
            let [first, second] = pair;
            // Both are looked at, whichever it is, and an empty slot reads as no entry.
            let slot = if has_tag(first, tag) { first } else { second };
            if has_tag(slot, tag) || slot == 0 {
                return entry_of(slot);
            }
            next = next.wrapping_add(2);
            pair = self.pair(next);
        }
    }

    /// The entry of a key that is nothing but `words`, whose first candidate is `candidate`.
    #[inline(always)]
    pub fn find_words(&self, hash: u64, candidate: EntryId, words: [u64; 2]) -> EntryId {
        let Some(Near { words: known, .. }) = self.near.get(candidate as usize) else { return NO_ENTRY };
        // One by one: as arrays they would be loaded together just after they were stored one by one.
        if known[0] == words[0] && known[1] == words[1] && !self.any_text {
            return candidate;
        }
        self.get(hash, &Key { text: &[], more: &[], words })
    }

    /// The hash and the entry of a key that is nothing but `words`: the steps of a lookup together, where no batch takes them.
    #[inline(always)]
    pub fn look_up(&self, words: [u64; 2]) -> (u64, EntryId) {
        let hash = self.hash_words(words);
        (hash, self.find_words(hash, self.candidate(hash, self.pair(hash)), words))
    }

    /// The entry of `key`, whose hash is `hash`.
    #[inline(never)]
    pub fn get(&self, hash: u64, key: &Key<'_>) -> EntryId {
        let mut next = hash;
        loop {
            let pair = self.pair(next);
            for slot in pair {
                if has_tag(slot, tag(hash)) && self.is(entry_of(slot), key) {
                    return entry_of(slot);
                }
            }
            if pair[1] == 0 {
                return NO_ENTRY;
            }
            next = next.wrapping_add(2);
        }
    }

    fn is(&self, entry: EntryId, key: &Key<'_>) -> bool {
        let (Some(entry), Some(near)) = (self.entries.get(entry as usize), self.near.get(entry as usize)) else {
            return false;
        };
        let (text, more) = (key.text.len(), key.more.len());
        let start = entry.start as usize;
        let known = self.texts.get(start..start + text + more).unwrap_or_default();
        near.words == key.words
            && (entry.text as usize, entry.more as usize) == (text, more)
            && known[..text] == *key.text
            && known[text..] == *key.more
    }

    /// The base of entry `entry`'s row in each group.
    #[inline(always)]
    pub fn bases(&self, entry: EntryId) -> &[Base] {
        if self.groups == 1 {
            return self.near.get(entry as usize).map(|near| from_ref(&near.base)).unwrap_or_default();
        }
        let first = entry as usize * self.groups;
        self.bases.get(first..first + self.groups).unwrap_or_default()
    }

    /// True when any tuple fell out.
    #[inline(always)]
    pub fn any_fell_out(&self) -> bool {
        self.any_fell_out
    }

    /// Bit g: in group g the tuple fell out of its labels or limits.
    #[inline(always)]
    pub fn fell_out(&self, entry: EntryId) -> u32 {
        if self.any_fell_out { self.entries.get(entry as usize).map_or(0, |entry| entry.fell_out) } else { 0 }
    }

    /// How often everything was forgotten: entries found before the last time are gone.
    #[inline(always)]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Remembers a key that was not found, with its row's base in each group.
    pub fn insert(&mut self, hash: u64, key: &Key<'_>, bases: &[Base], fell_out: u32) -> EntryId {
        let length = key.text.len() + key.more.len();
        if self.entries.len() >= self.max_entries || self.texts.len() + length > self.max_bytes {
            self.forget();
        }
        // Sparse as long as that costs little memory, since then nearly every first look finds.
        let (part, whole) = if self.slots.len() < 4096 { (1, 8) } else { (5, 8) };
        if whole * (self.entries.len() + 1) > part * self.slots.len() {
            self.grow();
        }
        let id = self.entries.len() as EntryId;
        self.any_text |= length > 0;
        self.any_fell_out |= fell_out != 0;
        self.near.push(Near { words: key.words, base: bases.first().copied().unwrap_or(Base::UNUSED) });
        self.entries.push(Entry {
            start: self.texts.len() as u32,
            text: key.text.len() as u32,
            more: key.more.len() as u32,
            fell_out,
        });
        self.texts.extend_from_slice(key.text);
        self.texts.extend_from_slice(key.more);
        if self.groups != 1 {
            self.bases.extend_from_slice(bases);
        }
        self.place(hash, id);
        id
    }

    /// Forgets everything.
    pub fn forget(&mut self) {
        self.forgotten += 1;
        self.slots.fill(0);
        self.near.clear();
        self.entries.clear();
        self.texts.clear();
        self.bases.clear();
    }

    fn place(&mut self, hash: u64, id: EntryId) {
        let mut next = hash;
        while self.pair(next)[1] != 0 {
            next = next.wrapping_add(2);
        }
        let at = next as usize & (self.slots.len() - 2);
        // Pairs fill from the left.
        let at = at + usize::from(self.slots[at] != 0);
        self.slots[at] = tag(hash) | (id + 1);
    }

    fn grow(&mut self) {
        self.slots = vec![0; 2 * self.slots.len()];
        for id in 0..self.entries.len() {
            let (words, Entry { start, text, more, .. }) = (self.near[id].words, self.entries[id]);
            let (start, middle) = (start as usize, (start + text) as usize);
            let key =
                Key { text: &self.texts[start..middle], more: &self.texts[middle..middle + more as usize], words };
            let hash = self.hash(&key);
            self.place(hash, id as EntryId);
        }
    }

    /// Number of tuples remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when none is remembered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Multiplies and folds the two halves of the product together.
#[inline(always)]
pub(crate) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::super::cells::{Cells, Layout};
    use super::*;

    /// Bases that can be told apart.
    fn bases(count: u32) -> Vec<Base> {
        let mut cells = Cells::new([Layout { sums: 1, ..Layout::default() }]);
        (0..count).map(|row| cells.base(0, row)).collect()
    }

    #[test]
    fn keys_are_told_apart_by_every_part() {
        let mut memo = Memo::new(100, 1);
        let bases = bases(5);
        let keys = [
            Key { text: b"ab", more: b"c", words: [1, 2] },
            Key { text: b"a", more: b"bc", words: [1, 2] },
            Key { text: b"abc", more: b"", words: [1, 2] },
            Key { text: b"ab", more: b"c", words: [2, 1] },
            Key { text: b"", more: b"", words: [2, 1] },
        ];
        for (key, base) in keys.iter().zip(&bases) {
            let hash = memo.hash(key);
            assert_eq!(memo.get(hash, key), NO_ENTRY);
            memo.insert(hash, key, &[*base], 0);
        }
        for (key, base) in keys.iter().zip(&bases) {
            assert_eq!(memo.bases(memo.get(memo.hash(key), key)), [*base]);
        }
    }

    #[test]
    fn equal_hashes_are_no_equal_keys() {
        let mut memo = Memo::new(100, 1);
        let bases = bases(3);
        let keys = [b"a", b"b", b"c"].map(|text| Key { text, more: b"", words: [0, 0] });
        for (key, base) in keys.iter().zip(&bases) {
            assert_eq!(memo.get(7 << 32, key), NO_ENTRY);
            memo.insert(7 << 32, key, &[*base], 0);
        }
        for (key, base) in keys.iter().zip(&bases) {
            assert_eq!(memo.bases(memo.get(7 << 32, key)), [*base]);
        }
    }

    #[test]
    fn a_full_memory_forgets_and_goes_on() {
        let mut memo = Memo::new(1000, 1);
        let bases = bases(10_000);
        for (number, base) in bases.iter().enumerate() {
            let text = number.to_le_bytes();
            let key = Key { text: &text, more: b"", words: [0, 0] };
            let hash = memo.hash(&key);
            let entry = memo.insert(hash, &key, &[*base], 0);
            assert_eq!(memo.get(hash, &key), entry);
            assert_eq!(memo.bases(entry), [*base]);
            assert!(memo.len() <= 1000);
        }
        let endless = vec![b'x'; 1_000_000];
        let key = Key { text: &endless, more: b"", words: [0, 0] };
        memo.insert(memo.hash(&key), &key, &bases[..1], 0);
        assert!(memo.texts.len() <= endless.len());
    }
}
