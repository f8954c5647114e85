//! Deliveries: `QID: to=<…>, [orig_to=<…>, ]relay=…, [conn_use=N, ]delay=N, delays=N/N/N/N, [tls=…, ]dsn=N.N.N,
//! status=WORD (TEXT)` (`log_adhoc.c`), the same for every program that delivers.

use super::event::{Delivery, Event};
use super::scan;
use super::words::Status;
use crate::cursor::Cursor;
use crate::{Reason, Reject, near};

/// Reads on behind `to=<`.
pub(super) fn read<'a>(mut cursor: Cursor<'a>, queue_id: &'a [u8]) -> Result<Event<'a>, Reject> {
    let to =
        scan::address(&mut cursor, "to", |text| text.starts_with(b", relay=") || text.starts_with(b", orig_to=<"))?;
    let mut orig_to = &[][..];
    if cursor.take_text(b", orig_to=<") {
        orig_to = scan::address(&mut cursor, "orig_to", |text| text.starts_with(b", relay="))?;
    }
    cursor.expect_text(b", relay=", "relay")?;
    let relay = cursor.until(b',', "relay")?;
    cursor.expect(b' ', "relay")?;
    let mut conn_use = 1;
    if cursor.take_text(b"conn_use=") {
        conn_use = cursor.number(u64::from(u32::MAX), "conn_use")? as u32;
        cursor.expect_text(b", ", "conn_use")?;
    }
    cursor.expect_text(b"delay=", "delay")?;
    let delay_ms = scan::seconds(&mut cursor, "delay")?;
    cursor.expect_text(b", delays=", "delays")?;
    let mut delays_ms = [0; 4];
    for (index, part) in delays_ms.iter_mut().enumerate() {
        *part = scan::seconds(&mut cursor, "delays")?;
        if index < 3 {
            cursor.expect(b'/', "delays")?;
        }
    }
    cursor.expect_text(b", ", "delays")?;
    let mut tls = &[][..];
    while !cursor.take_text(b"dsn=") {
        let is_tls = cursor.take_text(b"tls=");
        if !is_tls {
            name(&mut cursor)?;
        }
        let value = cursor.until(b',', "dsn")?;
        cursor.expect(b' ', "dsn")?;
        if is_tls {
            tls = value;
        }
    }
    let dsn = cursor.until(b',', "dsn")?;
    let dsn = if scan::enhanced_length(dsn) == dsn.len() { dsn } else { &[] };
    cursor.expect_text(b" status=", "status")?;
    let status = status(cursor.until(b' ', "status")?);
    if !cursor.take(b'(') && !cursor.rest().is_empty() {
        return cursor.reject(Reason::Delimiter, "text");
    }
    let rest = cursor.take_rest();
    let (text, truncated) = rest.strip_suffix(b")").map_or((rest, true), |text| (text, false));
    let queued_as = if truncated { &[] } else { queued_as(text) };
    Ok(Event::Delivery(Delivery {
        queue_id,
        to,
        orig_to,
        relay,
        conn_use,
        delay_ms,
        delays_ms,
        tls,
        dsn,
        status,
        text,
        queued_as,
        truncated,
    }))
}

/// Takes the name of a field that a later release may write between these, and its `=`.
fn name(cursor: &mut Cursor<'_>) -> Result<(), Reject> {
    let rest = cursor.rest();
    let length = rest.iter().take_while(|byte| byte.is_ascii_lowercase() || **byte == b'_').count();
    cursor.skip(length);
    if length == 0 {
        return cursor.reject(if rest.is_empty() { Reason::Truncated } else { Reason::Delimiter }, "dsn");
    }
    cursor.expect(b'=', "dsn")
}

/// What the word behind `status=` says. `soft_bounce` makes `SOFTBOUNCE` of what would have bounced: it is tried again.
fn status(word: &[u8]) -> Status {
    match word {
        b"SOFTBOUNCE" => Status::Deferred,
        b"undeliverable-but-not-cached" => Status::Undeliverable,
        _ => Status::of(word).unwrap_or(Status::Other),
    }
}

/// The queue id at the end of a reply like `250 2.0.0 Ok: queued as 4F1AB6C02D`.
#[inline]
pub(super) fn queued_as(reply: &[u8]) -> &[u8] {
    let Some(space) = near::find_last(b' ', reply) else { return &[] };
    let (before, id) = (&reply[..space], &reply[space + 1..]);
    if before.ends_with(b"queued as") && scan::is_queue_id(id) { id } else { &[] }
}
