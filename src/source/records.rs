//! Records of several lines: on their way from a source to its sink, blocks are cut so that each begins and ends with a record.
//!
//! ```text
//! 2026-02-01 12:14:14 ERROR request failed
//! java.io.IOException: reset
//!     at org.example.App.run(App.java:17)
//! 2026-02-01 12:14:15 INFO …                     a line that begins a record, and so ends the one before
//! ```
//!
//! [`Records`] stands before a [`Sink`]. The last record of what was read is *open*: the next line may belong to it. It is held here, and
//! the position that is handed on stays before its first line.
//!
//! # What is handed on when
//! A record is counted once only if its count and the position behind it are committed together. So an open record is in no block, and the
//! position before it is what is committed: after a crash its lines are read again. It is handed on when a line begins the
//! next one, when it gets too long, when no line came for `PATIENCE` (see [`Records::settle`]), or when its file is
//! gone. What comes of it after that is the rest of a record that was cut, and is handed on as such.

use std::sync::Arc;
use std::time::{Duration, Instant};

use memchr::{memchr, memchr_iter, memrchr};

use super::{Block, End, Incident, Moved, Position, Sink};

/// How long an open record waits for its next line.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How lines are joined to records.
pub struct Rule {
    /// True for a line, without its newline, that begins a record.
    #[allow(clippy::type_complexity, reason = "it is named by its field")]
    pub is_start: Box<dyn Fn(&[u8]) -> bool + Send + Sync>,
    /// Lines of a record, at most; at least 1.
    pub max_lines: usize,
    /// Bytes of a record, at most.
    pub max_bytes: usize,
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rule").field("max_lines", &self.max_lines).field("max_bytes", &self.max_bytes).finish()
    }
}

impl Rule {
    /// The length of the first record of `lines`, with its last newline: up to the next line that begins one, and no longer than a
    /// record may be. Of lines that do not begin one it is that of the first, and false.
    pub fn first(&self, lines: &[u8]) -> (usize, bool) {
        let first = line_length(lines);
        if !(self.is_start)(without_newline(&lines[..first])) {
            return (first, false);
        }
        let mut length = first;
        for _ in 1..self.max_lines {
            let rest = &lines[length..];
            let next = line_length(rest);
            let line = without_newline(&rest[..next]);
            if rest.is_empty() || length + line.len() > self.max_bytes || (self.is_start)(line) {
                break;
            }
            length += next;
        }
        (length, true)
    }

    /// Where the last record of `lines` begins; `None` when none does.
    fn last_start(&self, lines: &[u8]) -> Option<usize> {
        let mut end = lines.len();
        while end > 0 {
            let closed = lines[..end].strip_suffix(b"\n").unwrap_or(&lines[..end]);
            let start = memrchr(b'\n', closed).map_or(0, |newline| newline + 1);
            if (self.is_start)(&closed[start..]) {
                return Some(start);
            }
            end = start;
        }
        None
    }

    /// Where the first record of `lines` begins.
    fn first_start(&self, lines: &[u8]) -> Option<usize> {
        let mut start = 0;
        while start < lines.len() {
            let length = line_length(&lines[start..]);
            if (self.is_start)(without_newline(&lines[start..start + length])) {
                return Some(start);
            }
            start += length;
        }
        None
    }
}

/// The length of the first line of `lines`, with its newline.
fn line_length(lines: &[u8]) -> usize {
    memchr(b'\n', lines).map_or(lines.len(), |newline| newline + 1)
}

fn without_newline(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// Hands whole records of one source to `S`; without a rule, everything as it comes.
///
/// # Bounds
/// Holds one record: of at most the rule's bytes, and the lines of one block more.
pub struct Records<S> {
    sink: S,
    rule: Option<Arc<Rule>>,
    /// The open record, if there is one.
    open: Option<Open>,
    /// Where the source said that it stands since that was opened, which may be in another file. Only there with an open record.
    moved: Option<Moved>,
    /// That is another file than the one in which the open record begins.
    is_elsewhere: bool,
}

/// A record of which lines may be missing.
struct Open {
    /// Its lines so far, each with its newline.
    lines: Vec<u8>,
    /// Bytes of the source that they are made of.
    bytes: u64,
    /// A line of it was cut.
    is_cut: bool,
    /// When its last line came.
    since: Instant,
    /// Where reading stands behind it.
    end: Behind,
    /// That is where the source has `moved` to.
    has_moved: bool,
}

/// Where reading stands, kept.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Behind {
    Offset(u64),
    Cursor(String),
    Nowhere,
}

impl Behind {
    fn of(end: End<'_>) -> Self {
        match end {
            End::Offset(offset) => Self::Offset(offset),
            End::Cursor(cursor) => Self::Cursor(cursor.to_owned()),
            End::Nowhere => Self::Nowhere,
            End::Moved(Moved { position: Position::File(file), .. }) => Self::Offset(file.offset),
            End::Moved(Moved { position: Position::Cursor(cursor), .. }) => Self::Cursor(cursor.clone()),
        }
    }

    fn as_end(&self) -> End<'_> {
        match self {
            Self::Offset(offset) => End::Offset(*offset),
            Self::Cursor(cursor) => End::Cursor(cursor),
            Self::Nowhere => End::Nowhere,
        }
    }
}

impl<S: Sink> Records<S> {
    /// Hands on to `sink` by `rule`.
    pub fn new(sink: S, rule: Option<Arc<Rule>>) -> Self {
        Self { sink, rule, open: None, moved: None, is_elsewhere: false }
    }

    /// The sink.
    pub fn sink(&self) -> &S {
        &self.sink
    }

    /// Hands on to what `exchange` makes of the sink, by `rule`, from now on.
    pub fn go_on(self, rule: Option<Arc<Rule>>, exchange: impl FnOnce(S) -> S) -> Self {
        let Self { sink, open, moved, is_elsewhere, .. } = self;
        let mut after = Self { sink: exchange(sink), rule, open, moved, is_elsewhere };
        if after.rule.is_none() {
            after.close();
        }
        after
    }

    /// Hands on a record to which no line has been added for `patience`.
    pub fn settle(&mut self, patience: Duration) {
        if self.open.as_ref().is_some_and(|open| open.since.elapsed() >= patience) {
            self.close();
        }
    }

    /// The source ends in this run. A record that can be read again in the next one waits for it; any other is handed on.
    pub fn end(&mut self) {
        if self.open.as_ref().is_some_and(|open| open.end == Behind::Nowhere) {
            self.close();
        }
    }

    /// Hands on the open record, and says where the source stands if that is elsewhere.
    fn close(&mut self) {
        let Some(Open { lines, bytes, is_cut, end, has_moved, .. }) = self.open.take() else { return };
        let moved = if has_moved { self.moved.take() } else { None };
        self.is_elsewhere = false;
        self.hand_on(&lines, bytes, end.as_end(), moved, is_cut);
        if let Some(Moved { position, befell }) = self.moved.take() {
            self.sink.stands(position, &befell);
        }
    }

    /// Hands on `lines`, behind which reading stands at `end`, in the file that the source has `moved` to.
    fn hand_on(&mut self, lines: &[u8], bytes: u64, end: End<'_>, mut moved: Option<Moved>, cut: bool) {
        if let (Some(Moved { position: Position::File(file), .. }), End::Offset(offset)) = (&mut moved, end) {
            file.offset = offset;
            file.size = file.size.max(offset);
        }
        let end = moved.as_ref().map_or(end, End::Moved);
        self.sink.block(Block { lines, bytes, end, cut });
    }

    /// Adds lines to the open record, and hands it on if it gets too long.
    fn hold(&mut self, lines: &[u8], bytes: u64, end: Behind, is_cut: bool) {
        let now = Instant::now();
        if self.open.is_none() {
            self.begin(bytes, &end);
        }
        let open = self.open.get_or_insert_with(|| Open {
            lines: Vec::new(),
            bytes: 0,
            is_cut: false,
            since: now,
            end: Behind::Nowhere,
            has_moved: false,
        });
        open.lines.extend_from_slice(lines);
        if open.lines.last().is_some_and(|last| *last != b'\n') {
            open.lines.push(b'\n');
        }
        open.bytes += bytes;
        open.is_cut |= is_cut;
        open.has_moved = self.moved.is_some();
        (open.since, open.end) = (now, end);
        let is_full = |rule: &Rule| {
            open.lines.len() > rule.max_bytes || memchr_iter(b'\n', &open.lines).count() >= rule.max_lines
        };
        if self.rule.as_deref().is_none_or(is_full) {
            self.close();
        }
    }

    /// A record begins so many `bytes` before `end`: if that is in a file that the source has moved to, it stands there.
    fn begin(&mut self, bytes: u64, end: &Behind) {
        self.is_elsewhere = false;
        if let (Some(Moved { position: Position::File(file), .. }), Behind::Offset(offset)) = (&mut self.moved, end) {
            file.offset = offset.saturating_sub(bytes);
            if let Some(Moved { position, befell }) = self.moved.take() {
                self.sink.stands(position, &befell);
            }
        }
    }

    /// The source stands elsewhere, while a record is open.
    fn move_to(&mut self, position: &Position, befell: &[Incident]) {
        // A file that was emptied is another one, too.
        let is_another = match (&self.moved, position) {
            (Some(Moved { position: Position::File(known), .. }), Position::File(new)) if known.file != new.file => {
                true
            }
            (_, Position::File(_)) => !befell.is_empty(),
            _ => false,
        };
        if is_another && let Some(open) = &mut self.open {
            // A record of three files: it is cut, since there is one place only to come back to.
            if self.is_elsewhere && open.has_moved {
                self.close();
            } else {
                // Of its own file nothing more has to be known.
                open.has_moved = false;
                self.is_elsewhere = true;
            }
        }
        let moved = self.moved.get_or_insert_with(|| Moved { position: position.clone(), befell: Vec::new() });
        moved.position = position.clone();
        moved.befell.extend_from_slice(befell);
    }

    /// Takes in a block.
    fn take(&mut self, block: Block<'_>, rule: &Rule) {
        let Block { lines, bytes, end, cut } = block;
        let Some(last) = rule.last_start(lines) else {
            // Lines of the open record, or of one that is gone.
            if self.open.is_none() {
                return self.sink.block(block);
            }
            if let End::Moved(moved) = end {
                self.move_to(&moved.position, &moved.befell);
            }
            return self.hold(lines, bytes, Behind::of(end), cut);
        };
        let end_behind = Behind::of(end);
        // Counted from the end: what else a block is made of, a hole, comes before its lines.
        let place = |at: usize| match &end_behind {
            Behind::Offset(offset) => Behind::Offset(offset.saturating_sub((lines.len() - at) as u64)),
            other => other.clone(),
        };
        let bytes_from = |at: usize| if at == 0 { bytes } else { bytes.min((lines.len() - at) as u64) };
        let mut start = 0;
        if self.open.is_some() {
            start = rule.first_start(lines).unwrap_or(last);
            if start == 0 {
                self.close();
            }
        }
        if let End::Moved(moved) = end {
            self.move_to(&moved.position, &moved.befell);
        }
        if let Some(open) = self.open.as_mut() {
            open.lines.extend_from_slice(&lines[..start]);
            open.bytes += bytes - bytes_from(start);
            open.end = place(start);
            open.has_moved = self.moved.is_some();
            self.close();
        }
        if last > start {
            let moved = self.moved.take();
            self.is_elsewhere = false;
            self.hand_on(&lines[start..last], bytes_from(start) - bytes_from(last), place(last).as_end(), moved, false);
        }
        self.hold(&lines[last..], bytes_from(last), end_behind, cut);
    }
}

impl<S: Sink> Sink for Records<S> {
    fn block(&mut self, block: Block<'_>) {
        match self.rule.clone() {
            None => self.sink.block(block),
            Some(rule) => self.take(block, &rule),
        }
    }

    fn stands(&mut self, position: Position, befell: &[Incident]) {
        match self.open {
            None => self.sink.stands(position, befell),
            Some(_) => {
                self.move_to(&position, befell);
                // Unless that has cut the record.
                if self.open.is_none()
                    && let Some(Moved { position, befell }) = self.moved.take()
                {
                    self.sink.stands(position, &befell);
                }
            }
        }
    }

    /// Nothing will be added to what is open.
    fn left(&mut self, befell: &[Incident]) {
        self.close();
        self.sink.left(befell);
    }

    fn incident(&mut self, incident: Incident) {
        self.sink.incident(incident);
    }

    fn wants_lines(&self) -> bool {
        self.rule.is_some()
    }
}

#[cfg(test)]
mod tests;
