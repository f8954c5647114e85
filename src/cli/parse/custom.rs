//! Records of a format that the configuration describes in `tailmeter parse`: every field, whether a metric needs it or not.

use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use tailmeter_parsers::{Reason, Reject};

use super::super::Failure;
use super::{Reader, Row, Text};
use crate::metrics::custom::{self, Format, Shown};

/// Reads records of one format.
pub(super) struct Custom(custom::Reader);

impl Custom {
    /// What reads records of `format`.
    ///
    /// # Errors
    /// A pattern is too large with all its groups.
    pub(super) fn new(format: &Arc<Format>) -> Result<Self, Failure> {
        custom::Reader::of_all(Arc::clone(format)).map(Self).map_err(Failure::Usage)
    }
}

impl Reader for Custom {
    fn read<'a>(&'a mut self, line: &'a [u8]) -> Row<'a> {
        let family = self.0.format().family.name;
        if !self.0.first(line).1 {
            return Row::rejected(Reject { reason: Reason::Truncated, field: "start", offset: 0 });
        }
        match self.0.read(line) {
            Err(reject) => Row::rejected(reject),
            Ok(event) if event.is_ignored => Row { kind: event.kind, ..Row::ignored(family, "", &event.envelope) },
            Ok(event) => {
                let fields = super::Fields::Custom(Fields(event.fields().collect()));
                Row { kind: event.kind, ..Row::parsed(family, "", &event.envelope, fields) }
            }
        }
    }

    fn length(&self, lines: &[u8]) -> usize {
        self.0.first(lines).0
    }
}

/// The fields of a record, in the order of the format.
pub(super) struct Fields<'a>(Vec<(&'static str, Shown<'a>)>);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, shown) in &self.0 {
            match shown {
                Shown::Missing => map.serialize_entry(name, &())?,
                Shown::Text(text) => map.serialize_entry(name, &Text(text))?,
                Shown::Number(number) => map.serialize_entry(name, number)?,
                Shown::Millionths(number) => map.serialize_entry(name, &(*number as f64 / 1e6))?,
            }
        }
        map.end()
    }
}
