//! Any bytes as lines of Halon.

#![no_main]

libfuzzer_sys::fuzz_target!(|block: &[u8]| tailmeter_fuzz::lines(block, tailmeter_parsers::halon::parse));
