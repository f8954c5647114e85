//! The program over the fixtures: beside each `fixtures/<family>/<case>.log` stands what `tailmeter parse` prints for
//! it (`<case>.events.jsonl`, a row per line) and what `tailmeter replay` prints (`<case>.prom`, a whole scrape).
//! Those in `fixtures/formats` are of the formats in `packaging/formats`, each named like its configuration.
//!
//! A missing expectation fails. `UPDATE=1 cargo test --test golden` writes them all: read the difference before
//! committing it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tailmeter::metrics::FAMILIES;

/// Cases that hold lines to be rejected, and why they do. In any other case a rejected line is a mistake.
const REJECTING: &[(&str, &str)] = &[
    ("dovecot/hostile", "cut lines, and lines that no Dovecot writes"),
    ("exim/truncated", "cut lines"),
    ("halon/hostile", "objects that are cut, and lines that no script of Halon writes"),
    ("haproxy/composed", "lines cut before the end of what their metric needs"),
    ("haproxy/hostile", "lines that imitate fields, and lines that no HAProxy writes"),
    ("haproxy/httpslog", "an `error-log-format` of the user's own"),
    ("haproxy/truncated", "lines cut before the end of what every metric needs"),
    ("opensmtpd/truncated", "cut lines"),
    ("postfix/hostile", "lines that no Postfix writes"),
    ("sendmail/truncated", "cut lines"),
    ("stalwart/hostile", "lines that no Stalwart writes, or none since 0.9"),
];

/// The folder of the formats that are shipped.
const FORMATS: &str = "formats";

/// Lines around a difference that are shown with it.
const CONTEXT: usize = 2;
/// Differing lines that are shown, at most.
const SHOWN: usize = 40;

/// One log and what is expected of it.
struct Case {
    format: String,
    /// What describes the format, if it is none of tailmeter's own.
    configuration: Option<PathBuf>,
    /// Family and stem, for example `haproxy/http`.
    name: String,
    log: PathBuf,
}

impl Case {
    fn neighbour(&self, extension: &str) -> PathBuf {
        self.log.with_extension(extension)
    }

    /// Runs a subcommand over the log, in its folder: no path of this machine gets into the output.
    fn run(&self, subcommand: &str) -> Vec<u8> {
        let configuration = self.configuration.iter().flat_map(|path| [Path::new("--config"), path]);
        let run = Command::new(env!("CARGO_BIN_EXE_tailmeter"))
            .args([subcommand, "--format", &self.format])
            .args(configuration)
            .arg(self.log.file_name().unwrap())
            .current_dir(self.log.parent().unwrap())
            .env_remove("TAILMETER_CONFIG")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{subcommand} of {}: {said}", self.name);
        run.stdout
    }

    fn is_rejecting(&self) -> bool {
        REJECTING.iter().any(|(name, _)| *name == self.name)
    }

    fn lines(&self) -> usize {
        let log = fs::read(&self.log).unwrap();
        let newlines = log.iter().filter(|byte| **byte == b'\n').count();
        newlines + usize::from(log.last().is_some_and(|last| *last != b'\n'))
    }
}

/// Every case of every family, in order of their names, and then of the formats. No family is without one.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for folder_name in FAMILIES.iter().map(|family| family.name).chain([FORMATS]) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder_name);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut logs =
            paths.filter(|path| path.extension().is_some_and(|extension| extension == "log")).collect::<Vec<_>>();
        logs.sort();
        assert!(!logs.is_empty(), "no fixtures in {}", folder.display());
        cases.extend(logs.into_iter().map(|log| {
            let stem = log.file_stem().unwrap().to_str().unwrap().to_owned();
            let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("packaging/formats/{stem}.yml"));
            let name = format!("{folder_name}/{stem}");
            match folder_name {
                FORMATS => Case { format: stem, configuration: Some(shipped), name, log },
                family => Case { format: family.to_owned(), configuration: None, name, log },
            }
        }));
    }
    cases
}

/// Compares every case with its expectation, or writes it; `complaints` of all cases come together.
fn compare(subcommand: &str, extension: &str) {
    let is_update = std::env::var_os("UPDATE").is_some_and(|update| update == "1");
    let mut complaints = String::new();
    for case in cases() {
        let found = case.run(subcommand);
        let path = case.neighbour(extension);
        if is_update {
            fs::write(&path, &found).unwrap();
            continue;
        }
        match fs::read(&path) {
            Ok(expected) if expected == found => {}
            Ok(expected) => {
                complaints += &difference(&format!("{}.{extension}", case.name), &expected, &found);
            }
            Err(error) => writeln!(complaints, "{}.{extension}: {error}", case.name).unwrap(),
        }
    }
    assert!(complaints.is_empty(), "{complaints}\nIf the new output is right: UPDATE=1 cargo test --test golden");
}

/// What differs, in the manner of `diff -u`, from the first to the last line that does.
fn difference(name: &str, expected: &[u8], found: &[u8]) -> String {
    let lines = |bytes: &[u8]| -> Vec<String> {
        let text = String::from_utf8_lossy(bytes);
        text.split_inclusive('\n').map(str::to_owned).collect()
    };
    let (expected, found) = (lines(expected), lines(found));
    let same =
        |pairs: &mut dyn Iterator<Item = (&String, &String)>| pairs.take_while(|(one, other)| one == other).count();
    let shorter = expected.len().min(found.len());
    let before = same(&mut expected.iter().zip(&found));
    let after = same(&mut expected.iter().rev().zip(found.iter().rev())).min(shorter - before);
    let (gone, new) = (before..expected.len() - after, before..found.len() - after);
    let start = before.saturating_sub(CONTEXT);
    let mut text = format!("--- {name} (expected)\n+++ {name} (found)\n");
    let place = |changed: &Range<usize>| format!("{},{}", start + 1, changed.end - start);
    writeln!(text, "@@ -{} +{} @@", place(&gone), place(&new)).unwrap();
    let mut show = |mark: char, lines: &[String]| {
        for line in lines.iter().take(SHOWN) {
            writeln!(text, "{mark}{}", line.strip_suffix('\n').unwrap_or(line)).unwrap();
            if !line.ends_with('\n') {
                text += "\\ No newline at end of file\n";
            }
        }
        if lines.len() > SHOWN {
            writeln!(text, "{mark}... {} more", lines.len() - SHOWN).unwrap();
        }
    };
    show(' ', &expected[start..before]);
    show('-', &expected[gone.clone()]);
    show('+', &found[new]);
    show(' ', &expected[gone.end..(gone.end + CONTEXT).min(expected.len())]);
    text
}

#[test]
fn events_are_as_expected() {
    compare("parse", "events.jsonl");
}

#[test]
fn scrapes_are_as_expected() {
    compare("replay", "prom");
}

#[test]
fn every_line_has_a_row_and_only_listed_cases_reject() {
    let mut complaints = String::new();
    for case in cases() {
        let output = String::from_utf8(case.run("parse")).expect("JSON is UTF-8");
        let rows = output
            .lines()
            .map(|row| serde_json::from_str::<Value>(row).expect("every row is JSON"))
            .collect::<Vec<_>>();
        let numbers = rows.iter().flat_map(|row| {
            let first = row["line"].as_u64().unwrap();
            first..first + row["lines"].as_u64().unwrap_or(1)
        });
        assert!(numbers.eq(1..=case.lines() as u64), "{}: a row for each line", case.name);
        let rejected = rows.iter().filter(|row| row["outcome"] == "rejected");
        let rejected = rejected.collect::<Vec<_>>();
        match (case.is_rejecting(), rejected.first()) {
            (false, Some(row)) => writeln!(complaints, "{}: {row}", case.name).unwrap(),
            (true, None) => writeln!(complaints, "{}: nothing is rejected", case.name).unwrap(),
            _ => {}
        }
    }
    assert!(complaints.is_empty(), "{complaints}");
}

#[test]
fn scrapes_count_every_line() {
    for case in cases() {
        let scrape = String::from_utf8(case.run("replay")).expect("an exposition is UTF-8");
        let samples = scrape.lines().filter(|line| line.starts_with("tailmeter_lines_total{"));
        let values = samples.map(|sample| sample.rsplit_once(' ').unwrap().1);
        let sum = values.map(|value| value.parse::<usize>().unwrap());
        assert_eq!(sum.sum::<usize>(), case.lines(), "{}", case.name);
    }
}

#[test]
fn promtool_has_no_complaint() {
    for case in cases() {
        let scrape = case.neighbour("prom");
        let scrape = File::open(&scrape).unwrap_or_else(|error| panic!("{}: {error}", scrape.display()));
        let promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(scrape)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("promtool starts (Debian package prometheus)");
        let run = promtool.wait_with_output().unwrap();
        let said = [run.stdout, run.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(run.status.success() && said.is_empty(), "{}: {said}", case.name);
    }
}

#[test]
fn a_difference_is_shown_like_diff_does() {
    let expected = b"a\nb\nc\nd\ne\nf\n";
    let found = b"a\nb\nc\nD\nDD\ne\nf";
    let shown = difference("case", expected, found);
    let text = "--- case (expected)\n+++ case (found)\n@@ -2,5 +2,6 @@\n b\n c\n-d\n-e\n-f\n+D\n+DD\n+e\n+f\n\\ No newline at end of file\n";
    assert_eq!(shown, text);
    let shown = difference("case", b"a\nb\nc\nd\n", b"a\nc\nd\n");
    let text = "--- case (expected)\n+++ case (found)\n@@ -1,2 +1,1 @@\n a\n-b\n c\n d\n";
    assert_eq!(shown, text);
}
