//! The protobuf form: messages `io.prometheus.client.MetricFamily`, each behind its length as a varint.
//! Their definition is `metrics.proto` of prometheus/client_model.
//!
//! Lengths come before contents, so everything is written twice: once to a [`Length`], which only measures, and then to the
//! output. A library for protobuf would keep all rows of a metric as objects in memory; these are few fields of few types.

use std::sync::Arc;

use super::rendering::Pass;
use super::table::{Head, Number, Row, Type, Value};

/// What fields are written to.
trait Sink {
    fn bytes(&mut self, bytes: &[u8]);
    /// The labels of a row, whose length is known.
    fn labels(&mut self, row: &Row<'_>);

    fn varint(&mut self, mut value: u64) {
        let (mut bytes, mut length) = ([0; 10], 0);
        for byte in &mut bytes {
            length += 1;
            *byte = value as u8 & 0x7f;
            value >>= 7;
            if value == 0 {
                break;
            }
            *byte |= 0x80;
        }
        self.bytes(bytes.get(..length).unwrap_or_default());
    }

    fn integer(&mut self, field: u8, value: u64) {
        self.bytes(&[field << 3]);
        self.varint(value);
    }

    fn double(&mut self, field: u8, value: f64) {
        self.bytes(&[field << 3 | 1]);
        self.bytes(&value.to_le_bytes());
    }

    fn text(&mut self, field: u8, text: &[u8]) {
        self.bytes(&[field << 3 | 2]);
        self.varint(text.len() as u64);
        self.bytes(text);
    }

    fn message(&mut self, field: u8, message: &impl Message) {
        self.bytes(&[field << 3 | 2]);
        self.varint(message.length() as u64);
        message.write(self);
    }
}

/// A message: its fields, numbered as in the definition. All numbers are below 16.
trait Message {
    fn write<S: Sink + ?Sized>(&self, sink: &mut S);

    fn length(&self) -> usize {
        let mut length = Length(0);
        self.write(&mut length);
        length.0
    }
}

impl Sink for Vec<u8> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn labels(&mut self, row: &Row<'_>) {
        write_labels(row.labels, self);
    }
}

/// Only measures.
struct Length(usize);

impl Sink for Length {
    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }

    fn labels(&mut self, row: &Row<'_>) {
        self.0 += row.encoded_labels;
    }

    #[inline]
    fn varint(&mut self, value: u64) {
        self.0 += length_of_varint(value);
    }

    fn message(&mut self, _: u8, message: &impl Message) {
        let length = message.length();
        self.0 += 1 + length_of_varint(length as u64) + length;
    }
}

const fn length_of_varint(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Writes one table: first it measures all rows, then it writes them.
#[derive(Debug)]
pub(super) struct Writer {
    /// Name, help, type and unit.
    head: Vec<u8>,
    kind: Type,
    bounds: Arc<[f64]>,
    /// Bytes of all rows; `None` when they are known and written.
    measured: Option<usize>,
}

impl Writer {
    pub(super) fn new(head: &Head) -> Self {
        let mut fields = Vec::new();
        fields.text(1, head.name.as_bytes());
        if !head.help.is_empty() {
            fields.text(2, head.help.as_bytes());
        }
        let kind = match head.kind {
            Type::Counter => 0,
            Type::Gauge => 1,
            Type::Histogram => 4,
        };
        fields.integer(3, kind);
        // Its place does not matter to readers, and before the rows it is with the others.
        if let Some(unit) = head.unit_name() {
            fields.text(5, unit.as_bytes());
        }
        Self { head: fields, kind: head.kind, bounds: Arc::clone(&head.bounds), measured: Some(0) }
    }
}

impl Pass for Writer {
    fn row(&mut self, row: &Row<'_>, out: &mut Vec<u8>) -> usize {
        let metric = Metric { row, kind: self.kind, bounds: &self.bounds };
        match &mut self.measured {
            Some(measured) => {
                let mut length = Length(0);
                length.message(4, &metric);
                *measured += length.0;
                // That takes about a quarter of the time of writing it.
                length.0 / 4
            }
            None => {
                let before = out.len();
                out.message(4, &metric);
                out.len() - before
            }
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(measured) = self.measured.take().filter(|measured| *measured > 0) else { return false };
        out.varint((self.head.len() + measured) as u64);
        out.bytes(&self.head);
        true
    }
}

/// A row.
struct Metric<'a> {
    row: &'a Row<'a>,
    kind: Type,
    bounds: &'a [f64],
}

impl Message for Metric<'_> {
    fn write<S: Sink + ?Sized>(&self, sink: &mut S) {
        let Row { created_ms, value, .. } = *self.row;
        sink.labels(self.row);
        match (value, self.kind) {
            (Value::Number(value), Type::Gauge) => sink.message(2, &Gauge(value)),
            (Value::Number(value), _) => sink.message(3, &Counter { value, created_ms }),
            (Value::Histogram { counts, sum }, _) => {
                sink.message(7, &Histogram { bounds: self.bounds, counts, sum, created_ms });
            }
        }
    }
}

struct Gauge(Number);

impl Message for Gauge {
    fn write<S: Sink + ?Sized>(&self, sink: &mut S) {
        sink.double(1, self.0.as_f64());
    }
}

struct Counter {
    value: Number,
    created_ms: Option<u64>,
}

impl Message for Counter {
    fn write<S: Sink + ?Sized>(&self, sink: &mut S) {
        sink.double(1, self.value.as_f64());
        if let Some(created_ms) = self.created_ms {
            sink.message(3, &Timestamp(created_ms));
        }
    }
}

struct Histogram<'a> {
    bounds: &'a [f64],
    counts: &'a [u64],
    sum: Number,
    created_ms: Option<u64>,
}

impl Message for Histogram<'_> {
    fn write<S: Sink + ?Sized>(&self, sink: &mut S) {
        let mut cumulative = 0_u64;
        let counts = self.counts.iter().map(|count| {
            cumulative = cumulative.saturating_add(*count);
            cumulative
        });
        // What is above all bounds is known from the count.
        let all = self.counts.iter().fold(0_u64, |all, count| all.saturating_add(*count));
        sink.integer(1, all);
        sink.double(2, self.sum.as_f64());
        for (bound, cumulative) in self.bounds.iter().zip(counts) {
            sink.message(3, &Bucket { cumulative, bound: *bound });
        }
        if let Some(created_ms) = self.created_ms {
            sink.message(15, &Timestamp(created_ms));
        }
    }
}

struct Bucket {
    cumulative: u64,
    bound: f64,
}

impl Message for Bucket {
    fn write<S: Sink + ?Sized>(&self, sink: &mut S) {
        sink.integer(1, self.cumulative);
        sink.double(2, self.bound);
    }
}

/// `google.protobuf.Timestamp` of milliseconds since 1970.
struct Timestamp(u64);

impl Message for Timestamp {
    fn write<S: Sink + ?Sized>(&self, sink: &mut S) {
        sink.integer(1, self.0 / 1000);
        if !self.0.is_multiple_of(1000) {
            sink.integer(2, self.0 % 1000 * 1_000_000);
        }
    }
}

struct Label<'a> {
    name: &'a [u8],
    value: &'a [u8],
}

impl Message for Label<'_> {
    fn write<S: Sink + ?Sized>(&self, sink: &mut S) {
        sink.text(1, self.name);
        sink.text(2, self.value);
    }
}

/// How many bytes labels take that are written as in the text format.
pub(super) fn encoded_labels(text: &[u8]) -> usize {
    let mut length = Length(0);
    each_label(text, |label| length.message(1, label));
    length.0
}

fn write_labels(text: &[u8], out: &mut Vec<u8>) {
    each_label(text, |label| out.message(1, label));
}

/// Shows the labels in the inside of `{…}` of the text format, with their values as they are meant.
fn each_label(text: &[u8], mut see: impl FnMut(&Label<'_>)) {
    let mut rest = text;
    // Nobody but this program writes them; what is not as it should be ends them.
    while let Some(equals) = memchr::memchr(b'=', rest) {
        let (name, behind) = (&rest[..equals], rest.get(equals + 2..).unwrap_or_default());
        let Some(first) = memchr::memchr2(b'"', b'\\', behind) else { return };
        if behind.get(first) == Some(&b'"') {
            see(&Label { name, value: &behind[..first] });
            rest = behind.get(first + 2..).unwrap_or_default();
            continue;
        }
        let (value, length) = unescaped(behind);
        see(&Label { name, value: &value });
        rest = behind.get(length + 2..).unwrap_or_default();
    }
}

/// The value before the closing quote, without escapes, and how many bytes it was.
fn unescaped(text: &[u8]) -> (Vec<u8>, usize) {
    let (mut value, mut at) = (Vec::with_capacity(text.len()), 0);
    while let Some(byte) = text.get(at).filter(|byte| **byte != b'"') {
        let (meant, length) = match (byte, text.get(at + 1)) {
            (b'\\', Some(b'n')) => (b'\n', 2),
            (b'\\', Some(escaped)) => (*escaped, 2),
            _ => (*byte, 1),
        };
        value.push(meant);
        at += length;
    }
    (value, at)
}
