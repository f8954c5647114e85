//! What the bytes of one value must look like: made from its grammar once, used for every line.

use super::{Alias, Encoding, Flags, Grammar, Item, Kind, Missing};
use crate::Reason;
use crate::envelope::{self, has_shape};

/// A set of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bytes([u64; 4]);

impl Bytes {
    /// Those that `is_in` says, which takes either all bytes beyond ASCII or none: no grammar tells them apart.
    pub(super) fn of(is_in: impl Fn(u8) -> bool) -> Self {
        let word = |first: u8| (0..64).fold(0, |word, bit| word | u64::from(is_in(first + bit)) << bit);
        let beyond = if is_in(0x80) { u64::MAX } else { 0 };
        Self([word(0), word(64), beyond, beyond])
    }

    const ALL: Self = Self([u64::MAX; 4]);
    /// All but those from the space to `~`.
    const UNPRINTABLE: Self = Self([u64::MAX >> 32, 1 << 63, u64::MAX, u64::MAX]);

    /// These and `byte`.
    const fn with(mut self, byte: u8) -> Self {
        self.0[(byte >> 6) as usize] |= 1 << (byte & 63);
        self
    }

    /// These and `other`.
    fn or(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
        self
    }

    #[inline]
    pub(super) const fn has(&self, byte: u8) -> bool {
        self.0[(byte >> 6) as usize] >> (byte & 63) & 1 == 1
    }

    /// True when some byte is in both.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).any(|(one, other)| one & other != 0)
    }

    /// How many bytes of `text`, from its start on, are in it.
    pub(super) fn span(&self, text: &[u8]) -> usize {
        text.iter().position(|byte| !self.has(*byte)).unwrap_or(text.len())
    }
}

/// The form of a value, as far as its end does not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Bytes that no grammar rules out.
    Text,
    /// At least one byte, and none that a grammar rules out.
    Word,
    /// At most 18 digits, but no more than `max`; maybe behind a plus, maybe `-1`.
    Number { plus: bool, minus: bool, max: u64 },
    /// A number with a sign.
    Integer,
    /// Hexadecimal digits, at most 15.
    Hexadecimal,
    /// Letters, digits and dashes.
    Termination,
    /// A date: digits where this has zeros, a month where it has `Jan`; milliseconds may be missing, as in HAProxy 1.1.
    Date(&'static [u8]),
    /// Empty, or a question mark first.
    Query,
    /// Empty, or a slash first.
    Path,
}

/// Says whether bytes can be a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Check {
    held: Bytes,
    /// What is taken beyond that: HAProxy escapes control and high bytes, but what logs went through may not have.
    taken: Bytes,
    form: Form,
    length: Option<usize>,
    missing: Missing,
    /// What ends it is the only byte that it must not hold.
    is_free: bool,
}

impl Check {
    /// The check of `item`, whose values are written by `grammar`.
    pub(super) fn of(grammar: Grammar, item: &Item) -> Self {
        let Flags { hexa, .. } = item.flags;
        // Unlike an applet's, a proxy's name has no slash; nor have those of OpenSSL.
        const SLASHLESS: [&str; 4] = ["frontend_name", "backend_name", "ssl_version", "ssl_ciphers"];
        let has_slash = !item.canonical().is_some_and(|name| SLASHLESS.contains(&name));
        let has_quotes = match grammar {
            // Its own.
            Grammar::Captures => item.flags.quote,
            // A port has quotes only when it is missing.
            _ => item.missing() == Missing::Quotes && !item.is_quoted(),
        };
        let held = Bytes::of(|byte| {
            (grammar.may_hold(byte, item.flags) && (has_slash || byte != b'/')) || (byte == b'"' && has_quotes)
        });
        let number = |plus, minus, max: i32| Form::Number { plus, minus, max: max.unsigned_abs().into() };
        let large = Form::Number { plus: false, minus: false, max: u64::MAX };
        let (form, length) = match grammar {
            Grammar::Counter | Grammar::Seconds | Grammar::Port | Grammar::Milliseconds if hexa => {
                (Form::Hexadecimal, None)
            }
            Grammar::Number | Grammar::Counter | Grammar::Seconds => (large, None),
            Grammar::Port => (number(false, false, 99_999), None),
            Grammar::Milliseconds => (number(false, false, 999), Some(3)),
            Grammar::Status => (number(false, true, 999), None),
            Grammar::Timer => (number(false, true, i32::MAX), None),
            Grammar::TotalTimer => (number(true, true, i32::MAX), None),
            Grammar::Retries => (number(true, false, i32::MAX), None),
            Grammar::Bytes => (Form::Number { plus: true, minus: false, max: u64::MAX }, None),
            Grammar::Integer => (Form::Integer, None),
            Grammar::Termination(length) => (Form::Termination, Some(usize::from(length))),
            Grammar::Date => (Form::Date(b"00/Jan/0000:00:00:00.000"), Some(24)),
            Grammar::DateUtc | Grammar::DateLocal => (Form::Date(b"00/Jan/0000:00:00:00 +0000"), Some(26)),
            Grammar::Query => (Form::Query, None),
            Grammar::Path if is_path_only(item) => (Form::Path, None),
            Grammar::Address | Grammar::Name | Grammar::NameTls | Grammar::Word => (Form::Word, None),
            Grammar::Boolean | Grammar::Hexadecimal | Grammar::Base64 => (Form::Word, None),
            Grammar::Captures | Grammar::CaptureList | Grammar::Request | Grammar::Method => (Form::Text, None),
            Grammar::Uri | Grammar::Path | Grammar::Version | Grammar::Cookie => (Form::Text, None),
            Grammar::UrlEncoded | Grammar::Text => (Form::Text, None),
        };
        let taken = match grammar {
            Grammar::Address => held.or(Bytes::UNPRINTABLE).with(b'[').with(b']').with(b'%'),
            _ => held.or(Bytes::UNPRINTABLE),
        };
        let missing = item.missing();
        // What can be a dash does not always have its length.
        let length = length.filter(|_| missing == Missing::Never);
        Self { held, taken, form, length, missing, is_free: false }
    }

    /// The check of what an encoded value of `item` stands for; what it holds is what the line has of it.
    pub(super) fn of_encoded(grammar: Grammar, item: &Item) -> Self {
        let flags = Flags { encoding: Encoding::None, ..item.flags };
        let plain = Self::of(grammar, &Item { flags, ..item.clone() });
        let is_text = grammar.is_quotable() || item.typed.is_some() || item.grammar().is_none_or(Grammar::is_quotable);
        let held = Bytes::of(|byte| match item.flags.encoding {
            Encoding::Cbor => byte.is_ascii_hexdigit() || (byte == b'"' && item.flags.quote),
            Encoding::Json | Encoding::None => {
                plain.held.has(byte) || byte.is_ascii_lowercase() || (is_text && (b' '..=b'~').contains(&byte))
            }
        });
        Self { held, taken: Bytes::of(|_| true), length: None, missing: Missing::Quotes, ..plain }
    }

    /// Any text.
    pub(super) fn any() -> Self {
        let held = Bytes::of(|byte| byte != b'\n');
        Self { held, taken: held, form: Form::Text, length: None, missing: Missing::Never, is_free: true }
    }

    /// The same for values that end at the first `end`.
    pub(super) fn ending_at(self, end: Option<u8>) -> Self {
        let or_none = self.taken.with(0).with(b'\n');
        Self { is_free: end.map_or(or_none, |end| or_none.with(end)) == Bytes::ALL, ..self }
    }

    /// True for text that has bytes which it must not hold.
    pub(super) fn is_choosy(&self) -> bool {
        self.form == Form::Word || (self.form == Form::Text && !self.is_free)
    }

    /// The bytes that a value can hold.
    pub(super) const fn held(&self) -> &Bytes {
        &self.held
    }

    /// The bytes that are taken for one.
    pub(super) const fn taken(&self) -> &Bytes {
        &self.taken
    }

    /// True when there is a text with `byte` that is taken for a value, whether HAProxy writes such ones or not.
    pub(super) fn accepts(&self, byte: u8) -> bool {
        match self.form {
            Form::Text | Form::Word | Form::Query | Form::Path => self.taken.has(byte),
            _ => self.held.has(byte),
        }
    }

    /// Its form.
    pub(super) const fn form(&self) -> Form {
        self.form
    }

    /// How long every value is, if all have one length.
    pub(super) const fn length(&self) -> Option<usize> {
        self.length
    }

    /// Whether `text` can be a value.
    ///
    /// # Errors
    /// Why not.
    #[inline]
    pub(super) fn fits(&self, text: &[u8]) -> Result<(), Reason> {
        let verdict = match self.form {
            Form::Text if self.is_free => return Ok(()),
            Form::Text => self.holds(text),
            Form::Number { plus, minus, max } => is_number(text, plus, minus, max),
            Form::Word if text.is_empty() => Err(Reason::Grammar),
            Form::Word => self.holds(text),
            Form::Termination => ok(text.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')),
            Form::Integer => {
                let digits = text.strip_prefix(b"-").unwrap_or(text);
                is_number(digits, false, false, u64::MAX)
            }
            Form::Hexadecimal => {
                let is_number = (1..=15).contains(&text.len()) && text.iter().all(u8::is_ascii_hexdigit);
                if is_number { Ok(()) } else { Err(Reason::Number) }
            }
            Form::Date(shape) => ok(is_date(text, shape)),
            Form::Query => ok(matches!(text, [] | [b'?', ..] | b"<BADREQ>")).and(self.holds(text)),
            Form::Path => ok(matches!(text, [] | [b'/', ..] | b"<BADREQ>")).and(self.holds(text)),
        };
        match verdict {
            Err(_) if self.is_missing(text) => Ok(()),
            verdict => verdict,
        }
    }

    /// Whether `text`, which ends where the line ends, can be the beginning of a value.
    pub(super) fn begins(&self, text: &[u8]) -> Result<(), Reason> {
        match self.form {
            Form::Text => Ok(()),
            _ => self.holds(text),
        }
    }

    /// True when the first byte tells whether anything was written.
    pub(super) fn tells_nothing(&self) -> bool {
        matches!(self.form, Form::Query | Form::Path)
    }

    /// True when a value cannot begin as `text` does, but nothing may have been written.
    pub(super) fn is_left_out(&self, text: &[u8]) -> bool {
        match self.form {
            Form::Query => text.first() != Some(&b'?') && !is_bad_request(text),
            Form::Path => text.first() != Some(&b'/') && !is_bad_request(text),
            _ => false,
        }
    }

    fn holds(&self, text: &[u8]) -> Result<(), Reason> {
        ok(text.iter().all(|byte| self.taken.has(*byte)))
    }

    fn is_missing(&self, text: &[u8]) -> bool {
        match self.missing {
            Missing::Never | Missing::Null => false,
            Missing::Dash => text == b"-",
            Missing::Quotes => text.is_empty() || text == b"\"\"",
            Missing::Nothing => text.is_empty(),
        }
    }
}

/// True for `%HPO`, which writes nothing where the URI has no path. (`%HP` may be of a whole URI.)
fn is_path_only(item: &Item) -> bool {
    matches!(item.kind, Kind::Alias(Alias { letters: "HPO", .. }))
}

/// True when `text` begins with what stands for a request that cannot be read, or ends inside of it.
fn is_bad_request(text: &[u8]) -> bool {
    const WORD: &[u8] = b"<BADREQ>";
    text.starts_with(WORD) || (!text.is_empty() && WORD.starts_with(text))
}

fn ok(fits: bool) -> Result<(), Reason> {
    if fits { Ok(()) } else { Err(Reason::Grammar) }
}

#[inline]
fn is_number(text: &[u8], plus: bool, minus: bool, max: u64) -> Result<(), Reason> {
    let digits = match text {
        [b'+', digits @ ..] if plus => digits,
        digits => digits,
    };
    if minus && digits.first() == Some(&b'-') {
        return if digits == b"-1" { Ok(()) } else { Err(Reason::Range) };
    }
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Reason::Number);
    }
    if digits.len() > 18 || (max < u64::MAX && super::record::decimal(digits) > max) {
        return Err(Reason::Range);
    }
    Ok(())
}

fn is_date(text: &[u8], shape: &'static [u8]) -> bool {
    let (day, month, rest) = (3, 6, &shape[6..]);
    let has_zone = |text: &[u8]| match text.len() {
        20 if shape.len() == 24 => has_shape(&text[6..], &rest[..14]),
        26 => {
            matches!(text[21], b'+' | b'-') && has_shape(&text[6..21], &rest[..15]) && has_shape(&text[22..], b"0000")
        }
        _ => has_shape(&text[6..], rest),
    };
    let is_long_enough = text.len() == shape.len() || (text.len() == 20 && shape.len() == 24);
    is_long_enough && has_shape(&text[..day], b"00/") && envelope::month(&text[day..month]).is_some() && has_zone(text)
}
