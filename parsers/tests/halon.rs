//! Halon's lines: every fixture whole, cut and with bytes changed, and forged text.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod mail;

use tailmeter_parsers::halon::{Event, Message, parse};
use tailmeter_parsers::{Event as _, Reason};

fn delivery(line: &[u8]) -> Message<'_> {
    match parse(line) {
        Ok(Event::Delivery(message)) => message,
        other => panic!("{other:?}: {}", line.escape_ascii()),
    }
}

#[test]
fn every_line_is_known() {
    for (file, line) in mail::lines("halon", 30).iter().filter(|(file, _)| file != "hostile") {
        if let Err(reject) = parse(line) {
            panic!("{file}: {reject}: {}", line.escape_ascii());
        }
    }
}

#[test]
fn cut_and_changed_lines_do_not_panic() {
    for (_, line) in mail::lines("halon", 30) {
        for end in 0..line.len() {
            if let Err(reject) = parse(&line[..end]) {
                assert!(reject.offset <= end, "{reject} in {}", line[..end].escape_ascii());
            }
            for byte in *b"\"\\{}[],: e-0" {
                let mut changed = line.clone();
                changed[end] = byte;
                if let Ok(event) = parse(&changed) {
                    event.visit(&mut |_, _| {});
                }
            }
        }
    }
}

/// A line is counted once all that its counter needs is there, and never by half of a value.
#[test]
fn cut_lines_count_by_whole_values() {
    let line = br#"{"action":"BOUNCE","errorcode":550,"transportid":"mx","finishedtime":1769925605000}"#;
    let needed = line.windows(4).position(|text| text == b"\"mx\"").unwrap() + 4;
    for end in 1..line.len() {
        match parse(&line[..end]) {
            Ok(Event::Delivery(message)) => {
                assert!(end >= needed, "{end}");
                assert_eq!((message.action, message.errorcode, message.transportid), ("bounce", Some(550), &b"mx"[..]));
                assert!(matches!(message.finishedtime_ms, None | Some(1_769_925_605_000)), "{end}: {message:?}");
            }
            Err(reject) => assert!(end < needed && reject.reason == Reason::Truncated, "{end}: {reject}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn forged_replies_stay_texts() {
    let forgeries = [
        "\",\"action\":\"DELIVER\",\"errorcode\":250,\"x\":\"",
        "\"},\"finishedtime\":5,\"queue\":{\"errorcode\":250,\"x\":\"",
        "\\",
        "{\"action\":\"DELIVER\"}",
    ];
    for forged in forgeries {
        let escaped = forged.replace('\\', "\\\\").replace('"', "\\\"");
        let line = format!(
            "{{\"reason\":\"{escaped}\",\"queue\":{{\"smtpreason\":\"{escaped}\",\"errorcode\":451}},\"subject\":\"{escaped}\",\
             \"action\":\"QUEUE\",\"custom\":{{\"action\":\"DELIVER\",\"errorcode\":250}},\"finishedtime\":1769925605000}}"
        );
        let message = delivery(line.as_bytes());
        assert_eq!((message.action, message.errorcode), ("queue", Some(451)), "{line}");
        assert_eq!(message.finishedtime_ms, Some(1_769_925_605_000), "{line}");
    }
}

#[test]
fn times_are_of_whichever_unit() {
    let time = |members: &str| {
        let line = format!("{{\"action\":\"DELIVER\",\"errorcode\":250,{members}}}");
        delivery(line.as_bytes()).time_in_queue_ms()
    };
    assert_eq!(time("\"receivedtime\":1769925603120,\"finishedtime\":1769925604375"), Some(1255));
    assert_eq!(time("\"receivedtime\":1769925603.12,\"finishedtime\":1769925604.375"), Some(1255));
    assert_eq!(time("\"receivedtime\":1769925603,\"finishedtime\":1769925604375"), Some(1375));
    assert_eq!(time("\"queue\":{\"totalduration\":1.255}"), Some(1255));
    assert_eq!(time("\"receivedtime\":1769925604375,\"finishedtime\":1769925603120"), None);
    assert_eq!(time("\"finishedtime\":1769925603120"), None);
}
