//! What reading a line costs: every scanner that runs here, over the recorded HTTP lines again and again.
//!
//! `cargo bench --bench parse`. The fastest scanner comes last; the column of throughputs is the one to read.

use std::sync::Arc;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use tailmeter_parsers::envelope;
use tailmeter_parsers::haproxy::format::{Layout, Spans};
use tailmeter_parsers::haproxy::{Layouts, Scanner, Sketcher, parse};

const RECORDED: &[u8] = include_bytes!("../fixtures/haproxy/http.log");

/// Bytes of a block, at least: more than the nearest cache, less than the second.
const BLOCK: usize = 256 * 1024;

fn main() {
    divan::main();
}

fn block() -> Vec<u8> {
    RECORDED.repeat(BLOCK.div_ceil(RECORDED.len()))
}

/// One line after the other, by the function that defines what is correct.
#[divan::bench]
fn plain(bencher: Bencher) {
    let block = block();
    bencher.counter(BytesCount::new(block.len())).bench(|| {
        let lines = black_box(block.as_slice()).split(|byte| *byte == b'\n');
        lines.filter(|line| parse(line).is_ok()).count()
    });
}

/// `option httplog` written out.
const HTTPLOG: &str = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc \
                       %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r";

/// Whole blocks by a compiled log-format, as far as it takes to count them; what has no sketch is not read.
#[divan::bench]
fn sketcher(bencher: Bencher) {
    let Ok(layouts) = Layouts::of_log_format(HTTPLOG) else { return };
    let mut sketcher = Sketcher::new(Arc::new(layouts));
    let block = block();
    bencher.counter(BytesCount::new(block.len())).bench_local(|| {
        let mut sketches = 0;
        sketcher.scan(black_box(&block), &mut |batch| sketches += batch.slots().len());
        sketches
    });
}

/// The same lines by a compiled log-format, one after the other.
#[divan::bench]
fn layout(bencher: Bencher) {
    let Ok(layout) = Layout::of(HTTPLOG) else { return };
    let block = block();
    let mut spans = Spans::default();
    bencher.counter(BytesCount::new(block.len())).bench_local(|| {
        let lines = black_box(block.as_slice()).split(|byte| *byte == b'\n');
        lines.filter(|line| layout.read(line, &envelope::detect(line), &mut spans).is_ok()).count()
    });
}

/// Whole blocks, by scanner number n of [`Scanner::all`]; those that the processor does not have are not run.
#[divan::bench(args = 0..Scanner::all().len())]
fn scanner(bencher: Bencher, number: usize) {
    let block = block();
    let mut scanner = Scanner::all().swap_remove(number);
    bencher.counter(BytesCount::new(block.len())).bench_local(|| {
        let mut requests = 0;
        scanner.scan(black_box(&block), &mut |batch| requests += batch.requests().len());
        requests
    });
}
