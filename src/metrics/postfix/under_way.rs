//! Follows a message from line to line: how long it took, in how many attempts, and what became of it.
//!
//! A content filter gives a message back under another queue id. The two are one message when Postfix says so (`orig_queue_id`, which only
//! trusted clients may tell), when a message with the same message id comes from this host while the first, which came from elsewhere, is under
//! way, or when the filter's reply names the queue id of a message with the same message id. The first one then ends without an outcome, unless
//! the filter has refused it after all, and the second one has its time.

use tailmeter_parsers::postfix::{Action, Delivery, Event, Removal, Stage, Status, Tag};
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
}

impl Refused {
    fn add(&mut self, id: Id) {
        self.ids[self.next % 16] = id;
        self.next += 1;
    }

    /// True for one of them; it is none any more.
    fn take(&mut self, id: Id) -> bool {
        let known = self.ids.iter_mut().find(|known| **known == id);
        known.map(|known| *known = 0).is_some()
    }
}

/// The time of the last line that was asked for: many have the same.
#[derive(Default)]
struct Clock {
    text: Vec<u8>,
    time: Option<Time>,
}

impl Clock {
    fn read(&mut self, envelope: &Envelope<'_>) -> Option<Time> {
        if self.text != envelope.timestamp {
            self.text.clear();
            self.text.extend_from_slice(envelope.timestamp);
            self.time = envelope.time();
        }
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
        let mut is_new = false;
        match event {
            Event::Client(client) => {
                let Some(queue_id) = client.queue_id else { return false };
                let is_local = is_loopback(client.client.address);
                refused.take(of(queue_id));
                let message = messages.begin(of(queue_id), clock.read(envelope));
                if is_local {
                    message.fate.add(Fate::LOCAL);
                }
                if !client.orig_queue_id.is_empty() {
                    self.hand_on(of(client.orig_queue_id), of(queue_id));
                }
            }
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
            Event::MessageId(found) if !found.resent => {
                let message = of(found.queue_id);
                if refused.take(message) {
                    return false;
                }
                let is_local = messages.enter(message, clock.read(envelope)).fate.has(Fate::LOCAL);
                // `<>` is how Postfix writes that there is none.
                if !matches!(found.message_id, b"" | b"<>")
                    && let Some(before) = messages.tell_message_id(message, id(found.message_id))
                    && is_local
                    // What a list or a program of this host sends in pieces has the same message id, too.
                    && !before.fate.has(Fate::LOCAL)
                {
                    self.hand_on(before.id, message);
                }
            }
            Event::Queued(queued) => {
                let message = of(queued.queue_id);
                let known = messages.enter(message, clock.read(envelope));
                known.attempts += 1;
                is_new = !known.fate.has(Fate::QUEUED);
                messages.queue(message);
            }
            Event::Delivery(delivery) => {
                let time = clock.read(envelope);
                self.deliver(delivery, of(delivery.queue_id), &of, time);
            }
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
            Event::Removed(removed) => {
                let message = messages.finish(of(removed.queue_id));
                if let (Some(message), Removal::Done) = (message, removed.how) {
                    end(&message, tag, clock.read(envelope), rows);
                }
            }
            _ => {}
        }
        is_new
    }

    fn deliver(&mut self, delivery: &Delivery<'_>, id: Id, of: &dyn Fn(&[u8]) -> Id, time: Option<Time>) {
        let fate = match delivery.status {
            Status::Sent => Fate::SENT,
            Status::Bounced => Fate::BOUNCED,
            Status::Expired => Fate::EXPIRED,
            _ => Fate::default(),
        };
        let Some(message) = self.messages.get(id) else { return };
        message.fate.add(fate);
        // More exact than the time of its first line, and known for those that came before the log did.
        if let Some(time) = time {
            message.began_ms = time.before(delivery.delay_ms).as_ms();
        }
        let message_id = message.message_id;
        if fate == Fate::SENT && message_id != 0 && !delivery.queued_as.is_empty() {
            let next = of(delivery.queued_as);
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
