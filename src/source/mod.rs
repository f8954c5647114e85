//! Sources: where lines come from. First stage of the flow: source -> line -> event -> row -> exposition.
//!
//! One file per kind of source. A source knows nothing of formats or metrics: it hands *blocks* of whole
//! lines to a [`Sink`], together with the offset behind the last line, so that what is counted and where
//! reading stands can be committed together.

pub mod file;

/// Consecutive whole lines of one source.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// The lines, each closed by `\n`. Only the last line of a file that will not grow any more (end of a
    /// replay, end of a rotated file) may lack it.
    pub lines: &'a [u8],
    /// Offset in the file (bytes) behind the last line, including whatever was skipped of a cut line.
    pub end: u64,
    /// True when `lines` is the prefix, without a newline, of one line longer than the line limit. The
    /// source skips the rest of that line by itself.
    pub cut: bool,
}

/// Takes the blocks of one source. Called in order, never concurrently for the same source.
pub trait Sink: Send + 'static {
    /// Counts the lines of `block`.
    fn block(&mut self, block: Block<'_>);
}
