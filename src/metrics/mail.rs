//! The mail room: one log, lines of many programs.
//!
//! A [`Member`] is a family that is read line by line. [`Mail`] counts the lines of one of them, or of all (`format: mail`):
//! the envelope is read once, its program says which family reads the message. What no family knows is ignored, and counted by
//! its program.

use std::fmt;

use tailmeter_parsers::envelope::{ByHead, Heads};
use tailmeter_parsers::{Envelope, Event, Field, Lines, Reason, Reject};

use super::correlator::{Correlator, Message};
use super::exemplar::{Calendar, Witness};
use super::{Counter, Dialect, Family, Plan, Planned, Rows, Tally};
use crate::config::ExemplarSource;
use crate::series::Cells;

/// The format whose lines are of any family of the mail room.
pub const MAIL: &str = "mail";

/// How the events of a family are counted.
///
/// What has to be remembered from line to line is in the value.
pub(super) trait Count: Send + 'static {
    /// An event of the family.
    type Event<'a>: Event;

    /// True when a program, a syslog tag, is of the family.
    const IS_PROGRAM: fn(&[u8]) -> bool;

    /// Finds the envelope of a line in logs that are the family's alone, where these are not written as by syslog.
    const ENVELOPE: Option<fn(&[u8]) -> Envelope<'_>> = None;

    /// Reads the message of a line, or says why it is none of the family's.
    const READ: for<'a> fn(&'a [u8], &Envelope<'a>) -> Result<Self::Event<'a>, Reject>;

    /// Counts nothing yet, under `plan`.
    fn new(plan: &Plan) -> Self;

    /// Does the same as `READ`, where what is known from lines before makes it quicker.
    fn read<'a>(&mut self, line: &'a [u8], envelope: &Envelope<'a>) -> Result<Self::Event<'a>, Reject> {
        (Self::READ)(line, envelope)
    }

    /// Adds what `event` counts to `rows`.
    fn count(&mut self, event: &Self::Event<'_>, envelope: &Envelope<'_>, rows: &mut Rows);

    /// Adds what is best added once for many lines: a block of them has been counted.
    fn settle(&mut self, _rows: &mut Rows) {}

    /// Adds what a line counts that could not be read.
    fn count_rejected(&mut self, _line: &[u8], _envelope: &Envelope<'_>, _rows: &mut Rows) {}

    /// The messages under way, if the family follows them.
    fn correlator(&self) -> Option<&Correlator> {
        None
    }

    /// The same, to take up those of an earlier run.
    fn correlator_mut(&mut self) -> Option<&mut Correlator> {
        None
    }
}

/// What becomes of a line: an event, or why it is none.
pub(super) type See<'s> = &'s mut dyn FnMut(Result<&dyn Event, Reject>);

/// A family of the mail room, for those who read lines of whichever it is.
#[derive(Clone, Copy)]
pub struct Member {
    /// True when a program is of the family.
    pub is_program: fn(&[u8]) -> bool,
    /// Finds the envelope of a line in the family's own logs, where these are not written as by syslog.
    pub envelope: Option<fn(&[u8]) -> Envelope<'_>>,
    /// Reads the message of a line.
    pub read: fn(&[u8], &Envelope<'_>, See<'_>),
    counting: fn(Planned) -> Box<dyn Messages>,
}

impl Member {
    /// The one whose events `C` counts.
    pub(super) const fn of<C: Count>() -> Self {
        Self {
            is_program: C::IS_PROGRAM,
            envelope: C::ENVELOPE,
            read: |line, envelope, see| match (C::READ)(line, envelope) {
                Ok(event) => see(Ok(&event)),
                Err(reject) => see(Err(reject)),
            },
            counting: |planned| {
                let has_exemplars = planned.plan.exemplars.iter().any(Option::is_some);
                let calendar = has_exemplars.then(Calendar::of_this_machine);
                Box::new(Counting { count: C::new(&planned.plan), rows: Rows::new(planned), calendar })
            },
        }
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Member")
    }
}

/// Counts messages of one family.
trait Messages: Send {
    /// Counts the message of a line; false when it is only known.
    fn message(&mut self, line: &[u8], envelope: &Envelope<'_>) -> Result<bool, Reject>;

    /// A block of lines has been counted.
    fn settle(&mut self);

    /// What is counted from now on is counted at `now`, in seconds since 1970.
    fn tell_time(&mut self, now: u64);

    fn rows(&self) -> &Rows;

    fn correlator(&self) -> Option<&Correlator>;

    fn correlator_mut(&mut self) -> Option<&mut Correlator>;
}

struct Counting<C> {
    count: C,
    rows: Rows,
    /// For the times of exemplars, if some metric has them.
    calendar: Option<Calendar>,
}

impl<C: Count> Messages for Counting<C> {
    fn message(&mut self, line: &[u8], envelope: &Envelope<'_>) -> Result<bool, Reject> {
        self.rows.begin(envelope.repeated, envelope.head);
        let event = match self.count.read(line, envelope) {
            Ok(event) => event,
            Err(reject) => {
                self.count.count_rejected(line, envelope, &mut self.rows);
                return Err(reject);
            }
        };
        if let Some(calendar) = &self.calendar {
            self.rows.tell(witness(&event, envelope, calendar));
        }
        self.count.count(&event, envelope, &mut self.rows);
        Ok(!event.is_ignored())
    }

    fn settle(&mut self) {
        self.rows.begin(1, 0);
        self.count.settle(&mut self.rows);
    }

    fn tell_time(&mut self, now: u64) {
        self.rows.tell_time(now);
    }

    fn rows(&self) -> &Rows {
        &self.rows
    }

    fn correlator(&self) -> Option<&Correlator> {
        self.count.correlator()
    }

    fn correlator_mut(&mut self) -> Option<&mut Correlator> {
        self.count.correlator_mut()
    }
}

/// What leads to the line of `event`: its queue id.
#[cold]
fn witness(event: &dyn Event, envelope: &Envelope<'_>, calendar: &Calendar) -> Option<Witness> {
    let mut witness = None;
    event.visit(&mut |name, value| {
        if let ("queue_id", Field::Text(id)) = (name, value) {
            witness = Witness::new(ExemplarSource::QueueId, id, calendar.ms(envelope.timestamp));
        }
    });
    witness
}

/// Counts lines of one family, or of all.
pub(super) struct Mail {
    /// The time, in seconds since 1970; 0 where nothing depends on it.
    now: u64,
    desks: Vec<Desk>,
    heads: Heads,
    /// The number of the desk where lines with a head go.
    known: ByHead<u8>,
    /// The program of the last line whose head is not known, and its desk.
    last: (Vec<u8>, u8),
}

/// Where the messages of one family go.
struct Desk {
    member: Member,
    planned: Planned,
    /// Made with the first line, as a rule.
    messages: Option<Box<dyn Messages>>,
}

/// No desk's number: no family knows the program.
const NOBODY: u8 = u8::MAX;

impl Desk {
    fn messages(&mut self, now: u64) -> &mut dyn Messages {
        &mut **self.messages.get_or_insert_with(|| {
            let mut messages = (self.member.counting)(self.planned.clone());
            messages.tell_time(now);
            messages
        })
    }
}

impl Mail {
    /// A counter for the families of `planned`, without a row.
    pub(super) fn new(planned: Vec<Planned>) -> Self {
        let desk = |planned: Planned| {
            let member = planned.plan.family.member?;
            // Another program's metrics are there from the start, with zeros, as they are there.
            let messages = planned.plan.family.compat.map(|_| (member.counting)(planned.clone()));
            Some(Desk { member, planned, messages })
        };
        let desks = planned.into_iter().filter_map(desk).collect::<Vec<_>>();
        Self { now: 0, desks, heads: Heads::new(), known: ByHead::default(), last: (Vec::new(), NOBODY) }
    }

    fn line(&mut self, line: &[u8], tally: &mut Tally) {
        let envelope = match self.desks.as_slice() {
            [Desk { member: Member { envelope: Some(envelope), .. }, .. }] => envelope(line),
            _ => self.heads.detect(line),
        };
        let now = self.now;
        let Some(desk) = self.desk(envelope.program, envelope.head) else {
            // A line without a program is of none.
            if envelope.program.is_empty() {
                let offset = envelope.start;
                return tally.reject(Reject { reason: Reason::UnknownForm, field: "program", offset }, line);
            }
            return tally.ignore(envelope.program);
        };
        match desk.messages(now).message(line, &envelope) {
            Ok(true) => tally.parsed += 1,
            Ok(false) => tally.ignored += 1,
            Err(reject) => tally.reject(reject, line),
        }
    }

    /// Where lines of `program` go, whose head is `head`.
    fn desk(&mut self, program: &[u8], head: u64) -> Option<&mut Desk> {
        // A log that is one family's alone need not say so.
        if program.is_empty() {
            return match self.desks.as_mut_slice() {
                [desk] => Some(desk),
                _ => None,
            };
        }
        let Self { desks, known, last, .. } = self;
        let find = || {
            let is_its = |desk: &Desk| (desk.member.is_program)(program);
            desks.iter().position(is_its).map_or(NOBODY, |desk| desk as u8)
        };
        let desk = match known.get(head, find) {
            Some(desk) => *desk,
            None => {
                if last.0 != program {
                    last.0.clear();
                    last.0.extend_from_slice(program);
                    last.1 = find();
                }
                last.1
            }
        };
        self.desks.get_mut(usize::from(desk))
    }
}

impl Counter for Mail {
    fn count(&mut self, lines: &[u8], tally: &mut Tally) {
        Lines::of(lines).for_each(|line| self.line(line, tally));
        self.desks.iter_mut().filter_map(|desk| desk.messages.as_mut()).for_each(|messages| messages.settle());
    }

    fn speak(&mut self, _: &Dialect) {}

    fn tell_time(&mut self, now: u64) {
        self.now = now;
        self.desks.iter_mut().filter_map(|desk| desk.messages.as_mut()).for_each(|messages| messages.tell_time(now));
    }

    fn visit(&self, see: &mut dyn FnMut(&'static Family, &Cells, &[u64])) {
        for messages in self.desks.iter().filter_map(|desk| desk.messages.as_ref()) {
            let rows = messages.rows();
            see(rows.plan().family, rows.cells(), rows.fell_out());
        }
    }

    fn under_way(&self, see: &mut dyn FnMut(&'static Family, &Correlator)) {
        for messages in self.desks.iter().filter_map(|desk| desk.messages.as_ref()) {
            if let Some(correlator) = messages.correlator() {
                see(messages.rows().plan().family, correlator);
            }
        }
    }

    fn resume(&mut self, family: &str, messages: &[Message]) {
        let Some(desk) = self.desks.iter_mut().find(|desk| desk.planned.plan.family.name == family) else { return };
        if let Some(correlator) = desk.messages(self.now).correlator_mut() {
            correlator.restore(messages);
            desk.messages(self.now).settle();
        }
    }

    fn leave(&mut self, take: &mut dyn FnMut(&'static Family, Vec<Message>)) {
        for desk in &mut self.desks {
            let Some(messages) = &mut desk.messages else { continue };
            if let Some(correlator) = messages.correlator_mut() {
                take(desk.planned.plan.family, correlator.leave());
                messages.settle();
            }
        }
    }
}
