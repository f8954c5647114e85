//! The summary of commands at the end of a session: ` ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4 notes=bare_lf`.

use super::event::{Command, Commands};

/// The commands that smtpd counts, and what the refused ones of each are called where both are shown.
pub(super) const COMMANDS: [(&str, &str); 16] = [
    ("ehlo", "ehlo_rejected"),
    ("mail", "mail_rejected"),
    ("rcpt", "rcpt_rejected"),
    ("data", "data_rejected"),
    ("quit", "quit_rejected"),
    ("auth", "auth_rejected"),
    ("starttls", "starttls_rejected"),
    ("helo", "helo_rejected"),
    ("bdat", "bdat_rejected"),
    ("rset", "rset_rejected"),
    ("noop", "noop_rejected"),
    ("vrfy", "vrfy_rejected"),
    ("etrn", "etrn_rejected"),
    ("xclient", "xclient_rejected"),
    ("xforward", "xforward_rejected"),
    ("unknown", "unknown_rejected"),
];

/// What a summary says.
pub(super) struct Summary<'a> {
    /// The commands, one by one.
    pub(super) commands: Commands<'a>,
    /// As in [`Disconnect`](super::Disconnect).
    pub(super) clean: Option<bool>,
    /// As in [`Disconnect`](super::Disconnect).
    pub(super) notes: &'a [u8],
}

impl<'a> Summary<'a> {
    /// Reads `text`: empty, or beginning with a space. The sum (`commands=`) comes behind the last command: without it
    /// the line is cut, and its last item is left out because digits may be missing.
    pub(super) fn of(text: &'a [u8]) -> Self {
        const SUM: &[u8] = b" commands=";
        // As a rule it is the last item.
        let last = text.iter().rposition(|byte| *byte == b' ').filter(|last| text[*last..].starts_with(SUM));
        let Some(sum) = last.or_else(|| memchr::memmem::find(text, SUM)) else {
            let whole = memchr::memrchr(b' ', text).unwrap_or(0);
            return Self { commands: Commands { rest: &text[..whole] }, clean: None, notes: &[] };
        };
        let counts = &text[sum + SUM.len()..];
        let (counts, behind) = counts.split_at(memchr::memchr(b' ', counts).unwrap_or(counts.len()));
        Self {
            commands: Commands { rest: &text[..sum] },
            clean: Some(!counts.contains(&b'/')),
            notes: behind.strip_prefix(b" notes=").unwrap_or_default(),
        }
    }
}

impl<'a> Commands<'a> {
    /// The text that is left: summaries with the same text have the same commands.
    pub fn text(&self) -> &'a [u8] {
        self.rest
    }
}

impl Iterator for Commands<'_> {
    type Item = Command;

    fn next(&mut self) -> Option<Command> {
        loop {
            let item = self.rest.strip_prefix(b" ")?;
            let (item, rest) = item.split_at(memchr::memchr(b' ', item).unwrap_or(item.len()));
            self.rest = rest;
            if let Some(command) = command(item) {
                return Some(command);
            }
        }
    }
}

/// `rcpt=1` or `rcpt=0/1`. The names of other commands than the known ones become `unknown`.
fn command(item: &[u8]) -> Option<Command> {
    let equals = memchr::memchr(b'=', item)?;
    let (name, counts) = (&item[..equals], &item[equals + 1..]);
    let mut counts = counts.splitn(2, |byte| *byte == b'/').map(count);
    let accepted = counts.next()??;
    let total = match counts.next() {
        Some(total) => total?.max(accepted),
        None => accepted,
    };
    let known = COMMANDS.iter().find(|(known, _)| known.as_bytes() == name);
    Some(Command { name: known.map_or("unknown", |(known, _)| known), accepted, total })
}

/// A number of at most nine digits.
fn count(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |count, digit| count * 10 + u32::from(digit - b'0')))
}
