//! Any bytes as lines of Postfix, and as messages of each of its programs.

#![no_main]

use tailmeter_parsers::postfix::{Daemon, parse};

libfuzzer_sys::fuzz_target!(|block: &[u8]| {
    tailmeter_fuzz::lines(block, parse);
    for message in block.split(|byte| *byte == b'\n') {
        let [first, message @ ..] = message else { continue };
        let daemon = Daemon::ALL[usize::from(*first) % Daemon::ALL.len()];
        let mut line = format!("Feb  1 12:14:14 mx1 postfix/{}[811]: ", daemon.as_str()).into_bytes();
        line.extend_from_slice(message);
        tailmeter_fuzz::lines(&line, parse);
    }
});
