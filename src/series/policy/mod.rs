//! What becomes of a raw label value before it names a row.
//!
//! The rules of a policy apply in this order, in whatever order they are written:
//!
//! 1. `lower`: ASCII letters in lower case;
//! 2. `rewrite`: the first rule whose regular expression fits the whole value makes another one of it;
//! 3. `template`: a path becomes the pattern that it fits, and what looks like an id a placeholder;
//! 4. `ip_prefix`: an address becomes its network;
//! 5. `deny`, then `allow` and `from_file`: which values are shown, as the rules before have made them;
//! 6. `hash`: a keyed hash in place of the value;
//! 7. `max_values`: so many values, those that came first. The [`Directory`](super::Directory) counts them.
//!
//! What a rule does not admit *falls out*: it is shown as [`OTHER`]. An empty value says that the line has none: nothing is
//! made of it, but `deny` and `allow` hold for it. All rules but the last are functions of the raw value alone, as
//! long as no salt is exchanged ([`Salt::turn`]); so which row a raw tuple has may be remembered.

mod escape;
mod hash;
mod network;
mod patterns;
mod rewrite;
mod template;

pub use escape::{escape_into, unescape};
pub use hash::{Hash, Kept as KeptSalt, Salt, Secret};
pub use network::Networks;
pub use patterns::{Listed, Pattern, Patterns};
pub use rewrite::{Rewrite, RewriteMistake};
pub use template::{Detectors, PatternMistake, Template};

use sha2::{Digest, Sha256};

/// The value that takes everything that falls out: values not allowed, tuples over a limit.
pub const OTHER: &[u8] = b"other";

/// The operator's rules for the values of one label in one metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// ASCII letters become lower case.
    pub lower: bool,
    /// The first one that fits the whole value says what it becomes; a value that none fits stays.
    pub rewrite: Vec<Rewrite>,
    /// Paths become patterns.
    pub template: Option<Template>,
    /// Addresses become networks; what is no address falls out.
    pub ip_prefix: Option<Networks>,
    /// What fits falls out.
    pub deny: Option<Patterns>,
    /// What does not fit falls out, unless `from_file` has it.
    pub allow: Option<Patterns>,
    /// Values that are shown as they are, kept in a file of their own.
    pub from_file: Option<Listed>,
    /// Values become hashes.
    pub hash: Option<Hash>,
    /// Different values in one metric, at most; later ones fall out.
    pub max_values: Option<usize>,
    /// Every value is shown, also a name that the haproxy.cfg of the source does not declare: the operator's consent for a
    /// private label.
    pub unbounded: bool,
}

impl Policy {
    /// No rule.
    const NONE: Self = Self {
        lower: false,
        rewrite: Vec::new(),
        template: None,
        ip_prefix: None,
        deny: None,
        allow: None,
        from_file: None,
        hash: None,
        max_values: None,
        unbounded: false,
    };

    /// Only these values are kept; every other becomes [`OTHER`].
    pub fn allow<V: Into<String>>(values: impl IntoIterator<Item = V>) -> Self {
        Self { allow: Some(Patterns::values(values)), ..Self::NONE }
    }

    /// Every value is kept, also one that nothing declares.
    pub const fn open() -> Self {
        let mut open = Self::NONE;
        open.unbounded = true;
        open
    }

    /// True when it has no rule.
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    /// True when it says which values there may be. If not, the configuration of the program that writes the log may, and
    /// a private label must not be shown.
    pub const fn decides(&self) -> bool {
        self.unbounded
            || self.template.is_some()
            || self.ip_prefix.is_some()
            || self.allow.is_some()
            || self.from_file.is_some()
            || self.hash.is_some()
            || self.max_values.is_some()
    }

    /// Makes of a raw value the one to show; false when it falls out. `spare` is room to work in.
    pub fn apply(&self, value: &mut Vec<u8>, spare: &mut Vec<u8>) -> bool {
        self.prepare(value, spare) && self.admits(value) && {
            if let Some(hash) = self.hash.as_ref().filter(|_| !value.is_empty()) {
                hash.apply(value);
            }
            true
        }
    }

    /// The rules that make another value of it.
    fn prepare(&self, value: &mut Vec<u8>, spare: &mut Vec<u8>) -> bool {
        if self.lower {
            value.make_ascii_lowercase();
        }
        if value.is_empty() {
            return true;
        }
        spare.clear();
        if self.rewrite.iter().any(|rule| rule.apply(value, spare)) {
            std::mem::swap(value, spare);
        }
        if let Some(template) = &self.template {
            spare.clear();
            if !template.apply(value, spare) {
                return false;
            }
            std::mem::swap(value, spare);
        }
        self.ip_prefix.is_none_or(|networks| networks.apply(value))
    }

    fn admits(&self, value: &[u8]) -> bool {
        let is_denied = self.deny.as_ref().is_some_and(|deny| deny.has(value));
        let is_listed = match (&self.allow, &self.from_file) {
            (None, None) => true,
            (allow, listed) => {
                allow.as_ref().is_some_and(|allow| allow.has(value))
                    || listed.as_ref().is_some_and(|listed| listed.has(value))
            }
        };
        is_listed && !is_denied
    }

    /// True when `value`, which another policy has shown, is one that this one would show, too. It is strict: of what
    /// is shown here for some raw values, it may say no, but never yes to what an anonymising rule is there to hide.
    pub fn may_show(&self, value: &[u8]) -> bool {
        if value == OTHER {
            return true;
        }
        if let Some(hash) = self.hash.as_ref().filter(|_| !value.is_empty()) {
            return hash.may_show(value);
        }
        if !self.admits(value) {
            return false;
        }
        if value.is_empty() {
            return true;
        }
        if let Some(networks) = &self.ip_prefix {
            return networks.may_show(value);
        }
        if let Some(template) = &self.template {
            return template.may_show(value);
        }
        let mut again = Vec::new();
        match self.rewrite.iter().any(|rule| rule.apply(value, &mut again)) {
            true => again == value,
            false => !self.lower || !value.iter().any(u8::is_ascii_uppercase),
        }
    }

    /// What tells these rules from others, over versions and restarts: not their keys, nor how many values there may be,
    /// which nobody can tell by a value. Empty when every value is shown as it is.
    pub fn fingerprint(&self) -> String {
        let mut text = String::new();
        let mut add = |name: &str, parts: &mut dyn Iterator<Item = &str>| {
            for part in parts {
                // With its length, so that no two lists of parts give the same text.
                text.push_str(&format!("{name} {} {part}\n", part.len()));
            }
        };
        add("lower", &mut self.lower.then_some("").into_iter());
        add("rewrite", &mut self.rewrite.iter().flat_map(|rule| [rule.pattern(), rule.to()]));
        if let Some(template) = &self.template {
            add("template", &mut template.patterns().iter().map(String::as_str));
            add("detect", &mut template.detectors().names().into_iter());
        }
        if let Some(networks) = self.ip_prefix {
            add("ip_prefix", &mut [networks.to_string().as_str()].into_iter());
        }
        for (name, patterns) in [("deny", &self.deny), ("allow", &self.allow)] {
            let written = patterns.iter().flat_map(Patterns::written);
            add(name, &mut written.flat_map(|pattern| [pattern.kind(), pattern.text()]));
        }
        if let Some(listed) = &self.from_file {
            let values = listed.sorted();
            add("from_file", &mut values.iter().map(String::as_str));
        }
        add("hash", &mut self.hash.is_some().then_some("").into_iter());
        if text.is_empty() { text } else { hexadecimal(&Sha256::digest(text.as_bytes())[..16]) }
    }
}

/// `bytes` as hexadecimal digits.
fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}
