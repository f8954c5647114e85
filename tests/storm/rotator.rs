//! What rotates the log: logrotate.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::harness::until;
use crate::lines::Random;
use crate::writer::Orders;

/// A way to rotate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variant {
    /// What logrotate's configuration says.
    pub(crate) directives: &'static str,
    /// Label `kind` of its rotations.
    pub(crate) kind: &'static str,
}

/// Rotates at random moments until it is ended.
pub(crate) struct Rotator {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    rotations: AtomicUsize,
    stop: AtomicBool,
}

impl Rotator {
    /// Begins to rotate the log that is written under `orders`; its own files go to `folder`.
    pub(crate) fn begin(variant: Variant, folder: &Path, orders: Arc<Orders>, seed: u64) -> Self {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let (configuration, state) = (folder.join("logrotate.conf"), folder.join("logrotate.state"));
        let copies = variant.kind == "truncate";
        let (log, reopen) = (orders.log.display(), orders.reopen.display());
        // As a server that is told to open its log anew, and has done so when the script ends.
        let script = format!("postrotate\n touch {reopen}\n while [ -e {reopen} ]; do sleep 0.005; done\n endscript");
        let script = if copies { String::new() } else { script };
        let text = format!("{log} {{\n rotate 9999\n {}\n {script}\n}}\n", variant.directives);
        fs::write(&configuration, text).unwrap();
        let thread = thread::spawn(move || {
            let mut random = Random(seed);
            while !of_thread.stop.load(Relaxed) {
                let moment = Instant::now() + Duration::from_millis(random.below(500) as u64);
                until("a rotation", || Instant::now() >= moment || of_thread.stop.load(Relaxed));
                orders.wait_for_more();
                let rotate = || {
                    let mut logrotate = Command::new("logrotate");
                    let done = logrotate.arg("--force").arg("--state").arg(&state).arg(&configuration).output();
                    let done = done.expect("logrotate is installed");
                    assert!(done.status.success(), "{done:?}");
                };
                // What is written between its copying and its truncating is lost.
                if copies {
                    orders.hold(rotate)
                } else {
                    rotate()
                }
                of_thread.rotations.fetch_add(1, Relaxed);
            }
        });
        Self { shared, thread }
    }

    /// Rotations made so far.
    pub(crate) fn rotations(&self) -> usize {
        self.shared.rotations.load(Relaxed)
    }

    /// Ends; returns the number of rotations.
    pub(crate) fn end(self) -> usize {
        self.shared.stop.store(true, Relaxed);
        self.thread.join().unwrap();
        self.shared.rotations.load(Relaxed)
    }
}
