//! Reading pipes while others write to them, leave, and come back.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, Write, pipe};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tailmeter::source::pipe::{Input, Options, Pipe};
use tailmeter::source::{Block, End, Sink, Status};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long something may take that takes milliseconds on a machine with nothing else to do.
const DEADLINE: Duration = Duration::from_secs(30);

/// Lines as they came, without newlines; cut ones end in a mark.
#[derive(Clone, Default)]
struct Lines(Arc<(Mutex<Inner>, Condvar)>);

#[derive(Default)]
struct Inner {
    lines: Vec<String>,
    bytes: u64,
    has_left: bool,
    is_held: bool,
}

impl Sink for Lines {
    fn block(&mut self, block: Block<'_>) {
        assert_eq!(block.end, End::Nowhere);
        let mut inner = self.0.1.wait_while(self.0.0.lock().unwrap(), |inner| inner.is_held).unwrap();
        let text = String::from_utf8_lossy(block.lines);
        inner.lines.extend(text.lines().map(|line| if block.cut { format!("{line}[cut]") } else { line.to_owned() }));
        inner.bytes += block.bytes;
    }

    fn left(&mut self, _: &[tailmeter::source::Incident]) {
        self.0.0.lock().unwrap().has_left = true;
    }
}

impl Lines {
    fn with<T>(&self, ask: impl FnOnce(&mut Inner) -> T) -> T {
        let answer = ask(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
        answer
    }

    async fn has(&self, expected: &[&str]) {
        eventually(&format!("{expected:?}"), || self.with(|inner| inner.lines.len()) >= expected.len()).await;
        assert_eq!(self.with(|inner| inner.lines.clone()), expected);
    }
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

struct Running {
    lines: Lines,
    status: Arc<Status>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    fn start(input: Input) -> Self {
        Self::start_with(Options { tick: Duration::from_millis(5), ..Options::new(input) })
    }

    fn start_with(options: Options) -> Self {
        let lines = Lines::default();
        let pipe = Pipe::new(options, Box::new(lines.clone()));
        let status = pipe.status();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(pipe.run(async {
            let _ = stopped.await;
        }));
        Running { lines, status, stop, task }
    }

    async fn stop(self) -> Vec<String> {
        let began = Instant::now();
        let _ = self.stop.send(());
        self.task.await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(1), "shutdown took {:?}", began.elapsed());
        self.lines.with(|inner| inner.lines.clone())
    }
}

/// A directory with a named pipe.
struct Fifo(TempDir);

impl Fifo {
    fn new() -> Self {
        let fifo = Fifo(tempfile::tempdir().unwrap());
        fifo.make();
        fifo
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("pipe")
    }

    fn make(&self) {
        assert!(Command::new("mkfifo").arg(self.path()).status().unwrap().success());
    }

    /// Without waiting for a reader.
    fn try_writer(&self) -> std::io::Result<File> {
        let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap();
        OpenOptions::new().write(true).custom_flags(nonblocking).open(self.path())
    }

    async fn writer(&self) -> File {
        eventually("a reader", || self.try_writer().is_ok()).await;
        // Blocking from here on.
        OpenOptions::new().write(true).open(self.path()).unwrap()
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn an_input_is_read_to_its_end_and_its_last_line_counts() {
    runtime().block_on(async {
        let (reader, mut writer) = pipe().unwrap();
        let running = Running::start(Input::Open(Arc::new(OwnedFd::from(reader))));
        writer.write_all(b"one\ntw").unwrap();
        running.lines.has(&["one"]).await;
        assert!(running.status.up());
        writer.write_all(b"o\nthree").unwrap();
        running.lines.has(&["one", "two"]).await;
        assert!(!running.status.ended());
        drop(writer);
        running.lines.has(&["one", "two", "three"]).await;
        eventually("the end", || running.status.ended()).await;
        assert!(!running.status.up());
        assert_eq!(running.status.errors(), 0);
        assert!(running.lines.with(|inner| inner.has_left));
        assert_eq!(running.lines.with(|inner| inner.bytes), 13);
        running.task.await.unwrap();
    });
}

#[test]
fn a_file_as_standard_input_is_read_to_its_end() {
    runtime().block_on(async {
        let mut file = tempfile::tempfile().unwrap();
        let text: String = (0..50_000).map(|number| format!("{number}\n")).collect();
        file.write_all(text.as_bytes()).unwrap();
        file.rewind().unwrap();
        let running = Running::start(Input::Open(Arc::new(OwnedFd::from(file))));
        eventually("the end", || running.status.ended()).await;
        let lines = running.lines.with(|inner| inner.lines.clone());
        assert!(lines.iter().eq(text.lines()), "{} lines", lines.len());
        running.task.await.unwrap();
    });
}

#[test]
fn shutdown_waits_for_no_writer() {
    runtime().block_on(async {
        let (reader, mut writer) = pipe().unwrap();
        let running = Running::start(Input::Open(Arc::new(OwnedFd::from(reader))));
        writer.write_all(b"one\nhalf").unwrap();
        running.lines.has(&["one"]).await;
        assert_eq!(running.stop().await, ["one"]);
        let fifo = Fifo::new();
        let running = Running::start(Input::Named(fifo.path()));
        eventually("up", || running.status.up()).await;
        assert!(running.stop().await.is_empty());
        let running = Running::start(Input::Named(fifo.0.path().join("none")));
        eventually("looked", || running.status.looked_once()).await;
        assert!(running.stop().await.is_empty());
    });
}

#[test]
fn writers_of_a_named_pipe_come_and_go() {
    runtime().block_on(async {
        let fifo = Fifo::new();
        let running = Running::start(Input::Named(fifo.path()));
        eventually("up without a writer", || running.status.up()).await;
        let mut expected = Vec::new();
        for round in 0..50 {
            let mut writer = fifo.writer().await;
            writer.write_all(format!("a{round}\nb{round}\n").as_bytes()).unwrap();
            expected.extend([format!("a{round}"), format!("b{round}")]);
        }
        let all: Vec<&str> = expected.iter().map(String::as_str).collect();
        running.lines.has(&all).await;
        // Two at the same time.
        let (mut one, mut other) = (fifo.writer().await, fifo.writer().await);
        one.write_all(b"one\n").unwrap();
        other.write_all(b"other\n").unwrap();
        drop(one);
        other.write_all(b"still\n").unwrap();
        running.lines.has(&[&all[..], &["one", "other", "still"]].concat()).await;
        assert_eq!(running.status.errors(), 0);
        assert!(!running.status.ended());
        running.stop().await;
    });
}

#[test]
fn a_named_pipe_is_waited_for_and_may_be_replaced() {
    runtime().block_on(async {
        let fifo = Fifo::new();
        fs::rename(fifo.path(), fifo.0.path().join("away")).unwrap();
        let running = Running::start(Input::Named(fifo.path()));
        eventually("missing", || running.status.errors() == 1).await;
        assert!(!running.status.up());
        fs::write(fifo.path(), "not a pipe\n").unwrap();
        eventually("not a pipe", || running.status.errors() == 2).await;
        fs::remove_file(fifo.path()).unwrap();
        fifo.make();
        let mut first = fifo.writer().await;
        first.write_all(b"first\n").unwrap();
        running.lines.has(&["first"]).await;
        eventually("up", || running.status.up()).await;
        fs::remove_file(fifo.path()).unwrap();
        eventually("gone", || !running.status.up()).await;
        first.write_all(b"still\nhalf").unwrap();
        running.lines.has(&["first", "still"]).await;
        fifo.make();
        running.lines.has(&["first", "still", "half"]).await;
        fifo.writer().await.write_all(b"second\n").unwrap();
        running.lines.has(&["first", "still", "half", "second"]).await;
        running.stop().await;
    });
}

/// Where it may not be opened for writing, it has an end whenever its last writer leaves. Root may do everything, so
/// this is only a different test for others.
#[test]
fn a_pipe_that_may_only_be_read_goes_on_after_its_end() {
    runtime().block_on(async {
        let fifo = Fifo::new();
        fs::set_permissions(fifo.path(), std::os::unix::fs::PermissionsExt::from_mode(0o400)).unwrap();
        let running = Running::start(Input::Named(fifo.path()));
        eventually("up", || running.status.up()).await;
        for _ in 0..2 {
            fs::set_permissions(fifo.path(), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            let mut writer = fifo.writer().await;
            fs::set_permissions(fifo.path(), std::os::unix::fs::PermissionsExt::from_mode(0o400)).unwrap();
            writer.write_all(b"line\n").unwrap();
        }
        running.lines.has(&["line", "line"]).await;
        running.stop().await;
    });
}

/// What is not taken stays with the writer.
#[test]
fn a_sink_that_is_slow_holds_the_writer_back() {
    runtime().block_on(async {
        let fifo = Fifo::new();
        let options = Options { max_line_bytes: 1000, block_bytes: 4096, ..Options::new(Input::Named(fifo.path())) };
        let running = Running::start_with(options);
        running.lines.with(|inner| inner.is_held = true);
        let mut writer = fifo.writer().await;
        let block = "x".repeat(99) + "\n";
        let writing = std::thread::spawn(move || {
            for _ in 0..20_000 {
                writer.write_all(block.as_bytes()).unwrap();
            }
        });
        eventually("something is read", || running.status.read_bytes() > 0).await;
        // It has read one block, and hands that over.
        assert!(running.status.read_bytes() <= 5096, "{} bytes", running.status.read_bytes());
        assert!(!writing.is_finished());
        running.lines.with(|inner| inner.is_held = false);
        eventually("all", || running.lines.with(|inner| inner.lines.len()) == 20_000).await;
        writing.join().unwrap();
        assert_eq!(running.lines.with(|inner| inner.bytes), 2_000_000);
        running.stop().await;
    });
}

#[test]
fn long_lines_are_cut() {
    runtime().block_on(async {
        let (reader, mut writer) = pipe().unwrap();
        let input = Input::Open(Arc::new(OwnedFd::from(reader)));
        let running = Running::start_with(Options { max_line_bytes: 4, block_bytes: 7, ..Options::new(input) });
        writer.write_all(b"1234\n12345678901234567890\n\xff\0\n12345").unwrap();
        drop(writer);
        running.lines.has(&["1234", "1234[cut]", "\u{fffd}\0", "1234[cut]"]).await;
        running.task.await.unwrap();
    });
}
