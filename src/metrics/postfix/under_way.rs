//! Follows a message from line to line: how long it took, in how many attempts, and what became of it.
//!
//! A content filter gives a message back under another queue id. The two are one message when Postfix says so (`orig_queue_id`, which only
//! trusted clients may tell), when a message with the same message id comes from this host while the first, which came from elsewhere, is under
//! way, or when the filter's reply names the queue id of a message with the same message id. The first one then ends without an outcome, unless
//! the filter has refused it after all, and the second one has its time.

use tailmeter_parsers::postfix::{
    Action, Client, Delivery, Event, MessageId, Queued, Removal, Removed, Stage, Status, Tag,
};
use tailmeter_parsers::{Envelope, Time};

use super::count::tag_value;
use super::label::{INSTANCE, OUTCOME, SERVICE};
use super::{DELIVERY_ATTEMPTS, MESSAGE_DURATION};
use crate::metrics::Rows;
use crate::metrics::correlator::{Correlator, Fate, Host, Id, Message, id};
use crate::metrics::rows::Told;

/// The messages under way.
pub(super) struct UnderWay {
    pub(super) messages: Correlator,
    clock: Clock,
    refused: Refused,
}

/// The messages that were refused last: cleanup may still tell the message id of one.
#[derive(Default)]
struct Refused {
    ids: [Id; 16],
    next: usize,
    /// Bit i is set when the lowest six bits of one of them are i.
    bits: u64,
}

impl Refused {
    fn add(&mut self, id: Id) {
        self.ids[self.next % 16] = id;
        self.next += 1;
        self.bits = self.ids.iter().fold(0, |bits, id| bits | 1 << (id % 64));
    }

    /// True for one of them; it is none any more.
    #[inline]
    fn take(&mut self, id: Id) -> bool {
        if self.bits >> (id % 64) & 1 == 0 {
            return false;
        }
        let known = self.ids.iter_mut().find(|known| **known == id);
        known.map(|known| *known = 0).is_some()
    }
}

/// The time of the last line that was asked for: many have the same.
#[derive(Default)]
struct Clock {
    text: Vec<u8>,
    /// The first and the last eight bytes of a text of at most 16.
    ends: Option<[u64; 2]>,
    time: Option<Time>,
}

impl Clock {
    #[inline]
    fn read(&mut self, envelope: &Envelope<'_>) -> Option<Time> {
        let text = envelope.timestamp;
        let ends = match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
            (Some(first), Some(last)) if text.len() <= 16 => {
                Some([u64::from_le_bytes(*first), u64::from_le_bytes(*last)])
            }
            _ => None,
        };
        if ends.is_some() && ends == self.ends && text.len() == self.text.len() {
            return self.time;
        }
        self.read_anew(envelope, ends)
    }

    #[inline(never)]
    fn read_anew(&mut self, envelope: &Envelope<'_>, ends: Option<[u64; 2]>) -> Option<Time> {
        if self.text != envelope.timestamp {
            self.text.clear();
            self.text.extend_from_slice(envelope.timestamp);
            self.time = envelope.time();
        }
        self.ends = ends;
        self.time
    }
}

impl UnderWay {
    /// Room for `max_messages`.
    pub(super) fn new(max_messages: usize) -> Self {
        Self { messages: Correlator::new(max_messages), clock: Clock::default(), refused: Refused::default() }
    }

    /// Takes in what `event` says of its message; true when that has come into the queue by it.
    pub(super) fn follow(
        &mut self,
        event: &Event<'_>,
        tag: &Tag<'_>,
        host: Host,
        envelope: &Envelope<'_>,
        rows: &mut Rows,
    ) -> bool {
        let of = |queue_id: &[u8]| host.id(queue_id);
        let Self { messages, clock, refused } = self;
        match event {
            Event::Client(client) => self.begin(client, host, envelope),
            Event::Pickup(pickup) => {
                let message = of(pickup.queue_id);
                refused.take(message);
                messages.begin(message, clock.read(envelope)).fate.add(Fate::LOCAL);
                // postsuper has requeued it: nothing more will be heard of its former self.
                if !pickup.orig_id.is_empty() && pickup.orig_id != pickup.queue_id {
                    self.hand_on(of(pickup.orig_id), message);
                    self.messages.finish(of(pickup.orig_id));
                }
            }
            Event::MessageId(found) => self.tell_message_id(found, host, envelope),
            Event::Queued(queued) => return self.queue(queued, host, envelope),
            Event::Delivery(delivery) => self.deliver(delivery, host, envelope),
            Event::Expired(expired) => {
                if let Some(message) = messages.get(of(expired.queue_id)) {
                    message.fate.add(Fate::EXPIRED);
                }
            }
            // It never gets into the queue.
            Event::Reject(rejection) if ends_message(rejection.action, rejection.stage) => {
                if let Some(queue_id) = rejection.queue_id {
                    refused.add(of(queue_id));
                    messages.finish(of(queue_id));
                }
            }
            Event::LostConnection(lost) => {
                lost.queue_id.and_then(|queue_id| messages.finish(of(queue_id)));
            }
            Event::Removed(removed) => self.remove(removed, tag, host, envelope, rows),
            _ => {}
        }
        false
    }

    /// A client brings a message.
    #[inline]
    pub(super) fn begin(&mut self, client: &Client<'_>, host: Host, envelope: &Envelope<'_>) {
        let Some(queue_id) = client.queue_id else { return };
        let is_local = is_loopback(client.client.address);
        let message = host.id(queue_id);
        self.refused.take(message);
        let message = self.messages.begin(message, self.clock.read(envelope));
        if is_local {
            message.fate.add(Fate::LOCAL);
        }
        if !client.orig_queue_id.is_empty() {
            self.hand_on(host.id(client.orig_queue_id), host.id(queue_id));
        }
    }

    #[inline]
    pub(super) fn tell_message_id(&mut self, found: &MessageId<'_>, host: Host, envelope: &Envelope<'_>) {
        if found.resent {
            return;
        }
        let message = host.id(found.queue_id);
        if self.refused.take(message) {
            return;
        }
        let at = self.messages.enter_at(message, self.clock.read(envelope));
        let is_local = self.messages.message(at).fate.has(Fate::LOCAL);
        // `<>` is how Postfix writes that there is none.
        if !matches!(found.message_id, b"" | b"<>")
            && let Some(before) = self.messages.tell_message_id_at(at, id(found.message_id))
            && is_local
            // What a list or a program of this host sends in pieces has the same message id, too.
            && !before.fate.has(Fate::LOCAL)
        {
            self.hand_on(before.id, message);
        }
    }

    /// A message becomes active; true when it was not in the queue before.
    #[inline]
    pub(super) fn queue(&mut self, queued: &Queued<'_>, host: Host, envelope: &Envelope<'_>) -> bool {
        let at = self.messages.enter_at(host.id(queued.queue_id), self.clock.read(envelope));
        let known = self.messages.message(at);
        known.attempts += 1;
        let is_new = !known.fate.has(Fate::QUEUED);
        self.messages.queue_at(at);
        is_new
    }

    /// A message leaves the queue.
    #[inline]
    pub(super) fn remove(
        &mut self,
        removed: &Removed<'_>,
        tag: &Tag<'_>,
        host: Host,
        envelope: &Envelope<'_>,
        rows: &mut Rows,
    ) {
        let message = self.messages.finish(host.id(removed.queue_id));
        if let (Some(message), Removal::Done) = (message, removed.how) {
            end(&message, tag, self.clock.read(envelope), rows);
        }
    }

    #[inline]
    pub(super) fn deliver(&mut self, delivery: &Delivery<'_>, host: Host, envelope: &Envelope<'_>) {
        let fate = match delivery.status {
            Status::Sent => Fate::SENT,
            Status::Bounced => Fate::BOUNCED,
            Status::Expired => Fate::EXPIRED,
            _ => Fate::default(),
        };
        let id = host.id(delivery.queue_id);
        let Some(message) = self.messages.get(id) else { return };
        message.fate.add(fate);
        // More exact than the time of its first line, and known for those that came before the log did.
        if let Some(time) = self.clock.read(envelope) {
            message.began_ms = time.before(delivery.delay_ms).as_ms();
        }
        let message_id = message.message_id;
        if fate == Fate::SENT && message_id != 0 && !delivery.queued_as.is_empty() {
            let next = host.id(delivery.queued_as);
            if self.messages.get(next).is_some_and(|next| next.message_id == message_id) {
                self.hand_on(id, next);
            }
        }
    }

    /// The message `from` goes on as `to`.
    fn hand_on(&mut self, from: Id, to: Id) {
        if from == to {
            return;
        }
        let Some(before) = self.messages.get(from) else { return };
        let is_first = !before.fate.has(Fate::HANDED_ON);
        before.fate.add(Fate::HANDED_ON);
        let Message { began_ms, lead_ms, attempts, .. } = *before;
        if let (true, Some(after)) = (is_first, self.messages.get(to)) {
            let apart = Time::from_ms(after.began_ms).since(Time::from_ms(began_ms));
            after.lead_ms = lead_ms + apart.unwrap_or(0);
            // The filter's turn is no attempt, but those before it were.
            after.attempts += attempts.saturating_sub(1);
        }
    }
}

/// The message is done.
fn end(message: &Message, tag: &Tag<'_>, time: Option<Time>, rows: &mut Rows) {
    let Some(outcome) = message.fate.outcome() else { return };
    let value = |label| if label == OUTCOME { outcome.as_bytes() } else { tag_value(tag, label) };
    // Which of them it has had says the outcome.
    const TOLD: Told = Told::of(&[INSTANCE, SERVICE, OUTCOME]);
    let told = (TOLD, message.fate.0 as u8 & 7);
    if let Some(took_ms) = message.age_ms(time) {
        rows.observe_told(MESSAGE_DURATION, (took_ms + message.lead_ms) as i64, told, value);
    }
    rows.observe_told(DELIVERY_ATTEMPTS, message.attempts.max(1).into(), told, value);
}

/// True when a refusal is of the whole message.
fn ends_message(action: Action, stage: Stage) -> bool {
    let is_end = matches!(action, Action::Reject | Action::MilterReject | Action::MilterDiscard | Action::Discard);
    is_end && matches!(stage, Stage::EndOfMessage | Stage::Header | Stage::Body | Stage::Content)
}

fn is_loopback(address: &[u8]) -> bool {
    address.starts_with(b"127.") || address == b"::1" || address.starts_with(b"/") || address.starts_with(b"unix:")
}
