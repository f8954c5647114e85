//! The filters around a mail server: every line that was recorded, whole, cut and with bytes changed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod mail;

use tailmeter_parsers::{Reason, Reject, amavis, clamav, opendkim, opendmarc, postgrey, rspamd, spamd, spf};

/// What becomes of a line, without its event: true when it counts.
type Parse = fn(&[u8]) -> Result<bool, Reject>;

const FAMILIES: [(&str, Parse); 8] = [
    ("amavis", |line| amavis::parse(line).map(counts)),
    ("clamav", |line| clamav::parse(line).map(counts)),
    ("opendkim", |line| opendkim::parse(line).map(counts)),
    ("opendmarc", |line| opendmarc::parse(line).map(counts)),
    ("postgrey", |line| postgrey::parse(line).map(counts)),
    ("rspamd", |line| rspamd::parse(line).map(counts)),
    ("spamd", |line| spamd::parse(line).map(counts)),
    ("spf", |line| spf::parse(line).map(counts)),
];

/// Visits the event, too.
fn counts(event: impl tailmeter_parsers::Event) -> bool {
    event.visit(&mut |name, _| assert!(!name.is_empty()));
    assert!(!event.kind().is_empty());
    !event.is_ignored()
}

#[test]
fn every_line_is_known() {
    let mut unknown = 0;
    for (family, parse) in FAMILIES {
        let mut counted = 0;
        for (_, line) in mail::lines(family, 10) {
            match parse(&line) {
                Ok(counts) => counted += usize::from(counts),
                Err(reject) => {
                    println!("{family}: {reject}: {}", line.escape_ascii());
                    unknown += 1;
                }
            }
        }
        assert!(counted > 5, "{family}: only {counted} lines count");
    }
    assert_eq!(unknown, 0, "unknown lines");
}

#[test]
fn cut_and_changed_lines_do_not_panic() {
    for (family, parse) in FAMILIES {
        for (_, line) in mail::lines(family, 10) {
            for end in 0..line.len() {
                if let Err(reject) = parse(&line[..end]) {
                    assert!(reject.offset <= end, "{family}: {reject} in {}", line[..end].escape_ascii());
                    let _ = Reason::ALL[reject.reason.index()];
                }
            }
            let mut changed = line.clone();
            for at in 0..line.len() {
                for byte in [0, b' ', b'9', b':', b'[', b'\\', 0xff] {
                    changed[at] = byte;
                    let _ = parse(&changed);
                }
                changed[at] = line[at];
            }
        }
    }
}
