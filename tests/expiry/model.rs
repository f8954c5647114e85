//! Random lives of an exporter by a clock of the test's own, with a state and without: lines, checkpoints, scrapes, crashes,
//! and configurations with other times. What is shown is held against counts with their dates.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;
use tailmeter::config::{Config, Expiry};
use tailmeter::metrics::{Dialect, FAMILIES, own::Ledger};
use tailmeter::pipeline::{Feed, Pipeline};
use tailmeter::source::{Block, End, Sink};

use crate::harness::samples;
use crate::lines::Random;

/// Two that share their rows, and one that has rows of its own.
const METRICS: [&str; 3] =
    ["haproxy_log_requests_total", "haproxy_log_request_duration_seconds", "haproxy_log_terminations_total"];

thread_local! {
    static NOW_MS: Cell<u64> = const { Cell::new(1_700_000_000_000) };
}

fn now_ms() -> u64 {
    NOW_MS.get()
}

/// A configuration that counts by frontend; each metric with one of a few times.
fn config(random: &mut Random) -> Config {
    let times = ["never", "10s", "25s", "1m"];
    let shared = random.pick(&times);
    let own = METRICS.map(|name| {
        let own = if random.once_in(2) { String::new() } else { format!(", expire_after: {}", random.pick(&times)) };
        format!("  {name}: {{labels: [frontend_name]{own}}}\n")
    });
    let text = format!("expire_after: {shared}\nmetrics:\n{}", own.concat());
    Config::parse(&text, "tailmeter.yml", FAMILIES).unwrap()
}

/// How long an idle series of metric number `metric` is shown, in milliseconds.
fn span_ms(config: &Config, metric: usize) -> u64 {
    match config.metrics[METRICS[metric]].expire_after.unwrap_or(config.expire_after) {
        Expiry::Never => u64::MAX,
        Expiry::After(span) => span.as_millis() as u64,
    }
}

/// A line of frontend number `frontend`; an abnormal one counts in all metrics.
fn line(frontend: usize, is_abnormal: bool) -> String {
    let ending = if is_abnormal { "CD--" } else { "----" };
    format!(
        "Feb  6 12:14:14 lb1 haproxy[9]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] f{frontend} static/srv1 \
         10/0/30/69/109 200 2750 - - {ending} 1/1/1/1/0 0/0 \"GET / HTTP/1.1\"\n"
    )
}

/// Lines of a series, and when a checkpoint first had the last one.
type Counts = BTreeMap<(usize, usize), (u64, u64)>;

struct Life {
    random: Random,
    config: Config,
    folder: Option<tempfile::TempDir>,
    ledger: Ledger,
    run: Option<(Pipeline, Feed)>,
    counts: Counts,
    pending: Vec<(usize, bool)>,
    /// By series: the highest value that has been shown.
    shown: BTreeMap<(usize, usize), u64>,
    /// Series that were away and have come back.
    returned: usize,
    away: Vec<(usize, usize)>,
}

impl Life {
    fn begin(&mut self) {
        let ledger = &self.ledger;
        self.run = Some(metrics::with_local_recorder(ledger, || {
            let pipeline = match &self.folder {
                Some(folder) => {
                    let path = folder.path().join(tailmeter::state::FILE);
                    Pipeline::with_state(&self.config, &path, |_| {}).unwrap()
                }
                None => Pipeline::new(&self.config, |_| {}),
            };
            let pipeline = pipeline.by_clock(now_ms);
            let feed = pipeline.shard("haproxy", &Dialect::Usual).unwrap().feed("a", "a");
            (pipeline, feed)
        }));
    }

    fn feed(&mut self) {
        for _ in 0..1 + self.random.below(4) {
            let (frontend, is_abnormal) = (self.random.below(6), self.random.once_in(3));
            let line = line(frontend, is_abnormal);
            let block = Block { lines: line.as_bytes(), bytes: line.len() as u64, end: End::Nowhere, cut: false };
            self.run.as_mut().unwrap().1.block(block);
            self.pending.push((frontend, is_abnormal));
        }
    }

    /// What has been fed is in a checkpoint that is made now.
    fn settle(&mut self) {
        for (frontend, is_abnormal) in std::mem::take(&mut self.pending) {
            for metric in 0..if is_abnormal { 3 } else { 2 } {
                let (count, changed_ms) = self.counts.entry((metric, frontend)).or_default();
                (*count, *changed_ms) = (*count + 1, now_ms());
            }
        }
    }

    fn checkpoint(&mut self) {
        self.run.as_ref().unwrap().0.checkpoint().unwrap();
        if self.folder.is_some() {
            self.settle();
        }
    }

    fn scrape(&mut self) {
        // With a state, a scrape may show an earlier checkpoint.
        self.checkpoint();
        let mut text = Vec::new();
        metrics::with_local_recorder(&self.ledger, || self.run.as_ref().unwrap().0.render(&mut text));
        self.settle();
        let text = String::from_utf8(text).unwrap();
        for (metric, name) in METRICS.iter().enumerate() {
            let name = if metric == 1 { format!("{name}_count") } else { (*name).to_owned() };
            let series = |labels: &str| labels.split('"').nth(1).unwrap()[1..].parse::<usize>().unwrap();
            let found = samples(&text, &name).map(|(labels, value)| (series(labels), value as u64));
            let found = found.collect::<BTreeMap<_, _>>();
            let span_ms = span_ms(&self.config, metric);
            let is_fresh = |changed_ms: u64| now_ms() - changed_ms <= span_ms;
            let of_metric = self.counts.iter().filter(|((other, _), _)| *other == metric);
            let expected = of_metric.filter(|(_, (_, changed_ms))| is_fresh(*changed_ms));
            let expected = expected.map(|((_, frontend), (count, _))| (*frontend, *count));
            assert_eq!(found, expected.collect::<BTreeMap<_, _>>(), "{name} of {}", now_ms());
            for (frontend, value) in &found {
                let known = self.shown.entry((metric, *frontend)).or_default();
                assert!(value >= known, "{name} of f{frontend} fell from {known} to {value}");
                *known = *value;
            }
            let is_away = |key: &&(usize, usize)| key.0 == metric && !found.contains_key(&key.1);
            let away = self.shown.keys().filter(is_away).copied().collect::<Vec<_>>();
            let before = self.away.len();
            self.away.retain(|key| key.0 != metric || !found.contains_key(&key.1));
            self.returned += before - self.away.len();
            away.into_iter().for_each(|key| {
                if !self.away.contains(&key) {
                    self.away.push(key)
                }
            });
        }
    }

    /// Ends at once, and goes on with a copy of what is on disk.
    fn crash(&mut self) {
        let Some(folder) = &self.folder else { return };
        let left = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, left.path().join(path.file_name().unwrap())).unwrap();
        }
        // What was not committed is read again by a real source; here it never was.
        self.pending.clear();
        (self.folder, self.run) = (Some(left), None);
        self.begin();
    }

    /// Another configuration, as after a reload.
    fn reconfigure(&mut self) {
        self.config = config(&mut self.random);
        let path = self.folder.as_ref().map(|folder| folder.path().join(tailmeter::state::FILE));
        let (before, _) = self.run.take().unwrap();
        let after = metrics::with_local_recorder(&self.ledger, || {
            let after = before.reconfigured(&self.config, path.as_deref()).unwrap();
            let feed = after.shard("haproxy", &Dialect::Usual).unwrap().feed("a", "a");
            (after, feed)
        });
        self.run = Some(after);
        self.settle();
    }
}

fn live(seed: u64, has_state: bool) -> usize {
    let mut random = Random(seed);
    let config = config(&mut random);
    let mut life = Life {
        random,
        config,
        folder: has_state.then(|| tempfile::tempdir().unwrap()),
        ledger: Ledger::default(),
        run: None,
        counts: Counts::new(),
        pending: Vec::new(),
        shown: BTreeMap::new(),
        returned: 0,
        away: Vec::new(),
    };
    life.begin();
    for _ in 0..80 {
        match life.random.below(20) {
            0..=6 => life.feed(),
            7..=12 => NOW_MS.set(now_ms() + life.random.below(14_000) as u64),
            13..=14 => life.checkpoint(),
            15..=17 => life.scrape(),
            18 => life.crash(),
            _ => {
                // Without a state it is only known when rows changed if they can expire.
                if has_state || life.config.expire_after != Expiry::Never {
                    life.reconfigure();
                }
            }
        }
    }
    life.scrape();
    life.returned
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn series_leave_and_come_back_with_their_counts(seed: u64) {
        live(seed, true);
    }

    #[test]
    fn they_do_without_a_state(seed: u64) {
        live(seed, false);
    }
}

#[test]
fn the_random_lives_show_what_they_are_for() {
    for has_state in [true, false] {
        let returned = (0..10).map(|seed| live(seed, has_state)).sum::<usize>();
        assert!(returned > 20, "{returned}");
    }
}
