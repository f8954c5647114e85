//! Pieces that many of Postfix's lines are made of: queue ids, the other side of a connection, addresses, times.

use super::event::Peer;
use crate::cursor::Cursor;
use crate::{Reason, Reject, near};

/// What may stand in a queue id: 1 for the digits of a short one (hexadecimal, upper case), 2 for those of a long one
/// (base 52: digits, and letters without vowels).
const QUEUE_ID: [u8; 256] = {
    let mut classes = [0; 256];
    let (mut at, short, long) = (0, b"0123456789ABCDEF", b"0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz");
    while at < long.len() {
        classes[long[at] as usize] |= 2;
        at += 1;
    }
    at = 0;
    while at < short.len() {
        classes[short[at] as usize] |= 1;
        at += 1;
    }
    classes
};

/// Length of the queue id at the start of `text`, and 0 when there is none. What follows it is not part of any.
pub(super) fn queue_id_length(text: &[u8]) -> usize {
    let (mut length, mut classes) = (0, 3);
    // By fours, as long as all of them may be part of one.
    while let Some([one, two, three, four]) = text.get(length..).and_then(|rest| rest.first_chunk())
        && let fours = [one, two, three, four].map(|byte| QUEUE_ID[usize::from(*byte)])
        && fours.iter().all(|class| *class != 0)
    {
        classes &= fours[0] & fours[1] & fours[2] & fours[3];
        length += 4;
    }
    for byte in text.get(length..).unwrap_or_default() {
        let class = QUEUE_ID[usize::from(*byte)];
        if class == 0 {
            break;
        }
        classes &= class;
        length += 1;
    }
    let is_id = classes & 1 != 0 && length >= 6 || classes & 2 != 0 && length >= 12;
    if is_id { length } else { 0 }
}

/// True when all of `text` is a queue id.
pub(super) fn is_queue_id(text: &[u8]) -> bool {
    !text.is_empty() && queue_id_length(text) == text.len()
}

/// Takes `QID: `, if that is next.
pub(super) fn queue_id<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let rest = cursor.rest();
    let (id, behind) = rest.split_at(queue_id_length(rest));
    if id.is_empty() || !behind.starts_with(b": ") {
        return None;
    }
    cursor.skip(id.len() + 2);
    Some(id)
}

/// Takes `name[address]`, `name[address]:port` or `[address]:port`. Names hold neither spaces nor brackets.
pub(super) fn peer<'a>(cursor: &mut Cursor<'a>, field: &'static str) -> Result<Peer<'a>, Reject> {
    let start = *cursor;
    let rest = cursor.rest();
    let Some(length) = near::find_either(b'[', b' ', rest) else {
        return start.reject(Reason::Truncated, field);
    };
    if rest[length] == b' ' {
        return start.reject(Reason::Grammar, field);
    }
    let name = &rest[..length];
    cursor.skip(length + 1);
    let address = cursor.until(b']', field)?;
    let mut peer = Peer { name, address, port: None };
    let digits = cursor.rest().strip_prefix(b":").unwrap_or_default();
    let count = digits.iter().take(6).take_while(|byte| byte.is_ascii_digit()).count();
    if (1..=5).contains(&count) {
        peer.port =
            u16::try_from(digits[..count].iter().fold(0, |port, digit| port * 10 + u32::from(digit - b'0'))).ok();
        cursor.skip(1 + count);
    }
    Ok(peer)
}

/// Length of the quoted local part that `text` begins with, its quotes included; 0 when it does not.
pub(super) fn quoted_length(text: &[u8]) -> usize {
    if text.first() != Some(&b'"') {
        return 0;
    }
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        at += match byte {
            b'\\' => 2,
            b'"' => return at + 1,
            _ => 1,
        };
    }
    0
}

/// Takes an address, without its brackets, of which `<` has been taken, up to a `>` with something behind it that Postfix
/// writes there. Since 3.5 Postfix quotes what is not a plain local part, and nothing within the quotes ends the address,
/// not even in a line that is cut. Before, or with `info_log_address_format = internal`, it quotes nothing: there, an
/// address that itself begins with a quote is refused.
pub(super) fn address<'a>(
    cursor: &mut Cursor<'a>,
    field: &'static str,
    follows: impl Fn(&[u8]) -> bool,
) -> Result<&'a [u8], Reject> {
    let rest = cursor.rest();
    let quoted = quoted_length(rest);
    if quoted == 0 && rest.first() == Some(&b'"') {
        return cursor.reject(Reason::Truncated, field);
    }
    let plain = rest.get(quoted..).unwrap_or_default();
    let ends = |end: &usize| follows(plain.get(end + 1..).unwrap_or_default());
    let first = near::find(b'>', plain).filter(ends);
    let end = first.or_else(|| memchr::memchr_iter(b'>', plain).find(ends));
    let Some(end) = end else { return cursor.reject(Reason::Truncated, field) };
    cursor.skip(quoted + end + 1);
    Ok(&rest[..quoted + end])
}

/// Takes a time in seconds as milliseconds.
#[inline(always)]
pub(super) fn seconds(cursor: &mut Cursor<'_>, field: &'static str) -> Result<u64, Reject> {
    let rest = cursor.rest();
    let (mut ms, mut length) = (0_u64, 0);
    while let Some(digit) = digit(rest, length) {
        ms = ms.wrapping_mul(10).wrapping_add(digit);
        length += 1;
    }
    if !(1..=12).contains(&length) {
        let reason = if length > 0 { Reason::Range } else { Reason::Number };
        return cursor.reject(if rest.is_empty() { Reason::Truncated } else { reason }, field);
    }
    ms *= 1000;
    if rest.get(length) == Some(&b'.') {
        let start = length + 1;
        length = start;
        // Of the digits behind the third only the first says something: it rounds.
        for unit in [100, 10, 1] {
            let Some(digit) = digit(rest, length) else { break };
            ms += digit * unit;
            length += 1;
        }
        if length == start {
            return cursor.reject(if length == rest.len() { Reason::Truncated } else { Reason::Number }, field);
        }
        if length == start + 3
            && let Some(next) = digit(rest, length)
        {
            ms += u64::from(next >= 5);
            while digit(rest, length).is_some() {
                length += 1;
            }
        }
    }
    cursor.skip(length);
    Ok(ms)
}

/// The digit at an offset.
#[inline(always)]
fn digit(text: &[u8], at: usize) -> Option<u64> {
    text.get(at).filter(|byte| byte.is_ascii_digit()).map(|byte| u64::from(byte - b'0'))
}

/// True when `text` begins with `start`: most that do not differ in the first byte already.
#[inline]
pub(super) fn begins(text: &[u8], start: &[u8]) -> bool {
    text.first() == start.first() && text.starts_with(start)
}

/// Length of the enhanced status code (`5.7.1`) that `text` begins with; 0 when there is none.
pub(super) fn enhanced_length(text: &[u8]) -> usize {
    if !matches!(text, [b'2' | b'4' | b'5', b'.', ..]) {
        return 0;
    }
    let digits = |at: usize| text.iter().skip(at).take(4).take_while(|byte| byte.is_ascii_digit()).count();
    let subject = digits(2);
    if !(1..=3).contains(&subject) || text.get(2 + subject) != Some(&b'.') {
        return 0;
    }
    let detail = digits(3 + subject);
    if (1..=3).contains(&detail) { 3 + subject + detail } else { 0 }
}

/// `text`, when it is a word of letters, digits and `-`, `_`, `.`; otherwise `other`.
pub(super) fn word(text: &[u8]) -> &[u8] {
    const IS_PART: [bool; 256] = {
        let (mut parts, mut byte) = ([false; 256], 0);
        while byte < 256 {
            parts[byte] = (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'-' | b'_' | b'.');
            byte += 1;
        }
        parts
    };
    // Without a way out of the loop.
    let fits = !text.is_empty()
        && text.len() <= 64
        && text.iter().fold(true, |so_far, byte| so_far & IS_PART[usize::from(*byte)]);
    if fits { text } else { b"other" }
}
