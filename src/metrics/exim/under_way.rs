//! Follows a message from line to line: how long it took, and what became of it.

use tailmeter_parsers::Envelope;
use tailmeter_parsers::Time;
use tailmeter_parsers::exim::{DeliveryResult, Event};

use super::MESSAGE_DURATION;
use super::label::OUTCOME;
use crate::metrics::Rows;
use crate::metrics::correlator::{Correlator, Fate, Host, Message};

/// How the reason of a recipient ends that was given up because it took too long.
const EXPIRED: &[u8] = b"retry timeout exceeded";

/// The messages under way.
#[derive(Default)]
pub(super) struct UnderWay {
    pub(super) messages: Correlator,
}

impl UnderWay {
    /// Takes in what `event` says of its message.
    pub(super) fn follow(&mut self, event: &Event<'_>, envelope: &Envelope<'_>, rows: &mut Rows) {
        let host = Host::of(envelope.hostname);
        let of = |message: &[u8]| host.id(message);
        match event {
            Event::Arrival(arrival) => {
                // Recipients that it was passed on to while it came in stand before it.
                let id = of(arrival.id);
                self.messages.enter(id, envelope.time());
                self.messages.queue(id);
            }
            Event::Delivery(delivery) => {
                let fate = match delivery.result {
                    DeliveryResult::Delivered | DeliveryResult::Additional | DeliveryResult::Cutthrough => Fate::SENT,
                    DeliveryResult::Failed if delivery.reason.ends_with(EXPIRED) => Fate::EXPIRED,
                    DeliveryResult::Failed => Fate::BOUNCED,
                    DeliveryResult::Deferred | DeliveryResult::Suppressed => return,
                };
                if delivery.result == DeliveryResult::Cutthrough {
                    self.messages.enter(of(delivery.id), envelope.time()).fate.add(fate);
                } else if let Some(message) = self.messages.get(of(delivery.id)) {
                    message.fate.add(fate);
                }
            }
            Event::Completed(completed) => {
                if let Some(message) = self.messages.finish(of(completed.id)) {
                    end(&message, completed.queue_time_ms, envelope.time(), rows);
                }
            }
            _ => {}
        }
    }
}

/// The message is done. Exim's own time is the more exact one, where it is logged.
fn end(message: &Message, queue_time_ms: Option<u64>, time: Option<Time>, rows: &mut Rows) {
    let Some(outcome) = message.fate.outcome() else { return };
    if let Some(took_ms) = queue_time_ms.or_else(|| message.age_ms(time)).and_then(|ms| i64::try_from(ms).ok()) {
        rows.observe(MESSAGE_DURATION, took_ms, |label| if label == OUTCOME { outcome.as_bytes() } else { b"" });
    }
}
