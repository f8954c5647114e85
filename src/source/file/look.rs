//! Looking at a followed file once: the truth of the file source. Everything it knows comes from its own
//! open handles, `fstat` and offsets; when to look is decided elsewhere.
//!
//! A rotation is seen as a path that leads to another (device, inode) than the handle. The successor is
//! opened at once, so that a second rotation cannot take it away, and read once its predecessor is drained.

use std::collections::VecDeque;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memchr::memrchr;

use super::lines::Splitter;
use super::{File, Fingerprint, Options, Position, Start};
use crate::metrics::own::source_name;
use crate::source::status::{Standing, Status, Telemetry, Trouble};
use crate::source::{Identity, Incident, Rotation, Sink};

/// Blocks read in one look, so that a file with a backlog leaves room for the others.
const BLOCKS_PER_LOOK: usize = 16;

/// Successors held open while their predecessor is drained. Reached only when a file is rotated this often
/// within [`Options::linger`]; the predecessor is then left without lingering.
const SUCCESSORS: usize = 16;

/// What one look found, for deciding when to look next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Bytes read.
    pub(super) read: u64,
    /// There is more to read right now.
    pub(super) more: bool,
    /// Another file than at the last look is at the path: a watch of the old one is worth nothing.
    pub(super) replaced: bool,
    /// The path leads to the file being read, without trouble.
    pub(super) settled: bool,
    /// A successor is waiting; its predecessor is left after this time unless it still grows.
    pub(super) again_in: Option<Duration>,
}

impl Outcome {
    /// This look and the ones right before it, as if they were one.
    pub(super) fn after(self, before: Outcome) -> Outcome {
        Outcome { read: self.read + before.read, replaced: self.replaced || before.replaced, ..self }
    }
}

/// An open handle and what it is of.
#[derive(Debug)]
struct Open {
    file: fs::File,
    identity: Identity,
}

impl Open {
    /// Opens what is at `path` for reading. Anything but a regular file is refused before it is opened:
    /// opening a pipe would block.
    fn at(path: &PathBuf) -> Result<Open, Trouble> {
        let found = fs::metadata(path).map_err(|error| trouble(&error))?;
        if !found.is_file() {
            return Err(Trouble::NotAFile);
        }
        let file = fs::File::open(path).map_err(|error| trouble(&error))?;
        let opened = file.metadata().map_err(|error| trouble(&error))?;
        Ok(Open { file, identity: identity(&opened) })
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

fn identity(metadata: &Metadata) -> Identity {
    Identity { device: metadata.dev(), inode: metadata.ino() }
}

fn trouble(error: &io::Error) -> Trouble {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Trouble::Missing,
        ErrorKind::PermissionDenied => Trouble::Permission,
        _ => Trouble::Open,
    }
}

/// A followed file: its handles, its place in them, and who takes its lines.
pub(super) struct Tail {
    path: PathBuf,
    sink: Box<dyn Sink>,
    status: Arc<Status>,
    telemetry: Telemetry,
    splitter: Splitter,
    max_line_bytes: usize,
    linger: Duration,
    /// Where to begin in the first file opened; `Beginning` once that is done or the file was missing.
    start: Start,
    resume: Option<Position>,
    current: Option<Open>,
    /// Files that were at the path after `current`, oldest first.
    successors: VecDeque<Open>,
    /// When `current` last gave data, or its first successor was seen.
    quiet_since: Option<Instant>,
    trouble: Option<Trouble>,
    looked: bool,
}

impl Tail {
    pub(super) fn new(file: File, options: &Options, status: Arc<Status>) -> Self {
        let telemetry = Telemetry::of_file(&source_name(file.path.as_os_str().as_bytes()));
        telemetry.up(&status, false);
        Tail {
            telemetry,
            status,
            splitter: Splitter::new(options.max_line_bytes, options.block_bytes),
            max_line_bytes: options.max_line_bytes.max(1),
            linger: options.linger,
            start: options.start,
            resume: file.resume,
            path: file.path,
            sink: file.sink,
            current: None,
            successors: VecDeque::new(),
            quiet_since: None,
            trouble: None,
            looked: false,
        }
    }

    /// Looks once: who is at the path, what is new in the file, is it time to go on to a successor.
    pub(super) fn look(&mut self, now: Instant) -> Outcome {
        let mut outcome = Outcome::default();
        let found = self.find(now, &mut outcome);
        let read = self.read(now, &mut outcome);
        let trouble = found.and(read).err();
        self.mark(trouble);
        outcome.settled = trouble.is_none() && self.successors.is_empty();
        if !outcome.more && !self.successors.is_empty() {
            self.pass_on(now, trouble == Some(Trouble::Read), &mut outcome);
        }
        self.start = Start::Beginning;
        self.looked = true;
        self.telemetry.looked(&self.status);
        outcome
    }

    /// Gives memory back while nothing is expected.
    pub(super) fn release(&mut self) {
        self.splitter.release();
    }

    /// Counts that the system gives no wakes for this file. A missing file is trouble enough by itself.
    pub(super) fn watch_failed(&self) {
        if self.status.up() {
            self.telemetry.error(&self.status, Trouble::Watch);
        }
    }

    /// Opens what is at the path, if that is not open yet.
    fn find(&mut self, now: Instant, outcome: &mut Outcome) -> Result<(), Trouble> {
        let found = fs::metadata(&self.path).map_err(|error| trouble(&error))?;
        if self.holds(identity(&found)) {
            return Ok(());
        }
        let open = Open::at(&self.path)?;
        if self.holds(open.identity) {
            // It was renamed back between the two calls.
            return Ok(());
        }
        outcome.replaced = self.looked;
        if self.current.is_none() {
            let offset = self.begin(&open);
            self.enter(open, offset);
        } else {
            if self.successors.is_empty() {
                self.quiet_since = Some(now);
            }
            self.successors.push_back(open);
        }
        Ok(())
    }

    fn holds(&self, file: Identity) -> bool {
        let mut open = self.current.iter().chain(&self.successors);
        open.any(|open| open.identity == file)
    }

    /// Where to begin in the first file: where reading stood, or where the options say.
    fn begin(&mut self, open: &Open) -> u64 {
        let size = open.size().unwrap_or(0);
        match self.resume.take() {
            Some(position) if position.file == open.identity && position.offset <= size => position.offset,
            Some(_) => 0,
            None => match self.start {
                Start::Beginning => 0,
                Start::End => end_of_lines(open, size, self.max_line_bytes),
            },
        }
    }

    fn enter(&mut self, open: Open, offset: u64) {
        self.splitter.restart(offset);
        self.announce(open.identity, offset);
        self.current = Some(open);
    }

    fn announce(&mut self, file: Identity, offset: u64) {
        let position = Position { file, fingerprint: Fingerprint::default(), offset, size: offset };
        self.sink.stands(crate::source::Position::File(position));
    }

    fn rotated(&mut self, rotation: Rotation) {
        self.telemetry.rotation(&self.status, rotation);
        self.sink.incident(Incident::Rotated(rotation));
    }

    /// Reads what is new in the current file, at most [`BLOCKS_PER_LOOK`] blocks of it.
    fn read(&mut self, now: Instant, outcome: &mut Outcome) -> Result<(), Trouble> {
        let Some((identity, size)) = self.current.as_ref().map(|open| (open.identity, open.size())) else {
            return Ok(());
        };
        let result = size.and_then(|size| {
            if size < self.splitter.position() {
                // What was held of an incomplete line is gone from the file, and so is its end.
                self.rotated(Rotation::Truncate);
                self.splitter.restart(0);
                self.announce(identity, 0);
            }
            let before = self.splitter.position();
            let Some(open) = &self.current else { return Ok(false) };
            let result = read_blocks(open, size, &mut self.splitter, &mut *self.sink);
            outcome.read = self.splitter.position() - before;
            outcome.more = result.as_ref().is_ok_and(|&more| more);
            self.telemetry.read(&self.status, outcome.read);
            self.stands(size.max(self.splitter.position()), identity);
            result
        });
        if outcome.read > 0 {
            self.quiet_since = Some(now);
        }
        result.map(drop).map_err(|_| {
            self.reopen();
            Trouble::Read
        })
    }

    fn stands(&mut self, size: u64, identity: Identity) {
        let waiting: u64 = self.successors.iter().flat_map(Open::size).sum();
        let at =
            Standing { offset: self.splitter.delivered(), size, lag_bytes: size - self.splitter.position() + waiting };
        self.telemetry.stands(&self.status, identity, at);
    }

    /// Replaces a handle that cannot be read (stale after a file server came back) by a new one of the same
    /// file. The old one is open meanwhile, so an equal inode is the same file.
    fn reopen(&mut self) {
        if let (Some(current), Ok(open)) = (&mut self.current, Open::at(&self.path))
            && open.identity == current.identity
        {
            *current = open;
        }
    }

    /// Leaves the current file for its successor when nothing more is to be expected in it: a successor has
    /// something to read, so the writer has gone over, and the old file has been quiet for a while, so that
    /// a writer of several processes has gone over wholly.
    fn pass_on(&mut self, now: Instant, unreadable: bool, outcome: &mut Outcome) {
        let written = self.successors.len() > 1 || self.successors.iter().any(|open| open.size().unwrap_or(0) > 0);
        if !written {
            return;
        }
        let quiet = now.saturating_duration_since(self.quiet_since.unwrap_or(now));
        if quiet < self.linger && self.successors.len() < SUCCESSORS {
            outcome.again_in = Some(self.linger - quiet);
            return;
        }
        if let Some(next) = self.successors.pop_front() {
            if !unreadable {
                self.splitter.finish(&mut *self.sink);
            }
            self.rotated(Rotation::Rename);
            self.enter(next, 0);
            self.quiet_since = Some(now);
            outcome.more = true;
        }
    }

    /// Counts trouble when it begins or changes, not each time it is met again.
    fn mark(&mut self, trouble: Option<Trouble>) {
        if let Some(trouble) = trouble
            && self.trouble != Some(trouble)
        {
            self.telemetry.error(&self.status, trouble);
        }
        self.trouble = trouble;
        self.telemetry.up(&self.status, trouble.is_none() && self.current.is_some());
    }
}

/// Reads from where the splitter stands, up to `size` or the bound of a look. True when that left something.
fn read_blocks(open: &Open, size: u64, splitter: &mut Splitter, sink: &mut dyn Sink) -> io::Result<bool> {
    let mut blocks = 0;
    while splitter.position() < size {
        if blocks == BLOCKS_PER_LOOK {
            return Ok(true);
        }
        let position = splitter.position();
        match open.file.read_at(splitter.space(), position) {
            Ok(0) => return Ok(false),
            Ok(read) => splitter.take(read, sink),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        blocks += 1;
    }
    Ok(false)
}

/// The offset behind the last whole line, so that a line being written when reading begins is counted once
/// it is complete. A line that is over-long already is passed over.
fn end_of_lines(open: &Open, size: u64, max_line_bytes: usize) -> u64 {
    let from = size.saturating_sub(max_line_bytes as u64 + 1);
    let mut last = vec![0; (size - from) as usize];
    if open.file.read_exact_at(&mut last, from).is_err() {
        return size;
    }
    match memrchr(b'\n', &last) {
        Some(newline) => from + newline as u64 + 1,
        None if from == 0 => 0,
        None => size,
    }
}

#[cfg(test)]
mod tests;
