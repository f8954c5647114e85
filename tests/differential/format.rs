//! A random log-format, and what stands behind it in the same line: each of its items once more, alone. HAProxy writes
//! all of a line at one moment, so what it says there is the truth about every item.

use crate::catalogue::{CAPTURES, CLIENT_ADDRESSES, Mode, aliases};

use crate::random::Random;
use crate::{cbor, json};

/// Stands between the truths. No client of the test sends it, and no expression makes it.
const SENTINEL: u8 = 1;

/// The last of the truths: a line that lacks it was cut.
const END: &str = "end";

/// Literals, with those that make formats ambiguous. Spaces are drawn apart from them.
const LITERALS: &[&str] = &[
    "|",
    ",",
    ";",
    "/",
    ":",
    "-",
    "+",
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    "\"",
    "#",
    "=",
    "~",
    "<",
    ">",
    "\\",
    "\t",
    "%%",
    "%%%%",
    "\" \"",
    " - ",
    "} {",
    "]: ",
    "|{",
    ", \"",
    "=é",
    "§",
    "#22",
    " k=",
    ";id=",
    " \"v\":\"",
    " HTTP/",
    "_x_",
    "?",
];

/// What stands in an object besides: the format's number, the frontend's count of lines, and how it ended.
const NUMBER: &str = "differential-number";
const COUNT: &str = "differential-count";
const STATE: &str = "differential-state";

/// Types that an item can be asked to have.
const CASTS: &[&str] = &["str", "sint", "bool"];

/// Flags that HAProxy 2.6 knows, each with where it stands in `Options`.
const FLAGS: &[char] = &['Q', 'M', 'X', 'E'];

/// Most items of a format.
const MOST_ITEMS: usize = 14;

/// What the program under test may be asked to read.
#[derive(Clone, Debug)]
pub(crate) struct Format {
    pub(crate) mode: Mode,
    /// `%{+json}o` or `%{+cbor}o` at the beginning: a line is an object of the named items, and nothing else.
    encoding: Option<&'static str>,
    nodes: Vec<Node>,
}

#[derive(Clone, Debug)]
enum Node {
    Space,
    /// Without spaces, as in the format: `%%` is two characters.
    Text(String),
    /// `%{+Q}o`: flags for all that follows.
    Defaults(String),
    Item(Item),
}

/// `%ci`, `%{+Q}r`, `%(name)[expression]`.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// `ci`, or `[src]`.
    pub(crate) what: String,
    /// `%(name)`: since 3.0.
    pub(crate) name: Option<String>,
    /// `%(name:type)`: of consequence for encodings only.
    cast: Option<&'static str>,
    /// The flags as written, without braces.
    flags: String,
    /// What they mean together with the defaults before them.
    options: Options,
}

/// Flags in force, in the order of [`FLAGS`], and the encoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Options {
    letters: [bool; 4],
    encoding: Option<&'static str>,
}

/// How an item can be encoded, since 3.0.
const ENCODINGS: &[&str] = &["json", "cbor"];

impl Options {
    /// What a log-format begins with: `+M`.
    const FIRST: Self = Self { letters: [false, true, false, false], encoding: None };

    fn after(mut self, flags: &str) -> Self {
        for flag in flags.split(',').map(str::trim).filter(|flag| !flag.is_empty()) {
            let (sign, letter) = flag.split_at(1);
            match FLAGS.iter().position(|known| letter.chars().eq([*known])) {
                Some(place) => self.letters[place] = sign == "+",
                None => {
                    // The first one stays until it is taken back.
                    let named = ENCODINGS.iter().copied().find(|encoding| *encoding == letter);
                    match (sign, self.encoding) {
                        ("+", None) => self.encoding = named,
                        ("-", now) if now == named => self.encoding = None,
                        _ => {}
                    }
                }
            }
        }
        self
    }

    fn flags(self) -> String {
        let letters = FLAGS.iter().zip(self.letters);
        let mut flags = letters.map(|(flag, on)| format!("{}{flag}", if on { '+' } else { '-' })).collect::<Vec<_>>();
        flags.extend(self.encoding.map(|encoding| format!("+{encoding}")));
        flags.join(",")
    }
}

impl Item {
    /// How its value is encoded.
    pub(crate) const fn encoding(&self) -> Option<&'static str> {
        self.options.encoding
    }

    fn with(&self, options: Options) -> String {
        format!("%{}{{{}}}{}", self.parenthesis(), options.flags(), self.what)
    }

    fn text(&self) -> String {
        let flags = if self.flags.is_empty() { String::new() } else { format!("{{{}}}", self.flags) };
        format!("%{}{flags}{}", self.parenthesis(), self.what)
    }

    fn parenthesis(&self) -> String {
        let cast = self.cast.map(|cast| format!(":{cast}")).unwrap_or_default();
        self.name.as_ref().map(|name| format!("({name}{cast})")).unwrap_or_default()
    }
}

/// What HAProxy said of an item in the same line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Truth {
    /// With the flags that it has in the format.
    pub(crate) written: Vec<u8>,
    /// Without any flag: not quoted, not escaped; empty when there is none.
    pub(crate) plain: Vec<u8>,
}

/// What this HAProxy accepts.
pub(crate) struct Dialect {
    /// Major and minor version.
    pub(crate) version: (u32, u32),
    pub(crate) expressions: Vec<(Mode, &'static str)>,
}

impl Dialect {
    pub(crate) fn has_names(&self) -> bool {
        self.version >= (3, 0)
    }
}

impl Format {
    pub(crate) fn random(random: &mut Random, dialect: &Dialect, mode: Mode) -> Self {
        let aliases = aliases(mode, dialect.version);
        let expressions = dialect.expressions.iter().filter(|(of, _)| *of == mode).map(|(_, text)| *text);
        let expressions = expressions.collect::<Vec<_>>();
        let mut nodes = Vec::new();
        let mut defaults = Options::FIRST;
        let has_names = dialect.has_names();
        let encoding = (has_names && random.one_in(5)).then(|| *random.pick(ENCODINGS));
        let is_object = encoding.is_some();
        if let Some(encoding) = encoding {
            let flags = format!("+{encoding}");
            defaults = defaults.after(&flags);
            nodes.push(Node::Defaults(flags));
        }
        // Most formats use few delimiters, as people do; some any.
        let habit = [" ", " ", *random.pick(LITERALS), *random.pick(LITERALS)];
        let is_wild = random.one_in(4);
        if random.one_in(4) {
            literal(random.pick::<&str>(LITERALS), &mut nodes);
        }
        for count in 0..=random.below(MOST_ITEMS) {
            if !is_object && random.one_in(if count == 0 { 4 } else { 30 }) {
                let flags = flags(random, false);
                defaults = defaults.after(&flags);
                nodes.push(Node::Defaults(flags));
                separate(random, is_wild, &habit, &mut nodes);
            }
            let what = match random.one_in(3) {
                true => format!("[{}]", random.pick(&expressions)),
                false => (*random.pick(&aliases)).to_owned(),
            };
            let flags = if random.one_in(3) { flags(random, has_names && !is_object) } else { String::new() };
            let is_named = if is_object { !random.one_in(6) } else { has_names && random.one_in(6) };
            let name = is_named.then(|| format!("name_{count}"));
            let cast = (is_named && random.one_in(4)).then(|| *random.pick(CASTS));
            let options = defaults.after(&flags);
            nodes.push(Node::Item(Item { what, name, cast, flags, options }));
            separate(random, is_wild, &habit, &mut nodes);
        }
        Self { mode, encoding, nodes }
    }

    /// True when a line is an object, of JSON or CBOR.
    pub(crate) const fn is_object(&self) -> bool {
        self.encoding.is_some()
    }

    /// The log-format string.
    pub(crate) fn text(&self) -> String {
        let texts = self.nodes.iter().map(|node| match node {
            Node::Space => " ".to_owned(),
            Node::Text(text) => text.clone(),
            Node::Defaults(flags) => format!("%{{{flags}}}o"),
            Node::Item(item) => item.text(),
        });
        texts.collect()
    }

    /// The items that have a place in a line.
    pub(crate) fn items(&self) -> impl Iterator<Item = &Item> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Item(item) if !self.is_object() || item.name.is_some() => Some(item),
            _ => None,
        })
    }

    /// The log-format string, and behind it a number by which its lines are known, the frontend's count of lines, how
    /// it ended, and every item alone.
    pub(crate) fn with_truth(&self, number: usize) -> String {
        if self.is_object() {
            return format!("{} %({NUMBER})[int({number})] %({COUNT})lc %({STATE})ts", self.text());
        }
        let sentinel = char::from(SENTINEL);
        let reset = Options::default().flags();
        let mut text = format!("{}{sentinel}{number}:%{{{reset}}}o%lc:%ts", self.text());
        for item in self.items() {
            text += &format!("{sentinel}{}{sentinel}{}", item.with(item.options), item.with(Options::default()));
        }
        format!("{text}{sentinel}{END}")
    }

    /// True when HAProxy could not end a line from a client without an IP address.
    pub(crate) fn needs_addresses(&self) -> bool {
        let hexadecimal = FLAGS.iter().position(|flag| *flag == 'X').unwrap();
        self.items().any(|item| item.options.letters[hexadecimal] && CLIENT_ADDRESSES.contains(&item.what.as_str()))
    }

    /// What HAProxy writes for a format whose lines are no objects, given what it writes for each item.
    pub(crate) fn line(&self, truths: &[Truth], version: (u32, u32)) -> Vec<u8> {
        let mut line = Vec::new();
        let mut truths = truths.iter();
        // A space is not written twice, nor first.
        let mut is_after_space = true;
        for node in &self.nodes {
            match node {
                Node::Space if is_after_space => {}
                Node::Space => {
                    line.push(b' ');
                    is_after_space = true;
                }
                Node::Text(text) => {
                    line.extend_from_slice(text.replace("%%", "%").as_bytes());
                    is_after_space = false;
                }
                Node::Defaults(_) => {}
                Node::Item(item) => {
                    let written = &truths.next().unwrap().written;
                    line.extend_from_slice(written);
                    // An item that writes nothing leaves the space before it the last thing written: some of them
                    // in 2.6, since 3.0 all but expressions.
                    let is_alias = !item.what.starts_with('[');
                    let counts = if version >= (3, 0) { !is_alias } else { !CAPTURES.contains(&item.what.as_str()) };
                    if counts || !written.is_empty() {
                        is_after_space = false;
                    }
                }
            }
        }
        line
    }
}

/// A line cut at its sentinels.
pub(crate) struct Cut<'a> {
    /// What the format made.
    pub(crate) left: &'a [u8],
    /// Which format that was.
    pub(crate) number: usize,
    /// How many lines its frontend had written before.
    pub(crate) count: u64,
    /// How it ended: `%ts`.
    pub(crate) state: String,
    /// What is true, for each item.
    pub(crate) truths: Vec<Truth>,
}

/// Cuts a line; `None` when it is not one of a format with truth, or not whole.
pub(crate) fn cut(line: &[u8]) -> Option<Cut<'_>> {
    let parts = line.split(|byte| *byte == SENTINEL).collect::<Vec<_>>();
    let [left, numbers, truths @ .., end] = parts.as_slice() else { return None };
    if *end != END.as_bytes() || truths.len() % 2 != 0 {
        return None;
    }
    let mut numbers = str::from_utf8(numbers).ok()?.split(':');
    let [number, count, state] = [numbers.next()?, numbers.next()?, numbers.next()?];
    let truths = truths.chunks_exact(2);
    let truths = truths.map(|pair| Truth { written: pair[0].to_vec(), plain: pair[1].to_vec() });
    let (number, count) = (number.parse().ok()?, count.parse().ok()?);
    Some(Cut { left, number, count, state: state.to_owned(), truths: truths.collect() })
}

/// Takes a line of JSON or CBOR. An object that is none, or that lacks a named item, is `None`.
pub(crate) fn cut_object<'a>(line: &'a [u8], formats: &[Format]) -> Option<Cut<'a>> {
    let mut object = if line.starts_with(b"{") { json::object(line)? } else { cbor::object(line)? };
    let mut number = |name| String::from_utf8(object.remove(name)?.plain).ok();
    let (count, state) = (number(COUNT)?.parse().ok()?, number(STATE)?);
    let number: usize = number(NUMBER)?.parse().ok()?;
    let truths = formats.get(number)?.items().map(|item| object.remove(item.name.as_ref()?));
    let truths = truths.collect::<Option<Vec<_>>>()?;
    object.is_empty().then_some(Cut { left: line, number, count, state, truths })
}

fn flags(random: &mut Random, has_encodings: bool) -> String {
    let count = 1 + random.below(2);
    let flags = (0..count).map(|_| {
        let sign = if random.one_in(4) { '-' } else { '+' };
        if has_encodings && random.one_in(6) {
            format!("{sign}{}", random.pick(ENCODINGS))
        } else {
            format!("{sign}{}", random.pick(FLAGS))
        }
    });
    let flags = flags.collect::<Vec<_>>();
    flags.join(if random.one_in(8) { ", " } else { "," })
}

/// What stands between two items: rarely nothing.
fn separate(random: &mut Random, is_wild: bool, habit: &[&str], nodes: &mut Vec<Node>) {
    match random.below(20) {
        0 if is_wild => {}
        1 => nodes.extend([Node::Space, Node::Space]),
        2 => literal(random.pick::<&str>(LITERALS), nodes),
        _ if is_wild => literal(random.pick::<&str>(LITERALS), nodes),
        _ => literal(random.pick::<&str>(habit), nodes),
    }
}

fn literal(text: &str, nodes: &mut Vec<Node>) {
    for (count, piece) in text.split(' ').enumerate() {
        if count > 0 {
            nodes.push(Node::Space);
        }
        if !piece.is_empty() {
            nodes.push(Node::Text(piece.to_owned()));
        }
    }
}
