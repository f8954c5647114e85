//! Sources: where lines come from. First stage of the flow: source -> line -> event -> row -> exposition.
//!
//! One file per kind of source. A source knows nothing of formats or metrics: it hands *blocks* of whole
//! lines to a [`Sink`], together with where reading stands behind them, so that what is counted and where
//! reading stands can be committed together.

pub mod file;
pub mod journal;
pub mod pipe;
pub mod records;
mod status;
pub mod syslog;
pub mod unwrap;

pub use status::Status;

/// Consecutive whole lines of one source.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// The lines, each closed by `\n`; never empty. Only the last line of a file that will not grow any
    /// more (end of a replay, end of a rotated file) may lack it.
    pub lines: &'a [u8],
    /// Bytes of the source that this block is made of, including whatever was skipped of a cut line.
    pub bytes: u64,
    /// Where reading stands behind the last line.
    pub end: End<'a>,
    /// True when `lines` is the prefix, without a newline, of one line longer than the line limit. The
    /// source skips the rest of that line by itself, and hands the prefix over once it knows the line's
    /// end, so that `end` never points into a line.
    pub cut: bool,
}

/// Where reading stands behind a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End<'a> {
    /// At this offset (bytes) of the file that was announced last by [`Sink::stands`].
    Offset(u64),
    /// Behind the journal entry with this cursor.
    Cursor(&'a str),
    /// Nowhere that one could come back to (sockets, pipes).
    Nowhere,
    /// In another file than the one that was announced last, since a line reaches from one into the other.
    Moved(&'a Moved),
}

/// Where reading stands now, and what befell the source on the way there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Where it stands.
    pub position: Position,
    /// What happened between the place before and this one.
    pub befell: Vec<Incident>,
}

/// Where reading stands, as the state keeps it from run to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// In a file.
    File(file::Position),
    /// Behind the journal entry with this cursor.
    Cursor(String),
}

/// A file as the system knows it, whatever its name is at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// `st_dev`.
    pub device: u64,
    /// `st_ino`. A number that is free again is given to the next file, so it identifies a file only as
    /// long as that one is open, or together with something else.
    pub inode: u64,
}

/// How a file was rotated: label `kind` of `tailmeter_rotations_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// Another file is at the path.
    Rename,
    /// The file was emptied (`copytruncate`).
    Truncate,
}

impl Rotation {
    /// All of them, each at its [`index`](Self::index).
    pub const ALL: [Self; 2] = [Self::Rename, Self::Truncate];

    /// Its place in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rename => "rename",
            Self::Truncate => "truncate",
        }
    }
}

/// Why bytes were never read: label `reason` of `tailmeter_source_lost_bytes_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The file was emptied before its end was read, and no copy of it was found.
    Truncated,
    /// The file was removed while nobody held it open, and neither it nor a copy of it was found again.
    Removed,
    /// The file could not be read any more.
    Unreadable,
}

impl Loss {
    /// All of them, each at its [`index`](Self::index).
    pub const ALL: [Self; 3] = [Self::Truncated, Self::Removed, Self::Unreadable];

    /// Its place in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Removed => "removed",
            Self::Unreadable => "unreadable",
        }
    }
}

/// What befell a source besides giving lines. It is kept and shown together with the counts of its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incident {
    /// A rotation was followed.
    Rotated(Rotation),
    /// This many bytes are known to have been there and cannot be read any more.
    Lost(u64, Loss),
    /// This many messages were thrown away by the kernel, since they came faster than they were read.
    Dropped(u64),
}

/// Takes the blocks of one source. Called in order, never concurrently for the same source.
pub trait Sink: Send + 'static {
    /// Counts the lines of `block`, and moves the position to its end.
    fn block(&mut self, block: Block<'_>);

    /// Reading stands at `position` now: a source calls it when it opens a file, follows a rotation or
    /// starts anew in an emptied one, and when it knows more about the file than before. A replay never does.
    ///
    /// `befell` is what happened on the way there. It counts together with the position: from the place before, it
    /// would be met again.
    fn stands(&mut self, position: Position, befell: &[Incident]) {
        let _ = (position, befell);
    }

    /// Nothing is left to come back to: the file is gone for good and read to its end, and `befell` happened last.
    fn left(&mut self, befell: &[Incident]) {
        let _ = befell;
    }

    /// True when the place behind every line has to be known: blocks then hold one line each, where that place does not
    /// follow from their bytes.
    fn wants_lines(&self) -> bool {
        false
    }

    /// Something other than lines happened, which no position leads to again.
    fn incident(&mut self, incident: Incident) {
        let _ = incident;
    }
}
