//! The logs of a mail family, for tests of its parser.

use std::fs;
use std::path::Path;

use tailmeter_parsers::Lines;

/// Every line of every log of `family`, with the log's name; there are at least `least`.
pub(crate) fn lines(family: &str, least: usize) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(family);
    let mut logs: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    logs.retain(|log| log.extension().is_some_and(|extension| extension == "log"));
    logs.sort();
    let mut lines = Vec::new();
    for log in logs {
        let name = log.file_stem().unwrap().to_string_lossy().into_owned();
        lines.extend(Lines::of(&fs::read(&log).unwrap()).map(|line| (name.clone(), line.to_vec())));
    }
    assert!(lines.len() >= least, "only {} lines in the logs of {family}", lines.len());
    lines
}
