//! A program at work: its pipeline and sources, and how they change when the configuration is loaded again.

use std::sync::Arc;

use tokio::task::block_in_place;

use super::super::{Failure, say};
use super::live::{Live, Part, Prepared, Stage};
use super::state::State;
use crate::config::{Config, Source};
use crate::metrics::own;
use crate::pipeline::{Exporter, Keeping, Pipeline, Shown, switch};
use crate::source::records;

/// What counts, and what it counts.
pub(super) struct Running {
    pub(super) config: Config,
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) keeping: Keeping,
    pub(super) stage: Stage,
    pub(super) live: Vec<Live>,
}

impl Running {
    /// Starts `sources` on `stage`.
    ///
    /// # Errors
    /// One of them cannot be read at all.
    pub(super) fn start(
        config: Config,
        pipeline: Arc<Pipeline>,
        keeping: Keeping,
        stage: Stage,
        sources: &[Source],
    ) -> Result<Self, Failure> {
        let mut running = Self { config, pipeline, keeping, stage, live: Vec::new() };
        let prepare = |part| Prepared::new(part, &running.pipeline, &running.stage);
        let prepared = Part::all(sources)?.iter().map(prepare).collect::<Result<Vec<_>, _>>()?;
        for prepared in prepared {
            running.live.push(prepared.start(&running.stage, &running.pipeline)?);
        }
        own::record_reload(true);
        Ok(running)
    }

    /// What the endpoint shows.
    pub(super) fn shown(&self) -> Shown {
        let sources = self.live.iter().map(|live| live.followed.clone()).collect();
        Shown { pipeline: Arc::clone(&self.pipeline), sources, has_created_samples: self.config.created_samples }
    }

    /// Goes over to `config` and `sources`, without losing a line or a count: sources that are in both go on as they
    /// are, and if rows change, all wait until what was counted stands under the new configuration.
    ///
    /// # Errors
    /// Why that is not possible; everything is as before.
    pub(super) async fn reload(
        &mut self,
        config: Config,
        sources: &[Source],
        state: &State,
        exporter: &Exporter,
    ) -> Result<(), Failure> {
        // A socket that is configured in another way must be closed before it can be opened again.
        let parts = Part::all(sources)?;
        let is_same_place = |part: &Part, live: &Live| part.source.input.is_same_place(&live.part.source.input);
        let is_new = |part: &&Part| !self.live.iter().any(|live| live.part.goes_on_as(part));
        let added = parts.iter().filter(is_new).collect::<Vec<_>>();
        let (late, early): (Vec<_>, Vec<_>) = added.into_iter().partition(|part| {
            // Or its format is new, too.
            let is_known = self.pipeline.format(&part.source.format).is_some();
            !is_known || self.live.iter().any(|live| is_same_place(part, live))
        });
        let prepare = |part: &&Part| Prepared::new(part, &self.pipeline, &self.stage);
        let mut prepared = early.iter().map(prepare).collect::<Result<Vec<_>, _>>()?;
        if !self.pipeline.fits(&config) {
            let outlets = self.live.iter().map(|live| &live.outlet);
            let outlets = outlets.chain(prepared.iter().map(|prepared| &prepared.outlet)).cloned().collect::<Vec<_>>();
            block_in_place(|| self.renew(&config, &outlets, state))?;
        }
        for mut live in std::mem::take(&mut self.live) {
            if let Some(part) = parts.iter().find(|part| live.part.goes_on_as(part)) {
                live.go_on_as(part);
                self.live.push(live);
            } else {
                say(format_args!("{} is read no more", live.followed.name));
                live.end(&self.stage).await;
            }
        }
        for part in late {
            match Prepared::new(part, &self.pipeline, &self.stage) {
                Ok(again) => prepared.push(again),
                Err(failure) => say(format_args!("{failure}")),
            }
        }
        for prepared in prepared {
            match prepared.start(&self.stage, &self.pipeline) {
                Ok(live) => {
                    say(format_args!("reading {} as {}, {}", live.followed.name, live.followed.format, live.begins));
                    self.live.push(live);
                }
                Err(failure) => say(format_args!("{failure}")),
            }
        }
        for (name, is_changed) in [
            ("listen", self.config.listen != config.listen),
            ("max_line_bytes", self.config.max_line_bytes != config.max_line_bytes),
        ] {
            if is_changed {
                say(format_args!("the new `{name}` holds from the next start on"));
            }
        }
        self.config = config;
        exporter.show(self.shown());
        Ok(())
    }

    /// True when lines of a source are joined to records.
    pub(super) fn joins_lines(&self) -> bool {
        self.live.iter().any(|live| live.outlet.joins_lines())
    }

    /// Counts records that have waited for their next line long enough.
    pub(super) fn settle(&self) {
        self.live.iter().for_each(|live| live.outlet.settle(records::PATIENCE));
    }

    /// Ends the sources that are no files, with the last line that was sent.
    pub(super) async fn end_tasks(&mut self) {
        for live in std::mem::take(&mut self.live) {
            live.end_task().await;
        }
    }

    /// Another pipeline, for the rows of `config`, that goes on with what this one has counted.
    fn renew(
        &mut self,
        config: &Config,
        outlets: &[Arc<crate::pipeline::Outlet>],
        state: &State,
    ) -> Result<(), Failure> {
        let failed = |error: crate::state::Error| Failure::Work(error.to_string());
        let renew = || self.pipeline.reconfigured(config, state.path()).map(Arc::new).map_err(failed);
        let pipeline = switch(outlets, renew)?;
        self.keeping = pipeline.keep().map_err(|error| Failure::Work(format!("cannot go on: {error}")))?;
        self.pipeline = pipeline;
        Ok(())
    }
}
