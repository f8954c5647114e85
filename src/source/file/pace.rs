//! When to look at a file again: a pure state machine between what a look found and what the system says.
//!
//! A quiet file is looked at when a wake comes, and on the slow tick. A busy file needs no wakes: it is
//! looked at on the coalescing interval while that finds something, and its watch is dropped, for an
//! unbuffered writer makes a notice per line. A file without a watch that works is polled, and a missing
//! one is tried again after growing pauses.

use std::time::Duration;

use super::look::Outcome;
use super::wake::{Request, Signals};

/// Looks in a row that found something, after which the watch is dropped (earlier if wakes come in floods); and
/// looks in a row that found nothing, after which it is asked for again.
const LOOKS_TO_CHANGE: u32 = 10;

/// A file without wakes is polled at this many coalescing intervals.
const POLL_INTERVALS: u32 = 10;

/// Slow ticks in a row that found data without a wake before them, after which the watch is not believed
/// any more: a network file system accepts it and stays silent.
const SILENT_TICKS: u32 = 3;

/// The file's watch, as its follower sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watch {
    /// Asked for; the answer comes as a signal.
    Asked,
    /// Wakes come.
    Armed,
    /// Dropped, while the file is busy or its directory is noisy.
    Dropped,
    /// Not to be had.
    Refused,
}

/// What to do after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Time from the look to the next one; none: a wake or the slow tick decides.
    pub(super) next_in: Option<Duration>,
    /// What to ask of the watcher.
    pub(super) request: Option<Request>,
    /// The watch has just been given up.
    pub(super) gave_up: bool,
}

#[derive(Debug)]
pub(super) struct Pace {
    coalesce: Duration,
    tick: Duration,
    watch: Watch,
    /// Looks in a row that found data.
    full: u32,
    /// Looks in a row that found none.
    empty: u32,
    /// Slow ticks in a row that found data a wake should have told of.
    silent: u32,
    /// The next pause while the file is missing or displaced.
    pause: Duration,
}

impl Pace {
    pub(super) fn new(coalesce: Duration, tick: Duration, wakes: bool) -> Self {
        Pace {
            coalesce,
            tick,
            watch: if wakes { Watch::Asked } else { Watch::Refused },
            full: 0,
            empty: 0,
            silent: 0,
            pause: coalesce,
        }
    }

    /// Takes in what the watcher said about the watch. True when it failed just now.
    pub(super) fn hear(&mut self, signals: Signals) -> bool {
        if signals.has(Signals::DROPPED) {
            self.watch = Watch::Dropped;
            self.empty = 0;
        }
        let refused = signals.has(Signals::REFUSED) && !signals.has(Signals::ARMED);
        let before = self.watch;
        match before {
            // An answer to what was asked before it was dropped.
            Watch::Dropped => {}
            _ if refused => self.watch = Watch::Refused,
            _ if signals.has(Signals::ARMED) => self.watch = Watch::Armed,
            _ => {}
        }
        before != self.watch && self.watch == Watch::Refused || signals.has(Signals::LOST)
    }

    /// Decides what follows a look caused by `signals`.
    pub(super) fn plan(&mut self, outcome: &Outcome, signals: Signals) -> Plan {
        let mut plan = Plan { next_in: None, request: None, gave_up: false };
        let watched = matches!(self.watch, Watch::Asked | Watch::Armed);
        if outcome.replaced && watched {
            self.watch = Watch::Asked;
            plan.request = Some(Request::Renew);
        }
        if outcome.read > 0 {
            self.found(signals, &mut plan);
        } else {
            self.found_nothing(outcome.settled, &mut plan);
        }
        if let Some(again_in) = outcome.again_in {
            let next_in = plan.next_in.unwrap_or(again_in);
            plan.next_in = Some(next_in.min(again_in.max(self.coalesce)));
        }
        plan
    }

    fn found(&mut self, signals: Signals, plan: &mut Plan) {
        self.full += 1;
        self.empty = 0;
        self.pause = self.coalesce;
        plan.next_in = Some(self.coalesce);
        if self.watch != Watch::Armed {
            return;
        }
        if signals.has(Signals::WAKE) {
            self.silent = 0;
        } else if signals.has(Signals::TICK) && self.full == 1 {
            self.silent += 1;
        }
        if self.silent >= SILENT_TICKS {
            self.watch = Watch::Refused;
            plan.request = Some(Request::Drop);
            plan.gave_up = true;
        } else if self.full >= LOOKS_TO_CHANGE || signals.has(Signals::FLOOD) {
            self.watch = Watch::Dropped;
            plan.request = Some(Request::Drop);
        }
    }

    fn found_nothing(&mut self, settled: bool, plan: &mut Plan) {
        self.full = 0;
        if !settled {
            plan.next_in = Some(self.pause);
            self.pause = self.tick.min(self.pause * 2);
            return;
        }
        self.pause = self.coalesce;
        match self.watch {
            Watch::Asked | Watch::Armed => {}
            Watch::Refused => plan.next_in = Some(self.tick.min(self.coalesce * POLL_INTERVALS)),
            Watch::Dropped => {
                self.empty += 1;
                if self.empty < LOOKS_TO_CHANGE {
                    plan.next_in = Some(self.coalesce);
                } else {
                    self.empty = 0;
                    self.watch = Watch::Asked;
                    plan.request = Some(Request::Arm);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COALESCE: Duration = Duration::from_millis(100);
    const TICK: Duration = Duration::from_secs(10);
    const SETTLED: Outcome =
        Outcome { read: 0, more: false, replaced: false, settled: true, again_in: None, gone: false };
    const DATA: Outcome = Outcome { read: 1, ..SETTLED };
    const MISSING: Outcome = Outcome { settled: false, ..SETTLED };

    fn armed() -> Pace {
        let mut pace = Pace::new(COALESCE, TICK, true);
        assert!(!pace.hear(Signals::of(Signals::ARMED)));
        pace
    }

    #[test]
    fn a_quiet_file_waits_for_a_wake() {
        let mut pace = armed();
        for _ in 0..100 {
            let plan = pace.plan(&SETTLED, Signals::of(Signals::TICK));
            assert_eq!((plan.next_in, plan.request), (None, None));
        }
    }

    #[test]
    fn a_busy_file_drops_its_watch_and_asks_again_when_quiet() {
        let mut pace = armed();
        for look in 1..=20 {
            let plan = pace.plan(&DATA, Signals::of(Signals::WAKE));
            assert_eq!(plan.next_in, Some(COALESCE));
            assert_eq!(plan.request, (look == 10).then_some(Request::Drop));
        }
        pace.hear(Signals::of(Signals::ARMED));
        for look in 1..=10 {
            let plan = pace.plan(&SETTLED, Signals::default());
            assert_eq!(plan.next_in, (look < 10).then_some(COALESCE));
            assert_eq!(plan.request, (look == 10).then_some(Request::Arm));
        }
        assert_eq!(pace.plan(&SETTLED, Signals::default()).next_in, None);
    }

    #[test]
    fn a_flood_of_wakes_drops_the_watch_at_once() {
        let mut pace = armed();
        let plan = pace.plan(&DATA, Signals::of(Signals::WAKE | Signals::FLOOD));
        assert_eq!(plan.request, Some(Request::Drop));
    }

    #[test]
    fn a_refused_watch_is_polled_and_counted_once() {
        let mut pace = Pace::new(COALESCE, TICK, true);
        assert!(pace.hear(Signals::of(Signals::REFUSED)));
        assert!(!pace.hear(Signals::of(Signals::REFUSED)));
        let plan = pace.plan(&SETTLED, Signals::default());
        assert_eq!(plan.next_in, Some(COALESCE * POLL_INTERVALS));
        assert_eq!(pace.plan(&DATA, Signals::default()).next_in, Some(COALESCE));
        assert!(!pace.hear(Signals::of(Signals::ARMED | Signals::WAKE)));
        assert_eq!(pace.plan(&SETTLED, Signals::default()).next_in, None);
    }

    #[test]
    fn a_silent_watch_is_given_up() {
        let mut pace = armed();
        for tick in 1..=3 {
            let plan = pace.plan(&DATA, Signals::of(Signals::TICK));
            assert_eq!(plan.gave_up, tick == 3);
            let plan = pace.plan(&SETTLED, Signals::default());
            assert_eq!(plan.next_in.is_some(), tick == 3, "polled from then on");
        }
    }

    #[test]
    fn a_missing_file_is_tried_after_growing_pauses() {
        let mut pace = armed();
        let mut pauses = Vec::new();
        for _ in 0..10 {
            pauses.extend(pace.plan(&MISSING, Signals::default()).next_in);
        }
        assert_eq!(pauses[..3], [COALESCE, COALESCE * 2, COALESCE * 4]);
        assert_eq!(pauses[9], TICK);
        let appeared = Outcome { replaced: true, ..DATA };
        let plan = pace.plan(&appeared, Signals::default());
        assert_eq!(plan.request, Some(Request::Renew));
        assert_eq!(pace.plan(&MISSING, Signals::default()).next_in, Some(COALESCE));
    }

    #[test]
    fn a_waiting_successor_is_looked_at_in_time() {
        let mut pace = armed();
        for _ in 0..20 {
            pace.plan(&MISSING, Signals::default());
        }
        let again_in = Some(COALESCE * 3);
        let waiting = Outcome { again_in, ..MISSING };
        assert_eq!(pace.plan(&waiting, Signals::default()).next_in, again_in);
    }
}
