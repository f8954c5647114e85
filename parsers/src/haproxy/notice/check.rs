//! Lines on checks: `option log-health-checks`.
//!
//! ```text
//! Health check for backup server app/spare1 failed, reason: Layer7 wrong status, code: 500, info: "Status", check duration: 0ms, status: 1/2 UP.
//! Agent check for server app/app1 succeeded, reason: Layer7 check passed, code: 0, info: "via agent : up", check duration: 0ms, status: 1/1 UP.
//! ```

use super::details::Details;
use super::{take_names, take_number, take_phrase};
use crate::cursor::Cursor;
use crate::haproxy::split_at;
use crate::{Reason, Reject};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckResult {
    /// It passed.
    Succeeded,
    /// It passed, but the server is to get no new sessions (`http-check disable-on-404`).
    ConditionallySucceeded,
    /// It failed.
    Failed,
}

impl CheckResult {
    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::ConditionallySucceeded => "conditionally_succeeded",
            Self::Failed => "failed",
        }
    }
}

const RESULTS: [(&[u8], CheckResult); 3] = [
    (b"succeeded", CheckResult::Succeeded),
    (b"conditionally succeeded", CheckResult::ConditionallySucceeded),
    (b"failed", CheckResult::Failed),
];

/// The end of a check that changed something. HAProxy writes no line when nothing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthCheck<'a> {
    /// `BACKEND/SERVER`
    names: &'a [u8],
    /// What stands behind the result.
    rest: &'a [u8],
    /// How it ended.
    pub result: CheckResult,
    /// True for an agent check.
    pub is_agent: bool,
    /// True when the server is a backup.
    pub is_backup: bool,
}

/// Where the server stands after a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status<'a> {
    /// Checks in a row that speak for the state.
    pub health: u64,
    /// Checks in a row at which the state is certain: `fall` of a server that is up, `rise` of one that is not.
    pub threshold: u64,
    /// `UP`, `DOWN` or `DRAIN`.
    pub state: &'a [u8],
}

impl<'a> HealthCheck<'a> {
    /// The backend's name.
    pub fn backend_name(&self) -> &'a [u8] {
        split_at(self.names, b'/').0
    }

    /// The server's name.
    pub fn server_name(&self) -> &'a [u8] {
        split_at(self.names, b'/').1
    }

    /// What the check found out.
    pub fn details(&self) -> Details<'a> {
        Details::take(&mut Cursor::new(self.rest, 0))
    }

    /// Where the server stands now; `None` when the line is cut.
    pub fn status(&self) -> Option<Status<'a>> {
        let mut cursor = Cursor::new(self.rest, 0);
        Details::take(&mut cursor);
        if !cursor.take_text(b", status: ") {
            return None;
        }
        let health = take_number(&mut cursor)?;
        cursor.expect(b'/', "").ok()?;
        let threshold = take_number(&mut cursor)?;
        cursor.expect(b' ', "").ok()?;
        let state = cursor.take_rest().strip_suffix(b".")?;
        matches!(state, b"UP" | b"DOWN" | b"DRAIN").then_some(Status { health, threshold, state })
    }

    /// True when the line was cut on its way: a whole one ends in the status and a full stop.
    pub fn truncated(&self) -> bool {
        !self.rest.ends_with(b".") || self.details().truncated
    }
}

/// Reads on from `[backup ]server `.
pub(super) fn parse(mut cursor: Cursor<'_>, is_agent: bool) -> Result<HealthCheck<'_>, Reject> {
    let Some(is_backup) = take_phrase(&mut cursor, &[(b"server ", false), (b"backup server ", true)], "backend_name")?
    else {
        return cursor.reject(Reason::Delimiter, "backend_name");
    };
    let names = take_names(&mut cursor)?;
    let Some(result) = take_phrase(&mut cursor, &RESULTS, "result")? else {
        return cursor.reject(Reason::Grammar, "result");
    };
    let rest = cursor.rest();
    if !rest.is_empty() && !rest.starts_with(b",") {
        return cursor.reject(Reason::Delimiter, "result");
    }
    Ok(HealthCheck { names, rest, result, is_agent, is_backup })
}
