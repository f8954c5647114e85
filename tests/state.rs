//! The state: what was counted is there again after restarts and crashes, exactly once, and a state that is not as it
//! was written is never taken for one.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "state/damage.rs"]
mod damage;
#[path = "state/faults.rs"]
mod faults;
#[path = "cli/harness.rs"]
#[allow(dead_code, reason = "the tests of the command line use the rest")]
mod harness;
#[path = "store/lines.rs"]
#[allow(dead_code, reason = "the tests of the store use the rest")]
mod lines;
#[path = "state/model.rs"]
mod model;
#[path = "state/program.rs"]
mod program;
#[path = "store/reference.rs"]
#[allow(dead_code, reason = "the tests of the store use the rest")]
mod reference;
#[path = "store/rules.rs"]
#[allow(dead_code, reason = "as above")]
mod rules;
#[path = "state/run.rs"]
mod run;
#[path = "store/strict.rs"]
#[allow(dead_code, reason = "the tests of the store use the rest")]
mod strict;
