//! Log-formats that the random ones of `tests/differential.rs` showed to be read wrongly, each with lines that HAProxy
//! 3.0 or 3.2 wrote by it, cut down to what mattered.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use tailmeter_parsers::Envelope;
use tailmeter_parsers::haproxy::format::{Layout, Place, Spans};

/// `line` by `format`, value by value; `?` where the compiler says that a value is not certain.
#[track_caller]
fn reads(format: &str, line: &[u8], expected: &[&str]) {
    let layout = Layout::of(format).unwrap();
    let mut spans = Spans::default();
    let record = layout.read(line, &Envelope::none(line), &mut spans).unwrap();
    let values = record.written().map(|(_, value, is_certain)| match value {
        _ if !is_certain => "?".to_owned(),
        Some(value) => String::from_utf8_lossy(value).into_owned(),
        None => "nothing".to_owned(),
    });
    assert_eq!(values.collect::<Vec<_>>(), expected, "{format}");
    assert!(!record.truncated());
}

/// Nothing of `format` but what stands apart is read, and a note says so.
#[track_caller]
fn is_ambiguous(format: &str) {
    let layout = Layout::of(format).unwrap();
    assert!(layout.is_ambiguous() && !layout.is_certain(), "{format}");
    assert!(layout.notes().iter().any(|note| note.is_lossy), "{format}: {:?}", layout.notes());
}

/// Seeds 27 and 30.
#[test]
fn digits_go_on_with_a_number_of_json() {
    is_ambiguous("-%{+json,+Q}ms%{+E}fp\" \"%ac)");
    is_ambiguous("<%{+json}Tc%[src,ipmask(24,64)]=");
    is_ambiguous("%{+json}Ts%{+json}Tc");
    is_ambiguous("%{+json}[var(txn.x)]%Tc");
    is_ambiguous("%(a:sint){+json}[var(txn.x)]%Tc");
    // Text has quotes, truths are words, and a dash is no digit.
    reads("%{+json,+X}ms%fp", b"\"16\"443", &["16", "443"]);
    reads("%{+json}s%Tc", b"\"w1\"-1", &["w1", "-1"]);
    reads("%{+json}[src]%ac", b"\"10.0.0.1\"4", &["10.0.0.1", "4"]);
    reads("%(a:str){+json}[var(txn.x)]%Tc", b"\"5\"7", &["5", "7"]);
    reads("%(a:bool){+json}ST%ac", b"true4", &["1", "4"]);
    reads("%{+json}ST%hr|", b"200{a}|", &["200", "a"]);
    reads("%{+json}ST%{+json}r", b"204\"GET / HTTP/1.1\"", &["204", "GET / HTTP/1.1"]);
    // Text that begins with digits is no better.
    let layout = Layout::of("%{+json}[status]5xx %ci").unwrap();
    assert!(!layout.is_certain() && layout.notes().iter().any(|note| note.is_lossy));
    reads("%{+cbor}ST%ac", b"18CC4", &["204", "4"]);
}

/// Seeds 10, 11, 14, 20, 29, 31, 43.
#[test]
fn values_in_cbor_are_what_the_digits_say() {
    reads("%{+Q,+cbor}hrl;%B", b"9F7FFFFF;57", &["\"\"", "57"]);
    reads("%{+cbor}hrl;%B", b"9F7F612DFF7FFFFF;57", &["- \"\"", "57"]);
    reads("%{+cbor, +Q}hsl %{+Q}sp", b"9F7FFF7FFFFF \"\"", &["\"\" \"\"", "nothing"]);
    reads("%(a:sint){+X,+cbor}[capture.req.hdr(0),lower] %ci", b"00 10.0.0.1", &["0", "10.0.0.1"]);
    reads("%(a:sint){+cbor}[txn.sess_term_state]=%B", b"F6=0", &["nothing", "0"]);
}

/// A client on a Unix socket: the listener's number stands for the port, which `+X` does not change.
#[test]
fn numbers_of_listeners_are_decimal() {
    for (format, line) in [("%{+X}cp %B", "308 0"), ("%{+X,+json}cp %B", "308 0"), ("%{+X,+cbor}cp %B", "190134 0")] {
        reads(format, line.as_bytes(), &["308", "0"]);
        let layout = Layout::of(format).unwrap();
        let mut spans = Spans::default();
        let record = layout.read(line.as_bytes(), &Envelope::none(line.as_bytes()), &mut spans).unwrap();
        assert_eq!(record.number(Place::ClientPort), Some(308), "{format}");
    }
    let (layout, line) = (Layout::of("%{+X,+json}cp %B").unwrap(), b"\"01BB\" 0");
    let mut spans = Spans::default();
    let record = layout.read(line, &Envelope::none(line), &mut spans).unwrap();
    assert_eq!(record.number(Place::ClientPort), Some(443));
}

/// Seed 9: no headers are captured, so that the space behind the list is not written.
#[test]
fn a_list_that_is_not_written_leaves_out_a_space() {
    let format = "%B HTTP/%[capture.req.ver] %hsl HTTP/%{+Q}[txn.conn_retries] HTTP/%{+Q}HU %Ts";
    let line = b"120 HTTP/HTTP/1.1 HTTP/\"0\" HTTP/\"/HTTP/\" 1795285366";
    reads(format, line, &["120", "HTTP/1.1", "nothing", "0", "/HTTP/", "1795285366"]);
    let line = b"120 HTTP/HTTP/1.1 a HTTP/b HTTP/\"0\" HTTP/\"/a\" 1795285366";
    reads(format, line, &["120", "HTTP/1.1", "a HTTP/b", "0", "/a", "1795285366"]);
}

/// Seed 42: a path holds percent signs, and an address that came by a relay may, too.
#[test]
fn what_relays_write_makes_no_delimiter() {
    reads("%tr=%HP%%%[src]\\", b"21/Nov/2026:18:25:38.413=/a%20b%127.0.0.1\\", &["21/Nov/2026:18:25:38.413", "?", "?"]);
}

/// Seed 43 of a later run: an address, too, may hold brackets.
#[test]
fn brackets_of_addresses_make_no_delimiter() {
    reads("%U %[str(a]b)]]%fi %B", b"24 a]b]127.0.0.1 7", &["24", "?", "?", "7"]);
}

/// Seed 42 of a later run: what a header ends with is not the line's end.
#[test]
fn a_value_keeps_its_last_space() {
    reads("%ac>%[capture.req.hdr(0),lower] ", b"28>get /secret  ", &["28", "get /secret "]);
    reads("%ac>%[capture.req.hdr(0),lower] ", b"28>get /secret ", &["28", "get /secret"]);
}

/// Seed 42 of a later run: one block in braces, and nobody says whose.
#[test]
fn one_block_of_two_is_not_certain() {
    reads("%ac %hs %hr k=%B", b"1 {a} k=57", &["1", "?", "?", "57"]);
    reads("%{+Q}o %ac %hs %hr k=%f", b"1 \"{a}\" k=\"www\"", &["1", "?", "?", "www"]);
    reads("%ac %hr %[var(txn.x)]", b"1 {a}", &["1", "?", "?"]);
    reads("%ac %hr %{+json}hs %B", b"1 \"{a}\" 5", &["1", "?", "?", "5"]);
    reads("%ac %hr %{+cbor}hs %B", b"1 7F617B617DFF 5", &["1", "nothing", "", "5"]);
    reads("%ac %hr %{+Q}r", b"1 \"GET / HTTP/1.1\"", &["1", "nothing", "GET / HTTP/1.1"]);
}

/// Seed 60 of a later run: the question mark is the query's, or what follows it.
#[test]
fn a_query_does_not_tell_before_its_own_mark() {
    for format in ["%{-M}HQ %hrl?", "%B %HQ %HV", "%B %HPO %hrl%{+Q}o/%[var(txn.x)]/"] {
        let layout = Layout::of(format).unwrap();
        assert!(!layout.is_certain() && !layout.notes().is_empty(), "{format}");
    }
    for format in ["%HM %HP%HQ %HV", "%HM \"%HP\"%HQ %HV", "%HQ?", "%B %HQ %ci"] {
        assert!(Layout::of(format).unwrap().is_certain(), "{format}");
    }
    reads("%HP%HQ %B", b"/a?b 57", &["/a", "?b", "57"]);
    reads("%HP%HQ %B", b"/a 57", &["/a", "nothing", "57"]);
}

/// Seed 139: a missing port and captures have quotes of their own, so that the one between them tells nothing.
#[test]
fn captures_have_quotes_of_their_own() {
    let format = "\\%{+E, +Q}fp\"%{+Q}hr;";
    reads(format, b"\\40305\"\"{hello, #22worl}\";", &["?", "?"]);
    reads(format, b"\\40305\";", &["?", "?"]);
}
