//! Label values as the exposition writes them, and back.

/// Appends `value` as the inside of a quoted label value.
///
/// The result is valid UTF-8 and injective: different bytes give different texts. Quote and backslash are
/// escaped as the exposition format asks. Bytes that are not UTF-8 and control characters become `\xNN`
/// (written `\\xNN` in the exposition); a backslash that would read like one becomes `\x5c` itself.
pub fn escape_into(value: &[u8], out: &mut Vec<u8>) {
    let is_plain = |byte: &u8| (0x20..0x7f).contains(byte) && *byte != b'"' && *byte != b'\\';
    // Without a way out of the loop it is done many bytes at a time.
    if value.iter().fold(true, |plain, byte| plain & is_plain(byte)) {
        return out.extend_from_slice(value);
    }
    let mut offset = 0;
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            let byte = character as u32;
            match character {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' if reads_like_escape(&value[offset + 1..]) => hexadecimal(b'\\', out),
                '\\' => out.extend_from_slice(b"\\\\"),
                _ if byte < 0x20 || byte == 0x7f => hexadecimal(byte as u8, out),
                _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
            offset += character.len_utf8();
        }
        chunk.invalid().iter().for_each(|byte| hexadecimal(*byte, out));
        offset += chunk.invalid().len();
    }
}

/// The value that [`escape_into`] writes as `text`; `None` when it writes no value so.
pub fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let (mut value, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match (byte, behind) {
            (b'\\', [b'\\', b'x', high, low, behind @ ..]) if is_hexadecimal(high, low) => {
                value.push(digit(*high) << 4 | digit(*low));
                rest = behind;
            }
            (b'\\', [escaped, behind @ ..]) => {
                value.push(*escaped);
                rest = behind;
            }
            _ => value.push(*byte),
        }
    }
    // Whatever is written in another way is not what was written.
    let mut again = Vec::with_capacity(text.len());
    escape_into(&value, &mut again);
    (again == text).then_some(value)
}

fn is_hexadecimal(high: &u8, low: &u8) -> bool {
    high.is_ascii_hexdigit() && low.is_ascii_hexdigit()
}

/// The value of a hexadecimal digit.
fn digit(character: u8) -> u8 {
    char::from(character).to_digit(16).unwrap_or_default() as u8
}

fn reads_like_escape(rest: &[u8]) -> bool {
    matches!(rest, [b'x', high, low, ..] if is_hexadecimal(high, low))
}

fn hexadecimal(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\\\\x");
    out.push(DIGITS[usize::from(byte >> 4)]);
    out.push(DIGITS[usize::from(byte & 15)]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(value: &[u8]) -> String {
        let mut out = Vec::new();
        escape_into(value, &mut out);
        String::from_utf8(out).expect("valid UTF-8")
    }

    const PARTS: [&[u8]; 7] = [b"\\", b"x", b"5c", b"ff", b"\xff", b"\"", b"\n"];

    /// What a Prometheus parser makes of it, and then the bytes that `\xNN` stand for.
    fn decoded(text: &str) -> Vec<u8> {
        let mut value = String::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            value.push(match character {
                '\\' => match characters.next() {
                    Some('n') => '\n',
                    Some(escaped @ ('\\' | '"')) => escaped,
                    other => panic!("unknown escape {other:?}"),
                },
                '"' | '\n' => panic!("a raw {character:?}"),
                _ => character,
            });
        }
        let (value, mut bytes, mut at) = (value.as_bytes(), Vec::new(), 0);
        while at < value.len() {
            if value[at] == b'\\' && reads_like_escape(&value[at + 1..]) {
                let digits = std::str::from_utf8(&value[at + 2..at + 4]).expect("ASCII");
                bytes.push(u8::from_str_radix(digits, 16).expect("hexadecimal"));
                at += 4;
            } else {
                bytes.push(value[at]);
                at += 1;
            }
        }
        bytes
    }

    #[test]
    fn usual_values_stay_as_they_are() {
        for value in ["", "http-in", "<NOSRV>", "/a/b?c=d", "Grüße"] {
            assert_eq!(escaped(value.as_bytes()), value);
        }
        assert_eq!(escaped(br#"a"b\c"#), r#"a\"b\\c"#);
        assert_eq!(escaped(b"a\nb\0\xff"), r"a\\x0ab\\x00\\xff");
        assert_eq!(escaped(br"\xff"), r"\\x5cxff");
    }

    proptest! {
        #[test]
        fn every_value_can_be_read_back(value: Vec<u8>) {
            prop_assert_eq!(decoded(&escaped(&value)), value.clone());
            prop_assert_eq!(unescape(escaped(&value).as_bytes()), Some(value));
        }

        #[test]
        fn what_can_be_unescaped_was_escaped_so(
            parts in proptest::collection::vec(proptest::sample::select(&PARTS[..]), 0..12)
        ) {
            let text = parts.concat();
            if let Some(value) = unescape(&text) {
                prop_assert_eq!(escaped(&value).into_bytes(), text);
            }
        }

        #[test]
        fn values_made_of_escapes_can_be_read_back(
            parts in proptest::collection::vec(proptest::sample::select(&PARTS[..]), 0..12)
        ) {
            let value = parts.concat();
            prop_assert_eq!(decoded(&escaped(&value)), value.clone());
            prop_assert_eq!(unescape(escaped(&value).as_bytes()), Some(value));
        }
    }
}
