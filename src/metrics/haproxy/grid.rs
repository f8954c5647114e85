//! Names, status and method -> the entry of their full tuple, without hashing what takes few values.

use crate::series::{EntryId, NO_ENTRY};

/// Statuses and methods that have numbers: the first ones seen, which are nearly all of a log.
const STATUSES: usize = 32;
const METHODS: usize = 16;
/// Entries of one tuple of names.
const ROOM: usize = STATUSES * METHODS;
/// Tuples of names that have entries here, at most: 4 MiB.
const NAMES: usize = 2048;

/// Sends the usual methods to different places, and any other somewhere.
const SPREAD: u64 = 0x9755_d4c1_3a90_2931;

/// What no request has: its length tells it from an empty method.
const NO_METHOD: (u32, u64) = (u32::MAX, 0);

/// A table of entries by three small numbers. What has no place here is found by a [`Memo`](crate::series::Memo).
#[derive(Debug)]
pub(super) struct Grid {
    /// The number of each status code.
    numbers: [u8; 1024],
    statuses: usize,
    /// Length and word of the method at each place.
    methods: [(u32, u64); METHODS],
    /// By names, method and status: the entry plus one, 0 for none, and the cell that counts its lines.
    entries: Vec<[u32; 2]>,
}

impl Grid {
    pub(super) fn new() -> Self {
        Self { numbers: [u8::MAX; 1024], statuses: 0, methods: [NO_METHOD; METHODS], entries: Vec::new() }
    }

    /// Where the entry of these names, this status and this method is; out of range when they have no place.
    #[inline(always)]
    pub(super) fn place(&self, names: EntryId, status: i16, method: (u32, u64)) -> usize {
        let number = self.numbers[status as usize % self.numbers.len()];
        let row = method_row(method);
        if self.methods[row] == method && number != u8::MAX {
            names as usize * ROOM + row * STATUSES + usize::from(number)
        } else {
            usize::MAX
        }
    }

    /// The entry at `place`, or [`NO_ENTRY`], and the cell that counts its lines.
    #[inline(always)]
    pub(super) fn get(&self, place: usize) -> (EntryId, u32) {
        self.entries.get(place).map_or((NO_ENTRY, 0), |[entry, cell]| (entry.wrapping_sub(1), *cell))
    }

    /// Keeps an entry and its cell, if there is a place for them.
    pub(super) fn set(&mut self, names: EntryId, status: i16, method: (u32, u64), (entry, cell): (EntryId, u32)) {
        let number = &mut self.numbers[status as usize % 1024];
        if *number == u8::MAX && self.statuses < STATUSES {
            *number = self.statuses as u8;
            self.statuses += 1;
        }
        let known = &mut self.methods[method_row(method)];
        if *known == NO_METHOD {
            *known = method;
        }
        let place = self.place(names, status, method);
        if place < NAMES * ROOM {
            if self.entries.len() <= place {
                self.entries.resize((place / ROOM + 1) * ROOM, [0; 2]);
            }
            self.entries[place] = [entry + 1, cell];
        }
    }

    /// Forgets every entry.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[inline(always)]
fn method_row((_, word): (u32, u64)) -> usize {
    (word.wrapping_mul(SPREAD) >> 60) as usize % METHODS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn method(name: &[u8]) -> (u32, u64) {
        let mut word = [0; 8];
        word[..name.len()].copy_from_slice(name);
        (name.len() as u32, u64::from_le_bytes(word))
    }

    #[test]
    fn the_usual_methods_have_places_of_their_own() {
        let methods: [&[u8]; 10] =
            [b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"CONNECT", b"TRACE", b"<BADREQ>"];
        let mut grid = Grid::new();
        for (entry, name) in methods.iter().enumerate() {
            grid.set(7, 200, method(name), (entry as EntryId, 70));
        }
        for (entry, name) in methods.iter().enumerate() {
            assert_eq!(grid.get(grid.place(7, 200, method(name))), (entry as EntryId, 70));
        }
    }

    #[test]
    fn what_has_no_place_is_not_found() {
        let mut grid = Grid::new();
        let get = method(b"GET");
        for status in 200..300 {
            grid.set(0, status, get, (status as EntryId, 0));
        }
        for status in 200..300 {
            let expected = if status < 232 { status as EntryId } else { NO_ENTRY };
            assert_eq!(grid.get(grid.place(0, status, get)).0, expected, "{status}");
        }
        assert_eq!(grid.get(grid.place(0, -1, get)).0, NO_ENTRY);
        assert_eq!(grid.get(grid.place(1, 200, get)).0, NO_ENTRY);
        assert_eq!(grid.get(grid.place(0, 200, method(b"GET\0"))).0, NO_ENTRY);
        grid.set(NAMES as EntryId, 200, get, (1, 1));
        assert_eq!(grid.get(grid.place(NAMES as EntryId, 200, get)).0, NO_ENTRY);
        grid.clear();
        assert_eq!(grid.get(grid.place(0, 200, get)).0, NO_ENTRY);
        // An empty method is one, too, and gives its place to nobody.
        assert_eq!(grid.get(grid.place(0, 200, method(b""))).0, NO_ENTRY);
        grid.set(0, 200, method(b""), (5, 0));
        for name in 0..=u8::MAX {
            grid.set(0, 200, method(&[name]), (6, 0));
        }
        assert_eq!(grid.get(grid.place(0, 200, method(b""))).0, 5);
    }
}
