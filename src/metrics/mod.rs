//! The catalogue of metrics: name, help, unit, type, default labels and buckets of every metric stand here,
//! once; HELP text, METRICS.md and configuration checks derive from it. One file per log family, which
//! also says how an event updates them: third stage of the flow.
//!
//! HAProxy's family has a counter of its own. Those of the mail room share one: `mail` finds the family of a line by its
//! program, and `rows` the rows of an event. `custom` has those that a configuration describes.

/// Names the places of a table's entries, in their order.
macro_rules! places {
    ($($place:ident),* $(,)?) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "they are named like the constants that they make")]
        enum Places { $($place),* }
        $(pub(super) const $place: usize = Places::$place as usize;)*
    };
}

pub mod amavis;
mod cardinality;
pub mod clamav;
mod correlator;
pub mod custom;
pub mod dovecot;
mod exemplar;
pub mod exim;
pub mod halon;
pub mod haproxy;
mod mail;
pub mod opendkim;
pub mod opendmarc;
pub mod opensmtpd;
mod plan;
pub mod postfix;
pub mod postgrey;
mod rows;
pub mod rspamd;
pub mod sendmail;
pub mod spamd;
pub mod spf;
pub mod stalwart;
mod tally;

pub use cardinality::{Cardinality, LabelCardinality, MetricCardinality, ValueCardinality};
pub use correlator::{Correlator, Fate, Message};
pub use mail::{MAIL, Member};
pub use plan::{Buckets, Form, Plan, Slot};
pub use rows::Rows;
pub use tally::{Strangers, Tally, Totals, mask};

use std::sync::Arc;

use tailmeter_parsers::haproxy::Layouts;
use tailmeter_parsers::haproxy::config::Declared;

use crate::config::Config;
use crate::exposition::Snapshot;
use crate::series::{Budget, Cells, Directory};

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
    /// Points of a score, which may be negative; the cells hold thousandths.
    Points,
    /// Seconds; the cells hold microseconds.
    FineSeconds,
    /// A number with a fraction; the cells hold millionths.
    Fine,
    /// Bytes.
    Bytes,
}

impl Unit {
    /// Decimals of it that cells hold: 3 where they hold thousandths, 6 for millionths.
    pub const fn decimals(self) -> usize {
        match self {
            Self::Seconds | Self::Points => 3,
            Self::FineSeconds | Self::Fine => 6,
            Self::None | Self::Milliseconds | Self::Bytes => 0,
        }
    }

    /// What cells hold for 1.
    pub const fn scale(self) -> f64 {
        match self.decimals() {
            3 => 1e3,
            6 => 1e6,
            _ => 1.0,
        }
    }

    /// True when values may be below zero.
    pub const fn is_signed(self) -> bool {
        matches!(self, Self::Points)
    }
}

/// Prometheus type of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down, and says how things are in this run.
    Gauge,
    /// A gauge that shows the last value that a line had, also of an earlier run.
    Last,
    /// Classic histogram with these upper bounds, in the metric's unit, ascending, without `+Inf`.
    Histogram(&'static [f64]),
    /// Quantiles of what was observed last, each from 0 to 1, ascending.
    Summary(&'static [f64]),
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
    /// True when it is counted unless configuration says otherwise.
    pub is_on: bool,
}

impl Metric {
    /// A counter of things with these default labels.
    pub(crate) const fn counter(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Self {
        Self { name, help, kind: Kind::Counter, unit: Unit::None, labels, opt_in: &[], is_on: true }
    }

    /// A histogram with these bounds and default labels.
    pub(crate) const fn histogram(
        name: &'static str,
        help: &'static str,
        (unit, bounds): (Unit, &'static [f64]),
        labels: &'static [&'static str],
    ) -> Self {
        Self { kind: Kind::Histogram(bounds), unit, ..Self::counter(name, help, labels) }
    }

    /// The same with labels that configuration may add.
    pub(crate) const fn with(self, opt_in: &'static [&'static str]) -> Self {
        Self { opt_in, ..self }
    }

    /// The same, counted only if configuration asks for it.
    pub(crate) const fn off(self) -> Self {
        Self { is_on: false, ..self }
    }
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

impl Label {
    pub(crate) const fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, private: false }
    }

    /// One that identifies people or grows with traffic.
    pub(crate) const fn private(name: &'static str, help: &'static str) -> Self {
        Self { name, help, private: true }
    }
}

/// Everything the exporter knows of one log family.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// The format's name in configuration and on the command line, for example `haproxy`.
    pub name: &'static str,
    /// Its metrics, in the order of the exposition.
    pub metrics: &'static [Metric],
    /// Its label vocabulary.
    pub labels: &'static [Label],
    /// The program whose metrics these are, if they are not tailmeter's own.
    pub compat: Option<Compat>,
    /// How its lines are read and counted, if it is of the mail room.
    pub member: Option<Member>,
}

impl PartialEq for Family {
    fn eq(&self, other: &Self) -> bool {
        (self.name, self.compat) == (other.name, other.compat)
    }
}

/// Every log family with tailmeter's own metrics, by name.
pub const FAMILIES: &[&Family] = &[
    &amavis::FAMILY,
    &clamav::FAMILY,
    &dovecot::FAMILY,
    &exim::FAMILY,
    &halon::FAMILY,
    &haproxy::FAMILY,
    &opendkim::FAMILY,
    &opendmarc::FAMILY,
    &opensmtpd::FAMILY,
    &postfix::FAMILY,
    &postgrey::FAMILY,
    &rspamd::FAMILY,
    &sendmail::FAMILY,
    &spamd::FAMILY,
    &spf::FAMILY,
    &stalwart::FAMILY,
];

/// Another program whose metrics can be shown in place of those of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compat {
    /// The Python prometheus-haproxy-log-exporter.
    HaproxyLogExporter,
    /// postfix_exporter, which is written in Go.
    PostfixExporter,
}

impl Compat {
    /// All of them.
    pub const ALL: &[Self] = &[Self::HaproxyLogExporter, Self::PostfixExporter];

    /// Its name in configuration and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HaproxyLogExporter => "haproxy-log-exporter",
            Self::PostfixExporter => "postfix-exporter",
        }
    }

    /// The port of its `/metrics`, where whoever scrapes it expects them.
    pub const fn port(self) -> u16 {
        match self {
            Self::HaproxyLogExporter => 9129,
            Self::PostfixExporter => 9154,
        }
    }

    /// The one called `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|compat| compat.name() == name).copied()
    }
}

/// The log families whose metrics are shown with `compat`, each format once: of the other formats they are tailmeter's own.
pub const fn families(compat: Option<Compat>) -> &'static [&'static Family] {
    match compat {
        None => FAMILIES,
        Some(Compat::HaproxyLogExporter) => &[&haproxy::compat::FAMILY, &postfix::FAMILY, &postgrey::FAMILY],
        Some(Compat::PostfixExporter) => &[&haproxy::FAMILY, &postfix::compat::FAMILY, &postgrey::FAMILY],
    }
}

/// What sources can be read as: each family, and all of the mail room together.
pub fn formats(families: &[&Family]) -> impl Iterator<Item = &'static str> {
    let mail = families.iter().any(|family| family.member.is_some()).then_some(MAIL);
    families.iter().map(|family| family.name).chain(mail)
}

/// The format called `name`, whatever metrics are shown.
pub fn format(name: &str) -> Option<&'static str> {
    formats(FAMILIES).find(|format| *format == name)
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

/// Parses the lines of one format and counts them in a shard of its own.
pub trait Counter: Send {
    /// Counts every line of `lines`; the last may lack its newline.
    fn count(&mut self, lines: &[u8], tally: &mut Tally);

    /// Lines are written in `dialect` from now on.
    fn speak(&mut self, dialect: &Dialect);

    /// What is counted from now on is counted at `now`, in seconds since 1970: for what remembers only the last.
    fn tell_time(&mut self, now: u64);

    /// Shows the cells of each family, groups as in its plan, and what fell out of labels or limits, by index in its
    /// metrics.
    fn visit(&self, see: &mut dyn FnMut(&'static Family, &Cells, &[u64]));

    /// Shows the messages under way of each family that follows them.
    fn under_way(&self, _see: &mut dyn FnMut(&'static Family, &Correlator)) {}

    /// Takes up messages of the family called `family` that an earlier run has left.
    fn resume(&mut self, _family: &str, _messages: &[Message]) {}

    /// Gives away the messages under way of each family: another shard goes on with them.
    fn leave(&mut self, _take: &mut dyn FnMut(&'static Family, Vec<Message>)) {}

    /// Metrics of which not every row that the dialect lets expect is there before a line has it, because that would
    /// take more than half of what the metric may have.
    fn held_back(&self) -> Vec<&'static str> {
        Vec::new()
    }
}

/// What is counted for one family under a configuration, and which tuples have a row: shared by all shards.
#[derive(Clone, Debug)]
pub struct Planned {
    /// What is counted.
    pub plan: Arc<Plan>,
    /// Which tuples have a row. Those of earlier runs are added to it.
    pub directory: Arc<Directory>,
}

impl Planned {
    /// What `config` asks for of every family whose metrics it shows, without a row. They share its limit for all
    /// series together.
    pub fn all(config: &Config) -> Vec<Self> {
        let budget = Arc::new(Budget::new(config.max_series_total));
        let planned = |family: &'static Family| {
            // Nothing for the own telemetry, which no lines count.
            let plan = Arc::new(family.plan(config)?);
            let directory = Arc::new(Directory::within(Arc::clone(&budget), plan.groups.clone()));
            Some(Self { plan, directory })
        };
        config.families().filter_map(planned).collect()
    }

    /// The abnormal endings in `snapshot`, the commonest first; none of families whose lines tell no endings.
    pub fn endings(&self, snapshot: &Snapshot) -> Vec<Ending> {
        let family = self.plan.family;
        match (family.name, family.compat) {
            ("haproxy", None) => haproxy::endings(&self.plan, &self.directory, snapshot),
            _ => Vec::new(),
        }
    }
}

/// A counter of lines of `format` in `dialect`, with a rows of its own in `planned`, which has the families whose
/// metrics are shown; `None` when none of them is read as that.
pub fn counter(format: &str, planned: &[Planned], dialect: &Dialect) -> Option<Box<dyn Counter>> {
    let mut planned = planned.iter().filter(|planned| planned.plan.family.is_read_as(format)).peekable();
    let Planned { plan, directory } = (*planned.peek()?).clone();
    if let Some(custom) = &plan.custom {
        let custom = Arc::clone(custom);
        return Some(Box::new(custom::Custom::new(custom, Planned { plan, directory })));
    }
    Some(match (plan.family.member, plan.family.compat) {
        (Some(_), _) => Box::new(mail::Mail::new(planned.cloned().collect())),
        (None, Some(Compat::HaproxyLogExporter)) => Box::new(haproxy::compat::Requests::new(plan, directory, dialect)),
        (None, _) => Box::new(haproxy::Haproxy::new(plan, directory, dialect)),
    })
}

impl Family {
    /// The family called `name`.
    pub fn named(name: &str) -> Option<&'static Self> {
        FAMILIES.iter().find(|family| family.name == name).copied()
    }

    /// True when lines of this family may be in a source of `format`.
    pub fn is_read_as(&self, format: &str) -> bool {
        self.name == format || (format == MAIL && self.member.is_some())
    }

    /// A plan for this family under `config`; `None` for the own telemetry, which no lines count.
    pub fn plan(&'static self, config: &Config) -> Option<Plan> {
        match (self.name, self.compat, self.member) {
            (_, _, Some(_)) => Some(Plan::new(self, config, |metric| metric)),
            ("haproxy", None, _) => Some(haproxy::plan(config)),
            ("haproxy", Some(Compat::HaproxyLogExporter), _) => Some(haproxy::compat::plan(config)),
            _ => Some(config.format(self.name)?.plan(config)),
        }
    }
}
