//! Log-formats by stretches, for AVX-512 with VBMI and VBMI2: a reader for each kind of stretch.
//!
//! The delimiters of a window are gathered and compared with those that the layout wants, all at once, and where values
//! start and end falls out of it.

use core::arch::x86_64::*;

use super::super::format::stretch::{Bound, Found, Mark, Run, Set, Shape, Stretch, WINDOW};
use super::avx512::{byte_before_end, equal, field_of_byte, in_range, iota, load, small};

/// The 64 bytes at `at`.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_at(ahead: &[u8], at: usize) -> Option<__m512i> {
    Some(load(ahead.get(at..)?.first_chunk()?))
}

/// Bit i: byte i is in `set`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn is_in(bytes: __m512i, set: &Set) -> u64 {
    const BITS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 0, 0, 0, 0, 0, 0, 0, 0];
    let upper = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), _mm512_set1_epi8(15));
    let row = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(small(set)), bytes);
    let bit = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(small(&BITS)), upper);
    _mm512_test_epi8_mask(row, bit)
}

/// The text before the first value, which begins behind it.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,bmi2")]
fn behind_text(ahead: &[u8], at: usize, stretch: &Stretch) -> Option<usize> {
    let differs = _mm512_cmpneq_epi8_mask(load_at(ahead, at)?, load(&stretch.text));
    (_bzhi_u64(differs, stretch.length) == 0).then_some(at + stretch.length as usize)
}

/// The same for a text of at most two bytes.
#[inline(always)]
fn behind_short_text(ahead: &[u8], at: usize, stretch: &Stretch) -> Option<usize> {
    let [first, second, ..] = stretch.text;
    let [a, b] = *ahead.get(at..)?.first_chunk()?;
    let fits = ((a == first) | (stretch.length < 1)) & ((b == second) | (stretch.length < 2));
    fits.then_some(at + stretch.length as usize)
}

#[inline(always)]
fn keep(bound: &Bound, found: &mut Found, start: usize, end: usize) {
    if let Some(mark) = found.marks.get_mut(bound.mark as usize) {
        *mark = if bound.is_end { end as u32 } else { start as u32 };
    }
}

/// Values between delimiters that they do not hold.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi1,bmi2,popcnt,lzcnt")]
pub(super) fn read_run<const IS_NUMBER: bool>(
    ahead: &[u8],
    at: usize,
    stretch: &Stretch,
    run: &Run,
    found: &mut Found,
) -> Option<usize> {
    let text = load_at(ahead, at)?;
    let expected = load(&stretch.text);
    let mut delimiter = if IS_NUMBER { !in_range(text, b'0', 10) } else { is_in(text, &run.delimiters) };
    let mut aborted = 0;
    let gathered = _mm512_maskz_compress_epi8(delimiter, text);
    if _bzhi_u64(_mm512_cmpneq_epi8_mask(gathered, expected), stretch.length) != 0 {
        if !IS_NUMBER || run.minus == 0 {
            return None;
        }
        // A dash is part of a value that is nothing but `-1`.
        let others = delimiter;
        aborted = equal(text, b'-') & (others << 1 | 1) & equal(text, b'1') >> 1 & others >> 2;
        delimiter = others & !aborted;
        let gathered = _mm512_maskz_compress_epi8(delimiter, text);
        if _bzhi_u64(_mm512_cmpneq_epi8_mask(gathered, expected), stretch.length) != 0 {
            return None;
        }
    }
    let end = _pdep_u64(1 << (stretch.length - 1), delimiter).trailing_zeros();
    if !IS_NUMBER && run.is_loose {
        return read_loose(text, at, delimiter, end, stretch, run, found);
    }
    if !IS_NUMBER && _bzhi_u64(is_in(text, &run.bad), end) != 0 {
        return None;
    }
    let offsets = _mm512_maskz_compress_epi8(delimiter, iota());
    let place = |indexes: &[u8; 16]| {
        _mm512_castsi512_si128(_mm512_permutexvar_epi8(_mm512_castsi128_si512(small(indexes)), offsets))
    };
    let ends = place(&run.ends);
    let starts = place(&run.starts);
    let gaps = _mm_sub_epi8(starts, _mm_bslli_si128(ends, 1));
    let starts = _mm_maskz_add_epi8(run.has_start, starts, _mm_set1_epi8(1));
    let lengths = _mm_sub_epi8(ends, starts);
    let unfit = _mm_cmplt_epu8_mask(lengths, small(&run.shortest))
        | _mm_cmpgt_epu8_mask(lengths, small(&run.longest))
        | _mm_mask_cmpneq_epu8_mask(run.has_start, gaps, small(&run.gaps));
    if unfit != 0 {
        return None;
    }
    if IS_NUMBER {
        let single = _mm_cmpeq_epi8_mask(lengths, _mm_set1_epi8(1));
        if run.counted & !single == 0 {
            // One digit each, as retries and queues nearly always have.
            let digits = _mm512_castsi512_si128(_mm512_permutexvar_epi8(_mm512_castsi128_si512(starts), text));
            keep_numbers(_mm512_cvtepu8_epi32(_mm_and_si128(digits, _mm_set1_epi8(15))), run, found);
        } else {
            keep_numbers(numbers(text, starts, ends), run, found);
        }
        if aborted != 0 {
            keep_aborted(_bzhi_u64(aborted, end), starts, run, found)?;
        }
    }
    if !stretch.bounds.is_empty() {
        let (mut first, mut last) = ([0; 16], [0; 16]);
        store(&mut first, starts);
        store(&mut last, ends);
        for bound in &stretch.bounds {
            let (start, end) = (first[bound.value & 15], last[bound.value & 15]);
            keep(bound, found, at + usize::from(start), at + usize::from(end));
        }
    }
    Some(at + end as usize)
}

/// Values that may hold anything but their delimiters, the last of which is at `end`; and the termination state behind
/// them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,bmi2")]
fn read_loose(
    text: __m512i,
    at: usize,
    delimiter: u64,
    end: u32,
    stretch: &Stretch,
    run: &Run,
    found: &mut Found,
) -> Option<usize> {
    let mut fits = delimiter & 1 == 1;
    if run.termination != 0 {
        let before = _pdep_u64(1 << (stretch.length - 2), delimiter).trailing_zeros();
        let lower = _mm512_or_si512(text, _mm512_set1_epi8(0x20));
        let letters = in_range(text, b'0', 10) | in_range(lower, b'a', 26) | equal(text, b'-');
        fits &= end - before == run.termination + 1 && _bzhi_u64(!letters, end) >> before == 1;
        if !stretch.bounds.is_empty() {
            found.marks[Mark::Termination as usize] = (at + before as usize + 1) as u32;
        }
    }
    fits.then_some(at + end as usize)
}

#[inline]
#[target_feature(enable = "sse2")]
fn store(out: &mut [u8; 16], bytes: __m128i) {
    // SAFETY: the array has 16 writable bytes; the store needs no alignment.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), bytes) }
}

/// Converts eight values of at most eight digits: in each quarter its two, twice.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
fn numbers(text: __m512i, starts: __m128i, ends: __m128i) -> __m512i {
    let spread = field_of_byte();
    let ends = _mm512_permutexvar_epi8(spread, _mm512_castsi128_si512(ends));
    let starts = _mm512_permutexvar_epi8(spread, _mm512_castsi128_si512(starts));
    // Each value's last eight bytes, as far as they are its own; zeros before them.
    let at = _mm512_add_epi8(ends, byte_before_end());
    let own = _mm512_cmpge_epi8_mask(at, starts);
    let text = _mm512_maskz_permutexvar_epi8(own, at, text);
    let digits = _mm512_maskz_sub_epi8(own, text, _mm512_set1_epi8(b'0' as i8));
    let pairs = _mm512_maddubs_epi16(digits, _mm512_set1_epi16(0x010a));
    let fours = _mm512_madd_epi16(pairs, _mm512_set1_epi32(0x0001_0064));
    let packed = _mm512_packus_epi32(fours, fours);
    let numbers = _mm512_madd_epi16(packed, _mm512_set1_epi32(0x0001_2710));
    let order = _mm512_set_epi32(0, 0, 0, 0, 0, 0, 0, 0, 13, 12, 9, 8, 5, 4, 1, 0);
    _mm512_permutexvar_epi32(order, numbers)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn keep_numbers(numbers: __m512i, run: &Run, found: &mut Found) {
    // SAFETY: each array has 64 readable bytes; the loads need no alignment.
    let (order, known) =
        unsafe { (_mm512_loadu_si512(run.order.as_ptr().cast()), _mm512_loadu_si512(found.numbers.as_ptr().cast())) };
    let numbers = _mm512_mask_permutexvar_epi32(known, run.metrics, order, numbers);
    // SAFETY: the array has 64 writable bytes; the store needs no alignment.
    unsafe { _mm512_storeu_si512(found.numbers.as_mut_ptr().cast(), numbers) };
}

/// Keeps -1 for the values that start at the dashes `aborted`, if they may be that.
#[cold]
#[target_feature(enable = "sse2")]
fn keep_aborted(mut aborted: u64, starts: __m128i, run: &Run, found: &mut Found) -> Option<()> {
    let mut first = [0; 16];
    store(&mut first, starts);
    while aborted != 0 {
        let at = aborted.trailing_zeros();
        let value = first.iter().position(|start| u32::from(*start) == at)?;
        if run.minus >> value & 1 == 0 {
            return None;
        }
        for (metric, number) in found.numbers.iter_mut().enumerate() {
            if run.metrics >> metric & 1 == 1 && run.order[metric] == value as u32 {
                *number = u32::MAX;
            }
        }
        aborted &= aborted - 1;
    }
    Some(())
}

/// Values of fixed length.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,bmi2")]
pub(super) fn read_shape(
    ahead: &[u8],
    at: usize,
    stretch: &Stretch,
    shape: &Shape,
    found: &mut Found,
) -> Option<usize> {
    let text = load_at(ahead, at)?;
    let exact = _mm512_cmpeq_epi8_mask(text, load(&stretch.text)) & shape.exact;
    let digits = in_range(text, b'0', 10);
    let mut fits = exact | digits & shape.digits;
    if shape.letters != 0 {
        let lower = _mm512_or_si512(text, _mm512_set1_epi8(0x20));
        fits |= (digits | in_range(lower, b'a', 26) | equal(text, b'-')) & shape.letters;
    }
    if shape.signs != 0 {
        fits |= (equal(text, b'+') | equal(text, b'-')) & shape.signs;
    }
    for month in &shape.months {
        let name: &[u8; 4] = ahead.get(at + month..)?.first_chunk()?;
        let name = _mm512_set1_epi32((u32::from_le_bytes(*name) & 0xff_ffff) as i32);
        if _mm512_cmpeq_epi32_mask(name, months()) == 0 {
            return None;
        }
        fits |= 7 << month;
    }
    if _bzhi_u64(!fits, stretch.length) != 0 {
        return None;
    }
    for bound in &stretch.bounds {
        let (start, end) = *shape.values.get(bound.value)?;
        keep(bound, found, at + start, at + end);
    }
    Some(at + stretch.length as usize)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn months() -> __m512i {
    const NAMES: [u8; 64] = {
        let (names, mut bytes, mut at) = (*b"JanFebMarAprMayJunJulAugSepOctNovDec", [0xff; 64], 0);
        while at < 36 {
            bytes[at / 3 * 4 + at % 3] = names[at];
            bytes[at / 3 * 4 + 3] = 0;
            at += 1;
        }
        bytes
    };
    load(&NAMES)
}

/// An address and a port.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi1,bmi2,lzcnt")]
pub(super) fn read_pair(
    ahead: &[u8],
    at: usize,
    stretch: &Stretch,
    (byte, end, longest): (u8, u8, u32),
    bad: &Set,
    found: &mut Found,
) -> Option<usize> {
    let start = if stretch.length == 0 { at } else { behind_text(ahead, at, stretch)? };
    let text = load_at(ahead, start)?;
    let end = _tzcnt_u64(equal(text, end)) as u32;
    let bytes = _bzhi_u64(equal(text, byte), end);
    let digits = in_range(text, b'0', 10);
    let middle = 63 - (_lzcnt_u64(bytes | 1) as u32);
    // One digit at least; the first value is not empty.
    let number = _bzhi_u64(!digits, end) >> middle;
    let fits = bytes & !1 != 0
        && end < WINDOW as u32
        && number == 1
        && (2..=longest + 1).contains(&(end - middle))
        && _bzhi_u64(is_in(text, bad), middle) == 0;
    if !fits {
        return None;
    }
    for bound in &stretch.bounds {
        let (first, last) = if bound.value == 0 { (0, middle) } else { (middle + 1, end) };
        keep(bound, found, start + first as usize, start + last as usize);
    }
    Some(start + end as usize)
}

/// Two windows.
const TWO: usize = 2 * WINDOW;

/// Text up to a delimiter.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi1,bmi2,lzcnt")]
pub(super) fn read_text<const HAS_SECOND: bool, const IS_WORD: bool>(
    ahead: &[u8],
    at: usize,
    line: &[u8],
    stretch: &Stretch,
    (end, second, bad): (u8, u8, &Set),
    found: &mut Found,
) -> Option<usize> {
    let start =
        if stretch.length <= 2 { behind_short_text(ahead, at, stretch)? } else { behind_text(ahead, at, stretch)? };
    let window = load_at(ahead, start)?;
    let next = load_at(ahead, start + WINDOW)?;
    let (mut near, mut next_near) = (equal(window, end), equal(next, end));
    if HAS_SECOND {
        let (low, high) = (equal(window, second), equal(next, second));
        near &= low >> 1 | high << 63;
        next_near &= high >> 1;
    }
    // Which window it is in is not to be foreseen: no branch.
    let is_next = u32::from(near == 0).wrapping_neg();
    let length = (_tzcnt_u64(near) as u32 + (_tzcnt_u64(next_near) as u32 & is_next)) as usize;
    let length = match length {
        // The last byte of the windows may be the first of the delimiter.
        TWO.. => far(line.get(start..)?, TWO - 1, end, HAS_SECOND.then_some(second))?,
        length => length,
    };
    if IS_WORD {
        let in_window = _bzhi_u64(is_in(window, bad), length.min(WINDOW) as u32);
        let in_next = _bzhi_u64(is_in(next, bad), length.saturating_sub(WINDOW) as u32);
        if length == 0 || length >= TWO || in_window | in_next != 0 {
            return None;
        }
    }
    for bound in &stretch.bounds {
        keep(bound, found, start, start + length);
    }
    Some(start + length)
}

/// Where the delimiter is in `text`, not before `from`.
#[cold]
fn far(text: &[u8], from: usize, end: u8, second: Option<u8>) -> Option<usize> {
    if end == b'\n' {
        return Some(text.len());
    }
    let rest = text.get(from..)?;
    let at = match second {
        Some(second) => memchr::memmem::find(rest, &[end, second])?,
        None => memchr::memchr(end, rest)?,
    };
    Some(from + at)
}

/// A space and `{…}`, `count` times, each of which may be missing.
#[inline(always)]
pub(super) fn read_captures(ahead: &[u8], at: usize, line: &[u8], count: usize) -> Option<usize> {
    match ahead.get(at..at + 2)? {
        b" {" => read_braces(line, at, count),
        // A space that stands behind nothing was not written; what else it may be, the machine says.
        [b' ', byte] if !matches!(byte, b' ' | b'"') => Some(at),
        b" \"" if ahead.get(at + 2) != Some(&b'{') => Some(at),
        _ => None,
    }
}

/// The same, when the first is there.
#[inline(never)]
fn read_braces(line: &[u8], mut at: usize, count: usize) -> Option<usize> {
    for _ in 0..count {
        let rest = line.get(at..)?;
        if !rest.starts_with(b" {") {
            let is_other = matches!(rest, [b' ', byte, ..] if !matches!(byte, b' ' | b'"'))
                || (rest.starts_with(b" \"") && rest.get(2) != Some(&b'{'));
            return is_other.then_some(at);
        }
        at += memchr::memchr(b'}', rest)? + 1;
    }
    Some(at)
}
