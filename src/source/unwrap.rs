//! Container logs: lines that a container runtime has wrapped, on their way from a source to its sink.
//!
//! [`Unwrap`] stands before a [`Sink`]. Lines of Docker's `json-file` become what the container wrote. Lines that the
//! runtime cut into pieces are joined, for each of the container's outputs on its own. A whole line of CRI stays as it is: the
//! parsers know it (`envelope`), and of joined ones they get the same shape. All other lines pass as they are.
//!
//! # What is handed on when
//! A line counts once only if its count and the position behind it are committed together. So while a piece waits for the rest
//! of its line, nothing that stands behind it is handed on, and the position stays before it: after a crash the pieces
//! are read again. Lines of the other output wait with it, for `WAITING_BYTES` or `PATIENCE`; then the piece
//! goes on as a cut line.

mod wrapped;

use std::time::{Duration, Instant};

use memchr::{memchr, memrchr};

use super::{Block, End, Incident, Moved, Position, Sink};
use wrapped::{Stream, cri, cut_docker, docker, is_docker, looks_wrapped};

/// Most bytes of lines that wait for a piece of another line.
const WAITING_BYTES: usize = 1024 * 1024;

/// How long lines wait for a piece of another line.
const PATIENCE: Duration = Duration::from_secs(10);

/// After a block shorter than this the buffers are given back: the source is not busy.
const BUSY_BYTES: usize = 16 * 1024;

/// Unwraps the lines of one source for `S`.
///
/// # Bounds
/// Holds a block's lines, `WAITING_BYTES` of others that wait, and for each wrapper and output at most one line of
/// `max_line_bytes`, and no more; nothing between blocks unless something waits or the source is busy.
pub struct Unwrap<S> {
    sink: S,
    max_line_bytes: usize,
    /// Lines have been wrapped, so they may be again.
    is_wrapped: bool,
    /// Pieces that wait for the rest of their line; see [`slot`].
    held: [Held; 4],
    /// When the first of them came.
    held_since: Option<Instant>,
    /// Whole lines that have not been handed on.
    out: Vec<u8>,
    /// Bytes of the source that have been taken in and not been handed on.
    bytes: u64,
    safe: Safe,
    /// Offset behind the last block, in a source that has them.
    end: Option<u64>,
    /// Where the source said that it stands while a piece was held, which may be in another file.
    stands: Option<Moved>,
    /// The same, once nothing is held: it goes on with the lines before it, or else by itself.
    moved: Option<Moved>,
}

/// A line of which the rest is missing.
#[derive(Default)]
struct Held {
    line: Vec<u8>,
    is_there: bool,
    is_cut: bool,
}

/// The last place at which no piece was held.
struct Safe {
    /// Bytes of `out` before it.
    out: usize,
    /// Of `bytes`, those before it.
    bytes: u64,
    end: End<'static>,
}

/// Where the pieces of a wrapper and an output are held.
fn slot(is_docker: bool, stream: Stream) -> usize {
    usize::from(is_docker) * 2 + usize::from(stream == Stream::Stderr)
}

/// Places in a block.
struct Places {
    /// Offset behind it, in a source that has them.
    end: Option<u64>,
    /// Bytes of the source that it is made of.
    bytes: u64,
    /// Bytes of its lines.
    length: usize,
    /// Bytes of the source that have been taken in.
    taken: u64,
}

impl Places {
    fn of(block: &Block<'_>) -> Self {
        let end = if let End::Offset(end) = block.end { Some(end) } else { None };
        Places { end, bytes: block.bytes, length: block.lines.len(), taken: 0 }
    }

    /// Where reading stands behind the first `length` bytes of the lines. Inside a block that is made of other bytes
    /// than its lines nobody knows.
    fn behind(&self, length: usize) -> Option<End<'static>> {
        let bytes = self.bytes_of(length)?;
        Some(self.end.map_or(End::Nowhere, |end| End::Offset(end.saturating_sub(self.bytes - bytes))))
    }

    /// How many bytes of the source the first `length` bytes of the lines are made of.
    fn bytes_of(&self, length: usize) -> Option<u64> {
        match length {
            _ if length >= self.length => Some(self.bytes),
            0 => Some(0),
            _ if self.bytes == self.length as u64 => Some(length as u64),
            _ => None,
        }
    }
}

impl Held {
    /// Adds to the line, as far as it is kept. A newline inside it becomes `#012`.
    fn extend(&mut self, bytes: &[u8], limit: usize) {
        self.is_there = true;
        for (index, part) in bytes.split(|&byte| byte == b'\n').enumerate() {
            for bytes in [if index > 0 { &b"#012"[..] } else { b"" }, part] {
                let room = limit.saturating_sub(self.line.len()).min(bytes.len());
                self.line.extend_from_slice(&bytes[..room]);
                self.is_cut |= room < bytes.len();
            }
        }
    }
}

impl<S: Sink> Unwrap<S> {
    /// Unwraps for `sink`. No line gets longer than `max_line_bytes` by joining; the rest of it is cut off.
    pub fn new(sink: S, max_line_bytes: usize) -> Self {
        Unwrap {
            sink,
            max_line_bytes: max_line_bytes.max(1),
            is_wrapped: false,
            held: Default::default(),
            held_since: None,
            out: Vec::new(),
            bytes: 0,
            safe: Safe { out: 0, bytes: 0, end: End::Nowhere },
            end: None,
            stands: None,
            moved: None,
        }
    }

    fn is_holding(&self) -> bool {
        self.held.iter().any(|held| held.is_there)
    }

    /// True when `lines` need not be looked at: the first and the last are not wrapped, nor was any before.
    fn passes(&self, lines: &[u8]) -> bool {
        let first = &lines[..memchr(b'\n', lines).unwrap_or(lines.len())];
        let closed = lines.strip_suffix(b"\n").unwrap_or(lines);
        let last = &closed[memrchr(b'\n', closed).map_or(0, |newline| newline + 1)..];
        !self.is_wrapped && !looks_wrapped(first) && !looks_wrapped(last)
    }

    /// Length of the lines at the beginning of `lines` that stay as they are.
    fn unchanged(lines: &[u8]) -> usize {
        let mut length = 0;
        while length < lines.len() {
            let rest = &lines[length..];
            let next = memchr(b'\n', rest).map_or(rest.len(), |newline| newline + 1);
            if is_docker(rest) || cri(&rest[..next]).is_some_and(|cri| cri.is_partial) {
                break;
            }
            length += next;
        }
        length
    }

    fn whole_lines(&mut self, block: &Block<'_>, places: &mut Places) {
        let lines = block.lines;
        let mut at = if self.is_holding() { 0 } else { Self::unchanged(lines) };
        if at == lines.len() {
            return self.sink.block(*block);
        }
        match (places.behind(at), places.bytes_of(at)) {
            (Some(end), Some(bytes)) if at > 0 => {
                places.taken = bytes;
                self.sink.block(Block { lines: &lines[..at], bytes, end, cut: false });
            }
            _ => self.out.extend_from_slice(&lines[..at]),
        }
        self.took(places, at);
        while at < lines.len() {
            let length = memchr(b'\n', &lines[at..]);
            let line = &lines[at..length.map_or(lines.len(), |length| at + length)];
            at = length.map_or(lines.len(), |length| at + length + 1);
            let cut = self.line(line);
            if let Some(slot) = cut {
                self.cut_held(slot, places, at);
            }
            self.took(places, at);
            if self.is_holding() && self.out.len() > WAITING_BYTES {
                self.give_up(places, at);
            }
            if self.sink.wants_lines() {
                self.hand_on();
            }
        }
        self.hand_on();
    }

    /// Takes in a line: it goes to `out`, whole or once it is, or is held. The slot of a line that is complete and was cut is
    /// returned: it must be handed on by itself.
    fn line(&mut self, line: &[u8]) -> Option<usize> {
        let start = self.out.len();
        if is_docker(line) {
            if let Some(stream) = docker(line, &mut self.out) {
                return self.docker_text(start, slot(true, stream));
            }
            self.out.truncate(start);
        } else if let Some(cri) = cri(line) {
            let slot = slot(false, cri.stream);
            if cri.is_partial || self.held[slot].is_there {
                self.hold_cri(slot, &cri);
                return if cri.is_partial { None } else { self.complete(slot) };
            }
        }
        self.out.extend_from_slice(line);
        self.out.push(b'\n');
        None
    }

    /// Takes in what a line of Docker held, which is in `out` from `start` on.
    fn docker_text(&mut self, start: usize, slot: usize) -> Option<usize> {
        let text = &self.out[start..];
        let closed = text.strip_suffix(b"\n");
        let held = &mut self.held[slot];
        if let Some(line) = closed
            && !held.is_there
            && memchr(b'\n', line).is_none()
        {
            return None;
        }
        held.extend(closed.unwrap_or(text), self.max_line_bytes);
        let is_closed = closed.is_some();
        self.out.truncate(start);
        if is_closed { self.complete(slot) } else { None }
    }

    /// Adds a line of CRI to its pieces. What they become looks like one whole line of CRI.
    fn hold_cri(&mut self, slot: usize, cri: &wrapped::Cri<'_>) {
        let held = &mut self.held[slot];
        if !held.is_there {
            let mark = if cri.stream == Stream::Stdout { &b" stdout F "[..] } else { b" stderr F " };
            held.extend(cri.time, self.max_line_bytes);
            held.extend(mark, self.max_line_bytes);
        }
        held.extend(cri.content, self.max_line_bytes);
    }

    /// Moves a line whose last piece has come to `out`, unless it was cut: then its slot is returned.
    fn complete(&mut self, slot: usize) -> Option<usize> {
        let held = &mut self.held[slot];
        if held.is_cut {
            return Some(slot);
        }
        self.out.extend_from_slice(&held.line);
        self.out.push(b'\n');
        held.line.clear();
        held.is_there = false;
        None
    }

    /// Notes that everything up to `at` is in; and that this is a safe place, if it is one.
    fn took(&mut self, places: &mut Places, at: usize) {
        if let Some(bytes) = places.bytes_of(at) {
            self.bytes += bytes - places.taken;
            places.taken = bytes;
        }
        if self.is_holding() {
            self.held_since.get_or_insert_with(Instant::now);
        } else if let Some(end) = places.behind(at) {
            self.held_since = None;
            self.safe = Safe { out: self.out.len(), bytes: self.bytes, end };
            self.moved = self.stands.take().or(self.moved.take());
        }
    }

    /// Hands on the lines before the safe place.
    fn hand_on(&mut self) {
        if self.safe.out > 0 {
            self.hand_on_first(self.safe.out);
        }
    }

    /// Hands on the first `length` bytes of `out`, with the safe place as their end.
    fn hand_on_first(&mut self, length: usize) {
        let Safe { bytes, end, .. } = self.safe;
        let mut moved = self.moved.take();
        let end = moved_to(&mut moved, end);
        self.sink.block(Block { lines: &self.out[..length], bytes, end, cut: false });
        self.bytes -= bytes;
        self.out.drain(..length);
        (self.safe.out, self.safe.bytes) = (0, 0);
    }

    /// Hands on a held line of which a part is missing.
    fn cut_held(&mut self, slot: usize, places: &mut Places, at: usize) {
        let mut held = std::mem::take(&mut self.held[slot]);
        self.cut_line(&held.line, places, at);
        held.line.clear();
        self.held[slot].line = held.line;
    }

    /// Hands on a cut line that ends at `at`, and the lines before it.
    ///
    /// Lines of the other output that came between its pieces have no place of their own: they are handed on with the
    /// position before the first piece, and the line, when still another is held, too. A crash in that instant would count
    /// them again.
    fn cut_line(&mut self, line: &[u8], places: &mut Places, at: usize) {
        if !self.out.is_empty() {
            self.hand_on_first(self.out.len());
        }
        self.took(places, at);
        let Safe { bytes, end, .. } = self.safe;
        let mut moved = self.moved.take();
        let end = moved_to(&mut moved, end);
        self.sink.block(Block { lines: line, bytes, end, cut: true });
        self.bytes -= bytes;
        self.safe.bytes = 0;
    }

    /// Hands on what is held, as cut lines, so that others need not wait any longer.
    fn give_up(&mut self, places: &mut Places, at: usize) {
        for slot in 0..self.held.len() {
            if self.held[slot].is_there {
                self.cut_held(slot, places, at);
            }
        }
        self.took(places, at);
    }

    /// Takes in a block that is one line, without its end.
    fn beginning(&mut self, block: &Block<'_>, places: &mut Places) {
        let line = block.lines;
        if is_docker(line) {
            let mut text = Vec::new();
            cut_docker(line, &mut text);
            let mut inside = Held::default();
            inside.extend(text.strip_suffix(b"\n").unwrap_or(&text), self.max_line_bytes);
            let shown = if inside.line.is_empty() { line } else { &inside.line };
            return self.cut_line(shown, places, line.len());
        }
        match cri(line) {
            Some(cri) if cri.is_partial || self.held[slot(false, cri.stream)].is_there => {
                let slot = slot(false, cri.stream);
                self.hold_cri(slot, &cri);
                self.held[slot].is_cut = true;
                if !cri.is_partial {
                    self.cut_held(slot, places, line.len());
                }
            }
            _ => self.cut_line(line, places, line.len()),
        }
        self.took(places, line.len());
    }

    /// Says where reading stands, if that did not go on with lines.
    fn tell(&mut self) {
        if let Some(Moved { position, befell }) = self.moved.take() {
            self.sink.stands(position, &befell);
        }
    }

    /// Gives buffers back that a source with little to say does not need.
    fn release(&mut self, length: usize) {
        if length < BUSY_BYTES && !self.is_holding() {
            self.out = Vec::new();
            self.held = Default::default();
        }
    }
}

/// Where reading stands at `end`, which may be in the file that it `moved` to.
fn moved_to<'m>(moved: &'m mut Option<Moved>, end: End<'static>) -> End<'m> {
    match (moved, end) {
        (Some(moved), End::Offset(offset)) => {
            if let Position::File(file) = &mut moved.position {
                file.offset = offset;
                file.size = file.size.max(offset);
            }
            End::Moved(moved)
        }
        (_, end) => end,
    }
}

impl<S: Sink> Sink for Unwrap<S> {
    fn block(&mut self, block: Block<'_>) {
        // The journal has no containers' files.
        let is_journal = matches!(block.end, End::Cursor(_));
        if is_journal || !self.is_holding() && self.passes(block.lines) {
            return self.sink.block(block);
        }
        self.is_wrapped = true;
        let mut places = Places::of(&block);
        self.end = places.end;
        self.took(&mut places, 0);
        let is_late = self.held_since.is_some_and(|since| since.elapsed() >= PATIENCE);
        if is_late && !self.out.is_empty() {
            self.give_up(&mut places, 0);
        }
        if block.cut {
            self.beginning(&block, &mut places);
        } else {
            self.whole_lines(&block, &mut places);
        }
        self.tell();
        self.release(block.lines.len());
    }

    fn stands(&mut self, position: Position, befell: &[Incident]) {
        if !self.is_holding() {
            return self.sink.stands(position, befell);
        }
        if let Position::File(file) = &position {
            self.end = Some(file.offset);
        }
        let mut before = self.stands.take().map_or_else(Vec::new, |moved| moved.befell);
        before.extend_from_slice(befell);
        self.stands = Some(Moved { position, befell: before });
    }

    /// Nothing will complete what is held: it is handed on as it is.
    fn left(&mut self, befell: &[Incident]) {
        let mut places = Places { end: self.end, bytes: 0, length: 0, taken: 0 };
        for slot in 0..self.held.len() {
            if !self.held[slot].is_there {
                continue;
            }
            if self.complete(slot).is_some() {
                self.cut_held(slot, &mut places, 0);
            }
        }
        self.took(&mut places, 0);
        self.hand_on();
        self.tell();
        self.release(0);
        self.sink.left(befell);
    }

    fn incident(&mut self, incident: Incident) {
        self.sink.incident(incident);
    }

    fn wants_lines(&self) -> bool {
        self.sink.wants_lines()
    }
}

#[cfg(test)]
mod tests;
