//! The common HTTP line, read with vector instructions (AVX2 and BMI2).
//!
//! What a byte loop costs is not its instructions but its mispredicted branches. So nothing here looks for
//! the end of a field: bit masks of all newlines, spaces, slashes and digits of a stretch of bytes are made
//! first, then the twenty delimiters of a line are taken from them at once, their kinds are checked by one
//! comparison, and all numbers are converted together. Whatever does not fit exactly (a `-1` timer, a `+`,
//! a cookie with a slash, a cut line) returns `None` and is read by `super::parse`.
//!
//! This is the crate's one module with `unsafe`: unaligned loads through pointers taken from fixed-size
//! arrays, and the call into code compiled for AVX2 after the processor was asked for it. What it pays is
//! in the project's benches.

#![allow(unsafe_code)]

use core::arch::x86_64::*;

use super::Http;
use super::scan::{Reader, TEMPLATE, Template, Templates};

/// Bytes whose masks are made at once: small enough that they stay in the first-level cache.
const STRETCH: usize = 16 * 1024;
/// Words of a mask. More than a stretch needs, so that an index can be wrapped instead of checked: bits
/// behind the stretch are never part of a line inside it.
const WORDS: usize = 2 * STRETCH / 64;

/// True when the processor has what [`scan`] needs.
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt")
}

/// Reads the lines of `block`. Only when [`is_available`].
pub(super) fn scan<'a>(block: &'a [u8], reader: &mut Reader<'_, 'a>) {
    assert!(is_available());
    // SAFETY: the processor has every feature that `scan_avx2` is compiled for; asked just above.
    unsafe { scan_avx2(block, reader) }
}

/// Where the bytes of each class are in a stretch: bit i of word w stands for byte 64 * w + i.
struct Masks {
    newline: [u64; WORDS],
    space: [u64; WORDS],
    /// Spaces and slashes.
    delimiter: [u64; WORDS],
    digit: [u64; WORDS],
}

/// The 64 bits of `mask` from bit `at` on.
#[inline(always)]
fn bits(mask: &[u64; WORDS], at: usize) -> u64 {
    let (word, shift) = (at / 64 % WORDS, at % 64);
    mask[word] >> shift | mask[(word + 1) % WORDS] << 1 << (63 - shift)
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: the array has 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// Bit i: byte i of the 64 fulfils what `class` computes as all ones.
#[inline]
#[target_feature(enable = "avx2")]
fn join(low: __m256i, high: __m256i) -> u64 {
    u64::from(_mm256_movemask_epi8(low) as u32) | u64::from(_mm256_movemask_epi8(high) as u32) << 32
}

#[inline]
#[target_feature(enable = "avx2")]
fn digits(bytes: __m256i) -> __m256i {
    let value = _mm256_sub_epi8(bytes, _mm256_set1_epi8(b'0' as i8));
    _mm256_cmpeq_epi8(_mm256_min_epu8(value, _mm256_set1_epi8(9)), value)
}

#[inline]
#[target_feature(enable = "avx2")]
fn halves(bytes: &[u8; 64]) -> (__m256i, __m256i) {
    let (low, high) = bytes.split_at(32);
    let (Ok(low), Ok(high)) = (low.try_into(), high.try_into()) else { unreachable!() };
    (load(low), load(high))
}

impl Masks {
    const fn new() -> Self {
        Self { newline: [0; WORDS], space: [0; WORDS], delimiter: [0; WORDS], digit: [0; WORDS] }
    }

    /// Makes the masks of `stretch`, at most [`STRETCH`] bytes. Returns the number of words.
    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
    fn fill(&mut self, stretch: &[u8]) -> usize {
        let (chunks, tail) = stretch.as_chunks::<64>();
        for (word, chunk) in chunks.iter().enumerate() {
            self.set(word % WORDS, chunk);
        }
        if !tail.is_empty() {
            let mut last = [0; 64];
            last[..tail.len()].copy_from_slice(tail);
            self.set(chunks.len() % WORDS, &last);
        }
        chunks.len() + usize::from(!tail.is_empty())
    }

    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
    fn set(&mut self, word: usize, chunk: &[u8; 64]) {
        let (low, high) = halves(chunk);
        let newline = _mm256_set1_epi8(b'\n' as i8);
        let space = _mm256_set1_epi8(b' ' as i8);
        let slash = _mm256_set1_epi8(b'/' as i8);
        let spaces = join(_mm256_cmpeq_epi8(low, space), _mm256_cmpeq_epi8(high, space));
        self.newline[word] = join(_mm256_cmpeq_epi8(low, newline), _mm256_cmpeq_epi8(high, newline));
        self.space[word] = spaces;
        self.delimiter[word] = spaces | join(_mm256_cmpeq_epi8(low, slash), _mm256_cmpeq_epi8(high, slash));
        self.digit[word] = join(digits(low), digits(high));
    }
}

#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn scan_avx2<'a>(block: &'a [u8], reader: &mut Reader<'_, 'a>) {
    let mut masks = Masks::new();
    let mut base = 0;
    while base < block.len() {
        let stretch = &block[base..block.len().min(base + STRETCH)];
        let words = masks.fill(stretch);
        let mut start = 0;
        for word in 0..words {
            let mut newlines = masks.newline[word % WORDS];
            while newlines != 0 {
                let end = 64 * word + newlines.trailing_zeros() as usize;
                newlines &= newlines - 1;
                read_line(block, base, start, end, &masks, reader);
                start = end + 1;
            }
        }
        if start == 0 || base + stretch.len() == block.len() {
            // A line longer than the stretch, or the last one, without its newline.
            let rest = &block[base + start..];
            let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            if !rest.is_empty() {
                reader.push(&rest[..length]);
            }
            start += length + 1;
        }
        base += start;
    }
}

/// Reads the line from `start` to `end` of the stretch that begins at `base`.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn read_line<'a>(
    block: &'a [u8],
    base: usize,
    start: usize,
    end: usize,
    masks: &Masks,
    reader: &mut Reader<'_, 'a>,
) {
    let line = &block[base + start..base + end];
    let ahead = &block[base + start..];
    let envelope = envelope_length(ahead, reader.templates);
    let read = envelope.and_then(|envelope| {
        let at = Position { line, ahead, start, envelope };
        read_http(at, masks, reader.templates.month, reader.batch.slot())
    });
    match read {
        Some(()) => {
            reader.batch.push_http(line);
            reader.flush_if_full();
        }
        None => reader.push(line),
    }
}

/// Length of the line's envelope, when it is one of those seen before.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn envelope_length(ahead: &[u8], templates: &mut Templates) -> Option<usize> {
    let first = ahead.first_chunk::<TEMPLATE>()?;
    let (low, high) = halves(first);
    let any_digit = join(digits(low), digits(high));
    let fits = |template: &Template| {
        let (expected_low, expected_high) = halves(&template.bytes);
        let equal = join(_mm256_cmpeq_epi8(low, expected_low), _mm256_cmpeq_epi8(high, expected_high));
        _bzhi_u64(!(equal | any_digit & template.digits), template.len as u32) == 0
    };
    let last = templates.known.get(templates.last)?;
    if templates.count > 0 && fits(last) {
        return Some(last.len);
    }
    let known = templates.known.get(..templates.count)?;
    let found = known.iter().position(fits)?;
    templates.last = found;
    Some(known[found].len)
}

/// Where a line stands.
#[derive(Clone, Copy)]
struct Position<'a> {
    line: &'a [u8],
    /// From the line's start to the end of the block.
    ahead: &'a [u8],
    /// Offset of the line in the stretch.
    start: usize,
    /// Length of its envelope.
    envelope: usize,
}

/// The delimiters behind the accept date, by their number: which are spaces (1) and which slashes (0).
/// `FT␣BE/SRV␣TR/Tw/Tc/Tr/Ta␣ST␣B␣CC␣CS␣TSC␣ac/fc/bc/sc/rc␣sq/bq␣`
const SPACES: u64 = 1 | 1 << 2 | 0b11_1111 << 7 | 1 << 17 | 1 << 19;
const DELIMITERS: usize = 20;

/// The accept date's bits of 0..28 of ` [06/Feb/2009:12:14:14.655] ` that must be digits.
const DATE_DIGITS: u32 = 0b11 << 2 | 0b1111 << 9 | 0b11 << 14 | 0b11 << 17 | 0b11 << 20 | 0b111 << 23;
const DATE: u32 = (1 << 28) - 1;

/// Reads the line into `http`; `None` leaves it to the plain parser.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn read_http<'a>(at: Position<'a>, masks: &Masks, month: [u8; 3], http: &mut Http<'a>) -> Option<()> {
    let Position { line, ahead, start, envelope } = at;
    // All offsets from here on count from the line's start; `mask` makes them the stretch's.
    let mask = |mask: &[u64; WORDS], at: usize| bits(mask, start + at);

    let client_end = envelope + mask(&masks.space, envelope).trailing_zeros() as usize;
    let port = u64_before(ahead, client_end)?;
    let port_digits = (mask(&masks.digit, client_end - 8) as u8).leading_ones();
    if !(1..=5).contains(&port_digits) {
        return None;
    }
    let colon = (port << (8 * port_digits)).to_be() as u8;
    if colon != b':' || client_end - port_digits as usize - 1 <= envelope {
        return None;
    }
    if !is_date(ahead, client_end, month) {
        return None;
    }

    let names = client_end + 28;
    let mut ends = [0u32; 64];
    let found = delimiters(masks, start, names, &mut ends)?;
    let d: &[u32; DELIMITERS] = ends.first_chunk()?;
    let length = |index: usize| d[index] - d[index - 1] - 1;
    if found & ((1 << DELIMITERS) - 1) != SPACES || d[19] as usize + 2 >= line.len() {
        return None;
    }
    // Only digits and delimiters from the timers to the bytes, and from the connections to the queues.
    let numbers = |from: u32, to: u32| {
        let other = !(mask(&masks.digit, from as usize + 1) | mask(&masks.delimiter, from as usize + 1));
        to - from <= 64 && _bzhi_u64(other, to - from - 1) == 0
    };
    let lengths_fit = [3, 4, 5, 6, 7, 9, 17, 18, 19].iter().all(|i| length(*i).wrapping_sub(1) < 8)
        & [13, 14, 15, 16].iter().all(|i| length(*i).wrapping_sub(1) < 9)
        & (d[0] as usize > names)
        & (length(1) > 0)
        & (length(2) > 0)
        & (length(8) == 3)
        & (length(12) == 4);
    if !lengths_fit || !numbers(d[2], d[9]) || !numbers(d[12], d[19]) || !is_termination(ahead, d[12] as usize) {
        return None;
    }
    read_request(line, d[19] as usize + 1, http)?;
    let first_space = mask(&masks.space, http.request.0 as usize).trailing_zeros();
    let request_length = http.request.1 - http.request.0;
    if first_space == 64 && request_length > 64 {
        return None;
    }
    http.method_length = first_space.min(request_length);

    let text = |index: usize| word(ahead, d[index] as usize, length(index));
    let low = to_numbers([text(3)?, text(4)?, text(5)?, text(6)?]);
    let high = to_numbers([text(7)?, text(9)?, text(17)?, text(18)?]);
    let last = to_numbers([text(19)?, text(8)?, 0, 0]);
    http.line = line;
    http.start = envelope as u32;
    let date_end = client_end as u32 + 27;
    http.ends =
        [client_end as u32, date_end, d[0], d[2], d[7], d[8], d[9], d[10], d[11], d[12], d[17], d[19]];
    http.timers_ms = [low[0] as i32, low[1] as i32, low[2] as i32, low[3] as i32, high[0] as i32];
    http.bytes_read = u64::from(high[1]);
    http.retries = high[2];
    http.queues = [high[3], last[0]];
    http.status_code = last[1] as i16;
    (http.logasap, http.truncated, http.redispatched) = (false, false, false);
    http.tls = (0, 0);
    Some(())
}

/// True when ` [dd/Mon/yyyy:hh:mm:ss.mmm] ` stands at `at`, with a month already seen.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn is_date(ahead: &[u8], at: usize, [m0, m1, m2]: [u8; 3]) -> bool {
    let Some(text) = ahead.get(at..).and_then(|text| text.first_chunk::<32>()) else { return false };
    let mut shape = *b" [00/Mon/0000:00:00:00.000] \0\0\0\0";
    (shape[5], shape[6], shape[7]) = (m0, m1, m2);
    let text = load(text);
    let equal = _mm256_movemask_epi8(_mm256_cmpeq_epi8(text, load(&shape))) as u32;
    let digit = _mm256_movemask_epi8(digits(text)) as u32;
    (equal & !DATE_DIGITS | digit & DATE_DIGITS) & DATE == DATE
}

/// Writes the offsets of the first delimiters from `from` on, at least [`DELIMITERS`] of them, to `ends`.
/// Returns which of them are spaces.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn delimiters(masks: &Masks, start: usize, from: usize, ends: &mut [u32; 64]) -> Option<u64> {
    let (mut count, mut spaces) = (0, 0);
    for window in 0..4 {
        let at = from + 64 * window;
        let mut delimiter = bits(&masks.delimiter, start + at);
        spaces |= _pext_u64(bits(&masks.space, start + at), delimiter) << count;
        let more = delimiter.count_ones() as usize;
        // As many as are usual, without a look at how many there are; then, rarely, the others.
        for index in 0..12 {
            ends[(count + index) % 64] = at as u32 + delimiter.trailing_zeros();
            delimiter &= delimiter.wrapping_sub(1);
        }
        for index in 12..more {
            ends[(count + index) % 64] = at as u32 + delimiter.trailing_zeros();
            delimiter &= delimiter.wrapping_sub(1);
        }
        count += more;
        if count >= DELIMITERS {
            return Some(spaces);
        }
    }
    None
}

/// True when the four bytes before `end` are letters or dashes.
#[inline(always)]
fn is_termination(ahead: &[u8], end: usize) -> bool {
    let Some(state) = ahead.get(end - 4..end) else { return false };
    state == b"----" || state.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'-')
}

/// Fills captures and request from `at` to the end of the line.
#[inline(always)]
fn read_request(line: &[u8], mut at: usize, http: &mut Http<'_>) -> Option<()> {
    http.captures = [(0, 0); 2];
    for block in 0..2 {
        if *line.get(at)? != b'{' {
            break;
        }
        let length = memchr::memchr(b'}', &line[at..])?;
        http.captures[block] = (at as u32 + 1, (at + length) as u32);
        at += length + 2;
        if *line.get(at - 1)? != b' ' {
            return None;
        }
    }
    if *line.get(at)? != b'"' || *line.last()? != b'"' || at + 1 >= line.len() {
        return None;
    }
    http.request = (at as u32 + 1, line.len() as u32 - 1);
    Some(())
}

/// The eight bytes before `end`.
#[inline(always)]
fn u64_before(ahead: &[u8], end: usize) -> Option<u64> {
    let bytes = ahead.get(end.checked_sub(8)?..end)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// The `length` (1..=8) bytes before `end`, in the upper bytes of the word; the lower ones are zero.
#[inline(always)]
fn word(ahead: &[u8], end: usize, length: u32) -> Option<u64> {
    Some(u64_before(ahead, end)? & u64::MAX << (64 - 8 * length))
}

/// Converts four numbers of at most eight digits, each in the upper bytes of its word.
#[inline]
#[target_feature(enable = "avx2")]
fn to_numbers(words: [u64; 4]) -> [u32; 4] {
    let [a, b, c, d] = words.map(|word| word as i64);
    let text = _mm256_set_epi64x(d, c, b, a);
    let digits = _mm256_subs_epu8(text, _mm256_set1_epi8(b'0' as i8));
    let pairs = _mm256_maddubs_epi16(digits, _mm256_set1_epi16(0x010a));
    let fours = _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x0001_0064));
    let packed = _mm256_packus_epi32(fours, fours);
    let numbers = _mm256_madd_epi16(packed, _mm256_set1_epi32(0x0001_2710));
    // Each half holds its two numbers twice.
    let (low, high) = (_mm256_castsi256_si128(numbers), _mm256_extracti128_si256(numbers, 1));
    [
        _mm_extract_epi32(low, 0) as u32,
        _mm_extract_epi32(low, 1) as u32,
        _mm_extract_epi32(high, 0) as u32,
        _mm_extract_epi32(high, 1) as u32,
    ]
}
