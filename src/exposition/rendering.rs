//! Writes an exposition, a piece at a time: memory is bounded by the piece, and by what a single row takes.

use std::sync::Arc;

use super::table::{Exposition, Row, Table};
use super::{Protocol, Selection, protobuf, text};

/// An exposition being written in one protocol.
#[derive(Debug)]
pub struct Rendering {
    exposition: Arc<Exposition>,
    protocol: Protocol,
    selection: Selection,
    /// The section and table that come next, or the one being written.
    section: usize,
    table: usize,
    /// What writes that table, and the number of its row that comes next.
    writing: Option<(Writer, usize)>,
    /// Memory for the buckets of a row.
    counts: Vec<u64>,
    is_ended: bool,
}

/// Writes one table, in one or several passes over its rows.
pub(super) trait Pass {
    /// Takes the next row; returns the work that this was, in bytes.
    fn row(&mut self, row: &Row<'_>, out: &mut Vec<u8>) -> usize;
    /// All rows have been taken; true when they have to be taken once more.
    fn end(&mut self, out: &mut Vec<u8>) -> bool;
}

#[derive(Debug)]
enum Writer {
    Text(text::Writer),
    Protobuf(protobuf::Writer),
}

impl Rendering {
    /// Writes what `selection` has of `exposition` in `protocol`.
    pub fn new(exposition: Arc<Exposition>, protocol: Protocol, selection: Selection) -> Self {
        Self {
            exposition,
            protocol,
            selection,
            section: 0,
            table: 0,
            writing: None,
            counts: Vec::new(),
            is_ended: false,
        }
    }

    /// Appends the next piece to `out`: after about as much work as writing `length` bytes is, which may be less than
    /// that, and nothing at all for what has to be measured first. False when it was the last one.
    pub fn write(&mut self, length: usize, out: &mut Vec<u8>) -> bool {
        let mut left = length.max(1);
        while !self.is_ended && left > 0 {
            let Self { exposition, protocol, selection, section, table, writing, counts, is_ended } = self;
            let tables = exposition.sections.get(*section).map(|section| section.tables.as_slice());
            let Some(shown) = tables.and_then(|tables| tables.get(*table)) else {
                (*section, *table) = (*section + 1, 0);
                if *section >= exposition.sections.len() {
                    *is_ended = true;
                    if protocol.is_openmetrics() {
                        out.extend_from_slice(b"# EOF\n");
                    }
                }
                continue;
            };
            let family = exposition.sections.get(*section).map_or("", |section| section.family);
            if !selection.has_family(family) || !selection.has(&shown.head) {
                *table += 1;
                continue;
            }
            let has_created = exposition.has_created_samples;
            let (writer, first) = writing.get_or_insert_with(|| (Writer::new(*protocol, has_created, shown), 0));
            let next = match writer {
                Writer::Text(writer) => pass(writer, shown, *first, counts, &mut left, out),
                Writer::Protobuf(writer) => pass(writer, shown, *first, counts, &mut left, out),
            };
            match next {
                Some(next) => *first = next,
                None => {
                    *writing = None;
                    *table += 1;
                }
            }
        }
        !self.is_ended
    }

    /// Appends all of it.
    pub fn write_all(mut self, out: &mut Vec<u8>) {
        while self.write(usize::MAX, out) {}
    }
}

/// Goes on with a table until `left` is used up; returns the row that comes next.
fn pass(
    writer: &mut impl Pass,
    table: &Table,
    first: usize,
    counts: &mut Vec<u64>,
    left: &mut usize,
    out: &mut Vec<u8>,
) -> Option<usize> {
    let next = table.visit(first, counts, |row| {
        *left = left.saturating_sub(writer.row(&row, out));
        *left > 0
    });
    if next.is_some() || !writer.end(out) { next } else { Some(0) }
}

impl Writer {
    fn new(protocol: Protocol, has_created: bool, table: &Table) -> Self {
        match protocol {
            Protocol::Protobuf => Self::Protobuf(protobuf::Writer::new(&table.head)),
            Protocol::Text004 | Protocol::Text100 => {
                Self::Text(text::Writer::new(&table.head, text::Style::Prometheus))
            }
            Protocol::OpenMetrics001 | Protocol::OpenMetrics100 => {
                Self::Text(text::Writer::new(&table.head, text::Style::OpenMetrics { has_created }))
            }
        }
    }
}
