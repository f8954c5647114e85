//! What the endpoint shows.

use std::sync::{Arc, RwLock, RwLockReadGuard};

use tokio::sync::{mpsc, oneshot};

use super::{Lines, Pipeline};
use crate::exposition::Exposition;
use crate::http::{EndingStatus, Pages, Reload, SourceStatus};
use crate::metrics::own::{self, Telemetry};
use crate::metrics::{Cardinality, Ending};
use crate::source::Status;

/// A running exporter, as its endpoint shows it.
pub struct Exporter {
    telemetry: Telemetry,
    shown: RwLock<Arc<Shown>>,
    /// Who loads the configuration again, if anybody may ask for that.
    reloads: Option<mpsc::UnboundedSender<Wish>>,
}

/// A wish for a reload: takes what became of it.
pub type Wish = oneshot::Sender<Result<(), String>>;

/// What there is at the moment.
pub struct Shown {
    /// What counts.
    pub pipeline: Arc<Pipeline>,
    /// What is followed.
    pub sources: Vec<Followed>,
    /// True when OpenMetrics text has `_created` samples.
    pub has_created_samples: bool,
}

/// One followed source.
#[derive(Clone)]
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
    /// Shows `shown` and `telemetry`. Wishes for a reload go to `reloads`.
    pub fn new(shown: Shown, telemetry: Telemetry, reloads: Option<mpsc::UnboundedSender<Wish>>) -> Self {
        Self { telemetry, shown: RwLock::new(Arc::new(shown)), reloads }
    }

    /// Shows `shown` from now on.
    pub fn show(&self, shown: Shown) {
        let mut present = self.shown.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        for source in &present.sources {
            self.telemetry.hide(&source.name, true);
        }
        for source in &shown.sources {
            self.telemetry.hide(&source.name, false);
        }
        *present = Arc::new(shown);
    }

    fn shown(&self) -> Arc<Shown> {
        let shown: RwLockReadGuard<'_, _> = self.shown.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        Arc::clone(&shown)
    }
}

impl Pages for Exporter {
    fn exposition(&self) -> Arc<Exposition> {
        let shown = self.shown();
        let mut exposition = Exposition::default();
        exposition.has_created_samples = shown.has_created_samples;
        shown.pipeline.expose(&mut exposition);
        self.telemetry.expose(&mut exposition);
        Arc::new(exposition)
    }

    fn families(&self) -> Vec<&'static str> {
        self.shown().pipeline.families().chain([own::FAMILY.name]).collect()
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
        self.shown().sources.iter().map(shown).collect()
    }

    fn endings(&self) -> Vec<EndingStatus> {
        let shown = |Ending { state, count, meaning }| EndingStatus { state, count, meaning };
        self.shown().pipeline.endings().into_iter().map(shown).collect()
    }

    fn cardinality(&self) -> Cardinality {
        self.shown().pipeline.cardinality()
    }

    fn is_ready(&self) -> bool {
        self.shown().sources.iter().all(|source| source.status.looked_once())
    }

    fn reload(&self) -> Reload {
        let Some(reloads) = &self.reloads else { return Reload::Disabled };
        let (wish, outcome) = oneshot::channel();
        let _ = reloads.send(wish);
        match outcome.blocking_recv() {
            Ok(Ok(())) => Reload::Done,
            Ok(Err(why)) => Reload::Failed(why),
            Err(_) => Reload::Failed("tailmeter is stopping".to_owned()),
        }
    }
}
