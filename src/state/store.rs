//! The file, open: commits, and what becomes of a commit that failed.
//!
//! After any failure the file is closed, and opened again by the next commit, which reads there whether the failed
//! one took place. What is shown meanwhile is the last checkpoint that is known to be committed.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::checkpoint::Checkpoint;
use super::error::{Cause, Error};
use super::load::{Kept, generation, load};
use super::policy::fingerprints;
use super::record::{Generation, Group};
use super::schema;
use super::write::{Writer, differ};
use crate::metrics::Planned;
use crate::source::Identity;

/// How long another program may hold the file locked before that is a failure.
const PATIENCE: Duration = Duration::from_secs(1);

/// Bytes of the write-ahead log that stay on the disk when it has been emptied.
const LOG_BYTES: u32 = 8 << 20;

/// The file is not made by opening it, and only one thread at a time uses it.
const ACCESS: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// The state on disk.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    /// `None` after a failure.
    open: Option<Connection>,
    /// What is open, or was.
    files: Option<Files>,
    kept: Vec<Kept>,
    committed: Arc<Checkpoint>,
    generation: Generation,
    /// Why what is in the file is of no use any more.
    lost: Option<&'static str>,
    /// A commit of which nobody knows whether it took place.
    attempted: Option<(Generation, Arc<Checkpoint>)>,
    next_row: i64,
    aside: u64,
    notices: Vec<String>,
}

/// What SQLite has open, as long as nobody takes it away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Files {
    database: Identity,
    log: Identity,
    /// The database never gets smaller.
    bytes: u64,
}

impl Files {
    fn at(path: &Path) -> io::Result<Self> {
        let (database, log) = (fs::metadata(path)?, fs::metadata(beside(path, "-wal"))?);
        Ok(Self { database: identity(&database), log: identity(&log), bytes: database.len() })
    }

    /// True when these are still the files that were `before`.
    fn follow(self, before: Self) -> bool {
        (self.database, self.log) == (before.database, before.log) && self.bytes >= before.bytes
    }
}

impl Store {
    /// Opens the state at `path`, or begins one, and brings back what `families` count. The directory must be
    /// locked against other tailmeters.
    ///
    /// # Errors
    /// It cannot be read and written, is damaged, or is not a state that this version knows.
    pub fn open(path: &Path, families: Vec<Planned>) -> Result<Self, Error> {
        Self::open_cause(path, families).map_err(|cause| cause.at(path))
    }

    fn open_cause(path: &Path, families: Vec<Planned>) -> Result<Self, Cause> {
        let mut kept = families.into_iter().map(Kept::new).collect::<Vec<_>>();
        let mut notices = Vec::new();
        if !path.try_exists()? {
            begin(path, 1, |_| Ok(()))?;
        }
        let mut connection = connect(path)?;
        quick_check(&connection)?;
        let loaded = load(&connection, &mut kept)?;
        // Written at every start, so that a state that cannot be written is found now.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut writer = Writer::new(&transaction, loaded.generation.sum, loaded.next_row);
        loaded.arrange(&mut writer, &mut kept, &transaction)?;
        let next_row = writer.next_row;
        let generation = writer.seal(loaded.generation.number + 1)?;
        transaction.commit()?;
        if loaded.aside > 0 {
            notices.push(format!(
                "{} rows of the state do not fit this configuration: they are kept aside, and come back when they fit again",
                loaded.aside
            ));
        }
        let files = Some(Files::at(path)?);
        Ok(Self {
            path: path.to_owned(),
            open: Some(connection),
            files,
            kept,
            committed: Arc::new(loaded.base),
            generation,
            lost: None,
            attempted: None,
            next_row,
            aside: loaded.aside,
            notices,
        })
    }

    /// The last checkpoint that is on disk.
    pub fn committed(&self) -> &Arc<Checkpoint> {
        &self.committed
    }

    /// Rows that are kept aside, since they do not fit the configuration.
    pub fn rows_kept_aside(&self) -> u64 {
        self.aside
    }

    /// What an operator should know, each once.
    pub fn notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// Makes `next` the committed checkpoint. Writes nothing when it does not differ from the last one.
    ///
    /// # Errors
    /// It could not be written. [`committed`](Self::committed) is then as before, unless an earlier commit turned out to have
    /// taken place after all.
    pub fn commit(&mut self, next: Arc<Checkpoint>) -> Result<(), Error> {
        self.keep()?;
        if differ(&self.kept, &self.committed, &next) {
            self.write(Arc::clone(&next)).map_err(|cause| self.failed(cause))?;
        }
        self.committed = next;
        Ok(())
    }

    /// Makes sure that the file is open and is the one that was written last; opens or writes it anew.
    ///
    /// # Errors
    /// That is not possible now.
    pub fn keep(&mut self) -> Result<(), Error> {
        if self.open.is_some() && !self.is_in_place() {
            self.leave();
        }
        if self.open.is_none() {
            self.reopen().map_err(|cause| self.failed(cause))?;
        }
        Ok(())
    }

    fn is_in_place(&self) -> bool {
        self.files.is_none_or(|files| Files::at(&self.path).is_ok_and(|now| now.follow(files)))
    }

    fn failed(&mut self, cause: Cause) -> Error {
        self.open = None;
        match &cause {
            Cause::Replaced(what) => self.lost = Some(*what),
            cause if cause.is_loss() => self.lost = Some("is damaged"),
            _ => {}
        }
        cause.at(&self.path)
    }

    /// Closes a file that is not at its path any more, and leaves alone what is there.
    fn leave(&mut self) {
        if let Some(connection) = self.open.take() {
            // Should that not be possible, SQLite looks by itself whether the file has moved.
            let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
        // No file is this one, so that whatever is there is not taken for it.
        self.files = Some(Files::default());
    }

    fn write(&mut self, next: Arc<Checkpoint>) -> Result<(), Cause> {
        let Some(connection) = &mut self.open else { return Err(Cause::Replaced("is closed")) };
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if generation(&transaction)? != self.generation {
            return Err(Cause::Replaced("was changed by another program"));
        }
        let mut writer = Writer::new(&transaction, self.generation.sum, self.next_row);
        let written = writer.changes(&mut self.kept, &self.committed, &next);
        // Numbers of rows are never given twice, whatever becomes of this commit.
        self.next_row = writer.next_row;
        written?;
        let sealed = writer.seal(self.generation.number + 1)?;
        self.attempted = Some((sealed, next));
        transaction.commit()?;
        if !self.is_in_place() {
            self.leave();
            return Err(Cause::Replaced("was removed or replaced while it was written"));
        }
        self.files = Some(Files::at(&self.path)?);
        self.generation = sealed;
        self.attempted = None;
        Ok(())
    }

    /// Opens the file after a failure, and finds out which commit was the last. A file that is not what was
    /// written is moved away, and written anew from memory.
    fn reopen(&mut self) -> Result<(), Cause> {
        let found = match (fs::metadata(&self.path), self.lost) {
            (Ok(_), Some(what)) => Err(Cause::Replaced(what)),
            (Ok(found), None) if self.files.is_none_or(|files| files.database == identity(&found)) => self.look_again(),
            // Its log may be there still: SQLite would take that for the log of this one.
            (Ok(_), None) => Err(Cause::Replaced("was replaced")),
            (Err(error), _) if error.kind() == ErrorKind::NotFound => Err(Cause::Replaced("was removed")),
            (Err(error), _) => Err(Cause::System(error)),
        };
        let connection = match found {
            Ok(connection) => connection,
            Err(cause) if cause.is_loss() => {
                self.write_anew(&cause)?;
                self.files = None;
                connect(&self.path)?
            }
            Err(cause) => return Err(cause),
        };
        // Files are compared from the next commit on, which makes the log.
        self.files = None;
        self.open = Some(connection);
        Ok(())
    }

    fn look_again(&mut self) -> Result<Connection, Cause> {
        let connection = connect(&self.path)?;
        // A failed `fsync` may leave pages that are in memory only. Going through the log, and emptying it, writes
        // all of them again.
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        let is_busy: bool = connection.query_row(checkpoint, [], |row| row.get(0))?;
        if is_busy {
            return Err(Cause::System(io::Error::new(ErrorKind::ResourceBusy, "another program is reading it")));
        }
        let found = generation(&connection)?;
        match self.attempted.take() {
            _ if found == self.generation => {}
            Some((sealed, checkpoint)) if found == sealed => {
                self.generation = sealed;
                self.committed = checkpoint;
            }
            attempted => {
                self.attempted = attempted;
                return Err(Cause::Replaced("is not the one that was written last"));
            }
        }
        Ok(connection)
    }

    /// Writes the last committed checkpoint to a new file, and puts that in the place of whatever is there.
    fn write_anew(&mut self, cause: &Cause) -> Result<(), Cause> {
        let family = |kept: &Kept| Planned { plan: Arc::clone(&kept.plan), directory: Arc::clone(&kept.directory) };
        let mut kept = self.kept.iter().map(|kept| Kept::new(family(kept))).collect::<Vec<_>>();
        let mut next_row = 0;
        // The attempted commit, should it have taken place somewhere, had the next number.
        let generation = begin(&self.path, self.generation.number + 2, |writer| {
            for kept in &mut kept {
                for group in 0..kept.groups.len() {
                    kept.groups[group] = writer.group(&Group::of(&kept.plan, group))?;
                    writer.policies(kept.groups[group], None, Some(&fingerprints(&kept.plan, group)))?;
                }
            }
            writer.changes(&mut kept, &Checkpoint::default(), &self.committed)?;
            next_row = writer.next_row;
            Ok(())
        })?;
        (self.kept, self.next_row, self.generation) = (kept, next_row, generation);
        self.attempted = None;
        self.lost = None;
        let shown = self.path.display();
        let what = match cause {
            Cause::Replaced(what) => (*what).to_owned(),
            _ => "is damaged".to_owned(),
        };
        let aside = match std::mem::take(&mut self.aside) {
            0 => String::new(),
            rows => format!("; {rows} rows that were kept aside are not in it"),
        };
        self.notices.push(format!("the state {shown} {what}: it has been written anew from memory{aside}"));
        Ok(())
    }
}

/// Opens the file that is at `path`, and makes sure that it has the right tables.
fn connect(path: &Path) -> Result<Connection, Cause> {
    if fs::metadata(path)?.len() == 0 {
        return Err(Cause::damaged("it is empty"));
    }
    let mut connection = Connection::open_with_flags(path, ACCESS)?;
    connection.busy_timeout(PATIENCE)?;
    schema::check(&mut connection)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(Cause::System(io::Error::other("its file system does not support a write-ahead log")));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Answered by the limit that is now in force.
    connection.query_row(&format!("PRAGMA journal_size_limit = {LOG_BYTES}"), [], |_| Ok(()))?;
    Ok(connection)
}

fn quick_check(connection: &Connection) -> Result<(), Cause> {
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" { Ok(()) } else { Err(Cause::damaged(verdict)) }
}

/// Makes a new file of generation `number` with what `fill` writes, beside `path`, and moves it there when it is
/// complete. What was there gets another name; there is something at `path` at any time.
fn begin(
    path: &Path,
    number: u64,
    fill: impl FnOnce(&mut Writer<'_>) -> rusqlite::Result<()>,
) -> Result<Generation, Cause> {
    let new = beside(path, ".new");
    for leftover in [new.clone(), beside(&new, "-journal")] {
        remove(&leftover)?;
    }
    // Labels may say who the clients were.
    File::options().create_new(true).write(true).mode(0o600).open(&new)?;
    let mut connection = Connection::open_with_flags(&new, ACCESS)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let transaction = connection.transaction()?;
    schema::create(&transaction)?;
    let mut writer = Writer::new(&transaction, 0, 1);
    fill(&mut writer)?;
    let generation = writer.seal(number)?;
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error)?;
    if path.try_exists()? {
        let old = (0..).map(|number| beside(path, &format!(".old{number}"))).find(|old| !old.exists());
        if let Some(old) = old {
            fs::hard_link(path, &old)?;
            rename_if_there(&beside(path, "-wal"), &beside(&old, "-wal"))?;
        }
    }
    // A log without its database would be taken for that of the new one.
    for leftover in ["-wal", "-shm"] {
        remove(&beside(path, leftover))?;
    }
    fs::rename(&new, path)?;
    if let Some(directory) = path.parent() {
        File::open(directory)?.sync_all()?;
    }
    Ok(generation)
}

fn identity(found: &fs::Metadata) -> Identity {
    Identity { device: found.dev(), inode: found.ino() }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
