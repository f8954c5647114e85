//! Messages under way: what the lines of one message have told so far, until it is done.
//!
//! A message is known by the hash of its queue id and host, has a fixed size, and there are only so many: when the room is full
//! the oldest one is forgotten, first of those that never got into a queue (sessions that broke off), then of all. So it is
//! with those that have been there too long. What is here is part of the state, so that it outlives a restart as the counts do.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use tailmeter_parsers::Time;

use super::Rows;
use crate::config::DEFAULT_MAX_MESSAGES;
use crate::series::fold;

/// How long a message may be under way: longer than any queue keeps one.
const MAX_AGE_MS: u64 = 14 * 86_400_000;
/// The same for one that is not in a queue yet.
const MAX_SESSION_MS: u64 = 3_600_000;

/// What ids begin with, and are multiplied by.
const SEED: u64 = 0x7461_696c_6d65_7465;
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Number of a message, or of a text that several may share.
pub(super) type Id = u64;

/// The id of `text` alone. The state has ids, so they are the same in every version and on every machine.
pub(super) fn id(text: &[u8]) -> Id {
    behind(SEED, text)
}

/// A host, whose messages have ids that no other host's have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Host(Id);

impl Host {
    /// The one called `name`.
    pub(super) fn of(name: &[u8]) -> Self {
        Self(id(name))
    }

    /// The id of its message `queue_id`.
    #[inline]
    pub(super) fn id(self, queue_id: &[u8]) -> Id {
        behind(self.0, queue_id)
    }
}

/// The id of what has the id `before` and `text` together.
#[inline]
fn behind(before: Id, text: &[u8]) -> Id {
    let mix = |id: Id, word: u64| fold(id ^ word, MULTIPLIER);
    let (words, rest) = text.as_chunks::<8>();
    let id = words.iter().fold(before, |id, word| mix(id, u64::from_le_bytes(*word)));
    let last = match (text.last_chunk::<8>(), rest) {
        (_, []) => 0,
        // The bytes of the last word that come after the words before it.
        (Some(word), rest) => u64::from_le_bytes(*word) >> (64 - 8 * rest.len()),
        (None, rest) => rest.iter().rev().fold(0, |last, byte| last << 8 | u64::from(*byte)),
    };
    // The length tells where a text ends.
    mix(mix(id, last), text.len() as u64)
}

/// What is known of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Of its queue id.
    pub id: Id,
    /// When it came, as [`Time::as_ms`]; 0 when that is not known.
    pub began_ms: u64,
    /// How long it had been under way before, under another queue id.
    pub lead_ms: u64,
    /// How often its delivery was begun.
    pub attempts: u32,
    /// What became of its recipients so far, and of itself.
    pub fate: Fate,
    /// Of its message id; 0 when that is not known.
    pub message_id: Id,
}

/// What became of a message, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fate(pub u16);

impl Message {
    /// How long it has been under way at `time`, in milliseconds, without its lead; `None` when that cannot be known.
    pub fn age_ms(&self, time: Option<Time>) -> Option<u64> {
        time.filter(|_| self.began_ms != 0)?.since(Time::from_ms(self.began_ms))
    }
}

impl Fate {
    /// Recipients that got it.
    pub const SENT: Self = Self(1);
    /// Recipients that refused it.
    pub const BOUNCED: Self = Self(2);
    /// It was given up.
    pub const EXPIRED: Self = Self(4);
    /// It goes on under another queue id: a filter has it.
    pub const HANDED_ON: Self = Self(8);
    /// It came from this host.
    pub const LOCAL: Self = Self(16);
    /// It is in a queue.
    pub const QUEUED: Self = Self(32);

    /// Adds those of `other`.
    pub fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// True with all of `other`.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The word for a message that is done: `sent`, `bounced`, `expired` or, with more than one of them, `mixed`. `None` when
    /// it has none, or when it goes on elsewhere: one that was handed on but never got anywhere has come back.
    pub fn outcome(self) -> Option<&'static str> {
        if self.has(Self(Self::HANDED_ON.0 | Self::SENT.0)) {
            return None;
        }
        match self.0 & 7 {
            0 => None,
            1 => Some("sent"),
            2 => Some("bounced"),
            4 => Some("expired"),
            _ => Some("mixed"),
        }
    }
}

/// The end of a list.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Slot {
    message: Message,
    /// When it came, or the last time known then; as [`Time::as_ms`], 0 for never.
    came_ms: u64,
    /// Neighbours in the list it is in.
    before: u32,
    after: u32,
}

/// Messages in the order in which they came.
#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
}

/// The messages of one source that are under way.
pub struct Correlator {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// By queue id, and the latest of each message id.
    ids: HashTable<u32>,
    message_ids: HashTable<u32>,
    hasher: RandomState,
    /// Not in a queue yet, and queued.
    lists: [List; 2],
    /// The last time that a message came with.
    latest_ms: u64,
    capacity: usize,
    /// Messages come and gone, and forgotten, since [`Correlator::take_changes`].
    change: i64,
    evicted: u64,
}

impl Default for Correlator {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_MESSAGES)
    }
}

impl Correlator {
    /// Room for `capacity` messages, at least 2.
    pub fn new(capacity: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            ids: HashTable::new(),
            message_ids: HashTable::new(),
            hasher: RandomState::default(),
            lists: [List { first: NONE, last: NONE }; 2],
            latest_ms: 0,
            capacity: capacity.clamp(2, NONE as usize - 1),
            change: 0,
            evicted: 0,
        }
    }

    /// The message `id`, if it is under way.
    pub fn get(&mut self, id: Id) -> Option<&mut Message> {
        let at = self.find(id)?;
        self.slots.get_mut(at as usize).map(|slot| &mut slot.message)
    }

    /// The message `id`, which begins at `time` if it is not under way.
    pub fn enter(&mut self, id: Id, time: Option<Time>) -> &mut Message {
        let at = match self.find(id) {
            Some(at) => at,
            None => {
                self.make_room(time);
                self.latest_ms = time.map_or(self.latest_ms, Time::as_ms);
                self.change += 1;
                self.insert(Message { id, began_ms: time.map_or(0, Time::as_ms), ..Message::default() })
            }
        };
        &mut self.slots[at as usize].message
    }

    /// The message `id` begins at `time`: whatever was known by that id before is of another, whose end has not been seen.
    pub fn begin(&mut self, id: Id, time: Option<Time>) -> &mut Message {
        if self.finish(id).is_some() {
            self.evicted += 1;
        }
        self.enter(id, time)
    }

    /// The message `id` is in a queue.
    pub fn queue(&mut self, id: Id) {
        let Some(at) = self.find(id) else { return };
        if !self.slots[at as usize].message.fate.has(Fate::QUEUED) {
            self.unlink(at);
            self.slots[at as usize].message.fate.add(Fate::QUEUED);
            self.link(at);
        }
    }

    /// The message `id` is done, and forgotten.
    pub fn finish(&mut self, id: Id) -> Option<Message> {
        let at = self.find(id)?;
        self.change -= 1;
        Some(self.remove(at))
    }

    /// Tells the message id of the message `id`; returns the one that came before with the same message id, if it is under
    /// way.
    pub fn tell_message_id(&mut self, id: Id, message_id: Id) -> Option<Message> {
        let at = self.find(id)?;
        self.forget_message_id(at);
        self.slots[at as usize].message.message_id = message_id;
        let hash = self.hasher.hash_one(message_id);
        let slots = &self.slots;
        let known = self.message_ids.find_mut(hash, |at| slots[*at as usize].message.message_id == message_id);
        match known {
            Some(known) => {
                let before = std::mem::replace(known, at);
                self.slots.get(before as usize).map(|slot| slot.message)
            }
            None => {
                let (slots, hasher) = (&self.slots, &self.hasher);
                let again = |at: &u32| hasher.hash_one(slots[*at as usize].message.message_id);
                self.message_ids.insert_unique(hash, at, again);
                None
            }
        }
    }

    /// How many messages have come less those that have gone, and how many were forgotten, since the last time.
    pub fn take_changes(&mut self) -> (i64, u64) {
        (std::mem::take(&mut self.change), std::mem::take(&mut self.evicted))
    }

    /// Counts them in the gauge `messages` and the counter `evictions`.
    pub(super) fn settle(&mut self, messages: usize, evictions: usize, rows: &mut Rows) {
        let (change, evicted) = self.take_changes();
        if change != 0 {
            rows.add(messages, change, |_| b"");
        }
        if evicted != 0 {
            rows.add(evictions, evicted as i64, |_| b"");
        }
    }

    /// Every message: first those that are not in a queue, each kind in the order in which it came.
    pub fn messages(&self) -> impl Iterator<Item = Message> {
        self.lists.iter().flat_map(|list| {
            let next = |at: u32| self.slots.get(at as usize);
            std::iter::successors(next(list.first), move |slot| next(slot.after)).map(|slot| slot.message)
        })
    }

    /// Takes up messages of an earlier run.
    pub fn restore(&mut self, messages: &[Message]) {
        let mut messages = messages.iter().collect::<Vec<_>>();
        messages.sort_by_key(|message| message.began_ms);
        for message in messages {
            if self.find(message.id).is_none() {
                if self.ids.len() >= self.capacity {
                    self.forget_oldest();
                }
                self.change += 1;
                let at = self.insert(*message);
                self.latest_ms = self.latest_ms.max(message.began_ms);
                let message_id = self.slots[at as usize].message.message_id;
                if message_id != 0 {
                    self.slots[at as usize].message.message_id = 0;
                    self.tell_message_id(message.id, message_id);
                }
            }
        }
    }

    /// Gives all messages away: they are no longer under way here, but elsewhere.
    pub fn leave(&mut self) -> Vec<Message> {
        let messages = self.messages().collect::<Vec<_>>();
        let (change, evicted) = self.take_changes();
        *self = Self { change: change - messages.len() as i64, evicted, ..Self::new(self.capacity) };
        messages
    }

    fn find(&self, id: Id) -> Option<u32> {
        let is_it = |at: &u32| self.slots.get(*at as usize).is_some_and(|slot| slot.message.id == id);
        self.ids.find(self.hasher.hash_one(id), is_it).copied()
    }

    fn insert(&mut self, message: Message) -> u32 {
        let came_ms = if message.began_ms != 0 { message.began_ms } else { self.latest_ms };
        let slot = Slot { message, came_ms, before: NONE, after: NONE };
        let at = match self.free.pop() {
            Some(at) => {
                self.slots[at as usize] = slot;
                at
            }
            None => {
                self.slots.push(slot);
                (self.slots.len() - 1) as u32
            }
        };
        let (slots, hasher) = (&self.slots, &self.hasher);
        let again = |at: &u32| hasher.hash_one(slots[*at as usize].message.id);
        self.ids.insert_unique(hasher.hash_one(message.id), at, again);
        self.link(at);
        at
    }

    fn remove(&mut self, at: u32) -> Message {
        self.unlink(at);
        self.forget_message_id(at);
        let message = self.slots[at as usize].message;
        if let Ok(entry) = self.ids.find_entry(self.hasher.hash_one(message.id), |other| *other == at) {
            entry.remove();
        }
        self.free.push(at);
        message
    }

    fn forget_message_id(&mut self, at: u32) {
        let message_id = self.slots[at as usize].message.message_id;
        if message_id != 0
            && let Ok(entry) = self.message_ids.find_entry(self.hasher.hash_one(message_id), |other| *other == at)
        {
            entry.remove();
        }
    }

    /// Forgets what is too old at `time`, and the oldest message if there is no room for one more.
    fn make_room(&mut self, time: Option<Time>) {
        for (list, max_age_ms) in [(0, MAX_SESSION_MS), (1, MAX_AGE_MS)] {
            while let Some(Slot { message: Message { id, .. }, came_ms, .. }) =
                self.slots.get(self.lists[list].first as usize).copied()
                && time.filter(|_| came_ms != 0).and_then(|time| time.since(Time::from_ms(came_ms))) > Some(max_age_ms)
            {
                // A session that broke off was no message.
                self.evicted += u64::from(list == 1);
                self.finish(id);
            }
        }
        if self.ids.len() >= self.capacity {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let oldest = self.lists.iter().map(|list| list.first).find(|first| *first != NONE);
        if let Some(at) = oldest {
            self.change -= 1;
            self.evicted += 1;
            self.remove(at);
        }
    }

    /// The number of the list that a message is in.
    fn list_of(&self, at: u32) -> usize {
        usize::from(self.slots[at as usize].message.fate.has(Fate::QUEUED))
    }

    /// Appends a message to its list.
    fn link(&mut self, at: u32) {
        let list = self.list_of(at);
        let last = std::mem::replace(&mut self.lists[list].last, at);
        self.slots[at as usize].before = last;
        self.slots[at as usize].after = NONE;
        match self.slots.get_mut(last as usize) {
            Some(last) => last.after = at,
            None => self.lists[list].first = at,
        }
    }

    fn unlink(&mut self, at: u32) {
        let list = self.list_of(at);
        let Slot { before, after, .. } = self.slots[at as usize];
        match self.slots.get_mut(before as usize) {
            Some(slot) => slot.after = after,
            None => self.lists[list].first = after,
        }
        match self.slots.get_mut(after as usize) {
            Some(slot) => slot.before = before,
            None => self.lists[list].last = before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_that_states_have() {
        assert_eq!(Host::of(b"mx1").id(b"4F1AB6C02D"), 0x8cae_e9e7_8f4f_0033);
        assert_eq!(Host::of(b"mail.example.org").id(b"4cVqZz2Xq3z1"), 0xd397_36c9_b107_8756);
    }

    #[test]
    fn every_bit_and_every_border_makes_another_id() {
        let text = b"mx1.example.org4F1AB6C02D";
        let mut ids = std::collections::BTreeSet::new();
        for at in 0..=text.len() {
            let (one, two) = text.split_at(at);
            assert!(ids.insert(Host::of(one).id(two)), "split at {at}");
            assert!(ids.insert(id(one)), "cut at {at}");
        }
        for bit in 0..8 * text.len() {
            let mut flipped = *text;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(ids.insert(id(&flipped)), "bit {bit}");
        }
    }
}
