//! Lines of delivery: what became of a recipient.
//!
//! ```text
//! id => alice <list@example.org> R=local_user T=maildir
//! id => b@example.net F=<a@example.org> P=<a@example.org> R=dnslookup T=remote_smtp S=1234 H=mx.example.net [192.0.2.9]:25* X=TLS1.3:…:256 CV=yes DN="…" A=plain L K C="250 2.0.0 Ok" QT=3m45s DT=0.349s
//! id == c@example.net R=dnslookup T=remote_smtp defer (-44) H=mx.example.net [192.0.2.9] DT=1s: SMTP error from remote mail server after RCPT TO:<c@example.net>: 451 later
//! id ** d@example.net R=dnslookup T=remote_smtp H=mx.example.net [192.0.2.9]: 550 no DT=1s
//! ```
//!
//! Behind the colon stands what another server said. The `DT` of a failure stands behind that, where the server could have
//! written one: it is not read.

use super::address::{take_bracketed, take_field_name, take_name, take_recipient, take_string, take_word};
use super::tls_version;
use crate::cursor::Cursor;
use crate::duration::units_ms;
use crate::event::Field;
use crate::{Reason, Reject};

/// What became of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeliveryResult {
    /// `=>`
    Delivered,
    /// `->`: delivered together with the one before.
    Additional,
    /// `>>`: delivered while it was being received.
    Cutthrough,
    /// `*>`: kept from being delivered (`-N`).
    Suppressed,
    /// `==`: to be tried again.
    Deferred,
    /// `**`: given up.
    Failed,
}

impl DeliveryResult {
    /// Every result, in the order of the declaration.
    pub const ALL: [Self; 6] =
        [Self::Delivered, Self::Additional, Self::Cutthrough, Self::Suppressed, Self::Deferred, Self::Failed];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Additional => "additional",
            Self::Cutthrough => "cutthrough",
            Self::Suppressed => "suppressed",
            Self::Deferred => "deferred",
            Self::Failed => "failed",
        }
    }

    const fn flag(self) -> &'static [u8] {
        match self {
            Self::Delivered => b"=> ",
            Self::Additional => b"-> ",
            Self::Cutthrough => b">> ",
            Self::Suppressed => b"*> ",
            Self::Deferred => b"== ",
            Self::Failed => b"** ",
        }
    }
}

/// What became of a recipient, and how. Slices are empty when the line has no such field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// The message's id in the log.
    pub id: &'a [u8],
    /// What became of it.
    pub result: DeliveryResult,
    /// An address, a user, a file or a command; with `all_parents` the addresses between in parentheses.
    pub recipient: &'a [u8],
    /// The address that the message came for, where it is another one.
    pub original_recipient: &'a [u8],
    /// The envelope's sender (`F`).
    pub sender: &'a [u8],
    /// Name of the queue, if it is not the usual one (`Q`).
    pub queue_name: &'a [u8],
    /// The sender that the next server was told (`P`).
    pub return_path: &'a [u8],
    /// The router, by its name in the configuration (`R`).
    pub router: &'a [u8],
    /// The transport, by its name in the configuration (`T`); missing when no transport was reached.
    pub transport: &'a [u8],
    /// Size in bytes (`S`).
    pub size_bytes: Option<u64>,
    /// The server's name (`H`).
    pub host: &'a [u8],
    /// True when the connection had been used for another message before.
    pub is_reused: bool,
    /// TLS: version, cipher suite, bits (`X`).
    pub cipher: &'a [u8],
    /// The name in the server's certificate (`DN`).
    pub peer_dn: &'a [u8],
    /// Authenticator, and perhaps who was authenticated (`A`).
    pub authenticator: &'a [u8],
    /// What the server said, escapes and all (`C`).
    pub confirmation: &'a [u8],
    /// Why it was put off, as Exim's number (`defer (…)`): a system error above 0, one of Exim's own below.
    pub error_number: Option<i64>,
    /// What stands behind the colon of failures and deferrals.
    pub reason: &'a [u8],
    /// Time since the message's arrival, in milliseconds (`QT`).
    pub queue_time_ms: Option<u64>,
    /// Time that the delivery took, in milliseconds (`DT`).
    pub delivery_time_ms: Option<u64>,
}

/// A flag of two characters, and the space behind it.
pub(super) fn take_flag(cursor: &mut Cursor<'_>) -> Option<DeliveryResult> {
    DeliveryResult::ALL.into_iter().find(|result| cursor.take_text(result.flag()))
}

/// Reads what stands behind the flag.
///
/// # Errors
/// [`Reason::Truncated`] when no recipient follows, or the line ends in the name of the router or transport of one
/// that was delivered.
pub(super) fn read<'a>(cursor: &mut Cursor<'a>, id: &'a [u8], result: DeliveryResult) -> Result<Delivery<'a>, Reject> {
    let is_final = !matches!(result, DeliveryResult::Deferred | DeliveryResult::Failed);
    let (recipient, original) = take_recipient(cursor, if is_final { is_field } else { is_field_or_reason });
    if recipient.is_empty() {
        return cursor.reject(Reason::Truncated, "recipient");
    }
    let mut delivery = Delivery {
        id,
        result,
        recipient,
        original_recipient: original.unwrap_or_default(),
        sender: b"",
        queue_name: b"",
        return_path: b"",
        router: b"",
        transport: b"",
        size_bytes: None,
        host: b"",
        is_reused: false,
        cipher: b"",
        peer_dn: b"",
        authenticator: b"",
        confirmation: b"",
        error_number: None,
        reason: b"",
        queue_time_ms: None,
        delivery_time_ms: None,
    };
    loop {
        if !is_final && cursor.take_text(b": ") {
            if delivery.error_number.is_some_and(|number| number > 0) && delivery.reason.is_empty() {
                delivery.reason = take_system_error(cursor);
                continue;
            }
            delivery.reason = cursor.take_rest();
            break;
        }
        if !cursor.take(b' ') {
            break;
        }
        take_field(cursor, &mut delivery, is_final);
    }
    // What is thrown away has no transport: `:blackhole:`, `discarded (system filter)`, `blackhole (…)`.
    let is_nowhere = [&b":blackhole:"[..], b"discarded", b"blackhole"].iter().any(|words| recipient.starts_with(words));
    if is_final && delivery.transport.is_empty() && !is_nowhere {
        return cursor.reject(Reason::Truncated, "T");
    }
    Ok(delivery)
}

fn take_field<'a>(cursor: &mut Cursor<'a>, delivery: &mut Delivery<'a>, is_final: bool) {
    match take_field_name(cursor).unwrap_or_default() {
        b"F" if cursor.take(b'<') => set(&mut delivery.sender, take_bracketed(cursor)),
        b"P" if cursor.take(b'<') => set(&mut delivery.return_path, take_bracketed(cursor)),
        b"Q" => set(&mut delivery.queue_name, take_value(cursor, is_final)),
        b"R" => set(&mut delivery.router, take_value(cursor, is_final)),
        b"T" => set(&mut delivery.transport, take_value(cursor, is_final)),
        b"S" => {
            let size = Cursor::new(take_value(cursor, is_final), 0).number(u64::MAX, "S").ok();
            delivery.size_bytes = delivery.size_bytes.or(size);
        }
        b"H" => set(&mut delivery.host, take_value(cursor, is_final)),
        b"X" => set(&mut delivery.cipher, take_value(cursor, is_final)),
        b"DN" if cursor.take(b'"') => set(&mut delivery.peer_dn, take_name(cursor)),
        b"A" => set(&mut delivery.authenticator, take_value(cursor, is_final)),
        b"C" if cursor.take(b'"') => set(&mut delivery.confirmation, take_string(cursor).0),
        // Nothing behind the confirmation comes from outside, so the last ones are Exim's.
        b"QT" => delivery.queue_time_ms = units_ms(take_value(cursor, is_final)),
        b"DT" => delivery.delivery_time_ms = units_ms(take_value(cursor, is_final)),
        b"" if cursor.take_text(b"defer (") => {
            let is_negative = cursor.take(b'-');
            let number = cursor.number(u64::from(u32::MAX), "defer").ok().and_then(|number| i64::try_from(number).ok());
            delivery.error_number = number.map(|number| if is_negative { -number } else { number });
            cursor.take(b')');
        }
        _ => {
            let word = take_value(cursor, is_final);
            if !delivery.host.is_empty() && word.starts_with(b"[") {
                delivery.is_reused |= word.ends_with(b"*");
            }
        }
    }
}

/// Takes a word; where a reason may follow, not the colon that comes before it.
fn take_value<'a>(cursor: &mut Cursor<'a>, is_final: bool) -> &'a [u8] {
    let start = *cursor;
    let word = take_word(cursor);
    match word.strip_suffix(b":").filter(|_| !is_final) {
        Some(value) => {
            *cursor = start;
            cursor.take_text(value);
            value
        }
        None => word,
    }
}

/// Takes the system's words for a number above 0: `Connection refused`. Fields and another colon may follow them.
fn take_system_error<'a>(cursor: &mut Cursor<'a>) -> &'a [u8] {
    let text = cursor.rest();
    let is_end = |at: &usize| [&b" H="[..], b" DT=", b": "].iter().any(|end| text[*at..].starts_with(end));
    let words = memchr::memchr2_iter(b' ', b':', text).find(is_end).map_or(text, |end| &text[..end]);
    cursor.take_text(words);
    words
}

/// True when a field that can follow the recipient begins `text`, with the space before it.
fn is_field(text: &[u8]) -> bool {
    let [b' ', rest @ ..] = text else { return false };
    [&b"F=<"[..], b"Q=", b"P=<", b"R=", b"T="].iter().any(|field| rest.starts_with(field))
}

/// The same, or the colon before a reason, or what a deferral says instead of names.
fn is_field_or_reason(text: &[u8]) -> bool {
    is_field(text) || text.starts_with(b": ") || text.starts_with(b" routing defer (") || text.starts_with(b" defer (")
}

/// The first of two fields of one name counts.
fn set<'a>(field: &mut &'a [u8], value: &'a [u8]) {
    if field.is_empty() {
        *field = value;
    }
}

/// A name of the configuration as a label value: letters, digits and underscores.
fn name_label(name: &[u8]) -> &[u8] {
    match name {
        b"" => b"none",
        name if name.len() <= 64 && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') => name,
        _ => b"other",
    }
}

impl<'a> Delivery<'a> {
    /// The transport as a label value.
    pub fn transport_label(&self) -> &'a [u8] {
        name_label(self.transport)
    }

    /// The router as a label value.
    pub fn router_label(&self) -> &'a [u8] {
        name_label(self.router)
    }

    /// The version of TLS, where it was used and ciphers are logged.
    pub fn tls_version(&self) -> Option<&'static str> {
        (!self.cipher.is_empty()).then(|| tls_version(self.cipher))
    }

    pub(super) fn visit(&self, see: &mut dyn FnMut(&'static str, Field<'_>)) {
        see("message_id", Field::text(self.id));
        see("result", Field::text(self.result.as_str().as_bytes()));
        see("recipient", Field::text(self.recipient));
        see("original_recipient", Field::text(self.original_recipient));
        see("F", Field::text(self.sender));
        see("Q", Field::text(self.queue_name));
        see("P", Field::text(self.return_path));
        see("R", Field::text(self.router));
        see("T", Field::text(self.transport));
        see("S", Field::number(self.size_bytes.and_then(|size| i64::try_from(size).ok())));
        see("H", Field::text(self.host));
        see("is_reused", Field::Truth(self.is_reused));
        see("X", Field::text(self.cipher));
        see("DN", Field::text(self.peer_dn));
        see("A", Field::text(self.authenticator));
        see("C", Field::text(self.confirmation));
        see("defer", Field::number(self.error_number));
        see("reason", Field::text(self.reason));
        see("QT", self.queue_time_ms.map_or(Field::Missing, Field::Seconds));
        see("DT", self.delivery_time_ms.map_or(Field::Missing, Field::Seconds));
    }
}
