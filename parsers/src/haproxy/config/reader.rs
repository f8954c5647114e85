//! Lines, conditional blocks and sections (`parse_cfg` in HAProxy's `cfgparse.c`, `cfg_parse_listen` in `cfgparse-listen.c`).

use super::keywords::{self, Servers};
use super::profile::{self, LogProfile};
use super::proxy::{Kind, Mode, Proxy};
use super::variables::Variables;
use super::words::{self, Word, is_space};
use super::{Config, Format, Mistake, Place, Process, Warning, condition, target, version};

/// Mistakes and warnings that are told, at most.
const MISTAKES: usize = 100;
const WARNINGS: usize = 1_000;

/// Sections that say nothing about the lines of proxies.
const OTHER_SECTIONS: [&str; 15] = [
    "acme",
    "cache",
    "crt-store",
    "fcgi-app",
    "http-errors",
    "log-forward",
    "mailers",
    "namespace_list",
    "peers",
    "program",
    "resolvers",
    "ring",
    "traces",
    "userlist",
    "healthcheck",
];

/// Keywords that say how lines of the log look, and whose: a variable in them should be known.
const SHAPING: [&str; 21] = [
    "backend",
    "capture",
    "declare",
    "default",
    "defaults",
    "error-log-format",
    "frontend",
    "global",
    "http-request",
    "http-response",
    "listen",
    "log",
    "log-format",
    "log-profile",
    "log-tag",
    "mode",
    "no",
    "on",
    "option",
    "presetenv",
    "setenv",
];

fn shapes_lines(keyword: &[u8]) -> bool {
    SHAPING.iter().any(|known| known.as_bytes() == keyword)
}

/// See [`super::read`].
pub(super) fn read(files: &[(&str, &[u8])], process: &Process<'_>) -> Result<Config, Vec<Mistake>> {
    let mut reader = Reader {
        process,
        variables: Variables::new(process),
        config: Config::default(),
        notes: Notes::default(),
        defaults: Vec::new(),
        last_defaults: None,
        section: Section::None,
        blocks: Vec::new(),
        servers: Servers::default(),
    };
    for (index, (name, text)) in files.iter().enumerate() {
        reader.file(index, name, text);
    }
    reader.finish();
    if reader.notes.mistakes.is_empty() {
        reader.config.warnings = reader.notes.warnings;
        Ok(reader.config)
    } else {
        Err(reader.notes.mistakes)
    }
}

/// What is to be told.
#[derive(Debug, Default)]
pub(super) struct Notes {
    mistakes: Vec<Mistake>,
    warnings: Vec<Warning>,
}

impl Notes {
    pub(super) fn mistake(&mut self, place: Place, message: impl Into<String>) {
        if self.mistakes.len() < MISTAKES {
            self.mistakes.push(Mistake { place, message: message.into() });
        }
    }

    /// Tells what may cost lines, or have them read wrongly.
    pub(super) fn warn(&mut self, place: Place, message: impl Into<String>) {
        self.tell(Warning { place, is_lossy: true, message: message.into() });
    }

    /// Tells what is odd, but has no effect on what is read.
    pub(super) fn remark(&mut self, place: Place, message: impl Into<String>) {
        self.tell(Warning { place, is_lossy: false, message: message.into() });
    }

    fn tell(&mut self, warning: Warning) {
        if self.warnings.len() < WARNINGS {
            self.warnings.push(warning);
        }
    }
}

/// A line of a section: its keyword and what follows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'l> {
    words: &'l [Word],
    modifier: Modifier,
}

/// The word before the keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Modifier {
    None,
    No,
    Default,
}

impl<'l> Line<'l> {
    fn new(words: &'l [Word]) -> Self {
        let modifier = match words.first().map(Word::text) {
            Some(b"no") => Modifier::No,
            Some(b"default") => Modifier::Default,
            _ => Modifier::None,
        };
        let words = if modifier == Modifier::None { words } else { words.get(1..).unwrap_or_default() };
        Self { words, modifier }
    }

    /// Word `index`; the keyword is 0.
    pub(super) fn word(&self, index: usize) -> Option<&'l Word> {
        self.words.get(index)
    }

    /// The text of word `index`, empty where there is none.
    pub(super) fn text(&self, index: usize) -> &'l [u8] {
        self.word(index).map_or(&[], Word::text)
    }

    /// How many words there are.
    pub(super) const fn len(&self) -> usize {
        self.words.len()
    }

    /// Where word `index` begins; where there is none, the end of the line.
    pub(super) fn place(&self, index: usize) -> Place {
        let end = || self.words.last().map(|word| word.place_of(usize::MAX));
        let start = Place { file: 0, line: 1, column: 1 };
        self.word(index).map(Word::place).or_else(end).unwrap_or(start)
    }

    /// `no …`
    pub(super) fn is_negated(&self) -> bool {
        self.modifier == Modifier::No
    }

    /// Neither `no …` nor `default …`.
    pub(super) fn is_plain(&self) -> bool {
        self.modifier == Modifier::None
    }
}

/// The section that a line belongs to.
#[derive(Clone, Copy)]
enum Section {
    None,
    Global,
    Defaults(usize),
    Proxy(usize),
    Profile(usize),
    Other,
}

/// An `.if` that is open.
struct Block {
    /// Its lines are read.
    is_active: bool,
    /// One of its branches is known to be taken: no other is.
    is_decided: bool,
    has_else: bool,
    place: Place,
}

struct Reader<'p> {
    process: &'p Process<'p>,
    variables: Variables<'p>,
    config: Config,
    notes: Notes,
    /// `defaults` sections, all of them.
    defaults: Vec<Proxy>,
    last_defaults: Option<usize>,
    section: Section,
    blocks: Vec<Block>,
    servers: Servers,
}

impl Reader<'_> {
    fn file(&mut self, index: usize, name: &str, text: &[u8]) {
        self.section = Section::None;
        self.variables.file = name.as_bytes().to_vec();
        self.variables.section.clear();
        for (line, number) in text.split(|byte| *byte == b'\n').zip(1_u32..) {
            self.line(line, index, number);
        }
        for block in std::mem::take(&mut self.blocks) {
            self.notes.mistake(block.place, ".if has no .endif in this file");
        }
    }

    fn line(&mut self, line: &[u8], file: usize, number: u32) {
        if let Some(at) = memchr::memchr(0, line) {
            let column = u32::try_from(at).unwrap_or(u32::MAX).saturating_add(1);
            return self.notes.mistake(Place { file, line: number, column }, "a NUL byte");
        }
        // A scope, as filters have it.
        if line.iter().find(|byte| !is_space(**byte)) == Some(&b'[') {
            return;
        }
        let mut warnings = Vec::new();
        let words = match words::split(line, (file, number), &self.variables, &mut warnings) {
            Ok(words) => words,
            Err(mistake) => return self.notes.mistake(mistake.place, mistake.message),
        };
        let Some(first) = words.first().filter(|word| !word.text().is_empty()) else { return };
        let is_directive = first.text().starts_with(b".");
        if is_directive && self.directive(&words, &mut warnings) {
            return;
        }
        if is_directive || self.blocks.iter().any(|block| !block.is_active) {
            return;
        }
        let line = Line::new(&words);
        self.open(&line);
        if warnings.iter().any(|warning| warning.place < line.place(2)) {
            self.doubt_name(&line);
        }
        if !matches!(self.section, Section::Other) {
            let is_lossy = shapes_lines(line.text(0));
            warnings.into_iter().for_each(|warning| self.notes.tell(Warning { is_lossy, ..warning }));
        }
        self.keyword(&line);
    }

    /// The name in a line is not sure: a variable in it is not set here.
    fn doubt_name(&mut self, line: &Line<'_>) {
        match (line.text(0), self.section) {
            (b"frontend" | b"listen" | b"backend", _) => self.config.has_unsure_names = true,
            (b"server" | b"server-template", Section::Proxy(index)) => {
                if let Some(proxy) = self.config.proxies.get_mut(index) {
                    proxy.has_unsure_servers = true;
                }
            }
            _ => {}
        }
    }

    /// Takes `.if` and the like.
    fn directive(&mut self, words: &[Word], warnings: &mut Vec<Warning>) -> bool {
        let Some((first, rest)) = words.split_first() else { return false };
        let is_masked = self.blocks.iter().any(|block| !block.is_active);
        let place = first.place();
        match first.text() {
            b".if" => {
                let value = if is_masked { Some(false) } else { self.condition(rest, place, warnings) };
                let is_active = value != Some(false);
                let is_decided = is_masked || value == Some(true);
                self.blocks.push(Block { is_active, is_decided, has_else: false, place });
            }
            b".elif" => {
                let Some(block) = self.blocks.last().filter(|block| !block.has_else) else {
                    self.notes.mistake(place, ".elif stands behind .if or .elif");
                    return true;
                };
                let value = if block.is_decided { Some(false) } else { self.condition(rest, place, warnings) };
                if let Some(block) = self.blocks.last_mut() {
                    block.is_active = value != Some(false);
                    block.is_decided |= value == Some(true);
                }
            }
            b".else" => match self.blocks.last_mut().filter(|block| !block.has_else) {
                Some(block) => {
                    block.is_active = !block.is_decided;
                    block.has_else = true;
                }
                None => self.notes.mistake(place, ".else stands behind .if or .elif"),
            },
            b".endif" => {
                if self.blocks.pop().is_none() {
                    self.notes.mistake(place, ".endif stands behind .if");
                }
            }
            _ => return false,
        }
        true
    }

    fn condition(&mut self, words: &[Word], place: Place, warnings: &mut Vec<Warning>) -> Option<bool> {
        warnings.drain(..).for_each(|warning| self.notes.tell(warning));
        match condition::evaluate(words, self.process, &self.variables) {
            Ok(Some(value)) => return Some(value),
            Ok(None) => {
                let place = words.first().map_or(place, Word::place);
                let message = "what this depends on is not known here: this branch is read, and the others, too";
                self.notes.remark(place, message);
            }
            Err(mistake) => self.notes.mistake(mistake.place, mistake.message),
        }
        None
    }

    /// Begins a section, if `line` does.
    fn open(&mut self, line: &Line<'_>) {
        let name = line.text(1);
        let section = match line.text(0) {
            b"global" => Section::Global,
            b"defaults" => self.open_defaults(line),
            b"frontend" => self.open_proxy(line, Kind::Frontend),
            b"listen" => self.open_proxy(line, Kind::Listen),
            b"backend" => self.open_proxy(line, Kind::Backend),
            b"log-profile" => {
                let profile =
                    LogProfile { name: name.to_vec(), place: line.place(0), log_tag: None, steps: Vec::new() };
                self.config.profiles.push(profile);
                Section::Profile(self.config.profiles.len() - 1)
            }
            other if OTHER_SECTIONS.iter().any(|section| section.as_bytes() == other) => Section::Other,
            _ => return,
        };
        self.section = section;
        self.variables.section = if name.is_empty() { line.text(0) } else { name }.to_vec();
    }

    /// `defaults [NAME] [from OTHER]`: without `from`, it begins with nothing.
    fn open_defaults(&mut self, line: &Line<'_>) -> Section {
        let has_name = line.text(1) != b"from" || line.text(2).is_empty() || !line.text(3).is_empty();
        let (name, from) = if has_name { (line.text(1), 2) } else { (&[][..], 1) };
        let place = line.place(0);
        let other = self.from(line, from);
        let defaults = match other.and_then(|other| self.defaults.get(other)) {
            Some(other) => Proxy::inherit(other, Kind::Listen, name.to_vec(), place),
            None => Proxy::new(Kind::Listen, name.to_vec(), place),
        };
        self.defaults.push(defaults);
        self.last_defaults = Some(self.defaults.len() - 1);
        Section::Defaults(self.defaults.len() - 1)
    }

    /// `frontend NAME [from DEFAULTS]`: without `from`, it has what the last `defaults` above it has, named or not.
    fn open_proxy(&mut self, line: &Line<'_>, kind: Kind) -> Section {
        let name = line.text(1);
        let place = line.place(0);
        if name.is_empty() {
            self.notes.mistake(line.place(1), format!("a {} needs a name", kind.as_str()));
            return Section::Other;
        }
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b".:_-".contains(byte);
        if !name.iter().all(is_name) {
            self.notes.mistake(line.place(1), "a name has letters, digits, dots, colons, dashes and underscores");
        }
        if line.len() > 2 && (line.text(2) != b"from" || line.len() != 4) {
            self.notes.mistake(line.place(2), "only from and the name of a defaults section may stand here");
        }
        let twin = self.config.proxies.iter().find(|proxy| {
            let shares = |is: fn(Kind) -> bool| is(kind) && is(proxy.kind);
            proxy.name == name && (shares(Kind::takes_connections) || shares(Kind::has_servers))
        });
        if let Some(twin) = twin {
            let message = format!("there is a {} of this name in line {} already", twin.kind.as_str(), twin.place.line);
            self.notes.mistake(line.place(1), message);
        }
        let defaults = self.from(line, 2).or(self.last_defaults);
        let proxy = match defaults.and_then(|defaults| self.defaults.get(defaults)) {
            Some(defaults) => Proxy::inherit(defaults, kind, name.to_vec(), place),
            None => Proxy::new(kind, name.to_vec(), place),
        };
        self.config.proxies.push(proxy);
        Section::Proxy(self.config.proxies.len() - 1)
    }

    /// The index of the `defaults` section that `from NAME` names, if that is word `at`.
    fn from(&mut self, line: &Line<'_>, at: usize) -> Option<usize> {
        if line.text(at) != b"from" {
            return None;
        }
        let name = line.text(at + 1);
        let is_meant = |(_, defaults): &(usize, &Proxy)| defaults.name == name && !name.is_empty();
        let mut named = self.defaults.iter().enumerate().filter(is_meant).map(|(index, _)| index);
        let found = named.next();
        if found.is_none() {
            self.notes.mistake(line.place(at + 1), "there is no defaults section of this name above");
        } else if named.next().is_some() {
            self.notes.mistake(line.place(at + 1), "there are several defaults sections of this name");
        }
        found
    }

    fn keyword(&mut self, line: &Line<'_>) {
        let globals = self.config.targets.as_slice();
        match self.section {
            Section::Global => self.global(line),
            Section::Defaults(index) => {
                if let Some(defaults) = self.defaults.get_mut(index) {
                    keywords::read(line, defaults, true, globals, &mut self.servers, &mut self.notes);
                }
            }
            Section::Proxy(index) => {
                if let Some(proxy) = self.config.proxies.get_mut(index) {
                    keywords::read(line, proxy, false, globals, &mut self.servers, &mut self.notes);
                }
            }
            Section::Profile(index) => {
                if let Some(profile) = self.config.profiles.get_mut(index) {
                    profile::read(line, profile, &mut self.notes);
                }
            }
            Section::None => self.notes.mistake(line.place(0), "this stands outside of any section"),
            Section::Other => {}
        }
    }

    fn global(&mut self, line: &Line<'_>) {
        let (name, value) = (line.text(1), line.text(2));
        match line.text(0) {
            b"log" => target::read(line, &mut self.config.targets, None, &mut self.notes),
            b"log-tag" => match line.word(1) {
                Some(tag) => self.config.log_tag = Some(tag.clone()),
                None => self.notes.mistake(line.place(0), "log-tag needs a tag"),
            },
            // The first one stays.
            b"log-send-hostname" => {
                self.config.send_hostname = self.config.send_hostname.take().or(Some(name.to_vec()))
            }
            b"node" => self.config.node = Some(name.to_vec()),
            b"setenv" => self.variables.set(name, Some(value)),
            b"presetenv" if self.variables.is_defined(name) != Some(true) => self.variables.set(name, Some(value)),
            b"unsetenv" => {
                for index in 1..line.len() {
                    self.variables.set(line.text(index), None);
                }
            }
            b"resetenv" => {
                let kept = (1..line.len()).map(|index| line.text(index)).collect::<Vec<_>>();
                self.variables.reset(&kept);
            }
            _ => {}
        }
    }

    /// What HAProxy does when it has read everything.
    fn finish(&mut self) {
        for proxy in self.config.proxies.iter_mut().filter(|proxy| proxy.mode == Mode::Tcp) {
            let Some(log_format) = &mut proxy.log_format else { continue };
            let fallback = match log_format.format {
                Format::HttpLog | Format::HttpsLog => Format::TcpLog,
                // Before 3.1 there was no other.
                Format::HttpLogClf => {
                    match self.process.version.and_then(|version| version::is_at_least(version, "3.1")) {
                        Some(false) => Format::TcpLog,
                        _ => Format::TcpLogClf,
                    }
                }
                Format::TcpLog | Format::TcpLogClf | Format::Custom(_) => continue,
            };
            let message = format!(
                "{} {} is of mode tcp: {} is used in place of {}",
                proxy.kind.as_str(),
                String::from_utf8_lossy(&proxy.name),
                fallback.as_str(),
                log_format.format.as_str(),
            );
            self.notes.remark(log_format.place, message);
            log_format.format = fallback;
        }
        self.config.proxies.iter().for_each(|proxy| self.notes.check_profiles(proxy, &self.config.profiles));
        self.notes.mistakes.sort_by_key(|mistake| mistake.place);
        self.notes.warnings.sort_by_key(|warning| warning.place);
    }
}

impl Notes {
    /// Targets may ask for profiles that stand further down.
    fn check_profiles(&mut self, proxy: &Proxy, profiles: &[LogProfile]) {
        for target in &proxy.targets {
            let Some(name) = &target.profile else { continue };
            if !profiles.iter().any(|profile| profile.name == *name) {
                let name = String::from_utf8_lossy(name);
                self.mistake(target.place, format!("there is no log-profile {name}"));
            }
        }
    }
}
