//! The commonest lines about a message, as they usually look: a few steps find their fields, nearly without a branch.
//!
//! What is shown is what [`read_of`](super::read_of) reads. Whatever does not fit exactly is left to it.

use super::delivery;
use super::event::{Client, Delivery, MessageId, Peer, Queued, Removed};
use super::words::{Daemon, Removal, Status};
use crate::digits;
use crate::envelope::Envelope;
use crate::near::{self, Chunk};

/// Whoever wants to see the usual lines.
pub trait Usual<'a> {
    /// As in [`Event::Client`](super::Event::Client).
    fn client(&mut self, client: Client<'a>);
    /// As in [`Event::MessageId`](super::Event::MessageId).
    fn message_id(&mut self, message_id: MessageId<'a>);
    /// As in [`Event::Queued`](super::Event::Queued).
    fn queued(&mut self, queued: Queued<'a>);
    /// As in [`Event::Delivery`](super::Event::Delivery).
    fn delivery(&mut self, delivery: Delivery<'a>);
    /// As in [`Event::Removed`](super::Event::Removed).
    fn removed(&mut self, removed: Removed<'a>);
}

/// Shows `sight` what a line of `daemon` says; `None` when the line is none of the usual, and nothing has been shown.
#[inline(always)]
pub fn see_usual<'a>(
    daemon: Daemon,
    line: &'a [u8],
    envelope: &Envelope<'a>,
    sight: &mut impl Usual<'a>,
) -> Option<()> {
    let message = line.get(envelope.start..envelope.end)?;
    let (queue_id, text) = message.split_at_checked(queue_id_length(message)?)?;
    let text = text.get(2..)?;
    match text.first_chunk::<4>()? {
        b"to=<" => sight.delivery(delivery(queue_id, text.get(4..)?)?),
        b"from" => sight.queued(queued(queue_id, text.strip_prefix(b"from=<")?)?),
        b"mess" => {
            let message_id = text.strip_prefix(b"message-id=")?;
            sight.message_id(MessageId { queue_id, message_id, resent: false });
        }
        b"clie" => sight.client(client(queue_id, text.strip_prefix(b"client=")?)?),
        b"remo" if daemon == Daemon::Qmgr && text == b"removed" => {
            sight.removed(Removed { queue_id, how: Removal::Done });
        }
        _ => return None,
    }
    Some(())
}

/// True when a message may begin with a queue id: without one it does as good as never.
#[inline(always)]
pub fn may_have_queue_id(message: &[u8]) -> bool {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
    // Long ones begin with the time, whose first letter is a digit until the year 2090.
    matches!(message, [b'0'..=b'9', ..])
        || matches!(message, [first, second, ..] if is_digit(first) && is_digit(second))
}

/// Length of the queue id of at most 15 bytes that `: ` follows.
#[inline(always)]
fn queue_id_length(message: &[u8]) -> Option<usize> {
    let chunk = Chunk::of(message.first_chunk()?);
    let length = chunk.marks(b':').trailing_zeros() as usize;
    if message.get(length + 1) != Some(&b' ') || length > 15 {
        return None;
    }
    let (digits, lower) = (chunk.within(b'0', b'9'), chunk.with(0x20));
    let vowels = [b'a', b'e', b'i', b'o', b'u'].map(|vowel| lower.marks(vowel));
    let vowels = vowels[0] | vowels[1] | vowels[2] | vowels[3] | vowels[4];
    let short = digits | chunk.within(b'A', b'F');
    let long = digits | lower.within(b'a', b'z') & !vowels;
    let none = |class: u32| ((1_u32 << length) - 1) & !class == 0;
    (none(short) && length >= 6 || none(long) && length >= 12).then_some(length)
}

/// `NAME[ADDRESS]`, and nothing behind it.
#[inline(always)]
fn client<'a>(queue_id: &'a [u8], text: &'a [u8]) -> Option<Client<'a>> {
    let (name, address) = text.split_at_checked(near::find_either(b'[', b' ', text)?)?;
    let address = address.strip_prefix(b"[")?;
    let length = near::find(b']', address)?;
    if length + 1 != address.len() {
        return None;
    }
    Some(Client {
        queue_id: Some(queue_id),
        client: Peer { name, address: address.get(..length)?, port: None },
        sasl_method: None,
        sasl_username: &[],
        sasl_sender: &[],
        orig_queue_id: &[],
        orig_client: &[],
    })
}

/// `ADDRESS>, size=N, nrcpt=N `
#[inline(always)]
fn queued<'a>(queue_id: &'a [u8], text: &'a [u8]) -> Option<Queued<'a>> {
    let (from, rest) = address(text)?;
    let (size, rest) = number(rest.strip_prefix(b", size=")?)?;
    let (nrcpt, rest) = number(rest.strip_prefix(b", nrcpt=")?)?;
    (rest.first() == Some(&b' ')).then_some(Queued { queue_id, from, size, nrcpt: nrcpt as u32 })
}

/// An address up to its first `>`, and what is behind that.
#[inline(always)]
fn address(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (address, rest) = text.split_at_checked(near::find(b'>', text)?)?;
    (address.first() != Some(&b'"')).then_some((address, rest.get(1..)?))
}

/// `ADDRESS>, relay=RELAY, delay=N, delays=N/N/N/N, dsn=N.N.N, status=WORD (TEXT)`
#[inline(always)]
fn delivery<'a>(queue_id: &'a [u8], text: &'a [u8]) -> Option<Delivery<'a>> {
    let (to, rest) = address(text)?;
    let rest = rest.strip_prefix(b", relay=")?;
    let (relay, rest) = rest.split_at_checked(near::find(b',', rest)?)?;
    let times = rest.strip_prefix(b", delay=")?;
    let (delay_ms, delays_ms, length) = delays(times.first_chunk()?)?;
    let rest = times.get(length..)?;
    let codes = rest.first_chunk::<20>()?;
    let [.., b'2' | b'4' | b'5', b'.', b'0'..=b'9', b'.', b'0'..=b'9'] = codes.first_chunk::<11>()? else {
        return None;
    };
    if !codes.starts_with(b", dsn=") || !codes.ends_with(b", status=") {
        return None;
    }
    let (status, rest) = status(rest.get(20..)?)?;
    let reply = rest.strip_suffix(b")")?;
    Some(Delivery {
        queue_id,
        to,
        orig_to: &[],
        relay,
        conn_use: 1,
        delay_ms,
        delays_ms,
        tls: &[],
        dsn: codes.get(6..11)?,
        status,
        text: reply,
        queued_as: delivery::queued_as(reply),
        truncated: false,
    })
}

/// The status that a text begins with, and what is behind ` (`.
#[inline(always)]
fn status(text: &[u8]) -> Option<(Status, &[u8])> {
    if let Some(rest) = text.strip_prefix(b"sent (") {
        return Some((Status::Sent, rest));
    }
    let (word, rest) = text.split_at_checked(near::find(b' ', text)?)?;
    Some((Status::of(word)?, rest.strip_prefix(b" (")?))
}

/// Bytes that `N, delays=N/N/N/N,` may take.
const DELAYS: usize = 56;

/// The five times of `N, delays=N/N/N/N,` in milliseconds, and where the last of them ends.
#[inline(always)]
fn delays(text: &[u8; DELAYS]) -> Option<(u64, [u64; 4], usize)> {
    const NAME: usize = b", delays=".len();
    let (chunks, _) = text.as_chunks::<16>();
    let marks = |at: usize| {
        let chunk = chunks.get(at).map(Chunk::of);
        chunk.map_or(0, |chunk| u64::from(chunk.marks(b',') | chunk.marks(b'/')))
    };
    let mut marks = marks(0) | marks(1) << 16 | marks(2) << 32;
    let mut next = || {
        let end = marks.trailing_zeros() as usize;
        marks &= marks.wrapping_sub(1);
        end
    };
    // Where each of them ends; 64 for one that does not.
    let ends = [next(), next(), next(), next(), next()];
    let starts = [0, ends[0] + NAME, ends[1] + 1, ends[2] + 1, ends[3] + 1];
    let is = |at: usize, byte: u8| text.get(ends[at]) == Some(&byte);
    if !(text.get(ends[0]..)?.starts_with(b", delays=") && is(1, b'/') && is(2, b'/') && is(3, b'/') && is(4, b',')) {
        return None;
    }
    let time = |at: usize| {
        let start = starts[at];
        thousandths(text.get(start..start + 8)?.first_chunk()?, ends[at].wrapping_sub(start))
    };
    Some((time(0)?, [time(1)?, time(2)?, time(3)?, time(4)?], ends[4]))
}

/// Thousandths of the decimal number that the first `length` bytes are, with one to five digits before its point, if it has
/// one, and one or two behind it.
#[inline(always)]
fn thousandths(text: &[u8; 8], length: usize) -> Option<u64> {
    // Nearly all are `N`, `N.N` or `N.NN`.
    let digit = u64::from(text[0] ^ b'0');
    if length == 1 && digit < 10 {
        return Some(1000 * digit);
    }
    if matches!(length, 3 | 4) && text[1] == b'.' {
        let [tens, ones] = [text[2] ^ b'0', if length == 4 { text[3] ^ b'0' } else { 0 }].map(u64::from);
        return (digit < 10 && tens < 10 && ones < 10).then_some(1000 * digit + 100 * tens + 10 * ones);
    }
    any_thousandths(text, length)
}

/// The same in steps that do not depend on how many digits there are.
#[inline(never)]
fn any_thousandths(text: &[u8; 8], length: usize) -> Option<u64> {
    if length > 7 {
        return None;
    }
    let values = digits::values(*text) & !(u64::MAX << (8 * length));
    let others = digits::others(values);
    // Where the point stands, or would.
    let point = others.trailing_zeros().min(8 * length as u32 + 7) as usize / 8;
    let places = length - point;
    let is_point = values >> (8 * point) & 0xff == if others == 0 { 0 } else { u64::from(b'.' ^ b'0') };
    let is_number = others & others.wrapping_sub(1) == 0 && is_point;
    if !(is_number && (1..=5).contains(&point) && matches!(places, 0 | 2 | 3)) {
        return None;
    }
    // Five digits, a 0 in the point's place, and two more.
    let values = (values & !(0xff << (8 * point))) << (8 * (5 - point));
    Some(digits::eight(values) + 9 * ((values >> 48 & 0xff) * 10 + (values >> 56)))
}

/// The number of at most seven digits that `text` begins with, and what is behind it.
#[inline(always)]
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let (value, length) = digits::leading(text)?;
    Some((value, text.get(length..)?))
}

#[cfg(test)]
mod tests {
    use super::super::scan;
    use super::*;
    use crate::cursor::Cursor;

    #[test]
    fn queue_ids_end_where_the_plain_reader_ends_them() {
        let mut random = 1_u64;
        let mut draw = |below: usize| {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (random >> 33) as usize % below
        };
        let mut found = 0;
        for turn in 0..200_000 {
            let bytes: &[u8] =
                [&b"0123456789ABCDEF"[..], b"0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"][turn % 2];
            let mut text = (0..draw(18)).map(|_| bytes[draw(bytes.len())]).collect::<Vec<_>>();
            text.extend_from_slice(b": removed ");
            text.resize(text.len().max(16), b'x');
            if draw(2) == 0 {
                let at = draw(text.len().min(16));
                text[at] = [draw(256) as u8, b"AEIOUaeiou:@[`{/ "[draw(17)]][draw(2)];
            }
            let expected = scan::queue_id(&mut Cursor::new(&text, 0)).map(<[u8]>::len);
            match queue_id_length(&text) {
                Some(length) => {
                    assert_eq!(Some(length), expected, "{}", text.escape_ascii());
                    assert!(may_have_queue_id(&text) || !text[0].is_ascii_digit(), "{}", text.escape_ascii());
                    found += 1;
                }
                None => assert!(expected.is_none_or(|length| length > 15), "{}", text.escape_ascii()),
            }
        }
        assert!(found > 40_000, "{found}");
    }

    #[test]
    fn times_are_those_of_the_plain_reader() {
        let bytes = b"0123456789..05,/-x\xb0";
        let (mut read, mut left) = (0, 0);
        let mut see = |text: &[u8]| {
            let mut chunk = *b"/9.9/.5,";
            chunk.iter_mut().zip(text).for_each(|(to, byte)| *to = *byte);
            let ms = thousandths(&chunk, text.len());
            assert_eq!(ms, any_thousandths(&chunk, text.len()), "{}", text.escape_ascii());
            let Some(ms) = ms else {
                left += 1;
                return;
            };
            read += 1;
            let mut cursor = Cursor::new(text, 0);
            assert_eq!(scan::seconds(&mut cursor, "delay"), Ok(ms), "{}", text.escape_ascii());
            assert_eq!(cursor.at(), text.len(), "{}", text.escape_ascii());
        };
        for length in 0..=4_u32 {
            for number in 0..bytes.len().pow(length) {
                let byte = |place: u32| bytes[number / bytes.len().pow(place) % bytes.len()];
                see(&(0..length).map(byte).collect::<Vec<_>>());
            }
        }
        for text in ["12345.67", "12345.6", "1234.56", "99999", "999999", "12.345", "00000.01", "1234567"] {
            see(text.as_bytes());
        }
        assert!(read > 20_000 && left > 20_000, "{read} {left}");
    }
}
