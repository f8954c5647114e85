//! The journal's export format, as `journalctl -o export` writes it: bytes to entries, whatever the reads are.
//!
//! ```text
//! __CURSOR=s=739ad463348b4ceca5a9e69c95a3c93f;i=4ece7;b=6c7c6013a26343b29e964691ff25d04c;…
//! _HOSTNAME=lb1
//! SYSLOG_IDENTIFIER=haproxy
//! MESSAGE
//! <length of the value, 64 bits, little endian><the value>
//!                                                              an empty line closes the entry
//! ```
//!
//! A value with anything but printable UTF-8 in it, a newline for one, comes in the second, binary form. Of an entry
//! only the fields that make a line are kept, so its size is no matter; of a message, as many bytes as a line may have.

use memchr::memchr;

/// Longest field name, and then some. Journald allows 64 bytes.
const NAME_BYTES: usize = 128;

/// Most bytes kept of a field other than the message.
const FIELD_BYTES: usize = 512;

/// The fields that are kept. Everything else is skipped as it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Cursor,
    Received,
    Sent,
    Hostname,
    Identifier,
    Command,
    SyslogPid,
    Pid,
    Message,
    Other,
}

/// What `journalctl` is asked for; the cursor and the time of reception it gives in any case.
pub(super) const OUTPUT_FIELDS: &str =
    "_SOURCE_REALTIME_TIMESTAMP,_HOSTNAME,SYSLOG_IDENTIFIER,_COMM,SYSLOG_PID,_PID,MESSAGE";

impl Field {
    fn named(name: &[u8]) -> Field {
        match name {
            b"__CURSOR" => Field::Cursor,
            b"__REALTIME_TIMESTAMP" => Field::Received,
            b"_SOURCE_REALTIME_TIMESTAMP" => Field::Sent,
            b"_HOSTNAME" => Field::Hostname,
            b"SYSLOG_IDENTIFIER" => Field::Identifier,
            b"_COMM" => Field::Command,
            b"SYSLOG_PID" => Field::SyslogPid,
            b"_PID" => Field::Pid,
            b"MESSAGE" => Field::Message,
            _ => Field::Other,
        }
    }
}

/// One journal entry. A field that the entry has not is empty; of one that it has several times, the first counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    pub(super) cursor: Vec<u8>,
    /// Microseconds since 1970, when journald took it.
    pub(super) received: Vec<u8>,
    /// The same, by the sender's account.
    pub(super) sent: Vec<u8>,
    pub(super) hostname: Vec<u8>,
    pub(super) identifier: Vec<u8>,
    pub(super) command: Vec<u8>,
    pub(super) syslog_pid: Vec<u8>,
    pub(super) pid: Vec<u8>,
    /// At most as many bytes as a line may have.
    pub(super) message: Vec<u8>,
    pub(super) has_message: bool,
    /// The message is longer than what is kept of it.
    pub(super) cut: bool,
    /// Bytes it came in.
    pub(super) bytes: u64,
    /// No field has come yet.
    pub(super) is_empty: bool,
}

impl Entry {
    fn clear(&mut self) {
        let fields = [
            &mut self.cursor,
            &mut self.received,
            &mut self.sent,
            &mut self.hostname,
            &mut self.identifier,
            &mut self.command,
            &mut self.syslog_pid,
            &mut self.pid,
            &mut self.message,
        ];
        fields.into_iter().for_each(Vec::clear);
        (self.has_message, self.cut, self.bytes, self.is_empty) = (false, false, 0, true);
    }

    fn field(&mut self, field: Field) -> Option<&mut Vec<u8>> {
        Some(match field {
            Field::Cursor => &mut self.cursor,
            Field::Received => &mut self.received,
            Field::Sent => &mut self.sent,
            Field::Hostname => &mut self.hostname,
            Field::Identifier => &mut self.identifier,
            Field::Command => &mut self.command,
            Field::SyslogPid => &mut self.syslog_pid,
            Field::Pid => &mut self.pid,
            Field::Message => &mut self.message,
            Field::Other => return None,
        })
    }

    /// Which field to add the coming value to: none when it is there already.
    fn begin(&mut self, field: Field) -> Field {
        self.is_empty = false;
        if field == Field::Message {
            return if std::mem::replace(&mut self.has_message, true) { Field::Other } else { field };
        }
        match self.field(field) {
            Some(value) if value.is_empty() => field,
            _ => Field::Other,
        }
    }

    /// Adds to a value, as far as it is kept.
    fn extend(&mut self, field: Field, bytes: &[u8], limit: usize) {
        let most = if field == Field::Message { limit } else { FIELD_BYTES };
        let Some(value) = self.field(field) else { return };
        let room = most.saturating_sub(value.len()).min(bytes.len());
        value.extend_from_slice(&bytes[..room]);
        if field == Field::Message && room < bytes.len() {
            self.cut = true;
        }
    }
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A line: a field as text, the name of a binary one, or the empty line.
    Line,
    /// The rest of a line of which enough is known.
    RestOfLine,
    /// The length of a binary value.
    Length(Field),
    /// This many more bytes of a binary value.
    Data(Field, u64),
    /// The newline behind a binary value.
    Newline,
}

/// Carries the export format from reads to entries.
///
/// # Bounds
/// Holds one buffer of `limit + room` bytes and little more, and one entry, whatever comes.
pub(super) struct Export {
    buffer: Vec<u8>,
    /// Bytes at the front of `buffer` that are not taken in yet: the beginning of a line or of a length.
    held: usize,
    state: State,
    entry: Entry,
    malformed: u64,
    limit: usize,
}

impl Export {
    /// At the beginning of an entry. `limit` is the most bytes kept of a message, `room` the least number of bytes
    /// offered to one read.
    pub(super) fn new(limit: usize, room: usize) -> Self {
        let limit = limit.max(FIELD_BYTES);
        Export {
            buffer: vec![0; limit + NAME_BYTES + room.max(1)],
            held: 0,
            state: State::Line,
            entry: Entry { is_empty: true, ..Entry::default() },
            malformed: 0,
            limit,
        }
    }

    /// Where the next read puts its bytes.
    pub(super) fn space(&mut self) -> &mut [u8] {
        &mut self.buffer[self.held..]
    }

    /// How often something came that is not the format, since the last call.
    pub(super) fn malformed(&mut self) -> u64 {
        std::mem::take(&mut self.malformed)
    }

    /// Takes the first `read` bytes of [`space`](Self::space), and calls `each` with every entry they complete.
    pub(super) fn take(&mut self, read: usize, each: &mut dyn FnMut(&Entry)) {
        self.entry.bytes += read as u64;
        let end = (self.held + read).min(self.buffer.len());
        let buffer = std::mem::take(&mut self.buffer);
        let mut rest = &buffer[..end];
        while let Some(taken) = self.step(rest) {
            rest = &rest[taken.bytes..];
            if taken.closes_entry && !self.entry.is_empty {
                self.entry.bytes -= rest.len() as u64;
                each(&self.entry);
                self.entry.clear();
                self.entry.bytes = rest.len() as u64;
            }
        }
        let left = end - rest.len()..end;
        self.held = left.len();
        self.buffer = buffer;
        self.buffer.copy_within(left, 0);
    }

    /// Takes in what `bytes` begins with; `None` when more of it is needed.
    fn step(&mut self, bytes: &[u8]) -> Option<Taken> {
        if bytes.is_empty() {
            return None;
        }
        match self.state {
            State::Line => self.line(bytes),
            State::RestOfLine => {
                let newline = memchr(b'\n', bytes);
                if newline.is_some() {
                    self.state = State::Line;
                }
                Some(Taken::part(newline.map_or(bytes.len(), |newline| newline + 1)))
            }
            State::Length(field) => {
                let length = bytes.first_chunk::<8>()?;
                self.state = match u64::from_le_bytes(*length) {
                    0 => State::Newline,
                    length => State::Data(field, length),
                };
                Some(Taken::part(8))
            }
            State::Data(field, left) => {
                let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                self.entry.extend(field, &bytes[..length], self.limit);
                self.state = match left - length as u64 {
                    0 => State::Newline,
                    left => State::Data(field, left),
                };
                Some(Taken::part(length))
            }
            State::Newline if bytes[0] == b'\n' => {
                self.state = State::Line;
                Some(Taken::part(1))
            }
            State::Newline => {
                self.malformed += 1;
                self.state = State::RestOfLine;
                Some(Taken::part(0))
            }
        }
    }

    fn line(&mut self, bytes: &[u8]) -> Option<Taken> {
        let Some(length) = memchr(b'\n', bytes) else {
            // A text value that is longer than anything kept: its end is of no interest.
            if bytes.len() <= self.limit + NAME_BYTES {
                return None;
            }
            self.text(bytes);
            self.state = State::RestOfLine;
            return Some(Taken::part(bytes.len()));
        };
        match &bytes[..length] {
            [] => return Some(Taken { bytes: 1, closes_entry: true }),
            line if line.contains(&b'=') => self.text(line),
            name if is_name(name) => self.state = State::Length(self.entry.begin(Field::named(name))),
            _ => self.malformed += 1,
        }
        Some(Taken::part(length + 1))
    }

    /// `NAME=value`
    fn text(&mut self, line: &[u8]) {
        match memchr(b'=', line) {
            Some(length) if is_name(&line[..length]) => {
                let field = self.entry.begin(Field::named(&line[..length]));
                self.entry.extend(field, &line[length + 1..], self.limit);
            }
            _ => self.malformed += 1,
        }
    }
}

struct Taken {
    bytes: usize,
    closes_entry: bool,
}

impl Taken {
    fn part(bytes: usize) -> Self {
        Taken { bytes, closes_entry: false }
    }
}

/// Letters, digits and underscores, as journald allows them.
fn is_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES
        && name.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    /// What was taken in, as (cursor, message, cut, bytes).
    type Taken = Vec<(Vec<u8>, Option<Vec<u8>>, bool, u64)>;

    /// Feeds `bytes` in reads of the given sizes, repeated as often as needed.
    fn feed(bytes: &[u8], sizes: &[usize], limit: usize) -> (Taken, Export) {
        let mut export = Export::new(limit, 16);
        let mut taken = Taken::new();
        let (mut rest, mut sizes) = (bytes, sizes.iter().cycle());
        while !rest.is_empty() {
            let space = export.space();
            assert!(space.len() >= 16, "a read always has its room");
            let read = (*sizes.next().unwrap()).clamp(1, space.len().min(rest.len()));
            space[..read].copy_from_slice(&rest[..read]);
            rest = &rest[read..];
            export.take(read, &mut |entry| {
                let message = entry.has_message.then(|| entry.message.clone());
                taken.push((entry.cursor.clone(), message, entry.cut, entry.bytes));
            });
        }
        (taken, export)
    }

    /// A field as the journal would export it: as text where it can.
    fn export(fields: &[(String, Vec<u8>)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in fields {
            out.extend(name.as_bytes());
            let is_text = |text: &str| text.chars().all(|character| character >= ' ' || character == '\t');
            if std::str::from_utf8(value).is_ok_and(is_text) {
                out.push(b'=');
            } else {
                out.push(b'\n');
                out.extend((value.len() as u64).to_le_bytes());
            }
            out.extend(value);
            out.push(b'\n');
        }
        out.push(b'\n');
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn every_entry_comes_once_whatever_the_reads(
            entries in prop::collection::vec(
                prop::collection::vec(
                    (
                        prop::sample::select(vec!["__CURSOR", "MESSAGE", "MESSAGE", "_PID", "OTHER", "X_1"])
                            .prop_map(str::to_owned),
                        prop_oneof!["[ -~]{0,12}".prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..900)],
                    ),
                    1..6,
                ),
                0..5,
            ),
            sizes in prop::collection::vec(1usize..120, 1..8),
        ) {
            let limit = 600;
            let bytes: Vec<u8> = entries.iter().flat_map(|fields| export(fields)).collect();
            let (taken, mut parser) = feed(&bytes, &sizes, limit);
            let model: Taken = entries.iter().map(|fields| {
                let first = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
                // An empty field is as good as none, except the message.
                let mut cursors = fields.iter().filter(|(name, value)| name == "__CURSOR" && !value.is_empty());
                let mut cursor = cursors.next().map(|(_, value)| value.clone()).unwrap_or_default();
                cursor.truncate(FIELD_BYTES);
                let message = first("MESSAGE");
                let cut = message.as_ref().is_some_and(|message| message.len() > limit);
                let message = message.map(|mut message| { message.truncate(limit); message });
                (cursor, message, cut, export(fields).len() as u64)
            }).collect();
            prop_assert_eq!(taken, model);
            prop_assert_eq!(parser.malformed(), 0);
            prop_assert_eq!(parser.held, 0);
        }

        #[test]
        fn any_bytes_are_survived_and_the_next_entry_is_found(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'='), Just(b'A'), any::<u8>()], 0..300),
            sizes in prop::collection::vec(1usize..40, 1..4),
        ) {
            feed(&bytes, &sizes, 64);
        }
    }

    #[test]
    fn endless_text_is_skipped_within_the_buffer() {
        let mut bytes = b"__CURSOR=1\nOTHER=".to_vec();
        bytes.resize(100_000, b'x');
        bytes.extend(b"\nMESSAGE=");
        bytes.resize(200_000, b'y');
        bytes.extend(b"\n\n__CURSOR=2\nMESSAGE=z\n\n");
        let (taken, mut export) = feed(&bytes, &[1000], 1000);
        assert_eq!(taken.len(), 2);
        assert_eq!((taken[0].1.as_deref(), taken[0].2), (Some(&[b'y'; 1000][..]), true));
        assert_eq!((taken[1].1.as_deref(), taken[1].2), (Some(&b"z"[..]), false));
        assert_eq!(taken[0].3 + taken[1].3, bytes.len() as u64);
        assert_eq!(export.malformed(), 0);
        assert_eq!(export.space().len(), 1000 + NAME_BYTES + 16);
    }

    #[test]
    fn what_is_no_field_is_counted_and_passed_over() {
        let bytes = b"-- Boot 1234 --\n__CURSOR=1\nMESSAGE\n\x01\0\0\0\0\0\0\0ab\nlower=1\nMESSAGE=second\n\n\n\n";
        let (taken, mut export) = feed(bytes, &[7], 100);
        assert_eq!(taken, [(b"1".to_vec(), Some(b"a".to_vec()), false, bytes.len() as u64 - 2)]);
        assert_eq!(export.malformed(), 3);
    }
}
