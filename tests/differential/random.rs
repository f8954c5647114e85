//! Random numbers from a seed, so that a failure can be seen again.

use std::env;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

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

/// The seed of this run: the time of its start, unless another one is given. It is printed, so that a run can be repeated.
pub(crate) fn seed() -> u64 {
    static SEED: LazyLock<u64> = LazyLock::new(|| {
        let seed = env::var(VARIABLE).ok();
        let given = seed.map(|seed| seed.parse().unwrap_or_else(|error| panic!("{VARIABLE}={seed}: {error}")));
        given.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs())
    });
    println!("{VARIABLE}={}", *SEED);
    *SEED
}
