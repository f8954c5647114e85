//! Stalwart, the mail server, since 0.9: its text format, with and without colours, on one line or several, and its JSON.
//!
//! ```text
//! 2026-02-01T12:14:14Z INFO Queued message for delivery (queue.queue-message) queueId = 219, from = "a@b.org", to = ["c@d.org"], size = 3746
//! {"id":"1739","createdAt":"2026-02-01T12:14:14Z","type":"auth.failed","data":{"listenerId":"imaptls","remoteIp":"192.0.2.1"}}
//!
//! line   = time " " level " " description " (" id ") " [ pair { ", " pair } ]
//! lines  = time " " level " " description " (" id ")" { newline tab pair }
//! id     = category "." name
//! pair   = key " = " value
//! value  = '"' text '"' | number [ "ms" ] | address | time | word | "[" value { ", " value } "]" | description " (" id ")" [ " { " pair { ", " pair } " }" ]
//! ```
//!
//! Descriptions and ids are of the program's own table; what strangers say is in the values. In older versions quotes inside a text
//! stand as they are, and a session's keys come first, even if the event has them too; later ones are escaped, and each key
//! comes once. How the level of an event is called in JSON is not written there: the program has it from its configuration.

mod text;

use crate::json::{self, Members};
use crate::{Envelope, Field, Reason, Reject, envelope};

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Something happened.
    Logged(Logged<'a>),
    /// Known, and nothing to count: the second and later lines of an event (`continuation`), and `blank` ones.
    Known(&'static str),
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logged<'a> {
    /// One of [`LEVELS`], in lower case; `none` where the line has none.
    pub level: &'static str,
    /// What it is called: `category.name`, in lower-case letters, digits and hyphens, at most [`MAX_ID`] bytes.
    pub event: &'a [u8],
    /// The listener that the client came by, as the configuration calls it.
    pub listener_id: &'a [u8],
    /// The message in the queue.
    pub queue_id: &'a [u8],
    /// The reply's code, or another.
    pub code: Option<u64>,
    /// A size in bytes: the message's, in events of the queue.
    pub size: Option<u64>,
    /// How long it took, in milliseconds.
    pub elapsed_ms: Option<u64>,
}

/// The levels: as they are written, and as they are called here.
pub const LEVELS: [(&str, &str); 5] =
    [("ERROR", "error"), ("WARN", "warn"), ("INFO", "info"), ("DEBUG", "debug"), ("TRACE", "trace")];

/// Longest id of an event, in bytes.
pub const MAX_ID: usize = 64;

/// Largest number that is believed: beyond it there is neither a message's size nor a time.
const MAX: u64 = 1 << 48;

/// True when `program` is Stalwart.
pub fn is_program(program: &[u8]) -> bool {
    program == b"stalwart" || program.starts_with(b"stalwart-")
}

/// Finds the envelope: that of the program's own files, which is the time, or what syslog and its kin put before it.
pub fn envelope(line: &[u8]) -> Envelope<'_> {
    if let [b'{' | b'\t', ..] = line {
        return Envelope { end: without_return(line), ..Envelope::none(line) };
    }
    text::envelope(line).unwrap_or_else(|| envelope::detect(line))
}

/// Length of `line` without the `\r` at its end.
fn without_return(line: &[u8]) -> usize {
    line.len() - usize::from(line.last() == Some(&b'\r'))
}

/// Reads a whole line.
///
/// # Errors
/// It is none of Stalwart's.
pub fn parse(line: &[u8]) -> Result<Event<'_>, Reject> {
    read(line, &envelope(line))
}

/// Reads the message of a line.
///
/// # Errors
/// It is none of Stalwart's.
pub fn read<'a>(line: &'a [u8], envelope: &Envelope<'a>) -> Result<Event<'a>, Reject> {
    let line = line.get(..envelope.end).unwrap_or(line);
    match line.get(envelope.start..).unwrap_or_default() {
        [] if envelope.timestamp.is_empty() || !envelope.program.is_empty() => Ok(Event::Known("blank")),
        // Relays of syslog write `#011` for a tab.
        [b'\t', ..] | [b'#', b'0', b'1', b'1', ..] => Ok(Event::Known("continuation")),
        [b'{', ..] => object(line, envelope.start).map(Event::Logged),
        _ => text::read(line, envelope.start).map(Event::Logged),
    }
}

/// Length of the event's id at the start of `text`, if there is one.
fn id_length(text: &[u8]) -> Option<usize> {
    let is_part = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    let part = |text: &[u8]| text.iter().take(MAX_ID).take_while(|byte| is_part(byte)).count();
    let category = part(text);
    let name = part(text.get(category..)?.strip_prefix(b".")?);
    let length = category + 1 + name;
    (category > 0 && name > 0 && length <= MAX_ID).then_some(length)
}

/// Reads the JSON object at offset `at` of `line`.
fn object(line: &[u8], at: usize) -> Result<Logged<'_>, Reject> {
    let mut found = Logged::new("none", b"");
    let mut members = Members::at(line, at);
    for member in &mut members {
        let member = match member {
            Ok(member) => member,
            // What is cut from there on is no loss.
            Err((Reason::Truncated, _)) if !found.event.is_empty() => return Ok(found),
            Err((reason, offset)) => return Err(Reject { reason, field: "type", offset }),
        };
        if member.is("type") {
            let event = member.text().unwrap_or_default();
            if id_length(event) != Some(event.len()) {
                let reason = if member.is_whole { Reason::Grammar } else { Reason::Truncated };
                return Err(Reject { reason, field: "type", offset: member.at });
            }
            found.event = event;
        } else if member.is("level") {
            let is_it = |level: &[u8], word: &str| json::is_word(level, word.as_bytes());
            let level = member.text().unwrap_or_default();
            let known = LEVELS.iter().find(|(upper, lower)| is_it(level, upper) || is_it(level, lower));
            found.level = known.map_or("none", |(_, level)| level);
        } else if member.is("data") {
            // The event's own keys come before those of its session.
            for member in Members::at(member.value, 0).flatten() {
                let text = member.text().unwrap_or_default();
                let number = || member.thousandths().and_then(|number| u64::try_from(number / 1000).ok());
                found.put(|key| member.is(key), text, number);
            }
        }
    }
    if found.event.is_empty() {
        return Err(Reject { reason: Reason::UnknownForm, field: "type", offset: at });
    }
    let rest = line.get(members.offset()..).unwrap_or_default();
    if !rest.trim_ascii().is_empty() {
        return Err(Reject { reason: Reason::Delimiter, field: "data", offset: members.offset() });
    }
    Ok(found)
}

impl<'a> Logged<'a> {
    const fn new(level: &'static str, event: &'a [u8]) -> Self {
        Self { level, event, listener_id: b"", queue_id: b"", code: None, size: None, elapsed_ms: None }
    }

    /// Takes the value of a key, unless there has been one: as text, and as a number.
    fn put(&mut self, is: impl Fn(&str) -> bool, text: &'a [u8], number: impl Fn() -> Option<u64>) {
        let number = || number().filter(|number| *number <= MAX);
        if self.size.is_none() && is("size") {
            self.size = number();
        } else if self.elapsed_ms.is_none() && is("elapsed") {
            self.elapsed_ms = number();
        } else if self.code.is_none() && is("code") {
            self.code = number();
        } else if self.queue_id.is_empty() && is("queueId") {
            self.queue_id = text;
        } else if self.listener_id.is_empty() && is("listenerId") {
            self.listener_id = text;
        }
    }
}

impl crate::Event for Event<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Logged(_) => "event",
            Self::Known(kind) => kind,
        }
    }

    fn is_ignored(&self) -> bool {
        matches!(self, Self::Known(_))
    }

    fn visit(&self, see: &mut dyn FnMut(&'static str, Field<'_>)) {
        let Self::Logged(logged) = self else { return };
        // All numbers are below `MAX`.
        let number = |number: Option<u64>| number.map_or(Field::Missing, |number| Field::Number(number as i64));
        see("level", Field::Text(logged.level.as_bytes()));
        see("event", Field::text(logged.event));
        see("listenerId", Field::text(logged.listener_id));
        see("queueId", Field::text(logged.queue_id));
        see("code", number(logged.code));
        see("size", number(logged.size));
        see("elapsed", logged.elapsed_ms.map_or(Field::Missing, Field::Seconds));
    }
}
