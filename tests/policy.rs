//! Label policies from the configuration to what is shown: over restarts, reloads and exchanged keys, under attack, and
//! for every family.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "policy/attack.rs"]
mod attack;
#[path = "policy/families.rs"]
mod families;
#[path = "store/lines.rs"]
#[allow(dead_code, reason = "the tests of the store use the rest")]
mod lines;
#[path = "policy/restarts.rs"]
mod restarts;
#[path = "store/rules.rs"]
#[allow(dead_code, reason = "as above")]
mod rules;
#[path = "policy/salts.rs"]
mod salts;
#[path = "store/strict.rs"]
mod strict;

use std::collections::BTreeMap;

use tailmeter::config::Config;
use tailmeter::metrics::{Dialect, FAMILIES};
use tailmeter::pipeline::{Feed, Pipeline};
use tailmeter::source::{Block, End, Sink};

const REQUESTS: &str = "haproxy_log_requests_total";

fn config(text: &str) -> Config {
    Config::parse(text, "tailmeter.yml", FAMILIES).unwrap_or_else(|errors| panic!("{errors}"))
}

/// A configuration under which `metric` has `labels`.
fn labelled(metric: &str, labels: &str) -> Config {
    config(&format!("metrics: {{{metric}: {{labels: {labels}}}}}"))
}

/// A request of `client` for `path` of `host`.
fn request(client: &str, host: &str, path: &str) -> String {
    format!(
        "Feb  1 12:14:14 lb1 haproxy[1]: {client}:5 [01/Feb/2026:12:14:14.001] in b/s 1/0/1/2/8 200 100 - - ---- \
         1/1/1/1/0 0/0 {{{host}}} \"GET {path} HTTP/1.1\"\n"
    )
}

fn feed(pipeline: &Pipeline, format: &'static str) -> Feed {
    pipeline.shard(format, &Dialect::Usual).unwrap().feed("test", "test")
}

fn count(feed: &mut Feed, lines: &str) {
    feed.block(Block { lines: lines.as_bytes(), bytes: 0, end: End::Nowhere, cut: false });
}

fn exposition(pipeline: &Pipeline) -> String {
    let mut text = Vec::new();
    pipeline.render(&mut text);
    String::from_utf8(text).unwrap()
}

/// The values of a metric with one label, by the label's value.
fn values(pipeline: &Pipeline, metric: &str) -> BTreeMap<String, u64> {
    let metrics = strict::read(exposition(pipeline).as_bytes());
    let rows = metrics.get(metric).into_iter().flat_map(|metric| &metric.rows);
    rows.map(|(labels, row)| {
        let [(_, value)] = labels.as_slice() else { panic!("{labels:?}") };
        let number = if row.buckets.is_empty() { (row.thousandths / 1000) as u64 } else { row.observations() };
        (String::from_utf8_lossy(value).into_owned(), number)
    })
    .collect()
}

fn expected(values: &[(&str, u64)]) -> BTreeMap<String, u64> {
    values.iter().map(|(value, number)| ((*value).to_owned(), *number)).collect()
}
