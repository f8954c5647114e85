//! Sources: which kind each is, the settings that go with it, and that no two get in each other's way.

mod journal;
mod syslog;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tailmeter_parsers::haproxy::format::{Layout, Mistake};

use super::super::error::clip;
use super::super::reader::Entries;
use super::super::sources::{Input, InputError, JournalInput, Source, Written, check_pattern, is_address};
use super::super::yaml::{Key, Node, Place, Value};
use super::Schema;
use journal::JOURNAL_KEYS;

/// Keys that say what a source reads, each with the settings that go with it.
const KINDS: &[(&str, &[&str])] = &[
    ("file", &["exclude"]),
    ("journal", &[]),
    ("syslog", &["framing", "senders", "receive_buffer_bytes", "max_connections", "socket_mode", "tls"]),
    ("pipe", &[]),
];
/// Keys of any source.
const COMMON_KEYS: &[&str] = &["format", "name"];

/// A source, and where its parts stand.
struct Located {
    source: Source,
    input: Place,
    name: Option<Place>,
}

/// What the sources read so far have taken.
#[derive(Default)]
struct Taken {
    inputs: BTreeSet<(String, String)>,
    /// Labels, each with its format.
    labels: BTreeSet<(String, String)>,
}

impl Schema<'_> {
    pub(super) fn sources(&mut self, key: &Key, node: &Node) {
        let help = "each source begins with a dash: - file: /var/log/haproxy.log";
        let mut taken = Taken::default();
        for item in self.reader.list(key.place, node, help) {
            let Value::Map(entries) = &item.value else {
                let what = "a source with `file` and `format`";
                self.reader.expected(what, key.place, item, None);
                continue;
            };
            let mistakes = self.reader.mistakes();
            if let Some(located) = self.source(item.place, entries)
                // What was not understood is not compared.
                && self.reader.mistakes() == mistakes
                && self.is_apart(&located, &mut taken)
            {
                self.config.sources.push(located.source);
            }
        }
    }

    fn source(&mut self, place: Place, entries: &Entries) -> Option<Located> {
        let first = entries.first().map_or(place, |(key, _)| key.place);
        let kinds: Vec<_> = entries.iter().filter(|(key, _)| is_kind(&key.name)).collect();
        // A misspelt key is one mistake, not an unknown key and a missing one.
        let meant = self.check_keys(entries, &kinds);
        let input = match kinds.as_slice() {
            [] => {
                if !meant.iter().any(|key| is_kind(key)) {
                    let message = "this source has none of `file`, `journal`, `syslog` and `pipe`".to_owned();
                    self.reader.report(first, message, None);
                }
                None
            }
            [(key, node)] => self.input(key, node, entries, &meant).map(|input| (node.place, input)),
            [(one, _), (other, _), ..] => {
                let message = format!("a source reads one thing: it has `{}` already", one.name);
                let help = format!("begin another source with a dash: - {}: …", other.name);
                self.reader.report(other.place, message, Some(help));
                None
            }
        };
        let format = match entry(entries, "format") {
            Some((key, node)) => self.format(key, node),
            None => {
                if !meant.contains("format") {
                    let message = "this source has no `format`".to_owned();
                    self.reader.report(first, message, self.known_formats());
                }
                None
            }
        };
        let name = entry(entries, "name").map(|(key, node)| (node.place, self.filled("a name", key, node)));
        let ((input_place, input), (format, written)) = (input?, format?);
        let (name_place, name) = name.unzip();
        // A name with a mistake is none that another source could share.
        let name = match name {
            Some(name) => Some(name?),
            None => None,
        };
        Some(Located { source: Source { input, format, written, name }, input: input_place, name: name_place })
    }

    /// Notes keys that do not exist, or do not go with the kind of source. Returns the ones probably meant.
    fn check_keys(&mut self, entries: &Entries, kinds: &[&(Key, Node)]) -> BTreeSet<&'static str> {
        let kind = match kinds {
            [(key, _)] => Some(key.name.as_str()),
            _ => None,
        };
        let known = known_keys(kind);
        let mut meant = BTreeSet::new();
        for (key, _) in entries {
            let name = key.name.as_str();
            if known.contains(&name) {
                continue;
            }
            match (kind, KINDS.iter().find(|(_, settings)| settings.contains(&name))) {
                (Some(kind), Some((other, _))) => {
                    let message = format!("`{name}` goes with `{other}`, not with `{kind}`");
                    self.reader.report(key.place, message, None);
                }
                _ if JOURNAL_KEYS.contains(&name) => {
                    let message = format!("`{name}` stands within `journal`");
                    let help = format!("for example journal: {{{name}: …}}");
                    self.reader.report(key.place, message, Some(help));
                }
                _ => {
                    let close = self.reader.unknown_key(key, &known);
                    meant.extend(close.and_then(|close| known.iter().copied().find(|name| *name == close)));
                }
            }
        }
        meant
    }

    /// What is read: the input whose kind is `key`, with its settings among the `entries` of the source.
    fn input(&mut self, key: &Key, node: &Node, entries: &Entries, meant: &BTreeSet<&str>) -> Option<Input> {
        match key.name.as_str() {
            "journal" => self.journal(key, node).map(Input::Journal),
            "syslog" => self.syslog(key, node, entries, meant).map(Input::Syslog),
            "pipe" => self.path("a path, or '-' for standard input", key, node).map(Input::Pipe),
            _ => self.file(key, node, entries),
        }
    }

    fn file(&mut self, key: &Key, node: &Node, entries: &Entries) -> Option<Input> {
        let mut exclude = Vec::new();
        if let Some((key, node)) = entry(entries, "exclude") {
            for item in self.reader.list(key.place, node, "for example exclude: [/var/log/haproxy-test.log]") {
                exclude.extend(self.pattern(key, item));
            }
        }
        let path = self.pattern(key, node)?;
        if path == "-" {
            let message = "`-` is standard input, not a file".to_owned();
            let help = "write pipe: '-', or ./- for a file".to_owned();
            self.reader.report(node.place, message, Some(help));
            return None;
        }
        if is_address(&path) {
            let message = format!("`{}` is an address, not a path", clip(&path));
            let help = format!("sockets are read with `syslog`; a path is written ./{}", clip(&path));
            self.reader.report(node.place, message, Some(help));
            return None;
        }
        Some(Input::File { path, exclude })
    }

    /// A path or a glob pattern.
    fn pattern(&mut self, key: &Key, node: &Node) -> Option<String> {
        let text = self.filled("a path or a glob pattern", key, node)?;
        let Err(InputError { offset, message }) = check_pattern(&text) else {
            return Some(text);
        };
        let place = self.reader.within(node, &text, offset);
        let help =
            (place.of(self.reader.source()) == "[").then(|| "a bracket of the file's name is written [[]".to_owned());
        self.reader.report(place, message, help);
        None
    }

    /// A path, absolute or not.
    pub(super) fn path(&mut self, what: &str, key: &Key, node: &Node) -> Option<PathBuf> {
        self.filled(what, key, node).map(PathBuf::from)
    }

    /// Text that is more than spaces, and could be an argument of a program.
    fn filled(&mut self, what: &str, key: &Key, node: &Node) -> Option<String> {
        let text = self.reader.word(what, key.place, node)?;
        if text.trim().is_empty() {
            self.reader.expected(what, key.place, node, None);
            return None;
        }
        if text.contains('\0') {
            let message = "a null character cannot stand here".to_owned();
            self.reader.report(node.place, message, None);
            return None;
        }
        Some(text)
    }

    /// The family, and how its lines are written: `format: haproxy`, or `format: {log_format: …}`.
    fn format(&mut self, key: &Key, node: &Node) -> Option<(String, Written)> {
        if let Value::Map(entries) = &node.value {
            return self.written(key, node, entries);
        }
        let format = self.reader.word("the name of a format", key.place, node)?;
        if self.catalogue.formats().any(|name| name == format) {
            return Some((format, Written::Usual));
        }
        let (known, help) = (self.catalogue.formats(), self.known_formats());
        self.reader.unknown("format", &format, node.place, known, help);
        None
    }

    fn written(&mut self, key: &Key, node: &Node, entries: &Entries) -> Option<(String, Written)> {
        const KEYS: &[&str] = &["log_format", "haproxy_config"];
        let [(kind, value)] = entries else {
            let what = "one of `log_format` and `haproxy_config`";
            self.reader.expected(what, key.place, node, None);
            return None;
        };
        let written = match kind.name.as_str() {
            "log_format" => {
                let text = self.filled("a log-format of HAProxy", kind, value)?;
                if let Err(Mistake { column, message }) = Layout::of(&text) {
                    let place = self.reader.within(value, &text, column);
                    self.reader.report(place, message, None);
                    return None;
                }
                Written::LogFormat(text)
            }
            "haproxy_config" => Written::HaproxyConfig(match &value.value {
                Value::List(items) => {
                    items.iter().map(|item| self.path("the path of haproxy.cfg", kind, item)).collect::<Option<_>>()?
                }
                _ => vec![self.path("the path of haproxy.cfg", kind, value)?],
            }),
            _ => {
                self.reader.unknown_key(kind, KEYS);
                return None;
            }
        };
        Some(("haproxy".to_owned(), written))
    }

    fn known_formats(&self) -> Option<String> {
        let names: Vec<_> = self.catalogue.formats().collect();
        (!names.is_empty()).then(|| format!("known formats: {}", names.join(", ")))
    }

    /// Checks that no other source reads the same, or is called the same in the metrics.
    fn is_apart(&mut self, located: &Located, taken: &mut Taken) -> bool {
        let source = &located.source;
        let (input, format) = (&source.input, &source.format);
        let shown = clip(&input.label());
        if !taken.inputs.insert(identity(source)) {
            let message = match input {
                Input::Pipe(_) if input.is_standard_input() => {
                    "standard input is read twice: each source would get only some of its lines".to_owned()
                }
                Input::Pipe(_) => format!("`{shown}` is read twice: each source would get only some of its lines"),
                Input::Syslog(_) => format!("`{shown}` is listened on twice: only one source can have it"),
                Input::File { .. } | Input::Journal(_) => {
                    format!("`{shown}` is read as {format} twice: lines would count twice")
                }
            };
            self.reader.report(located.input, message, None);
            return false;
        }
        let label = source.label();
        if !taken.labels.insert((label.clone(), format.clone())) {
            let message = format!(
                "another source of {format} is called `{}`, too: they would be mixed up in the metrics",
                clip(&label)
            );
            let help = match located.name {
                Some(_) => "give it another `name`".to_owned(),
                None => "give it a `name`".to_owned(),
            };
            self.reader.report(located.name.unwrap_or(located.input), message, Some(help));
            return false;
        }
        true
    }
}

/// What must differ between two sources. The lines of files and of the journal can be read by several formats; those of
/// a socket or a pipe reach only one reader.
fn identity(source: &Source) -> (String, String) {
    let format = source.format.clone();
    match &source.input {
        Input::File { path, .. } => (format!("file {}", tidy(Path::new(path)).display()), format),
        Input::Journal(journal) => {
            let sorted = |texts: &[String]| texts.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
            let journal = JournalInput {
                identifiers: sorted(&journal.identifiers),
                units: sorted(&journal.units),
                // Their order says which of them are alternatives.
                matches: journal.matches.clone(),
                directory: journal.directory.as_deref().map(tidy),
            };
            (format!("journal {journal:?}"), format)
        }
        Input::Syslog(syslog) => (format!("syslog {}", syslog.transport), String::new()),
        Input::Pipe(path) => (format!("pipe {}", tidy(path).display()), String::new()),
    }
}

/// The path without doubled slashes and dots that go nowhere.
fn tidy(path: &Path) -> PathBuf {
    path.components().collect()
}

fn is_kind(name: &str) -> bool {
    KINDS.iter().any(|(kind, _)| *kind == name)
}

/// Keys that a source of this kind can have; of any kind, if it is not known.
fn known_keys(kind: Option<&str>) -> Vec<&'static str> {
    let kinds = KINDS.iter().filter(|(name, _)| kind.is_none_or(|kind| kind == *name));
    let keys = kinds.flat_map(|(name, settings)| std::iter::once(*name).chain(settings.iter().copied()));
    keys.chain(COMMON_KEYS.iter().copied()).collect()
}

fn entry<'n>(entries: &'n Entries, name: &str) -> Option<(&'n Key, &'n Node)> {
    entries.iter().find(|(key, _)| key.name == name).map(|(key, node)| (key, node))
}
