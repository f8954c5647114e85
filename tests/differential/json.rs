//! JSON as HAProxy writes it, read by another hand than the reader under test: every byte becomes the character of its
//! number, so that what is no UTF-8 passes, and a control character its escape; then it is JSON. HAProxy 3.2 itself writes
//! bytes beyond ASCII as such characters.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::format::Truth;

fn text(bytes: &[u8]) -> String {
    let character = |byte: &u8| match byte {
        0..=0x1f => format!("\\u{byte:04x}"),
        byte => char::from(*byte).to_string(),
    };
    bytes.iter().map(character).collect()
}

/// The other way.
fn latin(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(character).unwrap_or(b'?')).collect()
}

/// A line that is an object: its members by their names.
pub(crate) fn object(line: &[u8]) -> Option<BTreeMap<String, Truth>> {
    let members: Map<String, Value> = serde_json::from_str(&text(line)).ok()?;
    let truth = |value: &Value| Truth { written: latin(&value.to_string()), plain: bytes(value) };
    Some(members.iter().map(|(name, value)| (name.clone(), truth(value))).collect())
}

/// True when `value` is what `written` stands for.
pub(crate) fn agrees(value: &[u8], written: &[u8]) -> bool {
    match serde_json::from_str(&text(written)) {
        Ok(Value::Bool(truth)) => value == truth.to_string().as_bytes() || value == bytes(&Value::Bool(truth)),
        Ok(Value::Null) | Err(_) => false,
        // The braces of captures are no part of them.
        Ok(content) => {
            let content = bytes(&content);
            let bare = content.strip_prefix(b"{").and_then(|content| content.strip_suffix(b"}"));
            content == value || bare == Some(value)
        }
    }
}

/// What HAProxy would write for a value without JSON: truths as 1 and 0, lists with quotes, but for the dash of what is
/// missing.
fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::Null => b"null".to_vec(),
        Value::Bool(truth) => u8::from(*truth).to_string().into_bytes(),
        Value::String(text) => latin(text),
        Value::Array(values) => {
            // As `+Q` has them.
            let element = |value: &Value| match bytes(value).as_slice() {
                b"-" => b"-".to_vec(),
                text => [b"\"", text, b"\""].concat(),
            };
            values.iter().map(element).collect::<Vec<_>>().join(&b' ')
        }
        other => other.to_string().into_bytes(),
    }
}

#[test]
fn values_agree_with_what_is_written() {
    assert!(agrees(b"a\"b", br#""a\"b""#));
    assert!(agrees(b"a|", br#""{a|}""#));
    assert!(agrees(b"\"a\" -", br#"["a", "-"]"#));
    assert!(agrees(b"1", b"true") && agrees(b"true", b"true"));
    assert!(agrees(b"\xff\t", b"\"\xff\\u0009\""));
    assert!(!agrees(b"\"a\"", br#""a""#));
    assert!(!agrees(b"null", b"null"));
}
