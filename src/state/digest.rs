//! The checksum of a record. It finds bits that flipped on the disk; it is no protection against people.

/// Digest of the fields of a record, in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digest(u64);

impl Digest {
    /// For a record of `table`.
    pub(super) fn new(table: &str) -> Self {
        Self(0x7461_696c_6d65_7465).text(table)
    }

    /// Every step is reversible, so records that differ in one word never have the same digest.
    pub(super) fn number(self, value: u64) -> Self {
        let mixed = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self(mixed ^ mixed >> 32)
    }

    /// A field of any length.
    pub(super) fn bytes(self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<8>();
        let digest = words.iter().fold(self, |digest, word| digest.number(u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        digest.number(u64::from_le_bytes(last)).number(bytes.len() as u64)
    }

    /// The same for text.
    pub(super) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// The checksum.
    pub(super) fn sum(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_and_every_border_counts() {
        let text = b"frontend_name=\"http-in\" 17 0 12 3".to_vec();
        let whole = Digest::new("rows").bytes(&text).sum();
        for bit in 0..8 * text.len() {
            let mut flipped = text.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(Digest::new("rows").bytes(&flipped).sum(), whole, "bit {bit}");
        }
        for at in 0..text.len() {
            let (one, two) = text.split_at(at);
            assert_ne!(Digest::new("rows").bytes(one).bytes(two).sum(), whole, "split at {at}");
            assert_ne!(Digest::new("rows").bytes(one).sum(), whole, "cut at {at}");
        }
        assert_ne!(Digest::new("row").bytes(&text).sum(), whole);
    }
}
