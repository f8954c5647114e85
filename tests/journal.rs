//! The journal, end to end: real `journalctl` over journal files that systemd-journal-remote writes while they are
//! followed, and a `journalctl` of our own for what the real one does too rarely.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "journal/fake.rs"]
mod fake;
#[path = "journal/real.rs"]
mod real;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tailmeter::source::journal::{Journal, Options};
use tailmeter::source::{Block, End, Position, Sink, Status};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long something may take that takes milliseconds on a machine with nothing else to do.
const DEADLINE: Duration = Duration::from_secs(30);

/// What came, as it would be committed.
#[derive(Clone, Default)]
struct Committed(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// Without newlines; cut ones end in a mark.
    lines: Vec<String>,
    cursor: Option<String>,
    blocks: usize,
    bytes: u64,
}

impl Sink for Committed {
    fn block(&mut self, block: Block<'_>) {
        let mut inner = self.0.lock().unwrap();
        assert!(!block.lines.is_empty());
        assert_eq!(block.cut, !block.lines.ends_with(b"\n"));
        let text = String::from_utf8_lossy(block.lines);
        inner.lines.extend(text.lines().map(|line| if block.cut { format!("{line}[cut]") } else { line.to_owned() }));
        let End::Cursor(cursor) = block.end else { panic!("no cursor: {:?}", block.end) };
        inner.cursor = Some(cursor.to_owned());
        inner.blocks += 1;
        inner.bytes += block.bytes;
    }

    fn stands(&mut self, position: Position, _: &[tailmeter::source::Incident]) {
        let Position::Cursor(cursor) = position else { panic!("{position:?}") };
        self.0.lock().unwrap().cursor = Some(cursor);
    }
}

impl Committed {
    fn count(&self) -> usize {
        self.0.lock().unwrap().lines.len()
    }

    fn cursor(&self) -> Option<String> {
        self.0.lock().unwrap().cursor.clone()
    }

    /// What is behind the tag of each line.
    fn messages(&self) -> Vec<String> {
        let message = |line: &String| line.split_once(": ").unwrap().1.to_owned();
        self.0.lock().unwrap().lines.iter().map(message).collect()
    }

    async fn has(&self, expected: &[&str]) {
        eventually(&format!("{expected:?}"), || self.count() >= expected.len()).await;
        assert_eq!(self.messages(), expected);
    }
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A journal that is followed.
struct Running {
    status: Arc<Status>,
    metrics: PrometheusHandle,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    fn start(options: Options, committed: &Committed) -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let journal = metrics::with_local_recorder(&recorder, || Journal::new(options, Box::new(committed.clone())));
        let journal = match committed.cursor() {
            Some(cursor) => journal.resume(&cursor),
            None => journal,
        };
        let status = journal.status();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(journal.run(async {
            let _ = stopped.await;
        }));
        Running { status, metrics: recorder.handle(), stop, task }
    }

    /// Errors of a kind so far.
    fn errors(&self, kind: &str) -> u64 {
        let text = self.metrics.render();
        let line = text.lines().find(|line| line.contains(&format!("kind=\"{kind}\"")));
        line.map_or(0, |line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
    }

    async fn caught_up(&self) {
        eventually("caught up", || self.status.looked_once()).await;
    }

    /// Shutdown takes less than a second, whatever is going on.
    async fn stop(self) {
        let began = Instant::now();
        let _ = self.stop.send(());
        self.task.await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(1), "shutdown took {:?}", began.elapsed());
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}
