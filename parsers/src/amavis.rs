//! amavis, the content filter between mail servers, virus scanners and SpamAssassin.
//!
//! ```text
//! Feb  1 12:14:14 mx1 amavis[45]: (00045-04) Blocked SPAM {NoBounceInbound}, [192.0.2.1] <a@b.org> -> <c@d.org>, Message-ID: <…>, mail_id: VThJ, Hits: 11.7, size: 271, 132 ms
//!
//! line    = [ "(" id ") " ] text
//! verdict = ( "Passed" | "Blocked" ) " " category [ " (" names ")" ] [ " {" actions "}" ] ", " … ", Hits: " ( score | "-" ) ", size: " bytes … ", " milliseconds " ms"
//! ```
//!
//! Verdict, category and actions stand before all that a sender can fill; score and time are read from the right. With
//! `$log_recip_templ`, each recipient has another line, without actions and time: that one does not count.

use memchr::memmem;

use crate::cursor::{Cursor, thousandths};
use crate::{Envelope, Field, Reason, Reject, envelope};

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A message was let pass or held back.
    Verdict(Verdict<'a>),
    /// Known, and nothing to count: a word for its kind.
    Known(&'static str),
}

/// A message was let pass or held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// amavis's number for its work.
    pub am_id: &'a [u8],
    /// `Passed`, `Blocked` or `Not-Delivered`.
    pub verdict: &'static str,
    /// One of [`CATEGORIES`], or `other`.
    pub category: &'static str,
    /// What was found, as amavis writes it in parentheses.
    pub names: &'a [u8],
    /// What was done, as amavis writes it in braces.
    pub actions: &'a [u8],
    /// Score in thousandths, if the message has one.
    pub score: Option<i64>,
    /// Size of the message in bytes.
    pub size: Option<i64>,
    /// How long that took, in milliseconds; none where the line is cut.
    pub elapsed_ms: Option<u64>,
}

/// What amavis finds in messages; it numbers some of them, as in `BAD-HEADER-2`, which is left out here.
pub const CATEGORIES: [&str; 14] = [
    "CLEAN",
    "SPAM",
    "SPAMMY",
    "INFECTED",
    "BANNED",
    "UNCHECKED",
    "UNCHECKED-ENCRYPTED",
    "UNCHECKED-OVER-LIMITS",
    "BAD-HEADER",
    "OVERSIZED",
    "MTA-BLOCKED",
    "TEMPFAIL",
    "OTHER",
    "CATCHALL",
];

/// Longest time that a message may take: a day.
const MAX_ELAPSED_MS: u64 = 86_400_000;

/// True when `program` is amavis.
pub fn is_program(program: &[u8]) -> bool {
    matches!(program, b"amavis" | b"amavisd" | b"amavisd-new")
}

/// Reads a whole line.
///
/// # Errors
/// It is none of amavis's.
pub fn parse(line: &[u8]) -> Result<Event<'_>, Reject> {
    read(line, &envelope::detect(line))
}

/// Reads the message of a line.
///
/// # Errors
/// It is none of amavis's.
pub fn read<'a>(line: &'a [u8], envelope: &Envelope<'a>) -> Result<Event<'a>, Reject> {
    let mut cursor = Cursor::new(line.get(..envelope.end).unwrap_or(line), envelope.start);
    let am_id = am_id(cursor.rest());
    if let Some(am_id) = am_id {
        cursor.skip(am_id.len() + 3);
    }
    let verdict = match () {
        () if cursor.take_text(b"Passed ") => "Passed",
        () if cursor.take_text(b"Blocked ") => "Blocked",
        () if cursor.take_text(b"Not-Delivered ") => "Not-Delivered",
        () => {
            return match known(cursor.rest(), am_id.is_some()) {
                Some(kind) => Ok(Event::Known(kind)),
                None => cursor.reject(Reason::UnknownForm, "verdict"),
            };
        }
    };
    let length = cursor
        .rest()
        .iter()
        .take_while(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || **byte == b'-')
        .count();
    if length == cursor.rest().len() {
        return cursor.reject(Reason::Truncated, "category");
    }
    let category = category(cursor.rest().get(..length).unwrap_or_default());
    cursor.skip(length);
    let names = match cursor.take_text(b" (") {
        // What a scanner found, or names of files, which are the sender's.
        true => names(&mut cursor)?,
        false => b"",
    };
    let mut found = Verdict {
        am_id: am_id.unwrap_or_default(),
        verdict,
        category,
        names,
        actions: b"",
        score: None,
        size: None,
        elapsed_ms: None,
    };
    let has_actions = cursor.take_text(b" {");
    if has_actions {
        found.actions = cursor.until(b'}', "actions")?;
    }
    let mut rest = cursor.rest();
    if let Some(before) = rest.strip_suffix(b" ms") {
        let at = memmem::rfind(before, b", ").map_or(0, |at| at + 2);
        found.elapsed_ms = number(before.get(at..).unwrap_or_default()).filter(|ms| *ms <= MAX_ELAPSED_MS);
        rest = before.get(..at).unwrap_or_default();
    } else if !has_actions {
        return Ok(Event::Known("recipient"));
    }
    if let Some(tail) = behind_hits(rest).filter(|_| found.elapsed_ms.is_some()) {
        let end = tail.iter().position(|byte| matches!(byte, b',' | b' ')).unwrap_or(tail.len());
        found.score = tail.get(..end).and_then(score);
        if let Some(size) = tail.get(end..).and_then(|tail| tail.strip_prefix(b", size: ")) {
            let digits = size.iter().take_while(|byte| byte.is_ascii_digit()).count();
            found.size = size.get(..digits).and_then(number).map(|size| size as i64);
        }
    }
    Ok(Event::Verdict(found))
}

/// What stands behind the last `, Hits: `; where a subject is logged behind it, the last before the subject.
fn behind_hits(text: &[u8]) -> Option<&[u8]> {
    const HITS: &[u8] = b", Hits: ";
    let behind = |text: &[u8]| memmem::rfind(text, HITS).map(|at| at + HITS.len());
    let last = text.get(behind(text)?..)?;
    if !last.contains(&b'"') {
        return Some(last);
    }
    let subject = memmem::find(text, b", Subject: \"")?;
    text.get(behind(text.get(..subject)?)?..)
}

/// `(00045-04) `, `(00045-04-2) `, with whatever names it has had.
fn am_id(text: &[u8]) -> Option<&[u8]> {
    let text = text.strip_prefix(b"(")?;
    let length = memchr::memchr(b')', text.get(..32.min(text.len()))?)?;
    let id = text.get(..length)?;
    let is_id = id.first().is_some_and(u8::is_ascii_alphanumeric)
        && memchr::memchr(b'-', id).is_some()
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    (is_id && text.get(length + 1) == Some(&b' ')).then_some(id)
}

/// Takes names and their closing parenthesis, which is the first that is followed by actions or addresses.
fn names<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], Reject> {
    let rest = cursor.rest();
    for at in memchr::memchr_iter(b')', rest) {
        let behind = rest.get(at + 1..).unwrap_or_default();
        if behind.starts_with(b" {") || behind.starts_with(b", ") {
            cursor.skip(at + 1);
            return Ok(rest.get(..at).unwrap_or_default());
        }
    }
    cursor.reject(Reason::Truncated, "names")
}

fn category(text: &[u8]) -> &'static str {
    let plain = match text {
        [name @ .., b'-', digit] if digit.is_ascii_digit() => name,
        _ => text,
    };
    CATEGORIES.iter().find(|category| category.as_bytes() == plain).copied().unwrap_or("other")
}

/// A score, or the sum of a score and what was added to it: `1.5`, `-`, `1.5+3`.
fn score(text: &[u8]) -> Option<i64> {
    let length = text.iter().skip(1).position(|byte| *byte == b'+').map_or(text.len(), |at| at + 1);
    let (first, more) = (text.get(..length)?, text.get(length..)?);
    let more = if more.is_empty() { 0 } else { thousandths(more)? };
    thousandths(first)?.checked_add(more)
}

fn number(text: &[u8]) -> Option<u64> {
    let is_number = !text.is_empty() && text.len() <= 15 && text.iter().all(u8::is_ascii_digit);
    is_number.then(|| text.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0')))
}

/// The kind of a line that is no verdict.
fn known(text: &[u8], has_id: bool) -> Option<&'static str> {
    const STARTS: [&str; 47] = [
        "starting.",
        "perl=",
        "Net::Server: ",
        "Module ",
        "Amavis::",
        "SpamControl",
        "INFO: ",
        "SANITY",
        "Found ",
        "No ",
        "Using ",
        "Creating ",
        "Valid ",
        "Deleting ",
        "bind ",
        "after_chroot",
        "user=",
        "config files ",
        "Internal decoder",
        "extra modules",
        "Fetch",
        "set_",
        "TIMING",
        "storage ",
        "ANTI-",
        "ClamAV",
        "SA ",
        "SpamAssassin",
        "init ",
        "child ",
        "loaded ",
        "logging ",
        "Requesting ",
        "Lookup::",
        "p0f",
        "DKIM",
        "load: ",
        "switch",
        "exiting",
        "zmq",
        "ZMQ",
        "sd_notify ",
        "socket module ",
        "will bind ",
        "SQL",
        "initializing ",
        "shutting down",
    ];
    match () {
        () if text.starts_with(b"(!)")
            || text.starts_with(b"(!!)")
            || text.starts_with(b"_WARN: ")
            || text.starts_with(b"_DIE: ") =>
        {
            Some("problem")
        }
        () if text.starts_with(b"TIMING") => Some("timing"),
        () if has_id => Some("task"),
        () if STARTS.iter().any(|start| text.starts_with(start.as_bytes())) => Some("server"),
        () => None,
    }
}

impl crate::Event for Event<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Verdict(_) => "verdict",
            Self::Known(kind) => kind,
        }
    }

    fn is_ignored(&self) -> bool {
        matches!(self, Self::Known(_))
    }

    fn visit(&self, see: &mut dyn FnMut(&'static str, Field<'_>)) {
        let Self::Verdict(found) = self else { return };
        see("am_id", Field::text(found.am_id));
        see("verdict", Field::Text(found.verdict.as_bytes()));
        see("category", Field::Text(found.category.as_bytes()));
        see("names", Field::text(found.names));
        see("actions", Field::text(found.actions));
        see("Hits", found.score.map_or(Field::Missing, Field::Thousandths));
        see("size", Field::number(found.size));
        see("elapsed", found.elapsed_ms.map_or(Field::Missing, Field::Seconds));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(message: &str) -> (&'static str, &'static str, Option<i64>, Option<u64>) {
        let line = format!("Feb  1 12:14:14 mx amavis[71]: {message}");
        match parse(line.as_bytes()) {
            Ok(Event::Verdict(found)) => (found.verdict, found.category, found.score, found.elapsed_ms),
            Ok(Event::Known(kind)) => (kind, "", None, None),
            Err(reject) => panic!("{message}: {reject}"),
        }
    }

    #[test]
    fn forged_addresses_and_message_ids_change_nothing() {
        for (message, expected) in [
            (
                "(00045-04) Passed CLEAN {RelayedInbound}, [192.0.2.1] <\"x> -> <y, Hits: 99, size: 1, 7 ms\"@a> -> <b>, Message-ID: \
                 <, Hits: 98, size: 2, 8 ms>, mail_id: X, Hits: -0.5, size: 3, 12 ms",
                ("Passed", "CLEAN", Some(-500), Some(12)),
            ),
            (
                "(00045-04) Blocked BANNED (a) {Accepted}, Hits: 9, 1 ms,x.exe) {BouncedInbound}, <a> -> <b>, Hits: -, size: 9, 21 ms",
                ("Blocked", "BANNED", None, Some(21)),
            ),
            (
                "(00045-04) Passed CLEAN, <a> -> <Blocked SPAM {x}, Hits: 9>, Hits: 1, tag=2, L/Y/0/0",
                ("recipient", "", None, None),
            ),
            ("(00045-04) (!)FWD from <Blocked SPAM {x}, Hits: 9, 1 ms", ("problem", "", None, None)),
        ] {
            assert_eq!(verdict(message), expected, "{message}");
        }
    }

    #[test]
    fn lines_of_older_versions_and_cut_lines() {
        for (message, expected) in [
            (
                "(01-02) Passed BAD-HEADER-2, [192.0.2.1] [192.0.2.2] <a> -> <b>, Message-ID: <c>, mail_id: X, Hits: 1.5+3, size: 7, 90 ms",
                ("Passed", "BAD-HEADER", Some(4500), Some(90)),
            ),
            (
                "(01-02) Passed NEW-THING {Relayed}, <a> -> <b>, Hits: 3.5, size: 1, 2 ms",
                ("Passed", "other", Some(3500), Some(2)),
            ),
            ("(01-02) Blocked SPAM {NoBounceInbound}, [192.0.2.1] <a> -> <b>,<c>...", ("Blocked", "SPAM", None, None)),
        ] {
            assert_eq!(verdict(message), expected, "{message}");
        }
        let reject = parse(b"Feb  1 12:14:14 mx amavis[71]: (01-02) Blocked SPA").unwrap_err();
        assert_eq!((reject.reason, reject.field), (Reason::Truncated, "category"));
    }
}
