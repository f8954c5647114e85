//! Where reading goes on after a restart, and what is told to be lost.

use std::process::Command;

use super::*;

/// What a sink was told last by a run that read `text` and was then dropped.
fn position_after(text: &str) -> (Bench, Position) {
    let mut bench = Bench::new(options());
    bench.append(text);
    bench.look();
    let current = bench.tail.current.as_ref().unwrap();
    let position = Position {
        file: current.identity,
        fingerprint: current.fingerprint,
        offset: bench.tail.splitter.delivered(),
        size: current.size,
        modified_ns: current.modified_ns,
        predecessor: bench.tail.predecessor,
    };
    (bench, position)
}

/// Starts again at `position`, and gives what is read until nothing more is to be had.
fn restart(bench: Bench, position: Position) -> (Bench, Vec<String>) {
    let Bench { directory, path, .. } = bench;
    let mut bench = Bench::at(directory, path, Options { start: Start::End, ..options() }, Some(position));
    let mut all = bench.look_on();
    all.extend(bench.look_on());
    all.retain(|line| !line.starts_with("[opened"));
    (bench, all)
}

/// Compresses what is at `path`, as rotation does.
fn compress(program: &str, path: &Path) {
    let done = Command::new(program).arg("-q").arg(path).status().expect("it is installed");
    assert!(done.success());
    // Zstandard's keeps the original.
    let _ = fs::remove_file(path);
}

#[test]
fn a_compressed_file_is_finished_in_its_contents() {
    for program in ["gzip", "zstd", "xz"] {
        let before = "0123456789\n".repeat(1000);
        let (bench, position) = position_after(&before);
        bench.append("unread\nlast");
        compress(program, &bench.rename("mail.log.1"));
        bench.append("new\n");
        let (mut bench, all) = restart(bench, position);
        assert_eq!(all, ["unread", "last", "new"], "{program}");
        assert_eq!((bench.status.renames(), bench.status.lag_bytes()), (1, 0));
        bench.append("more\n");
        assert_eq!(bench.look(), ["more"]);
    }
}

#[test]
fn contents_in_several_parts_are_read_as_one() {
    for program in ["gzip", "zstd", "xz"] {
        let (bench, position) = position_after("a\n");
        bench.append("b\n");
        let old = bench.rename("mail.log.1");
        compress(program, &old);
        let packed = fs::read_dir(&bench.directory).unwrap().next().unwrap().unwrap().path();
        append(&bench.directory.path().join("part"), b"c\n");
        compress(program, &bench.directory.path().join("part"));
        let part = bench.directory.path().join(format!("part.{}", packed.extension().unwrap().display()));
        append(&packed, &fs::read(&part).unwrap());
        bench.append("d\n");
        assert_eq!(restart(bench, position).1, ["b", "c", "d"], "{program}");
    }
}

/// A stream must not be moved by looking for the end of a hole.
#[test]
fn a_hole_in_a_compressed_file_is_passed_over() {
    let (bench, position) = position_after("a\n");
    // It does not compress well, so that a stream has more to read when it meets the hole.
    let mut number = 1u64;
    let lines = |count: u64, number: &mut u64| {
        let mut next = || {
            *number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            format!("{number:x}\n")
        };
        (0..count).map(|_| next()).collect::<String>()
    };
    let (before, behind) = (lines(10, &mut number), lines(50_000, &mut number));
    bench.append(&before);
    bench.append([0; 5000]);
    bench.append(&behind);
    compress("gzip", &bench.rename("mail.log.1"));
    bench.append("new\n");
    let expected: Vec<String> = before.lines().chain(behind.lines()).chain(["new"]).map(str::to_owned).collect();
    let (_, all) = restart(bench, position);
    assert_eq!(all.len(), expected.len());
    assert_eq!(all, expected);
}

#[test]
fn a_damaged_compressed_file_is_a_loss() {
    let (bench, mut position) = position_after(&"0123456789\n".repeat(1000));
    position.offset = 11;
    compress("gzip", &bench.rename("mail.log.1"));
    let packed = bench.directory.path().join("mail.log.1.gz");
    let whole = fs::read(&packed).unwrap();
    fs::write(&packed, &whole[..whole.len() - 12]).unwrap();
    bench.append("new\n");
    let all = restart(bench, position).1;
    assert!(all.iter().any(|line| line.ends_with(": unreadable]")), "{all:?}");
    assert_eq!(all.last().unwrap(), "new");
}

#[test]
fn an_inode_that_is_used_again_is_another_file() {
    let (bench, mut position) = position_after("a\nb\n");
    position.offset = 2;
    bench.rename("mail.log.1");
    bench.append("c\nd\n");
    // As if the number had been free: the new file has it, and the old one another.
    position.file = identity(&fs::metadata(&bench.path).unwrap());
    position.modified_ns -= 1_000_000_000;
    let (bench, all) = restart(bench, position);
    assert_eq!(all, ["b", "c", "d"]);
    assert_eq!((bench.status.renames(), bench.status.truncations()), (1, 0), "it was not emptied: it is younger");
}

#[test]
fn more_files_than_can_be_held_come_in_order() {
    for copies in [true, false] {
        let (bench, position) = position_after("0\n");
        let count = 3 * SUCCESSORS;
        for number in 1..=count {
            let rotated = bench.directory.path().join(format!("mail.log.{}", count + 1 - number));
            if copies {
                fs::copy(&bench.path, rotated).unwrap();
                OpenOptions::new().write(true).truncate(true).open(&bench.path).unwrap();
            } else {
                fs::rename(&bench.path, rotated).unwrap();
            }
            bench.append(format!("{number}\n"));
        }
        let (mut bench, mut all) = restart(bench, position);
        for _ in 0..count {
            all.extend(bench.look_on().into_iter().filter(|line| !line.starts_with("[opened")));
        }
        assert_eq!(all, (1..=count).map(|number| number.to_string()).collect::<Vec<_>>(), "copies: {copies}");
        let expected = if copies { (0, count as u64) } else { (count as u64, 0) };
        assert_eq!((bench.status.renames(), bench.status.truncations()), expected);
    }
}

#[test]
fn files_of_several_rotations_come_in_order() {
    let (bench, position) = position_after("a\n");
    bench.append("b\n");
    bench.rename("mail.log.3");
    bench.append("c\n");
    compress("gzip", &bench.rename("mail.log.2"));
    bench.append("d\n");
    bench.rename("mail.log.1");
    append(&bench.directory.path().join("mail.log.4"), b"older\n");
    append(&bench.directory.path().join("mail.log.bak"), b"a copy of somebody's\n");
    assert_eq!(restart(bench, position).1, ["b", "c", "d"], "nothing is at the path yet");
}

#[test]
fn what_is_nowhere_is_lost_and_later_files_are_read() {
    let (bench, mut position) = position_after("a\nb\n");
    position.offset = 2;
    append(&bench.directory.path().join("mail.log.2"), b"older\n");
    let old = fs::File::open(bench.directory.path().join("mail.log.2")).unwrap();
    old.set_modified(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
    fs::remove_file(&bench.path).unwrap();
    append(&bench.directory.path().join("mail.log.1"), b"c\n");
    bench.append("d\n");
    assert_eq!(restart(bench, position).1, ["[lost 2: removed]", "c", "d"]);
}

#[test]
fn a_file_that_was_emptied_meanwhile_begins_anew() {
    let (bench, mut position) = position_after("a\nb\n");
    position.offset = 2;
    fs::write(&bench.path, "c\nd\ne\n").unwrap();
    assert_eq!(restart(bench, position).1, ["[lost 2: truncated]", "c", "d", "e"]);
    let (bench, mut position) = position_after("a\nb\n");
    position.offset = 2;
    fs::copy(&bench.path, bench.directory.path().join("mail.log-20261121")).unwrap();
    fs::write(&bench.path, "c\nd\ne\n").unwrap();
    assert_eq!(restart(bench, position).1, ["b", "c", "d", "e"]);
}

#[test]
fn an_end_that_a_crash_took_is_not_counted_again() {
    let (bench, position) = position_after(&"0123456789\n".repeat(1000));
    let file = OpenOptions::new().write(true).open(&bench.path).unwrap();
    file.set_len(5500).unwrap();
    // Nobody can know where this begins, so it is not counted either; but the cut shows as a truncation.
    bench.append("new\n");
    let (mut bench, all) = restart(bench, position);
    assert_eq!((all.len(), bench.status.truncations()), (0, 1));
    bench.append("newer\n");
    assert_eq!(bench.look(), ["newer"]);
}

#[test]
fn a_file_copied_into_place_is_the_same() {
    let (bench, position) = position_after("a\n");
    bench.append("b\n");
    let copy = bench.directory.path().join("copy");
    fs::copy(&bench.path, &copy).unwrap();
    fs::rename(&copy, &bench.path).unwrap();
    assert_eq!(restart(bench, position).1, ["b"]);
}

#[test]
fn a_position_waits_for_its_file_system() {
    let (bench, mut position) = position_after("a\nb\n");
    position.offset = 2;
    let away = tempfile::tempdir().unwrap().keep();
    fs::rename(&bench.path, away.join("mail.log")).unwrap();
    let (mut bench, all) = restart(bench, position);
    assert!(all.is_empty(), "{all:?}");
    fs::rename(away.join("mail.log"), &bench.path).unwrap();
    fs::remove_dir(away).unwrap();
    assert_eq!(bench.look(), ["[opened at 2]", "b"]);
}

#[test]
fn a_successor_that_cannot_be_opened_for_a_while_is_read_whole() {
    let mut bench = Bench::new(options());
    bench.append("a\n");
    bench.look();
    bench.rename("mail.log.1");
    bench.append("b\n");
    // Nobody may read it; a loop of links stands for that, as root may read everything.
    let hidden = bench.rename("hidden");
    std::os::unix::fs::symlink(&bench.path, &bench.path).unwrap();
    assert!(bench.look_on().is_empty());
    assert_eq!((bench.tail.trouble, bench.status.errors()), (Some(Trouble::Open), 1));
    append(&hidden, b"c\n");
    fs::rename(&hidden, &bench.path).unwrap();
    assert_eq!(bench.look_on(), ["[opened at 0]", "b", "c"]);
    assert!(bench.status.up());
}

#[test]
fn a_file_emptied_and_filled_beyond_the_offset_is_another_one() {
    let mut bench = Bench::new(options());
    bench.append("a\nb\n");
    bench.look();
    bench.append("c\n");
    fs::copy(&bench.path, bench.directory.path().join("mail.log.1")).unwrap();
    fs::write(&bench.path, "d\ne\nf\ng\n").unwrap();
    let mut all = bench.look_on();
    all.retain(|line| !line.starts_with("[opened"));
    assert_eq!(all, ["c", "d", "e", "f", "g"]);
    assert_eq!((bench.status.truncations(), bench.status.renames()), (1, 0));
}

#[test]
fn a_writer_that_does_not_append_leaves_a_hole_at_the_beginning() {
    let mut bench = Bench::new(options());
    bench.append("a\nb\n".repeat(1000));
    bench.look();
    fs::copy(&bench.path, bench.directory.path().join("mail.log.1")).unwrap();
    let file = OpenOptions::new().write(true).open(&bench.path).unwrap();
    file.set_len(0).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"c\n", 4000).unwrap();
    let mut all = bench.look_on();
    all.retain(|line| !line.starts_with("[opened"));
    assert_eq!(all, ["c"]);
}

#[test]
fn a_directory_that_is_made_anew_is_followed() {
    let mut bench = Bench::new(options());
    let directory = bench.directory.path().join("logs");
    fs::create_dir(&directory).unwrap();
    let Bench { directory: around, .. } = bench;
    bench = Bench::at(around, directory.join("mail.log"), options(), None);
    bench.append("a\n");
    bench.look();
    bench.append("b\n");
    fs::remove_dir_all(&directory).unwrap();
    assert_eq!(bench.look(), ["b"], "the handle is still there");
    fs::create_dir(&directory).unwrap();
    bench.append("c\n");
    assert_eq!(bench.look_on(), ["[opened at 0]", "c"]);
}

#[test]
fn a_link_is_followed_to_where_it_leads_next() {
    let mut bench = Bench::new(options());
    let target = |name: &str| bench.directory.path().join(name);
    let (one, two, link) = (target("one"), target("two"), bench.path.clone());
    append(&one, b"a\n");
    std::os::unix::fs::symlink(&one, &link).unwrap();
    bench.look();
    append(&one, b"b\n");
    append(&two, b"c\n");
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&two, &link).unwrap();
    assert_eq!(bench.look_on(), ["b", "[opened at 0]", "c"]);
}
