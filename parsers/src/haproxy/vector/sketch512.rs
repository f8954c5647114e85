//! Log-formats by stretches, for AVX-512 with VBMI and VBMI2: from blocks to sketches.
//!
//! The lines of a batch go through each stretch together, which `stretch512` reads; before it their envelopes, behind it
//! their methods are looked at here.

use core::arch::x86_64::*;

use super::super::format::stretch::{Found, Kind, Mark, Stretch, WINDOW};
use super::super::http::method_word;
use super::super::scan::BATCH;
use super::super::sketch::{Job, Sketch};
use super::avx512::{envelope_length, newlines};
use super::stretch512::{
    is_equal, read_captures, read_numbers, read_pair, read_rest, read_run, read_shape, read_text, window,
};
use super::{Newlines, low_bytes};

/// The end of a block, copied where there is room behind it: what windows reach over the end would read.
struct Ending {
    bytes: [u8; Self::ROOM],
    /// Where in the block it begins.
    start: usize,
}

impl Ending {
    const ROOM: usize = 1024;
    /// A line that begins less than this before the end of its block is read from the copy.
    const NEAR: usize = Self::ROOM - 4 * WINDOW;

    fn of(block: &[u8]) -> Self {
        let (mut bytes, start) = ([0; Self::ROOM], block.len().saturating_sub(Self::NEAR));
        for (byte, copied) in block.iter().skip(start).zip(&mut bytes) {
            *copied = *byte;
        }
        Self { bytes, start }
    }

    /// What can be loaded from offset `at` of `block` on.
    #[inline(always)]
    fn ahead<'e>(&'e self, block: &'e [u8], at: usize) -> &'e [u8] {
        let ahead = if at >= self.start { self.bytes.get(at - self.start..) } else { block.get(at..) };
        ahead.unwrap_or_default()
    }
}

/// Sketches the lines of `block`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi1,bmi2,popcnt,lzcnt")]
pub(super) fn sketch<'a>(block: &'a [u8], job: &mut Job<'_, 'a>) {
    let (mut start, ending) = (0, Ending::of(block));
    let read = |ends: &[usize]| start = sketch_batch(block, &ending, start, ends, job);
    Newlines::find(block, |chunk| newlines(chunk), read);
    job.leave(&block[start..]);
}

/// The lines of a batch on their way through the stretches.
struct Lines<'e> {
    /// What can be loaded from each one's start on.
    ahead: [&'e [u8]; BATCH],
    /// Where each has been read to, from its start.
    at: [usize; BATCH],
    count: usize,
    /// Bit i: line i is left.
    left: u32,
}

impl Lines<'_> {
    /// Takes every line one stretch further.
    #[inline(always)]
    fn step(
        &mut self,
        job: &mut Job<'_, '_>,
        stretch: &Stretch,
        mut step: impl FnMut(&[u8], usize, &[u8], &mut Found) -> Option<usize>,
    ) {
        for (index, sketch) in job.batch.sketches.iter_mut().enumerate().take(self.count) {
            if self.left >> index & 1 == 1 {
                continue;
            }
            let at = self.at[index];
            match step(self.ahead[index], at, sketch.line, &mut sketch.found) {
                Some(at) => self.at[index] = at,
                None => match job.layout.take(stretch, sketch.line, at, job.spans, &mut sketch.found) {
                    Some(at) => self.at[index] = at,
                    None => self.left |= 1 << index,
                },
            }
        }
    }
}

/// Sketches the lines that end at `ends`, the first from `start` on. Returns where the next line starts.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi1,bmi2,popcnt,lzcnt")]
fn sketch_batch<'a>(
    block: &'a [u8],
    ending: &Ending,
    mut start: usize,
    ends: &[usize],
    job: &mut Job<'_, 'a>,
) -> usize {
    let mut lines = Lines { ahead: [&[]; BATCH], at: [0; BATCH], count: ends.len().min(BATCH), left: 0 };
    for (index, end) in ends.iter().enumerate().take(BATCH) {
        let line = &block[start..*end];
        job.batch.lines[index] = line;
        job.batch.sketches[index].line = line;
        job.batch.sketches[index].found.redispatched = false;
        lines.ahead[index] = ending.ahead(block, start);
        match message_start(lines.ahead[index], line, job) {
            Some(at) => lines.at[index] = at,
            None => lines.left |= 1 << index,
        }
        start = end + 1;
    }
    for stretch in job.stretches {
        step(&mut lines, job, stretch);
    }
    let (tail, has_method, has_state) = (job.layout.tail(), job.has_method, job.has_state);
    let state_length = job.layout.termination_length();
    for (index, sketch) in job.batch.sketches.iter_mut().enumerate().take(lines.count) {
        if lines.left >> index & 1 == 1 {
            continue;
        }
        let fits = match (sketch.line.get(lines.at[index]..), tail) {
            // What is empty is not compared, which costs more than comparing a long text.
            (Some(rest), []) => rest.is_empty(),
            (Some(rest), [byte]) => matches!(rest, [other] if other == byte),
            (Some(rest), tail) => rest == tail,
            (None, _) => false,
        };
        if !fits || has_method && take_method(lines.ahead[index], sketch).is_none() {
            lines.left |= 1 << index;
        }
        let state = sketch.found.marks[Mark::Termination as usize] as usize;
        sketch.ended_normally = !has_state || sketch.line.get(state) == Some(&b'-');
        if !has_method && has_state {
            sketch.method = sketch.termination_key(state_length);
        }
    }
    job.batch.len = lines.count;
    job.batch.left = lines.left;
    job.flush();
    start
}

/// Takes every line one stretch further.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi1,bmi2,popcnt,lzcnt")]
fn step(lines: &mut Lines<'_>, job: &mut Job<'_, '_>, stretch: &Stretch) {
    match &stretch.kind {
        Kind::Run(run) if run.is_number => {
            lines.step(job, stretch, |ahead, at, _, found| read_numbers(ahead, at, stretch, run, found));
        }
        Kind::Run(run) => {
            lines.step(job, stretch, |ahead, at, _, found| read_run::<false, false>(ahead, at, stretch, run, found));
        }
        Kind::Shape(shape) if stretch.length as usize <= WINDOW / 2 => {
            lines.step(job, stretch, |ahead, at, _, found| read_shape::<true>(ahead, at, stretch, shape, found));
        }
        Kind::Shape(shape) => {
            lines.step(job, stretch, |ahead, at, _, found| read_shape::<false>(ahead, at, stretch, shape, found));
        }
        Kind::Pair { byte, end, longest, bad } => lines.step(job, stretch, |ahead, at, _, found| {
            read_pair(ahead, at, stretch, (*byte, *end, *longest), bad, found)
        }),
        Kind::Text { end: b'\n', second: None, bad } => match bad {
            None => lines.step(job, stretch, |ahead, at, line, found| read_rest(ahead, at, line, stretch, None, found)),
            bad => lines
                .step(job, stretch, |ahead, at, line, found| read_rest(ahead, at, line, stretch, bad.as_ref(), found)),
        },
        Kind::Text { end, second: None, bad: None } => lines.step(job, stretch, |ahead, at, line, found| {
            read_text::<false, false>(ahead, at, line, stretch, (*end, 0, &[0; 16]), found)
        }),
        Kind::Text { end, second: None, bad: Some(bad) } => lines.step(job, stretch, |ahead, at, line, found| {
            read_text::<false, true>(ahead, at, line, stretch, (*end, 0, bad), found)
        }),
        Kind::Text { end, second: Some(second), bad: None } => lines.step(job, stretch, |ahead, at, line, found| {
            read_text::<true, false>(ahead, at, line, stretch, (*end, *second, &[0; 16]), found)
        }),
        Kind::Text { end, second: Some(second), bad: Some(bad) } => {
            lines.step(job, stretch, |ahead, at, line, found| {
                read_text::<true, true>(ahead, at, line, stretch, (*end, *second, bad), found)
            })
        }
        Kind::Captures { count } => {
            lines.step(job, stretch, |ahead, at, line, _| read_captures(ahead, at, line, *count));
        }
        Kind::Steps => lines.step(job, stretch, |_, _, _, _| None),
    }
}

/// What begins a message that may be more of an envelope: spaces, a byte order mark, a priority, `message repeated`.
const RARE: [bool; 256] = {
    let mut bytes = [false; 256];
    (bytes[b' ' as usize], bytes[0xef], bytes[b'<' as usize], bytes[b'm' as usize]) = (true, true, true, true);
    bytes
};

/// True when the beginning of a message may be taken for more of its envelope.
#[inline(never)]
fn may_be_more(message: &[u8; 64], has_tag: bool) -> bool {
    let is_more = matches!(message, [b' ' | 0xef | b'<', ..]) || message.starts_with(b"message ");
    let mut spaces = memchr::memchr_iter(b' ', message);
    let ends_word = |space: usize, end: &[u8]| message.get(..space).is_some_and(|word| word.ends_with(end));
    is_more
        || match has_tag {
            true => message[0].is_ascii_alphanumeric() && spaces.next().is_none_or(|space| ends_word(space, b"]:")),
            false => {
                spaces.clone().count() < 3
                    || spaces.by_ref().take(3).any(|space| ends_word(space, b":"))
                    || message.starts_with(b"std")
                    || message[3] == b' '
                    || (message[4] == b'-' && message[7] == b'-')
            }
        }
}

/// Where the first space is; 64 when there is none.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi1")]
fn first_space(bytes: &[u8; WINDOW]) -> Option<usize> {
    match is_equal::<true>(window::<true>(bytes, 0)?, b' ') {
        0 => Some(_tzcnt_u64(is_equal::<false>(window::<false>(bytes, 0)?, b' ')) as usize),
        spaces => Some(_tzcnt_u64(spaces) as usize),
    }
}

/// Where the message starts, when the envelope is one of those seen before and nothing of the message can be taken for
/// more of it.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi1,bmi2,popcnt,lzcnt")]
fn message_start(ahead: &[u8], line: &[u8], job: &mut Job<'_, '_>) -> Option<usize> {
    let Some(at) = envelope_length(ahead.first_chunk()?, job.templates) else {
        job.learn(line);
        return None;
    };
    let message: &[u8; 64] = ahead.get(at..)?.first_chunk()?;
    let space = first_space(message)?;
    let has_tag = at > 2 && ahead.get(at - 2) == Some(&b':');
    // The first word can be one more tag only if it ends like one.
    let is_first_plain = has_tag & (space < WINDOW) & !RARE[usize::from(message[0])]
        && message.get(space.wrapping_sub(1)).is_some_and(|byte| *byte != b':');
    let is_more = !is_first_plain && may_be_more(message, has_tag);
    let is_whole = line.last() != Some(&b'\r') && at <= line.len();
    if is_more {
        // A shorter envelope may have seemed to fit.
        job.learn(line);
    }
    (!is_more && is_whole).then_some(at)
}

/// The method that the request begins with; `None` if it is not one for sure.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi1,bmi2,lzcnt")]
fn take_method(ahead: &[u8], sketch: &mut Sketch<'_>) -> Option<()> {
    let [start, end] = [Mark::MethodStart, Mark::MethodEnd].map(|mark| sketch.found.marks[mark as usize] as usize);
    let length = first_space(ahead.get(start..)?.first_chunk()?)?.min(end.checked_sub(start)?);
    let word = match length {
        0 | WINDOW.. => return None,
        1..=8 => low_bytes(ahead.get(start..)?.first_chunk()?, length as u32),
        _ => method_word(ahead.get(start..start + length)?),
    };
    // A dash says that there is none.
    let first = *ahead.get(start)?;
    if (first == b'<' && (length, word) != (8, u64::from_le_bytes(*b"<BADREQ>"))) || (first == b'-' && length == 1) {
        return None;
    }
    sketch.method = (length as u32, word);
    Some(())
}
