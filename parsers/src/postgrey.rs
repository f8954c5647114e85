//! postgrey, the greylisting policy server of Postfix.
//!
//! ```text
//! action=pass, reason=triplet found, delay=312, client_name=mx.example.org, client_address=192.0.2.1/25, sender=a@b.org, recipient=c@d.org
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
    /// The client's address, and its port where Postfix tells it.
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
        const KNOWN: [&[u8]; 6] =
            [b"cleaning ", b"Process Backgrounded", b"Pid_file ", b"Binding to ", b"Setting ", b"Ignored: "];
        if KNOWN.iter().any(|known| cursor.rest().starts_with(known)) {
            return Ok(Event::Known("server"));
        }
        return cursor.reject(Reason::UnknownForm, "action");
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
    // What is cut from here on is no loss.
    for (name, field) in [
        (&b" client_name="[..], &mut found.client_name),
        (b" client_address=", &mut found.client_address),
        (b" sender=", &mut found.sender),
        (b" recipient=", &mut found.recipient),
    ] {
        if cursor.take_text(name) {
            let is_last = name == b" recipient=";
            *field = match is_last {
                true => cursor.take_rest(),
                false => cursor.until(b',', "client_name").unwrap_or_default(),
            };
        }
    }
    Ok(Event::Action(found))
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
            client_address=192.0.2.1/4711, sender=a@b, reason=triplet found, delay=9, recipient=c@d";
        let Ok(Event::Action(action)) = parse(line) else { panic!("an action") };
        assert_eq!((action.action, action.reason, action.delay_s), (&b"greylist"[..], "new", None));
    }
}
