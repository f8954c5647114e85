//! `tailmeter parse`: every line as one JSON object, to see what tailmeter reads in a log.
//!
//! ```text
//! {"line":1,"outcome":"parsed","family":"haproxy","kind":"http","envelope":{…},"fields":{…}}
//! {"line":2,"outcome":"ignored","family":"haproxy","kind":"proxy"}
//! {"line":3,"outcome":"rejected","reason":"number","field":"time_queue_ms","offset":57}
//! ```
//!
//! With several files `source` comes first; `lines` is there where several make one record; `repeated` appears where syslog says that a message was repeated, and
//! `truncated_to` (bytes) where only the beginning of an over-long line was read. What a line does not have, or what
//! does not apply to it, is null. Bytes that are not UTF-8 become `\xNN`, as in the names of sources, so that no two
//! values look the same.

mod custom;
mod haproxy;
mod mail;

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clap::ValueEnum;
use serde::{Serialize, Serializer};
use tailmeter_parsers::{Envelope, Reject};

use super::files::Files;
use super::{ConfigOption, Failure, LinesOptions};
use crate::config::Config;
use crate::metrics::Dialect;
use crate::metrics::own::source_name;
use crate::source::{Block, Sink};

/// Show what is read in each line, as JSON
///
/// Prints one JSON object for every line of every FILE: what the line was parsed to, or that it is known and ignored,
/// or why, in which field and at which byte it was rejected. Field names are those of the program's own
/// documentation. What a line does not have is null; bytes that are not UTF-8 are shown as \xNN.
///
/// The output shows everything that the log says, addresses and names included.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    lines: LinesOptions,
    /// Print only the lines with this outcome
    #[arg(long, value_name = "OUTCOME", env = "TAILMETER_ONLY")]
    only: Option<Outcome>,
    #[command(flatten)]
    config: ConfigOption,
    /// Files to read, in this order; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  tailmeter parse --format haproxy /var/log/haproxy.log | jq .fields.status_code
  tailmeter parse --format haproxy --only rejected /var/log/haproxy.log
  journalctl -u haproxy -o cat | tailmeter parse --format haproxy -";

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    /// An event that metrics count
    Parsed,
    /// Known, nothing to count
    Ignored,
    /// Not of the format, or broken
    Rejected,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.config.load()?;
    let (format, dialect) = arguments.lines.dialect(&config)?;
    let described = config.format(format);
    // A pattern may be too large with all its groups.
    described.map(custom::Custom::new).transpose()?;
    let rule = described.and_then(|format| format.records.clone());
    let output = Output::new().map_err(|error| cannot_write(&error))?;
    let output = Arc::new(Mutex::new(output));
    let shows_source = arguments.files.len() > 1;
    let printer = |name: &str| Printer {
        output: Arc::clone(&output),
        source: shows_source.then(|| name.to_owned()),
        only: arguments.only,
        reader: reader(format, &dialect, &config),
        line: 0,
    };
    let is_over = || lock(&output).failed.is_some();
    let outcome = Files::new(&arguments.files, &config, rule).read(printer, &is_over);
    match lock(&output).failed.take() {
        // Whoever read it has seen enough.
        Some(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Some(error) => Err(cannot_write(&error)),
        None => outcome.map(|_| ()),
    }
}

fn cannot_write(error: &io::Error) -> Failure {
    Failure::Work(format!("cannot write the lines: {error}"))
}

fn lock(output: &Mutex<Output>) -> MutexGuard<'_, Output> {
    output.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Standard output. After the first failure nothing more is written.
struct Output {
    stdout: BufWriter<File>,
    failed: Option<io::Error>,
}

impl Output {
    fn new() -> io::Result<Self> {
        // Not the handle of the standard library, which looks for newlines in all that passes.
        let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Self { stdout: BufWriter::with_capacity(64 * 1024, stdout), failed: None })
    }

    fn write(&mut self, row: &Row<'_>) {
        if self.failed.is_none() {
            let written = serde_json::to_writer(&mut self.stdout, row).map_err(io::Error::from);
            self.failed = written.and_then(|()| self.stdout.write_all(b"\n")).err();
        }
    }

    fn flush(&mut self) {
        if self.failed.is_none() {
            self.failed = self.stdout.flush().err();
        }
    }
}

/// Prints the lines of one file.
struct Printer {
    output: Arc<Mutex<Output>>,
    source: Option<String>,
    only: Option<Outcome>,
    reader: Box<dyn Reader>,
    /// Number of the last line.
    line: u64,
}

impl Sink for Printer {
    fn block(&mut self, block: Block<'_>) {
        let mut output = lock(&self.output);
        let mut rest = block.lines;
        while !rest.is_empty() {
            let length = self.reader.length(rest).clamp(1, rest.len());
            let (line, behind) = rest.split_at(length);
            rest = behind;
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let more = memchr::memchr_iter(b'\n', line).count() as u64;
            let row = Row {
                source: self.source.as_deref(),
                line: self.line + 1,
                lines: (more > 0).then_some(more + 1),
                truncated_to: block.cut.then_some(line.len()),
                ..self.reader.read(line)
            };
            self.line += 1 + more;
            if self.only.is_none_or(|only| only == row.outcome) {
                output.write(&row);
            }
        }
        // What has been read is seen at once: the input may be a pipe that goes on for days.
        output.flush();
    }
}

/// Reads lines of one family.
trait Reader: Send {
    /// Reads one line, without its newline.
    fn read<'a>(&'a mut self, line: &'a [u8]) -> Row<'a>;

    /// The length of what is read next of `lines`, with its last newline: a line, unless several make one record.
    fn length(&self, lines: &[u8]) -> usize {
        memchr::memchr(b'\n', lines).map_or(lines.len(), |newline| newline + 1)
    }
}

/// What reads lines of `format` in `dialect`.
fn reader(format: &str, dialect: &Dialect, config: &Config) -> Box<dyn Reader> {
    if let Some(Ok(custom)) = config.format(format).map(custom::Custom::new) {
        return Box::new(custom);
    }
    match format {
        "haproxy" => Box::new(haproxy::Haproxy::new(dialect)),
        _ => Box::new(mail::Mail::new(format)),
    }
}

/// One line of the output. What is `None` is left out.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    line: u64,
    /// How many lines the record has.
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<u64>,
    outcome: Outcome,
    #[serde(flatten)]
    reject: Option<Rejected>,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    /// Of a line that is ignored because no family knows its program.
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeated: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated_to: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    envelope: Option<Shown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Fields<'a>>,
}

#[derive(Serialize)]
struct Rejected {
    reason: &'static str,
    field: &'static str,
    offset: usize,
}

/// The fields of an event, one variant per family.
#[derive(Serialize)]
#[serde(untagged)]
enum Fields<'a> {
    Haproxy(haproxy::Fields<'a>),
    Mail(mail::Fields),
    Custom(custom::Fields<'a>),
}

/// An envelope. `priority` is there only when the line has one; `severity` derives from it.
#[derive(Serialize)]
struct Shown<'a> {
    timestamp: Option<Text<'a>>,
    hostname: Option<Text<'a>>,
    program: Option<Text<'a>>,
    pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u8>,
    severity: Option<&'static str>,
}

impl<'a> Row<'a> {
    fn new(outcome: Outcome) -> Self {
        Self {
            source: None,
            line: 0,
            lines: None,
            outcome,
            reject: None,
            family: None,
            kind: None,
            program: None,
            repeated: None,
            truncated_to: None,
            envelope: None,
            fields: None,
        }
    }

    fn parsed(family: &'static str, kind: &'static str, envelope: &Envelope<'a>, fields: Fields<'a>) -> Self {
        Self {
            family: Some(family),
            kind: Some(kind),
            repeated: repeated(envelope),
            envelope: Some(Shown {
                timestamp: Text::of(envelope.timestamp),
                hostname: Text::of(envelope.hostname),
                program: Text::of(envelope.program),
                pid: envelope.pid,
                priority: envelope.priority,
                severity: envelope.severity(),
            }),
            fields: Some(fields),
            ..Self::new(Outcome::Parsed)
        }
    }

    fn ignored(family: &'static str, kind: &'a str, envelope: &Envelope<'a>) -> Self {
        Self { family: Some(family), kind: Some(kind), repeated: repeated(envelope), ..Self::new(Outcome::Ignored) }
    }

    fn rejected(reject: Reject) -> Self {
        Self {
            reject: Some(Rejected { reason: reject.reason.as_str(), field: reject.field, offset: reject.offset }),
            ..Self::new(Outcome::Rejected)
        }
    }
}

fn repeated(envelope: &Envelope<'_>) -> Option<u32> {
    (envelope.repeated > 1).then_some(envelope.repeated)
}

/// Bytes of a line as a JSON string.
#[derive(Clone, Copy)]
struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// `None`, which is null, for what is empty or `-`.
    fn of(bytes: &'a [u8]) -> Option<Self> {
        (!bytes.is_empty() && bytes != b"-").then_some(Self(bytes))
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(self.0) {
            Ok(text) if !text.contains(r"\x") => serializer.serialize_str(text),
            _ => serializer.serialize_str(&source_name(self.0)),
        }
    }
}
