//! The handles through which the stages record tailmeter's own telemetry.

use metrics::{Counter, Gauge, SharedString, counter, gauge};
use tailmeter_parsers::Reason;

use super::{
    CHECKPOINT_AGE, CHECKPOINT_DURATION, CHECKPOINT_ERRORS, DROPPED_MESSAGES, IGNORED_PROGRAM_LINES, LABEL_OVERFLOW,
    LINES, LOST_BYTES, REJECTED_LINES, ROTATIONS, ROWS_KEPT_ASIDE, SERIES, SERIES_EXPIRED, SERIES_LIMIT, SOURCE_ERRORS,
    SOURCE_LAG_BYTES, SOURCE_LAG_SECONDS, SOURCE_READ_BYTES, SOURCE_UP, TRUNCATED_LINES, label_value,
};
use crate::metrics::Totals;
use crate::source::{Loss, Rotation};

/// What is recorded of one source. The handles are found once; recording through them is an atomic addition, but
/// still meant for once a block, not once a line. Everything appears in the exposition with 0 from the start,
/// except reasons and kinds, which appear when they occur.
#[derive(Clone)]
pub struct SourceTelemetry {
    /// 1 while the source can be read.
    pub up: Gauge,
    /// Bytes read.
    pub read_bytes: Counter,
    /// Bytes not read yet.
    pub lag_bytes: Gauge,
    /// Seconds for which data have been waiting.
    pub lag_seconds: Gauge,
    /// Lines that became events.
    pub parsed: Counter,
    /// Lines that are known and not counted.
    pub ignored: Counter,
    /// Lines that are not of the format.
    pub rejected: Counter,
    /// Lines longer than the limit.
    pub truncated: Counter,
    /// Rotations followed, by [`Rotation::index`].
    pub rotations: [Counter; Rotation::ALL.len()],
    /// Bytes that can never be read, by [`Loss::index`].
    pub lost_bytes: [Counter; Loss::ALL.len()],
    /// Messages that the kernel threw away.
    pub dropped_messages: Counter,
    source: SharedString,
    format: SharedString,
}

impl SourceTelemetry {
    /// Of the source named `source` (the configured path or name, see [`source_name`](super::source_name)), parsed as `format`. Goes to
    /// the recorder that is current at the call: install it first.
    pub fn new(source: &str, format: &str) -> Self {
        let (source, format) = (label_value(source), label_value(format));
        let of_source = || source.clone();
        let lines = |outcome: &'static str| counter!(LINES.name, "source" => of_source(), "format" => format.clone(), "outcome" => outcome);
        Self {
            up: gauge!(SOURCE_UP.name, "source" => of_source()),
            read_bytes: counter!(SOURCE_READ_BYTES.name, "source" => of_source()),
            lag_bytes: gauge!(SOURCE_LAG_BYTES.name, "source" => of_source()),
            lag_seconds: gauge!(SOURCE_LAG_SECONDS.name, "source" => of_source()),
            parsed: lines("parsed"),
            ignored: lines("ignored"),
            rejected: lines("rejected"),
            truncated: counter!(TRUNCATED_LINES.name, "source" => of_source()),
            rotations: Rotation::ALL
                .map(|kind| counter!(ROTATIONS.name, "source" => of_source(), "kind" => kind.as_str())),
            lost_bytes: Loss::ALL
                .map(|reason| counter!(LOST_BYTES.name, "source" => of_source(), "reason" => reason.as_str())),
            dropped_messages: counter!(DROPPED_MESSAGES.name, "source" => of_source()),
            source: of_source(),
            format: format.clone(),
        }
    }

    /// Shows what became of the lines that were read as this format.
    pub fn show_lines(&self, totals: &Totals) {
        self.parsed.absolute(totals.parsed);
        self.ignored.absolute(totals.ignored);
        self.rejected.absolute(totals.rejected_lines());
        for (reason, lines) in Reason::ALL.iter().zip(totals.rejected).filter(|(_, lines)| *lines > 0) {
            counter!(REJECTED_LINES.name, "source" => self.source.clone(), "format" => self.format.clone(), "reason" => reason.as_str())
                .absolute(lines);
        }
        for (program, lines) in totals.strangers.iter() {
            counter!(IGNORED_PROGRAM_LINES.name, "source" => self.source.clone(), "format" => self.format.clone(), "program" => label_value(program))
                .absolute(lines);
        }
    }

    /// Shows what befell the source, whatever the formats that it is read as.
    pub fn show_source(&self, totals: &Totals) {
        self.read_bytes.absolute(totals.read_bytes);
        self.truncated.absolute(totals.truncated);
        self.dropped_messages.absolute(totals.dropped_messages);
        self.rotations.iter().zip(totals.rotations).for_each(|(counter, total)| counter.absolute(total));
        self.lost_bytes.iter().zip(totals.lost_bytes).for_each(|(counter, total)| counter.absolute(total));
    }

    /// Counts a failure to find, open or read the source.
    pub fn error(&self, kind: &'static str) {
        counter!(SOURCE_ERRORS.name, "source" => self.source.clone(), "kind" => kind).increment(1);
    }
}

/// What is recorded of the state.
#[derive(Clone)]
pub struct StateTelemetry {
    /// Seconds since the state held everything.
    pub age: Gauge,
    /// Seconds that the last commit took.
    pub duration: Gauge,
    /// Failed commits.
    pub errors: Counter,
    /// Rows that do not fit the configuration.
    pub rows_kept_aside: Gauge,
}

impl StateTelemetry {
    /// Goes to the recorder that is current at the call: install it first.
    pub fn new() -> Self {
        Self {
            age: gauge!(CHECKPOINT_AGE.name),
            duration: gauge!(CHECKPOINT_DURATION.name),
            errors: counter!(CHECKPOINT_ERRORS.name),
            rows_kept_aside: gauge!(ROWS_KEPT_ASIDE.name),
        }
    }
}

impl Default for StateTelemetry {
    fn default() -> Self {
        Self::new()
    }
}

/// What is recorded of the series of one metric.
#[derive(Clone)]
pub struct SeriesTelemetry {
    /// Label combinations held.
    pub held: Gauge,
    /// Most that may be held.
    pub limit: Gauge,
    /// Those of them that are not shown, because they are idle.
    pub expired: Gauge,
    /// Samples counted under `other`.
    pub overflow: Counter,
}

impl SeriesTelemetry {
    /// Of the metric named `metric`. Goes to the recorder that is current at the call: install it first.
    pub fn new(metric: &str) -> Self {
        let metric = label_value(metric);
        Self {
            held: gauge!(SERIES.name, "metric" => metric.clone()),
            limit: gauge!(SERIES_LIMIT.name, "metric" => metric.clone()),
            expired: gauge!(SERIES_EXPIRED.name, "metric" => metric.clone()),
            overflow: counter!(LABEL_OVERFLOW.name, "metric" => metric),
        }
    }
}
