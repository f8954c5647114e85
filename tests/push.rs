//! Values that go out by themselves: to a real Pushgateway, a real Prometheus and a reader of OpenTelemetry's own, and to servers
//! that do not do what servers should.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "push/gateway.rs"]
mod gateway;
#[path = "cli/harness.rs"]
#[allow(dead_code, reason = "the tests of the command line use the rest")]
mod harness;
#[path = "push/hostile.rs"]
mod hostile;
#[path = "push/otlp.rs"]
mod otlp;
#[path = "push/remote_write.rs"]
mod remote_write;
#[path = "push/servers.rs"]
mod servers;
