//! The protobuf form: messages `io.prometheus.client.MetricFamily`, each behind its length as a varint.
//! Their definition is `metrics.proto` of prometheus/client_model.
//!
//! Lengths come before contents, so everything is written twice: once to a [`Length`], which only measures, and then to the
//! output. Native histograms are only here. A library for protobuf would keep all rows of a metric as objects in memory; these are few fields of few types.

use std::sync::Arc;

use super::rendering::Pass;
use super::table::{Head, Number, Row, Type, Value};
use crate::metrics::Unit;
use crate::series::{Exemplar, Native, NativeShape};

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

    /// A number with a sign, which is written as if the sign were its lowest bit.
    fn signed(&mut self, field: u8, value: i64) {
        self.integer(field, (value << 1 ^ value >> 63) as u64);
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

    /// The same for a field from 16 on.
    fn message_beyond(&mut self, field: u8, message: &impl Message) {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(message.length() as u64);
        message.write(self);
    }
}

/// A message: its fields, numbered as in the definition. All numbers are below 16, where nothing else is said.
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
    /// Of the values of exemplars.
    unit: Unit,
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
            Type::Summary => 2,
            Type::Histogram => 4,
        };
        fields.integer(3, kind);
        // Its place does not matter to readers, and before the rows it is with the others.
        if let Some(unit) = head.unit_name() {
            fields.text(5, unit.as_bytes());
        }
        Self { head: fields, kind: head.kind, bounds: Arc::clone(&head.bounds), unit: head.unit, measured: Some(0) }
    }
}

impl Pass for Writer {
    fn row(&mut self, row: &Row<'_>, out: &mut Vec<u8>) -> usize {
        let metric = Metric { row, kind: self.kind, bounds: &self.bounds, unit: self.unit };
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
    unit: Unit,
}

impl Message for Metric<'_> {
    fn write<S: Sink + ?Sized>(&self, sink: &mut S) {
        let Row { created_ms, value, .. } = *self.row;
        sink.labels(self.row);
        match (value, self.kind) {
            (Value::Number(value), Type::Gauge) => sink.message(2, &Gauge(value)),
            (Value::Number(value), _) => {
                let exemplar = self.row.exemplar(0, 1).map(|exemplar| Example { exemplar, unit: self.unit });
                sink.message(3, &Counter { value, exemplar, created_ms });
            }
            (Value::Histogram { counts, sum, native }, _) => {
                let Self { row, bounds, unit, .. } = *self;
                sink.message(7, &Histogram { bounds, counts, sum, native, created_ms, row, unit });
            }
            (Value::Summary { quantiles, count, sum }, _) => {
                sink.message(4, &Summary { quantiles, count, sum, created_ms });
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

struct Counter<'a> {
    value: Number,
    exemplar: Option<Example<'a>>,
    created_ms: Option<u64>,
}

impl Message for Counter<'_> {
    fn write<S: Sink + ?Sized>(&self, sink: &mut S) {
        sink.double(1, self.value.as_f64());
        if let Some(exemplar) = &self.exemplar {
            sink.message(2, exemplar);
        }
        if let Some(created_ms) = self.created_ms {
            sink.message(3, &Timestamp(created_ms));
        }
    }
}

struct Summary<'a> {
    quantiles: &'a [(f64, Number)],
    count: u64,
    sum: Number,
    created_ms: Option<u64>,
}

impl Message for Summary<'_> {
    fn write<S: Sink + ?Sized>(&self, sink: &mut S) {
        sink.integer(1, self.count);
        sink.double(2, self.sum.as_f64());
        for (quantile, value) in self.quantiles {
            sink.message(3, &Quantile { quantile: *quantile, value: value.as_f64() });
        }
        if let Some(created_ms) = self.created_ms {
            sink.message(4, &Timestamp(created_ms));
        }
    }
}

struct Quantile {
    quantile: f64,
    value: f64,
}

impl Message for Quantile {
    fn write<S: Sink + ?Sized>(&self, sink: &mut S) {
        sink.double(1, self.quantile);
        sink.double(2, self.value);
    }
}

struct Histogram<'a> {
    bounds: &'a [f64],
    counts: &'a [u64],
    sum: Number,
    native: Option<(&'a Native, &'a NativeShape)>,
    created_ms: Option<u64>,
    row: &'a Row<'a>,
    unit: Unit,
}

/// Exemplars of a native histogram that has no other buckets, at most: the latest.
const MOST_EXEMPLARS: usize = 10;

impl Message for Histogram<'_> {
    fn write<S: Sink + ?Sized>(&self, sink: &mut S) {
        let Self { row, unit, .. } = *self;
        let mut cumulative = 0_u64;
        let counts = self.counts.iter().map(|count| {
            cumulative = cumulative.saturating_add(*count);
            cumulative
        });
        // What is above all bounds is known from the count.
        let all = self.counts.iter().fold(0_u64, |all, count| all.saturating_add(*count));
        sink.integer(1, all);
        sink.double(2, self.sum.as_f64());
        let buckets = self.bounds.iter().zip(counts).enumerate().map(|(bucket, (bound, cumulative))| {
            let exemplar = row.exemplar(bucket, self.counts.len()).map(|exemplar| Example { exemplar, unit });
            Bucket { cumulative, bound: *bound, exemplar }
        });
        buckets.for_each(|bucket| sink.message(3, &bucket));
        let of_last = row.exemplar(self.bounds.len(), self.counts.len()).filter(|_| !self.bounds.is_empty());
        if let Some(exemplar) = of_last {
            // Only for it the last bucket is there, too.
            let exemplar = Some(Example { exemplar, unit });
            sink.message(3, &Bucket { cumulative: all, bound: f64::INFINITY, exemplar });
        }
        if let Some((native, shape)) = self.native {
            write_native(native, shape, sink);
        }
        if let Some(created_ms) = self.created_ms {
            sink.message(15, &Timestamp(created_ms));
        }
        if self.bounds.is_empty() && !row.exemplars.is_empty() {
            let mut latest = row.exemplars.iter().map(|(_, exemplar)| *exemplar).collect::<Vec<_>>();
            latest.sort_by_key(|exemplar| exemplar.time_ms);
            for exemplar in latest.iter().skip(latest.len().saturating_sub(MOST_EXEMPLARS)) {
                sink.message_beyond(16, &Example { exemplar, unit });
            }
        }
    }
}

fn write_native<S: Sink + ?Sized>(native: &Native, shape: &NativeShape, sink: &mut S) {
    sink.signed(5, native.schema().into());
    sink.double(6, shape.zero_threshold);
    sink.integer(7, native.zero());
    write_spans(native.negative(), (9, 10), sink);
    write_spans(native.positive(), (12, 13), sink);
    if native.total() == 0 && shape.zero_threshold == 0.0 {
        // By this alone it is known as a native one.
        sink.message(12, &Span { offset: 0, length: 0 });
    }
}

/// Empty buckets between others that are written as such, at most: more begin another span.
const GAP: i32 = 2;

/// Writes runs of buckets, and each count as what it is more than the one before.
fn write_spans<S: Sink + ?Sized>(buckets: &[(i32, u64)], (spans, deltas): (u8, u8), sink: &mut S) {
    let is_same = |(before, _): &(i32, u64), (next, _): &(i32, u64)| next - before <= GAP + 1;
    let mut next = 0;
    for run in buckets.chunk_by(is_same) {
        let (Some((first, _)), Some((last, _))) = (run.first(), run.last()) else { continue };
        sink.message(spans, &Span { offset: first - next, length: (last - first + 1) as u32 });
        next = last + 1;
    }
    let mut before = 0;
    for run in buckets.chunk_by(is_same) {
        let mut next = run.first().map_or(0, |(first, _)| *first);
        for (number, count) in run {
            let empty = (next..*number).map(|_| 0);
            for count in empty.chain([*count as i64]) {
                sink.signed(deltas, count - before);
                before = count;
            }
            next = number + 1;
        }
    }
}

struct Span {
    offset: i32,
    length: u32,
}

impl Message for Span {
    fn write<S: Sink + ?Sized>(&self, sink: &mut S) {
        sink.signed(1, self.offset.into());
        sink.integer(2, self.length.into());
    }
}

struct Bucket<'a> {
    cumulative: u64,
    bound: f64,
    exemplar: Option<Example<'a>>,
}

impl Message for Bucket<'_> {
    fn write<S: Sink + ?Sized>(&self, sink: &mut S) {
        sink.integer(1, self.cumulative);
        sink.double(2, self.bound);
        if let Some(exemplar) = &self.exemplar {
            sink.message(3, exemplar);
        }
    }
}

/// An exemplar, and the unit of its value.
struct Example<'a> {
    exemplar: &'a Exemplar,
    unit: Unit,
}

impl Message for Example<'_> {
    fn write<S: Sink + ?Sized>(&self, sink: &mut S) {
        let Exemplar { labels, value, time_ms } = self.exemplar;
        each_label(labels.as_bytes(), |label| sink.message(1, label));
        sink.double(2, Number::of_cell(*value as u64, self.unit).as_f64());
        if let Some(time_ms) = time_ms.and_then(|time_ms| u64::try_from(time_ms).ok()) {
            sink.message(3, &Timestamp(time_ms));
        }
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
    each_label(text, |label| {
        let Label { name, value } = label;
        // Most of the work of a scrape: the usual lengths take one byte, and need not be measured first.
        if name.len() + value.len() > 0x7f - 4 {
            return out.message(1, label);
        }
        let (of_name, of_value) = (name.len() as u8, value.len() as u8);
        out.extend_from_slice(&[1 << 3 | 2, 4 + of_name + of_value, 1 << 3 | 2, of_name]);
        out.extend_from_slice(name);
        out.extend_from_slice(&[2 << 3 | 2, of_value]);
        out.extend_from_slice(value);
    });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::{Distribution, Shape};

    /// The fields of a message of varints, doubles and texts, without those of messages inside.
    fn fields(mut bytes: &[u8]) -> Vec<(u64, u64, Vec<u8>)> {
        fn varint(bytes: &mut &[u8]) -> u64 {
            let length = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
            let (number, rest) = bytes.split_at(length);
            *bytes = rest;
            number.iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f))
        }
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let tag = varint(&mut bytes);
            let (value, length) = match tag & 7 {
                0 => (varint(&mut bytes), 0),
                1 => (0, 8),
                _ => (0, varint(&mut bytes) as usize),
            };
            let (content, rest) = bytes.split_at(length);
            bytes = rest;
            fields.push((tag >> 3, value, content.to_vec()));
        }
        fields
    }

    fn signed(value: u64) -> i64 {
        (value >> 1) as i64 ^ -((value & 1) as i64)
    }

    /// The buckets that spans and deltas say, but for empty ones.
    fn buckets(fields: &[(u64, u64, Vec<u8>)], spans: u64, deltas: u64) -> Vec<(i32, u64)> {
        let (mut next, mut count, mut buckets) = (0, 0, Vec::new());
        let mut deltas = fields.iter().filter(|(field, ..)| *field == deltas).map(|(_, delta, _)| signed(*delta));
        for (.., span) in fields.iter().filter(|(field, ..)| *field == spans) {
            let [(1, offset, _), (2, length, _)] = &self::fields(span)[..] else { panic!("{span:?} is no span") };
            next += signed(*offset) as i32;
            for _ in 0..*length {
                count += deltas.next().expect("a count for each bucket");
                buckets.extend(u64::try_from(count).ok().filter(|count| *count > 0).map(|count| (next, count)));
                next += 1;
            }
        }
        assert_eq!(deltas.next(), None);
        buckets
    }

    #[test]
    fn spans_and_deltas_say_which_buckets_there_are() {
        for text in [
            "3:0::",
            "3:5:0=1:",
            "8:0:-16384=4,-16383=1,-16380=9,-16376=2,0=7,1=7,16000=99999999:",
            "-4:1:-1=1,3=5,4=1:0=2,2=3,9=18446744073709551",
        ] {
            for zero_threshold in [0.0, 1e-9] {
                let shape = NativeShape { schema: 8, max_buckets: 160, zero_threshold, scale: 1.0 };
                let Some(Distribution::Native(native)) = Shape::Native(shape.clone()).read(text) else {
                    panic!("{text}")
                };
                let (mut written, mut length) = (Vec::new(), Length(0));
                write_native(&native, &shape, &mut written);
                write_native(&native, &shape, &mut length);
                assert_eq!(length.0, written.len(), "{text}");
                let fields = fields(&written);
                let number =
                    |wanted: u64| fields.iter().find(|(field, ..)| *field == wanted).map(|(_, value, _)| *value);
                assert_eq!((number(5).map(signed), number(7)), (Some(native.schema().into()), Some(native.zero())));
                assert_eq!(buckets(&fields, 12, 13), native.positive(), "{text}");
                assert_eq!(buckets(&fields, 9, 10), native.negative(), "{text}");
                // Or else nobody knows that it is one.
                assert!(
                    zero_threshold > 0.0
                        || native.zero() > 0
                        || fields.iter().any(|(field, ..)| [9, 12].contains(field))
                );
            }
        }
    }
}
