//! A Postfix log of many messages at once, with the truth about each: what becomes of a message is decided first
//! (`plan.rs`), then its lines are written, mixed with those of all others that are under way. Nothing is kept of a message
//! whose lines are written but sums (`truth.rs`). The same seed gives the same log.

mod lines;
mod plan;
mod truth;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

#[allow(unused_imports, reason = "only a test compares buckets")]
pub(crate) use truth::{Truth, bounds};

/// Milliseconds for which a session that brought nothing to the queue is remembered.
pub(crate) const SESSION_MS: u64 = 3_600_000;

/// What a line says about a message, for whoever follows them; [`Fact::About`] has the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "only a test follows messages")]
pub(crate) enum Fact {
    /// It begins; the message that came back as this one, if the line says so; and whether it comes from the host itself.
    Begins { of: Option<u64>, is_local: bool },
    /// Its message id; 0 for none.
    MessageId(u64),
    /// It is active, with so many bytes and recipients.
    Active { size: u64, recipients: u64 },
    /// A delivery: `sent`, `bounced`, or neither; the delay as it is written; the message that it became.
    Delivery { fate: u16, delay_ms: u64, queued_as: Option<u64> },
    /// It is given up.
    Expired,
    /// It never gets into a queue.
    Refused,
    /// It leaves the queue; by itself, or because somebody deleted it.
    Removed { is_done: bool },
}

/// A line that is yet to be written.
#[derive(Debug, PartialEq, Eq)]
struct Pending {
    at_ms: u64,
    number: u64,
    host: u8,
    text: String,
    fact: Option<(u64, Fact)>,
}

impl Ord for Pending {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_ms, self.number).cmp(&(other.at_ms, other.number))
    }
}

impl PartialOrd for Pending {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// A line that was written.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "only a test looks at it")]
pub(crate) struct Written {
    /// When, in milliseconds.
    pub(crate) at_ms: u64,
    /// The message that it is about, and what it says of it.
    pub(crate) fact: Option<(u64, Fact)>,
}

/// What to write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Messages, not counting those that come of others.
    pub(crate) messages: u64,
    /// Of the random numbers.
    pub(crate) seed: u64,
    /// Mean pause between two messages, in microseconds.
    pub(crate) pause_us: u64,
    /// Times as syslog's classic files have them, in whole seconds: the truth about durations is another then.
    pub(crate) is_classic: bool,
}

/// The log.
pub(crate) struct Mail {
    wanted: Wanted,
    random: Random,
    made: u64,
    /// When the next message comes, in microseconds since the log's beginning.
    clock_us: u64,
    pending: BinaryHeap<Reverse<Pending>>,
    numbers: u64,
    /// Queue ids and message ids that were given.
    ids: u64,
    message_ids: u64,
    /// Queue ids that are free again, each since when; and true if its message's end is not in the log.
    free: VecDeque<(u64, u64, bool)>,
    /// When the sessions that broke off began.
    abandoned: VecDeque<u64>,
    /// When the last message was first heard of.
    entered_ms: u64,
    truth: Truth,
}

impl Mail {
    pub(crate) fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            random: Random(wanted.seed),
            made: 0,
            // Some messages came before it.
            clock_us: 10_000_000_000,
            pending: BinaryHeap::new(),
            numbers: 0,
            ids: 0,
            message_ids: 0,
            free: VecDeque::new(),
            abandoned: VecDeque::new(),
            entered_ms: 0,
            truth: Truth::default(),
        }
    }

    /// Appends the next line to `out`; `None` when there are no more.
    pub(crate) fn line(&mut self, out: &mut Vec<u8>) -> Option<Written> {
        while self.made < self.wanted.messages
            && self.pending.peek().is_none_or(|Reverse(next)| next.at_ms >= self.clock_us / 1000)
        {
            self.made += 1;
            self.plan(self.clock_us / 1000);
            self.clock_us += self.random.number() % (2 * self.wanted.pause_us);
        }
        let Reverse(next) = self.pending.pop()?;
        lines::write(out, &next.text, next.at_ms, next.host, self.wanted.is_classic);
        Some(Written { at_ms: next.at_ms, fact: next.fact })
    }

    /// What the metrics must be when every line was read.
    pub(crate) fn truth(mut self) -> Truth {
        let since = self.entered_ms.saturating_sub(SESSION_MS);
        let sessions = self.abandoned.iter().filter(|began| **began >= since).count();
        self.truth.count("correlator_messages", &[], sessions as i64);
        self.truth
    }

    /// The queue id is free again; few are kept.
    fn release(&mut self, id: u64, since: u64) {
        if self.free.len() < 1000 {
            self.free.push_back((id, since, false));
        }
    }

    fn push(&mut self, at_ms: u64, id: u64, text: String, fact: Option<Fact>) {
        self.numbers += 1;
        let host = (id % 2) as u8;
        let fact = fact.map(|fact| (id, fact));
        self.pending.push(Reverse(Pending { at_ms, number: self.numbers, host, text, fact }));
    }
}

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.number() % limit
    }

    pub(crate) fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
