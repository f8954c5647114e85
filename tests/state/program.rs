//! The program itself with a disk that is full or broken: while it runs, and at its start.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tailmeter::state::FILE;

use crate::harness::{Exporter, append, ended, request, run, sum, tailmeter, until, wait};

/// A disk that can be made to fail.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/state/fail.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .arg(folder.path().join("fail.so"))
            .arg(source)
            .arg("-ldl")
            .status();
        assert!(compiled.expect("cc, which builds SQLite, too").success());
        let disk = Self { folder };
        disk.fails("");
        disk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// From now on these calls fail: `write`, `sync` or none.
    fn fails(&self, what: &str) {
        fs::write(self.path("new"), what).unwrap();
        fs::rename(self.path("new"), self.path("orders")).unwrap();
    }

    /// The program, reading `a.log`, with its state on this disk.
    fn program(&self) -> Command {
        let mut command = tailmeter();
        command.args(["run", "--listen", "127.0.0.1:0", "--haproxy"]).arg(self.path("a.log"));
        command.arg("--state-dir").arg(self.path("state"));
        command.env("LD_PRELOAD", self.path("fail.so")).env("FAIL", self.path("orders"));
        command
    }
}

fn survives(what: &str, words: &str) {
    let disk = Disk::new();
    let log = disk.path("a.log");
    append(&log, &request());
    let mut exporter = Exporter::started(&mut disk.program());
    exporter.until_sum("haproxy_log_requests_total", 1.0);

    disk.fails(what);
    (0..4).for_each(|_| append(&log, &request()));
    let errors = |text: &str| sum(text, "tailmeter_checkpoint_errors_total");
    let mut text = String::new();
    until("two failures", || {
        text = exporter.metrics();
        assert_eq!(sum(&text, "haproxy_log_requests_total"), 1.0, "what is shown has been committed");
        assert_eq!(sum(&text, "tailmeter_lines_total"), 1.0);
        errors(&text) >= 2.0
    });
    assert!(sum(&text, "tailmeter_checkpoint_age_seconds") > 0.2, "{text}");
    let said = exporter.says();
    assert!(said.contains(words) && said.ends_with("what was committed last is shown"), "{said}");

    disk.fails("");
    exporter.until_sum("haproxy_log_requests_total", 5.0);
    // Once when it began, once when it ended.
    assert_eq!(exporter.says(), "the state is committed again");

    exporter.child.kill().unwrap();
    wait(&mut exporter.child);
    let mut again = Exporter::started(&mut disk.program());
    let text = again.metrics();
    assert_eq!((sum(&text, "haproxy_log_requests_total"), sum(&text, "tailmeter_lines_total")), (5.0, 5.0));

    // A last checkpoint that fails is said, and what it would have kept is read again.
    disk.fails(what);
    append(&log, &request());
    until("the line", || again.get("/").1.contains(">6</td>"));
    let started = Instant::now();
    again.signal("TERM");
    assert_eq!(wait(&mut again.child).code(), Some(1));
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    let refused = ended(&mut disk.program());
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains(words), "{refused:?}");
    disk.fails("");
    let exporter = Exporter::started(&mut disk.program());
    exporter.until_sum("haproxy_log_requests_total", 6.0);
}

#[test]
fn a_full_disk_is_survived() {
    survives("write", "no space is left for the state");
}

#[test]
fn errors_of_the_device_are_survived() {
    survives("sync", "disk I/O error");
}

/// A disk that does not answer holds up neither counting nor, for long, a scrape.
#[test]
fn a_disk_that_hangs_is_waited_for_in_the_background() {
    let disk = Disk::new();
    let log = disk.path("a.log");
    append(&log, &request());
    let exporter = Exporter::started(&mut disk.program());
    exporter.until_sum("haproxy_log_requests_total", 1.0);
    disk.fails("hang");
    for count in 2..5 {
        append(&log, &request());
        until("the count", || exporter.get("/").1.contains(&format!(">{count}</td>")));
        let started = Instant::now();
        assert_eq!(sum(&exporter.metrics(), "haproxy_log_requests_total"), 1.0);
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    }
    disk.fails("");
    exporter.until_sum("haproxy_log_requests_total", 4.0);
}

#[test]
fn a_damaged_state_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(FILE), "").unwrap();
    let state = folder.path().to_str().unwrap();
    let refused = run(["run", "--listen", "127.0.0.1:0", "--haproxy", "/nowhere", "--state-dir", state]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let words = "is damaged (it is empty): going on with it could give wrong counts. \
                 Put a good copy in its place, or move it away to begin anew\n";
    assert!(refused.stderr.ends_with(words), "{refused:?}");
}
