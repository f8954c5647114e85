//! Stalwart's lines: every fixture whole, cut and with bytes changed, and forged text.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod mail;

use tailmeter_parsers::stalwart::{Event, Logged, parse};
use tailmeter_parsers::{Event as _, Reason};

fn logged(line: &[u8]) -> Logged<'_> {
    match parse(line) {
        Ok(Event::Logged(logged)) => logged,
        other => panic!("{other:?}: {}", line.escape_ascii()),
    }
}

#[test]
fn every_line_is_known() {
    for (file, line) in mail::lines("stalwart", 100).iter().filter(|(file, _)| file != "hostile") {
        if let Err(reject) = parse(line) {
            panic!("{file}: {reject}: {}", line.escape_ascii());
        }
    }
}

#[test]
fn colours_change_nothing() {
    let without = |line: &[u8]| {
        let mut text = String::from_utf8(line.to_vec()).unwrap();
        while let Some(start) = text.find('\u{1b}') {
            let end = start + text[start..].find('m').unwrap();
            text.replace_range(start..=end, "");
        }
        text.into_bytes()
    };
    for (_, line) in mail::lines("stalwart", 100).iter().filter(|(file, line)| file == "ansi" && !line.is_empty()) {
        assert!(line.contains(&b'\x1b'));
        assert_eq!(logged(line), logged(&without(line)), "{}", line.escape_ascii());
    }
}

#[test]
fn cut_and_changed_lines_do_not_panic() {
    for (_, line) in mail::lines("stalwart", 100) {
        for end in 0..line.len() {
            if let Err(reject) = parse(&line[..end]) {
                assert!(reject.offset <= end, "{reject} in {}", line[..end].escape_ascii());
            }
            for byte in *b"\"\\{}[],= \x1b(0" {
                let mut changed = line.clone();
                changed[end] = byte;
                if let Ok(event) = parse(&changed) {
                    event.visit(&mut |_, _| {});
                }
            }
        }
    }
}

#[test]
fn a_line_that_is_cut_behind_its_event_counts() {
    let line =
        b"2026-02-01T06:00:06Z INFO Message delivered (delivery.delivered) queueId = 2, size = 17, elapsed = 12ms";
    let id_end = line.iter().position(|byte| *byte == b')').unwrap();
    for end in 0..=line.len() {
        match parse(&line[..end]) {
            Ok(Event::Logged(logged)) => assert!(logged.event == b"delivery.delivered" && end > id_end),
            Ok(Event::Known(kind)) => assert_eq!((kind, end), ("blank", 0)),
            Err(reject) => assert!(end <= id_end && matches!(reject.reason, Reason::Truncated | Reason::UnknownForm)),
        }
    }
}

/// Texts by which strangers try to be more than a text.
const FORGED: [&str; 9] = [
    "x\", elapsed = 1ms, y = \"z",
    "x\", size = 1, y = \"z",
    "x\", size = 1, elapsed = 1ms, causedBy = Store error (store.error) { y = \"z",
    "x (auth.failed) y",
    "x\\\", size = 1, y = \\\"z",
    "x\"], size = 1, y = [\"z",
    "x\" }, size = 1, y = \"z",
    "x\", causedBy = Any (a.b) { size = 1 }, elapsed = 1ms, y = \"z",
    "x\\",
];

/// In a text, in a list, in a nested event: the program's own numbers come later.
#[test]
fn forged_texts_are_worth_less_than_numbers_behind_them() {
    for forged in FORGED {
        // Backslashes have always been escaped.
        let forged = &forged.replace('\\', "\\\\");
        for value in [format!("\"{forged}\""), format!("[\"a\", \"{forged}\"]")] {
            let line = format!(
                "2026-02-01T06:00:03Z INFO Queued message for delivery (queue.queue-message) listenerId = \"smtp\", \
                 from = {value}, size = 3644, elapsed = 9ms"
            );
            let logged = logged(line.as_bytes());
            assert_eq!(
                (logged.level, logged.event, logged.listener_id),
                ("info", &b"queue.queue-message"[..], &b"smtp"[..])
            );
            assert_eq!(logged.elapsed_ms, Some(9), "{line}");
            // A quote before a brace opens what nobody closes: the size may be lost by that, never another's be taken.
            assert!(matches!(logged.size, Some(3644)) || forged.contains('{') && logged.size != Some(3644), "{line}");
        }
    }
}

/// From 0.16 on, what strangers say cannot end its text.
#[test]
fn escaped_texts_have_no_end_before_their_own() {
    for forged in FORGED {
        let escaped = forged.replace('\\', "\\\\").replace('"', "\\\"");
        let line = format!(
            "2026-02-01T06:00:03Z INFO SMTP EHLO command (smtp.ehlo) listenerId = \"smtp\", domain = \"{escaped}\""
        );
        let logged = logged(line.as_bytes());
        assert_eq!((logged.size, logged.elapsed_ms, logged.event), (None, None, &b"smtp.ehlo"[..]), "{line}");
    }
}

#[test]
fn forged_texts_in_json_stay_texts() {
    for forged in ["\",\"type\":\"auth.failed", "\"},\"elapsed\":1,\"x\":{\"y\":\"", "\\"] {
        let escaped = forged.replace('\\', "\\\\").replace('"', "\\\"");
        let line = format!("{{\"type\":\"smtp.ehlo\",\"data\":{{\"domain\":\"{escaped}\",\"size\":5}}}}");
        let logged = logged(line.as_bytes());
        assert_eq!((logged.event, logged.size, logged.elapsed_ms), (&b"smtp.ehlo"[..], Some(5), None));
    }
}
