//! postscreen: who passes, who fails a test (`postscreen*.c`). Up to 3.5, and with `respectful_logging = no`, lists are
//! called WHITE and BLACK.

use super::event::{Event, Passed, TestFailed};
use super::words::{Pass, Test};
use super::{scan, session};
use crate::cursor::Cursor;
use crate::{Reason, Reject};

/// Reads a line of postscreen that has no queue id; `None` when it is none of these.
pub(super) fn read<'a>(mut cursor: Cursor<'a>) -> Result<Option<Event<'a>>, Reject> {
    const LISTS: [(&[u8], Form); 6] = [
        (b"ALLOWLIST VETO ", Form::Failed(Test::AllowlistVeto)),
        (b"WHITELIST VETO ", Form::Failed(Test::AllowlistVeto)),
        (b"ALLOWLISTED ", Form::Passed(Pass::Allowlist)),
        (b"WHITELISTED ", Form::Passed(Pass::Allowlist)),
        (b"DENYLISTED ", Form::Failed(Test::Denylist)),
        (b"BLACKLISTED ", Form::Failed(Test::Denylist)),
    ];
    const FROM: [(&[u8], Test); 7] = [
        (b"COMMAND TIME LIMIT from ", Test::CommandTimeLimit),
        (b"COMMAND LENGTH LIMIT from ", Test::CommandLengthLimit),
        (b"COMMAND COUNT LIMIT from ", Test::CommandCountLimit),
        (b"COMMAND PIPELINING from ", Test::Pipelining),
        (b"NON-SMTP COMMAND from ", Test::NonSmtpCommand),
        (b"BARE NEWLINE from ", Test::BareNewline),
        (b"DATA without valid RCPT from ", Test::DataWithoutRecipient),
    ];
    match cursor.rest().first() {
        Some(b'C') if cursor.take_text(b"CONNECT from ") => return session::connect(cursor).map(Some),
        Some(b'P') if cursor.take_text(b"PASS NEW ") => return passed(cursor, Pass::New).map(Some),
        Some(b'P') if cursor.take_text(b"PASS OLD ") => return passed(cursor, Pass::Old).map(Some),
        Some(b'P') if cursor.take_text(b"PREGREET ") => return pregreet(cursor).map(Some),
        Some(b'H') if cursor.take_text(b"HANGUP after ") => return hangup(cursor).map(Some),
        Some(b'D') if cursor.take_text(b"DNSBL rank ") => return rank(cursor).map(Some),
        _ => {}
    }
    for (text, form) in LISTS {
        if cursor.take_text(text) {
            return match form {
                Form::Passed(kind) => passed(cursor, kind),
                Form::Failed(test) => failed(cursor, test),
            }
            .map(Some);
        }
    }
    if cursor.take_text(b"BDAT without valid RCPT from ") {
        return failed(cursor, Test::DataWithoutRecipient).map(Some);
    }
    for (text, test) in FROM {
        if cursor.take_text(text) {
            return failed(cursor, test).map(Some);
        }
    }
    Ok(None)
}

/// What a line says of its client.
#[derive(Clone, Copy)]
enum Form {
    Passed(Pass),
    Failed(Test),
}

/// `[ADDRESS]:PORT`
fn passed<'a>(mut cursor: Cursor<'a>, kind: Pass) -> Result<Event<'a>, Reject> {
    let client = scan::peer(&mut cursor, "client")?;
    Ok(Event::Passed(Passed { kind, client }))
}

/// `[ADDRESS]:PORT[ after TEXT]`
fn failed<'a>(mut cursor: Cursor<'a>, test: Test) -> Result<Event<'a>, Reject> {
    let client = scan::peer(&mut cursor, "client")?;
    let text = if cursor.take_text(b" after ") { cursor.take_rest() } else { &[] };
    Ok(Event::TestFailed(TestFailed { test, rank: None, after_ms: None, client, text }))
}

/// `N for [ADDRESS]:PORT`; the score may be negative.
fn rank<'a>(mut cursor: Cursor<'a>) -> Result<Event<'a>, Reject> {
    let sign = if cursor.take(b'-') { -1 } else { 1 };
    let rank = sign * cursor.number(i32::MAX as u64, "rank")? as i32;
    cursor.expect_text(b" for ", "rank")?;
    let client = scan::peer(&mut cursor, "client")?;
    Ok(Event::TestFailed(TestFailed { test: Test::Dnsbl, rank: Some(rank), after_ms: None, client, text: &[] }))
}

/// `BYTES after SECONDS from [ADDRESS]:PORT: TEXT`
fn pregreet<'a>(mut cursor: Cursor<'a>) -> Result<Event<'a>, Reject> {
    cursor.number(u64::MAX, "bytes")?;
    cursor.expect_text(b" after ", "after")?;
    let after_ms = scan::seconds(&mut cursor, "after")?;
    cursor.expect_text(b" from ", "client")?;
    let client = scan::peer(&mut cursor, "client")?;
    let text = if cursor.take_text(b": ") { cursor.take_rest() } else { &[] };
    Ok(Event::TestFailed(TestFailed { test: Test::Pregreet, rank: None, after_ms: Some(after_ms), client, text }))
}

/// `SECONDS from [ADDRESS]:PORT in tests before|after SMTP handshake`
fn hangup<'a>(mut cursor: Cursor<'a>) -> Result<Event<'a>, Reject> {
    let after_ms = scan::seconds(&mut cursor, "after")?;
    cursor.expect_text(b" from ", "client")?;
    let client = scan::peer(&mut cursor, "client")?;
    if cursor.rest().is_empty() {
        return cursor.reject(Reason::Truncated, "text");
    }
    let text = if cursor.take_text(b" in ") { cursor.take_rest() } else { &[] };
    Ok(Event::TestFailed(TestFailed { test: Test::Hangup, rank: None, after_ms: Some(after_ms), client, text }))
}
