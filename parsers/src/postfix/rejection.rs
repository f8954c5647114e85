//! What smtpd, cleanup and postscreen refuse, hold, redirect … or only note.
//!
//! ```text
//! NOQUEUE: reject: RCPT from NAME[ADDRESS]: 554 5.7.1 <joe@example.net>: Relay access denied; from=<…> to=<…> proto=ESMTP helo=<…>
//! QID: milter-reject: END-OF-MESSAGE from NAME[ADDRESS]: 5.7.1 spam; from=<…> to=<…> proto=ESMTP helo=<…>
//! QID: reject: header Subject: spam from NAME[ADDRESS]; from=<…> to=<…> proto=ESMTP helo=<…>: 5.7.1 no spam
//! proxy-reject: END-OF-MESSAGE: 550 5.7.1 spam; from=<…> to=<…> proto=ESMTP helo=<…>
//! ```

use super::event::{Event, Peer, Rejection};
use super::tail::Tail;
use super::words::{Action, Cause, Stage};
use super::{cause, scan};
use crate::cursor::Cursor;
use crate::{Reason, Reject};

/// Takes `ACTION: `, if that is next.
pub(super) fn action(cursor: &mut Cursor<'_>) -> Option<Action> {
    let rest = cursor.rest();
    let length = rest.iter().take(24).position(|byte| *byte == b':')?;
    let word = &rest[..length];
    let action = match Action::of(word) {
        Some(Action::Other | Action::MilterCheck) => None,
        None if word.starts_with(b"milter-header-") || word.starts_with(b"milter-body-") => Some(Action::MilterCheck),
        found => found,
    }?;
    if rest.get(length + 1) != Some(&b' ') {
        return None;
    }
    cursor.skip(length + 2);
    Some(action)
}

/// Reads on behind `ACTION: `.
pub(super) fn read<'a>(
    mut cursor: Cursor<'a>,
    queue_id: Option<&'a [u8]>,
    action: Action,
) -> Result<Event<'a>, Reject> {
    let start = cursor;
    let rest = cursor.rest();
    let Some(length) = rest.iter().position(|byte| matches!(byte, b' ' | b':')) else {
        return cursor.reject(Reason::Truncated, "stage");
    };
    let word = &rest[..length];
    cursor.skip(length);
    let stage = match word {
        b"header" => return content(cursor, queue_id, action, Stage::Header),
        b"body" => return content(cursor, queue_id, action, Stage::Body),
        b"content" | b"mime-error" => return content(cursor, queue_id, action, Stage::Content),
        b"connect" => Stage::Connect,
        b"TLS" => Stage::StartTls,
        word if !word.is_empty() && word.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-') => {
            Stage::of(word).unwrap_or(Stage::Other)
        }
        _ => return start.reject(Reason::Grammar, "stage"),
    };
    if word == b"DATA" || word == b"BDAT" {
        cursor.take_text(b" content");
    }
    let mut client = Peer::default();
    if cursor.take_text(b" from ") {
        client = scan::peer(&mut cursor, "client")?;
    }
    cursor.expect_text(b": ", "client")?;
    // postscreen does not look for the client's name: it writes `[ADDRESS]:PORT`.
    let is_postscreen = client.name.is_empty() && !client.address.is_empty();
    let mut rejection = reply(cursor.rest(), is_postscreen);
    (rejection.queue_id, rejection.action, rejection.stage, rejection.client) = (queue_id, action, stage, client);
    rejection.cause = match action {
        Action::MilterReject | Action::MilterDiscard | Action::MilterHold => Cause::Milter,
        Action::ProxyAccept | Action::ProxyReject => Cause::Proxy,
        Action::Reject | Action::RejectWarning | Action::Abort => cause::of(rejection.code, rejection.text),
        _ => Cause::Access,
    };
    Ok(Event::Reject(rejection))
}

/// `[CODE ][ENHANCED ]TEXT` and the tail.
fn reply(text: &[u8], is_postscreen: bool) -> Rejection<'_> {
    let (text, tail) = if is_postscreen { Tail::split_postscreen(text) } else { Tail::split(text) };
    let (code, text) = code(text);
    let (enhanced, text) = enhanced(text);
    with(tail, code, enhanced, text)
}

/// `CONTENT from ORIGIN; from=<…> … helo=<…>[: [CODE ][ENHANCED ]TEXT]`, behind the class of what a check has found. The content is the
/// sender's, at most 200 bytes of it; checks of the SMTP client have no tail.
fn content<'a>(
    mut cursor: Cursor<'a>,
    queue_id: Option<&'a [u8]>,
    action: Action,
    stage: Stage,
) -> Result<Event<'a>, Reject> {
    cursor.expect(b' ', "content")?;
    let (found, tail) = Tail::split(cursor.rest());
    let (code, remark) = code(tail.remark);
    let (enhanced, remark) = enhanced(remark);
    let mut rejection = with(tail, code, enhanced, remark);
    (rejection.queue_id, rejection.action, rejection.stage) = (queue_id, action, stage);
    rejection.cause = Cause::Content;
    rejection.content = found;
    if let Some(from) = memchr::memmem::rfind(found, b" from ") {
        let mut origin = Cursor::new(found, from + 6);
        if let Ok(client) = scan::peer(&mut origin, "client") {
            rejection.client = client;
        }
        if !found[from + 6..].contains(&b' ') {
            rejection.content = &found[..from];
        }
    }
    Ok(Event::Reject(rejection))
}

/// Puts the parts together that every form has.
fn with<'a>(tail: Tail<'a>, code: Option<u16>, enhanced: &'a [u8], text: &'a [u8]) -> Rejection<'a> {
    Rejection {
        queue_id: None,
        action: Action::Other,
        stage: Stage::Other,
        client: Peer::default(),
        code,
        enhanced,
        text,
        cause: Cause::Other,
        content: &[],
        from: tail.from,
        to: tail.to,
        proto: tail.proto,
        helo: tail.helo,
        sasl_method: tail.sasl_method,
        sasl_username: tail.sasl_username,
    }
}

/// Takes three digits and a space from the left.
fn code(text: &[u8]) -> (Option<u16>, &[u8]) {
    match text {
        [class @ b'2'..=b'5', tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..]
            if rest.first().is_none_or(|byte| *byte == b' ') =>
        {
            let code = [class, tens, ones].iter().fold(0, |code, digit| code * 10 + u16::from(**digit - b'0'));
            (Some(code), rest.strip_prefix(b" ").unwrap_or(rest))
        }
        _ => (None, text),
    }
}

/// Takes an enhanced status code and a space from the left.
fn enhanced(text: &[u8]) -> (&[u8], &[u8]) {
    let (code, rest) = text.split_at(scan::enhanced_length(text));
    match rest {
        [] => (code, rest),
        [b' ', rest @ ..] if !code.is_empty() => (code, rest),
        _ => (&[], text),
    }
}
