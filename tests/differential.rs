//! Log-formats against the real HAProxy: random ones, driven with everything that makes another kind of line, by each
//! version that is here. Each line carries the truth about its items, see `differential/format.rs`.
//!
//! The formats are others each time: the seed is printed, and `SEED=n cargo test --test differential` takes them again. The
//! times and addresses in their lines are never the same.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "differential/catalogue.rs"]
mod catalogue;
#[path = "differential/cbor.rs"]
mod cbor;
#[path = "differential/format.rs"]
mod format;
#[path = "differential/haproxy.rs"]
mod haproxy;
#[path = "differential/json.rs"]
mod json;
#[allow(dead_code, reason = "shared with another test, which uses all of it")]
#[path = "end_to_end/lab.rs"]
mod lab;
#[path = "differential/origin.rs"]
mod origin;
#[path = "differential/random.rs"]
mod random;
#[path = "differential/reading.rs"]
mod reading;
#[path = "differential/traffic.rs"]
mod traffic;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use catalogue::Mode;
use format::{Format, cut, cut_object};
use haproxy::Log;
use lab::{Lab, find};
use random::Random;
use reading::{Read, Verdict};
use traffic::Tls;

/// Formats of a run. One in four is a TCP proxy's.
const FORMATS: usize = 200;

/// Threads that act as clients.
const CLIENTS: usize = 48;

/// Differences that a failure shows.
const SHOWN: usize = 5;

/// Lines that are not of a format: HAProxy's own, which this test lets it write.
const NOTICES: &[&str] = &["Stopping ", "Proxy ", "Stopped ", "soft-stop running for too long", "Some tasks resisted"];

/// Default messages of connections without a session.
const CONNECTION_ERRORS: &[&str] = &["SSL handshake", "PROXY"];

/// The reader that is under test.
const READER: Read = reading::compiled;

/// How lines end that every run must have: without them, much of the traffic had no effect.
const STATES: &[&str] = &["--", "CD", "CR", "LR", "PH", "PR", "PT", "SC", "SD", "SH", "cD", "cR", "sH"];

/// A log of the run, read again by whoever wants to know whether it says the same.
struct Recorded {
    formats: Vec<Format>,
    version: (u32, u32),
    lines: Vec<Vec<u8>>,
}

/// Runs HAProxy with random formats and all traffic, and gives what it logged.
fn record(program: &Path, seed: u64) -> Recorded {
    let mut random = Random::new(seed);
    let dialect = haproxy::dialect(program);
    let mode = |number: usize| if number % 4 == 3 { Mode::Tcp } else { Mode::Http };
    let formats = (0..FORMATS).map(|number| Format::random(&mut random, &dialect, mode(number)));
    let formats = formats.collect::<Vec<_>>();

    let mut lab = Lab::new();
    let tls = Tls::new(&lab);
    let log = Log::new();
    let frontends = haproxy::start(&mut lab, &mut random, program, &formats, &log, origin::start());
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while let turn = next.fetch_add(1, Relaxed)
                    && let Some(frontend) = frontends.get(turn)
                {
                    traffic::drive(frontend, &tls, turn);
                }
            });
        }
    });
    haproxy::stop(&mut lab);
    Recorded { formats, version: dialect.version, lines: log.lines() }
}

/// Fails with the first of the complaints.
#[track_caller]
fn assert_none(seed: u64, version: (u32, u32), complaints: &[String]) {
    let shown = &complaints[..complaints.len().min(SHOWN)];
    let shown = shown.join("\n");
    assert!(complaints.is_empty(), "{} complaints, SEED={seed}, HAProxy {version:?}:\n{shown}", complaints.len());
}

/// Holds every line against the truth in it: literals and truths put together are the line, which is the test's own
/// understanding of what HAProxy writes; and the reader takes them apart.
fn check(program: &Path) {
    let seed = random::seed();
    let Recorded { formats, version, lines } = record(program, seed);
    let mut complaints = Vec::new();
    // Lines so far, by frontend, as its lines have them.
    let mut counts = BTreeMap::<usize, Vec<u64>>::new();
    let mut errors = 0;
    let mut states = BTreeSet::new();
    let mut verdict = Verdict::default();
    for line in &lines {
        let Some(cut) = cut(line).or_else(|| cut_object(line, &formats)) else {
            let text = String::from_utf8_lossy(line);
            if !text.contains('\u{1}') && CONNECTION_ERRORS.iter().any(|error| text.contains(error)) {
                errors += 1;
            } else if !NOTICES.iter().any(|notice| text.starts_with(notice)) {
                complaints.push(format!("not a whole line: {text:?}"));
            }
            continue;
        };
        counts.entry(cut.number).or_default().push(cut.count);
        states.insert(cut.state.clone());
        let format = &formats[cut.number];
        if cut.truths.len() != format.items().count() {
            complaints.push(format!("{}\n  truths: {:?}", format.text(), cut.truths));
            continue;
        }
        let expected = if format.is_object() { cut.left.to_vec() } else { format.line(&cut.truths, version) };
        if expected != cut.left {
            let [expected, found] = [&expected, cut.left].map(|line| line.escape_ascii().to_string());
            complaints.push(format!("{}\n  found    {found}\n  expected {expected}", format.text()));
        }
        verdict.add(READER, format, &cut);
    }
    // No line was lost on the way. HAProxy counts errors of connections too.
    let mut gaps = 0;
    for (number, format) in formats.iter().enumerate() {
        let counts = counts.remove(&number).unwrap_or_default();
        match counts.iter().max() {
            Some(last) => gaps += last + 1 - counts.len() as u64,
            None => complaints.push(format!("{}\n  has no lines", format.text())),
        }
    }
    if gaps > errors {
        complaints.push(format!("{gaps} lines are missing, {errors} connection errors"));
    }
    let missing = STATES.iter().filter(|state| !states.contains(**state));
    complaints.extend(missing.map(|state| format!("no line ended by {state}")));
    println!("HAProxy {version:?}: {} formats, {} lines, {states:?}", formats.len(), lines.len());
    println!(
        "{} lines agreed, {} fields found, {} unsure, refused: {:#?}",
        verdict.agreed, verdict.found, verdict.unsure, verdict.refused
    );
    complaints.append(&mut verdict.wrong);
    assert_none(seed, version, &complaints);
}

/// The command that `fixtures/record/haproxy-3` made.
fn later(suite: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/haproxy").join(suite).join("haproxy");
    assert!(program.is_file(), "this test runs another HAProxy, which is not here: fixtures/record/haproxy-3 {suite}");
    program
}

#[test]
fn the_installed_haproxy_writes_what_its_items_say() {
    let [program] = find([("haproxy", "haproxy")]);
    check(&program);
}

#[test]
fn haproxy_3_0_writes_what_its_items_say() {
    check(&later("trixie"));
}

#[test]
fn haproxy_3_2_writes_what_its_items_say() {
    check(&later("forky"));
}
