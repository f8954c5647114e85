//! Lines that come again, word for word but for time and process id: what one of them adds is known by its fingerprint, and is
//! added once for all of a block.

use super::Spot;

/// Lines that are remembered. With one more, all are forgotten.
const LINES: usize = 4096;
/// Additions that are remembered for them.
const ADDITIONS: usize = 1 << 16;
/// Places where they are looked for, in pairs, and marks of lines that were seen once; powers of two.
const PLACES: usize = 2 * LINES;
const MARKS: usize = 4 * LINES;

/// The fingerprint of a line.
pub(in crate::metrics) type Words = [u64; 2];

/// Lines that have come more than once.
pub(super) struct Repeats {
    /// By fingerprint: the number of a line plus one; 0 for none.
    places: Box<[u16]>,
    lines: Vec<Line>,
    additions: Vec<Addition>,
    /// Parts of the fingerprints of lines that have come once, or of others that have the same place.
    marks: Box<[u32]>,
    /// Lines that have come since what they add was added.
    waiting: Vec<u16>,
}

#[derive(Clone, Copy)]
struct Line {
    words: Words,
    /// Where what it adds begins and ends.
    start: u32,
    end: u32,
    /// How often it has come since.
    times: u32,
    is_parsed: bool,
}

/// What a line adds to one metric.
#[derive(Clone, Copy)]
pub(super) struct Addition {
    pub(super) spot: Spot,
    pub(super) amount: i64,
    /// In a histogram.
    pub(super) is_observed: bool,
}

/// What is known of a line.
#[derive(Clone, Copy)]
pub(in crate::metrics) enum Recall {
    /// It has come more than once and is counted now; true when it was parsed then.
    Known(bool),
    /// It has come once.
    Again(Words),
    /// It has not come, as far as that is known.
    New,
}

impl Default for Repeats {
    fn default() -> Self {
        Self {
            places: vec![0; PLACES].into(),
            lines: Vec::new(),
            additions: Vec::new(),
            marks: vec![0; MARKS].into(),
            waiting: Vec::new(),
        }
    }
}

impl Repeats {
    /// Counts the line with the fingerprint `words`, if it is known.
    #[inline(always)]
    pub(super) fn recall(&mut self, words: Words) -> Recall {
        let at = words[0] as usize % PLACES;
        for at in [at, at ^ 1] {
            let number = self.places.get(at).map_or(0, |number| usize::from(*number));
            if let Some(line) = self.lines.get_mut(number.wrapping_sub(1))
                && line.words[0] == words[0]
                && line.words[1] == words[1]
            {
                if line.times == 0 {
                    self.waiting.push(number as u16 - 1);
                }
                line.times += 1;
                return Recall::Known(line.is_parsed);
            }
        }
        let mark = (words[1] >> 32) as u32 | 1;
        match self.marks.get_mut(words[1] as usize % MARKS) {
            Some(known) if *known == mark => Recall::Again(words),
            Some(known) => {
                *known = mark;
                Recall::New
            }
            None => Recall::New,
        }
    }

    /// True when one more line, which adds `additions`, could not be remembered.
    pub(super) fn is_full(&self, additions: &[Addition]) -> bool {
        self.lines.len() >= LINES || self.additions.len() + additions.len() > ADDITIONS
    }

    /// Remembers what the line with the fingerprint `words` adds.
    pub(super) fn learn(&mut self, words: Words, is_parsed: bool, additions: &[Addition]) {
        let start = self.additions.len() as u32;
        self.additions.extend_from_slice(additions);
        self.lines.push(Line { words, start, end: self.additions.len() as u32, times: 0, is_parsed });
        let at = words[0] as usize % PLACES;
        let is_free = |at: &usize| self.places.get(*at) == Some(&0);
        let at = [at, at ^ 1].into_iter().find(is_free).unwrap_or(at);
        if let Some(place) = self.places.get_mut(at) {
            *place = self.lines.len() as u16;
        }
    }

    /// Forgets all lines, none of which may be waiting.
    pub(super) fn forget(&mut self) {
        self.places.fill(0);
        self.lines.clear();
        self.additions.clear();
    }

    /// How many lines are waiting.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How often the waiting line with this number has come, and the numbers of what it adds; nothing of it waits any more.
    pub(super) fn take(&mut self, number: usize) -> (u32, std::ops::Range<usize>) {
        let line = self.waiting.get(number).and_then(|line| self.lines.get_mut(usize::from(*line)));
        let Some(line) = line else { return (0, 0..0) };
        (std::mem::take(&mut line.times), line.start as usize..line.end as usize)
    }

    /// What has this number.
    pub(super) fn addition(&self, number: usize) -> Option<Addition> {
        self.additions.get(number).copied()
    }

    /// No line is waiting.
    pub(super) fn settled(&mut self) {
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_known_from_the_third_time() {
        let mut repeats = Repeats::default();
        assert!(matches!(repeats.recall([8, 9]), Recall::New));
        assert!(matches!(repeats.recall([8, 9]), Recall::Again([8, 9])));
        repeats.learn([8, 9], true, &[]);
        // Of the same place, all four.
        for other in [[9, 9], [8, 9 + (1 << 40)], [8 + PLACES as u64, 9]] {
            assert!(!matches!(repeats.recall(other), Recall::Known(_)), "{other:?}");
            repeats.learn(other, false, &[]);
            assert!(matches!(repeats.recall(other), Recall::Known(false)), "{other:?}");
        }
        assert_eq!(repeats.waiting(), 3);
        assert_eq!(repeats.take(0), (1, 0..0));
        assert_eq!(repeats.take(0), (0, 0..0));
        repeats.settled();
        repeats.forget();
        assert!(!matches!(repeats.recall([8, 9]), Recall::Known(_)));
    }

    #[test]
    fn so_many_are_remembered() {
        let mut repeats = Repeats::default();
        let mut learnt = 0;
        for word in 0..10 * LINES as u64 {
            if !repeats.is_full(&[]) {
                repeats.learn([word, 0], true, &[]);
                learnt += 1;
            }
        }
        assert_eq!(learnt, LINES);
    }
}
