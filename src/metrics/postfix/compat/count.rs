//! Which metrics a line counts in.
//!
//! Each service has its metrics; a line that counts in none of them is an unsupported one, by its service and level.

use tailmeter_parsers::postfix::{
    Action, Client, Daemon, Delivery, Direction, Event, Notification, Rejection, Stage, Status, Tls,
};
use tailmeter_parsers::{Envelope, Reject};

use super::label::{
    AFTER_STAGE, ALGORITHM_BITS, CIPHER, CODE, DOMAIN, DSN, LEVEL, PROTOCOL, RELAY, SASL_METHOD, SECRET_BITS, SERVICE,
    STAGE, STATUS, SUBJECT, TRUST,
};
use super::line::{Line, Said, Service, message, word};
use super::{
    CLEANUP_PROCESSED, CLEANUP_REJECTED, CONNECTS, DISCONNECTS, LMTP_DELAY, LOST, NON_DELIVERY, PIPE_DELAY,
    QMGR_EXPIRED, QMGR_RECEIPIENTS, QMGR_RECIPIENTS, QMGR_REMOVED, QMGR_SIZE, REJECTED, REVERSE_DNS_ERRORS,
    SASL_FAILURES, SIGNATURES, SMTP_BOUNCED_DSN, SMTP_DEFERRED, SMTP_DEFERRED_DSN, SMTP_DELAY, SMTP_PROCESSED,
    SMTP_TIMED_OUT, SMTP_TLS, SMTPD_PROCESSED, SMTPD_TLS, UNSUPPORTED, VIRTUAL_DELIVERED,
};
use crate::metrics::mail::Count;
use crate::metrics::postfix::count::{STAGES, is_excluded, ms};
use crate::metrics::{Plan, Rows};

/// The parts of the time of a delivery by smtp: that program does not tell them apart.
const NO_STAGES: [&str; 4] = [""; 4];

/// Counts lines as postfix_exporter does.
pub(super) struct PostfixExporter {
    excluded: Vec<Box<[u8]>>,
    /// Services that count as their daemon does, beside those that have no other name.
    services: Vec<Box<[u8]>>,
}

impl Count for PostfixExporter {
    type Event<'a> = Line<'a>;
    const IS_PROGRAM: fn(&[u8]) -> bool = Line::is_of;
    const READ: for<'a> fn(&'a [u8], &Envelope<'a>) -> Result<Line<'a>, Reject> =
        |line, envelope| Line::read(line, envelope);

    fn new(plan: &Plan) -> Self {
        let bytes = |names: &[String]| names.iter().map(|name| name.as_bytes().into()).collect();
        Self { excluded: bytes(&plan.postfix.exclude_services), services: bytes(&plan.postfix.compat_services) }
    }

    fn count(&mut self, line: &Line<'_>, _: &Envelope<'_>, rows: &mut Rows) {
        let Some((service, daemon)) = self.service(line.service) else { return };
        let is_counted = match &line.said {
            Said::Postfix(event) => daemon.is_some_and(|daemon| count(daemon, event, line.message, rows)),
            Said::Signature { selector, domain } => {
                rows.count(SIGNATURES, |label| match label {
                    SUBJECT => selector,
                    DOMAIN => domain,
                    _ => b"",
                });
                true
            }
            Said::Nothing => false,
        };
        if !is_counted {
            count_unsupported(line.service, service, line.message, rows);
        }
    }

    fn count_rejected(&mut self, line: &[u8], envelope: &Envelope<'_>, rows: &mut Rows) {
        let service = Service::of(envelope.program);
        if let Some((name, _)) = self.service(service) {
            count_unsupported(service, name, message(line, envelope), rows);
        }
    }
}

impl PostfixExporter {
    /// By which name the lines of `service` are unsupported, and the daemon as which it counts, if there are metrics of that;
    /// `None` when the configuration leaves it out.
    fn service<'a>(&self, service: Service<'a>) -> Option<(&'a [u8], Option<Daemon>)> {
        let name = match service {
            Service::Postfix(name) => name,
            Service::Opendkim => return Some((b"opendkim", None)),
            Service::Unknown => return Some((b"", None)),
        };
        if is_excluded(&self.excluded, name) {
            return None;
        }
        let last = name.rsplit(|byte| *byte == b'/').next().unwrap_or(name);
        let daemon = Daemon::of(last).filter(|_| last == name || self.services.iter().any(|known| **known == *name));
        let name = match daemon {
            Some(Daemon::Bounce | Daemon::Virtual) => b"postfix",
            Some(Daemon::Cleanup | Daemon::Lmtp | Daemon::Pipe | Daemon::Qmgr | Daemon::Smtp | Daemon::Smtpd) => last,
            _ => name,
        };
        Some((name, daemon))
    }
}

/// The word for how bad a line is, if it begins with one.
fn level(message: &[u8]) -> &[u8] {
    let (level, rest) = word(message);
    match level {
        b"warning" | b"error" | b"fatal" | b"panic" if rest.starts_with(b": ") => level,
        _ => b"",
    }
}

fn count_unsupported(of: Service<'_>, service: &[u8], message: &[u8], rows: &mut Rows) {
    let level = if of == Service::Unknown { b"" } else { level(message) };
    rows.count(UNSUPPORTED, |label| match label {
        SERVICE => service,
        LEVEL => level,
        _ => b"",
    });
}

/// Counts an event of `daemon`; false when it counts in none of that one's metrics.
fn count(daemon: Daemon, event: &Event<'_>, message: &[u8], rows: &mut Rows) -> bool {
    match daemon {
        Daemon::Cleanup => count_cleanup(event, rows),
        Daemon::Lmtp => count_delays(LMTP_DELAY, &STAGES, event, rows).is_some(),
        Daemon::Pipe => count_delays(PIPE_DELAY, &STAGES, event, rows).is_some(),
        Daemon::Qmgr => count_qmgr(event, rows),
        Daemon::Smtp => count_smtp(event, message, rows),
        Daemon::Smtpd => count_smtpd(event, message, rows),
        Daemon::Bounce => count_bounce(event, rows),
        Daemon::Virtual => count_virtual(event, rows),
        _ => false,
    }
}

/// Counts a metric that has no labels.
fn count_bare(metric: usize, rows: &mut Rows) -> bool {
    rows.count(metric, |_| b"");
    true
}

fn count_cleanup(event: &Event<'_>, rows: &mut Rows) -> bool {
    match event {
        Event::MessageId(found) if !found.resent && found.message_id.starts_with(b"<") => {
            count_bare(CLEANUP_PROCESSED, rows)
        }
        Event::Reject(rejection) if rejection.action == Action::Reject => count_bare(CLEANUP_REJECTED, rows),
        _ => false,
    }
}

/// Observes the parts of a delivery's time, each in its stage; `None` when `event` is none.
fn count_delays<'e, 'a>(
    metric: usize,
    stages: &[&str; 4],
    event: &'e Event<'a>,
    rows: &mut Rows,
) -> Option<&'e Delivery<'a>> {
    let Event::Delivery(delivery) = event else { return None };
    for (stage, part_ms) in stages.iter().zip(delivery.delays_ms) {
        rows.observe(metric, ms(part_ms), |label| match label {
            STAGE => stage.as_bytes(),
            RELAY => delivery.relay,
            _ => b"",
        });
    }
    Some(delivery)
}

fn count_qmgr(event: &Event<'_>, rows: &mut Rows) -> bool {
    match event {
        Event::Queued(queued) => {
            rows.observe(QMGR_SIZE, ms(queued.size), |_| b"");
            for metric in [QMGR_RECEIPIENTS, QMGR_RECIPIENTS] {
                rows.observe(metric, queued.nrcpt.into(), |_| b"");
            }
            true
        }
        Event::Removed(_) => count_bare(QMGR_REMOVED, rows),
        Event::Expired(_) => count_bare(QMGR_EXPIRED, rows),
        _ => false,
    }
}

fn count_smtp(event: &Event<'_>, message: &[u8], rows: &mut Rows) -> bool {
    if let Some(delivery) = count_delays(SMTP_DELAY, &NO_STAGES, event, rows) {
        count_status(delivery, message, rows);
        return true;
    }
    match event {
        Event::Tls(tls) if tls.direction == Direction::Outbound => count_tls(SMTP_TLS, tls, rows),
        Event::ConnectFailure(failure) => {
            let is_it = failure.queue_id.is_empty() && failure.peer.port.is_some();
            is_it && failure.text == b"Connection timed out" && count_bare(SMTP_TIMED_OUT, rows)
        }
        _ => false,
    }
}

/// Counts what became of a recipient.
fn count_status(delivery: &Delivery<'_>, message: &[u8], rows: &mut Rows) {
    let status: &[u8] = match delivery.status {
        // What it shows as it stands is only deferred.
        Status::Deferred if is_soft_bounce(delivery, message) => b"SOFTBOUNCE",
        status => status.as_str().as_bytes(),
    };
    rows.count(SMTP_PROCESSED, |label| if label == STATUS { status } else { b"" });
    let by_dsn = match status {
        b"deferred" => {
            count_bare(SMTP_DEFERRED, rows);
            SMTP_DEFERRED_DSN
        }
        b"bounced" => SMTP_BOUNCED_DSN,
        _ => return,
    };
    if !delivery.dsn.is_empty() {
        rows.count(by_dsn, |label| if label == DSN { delivery.dsn } else { b"" });
    }
}

/// True when the status of `delivery` is written `SOFTBOUNCE` in its line.
fn is_soft_bounce(delivery: &Delivery<'_>, message: &[u8]) -> bool {
    let text = delivery.text.len() + usize::from(!delivery.truncated);
    let before = message.len().checked_sub(text).and_then(|length| message.get(..length)).unwrap_or_default();
    before.strip_suffix(b"(").unwrap_or(before).ends_with(b" status=SOFTBOUNCE ")
}

fn count_smtpd(event: &Event<'_>, message: &[u8], rows: &mut Rows) -> bool {
    match event {
        Event::Connect(_) => count_bare(CONNECTS, rows),
        Event::Disconnect(_) => count_bare(DISCONNECTS, rows),
        Event::Warning(_) if is_reverse_dns_error(message) => count_bare(REVERSE_DNS_ERRORS, rows),
        Event::LostConnection(lost) if is_lost(message) => {
            rows.count(LOST, |label| if label == AFTER_STAGE { lost.stage.as_str().as_bytes() } else { b"" });
            true
        }
        Event::Client(client) => count_client(client, rows),
        Event::Reject(rejection) => count_rejection(rejection, rows),
        Event::SaslFailure(_) => {
            memchr::memmem::find(message, b" authentication failed: ").is_some() && count_bare(SASL_FAILURES, rows)
        }
        Event::Tls(tls) if tls.direction == Direction::Inbound && tls.sni.is_empty() => count_tls(SMTPD_TLS, tls, rows),
        _ => false,
    }
}

/// `warning: hostname NAME does not resolve to address ADDRESS`
fn is_reverse_dns_error(message: &[u8]) -> bool {
    let Some(rest) = message.strip_prefix(b"warning: hostname ") else { return false };
    let name = memchr::memchr(b' ', rest).unwrap_or(rest.len());
    rest.get(name..).is_some_and(|rest| name > 0 && rest.starts_with(b" does not resolve to address "))
}

/// `[NOQUEUE: ]lost connection after COMMAND from …`, and neither `after DATA (9 bytes) from` nor `after END-OF-MESSAGE`.
fn is_lost(message: &[u8]) -> bool {
    let message = message.strip_prefix(b"NOQUEUE: ").unwrap_or(message);
    let Some(rest) = message.strip_prefix(b"lost connection after ") else { return false };
    let (stage, rest) = word(rest);
    !stage.is_empty() && rest.starts_with(b" from ")
}

fn count_client(client: &Client<'_>, rows: &mut Rows) -> bool {
    let method = client.sasl_method.unwrap_or("NONE").as_bytes();
    rows.count(SMTPD_PROCESSED, |label| if label == SASL_METHOD { method } else { b"" });
    true
}

/// Counts recipients that were refused before there was a message.
fn count_rejection(rejection: &Rejection<'_>, rows: &mut Rows) -> bool {
    let is_it = rejection.queue_id.is_none() && rejection.action == Action::Reject && rejection.stage == Stage::Rcpt;
    let Some(code) = rejection.code.filter(|_| is_it) else { return false };
    let mut digits = itoa::Buffer::new();
    let code = digits.format(code).as_bytes();
    rows.count(REJECTED, |label| if label == CODE { code } else { b"" });
    true
}

/// Counts a session that is new, and for no message in particular.
fn count_tls(metric: usize, tls: &Tls<'_>, rows: &mut Rows) -> bool {
    if tls.reused || !tls.queue_id.is_empty() {
        return false;
    }
    let (mut secret, mut algorithm) = (itoa::Buffer::new(), itoa::Buffer::new());
    let [used, all] = tls.bits;
    let (secret, algorithm) = (secret.format(used).as_bytes(), algorithm.format(all).as_bytes());
    rows.count(metric, |label| match label {
        TRUST => tls.trust.as_str().as_bytes(),
        PROTOCOL => tls.protocol,
        CIPHER => tls.cipher,
        SECRET_BITS => secret,
        ALGORITHM_BITS => algorithm,
        _ => b"",
    });
    true
}

fn count_bounce(event: &Event<'_>, rows: &mut Rows) -> bool {
    match event {
        Event::Bounce(bounce) if bounce.kind == Notification::NonDelivery && !bounce.to_postmaster => {
            count_bare(NON_DELIVERY, rows)
        }
        _ => false,
    }
}

fn count_virtual(event: &Event<'_>, rows: &mut Rows) -> bool {
    match event {
        Event::Delivery(delivery)
            if delivery.status == Status::Sent && delivery.text == b"delivered to maildir" && !delivery.truncated =>
        {
            count_bare(VIRTUAL_DELIVERED, rows)
        }
        _ => false,
    }
}
