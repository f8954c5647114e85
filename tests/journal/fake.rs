//! A `journalctl` of our own: what it does is a shell script for each way in which it is called.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tailmeter::source::file::Start;
use tailmeter::source::journal::Options;
use tempfile::TempDir;

use super::{Committed, Running, eventually, runtime};

struct Fake(TempDir);

const SCRIPT: &str = r#"#!/bin/sh
cd "${0%/*}"
echo "$*" >>calls
goal=locate
for argument; do
    case $argument in
    --follow) goal=follow ;;
    --lines=1) goal=last ;;
    --) [ $goal = locate ] && goal=catchup ;;
    esac
done
[ ! -e $goal ] || . ./$goal
"#;

impl Fake {
    fn new() -> Self {
        let fake = Fake(tempfile::tempdir().unwrap());
        fake.install();
        fake.does("follow", "exec sleep 1000");
        fake
    }

    fn install(&self) {
        // Written under another name, since a file that is open for writing cannot be run.
        self.does("new", SCRIPT);
        fs::set_permissions(self.0.path().join("new"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(self.0.path().join("new"), self.0.path().join("journalctl")).unwrap();
    }

    fn does(&self, goal: &str, script: &str) {
        fs::write(self.0.path().join(goal), script).unwrap();
    }

    /// Entries 1 to `last` go to a file of this name.
    fn entries(&self, name: &str, numbers: impl IntoIterator<Item = u32>) {
        let entry = |number: u32| {
            format!(
                "__CURSOR=s=1;i={number:x}\n__REALTIME_TIMESTAMP={number}\nSYSLOG_IDENTIFIER=t\nMESSAGE=m{number}\n\n"
            )
        };
        fs::write(self.0.path().join(name), numbers.into_iter().map(entry).collect::<String>()).unwrap();
    }

    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.0.path().join("calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }

    fn options(&self) -> Options {
        Options {
            name: "fake".to_owned(),
            journalctl: self.0.path().join("journalctl"),
            start: Start::Beginning,
            pauses: (Duration::from_millis(1), Duration::from_millis(4)),
            ..Options::default()
        }
    }
}

#[test]
fn it_is_asked_for_what_the_options_say() {
    runtime().block_on(async {
        let fake = Fake::new();
        let options = Options {
            identifiers: vec!["a".into(), "-b".into()],
            units: vec!["u.service".into()],
            matches: vec!["_UID=0".into(), "+".into(), "_UID=1".into()],
            start: Start::End,
            ..fake.options()
        };
        fake.does("last", "echo __CURSOR=s=1\\;i=5; echo");
        let committed = Committed::default();
        let running = Running::start(options, &committed);
        eventually("three calls", || fake.calls().len() == 3).await;
        running.stop().await;
        let fields = "_SOURCE_REALTIME_TIMESTAMP,_HOSTNAME,SYSLOG_IDENTIFIER,_COMM,SYSLOG_PID,_PID,MESSAGE";
        let common = format!("--output=export --quiet --no-pager --output-fields={fields}");
        let matches = "--identifier=a --identifier=-b --unit=u.service -- _UID=0 + _UID=1";
        let expected = [
            format!("{common} --lines=1 {matches}"),
            format!("{common} --cursor=s=1;i=5 {matches}"),
            format!("{common} --cursor=s=1;i=5 --follow --no-tail --boot=all {matches}"),
        ];
        assert_eq!(fake.calls(), expected);
        assert_eq!(committed.cursor().as_deref(), Some("s=1;i=5"), "the end is a place to come back to");
    });
}

/// It ends after every second entry, and begins each time with the entry that it is given the cursor of.
#[test]
fn each_entry_counts_once_however_often_it_ends() {
    runtime().block_on(async {
        let fake = Fake::new();
        fake.entries("first", 1..=1);
        fake.does("locate", "cat first");
        fake.does("catchup", "cat first");
        fake.does("follow", "n=$(cat n 2>/dev/null || echo 0); echo $((n + 1)) >n; cat follow$n 2>/dev/null || exec sleep 1000; cp next$n first; exit 3");
        for n in 0..5 {
            fake.entries(&format!("follow{n}"), 2 * n + 1..=2 * n + 3);
            fake.entries(&format!("next{n}"), 2 * n + 3..=2 * n + 3);
        }
        let committed = Committed::default();
        let running = Running::start(fake.options(), &committed);
        let expected: Vec<String> = (1..=11).map(|number| format!("m{number}")).collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        committed.has(&expected).await;
        eventually("five ends", || running.errors("exited") == 5).await;
        eventually("up again", || running.status.up()).await;
        assert_eq!(running.status.errors(), 5);
        running.stop().await;
        assert_eq!(committed.messages(), expected);
        assert_eq!(committed.cursor().as_deref(), Some("s=1;i=b"));
    });
}

#[test]
fn a_program_that_is_not_there_is_waited_for() {
    runtime().block_on(async {
        let fake = Fake::new();
        fs::remove_file(fake.0.path().join("journalctl")).unwrap();
        let committed = Committed::default();
        let running = Running::start(fake.options(), &committed);
        eventually("three tries", || running.errors("missing") >= 3).await;
        assert!(!running.status.up());
        assert!(running.status.looked_once());
        fake.entries("entries", 1..=2);
        fake.does("catchup", "cat entries");
        fake.install();
        committed.has(&["m1", "m2"]).await;
        eventually("up", || running.status.up()).await;
        running.stop().await;
    });
}

#[test]
fn pauses_grow_while_nothing_comes() {
    runtime().block_on(async {
        let fake = Fake::new();
        fake.does("catchup", "exit 1");
        let options = Options { pauses: (Duration::from_millis(40), Duration::from_millis(320)), ..fake.options() };
        let began = Instant::now();
        let running = Running::start(options, &Committed::default());
        eventually("five tries", || running.errors("exited") == 5).await;
        assert!(began.elapsed() >= Duration::from_millis(40 + 80 + 160 + 320), "{:?}", began.elapsed());
        assert!(!running.status.up());
        running.stop().await;
    });
}

static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());

#[test]
fn complaints_are_counted_all_and_shown_once_a_minute() {
    runtime().block_on(async {
        let fake = Fake::new();
        let long = "x".repeat(1000);
        fake.does("catchup", &format!("printf 'odd \\033[31m {long}\\nsecond\\n' >&2"));
        fake.does("follow", "printf 'last words' >&2; exit 1");
        let say = |text: std::fmt::Arguments<'_>| SAID.lock().unwrap().push(text.to_string());
        let running = Running::start(Options { say, ..fake.options() }, &Committed::default());
        eventually("complaints", || running.errors("warned") >= 6).await;
        running.stop().await;
        let said = SAID.lock().unwrap();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("fake: journalctl: odd  [31m xxx"), "{said:?}");
        assert!(said[0].len() < 300);
    });
}

/// A process that does not listen, and one that it started.
#[test]
fn shutdown_leaves_no_process() {
    runtime().block_on(async {
        let fake = Fake::new();
        fake.does("follow", "trap '' TERM INT HUP PIPE; sleep 1000 & echo $! >child; echo $$ >parent; wait");
        let running = Running::start(fake.options(), &Committed::default());
        let pid = |name: &str| fs::read_to_string(fake.0.path().join(name)).ok()?.trim().parse::<u32>().ok();
        eventually("both run", || pid("child").is_some() && pid("parent").is_some()).await;
        running.stop().await;
        for name in ["parent", "child"] {
            // A dead one may wait for its parent, which need not be us.
            let stat = format!("/proc/{}/stat", pid(name).unwrap());
            eventually(name, || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "))).await;
        }
    });
}

#[test]
fn one_that_closes_its_output_and_stays_is_ended() {
    runtime().block_on(async {
        let fake = Fake::new();
        fake.does("follow", "exec >&- 2>&-; trap '' TERM; while :; do sleep 0.1; done");
        let running = Running::start(fake.options(), &Committed::default());
        eventually("ended", || running.errors("exited") >= 1).await;
        running.stop().await;
    });
}

#[test]
fn long_and_malformed_entries_harm_no_other() {
    runtime().block_on(async {
        let fake = Fake::new();
        let long = "y".repeat(5000);
        let entry = |cursor: &str, message: &str| format!("{cursor}\nSYSLOG_IDENTIFIER=t\nMESSAGE={message}\n\n");
        let entries = [
            entry("__CURSOR=s=1;i=1", "first"),
            entry("__CURSOR=s=1;i=2", &long),
            entry("__CURSOR=s=1;i=3", "third"),
            entry("OTHER=x", "without a cursor"),
            entry("-- Boot --\n__CURSOR=s=1;i=5", "after a remark"),
            "__CURSOR=s=1;i=6\n_PID=1\n\n".to_owned(),
        ];
        fs::write(fake.0.path().join("entries"), entries.concat()).unwrap();
        fake.does("catchup", "cat entries");
        let committed = Committed::default();
        let running = Running::start(Options { max_line_bytes: 100, ..fake.options() }, &committed);
        let cut = format!("{}[cut]", "y".repeat(100 - "1970-01-01T00:00:00.000000+00:00 - t: ".len()));
        committed.has(&["first", &cut, "third", "without a cursor", "after a remark"]).await;
        running.caught_up().await;
        assert_eq!(running.errors("malformed"), 2);
        assert_eq!(running.status.read_bytes(), entries.concat().len() as u64);
        running.stop().await;
    });
}
