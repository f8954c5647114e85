//! HAProxy's lines in `tailmeter parse`: every field by its name, in the order of the line.
//!
//! Lines on connections, servers, checks and backends are in `notices`.
//!
//! Null: cookies and TLS fields written `-`, timers of -1, the server `<NOSRV>`, the status -1, what `<BADREQ>` and
//! cut requests lack. `<STATS>` stays: the statistics page did answer.

mod notices;

use serde::Serialize;
use tailmeter_parsers::envelope;
use tailmeter_parsers::haproxy::{Event, Http, Method, Tcp, Tls, parse_message};

use super::{Fields, Row, Text};

pub(super) use notices::{BackendFields, CheckFields, ErrorFields, ServerFields};

const FAMILY: &str = "haproxy";

/// Reads one line.
pub(super) fn read(line: &[u8]) -> Row<'_> {
    let envelope = envelope::detect(line);
    let event = match parse_message(line, &envelope) {
        Ok(event) => event,
        Err(reject) => return Row::rejected(reject),
    };
    let fields = match &event {
        Event::Http(http) => Fields::HaproxyHttp(Box::new(HttpFields::of(http))),
        Event::Tcp(tcp) => Fields::HaproxyTcp(TcpFields::of(tcp)),
        Event::Notice(notice) => match notices::fields(notice) {
            Some(fields) => fields,
            None => return Row::ignored(FAMILY, event.kind(), &envelope),
        },
    };
    Row::parsed(FAMILY, event.kind(), &envelope, fields)
}

/// A request (`option httplog`, `option httpslog`).
#[derive(Serialize)]
pub(super) struct HttpFields<'a> {
    client_ip: Text<'a>,
    client_port: u32,
    accept_date: Text<'a>,
    frontend_name: Text<'a>,
    ssl: bool,
    backend_name: Text<'a>,
    server_name: Option<Text<'a>>,
    time_request_ms: Option<i32>,
    time_queue_ms: Option<i32>,
    time_connect_ms: Option<i32>,
    time_response_ms: Option<i32>,
    time_active_ms: Option<i32>,
    logasap: bool,
    status_code: Option<i16>,
    bytes_read: u64,
    request_cookie: Option<Text<'a>>,
    response_cookie: Option<Text<'a>>,
    termination_state: Text<'a>,
    actconn: u32,
    feconn: u32,
    beconn: u32,
    srv_conn: u32,
    retries: u32,
    redispatched: bool,
    srv_queue: u32,
    backend_queue: u32,
    /// In the order of their declaration; null when the line has no such block.
    request_headers: Option<Vec<Text<'a>>>,
    response_headers: Option<Vec<Text<'a>>>,
    http_request_method: Option<Text<'a>>,
    http_request_path: Option<Text<'a>>,
    http_request_query: Option<Text<'a>>,
    http_version: Option<Text<'a>>,
    truncated: bool,
    /// Left out when the line does not have them.
    #[serde(flatten)]
    tls: Option<TlsFields<'a>>,
}

/// What `option httpslog` adds.
#[derive(Serialize)]
struct TlsFields<'a> {
    fc_err: Option<u64>,
    /// Hexadecimal, as it is written.
    ssl_fc_err: Option<Text<'a>>,
    ssl_c_err: Option<u64>,
    ssl_c_ca_err: Option<u64>,
    ssl_fc_is_resumed: Option<bool>,
    ssl_fc_sni: Option<Text<'a>>,
    ssl_version: Option<Text<'a>>,
    ssl_ciphers: Option<Text<'a>>,
}

/// A session (`option tcplog`).
#[derive(Serialize)]
pub(super) struct TcpFields<'a> {
    client_ip: Text<'a>,
    client_port: u32,
    accept_date: Text<'a>,
    frontend_name: Text<'a>,
    ssl: bool,
    backend_name: Text<'a>,
    server_name: Option<Text<'a>>,
    time_queue_ms: Option<i32>,
    time_connect_ms: Option<i32>,
    time_total_ms: Option<i32>,
    logasap: bool,
    bytes_read: u64,
    termination_state: Text<'a>,
    actconn: u32,
    feconn: u32,
    beconn: u32,
    srv_conn: u32,
    retries: u32,
    redispatched: bool,
    srv_queue: u32,
    backend_queue: u32,
}

impl<'a> HttpFields<'a> {
    fn of(http: &Http<'a>) -> Self {
        let [request, queue, connect, response, active] = http.timers_ms.map(timer);
        let [actconn, feconn, beconn, srv_conn] = http.connections();
        let [srv_queue, backend_queue] = http.queues;
        let method = match http.method() {
            Method::BadRequest => None,
            Method::Known(_) | Method::Other => present(http.raw_method()),
        };
        Self {
            client_ip: Text(http.client_ip()),
            client_port: http.client_port(),
            accept_date: Text(http.accept_date()),
            frontend_name: Text(http.frontend_name()),
            ssl: http.ssl(),
            backend_name: Text(http.backend_name()),
            server_name: server(http.server_name()),
            time_request_ms: request,
            time_queue_ms: queue,
            time_connect_ms: connect,
            time_response_ms: response,
            time_active_ms: active,
            logasap: http.logasap,
            status_code: (http.status_code >= 0).then_some(http.status_code),
            bytes_read: http.bytes_read,
            request_cookie: Text::of(http.request_cookie()),
            response_cookie: Text::of(http.response_cookie()),
            termination_state: Text(http.termination_state()),
            actconn,
            feconn,
            beconn,
            srv_conn,
            retries: http.retries,
            redispatched: http.redispatched,
            srv_queue,
            backend_queue,
            request_headers: http.request_headers().map(|all| all.map(Text).collect()),
            response_headers: http.response_headers().map(|all| all.map(Text).collect()),
            http_request_method: method,
            http_request_path: http.path().and_then(present),
            http_request_query: http.query().map(Text),
            http_version: http.http_version().map(Text),
            truncated: http.truncated,
            tls: http.tls().as_ref().map(TlsFields::of),
        }
    }
}

impl<'a> TlsFields<'a> {
    fn of(tls: &Tls<'a>) -> Self {
        Self {
            fc_err: number(tls.fc_err),
            ssl_fc_err: Text::of(tls.ssl_fc_err),
            ssl_c_err: number(tls.ssl_c_err),
            ssl_c_ca_err: number(tls.ssl_c_ca_err),
            ssl_fc_is_resumed: number(tls.ssl_fc_is_resumed).map(|resumed| resumed != 0),
            ssl_fc_sni: Text::of(tls.ssl_fc_sni),
            ssl_version: Text::of(tls.ssl_version),
            ssl_ciphers: Text::of(tls.ssl_ciphers),
        }
    }
}

impl<'a> TcpFields<'a> {
    fn of(tcp: &Tcp<'a>) -> Self {
        let [queue, connect, total] = tcp.timers_ms.map(timer);
        let [actconn, feconn, beconn, srv_conn] = tcp.connections();
        let [srv_queue, backend_queue] = tcp.queues;
        Self {
            client_ip: Text(tcp.client_ip()),
            client_port: tcp.client_port(),
            accept_date: Text(tcp.accept_date()),
            frontend_name: Text(tcp.frontend_name()),
            ssl: tcp.ssl(),
            backend_name: Text(tcp.backend_name()),
            server_name: server(tcp.server_name()),
            time_queue_ms: queue,
            time_connect_ms: connect,
            time_total_ms: total,
            logasap: tcp.logasap,
            bytes_read: tcp.bytes_read,
            termination_state: Text(tcp.termination_state()),
            actconn,
            feconn,
            beconn,
            srv_conn,
            retries: tcp.retries,
            redispatched: tcp.redispatched,
            srv_queue,
            backend_queue,
        }
    }
}

fn timer(ms: i32) -> Option<i32> {
    (ms >= 0).then_some(ms)
}

fn server(name: &[u8]) -> Option<Text<'_>> {
    (name != b"<NOSRV>").then_some(Text(name))
}

/// A part of a request: `-` is a part like others, only an empty one is missing.
fn present(bytes: &[u8]) -> Option<Text<'_>> {
    (!bytes.is_empty()).then_some(Text(bytes))
}

/// A number as HAProxy's sample fetches write it; `-` for none.
fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
