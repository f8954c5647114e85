//! What is recorded of pushes: each server by the name of its protocol.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{Counter, Gauge, counter, gauge};

use super::metric;
use crate::metrics::{Kind, Metric, Unit};

pub(super) const PUSH_REQUESTS: Metric = metric(
    "tailmeter_push_requests_total",
    Kind::Counter,
    Unit::None,
    &["push", "outcome"],
    "Requests by what became of them: delivered, refused (never tried again) or failed (tried again).",
);
pub(super) const PUSH_BYTES: Metric = metric(
    "tailmeter_push_sent_bytes_total",
    Kind::Counter,
    Unit::Bytes,
    &["push"],
    "Bytes of the requests' contents, as packed, also of those that failed.",
);
pub(super) const PUSH_DROPPED: Metric = metric(
    "tailmeter_push_dropped_samples_total",
    Kind::Counter,
    Unit::None,
    &["push"],
    "Samples that the server will never have: it refused them, or they had to make room for later ones.",
);
pub(super) const PUSH_BUFFERED: Metric = metric(
    "tailmeter_push_buffered_bytes",
    Kind::Gauge,
    Unit::Bytes,
    &["push"],
    "Bytes that wait for the server, as packed.",
);
pub(super) const PUSH_DURATION: Metric =
    metric("tailmeter_push_duration_seconds", Kind::Gauge, Unit::Seconds, &["push"], "How long the last request took.");
pub(super) const PUSH_SUCCESS: Metric = metric(
    "tailmeter_push_last_success_timestamp_seconds",
    Kind::Gauge,
    Unit::Seconds,
    &["push"],
    "When the server last took something, in seconds since unix epoch; 0 if it never did.",
);

/// What is recorded of the pushes to one server.
#[derive(Clone)]
pub struct PushTelemetry {
    /// Samples that the server will never have.
    pub dropped_samples: Counter,
    /// Bytes that wait for it.
    pub buffered_bytes: Gauge,
    delivered: Counter,
    refused: Counter,
    failed: Counter,
    sent_bytes: Counter,
    duration: Gauge,
    success: Gauge,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushOutcome {
    /// The server took it.
    Delivered,
    /// The server will never take it.
    Refused,
    /// It is tried again.
    Failed,
}

impl PushTelemetry {
    /// Of the pushes by `protocol`. Goes to the recorder that is current at the call: install it first.
    pub fn new(protocol: &'static str) -> Self {
        let requests = |outcome: &'static str| counter!(PUSH_REQUESTS.name, "push" => protocol, "outcome" => outcome);
        Self {
            dropped_samples: counter!(PUSH_DROPPED.name, "push" => protocol),
            buffered_bytes: gauge!(PUSH_BUFFERED.name, "push" => protocol),
            delivered: requests("delivered"),
            refused: requests("refused"),
            failed: requests("failed"),
            sent_bytes: counter!(PUSH_BYTES.name, "push" => protocol),
            duration: gauge!(PUSH_DURATION.name, "push" => protocol),
            success: gauge!(PUSH_SUCCESS.name, "push" => protocol),
        }
    }

    /// Records a request with `bytes` of content that took `duration`.
    pub fn record(&self, outcome: PushOutcome, bytes: usize, duration: Duration) {
        match outcome {
            PushOutcome::Delivered => {
                self.delivered.increment(1);
                self.success.set(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
            }
            PushOutcome::Refused => self.refused.increment(1),
            PushOutcome::Failed => self.failed.increment(1),
        }
        self.sent_bytes.increment(bytes as u64);
        self.duration.set(duration.as_secs_f64());
    }
}
