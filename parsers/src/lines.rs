//! The lines of a block.

use crate::near::Chunk;

/// Bytes that are looked at together.
const WINDOW: usize = 64;

/// The lines of a block, without their newlines; the last may lack its own.
///
/// The same as splitting at newlines, and without the empty rest behind the last one.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    block: &'a [u8],
    /// Where the next line begins.
    start: usize,
    /// Where the bytes begin that have not been looked at.
    next: usize,
    /// Newlines among the last [`WINDOW`] bytes that have been, which end at `next`: those that are still to come.
    marks: u64,
}

impl<'a> Lines<'a> {
    /// Those of `block`.
    pub fn of(block: &'a [u8]) -> Self {
        Self { block, start: 0, next: 0, marks: 0 }
    }

    /// Looks at the next bytes; false when there are none.
    #[inline]
    fn advance(&mut self) -> bool {
        let rest = self.block.get(self.next..).unwrap_or_default();
        let window = match rest.first_chunk::<WINDOW>() {
            Some(window) => window,
            None if rest.is_empty() => return false,
            None => {
                let mut window = [0; WINDOW];
                window.iter_mut().zip(rest).for_each(|(to, byte)| *to = *byte);
                return self.take(&window);
            }
        };
        self.take(window)
    }

    #[inline(always)]
    fn take(&mut self, window: &[u8; WINDOW]) -> bool {
        let (chunks, _) = window.as_chunks::<16>();
        let marks = |at: usize| chunks.get(at).map_or(0, |chunk| u64::from(Chunk::of(chunk).marks(b'\n')));
        self.marks = marks(0) | marks(1) << 16 | marks(2) << 32 | marks(3) << 48;
        self.next += WINDOW;
        true
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        while self.marks == 0 {
            if !self.advance() {
                let line = self.block.get(self.start..).filter(|line| !line.is_empty())?;
                self.start = self.block.len();
                return Some(line);
            }
        }
        let end = self.next - WINDOW + self.marks.trailing_zeros() as usize;
        self.marks &= self.marks - 1;
        let line = self.block.get(self.start..end);
        self.start = end + 1;
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_what_stands_between_newlines() {
        let mut random = 7_u64;
        let mut draw = |below: usize| {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (random >> 33) as usize % below
        };
        for _ in 0..2000 {
            let (length, rarity) = (draw(400), 1 + draw(100));
            let block = (0..length).map(|_| if draw(rarity) == 0 { b'\n' } else { b'x' }).collect::<Vec<_>>();
            let mut expected = block.split(|byte| *byte == b'\n').collect::<Vec<_>>();
            if expected.last().is_some_and(|last| last.is_empty()) {
                expected.pop();
            }
            assert_eq!(Lines::of(&block).collect::<Vec<_>>(), expected, "{block:?}");
        }
    }
}
