//! Postfix's lines: every line that was recorded, what is read of each form, forged text in every field that strangers
//! fill, cut and changed lines.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is the failure")]

mod mail;

use tailmeter_parsers::postfix::{
    Action, Cause, Client, Command, Daemon, Delivery, Direction, Disconnect, Event, Expired, Failure, Lost,
    LostConnection, Notification, Pass, Queued, Rejection, Removal, SaslFailure, Severity, Stage, Status, Tag, Test,
    TestFailed, Tls, Trust, is_program, parse,
};
use tailmeter_parsers::{Event as _, Field, Reason, envelope, postfix};

/// A line of `program`, which is leaked: tests end soon.
fn line(program: &str, message: &str) -> &'static [u8] {
    format!("Feb  1 12:14:14 mx1 postfix/{program}[811]: {message}").leak().as_bytes()
}

fn read(program: &str, message: &str) -> Event<'static> {
    parse(line(program, message)).unwrap_or_else(|reject| panic!("{message}: {reject}"))
}

fn refused(program: &str, message: &str) -> (Reason, &'static str) {
    match parse(line(program, message)) {
        Ok(event) => panic!("{message}: {event:?}"),
        Err(reject) => (reject.reason, reject.field),
    }
}

fn delivery(message: &str) -> Delivery<'static> {
    let Event::Delivery(delivery) = read("smtp", message) else { panic!("{message}") };
    delivery
}

fn rejection(program: &str, message: &str) -> Rejection<'static> {
    let Event::Reject(rejection) = read(program, message) else { panic!("{message}") };
    rejection
}

fn cause(reply: &str) -> Cause {
    let message = format!(
        "NOQUEUE: reject: RCPT from unknown[192.0.2.1]: {reply}; from=<a@b.example> to=<c@d.example> proto=SMTP"
    );
    rejection("smtpd", &message).cause
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn every_recorded_line_is_known() {
    let mut unknown = 0;
    for (file, line) in mail::lines("postfix", 500) {
        // Lines made by hand, some of which no Postfix writes: goldens show them.
        if ["handmade", "hostile"].contains(&&*file) {
            continue;
        }
        if let Err(reject) = parse(&line) {
            println!("{file}: {reject}: {}", line.escape_ascii());
            unknown += 1;
        }
    }
    assert_eq!(unknown, 0, "unknown lines");
}

/// Visits all fields, as goldens do.
fn see(line: &[u8]) {
    match parse(line) {
        Ok(event) => {
            assert!(!event.kind().is_empty());
            event.visit(&mut |name, field| {
                assert!(!name.is_empty());
                if let Field::Text(text) = field {
                    assert!(text.len() <= line.len());
                }
            });
        }
        Err(reject) => assert!(reject.offset <= line.len(), "{reject} in {}", line.escape_ascii()),
    }
}

/// Where the daemon's name is lost, all but a few kinds of lines are read as they are with it.
#[test]
fn the_text_tells_the_daemon() {
    let (mut alike, mut others) = (0, 0);
    for (_, line) in mail::lines("postfix", 500) {
        let whole = envelope::detect(&line);
        let (Ok(event), true) = (postfix::read(&line, &whole), whole.program.contains(&b'/')) else { continue };
        let mut bare = whole;
        bare.program = b"postfix";
        let unnamed = postfix::read(&line, &bare);
        match (event, unnamed) {
            (event, Ok(unnamed)) if event == unnamed => alike += 1,
            // postsuper's word for it is qmgr's.
            (Event::Removed(_), Ok(Event::Removed(_))) | (Event::Known(_), _) => others += 1,
            (event, unnamed) => panic!("{}: {event:?} {unnamed:?}", line.escape_ascii()),
        }
    }
    assert!(alike > 10 * others, "{others} lines differ, {alike} are alike");
}

#[test]
fn cut_lines_do_not_panic() {
    for (_, line) in mail::lines("postfix", 500) {
        for end in 0..line.len() {
            see(&line[..end]);
        }
    }
}

#[test]
fn changed_lines_do_not_panic() {
    const BYTES: &[u8] = b" <>[]():;,=/\"\\'%0a\xff\x00";
    for (_, line) in mail::lines("postfix", 500) {
        let start = line.len().min(16);
        let mut changed = line.clone();
        for at in start..line.len() {
            let byte = BYTES[at % BYTES.len()];
            changed[at] = byte;
            see(&changed);
            changed[at] = line[at];
            changed.remove(at);
            see(&changed);
            changed.insert(at, line[at]);
        }
    }
}

/// A cut line says less or is refused; it never says something else.
#[test]
fn cut_deliveries_keep_what_they_say() {
    for (_, line) in mail::lines("postfix", 500) {
        let Ok(Event::Delivery(whole)) = parse(&line) else { continue };
        for end in 0..line.len() {
            let Ok(event) = parse(&line[..end]) else { continue };
            let cut = match event {
                Event::Delivery(cut) => cut,
                Event::Known(_) => continue,
                event => panic!("{}: {event:?}", line[..end].escape_ascii()),
            };
            assert_eq!((cut.to, cut.relay, cut.dsn, cut.status), (whole.to, whole.relay, whole.dsn, whole.status));
            assert_eq!((cut.delay_ms, cut.delays_ms), (whole.delay_ms, whole.delays_ms));
            assert!(whole.text.starts_with(cut.text));
        }
    }
}

#[test]
fn tags_name_instance_service_and_daemon() {
    for (program, instance, service, daemon) in [
        ("postfix/smtpd", "postfix", "smtpd", Daemon::Smtpd),
        ("postfix/submission/smtpd", "postfix", "submission/smtpd", Daemon::Smtpd),
        ("postfix-10.20.30.40/smtp", "postfix-10.20.30.40", "smtp", Daemon::Smtp),
        ("relay/trivial-rewrite", "relay", "trivial-rewrite", Daemon::TrivialRewrite),
        ("postfix/postfix-script", "postfix", "postfix-script", Daemon::PostfixScript),
        ("postfix", "postfix", "", Daemon::Unnamed),
    ] {
        let tag = Tag::of(program.as_bytes()).unwrap();
        assert_eq!((text(tag.instance), text(tag.service), tag.daemon), (instance, service, daemon));
        assert!(is_program(program.as_bytes()));
    }
    for program in ["smtpd", "postfix/other", "dovecot/imap", "postfix/", "postfix/smtpdx", "haproxy", "", "/"] {
        assert!(!is_program(program.as_bytes()), "{program}");
    }
}

#[test]
fn deliveries() {
    let message = "4F1AB6C02D: to=<joe@example.net>, orig_to=<list@example.org>, \
        relay=mx.example.net[2001:db8::25]:25, conn_use=3, delay=86400, delays=0.114/12/3.1/0.0006, \
        tls=starttls/(disabled:dane), dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 3YKzQ31xbzz3m1b)";
    let found = delivery(message);
    assert_eq!(
        (text(found.queue_id), text(found.to), text(found.orig_to)),
        ("4F1AB6C02D", "joe@example.net", "list@example.org")
    );
    assert_eq!((text(found.relay), found.conn_use), ("mx.example.net[2001:db8::25]:25", 3));
    assert_eq!((found.delay_ms, found.delays_ms), (86_400_000, [114, 12_000, 3100, 1]));
    assert_eq!((text(found.tls), text(found.dsn), found.status), ("starttls/(disabled:dane)", "2.0.0", Status::Sent));
    assert_eq!((text(found.queued_as), found.truncated), ("3YKzQ31xbzz3m1b", false));
    let later = delivery(&message.replace("tls=", "newer=field, tls=").replace(", dsn=", ", later=x, dsn="));
    assert_eq!((later.tls, later.dsn, later.queued_as), (found.tls, found.dsn, found.queued_as));
    for (word, status) in [
        ("SOFTBOUNCE", Status::Deferred),
        ("expired", Status::Expired),
        ("deliverable", Status::Deliverable),
        ("undeliverable-but-not-cached", Status::Undeliverable),
        ("strange", Status::Other),
    ] {
        let line = format!("4F1AB6C02D: to=<>, relay=none, delay=0, delays=0/0/0/0, dsn=x, status={word} (y)");
        let found = delivery(&line);
        assert_eq!((found.status, found.dsn, found.text), (status, &b""[..], &b"y"[..]));
    }
}

#[test]
fn forged_deliveries() {
    const TAIL: &str = "relay=evil[192.0.2.9]:25, delay=9, delays=9/9/9/9, dsn=2.0.0, status=sent (250 ok)";
    let real = "relay=none, delay=1, delays=0/1/0/0, dsn=4.4.1, status=deferred";
    for address in [
        format!("\"x>, {TAIL}\"@example.net"),
        format!("\"x\\\">, {TAIL}\"@example.net"),
        "\"a\\\\\"@example.net".to_owned(),
        format!("\"@>, orig_to=<y>, {TAIL} \"@example.net"),
    ] {
        for forged in [format!("({TAIL})"), "(removed)".to_owned(), format!("(host said: 450 ), {TAIL}")] {
            let found = delivery(&format!("4F1AB6C02D: to=<{address}>, orig_to=<{address}>, {real} {forged}"));
            assert_eq!((text(found.to), text(found.orig_to)), (&*address, &*address));
            assert_eq!((text(found.relay), found.status, found.delay_ms), ("none", Status::Deferred, 1000));
            assert_eq!(text(found.text), &forged[1..forged.len() - 1]);
        }
    }
    // Without quotes (3.4): an address with a bracket does not end there.
    assert_eq!(text(delivery(&format!("4F1AB6C02D: to=<a>b@example.net>, {real} (x)")).to), "a>b@example.net");
    // A server's word for a queue id must look like one and end the reply.
    for reply in ["queued as removed", "queued as 4F1AB6C02D (maybe)", "as 4F1AB6C02D", "queued as "] {
        assert!(delivery(&format!("4F1AB6C02D: to=<a>, {real} ({reply})")).queued_as.is_empty(), "{reply}");
    }
}

#[test]
fn cut_or_broken_deliveries_are_refused() {
    let whole = "4F1AB6C02D: to=<a@b>, relay=none, delay=1.5, delays=0/1/0/0, dsn=4.4.1, status=deferred (x)";
    for (at, field) in [
        ("b>", "to"),
        ("one, delay", "relay"),
        ("1.5", "delay"),
        ("/0/0", "delays"),
        (".1, st", "dsn"),
        ("red (", "status"),
    ] {
        assert_eq!(refused("smtp", &whole[..whole.find(at).unwrap()]), (Reason::Truncated, field));
    }
    assert!(delivery(&whole[..whole.len() - 1]).truncated);
    assert_eq!(refused("smtp", &whole.replace("1.5", "x")), (Reason::Number, "delay"));
    assert_eq!(refused("smtp", &whole.replace("1.5", "1.")), (Reason::Number, "delay"));
    assert_eq!(refused("smtp", &whole.replace("0/1/0/0", "0/1/0")), (Reason::Delimiter, "delays"));
    assert_eq!(refused("smtp", &whole.replace("1.5", "99999999999999999999")), (Reason::Range, "delay"));
}

#[test]
fn queue_ids_have_two_forms() {
    for id in ["4F1AB6", "0123456789ABCDEF", "3YKzQ31xbzz3m1b", "BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789"]
    {
        assert!(
            matches!(read("qmgr", &format!("{id}: removed")), Event::Removed(removed) if removed.queue_id == id.as_bytes())
        );
    }
    for word in ["4F1AB", "4F1AB6x", "bcdfghjklmn", "removed", "3YKzQ31xbzz3m1a", ""] {
        assert_eq!(refused("qmgr", &format!("{word}: removed")).0, Reason::UnknownForm, "{word}");
    }
}

#[test]
fn a_messages_way() {
    let Event::Queued(queued) = read(
        "qmgr",
        "4F1AB6C02D: from=<\"a>, size=1, nrcpt=9 (queue active)\"@x.example>, size=2750, nrcpt=2 (queue active)",
    ) else {
        panic!("not queued")
    };
    let from = b"\"a>, size=1, nrcpt=9 (queue active)\"@x.example";
    assert_eq!(queued, Queued { queue_id: b"4F1AB6C02D", from, size: 2750, nrcpt: 2 });
    assert_eq!(refused("qmgr", "4F1AB6C02D: from=<a@b>, size=2750, nrcpt=2"), (Reason::Truncated, "nrcpt"));
    for (word, forced) in [("expired", false), ("force-expired", true)] {
        let event = read("qmgr", &format!("4F1AB6C02D: from=<>, status={word}, returned to sender"));
        assert_eq!(event, Event::Expired(Expired { queue_id: b"4F1AB6C02D", from: b"", forced }));
    }
    for (program, message, how) in [
        ("qmgr", "removed", Removal::Done),
        ("postsuper", "removed", Removal::Deleted),
        ("cleanup", "removed (canceled)", Removal::Canceled),
        ("cleanup", "removed (discarded)", Removal::Discarded),
    ] {
        let event = read(program, &format!("4F1AB6C02D: {message}"));
        assert!(matches!(event, Event::Removed(removed) if removed.how == how), "{event:?}");
    }
    let ids = ["<x> status=sent (250 ok)", "removed", "<1@b>, relay=none, delay=1", "", "client=x[1.2.3.4]"];
    for id in ids {
        let event = read("cleanup", &format!("4F1AB6C02D: message-id={id}"));
        assert!(matches!(event, Event::MessageId(found) if found.message_id == id.as_bytes()));
    }
    let event = read("pickup", "4F1AB6C02D: uid=1000 from=<\"a> orig_id=b\"@c> orig_id=maildrop1");
    assert!(matches!(event, Event::Pickup(found) if found.uid == 1000 && found.orig_id == b"maildrop1"));
    for (words, kind, to_postmaster) in [
        ("sender non-delivery", Notification::NonDelivery, false),
        ("postmaster non-delivery", Notification::NonDelivery, true),
        ("sender delay", Notification::Delay, false),
        ("sender delivery status", Notification::DeliveryStatus, false),
    ] {
        let event = read("bounce", &format!("4F1AB6C02D: {words} notification: 5A2BC7D13E"));
        assert!(matches!(event, Event::Bounce(found) if found.kind == kind && found.to_postmaster == to_postmaster));
    }
}

#[test]
fn clients_and_logins() {
    let event = read(
        "submission/smtpd",
        "4F1AB6C02D: client=unknown[2001:db8::7]:4711, sasl_method=plain, sasl_username=a, status=sent, sasl_sender=x+2B@y, orig_queue_id=5A2BC7D13E, orig_client=c[1.2.3.4]",
    );
    let Event::Client(Client { client, sasl_method, sasl_username, sasl_sender, orig_queue_id, orig_client, .. }) =
        event
    else {
        panic!("{event:?}")
    };
    assert_eq!((text(client.name), text(client.address), client.port), ("unknown", "2001:db8::7", Some(4711)));
    assert_eq!((sasl_method, text(sasl_username)), (Some("PLAIN"), "a, status=sent"));
    assert_eq!((text(sasl_sender), text(orig_queue_id), text(orig_client)), ("x+2B@y", "5A2BC7D13E", "c[1.2.3.4]"));
    for (tail, method, reason, name, is_aborted) in [
        ("PLAIN authentication failed: ", "PLAIN", "", "", false),
        ("LOGIN authentication failed: UGFzc3dvcmQ6", "LOGIN", "UGFzc3dvcmQ6", "", false),
        ("LOGIN authentication failed: x, sasl_username=a, sasl_username=b", "LOGIN", "x", "a, sasl_username=b", false),
        ("x SASL y authentication failed: z", "other", "z", "", false),
        (
            "PLAIN authentication failed: Connection lost to authentication server, sasl_username=x",
            "PLAIN",
            "Connection lost to authentication server",
            "x",
            true,
        ),
        ("CRAM-MD5 authentication aborted", "CRAM-MD5", "", "", true),
    ] {
        let event = read("smtpd", &format!("warning: unknown[192.0.2.1]: SASL {tail}"));
        let Event::SaslFailure(SaslFailure { method: found, reason: why, sasl_username, is_aborted: aborted, .. }) =
            event
        else {
            panic!("{event:?}")
        };
        assert_eq!((found, text(why), text(sasl_username), aborted), (method, reason, name, is_aborted));
    }
}

#[test]
fn sessions() {
    let event = read(
        "smtpd",
        "disconnect from a.example[192.0.2.1] ehlo=2 rcpt=1/3 strange=4 unknown=0/2 commands=7/15 notes=bare_lf",
    );
    let Event::Disconnect(Disconnect { commands, clean, notes, .. }) = event else { panic!("{event:?}") };
    let expected = [("ehlo", 2, 2), ("rcpt", 1, 3), ("unknown", 4, 4), ("unknown", 0, 2)];
    assert_eq!(commands.collect::<Vec<_>>(), expected.map(|(name, accepted, total)| Command { name, accepted, total }));
    assert_eq!((clean, text(notes)), (Some(false), "bare_lf"));
    // Cut: the last item may lack digits.
    let event = read("smtpd", "disconnect from a.example[192.0.2.1] ehlo=2 rcpt=1");
    let Event::Disconnect(Disconnect { commands, clean, .. }) = event else { panic!("{event:?}") };
    assert_eq!((commands.count(), clean), (1, None));
    assert!(
        matches!(read("smtpd", "disconnect from a[192.0.2.1] commands=0/0"), Event::Disconnect(found) if found.clean == Some(false))
    );
    for (message, reason, stage, bytes) in [
        ("lost connection after CONNECT from a[192.0.2.1]", Lost::Lost, Stage::Connect, None),
        ("NOQUEUE: lost connection after AUTH from a[192.0.2.1]", Lost::Lost, Stage::Auth, None),
        ("4F1AB6C02D: timeout after DATA (17 bytes) from a[192.0.2.1]", Lost::Timeout, Stage::Data, Some(17)),
        ("4F1AB6C02D: lost connection after END-OF-MESSAGE from a[192.0.2.1]", Lost::Lost, Stage::EndOfMessage, None),
        ("too many errors after UNKNOWN from a[192.0.2.1]", Lost::Errors, Stage::Unknown, None),
        (
            "improper command pipelining after EHLO from a[192.0.2.1]: QUIT\\r\\nlost connection after X",
            Lost::Pipelining,
            Stage::Ehlo,
            None,
        ),
    ] {
        let event = read("smtpd", message);
        let Event::LostConnection(LostConnection { reason: how, stage: at, bytes: count, .. }) = event else {
            panic!("{event:?}")
        };
        assert_eq!((how, at, count), (reason, stage, bytes), "{message}");
    }
}

#[test]
fn tls_sessions() {
    let event = read(
        "smtps/smtpd",
        "Untrusted TLS connection established from a[192.0.2.1]:4711 to mail.example.org: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519",
    );
    let Event::Tls(Tls { trust, direction, reused, sni, protocol, cipher, bits, peer, .. }) = event else {
        panic!("{event:?}")
    };
    assert_eq!(
        (trust, direction, reused, text(sni)),
        (Trust::Untrusted, Direction::Inbound, false, "mail.example.org")
    );
    assert_eq!((text(protocol), text(cipher), bits), ("TLSv1.3", "TLS_AES_256_GCM_SHA384", [256, 256]));
    assert_eq!(peer.port, Some(4711));
    let event = read("smtp", "Verified TLS connection reused to mx[192.0.2.1]:25: x\"y with cipher a,b (1/2 bits)");
    let Event::Tls(Tls { direction, reused, protocol, cipher, .. }) = event else { panic!("{event:?}") };
    assert_eq!((direction, reused, text(protocol), text(cipher)), (Direction::Outbound, true, "other", "other"));
}

#[test]
fn refusals() {
    let found = rejection(
        "smtpd",
        "NOQUEUE: reject: RCPT from a.example[192.0.2.1]: 554 5.7.1 <joe@d.example>: Relay access denied; from=<x@y> to=<joe@d.example> proto=ESMTP helo=<h> sasl_method=PLAIN sasl_username=a b",
    );
    assert_eq!((found.queue_id, found.action, found.stage), (None, Action::Reject, Stage::Rcpt));
    assert_eq!((found.code, text(found.enhanced), found.cause), (Some(554), "5.7.1", Cause::RelayDenied));
    assert_eq!((text(found.text), found.to.map(text)), ("<joe@d.example>: Relay access denied", Some("joe@d.example")));
    assert_eq!((text(found.proto), text(found.helo), text(found.sasl_username)), ("ESMTP", "h", "a b"));
    let found = rejection(
        "cleanup",
        "4F1AB6C02D: milter-reject: END-OF-MESSAGE from a[192.0.2.1]: 5.7.1 spam; from=<x> to=<y>; from=<> to=<b@c> proto=ESMTP helo=<h>",
    );
    assert_eq!((found.code, text(found.enhanced), found.cause), (None, "5.7.1", Cause::Milter));
    assert_eq!((text(found.text), found.from.map(text)), ("spam; from=<x> to=<y>", Some("")));
    let found = rejection(
        "cleanup",
        "4F1AB6C02D: milter-header-reject: header Subject: x from a[192.0.2.1]; from=<x> to=<y> proto=SMTP helo=<h>: 550 5.7.1 no",
    );
    assert_eq!((found.action, found.stage, text(found.content)), (Action::MilterCheck, Stage::Header, "Subject: x"));
    assert_eq!((found.code, text(found.text), text(found.client.address)), (Some(550), "no", "192.0.2.1"));
    let found = rejection("smtpd", "proxy-reject: END-OF-MESSAGE: 550 5.7.1 no; from=<x> to=<y> proto=SMTP helo=<h>");
    assert_eq!((found.action, found.stage, found.code), (Action::ProxyReject, Stage::EndOfMessage, Some(550)));
    let found = rejection("smtpd", "NOQUEUE: reject: RCPT from a[192.0.2.1]: 421 4.3.0 mx1 Server local data error");
    assert_eq!((found.code, text(found.text)), (Some(421), "mx1 Server local data error"));
    let found = rejection("postscreen", "reject: connect from [192.0.2.1]:4711: all screening ports busy");
    assert_eq!((found.stage, found.client.port, found.cause), (Stage::Connect, Some(4711), Cause::RateLimit));
}

#[test]
fn forged_refusals() {
    // The reply holds the recipient without quotes; the fields behind it hold it with quotes.
    let forged = "x>: Relay access denied; from=<evil> to=<evil> proto=ESMTP helo=<evil>";
    let message = format!(
        "NOQUEUE: reject: RCPT from a[192.0.2.1]: 550 5.1.1 <{forged}@d.example>: Recipient address rejected: User unknown; \
         from=<\"{forged}\"@e.example> to=<\"{forged}\"@d.example> proto=ESMTP helo=<h>"
    );
    let found = rejection("smtpd", &message);
    assert_eq!(text(found.helo), "h");
    assert_eq!(found.to.map(text), Some(&*format!("\"{forged}\"@d.example")));
    assert_eq!(found.from.map(text), Some(&*format!("\"{forged}\"@e.example")));
    assert_eq!(found.code, Some(550));
    // Content of a message.
    let message = format!(
        "4F1AB6C02D: reject: header Subject: {forged} from evil[192.0.2.9]; from=<a> to=<b> from c.example[192.0.2.1]; \
         from=<s@e.example> to=<r@d.example> proto=ESMTP helo=<h>: 5.7.1 no"
    );
    let found = rejection("cleanup", &message);
    assert_eq!(
        (text(found.client.name), found.from.map(text), text(found.text)),
        ("c.example", Some("s@e.example"), "no")
    );
    // postscreen does not touch a HELO name.
    let message = format!(
        "NOQUEUE: reject: RCPT from [192.0.2.1]:4711: 550 5.7.1 Service unavailable; client [192.0.2.1] blocked using l.example; \
         from=<s@e.example>, to=<r@d.example>, proto=ESMTP, helo=<{forged}; from=<x>, to=<y>, proto=SMTP, helo=<z>"
    );
    let found = rejection("postscreen", &message);
    assert_eq!(
        (found.cause, found.from.map(text), found.to.map(text)),
        (Cause::Dnsbl, Some("s@e.example"), Some("r@d.example"))
    );
    // Cut anywhere, action, stage, code and cause stay.
    let message = "NOQUEUE: reject: RCPT from a[192.0.2.1]: 554 5.7.1 <j@d>: Relay access denied; from=<x> to=<\"j; from=<y>\"@d> proto=ESMTP helo=<h>";
    let start = message.find("; from").unwrap();
    for end in start..message.len() {
        let found = rejection("smtpd", &message[..end]);
        assert_eq!((found.code, found.cause), (Some(554), Cause::RelayDenied), "{}", &message[..end]);
        assert!(found.text.starts_with(b"<j@d>: Relay access denied"));
    }
}

#[test]
fn causes() {
    for (reply, expected) in [
        (
            "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using l.example; see https://l.example/",
            Cause::Dnsbl,
        ),
        ("450 4.7.1 Client host rejected: cannot find your hostname, [192.0.2.1]", Cause::Rdns),
        ("504 5.5.2 <x>: Helo command rejected: need fully-qualified hostname", Cause::Helo),
        ("450 4.1.8 <a@b>: Sender address rejected: Domain not found", Cause::Sender),
        ("550 5.1.0 <a@b>: Sender address rejected: User unknown in local recipient table", Cause::Sender),
        ("450 4.1.2 <a@b>: Recipient address rejected: Domain not found", Cause::Recipient),
        ("550 5.1.1 <a@b>: Recipient address rejected: User unknown in virtual mailbox table", Cause::RecipientUnknown),
        ("550 5.1.1 <a@b>: Recipient address rejected: undeliverable address: host x said", Cause::RecipientUnknown),
        ("450 4.1.1 <a@b>: Recipient address rejected: unverified address: x", Cause::Temporary),
        ("554 5.7.1 <a@b>: Relay access denied", Cause::RelayDenied),
        ("450 4.2.0 <a@b>: Recipient address rejected: GreyListed, see https://x", Cause::Greylist),
        ("450 4.3.2 Service currently unavailable", Cause::Greylist),
        ("550 5.3.2 Service currently unavailable", Cause::Access),
        ("552 5.3.4 Message size exceeds fixed limit", Cause::Size),
        ("452 4.3.1 Insufficient system storage", Cause::Storage),
        ("530 5.7.0 Must issue a STARTTLS command first", Cause::Tls),
        ("553 5.7.1 <a@b>: Sender address rejected: not owned by user x", Cause::Auth),
        ("554 5.7.1 <a[192.0.2.1]>: Client host rejected: Access denied", Cause::Access),
        ("550 5.7.23 <a@b>: Recipient address rejected: Message rejected due to: SPF fail", Cause::Authentication),
        ("503 5.5.0 <DATA>: Data command rejected: Improper use of SMTP command pipelining", Cause::Protocol),
        ("bare <LF> received", Cause::Protocol),
        ("451 4.3.5 Server configuration error", Cause::Temporary),
        ("554 5.7.1 <a@b>: Recipient address rejected: something of the administrator's", Cause::Policy),
        ("554 something else", Cause::Other),
        ("554 <", Cause::Other),
    ] {
        assert_eq!(cause(reply), expected, "{reply}");
    }
}

#[test]
fn postscreen_and_lists() {
    for (message, kind) in [
        ("PASS NEW [192.0.2.1]:4711", Pass::New),
        ("PASS OLD [2001:db8::1]:4711", Pass::Old),
        ("WHITELISTED [192.0.2.1]:4711", Pass::Allowlist),
        ("ALLOWLISTED [192.0.2.1]:4711", Pass::Allowlist),
    ] {
        assert!(
            matches!(read("postscreen", message), Event::Passed(found) if found.kind == kind && found.client.port == Some(4711))
        );
    }
    for (message, test, rank, after_ms) in [
        ("DNSBL rank 6 for [192.0.2.1]:4711", Test::Dnsbl, Some(6), None),
        ("PREGREET 11 after 0.13 from [192.0.2.1]:4711: PASS NEW [9.9.9.9]:1\\r\\n", Test::Pregreet, None, Some(130)),
        ("HANGUP after 2.1 from [192.0.2.1]:4711 in tests before SMTP handshake", Test::Hangup, None, Some(2100)),
        ("COMMAND TIME LIMIT from [192.0.2.1]:4711 after CONNECT", Test::CommandTimeLimit, None, None),
        ("NON-SMTP COMMAND from [192.0.2.1]:4711 after CONNECT: GET / HTTP/1.1", Test::NonSmtpCommand, None, None),
        ("BARE NEWLINE from [192.0.2.1]:4711 after EHLO x", Test::BareNewline, None, None),
        ("BLACKLISTED [192.0.2.1]:4711", Test::Denylist, None, None),
        ("WHITELIST VETO [192.0.2.1]:4711", Test::AllowlistVeto, None, None),
    ] {
        let event = read("postscreen", message);
        let Event::TestFailed(TestFailed { test: found, rank: score, after_ms: after, client, .. }) = event else {
            panic!("{event:?}")
        };
        assert_eq!((found, score, after, client.port), (test, rank, after_ms, Some(4711)), "{message}");
    }
    assert!(matches!(
        read("dnsblog", "addr 192.0.2.1 listed by domain zen.example.org as 127.0.0.4"),
        Event::Listed(found) if found.list == b"zen.example.org" && found.answer == b"127.0.0.4"
    ));
}

#[test]
fn servers_that_cannot_be_reached() {
    for (message, reason) in [
        ("connect to mx[192.0.2.1]:25: Connection refused", Failure::Refused),
        ("connect to mx[2001:db8::1]:25: Network is unreachable", Failure::Unreachable),
        ("connect to mx[private/lmtp]: No such file or directory", Failure::Local),
        ("connect to mx[192.0.2.1]:25: something new", Failure::Other),
        ("4F1AB6C02D: lost connection with mx[192.0.2.1] while receiving the initial server greeting", Failure::Lost),
        ("4F1AB6C02D: host mx[192.0.2.1] refused to talk to me: 554 no", Failure::Rejected),
        ("SSL_connect error to mx[192.0.2.1]:25: -1", Failure::Tls),
    ] {
        assert!(matches!(read("smtp", message), Event::ConnectFailure(found) if found.reason == reason), "{message}");
    }
    for message in [
        "4F1AB6C02D: lost connection with mx[192.0.2.1] while sending message body",
        "4F1AB6C02D: host mx[192.0.2.1] said: 450 4.2.0 x refused to talk to me: y (in reply to RCPT TO command)",
    ] {
        assert!(matches!(read("smtp", message), Event::Known(_)), "{message}");
    }
}

#[test]
fn complaints() {
    for (message, severity, kind) in [
        ("warning: anything at all", Severity::Warning, "other"),
        ("fatal: no SASL", Severity::Fatal, "other"),
        ("panic: x", Severity::Panic, "other"),
        ("error: x", Severity::Error, "other"),
        (
            "warning: Connection rate limit exceeded: 9 from a[192.0.2.1] for service smtp",
            Severity::Warning,
            "rate_limit",
        ),
    ] {
        assert!(
            matches!(read("smtpd", message), Event::Warning(found) if found.severity == severity && found.kind == kind)
        );
    }
    assert_eq!(refused("smtpd", "hello there").0, Reason::UnknownForm);
    assert_eq!(refused("smtpd", "").0, Reason::Truncated);
}
