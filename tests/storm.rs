//! A storm: a log that grows fast, a scraper that never rests, and an exporter that is killed again and again. In the
//! end every line has counted once, and no scrape has ever seen a value get smaller.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "cli/harness.rs"]
#[allow(dead_code, reason = "the tests of the command line use the rest")]
mod harness;
#[path = "store/lines.rs"]
#[allow(dead_code, reason = "the tests of the store use the rest")]
mod lines;
#[path = "storm/scraper.rs"]
mod scraper;
#[path = "storm/writer.rs"]
mod writer;

use std::time::{Duration, Instant};

use harness::{Exporter, run, samples, sum, until, wait};
use lines::Random;
use scraper::Scraper;
use writer::Writer;

/// Kills of a test run; `STORM_KILLS` asks for more.
const KILLS: usize = 10;

/// Lines a second.
const RATE: usize = 20_000;

fn kills() -> usize {
    std::env::var("STORM_KILLS").map_or(KILLS, |kills| kills.parse().unwrap())
}

fn seed() -> u64 {
    std::env::var("STORM_SEED").map_or_else(|_| u64::from(std::process::id()), |seed| seed.parse().unwrap())
}

#[test]
fn no_kill_loses_or_doubles_a_line() {
    let seed = seed();
    println!("STORM_SEED={seed}");
    let mut random = Random(seed);
    let folder = tempfile::tempdir().unwrap();
    let (log, state) = (folder.path().join("a.log"), folder.path().join("state"));
    let arguments = ["--haproxy", log.to_str().unwrap(), "--state-dir", state.to_str().unwrap()];
    let writer = Writer::begin(&log, seed, RATE);
    let scraper = Scraper::begin(Duration::from_millis(100));
    for _ in 0..kills() {
        let mut exporter = Exporter::start(arguments);
        scraper.watch(&exporter.address);
        // Killed at a random moment, be it before the first commit.
        let scrapes = scraper.scrapes() + random.below(6);
        let moment = Instant::now() + Duration::from_millis(random.below(50) as u64);
        until("scrapes", || scraper.scrapes() >= scrapes && Instant::now() >= moment);
        exporter.child.kill().unwrap();
        wait(&mut exporter.child);
    }
    let lines = writer.end();
    let mut exporter = Exporter::start(arguments);
    scraper.watch(&exporter.address);
    let text = exporter.until_sum("tailmeter_lines_total", lines as f64);
    let scrapes = scraper.end();
    assert!(scrapes > kills(), "seed {seed}: {scrapes} scrapes");
    let truth = run(["replay", "--format", "haproxy", log.to_str().unwrap()]);
    assert_same(&text, &truth.stdout, seed);
    assert_eq!(sum(&text, "tailmeter_source_read_bytes_total"), std::fs::metadata(&log).unwrap().len() as f64);
    assert_eq!(sum(&text, "tailmeter_source_lost_bytes_total"), 0.0);
    assert_eq!(sum(&text, "tailmeter_checkpoint_errors_total"), 0.0);

    // And once more in an orderly way.
    let started = Instant::now();
    exporter.signal("TERM");
    assert_eq!(wait(&mut exporter.child).code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    let exporter = Exporter::start(arguments);
    assert!(exporter.said[0].ends_with("from where reading stood"), "{:?}", exporter.said);
    assert_same(&exporter.metrics(), &truth.stdout, seed);
}

/// The metrics of the log, and the lines by outcome, are those of `truth`.
#[track_caller]
fn assert_same(text: &str, truth: &str, seed: u64) {
    let of_log = |text: &str| {
        let lines = text.lines().filter(|line| line.contains("haproxy_log_") && !line.contains("tailmeter_"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let (shown, expected) = (of_log(text), of_log(truth));
    assert!(!expected.is_empty());
    for (shown, expected) in shown.iter().zip(&expected) {
        assert_eq!(shown, expected, "seed {seed}");
    }
    assert_eq!(shown.len(), expected.len(), "seed {seed}");
    for name in ["tailmeter_lines_total", "tailmeter_rejected_lines_total", "tailmeter_label_overflow_total"] {
        let values = |text| samples(text, name).map(|(_, value)| value).collect::<Vec<_>>();
        assert_eq!(values(text), values(truth), "seed {seed}: {name}");
    }
}
