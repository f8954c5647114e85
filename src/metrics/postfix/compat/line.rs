//! Lines as postfix_exporter tells them apart: by what follows `postfix/` in the tag; and those of opendkim.

use tailmeter_parsers::postfix::{self, Tag};
use tailmeter_parsers::{Envelope, Event, Field, Reject};

/// A line of Postfix or opendkim.
pub(super) struct Line<'a> {
    /// What it says.
    pub said: Said<'a>,
    /// What that program calls its service.
    pub service: Service<'a>,
    /// All of it behind the envelope.
    pub message: &'a [u8],
}

/// What a line says.
pub(super) enum Said<'a> {
    /// Something that Postfix's daemons say.
    Postfix(postfix::Event<'a>),
    /// opendkim signed a message.
    Signature {
        /// The selector.
        selector: &'a [u8],
        /// The domain.
        domain: &'a [u8],
    },
    /// Something that nobody reads: of opendkim, or of a program with Postfix's tag.
    Nothing,
}

/// What a tag says of the service.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Service<'a> {
    /// `smtpd` of `postfix/smtpd`, `submission/smtpd` of `postfix/submission/smtpd`; empty for `postfix`.
    Postfix(&'a [u8]),
    /// `opendkim`.
    Opendkim,
    /// A tag that the program does not know: another instance's (`postfix-mx/smtpd`), or one with signs that it does not expect.
    Unknown,
}

impl<'a> Service<'a> {
    /// That of `program`, a syslog tag.
    pub(super) fn of(program: &'a [u8]) -> Self {
        let is_sign = |byte: &u8| is_word_sign(byte) || b".+/-".contains(byte);
        match (program, program.strip_prefix(b"postfix/")) {
            (b"opendkim", _) => Self::Opendkim,
            (b"postfix", _) => Self::Postfix(b""),
            (_, Some(service)) if !service.is_empty() && service.iter().all(is_sign) => Self::Postfix(service),
            _ => Self::Unknown,
        }
    }
}

impl<'a> Line<'a> {
    /// True when lines of `program` are read.
    pub(super) fn is_of(program: &[u8]) -> bool {
        Service::of(program) != Service::Unknown || postfix::is_program(program)
    }

    /// Reads the message of a line.
    ///
    /// # Errors
    /// It has a daemon's tag, but is none of Postfix's lines.
    pub(super) fn read(line: &'a [u8], envelope: &Envelope<'a>) -> Result<Self, Reject> {
        let message = message(line, envelope);
        let service = Service::of(envelope.program);
        let said = match service {
            Service::Opendkim => signature(message).unwrap_or(Said::Nothing),
            Service::Postfix(_) if Tag::of(envelope.program).is_none() => Said::Nothing,
            _ => Said::Postfix(postfix::read(line, envelope)?),
        };
        Ok(Self { said, service, message })
    }
}

/// What stands behind the envelope.
pub(super) fn message<'a>(line: &'a [u8], envelope: &Envelope<'_>) -> &'a [u8] {
    line.get(envelope.start..envelope.end).unwrap_or_default()
}

/// `QID: DKIM-Signature field added (s=SELECTOR, d=DOMAIN)`
fn signature(message: &[u8]) -> Option<Said<'_>> {
    let (queue_id, rest) = word(message);
    let rest = rest.strip_prefix(b": DKIM-Signature field added (s=")?.strip_suffix(b")")?;
    let (selector, rest) = word(rest);
    let domain = rest.strip_prefix(b", d=")?;
    (!queue_id.is_empty() && !selector.is_empty()).then_some(Said::Signature { selector, domain })
}

/// The letters, digits and `_` that `text` begins with, and the rest.
pub(super) fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let length = text.iter().take_while(|byte| is_word_sign(byte)).count();
    text.split_at(length)
}

fn is_word_sign(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || *byte == b'_'
}

impl Event for Line<'_> {
    fn kind(&self) -> &'static str {
        match &self.said {
            Said::Postfix(event) => event.kind(),
            Said::Signature { .. } => "dkim_signature",
            Said::Nothing => "other",
        }
    }

    fn is_ignored(&self) -> bool {
        match &self.said {
            Said::Postfix(postfix::Event::MessageId(_)) => false,
            Said::Postfix(event) => event.is_ignored(),
            Said::Signature { .. } => false,
            Said::Nothing => true,
        }
    }

    fn visit(&self, see: &mut dyn FnMut(&'static str, Field<'_>)) {
        match &self.said {
            Said::Postfix(event) => event.visit(see),
            Said::Signature { selector, domain } => {
                see("s", Field::Text(selector));
                see("d", Field::Text(domain));
            }
            Said::Nothing => {}
        }
    }
}
