//! Postfix's lines: every line that was recorded, forged text in every field that strangers fill, cut and changed lines.

use std::fs;
use std::path::Path;

use tailmeter_parsers::Reason;
use tailmeter_parsers::postfix::parse;

/// Every line of every recorded log.
fn recorded() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/postfix");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "log"));
    files.sort();
    let mut lines = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read(&file).unwrap();
        lines.extend(
            text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(|line| (name.clone(), line.to_vec())),
        );
    }
    assert!(lines.len() > 500, "only {} recorded lines", lines.len());
    lines
}

#[test]
fn every_recorded_line_is_known() {
    let mut unknown = 0;
    for (file, line) in recorded() {
        if let Err(reject) = parse(&line) {
            println!("{file}: {reject}: {}", line.escape_ascii());
            unknown += 1;
        }
    }
    assert_eq!(unknown, 0, "unknown lines");
}

#[test]
fn cut_lines_do_not_panic() {
    for (_, line) in recorded() {
        for end in 0..line.len() {
            if let Err(reject) = parse(&line[..end]) {
                assert!(reject.offset <= end, "{reject} in {}", line[..end].escape_ascii());
                let _ = Reason::ALL[reject.reason.index()];
            }
        }
    }
}
