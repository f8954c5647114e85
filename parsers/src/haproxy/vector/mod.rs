//! The common HTTP line, read with vector instructions.
//!
//! What a byte loop costs is not its instructions but its mispredicted branches. So nothing here looks for
//! the end of a field: bit masks of all newlines, spaces, slashes and digits are made for windows of 64
//! bytes, the delimiters of a line are taken from them, their kinds are checked by one comparison a window,
//! and numbers are converted many at a time. Whatever does not fit exactly (a `-1` timer, a `+`, a cookie
//! with a slash, a cut line) returns `None` and is read by `super::parse`.
//!
//! There is one reader for what every x86-64 server has had since 2013 to 2017 ([`avx2`]), and one for what
//! most have had since 2019 to 2022 ([`avx512`]), which needs half as many instructions. This folder is the
//! crate's only place with `unsafe`: unaligned loads and stores through pointers taken from fixed-size
//! arrays, and the calls into code compiled for instructions that the processor was asked for.

#![allow(unsafe_code)]

mod avx2;
mod avx512;

use super::Http;
use super::scan::Reader;

/// The vector instructions that a scanner uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// AVX2, BMI2.
    Avx2,
    /// AVX-512 with VBMI and VBMI2.
    Avx512,
}

impl Level {
    /// What the processor has, the best last.
    pub(super) fn available() -> impl Iterator<Item = Self> {
        let avx2 = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
        let avx512 = avx2
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vbmi")
            && is_x86_feature_detected!("avx512vbmi2");
        avx2.then_some(Self::Avx2).into_iter().chain(avx512.then_some(Self::Avx512))
    }

    /// Reads the lines of `block`. Only for a level that is [`available`](Self::available).
    pub(super) fn scan<'a>(self, block: &'a [u8], reader: &mut Reader<'_, 'a>) {
        assert!(Self::available().any(|level| level == self));
        match self {
            // SAFETY: the processor has every feature that the function is compiled for; asked just above.
            Self::Avx2 => unsafe { avx2::scan(block, reader) },
            // SAFETY: as above.
            Self::Avx512 => unsafe { avx512::scan(block, reader) },
        }
    }
}

/// Where a line stands in its block, and how long its envelope is.
#[derive(Clone, Copy)]
struct Place {
    start: usize,
    envelope: usize,
    end: usize,
}

impl Place {
    /// Offset in the block -> offset in the line.
    #[inline(always)]
    fn offset(self, at: usize) -> u32 {
        at.wrapping_sub(self.start) as u32
    }
}

/// Offsets of newlines in a block, a few hundred at a time. Found first and used later, so that neither loop
/// has a branch that depends on how long lines are.
struct Newlines {
    ends: [usize; Self::LIMIT],
    count: usize,
}

impl Newlines {
    /// Room for a chunk of 64 newlines behind the last that must fit.
    const LIMIT: usize = 320;

    const fn new() -> Self {
        Self { ends: [0; Self::LIMIT], count: 0 }
    }

    /// Adds the newlines of the 64 bytes at `at`, given as bits.
    #[inline(always)]
    fn add(&mut self, at: usize, mut newlines: u64) {
        let found = newlines.count_ones() as usize;
        let Some(room) = self.ends.get_mut(self.count..).and_then(|room| room.first_chunk_mut::<64>()) else { return };
        // Two are written whether or not they are there: more are rare.
        room[0] = at + newlines.trailing_zeros() as usize;
        newlines &= newlines.wrapping_sub(1);
        room[1] = at + newlines.trailing_zeros() as usize;
        for end in room.iter_mut().take(found).skip(2) {
            newlines &= newlines.wrapping_sub(1);
            *end = at + newlines.trailing_zeros() as usize;
        }
        self.count += found;
    }

    /// True when another chunk may not fit.
    #[inline(always)]
    fn is_full(&self) -> bool {
        self.count > Self::LIMIT - 64
    }

    fn take(&mut self) -> &[usize] {
        let count = core::mem::take(&mut self.count);
        &self.ends[..count]
    }
}

/// Kinds of the delimiters in the three windows of a line, by number: 1 for a space, 0 for a slash.
///
/// `FT␣BE/SRV␣`, `TR/Tw/Tc/Tr/Ta␣ST␣B␣` and `CC␣CS␣TSC␣ac/fc/bc/sc/rc␣sq/bq␣`.
const NAMES: (u64, u32) = (0b101, 3);
const NUMBERS: (u64, u32) = (0b111_0000, 7);
const COUNTS: (u64, u32) = (0b10_1000_0111, 10);

/// True when the four bytes before `end` are letters or dashes.
#[inline(always)]
fn is_termination(block: &[u8], end: usize) -> bool {
    let Some(state) = block.get(end.wrapping_sub(4)..end) else { return false };
    state == b"----" || state.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'-')
}

/// Fills captures and request from `at` to the end of the line. Returns where the request starts and ends in
/// the block.
#[inline(always)]
fn read_request(block: &[u8], mut at: usize, place: Place, http: &mut Http<'_>) -> Option<(usize, usize)> {
    let line = &block[..place.end];
    http.captures = [(0, 0); 2];
    if *line.get(at)? == b'{' {
        at = read_captures(line, at, place, http)?;
    }
    if *line.get(at)? != b'"' || *line.last()? != b'"' || at + 1 >= line.len() {
        return None;
    }
    let (start, end) = (at + 1, line.len() - 1);
    http.request = (place.offset(start), place.offset(end));
    Some((start, end))
}

/// Reads up to two `{…} ` blocks. Returns where the request's quote must be.
fn read_captures(line: &[u8], mut at: usize, place: Place, http: &mut Http<'_>) -> Option<usize> {
    for capture in &mut http.captures {
        if *line.get(at)? != b'{' {
            break;
        }
        let length = memchr::memchr(b'}', &line[at..])?;
        *capture = (place.offset(at + 1), place.offset(at + length));
        at += length + 2;
        if *line.get(at - 1)? != b' ' {
            return None;
        }
    }
    Some(at)
}
