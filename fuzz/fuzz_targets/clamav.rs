//! Any bytes as lines of ClamAV's daemons.

#![no_main]

libfuzzer_sys::fuzz_target!(|block: &[u8]| tailmeter_fuzz::lines(block, tailmeter_parsers::clamav::parse));
