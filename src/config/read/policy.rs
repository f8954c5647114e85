//! Label policies: from their nodes to rules that compile. In what order the rules apply says [`Policy`].

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::Schema;
use crate::config::error::clip;
use crate::config::yaml::{Key, Node, Place, Value};
use crate::series::{
    Detectors, Hash, Listed, Networks, Pattern, PatternMistake, Patterns, Policy, Rewrite, RewriteMistake, Salt,
    Secret, Template,
};

pub(super) const POLICY_KEYS: &[&str] =
    &["allow", "deny", "from_file", "rewrite", "template", "ip_prefix", "hash", "lower", "max_values", "unbounded"];
const PATTERN_KEYS: &[&str] = &["prefix", "regex"];
const REWRITE_KEYS: &[&str] = &["pattern", "to"];
const TEMPLATE_KEYS: &[&str] = &["paths", "detect"];
const NETWORK_KEYS: &[&str] = &["v4", "v6"];
const HASH_KEYS: &[&str] = &["key_file", "rotate"];

/// Numbers of values that can be asked for.
const MAX_VALUES_RANGE: RangeInclusive<usize> = 1..=1_000_000;
/// How often keys can be exchanged.
const ROTATE_RANGE: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(366 * 86_400);
/// Most bytes of a key.
const MAX_KEY_BYTES: usize = 4096;

impl Schema<'_> {
    /// A policy; where it has a mistake, one that raises no further error.
    pub(super) fn policy(&mut self, label: &Key, node: &Node) -> Policy {
        let Value::Map(entries) = &node.value else {
            let help = proposal(&label.name);
            self.reader.expected("a policy such as {allow: [a, b]}", label.place, node, Some(&help));
            return Policy::open();
        };
        if entries.is_empty() {
            let message = format!("the policy of `{}` is empty", clip(&label.name));
            self.reader.report(label.place, message, Some(proposal(&label.name)));
            return Policy::open();
        }
        let before = self.reader.mistakes();
        let mut policy = Policy::default();
        for (key, node) in entries {
            self.rule(&mut policy, key, node);
        }
        if self.reader.mistakes() == before {
            self.contradictions(&policy, entries);
        }
        if self.reader.mistakes() == before { policy } else { Policy::open() }
    }

    fn rule(&mut self, policy: &mut Policy, key: &Key, node: &Node) {
        match key.name.as_str() {
            "allow" => policy.allow = self.patterns(key, node, "an empty `allow` turns every value into `other`"),
            "deny" => policy.deny = self.patterns(key, node, "an empty `deny` does nothing"),
            "from_file" => policy.from_file = self.listed(key, node),
            "rewrite" => policy.rewrite = self.rewrites(key, node),
            "template" => policy.template = self.template(key, node),
            "ip_prefix" => policy.ip_prefix = self.ip_prefix(key, node),
            "hash" => policy.hash = self.hash(key, node),
            "lower" => policy.lower = self.reader.bool(key, node).unwrap_or_default(),
            "max_values" => policy.max_values = self.reader.number(key, node, MAX_VALUES_RANGE),
            "unbounded" => policy.unbounded = self.reader.bool(key, node).unwrap_or_default(),
            _ => drop(self.reader.unknown_key(key, POLICY_KEYS)),
        }
    }

    /// Rules that do not go together.
    fn contradictions(&mut self, policy: &Policy, entries: &[(Key, Node)]) {
        let place = |name: &str| entries.iter().find(|(key, _)| key.name == name).map(|(key, _)| key.place);
        let bounds = [
            ("allow", policy.allow.is_some()),
            ("from_file", policy.from_file.is_some()),
            ("max_values", policy.max_values.is_some()),
        ];
        let mut report = |rule: &str, message: String| {
            if let Some(place) = place(rule) {
                self.reader.report(place, message, None);
            }
        };
        if let Some((bound, _)) = bounds.into_iter().find(|(_, is_there)| policy.unbounded && *is_there) {
            report("unbounded", format!("`unbounded: true` contradicts `{bound}`: keep one of them"));
        }
        if policy.template.is_some() && policy.ip_prefix.is_some() {
            report("ip_prefix", "a value is a path or an address: keep one of `template` and `ip_prefix`".to_owned());
        }
        if policy.max_values.is_some() && policy.hash.as_ref().is_some_and(|hash| hash.0.rotates()) {
            let message = "the values of a hash that rotates are always new, and `max_values` keeps the first ones: \
                keep one of them";
            report("max_values", message.to_owned());
        }
    }

    /// Values, and mappings with `prefix` or `regex`.
    fn patterns(&mut self, key: &Key, node: &Node, empty: &str) -> Option<Patterns> {
        let Value::List(items) = &node.value else {
            let help = format!("for example {}: [GET, POST, {{prefix: X-}}, {{regex: 'P.*'}}]", key.name);
            self.reader.expected("a list of values", key.place, node, Some(&help));
            return None;
        };
        if items.is_empty() {
            let help = "leave the label out instead".to_owned();
            self.reader.report(key.place, empty.to_owned(), (key.name == "allow").then_some(help));
            return None;
        }
        let (mut patterns, mut places) = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
        let mut seen = HashSet::new();
        for item in items {
            let Some((place, pattern)) = self.value_pattern(key, item) else { continue };
            if !seen.insert(pattern.clone()) {
                let message = format!("`{}` is listed twice", clip(pattern.text()));
                self.reader.report(place, message, None);
                continue;
            }
            patterns.push(pattern);
            places.push(place);
        }
        match Patterns::new(patterns) {
            Ok(patterns) => Some(patterns),
            Err((which, why)) => {
                let place = places.get(which).copied().unwrap_or(node.place);
                self.reader.report(place, format!("bad regular expression: {why}"), None);
                None
            }
        }
    }

    fn value_pattern(&mut self, list: &Key, item: &Node) -> Option<(Place, Pattern)> {
        let Value::Map(entries) = &item.value else {
            return match self.reader.text(item) {
                Some(text) => Some((item.place, Pattern::Value(text))),
                None => {
                    self.reader.expected("a value", list.place, item, None);
                    None
                }
            };
        };
        let [(key, node)] = entries.as_slice() else {
            let message = "expected one of {prefix: …} and {regex: …}".to_owned();
            self.reader.report(item.place, message, None);
            return None;
        };
        let kind = match key.name.as_str() {
            "prefix" => Pattern::Prefix,
            "regex" => Pattern::Regex,
            _ => {
                self.reader.unknown_key(key, PATTERN_KEYS);
                return None;
            }
        };
        let text = self.reader.word("a text", key.place, node)?;
        if text.is_empty() {
            self.reader.report(key.place, format!("`{}` needs a text", key.name), None);
            return None;
        }
        Some((node.place, kind(text)))
    }

    fn rewrites(&mut self, key: &Key, node: &Node) -> Vec<Rewrite> {
        let help = "for example [{pattern: '(.+)@.+', to: '$1'}]";
        if matches!(node.value, Value::Null) {
            self.reader.expected("a list of rules", key.place, node, Some(help));
        }
        let items = self.reader.list(key.place, node, help);
        items.iter().filter_map(|item| self.rewrite(key, item, help)).collect()
    }

    fn rewrite(&mut self, list: &Key, item: &Node, help: &str) -> Option<Rewrite> {
        let (mut pattern, mut to) = (None, None);
        let before = self.reader.mistakes();
        for (key, node) in self.reader.map(list.place, item) {
            match key.name.as_str() {
                "pattern" => {
                    pattern = self.reader.word("a regular expression", key.place, node).map(|text| (text, node));
                }
                "to" => to = self.reader.word("a text", key.place, node).map(|text| (text, node)),
                _ => drop(self.reader.unknown_key(key, REWRITE_KEYS)),
            }
        }
        let (Some((pattern, pattern_node)), Some((to, to_node))) = (pattern, to) else {
            if self.reader.mistakes() == before {
                let message = "a rule needs a `pattern` and what it becomes, `to`".to_owned();
                self.reader.report(item.place, message, Some(help.to_owned()));
            }
            return None;
        };
        match Rewrite::new(&pattern, &to) {
            Ok(rewrite) => Some(rewrite),
            Err(RewriteMistake::Pattern(why)) => {
                self.reader.report(pattern_node.place, format!("bad regular expression: {why}"), None);
                None
            }
            Err(RewriteMistake::To(offset, why)) => {
                let place = self.reader.within(to_node, &to, offset);
                self.reader.report(place, why, Some("a group is `${1}` or `${name}`, for example".to_owned()));
                None
            }
        }
    }

    /// `auto`, a list of patterns, or a mapping with `paths` and `detect`.
    fn template(&mut self, key: &Key, node: &Node) -> Option<Template> {
        let help = "for example [/users/:id, /static/*], or {paths: [/users/:id], detect: [number, uuid]}, or auto";
        let before = self.reader.mistakes();
        let (mut paths, mut detectors) = (Vec::new(), Detectors::default());
        match &node.value {
            Value::Text(text) if text == "auto" => detectors = Detectors::ALL,
            Value::List(_) => paths = self.paths(key, node),
            Value::Map(entries) => {
                for (key, node) in entries {
                    match key.name.as_str() {
                        "paths" => paths = self.paths(key, node),
                        "detect" => detectors = self.detectors(key, node),
                        _ => drop(self.reader.unknown_key(key, TEMPLATE_KEYS)),
                    }
                }
            }
            _ => self.reader.expected("`auto` or a list of paths", key.place, node, Some(help)),
        }
        if self.reader.mistakes() == before && paths.is_empty() && detectors.is_none() {
            let message = "a template without a path turns every value into `other`".to_owned();
            self.reader.report(key.place, message, Some(help.to_owned()));
        }
        if self.reader.mistakes() != before {
            return None;
        }
        let (texts, nodes): (Vec<_>, Vec<_>) = paths.into_iter().unzip();
        match Template::new(texts, detectors) {
            Ok(template) => Some(template),
            Err(PatternMistake { pattern, offset, message }) => {
                let node: Option<&&Node> = nodes.get(pattern);
                let text = node.and_then(|node| self.reader.text(node)).unwrap_or_default();
                let place = match node {
                    // The whole of it where the mistake is no single character.
                    Some(node) if offset > 0 => self.reader.within(node, &text, offset),
                    node => node.map_or(key.place, |node| node.place),
                };
                self.reader.report(place, message, None);
                None
            }
        }
    }

    fn paths<'n>(&mut self, key: &Key, node: &'n Node) -> Vec<(String, &'n Node)> {
        let items = self.reader.list(key.place, node, "for example [/users/:id, /static/*]");
        items.iter().filter_map(|item| Some((self.reader.word("a path", key.place, item)?, item))).collect()
    }

    /// `all`, or the names of some.
    fn detectors(&mut self, key: &Key, node: &Node) -> Detectors {
        if matches!(&node.value, Value::Text(text) if text == "all") {
            return Detectors::ALL;
        }
        let mut detectors = Detectors::default();
        let help = format!("for example all, or [{}]", Detectors::NAMES.join(", "));
        for item in self.reader.list(key.place, node, &help) {
            let Some(name) = self.reader.word("a detector", key.place, item) else { continue };
            if !detectors.add(&name) {
                let known = Detectors::NAMES.into_iter();
                self.reader.unknown("detector", &name, item.place, known, Some(help.clone()));
            }
        }
        detectors
    }

    fn ip_prefix(&mut self, key: &Key, node: &Node) -> Option<Networks> {
        let mut networks = Networks::USUAL;
        let Value::Map(entries) = &node.value else {
            let help = "for example {v4: 24, v6: 48}";
            self.reader.expected("the lengths of networks", key.place, node, Some(help));
            return None;
        };
        for (key, node) in entries {
            let (bits, range) = match key.name.as_str() {
                "v4" => (&mut networks.v4, 0..=32),
                "v6" => (&mut networks.v6, 0..=128),
                _ => {
                    self.reader.unknown_key(key, NETWORK_KEYS);
                    continue;
                }
            };
            *bits = self.reader.number(key, node, range).and_then(|bits| bits.try_into().ok()).unwrap_or_default();
        }
        Some(networks)
    }

    /// `random`, or a mapping with `key_file` and `rotate`.
    fn hash(&mut self, key: &Key, node: &Node) -> Option<Hash> {
        let (mut secret, mut rotate) = (None, None);
        let before = self.reader.mistakes();
        match &node.value {
            Value::Text(text) if text == "random" => {}
            Value::Map(entries) if !entries.is_empty() => {
                for (key, node) in entries {
                    match key.name.as_str() {
                        "key_file" => secret = self.key_file(key, node),
                        "rotate" => rotate = self.reader.span(key, node, ROTATE_RANGE, None),
                        _ => drop(self.reader.unknown_key(key, HASH_KEYS)),
                    }
                }
            }
            _ => {
                let help = "for example {rotate: 24h}, {key_file: /etc/tailmeter/hash.key}, or random";
                self.reader.expected("where the key is from", key.place, node, Some(help));
            }
        }
        if self.reader.mistakes() != before {
            return None;
        }
        let salt = Arc::new(Salt::new(secret, rotate));
        let known = self.salts.iter().find(|known| **known == salt).cloned();
        let salt = known.unwrap_or(salt);
        self.salts.push(Arc::clone(&salt));
        Some(Hash(salt))
    }

    fn key_file(&mut self, key: &Key, node: &Node) -> Option<Secret> {
        let path = self.path("the path of a file", key, node)?;
        let Some(folder) = self.folder else { return Some(Secret::new(path.as_os_str().as_encoded_bytes())) };
        let outcome = content(&folder.join(&path), MAX_KEY_BYTES).and_then(|bytes| {
            let bytes = bytes.trim_ascii_end();
            let few = format!("it has {} bytes, and a key needs at least {}", bytes.len(), Secret::MIN_BYTES);
            if bytes.len() < Secret::MIN_BYTES { Err(few) } else { Ok(Secret::new(bytes)) }
        });
        self.of_file(node, &path, "key", outcome)
    }

    fn listed(&mut self, key: &Key, node: &Node) -> Option<Listed> {
        let path = self.path("the path of a file", key, node)?;
        let Some(folder) = self.folder else { return Some(Listed::unread(&path)) };
        let full = folder.join(&path);
        let outcome = content(&full, Listed::MAX_BYTES).and_then(|text| Listed::new(&full, &text));
        self.of_file(node, &path, "list", outcome)
    }

    /// What is in a file, or a mistake that says why it is of no use.
    fn of_file<T>(&mut self, node: &Node, path: &Path, what: &str, outcome: Result<T, String>) -> Option<T> {
        match outcome {
            Ok(found) => Some(found),
            Err(why) => {
                let message = format!("cannot use the {what} {}: {why}", clip(&path.display().to_string()));
                self.reader.report(node.place, message, None);
                None
            }
        }
    }
}

/// What the file at `path` holds, `most` bytes at most.
fn content(path: &Path, most: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(most as u64 + 1).read_to_end(&mut bytes));
    match read {
        Ok(length) if length > most => Err(format!("it is larger than {most} bytes")),
        Ok(_) => Ok(bytes),
        Err(error) => Err(error.to_string()),
    }
}

/// What to write for a label that has no usable policy: what fits its name.
pub(super) fn proposal(label: &str) -> String {
    let has = |words: &[&str]| words.iter().any(|word| label.split('_').any(|part| part == *word));
    let (rule, purpose) = match () {
        () if has(&["path", "uri", "url"]) => {
            ("template: auto, max_values: 100", "show patterns such as /users/:number")
        }
        () if has(&["ip", "rip", "lip", "address", "addr", "network"]) => {
            ("ip_prefix: {v4: 24, v6: 48}", "show networks")
        }
        () if has(&["user", "username", "login", "mailbox", "session", "sender", "recipient", "account"])
            && !has(&["domain"]) =>
        {
            ("hash: {rotate: 24h}", "show hashes")
        }
        () if has(&["port"]) => ("max_values: 100", "keep the first 100"),
        () => ("allow: [a, b]", "keep those values"),
    };
    let label = clip(label);
    format!("write {{{label}: {{{rule}}}}} to {purpose}, or {{{label}: {{unbounded: true}}}} to keep all")
}
