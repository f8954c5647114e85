//! The servers behind HAProxy. Each takes its time to answer, by a rule the test knows, and keeps book of
//! how long it really took.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::traffic::now;

/// How long a server takes for its nth request, in milliseconds.
pub(crate) type Delay = fn(usize) -> u64;

/// An answer: when it was ready (Unix seconds), and how long the server took for it (seconds).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) at: f64,
    pub(crate) took: f64,
}

/// A server. Its threads end with the process.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    requests: Mutex<usize>,
    answers: Mutex<Vec<Answer>>,
    /// Paths of requests that are left without an answer.
    hung: Mutex<BTreeSet<String>>,
    hung_changed: Condvar,
}

impl Origin {
    /// A server that calls itself `name` in every answer.
    pub(crate) fn start(name: &'static str, delay: Delay) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let shared = Arc::new(Shared::default());
        let origin = Self { port, shared: Arc::clone(&shared) };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // HAProxy closes connections when the client has gone: no failure of this server's.
                thread::spawn(move || drop(shared.serve(&stream, name, delay)));
            }
        });
        origin
    }

    /// The answers so far.
    pub(crate) fn answers(&self) -> Vec<Answer> {
        self.shared.answers.lock().expect("the book").clone()
    }

    /// Waits until a request for `path`, below `/hang/`, has arrived.
    pub(crate) fn wait_for_hung(&self, path: &str, deadline: Duration) -> bool {
        let hung = self.shared.hung.lock().expect("the set");
        let arrives = |hung: &mut BTreeSet<String>| !hung.remove(path);
        let waited = self.shared.hung_changed.wait_timeout_while(hung, deadline, arrives);
        !waited.expect("the set").1.timed_out()
    }
}

impl Shared {
    fn serve(&self, stream: &TcpStream, name: &str, delay: Delay) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        let mut request = String::new();
        reader.read_line(&mut request)?;
        let began = Instant::now();
        let mut header = String::new();
        while reader.read_line(&mut header)? > 2 {
            header.clear();
        }
        let mut words = request.split_ascii_whitespace();
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        if path.starts_with("/hang/") {
            self.hung.lock().expect("the set").insert(path.to_owned());
            self.hung_changed.notify_all();
            // Until HAProxy gives up.
            reader.read_to_end(&mut Vec::new())?;
            return Ok(());
        }
        let count = {
            let mut requests = self.requests.lock().expect("the count");
            *requests += 1;
            *requests
        };
        thread::sleep(Duration::from_millis(delay(count)));
        let status = path.rsplit_once("/status/").map_or("200", |(_, status)| status);
        // 204 and HEAD have no body.
        let body = if status == "204" || method == "HEAD" { "" } else { "Served.\n" };
        self.answers.lock().expect("the book").push(Answer { at: now(), took: began.elapsed().as_secs_f64() });
        let head = format!("HTTP/1.1 {status} Said\r\nX-Server: {name}\r\nConnection: close\r\n");
        write!(&mut &*stream, "{head}\r\n{body}")?;
        stream.shutdown(Shutdown::Both)
    }
}
