//! What became of the lines: parsed, ignored, rejected.

use tailmeter_parsers::{Reason, Reject};

/// Longest masked sample of a rejected line, in bytes.
const SAMPLE_BYTES: usize = 240;

/// Lines by outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lines with an event that was counted.
    pub parsed: u64,
    /// Lines that are known and count nothing.
    pub ignored: u64,
    /// Lines that are not the family's, or broken, by [`Reason::index`].
    pub rejected: [u64; Reason::ALL.len()],
    /// Why the last rejected line was rejected, and that line, masked.
    pub sample: Option<(Reject, String)>,
}

impl Tally {
    /// Counts a rejected line and keeps a masked sample when there is none yet.
    pub fn reject(&mut self, reject: Reject, line: &[u8]) {
        self.rejected[reject.reason.index()] += 1;
        if self.sample.is_none() {
            self.sample = Some((reject, mask(line)));
        }
    }

    /// All rejected lines.
    pub fn rejected_lines(&self) -> u64 {
        self.rejected.iter().sum()
    }

    /// All lines.
    pub fn lines(&self) -> u64 {
        self.parsed + self.ignored + self.rejected_lines()
    }
}

/// The beginning of `line` with every letter as `a` and every digit as `0`: its shape, and nothing of what
/// it says. Lines may hold passwords and addresses; no line is ever shown raw.
pub fn mask(line: &[u8]) -> String {
    let masked = |byte: &u8| match byte {
        b'0'..=b'9' => '0',
        b' '..=b'~' if !byte.is_ascii_alphabetic() => *byte as char,
        b'\t' => ' ',
        b'\0'..=b'\x1f' | b'\x7f' => '?',
        _ => 'a',
    };
    let mut text = line.iter().take(SAMPLE_BYTES).map(masked).collect::<String>();
    if line.len() > SAMPLE_BYTES {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_line_is_shown_but_its_shape() {
        assert_eq!(mask(b"user=J\xc3\xb6e pw=S3cret! 10.0.0.1\n\0"), "aaaa=aaaa aa=a0aaaa! 00.0.0.0??");
        assert_eq!(mask(&[b'x'; 1000]).chars().count(), SAMPLE_BYTES + 1);
    }
}
