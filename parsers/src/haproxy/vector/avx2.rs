//! The reader for AVX2 and BMI2.

use core::arch::x86_64::*;

use super::super::http::Http;
use super::super::scan::{Reader, TEMPLATE, Template, Templates};
use super::{
    AHEAD, COUNTS, Lines, NAMES, NUMBERS, Newlines, is_last_quote, is_termination, read_aborted, read_request,
    take_method,
};

#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: the array has 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// The 32 bytes at `at`.
#[inline]
#[target_feature(enable = "avx2")]
fn load_at(ahead: &[u8; AHEAD], at: usize) -> Option<__m256i> {
    Some(load(ahead.get(at..)?.first_chunk()?))
}

/// Bit i: byte i is `byte`.
#[inline]
#[target_feature(enable = "avx2")]
fn equal(bytes: __m256i, byte: u8) -> u32 {
    _mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte as i8))) as u32
}

/// Bit i: byte i is one of the `count` bytes from `first` on.
#[inline]
#[target_feature(enable = "avx2")]
fn in_range(bytes: __m256i, first: u8, count: u8) -> u32 {
    let value = _mm256_sub_epi8(bytes, _mm256_set1_epi8(first as i8));
    _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_min_epu8(value, _mm256_set1_epi8(count as i8 - 1)), value)) as u32
}

#[inline(always)]
fn join(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

#[inline]
#[target_feature(enable = "avx2")]
fn halves(bytes: &[u8; 64]) -> (__m256i, __m256i) {
    let (halves, _) = bytes.as_chunks::<32>();
    (load(&halves[0]), load(&halves[1]))
}

scan_in_steps!("avx2,bmi1,bmi2,popcnt,lzcnt");

#[inline]
#[target_feature(enable = "avx2")]
fn newlines(chunk: &[u8; 64]) -> u64 {
    let (low, high) = halves(chunk);
    join(equal(low, b'\n'), equal(high, b'\n'))
}

/// Length of the line's envelope, when it is one of those seen before.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn envelope_length(ahead: &[u8; AHEAD], templates: &mut Templates) -> Option<usize> {
    let (low, high) = halves(ahead.first_chunk::<TEMPLATE>()?);
    let any_digit = join(in_range(low, b'0', 10), in_range(high, b'0', 10));
    let fits = |template: &Template| {
        let (expected_low, expected_high) = halves(&template.bytes);
        let equal = join(
            _mm256_movemask_epi8(_mm256_cmpeq_epi8(low, expected_low)) as u32,
            _mm256_movemask_epi8(_mm256_cmpeq_epi8(high, expected_high)) as u32,
        );
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

/// Which bytes of a window of 64 are spaces; spaces or slashes; spaces, slashes or digits.
struct Window {
    space: u64,
    delimiter: u64,
    number: u64,
}

impl Window {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn at(ahead: &[u8; AHEAD], from: usize) -> Option<Self> {
        let (low, high) = halves(ahead.get(from..)?.first_chunk()?);
        let space = join(equal(low, b' '), equal(high, b' '));
        let delimiter = space | join(equal(low, b'/'), equal(high, b'/'));
        // The slash is the byte before the digits.
        let number = space | join(in_range(low, b'/', 11), in_range(high, b'/', 11));
        Some(Self { space, delimiter, number })
    }

    /// True when the kinds of the first `count` delimiters are `spaces`: bit i for a space at number i.
    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
    fn has(&self, (spaces, count): (u64, u32)) -> bool {
        _bzhi_u64(_pext_u64(self.space, self.delimiter), count) == spaces
    }

    /// True when there are only digits, slashes and spaces from `from` to before `to`.
    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
    fn are_numbers(&self, from: u32, to: u32) -> bool {
        _bzhi_u64(!self.number, to) >> (from & 63) == 0
    }

    /// The offsets of the first delimiters.
    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
    fn ends<const COUNT: usize>(&self) -> [u32; COUNT] {
        let mut delimiter = self.delimiter;
        [(); COUNT].map(|()| {
            let end = delimiter.trailing_zeros();
            delimiter = _blsr_u64(delimiter);
            end
        })
    }
}

/// Envelope, client and accept date.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn client<'a>(line: &'a [u8], ahead: &[u8; AHEAD], templates: &mut Templates, http: &mut Http<'a>) -> Option<usize> {
    let client = envelope_length(ahead, templates)?;
    // An empty envelope seems to fit every line, also one that has a priority.
    if ahead.get(client) == Some(&b'<') {
        return None;
    }
    let client_end = client_end(ahead, client)?;
    if !is_date(ahead, client_end, &templates.date) {
        return None;
    }
    http.line = line;
    http.start = client as u32;
    http.client_end = client_end as u32;
    Some(client_end + 28)
}

/// `FT BE/SRV `
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn names(ahead: &[u8; AHEAD], at: usize, http: &mut Http<'_>) -> Option<usize> {
    let window = Window::at(ahead, at)?;
    let [frontend, slash, server] = window.ends();
    if !window.has(NAMES) || frontend == 0 || slash - frontend == 1 || server - slash == 1 {
        return None;
    }
    http.names_end = at as u32 + server;
    Some(at + server as usize + 1)
}

/// A number's length less one; empty ones wrap. Several are all in 0..8 when all their bits are.
#[inline(always)]
fn length(before: u32, end: u32) -> u32 {
    end.wrapping_sub(before).wrapping_sub(2)
}

/// `TR/Tw/Tc/Tr/Ta ST B `
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn numbers(ahead: &[u8; AHEAD], at: usize, http: &mut Http<'_>) -> Option<usize> {
    let window = Window::at(ahead, at)?;
    if !window.has(NUMBERS) {
        return None;
    }
    let [request, queue, connect, response, active, status, bytes] = window.ends();
    let lengths = [
        request.wrapping_sub(1),
        length(request, queue),
        length(queue, connect),
        length(connect, response),
        length(response, active),
        length(status, bytes),
    ];
    let all = lengths.iter().fold(0, |all, length| all | length);
    if all >= 8 || status - active != 4 || !window.are_numbers(0, bytes) {
        let end = read_aborted(ahead, at, http)?;
        http.numbers_end = end as u32 - 1;
        return Some(end);
    }
    let text = |end: u32, length: u32| word(ahead, at + end as usize, length);
    let low = to_numbers([
        text(request, lengths[0])?,
        text(queue, lengths[1])?,
        text(connect, lengths[2])?,
        text(response, lengths[3])?,
    ]);
    let high = to_numbers([text(active, lengths[4])?, text(bytes, lengths[5])?, text(status, 2)?, 0]);
    http.timers_ms = [low[0] as i32, low[1] as i32, low[2] as i32, low[3] as i32, high[0] as i32];
    http.bytes_read = u64::from(high[1]);
    http.status_code = high[2] as i16;
    http.numbers_end = at as u32 + bytes;
    Some(at + bytes as usize + 1)
}

/// `CC CS TSC ac/fc/bc/sc/rc sq/bq `
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn counts(line: &[u8], ahead: &[u8; AHEAD], at: usize, http: &mut Http<'_>) -> Option<usize> {
    let window = Window::at(ahead, at)?;
    let [_, answer, ending, c0, c1, c2, c3, retries, waiting, backlog] = window.ends();
    if !window.has(COUNTS) || !window.are_numbers(ending + 1, backlog) {
        return None;
    }
    let lengths = [length(c3, retries), length(retries, waiting), length(waiting, backlog)];
    let connections = length(ending, c0) | length(c0, c1) | length(c1, c2) | length(c2, c3);
    let all = lengths.iter().fold(connections, |all, length| all | length);
    if all >= 8 || ending - answer != 5 || at + backlog as usize + 2 >= line.len() {
        return None;
    }
    if !is_termination(ahead, at + ending as usize) {
        return None;
    }
    let text = |end: u32, length: u32| word(ahead, at + end as usize, length);
    let counts = [text(retries, lengths[0])?, text(waiting, lengths[1])?, text(backlog, lengths[2])?, 0];
    [http.retries, http.queues[0], http.queues[1], _] = to_numbers(counts);
    http.ending_end = at as u32 + ending;
    http.ended_normally = ahead.get(at + ending as usize - 4) == Some(&b'-');
    http.queues_end = at as u32 + backlog;
    Some(at + backlog as usize + 1)
}

/// `[{…} [{…} ]]"METHOD …"`
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn request(line: &[u8], ahead: &[u8; AHEAD], at: usize, http: &mut Http<'_>) -> Option<usize> {
    read_request(line, at, http)?;
    let window = load_at(ahead, http.request.0 as usize)?;
    let next = load_at(ahead, http.request.0 as usize + 32)?;
    let quotes = u64::from(equal(next, b'"')) << 32 | u64::from(equal(window, b'"'));
    is_last_quote(line, quotes.trailing_zeros(), 64, http).then_some(())?;
    take_method(ahead, equal(window, b' ').trailing_zeros(), 32, http)
}

/// Where `ADDRESS:PORT`, at most 64 bytes from `start` on, ends.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn client_end(ahead: &[u8; AHEAD], start: usize) -> Option<usize> {
    let mut end = start + equal(load_at(ahead, start)?, b' ').trailing_zeros() as usize;
    if end == start + 32 {
        end += equal(load_at(ahead, end)?, b' ').trailing_zeros() as usize;
    }
    // The last 32 bytes before the end: a port of up to five digits, and before it a colon.
    let before = load_at(ahead, end.checked_sub(32)?)?;
    let digits = (!in_range(before, b'0', 10)).leading_zeros();
    let colon = equal(before, b':') << (digits & 31) >> 31;
    (colon == 1 && digits.wrapping_sub(1) < 5 && end - digits as usize - 1 > start).then_some(end)
}

/// The accept date's bits of 0..28 of ` [06/Feb/2009:12:14:14.655] ` that must be digits.
const DATE_DIGITS: u32 = 0b11 << 2 | 0b1111 << 9 | 0b11 << 14 | 0b11 << 17 | 0b11 << 20 | 0b111 << 23;
const DATE: u32 = (1 << 28) - 1;

/// True when ` [dd/Mon/yyyy:hh:mm:ss.mmm] ` stands at `at`, with a month already seen.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn is_date(ahead: &[u8; AHEAD], at: usize, date: &[u8; 32]) -> bool {
    let Some(text) = load_at(ahead, at) else { return false };
    let equal = _mm256_movemask_epi8(_mm256_cmpeq_epi8(text, load(date))) as u32;
    let digit = in_range(text, b'0', 10);
    (equal & !DATE_DIGITS | digit & DATE_DIGITS) & DATE == DATE
}

/// The bytes of a number before `end`, in the upper bytes of the word; the lower ones are zero. The number
/// has `length` (0..8) bytes more than one.
#[inline(always)]
fn word(ahead: &[u8; AHEAD], end: usize, length: u32) -> Option<u64> {
    let bytes = ahead.get(end.checked_sub(8)?..)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes) & u64::MAX << (56 - 8 * (length & 7)))
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
