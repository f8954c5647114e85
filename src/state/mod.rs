//! The state: counts and positions in one SQLite file, so that every line counts once, over restarts and crashes.
//!
//! A [`Checkpoint`] is everything that has been counted and where reading stands behind it, taken under the locks
//! that counting uses. [`Store::commit`] writes what has changed since the last one in a single transaction. What
//! is shown is always a checkpoint that has been committed: after a crash, reading goes on where that one stood.
//!
//! - [`Store`]: the file, open and locked by nobody else; commits, and finds out what became of a failed one.
//! - `schema`: its tables. People may read them with `sqlite3`.
//! - `load`: from the file to cells, under whatever configuration holds now.
//! - `write`: from a checkpoint to the file.
//! - `messages`: both ways for messages under way.
//! - `policy`: both ways for the label policies that rows were made by.
//! - `digest`: the checksum that every record carries.

mod checkpoint;
mod digest;
mod error;
mod load;
mod messages;
mod policy;
mod record;
mod schema;
mod store;
mod write;

pub use checkpoint::{Checkpoint, Mailroom, Messages, Place, SourceKey};
pub use error::Error;
pub use policy::Salts;
pub use store::Store;

/// Name of the file in the state directory.
pub const FILE: &str = "tailmeter.db";
