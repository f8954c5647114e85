//! Paths -> the patterns that they fit, such as `/users/:id`.
//!
//! The operator's patterns come first, in a tree by segments. What fits none of them falls out; or, if detectors are asked
//! for, its segments that look like numbers, UUIDs, hashes or other ids become placeholders:
//!
//! ```text
//! /users/4711/orders/9f86d081884c7d65  ->  /users/:number/orders/:hash
//! ```

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use foldhash::fast::RandomState;

/// Segments of a path that are shown where no pattern says more; what is behind them becomes `*`.
const MAX_SEGMENTS: usize = 16;
/// Bytes of the longest segment that may be a word.
const MAX_WORD: usize = 40;

/// What looks like something that differs from request to request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detectors {
    /// Digits, also with one of `.` `,` `-` `_` `:` between them: `:number`.
    pub number: bool,
    /// UUIDs: `:uuid`.
    pub uuid: bool,
    /// Eight and more hexadecimal digits, some of them no letters: `:hash`.
    pub hash: bool,
    /// What is long, has many digits, an `@` or a `%`, or is no ASCII text: `:id`.
    pub id: bool,
}

impl Detectors {
    /// All of them.
    pub const ALL: Self = Self { number: true, uuid: true, hash: true, id: true };
    /// Their names, in the order in which they are asked.
    pub const NAMES: [&'static str; 4] = ["number", "uuid", "hash", "id"];

    /// Asks the one called `name`, too; false when there is none.
    pub fn add(&mut self, name: &str) -> bool {
        let [number, uuid, hash, id] = [&mut self.number, &mut self.uuid, &mut self.hash, &mut self.id];
        let known = Self::NAMES.into_iter().zip([number, uuid, hash, id]).find(|(known, _)| *known == name);
        known.map(|(_, is_asked)| *is_asked = true).is_some()
    }

    /// The names of those that are asked.
    pub(super) fn names(self) -> Vec<&'static str> {
        let asked = Self::NAMES.into_iter().zip([self.number, self.uuid, self.hash, self.id]);
        asked.filter(|(_, is_asked)| *is_asked).map(|(name, _)| name).collect()
    }

    /// True when none is asked.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }

    /// The placeholder for `segment`, if it looks like something.
    fn of(self, segment: &[u8]) -> Option<&'static [u8]> {
        let length = segment.len();
        let seen = segment.iter().fold(0, |seen, byte| seen + KINDS[usize::from(*byte)]);
        let [strange, digits, letters, hexadecimal, separators] =
            [STRANGE, DIGIT, LETTER, HEXADECIMAL, SEPARATOR].map(|kind| (seen / kind) as usize & COUNT);
        if digits == 0 && strange == 0 && length <= MAX_WORD {
            return None;
        }
        let is_number = digits > 0 && digits + separators == length;
        let is_hash = length >= 8 && hexadecimal == length && digits > 0;
        let is_id = strange > 0
            || length > MAX_WORD
            || (length >= 8 && digits >= 3 && letters > 0)
            || (length >= 16 && digits >= 2);
        match () {
            () if self.number && is_number => Some(b":number"),
            () if self.uuid && is_uuid(segment) => Some(b":uuid"),
            () if self.hash && is_hash => Some(b":hash"),
            () if self.id && is_id => Some(b":id"),
            () => None,
        }
    }
}

/// Most bytes of a kind that are counted: more than the longest line has.
const COUNT: usize = (1 << 25) - 1;
/// One of what stands in no word.
const STRANGE: u128 = 1;
const DIGIT: u128 = 1 << 25;
const LETTER: u128 = 1 << 50;
/// Digits, and letters up to `f`.
const HEXADECIMAL: u128 = 1 << 75;
/// What may stand in numbers.
const SEPARATOR: u128 = 1 << 100;

/// What each byte is, so that adding up says how many of each kind there are.
const KINDS: [u128; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let character = byte as u8;
        if is_strange(character) {
            kinds[byte] += STRANGE;
        }
        if character.is_ascii_digit() {
            kinds[byte] += DIGIT;
        }
        if character.is_ascii_alphabetic() {
            kinds[byte] += LETTER;
        }
        if character.is_ascii_hexdigit() {
            kinds[byte] += HEXADECIMAL;
        }
        if matches!(character, b'.' | b',' | b'-' | b'_' | b':') {
            kinds[byte] += SEPARATOR;
        }
        byte += 1;
    }
    kinds
};

/// `8-4-4-4-12` hexadecimal digits.
fn is_uuid(segment: &[u8]) -> bool {
    let is_fit = |(at, byte): (usize, &u8)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    segment.len() == 36 && segment.iter().enumerate().all(is_fit)
}

/// Patterns of paths, and what else is made of a path.
#[derive(Clone)]
pub struct Template(Arc<Routes>);

struct Routes {
    patterns: Vec<String>,
    detectors: Detectors,
    root: Node,
}

/// Where the segments of a path lead. No deeper than the longest pattern.
#[derive(Default)]
struct Node {
    words: HashMap<Box<[u8]>, Node, RandomState>,
    /// Behind a `:name`.
    any: Option<Box<Node>>,
    /// The pattern that ends here.
    end: Option<usize>,
    /// The pattern that ends here in a `*`.
    rest: Option<usize>,
}

/// What is wrong with a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternMistake {
    /// Which one.
    pub pattern: usize,
    /// Where in it, in bytes.
    pub offset: usize,
    /// For people.
    pub message: String,
}

impl Template {
    /// Patterns such as `/users/:id` and `/static/*`: `:name` stands for a segment, and `*` at the end for whatever follows,
    /// also nothing. A path fits the pattern that has a word where others have a `:name`, and that where others have a `*`,
    /// looked at from the left.
    ///
    /// # Errors
    /// What is wrong with the first that is no pattern, or that fits the same paths as another.
    pub fn new(patterns: Vec<String>, detectors: Detectors) -> Result<Self, PatternMistake> {
        let mut root = Node::default();
        for (index, pattern) in patterns.iter().enumerate() {
            let add = root.add(pattern, index, &patterns);
            add.map_err(|(offset, message)| PatternMistake { pattern: index, offset, message })?;
        }
        Ok(Self(Arc::new(Routes { patterns, detectors, root })))
    }

    /// The patterns, as they are written.
    pub fn patterns(&self) -> &[String] {
        &self.0.patterns
    }

    /// What else is made of a path.
    pub fn detectors(&self) -> Detectors {
        self.0.detectors
    }

    /// Appends what is shown of `path` to `out`; false when that is nothing.
    pub(super) fn apply(&self, path: &[u8], out: &mut Vec<u8>) -> bool {
        let Routes { patterns, detectors, root } = &*self.0;
        let end = memchr::memchr3(b'?', b'#', b';', path).unwrap_or(path.len());
        let path = path.get(..end).unwrap_or_default();
        if let Some(pattern) = root.lead(path).and_then(|found| patterns.get(found)) {
            out.extend_from_slice(pattern.as_bytes());
            return true;
        }
        if detectors.is_none() {
            return false;
        }
        for (number, segment) in path.split(|byte| *byte == b'/').enumerate() {
            if number > 0 {
                out.push(b'/');
            }
            if number > MAX_SEGMENTS {
                out.push(b'*');
                break;
            }
            write_segment(segment, *detectors, out);
        }
        true
    }

    /// True when `value` is what is shown of some path.
    pub(super) fn may_show(&self, value: &[u8]) -> bool {
        let Routes { patterns, detectors, root } = &*self.0;
        if patterns.iter().any(|pattern| pattern.as_bytes() == value) {
            return true;
        }
        let mut again = Vec::new();
        !detectors.is_none() && root.lead(value).is_none() && self.apply(value, &mut again) && again == value
    }
}

/// A segment or its placeholder. What ends in a short suffix, like `.png`, keeps that.
fn write_segment(segment: &[u8], detectors: Detectors, out: &mut Vec<u8>) {
    if let Some(placeholder) = detectors.of(segment) {
        // A number may have dots in it.
        let suffix = suffix(segment).filter(|_| placeholder != b":number");
        let stem = suffix.and_then(|suffix| segment.strip_suffix(suffix)).and_then(|stem| detectors.of(stem));
        return match (stem, suffix) {
            (Some(stem), Some(suffix)) => out.extend_from_slice(&[stem, suffix].concat()),
            _ => out.extend_from_slice(placeholder),
        };
    }
    let stem = suffix(segment).and_then(|suffix| Some((segment.strip_suffix(suffix)?, suffix)));
    match stem.and_then(|(stem, suffix)| Some((detectors.of(stem)?, suffix))) {
        Some((placeholder, suffix)) => out.extend_from_slice(&[placeholder, suffix].concat()),
        None => out.extend_from_slice(segment),
    }
}

/// `.png` of `7.png`: a dot, a letter and at most four more letters or digits, of which two are digits at most, so that
/// it makes no id of its placeholder. What is no word at all has none: `.net` of `ann@example.net` is no kind of file.
fn suffix(segment: &[u8]) -> Option<&[u8]> {
    let suffix = segment.get(memchr::memrchr(b'.', segment)?..)?;
    let is_one = matches!(suffix, [_, first, rest @ ..] if first.is_ascii_alphabetic() && rest.len() <= 4
        && rest.iter().all(u8::is_ascii_alphanumeric) && rest.iter().filter(|byte| byte.is_ascii_digit()).count() <= 2);
    (is_one && !segment.iter().any(|byte| is_strange(*byte))).then_some(suffix)
}

/// True for what stands in no word.
const fn is_strange(byte: u8) -> bool {
    !byte.is_ascii_graphic() || byte == b'@' || byte == b'%'
}

/// The first segment, and what is behind it.
fn split(path: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'/', path) {
        Some(slash) => (path.get(..slash).unwrap_or_default(), path.get(slash + 1..)),
        None => (path, None),
    }
}

impl Node {
    fn add(&mut self, pattern: &str, index: usize, all: &[String]) -> Result<(), (usize, String)> {
        if !pattern.starts_with('/') {
            return Err((0, "a pattern begins with `/`".to_owned()));
        }
        if let Some(at) = pattern.find(['?', '#', ';']) {
            return Err((at, "what stands behind the path, from `?`, `#` or `;` on, is never looked at".to_owned()));
        }
        let inside = pattern.strip_prefix('/').unwrap_or_default();
        let inside = inside.strip_suffix('/').unwrap_or(inside);
        let (mut node, mut offset) = (self, 1);
        let mut segments = inside.split('/').filter(|_| !inside.is_empty()).peekable();
        while let Some(segment) = segments.next() {
            let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            match segment.strip_prefix(':') {
                Some("") => return Err((offset, "a `:` needs a name, as in `/users/:id`".to_owned())),
                Some(name) if !is_name(name) => {
                    return Err((
                        offset,
                        "`:` stands for a whole segment; its name has letters, digits and `_`".to_owned(),
                    ));
                }
                Some(_) => node = node.any.get_or_insert_with(Box::default),
                None if segment.is_empty() => return Err((offset, "a segment is empty".to_owned())),
                None if segment == "*" && segments.peek().is_none() => return claim(&mut node.rest, index, all),
                None if segment.contains('*') => {
                    return Err((
                        offset,
                        "`*` stands alone, and at the end; `:name` stands for one segment".to_owned(),
                    ));
                }
                None => node = node.words.entry(segment.as_bytes().into()).or_default(),
            }
            offset += segment.len() + 1;
        }
        claim(&mut node.end, index, all)
    }

    /// The pattern of a path, from the root: a slash at its end changes nothing.
    fn lead(&self, path: &[u8]) -> Option<usize> {
        let inside = path.strip_prefix(b"/")?;
        let inside = inside.strip_suffix(b"/").unwrap_or(inside);
        self.find((!inside.is_empty()).then_some(inside))
    }

    /// The pattern of a path from here on. No node is looked at twice, since there is one way to each.
    fn find(&self, path: Option<&[u8]>) -> Option<usize> {
        let Some(path) = path else { return self.end.or(self.rest) };
        let (segment, rest) = split(path);
        let by_word = self.words.get(segment).and_then(|node| node.find(rest));
        let any = self.any.as_ref().filter(|_| by_word.is_none() && !segment.is_empty());
        by_word.or_else(|| any.and_then(|node| node.find(rest))).or(self.rest)
    }
}

/// A pattern ends at a place where no other does.
fn claim(place: &mut Option<usize>, index: usize, all: &[String]) -> Result<(), (usize, String)> {
    match *place {
        Some(other) => {
            Err((0, format!("it fits the same paths as `{}`", all.get(other).map(String::as_str).unwrap_or_default())))
        }
        None => {
            *place = Some(index);
            Ok(())
        }
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        (self.patterns(), self.detectors()) == (other.patterns(), other.detectors())
    }
}

impl Eq for Template {}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.patterns(), self.detectors().names())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn template(patterns: &[&str], detectors: Detectors) -> Template {
        Template::new(patterns.iter().map(|pattern| (*pattern).to_owned()).collect(), detectors).expect("patterns")
    }

    fn shown(template: &Template, path: &str) -> Option<String> {
        let mut out = Vec::new();
        template.apply(path.as_bytes(), &mut out).then(|| String::from_utf8(out).expect("text"))
    }

    #[test]
    fn paths_fit_the_most_particular_pattern() {
        let patterns = ["/", "/users/:id", "/users/me", "/users/:id/posts/:post", "/static/*", "/:a/new/x", "/a/:b/y/"];
        let template = template(&patterns, Detectors::default());
        let cases = [
            ("/", Some("/")),
            ("/?q", Some("/")),
            ("/users/7", Some("/users/:id")),
            ("/users/7/", Some("/users/:id")),
            ("/users/7?a=/b", Some("/users/:id")),
            ("/users/7;v=1/x", Some("/users/:id")),
            ("/users/me", Some("/users/me")),
            ("/users/me/posts/1", Some("/users/:id/posts/:post")),
            ("/users", None),
            ("/users/", None),
            ("/users//posts/1", None),
            ("/users/7/posts", None),
            ("/static", Some("/static/*")),
            ("/static/", Some("/static/*")),
            ("/static/a/b//c", Some("/static/*")),
            ("/statics", None),
            ("/users/new/x", Some("/:a/new/x")),
            ("/a/new/x", Some("/:a/new/x")),
            ("/a/new/y", Some("/a/:b/y/")),
            ("users/7", None),
            ("//", Some("/")),
            ("/static//", Some("/static/*")),
            ("/users/7//", None),
            ("*", None),
        ];
        for (path, pattern) in cases {
            assert_eq!(shown(&template, path).as_deref(), pattern, "{path}");
        }
        assert!(template.may_show(b"/users/:id") && template.may_show(b"/static/*") && !template.may_show(b"/users/7"));
    }

    #[test]
    fn ids_are_detected() {
        let template = template(&["/users/:id"], Detectors::ALL);
        let cases = [
            ("/users/7", "/users/:id"),
            ("/orders/7", "/orders/:number"),
            ("/2026/11/21/news-of-the-day", "/:number/:number/:number/news-of-the-day"),
            ("/2026-11-21/x", "/:number/x"),
            ("/img/12345.png", "/img/:number.png"),
            ("/img/1.2.3", "/img/:number"),
            ("/api/v2/iphone15/utf-8/mp3", "/api/v2/iphone15/utf-8/mp3"),
            ("/f/3fa85f64-5717-4562-b3fc-2c963f66afa6.json", "/f/:uuid.json"),
            ("/c/9f86d08", "/c/9f86d08"),
            ("/c/9f86d081", "/c/:hash"),
            ("/c/9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08", "/c/:hash"),
            ("/c/facade/decade/deadbeef", "/c/facade/decade/deadbeef"),
            ("/pay/cus_4fdAW5ftNQow1a", "/pay/:id"),
            ("/u/ann@example.net", "/u/:id"),
            ("/s/two%20words", "/s/:id"),
            ("/s/größe", "/s/:id"),
            ("/wp-content/plugins/jquery-3.7.1.min.js", "/wp-content/plugins/:id.js"),
            ("/", "/"),
            ("*", "*"),
            ("/a//b/", "/a//b/"),
            ("/1/2?x", "/:number/:number"),
        ];
        for (path, pattern) in cases {
            assert_eq!(shown(&template, path).as_deref(), Some(pattern), "{path}");
        }
        let deep = "/a".repeat(30);
        assert_eq!(shown(&template, &deep), Some(format!("{}/*", "/a".repeat(MAX_SEGMENTS))));
        assert!(template.may_show(b"/orders/:number") && !template.may_show(b"/orders/7"));
    }

    #[test]
    fn one_detector_asks_for_one_thing() {
        for (at, name) in Detectors::NAMES.into_iter().enumerate() {
            let mut detectors = Detectors::default();
            assert!(detectors.add(name) && detectors.names() == [name]);
            let path = "/12/3fa85f64-5717-4562-b3fc-2c963f66afa6/9f86d081/a%20b";
            let shown = shown(&template(&[], detectors), path).expect("a path");
            let segments = shown.split('/').skip(1).map(|segment| segment.starts_with(':')).collect::<Vec<_>>();
            assert!(segments[at], "{shown}");
        }
        assert!(!Detectors::default().add("numbers"));
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let mistake = |patterns: &[&str]| {
            let patterns = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
            let PatternMistake { pattern, offset, message } =
                Template::new(patterns, Detectors::default()).expect_err("a mistake");
            (pattern, offset, message)
        };
        assert_eq!(mistake(&["/a", "b"]), (1, 0, "a pattern begins with `/`".into()));
        assert_eq!(mistake(&["/a/:"]), (0, 3, "a `:` needs a name, as in `/users/:id`".into()));
        assert_eq!(mistake(&["/a/:x", "/a/:y/"]), (1, 0, "it fits the same paths as `/a/:x`".into()));
        assert_eq!(mistake(&["/*", "/*"]), (1, 0, "it fits the same paths as `/*`".into()));
        assert_eq!((mistake(&["/a//b"]).1, mistake(&["/a/*/b"]).1, mistake(&["/a/:x.png"]).1), (3, 3, 3));
        assert_eq!(mistake(&["/a?b"]).1, 2);
    }

    proptest! {
        /// What is shown once is shown again as it is, and one shape of path has one text.
        #[test]
        fn detection_changes_nothing_twice(
            segments in proptest::collection::vec("[a-z0-9@:.%_é-]{0,45}|[0-9a-f]{6,10}", 0..20)
        ) {
            let template = template(&["/users/:id", "/x/*"], Detectors::ALL);
            let path = format!("/{}", segments.join("/"));
            let once = shown(&template, &path).expect("a path");
            prop_assert!(template.may_show(once.as_bytes()), "{} -> {}", path, once);
        }

        /// The tree finds what trying all patterns finds.
        #[test]
        fn some_pattern_fits_whenever_one_does(
            patterns in proptest::collection::btree_set("(/(a|b|:x)){1,4}(/[*])?", 1..6),
            path in "(/(a|b|c)){1,5}"
        ) {
            let patterns = patterns.iter().map(String::as_str).collect::<Vec<_>>();
            let template = template(&patterns, Detectors::default());
            let fits = |pattern: &str| {
                let (mut segments, mut path) = (pattern.split('/').skip(1), path.split('/').skip(1));
                loop {
                    match (segments.next(), path.next()) {
                        (Some("*"), _) | (None, None) => return true,
                        (Some(":x"), Some(_)) => {}
                        (Some(word), Some(segment)) if word == segment => {}
                        _ => return false,
                    }
                }
            };
            match shown(&template, &path) {
                Some(pattern) => prop_assert!(fits(&pattern), "{} does not fit {}", path, pattern),
                None => prop_assert!(!patterns.iter().any(|pattern| fits(pattern)), "{} of {:?}", path, patterns),
            }
        }
    }
}
