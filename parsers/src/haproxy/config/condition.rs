//! The conditions of `.if` and `.elif` (configuration manual, chapter 2.4; HAProxy's `cfgcond.c`).
//!
//! ```text
//! .if defined(SITE) && !streq("$SITE",main) || version_atleast(2.8)
//! ```
//!
//! A value is true, false, or `None` where it depends on something that is not known here: the version or the features
//! of the HAProxy that will read the file, its libraries, its command line.

use super::variables::Variables;
use super::words::Word;
use super::{Mistake, Process, version};

/// Parentheses within parentheses, at most. HAProxy allows more; nobody writes that many.
const DEPTH: u32 = 64;

/// Evaluates the condition that the words behind `.if` make.
///
/// # Errors
/// A [`Mistake`] where the condition cannot be read.
pub(super) fn evaluate(
    words: &[Word],
    process: &Process<'_>,
    variables: &Variables<'_>,
) -> Result<Option<bool>, Mistake> {
    let Some(word) = Word::join(words).filter(|word| !word.text().is_empty()) else { return Ok(Some(false)) };
    let mut reader = Reader { text: word.text(), at: 0, process, variables };
    let value = reader.any(DEPTH).and_then(|value| {
        reader.skip_blanks();
        if reader.at < reader.text.len() { Err("the condition should end here") } else { Ok(value) }
    });
    value.map_err(|message| Mistake { place: word.place_of(reader.at), message: message.to_owned() })
}

struct Reader<'r> {
    text: &'r [u8],
    at: usize,
    process: &'r Process<'r>,
    variables: &'r Variables<'r>,
}

/// A value, or what was expected at `at`.
type Outcome<T> = Result<T, &'static str>;

impl<'r> Reader<'r> {
    fn rest(&self) -> &'r [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    }

    fn take(&mut self, token: &[u8]) -> bool {
        self.skip_blanks();
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    /// Terms that `||` connects.
    fn any(&mut self, depth: u32) -> Outcome<Option<bool>> {
        let mut value = self.all(depth)?;
        while self.take(b"||") {
            let other = self.all(depth)?;
            value = match (value, other) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), other) => other,
                (None, _) => None,
            };
        }
        Ok(value)
    }

    /// Terms that `&&` connects.
    fn all(&mut self, depth: u32) -> Outcome<Option<bool>> {
        let mut value = self.term(depth)?;
        while self.take(b"&&") {
            let other = self.term(depth)?;
            value = match (value, other) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), other) => other,
                (None, _) => None,
            };
        }
        Ok(value)
    }

    fn term(&mut self, depth: u32) -> Outcome<Option<bool>> {
        let mut negated = false;
        while self.take(b"!") {
            negated = !negated;
        }
        let value = if let Some(number) = self.integer() {
            Some(number)
        } else if self.take(b"(") {
            let depth = depth.checked_sub(1).ok_or("too many parentheses")?;
            let value = self.any(depth)?;
            if !self.take(b")") {
                return Err("a closing parenthesis is expected here");
            }
            value
        } else {
            self.predicate()?
        };
        Ok(value.map(|value| value != negated))
    }

    /// A number as C's `strtol` takes it: true when it is not zero.
    fn integer(&mut self) -> Option<bool> {
        let rest = self.rest();
        let sign = usize::from(matches!(rest.first(), Some(b'+' | b'-')));
        let digits = rest.get(sign..)?;
        let is_hexadecimal = matches!(digits, [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit());
        let (skipped, radix) = match digits.first()? {
            _ if is_hexadecimal => (2, 16),
            b'0' => (0, 8),
            _ => (0, 10),
        };
        let digits = digits.get(skipped..)?;
        let length = digits.iter().take_while(|byte| char::from(**byte).is_digit(radix)).count();
        if length == 0 {
            return None;
        }
        self.at += sign + skipped + length;
        Some(digits.iter().take(length).any(|digit| *digit != b'0'))
    }

    fn predicate(&mut self) -> Outcome<Option<bool>> {
        let start = self.at;
        let length = self.rest().iter().take_while(|byte| !matches!(byte, b' ' | b'(')).count();
        let name = self.rest().get(..length).unwrap_or_default();
        self.at += length;
        let wanted = match name {
            b"defined" | b"feature" | b"version_atleast" | b"version_before" | b"enabled" => 1,
            b"openssl_version_atleast" | b"openssl_version_before" | b"ssllib_name_startswith" => 1,
            b"awslc_api_atleast" | b"awslc_api_before" => 1,
            b"streq" | b"strneq" | b"strstr" => 2,
            _ => {
                self.at = start;
                return Err("a number, a predicate or a parenthesis is expected here");
            }
        };
        let arguments = self.arguments()?;
        let (first, second) = match arguments.as_slice() {
            [first] if wanted == 1 => (first.as_slice(), &[][..]),
            [first, second] if wanted == 2 => (first.as_slice(), second.as_slice()),
            _ => return Err("the predicate has another number of arguments"),
        };
        Ok(match name {
            b"defined" => self.variables.is_defined(first),
            b"streq" => Some(first == second),
            b"strneq" => Some(first != second),
            b"strstr" => Some(second.is_empty() || first.windows(second.len()).any(|part| part == second)),
            b"version_atleast" => self.is_at_least(first),
            b"version_before" => self.is_at_least(first).map(|is_at_least| !is_at_least),
            b"feature" => self.has_feature(first),
            _ => None,
        })
    }

    /// `(a,b)`, with quotes and backslashes of their own.
    fn arguments(&mut self) -> Outcome<Vec<Vec<u8>>> {
        // Without parentheses, a predicate has an empty argument.
        if self.rest().first() != Some(&b'(') {
            return Ok(vec![Vec::new()]);
        }
        self.at += 1;
        let mut arguments = vec![Vec::new()];
        let mut quote = None;
        while let [byte, rest @ ..] = self.rest() {
            self.at += 1;
            let mut add = |byte: u8| {
                if let Some(argument) = arguments.last_mut() {
                    argument.push(byte);
                }
            };
            match byte {
                b'"' | b'\'' if quote.is_none() => quote = Some(*byte),
                b'"' | b'\'' if quote == Some(*byte) => quote = None,
                b'\\' if quote != Some(b'\'') => {
                    let escaped = match rest.first() {
                        Some(next @ (b'\\' | b' ' | b'"' | b'\'')) => Some(*next),
                        Some(b'r') => Some(b'\r'),
                        Some(b'n') => Some(b'\n'),
                        Some(b't') => Some(b'\t'),
                        _ => None,
                    };
                    self.at += usize::from(escaped.is_some());
                    add(escaped.unwrap_or(b'\\'));
                }
                b')' if quote.is_none() => return Ok(arguments),
                b',' if quote.is_none() => arguments.push(Vec::new()),
                _ => add(*byte),
            }
        }
        Err("a closing parenthesis is expected here")
    }

    fn is_at_least(&self, wanted: &[u8]) -> Option<bool> {
        version::is_at_least(self.process.version?, core::str::from_utf8(wanted).ok()?)
    }

    /// Features are listed as in `+EPOLL -KQUEUE`.
    fn has_feature(&self, name: &[u8]) -> Option<bool> {
        let mut features = self.process.features?.split_ascii_whitespace();
        Some(features.any(|feature| feature.strip_prefix('+').is_some_and(|feature| feature.as_bytes() == name)))
    }
}
