//! The rotation matrix: every way in which a log is rotated, while it is followed and while nobody looks, with and
//! without wakes, with the old file left plain and compressed at once. `--nocapture` prints it as a table.
//!
//! Where logrotate can do it, the real one does.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tailmeter::source::file::{File, Options, Position, Start, Tailer};
use tailmeter::source::{Block, End, Incident, Sink, Status};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const DEADLINE: Duration = Duration::from_secs(30);

/// What a consumer keeps from run to run.
#[derive(Default)]
struct State {
    lines: Vec<String>,
    position: Option<Position>,
    lost: Vec<(u64, &'static str)>,
    rotations: usize,
}

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<State>>);

impl Sink for Kept {
    fn block(&mut self, block: Block<'_>) {
        let mut state = self.0.lock().unwrap();
        state.lines.extend(String::from_utf8_lossy(block.lines).lines().map(str::to_owned));
        let End::Offset(end) = block.end else { panic!("{block:?}") };
        state.position.as_mut().expect("a file was entered").offset = end;
    }

    fn stands(&mut self, position: tailmeter::source::Position, befell: &[Incident]) {
        befell.iter().for_each(|incident| self.incident(*incident));
        let tailmeter::source::Position::File(position) = position else { panic!("{position:?}") };
        self.0.lock().unwrap().position = Some(position);
    }

    fn incident(&mut self, incident: Incident) {
        let mut state = self.0.lock().unwrap();
        match incident {
            Incident::Lost(bytes, reason) => state.lost.push((bytes, reason.as_str())),
            Incident::Rotated(_) => state.rotations += 1,
            Incident::Dropped(_) => panic!("files drop nothing"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rotation {
    Rename,
    RenameLate,
    Copytruncate,
    Mv,
    Double,
}

impl Rotation {
    const ALL: [Rotation; 5] =
        [Rotation::Rename, Rotation::RenameLate, Rotation::Copytruncate, Rotation::Mv, Rotation::Double];

    fn name(self) -> &'static str {
        match self {
            Rotation::Rename => "rename and create",
            Rotation::RenameLate => "rename, created later",
            Rotation::Copytruncate => "copytruncate",
            Rotation::Mv => "another file moved into place",
            Rotation::Double => "rename and create, twice between two looks",
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    rotation: Rotation,
    wakes: bool,
    /// Nobody looks while it is rotated.
    is_down: bool,
    is_packed: bool,
}

struct Log {
    directory: TempDir,
    path: PathBuf,
    written: Vec<String>,
}

impl Log {
    fn write(&mut self, lines: usize) {
        let path = self.path.clone();
        self.write_to(&path, lines);
    }

    fn write_to(&mut self, path: &Path, lines: usize) {
        let from = self.written.len();
        let new: Vec<String> = (from..from + lines).map(|line| format!("line {line}")).collect();
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all((new.join("\n") + "\n").as_bytes()).unwrap();
        self.written.extend(new);
    }

    fn logrotate(&self, directives: &str, is_packed: bool) {
        let configuration = self.directory.path().join("logrotate.conf");
        let packed = if is_packed { "compress" } else { "nocompress" };
        let text = format!("{} {{\n rotate 9\n {directives}\n {packed}\n}}\n", self.path.display());
        fs::write(&configuration, text).unwrap();
        let state = self.directory.path().join("state");
        let mut logrotate = Command::new("logrotate");
        let done = logrotate.arg("--force").arg("--state").arg(state).arg(configuration).output();
        let done = done.expect("logrotate is installed");
        assert!(done.status.success(), "{done:?}");
    }
}

struct Running {
    status: Arc<Status>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

fn start(log: &Log, kept: &Kept, wakes: bool) -> Running {
    let options = Options {
        start: Start::Beginning,
        coalesce: Duration::from_millis(5),
        tick: if wakes { DEADLINE * 2 } else { Duration::from_millis(20) },
        linger: Duration::from_millis(20),
        wakes,
        ..Options::default()
    };
    let mut file = File::new(&log.path, Box::new(kept.clone()));
    if let Some(position) = kept.0.lock().unwrap().position {
        file = file.resume(position);
    }
    let (stop, stopped) = oneshot::channel::<()>();
    let tailer = Tailer::new(vec![file], options);
    let (_, status) = tailer.statuses().remove(0);
    Running { status, stop, task: tokio::spawn(tailer.run(async { drop(stopped.await) })) }
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Rotates once, and gives the lines that nobody can find any more.
async fn rotate(log: &mut Log, cell: Cell, running: Option<&Running>) -> usize {
    match cell.rotation {
        Rotation::Rename => log.logrotate("create", cell.is_packed),
        Rotation::RenameLate => {
            log.logrotate("nocreate", cell.is_packed);
            if let Some(running) = running {
                eventually("a look that finds nothing", || !running.status.up()).await;
            }
        }
        Rotation::Copytruncate => log.logrotate("copytruncate", cell.is_packed),
        Rotation::Double => {
            log.logrotate("create", cell.is_packed);
            log.write(70);
            log.logrotate("create", cell.is_packed);
        }
        Rotation::Mv => {
            let other = log.directory.path().join("other");
            log.write_to(&other, 30);
            fs::rename(&other, &log.path).unwrap();
            // Nothing keeps the old file, except a handle.
            return if cell.is_down { 50 } else { 0 };
        }
    }
    0
}

/// Runs one cell, and gives how many lines were lost and why.
async fn run(cell: Cell) -> String {
    let directory = tempfile::tempdir().unwrap();
    let mut log = Log { path: directory.path().join("haproxy.log"), directory, written: Vec::new() };
    let kept = Kept::default();
    let count = || kept.0.lock().unwrap().lines.len();
    // One rotation before anybody looks, so that there are older files that must not be read.
    fs::write(&log.path, "before anybody looked\n").unwrap();
    log.logrotate("create", cell.is_packed);
    log.write(200);
    let mut running = Some(start(&log, &kept, cell.wakes));
    eventually("what was there", || count() == 200).await;
    if cell.is_down
        && let Some(Running { stop, task, .. }) = running.take()
    {
        log.write(20);
        drop(stop);
        task.await.unwrap();
    }
    log.write(50);
    // While nobody looks, only what a look saw is known to be lost: pretend one saw it.
    if cell.is_down {
        let mut state = kept.0.lock().unwrap();
        let position = state.position.as_mut().unwrap();
        position.size = fs::metadata(&log.path).unwrap().len();
    }
    let gone = rotate(&mut log, cell, running.as_ref()).await;
    log.write(100);
    let running = running.unwrap_or_else(|| start(&log, &kept, cell.wakes));
    let expected = log.written.len() - gone;
    eventually(&format!("{cell:?}: {expected} lines"), || count() >= expected).await;
    drop(running.stop);
    running.task.await.unwrap();

    let state = kept.0.lock().unwrap();
    let mut found = log.written.clone();
    found.drain(220..220 + gone);
    assert_eq!(state.lines, found, "{cell:?}");
    let gone_bytes: usize = log.written[220..220 + gone].iter().map(|line| line.len() + 1).sum();
    let lost: Vec<(u64, &str)> = (gone > 0).then_some((gone_bytes as u64, "removed")).into_iter().collect();
    assert_eq!(state.lost, lost, "{cell:?}");
    assert!(state.rotations > 0, "{cell:?}");
    match gone {
        0 => "0".to_owned(),
        _ => "all unread ones: nothing keeps the old file; counted as `removed`".to_owned(),
    }
}

#[test]
fn the_rotation_matrix() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut table =
        String::from("| rotation | old file | wakes, running | wakes, down | polling, running | polling, down |\n");
    table += "|---|---|---|---|---|---|\n";
    for rotation in Rotation::ALL {
        for is_packed in [false, true] {
            if rotation == Rotation::Mv && is_packed {
                // There is no old file.
                continue;
            }
            let cells = [(true, false), (true, true), (false, false), (false, true)];
            let cells = cells.map(|(wakes, is_down)| run(Cell { rotation, wakes, is_down, is_packed }));
            let [one, two, three, four] = cells;
            let lost = runtime.block_on(async { tokio::join!(one, two, three, four) });
            let old = if is_packed { "gzip" } else { "plain" };
            let old = if rotation == Rotation::Mv { "none" } else { old };
            table += &format!("| {} | {old} | {} | {} | {} | {} |\n", rotation.name(), lost.0, lost.1, lost.2, lost.3);
        }
    }
    is_current(&table);
}

/// DURABILITY.md has this table; `UPDATE=1 cargo test --test rotation` puts it there.
fn is_current(table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("DURABILITY.md");
    let text = fs::read_to_string(&path).unwrap();
    let begin = text.find("| rotation |").unwrap();
    let end = begin + text[begin..].find("\n\n").unwrap() + 1;
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, format!("{}{table}{}", &text[..begin], &text[end..])).unwrap();
        return;
    }
    assert_eq!(&text[begin..end], table, "DURABILITY.md is stale: UPDATE=1 cargo test --test rotation");
}
