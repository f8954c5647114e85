//! Series that are idle for longer than `expire_after` are not shown, and come back with their counts.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "cli/harness.rs"]
#[allow(dead_code, reason = "the tests of the command line use the rest")]
mod harness;
#[path = "store/lines.rs"]
#[allow(dead_code, reason = "the tests of the store use the rest")]
mod lines;
#[path = "expiry/model.rs"]
mod model;
#[path = "expiry/program.rs"]
mod program;
