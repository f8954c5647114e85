//! Why something was refused, by the words of Postfix's own replies (`smtpd_check.c`, `postscreen*.c`).
//!
//! A reply is `<WHAT>: CLASS rejected: WORDS`, `<WHAT>: WORDS` or `WORDS`. What stands in the brackets is the client's;
//! the class is Postfix's; the words are Postfix's, or those of an access table or a policy service. DNS lists follow
//! `default_rbl_reply`: `Service unavailable; CLASS [WHAT] blocked using LIST; …`.

use super::scan;
use super::words::Cause;

/// What of a client, by the class that a reply names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Client,
    Helo,
    Sender,
    Recipient,
    Other,
}

/// The words that decide, whatever the class.
const WORDS: [(&[u8], Cause); 24] = [
    (b"Relay access denied", Cause::RelayDenied),
    (b"User unknown", Cause::RecipientUnknown),
    (b"undeliverable address", Cause::RecipientUnknown),
    (b"Access denied", Cause::Access),
    (b"not owned by user", Cause::Auth),
    (b"not logged in", Cause::Auth),
    (b"Improper use of SMTP command pipelining", Cause::Protocol),
    (b"unverified address", Cause::Temporary),
    (b"address verification problem", Cause::Temporary),
    (b"Temporary lookup", Cause::Temporary),
    (b"Server configuration error", Cause::Temporary),
    (b"Try again later", Cause::Access),
    (b"defer_if_", Cause::Access),
    (b"Session encryption is required", Cause::Tls),
    (b"Must issue a STARTTLS command first", Cause::Tls),
    (b"Client certificate not trusted", Cause::Tls),
    (b"No client certificate presented", Cause::Tls),
    (b"Message size exceeds", Cause::Size),
    (b"Insufficient system storage", Cause::Storage),
    (b"bare <LF> received", Cause::Protocol),
    (b"Protocol error", Cause::Protocol),
    (b"too many connections", Cause::RateLimit),
    (b"all server ports busy", Cause::RateLimit),
    (b"all screening ports busy", Cause::RateLimit),
];

/// What a reply says: its three digits, and its text without codes.
pub(super) fn of(code: Option<u16>, text: &[u8]) -> Cause {
    if text.first() != Some(&b'<') {
        if let Some(words) = text.strip_prefix(b"Service ") {
            return service(code, words);
        }
        return classed(text);
    }
    // The client's own words can hold anything, even the end of their brackets: the first end with a reply behind it
    // that the table knows is the right one, otherwise the first.
    let mut ends = memchr::memchr_iter(b'>', text).filter_map(|end| text.get(end + 1..)?.strip_prefix(b": "));
    let Some(first) = ends.next() else { return Cause::Other };
    match classed(first) {
        Cause::Other => ends.map(classed).find(|cause| *cause != Cause::Other).unwrap_or(Cause::Other),
        cause => cause,
    }
}

/// Behind `Service `: a DNS list, postscreen's request to come again or its answer to those on a deny list, or a service
/// that did not answer.
fn service(code: Option<u16>, words: &[u8]) -> Cause {
    if words.starts_with(b"currently unavailable") {
        if code.is_some_and(|code| code < 500) { Cause::Greylist } else { Cause::Access }
    } else if words.starts_with(b"unavailable; ") && memchr::memmem::find(words, b" blocked using ").is_some() {
        Cause::Dnsbl
    } else if words.starts_with(b"unavailable") {
        Cause::Temporary
    } else {
        Cause::Other
    }
}

/// `CLASS rejected: WORDS`, `CLASS triggers …` or `WORDS`.
fn classed(text: &[u8]) -> Cause {
    const CLASSES: [(&[u8], Class); 10] = [
        (b"Recipient address ", Class::Recipient),
        (b"Sender address ", Class::Sender),
        (b"Helo command ", Class::Helo),
        (b"Client host ", Class::Client),
        (b"Unverified Client host ", Class::Client),
        (b"Client certificate ", Class::Other),
        (b"SASL login name ", Class::Other),
        (b"Etrn command ", Class::Other),
        (b"Data command ", Class::Other),
        (b"End-of-data ", Class::Other),
    ];
    let class = CLASSES.iter().find(|(words, _)| scan::begins(text, words));
    match class {
        Some((class_words, class)) => match text[class_words.len()..].strip_prefix(b"rejected: ") {
            Some(words) => refused(*class, words),
            None => Cause::Access,
        },
        None => words(text),
    }
}

/// What Postfix's own words, or those of the administrator or a policy service, say of something of a class.
fn refused(class: Class, text: &[u8]) -> Cause {
    match words(text) {
        Cause::RecipientUnknown if class == Class::Sender => return Cause::Sender,
        Cause::Other => {}
        cause => return cause,
    }
    if text.starts_with(b"Service unavailable") {
        return Cause::Temporary;
    }
    if contains(text, b"greylist") || contains(text, b"graylist") {
        return Cause::Greylist;
    }
    if [&b"spf"[..], b"dkim", b"dmarc"].iter().any(|word| contains(text, word)) {
        return Cause::Authentication;
    }
    if contains(text, b"rate limit") || contains(text, b"too many") {
        return Cause::RateLimit;
    }
    match class {
        Class::Client if text.starts_with(b"cannot find your") => Cause::Rdns,
        Class::Client => Cause::Access,
        Class::Helo => Cause::Helo,
        Class::Sender => Cause::Sender,
        Class::Recipient if is_about_address(text) => Cause::Recipient,
        Class::Recipient | Class::Other => Cause::Policy,
    }
}

/// True for Postfix's own words about an address that cannot be right.
fn is_about_address(text: &[u8]) -> bool {
    const WORDS: [&[u8]; 8] = [
        b"Domain ",
        b"Host not found",
        b"Malformed DNS server reply",
        b"need fully-qualified",
        b"Invalid name",
        b"invalid ip address",
        b"Unable to ",
        b"Multi-recipient bounce",
    ];
    WORDS.iter().any(|words| scan::begins(text, words))
}

/// What the fixed table says of words.
fn words(text: &[u8]) -> Cause {
    WORDS.iter().find(|(words, _)| scan::begins(text, words)).map_or(Cause::Other, |(_, cause)| *cause)
}

/// True when `text` holds `word` (lower case) in any case.
fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}
