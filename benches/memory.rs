//! What a row costs in memory: resident bytes of processes that hold 0, 1,000, 10,000 and 100,000 servers' rows.
//!
//! `cargo bench --bench memory`. Each line of the table is a process of its own, so that none has the memory that
//! another gave back. HTTP lines with the default metrics make four series for each server, in three groups:
//! requests; bytes; retries and redispatches.

mod lines;

use std::error::Error;
use std::process::Command;
use std::sync::Arc;
use std::{env, fs, hint};

use tailmeter::config::Config;
use tailmeter::exposition::{Snapshot, View};
use tailmeter::metrics::{Dialect, Family, Planned, Tally, counter};
use tailmeter::series::Directory;

/// The variable that makes this program hold so many servers' rows, and print what that takes.
const HOLD: &str = "TAILMETER_BENCH_HOLD";

/// Lines counted at once, so that the lines themselves take little.
const LINES: usize = 250;

fn main() -> Result<(), Box<dyn Error>> {
    match env::var(HOLD) {
        Ok(servers) => hold(servers.parse()?),
        Err(_) => compare(),
    }
}

/// What a process of its own held.
struct Held {
    rows: u64,
    counting: u64,
    scraped: u64,
}

fn compare() -> Result<(), Box<dyn Error>> {
    println!("| servers | rows | resident kB | bytes per row | after a scrape, kB | bytes per row |");
    println!("|---|---|---|---|---|---|");
    let mut base: Option<Held> = None;
    for servers in [0, 1_000, 10_000, 100_000] {
        let output = Command::new(env::current_exe()?).env(HOLD, servers.to_string()).output()?;
        let text = String::from_utf8(output.stdout)?;
        let numbers = text.split_whitespace().map(str::parse).collect::<Result<Vec<u64>, _>>()?;
        let [rows, counting, scraped] = numbers.as_slice() else { return Err("no figures".into()) };
        let held = Held { rows: *rows, counting: *counting, scraped: *scraped };
        let per_row = |bytes: u64, base: u64| bytes.saturating_sub(base).checked_div(held.rows).unwrap_or_default();
        let (first, second) = match &base {
            Some(base) => (per_row(held.counting, base.counting), per_row(held.scraped, base.scraped)),
            None => (0, 0),
        };
        let kilobytes = [held.counting, held.scraped].map(|bytes| bytes / 1024);
        println!("| {servers} | {rows} | {} | {first} | {} | {second} |", kilobytes[0], kilobytes[1]);
        base.get_or_insert(held);
    }
    Ok(())
}

/// Counts lines of `servers` servers; prints the number of rows, and the resident bytes before and after a scrape.
fn hold(servers: usize) -> Result<(), Box<dyn Error>> {
    let family = Family::named("haproxy").ok_or("no such family")?;
    let plan = family.plan(&Config { max_series: 1_000_000, ..Config::default() }).ok_or("no plan")?;
    let plan = Arc::new(plan);
    let directory = Arc::new(Directory::new(plan.groups.clone()));
    let mut counter =
        counter("haproxy", &[Planned { plan: Arc::clone(&plan), directory: Arc::clone(&directory) }], &Dialect::Usual)
            .ok_or("no counter")?;
    for first in (0..servers).step_by(LINES) {
        counter.count(&lines::of_servers(first..first + LINES), &mut Tally::default());
    }
    let counting = resident_bytes()?;
    let rows: usize = (0..plan.groups.len()).map(|group| directory.len(group)).sum();
    let (mut snapshot, mut view, mut text) = (Snapshot::default(), View::new(plan, directory), Vec::new());
    counter.visit(&mut |_, cells, fell_out| snapshot.add(cells, fell_out));
    view.render(&snapshot, &mut text);
    // The text goes to whoever scrapes; the copy and the order stay for the next scrape.
    drop(text);
    println!("{rows} {counting} {}", resident_bytes()?);
    hint::black_box((&counter, &snapshot, &view));
    Ok(())
}

/// Resident memory of this process.
fn resident_bytes() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}
