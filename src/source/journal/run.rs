//! One run of `journalctl` after the other: what it is asked for, its output, and what is told of it.

use std::io::ErrorKind;
use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::Options;
use super::child::{Child, Complaints};
use super::export::{Export, OUTPUT_FIELDS};
use crate::source::status::{Status, Telemetry, Trouble};

/// What `journalctl` is run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// The first entry at the cursor, whether it matches or not.
    Locate,
    /// The last entry of all.
    Last,
    /// The last entry that matches.
    LastMatch,
    /// Every entry that matches, from the cursor on.
    CatchUp,
    /// The same, and those to come.
    Follow,
}

impl Goal {
    fn matches(self) -> bool {
        matches!(self, Goal::LastMatch | Goal::CatchUp | Goal::Follow)
    }

    fn starts_at_cursor(self) -> bool {
        matches!(self, Goal::Locate | Goal::CatchUp | Goal::Follow)
    }
}

/// Runs `journalctl`, at most one at a time.
pub(super) struct Runner {
    pub(super) options: Options,
    pub(super) status: Arc<Status>,
    telemetry: Telemetry,
    complaints: Complaints,
    child: Option<Child>,
    has_stderr: bool,
}

impl Runner {
    pub(super) fn new(options: Options) -> Self {
        let telemetry = Telemetry::of_journal(&options.name);
        let status = Arc::new(Status::default());
        telemetry.up(&status, false);
        Runner { options, status, telemetry, complaints: Complaints::new(), child: None, has_stderr: false }
    }

    /// Starts `journalctl`.
    pub(super) fn start(&mut self, goal: Goal, cursor: Option<&str>) -> Result<(), Trouble> {
        let mut command = self.command(goal, cursor);
        let started = Child::start(&mut command);
        self.child = Some(started.map_err(|error| {
            let program = self.options.journalctl.display();
            (self.options.say)(format_args!("{}: cannot start {program}: {error}", self.options.name));
            match error.kind() {
                ErrorKind::NotFound => Trouble::Missing,
                ErrorKind::PermissionDenied => Trouble::Permission,
                _ => Trouble::Open,
            }
        })?);
        self.has_stderr = true;
        Ok(())
    }

    fn command(&self, goal: Goal, cursor: Option<&str>) -> Command {
        let options = &self.options;
        let mut command = Command::new(&options.journalctl);
        // Without --quiet it writes remarks between the entries.
        command.args(["--output=export", "--quiet", "--no-pager"]).arg(format!("--output-fields={OUTPUT_FIELDS}"));
        if let Some(directory) = &options.directory {
            command.arg("--directory").arg(directory);
        }
        if let Some(cursor) = cursor.filter(|_| goal.starts_at_cursor()) {
            command.arg(format!("--cursor={cursor}"));
        }
        match goal {
            Goal::Last | Goal::LastMatch => {
                command.arg("--lines=1");
            }
            Goal::Follow => {
                // Both ask for the entries of all boots. A directory may hold the journals of other machines.
                let boots = if options.directory.is_some() { "--merge" } else { "--boot=all" };
                command.args(["--follow", "--no-tail", boots]);
            }
            Goal::Locate | Goal::CatchUp => {}
        }
        if goal.matches() {
            command.args(options.identifiers.iter().map(|identifier| format!("--identifier={identifier}")));
            command.args(options.units.iter().map(|unit| format!("--unit={unit}")));
            command.arg("--").args(&options.matches);
        }
        command
    }

    /// Reads once into `export`, and listens to standard error meanwhile. 0 at the end.
    pub(super) async fn fill(&mut self, export: &mut Export) -> Result<usize, Trouble> {
        let Runner { options, status, telemetry, complaints, child, has_stderr } = self;
        let Some(child) = child else { return Ok(0) };
        let mut warned = |text| warned(options, status, telemetry, text);
        loop {
            tokio::select! {
                read = child.stdout.read(export.space()) => return read.map_err(|_| Trouble::Read),
                is_open = complaints.read(&mut child.stderr, &mut warned), if *has_stderr => *has_stderr = is_open,
            }
        }
    }

    /// Waits for the end of a run whose output has ended, and judges it.
    pub(super) async fn ended(&mut self) -> Result<(), Trouble> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let ended = child.ended().await;
        let Runner { options, status, telemetry, complaints, .. } = self;
        // Whatever is still in the pipe; something that it started may hold it open.
        let rest = async {
            while complaints.read(&mut child.stderr, &mut |text| warned(options, status, telemetry, text)).await {}
        };
        let _ = tokio::time::timeout(super::child::PATIENCE, rest).await;
        if ended.is_ok_and(|status| status.success()) { Ok(()) } else { Err(Trouble::Exited) }
    }

    /// Ends the run, if there is one.
    pub(super) async fn stop(&mut self) {
        if let Some(child) = self.child.take() {
            child.stop().await;
        }
    }

    pub(super) fn say(&self, text: &str) {
        (self.options.say)(format_args!("{}: {text}", self.options.name));
    }

    pub(super) fn error(&self, trouble: Trouble) {
        self.telemetry.error(&self.status, trouble);
    }

    /// The journal cannot be read at the moment. It has been looked at all the same.
    pub(super) fn failed(&self, trouble: Trouble) {
        self.error(trouble);
        self.telemetry.up(&self.status, false);
        self.telemetry.looked(&self.status);
    }

    /// Every entry that was there has been read.
    pub(super) fn caught_up(&mut self) {
        self.telemetry.up(&self.status, true);
        self.telemetry.looked(&self.status);
        self.telemetry.behind(0.0);
    }

    pub(super) fn read(&self, bytes: usize) {
        self.telemetry.up(&self.status, true);
        self.telemetry.read(&self.status, bytes as u64);
    }

    pub(super) fn behind(&mut self, seconds: f64) {
        self.telemetry.behind(seconds);
    }
}

/// Counts a line of standard error, and shows it if it is time to.
fn warned(options: &Options, status: &Status, telemetry: &Telemetry, text: Option<String>) {
    telemetry.error(status, Trouble::Warned);
    if let Some(text) = text {
        (options.say)(format_args!("{}: journalctl: {text}", options.name));
    }
}
