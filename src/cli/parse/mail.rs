//! Lines of the mail room in `tailmeter parse`: what each family's events show of themselves.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use tailmeter_parsers::{Envelope, Field, Reason, Reject, envelope};

use super::{Outcome, Reader, Row, Text};
use crate::metrics::{FAMILIES, Family, Member};

/// Reads lines of one family, or of all.
pub(super) struct Mail {
    members: Vec<(&'static Family, Member)>,
}

impl Mail {
    /// What reads lines of `format`.
    pub(super) fn new(format: &str) -> Self {
        let families = FAMILIES.iter().filter(|family| family.is_read_as(format));
        Self { members: families.filter_map(|family| Some((*family, family.member?))).collect() }
    }
}

impl Reader for Mail {
    fn read<'a>(&'a mut self, line: &'a [u8]) -> Row<'a> {
        let (envelope, alone) = match self.members.as_slice() {
            [alone] => (alone.1.envelope.unwrap_or(envelope::detect)(line), Some(alone)),
            _ => (envelope::detect(line), None),
        };
        let member = match envelope.program {
            [] => alone,
            program => self.members.iter().find(|(_, member)| (member.is_program)(program)),
        };
        match member {
            Some((family, member)) => row(family, member, line, &envelope),
            None if envelope.program.is_empty() => {
                Row::rejected(Reject { reason: Reason::UnknownForm, field: "program", offset: envelope.start })
            }
            None => Row { program: Text::of(envelope.program), ..Row::new(Outcome::Ignored) },
        }
    }
}

fn row<'a>(family: &Family, member: &Member, line: &'a [u8], envelope: &Envelope<'a>) -> Row<'a> {
    let mut row = Row::new(Outcome::Rejected);
    (member.read)(line, envelope, &mut |event| {
        row = match event {
            Err(reject) => Row::rejected(reject),
            Ok(event) if event.is_ignored() => Row::ignored(family.name, event.kind(), envelope),
            Ok(event) => {
                let mut fields = Fields::default();
                event.visit(&mut |name, field| fields.0.push((name, Shown::of(field))));
                Row::parsed(family.name, event.kind(), envelope, super::Fields::Mail(fields))
            }
        };
    });
    row
}

/// The fields of an event, in the order of the line.
#[derive(Default)]
pub(super) struct Fields(Vec<(&'static str, Shown)>);

/// A field, apart from its line.
enum Shown {
    Missing,
    Text(Vec<u8>),
    Number(i64),
    Decimal(f64),
    Truth(bool),
    Decimals(Vec<f64>),
}

impl Shown {
    fn of(field: Field<'_>) -> Self {
        let thousandths = |number: f64| number / 1000.0;
        match field {
            Field::Missing => Self::Missing,
            Field::Text(text) => Self::Text(text.to_vec()),
            Field::Number(number) => Self::Number(number),
            Field::Seconds(ms) => Self::Decimal(thousandths(ms as f64)),
            Field::Thousandths(number) => Self::Decimal(thousandths(number as f64)),
            Field::Truth(truth) => Self::Truth(truth),
            Field::AllSeconds(all) => Self::Decimals(all.iter().map(|ms| thousandths(*ms as f64)).collect()),
        }
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, field) in &self.0 {
            match field {
                Shown::Missing => map.serialize_entry(name, &())?,
                Shown::Text(text) => map.serialize_entry(name, &Text(text))?,
                Shown::Number(number) => map.serialize_entry(name, number)?,
                Shown::Decimal(number) => map.serialize_entry(name, number)?,
                Shown::Truth(truth) => map.serialize_entry(name, truth)?,
                Shown::Decimals(numbers) => map.serialize_entry(name, numbers)?,
            }
        }
        map.end()
    }
}
