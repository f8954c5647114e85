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

/// Log-formats, and lines of each: every value by turns usual and unusual.
struct Written {
    format: &'static str,
    write: fn(&mut Random) -> String,
}

const WRITTEN: &[Written] = &[
    Written { format: HTTPLOG, write: |random| request(random, [" - -", ""], "") },
    Written {
        format: "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %{+Q}r %[ssl_fc_sni]",
        write: |random| {
            let name = *random.one_of(&[" shop.example.org", " -", " www.example.net"]);
            request(random, ["", ""], name)
        },
    },
    Written {
        format: "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %ID %{+Q}r",
        write: |random| {
            let captures = *random.one_of(&["{a.example|curl} {text/html} 0A00:01BB ", "{|} {} 7F:1 ", "{b|} {x} - "]);
            request(random, ["", captures], "")
        },
    },
    Written {
        format: "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq",
        write: |random| {
            let [queue, connect, total] = [(); 3].map(|()| timer(random));
            let (state, counts) = (*random.one_of(&["--", "cD", "SC", "sQ", "CC"]), counts(random));
            format!("{} {queue}/{connect}/{total} {} {state} {counts}", head(random), random.below(100_000))
        },
    },
];

/// What some line has: of three in a hundred -1, of as many a plus.
fn timer(random: &mut Random) -> String {
    match random.below(100) {
        0..3 => "-1".into(),
        rest => format!("{}", random.below(rest * rest)),
    }
}

fn head(random: &mut Random) -> String {
    let client = random.one_of(&["10.0.0.1", "2001:db8::7", "192.0.2.44"]);
    let (port, month) = (random.below(65_000), random.one_of(&["Jan", "Feb", "Feb", "Feb"]));
    let names = random.one_of(&["in b/s1", "in~ b/s2", "in b/<NOSRV>", "other c/s1", "other other/<NOSRV>"]);
    format!("Feb  6 12:14:14 lb haproxy[77]: {client}:{port} [06/{month}/2026:12:14:14.655] {names}")
}

fn counts(random: &mut Random) -> String {
    let (plus, retries) = (random.one_of(&["", "", "", "+"]), random.below(5) / 2);
    let queues = [(); 2].map(|()| random.below(30).saturating_sub(25) * random.below(40));
    format!("{}/3/2/1/{plus}{retries} {}/{}", random.below(2000), queues[0], queues[1])
}

fn request(random: &mut Random, [cookies, captures]: [&str; 2], behind: &str) -> String {
    let timers = [(); 5].map(|()| timer(random)).join("/");
    let plus = if random.below(50) == 0 { "+" } else { "" };
    let (status, state) =
        (random.one_of(&["200", "404", "503", "-1"]), random.one_of(&["----", "--VN", "sQ--", "CD--", "PR--"]));
    let line = random.one_of(&["GET / HTTP/1.1", "PUT /x?y=1 HTTP/2.0", "VERSION-CONTROL /z HTTP/1.1", "<BADREQ>"]);
    let bytes = random.below(100_000);
    format!(
        "{} {timers} {status} {plus}{bytes}{cookies} {state} {} {captures}\"{line}\"{behind}",
        head(random),
        counts(random)
    )
}

/// Random numbers from a seed alone.
struct Random(u64);

impl Random {
    /// From 0 to one less than `limit`; 0 when that is 0.
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }

    fn one_of<'t, T>(&mut self, values: &'t [T]) -> &'t T {
        &values[self.below(values.len())]
    }
}

/// Holds batches of `lines` against the same lines one by one.
fn compare(config: &Config, format: &str, lines: &[Vec<u8>], about: &str) {
    let found = count(config, format, lines, b"\n");
    let expected = count(config, format, lines, b"\r\n");
    assert!(found.2[0] > 1000, "{about}: {:?}", found.2);
    assert_eq!(found.1, expected.1, "{about}");
    assert_eq!(found.2, expected.2, "{about}");
    let differs = found.0.lines().zip(expected.0.lines()).find(|(found, expected)| found != expected);
    assert_eq!(differs, None, "{about}");
    assert_eq!(found.0.len(), expected.0.len(), "{about}");
}

/// Every label that a metric may have besides its own, one at a time and all together.
fn configs() -> Vec<(String, Config)> {
    let haproxy = Family::named("haproxy").unwrap();
    // Of captures the first; what they are called, only a haproxy.cfg says.
    let named = |label: &str| label.strip_suffix("_N").map_or(label.to_owned(), |prefix| format!("{prefix}_1"));
    let mut labels = haproxy.metrics.iter().flat_map(|metric| metric.opt_in.iter().copied()).collect::<Vec<_>>();
    labels.retain(|label| !label.ends_with("_NAME"));
    labels.sort_unstable();
    labels.dedup();
    let config = |chosen: &[&str]| {
        let mut text = String::from("labels:\n");
        const PRIVATE: [&str; 6] =
            ["client_ip", "client_port", "http_request_path", "ssl_fc_sni", "request_header_1", "response_header_1"];
        PRIVATE.iter().for_each(|label| text += &format!("  {label}: {{unbounded: true}}\n"));
        text += "metrics:\n";
        for metric in haproxy.metrics {
            let more = chosen.iter().filter(|label| metric.opt_in.contains(label) && !metric.labels.contains(label));
            let own = metric.labels.iter().map(|label| (*label).to_owned());
            let list = own.chain(more.map(|label| named(label))).collect::<Vec<_>>().join(", ");
            text += &format!("  {}: {{labels: [{list}]}}\n", metric.name);
        }
        Config::parse(&text, "tailmeter.yml", &[haproxy]).map_err(|errors| format!("{errors:?}")).unwrap()
    };
    let mut configs = vec![("no more".to_owned(), Config::default()), ("all".to_owned(), config(&labels))];
    configs.extend(labels.iter().map(|label| ((*label).to_owned(), config(&[label]))));
    configs
}

#[test]
fn every_end_and_label_counts_the_same() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x9e37_79b9_7f4a_7c15);
    println!("SEED={seed}");
    let mut random = Random(seed);
    for Written { format, write } in WRITTEN {
        let lines = (0..2000).map(|_| write(&mut random).into_bytes()).collect::<Vec<_>>();
        for (labels, config) in configs() {
            compare(&config, format, &lines, &format!("SEED={seed}, {format}, with {labels}"));
        }
    }
}

#[test]
fn batches_count_what_lines_count() {
    let lines = lines();
    for max_series in [10_000, 40, 7] {
        let config = Config { max_series, ..Config::default() };
        compare(&config, HTTPLOG, &lines, &format!("max_series {max_series}"));
    }
}
