//! Raw texts of a line -> small numbers: the first lookup of the hot path. A [`Memo`](super::Memo) has keys of any
//! shape; here a key is one text, and of the usual length it is hashed, kept and compared as six words.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use super::memo::{EntryId, NO_ENTRY, fold};

/// Length of the texts that are kept as words.
const USUAL: std::ops::RangeInclusive<usize> = 8..=48;

/// The text in the number of an entry, as [`words_of`] gives it, and its length: one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Known {
    words: [u64; 6],
    length: usize,
}

/// A bounded memory of texts, numbered in the order in which they came. When it is full it forgets everything and
/// starts again at 0.
#[derive(Debug)]
pub struct Texts {
    /// Open addressing, at most an eighth full, so that nearly every first look finds. The number of the entry
    /// plus one; 0 is empty.
    slots: Vec<u32>,
    known: Vec<Known>,
    /// Texts of other lengths.
    others: HashMap<Box<[u8]>, EntryId, RandomState>,
    seeds: [u64; 2],
    bytes: usize,
    max_entries: usize,
    forgotten: u64,
}

impl Texts {
    /// Remembers at most `max_entries` texts of 128 bytes on average.
    pub fn new(max_entries: usize) -> Self {
        let hasher = RandomState::default();
        Self {
            slots: vec![0; 64],
            known: Vec::new(),
            seeds: [1u64, 2].map(|seed| hasher.hash_one(seed) | 1),
            others: HashMap::with_hasher(hasher),
            bytes: 0,
            max_entries: max_entries.clamp(1, 1 << 24),
            forgotten: 0,
        }
    }

    /// The number of `text`, or [`NO_ENTRY`].
    #[inline(always)]
    pub fn find(&self, text: &[u8]) -> EntryId {
        let Some(words) = words_of(text) else { return self.find_other(text) };
        let mut at = self.hash(words, text.len());
        loop {
            let slot = self.slots[at & (self.slots.len() - 1)];
            let Some(known) = self.known.get((slot as usize).wrapping_sub(1)) else { return NO_ENTRY };
            if differences(&known.words, &words) | (known.length ^ text.len()) as u64 == 0 {
                return slot - 1;
            }
            at += 1;
        }
    }

    #[cold]
    fn find_other(&self, text: &[u8]) -> EntryId {
        self.others.get(text).copied().unwrap_or(NO_ENTRY)
    }

    /// Remembers a text that was not found. Its number is 0 when everything before it was forgotten, too.
    pub fn insert(&mut self, text: &[u8]) -> EntryId {
        if self.len() >= self.max_entries || self.bytes + text.len() > 128 * self.max_entries {
            self.forget();
        }
        let id = self.len() as EntryId;
        self.bytes += text.len();
        match words_of(text) {
            Some(words) => self.known.push(Known { words, length: text.len() }),
            None => {
                self.others.insert(text.into(), id);
                // Numbers are places in `known`: this one is never found there.
                self.known.push(Known { words: [0; 6], length: usize::MAX });
            }
        }
        if 8 * self.known.len() > self.slots.len() {
            self.slots = vec![0; 2 * self.slots.len()];
            (0..id).for_each(|id| self.place(id));
        }
        self.place(id);
        id
    }

    /// Number of texts remembered.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// True when none is remembered.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// How often everything was forgotten: numbers given before the last time mean nothing any more.
    #[inline(always)]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Forgets everything.
    pub fn forget(&mut self) {
        self.forgotten += 1;
        self.slots.fill(0);
        self.known.clear();
        self.others.clear();
        self.bytes = 0;
    }

    fn place(&mut self, id: EntryId) {
        let known = self.known[id as usize];
        if known.length == usize::MAX {
            return;
        }
        let mask = self.slots.len() - 1;
        let mut at = self.hash(known.words, known.length) & mask;
        while self.slots[at] != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = id + 1;
    }

    /// One multiplication: nobody but who names frontends and servers chooses the texts.
    #[inline(always)]
    fn hash(&self, words: [u64; 6], length: usize) -> usize {
        let [a, b] = self.seeds;
        let first = words[0] ^ words[2].rotate_left(23) ^ words[4].rotate_left(47);
        let second = words[1] ^ words[3].rotate_left(17) ^ words[5].rotate_left(41);
        let hash = fold(first ^ a, second ^ b ^ length as u64);
        // The upper half lends its bits, the probe adds to the number.
        (hash >> 32) as usize
    }
}

#[inline(always)]
fn differences(a: &[u64; 6], b: &[u64; 6]) -> u64 {
    (a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) | (a[4] ^ b[4]) | (a[5] ^ b[5])
}

/// First, middle and last bytes of a text of [`USUAL`] length: together with the length they say all of it, and no
/// loop over the bytes is needed.
#[inline(always)]
fn words_of(text: &[u8]) -> Option<[u64; 6]> {
    if text.len() >= 16 {
        if text.len() > *USUAL.end() {
            return None;
        }
        let [a, b] = pair(text.first_chunk()?);
        let [c, d] = pair(text.get((text.len() - 16) / 2..)?.first_chunk()?);
        let [e, f] = pair(text.last_chunk()?);
        return Some([a, b, c, d, e, f]);
    }
    Some([u64::from_le_bytes(*text.first_chunk()?), u64::from_le_bytes(*text.last_chunk()?), 0, 0, 0, 0])
}

#[inline(always)]
fn pair(bytes: &[u8; 16]) -> [u64; 2] {
    let [low, high] = bytes.as_chunks::<8>().0 else { return [0; 2] };
    [u64::from_le_bytes(*low), u64::from_le_bytes(*high)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_every_length_differ_in_every_byte() {
        let mut texts = Texts::new(10_000);
        for (number, length) in (0..70u8).enumerate() {
            let text = (0..length).collect::<Vec<u8>>();
            assert_eq!(texts.find(&text), NO_ENTRY);
            assert_eq!(texts.insert(&text), number as EntryId);
            for at in 0..text.len() {
                let mut other = text.clone();
                other[at] ^= 0x80;
                assert_eq!(texts.find(&other), NO_ENTRY, "byte {at} of {length}");
            }
            assert_eq!(texts.find(&text), number as EntryId);
        }
    }

    #[test]
    fn a_full_memory_forgets_and_goes_on() {
        let mut texts = Texts::new(1000);
        for number in 0..10_000u32 {
            let text = format!("frontend backend/server{number}");
            assert_eq!(texts.find(text.as_bytes()), NO_ENTRY);
            let id = texts.insert(text.as_bytes());
            assert_eq!(id, number % 1000);
            assert_eq!(texts.find(text.as_bytes()), id);
        }
        assert_eq!(texts.forgotten(), 9);
        assert_eq!(texts.find(b"frontend backend/server0"), NO_ENTRY);
        let endless = vec![b'x'; 1_000_000];
        texts.insert(&endless);
        assert_eq!(texts.find(&endless), 0);
    }
}
