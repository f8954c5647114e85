//! OpenSMTPD's lines: every line that was recorded, whole, cut and changed, and forged text in every field that strangers fill.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod recorded;

use recorded::{check, expect};
use tailmeter_parsers::Reason;
use tailmeter_parsers::opensmtpd::parse;

fn line(text: &str) -> &'static [u8] {
    format!("Mar  1 10:00:00 mx1 smtpd[7]: 20db03dc403fef5d {text}").leak().as_bytes()
}

#[test]
fn every_recorded_line_is_known() {
    check("opensmtpd", &["truncated"], parse);
}

#[test]
fn servers_and_agents_cannot_forge() {
    let mta =
        "mta delivery evpid=1 from=<a@b> to=<c@d> rcpt=<-> source=\"192.0.2.1\" relay=\"192.0.2.26 (mx)\" delay=1m2s";
    let stat = "250 ok\" delay=9d result=\"PermFail\" stat=\"forged";
    let fields = [("result", "Ok"), ("delay", "62000 ms"), ("stat", stat), ("relay", "192.0.2.26 (mx)"), ("rcpt", "")];
    expect(parse(line(&format!("{mta} result=\"Ok\" stat=\"{stat}\""))), "delivery", &fields);
    let mda = "mda delivery evpid=1 from=<> to=<c@d> rcpt=<c@d> user=c delay=1s";
    let stat = "Error (\"x delay=9d result=Ok stat=Delivered\")";
    let fields = [("result", "TempFail"), ("delay", "1000 ms"), ("stat", stat), ("user", "c"), ("from", "")];
    expect(parse(line(&format!("{mda} result=TempFail stat={stat}"))), "delivery", &fields);
}

#[test]
fn names_cannot_forge() {
    for (user, result, kind) in [
        ("x result=ok", "permfail", "authentication"),
        ("x result=permfail", "ok", "authentication"),
        ("", "tempfail", "authentication"),
    ] {
        let line = line(&format!("smtp authentication user={user} result={result}"));
        expect(parse(line), kind, &[("user", user), ("result", result)]);
    }
    let cut = parse(line("smtp authentication user=x result=okay")).unwrap_err();
    assert_eq!((cut.reason, cut.field), (Reason::Truncated, "result"));
}

#[test]
fn what_is_not_opensmtpds_is_rejected() {
    for text in ["smtp unheard-of", "mta unheard-of", "mda unheard-of", "lka x=y", "smtp "] {
        assert!(parse(line(text)).is_err(), "{text}");
    }
    for text in ["Mar  1 10:00:00 mx1 smtpd[7]: what is this", "20db03dc403fef5", ""] {
        assert_eq!(parse(text.as_bytes()).unwrap_err().reason, Reason::UnknownForm, "{text}");
    }
}

#[test]
fn cut_lines_say_where() {
    for (text, field) in [
        ("smtp message msgid=29022a67 si", "size"),
        ("mda delivery evpid=1 from=<a", "from"),
        ("mda delivery evpid=1 from=<a> to=<b> rcpt=<b> user=c delay=1s result=Ok", "result"),
        ("mta delivery evpid=1 from=<a> to=<b> rcpt=<-> source=\"1\" rel", "relay"),
    ] {
        let reject = parse(line(text)).unwrap_err();
        assert_eq!((reject.reason, reject.field), (Reason::Truncated, field), "{text}");
    }
}
