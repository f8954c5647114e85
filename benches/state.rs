//! What the state costs: time to commit, bytes on disk, memory.
//!
//! `cargo bench --bench state`. For 1,000, 10,000 and 100,000 rows, three a server: the first commit, one behind a line for
//! every server, which changes two of its rows, one behind a line for a server in a hundred, and one behind a single
//! line, which is what taking and comparing a checkpoint costs; then how long it takes to open it all again. Each line of the table is a process of its own. The files are where `TMPDIR` says.

mod lines;

use std::error::Error;
use std::process::Command;
use std::time::Instant;
use std::{env, fs};

use tailmeter::config::Config;
use tailmeter::metrics::Dialect;
use tailmeter::metrics::own::Ledger;
use tailmeter::pipeline::{Feed, Pipeline};
use tailmeter::source::{Block, End, Sink};

/// The variable that makes this program measure with so many servers.
const HOLD: &str = "TAILMETER_BENCH_HOLD";

fn main() -> Result<(), Box<dyn Error>> {
    if let Ok(servers) = env::var(HOLD) {
        let ledger = Ledger::default();
        return metrics::with_local_recorder(&ledger, || measure(servers.parse()?));
    }
    println!(
        "| rows | first commit, ms | a line for each server, ms | for 1 % of them, ms | for one, ms | open, ms | file, MB | resident, bytes a row |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for servers in [333, 3_333, 33_333] {
        let output = Command::new(env::current_exe()?).env(HOLD, servers.to_string()).output()?;
        print!("{}{}", String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    }
    Ok(())
}

/// Counts a line of each of these servers.
fn count(feed: &mut Feed, servers: usize) {
    for first in (0..servers).step_by(250) {
        let lines = lines::of_servers(first..servers.min(first + 250));
        feed.block(Block { lines: &lines, bytes: lines.len() as u64, end: End::Nowhere, cut: false });
    }
}

fn measure(servers: usize) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join(tailmeter::state::FILE);
    let config = Config { max_series: 1_000_000, ..Config::default() };
    let before = resident_bytes()?;
    let pipeline = Pipeline::with_state(&config, &path, |_| {})?;
    let mut feed = pipeline.shard("haproxy", &Dialect::Usual).ok_or("no such family")?.feed("bench", "bench");
    let mut took = Vec::new();
    for servers in [servers, servers, servers / 100, 1] {
        // Twice, since the first time makes room.
        for _ in 0..if took.is_empty() { 1 } else { 2 } {
            count(&mut feed, servers);
            let started = Instant::now();
            pipeline.checkpoint()?;
            let milliseconds = started.elapsed().as_secs_f64() * 1e3;
            took.push(milliseconds);
        }
    }
    let resident = resident_bytes()? - before;
    drop(feed);
    drop(pipeline);
    let bytes = fs::metadata(&path)?.len();
    let started = Instant::now();
    drop(Pipeline::with_state(&config, &path, |_| {})?);
    let open = started.elapsed().as_secs_f64() * 1e3;
    let rows = 3 * servers as u64;
    let [first, _, all, _, some, _, one] = took.as_slice() else { return Err("no figures".into()) };
    println!(
        "| {rows} | {first:.1} | {all:.1} | {some:.1} | {one:.1} | {open:.1} | {:.1} | {} |",
        bytes as f64 / 1e6,
        resident / rows.max(1)
    );
    Ok(())
}

/// Resident memory of this process.
fn resident_bytes() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}
