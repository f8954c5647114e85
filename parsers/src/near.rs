//! The first of some byte where it is near: most fields of a line end after a few bytes, eight of which are looked at together.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Words that are looked at here, before the search goes on in larger steps.
const WORDS: usize = 4;

/// Offset of the first `byte` in `text`.
#[inline(always)]
pub(crate) fn find(byte: u8, text: &[u8]) -> Option<usize> {
    first(text, |word| zeros(word ^ (ONES * u64::from(byte))), |rest| memchr::memchr(byte, rest))
}

/// Offset of the first `one` or `other` in `text`.
#[inline(always)]
pub(crate) fn find_either(one: u8, other: u8, text: &[u8]) -> Option<usize> {
    let marks = |word| zeros(word ^ (ONES * u64::from(one))) | zeros(word ^ (ONES * u64::from(other)));
    first(text, marks, |rest| memchr::memchr2(one, other, rest))
}

/// The lowest mark is in the first byte that is 0; of those above it nothing is said.
#[inline(always)]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

#[inline(always)]
fn first(text: &[u8], marks: impl Fn(u64) -> u64, beyond: impl FnOnce(&[u8]) -> Option<usize>) -> Option<usize> {
    let mut rest = text;
    for _ in 0..WORDS {
        let Some((word, behind)) = rest.split_first_chunk::<8>() else { break };
        let marks = marks(u64::from_le_bytes(*word));
        if marks != 0 {
            return Some(text.len() - rest.len() + marks.trailing_zeros() as usize / 8);
        }
        rest = behind;
    }
    if rest.len() < 8 && rest.len() < text.len() {
        // The last eight bytes, of which those before `rest` have no mark.
        let word = text.last_chunk::<8>()?;
        let marks = marks(u64::from_le_bytes(*word));
        return (marks != 0).then(|| text.len() - 8 + marks.trailing_zeros() as usize / 8);
    }
    beyond(rest).map(|at| text.len() - rest.len() + at)
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
