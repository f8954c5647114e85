//! A small strict reader of the text format 0.0.4: it takes what tailmeter writes and nothing else.

use std::collections::BTreeMap;

/// A row's labels in their order, values as bytes with every escape undone.
pub(crate) type Labels = Vec<(String, Vec<u8>)>;

/// One series of a counter or gauge, or all of one histogram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The value, or the sum of a histogram, in thousandths; one below zero as two's complement.
    pub(crate) thousandths: u128,
    /// Upper bounds as written, and how many observations are at or below each.
    pub(crate) buckets: Vec<(String, u64)>,
}

impl Row {
    /// Observations of a histogram.
    pub(crate) fn observations(&self) -> u64 {
        self.buckets.last().map_or(0, |(_, count)| *count)
    }
}

/// One metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Metric {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) help: String,
    pub(crate) rows: BTreeMap<Labels, Row>,
}

impl Metric {
    /// The sum of all rows, in thousandths.
    pub(crate) fn thousandths(&self) -> u128 {
        self.rows.values().fold(0, |sum, row| sum.wrapping_add(row.thousandths))
    }

    /// The observations of all rows.
    pub(crate) fn observations(&self) -> u64 {
        self.rows.values().map(Row::observations).sum()
    }
}

/// The metrics of `text`, by name.
///
/// # Panics
/// With the line, when it is not as it must be.
#[track_caller]
pub(crate) fn read(text: &[u8]) -> BTreeMap<String, Metric> {
    let text = std::str::from_utf8(text).expect("UTF-8");
    assert!(text.is_empty() || text.ends_with('\n'), "the last line has no end");
    let mut metrics = BTreeMap::new();
    let mut lines = text.split_terminator('\n').peekable();
    while let Some(line) = lines.next() {
        let (name, help) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')).expect(line);
        assert!(is_name(name, ":") && !help.is_empty() && !help.contains('\\'), "{line}");
        let kind = lines.next().and_then(|line| line.strip_prefix("# TYPE ")).and_then(|rest| rest.split_once(' '));
        let (typed, kind) = kind.expect("TYPE behind HELP");
        assert!(typed == name && ["counter", "gauge", "histogram"].contains(&kind), "{typed} {kind}");
        let mut metric = Metric { name: name.into(), kind: kind.into(), help: help.into(), rows: BTreeMap::new() };
        let mut samples = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            samples.push(sample(line));
        }
        assert!(!samples.is_empty(), "{name} has no sample");
        match kind {
            "histogram" => histograms(&mut metric, samples),
            _ => plain(&mut metric, samples),
        }
        assert!(metrics.insert(name.to_owned(), metric).is_none(), "{name} comes twice");
    }
    metrics
}

struct Sample<'t> {
    name: &'t str,
    labels: Labels,
    thousandths: u128,
}

fn plain(metric: &mut Metric, samples: Vec<Sample<'_>>) {
    for Sample { name, labels, thousandths } in samples {
        assert_eq!(name, metric.name);
        insert(metric, labels, Row { thousandths, buckets: Vec::new() });
    }
}

/// All buckets of a row, then its sum, then its count.
fn histograms(metric: &mut Metric, samples: Vec<Sample<'_>>) {
    let mut samples = samples.into_iter().peekable();
    while samples.peek().is_some() {
        let mut buckets: Vec<(String, u64)> = Vec::new();
        let mut of_buckets = None;
        while let Some(mut sample) = samples.next_if(|sample| sample.name.strip_prefix(&metric.name) == Some("_bucket"))
        {
            let (label, bound) = sample.labels.pop().expect("a bucket has a bound");
            assert_eq!(label, "le");
            let bound = String::from_utf8(bound).expect("a bound is a number");
            let number = |bound: &str| bound.parse::<f64>().expect("a bound is a number");
            let count = (sample.thousandths / 1000) as u64;
            if let Some((last, before)) = buckets.last() {
                assert!(number(last) < number(&bound) && *before <= count, "{}: {buckets:?} {bound}", metric.name);
            }
            buckets.push((bound, count));
            assert_eq!(*of_buckets.get_or_insert_with(|| sample.labels.clone()), sample.labels, "one row's buckets");
        }
        assert_eq!(buckets.last().expect("buckets").0, "+Inf");
        let sum = samples.next().expect("a sum");
        let count = samples.next().expect("a count");
        assert_eq!(sum.name.strip_prefix(&metric.name), Some("_sum"));
        assert_eq!(count.name.strip_prefix(&metric.name), Some("_count"));
        assert!(
            of_buckets.as_ref() == Some(&sum.labels) && sum.labels == count.labels,
            "one row's buckets, sum, count"
        );
        let row = Row { thousandths: sum.thousandths, buckets };
        assert_eq!(count.thousandths, 1000 * u128::from(row.observations()), "+Inf and _count of {}", metric.name);
        insert(metric, sum.labels, row);
    }
}

fn insert(metric: &mut Metric, labels: Labels, row: Row) {
    for (at, (name, _)) in labels.iter().enumerate() {
        assert!(name != "le" && labels[..at].iter().all(|(other, _)| other != name), "label {name} twice");
    }
    if let Some((known, _)) = metric.rows.first_key_value() {
        let names = |labels: &Labels| labels.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(known), names(&labels), "all rows have the same labels");
    }
    let shown = format!("{}: {labels:?} comes twice", metric.name);
    assert!(metric.rows.insert(labels, row).is_none(), "{shown}");
}

/// `name{label="value",…} 1.5`
fn sample(line: &str) -> Sample<'_> {
    let end = line.find(['{', ' ']).expect(line);
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name, ":"), "{line}");
    let mut labels = Labels::new();
    if rest.starts_with('{') {
        loop {
            // Past the brace or the comma; so neither an empty block nor a comma at its end gets through.
            let (label, behind) = rest[1..].split_once("=\"").expect(line);
            assert!(is_name(label, "") && !label.starts_with("__"), "{line}");
            let (value, behind) = value(behind);
            labels.push((label.to_owned(), value));
            rest = behind;
            match rest.chars().next() {
                Some(',') => {}
                Some('}') => break,
                _ => panic!("{line}"),
            }
        }
        rest = &rest[1..];
    }
    let number = rest.strip_prefix(' ').expect(line);
    // Only what is observed may be below zero.
    let below = number.strip_prefix('-').filter(|_| name.ends_with("_sum"));
    let thousandths = thousandths(below.unwrap_or(number)).unwrap_or_else(|| panic!("{line}"));
    Sample { name, labels, thousandths: if below.is_some() { thousandths.wrapping_neg() } else { thousandths } }
}

fn is_name(name: &str, more: &str) -> bool {
    let is_fit =
        |at: usize, c: char| c.is_ascii_alphabetic() || c == '_' || more.contains(c) || at > 0 && c.is_ascii_digit();
    !name.is_empty() && name.chars().enumerate().all(|(at, c)| is_fit(at, c))
}

fn thousandths(number: &str) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_short = whole == "0" || !whole.starts_with('0');
    let fits = is_digits(whole) && is_digits(fraction) && is_short && fraction.len() <= 3;
    fits.then(|| whole.parse::<u128>().ok())?.map(|whole| {
        let digits = fraction.bytes().chain([b'0'; 3]).take(3);
        digits.fold(whole, |value, digit| 10 * value + u128::from(digit - b'0'))
    })
}

/// The bytes of a value up to its closing quote, and what follows that.
fn value(text: &str) -> (Vec<u8>, &str) {
    let mut shown = String::new();
    let mut characters = text.char_indices();
    loop {
        let (at, character) = characters.next().expect("a closing quote");
        shown.push(match character {
            '"' => return (bytes(&shown), &text[at + 1..]),
            '\\' => match characters.next().map(|(_, next)| next) {
                Some('n') => '\n',
                Some(next @ ('\\' | '"')) => next,
                other => panic!("unknown escape {other:?} in {text}"),
            },
            _ => {
                assert!(!character.is_ascii_control(), "a raw {character:?} in {text}");
                character
            }
        });
    }
}

/// The bytes that a shown value stands for: `\xNN` is one byte.
fn bytes(shown: &str) -> Vec<u8> {
    let (shown, mut bytes, mut at) = (shown.as_bytes(), Vec::new(), 0);
    while at < shown.len() {
        let digits = shown.get(at + 2..at + 4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        match digits {
            Some(digits) if shown[at..].starts_with(b"\\x") => {
                let digits = std::str::from_utf8(digits).expect("ASCII");
                bytes.push(u8::from_str_radix(digits, 16).expect("hexadecimal"));
                at += 4;
            }
            _ => {
                bytes.push(shown[at]);
                at += 1;
            }
        }
    }
    bytes
}
