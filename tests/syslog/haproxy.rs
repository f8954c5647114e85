//! The real HAProxy logs straight to a source, as a container beside it does, at the highest rate that it has here.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use tailmeter::source::syslog::{Framing, Options, Transport};

use crate::harness::{Running, options};
use crate::lab::{Lab, find};

const HAPROXY: &str = "
global
    log {log} local0
    nbthread 2
    stats socket {directory}/stats
{sections}
defaults
    log global
    mode http
    option httplog
    option dontlognull
    timeout connect 1s
    timeout client 50s
    timeout server 50s

frontend web
    bind {directory}/web
    http-request return status 200 content-type text/plain string ok
";

/// A ring that holds all that is logged: HAProxy drops nothing.
const RING: &str = "
ring logs
    format rfc5424
    maxlen 1200
    size 33554432
    timeout connect 1s
    timeout server 10s
    server tailmeter {address} log-proto {proto}
";

/// Requests that a client sends without waiting for answers.
const PIPELINE: usize = 50;

/// Runs HAProxy for about a second, up to `most` requests; how many it answered.
fn drive(lab: &mut Lab, log: &str, sections: &str, most: u64) -> u64 {
    let [haproxy, _] = find([("haproxy", "haproxy"), ("setpriv", "util-linux")]);
    // Its clients come over a Unix socket: a port that is free now may be another test's later.
    let configuration = HAPROXY.replace("{log}", log).replace("{sections}", sections);
    let web = lab.path("web");
    let file = lab.write("haproxy.cfg", &configuration);
    lab.start("haproxy", &haproxy, &["-db", "-f", file.to_str().unwrap()]);
    lab.until("haproxy listens", || UnixStream::connect(&web).ok());

    let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let client = |_| {
        let (over, answered) = (Arc::clone(&over), Arc::clone(&answered));
        let mut stream = UnixStream::connect(&web).unwrap();
        thread::spawn(move || {
            let mut answers = BufReader::new(stream.try_clone().unwrap());
            let requests = "GET /path?query=1 HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(PIPELINE);
            while !over.load(Relaxed) {
                stream.write_all(requests.as_bytes()).unwrap();
                for _ in 0..PIPELINE {
                    read_answer(&mut answers);
                }
                answered.fetch_add(PIPELINE as u64, Relaxed);
            }
        })
    };
    let clients = (0..4).map(client).collect::<Vec<_>>();
    let end = Instant::now() + Duration::from_millis(1_200);
    lab.until("a second of requests", || (Instant::now() > end || answered.load(Relaxed) >= most).then_some(()));
    over.store(true, Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
    answered.load(Relaxed)
}

fn read_answer(answers: &mut impl BufRead) {
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        assert!(answers.read_line(&mut line).unwrap() > 0, "HAProxy closed the connection");
    }
    let mut body = [0; 2];
    answers.read_exact(&mut body).unwrap();
    assert_eq!(&body, b"ok");
}

/// Lines that HAProxy itself could not send.
fn dropped_by_haproxy(stats: &Path) -> u64 {
    let mut stream = UnixStream::connect(stats).unwrap();
    stream.write_all(b"show info\n").unwrap();
    let mut info = String::new();
    stream.read_to_string(&mut info).unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("DroppedLogs: "));
    line.expect("DroppedLogs in `show info`").parse().unwrap()
}

/// Waits for all that was logged, and asserts that nothing is missing.
#[track_caller]
fn check(lab: &mut Lab, source: Running, requests: u64) {
    let line = "\"GET /path?query=1 HTTP/1.1\"";
    let stats = lab.path("stats");
    // HAProxy logs a request after it has answered it: what it could not send may grow for a moment.
    let counts = || [source.received.count_of(line) as u64, source.received.dropped(), dropped_by_haproxy(&stats)];
    let total = || counts().iter().sum::<u64>();
    lab.until(&format!("{requests} lines"), || (total() >= requests).then_some(()));
    let [received, dropped, not_sent] = counts();
    println!("{requests} requests: {received} received, {dropped} dropped by the kernel, {not_sent} by HAProxy");
    assert_eq!(received + dropped + not_sent, requests);
    assert_eq!(source.status.errors(), 0);
    assert!(source.received.count_of(line) > 1_000, "too few to say anything");
    let envelopes = source.received.lines().iter().filter(|line| !line.starts_with("<134>")).count();
    let notices = source.received.lines().iter().filter(|line| !line.contains("GET /")).count();
    assert!(envelopes <= notices, "lines that do not begin with their priority");
}

#[test]
fn udp() {
    let mut lab = Lab::new();
    let source = Running::start(options("udp://127.0.0.1:0"));
    let driven = drive(&mut lab, &source.address().to_string(), "", u64::MAX);
    check(&mut lab, source, driven);
}

#[test]
fn udp_with_a_small_buffer() {
    let mut lab = Lab::new();
    let source = Running::start(Options { receive_buffer_bytes: 4_096, ..options("udp://127.0.0.1:0") });
    let driven = drive(&mut lab, &source.address().to_string(), "", u64::MAX);
    check(&mut lab, source, driven);
}

#[test]
fn unix_datagrams() {
    let mut lab = Lab::new();
    let path = lab.path("log");
    let source = Running::start(Options::new(Transport::UnixDatagram(path.clone())));
    let driven = drive(&mut lab, path.to_str().unwrap(), "", u64::MAX);
    check(&mut lab, source, driven);
}

#[test]
fn tcp_through_a_ring() {
    for (proto, framing) in [("octet-count", Framing::Detected), ("legacy", Framing::Lines)] {
        let mut lab = Lab::new();
        let source = Running::start(Options { framing, ..options("tcp://127.0.0.1:0") });
        let ring = RING.replace("{address}", &source.address().to_string()).replace("{proto}", proto);
        let driven = drive(&mut lab, "ring@logs", &ring, 20_000);
        check(&mut lab, source, driven);
    }
}
