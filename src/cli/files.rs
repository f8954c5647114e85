//! The files that `replay` and `parse` read once, `-` among them, and their progress on a terminal.

use std::fmt::Write;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{DecimalBytes, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::Failure;
use crate::config::Config;
use crate::metrics::own::source_name;
use crate::source::Sink;
use crate::source::file::{Options, replay};
use crate::source::records::{Records, Rule};
use crate::source::unwrap::Unwrap;

/// Bytes of one read: they and what they update stay in the second-level cache of most processors.
const BLOCK_BYTES: usize = 256 * 1024;

/// A progress bar appears after this time.
const PATIENCE: Duration = Duration::from_secs(1);

/// Files to read one after the other.
pub(super) struct Files<'a> {
    paths: &'a [PathBuf],
    options: Options,
    /// How lines are joined to records.
    rule: Option<Arc<Rule>>,
    progress: Progress,
}

impl<'a> Files<'a> {
    /// Lines are joined by `rule`, if there is one.
    pub(super) fn new(paths: &'a [PathBuf], config: &Config, rule: Option<Arc<Rule>>) -> Self {
        let options =
            Options { block_bytes: BLOCK_BYTES, max_line_bytes: config.max_line_bytes, ..Options::for_replay() };
        Self { paths, options, rule, progress: Progress::new(paths) }
    }

    /// Reads every file to its end, or until `is_over` between two reads. `sink` makes the sink of the file that
    /// has the given name. Returns the bytes read.
    ///
    /// # Errors
    /// The first file that cannot be read. The lines before that have been handed over.
    pub(super) fn read<S: Sink>(
        mut self,
        mut sink: impl FnMut(&str) -> S,
        is_over: &dyn Fn() -> bool,
    ) -> Result<u64, Failure> {
        let mut before = 0;
        for path in self.paths {
            let name = name(path);
            let records = Records::new(sink(&name), self.rule.clone());
            let mut sink = Unwrap::new(records, self.options.max_line_bytes);
            let progress = &mut self.progress;
            let mut read = 0;
            let outcome = open(path).and_then(|inner| {
                let mut reader = Until { inner, is_over };
                replay(&mut reader, &self.options, &mut sink, &mut |bytes| {
                    read = bytes;
                    progress.show(before + bytes);
                })
            });
            // What was held back of a container's line whose end never came.
            sink.left(&[]);
            before += read;
            if let Err(error) = outcome {
                self.progress.end();
                return Err(Failure::Work(format!("cannot read {name}: {error}")));
            }
            if is_over() {
                break;
            }
        }
        self.progress.end();
        Ok(before)
    }
}

/// The name of a file as label value and in messages.
fn name(path: &Path) -> String {
    if is_stdin(path) { "stdin".to_owned() } else { source_name(path.as_os_str().as_bytes()) }
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    if is_stdin(path) {
        // Not the handle of the standard library: its buffer would copy every byte once more.
        return Ok(Box::new(File::from(io::stdin().as_fd().try_clone_to_owned()?)));
    }
    Ok(Box::new(File::open(path)?))
}

/// A reader that ends when it is told to.
struct Until<'a> {
    inner: Box<dyn Read>,
    is_over: &'a dyn Fn() -> bool,
}

impl Read for Until<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.is_over)() {
            return Ok(0);
        }
        self.inner.read(buffer)
    }
}

/// A bar on stderr, when that is a terminal and reading takes its time.
struct Progress {
    started: Instant,
    /// Sum of the sizes; `None` when one is not known before the end.
    total: Option<u64>,
    is_wanted: bool,
    bar: Option<ProgressBar>,
}

impl Progress {
    fn new(paths: &[PathBuf]) -> Self {
        let size = |path: &PathBuf| {
            let metadata = path.metadata().ok()?;
            (metadata.is_file() && !is_stdin(path)).then_some(metadata.len())
        };
        Self {
            started: Instant::now(),
            total: paths.iter().map(size).sum(),
            is_wanted: io::stderr().is_terminal(),
            bar: None,
        }
    }

    fn show(&mut self, bytes: u64) {
        if self.is_wanted && self.started.elapsed() >= PATIENCE {
            self.bar.get_or_insert_with(|| bar(self.total, self.started.elapsed())).set_position(bytes);
        }
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// A bar for something that began `ago`.
fn bar(total: Option<u64>, ago: Duration) -> ProgressBar {
    let template = match total {
        Some(_) => "{wide_bar} {decimal_bytes}/{decimal_total_bytes}, {rate}, {left} left",
        None => "{spinner} {decimal_bytes}, {rate}",
    };
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        // Averages: the library's own estimates do not know of the time before the bar.
        .with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
            let _ = write!(out, "{}/s", DecimalBytes(rate(state) as u64));
        })
        .with_key("left", |state: &ProgressState, out: &mut dyn Write| {
            let bytes = state.len().unwrap_or(0).saturating_sub(state.pos());
            let seconds = bytes as f64 / rate(state).max(1.0);
            let _ = write!(out, "{} s", seconds.ceil());
        });
    ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr()).with_style(style).with_elapsed(ago)
}

/// Bytes a second since the beginning.
fn rate(state: &ProgressState) -> f64 {
    state.pos() as f64 / state.elapsed().as_secs_f64().max(f64::EPSILON)
}
