//! What clients do to a frontend: all that makes HAProxy write another kind of line.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tokio_rustls::rustls;

use crate::catalogue::Mode;
use crate::haproxy::Frontend;
use crate::lab::{Lab, find};
use crate::origin::reset;

/// Longer than any of HAProxy's.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Headers that are captured or asked for, with what a reader of lines may stumble over.
const HOSTILE: &str = "Host: www.example.net\r\nX-One: a b \"quoted\" {braces|pipes} #22 #7B \\ back\r\n\
    X-Two: \u{e9}\u{1f600}|} {x}\t\" - -\r\nX-Three: \r\nUser-Agent: Mozilla/5.0 (\"X\\\\11\"; [::1]) 200 0/0 {} \"\r\n\
    Cookie: SID=a\"b{c|d}e#22; theme=dark\r\n";

/// Requests on connections of their own: paths that HAProxy or the origin know, and targets that are hard to read.
const REQUESTS: &[&str] = &[
    "GET / HTTP/1.1",
    "GET /path/to?query=\"1\"&a={b|c}#22 HTTP/1.1",
    "GET /a%20b?x=y?z=1 HTTP/1.1",
    "HEAD http://www.example.net:80/absolute?q HTTP/1.1",
    "OPTIONS * HTTP/1.1",
    "FROB-X_1 /odd/method HTTP/1.1",
    "GET /old HTTP/1.0",
    "GET /\u{e9}\u{ff}\"<> HTTP/1.1",
    "GET //two//slashes HTTP/1.1",
    "GET /redirect HTTP/1.1",
    "GET /deny HTTP/1.1",
    "GET /return HTTP/1.1",
    "GET /stats HTTP/1.1",
    "GET /none HTTP/1.1",
    "GET /sticky HTTP/1.1",
    "GET /error HTTP/1.1",
    "GET /reset HTTP/1.1",
    "GET /close HTTP/1.1",
    "GET /garbage HTTP/1.1",
    "GET /half HTTP/1.1",
];

/// Those that take a while, for some frontends.
const SLOW: &[&str] = &["GET /down HTTP/1.1", "GET /hang HTTP/1.1", "GET /tarpit HTTP/1.1"];

/// Bytes that are no request.
const BAD: &[&[u8]] = &[
    b"\x16\x80 no HTTP at all\r\n\r\n",
    b"GET /\r\n\r\n",
    b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
    b"GET /a b c HTTP/1.1\r\n\r\n",
    b"GET / HTTP/9.x\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nfour",
    b"GET /unfinished HTT",
    b"",
];

const PROXY: &[&[u8]] = &[
    b"PROXY TCP4 192.0.2.1 203.0.113.9 56324 443\r\n",
    b"PROXY TCP6 2001:db8::1 2001:db8::80 56324 443\r\n",
    b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 65535\r\n",
];

/// A certificate for HAProxy, and clients that trust it.
pub(crate) struct Tls(Arc<ClientConfig>);

impl Tls {
    /// Writes `server.pem` into the lab.
    pub(crate) fn new(lab: &Lab) -> Self {
        let [openssl] = find([("openssl", "openssl")]);
        let run = |arguments: &str| {
            let mut command = Command::new(&openssl);
            command.current_dir(lab.path("")).args(arguments.split(' ')).stdin(Stdio::null());
            let output = command.output().unwrap();
            assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        run(&format!("req -x509 {key} -days 30 -subj /CN=ca -keyout ca.key -out ca.pem"));
        lab.write("names", "subjectAltName=DNS:www.example.net,IP:192.0.2.80\n");
        run(&format!("req -new {key} -subj /CN=www.example.net -keyout server.key -out server.csr"));
        run(
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile names -out server.crt",
        );
        let read = |name: &str| fs::read(lab.path(name)).unwrap();
        fs::write(lab.path("server.pem"), [read("server.crt"), read("server.key")].concat()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(lab.path("ca.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        Self(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
    }

    /// A request behind a TLS handshake; `name` is a host, which is sent, or an address, which is not.
    fn request(&self, path: &Path, name: &'static str, request: &[u8]) {
        let mut stream = connect(path);
        stream.write_all(PROXY[0]).unwrap();
        let name = ServerName::try_from(name).unwrap();
        let connection = ClientConnection::new(Arc::clone(&self.0), name).unwrap();
        let stream = StreamOwned::new(connection, stream);
        exchange(stream, request);
    }
}

fn connect(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream
}

/// A request as bytes, each character below U+0100 of the line as one byte.
fn request(line: &str, connection: &str) -> Vec<u8> {
    let line = line.chars().map(|character| u8::try_from(u32::from(character)).unwrap());
    let head = format!("\r\n{HOSTILE}Connection: {connection}\r\n\r\n");
    line.chain(head.into_bytes()).collect()
}

/// Writes, and reads until HAProxy has closed, which it may do before it has read everything.
fn exchange(mut stream: impl Read + Write, bytes: &[u8]) {
    if stream.write_all(bytes).is_ok() {
        let _ = stream.read_to_end(&mut Vec::new());
    }
}

fn tcp(frontend: &Frontend) -> TcpStream {
    let stream = TcpStream::connect(frontend.tcp).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream
}

/// All kinds of traffic at one frontend; `turn` spreads what would take too long for each.
pub(crate) fn drive(frontend: &Frontend, tls: &Tls, turn: usize) {
    match frontend.mode {
        Mode::Http => http(frontend, turn),
        Mode::Tcp => plain(frontend, turn),
    }
    let Some(path) = &frontend.tls else { return };
    // The second of the same name resumes the first.
    for name in ["www.example.net", "www.example.net", "192.0.2.80"] {
        tls.request(path, name, &request("GET /secret HTTP/1.1", "close"));
    }
    // A handshake that is none.
    exchange(connect(path), &[PROXY[1], b"GET / HTTP/1.1\r\n\r\n"].concat());
}

fn http(frontend: &Frontend, turn: usize) {
    for (count, line) in REQUESTS.iter().chain([&SLOW[turn % SLOW.len()]]).enumerate() {
        let request = request(line, "close");
        match (count % 3, &frontend.unix) {
            (0, Some(path)) => exchange(connect(path), &request),
            (1, _) => exchange(connect(&frontend.proxied), &[PROXY[count / 3 % PROXY.len()], &request].concat()),
            _ => exchange(tcp(frontend), &request),
        }
    }
    // A body, and three requests on one connection.
    let body = "x".repeat(5_000);
    let post = format!("POST /form HTTP/1.1\r\n{HOSTILE}Content-Length: {}\r\n\r\n{body}", body.len());
    let more = [request("GET /second HTTP/1.1", "keep-alive"), request("GET /third HTTP/1.1", "close")];
    exchange(tcp(frontend), &[post.into_bytes(), more.concat()].concat());
    // A connection that is kept until HAProxy closes it.
    exchange(tcp(frontend), &request("GET /kept HTTP/1.1", "keep-alive"));
    for bytes in [BAD[turn % BAD.len()], BAD[(turn + 1) % BAD.len()]] {
        exchange(tcp(frontend), bytes);
    }
    // Clients that go away: in the middle of a request, and while the server thinks.
    let _ = tcp(frontend).write_all(b"GET /gone HTTP/1.1\r\nHo");
    let mut stream = tcp(frontend);
    let _ = stream.write_all(&request("GET /hang HTTP/1.1", "close"));
    reset(&stream).unwrap();
}

fn plain(frontend: &Frontend, turn: usize) {
    let says: [&[u8]; 4] = [b"hello, \"world\" {a|b} #22", b"\xff\x80\xc3\xa9 16 bytes or more", b"short", b""];
    for (count, bytes) in says.iter().enumerate() {
        let mut stream = tcp(frontend);
        // HAProxy may have closed already.
        let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write));
        exchange(stream, b"");
        let mut proxied = connect(&frontend.proxied);
        let bytes = [PROXY[count % PROXY.len()], bytes].concat();
        let _ = proxied.write_all(&bytes).and_then(|()| proxied.shutdown(Shutdown::Write));
        exchange(proxied, b"");
    }
    if let Some(path) = &frontend.unix {
        let stream = connect(path);
        let _ = stream.shutdown(Shutdown::Write);
        exchange(stream, b"");
    }
    // One that says nothing until HAProxy has enough of it, and one that crashes.
    if turn.is_multiple_of(4) {
        exchange(tcp(frontend), b"");
    }
    let mut stream = tcp(frontend);
    let _ = stream.write_all(b"crash");
    reset(&stream).unwrap();
}
