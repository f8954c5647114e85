//! Sessions of a frontend without a log option.
//!
//! ```text
//! Connect from 127.0.0.1:35114 to 127.0.0.1:20301 (www/HTTP)
//! Connect to unix:1 (www/TCP)
//! Connect from unknown source to listener 1 (www/TCP)
//! ```

use crate::haproxy::split_at;

/// A session of which nothing but its beginning is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connect<'a> {
    /// `Connect [from CLIENT ]to DESTINATION (FRONTEND/MODE)`
    text: &'a [u8],
}

impl<'a> Connect<'a> {
    pub(super) const fn new(text: &'a [u8]) -> Self {
        Self { text }
    }

    /// What stands before ` (`, and behind it.
    fn parts(&self) -> (&'a [u8], &'a [u8]) {
        match memchr::memmem::find(self.text, b" (") {
            Some(at) => (&self.text[..at], &self.text[at + 2..]),
            None => (self.text, &[]),
        }
    }

    /// Where the client comes from, `ADDRESS:PORT` or `unknown source`; `None` on a unix socket.
    pub fn client(&self) -> Option<&'a [u8]> {
        let text = self.parts().0.strip_prefix(b"Connect from ")?;
        Some(memchr::memmem::find(text, b" to ").map_or(text, |end| &text[..end]))
    }

    /// Where it went, `ADDRESS:PORT`, `unix:N` or `listener N`.
    pub fn destination(&self) -> Option<&'a [u8]> {
        let text = self.parts().0;
        Some(&text[memchr::memmem::find(text, b" to ")? + 4..])
    }

    /// The frontend's name.
    pub fn frontend_name(&self) -> &'a [u8] {
        split_at(self.parts().1, b'/').0
    }

    /// `HTTP` or `TCP`.
    pub fn mode(&self) -> &'a [u8] {
        let mode = split_at(self.parts().1, b'/').1;
        mode.strip_suffix(b")").unwrap_or(mode)
    }
}
