//! Typed values from nodes, and the list of what went wrong on the way.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::catalogue::closest;
use super::error::{ConfigError, ConfigErrors, clip};
use super::span;
use super::yaml::{Key, Node, Place, Value};

/// A mapping's entries.
pub(super) type Entries = [(Key, Node)];

/// Mistakes after which names are no longer compared for suggestions, which takes time: nobody reads on.
const MAX_SUGGESTIONS: usize = 200;

/// Turns nodes into values of the expected type. What does not fit is noted and gives `None`, so reading
/// goes on and finds the next mistake.
pub(super) struct Reader<'a> {
    file: &'a str,
    source: &'a str,
    notes: Vec<Note>,
}

/// A mistake, not yet with its excerpt.
#[derive(PartialEq)]
struct Note {
    place: Place,
    message: String,
    help: Option<String>,
}

impl<'a> Reader<'a> {
    /// A reader of the nodes of `source`; `file` is its name in errors.
    pub(super) fn new(file: &'a str, source: &'a str) -> Self {
        Self { file, source, notes: Vec::new() }
    }

    /// Everything that went wrong, in the order of the file. What an alias repeats is said once.
    pub(super) fn into_errors(self) -> Option<ConfigErrors> {
        let (file, source, mut notes) = (self.file, self.source, self.notes);
        notes.sort_by_key(|note| note.place.start);
        notes.dedup();
        ConfigErrors::collect(
            notes.into_iter().map(|note| ConfigError::at(file, source, note.place, note.message).with_help(note.help)),
        )
    }

    /// The text that is read.
    pub(super) fn source(&self) -> &'a str {
        self.source
    }

    /// The character at `offset` (bytes) of `text`, which is the value of `node`; all of the node where `text` does not
    /// stand in the file as it is.
    pub(super) fn within(&self, node: &Node, text: &str, offset: usize) -> Place {
        let written = node.place.of(self.source);
        let quoted = |quote: char| written.strip_prefix(quote).and_then(|written| written.strip_suffix(quote));
        let lead = match written {
            _ if written == text => 0,
            _ if [quoted('\''), quoted('"')].contains(&Some(text)) => 1,
            _ => return node.place,
        };
        let len = text.get(offset..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        Place { start: node.place.start + lead + offset.min(text.len()), len }
    }

    /// Number of mistakes noted so far.
    pub(super) fn mistakes(&self) -> usize {
        self.notes.len()
    }

    /// Notes a mistake at `place`.
    pub(super) fn report(&mut self, place: Place, message: String, help: Option<String>) {
        self.notes.push(Note { place, message, help });
    }

    /// The one of `names` that `word` was most likely meant to be.
    pub(super) fn suggest<'n>(&self, word: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
        if self.notes.len() < MAX_SUGGESTIONS { closest(word, names) } else { None }
    }

    /// Notes that nothing is called `name`, which is a `kind` of thing; `known` is what there is.
    pub(super) fn unknown<'n>(
        &mut self,
        kind: &str,
        name: &str,
        place: Place,
        known: impl Iterator<Item = &'n str>,
        help: Option<String>,
    ) {
        let ending = match self.suggest(name, known) {
            Some(close) => format!("; did you mean `{close}`?"),
            None => String::new(),
        };
        let message = format!("unknown {kind} `{}`{ending}", clip(name));
        self.report(place, message, help);
    }

    /// Notes a key that does not exist. Returns the one of the `known` keys that was probably meant.
    pub(super) fn unknown_key(&mut self, key: &Key, known: &[&'a str]) -> Option<&'a str> {
        let meant = self.suggest(&key.name, known.iter().copied());
        let help = match meant {
            Some(_) => None,
            None => Some(format!("known keys: {}", known.join(", "))),
        };
        self.unknown("key", &key.name, key.place, meant.into_iter(), help);
        meant
    }

    /// Notes that the value of `key` is of the wrong type. Where nothing is written, the key is marked.
    pub(super) fn expected(&mut self, what: &str, key: Place, node: &Node, help: Option<&str>) {
        let place = match node.value {
            Value::Null => key,
            _ => node.place,
        };
        let message = format!("expected {what}, found {}", self.found(node));
        self.report(place, message, help.map(str::to_owned));
    }

    /// What a node holds, for "found …".
    fn found(&self, node: &Node) -> String {
        match &node.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(_) => format!("`{}`", node.place.of(self.source).trim()),
            Value::Text(text) if text.trim().is_empty() => "an empty text".to_owned(),
            Value::Number(text) | Value::Text(text) => format!("`{}`", clip(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }

    /// Text of any scalar, as it looks in the file: `200` is "200", `no` is "no", `null` is "null".
    pub(super) fn text(&self, node: &Node) -> Option<String> {
        match &node.value {
            Value::Text(text) | Value::Number(text) => Some(text.clone()),
            Value::Bool(_) => Some(node.place.of(self.source).trim().to_owned()),
            // Where nothing is written the place is that of some neighbour.
            Value::Null => match node.place.of(self.source).trim() {
                word @ ("null" | "Null" | "NULL" | "~") => Some(word.to_owned()),
                _ => None,
            },
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Text that says something: not null.
    pub(super) fn word(&mut self, what: &str, key: Place, node: &Node) -> Option<String> {
        let text = match node.value {
            Value::Null => None,
            _ => self.text(node),
        };
        if text.is_none() {
            self.expected(what, key, node, None);
        }
        text
    }

    /// Entries of a mapping; none where nothing is written.
    pub(super) fn map<'n>(&mut self, key: Place, node: &'n Node) -> &'n Entries {
        match &node.value {
            Value::Null => &[],
            Value::Map(entries) => entries,
            _ => {
                self.expected("a mapping", key, node, None);
                &[]
            }
        }
    }

    /// Items of a list; none where nothing is written.
    pub(super) fn list<'n>(&mut self, key: Place, node: &'n Node, help: &str) -> &'n [Node] {
        match &node.value {
            Value::Null => &[],
            Value::List(items) => items,
            _ => {
                self.expected("a list", key, node, Some(help));
                &[]
            }
        }
    }

    /// A truth value.
    pub(super) fn bool(&mut self, key: &Key, node: &Node) -> Option<bool> {
        if let Value::Bool(value) = node.value {
            return Some(value);
        }
        self.expected("true or false", key.place, node, None);
        None
    }

    /// A length of time within `range`; `or` is a word that may stand there, too.
    pub(super) fn span(
        &mut self,
        key: &Key,
        node: &Node,
        range: RangeInclusive<Duration>,
        or: Option<&str>,
    ) -> Option<Duration> {
        if let Value::Text(text) = &node.value
            && let Some(span) = span::parse(text)
            && range.contains(&span)
        {
            return Some(span);
        }
        let what = format!("a time from {} to {}", span::shown(*range.start()), span::shown(*range.end()));
        let word = or.map_or(String::new(), |word| format!(", or {word}"));
        let help = format!("for example 90s, 15m, 1h30m or 7d{word}");
        self.expected(&what, key.place, node, Some(&help));
        None
    }

    /// A whole number within `range`.
    pub(super) fn number(&mut self, key: &Key, node: &Node, range: RangeInclusive<usize>) -> Option<usize> {
        if let Value::Number(text) = &node.value
            && let Ok(number) = text.parse()
            && range.contains(&number)
        {
            return Some(number);
        }
        let what = format!("a whole number from {} to {}", range.start(), range.end());
        let help = match &node.value {
            Value::Text(text) if text.parse::<usize>().is_ok() => Some("leave out the quotes"),
            _ => None,
        };
        self.expected(&what, key.place, node, help);
        None
    }
}
