//! OpenDMARC, the milter that checks DMARC.
//!
//! ```text
//! Feb  1 12:14:14 mx1 opendmarc[38]: 4XyzAB1cdE01: example.org pass
//!
//! line   = [ job id ": " ] text
//! result = job id ": " domain " " ( "pass" | "fail" | "none" | "temperror" | "permerror" )
//! ```
//!
//! The domain is that of the sender's `From:`, and OpenDMARC takes nearly anything for one: the result is the last word.

use crate::cursor::Cursor;
use crate::{Envelope, Field, Reason, Reject, envelope};

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A message was checked.
    Checked(Checked<'a>),
    /// Known, and nothing to count: a word for its kind.
    Known(&'static str),
}

/// A message was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked<'a> {
    /// The message.
    pub job_id: &'a [u8],
    /// The domain of the `From:` header.
    pub domain: &'a [u8],
    /// One of [`RESULTS`].
    pub result: &'static str,
}

/// The results of DMARC.
pub const RESULTS: [&str; 5] = ["pass", "fail", "none", "temperror", "permerror"];

/// True when `program` is OpenDMARC's milter.
pub fn is_program(program: &[u8]) -> bool {
    program == b"opendmarc"
}

/// Reads a whole line.
///
/// # Errors
/// It is none of OpenDMARC's.
pub fn parse(line: &[u8]) -> Result<Event<'_>, Reject> {
    read(line, &envelope::detect(line))
}

/// Reads the message of a line.
///
/// # Errors
/// It is none of OpenDMARC's.
pub fn read<'a>(line: &'a [u8], envelope: &Envelope<'a>) -> Result<Event<'a>, Reject> {
    let mut cursor = Cursor::new(line.get(..envelope.end).unwrap_or(line), envelope.start);
    let length = job_id_length(cursor.rest());
    if length == 0 {
        return match is_servers(cursor.rest()) {
            true => Ok(Event::Known("server")),
            false => cursor.reject(Reason::UnknownForm, "job_id"),
        };
    }
    let job_id = cursor.rest().get(..length).unwrap_or_default();
    cursor.skip(length + 1);
    if cursor.rest().starts_with(b"ignoring ") {
        return Ok(Event::Known("detail"));
    }
    cursor.skip(1);
    let text = cursor.rest();
    if text.starts_with(b"SPF(") || text.starts_with(b"ARC pass, policy ") {
        return Ok(Event::Known("detail"));
    }
    if let Some(at) = memchr::memrchr(b' ', text)
        && let Some(result) = RESULTS.iter().find(|result| text.get(at + 1..) == Some(result.as_bytes()))
    {
        return Ok(Event::Checked(Checked { job_id, domain: text.get(..at).unwrap_or_default(), result }));
    }
    match known(text) {
        Some(kind) => Ok(Event::Known(kind)),
        None => cursor.reject(Reason::UnknownForm, "result"),
    }
}

/// Length of the queue id, or of what stands for it, before `: ` or ` ignoring `.
fn job_id_length(text: &[u8]) -> usize {
    const UNKNOWN: &[u8] = b"(unknown-jobid)";
    let length = match text.starts_with(UNKNOWN) {
        true => UNKNOWN.len(),
        false => text.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count(),
    };
    let rest = text.get(length..).unwrap_or_default();
    let is_id = length >= 5 && (rest.starts_with(b": ") || rest.starts_with(b" ignoring Authentication-Results "));
    if is_id { length } else { 0 }
}

/// The kind of a message's other lines.
fn known(text: &[u8]) -> Option<&'static str> {
    const REFUSED: [&str; 5] = [
        "RFC5322 requirement error",
        "multi-valued From ",
        "unable to parse ",
        "ignoring mail from ",
        "ignoring invalid ",
    ];
    const PROBLEMS: [&str; 16] = [
        "opendmarc_",
        "DMARC context ",
        "can't ",
        "unable ",
        "smfi_",
        "read/parse ",
        "fopen()",
        "fwrite()",
        "flock(",
        "lockf(",
        "popen()",
        "pclose()",
        "malloc()",
        "calloc()",
        "error ",
        "failed ",
    ];
    let is = |table: &[&str]| table.iter().any(|start| text.starts_with(start.as_bytes()));
    match () {
        () if is(&REFUSED) => Some("refused"),
        () if is(&PROBLEMS) || text.ends_with(b" failed") || text.starts_with(b"/") => Some("problem"),
        () => None,
    }
}

/// True for what the server tells of itself.
fn is_servers(text: &[u8]) -> bool {
    const STARTS: [&str; 30] = [
        "OpenDMARC Filter",
        "opendmarc: ",
        "additional trusted ",
        "implicit authentication ",
        "ignoring ",
        "configuration ",
        "can't ",
        "exited with",
        "terminated with",
        "maximum restart",
        "using ",
        "[child]",
        "[parent]",
        "WARNING",
        "mlfi_",
        "smfi_",
        "opendmarc_",
        "no such ",
        "fork()",
        "kill(",
        "malloc()",
        "prctl()",
        "setuid()",
        "setgid()",
        "initgroups()",
        "pthread_",
        "socket cleanup",
        "unable ",
        "failed ",
        "error ",
    ];
    text.starts_with(b"/") || STARTS.iter().any(|start| text.starts_with(start.as_bytes()))
}

impl crate::Event for Event<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Checked(_) => "checked",
            Self::Known(kind) => kind,
        }
    }

    fn is_ignored(&self) -> bool {
        matches!(self, Self::Known(_))
    }

    fn visit(&self, see: &mut dyn FnMut(&'static str, Field<'_>)) {
        let Self::Checked(checked) = self else { return };
        see("job_id", Field::text(checked.job_id));
        see("domain", Field::text(checked.domain));
        see("result", Field::Text(checked.result.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(message: &str) -> String {
        let line = format!("Feb  1 12:14:14 mx opendmarc[71]: {message}");
        match parse(line.as_bytes()) {
            Ok(Event::Checked(checked)) => checked.result.to_owned(),
            Ok(Event::Known(kind)) => kind.to_owned(),
            Err(reject) => reject.to_string(),
        }
    }

    #[test]
    fn forged_domains_change_nothing() {
        for (message, expected) in [
            ("4XyzAB1cdEz1: example.org pass", "pass"),
            ("4XyzAB1cdEz1: 4XyzAB1cdEz2: example.org pass fail", "fail"),
            ("4XyzAB1cdEz1: multi-valued From field detected none", "none"),
            ("4XyzAB1cdEz1: multi-valued From field detected", "refused"),
            ("4XyzAB1cdEz1: SPF(mailfrom): example.org pass", "detail"),
            ("4XyzAB1cdEz1 ignoring Authentication-Results at 0 from a: b pass", "detail"),
            ("4XyzAB1cdEz1: example.org maybe", "unknown_form in result at byte 48"),
            ("nothing known", "unknown_form in job_id at byte 34"),
        ] {
            assert_eq!(outcome(message), expected, "{message}");
        }
    }
}
