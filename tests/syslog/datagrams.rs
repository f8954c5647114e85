//! Datagrams over UDP: what becomes of them, and that those which the kernel drops are counted.

use std::net::UdpSocket;

use tailmeter::source::syslog::{Error, Options, Syslog, Warning};

use crate::harness::{Received, Running, address, eventually, options};

fn sender(address: std::net::SocketAddr) -> UdpSocket {
    let any = if address.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
    let socket = UdpSocket::bind(any).unwrap();
    socket.connect(address).unwrap();
    socket
}

#[test]
fn a_datagram_is_a_line() {
    for to in ["udp://127.0.0.1:0", "udp://[::1]:0"] {
        let options = Options { max_line_bytes: 10, ..options(to) };
        let running = Running::start(options);
        let socket = sender(running.address());
        let sent: [&[u8]; 9] =
            [b"<1>a\n", b"<1>b\n\0\n", b"", b"\n\0", b"c\nd", b"0123456789\n", b"0123456789x", b"01234567\n9", b"\xff"];
        for datagram in sent {
            socket.send(datagram).unwrap();
        }
        running.received.has(&[
            "<1>a",
            "<1>b",
            "c#012d",
            "0123456789",
            "0123456789[cut]",
            "01234567#0[cut]",
            "\u{fffd}",
        ]);
        let bytes = sent.iter().map(|datagram| datagram.len() as u64).sum::<u64>();
        assert_eq!((running.status.read_bytes(), running.received.bytes()), (bytes, bytes));
        assert_eq!((running.status.errors(), running.status.dropped()), (0, 0));
        assert!(running.status.up() && running.status.looked_once());
        running.stop();
    }
}

#[test]
fn both_versions_of_ip_reach_every_address() {
    let running = Running::start(options("udp://[::]:0"));
    let port = running.address().port();
    sender(([127, 0, 0, 1], port).into()).send(b"four").unwrap();
    sender((std::net::Ipv6Addr::LOCALHOST, port).into()).send(b"six").unwrap();
    running.received.has(&["four", "six"]);
}

#[test]
fn many_datagrams_come_in_few_blocks() {
    let sent = 2_000;
    let running = Running::start_after(options("udp://127.0.0.1:0"), |transport| {
        let socket = sender(address(transport));
        for number in 0..sent {
            socket.send(format!("<134>message {number}").as_bytes()).unwrap();
        }
    });
    eventually("all", || running.received.count() >= sent);
    let expected = (0..sent).map(|number| format!("<134>message {number}")).collect::<Vec<_>>();
    assert_eq!(running.received.lines(), expected);
    assert!(running.received.blocks() < 10, "{} blocks", running.received.blocks());
}

#[test]
fn what_the_kernel_drops_is_counted() {
    for to in ["udp://127.0.0.1:0", "udp://[::1]:0"] {
        let small = Options { receive_buffer_bytes: 16 * 1024, ..options(to) };
        let mut sent = 0;
        let mut flood = |socket: &UdpSocket| {
            for number in 0..3_000 {
                socket.send(format!("<134>message {number}").as_bytes()).unwrap();
                sent += 1;
            }
        };
        let running = Running::start_after(small, |transport| flood(&sender(address(transport))));
        let total = |received: &Received| received.count() as u64 + received.dropped();
        eventually("the first flood", || total(&running.received) == 3_000);
        let first = running.received.dropped();
        assert!(first > 2_000 && running.received.count() > 0, "{first} dropped");
        assert_eq!(running.status.dropped(), first);

        let paused = running.received.pause();
        flood(&sender(running.address()));
        drop(paused);
        eventually("the second flood", || total(&running.received) == sent);
        assert!(running.received.dropped() > first);
        assert_eq!(running.status.errors(), 0);
        let received = running.stop();
        assert_eq!(total(&received), sent);
    }
}

#[test]
fn what_waits_at_shutdown_is_read() {
    let running = Running::start(options("udp://127.0.0.1:0"));
    let paused = running.received.pause();
    let socket = sender(running.address());
    for number in 0..5_000 {
        socket.send(format!("<134>message {number}").as_bytes()).unwrap();
    }
    drop(paused);
    assert_eq!(running.stop().count(), 5_000);
}

#[test]
fn only_those_who_may_send_are_heard() {
    let running =
        Running::start(Options { senders: vec!["127.0.0.2/31".parse().unwrap()], ..options("udp://127.0.0.1:0") });
    for from in ["127.0.0.1:0", "127.0.0.2:0", "127.0.0.3:0", "127.0.0.4:0"] {
        let socket = UdpSocket::bind(from).unwrap();
        socket.send_to(from.as_bytes(), running.address()).unwrap();
    }
    running.received.has(&["127.0.0.2:0", "127.0.0.3:0"]);
    eventually("two refused", || running.status.errors() == 2);
}

#[test]
fn a_port_that_is_taken_is_an_error() {
    for scheme in ["udp", "tcp"] {
        let first = Syslog::bind(options(&format!("{scheme}://127.0.0.1:0")), Box::<Received>::default()).unwrap();
        let taken = first.local_address();
        let error = Syslog::bind(Options::new(taken.clone()), Box::<Received>::default()).err().unwrap();
        assert!(matches!(error, Error::Listen { .. }), "{error:?}");
        assert_eq!(error.to_string(), format!("cannot listen on {taken}: Address already in use (os error 98)"));
    }
}

#[test]
fn a_buffer_smaller_than_asked_is_told() {
    let asked = 1 << 30;
    let huge = Options { receive_buffer_bytes: asked, ..options("udp://127.0.0.1:0") };
    let syslog = Syslog::bind(huge, Box::<Received>::default()).unwrap();
    // Who may exceed the system's limit gets it.
    for warning in syslog.warnings() {
        let Warning::SmallBuffer { given, .. } = warning else { panic!("{warning}") };
        assert!(*given < asked);
    }
    let small = Options { receive_buffer_bytes: 65_536, ..options("udp://127.0.0.1:0") };
    assert_eq!(Syslog::bind(small, Box::<Received>::default()).unwrap().warnings(), []);
}
