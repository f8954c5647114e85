//! OTLP over HTTP: an `ExportMetricsServiceRequest` in protocol buffers, packed by gzip, to a server's `/v1/metrics`.
//!
//! Counters are monotonic sums and histograms have explicit buckets, both cumulative: what has been counted since the
//! moment that the point names as its start. Metrics keep the names they have for Prometheus. A series that is not there
//! any more gets a last point that has no value.

use std::collections::{BTreeMap, HashSet};
use std::hash::BuildHasher;
use std::io::Write;
use std::time::SystemTime;

use flate2::Compression;
use flate2::write::GzEncoder;
use foldhash::fast::RandomState;
use hyper::body::Bytes;
use hyper::header;

use super::buffer::Batch;
use super::client::{Answer, Headers, one_line};
use super::protobuf::{Field, Message, fields};
use super::pusher::{MAX_BATCH_BYTES, MAX_BATCH_SAMPLES, Moment, Protocol, Verdict};
use super::text::labels;
use crate::metrics::own;

mod points;

use points::{Family, Point, Value, points};

const HEADERS: Headers = &[("content-type", "application/x-protobuf"), ("content-encoding", "gzip")];

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: u64 = 2;
/// `DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK`.
const NO_VALUE: u64 = 1;

/// Makes requests, and knows what answers mean.
#[derive(Debug)]
pub(super) struct Otlp {
    /// The `Resource`.
    resource: Message,
    /// Since when counts are kept, and since when the program runs.
    began: Moment,
    started: Moment,
    hasher: RandomState,
}

impl Otlp {
    /// For the service instance `instance`, unless `attributes` has another word for it.
    pub(super) fn new(
        attributes: &BTreeMap<String, String>,
        instance: &str,
        (began, started): (SystemTime, SystemTime),
    ) -> Self {
        let usual = [
            ("service.name", "tailmeter"),
            ("service.instance.id", instance),
            ("service.version", env!("CARGO_PKG_VERSION")),
        ];
        let mut all =
            usual.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect::<BTreeMap<_, _>>();
        all.extend(attributes.clone());
        let mut resource = Message::default();
        for (name, value) in all.iter().filter(|(_, value)| !value.is_empty()) {
            write_attribute(1, name, value, &mut resource);
        }
        Self { resource, began: Moment(began), started: Moment(started), hasher: RandomState::default() }
    }

    fn key(&self, point: &Point<'_>) -> u64 {
        self.hasher.hash_one((point.family.name, point.labels))
    }

    /// A data point, without its number in whatever holds it.
    fn write(&self, point: &Point<'_>, moment: Moment, is_gone: bool, message: &mut Message) {
        let (attributes, flags) = match point.value {
            Value::Number(_) => (7, 8),
            Value::Buckets { .. } => (9, 10),
            Value::Quantiles { .. } => (7, 8),
        };
        for (name, value) in labels(point.labels) {
            write_attribute(attributes, name, &value, message);
        }
        if point.family.kind.is_cumulative() {
            let began = if own::is_of_this_run(point.family.name) { self.started } else { self.began };
            message.fixed(2, began.unix_ns());
        }
        message.fixed(3, moment.unix_ns());
        if is_gone {
            return message.number(flags, NO_VALUE);
        }
        match &point.value {
            Value::Number(number) => match number.parse::<i64>() {
                Ok(whole) => message.fixed(6, whole as u64),
                Err(_) => message.double(4, number.parse().unwrap_or(f64::NAN)),
            },
            Value::Buckets { bounds, counts, sum, count } => {
                message.fixed(4, *count);
                message.double(5, *sum);
                // Those of the text are sums of all buckets below.
                let befores = std::iter::once(0).chain(counts.iter().copied());
                let each = counts.iter().zip(befores).map(|(count, before)| count.saturating_sub(before));
                message.packed(6, each.collect::<Vec<_>>().into_iter());
                message.packed(7, bounds.iter().map(|bound| bound.to_bits()));
            }
            Value::Quantiles { quantiles, sum, count } => {
                message.fixed(4, *count);
                message.double(5, *sum);
                for (quantile, value) in quantiles {
                    message.message(6, |message| {
                        message.double(1, *quantile);
                        message.double(2, *value);
                    });
                }
            }
        }
    }
}

/// A `KeyValue` with a text.
fn write_attribute(field: u32, name: &str, value: &str, message: &mut Message) {
    message.message(field, |attribute| {
        attribute.bytes(1, name.as_bytes());
        attribute.message(2, |any| any.bytes(1, value.as_bytes()));
    });
}

/// Batches as they grow.
struct Writer<'w> {
    resource: &'w Message,
    batches: Vec<Batch>,
    /// The metrics of the batch, those that are finished.
    metrics: Message,
    /// The points of the last one.
    points: Message,
    count: u64,
}

impl Writer<'_> {
    fn end_metric(&mut self, family: &Family<'_>) {
        if self.points.is_empty() {
            return;
        }
        let points = &self.points;
        self.metrics.message(2, |metric| {
            metric.bytes(1, family.name.as_bytes());
            metric.bytes(2, family.help.as_bytes());
            metric.message(family.kind.field(), |data| {
                data.append(points);
                match family.kind {
                    points::Kind::Counter => {
                        data.number(2, CUMULATIVE);
                        data.number(3, 1);
                    }
                    points::Kind::Histogram => data.number(2, CUMULATIVE),
                    points::Kind::Gauge | points::Kind::Summary => {}
                }
            });
        });
        self.points.clear();
    }

    fn end_batch(&mut self) {
        let samples = std::mem::take(&mut self.count);
        if samples == 0 {
            return;
        }
        let mut request = Message::default();
        request.message(1, |resource_metrics| {
            resource_metrics.bytes(1, self.resource.as_bytes());
            resource_metrics.message(2, |scope_metrics| {
                scope_metrics.message(1, |scope| {
                    scope.bytes(1, b"tailmeter");
                    scope.bytes(2, env!("CARGO_PKG_VERSION").as_bytes());
                });
                scope_metrics.append(&self.metrics);
            });
        });
        self.metrics.clear();
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        // Writing to a Vec cannot fail.
        let content = packer.write_all(request.as_bytes()).and_then(|()| packer.finish());
        self.batches.extend(content.ok().map(|content| Batch { content: Bytes::from(content), samples }));
    }
}

impl Protocol for Otlp {
    fn headers(&self) -> Headers {
        HEADERS
    }

    fn batches(&self, text: &str, before: &str, moment: Moment) -> Vec<Batch> {
        let there =
            if before.is_empty() { HashSet::new() } else { points(text).map(|point| self.key(&point)).collect() };
        let gone = points(before).filter(|point| !there.contains(&self.key(point))).map(|point| (point, true));
        let all = points(text).map(|point| (point, false)).chain(gone);
        let (metrics, points) = (Message::default(), Message::default());
        let mut writer = Writer { resource: &self.resource, batches: Vec::new(), metrics, points, count: 0 };
        let mut family: Option<Family<'_>> = None;
        for (point, is_gone) in all {
            if let Some(family) = family.filter(|family| *family != point.family) {
                writer.end_metric(&family);
            }
            family = Some(point.family);
            writer.points.message(1, |message| self.write(&point, moment, is_gone, message));
            writer.count += 1;
            if writer.count == MAX_BATCH_SAMPLES || writer.points.len() + writer.metrics.len() >= MAX_BATCH_BYTES {
                writer.end_metric(&point.family);
                writer.end_batch();
            }
        }
        family.iter().for_each(|family| writer.end_metric(family));
        writer.end_batch();
        writer.batches
    }

    fn judge(&self, answer: &Answer) -> Verdict {
        let is_message = answer.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/x-protobuf");
        match answer.status.as_u16() {
            200..300 if is_message => partly(&answer.content),
            200..300 => Verdict::Delivered { rejected: 0, remark: None },
            status => {
                // A `Status` of gRPC.
                let said = text(&answer.content, 2).filter(|_| is_message);
                let why = said.map_or_else(|| answer.shown(), |said| answer.shown_with(&said));
                match status {
                    429 | 502 | 503 | 504 => Verdict::Later { after: answer.retry_after(), why },
                    _ => Verdict::Refused(why),
                }
            }
        }
    }
}

/// What an `ExportMetricsServiceResponse` says: the server may have taken some of the points only.
fn partly(content: &[u8]) -> Verdict {
    let partial = fields(content).find_map(|(number, field)| match field {
        Field::Bytes(message) if number == 1 => Some(message),
        _ => None,
    });
    let partial = partial.unwrap_or_default();
    let rejected = fields(partial).find_map(|(number, field)| match field {
        Field::Number(rejected) if number == 1 => Some(rejected),
        _ => None,
    });
    let remark = text(partial, 2).map(|remark| one_line(&remark)).filter(|remark| !remark.is_empty());
    Verdict::Delivered { rejected: rejected.unwrap_or(0), remark }
}

/// The text in field `wanted` of a message.
fn text(message: &[u8], wanted: u64) -> Option<String> {
    fields(message).find_map(|(number, field)| match field {
        Field::Bytes(text) if number == wanted => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    })
}
