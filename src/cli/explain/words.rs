//! What is said of a single item of a log-format: its fields, how it is written, what stands for nothing.

use tailmeter_parsers::haproxy::Means;
use tailmeter_parsers::haproxy::config::Format;
use tailmeter_parsers::haproxy::format::alias::ALIASES;
use tailmeter_parsers::haproxy::format::{Flags, Grammar, Item, Missing, Place};

use super::Headers;

/// What is said of a value that is not written at all.
pub(in super::super) const NO_TEXT: &str = "no text";

/// What asks for `text`, if it is one of HAProxy's own formats.
pub(super) fn usual(text: &str) -> Option<&'static str> {
    let formats = [Format::HttpLog, Format::HttpsLog, Format::TcpLog, Format::HttpLogClf, Format::TcpLogClf];
    formats.iter().find(|format| format.text() == text.as_bytes()).map(Format::as_str)
}

/// What `tailmeter parse` calls the values of `item`.
pub(super) fn fields(item: &Item, headers: Headers<'_>) -> Vec<String> {
    let (Some(name), Some(grammar)) = (item.field(), item.grammar()) else { return Vec::new() };
    let mut fields = names(name, grammar);
    let place = [Place::RequestHeaders, Place::ResponseHeaders].into_iter().find(|place| place.field() == name);
    if let Some(place) = place.filter(|_| matches!(grammar, Grammar::Captures | Grammar::CaptureList)) {
        fields.extend(headers.fields(place));
    }
    fields
}

/// What a field called `name` becomes, which is written by `grammar`.
pub(in super::super) fn names(name: &str, grammar: Grammar) -> Vec<String> {
    let names: &[&str] = match grammar {
        Grammar::NameTls => &[name, "ssl"],
        Grammar::Retries => &[name, "redispatched"],
        Grammar::Bytes | Grammar::TotalTimer => &[name, "logasap"],
        Grammar::Request => &["http_request_method", "http_request_path", "http_request_query", "http_version"],
        Grammar::Uri => &["http_request_path", "http_request_query"],
        _ => &[name],
    };
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// How the values of `item` are written.
pub(super) fn written(item: &Item) -> String {
    let Some(grammar) = item.grammar() else { return String::new() };
    let mut text = form(grammar, item.flags).to_owned();
    if item.is_quoted() && grammar != Grammar::Captures {
        text.push_str(", in quotes");
    }
    if grammar.escapes(item.flags).backslash {
        text.push_str(", a backslash before \" \\ and ]");
    }
    text
}

/// The form of values, in a few words.
pub(in super::super) const fn form(grammar: Grammar, flags: Flags) -> &'static str {
    match grammar {
        Grammar::Address if flags.hexa => "8 or 32 hexadecimal digits",
        Grammar::Counter | Grammar::Port | Grammar::Seconds | Grammar::Milliseconds if flags.hexa => {
            "hexadecimal digits"
        }
        Grammar::Number | Grammar::Counter | Grammar::Port => "digits",
        Grammar::Timer => "milliseconds",
        Grammar::TotalTimer => "milliseconds, + if not final",
        Grammar::Bytes => "digits, + if not final",
        Grammar::Retries => "digits, + if redispatched",
        Grammar::Status => "three digits, or 0",
        Grammar::Address => "IPv4 or IPv6 address, or unix",
        Grammar::Name => "name",
        Grammar::NameTls => "name, and ~ if over TLS",
        Grammar::Termination(2) => "two characters",
        Grammar::Termination(_) => "four characters",
        Grammar::Date => "06/Feb/2009:12:14:14.655",
        Grammar::DateUtc => "06/Feb/2009:12:14:14 +0000",
        Grammar::DateLocal => "06/Feb/2009:13:14:14 +0100",
        Grammar::Seconds => "seconds since 1970",
        Grammar::Milliseconds => "three digits",
        Grammar::Cookie => "NAME=VALUE, as it came",
        Grammar::Captures => "{a|b}, #XX escapes",
        Grammar::CaptureList => "a b, #XX escapes",
        Grammar::Request => "request line, #XX escapes",
        Grammar::Method => "word, #XX escapes",
        Grammar::Uri => "URI, #XX escapes",
        Grammar::Path => "path, #XX escapes",
        Grammar::Query => "?query, #XX escapes",
        Grammar::Version => "HTTP/1.1",
        Grammar::Word => "text without blanks",
        Grammar::Integer => "whole number",
        Grammar::Boolean => "0 or 1",
        Grammar::Hexadecimal => "hexadecimal digits",
        Grammar::Base64 => "Base64",
        Grammar::UrlEncoded => "URL-encoded text",
        Grammar::Text => "any text, as it came",
    }
}

/// What stands for no value in `item`.
pub(super) fn nothing(item: &Item) -> String {
    let Some(grammar) = item.grammar() else { return String::new() };
    absent(item.canonical().unwrap_or_default(), grammar, item.missing()).join(" or ")
}

/// What stands for no value in `field`, which is written by `grammar`; `missing` is what its flags make of that.
pub(in super::super) fn absent(field: &str, grammar: Grammar, missing: Missing) -> Vec<&'static str> {
    let own = match grammar {
        Grammar::Timer | Grammar::TotalTimer | Grammar::Status => Some("-1"),
        Grammar::Request | Grammar::Method | Grammar::Uri | Grammar::Path | Grammar::Version => Some("<BADREQ>"),
        Grammar::Name if field == Place::ServerName.field() => Some("<NOSRV>"),
        _ => None,
    };
    let written = match missing {
        Missing::Never => None,
        Missing::Dash => Some("-"),
        Missing::Quotes => Some("\"\""),
        Missing::Nothing => Some(NO_TEXT),
        Missing::Null => Some("null"),
    };
    own.into_iter().chain(written).collect()
}

/// The items of which one has to be added to have one of `places`. Those that are `unread` are there already.
pub(super) fn addition(places: &[Place], means: Means, unread: &[&Item]) -> String {
    let is_there = |place: &&Place| unread.iter().any(|item| item.canonical() == Some(place.field()));
    if let Some(letters) = places.iter().find(is_there).and_then(|place| item(*place, means)) {
        return format!("{letters} with something before and behind it that tells where it ends");
    }
    let items = places.iter().filter_map(|place| item(*place, means)).collect::<Vec<_>>();
    items.join(" or ")
}

/// The item that is `place` in lines about `means`; `None` where a session has no such thing.
fn item(place: Place, means: Means) -> Option<String> {
    let letters = match place {
        Place::FrontendName => "ft",
        Place::TerminationState if means == Means::Http => "tsc",
        Place::RequestHeaders => return Some("%hr, and a line 'capture request header' in the frontend".to_owned()),
        Place::ResponseHeaders => return Some("%hs, and a line 'capture response header' in the frontend".to_owned()),
        // The whole of a session is %Tt, that of a request %Ta.
        Place::TimeTotal | Place::TimeActive if !is_total_of(place, means) => return None,
        _ => match ALIASES.iter().find(|alias| alias.field == place.field()) {
            Some(alias) if alias.is_http && means == Means::Tcp => return None,
            Some(alias) => alias.letters,
            None => return Some(format!("%[{}]", place.field())),
        },
    };
    Some(format!("%{letters}"))
}

fn is_total_of(place: Place, means: Means) -> bool {
    (place == Place::TimeTotal) == (means == Means::Tcp)
}

/// True when the label `name` says something of requests, which sessions do not have.
pub(super) fn is_of_requests(name: &str) -> bool {
    name.starts_with("http_") || name == "status_code" || name.contains("_header_")
}

#[cfg(test)]
mod tests {
    use tailmeter_parsers::haproxy::format::lex;

    use super::*;

    fn is_value(item: &Item) -> bool {
        item.grammar().is_some()
    }

    #[test]
    fn what_is_to_be_added_is_the_field() {
        for means in [Means::Http, Means::Tcp] {
            for place in
                [Place::FrontendName, Place::TerminationState, Place::TimeQueue, Place::FcErrStr, Place::SslFcSni]
            {
                let text = addition(&[place], means, &[]);
                let format = lex(&text).unwrap_or_else(|mistake| panic!("{text}: {mistake:?}"));
                let fields: Vec<_> = format.items.iter().filter(|item| is_value(item)).map(Item::canonical).collect();
                assert_eq!(fields, [Some(place.field())], "{text}");
            }
        }
        let times = [Place::TimeRequest, Place::TimeQueue, Place::TimeTotal];
        assert_eq!(addition(&times, Means::Tcp, &[]), "%Tw or %Tt");
    }

    #[test]
    fn items_are_told_as_written() {
        let text = "%{+Q}o x%(a:str){-Q}ci %{+X}[src,lower]%hr";
        let items = lex(text).map(|format| format.items).unwrap_or_default();
        let written: Vec<_> = items.iter().filter(|item| is_value(item)).map(|item| item.written(text)).collect();
        assert_eq!(written, ["%(a:str){-Q}ci", "%{+X}[src,lower]", "%hr"]);
    }
}
