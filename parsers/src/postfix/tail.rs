//! What smtpd, cleanup and postscreen write behind a refusal: `; from=<…> to=<…> proto=… helo=<…>`.

use super::scan;

/// The envelope and the session of a refusal. A field that is not there is empty or `None`.
#[derive(Clone, Copy, Default)]
pub(super) struct Tail<'a> {
    pub(super) from: Option<&'a [u8]>,
    pub(super) to: Option<&'a [u8]>,
    pub(super) proto: &'a [u8],
    pub(super) helo: &'a [u8],
    pub(super) sasl_method: &'a [u8],
    pub(super) sasl_username: &'a [u8],
    /// What a check of content has to say, behind a `: `.
    pub(super) remark: &'a [u8],
}

impl<'a> Tail<'a> {
    /// Takes a text apart into what was said and the tail behind it.
    ///
    /// What was said may hold anything, because a client's own address can be part of it; but what stands in a tail is
    /// quoted (addresses) or has no quotes, brackets, spaces nor semicolons (HELO names: smtpd replaces them). So the
    /// right tail is the last one that fits up to the line's end. The line's end may cut any field.
    pub(super) fn split(text: &'a [u8]) -> (&'a [u8], Self) {
        let mut first = None;
        for semicolon in memchr::memrchr_iter(b';', text) {
            let behind = &text[semicolon + 1..];
            if behind.is_empty()
                || [&b" from=<"[..], b" to=<", b" proto=", b" helo=<"].iter().any(|field| behind.starts_with(field))
            {
                if let Some(tail) = Self::read(behind) {
                    return (&text[..semicolon], tail);
                }
                first = Some(semicolon);
            }
        }
        (&text[..first.unwrap_or(text.len())], Self::default())
    }

    /// Reads all of `text`: fields, each behind a space; `None` when anything else stands there.
    fn read(mut text: &'a [u8]) -> Option<Self> {
        let mut tail = Self::default();
        let from = b" from=<";
        if text.starts_with(from) {
            tail.from = Some(address(&mut text, from)?);
        }
        let to = b" to=<";
        if text.starts_with(to) {
            tail.to = Some(address(&mut text, to)?);
        }
        if let Some(rest) = text.strip_prefix(b" proto=") {
            (tail.proto, text) = split_word(rest);
        }
        if let Some(rest) = text.strip_prefix(b" helo=<") {
            let length =
                rest.iter().position(|byte| matches!(byte, b'>' | b'<' | b' ' | b'"' | b';')).unwrap_or(rest.len());
            tail.helo = &rest[..length];
            text = match &rest[length..] {
                [] => &[],
                [b'>', behind @ ..] => behind,
                _ => return None,
            };
        }
        if let Some(rest) = text.strip_prefix(b" sasl_method=") {
            (tail.sasl_method, text) = split_word(rest);
        }
        if let Some(name) = text.strip_prefix(b" sasl_username=") {
            let length = memchr::memmem::rfind(name, b" sasl_sender=").unwrap_or(name.len());
            let name = &name[..length];
            // For milters smtpd writes brackets around it.
            let bare = name.strip_prefix(b"<").and_then(|name| name.strip_suffix(b">"));
            tail.sasl_username = bare.unwrap_or(name);
            text = &[];
        }
        if let Some(remark) = text.strip_prefix(b": ") {
            tail.remark = remark;
            text = &[];
        }
        text.is_empty().then_some(tail)
    }

    /// As [`Tail::split`], for postscreen, which writes commas between the fields and lets the client's words stand as
    /// they are. What it says before them is its own.
    pub(super) fn split_postscreen(text: &'a [u8]) -> (&'a [u8], Self) {
        let mut tail = Self::default();
        let Some(at) = memchr::memmem::find(text, b"; from=<") else { return (text, tail) };
        let mut rest = &text[at + 8..];
        let mut until = |end: &[u8]| {
            let length = memchr::memmem::find(rest, end)?;
            let field = &rest[..length];
            rest = &rest[length + end.len()..];
            Some(field)
        };
        tail.from = until(b">, to=<");
        if tail.from.is_some() {
            tail.to = until(b">, proto=");
        }
        if tail.to.is_some()
            && let Some(proto) = until(b", helo=<")
        {
            tail.proto = proto;
            tail.helo = rest.strip_suffix(b">").unwrap_or(rest);
        }
        (&text[..at], tail)
    }
}

/// Takes `start` and an address with its `>`.
fn address<'a>(text: &mut &'a [u8], start: &[u8]) -> Option<&'a [u8]> {
    let rest = text.get(start.len()..)?;
    let quoted = scan::quoted_length(rest);
    let plain = rest.get(quoted..)?;
    let length = plain.iter().position(|byte| matches!(byte, b'>' | b'<' | b' ' | b'"'));
    let length = length.unwrap_or(plain.len());
    let address = &rest[..quoted + length];
    *text = match &plain[length..] {
        [] => &[],
        [b'>', behind @ ..] => behind,
        // A quoted local part that the line's end cuts.
        _ if quoted == 0 && rest.first() == Some(&b'"') => return cut_quote(rest, text),
        _ => return None,
    };
    Some(address)
}

/// Takes a quoted local part to which the line has no end.
fn cut_quote<'a>(rest: &'a [u8], text: &mut &'a [u8]) -> Option<&'a [u8]> {
    *text = &[];
    Some(rest)
}

/// What stands before the first space, and the rest from it.
fn split_word(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| matches!(byte, b' ' | b':')).unwrap_or(text.len()))
}
