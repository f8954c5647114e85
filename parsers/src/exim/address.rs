//! Where addresses, hosts and quoted text end.

use crate::cursor::Cursor;

/// Length of the text before the first of `ends` that is outside quotes; all of it when there is none, and when a
/// quote is never closed, up to the first of `ends` anywhere.
fn unquoted_length(text: &[u8], ends: &[u8]) -> usize {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            _ if !is_quoted && ends.contains(byte) => return at,
            _ => {}
        }
    }
    if is_quoted { text.iter().position(|byte| ends.contains(byte)).unwrap_or(text.len()) } else { text.len() }
}

/// Takes an address as its owner wrote it: `a@example.com`, `"a b"@example.com`, `<>`.
pub(super) fn take_written<'a>(cursor: &mut Cursor<'a>) -> &'a [u8] {
    let text = cursor.rest();
    let address = &text[..unquoted_length(text, b" ")];
    cursor.take_text(address);
    address
}

/// Takes what stands in angle brackets, of which the first has been taken; the bracket behind it, too.
pub(super) fn take_bracketed<'a>(cursor: &mut Cursor<'a>) -> &'a [u8] {
    let text = cursor.rest();
    let address = &text[..unquoted_length(text, b">")];
    cursor.take_text(address);
    cursor.take(b'>');
    address
}

/// Takes a word: what stands before the next space or the end.
pub(super) fn take_word<'a>(cursor: &mut Cursor<'a>) -> &'a [u8] {
    let text = cursor.rest();
    let word = memchr::memchr(b' ', text).map_or(text, |length| &text[..length]);
    cursor.take_text(word);
    word
}

/// Longest name of a field: `M8S`, `DKIM`.
const FIELD_NAME_BYTES: usize = 4;

/// Takes the name of a field and the `=` behind it.
pub(super) fn take_field_name<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let text = cursor.rest();
    let length = text.iter().take(FIELD_NAME_BYTES + 1).position(|byte| matches!(byte, b'=' | b' '))?;
    if length == 0 || text.get(length) != Some(&b'=') {
        return None;
    }
    cursor.take_text(&text[..=length]);
    Some(&text[..length])
}

/// Takes a string whose opening quote has been taken, in which `\` stands before quotes and before itself; without the
/// quotes, and whether it was closed.
pub(super) fn take_string<'a>(cursor: &mut Cursor<'a>) -> (&'a [u8], bool) {
    let text = cursor.rest();
    let mut is_escaped = false;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => {
                cursor.take_text(&text[..=at]);
                return (&text[..at], true);
            }
            _ => {}
        }
    }
    (cursor.take_rest(), false)
}

/// Takes the name in a certificate, whose opening quote has been taken. Its own quotes stand there as they are: the
/// one that ends it has a space, a colon or nothing behind it.
pub(super) fn take_name<'a>(cursor: &mut Cursor<'a>) -> &'a [u8] {
    let text = cursor.rest();
    let ends = memchr::memchr_iter(b'"', text).find(|at| matches!(text.get(at + 1), None | Some(b' ' | b':')));
    let name = &text[..ends.unwrap_or(text.len())];
    cursor.take_text(name);
    cursor.take(b'"');
    name
}

/// Most ends of a HELO name that are tried.
const HELO_ENDS: usize = 4;

/// Takes a client's host, of which `H=` has been taken: `name (helo) [192.0.2.7]:port`, each but the address perhaps
/// missing. Of the places where the HELO name may end, `skipped` are left out: a name with spaces and brackets, which
/// only `helo_accept_junk_hosts` lets in, may hold what looks like its end.
pub(super) fn take_host<'a>(cursor: &mut Cursor<'a>, skipped: usize) -> Option<&'a [u8]> {
    let text = cursor.rest();
    let mut ahead = *cursor;
    if !ahead.rest().starts_with(b"(") && !ahead.rest().starts_with(b"[") {
        take_word(&mut ahead);
        if !ahead.take(b' ') {
            return None;
        }
        ahead.take_text(b"DS ");
    }
    if ahead.take(b'(') {
        for _ in 0..=skipped.min(HELO_ENDS) {
            ahead.take_until(b") [")?;
        }
    } else if !ahead.take(b'[') {
        return None;
    }
    ahead.take_until(b"]")?;
    if ahead.take(b':') && ahead.number(65_535, "port").is_err() {
        ahead = Cursor::new(ahead.line(), ahead.at() - 1);
    }
    let host = &text[..ahead.at() - cursor.at()];
    *cursor = ahead;
    Some(host)
}

/// Takes a recipient as deliveries show it: `a@example.net`, `alice <list@example.org>`, `/var/mail/x <file@example.org>`,
/// `|/usr/bin/vacation <a@example.org>`. It ends where `is_end` says of what follows; returns it and, if there is one, the
/// address that the message came for.
///
/// A local part that was quoted stands there without its quotes, so it may hold anything; but then the address that the
/// message came for follows, and that one keeps them.
pub(super) fn take_recipient<'a>(cursor: &mut Cursor<'a>, is_end: fn(&[u8]) -> bool) -> (&'a [u8], Option<&'a [u8]>) {
    let text = cursor.rest();
    let mut length = unquoted_end(text).unwrap_or_default();
    if length == 0 && text.starts_with(b"\"") {
        length = unquoted_length(text, b" :");
    }
    while let Some(more) = text.get(length..).and_then(|rest| memchr::memchr2(b' ', b':', rest)) {
        length += more;
        if is_end(&text[length..]) {
            break;
        }
        length += 1;
    }
    if !text.get(length..).is_some_and(is_end) {
        length = text.len();
    }
    let whole = &text[..length];
    cursor.take_text(whole);
    let Some(inside) = whole.strip_suffix(b">") else { return (whole, None) };
    let quoted = memchr::memmem::rfind(inside, b" <\"")
        .filter(|at| unquoted_length(&inside[at + 2..], b" ") == inside.len() - at - 2);
    match quoted.or_else(|| memchr::memmem::rfind(inside, b" <")) {
        Some(at) => (&whole[..at], Some(&inside[at + 2..])),
        None => (whole, None),
    }
}

/// Most places that are tried where an address in quotes may begin, from the right.
const QUOTED_ADDRESSES: usize = 8;

/// Length of `x@example.org <"x"@example.org>` at the start of `text`, in which the first local part is the second one
/// without its quotes. A local part may imitate all of this, but not after itself: the last one counts.
fn unquoted_end(text: &[u8]) -> Option<usize> {
    memchr::memmem::rfind_iter(text, b" <\"").take(QUOTED_ADDRESSES).find_map(|at| {
        let inside = text.get(at + 2..)?;
        let length = unquoted_length(inside, b">");
        let address = inside.get(1..length)?;
        let local = address.get(..memchr::memrchr(b'"', address)?)?;
        let is_same = inside.get(length) == Some(&b'>') && is_same_unquoted(local, &text[..at]);
        is_same.then_some(at + 2 + length + 1)
    })
}

/// True when `address` is `local` without its escapes, perhaps in lower case, and perhaps a domain.
fn is_same_unquoted(local: &[u8], address: &[u8]) -> bool {
    let mut address = address.iter();
    let mut bytes = local.iter();
    while let Some(byte) = bytes.next() {
        let byte = if *byte == b'\\' { bytes.next().unwrap_or(byte) } else { byte };
        if !address.next().is_some_and(|other| other.eq_ignore_ascii_case(byte)) {
            return false;
        }
    }
    matches!(address.next(), None | Some(b'@'))
}
