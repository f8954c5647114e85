//! The common HTTP line, read with vector instructions.
//!
//! What a byte loop costs is not its instructions but its mispredicted branches. So nothing here looks for
//! the end of a field: bit masks of all newlines, spaces, slashes and digits are made for windows of 64
//! bytes, the delimiters of a line are taken from them, their kinds are checked by one comparison a window,
//! and numbers are converted many at a time. And what a line costs is not the work but the wait, since each
//! window begins where the one before ends: so a batch of lines goes through each step together, and the
//! steps of different lines overlap. Whatever does not fit exactly (a `+`, a cookie with a slash, a cut
//! line) returns `None` and is read by `super::parse`.
//!
//! There is one reader for what every x86-64 server has had since 2013 to 2017 ([`avx2`]), and one for what
//! most have had since 2019 to 2022 ([`avx512`]), which needs half as many instructions. This folder is the
//! crate's only place with `unsafe`: unaligned loads and stores through pointers taken from fixed-size
//! arrays, and the calls into code compiled for instructions that the processor was asked for.

#![allow(unsafe_code)]

/// The steps that a batch of lines goes through, compiled for `$features`. The module has a function for each
/// step: it reads from the offset that the step before returned, fills in what it finds, and returns the
/// offset for the next; or `None` for a line that it leaves to the plain parser.
macro_rules! scan_in_steps {
    ($features:literal) => {
        /// Reads the lines of `block`.
        #[target_feature(enable = $features)]
        pub(super) fn scan<'a>(block: &'a [u8], reader: &mut Reader<'_, 'a>) {
            let mut start = 0;
            Newlines::find(block, |chunk| newlines(chunk), |ends| start = read_batch(block, start, ends, reader));
            reader.read(&block[start..]);
        }

        /// Reads the lines that end at `ends`, the first from `start` on. Returns where the next line starts.
        #[target_feature(enable = $features)]
        fn read_batch<'a>(block: &'a [u8], mut start: usize, ends: &[usize], reader: &mut Reader<'_, 'a>) -> usize {
            let (texts, http) = reader.batch.slots();
            let mut lines = Lines::new(texts);
            for end in ends {
                lines.push(block, start, *end);
                start = end + 1;
            }
            let templates = &mut *reader.templates;
            lines.step(http, |line, ahead, _, http| client(line, ahead, templates, http));
            lines.step(http, |_, ahead, at, http| {
                let at = names(ahead, at, http)?;
                numbers(ahead, at, http)
            });
            lines.step(http, |line, ahead, at, http| {
                let at = counts(line, ahead, at, http)?;
                request(line, ahead, at, http)
            });
            let (count, left) = (lines.count, lines.left);
            reader.keep(count, left);
            start
        }
    };
}

mod avx2;
mod avx512;
mod sketch512;
mod stretch512;

use super::http::method_word;
use super::scan::{BATCH, Reader};
use super::sketch::Job;
use super::{Http, timer};
use crate::cursor::Cursor;

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

impl Level {
    /// Sketches the lines of `block`. Only for a level that is [`available`](Self::available).
    pub(super) fn sketch<'a>(self, block: &'a [u8], job: &mut Job<'_, 'a>) {
        assert!(Self::available().any(|level| level == self));
        match self {
            Self::Avx2 => job.leave(block),
            // SAFETY: the processor has every feature that the function is compiled for; asked just above.
            Self::Avx512 => unsafe { sketch512::sketch(block, job) },
        }
    }
}

/// What can be loaded from a line's start on: all fields of a usual line up to its request, and 64 bytes more.
/// A line nearer to the end of its block is left to the plain parser.
const AHEAD: usize = 512;

/// The lines of a batch on their way through the steps.
struct Lines<'l, 'a> {
    texts: &'l mut [&'a [u8]; BATCH],
    /// What can be loaded from each one's start on.
    ahead: [&'a [u8; AHEAD]; BATCH],
    /// Where each has been read to, from its start.
    at: [usize; BATCH],
    count: usize,
    /// Bit i: line i is left to the plain parser.
    left: u32,
}

impl<'l, 'a> Lines<'l, 'a> {
    #[inline(always)]
    fn new(texts: &'l mut [&'a [u8]; BATCH]) -> Self {
        Self { texts, ahead: [&[0; AHEAD]; BATCH], at: [0; BATCH], count: 0, left: 0 }
    }

    #[inline(always)]
    fn push(&mut self, block: &'a [u8], start: usize, end: usize) {
        let index = self.count % BATCH;
        self.texts[index] = &block[start..end];
        match block[start..].first_chunk() {
            Some(ahead) => self.ahead[index] = ahead,
            None => self.left |= 1 << index,
        }
        self.count = index + 1;
    }

    /// Takes every line one step further.
    #[inline(always)]
    fn step(
        &mut self,
        http: &mut [Http<'a>; BATCH],
        mut step: impl FnMut(&'a [u8], &[u8; AHEAD], usize, &mut Http<'a>) -> Option<usize>,
    ) {
        for (index, http) in http.iter_mut().enumerate().take(self.count) {
            if self.left >> index & 1 == 1 {
                continue;
            }
            match step(self.texts[index], self.ahead[index], self.at[index], http) {
                Some(at) => self.at[index] = at,
                None => self.left |= 1 << index,
            }
        }
    }
}

/// Offsets of newlines in a block, a batch at a time. Found first and used later, so that neither loop has a
/// branch that depends on how long lines are; but soon, so that their lines are still in the nearest cache.
struct Newlines {
    ends: [usize; Self::ROOM],
    count: usize,
}

impl Newlines {
    /// More than a batch and all that [`Self::CHUNKS`] can hold; a power of two, so that an index can be wrapped
    /// instead of checked.
    const ROOM: usize = 1024;
    /// Chunks of 64 bytes that are searched before a look at how many newlines there are.
    const CHUNKS: usize = 8;

    /// Finds the newlines of `block`, of whose chunks `newlines` makes bits, and hands them to `read`, a batch at a
    /// time.
    #[inline(always)]
    fn find(block: &[u8], newlines: impl Fn(&[u8; 64]) -> u64, mut read: impl FnMut(&[usize])) {
        let mut found = Self { ends: [0; Self::ROOM], count: 0 };
        let (chunks, rest) = block.as_chunks::<64>();
        for (index, chunks) in chunks.chunks(Self::CHUNKS).enumerate() {
            for (offset, chunk) in chunks.iter().enumerate() {
                found.add(64 * (Self::CHUNKS * index + offset), newlines(chunk));
            }
            if found.count >= BATCH {
                found.take(BATCH, &mut read);
            }
        }
        let mut last = [0; 64];
        last[..rest.len()].copy_from_slice(rest);
        found.add(block.len() - rest.len(), newlines(&last));
        found.take(1, &mut read);
    }

    /// Hands what has been found to `read`, but for what is beyond a multiple of `batch`.
    #[inline(always)]
    fn take(&mut self, batch: usize, read: impl FnMut(&[usize])) {
        let count = self.count - self.count % batch;
        self.ends[..count].chunks(BATCH).for_each(read);
        self.ends.copy_within(count..self.count, 0);
        self.count -= count;
    }

    /// Adds the newlines of the 64 bytes at `at`, given as bits.
    #[inline(always)]
    fn add(&mut self, at: usize, newlines: u64) {
        // One is written whether or not it is there: more are rare.
        self.ends[self.count % Self::ROOM] = at + newlines.trailing_zeros() as usize;
        if newlines & newlines.wrapping_sub(1) == 0 {
            self.count += usize::from(newlines != 0);
        } else {
            self.add_all(at, newlines);
        }
    }

    #[cold]
    fn add_all(&mut self, at: usize, mut newlines: u64) {
        while newlines != 0 {
            self.ends[self.count % Self::ROOM] = at + newlines.trailing_zeros() as usize;
            self.count += 1;
            newlines &= newlines - 1;
        }
    }
}

/// Kinds of the delimiters in the three windows of a line, by number: 1 for a space, 0 for a slash. The last is
/// a space: a window that lacks it does not fit.
///
/// `FT␣BE/SRV␣`, `TR/Tw/Tc/Tr/Ta␣ST␣B␣` and `CC␣CS␣TSC␣ac/fc/bc/sc/rc␣sq/bq␣`.
const NAMES: (u64, u32) = (0b101, 3);
const NUMBERS: (u64, u32) = (0b111_0000, 7);
const COUNTS: (u64, u32) = (0b10_1000_0111, 10);

/// Reads `TR/Tw/Tc/Tr/Ta ST B ` the plain way, for the few lines with a `-1` among them. Returns what follows.
#[cold]
fn read_aborted(ahead: &[u8; AHEAD], at: usize, http: &mut Http<'_>) -> Option<usize> {
    let mut cursor = Cursor::new(ahead, at);
    for (index, ms) in http.timers_ms.iter_mut().enumerate() {
        *ms = timer(&mut cursor, "").ok()?;
        cursor.expect(if index == 4 { b' ' } else { b'/' }, "").ok()?;
    }
    http.status_code = if cursor.take(b'-') {
        if cursor.number(1, "").ok()? != 1 {
            return None;
        }
        -1
    } else {
        cursor.number(999, "").ok()? as i16
    };
    cursor.expect(b' ', "").ok()?;
    http.bytes_read = cursor.number(u64::MAX, "").ok()?;
    cursor.expect(b' ', "").ok()?;
    Some(cursor.at())
}

/// The `length` (1..=8) bytes at `at`, in the lower bytes of the word; the upper ones are zero.
#[inline(always)]
fn low_word(ahead: &[u8; AHEAD], at: usize, length: u32) -> Option<u64> {
    Some(u64::from_le_bytes(*ahead.get(at..)?.first_chunk()?) & u64::MAX >> (64 - 8 * (length & 15)))
}

/// The first `length` (1..=8) bytes; the upper ones are zero.
#[inline(always)]
fn low_bytes(bytes: &[u8; 8], length: u32) -> u64 {
    u64::from_le_bytes(*bytes) & u64::MAX >> (64 - 8 * (length & 15))
}

/// True when the four bytes before `end` are letters or dashes. Any of them may be there, in a third of the lines of
/// some logs: so no branch is made on which.
#[inline(always)]
fn is_termination(ahead: &[u8; AHEAD], end: usize) -> bool {
    const EACH: u32 = 0x0101_0101;
    const HIGH: u32 = 0x80 * EACH;
    let Some(state) = ahead.get(end.wrapping_sub(4)..).and_then(|state| state.first_chunk()) else { return false };
    let state = u32::from_le_bytes(*state);
    // The high bit of each byte of a sum says whether that byte reached a bound; ASCII cannot carry into the next.
    let ascii = state & !HIGH;
    let lower = ascii | (0x20 * EACH);
    let is_letter = (lower + (0x80 - u32::from(b'a')) * EACH) & !(lower + (0x7f - u32::from(b'z')) * EACH);
    let is_dash = !((ascii ^ (u32::from(b'-') * EACH)) + 0x7f * EACH);
    (is_letter | is_dash) & !state & HIGH == HIGH
}

/// Fills captures and request from `at` to the end of the line.
#[inline(always)]
fn read_request(line: &[u8], mut at: usize, http: &mut Http<'_>) -> Option<()> {
    http.captures = [(0, 0); 2];
    if *line.get(at)? == b'{' {
        at = read_captures(line, at, http)?;
    }
    if *line.get(at)? != b'"' || *line.last()? != b'"' || at + 1 >= line.len() {
        return None;
    }
    http.request = (at as u32 + 1, line.len() as u32 - 1);
    Some(())
}

/// True when the quote at the end of a request is its first. The first one in its first `window` bytes is at `first`.
#[inline(always)]
fn is_last_quote(line: &[u8], first: u32, window: u32, http: &Http<'_>) -> bool {
    let (start, end) = http.request;
    let length = end - start;
    if length < window {
        return first == length;
    }
    first == window && line.get((start + window) as usize..end as usize).is_some_and(|rest| !rest.contains(&b'"'))
}

/// Fills the method of a request whose first `window` bytes have their first space at `first_space`, and what no line
/// on this way has. Returns where the request ends; `None` when the window ends before the method.
#[inline(always)]
fn take_method(ahead: &[u8; AHEAD], first_space: u32, window: u32, http: &mut Http<'_>) -> Option<usize> {
    let (start, end) = http.request;
    if first_space == window && end - start > window {
        return None;
    }
    http.method_length = first_space.min(end - start);
    http.method_word = match http.method_length {
        length @ 1..=8 => low_word(ahead, start as usize, length)?,
        _ => method_word(http.raw_method()),
    };
    (http.logasap, http.truncated, http.redispatched) = (false, false, false);
    http.tls = (0, 0);
    Some(end as usize)
}

/// Reads up to two `{…} ` blocks. Returns where the request's quote must be.
fn read_captures(line: &[u8], mut at: usize, http: &mut Http<'_>) -> Option<usize> {
    for capture in &mut http.captures {
        if *line.get(at)? != b'{' {
            break;
        }
        let length = memchr::memchr(b'}', &line[at..])?;
        *capture = (at as u32 + 1, (at + length) as u32);
        at += length + 2;
        if *line.get(at - 1)? != b' ' {
            return None;
        }
    }
    Some(at)
}
