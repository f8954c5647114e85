//! Fingerprints: what a file begins with, which tells it from every other, whatever it is called and even if
//! its inode's number was used before.

use sha2::{Digest, Sha256};

/// Bytes at the beginning of a file that its fingerprint is of, at most. A shorter file has a shorter
/// fingerprint, which grows with it.
pub(super) const LONGEST: usize = 1024;

/// Digest of the first bytes of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// How many bytes it is of, at most 1,024; 0 when the file was empty.
    pub length: u32,
    /// The first 16 bytes of their SHA-256.
    pub digest: [u8; 16],
}

impl Fingerprint {
    /// Of a file that begins with `head`.
    pub fn of(head: &[u8]) -> Self {
        let head = head.get(..LONGEST).unwrap_or(head);
        let mut digest = [0; 16];
        if !head.is_empty() {
            digest.copy_from_slice(&Sha256::digest(head)[..16]);
        }
        Fingerprint { length: head.len() as u32, digest }
    }

    /// A file that begins with `head` (all of it, or its first 1,024 bytes) is the one this was taken of, or
    /// one that begins alike. The fingerprint of an empty file matches nothing.
    pub fn matches(&self, head: &[u8]) -> bool {
        let same = |head| Self::of(head) == *self;
        self.length > 0 && head.get(..self.length as usize).is_some_and(same)
    }

    /// A file that begins with `head` is certainly another one. No file differs from an empty one: it may be
    /// that one, having grown.
    pub fn differs(&self, head: &[u8]) -> bool {
        self.length > 0 && !self.matches(head)
    }

    /// No more bytes will be added to it.
    pub(super) fn is_complete(&self) -> bool {
        self.length as usize >= LONGEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_matches_what_begins_alike() {
        let small = Fingerprint::of(b"abc");
        assert!(small.matches(b"abc") && small.matches(b"abcd"));
        assert!(!small.matches(b"ab") && !small.matches(b"abd") && small.differs(b"ab"));
        // SHA-256 of "abc" begins so, says its standard.
        assert_eq!(small.digest[..4], [0xba, 0x78, 0x16, 0xbf]);
        let long = Fingerprint::of(&[b'x'; 5000]);
        assert!(long.is_complete() && long.matches(&[b'x'; 1024]) && !long.matches(&[b'x'; 1023]));
    }

    #[test]
    fn an_empty_file_is_no_evidence() {
        let empty = Fingerprint::of(b"");
        assert_eq!(empty, Fingerprint::default());
        assert!(!empty.matches(b"") && !empty.matches(b"a") && !empty.differs(b"a"));
    }
}
