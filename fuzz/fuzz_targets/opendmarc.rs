//! Any bytes as lines of OpenDMARC.

#![no_main]

libfuzzer_sys::fuzz_target!(|block: &[u8]| tailmeter_fuzz::lines(block, tailmeter_parsers::opendmarc::parse));
