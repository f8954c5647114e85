//! Files that are written from the program's own definitions are what the program would write now.
//! `UPDATE=1 cargo test --test generated` writes them.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the failure")]

use std::fs;
use std::path::Path;

#[test]
fn metrics_md_is_the_catalogue() {
    is_current("METRICS.md", &tailmeter::cli::reference::metrics());
}

#[test]
fn log_format_md_is_the_tables_of_the_compiler() {
    is_current("LOG_FORMAT.md", &tailmeter::cli::reference::log_format());
}

fn is_current(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, text).unwrap();
        return;
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == text, "{name} is stale: write it with UPDATE=1 cargo test --test generated");
}
