//! Single looks at real files in a temporary directory, with a clock of the test's own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

use tempfile::TempDir;

use super::*;
use crate::source::Block;

mod crashes;
mod starts;

/// Lines, and where reading went on otherwise than behind the line before.
#[derive(Clone, Default)]
struct Collected(Arc<Mutex<Vec<String>>>, Arc<Mutex<(Identity, u64)>>);

impl Sink for Collected {
    fn block(&mut self, block: Block<'_>) {
        let crate::source::End::Offset(end) = block.end else { panic!("{block:?}") };
        self.1.lock().unwrap().1 = end;
        let mut lines = self.0.lock().unwrap();
        for line in block.lines.split_inclusive(|&byte| byte == b'\n') {
            let mut line = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(line)).into_owned();
            if block.cut {
                line.push_str("[cut]");
            }
            lines.push(line);
        }
    }

    fn stands(&mut self, position: crate::source::Position, befell: &[Incident]) {
        befell.iter().for_each(|incident| self.incident(*incident));
        let crate::source::Position::File(Position { file, offset, size, .. }) = position else {
            panic!("{position:?}")
        };
        assert!(size >= offset);
        let before = std::mem::replace(&mut *self.1.lock().unwrap(), (file, offset));
        if before != (file, offset) {
            self.0.lock().unwrap().push(format!("[opened at {offset}]"));
        }
    }

    fn incident(&mut self, incident: Incident) {
        if let Incident::Lost(bytes, reason) = incident {
            self.0.lock().unwrap().push(format!("[lost {bytes}: {}]", reason.as_str()));
        }
    }
}

/// A file that is looked at by hand; each look is 100 ms after the one before.
struct Bench {
    directory: TempDir,
    path: PathBuf,
    tail: Tail,
    status: Arc<Status>,
    collected: Collected,
    now: Instant,
}

fn options() -> Options {
    Options { max_line_bytes: 20, block_bytes: 64, start: Start::Beginning, ..Options::default() }
}

impl Bench {
    fn new(options: Options) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mail.log");
        Self::at(directory, path, options, None)
    }

    fn at(directory: TempDir, path: PathBuf, options: Options, resume: Option<Position>) -> Self {
        let collected = Collected::default();
        let status = Arc::new(Status::default());
        let mut file = File::new(&path, Box::new(collected.clone()));
        file.resume = resume;
        Bench {
            tail: Tail::new(file, &options, status.clone()),
            directory,
            path,
            status,
            collected,
            now: Instant::now(),
        }
    }

    /// Looks until there is nothing more at once, and gives what was delivered.
    fn look(&mut self) -> Vec<String> {
        self.now += Duration::from_millis(100);
        while self.tail.look(self.now).more {}
        std::mem::take(&mut self.collected.0.lock().unwrap())
    }

    /// Looks until a file that was quiet and has a written successor is left.
    fn look_on(&mut self) -> Vec<String> {
        let mut all = self.look();
        self.now += Duration::from_secs(2);
        all.extend(self.look());
        all
    }

    fn append(&self, bytes: impl AsRef<[u8]>) {
        append(&self.path, bytes.as_ref());
    }

    fn rename(&self, to: &str) -> PathBuf {
        let to = self.directory.path().join(to);
        fs::rename(&self.path, &to).unwrap();
        to
    }
}

#[test]
fn what_is_emptied_and_filled_while_it_is_read_is_not_taken_for_the_rest() {
    let mut bench = Bench::new(options());
    bench.append("a\nb\n");
    assert_eq!(bench.look(), ["[opened at 0]", "a", "b"]);
    bench.append("c\n");
    let current = bench.tail.current.as_mut().unwrap();
    assert_eq!(current.observe().unwrap(), Change::Written);
    fs::copy(&bench.path, bench.directory.path().join("mail.log.1")).unwrap();
    fs::write(&bench.path, "new\nand longer\nthan before\n").unwrap();
    assert!(read_blocks(current, &mut bench.tail.splitter, &mut *bench.tail.sink).unwrap(), "look again");
    let mut all = bench.look();
    all.retain(|line| !line.starts_with("[opened"));
    assert_eq!(all, ["c", "new", "and longer", "than before"]);
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

#[test]
fn partial_lines_wait_for_their_end() {
    let mut bench = Bench::new(options());
    bench.append("");
    assert_eq!(bench.look(), ["[opened at 0]"]);
    bench.append("a\nb");
    assert_eq!(bench.look(), ["a"]);
    assert_eq!(bench.status.offset(), 2);
    assert_eq!(bench.status.lag_bytes(), 0);
    bench.append("c");
    assert!(bench.look().is_empty());
    bench.append(b"d\n\0\xff\n");
    assert_eq!(bench.look(), ["bcd", "\0\u{fffd}"]);
    assert_eq!(bench.status.read_bytes(), bench.status.size());
}

#[test]
fn start_at_the_end_keeps_a_line_in_the_writing() {
    let mut bench = Bench::new(Options { start: Start::End, ..options() });
    bench.append("old\nhal");
    assert_eq!(bench.look(), ["[opened at 4]"]);
    bench.append("f\n");
    assert_eq!(bench.look(), ["half"]);
}

#[test]
fn a_file_that_appears_later_is_read_from_its_beginning() {
    let mut bench = Bench::new(Options { start: Start::End, ..options() });
    assert!(bench.look().is_empty());
    assert!(bench.status.looked_once() && !bench.status.up());
    bench.look();
    assert_eq!(bench.status.errors(), 1, "counted once, not per look");
    bench.append("a\n");
    assert_eq!(bench.look(), ["[opened at 0]", "a"]);
    assert!(bench.status.up());
}

#[test]
fn what_is_no_file_is_trouble_until_it_is_one() {
    let mut bench = Bench::new(options());
    fs::create_dir(&bench.path).unwrap();
    bench.look();
    assert_eq!(bench.tail.trouble, Some(Trouble::NotAFile));
    fs::remove_dir(&bench.path).unwrap();
    std::os::unix::fs::symlink(&bench.path, &bench.path).unwrap();
    bench.look();
    assert_eq!(bench.tail.trouble, Some(Trouble::Open), "a loop of links");
    fs::remove_file(&bench.path).unwrap();
    let target = bench.directory.path().join("target.log");
    append(&target, b"a\n");
    std::os::unix::fs::symlink(&target, &bench.path).unwrap();
    assert_eq!(bench.look(), ["[opened at 0]", "a"]);
    assert_eq!((bench.status.errors(), bench.status.up()), (2, true));
    assert_eq!(trouble(&ErrorKind::NotADirectory.into()), Trouble::Missing);
    assert_eq!(trouble(&ErrorKind::PermissionDenied.into()), Trouble::Permission);
}

#[test]
fn a_rename_is_followed_when_the_old_file_is_drained() {
    let mut bench = Bench::new(options());
    bench.append("a\n");
    bench.look();
    let old = bench.rename("mail.log.1");
    append(&old, b"b\n");
    assert_eq!(bench.look(), ["b"], "still written to, no successor");
    assert!(!bench.status.up());
    bench.append("");
    append(&old, b"c\nunfinished");
    assert_eq!(bench.look_on(), ["c"], "an empty successor is no reason to leave");
    assert!(bench.status.up());
    bench.append("d\n");
    assert_eq!(bench.look(), ["unfinished", "[opened at 0]", "d"]);
    assert_eq!((bench.status.renames(), bench.status.lag_bytes()), (1, 0));
    append(&old, b" no more\n");
    assert!(bench.look().is_empty());
}

#[test]
fn the_successor_waits_while_the_old_file_grows() {
    let mut bench = Bench::new(options());
    bench.append("a\n");
    bench.look();
    let old = bench.rename("mail.log.1");
    bench.append("x\n");
    for line in ["b\n", "c\n", "d\n"] {
        append(&old, line.as_bytes());
        bench.now += Duration::from_secs(2);
        assert_eq!(bench.look(), [line.trim()]);
        assert_eq!(bench.status.lag_bytes(), 2);
    }
    assert_eq!(bench.look_on(), ["[opened at 0]", "x"]);
}

#[test]
fn no_file_that_a_look_saw_is_lost() {
    let mut bench = Bench::new(options());
    for (number, name) in ["one", "two", "three", "four"].iter().enumerate() {
        bench.append(format!("{number}\n"));
        bench.look();
        let old = bench.rename(name);
        append(&old, b"after\n");
        fs::remove_file(old).unwrap();
    }
    bench.append("last\n");
    let mut all = Vec::new();
    for _ in 0..10 {
        all.extend(bench.look_on().into_iter().filter(|line| !line.starts_with('[')));
    }
    // The first look delivered 0 by itself, and the look after the first rename what followed it.
    assert_eq!(all, ["1", "after", "2", "after", "3", "after", "last"]);
    assert_eq!(bench.status.renames(), 4);
}

#[test]
fn a_file_moved_into_place_is_read_from_its_beginning() {
    let mut bench = Bench::new(options());
    bench.append("a\n");
    bench.look();
    let other = bench.directory.path().join("other");
    append(&other, b"b\nc\n");
    fs::rename(&other, &bench.path).unwrap();
    assert_eq!(bench.look_on(), ["[opened at 0]", "b", "c"]);
}

#[test]
fn a_truncated_file_begins_anew() {
    let mut bench = Bench::new(options());
    bench.append("a\nb\nc");
    bench.look();
    fs::write(&bench.path, "d\n").unwrap();
    assert_eq!(bench.look(), ["[lost 1: truncated]", "[opened at 0]", "d"]);
    assert_eq!((bench.status.truncations(), bench.status.renames()), (1, 0));
}

#[test]
fn long_lines_are_cut_across_looks() {
    let mut bench = Bench::new(options());
    for _ in 0..30 {
        bench.append("0123456789");
        bench.look();
    }
    bench.append("\nshort\n");
    assert_eq!(bench.look(), ["01234567890123456789[cut]", "short"]);
}

#[test]
fn a_backlog_is_read_in_several_looks() {
    let mut bench = Bench::new(options());
    bench.append("0123456789\n".repeat(1000));
    let outcome = bench.tail.look(bench.now);
    assert!(outcome.more && outcome.read < 11_000);
    assert!(bench.status.lag_bytes() > 0);
    bench.look();
    assert_eq!((bench.status.offset(), bench.status.lag_bytes()), (11_000, 0));
}

#[test]
fn reading_resumes_in_the_file_that_was_read() {
    let mut bench = Bench::new(options());
    bench.append("a\nb\n");
    bench.look();
    let file = bench.status.identity();
    for (resume, expected) in [
        (Position { file, offset: 2, ..Position::default() }, vec!["[opened at 2]", "b"]),
        (Position { file, offset: 5, ..Position::default() }, vec!["[opened at 0]", "a", "b"]),
        (Position { offset: 2, ..Position::default() }, vec!["[opened at 0]", "a", "b"]),
    ] {
        let options = Options { start: Start::End, ..options() };
        let Bench { directory, path, .. } = bench;
        bench = Bench::at(directory, path, options, Some(resume));
        assert_eq!(bench.look(), expected);
    }
}

/// Random appends, partial appends, renames, deletions and looks, against a list of what was written.
#[test]
fn random_histories_lose_and_repeat_nothing() {
    for seed in 0..300u64 {
        let mut state = seed;
        let mut random = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut bench = Bench::new(options());
        let (mut written, mut delivered) = (Vec::new(), Vec::new());
        // The file being written, which after a rename is not the one at the path for a while.
        let mut writing = bench.path.clone();
        let mut open_line = String::new();
        for step in 0..120 {
            match random(8) {
                0..3 => {
                    let text = format!("{seed}.{step}");
                    append(&writing, format!("{text}\n").as_bytes());
                    written.push(std::mem::take(&mut open_line) + &text);
                }
                3 => {
                    let text = format!("p{step}.");
                    append(&writing, text.as_bytes());
                    open_line += &text;
                }
                4 if writing == bench.path && writing.exists() => {
                    // What was written to this file before the rename has to be seen before the next.
                    delivered.extend(bench.look());
                    writing = bench.rename(&format!("old{step}"));
                }
                5 if writing != bench.path => {
                    if !open_line.is_empty() {
                        written.push(std::mem::take(&mut open_line));
                    }
                    writing = bench.path.clone();
                    bench.append(format!("new{step}\n"));
                    written.push(format!("new{step}"));
                }
                6 => delivered.extend(bench.look_on()),
                _ => delivered.extend(bench.look()),
            }
        }
        for _ in 0..30 {
            delivered.extend(bench.look_on());
        }
        delivered.retain(|line| !line.starts_with('['));
        let cut = |line: &String| match line.len() {
            ..=20 => line.clone(),
            _ => format!("{}[cut]", &line[..20]),
        };
        let expected: Vec<String> = written.iter().map(cut).collect();
        assert_eq!(delivered, expected, "seed {seed}");
    }
}
