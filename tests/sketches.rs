//! Lines of a log-format counted in batches, by their sketches, against the same lines one by one: a carriage return
//! behind a line says nothing, but takes its sketch away.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tailmeter::config::Config;
use tailmeter::exposition::{Snapshot, View};
use tailmeter::metrics::{Dialect, Family, Planned, Tally, counter};
use tailmeter::series::Directory;
use tailmeter_parsers::haproxy::Layouts;

const HTTPLOG: &str =
    "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r";

/// Every recorded line, in an order that mixes their kinds, several times.
fn lines() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/haproxy");
    let mut logs = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.sort();
    let texts = logs.iter().map(|path| fs::read(path).unwrap()).collect::<Vec<_>>();
    let lines = texts.iter().flat_map(|text| text.split(|byte| *byte == b'\n'));
    let lines = lines.filter(|line| !line.is_empty() && line.last() != Some(&b'\r')).map(<[u8]>::to_vec);
    let mut lines = lines.collect::<Vec<_>>();
    for from in 0..4 * lines.len() {
        let line = lines[(from * 7919) % lines.len()].clone();
        lines.push(line);
    }
    lines
}

/// The exposition of `lines`, each with `end` behind it, what fell out, and how many lines were parsed, ignored, rejected.
fn count(config: &Config, format: &str, lines: &[Vec<u8>], end: &[u8]) -> (String, Vec<u64>, [u64; 3]) {
    let family = Family::named("haproxy").unwrap();
    let plan = Arc::new(family.plan(config).unwrap());
    let directory = Arc::new(Directory::new(plan.groups.clone()));
    let layouts = Arc::new(Layouts::of_log_format(format).unwrap());
    let dialect = Dialect::Haproxy(layouts);
    let mut counter =
        counter("haproxy", &[Planned { plan: Arc::clone(&plan), directory: Arc::clone(&directory) }], &dialect)
            .unwrap();
    let (mut tally, mut block) = (Tally::default(), Vec::new());
    for line in lines {
        block.extend_from_slice(line);
        block.extend_from_slice(end);
    }
    counter.count(&block, &mut tally);
    let (mut snapshot, mut text) = (Snapshot::default(), Vec::new());
    counter.visit(&mut |_, cells, fell_out| snapshot.add(cells, fell_out));
    View::new(plan, directory).render(&snapshot, &mut text);
    let outcomes = [tally.parsed, tally.ignored, tally.rejected_lines()];
    (String::from_utf8(text).unwrap(), snapshot.fell_out, outcomes)
}

#[test]
fn batches_count_what_lines_count() {
    let lines = lines();
    for max_series in [10_000, 40, 7] {
        let config = Config { max_series, ..Config::default() };
        let found = count(&config, HTTPLOG, &lines, b"\n");
        let expected = count(&config, HTTPLOG, &lines, b"\r\n");
        assert!(found.2[0] > 1000, "{:?}", found.2);
        assert_eq!(found.1, expected.1, "max_series {max_series}");
        assert_eq!(found.2, expected.2, "max_series {max_series}");
        let differs = found.0.lines().zip(expected.0.lines()).find(|(found, expected)| found != expected);
        assert_eq!(differs, None, "max_series {max_series}");
        assert_eq!(found.0.len(), expected.0.len(), "max_series {max_series}");
    }
}
