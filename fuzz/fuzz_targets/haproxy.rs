//! Any bytes as a block of HAProxy lines: the fast scanner, the plain one and `parse` must agree on every line, and
//! none may panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tailmeter_parsers::haproxy::{Event, Line, Scanner, parse};

fuzz_target!(|block: &[u8]| {
    for mut scanner in [Scanner::new(), Scanner::plain()] {
        // Twice: the second time the scanner knows the envelopes.
        for _ in 0..2 {
            check(&mut scanner, block);
        }
    }
});

/// Holds what the scanner says of each line against `parse`.
fn check(scanner: &mut Scanner, block: &[u8]) {
    let mut lines = block.split_inclusive(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line));
    scanner.scan(block, &mut |batch| {
        for index in 0..batch.len() {
            let line = lines.next().expect("one line too many");
            assert_eq!(batch.text(index), line);
            let scanned = match batch.line(index) {
                Line::Http(http) => Ok(Event::Http(*http)),
                Line::Other(other) => *other,
            };
            assert_eq!(scanned, parse(line), "{}", line.escape_ascii());
        }
    });
    assert_eq!(lines.next(), None, "one line too few");
}
