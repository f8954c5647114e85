//! spamd, the server of SpamAssassin.
//!
//! ```text
//! Sat Nov 21 19:17:55 2026 [38] info: spamd: result: Y 7 - GTUBE,NO_RECEIVED scantime=0.1,size=271,user=bob,…    its own file
//! Feb  1 12:14:14 mx1 spamd[38]: spamd: result: . 0 - NO_RELAYS scantime=0.1,size=215,user=alice,uid=65534,…,mid=<…>
//!
//! line   = [ facility ": " ] text
//! result = [ "spamd: " ] "result: " ( "Y" | "." ) score " - " rules " scantime=" seconds ",size=" bytes ",user=" name …
//! ```
//!
//! A message has a line when it comes, one with its score and one with its result; that one counts. Names of users and
//! message ids stand behind what counts.

use crate::cursor::{Cursor, thousandths};
use crate::{Envelope, Field, Reason, Reject, envelope};

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A message was judged.
    Verdict(Verdict<'a>),
    /// Known, and nothing to count: a word for its kind.
    Known(&'static str),
}

/// A message was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// True for spam.
    pub is_spam: bool,
    /// Score in thousandths; the line has whole points.
    pub score: i64,
    /// Names of the rules that matched, with commas between them.
    pub rules: &'a [u8],
    /// How long that took, in milliseconds; the line has tenths of seconds.
    pub scan_ms: u64,
    /// Size of the message in bytes, unless the line is cut.
    pub size: Option<i64>,
    /// The user for whom the message was judged.
    pub user: &'a [u8],
    /// Score from which on a message is spam, in thousandths.
    pub required_score: Option<i64>,
}

/// Longest time of a scan: a day.
const MAX_SCAN_MS: i64 = 86_400_000;

/// True when `program` is spamd.
pub fn is_program(program: &[u8]) -> bool {
    program == b"spamd"
}

/// Finds the envelope: that of spamd's own file, or syslog's.
pub fn envelope(line: &[u8]) -> Envelope<'_> {
    own_envelope(line).unwrap_or_else(|| envelope::detect(line))
}

/// `Sat Nov 21 19:17:55 2026 [38] info: `
fn own_envelope(line: &[u8]) -> Option<Envelope<'_>> {
    const LEVELS: [&[u8]; 5] = [b"info: ", b"warn: ", b"error: ", b"dbg: ", b"notice: "];
    let is_time = envelope::month(line.get(4..7)?).is_some()
        && (envelope::has_shape(line.get(10..)?, b" 00:00:00 0000 [")
            || envelope::has_shape(line.get(9..)?, b" 00:00:00 0000 ["));
    let open = memchr::memchr(b'[', line).filter(|open| is_time && (24..27).contains(open))?;
    let digits = line.get(open + 1..)?.iter().take(9).take_while(|byte| byte.is_ascii_digit()).count();
    let pid = line.get(open + 1..open + 1 + digits)?.iter().fold(0, |pid, digit| pid * 10 + u32::from(digit - b'0'));
    let text = line.get(open + 1 + digits..)?.strip_prefix(b"] ")?;
    let level = LEVELS.iter().find(|level| text.starts_with(level))?;
    Some(Envelope {
        timestamp: line.get(..open - 1)?,
        program: b"spamd",
        pid: Some(pid),
        start: open + digits + 3 + level.len(),
        ..Envelope::none(line)
    })
}

/// Reads a whole line.
///
/// # Errors
/// It is none of spamd's.
pub fn parse(line: &[u8]) -> Result<Event<'_>, Reject> {
    read(line, &envelope(line))
}

/// Reads the message of a line.
///
/// # Errors
/// It is none of spamd's.
pub fn read<'a>(line: &'a [u8], envelope: &Envelope<'a>) -> Result<Event<'a>, Reject> {
    let mut cursor = Cursor::new(line.get(..envelope.end).unwrap_or(line), envelope.start);
    let is_named = cursor.take_text(b"spamd: ");
    if !cursor.take_text(b"result: ") {
        return match known(cursor.rest(), is_named) {
            Some(kind) => Ok(Event::Known(kind)),
            None => cursor.reject(Reason::UnknownForm, "facility"),
        };
    }
    let is_spam = match cursor.until(b' ', "result")? {
        b"Y" => true,
        b"." => false,
        _ => return cursor.reject(Reason::Grammar, "result"),
    };
    while cursor.take(b' ') {}
    let at = cursor;
    let Some(score) = thousandths(cursor.until(b' ', "score")?) else { return at.reject(Reason::Number, "score") };
    cursor.expect_text(b"- ", "rules")?;
    let rules = cursor.until(b' ', "rules")?;
    cursor.expect_text(b"scantime=", "scantime")?;
    let at = cursor;
    let rest = cursor.rest();
    let length = memchr::memchr(b',', rest).unwrap_or(rest.len());
    cursor.skip(length);
    let scan_ms = match rest.get(..length).and_then(thousandths) {
        Some(ms @ 0..=MAX_SCAN_MS) => ms as u64,
        Some(_) => return at.reject(Reason::Range, "scantime"),
        None if length == 0 => return at.reject(Reason::Truncated, "scantime"),
        None => return at.reject(Reason::Number, "scantime"),
    };
    let mut verdict = Verdict { is_spam, score, rules, scan_ms, size: None, user: b"", required_score: None };
    // What is cut from here on is no loss.
    if cursor.take_text(b",size=") {
        verdict.size = cursor.number(1 << 50, "size").ok().map(|size| size as i64);
    }
    if cursor.take_text(b",user=") {
        verdict.user = cursor.take_until(b",uid=").unwrap_or_default();
    }
    if cursor.take_until(b",required_score=").is_some() {
        let end = memchr::memchr(b',', cursor.rest()).unwrap_or(cursor.rest().len());
        verdict.required_score = cursor.rest().get(..end).and_then(thousandths);
    }
    Ok(Event::Verdict(verdict))
}

/// The kind of a line that is no result.
fn known(text: &[u8], is_named: bool) -> Option<&'static str> {
    const OF_SPAMD: [(&[u8], &str); 10] = [
        (b"clean message ", "score"),
        (b"identified spam ", "score"),
        (b"processing message ", "message"),
        (b"checking message ", "message"),
        (b"skipped large message ", "message"),
        (b"connection from ", "connection"),
        (b"got connection ", "connection"),
        (b"server ", "server"),
        (b"child ", "server"),
        (b"handled cleanup ", "server"),
    ];
    const FACILITIES: [&str; 24] = [
        "archive-iterator",
        "async",
        "auto-whitelist",
        "bayes",
        "check",
        "config",
        "diag",
        "dns",
        "generic",
        "info",
        "internal",
        "learn",
        "locker",
        "logger",
        "message",
        "metadata",
        "netset",
        "plugin",
        "prefork",
        "rules",
        "spf",
        "timing",
        "util",
        "warn",
    ];
    if let Some((_, kind)) = OF_SPAMD.iter().find(|(start, _)| text.starts_with(start)) {
        return Some(kind);
    }
    let length = memchr::memchr(b':', text).unwrap_or_default();
    let facility = text.get(..length).unwrap_or_default();
    if let Some(facility) = FACILITIES.iter().find(|name| name.as_bytes() == facility) {
        return Some(facility);
    }
    // Plugins name themselves; Perl's own complaints say where they come from.
    let is_facility =
        length > 0 && facility.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    let is_perls = memchr::memmem::find(text, b" at /").is_some() && memchr::memmem::find(text, b" line ").is_some();
    match is_named {
        true => Some("spamd"),
        false if is_facility && text.get(length + 1) == Some(&b' ') => Some("plugin"),
        false => is_perls.then_some("perl"),
    }
}

impl crate::Event for Event<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Verdict(_) => "result",
            Self::Known(kind) => kind,
        }
    }

    fn is_ignored(&self) -> bool {
        matches!(self, Self::Known(_))
    }

    fn visit(&self, see: &mut dyn FnMut(&'static str, Field<'_>)) {
        let Self::Verdict(verdict) = self else { return };
        see("is_spam", Field::Truth(verdict.is_spam));
        see("score", Field::Thousandths(verdict.score));
        see("rules", Field::text(verdict.rules));
        see("scantime", Field::Seconds(verdict.scan_ms));
        see("size", Field::number(verdict.size));
        see("user", Field::text(verdict.user));
        see("required_score", verdict.required_score.map_or(Field::Missing, Field::Thousandths));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(line: &str) -> Verdict<'_> {
        match parse(line.as_bytes()) {
            Ok(Event::Verdict(verdict)) => verdict,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn results_are_read_in_either_log_with_and_without_their_name() {
        for line in [
            "Feb  1 12:14:14 mx spamd[71]: spamd: result: Y 22 - GTUBE,URIBL scantime=0.4,size=99,user=a,uid=1,required_score=5.0",
            "Feb  1 12:14:14 mx spamd[71]: result: Y 22 - GTUBE,URIBL scantime=0.4,size=99,user=a,uid=1,required_score=5.0",
            "Sun Feb  1 12:14:14 2026 [71] info: spamd: result: Y 22 - GTUBE,URIBL scantime=0.4,size=99,user=a,uid=1,required_score=5.0",
        ] {
            let found = verdict(line);
            assert!(found.is_spam, "{line}");
            assert_eq!((found.score, found.scan_ms, found.size), (22_000, 400, Some(99)), "{line}");
            assert_eq!((found.rules, found.user), (&b"GTUBE,URIBL"[..], &b"a"[..]), "{line}");
            assert_eq!(found.required_score, Some(5000), "{line}");
            assert_eq!(envelope(line.as_bytes()).pid, Some(71), "{line}");
        }
    }

    #[test]
    fn forged_users_and_message_ids_change_nothing() {
        let found = verdict(
            "Feb  1 12:14:14 mx spamd[71]: spamd: result: .  -3 -  scantime=1.5,size=9,user=x result: Y 99 - A scantime=9,\
             size=1,uid=1,required_score=5.0,mid=<result: Y 99 - B scantime=99.9,size=7>",
        );
        assert_eq!((found.is_spam, found.score, found.scan_ms, found.size), (false, -3000, 1500, Some(9)));
        let line = b"Feb  1 12:14:14 mx spamd[71]: spamd: processing message <result: Y 99 - A scantime=9> for a:1";
        assert_eq!(parse(line), Ok(Event::Known("message")));
    }

    #[test]
    fn a_cut_line_counts_if_its_time_is_there() {
        let line = "Feb  1 12:14:14 mx spamd[71]: result: Y 22 - GTUBE scantime=0.4,siz";
        assert_eq!(verdict(line).size, None);
        let reject = parse(b"Feb  1 12:14:14 mx spamd[71]: result: Y 22 - GTUBE scanti").unwrap_err();
        assert_eq!((reject.reason, reject.field), (Reason::Truncated, "scantime"));
    }
}
