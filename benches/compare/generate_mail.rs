//! Writes a log that looks like a busy Postfix, for the side-by-side runs: many messages at once, with what becomes of each
//! decided before (`benches/mail`). The same seed writes the same bytes on every machine.

#[path = "../mail/mod.rs"]
mod mail;

use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::process::ExitCode;

use mail::{Mail, Wanted};

const USAGE: &str =
    "usage: generate_mail MESSAGES SEED OUT TRUTH: a log of so many messages, and what it holds, as JSON";

/// Bytes gathered before they are written.
const BUFFER: usize = 1 << 20;

fn main() -> ExitCode {
    let arguments = env::args().skip(1).collect::<Vec<_>>();
    let [messages, seed, out, truth] = arguments.as_slice() else { return wrong("") };
    let (Ok(messages), Ok(seed)) = (messages.parse(), seed.parse()) else { return wrong("") };
    match write(Wanted { messages, seed, pause_us: 20_000, is_classic: true }, out, truth) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => wrong(&error.to_string()),
    }
}

#[allow(clippy::print_stderr, reason = "it is a command")]
fn wrong(why: &str) -> ExitCode {
    eprintln!("{USAGE}\n{why}");
    ExitCode::FAILURE
}

fn write(wanted: Wanted, out: &str, path: &str) -> io::Result<()> {
    let (mut mail, mut file) = (Mail::new(wanted), File::create(out)?);
    let (mut block, mut lines, mut bytes) = (Vec::new(), 0_u64, 0);
    while mail.line(&mut block).is_some() {
        lines += 1;
        if block.len() > BUFFER {
            bytes += block.len();
            file.write_all(&block)?;
            block.clear();
        }
    }
    bytes += block.len();
    file.write_all(&block)?;
    let truth = mail.truth();
    let counters =
        ["deliveries_total", "rejects_total", "queue_insertions_total", "queue_removals_total", "connections_total"];
    let counters = counters.map(|name| format!("\"{name}\": {}", truth.total(name))).join(", ");
    // The truth is written last: a log without one was interrupted.
    std::fs::write(path, format!("{{\"lines\": {lines}, \"bytes\": {bytes}, {counters}}}\n"))
}
