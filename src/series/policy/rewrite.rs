//! Values made of others by regular expressions.

use std::fmt;
use std::sync::Arc;

use regex::bytes::Regex;

use super::patterns::whole;

/// A regular expression for whole values, and what they become: a text in which `$1`, `${1}`, `$name` and `${name}` stand for
/// what the expression's groups fit, and `$$` for a dollar sign.
#[derive(Clone)]
pub struct Rewrite(Arc<Rule>);

struct Rule {
    pattern: String,
    to: String,
    regex: Regex,
    parts: Vec<Part>,
}

enum Part {
    Text(Vec<u8>),
    Group(usize),
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RewriteMistake {
    /// With its expression.
    Pattern(String),
    /// With the text, at this offset in bytes.
    To(usize, String),
}

impl Rewrite {
    /// What fits `pattern` becomes `to`.
    ///
    /// # Errors
    /// The pattern is no regular expression, or the text asks for a group that it does not have.
    pub fn new(pattern: &str, to: &str) -> Result<Self, RewriteMistake> {
        let regex = whole(pattern).map_err(RewriteMistake::Pattern)?;
        let parts = parts(to, &regex).map_err(|(offset, why)| RewriteMistake::To(offset, why))?;
        Ok(Self(Arc::new(Rule { pattern: pattern.to_owned(), to: to.to_owned(), regex, parts })))
    }

    /// The expression.
    pub fn pattern(&self) -> &str {
        &self.0.pattern
    }

    /// The text.
    pub fn to(&self) -> &str {
        &self.0.to
    }

    /// Appends what `value` becomes to `out`; false when it does not fit.
    pub(super) fn apply(&self, value: &[u8], out: &mut Vec<u8>) -> bool {
        let Rule { regex, parts, .. } = &*self.0;
        // Without groups nothing has to be remembered.
        if let [] | [Part::Text(_)] = parts.as_slice() {
            let fits = regex.is_match(value);
            if let ([Part::Text(text)], true) = (parts.as_slice(), fits) {
                out.extend_from_slice(text);
            }
            return fits;
        }
        let Some(groups) = regex.captures(value) else { return false };
        for part in parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Group(number) => out.extend_from_slice(groups.get(*number).map_or(b"", |group| group.as_bytes())),
            }
        }
        true
    }
}

/// The parts of `to`, whose groups `regex` has.
fn parts(to: &str, regex: &Regex) -> Result<Vec<Part>, (usize, String)> {
    let (mut parts, mut text, mut rest) = (Vec::new(), Vec::new(), to);
    while let Some(at) = rest.find('$') {
        let (before, behind) = rest.split_at(at);
        text.extend_from_slice(before.as_bytes());
        let (offset, behind) = (to.len() - behind.len(), &behind[1..]);
        if let Some(behind) = behind.strip_prefix('$') {
            text.push(b'$');
            rest = behind;
            continue;
        }
        let (name, behind) = match behind.strip_prefix('{') {
            Some(inside) => inside.split_once('}').ok_or_else(|| (offset, "`${` has no end".to_owned()))?,
            None => {
                let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
                behind.split_at(behind.bytes().position(|byte| !is_name(byte)).unwrap_or(behind.len()))
            }
        };
        if name.is_empty() {
            return Err((offset, "`$` names no group; a dollar sign is `$$`".to_owned()));
        }
        let named = || regex.capture_names().position(|known| known == Some(name));
        let group = name.parse().ok().filter(|number| *number < regex.captures_len()).or_else(named);
        let group = group.ok_or_else(|| (offset, format!("the expression has no group `{name}`")))?;
        if !text.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut text)));
        }
        parts.push(Part::Group(group));
        rest = behind;
    }
    text.extend_from_slice(rest.as_bytes());
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    Ok(parts)
}

impl PartialEq for Rewrite {
    fn eq(&self, other: &Self) -> bool {
        (self.pattern(), self.to()) == (other.pattern(), other.to())
    }
}

impl Eq for Rewrite {}

impl fmt::Debug for Rewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} -> {:?}", self.pattern(), self.to())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(pattern: &str, to: &str, value: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        Rewrite::new(pattern, to).expect("a rule").apply(value, &mut out).then_some(out)
    }

    #[test]
    fn groups_stand_in_the_text() {
        assert_eq!(rewritten(r"(\w+)@(?<host>.+)", "$host/$1", b"ann@example.net").unwrap(), b"example.net/ann");
        assert_eq!(rewritten("(a)|(b)", "<${1}${2}>$$", b"b").unwrap(), b"<b>$");
        assert_eq!(rewritten("(.)(.*)", "${1}x$2", b"\xff\n").unwrap(), b"\xffx\n");
        assert_eq!(rewritten("a+", "b", b"aaa").unwrap(), b"b");
        assert_eq!(rewritten("a+", "", b"aaa").unwrap(), b"");
        assert_eq!(rewritten("a+", "b", b"aab"), None);
        assert_eq!(rewritten("(a+)", "$0$1", b"aa").unwrap(), b"aaaa");
    }

    #[test]
    fn mistakes_are_found_when_it_is_made() {
        let mistake = |pattern, to| Rewrite::new(pattern, to).unwrap_err();
        assert!(matches!(mistake("(", ""), RewriteMistake::Pattern(_)));
        assert_eq!(mistake("(a)", "x$2"), RewriteMistake::To(1, "the expression has no group `2`".into()));
        assert_eq!(mistake("(a)", "$1x"), RewriteMistake::To(0, "the expression has no group `1x`".into()));
        assert_eq!(mistake("(a)", "é$$$"), RewriteMistake::To(4, "`$` names no group; a dollar sign is `$$`".into()));
        assert_eq!(mistake("(a)", "${1"), RewriteMistake::To(0, "`${` has no end".into()));
    }
}
