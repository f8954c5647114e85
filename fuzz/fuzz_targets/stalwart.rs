//! Any bytes as lines of Stalwart.

#![no_main]

libfuzzer_sys::fuzz_target!(|block: &[u8]| tailmeter_fuzz::lines(block, tailmeter_parsers::stalwart::parse));
