//! Which values fit: by themselves, by how they begin, by regular expressions, or by a list in a file.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use foldhash::fast::RandomState;
use regex::bytes::{Regex, RegexSet};

/// One of the [`Patterns`], as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// A value.
    Value(String),
    /// How values begin.
    Prefix(String),
    /// A regular expression for the whole value.
    Regex(String),
}

impl Pattern {
    /// The text, whatever it is.
    pub fn text(&self) -> &str {
        match self {
            Self::Value(text) | Self::Prefix(text) | Self::Regex(text) => text,
        }
    }

    /// What it is.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Value(_) => "value",
            Self::Prefix(_) => "prefix",
            Self::Regex(_) => "regex",
        }
    }
}

/// Values, beginnings of values, and regular expressions for whole values.
#[derive(Clone)]
pub struct Patterns(Arc<Compiled>);

struct Compiled {
    written: Vec<Pattern>,
    values: Values,
    /// In order, and none begins another: whichever a value begins with is the last one that is not above it.
    prefixes: Vec<Box<[u8]>>,
    regexes: RegexSet,
}

type Values = HashSet<Box<[u8]>, RandomState>;

impl Patterns {
    /// What fits any of `written`.
    ///
    /// # Errors
    /// What is wrong with which of the regular expressions.
    pub fn new(written: Vec<Pattern>) -> Result<Self, (usize, String)> {
        let mut regexes = Vec::new();
        for (index, pattern) in written.iter().enumerate() {
            if let Pattern::Regex(text) = pattern {
                regexes.push(whole(text).map_err(|why| (index, why))?);
            }
        }
        let last = written.len().saturating_sub(1);
        let regexes =
            RegexSet::new(regexes.iter().map(Regex::as_str)).map_err(|error| (last, why(&error.to_string())))?;
        Ok(Self::compiled(written, regexes))
    }

    /// What is one of `values`.
    pub fn values<V: Into<String>>(values: impl IntoIterator<Item = V>) -> Self {
        let written = values.into_iter().map(|value| Pattern::Value(value.into())).collect();
        Self::compiled(written, RegexSet::empty())
    }

    fn compiled(written: Vec<Pattern>, regexes: RegexSet) -> Self {
        let mut values = Values::default();
        let mut prefixes = Vec::<Box<[u8]>>::new();
        for pattern in &written {
            match pattern {
                Pattern::Value(value) => drop(values.insert(value.as_bytes().into())),
                Pattern::Prefix(prefix) => prefixes.push(prefix.as_bytes().into()),
                Pattern::Regex(_) => {}
            }
        }
        prefixes.sort();
        prefixes.dedup_by(|longer, shorter| longer.starts_with(shorter));
        Self(Arc::new(Compiled { written, values, prefixes, regexes }))
    }

    /// True when `value` fits.
    pub fn has(&self, value: &[u8]) -> bool {
        let Compiled { values, prefixes, regexes, .. } = &*self.0;
        let before = prefixes.partition_point(|prefix| **prefix <= *value);
        values.contains(value)
            || before.checked_sub(1).and_then(|last| prefixes.get(last)).is_some_and(|prefix| value.starts_with(prefix))
            || (!regexes.is_empty() && regexes.is_match(value))
    }

    /// What is written.
    pub fn written(&self) -> &[Pattern] {
        &self.0.written
    }
}

impl PartialEq for Patterns {
    fn eq(&self, other: &Self) -> bool {
        self.0.written == other.0.written
    }
}

impl Eq for Patterns {}

impl fmt::Debug for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0.written).finish()
    }
}

/// Values that stand in a file of their own, one a line.
#[derive(Clone)]
pub struct Listed {
    path: PathBuf,
    values: Arc<Values>,
}

impl Listed {
    /// Most bytes of such a file.
    pub const MAX_BYTES: usize = 16 << 20;
    /// Most bytes of a line.
    pub const MAX_LINE_BYTES: usize = 4096;

    /// The values in `text`, which is what the file at `path` holds: one a line, without blanks around it. Empty lines, and
    /// those that begin with `#`, are none.
    ///
    /// # Errors
    /// It has no value, or a line is too long or has control characters: it is no such list, or only half of it.
    pub fn new(path: &Path, text: &[u8]) -> Result<Self, String> {
        let mut values = Values::default();
        for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.len() > Self::MAX_LINE_BYTES {
                return Err(format!("line {} is longer than {} bytes", number + 1, Self::MAX_LINE_BYTES));
            }
            if line.iter().any(u8::is_ascii_control) {
                return Err(format!("line {} has control characters", number + 1));
            }
            if !line.is_empty() && !line.starts_with(b"#") {
                values.insert(line.into());
            }
        }
        if values.is_empty() {
            return Err("it has no values".to_owned());
        }
        Ok(Self { path: path.to_owned(), values: Arc::new(values) })
    }

    /// A list that has not been read: nothing is in it.
    pub fn unread(path: &Path) -> Self {
        Self { path: path.to_owned(), values: Arc::default() }
    }

    /// True when `value` is listed.
    pub fn has(&self, value: &[u8]) -> bool {
        self.values.contains(value)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The values in order, as text that tells them apart.
    pub(super) fn sorted(&self) -> Vec<String> {
        let mut values = self.values.iter().map(|value| value.escape_ascii().to_string()).collect::<Vec<_>>();
        values.sort();
        values
    }
}

impl PartialEq for Listed {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && (Arc::ptr_eq(&self.values, &other.values) || self.values == other.values)
    }
}

impl Eq for Listed {}

impl fmt::Debug for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} values)", self.path.display(), self.values.len())
    }
}

/// `pattern` for whole values.
///
/// A dot fits any byte: else a client could get past a rule by bytes that are no UTF-8. Where a pattern needs
/// characters, as `[ä-ü]` does, it is for values that are text.
///
/// # Errors
/// What is wrong with it.
pub(super) fn whole(pattern: &str) -> Result<Regex, String> {
    // By itself first: what is open in it must not end behind it.
    let flags = match (Regex::new(&format!("(?-u){pattern}")), Regex::new(pattern)) {
        (Ok(_), _) => "s-u",
        (Err(_), Ok(_)) => "s",
        (Err(_), Err(error)) => return Err(why(&error.to_string())),
    };
    Regex::new(&format!(r"\A(?{flags}:{pattern})\z")).map_err(|error| why(&error.to_string()))
}

/// The last line of what the crate says, which is what it is about.
fn why(error: &str) -> String {
    error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(written: &[Pattern]) -> Patterns {
        Patterns::new(written.to_vec()).expect("patterns that compile")
    }

    #[test]
    fn values_beginnings_and_expressions_fit() {
        let patterns = patterns(&[
            Pattern::Value("www".into()),
            Pattern::Prefix("api-".into()),
            Pattern::Prefix("api-internal-".into()),
            Pattern::Prefix("b".into()),
            Pattern::Regex("[0-9]+|x.y".into()),
        ]);
        for value in ["www", "api-", "api-1", "api-internal-7", "api-zzz", "b", "bz", "42", "x\u{1}y"] {
            assert!(patterns.has(value.as_bytes()), "{value}");
        }
        for value in ["", "ww", "wwww", "api", "apj-", "a", "c", "42a", "a42", "4 2", "xy"] {
            assert!(!patterns.has(value.as_bytes()), "{value}");
        }
        assert!(patterns.has(b"x\xffy") && patterns.has(b"x\ny"), "a dot is any byte");
        assert!(!patterns.has(b"42\n"));
    }

    #[test]
    fn prefixes_are_found_among_many() {
        let prefixes = ["", "a", "ab", "abc", "b\u{7f}", "ba", "c"];
        for from in 1..prefixes.len() {
            let some = &prefixes[from..];
            let fit = patterns(&some.iter().map(|prefix| Pattern::Prefix((*prefix).into())).collect::<Vec<_>>());
            for value in ["", "a", "aa", "ab", "abb", "abcd", "b", "b\u{7f}", "b\u{7e}", "baa", "bb", "c", "d"] {
                assert_eq!(fit.has(value.as_bytes()), some.iter().any(|prefix| value.starts_with(prefix)), "{value}");
            }
        }
        assert!(patterns(&[Pattern::Prefix(String::new())]).has(b""));
    }

    #[test]
    fn an_expression_cannot_get_out_of_its_place() {
        assert!(whole("a)|(b").is_err() && whole("(").is_err() && whole("[a-").is_err());
        let regex = whole("a|b").expect("it compiles");
        assert!(regex.is_match(b"a") && regex.is_match(b"b") && !regex.is_match(b"ab") && !regex.is_match(b"xb"));
        let text = whole("[ä-ü]+").expect("it compiles");
        assert!(text.is_match("öä".as_bytes()) && !text.is_match(b"\xc3"));
        assert!(whole(r"é.").expect("it compiles").is_match(b"\xc3\xa9\xff"));
    }

    #[test]
    fn lists_are_lines() {
        let list = |text: &[u8]| Listed::new(Path::new("hosts"), text);
        let hosts = list(b"# hosts\n www.example.net \r\n\nshop\n").expect("a list");
        assert!(hosts.has(b"www.example.net") && hosts.has(b"shop") && !hosts.has(b"# hosts") && !hosts.has(b""));
        assert_eq!(list(b"a\n\0b\n").unwrap_err(), "line 2 has control characters");
        assert_eq!(list(b"\n#\n").unwrap_err(), "it has no values");
        assert_eq!(list(&vec![b'x'; 4097]).unwrap_err(), "line 1 is longer than 4096 bytes");
        assert_eq!(hosts, list(b"shop\nwww.example.net").expect("a list"));
        assert_ne!(hosts, list(b"shop").expect("a list"));
    }
}
