//! Halon, the MTA: lines that its logging scripts write, one JSON object each.
//!
//! ```text
//! {"action":"DELIVER","reason":"Ok: queued","queue":{"retry":0,"errorcode":250,"totalduration":1.2},"transportid":"mx","finishedtime":1769925607125}
//! {"action":"REJECT","reason":"Spam","serverid":"inbound","transportid":"mx","size":3644,"receivedtime":1769925606000}
//! {"action":"bounced","smtpcode":550,"transportid":"mx","size":3644,"received":1769925606000,"@timestamp":1769925607125}
//!
//! line = [ '{"update":{"doc":' ] object
//! ```
//!
//! Halon itself prescribes no format: scripts at its hooks log what the site wants. Its public scripts for Elasticsearch set the
//! names: one of them logs *transactions* (`serverid`, `receivedtime`, and at each attempt `queue` and `finishedtime`), another
//! delivery *attempts* (`received`, `@timestamp`, `smtpcode`). Either is read, also with all members in one object, with those of `queue`
//! beside the others, and with the object inside of a `doc`. Members that are not known are the site's own. Times are in milliseconds; in seconds
//! they are so much smaller that they cannot be mistaken.

use crate::json::{self, Member, Members};
use crate::{Envelope, Field, Reason, Reject, envelope};

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// What became of a message, or of an attempt to deliver it.
    Delivery(Message<'a>),
    /// A message was taken into the queue.
    Reception(Message<'a>),
    /// Known, and nothing to count: the line before an object in a batch for Elasticsearch (`bulk`).
    Known(&'static str),
}

/// A message, and what was done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// One of [`ACTIONS`], or `other`.
    pub action: &'static str,
    /// The server that it came by, as the configuration calls it.
    pub serverid: &'a [u8],
    /// The transport that it leaves by, as the configuration calls it.
    pub transportid: &'a [u8],
    /// Version of TLS of the client.
    pub tlsprotocol: &'a [u8],
    /// Why, or what the server said.
    pub reason: &'a [u8],
    /// The reply's code; 0 where there was none.
    pub errorcode: Option<u64>,
    /// How often delivery was tried before.
    pub retry: Option<u64>,
    /// In bytes.
    pub size: Option<u64>,
    /// When it was received, in milliseconds since 1970.
    pub receivedtime_ms: Option<u64>,
    /// When the attempt ended, in milliseconds since 1970.
    pub finishedtime_ms: Option<u64>,
    /// Time between the two in milliseconds, where the line says it itself.
    pub totalduration_ms: Option<u64>,
}

/// What can be done with a message, in lower case: the actions of Halon's hooks, and the words of its script for attempts.
pub const ACTIONS: [&str; 15] = [
    "deliver",
    "delivered",
    "queue",
    "deferred",
    "bounce",
    "bounced",
    "delete",
    "removed",
    "reject",
    "defer",
    "accept",
    "discard",
    "quarantine",
    "archive",
    "error",
];

/// Actions after which the message is still in the queue.
pub const UNFINISHED: [&str; 2] = ["queue", "deferred"];

/// Largest number that is believed.
const MAX: u64 = 1 << 48;

/// Below it a time is one in seconds: in milliseconds that was in 1973.
const SECONDS_BELOW_MS: u64 = 100_000_000_000;

/// True when `program` is Halon.
pub fn is_program(program: &[u8]) -> bool {
    program == b"halon" || program.starts_with(b"halon-")
}

/// Finds the envelope of a line in a log that is Halon's alone, where sites choose the tag.
pub fn envelope(line: &[u8]) -> Envelope<'_> {
    if line.first() == Some(&b'{') {
        return Envelope::none(line);
    }
    let found = envelope::detect(line);
    let is_object = line.get(found.start) == Some(&b'{');
    Envelope { program: if is_object { b"halon" } else { found.program }, ..found }
}

/// Reads a whole line.
///
/// # Errors
/// It is none of Halon's.
pub fn parse(line: &[u8]) -> Result<Event<'_>, Reject> {
    read(line, &envelope(line))
}

/// Reads the message of a line.
///
/// # Errors
/// It is none of Halon's.
pub fn read<'a>(line: &'a [u8], envelope: &Envelope<'a>) -> Result<Event<'a>, Reject> {
    let line = line.get(..envelope.end).unwrap_or(line);
    let mut found = Reading::default();
    if line.get(envelope.start) != Some(&b'{') {
        return Err(Reject { reason: Reason::UnknownForm, field: "action", offset: envelope.start });
    }
    match found.object(line, envelope.start, Place::Line) {
        // What is cut behind all that tells of an attempt is no loss.
        Err((Reason::Truncated, _)) if found.has_attempt() => {}
        Err((reason, offset)) => return Err(Reject { reason, field: "action", offset }),
        Ok(end) if !line.get(end..).unwrap_or_default().trim_ascii().is_empty() => {
            return Err(Reject { reason: Reason::Delimiter, field: "action", offset: end });
        }
        Ok(_) => {}
    }
    let Some(action) = found.action else {
        if found.is_bulk {
            return Ok(Event::Known("bulk"));
        }
        return Err(Reject { reason: Reason::UnknownForm, field: "action", offset: envelope.start });
    };
    let message = Message { action, ..found.message };
    // Messages that were refused never get to an attempt.
    let is_reception = !found.is_attempt && matches!(action, "queue" | "accept");
    Ok(if is_reception { Event::Reception(message) } else { Event::Delivery(message) })
}

/// Where an object stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It is the line.
    Line,
    /// In a `doc`.
    Doc,
    /// In a `queue`.
    Queue,
}

/// What has been read of a line.
struct Reading<'a> {
    message: Message<'a>,
    action: Option<&'static str>,
    /// True when it tells of an attempt to deliver.
    is_attempt: bool,
    /// True when it tells Elasticsearch what to do with the next line.
    is_bulk: bool,
}

impl Default for Reading<'_> {
    fn default() -> Self {
        let message = Message {
            action: "other",
            serverid: b"",
            transportid: b"",
            tlsprotocol: b"",
            reason: b"",
            errorcode: None,
            retry: None,
            size: None,
            receivedtime_ms: None,
            finishedtime_ms: None,
            totalduration_ms: None,
        };
        Self { message, action: None, is_attempt: false, is_bulk: false }
    }
}

impl<'a> Reading<'a> {
    /// True when there is all that an attempt is counted by.
    fn has_attempt(&self) -> bool {
        self.action.is_some() && self.message.errorcode.is_some() && !self.message.transportid.is_empty()
    }

    /// Reads the object at offset `at` of `text`. Returns where it ends.
    fn object(&mut self, text: &'a [u8], at: usize, place: Place) -> Result<usize, (Reason, usize)> {
        let mut members = Members::at(text, at);
        for member in &mut members {
            let member = member?;
            let is_object = member.value.starts_with(b"{");
            if place == Place::Line && is_object && member.is("doc") {
                self.object(text, member.at, Place::Doc)?;
            } else if place != Place::Queue && is_object && member.is("queue") {
                self.is_attempt = true;
                self.object(text, member.at, Place::Queue)?;
            } else if place == Place::Line
                && is_object
                && ["index", "create", "update"].iter().any(|name| member.is(name))
            {
                self.is_bulk = true;
            } else {
                self.member(&member, place);
            }
        }
        Ok(members.offset())
    }

    /// Takes a member, if it is known.
    fn member(&mut self, member: &Member<'a>, place: Place) {
        let message = &mut self.message;
        let thousandths = || member.thousandths().and_then(|number| u64::try_from(number).ok());
        let number = || thousandths().map(|number| number / 1000).filter(|number| *number <= MAX);
        let is = |name: &str| member.is(name);
        if is("errorcode") || is("smtpcode") {
            message.errorcode = message.errorcode.or_else(number);
        } else if is("retry") {
            message.retry = message.retry.or_else(number);
        } else if is("totalduration") {
            message.totalduration_ms = thousandths().filter(|number| *number <= MAX);
        } else if is("finishedtime") {
            message.finishedtime_ms = time_ms(thousandths());
        } else {
            if place != Place::Queue {
                self.other(member, thousandths(), number());
            }
            return;
        }
        self.is_attempt = true;
    }

    /// Takes a member that does not tell of an attempt, if it is known; it is also given as thousandths and as a whole number.
    fn other(&mut self, member: &Member<'a>, thousandths: Option<u64>, number: Option<u64>) {
        let message = &mut self.message;
        let text = member.text().unwrap_or_default();
        let is = |name: &str| member.is(name);
        if is("action") {
            self.action = self.action.or_else(|| member.is_whole.then(|| action(text)));
        } else if is("serverid") {
            message.serverid = text;
        } else if is("transportid") {
            message.transportid = text;
        } else if is("tlsprotocol") {
            message.tlsprotocol = text;
        } else if is("reason") {
            message.reason = text;
        } else if is("size") {
            message.size = number;
        } else if is("receivedtime") || is("received") {
            message.receivedtime_ms = time_ms(thousandths);
        } else if is("@timestamp") {
            message.finishedtime_ms = message.finishedtime_ms.or_else(|| time_ms(thousandths));
        }
    }
}

/// The action that a word is, however it is written.
fn action(text: &[u8]) -> &'static str {
    let is_it = |action: &&&str| {
        text.eq_ignore_ascii_case(action.as_bytes())
            || (text.contains(&b'\\') && json::is_word(text, action.to_ascii_uppercase().as_bytes()))
    };
    ACTIONS.iter().find(is_it).copied().unwrap_or("other")
}

/// A time since 1970 in milliseconds, of one in thousandths of seconds or of milliseconds.
fn time_ms(thousandths: Option<u64>) -> Option<u64> {
    let thousandths = thousandths?;
    let time_ms = if thousandths / 1000 < SECONDS_BELOW_MS { thousandths } else { thousandths / 1000 };
    (1..=MAX).contains(&time_ms).then_some(time_ms)
}

impl Message<'_> {
    /// How long it was in the queue, in milliseconds, if it has left it.
    pub fn time_in_queue_ms(&self) -> Option<u64> {
        if UNFINISHED.contains(&self.action) {
            return None;
        }
        let between = || self.finishedtime_ms?.checked_sub(self.receivedtime_ms?);
        self.totalduration_ms.or_else(between)
    }
}

impl crate::Event for Event<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Delivery(_) => "delivery",
            Self::Reception(_) => "reception",
            Self::Known(kind) => kind,
        }
    }

    fn is_ignored(&self) -> bool {
        match self {
            Self::Delivery(_) => false,
            Self::Reception(message) => message.size.is_none(),
            Self::Known(_) => true,
        }
    }

    fn visit(&self, see: &mut dyn FnMut(&'static str, Field<'_>)) {
        let (Self::Delivery(message) | Self::Reception(message)) = self else { return };
        // All numbers are below `MAX`.
        let number = |number: Option<u64>| number.map_or(Field::Missing, |number| Field::Number(number as i64));
        see("action", Field::Text(message.action.as_bytes()));
        see("reason", Field::text(message.reason));
        see("errorcode", number(message.errorcode));
        see("retry", number(message.retry));
        see("serverid", Field::text(message.serverid));
        see("transportid", Field::text(message.transportid));
        see("tlsprotocol", Field::text(message.tlsprotocol));
        see("size", number(message.size));
        see("receivedtime", number(message.receivedtime_ms));
        see("finishedtime", number(message.finishedtime_ms));
        see("totalduration", message.totalduration_ms.map_or(Field::Missing, Field::Seconds));
    }
}
