//! Formats that the configuration describes: what their lines are like, which fields they have, and which metrics count them.
//!
//! A [`Definition`] is what the configuration says. A [`Format`] is what comes of it: a family like any other, with the
//! machines that read its lines. `pattern` has those for regular expressions, `read` makes events of lines, `count` counts them,
//! `explain` says how it goes about it.

mod count;
mod explain;
mod intern;
pub mod pattern;
mod read;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use tailmeter_parsers::pointers::Pointers;

use super::{FAMILIES, Family, Kind, Label, Metric, Plan, Unit};
use crate::config::Config;
use crate::source::records::Rule;
use pattern::{Matcher, Parsed, Pattern};

pub(super) use count::Custom;
pub use explain::Explained;
pub use read::{Event, Reader, Shown};

/// Fields that a syslog envelope has, by themselves.
pub const ENVELOPE_FIELDS: [&str; 3] = ["hostname", "program", "severity"];

/// Metrics, fields and patterns of a format, at most.
pub const MOST: usize = 64;

/// Quantiles of a summary, unless its settings under `metrics` name others.
const QUANTILES: &[f64] = &[0.5, 0.9, 0.99];

/// A format as the configuration describes it. Names have been checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// What stands before the messages.
    pub envelope: EnvelopeKind,
    /// What the messages are.
    pub messages: Messages,
    /// What is known of its fields beside their names, which the messages give.
    pub fields: Vec<FieldDefinition>,
    /// How lines are joined to records.
    pub records: Option<Records>,
    /// Its metrics.
    pub metrics: Vec<MetricDefinition>,
}

/// What stands before a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EnvelopeKind {
    /// Nothing: the line is the message.
    #[default]
    None,
    /// What syslog puts there.
    Syslog,
    /// What container runtimes put there.
    Cri,
}

/// What messages are.
#[derive(Clone, Debug, PartialEq)]
pub enum Messages {
    /// Texts; the first pattern that fits says which fields they have.
    Patterns(Vec<PatternDefinition>),
    /// JSON objects: names of fields, and JSON pointers to them.
    Json(Vec<(String, String)>),
}

/// A pattern of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternDefinition {
    /// What kind of message it is for, for people.
    pub name: Option<String>,
    /// The regular expression.
    pub text: String,
    /// Messages of this kind are known, and count nothing.
    pub is_ignored: bool,
}

/// What is known of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldDefinition {
    /// Its name.
    pub name: String,
    /// What its values are.
    pub kind: FieldKind,
    /// A regular expression that its values fit from the first byte to the last.
    pub fits: Option<String>,
}

/// What a field's values are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldKind {
    /// Text.
    #[default]
    String,
    /// Whole numbers.
    Integer,
    /// Numbers with a fraction.
    Float,
    /// Bytes.
    Bytes,
    /// Times that something took, in this unit.
    Duration(TimeUnit),
    /// Seconds, milliseconds or microseconds since 1970.
    Timestamp(TimeUnit),
}

/// What times are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds.
    #[default]
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
}

/// How lines are joined to records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records {
    /// A regular expression for the first line of each.
    pub start: String,
    /// Lines of a record, at most.
    pub max_lines: usize,
    /// Bytes of a record, at most.
    pub max_bytes: usize,
}

/// A metric of a format.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricDefinition {
    /// Its full name.
    pub name: String,
    /// The HELP line.
    pub help: String,
    /// Its type.
    pub kind: MetricKind,
    /// The field whose value it takes; without one, a counter counts messages.
    pub value: Option<String>,
    /// Fields that are its labels.
    pub labels: Vec<String>,
    /// Labels whose value is always the same.
    pub constants: Vec<(String, String)>,
    /// What has to hold for a message to be counted: all of it.
    pub when: Vec<Condition>,
}

/// The type of a metric.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// The last value.
    Gauge,
    /// With these upper bounds, in the unit of its samples.
    Histogram(Vec<f64>),
    /// Quantiles of what came last.
    Summary,
}

/// What a field has to be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The field. One that a message does not have is an empty text.
    pub field: String,
    /// A regular expression that is found in it.
    pub pattern: String,
    /// It must not be found.
    pub is_negated: bool,
}

impl FieldKind {
    /// True for numbers.
    pub const fn is_number(self) -> bool {
        !matches!(self, Self::String)
    }

    /// What is counted in, and by how many powers of ten values are multiplied.
    const fn unit(self) -> (Unit, i32) {
        match self {
            Self::String | Self::Integer => (Unit::None, 0),
            Self::Bytes => (Unit::Bytes, 0),
            Self::Float => (Unit::Fine, 6),
            Self::Duration(unit) | Self::Timestamp(unit) => (
                Unit::FineSeconds,
                match unit {
                    TimeUnit::Seconds => 6,
                    TimeUnit::Milliseconds => 3,
                    TimeUnit::Microseconds => 0,
                },
            ),
        }
    }
}

/// True for what can be the name of a field, and so of a label.
pub fn is_name(name: &str) -> bool {
    let is_first = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    is_first && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A format that can be read and counted. Two are equal when they are defined alike.
pub struct Format {
    /// What the configuration says of it.
    pub definition: Definition,
    /// Its metrics and labels.
    pub family: &'static Family,
    /// How lines are joined to records.
    pub records: Option<Arc<Rule>>,
    fields: Vec<Field>,
    /// By number of the condition.
    conditions: Vec<Check>,
    /// By metric of the family.
    metrics: Vec<Program>,
    machines: Machines,
}

/// A field of a format.
struct Field {
    name: &'static str,
    kind: FieldKind,
    fits: Option<Matcher>,
    /// How many values it may have, if few.
    choices: Option<u64>,
    /// A metric needs it, or it is checked.
    is_asked: bool,
    /// Numbers below zero are of the format.
    is_signed: bool,
}

enum Machines {
    Patterns(Vec<Pattern>),
    Json(Pointers),
}

/// A condition that several metrics may share.
struct Check {
    field: usize,
    matcher: Matcher,
    is_negated: bool,
}

/// What a metric needs of a message.
struct Program {
    value: Option<usize>,
    /// Numbers of conditions.
    when: Vec<usize>,
    /// By place in the family's vocabulary: what its value is; `None` for labels that the metric does not have.
    labels: Vec<Option<Value>>,
}

#[derive(Clone, Copy)]
enum Value {
    Field(usize),
    Constant(&'static str),
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.definition == other.definition
    }
}

impl Eq for Format {}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Format").field(&self.definition).finish()
    }
}

impl Format {
    /// Builds the machines of `definition`.
    ///
    /// # Errors
    /// What is wrong with it as a whole. Patterns, pointers and conditions have been checked one by one.
    pub fn new(definition: Definition) -> Result<Self, String> {
        let parsed = definition.parsed()?;
        let fields = fields(&definition, &parsed)?;
        let number = |name: &str| fields.iter().position(|field| field.name == name);
        let asked = |name: &str| number(name).filter(|number| fields.get(*number).is_some_and(|field| field.is_asked));
        let machines = match &definition.messages {
            Messages::Patterns(_) => {
                let is_alone = parsed.len() == 1;
                let built = parsed.iter().map(|pattern| pattern.pattern(&asked, is_alone));
                Machines::Patterns(built.collect::<Result<_, _>>()?)
            }
            Messages::Json(pointers) => {
                let pointers = Pointers::new(pointers.iter().map(|(_, pointer)| pointer.as_str()));
                Machines::Json(pointers.map_err(|(_, _, message)| message.to_owned())?)
            }
        };
        let family = family(&definition, &fields);
        let (mut conditions, mut metrics) = (Vec::<Check>::new(), Vec::new());
        let mut known: Vec<&Condition> = Vec::new();
        for metric in &definition.metrics {
            let mut when = Vec::new();
            for condition in &metric.when {
                let place = known.iter().position(|other| *other == condition);
                if place.is_none() {
                    known.push(condition);
                    conditions.push(Check {
                        field: number(&condition.field).ok_or_else(|| unknown(&condition.field))?,
                        matcher: Matcher::of(&condition.pattern).map_err(|mistake| mistake.message)?,
                        is_negated: condition.is_negated,
                    });
                }
                when.push(place.unwrap_or(known.len() - 1));
            }
            let value = |label: &Label| {
                let constant = metric.constants.iter().find(|(name, _)| name == label.name);
                let is_label = metric.labels.iter().any(|name| name == label.name);
                match constant {
                    Some((_, value)) => Some(Value::Constant(intern::text(value))),
                    None => number(label.name).filter(|_| is_label).map(Value::Field),
                }
            };
            let labels = family.labels.iter().map(value).collect();
            metrics.push(Program { value: metric.value.as_deref().and_then(number), when, labels });
        }
        let records = definition.records.as_ref().map(|records| rule(records, definition.envelope)).transpose()?;
        Ok(Self { family, records: records.map(Arc::new), conditions, metrics, machines, fields, definition })
    }

    /// What is counted of it under `config`. Metrics share rows when the same messages are counted, with the same labels.
    pub(super) fn plan(self: &Arc<Self>, config: &Config) -> Plan {
        let of = |metric: usize| self.definition.metrics.get(metric);
        let lines = |metric| of(metric).map(|metric| (&metric.when, &metric.value, &metric.constants));
        let mut plan = Plan::new(self.family, config, lines);
        plan.custom = Some(Arc::clone(self));
        plan
    }

    /// True when the label `name` may have endless values.
    pub fn is_free(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name && field.choices.is_none())
    }
}

impl Definition {
    fn parsed(&self) -> Result<Vec<Parsed>, String> {
        match &self.messages {
            Messages::Patterns(patterns) => {
                let parsed = patterns.iter().map(|pattern| Parsed::of(&pattern.text));
                parsed.collect::<Result<_, _>>().map_err(|mistake| mistake.message)
            }
            Messages::Json(_) => Ok(Vec::new()),
        }
    }

    /// The names of all fields that messages can have.
    pub fn field_names(&self) -> Vec<String> {
        let mut names = match &self.messages {
            Messages::Json(pointers) => pointers.iter().map(|(name, _)| name.clone()).collect(),
            Messages::Patterns(_) => {
                let parsed = self.parsed().unwrap_or_default();
                let mut seen = BTreeSet::new();
                let groups = parsed.into_iter().flat_map(|pattern| pattern.groups).map(|(name, _)| name);
                groups.filter(|name| seen.insert(name.clone())).collect::<Vec<_>>()
            }
        };
        if self.envelope == EnvelopeKind::Syslog {
            let added = ENVELOPE_FIELDS.iter().filter(|name| !names.iter().any(|known| known == *name));
            let added = added.map(|name| (*name).to_owned()).collect::<Vec<_>>();
            names.extend(added);
        }
        names
    }

    /// What is known of the field `name`.
    pub fn field(&self, name: &str) -> Option<&FieldDefinition> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// What the values of the field `name` are.
    pub fn kind_of(&self, name: &str) -> FieldKind {
        self.field(name).map_or(FieldKind::String, |field| field.kind)
    }

    /// True when values of the field `name` may be below zero: nothing counts with them.
    fn may_be_negative(&self, name: &str) -> bool {
        let is_plain = matches!(self.kind_of(name), FieldKind::Integer | FieldKind::Float);
        let adds =
            |metric: &MetricDefinition| metric.kind != MetricKind::Gauge && metric.value.as_deref() == Some(name);
        is_plain && !self.metrics.iter().any(adds)
    }

    /// True when some metric needs the field `name`, or its values are checked.
    fn asks_for(&self, name: &str) -> bool {
        let is_of = |metric: &MetricDefinition| {
            metric.value.as_deref() == Some(name)
                || metric.labels.iter().any(|label| label == name)
                || metric.when.iter().any(|condition| condition.field == name)
        };
        let is_checked = self.field(name).is_some_and(|field| field.kind.is_number() || field.fits.is_some());
        is_checked || self.metrics.iter().any(is_of)
    }
}

fn unknown(field: &str) -> String {
    format!("there is no field `{field}`")
}

fn fields(definition: &Definition, parsed: &[Parsed]) -> Result<Vec<Field>, String> {
    let groups = pattern::group_choices(parsed);
    let field = |name: String| {
        let fits = definition.field(&name).and_then(|field| field.fits.as_deref());
        // Eight, and none.
        let severities = (name == "severity").then_some(9);
        let choices = match (fits, groups.get(name.as_str())) {
            (Some(fits), _) => Parsed::of(fits).ok().and_then(|parsed| parsed.choices()),
            (None, Some(choices)) => *choices,
            (None, None) if definition.envelope == EnvelopeKind::Syslog => severities,
            (None, None) => None,
        };
        let matcher = fits.map(Matcher::of_whole).transpose().map_err(|mistake| mistake.message)?;
        Ok(Field {
            kind: definition.kind_of(&name),
            fits: matcher,
            choices,
            is_asked: definition.asks_for(&name),
            is_signed: definition.may_be_negative(&name),
            name: intern::text(&name),
        })
    };
    definition.field_names().into_iter().map(field).collect()
}

/// The family of a format.
fn family(definition: &Definition, fields: &[Field]) -> &'static Family {
    let mut labels: Vec<Label> = Vec::new();
    let mut metrics = Vec::new();
    for metric in &definition.metrics {
        let free = |name: &str| fields.iter().any(|field| field.name == name && field.choices.is_none());
        let own = metric.labels.iter().map(|name| (name, "A field of the format.", free(name)));
        let constant = metric.constants.iter().map(|(name, _)| (name, "Always the same.", false));
        let mut names = Vec::new();
        for (name, help, private) in own.chain(constant) {
            let name = intern::text(name);
            names.push(name);
            if !labels.iter().any(|known| known.name == name) {
                labels.push(Label { name, help, private });
            }
        }
        let value = metric.value.as_deref().map_or(FieldKind::String, |name| definition.kind_of(name));
        metrics.push(Metric {
            name: intern::text(&metric.name),
            help: intern::text(&metric.help),
            kind: match &metric.kind {
                MetricKind::Counter => Kind::Counter,
                MetricKind::Gauge => Kind::Last,
                MetricKind::Histogram(bounds) => Kind::Histogram(intern::bounds(bounds)),
                MetricKind::Summary => Kind::Summary(QUANTILES),
            },
            unit: value.unit().0,
            labels: intern::names(names),
            opt_in: &[],
            is_on: true,
        });
    }
    intern::family(&definition.name, metrics, labels)
}

fn rule(records: &Records, envelope: EnvelopeKind) -> Result<Rule, String> {
    let start = Matcher::of(&records.start).map_err(|mistake| mistake.message)?;
    let is_start = move |line: &[u8]| start.fits(read::message(envelope, line));
    Ok(Rule { is_start: Box::new(is_start), max_lines: records.max_lines, max_bytes: records.max_bytes })
}

/// What is wrong with `name` as that of a metric of this type, if anything.
pub fn refuse_metric_name(name: &str, kind: &MetricKind, known: &[&Family]) -> Option<String> {
    if !is_name(name) {
        return Some("a metric's name is made of letters, digits and `_`, and begins with no digit".to_owned());
    }
    if name.starts_with("tailmeter_") || name.starts_with("process_") {
        return Some("names with `tailmeter_` and `process_` are those of tailmeter's own metrics".to_owned());
    }
    let is_counter = *kind == MetricKind::Counter;
    if is_counter != name.ends_with("_total") {
        let rule = if is_counter { "a counter's name ends" } else { "only a counter's name ends" };
        return Some(format!("{rule} in `_total`"));
    }
    const SUFFIXES: [&str; 5] = ["_bucket", "_sum", "_count", "_created", "_info"];
    if let Some(suffix) = SUFFIXES.iter().find(|suffix| name.ends_with(**suffix)) {
        return Some(format!("`{suffix}` is the ending of a series of other metrics"));
    }
    let clashes = |family: &&&Family| family.metrics.iter().any(|metric| metric.name == name);
    let family = FAMILIES.iter().chain(known).find(clashes)?;
    Some(format!("{} has a metric of this name", family.name))
}

/// What is wrong with `name` as that of a label, if anything.
pub fn refuse_label_name(name: &str) -> Option<&'static str> {
    match name {
        "le" | "quantile" => Some("Prometheus gives this label a meaning of its own"),
        _ if name.starts_with("__") => Some("labels that begin with `__` are those of Prometheus itself"),
        _ if !is_name(name) => Some("a label's name is made of letters, digits and `_`, and begins with no digit"),
        _ => None,
    }
}
