//! Servers to push to: real programs on free ports, and one that does what it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use tempfile::TempDir;

use crate::harness::{DEADLINE, until};

/// A port of the loopback address that nobody uses, and that no other test gets.
pub(crate) fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    std::iter::repeat_with(free).find(|port| GIVEN.lock().unwrap().insert(*port)).unwrap()
}

/// A running program, ended when dropped.
pub(crate) struct Program {
    child: Child,
    pub(crate) port: u16,
}

impl Program {
    /// Starts `command` and waits until somebody listens on `port`.
    pub(crate) fn start(mut command: Command, port: u16) -> Self {
        let shown = format!("{command:?}");
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut child = started.unwrap_or_else(|error| panic!("{shown}: {error}"));
        until(&shown, || {
            assert!(child.try_wait().unwrap().is_none(), "{shown} has ended");
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        Self { child, port }
    }

    pub(crate) fn get(&self, path: &str) -> String {
        get(self.port, path)
    }

    /// Ends it as an operator does.
    pub(crate) fn terminate(mut self) {
        let kill = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(kill.unwrap().success());
        until("the end of a server", || self.child.try_wait().unwrap().is_some());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server of the loopback address answers to a GET. HTTP 1.0: the answer ends with the connection.
pub(crate) fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// A CA, and a certificate of it for `localhost`.
pub(crate) struct Certificates(TempDir);

impl Certificates {
    pub(crate) fn new() -> Self {
        let made = Self(tempfile::tempdir().unwrap());
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        made.openssl(&format!("req -x509 {key} -days 30 -subj /CN=ca -keyout ca.key -out ca.pem"));
        made.openssl(&format!("req -new {key} -subj /CN=localhost -keyout server.key -out server.csr"));
        fs::write(made.path("names"), "subjectAltName=DNS:localhost\n").unwrap();
        let issue = "x509 -req -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile names";
        made.openssl(&format!("{issue} -in server.csr -out server.pem"));
        made
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl").current_dir(self.0.path()).args(arguments.split(' ')).output();
        let output = output.expect("openssl must be installed");
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// What a client sent.
#[derive(Debug)]
pub(crate) struct Request {
    /// First line and headers.
    pub(crate) head: String,
    pub(crate) content: Vec<u8>,
}

/// A server that answers request after request, each on a connection of its own, with what `answer` writes for the number of
/// the request. It remembers what was asked.
pub(crate) struct Puppet {
    pub(crate) port: u16,
    requests: Receiver<Request>,
}

impl Puppet {
    pub(crate) fn new(answer: impl Fn(usize, &mut TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (send, requests) = channel();
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                let Some(request) = Request::read(&mut stream) else { continue };
                if send.send(request).is_err() {
                    return;
                }
                answer(number, &mut stream);
            }
        });
        Self { port, requests }
    }

    /// One that gives these answers, and the last one again and again.
    pub(crate) fn saying(answers: &'static [&'static str]) -> Self {
        Self::new(|number, stream| {
            let answer = answers[number.min(answers.len() - 1)];
            let _ = stream.write_all(answer.as_bytes());
        })
    }

    /// The next request.
    pub(crate) fn request(&self) -> Request {
        self.requests.recv_timeout(DEADLINE).expect("a request comes")
    }

    /// True if there was no request besides those asked for.
    pub(crate) fn is_quiet(&self) -> bool {
        self.requests.try_recv().is_err()
    }
}

impl Request {
    fn read(stream: &mut TcpStream) -> Option<Self> {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut content = vec![0; length?];
        reader.read_exact(&mut content).ok()?;
        Some(Self { head, content })
    }
}

/// Fails with the first few differences.
pub(crate) fn assert_same<K: Ord + Debug>(left: &BTreeMap<K, f64>, right: &BTreeMap<K, f64>) {
    let keys = left.keys().chain(right.keys()).collect::<BTreeSet<_>>();
    let both = keys.into_iter().map(|key| (key, left.get(key), right.get(key)));
    let differences = both.filter(|(_, left, right)| left != right).take(9).collect::<Vec<_>>();
    assert!(differences.is_empty(), "{differences:#?}");
}

/// A file with `text` in `folder`.
pub(crate) fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}
