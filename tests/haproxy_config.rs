//! The reader of `haproxy.cfg` against a real HAProxy: it splits words alike, evaluates conditions alike, accepts what
//! HAProxy accepts; and the lines that HAProxy writes have the formats, tags and captures that the reader says.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "haproxy_config/conditions.rs"]
mod conditions;
#[path = "haproxy_config/effect.rs"]
mod effect;
#[path = "haproxy_config/examples.rs"]
mod examples;
#[allow(dead_code, reason = "shared with another test, which uses all of it")]
#[path = "end_to_end/lab.rs"]
mod lab;
#[path = "haproxy_config/program.rs"]
mod program;
#[path = "haproxy_config/words.rs"]
mod words;
