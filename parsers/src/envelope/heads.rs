//! Envelopes of lines whose like has been seen: `HOST TAG[pid]: ` behind the time, as most lines of a log have it.
//!
//! The same as [`detect`](super::detect) for every line, in fewer steps.

use super::{Envelope, detect, timestamp_length};

/// Heads that are remembered, at most; a power of two.
const HEADS: usize = 256;

/// Longest head that is remembered, in bytes.
const LONGEST: usize = 64;

/// Length of `Feb  1 12:14:14` and the space behind it.
const CLASSIC: usize = 16;

/// Remembers what stands between the time and the message.
#[derive(Debug)]
pub struct Heads {
    heads: Box<[Head]>,
    /// The classic time of the last line that had one, and the space behind it: many lines have the same.
    time: [u8; CLASSIC],
}

/// A head, and where its parts are in it.
#[derive(Clone, Copy, Debug)]
struct Head {
    bytes: [u8; LONGEST],
    /// 0 for none.
    length: u8,
    hostname: [u8; 2],
    program: [u8; 2],
    pid: Option<u32>,
}

impl Default for Heads {
    fn default() -> Self {
        Self::new()
    }
}

impl Heads {
    /// Nothing is remembered yet.
    pub fn new() -> Self {
        let none = Head { bytes: [0; LONGEST], length: 0, hostname: [0; 2], program: [0; 2], pid: None };
        Self { heads: vec![none; HEADS].into(), time: [0; CLASSIC] }
    }

    /// Finds the envelope of `line` as [`detect`](super::detect) does.
    pub fn detect<'a>(&mut self, line: &'a [u8]) -> Envelope<'a> {
        let Some((start, head)) = self.head(line) else { return detect(line) };
        let message = line.get(start + head.len()..).unwrap_or_default();
        let at = slot(head);
        let known = self.heads.get(at).filter(|known| known.bytes.get(..known.length.into()) == Some(head));
        match known {
            Some(known) if is_plain(message) => {
                let part = |[from, to]: [u8; 2]| head.get(from.into()..to.into()).unwrap_or_default();
                Envelope {
                    priority: None,
                    timestamp: line.get(..start.saturating_sub(1)).unwrap_or_default(),
                    hostname: part(known.hostname),
                    program: part(known.program),
                    pid: known.pid,
                    repeated: 1,
                    start: start + head.len(),
                    end: line.len(),
                    timestamp_start: 0,
                }
            }
            _ => {
                let envelope = detect(line);
                self.learn(at, head, start, &envelope);
                envelope
            }
        }
    }

    /// What stands behind the time, up to the first colon and the space behind it, and where it begins.
    #[inline]
    fn head<'a>(&mut self, line: &'a [u8]) -> Option<(usize, &'a [u8])> {
        let classic = line.first_chunk::<CLASSIC>();
        let start = match classic {
            // At first there is none, which has no space.
            Some(time) if *time == self.time && time.last() == Some(&b' ') => CLASSIC,
            _ => timestamp_length(line) + 1,
        };
        if let (CLASSIC, Some(time)) = (start, classic) {
            self.time = *time;
        }
        let rest = line.get(start..).filter(|_| start > 1)?;
        let colon = memchr::memchr(b':', rest.get(..LONGEST - 1).unwrap_or(rest))?;
        (rest.get(colon + 1) == Some(&b' ')).then(|| rest.get(..colon + 2).map(|head| (start, head))).flatten()
    }

    /// Remembers `head`, which begins at `start`, if it is all that stands between the time and the message.
    fn learn(&mut self, at: usize, head: &[u8], start: usize, envelope: &Envelope<'_>) {
        let is_all = envelope.start == start + head.len() && envelope.timestamp.len() + 1 == start;
        let place = |part: &[u8]| {
            // Parts are slices of the head.
            let from = (part.as_ptr() as usize).wrapping_sub(head.as_ptr() as usize);
            let from = if part.is_empty() { 0 } else { from };
            (from + part.len() <= head.len()).then_some([from as u8, (from + part.len()) as u8])
        };
        let (Some(hostname), Some(program)) = (place(envelope.hostname), place(envelope.program)) else { return };
        if let Some(known) = self.heads.get_mut(at)
            && let Some(bytes) = known.bytes.get_mut(..head.len())
            && is_all
            && !envelope.program.is_empty()
        {
            bytes.copy_from_slice(head);
            (known.length, known.hostname, known.program) = (head.len() as u8, hostname, program);
            known.pid = envelope.pid;
        }
    }
}

/// True when the message is neither another tag, nor a repetition, nor ends before its line does.
#[inline]
fn is_plain(message: &[u8]) -> bool {
    let is_tag = |space: usize| space >= 2 && message.get(space - 2..space) == Some(b"]:");
    !matches!(message.first(), None | Some(b' '))
        && message.last() != Some(&b'\r')
        && !message.starts_with(b"message repeated ")
        && !memchr::memchr(b' ', message).is_some_and(is_tag)
}

/// Where a head is remembered: by its length and its last bytes, which hold the process id.
#[inline]
fn slot(head: &[u8]) -> usize {
    let last = head.last_chunk::<8>().map_or(0, |last| u64::from_le_bytes(*last));
    let mixed = (last ^ head.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as usize % HEADS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_heads_give_what_any_line_gives() {
        let times =
            ["Feb  1 12:14:14", "Feb 1 12:14:14", "2026-02-01T12:14:14.572449+00:00", "2026-02-01 12:14:14", "x", ""];
        let heads = [
            " mx1 postfix/smtpd[71]: ",
            " mx1 postfix/smtpd[72]: ",
            " mx1 cron: ",
            " postfix/smtpd[71]: ",
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
        for round in 0..2 {
            for time in times {
                for head in heads {
                    for message in messages {
                        let line = format!("{time}{head}{message}");
                        assert_eq!(known.detect(line.as_bytes()), detect(line.as_bytes()), "{line:?} in round {round}");
                    }
                }
            }
        }
    }
}
