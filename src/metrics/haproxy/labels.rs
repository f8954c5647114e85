//! Where the values of labels come from.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tailmeter_parsers::envelope;
use tailmeter_parsers::haproxy::config::Declared;
use tailmeter_parsers::haproxy::format::{Grammar, Layout, Place, Record, Request, Spans};
use tailmeter_parsers::haproxy::{Http, Layouts, Meaning, Method, Notice, Reading, Sketch, TERMINATION, Tcp};

use super::TERMINATIONS;
use super::count::method;
use crate::series::{Directory, Found, OTHER};

/// Where a label's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Frontend,
    Backend,
    Server,
    Status,
    Method,
    Termination,
    /// The first two characters of the termination state.
    Ending,
    Version,
    Ssl,
    Phase,
    SslVersion,
    Resumed,
    Ciphers,
    Reason,
    State,
    Result,
    Path,
    ClientIp,
    ClientPort,
    /// A captured header by its name, which the layout knows: all of the label.
    NamedHeader(&'static str),
    RequestHeader(usize),
    ResponseHeader(usize),
    Sni,
}

impl Field {
    /// The source of label `name` of `metric`. The configuration has been checked: every name is of the
    /// vocabulary.
    pub(super) fn of(name: &str, metric: usize) -> Self {
        match name {
            "termination_state" if metric == TERMINATIONS => Self::Ending,
            "frontend_name" => Self::Frontend,
            "backend_name" => Self::Backend,
            "server_name" => Self::Server,
            "status_code" => Self::Status,
            "http_request_method" => Self::Method,
            "termination_state" => Self::Termination,
            "http_version" => Self::Version,
            "ssl" => Self::Ssl,
            "phase" => Self::Phase,
            "ssl_version" => Self::SslVersion,
            "resumed" => Self::Resumed,
            "ssl_ciphers" => Self::Ciphers,
            "reason" => Self::Reason,
            "state" => Self::State,
            "result" => Self::Result,
            "http_request_path" => Self::Path,
            "client_ip" => Self::ClientIp,
            "client_port" => Self::ClientPort,
            "ssl_fc_sni" => Self::Sni,
            _ => {
                let number = |prefix| name.strip_prefix(prefix).and_then(|number: &str| number.parse().ok());
                match (number("request_header_"), number("response_header_")) {
                    (Some(number), _) => Self::RequestHeader(number),
                    (_, Some(number)) => Self::ResponseHeader(number),
                    _ if name.contains("_header_") => Self::NamedHeader(interned(name)),
                    _ => Self::Reason,
                }
            }
        }
    }

    /// True when it stands in the raw names, or in the word that goes with the metric.
    pub(super) fn is_in_names(self) -> bool {
        matches!(self, Self::Frontend | Self::Backend | Self::Server | Self::Ssl | Self::Phase | Self::Reason)
    }
}

/// `name`, for ever. There are as many as configurations have asked for.
fn interned(name: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    match names.get(name) {
        Some(known) => known,
        None => {
            let kept: &'static str = Box::leak(name.into());
            names.insert(kept);
            kept
        }
    }
}

/// Which row the labels of a line name. It is asked once for each tuple of raw values, as long as that is remembered.
#[derive(Debug)]
pub(super) struct Naming {
    pub(super) directory: Arc<Directory>,
    /// The names that lines may have. Where the operator has a policy for a label, that one holds instead.
    pub(super) declared: Option<Arc<Declared>>,
}

impl Naming {
    pub(super) const fn new(directory: Arc<Directory>) -> Self {
        Self { directory, declared: None }
    }

    /// The row of `subject` in `group`, whose labels come from `fields`. `word` is the value of phase and reason.
    pub(super) fn row(&self, group: usize, fields: &[Field], subject: Subject<'_, '_>, word: &str) -> Found {
        self.checked(
            group,
            |index| fields.get(index).copied(),
            subject,
            |index, out| {
                if let Some(field) = fields.get(index) {
                    subject.write(*field, word, out);
                }
            },
        )
    }

    /// The same for values that `write(i, out)` appends. Of those labels whose field `field(i)` says, a name that is
    /// not declared becomes `other`.
    pub(super) fn checked(
        &self,
        group: usize,
        field: impl Fn(usize) -> Option<Field>,
        subject: Subject<'_, '_>,
        mut write: impl FnMut(usize, &mut Vec<u8>),
    ) -> Found {
        let labels = self.directory.groups().get(group).map(|group| group.labels.as_slice()).unwrap_or_default();
        let mut is_strange = false;
        let found = self.directory.row(group, |index, out| {
            write(index, out);
            let Some(declared) = &self.declared else { return };
            let Some(field) = field(index).filter(|_| labels.get(index).is_some_and(|label| !label.policy.decides()))
            else {
                return;
            };
            if !subject.may_have(field, out, declared) {
                is_strange = true;
                out.clear();
                out.extend_from_slice(OTHER);
            }
        });
        Found { fell_out: found.fell_out | is_strange, ..found }
    }
}

/// The line whose labels are wanted.
#[derive(Clone, Copy)]
pub(super) enum Subject<'s, 'a> {
    Http(&'s Http<'a>),
    Tcp(&'s Tcp<'a>),
    Notice(Notice<'a>),
    Record(&'s Laid<'a>),
    Sketch(&'s Drawn<'s, 'a>),
}

/// A line that has a sketch. What that does not say is read from the line when it is asked for, which is when a row is
/// new.
pub(super) struct Drawn<'s, 'a> {
    pub(super) sketch: &'s Sketch<'a>,
    pub(super) layouts: &'s Layouts,
    pub(super) spans: RefCell<&'s mut Spans>,
}

/// A line that was read by a layout.
pub(super) struct Laid<'a> {
    pub(super) record: Record<'a>,
    /// Names of its captured headers, of the request and of the response.
    pub(super) captures: [&'a [Option<String>]; 2],
}

impl<'a> Subject<'_, 'a> {
    /// Appends the value of `field`. `word` is the value of phase and reason.
    pub(super) fn write(self, field: Field, word: &str, out: &mut Vec<u8>) {
        let text: &[u8] = match (field, self) {
            (Field::Phase | Field::Reason, _) => word.as_bytes(),
            (Field::Frontend, Subject::Http(http)) => http.frontend_name(),
            (Field::Frontend, Subject::Tcp(tcp)) => tcp.frontend_name(),
            (Field::Backend, Subject::Http(http)) => http.backend_name(),
            (Field::Backend, Subject::Tcp(tcp)) => tcp.backend_name(),
            (Field::Server, Subject::Http(http)) => http.server_name(),
            (Field::Server, Subject::Tcp(tcp)) => tcp.server_name(),
            (Field::Termination | Field::Ending, Subject::Sketch(drawn)) if drawn.termination_length() == 0 => b"",
            (Field::Termination | Field::Ending, Subject::Record(laid))
                if !laid.record.layout().has(Place::TerminationState) =>
            {
                b""
            }
            (Field::Termination, _) => termination_state(self.termination_state(), 4),
            (Field::Ending, _) => termination_state(self.termination_state(), 2),
            (Field::Ssl, Subject::Http(http)) => truth(http.ssl()),
            (Field::Ssl, Subject::Tcp(tcp)) => truth(tcp.ssl()),
            (Field::ClientIp, Subject::Http(http)) => http.client_ip(),
            (Field::ClientIp, Subject::Tcp(tcp)) => tcp.client_ip(),
            (Field::ClientPort, Subject::Http(http)) => return write_number(http.client_port(), out),
            (Field::ClientPort, Subject::Tcp(tcp)) => return write_number(tcp.client_port(), out),
            (field, Subject::Notice(notice)) => of_notice(field, &notice),
            (field, Subject::Record(laid)) => return laid.write(field, out),
            (field, Subject::Sketch(drawn)) => return drawn.write(field, out),
            (_, Subject::Tcp(_)) | (Field::State | Field::Result, _) => b"",
            (Field::Status, Subject::Http(http)) => return write_status(http.status_code.into(), out),
            (Field::Method, Subject::Http(http)) => method_label(http.method()),
            (Field::Version, Subject::Http(http)) => http.http_version().unwrap_or(OTHER),
            // Of the usual layouts nobody says what their captures are called.
            (Field::NamedHeader(_), Subject::Http(_)) => b"",
            (Field::Path, Subject::Http(http)) => http.path().unwrap_or_default(),
            (Field::RequestHeader(number), Subject::Http(http)) => nth(http.request_headers(), number),
            (Field::ResponseHeader(number), Subject::Http(http)) => nth(http.response_headers(), number),
            (Field::Sni, Subject::Http(http)) => http.tls().map_or(b"", |tls| tls.ssl_fc_sni),
            (Field::SslVersion, Subject::Http(http)) => http.tls().map_or(b"", |tls| tls.ssl_version),
            (Field::Ciphers, Subject::Http(http)) => http.tls().map_or(b"", |tls| tls.ssl_ciphers),
            (Field::Resumed, Subject::Http(http)) => truth(http.tls().is_some_and(|tls| tls.ssl_fc_is_resumed == b"1")),
        };
        out.extend_from_slice(text);
    }

    /// True when a line of a configuration that declares these names can have this one for `field`.
    fn may_have(self, field: Field, name: &[u8], declared: &Declared) -> bool {
        match field {
            // The other program leaves the `~` of TLS where it is.
            Field::Frontend => declared.knows_frontend(name.strip_suffix(b"~").unwrap_or(name)),
            Field::Backend => declared.knows_backend(name),
            Field::Server => {
                let mut backend = Vec::new();
                self.write(Field::Backend, "", &mut backend);
                declared.knows_server(&backend, name)
            }
            _ => true,
        }
    }

    fn termination_state(self) -> &'a [u8] {
        match self {
            Self::Http(http) => http.termination_state(),
            Self::Tcp(tcp) => tcp.termination_state(),
            Self::Notice(_) => b"",
            Self::Record(laid) => laid.record.text(Place::TerminationState).unwrap_or_default(),
            Self::Sketch(drawn) => drawn.sketch.termination_state(drawn.termination_length()),
        }
    }
}

impl Drawn<'_, '_> {
    fn termination_length(&self) -> usize {
        self.layouts.all().next().map_or(0, Layout::termination_length)
    }

    /// Appends the value of `field`.
    #[cold]
    fn write(&self, field: Field, out: &mut Vec<u8>) {
        let (line, mut spans) = (self.sketch.line(), self.spans.borrow_mut());
        if let Ok(Reading::Record { layout, record }) = self.layouts.read(line, &envelope::detect(line), &mut spans) {
            Laid { record, captures: self.layouts.captures(layout) }.write(field, out);
        }
    }
}

impl Laid<'_> {
    /// Appends the value of `field`: nothing where the layout does not have it, `other` where the line was cut before it.
    fn write(&self, field: Field, out: &mut Vec<u8>) {
        let Self { record, captures: [request, response] } = self;
        let layout = record.layout();
        let word = |place| match record.text(place) {
            Some(text) => text,
            None if layout.has(place) && record.truncated() => OTHER,
            None => b"",
        };
        let captured = |place, number: usize| record.captures(place).nth(number.wrapping_sub(1)).unwrap_or_default();
        let named = |names: &[Option<String>], name: &str| {
            names.iter().position(|known| known.as_deref() == Some(name)).map_or(0, |position| position + 1)
        };
        let text = match field {
            Field::Frontend => word(Place::FrontendName).strip_suffix(b"~").unwrap_or(word(Place::FrontendName)),
            Field::Backend => word(Place::BackendName),
            Field::Server => word(Place::ServerName),
            // Only `%ft` marks what came over TLS.
            Field::Ssl if layout.grammar(Place::FrontendName) == Some(Grammar::NameTls) => {
                truth(word(Place::FrontendName).ends_with(b"~"))
            }
            Field::Status if layout.has(Place::StatusCode) => {
                return write_status(record.number(Place::StatusCode).unwrap_or(-2), out);
            }
            Field::Method if layout.has(Place::HttpRequest) || layout.has(Place::HttpRequestMethod) => {
                method_label(Method::of(method(record)))
            }
            Field::Version if layout.has(Place::HttpVersion) => word(Place::HttpVersion),
            Field::Version if layout.has(Place::HttpRequest) => record.request().version.unwrap_or(OTHER),
            Field::Path => match (record.text(Place::HttpRequestPath), record.text(Place::HttpRequestUri)) {
                (Some(path), _) => path,
                (_, Some(uri)) => Request::path_of(uri),
                _ => record.request().path.unwrap_or_default(),
            },
            Field::ClientIp => word(Place::ClientIp),
            Field::ClientPort => word(Place::ClientPort),
            Field::RequestHeader(number) => captured(Place::RequestHeaders, number),
            Field::ResponseHeader(number) => captured(Place::ResponseHeaders, number),
            Field::NamedHeader(name) => match name.strip_prefix("request_header_") {
                Some(header) => captured(Place::RequestHeaders, named(request, header)),
                None => {
                    let header = name.strip_prefix("response_header_").unwrap_or_default();
                    captured(Place::ResponseHeaders, named(response, header))
                }
            },
            Field::Sni => word(Place::SslFcSni),
            Field::SslVersion => word(Place::SslVersion),
            Field::Ciphers => word(Place::SslCiphers),
            Field::Resumed if layout.has(Place::SslFcIsResumed) => truth(word(Place::SslFcIsResumed) == b"1"),
            _ => b"",
        };
        out.extend_from_slice(text);
    }
}

fn write_status(status: i64, out: &mut Vec<u8>) {
    match status {
        -1 => out.extend_from_slice(b"-1"),
        100..=999 => write_number(status as u32, out),
        _ => out.extend_from_slice(OTHER),
    }
}

fn method_label<'a>(method: Method<'a>) -> &'a [u8] {
    match method {
        Method::Known(method) => method,
        Method::BadRequest => b"<BADREQ>",
        Method::Other => OTHER,
    }
}

/// The value of `field` in a line that is neither a request nor a session.
fn of_notice<'a>(field: Field, notice: &Notice<'a>) -> &'a [u8] {
    match (field, notice) {
        (Field::Frontend, Notice::ConnectionError(error)) => error.frontend_name(),
        (Field::Backend, Notice::HealthCheck(check)) => check.backend_name(),
        (Field::Server, Notice::HealthCheck(check)) => check.server_name(),
        (Field::Result, Notice::HealthCheck(check)) => check.result.as_str().as_bytes(),
        (Field::Backend, Notice::ServerState(server)) => server.backend_name(),
        (Field::Server, Notice::ServerState(server)) => server.server_name(),
        (Field::State, Notice::ServerState(server)) => server.change.as_str().as_bytes(),
        (Field::Backend, Notice::BackendState(backend)) => backend.backend_name,
        _ => b"",
    }
}

fn truth(value: bool) -> &'static [u8] {
    if value { b"true" } else { b"false" }
}

fn write_number(number: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn nth<'a>(headers: Option<impl Iterator<Item = &'a [u8]>>, number: usize) -> &'a [u8] {
    headers.and_then(|mut headers| headers.nth(number.wrapping_sub(1))).unwrap_or_default()
}

/// The first `length` characters of a termination state, if they are some that HAProxy writes
/// (configuration manual, 8.5).
fn termination_state(state: &[u8], length: usize) -> &[u8] {
    let state = state.get(..length).unwrap_or(state);
    let is_known = |(character, known): (&u8, u128)| *character < 128 && known >> character & 1 == 1;
    if state.iter().zip(CHARACTERS).all(is_known) { state } else { OTHER }
}

/// The characters at each place; bit i: the one with code i.
const CHARACTERS: [u128; 4] =
    [characters(TERMINATION[0]), characters(TERMINATION[1]), characters(TERMINATION[2]), characters(TERMINATION[3])];

const fn characters(mut meanings: &[Meaning]) -> u128 {
    let mut characters = 0;
    while let Some((first, rest)) = meanings.split_first() {
        characters |= 1 << first.character;
        meanings = rest;
    }
    characters
}

/// The values of few short fields as one number; none is 0.
pub(super) fn pack(values: &[u8]) -> Option<u64> {
    let mut bytes = [0; 8];
    bytes.get_mut(..values.len())?.copy_from_slice(values);
    Some(u64::from_le_bytes(bytes))
}

/// Appends the values of `fields`, so that no two lists of values give the same bytes.
pub(super) fn write_fields(subject: Subject<'_, '_>, fields: &[Field], out: &mut Vec<u8>) {
    fields.iter().for_each(|field| write_field(subject, *field, out));
}

pub(super) fn write_field(subject: Subject<'_, '_>, field: Field, out: &mut Vec<u8>) {
    let start = out.len();
    subject.write(field, "", out);
    let length = (out.len() - start) as u32;
    out.extend_from_slice(&length.to_le_bytes());
}
