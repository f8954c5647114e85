//! Envelopes of lines whose like has been seen: `HOST TAG[pid]: ` behind the time, as most lines of a log have it.
//!
//! The same as [`detect`](super::detect) for every line, in fewer steps.

use super::{Envelope, detect, timestamp_length};
use crate::near;

/// Heads that are remembered, at most; a power of two.
const HEADS: usize = 256;

/// Longest head that is remembered, in bytes.
const LONGEST: usize = 64;

/// Remembers what stands between the time and the message, without process ids.
#[derive(Debug)]
pub struct Heads {
    heads: Box<[Head]>,
    /// How many were ever remembered.
    learnt: u64,
    shape: Shape,
}

/// `HOST TAG[`, or `HOST TAG:` where there is no process id, and where the parts are in it.
#[derive(Clone, Copy, Debug)]
struct Head {
    bytes: [u8; LONGEST],
    /// The first 16 and the last 16, of one with as many.
    ends: [u128; 2],
    /// 0 for none.
    length: u8,
    hostname: [u8; 2],
    program: [u8; 2],
    /// As [`Envelope::head`].
    number: u64,
}

/// Something that is known by [`Envelope::head`], as long as the [`Heads`] know that head.
#[derive(Debug)]
pub struct ByHead<T>(Box<[(u64, T)]>);

impl<T: Clone + Default> Default for ByHead<T> {
    fn default() -> Self {
        Self(vec![(0, T::default()); HEADS].into())
    }
}

impl<T> ByHead<T> {
    /// What is known by `head`; otherwise what `learn` says is, from now on. `None` for 0, which is no head.
    #[inline]
    pub fn get(&mut self, head: u64, learn: impl FnOnce() -> T) -> Option<&T> {
        let (number, known) = self.0.get_mut(head as usize % HEADS).filter(|_| head != 0)?;
        if *number != head {
            (*number, *known) = (head, learn());
        }
        Some(known)
    }
}

impl Default for Heads {
    fn default() -> Self {
        Self::new()
    }
}

impl Heads {
    /// Nothing is remembered yet.
    pub fn new() -> Self {
        let none = Head { bytes: [0; LONGEST], ends: [0; 2], length: 0, hostname: [0; 2], program: [0; 2], number: 0 };
        Self { heads: vec![none; HEADS].into(), learnt: 0, shape: Shape::default() }
    }

    /// Finds the envelope of `line` as [`detect`](super::detect) does.
    pub fn detect<'a>(&mut self, line: &'a [u8]) -> Envelope<'a> {
        let mut priority = None;
        let timestamp_start = super::priority(line, &mut priority);
        let Some((start, head)) = self.head(line, timestamp_start) else { return detect(line) };
        let at = slot(head);
        let known = self.heads.get(at).filter(|known| known.is(head));
        let known = known.or_else(|| self.heads.get(at ^ 1).filter(|known| known.is(head)));
        let behind = start + head.len();
        match (known, pid(line, behind)) {
            (Some(known), Some((pid, message))) if is_plain(line.get(message..).unwrap_or_default()) => {
                let part = |[from, to]: [u8; 2]| head.get(from.into()..to.into()).unwrap_or_default();
                Envelope {
                    priority,
                    timestamp: line.get(timestamp_start..start.saturating_sub(1)).unwrap_or_default(),
                    hostname: part(known.hostname),
                    program: part(known.program),
                    pid,
                    repeated: 1,
                    start: message,
                    end: line.len(),
                    timestamp_start,
                    head: known.number,
                }
            }
            (None, Some((_, message))) => {
                let envelope = detect(line);
                // If it is all that stands between the time and the message.
                if envelope.start == message
                    && timestamp_start + envelope.timestamp.len() + 1 == start
                    && envelope.repeated == 1
                {
                    self.learn(at, head, &envelope);
                }
                envelope
            }
            _ => detect(line),
        }
    }

    /// What stands behind the time, which begins at `time`, up to the first `[` or `:`, and where it begins.
    #[inline]
    fn head<'a>(&mut self, line: &'a [u8], time: usize) -> Option<(usize, &'a [u8])> {
        let start = time + self.shape.length(line.get(time..)?)?;
        let rest = line.get(start..)?;
        let end = near::find_either(b'[', b':', rest)? + 1;
        rest.get(..end).filter(|head| head.len() <= LONGEST).map(|head| (start, head))
    }

    /// Remembers `head` at `at` or beside it, if it ends with the program's name.
    fn learn(&mut self, at: usize, head: &[u8], envelope: &Envelope<'_>) {
        let place = |part: &[u8]| {
            // Parts are slices of the head.
            let from = (part.as_ptr() as usize).wrapping_sub(head.as_ptr() as usize);
            let from = if part.is_empty() { 0 } else { from };
            (from + part.len() < head.len()).then_some([from as u8, (from + part.len()) as u8])
        };
        let (Some(hostname), Some(program)) = (place(envelope.hostname), place(envelope.program)) else { return };
        let is_taken = self.heads.get(at).is_some_and(|known| known.length != 0);
        let at = if is_taken { at ^ 1 } else { at };
        if let Some(known) = self.heads.get_mut(at)
            && let Some(bytes) = known.bytes.get_mut(..head.len())
            && !envelope.program.is_empty()
            && usize::from(program[1]) + 1 == head.len()
        {
            bytes.copy_from_slice(head);
            known.ends = [head.first_chunk(), head.last_chunk()]
                .map(|chunk| chunk.map_or(0, |chunk: &[u8; 16]| u128::from_le_bytes(*chunk)));
            self.learnt += 1;
            let number = self.learnt * HEADS as u64 + at as u64;
            (known.length, known.hostname, known.program, known.number) = (head.len() as u8, hostname, program, number);
        }
    }
}

impl Head {
    #[inline]
    fn is(&self, head: &[u8]) -> bool {
        let length = usize::from(self.length);
        if head.len() != length {
            return false;
        }
        match (head.first_chunk::<16>(), head.last_chunk::<16>()) {
            (Some(first), Some(last)) if length <= 32 => {
                u128::from_le_bytes(*first) == self.ends[0] && u128::from_le_bytes(*last) == self.ends[1]
            }
            _ => self.bytes.get(..length) == Some(head),
        }
    }
}

/// Chunks of a time that are looked at.
const CHUNKS: usize = 3;

/// A time, and the space behind it, without regard to its digits: no envelope depends on these.
#[derive(Debug, Default)]
struct Shape {
    /// 0 for none.
    length: usize,
    chunks: [Digits; CHUNKS],
}

/// Sixteen bytes of a time.
#[derive(Clone, Copy, Debug, Default)]
struct Digits {
    /// The bytes that are no digits; 0 in place of those.
    fixed: u128,
    /// 0xff where a digit stands.
    digits: u128,
}

impl Shape {
    /// Length of the time that `line` begins with, and of the space behind it.
    #[inline]
    fn length(&mut self, line: &[u8]) -> Option<usize> {
        if self.fits(line) {
            return Some(self.length);
        }
        let length = timestamp_length(line);
        if length > 0 {
            self.learn(line.get(..=length)?);
        }
        (length > 0).then_some(length + 1)
    }

    #[inline]
    fn fits(&self, line: &[u8]) -> bool {
        let [first, second, last] = self.chunks;
        let Some(text) = line.get(..self.length) else { return false };
        let is_first = text.first_chunk::<16>().is_some_and(|chunk| first.fits(chunk));
        // The last chunk may be part of the one before it.
        let (_, behind) = text.split_at_checked(16).unwrap_or_default();
        is_first
            && (behind.is_empty()
                || behind.first_chunk::<16>().is_none_or(|chunk| second.fits(chunk))
                    && text.last_chunk::<16>().is_some_and(|chunk| last.fits(chunk)))
    }

    /// Remembers `text`, unless it is too short or too long; then what it is will be looked up each time.
    fn learn(&mut self, text: &[u8]) {
        if !(16..=16 * CHUNKS).contains(&text.len()) {
            return;
        }
        self.length = text.len();
        let chunks = [text.first_chunk::<16>(), text.get(16..).and_then(|text| text.first_chunk()), text.last_chunk()];
        self.chunks = chunks.map(|chunk| chunk.map_or_else(Digits::default, Digits::of));
    }
}

impl Digits {
    fn of(chunk: &[u8; 16]) -> Self {
        let digits = u128::from_le_bytes(chunk.map(|byte| if byte.is_ascii_digit() { 0xff } else { 0 }));
        Self { fixed: u128::from_le_bytes(*chunk) & !digits, digits }
    }

    #[inline(always)]
    fn fits(self, chunk: &[u8; 16]) -> bool {
        let repeated = |byte: u8| u128::from_le_bytes([byte; 16]);
        let chunk = u128::from_le_bytes(*chunk);
        let value = (chunk ^ repeated(b'0')) & self.digits;
        let below_16 = value & repeated(0xf0) == 0;
        chunk & !self.digits == self.fixed && below_16 && (value + repeated(6)) & repeated(0xf0) == 0
    }
}

/// The process id behind `TAG[`, if that is what ends at `at`, and where the message begins.
#[inline]
fn pid(line: &[u8], at: usize) -> Option<(Option<u32>, usize)> {
    let rest = line.get(at..)?;
    if line.get(at.wrapping_sub(1)) == Some(&b':') {
        return rest.starts_with(b" ").then_some((None, at + 1));
    }
    let (mut value, mut length) = (0, 0);
    while let Some(digit @ b'0'..=b'9') = rest.get(length)
        && length < 9
    {
        value = value * 10 + u32::from(digit - b'0');
        length += 1;
    }
    let is_end = length > 0 && matches!(rest.get(length..), Some([b']', b':', b' ', ..]));
    is_end.then_some((Some(value), at + length + 3))
}

/// True when the message is neither another tag, nor a repetition, nor ends before its line does.
#[inline]
fn is_plain(message: &[u8]) -> bool {
    let is_tag = |space: usize| space >= 2 && message.get(space - 2..space) == Some(b"]:");
    let is_plain_start = match message.first() {
        None | Some(b' ') => false,
        Some(b'm') => !message.starts_with(b"message repeated "),
        Some(_) => true,
    };
    is_plain_start && message.last() != Some(&b'\r') && !near::find(b' ', message).is_some_and(is_tag)
}

/// Where a head is remembered: by its length, its first bytes, which tell the host, and its last ones, which tell the program.
#[inline]
fn slot(head: &[u8]) -> usize {
    let first = head.first_chunk::<8>().map_or(0, |first| u64::from_le_bytes(*first));
    let last = head.last_chunk::<8>().map_or(0, |last| u64::from_le_bytes(*last));
    let mixed = (last ^ first.rotate_left(29) ^ head.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as usize % HEADS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_heads_give_what_any_line_gives() {
        let times = [
            "Feb  1 12:14:14",
            "Feb 1 12:14:14",
            "2026-02-01T12:14:14.572449+00:00",
            "2026-02-01T12:14:14.57244x+00:00",
            "2026-02-01T12:14:14.572449123+00:00",
            "2026-02-01T12:14:14:572449+00:00",
            "2026-02-01 12:14:14",
            "Feb 21 12:14:14",
            "Feb 2: 12:14:14",
            "Fex  1 12:14:14",
            "<22>Feb  1 12:14:14",
            "<192>Feb  1 12:14:14",
            "<22>1 2026-02-01T12:14:14.572449+00:00",
            "x",
            "",
        ];
        let heads = [
            " mx1 postfix/smtpd[71]: ",
            " mx1 postfix/smtpd[72]: ",
            " mx1 postfix/smtpd[1234567890]: ",
            " mx1 postfix/smtpd[]: ",
            " mx1 postfix/smtpd[7 ]: ",
            " mx1 postfix/smtpd[71] ",
            " mx1 postfix/smtpd[71]:",
            " mx1 cron: ",
            " mx1 cron:",
            " mx1: cron: ",
            " stdout F postfix/smtpd[71]: ",
            " postfix/smtpd[71]: ",
            " [::1] postfix/smtpd[71]: ",
            " mx1 mx1: postfix/smtpd[71]: ",
            " mx1 message: ",
            " ::1 postfix/smtpd[71]: ",
            " mx1 a b c: ",
            ": ",
            "",
        ];
        let messages = [
            "connect from a[192.0.2.1]",
            "postfix/qmgr[9]: 1234: removed",
            " two: spaces",
            "message repeated 2 times: [ connect from a]",
            "message repeated x times",
            "cut\r",
            "4F1AB6C02D: removed",
            "]: x",
            "",
        ];
        let mut known = Heads::new();
        let mut check = |line: &[u8]| {
            let found = Envelope { head: 0, ..known.detect(line) };
            assert_eq!(found, detect(line), "{:?}", line.escape_ascii().to_string());
        };
        let mut random = 7_u64;
        let mut draw = |below: usize| {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (random >> 33) as usize % below
        };
        for _ in 0..2 {
            for time in times {
                for head in heads {
                    for message in messages {
                        let mut line = format!("{time}{head}{message}").into_bytes();
                        check(&line);
                        // Others of the same head between lines with a byte changed.
                        let at = draw(line.len().max(1));
                        if let Some(byte) = line.get_mut(at) {
                            *byte = b" :[]<0129aZ\x00\xff"[draw(13)];
                        }
                        check(&line);
                    }
                }
            }
        }
    }
}
