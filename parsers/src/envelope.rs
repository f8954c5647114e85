//! Envelopes: what syslog, HAProxy's log targets and container runtimes put before the message.
//!
//! ```text
//! Feb  1 12:14:14 lb1 haproxy[73411]: MESSAGE                      RFC 3164, as daemons write it to files
//! <134>Feb  1 12:14:14 haproxy[73411]: MESSAGE                     HAProxy `format local`: no hostname
//! 2026-02-01T12:14:14.572449+00:00 lb1 haproxy[73411]: MESSAGE     RFC 3339, rsyslog since Debian 12
//! <134>1 2026-02-01T12:14:14.572449+00:00 lb1 haproxy 73411 - - MESSAGE   RFC 5424
//! <6>2026-02-01T12:14:14.572449+00:00 MESSAGE                      HAProxy `format timed`; without <6>: `iso`
//! <134>MESSAGE   <6>MESSAGE   MESSAGE                              HAProxy `priority`, `short`, `raw`
//! 2026-02-01T12:14:14.572449999Z stdout F MESSAGE                  CRI (container runtimes)
//! haproxy[73411]: MESSAGE                                          what is left when the time was taken away
//! ```
//!
//! Times are checked by shape only (digits and punctuation): two lines that differ in nothing but the digits
//! of their time have the same envelope. The fast scanner relies on that.

mod heads;

pub use heads::{ByHead, Heads};

use crate::Time;

/// What stands before a message. All slices are empty when the envelope has no such part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Envelope<'a> {
    /// The PRI value between `<` and `>` (facility * 8 + severity, 0..=191), if there is one.
    pub priority: Option<u8>,
    /// The time as it is written.
    pub timestamp: &'a [u8],
    /// The host's name; `-` when the sender had none.
    pub hostname: &'a [u8],
    /// The program, without its process id.
    pub program: &'a [u8],
    /// The process id.
    pub pid: Option<u32>,
    /// How many lines this one stands for: N in `message repeated N times: [ … ]`, otherwise 1.
    pub repeated: u32,
    /// Offset of the message's first byte in the line.
    pub start: usize,
    /// Offset behind the message's last byte in the line.
    pub end: usize,
    /// Offset of the time's first byte in the line.
    pub(crate) timestamp_start: usize,
    /// Which host and program wrote it, for [`Heads`] that know them; 0 otherwise.
    pub head: u64,
}

impl Envelope<'_> {
    /// That of a line which is all message.
    pub fn none(line: &[u8]) -> Self {
        Self { repeated: 1, end: line.len(), ..Self::default() }
    }

    /// When the line was written, if it says so.
    pub fn time(&self) -> Option<Time> {
        Time::of(self.timestamp)
    }

    /// Name of the syslog severity, if the envelope has a priority.
    pub fn severity(&self) -> Option<&'static str> {
        const NAMES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
        self.priority.map(|priority| NAMES[usize::from(priority & 7)])
    }
}

/// Finds the envelope of `line` (without its newline; a closing `\r` is left out of the message).
pub fn detect(line: &[u8]) -> Envelope<'_> {
    let end = line.len() - usize::from(line.last() == Some(&b'\r'));
    let line = &line[..end];
    let mut envelope = Envelope { repeated: 1, end, ..Envelope::default() };
    envelope.start = priority(line, &mut envelope.priority);
    if envelope.priority.is_some() && line[envelope.start..].starts_with(b"1 ") && rfc5424(line, &mut envelope) {
        return envelope;
    }
    let length = timestamp_length(&line[envelope.start..]);
    if length > 0 {
        envelope.timestamp_start = envelope.start;
        envelope.timestamp = &line[envelope.start..envelope.start + length];
        envelope.start += length + 1;
        if !cri(line, &mut envelope) {
            tag(line, &mut envelope);
        }
    } else {
        bare_tag(line, &mut envelope);
    }
    repetition(line, &mut envelope);
    envelope
}

/// Reads `<N>` at the start; returns where it ends (0 when there is none).
fn priority(line: &[u8], priority: &mut Option<u8>) -> usize {
    if line.first() != Some(&b'<') {
        return 0;
    }
    let digits = line[1..].iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits > 3 || line.get(digits + 1) != Some(&b'>') {
        return 0;
    }
    let value = line[1..=digits].iter().fold(0u16, |value, byte| value * 10 + u16::from(byte - b'0'));
    match u8::try_from(value) {
        Ok(value) if value <= 191 => {
            *priority = Some(value);
            digits + 2
        }
        _ => 0,
    }
}

/// Length of the time at the start of `text`, when a space follows it; otherwise 0.
pub(crate) fn timestamp_length(text: &[u8]) -> usize {
    let length = if text.first().is_some_and(u8::is_ascii_digit) { iso_length(text) } else { bsd_length(text) };
    if length > 0 && text.get(length) == Some(&b' ') { length } else { 0 }
}

/// True when `text` starts like `shape`, in which `0` stands for any digit.
#[inline]
pub(crate) fn has_shape(text: &[u8], shape: &[u8]) -> bool {
    let is_so = |(byte, shape): (&u8, &u8)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == shape };
    // Without a way out of the loop it is done many bytes at a time.
    text.len() >= shape.len() && text.iter().zip(shape).fold(true, |so_far, pair| so_far & is_so(pair))
}

/// `2026-02-01T12:14:14[.fraction][Z|+hh:mm|+hhmm]`
fn iso_length(text: &[u8]) -> usize {
    if !has_shape(text, b"0000-00-00T00:00:00") {
        return 0;
    }
    let mut length = 19;
    if matches!(text.get(length), Some(b'.' | b',')) {
        let digits = text[length + 1..].iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 || digits > 9 {
            return 0;
        }
        length += 1 + digits;
    }
    match text.get(length) {
        Some(b'Z') => length + 1,
        Some(b'+' | b'-') if has_shape(&text[length + 1..], b"00:00") => length + 6,
        Some(b'+' | b'-') if has_shape(&text[length + 1..], b"0000") => length + 5,
        _ => length,
    }
}

/// `Feb  1 12:14:14`, `Feb 01 12:14:14`, `Feb 1 12:14:14`
fn bsd_length(text: &[u8]) -> usize {
    if text.len() < 15 || month(&text[..3]).is_none() || text[3] != b' ' {
        return 0;
    }
    if has_shape(&text[4..], b" 0 00:00:00") || has_shape(&text[4..], b"00 00:00:00") {
        15
    } else if has_shape(&text[4..], b"0 00:00:00") {
        14
    } else {
        0
    }
}

/// Number of the month (0..=11) by its English abbreviation.
pub(crate) fn month(name: &[u8]) -> Option<usize> {
    const NAMES: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    NAMES.chunks_exact(3).position(|month| month == name)
}

/// `1 TIME HOST APP PROCID MSGID SD MESSAGE`; false leaves the envelope as it was.
fn rfc5424<'a>(line: &'a [u8], envelope: &mut Envelope<'a>) -> bool {
    let mut found = *envelope;
    let mut at = envelope.start + 2;
    let mut word = || {
        let length = memchr::memchr(b' ', line.get(at..)?)?;
        let start = at;
        at += length + 1;
        Some((start, &line[start..start + length]))
    };
    let mut header = || {
        let (start, time) = word()?;
        if time != b"-" && iso_length(time) != time.len() {
            return None;
        }
        (found.timestamp_start, found.timestamp) = (start, time);
        found.hostname = word()?.1;
        found.program = word()?.1;
        found.pid = number(word()?.1);
        word()
    };
    if header().is_none() {
        return false;
    }
    let data = structured_data_length(&line[at..]);
    if data == 0 {
        return false;
    }
    at = (at + data + 1).min(line.len());
    if line[at..].starts_with(b"\xef\xbb\xbf") {
        at += 3;
    }
    found.start = at;
    *envelope = found;
    inner_tag(line, envelope);
    repetition(line, envelope);
    true
}

/// Length of `-` or `[id name="value" …]…` at the start of `text`; 0 when neither is there.
fn structured_data_length(text: &[u8]) -> usize {
    if text.first() == Some(&b'-') {
        return usize::from(text.len() == 1 || text[1] == b' ');
    }
    let (mut quoted, mut escaped, mut depth) = (false, false, 0);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' if !quoted => depth += 1,
            b']' if !quoted => depth -= 1,
            _ => {}
        }
        if depth == 0 && !quoted {
            let ends = text.get(at + 1);
            match ends {
                Some(b' ') | None => return if at == 0 { 0 } else { at + 1 },
                Some(b'[') if at > 0 => {}
                _ => return 0,
            }
        }
    }
    0
}

/// CRI: `stdout F ` or `stderr F ` after the time.
fn cri(line: &[u8], envelope: &mut Envelope<'_>) -> bool {
    let text = &line[envelope.start..];
    let found = [&b"stdout F "[..], b"stderr F ", b"stdout P ", b"stderr P "].iter().any(|mark| text.starts_with(mark));
    if found {
        envelope.start += 9;
    }
    found
}

/// `[HOST ]TAG[pid]: ` after the time. Without a tag the message starts right after the time.
///
/// HAProxy with `log-send-hostname` writes its host's name itself, and rsyslog writes it once more: `HOST HOST
/// TAG[pid]: `, or, when it takes the second for the tag, `HOST HOST: TAG[pid]: `.
fn tag<'a>(line: &'a [u8], envelope: &mut Envelope<'a>) {
    let mut at = envelope.start;
    let mut hostname: Option<&[u8]> = None;
    for _ in 0..3 {
        let Some(length) = memchr::memchr(b' ', &line[at..]) else { return };
        let word = &line[at..at + length];
        at += length + 1;
        if let Some((program, pid)) = program(word) {
            (envelope.hostname, envelope.program, envelope.pid) = (hostname.unwrap_or_default(), program, pid);
            envelope.start = at;
            return inner_tag(line, envelope);
        }
        if hostname.is_some_and(|hostname| hostname != word) {
            return;
        }
        hostname = Some(word);
    }
}

/// `TAG[pid]: ` without a time. Without the process id it could be a message's own beginning.
fn bare_tag<'a>(line: &'a [u8], envelope: &mut Envelope<'a>) {
    let message = &line[envelope.start..];
    if let Some(length) = memchr::memchr(b' ', message)
        && let Some((program, pid @ Some(_))) = program(&message[..length])
    {
        (envelope.program, envelope.pid) = (program, pid);
        envelope.start += length + 1;
    }
}

/// Spaces, and a `TAG[pid]: ` that a relay took for the message's beginning.
fn inner_tag<'a>(line: &'a [u8], envelope: &mut Envelope<'a>) {
    while line.get(envelope.start) == Some(&b' ') {
        envelope.start += 1;
    }
    bare_tag(line, envelope);
}

/// `TAG:` or `TAG[pid]:`
fn program(word: &[u8]) -> Option<(&[u8], Option<u32>)> {
    let word = word.strip_suffix(b":")?;
    let (name, pid) = match word.strip_suffix(b"]") {
        Some(word) => {
            let open = memchr::memrchr(b'[', word)?;
            (&word[..open], Some(number(&word[open + 1..])?))
        }
        None => (word, None),
    };
    let valid = name.first().is_some_and(u8::is_ascii_alphanumeric)
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-./@".contains(byte));
    valid.then_some((name, pid))
}

/// `message repeated N times: [ … ]`
fn repetition(line: &[u8], envelope: &mut Envelope<'_>) {
    let message = &line[envelope.start..];
    let Some(rest) = message.strip_prefix(b"message repeated ") else { return };
    let Some(space) = memchr::memchr(b' ', rest) else { return };
    let Some(count) = number(&rest[..space]) else { return };
    if count == 0 || !rest[space..].starts_with(b" times: [ ") || !rest.ends_with(b"]") {
        return;
    }
    let start = envelope.start + b"message repeated ".len() + space + b" times: [ ".len();
    if start < line.len() {
        envelope.repeated = count;
        envelope.start = start;
        envelope.end = line.len() - 1;
    }
}

/// A decimal number of at most nine digits.
fn number(text: &[u8]) -> Option<u32> {
    if text.is_empty() || text.len() > 9 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0, |value, byte| value * 10 + u32::from(byte - b'0')))
}
