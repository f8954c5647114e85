//! The HTTP endpoint as a client on the network sees it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is the failure")]

#[path = "http/negotiation.rs"]
mod negotiation;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tailmeter::exposition::{Exposition, Head, Number, Protocol, Rendering, Sample, Selection, Table, Type};
use tailmeter::http::{EndingStatus, Options, Pages, SourceStatus, serve};

/// No test waits longer for anything.
const DEADLINE: Duration = Duration::from_secs(20);

/// Pages whose rendering can be held up.
struct Fixture {
    exposition: Arc<Exposition>,
    sources: Vec<SourceStatus>,
    endings: Vec<EndingStatus>,
    is_ready: AtomicBool,
    renderings: AtomicUsize,
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Default for Fixture {
    fn default() -> Self {
        Self {
            exposition: exposition(&[String::new()]),
            sources: Vec::new(),
            endings: Vec::new(),
            is_ready: AtomicBool::new(true),
            renderings: AtomicUsize::new(0),
            is_open: Mutex::new(true),
            opened: Condvar::new(),
        }
    }
}

/// A counter with a sample for each of `labels`.
fn exposition(labels: &[String]) -> Arc<Exposition> {
    let head = Head::plain("a_total", "A.", Type::Counter);
    let sample = |labels: &String| Sample { labels: labels.clone(), value: Number::Whole(1), created_ms: None };
    let mut exposition = Exposition::default();
    exposition.add("a", vec![Table::told(head, labels.iter().map(sample).collect())]);
    Arc::new(exposition)
}

/// One whose text takes a little more than so many MiB.
fn large(mebibytes: usize) -> Fixture {
    let labels = (0..16 * mebibytes).map(|number| format!("x=\"{number}{}\"", "#".repeat(64 * 1024)));
    Fixture { exposition: exposition(&labels.collect::<Vec<_>>()), ..Fixture::default() }
}

impl Fixture {
    /// What `/metrics` answers if nothing else is asked for.
    fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        Rendering::new(Arc::clone(&self.exposition), Protocol::Text004, Selection::default()).write_all(&mut text);
        text
    }

    fn hold(&self, held: bool) {
        *self.is_open.lock().unwrap() = !held;
        self.opened.notify_all();
    }
}

impl Pages for Fixture {
    fn exposition(&self) -> Arc<Exposition> {
        self.renderings.fetch_add(1, Ordering::SeqCst);
        let guard = self.is_open.lock().unwrap();
        drop(self.opened.wait_while(guard, |is_open| !*is_open).unwrap());
        Arc::clone(&self.exposition)
    }

    fn families(&self) -> Vec<&'static str> {
        vec!["a", "b"]
    }

    fn sources(&self) -> Vec<SourceStatus> {
        self.sources.clone()
    }

    fn endings(&self) -> Vec<EndingStatus> {
        self.endings.clone()
    }

    fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::SeqCst)
    }
}

/// A running endpoint; stopped when dropped.
struct Server {
    address: SocketAddr,
    pages: Arc<Fixture>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Server {
    fn start(options: Options) -> Self {
        Self::with(Fixture::default(), options)
    }

    fn with(pages: Fixture, options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let pages = Arc::new(pages);
        let served: Arc<dyn Pages> = pages.clone();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            let shutdown = async {
                let _ = stopped.await;
            };
            runtime.block_on(serve(listener, served, options, shutdown))
        });
        Self { address, pages, stop: Some(stop), thread: Some(thread) }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    fn get(&self, path: &str) -> Response {
        self.request("GET", path)
    }

    fn request(&self, method: &str, path: &str) -> Response {
        let mut stream = self.connect();
        ask(&mut stream, method, path, "Connection: close\r\n");
        answer(stream)
    }

    /// Begins the shutdown, without waiting.
    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits for the shutdown to end.
    fn join(&mut self) -> io::Result<()> {
        let thread = self.thread.take().unwrap();
        until("the server ends", || thread.is_finished());
        thread.join().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.pages.hold(false);
        self.stop.take();
    }
}

/// Polls for a condition.
fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn ask(stream: &mut TcpStream, method: &str, path: &str, headers: &str) {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
}

#[derive(Debug)]
struct Response {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Response {
    fn of(bytes: &[u8]) -> Self {
        let end = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap_or_else(|| panic!("no head in {:?}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut response = Self { status: head[9..12].parse().unwrap(), head, body: bytes[end + 4..].to_vec() };
        if response.header("transfer-encoding") == Some("chunked") && !response.body.is_empty() {
            response.body = unchunked(&response.body);
        }
        response
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// The content of `chunks`, which must all be there.
fn unchunked(mut chunks: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    loop {
        let end = chunks.windows(2).position(|two| two == b"\r\n").expect("the length of a chunk");
        let length = usize::from_str_radix(std::str::from_utf8(&chunks[..end]).unwrap(), 16).unwrap();
        let chunk = &chunks[end + 2..];
        content.extend_from_slice(&chunk[..length]);
        assert!(chunk[length..].starts_with(b"\r\n"));
        chunks = &chunk[length + 2..];
        if length == 0 {
            return content;
        }
    }
}

/// Everything until the server closes.
fn answer(mut stream: TcpStream) -> Response {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    Response::of(&bytes)
}

/// One response of a connection that stays open.
fn next_answer(stream: &mut TcpStream) -> Response {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
    let mut response = Response::of(&bytes);
    let length = response.header("content-length").unwrap().parse().unwrap();
    response.body = vec![0; length];
    stream.read_exact(&mut response.body).unwrap();
    response
}

/// True once the server has closed, orderly or not, without sending anything else.
fn is_cut(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => rest.is_empty(),
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn metrics() {
    let server = Server::start(Options::default());
    let response = server.get("/metrics?any=query");
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(response.text(), "# HELP a_total A.\n# TYPE a_total counter\na_total 1\n");
}

#[test]
fn health_and_readiness() {
    let server = Server::start(Options::default());
    assert_eq!(server.get("/-/healthy").status, 200);
    server.pages.is_ready.store(false, Ordering::SeqCst);
    assert_eq!(server.get("/-/ready").status, 503);
    assert_eq!(server.get("/-/healthy").status, 200);
    server.pages.is_ready.store(true, Ordering::SeqCst);
    let ready = server.get("/-/ready");
    assert_eq!((ready.status, ready.text()), (200, "tailmeter is ready.\n"));
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let server = Server::start(Options::default());
    for path in ["/", "/metrics", "/-/healthy", "/-/ready"] {
        let (get, head) = (server.get(path), server.request("HEAD", path));
        assert_eq!(head.status, 200, "{path}");
        assert_eq!(head.body, b"", "{path}");
        for name in ["content-type", "content-length"] {
            assert!(get.header(name).is_some(), "{path}: {name}");
            assert_eq!(head.header(name), get.header(name), "{path}: {name}");
        }
    }
}

#[test]
fn other_paths_and_methods() {
    let server = Server::start(Options::default());
    for path in ["/metrics/", "/-/", "/favicon.ico", "//", "/nothing"] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
    assert_eq!(server.request("POST", "/nothing").status, 404);
    assert_eq!(server.request("OPTIONS", "*").status, 404);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        let response = server.request(method, "/metrics");
        assert_eq!(response.status, 405, "{method}");
        assert_eq!(response.header("allow"), Some("GET, HEAD"), "{method}");
    }
}

#[test]
fn one_connection_serves_many_requests() {
    let server = Server::start(Options::default());
    let mut stream = server.connect();
    for _ in 0..10 {
        ask(&mut stream, "GET", "/metrics", "");
        assert_eq!(next_answer(&mut stream).body, server.pages.text());
    }
}

#[test]
fn a_request_body_is_not_waited_for() {
    let server = Server::start(Options::default());
    let mut stream = server.connect();
    ask(&mut stream, "GET", "/metrics", "Content-Length: 1000000\r\n");
    assert_eq!(next_answer(&mut stream).status, 200);
    assert!(is_cut(&mut stream));
}

#[test]
fn the_page_shows_the_sources_and_escapes_their_names() {
    let fixture = Fixture {
        sources: vec![
            SourceStatus {
                name: "/var/log/haproxy.log".to_owned(),
                format: "haproxy",
                up: true,
                read_bytes: 1_234_567_890,
                lag_bytes: 0,
                lines: [4_200_000, 17, 3],
            },
            SourceStatus {
                name: "</table><script>alert(\"1\")</script>&'\n".to_owned(),
                format: "postfix",
                ..SourceStatus::default()
            },
        ],
        endings: (0..12)
            .map(|index| EndingStatus {
                state: format!("<{index}"),
                count: 12_000 - index,
                meaning: "By a `rule` & more.".to_owned(),
            })
            .collect(),
        ..Fixture::default()
    };
    let server = Server::with(fixture, Options::default());
    let response = server.get("/");
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"));
    let page = response.text();
    assert!(!page.contains("<script"));
    for part in [
        "<title>tailmeter</title>",
        env!("CARGO_PKG_VERSION"),
        "href=\"metrics\"",
        "href=\"-/healthy\"",
        "/var/log/haproxy.log",
        "<span class=\"state up\">up</span></td><td>haproxy</td>",
        "title=\"1\u{202f}234\u{202f}567\u{202f}890 bytes\">1.2 GB</td>",
        "4\u{202f}200\u{202f}000",
        "&lt;/table&gt;&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;\\n",
        "<span class=\"state down\">down</span></td><td>postfix</td>",
        "<td><code>&lt;0</code></td><td class=\"n\">12\u{202f}000</td><td class=\"w\">By a <code>rule</code> &amp; more.</td>",
        "<code>&lt;9</code>",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(!page.contains("&lt;10"), "only the commonest: {page}");
    // Every element that is opened is closed, in order.
    let mut open = Vec::new();
    for tag in page.split('<').skip(1) {
        let tag = tag.split(['>', ' ', '\n']).next().unwrap();
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed));
        } else if !matches!(tag, "!doctype" | "meta") {
            open.push(tag);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn the_pages_policy_allows_its_style_sheet_and_nothing_else() {
    let server = Server::start(Options::default());
    let response = server.get("/");
    let page = response.text();
    let style = page.split("<style>").nth(1).unwrap();
    let style = style.split("</style>").next().unwrap();
    let hash = sha256_base64(style.as_bytes());
    assert_eq!(
        response.header("content-security-policy").unwrap(),
        format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'"
        )
    );
}

fn sha256_base64(bytes: &[u8]) -> String {
    let mut sum = Command::new("sha256sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sha256sum, of the package coreutils, must be installed");
    sum.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = sum.wait_with_output().unwrap().stdout;
    let hex = std::str::from_utf8(&output[..64]).unwrap();
    let bits: Vec<u32> = hex
        .chars()
        .map(|digit| digit.to_digit(16).unwrap())
        .flat_map(|digit| (0..4).rev().map(move |bit| (digit >> bit) & 1))
        .collect();
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for six in bits.chunks(6) {
        let index = (0..6).fold(0, |index, bit| (index << 1) | six.get(bit).unwrap_or(&0));
        text.push(char::from(alphabet[index as usize]));
    }
    // 256 bits are 43 digits and one of padding.
    text.push('=');
    text
}

#[test]
fn a_slow_request_head_is_cut() {
    let server = Server::start(Options { head_timeout: Duration::from_millis(500), ..Options::default() });
    // Stuck in the head of a second request; silent; stuck in the first head.
    let mut second = server.connect();
    ask(&mut second, "GET", "/metrics", "");
    next_answer(&mut second);
    second.write_all(b"GET").unwrap();
    let silent = server.connect();
    let mut stuck = server.connect();
    stuck.write_all(b"GET /metrics HTTP/1.1\r\nHost:").unwrap();
    // A drip of bytes does not prolong it.
    let drip = server.connect();
    drip.set_nonblocking(true).unwrap();
    until("the drip is cut", || {
        let mut stream = &drip;
        if stream.write_all(b"G").is_err() {
            return true;
        }
        let is_open = matches!(stream.read_exact(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
        !is_open
    });
    for mut stream in [silent, stuck, second] {
        assert!(is_cut(&mut stream));
    }
}

#[test]
fn an_idle_connection_may_live_longer_than_a_slow_head() {
    let server = Server::start(Options {
        head_timeout: Duration::from_millis(500),
        idle_timeout: Duration::from_millis(1500),
        ..Options::default()
    });
    let mut stream = server.connect();
    ask(&mut stream, "GET", "/-/healthy", "");
    let asked = Instant::now();
    next_answer(&mut stream);
    assert!(is_cut(&mut stream));
    assert!(asked.elapsed() >= Duration::from_millis(1400));
}

#[test]
fn a_slow_reader_is_cut() {
    let server = Server::with(
        // More than the socket buffers of both ends take.
        large(64),
        Options { response_timeout: Duration::from_millis(500), max_connections: 1, ..Options::default() },
    );
    let mut slow = server.connect();
    ask(&mut slow, "GET", "/metrics", "");
    slow.read_exact(&mut [0]).unwrap();
    // The only slot is his until he is cut.
    assert_eq!(server.get("/-/healthy").status, 200);
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest);
    assert!(rest.len() < server.pages.text().len());
}

#[test]
fn more_clients_than_slots_are_all_served() {
    let server = Server::start(Options { max_connections: 4, ..Options::default() });
    let answered = AtomicUsize::new(0);
    // Every second client would keep its connection after its answer, which must not keep the others out.
    std::thread::scope(|scope| {
        for client in 0..100 {
            let (server, answered) = (&server, &answered);
            scope.spawn(move || {
                let mut stream = server.connect();
                let close = if client % 2 == 0 { "Connection: close\r\n" } else { "" };
                ask(&mut stream, "GET", "/metrics", close);
                assert_eq!(next_answer(&mut stream).body, server.pages.text());
                answered.fetch_add(1, Ordering::SeqCst);
                until("all are served", || answered.load(Ordering::SeqCst) == 100);
            });
        }
    });
}

#[test]
fn scrapes_that_wait_together_share_one_rendering() {
    let server = Server::start(Options::default());
    server.pages.hold(true);
    let mut first = server.connect();
    ask(&mut first, "GET", "/metrics", "Connection: close\r\n");
    until("the first renders", || server.pages.renderings.load(Ordering::SeqCst) == 1);
    let mut others: Vec<TcpStream> = (0..20).map(|_| server.connect()).collect();
    for stream in &mut others {
        ask(stream, "GET", "/metrics", "Connection: close\r\n");
    }
    // Health does not wait for a rendering. All connections before this one have been accepted then, though some
    // of their requests may be read only later.
    assert_eq!(server.get("/-/healthy").status, 200);
    server.pages.hold(false);
    for stream in others.into_iter().chain([first]) {
        assert_eq!(answer(stream).body, server.pages.text());
    }
    let renderings = server.pages.renderings.load(Ordering::SeqCst);
    assert!((2..=10).contains(&renderings), "{renderings}");
}

#[test]
fn a_rendering_that_takes_too_long_is_answered_503() {
    let server = Server::start(Options { response_timeout: Duration::from_millis(500), ..Options::default() });
    server.pages.hold(true);
    assert_eq!(server.get("/metrics").status, 503);
    server.pages.hold(false);
    assert_eq!(server.get("/metrics").status, 200);
}

#[test]
fn an_oversize_head_is_refused() {
    let server = Server::start(Options::default());
    let mut stream = server.connect();
    let head = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(16 * 1024));
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(next_answer(&mut stream).status, 431);
    // What is just below the limit passes.
    let mut stream = server.connect();
    let filler = format!("X: {}\r\nConnection: close\r\n", "x".repeat(15 * 1024));
    ask(&mut stream, "GET", "/metrics", &filler);
    assert_eq!(answer(stream).status, 200);
}

#[test]
fn garbage_is_a_bad_request() {
    let server = Server::start(Options::default());
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nno colon\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let mut stream = server.connect();
        stream.write_all(garbage).unwrap();
        assert_eq!(next_answer(&mut stream).status, 400, "{garbage:?}");
        assert!(is_cut(&mut stream));
    }
    assert_eq!(server.get("/-/healthy").status, 200);
}

#[test]
fn shutdown_finishes_what_is_under_way() {
    let mut server = Server::with(large(32), Options { shutdown_timeout: DEADLINE, ..Options::default() });
    let mut idle = server.connect();
    ask(&mut idle, "GET", "/-/healthy", "");
    next_answer(&mut idle);
    // One response that is being written, and one that is being rendered.
    let mut written = server.connect();
    ask(&mut written, "GET", "/metrics", "");
    written.read_exact(&mut [0]).unwrap();
    server.pages.hold(true);
    let mut rendered = server.connect();
    ask(&mut rendered, "GET", "/metrics", "");
    until("the second renders", || server.pages.renderings.load(Ordering::SeqCst) == 2);
    server.stop();
    assert!(is_cut(&mut idle));
    until("nothing is accepted any more", || TcpStream::connect(server.address).is_err());
    server.pages.hold(false);
    let mut rest = Vec::new();
    written.read_to_end(&mut rest).unwrap();
    assert!(rest.len() > 32 << 20);
    let response = answer(rendered);
    assert_eq!(response.header("connection"), Some("close"));
    assert_eq!(response.body, server.pages.text());
    server.join().unwrap();
}

#[test]
fn shutdown_does_not_wait_for_ever() {
    let mut server =
        Server::with(large(64), Options { shutdown_timeout: Duration::from_millis(200), ..Options::default() });
    let mut slow = server.connect();
    ask(&mut slow, "GET", "/metrics", "");
    slow.read_exact(&mut [0]).unwrap();
    server.stop();
    server.join().unwrap();
}
