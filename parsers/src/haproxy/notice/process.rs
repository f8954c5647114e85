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

/// A message that counts nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process<'a> {
    text: &'a [u8],
}

impl<'a> Process<'a> {
    pub(super) const fn new(text: &'a [u8]) -> Self {
        Self { text }
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
