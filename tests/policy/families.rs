//! For any lines of any family, any rules and any limits: what all rows of a metric show together is what one row shows, and
//! each row's labels are its own.
//!
//! The lines are those of the fixtures, in any order, many with bytes changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use tailmeter::config::{Config, LabelChoice, LabelPolicy, MetricConfig};
use tailmeter::metrics::{FAMILIES, Family, Kind};
use tailmeter::pipeline::Pipeline;
use tailmeter_parsers::haproxy::{Event, parse};

use crate::lines::Random;
use crate::{count, exposition, feed, rules, strict};

/// The lines of all fixtures of each family.
static FIXTURES: LazyLock<Vec<Vec<Vec<u8>>>> = LazyLock::new(|| {
    let lines = |family: &&Family| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(family.name);
        let mut logs = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
        logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
        logs.sort();
        let lines = logs.iter().flat_map(|path| {
            fs::read(path).unwrap().split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>()
        });
        lines.filter(|line| !line.is_empty()).collect()
    };
    FAMILIES.iter().map(lines).collect()
});

/// A line of the fixtures, with some of its bytes changed, cut, or put there twice.
fn line(random: &mut Random, known: &[Vec<u8>]) -> Vec<u8> {
    let mut line = known[random.below(known.len())].clone();
    for _ in 0..random.pick(&[0, 0, 1, 2, 5]) {
        let at = random.below(line.len() + 1);
        match random.below(4) {
            0 => line.truncate(at.max(40)),
            1 => line.insert(at, random.number() as u8),
            _ => {
                let any = random.number() as u8;
                let byte = random.pick(&[any, any, b'"', b'\\', b'x', 0xff, b',', b'=', b'}', b'7', b'a']);
                line.get_mut(at).into_iter().for_each(|known| *known = byte);
            }
        }
    }
    line.retain(|byte| *byte != b'\n');
    line
}

/// Any labels with any rules, and any limits, for the metrics of `family`.
fn any_config(random: &mut Random, family: &Family) -> Config {
    let mut config = Config { max_series: random.pick(&[1, 2, 5, 20, 10_000]), ..Config::default() };
    for metric in family.metrics.iter().filter(|metric| metric.kind != Kind::Gauge) {
        let known = metric.labels.iter().chain(metric.opt_in).filter(|name| !name.ends_with("_NAME"));
        let mut labels: Vec<LabelChoice> = Vec::new();
        for name in known.filter(|_| random.once_in(2)).collect::<Vec<_>>() {
            let name = name.strip_suffix("_N").map_or_else(|| (*name).to_owned(), |stem| format!("{stem}_1"));
            if labels.iter().any(|known| known.name == name) {
                continue;
            }
            let policy = if random.once_in(3) { LabelPolicy::open() } else { rules::policy(random) };
            labels.push(LabelChoice { name, policy: Some(policy) });
        }
        let max_series = random.once_in(2).then(|| random.pick(&[1, 2, 3, 7, 100]));
        let own = MetricConfig { labels: Some(labels), max_series, ..MetricConfig::default() };
        config.metrics.insert(metric.name.to_owned(), own);
    }
    config
}

/// What each metric counts in all: with a single row.
fn whole(family: &Family) -> Config {
    let none = MetricConfig { labels: Some(Vec::new()), ..MetricConfig::default() };
    let metrics = family.metrics.iter().map(|metric| (metric.name.to_owned(), none.clone()));
    Config { metrics: metrics.collect(), ..Config::default() }
}

/// By metric: the sum, and how many observations are in each bucket. Nothing of a metric that has counted nothing.
fn totals(family: &Family, text: &str) -> BTreeMap<String, (u128, Vec<u64>)> {
    let shown = strict::read(text.as_bytes());
    let is_counted = |name: &str| family.metrics.iter().any(|metric| metric.name == name && metric.kind != Kind::Gauge);
    let of_metric = |metric: strict::Metric| {
        let mut buckets = Vec::new();
        for row in metric.rows.values() {
            buckets.resize(row.buckets.len(), 0);
            let mut before = 0;
            for (total, (_, count)) in buckets.iter_mut().zip(&row.buckets) {
                *total += count - std::mem::replace(&mut before, *count);
            }
        }
        (metric.name.clone(), (metric.thousandths(), buckets))
    };
    let totals = shown.into_values().filter(|metric| is_counted(&metric.name)).map(of_metric);
    totals.filter(|(_, (sum, buckets))| *sum > 0 || buckets.iter().any(|count| *count > 0)).collect()
}

fn counted(config: &Config, format: &'static str, lines: &[Vec<u8>]) -> String {
    let pipeline = Pipeline::new(config, |_| {});
    let mut feed = feed(&pipeline, format);
    let mut block = lines.join(&b'\n');
    block.push(b'\n');
    use tailmeter::source::{Block, End, Sink};
    for part in block.split_inclusive(|byte| *byte == b'\n').collect::<Vec<_>>().chunks(37) {
        feed.block(Block { lines: &part.concat(), bytes: 0, end: End::Nowhere, cut: false });
    }
    exposition(&pipeline)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn the_rows_of_a_metric_add_up_to_all_events(seed: u64) {
        let mut random = Random(seed);
        let number = match random.below(4) {
            0 => FAMILIES.iter().position(|family| family.name == "haproxy").unwrap(),
            1 => FAMILIES.iter().position(|family| family.name == "postfix").unwrap(),
            _ => random.below(FAMILIES.len()),
        };
        let (family, known) = (FAMILIES[number], &FIXTURES[number]);
        let lines = (0..200).map(|_| line(&mut random, known)).collect::<Vec<_>>();
        let config = any_config(&mut random, family);
        let expected = totals(family, &counted(&whole(family), family.name, &lines));
        prop_assert_eq!(totals(family, &counted(&config, family.name, &lines)), expected, "{}", family.name);
    }

    /// Different bytes give different labels, which can be read back; the same ones give one row.
    #[test]
    fn label_values_are_as_many_as_raw_ones(
        values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..6), 1..40)
    ) {
        let usable = |value: &[u8]| !value.iter().any(|byte| b"\n|{}\"> ".contains(byte));
        let values = values.into_iter().filter(|value| usable(value)).collect::<Vec<_>>();
        let lines = values.iter().map(|value| {
            let line = crate::request("192.0.2.7", "@@", "/").into_bytes();
            let at = line.windows(2).position(|pair| pair == b"@@").unwrap();
            [&line[..at], value, &line[at + 2..line.len() - 1]].concat()
        });
        let lines = lines.collect::<Vec<_>>();
        let raw = lines.iter().map(|line| match parse(line) {
            Ok(Event::Http(http)) => http.request_headers().and_then(|mut headers| headers.next()).unwrap_or_default().to_vec(),
            other => panic!("{other:?}"),
        });
        let raw = raw.collect::<BTreeSet<_>>();
        let config = crate::labelled(crate::REQUESTS, "[{request_header_1: {unbounded: true}}]");
        prop_assert_eq!(shown(&counted(&config, "haproxy", &lines), crate::REQUESTS), raw);

        let users = values.iter().filter(|value| !value.contains(&b'>')).map(|user| {
            [&b"Nov 21 18:58:20 mx1 dovecot: imap-login: Login: user=<"[..], user, b">, method=PLAIN, rip=192.0.2.7, \
                lip=192.0.2.1, mpid=1, TLS, session=<ece98c1gkNh/AAAB>"].concat()
        });
        let users = users.collect::<Vec<_>>();
        let config = crate::labelled("dovecot_log_logins_total", "[{user: {unbounded: true}}]");
        let raw = values.iter().cloned().collect::<BTreeSet<_>>();
        prop_assert_eq!(shown(&counted(&config, "dovecot", &users), "dovecot_log_logins_total"), raw);
    }
}

/// The values of a metric's only label, read back.
fn shown(text: &str, metric: &str) -> BTreeSet<Vec<u8>> {
    let metrics = strict::read(text.as_bytes());
    let rows = metrics.get(metric).into_iter().flat_map(|metric| metric.rows.keys());
    rows.map(|labels| labels[0].1.clone()).collect()
}

/// What falls out of any rule is counted in the row `other`, and as overflow.
#[test]
fn what_falls_out_is_in_one_row() {
    let config = crate::labelled(crate::REQUESTS, "[{request_header_1: {allow: [{prefix: w}], deny: [www]}}]");
    let pipeline = Pipeline::new(&config, |_| {});
    let hosts = ["w", "www", "x", "ww", "other"].map(|host| crate::request("192.0.2.7", host, "/"));
    count(&mut feed(&pipeline, "haproxy"), &hosts.concat());
    assert_eq!(crate::values(&pipeline, crate::REQUESTS), crate::expected(&[("w", 1), ("ww", 1), ("other", 3)]));
}
