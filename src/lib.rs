//! tailmeter turns HAProxy and mail-server logs into Prometheus metrics.
//!
//! # Layout
//!
//! The folders show the way of the data, from left to right; a stage knows those to its left only through
//! their output type.
//!
//! ```text
//! source  ->  line  ->  event  ->  row of cells  ->  exposition
//! source      tailmeter_parsers    metrics, series   exposition, http
//! ```
//!
//! - [`source`]: where lines come from.
//! - [`metrics`]: the catalogue, and how an event updates it.
//! - [`series`]: the bounded store of cells.
//! - [`exposition`]: the cells as text.
//! - [`http`]: the endpoint.
//! - [`push`]: values that go out by themselves.
//! - [`state`]: counts and positions on disk, so that they outlive the program.
//! - [`config`]: the configuration file, which everything is made from.
//! - [`pipeline`]: the one file that names every stage.
//! - [`cli`]: the program around it, one file per subcommand.

pub mod cli;
pub mod config;
pub mod exposition;
pub mod http;
pub mod metrics;
pub mod pipeline;
pub mod push;
pub mod series;
pub mod source;
pub mod state;
mod tls;
