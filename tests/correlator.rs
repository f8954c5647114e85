//! Messages under way: logs of many messages at once, of which the truth is known (`benches/mail`), read by the program, and
//! `Correlator` itself, against a map that does the same slowly.
//!
//! `CORRELATOR_MESSAGES=10000000` asks for more messages, `CORRELATOR_SEED` for the same ones; `--nocapture` shows how it went.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "cli/harness.rs"]
#[allow(dead_code, reason = "the tests of the command line use the rest")]
mod harness;
#[path = "../benches/mail/mod.rs"]
mod mail;

#[path = "correlator/follow.rs"]
mod follow;
#[path = "correlator/naive.rs"]
mod naive;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Instant;

use follow::Follow;
use harness::{peak_memory, tailmeter, wait};
use mail::{Mail, Random, Truth, Wanted};
use naive::Naive;
use tailmeter::metrics::{Correlator, Fate, Message};
use tailmeter_parsers::Time;

/// Messages of a log; `CORRELATOR_MESSAGES` asks for more.
const MESSAGES: u64 = 100_000;

/// Mean pause between them.
const PAUSE_US: u64 = 20_000;

/// The limit of messages where it matters.
const LIMIT: usize = 1000;

fn asked(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

fn wanted() -> Wanted {
    let seed = asked("CORRELATOR_SEED", u64::from(std::process::id()));
    println!("CORRELATOR_SEED={seed}");
    Wanted { messages: asked("CORRELATOR_MESSAGES", MESSAGES), seed, pause_us: PAUSE_US, is_classic: false }
}

#[test]
fn every_message_is_followed_to_its_end() {
    let (truth, text) = replayed(wanted(), &[], None);
    assert_same(&text, &truth);
    assert!(truth.total("correlator_messages") > 0);
    for name in ["queue_expirations_total", "correlator_evictions_total"] {
        assert!(truth.total(name) > 0, "{name}");
    }
    let outcomes = truth.histograms.keys().filter(|(name, _)| *name == "message_duration_seconds").count();
    assert_eq!(outcomes, 4);
}

#[test]
fn what_is_too_much_is_forgotten_and_counted() {
    let mut follow = Follow::new(LIMIT);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("tailmeter.yml");
    std::fs::write(&config, format!("postfix: {{max_messages: {LIMIT}}}\n")).unwrap();
    let (mut truth, text) = replayed(wanted(), &["--config", config.to_str().unwrap()], Some(&mut follow));
    assert_eq!(follow.peak(), LIMIT);
    let without_limit = truth.total("correlator_evictions_total");
    follow.correct(&mut truth);
    assert_same(&text, &truth);
    let evicted = truth.total("correlator_evictions_total");
    println!("{evicted} forgotten, {without_limit} without a limit");
    assert!(evicted > 100 + without_limit);
}

/// Writes a log into `tailmeter replay`; returns the truth about it, and what was printed.
fn replayed(wanted: Wanted, arguments: &[&str], mut follow: Option<&mut Follow>) -> (Truth, String) {
    let mut command = tailmeter();
    command.args(["replay", "--format", "postfix"]).args(arguments).arg("-");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let (started, mut mail, mut lines) = (Instant::now(), Mail::new(wanted), 0_u64);
    let (mut block, mut bytes) = (Vec::new(), 0);
    while let Some(written) = mail.line(&mut block) {
        lines += 1;
        if let Some(follow) = &mut follow {
            follow.line(written);
        }
        if block.len() > 1 << 18 {
            bytes += block.len();
            input.write_all(&block).unwrap();
            block.clear();
        }
    }
    bytes += block.len();
    input.write_all(&block).unwrap();
    let memory = peak_memory(child.id());
    drop(input);
    let (mut text, mut said) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(wait(&mut child).success(), "{said}");
    println!(
        "{} messages, {lines} lines, {bytes} bytes in {:.1?}; peak memory {} KiB; {}",
        wanted.messages,
        started.elapsed(),
        memory / 1024,
        said.trim(),
    );
    (mail.truth(), text)
}

/// Every sample of Postfix's metrics is the truth's, and none is missing.
#[track_caller]
fn assert_same(text: &str, truth: &Truth) {
    let (found, expected) = (found(text), expected(truth));
    let keys = found.keys().chain(expected.keys()).collect::<BTreeSet<_>>();
    let value = |samples: &BTreeMap<String, i64>, key: &String| samples.get(key).copied().unwrap_or(0);
    let differing = keys.into_iter().filter(|key| value(&found, key) != value(&expected, key));
    let differing = differing.map(|key| format!("{key}: {} {}\n", value(&found, key), value(&expected, key)));
    let differing = differing.collect::<String>();
    assert!(differing.is_empty(), "found, expected:\n{differing}");
    assert!(expected.len() > 500, "{}", expected.len());
}

/// Name, values of the labels, and value of each sample; seconds in milliseconds.
fn found(text: &str) -> BTreeMap<String, i64> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("postfix_log_"));
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let values = labels.split('"').skip(1).step_by(2).collect::<Vec<_>>();
        let unit = if name.ends_with("_seconds_sum") { 1000.0 } else { 1.0 };
        (format!("{name} {}", values.join(" ")), (value.parse::<f64>().unwrap() * unit).round() as i64)
    };
    lines.map(sample).collect()
}

fn expected(truth: &Truth) -> BTreeMap<String, i64> {
    let join = |labels: &[&str]| labels.iter().filter(|label| !label.is_empty()).copied().collect::<Vec<_>>().join(" ");
    let mut samples = BTreeMap::new();
    for ((name, labels), value) in &truth.counters {
        samples.insert(format!("{name} {}", join(labels)), *value);
    }
    for ((name, labels), histogram) in &truth.histograms {
        let labels = join(labels);
        samples.insert(format!("{name}_sum {labels}"), histogram.sum);
        let mut count = 0;
        for (at, number) in histogram.buckets.iter().enumerate() {
            count += *number as i64;
            let unit = if name.ends_with("_seconds") { 1000.0 } else { 1.0 };
            let bound = mail::bounds(name).get(at).map(|bound| *bound as f64 / unit);
            let bound = bound.map_or_else(|| "+Inf".to_owned(), |bound| bound.to_string());
            let labels = if labels.is_empty() { bound } else { format!("{labels} {bound}") };
            samples.insert(format!("{name}_bucket {labels}"), count);
        }
        samples.insert(format!("{name}_count {labels}"), count);
    }
    samples
}

/// When the operations begin, in milliseconds.
const BEGIN_MS: u64 = 1_767_225_600_000;

#[test]
fn a_correlator_does_what_a_map_does() {
    let seed = asked("CORRELATOR_SEED", u64::from(std::process::id()));
    for round in 0..60 {
        let seed = seed.wrapping_add(round);
        let mut random = Random(seed);
        let capacity = 2 + random.below(30) as usize;
        let (mut correlator, mut naive) = (Correlator::new(capacity), Naive::new(capacity));
        let mut now_ms = BEGIN_MS;
        for step in 0..2000 {
            let what = format!("CORRELATOR_SEED={seed}, step {step}");
            // Mostly little time goes by, at times hours, rarely weeks; some lines have no time.
            let most = [1000, 1000, 1000, 4_000_000, 600_000_000][random.below(5) as usize];
            let most = 1 + random.below(most);
            now_ms += random.below(most);
            let at = (!random.once_in(20)).then_some(now_ms);
            operate(&mut random, &mut correlator, &mut naive, at, &what);
            assert_eq!(correlator.messages().collect::<Vec<_>>(), naive.messages().collect::<Vec<_>>(), "{what}");
            let changes = (std::mem::take(&mut naive.change), std::mem::take(&mut naive.evicted));
            assert_eq!(correlator.take_changes(), changes, "{what}");
            assert!(naive.len() <= capacity);
        }
    }
}

/// Does the same with both.
fn operate(random: &mut Random, correlator: &mut Correlator, naive: &mut Naive, at_ms: Option<u64>, what: &str) {
    let id = 1 + random.below(60);
    let time = at_ms.map(Time::from_ms);
    match random.below(8) {
        0 | 1 => assert_eq!(*correlator.enter(id, time), *naive.enter(id, at_ms), "{what}: enter {id}"),
        2 => assert_eq!(*correlator.begin(id, time), *naive.begin(id, at_ms), "{what}: begin {id}"),
        3 => {
            correlator.queue(id);
            naive.queue(id);
        }
        4 => assert_eq!(correlator.finish(id), naive.finish(id), "{what}: finish {id}"),
        5 => {
            let message_id = 1 + random.below(5);
            let before = correlator.tell_message_id(id, message_id);
            assert_eq!(before, naive.tell_message_id(id, message_id), "{what}: message id {message_id} of {id}");
        }
        6 => {
            let began_ms = at_ms.map_or(0, |at| at - random.below(1000));
            let change = |message: &mut Message| {
                message.fate.add(Fate::SENT);
                message.attempts += 1;
                message.began_ms = began_ms;
            };
            correlator.get(id).map(change);
            naive.get(id).map(change);
        }
        _ => assert_eq!(correlator.get(id), naive.get(id), "{what}: get {id}"),
    }
}

#[test]
fn a_restored_correlator_has_them_in_the_order_of_their_beginnings() {
    let seed = asked("CORRELATOR_SEED", u64::from(std::process::id()));
    for round in 0..60 {
        let seed = seed.wrapping_add(round);
        let mut random = Random(seed);
        let capacity = 2 + random.below(30) as usize;
        let (mut correlator, mut naive) = (Correlator::new(capacity), Naive::new(capacity));
        let mut now_ms = BEGIN_MS;
        for step in 0..600 {
            let what = format!("CORRELATOR_SEED={seed}, step {step}");
            now_ms += random.below(1000);
            operate(&mut random, &mut correlator, &mut naive, Some(now_ms), &what);
            if random.once_in(50) {
                // As the state has them.
                let mut left = correlator.messages().collect::<Vec<_>>();
                left.sort_by_key(|message| message.id);
                let capacity = 2 + random.below(30) as usize;
                correlator = Correlator::new(capacity);
                correlator.restore(&left);
                naive = Naive::restored(capacity, left);
            }
            // Those that are restored have come, for the gauge.
            let changes = (std::mem::take(&mut naive.change), std::mem::take(&mut naive.evicted));
            assert_eq!(correlator.take_changes(), changes, "{what}");
            assert_eq!(correlator.messages().collect::<Vec<_>>(), naive.messages().collect::<Vec<_>>(), "{what}");
        }
    }
}
