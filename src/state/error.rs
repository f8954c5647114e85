//! What can be wrong with the state, in words that say what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{ErrorCode, ffi};

/// The state cannot be used, or not at the moment.
#[derive(Debug, thiserror::Error)]
#[error("{}", describe(.path, .cause))]
pub struct Error {
    path: PathBuf,
    cause: Cause,
}

/// Why.
#[derive(Debug)]
pub(super) enum Cause {
    /// SQLite says so.
    Sqlite(rusqlite::Error),
    /// The system says so.
    System(io::Error),
    /// Records are not what was written.
    Damaged(String),
    /// It is another program's.
    Foreign,
    /// It is a later version's.
    Newer { found: i32, known: i32 },
    /// It is not the file that was written last: removed, replaced, or changed by somebody else.
    Replaced(&'static str),
}

impl Cause {
    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }

    /// What SQLite calls it.
    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code(),
            _ => None,
        }
    }

    /// True when what is in the file is of no use any more.
    pub(super) fn is_loss(&self) -> bool {
        match self {
            Self::Damaged(_) | Self::Foreign | Self::Newer { .. } | Self::Replaced(_) => true,
            Self::System(_) => false,
            Self::Sqlite(error) => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => true,
                // A table or column that is not there, a value of another type.
                Some(ErrorCode::Unknown | ErrorCode::TypeMismatch) => true,
                Some(_) => false,
                None => true,
            },
        }
    }

    pub(super) fn at(self, path: &Path) -> Error {
        Error { path: path.to_owned(), cause: self }
    }
}

impl From<rusqlite::Error> for Cause {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

fn describe(path: &Path, cause: &Cause) -> String {
    let shown = path.display();
    let damaged = |what: &str| {
        format!(
            "the state {shown} is damaged ({what}): going on with it could give wrong counts. \
             Put a good copy in its place, or move it away to begin anew"
        )
    };
    match (cause, cause.code()) {
        (_, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)) => {
            format!("the state {shown} is locked by another program: close it, be it sqlite3 or a backup")
        }
        (_, Some(ErrorCode::DiskFull)) => format!("no space is left for the state {shown}: make some"),
        // The index of its log could not grow, which is memory on the disk.
        (Cause::Sqlite(error), _) if error.sqlite_extended_error_code() == Some(ffi::SQLITE_IOERR_SHMSIZE) => {
            format!("no space is left for the state {shown}: make some")
        }
        (_, Some(ErrorCode::ReadOnly)) => {
            format!("the state {shown} cannot be written: the file, its directory or the file system is read-only")
        }
        (_, Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied)) => {
            format!(
                "the state {shown} cannot be opened: tailmeter must be allowed to read and write it and its directory"
            )
        }
        (Cause::Sqlite(error), _) if cause.is_loss() => damaged(&error.to_string()),
        (Cause::Sqlite(error), _) => format!("the state {shown} cannot be used: {error}"),
        (Cause::System(error), _) => format!("the state {shown} cannot be used: {error}"),
        (Cause::Damaged(what), _) => damaged(what),
        (Cause::Foreign, _) => format!("{shown} is not tailmeter's: name another directory with --state-dir"),
        (Cause::Newer { found, known }, _) => format!(
            "the state {shown} is of a newer tailmeter (its version is {found}, this one knows {known}): \
             run that one, or name another directory with --state-dir"
        ),
        (Cause::Replaced(what), _) => format!("the state {shown} {what}"),
    }
}
