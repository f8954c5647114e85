//! What a check found out, as lines on checks and on servers tell it.
//!
//! ```text
//! , reason: Layer7 wrong status, code: 500, info: "Status", check duration: 0ms
//! ```
//!
//! HAProxy writes quotes and unprintable bytes of the information as `<XX>`: the next quote ends it.

use super::{OTHER, take_number};
use crate::cursor::Cursor;

/// Descriptions of check states (`check.c`), and the words that labels have for them.
const REASONS: [(&str, &str); 19] = [
    ("Unknown", "unknown"),
    ("Initializing", "initializing"),
    ("No status change", "no_status_change"),
    ("Health analyze", "health_analyze"),
    ("Socket error", "socket_error"),
    ("Layer4 check passed", "layer4_check_passed"),
    ("Layer4 timeout", "layer4_timeout"),
    ("Layer4 connection problem", "layer4_connection_problem"),
    ("Layer6 check passed", "layer6_check_passed"),
    ("Layer6 timeout", "layer6_timeout"),
    ("Layer6 invalid response", "layer6_invalid_response"),
    ("Layer7 timeout", "layer7_timeout"),
    ("Layer7 invalid response", "layer7_invalid_response"),
    ("Layer7 check passed", "layer7_check_passed"),
    ("Layer7 check conditionally passed", "layer7_check_conditionally_passed"),
    ("Layer7 wrong status", "layer7_wrong_status"),
    ("External check error", "external_check_error"),
    ("External check timeout", "external_check_timeout"),
    ("External check passed", "external_check_passed"),
];

/// What a check found out. What the line does not say is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Details<'a> {
    /// The check's state as a word, for example `layer4_timeout`; `other` for one that is not known.
    pub reason: Option<&'static str>,
    /// The status code of the answer, or that of the program that checked.
    pub code: Option<i64>,
    /// More in words, some of them the server's or its agent's.
    pub info: Option<&'a [u8]>,
    /// How long the check took, in milliseconds.
    pub check_duration_ms: Option<u64>,
    /// True when the line ends inside what is told here.
    pub truncated: bool,
}

impl<'a> Details<'a> {
    /// Takes what is there. The details are empty when the line goes on with something else.
    pub(super) fn take(cursor: &mut Cursor<'a>) -> Self {
        let mut details = Self::default();
        if !cursor.take_text(b", reason: ") {
            details.truncated = is_cut(cursor, &[b", reason: "]);
            return details;
        }
        details.reason = Self::take_reason(cursor);
        if cursor.take_text(b", code: ") {
            let is_negative = cursor.take(b'-');
            let code = take_number(cursor).and_then(|code| i64::try_from(code).ok());
            details.code = code.map(|code| if is_negative { -code } else { code });
        }
        if cursor.take_text(b", info: \"") {
            let info = cursor.take_until(b"\"");
            details.truncated = info.is_none();
            details.info = Some(info.unwrap_or_else(|| cursor.take_rest()));
        }
        if cursor.take_text(b", check duration: ") {
            details.check_duration_ms = take_number(cursor);
            if !cursor.take_text(b"ms") {
                details.check_duration_ms = None;
            }
        }
        details.truncated |= cursor.rest().is_empty();
        details
    }

    /// A known description, or what stands before the next delimiter. `None` when it is cut.
    fn take_reason(cursor: &mut Cursor<'a>) -> Option<&'static str> {
        if let Some((text, word)) = REASONS.iter().find(|(text, _)| {
            let rest = cursor.rest().strip_prefix(text.as_bytes());
            rest.is_some_and(|rest| matches!(rest.first(), None | Some(b',' | b'.' | b' ')))
        }) {
            cursor.take_text(text.as_bytes());
            return Some(word);
        }
        let rest = cursor.rest();
        let end = memchr::memchr2(b',', b'.', rest);
        let description = &rest[..end.unwrap_or(rest.len())];
        cursor.take_text(description);
        end.map(|_| OTHER)
    }
}

/// True when the line ends inside one of `texts`, which could come next.
pub(super) fn is_cut(cursor: &Cursor<'_>, texts: &[&[u8]]) -> bool {
    texts.iter().any(|text| text.starts_with(cursor.rest()))
}
