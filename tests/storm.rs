//! A storm: a log that grows fast, logrotate, a scraper that never rests, and an exporter that is killed again and again.
//! In the end every line and every rotation has counted once, and no scrape has ever seen a value get smaller.
//!
//! `STORM_KILLS` asks for more kills of each variant, `STORM_SEED` for the same ones. `--nocapture` shows how it went.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "cli/harness.rs"]
#[allow(dead_code, reason = "the tests of the command line use the rest")]
mod harness;
#[path = "store/lines.rs"]
#[allow(dead_code, reason = "the tests of the store use the rest")]
mod lines;
#[path = "storm/rotator.rs"]
mod rotator;
#[path = "storm/scraper.rs"]
mod scraper;
#[path = "storm/writer.rs"]
mod writer;

use std::fs;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use harness::{Exporter, run, samples, sum, tailmeter, until, wait};
use lines::Random;
use rotator::{Rotator, Variant};
use scraper::Scraper;
use writer::Writer;

/// Kills of a variant; `STORM_KILLS` asks for more.
const KILLS: usize = 4;

/// Lines a second.
const RATE: usize = 20_000;

/// Each storm has the machine for itself.
static TURN: Mutex<()> = Mutex::new(());

fn kills() -> usize {
    std::env::var("STORM_KILLS").map_or(KILLS, |kills| kills.parse().unwrap())
}

fn seed() -> u64 {
    std::env::var("STORM_SEED").map_or_else(|_| u64::from(std::process::id()), |seed| seed.parse().unwrap())
}

#[test]
fn renamed_and_created() {
    storm(Variant { directives: "create", kind: "rename" });
}

#[test]
fn renamed_and_created_late() {
    storm(Variant { directives: "nocreate", kind: "rename" });
}

#[test]
fn compressed_at_once() {
    storm(Variant { directives: "create\n compress", kind: "rename" });
}

#[test]
fn compressed_later() {
    storm(Variant { directives: "nocreate\n compress\n delaycompress", kind: "rename" });
}

#[test]
fn copied_and_truncated() {
    storm(Variant { directives: "copytruncate", kind: "truncate" });
}

#[test]
fn copied_truncated_and_compressed() {
    storm(Variant { directives: "copytruncate\n compress\n delaycompress", kind: "truncate" });
}

fn storm(variant: Variant) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let seed = seed();
    println!("STORM_SEED={seed} {variant:?}");
    let mut random = Random(seed);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("log")).unwrap();
    let (log, truth, state) = (at("log/a.log"), at("truth.log"), at("state"));
    let arguments = ["--haproxy", log.to_str().unwrap(), "--state-dir", state.to_str().unwrap()];
    let started = Instant::now();
    let writer = Writer::begin(&log, &truth, seed, RATE);
    let scraper = Scraper::begin(Duration::from_millis(100));

    // A file that was rotated before its position was ever committed has never been seen.
    let first = Exporter::start(arguments);
    scraper.watch(&first.address);
    until("a first commit", || sum(&first.metrics(), "tailmeter_lines_total") > 0.0);
    let rotator = Rotator::begin(variant, folder.path(), writer.orders(), random.number());
    let mut exporter = Some(first);
    for _ in 0..kills() {
        let mut killed = match exporter.take() {
            Some(exporter) => exporter,
            None if random.once_in(4) => {
                killed_at_its_start(&arguments, &mut random);
                continue;
            }
            None => Exporter::start(arguments),
        };
        scraper.watch(&killed.address);
        // Killed at a random moment, be it before the first commit.
        let most = if random.once_in(4) { 25 } else { 6 };
        let scrapes = scraper.scrapes() + random.below(most);
        let moment = Instant::now() + Duration::from_millis(random.below(100) as u64);
        until("scrapes", || scraper.scrapes() >= scrapes && Instant::now() >= moment);
        killed.child.kill().unwrap();
        wait(&mut killed.child);
        if random.once_in(4) {
            let rotations = rotator.rotations() + 1 + random.below(3);
            until("rotations while nobody looks", || rotator.rotations() >= rotations);
        }
    }
    until("enough rotations", || rotator.rotations() >= kills() / 2);
    let rotations = rotator.end();
    writer.orders().wait_for_more();
    let lines = writer.end();
    let wrote = started.elapsed();

    let mut exporter = Exporter::start(arguments);
    scraper.watch(&exporter.address);
    let text = exporter.until_sum("tailmeter_lines_total", lines as f64);
    let kind = format!("kind=\"{}\"", variant.kind);
    let expected = |labels: &str| if labels.contains(&kind) { rotations as f64 } else { 0.0 };
    for (labels, value) in samples(&text, "tailmeter_rotations_total") {
        assert_eq!(value, expected(labels), "seed {seed}: rotations {labels}");
    }
    let scrapes = scraper.end();
    println!(
        "{} kills, {rotations} rotations, {scrapes} scrapes, {lines} lines in {:.1} s: {:.0} lines/s; caught up after {:.1} s",
        kills(),
        wrote.as_secs_f64(),
        lines as f64 / wrote.as_secs_f64(),
        started.elapsed().as_secs_f64(),
    );
    assert!(scrapes > kills(), "seed {seed}: {scrapes} scrapes");
    let replayed = run(["replay", "--format", "haproxy", truth.to_str().unwrap()]);
    assert_same(&text, &replayed.stdout, seed);
    assert_eq!(sum(&text, "tailmeter_source_read_bytes_total"), fs::metadata(&truth).unwrap().len() as f64);
    assert_eq!(sum(&text, "tailmeter_source_lost_bytes_total"), 0.0);
    assert_eq!(sum(&text, "tailmeter_checkpoint_errors_total"), 0.0);

    // And once more in an orderly way.
    let started = Instant::now();
    exporter.signal("TERM");
    assert_eq!(wait(&mut exporter.child).code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    let exporter = Exporter::start(arguments);
    assert!(exporter.said[0].ends_with("from where reading stood"), "{:?}", exporter.said);
    assert_same(&exporter.metrics(), &replayed.stdout, seed);
}

/// Starts the program and kills it before it may have said that it runs.
fn killed_at_its_start(arguments: &[&str], random: &mut Random) {
    let moment = Instant::now() + Duration::from_millis(random.below(150) as u64);
    let mut command = tailmeter();
    command.args(["run", "--listen", "127.0.0.1:0"]).args(arguments).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    until("the moment", || Instant::now() >= moment);
    child.kill().unwrap();
    wait(&mut child);
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
    let differing = || shown.iter().zip(&expected).filter(|(shown, expected)| shown != expected);
    let first = differing().take(20).map(|(shown, expected)| format!("{shown}\n{expected}\n")).collect::<String>();
    assert_eq!(differing().count(), 0, "seed {seed}: shown, expected\n{first}");
    assert_eq!(shown.len(), expected.len(), "seed {seed}");
    for name in ["tailmeter_lines_total", "tailmeter_rejected_lines_total", "tailmeter_label_overflow_total"] {
        let values = |text| samples(text, name).map(|(_, value)| value).collect::<Vec<_>>();
        assert_eq!(values(text), values(truth), "seed {seed}: {name}");
    }
}
