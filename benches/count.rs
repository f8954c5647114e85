//! What counting costs: blocks of lines through scanner, lookups and cells, with every default metric.
//!
//! `cargo bench --bench count`. `warm` has seen every label tuple before, as a running exporter has; `first` makes
//! every row anew.

mod lines;

use std::sync::Arc;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use tailmeter::config::Config;
use tailmeter::metrics::{Counter, Dialect, Family, Planned, Tally};
use tailmeter::series::Directory;

/// Lines of a block: about three megabytes.
const LINES: usize = 20_000;

fn main() {
    divan::main();
}

/// A HAProxy counter with a shard and a directory of its own.
fn counter() -> Box<dyn Counter> {
    let family = Family::named("haproxy");
    let config = Config { max_series: 1_000_000, ..Config::default() };
    let counter = family.and_then(|family| {
        let plan = Arc::new(family.plan(&config)?);
        let directory = Arc::new(Directory::new(plan.groups.clone()));
        tailmeter::metrics::counter("haproxy", &[Planned { plan, directory }], &Dialect::Usual)
    });
    counter.unwrap_or_else(|| unreachable!("the family exists"))
}

/// Blocks whose label tuples are known, by the number of servers.
#[divan::bench(args = [40, 1_000, 10_000])]
fn warm(bencher: Bencher, servers: usize) {
    let block = lines::block(LINES, servers);
    let (mut counter, mut tally) = (counter(), Tally::default());
    counter.count(&block, &mut tally);
    let bencher = bencher.counter(BytesCount::new(block.len())).counter(ItemsCount::new(LINES));
    bencher.bench_local(|| counter.count(black_box(&block), &mut tally));
}

/// Blocks in which every server is seen for the first time.
#[divan::bench(args = [1_000, 10_000])]
fn first(bencher: Bencher, servers: usize) {
    let block = lines::block(servers, servers);
    let bencher = bencher.counter(BytesCount::new(block.len())).counter(ItemsCount::new(servers));
    bencher.with_inputs(counter).bench_local_values(|mut counter| {
        let mut tally = Tally::default();
        counter.count(black_box(&block), &mut tally);
        counter
    });
}
