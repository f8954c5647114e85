//! Distributions in the store: whatever lines come, in however many shards, and whatever the state has been through.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use tailmeter::config::{Config, MetricConfig, NativeConfig, SummaryConfig};
use tailmeter::exposition::Snapshot;
use tailmeter::metrics::haproxy::FAMILY;
use tailmeter::metrics::{Dialect, Form, Kind, Planned, Tally, counter};
use tailmeter::pipeline::Pipeline;
use tailmeter::series::Distribution;
use tailmeter::source::{Block, End, Sink};

use crate::lines::{self, Line, Random, config};

/// What a row has counted: sum, the counts of its buckets, and those of its distribution.
type Shown = (u64, Vec<u64>, Option<u64>);

/// Every row of every metric that observes, by metric and labels, counted in so many shards.
fn count(config: &Config, lines: &[Line], shards: usize) -> BTreeMap<(&'static str, String), Shown> {
    let planned = Planned::all(config).into_iter().find(|planned| planned.plan.family == &FAMILY).unwrap();
    let mut snapshot = Snapshot::default();
    let mut counters = (0..shards)
        .map(|_| counter("haproxy", std::slice::from_ref(&planned), &Dialect::Usual).unwrap())
        .collect::<Vec<_>>();
    for (index, lines) in lines.chunks(7).enumerate() {
        counters[index % shards].count(&lines::block(lines, true), &mut Tally::default());
    }
    counters.iter().for_each(|counter| counter.visit(&mut |_, cells, fell_out| snapshot.add(cells, fell_out)));
    let mut rows = BTreeMap::new();
    let metrics = FAMILY.metrics.iter().zip(&planned.plan.slots).zip(&planned.plan.forms);
    for ((metric, slot), form) in metrics {
        let Some(slot) = slot.filter(|_| form.buckets() > 0) else { continue };
        for row in snapshot.cells.rows(slot.group) {
            let labels = planned.directory.block(slot.group, row).unwrap().to_string();
            let sum = snapshot.cells.sum(slot.group, row, slot.sum);
            let buckets = snapshot.cells.buckets(slot.group, row, slot.bucket, form.buckets()).collect::<Vec<_>>();
            let distribution = snapshot.cells.distribution(slot.group, row, slot.distribution);
            let distribution = distribution.filter(|_| form.shape().is_some()).map(|distribution| match distribution {
                Distribution::Native(native) => {
                    let Form::Histogram { native: Some(shape), .. } = form else {
                        panic!("a native histogram of {form:?}")
                    };
                    assert!(native.positive().len() + native.negative().len() <= shape.max_buckets);
                    native.total()
                }
                Distribution::Window(window) => {
                    let Form::Summary { window: shape, .. } = form else { panic!("a window of {form:?}") };
                    // What the largest value is says that it has been there.
                    window.quantiles(&[1.0], 0, shape).map_or(0, |values| values[0])
                }
            });
            rows.insert((metric.name, labels), (sum, buckets, distribution));
        }
    }
    rows
}

/// Gives every histogram settings of its own.
fn with_distributions(config: &mut Config, seed: u64) {
    let mut random = Random(seed);
    for metric in FAMILY.metrics.iter().filter(|metric| matches!(metric.kind, Kind::Histogram(_))) {
        let own = config.metrics.entry(metric.name.to_owned()).or_default();
        let native = NativeConfig {
            schema: random.below(13) as i8 - 4,
            max_buckets: 16 + random.below(40),
            zero_threshold: random.pick(&[0.0, 1e-9, 0.001, 2.0]),
            classic: !random.once_in(3),
        };
        if native.classic && random.once_in(2) {
            own.buckets = Some(random.pick(&[&[0.0f64][..], &[0.001, 0.3], &[0.5, 1.0, 100.0, 5e9]]).to_vec());
        }
        own.native = (!random.once_in(4)).then_some(native).filter(|native| native.classic || own.buckets.is_none());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Every observation is in one bucket of each kind, and nothing else has changed.
    #[test]
    fn sums_and_counts_are_those_without_distributions(seed: u64, lines in 1usize..400, shards in 1usize..4) {
        let lines = (0..lines as u64).map(|line| Line::of(seed.wrapping_add(line))).collect::<Vec<_>>();
        let usual = config(seed, seed % 2 == 0);
        let mut own = usual.clone();
        with_distributions(&mut own, seed);
        // With a limit, which rows there are depends on the order of the shards.
        let shards = if seed % 2 == 0 { 1 } else { shards };
        let (before, after) = (count(&usual, &lines, 1), count(&own, &lines, shards));
        prop_assert_eq!(before.len(), after.len());
        for ((key, (sum, buckets, _)), (other, (own_sum, own_buckets, native))) in before.iter().zip(&after) {
            let total = |buckets: &[u64]| buckets.iter().sum::<u64>();
            prop_assert_eq!((key, sum, total(buckets)), (other, own_sum, total(own_buckets)));
            prop_assert!(native.is_none_or(|native| native == total(buckets)), "{:?}: {:?} of {:?}", key, native, buckets);
        }
    }
}

fn observing(summary: bool) -> Config {
    let mut config = Config::default();
    for metric in FAMILY.metrics.iter().filter(|metric| matches!(metric.kind, Kind::Histogram(_))) {
        let own = match summary {
            true => MetricConfig { summary: Some(SummaryConfig::default()), ..MetricConfig::default() },
            false => MetricConfig { native: Some(NativeConfig::default()), ..MetricConfig::default() },
        };
        config.metrics.insert(metric.name.to_owned(), own);
    }
    config
}

/// Quantiles, counts and distributions as the pipeline shows them.
fn shown(pipeline: &Pipeline) -> Vec<u8> {
    let mut out = Vec::new();
    pipeline.render(&mut out);
    out
}

fn feed(pipeline: &Pipeline, lines: &[Line]) {
    let mut feed = pipeline.shard("haproxy", &Dialect::Usual).unwrap().feed("test", "test");
    feed.block(Block { lines: &lines::block(lines, true), bytes: 0, end: End::Nowhere, cut: false });
}

/// The distributions of all rows, as the file has them.
fn in_file(path: &Path) -> Vec<(String, String)> {
    let file = rusqlite::Connection::open(path).unwrap();
    let mut rows =
        file.prepare("SELECT labels, distributions FROM label_rows WHERE distributions != '' ORDER BY 1, 2").unwrap();
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn distributions_survive_restarts_and_other_configurations() {
    let (first, second) = ((0..300).map(Line::of).collect::<Vec<_>>(), (300..600).map(Line::of).collect::<Vec<_>>());
    for summary in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tailmeter.db");
        let config = observing(summary);
        let open = |config: &Config| Pipeline::with_state(config, &path, |_| {}).unwrap();

        let pipeline = open(&config);
        feed(&pipeline, &first);
        pipeline.checkpoint().unwrap();
        let (text, rows) = (shown(&pipeline), in_file(&path));
        assert!(rows.len() > 20 && rows.iter().any(|(_, texts)| texts.contains('=')), "{rows:?}");
        drop(pipeline);
        let pipeline = open(&config);
        assert_eq!(String::from_utf8_lossy(&shown(&pipeline)), String::from_utf8_lossy(&text));
        feed(&pipeline, &second);
        pipeline.checkpoint().unwrap();
        let (text, rows) = (shown(&pipeline), in_file(&path));

        // As if nothing had happened between.
        let other = tempfile::tempdir().unwrap();
        let all = Pipeline::with_state(&config, &other.path().join("tailmeter.db"), |_| {}).unwrap();
        feed(&all, &first);
        feed(&all, &second);
        all.checkpoint().unwrap();
        assert_eq!(String::from_utf8_lossy(&shown(&all)), String::from_utf8_lossy(&text));
        assert_eq!(in_file(&other.path().join("tailmeter.db")), rows);

        // Without distributions they are kept aside, and come back; with other groups they move.
        drop(pipeline.reconfigured(&Config::default(), Some(&path)).unwrap());
        let mut grouped = config.clone();
        let own = grouped.metrics.get_mut("haproxy_log_queue_duration_seconds").unwrap();
        own.max_series = Some(5000);
        let moved = open(&grouped);
        assert_eq!(String::from_utf8_lossy(&shown(&moved)), String::from_utf8_lossy(&text));
        drop(moved);
        let back = open(&config);
        assert_eq!(String::from_utf8_lossy(&shown(&back)), String::from_utf8_lossy(&text));
        assert_eq!(in_file(&path), rows);

        // In memory, too.
        let before = Pipeline::new(&config, |_| {});
        feed(&before, &first);
        let after = before.reconfigured(&grouped, None).unwrap();
        feed(&after, &second);
        assert_eq!(String::from_utf8_lossy(&shown(&after)), String::from_utf8_lossy(&text));
    }
}

#[test]
fn a_damaged_distribution_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tailmeter.db");
    let config = observing(false);
    let pipeline = Pipeline::with_state(&config, &path, |_| {}).unwrap();
    feed(&pipeline, &(0..50).map(Line::of).collect::<Vec<_>>());
    pipeline.checkpoint().unwrap();
    drop(pipeline);
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute("UPDATE label_rows SET distributions = replace(distributions, '3:', '2:')", []).unwrap();
    drop(file);
    let error = Pipeline::with_state(&config, &path, |_| {}).err().expect("refused").to_string();
    assert!(error.contains("does not fit its checksum"), "{error}");
}
