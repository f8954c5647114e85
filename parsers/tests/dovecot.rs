//! Dovecot's lines: every recorded one is known, none makes the reader panic, and what remote text imitates counts for nothing.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod mail;

use std::fmt::Write as _;

use tailmeter_parsers::dovecot::{self, Action, Event, parse};
use tailmeter_parsers::{Event as _, Field, Reason};

/// A line of syslog with this message.
fn syslog(message: &str) -> Vec<u8> {
    format!("Nov 21 18:36:44 mx1 dovecot: {message}").into_bytes()
}

/// An event in one line: its kind, and the fields that are there.
fn show(line: &[u8]) -> String {
    let event = match parse(line) {
        Ok(event) => event,
        Err(reject) => return format!("rejected: {reject}"),
    };
    let mut shown = event.kind().to_owned();
    event.visit(&mut |name, field| {
        let value = match field {
            Field::Missing => return,
            Field::Text(text) => String::from_utf8_lossy(text).into_owned(),
            Field::Number(number) => number.to_string(),
            Field::Truth(truth) => truth.to_string(),
            other => panic!("{name}: {other:?}"),
        };
        write!(shown, " {name}={value}").unwrap();
    });
    shown
}

#[test]
fn every_recorded_line_is_known() {
    for (case, line) in mail::lines("dovecot", 500).into_iter().filter(|(case, _)| case != "hostile") {
        if let Err(reject) = parse(&line) {
            panic!("{case}: {reject}: {}", String::from_utf8_lossy(&line));
        }
    }
}

#[test]
fn no_line_panics_cut_or_changed() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for (_, line) in mail::lines("dovecot", 500) {
        for end in 0..line.len() {
            let _ = parse(&line[..end]).map(|event| event.visit(&mut |_, _| {}));
            let mut changed = line.clone();
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            changed[end] = (state >> 56) as u8;
            let _ = parse(&changed).map(|event| event.visit(&mut |_, _| {}));
            changed.remove(end);
            let _ = parse(&changed).map(|event| event.visit(&mut |_, _| {}));
        }
    }
}

#[test]
fn no_password_is_in_an_event() {
    let mut seen = 0;
    for (case, line) in mail::lines("dovecot", 500) {
        let text = String::from_utf8_lossy(&line);
        if text.contains("given password: ") {
            seen += 1;
            assert!(!show(&line).contains("wrong"), "{case}: {}", show(&line));
        }
    }
    assert!(seen > 10, "{seen} lines with passwords");
}

#[test]
fn a_user_name_forges_nothing() {
    // What a client can send as its name, and what is right whatever it sends.
    for name in [
        "x",
        "x>, method=EVIL, rip=203.0.113.9, lip=203.0.113.1, mpid=1, TLS, session=<y",
        "x> (no_auth_attempts): user=<y",
        "x>: user=<y>, method=PLAIN, rip=203.0.113.9, TLS, session=<z>: Login: user=<w",
        "Logged in: user=<y>, method=PLAIN, rip=203.0.113.9, TLS",
        "x, TLS, session=<y>",
        "): unknown user",
        "",
    ] {
        let elements = format!("user=<{name}>, method=PLAIN, rip=192.0.2.7, lip=192.0.2.1, mpid=7, session=<id>");
        let found = "method=PLAIN rip=192.0.2.7 lip=192.0.2.1 mpid=7 tls=false session=id";
        let user = if name.is_empty() { String::new() } else { format!(" user={name}") };
        let line = syslog(&format!("imap-login: Login: {elements}"));
        assert_eq!(show(&line), format!("login protocol=imap{user} {found}"));
        let line = syslog(&format!("imap-login: Disconnected: Connection closed (user disabled): {elements}"));
        assert_eq!(show(&line), format!("login_abort protocol=imap reason=user_disabled{user} {found}"));
        let aborted = "Login aborted: Inactivity (auth failed, 1 attempts in 1 secs) (auth_failed)";
        let line = syslog(&format!("pop3-login: {aborted}: {elements}"));
        assert_eq!(show(&line), format!("login_abort protocol=pop3 reason=auth_failed{user} {found}"));
        let line = syslog(&format!("auth: sql({name},192.0.2.7,<id>): Password mismatch (given password: {name})"));
        let found = format!("auth_failure backend=sql{user} rip=192.0.2.7 session=id reason=password_mismatch");
        assert_eq!(show(&line), found);
    }
}

#[test]
fn a_message_id_forges_nothing() {
    // Dovecot takes the quotes off a message id, so all of these can be its left part.
    for left in [
        "m",
        "x@y>: saved mail to INBOX",
        "x@y>: save failed to INBOX: no",
        "x@y>: rejected: no",
        "x@y>: discard action: Marked message to be discarded if not explicitly delivered (discard action)",
        "x@y>: stored mail into mailbox 'a'",
        "x@y>: redirect action: forwarded to <a@b>",
        "x@y>: reject action: rejected message from <a@b> (reject)",
        "unspecified: saved mail to INBOX",
        "x): Error: ",
    ] {
        let action = |message: &str| {
            let line =
                syslog(&format!("lmtp(a)<7><id>: {}", message.replace("MSGID", &format!("<{left}@example.org>"))));
            match parse(&line) {
                Ok(Event::Delivery(delivery)) => Some(delivery.action),
                _ => None,
            }
        };
        let sieve = |words: &str| action(&format!("sieve: msgid=MSGID: {words}"));
        assert_eq!(action("msgid=MSGID: saved mail to INBOX"), Some(Action::Stored), "{left}");
        assert_eq!(action("msgid=MSGID: save failed to INBOX: Quota exceeded"), Some(Action::Failed), "{left}");
        assert_eq!(action("msgid=MSGID: rejected: Quota exceeded"), Some(Action::Rejected), "{left}");
        assert_eq!(sieve("stored mail into mailbox 'INBOX'"), Some(Action::Stored), "{left}");
        assert_eq!(sieve("redirect action: forwarded to <c@d>"), Some(Action::Forwarded), "{left}");
        assert_eq!(sieve("reject action: rejected message from <c@d> (reject)"), Some(Action::Rejected), "{left}");
        let discarded = "discard action: Marked message to be discarded if not explicitly delivered (discard action)";
        assert_eq!(sieve(discarded), Some(Action::Discarded), "{left}");
        assert_eq!(sieve("vacation action: sent vacation response to <c@d>"), None, "{left}");
    }
}

#[test]
fn a_sender_forges_nothing() {
    for sender in [
        "a@b",
        "\"c@d>: stored mail into mailbox 'e\"@f",
        "\"c@d>: forwarded to <e\"@f",
        "\"c@d> (reject): saved mail to e\"@f",
        "",
    ] {
        let line = format!("sieve: msgid=<m@n>: reject action: rejected message from <{sender}> (ereject)");
        let found = "delivery protocol=lmtp user=a session=id msgid=<m@n> action=rejected";
        assert_eq!(show(&syslog(&format!("lmtp(a)<7><id>: {line}"))), found);
        let line = format!("sieve: msgid=<m@n>: vacation action: sent vacation response to <{sender}>");
        assert_eq!(show(&syslog(&format!("lmtp(a)<7><id>: {line}"))), "sieve");
    }
}

#[test]
fn repeated_lines_and_foreign_programs() {
    let line = syslog("message repeated 3 times: [ auth: pam(a,192.0.2.7): unknown user]");
    assert_eq!(dovecot::envelope(&line).repeated, 3);
    assert_eq!(show(&line), "auth_failure backend=pam user=a rip=192.0.2.7 reason=unknown_user");
    let programs = [&b"dovecot"[..], b"dovecot-2", b"dovecot/lda", b"dovecots", b"postfix/smtpd", b""];
    assert_eq!(programs.map(dovecot::is_program), [true, true, true, false, false, false]);
    let postfix = b"Nov 21 18:36:44 mx1 postfix/smtpd[7]: Info: connect from unknown";
    assert_eq!(dovecot::envelope(postfix).program, b"postfix/smtpd");
}

#[test]
fn a_file_of_its_own_has_its_own_envelope() {
    let message = "imap(alice)<7><id>: Info: Disconnected: Logged out in=1 out=2";
    for (time, stands) in [
        ("", ""),
        ("Nov 21 18:37:07", "Nov 21 18:37:07"),
        ("2026-11-21T18:37:13+0000", "2026-11-21T18:37:13+0000"),
        ("2026-11-21 18:37:19.196327", "2026-11-21 18:37:19.196327"),
        ("2026-11-21 18:37:19+01:00", "2026-11-21 18:37:19+01:00"),
        ("2026-11-21T18:36:44.046139000Z stdout F", "2026-11-21T18:36:44.046139000Z"),
        ("2026-11-21T18:36:44.046139000Z stdout F Nov 21 18:37:07", "Nov 21 18:37:07"),
    ] {
        let line = format!("{time}{}{message}", if time.is_empty() { "" } else { " " });
        let envelope = dovecot::envelope(line.as_bytes());
        assert_eq!((envelope.timestamp, &envelope.program), (stands.as_bytes(), &&b""[..]), "{line}");
        let found = "disconnection protocol=imap user=alice session=id reason=logged_out in=1 out=2";
        assert_eq!(show(line.as_bytes()), found, "{line}");
    }
}

#[test]
fn cut_lines_count_as_long_as_they_tell_enough() {
    let login = "imap-login: Login: user=<a>, method=PLAIN, rip=192.0.2.7, lip=192.0.2.1, mpid=7, TLS, session=<abc";
    assert_eq!(
        show(&syslog(login)),
        "login protocol=imap user=a method=PLAIN rip=192.0.2.7 lip=192.0.2.1 mpid=7 tls=true session=abc"
    );
    let reason = |line: &str| parse(&syslog(line)).map(|_| ()).unwrap_err().reason;
    assert_eq!(reason("imap-login: Login: user=<al"), Reason::Truncated);
    assert_eq!(reason("imap-login: Login aborted: Connection closed (auth fai"), Reason::Truncated);
    assert_eq!(reason("imap(alice"), Reason::Truncated);
    assert_eq!(reason("imap-login: Something: user=<a>"), Reason::UnknownForm);
}
