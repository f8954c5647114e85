//! The only door: `/metrics`, the status page, health. Last stage of the flow.
//!
//! # Layout
//!
//! - `options`: every bound with its default.
//! - `server`: accepts connections, and ends them in an orderly way.
//! - `deadline`: a stream that is cut when its peer is too slow.
//! - `routes`: one request to one response.
//! - `negotiation`: which protocol, encoding and metrics a scrape asks for.
//! - `scrape`: takes what is shown, for simultaneous scrapes together.
//! - `content`: writes it while it is sent, `encoding` packs it.
//! - `page`: the status page; `page/series`: its table of series.

mod content;
mod deadline;
mod encoding;
mod negotiation;
mod options;
mod page;
mod routes;
mod scrape;
mod server;

pub use options::Options;
pub use server::serve;

use std::sync::Arc;

use crate::exposition::Exposition;
use crate::metrics::Cardinality;

/// What the endpoint shows. The pipeline implements it; `http` knows nothing else of the program.
///
/// `exposition`, `sources`, `endings` and `cardinality` are called on threads where they may block.
pub trait Pages: Send + Sync + 'static {
    /// Everything that there is to show now, to be written without any lock. Takes milliseconds at most.
    fn exposition(&self) -> Arc<Exposition>;
    /// Names of the families that an exposition may have, for `?family=`.
    fn families(&self) -> Vec<&'static str>;
    /// What the status page shows of each source.
    fn sources(&self) -> Vec<SourceStatus>;
    /// How what the logs tell of ended abnormally, the commonest first. The page shows the first few.
    fn endings(&self) -> Vec<EndingStatus> {
        Vec::new()
    }
    /// How many series each metric has, and by which labels: `/api/cardinality`, and a table of the status page.
    fn cardinality(&self) -> Cardinality {
        Cardinality::default()
    }
    /// True once every source has been looked at once. Called on an async worker: it must not block.
    fn is_ready(&self) -> bool;
    /// Loads the configuration again, and returns when the new one is in use. May block.
    fn reload(&self) -> Reload {
        Reload::Disabled
    }
}

/// What became of a wish to load the configuration again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reload {
    /// The new one is in use.
    Done,
    /// It has mistakes, or cannot be put to use; the one before is in use.
    Failed(String),
    /// Nobody may ask for it here.
    Disabled,
}

/// An abnormal ending as the status page shows it.
#[derive(Clone, Debug, Default)]
pub struct EndingStatus {
    /// As the program writes it, for example `CD`.
    pub state: String,
    /// How often.
    pub count: u64,
    /// What it means, a sentence. What stands between backquotes is of the program's language.
    pub meaning: String,
}

/// One source as the status page shows it.
#[derive(Clone, Debug, Default)]
pub struct SourceStatus {
    /// The configured path or name.
    pub name: String,
    /// Name of the log family that parses it.
    pub format: &'static str,
    /// True while the source can be read.
    pub up: bool,
    /// Bytes read from it since the start.
    pub read_bytes: u64,
    /// Bytes written to it that have not been read yet.
    pub lag_bytes: u64,
    /// Lines by outcome: parsed, ignored, rejected.
    pub lines: [u64; 3],
}
