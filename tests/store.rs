//! The store as a whole, from lines to exposition, under random lines and random configurations: what is shown is
//! what a counter that is easy to see through has counted.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "store/lines.rs"]
mod lines;
#[path = "store/reference.rs"]
mod reference;
#[path = "store/rules.rs"]
mod rules;
#[path = "store/strict.rs"]
mod strict;

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use tailmeter::config::Config;
use tailmeter::exposition::{Snapshot, View};
use tailmeter::metrics::haproxy::{FAMILY, plan};
use tailmeter::metrics::{Dialect, Planned, Tally, counter, own};
use tailmeter::pipeline::Pipeline;
use tailmeter::series::Directory;
use tailmeter::source::{Block, End, Sink};

use lines::{Line, Random, block, config, config_with};
use reference::{Expected, Reference, TIMERS};
use strict::Metric;

/// Lines counted under one configuration. Its fields show on a failure and give the case again.
#[derive(Clone, Debug)]
struct Case {
    /// Seed of the configuration.
    config: u64,
    /// Seed of how the lines are divided.
    division: u64,
    lines: Vec<Line>,
}

/// Only lines are taken away to find the smallest failing case: a smaller seed is not a simpler case.
fn cases(most: usize) -> impl Strategy<Value = Case> {
    let lines = proptest::collection::vec(any::<u64>().no_shrink().prop_map(Line::whole), 0..most);
    let seeds = (any::<u64>().no_shrink(), any::<u64>().no_shrink());
    (seeds, lines).prop_map(|((config, division), lines)| Case { config, division, lines })
}

fn settings(cases: u32) -> ProptestConfig {
    // A failing case shows its seeds and lines: nothing is written beside the sources.
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 2000, ..ProptestConfig::default() }
}

/// What came of counting.
#[derive(Debug, PartialEq)]
struct Counted {
    text: String,
    /// By metric of the family.
    fell_out: Vec<u64>,
    /// Lines parsed, ignored, rejected.
    outcomes: [u64; 3],
    /// By metric of the family.
    rows: Vec<usize>,
}

/// Counts `blocks`, each in the shard whose number it has.
fn count(config: &Config, blocks: &[(usize, Vec<u8>)], memo_entries: Option<usize>) -> Counted {
    let mut plan = plan(config);
    plan.memo_entries = memo_entries.unwrap_or(plan.memo_entries);
    let plan = Arc::new(plan);
    let directory = Arc::new(Directory::new(plan.groups.clone()));
    let shards = 1 + blocks.iter().map(|(shard, _)| *shard).max().unwrap_or(0);
    let counter = |_| {
        counter("haproxy", &[Planned { plan: Arc::clone(&plan), directory: Arc::clone(&directory) }], &Dialect::Usual)
            .unwrap()
    };
    let mut counters = (0..shards).map(counter).collect::<Vec<_>>();
    let mut tally = Tally::default();
    for (shard, block) in blocks {
        counters[*shard].count(block, &mut tally);
    }
    let (mut snapshot, mut text) = (Snapshot::default(), Vec::new());
    for counter in &counters {
        counter.visit(&mut |_, cells, fell_out| snapshot.add(cells, fell_out));
    }
    let rows = plan.slots.iter().map(|slot| slot.map_or(0, |slot| directory.len(slot.group))).collect();
    View::new(plan, directory).render(&snapshot, &mut text);
    let outcomes = [tally.parsed, tally.ignored, tally.rejected_lines()];
    Counted { text: String::from_utf8(text).unwrap(), fell_out: snapshot.fell_out, outcomes, rows }
}

fn reference<'c>(config: &'c Config, lines: &[Line]) -> Reference<'c> {
    let mut reference = Reference::new(config);
    lines.iter().for_each(|line| reference.line(&line.0));
    reference
}

/// The metrics that are shown, each with what it should show; no other is shown, and none is missing.
fn shown<'r>(text: &str, reference: &'r Reference<'_>) -> Vec<(Metric, &'r Expected)> {
    let shown = strict::read(text.as_bytes());
    assert!(shown.keys().eq(reference.metrics.keys()), "{:?}\n{:?}", shown.keys(), reference.metrics.keys());
    shown.into_values().zip(reference.metrics.values()).collect()
}

proptest! {
    #![proptest_config(settings(300))]

    /// Whatever the limits and policies: no count is lost or made, no metric is wider than its limit, and what
    /// fell out is known.
    #[test]
    fn sums_are_true_under_limits_and_policies(case in cases(250)) {
        let config = config_with(case.config, Some(rules::policy));
        let reference = reference(&config, &case.lines);
        let counted = count(&config, &[(0, block(&case.lines, case.division % 2 == 0))], None);
        for (metric, expected) in shown(&counted.text, &reference) {
            expected.assert_total(&metric);
            prop_assert!(metric.rows.len() <= config.max_series_of(&metric.name), "{}", metric.name);
        }
        for (index, metric) in FAMILY.metrics.iter().enumerate() {
            let expected = reference.metrics.get(metric.name);
            prop_assert_eq!(counted.fell_out[index], expected.map_or(0, |expected| expected.fell_out), "{}", metric.name);
            prop_assert_eq!(counted.rows[index], expected.map_or(0, |expected| expected.rows.len()), "{}", metric.name);
        }
    }

    /// Row by row, first come, first served.
    #[test]
    fn rows_are_those_of_the_first_lines(case in cases(250)) {
        let config = config_with(case.config, Some(rules::policy));
        let reference = reference(&config, &case.lines);
        let counted = count(&config, &[(0, block(&case.lines, true))], None);
        for (metric, expected) in shown(&counted.text, &reference) {
            expected.assert_rows(&metric);
        }
    }

    /// Without limits and policies, every label tuple has its own row with its own count, and nothing falls out.
    #[test]
    fn every_row_is_exact_without_limits(case in cases(250)) {
        let config = config(case.config, false);
        let reference = reference(&config, &case.lines);
        let counted = count(&config, &[(0, block(&case.lines, true))], None);
        for (metric, expected) in shown(&counted.text, &reference) {
            expected.assert_rows(&metric);
        }
        prop_assert!(counted.fell_out.iter().all(|fell_out| *fell_out == 0));
    }

    /// Blocks, shards and how much is remembered are matters of speed alone.
    #[test]
    fn division_changes_nothing(case in cases(150)) {
        let config = config_with(case.config, Some(rules::policy));
        let mut random = Random(case.division);
        let shards = 1 + random.below(4);
        let (mut blocks, mut rest) = (Vec::new(), case.lines.as_slice());
        let longest = random.pick(&[1, 5, 40, 100]);
        while !rest.is_empty() {
            let (lines, behind) = rest.split_at(rest.len().min(1 + random.below(longest)));
            blocks.push((random.below(shards), block(lines, !random.once_in(3))));
            rest = behind;
        }
        let whole = count(&config, &[(0, block(&case.lines, true))], None);
        let memo_entries = random.pick(&[Some(1), Some(2), Some(3), Some(9), Some(40), None]);
        let divided = count(&config, &blocks, memo_entries);
        prop_assert_eq!(&divided.text, &whole.text);
        prop_assert_eq!(divided, whole);
    }

    /// Every line has one of three outcomes.
    #[test]
    fn every_line_has_an_outcome(case in cases(250)) {
        let config = Config::default();
        let reference = reference(&config, &case.lines);
        // An empty line behind the last newline would be no line.
        let counted = count(&config, &[(0, block(&case.lines, true))], None);
        prop_assert_eq!(counted.outcomes.iter().sum::<u64>(), case.lines.len() as u64);
        prop_assert_eq!(counted.outcomes, [reference.parsed, reference.ignored, reference.rejected]);
    }

    /// Each timer of each line is observed, or aborted in its phase, or incomplete: always exactly one of them.
    ///
    /// - TR, Tr: observed + aborted = requests.
    /// - Tw, Tc: observed + aborted = requests + sessions.
    /// - Ta and Tt together: observed + aborted + incomplete = requests + sessions, where a last timer that is
    ///   incomplete and -1 at once counts as both.
    /// - Queues: observed = requests + sessions.
    #[test]
    fn every_timer_of_every_line_is_accounted_for(case in cases(250)) {
        let config = Config::default();
        let reference = reference(&config, &case.lines);
        let counted = count(&config, &[(0, block(&case.lines, true))], None);
        let metrics = strict::read(counted.text.as_bytes());
        let total = |name: &str| metrics.get(name).map_or(0, |metric| (metric.thousandths() / 1000) as u64);
        let observed = |name: &str| metrics.get(name).map_or(0, Metric::observations);
        let of_label = |name: &str, label: &str, value: &str| {
            let rows = metrics.get(name).into_iter().flat_map(|metric| &metric.rows);
            let rows = rows.filter(|(labels, _)| labels.contains(&(label.into(), value.into())));
            rows.map(|(_, row)| (row.thousandths / 1000) as u64).sum::<u64>()
        };
        let aborted = |phase| of_label("haproxy_log_aborted_requests_total", "phase", phase);
        let incomplete = of_label("haproxy_log_incomplete_records_total", "reason", "logasap");
        let (requests, sessions) = (total("haproxy_log_requests_total"), total("haproxy_log_sessions_total"));
        let [header, queue, connect, response, request, session] = TIMERS.map(|(name, _)| observed(name));
        prop_assert_eq!(header + aborted("request"), requests);
        prop_assert_eq!(response + aborted("response"), requests);
        prop_assert_eq!(queue + aborted("queue"), requests + sessions);
        prop_assert_eq!(connect + aborted("connect"), requests + sessions);
        let ends = request + session + aborted("active") + incomplete;
        prop_assert_eq!(ends, requests + sessions + reference.incomplete_aborted);
        for name in ["haproxy_log_server_queue_length", "haproxy_log_backend_queue_length"] {
            prop_assert_eq!(observed(name), requests + sessions);
        }
    }
}

/// What fell out is told by `tailmeter_label_overflow_total`, scrape after scrape, and so are rows and limits.
#[test]
fn the_own_telemetry_tells_what_fell_out() {
    let telemetry = own::install();
    let config = (0..).map(|seed| config(seed, true)).find(|config| {
        let mut reference = Reference::new(config);
        (0..2000).for_each(|seed| reference.line(&Line::of(seed).0));
        reference.metrics.values().filter(|expected| expected.fell_out > 0).count() >= 8
    });
    let config = config.unwrap();
    let pipeline = Pipeline::new(&config, |_| {});
    let shards = [(); 2].map(|()| pipeline.shard("haproxy", &Dialect::Usual).unwrap());
    let mut feeds = [(0, "one"), (0, "two"), (1, "three")].map(|(shard, name)| shards[shard].feed(name, name));
    let mut reference = Reference::new(&config);
    for round in 0..20 {
        let lines = (100 * round..100 * round + 100).map(Line::whole).collect::<Vec<_>>();
        lines.iter().for_each(|line| reference.line(&line.0));
        let lines = block(&lines, true);
        feeds[round as usize % 3].block(Block { lines: &lines, bytes: 0, end: End::Nowhere, cut: false });
        let mut text = Vec::new();
        pipeline.render(&mut text);
        text.clear();
        telemetry.render(&mut text);
        let own = strict_own(&text);
        let expected = |value: fn(&Expected, &Config, &str) -> u64| {
            let metrics =
                reference.metrics.iter().map(|(name, expected)| ((*name).to_owned(), value(expected, &config, name)));
            metrics.collect::<BTreeMap<_, _>>()
        };
        assert_eq!(own("tailmeter_label_overflow_total"), expected(|expected, _, _| expected.fell_out));
        assert_eq!(own("tailmeter_series"), expected(|expected, _, _| expected.rows.len() as u64));
        assert_eq!(own("tailmeter_series_limit"), expected(|_, config, name| config.max_series_of(name) as u64));
    }
}

/// Values of an own metric by their label `metric`.
fn strict_own(text: &[u8]) -> impl Fn(&str) -> BTreeMap<String, u64> {
    let text = String::from_utf8(text.to_vec()).unwrap();
    move |name| {
        let samples = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix("{metric=\""));
        let samples = samples.map(|sample| sample.split_once("\"} ").expect(sample));
        samples.map(|(metric, value)| (metric.to_owned(), value.parse().expect(value))).collect()
    }
}

/// The largest numbers that a line can hold, as often as a line can stand for: sums wrap at 2^64, and nothing panics.
#[test]
fn the_largest_numbers_do_not_panic() {
    let http = "1.1.1.1:1 [01/Feb/2026:12:14:14.001] f b/s 2147483647/0/0/0/2147483647 200 999999999999999999 - - ---- \
                1/1/1/1/+4294967295 4294967295/4294967295 \"GET / HTTP/1.1\"";
    let line =
        Line(format!("Feb  1 12:14:14 lb1 haproxy[1]: message repeated 999999999 times: [ {http}]").into_bytes());
    let counted = count(&Config::default(), &[(0, block(&[line.clone(), line], true))], None);
    assert_eq!(counted.outcomes, [2, 0, 0]);
    strict::read(counted.text.as_bytes());
}
