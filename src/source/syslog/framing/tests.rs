//! Messages framed in every way, cut anywhere, and bytes that are no messages.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;
use crate::source::{Block, End, Sink};

/// A line without its newline, and whether it was cut.
type Line = (Vec<u8>, bool);

/// Lines, and how many bytes they were on the wire.
#[derive(Clone, Default)]
struct Collected(Arc<Mutex<(Vec<Line>, u64)>>);

impl Sink for Collected {
    fn block(&mut self, block: Block<'_>) {
        assert!(!block.lines.is_empty(), "no empty blocks");
        assert_eq!(block.end, End::Nowhere);
        let mut collected = self.0.lock().unwrap();
        collected.1 += block.bytes;
        if block.cut {
            assert_eq!(memchr::memchr(b'\n', block.lines), None);
            collected.0.push((block.lines.to_vec(), true));
            return;
        }
        assert_eq!(block.lines.last(), Some(&b'\n'), "whole lines");
        for line in block.lines.split_inclusive(|&byte| byte == b'\n') {
            collected.0.push((line[..line.len() - 1].to_vec(), false));
        }
    }
}

/// What became of a connection.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    lines: Vec<Line>,
    /// `None`: the count was bad.
    finished: Option<bool>,
}

/// Takes `bytes` in pieces of these sizes, in turn.
fn feed(framing: Framing, bytes: &[u8], sizes: &[usize], limit: usize, block_bytes: usize) -> (Outcome, u64) {
    let collected = Collected::default();
    let mut feed = Feed::new(Box::new(collected.clone()), limit, block_bytes);
    let mut framer = Framer::new(framing, limit, 5_000);
    let (mut rest, mut sizes, mut taken) = (bytes, sizes.iter().cycle(), Ok(()));
    while !rest.is_empty() && taken.is_ok() {
        let (piece, behind) = rest.split_at((*sizes.next().unwrap()).clamp(1, rest.len()));
        taken = framer.take(piece, &mut feed);
        rest = behind;
        assert!(framer.held.len() <= framer.limit + 1, "holds {} bytes", framer.held.len());
        assert!(framer.state != State::Between || framer.held.capacity() <= 16, "holds memory between messages");
    }
    let finished = taken.ok().map(|()| framer.finish(&mut feed));
    feed.flush();
    let collected = collected.0.lock().unwrap();
    (Outcome { lines: collected.0.clone(), finished }, collected.1)
}

/// What a message must become.
fn line_of(message: &[u8], limit: usize) -> Option<Line> {
    let is_whole = message.len() <= limit.max(MAX_DIGITS) + 1;
    let trailer = message.iter().rev().take_while(|byte| matches!(byte, b'\n' | 0)).count();
    let text = if is_whole { &message[..message.len() - trailer] } else { message };
    if text.is_empty() {
        return None;
    }
    let text: Vec<u8> = text[..text.len().min(limit + 1)]
        .iter()
        .flat_map(|byte| if *byte == b'\n' { b"#012".to_vec() } else { vec![*byte] })
        .collect();
    Some((text[..text.len().min(limit)].to_vec(), text.len() > limit))
}

#[derive(Clone, Debug)]
enum Sent {
    Counted(Vec<u8>),
    Line(Vec<u8>, u8),
    /// What may stand between messages.
    Nothing(Vec<u8>),
}

fn sent() -> impl Strategy<Value = Sent> {
    let byte = prop_oneof![8 => b'a'..=b'z', 2 => b'0'..=b'9', 1 => Just(b' '), 1 => Just(b'\n'), 1 => any::<u8>()];
    let message = prop::collection::vec(byte, 1..90);
    // A line that begins like a count is one.
    let line = ("(<13>|[a-z]|2026-|0 |123456789 |12\\.)[ -~]{0,80}", prop_oneof![Just(b'\n'), Just(0)]);
    prop_oneof![
        4 => message.prop_map(Sent::Counted),
        4 => line.prop_map(|(line, end)| Sent::Line(line.into_bytes(), end)),
        1 => prop::collection::vec(prop_oneof![Just(b'\n'), Just(0)], 0..4).prop_map(Sent::Nothing),
    ]
}

proptest! {
    #[test]
    fn every_message_comes_once_and_whole(
        messages in prop::collection::vec(sent(), 0..30),
        sizes in prop::collection::vec(1usize..120, 1..8),
        limit in 1usize..100,
        block_bytes in 1usize..400,
    ) {
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for message in &messages {
            match message {
                Sent::Counted(message) => {
                    bytes.extend_from_slice(format!("{} ", message.len()).as_bytes());
                    bytes.extend_from_slice(message);
                    expected.extend(line_of(message, limit));
                }
                Sent::Line(line, end) => {
                    bytes.extend_from_slice(line);
                    bytes.push(*end);
                    expected.extend(line_of(line, limit));
                }
                Sent::Nothing(nothing) => bytes.extend_from_slice(nothing),
            }
        }
        let (outcome, wire) = feed(Framing::Detected, &bytes, &sizes, limit, block_bytes);
        prop_assert_eq!(outcome, Outcome { lines: expected, finished: Some(true) });
        prop_assert!(wire <= bytes.len() as u64);
        // With a message at the end, nothing is left over.
        bytes.extend_from_slice(b"<13>end\n");
        let (_, wire) = feed(Framing::Detected, &bytes, &sizes, limit, block_bytes);
        prop_assert_eq!(wire, bytes.len() as u64);
    }

    #[test]
    fn hostile_bytes_are_the_same_however_they_come(
        bytes in prop::collection::vec(
            prop_oneof![3 => b'0'..=b'9', 2 => Just(b' '), 1 => Just(b'\n'), 1 => Just(0), 2 => any::<u8>()],
            0..700,
        ),
        sizes in prop::collection::vec(1usize..50, 1..8),
        limit in 1usize..60,
        framing in prop_oneof![Just(Framing::Detected), Just(Framing::Counted), Just(Framing::Lines)],
    ) {
        let (whole, wire) = feed(framing, &bytes, &[bytes.len().max(1)], limit, 1);
        let (pieces, wire_of_pieces) = feed(framing, &bytes, &sizes, limit, 200);
        prop_assert_eq!(&whole, &pieces);
        prop_assert!(wire <= bytes.len() as u64 && wire_of_pieces <= bytes.len() as u64);
        for (line, _) in &whole.lines {
            prop_assert!(!line.is_empty() && line.len() <= limit);
        }
    }
}

fn lines(framing: Framing, bytes: &[u8]) -> (Vec<String>, Option<bool>) {
    let (outcome, _) = feed(framing, bytes, &[3], 100, 100);
    let text = |(line, _): &Line| String::from_utf8(line.clone()).unwrap();
    (outcome.lines.iter().map(text).collect(), outcome.finished)
}

#[test]
fn counts_and_what_looks_like_one() {
    use Framing::{Counted, Detected, Lines};
    let cases: [(Framing, &str, &[&str], Option<bool>); 17] = [
        (Detected, "4 <1>a5 <2>b\n<3>c\n", &["<1>a", "<2>b", "<3>c"], Some(true)),
        (Detected, "<1>a\n", &["<1>a"], Some(true)),
        (Detected, "<1>a", &["<1>a"], Some(true)),
        (Detected, "5 <1>a", &[], Some(false)),
        (Detected, "12", &["12"], Some(true)),
        (Detected, "2026-02-01T12:14:14 a\n", &["2026-02-01T12:14:14 a"], Some(true)),
        (Detected, "1770000000 a\n", &["1770000000 a"], Some(true)),
        (Detected, "0 a\n", &["0 a"], Some(true)),
        (Detected, "5001 a\n", &[], None),
        (Detected, "1 a99999999 b", &["a"], None),
        (Lines, "4 <1>a\n", &["4 <1>a"], Some(true)),
        (Lines, "99999999 a", &["99999999 a"], Some(true)),
        (Counted, "4 <1>a\n4 <1>b", &["<1>a", "<1>b"], Some(true)),
        (Counted, "4 <1>a<1>b\n", &["<1>a"], None),
        (Counted, "123456789 a", &[], None),
        (Counted, "12", &[], Some(false)),
        (Counted, "12x", &[], None),
    ];
    for (framing, bytes, expected, finished) in cases {
        let (found, found_finished) = lines(framing, bytes.as_bytes());
        assert_eq!(found, expected, "{bytes:?}");
        assert_eq!(found_finished, finished, "{bytes:?}");
    }
}
