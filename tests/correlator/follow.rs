//! What the lines of a log say about its messages, followed in the plainest way.

use tailmeter::metrics::Fate;

use crate::mail::{Fact, Truth, Written};
use crate::naive::Naive;

/// Follows messages as Postfix's family does, with a limit of messages.
pub(crate) struct Follow {
    pub(crate) messages: Naive,
    insertions: i64,
    peak: usize,
    totals: Truth,
}

impl Follow {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { messages: Naive::new(capacity), insertions: 0, peak: 0, totals: Truth::default() }
    }

    pub(crate) fn line(&mut self, written: Written) {
        let Some((id, fact)) = written.fact else { return };
        let at = Some(written.at_ms);
        match fact {
            Fact::Begins { of, is_local } => {
                let message = self.messages.begin(id, at);
                if is_local {
                    message.fate.add(Fate::LOCAL);
                }
                if let Some(of) = of {
                    self.hand_on(of, id);
                }
            }
            Fact::MessageId(message_id) => {
                let is_local = self.messages.enter(id, at).fate.has(Fate::LOCAL);
                if message_id != 0
                    && let Some(before) = self.messages.tell_message_id(id, message_id)
                    && is_local
                    && !before.fate.has(Fate::LOCAL)
                {
                    self.hand_on(before.id, id);
                }
            }
            Fact::Active { size, recipients } => {
                let message = self.messages.enter(id, at);
                message.attempts += 1;
                if !message.fate.has(Fate::QUEUED) {
                    self.insertions += 1;
                    self.totals.observe("message_size_bytes", &[], size);
                    self.totals.observe("message_recipients", &[], recipients);
                }
                self.messages.queue(id);
            }
            Fact::Delivery { fate, delay_ms, queued_as } => {
                let Some(message) = self.messages.get(id) else { return };
                message.fate.add(Fate(fate));
                message.began_ms = written.at_ms - delay_ms;
                let message_id = message.message_id;
                if let Some(next) = queued_as
                    && fate == Fate::SENT.0
                    && message_id != 0
                    && self.messages.get(next).is_some_and(|next| next.message_id == message_id)
                {
                    self.hand_on(id, next);
                }
            }
            Fact::Expired => {
                if let Some(message) = self.messages.get(id) {
                    message.fate.add(Fate::EXPIRED);
                }
            }
            Fact::Refused => {
                self.messages.finish(id);
            }
            Fact::Removed { is_done } => self.remove(id, is_done, written.at_ms),
        }
        self.peak = self.peak.max(self.messages.len());
    }

    fn remove(&mut self, id: u64, is_done: bool, at_ms: u64) {
        let Some(message) = self.messages.finish(id).filter(|_| is_done) else { return };
        let Some(outcome) = message.fate.outcome() else { return };
        let duration = at_ms - message.began_ms + message.lead_ms;
        self.totals.observe("message_duration_seconds", &[outcome], duration);
        self.totals.observe("delivery_attempts", &[outcome], message.attempts.max(1).into());
    }

    fn hand_on(&mut self, from: u64, to: u64) {
        let Some(before) = self.messages.get(from) else { return };
        let is_first = !before.fate.has(Fate::HANDED_ON);
        before.fate.add(Fate::HANDED_ON);
        let (began_ms, lead_ms, attempts) = (before.began_ms, before.lead_ms, before.attempts);
        if let (true, Some(after)) = (is_first, self.messages.get(to)) {
            after.lead_ms = lead_ms + after.began_ms.saturating_sub(began_ms);
            after.attempts += attempts.saturating_sub(1);
        }
    }

    /// The most messages that were under way at once.
    pub(crate) fn peak(&self) -> usize {
        self.peak
    }

    /// Replaces in `truth`, which knows no limit, what depends on it.
    pub(crate) fn correct(self, truth: &mut Truth) {
        truth.histograms.retain(|(name, _), _| !name.starts_with("message_") && *name != "delivery_attempts");
        truth.histograms.extend(self.totals.histograms);
        let evicted = self.messages.evicted as i64;
        for (name, value) in [
            ("queue_insertions_total", self.insertions),
            ("correlator_evictions_total", evicted),
            ("correlator_messages", self.messages.len() as i64),
        ] {
            truth.counters.retain(|(other, _), _| *other != name);
            truth.count(name, &[], value);
        }
    }
}
