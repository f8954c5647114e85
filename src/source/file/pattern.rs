//! Patterns: files that are followed as they come and go.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use glob::PatternError;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::packed::EXTENSIONS;
use super::siblings::generation_of;
use super::tailer::Handle;
use super::{File, Start};
use crate::metrics::own::source_name;
use crate::source::Status;
use crate::source::status::Telemetry;

/// The directories are looked at on this many coalescing intervals, and searched when one has changed.
const LOOK_INTERVALS: u32 = 10;

/// A file that has been away for this many slow ticks, and is read to its end, is left.
const GONE_TICKS: u32 = 6;

/// Follows every file whose path matches, also those that come later.
///
/// Files that a followed one was rotated to are part of it: a name that is another one with a suffix like `.1` or
/// `-20261121` is not followed if the other one matches, and compressed files never are. The directories are
/// searched on the slow tick, and soon after something came or went in one that holds a match.
///
/// All its files are one source in the telemetry, named by the pattern.
pub struct Pattern {
    text: String,
    include: glob::Pattern,
    exclude: Vec<glob::Pattern>,
    known: Vec<PathBuf>,
    make: Box<dyn FnMut(&Path) -> File + Send>,
}

impl Pattern {
    /// Follows what matches `text` (`*`, `?`, `[a-z]`, and `**` for any folders), as the files that `make` makes:
    /// with a sink and, if one is kept, the position to resume from.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn new(text: &str, make: impl FnMut(&Path) -> File + Send + 'static) -> Result<Self, PatternError> {
        let include = glob::Pattern::new(text)?;
        Ok(Pattern { text: text.to_owned(), include, exclude: Vec::new(), known: Vec::new(), make: Box::new(make) })
    }

    /// Leaves out what matches `text`.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn exclude(mut self, text: &str) -> Result<Self, PatternError> {
        self.exclude.push(glob::Pattern::new(text)?);
        Ok(self)
    }

    /// Follows these from the start on, even if nothing is there yet: files of an earlier run that were rotated
    /// while nobody looked are found beside their paths.
    #[must_use]
    pub fn known(mut self, paths: Vec<PathBuf>) -> Self {
        self.known = paths;
        self
    }

    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(&self.text)
    }

    /// Adds files to the tailer of `handle` as they come, until it is stopped. They leave by themselves.
    pub(super) async fn run(mut self, handle: Handle, status: Arc<Status>, mut stopped: watch::Receiver<bool>) {
        let telemetry = Telemetry::of_file(&source_name(self.text.as_bytes()));
        let options = handle.options().clone();
        let mut files: BTreeMap<PathBuf, Arc<Status>> = BTreeMap::new();
        let mut directories: BTreeMap<PathBuf, Option<SystemTime>> = BTreeMap::new();
        let mut searched: Option<Instant> = None;
        while !*stopped.borrow() {
            files.retain(|_, file| !file.left());
            let is_due = searched.is_none_or(|searched| searched.elapsed() >= options.tick);
            if is_due || directories.iter().any(|(directory, changed)| changed_at(directory) != *changed) {
                // Taken before the search, so that what comes during it is found by the next.
                let mut before: BTreeMap<PathBuf, Option<SystemTime>> = BTreeMap::new();
                for directory in self.directories(files.keys()) {
                    let changed = changed_at(&directory);
                    before.insert(directory, changed);
                }
                directories = before;
                let mut found = self.search();
                if searched.is_none() {
                    found.extend(std::mem::take(&mut self.known));
                }
                for path in found {
                    if let Entry::Vacant(place) = files.entry(path) {
                        let mut file = (self.make)(place.key());
                        file.source = Some(PathBuf::from(&self.text));
                        file.gone_after = Some(options.tick * GONE_TICKS);
                        file.start = if searched.is_some() { Some(Start::Beginning) } else { file.start };
                        place.insert(handle.add(file));
                    }
                }
                searched = Some(Instant::now());
            }
            telemetry.gather(&status, files.values().map(|file| &**file));
            tokio::select! {
                _ = stopped.changed() => {}
                () = sleep(options.tick.min(options.coalesce * LOOK_INTERVALS)) => {}
            }
        }
    }

    /// What matches now.
    fn search(&self) -> BTreeSet<PathBuf> {
        let found = glob::glob(&self.text).into_iter().flatten().flatten();
        found.filter(|path| self.is_followed(path) && fs::metadata(path).is_ok_and(|found| found.is_file())).collect()
    }

    /// The path matches, and is none that a followed file is rotated to.
    fn is_followed(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().as_bytes();
        let is_packed = EXTENSIONS.iter().any(|extension| name.ends_with(extension));
        let is_rotated = || {
            let base = generation_of(name).map(|base| path.with_file_name(OsStr::from_bytes(base)));
            base.is_some_and(|base| self.matches(&base))
        };
        !is_packed && self.matches(path) && !is_rotated()
    }

    fn matches(&self, path: &Path) -> bool {
        let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };
        self.include.matches_path_with(path, options)
            && !self.exclude.iter().any(|exclude| exclude.matches_path_with(path, options))
    }

    /// The directories of `files`, and the deepest that the pattern names.
    fn directories<'a>(&self, files: impl Iterator<Item = &'a PathBuf>) -> BTreeSet<PathBuf> {
        let named = self.text.split(['*', '?', '[']).next().unwrap_or_default();
        let deepest = named.rfind('/').map_or(".", |slash| &named[..=slash]);
        let mut directories = BTreeSet::from([PathBuf::from(deepest)]);
        directories.extend(files.filter_map(|file| file.parent()).map(Path::to_owned));
        directories
    }
}

fn changed_at(directory: &Path) -> Option<SystemTime> {
    fs::metadata(directory).and_then(|found| found.modified()).ok()
}
