//! The configuration file: what is read, where `/metrics` listens, and which labels and how many series
//! each metric may have. It stands before the flow: the pipeline is built from it.
//!
//! Reading is strict: `yaml` makes a tree of located nodes, `read` applies the schema to it (`read::sources` for what is read) with the typed
//! values of `reader` (`span` for lengths of time), and `catalogue` answers what metrics, labels and formats exist. Mistakes of all of them come back
//! together as [`ConfigErrors`], each with file, line, column and an excerpt.

mod catalogue;
mod dialect;
mod error;
mod histogram;
mod read;
mod reader;
mod sources;
mod span;
mod yaml;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use crate::series::Policy as LabelPolicy;
pub use dialect::{DialectError, Origin, Understood};
pub use error::{ConfigError, ConfigErrors};
pub use sources::{Input, InputError, JournalInput, Source, SyslogInput, Written};
pub use span::shown as shown_span;

pub use histogram::{
    ExemplarSource, MAX_BUCKETS, MAX_NATIVE_BUCKETS_RANGE, MAX_QUANTILES, NativeConfig, SummaryConfig,
    WINDOW_SECONDS_RANGE,
};

use crate::metrics::custom::Format;
use crate::metrics::{Compat, Family, Kind, Metric, families};
use crate::push::PushConfig;

/// Where `/metrics` listens unless told otherwise.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9129);
/// Longest line that is parsed whole unless told otherwise, in bytes.
pub const DEFAULT_MAX_LINE_BYTES: usize = 64 * 1024;
/// Line limits that can be asked for, in bytes.
pub const MAX_LINE_BYTES_RANGE: RangeInclusive<usize> = 1024..=16 * 1024 * 1024;
/// Series of one metric unless told otherwise.
pub const DEFAULT_MAX_SERIES: usize = 10_000;
/// Series limits that can be asked for. The upper end keeps a slip of the finger from meaning "no limit".
pub const MAX_SERIES_RANGE: RangeInclusive<usize> = 1..=1_000_000_000;
/// Series of all metrics together unless told otherwise. Within [`MAX_SERIES_RANGE`], like those of one.
pub const DEFAULT_MAX_SERIES_TOTAL: usize = 1_000_000;
/// Times that can be asked for after which an idle series is not shown any more.
pub const EXPIRE_AFTER_RANGE: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// Messages under way that are followed unless told otherwise, and how many may be: each takes 64 bytes and its share of an index.
pub const DEFAULT_MAX_MESSAGES: usize = 65_536;
/// See [`DEFAULT_MAX_MESSAGES`].
pub const MAX_MESSAGES_RANGE: RangeInclusive<usize> = 1000..=10_000_000;
/// Largest configuration file, in bytes.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;

/// A configuration whose every name is known and every value in range.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Address and port of `/metrics`: unless something else is asked for, the port of the program that `compat` names.
    pub listen: SocketAddr,
    /// Longest line that is parsed whole, in bytes, within [`MAX_LINE_BYTES_RANGE`].
    pub max_line_bytes: usize,
    /// Most series of each metric that sets no limit of its own, within [`MAX_SERIES_RANGE`].
    pub max_series: usize,
    /// Most series of all metrics together, within [`MAX_SERIES_RANGE`].
    pub max_series_total: usize,
    /// How long an idle series is shown, of each metric that does not say so itself.
    pub expire_after: Expiry,
    /// What to read, in the order of the file. May be empty: the command line can add sources.
    pub sources: Vec<Source>,
    /// The program whose metrics are shown in place of tailmeter's own.
    pub compat: Option<Compat>,
    /// Policies that hold wherever their label is used, by label.
    pub labels: BTreeMap<String, LabelPolicy>,
    /// What differs from the catalogue, by full metric name.
    pub metrics: BTreeMap<String, MetricConfig>,
    /// How Postfix's lines are counted.
    pub postfix: Arc<PostfixConfig>,
    /// Formats beside those that tailmeter knows by itself, in the order of the file.
    pub formats: Vec<Arc<Format>>,
    /// OpenMetrics text has `_created` samples, which tell when counting began. Protobuf always tells that.
    pub created_samples: bool,
    /// Where values are pushed to.
    pub push: PushConfig,
}

/// How Postfix's lines are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostfixConfig {
    /// Services whose lines count nothing, by their name in the tag (`amavis/smtp`) or what stands before its slash
    /// (`amavis`): so a message that goes through a content filter counts once.
    pub exclude_services: Vec<String>,
    /// Words for refusals, which come before those of the table: the first whose pattern fits.
    pub reject_reasons: Vec<RejectReason>,
    /// Messages under way that are followed, within [`MAX_MESSAGES_RANGE`].
    pub max_messages: usize,
    /// Services that `--compat postfix-exporter` counts as what the last part of their name says, beside those that have
    /// no other name: `submission/smtpd` as `smtpd`.
    pub compat_services: Vec<String>,
}

/// A word for refusals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectReason {
    /// A regular expression for the reply's text; one that compiles.
    pub pattern: String,
    /// The word.
    pub reason: String,
}

impl Default for PostfixConfig {
    fn default() -> Self {
        Self {
            exclude_services: Vec::new(),
            reject_reasons: Vec::new(),
            max_messages: DEFAULT_MAX_MESSAGES,
            compat_services: Vec::new(),
        }
    }
}

/// What an operator changes about one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricConfig {
    /// Its labels instead of the default ones; empty for none at all.
    pub labels: Option<Vec<LabelChoice>>,
    /// Its own limit of series, within [`MAX_SERIES_RANGE`].
    pub max_series: Option<usize>,
    /// How long an idle series of it is shown.
    pub expire_after: Option<Expiry>,
    /// False drops the metric.
    pub enabled: bool,
    /// Upper bounds of its buckets instead of the usual ones: in its unit, ascending, finite, at most [`MAX_BUCKETS`].
    pub buckets: Option<Vec<f64>>,
    /// Makes it a native histogram.
    pub native: Option<NativeConfig>,
    /// Makes it a summary.
    pub summary: Option<SummaryConfig>,
    /// What leads from its samples to lines.
    pub exemplars: Option<ExemplarSource>,
}

/// How long a series is shown to which nothing is added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// Always.
    #[default]
    Never,
    /// So long, within [`EXPIRE_AFTER_RANGE`].
    After(Duration),
}

/// One label of a metric's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelChoice {
    /// Name as in the exposition, for example `request_header_1`.
    pub name: String,
    /// Policy for this metric alone, which then replaces the one under `labels`.
    pub policy: Option<LabelPolicy>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: DEFAULT_LISTEN,
            max_line_bytes: DEFAULT_MAX_LINE_BYTES,
            max_series: DEFAULT_MAX_SERIES,
            max_series_total: DEFAULT_MAX_SERIES_TOTAL,
            expire_after: Expiry::Never,
            sources: Vec::new(),
            compat: None,
            labels: BTreeMap::new(),
            metrics: BTreeMap::new(),
            postfix: Arc::default(),
            formats: Vec::new(),
            created_samples: false,
            push: PushConfig::default(),
        }
    }
}

impl Default for MetricConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            labels: None,
            max_series: None,
            expire_after: None,
            buckets: None,
            native: None,
            summary: None,
            exemplars: None,
        }
    }
}

impl Config {
    /// The defaults for the metrics of `compat`: it listens on the port of the program whose metrics they are.
    pub fn with_compat(compat: Option<Compat>) -> Self {
        let mut config = Self { compat, ..Self::default() };
        if let Some(compat) = compat {
            config.listen.set_port(compat.port());
        }
        config
    }

    /// Reads the file at `path` and checks it against the catalogue.
    ///
    /// # Errors
    /// When the file cannot be read, is larger than [`MAX_FILE_BYTES`], is not UTF-8, or has any mistake;
    /// all mistakes that can be told apart are reported together.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        Self::load_for(path, None)
    }

    /// The same where `compat` has been asked for already, so that the file need not: its names are checked against
    /// the metrics that are then shown.
    ///
    /// # Errors
    /// As for [`Config::load`].
    pub fn load_for(path: &Path, compat: Option<Compat>) -> Result<Self, ConfigErrors> {
        let name = path.display().to_string();
        let whole_file = |message| ConfigErrors::from(ConfigError::whole_file(&name, message));
        let mut bytes = Vec::new();
        File::open(path)
            // One byte more than allowed is enough to see that a file is too large.
            .and_then(|file| file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes))
            .map_err(|error| whole_file(format!("cannot read the configuration: {error}")))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::with_compat(compat).read_bytes(&bytes, &name, families(compat), Some(folder))
    }

    /// Reads `text` and checks it against `families`. `file_name` only appears in errors. An empty text
    /// gives the defaults. Files that it names, such as lists of values, are not read: nothing is in them.
    ///
    /// # Errors
    /// As for [`Config::load`].
    pub fn parse(text: &str, file_name: &str, families: &[&Family]) -> Result<Self, ConfigErrors> {
        Self::default().read(text, file_name, families, None)
    }

    /// The same for bytes that may not be text.
    ///
    /// # Errors
    /// As for [`Config::load`].
    pub fn parse_bytes(bytes: &[u8], file_name: &str, families: &[&Family]) -> Result<Self, ConfigErrors> {
        Self::default().read_bytes(bytes, file_name, families, None)
    }

    /// Reads `text`, where this holds for what it does not say. Files that it names are read from `folder`, if there is one.
    fn read(
        self,
        text: &str,
        file_name: &str,
        families: &[&Family],
        folder: Option<&Path>,
    ) -> Result<Self, ConfigErrors> {
        if text.len() > MAX_FILE_BYTES {
            let limit = MAX_FILE_BYTES / 1024 / 1024;
            let message = format!("the configuration is larger than {limit} MiB");
            return Err(ConfigError::whole_file(file_name, message).into());
        }
        let source = text.strip_prefix('\u{feff}').unwrap_or(text);
        let root = yaml::parse(source)
            .map_err(|error| ConfigError::at(file_name, source, error.place, error.message).with_help(error.help))?;
        read::read(&root, file_name, source, families, folder, self)
    }

    fn read_bytes(
        self,
        bytes: &[u8],
        file_name: &str,
        families: &[&Family],
        folder: Option<&Path>,
    ) -> Result<Self, ConfigErrors> {
        let error = match std::str::from_utf8(bytes) {
            Ok(text) => return self.read(text, file_name, families, folder),
            Err(error) => error,
        };
        let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let invalid = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
        let shown = String::from_utf8_lossy(bytes);
        let place = yaml::Place { start: valid.len(), len: 0 };
        let message = format!("byte 0x{invalid:02x} is not UTF-8 text");
        Err(ConfigError::at(file_name, &shown, place, message).into())
    }

    /// Every family whose metrics are shown: those that tailmeter knows, and those of `formats`.
    pub fn families(&self) -> impl Iterator<Item = &'static Family> {
        families(self.compat).iter().copied().chain(self.formats.iter().map(|format| format.family))
    }

    /// The format called `name`, if it is one of `formats`.
    pub fn format(&self, name: &str) -> Option<&Arc<Format>> {
        self.formats.iter().find(|format| format.definition.name == name)
    }

    /// What the file says of the metric called `name`, if anything.
    pub fn metric(&self, name: &str) -> Option<&MetricConfig> {
        self.metrics.get(name)
    }

    /// False when `metric` is switched off.
    pub fn is_enabled(&self, metric: &Metric) -> bool {
        self.metric(metric.name).map_or(metric.is_on, |metric| metric.enabled)
    }

    /// Most series of the metric called `name`.
    pub fn max_series_of(&self, name: &str) -> usize {
        self.metric(name).and_then(|metric| metric.max_series).unwrap_or(self.max_series)
    }

    /// How long a series of `metric` is shown to which nothing is added. Gauges stay, since setting one to what it is
    /// leaves no trace; so does the only series of a metric without labels.
    pub fn expire_after(&self, metric: &Metric) -> Option<Duration> {
        let own = self.metric(metric.name).and_then(|metric| metric.expire_after);
        match own.unwrap_or(self.expire_after) {
            Expiry::After(span) if metric.kind != Kind::Gauge && !self.labels_of(metric).is_empty() => Some(span),
            _ => None,
        }
    }

    /// Labels of `metric` in order, the default ones unless it has its own, each with the policy that
    /// holds for it there.
    pub fn labels_of<'a>(&'a self, metric: &Metric) -> Vec<(&'a str, Option<&'a LabelPolicy>)> {
        let shared = |name: &str| self.labels.get(name);
        match self.metric(metric.name).and_then(|own| own.labels.as_ref()) {
            Some(choices) => choices
                .iter()
                .map(|choice| (choice.name.as_str(), choice.policy.as_ref().or_else(|| shared(&choice.name))))
                .collect(),
            None => metric.labels.iter().map(|&name| (name, shared(name))).collect(),
        }
    }
}
