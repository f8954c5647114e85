//! Dovecot's lines: every recorded one is known, none makes the reader panic, and what remote text imitates counts for nothing.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use tailmeter_parsers::dovecot::{self, Action, Event, parse};
use tailmeter_parsers::{Event as _, Field, Reason};

/// Every line of the fixtures, with the name of its case.
fn fixtures() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/dovecot");
    let mut cases = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    cases.sort();
    let lines = |path: &std::path::PathBuf| {
        let case = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read(path).unwrap();
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| (case.clone(), line.to_vec())).collect::<Vec<_>>()
    };
    let lines = cases.iter().flat_map(lines).collect::<Vec<_>>();
    assert!(lines.len() > 500, "{} lines", lines.len());
    lines
}

/// A line of syslog with this message.
fn syslog(message: &str) -> Vec<u8> {
    format!("Nov 21 18:36:44 mx1 dovecot: {message}").into_bytes()
}

/// An event in one line: its kind, and the fields that are there.
fn show(line: &[u8]) -> String {
    let event = match parse(line) {
        Ok(event) => event,
        Err(reject) => return format!("rejected: {reject}"),
    };
    let mut shown = event.kind().to_owned();
    event.visit(&mut |name, field| {
        let value = match field {
            Field::Missing => return,
            Field::Text(text) => String::from_utf8_lossy(text).into_owned(),
            Field::Number(number) => number.to_string(),
            Field::Truth(truth) => truth.to_string(),
            other => panic!("{name}: {other:?}"),
        };
        write!(shown, " {name}={value}").unwrap();
    });
    shown
}

#[test]
fn every_recorded_line_is_known() {
    for (case, line) in fixtures().into_iter().filter(|(case, _)| case != "hostile") {
        if let Err(reject) = parse(&line) {
            panic!("{case}: {reject}: {}", String::from_utf8_lossy(&line));
        }
    }
}

#[test]
fn no_line_panics_cut_or_changed() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for (_, line) in fixtures() {
        for end in 0..line.len() {
            let _ = parse(&line[..end]).map(|event| event.visit(&mut |_, _| {}));
            let mut changed = line.clone();
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            changed[end] = (state >> 56) as u8;
            let _ = parse(&changed).map(|event| event.visit(&mut |_, _| {}));
            changed.remove(end);
            let _ = parse(&changed).map(|event| event.visit(&mut |_, _| {}));
        }
    }
}

#[test]
fn no_password_is_in_an_event() {
    let mut seen = 0;
    for (case, line) in fixtures() {
        let text = String::from_utf8_lossy(&line);
        if text.contains("given password: ") {
            seen += 1;
            assert!(!show(&line).contains("wrong"), "{case}: {}", show(&line));
        }
    }
    assert!(seen > 10, "{seen} lines with passwords");
}
