//! Unix sockets: their files, and both kinds of messages.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Command;

use tailmeter::source::syslog::{Error, Options, Syslog, Transport};

use crate::harness::{Received, Running};
use crate::lab::find;

fn both(directory: &tempfile::TempDir) -> [Transport; 2] {
    let path = |name| directory.path().join(name);
    [Transport::Unix(path("stream")), Transport::UnixDatagram(path("datagram"))]
}

fn path(transport: &Transport) -> PathBuf {
    match transport {
        Transport::Unix(path) | Transport::UnixDatagram(path) => path.clone(),
        Transport::Udp(_) | Transport::Tcp(_) | Transport::Tls(_) => panic!("{transport} has no path"),
    }
}

#[test]
fn a_message_is_a_line() {
    let directory = tempfile::tempdir().unwrap();
    let [stream, datagram] = both(&directory).map(|transport| {
        Running::start(Options { max_line_bytes: 70_000, socket_mode: 0o620, ..Options::new(transport) })
    });
    let long = "x".repeat(100_000);
    let mut to_stream = UnixStream::connect(path(&stream.transport)).unwrap();
    to_stream.write_all(format!("<1>a\n4 <1>b{long}\n").as_bytes()).unwrap();
    let to_datagram = UnixDatagram::unbound().unwrap();
    to_datagram.connect(path(&datagram.transport)).unwrap();
    for message in ["<1>a\n", "<1>b\0", &long] {
        to_datagram.send(message.as_bytes()).unwrap();
    }
    let cut = format!("{}[cut]", &long[..70_000]);
    for running in [stream, datagram] {
        running.received.has(&["<1>a", "<1>b", &cut]);
        let path = path(&running.transport);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o620);
        assert_eq!(running.status.errors(), 0);
        running.stop();
        assert!(!path.exists(), "{path:?} is left");
    }
}

#[test]
fn a_slow_reader_loses_no_datagram() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(Options::new(both(&directory)[1].clone()));
    let socket = UnixDatagram::unbound().unwrap();
    socket.connect(path(&running.transport)).unwrap();
    for number in 0..20_000 {
        socket.send(format!("<1>{number}").as_bytes()).unwrap();
    }
    let received = running.stop();
    assert_eq!((received.count(), received.dropped()), (20_000, 0));
}

#[test]
fn what_a_program_left_behind_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    for transport in both(&directory) {
        let path = path(&transport);
        // Neither removes its file.
        drop(UnixListener::bind(&path).unwrap());
        drop(Syslog::bind(Options::new(transport.clone()), Box::<Received>::default()).unwrap());
        assert!(!path.exists(), "removed though it never ran");
        drop(UnixDatagram::bind(&path).unwrap());
        let running = Running::start(Options::new(transport));
        assert!(fs::metadata(&path).unwrap().file_type().is_socket());
        running.stop();
    }
}

#[test]
fn what_belongs_to_somebody_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let bind = |transport: &Transport| Syslog::bind(Options::new(transport.clone()), Box::<Received>::default()).err();
    for transport in both(&directory) {
        let path = path(&transport);
        let listener = UnixListener::bind(&path).unwrap();
        assert!(matches!(bind(&transport), Some(Error::InUse(_))));
        drop(listener);
        fs::remove_file(&path).unwrap();
        let datagrams = UnixDatagram::bind(&path).unwrap();
        assert!(matches!(bind(&transport), Some(Error::InUse(_))));
        drop(datagrams);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        let error = bind(&transport).unwrap();
        assert_eq!(error.to_string(), format!("cannot listen on {transport}: a file that is no socket is there"));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        fs::remove_file(&path).unwrap();

        // And at the end, too: somebody else has taken the path.
        let running = Running::start(Options::new(transport));
        fs::remove_file(&path).unwrap();
        let other = UnixListener::bind(&path).unwrap();
        running.stop();
        assert!(path.exists());
        drop(other);
        fs::remove_file(&path).unwrap();
    }
    let nowhere = Transport::Unix(directory.path().join("missing/socket"));
    let error = bind(&nowhere).unwrap().to_string();
    assert_eq!(error, format!("cannot listen on {nowhere}: No such file or directory (os error 2)"));
}

#[test]
fn logger_is_heard() {
    let [logger] = find([("logger", "bsdutils")]);
    let directory = tempfile::tempdir().unwrap();
    let lines = (0..500).map(|number| format!("message {number}\n")).collect::<String>();
    let file = directory.path().join("lines");
    fs::write(&file, lines).unwrap();
    for transport in both(&directory) {
        let running = Running::start(Options::new(transport));
        for format in ["--rfc5424", "--rfc3164"] {
            let mut command = Command::new(&logger);
            command.arg("--socket").arg(path(&running.transport)).arg(format).args(["--tag", "mail", "--file"]);
            assert!(command.arg(&file).status().unwrap().success());
        }
        let received = running.stop();
        assert_eq!(received.count(), 1_000);
        for number in 0..500 {
            let end = format!(" message {number}");
            let found = received.lines().into_iter().filter(|line| line.ends_with(&end)).collect::<Vec<_>>();
            assert_eq!(found.len(), 2, "{found:?}");
            assert!(found.iter().all(|line| line.starts_with("<13>")), "{found:?}");
        }
    }
}
