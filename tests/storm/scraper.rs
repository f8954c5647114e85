//! What scrapes, and remembers.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::harness::unchunked;

/// Counters of the process, not of the logs: they begin at zero with it.
const OF_THE_PROCESS: [&str; 3] = ["process_", "tailmeter_source_errors_total", "tailmeter_checkpoint_errors_total"];

/// Scrapes whatever exporter there is, and holds every counter against what it was before.
pub(crate) struct Scraper {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    address: Mutex<String>,
    scrapes: AtomicUsize,
    stop: AtomicBool,
}

impl Scraper {
    /// Begins; nothing is scraped until there is something to [`watch`](Self::watch).
    pub(crate) fn begin(interval: Duration) -> Self {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let mut known = BTreeMap::new();
            while !of_thread.stop.load(Relaxed) {
                let address = of_thread.address.lock().unwrap().clone();
                if let Some(text) = scrape(&address) {
                    compare(&mut known, &text);
                    of_thread.scrapes.fetch_add(1, Relaxed);
                }
                thread::sleep(interval);
            }
        });
        Self { shared, thread }
    }

    /// Scrapes the exporter at `address` from now on.
    pub(crate) fn watch(&self, address: &str) {
        address.clone_into(&mut self.shared.address.lock().unwrap());
    }

    /// Scrapes answered so far.
    ///
    /// # Panics
    /// When a value has got smaller.
    pub(crate) fn scrapes(&self) -> usize {
        assert!(!self.thread.is_finished(), "a scrape saw what must not be");
        self.shared.scrapes.load(Relaxed)
    }

    /// Ends; returns the number of scrapes.
    pub(crate) fn end(self) -> usize {
        self.shared.stop.store(true, Relaxed);
        self.thread.join().unwrap();
        self.shared.scrapes.load(Relaxed)
    }
}

/// A whole answer; an exporter that is killed gives none.
fn scrape(address: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    if head.contains("\r\ntransfer-encoding: chunked") {
        return unchunked(body);
    }
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    (length == Some(body.len())).then(|| body.to_owned())
}

/// No counter is smaller than it was, and none is gone.
fn compare(known: &mut BTreeMap<String, f64>, text: &str) {
    let counters = text.lines().filter(|line| {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let is_counter = ["_total", "_bucket", "_count", "_sum"].iter().any(|suffix| name.ends_with(suffix));
        is_counter && !line.starts_with('#') && !OF_THE_PROCESS.iter().any(|prefix| name.starts_with(prefix))
    });
    let mut now = BTreeMap::new();
    for line in counters {
        let (series, value) = line.rsplit_once(' ').unwrap();
        now.insert(series.to_owned(), value.parse::<f64>().unwrap());
    }
    for (series, before) in known.iter() {
        match now.get(series) {
            Some(value) => assert!(value >= before, "{series} was {before} and is {value}"),
            None => panic!("{series} was {before} and is gone"),
        }
    }
    *known = now;
}
