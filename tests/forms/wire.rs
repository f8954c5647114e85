//! A small reader of delimited `io.prometheus.client.MetricFamily` messages: it knows the fields that tailmeter writes, and
//! panics on every other.

/// A number of a field, and what it holds.
#[derive(Clone, Copy, Debug)]
enum Field<'b> {
    Varint(u64),
    Fixed(u64),
    Bytes(&'b [u8]),
}

/// One message `MetricFamily`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) help: String,
    pub(crate) kind: u64,
    pub(crate) unit: String,
    pub(crate) metrics: Vec<Metric>,
}

/// One message `Metric`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Metric {
    pub(crate) labels: Vec<(String, String)>,
    /// Of a counter or gauge; the sum of a histogram.
    pub(crate) value: f64,
    pub(crate) count: u64,
    /// Upper bounds, and how many observations are at or below each.
    pub(crate) buckets: Vec<(f64, u64)>,
    /// Milliseconds since 1970.
    pub(crate) created_ms: Option<u64>,
    /// The field that the value is in.
    pub(crate) place: u64,
}

/// The families of `bytes`.
///
/// # Panics
/// When they are not as they must be.
#[track_caller]
pub(crate) fn read(mut bytes: &[u8]) -> Vec<Family> {
    let mut families = Vec::new();
    while !bytes.is_empty() {
        let length = varint(&mut bytes) as usize;
        let (message, rest) = bytes.split_at(length);
        families.push(family(message));
        bytes = rest;
    }
    families
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (byte, rest) = bytes.split_first().expect("a varint ends");
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            assert!(*byte != 0 || shift == 0, "a varint is longer than it needs to be");
            return value;
        }
    }
    panic!("a varint is too long");
}

fn fields(mut bytes: &[u8]) -> impl Iterator<Item = (u64, Field<'_>)> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let tag = varint(&mut bytes);
        let field = match tag & 7 {
            0 => Field::Varint(varint(&mut bytes)),
            1 => {
                let (number, rest) = bytes.split_at(8);
                bytes = rest;
                Field::Fixed(u64::from_le_bytes(number.try_into().unwrap()))
            }
            2 => {
                let length = varint(&mut bytes) as usize;
                let (content, rest) = bytes.split_at(length);
                bytes = rest;
                Field::Bytes(content)
            }
            other => panic!("wire type {other}"),
        };
        Some((tag >> 3, field))
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn family(message: &[u8]) -> Family {
    let mut family = Family::default();
    for field in fields(message) {
        match field {
            (1, Field::Bytes(name)) => family.name = text(name),
            (2, Field::Bytes(help)) => family.help = text(help),
            (3, Field::Varint(kind)) => family.kind = kind,
            (4, Field::Bytes(message)) => family.metrics.push(metric(message)),
            (5, Field::Bytes(unit)) => family.unit = text(unit),
            other => panic!("{other:?} in a family"),
        }
    }
    family
}

fn metric(message: &[u8]) -> Metric {
    let mut metric = Metric::default();
    for field in fields(message) {
        match field {
            (1, Field::Bytes(message)) => metric.labels.push(label(message)),
            (place @ (2 | 3), Field::Bytes(message)) => {
                metric.place = place;
                for field in fields(message) {
                    match field {
                        (1, Field::Fixed(value)) => metric.value = f64::from_bits(value),
                        (3, Field::Bytes(message)) if place == 3 => metric.created_ms = Some(timestamp_ms(message)),
                        other => panic!("{other:?} in a value"),
                    }
                }
            }
            (place @ 7, Field::Bytes(message)) => {
                metric.place = place;
                histogram(message, &mut metric);
            }
            other => panic!("{other:?} in a metric"),
        }
    }
    metric
}

fn label(message: &[u8]) -> (String, String) {
    let mut fields = fields(message);
    let (Some((1, Field::Bytes(name))), Some((2, Field::Bytes(value))), None) =
        (fields.next(), fields.next(), fields.next())
    else {
        panic!("a label");
    };
    (text(name), text(value))
}

fn histogram(message: &[u8], metric: &mut Metric) {
    for field in fields(message) {
        match field {
            (1, Field::Varint(count)) => metric.count = count,
            (2, Field::Fixed(sum)) => metric.value = f64::from_bits(sum),
            (3, Field::Bytes(message)) => {
                let mut fields = fields(message);
                let (Some((1, Field::Varint(count))), Some((2, Field::Fixed(bound))), None) =
                    (fields.next(), fields.next(), fields.next())
                else {
                    panic!("a bucket");
                };
                metric.buckets.push((f64::from_bits(bound), count));
            }
            (15, Field::Bytes(message)) => metric.created_ms = Some(timestamp_ms(message)),
            other => panic!("{other:?} in a histogram"),
        }
    }
}

fn timestamp_ms(message: &[u8]) -> u64 {
    let mut ms = 0;
    for field in fields(message) {
        match field {
            (1, Field::Varint(seconds)) => ms += seconds * 1000,
            (2, Field::Varint(nanoseconds)) => {
                assert_eq!(nanoseconds % 1_000_000, 0);
                ms += nanoseconds / 1_000_000;
            }
            other => panic!("{other:?} in a timestamp"),
        }
    }
    ms
}
