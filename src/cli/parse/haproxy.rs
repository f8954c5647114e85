//! HAProxy's lines in `tailmeter parse`: every field by its name, in the order of the line.
//!
//! Lines on connections, servers, checks and backends are in `notices`.
//!
//! Null: cookies and TLS fields written `-`, timers of -1, the server `<NOSRV>`, the status -1, what `<BADREQ>` and
//! cut requests lack. `<STATS>` stays: the statistics page did answer.

mod notices;

use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use tailmeter_parsers::envelope::{self, Envelope};
use tailmeter_parsers::haproxy::format::{Record, Spans, Value};
use tailmeter_parsers::haproxy::{Layouts, Means, Reading};

use super::{Reader, Row, Text};
use crate::metrics::Dialect;

use notices::{BackendFields, CheckFields, ErrorFields, ServerFields};

const FAMILY: &str = "haproxy";

/// Reads HAProxy's lines.
pub(super) struct Haproxy {
    layouts: Arc<Layouts>,
    spans: Spans,
}

impl Haproxy {
    pub(super) fn new(dialect: &Dialect) -> Self {
        let layouts = match dialect {
            Dialect::Usual => Layouts::usual(),
            Dialect::Haproxy(layouts) => Arc::clone(layouts),
        };
        Self { layouts, spans: Spans::default() }
    }
}

impl Reader for Haproxy {
    fn read<'a>(&'a mut self, line: &'a [u8]) -> Row<'a> {
        let envelope = envelope::detect(line);
        match self.layouts.read(line, &envelope, &mut self.spans) {
            Err(reject) => Row::rejected(reject),
            Ok(Reading::Notice(notice)) => match notices::fields(&notice) {
                Some(fields) => parsed(notice.as_str(), &envelope, fields),
                None => Row::ignored(FAMILY, notice.as_str(), &envelope),
            },
            Ok(Reading::Record { layout, record }) => {
                let kind = match self.layouts.means(layout) {
                    Means::Step => return Row::ignored(FAMILY, "step", &envelope),
                    _ if record.is_step() => return Row::ignored(FAMILY, "step", &envelope),
                    Means::Http => "http",
                    Means::Tcp => "tcp",
                    Means::Error => "connection_error",
                };
                let fields = RecordFields::of(&record, self.layouts.captures(layout));
                parsed(kind, &envelope, Fields::Record(fields))
            }
        }
    }
}

fn parsed<'a>(kind: &'static str, envelope: &Envelope<'a>, fields: Fields<'a>) -> Row<'a> {
    Row::parsed(FAMILY, kind, envelope, super::Fields::Haproxy(fields))
}

/// The fields of a line, one variant per kind.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Fields<'a> {
    Record(RecordFields<'a>),
    ConnectionError(ErrorFields<'a>),
    HealthCheck(CheckFields<'a>),
    ServerState(Box<ServerFields<'a>>),
    BackendState(BackendFields<'a>),
}

/// What a line has that a log-format lays out.
pub(super) struct RecordFields<'a>(Vec<(String, Value<'a>)>);

impl<'a> RecordFields<'a> {
    fn of(record: &Record<'a>, [request, response]: [&[Option<String>]; 2]) -> Self {
        let mut fields: Vec<(String, Value<'a>)> = Vec::new();
        // The first of a name is the one that counts.
        let mut add = |name: &str, value: Value<'a>| {
            if !fields.iter().any(|(known, _)| known == name) {
                fields.push((name.to_owned(), value));
            }
        };
        record.visit(&mut |name, value| {
            add(name, value);
            let (stem, names) = match name {
                "request_headers" => ("request_header", request),
                "response_headers" => ("response_header", response),
                _ => return,
            };
            for (header, text) in names.iter().zip(value.captures()) {
                if let Some(header) = header {
                    let value = if text.is_empty() { Value::Missing } else { Value::Text(text) };
                    add(&format!("{stem}_{header}"), value);
                }
            }
        });
        Self(fields)
    }
}

impl Serialize for RecordFields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            match *value {
                Value::Missing => map.serialize_entry(name, &())?,
                Value::Number(number) => map.serialize_entry(name, &number)?,
                Value::Truth(truth) => map.serialize_entry(name, &truth)?,
                Value::Text(text) => map.serialize_entry(name, &Text(text))?,
                Value::Captures(_) | Value::CaptureList(_) => {
                    map.serialize_entry(name, &value.captures().map(Text).collect::<Vec<_>>())?;
                }
            }
        }
        map.end()
    }
}
