//! Lines on the state and the addresses of servers.
//!
//! ```text
//! Server app/app1 is DOWN, reason: Layer4 timeout, check duration: 2001ms. 1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.
//! Backup Server app/spare1 is UP/READY (leaving forced maintenance).
//! Server app/app2 is going DOWN for maintenance (No IP for server ) via web/app2. 1 active and 1 backup servers left. …
//! Server app/app3 ('app3.example.net') is UP/READY (resolves again).
//! app/app3 changed its IP from 192.0.2.7 to 192.0.2.8 by DNS cache.
//! ```

use super::details::{Details, is_cut};
use super::{take_names, take_number, take_phrase};
use crate::cursor::Cursor;
use crate::haproxy::split_at;
use crate::{Reason, Reject};

/// What became of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerChange {
    /// Checks found it to be there, or somebody said so.
    Up,
    /// Checks found it not to be there, or somebody said so; also when it left maintenance or drain that way.
    Down,
    /// It gets no new sessions but those bound to it (`disable-on-404`).
    Stopping,
    /// Its maintenance begins.
    Maintenance,
    /// It is to get no new sessions but those bound to it, because somebody said so.
    Drain,
    /// Its maintenance or drain is over, and it is there.
    Ready,
    /// One reason for its maintenance came or went, another one remains.
    RemainsInMaintenance,
    /// The same for its drain.
    RemainsInDrain,
    /// It has an address again: another line tells what becomes of it.
    Resolved,
    /// Something else.
    Other,
}

impl ServerChange {
    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Stopping => "stopping",
            Self::Maintenance => "maintenance",
            Self::Drain => "drain",
            Self::Ready => "ready",
            Self::RemainsInMaintenance => "remains_in_maintenance",
            Self::RemainsInDrain => "remains_in_drain",
            Self::Resolved => "resolved",
            Self::Other => super::OTHER,
        }
    }
}

/// The phrases of `server.c`. A phrase stands before those that begin like it.
const CHANGES: [(&[u8], ServerChange); 16] = [
    (b"is DOWN/READY", ServerChange::Down),
    (b"is DOWN/DRAIN", ServerChange::Down),
    (b"is DOWN", ServerChange::Down),
    (b"is UP/READY", ServerChange::Ready),
    (b"is UP/DRAIN", ServerChange::Drain),
    (b"is UP", ServerChange::Up),
    (b"is stopping", ServerChange::Stopping),
    (b"is going DOWN for maintenance", ServerChange::Maintenance),
    (b"was DOWN and now enters maintenance", ServerChange::Maintenance),
    (b"enters drain state", ServerChange::Drain),
    (b"is leaving forced maintenance but remains in maintenance", ServerChange::RemainsInMaintenance),
    (b"resolves again but remains in maintenance", ServerChange::RemainsInMaintenance),
    (b"remains in forced maintenance", ServerChange::RemainsInMaintenance),
    (b"is leaving forced drain but remains in drain mode", ServerChange::RemainsInDrain),
    (b"remains in forced drain mode", ServerChange::RemainsInDrain),
    (b"remains in drain mode", ServerChange::RemainsInDrain),
];
const LEAVING: &[u8] = b" (leaving ";
const RESOLVED: &[u8] = b"administratively READY thanks to valid DNS answer";

/// A change of a server's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerState<'a> {
    /// `BACKEND/SERVER`
    names: &'a [u8],
    /// What stands behind the phrase.
    rest: &'a [u8],
    /// What became of it.
    pub change: ServerChange,
    /// True when the server is a backup.
    pub is_backup: bool,
}

/// What the backend is left with. Counts that the line does not have are `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// Servers that can be used and are no backups.
    pub active_servers: u64,
    /// Backup servers that can be used.
    pub backup_servers: u64,
    /// Sessions that the server still has.
    pub sessions_active: Option<u64>,
    /// Sessions that had been queued at the server, and now wait for another one.
    pub sessions_requeued: Option<u64>,
    /// Sessions in the server's queue.
    pub sessions_queued: Option<u64>,
}

/// What stands behind the phrase.
#[derive(Clone, Copy)]
struct Behind<'a> {
    cause: Option<&'a [u8]>,
    details: Details<'a>,
    via: Option<&'a [u8]>,
    remaining: Option<Remaining>,
}

impl<'a> ServerState<'a> {
    /// The backend's name.
    pub fn backend_name(&self) -> &'a [u8] {
        split_at(self.names, b'/').0
    }

    /// The server's name.
    pub fn server_name(&self) -> &'a [u8] {
        split_at(self.names, b'/').1
    }

    /// Why, in HAProxy's words, unless a check is to blame: `changed from CLI`, `leaving forced maintenance`.
    pub fn cause(&self) -> Option<&'a [u8]> {
        self.behind().cause
    }

    /// What the check found out that is to blame.
    pub fn details(&self) -> Details<'a> {
        self.behind().details
    }

    /// The server that this one follows (`track`), `BACKEND/SERVER`.
    pub fn via(&self) -> Option<&'a [u8]> {
        self.behind().via
    }

    /// What the backend is left with.
    pub fn remaining(&self) -> Option<Remaining> {
        self.behind().remaining
    }

    /// True when the line was cut on its way: a whole one ends in a full stop.
    pub fn truncated(&self) -> bool {
        !self.rest.ends_with(b".") || self.behind().details.truncated
    }

    fn behind(&self) -> Behind<'a> {
        let mut cursor = Cursor::new(self.rest, 0);
        let mut cause = cursor.take_text(b" (").then(|| cursor.take_until(b")")).flatten();
        let details = Details::take(&mut cursor);
        if details.reason.is_none() && cursor.take_text(b", ") {
            cause = Some(take_sentence(&mut cursor));
        }
        let via = cursor.take_text(b" via ").then(|| take_sentence(&mut cursor));
        Behind { cause, details, via, remaining: take_remaining(&mut cursor) }
    }
}

/// Takes what stands before the full stop that ends the line, or that a space follows, but not the stop.
fn take_sentence<'a>(cursor: &mut Cursor<'a>) -> &'a [u8] {
    let rest = cursor.rest();
    let end = memchr::memmem::find(rest, b". ");
    let sentence = end.map_or_else(|| rest.strip_suffix(b".").unwrap_or(rest), |end| &rest[..end]);
    cursor.take_text(sentence);
    sentence
}

/// Takes `. N active and N backup servers …`, and the sessions behind it.
fn take_remaining(cursor: &mut Cursor<'_>) -> Option<Remaining> {
    cursor.expect_text(b". ", "").ok()?;
    let active_servers = take_number(cursor)?;
    cursor.expect_text(b" active and ", "").ok()?;
    let backup_servers = take_number(cursor)?;
    let mut remaining = Remaining {
        active_servers,
        backup_servers,
        sessions_active: None,
        sessions_requeued: None,
        sessions_queued: None,
    };
    if cursor.take_text(b" backup servers left.") || cursor.take_text(b" backup servers online.") {
        cursor.take_text(b" Running on backup.");
        cursor.take_text(b" ");
        let mut number = take_number(cursor);
        if cursor.take_text(b" sessions active, ") {
            remaining.sessions_active = number;
            number = take_number(cursor);
        }
        if cursor.take_text(b" requeued, ") || cursor.take_text(b" sessions requeued, ") {
            remaining.sessions_requeued = number;
            number = take_number(cursor);
        }
        if cursor.take_text(b" remaining in queue") || cursor.take_text(b" total in queue") {
            remaining.sessions_queued = number;
        }
    }
    Some(remaining)
}

/// Reads on from the names.
pub(super) fn parse(mut cursor: Cursor<'_>, is_backup: bool) -> Result<ServerState<'_>, Reject> {
    let names = take_names(&mut cursor)?;
    if cursor.take(b'(') {
        take_hostname(&mut cursor)?;
    }
    let change = if cursor.take_text(RESOLVED) {
        ServerChange::Resolved
    } else if is_cut(&cursor, &[RESOLVED]) {
        return cursor.reject(Reason::Truncated, "state");
    } else {
        take_change(&mut cursor)?
    };
    Ok(ServerState { names, rest: cursor.rest(), change, is_backup })
}

/// Takes `'NAME') `, where the name may come from DNS.
fn take_hostname(cursor: &mut Cursor<'_>) -> Result<(), Reject> {
    cursor.expect(b'\'', "state")?;
    let start = *cursor;
    let name = cursor.until(b'\'', "state")?;
    // HAProxy takes no other names.
    if !name.iter().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(byte)) {
        return start.reject(Reason::Grammar, "state");
    }
    cursor.expect_text(b") ", "state")
}

fn take_change(cursor: &mut Cursor<'_>) -> Result<ServerChange, Reject> {
    let change = take_phrase(cursor, &CHANGES, "state")?.unwrap_or(ServerChange::Other);
    let rest = cursor.rest();
    match (change, rest.first()) {
        (ServerChange::Up, None | Some(b' ' | b',' | b'.' | b'/')) => {}
        (_, None | Some(b' ' | b',' | b'.')) => return Ok(change),
        // `is DOWN/REA`
        (ServerChange::Down, Some(b'/')) => return Ok(change),
        _ => return Ok(ServerChange::Other),
    }
    // `is UP (leaving forced drain)`: no check found anything. What it is shows behind the word.
    match rest.strip_prefix(LEAVING) {
        Some(_) => Ok(ServerChange::Ready),
        None if is_cut(cursor, &[LEAVING, b"/READY", b"/DRAIN"]) => cursor.reject(Reason::Truncated, "state"),
        None => Ok(change),
    }
}

/// A server that gets another address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerAddress<'a> {
    /// `BACKEND/SERVER`
    names: &'a [u8],
}

impl<'a> ServerAddress<'a> {
    /// Reads `BACKEND/SERVER changed its …` (to 2.9) and `BACKEND/SERVER: … changed from …` (from 3.0).
    pub(super) fn parse(message: &'a [u8]) -> Option<Self> {
        let (names, rest) = split_at(message, b' ');
        let words = [&b"changed its "[..], b"IP changed from ", b"port changed from ", b"FQDN changed from "];
        let is_change = words.iter().any(|words| rest.starts_with(words));
        let names = names.strip_suffix(b":").unwrap_or(names);
        let (backend, server) = split_at(names, b'/');
        (is_change && !backend.is_empty() && !server.is_empty()).then_some(Self { names })
    }

    /// The backend's name.
    pub fn backend_name(&self) -> &'a [u8] {
        split_at(self.names, b'/').0
    }

    /// The server's name.
    pub fn server_name(&self) -> &'a [u8] {
        split_at(self.names, b'/').1
    }
}
