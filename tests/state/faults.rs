//! The state fails while tailmeter runs: counting goes on, what was committed last is shown, and everything is there
//! as soon as that is possible again.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use tailmeter::config::Config;
use tailmeter::pipeline::Feed;
use tailmeter::state::FILE;

use crate::lines::Line;
use crate::run::{Run, feed, offset, own, said};

/// Feeds `count` lines of a stream that is always the same.
fn feed_lines(one: &mut Feed, count: u64) {
    for _ in 0..count {
        let at = offset(one);
        let line = [Line::of(at).0, b"\n".to_vec()].concat();
        feed(one, &line, at + line.len() as u64);
    }
}

/// What `count` lines show when nothing goes wrong.
fn expected(count: u64) -> String {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::begin(&Config::default(), folder.path()).unwrap();
    feed_lines(&mut run.feeds()[0], count);
    run.checkpoint().unwrap();
    run.scrape().0
}

fn lines(run: &Run) -> u64 {
    own(&run.scrape().1, "tailmeter_lines_total", "")
}

/// The state in `folder` holds exactly `count` lines.
#[track_caller]
fn assert_holds(folder: &Path, count: u64) {
    let run = Run::begin(&Config::default(), folder).unwrap();
    let _feeds = run.feeds();
    assert_eq!(lines(&run), count);
    assert!(run.scrape().0 == expected(count));
}

#[test]
fn a_locked_state_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::begin(&Config::default(), folder.path()).unwrap();
    let [mut one, ..] = run.feeds();
    feed_lines(&mut one, 10);
    run.checkpoint().unwrap();
    let other = Connection::open(folder.path().join(FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    feed_lines(&mut one, 10);
    let words = run.checkpoint().unwrap_err().to_string();
    assert!(words.contains("is locked by another program: close it"), "{words}");
    assert_eq!(lines(&run), 10);
    run.checkpoint().unwrap_err();
    let own = run.scrape().1;
    let errors = own.lines().find_map(|line| line.strip_prefix("tailmeter_checkpoint_errors_total "));
    // A slow machine may have tried more often.
    assert!(errors.unwrap().parse::<u64>().unwrap() >= 2, "{own}");
    let words = Run::begin(&Config::default(), folder.path()).err().unwrap().to_string();
    assert!(words.contains("is locked by another program: close it"), "{words}");
    other.execute_batch("ROLLBACK").unwrap();
    feed_lines(&mut one, 10);
    run.checkpoint().unwrap();
    assert_eq!(lines(&run), 30);
    let said = said();
    assert!(
        said.len() == 2 && said[0].ends_with("; counting goes on, and what was committed last is shown"),
        "{said:?}"
    );
    assert_eq!(said[1], "the state is committed again");
    drop(run);
    assert_holds(folder.path(), 30);
}

#[test]
fn a_state_that_is_removed_is_written_anew() {
    for suffixes in [&["", "-wal", "-shm"][..], &[""], &["-wal"]] {
        let folder = tempfile::tempdir().unwrap();
        let run = Run::begin(&Config::default(), folder.path()).unwrap();
        let [mut one, ..] = run.feeds();
        feed_lines(&mut one, 10);
        run.checkpoint().unwrap();
        for suffix in suffixes {
            fs::remove_file(folder.path().join(format!("{FILE}{suffix}"))).unwrap();
        }
        feed_lines(&mut one, 10);
        run.checkpoint().unwrap();
        assert_eq!(lines(&run), 20);
        let said = said().join("\n");
        assert!(said.contains("it has been written anew from memory"), "{suffixes:?}: {said}");
        feed_lines(&mut one, 10);
        run.checkpoint().unwrap();
        drop(run);
        assert_holds(folder.path(), 30);
    }
}

/// Without a change, too.
#[test]
fn a_state_that_is_removed_while_nothing_happens_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::begin(&Config::default(), folder.path()).unwrap();
    let [mut one, ..] = run.feeds();
    feed_lines(&mut one, 10);
    run.checkpoint().unwrap();
    fs::remove_dir_all(folder.path()).unwrap();
    let words = run.checkpoint().unwrap_err().to_string();
    assert!(words.contains(FILE), "{words}");
    fs::create_dir(folder.path()).unwrap();
    run.checkpoint().unwrap();
    drop(run);
    assert_holds(folder.path(), 10);
}

#[test]
fn a_state_that_is_replaced_or_damaged_is_moved_away_and_written_anew() {
    let earlier = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let run = Run::begin(&Config::default(), folder.path()).unwrap();
    let [mut one, ..] = run.feeds();
    feed_lines(&mut one, 10);
    run.checkpoint().unwrap();
    drop(Run::begin(&Config::default(), earlier.path()).unwrap());
    let replace = |number: usize| match number {
        // An earlier state in its place.
        0 => {
            fs::copy(earlier.path().join(FILE), folder.path().join("restored")).unwrap();
            fs::rename(folder.path().join("restored"), &path).unwrap();
        }
        // Cut or emptied in place.
        1 => fs::File::options().write(true).open(&path).unwrap().set_len(5000).unwrap(),
        2 => fs::write(&path, "").unwrap(),
        // Changed by another program.
        _ => {
            let other = Connection::open(&path).unwrap();
            other.execute_batch("UPDATE last_commit SET generation = generation + 1").unwrap();
        }
    };
    let mut count = 10;
    for number in 0..4 {
        replace(number);
        feed_lines(&mut one, 10);
        count += 10;
        // That it has changed may be found by a commit that fails.
        if run.checkpoint().is_err() {
            run.checkpoint().unwrap();
        }
        assert_eq!(lines(&run), count, "{number}");
        let said = said().join("\n");
        assert!(said.contains("it has been written anew from memory"), "{number}: {said}");
        assert!(path.with_file_name(format!("{FILE}.old{number}")).exists(), "{number}");
    }
    drop(run);
    assert_holds(folder.path(), count);
}

#[test]
fn nothing_new_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::begin(&Config::default(), folder.path()).unwrap();
    let [mut one, ..] = run.feeds();
    feed_lines(&mut one, 10);
    run.checkpoint().unwrap();
    let log = folder.path().join(format!("{FILE}-wal"));
    let before = fs::read(&log).unwrap();
    for _ in 0..3 {
        run.checkpoint().unwrap();
        run.scrape();
    }
    assert!(fs::read(&log).unwrap() == before);
}
