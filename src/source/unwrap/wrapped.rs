//! One line of a container's log: what it is wrapped in, and what is inside.
//!
//! ```text
//! {"log":"message\n","stream":"stdout","time":"2026-02-01T12:14:14.572449999Z"}     Docker, `json-file`
//! 2026-02-01T12:14:14.572449999Z stdout F message                                  CRI: containerd, CRI-O, Podman
//! ```
//!
//! Docker writes a long message in pieces of 16 KiB, of which only the last ends in `\n`. CRI marks them: `P` for a
//! part that is not the last, `F` for the last or only one.

use std::borrow::Cow;

use memchr::{memchr, memchr2};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// How a line of Docker begins: it writes the fields in this order.
const DOCKER: &[u8] = b"{\"log\":\"";

/// Which output of the container a line is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// A line of CRI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cri<'a> {
    pub(super) stream: Stream,
    /// The time, without a space behind it.
    pub(super) time: &'a [u8],
    pub(super) content: &'a [u8],
    pub(super) is_partial: bool,
}

/// True when `line` begins like one that is wrapped.
pub(super) fn looks_wrapped(line: &[u8]) -> bool {
    is_docker(line) || cri(line).is_some()
}

/// True when `line` begins like one of Docker.
pub(super) fn is_docker(line: &[u8]) -> bool {
    line.starts_with(DOCKER)
}

/// Reads a line of CRI.
pub(super) fn cri(line: &[u8]) -> Option<Cri<'_>> {
    // `2026-02-01T12:14:14Z`, and a fraction or another zone make it longer.
    if line.get(4) != Some(&b'-') || line.get(10) != Some(&b'T') {
        return None;
    }
    let space = 19 + memchr(b' ', line.get(19..line.len().min(40))?)?;
    let (time, rest) = (&line[..space], &line[space + 1..]);
    let (stream, rest) = match rest.strip_prefix(b"stdout ") {
        Some(rest) => (Stream::Stdout, rest),
        None => (Stream::Stderr, rest.strip_prefix(b"stderr ")?),
    };
    let is_partial = match rest.first_chunk::<2>()? {
        b"F " => false,
        b"P " => true,
        _ => return None,
    };
    Some(Cri { stream, time, content: &rest[2..], is_partial })
}

/// Appends what is inside a line of Docker, with the `\n` that closes it. `None` when the line is not valid JSON with text
/// in `log`; then what was appended is worth nothing.
pub(super) fn docker(line: &[u8], out: &mut Vec<u8>) -> Option<Stream> {
    let text = line.strip_prefix(DOCKER)?;
    let length = string(text, out).ok()?;
    let rest = &text[length..];
    usual_rest(rest).or_else(|| any_rest(line))
}

/// Appends what is inside the beginning of a line of Docker, as far as it goes.
pub(super) fn cut_docker(line: &[u8], out: &mut Vec<u8>) {
    if let Some(text) = line.strip_prefix(DOCKER) {
        let _ = string(text, out);
    }
}

/// `,"stream":"stdout","time":"…"}`
fn usual_rest(rest: &[u8]) -> Option<Stream> {
    let rest = rest.strip_prefix(b",\"stream\":\"std")?;
    let (stream, rest) = match rest.strip_prefix(b"out\"") {
        Some(rest) => (Stream::Stdout, rest),
        None => (Stream::Stderr, rest.strip_prefix(b"err\"")?),
    };
    let time = rest.strip_prefix(b",\"time\":\"")?.strip_suffix(b"\"}")?;
    time.iter().all(|byte| byte.is_ascii_digit() || b"-:.TZ+".contains(byte)).then_some(stream)
}

/// With `attrs` between, and whatever else JSON allows.
fn any_rest(line: &[u8]) -> Option<Stream> {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(rename = "log")]
        _log: IgnoredAny,
        #[serde(borrow)]
        stream: Option<Cow<'a, str>>,
    }
    let line: Line<'_> = serde_json::from_slice(line).ok()?;
    Some(if line.stream.as_deref() == Some("stderr") { Stream::Stderr } else { Stream::Stdout })
}

/// A string that goes on to the end of the text, or breaks its rules.
struct Unclosed;

/// Appends a JSON string, whose opening quote has been read. Returns its length with the closing quote.
fn string(text: &[u8], out: &mut Vec<u8>) -> Result<usize, Unclosed> {
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let length = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
        let plain = &rest[..length];
        if plain.iter().any(|&byte| byte < b' ') {
            return Err(Unclosed);
        }
        out.extend_from_slice(plain);
        at += length + 1;
        match rest.get(length) {
            Some(b'"') => return Ok(at),
            Some(_) => at += escape(text.get(at..).unwrap_or_default(), out).ok_or(Unclosed)?,
            None => return Err(Unclosed),
        }
    }
}

/// Appends what an escape stands for, whose backslash has been read. Returns its length.
fn escape(text: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let byte = match text.first()? {
        byte @ (b'"' | b'\\' | b'/') => *byte,
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 8,
        b'f' => 12,
        b'u' => return unicode(&text[1..], out).map(|length| length + 1),
        _ => return None,
    };
    out.push(byte);
    Some(1)
}

/// `XXXX`, or `XXXX\uXXXX` for what does not fit into 16 bits. Half of such a pair is a character of its own.
fn unicode(text: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let high = hexadecimal(text)?;
    let low = || hexadecimal(text.get(4..)?.strip_prefix(b"\\u")?);
    let (character, length) = match (high, low()) {
        (0xD800..0xDC00, Some(low @ 0xDC00..0xE000)) => {
            (char::from_u32(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00)), 10)
        }
        _ => (char::from_u32(high), 4),
    };
    let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Some(length)
}

/// Four hexadecimal digits.
fn hexadecimal(text: &[u8]) -> Option<u32> {
    text.first_chunk::<4>()?.iter().try_fold(0, |value, &byte| Some(value << 4 | char::from(byte).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn inside(line: &[u8]) -> Option<(Vec<u8>, Stream)> {
        let mut out = Vec::new();
        let stream = docker(line, &mut out)?;
        Some((out, stream))
    }

    /// `text` as JSON, every character of it escaped as one may.
    fn escaped(text: &str) -> String {
        let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
        format!("\"{}\"", units.collect::<String>())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn what_serde_json_writes_is_read(text in any::<String>(), attrs in any::<Option<String>>(), is_error: bool) {
            let (name, stream) = if is_error { ("stderr", Stream::Stderr) } else { ("stdout", Stream::Stdout) };
            let attrs = attrs.map_or(String::new(), |attrs| format!(",\"attrs\":{}", json!({ "a\"": [attrs, 1] })));
            for text_as_json in [serde_json::to_string(&text).unwrap(), escaped(&text)] {
                let line = format!("{{\"log\":{text_as_json},\"stream\":\"{name}\"{attrs},\"time\":\"2026-02-01T12:14:14Z\"}}");
                prop_assert_eq!(inside(line.as_bytes()), Some((text.clone().into_bytes(), stream)));
            }
        }

        /// A line with something changed is read exactly if it is still JSON, and then as serde_json does.
        #[test]
        fn what_is_no_json_is_not_read(
            text in "[ -~]{0,8}[\\\\\"nu0d8c/]{0,8}",
            at in any::<prop::sample::Index>(),
            change in prop_oneof![Just(None), prop::sample::select(b"\\\"{}[],:nu0dD89\x00\x1f\xff \n".to_vec()).prop_map(Some)],
            attrs: bool,
        ) {
            let attrs = if attrs { ",\"attrs\":{\"a\":\"b\"}" } else { "" };
            let text = serde_json::to_string(&text).unwrap();
            let mut line = format!("{{\"log\":{text},\"stream\":\"stdout\"{attrs},\"time\":\"2026\"}}").into_bytes();
            let at = 8 + at.index(line.len() - 8);
            match change {
                Some(byte) => line[at] = byte,
                None => line.truncate(at),
            }
            let read = inside(&line);
            match serde_json::from_slice::<Value>(&line) {
                Ok(value) => {
                    let expected = value["log"].as_str().map(str::as_bytes);
                    let is_ours = value["stream"].is_null() || value["stream"].is_string();
                    if is_ours {
                        prop_assert_eq!(read.as_ref().map(|(text, _)| text.as_slice()), expected);
                    }
                }
                // Bytes that are no UTF-8 and halves of pairs are let through.
                Err(error) => prop_assert!(
                    read.is_none() || line.contains(&0xff) || error.to_string().contains("surrogate")
                        || error.to_string().contains("hex escape"),
                    "{} {}", error, line.escape_ascii()
                ),
            }
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let line = [DOCKER, &bytes].concat();
            inside(&line);
            cut_docker(&line, &mut Vec::new());
            for length in 0..bytes.len() {
                cri(&bytes[..length]);
            }
        }
    }

    #[test]
    fn escapes_are_those_of_json() {
        let line = br#"{"log":"\"\\\/\b\f\n\r\t\u00e9\u20AC\ud83d\ude00\ud83dx\ude00","stream":"stderr"}"#;
        let expected = "\"\\/\x08\x0c\n\r\té€😀\u{fffd}x\u{fffd}";
        assert_eq!(inside(line), Some((expected.into(), Stream::Stderr)));
        for wrong in [r"\x", r"\u12", r"\u12g4", r"\u+123", "\x07"] {
            let line = format!("{{\"log\":\"{wrong}\",\"stream\":\"stdout\"}}");
            assert_eq!(inside(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn cri_has_a_time_a_stream_and_a_mark() {
        let read = |line: &'static str| cri(line.as_bytes()).map(|cri| (cri.stream, cri.content, cri.is_partial));
        assert_eq!(read("2026-02-01T12:14:14.572449999Z stdout F a b"), Some((Stream::Stdout, &b"a b"[..], false)));
        assert_eq!(read("2026-02-01T12:14:14+01:00 stderr P "), Some((Stream::Stderr, &b""[..], true)));
        let wrong = [
            "",
            "2026-02-01T12:14:14Z stdout",
            "2026-02-01T12:14:14Z stdout F",
            "2026-02-01T12:14:14Z stdin F x",
            "2026-02-01T12:14:14Z haproxy[1]: stdout F x",
        ];
        assert!(wrong.iter().all(|line| read(line).is_none()));
    }
}
