//! Random lives of an exporter: blocks of several sources, checkpoints, crashes, restarts under other configurations.
//! What is shown is held against counters that are easy to see through.

use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;
use tailmeter::config::Config;
use tailmeter::metrics::haproxy::FAMILY;
use tailmeter::pipeline::Feed;

use crate::lines::{Line, Random, config};
use crate::reference::{Cell, Reference};
use crate::run::{Run, feed, offset, own};
use crate::strict::{self, Labels, Metric};

const SOURCES: [&str; 3] = ["one", "two", "three"];

type Rows = BTreeMap<Labels, Cell>;

/// What a metric is: its name and its labels' names.
type Identity = (&'static str, Vec<String>);

/// Counts of everything that has been committed, and what each source has.
#[derive(Clone, Default)]
struct Truth {
    rows: BTreeMap<Identity, Rows>,
    fell_out: BTreeMap<&'static str, u64>,
    /// Lines parsed, ignored, rejected, and bytes, by source.
    totals: [[u64; 4]; 3],
    /// Lines committed, by source.
    lines: [usize; 3],
}

impl Truth {
    /// Counts `lines`, each with the number of its source.
    fn count(&mut self, config: &Config, lines: &[(usize, Line)]) {
        let mut all = Reference::new(config);
        for (source, line) in lines {
            let mut one = Reference::new(config);
            one.line(&line.0);
            all.line(&line.0);
            for (total, more) in
                self.totals[*source].iter_mut().zip([one.parsed, one.ignored, one.rejected, line.0.len() as u64 + 1])
            {
                *total += more;
            }
            self.lines[*source] += 1;
        }
        for (name, expected) in all.metrics {
            *self.fell_out.entry(name).or_default() += expected.fell_out;
            let rows = self.rows.entry((name, names(config, name))).or_default();
            for (labels, cell) in expected.rows {
                let row = rows.entry(labels).or_default();
                row.millionths += cell.millionths;
                row.buckets.resize(cell.buckets.len().max(row.buckets.len()), 0);
                row.buckets.iter_mut().zip(cell.buckets).for_each(|(total, more)| *total += more);
            }
        }
    }
}

/// The labels of metric `name`.
fn names(config: &Config, name: &str) -> Vec<String> {
    let metric = FAMILY.metrics.iter().find(|metric| metric.name == name).unwrap();
    config.labels_of(metric).into_iter().map(|(name, _)| name.to_owned()).collect()
}

/// True when the configuration may show this row of metric `name`.
fn is_allowed(config: &Config, name: &str, labels: &Labels) -> bool {
    let metric = FAMILY.metrics.iter().find(|metric| metric.name == name).unwrap();
    let mut rules = config.labels_of(metric).into_iter().zip(labels);
    rules.all(|((_, policy), (_, value))| {
        let allow = policy.and_then(|policy| policy.allow.as_ref());
        value == b"other" || allow.is_none_or(|allow| allow.has(value))
    })
}

/// A configuration without limits, since those depend on the order of lines over all runs.
fn unlimited(seed: u64) -> Config {
    let mut config = config(seed, !seed.is_multiple_of(3));
    config.max_series = Config::default().max_series;
    config.metrics.values_mut().for_each(|metric| metric.max_series = None);
    config
}

/// The rows that have counted something. Rows of zeros come and go with the grouping of metrics.
fn counted(metric: &Metric) -> Rows {
    let rows = metric.rows.iter().map(|(labels, row)| {
        let mut before = 0;
        let buckets = row.buckets.iter().map(|(_, count)| count - std::mem::replace(&mut before, *count));
        (labels.clone(), Cell { millionths: 1000 * row.thousandths, buckets: buckets.collect() })
    });
    rows.filter(|(_, cell)| is_something(cell)).collect()
}

fn is_something(cell: &Cell) -> bool {
    cell.millionths > 0 || cell.buckets.iter().any(|count| *count > 0)
}

/// Holds a scrape against the truth.
fn assert_shown(truth: &Truth, config: &Config, (text, own_text): &(String, String)) {
    let shown = strict::read(text.as_bytes());
    for metric in FAMILY.metrics.iter().filter(|metric| config.is_enabled(metric)) {
        let known = truth.rows.get(&(metric.name, names(config, metric.name)));
        let allowed = |(labels, cell): &(&Labels, &Cell)| is_allowed(config, metric.name, labels) && is_something(cell);
        let expected = known.into_iter().flatten().filter(allowed);
        let expected = expected.map(|(labels, cell)| (labels.clone(), cell.clone())).collect::<Rows>();
        let rows = shown.get(metric.name).map(counted).unwrap_or_default();
        assert_eq!(rows, expected, "{}", metric.name);
        if shown.contains_key(metric.name) {
            let fell_out = truth.fell_out.get(metric.name).copied().unwrap_or(0);
            let label = format!("metric=\"{}\"", metric.name);
            assert_eq!(own(own_text, "tailmeter_label_overflow_total", &label), fell_out, "{label}");
        }
    }
    for (source, totals) in SOURCES.iter().zip(truth.totals) {
        let of = |outcome: &str| {
            own(
                own_text,
                "tailmeter_lines_total",
                &format!("source=\"{source}\",format=\"haproxy\",outcome=\"{outcome}\""),
            )
        };
        let bytes = own(own_text, "tailmeter_source_read_bytes_total", &format!("source=\"{source}\""));
        assert_eq!([of("parsed"), of("ignored"), of("rejected"), bytes], totals, "{source}");
        let rejected = own(own_text, "tailmeter_rejected_lines_total", &format!("source=\"{source}\""));
        assert_eq!(rejected, totals[2], "{source}");
    }
}

/// Values that must never get smaller.
fn values((text, own): &(String, String)) -> BTreeMap<String, f64> {
    let counters = own.lines().filter(|line| line.contains("_total{"));
    let samples = text.lines().filter(|line| !line.starts_with('#')).chain(counters);
    let samples = samples.map(|line| line.rsplit_once(' ').unwrap());
    samples.map(|(series, value)| (series.to_owned(), value.parse().unwrap())).collect()
}

/// A life.
struct Life {
    random: Random,
    seed: u64,
    folder: tempfile::TempDir,
    config: Config,
    run: Option<(Run, [Feed; 3])>,
    committed: Truth,
    /// Fed since the last checkpoint.
    pending: Vec<(usize, Line)>,
    /// Lines fed in all, by source.
    fed: [usize; 3],
    shown: BTreeMap<String, f64>,
}

impl Life {
    /// Line number `number` of a source; a file's content never changes.
    fn line(&self, source: usize, number: usize) -> Line {
        Line::whole(self.seed ^ (source as u64) << 60 ^ number as u64)
    }

    fn offset(&self, source: usize, lines: usize) -> u64 {
        (0..lines).map(|number| self.line(source, number).0.len() as u64 + 1).sum()
    }

    /// Starts, and resumes where the state says.
    fn start(&mut self) {
        let run = Run::begin(&self.config, self.folder.path()).unwrap();
        let feeds = run.feeds();
        for (source, feed) in feeds.iter().enumerate() {
            assert_eq!(offset(feed), self.offset(source, self.committed.lines[source]), "{}", SOURCES[source]);
        }
        self.fed = self.committed.lines;
        self.pending.clear();
        self.run = Some((run, feeds));
    }

    fn feed(&mut self) {
        let source = self.random.below(3);
        let (first, count) = (self.fed[source], 1 + self.random.below(12));
        let lines = (first..first + count).map(|number| self.line(source, number)).collect::<Vec<_>>();
        let block = lines.iter().flat_map(|line| [line.0.as_slice(), b"\n"].concat()).collect::<Vec<_>>();
        let end = self.offset(source, first + count);
        feed(&mut self.run.as_mut().unwrap().1[source], &block, end);
        self.fed[source] += count;
        self.pending.extend(lines.into_iter().map(|line| (source, line)));
    }

    fn checkpoint(&mut self) {
        self.run.as_ref().unwrap().0.checkpoint().unwrap();
        let pending = std::mem::take(&mut self.pending);
        self.committed.count(&self.config, &pending);
    }

    fn scrape(&mut self) {
        let scrape = self.run.as_ref().unwrap().0.scrape();
        // A slow machine may have reached the age at which a scrape makes a checkpoint itself.
        let lines = own(&scrape.1, "tailmeter_lines_total", "");
        if lines > self.committed.lines.iter().sum::<usize>() as u64 {
            let pending = std::mem::take(&mut self.pending);
            self.committed.count(&self.config, &pending);
        }
        assert_shown(&self.committed, &self.config, &scrape);
        let values = values(&scrape);
        for (series, before) in &self.shown {
            assert!(
                values.get(series).is_some_and(|now| now >= before),
                "{series} was {before}: {:?}",
                values.get(series)
            );
        }
        self.shown = values;
    }

    /// Ends without a last checkpoint; SQLite is left no chance to tidy up when `is_sudden`.
    fn crash(&mut self, is_sudden: bool) {
        if is_sudden {
            let left = tempfile::tempdir().unwrap();
            for entry in fs::read_dir(self.folder.path()).unwrap() {
                let path = entry.unwrap().path();
                fs::copy(&path, left.path().join(path.file_name().unwrap())).unwrap();
            }
            self.folder = left;
        }
        self.run = None;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn every_line_counts_once(seed: u64) {
        let mut random = Random(seed);
        let configs = [(); 3].map(|()| unlimited(random.number()));
        let mut life = Life {
            random,
            seed,
            folder: tempfile::tempdir().unwrap(),
            config: configs[0].clone(),
            run: None,
            committed: Truth::default(),
            pending: Vec::new(),
            fed: [0; 3],
            shown: BTreeMap::new(),
        };
        life.start();
        for _ in 0..60 {
            match life.random.below(20) {
                0..=9 => life.feed(),
                10..=12 => life.checkpoint(),
                13..=15 => life.scrape(),
                16..=17 => {
                    let is_sudden = life.random.once_in(2);
                    life.crash(is_sudden);
                    life.start();
                }
                18 => {
                    life.checkpoint();
                    life.scrape();
                    life.crash(false);
                    life.start();
                    life.scrape();
                }
                _ => {
                    life.crash(true);
                    life.config = configs[life.random.below(3)].clone();
                    life.shown.clear();
                    life.start();
                }
            }
        }
        life.checkpoint();
        life.scrape();
        // Whatever is kept aside comes back.
        for config in &configs {
            life.crash(false);
            life.config = config.clone();
            life.shown.clear();
            life.start();
            life.scrape();
        }
    }
}
