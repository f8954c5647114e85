//! What became of a message: the words of LMTP, of dovecot-lda and of Sieve.
//!
//! ```text
//! msgid=<m0@example.org>: saved mail to INBOX                                       `deliver_log_format`
//! msgid=unspecified: save failed to INBOX: Quota exceeded (mailbox for user is full)
//! sieve: msgid=<m0@example.org>: fileinto action: stored mail into mailbox 'Lists'
//! sieve: msgid=<m0@example.org>: redirect action: forwarded to <dave@example.org>
//! sieve: msgid=<m0@example.org>: reject action: rejected message from <carol@example.org> (reject)
//! relay: Successfully relayed message: from=<alice@example.net>, size=21, …         submission
//! ```
//!
//! A sender chooses the message id, and Dovecot takes the quotes off it, so it may hold `>: saved mail to INBOX`. At
//! least it ends with `@`, a domain without spaces, and `>`: the program's words follow the last such end. A sender's
//! address, which a phrase of Sieve can hold, may imitate such an end as well; but only between quotes, and the phrase that
//! it imitates does not end as it should.

use memchr::memmem::{find, find_iter, rfind};

use super::behind;

/// What was done with a message. As a label, [`Action::as_str`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// It is in a mailbox.
    Stored,
    /// It was sent on to another address, or relayed.
    Forwarded,
    /// It was refused, and the sender is told.
    Rejected,
    /// It was dropped as a script wants it.
    Discarded,
    /// What should have been done could not be done.
    Failed,
}

impl Action {
    /// Every action, in the order of the catalogue.
    pub const ALL: [Self; 5] = [Self::Stored, Self::Forwarded, Self::Rejected, Self::Discarded, Self::Failed];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Forwarded => "forwarded",
            Self::Rejected => "rejected",
            Self::Discarded => "discarded",
            Self::Failed => "failed",
        }
    }
}

/// What became of a message, by the text of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome<'a> {
    /// `None` for a phrase that nothing counts.
    pub(super) action: Option<Action>,
    pub(super) msgid: &'a [u8],
    pub(super) mailbox: &'a [u8],
}

/// Words of the program: how a phrase begins and ends.
struct Phrase {
    start: &'static [u8],
    end: &'static [u8],
    action: Option<Action>,
    /// True when what stands between is a mailbox.
    mailbox: bool,
}

const fn phrase(start: &'static [u8], end: &'static [u8], action: Action, mailbox: bool) -> Phrase {
    Phrase { start, end, action: Some(action), mailbox }
}

const fn uncounted(start: &'static [u8], end: &'static [u8]) -> Phrase {
    Phrase { start, end, action: None, mailbox: false }
}

/// What Sieve says about a message.
const SIEVE: [Phrase; 24] = [
    phrase(b"stored mail into mailbox '", b"'", Action::Stored, true),
    phrase(b"forwarded to <", b">", Action::Forwarded, false),
    phrase(b"rejected message from <", b"> (reject)", Action::Rejected, false),
    phrase(b"rejected message from <", b"> (ereject)", Action::Rejected, false),
    phrase(
        b"Marked message to be discarded if not explicitly delivered",
        b"(discard action)",
        Action::Discarded,
        false,
    ),
    phrase(
        b"marked message to be discarded if not explicitly delivered",
        b"(discard action)",
        Action::Discarded,
        false,
    ),
    phrase(b"failed to store into mailbox '", b"", Action::Failed, false),
    phrase(b"failed to redirect message to <", b" failure)", Action::Failed, false),
    uncounted(b"sent vacation response to <", b">"),
    uncounted(b"discarded vacation reply to ", b">"),
    uncounted(b"discarded vacation reply to ", b" argument)"),
    uncounted(b"discarded duplicate vacation response to <", b">"),
    uncounted(b"discarding vacation response ", b""),
    uncounted(b"not sending vacation ", b""),
    uncounted(b"failed to send ", b" error)"),
    uncounted(b"failed to send ", b" failure)"),
    uncounted(b"discarded duplicate forward to <", b">"),
    uncounted(b"not forwarding message to <", b" loop"),
    uncounted(b"not sending reject message", b""),
    uncounted(b"left message in mailbox '", b"'"),
    uncounted(b"store into mailbox '", b"ed"),
    uncounted(b"piped message to program ", b"'"),
    uncounted(b"sent mail notification to ", b""),
    uncounted(b"not sending notification ", b""),
];

/// What LMTP and dovecot-lda say about a message themselves.
const DELIVER: [Phrase; 4] = [
    phrase(b"saved mail to ", b"", Action::Stored, true),
    phrase(b"save failed to ", b"", Action::Failed, false),
    phrase(b"rejected: ", b"", Action::Rejected, false),
    phrase(b"discarded", b"", Action::Discarded, false),
];

/// What submission says about a message.
const RELAY: [Phrase; 2] = [
    phrase(b"Successfully relayed message: ", b"", Action::Forwarded, false),
    phrase(b"Failed to relay message: ", b"", Action::Failed, false),
];

/// Finds out what became of the message that `text` is about; `None` where it is in no table.
pub(super) fn read(text: &[u8]) -> Option<Outcome<'_>> {
    let text = unnamed(text);
    if let Some(text) = text.strip_prefix(b"sieve: msgid=") {
        return about(text, &SIEVE);
    }
    if let Some(text) = text.strip_prefix(b"msgid=") {
        return about(text, &DELIVER);
    }
    let text = behind(text, b"relay: ");
    RELAY.iter().find_map(|phrase| phrase.outcome(&[], text, true))
}

/// The same for a `deliver_log_format` of the operator's own, which may end with the message.
pub(super) fn read_custom(text: &[u8]) -> Option<Outcome<'_>> {
    let found = DELIVER[..3].iter().filter_map(|phrase| Some((rfind(text, phrase.start)?, phrase)));
    let (at, phrase) = found.max_by_key(|(at, _)| *at)?;
    if at > 0 && text[at - 1] != b' ' {
        return None;
    }
    phrase.outcome(&[], &text[at..], true)
}

/// Dovecot 2.2 writes the session's id before the message.
fn unnamed(text: &[u8]) -> &[u8] {
    match find(text, b": ") {
        Some(at) if at > 5 && !text[..at].iter().any(|byte| b" =<".contains(byte)) => {
            let rest = &text[at + 2..];
            if rest.starts_with(b"msgid=") || rest.starts_with(b"sieve: msgid=") { rest } else { text }
        }
        _ => text,
    }
}

impl Phrase {
    /// What `text` says, if it is this phrase; `whole` when it may not be cut.
    fn outcome<'a>(&self, msgid: &'a [u8], text: &'a [u8], whole: bool) -> Option<Outcome<'a>> {
        let rest = text.strip_prefix(self.start)?;
        let mailbox = match rest.strip_suffix(self.end) {
            Some(rest) => rest,
            None if whole => return None,
            None => rest,
        };
        Some(Outcome { action: self.action, msgid, mailbox: if self.mailbox { mailbox } else { &[] } })
    }
}

/// How long a message id can be: Dovecot cuts it at 200 bytes.
const MSGID: usize = 203;

/// Finds the phrase behind the message id: the last whole one behind something that can be an id, without quotes if
/// possible; or, where the line is cut inside it, the only one.
fn about<'a>(text: &'a [u8], phrases: &[Phrase]) -> Option<Outcome<'a>> {
    let ends = || find_iter(text, b": ").take_while(|at| *at <= MSGID).filter(|at| is_msgid(&text[..*at]));
    let behind = |at: usize, whole: bool| {
        let rest = named(&text[at + 2..]);
        phrases.iter().find_map(|phrase| phrase.outcome(&text[..at], rest, whole))
    };
    let unquoted = ends().filter(|at| !text[..*at].contains(&b'"')).filter_map(|at| behind(at, true)).last();
    let whole = unquoted.or_else(|| ends().filter_map(|at| behind(at, true)).last());
    whole.or_else(|| if ends().count() == 1 { behind(ends().next()?, false) } else { None })
}

/// True for what can be a whole message id as Dovecot writes it.
fn is_msgid(text: &[u8]) -> bool {
    if let Some(text) = text.strip_prefix(b"<").and_then(|text| text.strip_suffix(b">")) {
        let domain = memchr::memrchr(b'@', text).map(|at| &text[at + 1..]);
        return domain.is_some_and(|domain| !domain.iter().any(|byte| b" \t<>:\"".contains(byte)));
    }
    text.is_empty() || text == b"unspecified" || text.len() + 10 >= MSGID && text.ends_with(b"...")
}

/// Takes `NAME action: ` off, which later versions write before a phrase.
fn named(text: &[u8]) -> &[u8] {
    match find(text, b" action: ") {
        Some(at)
            if at <= 32 && text[..at].iter().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'_')) =>
        {
            &text[at + b" action: ".len()..]
        }
        _ => text,
    }
}
