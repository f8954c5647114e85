//! LOG_FORMAT.md: every item of HAProxy's log-formats, from the tables of the compiler that reads them, and what holds for
//! all of them. What is said there is tried in the tests below.

use std::fmt::{self, Write};

use tailmeter_parsers::haproxy::format::alias::ALIASES;
use tailmeter_parsers::haproxy::format::{Flags, Grammar, Layout, fetches};

use super::cell;
use crate::cli::explain::words::{NO_TEXT, absent, form, names};

const INTRODUCTION: &str = "\
# HAProxy's log-formats

Generated from the program's tables; do not edit. After a change: `UPDATE=1 cargo test --test generated`.

HAProxy writes its lines by a *log-format* (its configuration manual, chapter 8.2.6). tailmeter takes the same text, makes a reader of it, and
reads lines by that. `tailmeter explain` shows for any log-format, and for a whole haproxy.cfg, what comes of it: fields, metrics, labels,
and what cannot be told apart.

| What says how lines are written | |
|---|---|
| nothing | HAProxy's own formats: `option httplog`, `httpslog`, `tcplog`, `httplog clf`, `tcplog clf`, told apart line by line |
| `--log-format STRING`, `format: {log_format: STRING}` | All lines are written by this one: as it stands between the quotes of haproxy.cfg |
| `--haproxy-config FILE`, `format: {haproxy_config: FILE}` | Every frontend's lines are written as this haproxy.cfg says, with what it inherits from `defaults`: `log-format`, `error-log-format`, HAProxy's own formats, and those of the `log-profile` sections that its `log` lines name. The names of captured headers come from it, too. Variables are those of tailmeter's own environment and of `setenv`. A folder stands for its `.cfg` files |

The options are the same for `run`, `replay`, `parse` and `explain`; `format:` belongs to a source of the configuration file, and comes
before the options there.

With a haproxy.cfg, a line that names its frontend (`%ft`, `%f`) is only taken for one of that frontend's, and the mode of the frontend decides
whether lines are about requests or sessions. Without one, lines are about requests when the log-format has an item that only HTTP has, or
`%ST`. Lines of `error-log-format` are about connections that failed. Of a session that has several lines (`%OG` tells, or a `log-profile`), the last
one counts. A line counts in those metrics whose fields it has.

Messages that HAProxy writes in words of its own, on servers, checks and failed connections, are read beside any log-format.

## Where values end

- **A value ends where the text that follows it in the log-format begins**, if the value cannot hold that text: a number ends before a `/`, a
  name before a blank.
- Dates and termination states have a fixed length. Captures end with their brace. In `%ci:%cp` the last `:` counts, so that addresses of IPv6
  are read.
- `%HP%HQ` is read: a path ends before the `?`.
- With `+Q` a value ends at the quote and what follows it.
- Where a value can hold the text that follows it (`%[var(txn.a)]` before a blank), the first place is taken from which the rest of the
  line can be read. That is certain as long as what follows cannot hold that text itself: numbers, dates, names.
- A line may end early: what was cut on its way counts with the values that it has, as soon as it has those up to the names of frontend,
  backend and server.

## What cannot be told apart

`explain` says all of this with its column; `run`, `replay` and `parse` warn of it.

- **Two values with nothing between them**, of which the first can hold what the second begins with: `%B%Ta`, `%ci%cp`. Neither is read;
  the rest of the line is.
- **Two values that can both hold what stands between them**: `%[var(txn.a)] %[var(txn.b)]`. It is a guess where the first one ends when one of
  them does hold a blank. Quotes help: `%{+Q}[var(txn.a)] %{+Q}[var(txn.b)]`.

## What cannot be read

- A log-format that has a mistake: HAProxy refuses it, and so does tailmeter, with the column. What HAProxy drops without a word (`%&`) is a note.
";

const ITEMS: &str = "
## Items

*Field* is the name in `tailmeter parse`, which is null for what stands for nothing. *For nothing* is without flags: `+Q` writes `\"\"` in
place of a dash. Where a field has two items, the first one in the line counts. `#XX` escapes are left as they are.

| Item | Field | Unit | Written as | For nothing | As an expression | Since | Only in HTTP |
|---|---|---|---|---|---|---|---|
";

const FETCHES: &str = "
## Sample expressions

`%[fetch(arguments),converter,…]`, without arguments. `-` stands for nothing, with `+Q` `\"\"`. The grammar is that before converters.

| Fetch | Field | Unit | Written as | Since |
|---|---|---|---|---|
";

const OTHERS: &str = "
| Fetch with arguments | Field |
|---|---|
| `capture.req.hdr(N)`, `capture.res.hdr(N)` | `request_header_M`, `response_header_M`: M is N + 1, since HAProxy counts from 0 here |
| `var(SCOPE.NAME)` | `SCOPE.NAME` |
| any other | its own text, as it is written between the brackets |

HAProxy refuses some fetches in a log-format, because the request is gone when the line is written: `path`, `query`, `url`, `pathq`, `req.ver`,
`req.hdr(NAME)`, `res.hdr(NAME)` and their kin. `capture.req.*`, the items above and variables say the same.

A field keeps its name behind converters that leave its meaning alone: `hex`, `ipmask`, `json`, `lower`, `upper`, `ltrim`, `rtrim`, `cut_crlf`, `url_enc`,
`url_dec`, `set-var`, `debug`, `when`. Behind others it is called by its own text. `%(NAME)…` of HAProxy 3.0 and later calls a field as one likes; it
still counts as what it is. Labels of headers come from `%hr`, `%hrl`, `%hs` and `%hsl`, not from expressions.

*Since* is the first version of HAProxy that has it; 2.4 for that one or an earlier one.
";

/// The text of LOG_FORMAT.md.
pub fn log_format() -> String {
    let mut text = INTRODUCTION.to_owned();
    // Writing to a String cannot fail.
    let _ = write_limits(&mut text);
    text.push_str(ITEMS);
    let _ = write_items(&mut text);
    text.push_str(FETCHES);
    let _ = write_fetches(&mut text);
    text.push_str(OTHERS);
    text
}

/// What the compiler refuses, in its own words.
fn write_limits(text: &mut String) -> fmt::Result {
    let many = "%ci ".repeat(1000);
    for (shown, tried) in [
        ("`%{+json}o %(a)ci`", "%{+json}o %(a)ci"),
        ("`%{+cbor}o %(a)ci`", "%{+cbor}o %(a)ci"),
        ("A thousand times `%ci`", many.as_str()),
        ("A text without a `%`", "text"),
    ] {
        if let Err(mistake) = Layout::of(tried) {
            writeln!(text, "- {shown}: {}.", mistake.message)?;
        }
    }
    Ok(())
}

fn write_items(text: &mut String) -> fmt::Result {
    for alias in ALIASES {
        let names = names(alias.field, alias.grammar);
        let nothing = code(&absent(alias.field, alias.grammar, alias.grammar.missing(Flags::DEFAULT)));
        let is_gone = |name: &str| fetches().any(|fetch| fetch.name == name && fetch.is_gone);
        let fetch = alias.fetch.filter(|fetch| !is_gone(fetch));
        let fetch = fetch.map(|fetch| format!("`%[{}]`", cell(fetch))).unwrap_or_default();
        let (letters, since) = (alias.letters, alias.since);
        let http = if alias.is_http { "yes" } else { "" };
        let (names, unit, form) = (code(&names), unit(alias.field, alias.grammar), words(alias.grammar));
        writeln!(text, "| `%{letters}` | {names} | {unit} | {form} | {nothing} | {fetch} | {since} | {http} |")?;
    }
    Ok(())
}

fn write_fetches(text: &mut String) -> fmt::Result {
    for fetch in fetches().filter(|fetch| !fetch.is_gone) {
        let (name, since) = (fetch.name, fetch.since);
        let (names, unit, form) =
            (code(&names(fetch.field, fetch.grammar)), unit(fetch.field, fetch.grammar), words(fetch.grammar));
        writeln!(text, "| `{name}` | {names} | {unit} | {form} | {since} |")?;
    }
    Ok(())
}

fn code<S: AsRef<str>>(words: &[S]) -> String {
    let code = |word: &S| match word.as_ref() {
        NO_TEXT => NO_TEXT.to_owned(),
        word => format!("`{word}`"),
    };
    words.iter().map(code).collect::<Vec<_>>().join(", ")
}

fn words(grammar: Grammar) -> String {
    cell(form(grammar, Flags::DEFAULT)).replace('<', "\\<")
}

/// What the numbers of a field count.
fn unit(field: &str, grammar: Grammar) -> &'static str {
    match grammar {
        Grammar::Timer | Grammar::TotalTimer | Grammar::Milliseconds => "milliseconds",
        Grammar::Seconds => "seconds",
        _ if field == "accept_date_seconds" => "seconds",
        _ if field.contains("bytes") => "bytes",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use tailmeter_parsers::envelope;
    use tailmeter_parsers::haproxy::format::{Kind, Spans, Value, lex};

    use super::*;

    /// The fields of `line` by `format`, those of the line as a whole left out.
    fn read(format: &str, line: &str) -> Vec<(String, Option<String>)> {
        let layout = Layout::of(format).unwrap_or_else(|mistake| panic!("{format}: {mistake:?}"));
        let (mut spans, mut fields) = (Spans::default(), Vec::new());
        let whole = envelope::detect(line.as_bytes());
        assert_eq!((whole.start, whole.end), (0, line.len()), "{line}");
        let record =
            layout.read(line.as_bytes(), &whole, &mut spans).unwrap_or_else(|reject| panic!("{line}: {reject}"));
        record.visit(&mut |name, value| {
            let value = match value {
                Value::Missing => None,
                Value::Number(number) => Some(number.to_string()),
                Value::Truth(truth) => Some(truth.to_string()),
                Value::Text(text) | Value::Captures(text) | Value::CaptureList(text) => {
                    Some(String::from_utf8_lossy(text).into_owned())
                }
            };
            fields.push((name.to_owned(), value));
        });
        fields.retain(|(name, _)| !["truncated", "logasap"].contains(&name.as_str()));
        fields
    }

    #[track_caller]
    fn reads(format: &str, line: &str, expected: &[(&str, &str)]) {
        let expected = expected.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())));
        assert_eq!(read(format, line), expected.collect::<Vec<_>>(), "{format}");
    }

    fn is_lossy(format: &str) -> bool {
        Layout::of(format).is_ok_and(|layout| layout.notes().iter().any(|note| note.is_lossy))
    }

    #[test]
    fn values_end_as_it_is_said() {
        reads(
            "%ci:%cp %ST",
            "2001:db8::1:443 200",
            &[("client_ip", "2001:db8::1"), ("client_port", "443"), ("status_code", "200")],
        );
        reads(
            "%HP%HQ %ST",
            "/a?b 200",
            &[("http_request_path", "/a"), ("http_request_query", "b"), ("status_code", "200")],
        );
        let (name, path) = ("http_request_path".to_owned(), "/a".to_owned());
        assert_eq!(read("%HP%HQ %ST", "/a 200").first(), Some(&(name, Some(path))));
        reads("%[var(txn.a)] %ST", "a b 1 200", &[("txn.a", "a b 1"), ("status_code", "200")]);
        let quoted = "%{+Q}[var(txn.a)] %{+Q}[var(txn.b)]";
        reads(quoted, "\"x y\" \"z\"", &[("txn.a", "x y"), ("txn.b", "z")]);
        reads(
            "%[var(txn.a)] %B %[var(txn.b)]",
            "x y 7 z z",
            &[("txn.a", "x y"), ("bytes_read", "7"), ("txn.b", "z z")],
        );
        for format in [quoted, "%HP%HQ %ST", "%ci:%cp %ST", "%[var(txn.a)] %ST", "%&%ci"] {
            assert!(!is_lossy(format), "{format}");
        }
    }

    #[test]
    fn what_cannot_be_told_apart_is_as_it_is_said() {
        reads("%B%Ta %ST", "12 200", &[("status_code", "200")]);
        reads("%ci%cp %ST", "10.0.0.1:5 200", &[("status_code", "200")]);
        for format in ["%B%Ta", "%ci%cp", "%[var(txn.a)] %[var(txn.b)]"] {
            assert!(is_lossy(format), "{format}");
        }
        assert_eq!(Layout::of("%&%ci").map(|layout| layout.notes().len()), Ok(1));
        assert!(Layout::of("%ci%").is_err());
    }

    #[test]
    fn lines_are_about_what_is_said() {
        for (format, is_http) in [("%ci %ST", true), ("%ci %Ta", true), ("%ci %B", false), ("%ci %Tt", false)] {
            assert_eq!(Layout::of(format).map(|layout| layout.is_http()), Ok(is_http), "{format}");
        }
    }

    #[test]
    fn expressions_are_called_as_is_said() {
        for (text, field) in [
            ("%[capture.req.hdr(0)]", "request_header_1"),
            ("%[var(txn.a),url_dec]", "txn.a"),
            ("%[path,length]", "path,length"),
            ("%[lua.x(1)]", "lua.x(1)"),
            ("%(mine)ci", "mine"),
        ] {
            let format = lex(text).unwrap_or_else(|mistake| panic!("{text}: {mistake:?}"));
            assert_eq!(format.items.first().and_then(|item| item.field()), Some(field), "{text}");
        }
        for converter in
            "hex ipmask json lower upper ltrim rtrim cut_crlf url_enc url_dec set-var debug when".split(' ')
        {
            let format = lex(&format!("%[src,{converter}]")).map(|format| format.items).unwrap_or_default();
            assert!(OTHERS.contains(&format!("`{converter}`")), "{converter}");
            assert_eq!(format.first().and_then(|item| item.canonical()), Some("client_ip"), "{converter}");
        }
    }

    #[test]
    fn the_expression_of_an_item_is_its_field_where_it_is_known() {
        for alias in ALIASES {
            let Some(fetch) = alias.fetch else { continue };
            let items = lex(&format!("%[{fetch}]")).map(|format| format.items).unwrap_or_default();
            let Some(Kind::Expression(expression)) = items.first().map(|item| &item.kind) else {
                panic!("{fetch} is no expression");
            };
            // Dates are written by converters: `accept_date` alone is a number.
            let is_known = fetches().any(|known| known.name == fetch);
            assert!(!is_known || expression.field == alias.field, "%{}: {}", alias.letters, expression.field);
        }
    }
}
