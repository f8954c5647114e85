//! Random numbers and random changes of lines, from a seed alone, so that a failure can be repeated.

/// A small generator; its seed is any number but 0.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// From 0 to one less than `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    /// `line` with one to three of `bytes` put in, taken away or changed, none of them before `start`.
    pub(crate) fn change(&mut self, line: &[u8], start: usize, bytes: &[u8]) -> Vec<u8> {
        let mut changed = line.to_vec();
        for _ in 0..=self.below(3) {
            let byte = bytes[self.below(bytes.len())];
            let at = start + self.below(changed.len() + 1 - start);
            match self.below(3) {
                0 => changed.insert(at, byte),
                1 if at < changed.len() => drop(changed.remove(at)),
                _ if at < changed.len() => changed[at] = byte,
                _ => {}
            }
        }
        changed
    }
}
