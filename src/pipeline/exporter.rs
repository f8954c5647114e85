//! What the endpoint shows.

use std::sync::Arc;

use super::{Lines, Pipeline};
use crate::http::{Pages, SourceStatus};
use crate::metrics::own::Telemetry;
use crate::source::Status;

/// A running exporter, as its endpoint shows it.
pub struct Exporter {
    pipeline: Arc<Pipeline>,
    telemetry: Telemetry,
    sources: Vec<Followed>,
}

/// One followed source.
pub struct Followed {
    /// Its name, see [`source_name`](crate::metrics::own::source_name).
    pub name: String,
    /// Name of the family that parses it.
    pub format: &'static str,
    /// Where reading stands.
    pub status: Arc<Status>,
    /// What became of its lines.
    pub lines: Arc<Lines>,
}

impl Exporter {
    /// Shows `pipeline`, `telemetry` and the `sources` that feed them.
    pub fn new(pipeline: Arc<Pipeline>, telemetry: Telemetry, sources: Vec<Followed>) -> Self {
        Self { pipeline, telemetry, sources }
    }
}

impl Pages for Exporter {
    fn exposition(&self, out: &mut Vec<u8>) {
        self.pipeline.render(out);
        self.telemetry.render(out);
    }

    fn sources(&self) -> Vec<SourceStatus> {
        let shown = |source: &Followed| SourceStatus {
            name: source.name.clone(),
            format: source.format,
            up: source.status.up(),
            read_bytes: source.status.read_bytes(),
            lag_bytes: source.status.lag_bytes(),
            lines: source.lines.outcomes(),
        };
        self.sources.iter().map(shown).collect()
    }

    fn is_ready(&self) -> bool {
        self.sources.iter().all(|source| source.status.looked_once())
    }
}
