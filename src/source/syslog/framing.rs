//! Taking messages out of a connection's bytes. Pure: bytes in, messages to the [`Feed`].
//!
//! ```text
//! 57 <134>Feb  1 12:14:14 haproxy[73411]: MESSAGE          counted (RFC 6587 3.4.1, RFC 5425): bytes, space, message
//! <134>Feb  1 12:14:14 haproxy[73411]: MESSAGE\n           a line (RFC 6587 3.4.2); NUL ends it, too
//! ```
//!
//! A connection may change from one to the other with every message, and rsyslog takes it so: a message is counted
//! when it begins with a digit of 1 to 9, up to seven more, and a space. A line that begins like that is
//! misread, which is why a source whose lines have no `<PRI>` may be told to expect lines only.

use memchr::memchr2;

use super::feed::Feed;

/// How messages are told apart on a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Found out for each message.
    #[default]
    Detected,
    /// Every message is counted.
    Counted,
    /// Every message is a line.
    Lines,
}

/// Digits that a count may have.
const MAX_DIGITS: usize = 8;

/// The bytes announce no message that could be received: nothing behind them can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadCount;

/// Takes messages out of the bytes of one connection.
///
/// # Bounds
/// Holds what has come of the current message, at most `limit + 1` bytes; between messages, no more memory than the
/// digits of a count take.
#[derive(Clone, Debug)]
pub(super) struct Framer {
    framing: Framing,
    limit: usize,
    max_frame_bytes: u64,
    state: State,
    /// What has come of the message in earlier reads; in [`State::Count`], its digits.
    held: Vec<u8>,
    /// The message is longer than what is held of it.
    is_cut: bool,
    /// What the message, or what stood before it, has taken on the wire so far.
    wire: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between two messages.
    Between,
    /// In digits that may be a count.
    Count,
    /// In a line.
    Line,
    /// In a counted message, of which this many bytes are missing.
    Counted(usize),
}

impl Framer {
    /// At the beginning of a connection. Lines are delivered whole up to `limit` bytes.
    pub(super) fn new(framing: Framing, limit: usize, max_frame_bytes: u64) -> Self {
        Framer {
            framing,
            // Digits must fit, whatever lines may be; the feed keeps the limit.
            limit: limit.max(MAX_DIGITS),
            max_frame_bytes,
            state: State::Between,
            held: Vec::new(),
            is_cut: false,
            wire: 0,
        }
    }

    /// Takes the next bytes of the connection, and hands the messages that they complete to `feed`.
    pub(super) fn take(&mut self, mut bytes: &[u8], feed: &mut Feed) -> Result<(), BadCount> {
        while !bytes.is_empty() {
            let taken = match self.state {
                State::Between => self.begin(bytes)?,
                State::Count => self.count(bytes)?,
                State::Line => self.line(bytes, feed),
                State::Counted(missing) => self.counted(bytes, missing, feed),
            };
            bytes = bytes.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// The connection is at its end: delivers the line that nothing closes. False when a counted message, or a count,
    /// is incomplete.
    pub(super) fn finish(&mut self, feed: &mut Feed) -> bool {
        let is_line = match self.state {
            State::Between => return true,
            State::Line => true,
            State::Count => self.framing == Framing::Detected,
            State::Counted(_) => false,
        };
        if is_line {
            self.deliver_held(feed);
        }
        is_line
    }

    /// Skips what may stand between messages; decides what kind the next one is.
    fn begin(&mut self, bytes: &[u8]) -> Result<usize, BadCount> {
        let skipped = bytes.iter().take_while(|byte| matches!(byte, b'\n' | 0)).count();
        self.wire += skipped as u64;
        let Some(first) = bytes.get(skipped) else {
            return Ok(skipped);
        };
        self.state = match (self.framing, first) {
            (Framing::Detected | Framing::Counted, b'1'..=b'9') => State::Count,
            (Framing::Counted, _) => return Err(BadCount),
            (Framing::Detected | Framing::Lines, _) => State::Line,
        };
        Ok(skipped)
    }

    /// Takes digits and the space behind them. Digits that turn out to be no count are the beginning of a line.
    fn count(&mut self, bytes: &[u8]) -> Result<usize, BadCount> {
        let room = MAX_DIGITS + 1 - self.held.len();
        let digits = bytes.iter().take(room).take_while(|byte| byte.is_ascii_digit()).count();
        let is_space = match bytes.get(digits) {
            Some(next) => *next == b' ' && self.held.len() + digits <= MAX_DIGITS,
            None if digits < room => {
                self.hold(&bytes[..digits]);
                return Ok(digits);
            }
            None => false,
        };
        self.hold(&bytes[..digits]);
        if is_space {
            self.wire += 1;
            let count = self.held.iter().fold(0, |count, digit| count * 10 + u64::from(digit - b'0'));
            self.held.clear();
            if count > self.max_frame_bytes {
                return Err(BadCount);
            }
            self.state = State::Counted(usize::try_from(count).map_err(|_| BadCount)?);
            return Ok(digits + 1);
        }
        if self.framing == Framing::Counted {
            return Err(BadCount);
        }
        self.state = State::Line;
        Ok(digits)
    }

    /// Takes bytes of a line.
    fn line(&mut self, bytes: &[u8], feed: &mut Feed) -> usize {
        match memchr2(b'\n', 0, bytes) {
            Some(end) => {
                self.wire += 1;
                self.complete(&bytes[..end], feed);
                end + 1
            }
            None => {
                self.hold(bytes);
                bytes.len()
            }
        }
    }

    /// Takes bytes of a counted message.
    fn counted(&mut self, bytes: &[u8], missing: usize, feed: &mut Feed) -> usize {
        if bytes.len() >= missing {
            self.complete(&bytes[..missing], feed);
            return missing;
        }
        self.hold(bytes);
        self.state = State::Counted(missing - bytes.len());
        bytes.len()
    }

    /// Delivers the message that ends with `last`.
    fn complete(&mut self, last: &[u8], feed: &mut Feed) {
        if self.held.is_empty() && last.len() <= self.limit + 1 {
            let wire = std::mem::take(&mut self.wire) + last.len() as u64;
            feed.message(last, true, wire);
            self.state = State::Between;
        } else {
            self.hold(last);
            self.deliver_held(feed);
        }
    }

    fn deliver_held(&mut self, feed: &mut Feed) {
        // Taken, not kept: a connection holds no memory between messages.
        let message = std::mem::take(&mut self.held);
        let is_whole = !std::mem::take(&mut self.is_cut);
        feed.message(&message, is_whole, std::mem::take(&mut self.wire));
        self.state = State::Between;
    }

    /// Keeps `bytes` of the message for later, as far as they can be part of a line.
    fn hold(&mut self, bytes: &[u8]) {
        self.wire += bytes.len() as u64;
        let room = (self.limit + 1).saturating_sub(self.held.len());
        self.is_cut |= bytes.len() > room;
        self.held.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

#[cfg(test)]
mod tests;
