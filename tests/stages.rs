//! The project's conventions, executable: where a log family lives, what stands beside a fixture, how long a file
//! may grow, and what must not occur at all.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tailmeter::metrics::FAMILIES;

/// Lines of a source file, at most: what is longer asks to be cut along a seam.
const LONGEST: usize = 650;

/// Files that may be longer: how long, and why.
const LONG: &[(&str, usize, &str)] = &[];

/// Where there is `unsafe` code, and what pays for it.
const UNSAFE: &[(&str, &str)] = &[
    ("parsers/src/haproxy/vector", "vector instructions: lines are read several times faster, see benches/README.md"),
    ("parsers/src/near.rs", "the vector instructions that every processor has: short fields end in fewer steps"),
];

/// Modules beside the families, by folder.
const NOT_FAMILIES: &[(&str, &[&str])] = &[
    (
        "parsers/src",
        &[
            "cursor", "digits", "duration", "envelope", "event", "json", "lib", "lines", "near", "number", "pointers",
            "reject", "time",
        ],
    ),
    // The store behind a family's metrics, and tailmeter's own.
    (
        "src/metrics",
        &["cardinality", "correlator", "custom", "exemplar", "mail", "mod", "own", "plan", "rows", "tally"],
    ),
    // Programs that record fixtures, and those of the formats that are shipped.
    ("fixtures", &["formats", "record"]),
    ("fuzz/fuzz_targets", &["pointers"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder`, as paths from the root, in order. What is built or generated is left out.
fn files(folder: &str) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}")) {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
            let is_made = [".git", "target", "fuzz/target", "fuzz/corpus", "fuzz/artifacts"].contains(&name);
            match path.is_dir() {
                _ if is_made => {}
                true => folders.push(path),
                false => files.push(name.to_owned()),
            }
        }
    }
    files.sort();
    files
}

fn sources() -> impl Iterator<Item = String> {
    files("").into_iter().filter(|file| file.ends_with(".rs"))
}

fn text(file: &str) -> String {
    let bytes = fs::read(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Fails with every complaint, one a line.
#[track_caller]
fn assert_none(rule: &str, complaints: impl IntoIterator<Item = String>) {
    let complaints = complaints.into_iter().collect::<Vec<_>>();
    assert!(complaints.is_empty(), "{rule}:\n{}", complaints.join("\n"));
}

#[test]
fn a_family_is_one_stem_in_four_places() {
    let families = FAMILIES.iter().map(|family| family.name.to_owned());
    let families = families.collect::<BTreeSet<_>>();
    for (folder, others) in NOT_FAMILIES {
        let entries = fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
        let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        let stems = entries.map(|entry| stem(entry.unwrap().path()));
        let stems = stems.filter(|stem| !others.contains(&stem.as_str()));
        assert_eq!(stems.collect::<BTreeSet<_>>(), families, "the families in {folder}");
    }
}

#[test]
fn no_file_names_a_developer_machine() {
    // Joined here, so that this file does not name them.
    let homes = ["home", "root", "Users"].map(|name| format!("/{name}/"));
    let mut paths = homes.to_vec();
    // Where this checkout stands, unless that is a word that occurs by itself, like `/src`.
    paths.extend(Some(env!("CARGO_MANIFEST_DIR").to_owned()).filter(|path| path.matches('/').count() > 1));
    let is_log = |file: &String| file.starts_with("fixtures/") && !file.starts_with("fixtures/record/");
    let mut complaints = Vec::new();
    for file in files("").into_iter().filter(|file| !is_log(file)) {
        // Recorders set up machines of their own.
        let is_recorder = file.starts_with("fixtures/record/");
        for (number, line) in text(&file).lines().enumerate() {
            let names = |path: &String| {
                (!is_recorder || !homes.contains(path))
                    && line.match_indices(path.as_str()).any(|(at, _)| {
                        // Not the middle of another path.
                        let before = line[..at].chars().next_back();
                        before.is_none_or(|before| !before.is_alphanumeric() && !".-_}*~".contains(before))
                    })
            };
            if paths.iter().any(names) {
                complaints.push(format!("{file}:{}: {line}", number + 1));
            }
        }
    }
    assert_none("paths of somebody's machine", complaints);
}

#[test]
fn a_fixture_has_its_neighbours_and_its_source() {
    let mut complaints = Vec::new();
    for name in FAMILIES.iter().map(|family| family.name).chain(["formats"]) {
        let folder = format!("fixtures/{name}");
        let files = files(&folder);
        let sources = text(&format!("{folder}/SOURCES.md"));
        for file in &files {
            let (stem, extension) = file.split_once('.').unwrap();
            let needed: &[&str] = match extension {
                "log" => &["events.jsonl", "prom"],
                // An expectation without its log is a leftover.
                "events.jsonl" | "prom" => &["log"],
                _ if file.ends_with("/SOURCES.md") => &[],
                _ => {
                    complaints.push(format!("{file} is neither log, expectation nor SOURCES.md"));
                    continue;
                }
            };
            let missing = needed.iter().map(|extension| format!("{stem}.{extension}"));
            complaints.extend(missing.filter(|file| !files.contains(file)).map(|file| format!("{file} is missing")));
            let name = file.strip_prefix(&folder).unwrap().trim_start_matches('/');
            if extension == "log" && !sources.lines().any(|line| line.starts_with(&format!("| `{name}` |"))) {
                complaints.push(format!("{folder}/SOURCES.md has no row for {name}"));
            }
        }
    }
    assert_none("fixtures", complaints);
}

#[test]
fn unsafe_code_stands_where_it_is_listed() {
    let forms = ["{", "fn", "impl", "extern", "trait"].map(|next| format!("{} {next}", "unsafe"));
    let has_unsafe = |file: &String| {
        let text = text(file);
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        code.into_iter().any(|line| forms.iter().any(|form| line.contains(form.as_str())))
    };
    let found = sources().filter(has_unsafe).collect::<Vec<_>>();
    let is_listed = |file: &&String| UNSAFE.iter().any(|(place, _)| file.starts_with(place));
    assert_none("unlisted unsafe code", found.iter().filter(|file| !is_listed(file)).cloned());
    let unused = UNSAFE.iter().filter(|(place, _)| !found.iter().any(|file| file.starts_with(place)));
    assert_none("listed, but without unsafe code", unused.map(|(place, _)| (*place).to_owned()));
}

#[test]
fn files_stay_short() {
    let mut complaints = Vec::new();
    for file in sources() {
        let lines = text(&file).lines().count();
        let listed = LONG.iter().find(|(long, ..)| *long == file);
        let limit = listed.map_or(LONGEST, |(_, limit, _)| *limit);
        if lines > limit {
            complaints.push(format!("{file}: {lines} lines, more than {limit}"));
        }
        if listed.is_some() && lines <= LONGEST {
            complaints.push(format!("{file}: needs no exception any more"));
        }
    }
    assert_none("long files", complaints);
}

#[test]
fn no_test_is_ignored() {
    let mark = format!("#[{}", "ignore");
    assert_none("ignored tests", sources().filter(|file| text(file).contains(&mark)));
}

#[test]
fn the_architecture_names_every_folder() {
    let architecture = text("ARCHITECTURE.md");
    let entries = fs::read_dir(root().join("src")).unwrap();
    let folders = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let names = folders.map(|path| format!("src/{}", path.file_name().unwrap().display()));
    assert_none("not in ARCHITECTURE.md", names.filter(|name| !architecture.contains(name.as_str())));
}
