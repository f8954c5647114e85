//! Looking at a followed file once: the truth of the file source. Everything it knows comes from its own
//! open handles, `fstat` and offsets; when to look is decided elsewhere.
//!
//! A rotation is seen as a path that leads to another (device, inode) than the handle. The successor is
//! opened at once, so that a second rotation cannot take it away, and read once its predecessor is drained.

mod rotation;

use std::collections::VecDeque;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memchr::memrchr;

use super::generation::{Change, Generation, identity, trouble};
use super::lines::Splitter;
use super::siblings::{self, Found};
use super::{File, Fingerprint, Options, Position, Start};
use crate::metrics::own::source_name;
use crate::source::status::{Standing, Status, Telemetry, Trouble};
use crate::source::{Identity, Incident, Loss, Rotation, Sink};

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
    /// The file has been away for so long that it is not expected back.
    pub(super) gone: bool,
}

impl Outcome {
    /// This look and the ones right before it, as if they were one.
    pub(super) fn after(self, before: Outcome) -> Outcome {
        Outcome { read: self.read + before.read, replaced: self.replaced || before.replaced, ..self }
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
    current: Option<Generation>,
    /// Files that were at the path after `current`, oldest first.
    successors: VecDeque<Generation>,
    /// Of the generation before `current`.
    predecessor: Fingerprint,
    /// What befell the source behind the newest generation held: told when the next one is entered.
    befell: Vec<Incident>,
    /// When `current` last gave data, or its first successor was seen.
    quiet_since: Option<Instant>,
    trouble: Option<Trouble>,
    looked: bool,
    /// After what time away the file is gone for good.
    gone_after: Option<Duration>,
    away_since: Option<Instant>,
}

impl Tail {
    pub(super) fn new(file: File, options: &Options, status: Arc<Status>) -> Self {
        let telemetry = match &file.source {
            Some(source) => Telemetry::of_one_of(&source_name(source.as_os_str().as_bytes())),
            None => Telemetry::of_file(&source_name(file.path.as_os_str().as_bytes())),
        };
        telemetry.up(&status, false);
        Tail {
            telemetry,
            status,
            splitter: Splitter::new(options.max_line_bytes, options.block_bytes).passing_holes(),
            max_line_bytes: options.max_line_bytes.max(1),
            linger: options.linger,
            start: file.start.unwrap_or(options.start),
            resume: file.resume,
            path: file.path,
            sink: file.sink,
            current: None,
            successors: VecDeque::new(),
            predecessor: Fingerprint::default(),
            befell: Vec::new(),
            quiet_since: None,
            trouble: None,
            looked: false,
            gone_after: file.gone_after,
            away_since: None,
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
        outcome.gone = !outcome.more && self.is_gone(now);
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

    /// Ends a file that is gone: its last line is whole as it is, and nothing is left to come back to.
    pub(super) fn leave(&mut self) {
        self.splitter.finish(&mut *self.sink);
        let mut befell = std::mem::take(&mut self.befell);
        if let Some(position) = self.resume.take() {
            befell.extend(lost(position.size.saturating_sub(position.offset), Loss::Removed));
        }
        self.sink.left(&befell);
    }

    /// Nothing has been at the path for a while, and what was there has been read.
    fn is_gone(&mut self, now: Instant) -> bool {
        if self.trouble != Some(Trouble::Missing) || !self.successors.is_empty() {
            self.away_since = None;
            return false;
        }
        let away = now.saturating_duration_since(*self.away_since.get_or_insert(now));
        self.gone_after.is_some_and(|after| away >= after)
    }

    fn enter(&mut self, open: Generation, offset: u64) {
        self.splitter.restart(offset);
        self.current = Some(open);
        self.announce();
    }

    /// Tells the sink what is known of the file, where reading stands in it, and what befell the source before.
    fn announce(&mut self) {
        let Some(current) = &mut self.current else { return };
        let offset = self.splitter.delivered();
        let position = Position {
            file: current.copy_of.unwrap_or(current.identity),
            fingerprint: current.fingerprint,
            offset,
            size: current.size.max(offset),
            modified_ns: current.modified_ns,
            predecessor: self.predecessor,
        };
        let befell = std::mem::take(&mut current.befell);
        for incident in &befell {
            if let Incident::Rotated(rotation) = incident {
                self.telemetry.rotation(&self.status, *rotation);
            }
        }
        self.sink.stands(crate::source::Position::File(position), &befell);
    }

    /// Reads what is new in the current file, at most [`BLOCKS_PER_LOOK`] blocks of it.
    fn read(&mut self, now: Instant, outcome: &mut Outcome) -> Result<(), Trouble> {
        self.observe_successors();
        let result = self.read_current(now, outcome);
        if outcome.read > 0 {
            self.quiet_since = Some(now);
        }
        result.map_err(|_| {
            if let Some(current) = &mut self.current {
                current.reopen(&self.path);
            }
            Trouble::Read
        })
    }

    fn read_current(&mut self, now: Instant, outcome: &mut Outcome) -> io::Result<()> {
        let Some(current) = &mut self.current else { return Ok(()) };
        let was_empty = current.fingerprint.length == 0;
        match current.observe()? {
            Change::Nothing => {}
            Change::Written if was_empty => self.begin_with_copies(now),
            // The sink knows of the file's size and fingerprint before it gets its lines.
            Change::Written => self.announce(),
            Change::Truncated => self.begin_anew(now),
        }
        let Some(current) = &mut self.current else { return Ok(()) };
        let before = self.splitter.position();
        let result = read_blocks(current, &mut self.splitter, &mut *self.sink);
        outcome.read = self.splitter.position() - before;
        outcome.more = result.as_ref().is_ok_and(|&more| more);
        self.telemetry.read(&self.status, outcome.read);
        let (size, identity) = (current.size.max(self.splitter.position()), current.identity);
        self.stands(size, identity);
        result.map(drop)
    }

    fn stands(&mut self, size: u64, identity: Identity) {
        let waiting: u64 = self.successors.iter().map(|open| open.size).sum();
        let at =
            Standing { offset: self.splitter.delivered(), size, lag_bytes: size - self.splitter.position() + waiting };
        self.telemetry.stands(&self.status, identity, at);
    }

    /// Leaves the current file for its successor when nothing more is to be expected in it: nobody writes to it
    /// any more; or a successor has something to read, so the writer has gone over, and the old file has been
    /// quiet for a while, so that a writer of several processes has gone over wholly.
    fn pass_on(&mut self, now: Instant, unreadable: bool, outcome: &mut Outcome) {
        if !self.current.as_ref().is_some_and(|current| current.is_whole) {
            let written = self.successors.len() > 1 || self.successors.iter().any(|open| open.size > 0);
            if !written {
                return;
            }
            let quiet = now.saturating_duration_since(self.quiet_since.unwrap_or(now));
            if quiet < self.linger && self.successors.len() < SUCCESSORS {
                outcome.again_in = Some(self.linger - quiet);
                return;
            }
        }
        let Some(mut next) = self.successors.pop_front() else { return };
        if let Some(left) = self.current.take() {
            let befell = self.take_leave(&left, unreadable);
            next.befell.splice(..0, befell);
        }
        self.enter(next, 0);
        self.quiet_since = Some(now);
        outcome.more = true;
    }

    /// Hands over the last line of a file that is left; what was not to be read of it befell the source, and that it
    /// was rotated.
    fn take_leave(&mut self, left: &Generation, unreadable: bool) -> Vec<Incident> {
        let missing = if unreadable {
            // Of a compressed file it is not known how much that is, but something.
            let least = u64::from(left.is_packed());
            lost(left.size.saturating_sub(self.splitter.delivered()).max(least), Loss::Unreadable)
        } else {
            self.splitter.finish(&mut *self.sink);
            lost(left.size.saturating_sub(self.splitter.position()), Loss::Truncated)
        };
        // One that stayed empty leaves no trace by which one could know, after a crash, that it has been counted.
        let is_filled = left.fingerprint.length > 0;
        if is_filled {
            self.predecessor = left.fingerprint;
        }
        if !is_filled {
            // Seen in this run all the same.
            self.telemetry.rotation(&self.status, left.left_by);
        }
        let rotated = is_filled.then_some(Incident::Rotated(left.left_by));
        missing.into_iter().chain(rotated).collect()
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

fn lost(bytes: u64, reason: Loss) -> Option<Incident> {
    (bytes > 0).then_some(Incident::Lost(bytes, reason))
}

/// Reads from where the splitter stands, up to the end or the bound of a look. True when that left something.
fn read_blocks(open: &mut Generation, splitter: &mut Splitter, sink: &mut dyn Sink) -> io::Result<bool> {
    let mut blocks = 0;
    while !open.is_read_to(splitter.position()) {
        if blocks == BLOCKS_PER_LOOK {
            return Ok(true);
        }
        let position = splitter.position();
        match open.read_at(splitter.space(), position) {
            Ok((0, _)) => return Ok(false),
            Ok((_, true)) => {}
            // It was emptied, and may even have been filled again beyond this offset, while it was read.
            Ok(_) if open.is_replaced()? => return Ok(true),
            Ok((read, false)) => splitter.take(read, sink),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        if splitter.is_in_hole() {
            splitter.jump(open.data_from(splitter.position()));
        }
        blocks += 1;
    }
    Ok(false)
}

#[cfg(test)]
mod tests;
