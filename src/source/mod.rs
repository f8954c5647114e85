//! Sources: where lines come from. First stage of the flow: source -> line -> event -> row -> exposition.
//!
//! One file per kind of source. A source knows nothing of formats or metrics: it hands *blocks* of whole
//! lines to a [`Sink`], together with the offset behind the last line, so that what is counted and where
//! reading stands can be committed together.

pub mod file;

/// Consecutive whole lines of one source.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// The lines, each closed by `\n`; never empty. Only the last line of a file that will not grow any
    /// more (end of a replay, end of a rotated file) may lack it.
    pub lines: &'a [u8],
    /// Offset in the file (bytes) behind the last line, including whatever was skipped of a cut line.
    pub end: u64,
    /// True when `lines` is the prefix, without a newline, of one line longer than the line limit. The
    /// source skips the rest of that line by itself, and hands the prefix over once it knows the line's
    /// end, so that `end` never points into a line.
    pub cut: bool,
}

/// A file as the system knows it, whatever its name is at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Identity {
    /// `st_dev`.
    pub device: u64,
    /// `st_ino`. A number that is free again is given to the next file, so it identifies a file only as
    /// long as that one is open, or together with something else.
    pub inode: u64,
}

/// Takes the blocks of one source. Called in order, never concurrently for the same source.
pub trait Sink: Send + 'static {
    /// Counts the lines of `block`.
    fn block(&mut self, block: Block<'_>);

    /// The next blocks are of `file`, whose reading starts at `offset` (bytes). A file source calls it when
    /// it opens a file, follows a rotation, or starts anew in a truncated one; a replay never does.
    fn opened(&mut self, file: Identity, offset: u64) {
        let _ = (file, offset);
    }
}
