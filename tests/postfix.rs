//! A real Postfix, driven by clients and servers that keep book (`fixtures/record/postfix_truth.py`), followed by an exporter
//! that is killed in the middle: every number of the scrape is held against the book.
//!
//! Needs root, as Postfix does, and the programs postfix, python3 and openssl.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "cli/harness.rs"]
#[allow(dead_code, reason = "the tests of the command line use the rest")]
mod harness;

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use harness::{Exporter, run, sum, until, wait};
use serde_json::Value;

/// Lines after which the exporter is killed, about a third of all.
const HALF_WAY: f64 = 150.0;

/// Longest time that a message is tried, in seconds, as the driver configures it, and a little more.
const LIFETIME: RangeInclusive<f64> = 7.0..=30.0;

/// The driver takes a tenth of this on a machine with nothing else to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// Values by metric and label block, the labels in the order of the alphabet.
type Samples = BTreeMap<(String, Vec<(String, String)>), f64>;

#[test]
fn the_scrape_is_what_postfix_did() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (log, state) = (at("mail.log"), at("state"));
    let arguments = ["--postfix", &log, "--state-dir", &state];
    // It runs before there is a file.
    let mut exporter = Exporter::start(arguments);
    let mut driver = Driver::start(folder.path());
    until("half of the log", || sum(&exporter.metrics(), "tailmeter_lines_total") >= HALF_WAY || driver.has_ended());
    exporter.child.kill().unwrap();
    wait(&mut exporter.child);
    assert!(!driver.has_ended(), "killed in the middle of the traffic");
    drop(exporter);
    let exporter = Exporter::start(arguments);
    let resumed = sum(&exporter.metrics(), "tailmeter_lines_total");
    assert!(resumed > 0.0, "the state outlives the kill");

    driver.wait();
    let lines = fs::read_to_string(&log).unwrap().lines().count();
    let scraped = exporter.until_sum("tailmeter_lines_total", lines as f64);
    assert_eq!(sum(&scraped, "tailmeter_rejected_lines_total"), 0.0);
    let truth: Value = serde_json::from_slice(&fs::read(at("truth.json")).unwrap()).unwrap();
    let found = samples(&scraped);
    assert_same(&found, &expected(&truth), "every service");
    check_times(&found, &log);
    check_without_filter(folder.path(), &truth);
}

/// The run of the driver; ended with the test.
struct Driver(Child);

impl Driver {
    fn start(folder: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/record/postfix.py");
        let mut command = Command::new("python3");
        command.arg(script).arg("truth").arg(folder).stdin(Stdio::null());
        Self(command.spawn().expect("python3 is installed"))
    }

    fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    /// Waits for its end, which it says why if it is a bad one.
    fn wait(&mut self) {
        let started = Instant::now();
        while !self.has_ended() {
            assert!(started.elapsed() < PATIENCE, "the driver does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(wait(&mut self.0).success(), "the driver failed");
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Told to end, it stops its Postfix; killed, it would leave it.
        if !self.has_ended() {
            let _ = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status();
            let _ = self.0.wait();
        }
    }
}

/// All samples of Postfix's metrics but buckets.
fn samples(text: &str) -> Samples {
    let is_wanted = |line: &&str| line.starts_with("postfix_log_") && !line.contains("_bucket{");
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, block) = series.split_once('{').unwrap_or((series, ""));
        let labels = block.trim_end_matches('}').split("\",").filter_map(|label| {
            let (name, value) = label.split_once("=\"")?;
            Some((name.to_owned(), value.trim_end_matches('"').to_owned()))
        });
        let mut labels = labels.collect::<Vec<_>>();
        labels.sort();
        ((name.to_owned(), labels), value.parse().unwrap())
    };
    text.lines().filter(is_wanted).map(sample).collect()
}

/// What the driver says that they are.
fn expected(truth: &Value) -> Samples {
    let metrics = truth["metrics"].as_array().unwrap();
    let sample = |metric: &Value| {
        let labels = metric["labels"].as_object().unwrap().iter();
        let labels = labels.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
        let mut labels = labels.collect::<Vec<_>>();
        labels.sort();
        ((metric["name"].as_str().unwrap().to_owned(), labels), metric["value"].as_f64().unwrap())
    };
    let mut samples = metrics.iter().map(sample).collect::<Samples>();
    let recipients = truth["facts"]["recipients_queued"].as_f64().unwrap();
    let insertions = samples[&("postfix_log_queue_insertions_total".to_owned(), Vec::new())];
    for (name, value) in [
        ("postfix_log_message_recipients_sum", recipients),
        ("postfix_log_message_recipients_count", insertions),
        ("postfix_log_message_size_bytes_count", insertions),
        ("postfix_log_correlator_evictions_total", 0.0),
    ] {
        samples.insert((name.to_owned(), Vec::new()), value);
    }
    samples
}

/// Asserts that all but sums of times and sizes, which the driver does not know, are equal; what it does not name is zero.
#[track_caller]
fn assert_same(found: &Samples, expected: &Samples, what: &str) {
    let is_known = |name: &str| !name.ends_with("_seconds_sum") && !name.ends_with("_bytes_sum");
    let value = |samples: &Samples, key| samples.get(key).copied().unwrap_or(0.0);
    let keys = found.keys().chain(expected.keys()).filter(|(name, _)| is_known(name));
    let differences = keys
        .filter(|key| value(found, key) != value(expected, key))
        .map(|key| (key, (value(found, key), value(expected, key))))
        .collect::<BTreeMap<_, _>>();
    assert!(differences.is_empty(), "{what}: (found, expected) differ: {differences:#?}");
    assert!(expected.len() > 100, "{}", expected.len());
}

/// The sum of the samples of `name` whose labels have `wanted`.
fn total(samples: &Samples, name: &str, wanted: &[(&str, &str)]) -> f64 {
    let has = |labels: &[(String, String)]| {
        wanted.iter().all(|(name, value)| labels.iter().any(|(other, found)| other == name && found == value))
    };
    samples.iter().filter(|((other, labels), _)| other == name && has(labels)).map(|(_, value)| value).sum()
}

/// Delays are what the lines say, their parts add up to them, and messages take as long as the driver makes them.
fn check_times(found: &Samples, log: &str) {
    let parsed = run(["parse", "--format", "postfix", log]);
    let events = parsed.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (mut delays, mut parts) = (0.0, [0.0; 4]);
    for event in events.filter(|event| event["kind"] == "delivery") {
        let delay = event["fields"]["delay"].as_f64().unwrap();
        let of_line = event["fields"]["delays"].as_array().unwrap().iter().map(|part| part.as_f64().unwrap());
        let of_line = of_line.collect::<Vec<_>>();
        // Two digits that count, and never more than two behind the point.
        let unit = |value: f64| {
            if value >= 10.0 {
                1.0
            } else if value >= 1.0 {
                0.1
            } else {
                0.01
            }
        };
        let rounding = of_line.iter().chain([&delay]).map(|value| unit(*value)).sum::<f64>();
        let apart = (of_line.iter().sum::<f64>() - delay).abs();
        assert!(apart <= rounding, "{delay} is not the sum of {of_line:?}");
        delays += delay;
        parts.iter_mut().zip(&of_line).for_each(|(sum, part)| *sum += part);
    }
    let is_near = |one: f64, other: f64| (one - other).abs() < 1e-6;
    assert!(delays > 20.0, "{delays}");
    assert!(is_near(total(found, "postfix_log_delivery_delay_seconds_sum", &[]), delays));
    let stages = ["before_queue_manager", "queue_manager", "connection_setup", "transmission"];
    for (stage, sum) in stages.into_iter().zip(parts) {
        let shown = total(found, "postfix_log_delivery_stage_seconds_sum", &[("stage", stage)]);
        assert!(is_near(shown, sum), "{stage}: {shown}, {sum}");
    }
    // Deferred attempts wait in the queue; that is not the time of sending.
    let waited = total(found, "postfix_log_delivery_stage_seconds_sum", &[("stage", "before_queue_manager")]);
    assert!(waited > 0.5 * delays, "{waited} of {delays}");

    let duration = |outcome| {
        let outcome = [("outcome", outcome)];
        let sum = total(found, "postfix_log_message_duration_seconds_sum", &outcome);
        (sum, total(found, "postfix_log_message_duration_seconds_count", &outcome))
    };
    let (expired, messages) = duration("expired");
    assert!(LIFETIME.contains(&(expired / messages)), "{expired} s for {messages} messages");
    // Four were deferred for a second at least; times of lines are whole seconds.
    let (sent, messages) = duration("sent");
    assert!((1.0..=3.0 * messages).contains(&sent), "{sent} s for {messages} messages");
}

/// With the ways to and from the content filter left out, the rest is as it was.
fn check_without_filter(folder: &Path, truth: &Value) {
    let config = folder.join("tailmeter.yml");
    fs::write(&config, "postfix: {exclude_services: [door/smtpd, scan]}\n").unwrap();
    let log = folder.join("mail.log");
    let replayed = run(["replay", "--config", config.to_str().unwrap(), "--format", "postfix", log.to_str().unwrap()]);
    assert_eq!(replayed.code, Some(0), "{}", replayed.stderr);
    let is_of_door = |labels: &[(String, String)]| labels.iter().any(|(_, value)| value == "door/smtpd");
    let mut expected = expected(truth);
    let all = expected.len();
    expected.retain(|(_, labels), _| !is_of_door(labels));
    assert!(all - expected.len() > 5, "the way back was there");
    for (status, fact) in [("sent", "scanned_sent"), ("bounced", "scanned_bounced")] {
        let scanned = truth["facts"][fact].as_f64().unwrap();
        assert!(scanned > 0.0);
        let is_of_scan = |(name, labels): &(String, Vec<(String, String)>)| {
            let has = |wanted: &str| labels.iter().any(|(_, value)| value == wanted);
            name.starts_with("postfix_log_deliver") && !name.contains("_attempts") && has("smtp") && has(status)
        };
        expected.iter_mut().filter(|(key, _)| is_of_scan(key)).for_each(|(_, value)| *value -= scanned);
    }
    assert_same(&samples(&replayed.stdout), &expected, "without the filter's services");
}
