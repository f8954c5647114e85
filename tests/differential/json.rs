//! JSON as HAProxy writes it, read by another hand than the reader under test: every byte becomes the character of its
//! number, so that what is no UTF-8 passes, and a control character its escape; then it is JSON. HAProxy 3.2 itself writes
//! bytes beyond ASCII as such characters.

use serde_json::{Map, Value};

fn text(bytes: &[u8]) -> String {
    let character = |byte: &u8| match byte {
        0..=0x1f => format!("\\u{byte:04x}"),
        byte => char::from(*byte).to_string(),
    };
    bytes.iter().map(character).collect()
}

/// A line that is an object.
pub(crate) fn object(line: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_str(&text(line)).ok()
}

/// What a value stands for; `None` when `written` is no JSON.
pub(crate) fn content(written: &[u8]) -> Option<Vec<u8>> {
    serde_json::from_str(&text(written)).ok().map(|value| bytes(&value))
}

/// What HAProxy would write for a value without JSON: truths as 1 and 0, lists with quotes, but for the dash of what is
/// missing.
pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::Null => b"null".to_vec(),
        Value::Bool(truth) => u8::from(*truth).to_string().into_bytes(),
        Value::String(text) => text.chars().map(|character| u8::try_from(character).unwrap_or(b'?')).collect(),
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
