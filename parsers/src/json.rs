//! JSON as programs write it to logs, which is not always JSON: one value at the start of a text, and the members of an object.
//!
//! ```text
//! "GET /a\"b HTTP/1.1"  204  null  true  ["www.example.org", "-"]
//! ```
//!
//! HAProxy 3.0 escapes quotes and backslashes and lets every other byte pass; 3.2 escapes control characters and
//! bytes beyond ASCII too, each *byte* as `\u00XX`. Relays and mail servers write what the standard says.

use crate::Reason;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token<'t> {
    /// What is between its quotes.
    Text(&'t [u8]),
    /// What is between its brackets.
    Array(&'t [u8]),
    /// A number, `true`, `false`.
    Bare(&'t [u8]),
    /// `null`, or an object.
    Nothing,
}

impl<'t> Token<'t> {
    /// What `value`, which [`length`] has measured, is.
    pub(crate) fn of(value: &'t [u8]) -> Self {
        match value {
            [b'"', inside @ .., b'"'] => Self::Text(inside),
            [b'[', inside @ .., b']'] => Self::Array(inside),
            [b'{', ..] | b"null" => Self::Nothing,
            bare => Self::Bare(bare),
        }
    }
}

/// The length of the value that `text` begins with. A number or a word may be cut where `text` ends.
///
/// # Errors
/// [`Reason::Truncated`] when it goes on beyond the text, [`Reason::Grammar`] when there is none.
pub(crate) fn length(text: &[u8]) -> Result<usize, Reason> {
    match text.first() {
        None => Err(Reason::Truncated),
        Some(b'"') => string(text),
        Some(b'[' | b'{') => nested(text),
        Some(_) => {
            let is_bare = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
            match text.iter().position(|byte| !is_bare(byte)).unwrap_or(text.len()) {
                0 => Err(Reason::Grammar),
                length => Ok(length),
            }
        }
    }
}

/// The length of the whole number, `true`, `false` or `null` that `text` begins with.
///
/// # Errors
/// As [`length`].
pub(crate) fn word(text: &[u8]) -> Result<usize, Reason> {
    const WORDS: [&[u8]; 3] = [b"null", b"true", b"false"];
    if let Some(word) = WORDS.iter().find(|word| text.starts_with(word)) {
        return Ok(word.len());
    }
    let sign = usize::from(text.first() == Some(&b'-'));
    let digits = text.iter().skip(sign).take_while(|byte| byte.is_ascii_digit()).count();
    match digits {
        0 if text.len() == sign || WORDS.iter().any(|word| word.starts_with(text)) => Err(Reason::Truncated),
        0 => Err(Reason::Grammar),
        digits => Ok(sign + digits),
    }
}

/// True when the value's end is not its own last byte: it may go on where the text ends.
pub(crate) fn is_open_ended(value: &[u8]) -> bool {
    !matches!(value.first(), Some(b'"' | b'[' | b'{'))
}

fn string(text: &[u8]) -> Result<usize, Reason> {
    let mut at = 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', text.get(at..).unwrap_or_default()) {
        at += found;
        if text.get(at) == Some(&b'"') {
            return Ok(at + 1);
        }
        at += 2;
    }
    Err(Reason::Truncated)
}

fn nested(text: &[u8]) -> Result<usize, Reason> {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                at += string(text.get(at..).unwrap_or_default())?;
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Ok(at);
        }
    }
    Err(Reason::Truncated)
}

/// Appends `text`, what stands between quotes, without its escapes. One that is cut, or none, is left out.
///
/// `\u0000` to `\u00FF` are bytes, as HAProxy means them; what is beyond becomes UTF-8.
pub(crate) fn unescape(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(backslash) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(rest.get(..backslash).unwrap_or_default());
        rest = rest.get(backslash + 1..).unwrap_or_default();
        let Some((escape, behind)) = rest.split_first() else { return };
        rest = behind;
        match escape {
            b'u' => rest = unicode(rest, out),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            other => out.push(*other),
        }
    }
    out.extend_from_slice(rest);
}

/// Appends what `XXXX`, and the second half of a pair behind it, stand for. Returns what follows.
fn unicode<'t>(text: &'t [u8], out: &mut Vec<u8>) -> &'t [u8] {
    let Some((unit, rest)) = four_digits(text) else { return text.get(4..).unwrap_or_default() };
    if let Ok(byte) = u8::try_from(unit) {
        out.push(byte);
        return rest;
    }
    let pair = rest.strip_prefix(b"\\u").and_then(four_digits).filter(|(low, _)| matches!(low, 0xdc00..=0xdfff));
    let (code, rest) = match pair {
        Some((low, behind)) if matches!(unit, 0xd800..=0xdbff) => {
            (0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00), behind)
        }
        _ => (unit, rest),
    };
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    rest
}

fn four_digits(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_at_checked(4)?;
    let number = digits.iter().try_fold(0, |number, digit| Some(number << 4 | char::from(*digit).to_digit(16)?))?;
    Some((number, rest))
}

/// True when `text`, what stands between quotes, stands for `word`, which is ASCII.
pub(crate) fn is_word(text: &[u8], word: &[u8]) -> bool {
    if text == word || memchr::memchr(b'\\', text).is_none() {
        return text == word;
    }
    let mut rest = text;
    for expected in word {
        let (found, behind) = match rest {
            [b'\\', b'u', behind @ ..] => match four_digits(behind) {
                Some((code, behind)) => (code, behind),
                None => return false,
            },
            // The other escapes are of what no word has, or stand for themselves.
            [b'\\', byte, behind @ ..] | [byte, behind @ ..] => (u32::from(*byte), behind),
            [] => return false,
        };
        if found != u32::from(*expected) {
            return false;
        }
        rest = behind;
    }
    rest.is_empty()
}

/// A number in thousandths, rounded towards zero; `None` for what is none, or too large by far.
pub(crate) fn thousandths(number: &[u8]) -> Option<i64> {
    let (is_negative, digits) = number.strip_prefix(b"-").map_or((false, number), |digits| (true, digits));
    let mantissa_end = digits.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(digits.len());
    let (mantissa, exponent) = digits.split_at_checked(mantissa_end)?;
    let exponent = if exponent.is_empty() { 0 } else { small(exponent.get(1..)?)? };
    let point = mantissa.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = (mantissa.get(..point.unwrap_or(mantissa.len()))?, point.map_or(0, |at| at + 1));
    let fraction = if fraction == 0 { &[][..] } else { mantissa.get(fraction..)? };
    if whole.is_empty() || (point.is_some() && fraction.is_empty()) {
        return None;
    }
    // As many of its digits as there are before the point once it has moved.
    let places = i32::try_from(whole.len()).ok()?.checked_add(exponent)?.checked_add(3)?;
    let mut value = 0_i64;
    let mut all = whole.iter().chain(fraction);
    for _ in 0..places {
        let digit = match all.next() {
            Some(digit @ b'0'..=b'9') => i64::from(digit - b'0'),
            Some(_) => return None,
            None if value == 0 => break,
            None => 0,
        };
        value = value.checked_mul(10)?.checked_add(digit)?;
    }
    all.all(u8::is_ascii_digit).then_some(if is_negative { -value } else { value })
}

/// A number of at most three digits, with its sign.
fn small(text: &[u8]) -> Option<i32> {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    let is_small = (1..=3).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    is_small.then(|| digits.iter().fold(0, |value, digit| value * 10 + i32::from(digit - b'0')) * sign)
}

/// A member of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member<'t> {
    /// Its name, what is between the quotes.
    pub(crate) name: &'t [u8],
    /// Its value, as it is written; up to the text's end, if that comes first.
    pub(crate) value: &'t [u8],
    /// Offset of the value in the text.
    pub(crate) at: usize,
    /// False for a value that is cut, or may be.
    pub(crate) is_whole: bool,
}

impl<'t> Member<'t> {
    /// True when it is called `name`.
    pub(crate) fn is(&self, name: &str) -> bool {
        is_word(self.name, name.as_bytes())
    }

    /// What is between the value's quotes, if it has some, or the number itself; `None` for a value that is cut.
    pub(crate) fn text(&self) -> Option<&'t [u8]> {
        match Token::of(self.value) {
            Token::Text(text) | Token::Bare(text) if self.is_whole => Some(text),
            _ => None,
        }
    }

    /// The number that the value is, in thousandths, with or without quotes around it.
    pub(crate) fn thousandths(&self) -> Option<i64> {
        thousandths(self.text()?)
    }
}

/// The members of one object, in their order. The last item is an error if the object is not whole: why, and at which offset.
#[derive(Clone, Debug)]
pub(crate) struct Members<'t> {
    text: &'t [u8],
    at: usize,
    state: State,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    First,
    More,
    Done,
}

impl<'t> Members<'t> {
    /// The members of the object that begins at offset `at` of `text`.
    pub(crate) fn at(text: &'t [u8], at: usize) -> Self {
        Self { text, at, state: State::First }
    }

    /// Offset of what has not been read yet.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    /// Takes blanks and then `byte`, if it is there.
    fn take(&mut self, byte: u8) -> bool {
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at += rest.len() - rest.trim_ascii_start().len();
        let is_there = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(is_there);
        is_there
    }

    /// Why what is next is none of what could be.
    fn stop(&self) -> Reason {
        if self.at >= self.text.len() { Reason::Truncated } else { Reason::Delimiter }
    }

    /// Reads a member; `None` where the object ends.
    fn member(&mut self) -> Result<Option<Member<'t>>, Reason> {
        let text = self.text;
        let is_first = self.state == State::First;
        if is_first && !self.take(b'{') {
            return Err(self.stop());
        }
        if self.take(b'}') {
            return Ok(None);
        }
        if !is_first && !self.take(b',') {
            return Err(self.stop());
        }
        if !self.take(b'"') {
            return Err(self.stop());
        }
        let start = self.at;
        self.at += string(text.get(start - 1..).unwrap_or_default())? - 1;
        let name = text.get(start..self.at - 1).unwrap_or_default();
        if !self.take(b':') {
            return Err(self.stop());
        }
        self.take(b' ');
        let at = self.at;
        let rest = text.get(at..).unwrap_or_default();
        let (length, is_whole) = match length(rest) {
            Ok(length) => (length, length < rest.len() || !is_open_ended(rest)),
            Err(Reason::Truncated) if !rest.is_empty() => (rest.len(), false),
            Err(reason) => return Err(reason),
        };
        self.at += length;
        self.state = State::More;
        Ok(Some(Member { name, value: rest.get(..length).unwrap_or_default(), at, is_whole }))
    }
}

impl<'t> Iterator for Members<'t> {
    type Item = Result<Member<'t>, (Reason, usize)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Done {
            return None;
        }
        let found = self.member();
        if !matches!(found, Ok(Some(_))) {
            self.state = State::Done;
        }
        found.map_err(|reason| (reason, self.at)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_compared_without_their_escapes() {
        for (text, is_it) in [
            (&b"auth.failed"[..], true),
            (b"auth\\u002efailed", true),
            (b"\\u0061uth.faile\\u0064", true),
            (b"auth.failed\\n", false),
            (b"auth.faile", false),
            (b"auth.faile\\u00", false),
            (b"auth.failed\\", false),
            (b"", false),
        ] {
            assert_eq!(is_word(text, b"auth.failed"), is_it, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn numbers_become_thousandths() {
        for (text, expected) in [
            ("550", Some(550_000)),
            ("1.0125", Some(1012)),
            ("-0.5", Some(-500)),
            ("1.7391e+3", Some(1_739_100)),
            ("17e-1", Some(1700)),
            ("1e-30", Some(0)),
            ("0", Some(0)),
            ("0e999", Some(0)),
            ("1e999", None),
            ("1.", None),
            (".5", None),
            ("", None),
            ("-", None),
            ("1e", None),
            ("1e+", None),
            ("12x", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(thousandths(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn members_are_those_of_the_object_itself() {
        let text = b"{\"a\": \"x\\\"}\", \"b\":{\"a\":[1,\"]\"]} , \"c\" : 5}";
        let found = Members::at(text, 0).map(|member| {
            let member = member.unwrap();
            assert!(member.is_whole);
            (member.name, member.value)
        });
        let expected: [(&[u8], &[u8]); 3] = [(b"a", b"\"x\\\"}\""), (b"b", b"{\"a\":[1,\"]\"]}"), (b"c", b"5")];
        assert_eq!(found.collect::<Vec<_>>(), expected);
        assert_eq!(Members::at(b" { }", 0).next(), None);
        for end in 0..text.len() {
            let members = Members::at(&text[..end], 0).collect::<Vec<_>>();
            assert!(matches!(members.last(), Some(Err((Reason::Truncated, at))) if *at <= end), "{end}: {members:?}");
        }
        for wrong in [&b"[]"[..], b"{1:2}", b"{\"a\"=1}", b"{\"a\":}", b"{\"a\":1 \"b\":2}", b"{,\"a\":1}"] {
            let last = Members::at(wrong, 0).last();
            assert!(matches!(last, Some(Err(_))), "{}: {last:?}", wrong.escape_ascii());
        }
    }

    #[test]
    fn values_end_where_they_should() {
        for (text, expected) in [
            (&b"\"a\\\"b\\\\\", 1"[..], Ok(8)),
            (b"\"\", 1", Ok(2)),
            (b"-1}", Ok(2)),
            (b"null, ", Ok(4)),
            (b"[\"a]\", [1]], ", Ok(11)),
            (b"{\"a\": {}}}", Ok(9)),
            (b"204", Ok(3)),
            (b"\"a\\\"", Err(Reason::Truncated)),
            (b"\"a\\", Err(Reason::Truncated)),
            (b"[\"a\"", Err(Reason::Truncated)),
            (b"", Err(Reason::Truncated)),
            (b", ", Err(Reason::Grammar)),
            (b"]", Err(Reason::Grammar)),
        ] {
            assert_eq!(length(text), expected, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn escapes_are_undone() {
        for (text, expected) in [
            (&b"te\\\"x\\\\t\tq \xff"[..], &b"te\"x\\t\tq \xff"[..]),
            (b"te\\\"x\\\\t\\tq \\u00FF", b"te\"x\\t\tq \xff"),
            (b"cu\\u00C3\\u00A9rl", "cu\u{e9}rl".as_bytes()),
            (b"\\u20ac\\ud83d\\ude00\\ud83d!", "\u{20ac}\u{1f600}\u{fffd}!".as_bytes()),
            (b"a\\u00", b"a"),
            (b"a\\", b"a"),
            (b"\\/\\b\\f\\n\\r", b"/\x08\x0c\n\r"),
        ] {
            let mut out = Vec::new();
            unescape(text, &mut out);
            assert_eq!(out, expected, "{}", text.escape_ascii());
        }
    }
}
