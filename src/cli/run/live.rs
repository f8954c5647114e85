//! The sources of a running program: what feeds each of them, and how it is started and stopped.

use std::future::Future;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::super::{Failure, say, understand};
use super::sources::read_by_others;
use super::stopping;
use crate::config::{Input, JournalInput, Source, SyslogInput};
use crate::metrics::Dialect;
use crate::metrics::own::source_name;
use crate::pipeline::{Followed, Outlet, Pipeline, Relay};
use crate::source::Position;
use crate::source::file::{File, Handle, Pattern, Start};
use crate::source::journal::{self, Journal};
use crate::source::pipe::{self, Pipe};
use crate::source::syslog::{self, Syslog};
use crate::source::unwrap::Unwrap;

/// Where sources run.
pub(super) struct Stage {
    /// Follows all files.
    pub(super) files: Handle,
    /// Runs everything else.
    pub(super) readers: runtime::Handle,
    /// Where to begin without a position.
    pub(super) start: Start,
    pub(super) max_line_bytes: usize,
}

/// What is read, how its lines are written, and what of it others read.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) source: Source,
    pub(super) dialect: Dialect,
    /// Patterns.
    pub(super) without: Vec<String>,
}

impl Part {
    /// Each of `sources` without what others of them read.
    ///
    /// # Errors
    /// It cannot be known how the lines of one are written.
    pub(super) fn all(sources: &[Source]) -> Result<Vec<Self>, Failure> {
        let mut parts: Vec<Self> = Vec::new();
        for (index, source) in sources.iter().enumerate() {
            // Once for all that are written so: what is to be said of it is said once.
            let dialect = match parts.iter().find(|part| part.source.written == source.written) {
                Some(part) => part.dialect.clone(),
                None => understand(&source.written)?,
            };
            parts.push(Self { source: source.clone(), dialect, without: read_by_others(sources, index) });
        }
        Ok(parts)
    }

    /// True when `other` can go on for it: they read the same in the same way, and differ in how it is written at most.
    pub(super) fn goes_on_as(&self, other: &Self) -> bool {
        let Source { input, format, written: _, name } = &self.source;
        (input, format, name, &self.without)
            == (&other.source.input, &other.source.format, &other.source.name, &other.without)
    }
}

/// A source that can be started.
pub(super) struct Prepared {
    part: Part,
    name: String,
    format: &'static str,
    pub(super) outlet: Arc<Outlet>,
    /// A socket listens already, so that a port that is taken is found before anything else happens.
    socket: Option<Syslog>,
}

/// A source that runs.
pub(super) struct Live {
    pub(super) part: Part,
    pub(super) outlet: Arc<Outlet>,
    pub(super) followed: Followed,
    /// From where it was read, for people.
    pub(super) begins: &'static str,
    ends: Ends,
}

/// How a source is ended.
enum Ends {
    /// The tailer is told, by the file's path or the pattern.
    Files(PathBuf),
    /// Its task is told.
    Task(watch::Sender<bool>, JoinHandle<()>),
}

impl Prepared {
    /// Prepares `part` to feed `pipeline`.
    ///
    /// # Errors
    /// A socket cannot listen.
    pub(super) fn new(part: &Part, pipeline: &Pipeline, stage: &Stage) -> Result<Self, Failure> {
        let source = &part.source;
        let name = source.label();
        let unknown = || Failure::Usage(format!("unknown format {}", source.format));
        let format = pipeline.format(&source.format).ok_or_else(unknown)?;
        let dialect = part.dialect.clone();
        let outlet = Arc::new(Outlet::new(pipeline, &name, format, dialect).ok_or_else(unknown)?);
        let socket = match &source.input {
            Input::Syslog(input) => Some(listen(&name, input, stage.max_line_bytes, &outlet)?),
            _ => None,
        };
        Ok(Self { part: part.clone(), name, format, outlet, socket })
    }

    /// Starts it on `stage`. `pipeline` knows where files were read to.
    ///
    /// # Errors
    /// A pattern is broken.
    pub(super) fn start(self, stage: &Stage, pipeline: &Pipeline) -> Result<Live, Failure> {
        let Self { part, name, format, outlet, socket } = self;
        let limit = stage.max_line_bytes;
        let (status, begins, ends) = match &part.source.input {
            Input::File { path, exclude } => match pattern_of(path) {
                None => {
                    let path = Path::new(path);
                    let (file, begins) = file(path, &outlet, limit, stage.start);
                    let begins = if path.exists() { begins } else { "which does not exist yet" };
                    (stage.files.add(file), begins, Ends::Files(path.to_owned()))
                }
                Some(text) => {
                    let (feeding, start) = (Arc::clone(&outlet), stage.start);
                    let broken = |error: glob::PatternError| {
                        Failure::Usage(format!("bad pattern {text}: {} at character {}", error.msg, error.pos))
                    };
                    let make = move |path: &Path| file(path, &feeding, limit, start).0;
                    let mut pattern = Pattern::new(text, make).map_err(broken)?;
                    for excluded in exclude.iter().chain(&part.without) {
                        pattern = pattern.exclude(excluded).map_err(broken)?;
                    }
                    let known = pipeline.keys(&name, format).iter().map(|key| PathBuf::from(&**key)).collect();
                    let status = stage.files.add_pattern(pattern.known(known));
                    let is_any = glob::glob(text).is_ok_and(|mut found| found.next().is_some());
                    let begins = if is_any { "as its files come and go" } else { "which no file matches yet" };
                    (status, begins, Ends::Files(PathBuf::from(text)))
                }
            },
            Input::Journal(input) => {
                let relay = outlet.relay("journal");
                let position = relay.position();
                let mut journal = Journal::new(journal_options(&name, input, limit, stage.start), sink(relay, limit));
                let mut begins = begins(stage.start);
                if let Some(Position::Cursor(cursor)) = position {
                    journal = journal.resume(&cursor);
                    begins = RESUMED;
                }
                let status = journal.status();
                (status, begins, task(stage, |stop| journal.run(stopping(stop))))
            }
            Input::Pipe(path) => {
                let options = pipe::Options { max_line_bytes: limit, ..pipe::Options::new(pipe::Input::at(path)) };
                let pipe = Pipe::new(options, sink(outlet.relay("pipe"), limit));
                let status = pipe.status();
                (status, "as it is written", task(stage, |stop| pipe.run(stopping(stop))))
            }
            Input::Syslog(input) => {
                let socket = match socket {
                    Some(socket) => socket,
                    None => listen(&name, input, limit, &outlet)?,
                };
                let status = socket.status();
                socket.warnings().iter().for_each(|warning| say(format_args!("{name}: {warning}")));
                (status, "as it is sent", task(stage, |stop| socket.run(stopping(stop))))
            }
        };
        let followed = Followed { name, format, status, lines: outlet.lines() };
        Ok(Live { part, outlet, followed, begins, ends })
    }
}

impl Live {
    /// Goes on as `part` says.
    pub(super) fn go_on_as(&mut self, part: &Part) {
        self.outlet.speak(&part.dialect);
        self.part = part.clone();
    }

    /// Ends it, and returns when its last line has been counted.
    pub(super) async fn end(self, stage: &Stage) {
        match self.ends {
            Ends::Files(path) => stage.files.remove(&path).await,
            ends @ Ends::Task(..) => end_task(ends).await,
        }
        self.outlet.end();
    }

    /// Ends it unless it is one of the files, which end with their tailer.
    pub(super) async fn end_task(self) {
        end_task(self.ends).await;
        self.outlet.end();
    }
}

async fn end_task(ends: Ends) {
    if let Ends::Task(stop, task) = ends {
        stop.send_replace(true);
        // It has nothing to say.
        let _ = task.await;
    }
}

const RESUMED: &str = "from where reading stood";

fn begins(start: Start) -> &'static str {
    match start {
        Start::Beginning => "from its beginning",
        Start::End => "from its end",
    }
}

/// What is a pattern and not the path of a file that is there.
pub(super) fn pattern_of(path: &str) -> Option<&str> {
    (path.contains(['*', '?', '[']) && !Path::new(path).exists()).then_some(path)
}

fn sink(relay: Relay, max_line_bytes: usize) -> Box<Unwrap<Relay>> {
    Box::new(Unwrap::new(relay, max_line_bytes))
}

/// A file, and from where it is read.
fn file(path: &Path, outlet: &Outlet, max_line_bytes: usize, start: Start) -> (File, &'static str) {
    let relay = outlet.relay(&source_name(path.as_os_str().as_bytes()));
    let position = relay.position();
    let file = File::new(path, sink(relay, max_line_bytes));
    match position {
        Some(Position::File(position)) => (file.resume(position), RESUMED),
        _ => (file, begins(start)),
    }
}

fn journal_options(name: &str, input: &JournalInput, max_line_bytes: usize, start: Start) -> journal::Options {
    journal::Options {
        name: name.to_owned(),
        directory: input.directory.clone(),
        identifiers: input.identifiers.clone(),
        units: input.units.clone(),
        matches: input.matches.clone(),
        max_line_bytes,
        start,
        say,
        ..journal::Options::default()
    }
}

fn listen(name: &str, input: &SyslogInput, max_line_bytes: usize, outlet: &Outlet) -> Result<Syslog, Failure> {
    let options = syslog::Options {
        name: name.to_owned(),
        max_line_bytes,
        receive_buffer_bytes: input.receive_buffer_bytes,
        framing: input.framing,
        max_connections: input.max_connections,
        socket_mode: input.socket_mode,
        senders: input.senders.clone(),
        tls: input.tls.clone(),
        ..syslog::Options::new(input.transport.clone())
    };
    Syslog::bind(options, Box::new(outlet.relay("socket"))).map_err(|error| Failure::Usage(error.to_string()))
}

/// Runs a source as a task of its own.
fn task<F>(stage: &Stage, run: impl FnOnce(watch::Receiver<bool>) -> F) -> Ends
where
    F: Future<Output = ()> + Send + 'static,
{
    let (stop, stopped) = watch::channel(false);
    Ends::Task(stop, stage.readers.spawn(run(stopped)))
}
