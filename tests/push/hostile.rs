//! Servers that answer slowly, endlessly, somewhere else, or not at all.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::{DEADLINE, Ended, Exporter, LOG, append, ended, peak_memory, sum, tailmeter, until, wait};
use crate::servers::{Puppet, file, free_port};

const TAKEN: &str = "HTTP/1.1 204 No Content\r\n\r\n";

/// A one-shot run that pushes to `port`, and how long it took.
fn pushed(port: u16) -> (Ended, Duration) {
    let folder = TempDir::new().unwrap();
    let log = file(folder.path(), "a.log", LOG);
    let url = format!("http://127.0.0.1:{port}");
    let mut command = tailmeter();
    command.args(["replay", "--format", "haproxy", "--push-timeout", "1", "--push-gateway", &url]).arg(log);
    let started = Instant::now();
    (ended(&mut command), started.elapsed())
}

/// Keeps the connection until the client closes it.
fn hold(stream: &mut TcpStream) {
    let _ = stream.read(&mut [0]);
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let puppet = Puppet::new(|_, stream| hold(stream));
    let (failed, took) = pushed(puppet.port);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.stderr.contains("did not answer within 1 s"), "{failed:?}");
    assert!(took < DEADLINE / 2);
}

#[test]
fn an_answer_that_drips_is_given_up() {
    let puppet = Puppet::new(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
        // Each byte comes when the one before has gone out: this ends when the client goes.
        while stream.write_all(b"x").and_then(|()| stream.flush()).is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
    });
    let (failed, _) = pushed(puppet.port);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.stderr.contains("did not answer within 1 s"), "{failed:?}");
}

#[test]
fn of_an_endless_answer_the_beginning_is_enough() {
    let (send, sent) = channel();
    let puppet = Puppet::new(move |_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 413 Too Much\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut bytes = 0u64;
        while stream.write_all(format!("10000\r\n{}\r\n", "no! ".repeat(0x4000)).as_bytes()).is_ok() {
            bytes += 0x10000;
        }
        let _ = send.send(bytes);
    });
    let (failed, _) = pushed(puppet.port);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.stderr.contains("413") && failed.stderr.contains(": no! no! "), "{failed:?}");
    assert!(failed.stderr.len() < 1000, "{}", failed.stderr.len());
    // What the kernel holds, and no more.
    assert!(sent.recv_timeout(DEADLINE).unwrap() < 64 << 20);
}

#[test]
fn whatever_is_no_answer_is_a_failure() {
    let head = Box::leak(format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)).into_boxed_str());
    let cases: [(&'static str, &str); 6] = [
        ("", "the connection broke"),
        ("HTTP/1.1 200", "the connection broke"),
        ("SSH-2.0-OpenSSH_9\r\n", "the connection broke"),
        ("HTTP/1.1 99999 OK\r\n\r\n", "the connection broke"),
        (head, "the connection broke"),
        (
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n",
            "307 Temporary Redirect (http://127.0.0.1:1/x), and redirects are not followed",
        ),
    ];
    for (answer, why) in cases {
        let puppet = Puppet::new(move |_, stream| {
            let _ = stream.write_all(answer.as_bytes());
        });
        let (failed, _) = pushed(puppet.port);
        assert_eq!(failed.code, Some(1), "{failed:?}");
        assert!(failed.stderr.contains(why), "{why}: {failed:?}");
        puppet.request();
        assert!(puppet.is_quiet());
    }
}

#[test]
fn nobody_there_is_a_failure() {
    let (failed, _) = pushed(free_port());
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.stderr.contains("Connection refused"), "{failed:?}");
}

#[test]
fn an_answer_that_breaks_off_is_one() {
    let puppet = Puppet::saying(&["HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx"]);
    let (done, _) = pushed(puppet.port);
    assert_eq!(done.code, Some(0), "{done:?}");
}

/// A running exporter with a log of a few lines that pushes to `port` every second.
struct Pusher {
    exporter: Exporter,
    folder: TempDir,
}

impl Pusher {
    fn start(port: u16, settings: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let log = file(folder.path(), "a.log", "");
        let url = format!("http://127.0.0.1:{port}/api/v1/write");
        let config = format!(
            "sources: [{{file: {log:?}, format: haproxy}}]\npush: {{remote_write: {{url: {url}, interval: 1s{settings}}}}}\n"
        );
        let config = file(folder.path(), "c.yml", &config);
        let exporter = Exporter::start(["--config", config.to_str().unwrap()]);
        append(&log, LOG);
        Self { exporter, folder }
    }

    /// The next that it says of pushes.
    fn says(&self) -> String {
        std::iter::repeat_with(|| self.exporter.says()).find(|line| line.starts_with("push, ")).unwrap()
    }

    fn pushes(&self, outcome: &str) -> f64 {
        let text = self.exporter.metrics();
        sum_of(&text, "tailmeter_push_requests_total", &format!("outcome=\"{outcome}\""))
    }

    fn until(&self, what: &str, mut condition: impl FnMut(&str) -> bool) {
        until(what, || condition(&self.exporter.metrics()));
    }
}

fn sum_of(text: &str, metric: &str, label: &str) -> f64 {
    text.lines().filter(|line| line.starts_with(metric) && line.contains(label)).map(|line| sum(line, metric)).sum()
}

#[test]
fn what_was_not_taken_is_sent_again_as_it_was() {
    let puppet = Puppet::saying(&[
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 4\r\n\r\nbusy",
        "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200",
        TAKEN,
    ]);
    let pusher = Pusher::start(puppet.port, "");
    let started = Instant::now();
    let requests = [(); 5].map(|()| puppet.request());
    assert!(started.elapsed() >= Duration::from_millis(900), "it waits as it is told");
    for request in &requests[1..4] {
        assert_eq!(request.content, requests[0].content);
    }
    assert_ne!(requests[4].content, requests[0].content);
    let head = requests[0].head.to_lowercase();
    for header in [
        "post /api/v1/write http/1.1",
        "content-type: application/x-protobuf",
        "content-encoding: snappy",
        "x-prometheus-remote-write-version: 0.1.0",
        "user-agent: tailmeter/",
    ] {
        assert!(head.contains(header), "{header} in {head}");
    }
    until("the count of failures", || pusher.pushes("failed") == 3.0);
    let said = pusher.says();
    assert!(said.starts_with("push, remote_write to http://127.0.0.1:") && said.contains("503"), "{said}");
    assert!(said.contains(": busy; "), "{said}");
    assert!(pusher.says().ends_with("values are taken again"));
}

#[test]
fn what_is_refused_is_not_sent_again() {
    const REFUSAL: &str = "HTTP/1.1 400 Bad Request\r\nContent-Length: 12\r\n\r\nout of order";
    let puppet = Puppet::saying(&[REFUSAL, TAKEN]);
    let pusher = Pusher::start(puppet.port, "");
    let (first, second) = (puppet.request(), puppet.request());
    assert_ne!(first.content, second.content);
    pusher.until("the count of what is lost", |text| sum(text, "tailmeter_push_dropped_samples_total") > 0.0);
    let said = pusher.says();
    assert!(said.ends_with("samples were refused: the server answers 400 Bad Request: out of order"), "{said}");
    assert_eq!((pusher.pushes("refused"), pusher.pushes("failed")), (1.0, 0.0));
}

#[test]
fn requests_carry_what_the_settings_say_and_secrets_are_read_again() {
    const NOBODY: &str = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
    let puppet = Puppet::saying(&[NOBODY, TAKEN]);
    let folder = TempDir::new().unwrap();
    let token = file(folder.path(), "token", "first\n");
    let settings = format!(", bearer_token_file: {token:?}, headers: {{X-Scope-OrgID: web, User-Agent: me}}");
    let _pusher = Pusher::start(puppet.port, &settings);
    let first = puppet.request().head.to_lowercase();
    for header in ["authorization: bearer first\r\n", "x-scope-orgid: web\r\n", "user-agent: me\r\n"] {
        assert_eq!(first.matches(header).count(), 1, "{header} in {first}");
    }
    file(folder.path(), "token", "second");
    let again = || puppet.request().head.to_lowercase().contains("authorization: bearer second\r\n");
    until("the other token", again);
}

#[test]
fn what_waits_is_bounded() {
    let puppet = Puppet::new(|_, stream| hold(stream));
    // Megabytes a second, and room for two.
    let pusher = Pusher::start(puppet.port, ", max_buffer_bytes: 2097152, timeout: 300s");
    let log = pusher.folder.path().join("a.log");
    let line = LOG.lines().next().unwrap();
    let mut number = 0u64;
    let mut lines = String::new();
    for _ in 0..1000 {
        // Nothing that snappy could make small.
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        lines.push_str(
            &line.replace(
                "static/srv1",
                &format!("b{number:x}{:x}/s{:x}", number.rotate_left(17) ^ 0x55, number ^ 0xaa),
            ),
        );
        lines.push('\n');
    }
    append(&log, &lines);
    pusher.until("dropping", |text| sum(text, "tailmeter_push_dropped_samples_total") > 0.0);
    let text = pusher.exporter.metrics();
    let held = sum(&text, "tailmeter_push_buffered_bytes");
    assert!(held > 0.0 && held <= 2_097_152.0, "{held}");
    let (before, peak) = (text.len(), peak_memory(pusher.exporter.child.id()));
    assert!(peak < 300 << 20, "{peak} with an exposition of {before}");
}

#[test]
fn the_end_comes_even_if_nobody_takes_the_last_values() {
    let puppet = Puppet::new(|_, stream| hold(stream));
    let mut pusher = Pusher::start(puppet.port, "");
    puppet.request();
    pusher.exporter.signal("TERM");
    assert_eq!(wait(&mut pusher.exporter.child).code(), Some(0));
}

#[test]
fn a_reload_changes_where_values_go() {
    let (first, second) = (Puppet::saying(&[TAKEN]), Puppet::saying(&[TAKEN]));
    let pusher = Pusher::start(first.port, "");
    first.request();
    let path = pusher.folder.path().join("c.yml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.replace(&format!(":{}/", first.port), &format!(":{}/", second.port))).unwrap();
    pusher.exporter.signal("HUP");
    second.request();
}
