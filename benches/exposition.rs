//! What a scrape costs: copying the cells, during which the source waits, and writing them, during which it does not.
//!
//! `cargo bench --bench exposition`. About 100,000 samples each: `counters` has many rows of few cells, `histograms`
//! few rows of many.

mod lines;

use std::fmt;
use std::sync::Arc;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use tailmeter::config::{Config, LabelChoice, MetricConfig};
use tailmeter::exposition::{Exposition, Protocol, Rendering, Selection, Snapshot, Snapshots, View};
use tailmeter::metrics::{Counter, Dialect, Family, Kind, Planned, Tally, counter};
use tailmeter::series::Directory;

fn main() {
    for mix in [Mix::Counters, Mix::Histograms] {
        if let Some(text) = Scraped::new(mix).map(|mut scraped| scraped.text()) {
            println!("{mix}: {} samples in {} bytes", samples(&text), text.len());
        }
    }
    divan::main();
}

/// Samples in `text`.
fn samples(text: &[u8]) -> usize {
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && line[0] != b'#').count()
}

/// What most of the samples are.
#[derive(Clone, Copy, Debug)]
enum Mix {
    /// Default labels: four counters for each server.
    Counters,
    /// Every timer by server: ninety samples more.
    Histograms,
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A counter that has counted, and a view of it.
struct Scraped {
    counter: Box<dyn Counter>,
    view: View,
}

impl Scraped {
    fn new(mix: Mix) -> Option<Self> {
        let family = Family::named("haproxy")?;
        let mut config = Config { max_series: 1_000_000, ..Config::default() };
        let servers = match mix {
            Mix::Counters => 24_500,
            Mix::Histograms => 1_040,
        };
        let timers = family
            .metrics
            .iter()
            .filter(|metric| matches!(metric.kind, Kind::Histogram(_)) && metric.labels.len() == 2);
        for metric in timers.filter(|_| matches!(mix, Mix::Histograms)) {
            let names = ["frontend_name", "backend_name", "server_name"];
            let labels = names.map(|name| LabelChoice { name: name.to_owned(), policy: None }).into();
            config
                .metrics
                .insert(metric.name.to_owned(), MetricConfig { labels: Some(labels), ..MetricConfig::default() });
        }
        let plan = Arc::new(family.plan(&config)?);
        let directory = Arc::new(Directory::new(plan.groups.clone()));
        let mut counter = counter(
            "haproxy",
            &[Planned { plan: Arc::clone(&plan), directory: Arc::clone(&directory) }],
            &Dialect::Usual,
        )?;
        counter.count(&lines::block(2 * servers, servers), &mut Tally::default());
        Some(Self { counter, view: View::new(plan, directory) })
    }

    fn text(&mut self) -> Vec<u8> {
        let (mut snapshot, mut text) = (Snapshot::default(), Vec::new());
        self.snapshot(&mut snapshot);
        self.view.render(&snapshot, &mut text);
        text
    }

    /// What can be written of a copy.
    fn exposition(&mut self) -> Arc<Exposition> {
        let (mut snapshot, mut exposition) = (Snapshot::default(), Exposition::default());
        self.snapshot(&mut snapshot);
        let snapshots: Snapshots = Arc::new(snapshot);
        self.view.expose(&snapshots, 0, &mut exposition);
        Arc::new(exposition)
    }

    fn snapshot(&self, snapshot: &mut Snapshot) {
        snapshot.clear();
        self.counter.visit(&mut |_, cells, fell_out| snapshot.add(cells, fell_out));
    }
}

/// The copy, made under the lock that counting needs: into memory that earlier scrapes have used.
#[divan::bench(args = [Mix::Counters, Mix::Histograms])]
fn copy(bencher: Bencher, mix: Mix) {
    let Some(scraped) = Scraped::new(mix) else { return };
    let mut snapshot = Snapshot::default();
    bencher.bench_local(|| scraped.snapshot(black_box(&mut snapshot)));
}

/// What is sent of a copy, in pieces as they are sent. Items are samples of the text.
#[divan::bench(args = [
    (Mix::Counters, Protocol::Text004), (Mix::Counters, Protocol::OpenMetrics100), (Mix::Counters, Protocol::Protobuf),
    (Mix::Histograms, Protocol::Text004), (Mix::Histograms, Protocol::OpenMetrics100), (Mix::Histograms, Protocol::Protobuf),
])]
fn write(bencher: Bencher, (mix, protocol): (Mix, Protocol)) {
    let Some(mut scraped) = Scraped::new(mix) else { return };
    let samples = samples(&scraped.text());
    let exposition = scraped.exposition();
    let mut bytes = Vec::new();
    Rendering::new(Arc::clone(&exposition), protocol, Selection::default()).write_all(&mut bytes);
    bencher.counter(BytesCount::new(bytes.len())).counter(ItemsCount::new(samples)).bench_local(|| {
        let mut rendering = Rendering::new(Arc::clone(black_box(&exposition)), protocol, Selection::default());
        let mut is_more = true;
        while is_more {
            bytes.clear();
            is_more = rendering.write(64 * 1024, &mut bytes);
        }
    });
}

/// The first text after all rows are new: their labels are sorted.
#[divan::bench(args = [Mix::Counters, Mix::Histograms])]
fn write_first(bencher: Bencher, mix: Mix) {
    let prepared = || {
        let scraped = Scraped::new(mix).unwrap_or_else(|| unreachable!("the family exists"));
        let mut snapshot = Snapshot::default();
        scraped.snapshot(&mut snapshot);
        (scraped, snapshot, Vec::with_capacity(16 << 20))
    };
    bencher.with_inputs(prepared).bench_local_values(|(mut scraped, snapshot, mut text)| {
        scraped.view.render(&snapshot, &mut text);
        (scraped, snapshot, text)
    });
}
