//! CBOR as HAProxy writes it, in hexadecimal digits, read by another hand than the reader under test.

use std::collections::BTreeMap;

use crate::format::Truth;

/// What an item stands for.
#[derive(Debug, PartialEq, Eq)]
enum Value {
    Integer(i128),
    /// Text or bytes.
    Text(Vec<u8>),
    List(Vec<Value>),
    Map(Vec<(Value, Vec<u8>)>),
    Truth(bool),
    Nothing,
    Break,
}

/// True when `value` is what the digits of `written` stand for.
pub(crate) fn agrees(value: &[u8], written: &[u8]) -> bool {
    match whole(written) {
        Some(Value::Truth(true)) => [&b"true"[..], b"1"].contains(&value),
        Some(Value::Truth(false)) => [&b"false"[..], b"0"].contains(&value),
        Some(Value::Text(text)) if text.starts_with(b"{") && text.ends_with(b"}") => {
            // The braces of captures are no part of them.
            text == value || text[1..text.len() - 1] == *value
        }
        Some(Value::Nothing) | None => false,
        Some(content) => content.text() == value,
    }
}

/// A line that is a map: its members by their names. The digits of each are what is written of it.
pub(crate) fn object(line: &[u8]) -> Option<BTreeMap<String, Truth>> {
    let Value::Map(members) = whole(line)? else { return None };
    let member = |(key, written): (Value, Vec<u8>)| {
        let plain = whole(&written).map(|value| value.text()).unwrap_or_default();
        Some((String::from_utf8(key.text()).ok()?, Truth { written, plain }))
    };
    members.into_iter().map(member).collect()
}

/// What all of `written` stands for. `+Q` puts quotes around a text, also around one that there is none of.
fn whole(written: &[u8]) -> Option<Value> {
    let mut digits = Digits(written);
    let value = digits.value()?;
    digits.0.is_empty().then_some(value)
}

impl Value {
    /// As [`crate::json::bytes`] has it.
    fn text(&self) -> Vec<u8> {
        match self {
            Self::Integer(number) => number.to_string().into_bytes(),
            Self::Text(text) => text.clone(),
            Self::Truth(truth) => u8::from(*truth).to_string().into_bytes(),
            Self::List(values) => {
                let element = |value: &Self| match value.text().as_slice() {
                    b"-" => b"-".to_vec(),
                    text => [b"\"", text, b"\""].concat(),
                };
                values.iter().map(element).collect::<Vec<_>>().join(&b' ')
            }
            Self::Map(_) | Self::Nothing | Self::Break => Vec::new(),
        }
    }
}

/// What is still to be read.
struct Digits<'d>(&'d [u8]);

impl Digits<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (pair, rest) = self.0.split_at_checked(2)?;
        // No sign may stand for a digit.
        let is_digit = |digit: &u8| matches!(digit, b'0'..=b'9' | b'A'..=b'F');
        let byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok().filter(|_| pair.iter().all(is_digit));
        self.0 = rest;
        byte
    }

    fn value(&mut self) -> Option<Value> {
        if let Some(inside) = self.0.strip_prefix(b"\"") {
            let end = inside.iter().position(|byte| *byte == b'"')?;
            self.0 = &inside[end + 1..];
            return if end == 0 { Some(Value::Text(Vec::new())) } else { whole(&inside[..end]) };
        }
        let first = self.byte()?;
        let argument = match first & 0x1f {
            small @ 0..=23 => Some(u64::from(small)),
            0x1f => None,
            size @ 24..=27 => {
                let bytes = (0..1 << (size - 24)).map(|_| self.byte()).collect::<Option<Vec<_>>>()?;
                Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
            }
            _ => return None,
        };
        match (first >> 5, argument) {
            (0, Some(number)) => Some(Value::Integer(number.into())),
            (1, Some(number)) => Some(Value::Integer(-1 - i128::from(number))),
            (2 | 3, Some(length)) => (0..length).map(|_| self.byte()).collect::<Option<_>>().map(Value::Text),
            (2 | 3, None) => {
                let mut text = Vec::new();
                loop {
                    match self.value()? {
                        Value::Text(chunk) => text.extend(chunk),
                        Value::Break => return Some(Value::Text(text)),
                        _ => return None,
                    }
                }
            }
            (4, None) => {
                let mut values = Vec::new();
                loop {
                    match self.value()? {
                        Value::Break => return Some(Value::List(values)),
                        value => values.push(value),
                    }
                }
            }
            (5, None) => self.members().map(Value::Map),
            (7, Some(20)) => Some(Value::Truth(false)),
            (7, Some(21)) => Some(Value::Truth(true)),
            (7, Some(22)) => Some(Value::Nothing),
            (7, None) => Some(Value::Break),
            // HAProxy writes no others.
            _ => None,
        }
    }

    fn members(&mut self) -> Option<Vec<(Value, Vec<u8>)>> {
        let mut members = Vec::new();
        loop {
            let key = match self.value()? {
                Value::Break => return Some(members),
                key => key,
            };
            let before = self.0;
            self.value().filter(|value| *value != Value::Break)?;
            members.push((key, before[..before.len() - self.0.len()].to_vec()));
        }
    }
}

#[test]
fn values_agree_with_their_digits() {
    assert!(agrees(b"127.0.0.1", b"693132372E302E302E31"));
    assert!(agrees(b"a|", b"7F647B617C7DFF"));
    assert!(agrees(b"57", b"1839"));
    assert!(agrees(b"-1", b"20"));
    assert!(agrees(b"\"a\" -", b"9F7F6161FF7F612DFFFF"));
    assert!(agrees(b"\"\"", b"9F7FFFFF"));
    assert!(agrees(b"a", b"\"6161\""));
    assert!(!agrees(b"58", b"1839"));
    assert!(!agrees(b"b", b"7F6161FF"));
    assert!(!agrees(b"a", b"61616161"));
    assert!(!agrees(b"-", b"9F7FFFFF"));
    assert!(!agrees(b"1839", b"1839"));
    let members = object(b"BF6161F661626162FF").unwrap();
    assert_eq!((&members["a"].written[..], &members["b"].plain[..]), (&b"F6"[..], &b"b"[..]));
    assert!(object(b"BF6161F6").is_none() && object(b"BF6161F6FF00").is_none());
}
