//! The systemd journal, read through `journalctl`: no library to link, and whatever format the files have.
//!
//! ```text
//! locate     journalctl --cursor=C                 is the entry with the kept cursor still there?
//! catch up   journalctl --cursor=C MATCHES         every entry behind it, from all boots; then it ends
//! follow     journalctl --cursor=C MATCHES -f      and on, until shutdown
//! ```
//!
//! When any of them fails, all of this happens again after a pause, behind the last entry handed over.
//!
//! # Why like this
//! `--after-cursor` skips an entry whatever it is (fixed in systemd 255): one line is lost whenever the cursor's entry is
//! gone or does not match. `--cursor` gives the entry itself, if it is there, and it is skipped here. `-f` shows entries of
//! the current boot only (since systemd 251, and some versions cannot be told otherwise): those of earlier boots are read
//! before, without it. `-f` does not work with `--file`, so journals are named by their directory.
//!
//! Files are not read directly, since the format grows with systemd, and crates that know it without its library are young.

mod child;
mod export;
mod line;
mod run;

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::time::sleep;

use crate::source::file::Start;
use crate::source::status::{Status, Trouble};
use crate::source::{Block, End, Position, Sink};
use export::{Entry, Export};
use run::{Goal, Runner};

/// How the journal is read, and what of it.
#[derive(Clone, Debug)]
pub struct Options {
    /// The source's name in telemetry.
    pub name: String,
    /// The program; looked for on `PATH` unless it has a slash.
    pub journalctl: PathBuf,
    /// Journal files in this directory instead of the system's.
    pub directory: Option<PathBuf>,
    /// Entries with one of these syslog identifiers; with any, if there are none here.
    pub identifiers: Vec<String>,
    /// Entries of one of these units, as `journalctl -u` finds them.
    pub units: Vec<String>,
    /// Matches in `journalctl`'s own words: `FIELD=VALUE`, `+` between alternatives.
    pub matches: Vec<String>,
    /// Longest line delivered whole (bytes, without its newline).
    pub max_line_bytes: usize,
    /// Where to begin without a cursor to resume from.
    pub start: Start,
    /// The first and the longest pause before the journal is read again after a failure; each is twice the one before.
    pub pauses: (Duration, Duration),
    /// Takes what `journalctl` complains of, for people; at most a line a minute.
    pub say: fn(fmt::Arguments<'_>),
}

impl Default for Options {
    /// The whole journal of the system from its end on, lines of 64 KiB, pauses of 1 s to 1 min, nothing said.
    fn default() -> Self {
        Options {
            name: "journal".to_owned(),
            journalctl: "journalctl".into(),
            directory: None,
            identifiers: Vec::new(),
            units: Vec::new(),
            matches: Vec::new(),
            max_line_bytes: 65_536,
            start: Start::End,
            pauses: (Duration::from_secs(1), Duration::from_secs(60)),
            say: |_| {},
        }
    }
}

/// Bytes asked for in one read: what a pipe holds.
const ROOM: usize = 65_536;

/// Longest cursor believed.
const CURSOR_BYTES: usize = 512;

/// Follows the journal.
///
/// Its telemetry goes to the `metrics` recorder that is installed when it is made.
pub struct Journal {
    runner: Runner,
    lines: Lines,
    /// Where to begin has been found out, or given.
    is_placed: bool,
    /// The cursor is known to be gone, and that has been counted.
    is_gone: bool,
}

impl Journal {
    /// Prepares to follow; nothing is started before [`run`](Self::run).
    pub fn new(options: Options, sink: Box<dyn Sink>) -> Self {
        let is_placed = options.start == Start::Beginning;
        let limit = options.max_line_bytes.max(1);
        Journal { runner: Runner::new(options), lines: Lines::new(limit, sink), is_placed, is_gone: false }
    }

    /// Begins behind the entry with this cursor. If it is gone, at the first one that the journal puts behind it.
    #[must_use]
    pub fn resume(mut self, cursor: &str) -> Self {
        if is_cursor(cursor) {
            self.lines.cursor = Some(cursor.to_owned());
            self.is_placed = true;
        }
        self
    }

    /// Where it stands; stays current while it runs.
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.runner.status)
    }

    /// Follows the journal until `shutdown` is ready, and drops the sink. Must be called on a tokio runtime with I/O
    /// and time enabled. No process is left when it returns.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        tokio::select! {
            biased;
            () = shutdown => {}
            never = self.follow_for_ever() => match never {},
        }
        self.runner.stop().await;
    }

    async fn follow_for_ever(&mut self) -> Infallible {
        let (first, longest) = self.runner.options.pauses;
        let mut pause = first;
        loop {
            let began = Instant::now();
            let cursor = self.lines.cursor.clone();
            let Err(trouble) = self.session().await;
            self.runner.stop().await;
            self.runner.failed(trouble);
            if self.lines.cursor != cursor || began.elapsed() > longest {
                pause = first;
            }
            sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    /// Reads until something fails.
    async fn session(&mut self) -> Result<Infallible, Trouble> {
        self.place().await?;
        self.read(Goal::CatchUp).await?;
        self.runner.caught_up();
        self.read(Goal::Follow).await?;
        Err(Trouble::Exited)
    }

    /// Finds out where to begin: at the cursor, if there is still something at it or behind it.
    async fn place(&mut self) -> Result<(), Trouble> {
        if !self.is_placed {
            self.lines.cursor = self.find(Goal::LastMatch).await?;
            self.is_placed = true;
            self.announce();
            return Ok(());
        }
        let Some(cursor) = self.lines.cursor.clone() else { return Ok(()) };
        let found = self.find(Goal::Locate).await?;
        if found.as_ref().is_some_and(|found| is_same(&cursor, found)) {
            return Ok(());
        }
        if !std::mem::replace(&mut self.is_gone, true) {
            self.runner.error(Trouble::Vacuumed);
            self.runner.say("the entry read last is not in the journal any more; reading goes on with what is");
        }
        if found.is_none() {
            // All there is stands before the cursor: the clock was set back, or the journal lost its end. What is of
            // the same sequence of entries has been read.
            let last = self.find(Goal::Last).await?;
            self.lines.cursor = match last {
                Some(last) if sequence(&last) == sequence(&cursor) => self.find(Goal::LastMatch).await?,
                _ => None,
            };
            self.announce();
        }
        Ok(())
    }

    /// Tells the sink where reading stands, without lines.
    fn announce(&mut self) {
        if let Some(cursor) = &self.lines.cursor {
            self.lines.sink.stands(Position::Cursor(cursor.clone()), &[]);
        }
    }

    /// The cursor of the first entry that `goal` gives.
    async fn find(&mut self, goal: Goal) -> Result<Option<String>, Trouble> {
        self.runner.start(goal, self.lines.cursor.as_deref())?;
        let mut export = Export::new(0, ROOM);
        let mut found = None;
        while found.is_none() {
            let read = self.runner.fill(&mut export).await?;
            if read == 0 {
                self.runner.ended().await?;
                break;
            }
            export.take(read, &mut |entry| {
                if found.is_none() {
                    found = cursor(entry).map(str::to_owned);
                }
            });
        }
        self.runner.stop().await;
        Ok(found)
    }

    /// Hands over every entry that `goal` gives, those of a read together.
    async fn read(&mut self, goal: Goal) -> Result<(), Trouble> {
        self.runner.start(goal, self.lines.cursor.as_deref())?;
        let mut export = Export::new(self.lines.limit, ROOM);
        self.lines.may_repeat = true;
        loop {
            let read = self.runner.fill(&mut export).await?;
            if read == 0 {
                return self.runner.ended().await;
            }
            let mut newest = 0;
            let mut without_cursor = 0;
            export.take(read, &mut |entry| {
                newest = line::microseconds(entry);
                without_cursor += u64::from(!self.lines.add(entry));
            });
            self.runner.read(read);
            for _ in 0..export.malformed() + without_cursor {
                self.runner.error(Trouble::Malformed);
            }
            if self.lines.hand_over() {
                self.is_gone = false;
            }
            let has_more = goal == Goal::CatchUp || read == ROOM;
            self.runner.behind(if has_more && newest > 0 { age_seconds(newest) } else { 0.0 });
        }
    }
}

/// Collects the lines of entries, for blocks.
struct Lines {
    sink: Box<dyn Sink>,
    limit: usize,
    out: Vec<u8>,
    /// Bytes of the export format since the last block.
    bytes: u64,
    /// Of the last entry taken in; it is the sink's when [`hand_over`](Self::hand_over) has been called.
    cursor: Option<String>,
    /// The next entry may be the one at the cursor, which `journalctl` gives once more.
    may_repeat: bool,
}

impl Lines {
    fn new(limit: usize, sink: Box<dyn Sink>) -> Self {
        Lines { sink, limit, out: Vec::new(), bytes: 0, cursor: None, may_repeat: false }
    }

    /// Takes in an entry. False when it has no cursor.
    fn add(&mut self, entry: &Entry) -> bool {
        let found = cursor(entry);
        let is_repeated = std::mem::take(&mut self.may_repeat)
            && self.cursor.as_deref().zip(found).is_some_and(|(kept, found)| is_same(kept, found));
        if is_repeated {
            return true;
        }
        let start = self.out.len();
        let is_cut = entry.has_message && line::write(entry, self.limit, &mut self.out);
        if is_cut {
            let cut = self.out.split_off(start);
            self.hand_over();
            self.bytes += entry.bytes;
            self.moved(found);
            self.block(&cut, true);
            return found.is_some();
        }
        if entry.has_message {
            self.out.push(b'\n');
        }
        self.bytes += entry.bytes;
        self.moved(found);
        if self.sink.wants_lines() {
            self.hand_over();
        }
        found.is_some()
    }

    fn moved(&mut self, found: Option<&str>) {
        if let Some(found) = found {
            let cursor = self.cursor.get_or_insert_default();
            cursor.clear();
            cursor.push_str(found);
        }
    }

    /// Hands over what has been collected. False when that is nothing.
    fn hand_over(&mut self) -> bool {
        if self.out.is_empty() {
            return false;
        }
        let mut out = std::mem::take(&mut self.out);
        self.block(&out, false);
        out.clear();
        self.out = out;
        true
    }

    fn block(&mut self, lines: &[u8], cut: bool) {
        let end = self.cursor.as_deref().map_or(End::Nowhere, End::Cursor);
        self.sink.block(Block { lines, bytes: std::mem::take(&mut self.bytes), end, cut });
    }
}

/// The cursor of an entry, if it is one.
fn cursor(entry: &Entry) -> Option<&str> {
    std::str::from_utf8(&entry.cursor).ok().filter(|cursor| is_cursor(cursor))
}

/// `s=739ad4…;i=4ece7;…`
fn is_cursor(text: &str) -> bool {
    let is_part = |part: &str| {
        let (name, value) = part.split_once('=')?;
        let is_valid = name.len() == 1 && !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_valid.then_some(())
    };
    text.len() < CURSOR_BYTES && text.split(';').all(|part| is_part(part).is_some())
}

/// True when both are of the same entry: `journalctl` of another version may know more parts.
fn is_same(kept: &str, found: &str) -> bool {
    kept.split(';').all(|part| found.split(';').any(|other| other == part))
}

/// The part of a cursor that entries numbered together share.
fn sequence(cursor: &str) -> Option<&str> {
    cursor.split(';').find(|part| part.starts_with("s="))
}

fn age_seconds(microseconds: u64) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_micros(microseconds)).as_secs_f64()
}
