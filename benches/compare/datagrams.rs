//! What a datagram costs: a thread floods a source with datagrams over UDP while another, with a core for itself, reads
//! them as `tailmeter run` does, up to the block.
//!
//! ```sh
//! cargo run --release --example datagrams -- [SECONDS [BYTES]]
//! ```

#![allow(clippy::expect_used, reason = "a bench fails by panicking")]

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tailmeter::source::syslog::{Options, Syslog, Transport};
use tailmeter::source::{Block, Incident, Sink};

#[derive(Clone, Default)]
struct Count(Arc<Counts>);

#[derive(Default)]
struct Counts {
    lines: AtomicU64,
    blocks: AtomicU64,
    dropped: AtomicU64,
}

impl Sink for Count {
    fn block(&mut self, block: Block<'_>) {
        self.0.lines.fetch_add(memchr::memchr_iter(b'\n', block.lines).count() as u64, Relaxed);
        self.0.blocks.fetch_add(1, Relaxed);
    }

    fn incident(&mut self, incident: Incident) {
        if let Incident::Dropped(messages) = incident {
            self.0.dropped.fetch_add(messages, Relaxed);
        }
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>().expect("a number"));
    let seconds = arguments.next().unwrap_or(5);
    let bytes = arguments.next().unwrap_or(250);
    let count = Count::default();
    let options = Options::new("udp://127.0.0.1:0".parse().expect("an address"));
    let syslog = Syslog::bind(options, Box::new(count.clone())).expect("a socket");
    for warning in syslog.warnings() {
        println!("{warning}");
    }
    let Transport::Udp(address) = syslog.local_address() else { unreachable!("it is UDP") };

    let is_over = Arc::new(AtomicBool::new(false));
    let flood = {
        let is_over = Arc::clone(&is_over);
        std::thread::spawn(move || {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            socket.connect(address).expect("a local address");
            let message = vec![b'x'; bytes as usize];
            let mut sent = 0_u64;
            while !is_over.load(Relaxed) {
                sent += u64::from(socket.send(&message).is_ok());
            }
            sent
        })
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (began, cpu) = (Instant::now(), cpu_time());
    let took = runtime.block_on(async {
        let mut took = Duration::ZERO;
        let (over, took_until) = (Arc::clone(&is_over), &mut took);
        syslog
            .run(async move {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                *took_until = began.elapsed();
                over.store(true, Relaxed);
            })
            .await;
        took
    });
    let cpu = (cpu_time() - cpu).as_secs_f64();
    let sent = flood.join().expect("no panic");
    let [lines, blocks, dropped] = [&count.0.lines, &count.0.blocks, &count.0.dropped].map(|count| count.load(Relaxed));
    println!(
        "{sent} datagrams of {bytes} bytes sent in {:.1} s: {lines} received, {dropped} dropped",
        took.as_secs_f64()
    );
    println!("{:.0} datagrams/s; {:.1} a block", lines as f64 / took.as_secs_f64(), lines as f64 / blocks as f64);
    println!(
        "the reader used {:.0} % of a core, {:.0} ns a datagram",
        100.0 * cpu / took.as_secs_f64(),
        1e9 * cpu / lines as f64
    );
    println!("a whole core takes {:.0} datagrams/s", lines as f64 / cpu);
}

/// What this thread has spent.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the thread's statistics");
    Duration::from_nanos(text.split(' ').next().and_then(|time| time.parse().ok()).expect("a time"))
}
