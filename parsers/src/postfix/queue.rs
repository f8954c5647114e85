//! Lines about one message: they begin with its queue id (pickup, cleanup, qmgr, bounce, postsuper, and whoever
//! delivers).

use super::event::{Bounce, Event, Expired, MessageId, Pickup, Queued, Removed};
use super::words::{Daemon, Notification, Removal};
use super::{delivery, known, rejection, scan, session, smtp};
use crate::cursor::Cursor;
use crate::{Reason, Reject};

/// Reads on behind `QID: `.
pub(super) fn read<'a>(mut cursor: Cursor<'a>, queue_id: &'a [u8], daemon: Daemon) -> Result<Event<'a>, Reject> {
    let start = cursor;
    match cursor.rest().first() {
        Some(b't') if cursor.take_text(b"to=<") => return delivery::read(cursor, queue_id),
        Some(b'f') if cursor.take_text(b"from=<") => return from(cursor, queue_id),
        Some(b'm') if cursor.take_text(b"message-id=") => return message_id(cursor, queue_id, false),
        Some(b'c') if cursor.take_text(b"client=") => return session::client(cursor, Some(queue_id)),
        Some(b'r') if cursor.take_text(b"removed") => return removed(cursor, queue_id, daemon),
        Some(b'r') if cursor.take_text(b"resent-message-id=") => return message_id(cursor, queue_id, true),
        Some(b'u') if cursor.take_text(b"uid=") => return pickup(cursor, queue_id),
        Some(b's' | b'p') if daemon == Daemon::Bounce || is_notification(cursor.rest()) => {
            if let Some(event) = bounce(cursor, queue_id)? {
                return Ok(event);
            }
        }
        Some(b'l' | b't') => {
            if let Some(lost) = session::lost(&mut cursor) {
                return session::lost_connection(cursor, Some(queue_id), lost);
            }
        }
        Some(b'A' | b'U' | b'T' | b'V') => {
            if let Some(trust) = session::trust(&mut cursor) {
                return session::tls(cursor, queue_id, trust);
            }
        }
        None => return cursor.reject(Reason::Truncated, "message"),
        Some(_) => {}
    }
    if let Some(action) = rejection::action(&mut cursor) {
        return rejection::read(cursor, Some(queue_id), action);
    }
    if matches!(daemon, Daemon::Smtp | Daemon::Lmtp | Daemon::Unnamed)
        && let Some(event) = smtp::read(cursor, queue_id)
    {
        return Ok(event);
    }
    known::of_message(start.rest(), daemon)
        .map_or_else(|| start.reject(Reason::UnknownForm, "message"), |kind| Ok(Event::Known(kind)))
}

/// qmgr, behind `from=<`: `…>, size=N, nrcpt=N (queue active)` or `…>, status=expired, returned to sender`.
fn from<'a>(mut cursor: Cursor<'a>, queue_id: &'a [u8]) -> Result<Event<'a>, Reject> {
    let from =
        scan::address(&mut cursor, "from", |text| text.starts_with(b", size=") || text.starts_with(b", status="))?;
    if cursor.take_text(b", status=") {
        let forced = cursor.take_text(b"force-");
        cursor.expect_text(b"expired", "status")?;
        return Ok(Event::Expired(Expired { queue_id, from, forced }));
    }
    cursor.expect_text(b", size=", "size")?;
    let size = cursor.number(u64::MAX, "size")?;
    cursor.expect_text(b", nrcpt=", "nrcpt")?;
    let nrcpt = cursor.number(u64::from(u32::MAX), "nrcpt")? as u32;
    // Without what follows, digits may be missing.
    cursor.expect(b' ', "nrcpt")?;
    Ok(Event::Queued(Queued { queue_id, from, size, nrcpt }))
}

/// cleanup, behind `message-id=`: anything.
fn message_id<'a>(mut cursor: Cursor<'a>, queue_id: &'a [u8], resent: bool) -> Result<Event<'a>, Reject> {
    Ok(Event::MessageId(MessageId { queue_id, message_id: cursor.take_rest(), resent }))
}

/// Behind `removed`: nothing (qmgr, postsuper), or why (cleanup, since 3.8).
fn removed<'a>(cursor: Cursor<'a>, queue_id: &'a [u8], daemon: Daemon) -> Result<Event<'a>, Reject> {
    let how = match cursor.rest() {
        b"" if daemon == Daemon::Postsuper => Removal::Deleted,
        b"" => Removal::Done,
        b" (canceled)" => Removal::Canceled,
        b" (discarded)" => Removal::Discarded,
        _ => return cursor.reject(Reason::Grammar, "how"),
    };
    Ok(Event::Removed(Removed { queue_id, how }))
}

/// pickup, behind `uid=`: `N from=<…>[ orig_id=NAME]`.
fn pickup<'a>(mut cursor: Cursor<'a>, queue_id: &'a [u8]) -> Result<Event<'a>, Reject> {
    let uid = cursor.number(u64::from(u32::MAX), "uid")? as u32;
    cursor.expect_text(b" from=<", "from")?;
    let from = scan::address(&mut cursor, "from", |text| text.is_empty() || text.starts_with(b" orig_id="))?;
    let orig_id = if cursor.take_text(b" orig_id=") { cursor.take_rest() } else { &[] };
    Ok(Event::Pickup(Pickup { queue_id, uid, from, orig_id }))
}

/// True for what only bounce and its other names write.
fn is_notification(text: &[u8]) -> bool {
    text.starts_with(b"sender ") || text.starts_with(b"postmaster ")
}

/// bounce: `sender|postmaster non-delivery|delay|delivery status notification: QID`.
fn bounce<'a>(mut cursor: Cursor<'a>, queue_id: &'a [u8]) -> Result<Option<Event<'a>>, Reject> {
    let to_postmaster = cursor.take_text(b"postmaster ");
    if !to_postmaster && !cursor.take_text(b"sender ") {
        return Ok(None);
    }
    let kind = Notification::ALL.iter().find(|kind| cursor.take_text(kind.as_str().as_bytes()));
    let Some(kind) = kind else { return cursor.reject(Reason::Grammar, "kind") };
    cursor.expect_text(b" notification: ", "notification")?;
    let notification = cursor.rest();
    if !scan::is_queue_id(notification) {
        return cursor
            .reject(if notification.is_empty() { Reason::Truncated } else { Reason::Grammar }, "notification");
    }
    Ok(Some(Event::Bounce(Bounce { queue_id, kind: *kind, to_postmaster, notification })))
}
