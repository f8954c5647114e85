//! Protocol buffers, as far as the messages of remote-write and OTLP need them: fields are written in any order that
//! suits us, and of an answer those are read that are known.

/// Ways in which a field is written.
const VARINT: u8 = 0;
const FIXED_64: u8 = 1;
const BYTES: u8 = 2;
const FIXED_32: u8 = 5;

/// A message that is written.
#[derive(Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Back to nothing; keeps the memory.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// A varint: numbers and truth values.
    pub(super) fn number(&mut self, field: u32, value: u64) {
        self.key(field, VARINT);
        write_varint(value, &mut self.0);
    }

    /// Eight bytes.
    pub(super) fn fixed(&mut self, field: u32, value: u64) {
        self.key(field, FIXED_64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn double(&mut self, field: u32, value: f64) {
        self.fixed(field, value.to_bits());
    }

    pub(super) fn bytes(&mut self, field: u32, value: &[u8]) {
        self.key(field, BYTES);
        write_varint(value.len() as u64, &mut self.0);
        self.0.extend_from_slice(value);
    }

    /// A list of eight bytes each.
    pub(super) fn packed(&mut self, field: u32, values: impl ExactSizeIterator<Item = u64>) {
        if values.len() == 0 {
            return;
        }
        self.key(field, BYTES);
        write_varint(values.len() as u64 * 8, &mut self.0);
        values.for_each(|value| self.0.extend_from_slice(&value.to_le_bytes()));
    }

    /// Everything that `other` has.
    pub(super) fn append(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    /// A message in this one.
    pub(super) fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        self.key(field, BYTES);
        let start = self.0.len();
        write(self);
        // Its length comes first and is known last.
        let mut length = Vec::with_capacity(10);
        write_varint((self.0.len() - start) as u64, &mut length);
        self.0.splice(start..start, length);
    }

    fn key(&mut self, field: u32, way: u8) {
        write_varint(u64::from(field) << 3 | u64::from(way), &mut self.0);
    }
}

fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The value of a field that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field<'m> {
    /// A varint, or eight or four bytes.
    Number(u64),
    /// A text or a message.
    Bytes(&'m [u8]),
}

/// The fields of a message with their numbers, up to the first byte that fits nowhere.
pub(super) fn fields(mut rest: &[u8]) -> impl Iterator<Item = (u64, Field<'_>)> {
    std::iter::from_fn(move || {
        let key = read_varint(&mut rest)?;
        let value = match (key & 7) as u8 {
            VARINT => Field::Number(read_varint(&mut rest)?),
            FIXED_64 => Field::Number(u64::from_le_bytes(*take(&mut rest, 8)?.first_chunk()?)),
            FIXED_32 => Field::Number(u32::from_le_bytes(*take(&mut rest, 4)?.first_chunk()?).into()),
            BYTES => {
                let length = usize::try_from(read_varint(&mut rest)?).ok()?;
                Field::Bytes(take(&mut rest, length)?)
            }
            _ => return None,
        };
        Some((key >> 3, value))
    })
}

fn take<'m>(rest: &mut &'m [u8], length: usize) -> Option<&'m [u8]> {
    let (taken, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(taken)
}

fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *take(rest, 1)?.first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_is_written_as_the_encoding_says() {
        let mut message = Message::default();
        message.number(1, 150);
        message.message(3, |inner| inner.bytes(2, b"testing"));
        message.packed(4, [1, 2].into_iter());
        message.packed(5, [].into_iter());
        assert_eq!(message.as_bytes().get(..14), Some(&b"\x08\x96\x01\x1a\x09\x12\x07testing"[..]));
        assert_eq!(fields(message.as_bytes()).count(), 3);
    }

    #[test]
    fn a_long_message_has_its_length_in_front() {
        let mut message = Message::default();
        message.message(1, |inner| inner.message(2, |inner| inner.bytes(3, &[7; 300])));
        let Some((1, Field::Bytes(outer))) = fields(message.as_bytes()).next() else { panic!("{message:?}") };
        let Some((2, Field::Bytes(inner))) = fields(outer).next() else { panic!("{message:?}") };
        assert_eq!(fields(inner).collect::<Vec<_>>(), [(3, Field::Bytes(&[7; 300]))]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(fields(&bytes).count() <= bytes.len());
        }
    }
}
