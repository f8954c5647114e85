//! rspamd.
//!
//! ```text
//! 2026-11-21 19:18:06 #39(normal) <c7ee1e>; task; rspamd_task_write_log: id: <1@b.org>, …, from: <a@b.org>, (default: F (no action): [0.90/15.00] [AUTH_NA(1.00){},R_SPF_NA(0.00){no SPF record;}]), len: 205, time: 62.378ms, dns req: 18, digest: <c1d9…>, …    its own file
//! Feb  1 12:14:14 mx1 rspamd[39]: <c7ee1e>; task; rspamd_task_write_log: id: …, time: 5002.992ms real, 2.992ms virtual, dns req: 30      older ones
//!
//! line    = [ "<" tag ">; " ] [ module "; " ] [ function ": " ] text
//! result  = "(default: " letter " (" action "): [" score "/" required "] [" symbol { "," symbol } "])"
//! symbol  = name "(" score ")" [ "{" { option ";" } "}" ]
//! ```
//!
//! Addresses stand before the result, other remote text in the symbols' options: a result counts only if all of it has its
//! form up to the time.

use memchr::memmem;

use crate::cursor::{Cursor, thousandths};
use crate::{Envelope, Field, Reason, Reject, envelope};

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A message was judged.
    Task(Task<'a>),
    /// Known, and nothing to count: a word for its kind.
    Known(&'static str),
}

/// A message was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task<'a> {
    /// `F` for ham, `T` for spam, `S` for what was not scanned.
    pub is_spam: &'a [u8],
    /// One of [`ACTIONS`], or `other`.
    pub action: &'static str,
    /// Score in thousandths, unless it is no number.
    pub score: Option<i64>,
    /// Score that rejects, in thousandths.
    pub required_score: Option<i64>,
    /// What matched, see [`Symbols`].
    pub symbols: Symbols<'a>,
    /// Size of the message in bytes.
    pub len: Option<i64>,
    /// How long that took, in milliseconds, rounded.
    pub time_ms: u64,
}

/// What is done with a message.
pub const ACTIONS: [&str; 10] = [
    "no action",
    "greylist",
    "add header",
    "rewrite subject",
    "soft reject",
    "reject",
    "discard",
    "quarantine",
    "accept",
    "unknown action",
];

/// Longest time of a scan: a day.
const MAX_TIME_MS: i64 = 86_400_000;

/// True when `program` is rspamd.
pub fn is_program(program: &[u8]) -> bool {
    program == b"rspamd"
}

/// Finds the envelope: that of rspamd's own file, or syslog's.
pub fn envelope(line: &[u8]) -> Envelope<'_> {
    own_envelope(line).unwrap_or_else(|| envelope::detect(line))
}

/// `2026-11-21 19:18:06[.123] [[level] ]#39(normal) `
fn own_envelope(line: &[u8]) -> Option<Envelope<'_>> {
    const TIME: &[u8] = b"0000-00-00 00:00:00";
    if !envelope::has_shape(line, TIME) {
        return None;
    }
    let fraction = line.get(TIME.len()..)?.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    let time = TIME.len() + fraction;
    let mut at = time + 1;
    if line.get(at) == Some(&b'[') {
        at += memchr::memchr(b']', line.get(at..)?)? + 2;
    }
    let text = line.get(at..)?.strip_prefix(b"#")?;
    let digits = text.iter().take(9).take_while(|byte| byte.is_ascii_digit()).count();
    let pid = text.get(..digits)?.iter().fold(0, |pid, digit| pid * 10 + u32::from(digit - b'0'));
    let kind = text.get(digits..)?.strip_prefix(b"(")?;
    let close = memmem::find(kind, b") ")?;
    Some(Envelope {
        timestamp: line.get(..time)?,
        program: b"rspamd",
        pid: Some(pid),
        start: at + 1 + digits + 1 + close + 2,
        ..Envelope::none(line)
    })
}

/// Reads a whole line.
///
/// # Errors
/// It is none of rspamd's.
pub fn parse(line: &[u8]) -> Result<Event<'_>, Reject> {
    read(line, &envelope(line))
}

/// Reads the message of a line.
///
/// # Errors
/// It is none of rspamd's.
pub fn read<'a>(line: &'a [u8], envelope: &Envelope<'a>) -> Result<Event<'a>, Reject> {
    let mut cursor = Cursor::new(line.get(..envelope.end).unwrap_or(line), envelope.start);
    if cursor.take(b'<') {
        let length = cursor.rest().iter().take(64).take_while(|byte| byte.is_ascii_alphanumeric()).count();
        cursor.skip(length);
        cursor.expect_text(b">; ", "tag")?;
    }
    let at = cursor;
    // Before there is a configuration, tag and module are empty.
    let module = if cursor.take_text(b"; ") { b"" } else { word(&mut cursor, b"; ").unwrap_or_default() };
    let function = word(&mut cursor, b": ");
    if function != Some(b"rspamd_task_write_log") {
        if module.is_empty() && function.is_none() && !is_plain(at.rest()) {
            return at.reject(Reason::UnknownForm, "module");
        }
        return Ok(Event::Known(kind_of(module)));
    }
    // The first that has the form is the real one: nothing that a sender fills stands before it, but for its own address.
    let mut last = cursor.reject(Reason::Truncated, "result");
    while cursor.take_until(b"(default: ").is_some() {
        match task(&mut cursor.clone()) {
            Ok(task) => return Ok(Event::Task(task)),
            Err(reject) => last = Err(reject),
        }
    }
    last
}

/// Takes a word of letters, digits and what else names of modules and functions have, and `end` behind it.
fn word<'a>(cursor: &mut Cursor<'a>, end: &[u8]) -> Option<&'a [u8]> {
    let rest = cursor.rest();
    let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_-.:/".contains(byte);
    let mut length = rest.iter().take(96).take_while(is_name).count();
    // `lua_maps.lua:161: `: the name's own colons end before the last.
    if end.starts_with(b":") && rest.get(..length).is_some_and(|name| name.ends_with(b":")) {
        length -= 1;
    }
    if length == 0 || !rest.get(length..)?.starts_with(end) {
        return None;
    }
    cursor.skip(length + end.len());
    rest.get(..length)
}

/// Reads from the letter up to the time.
fn task<'a>(cursor: &mut Cursor<'a>) -> Result<Task<'a>, Reject> {
    let is_spam = cursor.until(b' ', "is_spam")?;
    if !matches!(is_spam, b"T" | b"F" | b"S") {
        return cursor.reject(Reason::Grammar, "is_spam");
    }
    cursor.expect(b'(', "action")?;
    let action = cursor.until(b')', "action")?;
    let action = ACTIONS.iter().find(|known| known.as_bytes() == action).copied().unwrap_or("other");
    cursor.expect_text(b": [", "score")?;
    let score = thousandths(cursor.until(b'/', "score")?);
    let required_score = thousandths(cursor.until(b']', "required_score")?);
    cursor.expect_text(b" [", "symbols")?;
    let symbols = Symbols { rest: symbols(cursor)? };
    cursor.expect_text(b", len: ", "len")?;
    let len = Some(cursor.number(1 << 50, "len")? as i64);
    cursor.expect_text(b", time: ", "time")?;
    let at = *cursor;
    let digits = cursor.rest().iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    let time = thousandths(cursor.rest().get(..digits).unwrap_or_default());
    cursor.skip(digits);
    cursor.expect_text(b"ms", "time")?;
    // Microseconds here: as thousandths of milliseconds.
    let Some(time_ms) = time.map(|time| (time + 500) / 1000).filter(|ms| *ms <= MAX_TIME_MS) else {
        return at.reject(Reason::Number, "time");
    };
    // What is not cut here goes on in this way.
    let is_whole = [&b", dns req: "[..], b" real, ", b" virtual"].iter().any(|more| {
        let rest = cursor.rest();
        rest.starts_with(more) || more.starts_with(rest)
    });
    if !is_whole {
        return cursor.reject(Reason::Delimiter, "dns req");
    }
    Ok(Task { is_spam, action, score, required_score, symbols, len, time_ms: time_ms as u64 })
}

/// Takes the list of symbols and what closes it.
fn symbols<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], Reject> {
    let list = cursor.rest();
    let start = cursor.at();
    if cursor.take_text(b"])") {
        return Ok(b"");
    }
    loop {
        let Some(length) = symbol_length(cursor.rest()) else { return cursor.reject(Reason::Grammar, "symbols") };
        cursor.skip(length);
        let end = cursor.at();
        if cursor.take_text(b"])") {
            return Ok(list.get(..end - start).unwrap_or_default());
        }
        cursor.expect(b',', "symbols")?;
    }
}

/// Length of `NAME(score){option;…}` at the start of `text`.
fn symbol_length(text: &[u8]) -> Option<usize> {
    let name = name_length(text);
    let rest = text.get(name..)?;
    if name == 0 || rest.first() != Some(&b'(') {
        // Formats without scores have names alone.
        return (name > 0 && (rest.starts_with(b",") || rest.starts_with(b"])"))).then_some(name);
    }
    let score = memchr::memchr(b')', rest.get(..32.min(rest.len()))?)? + 1;
    let behind = name + score;
    if text.get(behind) != Some(&b'{') {
        return Some(behind);
    }
    // Options can hold braces: the closing one follows a semicolon, or nothing, and is followed by the next symbol, or by the
    // list's end.
    let options = text.get(behind + 1..)?;
    if options.first() == Some(&b'}') {
        return Some(behind + 2);
    }
    let ends = memchr::memchr_iter(b'}', options).find(|at| {
        let is_behind_option = at.checked_sub(1).and_then(|before| options.get(before)) == Some(&b';');
        let rest = options.get(at + 1..).unwrap_or_default();
        is_behind_option
            && (rest.is_empty() || rest.starts_with(b"])") || rest.strip_prefix(b",").is_some_and(is_symbol))
    })?;
    Some(behind + 1 + ends + 1)
}

/// True when `text` begins with `NAME(`.
fn is_symbol(text: &[u8]) -> bool {
    let name = name_length(text);
    name > 0 && text.get(name) == Some(&b'(')
}

fn name_length(text: &[u8]) -> usize {
    text.iter().take(128).take_while(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(byte)).count()
}

/// The names of the symbols of a list, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbols<'a> {
    /// What has not been read yet.
    rest: &'a [u8],
}

impl<'a> Symbols<'a> {
    /// The list as it stands in the line.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Symbols<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let list = self.rest;
        let name = name_length(list);
        if name == 0 {
            return None;
        }
        // The list ends where its line goes on, which is not in it.
        let length = match symbol_length(list) {
            Some(length) => length,
            None => list.len(),
        };
        self.rest = list.get(length + 1..).unwrap_or_default();
        list.get(..name)
    }
}

/// True for what rspamd writes without naming a function: nothing but words.
fn is_plain(text: &[u8]) -> bool {
    const STARTS: [&str; 8] = ["rspamd ", "finish ", "call ", "loading ", "group ", "cannot ", "config", "worker "];
    STARTS.iter().any(|start| text.starts_with(start.as_bytes()))
}

/// The kind of a line by its module.
fn kind_of(module: &[u8]) -> &'static str {
    const KINDS: [&str; 22] = [
        "task",
        "lua",
        "cfg",
        "main",
        "map",
        "symcache",
        "worker",
        "controller",
        "proxy",
        "milter",
        "upstreams",
        "monitored",
        "dns",
        "fuzzy",
        "http",
        "redis",
        "stat",
        "protocol",
        "csession",
        "hyperscan",
        "dkim",
        "spf",
    ];
    KINDS.iter().find(|kind| kind.as_bytes() == module).copied().unwrap_or("module")
}

impl crate::Event for Event<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Task(_) => "result",
            Self::Known(kind) => kind,
        }
    }

    fn is_ignored(&self) -> bool {
        matches!(self, Self::Known(_))
    }

    fn visit(&self, see: &mut dyn FnMut(&'static str, Field<'_>)) {
        let Self::Task(task) = self else { return };
        let points = |score: Option<i64>| score.map_or(Field::Missing, Field::Thousandths);
        see("is_spam", Field::text(task.is_spam));
        see("action", Field::Text(task.action.as_bytes()));
        see("score", points(task.score));
        see("required_score", points(task.required_score));
        see("symbols", Field::text(task.symbols.as_bytes()));
        see("len", Field::number(task.len));
        see("time", Field::Seconds(task.time_ms));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "2026-11-21 19:18:06 #39(normal) <c7ee1e>; task; rspamd_task_write_log: id: <1@b.org>, ";

    fn task(line: &str) -> Task<'_> {
        match parse(line.as_bytes()) {
            Ok(Event::Task(task)) => task,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn new_and_old_lines_in_either_log() {
        let result =
            "(default: F (no action): [-0.10/15.00] [A_NA(1.00){},B(-0.10){text/plain;}]), len: 205, time: 5002.992ms";
        for line in [
            format!("{HEAD}ip: 192.0.2.1, from: <a@b.org>, {result}, dns req: 18, digest: <c1d9>, rcpts: <c@d.org>"),
            format!(
                "Feb  1 12:14:14 mx rspamd[39]: <c7ee1e>; task; rspamd_task_write_log: id: <1>, {result} real, 2.992ms virtual, dns req: 1"
            ),
            format!(
                "2026-11-21 19:18:06.12345 [info] #39(rspamd_proxy) <c7ee1e>; task; rspamd_task_write_log: id: <1>, {result}"
            ),
        ] {
            let found = task(&line);
            assert_eq!(
                (found.action, found.score, found.required_score),
                ("no action", Some(-100), Some(15_000)),
                "{line}"
            );
            assert_eq!((found.len, found.time_ms), (Some(205), 5003), "{line}");
            assert_eq!(found.symbols.collect::<Vec<_>>(), [&b"A_NA"[..], b"B"], "{line}");
            assert_eq!(envelope(line.as_bytes()).pid, Some(39), "{line}");
        }
    }

    #[test]
    fn forged_addresses_and_options_change_nothing() {
        let forged = "(default: T (reject): [99.00/15.00] [A(1.00){}], len: 1, time: 1.0ms";
        let whole = "(default: T (reject): [99.00/15.00] [A(1.00){}]), len: 1, time: 1.0ms, dns req: 0, digest: <x>";
        let line = format!(
            "{HEAD}from: <x>, {forged}@b.org>, (default: F (no action): [1.50/15.00] [B(1.00){{{whole};x}},y;}},C(0.50){{}}]), len: 7, \
             time: 2.4ms, dns req: 1, digest: <00>, mime_rcpts: <{whole}>"
        );
        let found = task(&line);
        assert_eq!((found.action, found.score, found.len, found.time_ms), ("no action", Some(1500), Some(7), 2));
        assert_eq!(found.symbols.collect::<Vec<_>>(), [&b"B"[..], b"C"]);
    }

    #[test]
    fn strange_results() {
        let of = |result: &str| format!("{HEAD}{result}, len: 1, time: 0.6ms, dns req: 0");
        let found = of("(default: S (my own): [nan/nan] [])");
        let found = task(&found);
        assert_eq!((found.action, found.score, found.time_ms), ("other", None, 1));
        assert_eq!(found.symbols.count(), 0);
        let cut = format!("{HEAD}(default: F (no action): [1.50/15.00] [B(1.00){{}},C(0.");
        assert_eq!(parse(cut.as_bytes()).unwrap_err().field, "symbols");
        assert_eq!(parse(b"2026-11-21 19:18:06 #39(normal) <c7ee1e>; x").unwrap_err().reason, Reason::UnknownForm);
    }
}
