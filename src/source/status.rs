//! What is known of a source from outside: [`Status`] for readiness and the status page, and the same facts as own
//! telemetry, under the label `source` (the configured path or name).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, counter, gauge};

use super::{Identity, Rotation};
use crate::metrics::own::label_value;

/// Where one source stands. Cheap to share and to read; every field is updated on its own, so two
/// fields read together may be one look apart.
#[derive(Debug, Default)]
pub struct Status {
    up: AtomicBool,
    looked_once: AtomicBool,
    device: AtomicU64,
    inode: AtomicU64,
    offset: AtomicU64,
    size: AtomicU64,
    read_bytes: AtomicU64,
    lag_bytes: AtomicU64,
    renames: AtomicU64,
    truncations: AtomicU64,
    dropped: AtomicU64,
    errors: AtomicU64,
    ended: AtomicBool,
    behind_ms: AtomicU64,
    left: AtomicBool,
}

impl Status {
    /// True while the path leads to a readable regular file. During a rotation it is false as long as the
    /// successor is missing, though the old file is still read.
    pub fn up(&self) -> bool {
        self.up.load(Relaxed)
    }

    /// True once the file was looked at for the first time and, if it was there, read to its end or up to
    /// the first look's bound.
    pub fn looked_once(&self) -> bool {
        self.looked_once.load(Relaxed)
    }

    /// The file being read, which during a rotation is the one before the successor.
    pub fn identity(&self) -> Identity {
        Identity { device: self.device.load(Relaxed), inode: self.inode.load(Relaxed) }
    }

    /// Offset (bytes) behind the last line handed over.
    pub fn offset(&self) -> u64 {
        self.offset.load(Relaxed)
    }

    /// Size (bytes) of the file being read, at the last look.
    pub fn size(&self) -> u64 {
        self.size.load(Relaxed)
    }

    /// Bytes read since start, over all rotations or connections.
    pub fn read_bytes(&self) -> u64 {
        self.read_bytes.load(Relaxed)
    }

    /// Bytes that are there and not yet read, successors included. A line whose end is not written yet is
    /// no lag.
    pub fn lag_bytes(&self) -> u64 {
        self.lag_bytes.load(Relaxed)
    }

    /// How long data have been waiting, as it was at the last look.
    fn behind(&self) -> Duration {
        Duration::from_millis(self.behind_ms.load(Relaxed))
    }

    /// True once nobody reads the source any more: it was removed, or its file is gone for good.
    pub fn left(&self) -> bool {
        self.left.load(Relaxed)
    }

    /// Nobody reads the source any more.
    pub(super) fn leave(&self) {
        self.left.store(true, Relaxed);
    }

    /// Rotations followed to the successor.
    pub fn renames(&self) -> u64 {
        self.renames.load(Relaxed)
    }

    /// Times the file shrank below the read offset.
    pub fn truncations(&self) -> u64 {
        self.truncations.load(Relaxed)
    }

    /// Messages that the kernel threw away before they could be read.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Errors of every kind.
    pub fn errors(&self) -> u64 {
        self.errors.load(Relaxed)
    }

    /// True once the source has ended for good: standard input was closed.
    pub fn ended(&self) -> bool {
        self.ended.load(Relaxed)
    }
}

/// Why a source could not be read for a while, or not all of it: label `kind` of `tailmeter_source_errors_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing is at the path.
    Missing,
    /// The file or a directory above it may not be read.
    Permission,
    /// A directory, pipe, socket or device is at the path.
    NotAFile,
    /// Opening failed in any other way.
    Open,
    /// Reading failed.
    Read,
    /// The system gives no wakes (inotify limits, lost notices): polled instead, or watched anew.
    Watch,
    /// A connection could not be accepted.
    Accept,
    /// A connection had to wait, because as many as may be were open.
    Connections,
    /// A connection was closed for a count that cannot be, or ended within a counted message.
    Frame,
    /// Something came from an address that may not send.
    Sender,
    /// A connection was closed because TLS could not be agreed on, or was broken.
    Tls,
    /// It could not be found out what the kernel dropped.
    Drops,
    /// Something other than a pipe is at the path.
    NotAPipe,
    /// `journalctl` ended.
    Exited,
    /// The journal has no entry with the kept cursor any more.
    Vacuumed,
    /// `journalctl` wrote a line to its standard error.
    Warned,
    /// `journalctl` gave something that is not the export format, or an entry without a cursor.
    Malformed,
}

impl Trouble {
    /// What can befall a file.
    const OF_FILES: &[Trouble] =
        &[Trouble::Missing, Trouble::Permission, Trouble::NotAFile, Trouble::Open, Trouble::Read, Trouble::Watch];

    /// What can befall a socket.
    const OF_SOCKETS: &[Trouble] = &[
        Trouble::Read,
        Trouble::Watch,
        Trouble::Accept,
        Trouble::Connections,
        Trouble::Frame,
        Trouble::Sender,
        Trouble::Tls,
        Trouble::Drops,
    ];

    /// What can befall a pipe.
    const OF_PIPES: &[Trouble] =
        &[Trouble::Missing, Trouble::Permission, Trouble::NotAPipe, Trouble::Open, Trouble::Read];

    /// What can befall a journal.
    const OF_JOURNALS: &[Trouble] = &[
        Trouble::Missing,
        Trouble::Permission,
        Trouble::Open,
        Trouble::Read,
        Trouble::Exited,
        Trouble::Vacuumed,
        Trouble::Warned,
        Trouble::Malformed,
    ];

    fn label(self) -> &'static str {
        match self {
            Trouble::Missing => "missing",
            Trouble::Permission => "permission",
            Trouble::NotAFile => "not_a_file",
            Trouble::Open => "open",
            Trouble::Read => "read",
            Trouble::Watch => "watch",
            Trouble::Accept => "accept",
            Trouble::Connections => "connections",
            Trouble::Frame => "frame",
            Trouble::Sender => "sender",
            Trouble::Tls => "tls",
            Trouble::Drops => "drops",
            Trouble::NotAPipe => "not_a_pipe",
            Trouble::Exited => "exited",
            Trouble::Vacuumed => "vacuumed",
            Trouble::Warned => "warned",
            Trouble::Malformed => "malformed",
        }
    }
}

/// Handles of the telemetry of one source, taken once: gauges, and what is not kept from run to run. Counters that
/// belong to lines are the [`Sink`](super::Sink)'s. The `metrics` recorder must be installed before.
pub(super) struct Telemetry {
    up: Gauge,
    /// What waits; `None` where the system does not tell.
    lag_bytes: Option<Gauge>,
    lag_seconds: Option<Gauge>,
    errors: Vec<(Trouble, Counter)>,
    caught_up_at: Instant,
}

impl Telemetry {
    /// Of the file called `name` (see [`source_name`](crate::metrics::own::source_name)).
    pub(super) fn of_file(name: &str) -> Self {
        let source = label_value(name);
        Telemetry {
            lag_bytes: Some(gauge!("tailmeter_source_lag_bytes", "source" => source.clone())),
            lag_seconds: Some(gauge!("tailmeter_source_lag_seconds", "source" => source)),
            ..Self::without_lag(name, Trouble::OF_FILES)
        }
    }

    /// Of the journal source called `name`: it knows the time and no bytes.
    pub(super) fn of_journal(name: &str) -> Self {
        let lag_seconds = gauge!("tailmeter_source_lag_seconds", "source" => label_value(name));
        Telemetry { lag_seconds: Some(lag_seconds), ..Self::without_lag(name, Trouble::OF_JOURNALS) }
    }

    /// Of the pipe called `name`.
    pub(super) fn of_pipe(name: &str) -> Self {
        Self::without_lag(name, Trouble::OF_PIPES)
    }

    /// Of the socket called `name`.
    pub(super) fn of_socket(name: &str) -> Self {
        Self::without_lag(name, Trouble::OF_SOCKETS)
    }

    fn without_lag(name: &str, troubles: &[Trouble]) -> Self {
        let source = label_value(name);
        let errors = |&trouble: &Trouble| {
            let labels = [("source", source.clone()), ("kind", trouble.label().into())];
            (trouble, counter!("tailmeter_source_errors_total", &labels))
        };
        Telemetry {
            errors: troubles.iter().map(errors).collect(),
            up: gauge!("tailmeter_source_up", "source" => source),
            lag_bytes: None,
            lag_seconds: None,
            caught_up_at: Instant::now(),
        }
    }

    /// Of one of the files of a source: its gauges tell of all of them, so they are not this one's.
    pub(super) fn of_one_of(name: &str) -> Self {
        Telemetry { up: Gauge::noop(), ..Self::without_lag(name, Trouble::OF_FILES) }
    }

    pub(super) fn up(&self, status: &Status, up: bool) {
        status.up.store(up, Relaxed);
        self.up.set(if up { 1.0 } else { 0.0 });
    }

    pub(super) fn read(&self, status: &Status, bytes: u64) {
        if bytes > 0 {
            status.read_bytes.fetch_add(bytes, Relaxed);
        }
    }

    pub(super) fn dropped(&self, status: &Status, messages: u64) {
        status.dropped.fetch_add(messages, Relaxed);
    }

    pub(super) fn rotation(&self, status: &Status, rotation: Rotation) {
        let counted = match rotation {
            Rotation::Rename => &status.renames,
            Rotation::Truncate => &status.truncations,
        };
        counted.fetch_add(1, Relaxed);
    }

    pub(super) fn error(&self, status: &Status, trouble: Trouble) {
        status.errors.fetch_add(1, Relaxed);
        if let Some((_, counted)) = self.errors.iter().find(|(known, _)| *known == trouble) {
            counted.increment(1);
        }
    }

    /// Records where reading stands at the end of a look.
    pub(super) fn stands(&mut self, status: &Status, identity: Identity, at: Standing) {
        status.device.store(identity.device, Relaxed);
        status.inode.store(identity.inode, Relaxed);
        status.offset.store(at.offset, Relaxed);
        status.size.store(at.size, Relaxed);
        status.lag_bytes.store(at.lag_bytes, Relaxed);
        let now = Instant::now();
        if at.lag_bytes == 0 {
            self.caught_up_at = now;
        }
        let behind: Duration = now.duration_since(self.caught_up_at);
        status.behind_ms.store(behind.as_millis() as u64, Relaxed);
        self.lag(at.lag_bytes);
        self.behind(behind.as_secs_f64());
    }

    fn lag(&self, bytes: u64) {
        if let Some(lag_bytes) = &self.lag_bytes {
            lag_bytes.set(bytes as f64);
        }
    }

    /// Records that data have been waiting for `seconds`.
    pub(super) fn behind(&self, seconds: f64) {
        if let Some(lag_seconds) = &self.lag_seconds {
            lag_seconds.set(seconds);
        }
    }

    pub(super) fn ended(&self, status: &Status) {
        status.ended.store(true, Relaxed);
    }

    /// Records in `status` where the `files` of one source stand together.
    pub(super) fn gather<'a>(&self, status: &Status, files: impl Iterator<Item = &'a Status> + Clone) {
        let sum = |of: fn(&Status) -> u64| files.clone().map(of).sum::<u64>();
        for (field, of) in [
            (&status.size, Status::size as fn(&Status) -> u64),
            (&status.read_bytes, Status::read_bytes),
            (&status.lag_bytes, Status::lag_bytes),
            (&status.renames, Status::renames),
            (&status.truncations, Status::truncations),
            (&status.errors, Status::errors),
        ] {
            field.store(sum(of), Relaxed);
        }
        let behind = files.clone().map(Status::behind).max().unwrap_or_default();
        status.behind_ms.store(behind.as_millis() as u64, Relaxed);
        status.looked_once.store(files.clone().all(Status::looked_once), Relaxed);
        self.up(status, files.clone().next().is_some() && files.clone().all(Status::up));
        self.lag(status.lag_bytes());
        self.behind(behind.as_secs_f64());
    }

    pub(super) fn looked(&self, status: &Status) {
        status.looked_once.store(true, Relaxed);
    }
}

/// Where reading stands in one file, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) lag_bytes: u64,
}
