//! Log-formats whose lines, or single values, are JSON or CBOR: lines of HAProxy 3.0.11 and 3.2.26, whole, cut anywhere,
//! put into another order and with other members between theirs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use tailmeter_parsers::envelope;
use tailmeter_parsers::haproxy::format::{Layout, Place, Spans, Value};
use tailmeter_parsers::{Reason, Reject};

const JSON: &str = "%{+json}o %(client)ci %(port:sint)cp %(st:sint)ST %(t)t %(ft)ft %(b)b %(s)s %(hr)hr %(hrl)hrl %(hs)hs \
    %(r)r %(HQ)HQ %(cc)CC %(v)[var(txn.two)] %(vb:bool)[bool(true)] %(ta)Ta %(B)B %(rc)rc %(ts)ts %(n)[int(5)] \
    %(ns:str)[int(5)] %(lc){+X}lc %(bp)bp %(raw:raw)[var(txn.two)] %(bo)[var(txn.fl)]";
/// `%{-X}lc` was 171.
const LATER: &[u8] = br#"{"client": "127.0.0.1", "port": 39020, "st": 204, "t": "21/Nov/2026:16:24:10.548", "ft": "f1~", "b": "f1", "s": "<NOSRV>", "hr": "{example.org|a#7Cb#22c}", "hrl": ["example.org", "-"], "hs": null, "r": "GET /r?a=\\b HTTP/1.1", "HQ": "?a=\\b", "cc": "", "v": "te\"x\\\\t\tq \u00FF", "vb": true, "ta": 0, "B": 57, "rc": 0, "ts": "LR", "n": 5, "ns": "5", "lc": "00AB", "bp": "", "raw": te"x, "y": }q, "bo": false}"#;
const FIELDS: &str = r#"client=127.0.0.1 port=39020 st=204 t=21/Nov/2026:16:24:10.548 ft=f1 ssl=true b=f1 s= hr=example.org,a#7Cb#22c hrl=example.org, hs= http_request_method=GET http_request_path=/r http_request_query=a=\\b http_version=HTTP/1.1 HQ=a=\\b cc= v=te\"x\\\\t\tq \xff vb=true ta=0 B=57 rc=0 redispatched= ts=LR n=5 ns=5 lc=171 bp= raw=te\"x, \"y\": }q bo=false truncated=false"#;

const CBOR: &str = "%{+cbor}o %(client)ci %(port:sint)cp %(st:sint)ST %(st2)ST %(t)t %(ft)ft %(hr)hr %(hrl)hrl %(hs)hs \
    %(hsl)hsl %(r)r %(HQ)HQ %(cc)CC %(v)[var(txn.two)] %(vb:bool)[bool(true)] %(ta)Ta %(tas:sint)Ta %(B)B %(Bs:sint)B \
    %(rc)rc %(ts)ts %(n)[int(5)] %(ns:str)[int(5)] %(mi)ms %(lc)lc %(bp)bp %(bi)bi %(sslv)sslv";
const DIGITS: &[u8] = b"BF66636C69656E74693132372E302E302E3164706F727419E73062737418CC6373743218CC6174781832312F4E6F762F323032363A31363A32343A31302E3534386266747F626632FF6268727F617B6B6578616D706C652E6F7267617C6161632337436162632332326163617DFF6368726C9F7F6B6578616D706C652E6F7267FF7F6161632337436162632332326163FFFF626873F66368736CF661727F73474554202F723F613D6220485454502F312E31FF6248517F643F613D62FF626363F661766A746522785C74097120FF627662F562746100637461730061421839624273183962726300627473624C52616E05626E736135626D69190224626C6300626270F6626269F66473736C76F6FF";
const DECODED: &str = r#"client=127.0.0.1 port=59184 st=204 st2=204 t=21/Nov/2026:16:24:10.548 ft=f2 ssl=false hr=example.org,a#7Cb#22c hrl=example.org,a#7Cb#22c hs= hsl= http_request_method=GET http_request_path=/r http_request_query=a=b http_version=HTTP/1.1 HQ=a=b cc= v=te\"x\\t\tq \xff vb=true ta=0 tas=0 B=57 Bs=57 rc=0 redispatched= ts=LR n=5 ns=5 mi=548 lc=0 bp= bi= sslv= truncated=false"#;

const MIXED: &str = "%ci %{+json}[var(txn.x)] %{+json}ST%{+json}r-%{+cbor}B%{+cbor}ci %{+json}hrl %{+json}bp %{+json}HQ \
    %{+cbor}hr %{+cbor}[var(txn.none)] %{+cbor}ST %{+json}B:%{+json}[bool(true)] %{+json}ms";
const LINE: &[u8] = b"127.0.0.1 \"te\\\"x\\\\t\\tq \\u00FF\" 204\"GET /r?a=b HTTP/1.1\"-1839693132372E302E302E31 [\"example.org\"] \"\" \"?a=b\" 7F617B6B6578616D706C652E6F7267617DFF F6 1901F7 57:true 7";
const VALUES: &str = r#"client_ip=127.0.0.1 txn.x=te\"x\\t\tq \xff status_code=204 http_request_method=GET http_request_path=/r http_request_query=a=b http_version=HTTP/1.1 bytes_read=57 client_ip=127.0.0.1 request_headers=example.org backend_source_port= http_request_query=a=b request_headers=example.org txn.none= status_code=503 bytes_read=57 bool(true)=true accept_date_ms=7 truncated=false"#;

/// The fields of `line`, as far as `layout` reads it.
fn fields(layout: &Layout, line: &[u8], spans: &mut Spans) -> Result<Vec<String>, Reject> {
    let record = layout.read(line, &envelope::detect(line), spans)?;
    let mut fields = Vec::new();
    record.visit(&mut |name, value| {
        let value = match value {
            Value::Missing => String::new(),
            Value::Number(number) => number.to_string(),
            Value::Truth(truth) => truth.to_string(),
            Value::Text(text) => text.escape_ascii().to_string(),
            Value::Captures(_) | Value::CaptureList(_) => {
                value.captures().map(|text| text.escape_ascii().to_string()).collect::<Vec<_>>().join(",")
            }
        };
        fields.push(format!("{name}={value}"));
    });
    Ok(fields)
}

#[track_caller]
fn reads(format: &str, line: &[u8], expected: &str) {
    let layout = Layout::of(format).unwrap();
    let read = |line: &[u8]| fields(&layout, line, &mut Spans::default()).map(|fields| fields.join(" "));
    assert_eq!(read(line).as_deref(), Ok(expected));
    let line = [b"<134>Nov 21 16:24:10 lb1 haproxy[73411]: ", line].concat();
    assert_eq!(read(&line).as_deref(), Ok(expected), "behind an envelope");
}

#[test]
fn objects_are_read() {
    reads(JSON, LATER, FIELDS);
    // What 3.0 writes: neither control characters nor other bytes are escaped.
    let plain = br#""v": "te\"x\\\\t"#;
    let at = memchr::memmem::find(LATER, plain).unwrap() + plain.len();
    let line = [&LATER[..at], b"\tq \xff\"", &LATER[at + 11..]].concat();
    reads(JSON, &line, FIELDS);
}

#[test]
fn maps_of_cbor_are_read() {
    reads(CBOR, DIGITS, DECODED);
    reads(CBOR, &DIGITS.to_ascii_lowercase(), DECODED);
}

/// Log-formats with the lines that HAProxy 3.0 and 3.2 wrote by them: see `fixtures/record/haproxy_encoded.py`.
const RECORDED: &str = include_str!("encoded/cbor.txt");

/// What every line says; `UPDATE=1` writes it again, to be read by somebody.
#[test]
fn recorded_maps_of_cbor_are_read() {
    let mut layout = None;
    let mut found = Vec::new();
    for line in RECORDED.lines().filter(|line| !line.starts_with("read ")) {
        found.push(line.to_owned());
        match line.split_once(' ') {
            Some(("format", format)) => layout = Some(Layout::of(format).unwrap()),
            Some(("line", digits)) => {
                let layout = layout.as_ref().unwrap();
                assert!(layout.is_certain(), "{}", layout.text());
                let fields = fields(layout, digits.as_bytes(), &mut Spans::default()).unwrap();
                found.push(format!("read {}", fields.join(" ")));
            }
            _ => assert!(line.starts_with('#'), "{line}"),
        }
    }
    if std::env::var_os("UPDATE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/encoded/cbor.txt");
        std::fs::write(path, found.join("\n") + "\n").unwrap();
        return;
    }
    for (found, expected) in found.iter().zip(RECORDED.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), RECORDED.lines().count());
}

#[test]
fn single_values_are_read() {
    reads(MIXED, LINE, VALUES);
}

#[test]
fn members_may_come_in_any_order_and_with_others() {
    let layout = Layout::of("%{+json}o %(a)ci %(f)ft %(st)ST").unwrap();
    let mut spans = Spans::default();
    let expected = "a=10.0.0.1 f=www ssl=false st=200 truncated=false";
    for line in [
        r#"{"a": "10.0.0.1", "f": "www", "st": 200}"#,
        r#"{"st":200,"f":"www","a":"10.0.0.1"}  "#,
        r#"{ "x" : {"a": [1, "}", {"st": 3}]} , "f" : "www" , "st" : "200", "y": -1.5e3, "a": "10.0.0.1" , "z": null } "#,
        r#"{"a": "10.0.0.1", "a": "10.0.0.2", "f": "www", "st": 200}"#,
    ] {
        let found = fields(&layout, line.as_bytes(), &mut spans).unwrap();
        assert_eq!(found.join(" "), expected, "{line}");
    }
    for (line, reason, field) in [
        (r#"{"a": "10.0.0.1", "f": "www"}"#, Reason::Delimiter, "status_code"),
        (r#"{"a": "10.0.0.1", "f": "www", "st": "many"}"#, Reason::Number, "status_code"),
        (r#"{"a": "10.0.0.1", "f": "www", "st": 200} x"#, Reason::Delimiter, "status_code"),
        (r#"{"a": "10.0.0.1" "f": "www", "st": 200}"#, Reason::Delimiter, "frontend_name"),
        (r#"{"b": 1}"#, Reason::UnknownForm, "client_ip"),
        ("10.0.0.1 www 200", Reason::UnknownForm, "client_ip"),
    ] {
        let reject = fields(&layout, line.as_bytes(), &mut spans).unwrap_err();
        assert_eq!((reject.reason, reject.field), (reason, field), "{line}");
    }
}

/// Every beginning of `line` has the values that it has whole, or is refused.
#[track_caller]
fn cut_anywhere(format: &str, line: &[u8]) {
    let layout = Layout::of(format).unwrap();
    let mut spans = Spans::default();
    let whole = fields(&layout, line, &mut spans).unwrap();
    let mut most = 0;
    for end in 0..line.len() {
        let Ok(found) = fields(&layout, &line[..end], &mut spans) else { continue };
        assert_eq!(found.last().unwrap(), "truncated=true", "{end}");
        assert_eq!(found.len(), whole.len(), "{end}");
        let is_known = |field: &&String| !field.ends_with('=');
        let known = found.iter().filter(is_known).count();
        assert!(known >= most.min(whole.len()), "{end}: fewer than before");
        most = known;
        for (found, whole) in found.iter().zip(&whole).filter(|(_, whole)| !whole.starts_with("truncated")) {
            // Nothing, and of lists nothing but their name.
            let is_none = found.ends_with('=') || found == "ssl=false";
            assert!(found == whole || is_none, "{end}: {found} is not {whole}");
        }
    }
    // Nobody knows whether a number at the end goes on.
    let all = whole.iter().filter(|field| !field.ends_with('=')).count();
    assert!(most + 1 >= all, "{most} of {all}");
}

#[test]
fn cut_lines_have_what_stands_before_the_cut() {
    cut_anywhere(JSON, LATER);
    cut_anywhere(CBOR, DIGITS);
    let mut format = "";
    for line in RECORDED.lines() {
        match line.split_once(' ') {
            Some(("format", text)) => format = text,
            Some(("line", digits)) => cut_anywhere(format, digits.as_bytes()),
            _ => {}
        }
    }
    cut_anywhere(MIXED, LINE);
}

#[test]
fn places_are_found_as_in_plain_lines() {
    let mut spans = Spans::default();
    for (format, line) in [(JSON, LATER), (CBOR, DIGITS)] {
        let layout = Layout::of(format).unwrap();
        let record = layout.read(line, &envelope::detect(line), &mut spans).unwrap();
        assert_eq!(record.number(Place::StatusCode), Some(204));
        assert_eq!(record.number(Place::BytesRead), Some(57));
        assert_eq!(record.request().method, Some(&b"GET"[..]));
        assert_eq!(record.captures(Place::RequestHeaders).next(), Some(&b"example.org"[..]));
        assert!(!record.logasap());
    }
}

#[test]
fn what_no_line_can_hold_is_refused() {
    for (format, words) in
        [("%{+cbor,+bin}o %(a)ci", "+bin"), ("%{+cbor}o %(a:raw)[src]", "raw"), ("%{+json}o %ci", "no value")]
    {
        let mistake = Layout::of(format).unwrap_err();
        assert!(mistake.message.contains(words), "{format}: {}", mistake.message);
    }
}

#[test]
fn bytes_changed_anywhere_are_read_or_refused() {
    let mut spans = Spans::default();
    for (format, line) in [(JSON, LATER), (CBOR, DIGITS), (MIXED, LINE)] {
        let layout = Layout::of(format).unwrap();
        for at in 0..line.len() {
            for byte in [0, b'"', b'\\', b'{', b'}', b'[', b',', b'F', b'9', b'B', b'G', 0xff] {
                let mut line = line.to_vec();
                line[at] = byte;
                // Nothing is asked but that it comes to an end.
                let _ = fields(&layout, &line, &mut spans);
            }
        }
    }
}
