//! The bounded store of series. Fourth stage of the flow: an event becomes additions to *rows* of cells.
//!
//! Metrics that have the same labels, and are counted by the same lines, form a *group*: they share one row
//! per label tuple, found by one lookup. A row's cells are plain integers.
//!
//! - [`Directory`]: which label tuples have a row; shared by all shards, so that limits hold for the whole
//!   process; [`Budget`] is the limit of all metrics together. Rows are never taken away, so a row's number is its name for ever.
//! - [`Cells`]: the cells of one shard. Who counts owns the shard; a scrape adds shards up.
//! - [`Distribution`]: native histograms and sliding windows beside them, for metrics of which the configuration asks for them.
//! - [`Exemplar`]: which line was counted last.
//! - [`Texts`], [`Memo`]: raw bytes of a line -> rows, so that label policies run only when a raw tuple is new.
//! - [`Census`]: rows by the values of their labels, for people.
//! - [`Policy`]: what becomes of a raw label value.

mod cells;
mod census;
mod directory;
mod distribution;
mod exemplars;
mod memo;
mod policy;
mod texts;

pub use cells::{Base, Cells, Layout, Open};
pub use census::{Census, Top};
pub use directory::{Budget, Directory, Found, Group, Labels, Restored};
pub use distribution::{Distribution, Finder, Mark, Native, NativeShape, SCHEMAS, Shape, Window, WindowShape};
pub use exemplars::{Exemplar, MAX_EXEMPLARS};
pub(crate) use memo::fold;
pub use memo::{EntryId, Key, Memo, NO_ENTRY};
pub use policy::{OTHER, Policy, escape_into, unescape};
pub use texts::Texts;

/// Number of a row in its group.
pub type RowId = u32;
