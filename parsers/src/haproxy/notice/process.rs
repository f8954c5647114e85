//! What HAProxy says of its own process.
//!
//! ```text
//! [WARNING]  (811) : Server app/app1 is DOWN, reason: Layer4 timeout, check duration: 2001ms. …
//! [ALERT] 031/013338 (811) : Starting frontend www: cannot bind socket
//! SIGHUP: Server app/app1 is UP. Conn: 0 act, 0 pend, 3 tot.
//! ```
//!
//! The first form is its standard error. HAProxy says many things there and in its log: so the line on a server
//! counts only in the log, or it would count twice where both end in one file.

/// How such messages start: on the standard error, then in the log (every `send_log` of 2.6 and 3.0 that no other form
/// reads, but for those of modules; and what becomes of updates of OCSP responses, 2.8 and later).
const WORDS: [&[u8]; 24] = [
    b"[NOTICE]",
    b"[WARNING]",
    b"[ALERT]",
    b"[DEBUG]",
    b"[DIAG]",
    b"SIGHUP",
    b"<OCSP-UPDATE> ",
    b"Connect() failed for ",
    b"Cannot bind to ",
    b"Port ",
    b"Bind on socket ",
    b"Grace period expired, ",
    b"Scheduling a soft-stop ",
    b"soft-stop running for too long, ",
    b"Some tasks resisted to hard-stop, ",
    b"SPOE: [",
    b"can't find server '",
    b"Blocking cacheable cookie in response ",
    b"DNS : section '",
    b"Internal error: ",
    b"can not build the query message ",
    b"could not generate a query id ",
    b"preconnect ",
    b"socket(): ",
];

/// A message that counts nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process<'a> {
    text: &'a [u8],
}

impl<'a> Process<'a> {
    pub(super) const fn new(text: &'a [u8]) -> Self {
        Self { text }
    }

    /// Reads a message that starts like one of them.
    pub(super) fn parse(message: &'a [u8]) -> Option<Self> {
        WORDS.iter().any(|words| message.starts_with(words)).then_some(Self::new(message))
    }

    /// `NOTICE`, `WARNING`, `ALERT`, `DEBUG` or `DIAG` on the standard error; `None` in the log.
    pub fn level(&self) -> Option<&'a [u8]> {
        let text = self.text.strip_prefix(b"[")?;
        Some(&text[..memchr::memchr(b']', text)?])
    }

    /// What is said, behind level and process id.
    pub fn message(&self) -> &'a [u8] {
        let start = self.level().and_then(|_| Some(memchr::memmem::find(self.text, b") : ")? + 4));
        &self.text[start.unwrap_or(0)..]
    }
}
