//! A source that runs, and what came out of it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tailmeter::source::syslog::{Options, Syslog, Transport};
use tailmeter::source::{Block, End, Incident, Sink, Status};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long something may take that takes milliseconds on a machine with nothing else to do.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// What a source handed over.
#[derive(Clone, Default)]
pub(crate) struct Received {
    collected: Arc<Mutex<Collected>>,
    /// Held by who wants the source to wait.
    gate: Arc<Mutex<()>>,
}

#[derive(Default)]
struct Collected {
    /// Without newlines; cut ones end in a mark.
    lines: Vec<String>,
    blocks: usize,
    bytes: u64,
    dropped: u64,
}

impl Sink for Received {
    fn block(&mut self, block: Block<'_>) {
        drop(self.pause());
        assert_eq!(block.end, End::Nowhere);
        assert!(!block.lines.is_empty(), "no empty blocks");
        assert_ne!(block.cut, block.lines.ends_with(b"\n"), "whole lines, or the beginning of one");
        let mut collected = self.collected.lock().unwrap();
        for line in block.lines.split_inclusive(|&byte| byte == b'\n') {
            let line = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(line));
            collected.lines.push(format!("{line}{}", if block.cut { "[cut]" } else { "" }));
        }
        collected.blocks += 1;
        collected.bytes += block.bytes;
    }

    fn incident(&mut self, incident: Incident) {
        let Incident::Dropped(messages) = incident else { panic!("{incident:?}") };
        self.collected.lock().unwrap().dropped += messages;
    }
}

impl Received {
    /// The source waits with its next block until this is dropped.
    pub(crate) fn pause(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self) -> usize {
        self.collected.lock().unwrap().lines.len()
    }

    pub(crate) fn count_of(&self, part: &str) -> usize {
        self.collected.lock().unwrap().lines.iter().filter(|line| line.contains(part)).count()
    }

    pub(crate) fn blocks(&self) -> usize {
        self.collected.lock().unwrap().blocks
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.collected.lock().unwrap().bytes
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.collected.lock().unwrap().dropped
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.collected.lock().unwrap().lines.clone()
    }

    pub(crate) fn sorted(&self) -> Vec<String> {
        let mut lines = self.lines();
        lines.sort();
        lines
    }

    /// Waits until these lines have come, in any order, and nothing else.
    #[track_caller]
    pub(crate) fn has(&self, expected: &[&str]) {
        eventually("the lines", || self.count() >= expected.len());
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(self.sorted(), expected);
    }
}

/// A source on a runtime of its own.
pub(crate) struct Running {
    pub(crate) received: Received,
    pub(crate) transport: Transport,
    pub(crate) status: Arc<Status>,
    runtime: Runtime,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(options: Options) -> Self {
        Self::start_after(options, |_| ())
    }

    /// Calls `before` when it listens, and before anything is read.
    pub(crate) fn start_after(options: Options, before: impl FnOnce(&Transport)) -> Self {
        let received = Received::default();
        let syslog = Syslog::bind(options, Box::new(received.clone())).unwrap_or_else(|error| panic!("{error}"));
        let (transport, status) = (syslog.local_address(), syslog.status());
        before(&transport);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = runtime.spawn(syslog.run(async {
            // Dropped by a test that failed.
            let _ = stopped.await;
        }));
        Running { received, transport, status, runtime, stop, task }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        address(&self.transport)
    }

    /// Stops it, which takes less than a second.
    pub(crate) fn stop(self) -> Received {
        let began = Instant::now();
        self.stop.send(()).expect("it runs");
        self.runtime.block_on(self.task).expect("no panic");
        let took = began.elapsed();
        assert!(took < Duration::from_secs(1), "stopping took {took:?}");
        assert!(!self.status.up());
        self.received
    }
}

pub(crate) fn options(transport: &str) -> Options {
    Options::new(transport.parse().unwrap_or_else(|error| panic!("{transport}: {error}")))
}

pub(crate) fn address(transport: &Transport) -> SocketAddr {
    match transport {
        Transport::Udp(address) | Transport::Tcp(address) | Transport::Tls(address) => *address,
        Transport::Unix(_) | Transport::UnixDatagram(_) => panic!("{transport} has a path"),
    }
}

#[track_caller]
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
