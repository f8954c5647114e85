//! Records over any blocks: what is handed on, and where reading stands behind it.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;
use crate::source::Identity;
use crate::source::file;

/// What has been handed on, as a state keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Kept {
    records: Vec<Vec<u8>>,
    bytes: u64,
    cut: u32,
    /// File and offset.
    stands: (u64, u64),
    rotations: usize,
    cursor: String,
}

/// Takes blocks as the pipeline does: what it has is there again after a crash.
#[derive(Clone)]
struct State(Arc<Mutex<Kept>>, Arc<Rule>);

impl Sink for State {
    fn block(&mut self, block: Block<'_>) {
        let mut kept = self.0.lock().unwrap();
        let mut rest = block.lines;
        while !rest.is_empty() {
            let (length, _) = self.1.first(rest);
            kept.records.push(rest[..length].strip_suffix(b"\n").unwrap_or(&rest[..length]).to_vec());
            rest = &rest[length..];
        }
        kept.bytes += block.bytes;
        kept.cut += u32::from(block.cut);
        match block.end {
            End::Offset(offset) => kept.stands.1 = offset,
            End::Cursor(cursor) => cursor.clone_into(&mut kept.cursor),
            End::Nowhere => {}
            End::Moved(Moved { position, befell }) => {
                let Position::File(file) = position else { panic!("{position:?}") };
                kept.stands = (file.file.inode, file.offset);
                kept.rotations += befell.len();
            }
        }
    }

    fn stands(&mut self, position: Position, befell: &[Incident]) {
        let Position::File(file) = position else { panic!("{position:?}") };
        let mut kept = self.0.lock().unwrap();
        kept.stands = (file.file.inode, file.offset);
        kept.rotations += befell.len();
    }

    fn left(&mut self, _: &[Incident]) {
        self.0.lock().unwrap().stands = (u64::MAX, 0);
    }
}

fn rule(max_lines: usize, max_bytes: usize) -> Arc<Rule> {
    Arc::new(Rule { is_start: Box::new(|line| line.starts_with(b">")), max_lines, max_bytes })
}

fn records(rule: &Arc<Rule>) -> (Records<State>, State) {
    let state = State(Arc::default(), Arc::clone(rule));
    (Records::new(state.clone(), Some(Arc::clone(rule))), state)
}

/// What `state` has, without holding it.
fn kept(state: &State) -> Kept {
    state.0.lock().unwrap().clone()
}

fn texts(state: &State) -> Vec<String> {
    kept(state).records.iter().map(|record| String::from_utf8_lossy(record).into_owned()).collect()
}

fn block(lines: &str, end: u64) -> Block<'_> {
    Block { lines: lines.as_bytes(), bytes: lines.len() as u64, end: End::Offset(end), cut: false }
}

fn at(file: u64, offset: u64) -> Position {
    let file = Identity { device: 1, inode: file };
    Position::File(file::Position { file, offset, ..file::Position::default() })
}

#[test]
fn an_open_record_waits_before_its_first_line() {
    let (mut records, state) = records(&rule(10, 1000));
    records.block(block(">a\n b\n>c\n", 9));
    assert_eq!((texts(&state), kept(&state).stands.1), (vec![">a\n b".to_owned()], 6));
    records.block(block(" d\n", 12));
    records.settle(PATIENCE);
    assert_eq!(texts(&state).len(), 1);
    records.settle(Duration::ZERO);
    assert_eq!((texts(&state)[1].as_str(), kept(&state).stands.1), (">c\n d", 12));
    // What comes of it now is the rest of a record that is gone.
    records.block(block(" e\n>f\n", 18));
    assert_eq!((texts(&state)[2].as_str(), kept(&state).stands.1), (" e", 15));
    records.left(&[]);
    assert_eq!(texts(&state)[3], ">f");
    assert_eq!(kept(&state).bytes, 18);
}

#[test]
fn long_records_are_cut_alike_however_they_come() {
    let text = ">a\n1\n2\n3\n4\n>b\n1\n";
    for (lines, bytes, expected) in [
        (3, 1000, vec![">a\n1\n2", "3", "4", ">b\n1"]),
        (100, 5, vec![">a\n1", "2", "3", "4", ">b\n1"]),
        (1, 1000, vec![">a", "1", "2", "3", "4", ">b", "1"]),
    ] {
        let rule = rule(lines, bytes);
        let (mut whole, state) = records(&rule);
        whole.block(block(text, text.len() as u64));
        whole.left(&[]);
        assert_eq!(texts(&state), expected);
        let (mut single, state) = records(&rule);
        let mut end = 0;
        for line in text.split_inclusive('\n') {
            end += line.len() as u64;
            single.block(block(line, end));
        }
        single.left(&[]);
        assert_eq!(texts(&state), expected);
    }
}

#[test]
fn a_record_reaches_from_one_file_into_the_next() {
    let rotated = [Incident::Rotated(crate::source::Rotation::Rename)];
    let (mut records, state) = records(&rule(10, 1000));
    records.stands(at(1, 0), &[]);
    records.block(block(">a\n>b\n", 6));
    records.stands(at(2, 0), &rotated);
    assert_eq!(kept(&state).stands, (1, 3));
    records.block(block(" c\n", 3));
    assert_eq!((kept(&state).stands, kept(&state).rotations), ((1, 3), 0));
    records.block(block(" d\n>e\n", 9));
    assert_eq!((kept(&state).stands, kept(&state).rotations), ((2, 6), 1));
    assert_eq!(texts(&state), [">a", ">b\n c\n d"]);
    // The next begins with the file.
    records.stands(at(3, 0), &rotated);
    records.block(block(">f\n", 3));
    assert_eq!((kept(&state).stands, texts(&state)[2].as_str()), ((3, 0), ">e"));
    // Three files: it is cut where the second ends.
    records.stands(at(4, 0), &rotated);
    records.block(block(" g\n", 3));
    records.stands(at(5, 0), &rotated);
    assert_eq!((kept(&state).stands, texts(&state)[3].as_str()), ((5, 0), ">f\n g"));
    assert_eq!(kept(&state).rotations, 4);
}

#[test]
fn entries_with_cursors_and_cut_lines_are_joined_too() {
    let (mut records, state) = records(&rule(10, 1000));
    assert!(records.wants_lines());
    let entry = |text, cursor| Block { end: End::Cursor(cursor), ..block(text, 0) };
    records.block(entry(">a\n", "1"));
    assert_eq!(kept(&state).cursor, "");
    records.block(entry(" b\n", "2"));
    records.block(entry(">c\n", "3"));
    assert_eq!(kept(&state).cursor, "2");
    records.block(Block { cut: true, bytes: 5000, ..entry(" very long", "4") });
    records.block(entry(">d\n", "5"));
    assert_eq!((kept(&state).cursor.as_str(), kept(&state).cut), ("4", 1));
    assert_eq!(texts(&state), [">a\n b", ">c\n very long"]);
    // A socket: nothing to come back to.
    records.block(Block { end: End::Nowhere, ..block(">e\n", 0) });
    records.end();
    assert_eq!(texts(&state).last().unwrap(), ">e");
}

#[test]
fn rules_come_and_go_with_an_open_record() {
    let (mut records, state) = records(&rule(10, 1000));
    records.block(block(">a\n", 3));
    records = records.go_on(Some(rule(10, 1000)), |sink| sink);
    records.block(block(" b\n", 6));
    assert_eq!(texts(&state), [""; 0]);
    records = records.go_on(None, |sink| sink);
    assert_eq!(texts(&state), [">a\n b"]);
    records.block(block(" c\n", 9));
    assert_eq!(kept(&state).stands.1, 9);
}

/// Reads `files` from where `state` stands, in blocks of lines that `cuts` decides on, until `steps` are done.
fn read(files: &[Vec<&str>], state: &State, rule: &Arc<Rule>, cuts: &[usize], mut steps: usize) -> bool {
    let mut records = Records::new(state.clone(), Some(Arc::clone(rule)));
    let (first, mut offset) = kept(state).stands;
    let mut cuts = cuts.iter().cycle();
    for (number, file) in files.iter().enumerate().skip(first as usize) {
        if number > first as usize {
            offset = 0;
            records.stands(at(number as u64, 0), &[Incident::Rotated(crate::source::Rotation::Rename)]);
        }
        let mut lines = file.as_slice();
        let mut before = 0;
        while before < offset {
            before += lines[0].len() as u64;
            lines = &lines[1..];
        }
        assert_eq!(before, offset, "a position between two lines");
        while !lines.is_empty() {
            if steps == 0 {
                return false;
            }
            steps -= 1;
            let (now, later) = lines.split_at((*cuts.next().unwrap()).min(lines.len()));
            let text = now.concat();
            offset += text.len() as u64;
            records.block(block(&text, offset));
            // More is known of the same file now and then.
            if steps.is_multiple_of(3) {
                records.stands(at(number as u64, offset), &[]);
            }
            lines = later;
        }
    }
    records.left(&[]);
    true
}

proptest! {
    /// Whatever the blocks, rotations and crashes are, every record is counted once.
    #[test]
    fn every_record_is_counted_once(
        files in proptest::collection::vec(
            proptest::collection::vec(proptest::sample::select(&[">a\n", " b\n", "\n", ">\n", " long line\n"][..]), 0..12), 2..=2
        ),
        cuts in proptest::collection::vec(1usize..5, 1..6),
        crashes in proptest::collection::vec(0usize..8, 0..6),
        max_lines in 1usize..6,
    ) {
        let rule = rule(max_lines, 1000);
        let expected = State(Arc::default(), Arc::clone(&rule));
        let text = files.concat().concat();
        expected.clone().block(block(&text, 0));
        let state = State(Arc::default(), Arc::clone(&rule));
        for steps in crashes {
            if read(&files, &state, &rule, &cuts, steps) {
                state.0.lock().unwrap().stands = (2, 0);
                break;
            }
        }
        if kept(&state).stands.0 < 2 {
            prop_assert!(read(&files, &state, &rule, &cuts, usize::MAX));
        }
        prop_assert_eq!(texts(&state), texts(&expected));
        prop_assert_eq!(kept(&state).bytes, text.len() as u64);
        prop_assert!(kept(&state).rotations <= 1);
    }
}
