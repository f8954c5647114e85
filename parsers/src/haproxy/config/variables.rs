//! The environment variables that a configuration sees: those of the process, what `global` changes in them, and
//! HAProxy's own (configuration manual, chapter 2.3).

use std::collections::HashMap;

use super::formats::{HTTP, HTTP_CLF, HTTPS, TCP, TCP_CLF};
use super::{Process, version};

/// Variables that HAProxy makes up where they are read.
pub(super) const PSEUDO: [&[u8]; 3] = [b".FILE", b".LINE", b".SECTION"];

/// The default formats that can be had as variables, and the version that brought each.
const FORMATS: [(&[u8], &str, &str); 5] = [
    (b"HAPROXY_HTTP_LOG_FMT", HTTP, "2.8"),
    (b"HAPROXY_HTTPS_LOG_FMT", HTTPS, "2.8"),
    (b"HAPROXY_TCP_LOG_FMT", TCP, "2.8"),
    (b"HAPROXY_HTTP_CLF_LOG_FMT", HTTP_CLF, "3.1"),
    (b"HAPROXY_TCP_CLF_LOG_FMT", TCP_CLF, "3.1"),
];

/// The variables, as they stand at a line of the configuration.
pub(super) struct Variables<'p> {
    process: &'p Process<'p>,
    /// What `setenv` and `presetenv` set, and `unsetenv` took away.
    changed: HashMap<Vec<u8>, Option<Vec<u8>>>,
    /// The variables of the process that `resetenv` left.
    kept: Option<Vec<Vec<u8>>>,
    /// Values of `.FILE` and `.SECTION`.
    pub(super) file: Vec<u8>,
    pub(super) section: Vec<u8>,
}

impl<'p> Variables<'p> {
    pub(super) fn new(process: &'p Process<'p>) -> Self {
        Self { process, changed: HashMap::new(), kept: None, file: Vec::new(), section: Vec::new() }
    }

    /// The value of the variable `name` in line `line`, if it is set.
    pub(super) fn get(&self, name: &[u8], line: u32) -> Option<Vec<u8>> {
        match name {
            b".FILE" => return Some(self.file.clone()),
            b".LINE" => return Some(line.to_string().into_bytes()),
            b".SECTION" => return Some(self.section.clone()),
            _ => {}
        }
        if let Some(changed) = self.changed.get(name) {
            return changed.clone();
        }
        if self.kept.as_ref().is_some_and(|kept| !kept.iter().any(|kept| kept == name)) {
            return None;
        }
        self.own(name).or_else(|| (self.process.environment)(core::str::from_utf8(name).ok()?))
    }

    /// Whether the variable `name` is set; `None` where that depends on how HAProxy runs.
    pub(super) fn is_defined(&self, name: &[u8]) -> Option<bool> {
        match self.get(name, 0) {
            Some(_) => Some(true),
            None if name.starts_with(b"HAPROXY_") && !self.changed.contains_key(name) => None,
            None => Some(false),
        }
    }

    /// True for versions that join a word with the next one where it ends with a variable that is not set.
    pub(super) fn join_words_when_unset(&self) -> bool {
        let is_at_least = |wanted| self.process.version.and_then(|version| version::is_at_least(version, wanted));
        is_at_least("2.9") == Some(true) && is_at_least("3.2-dev0") == Some(false)
    }

    /// Variables that HAProxy sets before it reads its configuration.
    fn own(&self, name: &[u8]) -> Option<Vec<u8>> {
        let is_new_enough = |since| version::is_at_least(self.process.version?, since);
        if name == b"HAPROXY_BRANCH" {
            let mut parts = self.process.version.filter(|_| is_new_enough("2.8") == Some(true))?.split(['.', '-']);
            return Some(format!("{}.{}", parts.next()?, parts.next()?).into_bytes());
        }
        let (_, format, since) = FORMATS.iter().find(|(known, ..)| *known == name)?;
        is_new_enough(since).unwrap_or(true).then(|| format.as_bytes().to_vec())
    }

    pub(super) fn set(&mut self, name: &[u8], value: Option<&[u8]>) {
        self.changed.insert(name.to_vec(), value.map(<[u8]>::to_vec));
    }

    /// Takes all variables away but those in `kept`.
    pub(super) fn reset(&mut self, kept: &[&[u8]]) {
        self.changed.retain(|name, _| kept.contains(&name.as_slice()));
        let had = |name: &[u8]| self.kept.as_ref().is_none_or(|had| had.iter().any(|had| had == name));
        self.kept = Some(kept.iter().filter(|name| had(name)).map(|name| name.to_vec()).collect());
    }
}
