//! What became of the lines: parsed, ignored, rejected; of a block, and of a source in all.

use tailmeter_parsers::{Reason, Reject};

use crate::source::{Incident, Loss, Rotation};

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

/// What befell the lines of one source, over all runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Lines that became events.
    pub parsed: u64,
    /// Lines that are known and not counted.
    pub ignored: u64,
    /// Lines that are not of the format, by [`Reason::index`].
    pub rejected: [u64; Reason::ALL.len()],
    /// Lines longer than the limit. They are among the others, too.
    pub truncated: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Rotations followed, by [`Rotation::index`].
    pub rotations: [u64; Rotation::ALL.len()],
    /// Bytes that can never be read, by [`Loss::index`].
    pub lost_bytes: [u64; Loss::ALL.len()],
    /// Messages that the kernel threw away.
    pub dropped_messages: u64,
}

impl Totals {
    /// All rejected lines.
    pub fn rejected_lines(&self) -> u64 {
        self.rejected.iter().sum()
    }

    /// Counts the lines of a block.
    pub fn lines(&mut self, tally: &Tally) {
        self.parsed += tally.parsed;
        self.ignored += tally.ignored;
        for (total, lines) in self.rejected.iter_mut().zip(tally.rejected) {
            *total += lines;
        }
    }

    /// Counts incidents.
    pub fn incidents(&mut self, incidents: &[Incident]) {
        for incident in incidents {
            match *incident {
                Incident::Rotated(rotation) => self.rotations[rotation.index()] += 1,
                Incident::Lost(bytes, reason) => self.lost_bytes[reason.index()] += bytes,
                Incident::Dropped(messages) => self.dropped_messages += messages,
            }
        }
    }

    /// Adds those of `other`.
    pub fn add(&mut self, other: &Self) {
        let mut other = other.clone();
        for ((_, total), (_, count)) in self.cells().into_iter().zip(other.cells()) {
            *total += *count;
        }
    }

    /// Each number with its name in the state. A name stands for the same thing for ever.
    pub(crate) fn cells(&mut self) -> Vec<(Name, &mut u64)> {
        let Self { parsed, ignored, rejected, truncated, read_bytes, rotations, lost_bytes, dropped_messages } = self;
        let mut cells = vec![
            (Name("parsed", ""), parsed),
            (Name("ignored", ""), ignored),
            (Name("truncated", ""), truncated),
            (Name("read_bytes", ""), read_bytes),
            (Name("dropped_messages", ""), dropped_messages),
        ];
        cells.extend(Reason::ALL.map(|reason| Name("rejected.", reason.as_str())).into_iter().zip(rejected));
        cells.extend(Rotation::ALL.map(|kind| Name("rotations.", kind.as_str())).into_iter().zip(rotations));
        cells.extend(Loss::ALL.map(|reason| Name("lost_bytes.", reason.as_str())).into_iter().zip(lost_bytes));
        cells
    }
}

/// The name of a number, in two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name(pub(crate) &'static str, pub(crate) &'static str);

impl Name {
    /// True when `name` is this one, written together.
    pub(crate) fn is(self, name: &str) -> bool {
        name.strip_prefix(self.0) == Some(self.1)
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
