//! Where messages are, by an id of theirs: one look as a rule.
//!
//! A table of our own, because each line about a message looks into it: a place has the hash, so that only one message is
//! looked at, and a message that goes leaves no mark.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use super::Id;
use crate::series::fold;

/// No number of a message.
const NONE: u32 = u32::MAX;

/// Numbers of messages by the hashes of their ids.
pub(super) struct Index {
    /// Open addressing: each stands where its hash says, or in the next free place behind that. At most half of them are taken.
    places: Vec<Place>,
    len: usize,
    seeds: [u64; 2],
}

#[derive(Clone, Copy)]
struct Place {
    hash: u32,
    at: u32,
}

const FREE: Place = Place { hash: 0, at: NONE };

impl Index {
    pub(super) fn new() -> Self {
        let hasher = RandomState::default();
        Self { places: vec![FREE; 64], len: 0, seeds: [1_u64, 2].map(|seed| hasher.hash_one(seed) | 1) }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The hash of an id, seeded at random: strangers choose ids.
    #[inline(always)]
    pub(super) fn hash(&self, id: Id) -> u32 {
        let [one, other] = self.seeds;
        (fold(id ^ one, other) >> 32) as u32
    }

    /// The one with `hash` for which `is_it` is true.
    #[inline(always)]
    pub(super) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        self.place(hash, is_it).map(|(_, at)| at)
    }

    /// Adds one that is not there.
    pub(super) fn insert(&mut self, hash: u32, at: u32) {
        if 2 * (self.len + 1) > self.places.len() {
            self.grow();
        }
        self.len += 1;
        self.put(Place { hash, at });
    }

    /// Puts `at` in the place of the one for which `is_it` is true, and says which that was.
    pub(super) fn replace(&mut self, hash: u32, at: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let (place, before) = self.place(hash, is_it)?;
        if let Some(place) = self.places.get_mut(place) {
            place.at = at;
        }
        Some(before)
    }

    /// Takes `at` away, if it is there.
    pub(super) fn remove(&mut self, hash: u32, at: u32) {
        let Some((mut hole, _)) = self.place(hash, |other| other == at) else { return };
        self.len -= 1;
        let mask = self.mask();
        let mut next = hole;
        loop {
            next = (next + 1) & mask;
            let Some(place) = self.places.get(next).copied().filter(|place| place.at != NONE) else { break };
            // Whoever would not be found behind the hole moves into it.
            let way = next.wrapping_sub(place.hash as usize) & mask;
            if way >= next.wrapping_sub(hole) & mask {
                self.set(hole, place);
                hole = next;
            }
        }
        self.set(hole, FREE);
    }

    #[inline(always)]
    fn place(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<(usize, u32)> {
        let mut next = hash as usize & self.mask();
        loop {
            let place = self.places.get(next).filter(|place| place.at != NONE)?;
            if place.hash == hash && is_it(place.at) {
                return Some((next, place.at));
            }
            next = (next + 1) & self.mask();
        }
    }

    /// There is a power of two of them.
    #[inline(always)]
    fn mask(&self) -> usize {
        self.places.len() - 1
    }

    fn put(&mut self, place: Place) {
        let mask = self.mask();
        let mut next = place.hash as usize & mask;
        while self.places.get(next).is_some_and(|other| other.at != NONE) {
            next = (next + 1) & mask;
        }
        self.set(next, place);
    }

    fn set(&mut self, at: usize, place: Place) {
        if let Some(to) = self.places.get_mut(at) {
            *to = place;
        }
    }

    fn grow(&mut self) {
        let larger = vec![FREE; 2 * self.places.len()];
        for place in std::mem::replace(&mut self.places, larger) {
            if place.at != NONE {
                self.put(place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_found_until_it_goes() {
        let mut random = 3_u64;
        let mut draw = |below: u64| {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (random >> 33) % below
        };
        // Few places and many ids in each, and hashes at the table's end, from where they go on at its beginning.
        for (hashes, first) in [(1, 7), (3, 63), (10, 60), (200, u32::MAX - 50), (1 << 20, 5)] {
            let (mut index, mut known) = (Index::new(), std::collections::BTreeMap::new());
            for at in 0..4000_u32 {
                let hash = first.wrapping_add(draw(hashes) as u32);
                known.insert(at, hash);
                index.insert(hash, at);
                while known.len() > 40 + draw(200) as usize || draw(3) == 0 && !known.is_empty() {
                    let oldest = known.keys().nth(draw(known.len() as u64) as usize).copied().unwrap_or_default();
                    let hash = known.remove(&oldest).unwrap_or_default();
                    index.remove(hash, oldest);
                    assert_eq!(index.find(hash, |other| other == oldest), None);
                    index.remove(hash, oldest);
                }
                assert_eq!(index.len(), known.len());
                if at % 16 == 0 {
                    known.iter().for_each(|(at, hash)| assert_eq!(index.find(*hash, |other| other == *at), Some(*at)));
                }
            }
            let (at, hash) = known.pop_first().unwrap_or_default();
            assert_eq!(index.replace(hash, 9999, |other| other == at), Some(at));
            assert_eq!(index.find(hash, |other| other == 9999), Some(9999));
            assert_eq!(index.replace(hash, 1, |other| other == at), None);
        }
    }
}
