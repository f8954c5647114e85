//! tailmeter turns HAProxy and mail-server logs into Prometheus metrics.
pub mod config;
pub mod exposition;
pub mod http;
pub mod metrics;
pub mod series;
pub mod source;
