//! Container logs against a model: what the container wrote, wrapped, cut into pieces and blocks at random.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;
use crate::source::file;
use crate::source::{Identity, Rotation};

/// What was handed on: each block's lines, whether cut, and its end.
#[derive(Clone, Default)]
struct Blocks(Arc<Mutex<Vec<Got>>>);

#[derive(Clone, Debug, PartialEq)]
enum Got {
    Block { lines: Vec<String>, bytes: u64, end: End<'static>, cut: bool },
    Stands(u64),
    Left,
    Rotated,
}

impl Sink for Blocks {
    fn block(&mut self, block: Block<'_>) {
        assert!(!block.lines.is_empty(), "no empty blocks");
        assert!(!block.cut || memchr(b'\n', block.lines).is_none());
        let text = String::from_utf8_lossy(block.lines);
        let lines = text.strip_suffix('\n').unwrap_or(&text).split('\n').map(str::to_owned).collect();
        let end = match block.end {
            End::Offset(end) => End::Offset(end),
            End::Moved(Moved { position: Position::File(file), befell }) => {
                self.stands(Position::File(*file), befell);
                End::Offset(file.offset)
            }
            _ => End::Nowhere,
        };
        self.0.lock().unwrap().push(Got::Block { lines, bytes: block.bytes, end, cut: block.cut });
    }

    fn stands(&mut self, position: Position, befell: &[Incident]) {
        let Position::File(file) = position else { panic!("{position:?}") };
        befell.iter().for_each(|incident| self.incident(*incident));
        self.0.lock().unwrap().push(Got::Stands(file.file.inode));
    }

    fn left(&mut self, befell: &[Incident]) {
        befell.iter().for_each(|incident| self.incident(*incident));
        self.0.lock().unwrap().push(Got::Left);
    }

    fn incident(&mut self, _: Incident) {
        self.0.lock().unwrap().push(Got::Rotated);
    }
}

impl Blocks {
    fn all(&self) -> Vec<Got> {
        self.0.lock().unwrap().clone()
    }

    /// Every line in order, cut ones with a mark.
    fn lines(&self) -> Vec<String> {
        lines(&self.all())
    }
}

fn lines(got: &[Got]) -> Vec<String> {
    let of = |got: &Got| match got {
        Got::Block { lines, cut, .. } => {
            lines.iter().map(|line| format!("{line}{}", if *cut { "[cut]" } else { "" })).collect()
        }
        _ => Vec::new(),
    };
    got.iter().flat_map(of).collect()
}

fn block(lines: &[u8], end: u64) -> Block<'_> {
    Block { lines, bytes: lines.len() as u64, end: End::Offset(end), cut: false }
}

/// One line of the log file.
#[derive(Clone, Debug)]
enum Wrapping {
    Docker,
    Cri,
    None,
}

/// A line that a container wrote, and the places at which the runtime cut it.
#[derive(Clone, Debug)]
struct Line {
    wrapping: Wrapping,
    is_error: bool,
    text: String,
    cuts: Vec<usize>,
}

const TIME: &str = "2026-02-01T12:14:14.572449999Z";

impl Line {
    fn pieces(&self) -> Vec<String> {
        if matches!(self.wrapping, Wrapping::None) {
            return vec![format!("plain {}", self.text)];
        }
        let mut places: Vec<usize> = self
            .cuts
            .iter()
            .map(|cut| cut % (self.text.len() + 1))
            .filter(|&cut| self.text.is_char_boundary(cut))
            .collect();
        places.extend([0, self.text.len()]);
        places.sort_unstable();
        let count = places.len() - 1;
        let piece = |(index, pair): (usize, &[usize])| {
            let (text, is_last) = (&self.text[pair[0]..pair[1]], index + 1 == count);
            let stream = if self.is_error { "stderr" } else { "stdout" };
            match self.wrapping {
                Wrapping::Docker => {
                    let text = serde_json::to_string(&format!("{text}{}", if is_last { "\n" } else { "" })).unwrap();
                    format!(r#"{{"log":{text},"stream":"{stream}","time":"{TIME}"}}"#)
                }
                _ => format!("{TIME} {stream} {} {text}", if is_last { 'F' } else { 'P' }),
            }
        };
        places.windows(2).enumerate().map(piece).collect()
    }

    fn joined(&self) -> String {
        let stream = if self.is_error { "stderr" } else { "stdout" };
        match self.wrapping {
            Wrapping::Docker => self.text.clone(),
            Wrapping::Cri => format!("{TIME} {stream} F {}", self.text),
            Wrapping::None => format!("plain {}", self.text),
        }
    }

    /// Lines of one output follow each other; those of another may come in between.
    fn output(&self) -> usize {
        match self.wrapping {
            Wrapping::None => 0,
            Wrapping::Docker => 1 + usize::from(self.is_error),
            Wrapping::Cri => 3 + usize::from(self.is_error),
        }
    }
}

fn a_line() -> impl Strategy<Value = Line> {
    let wrapping = prop_oneof![4 => Just(Wrapping::Docker), 4 => Just(Wrapping::Cri), 1 => Just(Wrapping::None)];
    let text = prop_oneof!["[a-z\"\\\\<é😀\t]{0,20}", "[ -~]{0,6}"];
    (wrapping, any::<bool>(), text, prop::collection::vec(any::<usize>(), 0..4))
        .prop_map(|(wrapping, is_error, text, cuts)| Line { wrapping, is_error, text, cuts })
}

/// Which output comes next, again and again; each has its turn.
fn an_order() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0usize..5, 5..20).prop_map(|mut order| {
        order.extend(0..5);
        order
    })
}

/// The log file of `written`, its outputs mixed by `order`; and the lines in the order in which they are complete.
fn log(written: &[Line], order: &[usize]) -> (Vec<u8>, Vec<String>) {
    let mut outputs: [Vec<(String, Option<String>)>; 5] = Default::default();
    for line in written {
        let mut pieces: Vec<_> = line.pieces().into_iter().map(|piece| (piece, None)).collect();
        pieces.last_mut().unwrap().1 = Some(line.joined());
        outputs[line.output()].extend(pieces);
    }
    let mut outputs = outputs.map(|output| output.into_iter().peekable());
    let (mut file, mut complete) = (Vec::new(), Vec::new());
    let mut order = order.iter().cycle();
    while outputs.iter_mut().any(|output| output.peek().is_some()) {
        let Some((piece, joined)) = outputs[order.next().unwrap() % 5].next() else { continue };
        file.extend(piece.bytes());
        file.push(b'\n');
        complete.extend(joined);
    }
    (file, complete)
}

/// Feeds the file from `from` on, in blocks of about the given sizes.
fn feed(unwrap: &mut Unwrap<Blocks>, file: &[u8], from: usize, sizes: &[usize]) {
    let (mut at, mut sizes) = (from, sizes.iter().cycle());
    while at < file.len() {
        let most = (at + sizes.next().unwrap()).min(file.len());
        let end = match memrchr(b'\n', &file[at..most]) {
            Some(newline) => at + newline + 1,
            None => most + memchr(b'\n', &file[most..]).unwrap() + 1,
        };
        unwrap.block(block(&file[at..end], end as u64));
        at = end;
    }
}

/// What reading all of `file` from `from` on hands on.
fn unwrapped(file: &[u8], from: usize, sizes: &[usize], limit: usize) -> Vec<Got> {
    let blocks = Blocks::default();
    let mut unwrap = Unwrap::new(blocks.clone(), limit);
    unwrap.is_wrapped = true;
    feed(&mut unwrap, file, from, sizes);
    blocks.all()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Whatever the blocks are, every line comes once and whole; and after a crash behind any block, reading on at its end
    /// gives exactly the lines that are missing.
    #[test]
    fn every_line_counts_once_wherever_it_crashes(
        written in prop::collection::vec(a_line(), 0..12),
        order in an_order(),
        sizes in prop::collection::vec(1usize..400, 1..6),
    ) {
        let (file, expected) = log(&written, &order);
        let got = unwrapped(&file, 0, &sizes, 10_000);
        prop_assert_eq!(&lines(&got), &expected);
        let mut bytes_so_far = 0;
        for (index, block) in got.iter().enumerate() {
            let Got::Block { bytes, end: End::Offset(end), .. } = block else { panic!("{block:?}") };
            bytes_so_far += bytes;
            prop_assert_eq!(bytes_so_far, *end, "bytes and end of block {}", index);
            let rest = unwrapped(&file, usize::try_from(*end).unwrap(), &sizes, 10_000);
            let all = [lines(&got[..=index]), lines(&rest)].concat();
            prop_assert_eq!(&all, &expected, "crash behind block {}", index);
        }
        prop_assert_eq!(bytes_so_far, file.len() as u64);
    }

    /// Of one output, so that the place of a cut line is its own.
    #[test]
    fn joined_lines_are_cut_at_the_limit_and_counted_once(
        written in prop::collection::vec(
            a_line().prop_map(|line| Line { is_error: false, wrapping: Wrapping::Docker, ..line }),
            0..12,
        ),
        sizes in prop::collection::vec(1usize..400, 1..6),
        limit in 1usize..20,
    ) {
        let (file, whole) = log(&written, &[1]);
        let got = unwrapped(&file, 0, &sizes, limit);
        let expected: Vec<String> = written.iter().zip(whole).map(|(line, whole)| {
            let is_cut = whole.len() > limit && line.pieces().len() > 1;
            if is_cut { format!("{}[cut]", String::from_utf8_lossy(&whole.as_bytes()[..limit])) } else { whole }
        }).collect();
        prop_assert_eq!(&lines(&got), &expected);
        for (index, block) in got.iter().enumerate() {
            let Got::Block { end: End::Offset(end), .. } = block else { panic!("{block:?}") };
            let rest = unwrapped(&file, usize::try_from(*end).unwrap(), &sizes, limit);
            prop_assert_eq!(&[lines(&got[..=index]), lines(&rest)].concat(), &expected, "crash behind block {}", index);
        }
    }

    /// Hostile bytes: nothing panics, and all bytes are accounted for in the end.
    #[test]
    fn any_bytes_are_survived(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                &b"{\"log\":\""[..], b"\\n\",\"stream\":\"stdout\",\"time\":\"\"}", b"\n", b"\n", b"x", b"\\ud83d", b"}",
                b"2026-02-01T12:14:14Z stdout P ", b"2026-02-01T12:14:14Z stderr F ", b"\xff\0\"",
            ]),
            0..60,
        ),
        sizes in prop::collection::vec(1usize..100, 1..4),
        limit in 1usize..60,
        cuts in prop::collection::vec(any::<bool>(), 1..8),
    ) {
        let file = [&parts.concat()[..], b"\n"].concat();
        let blocks = Blocks::default();
        let mut unwrap = Unwrap::new(blocks.clone(), limit);
        let (mut at, mut cuts, mut sizes) = (0, cuts.iter().cycle(), sizes.iter().cycle());
        while at < file.len() {
            let most = (at + sizes.next().unwrap()).min(file.len());
            let next = || most - at + memchr(b'\n', &file[most..]).unwrap();
            let end = at + memrchr(b'\n', &file[at..most]).unwrap_or_else(next) + 1;
            let lines = &file[at..end];
            // A line that the source has cut: its bytes are more than are shown of it.
            let shown = &lines[..memchr(b'\n', lines).unwrap().min(limit)];
            if *cuts.next().unwrap() && !shown.is_empty() {
                let bytes = memchr(b'\n', lines).unwrap() + 1;
                at += bytes;
                unwrap.block(Block { lines: shown, bytes: bytes as u64, end: End::Offset(at as u64), cut: true });
            } else {
                unwrap.block(block(lines, end as u64));
                at = end;
            }
        }
        unwrap.left(&[]);
        let mut total = 0;
        let mut last = 0;
        for got in blocks.all() {
            if let Got::Block { bytes, end: End::Offset(end), .. } = got {
                total += bytes;
                prop_assert!(end >= last, "{} after {}", end, last);
                last = end;
            }
        }
        prop_assert_eq!((total, last), (file.len() as u64, file.len() as u64));
        prop_assert!(unwrap.out.is_empty() && unwrap.bytes == 0 && !unwrap.is_holding());
    }
}

fn cri_line(stream: &str, mark: char, text: &str) -> String {
    format!("{TIME} {stream} {mark} {text}\n")
}

#[test]
fn blocks_of_other_lines_pass_untouched() {
    let blocks = Blocks::default();
    let mut unwrap = Unwrap::new(blocks.clone(), 100);
    let plain = b"Feb  1 12:14:14 lb1 haproxy[1]: a\nx {\"log\":\"\n";
    unwrap.block(Block { lines: plain, bytes: 999, end: End::Cursor("c"), cut: false });
    unwrap.block(Block { lines: plain, bytes: 999, end: End::Offset(5000), cut: false });
    unwrap.block(Block { lines: b"no newline", bytes: 10, end: End::Offset(5010), cut: false });
    unwrap.block(Block { lines: b"cut", bytes: 1000, end: End::Offset(6010), cut: true });
    let bytes = |got: &Got| match got {
        Got::Block { bytes, .. } => *bytes,
        _ => 0,
    };
    assert_eq!(blocks.all().iter().map(bytes).collect::<Vec<_>>(), [999, 999, 10, 1000]);
    assert_eq!(unwrap.out.capacity(), 0);
    let full = cri_line("stdout", 'F', "a") + &cri_line("stderr", 'F', "b");
    unwrap.block(block(full.as_bytes(), 7000));
    assert_eq!(unwrap.out.capacity(), 0, "whole lines of CRI are not copied");
    assert_eq!(blocks.lines().len(), 8);
}

#[test]
fn a_piece_is_held_over_a_rotation_and_so_is_the_new_file() {
    let blocks = Blocks::default();
    let mut unwrap = Unwrap::new(blocks.clone(), 1000);
    let stands = |inode| {
        let file = Identity { device: 1, inode };
        Position::File(file::Position { file, ..file::Position::default() })
    };
    unwrap.stands(stands(1), &[]);
    let old = "before\n".to_owned() + &cri_line("stdout", 'P', "one ");
    unwrap.block(block(old.as_bytes(), 500));
    unwrap.stands(stands(2), &[Incident::Rotated(Rotation::Rename)]);
    // It is announced again when more is known of it.
    unwrap.stands(stands(2), &[]);
    assert_eq!(blocks.all().len(), 2, "the rotation waits, too");
    let waiting = cri_line("stderr", 'F', "other");
    unwrap.block(block(waiting.as_bytes(), waiting.len() as u64));
    let rest = cri_line("stdout", 'F', "line") + "behind\n";
    let end = (waiting.len() + rest.len()) as u64;
    unwrap.block(block(rest.as_bytes(), end));
    let before = 500 - (old.len() - 7) as u64;
    let joined = vec![format!("{TIME} stderr F other"), format!("{TIME} stdout F one line"), "behind".to_owned()];
    let bytes = (old.len() - 7) as u64 + end;
    let expected = [
        Got::Stands(1),
        Got::Block { lines: vec!["before".to_owned()], bytes: 7, end: End::Offset(before), cut: false },
        Got::Rotated,
        Got::Stands(2),
        Got::Block { lines: joined, bytes, end: End::Offset(end), cut: false },
    ];
    assert_eq!(blocks.all(), expected);
}

#[test]
fn others_do_not_wait_without_end() {
    let blocks = Blocks::default();
    let mut unwrap = Unwrap::new(blocks.clone(), 1000);
    let mut file = cri_line("stdout", 'P', "never finished");
    while file.len() < 2 * WAITING_BYTES {
        file += &cri_line("stderr", 'F', &"x".repeat(900));
    }
    unwrap.block(block(file.as_bytes(), file.len() as u64));
    let lines = blocks.lines();
    assert_eq!(lines.len(), file.lines().count());
    assert_eq!(lines.iter().filter(|line| line.ends_with("never finished[cut]")).count(), 1);
    let Some(Got::Block { end, .. }) = blocks.all().pop() else { panic!("nothing") };
    assert_eq!(end, End::Offset(file.len() as u64));
    // The same, by time.
    let piece = cri_line("stdout", 'P', "late") + &cri_line("stderr", 'F', "waits");
    unwrap.block(block(piece.as_bytes(), 1));
    assert_eq!(blocks.lines().len(), lines.len());
    unwrap.held_since = Instant::now().checked_sub(PATIENCE);
    unwrap.block(block(b"next\n", 6));
    assert_eq!(
        blocks.lines()[lines.len()..],
        [format!("{TIME} stderr F waits"), format!("{TIME} stdout F late[cut]"), "next".to_owned()]
    );
}

#[test]
fn what_is_held_goes_on_when_the_source_is_left() {
    let blocks = Blocks::default();
    let mut unwrap = Unwrap::new(blocks.clone(), 1000);
    let line = br#"{"log":"half","stream":"stdout","time":"2026"}"#;
    unwrap.block(Block { lines: line, bytes: 46, end: End::Nowhere, cut: false });
    assert!(blocks.all().is_empty());
    unwrap.left(&[]);
    let half = Got::Block { lines: vec!["half".to_owned()], bytes: 46, end: End::Nowhere, cut: false };
    assert_eq!(blocks.all(), [half, Got::Left]);
    assert_eq!(unwrap.out.capacity(), 0);
}

#[test]
fn a_newline_inside_a_line_makes_no_second_one() {
    let blocks = Blocks::default();
    let mut unwrap = Unwrap::new(blocks.clone(), 1000);
    let file =
        b"{\"log\":\"a\\nb\\n\",\"stream\":\"stdout\"}\n{\"log\":\"\\n\",\"stream\":\"stdout\"}\n{\"log\":broken}\n";
    unwrap.block(block(file, file.len() as u64));
    assert_eq!(blocks.lines(), ["a#012b", "", "{\"log\":broken}"]);
}

/// The buffers of a busy source stay what they are.
#[test]
fn a_busy_source_needs_no_new_memory() {
    let blocks = Blocks::default();
    let mut unwrap = Unwrap::new(blocks, 1000);
    let line = |text: &str| format!("{{\"log\":\"{text}\",\"stream\":\"stdout\",\"time\":\"2026\"}}\n");
    let file = (line("piece ") + &line("of a \\u00e9 line\\n") + &line("whole\\n")).repeat(1000);
    unwrap.block(block(file.as_bytes(), 1));
    let memory = |unwrap: &Unwrap<Blocks>| (unwrap.out.as_ptr(), unwrap.out.capacity(), unwrap.held[2].line.as_ptr());
    let before = memory(&unwrap);
    assert!(before.1 > 0);
    for _ in 0..5 {
        unwrap.block(block(file.as_bytes(), 1));
        assert_eq!(memory(&unwrap), before);
    }
    unwrap.block(block(b"quiet\n", 1));
    assert_eq!(unwrap.out.capacity() + unwrap.held[2].line.capacity(), 0);
}
