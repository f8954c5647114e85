//! ClamAV: clamd, which scans, and clamav-milter, which lets it scan mail.
//!
//! ```text
//! Feb  1 12:14:14 mx1 clamd[37]: instream(local): Eicar-Test-Signature FOUND
//! Sat Nov 21 19:19:03 2026 -> /tmp/a: Eicar-Test-Signature(44d88612fea8a8f36de82e1278abb02f:68) FOUND      its own file
//! Feb  1 12:14:14 mx1 clamav-milter[38]: Message 4XyzAB1cdEz1 from <a@b.org> to <c@d.org> with subject 'x' message-id 'y' date 'z' infected by Eicar
//!
//! found    = name ": " signature [ "(" hash ":" size ")" ] " FOUND"
//! infected = "Message " … " infected by " signature
//! ```
//!
//! clamd's lines are read from the right: a file's name can hold anything, the signature is the database's. So are the
//! milter's: its addresses and subjects are the sender's.

use memchr::memmem;

use crate::{Envelope, Field, Reason, Reject, envelope};

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A file, stream or message is infected.
    Infected(Infected<'a>),
    /// Known, and nothing to count: a word for its kind.
    Known(&'static str),
}

/// A file, stream or message is infected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Infected<'a> {
    /// `clamd` or `clamav-milter`.
    pub program: &'static str,
    /// Name of the signature that matched.
    pub signature: &'a [u8],
    /// The file or stream, as clamd names it.
    pub name: &'a [u8],
}

/// True when `program` is one of ClamAV's daemons.
pub fn is_program(program: &[u8]) -> bool {
    matches!(program, b"clamd" | b"clamav-milter")
}

/// Finds the envelope: that of the daemons' own files, or syslog's.
pub fn envelope(line: &[u8]) -> Envelope<'_> {
    own_envelope(line).unwrap_or_else(|| envelope::detect(line))
}

/// `Sat Nov 21 19:19:03 2026 -> `
fn own_envelope(line: &[u8]) -> Option<Envelope<'_>> {
    let is_time =
        envelope::month(line.get(4..7)?).is_some() && envelope::has_shape(line.get(10..)?, b" 00:00:00 0000 -> ");
    is_time.then(|| Envelope { timestamp: &line[..24], start: 28, ..Envelope::none(line) })
}

/// Reads a whole line.
///
/// # Errors
/// It is none of ClamAV's.
pub fn parse(line: &[u8]) -> Result<Event<'_>, Reject> {
    read(line, &envelope(line))
}

/// Reads the message of a line.
///
/// # Errors
/// It is none of ClamAV's.
pub fn read<'a>(line: &'a [u8], envelope: &Envelope<'a>) -> Result<Event<'a>, Reject> {
    let text = line.get(envelope.start..envelope.end).unwrap_or_default().trim_ascii_end();
    let text =
        ["ERROR: ", "WARNING: ", "LibClamAV Error: ", "LibClamAV Warning: ", "LibClamAV debug: ", "LibClamAV info: "]
            .iter()
            .find_map(|level| text.strip_prefix(level.as_bytes()))
            .map_or(Ok(text), Err);
    let text = match text {
        Ok(text) => text,
        Err(_) => return Ok(Event::Known("problem")),
    };
    if is_milters(text) {
        return match memmem::rfind(text, b" infected by ") {
            Some(at) if text.starts_with(b"Message ") => {
                let signature = text.get(at + b" infected by ".len()..).unwrap_or_default();
                Ok(Event::Infected(Infected { program: "clamav-milter", signature, name: b"" }))
            }
            _ if text.starts_with(b"Message ") => {
                Err(Reject { reason: Reason::Truncated, field: "signature", offset: envelope.end })
            }
            _ => Ok(Event::Known("clean")),
        };
    }
    if let Some(found) = text.strip_suffix(b" FOUND")
        && let Some(at) = memmem::rfind(found, b": ")
    {
        let (name, signature) = (found.get(..at).unwrap_or_default(), found.get(at + 2..).unwrap_or_default());
        return Ok(Event::Infected(Infected { program: "clamd", signature: without_hash(signature), name }));
    }
    if text.ends_with(b": OK") || text.ends_with(b": Empty file") {
        return Ok(Event::Known("clean"));
    }
    match known(text) {
        Some(kind) => Ok(Event::Known(kind)),
        None => Err(Reject { reason: Reason::UnknownForm, field: "message", offset: envelope.start }),
    }
}

/// True for what the milter writes of a message.
fn is_milters(text: &[u8]) -> bool {
    let rest = text.strip_prefix(b"Clean message ").or_else(|| text.strip_prefix(b"Message "));
    rest.is_some_and(|rest| {
        let id = memchr::memchr(b' ', rest).unwrap_or_default();
        rest.starts_with(b"from <") || rest.get(id..).is_some_and(|rest| rest.starts_with(b" from <"))
    })
}

/// Takes `(hash:size)` away.
fn without_hash(signature: &[u8]) -> &[u8] {
    let open = memchr::memrchr(b'(', signature).filter(|_| signature.ends_with(b")"));
    open.and_then(|open| signature.get(..open)).unwrap_or(signature)
}

/// The kind of a line that is of no scan.
fn known(text: &[u8]) -> Option<&'static str> {
    const DATABASE: [&str; 10] = [
        "Reading databases",
        "Database correctly",
        "Database ",
        "Activating ",
        "Loaded ",
        "Not loading ",
        "Bytecode: ",
        "SelfCheck: ",
        "No stats for Database",
        "Loading ",
    ];
    const SERVER: [&str; 44] = [
        "Received ",
        "clamd daemon ",
        "clamav-milter ",
        "Log file size ",
        "TCP: ",
        "LOCAL: ",
        "Limits: ",
        "Self checking ",
        "Listening daemon",
        "MaxQueue ",
        "Client disconnected",
        "Waiting for ",
        "Shutting down",
        "--- Stopped",
        "+++ Started",
        "Closing ",
        "Socket file ",
        "Running as user",
        "Bound to ",
        "Listening on ",
        "Setting ",
        "Not authorized",
        "File path check failure",
        "Pid file ",
        "Signal ",
        "SIGHUP",
        "SIGUSR",
        "Exiting",
        "Got new connection",
        "THRMGR",
        "Number of files ",
        "Time limit ",
        "On-access ",
        "ScanOnAccess",
        "Disabling ",
        "Enabling ",
        "No data received",
        "fd[",
        "Accepted connection",
        "Restarting ",
        "Probe for ",
        "Skipping scan ",
        "Not scanning ",
        "VirusEvent: ",
    ];
    const PROBLEM: [&str; 24] = [
        "Can't ",
        "Cannot ",
        "Could not ",
        "Failed ",
        "FD ",
        "Invalid ",
        "Unknown ",
        "No reply ",
        "Streaming failed",
        "Connection closed",
        "Killing ",
        "All slots ",
        "Clamd ",
        "Unexpected ",
        "Command ",
        "INSTREAM",
        "ScanStream",
        "Error ",
        "lstat() failed",
        "accept() failed",
        "unsupported",
        "Client command",
        "recv ",
        "No clamd ",
    ];
    let is = |table: &[&str]| table.iter().any(|start| text.starts_with(start.as_bytes()));
    let is_option = text.ends_with(b" enabled.")
        || text.ends_with(b" disabled.")
        || text.ends_with(b"enabled")
        || text.ends_with(b"disabled");
    match () {
        () if is(&DATABASE) => Some("database"),
        () if is(&SERVER) || is_option => Some("server"),
        () if is(&PROBLEM) || text.ends_with(b" ERROR") => Some("problem"),
        () => None,
    }
}

impl crate::Event for Event<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Infected(_) => "infected",
            Self::Known(kind) => kind,
        }
    }

    fn is_ignored(&self) -> bool {
        matches!(self, Self::Known(_))
    }

    fn visit(&self, see: &mut dyn FnMut(&'static str, Field<'_>)) {
        let Self::Infected(infected) = self else { return };
        see("program", Field::Text(infected.program.as_bytes()));
        see("name", Field::text(infected.name));
        see("signature", Field::text(infected.signature));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(message: &str) -> String {
        let line = format!("Feb  1 12:14:14 mx clamd[71]: {message}");
        match parse(line.as_bytes()) {
            Ok(Event::Infected(found)) => format!("{} {}", found.program, found.signature.escape_ascii()),
            Ok(Event::Known(kind)) => kind.to_owned(),
            Err(reject) => reject.to_string(),
        }
    }

    #[test]
    fn names_and_subjects_that_imitate_results_change_nothing() {
        for (message, expected) in [
            ("/tmp/a: B FOUND.txt: OK", "clean"),
            ("/tmp/a: B FOUND: Worm-1 FOUND", "clamd Worm-1"),
            ("instream(127.0.0.1@4711): Worm-1(0123:9) FOUND", "clamd Worm-1"),
            ("Message from <a infected by X> to <b> infected by Worm-1", "clamav-milter Worm-1"),
            ("Clean message 4X from <a> to <b> with subject 'x infected by Worm-1' message-id '' date ''", "clean"),
            ("Clean message from <a: X FOUND> to <b: Y FOUND", "clean"),
            ("Message 4X from <a> to <b> with subject 'x", "truncated in signature at byte 72"),
            ("something else", "unknown_form in message at byte 30"),
        ] {
            assert_eq!(signature(message), expected, "{message}");
        }
    }
}
