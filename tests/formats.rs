//! Formats that a configuration describes, from the file to the scrape: any bytes, records over crashes and rotations, reloads.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "cli/harness.rs"]
#[allow(dead_code, reason = "the tests of the command line use the rest")]
mod harness;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use harness::{Exporter, append, run, samples, sum, until, wait};
use proptest::prelude::*;
use serde_json::Value as Json;
use tailmeter::config::Config;
use tailmeter::metrics::{Dialect, FAMILIES};
use tailmeter::pipeline::Pipeline;
use tailmeter::source::{Block, End, Sink};
use tailmeter_parsers::pointers::{Kind, Pointers, Value, unescape};

/// Records of several lines, counted by level and by what was raised.
const RECORDS: &str = r"
formats:
  app:
    multiline: {start: '^[0-9]+ '}
    pattern: '(?s)^[0-9]+ (?P<level>INFO|ERROR) (?P<message>[^\n]*)(?:\n +at [^\n]*)*(?:\n(?P<raised>[A-Z][a-z]+))?$'
    metrics:
      app_messages_total: {type: counter, labels: [level]}
      app_raised_total: {type: counter, when: {raised: '.'}, labels: [raised: {allow: [Timeout, Refused]}]}
";

fn source(path: &Path, format: &str) -> String {
    format!("sources:\n  - {{file: {}, format: {format}}}\n", path.display())
}

/// A folder with a configuration and a log.
struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configure(&self, text: &str) {
        fs::write(self.path("tailmeter.yml"), text).unwrap();
    }

    /// A run with a state.
    fn start(&self) -> Exporter {
        let (config, state) = (self.path("tailmeter.yml"), self.path("state"));
        Exporter::start([Path::new("--config"), &config, Path::new("--state-dir"), &state])
    }
}

fn kill(mut exporter: Exporter) {
    exporter.child.kill().unwrap();
    wait(&mut exporter.child);
}

fn lines(text: &str, outcome: &str) -> f64 {
    let wanted = format!("outcome=\"{outcome}\"");
    samples(text, "tailmeter_lines_total").filter(|(labels, _)| labels.contains(&wanted)).map(|(_, value)| value).sum()
}

#[test]
fn a_record_is_counted_once_over_kills_and_rotations() {
    let lab = Lab::new();
    let log = lab.path("app.log");
    lab.configure(&(source(&log, "app") + RECORDS));
    append(&log, "1 INFO started\n2 ERROR no answer\n  at a.b(C)\n");
    let exporter = lab.start();
    let text = exporter.until_sum("app_messages_total", 1.0);
    assert_eq!((lines(&text, "parsed"), sum(&text, "app_raised_total")), (1.0, 0.0));
    kill(exporter);

    // The rest of the record comes while nobody looks, and into the next file.
    append(&log, "  at d.e(F)\n");
    fs::rename(&log, lab.path("app.log.1")).unwrap();
    append(&log, "Timeout\n3 INFO next\n");
    let exporter = lab.start();
    let text = exporter.until_sum("app_messages_total", 2.0);
    assert_eq!((lines(&text, "parsed"), sum(&text, "app_raised_total")), (5.0, 1.0));
    kill(exporter);

    // While it looks: the record is open when its file is rotated.
    let exporter = lab.start();
    append(&log, "4 ERROR again\n  at g\n");
    exporter.until_sum("app_messages_total", 3.0);
    fs::rename(lab.path("app.log.1"), lab.path("app.log.2")).unwrap();
    fs::rename(&log, lab.path("app.log.1")).unwrap();
    append(&log, "Refused\n");
    // Nothing follows: it is counted all the same.
    let text = exporter.until_sum("app_messages_total", 4.0);
    assert_eq!((lines(&text, "parsed"), sum(&text, "app_raised_total")), (9.0, 2.0));
    assert_eq!(sum(&text, "tailmeter_rotations_total"), 2.0, "{text}");
    kill(exporter);
    let exporter = lab.start();
    let text = exporter.until_sum("app_messages_total", 4.0);
    assert_eq!((lines(&text, "parsed"), lines(&text, "rejected")), (9.0, 0.0));
}

#[test]
fn the_rest_of_a_record_that_is_gone_is_told() {
    let lab = Lab::new();
    let log = lab.path("app.log");
    let config = lab.path("tailmeter.yml");
    lab.configure(&RECORDS.replace("'^[0-9]+ '", "'^[0-9]+ ', max_lines: 2"));
    append(&log, "  at the end\n1 ERROR a\n  at b\n  at c\nRefused\n2 INFO d");
    let arguments = ["--config", config.to_str().unwrap(), "--format", "app", log.to_str().unwrap()];
    let replayed = run(["replay"].iter().chain(&arguments));
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    assert_eq!((lines(&replayed.stdout, "parsed"), lines(&replayed.stdout, "rejected")), (3.0, 3.0));
    let parsed = run(["parse"].iter().chain(&arguments)).stdout;
    let rows = parsed.lines().map(|row| serde_json::from_str::<Json>(row).unwrap()).collect::<Vec<_>>();
    let shown = rows.iter().map(|row| (row["line"].as_u64().unwrap(), row["outcome"].as_str().unwrap()));
    let expected = [(1, "rejected"), (2, "parsed"), (4, "rejected"), (5, "rejected"), (6, "parsed")];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
    assert_eq!((rows[1]["lines"].as_u64(), rows[0]["reason"].as_str()), (Some(2), Some("truncated")));
}

#[test]
fn a_reload_changes_a_format_under_an_open_record() {
    let lab = Lab::new();
    let (log, other) = (lab.path("app.log"), lab.path("other.log"));
    lab.configure(&(source(&log, "app") + RECORDS));
    append(&log, "1 INFO a\n2 ERROR b\n  at c\n");
    let exporter = lab.start();
    exporter.until_sum("app_messages_total", 1.0);
    let reload = |text: &str| {
        lab.configure(text);
        exporter.signal("HUP");
        loop {
            let said = exporter.says();
            if said.starts_with("the configuration") {
                return said;
            }
        }
    };
    // Another pattern, one more metric, and a format and source that were not there.
    let metric = "\n      app_long_total: {type: counter, when: {message: {not: '^.?$'}}}\n";
    let changed = RECORDS.replace("INFO|ERROR", "INFO|ERROR|WARN").trim_end().to_owned() + metric;
    let json = "  other: {json: {a: /a}, fields: {a: integer}, metrics: {other_last: {type: gauge, value: a}}}\n";
    append(&other, "{\"a\":5}\n{\"a\":-7}\n");
    let more = format!("  - {{file: {}, format: other}}\n", other.display());
    assert_eq!(reload(&(source(&log, "app") + &more + &changed + json)), "the configuration was loaded again");
    append(&log, "Timeout\n3 WARN long enough\n4 INFO d\n");
    let text = exporter.until_sum("app_messages_total", 3.0);
    assert_eq!((sum(&text, "app_raised_total"), sum(&text, "app_long_total")), (1.0, 1.0));
    exporter.until_sum("other_last", -7.0);
    let before = lines(&exporter.metrics(), "rejected");
    assert_eq!(before, 0.0);

    // What is wrong changes nothing.
    assert!(reload(&(source(&log, "app") + &changed.replace("(?s)", "(?s"))).contains("stays in use"));
    append(&log, "5 INFO e\n");
    exporter.until_sum("app_messages_total", 4.0);

    // A metric and a format go, and come back with what they had.
    let source_and_records = source(&log, "app") + RECORDS;
    reload(&source_and_records);
    until("the metrics to go", || !exporter.metrics().contains("TYPE app_long_total"));
    assert!(!exporter.metrics().contains("TYPE other_last"));
    reload(&(source(&log, "app") + &more + &changed + json));
    let text = exporter.until_sum("other_last", -7.0);
    assert_eq!(sum(&text, "app_long_total"), 1.0);
    append(&other, "{\"a\":9}\n");
    exporter.until_sum("other_last", 9.0);
    kill(exporter);
    // The last value is that of an earlier run until there is a later one.
    let exporter = lab.start();
    let text = exporter.until_sum("other_last", 9.0);
    assert_eq!(sum(&text, "app_messages_total"), 4.0);
    append(&other, "{\"a\":8}\n");
    exporter.until_sum("other_last", 8.0);
}

/// What a scrape shows of `lines`, which are counted by `config`.
fn scraped(config: &str, format: &'static str, blocks: &[&[u8]]) -> String {
    let config = Config::parse(config, "tailmeter.yml", FAMILIES).unwrap();
    let pipeline = Pipeline::new(&config, |_| ());
    let name = pipeline.format(format).unwrap();
    let mut feed = pipeline.shard(name, &Dialect::Usual).unwrap().feed("a", "a");
    for lines in blocks {
        feed.block(Block { lines, bytes: lines.len() as u64, end: End::Nowhere, cut: false });
    }
    let mut text = Vec::new();
    pipeline.render(&mut text);
    String::from_utf8(text).expect("UTF-8")
}

const FREE: &str = r"
formats:
  free:
    json: {kind: /kind, took: /took, note: /notes/0}
    fields: {took: {type: duration, unit: ms}}
    metrics:
      free_total: {type: counter, labels: [kind: {unbounded: true}, note: {unbounded: true}], constant_labels: {q: 'a'}}
      free_seconds: {type: histogram, value: took, buckets: [0.001, 1], labels: [kind: {unbounded: true}]}
      free_ok_total: {type: counter, when: {kind: '^ok$', note: {not: x}}}
max_series: 20
";

#[test]
fn values_of_json_are_escaped_like_all_others() {
    let line = br#"{"kind":"a\"b\\\n\u0000\u00e9","notes":["\ud83d",1],"took":0.0015}"#;
    let text = scraped(FREE, "free", &[line]);
    let expected = "free_total{kind=\"a\\\"b\\\\\\\\x0a\\\\x00\u{e9}\",note=\"\u{fffd}\",q=\"a\"} 1";
    assert!(text.lines().any(|row| row == expected), "{text}\n{expected}");
    assert!(text.contains("free_seconds_bucket{kind=\"a\\\"b\\\\\\\\x0a\\\\x00\u{e9}\",le=\"0.001\"} 1\n"), "{text}");
    assert_eq!(sum(&text, "free_seconds_sum"), 0.000_002);
}

#[test]
fn what_is_wrong_with_a_line_has_a_reason_and_a_place() {
    let lab = Lab::new();
    let (config, log) = (lab.path("tailmeter.yml"), lab.path("a.log"));
    lab.configure(FREE);
    fs::write(&log, "{\"took\":\"x\"}\n{\"took\":-1}\n{\"took\":1e300}\n{\"took\":1,}\nhello\n{\"took\":null}\n")
        .unwrap();
    let arguments = ["parse", "--config", config.to_str().unwrap(), "--format", "free", log.to_str().unwrap()];
    let parsed = run(arguments).stdout;
    let rows = parsed.lines().map(|row| serde_json::from_str::<Json>(row).unwrap());
    let rows = rows.map(|row| {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        (text("reason"), text("field"), row["offset"].as_u64().unwrap_or_default())
    });
    let expected = [("number", "took", 9), ("range", "took", 8), ("range", "took", 8), ("delimiter", "json", 10)];
    let expected = expected.into_iter().chain([("unknown_form", "json", 0), ("", "", 0)]);
    let expected = expected.map(|(reason, field, offset)| (reason.to_owned(), field.to_owned(), offset));
    assert_eq!(rows.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

/// The value at a pointer that a JSON library finds, as text.
fn looked_up(json: &Json, pointer: &str) -> Option<String> {
    match json.pointer(pointer)? {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec((prop::sample::select(&["a", "b", "", "~/", "\""][..]), inner), 0..4).prop_map(
                |members| Json::Object(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
            ),
        ]
    })
}

const POINTERS: [&str; 7] = ["/a", "/a/b", "/a/0", "/b/1/a", "//a", "/~0~1", "/\""];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Values are those that a JSON library finds.
    #[test]
    fn pointers_find_what_a_library_finds(value in json()) {
        let value = serde_json::json!({ "a": value, "b": [1, { "a": "x" }] });
        let (text, pointers) = (value.to_string(), Pointers::new(POINTERS).unwrap());
        let mut values = [Value::default(); POINTERS.len()];
        pointers.find(text.as_bytes(), &mut values, &mut Vec::new()).unwrap();
        for (pointer, found) in POINTERS.iter().zip(values) {
            let raw = &text.as_bytes()[found.start..found.end];
            let shown = match found.kind {
                Kind::Missing => None,
                Kind::Escaped => {
                    let mut out = Vec::new();
                    unescape(raw, &mut out);
                    Some(String::from_utf8(out).unwrap())
                }
                _ => Some(String::from_utf8(raw.to_vec()).unwrap()),
            };
            prop_assert_eq!(shown, looked_up(&value, pointer), "{} in {}", pointer, text);
        }
    }

    /// What a JSON library takes for an object is one, whatever is changed in it; and no bytes make reading panic.
    #[test]
    fn broken_objects_are_refused(value in json(), at: prop::sample::Index, byte in any::<u8>(), cut in any::<bool>()) {
        let mut text = serde_json::json!({ "a": value }).to_string().into_bytes();
        let at = at.index(text.len());
        if cut { text.truncate(at) } else { text[at] = byte }
        let found = Pointers::new(POINTERS).unwrap().find(&text, &mut [Value::default(); POINTERS.len()], &mut Vec::new());
        let is_object = serde_json::from_slice::<Json>(&text).is_ok_and(|json| json.is_object());
        prop_assert!(!is_object || found.is_ok(), "{}: {:?}", text.escape_ascii(), found);
        if let Err((_, place)) = found {
            prop_assert!(place <= text.len());
        } else if text.iter().all(|byte| (0x20..0x7f).contains(byte) && !b"eE".contains(byte)) {
            // An exponent may be beyond what the library can hold.
            prop_assert!(is_object, "{}", text.escape_ascii());
        }
    }

    /// Every line is counted once, whatever it holds: rows add up to the lines, and no two rows look the same.
    #[test]
    fn rows_add_up_to_the_lines(
        lines in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..6), 0u32..3000), 0..60),
    ) {
        let block = lines.iter().map(|(kind, took)| {
            let kind = serde_json::to_string(&String::from_utf8_lossy(kind)).unwrap();
            // As programs write what is no text.
            format!("{{\"kind\":{kind},\"took\":{took},\"notes\":[{kind}]}}\n")
        });
        let block = block.collect::<String>();
        let text = scraped(FREE, "free", &[block.as_bytes()]);
        prop_assert_eq!(sum(&text, "free_total"), lines.len() as f64);
        prop_assert_eq!(sum(&text, "free_seconds_count"), lines.len() as f64);
        let labels = samples(&text, "free_total").map(|(labels, _)| labels).collect::<Vec<_>>();
        prop_assert!(labels.len() <= 20);
        prop_assert_eq!(labels.iter().collect::<BTreeSet<_>>().len(), labels.len());
        let total = lines.iter().map(|(_, took)| f64::from(*took)).sum::<f64>() / 1000.0;
        prop_assert!((sum(&text, "free_seconds_sum") - total).abs() < 1e-6);
    }

    /// Any bytes as lines of the formats that are shipped.
    #[test]
    fn no_bytes_are_too_much(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for format in ["nginx", "apache", "caddy", "application", "python"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/formats").join(format!("{format}.yml"));
            let config = Config::load(&path).unwrap();
            let pipeline = Pipeline::new(&config, |_| ());
            let mut feed = pipeline.shard(pipeline.format(format).unwrap(), &Dialect::Usual).unwrap().feed("a", "a");
            feed.block(Block { lines: &bytes, bytes: 0, end: End::Nowhere, cut: false });
            let [parsed, ignored, rejected] = feed.lines().outcomes();
            let expected = bytes.split_inclusive(|byte| *byte == b'\n').count() as u64;
            prop_assert_eq!(parsed + ignored + rejected, expected, "{}", format);
        }
    }
}

/// Every line of the fixtures, cut at every byte, and with every byte changed: an outcome each.
#[test]
fn recorded_lines_may_break_anywhere() {
    for format in ["nginx", "apache", "caddy", "application", "python"] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let config = Config::load(&root.join(format!("packaging/formats/{format}.yml"))).unwrap();
        let log = fs::read(root.join(format!("fixtures/formats/{format}.log"))).unwrap();
        let pipeline = Pipeline::new(&config, |_| ());
        let mut feed = pipeline.shard(pipeline.format(format).unwrap(), &Dialect::Usual).unwrap().feed("a", "a");
        let mut expected = 0;
        for line in log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).take(8) {
            for at in 0..line.len() {
                let mut changed = line.to_vec();
                changed[at] ^= 0x41;
                if changed[at] == b'\n' {
                    changed[at] = 0;
                }
                let block = [&line[..at], b"\n", &changed, b"\n"].concat();
                feed.block(Block { lines: &block, bytes: 0, end: End::Nowhere, cut: false });
                expected += 2;
            }
        }
        assert_eq!(feed.lines().outcomes().iter().sum::<u64>(), expected, "{format}");
    }
}
