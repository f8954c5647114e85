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
        self.count_rare(metric, notice, reason, times);
        if notice.truncated() {
            self.count_rare(INCOMPLETE, notice, "truncated", times);
        }
    }

    /// Counts a line in `metric`. `word` is the value of the label `reason`.
    fn count_rare(&mut self, metric: usize, notice: Notice<'_>, word: &str, times: u32) {
        let Some(slot) = self.plan.slots[metric] else { return };
        let fields = &self.fields[slot.group];
        let subject = Subject::Notice(notice);
        self.more.clear();
        for field in fields {
            let start = self.more.len();
            subject.write(*field, word, &mut self.more);
            let length = (self.more.len() - start) as u32;
            self.more.extend_from_slice(&length.to_le_bytes());
        }
        let key = Key { text: &self.more, more: &[], words: [metric as u64, 0] };
        let hash = self.notices.hash(&key);
        let entry = match self.notices.get(hash, &key) {
            NO_ENTRY => {
                let write = |index: usize, out: &mut Vec<u8>| subject.write(fields[index], word, out);
                let found = self.directory.row(slot.group, write);
                let base = self.cells.base(slot.group, found.row);
                self.notices.insert(hash, &key, &[base], u32::from(found.fell_out))
            }
            entry => entry,
        };
        self.fell_out[metric] += u64::from(self.notices.fell_out(entry)) * u64::from(times);
        if let [base] = self.notices.bases(entry) {
            self.cells.add(*base, slot.sum, u64::from(times));
        }
    }
}
