//! Cutting a byte stream into blocks of whole lines: the pure part of the file source, between its reads
//! and its [`Sink`]. Replaying and tailing share it, and pipes do.
//!
//! A block is cut at the last newline of what was read, so the cost per line is nothing at all; the start
//! of the next line is carried to the front of the buffer. Whether some line in between is over-long needs
//! no scan either: the last newline of every window of `limit + 1` bytes is found from the window's end,
//! and the next window starts behind it.
//!
//! # Holes
//! After a crash, file systems show bytes that were never written as NULs, and a file that was truncated under
//! a writer which does not append begins with as many as it had bytes. Of a followed file, a run of at least
//! [`HOLE`] NULs is no part of any line: a line that it interrupts ends there, and the next begins behind it.
//! Shorter runs are the writer's own bytes.

use memchr::{memchr, memrchr};

use crate::source::{Block, End, Sink};

/// NULs in a row that nobody wrote. Text has none; a datagram's closing one is alone.
const HOLE: usize = 8;

/// Carries the bytes of one file from reads to blocks.
///
/// # Bounds
/// Holds one buffer of `limit + room` bytes, whatever the lines are: of a line longer than `limit` only the
/// first `limit` bytes stay, the rest is dropped as it is read.
#[derive(Debug)]
pub(in crate::source) struct Splitter {
    /// Empty when released; `limit + room` bytes otherwise.
    buffer: Vec<u8>,
    /// Bytes at the front of `buffer` that belong to the line not yet complete, at most `limit`.
    held: usize,
    /// The held line is longer than `limit`: what follows is dropped up to its newline.
    skipping: bool,
    /// Holes are passed over.
    passes_holes: bool,
    /// The last byte read was in a hole.
    in_hole: bool,
    /// Offset in the file behind the last byte read.
    position: u64,
    /// Offset in the file behind the last line handed over.
    delivered: u64,
    limit: usize,
    room: usize,
}

impl Splitter {
    /// A splitter at offset 0. `limit` is the longest line delivered whole (bytes, without its newline),
    /// `room` the least number of bytes offered to one read. Both are at least 1.
    pub(in crate::source) fn new(limit: usize, room: usize) -> Self {
        Splitter {
            buffer: Vec::new(),
            held: 0,
            skipping: false,
            passes_holes: false,
            in_hole: false,
            position: 0,
            delivered: 0,
            limit: limit.max(1),
            room: room.max(1),
        }
    }

    /// Passes over holes, which costs a search of every byte.
    pub(super) fn passing_holes(mut self) -> Self {
        self.passes_holes = true;
        self
    }

    /// Offset at which the next read belongs.
    pub(in crate::source) fn position(&self) -> u64 {
        self.position
    }

    /// Offset behind the last line handed over, including what was skipped of a cut line.
    pub(in crate::source) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Forgets the incomplete line and goes on at `offset`.
    pub(in crate::source) fn restart(&mut self, offset: u64) {
        self.held = 0;
        self.skipping = false;
        self.in_hole = false;
        self.position = offset;
        self.delivered = offset;
    }

    /// Whether reading stands in a hole, so that [`jump`](Self::jump) may spare reading the rest of it.
    pub(super) fn is_in_hole(&self) -> bool {
        self.in_hole
    }

    /// Goes on at `offset`, up to which the hole is known to reach.
    pub(super) fn jump(&mut self, offset: u64) {
        if self.in_hole {
            self.position = self.position.max(offset);
        }
    }

    /// Gives the buffer's memory back while no incomplete line needs it; the next read allocates again.
    pub(in crate::source) fn release(&mut self) {
        if self.held == 0 {
            self.buffer = Vec::new();
        }
    }

    /// Where the next read puts its bytes.
    pub(in crate::source) fn space(&mut self) -> &mut [u8] {
        if self.buffer.is_empty() {
            self.buffer = vec![0; self.limit.saturating_add(self.room)];
        }
        &mut self.buffer[self.held..]
    }

    /// Takes the first `read` bytes of [`space`](Self::space) and hands every line they complete to `sink`.
    pub(in crate::source) fn take(&mut self, read: usize, sink: &mut dyn Sink) {
        let end = (self.held + read).min(self.buffer.len());
        self.position += (end - self.held) as u64;
        if !self.passes_holes {
            return self.cut(0, end, end, sink);
        }
        let mut start = 0;
        if self.in_hole {
            start = self.behind_nuls(0, end);
            self.in_hole = start == end;
        }
        let held = &self.buffer[..self.held];
        // A hole may begin in what is held; but not in the prefix of a line that is cut.
        let held_nuls = held.iter().rev().take_while(|&&byte| byte == 0 && !self.skipping).count();
        let mut from = start.max(self.held - held_nuls);
        while let Some(hole) = self.hole(from, end) {
            self.cut(start, hole.start, end, sink);
            self.close(end - hole.start, sink);
            (start, from) = (hole.end, hole.end);
            self.in_hole = hole.end == end;
        }
        self.cut(start, end, end, sink);
    }

    /// Hands over the lines in the buffer from `start` to `end`, and carries what follows the last. The file
    /// was read up to `read`.
    fn cut(&mut self, mut start: usize, end: usize, read: usize, sink: &mut dyn Sink) {
        if self.skipping {
            let from = self.held.max(start);
            let Some(newline) = memchr(b'\n', &self.buffer[from..end]) else {
                return;
            };
            start = from + newline + 1;
            self.skipping = false;
            self.deliver(0..self.held, read - start, true, sink);
        }
        loop {
            let rest = self.whole_lines(start, end);
            if rest > start {
                self.deliver(start..rest, read - rest, false, sink);
            }
            if end - rest <= self.limit {
                self.carry(rest..end);
                return;
            }
            let prefix = rest..rest + self.limit;
            match memchr(b'\n', &self.buffer[prefix.end..end]) {
                Some(newline) => {
                    start = prefix.end + newline + 1;
                    self.deliver(prefix, read - start, true, sink);
                }
                None => {
                    self.carry(prefix);
                    self.skipping = true;
                    return;
                }
            }
        }
    }

    /// The first hole from `from` on.
    fn hole(&self, mut from: usize, end: usize) -> Option<std::ops::Range<usize>> {
        while let Some(nul) = memchr(0, &self.buffer[from..end]) {
            let start = from + nul;
            from = self.behind_nuls(start, end);
            if from - start >= HOLE {
                return Some(start..from);
            }
        }
        None
    }

    fn behind_nuls(&self, from: usize, end: usize) -> usize {
        let nuls = self.buffer[from..end].iter().take_while(|&&byte| byte == 0).count();
        from + nuls
    }

    /// Hands over the last line, which no newline closes, because the file will not grow any more.
    pub(in crate::source) fn finish(&mut self, sink: &mut dyn Sink) {
        self.close(0, sink);
    }

    /// Ends the held line without a newline; `behind` bytes read so far follow it.
    fn close(&mut self, behind: usize, sink: &mut dyn Sink) {
        if self.held > 0 {
            self.deliver(0..self.held, behind, self.skipping, sink);
        }
        self.held = 0;
        self.skipping = false;
    }

    /// Where the run of whole lines of at most `limit` bytes that begins at `start` stops: behind its last
    /// newline. An incomplete or an over-long line follows.
    fn whole_lines(&self, start: usize, end: usize) -> usize {
        let mut stop = start;
        loop {
            let window = &self.buffer[stop..end.min(stop + self.limit + 1)];
            match memrchr(b'\n', window) {
                Some(newline) => stop += newline + 1,
                None => return stop,
            }
        }
    }

    /// Hands over `range` of the buffer; `behind` bytes read so far follow it and its newline.
    fn deliver(&mut self, range: std::ops::Range<usize>, behind: usize, cut: bool, sink: &mut dyn Sink) {
        let from = self.delivered;
        self.delivered = self.position - behind as u64;
        let (bytes, end) = (self.delivered - from, End::Offset(self.delivered));
        sink.block(Block { lines: &self.buffer[range], bytes, end, cut });
    }

    /// Moves the start of an incomplete line to the front of the buffer.
    fn carry(&mut self, range: std::ops::Range<usize>) {
        self.held = range.len();
        if range.start > 0 {
            self.buffer.copy_within(range, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    /// What was delivered: each line without its newline, whether it was cut, and the offset behind the
    /// block it came in.
    #[derive(Default)]
    struct Collected {
        lines: Vec<(Vec<u8>, bool)>,
        ends: Vec<u64>,
    }

    impl Sink for Collected {
        fn block(&mut self, block: Block<'_>) {
            assert!(!block.lines.is_empty(), "no empty blocks");
            let End::Offset(end) = block.end else { panic!("no offset: {block:?}") };
            assert_eq!(block.bytes, end - self.ends.last().copied().unwrap_or(0));
            self.ends.push(end);
            if block.cut {
                assert_eq!(memchr(b'\n', block.lines), None);
                self.lines.push((block.lines.to_vec(), true));
            } else {
                for line in block.lines.split_inclusive(|&byte| byte == b'\n') {
                    let line = line.strip_suffix(b"\n").unwrap_or(line);
                    self.lines.push((line.to_vec(), false));
                }
            }
        }
    }

    /// The same lines, found the slow way.
    fn model(bytes: &[u8], limit: usize) -> Vec<(Vec<u8>, bool)> {
        let mut lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
        if lines.last().is_some_and(|last| last.is_empty()) {
            lines.pop();
        }
        lines.iter().map(|line| (line[..line.len().min(limit)].to_vec(), line.len() > limit)).collect()
    }

    /// Feeds `bytes` in reads of the given sizes (repeated as often as needed), then finishes.
    fn feed(bytes: &[u8], sizes: &[usize], limit: usize, room: usize) -> (Collected, Splitter) {
        let mut splitter = Splitter::new(limit, room);
        let mut collected = Collected::default();
        let mut rest = bytes;
        let mut sizes = sizes.iter().cycle();
        while !rest.is_empty() {
            let space = splitter.space();
            assert!(space.len() >= room, "a read always has its room");
            let read = (*sizes.next().unwrap()).clamp(1, space.len().min(rest.len()));
            space[..read].copy_from_slice(&rest[..read]);
            rest = &rest[read..];
            splitter.take(read, &mut collected);
            assert!(splitter.delivered() <= splitter.position());
        }
        splitter.finish(&mut collected);
        (collected, splitter)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn every_line_comes_once_and_whole(
            bytes in prop::collection::vec(prop_oneof![3 => Just(b'\n'), 9 => Just(b'x'), 2 => any::<u8>()], 0..600),
            sizes in prop::collection::vec(1usize..80, 1..8),
            limit in 1usize..40,
            room in 1usize..100,
        ) {
            let (collected, splitter) = feed(&bytes, &sizes, limit, room);
            prop_assert_eq!(collected.lines, model(&bytes, limit));
            prop_assert!(collected.ends.is_sorted());
            prop_assert_eq!(splitter.position(), bytes.len() as u64);
            prop_assert_eq!(splitter.delivered(), bytes.len() as u64);
            for end in collected.ends {
                let end = end as usize;
                prop_assert!(end == bytes.len() || bytes[end - 1] == b'\n', "offset {} is no line end", end);
            }
        }
    }

    /// The lines between newlines and holes.
    fn holed_model(bytes: &[u8]) -> Vec<Vec<u8>> {
        let (mut lines, mut line, mut nuls) = (Vec::new(), Vec::new(), 0);
        for &byte in bytes.iter().chain(b"\n") {
            if byte == 0 {
                nuls += 1;
                continue;
            }
            if nuls >= HOLE {
                lines.extend(Some(std::mem::take(&mut line)).filter(|line| !line.is_empty()));
            } else {
                line.extend(std::iter::repeat_n(0, nuls));
            }
            nuls = 0;
            match byte {
                b'\n' => lines.push(std::mem::take(&mut line)),
                byte => line.push(byte),
            }
        }
        if lines.last().is_some_and(Vec::is_empty) {
            lines.pop();
        }
        lines
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn holes_are_no_part_of_lines(
            pieces in prop::collection::vec(
                prop_oneof![Just(b"\n".to_vec()), Just(b"xy".to_vec()), (0usize..20).prop_map(|nuls| vec![0; nuls])], 0..40),
            sizes in prop::collection::vec(1usize..30, 1..8),
            room in 1usize..40,
        ) {
            let bytes = pieces.concat();
            let mut splitter = Splitter::new(1000, room).passing_holes();
            let mut collected = Collected::default();
            let (mut at, mut sizes) = (0, sizes.iter().cycle());
            while at < bytes.len() {
                let read = (*sizes.next().unwrap()).min(bytes.len() - at);
                splitter.space()[..read].copy_from_slice(&bytes[at..at + read]);
                splitter.take(read, &mut collected);
                at += read;
                prop_assert_eq!(splitter.position(), at as u64);
            }
            splitter.finish(&mut collected);
            let lines: Vec<Vec<u8>> = collected.lines.into_iter().map(|(line, _)| line).collect();
            prop_assert_eq!(lines, holed_model(&bytes));
            // Whatever was delivered, reading can go on behind it.
            for end in collected.ends {
                let mut again = Collected::default();
                let mut splitter = Splitter::new(1000, 1000).passing_holes();
                let rest = &bytes[end as usize..];
                splitter.space()[..rest.len()].copy_from_slice(rest);
                splitter.take(rest.len(), &mut again);
                splitter.finish(&mut again);
                let lines: Vec<Vec<u8>> = again.lines.into_iter().map(|(line, _)| line).collect();
                prop_assert_eq!(lines, holed_model(rest));
            }
        }
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_whole() {
        let (collected, _) = feed(b"12345\n123456\n12345", &[100], 5, 100);
        let expected = vec![(b"12345".to_vec(), false), (b"12345".to_vec(), true), (b"12345".to_vec(), false)];
        assert_eq!(collected.lines, expected);
        assert_eq!(collected.ends, [6, 13, 18]);
    }

    #[test]
    fn a_huge_line_costs_no_memory() {
        let mut splitter = Splitter::new(10, 1000);
        let mut collected = Collected::default();
        for _ in 0..1000 {
            let space = splitter.space();
            space.fill(b'x');
            let read = space.len();
            splitter.take(read, &mut collected);
        }
        assert_eq!(splitter.buffer.len(), 1010);
        assert!(collected.lines.is_empty(), "held back until its end is known");
        splitter.space()[..3].copy_from_slice(b"\na\n");
        splitter.take(3, &mut collected);
        let expected = vec![(vec![b'x'; 10], true), (b"a".to_vec(), false)];
        assert_eq!(collected.lines, expected);
        assert_eq!(collected.ends[0] + 2, splitter.position());
    }

    #[test]
    fn released_memory_comes_back_and_a_held_line_keeps_it() {
        let (mut collected, mut splitter) = feed(b"a\n", &[2], 10, 10);
        splitter.release();
        assert_eq!(splitter.buffer.capacity(), 0);
        splitter.space()[..2].copy_from_slice(b"b\n");
        splitter.take(2, &mut collected);
        assert_eq!(collected.lines.len(), 2);
        splitter.space()[0] = b'c';
        splitter.take(1, &mut collected);
        splitter.release();
        assert!(!splitter.buffer.is_empty());
        splitter.finish(&mut collected);
        assert_eq!(collected.lines[2], (b"c".to_vec(), false));
    }
}
