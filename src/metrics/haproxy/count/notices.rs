//! Counts the lines that are neither requests nor sessions: failed connections, checks, servers and backends.
//!
//! They are rare: no batches, no shared rows. A key is all values of a row's labels, each with its length.

use tailmeter_parsers::haproxy::Notice;

use super::Shard;
use crate::metrics::haproxy::labels::Subject;
use crate::metrics::haproxy::{
    CONNECTION_ERRORS, HEALTH_CHECKS, INCOMPLETE, NO_SERVER_AVAILABLE, SERVER_STATE_CHANGES,
};
use crate::series::{Key, NO_ENTRY};

impl Shard {
    /// Counts a line that stands for `times` of its kind.
    #[cold]
    pub(super) fn count_notice(&mut self, notice: Notice<'_>, times: u32) {
        let (metric, reason) = match &notice {
            Notice::ConnectionError(error) => (CONNECTION_ERRORS, error.reason),
            // What is cut says as little as what is not known.
            Notice::HealthCheck(check) => (HEALTH_CHECKS, check.details().reason.unwrap_or("other")),
            Notice::ServerState(_) => (SERVER_STATE_CHANGES, ""),
            Notice::BackendState(_) => (NO_SERVER_AVAILABLE, ""),
            _ => return,
        };
        let subject = Subject::Notice(notice);
        self.count_rare(metric, subject, reason, times);
        if notice.truncated() {
            self.count_rare(INCOMPLETE, subject, "truncated", times);
        }
    }

    /// Counts a line that stands for `times` of its kind in `metric`. `word` is the value of the label `reason` or `phase`.
    pub(super) fn count_rare(&mut self, metric: usize, subject: Subject<'_, '_>, word: &str, times: u32) {
        self.add_rare(metric, subject, word, times, 1);
    }

    /// Adds `amount` for each time to `metric`.
    pub(super) fn add_rare(&mut self, metric: usize, subject: Subject<'_, '_>, word: &str, times: u32, amount: u64) {
        let Some(slot) = self.plan.slots[metric] else { return };
        let fields = &self.fields[slot.group];
        self.more.clear();
        for field in fields {
            let start = self.more.len();
            subject.write(*field, word, &mut self.more);
            let length = (self.more.len() - start) as u32;
            self.more.extend_from_slice(&length.to_le_bytes());
        }
        let key = Key { text: &self.more, more: &[], words: [metric as u64, 0] };
        let hash = self.rare.hash(&key);
        let entry = match self.rare.get(hash, &key) {
            NO_ENTRY => {
                let found = self.directory.row(slot.group, fields, subject, word);
                let base = self.cells.base(slot.group, found.row);
                self.rare.insert(hash, &key, &[base], u32::from(found.fell_out))
            }
            entry => entry,
        };
        self.fell_out[metric] += u64::from(self.rare.fell_out(entry)) * u64::from(times);
        if let [base] = *self.rare.bases(entry) {
            self.cells.add(base, slot.sum, amount.wrapping_mul(times.into()));
            self.exemplify(metric, (base, slot.sum), subject, i64::try_from(amount).unwrap_or(i64::MAX));
        }
    }
}
