//! States that are not as they were written: refused at the start, with words, or as good as whole. Never taken for
//! something that they are not.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tailmeter::config::Config;
use tailmeter::state::FILE;

use crate::lines::{Line, Random};
use crate::run::{Run, feed, offset};

/// What the log's metrics were at each offset of the first source that was committed.
type History = BTreeMap<u64, String>;

/// A state with a few hundred rows, made by several commits and closed in an orderly way, or left as a crash leaves it.
fn state(is_sudden: bool) -> (tempfile::TempDir, History) {
    state_of(is_sudden, |folder| Run::begin(&Config::default(), folder).unwrap())
}

/// The same of a run that `begin` begins.
fn state_of(is_sudden: bool, begin: impl FnOnce(&Path) -> Run) -> (tempfile::TempDir, History) {
    let folder = tempfile::tempdir().unwrap();
    let (mut history, mut end) = (History::new(), 0);
    let run = begin(folder.path());
    let [mut one, ..] = run.feeds();
    history.insert(0, String::new());
    for commit in 0..8u64 {
        let lines = (0..40).map(|number| Line::of(1000 * commit + number).0).collect::<Vec<_>>();
        let block = [lines.join(&b'\n'), b"\n".to_vec()].concat();
        end += block.len() as u64;
        feed(&mut one, &block, end);
        run.checkpoint().unwrap();
        let again = copy(folder.path());
        let same = Run::begin(&Config::default(), again.path()).unwrap();
        let _ = same.feeds();
        history.insert(end, same.scrape().0);
    }
    let left = if is_sudden { copy(folder.path()) } else { folder };
    drop(run);
    (left, history)
}

fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
    }
    to
}

/// Starts with a damaged state: true when it was refused. If it was not, counts and position fit each other.
#[track_caller]
fn is_refused(folder: &Path, history: &History, what: &str) -> bool {
    let before = fs::read(folder.join(FILE)).unwrap();
    match Run::begin(&Config::default(), folder) {
        Ok(run) => {
            let [one, ..] = run.feeds();
            let shown = run.scrape().0;
            assert!(history.get(&offset(&one)) == Some(&shown), "{what}: taken as {} bytes in:\n{shown}", offset(&one));
            false
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains(FILE), "{what}: {text}");
            assert!(before.len() == fs::read(folder.join(FILE)).unwrap().len(), "{what}: it is left as it is");
            true
        }
    }
}

/// Flips bits of `file` one at a time, half of them where something stands.
fn flip_bits(file: &str, is_sudden: bool, flips: usize) -> usize {
    let (whole, history) = state(is_sudden);
    assert!(!is_refused(copy(whole.path()).path(), &history, "untouched"));
    let bytes = fs::read(whole.path().join(file)).unwrap();
    let used = bytes.iter().enumerate().filter(|(_, byte)| **byte != 0).map(|(at, _)| at).collect::<Vec<_>>();
    let seed = std::process::id().into();
    let mut random = Random(seed);
    let mut refused = 0;
    for _ in 0..flips {
        let at = if random.once_in(2) { random.below(bytes.len()) } else { used[random.below(used.len())] };
        let bit = random.below(8);
        let damaged = copy(whole.path());
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << bit;
        fs::write(damaged.path().join(file), flipped).unwrap();
        let what = format!("seed {seed}: bit {bit} of byte {at} of {file}");
        refused += usize::from(is_refused(damaged.path(), &history, &what));
    }
    refused
}

#[test]
fn flipped_bits_are_found() {
    let refused = flip_bits(FILE, false, 200);
    assert!(refused > 60, "{refused}");
}

/// A damaged log ends before the damage: an earlier commit is the last one, or it is refused.
#[test]
fn flipped_bits_in_the_log_are_found() {
    flip_bits(&format!("{FILE}-wal"), true, 100);
}

#[test]
fn cut_files_are_found() {
    let (whole, history) = state(false);
    let bytes = fs::read(whole.path().join(FILE)).unwrap();
    let pages = (0..bytes.len()).step_by(4096);
    for length in pages.chain([1, 15, 16, 99, 100, 101, 5000, bytes.len() - 1]) {
        let damaged = copy(whole.path());
        fs::write(damaged.path().join(FILE), &bytes[..length]).unwrap();
        assert!(is_refused(damaged.path(), &history, &format!("cut to {length} bytes")));
    }
}

/// Changes a copy of a state with `sql`, and says how it is refused.
fn changed(sql: &str) -> String {
    let (folder, _) = state(false);
    let connection = Connection::open(folder.path().join(FILE)).unwrap();
    connection.execute_batch(sql).unwrap();
    drop(connection);
    match Run::begin(&Config::default(), folder.path()) {
        Ok(_) => panic!("{sql}: was taken"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn changes_by_hand_are_found() {
    for sql in [
        "UPDATE label_rows SET sums = '1' || sums WHERE id = 3",
        "UPDATE label_rows SET id = 100000 WHERE id = 3",
        "UPDATE label_rows SET changed_at_ms = 0 WHERE id = 3",
        "UPDATE label_rows SET changed_at_ms = changed_at_ms + 1 WHERE id = 3",
        "DELETE FROM label_rows WHERE id = 3",
        "UPDATE totals SET value = value + 1 WHERE name = 'parsed'",
        "DELETE FROM totals WHERE name = 'ignored'",
        "UPDATE positions SET file_offset = 0 WHERE source = 'one'",
        "UPDATE positions SET inode = NULL WHERE source = 'one'",
        "DELETE FROM positions",
        "DELETE FROM overflow; INSERT INTO overflow VALUES ('haproxy', 'haproxy_log_requests_total', 1, 1)",
        "UPDATE metrics SET sum_cell = 1 - sum_cell WHERE name = 'haproxy_log_retries_total'",
        "UPDATE row_groups SET labels = 'frontend_name' WHERE id = 1",
        "UPDATE last_commit SET sum = sum + 1",
        "UPDATE last_commit SET generation = generation + 1",
        "DELETE FROM last_commit",
        "ALTER TABLE totals ADD COLUMN note TEXT",
        "CREATE TABLE notes (note TEXT)",
    ] {
        let words = changed(sql);
        assert!(words.contains("is damaged (") && words.contains("move it away to begin anew"), "{sql}: {words}");
    }
}

#[test]
fn looking_changes_nothing() {
    let (folder, history) = state(false);
    let connection = Connection::open(folder.path().join(FILE)).unwrap();
    let rows = "SELECT count(*) FROM label_rows JOIN row_groups ON row_groups.id = group_id WHERE sums <> ''";
    assert!(connection.query_row(rows, [], |row| row.get::<_, i64>(0)).unwrap() > 100);
    connection.execute_batch("ANALYZE; VACUUM").unwrap();
    drop(connection);
    assert!(!is_refused(folder.path(), &history, "ANALYZE and VACUUM"));
}

/// Labels may say who the clients were.
#[test]
fn nobody_else_can_read_it() {
    let (folder, _) = state(true);
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
    }
}

/// Rows that are not dated are as earlier versions wrote them: such a clock is at zero.
#[test]
fn states_of_earlier_versions_are_brought_up() {
    for lacking in ["DROP TABLE messages; PRAGMA user_version = 1", "PRAGMA user_version = 2"] {
        let (folder, history) = state_of(false, |folder| Run::by_clock(&Config::default(), folder, || 0).unwrap());
        let path = folder.path().join(FILE);
        let count = |what: &str| {
            let sql = format!("SELECT count(*) FROM label_rows WHERE {what}");
            Connection::open(&path).unwrap().query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap()
        };
        assert_eq!(count("changed_at_ms > 0"), 0);
        let of_later = "ALTER TABLE label_rows DROP COLUMN distributions; ALTER TABLE metrics DROP COLUMN distribution; \
            DROP TABLE group_policies; DROP TABLE salts";
        let sql = format!("{of_later}; ALTER TABLE label_rows DROP COLUMN changed_at_ms; {lacking}");
        Connection::open(&path).unwrap().execute_batch(&sql).unwrap();
        let last = history.values().next_back().unwrap();
        for commits in 0..2 {
            let run = Run::begin(&Config::default(), folder.path()).unwrap();
            run.checkpoint().unwrap();
            assert_eq!(&run.scrape().0, last);
            drop(run);
            assert_eq!((count("changed_at_ms = 0"), count("changed_at_ms > 0") > 100), (0, true), "{commits}");
        }
    }
}

#[test]
fn what_is_no_state_is_refused() {
    let newer = changed("PRAGMA user_version = 6");
    assert!(newer.contains("is of a newer tailmeter (its version is 6, this one knows 5)"), "{newer}");
    let other = changed("PRAGMA application_id = 1");
    assert!(other.contains("is not tailmeter's: name another directory with --state-dir"), "{other}");
    let write = |bytes: &[u8]| {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), bytes).unwrap();
        Run::begin(&Config::default(), folder.path()).err().map(|error| error.to_string())
    };
    for (bytes, words) in
        [(&b""[..], "is damaged (it is empty)"), (&[b'x'; 9000], "is damaged (file is not a database)")]
    {
        let said = write(bytes).expect("refused");
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_log_without_its_database_is_not_taken_for_that_of_a_new_one() {
    let (folder, _) = state(true);
    fs::remove_file(folder.path().join(FILE)).unwrap();
    let run = Run::begin(&Config::default(), folder.path()).unwrap();
    assert_eq!(run.scrape().0, "");
    assert_eq!(offset(&run.feeds()[0]), 0);
}

/// Rows that the present configuration cannot show are counted, said, and left alone.
#[test]
fn what_does_not_fit_is_kept_aside() {
    let (folder, history) = state(false);
    let last = history.values().next_back().unwrap();
    let path: PathBuf = folder.path().into();
    let other =
        "metrics: {haproxy_log_requests_total: {labels: [status_code]}, haproxy_log_sessions_total: {enabled: false}}";
    let other = Config::parse(other, "c.yml", tailmeter::metrics::FAMILIES).unwrap();
    let run = Run::begin(&other, &path).unwrap();
    let rows = |text: &str, name: &str| text.lines().filter(|line| line.starts_with(name)).count();
    let aside = rows(last, "haproxy_log_requests_total{") + rows(last, "haproxy_log_sessions_total{");
    let said = crate::run::said();
    assert!(said.iter().any(|line| line.starts_with(&format!("{aside} rows of the state do not fit"))), "{said:?}");
    let (text, own) = run.scrape();
    assert!(own.contains(&format!("\ntailmeter_state_rows_kept_aside {aside}\n")), "{own}");
    assert_eq!(rows(&text, "haproxy_log_requests_total{") + rows(&text, "haproxy_log_sessions_total{"), 0);
    assert_eq!(rows(&text, "haproxy_log_retries_total{"), rows(last, "haproxy_log_retries_total{"));
    drop(run);
    let run = Run::begin(&Config::default(), &path).unwrap();
    assert_eq!(&run.scrape().0, last);
}

/// A limit below what is there lets nothing more in, and takes nothing away.
#[test]
fn a_smaller_limit_keeps_what_is_there() {
    let (folder, history) = state(false);
    let last = history.values().next_back().unwrap();
    let config = Config { max_series: 2, ..Config::default() };
    let run = Run::begin(&config, folder.path()).unwrap();
    assert_eq!(&run.scrape().0, last);
    let [mut one, ..] = run.feeds();
    let new =
        b"1.1.1.1:1 [01/Feb/2026:12:14:14.001] new new/new 0/0/0/0/0 200 5 - - ---- 1/1/1/1/0 0/0 \"GET / HTTP/1.1\"\n";
    feed(&mut one, new, 1 << 40);
    run.checkpoint().unwrap();
    drop(run);
    let run = Run::begin(&config, folder.path()).unwrap();
    let (text, own) = run.scrape();
    assert!(!text.contains("\"new\""), "{text}");
    let other =
        "haproxy_log_response_bytes_total{frontend_name=\"other\",backend_name=\"other\",server_name=\"other\"}";
    let value = |text: &str| text.lines().find_map(|line| line.strip_prefix(other)?.trim().parse::<u64>().ok());
    assert_eq!(value(&text), Some(value(last).unwrap_or(0) + 5));
    assert_eq!(crate::run::own(&own, "tailmeter_label_overflow_total", "haproxy_log_response_bytes_total"), 1);
}
