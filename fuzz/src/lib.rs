//! What the targets of the mail families have in common.

use std::hint::black_box;

use tailmeter_parsers::{Event, Reject};

/// Any bytes as lines of a family: none may panic, nor may showing what it says.
pub fn lines<'b, E: Event + 'b>(block: &'b [u8], parse: fn(&'b [u8]) -> Result<E, Reject>) {
    for line in block.split(|byte| *byte == b'\n') {
        match parse(line) {
            Ok(event) => event.visit(&mut |name, field| drop(black_box((name, field)))),
            Err(reject) => assert!(reject.offset <= line.len(), "{reject}: {}", line.escape_ascii()),
        }
    }
}
