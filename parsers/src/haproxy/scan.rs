//! Scans whole blocks of lines, in batches: the hot path.
//!
//! What it hands out is exactly what [`super::parse`] returns for each line. Where the processor allows it,
//! lines of the common shape are read by `vector`, many bytes at a time; every other line by `parse`.

#[cfg(target_arch = "x86_64")]
use super::vector::Level;
use super::{Event, Http, parse_message};
use crate::Reject;
use crate::envelope;

/// Lines in a batch, at most.
pub const BATCH: usize = 32;

/// Consecutive lines of a block and what they say.
pub struct Batch<'a> {
    lines: [&'a [u8]; BATCH],
    http: [Http<'a>; BATCH],
    others: [Result<Event<'a>, Reject>; BATCH],
    repeated: [u32; BATCH],
    any_repeated: bool,
    /// Bit i: line i is in `http`; otherwise it is in `others`.
    is_http: u32,
    len: usize,
}

/// One line of a [`Batch`].
pub enum Line<'b, 'a> {
    /// A request.
    Http(&'b Http<'a>),
    /// Anything else; never [`Event::Http`].
    Other(&'b Result<Event<'a>, Reject>),
}

impl<'a> Batch<'a> {
    fn new() -> Self {
        Self {
            lines: [&[]; BATCH],
            http: [Http::empty(); BATCH],
            others: [Ok(Event::Notice(super::Notice::Empty)); BATCH],
            repeated: [1; BATCH],
            any_repeated: false,
            is_http: 0,
            len: 0,
        }
    }

    /// Number of lines.
    #[inline]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// True when there is no line.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Line `index` as it stands in the block, without its newline.
    pub fn text(&self, index: usize) -> &'a [u8] {
        self.lines[index]
    }

    /// The request in line `index`, if it is one.
    #[inline]
    pub fn http(&self, index: usize) -> Option<&Http<'a>> {
        (self.is_http >> index & 1 == 1).then(|| &self.http[index])
    }

    /// The slots of all lines; those of lines that are no requests hold what was there before.
    #[inline]
    pub fn requests(&self) -> &[Http<'a>] {
        &self.http[..self.len.min(BATCH)]
    }

    /// What line `index` says.
    pub fn line(&self, index: usize) -> Line<'_, 'a> {
        match self.http(index) {
            Some(http) => Line::Http(http),
            None => Line::Other(&self.others[index]),
        }
    }

    /// The lines, when every one of them is a request and stands for itself alone: the usual batch.
    #[inline]
    pub fn all_requests(&self) -> Option<&[Http<'a>]> {
        let is_http = self.is_http.count_ones() as usize == self.len;
        (is_http && !self.any_repeated).then(|| self.requests())
    }

    /// How many lines line `index` stands for (`message repeated N times`).
    #[inline]
    pub fn repeated(&self, index: usize) -> u32 {
        self.repeated[index]
    }

    /// The texts and slots of the next lines, for a fast reader to fill; [`Reader::keep`] keeps them.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub(super) fn slots(&mut self) -> (&mut [&'a [u8]; BATCH], &mut [Http<'a>; BATCH]) {
        (&mut self.lines, &mut self.http)
    }

    /// Parses a line the plain way and keeps the outcome.
    fn push(&mut self, line: &'a [u8], templates: &mut Templates) {
        let index = self.len % BATCH;
        let envelope = envelope::detect(line);
        self.lines[index] = line;
        self.repeated[index] = envelope.repeated;
        self.any_repeated |= envelope.repeated != 1;
        match parse_message(line, &envelope) {
            Ok(Event::Http(http)) => {
                templates.learn(line, &envelope, &http);
                self.http[index] = http;
                self.is_http |= 1 << index;
            }
            other => self.others[index] = other,
        }
        self.len = index + 1;
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.len == BATCH
    }

    fn clear(&mut self) {
        self.len = 0;
        self.is_http = 0;
        if self.any_repeated {
            self.any_repeated = false;
            self.repeated = [1; BATCH];
        }
    }
}

/// Takes the batches of a scan.
pub(super) type Visit<'v, 'a> = &'v mut dyn FnMut(&Batch<'a>);

/// Reads blocks of HAProxy lines. Keeps what it has learned of their envelopes from block to block.
#[derive(Clone, Debug)]
pub struct Scanner {
    templates: Templates,
    #[cfg(target_arch = "x86_64")]
    level: Option<Level>,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

impl Scanner {
    /// A scanner that uses the best that the processor has.
    pub fn new() -> Self {
        Self::all().pop().unwrap_or_else(Self::plain)
    }

    /// A scanner that reads every line with [`super::parse`].
    pub fn plain() -> Self {
        Self {
            templates: Templates::default(),
            #[cfg(target_arch = "x86_64")]
            level: None,
        }
    }

    /// A scanner of every kind that can run here, the fastest last. All hand out the same.
    pub fn all() -> Vec<Self> {
        let mut scanners = vec![Self::plain()];
        #[cfg(target_arch = "x86_64")]
        scanners.extend(Level::available().map(|level| Self { templates: Templates::default(), level: Some(level) }));
        scanners
    }

    /// True when lines of the common shape are read by vector instructions.
    pub const fn is_fast(&self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return self.level.is_some();
        #[cfg(not(target_arch = "x86_64"))]
        return false;
    }

    /// Hands the lines of `block` to `visit`, in their order, in batches. The last line may lack its newline.
    pub fn scan<'a>(&mut self, block: &'a [u8], visit: &mut dyn FnMut(&Batch<'a>)) {
        let mut reader = Reader { batch: Batch::new(), templates: &mut self.templates, visit };
        #[cfg(target_arch = "x86_64")]
        match self.level {
            Some(level) => level.scan(block, &mut reader),
            None => reader.read(block),
        }
        #[cfg(not(target_arch = "x86_64"))]
        reader.read(block);
        reader.flush();
    }
}

/// The lines of `block`, without their newlines. The last may lack its own.
pub(super) fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let open_end = block.last().is_some_and(|byte| *byte != b'\n').then_some(block.len());
    let mut start = 0;
    memchr::memchr_iter(b'\n', block).chain(open_end).map(move |end| {
        let line = &block[start..end];
        start = end + 1;
        line
    })
}

/// A scan under way.
pub(super) struct Reader<'r, 'a> {
    pub(super) batch: Batch<'a>,
    pub(super) templates: &'r mut Templates,
    visit: Visit<'r, 'a>,
}

impl<'a> Reader<'_, 'a> {
    /// Reads every line of `block` the plain way.
    pub(super) fn read(&mut self, block: &'a [u8]) {
        lines(block).for_each(|line| self.push(line));
    }

    /// Reads one line the plain way.
    fn push(&mut self, line: &'a [u8]) {
        self.batch.push(line, self.templates);
        if self.batch.is_full() {
            self.flush();
        }
    }

    /// Keeps the first `count` lines as a batch of their own, but for those with bit i in `left`, which are read
    /// the plain way.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub(super) fn keep(&mut self, count: usize, mut left: u32) {
        let batch = &mut self.batch;
        batch.is_http = !left & (u32::MAX >> (BATCH - count));
        while left != 0 {
            batch.len = left.trailing_zeros() as usize;
            batch.push(batch.lines[batch.len], self.templates);
            left &= left - 1;
        }
        batch.len = count;
        self.flush();
    }

    fn flush(&mut self) {
        if !self.batch.is_empty() {
            (self.visit)(&self.batch);
            self.batch.clear();
        }
    }
}

/// Longest envelope that is remembered, bytes.
pub(super) const TEMPLATE: usize = 64;

/// An envelope seen before: all its bytes, but any digit where its time or its process id has one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Template {
    pub(super) bytes: [u8; TEMPLATE],
    /// Bit i: any digit fits byte i.
    pub(super) digits: u64,
    pub(super) len: usize,
}

/// How many envelopes are remembered: several processes and time stamps may alternate in one file.
const TEMPLATES: usize = 8;

/// The envelopes seen last, and the last month of an accept date.
#[derive(Clone, Debug)]
pub(super) struct Templates {
    pub(super) known: [Template; TEMPLATES],
    pub(super) count: usize,
    /// The one that fitted last.
    pub(super) last: usize,
    next: usize,
    /// ` [dd/Mon/yyyy:hh:mm:ss.mmm] ` with the month of the last accept date, and zeros for digits.
    pub(super) date: [u8; 32],
}

impl Default for Templates {
    fn default() -> Self {
        let mut date = [0; 32];
        date[..28].copy_from_slice(b" [00/Jan/0000:00:00:00.000] ");
        let empty = Template { bytes: [0; TEMPLATE], digits: 0, len: 0 };
        Self { known: [empty; TEMPLATES], count: 0, last: 0, next: 0, date }
    }
}

impl Templates {
    /// Remembers the envelope and month of a line that was read the plain way.
    fn learn(&mut self, line: &[u8], envelope: &envelope::Envelope<'_>, http: &Http<'_>) {
        if let Some(month) = http.accept_date().get(3..6) {
            self.date[5..8].copy_from_slice(month);
        }
        self.learn_envelope(line, envelope);
    }

    /// Remembers the envelope of a line.
    pub(super) fn learn_envelope(&mut self, line: &[u8], envelope: &envelope::Envelope<'_>) {
        // What stands in brackets has its end to be looked at, too.
        if envelope.start > TEMPLATE || envelope.end != line.len() {
            return;
        }
        let mut template = Template { bytes: [0; TEMPLATE], digits: 0, len: envelope.start };
        template.bytes[..envelope.start].copy_from_slice(&line[..envelope.start]);
        for (offset, byte) in envelope.timestamp.iter().enumerate() {
            if byte.is_ascii_digit() {
                template.digits |= 1 << (envelope.timestamp_start + offset);
            }
        }
        // Several processes write the same log: any process id of that length fits `[pid]: `.
        if line[..envelope.start].ends_with(b"]: ") {
            let end = envelope.start - 3;
            let digits = line[..end].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
            template.digits |= (end - digits..end).fold(0, |bits, at| bits | 1 << at);
        }
        // A shorter envelope may have seemed to fit (an empty one always does): this one comes first now.
        if let Some(known) = self.known[..self.count].iter().position(|known| known.fits(&template)) {
            self.last = known;
            return;
        }
        self.known[self.next] = template;
        self.last = self.next;
        self.next = (self.next + 1) % TEMPLATES;
        self.count = (self.count + 1).min(TEMPLATES);
    }
}

impl Template {
    /// True when `other` differs from this template in nothing but the digits of time and process id.
    fn fits(&self, other: &Self) -> bool {
        self.len == other.len
            && self.digits == other.digits
            && (0..self.len).all(|at| self.digits >> at & 1 == 1 || self.bytes[at] == other.bytes[at])
    }
}
