//! Messages become lines, and lines blocks: between what receives messages and the [`Sink`].

use memchr::memchr;

use crate::source::{Block, End, Incident, Sink};

/// What a newline within a message becomes: rsyslog's escape for it.
const ESCAPED_NEWLINE: &[u8] = b"#012";

/// Collects lines and hands them over in blocks.
///
/// # Bounds
/// Holds less than `block_bytes`, and a line on top.
pub(super) struct Feed {
    sink: Box<dyn Sink>,
    /// Whole lines, each with its newline.
    lines: Vec<u8>,
    /// What `lines` were on the wire, ignored messages included.
    bytes: u64,
    limit: usize,
    block_bytes: usize,
}

impl Feed {
    /// Of lines of up to `limit` bytes, without their newline.
    pub(super) fn new(sink: Box<dyn Sink>, limit: usize, block_bytes: usize) -> Self {
        Feed { sink, lines: Vec::new(), bytes: 0, limit: limit.max(1), block_bytes }
    }

    /// Takes one message, which was `wire` bytes together with what framed it. `is_whole` is false when `message` is
    /// only the beginning, and longer than a line may be.
    pub(super) fn message(&mut self, message: &[u8], is_whole: bool, wire: u64) {
        let text = if is_whole { without_trailer(message) } else { message };
        let before = self.bytes;
        self.bytes += wire;
        if text.is_empty() {
            return;
        }
        let start = self.lines.len();
        append_as_line(&mut self.lines, &text[..text.len().min(self.limit)]);
        let longest = start + self.limit;
        if !is_whole || text.len() > self.limit || self.lines.len() > longest {
            self.lines.truncate(longest);
            self.bytes = before;
            self.cut(start, wire);
            return;
        }
        self.lines.push(b'\n');
        if self.lines.len() >= self.block_bytes {
            self.flush();
        }
    }

    /// Hands over what is there.
    pub(super) fn flush(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        self.sink.block(Block { lines: &self.lines, bytes: self.bytes, end: End::Nowhere, cut: false });
        self.lines.clear();
        self.bytes = 0;
    }

    /// Hands over the lines up to `start`, and then what follows as a cut line of `wire` bytes.
    fn cut(&mut self, start: usize, wire: u64) {
        let (whole, cut) = self.lines.split_at(start);
        let mut bytes = self.bytes;
        if !whole.is_empty() {
            self.sink.block(Block { lines: whole, bytes, end: End::Nowhere, cut: false });
            bytes = 0;
        }
        self.sink.block(Block { lines: cut, bytes: bytes + wire, end: End::Nowhere, cut: true });
        self.lines.clear();
        self.bytes = 0;
    }

    /// The kernel threw `messages` away.
    pub(super) fn dropped(&mut self, messages: u64) {
        self.sink.incident(Incident::Dropped(messages));
    }

    /// Gives the memory back; the next message allocates again.
    pub(super) fn release(&mut self) {
        if self.lines.is_empty() {
            self.lines = Vec::new();
        }
    }
}

/// `message` without the newlines and NUL bytes that close it.
fn without_trailer(message: &[u8]) -> &[u8] {
    let end = message.iter().rposition(|byte| !matches!(byte, b'\n' | 0));
    &message[..end.map_or(0, |last| last + 1)]
}

/// Appends `text` with its newlines escaped.
fn append_as_line(lines: &mut Vec<u8>, mut text: &[u8]) {
    while let Some(newline) = memchr(b'\n', text) {
        lines.extend_from_slice(&text[..newline]);
        lines.extend_from_slice(ESCAPED_NEWLINE);
        text = &text[newline + 1..];
    }
    lines.extend_from_slice(text);
}
