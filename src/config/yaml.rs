//! YAML text as a tree of located nodes: first step of reading a configuration.
//!
//! The tree is built by `serde-saphyr`, which sees to syntax, duplicate keys, merge keys and the limits on
//! nesting, size and aliases. The schema is applied to the tree afterwards (`read`), so that every mistake
//! in a file is reported at once instead of the first one only.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::granit_parser::ErrorKind;
use serde_saphyr::{
    Error, ExternalMessageSource, Location, MessageFormatter, NonFiniteFloatPolicy, Options, Spanned,
    UserMessageFormatter,
};

use super::error::clip;

/// Deepest nesting of lists and mappings; the schema itself needs six.
const MAX_DEPTH: usize = 16;
/// Most nodes in a file, and most parser events replayed for its aliases.
const MAX_NODES: usize = 50_000;

/// What is said when a limit on nesting or size was passed.
const TOO_MUCH: &str = "the configuration is nested too deeply or has too many values";

/// A stretch of the source text, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Offset of the first byte.
    pub(super) start: usize,
    /// Length in bytes; 0 where only a point is known.
    pub(super) len: usize,
}

impl Place {
    /// Position that `location` names in `source`, always inside it and on character boundaries.
    fn new(location: Location, source: &str) -> Self {
        let span = location.span();
        let (start, len) = match (span.byte_offset(), span.byte_len()) {
            (Some(start), Some(len)) => (start as usize, len as usize),
            _ => (offset_of(source, location), 0),
        };
        let start = char_boundary(source, start);
        let end = char_boundary(source, start.saturating_add(len));
        Self { start, len: end - start }
    }

    /// The text at this place.
    pub(super) fn of(self, source: &str) -> &str {
        source.get(self.start..self.start + self.len).unwrap_or_default()
    }
}

/// The last character boundary of `source` at or before `offset`.
fn char_boundary(source: &str, offset: usize) -> usize {
    let mut offset = offset.min(source.len());
    while !source.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// Byte offset of a location that only has a line and a column.
fn offset_of(source: &str, location: Location) -> usize {
    let line = (location.line() as usize).saturating_sub(1);
    let column = (location.column() as usize).saturating_sub(1);
    let start: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = source.get(start..).unwrap_or_default();
    let row = rest.split('\n').next().unwrap_or_default();
    start + row.char_indices().nth(column).map_or(row.len(), |(offset, _)| offset)
}

/// A value and where it stands. An alias has the place of what it refers to, where a mistake is mended.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// What a node holds.
#[derive(Debug)]
pub(super) enum Value {
    /// Nothing is written, or `null`, or `~`.
    Null,
    /// `true` or `false`, unquoted.
    Bool(bool),
    /// A number, unquoted. Its text is what the file shows: `0200` and `1e3` stay themselves.
    Number(String),
    /// Any other scalar.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the file, without duplicate keys.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) place: Place,
    pub(super) name: String,
}

/// Why a text is not YAML that can be used.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) place: Place,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// Reads `source`, which has no byte order mark. An empty text is [`Value::Null`].
///
/// # Errors
/// The first mistake in syntax, the first duplicate key, or the limit that was passed.
pub(super) fn parse(source: &str) -> Result<Node, SyntaxError> {
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(source, options()) {
        Ok(raw) => Ok(locate(raw, source)),
        Err(error) => Err(explain(&error, source)),
    }
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_documents: 1,
            max_merge_keys: 1_000,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_NODES,
        },
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        reject_unsupported_tags: true,
        strict_booleans: true,
        with_snippet: false,
    }
}

/// One sentence for an error of the YAML reader. Its own texts speak to programmers in a few cases that
/// operators meet, so those are put differently.
fn explain(error: &Error, source: &str) -> SyntaxError {
    let place = error.location().map_or_else(Place::default, |location| Place::new(location, source));
    let mut cause = error.without_snippet();
    while let Error::AliasError { error, .. } = cause {
        cause = error.without_snippet();
    }
    let message = match cause {
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("duplicate key `{}`", clip(key))
        }
        Error::DuplicateMappingKey { .. } => "duplicate key".to_owned(),
        Error::MultipleDocuments { .. } | Error::Budget { breach: BudgetBreach::Documents { .. }, .. } => {
            "a second YAML document starts here; a configuration is one document".to_owned()
        }
        Error::Budget { .. } => TOO_MUCH.to_owned(),
        Error::ExternalMessage { source, .. }
            if matches!(&**source, ExternalMessageSource::Parser(error)
                if matches!(error.kind(), ErrorKind::RecursionLimitExceeded)) =>
        {
            TOO_MUCH.to_owned()
        }
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            "the aliases of this configuration expand to too many values".to_owned()
        }
        Error::UnknownAnchor { .. } => "this alias names no anchor above it".to_owned(),
        Error::RecursiveReferencesRequireWeakTypes { .. } => "this alias stands inside its own anchor".to_owned(),
        Error::InvalidScalar { .. } => "this value does not fit its tag".to_owned(),
        Error::Message { msg, .. } => msg.clone(),
        other => UserMessageFormatter.format_message(other).into_owned(),
    };
    SyntaxError { place, message, help: advice(cause, source, place).map(str::to_owned) }
}

/// What helps against the slips that YAML's own messages do not explain.
fn advice(cause: &Error, source: &str, place: Place) -> Option<&'static str> {
    match cause {
        Error::UnknownAnchor { .. } => return Some("text that begins with `*` needs quotes"),
        Error::UnsupportedTag { .. } => return Some("text that begins with `!` needs quotes"),
        _ => {}
    }
    let (before, after) = source.split_at_checked(place.start)?;
    let line = before.rsplit('\n').next()?;
    if after.starts_with(['%', '@', '`']) {
        Some("text that begins with one of % @ ` needs quotes")
    } else if line.trim().is_empty() && (line.contains('\t') || after.starts_with('\t')) {
        Some("indent with spaces: YAML allows no tabs there")
    } else if line.trim_end().ends_with("pipe:") && after.starts_with('-') {
        Some("standard input needs quotes: pipe: '-'")
    } else if line.trim_start().starts_with("listen:") && line.contains('[') {
        Some("an IPv6 address needs quotes: listen: '[::]:9129'")
    } else {
        None
    }
}

/// A node as the YAML reader hands it over, before places are resolved against the source.
enum Raw {
    Null,
    Bool(bool),
    Number,
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<RawKey>, Spanned<Raw>)>),
}

/// Resolves the places of a tree, and the text of its numbers. Recursion ends at [`MAX_DEPTH`].
fn locate(raw: Spanned<Raw>, source: &str) -> Node {
    let place = Place::new(raw.defined, source);
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Bool(value) => Value::Bool(value),
        Raw::Number => Value::Number(place.of(source).trim().to_owned()),
        Raw::Text(text) => Value::Text(text),
        Raw::List(items) => Value::List(items.into_iter().map(|item| locate(item, source)).collect()),
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let place = Place::new(key.defined, source);
                    let name = key.value.0;
                    (Key { place, name }, locate(value, source))
                })
                .collect(),
        ),
    };
    Node { place, value }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

/// Text of a key. Numbers and truth values are the text they look like.
struct RawKey(String);

impl<'de> Deserialize<'de> for RawKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer) {
            Ok(name) => Ok(Self(name)),
            Err(_) => Err(D::Error::custom("a key must be a word")),
        }
    }
}
