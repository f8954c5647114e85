//! The exposition under load: very many samples, labels of any bytes, and scrapes while lines are being counted.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "store/hostile.rs"]
#[allow(dead_code, reason = "another test needs more of it")]
mod hostile;
#[path = "store/lines.rs"]
#[allow(dead_code, reason = "this test needs less of it than the one of the store")]
mod lines;
#[path = "store/reference.rs"]
#[allow(dead_code, reason = "as above")]
mod reference;
#[path = "store/strict.rs"]
mod strict;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tailmeter::config::Config;
use tailmeter::metrics::Dialect;
use tailmeter::metrics::haproxy::FAMILY;
use tailmeter::pipeline::Pipeline;
use tailmeter::source::{Block, End, Sink};

use hostile::{all_labels, hostile_request, with_labels};
use lines::{Line, Random};
use reference::Reference;
use strict::Metric;

/// Samples of a large exposition, at least.
const MANY: usize = 100_000;

/// The exposition of `lines`, counted as one block.
fn exposition(config: &Config, lines: &[Line]) -> Vec<u8> {
    let pipeline = Pipeline::new(config, |_| {});
    let mut feed = pipeline.shard("haproxy", &Dialect::Usual).unwrap().feed("test", "test");
    feed.block(Block { lines: &lines::block(lines, true), bytes: 0, end: End::Nowhere, cut: false });
    let mut text = Vec::new();
    pipeline.render(&mut text);
    text
}

/// Every row of `text` is as expected, and nothing else is there.
#[track_caller]
fn assert_exact(config: &Config, lines: &[Line], text: &[u8]) {
    let mut reference = Reference::new(config);
    lines.iter().for_each(|line| reference.line(&line.0));
    let shown = strict::read(text);
    assert!(shown.keys().eq(reference.metrics.keys()));
    for (metric, expected) in shown.values().zip(reference.metrics.values()) {
        expected.assert_rows(metric);
    }
}

#[track_caller]
fn assert_promtool_accepts(text: &[u8]) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts (Debian package prometheus)");
    promtool.stdin.take().unwrap().write_all(text).unwrap();
    let run = promtool.wait_with_output().unwrap();
    let said = [run.stdout, run.stderr].concat();
    assert!(run.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

/// A request at `server` for `path`.
fn request(server: usize, path: &str, ms: usize) -> Line {
    let (backend, frontend) = (server % 5, server % 3);
    let line = format!(
        "Feb  1 12:14:14 lb1 haproxy[1]: 10.0.0.1:5 [01/Feb/2026:12:14:14.001] in{frontend} b{backend}/s{server} \
         {}/0/1/{ms}/{} 200 {} - - ---- 1/1/1/1/0 0/0 \"GET {path} HTTP/1.1\"",
        ms % 7,
        ms + 8,
        100 + ms
    );
    Line(line.into_bytes())
}

/// Requests of so many servers, and a configuration under which a server has 93 samples.
fn many(servers: usize) -> (Config, Vec<Line>) {
    let mut config = Config { max_series: 1_000_000, ..Config::default() };
    for metric in FAMILY.metrics.iter().filter(|metric| metric.name.ends_with("_duration_seconds")) {
        with_labels(&mut config, metric.name, &["frontend_name", "backend_name", "server_name"]);
    }
    with_labels(&mut config, "haproxy_log_requests_total", &["server_name", "http_request_path"]);
    let lines = (0..3 * servers).map(|line| request(line % servers, &format!("/{}", line % 7), line * 31 % 70_000));
    (config, lines.collect())
}

#[test]
fn a_hundred_thousand_samples_are_all_there_in_a_stable_order() {
    let (config, mut lines) = many(1100);
    let text = exposition(&config, &lines);
    let samples = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && line[0] != b'#').count();
    assert!(samples >= MANY, "{samples}");
    assert_exact(&config, &lines, &text);
    assert_promtool_accepts(&text);

    let mut random = Random(1);
    for at in (1..lines.len()).rev() {
        lines.swap(at, random.below(at + 1));
    }
    assert!(text == exposition(&config, &lines), "the order of the lines shows");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// Different bytes are different series, and the bytes can be had back from what Prometheus shows.
    #[test]
    fn label_values_of_any_bytes_can_be_read_back(first in any::<u64>().no_shrink(), lines in 1..80u64) {
        let lines = (0..lines).map(|line| hostile_request(first.wrapping_add(line))).collect::<Vec<_>>();
        let config = all_labels();
        assert_exact(&config, &lines, &exposition(&config, &lines));
    }
}

#[test]
fn every_byte_in_every_label_is_accepted_by_promtool() {
    let of_byte = |byte: u8| {
        let path = [b"/".as_slice(), &[byte], b"x0a"].concat();
        let mut line = request(1, "PATH", 1).0;
        let at = line.windows(4).position(|window| window == b"PATH").unwrap();
        line.splice(at..at + 4, path);
        Line(line)
    };
    let every_byte = (0..=255).filter(|byte| *byte != b'\n').map(of_byte);
    let lines = every_byte.chain((0..2000).map(hostile_request)).collect::<Vec<_>>();
    let config = all_labels();
    let text = exposition(&config, &lines);
    assert_exact(&config, &lines, &text);
    assert_promtool_accepts(&text);
    // All bytes but the newline, the quote that ends a request, and the question mark that ends a path.
    let paths = &strict::read(&text)["haproxy_log_response_duration_seconds"].rows;
    let single = paths.keys().filter(|labels| labels[0].1.len() == 5 && labels[0].1.ends_with(b"x0a"));
    let bytes = single.map(|labels| labels[0].1[1]).collect::<BTreeSet<_>>();
    assert!((0..=255).filter(|byte| !b"\n\"?".contains(byte)).all(|byte| bytes.contains(&byte)), "{bytes:?}");
}

/// What the counting thread tells about itself.
#[derive(Default)]
struct Progress {
    blocks: AtomicU64,
    /// The longest time that a block took since the last look, nanoseconds.
    longest: AtomicU64,
    /// When the block that is being counted began, nanoseconds; 0 between two blocks.
    began: AtomicU64,
    stop: AtomicU64,
}

/// Counts one block after the other until it is told to stop.
fn count_on(progress: &Progress, epoch: Instant, mut feed: impl Sink) {
    let now = || epoch.elapsed().as_nanos() as u64;
    for number in 0.. {
        let lines = (0..16).map(|line| Line::whole(16 * number + line)).collect::<Vec<_>>();
        let block = lines::block(&lines, true);
        let began = now();
        progress.began.store(began, SeqCst);
        feed.block(Block { lines: &block, bytes: 0, end: End::Nowhere, cut: false });
        progress.longest.fetch_max(now() - began, SeqCst);
        progress.began.store(0, SeqCst);
        progress.blocks.fetch_add(1, SeqCst);
        if progress.stop.load(SeqCst) != 0 {
            return;
        }
    }
}

/// One scrape, and what was counted meanwhile.
struct Scrape {
    text: Vec<u8>,
    took: Duration,
    blocks: u64,
    longest_block: Duration,
}

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes in {:?}, {} blocks, the longest in {:?}",
            self.text.len(),
            self.took,
            self.blocks,
            self.longest_block
        )
    }
}

fn scrape(pipeline: &Pipeline, progress: &Progress, epoch: Instant) -> Scrape {
    let mut text = Vec::with_capacity(16 << 20);
    progress.longest.store(0, SeqCst);
    let (blocks, began) = (progress.blocks.load(SeqCst), Instant::now());
    pipeline.render(&mut text);
    let took = began.elapsed();
    // A block that is still being counted has not told its time.
    let waiting = match progress.began.load(SeqCst) {
        0 => 0,
        began => (epoch.elapsed().as_nanos() as u64).saturating_sub(began),
    };
    let longest_block = Duration::from_nanos(waiting.max(progress.longest.load(SeqCst)));
    Scrape { text, took, blocks: progress.blocks.load(SeqCst) - blocks, longest_block }
}

/// Nothing of `before` is gone or smaller in `after`.
#[track_caller]
fn assert_grown(before: &BTreeMap<String, Metric>, after: &BTreeMap<String, Metric>) {
    for (name, metric) in before {
        for (labels, row) in &metric.rows {
            let grown = &after[name].rows[labels];
            assert!(row.thousandths <= grown.thousandths, "{name}{labels:?}");
            let buckets = row.buckets.iter().zip(&grown.buckets);
            assert!(buckets.clone().all(|((_, before), (_, after))| before <= after), "{name}{labels:?}");
        }
    }
}

/// A block is in a scrape whole or not at all: so what holds of all lines holds of every scrape.
#[track_caller]
fn assert_whole_blocks(metrics: &BTreeMap<String, Metric>) {
    let requests = metrics["haproxy_log_requests_total"].thousandths() / 1000;
    let sessions = metrics["haproxy_log_sessions_total"].thousandths() / 1000;
    let queued = metrics["haproxy_log_server_queue_length"].observations();
    assert_eq!(u128::from(queued), requests + sessions);
    let observed = metrics["haproxy_log_request_header_duration_seconds"].observations();
    let aborted = metrics["haproxy_log_aborted_requests_total"].rows.iter();
    let aborted = aborted.filter(|(labels, _)| labels.contains(&("phase".into(), "request".into())));
    let aborted = aborted.map(|(_, row)| row.thousandths / 1000).sum::<u128>();
    assert_eq!(u128::from(observed) + aborted, requests);
}

/// Scrapes while another thread counts: what is shown is of one moment and never goes back, and counting goes on
/// while the text is written.
#[test]
fn scrapes_and_counting_do_not_disturb_each_other() {
    const SCRAPES: usize = 10;
    let (config, lines) = many(1100);
    let pipeline = Pipeline::new(&config, |_| {});
    let shard = pipeline.shard("haproxy", &Dialect::Usual).unwrap();
    let mut feed = shard.feed("test", "test");
    feed.block(Block { lines: &lines::block(&lines, true), bytes: 0, end: End::Nowhere, cut: false });
    // Every metric has a row from the beginning on.
    (0..64).for_each(|seed| {
        feed.block(Block { lines: &lines::block(&[Line::whole(seed)], true), bytes: 0, end: End::Nowhere, cut: false })
    });
    let (progress, epoch) = (Progress::default(), Instant::now());
    let scrapes = thread::scope(|scope| {
        scope.spawn(|| count_on(&progress, epoch, feed));
        let scrapes = (0..SCRAPES).map(|_| scrape(&pipeline, &progress, epoch)).collect::<Vec<_>>();
        progress.stop.store(1, SeqCst);
        scrapes
    });

    let mut before = BTreeMap::new();
    for scrape in &scrapes {
        let metrics = strict::read(&scrape.text);
        assert_whole_blocks(&metrics);
        assert_grown(&before, &metrics);
        before = metrics;
    }
    // The processor may be another's for a while, so not every scrape has to show it.
    let undisturbed = scrapes.iter().filter(|scrape| scrape.blocks > 0 && 2 * scrape.longest_block < scrape.took);
    assert!(2 * undisturbed.count() >= SCRAPES, "counting waits for the text: {scrapes:?}");
}
