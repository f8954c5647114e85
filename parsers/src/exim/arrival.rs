//! Lines of arrival: a message has been received.
//!
//! ```text
//! 1q3rFb-0005Jf-0c <= a@example.com H=client.example.net (helo) [192.0.2.7]:40001 I=[192.0.2.1]:25 P=esmtpsa L X=TLS1.3:…:256 CV=no SNI=mx A=plain:alice K S=15670 M8S=8 RT=0.1s id=x@example.com T="subject" from <a@example.com> for b@example.org
//! 1q3rFb-0005Ji-0h <= <> R=1q3rFb-0005Jf-0c U=Debian-exim P=local S=247
//! ```
//!
//! The fields up to `S=` are Exim's or have no spaces; `DN=` and `A=` may, when a client's certificate or name does.
//! From `id=` on everything is the sender's.

use super::address::{take_field_name, take_host, take_name, take_string, take_word, take_written};
use super::tls_version;
use crate::cursor::Cursor;
use crate::duration::units_ms;
use crate::event::Field;
use crate::{Reason, Reject};

/// A message that has come in. Slices are empty when the line has no such field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Arrival<'a> {
    /// The message's id in the log.
    pub id: &'a [u8],
    /// True when the client was told that the message is refused, though it is not (`(=`, `control = fakereject`).
    pub is_fake_reject: bool,
    /// The envelope's sender, `<>` for a bounce.
    pub sender: &'a [u8],
    /// The message that a bounce is about (`R`).
    pub reference: &'a [u8],
    /// The client: name, HELO name in parentheses, address (`H`).
    pub host: &'a [u8],
    /// The local user, or what the client's ident server says (`U`).
    pub user: &'a [u8],
    /// How it came (`P`).
    pub protocol: &'a [u8],
    /// TLS: version, cipher suite, bits (`X`).
    pub cipher: &'a [u8],
    /// The name in the client's certificate (`DN`).
    pub peer_dn: &'a [u8],
    /// The name that the client asked for in TLS (`SNI`).
    pub sni: &'a [u8],
    /// Authenticator, and perhaps who was authenticated, behind a colon (`A`).
    pub authenticator: &'a [u8],
    /// Size in bytes (`S`), headers included; none when the line was cut.
    pub size_bytes: Option<u64>,
    /// Time that receiving took, in milliseconds (`RT`).
    pub receive_time_ms: Option<u64>,
    /// Name of the queue, if it is not the usual one (`Q`).
    pub queue_name: &'a [u8],
    /// The message's own id (`id`).
    pub message_id_header: &'a [u8],
    /// Its subject, escapes and all (`T`).
    pub subject: &'a [u8],
}

/// `<= ` or `(= `; says whether it is the latter.
pub(super) fn take_flag(cursor: &mut Cursor<'_>) -> Option<bool> {
    if cursor.take_text(b"<= ") {
        return Some(false);
    }
    cursor.take_text(b"(= ").then_some(true)
}

/// Reads what stands behind the flag.
///
/// # Errors
/// [`Reason::Truncated`] when the line ends before or in `P=`.
pub(super) fn read<'a>(cursor: &mut Cursor<'a>, id: &'a [u8], is_fake_reject: bool) -> Result<Arrival<'a>, Reject> {
    let sender = take_written(cursor);
    if sender.is_empty() {
        return cursor.reject(Reason::Truncated, "sender");
    }
    let start = Arrival { id, is_fake_reject, sender, ..Arrival::default() };
    let mut first = None;
    for skipped in 0.. {
        let mut ahead = *cursor;
        let (arrival, is_clean, has_host) = take_fields(&mut ahead, start, skipped);
        let first = first.get_or_insert((arrival, ahead));
        if is_clean {
            *first = (arrival, ahead);
        }
        if is_clean || !has_host || !arrival.host.contains(&b'(') || skipped >= 3 {
            break;
        }
    }
    let (arrival, ahead) = first.unwrap_or((start, *cursor));
    let protocol_is_cut = arrival.size_bytes.is_none() && ahead.line().ends_with(arrival.protocol);
    if arrival.protocol.is_empty() || protocol_is_cut {
        *cursor = Cursor::new(ahead.line(), ahead.line().len());
        return cursor.reject(Reason::Truncated, "P");
    }
    Ok(arrival)
}

/// The fields in Exim's order. What stands where it cannot stand comes from outside.
const ORDER: &[&[u8]] = &[
    b"R", b"H", b"I", b"U", b"Ci", b"P", b"X", b"CV", b"DN", b"SNI", b"A", b"PRX", b"S", b"M8S", b"DKIM", b"RT", b"Q",
    b"id", b"id*", b"T",
];

/// Takes all fields. Says besides whether each word was one, and whether a host was found.
fn take_fields<'a>(cursor: &mut Cursor<'a>, start: Arrival<'a>, skipped: usize) -> (Arrival<'a>, bool, bool) {
    let (mut arrival, mut is_clean, mut has_host) = (start, true, true);
    let mut places = ORDER;
    while cursor.take(b' ') {
        let before = *cursor;
        let Some((name, is_value)) = take_key(cursor) else {
            let word = take_word(cursor);
            is_clean &= is_mark(word);
            continue;
        };
        if !is_value {
            return (arrival, is_clean, has_host);
        }
        let Some(place) = places.iter().position(|known| *known == name) else {
            is_clean = false;
            *cursor = before;
            take_word(cursor);
            continue;
        };
        places = places.get(place..).unwrap_or_default();
        match name {
            b"R" => set(&mut arrival.reference, take_word(cursor)),
            b"H" if arrival.host.is_empty() => match take_host(cursor, skipped) {
                Some(host) => arrival.host = host,
                None => {
                    has_host = false;
                    set(&mut arrival.host, take_word(cursor));
                }
            },
            b"U" => set(&mut arrival.user, take_word(cursor)),
            b"P" => set(&mut arrival.protocol, take_word(cursor)),
            b"X" => set(&mut arrival.cipher, take_word(cursor)),
            b"DN" if cursor.take(b'"') => set(&mut arrival.peer_dn, take_name(cursor)),
            b"SNI" => set(&mut arrival.sni, take_word(cursor)),
            b"A" => set(&mut arrival.authenticator, take_word(cursor)),
            b"S" => {
                let size = size(take_word(cursor));
                arrival.size_bytes = arrival.size_bytes.or(size);
            }
            b"RT" => {
                let time = units_ms(take_word(cursor));
                arrival.receive_time_ms = arrival.receive_time_ms.or(time);
            }
            b"Q" => set(&mut arrival.queue_name, take_word(cursor)),
            b"id" | b"id*" => {
                set(&mut arrival.message_id_header, take_written(cursor));
                is_clean &= arrival.message_id_header.iter().filter(|byte| **byte == b'"').count() != 1;
            }
            b"T" if cursor.take(b'"') => {
                let (subject, is_closed) = take_string(cursor);
                set(&mut arrival.subject, subject);
                is_clean &= is_closed;
            }
            // Others are of no use, and the same ones for a second time come from outside.
            _ => drop(take_word(cursor)),
        }
    }
    (arrival, is_clean && cursor.rest().is_empty(), has_host)
}

/// Takes `NAME=`; false instead of true for what ends the fields: `from <…>`, `for …`.
fn take_key<'a>(cursor: &mut Cursor<'a>) -> Option<(&'a [u8], bool)> {
    let text = cursor.rest();
    if text.starts_with(b"from <") || text.starts_with(b"for ") {
        return Some((b"", false));
    }
    take_field_name(cursor).map(|name| (name, true))
}

/// Words that are no fields: DNSSEC, fast open, pipelining, PRDR, chunking, ARC.
fn is_mark(word: &[u8]) -> bool {
    matches!(word, b"DS" | b"TFO" | b"TFO*" | b"L" | b"L*" | b"L." | b"L-" | b"L*-" | b"L.-" | b"PRDR" | b"K" | b"ARC")
}

/// The first of two fields of one name counts: the second one comes from outside.
fn set<'a>(field: &mut &'a [u8], value: &'a [u8]) {
    if field.is_empty() {
        *field = value;
    }
}

fn size(word: &[u8]) -> Option<u64> {
    let mut cursor = Cursor::new(word, 0);
    cursor.number(u64::MAX, "S").ok().filter(|_| cursor.rest().is_empty())
}

/// The protocols that Exim sets itself; callers may set others (`-oMr`).
const PROTOCOLS: [&str; 23] = [
    "esmtp",
    "esmtps",
    "esmtpa",
    "esmtpsa",
    "smtp",
    "smtps",
    "local",
    "local-smtp",
    "local-smtps",
    "local-esmtp",
    "local-esmtps",
    "local-esmtpa",
    "local-esmtpsa",
    "local-bsmtp",
    "bsmtp",
    "asmtp",
    "utf8esmtp",
    "utf8esmtps",
    "utf8esmtpa",
    "utf8esmtpsa",
    "utf8local-esmtp",
    "spam-scanned",
    "scanned-ok",
];

impl Arrival<'_> {
    /// The protocol as a label value: a word of a fixed table, or `other`.
    pub fn protocol_label(&self) -> &'static str {
        PROTOCOLS.iter().find(|known| known.as_bytes() == self.protocol).copied().unwrap_or("other")
    }

    /// True when it came over TLS, by its cipher or, where ciphers are not logged, by its protocol.
    pub fn is_tls(&self) -> bool {
        !self.cipher.is_empty()
            || matches!(self.protocol_label(), name if name.ends_with("smtps") || name.ends_with("smtpsa"))
    }

    /// The version of TLS, where ciphers are logged.
    pub fn tls_version(&self) -> Option<&'static str> {
        (!self.cipher.is_empty()).then(|| tls_version(self.cipher))
    }

    pub(super) fn visit(&self, see: &mut dyn FnMut(&'static str, Field<'_>)) {
        see("message_id", Field::text(self.id));
        see("is_fake_reject", Field::Truth(self.is_fake_reject));
        see("sender", Field::text(self.sender));
        see("R", Field::text(self.reference));
        see("H", Field::text(self.host));
        see("U", Field::text(self.user));
        see("P", Field::text(self.protocol));
        see("X", Field::text(self.cipher));
        see("DN", Field::text(self.peer_dn));
        see("SNI", Field::text(self.sni));
        see("A", Field::text(self.authenticator));
        see("S", Field::number(self.size_bytes.and_then(|size| i64::try_from(size).ok())));
        see("RT", self.receive_time_ms.map_or(Field::Missing, Field::Seconds));
        see("Q", Field::text(self.queue_name));
        see("id", Field::text(self.message_id_header));
        see("T", Field::text(self.subject));
    }
}
