//! Which bucket a number of a line falls into.
//!
//! Unless the configuration says otherwise all timers have the same bounds, and so have both queues: then one table each is near at hand.

use super::{BACKEND_QUEUE, SERVER_QUEUE, SESSION_DURATION, TIMERS};
use crate::metrics::{Buckets, Plan};

/// The buckets of what nearly every line observes.
#[derive(Debug)]
pub(super) enum Bounds {
    /// One for all timers, and one for both queues.
    Shared(Box<[Buckets; 2]>),
    /// TR, Tw, Tc, Tr, Ta and Tt, the queue of the server and that of the backend.
    Each(Box<[Buckets; 8]>),
}

/// Finds the buckets of a kind of lines.
pub(super) trait Find: Copy {
    fn timer(self, timer: usize, ms: u64) -> usize;
    fn queue(self, queue: usize, length: u64) -> usize;
}

/// See [`Bounds::Shared`].
#[derive(Clone, Copy)]
pub(super) struct Shared<'b>(pub(super) &'b [Buckets; 2]);

/// See [`Bounds::Each`].
#[derive(Clone, Copy)]
pub(super) struct Each<'b> {
    pub(super) buckets: &'b [Buckets; 8],
    /// The last timer is Tt.
    pub(super) has_sessions: bool,
}

impl Bounds {
    pub(super) fn new(plan: &Plan) -> Self {
        let [header, queue, connect, response, request] = TIMERS;
        let metrics = [header, queue, connect, response, request, SESSION_DURATION, SERVER_QUEUE, BACKEND_QUEUE];
        let form = |metric: usize| plan.forms.get(metric).map(|form| form.bounds());
        let is_shared = |metrics: &[usize], first: usize| metrics.iter().all(|metric| form(*metric) == form(first));
        let (timers, queues) = metrics.split_at(6);
        if is_shared(timers, header) && is_shared(queues, SERVER_QUEUE) {
            return Self::Shared(Box::new([header, SERVER_QUEUE].map(|metric| plan.buckets_of(metric))));
        }
        Self::Each(Box::new(metrics.map(|metric| plan.buckets_of(metric))))
    }
}

impl Find for Shared<'_> {
    #[inline(always)]
    fn timer(self, _: usize, ms: u64) -> usize {
        let [timers, _] = self.0;
        timers.of(ms)
    }

    #[inline(always)]
    fn queue(self, _: usize, length: u64) -> usize {
        let [_, queues] = self.0;
        queues.of(length)
    }
}

impl Find for Each<'_> {
    fn timer(self, timer: usize, ms: u64) -> usize {
        let of_session = usize::from(timer == 4 && self.has_sessions);
        self.buckets.get(timer + of_session).map_or(0, |buckets| buckets.of(ms))
    }

    fn queue(self, queue: usize, length: u64) -> usize {
        self.buckets.get(6 + queue).map_or(0, |buckets| buckets.of(length))
    }
}
