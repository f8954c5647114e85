//! What a line says, value by value.

use super::layout::{Layout, Step};
use super::machine::Spans;
use super::{Encoding, Grammar, Missing};
use crate::haproxy::notice::{TLS_REASON, reason_of, reason_of_number};

/// A line that was read by a [`Layout`].
#[derive(Clone, Copy, Debug)]
pub struct Record<'r> {
    layout: &'r Layout,
    line: &'r [u8],
    spans: &'r Spans,
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// The line has none: HAProxy wrote `-` or nothing, or a phase was never reached, or the line was cut before it.
    Missing,
    /// A whole number.
    Number(i64),
    /// Yes or no.
    Truth(bool),
    /// As it stands in the line, without its quotes. Of an encoded one, what it stands for.
    Text(&'a [u8]),
    /// Captured headers in the order of their declaration, between `|`.
    Captures(&'a [u8]),
    /// Captured headers, each between quotes.
    CaptureList(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The captured headers, if that is what it is.
    pub fn captures(self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (text, delimiter) = match self {
            Value::Captures(text) => (Some(text), b'|'),
            Value::CaptureList(text) => (Some(text), b' '),
            _ => (None, b'|'),
        };
        let bare = |part: &'a [u8]| match part {
            // A header that is missing.
            b"-" => Some(&part[..0]),
            _ => part.strip_prefix(b"\"")?.strip_suffix(b"\""),
        };
        let parts = text.into_iter().flat_map(move |text| split(text, delimiter));
        parts.map(move |part| bare(part).filter(|_| delimiter == b' ').unwrap_or(part))
    }
}

/// The parts of `text`; a delimiter between quotes is none.
fn split(text: &[u8], delimiter: u8) -> impl Iterator<Item = &[u8]> {
    let mut is_quoted = false;
    text.split(move |byte| {
        is_quoted ^= *byte == b'"' && delimiter == b' ';
        *byte == delimiter && !is_quoted
    })
}

impl<'r> Record<'r> {
    pub(super) const fn new(layout: &'r Layout, line: &'r [u8], spans: &'r Spans) -> Self {
        Self { layout, line, spans }
    }

    /// How the line is laid out.
    pub const fn layout(&self) -> &'r Layout {
        self.layout
    }

    /// Values that the line has.
    pub const fn len(&self) -> usize {
        self.spans.len()
    }

    /// True when it has none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True when the line ends before its values do.
    pub const fn truncated(&self) -> bool {
        self.spans.truncated()
    }

    /// The bytes of the first value that the catalogue calls `place`, as they stand in the line, or what they stand for if it
    /// is encoded; `None` where the layout has no such value, or the line was cut before it, or nothing was written.
    pub fn text(&self, place: Place) -> Option<&'r [u8]> {
        let index = self.layout.place(place)?;
        let step = self.layout.steps.get(index)?;
        step.written(self.spans.text(self.line, index)?)
    }

    /// The number at `place`; -1 where it says so.
    pub fn number(&self, place: Place) -> Option<i64> {
        let index = self.layout.place(place)?;
        let step = self.layout.steps.get(index)?;
        step.number(self.spans.text(self.line, index)?)
    }

    /// The names as they stand in the line, from the first to the last, where nothing but delimiters is between them: a
    /// key as good as the three. Empty where the layout has none.
    pub fn raw_names(&self) -> Option<&'r [u8]> {
        let places = [Place::FrontendName, Place::BackendName, Place::ServerName];
        if !places.iter().any(|place| self.layout.has(*place)) {
            return Some(b"");
        }
        // Decoded values do not stand in the line.
        let (first, last) = self.layout.names().filter(|_| !self.layout.is_encoded())?;
        let start = self.spans.span(first)?.0;
        self.line.get(start as usize..self.spans.span(last)?.1 as usize)
    }

    /// True when some value says that the line was written before the end (`option logasap`).
    pub fn logasap(&self) -> bool {
        let texts = self.layout.steps.iter().enumerate().filter(|(_, step)| step.has_logasap());
        texts.filter_map(|(index, _)| self.spans.text(self.line, index)).any(|text| text.first() == Some(&b'+'))
    }

    /// The request line, as far as the line has it.
    pub fn request(&self) -> Request<'r> {
        let Some(index) = self.layout.place(Place::HttpRequest) else { return Request::default() };
        let partial = self.spans.partial(self.line, index);
        let text = self.spans.text(self.line, index).or(partial);
        Request::of(text.unwrap_or_default(), partial.is_some())
    }

    /// The captured headers at `place`; of a layout that has none there, none.
    pub fn captures(&self, place: Place) -> impl Iterator<Item = &'r [u8]> + use<'r> {
        let list = self.layout.place(place).and_then(|index| self.layout.steps.get(index));
        let value = match (list.map(|step| step.grammar), self.text(place)) {
            (Some(Grammar::Captures), Some(text)) => Value::Captures(text),
            (Some(Grammar::CaptureList), Some(text)) => Value::CaptureList(text),
            _ => Value::Missing,
        };
        value.captures()
    }

    /// True when the line says that it is not the last of its session (`%OG`, HAProxy 3.1 and later).
    pub fn is_step(&self) -> bool {
        const ENDS: [&[u8]; 4] = [b"txn_close", b"sess_error", b"sess_killed", b"unspec"];
        self.text(Place::LogOrigin).is_some_and(|origin| !ENDS.contains(&origin))
    }

    /// Why the connection failed, as a word; `other` where the layout does not say it, or in words that are not known.
    /// HAProxy's own message comes first, then its number, then that TLS has one of its own.
    pub fn error_reason(&self) -> &'static str {
        if let Some(message) = self.text(Place::FcErrStr) {
            return reason_of(message);
        }
        let number = match self.layout.grammar(Place::FcErr) {
            Some(Grammar::Hexadecimal) => {
                let digits = self.text(Place::FcErr).and_then(|digits| core::str::from_utf8(digits).ok());
                digits.and_then(|digits| i64::from_str_radix(digits, 16).ok())
            }
            _ => self.number(Place::FcErr),
        };
        if let Some(number) = number {
            return reason_of_number(number);
        }
        // In any base, it is zeros without an error.
        let is_tls = self.text(Place::SslFcErr).is_some_and(|number| number.iter().any(|digit| *digit != b'0'))
            || self.text(Place::SslFcErrStr).is_some_and(|message| !message.is_empty());
        if is_tls { TLS_REASON } else { "other" }
    }

    /// The values as they stand in the line (what they stand for, if they are encoded), signs and all, in the order of the log-format; `None` for those that are missing.
    /// Each with its field, and whether it was found for sure.
    pub fn written(&self) -> impl Iterator<Item = (&'r str, Option<&'r [u8]>, bool)> {
        let (spans, line) = (self.spans, self.line);
        let steps = self.layout.steps.iter().enumerate().filter(|(_, step)| !step.is_blurred);
        steps.map(move |(index, step)| {
            (&*step.field, spans.text(line, index).and_then(|text| step.written(text)), step.is_certain)
        })
    }

    /// Every field with its value, in the order of the log-format.
    pub fn visit(&self, out: &mut dyn FnMut(&str, Value<'r>)) {
        let mut is_asap = None;
        for (index, step) in self.layout.steps.iter().enumerate().filter(|(_, step)| !step.is_blurred) {
            let text = self.spans.text(self.line, index).and_then(|text| step.written(text));
            step.visit(text, self.spans.partial(self.line, index), out);
            if step.has_logasap() {
                let is_early = text.is_some_and(|text| text.first() == Some(&b'+'));
                is_asap = Some(is_asap.unwrap_or(false) | is_early);
            }
        }
        if let Some(is_asap) = is_asap {
            out("logasap", Value::Truth(is_asap));
        }
        out("truncated", Value::Truth(self.truncated()));
    }
}

impl Step {
    fn has_logasap(&self) -> bool {
        // No encoding writes the plus.
        self.encoding == Encoding::None && matches!(self.grammar, Grammar::TotalTimer | Grammar::Bytes)
    }

    /// `text`, unless it stands for nothing.
    fn written<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        let is_missing = match self.missing {
            // What was not written has no place; braces without anything are one header that is empty.
            _ if self.grammar == Grammar::Captures => false,
            Missing::Never | Missing::Null => false,
            Missing::Dash => text == b"-",
            Missing::Quotes => text.is_empty() || text == b"\"\"",
            Missing::Nothing => text.is_empty(),
        };
        (!is_missing).then_some(text)
    }

    /// The number that `text` is.
    pub(super) fn number(&self, text: &[u8]) -> Option<i64> {
        let text = text.strip_prefix(b"+").unwrap_or(text);
        let (is_negative, digits) = match text {
            [b'-', digits @ ..] => (true, digits),
            digits => (false, digits),
        };
        // The number of a listener, which is written in a port's place, is not.
        let is_port = self.grammar == Grammar::Port && digits.len() != 4;
        let radix = if self.is_hexadecimal && !is_port { 16 } else { 10 };
        let mut number: i64 = 0;
        for digit in digits {
            let digit = char::from(*digit).to_digit(radix)?;
            number = number.checked_mul(i64::from(radix))?.checked_add(i64::from(digit))?;
        }
        (!digits.is_empty()).then_some(if is_negative { -number } else { number })
    }

    fn visit<'a>(&self, text: Option<&'a [u8]>, partial: Option<&'a [u8]>, out: &mut dyn FnMut(&str, Value<'a>)) {
        let name: &str = &self.field;
        let missing_or = |value: Option<Value<'a>>| value.unwrap_or(Value::Missing);
        let word = missing_or(text.map(Value::Text));
        match self.grammar {
            Grammar::NameTls => {
                let (bare, ssl) = text.map_or((None, None), |text| {
                    (Some(text.strip_suffix(b"~").unwrap_or(text)), Some(text.ends_with(b"~")))
                });
                out(name, missing_or(bare.map(Value::Text)));
                out("ssl", missing_or(ssl.map(Value::Truth)));
            }
            Grammar::Name => {
                // A server that there was none of.
                let text = text.filter(|text| *text != b"<NOSRV>");
                out(name, missing_or(text.map(Value::Text)));
            }
            Grammar::Timer | Grammar::TotalTimer | Grammar::Status => {
                let number = text.and_then(|text| self.number(text)).filter(|number| *number >= 0);
                out(name, missing_or(number.map(Value::Number)));
            }
            Grammar::Retries => {
                out(name, missing_or(text.and_then(|text| self.number(text)).map(Value::Number)));
                let plain = text.filter(|_| self.encoding == Encoding::None);
                out("redispatched", missing_or(plain.map(|text| Value::Truth(text.starts_with(b"+")))));
            }
            Grammar::Number | Grammar::Counter | Grammar::Bytes | Grammar::Port | Grammar::Integer => {
                out(name, missing_or(text.and_then(|text| self.number(text)).map(Value::Number)));
            }
            Grammar::Seconds | Grammar::Milliseconds => {
                out(name, missing_or(text.and_then(|text| self.number(text)).map(Value::Number)));
            }
            Grammar::Boolean => out(name, missing_or(text.map(|text| Value::Truth(text == b"1")))),
            Grammar::Captures => out(name, missing_or(text.map(Value::Captures))),
            Grammar::CaptureList => out(name, missing_or(text.map(Value::CaptureList))),
            Grammar::Request => {
                let request = Request::of(text.or(partial).unwrap_or_default(), partial.is_some());
                out("http_request_method", missing_or(request.method.map(Value::Text)));
                out("http_request_path", missing_or(request.path.map(Value::Text)));
                out("http_request_query", missing_or(request.query.map(Value::Text)));
                out("http_version", missing_or(request.version.map(Value::Text)));
            }
            Grammar::Uri => {
                let target = text.filter(|text| *text != b"<BADREQ>").map(Target::of);
                out("http_request_path", missing_or(target.map(|target| Value::Text(target.path))));
                out("http_request_query", missing_or(target.and_then(|target| target.query).map(Value::Text)));
            }
            Grammar::Query => {
                out(name, missing_or(text.and_then(|text| text.strip_prefix(b"?")).map(Value::Text)));
            }
            Grammar::Method | Grammar::Path | Grammar::Version => {
                let text = text.filter(|text| *text != b"<BADREQ>" && !text.is_empty());
                out(name, missing_or(text.map(Value::Text)));
            }
            Grammar::Address | Grammar::Termination(_) | Grammar::Date | Grammar::DateUtc | Grammar::DateLocal => {
                out(name, word);
            }
            Grammar::Cookie | Grammar::Word | Grammar::Hexadecimal | Grammar::Base64 => out(name, word),
            Grammar::UrlEncoded | Grammar::Text => out(name, word),
        }
    }
}

/// A request line, taken apart. HAProxy cuts long ones; of `<BADREQ>` nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request<'a> {
    /// The method.
    pub method: Option<&'a [u8]>,
    /// The path, without its query.
    pub path: Option<&'a [u8]>,
    /// What follows the first `?`.
    pub query: Option<&'a [u8]>,
    /// For example `HTTP/1.1`.
    pub version: Option<&'a [u8]>,
}

impl<'a> Request<'a> {
    /// Takes `text` apart. The last part of a text that was cut on its way is not known.
    pub fn of(text: &'a [u8], truncated: bool) -> Self {
        if text.is_empty() || text.starts_with(b"<BADREQ>") {
            return Self::default();
        }
        let Some(space) = memchr::memchr(b' ', text) else {
            return Self { method: (!truncated).then_some(text), ..Self::default() };
        };
        let (method, rest) = (Some(&text[..space]).filter(|method| !method.is_empty()), &text[space + 1..]);
        let (target, version) = match memchr::memrchr(b' ', rest) {
            Some(space) if rest[space + 1..].starts_with(b"HTTP/") => (&rest[..space], Some(&rest[space + 1..])),
            // Cut inside of its version.
            Some(space) if truncated => (&rest[..space], None),
            _ => (rest, None),
        };
        let is_whole = !truncated || target.len() < rest.len();
        let Target { path, query } = Target::of(target);
        let is_path_whole = is_whole || query.is_some();
        Self {
            method,
            path: Some(path).filter(|path| is_path_whole && !path.is_empty()),
            query: query.filter(|_| is_whole),
            version: version.filter(|version| !truncated && is_version(version)),
        }
    }
}

impl Request<'_> {
    /// The path of a URI.
    pub fn path_of(uri: &[u8]) -> &[u8] {
        Target::of(uri).path
    }
}

/// `HTTP/1.1`, `HTTP/2`.
fn is_version(text: &[u8]) -> bool {
    match text.strip_prefix(b"HTTP/") {
        Some([major]) => major.is_ascii_digit(),
        Some([major, b'.', minor]) => major.is_ascii_digit() && minor.is_ascii_digit(),
        _ => false,
    }
}

/// The value of at most 18 digits.
pub(super) fn decimal(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |value, byte| value * 10 + u64::from(byte.wrapping_sub(b'0')))
}

/// What a request asks for.
#[derive(Clone, Copy)]
struct Target<'a> {
    path: &'a [u8],
    query: Option<&'a [u8]>,
}

impl<'a> Target<'a> {
    fn of(text: &'a [u8]) -> Self {
        match memchr::memchr(b'?', text) {
            Some(mark) => Self { path: &text[..mark], query: Some(&text[mark + 1..]) },
            None => Self { path: text, query: None },
        }
    }
}

/// Fields that metrics count or show as labels, wherever a log-format has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the field of that name in the catalogue")]
pub enum Place {
    ClientIp,
    ClientPort,
    FrontendName,
    BackendName,
    ServerName,
    TimeRequest,
    TimeQueue,
    TimeConnect,
    TimeResponse,
    TimeActive,
    TimeTotal,
    StatusCode,
    BytesRead,
    RequestBytes,
    TerminationState,
    Retries,
    SrvQueue,
    BackendQueue,
    RequestHeaders,
    ResponseHeaders,
    /// All of `%r`.
    HttpRequest,
    HttpRequestMethod,
    HttpRequestPath,
    HttpRequestUri,
    HttpVersion,
    SslVersion,
    SslCiphers,
    SslFcSni,
    SslFcIsResumed,
    UniqueId,
    LogOrigin,
    FcErrStr,
    FcErr,
    SslFcErr,
    SslFcErrStr,
}

impl Place {
    /// The name of its field.
    pub fn field(self) -> &'static str {
        Self::ALL.iter().find(|(place, _)| *place == self).map_or("", |(_, field)| field)
    }

    /// Every place, with its field's name.
    pub(super) const ALL: [(Self, &'static str); 35] = [
        (Self::ClientIp, "client_ip"),
        (Self::ClientPort, "client_port"),
        (Self::FrontendName, "frontend_name"),
        (Self::BackendName, "backend_name"),
        (Self::ServerName, "server_name"),
        (Self::TimeRequest, "time_request_ms"),
        (Self::TimeQueue, "time_queue_ms"),
        (Self::TimeConnect, "time_connect_ms"),
        (Self::TimeResponse, "time_response_ms"),
        (Self::TimeActive, "time_active_ms"),
        (Self::TimeTotal, "time_total_ms"),
        (Self::StatusCode, "status_code"),
        (Self::BytesRead, "bytes_read"),
        (Self::RequestBytes, "request_bytes"),
        (Self::TerminationState, "termination_state"),
        (Self::Retries, "retries"),
        (Self::SrvQueue, "srv_queue"),
        (Self::BackendQueue, "backend_queue"),
        (Self::RequestHeaders, "request_headers"),
        (Self::ResponseHeaders, "response_headers"),
        (Self::HttpRequest, "http_request"),
        (Self::HttpRequestMethod, "http_request_method"),
        (Self::HttpRequestPath, "http_request_path"),
        (Self::HttpRequestUri, "http_request_uri"),
        (Self::HttpVersion, "http_version"),
        (Self::SslVersion, "ssl_version"),
        (Self::SslCiphers, "ssl_ciphers"),
        (Self::SslFcSni, "ssl_fc_sni"),
        (Self::SslFcIsResumed, "ssl_fc_is_resumed"),
        (Self::UniqueId, "unique_id"),
        (Self::LogOrigin, "log_origin"),
        (Self::FcErrStr, "fc_err_str"),
        (Self::FcErr, "fc_err"),
        (Self::SslFcErr, "ssl_fc_err"),
        (Self::SslFcErrStr, "ssl_fc_err_str"),
    ];
}
