//! Values of a JSON text at places that are known beforehand, named by JSON pointers (RFC 6901).
//!
//! ```text
//! {"level":"info","request":{"method":"GET","headers":{"Accept":["*/*"]}},"duration":0.000051234}
//! /request/method -> GET   /request/headers/Accept/0 -> */*   /duration -> 0.000051234
//! ```
//!
//! The text is gone through once, from its first byte to its last, and its grammar is checked on the way. What is let pass
//! though the standard forbids it are control characters and bytes that are not UTF-8 in strings: programs write them. Of names that come
//! twice in an object the last counts.

use crate::Reason;

/// Deepest nesting of objects and arrays that is read.
pub const DEEPEST: usize = 64;

/// Where values of interest are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointers {
    /// The first is the whole text's.
    places: Vec<Place>,
    pointers: usize,
}

/// A place that is named, or on the way to one that is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Place {
    /// Names in an object, or numbers in an array, and the places there.
    inside: Vec<(Box<[u8]>, Number)>,
    /// The pointer that names it.
    pointer: Option<Number>,
}

/// Number of a place or a pointer.
type Number = u16;

/// A place that nobody asks for.
const ELSEWHERE: Number = Number::MAX;

/// What stands at a pointer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Nothing, or `null`.
    #[default]
    Missing,
    /// What stands between quotes, where every byte means itself.
    Text,
    /// The same with escapes, see [`unescape`].
    Escaped,
    /// A number, `true` or `false`.
    Bare,
    /// An object or an array.
    Nested,
}

/// A value: what it is, and where it stands in the text, without the quotes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Value {
    /// What it is.
    pub kind: Kind,
    /// Offset of its first byte.
    pub start: usize,
    /// Offset behind its last byte.
    pub end: usize,
}

/// Why a text is not JSON, or not a JSON object, and at which byte.
pub type Broken = (Reason, usize);

impl Pointers {
    /// For these pointers, each empty (the whole text) or beginning with a slash.
    ///
    /// # Errors
    /// What is wrong with the first one that is none: its number, the byte, and why.
    pub fn new<'p>(pointers: impl IntoIterator<Item = &'p str>) -> Result<Self, (usize, usize, &'static str)> {
        let mut known = Self { places: vec![Place::default()], pointers: 0 };
        for (number, pointer) in pointers.into_iter().enumerate() {
            if !pointer.is_empty() && !pointer.starts_with('/') {
                return Err((number, 0, "a JSON pointer begins with `/`"));
            }
            let mut place = 0;
            let mut at = 1;
            for token in pointer.split('/').skip(1) {
                let name = name(token).map_err(|wrong| (number, at + wrong, "`~` stands before 0 or 1"))?;
                place = known.inside(place, &name);
                at += token.len() + 1;
            }
            let asked = &mut known.places[place].pointer;
            if asked.is_some() {
                return Err((number, 0, "another field has the same pointer"));
            }
            *asked = Some(number as Number);
            known.pointers = number + 1;
        }
        Ok(known)
    }

    /// The place called `name` inside `place`, made if need be.
    fn inside(&mut self, place: usize, name: &[u8]) -> usize {
        if let Some((_, there)) = self.places[place].inside.iter().find(|(known, _)| **known == *name) {
            return usize::from(*there);
        }
        let new = self.places.len();
        self.places.push(Place::default());
        self.places[place].inside.push((name.into(), new as Number));
        new
    }

    /// Number of pointers.
    pub fn len(&self) -> usize {
        self.pointers
    }

    /// True without a pointer.
    pub fn is_empty(&self) -> bool {
        self.pointers == 0
    }

    /// Reads the object that `text` is, and puts what stands at each pointer into `values`, by number. `scratch` is for names with
    /// escapes.
    ///
    /// # Errors
    /// The text is not a whole JSON object.
    pub fn find(&self, text: &[u8], values: &mut [Value], scratch: &mut Vec<u8>) -> Result<(), Broken> {
        values.fill(Value::default());
        let mut walk =
            Walk { pointers: self, text, at: 0, values, scratch, open: [Open::default(); DEEPEST], depth: 0 };
        walk.skip_blanks();
        if walk.peek() != Some(b'{') {
            return Err((if walk.peek().is_none() { Reason::Truncated } else { Reason::UnknownForm }, walk.at));
        }
        walk.value(0)?;
        while walk.depth > 0 {
            if let Some(place) = walk.next()? {
                walk.value(place)?;
            }
        }
        walk.skip_blanks();
        if walk.at < text.len() { Err((Reason::Delimiter, walk.at)) } else { Ok(()) }
    }

    /// The place called `name` inside `place`.
    #[inline]
    fn place(&self, place: Number, name: &[u8]) -> Number {
        let Some(place) = self.places.get(usize::from(place)) else { return ELSEWHERE };
        place.inside.iter().find(|(known, _)| **known == *name).map_or(ELSEWHERE, |(_, there)| *there)
    }
}

/// The name that a pointer's token stands for.
fn name(token: &str) -> Result<Vec<u8>, usize> {
    let mut name = Vec::with_capacity(token.len());
    let mut bytes = token.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        name.push(match byte {
            b'~' => match bytes.next() {
                Some((_, b'0')) => b'~',
                Some((_, b'1')) => b'/',
                _ => return Err(at),
            },
            byte => byte,
        });
    }
    Ok(name)
}

/// An object or array that has not ended.
#[derive(Clone, Copy, Default)]
struct Open {
    place: Number,
    is_array: bool,
    /// Offset of its bracket.
    start: usize,
    /// Values in it so far.
    values: usize,
}

/// A way through a text.
struct Walk<'w> {
    pointers: &'w Pointers,
    text: &'w [u8],
    at: usize,
    values: &'w mut [Value],
    scratch: &'w mut Vec<u8>,
    open: [Open; DEEPEST],
    depth: usize,
}

impl Walk<'_> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[inline]
    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// What is next is none of what could be.
    fn stop<T>(&self, reason: Reason) -> Result<T, Broken> {
        Err((if self.at >= self.text.len() { Reason::Truncated } else { reason }, self.at))
    }

    /// Takes the value that is next, at `place`; of an object or array its bracket.
    #[inline]
    fn value(&mut self, place: Number) -> Result<(), Broken> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => {
                let has_escapes = self.string()?;
                let kind = if has_escapes { Kind::Escaped } else { Kind::Text };
                self.found(place, Value { kind, start: start + 1, end: self.at - 1 });
            }
            Some(bracket @ (b'{' | b'[')) => {
                let is_array = bracket == b'[';
                let Some(open) = self.open.get_mut(self.depth) else { return Err((Reason::Range, start)) };
                *open = Open { place, is_array, start, values: 0 };
                self.depth += 1;
                self.at += 1;
            }
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                self.found(place, Value { kind: Kind::Bare, start, end: self.at });
            }
            Some(b't') => self.word(b"true", Kind::Bare, place)?,
            Some(b'f') => self.word(b"false", Kind::Bare, place)?,
            Some(b'n') => self.word(b"null", Kind::Missing, place)?,
            _ => return self.stop(Reason::Grammar),
        }
        Ok(())
    }

    /// Goes to the next value in what is open, or closes that. The place of the value.
    #[inline]
    fn next(&mut self) -> Result<Option<Number>, Broken> {
        self.skip_blanks();
        let Some(Open { place, is_array, start, values }) =
            self.depth.checked_sub(1).and_then(|last| self.open.get(last)).copied()
        else {
            return Ok(None);
        };
        if self.peek() == Some(if is_array { b']' } else { b'}' }) {
            self.at += 1;
            self.depth -= 1;
            self.found(place, Value { kind: Kind::Nested, start, end: self.at });
            return Ok(None);
        }
        if values > 0 {
            if self.peek() != Some(b',') {
                return self.stop(Reason::Delimiter);
            }
            self.at += 1;
            self.skip_blanks();
        }
        if let Some(open) = self.open.get_mut(self.depth - 1) {
            open.values += 1;
        }
        if is_array {
            return Ok(Some(if place == ELSEWHERE { ELSEWHERE } else { self.numbered(place, values) }));
        }
        if self.peek() != Some(b'"') {
            return self.stop(Reason::Delimiter);
        }
        let first = self.at + 1;
        let has_escapes = self.string()?;
        let name = self.text.get(first..self.at - 1).unwrap_or_default();
        let inside = match place {
            ELSEWHERE => ELSEWHERE,
            place if has_escapes => {
                self.scratch.clear();
                unescape(name, self.scratch);
                self.pointers.place(place, self.scratch)
            }
            place => self.pointers.place(place, name),
        };
        self.skip_blanks();
        if self.peek() != Some(b':') {
            return self.stop(Reason::Delimiter);
        }
        self.at += 1;
        self.skip_blanks();
        Ok(Some(inside))
    }

    /// The place of value number `number` in an array at `place`.
    fn numbered(&self, place: Number, number: usize) -> Number {
        let mut digits = [0; 20];
        let (mut rest, mut at) = (number, digits.len());
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.pointers.place(place, digits.get(at..).unwrap_or_default())
    }

    #[inline]
    fn found(&mut self, place: Number, value: Value) {
        let Some(Place { pointer: Some(pointer), .. }) = self.pointers.places.get(usize::from(place)) else { return };
        if let Some(known) = self.values.get_mut(usize::from(*pointer)) {
            *known = value;
        }
    }

    /// Takes a string with its quotes. True when it has escapes.
    #[inline]
    fn string(&mut self) -> Result<bool, Broken> {
        let mut has_escapes = false;
        self.at += 1;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let Some(found) = memchr::memchr2(b'"', b'\\', rest) else {
                self.at = self.text.len();
                return self.stop(Reason::Truncated);
            };
            self.at += found + 1;
            if rest.get(found) == Some(&b'"') {
                return Ok(has_escapes);
            }
            has_escapes = true;
            self.escape()?;
        }
    }

    /// Takes what follows a backslash.
    fn escape(&mut self) -> Result<(), Broken> {
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|digit| digit.is_ascii_hexdigit()) {
                        return self.stop(Reason::Grammar);
                    }
                    self.at += 1;
                }
            }
            _ => return self.stop(Reason::Grammar),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Broken> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        // No other digit follows a leading zero.
        if self.peek() == Some(b'0') {
            self.at += 1
        } else {
            self.digits()?
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// Takes at least one digit.
    fn digits(&mut self) -> Result<(), Broken> {
        let first = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == first { self.stop(Reason::Number) } else { Ok(()) }
    }

    fn word(&mut self, word: &[u8], kind: Kind, place: Number) -> Result<(), Broken> {
        let start = self.at;
        for byte in word {
            if self.peek() != Some(*byte) {
                return self.stop(Reason::Grammar);
            }
            self.at += 1;
        }
        self.found(place, Value { kind, start, end: self.at });
        Ok(())
    }
}

/// Appends what `text`, which stands between quotes and has been checked, means. Half a surrogate pair becomes U+FFFD.
pub fn unescape(text: &[u8], out: &mut Vec<u8>) {
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
    let second = rest.strip_prefix(b"\\u").and_then(four_digits).filter(|(low, _)| matches!(low, 0xdc00..=0xdfff));
    let (code, rest) = match second {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'t>(pointers: &[&str], text: &'t [u8]) -> Result<Vec<(Kind, &'t [u8])>, Broken> {
        let pointers = Pointers::new(pointers.iter().copied()).expect("pointers");
        let mut values = vec![Value::default(); pointers.len()];
        pointers.find(text, &mut values, &mut Vec::new())?;
        Ok(values.iter().map(|value| (value.kind, &text[value.start..value.end])).collect())
    }

    #[test]
    fn values_are_found_wherever_they_stand() {
        let text = br#" { "a" : {"b":[1,{"c":"x\"y"},-0.5e+3], "" : null}, "d/e~":true, "q\u0061":"", "b":[[]] } "#;
        let pointers = ["/a/b/1/c", "/a/b/2", "/a/", "/d~1e~0", "/qa", "/a/b", "/b/0/0", "/nothing", "/b/00"];
        let expected: [(Kind, &[u8]); 9] = [
            (Kind::Escaped, b"x\\\"y"),
            (Kind::Bare, b"-0.5e+3"),
            (Kind::Missing, b"null"),
            (Kind::Bare, b"true"),
            (Kind::Text, b""),
            (Kind::Nested, b"[1,{\"c\":\"x\\\"y\"},-0.5e+3]"),
            (Kind::Missing, b""),
            (Kind::Missing, b""),
            (Kind::Missing, b""),
        ];
        assert_eq!(found(&pointers, text), Ok(expected.to_vec()));
        assert_eq!(found(&["/a"], b"{\"a\":1,\"a\":2}"), Ok(vec![(Kind::Bare, &b"2"[..])]));
        assert_eq!(found(&[""], b"{}"), Ok(vec![(Kind::Nested, &b"{}"[..])]));
    }

    #[test]
    fn what_is_broken_has_a_place() {
        for (text, reason, at) in [
            (&b""[..], Reason::Truncated, 0),
            (b"  ", Reason::Truncated, 2),
            (b"GET /", Reason::UnknownForm, 0),
            (b"[1]", Reason::UnknownForm, 0),
            (b"{\"a\":1} x", Reason::Delimiter, 8),
            (b"{\"a\":1", Reason::Truncated, 6),
            (b"{\"a\":1,}", Reason::Delimiter, 7),
            (b"{\"a\" 1}", Reason::Delimiter, 5),
            (b"{\"a\":}", Reason::Grammar, 5),
            (b"{\"a\":tru}", Reason::Grammar, 8),
            (b"{\"a\":\"\\x\"}", Reason::Grammar, 7),
            (b"{\"a\":\"\\u12g4\"}", Reason::Grammar, 10),
            (b"{\"a\":\"b", Reason::Truncated, 7),
            (b"{\"a\":01}", Reason::Delimiter, 6),
            (b"{\"a\":1.}", Reason::Number, 7),
            (b"{\"a\":-}", Reason::Number, 6),
            (b"{\"a\":[1 2]}", Reason::Delimiter, 8),
            (b"{\"a\":[1}", Reason::Delimiter, 7),
            (b"{1:2}", Reason::Delimiter, 1),
        ] {
            assert_eq!(found(&["/a"], text), Err((reason, at)), "{}", text.escape_ascii());
        }
        let deep = [b"{\"a\":".repeat(DEEPEST), b"{".to_vec()].concat();
        assert_eq!(found(&["/a"], &deep), Err((Reason::Range, 5 * DEEPEST)));
    }

    #[test]
    fn pointers_are_checked() {
        assert_eq!(Pointers::new(["a"]), Err((0, 0, "a JSON pointer begins with `/`")));
        assert_eq!(Pointers::new(["/a", "/b/c~2"]), Err((1, 4, "`~` stands before 0 or 1")));
        assert_eq!(Pointers::new(["/a", "/a"]), Err((1, 0, "another field has the same pointer")));
    }

    #[test]
    fn escapes_mean_what_the_standard_says() {
        for (text, expected) in [
            (&br#"a\"b\\c\/\b\f\n\r\t"#[..], &b"a\"b\\c/\x08\x0c\n\r\t"[..]),
            (br"caf\u00e9 \u20ac \ud83d\ude00", "caf\u{e9} \u{20ac} \u{1f600}".as_bytes()),
            (br"\ud83d! \ude00", "\u{fffd}! \u{fffd}".as_bytes()),
            (br"\u0000", b"\0"),
        ] {
            let mut out = Vec::new();
            unescape(text, &mut out);
            assert_eq!(out, expected);
        }
    }
}
