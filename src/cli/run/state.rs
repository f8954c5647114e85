//! What is kept between runs, and who may keep it. For now that is nothing but the right to do so: a lock, so that
//! two tailmeters never share a state directory.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use super::super::Failure;
use crate::source::file::Start;

/// The state of this run.
pub(super) enum State {
    /// Counters start at zero, files are read from their end.
    None,
    /// Counters start at zero, files are read from their beginning.
    Fresh {
        /// Of the state directory, when there is one: held until the program ends.
        _lock: Option<File>,
    },
}

impl State {
    /// The state in `directory`, which is created and locked.
    ///
    /// # Errors
    /// `directory` contradicts `no_state`, cannot be created or locked, or belongs to another tailmeter.
    pub(super) fn open(directory: Option<&Path>, no_state: bool) -> Result<Self, Failure> {
        match (directory, no_state) {
            (Some(_), true) => {
                Err(Failure::Usage("--state-dir and --no-state contradict each other: give one of them".to_owned()))
            }
            (None, true) => Ok(Self::None),
            (None, false) => Ok(Self::Fresh { _lock: None }),
            (Some(directory), false) => Ok(Self::Fresh { _lock: Some(lock(directory)?) }),
        }
    }

    /// Where to begin in files that are there at the start.
    pub(super) fn start(&self) -> Start {
        match self {
            Self::None => Start::End,
            Self::Fresh { .. } => Start::Beginning,
        }
    }
}

fn lock(directory: &Path) -> Result<File, Failure> {
    let shown = directory.display();
    let path = directory.join("lock");
    let opened = fs::create_dir_all(directory)
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
