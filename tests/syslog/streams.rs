//! Connections over TCP: many senders, limits, and how connections end.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;

use tailmeter::source::syslog::{Framing, Options};

use crate::harness::{DEADLINE, Running, eventually, options};

const TCP: &str = "tcp://127.0.0.1:0";

fn connect(running: &Running) -> TcpStream {
    let stream = TcpStream::connect(running.address()).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// True when the other side closes the connection.
fn is_closed(mut stream: &TcpStream) -> bool {
    match stream.read(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// Each sender's lines in both framings, in pieces that end anywhere.
fn send_pieces(stream: &mut TcpStream, sender: usize, lines: usize) {
    let mut bytes = Vec::new();
    for number in 0..lines {
        let message = format!("<134>sender {sender} message {number}");
        match (sender + number) % 3 {
            0 => bytes.extend(format!("{} {message}", message.len()).into_bytes()),
            1 => bytes.extend(format!("{message}\n").into_bytes()),
            _ => bytes.extend(format!("{} {message}\n", message.len() + 1).into_bytes()),
        }
    }
    for (number, piece) in bytes.chunks(17 + sender * 31).enumerate() {
        stream.write_all(piece).unwrap();
        if number % 8 == 0 {
            thread::yield_now();
        }
    }
}

fn expected(senders: usize, lines: usize) -> Vec<String> {
    let of = |sender| (0..lines).map(move |number| format!("<134>sender {sender} message {number}"));
    let mut expected = (0..senders).flat_map(of).collect::<Vec<_>>();
    expected.sort();
    expected
}

#[test]
fn many_senders_share_a_source() {
    let (senders, lines) = (60, 300);
    let running = Running::start(options(TCP));
    thread::scope(|scope| {
        for sender in 0..senders {
            let mut stream = connect(&running);
            scope.spawn(move || send_pieces(&mut stream, sender, lines));
        }
    });
    eventually("all lines", || running.received.count() >= senders * lines);
    assert_eq!(running.received.sorted(), expected(senders, lines));
    assert_eq!(running.status.errors(), 0);
    // Every byte belongs to some line.
    assert_eq!(running.received.bytes(), running.status.read_bytes());
}

#[test]
fn senders_beyond_the_limit_wait() {
    let (senders, lines) = (12, 50);
    let running = Running::start(Options { max_connections: 2, ..options(TCP) });
    let first = [connect(&running), connect(&running)];
    let waiting = thread::scope(|scope| {
        let send = |sender| {
            let mut stream = connect(&running);
            scope.spawn(move || send_pieces(&mut stream, sender, lines))
        };
        let senders = (0..senders).map(send).collect::<Vec<_>>();
        eventually("one that waits", || running.status.errors() == 1);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        running.received.count()
    });
    assert_eq!(waiting, 0, "nothing is read of those who wait");
    drop(first);
    eventually("all lines", || running.received.count() >= senders * lines);
    assert_eq!(running.received.sorted(), expected(senders, lines));
}

#[test]
fn a_flood_does_not_keep_others_waiting() {
    let running = Running::start(options(TCP));
    let mut flood = connect(&running);
    let mut other = connect(&running);
    let lines = b"<134>flood\n".repeat(10_000);
    flood.set_nonblocking(true).unwrap();
    let (mut sent, mut answered) = (0, 0);
    while answered < 20 {
        // As fast as it is taken.
        match flood.write(&lines[sent % 11..]) {
            Ok(written) => sent += written,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        if running.received.count_of("other") == answered {
            other.write_all(b"<134>other\n").unwrap();
            answered += 1;
        }
        assert!(sent < 1_000_000_000, "{answered} of 20 lines in a flood of 1 GB");
    }
}

#[test]
fn a_closed_connection_leaves_its_last_line() {
    let running = Running::start(options(TCP));
    connect(&running).write_all(b"<1>whole\n<1>last").unwrap();
    running.received.has(&["<1>whole", "<1>last"]);
    assert_eq!(running.status.errors(), 0);
    connect(&running).write_all(b"10 <1>half").unwrap();
    eventually("an incomplete counted message", || running.status.errors() == 1);
    running.received.has(&["<1>whole", "<1>last"]);
}

#[test]
fn a_bad_count_closes_its_connection_alone() {
    let running = Running::start(Options { max_frame_bytes: 100, framing: Framing::Detected, ..options(TCP) });
    let mut good = connect(&running);
    good.write_all(b"<1>be").unwrap();
    let mut bad = connect(&running);
    bad.write_all(b"7 <1>good101 <1>bad").unwrap();
    assert!(is_closed(&bad));
    eventually("an error", || running.status.errors() == 1);
    good.write_all(b"fore\n<1>after\n").unwrap();
    running.received.has(&["<1>good", "<1>before", "<1>after"]);
    assert_eq!(running.status.errors(), 1);
}

#[test]
fn long_messages_are_cut() {
    let running = Running::start(Options { max_line_bytes: 1024, ..options(TCP) });
    let mut stream = connect(&running);
    let long = "x".repeat(300_000);
    stream.write_all(format!("{long}\n300000 {long}<1>after\n").as_bytes()).unwrap();
    let cut = format!("{}[cut]", &long[..1024]);
    running.received.has(&[&cut, &cut, "<1>after"]);
    assert_eq!(running.received.bytes(), running.status.read_bytes());
}

#[test]
fn what_waits_at_shutdown_is_read() {
    let running = Running::start_after(Options { max_connections: 3, ..options(TCP) }, |transport| {
        // In the kernel's queue, and closed already.
        let mut stream = TcpStream::connect(crate::harness::address(transport)).unwrap();
        stream.write_all(b"<1>early\n").unwrap();
    });
    let mut stream = connect(&running);
    stream.write_all(b"<1>read\n").unwrap();
    running.received.has(&["<1>early", "<1>read"]);
    let paused = running.received.pause();
    stream.write_all(&b"<1>waits\n".repeat(20_000)).unwrap();
    stream.write_all(b"<1>cut sho").unwrap();
    drop(paused);
    connect(&running).write_all(b"<1>late\n").unwrap();
    let received = running.stop();
    assert_eq!(received.count_of("<1>waits"), 20_000);
    assert_eq!((received.count_of("<1>cut sho"), received.count_of("<1>late")), (1, 1));
    assert_eq!(received.count(), 20_004);
}

#[test]
fn only_those_who_may_send_are_heard() {
    let senders = vec!["10.0.0.0/8".parse().unwrap()];
    let running = Running::start(Options { senders, ..options(TCP) });
    let stream = connect(&running);
    assert!(is_closed(&stream));
    eventually("a refusal", || running.status.errors() == 1);
}
