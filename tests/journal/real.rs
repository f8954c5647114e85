//! The real `journalctl`, over what systemd-journal-remote makes of entries in the export format.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tailmeter::source::file::Start;
use tailmeter::source::journal::Options;
use tempfile::TempDir;

use super::{Committed, Running, eventually, runtime};

/// Not on anybody's `PATH`.
const WRITER: &str = "/lib/systemd/systemd-journal-remote";

/// A directory with journal files.
struct Directory(TempDir);

/// Writes a journal file while it runs.
struct Writer(Child);

const BOOTS: [&str; 2] = ["0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"];

/// An entry as the export format has it, made at `second`.
fn entry(boot: &str, second: u64, identifier: &str, message: &[u8]) -> Vec<u8> {
    let microseconds = second * 1_000_000;
    let mut out = format!(
        "__REALTIME_TIMESTAMP={microseconds}\n__MONOTONIC_TIMESTAMP={microseconds}\n_BOOT_ID={boot}\n_HOSTNAME=lb1\n\
         SYSLOG_IDENTIFIER={identifier}\n_PID=7\nMESSAGE\n"
    )
    .into_bytes();
    out.extend((message.len() as u64).to_le_bytes());
    out.extend(message);
    out.extend(b"\n\n");
    out
}

/// Entries with the numbers as messages, made in their order.
fn numbered(numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
    numbers
        .into_iter()
        .flat_map(|number| entry(BOOTS[0], 1_000_000_000 + number, "haproxy", number.to_string().as_bytes()))
        .collect()
}

impl Writer {
    fn write(&mut self, entries: &[u8]) {
        self.0.stdin.as_mut().unwrap().write_all(entries).unwrap();
    }

    fn close(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success());
    }
}

impl Directory {
    fn new() -> Self {
        Directory(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name).with_extension("journal")
    }

    fn writer(&self, name: &str) -> Writer {
        let output = format!("--output={}", self.file(name).display());
        let mut command = Command::new(WRITER);
        command.args([&output, "-"]).stdin(Stdio::piped()).stderr(Stdio::null());
        Writer(
            command.spawn().unwrap_or_else(|error| panic!("{WRITER}, of the package systemd-journal-remote: {error}")),
        )
    }

    fn write(&self, name: &str, entries: &[u8]) {
        let mut writer = self.writer(name);
        writer.write(entries);
        writer.close();
    }

    fn options(&self) -> Options {
        Options { directory: Some(self.0.path().to_owned()), start: Start::Beginning, ..Options::default() }
    }
}

#[test]
fn entries_come_as_they_are_written() {
    runtime().block_on(async {
        let directory = Directory::new();
        let mut writer = directory.writer("live");
        writer.write(&entry(BOOTS[0], 1_769_948_054, "haproxy", b"first"));
        eventually("a file", || directory.file("live").exists()).await;
        let committed = Committed::default();
        let running = Running::start(directory.options(), &committed);
        committed.has(&["first"]).await;
        running.caught_up().await;
        for (number, message) in ["second", "third ", "fourth"].iter().enumerate() {
            writer.write(&entry(BOOTS[0], 1_769_948_055 + number as u64, "haproxy", message.as_bytes()));
            eventually(message, || committed.count() == number + 2).await;
        }
        assert_eq!(committed.0.lock().unwrap().lines[0], "2026-02-01T12:14:14.000000+00:00 lb1 haproxy[7]: first");
        assert!(running.status.up());
        assert_eq!(running.status.errors(), 0, "{}", running.metrics.render());
        running.stop().await;
        writer.close();
    });
}

#[test]
fn binary_and_long_messages_come_as_one_line() {
    runtime().block_on(async {
        let directory = Directory::new();
        let long = [&b"z".repeat(300_000)[..], b"\n\x01\xff"].concat();
        let messages: [&[u8]; 4] = [b"two\nlines\n", b"\x00\x1b[0m\xff", &long, b"last"];
        let entries =
            messages.iter().enumerate().flat_map(|(at, message)| entry(BOOTS[0], at as u64 + 1, "t", message));
        directory.write("a", &entries.collect::<Vec<_>>());
        for limit in [400_000, 1000] {
            let committed = Committed::default();
            let running = Running::start(Options { max_line_bytes: limit, ..directory.options() }, &committed);
            let prefix = "1970-01-01T00:00:03.000000+00:00 lb1 t[7]: ".len();
            let third = match limit {
                1000 => format!("{}[cut]", "z".repeat(1000 - prefix)),
                _ => format!("{}#012\u{1}\u{fffd}", "z".repeat(300_000)),
            };
            committed.has(&["two#012lines", "\0\u{1b}[0m\u{fffd}", &third, "last"]).await;
            running.stop().await;
        }
    });
}

/// Stopped at random moments while entries come, and started again with the cursor that was committed.
#[test]
fn a_restart_with_a_cursor_repeats_and_loses_nothing() {
    runtime().block_on(async {
        let directory = Directory::new();
        let mut writer = directory.writer("live");
        let committed = Committed::default();
        let mut written = 0;
        for round in 1..=12 {
            let more = 1 + round * 37 % 101;
            writer.write(&numbered(written..written + more));
            written += more;
            eventually("a file", || directory.file("live").exists()).await;
            let before = committed.count();
            let running = Running::start(directory.options(), &committed);
            let enough = before + (round as usize * 53) % (written as usize - before);
            eventually("some", || committed.count() >= enough).await;
            running.stop().await;
        }
        let running = Running::start(directory.options(), &committed);
        let expected: Vec<String> = (0..written).map(|number| number.to_string()).collect();
        eventually("all", || committed.count() >= expected.len()).await;
        writer.write(&numbered([written]));
        eventually("one more", || committed.count() > expected.len()).await;
        assert_eq!(running.errors("vacuumed"), 0);
        running.stop().await;
        writer.close();
        assert_eq!(committed.messages()[..expected.len()], expected);
        assert_eq!(committed.count() as u64, written + 1);
    });
}

#[test]
fn from_the_end_on_nothing_old_comes_and_nothing_new_is_missed() {
    runtime().block_on(async {
        for old in [0, 5] {
            let directory = Directory::new();
            let mut writer = directory.writer("live");
            writer.write(&entry(BOOTS[0], 1, "other", b"not asked for"));
            writer.write(&numbered(0..old));
            let options = Options { start: Start::End, identifiers: vec!["haproxy".into()], ..directory.options() };
            eventually("written", || count(&directory) as u64 == old + 1).await;
            let committed = Committed::default();
            let running = Running::start(options.clone(), &committed);
            running.caught_up().await;
            assert_eq!(committed.count(), 0);
            running.stop().await;
            // Also what is written while it does not run, once it has found the end.
            writer.write(&numbered(old..old + 2));
            writer.write(&entry(BOOTS[0], 1_000_000_100, "other", b"not asked for"));
            eventually("written", || count(&directory) as u64 == old + 4).await;
            if old > 0 {
                let running = Running::start(options, &committed);
                committed.has(&["5", "6"]).await;
                assert_eq!(running.errors("vacuumed"), 0);
                running.stop().await;
            }
            writer.close();
        }
    });
}

/// Entries in the directory, by the real program.
fn count(directory: &Directory) -> usize {
    let output =
        Command::new("journalctl").arg("--directory").arg(directory.0.path()).args(["-q", "-o", "cat"]).output();
    output.unwrap().stdout.split(|&byte| byte == b'\n').count() - 1
}

#[test]
fn entries_of_earlier_boots_come_too() {
    runtime().block_on(async {
        let directory = Directory::new();
        directory.write("a", &[entry(BOOTS[0], 100, "t", b"1"), entry(BOOTS[0], 101, "t", b"2")].concat());
        directory.write("b", &[entry(BOOTS[1], 200, "t", b"3"), entry(BOOTS[1], 201, "t", b"4")].concat());
        let committed = Committed::default();
        let running = Running::start(directory.options(), &committed);
        committed.has(&["1", "2", "3", "4"]).await;
        running.stop().await;
    });
}

#[test]
fn a_cursor_that_is_gone_is_told_and_reading_goes_on() {
    runtime().block_on(async {
        let directory = Directory::new();
        directory.write("a", &numbered(10..13));
        let committed = Committed::default();
        let running = Running::start(directory.options(), &committed);
        committed.has(&["10", "11", "12"]).await;
        running.stop().await;
        fs::remove_file(directory.file("a")).unwrap();
        directory.write("b", &numbered(20..23));
        let running = Running::start(directory.options(), &committed);
        committed.has(&["10", "11", "12", "20", "21", "22"]).await;
        assert_eq!(running.errors("vacuumed"), 1);
        assert!(running.status.up());
        running.stop().await;
        // Once more, and all there is was made earlier: the clock was set back.
        fs::remove_file(directory.file("b")).unwrap();
        directory.write("c", &numbered(1..3));
        let running = Running::start(directory.options(), &committed);
        committed.has(&["10", "11", "12", "20", "21", "22", "1", "2"]).await;
        assert_eq!(running.errors("vacuumed"), 1);
        running.stop().await;
    });
}

/// As after a power cut: the journal's last entries never reached the disk.
#[test]
fn a_journal_that_lost_its_end_is_not_counted_again() {
    runtime().block_on(async {
        let directory = Directory::new();
        directory.write("a", &numbered(1..4));
        let saved = fs::read(directory.file("a")).unwrap();
        directory.write("a", &numbered(4..6));
        let committed = Committed::default();
        let running = Running::start(directory.options(), &committed);
        committed.has(&["1", "2", "3", "4", "5"]).await;
        running.stop().await;
        fs::write(directory.file("a"), saved).unwrap();
        let running = Running::start(directory.options(), &committed);
        running.caught_up().await;
        assert_eq!(running.errors("vacuumed"), 1);
        directory.write("a", &numbered(7..9));
        committed.has(&["1", "2", "3", "4", "5", "7", "8"]).await;
        running.stop().await;
    });
}

/// The entry at the cursor is not asked for any more, but it is there: nothing was lost.
#[test]
fn other_matches_are_no_loss() {
    runtime().block_on(async {
        let directory = Directory::new();
        let entries = |identifier: &str, from: u64| {
            let message = |number: u64| format!("{identifier}{number}");
            (from..from + 2)
                .flat_map(|number| entry(BOOTS[0], number, identifier, message(number).as_bytes()))
                .collect::<Vec<_>>()
        };
        directory.write("a", &[entries("a", 1), entries("b", 3)].concat());
        let of = |identifier: &str| Options { identifiers: vec![identifier.into()], ..directory.options() };
        let committed = Committed::default();
        let running = Running::start(of("a"), &committed);
        committed.has(&["a1", "a2"]).await;
        running.stop().await;
        let running = Running::start(of("b"), &committed);
        committed.has(&["a1", "a2", "b3", "b4"]).await;
        assert_eq!(running.errors("vacuumed"), 0);
        running.stop().await;
    });
}
