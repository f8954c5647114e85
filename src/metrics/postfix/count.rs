//! Which metrics an event counts in.

use tailmeter_parsers::envelope::ByHead;
use tailmeter_parsers::postfix::{
    self, Client, Command, Daemon, Delivery, Disconnect, Event, LostConnection, Queued, Rejection, Status, Tag, Test,
    Tls,
};
use tailmeter_parsers::{Envelope, Reject};

use super::label::{
    ACTION, CIPHER, CLEAN, CODE, COMMAND, DIRECTION, DSN, DSN_CLASS, ENHANCED_CODE, INSTANCE, KIND, LIST, METHOD,
    PROTOCOL, REASON, RECIPIENT_DOMAIN, RELAY, RESULT, SASL, SERVICE, SEVERITY, STAGE, STATUS, TEST, TRANSPORT, TRUST,
    USERNAME,
};
use super::under_way::UnderWay;
use super::{
    BOUNCES, CONNECT_FAILURES, CONNECTIONS, CORRELATOR_EVICTIONS, CORRELATOR_MESSAGES, DELIVERIES, DELIVERY_DELAY,
    DELIVERY_STAGE, DISCONNECTIONS, DNSBL_HITS, LOST_CONNECTIONS, MESSAGE_RECIPIENTS, MESSAGE_SIZE, MESSAGES_RECEIVED,
    MILTER_ACTIONS, POSTSCREEN_DNSBL_RANK, POSTSCREEN_PASSES, POSTSCREEN_TESTS_FAILED, QUEUE_EXPIRATIONS,
    QUEUE_INSERTIONS, QUEUE_REMOVALS, REJECTS, SASL_FAILURES, SASL_LOGINS, SMTPD_COMMANDS, TLS_CONNECTIONS, WARNINGS,
};
use crate::config::PostfixConfig;
use crate::metrics::correlator::{Correlator, Host};
use crate::metrics::mail::Count;
use crate::metrics::rows::{Known, Spot, Told};
use crate::metrics::{Plan, Rows};

/// The parts of a delivery's time, as labels.
pub(super) const STAGES: [&str; 4] = ["before_queue_manager", "queue_manager", "connection_setup", "transmission"];

/// The labels that a line's head tells.
pub(super) const TAG: Told = Told::of(&[INSTANCE, SERVICE]);

/// What stands for a value that the line does not have.
const NONE: &[u8] = b"none";

/// Counts Postfix's events.
pub(super) struct Postfix {
    senders: ByHead<Sender>,
    /// That of the present line.
    sender: Sender,
    under_way: UnderWay,
    excluded: Vec<Box<[u8]>>,
    reasons: Vec<(regex::bytes::Regex, Box<str>)>,
    /// A recipient's domain in lower case; kept to be used again.
    domain: Vec<u8>,
    has_domain: bool,
    /// The labels of a delivery's metrics that lines tell.
    delivery_labels: Vec<usize>,
    /// Rows of deliveries that have these in common: of the count, the delay, and its parts.
    deliveries: Known<Option<Spot>>,
    /// What the ends of sessions with the same summary add.
    sessions: Known<(Spot, u32)>,
}

/// Who writes lines with the same head.
#[derive(Clone, Copy, Default)]
struct Sender {
    daemon: Option<Daemon>,
    /// Where in the program's name the instance ends and the service begins.
    instance_end: usize,
    service_start: usize,
    is_excluded: bool,
    host: Host,
}

impl Sender {
    fn of(envelope: &Envelope<'_>, excluded: &[Box<[u8]>]) -> Self {
        let host = Host::of(envelope.hostname);
        let Some(tag) = Tag::of(envelope.program) else { return Self { host, ..Self::default() } };
        Self {
            daemon: Some(tag.daemon),
            instance_end: tag.instance.len(),
            service_start: envelope.program.len() - tag.service.len(),
            is_excluded: is_excluded(excluded, tag.service),
            host,
        }
    }

    /// What `Tag::of` makes of `program`, whose sender this is.
    #[inline]
    fn tag<'a>(&self, program: &'a [u8]) -> Option<Tag<'a>> {
        Some(Tag {
            instance: program.get(..self.instance_end)?,
            service: program.get(self.service_start..)?,
            daemon: self.daemon?,
        })
    }
}

impl Count for Postfix {
    type Event<'a> = Event<'a>;
    const IS_PROGRAM: fn(&[u8]) -> bool = postfix::is_program;
    const READ: for<'a> fn(&'a [u8], &Envelope<'a>) -> Result<Event<'a>, Reject> = postfix::read;

    fn new(plan: &Plan) -> Self {
        let PostfixConfig { exclude_services, reject_reasons, max_messages, .. } = &*plan.postfix;
        // Patterns were checked when the configuration was read.
        let reasons = reject_reasons.iter();
        let reasons = reasons
            .filter_map(|rule| Some((regex::bytes::Regex::new(&rule.pattern).ok()?, rule.reason.as_str().into())));
        let delivery_labels = plan.labels_of(&[DELIVERIES, DELIVERY_DELAY, DELIVERY_STAGE]);
        Self {
            senders: ByHead::default(),
            sender: Sender::default(),
            under_way: UnderWay::new(*max_messages),
            excluded: exclude_services.iter().map(|service| service.as_bytes().into()).collect(),
            reasons: reasons.collect(),
            domain: Vec::new(),
            has_domain: delivery_labels.contains(&RECIPIENT_DOMAIN),
            delivery_labels,
            deliveries: Known::default(),
            sessions: Known::default(),
        }
    }

    fn read<'a>(&mut self, line: &'a [u8], envelope: &Envelope<'a>) -> Result<Event<'a>, Reject> {
        let Self { senders, excluded, .. } = self;
        let sender = || Sender::of(envelope, excluded);
        self.sender = senders.get(envelope.head, sender).copied().unwrap_or_else(sender);
        match self.sender.daemon {
            Some(daemon) => postfix::read_of(daemon, line, envelope),
            None => postfix::read(line, envelope),
        }
    }

    fn count(&mut self, event: &Event<'_>, envelope: &Envelope<'_>, rows: &mut Rows) {
        let Some(tag) = self.sender.tag(envelope.program) else { return };
        let is_new = self.under_way.follow(event, &tag, self.sender.host, envelope, rows);
        if self.sender.is_excluded {
            return;
        }
        let of_tag = |label| tag_value(&tag, label);
        match event {
            Event::Connect(_) => rows.count_told(CONNECTIONS, (TAG, 0), of_tag),
            Event::Disconnect(disconnect) => self.count_disconnect(disconnect, &tag, rows),
            Event::Client(client) => count_client(client, &tag, rows),
            Event::Reject(rejection) => self.count_rejection(rejection, &tag, rows),
            Event::SaslFailure(failure) if failure.is_aborted => {}
            Event::SaslFailure(failure) => rows.count(SASL_FAILURES, |label| match label {
                METHOD => failure.method.as_bytes(),
                USERNAME => failure.sasl_username,
                _ => of_tag(label),
            }),
            Event::LostConnection(lost) => count_lost(lost, &tag, rows),
            Event::Tls(tls) => count_tls(tls, &tag, rows),
            Event::Queued(queued) if is_new => count_queued(queued, &tag, rows),
            Event::Removed(_) => rows.count_told(QUEUE_REMOVALS, (TAG, 0), of_tag),
            Event::Expired(_) => rows.count(QUEUE_EXPIRATIONS, of_tag),
            Event::Delivery(delivery) => self.count_delivery(delivery, &tag, rows),
            Event::Bounce(bounce) => rows.count(BOUNCES, |label| match label {
                KIND => bounce.kind.as_str().as_bytes(),
                _ => of_tag(label),
            }),
            Event::ConnectFailure(failure) => rows.count(CONNECT_FAILURES, |label| match label {
                REASON => failure.reason.as_str().as_bytes(),
                RELAY => failure.peer.name,
                _ => of_tag(label),
            }),
            Event::Passed(passed) => rows.count(POSTSCREEN_PASSES, |label| match label {
                KIND => passed.kind.as_str().as_bytes(),
                _ => of_tag(label),
            }),
            Event::TestFailed(failed) => {
                rows.count(POSTSCREEN_TESTS_FAILED, |label| match label {
                    TEST => failed.test.as_str().as_bytes(),
                    _ => of_tag(label),
                });
                if let (Test::Dnsbl, Some(rank)) = (failed.test, failed.rank) {
                    rows.observe(POSTSCREEN_DNSBL_RANK, rank.into(), of_tag);
                }
            }
            Event::Listed(listed) => rows.count(DNSBL_HITS, |label| match label {
                LIST => listed.list,
                _ => of_tag(label),
            }),
            Event::Warning(warning) => rows.count(WARNINGS, |label| match label {
                SEVERITY => warning.severity.as_str().as_bytes(),
                _ => of_tag(label),
            }),
            Event::Pickup(_) | Event::MessageId(_) | Event::Queued(_) | Event::Known(_) => {}
        }
    }

    fn settle(&mut self, rows: &mut Rows) {
        self.under_way.messages.settle(CORRELATOR_MESSAGES, CORRELATOR_EVICTIONS, rows);
    }

    fn correlator(&self) -> Option<&Correlator> {
        Some(&self.under_way.messages)
    }

    fn correlator_mut(&mut self) -> Option<&mut Correlator> {
        Some(&mut self.under_way.messages)
    }
}

/// The labels that a tag has.
pub(super) fn tag_value<'a>(tag: &Tag<'a>, label: usize) -> &'a [u8] {
    match label {
        INSTANCE => tag.instance,
        SERVICE => tag.service,
        _ => b"",
    }
}

/// True for a service that the configuration leaves out, by its whole name or by what stands before its slash.
pub(super) fn is_excluded(excluded: &[Box<[u8]>], service: &[u8]) -> bool {
    excluded
        .iter()
        .any(|excluded| service.strip_prefix(&**excluded).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/")))
}

impl Postfix {
    fn count_rejection(&self, rejection: &Rejection<'_>, tag: &Tag<'_>, rows: &mut Rows) {
        let own = self.reasons.iter().find(|(pattern, _)| pattern.is_match(rejection.text));
        let reason = own.map_or(rejection.cause.as_str(), |(_, reason)| reason);
        let digits = rejection.code.map(|code| [code / 100, code / 10 % 10, code % 10].map(|digit| b'0' + digit as u8));
        let code = digits.as_ref().map_or(NONE, |digits| digits);
        let enhanced = if rejection.enhanced.is_empty() { NONE } else { rejection.enhanced };
        let value = |label| match label {
            ACTION => rejection.action.as_str().as_bytes(),
            STAGE => rejection.stage.as_str().as_bytes(),
            CODE => code,
            REASON => reason.as_bytes(),
            ENHANCED_CODE => enhanced,
            _ => tag_value(tag, label),
        };
        rows.count(REJECTS, value);
        if rejection.action.as_str().starts_with("milter-") {
            rows.count(MILTER_ACTIONS, value);
        }
    }

    /// Sessions with the same summary count the same.
    fn count_disconnect(&mut self, disconnect: &Disconnect<'_>, tag: &Tag<'_>, rows: &mut Rows) {
        let clean: &[u8] = match disconnect.clean {
            Some(true) => b"true",
            Some(false) => b"false",
            None => b"unknown",
        };
        let texts = [tag.instance, tag.service, clean, disconnect.commands.text()];
        let additions = rows.find_all(&mut self.sessions, texts, |rows, found| {
            let spot = rows.find(DISCONNECTIONS, |label| if label == CLEAN { clean } else { tag_value(tag, label) });
            found.extend(spot.map(|spot| (spot, 1)));
            for Command { name, accepted, total } in disconnect.commands {
                for (result, count) in [("ok", accepted), ("rejected", total.saturating_sub(accepted))] {
                    let value = |label| match label {
                        COMMAND => name.as_bytes(),
                        RESULT => result.as_bytes(),
                        _ => tag_value(tag, label),
                    };
                    let spot = if count > 0 { rows.find(SMTPD_COMMANDS, value) } else { None };
                    found.extend(spot.map(|spot| (spot, count)));
                }
            }
        });
        for (spot, count) in additions {
            rows.add_at(spot, (*count).into());
        }
    }

    fn count_delivery(&mut self, delivery: &Delivery<'_>, tag: &Tag<'_>, rows: &mut Rows) {
        self.domain.clear();
        if self.has_domain
            && let Some(at) = memchr::memrchr(b'@', delivery.to)
        {
            self.domain.extend(delivery.to.iter().skip(at + 1).map(u8::to_ascii_lowercase));
        }
        let is_class = |class: &&[u8]| matches!(class, [b'2' | b'4' | b'5']);
        let class = delivery.dsn.get(..1).filter(is_class).unwrap_or(b"other");
        let dsn = if delivery.dsn.is_empty() { NONE } else { delivery.dsn };
        let domain = &self.domain;
        let value = |label| match label {
            TRANSPORT => tag.daemon.as_str().as_bytes(),
            STATUS => delivery.status.as_str().as_bytes(),
            DSN_CLASS => class,
            DSN => dsn,
            RELAY => delivery.relay,
            RECIPIENT_DOMAIN => domain.as_slice(),
            _ => tag_value(tag, label),
        };
        // Probes deliver nothing.
        let is_probe = matches!(delivery.status, Status::Deliverable | Status::Undeliverable);
        let kind: &[u8] = if is_probe { b"probe" } else { b"" };
        let find = |rows: &mut Rows, found: &mut Vec<Option<Spot>>| {
            found.push(rows.find(DELIVERIES, value));
            if is_probe {
                return;
            }
            found.push(rows.find(DELIVERY_DELAY, value));
            for stage in STAGES {
                found.push(
                    rows.find(DELIVERY_STAGE, |label| if label == STAGE { stage.as_bytes() } else { value(label) }),
                );
            }
        };
        const TOLD: Told = Told::of(&[INSTANCE, SERVICE, TRANSPORT, STATUS, DSN_CLASS, STAGE]);
        let is_told = [DELIVERIES, DELIVERY_DELAY, DELIVERY_STAGE].iter().all(|metric| rows.is_told(*metric, TOLD));
        let spots = if is_told {
            let code = (delivery.status as u8) << 3 | class.first().map_or(0, |digit| digit & 7);
            rows.find_all_told(&mut self.deliveries, code, find)
        } else {
            let texts = [kind].into_iter().chain(self.delivery_labels.iter().map(|label| value(*label)));
            rows.find_all(&mut self.deliveries, texts, find)
        };
        let Some((deliveries, durations)) = spots.split_first() else { return };
        deliveries.iter().for_each(|spot| rows.add_at(spot, 1));
        let Some((delay, stages)) = durations.split_first() else { return };
        delay.iter().for_each(|spot| rows.observe_at(spot, ms(delivery.delay_ms)));
        for (stage, part_ms) in stages.iter().zip(delivery.delays_ms) {
            stage.iter().for_each(|spot| rows.observe_at(spot, ms(part_ms)));
        }
    }
}

pub(super) fn ms(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

fn count_client(client: &Client<'_>, tag: &Tag<'_>, rows: &mut Rows) {
    if client.queue_id.is_some() {
        let sasl: &[u8] = if client.sasl_method.is_some() { b"true" } else { b"false" };
        let code = u8::from(client.sasl_method.is_some());
        rows.count_told(MESSAGES_RECEIVED, (Told::of(&[INSTANCE, SERVICE, SASL]), code), |label| match label {
            SASL => sasl,
            _ => tag_value(tag, label),
        });
    }
    if let Some(method) = client.sasl_method {
        rows.count(SASL_LOGINS, |label| match label {
            METHOD => method.as_bytes(),
            USERNAME => client.sasl_username,
            _ => tag_value(tag, label),
        });
    }
}

fn count_lost(lost: &LostConnection<'_>, tag: &Tag<'_>, rows: &mut Rows) {
    rows.count(LOST_CONNECTIONS, |label| match label {
        REASON => lost.reason.as_str().as_bytes(),
        STAGE => lost.stage.as_str().as_bytes(),
        _ => tag_value(tag, label),
    });
}

fn count_tls(tls: &Tls<'_>, tag: &Tag<'_>, rows: &mut Rows) {
    rows.count(TLS_CONNECTIONS, |label| match label {
        DIRECTION => tls.direction.as_str().as_bytes(),
        TRUST => tls.trust.as_str().as_bytes(),
        PROTOCOL => tls.protocol,
        CIPHER => tls.cipher,
        _ => tag_value(tag, label),
    });
}

fn count_queued(queued: &Queued<'_>, tag: &Tag<'_>, rows: &mut Rows) {
    let of_tag = |label| tag_value(tag, label);
    rows.count_told(QUEUE_INSERTIONS, (TAG, 0), of_tag);
    rows.observe_told(MESSAGE_SIZE, ms(queued.size), (TAG, 0), of_tag);
    rows.observe_told(MESSAGE_RECIPIENTS, queued.nrcpt.into(), (TAG, 0), of_tag);
}
