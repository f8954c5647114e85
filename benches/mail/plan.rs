//! What becomes of a message, and which lines that makes.

use super::lines::{queue_id, seconds};
use super::{Fact, Mail};

const SENT: u16 = 1;
const BOUNCED: u16 = 2;
const EXPIRED: u16 = 4;

const METHODS: [&str; 2] = ["PLAIN", "LOGIN"];

/// How a delivery agent names itself, and where it delivers to.
const AGENTS: [(&str, &str); 3] = [
    ("smtp", "mx.example.net[198.51.100.3]:25"),
    ("local", "local"),
    ("lmtp", "mail.example.org[private/dovecot-lmtp]"),
];

/// A recipient: how often it is deferred, what becomes of it then, and who delivers.
#[derive(Clone, Copy)]
struct Recipient {
    deferrals: u64,
    fate: u16,
    agent: usize,
}

/// A message in the queue.
struct Queued {
    id: u64,
    /// When it came, and began as the log has it.
    came_ms: u64,
    began_ms: u64,
    lead_ms: u64,
    attempts: u64,
    size: u64,
}

/// Where a message came from.
enum From<'a> {
    Client { address: &'a str, of: Option<u64> },
    Pickup,
}

impl Mail {
    /// Adds the lines of one message that comes at `now`.
    pub(super) fn plan(&mut self, now: u64) {
        match self.random.below(10_000) {
            0..1500 => self.refused(now),
            1500..1600 => self.abandoned(now),
            1600..1700 => self.refused_at_its_end(now),
            1700..2500 => self.filtered(now),
            2500..2530 => self.given_up(now),
            2530..2540 => self.deleted(now),
            2540..2545 => self.cut(now),
            2545..2546 => self.left(now),
            2546..2550 => self.known_late(now),
            2550..2600 => self.in_pieces(now),
            2600..2620 => self.sent_back(now),
            2620..3000 => {
                let (message, at) = self.enter(now, From::Pickup);
                self.deliver_all(message, at);
            }
            _ => {
                let (message, at) = self.enter(now, From::Client { address: "203.0.113.10", of: None });
                self.deliver_all(message, at);
            }
        }
    }

    fn gap(&mut self) -> u64 {
        1 + self.random.below(40)
    }

    /// A queue id that is free since before `now`.
    fn id(&mut self, now: u64) -> u64 {
        if self.random.once_in(4)
            && self.free.front().is_some_and(|(_, since, _)| *since < now)
            && let Some((id, _, is_cut)) = self.free.pop_front()
        {
            if is_cut {
                self.truth.count("correlator_evictions_total", &[], 1);
                self.truth.count("correlator_messages", &[], -1);
            }
            return id;
        }
        self.ids += 1;
        self.ids
    }

    /// A queue id that was never used.
    fn new_id(&mut self, host: u64) -> u64 {
        self.ids += 1;
        if self.ids % 2 != host % 2 {
            self.ids += 1;
        }
        self.ids
    }

    fn entered(&mut self, at: u64) {
        self.entered_ms = self.entered_ms.max(at);
    }

    fn pid(&mut self) -> u64 {
        1000 + self.random.below(300)
    }

    /// A session whose only recipient is refused.
    fn refused(&mut self, now: u64) {
        let (host, pid) = (self.random.below(2), self.pid());
        let peer = "unknown[203.0.113.77]";
        self.push(now, host, format!("smtpd[{pid}]: connect from {peer}"), None);
        let (code, words, reason) = [
            ("554", "5.7.1 <x@elsewhere.example>: Relay access denied", "relay_denied"),
            (
                "550",
                "5.1.1 <x@example.net>: Recipient address rejected: User unknown in virtual mailbox table",
                "recipient_unknown",
            ),
            (
                "554",
                "5.7.1 Service unavailable; Client host [203.0.113.77] blocked using zen.example.org; listed",
                "dnsbl",
            ),
        ][self.random.below(3) as usize];
        let text = format!(
            "smtpd[{pid}]: NOQUEUE: reject: RCPT from {peer}: {code} {words}; from=<a@b.example> to=<x@example.net> proto=ESMTP helo=<b.example>"
        );
        self.push(now + 20, host, text, None);
        self.truth.count("connections_total", &["smtpd"], 1);
        self.truth.count("rejects_total", &["smtpd", "reject", "RCPT", code, reason], 1);
        self.disconnect(now + 30, host, pid, peer, "ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4", false);
        for (command, result) in [("ehlo", "ok"), ("mail", "ok"), ("rcpt", "rejected"), ("quit", "ok")] {
            self.truth.count("smtpd_commands_total", &["smtpd", command, result], 1);
        }
    }

    fn disconnect(&mut self, at: u64, host: u64, pid: u64, peer: &str, summary: &str, is_clean: bool) {
        self.push(at, host, format!("smtpd[{pid}]: disconnect from {peer} {summary}"), None);
        self.truth.count("disconnections_total", &["smtpd", if is_clean { "true" } else { "false" }], 1);
    }

    /// A session that breaks off behind RCPT; only since 3.10 the log tells of which message.
    fn abandoned(&mut self, now: u64) {
        let (id, pid, peer) = (self.id(now), self.pid(), "unknown[203.0.113.80]");
        let name = queue_id(id);
        self.push(now, id, format!("smtpd[{pid}]: connect from {peer}"), None);
        let begins = Fact::Begins { of: None, is_local: false };
        self.push(now + 1, id, format!("smtpd[{pid}]: {name}: client={peer}"), Some(begins));
        self.entered(now + 1);
        self.truth.count("connections_total", &["smtpd"], 1);
        self.truth.count("messages_received_total", &["smtpd", "false"], 1);
        self.truth.count("lost_connections_total", &["smtpd", "lost", "RCPT"], 1);
        let said = format!("lost connection after RCPT from {peer}");
        if self.random.once_in(2) {
            self.push(now + 2000, id, format!("smtpd[{pid}]: {name}: {said}"), Some(Fact::Refused));
            self.release(id, now + 2000);
        } else {
            self.push(now + 2000, id, format!("smtpd[{pid}]: {said}"), None);
            self.abandoned.push_back(now + 1);
            while self.abandoned.front().is_some_and(|began| began + 2 * super::SESSION_MS < now) {
                self.abandoned.pop_front();
            }
        }
        self.disconnect(now + 2001, id, pid, peer, "ehlo=1 mail=1 rcpt=1 commands=3", true);
        for command in ["ehlo", "mail", "rcpt"] {
            self.truth.count("smtpd_commands_total", &["smtpd", command, "ok"], 1);
        }
    }

    /// A milter refuses the message when all of it has come.
    fn refused_at_its_end(&mut self, now: u64) {
        let (id, pid, peer) = (self.id(now), self.pid(), "mail.example.org[203.0.113.81]");
        let name = queue_id(id);
        let begins = Fact::Begins { of: None, is_local: false };
        self.push(now, id, format!("smtpd[{pid}]: {name}: client={peer}"), Some(begins));
        self.entered(now);
        self.truth.count("messages_received_total", &["smtpd", "false"], 1);
        self.message_id(now + 5, id, None);
        let text = format!(
            "cleanup[{pid}]: {name}: milter-reject: END-OF-MESSAGE from {peer}: 5.7.1 Spam; from=<a@b.example> to=<x@example.net> proto=ESMTP helo=<b.example>"
        );
        self.push(now + 50, id, text, Some(Fact::Refused));
        self.truth.count("rejects_total", &["cleanup", "milter-reject", "END-OF-MESSAGE", "none", "milter"], 1);
        self.truth.count("milter_actions_total", &["milter-reject", "END-OF-MESSAGE"], 1);
        self.release(id, now + 50);
    }

    /// The line of a message's id: that of another message, or a new one.
    fn message_id(&mut self, at: u64, id: u64, of: Option<u64>) {
        let message_id = of.unwrap_or_else(|| {
            self.message_ids += 1;
            self.message_ids
        });
        let pid = self.pid();
        let text = match message_id {
            0 => format!("cleanup[{pid}]: {}: message-id=<>", queue_id(id)),
            _ => format!(
                "cleanup[{pid}]: {}: message-id=<{message_id}.{}@mail.example.org>",
                queue_id(id),
                message_id * 37
            ),
        };
        self.push(at, id, text, Some(Fact::MessageId(message_id)));
    }

    /// A message comes and gets its id; returns it, and when it may be active.
    fn enter(&mut self, now: u64, from: From<'_>) -> (Queued, u64) {
        let id = match from {
            From::Client { of: Some(of), .. } => self.new_id(of),
            _ => self.id(now),
        };
        self.enter_as(id, now, from, None)
    }

    fn enter_as(&mut self, id: u64, now: u64, from: From<'_>, message_id: Option<u64>) -> (Queued, u64) {
        let (pid, name) = (self.pid(), queue_id(id));
        let mut at = now;
        match from {
            From::Pickup => {
                let begins = Fact::Begins { of: None, is_local: true };
                self.push(at, id, format!("pickup[{pid}]: {name}: uid=1000 from=<root>"), Some(begins));
            }
            From::Client { address, of } => {
                let is_local = address.starts_with("127.");
                let host = if is_local { "localhost" } else { "mail.example.org" };
                let peer = format!("{host}[{address}]");
                self.push(at, id, format!("smtpd[{pid}]: connect from {peer}"), None);
                self.truth.count("connections_total", &["smtpd"], 1);
                if self.random.once_in(2) {
                    let text = format!(
                        "smtpd[{pid}]: Anonymous TLS connection established from {peer}: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)"
                    );
                    self.push(at, id, text, None);
                    self.truth.count("tls_connections_total", &["inbound", "Anonymous", "TLSv1.3"], 1);
                }
                let login =
                    if self.random.once_in(5) { METHODS.get(self.random.below(2) as usize).copied() } else { None };
                let sasl =
                    login.map_or_else(String::new, |method| format!(", sasl_method={method}, sasl_username=ann"));
                let orig = of.map_or_else(String::new, |of| {
                    format!(", orig_queue_id={}, orig_client=mail.example.org[203.0.113.10]", queue_id(of))
                });
                let begins = Fact::Begins { of, is_local };
                self.push(at, id, format!("smtpd[{pid}]: {name}: client={peer}{sasl}{orig}"), Some(begins));
                self.truth.count(
                    "messages_received_total",
                    &["smtpd", if login.is_some() { "true" } else { "false" }],
                    1,
                );
                if let Some(method) = login {
                    self.truth.count("sasl_logins_total", &["smtpd", method], 1);
                }
                self.disconnect(at + 60, id, pid, &peer, "ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5", true);
                for command in ["ehlo", "mail", "rcpt", "data", "quit"] {
                    self.truth.count("smtpd_commands_total", &["smtpd", command, "ok"], 1);
                }
            }
        }
        self.entered(at);
        at += self.gap();
        // Clients that are not local write none at times.
        let none = (message_id.is_none() && self.random.once_in(50)).then_some(0);
        self.message_id(at, id, message_id.or(none));
        let magnitude = 10 + self.random.below(12);
        let size = 300 + self.random.below(1 << magnitude);
        at += self.gap();
        (Queued { id, came_ms: now, began_ms: now, lead_ms: 0, attempts: 0, size }, at)
    }

    /// The message is active, for the first time or once more.
    fn activate(&mut self, message: &mut Queued, at: u64, recipients: usize) {
        let text = format!(
            "qmgr[812]: {}: from=<ann@example.org>, size={}, nrcpt={recipients} (queue active)",
            queue_id(message.id),
            message.size
        );
        self.push(at, message.id, text, Some(Fact::Active { size: message.size, recipients: recipients as u64 }));
        if message.attempts == 0 {
            self.truth.count("queue_insertions_total", &[], 1);
            self.truth.observe("message_size_bytes", &[], message.size);
            self.truth.observe("message_recipients", &[], recipients as u64);
        }
        message.attempts += 1;
    }

    /// A delivery to one recipient.
    fn deliver(
        &mut self,
        message: &mut Queued,
        at: u64,
        fate: u16,
        (agent, relay): (&'static str, &str),
        next: Option<u64>,
    ) {
        let (status, dsn, class, words) = match fate {
            SENT => ("sent", "2.0.0", "2", "250 2.0.0 Ok"),
            BOUNCED => (
                "bounced",
                "5.1.1",
                "5",
                "host mx.example.net[198.51.100.3] said: 550 5.1.1 No such user (in reply to RCPT TO command)",
            ),
            _ => (
                "deferred",
                "4.2.0",
                "4",
                "host mx.example.net[198.51.100.3] said: 450 4.2.0 Try again (in reply to RCPT TO command)",
            ),
        };
        let (delay, delay_ms) = seconds(at - message.came_ms);
        let transmission = self.random.below(40).min(at - message.came_ms);
        let parts =
            [at - message.came_ms - transmission, 0, transmission / 2, transmission - transmission / 2].map(seconds);
        let queued_as = next.map_or_else(String::new, |next| format!(": queued as {}", queue_id(next)));
        let text = format!(
            "{agent}[{}]: {}: to=<r{}@example.net>, relay={relay}, delay={delay}, delays={}/{}/{}/{}, dsn={dsn}, status={status} ({words}{queued_as})",
            self.pid(),
            queue_id(message.id),
            self.random.below(10_000),
            parts[0].0,
            parts[1].0,
            parts[2].0,
            parts[3].0,
        );
        self.push(at, message.id, text, Some(Fact::Delivery { fate, delay_ms, queued_as: next }));
        message.began_ms = at - delay_ms;
        self.truth.count("deliveries_total", &[agent, status, class], 1);
        self.truth.observe("delivery_delay_seconds", &[agent, status], delay_ms);
        for (stage, (_, part_ms)) in
            ["before_queue_manager", "queue_manager", "connection_setup", "transmission"].into_iter().zip(parts)
        {
            self.truth.observe("delivery_stage_seconds", &[agent, status, stage], part_ms);
        }
    }

    /// The message leaves the queue.
    fn remove(&mut self, message: &Queued, at: u64, fates: u16) {
        let text = format!("qmgr[812]: {}: removed", queue_id(message.id));
        self.push(at, message.id, text, Some(Fact::Removed { is_done: true }));
        self.truth.count("queue_removals_total", &[], 1);
        self.release(message.id, at);
        let outcome = match fates {
            SENT => "sent",
            BOUNCED => "bounced",
            EXPIRED => "expired",
            _ => "mixed",
        };
        self.truth.observe("message_duration_seconds", &[outcome], at - message.began_ms + message.lead_ms);
        self.truth.observe("delivery_attempts", &[outcome], message.attempts);
    }

    /// One to five recipients, of which some are deferred.
    fn recipients(&mut self) -> Vec<Recipient> {
        let number = if self.random.below(10) < 8 { 1 } else { 2 + self.random.below(4) };
        let recipient = |_| Recipient {
            deferrals: if self.random.once_in(10) { 1 + self.random.below(4) } else { 0 },
            fate: if self.random.once_in(15) { BOUNCED } else { SENT },
            agent: self.random.below(3) as usize,
        };
        (0..number).map(recipient).collect()
    }

    /// Delivers to everybody, in as many attempts as it takes.
    fn deliver_all(&mut self, mut message: Queued, at: u64) {
        let recipients = self.recipients();
        let (at, fates) = self.attempt(&mut message, at, &recipients, 0);
        self.finish(&message, at, fates);
    }

    /// All attempts from the one with the number `first`; when they are over, and what has become of the recipients.
    fn attempt(&mut self, message: &mut Queued, mut at: u64, recipients: &[Recipient], first: u64) -> (u64, u16) {
        let attempts = recipients.iter().map(|recipient| recipient.deferrals).max().unwrap_or(0);
        let mut fates = 0;
        for attempt in first..=attempts {
            if attempt > first {
                at += 300_000 + self.random.below(3_000_000);
            }
            let left = recipients.iter().filter(|recipient| recipient.deferrals >= attempt);
            self.activate(message, at, left.clone().count());
            for recipient in left {
                at += self.gap();
                let fate = if recipient.deferrals > attempt { 0 } else { recipient.fate };
                fates |= fate;
                // Nobody is deferred at home.
                let agent = if recipient.deferrals > 0 || fate == BOUNCED { 0 } else { recipient.agent };
                self.deliver(message, at, fate, AGENTS[agent], None);
            }
        }
        (at, fates)
    }

    /// Tells the sender, if there is something to be told, and removes the message.
    fn finish(&mut self, message: &Queued, mut at: u64, fates: u16) {
        at += self.gap();
        if fates & (BOUNCED | EXPIRED) != 0 {
            self.notify(message.id, at);
            at += 5;
        }
        self.remove(message, at, fates);
    }

    /// A notification of non-delivery: a message of its own.
    fn notify(&mut self, of: u64, at: u64) {
        let id = self.new_id(of);
        let pid = self.pid();
        self.message_id(at, id, None);
        self.entered(at);
        let text = format!("bounce[{pid}]: {}: sender non-delivery notification: {}", queue_id(of), queue_id(id));
        self.push(at + 2, of, text, None);
        self.truth.count("bounces_total", &["non-delivery"], 1);
        let mut message = Queued { id, came_ms: at, began_ms: at, lead_ms: 0, attempts: 0, size: 2500 };
        self.activate(&mut message, at + 4, 1);
        self.deliver(&mut message, at + 10, SENT, ("virtual", "virtual"), None);
        self.remove(&message, at + 12, SENT);
    }

    /// A message goes through a content filter and comes back: told by Postfix itself, by its message id, or by the filter.
    fn filtered(&mut self, now: u64) {
        let id = self.id(now);
        // One without a message id could not be known again.
        self.message_ids += 1;
        let known = self.message_ids;
        let (mut first, mut at) =
            self.enter_as(id, now, From::Client { address: "203.0.113.11", of: None }, Some(known));
        let way = self.random.below(4);
        let scan = [
            ("smtp", "127.0.0.1[127.0.0.1]:10025"),
            ("smtp", "127.0.0.1[127.0.0.1]:10025"),
            ("pipe", "filter"),
            ("smtp", "scan.example.net[10.0.0.7]:10025"),
        ][way as usize];
        self.activate(&mut first, at, 1);
        if self.random.once_in(8) {
            // The filter was down.
            at += self.gap();
            self.deliver(&mut first, at, 0, scan, None);
            at += 300_000 + self.random.below(600_000);
            self.activate(&mut first, at, 1);
        }
        at += self.gap();
        let second = self.new_id(first.id);
        let from = match way {
            0 => From::Client { address: "127.0.0.1", of: Some(first.id) },
            1 => From::Client { address: "127.0.0.1", of: None },
            2 => From::Pickup,
            _ => From::Client { address: "10.0.0.7", of: None },
        };
        let came_back = at;
        let before_ms = first.began_ms;
        let (mut next, ready) = self.enter_as(second, at, from, Some(known));
        at = ready + self.gap();
        let queued_as = (way != 2).then_some(second);
        self.deliver(&mut first, at, SENT, scan, queued_as);
        // By then the first one's own delivery has told when it began.
        let began_ms = if way == 3 { first.began_ms } else { before_ms };
        next.lead_ms = came_back.saturating_sub(began_ms);
        self.push(
            at + 1,
            first.id,
            format!("qmgr[812]: {}: removed", queue_id(first.id)),
            Some(Fact::Removed { is_done: true }),
        );
        self.truth.count("queue_removals_total", &[], 1);
        self.release(first.id, at + 1);
        let recipients = self.recipients();
        let (at, fates) = self.attempt(&mut next, at + 2, &recipients, 0);
        next.attempts += first.attempts - 1;
        self.finish(&next, at, fates);
    }

    /// What a list sends in two pieces: two messages with the same message id.
    fn in_pieces(&mut self, now: u64) {
        self.message_ids += 1;
        let known = self.message_ids;
        for at in [now, now + 10] {
            let id = self.id(now);
            let (message, at) = self.enter_as(id, at, From::Client { address: "127.0.0.1", of: None }, Some(known));
            self.deliver_all(message, at);
        }
    }

    /// A message that a filter hands back, which is refused then, and so the filter refuses the first one.
    fn sent_back(&mut self, now: u64) {
        let id = self.id(now);
        self.message_ids += 1;
        let known = self.message_ids;
        let (mut first, mut at) =
            self.enter_as(id, now, From::Client { address: "203.0.113.16", of: None }, Some(known));
        self.activate(&mut first, at, 1);
        let second = self.new_id(first.id);
        let (_, refused) = self.enter_as(second, at + 5, From::Client { address: "127.0.0.1", of: None }, Some(known));
        let text = format!(
            "cleanup[77]: {}: milter-reject: END-OF-MESSAGE from localhost[127.0.0.1]: 5.7.1 Spam; from=<a@b.example> to=<x@example.net> proto=ESMTP helo=<b.example>",
            queue_id(second)
        );
        self.push(refused, second, text, Some(Fact::Refused));
        self.truth.count("rejects_total", &["cleanup", "milter-reject", "END-OF-MESSAGE", "none", "milter"], 1);
        self.truth.count("milter_actions_total", &["milter-reject", "END-OF-MESSAGE"], 1);
        at = refused + self.gap();
        self.deliver(&mut first, at, BOUNCED, ("smtp", "127.0.0.1[127.0.0.1]:10025"), None);
        self.finish(&first, at, BOUNCED);
    }

    /// A message that is deferred until its time is over; one of its recipients may have got it.
    fn given_up(&mut self, now: u64) {
        let (mut message, at) = self.enter(now, From::Client { address: "203.0.113.12", of: None });
        let mut recipients = vec![Recipient { deferrals: 3 + self.random.below(8), fate: 0, agent: 0 }];
        if self.random.once_in(3) {
            recipients.push(Recipient { deferrals: 0, fate: SENT, agent: 1 });
        }
        let (at, fates) = self.attempt(&mut message, at, &recipients, 0);
        let text =
            format!("qmgr[812]: {}: from=<ann@example.org>, status=expired, returned to sender", queue_id(message.id));
        self.push(at + 1, message.id, text, Some(Fact::Expired));
        self.truth.count("queue_expirations_total", &[], 1);
        self.finish(&message, at + 1, fates | EXPIRED);
    }

    /// A message that somebody deletes from the queue: it has no outcome.
    fn deleted(&mut self, now: u64) {
        let (mut message, mut at) = self.enter(now, From::Client { address: "203.0.113.13", of: None });
        self.activate(&mut message, at, 1);
        at += self.gap();
        self.deliver(&mut message, at, 0, AGENTS[0], None);
        at += 60_000;
        self.push(
            at,
            message.id,
            format!("postsuper[99]: {}: removed", queue_id(message.id)),
            Some(Fact::Removed { is_done: false }),
        );
        self.truth.count("queue_removals_total", &[], 1);
        self.release(message.id, at);
    }

    /// A message whose end is not in the log.
    fn cut(&mut self, now: u64) {
        let (mut message, mut at) = self.enter(now, From::Client { address: "203.0.113.14", of: None });
        self.activate(&mut message, at, 1);
        at += self.gap();
        self.deliver(&mut message, at, SENT, AGENTS[0], None);
        self.free.push_front((message.id, at, true));
        self.truth.count("correlator_messages", &[], 1);
    }

    /// A message that stays in the queue.
    fn left(&mut self, now: u64) {
        let (mut message, mut at) = self.enter(now, From::Client { address: "203.0.113.15", of: None });
        self.activate(&mut message, at, 1);
        at += self.gap();
        self.deliver(&mut message, at, 0, AGENTS[0], None);
        self.truth.count("correlator_messages", &[], 1);
    }

    /// A message whose first attempts were before the log began.
    fn known_late(&mut self, now: u64) {
        let id = self.new_id(0);
        let mut message =
            Queued { id, came_ms: now.saturating_sub(7_000_000), began_ms: now, lead_ms: 0, attempts: 0, size: 5000 };
        self.entered(now);
        self.activate(&mut message, now, 1);
        self.deliver(&mut message, now + 30, SENT, AGENTS[0], None);
        self.remove(&message, now + 40, SENT);
    }
}
