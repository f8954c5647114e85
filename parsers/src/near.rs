//! The first of some byte where it is near: most fields of a line end after a few bytes, 16 of which are looked at together.

/// Steps that are taken here, before the search goes on in larger ones.
const STEPS: usize = 3;

/// Offset of the first `byte` in `text`.
#[inline(always)]
pub(crate) fn find(byte: u8, text: &[u8]) -> Option<usize> {
    first(text, |chunk| chunk.marks(byte), |rest| memchr::memchr(byte, rest))
}

/// Offset of the first `one` or `other` in `text`.
#[inline(always)]
pub(crate) fn find_either(one: u8, other: u8, text: &[u8]) -> Option<usize> {
    first(text, |chunk| chunk.marks(one) | chunk.marks(other), |rest| memchr::memchr2(one, other, rest))
}

#[inline(always)]
fn first(text: &[u8], marks: impl Fn(Chunk) -> u32, beyond: impl FnOnce(&[u8]) -> Option<usize>) -> Option<usize> {
    let mut rest = text;
    for _ in 0..STEPS {
        let Some((chunk, behind)) = rest.split_first_chunk::<16>() else { break };
        let marks = marks(Chunk::of(chunk));
        if marks != 0 {
            return Some(text.len() - rest.len() + marks.trailing_zeros() as usize);
        }
        rest = behind;
    }
    if rest.len() < 16 {
        // The last bytes, of which those before `rest` have no mark, or all of a short text.
        let (chunk, start) = match text.last_chunk::<16>() {
            Some(chunk) => (*chunk, text.len() - 16),
            None => (short(text), 0),
        };
        let marks = marks(Chunk::of(&chunk)) & !(u32::MAX << (text.len() - start));
        return (marks != 0).then(|| start + marks.trailing_zeros() as usize);
    }
    beyond(rest).map(|at| text.len() - rest.len() + at)
}

/// A text of less than 16 bytes, with others behind it.
#[inline(always)]
fn short(text: &[u8]) -> [u8; 16] {
    let length = text.len() as u32;
    let value = match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        (Some(low), Some(high)) => {
            u128::from(u64::from_le_bytes(*low)) | u128::from(u64::from_le_bytes(*high)) << (8 * (length - 8))
        }
        _ => match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
            (Some(low), Some(high)) => {
                u128::from(u32::from_le_bytes(*low)) | u128::from(u32::from_le_bytes(*high)) << (8 * (length - 4))
            }
            _ => text.iter().rev().fold(0, |value, byte| value << 8 | u128::from(*byte)),
        },
    };
    value.to_le_bytes()
}

/// Sixteen bytes that are compared together.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Chunk(std::arch::x86_64::__m128i);

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "calls of SSE2, which every processor of this kind has, are not known to be safe")]
impl Chunk {
    #[inline(always)]
    pub(crate) fn of(bytes: &[u8; 16]) -> Self {
        use std::arch::x86_64::_mm_set_epi64x;
        let value = u128::from_le_bytes(*bytes);
        // SAFETY: SSE2 is part of x86-64.
        Self(unsafe { _mm_set_epi64x((value >> 64) as i64, value as i64) })
    }

    /// Bit i: byte i is `byte`.
    #[inline(always)]
    pub(crate) fn marks(self, byte: u8) -> u32 {
        use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set1_epi8};
        // SAFETY: SSE2 is part of x86-64.
        unsafe { _mm_movemask_epi8(_mm_cmpeq_epi8(self.0, _mm_set1_epi8(byte as i8))) as u32 }
    }
}

/// Sixteen bytes that are compared together.
#[cfg(not(target_arch = "x86_64"))]
#[derive(Clone, Copy)]
pub(crate) struct Chunk([u8; 16]);

#[cfg(not(target_arch = "x86_64"))]
impl Chunk {
    #[inline(always)]
    pub(crate) fn of(bytes: &[u8; 16]) -> Self {
        Self(*bytes)
    }

    /// Bit i: byte i is `byte`.
    #[inline(always)]
    pub(crate) fn marks(self, byte: u8) -> u32 {
        self.0.iter().enumerate().fold(0, |marks, (at, one)| marks | u32::from(*one == byte) << at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_found_wherever_it_stands() {
        for length in 0..80 {
            for at in 0..=length {
                for other in [b'a', b':' - 1, b':' + 1, 0, 0x80, 0xff, b':' ^ 0x80] {
                    let mut text = vec![other; length];
                    text[at.min(length)..].iter_mut().step_by(3).for_each(|byte| *byte = b':');
                    let expected = text.iter().position(|byte| *byte == b':');
                    assert_eq!(find(b':', &text), expected, "{text:?}");
                    if let Some(byte) = text.get_mut(at.wrapping_sub(2)) {
                        *byte = b'[';
                    }
                    let expected = text.iter().position(|byte| matches!(byte, b':' | b'['));
                    assert_eq!(find_either(b'[', b':', &text), expected, "{text:?}");
                }
            }
        }
    }
}
