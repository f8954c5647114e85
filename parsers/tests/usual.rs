//! Postfix's usual lines: the quick way shows what the plain reader reads, on every recorded line, cut and with bytes changed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is the failure")]

use std::fs;
use std::path::Path;

use tailmeter_parsers::envelope;
use tailmeter_parsers::postfix::{
    Client, Daemon, Delivery, Event, MessageId, Queued, Removed, Tag, Usual, may_have_queue_id, read_of, see_usual,
};

#[derive(Default)]
struct Seen<'a>(Vec<Event<'a>>);

impl<'a> Usual<'a> for Seen<'a> {
    fn client(&mut self, client: Client<'a>) {
        self.0.push(Event::Client(client));
    }

    fn message_id(&mut self, message_id: MessageId<'a>) {
        self.0.push(Event::MessageId(message_id));
    }

    fn queued(&mut self, queued: Queued<'a>) {
        self.0.push(Event::Queued(queued));
    }

    fn delivery(&mut self, delivery: Delivery<'a>) {
        self.0.push(Event::Delivery(delivery));
    }

    fn removed(&mut self, removed: Removed<'a>) {
        self.0.push(Event::Removed(removed));
    }
}

/// Lines of each kind, at the edges of what is usual.
const EDGES: &[(&str, &str)] = &[
    (
        "smtp",
        "to=<joe@example.net>, relay=mx.example.net[198.51.100.3]:25, delay=0.9, delays=0.1/0/0.5/0.33, dsn=2.0.0, status=sent (250 OK)",
    ),
    (
        "smtp",
        "to=<joe@example.net>, relay=none, delay=99999, delays=99999/0.01/0/12.5, dsn=4.4.1, status=deferred (connect to mx: timeout)",
    ),
    (
        "smtp",
        "to=<joe@example.net>, relay=none, delay=123456, delays=123456/0.01/0/0, dsn=4.4.1, status=deferred (timed out)",
    ),
    (
        "smtp",
        "to=<joe@example.net>, relay=none, delay=1.234, delays=1.234/0.1234/0/0, dsn=4.4.1, status=deferred (timed out)",
    ),
    (
        "smtp",
        "to=<\"a>b\"@example.net>, relay=none, delay=1, delays=1/0/0/0, dsn=5.4.4, status=bounced (host, not found)",
    ),
    ("smtp", "to=<a>, relay=x>, relay=mx, delay=1, delays=1/0/0/0, dsn=5.4.4, status=bounced (host, not found)"),
    ("smtp", "to=<a@b>, orig_to=<c@d>, relay=mx, delay=1, delays=1/0/0/0, dsn=5.4.4, status=bounced (host, not found)"),
    ("smtp", "to=<a@b>, relay=mx, conn_use=2, delay=1, delays=1/0/0/0, dsn=5.4.4, status=bounced (host, not found)"),
    (
        "smtp",
        "to=<a@b>, relay=mx, delay=1, delays=1/0/0/0, tls=may, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 4F1AB6C02D)",
    ),
    (
        "smtp",
        "to=<a@b>, relay=mx, delay=1, delays=1/0/0/0, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 4F1AB6C02D)",
    ),
    (
        "smtp",
        "to=<a@b>, relay=mx, delay=1, delays=1/0/0/0, dsn=2.6.10, status=sent (250 2.6.10 queued as 4cVqZz2Xq3z1z2z3z4)",
    ),
    (
        "smtp",
        "to=<a@b>, relay=mx, delay=1, delays=1/0/0/0, dsn=2.0.0, status=SOFTBOUNCE (250 2.0.0 Ok: queued as 4F1AB6C02D)",
    ),
    ("smtp", "to=<a@b>, relay=mx, delay=1, delays=1/0/0/0, dsn=2.0.0, status=deliverable (250 2.0.0 Ok)"),
    ("smtp", "to=<a@b>, relay=mx, delay=1, delays=1/0/0/0, dsn=3.0.0, status=expired (250 2.0.0 Ok)"),
    ("qmgr", "from=<ann@example.org>, size=409300, nrcpt=1 (queue active)"),
    ("qmgr", "from=<>, size=12345678, nrcpt=1234567 (queue active)"),
    ("qmgr", "from=<a>, size=1, nrcpt=2>, size=1234567, nrcpt=4294967296 (queue active)"),
    ("qmgr", "from=<ann@example.org>, status=expired, returned to sender"),
    ("qmgr", "removed"),
    ("postsuper", "removed"),
    ("cleanup", "removed (canceled)"),
    ("cleanup", "message-id=<1.37@mail.example.org>"),
    ("cleanup", "message-id="),
    ("cleanup", "resent-message-id=<1.37@mail.example.org>"),
    ("smtpd", "client=mail.example.org[203.0.113.11]"),
    ("smtpd", "client=mail.example.org[203.0.113.11]:25"),
    ("smtpd", "client=a[b[c]"),
    ("smtpd", "client=a[b]c]"),
    ("smtpd", "client=mail.example.org[203.0.113.11], sasl_method=PLAIN, sasl_username=ann"),
];

/// Every line of every recorded log, the edges, and both with queue ids of every length.
fn lines() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/postfix");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "log"));
    let mut lines = Vec::new();
    for file in files {
        let text = fs::read(&file).unwrap();
        lines.extend(text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec));
    }
    for (daemon, text) in EDGES {
        for id in
            ["4F1AB", "4F1AB6", "4F1AB6C02D", "4d0000000zw00", "4d0000000zw001", "4d0000000zw0012345", "4F1AB6C02d"]
        {
            for end in ["", "\r"] {
                lines.push(format!("Feb  1 12:14:14 mx1 postfix/{daemon}[811]: {id}: {text}{end}").into());
            }
        }
    }
    lines
}

/// Compares the two; true when the line is a usual one.
fn check(line: &[u8]) -> bool {
    let envelope = envelope::detect(line);
    let daemon = Tag::of(envelope.program).map_or(Daemon::Smtpd, |tag| tag.daemon);
    let mut seen = Seen::default();
    let is_usual = see_usual(daemon, line, &envelope, &mut seen).is_some();
    assert_eq!(seen.0.len(), usize::from(is_usual), "{}", line.escape_ascii());
    if let Some(event) = seen.0.first() {
        assert_eq!(read_of(daemon, line, &envelope).as_ref(), Ok(event), "{}", line.escape_ascii());
        // Lines that are counted the quick way are looked for by this.
        let first = line.get(envelope.start);
        assert!(may_have_queue_id(&line[envelope.start..]) || !first.is_some_and(u8::is_ascii_digit));
    }
    is_usual
}

#[test]
fn usual_lines_are_read_as_by_the_plain_reader() {
    let lines = lines();
    let usual = lines.iter().filter(|line| check(line)).count();
    assert!(10 * usual > 3 * lines.len(), "{usual} of {}", lines.len());
    for line in lines {
        for end in 0..line.len() {
            check(&line[..end]);
        }
    }
}

#[test]
fn changed_lines_are_read_as_by_the_plain_reader() {
    let mut random = 1_u64;
    let mut draw = |below: usize| {
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (random >> 33) as usize % below
    };
    let mut usual = 0_u64;
    for line in lines() {
        let start = line.len().min(30);
        let mut changed = line.clone();
        for at in start..line.len() {
            for byte in [b" <>[]():;,=/\"\\'%.0aZ"[draw(20)], draw(256) as u8, b'0' + draw(10) as u8] {
                changed[at] = byte;
                usual += u64::from(check(&changed));
            }
            changed[at] = line[at];
            if draw(4) == 0 {
                let byte = changed.remove(at);
                usual += u64::from(check(&changed));
                changed.insert(at, byte);
            }
        }
    }
    assert!(usual > 20_000, "{usual}");
}
