//! The tables. They are meant to be read by people, too: `sqlite3 tailmeter.db 'SELECT labels, sums FROM label_rows'`.
//!
//! Every record has a checksum over its other columns, and `last_commit` has the sum of all of them: a page that is
//! damaged, missing or from an earlier commit is found at the start.

use rusqlite::{Connection, Transaction};

use super::error::Cause;

/// `application_id` of the file: "tmtr".
pub(super) const APPLICATION: i32 = 0x746d_7472;

/// The schema that this version writes: `user_version` of the file.
pub(super) const VERSION: i32 = 4;

/// One step for each version: what makes it from the one before.
const STEPS: [&str; VERSION as usize] = [FIRST, super::messages::TABLE, DATES, DISTRIBUTIONS];

const FIRST: &str = "
CREATE TABLE last_commit (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    generation INTEGER NOT NULL,
    committed_at_ms INTEGER NOT NULL,
    sum INTEGER NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;
CREATE TABLE row_groups (
    id INTEGER PRIMARY KEY,
    family TEXT NOT NULL,
    labels TEXT NOT NULL,
    sum_cells INTEGER NOT NULL,
    bucket_cells INTEGER NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;
CREATE TABLE metrics (
    group_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    bounds TEXT NOT NULL,
    sum_cell INTEGER NOT NULL,
    bucket_cell INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (group_id, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE label_rows (
    id INTEGER PRIMARY KEY,
    group_id INTEGER NOT NULL,
    labels TEXT NOT NULL,
    sums TEXT NOT NULL,
    buckets TEXT NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;
CREATE TABLE overflow (
    family TEXT NOT NULL,
    metric TEXT NOT NULL,
    samples INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (family, metric)
) STRICT, WITHOUT ROWID;
CREATE TABLE totals (
    source TEXT NOT NULL,
    format TEXT NOT NULL,
    name TEXT NOT NULL,
    value INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (source, format, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE positions (
    source TEXT NOT NULL,
    format TEXT NOT NULL,
    key TEXT NOT NULL,
    kind TEXT NOT NULL,
    device INTEGER,
    inode INTEGER,
    fingerprint TEXT,
    file_offset INTEGER,
    file_size INTEGER,
    modified_ns INTEGER,
    predecessor TEXT,
    cursor TEXT,
    moved_at_ms INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (source, format, key)
) STRICT, WITHOUT ROWID;
";

/// When rows changed; 0 in those of earlier versions.
const DATES: &str = "ALTER TABLE label_rows ADD COLUMN changed_at_ms INTEGER NOT NULL DEFAULT 0;";
/// Rows have distributions beside their cells, with spaces in between; a metric knows which one is its own.
const DISTRIBUTIONS: &str = "
ALTER TABLE label_rows ADD COLUMN distributions TEXT NOT NULL DEFAULT '';
ALTER TABLE metrics ADD COLUMN distribution INTEGER NOT NULL DEFAULT 0;
";

/// Makes the tables in an empty file.
pub(super) fn create(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    upgrade(transaction, 0)
}

/// Goes from the schema of version `from` to the present one.
fn upgrade(transaction: &Transaction<'_>, from: i32) -> rusqlite::Result<()> {
    for step in STEPS.iter().skip(usize::try_from(from).unwrap_or_default()) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)
}

/// Makes sure that the file has the tables of this version, and brings an older one up to it.
///
/// # Errors
/// It is not tailmeter's, it is a newer tailmeter's, or its tables are not as they were made.
pub(super) fn check(connection: &mut Connection) -> Result<(), Cause> {
    let number = |connection: &Connection, name: &str| {
        connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).map_err(Cause::from)
    };
    let version = number(connection, "user_version")?;
    if number(connection, "application_id")? != APPLICATION {
        return Err(Cause::Foreign);
    }
    if version > VERSION {
        return Err(Cause::Newer { found: version, known: VERSION });
    }
    if version < 1 {
        return Err(Cause::damaged("it has no version"));
    }
    if version < VERSION {
        let transaction = connection.transaction()?;
        upgrade(&transaction, version)?;
        transaction.commit()?;
    }
    let expected = definitions(&{
        let mut fresh = Connection::open_in_memory()?;
        let transaction = fresh.transaction()?;
        create(&transaction)?;
        transaction.commit()?;
        fresh
    })?;
    if definitions(connection)? != expected {
        return Err(Cause::damaged("its tables are not as they were made"));
    }
    Ok(())
}

/// What made each table and index.
fn definitions(connection: &Connection) -> rusqlite::Result<Vec<(String, Option<String>)>> {
    // The program `sqlite3` may have left statistics there.
    let names = "SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%' ORDER BY name";
    connection.prepare(names)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}
