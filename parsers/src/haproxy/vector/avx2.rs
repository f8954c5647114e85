//! The reader for AVX2 and BMI2.

use core::arch::x86_64::*;

use super::super::Http;
use super::super::scan::{Reader, TEMPLATE, Template, Templates};
use super::{COUNTS, NAMES, NUMBERS, Newlines, Place, is_termination, read_request};

#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: the array has 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// The 32 bytes at `at`.
#[inline]
#[target_feature(enable = "avx2")]
fn load_at(text: &[u8], at: usize) -> Option<__m256i> {
    Some(load(text.get(at..)?.first_chunk()?))
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

/// Reads the lines of `block`.
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
pub(super) fn scan<'a>(block: &'a [u8], reader: &mut Reader<'_, 'a>) {
    let (mut newlines, mut start) = (Newlines::new(), 0);
    let (chunks, _) = block.as_chunks::<64>();
    for (index, chunk) in chunks.iter().enumerate() {
        let (low, high) = halves(chunk);
        newlines.add(64 * index, join(equal(low, b'\n'), equal(high, b'\n')));
        if newlines.is_full() || index + 1 == chunks.len() {
            for end in newlines.take() {
                read_line(block, start, *end, reader);
                start = end + 1;
            }
        }
    }
    reader.read(&block[start..]);
}

/// Reads the line from `start` to `end` of the block.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn read_line<'a>(block: &'a [u8], start: usize, end: usize, reader: &mut Reader<'_, 'a>) {
    let line = &block[start..end];
    let read = envelope_length(block, start, reader.templates).and_then(|envelope| {
        read_http(block, Place { start, envelope, end }, &reader.templates.date, reader.batch.slot())
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
fn envelope_length(block: &[u8], start: usize, templates: &mut Templates) -> Option<usize> {
    let (low, high) = halves(block.get(start..)?.first_chunk::<TEMPLATE>()?);
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
    fn at(block: &[u8], from: usize) -> Option<Self> {
        let (low, high) = halves(block.get(from..)?.first_chunk()?);
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
        // One bit more stands for the delimiter that must not be missing.
        let kinds = _pext_u64(self.space, self.delimiter) | 1 << (self.delimiter.count_ones() & 63);
        let missing = self.delimiter.count_ones() < count;
        _bzhi_u64(kinds, count) == spaces && !missing
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

/// Reads the line into `http`; `None` leaves it to the plain parser. Loads may reach beyond the line, fields
/// may not.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn read_http<'a>(block: &'a [u8], place: Place, date: &[u8; 64], http: &mut Http<'a>) -> Option<()> {
    let client_end = client_end(block, place.start + place.envelope)?;
    if !is_date(block, client_end, date) {
        return None;
    }
    let names = client_end + 28;
    let window = Window::at(block, names)?;
    let [frontend, slash, server] = window.ends();
    if !window.has(NAMES) || frontend == 0 || slash - frontend == 1 || server - slash == 1 {
        return None;
    }
    let timers = names + server as usize + 1;
    let window = Window::at(block, timers)?;
    let [request, queue, connect, response, active, status, bytes] = window.ends();
    if !window.has(NUMBERS) || !window.are_numbers(0, bytes) {
        return None;
    }
    let cookies = timers + bytes as usize + 1;
    let window = Window::at(block, cookies)?;
    let [_, answer, ending, c0, c1, c2, c3, retries, waiting, backlog] = window.ends();
    if !window.has(COUNTS) || !window.are_numbers(ending + 1, backlog) {
        return None;
    }
    let queues_end = cookies + backlog as usize;
    if queues_end + 2 >= place.end || !is_termination(block, cookies + ending as usize) {
        return None;
    }
    // The lengths of the numbers, less one; empty ones wrap. All are in 0..8 when all their bits are.
    let length = |before: u32, end: u32| end.wrapping_sub(before).wrapping_sub(2);
    let lengths = [
        request.wrapping_sub(1),
        length(request, queue),
        length(queue, connect),
        length(connect, response),
        length(response, active),
        length(status, bytes),
        length(c3, retries),
        length(retries, waiting),
        length(waiting, backlog),
    ];
    let connections = length(ending, c0) | length(c0, c1) | length(c1, c2) | length(c2, c3);
    let all = lengths.iter().fold(connections, |all, length| all | length);
    if all >= 8 || status - active != 4 || ending - answer != 5 {
        return None;
    }
    let (start, end) = read_request(block, queues_end + 1, place, http)?;
    let first_space = equal(load_at(block, start)?, b' ').trailing_zeros() as usize;
    if first_space == 32 && end - start > 32 {
        return None;
    }
    http.method_length = first_space.min(end - start) as u32;

    let timer = |end: u32, length: u32| word(block, timers + end as usize, length);
    let count = |end: u32, length: u32| word(block, cookies + end as usize, length);
    let low = to_numbers([
        timer(request, lengths[0])?,
        timer(queue, lengths[1])?,
        timer(connect, lengths[2])?,
        timer(response, lengths[3])?,
    ]);
    let high = to_numbers([
        timer(active, lengths[4])?,
        timer(bytes, lengths[5])?,
        count(retries, lengths[6])?,
        count(waiting, lengths[7])?,
    ]);
    let last = to_numbers([count(backlog, lengths[8])?, timer(status, 2)?, 0, 0]);
    http.line = &block[place.start..place.end];
    http.start = place.envelope as u32;
    http.client_end = place.offset(client_end);
    http.names_end = place.offset(timers - 1);
    http.numbers_end = place.offset(cookies - 1);
    http.ending_end = place.offset(cookies + ending as usize);
    http.queues_end = place.offset(queues_end);
    http.timers_ms = [low[0] as i32, low[1] as i32, low[2] as i32, low[3] as i32, high[0] as i32];
    http.bytes_read = u64::from(high[1]);
    http.retries = high[2];
    http.queues = [high[3], last[0]];
    http.status_code = last[1] as i16;
    (http.logasap, http.truncated, http.redispatched) = (false, false, false);
    http.tls = (0, 0);
    Some(())
}

/// Where `ADDRESS:PORT`, at most 64 bytes from `start` on, ends.
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn client_end(block: &[u8], start: usize) -> Option<usize> {
    let mut end = start + equal(load_at(block, start)?, b' ').trailing_zeros() as usize;
    if end == start + 32 {
        end += equal(load_at(block, end)?, b' ').trailing_zeros() as usize;
    }
    // The last 32 bytes before the end: a port of up to five digits, and before it a colon.
    let before = load_at(block, end.checked_sub(32)?)?;
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
fn is_date(block: &[u8], at: usize, date: &[u8; 64]) -> bool {
    let (Some(text), Some(shape)) = (load_at(block, at), load_at(date, 8)) else { return false };
    let equal = _mm256_movemask_epi8(_mm256_cmpeq_epi8(text, shape)) as u32;
    let digit = in_range(text, b'0', 10);
    (equal & !DATE_DIGITS | digit & DATE_DIGITS) & DATE == DATE
}

/// The bytes of a number before `end`, in the upper bytes of the word; the lower ones are zero. The number
/// has `length` (0..8) bytes more than one.
#[inline(always)]
fn word(block: &[u8], end: usize, length: u32) -> Option<u64> {
    let bytes = block.get(end.checked_sub(8)?..)?.first_chunk()?;
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
