//! The program as its users have it: arguments, environment, exit codes, output, signals.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is the failure")]

#[path = "cli/explain.rs"]
mod explain;
#[path = "cli/harness.rs"]
mod harness;
#[path = "cli/parse.rs"]
mod parse;
#[path = "cli/replay.rs"]
mod replay;
#[path = "cli/run.rs"]
mod run;
#[path = "cli/usage.rs"]
mod usage;
