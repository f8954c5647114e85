//! What HAProxy can write for a value: the bytes, the escapes, the quotes, and what stands for nothing.
//!
//! ```text
//! %ci 10.0.0.1  %{+X}ci 0A000001  %TR -1  %B +2750  %{+Q}r "GET /#22 HTTP/1.1"  %hr {a#7Cb|}  %{+Q}CC ""
//! ```
//!
//! Only captures and the parts of the request are escaped as `#XX`. Cookies, and every `%[…]`, are written as they
//! came, so that they may hold blanks and quotes; `+E` puts a backslash before `"`, `\` and `]`. Where a value ends
//! for sure is therefore a question of its grammar *and* its flags: [`Grammar::may_hold`].

/// The flags in force at an item: its own, after those of the last `%o` before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    /// `+Q`: text is put between quotes. Numbers and dates of aliases never are.
    pub quote: bool,
    /// `+X`: addresses, ports, and the numbers of [`Grammar::Counter`] and its kin in capital hexadecimal digits. Never
    /// set at an expression, which it does not change.
    pub hexa: bool,
    /// `+M`: `-` stands for what is missing. On from the start in `log-format`; `-M` turns it off.
    pub mandatory: bool,
    /// `+E`: a backslash before `"`, `\` and `]` in text. Without effect beside an encoding.
    pub escape: bool,
    /// `+bin`: bytes as they are. Only ever set by `%o`.
    pub bin: bool,
    /// `+json`, `+cbor`: how this value is encoded (HAProxy 3.0 and later; older ones ignore the flags).
    pub encoding: Encoding,
}

impl Flags {
    /// What is in force at the start of a `log-format`.
    pub const DEFAULT: Self =
        Self { quote: false, hexa: false, mandatory: true, escape: false, bin: false, encoding: Encoding::None };
}

/// How values are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Plain text.
    None,
    /// A JSON value: strings between quotes, numbers bare, `null` where nothing is written. Only `"` and `\` are
    /// escaped: a tab or another control character in raw text makes it invalid JSON.
    Json,
    /// CBOR, in capital hexadecimal digits; as bytes with `+bin`.
    Cbor,
}

/// What is written when there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// There always is one.
    Never,
    /// A dash.
    Dash,
    /// Two quotes. Also those of a value that is empty.
    Quotes,
    /// Nothing at all.
    Nothing,
    /// `null`, or its byte F6 in CBOR.
    Null,
}

/// How the bytes that a value must not show are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Escapes {
    /// `#` and two capital hexadecimal digits stand for a byte; a `#` is never anything else.
    pub hash: bool,
    /// A backslash stands before `"` and `\`, and without JSON before `]`; it is never anything else.
    pub backslash: bool,
}

/// How values of one kind are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grammar {
    /// Digits. `+X` does not change them.
    Number,
    /// Digits; with `+X` at least four hexadecimal ones (`%pid`, `%rt`, `%lc`).
    Counter,
    /// Milliseconds, -1 for a phase that was never reached.
    Timer,
    /// As [`Self::Timer`], behind a `+` when the line was written before the end (`option logasap`).
    TotalTimer,
    /// Digits, behind a `+` when the line was written before the end.
    Bytes,
    /// Digits, behind a `+` when the session was redispatched.
    Retries,
    /// A status code: 0 without an HTTP transaction, -1 when there was no response, otherwise three digits.
    Status,
    /// An IPv4 or IPv6 address, or `unix`. With `+X` 8 or 32 hexadecimal digits; a line with a UNIX socket ends there.
    Address,
    /// A port; for a UNIX socket the listener's number. With `+X` four hexadecimal digits. Quotes only when missing.
    Port,
    /// The name of a proxy or a server, or an applet's in angles: `<NOSRV>`, `<STATS>`, `<lua.NAME>`.
    Name,
    /// A frontend's name; `~` behind it, inside the quotes, when the listener speaks TLS.
    NameTls,
    /// A termination state of two characters, or of four with those of the cookie.
    Termination(u8),
    /// `06/Feb/2009:12:14:14.655`, local time without a zone.
    Date,
    /// `06/Feb/2009:12:14:14 +0000`.
    DateUtc,
    /// `06/Feb/2009:13:14:14 +0100`.
    DateLocal,
    /// Seconds since 1970; `+X` writes them in hexadecimal.
    Seconds,
    /// Three digits; two or three hexadecimal ones with `+X`; without leading zeros in JSON.
    Milliseconds,
    /// `NAME=VALUE` of a captured cookie, as it came: not escaped.
    Cookie,
    /// `{a|b}`, a value for every declared capture. Nothing, not even quotes or a dash, where none is declared.
    Captures,
    /// The captured values with a space between: each in quotes with `+Q`, a dash for a missing one without it, but
    /// nothing for an empty one; in JSON an array, with `"-"` for a missing one. Nothing where none is declared.
    CaptureList,
    /// `METHOD URI VERSION`, `<BADREQ>`, or less of it: the URI and what follows are cut at `tune.http.logurilen`.
    Request,
    /// The method, or `<BADREQ>`.
    Method,
    /// The URI, or `<BADREQ>`.
    Uri,
    /// The URI before its `?`. `%HPO` can be empty. A dash never stands for it.
    Path,
    /// The URI from its `?` on, with the `?`. Empty when there is none; a dash never stands for it.
    Query,
    /// `HTTP/1.1`, `<BADREQ>`; `HTTP/0.9` also where the URI was cut.
    Version,
    /// Text without blanks or control characters, as it came.
    Word,
    /// A whole number with its sign.
    Integer,
    /// `0` or `1`.
    Boolean,
    /// Capital hexadecimal digits.
    Hexadecimal,
    /// Base64 of either alphabet.
    Base64,
    /// Text in which all but letters, digits, `-`, `.`, `_` and `~` is written `%XX`.
    UrlEncoded,
    /// Anything, as it came: no byte is escaped without `+E`.
    Text,
}

use Grammar::*;

impl Grammar {
    /// True when a value can contain `byte`, its quotes apart. Of a JSON value, what is inside of its quotes.
    ///
    /// Never true for NUL and newline: HAProxy ends text at a NUL, and no line holds a newline. The backslash of an
    /// escape and the dash for nothing count as contained. True may be said once too often, false never.
    pub const fn may_hold(self, byte: u8, flags: Flags) -> bool {
        if byte == 0 || byte == b'\n' {
            return false;
        }
        match flags.encoding {
            Encoding::Cbor => flags.bin || is_hexadecimal(byte),
            Encoding::Json if byte == b'\\' => true,
            // true, false, null, and what a type in the item's name makes of a number.
            Encoding::Json if !self.is_quotable() => self.writes(byte, flags.hexa) || byte.is_ascii_lowercase(),
            Encoding::Json | Encoding::None => {
                self.writes(byte, flags.hexa) || (byte == b'"' && flags.quote && matches!(self, CaptureList))
            }
        }
    }

    const fn writes(self, byte: u8, hexa: bool) -> bool {
        let is_printable = matches!(byte, b' '..=b'~');
        match self {
            Number => byte.is_ascii_digit(),
            Counter | Seconds | Milliseconds => byte.is_ascii_digit() || (hexa && is_hexadecimal(byte)),
            Timer | Status | Integer => byte.is_ascii_digit() || byte == b'-',
            TotalTimer => byte.is_ascii_digit() || matches!(byte, b'-' | b'+'),
            Bytes | Retries => byte.is_ascii_digit() || byte == b'+',
            Address if hexa => is_hexadecimal(byte) || byte == b'-',
            Address => byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'.' | b'-'),
            Port => byte.is_ascii_digit() || byte == b'-' || (hexa && is_hexadecimal(byte)),
            // A Lua service may be called anything that is one word in the configuration.
            Name => byte != b' ' && byte != b'"' && is_printable,
            NameTls => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'.' | b'-' | b'~' | b'<' | b'>'),
            Termination(2) => is_one_of(byte, b"-LcCsSPRIDKUHQT"),
            Termination(_) => is_one_of(byte, b"-LcCsSPRIDKUHQTNVEO67"),
            Date => byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b':' | b'.'),
            DateUtc => byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b':' | b' ' | b'+'),
            DateLocal => byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b':' | b' ' | b'+' | b'-'),
            Captures | CaptureList | Request => is_printable && byte != b'"',
            Method | Uri | Query | Version => is_printable && byte != b'"' && byte != b' ',
            Path => is_printable && byte != b'"' && byte != b' ' && byte != b'?',
            Word => byte > b' ' && byte != 0x7f,
            Boolean => matches!(byte, b'0' | b'1' | b'-'),
            Hexadecimal => is_hexadecimal(byte) || byte == b'-',
            Base64 => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_'),
            UrlEncoded => byte.is_ascii_alphanumeric() || matches!(byte, b'%' | b'-' | b'.' | b'_' | b'~'),
            Cookie | Text => true,
        }
    }

    /// True when HAProxy writes it as text, which an alias with `+Q` has in quotes. ([`super::Item::is_quoted`] tells
    /// for an item: what `%[…]` yields is always text.)
    pub const fn is_quotable(self) -> bool {
        match self {
            Number | Counter | Timer | TotalTimer | Bytes | Retries | Status | Port => false,
            Termination(_) | Date | DateUtc | DateLocal | Seconds | Milliseconds | Integer | Boolean => false,
            Address | Name | NameTls | Cookie | Captures | CaptureList | Request | Method | Uri | Path => true,
            Query | Version | Word | Hexadecimal | Base64 | UrlEncoded | Text => true,
        }
    }

    /// How the value is escaped.
    pub const fn escapes(self, flags: Flags) -> Escapes {
        let is_encoded = matches!(self, Captures | CaptureList | Request | Method | Uri | Path | Query | Version);
        let backslash = match flags.encoding {
            Encoding::None => flags.escape,
            Encoding::Json => true,
            Encoding::Cbor => false,
        };
        Escapes { hash: is_encoded, backslash: backslash && self.is_quotable() }
    }

    /// What an alias writes when it has no value. ([`super::Item::missing`] tells for any item.)
    pub const fn missing(self, flags: Flags) -> Missing {
        match self {
            Address | Port | Name | Cookie | Word | Hexadecimal | Base64 | UrlEncoded | Text => Missing::of_text(flags),
            Captures | CaptureList => match flags.encoding {
                Encoding::None => Missing::Nothing,
                Encoding::Json | Encoding::Cbor => Missing::Null,
            },
            Path | Query => match flags.encoding {
                Encoding::None if !flags.quote => Missing::Nothing,
                Encoding::None | Encoding::Json => Missing::Quotes,
                Encoding::Cbor => Missing::Nothing,
            },
            Number | Counter | Timer | TotalTimer | Bytes | Retries | Status | NameTls | Termination(_) => {
                Missing::Never
            }
            Date | DateUtc | DateLocal | Seconds | Milliseconds | Request | Method | Uri | Version => Missing::Never,
            Integer | Boolean => Missing::Never,
        }
    }
}

impl Missing {
    /// What stands for text that is missing or empty: what every `%[…]` writes then, whatever its type.
    pub const fn of_text(flags: Flags) -> Self {
        match flags.encoding {
            Encoding::Json => Self::Quotes,
            Encoding::Cbor => Self::Null,
            Encoding::None if flags.quote => Self::Quotes,
            Encoding::None if flags.mandatory => Self::Dash,
            Encoding::None => Self::Nothing,
        }
    }
}

const fn is_hexadecimal(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'A'..=b'F')
}

const fn is_one_of(byte: u8, set: &[u8]) -> bool {
    let mut rest = set;
    while let [first, others @ ..] = rest {
        if *first == byte {
            return true;
        }
        rest = others;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Flags = Flags::DEFAULT;
    const QUOTED: Flags = Flags { quote: true, ..PLAIN };
    const HEXA: Flags = Flags { hexa: true, ..PLAIN };
    const ESCAPED: Flags = Flags { escape: true, ..PLAIN };
    const JSON: Flags = Flags { encoding: Encoding::Json, ..PLAIN };

    #[track_caller]
    fn holds(grammar: Grammar, flags: Flags, value: &str) {
        for byte in value.bytes() {
            assert!(grammar.may_hold(byte, flags), "{grammar:?} {value:?} {:?}", char::from(byte));
        }
    }

    #[track_caller]
    fn ends_at(grammar: Grammar, flags: Flags, delimiters: &str) {
        for byte in delimiters.bytes() {
            assert!(!grammar.may_hold(byte, flags), "{grammar:?} {:?}", char::from(byte));
        }
    }

    #[test]
    fn values_hold_their_bytes() {
        for (grammar, values) in [
            (Number, &["0", "12"][..]),
            (Timer, &["-1", "0", "30"]),
            (TotalTimer, &["+12", "-1"]),
            (Bytes, &["+2750", "0"]),
            (Retries, &["+3", "0"]),
            (Status, &["-1", "0", "503"]),
            (Address, &["10.0.0.1", "::ffff:10.0.0.1", "2001:db8::1", "unix", "-"]),
            (Port, &["65535", "-"]),
            (Name, &["<NOSRV>", "<STATS>", "<lua.send/it>", "web-1:80", "-"]),
            (NameTls, &["www.in_1~"]),
            (Termination(2), &["--", "cD", "sQ", "PT", "IR", "UK"]),
            (Termination(4), &["CDNI", "--VN", "SHDP", "PR--", "----", "--E7", "--O6"]),
            (Date, &["06/Feb/2009:12:14:14.655"]),
            (DateUtc, &["06/Feb/2009:12:14:14 +0000"]),
            (DateLocal, &["06/Feb/2009:12:14:14 -0330"]),
            (Milliseconds, &["007"]),
            (Captures, &["{a#7Cb|curl/7.0 (x)}"]),
            (Request, &["GET /#22?a={b}#23 HTTP/1.1", "<BADREQ>"]),
            (Query, &["?a=b", "<BADREQ>"]),
            (Boolean, &["0", "1", "-"]),
            (Text, &["any \"thing\" \\ \t\u{e9}"]),
            (Cookie, &["a=\"b; c\""]),
        ] {
            values.iter().for_each(|value| holds(grammar, PLAIN, value));
        }
        holds(Address, HEXA, "0A000001");
        holds(Port, HEXA, "1F90");
        holds(Counter, HEXA, "00AB");
        holds(CaptureList, QUOTED, "\"a b\" \"\"");
        holds(Timer, JSON, "null");
        holds(Text, JSON, "a\\\"b");
    }

    #[test]
    fn values_end_at_what_they_never_hold() {
        ends_at(Number, PLAIN, "+-/: x");
        ends_at(Timer, PLAIN, "+/: ");
        ends_at(Bytes, PLAIN, "-/ ");
        ends_at(Status, PLAIN, "+ \"");
        ends_at(Address, PLAIN, " []/\"|");
        ends_at(Address, HEXA, "abcdef:. ");
        ends_at(Port, PLAIN, ":A ");
        ends_at(Counter, PLAIN, "A ");
        ends_at(NameTls, PLAIN, " /\"|");
        ends_at(Name, PLAIN, " \"");
        ends_at(Termination(2), PLAIN, "N6 ");
        ends_at(Date, PLAIN, " ]+");
        ends_at(DateUtc, PLAIN, "]-.");
        ends_at(Captures, PLAIN, "\"\t\u{7f}");
        ends_at(Request, PLAIN, "\"\t");
        ends_at(Method, PLAIN, " \"");
        ends_at(Path, PLAIN, " ?\"");
        ends_at(Query, PLAIN, " \"");
        ends_at(Word, PLAIN, " \t");
        for grammar in [Text, Cookie, Captures, Word] {
            ends_at(grammar, PLAIN, "\n\0");
            ends_at(grammar, JSON, "\n\0");
        }
    }

    #[test]
    fn bytes_beyond_ascii_are_all_alike() {
        let grammars = [
            &[Number, Counter, Timer, TotalTimer, Bytes, Retries, Status, Address, Port, Name][..],
            &[
                NameTls,
                Termination(2),
                Termination(4),
                Date,
                DateUtc,
                DateLocal,
                Seconds,
                Milliseconds,
                Cookie,
                Captures,
            ],
            &[CaptureList, Request, Method, Uri, Path, Query, Version, Word, Integer, Boolean],
            &[Hexadecimal, Base64, UrlEncoded, Text],
        ];
        let cbor = Flags { encoding: Encoding::Cbor, ..PLAIN };
        let binary = Flags { bin: true, ..cbor };
        for grammar in grammars.concat() {
            for flags in [PLAIN, QUOTED, HEXA, ESCAPED, JSON, cbor, binary] {
                let first = grammar.may_hold(0x80, flags);
                assert!((0x81..=0xff).all(|byte| grammar.may_hold(byte, flags) == first), "{grammar:?}");
            }
        }
    }

    #[test]
    fn what_stands_for_nothing_depends_on_the_flags() {
        let optional = Flags { mandatory: false, ..PLAIN };
        for (grammar, [plain, quoted, bare, json]) in [
            (Text, [Missing::Dash, Missing::Quotes, Missing::Nothing, Missing::Quotes]),
            (Cookie, [Missing::Dash, Missing::Quotes, Missing::Nothing, Missing::Quotes]),
            (Port, [Missing::Dash, Missing::Quotes, Missing::Nothing, Missing::Quotes]),
            (Captures, [Missing::Nothing, Missing::Nothing, Missing::Nothing, Missing::Null]),
            (Query, [Missing::Nothing, Missing::Quotes, Missing::Nothing, Missing::Quotes]),
            (Timer, [Missing::Never, Missing::Never, Missing::Never, Missing::Never]),
            (Request, [Missing::Never, Missing::Never, Missing::Never, Missing::Never]),
        ] {
            let found = [PLAIN, QUOTED, optional, JSON].map(|flags| grammar.missing(flags));
            assert_eq!(found, [plain, quoted, bare, json], "{grammar:?}");
        }
    }

    #[test]
    fn escapes_are_those_of_the_maps() {
        assert_eq!(Request.escapes(PLAIN), Escapes { hash: true, backslash: false });
        assert_eq!(Captures.escapes(ESCAPED), Escapes { hash: true, backslash: true });
        assert_eq!(Text.escapes(PLAIN), Escapes { hash: false, backslash: false });
        assert_eq!(Text.escapes(QUOTED), Escapes { hash: false, backslash: false });
        assert_eq!(Cookie.escapes(ESCAPED), Escapes { hash: false, backslash: true });
        assert_eq!(Text.escapes(JSON), Escapes { hash: false, backslash: true });
        assert_eq!(Number.escapes(ESCAPED), Escapes { hash: false, backslash: false });
    }
}
