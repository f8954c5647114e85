//! The configuration is loaded again and again while lines come, from files and over UDP: no line is lost or counts
//! twice, whatever changes, and a broken configuration changes nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "cli/harness.rs"]
#[allow(dead_code, reason = "the tests of the command line use the rest")]
mod harness;
#[path = "store/lines.rs"]
#[allow(dead_code, reason = "the tests of the store use the rest")]
mod lines;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::{Path, PathBuf};

use harness::{DEADLINE, Exporter, request, samples, sum, until, wait};
use lines::Random;

const DURATIONS: &str = "haproxy_log_request_duration_seconds_count";
const REQUESTS: &str = "haproxy_log_requests_total";

fn seed() -> u64 {
    std::env::var("SEED").map_or_else(|_| u64::from(std::process::id()), |seed| seed.parse().unwrap())
}

/// Asks for a reload; the status code and what is said.
fn reload(exporter: &Exporter) -> (u16, String) {
    let mut stream = TcpStream::connect(&exporter.address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(stream, "POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    (code, body.to_owned())
}

/// A free UDP port: nobody takes it between this and its use, as far as that can be had.
fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Files and a socket that may be sources, and labels that may be chosen.
struct Lab {
    configuration: PathBuf,
    files: Vec<PathBuf>,
    socket: String,
}

impl Lab {
    fn new(folder: &Path) -> Self {
        let files = ["a.log", "b.log", "c.log"].map(|name| folder.join(name)).to_vec();
        files.iter().for_each(|file| fs::write(file, "").unwrap());
        let socket = format!("127.0.0.1:{}", free_port());
        Self { configuration: folder.join("tailmeter.yml"), files, socket }
    }

    /// Configures the files whose bit is set in `chosen`, and always the socket.
    fn configure(&self, chosen: usize, labels: &str) {
        let files = self.files.iter().enumerate().filter(|(index, _)| chosen >> index & 1 == 1);
        let files = files.map(|(_, file)| format!("  - file: {}\n    format: haproxy\n", file.display()));
        let files = files.collect::<String>();
        let socket = format!("  - syslog: udp://{}\n    format: haproxy\n", self.socket);
        let metrics = format!("metrics:\n  {REQUESTS}: {{labels: {labels}}}\n");
        fs::write(&self.configuration, format!("sources:\n{files}{socket}{metrics}")).unwrap();
    }

    fn arguments(&self) -> Vec<String> {
        vec!["--config".into(), self.configuration.display().to_string(), "--enable-lifecycle".into()]
    }
}

fn lines_of(text: &str) -> f64 {
    sum(text, "tailmeter_lines_total")
}

/// Lines that came into the files that are sources, and over the socket.
fn storm(state: Option<&Path>) {
    let seed = seed();
    println!("SEED={seed}");
    let mut random = Random(seed);
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::new(folder.path());
    let labels = ["[frontend_name]", "[frontend_name, status_code]", "[]", "[backend_name, server_name]"];
    lab.configure(0b111, labels[0]);
    let mut arguments = lab.arguments();
    match state {
        Some(state) => arguments.extend(["--state-dir".into(), state.display().to_string()]),
        None => arguments.push("--no-state".into()),
    }
    let mut exporter = Exporter::start(&arguments);
    // Without a state, files are read from where they end when they are looked at first.
    until("readiness", || exporter.get("/-/ready").0.starts_with("HTTP/1.1 200"));
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut logs = lab.files.iter().map(|file| File::options().append(true).open(file).unwrap()).collect::<Vec<_>>();
    let line = request();
    let (mut written, mut sent) = (0u32, 0u32);
    for round in 0..40 {
        for _ in 0..random.below(60) {
            match random.below(4) {
                3 => {
                    sender.send_to(line.trim_end().as_bytes(), &lab.socket).unwrap();
                    sent += 1;
                }
                file => {
                    logs[file].write_all(line.as_bytes()).unwrap();
                    written += 1;
                }
            }
        }
        if random.once_in(4) {
            let before = fs::read_to_string(&lab.configuration).unwrap();
            fs::write(&lab.configuration, "sources: {").unwrap();
            let (code, body) = reload(&exporter);
            assert!(code == 500 && body.contains("tailmeter.yml:1"), "{code} {body}");
            assert_eq!(sum(&exporter.metrics(), "tailmeter_config_last_reload_successful"), 0.0);
            fs::write(&lab.configuration, before).unwrap();
        }
        // In the end everything is a source, so that what was written meanwhile is read.
        let chosen = if round == 39 { 0b111 } else { random.below(8) };
        lab.configure(chosen, random.pick(&labels));
        if random.once_in(3) {
            exporter.signal("HUP");
        }
        assert_eq!(reload(&exporter), (200, "The configuration was loaded.\n".to_owned()));
    }
    let total = f64::from(written + sent);
    let text = exporter.until_sum(DURATIONS, total);
    assert_eq!(sum(&text, "tailmeter_config_last_reload_successful"), 1.0);
    let socket = format!("source=\"udp://{}\"", lab.socket);
    let of_socket = samples(&text, "tailmeter_lines_total").filter(|(labels, _)| labels.contains(&socket));
    assert_eq!(of_socket.map(|(_, value)| value).sum::<f64>(), f64::from(sent));
    assert_eq!(lines_of(&text), total);
    // Nothing more comes.
    assert_eq!(sum(&exporter.metrics(), DURATIONS), total);
    exporter.signal("TERM");
    assert!(wait(&mut exporter.child).success());
    if state.is_some() {
        let exporter = Exporter::start(&arguments);
        assert_eq!(sum(&exporter.metrics(), DURATIONS), total);
    }
}

#[test]
fn reloads_lose_and_double_nothing_with_a_state() {
    let state = tempfile::tempdir().unwrap();
    storm(Some(state.path()));
}

#[test]
fn reloads_lose_and_double_nothing_without_a_state() {
    storm(None);
}

#[test]
fn removed_sources_are_shown_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::new(folder.path());
    lab.configure(0b011, "[]");
    let exporter = Exporter::start(lab.arguments().iter().map(String::as_str).chain(["--no-state"]));
    let is_shown = |file: &Path| exporter.metrics().contains(&format!("source=\"{}\"", file.display()));
    assert!(is_shown(&lab.files[0]) && is_shown(&lab.files[1]) && !is_shown(&lab.files[2]));
    lab.configure(0b110, "[]");
    assert_eq!(reload(&exporter).0, 200);
    until("the new source", || is_shown(&lab.files[2]));
    assert!(!is_shown(&lab.files[0]) && is_shown(&lab.files[1]));
    lab.configure(0b001, "[]");
    assert_eq!(reload(&exporter).0, 200);
    assert!(is_shown(&lab.files[0]) && !is_shown(&lab.files[1]) && !is_shown(&lab.files[2]));
}

#[test]
fn an_option_says_how_lines_are_written_after_a_reload_too() {
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::new(folder.path());
    let cfg = folder.path().join("haproxy.cfg");
    let written = |log_format: &str| {
        fs::write(&cfg, format!("frontend f\n mode http\n log-format \"{log_format}\"\n")).unwrap();
    };
    written("%ci %ST");
    lab.configure(0b001, "[]");
    let mut arguments = lab.arguments();
    arguments.extend(["--haproxy-config".into(), cfg.display().to_string()]);
    let exporter = Exporter::start(&arguments);
    let append = |file: usize, line: &str| {
        File::options().append(true).open(&lab.files[file]).unwrap().write_all(line.as_bytes()).unwrap();
    };
    append(0, "192.0.2.7 200\n");
    exporter.until_sum(REQUESTS, 1.0);
    // A source that goes on, and one that is new.
    lab.configure(0b011, "[]");
    assert_eq!(reload(&exporter).0, 200);
    append(0, "192.0.2.7 200\n");
    append(1, "192.0.2.7 200\n");
    exporter.until_sum(REQUESTS, 3.0);
    // The haproxy.cfg is another one.
    written("%ST %ci");
    assert_eq!(reload(&exporter).0, 200);
    append(0, "200 192.0.2.7\n");
    append(1, "200 192.0.2.7\n");
    let text = exporter.until_sum(REQUESTS, 5.0);
    assert_eq!(lines_of(&text), 5.0, "{text}");
    // The two files and the socket.
    assert_eq!(samples(&text, "tailmeter_source_up").count(), 3, "{text}");
}

#[test]
fn a_port_that_is_taken_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::new(folder.path());
    lab.configure(0b001, "[]");
    let exporter = Exporter::start(lab.arguments().iter().map(String::as_str).chain(["--no-state"]));
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let other = Lab { socket: taken.local_addr().unwrap().to_string(), ..lab };
    other.configure(0b010, "[frontend_name]");
    let (code, body) = reload(&exporter);
    assert!(code == 500 && body.contains("cannot listen on udp://"), "{code} {body}");
    let text = exporter.metrics();
    assert!(text.contains("a.log") && !text.contains("b.log"), "{text}");
}

#[test]
fn nobody_reloads_unless_it_is_enabled() {
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::new(folder.path());
    lab.configure(0b001, "[]");
    let exporter = Exporter::start(["--config", lab.configuration.to_str().unwrap(), "--no-state"]);
    assert_eq!(reload(&exporter).0, 403);
    let (head, _) = exporter.get("/-/reload");
    assert!(head.starts_with("HTTP/1.1 405") && head.to_lowercase().contains("allow: post, put"), "{head}");
}

/// A list of values in a file of its own is read again with the configuration; one that is broken changes nothing.
#[test]
fn lists_of_values_are_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::new(folder.path());
    let list = folder.path().join("names");
    fs::write(&list, "www\n").unwrap();
    lab.configure(0b001, "[{frontend_name: {from_file: names}}]");
    let exporter = Exporter::start(lab.arguments().iter().map(String::as_str).chain(["--no-state"]));
    until("readiness", || exporter.get("/-/ready").0.starts_with("HTTP/1.1 200"));
    let line = request();
    let name = line.split("] ").nth(1).unwrap().split([' ', '~']).next().unwrap().to_owned();
    let mut total = 0.0;
    let mut shown = || {
        File::options().append(true).open(&lab.files[0]).unwrap().write_all(line.as_bytes()).unwrap();
        total += 1.0;
        let text = exporter.until_sum(REQUESTS, total);
        samples(&text, REQUESTS).map(|(labels, value)| (labels.to_owned(), value)).collect::<Vec<_>>()
    };
    let row = |name: &str, value: f64| (format!("{{frontend_name=\"{name}\"}}"), value);
    assert_eq!(shown(), [row("other", 1.0)]);
    fs::write(&list, format!("www\n{name}\n")).unwrap();
    assert_eq!(reload(&exporter).0, 200);
    assert_eq!(shown(), [row(&name, 1.0), row("other", 1.0)]);
    for broken in ["", "a\0b\n"] {
        fs::write(&list, broken).unwrap();
        let (code, body) = reload(&exporter);
        assert!(code == 500 && body.contains("cannot use the list names: "), "{code} {body}");
    }
    fs::remove_file(&list).unwrap();
    assert_eq!(reload(&exporter).0, 500);
    assert_eq!(shown(), [row(&name, 2.0), row("other", 1.0)]);
}
