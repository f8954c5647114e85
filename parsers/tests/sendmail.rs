//! Sendmail's lines: every line that was recorded, whole, cut and changed, and forged text in every field that strangers fill.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod recorded;

use recorded::{check, expect};
use tailmeter_parsers::Reason;
use tailmeter_parsers::sendmail::{Event, is_program, parse};

fn line(text: &str) -> &'static [u8] {
    format!("Mar  1 10:00:00 mx1 sm-mta[7]: 6ALJH8sG003393: {text}").leak().as_bytes()
}

#[test]
fn every_recorded_line_is_known() {
    check("sendmail", &["truncated"], parse);
}

#[test]
fn senders_cannot_forge() {
    let fields = [("size", "22"), ("nrcpts", "1"), ("proto", "ESMTP"), ("relay", "client.example.net [192.0.2.7]")];
    for (from, msgid) in [
        ("<\"a, size=9, class=0, nrcpts=9, proto=forged\"@b>", "<x@y>"),
        ("<a@b>", "<x, nrcpts=9, proto=forged, daemon=x, relay=forged>"),
        ("<a@b>", "<x, proto=ESMTPSA, daemon=MTA, relay=forged [192.0.2.1]>"),
    ] {
        let text = format!(
            "from={from}, size=22, class=0, nrcpts=1, msgid={msgid}, proto=ESMTP, daemon=MTA, relay=client.example.net [192.0.2.7]"
        );
        expect(parse(line(&text)), "message", &fields);
    }
}

#[test]
fn recipients_and_servers_cannot_forge() {
    let fields = [("delay", "1000 ms"), ("mailer", "esmtp"), ("dsn", "2.0.0"), ("result", "sent")];
    for to in ["<\"x, delay=9+00:00:00, mailer=forged, stat=Deferred\"@b>", "<a@b>,<c@d>"] {
        for stat in ["Sent (ok, delay=9+00:00:00, dsn=5.0.0, stat=User unknown)", "Sent"] {
            let text = format!(
                "to={to}, ctladdr=<\"a, delay=7+00:00:00\"@b> (8/0), delay=00:00:01, xdelay=00:00:00, mailer=esmtp, pri=1, relay=mx [192.0.2.26], dsn=2.0.0, stat={stat}"
            );
            expect(parse(line(&text)), "delivery", &fields);
        }
    }
    let reply = "550 5.1.1 no, stat=Sent (forged), dsn=2.0.0";
    let text = format!(
        "to=<a@b>, delay=00:00:01, xdelay=00:00:00, mailer=esmtp, pri=1, relay=mx [192.0.2.26], dsn=5.1.1, reply={reply}, stat=User unknown"
    );
    expect(
        parse(line(&text)),
        "delivery",
        &[("result", "failed"), ("reply", reply), ("stat", "User unknown"), ("dsn", "5.1.1")],
    );
}

#[test]
fn refused_clients_cannot_forge() {
    let fields = [("ruleset", "check_rcpt"), ("code", "550"), ("relay", "client [192.0.2.7]")];
    for argument in ["<x@y>", "<\"x, relay=z, reject=250 forged\"@y>"] {
        let text = format!(
            "ruleset=check_rcpt, arg1={argument}, relay=client [192.0.2.7], reject=550 5.7.1 {argument}... no, reject=250 ok"
        );
        expect(parse(line(&text)), "rejection", &fields);
    }
    let Event::Rejection(rejection) = parse(line("ruleset=<x>, arg1=<x@y>, relay=c, reject=999 no")).unwrap() else {
        panic!("no rejection")
    };
    assert_eq!((rejection.ruleset_label(), rejection.code_label()), (&b"other"[..], &b"none"[..]));
}

#[test]
fn recipients_are_counted() {
    for (to, count) in
        [("<a@b>", 1), ("<a@b>,<c@d>", 2), ("<\"a,b\"@c>,<d@e>,<f@g>", 3), ("alice", 1), ("<a@b>,<c@d>, [more]", 2)]
    {
        let text = format!("to={to}, delay=00:00:01, mailer=esmtp, dsn=2.0.0, stat=Sent");
        let Event::Delivery(delivery) = parse(line(&text)).unwrap() else { panic!("no delivery: {to}") };
        assert_eq!(delivery.recipient_count(), count, "{to}: {}", delivery.recipients.escape_ascii());
    }
}

#[test]
fn transactions_without_a_message_are_ignored() {
    for (text, kind) in [
        ("from=<a@b>, size=0, class=0, nrcpts=0, proto=ESMTP, daemon=MTA, relay=c [192.0.2.7]", "empty_transaction"),
        ("from=<a@b>, size=16, class=0, nrcpts=1, proto=ESMTP, daemon=MTA, relay=c [192.0.2.7]", "empty_transaction"),
        ("from=root, size=18, class=0, nrcpts=1, msgid=<x@y>, relay=root@localhost", "message"),
    ] {
        expect(parse(line(text)), kind, &[]);
    }
}

#[test]
fn what_is_not_sendmails_is_rejected() {
    for text in ["Mar  1 10:00:00 mx1 sm-mta[7]: what is this", "6ALJ: from=<a>", ""] {
        assert_eq!(parse(text.as_bytes()).unwrap_err().reason, Reason::UnknownForm, "{text}");
    }
    for (program, is_ours) in [("sendmail", true), ("sm-mta", true), ("sm-msp-queue", true), ("smtpd", false)] {
        assert_eq!(is_program(program.as_bytes()), is_ours, "{program}");
    }
}

#[test]
fn cut_lines_say_where() {
    for (text, field) in [
        ("from=<a@b>, si", "size"),
        ("from=<a@b>, size=22, cla", "class"),
        ("to=<a@b>, del", "delay"),
        ("to=<a@b>, delay=00:00:01, xdelay=00:00:00, mailer=esmtp, pri=1, relay=mx", "stat"),
        ("ruleset=check_rcpt, arg1=<a", "reject"),
    ] {
        let reject = parse(line(text)).unwrap_err();
        assert_eq!((reject.reason, reject.field), (Reason::Truncated, field), "{text}");
    }
}
