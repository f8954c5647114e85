//! Reading a file or a stream to its end once.

use std::io::{self, ErrorKind, Read};

use super::Options;
use super::lines::Splitter;
use crate::source::Sink;

/// Reads `reader` to its end, in blocks of at least `options.block_bytes`, and hands every line to `sink`,
/// the last one even if no newline closes it. After each read `progress` is called with the bytes read so
/// far.
///
/// # Errors
/// What `reader` returns, except interruptions; the lines before it have been handed over.
///
/// # Bounds
/// One buffer of `options.max_line_bytes + options.block_bytes`, however long the lines are.
pub fn replay(
    reader: &mut dyn Read,
    options: &Options,
    sink: &mut dyn Sink,
    progress: &mut dyn FnMut(u64),
) -> io::Result<()> {
    let mut splitter = Splitter::new(options.max_line_bytes, options.block_bytes);
    loop {
        match reader.read(splitter.space()) {
            Ok(0) => break,
            Ok(read) => splitter.take(read, sink),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        progress(splitter.position());
    }
    splitter.finish(sink);
    Ok(())
}
