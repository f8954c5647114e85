//! Where the state is kept, and who may keep it: a lock, so that two tailmeters never share a state directory.

use std::env;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::super::{Failure, say};
use crate::config::Config;
use crate::pipeline::Pipeline;
use crate::source::file::Start;
use crate::state;

/// The state of this run.
pub(super) enum State {
    /// Counters start at zero, files are read from their end.
    None,
    /// Counters and positions are those of the run before; a file never read is read from its beginning.
    Kept {
        /// The database.
        path: PathBuf,
        /// True when there was none: counters start at zero.
        is_new: bool,
        /// When it began.
        began: SystemTime,
        /// Of the state directory: held until the program ends.
        _lock: File,
    },
}

impl State {
    /// The state in `directory`, or else in the usual one, which is created and locked.
    ///
    /// # Errors
    /// `directory` contradicts `no_state`, is not known, cannot be created or locked, or belongs to another tailmeter.
    pub(super) fn open(directory: Option<&Path>, no_state: bool) -> Result<Self, Failure> {
        let directory = match (directory, no_state) {
            (Some(_), true) => {
                return Err(Failure::Usage(
                    "--state-dir and --no-state contradict each other: give one of them".to_owned(),
                ));
            }
            (None, true) => return Ok(Self::None),
            (Some(directory), false) => directory.to_owned(),
            (None, false) => usual(|name| env::var_os(name)).ok_or_else(|| {
                let help = "name a directory with --state-dir, or do without with --no-state";
                Failure::Usage(format!("there is no home to keep the state in: {help}"))
            })?,
        };
        let lock = lock(&directory)?;
        let path = directory.join(state::FILE);
        let is_new = !path.exists();
        Ok(Self::Kept { is_new, began: began(&directory.join("began"), is_new), path, _lock: lock })
    }

    /// Since when counts are kept; `None` without a state.
    pub(super) fn began(&self) -> Option<SystemTime> {
        match self {
            Self::None => None,
            Self::Kept { began, .. } => Some(*began),
        }
    }

    /// The pipeline under `config` with this state.
    ///
    /// # Errors
    /// The state cannot be used.
    pub(super) fn pipeline(&self, config: &Config) -> Result<Pipeline, Failure> {
        match self {
            Self::None => Ok(Pipeline::new(config, say)),
            Self::Kept { path, .. } => {
                Pipeline::with_state(config, path, say).map_err(|error| Failure::Usage(error.to_string()))
            }
        }
    }

    /// The database, if there is one.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::None => None,
            Self::Kept { path, .. } => Some(path),
        }
    }

    /// Says where it is.
    pub(super) fn announce(&self) {
        match self {
            Self::None => {}
            Self::Kept { path, is_new: true, .. } => {
                say(format_args!("a new state begins in {}: counters start at zero", path.display()));
            }
            Self::Kept { path, .. } => say(format_args!("the state is in {}", path.display())),
        }
    }

    /// Where to begin in files that were never read and are there at the start.
    pub(super) fn start(&self) -> Start {
        match self {
            Self::None => Start::End,
            Self::Kept { .. } => Start::Beginning,
        }
    }
}

/// The directory that the environment names: systemd's, else that of the XDG base directories.
fn usual(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // A unit with several state directories has a colon between them.
    let first = |all: OsString| all.as_bytes().split(|byte| *byte == b':').next().map(<[u8]>::to_vec);
    let systemd = variable("STATE_DIRECTORY").and_then(first).map(|first| PathBuf::from(OsString::from_vec(first)));
    systemd
        .filter(|path| path.is_absolute())
        .or_else(|| absolute("XDG_STATE_HOME").map(|home| home.join("tailmeter")))
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state/tailmeter")))
}

/// When the state began: what the file at `path` says in milliseconds since unix epoch. It is a file beside the database, so that it
/// goes wherever the directory goes; where there is none, it begins now.
fn began(path: &Path, is_new: bool) -> SystemTime {
    let written = || fs::read_to_string(path).ok()?.trim().parse().ok();
    if let Some(ms) = written().filter(|_| !is_new) {
        return UNIX_EPOCH + Duration::from_millis(ms);
    }
    let ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    // Without it the next run says that counts began then.
    let _ = fs::write(path, format!("{ms}\n"));
    UNIX_EPOCH + Duration::from_millis(ms)
}

fn lock(directory: &Path) -> Result<File, Failure> {
    let shown = directory.display();
    let path = directory.join("lock");
    // Labels may say who the clients were.
    let opened = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .and_then(|()| File::options().create(true).truncate(false).write(true).open(&path));
    let file = opened.map_err(|error| Failure::Usage(format!("cannot use the state directory {shown}: {error}")))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Failure::Usage(format!("another tailmeter uses the state directory {shown}")))
        }
        Err(TryLockError::Error(error)) => Err(Failure::Usage(format!("cannot lock {}: {error}", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_the_usual_directory() {
        type Case<'c> = (&'c [(&'c str, &'c str)], Option<&'c str>);
        let cases: [Case<'_>; 6] = [
            (&[("STATE_DIRECTORY", "/var/lib/a:/var/lib/b"), ("HOME", "/h")], Some("/var/lib/a")),
            (&[("STATE_DIRECTORY", ""), ("XDG_STATE_HOME", "/x"), ("HOME", "/h")], Some("/x/tailmeter")),
            (&[("XDG_STATE_HOME", "relative"), ("HOME", "/h")], Some("/h/.local/state/tailmeter")),
            (&[("HOME", "/h")], Some("/h/.local/state/tailmeter")),
            (&[("HOME", "")], None),
            (&[], None),
        ];
        for (variables, expected) in cases {
            let variable =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
            assert_eq!(usual(variable).as_deref(), expected.map(Path::new), "{variables:?}");
        }
    }
}
