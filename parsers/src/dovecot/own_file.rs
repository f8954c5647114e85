//! Envelopes: syslog's, and that of the files which Dovecot writes itself.
//!
//! ```text
//! Nov 21 18:37:07 imap-login: Info: TEXT              `log_path`, with `log_timestamp` as it is by default
//! 2026-11-21T18:37:13+0000 imap-login: Info: TEXT     `log_timestamp = "%Y-%m-%dT%H:%M:%S%z "`
//! 2026-11-21 18:37:19.196327 imap-login: Info: TEXT   `log_timestamp = "%Y-%m-%d %H:%M:%S.%{usecs} "`
//! imap-login: Info: TEXT                              `log_timestamp =`
//! ```
//!
//! Such a line has neither host nor tag; unlike syslog's it always has the severity, and that tells them apart.

use super::process::Process;
use crate::cursor::Cursor;
use crate::envelope::{Envelope, detect, time_length};

/// Finds the envelope of `line`: syslog's, a container runtime's, or that of a file which Dovecot writes itself.
pub fn envelope(line: &[u8]) -> Envelope<'_> {
    let found = detect(line);
    if super::is_program(found.program) {
        return found;
    }
    let end = found.end;
    // What a container runtime puts before a line stands before Dovecot's own time.
    let outer = if found.program.is_empty() && found.hostname.is_empty() { found.start } else { 0 };
    own(line, end, outer).or_else(|| own(line, end, 0)).unwrap_or(found)
}

/// The envelope of a file of Dovecot's own, if one stands at `start`.
fn own(line: &[u8], end: usize, start: usize) -> Option<Envelope<'_>> {
    let line = line.get(..end)?;
    let text = line.get(start..)?;
    let length = time_length(text);
    let message = start + length + usize::from(length > 0 && text.get(length) == Some(&b' '));
    let mut cursor = Cursor::new(line, message);
    let written = Process::read(&mut cursor).ok().filter(|process| process.is_written(line, cursor.at()))?;
    let _ = written;
    let mut envelope = Envelope { repeated: 1, start: message, end, ..Envelope::default() };
    envelope.timestamp = &text[..length];
    envelope.timestamp_start = start;
    Some(envelope)
}
