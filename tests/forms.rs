//! Every form of the exposition says the same, in pieces of any length.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "store/hostile.rs"]
mod hostile;
#[path = "store/lines.rs"]
#[allow(dead_code, reason = "this test needs less of it than the one of the store")]
mod lines;
#[path = "store/strict.rs"]
#[allow(dead_code, reason = "as above")]
mod strict;
#[path = "forms/wire.rs"]
mod wire;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use tailmeter::config::Config;
use tailmeter::exposition::{Exposition, Head, Number, Protocol, Rendering, Sample, Selection, Table, Type};
use tailmeter::metrics::{Compat, Dialect, Unit, own};
use tailmeter::pipeline::Pipeline;
use tailmeter::source::{Block, End, Sink};

use hostile::{all_labels, hostile_request};
use lines::Line;
use strict::Row;

/// What `lines` of `format` come to, counted as one block.
fn exposition(config: &Config, format: &'static str, lines: &[u8]) -> Exposition {
    let pipeline = Pipeline::new(config, |_| {});
    let mut feed = pipeline.shard(format, &Dialect::Usual).unwrap().feed("test", "test");
    feed.block(Block { lines, bytes: 0, end: End::Nowhere, cut: false });
    let mut exposition = Exposition::default();
    pipeline.expose(&mut exposition);
    exposition
}

fn written(exposition: &Arc<Exposition>, protocol: Protocol, selection: &Selection) -> Vec<u8> {
    let mut out = Vec::new();
    Rendering::new(Arc::clone(exposition), protocol, selection.clone()).write_all(&mut out);
    out
}

fn all(exposition: &Arc<Exposition>, protocol: Protocol) -> Vec<u8> {
    written(exposition, protocol, &Selection::default())
}

/// What protobuf says in the shape in which text is read. Values are in thousandths, as tailmeter counts.
fn as_read_from_text(families: Vec<wire::Family>) -> BTreeMap<String, strict::Metric> {
    let metric = |family: wire::Family| {
        let (kind, place) = match family.kind {
            0 => ("counter", 3),
            1 => ("gauge", 2),
            4 => ("histogram", 7),
            other => panic!("type {other}"),
        };
        let mut rows = BTreeMap::new();
        for metric in family.metrics {
            assert_eq!(metric.place, place, "{}", family.name);
            let labels = metric.labels.into_iter().map(|(name, value)| (name, hostile::bytes(&value))).collect();
            let mut buckets =
                metric.buckets.iter().map(|(bound, count)| (bound.to_string(), *count)).collect::<Vec<_>>();
            if kind == "histogram" {
                buckets.push(("+Inf".to_owned(), metric.count));
            }
            // Beyond what a float holds exactly, there are only whole numbers here.
            let whole = (metric.value.fract() == 0.0).then_some(metric.value as u128 * 1000);
            let row = Row { thousandths: whole.unwrap_or((metric.value * 1000.0).round() as u128), buckets };
            assert_eq!(rows.insert(labels, row), None, "{} has a row twice", family.name);
        }
        let unit = family.name.trim_end_matches("_total").rsplit('_').next().unwrap();
        assert!(family.unit.is_empty() || family.unit == unit, "{}: {}", family.name, family.unit);
        let metric = strict::Metric { name: family.name.clone(), kind: kind.to_owned(), help: family.help, rows };
        (family.name, metric)
    };
    families.into_iter().map(metric).collect()
}

/// What stands before and behind the beginning of the bound, which is the last label.
fn bucket(sample: &str) -> Option<(&str, &str)> {
    let sample_of_bucket = Some(sample).filter(|sample| sample.starts_with("_bucket"))?;
    sample_of_bucket.rsplit_once(",le=\"").or_else(|| sample_of_bucket.rsplit_once("{le=\""))
}

/// OpenMetrics as the text format would have it: names, types, bounds and the end are as they must be, and everything else is
/// the same.
#[track_caller]
fn as_text(openmetrics: &[u8]) -> String {
    let text = std::str::from_utf8(openmetrics).unwrap().strip_suffix("# EOF\n").expect("an end");
    let (mut out, mut total, mut histogram) = (String::new(), "", false);
    let mut name = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (short, help) = rest.split_once(' ').unwrap();
            // Counters are the only ones that lose something; TYPE says which these are.
            let kind =
                text.lines().find_map(|line| line.strip_prefix("# TYPE ")?.strip_prefix(short)?.strip_prefix(' '));
            (name, total) = (short, if kind == Some("counter") { "_total" } else { "" });
            histogram = kind == Some("histogram");
            out += &format!("# HELP {short}{total} {help}\n");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (short, kind) = rest.split_once(' ').unwrap();
            assert_eq!(short, name);
            out += &format!("# TYPE {short}{total} {kind}\n");
        } else if let Some(rest) = line.strip_prefix("# UNIT ") {
            let (short, unit) = rest.split_once(' ').unwrap();
            assert!(short == name && short.ends_with(&format!("_{unit}")), "{line}");
        } else {
            let sample = line.strip_prefix(name).unwrap_or_else(|| panic!("{line} is not of {name}"));
            assert!(sample.starts_with(total) || sample.starts_with("_created"), "{line}");
            // Bounds are canonical: `1.0`.
            match bucket(sample).filter(|_| histogram) {
                Some((before, bound)) => {
                    let (bound, value) = bound.split_once('"').unwrap();
                    let number = bound.parse::<f64>().unwrap();
                    assert!(bound == "+Inf" || format!("{number:?}") == bound, "{line}");
                    let bound = if bound == "+Inf" { bound.to_owned() } else { number.to_string() };
                    let separator = if before.contains('{') { ',' } else { '{' };
                    out += &format!("{name}{before}{separator}le=\"{bound}\"{value}\n");
                }
                None => out += &format!("{line}\n"),
            }
        }
    }
    out
}

#[track_caller]
fn assert_all_forms_agree(exposition: &Arc<Exposition>) {
    let text = all(exposition, Protocol::Text004);
    let expected = strict::read(&text);
    let protobuf = as_read_from_text(wire::read(&all(exposition, Protocol::Protobuf)));
    assert!(expected.keys().eq(protobuf.keys()));
    for (expected, found) in expected.values().zip(protobuf.values()) {
        let rows = expected.rows.iter().zip(&found.rows);
        rows.for_each(|(expected, found)| assert_eq!(expected, found));
        assert!(expected == found, "{expected:?}\n{found:?}");
    }
    let openmetrics = all(exposition, Protocol::OpenMetrics100);
    assert_eq!(as_text(&openmetrics), String::from_utf8(text.clone()).unwrap());
    assert_eq!(all(exposition, Protocol::OpenMetrics001), openmetrics);
    assert_eq!(all(exposition, Protocol::Text100), text);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_forms_agree(first in any::<u64>().no_shrink(), lines in 1..120u64) {
        let line = |line: u64| if line.is_multiple_of(3) { hostile_request(line) } else { Line::whole(line) };
        let lines = (0..lines).map(|number| line(first.wrapping_add(number))).collect::<Vec<_>>();
        let mut exposition = exposition(&all_labels(), "haproxy", &lines::block(&lines, true));
        exposition.has_created_samples = false;
        assert_all_forms_agree(&Arc::new(exposition));
    }

    /// However long the pieces are, and however often nothing comes.
    #[test]
    fn pieces_make_the_whole(seed in any::<u64>().no_shrink(), lengths in prop::collection::vec(1..5000usize, 1..20)) {
        let lines = (0..30).map(|number| Line::whole(seed.wrapping_add(number))).collect::<Vec<_>>();
        let exposition = Arc::new(exposition(&Config::default(), "haproxy", &lines::block(&lines, true)));
        for form in [Protocol::Text004, Protocol::OpenMetrics100, Protocol::Protobuf] {
            let mut rendering = Rendering::new(Arc::clone(&exposition), form, Selection::default());
            let (mut pieces, mut lengths) = (Vec::new(), lengths.iter().cycle());
            loop {
                let (before, length) = (pieces.len(), *lengths.next().unwrap());
                let is_more = rendering.write(length, &mut pieces);
                // No row of these lines takes more than that.
                prop_assert!(pieces.len() - before < length + 4000);
                if !is_more {
                    break;
                }
            }
            prop_assert_eq!(pieces, all(&exposition, form));
        }
    }
}

/// A gauge and a counter with these values.
fn told(values: &[Number]) -> Arc<Exposition> {
    let mut exposition = Exposition::default();
    for (name, kind) in [("a_bytes", Type::Gauge), ("b_total", Type::Counter), ("c", Type::Counter)] {
        let head = Head { unit: Unit::Bytes, ..Head::plain(name, "A \"b\"\\\n.", kind) };
        let sample = |(number, value): (usize, &Number)| Sample {
            labels: format!("n=\"{number}\",v=\"\\\\\\\"\\n\""),
            value: *value,
            created_ms: Some(1_700_000_000_250),
        };
        exposition.add("test", vec![Table::told(head, values.iter().enumerate().map(sample).collect())]);
    }
    exposition.has_created_samples = true;
    Arc::new(exposition)
}

#[test]
fn the_text_forms_differ_where_their_rules_do() {
    let exposition = told(&[Number::Thousandths(1500, false)]);
    let text = String::from_utf8(all(&exposition, Protocol::Text004)).unwrap();
    assert_eq!(
        text,
        r#"# HELP a_bytes A "b"\\\n.
# TYPE a_bytes gauge
a_bytes{n="0",v="\\\"\n"} 1.5
# HELP b_total A "b"\\\n.
# TYPE b_total counter
b_total{n="0",v="\\\"\n"} 1.5
# HELP c A "b"\\\n.
# TYPE c counter
c{n="0",v="\\\"\n"} 1.5
"#
    );
    let text = String::from_utf8(all(&exposition, Protocol::OpenMetrics100)).unwrap();
    assert_eq!(
        text,
        r#"# HELP a_bytes A \"b\"\\\n.
# TYPE a_bytes gauge
# UNIT a_bytes bytes
a_bytes{n="0",v="\\\"\n"} 1.5
# HELP b A \"b\"\\\n.
# TYPE b counter
b_total{n="0",v="\\\"\n"} 1.5
b_created{n="0",v="\\\"\n"} 1700000000.25
# HELP c A \"b\"\\\n.
# TYPE c unknown
c{n="0",v="\\\"\n"} 1.5
# EOF
"#
    );
}

proptest! {
    #[test]
    fn protobuf_has_every_value_as_it_is(values in prop::collection::vec(any::<(u64, bool, f64)>(), 1..20)) {
        let values = values.iter().flat_map(|(number, is_below_zero, float)| {
            [Number::Whole(*number), Number::Thousandths(*number, *is_below_zero), Number::Float(*float)]
        });
        let values = values.collect::<Vec<_>>();
        let exposition = told(&values);
        let families = wire::read(&all(&exposition, Protocol::Protobuf));
        let heads = families.iter().map(|family| (&*family.name, &*family.help, family.kind, &*family.unit));
        let help = "A \"b\"\\\n.";
        prop_assert_eq!(heads.collect::<Vec<_>>(), [("a_bytes", help, 1, "bytes"), ("b_total", help, 0, ""), ("c", help, 0, "")]);
        let text = String::from_utf8(all(&exposition, Protocol::Text004)).unwrap();
        let texts = text.lines().filter(|line| !line.starts_with('#'));
        let metrics = families.iter().flat_map(|family| &family.metrics);
        for (metric, text) in metrics.zip(texts) {
            let value = text.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap();
            // Text is exact. Beyond 2^53 thousandths, dividing may round twice.
            prop_assert!((metric.value - value).abs() <= value.abs() * 2.3e-16, "{} {}", metric.value, text);
            prop_assert_eq!(&metric.labels[1], &("v".to_owned(), "\\\"\n".to_owned()));
            prop_assert_eq!(metric.created_ms, (metric.place == 3).then_some(1_700_000_000_250));
        }
    }
}

#[test]
fn rows_tell_when_counting_began() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let before = now();
    let lines = lines::block(&(0..50).map(Line::whole).collect::<Vec<_>>(), true);
    let mut exposition = exposition(&Config::default(), "haproxy", &lines);
    exposition.has_created_samples = true;
    let (exposition, span) = (Arc::new(exposition), before..=now());
    let families = wire::read(&all(&exposition, Protocol::Protobuf));
    assert!(
        families.iter().flat_map(|family| &family.metrics).all(|metric| span.contains(&metric.created_ms.unwrap()))
    );
    let text = String::from_utf8(all(&exposition, Protocol::OpenMetrics100)).unwrap();
    let created = text.lines().filter(|line| line.contains("_created"));
    assert_eq!(created.count(), families.iter().map(|family| family.metrics.len()).sum::<usize>());
}

const RSPAMD: &str = include_str!("../fixtures/rspamd/new.log");

/// OpenMetrics allows no sum of what may be below zero.
#[test]
fn a_histogram_below_zero_becomes_three_metrics_of_unknown_type() {
    let exposition = Arc::new(exposition(&Config::default(), "rspamd", RSPAMD.as_bytes()));
    let text = String::from_utf8(all(&exposition, Protocol::Text004)).unwrap();
    let openmetrics = String::from_utf8(all(&exposition, Protocol::OpenMetrics100)).unwrap();
    let name = text.lines().find_map(|line| {
        line.strip_suffix("_bucket{le=\"-10\"} 0").or_else(|| {
            line.split_once("_bucket{").filter(|(_, rest)| rest.contains("le=\"-10\"")).map(|(name, _)| name)
        })
    });
    let name = name.expect("a histogram of scores");
    for suffix in ["_bucket", "_sum", "_count"] {
        assert!(openmetrics.contains(&format!("# TYPE {name}{suffix} unknown\n{name}{suffix}")), "{openmetrics}");
        let samples = |text: &str| text.lines().filter(|line| line.starts_with(&format!("{name}{suffix}"))).count();
        assert_eq!(samples(&text), samples(&openmetrics));
    }
    assert!(!openmetrics.contains(&format!("# TYPE {name} ")));
}

#[test]
fn a_selection_has_what_it_names() {
    let lines = lines::block(&(0..50).map(Line::whole).collect::<Vec<_>>(), true);
    let mut exposition = exposition(&Config::default(), "haproxy", &lines);
    let head = Head::plain("up", "Up.", Type::Gauge);
    exposition.add("tailmeter", vec![Table::told(head, vec![Sample::default()])]);
    let exposition = Arc::new(exposition);
    let names = |names: &[&str], families: &[&str]| {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let selection = Selection { names: own(names), families: own(families) };
        let text = written(&exposition, Protocol::Text004, &selection);
        strict::read(&text).into_keys().collect::<Vec<_>>()
    };
    let (requests, duration) = ("haproxy_log_requests_total", "haproxy_log_response_duration_seconds");
    for name in [requests, "haproxy_log_requests", "haproxy_log_requests_created"] {
        assert_eq!(names(&[name], &[]), [requests], "{name}");
    }
    for suffix in ["", "_bucket", "_sum", "_count", "_created"] {
        assert_eq!(names(&[&format!("{duration}{suffix}"), "up"], &[]), [duration, "up"], "{suffix}");
    }
    assert_eq!(names(&["up"], &["haproxy"]), [""; 0]);
    assert_eq!(names(&["unknown", "up_total", "haproxy_log_requests_sum", ""], &[]), [""; 0]);
    assert_eq!(names(&[], &["tailmeter"]), ["up"]);
    let families = |families: &[&str]| names(&[], families).len();
    assert_eq!(families(&["haproxy", "tailmeter"]), families(&[]));
    assert_eq!(families(&["haproxy"]) + 1, families(&[]));
    let selection = Selection { names: vec!["unknown".to_owned()], families: Vec::new() };
    assert_eq!(written(&exposition, Protocol::OpenMetrics100, &selection), b"# EOF\n");
    assert_eq!(written(&exposition, Protocol::Protobuf, &selection), b"");
}

/// Everything that there are fixtures for, under `config`, with the own telemetry of that.
fn everything(config: &Config) -> Arc<Exposition> {
    let (recorder, telemetry) = own::build();
    let mut exposition = Exposition::default();
    metrics::with_local_recorder(&recorder, || {
        let pipeline = Pipeline::new(config, |_| {});
        let families = pipeline.families().collect::<Vec<_>>();
        for family in families {
            let shard = pipeline.shard(family, &Dialect::Usual).unwrap();
            for entry in fs::read_dir(Path::new("fixtures").join(family)).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|extension| extension == "log") {
                    let mut feed = shard.feed(path.to_str().unwrap(), "key");
                    feed.block(Block { lines: &fs::read(&path).unwrap(), bytes: 0, end: End::Nowhere, cut: false });
                }
            }
        }
        let lines = (0..300).map(hostile_request).collect::<Vec<_>>();
        let mut feed = pipeline.shard("haproxy", &Dialect::Usual).unwrap().feed("hostile \"\\\n", "key");
        feed.block(Block { lines: &lines::block(&lines, true), bytes: 0, end: End::Nowhere, cut: false });
        pipeline.expose(&mut exposition);
        telemetry.expose(&mut exposition);
    });
    exposition.has_created_samples = true;
    Arc::new(exposition)
}

#[test]
fn promtool_has_no_complaint_about_any_metric() {
    let text = all(&everything(&all_labels()), Protocol::Text004);
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, of the package prometheus, must be installed");
    promtool.stdin.take().unwrap().write_all(&text).unwrap();
    let result = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&result.stderr) + String::from_utf8_lossy(&result.stdout);
    assert!(result.status.success() && said.is_empty(), "{said}");
}

#[test]
fn the_official_parsers_read_the_same_from_all_forms() {
    let made = Command::new("tests/forms/python").output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let python = String::from_utf8(made.stdout).unwrap();
    for compat in [None, Some(Compat::HaproxyLogExporter), Some(Compat::PostfixExporter)] {
        let mut config = Config::with_compat(compat);
        if compat.is_none() {
            config = all_labels();
        }
        let exposition = everything(&config);
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(python.trim());
        command.arg("tests/forms/compare.py");
        for form in [Protocol::Text004, Protocol::OpenMetrics100, Protocol::Protobuf] {
            let path = folder.path().join(format!("{form:?}"));
            fs::write(&path, all(&exposition, form)).unwrap();
            command.arg(path);
        }
        let run = command.output().unwrap();
        let said = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success() && said.contains(" samples, "), "{compat:?}: {said}");
        println!("{compat:?}: {said}");
    }
}
