//! Random numbers from a seed, so that a failure can be seen again.

use std::env;

/// The variable that takes a seed from an earlier failure.
const VARIABLE: &str = "SEED";

/// SplitMix64: small, and any seed is a good one.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to one less than `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// True one time in `turns`.
    pub(crate) fn one_in(&mut self, turns: usize) -> bool {
        self.below(turns) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[self.below(among.len())]
    }
}

/// The seed of this run: always the same, unless another one is given.
pub(crate) fn seed() -> u64 {
    match env::var(VARIABLE) {
        Ok(seed) => seed.parse().unwrap_or_else(|error| panic!("{VARIABLE}={seed}: {error}")),
        Err(_) => 2,
    }
}
