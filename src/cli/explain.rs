//! `tailmeter explain`: how lines are laid out, which metrics and labels come of that, and what cannot be told apart.
//!
//! Here is what is said, as one value; `text` writes it for people, `--json` as it is. `words` has what is said of a
//! single item, also for LOG_FORMAT.md.

mod custom;
mod text;
pub(super) mod words;

use std::io::{self, ErrorKind, Write};

use clap::builder::FalseyValueParser;
use serde::Serialize;
use tailmeter_parsers::haproxy::config;
use tailmeter_parsers::haproxy::format::{Item, Layout, Place, lex};
use tailmeter_parsers::haproxy::{Asked, Layouts, Means};

use super::{ConfigOption, Failure, LinesOptions};
use crate::config::Origin;
use crate::metrics::Dialect;
use crate::metrics::haproxy::needs::{Needs, feeds, gives, needs, sources};
use crate::metrics::haproxy::{FAMILY, Lines, lines};

/// Show how log lines are read, and what comes of them
///
/// Prints, for every log-format of HAProxy that is asked for: who writes it, what each of its items is called and how
/// it is written, the metrics that its lines count in and their labels, what is missing for the others, and what cannot be
/// told apart in its lines. No log is read.
///
/// With --config and --format, a format that the configuration describes: how its messages are read, in one pass or why
/// not, and its metrics.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    lines: LinesOptions,
    #[command(flatten)]
    config: ConfigOption,
    /// Print one JSON object
    #[arg(long, env = "TAILMETER_JSON", value_parser = FalseyValueParser::new())]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  tailmeter explain --haproxy-config /etc/haproxy/haproxy.cfg
  tailmeter explain --log-format '%ci:%cp [%tr] %ft %b/%s %ST %{+Q}r'
  tailmeter explain --format haproxy
  tailmeter explain --config /etc/tailmeter/tailmeter.yml --format nginx";

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.config.load()?;
    let (format, written) = arguments.lines.written(&config)?;
    if let Some(described) = config.format(format) {
        return print(custom::explanation(described, arguments.json));
    }
    if format != FAMILY.name {
        return Err(Failure::Usage(format!(
            "lines of {format} are written one way: METRICS.md lists what they count in; explain is for {}",
            FAMILY.name
        )));
    }
    let understood = written.understand().map_err(|error| Failure::Usage(error.to_string()))?;
    let layouts = match &understood.dialect {
        Dialect::Usual => Layouts::usual(),
        Dialect::Haproxy(layouts) => layouts.clone(),
    };
    let explanation = Explanation::of(&layouts, understood.origin.as_ref());
    let text = if arguments.json {
        serde_json::to_string_pretty(&explanation).map(|text| text + "\n").map_err(io::Error::from)
    } else {
        Ok(text::of(&explanation))
    };
    print(text)
}

fn print(text: io::Result<String>) -> Result<(), Failure> {
    match text.and_then(|text| io::stdout().lock().write_all(text.as_bytes())) {
        // Whoever read it has seen enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Work(format!("cannot write the explanation: {error}")))
        }
        _ => Ok(()),
    }
}

/// All that is said.
#[derive(Debug, Serialize)]
struct Explanation {
    layouts: Vec<Explained>,
    /// Frontends that write no lines by a log-format.
    silent: Vec<Frontend>,
    /// Metrics that need no log-format.
    messages: Vec<&'static str>,
    /// About the haproxy.cfg.
    warnings: Vec<Warning>,
}

/// A log-format.
#[derive(Debug, Serialize)]
struct Explained {
    /// What asks for it.
    keyword: String,
    log_format: String,
    /// What its lines are about.
    about: &'static str,
    written_by: Vec<Frontend>,
    items: Vec<ItemShown>,
    metrics: Vec<Fed>,
    not_counted: Vec<Unfed>,
    labels: Vec<Given>,
    labels_without_value: Vec<Unfed>,
    notes: Vec<Remark>,
}

/// Who writes lines.
#[derive(Debug, Serialize)]
struct Frontend {
    kind: &'static str,
    name: String,
    file: String,
    line: u32,
    /// Where its format is asked for; the same as its own place where it has none.
    format_file: String,
    format_line: u32,
    /// False without a `log` line: nothing is written.
    has_target: bool,
}

/// An item that writes a value.
#[derive(Debug, Serialize)]
struct ItemShown {
    /// Counted from 1.
    column: usize,
    item: String,
    /// Names in `tailmeter parse`; none for what cannot be read.
    fields: Vec<String>,
    written: String,
    /// What stands for no value.
    nothing: String,
}

/// A metric that lines count in.
#[derive(Debug, Serialize)]
struct Fed {
    metric: &'static str,
    /// Its default labels that have a value.
    labels: Vec<&'static str>,
    /// Its default labels that have none.
    empty_labels: Vec<&'static str>,
}

/// A label that can be added.
#[derive(Debug, Serialize)]
struct Given {
    label: String,
    private: bool,
}

/// What lines do not say, and what would help.
#[derive(Debug, Serialize)]
struct Unfed {
    name: String,
    add: String,
}

#[derive(Debug, Serialize)]
struct Remark {
    /// Counted from 1.
    column: usize,
    is_lossy: bool,
    message: String,
}

#[derive(Debug, Serialize)]
struct Warning {
    file: String,
    line: u32,
    column: u32,
    is_lossy: bool,
    message: String,
}

impl Explanation {
    fn of(layouts: &Layouts, origin: Option<&Origin>) -> Self {
        let explained = layouts.all().enumerate().map(|(number, layout)| {
            let asked = origin.map(|origin| layouts.writers(number, &origin.config)).unwrap_or_default();
            Explained::of(layouts, number, layout, &asked, origin)
        });
        let shown = |origin: &Origin| -> Vec<_> {
            let warnings = origin.config.warnings.iter();
            warnings.map(|warning| Warning::of(warning, origin)).collect()
        };
        let silent = |origin: &Origin| -> Vec<_> {
            let writers = |number| layouts.writers(number, &origin.config);
            let writing: Vec<_> = (0..layouts.all().len()).flat_map(writers).map(|asked| asked.proxy.place).collect();
            let proxies = origin.config.proxies.iter().filter(|proxy| proxy.kind.takes_connections());
            let silent = proxies.filter(|proxy| !writing.contains(&proxy.place) && !proxy.is_disabled);
            silent.map(|proxy| Frontend::of(proxy, proxy.place, origin)).collect()
        };
        let messages = (0..FAMILY.metrics.len()).filter(|metric| needs(*metric) == Needs::Messages);
        Self {
            layouts: explained.collect(),
            silent: origin.map(silent).unwrap_or_default(),
            messages: messages.filter_map(|metric| FAMILY.metrics.get(metric)).map(|metric| metric.name).collect(),
            warnings: origin.map(shown).unwrap_or_default(),
        }
    }
}

impl Explained {
    fn of(layouts: &Layouts, number: usize, layout: &Layout, asked: &[Asked<'_>], origin: Option<&Origin>) -> Self {
        let means = layouts.means(number);
        let headers = Headers { names: layouts.captures(number), is_declared: origin.is_some() };
        let items = lex(layout.text()).map(|format| format.items).unwrap_or_default();
        let values: Vec<&Item> = items.iter().filter(|item| item.grammar().is_some()).collect();
        let unread: Vec<&Item> = values.iter().copied().filter(|item| !layout.reads(item)).collect();
        let usual = || words::usual(layout.text()).unwrap_or("log-format").to_owned();
        let frontend = |asked: &Asked<'_>| origin.map(|origin| Frontend::of(asked.proxy, asked.place, origin));
        let notes = layout.notes().iter();
        Self {
            keyword: asked.first().map_or_else(usual, |asked| asked.keyword.clone()),
            log_format: layout.text().to_owned(),
            about: match means {
                Means::Http => "requests",
                Means::Tcp => "sessions",
                Means::Error => "connections that failed before they had a session",
                Means::Step => "steps of sessions, which are not counted",
            },
            written_by: asked.iter().filter_map(frontend).collect(),
            items: values.iter().map(|item| ItemShown::of(item, layout, headers)).collect(),
            metrics: fed(layout, means),
            not_counted: unfed(layout, means, &unread),
            labels: labels(layout, means, headers),
            labels_without_value: missing_labels(layout, means, headers, &unread),
            notes: notes
                .map(|note| Remark { column: note.column + 1, is_lossy: note.is_lossy, message: note.message.clone() })
                .collect(),
        }
    }
}

impl Frontend {
    fn of(proxy: &config::Proxy, format: config::Place, origin: &Origin) -> Self {
        Self {
            kind: proxy.kind.as_str(),
            name: String::from_utf8_lossy(&proxy.name).into_owned(),
            file: origin.file(proxy.place).to_owned(),
            line: proxy.place.line,
            format_file: origin.file(format).to_owned(),
            format_line: format.line,
            has_target: !proxy.targets.is_empty(),
        }
    }
}

impl ItemShown {
    fn of(item: &Item, layout: &Layout, headers: Headers<'_>) -> Self {
        let fields = if layout.reads(item) { words::fields(item, headers) } else { Vec::new() };
        Self {
            column: item.column + 1,
            item: item.written(layout.text()).to_owned(),
            fields,
            written: words::written(item),
            nothing: words::nothing(item),
        }
    }
}

impl Warning {
    fn of(warning: &config::Warning, origin: &Origin) -> Self {
        let config::Warning { place, is_lossy, message } = warning;
        let file = origin.file(*place).to_owned();
        Self { file, line: place.line, column: place.column, is_lossy: *is_lossy, message: message.clone() }
    }
}

/// The metrics that lines count in.
fn fed(layout: &Layout, means: Means) -> Vec<Fed> {
    let metrics = FAMILY.metrics.iter().enumerate().filter(|(index, _)| feeds(layout, means, *index));
    let fed = metrics.map(|(index, metric)| {
        let (labels, empty_labels) = metric.labels.iter().partition(|label| gives(layout, label, index));
        Fed { metric: metric.name, labels, empty_labels }
    });
    fed.collect()
}

/// The metrics that such lines could count in, if they had the fields.
fn unfed(layout: &Layout, means: Means, unread: &[&Item]) -> Vec<Unfed> {
    if !matches!(means, Means::Http | Means::Tcp) {
        return Vec::new();
    }
    let unfed = FAMILY.metrics.iter().enumerate().filter_map(|(index, metric)| {
        let other = if means == Means::Http { Lines::Tcp } else { Lines::Http };
        let Needs::Field(places) = needs(index) else { return None };
        let is_wanted = lines(index) != other && !feeds(layout, means, index);
        is_wanted.then(|| Unfed { name: metric.name.to_owned(), add: words::addition(places, means, unread) })
    });
    unfed.collect()
}

/// The labels that can be added to some metric that lines count in.
fn labels(layout: &Layout, means: Means, headers: Headers<'_>) -> Vec<Given> {
    let mut given = Vec::new();
    for definition in FAMILY.labels {
        let name = definition.name;
        let mut counted = FAMILY.metrics.iter().enumerate().filter(|(index, _)| feeds(layout, means, *index));
        if counted.any(|(index, metric)| metric.opt_in.contains(&name) && gives(layout, name, index)) {
            let labels = headers.labels(name).unwrap_or_else(|| vec![name.to_owned()]);
            given.extend(labels.into_iter().map(|label| Given { label, private: definition.private }));
        }
    }
    given
}

/// The labels of metrics that lines count in which have no value, with what would give them one.
fn missing_labels(layout: &Layout, means: Means, headers: Headers<'_>, unread: &[&Item]) -> Vec<Unfed> {
    let mut missing: Vec<Unfed> = Vec::new();
    for (index, metric) in FAMILY.metrics.iter().enumerate().filter(|(index, _)| feeds(layout, means, *index)) {
        for name in metric.labels.iter().chain(metric.opt_in).filter(|name| !name.ends_with("_NAME")) {
            let is_known = missing.iter().any(|known| known.name == *name);
            // A session has no request.
            let is_other = means == Means::Tcp && words::is_of_requests(name);
            let Some(places) = sources(name, index).filter(|_| !is_known && !is_other) else { continue };
            if !gives(layout, name, index) {
                missing.push(Unfed { name: (*name).to_owned(), add: words::addition(places, means, unread) });
            } else if headers.labels(name).is_some_and(|labels| labels.is_empty()) {
                let header = name.trim_end_matches("_header_N");
                let add = format!("values, by a line 'capture {header} header' in the frontend");
                missing.push(Unfed { name: (*name).to_owned(), add });
            }
        }
    }
    missing
}

/// The captured headers, of requests and of responses, where a configuration declares them.
#[derive(Clone, Copy)]
struct Headers<'c> {
    names: [&'c [Option<String>]; 2],
    is_declared: bool,
}

impl Headers<'_> {
    /// The labels that `name` stands for, if that depends on the configuration.
    fn labels(self, name: &str) -> Option<Vec<String>> {
        let [request, response] = self.names;
        let (stem, rest) = name.split_once("_header_")?;
        let names = if stem == "request" { request } else { response };
        match rest {
            "N" if self.is_declared => {
                Some((1..=names.len()).map(|number| format!("{stem}_header_{number}")).collect())
            }
            "NAME" => Some(names.iter().flatten().map(|header| format!("{stem}_header_{header}")).collect()),
            _ => None,
        }
    }

    /// The names in `tailmeter parse` of those at `place`.
    fn fields(self, place: Place) -> Vec<String> {
        let name = if place == Place::RequestHeaders { "request_header_NAME" } else { "response_header_NAME" };
        self.labels(name).unwrap_or_default()
    }
}
