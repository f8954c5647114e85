//! Sessions: how they begin, end and break, logins, TLS (`smtpd.c`, `smtpd_sasl_glue.c`, `tls_misc.c`).

use super::commands::Summary;
use super::event::{Client, Connect, Disconnect, Event, LostConnection, Peer, SaslFailure, Tls};
use super::words::{Direction, Lost, Stage, Trust};
use super::{sasl_method, scan};
use crate::cursor::Cursor;
use crate::{Reason, Reject, near};

/// Reads on behind `connect from `. postscreen writes `[ADDRESS]:PORT to [ADDRESS]:PORT`.
pub(super) fn connect<'a>(mut cursor: Cursor<'a>) -> Result<Event<'a>, Reject> {
    let client = scan::peer(&mut cursor, "client")?;
    Ok(Event::Connect(Connect { client }))
}

/// Reads on behind `disconnect from `.
pub(super) fn disconnect<'a>(mut cursor: Cursor<'a>) -> Result<Event<'a>, Reject> {
    let client = scan::peer(&mut cursor, "client")?;
    let Summary { commands, clean, notes } = Summary::of(cursor.rest());
    Ok(Event::Disconnect(Disconnect { client, commands, clean, notes }))
}

/// Reads on behind `client=`.
pub(super) fn client<'a>(mut cursor: Cursor<'a>, queue_id: Option<&'a [u8]>) -> Result<Event<'a>, Reject> {
    let peer = scan::peer(&mut cursor, "client")?;
    let mut client = Client {
        queue_id,
        client: peer,
        sasl_method: None,
        sasl_username: &[],
        sasl_sender: &[],
        orig_queue_id: &[],
        orig_client: &[],
    };
    if cursor.take_text(b", sasl_method=") {
        client.sasl_method = Some(sasl_method(value(&mut cursor)));
    }
    if cursor.take_text(b", sasl_username=") {
        // A user's name may hold a comma: it ends where another field begins.
        client.sasl_username = take_before(&mut cursor, &[b", sasl_sender=", b", orig_queue_id=", b", orig_client="]);
    }
    if cursor.take_text(b", sasl_sender=") {
        client.sasl_sender = value(&mut cursor);
    }
    if cursor.take_text(b", orig_queue_id=") {
        client.orig_queue_id = value(&mut cursor);
    }
    if cursor.take_text(b", orig_client=") {
        client.orig_client = cursor.take_rest();
    }
    Ok(Event::Client(client))
}

/// Takes what stands before the next comma, or the rest.
fn value<'a>(cursor: &mut Cursor<'a>) -> &'a [u8] {
    let rest = cursor.rest();
    let length = memchr::memchr(b',', rest).unwrap_or(rest.len());
    cursor.skip(length);
    &rest[..length]
}

/// Takes what stands before the first of `ends`, or the rest.
fn take_before<'a>(cursor: &mut Cursor<'a>, ends: &[&[u8]]) -> &'a [u8] {
    let rest = cursor.rest();
    let mut commas = memchr::memchr_iter(b',', rest);
    let length = commas.find(|comma| ends.iter().any(|end| rest[*comma..].starts_with(end))).unwrap_or(rest.len());
    cursor.skip(length);
    &rest[..length]
}

/// Takes `lost connection`, `timeout`, `too many errors` or `improper command pipelining` with the ` after ` behind it.
pub(super) fn lost(cursor: &mut Cursor<'_>) -> Option<Lost> {
    const FORMS: [(&[u8], Lost); 4] = [
        (b"lost connection after ", Lost::Lost),
        (b"timeout after ", Lost::Timeout),
        (b"too many errors after ", Lost::Errors),
        (b"improper command pipelining after ", Lost::Pipelining),
    ];
    FORMS.iter().find_map(|(text, lost)| cursor.take_text(text).then_some(*lost))
}

/// Reads on behind ` after `: `STAGE[ (N bytes)] from CLIENT[: TEXT]`.
pub(super) fn lost_connection<'a>(
    mut cursor: Cursor<'a>,
    queue_id: Option<&'a [u8]>,
    reason: Lost,
) -> Result<Event<'a>, Reject> {
    let stage = Stage::of(cursor.until(b' ', "stage")?).unwrap_or(Stage::Other);
    cursor.take_text(b"content ");
    let mut bytes = None;
    if cursor.take(b'(') {
        bytes = Some(cursor.number(u64::MAX, "bytes")?);
        cursor.expect_text(b" bytes) ", "bytes")?;
    }
    cursor.expect_text(b"from ", "client")?;
    let client = scan::peer(&mut cursor, "client")?;
    Ok(Event::LostConnection(LostConnection { queue_id, reason, stage, bytes, client }))
}

/// Reads `CLIENT: SASL METHOD authentication failed: REASON[, sasl_username=NAME]` or `CLIENT: SASL METHOD
/// authentication aborted`, behind `warning: `; `None` for any other text.
pub(super) fn sasl_failure<'a>(mut cursor: Cursor<'a>) -> Option<Event<'a>> {
    let client = scan::peer(&mut cursor, "client").ok()?;
    if !cursor.take_text(b": SASL ") {
        return None;
    }
    // The method may be any word that the client likes; the first thing that ends it is Postfix's.
    let method = sasl_method(cursor.take_until(b" authentication ")?);
    let mut failure = SaslFailure { client, method, reason: &[], sasl_username: &[], is_aborted: true };
    if cursor.take_text(b"failed:") {
        cursor.take(b' ');
        failure.reason = take_before(&mut cursor, &[b", sasl_username="]);
        if cursor.take_text(b", sasl_username=") {
            failure.sasl_username = cursor.take_rest();
        }
        failure.is_aborted = failure.reason == b"Connection lost to authentication server";
    } else if !cursor.take_text(b"aborted") {
        return None;
    }
    if failure.sasl_username == b"(unavailable)" {
        failure.sasl_username = &[];
    }
    Some(Event::SaslFailure(failure))
}

/// Takes the word that a summary of a TLS session begins with, and ` TLS connection `.
pub(super) fn trust(cursor: &mut Cursor<'_>) -> Option<Trust> {
    let mut ahead = *cursor;
    let word = ahead.rest();
    let word = &word[..near::find(b' ', word)?];
    let trust = Trust::of(word)?;
    ahead.skip(word.len());
    if !ahead.take_text(b" TLS connection ") {
        return None;
    }
    *cursor = ahead;
    Some(trust)
}

/// Reads on behind ` TLS connection `: `established|reused from|to PEER[ to SNI]: PROTOCOL with cipher CIPHER (N/N
/// bits)…`.
pub(super) fn tls<'a>(mut cursor: Cursor<'a>, queue_id: &'a [u8], trust: Trust) -> Result<Event<'a>, Reject> {
    let reused = cursor.take_text(b"reused ");
    if !reused {
        cursor.expect_text(b"established ", "reused")?;
    }
    let direction = if cursor.take_text(b"from ") {
        Direction::Inbound
    } else {
        cursor.expect_text(b"to ", "direction")?;
        Direction::Outbound
    };
    let peer: Peer<'a> = scan::peer(&mut cursor, "peer")?;
    let mut sni = &[][..];
    if cursor.take_text(b" to ") {
        sni = cursor.until(b':', "sni")?;
        cursor.expect(b' ', "protocol")?;
    } else {
        cursor.expect_text(b": ", "protocol")?;
    }
    let protocol = scan::word(cursor.until(b' ', "protocol")?);
    cursor.expect_text(b"with cipher ", "cipher")?;
    let cipher = scan::word(cursor.until(b' ', "cipher")?);
    cursor.expect(b'(', "bits")?;
    let used = cursor.number(u64::from(u16::MAX), "bits")? as u16;
    cursor.expect(b'/', "bits")?;
    let all = cursor.number(u64::from(u16::MAX), "bits")? as u16;
    if cursor.rest().is_empty() {
        return cursor.reject(Reason::Truncated, "bits");
    }
    Ok(Event::Tls(Tls { queue_id, trust, reused, direction, peer, sni, protocol, cipher, bits: [used, all] }))
}
