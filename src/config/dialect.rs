//! From what a configuration says about how lines are written to what reads them.

use std::fmt::Write;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tailmeter_parsers::haproxy::config::{self, Place, Process};
use tailmeter_parsers::haproxy::format::Mistake;
use tailmeter_parsers::haproxy::Layouts;

use super::Written;
use crate::metrics::Dialect;

/// Largest haproxy.cfg that is read, in bytes.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// How lines are written, as it was understood.
#[derive(Clone, Debug)]
pub struct Understood {
    /// What reads them.
    pub dialect: Dialect,
    /// What could not be known for sure, for people, each with its place.
    pub warnings: Vec<String>,
}

/// Why it cannot be known how lines are written: all mistakes, a line each, with their places.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DialectError(String);

impl Written {
    /// Reads what it names.
    ///
    /// # Errors
    /// A file cannot be read, or does not say how lines are written.
    pub fn understand(&self) -> Result<Understood, DialectError> {
        match self {
            Self::Usual => Ok(Understood { dialect: Dialect::Usual, warnings: Vec::new() }),
            Self::LogFormat(text) => of_log_format(text),
            Self::HaproxyConfig(paths) => of_haproxy_config(paths),
        }
    }
}

fn of_log_format(text: &str) -> Result<Understood, DialectError> {
    let layouts = Layouts::of_log_format(text).map_err(|Mistake { column, message }| {
        DialectError(format!("log-format, column {}: {message}\n  {text}\n  {}^", column + 1, blank(text, column)))
    })?;
    let notes = layouts.all().flat_map(|layout| layout.notes());
    let warnings = notes.map(|note| format!("log-format, column {}: {}", note.column + 1, note.message)).collect();
    Ok(Understood { dialect: Dialect::Haproxy(Arc::new(layouts)), warnings })
}

/// As many spaces as `text` is wide before `column`.
fn blank(text: &str, column: usize) -> String {
    let before = text.get(..column).unwrap_or(text);
    before.chars().map(|character| if character == '\t' { '\t' } else { ' ' }).collect()
}

fn of_haproxy_config(paths: &[PathBuf]) -> Result<Understood, DialectError> {
    let mut files = Vec::new();
    for path in paths {
        let found = files_at(path).map_err(|error| DialectError(format!("{}: {error}", path.display())))?;
        files.extend(found);
    }
    let texts: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_slice())).collect();
    let environment = |name: &str| std::env::var_os(name).map(OsStringExt::into_vec);
    let process = Process { environment: &environment, version: None, features: None };
    let shown = |place: Place, message: &str| {
        let name = files.get(place.file).map_or("haproxy.cfg", |(name, _)| name);
        format!("{name}:{}:{}: {message}", place.line, place.column)
    };
    let failed = |mistakes: Vec<config::Mistake>| {
        let mut text = String::new();
        for (index, mistake) in mistakes.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            let _ = write!(text, "{end}{}", shown(mistake.place, &mistake.message));
        }
        DialectError(text)
    };
    let config = config::read(&texts, &process).map_err(failed)?;
    let (layouts, notes) = Layouts::of_config(&config).map_err(failed)?;
    if layouts.all().len() == 0 {
        let names = files.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(DialectError(format!("{names}: no frontend has a log format, so there are no lines to read")));
    }
    let warnings = config.warnings.iter().chain(&notes).map(|warning| shown(warning.place, &warning.message)).collect();
    Ok(Understood { dialect: Dialect::Haproxy(Arc::new(layouts)), warnings })
}

/// The file at `path`; of a directory all its `.cfg` files in the order of their names, as HAProxy takes them.
fn files_at(path: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![(path.display().to_string(), text_of(path)?)]);
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension().is_some_and(|extension| extension == "cfg") && !is_hidden && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    paths.into_iter().map(|path| Ok((path.display().to_string(), text_of(&path)?))).collect()
}

fn text_of(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {MAX_BYTES} bytes")));
    }
    fs::read(path)
}
