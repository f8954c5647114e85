//! One request at a time to a server, over HTTP/1.1: within the server's time, without following it elsewhere, and with no
//! more of its answer in memory than is worth reading.

use std::fmt;
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::ServerName;

use super::Server;

/// Bytes of an answer's head, and of its content, that are read.
const MAX_HEAD: usize = 64 << 10;
const MAX_ANSWER: usize = 64 << 10;
/// Characters of an answer's content that are shown.
const MAX_SHOWN: usize = 300;

const USER_AGENT: &str = concat!("tailmeter/", env!("CARGO_PKG_VERSION"));

/// Headers that the protocols and the client write themselves.
const RESERVED: [&str; 7] = [
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "x-prometheus-remote-write-version",
];

/// Headers of a protocol: names, in lower case, and values.
pub(super) type Headers = &'static [(&'static str, &'static str)];

/// A header that the operator wants requests to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub(super) name: HeaderName,
    pub(super) value: HeaderValue,
}

/// Why there can be no such header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HeaderError(String);

impl Header {
    /// The header `name` with `value`, which may be a secret.
    ///
    /// # Errors
    /// There is no such name or value in HTTP, or the header is tailmeter's to write.
    pub fn new(name: &str, value: &str) -> Result<Self, HeaderError> {
        let header = HeaderName::from_bytes(name.as_bytes());
        let header = header.map_err(|_| HeaderError("this cannot be the name of a header".to_owned()))?;
        if RESERVED.contains(&header.as_str()) {
            return Err(HeaderError(format!("the header `{header}` is written by tailmeter")));
        }
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| HeaderError(format!("the value of `{header}` cannot stand in a header")))?;
        value.set_sensitive(true);
        Ok(Self { name: header, value })
    }
}

/// What a server answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The beginning of its content.
    pub(super) content: Vec<u8>,
}

impl Answer {
    /// For how long the server does not want to be asked again.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
        match text.parse() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => {
                let then = httpdate::parse_http_date(text).ok()?;
                Some(then.duration_since(SystemTime::now()).unwrap_or_default())
            }
        }
    }

    /// The status, and what the server says to it.
    pub(super) fn shown(&self) -> String {
        self.shown_with(&String::from_utf8_lossy(&self.content))
    }

    /// The status, and `said` in one line.
    pub(super) fn shown_with(&self, said: &str) -> String {
        let mut shown = format!("the server answers {}", self.status);
        if self.status.is_redirection() {
            let place = self.headers.get(header::LOCATION).map(HeaderValue::as_bytes).unwrap_or_default();
            let place = one_line(&String::from_utf8_lossy(place));
            shown.push_str(&format!(" ({place}), and redirects are not followed: give the right address"));
        }
        match one_line(said) {
            said if said.is_empty() => shown,
            said => format!("{shown}: {said}"),
        }
    }
}

/// `text` in one line that is not too long.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|character: char| character.is_whitespace() || character.is_control()) {
        if !word.is_empty() {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
        if let Some((end, _)) = line.char_indices().nth(MAX_SHOWN) {
            line.truncate(end);
            line.push('…');
            break;
        }
    }
    line
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Silence(String);

impl fmt::Display for Silence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Whatever bytes are exchanged by.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// An open connection, closed when dropped.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
    login: Option<HeaderValue>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Talks to one server, over one connection as long as that works.
pub(super) struct Client<'s> {
    server: &'s Server,
    connection: Option<Connection>,
}

impl<'s> Client<'s> {
    pub(super) fn new(server: &'s Server) -> Self {
        Self { server, connection: None }
    }

    /// Closes the connection.
    pub(super) fn close(&mut self) {
        self.connection = None;
    }

    /// Sends `content`, and returns what the server answers.
    ///
    /// # Errors
    /// There was no answer within the server's time.
    pub(super) async fn send(&mut self, method: &Method, headers: Headers, content: &Bytes) -> Result<Answer, Silence> {
        let server = self.server;
        let exchange = async {
            loop {
                let kept = self.connection.take();
                let is_kept = kept.is_some();
                let mut connection = match kept {
                    Some(connection) => connection,
                    None => Connection::open(server).await?,
                };
                let request = request(server, method, headers, content, connection.login.as_ref())?;
                match connection.exchange(request).await {
                    // The server may close what nobody uses, at any moment.
                    Err(_) if is_kept => {}
                    Err(silence) => return Err(silence),
                    Ok((answer, is_whole)) => {
                        // After a refusal it begins anew, with what is in the files then.
                        self.connection = Some(connection).filter(|_| is_whole && answer.status.is_success());
                        return Ok(answer);
                    }
                }
            }
        };
        match timeout(server.timeout, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => {
                self.close();
                let seconds = server.timeout.as_secs_f64();
                Err(Silence(format!("{} did not answer within {seconds} s", server.url.authority())))
            }
        }
    }
}

impl Connection {
    async fn open(server: &Server) -> Result<Self, Silence> {
        let (url, place) = (&server.url, server.url.authority());
        let login = server.login.header(url).map_err(Silence)?;
        let connected = TcpStream::connect((url.host.as_str(), url.port)).await;
        let stream = connected.map_err(|error| Silence(format!("cannot connect to {place}: {error}")))?;
        // Requests are written whole. Failure costs nothing but a delay.
        let _ = stream.set_nodelay(true);
        let stream: Box<dyn Stream> = if url.is_https {
            let connector = server.tls.connector().map_err(|error| Silence(error.to_string()))?;
            let name = server.tls.server_name.clone().unwrap_or_else(|| url.host.clone());
            let name = ServerName::try_from(name).map_err(|error| Silence(format!("{place}: {error}")))?;
            let secured = connector.connect(name, stream).await;
            Box::new(secured.map_err(|error| Silence(format!("no TLS with {place}: {error}")))?)
        } else {
            Box::new(stream)
        };
        let shaken = http1::Builder::new().max_buf_size(MAX_HEAD).handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(|error| Silence(format!("{place}: {error}")))?;
        let driver = tokio::spawn(async {
            // What goes wrong is told to whoever waits for the answer.
            let _ = connection.await;
        });
        Ok(Self { sender, driver, login })
    }

    /// The answer, and whether all of it was read.
    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<(Answer, bool), Silence> {
        let broken = |error: hyper::Error| Silence(format!("the connection broke: {}", with_causes(&error)));
        self.sender.ready().await.map_err(broken)?;
        let response: Response<Incoming> = self.sender.send_request(request).await.map_err(broken)?;
        let (head, mut body) = response.into_parts();
        let mut content = Vec::new();
        while let Some(frame) = body.frame().await {
            // The status says what matters: an answer that breaks off is one.
            let Ok(frame) = frame else { return Ok((answer(head, content), false)) };
            let Ok(data) = frame.into_data() else { continue };
            let room = MAX_ANSWER - content.len();
            content.extend_from_slice(data.get(..room).unwrap_or(&data));
            if content.len() == MAX_ANSWER {
                return Ok((answer(head, content), false));
            }
        }
        Ok((answer(head, content), true))
    }
}

fn answer(head: hyper::http::response::Parts, content: Vec<u8>) -> Answer {
    Answer { status: head.status, headers: head.headers, content }
}

fn request(
    server: &Server,
    method: &Method,
    headers: Headers,
    content: &Bytes,
    login: Option<&HeaderValue>,
) -> Result<Request<Full<Bytes>>, Silence> {
    let host = server.url.authority();
    let mut request = Request::builder().method(method).uri(&server.url.path).header(header::HOST, &host);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let has = |name: HeaderName| server.headers.iter().any(|header| header.name == name);
    if !has(header::USER_AGENT) {
        request = request.header(header::USER_AGENT, USER_AGENT);
    }
    if let Some(login) = login {
        request = request.header(header::AUTHORIZATION, login);
    }
    for header in &server.headers {
        request = request.header(&header.name, &header.value);
    }
    request.body(Full::new(content.clone())).map_err(|error| Silence(format!("{}: {error}", server.url)))
}

/// An error and what caused it.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Some repeat themselves.
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(&format!(": {said}"));
        }
        cause = error.source();
    }
    text
}

/// Makes sure that requests to `server` can be made at all.
///
/// # Errors
/// Which file is unusable, and why.
pub(super) fn check(server: &Server) -> Result<(), String> {
    server.login.header(&server.url)?;
    if server.url.is_https {
        server.tls.connector().map_err(|error| error.to_string())?;
        if let Some(name) = &server.tls.server_name {
            ServerName::try_from(name.as_str()).map_err(|error| format!("{name}: {error}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_shown_in_one_short_line() {
        assert_eq!(one_line(" a\r\n\tb\u{7}c  d "), "a b c d");
        let long = one_line(&"é ".repeat(9999));
        assert_eq!((long.chars().count(), long.chars().last()), (MAX_SHOWN + 1, Some('…')));
    }

    #[test]
    fn a_wish_to_be_left_alone_is_a_number_or_a_date() {
        let wish = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.extend(HeaderValue::from_str(value).ok().map(|value| (header::RETRY_AFTER, value)));
            Answer { status: StatusCode::SERVICE_UNAVAILABLE, headers, content: Vec::new() }.retry_after()
        };
        assert_eq!(wish(" 120 "), Some(Duration::from_secs(120)));
        let later = SystemTime::now() + Duration::from_secs(600);
        let rest = wish(&httpdate::fmt_http_date(later)).unwrap_or_default().as_secs();
        assert!((500..=600).contains(&rest), "{rest}");
        assert_eq!(wish("Fri, 31 Dec 1999 23:59:59 GMT"), Some(Duration::ZERO));
        for none in ["", "soon", "-1", "99999999999999999999999"] {
            assert_eq!(wish(none), None, "{none}");
        }
    }

    #[test]
    fn headers_of_the_protocol_are_not_the_operator_s() {
        assert!(Header::new("X-Scope-OrgID", "web").is_ok());
        for (name, value) in [("Content-Type", "a"), ("host", "a"), ("a b", "c"), ("", "c"), ("x", "a\nb")] {
            assert!(Header::new(name, value).is_err(), "{name}: {value}");
        }
        let header = Header::new("x-key", "secret");
        assert!(!format!("{header:?}").contains("secret"));
    }
}
