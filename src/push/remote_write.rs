//! Prometheus remote-write 1.0: a `WriteRequest` in protocol buffers, packed by snappy, to a server's `/api/v1/write`.
//!
//! ```text
//! WriteRequest {1: TimeSeries {1: Label {1: name, 2: value}, 2: Sample {1: double value, 2: timestamp in ms}}}
//! ```
//!
//! Labels are ordered by name. A series that is not there any more gets a last sample, the NaN that means so.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hyper::StatusCode;
use hyper::body::Bytes;

use super::buffer::Batch;
use super::client::{Answer, Headers};
use super::protobuf::Message;
use super::pusher::{MAX_BATCH_BYTES, MAX_BATCH_SAMPLES, Moment, Protocol, Verdict};
use super::text::{Line, Sample, lines};

/// The NaN that says that a series has ended.
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

const HEADERS: Headers = &[
    ("content-type", "application/x-protobuf"),
    ("content-encoding", "snappy"),
    ("x-prometheus-remote-write-version", "0.1.0"),
];

/// Makes requests, and knows what answers mean.
#[derive(Debug)]
pub(super) struct RemoteWrite {
    /// Labels that every series gets unless it has them already.
    labels: BTreeMap<String, String>,
    hasher: RandomState,
}

impl RemoteWrite {
    /// For series of the scrape target `instance`, unless `labels` has another word for it.
    pub(super) fn new(labels: &BTreeMap<String, String>, instance: &str) -> Self {
        let usual = [("job", "tailmeter"), ("instance", instance)];
        let mut all =
            usual.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect::<BTreeMap<_, _>>();
        all.extend(labels.clone());
        // To Prometheus an empty label is none.
        all.retain(|_, value| !value.is_empty());
        Self { labels: all, hasher: RandomState::default() }
    }

    fn write(&self, sample: &Sample<'_>, value: f64, timestamp_ms: i64, request: &mut Message) {
        let mut labels = vec![("__name__", Cow::Borrowed(sample.name))];
        labels.extend(sample.labels().filter(|(_, value)| !value.is_empty()));
        for (name, value) in &self.labels {
            if !labels.iter().any(|(known, _)| known == name) {
                labels.push((name, Cow::Borrowed(value)));
            }
        }
        labels.sort_unstable_by_key(|(name, _)| *name);
        request.message(1, |series| {
            for (name, value) in &labels {
                series.message(1, |label| {
                    label.bytes(1, name.as_bytes());
                    label.bytes(2, value.as_bytes());
                });
            }
            series.message(2, |sample| {
                sample.double(1, value);
                sample.number(2, timestamp_ms as u64);
            });
        });
    }
}

fn samples(text: &str) -> impl Iterator<Item = Sample<'_>> {
    lines(text).filter_map(|line| match line {
        Line::Sample(sample) => Some(sample),
        _ => None,
    })
}

impl Protocol for RemoteWrite {
    fn headers(&self) -> Headers {
        HEADERS
    }

    fn batches(&self, text: &str, before: &str, moment: Moment) -> Vec<Batch> {
        let key = |sample: &Sample<'_>| self.hasher.hash_one(sample.series);
        let there = if before.is_empty() { HashSet::new() } else { samples(text).map(|sample| key(&sample)).collect() };
        let gone = samples(before).filter(|sample| !there.contains(&key(sample))).map(|sample| (sample, STALE));
        let values = samples(text).map(|sample| (sample, sample.number())).chain(gone);
        let (mut batches, mut request, mut count) = (Vec::new(), Message::default(), 0);
        for (sample, value) in values {
            self.write(&sample, value, moment.unix_ms(), &mut request);
            count += 1;
            if count == MAX_BATCH_SAMPLES || request.len() >= MAX_BATCH_BYTES {
                batches.extend(packed(&request, std::mem::take(&mut count)));
                request.clear();
            }
        }
        if count > 0 {
            batches.extend(packed(&request, count));
        }
        batches
    }

    fn judge(&self, answer: &Answer) -> Verdict {
        match answer.status {
            status if status.is_success() => Verdict::Delivered { rejected: 0, remark: None },
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Verdict::Later { after: answer.retry_after(), why: answer.shown() }
            }
            _ => Verdict::Refused(answer.shown()),
        }
    }
}

/// The content of a request. Snappy fails beyond 4 GiB only.
fn packed(request: &Message, samples: u64) -> Option<Batch> {
    let content = snap::raw::Encoder::new().compress_vec(request.as_bytes()).ok()?;
    Some(Batch { content: Bytes::from(content), samples })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test, a panic is the failure")]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::super::protobuf::{Field, fields};
    use super::*;

    /// Labels, value and time of each sample of a batch.
    fn read(batch: &Batch) -> Vec<(String, u64, u64)> {
        let bytes = snap::raw::Decoder::new().decompress_vec(&batch.content).unwrap();
        let inner = |field: Field<'_>| match field {
            Field::Bytes(bytes) => bytes.to_vec(),
            Field::Number(_) => panic!("a number"),
        };
        let text = |field: Field<'_>| String::from_utf8(inner(field)).unwrap();
        fields(&bytes)
            .map(|(_, series)| {
                let (mut labels, mut numbers) = (Vec::new(), Vec::new());
                for (number, field) in fields(&inner(series)) {
                    let parts = inner(field);
                    match number {
                        1 => labels.push(fields(&parts).map(|(_, part)| text(part)).collect::<Vec<_>>().join("=")),
                        _ => numbers.extend(fields(&parts).map(|(_, field)| match field {
                            Field::Number(number) => number,
                            Field::Bytes(_) => panic!("no number"),
                        })),
                    }
                }
                (labels.join(","), numbers[0], numbers[1])
            })
            .collect()
    }

    fn at(ms: u64) -> Moment {
        Moment(UNIX_EPOCH + Duration::from_millis(ms))
    }

    #[test]
    fn labels_are_ordered_and_completed() {
        let labels = [("zone", "a"), ("x", "never"), ("job", "")];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let batches = RemoteWrite::new(&labels, "h:1").batches("m{x=\"\\\"\",b=\"\",Y=\"2\"} 1.5\n", "", at(7));
        let [batch] = batches.as_slice() else { panic!("{batches:?}") };
        let expected = "Y=2,__name__=m,instance=h:1,x=\",zone=a".to_owned();
        assert_eq!((read(batch), batch.samples), (vec![(expected, 1.5_f64.to_bits(), 7)], 1));
    }

    #[test]
    fn a_series_that_is_gone_ends() {
        let protocol = RemoteWrite::new(&BTreeMap::new(), "");
        let batches = protocol.batches("m{a=\"1\"} 2\n", "m{a=\"1\"} 1\nm{a=\"2\"} 1\n", at(9));
        let read = batches.iter().flat_map(read).collect::<Vec<_>>();
        let (one, two) = ("__name__=m,a=1,job=tailmeter", "__name__=m,a=2,job=tailmeter");
        assert_eq!(read, [(one.to_owned(), 2.0_f64.to_bits(), 9), (two.to_owned(), STALE.to_bits(), 9)]);
    }

    #[test]
    fn batches_are_bounded() {
        let many = (0..4001).map(|number| format!("m{{a=\"{number}\"}} 1\n")).collect::<String>();
        let protocol = RemoteWrite::new(&BTreeMap::new(), "");
        let samples = protocol.batches(&many, "", at(0)).iter().map(|batch| batch.samples).collect::<Vec<_>>();
        assert_eq!(samples, [2000, 2000, 1]);
        let long =
            (0..3).map(|number| format!("m{{a=\"{number}{}\"}} 1\n", "x".repeat(MAX_BATCH_BYTES))).collect::<String>();
        assert_eq!(protocol.batches(&long, "", at(0)).len(), 3);
        assert!(protocol.batches("", "", at(0)).is_empty());
    }
}
