//! Buckets, native histograms, summaries and exemplars: in the store, in the state, and as a real Prometheus has them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "end_to_end/lab.rs"]
#[allow(dead_code, reason = "this test needs less of it than the one of the whole way")]
mod lab;
#[path = "store/lines.rs"]
#[allow(dead_code, reason = "as above")]
mod lines;
#[path = "end_to_end/prometheus.rs"]
#[allow(dead_code, reason = "as above")]
mod prometheus;
#[path = "native/scraped.rs"]
mod scraped;
#[path = "native/store.rs"]
mod store;
