//! postgrey, the greylisting policy server of Postfix.
//!
//! ```text
//! action=pass, reason=triplet found, delay=312, client_name=mx.example.org, client_address=192.0.2.1, sender=a@b.org, recipient=c@d.org
//!
//! line   = [ queue id ": " ] "action=" word ", reason=" reason { ", " name "=" value }
//! reason = "new" | "early-retry (" N "s missing)" | "triplet found" | "client whitelist" | "recipient whitelist" | "client AWL"
//! ```
//!
//! Sender and recipient come last, and so does what they may imitate.

use crate::cursor::Cursor;
use crate::{Envelope, Field, Reason, Reject, envelope};

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A request was answered.
    Action(Action<'a>),
    /// The server tells of itself: nothing to count.
    Known(&'static str),
}

/// How a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action<'a> {
    /// What Postfix is told: `pass` or `greylist`.
    pub action: &'a [u8],
    /// Why, as a word: see [`REASONS`].
    pub reason: &'static str,
    /// Seconds between the first attempt and this one, where the triplet is found.
    pub delay_s: Option<u64>,
    /// The client's name.
    pub client_name: &'a [u8],
    /// The client's address; some versions add the length of its prefix, as `192.0.2.1/32`.
    pub client_address: &'a [u8],
    /// The envelope's sender and recipient.
    pub sender: &'a [u8],
    /// See `sender`.
    pub recipient: &'a [u8],
}

/// What the log calls each reason, and what it is called here. Anything else is `other`.
pub const REASONS: [(&str, &str); 6] = [
    ("new", "new"),
    ("early-retry", "early_retry"),
    ("triplet found", "triplet_found"),
    ("client whitelist", "client_whitelist"),
    ("recipient whitelist", "recipient_whitelist"),
    ("client AWL", "client_auto_whitelist"),
];

/// Longest delay: a century.
const MAX_DELAY_S: u64 = 100 * 366 * 86_400;

/// True when `program` is postgrey.
pub fn is_program(program: &[u8]) -> bool {
    program == b"postgrey"
}

/// Reads a whole line.
///
/// # Errors
/// It is none of postgrey's.
pub fn parse(line: &[u8]) -> Result<Event<'_>, Reject> {
    read(line, &envelope::detect(line))
}

/// Reads the message of a line.
///
/// # Errors
/// It is none of postgrey's.
pub fn read<'a>(line: &'a [u8], envelope: &Envelope<'a>) -> Result<Event<'a>, Reject> {
    let mut cursor = Cursor::new(line.get(..envelope.end).unwrap_or(line), envelope.start);
    let queue_id = cursor.rest().iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    if queue_id > 0 && cursor.rest().get(queue_id..).is_some_and(|rest| rest.starts_with(b": action=")) {
        cursor.until(b' ', "queue_id")?;
    }
    if !cursor.take_text(b"action=") {
        return match known(cursor.rest()) {
            Some(kind) => Ok(Event::Known(kind)),
            None => cursor.reject(Reason::UnknownForm, "action"),
        };
    }
    let action = cursor.until(b',', "action")?;
    cursor.expect_text(b" reason=", "reason")?;
    let reason = cursor.until(b',', "reason")?;
    let reason = REASONS.iter().find(|(text, _)| reason.starts_with(text.as_bytes())).map_or("other", |(_, word)| word);
    let mut found =
        Action { action, reason, delay_s: None, client_name: b"", client_address: b"", sender: b"", recipient: b"" };
    if cursor.take_text(b" delay=") {
        found.delay_s = Some(cursor.number(MAX_DELAY_S, "delay")?);
        cursor.take(b',');
    }
    // What is cut from here on is no loss. Postfix's clients have no comma in name or address; a sender may.
    for (name, field) in
        [(&b" client_name="[..], &mut found.client_name), (b" client_address=", &mut found.client_address)]
    {
        if cursor.take_text(name) {
            *field = cursor.until(b',', "client_name").unwrap_or_default();
        }
    }
    if cursor.take_text(b" sender=") {
        found.sender = cursor.take_until(b", recipient=").unwrap_or_default();
        found.recipient = cursor.take_rest();
    } else if cursor.take_text(b" recipient=") {
        found.recipient = cursor.take_rest();
    }
    Ok(Event::Action(found))
}

/// The kind of a line that only tells how the server works.
fn known(text: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 21] = [
        (b"cleaning ", "cleaning"),
        (b"rm ", "cleaning"),
        (b"whitelisted: ", "whitelisted"),
        (b"unrecognized request type: ", "request"),
        (b"ignoring garbage: ", "request"),
        (b"WARNING: ", "warning"),
        (b"FATAL: ", "warning"),
        (b"correcting date ", "warning"),
        (b"Couldn't ", "warning"),
        (b"Process Backgrounded", "server"),
        (b"Pid_file ", "server"),
        (b"Binding ", "server"),
        (b"Setting ", "server"),
        (b"Group Not Defined", "server"),
        (b"User Not Defined", "server"),
        (b"Resolved ", "server"),
        (b"HUP received", "server"),
        (b"Exiting!", "server"),
        (b"SIG", "server"),
        (b"Accept failed ", "server"),
        (b"Ignored: ", "server"),
    ];
    if let Some((_, kind)) = KNOWN.iter().find(|(start, _)| text.starts_with(start)) {
        return Some(kind);
    }
    // `2026/02/01-12:14:14 Server closing!`: the library below it tells the time once more.
    envelope::has_shape(text, b"0000/00/00-00:00:00 ").then_some("server")
}

impl crate::Event for Event<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Action(_) => "action",
            Self::Known(kind) => kind,
        }
    }

    fn is_ignored(&self) -> bool {
        matches!(self, Self::Known(_))
    }

    fn visit(&self, see: &mut dyn FnMut(&'static str, Field<'_>)) {
        let Self::Action(action) = self else { return };
        see("action", Field::text(action.action));
        see("reason", Field::Text(action.reason.as_bytes()));
        see("delay", action.delay_s.map_or(Field::Missing, |delay| Field::Seconds(delay * 1000)));
        see("client_name", Field::text(action.client_name));
        see("client_address", Field::text(action.client_address));
        see("sender", Field::text(action.sender));
        see("recipient", Field::text(action.recipient));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_sender_changes_nothing() {
        let line = b"Feb  1 12:14:14 mx postgrey[71]: action=greylist, reason=new, client_name=unknown, \
            client_address=192.0.2.1, sender=a@b, reason=triplet found, delay=9, recipient=c@d";
        let Ok(Event::Action(action)) = parse(line) else { panic!("an action") };
        assert_eq!((action.action, action.reason, action.delay_s), (&b"greylist"[..], "new", None));
        assert_eq!(action.recipient, b"c@d");
    }

    #[test]
    fn a_sender_that_is_nobody_is_left_out() {
        let line =
            b"Feb  1 12:14:14 mx postgrey[71]: 4XyzAB1cdEz1: action=greylist, reason=early-retry (20s missing), \
            client_name=a, client_address=192.0.2.1, recipient=c@d";
        let Ok(Event::Action(action)) = parse(line) else { panic!("an action") };
        assert_eq!((action.reason, action.client_address), ("early_retry", &b"192.0.2.1"[..]));
        assert_eq!((action.sender, action.recipient), (&b""[..], &b"c@d"[..]));
    }
}
