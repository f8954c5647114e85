//! How the lines of one source may be laid out: the usual log-formats, one of the operator's own, or all of a
//! haproxy.cfg, each for its frontends.

use std::sync::{Arc, LazyLock};

use super::config::{Config, Declared, Format};
use super::format::{Layout, Mistake, Note, Place, Record, Spans};
use super::{Notice, config, notice};
use crate::envelope::Envelope;
use crate::{Reason, Reject};

/// The layouts that lines of a source may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layouts {
    known: Vec<Known>,
    declared: Option<Arc<Declared>>,
}

/// A layout, and whose lines have it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    layout: Layout,
    means: Means,
    /// The frontends that are known to write it.
    frontends: Vec<Vec<u8>>,
    /// Lines of any other may have it, too.
    is_anybodys: bool,
    /// Names of the captured headers, as labels have them.
    captures: [Vec<Option<String>>; 2],
}

/// A log-format, and the proxy that has it in its configuration.
#[derive(Clone, Debug)]
pub struct Asked<'c> {
    /// The proxy.
    pub proxy: &'c config::Proxy,
    /// What asks for the format: `option httplog`, `log-format`.
    pub keyword: String,
    /// Where that stands, maybe in a `defaults` section.
    pub place: config::Place,
    /// The format as it is written there; `None` for those of HAProxy itself.
    pub word: Option<&'c config::Word>,
    text: &'c [u8],
    means: Means,
}

/// What the lines of a layout are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// Requests.
    Http,
    /// Sessions.
    Tcp,
    /// Connections that failed before there was a session (`error-log-format`).
    Error,
    /// A step on the way of a session that has another line at its end (`log-profile`).
    Step,
}

/// What a line turned out to be.
#[derive(Clone, Copy, Debug)]
pub enum Reading<'r> {
    /// A request or a session, laid out as number `layout` of the [`Layouts`] says.
    Record {
        /// The layout's number.
        layout: usize,
        /// Its values.
        record: Record<'r>,
    },
    /// Something else.
    Notice(Notice<'r>),
}

impl Layouts {
    /// What HAProxy writes without a log-format of one's own.
    pub fn usual() -> Arc<Self> {
        static USUAL: LazyLock<Arc<Layouts>> = LazyLock::new(|| {
            let formats = [Format::HttpLog, Format::HttpsLog, Format::TcpLog, Format::HttpLogClf, Format::TcpLogClf];
            let texts = formats.iter().filter_map(|format| str::from_utf8(format.text()).ok());
            let known = texts.filter_map(|text| Layout::of(text).ok()).map(Known::of).collect();
            Arc::new(Layouts { known, declared: None })
        });
        Arc::clone(&USUAL)
    }

    /// One log-format for all lines.
    ///
    /// # Errors
    /// The mistake in it.
    pub fn of_log_format(text: &str) -> Result<Self, Mistake> {
        Ok(Self { known: vec![Known::of(Layout::of(text)?)], declared: None })
    }

    /// Those of all frontends of a configuration, and what is to be said of them.
    ///
    /// # Errors
    /// The mistakes in its log-formats.
    pub fn of_config(config: &Config) -> Result<(Self, Vec<config::Warning>), Vec<config::Mistake>> {
        let declared = Some(Arc::new(Declared::of(config)));
        let (mut layouts, mut warnings, mut mistakes) = (Self { known: Vec::new(), declared }, Vec::new(), Vec::new());
        for proxy in config.proxies.iter().filter(|proxy| is_active(config, proxy)) {
            for Asked { word, text, means, .. } in formats(config, proxy) {
                let Ok(text) = str::from_utf8(text) else {
                    let place = word.map_or(proxy.place, config::Word::place);
                    mistakes.push(config::Mistake { place, message: "this log-format is not UTF-8".to_owned() });
                    continue;
                };
                let place_of = |offset| word.map_or(proxy.place, |word| word.place_of(offset));
                match Layout::of(text) {
                    Ok(layout) => {
                        let notes = layout.notes().iter().filter(|_| word.is_some());
                        warnings.extend(notes.map(|Note { column, is_lossy, message }| config::Warning {
                            place: place_of(*column),
                            is_lossy: *is_lossy,
                            message: message.clone(),
                        }));
                        layouts.add(Known::of_proxy(layout, means, proxy));
                    }
                    Err(Mistake { column, message }) => {
                        mistakes.push(config::Mistake { place: place_of(column), message });
                    }
                }
            }
        }
        if let [only] = layouts.known.as_mut_slice() {
            // There is nothing to tell apart.
            only.is_anybodys = true;
        }
        if mistakes.is_empty() { Ok((layouts, warnings)) } else { Err(mistakes) }
    }

    fn add(&mut self, new: Known) {
        let is_same = |known: &&mut Known| {
            known.layout == new.layout && known.means == new.means && known.captures == new.captures
        };
        match self.known.iter_mut().find(is_same) {
            Some(known) => known.frontends.extend(new.frontends),
            None => self.known.push(new),
        }
    }

    /// The layouts, by their number.
    pub fn all(&self) -> impl ExactSizeIterator<Item = &Layout> {
        self.known.iter().map(|known| &known.layout)
    }

    /// True when lines of layout `number` may be of any frontend.
    pub(super) fn is_anybodys(&self, number: usize) -> bool {
        self.known.get(number).is_some_and(|known| known.is_anybodys)
    }

    /// The frontends that write layout `number`, as far as the configuration says it.
    pub fn frontends(&self, number: usize) -> &[Vec<u8>] {
        self.known.get(number).map(|known| known.frontends.as_slice()).unwrap_or_default()
    }

    /// The names that lines may have, if there is a configuration that declares them.
    pub const fn declared(&self) -> Option<&Arc<Declared>> {
        self.declared.as_ref()
    }

    /// What lines of layout `number` are about.
    pub fn means(&self, number: usize) -> Means {
        self.known.get(number).map_or(Means::Tcp, |known| known.means)
    }

    /// Whose lines have layout `number`, if the layouts are those of `config`.
    pub fn writers<'c>(&self, number: usize, config: &'c Config) -> Vec<Asked<'c>> {
        let Some(known) = self.known.get(number) else { return Vec::new() };
        let proxies =
            config.proxies.iter().filter(|proxy| is_active(config, proxy) && captures(proxy) == known.captures);
        let asked = proxies.flat_map(|proxy| formats(config, proxy));
        asked.filter(|asked| asked.means == known.means && asked.text == known.layout.text().as_bytes()).collect()
    }

    /// The names of the captured request headers, and of the response's, as labels have them; `None` where one has none.
    pub fn captures(&self, number: usize) -> [&[Option<String>]; 2] {
        self.known.get(number).map_or([&[], &[]], |known| known.captures.each_ref().map(Vec::as_slice))
    }

    /// Reads a line whose envelope is known.
    ///
    /// # Errors
    /// Where the line left the layout that it followed furthest.
    pub fn read<'r>(
        &'r self,
        line: &'r [u8],
        envelope: &Envelope<'r>,
        spans: &'r mut Spans,
    ) -> Result<Reading<'r>, Reject> {
        let mut cut: Option<(usize, usize)> = None;
        // An object with members that its layout does not have: it may be one of another.
        let mut roomy: Option<(usize, usize)> = None;
        let mut refused = Reject { reason: Reason::UnknownForm, field: "message", offset: envelope.start };
        for (number, known) in self.known.iter().enumerate() {
            match known.read(line, envelope, spans) {
                Ok(None) => {}
                Ok(Some(_)) if !spans.truncated() && spans.strange() > 0 => {
                    if roomy.is_none_or(|(fewest, _)| spans.strange() < fewest) {
                        roomy = Some((spans.strange(), number));
                    }
                }
                Ok(Some(_)) if !spans.truncated() => {
                    return Ok(Reading::Record { layout: number, record: known.layout.record(line, envelope, spans) });
                }
                // The one that explains most of the line, but not if that could as well be another kind of line.
                Ok(Some(values)) => match cut {
                    Some((most, other)) if most == values && self.means(other) != known.means => {
                        let (reason, field) = (Reason::Truncated, known.layout.name(values));
                        refused = Reject { reason, field, offset: envelope.end };
                        cut = None;
                    }
                    Some((most, _)) if most >= values => {}
                    _ => cut = Some((values, number)),
                },
                Err(reject) if reject.offset > refused.offset || number == 0 => refused = reject,
                Err(_) => {}
            }
        }
        if let Some(notice) = notice(line, envelope) {
            return notice.map(Reading::Notice);
        }
        let Some((_, number)) = roomy.or(cut) else { return Err(refused) };
        let known = &self.known[number];
        known.read(line, envelope, spans)?;
        Ok(Reading::Record { layout: number, record: known.layout.record(line, envelope, spans) })
    }
}

/// True for what takes connections, and so writes lines, if it has a `log` line. Where nobody has one, it is elsewhere.
fn is_active(config: &Config, proxy: &config::Proxy) -> bool {
    let writes = |proxy: &config::Proxy| proxy.kind.takes_connections() && !proxy.is_disabled;
    writes(proxy)
        && (!proxy.targets.is_empty() || !config.proxies.iter().any(|other| writes(other) && !other.targets.is_empty()))
}

/// The log-formats of a frontend.
fn formats<'c>(config: &'c Config, proxy: &'c config::Proxy) -> Vec<Asked<'c>> {
    let end = if proxy.mode == config::Mode::Http { Means::Http } else { Means::Tcp };
    let mut all = Vec::new();
    if let Some(config::LogFormat { format, place }) = &proxy.log_format {
        let word = if let Format::Custom(word) = format { Some(word) } else { None };
        let keyword = format.as_str().to_owned();
        all.push(Asked { proxy, keyword, place: *place, word, text: format.text(), means: end });
    }
    let asked = |keyword: String, word: &'c config::Word, means| Asked {
        proxy,
        keyword,
        place: word.place(),
        word: Some(word),
        text: word.text(),
        means,
    };
    if let Some(word) = &proxy.error_log_format {
        all.push(asked("error-log-format".to_owned(), word, Means::Error));
    }
    let names = proxy.targets.iter().filter_map(|target| target.profile.as_deref());
    for profile in names.filter_map(|name| config.profiles.iter().find(|profile| profile.name == *name)) {
        for step in profile.steps.iter().filter(|step| !step.is_dropped) {
            let Some(word) = &step.format else { continue };
            let means = match step.name.as_slice() {
                b"close" | b"any" => end,
                b"error" => Means::Error,
                _ => Means::Step,
            };
            let name = String::from_utf8_lossy(&step.name);
            let keyword = format!("on {name} of log-profile {}", String::from_utf8_lossy(&profile.name));
            all.push(asked(keyword, word, means));
        }
    }
    all
}

/// The names of a proxy's captured headers, as labels have them.
fn captures(proxy: &config::Proxy) -> [Vec<Option<String>>; 2] {
    let names =
        |captures: &[config::Capture]| captures.iter().map(|capture| capture.name.as_deref().map(label)).collect();
    [names(&proxy.request_captures), names(&proxy.response_captures)]
}

impl Known {
    fn of(layout: Layout) -> Self {
        let means = if layout.is_http() { Means::Http } else { Means::Tcp };
        Self { layout, means, frontends: Vec::new(), is_anybodys: true, captures: [Vec::new(), Vec::new()] }
    }

    fn of_proxy(layout: Layout, means: Means, proxy: &config::Proxy) -> Self {
        // Lines that do not say whose they are are anybody's.
        let is_anybodys = !layout.has(Place::FrontendName);
        Self { layout, means, frontends: vec![proxy.name.clone()], is_anybodys, captures: captures(proxy) }
    }

    /// The number of values that were read; `None` when the line is another frontend's.
    fn read(&self, line: &[u8], envelope: &Envelope<'_>, spans: &mut Spans) -> Result<Option<usize>, Reject> {
        let record = self.layout.read(line, envelope, spans)?;
        if self.is_anybodys {
            return Ok(Some(record.len()));
        }
        let name = record.text(Place::FrontendName).unwrap_or_default();
        let name = name.strip_suffix(b"~").unwrap_or(name);
        Ok(self.frontends.iter().any(|frontend| frontend == name).then_some(record.len()))
    }
}

/// The end of the label of a header: `user_agent` of `User-Agent`.
pub fn label(header: &[u8]) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric();
    header.iter().map(|byte| if is_plain(byte) { char::from(byte.to_ascii_lowercase()) } else { '_' }).collect()
}
