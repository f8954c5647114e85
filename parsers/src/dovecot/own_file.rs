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

use super::process::{Level, Process};
use crate::cursor::Cursor;
use crate::envelope::{Envelope, detect, has_shape, timestamp_length};

/// Finds the envelope of `line`: syslog's, a container runtime's, or that of a file which Dovecot writes itself.
pub fn envelope(line: &[u8]) -> Envelope<'_> {
    let found = detect(line);
    if super::is_program(found.program) {
        return found;
    }
    // What a container runtime puts before a line stands before Dovecot's own time.
    let is_outer = found.start > 0 && found.program.is_empty() && found.hostname.is_empty();
    let inner = if is_outer { own(line, &found, found.start) } else { None };
    inner.or_else(|| own(line, &found, 0)).unwrap_or(found)
}

/// The envelope of a file of Dovecot's own, if one stands at `start`.
fn own<'a>(line: &'a [u8], found: &Envelope<'a>, start: usize) -> Option<Envelope<'a>> {
    let line = line.get(..found.end)?;
    let text = line.get(start..)?;
    let length = time_length(text);
    let message = start + length + usize::from(length > 0);
    let mut cursor = Cursor::new(line, message);
    Process::read(&mut cursor).ok()?;
    if !Level::is_at_end(line.get(..cursor.at())?) {
        return None;
    }
    let mut envelope = Envelope { repeated: 1, start: message, end: found.end, ..Envelope::default() };
    // A line that has no time of its own has that of the container runtime.
    (envelope.timestamp, envelope.timestamp_start) = match length {
        0 if start > 0 => (found.timestamp, found.timestamp_start),
        _ => (text.get(..length)?, start),
    };
    Some(envelope)
}

/// Length of the time at the start of `text`, when a space follows it; otherwise 0.
fn time_length(text: &[u8]) -> usize {
    if !has_shape(text, b"0000-00-00 00:00:00") {
        return timestamp_length(text);
    }
    let mut length = 19;
    if let Some(fraction) = text[length..].strip_prefix(b".") {
        length += 1 + fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
    }
    let zone = &text[length..];
    if zone.starts_with(b"+") || zone.starts_with(b"-") {
        length += 1 + zone[1..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b':').count();
    }
    if text.get(length) == Some(&b' ') { length } else { 0 }
}
