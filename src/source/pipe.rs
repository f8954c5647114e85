//! Pipes: standard input, and named pipes (FIFOs).
//!
//! A pipe is read by a thread of its own, which waits with `poll` for data or for the end of the run. So nothing has to be
//! set non-blocking that others share, a terminal for one, and a thread that waits ends at once. What has not been
//! read stays in the pipe, and its writer waits: that is all the back-pressure there is, and all that is needed.
//!
//! Standard input ends, and its source with it. A named pipe does not: it is opened for reading and writing, so that it
//! always has a writer, and opening it waits for nobody. Where only reading is allowed, it is opened again whenever its last
//! writer has left. Another pipe at the path is noticed on a slow tick, and read once nothing more is in the old one.

use std::fs;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::task::spawn_blocking;

use super::file::lines::Splitter;
use super::status::{Telemetry, Trouble};
use super::{Block, End, Identity, Incident, Sink, Status};
use crate::metrics::own::source_name;

/// What is read.
#[derive(Clone, Debug)]
pub enum Input {
    /// Standard input, to its end.
    Stdin,
    /// What is open there, to its end.
    Open(Arc<OwnedFd>),
    /// The named pipe at this path, whoever writes to it.
    Named(PathBuf),
}

impl Input {
    /// What is meant by `path`: standard input by `-`.
    pub fn at(path: &Path) -> Self {
        if path == Path::new("-") { Input::Stdin } else { Input::Named(path.to_owned()) }
    }

    fn name(&self) -> String {
        match self {
            Input::Stdin | Input::Open(_) => "-".to_owned(),
            Input::Named(path) => source_name(path.as_os_str().as_bytes()),
        }
    }
}

/// How a pipe is read.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is read.
    pub input: Input,
    /// Longest line delivered whole (bytes, without its newline), at least 1.
    pub max_line_bytes: usize,
    /// Least room for one read (bytes), at least 1. A pipe holds 64 KiB, unless its writer made it larger.
    pub block_bytes: usize,
    /// How often it is checked that the path of a named pipe still leads to it; and after what time, at most, one that
    /// is missing is tried again.
    pub tick: Duration,
}

impl Options {
    /// For `input`: lines of 64 KiB, reads of 64 KiB, a tick of 5 s.
    pub fn new(input: Input) -> Self {
        Options { input, max_line_bytes: 65_536, block_bytes: 65_536, tick: Duration::from_secs(5) }
    }
}

/// The first pause before a missing pipe is tried again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Reads a pipe.
///
/// Its telemetry goes to the `metrics` recorder that is installed when it is made.
pub struct Pipe {
    reader: Reader,
}

impl Pipe {
    /// Prepares to read; nothing is opened before [`run`](Self::run).
    pub fn new(options: Options, sink: Box<dyn Sink>) -> Self {
        let telemetry = Telemetry::of_pipe(&options.input.name());
        let status = Arc::new(Status::default());
        telemetry.up(&status, false);
        let splitter = Splitter::new(options.max_line_bytes, options.block_bytes);
        let sink = Nowhere(sink);
        Pipe { reader: Reader { options, sink, splitter, status, telemetry, trouble: None } }
    }

    /// Where it stands; stays current while it runs.
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.reader.status)
    }

    /// Reads until `shutdown` is ready or the input has ended, and drops the sink. Must be called on a tokio runtime;
    /// it takes one of the threads for blocking work, and gives it back at once.
    ///
    /// # Panics
    /// When the sink panicked.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let reader = self.reader;
        // Nothing is ever written to it: that its other end is dropped is the sign to stop.
        let Ok((stop, stopper)) = pipe_with(PipeFlags::CLOEXEC) else {
            reader.telemetry.error(&reader.status, Trouble::Open);
            return shutdown.await;
        };
        let mut task = spawn_blocking(move || reader.run(&stop));
        let ended = tokio::select! {
            ended = &mut task => ended,
            () = shutdown => {
                drop(stopper);
                task.await
            }
        };
        if let Err(error) = ended
            && let Ok(panic) = error.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

/// What waiting for data came to.
enum Waited {
    Ready,
    TimeOver,
    Stopped,
}

/// What reading all there is came to.
enum Drained {
    /// Nothing more is there for now.
    Empty,
    /// Nothing will come from these writers.
    Ended,
    Stopped,
}

struct Reader {
    options: Options,
    sink: Nowhere,
    splitter: Splitter,
    status: Arc<Status>,
    telemetry: Telemetry,
    /// What was counted last; the same is not counted again until it is over.
    trouble: Option<Trouble>,
}

impl Reader {
    fn run(mut self, stop: &OwnedFd) {
        match self.options.input.clone() {
            Input::Stdin => match io::stdin().as_fd().try_clone_to_owned() {
                Ok(input) => self.read_to_the_end(&input, stop),
                Err(_) => self.end(Some(Trouble::Open)),
            },
            Input::Open(input) => self.read_to_the_end(&input, stop),
            Input::Named(path) => self.follow(&path, stop),
        }
    }

    fn read_to_the_end(&mut self, input: &OwnedFd, stop: &OwnedFd) {
        self.telemetry.up(&self.status, true);
        self.telemetry.looked(&self.status);
        loop {
            match wait(Some(input), stop, None) {
                Waited::Stopped => return,
                Waited::TimeOver => {}
                Waited::Ready => match self.drain(input, stop) {
                    Ok(Drained::Empty) => {}
                    Ok(Drained::Stopped) => return,
                    Ok(Drained::Ended) => return self.end(None),
                    Err(trouble) => return self.end(Some(trouble)),
                },
            }
        }
    }

    /// Ends for good.
    fn end(&mut self, trouble: Option<Trouble>) {
        if let Some(trouble) = trouble {
            self.telemetry.error(&self.status, trouble);
        }
        self.splitter.finish(&mut self.sink);
        self.sink.left(&[]);
        self.telemetry.up(&self.status, false);
        self.telemetry.looked(&self.status);
        self.telemetry.ended(&self.status);
    }

    /// Reads the pipe that is at `path`, and those that take its place.
    fn follow(&mut self, path: &Path, stop: &OwnedFd) {
        let mut pause = FIRST_PAUSE.min(self.options.tick);
        let mut open: Option<Named> = None;
        let mut checked = Instant::now();
        loop {
            if open.is_none() || checked.elapsed() >= self.options.tick {
                checked = Instant::now();
                match self.look(path, open.as_ref()) {
                    Ok(None) => self.mark(None),
                    Ok(Some(other)) => {
                        if let Some(old) = open.replace(other)
                            && let Ok(Drained::Stopped) = self.drain(&old.input, stop)
                        {
                            return;
                        }
                        self.splitter.finish(&mut self.sink);
                        pause = FIRST_PAUSE.min(self.options.tick);
                        self.mark(None);
                    }
                    Err(trouble) => self.mark(Some(trouble)),
                }
                self.telemetry.looked(&self.status);
            }
            let patience = if open.is_some() { self.options.tick.saturating_sub(checked.elapsed()) } else { pause };
            match wait(open.as_ref().map(|open| &open.input), stop, Some(patience)) {
                Waited::Stopped => return,
                Waited::TimeOver => pause = (pause * 2).min(self.options.tick),
                Waited::Ready => {
                    let Some(named) = &open else { continue };
                    match self.drain(&named.input, stop) {
                        Ok(Drained::Stopped) => return,
                        Ok(Drained::Empty) => {}
                        // The new one is opened before the old one is closed, or what is written meanwhile is lost.
                        Ok(Drained::Ended) => match Named::open(path) {
                            Ok(other) => open = Some(other),
                            Err(trouble) => {
                                self.mark(Some(trouble));
                                open = None;
                            }
                        },
                        Err(trouble) => {
                            self.mark(Some(trouble));
                            open = None;
                        }
                    }
                }
            }
        }
    }

    /// The pipe at `path`, if it is another one than `open`.
    fn look(&self, path: &Path, open: Option<&Named>) -> Result<Option<Named>, Trouble> {
        let found = fs::metadata(path).map_err(|error| trouble(&error))?;
        if open.is_some_and(|open| open.identity == identity(&found)) {
            return Ok(None);
        }
        Named::open(path).map(Some)
    }

    /// Counts a trouble when it begins.
    fn mark(&mut self, trouble: Option<Trouble>) {
        self.telemetry.up(&self.status, trouble.is_none());
        if trouble != self.trouble
            && let Some(trouble) = trouble
        {
            self.telemetry.error(&self.status, trouble);
        }
        self.trouble = trouble;
    }

    /// Reads while there is something to read.
    fn drain(&mut self, input: &OwnedFd, stop: &OwnedFd) -> Result<Drained, Trouble> {
        loop {
            match rustix::io::read(input, self.splitter.space()) {
                Ok(0) => return Ok(Drained::Ended),
                Ok(read) => {
                    self.telemetry.read(&self.status, read as u64);
                    self.splitter.take(read, &mut self.sink);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(Drained::Empty),
                Err(_) => return Err(Trouble::Read),
            }
            match wait(Some(input), stop, Some(Duration::ZERO)) {
                Waited::Ready => {}
                Waited::Stopped => return Ok(Drained::Stopped),
                Waited::TimeOver => {
                    self.splitter.release();
                    return Ok(Drained::Empty);
                }
            }
        }
    }
}

/// Waits until something can be read from `input`, for as long as `patience` says. Its end counts as something.
fn wait(input: Option<&OwnedFd>, stop: &OwnedFd, patience: Option<Duration>) -> Waited {
    let patience = patience.and_then(|patience| Timespec::try_from(patience).ok());
    let stop = PollFd::new(stop, PollFlags::IN);
    let waited = match input {
        Some(input) => {
            let mut both = [stop, PollFd::new(input, PollFlags::IN)];
            poll(&mut both, patience.as_ref()).map(|_| both.map(|polled| !polled.revents().is_empty()))
        }
        None => {
            let mut one = [stop];
            poll(&mut one, patience.as_ref()).map(|_| [!one[0].revents().is_empty(), false])
        }
    };
    match waited {
        Ok([true, _]) => Waited::Stopped,
        Ok([_, true]) => Waited::Ready,
        // An interrupted wait is a short one.
        Ok(_) | Err(_) => Waited::TimeOver,
    }
}

/// A named pipe that is open.
struct Named {
    input: OwnedFd,
    identity: Identity,
}

impl Named {
    /// Opens the pipe at `path`. Anything else is refused before it is opened, and after, if it changed meanwhile.
    fn open(path: &Path) -> Result<Named, Trouble> {
        let found = fs::metadata(path).map_err(|error| trouble(&error))?;
        if !found.file_type().is_fifo() {
            return Err(Trouble::NotAPipe);
        }
        let open = |flags| rustix::fs::open(path, flags | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty());
        let opened = match open(OFlags::RDWR) {
            Err(Errno::ACCESS | Errno::ROFS | Errno::PERM) => open(OFlags::RDONLY),
            opened => opened,
        };
        let file = fs::File::from(opened.map_err(|error| trouble(&error.into()))?);
        let opened = file.metadata().map_err(|error| trouble(&error))?;
        if !opened.file_type().is_fifo() {
            return Err(Trouble::NotAPipe);
        }
        Ok(Named { input: file.into(), identity: identity(&opened) })
    }
}

fn identity(metadata: &fs::Metadata) -> Identity {
    Identity { device: metadata.dev(), inode: metadata.ino() }
}

fn trouble(error: &io::Error) -> Trouble {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Trouble::Missing,
        io::ErrorKind::PermissionDenied => Trouble::Permission,
        _ => Trouble::Open,
    }
}

/// Blocks of what cannot be read again.
struct Nowhere(Box<dyn Sink>);

impl Sink for Nowhere {
    fn block(&mut self, block: Block<'_>) {
        self.0.block(Block { end: End::Nowhere, ..block });
    }

    fn left(&mut self, befell: &[Incident]) {
        self.0.left(befell);
    }
}
