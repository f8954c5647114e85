//! What every event of the mail families has in common: a kind, and fields by name.
//!
//! Metrics read the fields of an event's own type; who shows events (`tailmeter parse`, goldens) visits them here.

/// A value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Field<'a> {
    /// The line has none, or it does not apply: `-`, an empty name, a timer that never ran.
    Missing,
    /// Bytes of the line, as they stand there.
    Text(&'a [u8]),
    /// A whole number.
    Number(i64),
    /// A time in milliseconds that the log writes in seconds; shown in seconds.
    Seconds(u64),
    /// Thousandths of something that the log writes as a decimal number, for example a score of 3.5 as 3500.
    Thousandths(i64),
    /// Yes or no.
    Truth(bool),
    /// Times as in [`Field::Seconds`], in the order of the line.
    AllSeconds(&'a [u64]),
}

impl<'a> Field<'a> {
    /// Text, or [`Field::Missing`] when there is none.
    pub fn text(text: &'a [u8]) -> Self {
        if text.is_empty() { Self::Missing } else { Self::Text(text) }
    }

    /// A number that may be missing.
    pub fn number<N: Into<i64>>(number: Option<N>) -> Self {
        number.map_or(Self::Missing, |number| Self::Number(number.into()))
    }
}

/// An event of a mail family, borrowed from its line.
pub trait Event {
    /// The event's kind, for example `delivery`.
    fn kind(&self) -> &'static str;

    /// True when nothing counts events like this one: it is only known.
    fn is_ignored(&self) -> bool;

    /// Shows every field by the name that the program's documentation has for it, in the order of the line.
    fn visit(&self, see: &mut dyn FnMut(&'static str, Field<'_>));
}
