//! Regular expressions over lines: what a pattern captures, and the machine that finds it.
//!
//! Patterns mean bytes: `\d`, `\w` and `.` are those of ASCII and of any byte. Groups that nobody asks for capture nothing, which is what lets most
//! patterns become a *one-pass* DFA: at each byte there is one way to go on, so one step a byte finds where all groups begin and end.
//! What does not qualify is left to the general engine, which tries several ways at a time.

use std::collections::BTreeMap;

use memchr::memmem::Finder;
use regex_automata::dfa::onepass;
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::{Anchored, Input, meta};
use regex_syntax::ParserBuilder;
use regex_syntax::ast::{self, Ast};
use regex_syntax::hir::{Capture, Class, Hir, HirKind, Look, Repetition};

/// Largest machine of a pattern, in bytes.
const MACHINE_BYTES: usize = 1 << 20;

/// Texts that a group may capture and still be a label by itself.
pub(super) const FEW: u64 = 1000;

/// Shortest literal that is searched for before a pattern is tried, in bytes.
const LITERAL_BYTES: usize = 3;

/// What is wrong with a pattern, and at which of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Offset in the pattern.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
}

/// A pattern that has been read.
#[derive(Clone, Debug)]
pub struct Parsed {
    hir: Hir,
    /// Names of its groups, in their order, and how many texts each may capture; `None` for many.
    pub groups: Vec<(String, Option<u64>)>,
}

/// What finds a pattern's groups in a text.
#[derive(Debug)]
pub(super) struct Pattern {
    machine: Machine,
    /// By group: the number of its field.
    pub(super) fields: Vec<usize>,
    /// Stands in every text that fits.
    literal: Option<Finder<'static>>,
}

#[derive(Debug)]
enum Machine {
    OnePass(Box<onepass::DFA>),
    General(Box<meta::Regex>),
}

/// What a machine needs while it runs; used again for every line.
#[derive(Debug)]
pub(super) enum Cache {
    OnePass(Box<onepass::Cache>),
    General(Box<meta::Cache>),
}

/// Places of groups: of the whole first, then of each group its beginning and its end.
pub(super) type Slots = Vec<Option<NonMaxUsize>>;

impl Parsed {
    /// Reads `text`.
    ///
    /// # Errors
    /// It is no regular expression, or one of its groups has a name that no field can have.
    pub fn of(text: &str) -> Result<Self, Mistake> {
        let hir =
            ParserBuilder::new().unicode(false).utf8(false).build().parse(text).map_err(|error| mistake(&error))?;
        let mut groups = Vec::new();
        visit(&hir, &mut |capture| {
            if let Some(name) = &capture.name {
                groups.push((name.to_string(), choices(&capture.sub)));
            }
        });
        if let Some((name, _)) = groups.iter().find(|(name, _)| !super::is_name(name)) {
            let offset = text.find(&format!("<{name}>")).map_or(0, |at| at + 1);
            let message = format!("a group's name is made of letters, digits and `_`, not `{name}`");
            return Err(Mistake { offset, message });
        }
        let parsed = Self { hir, groups };
        // Too large for any machine?
        parsed.general(&|_| None).map_err(|message| Mistake { offset: 0, message })?;
        Ok(parsed)
    }

    /// The whole pattern, as a text that has to be fitted from its first byte to its last; how many such texts there are.
    pub fn choices(&self) -> Option<u64> {
        choices(&self.hir)
    }

    /// A machine for the groups for which `field` has a number.
    pub(super) fn pattern(&self, field: &dyn Fn(&str) -> Option<usize>, is_alone: bool) -> Result<Pattern, String> {
        let (kept, fields) = self.keeping(field);
        let machine = match one_pass(&kept) {
            Ok(machine) => Machine::OnePass(Box::new(machine)),
            Err(_) => Machine::General(Box::new(self.general(field)?)),
        };
        // A pattern that begins with its text and is the only one finds out by itself as soon.
        let is_sought = !is_alone || matches!(machine, Machine::General(_));
        let literal = literal(&kept).filter(|literal| is_sought && literal.len() >= LITERAL_BYTES);
        Ok(Pattern { machine, fields, literal: literal.map(|literal| Finder::new(&literal).into_owned()) })
    }

    fn general(&self, field: &dyn Fn(&str) -> Option<usize>) -> Result<meta::Regex, String> {
        let config = meta::Config::new().utf8_empty(false).nfa_size_limit(Some(10 * MACHINE_BYTES));
        let built = meta::Builder::new().configure(config).build_from_hir(&self.keeping(field).0);
        built.map_err(|_| "the pattern is too large".to_owned())
    }

    /// The same with the groups that have a field, and their fields.
    fn keeping(&self, field: &dyn Fn(&str) -> Option<usize>) -> (Hir, Vec<usize>) {
        let mut fields = Vec::new();
        (keep(&self.hir, field, &mut fields), fields)
    }

    /// True when the pattern is tried at the beginning of a line alone.
    pub(super) fn is_anchored(&self) -> bool {
        self.hir.properties().look_set_prefix().contains(Look::Start)
    }
}

/// `hir` with the groups that have a field; the others capture nothing.
fn keep(hir: &Hir, field: &dyn Fn(&str) -> Option<usize>, fields: &mut Vec<usize>) -> Hir {
    match hir.kind() {
        HirKind::Capture(capture) => match capture.name.as_deref().and_then(|name| Some((name, field(name)?))) {
            None => keep(&capture.sub, field, fields),
            Some((name, number)) => {
                fields.push(number);
                let index = fields.len() as u32;
                let sub = Box::new(keep(&capture.sub, field, fields));
                Hir::capture(Capture { index, name: Some(name.into()), sub })
            }
        },
        HirKind::Repetition(repetition) => {
            let sub = Box::new(keep(&repetition.sub, field, fields));
            Hir::repetition(Repetition { sub, ..repetition.clone() })
        }
        HirKind::Concat(all) => Hir::concat(all.iter().map(|sub| keep(sub, field, fields)).collect()),
        HirKind::Alternation(all) => Hir::alternation(all.iter().map(|sub| keep(sub, field, fields)).collect()),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => hir.clone(),
    }
}

fn visit(hir: &Hir, see: &mut dyn FnMut(&Capture)) {
    match hir.kind() {
        HirKind::Capture(capture) => {
            see(capture);
            visit(&capture.sub, see);
        }
        HirKind::Repetition(repetition) => visit(&repetition.sub, see),
        HirKind::Concat(all) | HirKind::Alternation(all) => all.iter().for_each(|sub| visit(sub, see)),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => {}
    }
}

/// How many texts `hir` fits; `None` for more than [`FEW`].
fn choices(hir: &Hir) -> Option<u64> {
    let number = match hir.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Literal(_) => 1,
        HirKind::Class(Class::Bytes(class)) => class.iter().map(|range| range.len() as u64).sum(),
        HirKind::Class(Class::Unicode(class)) => class.iter().map(|range| range.len() as u64).sum(),
        HirKind::Capture(capture) => choices(&capture.sub)?,
        HirKind::Repetition(repetition) => {
            let one = choices(&repetition.sub)?;
            let max = repetition.max.filter(|max| u64::from(*max) <= FEW)?;
            let powers = (repetition.min..=max).map(|times| one.checked_pow(times).filter(|power| *power <= FEW));
            powers.sum::<Option<u64>>()?
        }
        HirKind::Concat(all) => all.iter().try_fold(1_u64, |product, sub| product.checked_mul(choices(sub)?))?,
        HirKind::Alternation(all) => all.iter().map(choices).sum::<Option<u64>>()?,
    };
    Some(number).filter(|number| *number <= FEW)
}

/// The longest literal that stands in every text that fits.
fn literal(hir: &Hir) -> Option<Vec<u8>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(literal.0.to_vec()),
        HirKind::Capture(capture) => literal(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => literal(&repetition.sub),
        HirKind::Concat(all) => all.iter().filter_map(literal).max_by_key(Vec::len),
        _ => None,
    }
}

fn one_pass(hir: &Hir) -> Result<onepass::DFA, String> {
    let config = thompson::Config::new().utf8(false).which_captures(WhichCaptures::All);
    let config = config.nfa_size_limit(Some(10 * MACHINE_BYTES));
    let nfa = thompson::Compiler::new().configure(config).build_from_hir(hir).map_err(|error| error.to_string())?;
    if !hir.properties().look_set_prefix().contains(Look::Start) {
        return Err("it does not begin with `^`, so that each byte of a line may be its first".to_owned());
    }
    let config = onepass::Config::new().size_limit(Some(MACHINE_BYTES));
    onepass::Builder::new().configure(config).build_from_nfa(nfa).map_err(|error| error.to_string())
}

/// Why `text`, of which the groups for which `is_asked` is true capture, is no one-pass pattern, if it is none.
pub fn why_not_one_pass(text: &str, is_asked: &dyn Fn(&str) -> bool) -> Option<String> {
    let parsed = Parsed::of(text).ok()?;
    let field = |name: &str| is_asked(name).then_some(0);
    let why = one_pass(&parsed.keeping(&field).0).err()?;
    if !parsed.is_anchored() {
        return Some(why);
    }
    let asked = parsed.groups.iter().filter(|(name, _)| is_asked(name)).count();
    if asked > 16 {
        return Some(format!("metrics need {asked} of its groups; 16 can be found in one pass"));
    }
    // The first item of the pattern with which it stops being one.
    let syntax = ast::parse::Parser::new().parse(text).ok()?;
    let Ast::Concat(concat) = &syntax else { return Some(why) };
    let is_one_pass = |end: usize| {
        let before = text.get(..end).and_then(|before| Parsed::of(before).ok());
        before.is_some_and(|before| !before.is_anchored() || one_pass(&before.keeping(&field).0).is_ok())
    };
    let ends = concat.asts.iter().map(|item| item.span()).collect::<Vec<_>>();
    let culprit = ends.iter().position(|span| !is_one_pass(span.end.offset))?;
    let shown = |at: usize| ends.get(at).and_then(|span| text.get(span.start.offset..span.end.offset));
    let column = ends.get(culprit).map_or(1, |span| span.start.column);
    Some(match (culprit.checked_sub(1).and_then(shown), shown(culprit)) {
        (Some(before), Some(here)) => format!(
            "after `{before}` it is not known at once whether `{here}` (column {column}) has begun; exclude what follows a group \
             from the group, as in `[^ ]*`"
        ),
        _ => why,
    })
}

impl Pattern {
    /// True for a one-pass DFA.
    pub(super) fn is_one_pass(&self) -> bool {
        matches!(self.machine, Machine::OnePass(_))
    }

    /// The literal that is searched for first.
    pub(super) fn literal(&self) -> Option<&[u8]> {
        self.literal.as_ref().map(|finder| finder.needle())
    }

    pub(super) fn cache(&self) -> Cache {
        match &self.machine {
            Machine::OnePass(machine) => Cache::OnePass(Box::new(machine.create_cache())),
            Machine::General(machine) => Cache::General(Box::new(machine.create_cache())),
        }
    }

    /// Room for the places of its groups.
    pub(super) fn slots(&self) -> usize {
        2 + 2 * self.fields.len()
    }

    /// True when `text` fits; then `slots` has the places of the groups.
    #[inline]
    pub(super) fn find(&self, text: &[u8], cache: &mut Cache, slots: &mut Slots) -> bool {
        if self.literal.as_ref().is_some_and(|literal| literal.find(text).is_none()) {
            return false;
        }
        let Some(slots) = slots.get_mut(..self.slots()) else { return false };
        match (&self.machine, cache) {
            (Machine::OnePass(machine), Cache::OnePass(cache)) => {
                let input = Input::new(text).anchored(Anchored::Yes);
                machine.try_search_slots(cache, &input, slots).is_ok_and(|found| found.is_some())
            }
            (Machine::General(machine), Cache::General(cache)) => {
                machine.search_slots_with(cache, &Input::new(text), slots).is_some()
            }
            _ => false,
        }
    }
}

/// A condition for a text.
#[derive(Clone, Debug)]
pub struct Matcher(Kind);

#[derive(Clone, Debug)]
enum Kind {
    /// One of few texts.
    OneOf(Vec<Box<[u8]>>),
    StartsWith(Box<[u8]>),
    Search(meta::Regex),
}

impl Matcher {
    /// Reads a regular expression, which is searched for.
    ///
    /// # Errors
    /// It is none.
    pub fn of(text: &str) -> Result<Self, Mistake> {
        let parsed = Parsed::of(text)?;
        if let Some(kind) = plain(&parsed.hir) {
            return Ok(Self(kind));
        }
        parsed
            .general(&|_| None)
            .map(|regex| Self(Kind::Search(regex)))
            .map_err(|message| Mistake { offset: 0, message })
    }

    /// The same of one that has to be fitted from the first byte to the last.
    ///
    /// # Errors
    /// It is none.
    pub fn of_whole(text: &str) -> Result<Self, Mistake> {
        Parsed::of(text)?;
        Self::of(&format!(r"\A(?:{text})\z")).map_err(|mistake| Mistake { offset: 0, ..mistake })
    }

    /// True when `text` fits.
    #[inline]
    pub fn fits(&self, text: &[u8]) -> bool {
        match &self.0 {
            Kind::OneOf(texts) => texts.iter().any(|known| **known == *text),
            Kind::StartsWith(prefix) => text.starts_with(prefix),
            Kind::Search(regex) => regex.is_match(text),
        }
    }
}

/// What needs no machine: `^5`, `^GET$`, `^(GET|HEAD)$`.
fn plain(hir: &Hir) -> Option<Kind> {
    let HirKind::Concat(all) = hir.kind() else { return None };
    let is_look = |hir: &Hir, look: Look| matches!(hir.kind(), HirKind::Look(found) if *found == look);
    let [start, text, rest @ ..] = all.as_slice() else { return None };
    if !is_look(start, Look::Start) {
        return None;
    }
    match rest {
        [] => match text.kind() {
            HirKind::Literal(literal) => Some(Kind::StartsWith(literal.0.clone())),
            _ => None,
        },
        [end] if is_look(end, Look::End) => texts(text).map(Kind::OneOf),
        _ => None,
    }
}

/// The few texts that `hir` fits, if they are written out.
fn texts(hir: &Hir) -> Option<Vec<Box<[u8]>>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(vec![literal.0.clone()]),
        HirKind::Capture(capture) => texts(&capture.sub),
        HirKind::Alternation(all) if all.len() <= 16 => {
            all.iter().map(texts).collect::<Option<Vec<_>>>().map(|all| all.concat())
        }
        _ => None,
    }
}

fn mistake(error: &regex_syntax::Error) -> Mistake {
    let (offset, message) = match error {
        regex_syntax::Error::Parse(error) => (error.span().start.offset, error.kind().to_string()),
        regex_syntax::Error::Translate(error) => (error.span().start.offset, error.kind().to_string()),
        error => (0, error.to_string()),
    };
    Mistake { offset, message: format!("bad regular expression: {message}") }
}

/// For each group of all `patterns`: how many texts it may capture in one of them.
pub(super) fn group_choices(patterns: &[Parsed]) -> BTreeMap<&str, Option<u64>> {
    let mut all = BTreeMap::new();
    for (name, choices) in patterns.iter().flat_map(|pattern| &pattern.groups) {
        let known = all.entry(name.as_str()).or_insert(Some(0));
        *known = known.zip(*choices).map(|(known, other): (u64, u64)| known.max(other));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_nobody_asks_for_capture_nothing() {
        let text = r"^(?P<a>[^ ]*) (?P<b>\d+) (x|y) (?P<c>.*)$";
        let parsed = Parsed::of(text).unwrap();
        let pattern = parsed.pattern(&|name| ["c", "a"].iter().position(|known| *known == name), true).unwrap();
        assert!(pattern.is_one_pass());
        assert_eq!((pattern.fields.as_slice(), pattern.slots()), (&[1, 0][..], 6));
        let (mut cache, mut slots) = (pattern.cache(), vec![None; 6]);
        assert!(pattern.find(b"one 2 y rest \xff", &mut cache, &mut slots));
        let places = slots.iter().map(|slot| slot.map(NonMaxUsize::get)).collect::<Vec<_>>();
        assert_eq!(places, [0, 14, 0, 3, 8, 14].map(Some));
        assert!(!pattern.find(b"one x y rest", &mut cache, &mut slots));
    }

    #[test]
    fn what_is_not_one_pass_is_found_all_the_same_and_explained() {
        for (text, line, words) in [
            (r"^(?P<a>.*) (?P<b>\d+)$", "x y 17", "after `(?P<a>.*)`"),
            (r"took (?P<b>\d+) ms", "it took 17 ms", "does not begin with `^`"),
        ] {
            let parsed = Parsed::of(text).unwrap();
            let pattern = parsed.pattern(&|name| (name == "b").then_some(3), true).unwrap();
            let why = why_not_one_pass(text, &|_| true).unwrap();
            assert!(why.contains(words), "{why}");
            let (mut cache, mut slots) = (pattern.cache(), vec![None; pattern.slots()]);
            assert!(pattern.find(line.as_bytes(), &mut cache, &mut slots));
            let at = slots[2].unwrap().get();
            assert_eq!(&line[at..at + 2], "17");
        }
        assert_eq!(why_not_one_pass(r"^(?P<a>[^ ]*) (?P<b>\d+)$", &|_| true), None);
        // Without the group that is in the way.
        assert!(why_not_one_pass(r"^(?P<b>\d+) (?P<a>a|ab)(c|bcd)", &|name| name == "b").is_some());
        let many = (0..17).fold("^".to_owned(), |text, group| format!("{text}(?P<g{group}>[^ ]*) "));
        assert!(why_not_one_pass(&many, &|_| true).unwrap().contains("17 of its groups"));
        assert_eq!(why_not_one_pass(&many, &|name| name != "g3"), None);
    }

    #[test]
    fn literals_come_before_machines() {
        let parsed = Parsed::of(r"^\d+ (?P<a>[a-z]+) (?P<b>accepted) for (?P<c>.*)").unwrap();
        let pattern = |is_alone| parsed.pattern(&|_| Some(0), is_alone).unwrap();
        assert_eq!(pattern(false).literal(), Some(&b"accepted"[..]));
        assert_eq!(pattern(true).literal(), None);
    }

    #[test]
    fn few_texts_are_counted() {
        for (text, expected) in [
            ("GET|POST", Some(2)),
            (r"[1-5]\d\d", Some(500)),
            (r"\d{3}", Some(1000)),
            (r"\d{1,3}", None),
            (r"HTTP/[0-9]\.[0-9]", Some(100)),
            (r"a?b{2}", Some(2)),
            (r"[a-z]+", None),
            (r"(?i)get", Some(8)),
            (r"(?:a{90}){90}", Some(1)),
            (r".", Some(255)),
        ] {
            assert_eq!(Parsed::of(text).map(|parsed| parsed.choices()), Ok(expected), "{text}");
        }
    }

    #[test]
    fn conditions_without_a_machine_say_the_same() {
        for (text, yes, no) in [
            ("^5", &["5", "500"][..], &["", "15"][..]),
            ("^GET$", &["GET"], &["GET ", "get", ""]),
            ("^(GET|HEAD)$", &["GET", "HEAD"], &["GETHEAD", "POST"]),
            ("5", &["15"], &["14", ""]),
            ("^$", &[""], &["x"]),
            ("", &["", "x"], &[]),
        ] {
            let matcher = Matcher::of(text).unwrap();
            yes.iter().for_each(|value| assert!(matcher.fits(value.as_bytes()), "{text} {value}"));
            no.iter().for_each(|value| assert!(!matcher.fits(value.as_bytes()), "{text} {value}"));
        }
        let whole = Matcher::of_whole("GET|HEAD").unwrap();
        assert!(whole.fits(b"HEAD") && !whole.fits(b"HEADS") && !whole.fits(b"xGET"));
    }

    #[test]
    fn mistakes_have_places() {
        let mistake = |text| Parsed::of(text).unwrap_err();
        assert_eq!(mistake("a(b").offset, 1);
        assert!(mistake(r"a\p{Greek}").message.contains("Unicode"), "{:?}", mistake(r"a\p{Greek}"));
        assert_eq!(mistake("(?P<a.b>x)").offset, 4);
        assert!(mistake("(?:(?:a{999}){999}){999}").message.contains("too large"));
    }
}
