//! Following real files end to end: writer, system, watcher, followers and sinks together, once with wakes
//! and once polling only. What one look does is tested beside its code.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs::{self, OpenOptions};
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tailmeter::source::file::{File, Options, Position, Start, Tailer, replay};
use tailmeter::source::{Block, Identity, Sink, Status};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

#[path = "tail/coming.rs"]
mod coming;

/// How long something may take that takes milliseconds on a machine with nothing else to do.
const DEADLINE: Duration = Duration::from_secs(30);

/// Lines as they came, without newlines; cut ones end in a mark.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<Vec<u8>>>>);

impl Sink for Lines {
    fn block(&mut self, block: Block<'_>) {
        let mut lines = self.0.lock().unwrap();
        for line in block.lines.split_inclusive(|&byte| byte == b'\n') {
            let mut line = line.strip_suffix(b"\n").unwrap_or(line).to_vec();
            if block.cut {
                line.extend(b"[cut]");
            }
            lines.push(line);
        }
    }
}

impl Lines {
    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn text(&self) -> Vec<String> {
        let text = |line: &Vec<u8>| String::from_utf8_lossy(line).into_owned();
        self.0.lock().unwrap().iter().map(text).collect()
    }
}

/// A tailer that runs on a file in a temporary directory.
struct Running {
    directory: TempDir,
    path: PathBuf,
    lines: Lines,
    status: Arc<Status>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

fn options(wakes: bool) -> Options {
    Options {
        start: Start::Beginning,
        coalesce: Duration::from_millis(2),
        // With wakes, the slow tick never comes within the deadline: what passes, passes by wakes.
        tick: if wakes { DEADLINE * 2 } else { Duration::from_millis(20) },
        linger: Duration::from_millis(20),
        wakes,
        ..Options::default()
    }
}

fn append(path: &Path, bytes: impl AsRef<[u8]>) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(bytes.as_ref()).unwrap();
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

impl Running {
    async fn start(before: &[u8], options: Options) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("haproxy.log");
        fs::write(&path, before).unwrap();
        Self::start_in(directory, options).await
    }

    async fn start_in(directory: TempDir, options: Options) -> Self {
        let path = directory.path().join("haproxy.log");
        let lines = Lines::default();
        let tailer = Tailer::new(vec![File::new(&path, Box::new(lines.clone()))], options);
        let (_, status) = tailer.statuses().remove(0);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(tailer.run(async {
            stopped.await.unwrap();
        }));
        let looked = status.clone();
        eventually("the first look", || looked.looked_once()).await;
        Running { directory, path, lines, status, stop, task }
    }

    fn append(&self, bytes: impl AsRef<[u8]>) {
        append(&self.path, bytes);
    }

    fn rename(&self, to: &str) -> PathBuf {
        let to = self.directory.path().join(to);
        fs::rename(&self.path, &to).unwrap();
        to
    }

    /// Waits until these lines have come, and nothing else.
    async fn has(&self, expected: &[&str]) {
        let wait = format!("{expected:?}");
        eventually(&wait, || self.lines.count() >= expected.len()).await;
        assert_eq!(self.lines.text(), expected);
    }

    async fn stop(self) -> Vec<String> {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
        self.lines.text()
    }
}

/// Runs a test both ways.
fn both<F: Future<Output = ()>>(test: impl Fn(bool) -> F) {
    for wakes in [true, false] {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(test(wakes));
    }
}

#[test]
fn appended_lines_come_as_they_are_completed() {
    both(|wakes| async move {
        let running = Running::start(b"before\n", options(wakes)).await;
        running.has(&["before"]).await;
        running.append("one\ntwo\nthr");
        running.has(&["before", "one", "two"]).await;
        running.append(b"ee\n\x00\xff\n\n");
        running.has(&["before", "one", "two", "three", "\0\u{fffd}", ""]).await;
        eventually("no lag", || running.status.lag_bytes() == 0).await;
        assert_eq!(running.status.offset(), running.status.size());
        assert_eq!(running.status.errors(), 0);
        running.append("held back");
        assert_eq!(running.stop().await.len(), 6, "an incomplete line is not delivered at shutdown");
    });
}

#[test]
fn shutdown_looks_a_last_time() {
    both(|wakes| async move {
        let slow = Options { coalesce: DEADLINE, tick: DEADLINE, ..options(wakes) };
        let running = Running::start(b"", slow).await;
        running.append("last\n");
        assert_eq!(running.stop().await, ["last"]);
    });
}

#[test]
fn a_missing_file_is_picked_up_from_its_beginning() {
    both(|wakes| async move {
        let from_end = Options { start: Start::End, ..options(wakes) };
        let running = Running::start_in(tempfile::tempdir().unwrap(), from_end).await;
        assert!(!running.status.up());
        running.append("first\n");
        running.has(&["first"]).await;
        running.append("second\n");
        running.has(&["first", "second"]).await;
        assert!(running.status.up());
        assert_eq!(running.status.errors(), 1);
    });
}

#[test]
fn a_directory_in_the_files_place_gives_way_to_the_file() {
    both(|wakes| async move {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("haproxy.log")).unwrap();
        let short_pauses = Options { tick: Duration::from_millis(50), ..options(wakes) };
        let running = Running::start_in(directory, short_pauses).await;
        assert!(!running.status.up());
        fs::remove_dir(&running.path).unwrap();
        running.append("a\n");
        running.has(&["a"]).await;
        // And later: the file goes, a directory comes, the file comes back.
        fs::remove_file(&running.path).unwrap();
        fs::create_dir(&running.path).unwrap();
        eventually("down", || !running.status.up()).await;
        fs::remove_dir(&running.path).unwrap();
        running.append("b\n");
        running.has(&["a", "b"]).await;
        eventually("up", || running.status.up()).await;
    });
}

#[test]
fn renamed_files_are_drained_before_their_successors() {
    both(|wakes| async move {
        let running = Running::start(b"a\n", options(wakes)).await;
        let old = running.rename("haproxy.log.1");
        append(&old, "b\n");
        running.has(&["a", "b"]).await;
        running.append("");
        append(&old, "c\nunfinished");
        running.has(&["a", "b", "c"]).await;
        running.append("d\n");
        running.has(&["a", "b", "c", "unfinished", "d"]).await;
        running.append("e\n");
        running.has(&["a", "b", "c", "unfinished", "d", "e"]).await;
        assert_eq!((running.status.renames(), running.status.truncations()), (1, 0));
    });
}

#[test]
fn a_file_moved_into_place_does_not_stall() {
    both(|wakes| async move {
        let running = Running::start(b"0\n", options(wakes)).await;
        let mut expected = vec!["0".to_owned()];
        for round in 1..6 {
            let other = running.directory.path().join("other");
            append(&other, format!("{round}\n"));
            fs::rename(&other, &running.path).unwrap();
            eventually("the rename", || running.status.renames() == round).await;
            running.append(format!("{round} more\n"));
            expected.extend([format!("{round}"), format!("{round} more")]);
            let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
            running.has(&expected).await;
        }
    });
}

#[test]
fn a_truncated_file_begins_anew() {
    both(|wakes| async move {
        let running = Running::start(b"a\nb\n", options(wakes)).await;
        running.has(&["a", "b"]).await;
        fs::write(&running.path, "").unwrap();
        eventually("the truncation", || running.status.truncations() == 1).await;
        running.append("c\n");
        running.has(&["a", "b", "c"]).await;
    });
}

#[test]
fn over_long_lines_are_cut_and_skipped() {
    both(|wakes| async move {
        let small = Options { max_line_bytes: 10, block_bytes: 16, ..options(wakes) };
        let running = Running::start(b"", small).await;
        for _ in 0..1000 {
            running.append("0123456789abcdef");
        }
        running.append("\nshort\n");
        running.has(&["0123456789[cut]", "short"]).await;
        assert_eq!(running.status.offset(), 16_007);
    });
}

#[test]
fn many_files_share_one_watcher() {
    both(|wakes| async move {
        let directory = tempfile::tempdir().unwrap();
        let paths: Vec<_> = (0..20).map(|n| directory.path().join(format!("{n}.log"))).collect();
        let sinks: Vec<_> = paths.iter().map(|_| Lines::default()).collect();
        let file = |(path, sink): (&PathBuf, &Lines)| File::new(path, Box::new(sink.clone()));
        let files = paths.iter().zip(&sinks).map(file).collect();
        let (stop, stopped) = oneshot::channel::<()>();
        let tailer = Tailer::new(files, options(wakes));
        let task = tokio::spawn(tailer.run(async { drop(stopped.await) }));
        for round in 1..=5 {
            for path in &paths {
                append(path, format!("{round}\n"));
            }
            eventually("all", || sinks.iter().all(|sink| sink.count() == round)).await;
        }
        drop(stop);
        task.await.unwrap();
    });
}

#[test]
fn a_busy_file_among_quiet_ones_keeps_every_wake() {
    both(|wakes| async move {
        let directory = tempfile::tempdir().unwrap();
        let (busy, quiet) = (directory.path().join("busy"), directory.path().join("quiet"));
        let sinks = [Lines::default(), Lines::default()];
        let files = vec![File::new(&busy, Box::new(sinks[0].clone())), File::new(&quiet, Box::new(sinks[1].clone()))];
        let (stop, stopped) = oneshot::channel::<()>();
        let tailer = Tailer::new(files, options(wakes));
        let task = tokio::spawn(tailer.run(async { drop(stopped.await) }));
        let mut written = 0;
        for round in 1..=10 {
            // Long enough in each round for the busy file's watch to be dropped and come back.
            let until = Instant::now() + Duration::from_millis(40);
            while Instant::now() < until {
                append(&busy, "x\n");
                written += 1;
            }
            append(&quiet, "y\n");
            eventually("the quiet one", || sinks[1].count() == round).await;
            eventually("the busy one", || sinks[0].count() == written).await;
        }
        drop(stop);
        task.await.unwrap();
    });
}

/// Random appends, partial appends and rotations of every kind by a writer that knows nothing of the
/// reader, except that it lets each file be seen before it rotates it away.
#[test]
fn random_histories_lose_and_repeat_nothing() {
    both(|wakes| async move {
        let mut histories = tokio::task::JoinSet::new();
        for seed in 0..50 {
            histories.spawn(history(seed, wakes));
        }
        while let Some(ended) = histories.join_next().await {
            ended.unwrap();
        }
    });
}

async fn history(seed: u64, wakes: bool) {
    let mut state = seed;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let running = Running::start(b"", options(wakes)).await;
    let (mut expected, mut rotations, mut partial) = (Vec::new(), 0, String::new());
    for step in 0..60 {
        match random(7) {
            0..4 => {
                let text = format!("{seed}.{step}");
                running.append(format!("{text}\n"));
                expected.push(std::mem::take(&mut partial) + &text);
            }
            4 => {
                running.append(format!("({step})"));
                partial += &format!("({step})");
            }
            5 if rotations < 6 => {
                let seen = format!("seed {seed}: rotation {rotations} of step {step}");
                eventually(&seen, || running.status.renames() == rotations).await;
                let next = running.directory.path().join("next");
                if random(2) == 0 {
                    append(&next, format!("first after {step}\n"));
                    fs::rename(&next, &running.path).unwrap();
                } else {
                    let old = running.rename(&format!("old{step}"));
                    append(&old, format!("late {step}\n"));
                    expected.push(std::mem::take(&mut partial) + &format!("late {step}"));
                    if random(2) == 0 {
                        tokio::task::yield_now().await;
                    }
                    running.append(format!("first after {step}\n"));
                }
                if !partial.is_empty() {
                    expected.push(std::mem::take(&mut partial));
                }
                expected.push(format!("first after {step}"));
                rotations += 1;
            }
            // A pause of the writer, so that looks fall between all kinds of steps.
            _ => tokio::time::sleep(Duration::from_millis(random(8))).await,
        }
    }
    let all = format!("seed {seed}: {} lines", expected.len());
    eventually(&all, || running.lines.count() >= expected.len()).await;
    assert_eq!(running.stop().await, expected, "seed {seed}");
}

#[test]
fn reading_resumes_where_it_stood() {
    both(|wakes| async move {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mail.log");
        fs::write(&path, "counted\nnot yet\n").unwrap();
        let found = fs::metadata(&path).unwrap();
        use std::os::unix::fs::MetadataExt;
        let file = Identity { device: found.dev(), inode: found.ino() };
        let lines = Lines::default();
        let resumed =
            File::new(&path, Box::new(lines.clone())).resume(Position { file, offset: 8, ..Position::default() });
        let tailer = Tailer::new(vec![resumed], Options { start: Start::End, ..options(wakes) });
        tailer.run(std::future::ready(())).await;
        assert_eq!(lines.text(), ["not yet"]);
    });
}

/// Gives its bytes in pieces of odd sizes, and is interrupted now and then, as pipes are.
struct Pieces(Cursor<Vec<u8>>, usize);

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.1 += 1;
        if self.1.is_multiple_of(5) {
            return Err(std::io::ErrorKind::Interrupted.into());
        }
        let size = buffer.len().min(self.1 % 13 + 1);
        self.0.read(&mut buffer[..size])
    }
}

#[test]
fn a_replay_delivers_every_line_to_the_last() {
    let text: String = (0..5000).map(|n| format!("line {n}\n")).collect::<String>() + "end";
    for block_bytes in [1, 100, 1024 * 1024] {
        let mut lines = Lines::default();
        let mut progress = Vec::new();
        let options = Options { block_bytes, ..Options::for_replay() };
        let mut pieces = Pieces(Cursor::new(text.clone().into_bytes()), 0);
        replay(&mut pieces, &options, &mut lines, &mut |bytes| progress.push(bytes)).unwrap();
        assert_eq!(lines.text(), text.lines().collect::<Vec<_>>());
        assert_eq!(progress.last(), Some(&(text.len() as u64)));
        assert!(progress.is_sorted());
    }
}

#[test]
fn telemetry_is_labelled_with_the_configured_path() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("haproxy.log");
    fs::write(&path, "a\nb\npart").unwrap();
    let missing = directory.path().join("missing.log");
    let file = |path: &PathBuf| File::new(path, Box::new(Lines::default()));
    let tailer =
        metrics::with_local_recorder(&recorder, || Tailer::new(vec![file(&path), file(&missing)], options(false)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(tailer.run(std::future::ready(())));
    let shown = handle.render();
    for (name, path, rest, value) in [
        ("tailmeter_source_up", &path, "", 1),
        ("tailmeter_source_up", &missing, "", 0),
        ("tailmeter_source_lag_bytes", &path, "", 0),
        ("tailmeter_source_lag_seconds", &path, "", 0),
        ("tailmeter_source_errors_total", &missing, ",kind=\"missing\"", 1),
        ("tailmeter_source_errors_total", &path, ",kind=\"read\"", 0),
    ] {
        let line = format!("{name}{{source=\"{}\"{rest}}} {value}", path.display());
        assert!(shown.lines().any(|shown| shown == line), "{line} in\n{shown}");
    }
}

/// A daemon that opens its log by name for every line, and the real logrotate.
#[test]
fn logrotate_costs_no_line() {
    both(|wakes| async move {
        for creation in ["create", "nocreate"] {
            let running = Running::start(b"", options(wakes)).await;
            let configuration = running.directory.path().join("logrotate.conf");
            let log = running.path.display();
            let text = format!("{log} {{\n rotate 20\n {creation}\n compress\n delaycompress\n}}\n");
            fs::write(&configuration, text).unwrap();
            for rotation in 1..=9 {
                for line in 0..400 {
                    running.append(format!("{rotation}/{line}\n"));
                }
                // What is in the file when it is rotated need not be read yet, but the file must be open.
                let followed = || running.status.renames() == rotation - 1;
                eventually("the rotation before", followed).await;
                let done = std::process::Command::new("logrotate")
                    .arg("--force")
                    .arg("--state")
                    .arg(running.directory.path().join("state"))
                    .arg(&configuration)
                    .output()
                    .expect("logrotate is installed");
                assert!(done.status.success(), "{done:?}");
            }
            running.append("end\n");
            eventually("the last line", || running.lines.count() > 9 * 400).await;
            let mut expected: Vec<String> =
                (1..=9).flat_map(|rotation| (0..400).map(move |line| format!("{rotation}/{line}"))).collect();
            expected.push("end".into());
            assert_eq!(running.stop().await, expected);
        }
    });
}
