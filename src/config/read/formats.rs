//! Formats that the configuration describes: names, messages, fields and records of each. `metrics` has what counts them.

mod metrics;

use std::collections::BTreeSet;
use std::sync::Arc;

use tailmeter_parsers::pointers::Pointers;

use super::Schema;
use crate::config::LabelChoice;
use crate::config::error::clip;
use crate::config::reader::Entries;
use crate::config::yaml::{Key, Node, Place, Value};
use crate::metrics::custom::pattern::{Matcher, Mistake, Parsed};
use crate::metrics::custom::{
    self, Definition, EnvelopeKind, FieldDefinition, FieldKind, Format, Messages, PatternDefinition, Records, TimeUnit,
};
use crate::metrics::{self as catalogue, FAMILIES};

const KEYS: &[&str] = &["envelope", "pattern", "json", "fields", "multiline", "metrics"];
const PATTERN_KEYS: &[&str] = &["name", "pattern", "ignore"];
const FIELD_KEYS: &[&str] = &["type", "unit", "fits"];
const RECORD_KEYS: &[&str] = &["start", "max_lines", "max_bytes"];
const TYPES: &[&str] = &["string", "integer", "float", "bytes", "duration", "timestamp"];
const UNITS: &[&str] = &["s", "ms", "us"];
const ENVELOPES: &[&str] = &["none", "syslog", "cri"];

/// Lines of a record, at most, unless told otherwise; and how many may be asked for.
const MAX_LINES: usize = 500;
const MAX_LINES_RANGE: std::ops::RangeInclusive<usize> = 1..=100_000;
/// The same in bytes.
const MAX_BYTES: usize = 64 * 1024;
const MAX_BYTES_RANGE: std::ops::RangeInclusive<usize> = 1024..=16 * 1024 * 1024;

/// The labels of a metric, as its format lists them, and where each stands.
pub(super) type Listed = (String, Vec<(Place, LabelChoice)>);

impl Schema<'_> {
    /// Reads all formats. Returns the labels of their metrics, which are checked when all policies are known.
    pub(super) fn formats(&mut self, key: &Key, node: &Node) -> Vec<Listed> {
        let mut listed = Vec::new();
        for (number, (key, node)) in self.reader.map(key.place, node).iter().enumerate() {
            if number == custom::MOST {
                self.reader.report(key.place, format!("there can be {} formats", custom::MOST), None);
                break;
            }
            let mistakes = self.reader.mistakes();
            self.check_format_name(key);
            let (definition, labels) = self.format_definition(key, node);
            // With a mistake in it, other places where it is used are not to blame.
            let built = definition.map(Format::new);
            match built {
                Some(Ok(format)) => {
                    self.catalogue.add(format.family);
                    self.config.formats.push(Arc::new(format));
                    listed.extend(labels);
                }
                Some(Err(message)) if self.reader.mistakes() == mistakes => {
                    self.reader.report(key.place, message, None);
                }
                _ => {}
            }
        }
        listed
    }

    /// Checks labels that may have endless values for policies, wherever they are.
    pub(super) fn check_formats(&mut self, listed: &[Listed]) {
        for (metric, labels) in listed {
            let chosen = self.config.metrics.get(metric).and_then(|metric| metric.labels.as_ref());
            // Those that stand under `metrics` have been checked there.
            if chosen.is_some_and(|chosen| labels.iter().any(|(_, label)| !chosen.contains(label))) {
                continue;
            }
            let Some(known) = self.catalogue.metric(metric) else { continue };
            labels.iter().for_each(|(place, label)| self.check_choice(known, *place, label));
        }
    }

    fn check_format_name(&mut self, key: &Key) {
        let name = key.name.as_str();
        let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        if !name.starts_with(|first: char| first.is_ascii_lowercase()) || !name.bytes().all(is_letter) {
            let message = format!("`{}` is no name for a format", clip(name));
            let help = "lower case letters, digits, `_` and `-`, a letter first".to_owned();
            self.reader.report(key.place, message, Some(help));
        } else if catalogue::formats(FAMILIES).any(|known| known == name) {
            let message = format!("tailmeter has a format `{name}` of its own");
            self.reader.report(key.place, message, Some("give this one another name".to_owned()));
        }
    }

    /// The definition of a format, as far as it can be understood, and the labels of its metrics.
    fn format_definition(&mut self, key: &Key, node: &Node) -> (Option<Definition>, Vec<Listed>) {
        let entries = self.reader.map(key.place, node);
        for (key, _) in entries {
            if !KEYS.contains(&key.name.as_str()) {
                self.reader.unknown_key(key, KEYS);
            }
        }
        let entry = |name: &str| entries.iter().find(|(key, _)| key.name == name);
        let envelope = entry("envelope").and_then(|(key, node)| {
            let envelope = self.one_of("an envelope", ENVELOPES, key, node)?;
            Some([EnvelopeKind::None, EnvelopeKind::Syslog, EnvelopeKind::Cri].into_iter().nth(envelope)).flatten()
        });
        let messages = match (entry("pattern"), entry("json")) {
            (Some((key, node)), None) => self.message_patterns(key, node).map(Messages::Patterns),
            (None, Some((key, node))) => self.pointers(key, node).map(Messages::Json),
            (Some(_), Some((key, _))) => {
                let message = "a format has either `pattern` or `json`".to_owned();
                self.reader.report(key.place, message, None);
                None
            }
            (None, None) => {
                let message = format!("the format `{}` has neither `pattern` nor `json`", clip(&key.name));
                let help = "`pattern` is a regular expression with named groups, `json` names values by JSON pointers";
                self.reader.report(key.place, message, Some(help.to_owned()));
                None
            }
        };
        let Some(messages) = messages else { return (None, Vec::new()) };
        let mut definition = Definition {
            name: key.name.clone(),
            envelope: envelope.unwrap_or_default(),
            messages,
            fields: Vec::new(),
            records: None,
            metrics: Vec::new(),
        };
        let names = definition.field_names();
        if names.len() > custom::MOST {
            let message = format!("a format can have {} fields, not {}", custom::MOST, names.len());
            self.reader.report(key.place, message, None);
            return (None, Vec::new());
        }
        if let Some((key, node)) = entry("fields") {
            definition.fields = self.fields(key, node, &names);
        }
        definition.records = entry("multiline").and_then(|(key, node)| self.records(key, node));
        let labels = match entry("metrics") {
            Some((key, node)) => self.format_metrics(key, node, &mut definition, &names),
            None => {
                let message = format!("the format `{}` has no `metrics`", clip(&key.name));
                self.reader.report(key.place, message, None);
                Vec::new()
            }
        };
        (Some(definition), labels)
    }

    /// The place in `words` of the one that is written.
    fn one_of(&mut self, what: &str, words: &[&str], key: &Key, node: &Node) -> Option<usize> {
        let word = self.reader.word(what, key.place, node)?;
        let found = words.iter().position(|known| *known == word);
        if found.is_none() {
            let help = format!("known: {}", words.join(", "));
            let kind = what.split_once(' ').map_or(what, |(_, kind)| kind);
            self.reader.unknown(kind, &word, node.place, words.iter().copied(), Some(help));
        }
        found
    }

    /// A regular expression that `check` accepts.
    fn regex<T>(
        &mut self,
        key: &Key,
        node: &Node,
        check: impl FnOnce(&str) -> Result<T, Mistake>,
    ) -> Option<(String, T)> {
        let text = self.reader.word("a regular expression", key.place, node)?;
        match check(&text) {
            Ok(checked) => Some((text, checked)),
            Err(Mistake { offset, message }) => {
                let place = self.reader.within(node, &text, offset);
                self.reader.report(place, message, None);
                None
            }
        }
    }

    /// `pattern`: one, or a list.
    fn message_patterns(&mut self, key: &Key, node: &Node) -> Option<Vec<PatternDefinition>> {
        let alone = std::slice::from_ref(node);
        let items = if let Value::List(items) = &node.value { items.as_slice() } else { alone };
        if items.is_empty() || items.len() > custom::MOST {
            let message = format!("from 1 to {} patterns can stand here", custom::MOST);
            self.reader.report(key.place, message, None);
            return None;
        }
        let patterns = items.iter().map(|item| self.pattern_definition(key, item)).collect::<Vec<_>>();
        let patterns = patterns.into_iter().collect::<Option<Vec<_>>>()?;
        let names =
            |pattern: &PatternDefinition| Parsed::of(&pattern.text).map(|parsed| parsed.groups.len()).unwrap_or(0);
        if patterns.iter().map(names).sum::<usize>() == 0 {
            let message = "no pattern has a named group: there would be no field".to_owned();
            let help = r"a group is named so: (?P<status>\d+)".to_owned();
            self.reader.report(key.place, message, Some(help));
            return None;
        }
        Some(patterns)
    }

    fn pattern_definition(&mut self, list: &Key, item: &Node) -> Option<PatternDefinition> {
        let Value::Map(entries) = &item.value else {
            let (text, _) = self.regex(list, item, Parsed::of)?;
            return Some(PatternDefinition { name: None, text, is_ignored: false });
        };
        let (mut name, mut text, mut is_ignored) = (None, None, false);
        for (key, node) in entries {
            match key.name.as_str() {
                "name" => name = Some(self.reader.word("a name", key.place, node)?),
                "pattern" => text = Some(self.regex(key, node, Parsed::of)?.0),
                "ignore" => is_ignored = self.reader.bool(key, node)?,
                _ => {
                    self.reader.unknown_key(key, PATTERN_KEYS);
                    return None;
                }
            }
        }
        if text.is_none() {
            self.reader.report(item.place, "this item has no `pattern`".to_owned(), None);
        }
        Some(PatternDefinition { name, text: text?, is_ignored })
    }

    /// `json`: fields, and pointers to them.
    fn pointers(&mut self, key: &Key, node: &Node) -> Option<Vec<(String, String)>> {
        let entries = self.reader.map(key.place, node);
        if entries.is_empty() {
            let help = "for example json: {status: /status, method: /request/method}".to_owned();
            self.reader.report(key.place, "`json` names no value".to_owned(), Some(help));
            return None;
        }
        let mut pointers: Vec<(String, String)> = Vec::new();
        let mistakes = self.reader.mistakes();
        for (key, node) in entries {
            self.check_field_name(key);
            let Some(pointer) = self.reader.word("a JSON pointer", key.place, node) else { continue };
            let all = pointers.iter().map(|(_, pointer)| pointer.as_str()).chain([pointer.as_str()]);
            if let Err((_, offset, message)) = Pointers::new(all) {
                let place = self.reader.within(node, &pointer, offset);
                self.reader.report(place, message.to_owned(), Some("for example /request/method".to_owned()));
                continue;
            }
            pointers.push((key.name.clone(), pointer));
        }
        (self.reader.mistakes() == mistakes).then_some(pointers)
    }

    fn check_field_name(&mut self, key: &Key) {
        if !custom::is_name(&key.name) {
            let message = format!("`{}` is no name for a field", clip(&key.name));
            let help = "letters, digits and `_`, no digit first".to_owned();
            self.reader.report(key.place, message, Some(help));
        }
    }

    /// `fields`: what the values of fields are.
    fn fields(&mut self, key: &Key, node: &Node, names: &[String]) -> Vec<FieldDefinition> {
        let mut fields = Vec::new();
        for (key, node) in self.reader.map(key.place, node) {
            if !names.contains(&key.name) {
                let known = names.iter().map(String::as_str);
                let help = format!("fields of this format: {}", names.join(", "));
                self.reader.unknown("field", &key.name, key.place, known, Some(help));
                continue;
            }
            let Value::Map(entries) = &node.value else {
                let kind = self.one_of("a type", TYPES, key, node);
                let kind = kind.and_then(|kind| field_kind(kind, TimeUnit::Seconds));
                fields.extend(kind.map(|kind| FieldDefinition { name: key.name.clone(), kind, fits: None }));
                continue;
            };
            fields.extend(self.field(key, entries));
        }
        fields
    }

    fn field(&mut self, name: &Key, entries: &Entries) -> Option<FieldDefinition> {
        let (mut kind, mut unit, mut fits) = (0, None, None);
        for (key, node) in entries {
            match key.name.as_str() {
                "type" => kind = self.one_of("a type", TYPES, key, node)?,
                "unit" => unit = Some((key.place, self.one_of("a unit", UNITS, key, node)?)),
                "fits" => fits = Some(self.regex(key, node, Matcher::of_whole)?.0),
                _ => {
                    self.reader.unknown_key(key, FIELD_KEYS);
                    return None;
                }
            }
        }
        const ALL: [TimeUnit; 3] = [TimeUnit::Seconds, TimeUnit::Milliseconds, TimeUnit::Microseconds];
        let time = unit.and_then(|(_, unit)| ALL.get(unit).copied());
        let kind = field_kind(kind, time.unwrap_or_default())?;
        if let Some((place, _)) = unit
            && !matches!(kind, FieldKind::Duration(_) | FieldKind::Timestamp(_))
        {
            let message = "`unit` goes with `type: duration` and `type: timestamp`".to_owned();
            self.reader.report(place, message, None);
        }
        Some(FieldDefinition { name: name.name.clone(), kind, fits })
    }

    /// `multiline`: how lines are joined.
    fn records(&mut self, key: &Key, node: &Node) -> Option<Records> {
        let mut records = Records { start: String::new(), max_lines: MAX_LINES, max_bytes: MAX_BYTES };
        let mut has_start = false;
        for (key, node) in self.reader.map(key.place, node) {
            match key.name.as_str() {
                "start" => {
                    has_start = true;
                    records.start = self.regex(key, node, Matcher::of)?.0;
                }
                "max_lines" => records.max_lines = self.reader.number(key, node, MAX_LINES_RANGE)?,
                "max_bytes" => records.max_bytes = self.reader.number(key, node, MAX_BYTES_RANGE)?,
                _ => {
                    self.reader.unknown_key(key, RECORD_KEYS);
                    return None;
                }
            }
        }
        if !has_start {
            let message = "`multiline` needs a `start`: what the first line of a record looks like".to_owned();
            let help = r"for example start: '^\d{4}-\d\d-\d\d '".to_owned();
            self.reader.report(key.place, message, Some(help));
            return None;
        }
        Some(records)
    }
}

fn field_kind(number: usize, unit: TimeUnit) -> Option<FieldKind> {
    let kinds = [
        FieldKind::String,
        FieldKind::Integer,
        FieldKind::Float,
        FieldKind::Bytes,
        FieldKind::Duration(unit),
        FieldKind::Timestamp(unit),
    ];
    kinds.into_iter().nth(number)
}

/// Names that come twice, each once.
fn repeated<'n>(names: impl Iterator<Item = &'n str>) -> BTreeSet<&'n str> {
    let mut seen = BTreeSet::new();
    names.filter(|name| !seen.insert(*name)).collect()
}
