//! Limits of series, in every family: what a limit leaves out is counted in the row whose labels are all `other`, so sums are
//! those of a run without it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "store/strict.rs"]
#[allow(dead_code, reason = "the tests of the store use the rest")]
mod strict;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tailmeter::config::{Config, MetricConfig};
use tailmeter::metrics::own::Ledger;
use tailmeter::metrics::{Compat, Dialect, FAMILIES, families};
use tailmeter::pipeline::Pipeline;
use tailmeter::source::{Block, End, Sink};

use strict::Metric;

/// Every log of a family, one behind the other.
fn lines(family: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(family);
    let mut logs = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.sort();
    let mut lines = Vec::new();
    for log in logs {
        lines.extend(fs::read(log).unwrap());
        if lines.last() != Some(&b'\n') {
            lines.push(b'\n');
        }
    }
    lines
}

/// Everything that can be counted.
fn everything(compat: Option<Compat>) -> Config {
    let mut config = Config { max_series: 1_000_000, ..Config::with_compat(compat) };
    for metric in families(compat).iter().flat_map(|family| family.metrics) {
        config.metrics.insert(metric.name.to_owned(), MetricConfig::default());
    }
    config
}

/// What is shown, and how many samples fell out of each metric.
struct Shown {
    metrics: BTreeMap<String, Metric>,
    fell_out: BTreeMap<String, f64>,
}

fn count(config: &Config, logs: &[(&'static str, Vec<u8>)]) -> Shown {
    let ledger = Ledger::default();
    metrics::with_local_recorder(&ledger, || {
        let pipeline = Pipeline::new(config, |_| {});
        for (format, lines) in logs {
            let mut feed = pipeline.shard(format, &Dialect::Usual).unwrap().feed(format, "");
            feed.block(Block { lines, bytes: lines.len() as u64, end: End::Nowhere, cut: false });
        }
        let (mut text, mut own) = (Vec::new(), Vec::new());
        pipeline.render(&mut text);
        ledger.render(&["tailmeter_label_overflow_total"], &mut own);
        let own = String::from_utf8(own).unwrap();
        let samples = own.lines().filter_map(|line| line.split_once("{metric=\"")?.1.split_once("\"} "));
        let fell_out = samples.map(|(metric, value)| (metric.to_owned(), value.parse().unwrap())).collect();
        Shown { metrics: strict::read(&text), fell_out }
    })
}

fn is_overflow(labels: &strict::Labels) -> bool {
    labels.iter().all(|(_, value)| value == b"other")
}

#[track_caller]
fn assert_same_sums(context: &str, all: &Metric, some: &Metric) {
    assert_eq!(some.observations(), all.observations(), "{context} {}", all.name);
    // A score may be negative, and its sum is read as its amount.
    if !all.name.ends_with("_score") {
        assert_eq!(some.thousandths(), all.thousandths(), "{context} {}", all.name);
    }
}

#[test]
fn every_family_keeps_the_limit_of_each_metric() {
    let mut overflows = 0;
    for compat in [None, Some(Compat::HaproxyLogExporter), Some(Compat::PostfixExporter)] {
        for family in families(compat) {
            let logs = [(family.name, lines(family.name))];
            let all = count(&everything(compat), &logs);
            for limit in [1, 2, 3, 8] {
                let some = count(&Config { max_series: limit, ..everything(compat) }, &logs);
                assert!(some.metrics.keys().eq(all.metrics.keys()), "{}", family.name);
                for (name, metric) in &some.metrics {
                    let context = format!("{} with {limit}", family.name);
                    let (without, rows) = (&all.metrics[name], &metric.rows);
                    assert!(rows.len() <= limit, "{context}: {name} has {}", rows.len());
                    assert_same_sums(&context, without, metric);
                    let kept = rows.keys().filter(|labels| without.rows.contains_key(*labels)).count();
                    let has_overflow = without.rows.len() > limit;
                    overflows += usize::from(has_overflow);
                    if has_overflow {
                        assert!(some.fell_out[name] > 0.0, "{context}: {name}");
                        assert!(rows.keys().any(is_overflow), "{context}: {name}");
                    } else if without.rows.len() < limit {
                        assert_eq!((some.fell_out[name], kept), (0.0, rows.len()), "{context}: {name}");
                    }
                }
            }
        }
    }
    assert!(overflows > 100, "{overflows}");
}

#[test]
fn all_metrics_together_keep_their_limit() {
    let logs = FAMILIES.iter().map(|family| (family.name, lines(family.name))).collect::<Vec<_>>();
    let all = count(&everything(None), &logs);
    let series = |shown: &Shown| shown.metrics.values().map(|metric| metric.rows.len()).sum::<usize>();
    let (total, metrics) = (series(&all), all.metrics.len());
    for limit in [1, 50, 500, total - 1, total] {
        let some = count(&Config { max_series_total: limit, ..everything(None) }, &logs);
        let bound = if limit == total { total } else { limit + metrics };
        assert!(series(&some) <= bound, "{limit}: {}", series(&some));
        assert_eq!(some.fell_out.values().sum::<f64>() == 0.0, limit == total, "{limit}");
        for (name, metric) in &all.metrics {
            assert_same_sums(&format!("{limit} in all:"), metric, &some.metrics[name]);
        }
    }
}
