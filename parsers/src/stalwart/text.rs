//! Stalwart's text format.
//!
//! A text that strangers choose may hold quotes, and in older versions they are not escaped. A quote ends a text only where structure
//! follows: the line's end, the next pair, the end of a list or of a nested event. What imitates even that is worth less than what
//! comes later in the line, where the program writes its own numbers; and nothing but the program's own number can be the line's end.

use super::{LEVELS, Logged, id_length, without_return};
use crate::cursor::Cursor;
use crate::envelope::has_shape;
use crate::{Envelope, Reason, Reject};

/// The time, to the second.
const TIME: &[u8] = b"0000-00-00T00:00:00Z";

/// Longest description of an event, in bytes: twice what the program has.
const MAX_DESCRIPTION: usize = 128;

/// Longest key, in bytes: twice what the program has.
const MAX_KEY: usize = 32;

/// Deepest nested event that is read.
const MAX_DEPTH: usize = 8;

/// The envelope of a line that begins with the program's own time and a level.
pub(super) fn envelope(line: &[u8]) -> Option<Envelope<'_>> {
    let at = colour(line);
    let timestamp = line.get(at..at + TIME.len()).filter(|text| has_shape(text, TIME))?;
    let behind = at + TIME.len();
    let space = behind + colour(line.get(behind..)?);
    let start = space + 1;
    let rest = line.get(start..)?;
    let is_own = line.get(space) == Some(&b' ') && level(rest.get(colour(rest)..)?).is_some();
    let end = without_return(line);
    is_own.then(|| Envelope { timestamp, timestamp_start: at, start, end, ..Envelope::none(line) })
}

/// Reads the message at offset `start` of `line`.
pub(super) fn read(line: &[u8], start: usize) -> Result<Logged<'_>, Reject> {
    let mut cursor = Cursor::new(line, start);
    skip_colour(&mut cursor);
    if has_shape(cursor.rest(), TIME) {
        cursor.skip(TIME.len());
        skip_colour(&mut cursor);
        cursor.expect(b' ', "level")?;
        skip_colour(&mut cursor);
    }
    let Some((written, level)) = level(cursor.rest()) else {
        return cursor.reject(Reason::UnknownForm, "level");
    };
    cursor.skip(written.len());
    skip_colour(&mut cursor);
    cursor.expect(b' ', "event")?;
    let event = event(&mut cursor)?;
    let mut found = Logged::new(level, event);
    if cursor.take(b' ') {
        let keys = cursor.rest();
        pairs(cursor, &mut found);
        found.elapsed_ms = last_elapsed(keys).or(found.elapsed_ms);
    }
    Ok(found)
}

/// Length of the colour's escape sequence at the start of `text`: `ESC [ 32;1 m`.
fn colour(text: &[u8]) -> usize {
    let Some(rest) = text.strip_prefix(b"\x1b[") else { return 0 };
    let digits = rest.iter().take(8).take_while(|byte| byte.is_ascii_digit() || **byte == b';').count();
    if rest.get(digits) == Some(&b'm') { digits + 3 } else { 0 }
}

fn skip_colour(cursor: &mut Cursor<'_>) {
    cursor.skip(colour(cursor.rest()));
}

/// The level at the start of `text`, as it is written and as it is called.
fn level(text: &[u8]) -> Option<(&'static str, &'static str)> {
    LEVELS.into_iter().find(|(written, _)| {
        text.strip_prefix(written.as_bytes()).is_some_and(|rest| rest.starts_with(b" ") || rest.starts_with(b"\x1b["))
    })
}

/// Takes the description and the id behind it.
fn event<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], Reject> {
    let rest = cursor.rest();
    // Where pairs may have begun.
    let foreign = rest.iter().take(MAX_DESCRIPTION).position(|byte| matches!(byte, b'=' | b'"'));
    let limit = foreign.unwrap_or(rest.len().min(MAX_DESCRIPTION));
    let description = rest.get(..limit).unwrap_or_default();
    // Some descriptions have parentheses of their own.
    for open in memchr::memmem::find_iter(description, b" (") {
        let Some(id) = rest.get(open + 2..) else { continue };
        if let Some(length) = id_length(id)
            && id.get(length) == Some(&b')')
        {
            cursor.skip(open + 2 + length + 1);
            return Ok(id.get(..length).unwrap_or_default());
        }
    }
    let is_cut = limit == rest.len() && !rest.contains(&b')');
    if is_cut {
        cursor.skip(rest.len());
    }
    cursor.reject(if is_cut { Reason::Truncated } else { Reason::UnknownForm }, "event")
}

/// Reads the pairs up to the line's end, or to where they are cut. Of a key that comes twice, the later one counts: first come those of
/// the session, then the event's own.
fn pairs<'a>(mut cursor: Cursor<'a>, found: &mut Logged<'a>) {
    // How many nested events are open; their pairs are not the event's own.
    let mut depth = 0;
    loop {
        skip_colour(&mut cursor);
        let rest = cursor.rest();
        let Some(length) = key_length(rest) else { return };
        let key = rest.get(..length).unwrap_or_default();
        cursor.skip(length);
        skip_colour(&mut cursor);
        if !cursor.take_text(b" = ") {
            return;
        }
        let rest = cursor.rest();
        let Some(end) = value_end(rest, depth) else { return };
        let value = rest.get(..end.at).unwrap_or_default();
        cursor.skip(end.at + end.opening);
        if end.opening > 0 {
            if depth == MAX_DEPTH {
                return;
            }
            depth += 1;
            continue;
        }
        if depth == 0 {
            put(found, key, value);
        }
        while depth > 0 && cursor.take_text(b" }") {
            depth -= 1;
        }
        if !cursor.take_text(b", ") {
            return;
        }
    }
}

fn put<'a>(found: &mut Logged<'a>, key: &[u8], value: &'a [u8]) {
    let text = value.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(value);
    match key {
        b"size" => found.size = None,
        b"elapsed" => found.elapsed_ms = None,
        b"code" => found.code = None,
        b"queueId" => found.queue_id = b"",
        b"listenerId" => found.listener_id = b"",
        _ => return,
    }
    found.put(
        |name| name.as_bytes() == key,
        text,
        || match key {
            b"elapsed" => number(value.strip_suffix(b"ms")?),
            _ => number(value),
        },
    );
}

/// A whole number of at most 18 digits.
fn number(text: &[u8]) -> Option<u64> {
    let is_number = (1..=18).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    is_number.then(|| text.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0')))
}

/// The time that the line ends with, if it does.
fn last_elapsed(keys: &[u8]) -> Option<u64> {
    let rest = keys.strip_suffix(b"ms")?;
    let digits = rest.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (rest, digits) = rest.split_at_checked(rest.len() - digits)?;
    let rest = rest.strip_suffix(b" = ")?;
    let rest = rest.strip_suffix(b"\x1b[0m").unwrap_or(rest);
    let rest = rest.strip_suffix(b"elapsed")?;
    let rest = rest.strip_suffix(b"\x1b[36m").unwrap_or(rest);
    if !rest.is_empty() && !rest.ends_with(b", ") {
        return None;
    }
    number(digits).filter(|number| *number <= super::MAX)
}

/// Length of the key at the start of `text`, if there is one.
fn key_length(text: &[u8]) -> Option<usize> {
    let length = text.iter().take(MAX_KEY + 1).take_while(|byte| byte.is_ascii_alphanumeric()).count();
    (1..=MAX_KEY).contains(&length).then_some(length)
}

/// Where a value ends.
struct End {
    /// Its length.
    at: usize,
    /// Length of what opens the nested event that the value is; otherwise 0.
    opening: usize,
}

/// Where the value at the start of `text` ends, inside of `depth` nested events; `None` when it is cut.
fn value_end(text: &[u8], depth: usize) -> Option<End> {
    let at = match text.first()? {
        b'"' => text_end(text, |behind| ends_value(behind, depth))?,
        b'[' => list_end(text, depth)?,
        _ => return Some(bare_end(text, depth)),
    };
    Some(End { at, opening: 0 })
}

/// Where the quoted text at the start of `text` ends: at the first quote that is not escaped, and behind which `ends` is true.
fn text_end(text: &[u8], ends: impl Fn(&[u8]) -> bool) -> Option<usize> {
    let mut from = 1;
    while let Some(quote) = memchr::memchr(b'"', text.get(from..)?) {
        let backslashes = text.get(from..from + quote)?.iter().rev().take_while(|byte| **byte == b'\\').count();
        from += quote + 1;
        if backslashes % 2 == 0 && ends(text.get(from..)?) {
            return Some(from);
        }
    }
    None
}

/// Where the list at the start of `text` ends.
fn list_end(text: &[u8], depth: usize) -> Option<usize> {
    let (mut at, mut lists) = (0, 0_usize);
    loop {
        match text.get(at)? {
            b'"' => {
                at += text_end(text.get(at..)?, |behind| {
                    let closing = behind.iter().take_while(|byte| **byte == b']').count();
                    let rest = behind.get(closing..).unwrap_or_default();
                    if closing < lists { rest.starts_with(b", ") } else { ends_value(rest, depth) }
                })?;
                continue;
            }
            b'[' => lists += 1,
            b']' => lists = lists.saturating_sub(1),
            _ => {}
        }
        at += 1;
        if lists == 0 {
            return Some(at);
        }
    }
}

/// Where the value without quotes at the start of `text` ends.
fn bare_end(text: &[u8], depth: usize) -> End {
    let mut from = 0;
    while let Some(found) = memchr::memchr2(b',', b' ', text.get(from..).unwrap_or_default()) {
        let at = from + found;
        let rest = text.get(at..).unwrap_or_default();
        if ends_value(rest, depth) {
            return End { at, opening: 0 };
        }
        if let Some(opening) = opening(rest) {
            return End { at, opening };
        }
        from = at + 1;
    }
    End { at: text.len(), opening: 0 }
}

/// Length of what opens a nested event with pairs: ` (store.rocksdb-error) { `.
fn opening(text: &[u8]) -> Option<usize> {
    let id = id_length(text.strip_prefix(b" (")?)?;
    text.get(2 + id..)?.starts_with(b") { ").then_some(2 + id + 4)
}

/// True when `text` is what follows a value.
fn ends_value(text: &[u8], depth: usize) -> bool {
    let mut rest = text;
    for _ in 0..depth {
        match rest.strip_prefix(b" }") {
            Some(behind) => rest = behind,
            None => break,
        }
    }
    rest.is_empty() || is_next_pair(rest)
}

/// True when `text` begins with a comma and the next key.
fn is_next_pair(text: &[u8]) -> bool {
    let Some(rest) = text.strip_prefix(b", ") else { return false };
    let rest = rest.get(colour(rest)..).unwrap_or_default();
    let Some(rest) = key_length(rest).and_then(|length| rest.get(length..)) else { return false };
    rest.get(colour(rest)..).unwrap_or_default().starts_with(b" = ")
}
