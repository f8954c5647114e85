//! Connections to servers that could not be made (`smtp_connect.c`, `smtp_trouble.c`, `tls_client.c`). What becomes of
//! the recipients is said by the lines of their deliveries; these are about one of several servers.

use super::event::{ConnectFailure, Event};
use super::scan;
use super::words::Failure;
use crate::cursor::Cursor;

/// Reads a line, behind its queue id if it has one, when it is about a connection that failed.
pub(super) fn read<'a>(mut cursor: Cursor<'a>, queue_id: &'a [u8]) -> Option<Event<'a>> {
    let words = cursor;
    let mut known = None;
    let is_trouble = match cursor.rest().first()? {
        b'c' if cursor.take_text(b"connect to ") => true,
        b'c' if cursor.take_text(b"conversation with ") => {
            known = Some(Failure::Timeout);
            is_handshake(cursor.rest())
        }
        b'l' if cursor.take_text(b"lost connection with ") => {
            known = Some(Failure::Lost);
            is_handshake(cursor.rest())
        }
        b'h' if cursor.take_text(b"host ") => {
            known = Some(Failure::Rejected);
            is_refused(cursor)
        }
        b'S' if cursor.take_text(b"SSL_connect error to ") => {
            known = Some(Failure::Tls);
            true
        }
        b'T' if cursor.take_text(b"TLS is required, but was not offered by host ")
            || cursor.take_text(b"TLS is required, but host ") =>
        {
            known = Some(Failure::Tls);
            true
        }
        _ => false,
    };
    if !is_trouble {
        return None;
    }
    let peer = scan::peer(&mut cursor, "peer").ok()?;
    if !cursor.take_text(b": ") && known.is_none() {
        return None;
    }
    let text = cursor.rest();
    let reason = known.unwrap_or_else(|| failure(text));
    Some(Event::ConnectFailure(ConnectFailure {
        queue_id,
        peer,
        reason,
        text: if known.is_some() { words.rest() } else { text },
    }))
}

/// `NAME[ADDRESS]:PORT refused to talk to me: …`
fn is_refused(mut cursor: Cursor<'_>) -> bool {
    scan::peer(&mut cursor, "peer").is_ok() && cursor.take_text(b" refused to talk to me: ")
}

/// True when a session broke before it could carry a message. The peer stands first; what it was doing ends the line.
fn is_handshake(text: &[u8]) -> bool {
    const WHILES: [&[u8]; 4] = [
        b" while receiving the initial server greeting",
        b" handshake",
        b" while sending STARTTLS",
        b" while performing the initial protocol handshake",
    ];
    WHILES.iter().any(|end| text.ends_with(end))
}

/// What the system's words for an error say.
fn failure(text: &[u8]) -> Failure {
    const WORDS: [(&[u8], Failure); 14] = [
        (b"Connection refused", Failure::Refused),
        (b"Connection timed out", Failure::Timeout),
        (b"Operation timed out", Failure::Timeout),
        (b"Network is unreachable", Failure::Unreachable),
        (b"No route to host", Failure::Unreachable),
        (b"Host is down", Failure::Unreachable),
        (b"Network is down", Failure::Unreachable),
        (b"Connection reset by peer", Failure::Lost),
        (b"Broken pipe", Failure::Lost),
        (b"server dropped connection", Failure::Lost),
        (b"No such file or directory", Failure::Local),
        (b"Permission denied", Failure::Local),
        (b"Cannot assign requested address", Failure::Local),
        (b"Address already in use", Failure::Local),
    ];
    WORDS.iter().find(|(words, _)| scan::begins(text, words)).map_or(Failure::Other, |(_, failure)| *failure)
}
