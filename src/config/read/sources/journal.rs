//! What of the journal is read.

use super::super::super::error::clip;
use super::super::super::sources::JournalInput;
use super::super::super::yaml::{Key, Node, Value};
use super::super::Schema;

pub(super) const JOURNAL_KEYS: &[&str] = &["identifiers", "units", "matches", "directory"];

impl Schema<'_> {
    /// Nothing written, or nothing between the braces, means everything.
    pub(super) fn journal(&mut self, key: &Key, node: &Node) -> Option<JournalInput> {
        let mut journal = JournalInput::default();
        let entries = match &node.value {
            Value::Null => return Some(journal),
            Value::Map(entries) => entries,
            _ => {
                let help = "for example journal: {identifiers: [haproxy]}, or journal: {} for everything";
                self.reader.expected("a mapping", key.place, node, Some(help));
                return None;
            }
        };
        for (key, node) in entries {
            match key.name.as_str() {
                "identifiers" => journal.identifiers = self.texts("a syslog identifier", "[haproxy]", key, node),
                "units" => journal.units = self.texts("a unit", "[haproxy.service]", key, node),
                "matches" => journal.matches = self.matches(key, node),
                "directory" => journal.directory = self.path("the path of a directory", key, node),
                _ => {
                    self.reader.unknown_key(key, JOURNAL_KEYS);
                }
            }
        }
        Some(journal)
    }

    fn texts(&mut self, what: &str, example: &str, key: &Key, node: &Node) -> Vec<String> {
        let help = format!("for example {}: {example}", key.name);
        let items = self.reader.list(key.place, node, &help);
        items.iter().filter_map(|item| self.filled(what, key, item)).collect()
    }

    /// Matches as `journalctl` takes them, which would otherwise fail when it is started.
    fn matches(&mut self, key: &Key, node: &Node) -> Vec<String> {
        let items = self.reader.list(key.place, node, "for example matches: [PRIORITY=6]");
        let mut matches = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let Some(text) = self.filled("FIELD=VALUE or +", key, item) else {
                continue;
            };
            if text == "+" {
                let follows_match = matches.last().is_some_and(|last| last != "+");
                if !follows_match || index + 1 == items.len() {
                    let message = "`+` stands between two matches".to_owned();
                    self.reader.report(item.place, message, None);
                }
            } else if !is_match(&text) {
                let message = format!("expected FIELD=VALUE or +, found `{}`", clip(&text));
                let help = "a field has capital letters, digits and underscores, and not two at its beginning";
                self.reader.report(item.place, message, Some(help.to_owned()));
            }
            matches.push(text);
        }
        matches
    }
}

/// The name of a field, `=`, and anything.
fn is_match(text: &str) -> bool {
    let is_of_field = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    text.split_once('=')
        .is_some_and(|(field, _)| !field.is_empty() && !field.starts_with("__") && field.bytes().all(is_of_field))
}
