//! Syslog sources on real sockets: what is sent arrives, once, or is counted as dropped. Senders are sockets of the test,
//! and the real rsyslogd, logger and HAProxy. How messages are told apart is tested beside its code.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "syslog/datagrams.rs"]
mod datagrams;
#[path = "syslog/haproxy.rs"]
mod haproxy;
#[path = "syslog/harness.rs"]
mod harness;
#[allow(dead_code, reason = "shared with another test, which uses all of it")]
#[path = "end_to_end/lab.rs"]
mod lab;
#[path = "syslog/rsyslog.rs"]
mod rsyslog;
#[path = "syslog/streams.rs"]
mod streams;
#[path = "syslog/tls.rs"]
mod tls;
#[path = "syslog/unix.rs"]
mod unix;
