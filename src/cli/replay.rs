//! `tailmeter replay`: reads logs once, to their end, and prints what a scrape would have shown.

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::files::Files;
use super::push::PushOptions;
use super::{CompatOption, ConfigOption, Failure, LinesOptions, say};
use crate::metrics::own::Ledger;
use crate::pipeline::{Lines, Pipeline};

/// Read logs once and print their metrics
///
/// Reads every FILE to its end and prints the metrics on standard output, in the Prometheus text format: all that
/// come from the log, and those about lines and series of tailmeter itself. The same input always gives the same
/// output. A summary goes to standard error.
///
/// With --push-gateway the metrics go to a Pushgateway in place of standard output. If that fails, the exit code is 1.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    lines: LinesOptions,
    #[command(flatten)]
    config: ConfigOption,
    #[command(flatten)]
    compat: CompatOption,
    #[command(flatten)]
    push: PushOptions,
    /// Files to read, in this order; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  tailmeter replay --format haproxy /var/log/haproxy.log.1 /var/log/haproxy.log
  zcat /var/log/haproxy.log.*.gz | tailmeter replay --format haproxy -
  tailmeter replay --format mail --push-gateway http://pushgateway.example:9091 --push-label host=mx1 /var/log/mail.log.1";

/// What of tailmeter itself is a matter of the input alone.
const OWN: [&str; 7] = [
    "tailmeter_lines_total",
    "tailmeter_rejected_lines_total",
    "tailmeter_ignored_program_lines_total",
    "tailmeter_truncated_lines_total",
    "tailmeter_series",
    "tailmeter_series_limit",
    "tailmeter_label_overflow_total",
];

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let ledger = Ledger::default();
    metrics::with_local_recorder(&ledger, || replay(arguments, &ledger))
}

fn replay(arguments: &Arguments, ledger: &Ledger) -> Result<(), Failure> {
    let config = arguments.compat.load(&arguments.config)?;
    let gateway = arguments.push.gateway()?;
    let (format, dialect) = arguments.lines.dialect(&config)?;
    let pipeline = Pipeline::new(&config, say);
    let unknown = || Failure::Usage(format!("unknown format {format}"));
    let shard = pipeline.shard(format, &dialect).ok_or_else(unknown)?;
    let started = Instant::now();
    let mut lines = Vec::new();
    let feed = |name: &str| {
        let feed = shard.feed(name, name);
        lines.push(feed.lines());
        feed
    };
    let bytes = Files::new(&arguments.files, &config, pipeline.rule(format)).read(feed, &|| false)?;
    let seconds = started.elapsed();

    let mut text = Vec::new();
    pipeline.render(&mut text);
    ledger.render(&OWN, &mut text);
    match gateway {
        Some(gateway) => {
            summarise(&lines, bytes, seconds);
            gateway.push(text)
        }
        None => {
            print(&text)?;
            summarise(&lines, bytes, seconds);
            Ok(())
        }
    }
}

fn print(text: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        // Whoever read it has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::Work(format!("cannot write the metrics: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Says what became of how much.
fn summarise(sources: &[Arc<Lines>], bytes: u64, took: Duration) {
    let mut outcomes = [0; 3];
    let mut truncated = 0;
    for lines in sources {
        for (total, lines) in outcomes.iter_mut().zip(lines.outcomes()) {
            *total += lines;
        }
        truncated += lines.truncated();
    }
    let [parsed, ignored, rejected] = outcomes;
    let lines = parsed + ignored + rejected;
    let megabytes = bytes as f64 / 1e6;
    let seconds = took.as_secs_f64();
    // Nothing at all takes no time; the clock may be coarse.
    let rate = megabytes / seconds.max(1e-9);
    let cut = match truncated {
        0 => String::new(),
        cut => format!(" ({cut} longer than the limit, cut)"),
    };
    say(format_args!(
        "{lines} lines: {parsed} parsed, {ignored} ignored, {rejected} rejected{cut}; \
         {megabytes:.1} MB in {seconds:.2} s, {rate:.0} MB/s"
    ));
}
