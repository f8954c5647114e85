//! The catalogue of metrics: name, help, unit, type, default labels and buckets of every metric stand here,
//! once; HELP text, METRICS.md and configuration checks derive from it. One file per log family, which
//! also says how an event updates them: third stage of the flow.

pub mod haproxy;
mod plan;
mod tally;

pub use plan::{Buckets, Plan, Slot};
pub(crate) use tally::Name;
pub use tally::{Tally, Totals, mask};

use std::sync::Arc;

use tailmeter_parsers::haproxy::Layouts;
use tailmeter_parsers::haproxy::config::Declared;

use crate::config::Config;
use crate::exposition::Snapshot;
use crate::series::{Cells, Directory};

pub mod own;

/// What a sample counts in: METRICS.md says so, and cells of seconds are converted by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A plain number of things.
    None,
    /// Seconds; the cells hold milliseconds.
    Seconds,
    /// Milliseconds, as other programs have them.
    Milliseconds,
    /// Bytes.
    Bytes,
}

/// Prometheus type of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down (own telemetry only).
    Gauge,
    /// Classic histogram with these upper bounds, in the metric's unit, ascending, without `+Inf`.
    Histogram(&'static [f64]),
}

/// Definition of one metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// Full name, for example `haproxy_log_requests_total`.
    pub name: &'static str,
    /// One sentence, as the HELP line shows it.
    pub help: &'static str,
    /// Type and buckets.
    pub kind: Kind,
    /// Unit of its samples.
    pub unit: Unit,
    /// Default labels.
    pub labels: &'static [&'static str],
    /// Labels that configuration may add. `request_header_N` stands for every positive N.
    pub opt_in: &'static [&'static str],
}

/// Definition of a label of a family's vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// Name as in the exposition. A trailing `_N` stands for every number from 1 to 64.
    pub name: &'static str,
    /// One sentence for METRICS.md.
    pub help: &'static str,
    /// True when it identifies people or grows with traffic: asking for it needs a policy.
    pub private: bool,
}

/// Everything the exporter knows of one log family.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Family {
    /// The format's name in configuration and on the command line, for example `haproxy`.
    pub name: &'static str,
    /// Its metrics, in the order of the exposition.
    pub metrics: &'static [Metric],
    /// Its label vocabulary.
    pub labels: &'static [Label],
    /// The program whose metrics these are, if they are not tailmeter's own.
    pub compat: Option<Compat>,
}

/// Every log family with tailmeter's own metrics, by name.
pub const FAMILIES: &[&Family] = &[&haproxy::FAMILY];

/// Another program whose metrics can be shown in place of those of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compat {
    /// The Python prometheus-haproxy-log-exporter.
    HaproxyLogExporter,
}

impl Compat {
    /// All of them.
    pub const ALL: &[Self] = &[Self::HaproxyLogExporter];

    /// Its name in configuration and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HaproxyLogExporter => "haproxy-log-exporter",
        }
    }

    /// The one called `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|compat| compat.name() == name).copied()
    }
}

/// The log families whose metrics are shown with `compat`, each format once.
pub const fn families(compat: Option<Compat>) -> &'static [&'static Family] {
    match compat {
        None => FAMILIES,
        Some(Compat::HaproxyLogExporter) => &[&haproxy::compat::FAMILY],
    }
}

/// How the lines of a source are written, where the program leaves that to its operators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// As the program does unless told otherwise.
    #[default]
    Usual,
    /// By log-formats of HAProxy.
    Haproxy(Arc<Layouts>),
}

/// A way in which what a line is about ended abnormally, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// As the program writes it.
    pub state: String,
    /// How often.
    pub count: u64,
    /// What it means, a sentence.
    pub meaning: String,
}

impl Dialect {
    /// The names that lines may have, if the program's configuration declares them.
    pub fn declared(&self) -> Option<Arc<Declared>> {
        match self {
            Self::Usual => None,
            Self::Haproxy(layouts) => layouts.declared().cloned(),
        }
    }
}

/// Parses the lines of one family and counts them in a shard of its own.
pub trait Counter: Send {
    /// Counts every line of `lines`; the last may lack its newline.
    fn count(&mut self, lines: &[u8], tally: &mut Tally);

    /// Lines are written in `dialect` from now on.
    fn speak(&mut self, dialect: &Dialect);

    /// The cells of the shard; groups as in the plan.
    fn cells(&self) -> &Cells;

    /// Lines per metric that fell out of its labels or its limit, by index in the family's metrics.
    fn fell_out(&self) -> &[u64];

    /// Metrics of which not every row that the dialect lets expect is there before a line has it, because that would
    /// take more than half of what the metric may have. By index in the family's metrics.
    fn held_back(&self) -> &[usize] {
        &[]
    }
}

impl Family {
    /// The family called `name`.
    pub fn named(name: &str) -> Option<&'static Self> {
        FAMILIES.iter().find(|family| family.name == name).copied()
    }

    /// A plan for this family under `config`; `None` for the own telemetry, which no lines count.
    pub fn plan(&self, config: &Config) -> Option<Plan> {
        match (self.name, self.compat) {
            ("haproxy", None) => Some(haproxy::plan(config)),
            ("haproxy", Some(Compat::HaproxyLogExporter)) => Some(haproxy::compat::plan(config)),
            _ => None,
        }
    }

    /// The abnormal endings in `snapshot`, the commonest first; none of families whose lines tell no endings.
    pub fn endings(&self, plan: &Plan, directory: &Directory, snapshot: &Snapshot) -> Vec<Ending> {
        match (self.name, self.compat) {
            ("haproxy", None) => haproxy::endings(plan, directory, snapshot),
            _ => Vec::new(),
        }
    }

    /// A counter of lines of this family in `dialect`, with a shard of its own; `None` as for [`Family::plan`].
    pub fn counter(&self, plan: Arc<Plan>, directory: Arc<Directory>, dialect: &Dialect) -> Option<Box<dyn Counter>> {
        match (self.name, self.compat) {
            ("haproxy", None) => Some(Box::new(haproxy::Haproxy::new(plan, directory, dialect))),
            ("haproxy", Some(Compat::HaproxyLogExporter)) => {
                Some(Box::new(haproxy::compat::Requests::new(plan, directory, dialect)))
            }
            _ => None,
        }
    }
}
