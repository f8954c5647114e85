//! Which files to follow: those of the configuration and of the command line, patterns looked up, each once.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::super::{Failure, say};
use crate::config::{Config, Input};
use crate::metrics::Family;
use crate::metrics::own::source_name;

/// A file to follow.
pub(super) struct Source {
    pub(super) path: PathBuf,
    /// The path as it is shown and labelled.
    pub(super) name: String,
    /// Name of the family that parses it.
    pub(super) format: &'static str,
}

/// The sources of `config`, then those of the options: format and paths or patterns of each.
///
/// A pattern that nothing matches is kept as a file that does not exist: its `tailmeter_source_up` is 0, so that
/// an alert sees it, too.
///
/// # Errors
/// There is no source at all, or a pattern is broken.
pub(super) fn resolve(config: &Config, options: &[(&str, &[PathBuf])]) -> Result<Vec<Source>, Failure> {
    let configured = config.sources.iter().filter_map(|source| match &source.input {
        Input::File { path, .. } => Some((source.format.as_str(), Path::new(path))),
        _ => None,
    });
    let given = options.iter().flat_map(|(format, paths)| paths.iter().map(|path| (*format, path.as_path())));
    let mut seen = BTreeSet::new();
    let mut sources = Vec::new();
    for (format, path) in configured.chain(given) {
        let family = Family::named(format).ok_or_else(|| Failure::Usage(format!("unknown format {format}")))?;
        for path in matches(path, format)? {
            // The same file twice would count its lines twice.
            if seen.insert((path.clone(), family.name)) {
                sources.push(Source { name: source_name(path.as_os_str().as_bytes()), format: family.name, path });
            }
        }
    }
    if sources.is_empty() {
        return Err(Failure::Usage(
            "nothing to read: name a log with --haproxy PATH, or a configuration with `sources` with --config FILE"
                .to_owned(),
        ));
    }
    Ok(sources)
}

/// The file at `path`, or the files that match it as a pattern, sorted.
fn matches(path: &Path, format: &str) -> Result<Vec<PathBuf>, Failure> {
    let itself = || vec![path.to_owned()];
    // A pattern that is not UTF-8 is none; a file whose name looks like a pattern is a file.
    let pattern = match path.to_str() {
        Some(text) if text.contains(['*', '?', '[']) && !path.exists() => text,
        _ => return Ok(itself()),
    };
    let found = glob::glob(pattern)
        .map_err(|error| Failure::Usage(format!("bad pattern {pattern}: {} at character {}", error.msg, error.pos)))?;
    let mut paths = Vec::new();
    for entry in found {
        match entry {
            Ok(path) if path.is_dir() => {}
            Ok(path) => paths.push(path),
            Err(error) => say(format_args!("cannot look for {pattern}: {error}")),
        }
    }
    if paths.is_empty() {
        say(format_args!(
            "no file matches {pattern}, which is to be read as {format}: restart tailmeter when there is one"
        ));
        return Ok(itself());
    }
    Ok(paths)
}
