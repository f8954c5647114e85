//! Clients of HAProxy, and the book they keep of what they did: the truth that the metrics are held against.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use crate::origin::Origin;

/// No answer takes longer.
const DEADLINE: Duration = Duration::from_secs(30);

/// Unix time, in seconds.
pub(crate) fn now() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.expect("a clock after 1970").as_secs_f64()
}

/// A request as HAProxy should have logged it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// When it ended, in Unix seconds.
    pub(crate) at: f64,
    pub(crate) frontend: &'static str,
    pub(crate) backend: &'static str,
    pub(crate) server: String,
    pub(crate) status: String,
    pub(crate) method: &'static str,
    /// What the client received, headers included. `None`: the client was gone before it could know.
    pub(crate) bytes: Option<u64>,
}

/// What a client does, over and over.
#[derive(Clone, Copy)]
pub(crate) struct Client {
    pub(crate) frontend: &'static str,
    /// From one request to the next.
    pub(crate) every_ms: u64,
    /// Requests in turn.
    pub(crate) requests: &'static [Step],
}

/// One request of a client.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    /// Method, path, and the backend whose server answers it.
    Served(&'static str, &'static str, &'static str),
    /// Method, path, and backend and server that HAProxy logs for an answer of its own.
    Refused(&'static str, &'static str, &'static str, &'static str),
    /// Bytes that are no request.
    Garbage(&'static str),
    /// A request that is never answered, given up when the server has it: backend and server, and the
    /// status that HAProxy logs.
    Abandoned(&'static str, &'static str, &'static str),
}

/// The clients at work.
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    book: Arc<Mutex<Vec<Request>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Traffic {
    /// Sends every client to the port of its frontend. `hanging` is the server of abandoned requests.
    pub(crate) fn start(clients: &[Client], ports: &BTreeMap<&'static str, u16>, hanging: &Origin) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let book = Arc::new(Mutex::new(Vec::new()));
        let begin = |(number, client): (usize, &Client)| {
            let worker = Worker { client: *client, number, port: ports[client.frontend], hanging: hanging.clone() };
            let (stop, book) = (Arc::clone(&stop), Arc::clone(&book));
            thread::spawn(move || worker.run(&stop, &book))
        };
        let threads = clients.iter().enumerate().map(begin).collect();
        Self { stop, book, threads }
    }

    /// True when a client has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Lets the clients finish what they do; the whole book.
    pub(crate) fn stop(mut self) -> Vec<Request> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("a client failed, see above");
        }
        let book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.clone()
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Worker {
    client: Client,
    number: usize,
    port: u16,
    hanging: Origin,
}

impl Worker {
    fn run(&self, stop: &AtomicBool, book: &Mutex<Vec<Request>>) {
        let mut due = Instant::now();
        for count in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            // Clients of the same requests begin with different ones: no bursts.
            let step = self.client.requests[(self.number + count) % self.client.requests.len()];
            let request = self.request(step, count).expect("HAProxy answers");
            book.lock().expect("the book").push(request);
            // A pace, not a wait: a late client does not hurry to catch up.
            due = (due + Duration::from_millis(self.client.every_ms)).max(Instant::now());
            thread::sleep(due - Instant::now());
        }
    }

    fn request(&self, step: Step, count: usize) -> io::Result<Request> {
        match step {
            Step::Served(method, path, backend) => {
                let answer = self.exchange(&ask(method, path))?;
                let server = header(&answer, "X-Server").expect("an answer of a server");
                Ok(self.entry(method, backend, server, &answer))
            }
            Step::Refused(method, path, backend, server) => {
                let answer = self.exchange(&ask(method, path))?;
                assert_eq!(header(&answer, "X-Server"), None, "{path} reached a server");
                Ok(self.entry(method, backend, server.to_owned(), &answer))
            }
            Step::Garbage(bytes) => {
                let answer = self.exchange(bytes)?;
                // HAProxy takes the frontend for the backend where it has chosen none.
                let server = "<NOSRV>".to_owned();
                Ok(self.entry("<BADREQ>", self.client.frontend, server, &answer))
            }
            Step::Abandoned(backend, server, status) => {
                let path = format!("/hang/{}/{count}", self.number);
                let mut stream = self.connect()?;
                stream.write_all(ask("GET", &path).as_bytes())?;
                assert!(self.hanging.wait_for_hung(&path, DEADLINE), "{path} never arrived");
                drop(stream);
                Ok(Request {
                    at: now(),
                    frontend: self.client.frontend,
                    backend,
                    server: server.to_owned(),
                    status: status.to_owned(),
                    method: "GET",
                    bytes: None,
                })
            }
        }
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(stream)
    }

    fn exchange(&self, request: &str) -> io::Result<String> {
        let mut stream = self.connect()?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn entry(&self, method: &'static str, backend: &'static str, server: String, answer: &str) -> Request {
        let status = answer.split(' ').nth(1).unwrap_or_default();
        Request {
            at: now(),
            frontend: self.client.frontend,
            backend,
            server,
            status: status.to_owned(),
            method,
            bytes: Some(answer.len() as u64),
        }
    }
}

fn ask(method: &str, path: &str) -> String {
    let rest = "Host: localhost\r\nConnection: close\r\nContent-Length: 0";
    format!("{method} {path} HTTP/1.1\r\n{rest}\r\n\r\n")
}

fn header(answer: &str, name: &str) -> Option<String> {
    let (head, _) = answer.split_once("\r\n\r\n")?;
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    let (_, value) = headers.find(|(found, _)| found.eq_ignore_ascii_case(name))?;
    Some(value.to_owned())
}
