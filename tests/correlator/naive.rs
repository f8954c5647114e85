//! Messages under way as maps and lists: what `Correlator` has to do, without any thought of speed.

use std::collections::{BTreeMap, HashMap};

use tailmeter::metrics::{Fate, Message};

const SESSION_MS: u64 = 3_600_000;
const QUEUED_MS: u64 = 14 * 86_400_000;

/// The messages of one source.
#[derive(Default)]
pub(crate) struct Naive {
    pub(crate) capacity: usize,
    messages: HashMap<u64, (u64, Message)>,
    /// By when they came into it: those that are in no queue, and those that are.
    lists: [BTreeMap<u64, u64>; 2],
    latest: HashMap<u64, u64>,
    /// When each came, or the last time known then.
    came_ms: HashMap<u64, u64>,
    last_ms: u64,
    orders: u64,
    pub(crate) change: i64,
    pub(crate) evicted: u64,
}

impl Naive {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, ..Self::default() }
    }

    /// With the messages that another one had.
    pub(crate) fn restored(capacity: usize, mut messages: Vec<Message>) -> Self {
        let mut naive = Self::new(capacity);
        messages.sort_by_key(|message| message.began_ms);
        for message in messages {
            if naive.len() >= capacity {
                naive.forget_oldest();
            }
            naive.insert(Message { message_id: 0, ..message });
            naive.last_ms = naive.last_ms.max(message.began_ms);
            if message.message_id != 0 {
                naive.tell_message_id(message.id, message.message_id);
            }
        }
        naive
    }

    pub(crate) fn get(&mut self, id: u64) -> Option<&mut Message> {
        self.messages.get_mut(&id).map(|(_, message)| message)
    }

    pub(crate) fn enter(&mut self, id: u64, at_ms: Option<u64>) -> &mut Message {
        if !self.messages.contains_key(&id) {
            self.make_room(at_ms);
            self.last_ms = at_ms.unwrap_or(self.last_ms);
            self.insert(Message { id, began_ms: at_ms.unwrap_or(0), ..Message::default() });
        }
        self.get(id).unwrap()
    }

    pub(crate) fn insert(&mut self, message: Message) {
        self.orders += 1;
        self.lists[list(&message)].insert(self.orders, message.id);
        let came_ms = if message.began_ms == 0 { self.last_ms } else { message.began_ms };
        self.came_ms.insert(message.id, came_ms);
        self.messages.insert(message.id, (self.orders, message));
        self.change += 1;
    }

    pub(crate) fn begin(&mut self, id: u64, at_ms: Option<u64>) -> &mut Message {
        self.evicted += u64::from(self.finish(id).is_some());
        self.enter(id, at_ms)
    }

    pub(crate) fn queue(&mut self, id: u64) {
        let Some((order, message)) = self.messages.get_mut(&id) else { return };
        if message.fate.has(Fate::QUEUED) {
            return;
        }
        self.lists[0].remove(order);
        message.fate.add(Fate::QUEUED);
        self.orders += 1;
        *order = self.orders;
        self.lists[1].insert(self.orders, id);
    }

    pub(crate) fn finish(&mut self, id: u64) -> Option<Message> {
        let (order, message) = self.messages.remove(&id)?;
        self.lists[list(&message)].remove(&order);
        if self.latest.get(&message.message_id) == Some(&id) {
            self.latest.remove(&message.message_id);
        }
        self.change -= 1;
        Some(message)
    }

    pub(crate) fn tell_message_id(&mut self, id: u64, message_id: u64) -> Option<Message> {
        let (_, message) = self.messages.get_mut(&id)?;
        if self.latest.get(&message.message_id) == Some(&id) {
            self.latest.remove(&message.message_id);
        }
        message.message_id = message_id;
        let before = self.latest.insert(message_id, id)?;
        self.get(before).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn messages(&self) -> impl Iterator<Item = Message> {
        self.lists.iter().flat_map(|list| list.values().map(|id| self.messages[id].1))
    }

    fn make_room(&mut self, at_ms: Option<u64>) {
        for (number, longest) in [(0, SESSION_MS), (1, QUEUED_MS)] {
            while let Some(id) = self.lists[number].values().next().copied() {
                let came_ms = self.came_ms[&id];
                if came_ms == 0 || at_ms.is_none_or(|at| at.saturating_sub(came_ms) <= longest) {
                    break;
                }
                self.evicted += number as u64;
                self.finish(id);
            }
        }
        if self.messages.len() >= self.capacity {
            self.forget_oldest();
        }
    }

    pub(crate) fn forget_oldest(&mut self) {
        let oldest = self.lists.iter().find_map(|list| list.values().next().copied());
        self.finish(oldest.unwrap());
        self.evicted += 1;
    }
}

fn list(message: &Message) -> usize {
    usize::from(message.fate.has(Fate::QUEUED))
}
