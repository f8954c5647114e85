//! Log-formats by stretches, for AVX-512 with VBMI and VBMI2: a reader for each kind of stretch.
//!
//! The delimiters of a window are gathered and compared with those that the layout wants, all at once, and where values
//! start and end falls out of it.

use core::arch::x86_64::*;

use super::super::format::stretch::{Bound, Found, Mark, Run, Set, Shape, Stretch, WINDOW};
use super::avx512::{byte_before_end, equal, field_of_byte, half, in_range, iota, load, small};
use crate::envelope;

/// The 64 bytes at `at`.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_at(ahead: &[u8], at: usize) -> Option<__m512i> {
    Some(load(ahead.get(at..)?.first_chunk()?))
}

/// The first 32 bytes of a window, or all 64. Half a register costs half as much: what nearly always ends in it, is
/// looked for there first.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn window<const IS_HALF: bool>(ahead: &[u8], at: usize) -> Option<__m512i> {
    match IS_HALF {
        true => Some(_mm512_castsi256_si512(half(ahead.get(at..)?.first_chunk()?))),
        false => load_at(ahead, at),
    }
}

/// Bit i: byte i is `byte`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn is_equal<const IS_HALF: bool>(bytes: __m512i, byte: u8) -> u64 {
    match IS_HALF {
        true => _mm256_cmpeq_epi8_mask(_mm512_castsi512_si256(bytes), _mm256_set1_epi8(byte as i8)).into(),
        false => equal(bytes, byte),
    }
}

/// Bit i: byte i is one of the `count` bytes from `first` on.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn is_in_range<const IS_HALF: bool>(bytes: __m512i, first: u8, count: u8) -> u64 {
    match IS_HALF {
        true => {
            let value = _mm256_sub_epi8(_mm512_castsi512_si256(bytes), _mm256_set1_epi8(first as i8));
            _mm256_cmplt_epu8_mask(value, _mm256_set1_epi8(count as i8)).into()
        }
        false => in_range(bytes, first, count),
    }
}

/// Bit i: byte i is in `set`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn is_in<const IS_HALF: bool>(bytes: __m512i, set: &Set) -> u64 {
    const BITS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 0, 0, 0, 0, 0, 0, 0, 0];
    if IS_HALF {
        let bytes = _mm512_castsi512_si256(bytes);
        let upper = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(15));
        let row = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(small(set)), bytes);
        let bit = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(small(&BITS)), upper);
        return _mm256_test_epi8_mask(row, bit).into();
    }
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

/// Numbers between delimiters.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi1,bmi2,popcnt,lzcnt")]
pub(super) fn read_numbers(ahead: &[u8], at: usize, stretch: &Stretch, run: &Run, found: &mut Found) -> Option<usize> {
    match read_run::<true, true>(ahead, at, stretch, run, found) {
        Some(end) => Some(end),
        None => read_run::<true, false>(ahead, at, stretch, run, found),
    }
}

/// True when the bytes of `text` at `delimiter` begin with the first `length` of `expected`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,bmi2")]
fn has_delimiters<const IS_HALF: bool>(text: __m512i, delimiter: u64, stretch: &Stretch) -> bool {
    let expected = load(&stretch.text);
    let differs = match IS_HALF {
        true => {
            let gathered = _mm256_maskz_compress_epi8(delimiter as u32, _mm512_castsi512_si256(text));
            u64::from(_mm256_cmpneq_epi8_mask(gathered, _mm512_castsi512_si256(expected))) | !u64::from(u32::MAX)
        }
        false => _mm512_cmpneq_epi8_mask(_mm512_maskz_compress_epi8(delimiter, text), expected),
    };
    _bzhi_u64(differs, stretch.length) == 0
}

/// The offsets of delimiters, by their numbers in each of two tables.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2")]
fn offsets<const IS_HALF: bool>(delimiter: u64, [starts, ends]: [&[u8; 16]; 2]) -> (__m128i, __m128i) {
    if IS_HALF {
        let offsets = _mm256_maskz_compress_epi8(delimiter as u32, _mm512_castsi512_si256(iota()));
        let place =
            |numbers| _mm256_castsi256_si128(_mm256_permutexvar_epi8(_mm256_castsi128_si256(small(numbers)), offsets));
        return (place(starts), place(ends));
    }
    let offsets = _mm512_maskz_compress_epi8(delimiter, iota());
    let place =
        |numbers| _mm512_castsi512_si128(_mm512_permutexvar_epi8(_mm512_castsi128_si512(small(numbers)), offsets));
    (place(starts), place(ends))
}

/// Values between delimiters that they do not hold.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi1,bmi2,popcnt,lzcnt")]
pub(super) fn read_run<const IS_NUMBER: bool, const IS_HALF: bool>(
    ahead: &[u8],
    at: usize,
    stretch: &Stretch,
    run: &Run,
    found: &mut Found,
) -> Option<usize> {
    let text = window::<IS_HALF>(ahead, at)?;
    let mut delimiter = if IS_NUMBER {
        !is_in_range::<IS_HALF>(text, b'0', 10) & if IS_HALF { u64::from(u32::MAX) } else { u64::MAX }
    } else {
        is_in::<IS_HALF>(text, &run.delimiters)
    };
    let mut aborted = 0;
    if !has_delimiters::<IS_HALF>(text, delimiter, stretch) {
        if !IS_NUMBER || IS_HALF || run.minus == 0 {
            return None;
        }
        // A dash is part of a value that is nothing but `-1`.
        let others = delimiter;
        aborted = equal(text, b'-') & (others << 1 | 1) & equal(text, b'1') >> 1 & others >> 2;
        delimiter = others & !aborted;
        if !has_delimiters::<IS_HALF>(text, delimiter, stretch) {
            return None;
        }
    }
    let end = _pdep_u64(1 << (stretch.length - 1), delimiter).trailing_zeros();
    if !IS_NUMBER && run.is_loose {
        return read_loose(text, at, delimiter, end, stretch, run, found);
    }
    if !IS_NUMBER && _bzhi_u64(is_in::<IS_HALF>(text, &run.bad), end) != 0 {
        return None;
    }
    let (starts, ends) = offsets::<IS_HALF>(delimiter, [&run.starts, &run.ends]);
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
#[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi2")]
pub(super) fn read_shape<const IS_HALF: bool>(
    ahead: &[u8],
    at: usize,
    stretch: &Stretch,
    shape: &Shape,
    found: &mut Found,
) -> Option<usize> {
    if !has_shape::<IS_HALF>(ahead, at, stretch, shape) {
        // It may be another month than that of the last line.
        let is_another = !shape.months.is_empty() && learn_months(ahead, at, shape);
        if !is_another || !has_shape::<IS_HALF>(ahead, at, stretch, shape) {
            return None;
        }
    }
    for bound in &stretch.bounds {
        let (start, end) = *shape.values.get(bound.value)?;
        keep(bound, found, at + start, at + end);
    }
    Some(at + stretch.length as usize)
}

/// True when every byte is what it must be.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi2")]
fn has_shape<const IS_HALF: bool>(ahead: &[u8], at: usize, stretch: &Stretch, shape: &Shape) -> bool {
    let Some(text) = window::<IS_HALF>(ahead, at) else { return false };
    let digits = is_in_range::<IS_HALF>(text, b'0', 10);
    let expected = load(&shape.text.get());
    let exact = match IS_HALF {
        true => _mm256_cmpeq_epi8_mask(_mm512_castsi512_si256(text), _mm512_castsi512_si256(expected)).into(),
        false => _mm512_cmpeq_epi8_mask(text, expected),
    };
    let mut fits = exact & shape.exact | digits & shape.digits;
    if shape.letters != 0 {
        let lower = _mm512_or_si512(text, _mm512_set1_epi8(0x20));
        let letters = digits | is_in_range::<IS_HALF>(lower, b'a', 26) | is_equal::<IS_HALF>(text, b'-');
        fits |= letters & shape.letters;
    }
    if shape.signs != 0 {
        fits |= (is_equal::<IS_HALF>(text, b'+') | is_equal::<IS_HALF>(text, b'-')) & shape.signs;
    }
    _bzhi_u64(!fits, stretch.length) == 0
}

/// Expects the months that stand there from now on. False when none does.
#[cold]
fn learn_months(ahead: &[u8], at: usize, shape: &Shape) -> bool {
    let mut text = shape.text.get();
    for month in &shape.months {
        let name = ahead.get(at + month..at + month + 3).filter(|name| envelope::month(name).is_some());
        let (Some(name), Some(known)) = (name, text.get_mut(*month..month + 3)) else { return false };
        known.copy_from_slice(name);
    }
    shape.text.replace(text) != text
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
    let pair = (byte, end, longest);
    let (middle, end) = match find_pair::<true>(ahead, start, pair, bad) {
        Some(found) => found,
        None => find_pair::<false>(ahead, start, pair, bad)?,
    };
    for bound in &stretch.bounds {
        let (first, last) = if bound.value == 0 { (0, middle) } else { (middle + 1, end) };
        keep(bound, found, start + first as usize, start + last as usize);
    }
    Some(start + end as usize)
}

/// Where the first value of a pair ends, and the second.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi1,bmi2,lzcnt")]
fn find_pair<const IS_HALF: bool>(
    ahead: &[u8],
    start: usize,
    (byte, end, longest): (u8, u8, u32),
    bad: &Set,
) -> Option<(u32, u32)> {
    let text = window::<IS_HALF>(ahead, start)?;
    let end = _tzcnt_u64(is_equal::<IS_HALF>(text, end)) as u32;
    let bytes = _bzhi_u64(is_equal::<IS_HALF>(text, byte), end);
    let digits = is_in_range::<IS_HALF>(text, b'0', 10);
    let middle = 63 - (_lzcnt_u64(bytes | 1) as u32);
    // One digit at least; the first value is not empty.
    let number = _bzhi_u64(!digits, end) >> middle;
    let fits = bytes & !1 != 0
        && end < WINDOW as u32
        && number == 1
        && (2..=longest + 1).contains(&(end - middle))
        && _bzhi_u64(is_in::<IS_HALF>(text, bad), middle) == 0;
    fits.then_some((middle, end))
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
        let in_window = _bzhi_u64(is_in::<false>(window, bad), length.min(WINDOW) as u32);
        let in_next = _bzhi_u64(is_in::<false>(next, bad), length.saturating_sub(WINDOW) as u32);
        if length == 0 || length >= TWO || in_window | in_next != 0 {
            return None;
        }
    }
    for bound in &stretch.bounds {
        keep(bound, found, start, start + length);
    }
    Some(start + length)
}

/// The rest of a line.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi1,bmi2")]
pub(super) fn read_rest(
    ahead: &[u8],
    at: usize,
    line: &[u8],
    stretch: &Stretch,
    bad: Option<&Set>,
    found: &mut Found,
) -> Option<usize> {
    let start =
        if stretch.length <= 2 { behind_short_text(ahead, at, stretch)? } else { behind_text(ahead, at, stretch)? };
    let length = line.len().checked_sub(start)?;
    if let Some(bad) = bad {
        let (window, next) = (load_at(ahead, start)?, load_at(ahead, start + WINDOW)?);
        let in_window = _bzhi_u64(is_in::<false>(window, bad), length.min(WINDOW) as u32);
        let in_next = _bzhi_u64(is_in::<false>(next, bad), length.saturating_sub(WINDOW) as u32);
        if length == 0 || length >= TWO || in_window | in_next != 0 {
            return None;
        }
    }
    for bound in &stretch.bounds {
        keep(bound, found, start, line.len());
    }
    Some(line.len())
}

/// Where the delimiter is in `text`, not before `from`.
#[cold]
fn far(text: &[u8], from: usize, end: u8, second: Option<u8>) -> Option<usize> {
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
