//! Line parsers for HAProxy and mail-server logs: bytes in, borrowed events out.
//!
//! The second stage of tailmeter's flow (source -> line -> event -> row -> exposition). A parser does no
//! I/O, reads no clock and allocates nothing: a line is a byte slice without its newline, an event borrows
//! from it. Every line has one of three outcomes: *parsed* (an event to count), *ignored* (known, nothing
//! to count) or *rejected* (with a reason, a field and a byte offset). No input makes a parser panic.
//!
//! # Layout
//!
//! - [`envelope`]: what syslog and its kin put before the message.
//! - [`exim`]: Exim's main and reject log.
//! - [`haproxy`]: the HAProxy family; [`haproxy::parse`] is the definition of correct,
//!   [`haproxy::Scanner`] the fast way over whole blocks, tested against it. [`haproxy::config`] reads what a
//!   `haproxy.cfg` says about these lines: once, not for every line, so it may allocate.
//! - [`number`] and [`pointers`]: numbers, and values in JSON, for formats that a configuration describes.
//! - [`opensmtpd`] and [`sendmail`]: what they send to syslog.
//! - [`postfix`]: the Postfix family.

#![deny(unsafe_code)]

pub mod amavis;
pub mod clamav;
mod cursor;
mod digits;
pub mod dovecot;
mod duration;
pub mod envelope;
pub mod event;
pub mod exim;
pub mod halon;
pub mod haproxy;
mod json;
mod lines;
mod near;
pub mod number;
pub mod opendkim;
pub mod opendmarc;
pub mod opensmtpd;
pub mod pointers;
pub mod postfix;
pub mod postgrey;
mod reject;
pub mod rspamd;
pub mod sendmail;
pub mod spamd;
pub mod spf;
pub mod stalwart;
mod time;

pub use envelope::Envelope;
pub use event::{Event, Field};
pub use lines::Lines;
pub use reject::{Reason, Reject};
pub use time::Time;
