//! The reader for AVX-512 with VBMI and VBMI2: whole windows in one register, delimiters as vectors of
//! offsets, all numbers of a window converted together.

use core::arch::x86_64::*;

use super::super::http::Http;
use super::super::scan::{Reader, TEMPLATE, Template, Templates};
use super::{
    AHEAD, COUNTS, Lines, NAMES, NUMBERS, Newlines, is_last_quote, is_termination, read_aborted, read_request,
    take_method,
};

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: the array has 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// The 64 bytes at `at`.
#[inline]
#[target_feature(enable = "avx512f")]
fn load_at(ahead: &[u8; AHEAD], at: usize) -> Option<__m512i> {
    Some(load(ahead.get(at..)?.first_chunk()?))
}

/// Bit i: byte i is `byte`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn equal(bytes: __m512i, byte: u8) -> u64 {
    _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(byte as i8))
}

/// Bit i: byte i is one of the `count` bytes from `first` on.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn in_range(bytes: __m512i, first: u8, count: u8) -> u64 {
    let value = _mm512_sub_epi8(bytes, _mm512_set1_epi8(first as i8));
    _mm512_cmplt_epu8_mask(value, _mm512_set1_epi8(count as i8))
}

scan_in_steps!("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi1,bmi2,popcnt,lzcnt");

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn newlines(chunk: &[u8; 64]) -> u64 {
    equal(load(chunk), b'\n')
}

/// Length of the line's envelope, when it is one of those seen before.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,bmi2")]
pub(super) fn envelope_length(ahead: &[u8; TEMPLATE], templates: &mut Templates) -> Option<usize> {
    let text = load(ahead);
    let any_digit = in_range(text, b'0', 10);
    let fits = |template: &Template| {
        let differs = _mm512_cmpneq_epi8_mask(text, load(&template.bytes));
        _bzhi_u64(differs & !(any_digit & template.digits), template.len as u32) == 0
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

/// 64 bytes, and which of them are spaces; spaces or slashes; spaces, slashes or digits.
struct Window {
    text: __m512i,
    space: u64,
    delimiter: u64,
    number: u64,
}

impl Window {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn at(ahead: &[u8; AHEAD], from: usize) -> Option<Self> {
        let text = load_at(ahead, from)?;
        let space = equal(text, b' ');
        // The slash is the byte before the digits.
        Some(Self { text, space, delimiter: space | equal(text, b'/'), number: space | in_range(text, b'/', 11) })
    }

    /// True when the kinds of the first delimiters are those of `kinds`.
    #[inline]
    #[target_feature(enable = "bmi2")]
    fn has(&self, (spaces, count): (u64, u32)) -> bool {
        _bzhi_u64(_pext_u64(self.space, self.delimiter), count) == spaces
    }

    /// Where field `index` ends; 64 when there are fewer.
    #[inline]
    #[target_feature(enable = "bmi1,bmi2")]
    fn end(&self, index: u32) -> u32 {
        _pdep_u64(1 << index, self.delimiter).trailing_zeros()
    }

    /// True when there are only numbers of one to eight digits, slashes and spaces from `from`, where one begins, to the
    /// delimiter at `to`.
    #[inline]
    #[target_feature(enable = "bmi2")]
    fn are_short_numbers(&self, from: u32, to: u32) -> bool {
        let other = !self.delimiter;
        let two = other & other >> 1;
        let four = two & two >> 2;
        let nine = four & four >> 4 & other >> 8;
        let empty = self.delimiter & self.delimiter << 1;
        // An empty first field shows at its end.
        _bzhi_u64(!self.number | nine, to) >> (from & 63) == 0 && _bzhi_u64(empty, to + 1) >> (from & 63) == 0
    }

    /// The fields before each of the first 16 delimiters.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2")]
    fn fields(&self) -> Fields {
        let ends = _mm512_castsi512_si128(_mm512_maskz_compress_epi8(self.delimiter, iota()));
        // The first starts at 0, every other behind the delimiter before it.
        let before = _mm_mask_blend_epi8(1, _mm_bslli_si128(ends, 1), _mm_set1_epi8(-1));
        Fields { starts: _mm_add_epi8(before, _mm_set1_epi8(1)), ends }
    }

    /// Converts eight fields, from number `FIRST` on, of at most eight digits each.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
    fn numbers<const FIRST: i8>(&self, fields: &Fields) -> [u32; 8] {
        let spread = _mm512_add_epi8(field_of_byte(), _mm512_set1_epi8(FIRST));
        let ends = _mm512_permutexvar_epi8(spread, _mm512_castsi128_si512(fields.ends));
        let starts = _mm512_permutexvar_epi8(spread, _mm512_castsi128_si512(fields.starts));
        // Each field's last eight bytes, as far as they are its own; zeros before them.
        let at = _mm512_add_epi8(ends, byte_before_end());
        let own = _mm512_cmpge_epi8_mask(at, starts);
        let text = _mm512_maskz_permutexvar_epi8(own, at, self.text);
        let digits = _mm512_maskz_sub_epi8(own, text, _mm512_set1_epi8(b'0' as i8));
        let pairs = _mm512_maddubs_epi16(digits, _mm512_set1_epi16(0x010a));
        let fours = _mm512_madd_epi16(pairs, _mm512_set1_epi32(0x0001_0064));
        let packed = _mm512_packus_epi32(fours, fours);
        let numbers = _mm512_madd_epi16(packed, _mm512_set1_epi32(0x0001_2710));
        // Each quarter holds its two numbers twice.
        let order = _mm512_set_epi32(0, 0, 0, 0, 0, 0, 0, 0, 13, 12, 9, 8, 5, 4, 1, 0);
        let numbers = _mm512_castsi512_si256(_mm512_permutexvar_epi32(order, numbers));
        let mut out = [0; 8];
        // SAFETY: the array has 32 writable bytes; the store needs no alignment.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), numbers) };
        out
    }
}

/// Offsets in a window.
struct Fields {
    starts: __m128i,
    ends: __m128i,
}

impl Fields {
    /// True when every field is at least as long as in `shortest` and at most as long as in `longest`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn fit(&self, shortest: &[u8; 16], longest: &[u8; 16]) -> bool {
        let lengths = _mm_sub_epi8(self.ends, self.starts);
        let (shortest, longest) = (small(shortest), small(longest));
        _mm_cmplt_epu8_mask(lengths, shortest) | _mm_cmpgt_epu8_mask(lengths, longest) == 0
    }

    /// Where field `INDEX` ends.
    #[inline]
    #[target_feature(enable = "sse4.1")]
    fn end<const INDEX: i32>(&self) -> u32 {
        _mm_extract_epi8(self.ends, INDEX) as u32
    }
}

#[inline]
#[target_feature(enable = "avx")]
pub(super) fn half(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: the array has 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn small(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: the array has 16 readable bytes; the load needs no alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn iota() -> __m512i {
    const BYTES: [u8; 64] = table(0);
    load(&BYTES)
}

/// For each byte of eight numbers of eight bytes: which number it belongs to.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn field_of_byte() -> __m512i {
    const BYTES: [u8; 64] = table(1);
    load(&BYTES)
}

/// For each byte of eight numbers of eight bytes: its offset from the end of the number, -8 to -1.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn byte_before_end() -> __m512i {
    const BYTES: [u8; 64] = table(2);
    load(&BYTES)
}

const fn table(kind: u8) -> [u8; 64] {
    let mut bytes = [0; 64];
    let mut at = 0;
    while at < 64 {
        bytes[at] = match kind {
            0 => at as u8,
            1 => at as u8 / 8,
            _ => (at as u8 % 8).wrapping_sub(8),
        };
        at += 1;
    }
    bytes
}

/// Lengths of `TR Tw Tc Tr Ta ST B`. Numbers have at most eight digits, status codes have three.
const NUMBERS_SHORTEST: [u8; 16] = [1, 1, 1, 1, 1, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const NUMBERS_LONGEST: [u8; 16] = [8, 8, 8, 8, 8, 3, 8, 255, 255, 255, 255, 255, 255, 255, 255, 255];

/// Envelope, client and accept date.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi1,bmi2,popcnt,lzcnt")]
fn client<'a>(line: &'a [u8], ahead: &[u8; AHEAD], templates: &mut Templates, http: &mut Http<'a>) -> Option<usize> {
    let client = envelope_length(ahead.first_chunk()?, templates)?;
    // An empty envelope seems to fit every line, also one that has a priority.
    if ahead.get(client) == Some(&b'<') {
        return None;
    }
    let client_end = client + equal(load_at(ahead, client)?, b' ').trailing_zeros() as usize;
    if !is_client_and_date(ahead, client, client_end, &templates.date) {
        return None;
    }
    http.line = line;
    http.start = client as u32;
    http.client_end = client_end as u32;
    Some(client_end + 28)
}

/// `FT BE/SRV `
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi1,bmi2,popcnt,lzcnt")]
fn names(ahead: &[u8; AHEAD], at: usize, http: &mut Http<'_>) -> Option<usize> {
    let window = Window::at(ahead, at)?;
    let frontend = window.delimiter.trailing_zeros();
    let rest = _blsr_u64(window.delimiter);
    let (slash, server) = (rest.trailing_zeros(), _blsr_u64(rest).trailing_zeros());
    if !window.has(NAMES) || frontend == 0 || slash - frontend == 1 || server - slash == 1 {
        return None;
    }
    http.names_end = at as u32 + server;
    Some(at + server as usize + 1)
}

/// `TR/Tw/Tc/Tr/Ta ST B `
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi1,bmi2,popcnt,lzcnt")]
fn numbers(ahead: &[u8; AHEAD], at: usize, http: &mut Http<'_>) -> Option<usize> {
    let window = Window::at(ahead, at)?;
    let fields = window.fields();
    let end = fields.end::<6>();
    let dash = equal(window.text, b'-');
    let fit = fields.fit(&NUMBERS_SHORTEST, &NUMBERS_LONGEST) && _bzhi_u64(!(window.number | dash), end) == 0;
    if !window.has(NUMBERS) {
        return None;
    }
    let dash = _bzhi_u64(dash, end);
    // A dash is part of a field that is nothing but `-1`.
    let starts = window.delimiter << 1 | 1;
    let aborted = match dash {
        0 => 0,
        _ => dash & starts & equal(window.text, b'1') >> 1 & window.delimiter >> 2,
    };
    if !fit || dash != aborted {
        let end = read_aborted(ahead, at, http)?;
        http.numbers_end = end as u32 - 1;
        return Some(end);
    }
    let numbers = window.numbers::<0>(&fields);
    http.timers_ms = [numbers[0] as i32, numbers[1] as i32, numbers[2] as i32, numbers[3] as i32, numbers[4] as i32];
    if aborted != 0 {
        let kinds = _pext_u64(aborted, starts);
        for (index, ms) in http.timers_ms.iter_mut().enumerate() {
            if kinds >> index & 1 == 1 {
                *ms = -1;
            }
        }
        // Neither status nor bytes: what is not a timer goes the plain way.
        if kinds & 0b110_0000 != 0 {
            return None;
        }
    }
    http.status_code = numbers[5] as i16;
    http.bytes_read = u64::from(numbers[6]);
    http.numbers_end = at as u32 + end;
    Some(at + end as usize + 1)
}

/// `CC CS TSC ac/fc/bc/sc/rc sq/bq `
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi1,bmi2,popcnt,lzcnt")]
fn counts(line: &[u8], ahead: &[u8; AHEAD], at: usize, http: &mut Http<'_>) -> Option<usize> {
    let window = Window::at(ahead, at)?;
    let (state, ending, connections, end) = (window.end(1), window.end(2), window.end(6), window.end(9));
    let fit = window.has(COUNTS) & (ending == state + 5) & window.are_short_numbers(ending + 1, end);
    if !fit || at + end as usize + 2 >= line.len() || !is_termination(ahead, at + ending as usize) {
        return None;
    }
    if connections + 6 == end {
        // `R Q/Q `: one digit each, as nearly always.
        let digit = |before: u32| ahead.get(at + (end - before) as usize).map(|byte| u32::from(byte & 15));
        http.retries = digit(5)?;
        http.queues = [digit(3)?, digit(1)?];
    } else {
        let counts = window.numbers::<7>(&window.fields());
        http.retries = counts[0];
        http.queues = [counts[1], counts[2]];
    }
    http.ending_end = at as u32 + ending;
    http.ended_normally = ahead.get(at + ending as usize - 4) == Some(&b'-');
    http.queues_end = at as u32 + end;
    Some(at + end as usize + 1)
}

/// `[{…} [{…} ]]"METHOD …"`
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi1,bmi2,popcnt,lzcnt")]
fn request(line: &[u8], ahead: &[u8; AHEAD], at: usize, http: &mut Http<'_>) -> Option<usize> {
    read_request(line, at, http)?;
    let window = load_at(ahead, http.request.0 as usize)?;
    let next = load_at(ahead, http.request.0 as usize + 64)?;
    let quotes = u128::from(equal(next, b'"')) << 64 | u128::from(equal(window, b'"'));
    is_last_quote(line, quotes.trailing_zeros(), 128, http).then_some(())?;
    take_method(ahead, equal(window, b' ').trailing_zeros(), 64, http)
}

/// ` [dd/Mon/yyyy:hh:mm:ss.mmm] `.
const DATE: u32 = (1 << 28) - 1;
/// What of it are digits.
const DATE_DIGITS: u32 = 0b11 << 2 | 0b1111 << 9 | 0b11 << 14 | 0b11 << 17 | 0b11 << 20 | 0b111 << 23;

/// True when `ADDRESS:PORT` is there, and the accept date behind it has the shape of `date`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi1,bmi2,popcnt,lzcnt")]
fn is_client_and_date(ahead: &[u8; AHEAD], client: usize, client_end: usize, date: &[u8; 32]) -> bool {
    let Some(text) = ahead.get(client_end..).and_then(|text| text.first_chunk()) else { return false };
    let text = half(text);
    let value = _mm256_sub_epi8(text, _mm256_set1_epi8(b'0' as i8));
    let digit = _mm256_cmplt_epu8_mask(value, _mm256_set1_epi8(10));
    let is_date = (_mm256_cmpeq_epi8_mask(text, half(date)) & !DATE_DIGITS | digit & DATE_DIGITS) & DATE == DATE;
    // Up to five digits of a port, and a colon.
    let before = client_end.checked_sub(8).and_then(|at| ahead.get(at..)?.first_chunk());
    let Some(text) = before else { return false };
    let text = small(text);
    let value = _mm_sub_epi8(text, _mm_set1_epi8(b'0' as i8));
    let digit = u32::from(_mm_cmplt_epu8_mask(value, _mm_set1_epi8(10)));
    let port = (!digit << 24).leading_zeros();
    let colon = u32::from(_mm_cmpeq_epi8_mask(text, _mm_set1_epi8(b':' as i8))) << (24 + (port & 7)) >> 31;
    is_date & (colon == 1) & (port.wrapping_sub(1) < 5) & (client_end - client > port as usize + 1)
}
