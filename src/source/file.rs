//! Files: replayed once to their end ([`replay`]), or followed while they grow ([`Tailer`]).
//!
//! A followed file is one task (`tailer`) that looks at it (`look`), at times that `pace` decides from what the
//! looks found and from wakes, which one watcher for all files gives (`wake`). A [`Pattern`] follows whatever it
//! matches. Truth is what a look reads through
//! its own open handle; a wake only says "look now", so a lost, late or wrong one costs time, never a line.
//! Both ways of reading cut the bytes into blocks of whole lines with the same code (`lines`).
//!
//! # What is delivered
//! Every line of the file once, over renames, copies and restarts: at the start, the file that was read before is
//! found again by its inode and its `fingerprint` among its `siblings`, compressed or not, and finished first,
//! then those that came after it. The last line is held back until its newline is there, or until the file has
//! been left for its successor. What is known to have been there and cannot be found is told as
//! [`Incident::Lost`](crate::source::Incident::Lost). Nobody can know of lines that were written after the last
//! look at a file and then cut off or deleted.

mod fingerprint;
mod generation;
pub(super) mod lines;
mod look;
mod pace;
mod packed;
mod pattern;
mod replay;
mod siblings;
mod tailer;
mod wake;

use std::path::PathBuf;
use std::time::Duration;

use crate::source::{Identity, Sink};

pub use fingerprint::Fingerprint;
pub use pattern::Pattern;
pub use replay::replay;
pub use tailer::{Handle, Tailer};

/// Where to begin in a file that is there at the start. One that appears later is read from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At offset 0.
    Beginning,
    /// Behind the last whole line.
    End,
}

/// How files are read.
#[derive(Clone, Debug)]
pub struct Options {
    /// Longest line delivered whole (bytes, without its newline), at least 1.
    pub max_line_bytes: usize,
    /// Least room for one read (bytes), at least 1. With `max_line_bytes` it is the memory a file takes
    /// while it is read; a quiet file takes none.
    pub block_bytes: usize,
    /// Where to begin in a file without a position to resume from.
    pub start: Start,
    /// A file is looked at at most this often; more often only to catch up with a backlog.
    pub coalesce: Duration,
    /// Every file is looked at at least this often, whatever the system says of it. Missing files are tried
    /// again after pauses that grow from `coalesce` to this.
    pub tick: Duration,
    /// How long a file that has a successor with something in it must have been quiet before it is left.
    pub linger: Duration,
    /// Ask the system for wakes. Without, files are polled every ten `coalesce`, which serves file systems
    /// that give none.
    pub wakes: bool,
}

impl Default for Options {
    /// For following files: 64 KiB lines, 256 KiB blocks, from the end, a look at most every 100 ms and at
    /// least every 10 s, a second's linger, with wakes.
    fn default() -> Self {
        Options {
            max_line_bytes: 65_536,
            block_bytes: 256 * 1024,
            start: Start::End,
            coalesce: Duration::from_millis(100),
            tick: Duration::from_secs(10),
            linger: Duration::from_secs(1),
            wakes: true,
        }
    }
}

impl Options {
    /// For [`replay`]: blocks of 1 MiB.
    pub fn for_replay() -> Self {
        Options { block_bytes: 1024 * 1024, start: Start::Beginning, ..Options::default() }
    }
}

/// A place in a file, from which reading resumes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The file.
    pub file: Identity,
    /// What it begins with, since inodes are used again.
    pub fingerprint: Fingerprint,
    /// Offset (bytes) behind the last line that was counted, as [`Block::end`](crate::source::Block::end)
    /// gave it.
    pub offset: u64,
    /// Most bytes that the file was seen to have: what lies behind the offset is known to exist. Of a compressed
    /// file, what is known of its contents.
    pub size: u64,
    /// Time (nanoseconds since 1970) of the last change of the file that was seen; 0 when unknown. What was
    /// changed later may be newer.
    pub modified_ns: u64,
    /// What the file that was read before this one begins with.
    pub predecessor: Fingerprint,
}

/// One file to follow.
pub struct File {
    path: PathBuf,
    sink: Box<dyn Sink>,
    resume: Option<Position>,
    start: Option<Start>,
    gone_after: Option<Duration>,
    /// The pattern it matched.
    source: Option<PathBuf>,
}

impl File {
    /// Follows what is at `path`, through symbolic links, and hands its lines to `sink`.
    pub fn new(path: impl Into<PathBuf>, sink: Box<dyn Sink>) -> Self {
        File { path: path.into(), sink, resume: None, start: None, gone_after: None, source: None }
    }

    /// Goes on at `position`, which an earlier run left: in the file at the path, or in the one that this was
    /// renamed, copied or compressed to. Files that came after that are read next, the one at the path last.
    #[must_use]
    pub fn resume(mut self, position: Position) -> Self {
        self.resume = Some(position);
        self
    }

    /// Where to begin without a position, if not where [`Options::start`] says.
    #[must_use]
    pub fn start(mut self, start: Start) -> Self {
        self.start = Some(start);
        self
    }
}
