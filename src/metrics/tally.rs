//! What became of the lines: parsed, ignored, rejected; of a block, and of a source in all.

use std::collections::BTreeMap;

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
    /// Of the ignored ones, those of programs that are of no family.
    pub strangers: Strangers,
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

    /// Counts more lines that were rejected with one.
    pub fn reject_more(&mut self, reason: Reason, lines: u64) {
        self.rejected[reason.index()] += lines;
    }

    /// Counts an ignored line of a program that is of no family.
    pub fn ignore(&mut self, program: &[u8]) {
        self.ignored += 1;
        self.strangers.count(program, 1);
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

/// Programs that are of no family, by name, and how many lines they wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strangers(BTreeMap<Box<str>, u64>);

impl Strangers {
    /// Names that are told apart; the lines of all others count together.
    const MAX_NAMES: usize = 32;
    /// Longest name, in bytes.
    const MAX_NAME_BYTES: usize = 48;
    /// What stands for those that are not told apart.
    const OTHER: &str = "other";

    /// Counts `lines` of `program`.
    pub fn count(&mut self, program: &[u8], lines: u64) {
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./@".contains(byte);
        let is_named = program.len() <= Self::MAX_NAME_BYTES && program.iter().all(is_name);
        let name = std::str::from_utf8(program).ok().filter(|_| is_named).unwrap_or(Self::OTHER);
        if let Some(count) = self.0.get_mut(name) {
            *count += lines;
            return;
        }
        let name = if self.0.len() < Self::MAX_NAMES { name } else { Self::OTHER };
        *self.0.entry(name.into()).or_default() += lines;
    }

    /// Each name and its lines, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, lines)| (&**name, *lines))
    }

    fn add(&mut self, other: &Self) {
        other.iter().for_each(|(name, lines)| self.count(name.as_bytes(), lines));
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
    /// Of the ignored lines, those of programs that are of no family.
    pub strangers: Strangers,
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
        self.strangers.add(&tally.strangers);
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
        self.strangers.add(&other.strangers);
    }

    /// Each number with its name in the state. A name stands for the same thing for ever.
    pub(crate) fn named(&self) -> BTreeMap<String, u64> {
        let mut cells = self.clone();
        let fixed = cells.cells().into_iter().map(|(Name(stem, word), value)| ([stem, word].concat(), *value));
        let strangers = self.strangers.iter().map(|(name, lines)| ([STRANGERS, name].concat(), lines));
        fixed.chain(strangers).collect()
    }

    /// Sets the number that [`Totals::named`] calls `name`, if there is one.
    pub(crate) fn set(&mut self, name: &str, value: u64) {
        if let Some(program) = name.strip_prefix(STRANGERS) {
            return self.strangers.count(program.as_bytes(), value);
        }
        let is_it = |(Name(stem, word), _): &(Name, &mut u64)| name.strip_prefix(stem) == Some(word);
        if let Some((_, cell)) = self.cells().into_iter().find(is_it) {
            *cell = value;
        }
    }

    fn cells(&mut self) -> Vec<(Name, &mut u64)> {
        let Self { parsed, ignored, rejected, truncated, read_bytes, rotations, lost_bytes, dropped_messages, .. } =
            self;
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

/// What the names of ignored programs begin with in the state.
const STRANGERS: &str = "ignored_program.";

/// The name of a number, in two parts.
struct Name(&'static str, &'static str);

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
