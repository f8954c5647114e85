//! What the targets of the mail families have in common.

use std::hint::black_box;

use tailmeter_parsers::envelope::{Heads, detect};
use tailmeter_parsers::{Event, Reject};

/// Any bytes as lines of a family: none may panic, nor may showing what it says, and known heads must give what any line gives.
pub fn lines<'b, E: Event + 'b>(block: &'b [u8], parse: fn(&'b [u8]) -> Result<E, Reject>) {
    let mut heads = Heads::new();
    // Twice: the second time the heads are known.
    for line in block.split(|byte| *byte == b'\n').chain(block.split(|byte| *byte == b'\n')) {
        assert_eq!(heads.detect(line), detect(line), "{}", line.escape_ascii());
        match parse(line) {
            Ok(event) => event.visit(&mut |name, field| {
                black_box((name, field));
            }),
            Err(reject) => assert!(reject.offset <= line.len(), "{reject}: {}", line.escape_ascii()),
        }
    }
}
