//! Exim's lines: every line that was recorded, whole, cut and changed, and forged text in every field that strangers fill.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod recorded;

use recorded::{check, expect};
use tailmeter_parsers::exim::{Event, envelope, is_program, parse};
use tailmeter_parsers::{Reason, envelope as syslog};

/// The beginning of a line about a message.
const HEAD: &str = "2024-03-01 10:00:00 1rfyBc-0001aB-2C ";

/// Asserts what a line about a message says.
fn says(text: &str, kind: &str, fields: &[(&str, &str)]) {
    let line = format!("{HEAD}{text}");
    expect(parse(line.as_bytes()), kind, fields);
}

#[test]
fn every_recorded_line_is_known() {
    check("exim", &["truncated"], parse);
}

#[test]
fn envelopes() {
    for (line, timestamp, pid, message) in [
        ("2024-03-01 10:00:00 x", "2024-03-01 10:00:00", None, "x"),
        ("2024-03-01 10:00:00.123 x", "2024-03-01 10:00:00.123", None, "x"),
        ("2024-03-01 10:00:00 +0200 x", "2024-03-01 10:00:00 +0200", None, "x"),
        ("2024-03-01 10:00:00.123 -0330 [4711] x\r", "2024-03-01 10:00:00.123 -0330", Some(4711), "x"),
        ("Mar  1 10:00:00 mx1 exim[7]: 2024-03-01 10:00:00 x", "Mar  1 10:00:00", Some(7), "x"),
        ("Mar  1 10:00:00 mx1 exim[7]: x", "Mar  1 10:00:00", Some(7), "x"),
        (" 2024-03-01 10:00:00 x", "", None, " 2024-03-01 10:00:00 x"),
        ("2024-03-01 10:00:00x", "", None, "2024-03-01 10:00:00x"),
    ] {
        let found = envelope(line.as_bytes());
        assert_eq!(found.timestamp, timestamp.as_bytes(), "{line}");
        assert_eq!(found.pid, pid, "{line}");
        assert_eq!(&line.as_bytes()[found.start..found.end], message.as_bytes(), "{line}");
    }
    for (program, is_ours) in
        [("exim", true), ("exim4", true), ("exim-out", true), ("eximon", false), ("postfix", false)]
    {
        assert_eq!(is_program(program.as_bytes()), is_ours, "{program}");
    }
}

#[test]
fn ids_of_both_lengths() {
    for id in ["1rfyBc-0001aB-2C", "1xUq39-000000008MN-06gy"] {
        for line in [
            format!("2024-03-01 10:00:00 {id} Completed"),
            format!("2024-03-01 10:00:00 [12] {id} Completed"),
            format!("Mar  1 10:00:00 mx1 exim[12]: {id} Completed"),
            format!("Mar  1 10:00:00 mx1 exim[12]: [12] {id} Completed"),
            format!("Mar  1 10:00:00 mx1 exim[12]: 2024-03-01 10:00:00 {id} Completed"),
            format!("Mar  1 10:00:00 mx1 exim[12]: [1\\9] 2024-03-01 10:00:00 {id} Completed"),
        ] {
            expect(parse(line.as_bytes()), "completed", &[("message_id", id)]);
            let envelope = syslog::detect(line.as_bytes());
            if !envelope.program.is_empty() {
                expect(tailmeter_parsers::exim::read(line.as_bytes(), &envelope), "completed", &[("message_id", id)]);
            }
        }
    }
    for id in ["1rfyBc-0001aB-2", "1rfyBc-0001aB-2Cx", "1rfyBc_0001aB-2C", "1rfyBc-0001a--2C"] {
        expect(parse(format!("2024-03-01 10:00:00 {id} Completed").as_bytes()), "text", &[]);
    }
}

#[test]
fn what_is_not_exims_is_rejected() {
    for line in ["", "Completed", "Mar  1 10:00:00 mx1 sshd[1]: Completed", "{}", "10.0.0.1:5 [x] a b/c", "2024-03-01"]
    {
        let found = parse(line.as_bytes());
        assert!(
            matches!(found, Err(reject) if reject.reason == Reason::UnknownForm) || line.is_empty(),
            "{line}: {found:?}"
        );
    }
}

#[test]
fn senders_cannot_forge() {
    let real = [("H", "(helo) [192.0.2.7]"), ("P", "smtp"), ("S", "100"), ("X", ""), ("RT", "")];
    let forged = "H=h [192.0.2.1] P=esmtps X=TLS1.3:x S=9 RT=9s";
    for sender in [format!("\"x {forged}\"@example.com"), format!("\"x\\\" {forged}\"@example.com")] {
        says(&format!("<= {sender} H=(helo) [192.0.2.7] P=smtp S=100"), "arrival", &real);
    }
    for tail in [
        format!("id=x@y T=\"{forged}\""),
        format!("id=\"x {forged}\"@y"),
        format!("id=x {forged}"),
        format!("T=\"x\\\" {forged}\" from <\"{forged}\"@x> for \"{forged}\"@y"),
        format!("from <x> {forged}"),
    ] {
        // Exim writes RT before id, so what stands behind is no time.
        let line = format!("<= a@example.com H=(helo) [192.0.2.7] P=smtp S=100 {tail}");
        let fields = &real[..4];
        says(&line, "arrival", fields);
    }
}

#[test]
fn junk_helo_names_cannot_forge() {
    for junk in [
        "x) [192.0.2.1] P=esmtps S=5 (y",
        "x) [192.0.2.1] P=esmtps S=5 id=(y",
        "x) [192.0.2.1] P=esmtps S=5 T=\"(y",
        "x) [192.0.2.1] P=esmtps X=TLS1.3:a:1 CV=no S=5 id=\"y",
    ] {
        let host = format!("({junk}) [192.0.2.7]");
        let tail = format!("<= a@example.com H={host} P=smtp S=100 id=x@y T=\"z\"");
        says(&tail, "arrival", &[("H", &host), ("P", "smtp"), ("S", "100"), ("X", "")]);
    }
}

#[test]
fn recipients_cannot_forge() {
    let real = [("R", "local"), ("T", "maildir"), ("QT", "2000 ms"), ("DT", "1000 ms")];
    for local in
        ["a R=x T=y", "a R=x T=y S=1 C=\"250 ok\" QT=9d DT=9d", "a@b <\"a\"@b> R=x T=y", "a: T=y", "\" R=x T=y"]
    {
        let quoted = local.replace('\\', "\\\\").replace('"', "\\\"");
        for shown in [local.to_owned(), local.to_lowercase(), format!("{local}@example.org")] {
            let line = format!("=> {shown} <\"{quoted}\"@example.org> R=local T=maildir QT=2s DT=1s");
            says(&line, "delivery", &real);
        }
        let line = format!("** {local}@example.org <\"{quoted}\"@example.org>: Unrouteable address");
        says(&line, "delivery", &[("R", ""), ("T", ""), ("reason", "Unrouteable address")]);
    }
}

#[test]
fn servers_cannot_forge() {
    let real = [("T", "remote_smtp"), ("QT", "2000 ms"), ("DT", "1000 ms"), ("result", "delivered")];
    for reply in ["250 T=y QT=9d DT=9d", "250 \\\" T=y QT=9d DT=9d \\\"", "250 \\\\", "250 => ** Completed"] {
        says(&format!("=> a@b R=remote T=remote_smtp H=mx [192.0.2.26] C=\"{reply}\" QT=2s DT=1s"), "delivery", &real);
    }
    let name = "CN=x\" QT=9d DT=9d T=y";
    says(
        &format!("=> a@b R=remote T=remote_smtp H=mx [192.0.2.26] X=TLS1.3:a:1 DN=\"{name}\" C=\"ok\" QT=2s DT=1s"),
        "delivery",
        &real,
    );
    let text = "SMTP error: 550 R=x T=y defer (7) H=z [1.1.1.1] DT=9d QT=9d";
    says(
        &format!("** a@b R=remote T=remote_smtp H=mx [192.0.2.26]: {text}"),
        "delivery",
        &[("T", "remote_smtp"), ("H", "mx"), ("DT", ""), ("QT", ""), ("reason", text)],
    );
    says(
        &format!("== a@b R=remote T=remote_smtp defer (-44) H=mx [192.0.2.26] DT=1s: {text}"),
        "delivery",
        &[("T", "remote_smtp"), ("defer", "-44"), ("DT", "1000 ms"), ("QT", "")],
    );
}

#[test]
fn refused_clients_cannot_forge() {
    let reason = "relay not permitted";
    for (line, phase, argument) in [
        ("H=(h) [192.0.2.7] F=<\"a> rejected MAIL <b>: greylisted\"@c> rejected RCPT <d@e>: ", "RCPT", "<d@e>"),
        ("H=(h) [192.0.2.7] F=<a@b> rejected RCPT <\"x>: greylisted\"@c>: ", "RCPT", "<\"x>: greylisted\"@c>"),
        ("H=(h) [192.0.2.7] F=<a@b> A=plain:x rejected RCPT <d@e> X=y: ", "RCPT", "<d@e> X=y"),
        ("H=(h) [192.0.2.7] rejected EHLO or HELO rejected RCPT <x>: ", "HELO", "rejected RCPT <x>"),
        ("H=mx [192.0.2.7]:4 I=[192.0.2.1]:25 Ci=3 X=TLS1.3:a:1 CV=no SNI=a F=<> rejected MAIL <>: ", "MAIL", "<>"),
    ] {
        let line = format!("2024-03-01 10:00:00 {line}{reason}");
        let fields = [("phase", phase), ("argument", argument), ("reason", reason), ("reason_label", "relay_denied")];
        expect(parse(line.as_bytes()), "rejection", &fields);
    }
}

#[test]
fn rejected_headers_are_no_lines_of_the_log() {
    for line in [" ", "\t", "P ", "F ", "* ", "  "] {
        let line = format!("{line}X-Forged: {HEAD}Completed");
        expect(parse(line.as_bytes()), "rejected_header", &[]);
    }
    expect(parse(format!(" {HEAD}Completed").as_bytes()), "rejected_header", &[]);
    expect(parse(format!("\t{HEAD}=> a@b R=x T=y").as_bytes()), "rejected_header", &[]);
    let part = format!("Mar  1 10:00:00 mx1 exim[7]: [2\\9] {HEAD}Completed");
    expect(parse(part.as_bytes()), "continuation", &[]);
}

#[test]
fn labels_have_bounds() {
    let read = |text: &str| {
        let line: &'static str = format!("{HEAD}{text}").leak();
        parse(line.as_bytes()).unwrap()
    };
    let Event::Arrival(arrival) = read("<= a@b H=(h) [192.0.2.7] P=x<y> X=TLS9:z S=1") else { panic!("no arrival") };
    assert_eq!((arrival.protocol_label(), arrival.tls_version(), arrival.is_tls()), ("other", Some("other"), true));
    let Event::Arrival(arrival) = read("<= a@b H=(h) [192.0.2.7] P=esmtpsa S=1") else { panic!("no arrival") };
    assert_eq!((arrival.protocol_label(), arrival.tls_version(), arrival.is_tls()), ("esmtpsa", None, true));
    let Event::Delivery(delivery) = read("=> a@b R=<x> T=<y>") else { panic!("no delivery") };
    assert_eq!((delivery.transport_label(), delivery.router_label()), (&b"other"[..], &b"other"[..]));
    let Event::Delivery(delivery) = read("** a@b: Unrouteable address") else { panic!("no delivery") };
    assert_eq!(delivery.transport_label(), b"none");
}

#[test]
fn cut_lines_say_where() {
    for (text, reason, field) in [
        ("<= a@b H=(h) [192.0.2.7] P=esm", Reason::Truncated, "P"),
        ("<= a@b", Reason::Truncated, "P"),
        ("=> a@b R=x", Reason::Truncated, "T"),
        ("Comp", Reason::Truncated, "message"),
    ] {
        let reject = parse(format!("{HEAD}{text}").leak().as_bytes()).unwrap_err();
        assert_eq!((reject.reason, reject.field), (reason, field), "{text}");
    }
}
