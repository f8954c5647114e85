//! Why and where a line was rejected.

use core::fmt;

/// Why a line was rejected. The names are the `reason` label of `tailmeter_rejected_lines_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The line starts like none of the family's forms.
    UnknownForm,
    /// The line ends before the fields that every metric needs.
    Truncated,
    /// A delimiter is not where the form has it.
    Delimiter,
    /// A number was expected.
    Number,
    /// A number is larger than the program can have written.
    Range,
    /// A field does not fit its grammar.
    Grammar,
}

impl Reason {
    /// Every reason, in the order of [`Reason::index`].
    pub const ALL: [Self; 6] =
        [Self::UnknownForm, Self::Truncated, Self::Delimiter, Self::Number, Self::Range, Self::Grammar];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownForm => "unknown_form",
            Self::Truncated => "truncated",
            Self::Delimiter => "delimiter",
            Self::Number => "number",
            Self::Range => "range",
            Self::Grammar => "grammar",
        }
    }

    /// Position in [`Reason::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// A line that is not of its family, or is broken: why, in which field, at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Why.
    pub reason: Reason,
    /// The field that could not be read, by its name in the event.
    pub field: &'static str,
    /// Offset in bytes from the start of the line to where that field starts or breaks.
    pub offset: usize,
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {} at byte {}", self.reason.as_str(), self.field, self.offset)
    }
}

impl core::error::Error for Reject {}
