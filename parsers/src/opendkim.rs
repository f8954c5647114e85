//! OpenDKIM, the milter that signs and verifies.
//!
//! ```text
//! Feb  1 12:14:14 mx1 opendkim[41]: 4XyzAB1cdEz1: DKIM-Signature field added (s=mail, d=example.net)
//! Feb  1 12:14:14 mx1 opendkim[41]: 4XyzAB1cdE10: DKIM verification successful
//! Feb  1 12:14:14 mx1 opendkim[41]: 4XyzAB1cdE13: key retrieval failed (s=gone, d=example.net): 'gone._domainkey.example.net' record not found
//!
//! line = [ job id ": " ] text
//! ```
//!
//! A message has one line that counts, however many signatures: that of its result. `SSL` and `signature=` lines tell its details.

use crate::cursor::Cursor;
use crate::{Envelope, Field, Reason, Reject, envelope};

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A message was verified.
    Verified(Verified<'a>),
    /// A message was signed.
    Signed(Signed<'a>),
    /// Known, and nothing to count: a word for its kind.
    Known(&'static str),
}

/// A message was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified<'a> {
    /// The message.
    pub job_id: &'a [u8],
    /// `pass`, `fail`, `none` (no signature), `temperror` (no key to be had) or `permerror` (revoked key, no proper signature).
    pub result: &'static str,
}

/// A message was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed<'a> {
    /// The message.
    pub job_id: &'a [u8],
    /// The key's name.
    pub selector: &'a [u8],
    /// The domain that signs.
    pub domain: &'a [u8],
}

/// True when `program` is OpenDKIM's milter.
pub fn is_program(program: &[u8]) -> bool {
    program == b"opendkim"
}

/// Reads a whole line.
///
/// # Errors
/// It is none of OpenDKIM's.
pub fn parse(line: &[u8]) -> Result<Event<'_>, Reject> {
    read(line, &envelope::detect(line))
}

/// Reads the message of a line.
///
/// # Errors
/// It is none of OpenDKIM's.
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
    cursor.skip(length + 2);
    if cursor.take_text(b"DKIM-Signature field added (s=") {
        let selector = cursor.take_until(b", d=").unwrap_or_default();
        let rest = cursor.rest();
        return Ok(Event::Signed(Signed { job_id, selector, domain: rest.strip_suffix(b")").unwrap_or(rest) }));
    }
    let text = cursor.rest();
    if let Some(result) = result(text) {
        return Ok(Event::Verified(Verified { job_id, result }));
    }
    match known(text) {
        Some(kind) => Ok(Event::Known(kind)),
        None => cursor.reject(Reason::UnknownForm, "message"),
    }
}

/// Length of the queue id before a colon and a space, or of what stands for it.
fn job_id_length(text: &[u8]) -> usize {
    const UNKNOWN: &[u8] = b"(unknown-jobid)";
    let length = match text.starts_with(UNKNOWN) {
        true => UNKNOWN.len(),
        false => text.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count(),
    };
    // Shorter words with a colon are names of functions and files.
    let is_id = length >= 5 && text.get(length..).is_some_and(|rest| rest.starts_with(b": "));
    if is_id { length } else { 0 }
}

fn result(text: &[u8]) -> Option<&'static str> {
    match text {
        b"DKIM verification successful" => Some("pass"),
        b"bad signature data" => Some("fail"),
        b"no signature data" => Some("none"),
        _ if text.starts_with(b"key retrieval failed") => Some("temperror"),
        _ if text.starts_with(b"key revoked (") || text.starts_with(b"syntax error: ") => Some("permerror"),
        _ => None,
    }
}

/// The kind of a message's other lines.
fn known(text: &[u8]) -> Option<&'static str> {
    const SIGNING: [&str; 14] = [
        "no signing ",
        "signing table ",
        "external host ",
        "not authenticated",
        "not POP authenticated",
        "no MTA name match",
        "no macros match",
        "domain '",
        "skipping signing ",
        "BodyLengthDB ",
        "signature generation ",
        "error reading signing table",
        "error loading key",
        "failed to add ",
    ];
    const DETAILS: [&str; 9] = [
        "signature=",
        "message has signatures from ",
        "ignoring ",
        "SSL ",
        "s=",
        "signature processing failed",
        "key data is not secure",
        "RFC5322 header requirement error",
        "resource unavailable",
    ];
    const REPUTATION: [&str; 6] =
        ["allowed by ", "blocked by ", "would be ", "no reputation ", "reputation ", "rate limit "];
    const PROBLEMS: [&str; 34] = [
        "can't ",
        "cannot ",
        "failed to ",
        "error ",
        "internal error",
        "header add failed",
        "smfi_",
        "dkim",
        "dkimf_",
        "malloc()",
        "strdup()",
        "open()",
        "fdopen()",
        "mkstemp()",
        "popen()",
        "pclose()",
        "read()",
        "stat()",
        "fopen()",
        "overflow ",
        "curl_",
        "VBR",
        "unable ",
        "Authentication-Results ",
        "DKIM-Signature header",
        "X-",
        "wrote ",
        "removing ",
        "removed ",
        "too much ",
        "no such ",
        "verify mode ",
        "key '",
        "sender ",
    ];
    let is = |table: &[&str]| table.iter().any(|start| text.starts_with(start.as_bytes()));
    match () {
        () if is(&SIGNING) || text.ends_with(b"] not internal") => Some("signing"),
        () if is(&DETAILS) => Some("detail"),
        () if is(&REPUTATION) => Some("reputation"),
        () if is(&PROBLEMS) || text.ends_with(b" failed") => Some("problem"),
        () => None,
    }
}

/// True for what the server tells of itself.
fn is_servers(text: &[u8]) -> bool {
    const STARTS: [&str; 40] = [
        "OpenDKIM Filter",
        "opendkim: ",
        "opendkim/",
        "configuration ",
        "ignoring ",
        "can't ",
        "cannot ",
        "exited with",
        "terminated with",
        "maximum restart",
        "cache: ",
        "using ",
        "[child]",
        "[parent]",
        "WARNING",
        "verifier mode",
        "key '",
        "KeyTable ",
        "mlfi_",
        "smfi_",
        "dkim_",
        "dkimf_",
        "error ",
        "failed to ",
        "no such ",
        "regexec()",
        "statistics ",
        "resource ",
        "too much ",
        "fork()",
        "kill(",
        "malloc()",
        "prctl()",
        "setuid()",
        "setgid()",
        "setrlimit()",
        "getrlimit()",
        "initgroups()",
        "pthread_",
        "socket cleanup",
    ];
    // Paths, and the program with its version.
    text.starts_with(b"/") || STARTS.iter().any(|start| text.starts_with(start.as_bytes()))
}

impl crate::Event for Event<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Verified(_) => "verified",
            Self::Signed(_) => "signed",
            Self::Known(kind) => kind,
        }
    }

    fn is_ignored(&self) -> bool {
        matches!(self, Self::Known(_))
    }

    fn visit(&self, see: &mut dyn FnMut(&'static str, Field<'_>)) {
        match self {
            Self::Verified(verified) => {
                see("job_id", Field::text(verified.job_id));
                see("result", Field::Text(verified.result.as_bytes()));
            }
            Self::Signed(signed) => {
                see("job_id", Field::text(signed.job_id));
                see("s", Field::text(signed.selector));
                see("d", Field::text(signed.domain));
            }
            Self::Known(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(message: &str) -> String {
        let line = format!("Feb  1 12:14:14 mx opendkim[71]: {message}");
        match parse(line.as_bytes()) {
            Ok(Event::Verified(verified)) => verified.result.to_owned(),
            Ok(Event::Signed(signed)) => format!("signed by {}", signed.domain.escape_ascii()),
            Ok(Event::Known(kind)) => kind.to_owned(),
            Err(reject) => reject.to_string(),
        }
    }

    #[test]
    fn forged_domains_and_hosts_change_nothing() {
        for (message, expected) in [
            ("4XyzAB1cdEz1: bad signature data", "fail"),
            ("(unknown-jobid): DKIM verification successful", "pass"),
            ("4XyzAB1cdEz1: no signing domain match for 'DKIM verification successful'", "signing"),
            ("4XyzAB1cdEz1: DKIM verification successful [192.0.2.1] not internal", "signing"),
            ("4XyzAB1cdEz1: external host 4XyzAB: bad signature data attempted to send as x", "signing"),
            ("4XyzAB1cdEz1: s=x d=4XyzAB1cdEz2: DKIM verification successful a=rsa-sha256 SSL ", "detail"),
            ("4XyzAB1cdEz1: key retrieval failed (s=x, d=y): bad signature data", "temperror"),
            ("4XyzAB1cdEz1: DKIM-Signature field added (s=mail, d=example.net)", "signed by example.net"),
            ("4XyzAB1cdEz1: nothing known", "unknown_form in message at byte 47"),
            ("nothing known", "unknown_form in job_id at byte 33"),
        ] {
            assert_eq!(outcome(message), expected, "{message}");
        }
    }
}
