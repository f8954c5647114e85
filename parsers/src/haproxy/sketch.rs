//! Sketches: what counting needs of a line that a log-format lays out, for whole blocks of lines.
//!
//! A [`Sketcher`] reads lines by the stretches of a layout where the processor allows it, and leaves whatever does not fit
//! exactly to [`Layouts::read`]: what it sketches is what that would have said.

#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only vector instructions need all of it"))]

use std::sync::Arc;

use super::format::stretch::{Found, Mark, Stretch};
use super::format::{Layout, Spans};
use super::scan::{BATCH, Templates, lines};
#[cfg(target_arch = "x86_64")]
use super::vector::Level;
use super::{Layouts, Means};
use crate::envelope;

/// What a line counts for.
#[derive(Clone, Copy, Debug)]
pub struct Sketch<'a> {
    /// The line that it stands in.
    pub(super) line: &'a [u8],
    pub(super) found: Found,
    /// Length of the method, and what [`super::Method::key`] makes of it; of a layout without one, of the termination state.
    pub(super) method: (u32, u64),
    /// True when the termination state begins with `-`, or there is none.
    pub(super) ended_normally: bool,
}

impl<'a> Sketch<'a> {
    const fn of(found: Found) -> Self {
        Self { line: &[], found, method: (0, 0), ended_normally: true }
    }

    /// As [`super::format::Record::raw_names`].
    #[inline(always)]
    pub fn raw_names(&self) -> &'a [u8] {
        let [start, end] = [Mark::NamesStart, Mark::NamesEnd].map(|mark| self.found.marks[mark as usize] as usize);
        self.line.get(start..end).unwrap_or_default()
    }

    /// Timers in milliseconds: of the request, in the queue, to connect, of the response, and all. -1: that phase was
    /// never reached. 0 for what the layout has not.
    #[inline(always)]
    pub fn timers_ms(&self) -> [i32; 5] {
        let [request, queue, connect, response, total, ..] = self.found.numbers;
        [request as i32, queue as i32, connect as i32, response as i32, total as i32]
    }

    /// The status code; -1 when there was none, -2 when the layout has none.
    #[inline(always)]
    pub fn status_code(&self) -> i16 {
        self.found.numbers[5] as i16
    }

    /// Bytes sent to the client.
    #[inline(always)]
    pub fn bytes_read(&self) -> u64 {
        u64::from(self.found.numbers[6])
    }

    /// Connection attempts beyond the first.
    #[inline(always)]
    pub fn retries(&self) -> u32 {
        self.found.numbers[7]
    }

    /// True when a plus before them says that the last attempt was at another server.
    #[inline(always)]
    pub fn redispatched(&self) -> bool {
        self.found.redispatched
    }

    /// Requests that were queued before this one at the server, and at the backend.
    #[inline(always)]
    pub fn queues(&self) -> [u32; 2] {
        [self.found.numbers[8], self.found.numbers[9]]
    }

    /// The termination state, which has `length` characters in this layout.
    pub fn termination_state(&self, length: usize) -> &'a [u8] {
        let start = self.found.marks[Mark::Termination as usize] as usize;
        self.line.get(start..start + length).unwrap_or_default()
    }

    /// As [`termination_key`] of the termination state, which has `length` characters.
    #[inline(always)]
    pub(super) fn termination_key(&self, length: usize) -> (u32, u64) {
        let start = self.found.marks[Mark::Termination as usize] as usize;
        termination_key(self.line.get(start..start + length).unwrap_or_default())
    }

    /// The line that it stands in.
    pub const fn line(&self) -> &'a [u8] {
        self.line
    }

    /// As [`super::Method::key`] of the method. Where the layout has none, as [`termination_key`]; of nothing, where it has no
    /// such state either.
    #[inline(always)]
    pub fn method_key(&self) -> (u32, u64) {
        self.method
    }

    /// True when the termination state begins with `-`, or the layout has none.
    #[inline(always)]
    pub fn ended_normally(&self) -> bool {
        self.ended_normally
    }
}

/// Tells termination states apart, as [`super::Method::key`] does methods: by the four characters that mean something.
#[inline(always)]
pub fn termination_key(state: &[u8]) -> (u32, u64) {
    let state = state.get(..4).unwrap_or(state);
    (state.len() as u32, state.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)))
}

/// Consecutive lines of a block and their sketches.
pub struct Sketches<'a> {
    pub(super) lines: [&'a [u8]; BATCH],
    pub(super) sketches: [Sketch<'a>; BATCH],
    /// Bit i: line i has no sketch.
    pub(super) left: u32,
    pub(super) len: usize,
}

impl<'a> Sketches<'a> {
    /// Every line, as it stands in the block, without its newline.
    #[inline]
    pub fn lines(&self) -> &[&'a [u8]] {
        &self.lines[..self.len.min(BATCH)]
    }

    /// The slots of all lines; those of lines without a sketch mean nothing.
    #[inline]
    pub fn slots(&self) -> &[Sketch<'a>] {
        &self.sketches[..self.len.min(BATCH)]
    }

    /// Bit i: line i has no sketch.
    #[inline]
    pub const fn left(&self) -> u32 {
        self.left
    }
}

/// Sketches the lines of the first of some layouts.
pub struct Sketcher {
    layouts: Arc<Layouts>,
    stretches: Vec<Stretch>,
    templates: Templates,
    spans: Spans,
    #[cfg(target_arch = "x86_64")]
    level: Option<Level>,
}

/// A block that is being read.
pub(super) struct Job<'j, 'a> {
    pub(super) layout: &'j Layout,
    pub(super) stretches: &'j [Stretch],
    pub(super) templates: &'j mut Templates,
    pub(super) spans: &'j mut Spans,
    pub(super) batch: Sketches<'a>,
    /// True when the layout has a method, and a termination state.
    pub(super) has_method: bool,
    pub(super) has_state: bool,
    visit: &'j mut dyn FnMut(&Sketches<'a>),
}

impl Sketcher {
    /// One that uses the best that the processor has.
    pub fn new(layouts: Arc<Layouts>) -> Self {
        Self::all(&layouts).pop().unwrap_or_else(|| Self::plain(layouts))
    }

    /// One that leaves every line.
    pub fn plain(layouts: Arc<Layouts>) -> Self {
        Self {
            layouts,
            stretches: Vec::new(),
            templates: Templates::default(),
            spans: Spans::default(),
            #[cfg(target_arch = "x86_64")]
            level: None,
        }
    }

    /// One of every kind that can run here, the fastest last.
    pub fn all(layouts: &Arc<Layouts>) -> Vec<Self> {
        let mut all = vec![Self::plain(Arc::clone(layouts))];
        let is_end = matches!(layouts.means(0), Means::Http | Means::Tcp);
        // A sketch does not ask whose line it is, nor decodes anything.
        let is_sketchable =
            |layout: &&Layout| is_end && layouts.is_anybodys(0) && !layout.is_encoded() && layout.is_sketchable();
        let Some(layout) = layouts.all().next().filter(is_sketchable) else { return all };
        let stretches = layout.stretches();
        #[cfg(target_arch = "x86_64")]
        all.extend(Level::available().map(|level| {
            let plain = Self::plain(Arc::clone(layouts));
            Self { stretches: stretches.clone(), level: Some(level), ..plain }
        }));
        all
    }

    /// Hands the lines of `block` to `visit`, in their order, in batches. The last line may lack its newline.
    pub fn scan<'a>(&mut self, block: &'a [u8], visit: &mut dyn FnMut(&Sketches<'a>)) {
        let Some(layout) = self.layouts.all().next() else { return };
        // Every line has all that the layout has: of the rest this is what stays.
        let nothing = Sketch::of(layout.nothing_found());
        let batch = Sketches { lines: [&[]; BATCH], sketches: [nothing; BATCH], left: 0, len: 0 };
        let Self { stretches, templates, spans, .. } = self;
        let has = |mark| stretches.iter().any(|stretch| stretch.bounds.iter().any(|bound| bound.mark == mark));
        let (has_method, has_state) = (has(Mark::MethodStart), has(Mark::Termination));
        let mut job = Job { layout, stretches, templates, spans, batch, has_method, has_state, visit };
        #[cfg(target_arch = "x86_64")]
        match self.level {
            Some(level) => level.sketch(block, &mut job),
            None => job.leave(block),
        }
        #[cfg(not(target_arch = "x86_64"))]
        job.leave(block);
    }
}

impl<'a> Job<'_, 'a> {
    /// Leaves every line of `block`.
    pub(super) fn leave(&mut self, block: &'a [u8]) {
        lines(block).for_each(|line| self.push(line));
        self.flush();
    }

    fn push(&mut self, line: &'a [u8]) {
        self.batch.lines[self.batch.len % BATCH] = line;
        self.batch.len += 1;
        self.batch.left = u32::MAX;
        if self.batch.len == BATCH {
            self.flush();
        }
    }

    /// Hands out what there is.
    pub(super) fn flush(&mut self) {
        if self.batch.len > 0 {
            (self.visit)(&self.batch);
            self.batch.len = 0;
        }
    }

    /// Remembers the envelope of a line that had none of those known, if that is why it has no sketch.
    #[cold]
    pub(super) fn learn(&mut self, line: &[u8]) {
        let envelope = envelope::detect(line);
        if self.layout.read(line, &envelope, self.spans).is_ok() {
            self.templates.learn_envelope(line, &envelope);
        }
    }
}
