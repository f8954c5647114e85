//! Any bytes as JSON in which values are looked for: what is found lies in the text, in whole characters' bytes or not.

#![no_main]

use tailmeter_parsers::pointers::{Pointers, Value, unescape};

const POINTERS: [&str; 5] = ["/a", "/a/b", "/a/0", "/a/0/b", "/~01"];

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    let Ok(pointers) = Pointers::new(POINTERS) else { return };
    let (mut values, mut out) = ([Value::default(); POINTERS.len()], Vec::new());
    match pointers.find(text, &mut values, &mut out) {
        Err((_, at)) => assert!(at <= text.len(), "{at}: {}", text.escape_ascii()),
        Ok(()) => values.iter().for_each(|value| {
            out.clear();
            unescape(&text[value.start..value.end], &mut out);
            assert!(out.len() <= value.end - value.start);
        }),
    }
});
