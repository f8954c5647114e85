//! Sketches against the plain way: whatever a sketcher says of a line, its layout's record says the same.

#![allow(clippy::expect_used, reason = "in a test, a panic is the failure")]

mod fixtures;
mod random;

use std::sync::Arc;

use random::Random;
use tailmeter_parsers::envelope;
use tailmeter_parsers::haproxy::format::{Place, Record, Spans};
use tailmeter_parsers::haproxy::{Layouts, Method, Reading, Sketch, Sketcher, termination_key};

const HTTPLOG: &str =
    "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r";

/// Log-formats and lines that they write, all of which have a sketch.
const KNOWN: &[(&str, &[&str])] = &[
    (
        HTTPLOG,
        &[
            r#"10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /index.html HTTP/1.1""#,
            r#"10.0.1.2:33317 [06/Dec/2009:12:14:14.655] http-in~ static/srv1 10/0/30/69/109 200 2750 a=b c=d --VN 1/1/1/1/0 0/0 {1wt.eu} "GET /index.html HTTP/1.1""#,
            r#"2001:db8::7:1 [31/May/2009:12:14:14.655] f b/<NOSRV> 10/-1/-1/-1/99999999 503 212 - - SC-- 12345678/1/1/1/3 12/34 "<BADREQ>""#,
            r#"10.0.1.2:33317 [06/Feb/2009:12:14:14.655] f b/s -1/0/0/0/0 -1 0 - - CR-- 1/1/1/1/0 0/0 "OPTIONS""#,
            // Redispatched, retried, and given up in the queue; the months follow one another.
            r#"10.0.1.2:33317 [30/Jun/2009:12:14:14.655] f b/s 0/12/3001/4/3017 200 7 - - ---- 1/1/1/1/+3 2/14 "GET / HTTP/1.1""#,
            r#"10.0.1.2:33317 [01/Jul/2009:12:14:14.655] f b/s 0/0/1/4/17 200 7 - - ---- 1/1/1/1/2 0/0 "GET / HTTP/1.1""#,
            r#"10.0.1.2:33317 [01/Jul/2009:12:14:15.655] f b/<NOSRV> 0/-1/-1/-1/5000 503 217 - - sQ-- 9/9/9/0/0 0/7 "GET / HTTP/1.1""#,
            r#"10.0.1.2:33317 [01/Jul/2009:12:14:15.655] f b/s 0/0/0/-1/5000 504 194 - - sH-- 9/9/9/0/+1 0/0 "GET / HTTP/1.1""#,
        ],
    ),
    (
        "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %ID %{+Q}r",
        &[
            r#"10.0.1.2:33317 [06/Feb/2009:12:14:14.655] in~ b/s 10/0/30/69/109 200 2750 ---- 1/1/1/1/0 0/0 {a.example|curl/8.5.0} {text/html} 0A00:01BB_65_0001:04D2 "GET / HTTP/1.1""#,
            r#"10.0.1.2:33317 [06/Feb/2009:12:14:14.655] in b/s 10/0/30/-1/109 502 0 PH-- 1/1/1/1/+2 0/0 {|} {} 0A00:01BB_65_0001:04D2 "GET / HTTP/1.1""#,
        ],
    ),
    (
        "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %tsc %sq/%bq %{+Q}r %[ssl_fc_sni] %[capture.req.hdr(0)]",
        &[
            r#"10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 ---- 0/0 "PROPFIND /index.html HTTP/1.1" example.org a b c"#,
            r#"10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 ---- 0/0 "VERSION-CONTROL / HTTP/1.1" - -"#,
        ],
    ),
    (
        r#"{"client":"%ci","fe":"%f","be":"%b","srv":"%s","tr":%TR,"ta":%Ta,"status":%ST,"bytes":%B,"method":"%HM","uri":"%HU","tsc":"%tsc"}"#,
        &[
            r#"{"client":"10.1.2.3","fe":"in","be":"back","srv":"s1","tr":1,"ta":22,"status":404,"bytes":1234567,"method":"GET","uri":"/x?y","tsc":"----"}"#,
            r#"{"client":"::1","fe":"in","be":"back","srv":"<NOSRV>","tr":-1,"ta":22,"status":0,"bytes":0,"method":"<BADREQ>","uri":"<BADREQ>","tsc":"CR--"}"#,
        ],
    ),
    (
        "%T %ci %f %b %s %ST %Tt ms %ts rc=%rc q=%sq,%bq {%hr} %HM %HP",
        &[
            r#"06/Feb/2009:12:14:14 +0000 10.0.0.1 in back srv 200 17 ms -- rc=2 q=0,5 {{a|b}} GET /x"#,
            r#"06/Feb/2009:12:14:14 +0000 10.0.0.1 in back srv 200 17 ms sD rc=0 q=0,5 {} GET /x"#,
        ],
    ),
    ("%{+Q}o %ci,%ft,%s,%TR,%ST,%U|%r", &[]),
    (
        "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq",
        &[
            "10.0.1.2:33320 [06/Feb/2009:12:12:56.319] fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0",
            "10.0.1.2:33320 [06/Feb/2009:12:12:56.319] fnt~ bck/srv1 0/0/5007 0 cD 0/0/0/0/+3 0/0",
            "10.0.1.2:33320 [06/Mar/2009:12:12:56.319] fnt bck/<NOSRV> -1/-1/0 0 SC 0/0/0/0/0 3/120",
        ],
    ),
    (
        "%ci %HM %CC %HV %tsc %CS %CC %tsc ",
        &["1.1.1.1 PUT a= HTTP/1.1 ---- x y SC-- ", "1.1.1.1 GET - - CR-- - - ---- "],
    ),
    ("%B %ST\t%TR", &["123 200\t7", "0 -1\t-1"]),
    ("%[src] %ST %[var(txn.a)] %[var(txn.b)] end", &["x 200 a b end"]),
];

const ENVELOPES: &[&str] = &[
    "Feb  6 12:14:14 lb1 haproxy[14389]: ",
    "<134>Feb  6 12:14:15 haproxy[14390]: ",
    "2026-02-01T12:14:14.572449+00:00 lb1 haproxy[7]: ",
    "<134>1 2026-02-01T12:14:14.572449+00:00 lb1 haproxy 73411 - - ",
    "2026-02-01T12:14:14.572449+00:00 ",
    "<134>",
    "",
];

fn method<'a>(record: &Record<'a>) -> &'a [u8] {
    if let Some(method) = record.text(Place::HttpRequestMethod) {
        return method;
    }
    let request = record.text(Place::HttpRequest).unwrap_or_default();
    match record.request().method {
        Some(method) => method,
        None if request.starts_with(b"<BADREQ>") => b"<BADREQ>",
        None => b"",
    }
}

/// Holds a sketch against the record of its line.
fn compare(layouts: &Layouts, line: &[u8], sketch: &Sketch<'_>) {
    let shown = String::from_utf8_lossy(line);
    let (envelope, mut spans) = (envelope::detect(line), Spans::default());
    let reading = layouts.read(line, &envelope, &mut spans);
    let Ok(Reading::Record { layout: 0, record }) = reading else { panic!("{shown}: {reading:?}") };
    assert!(!record.truncated() && !record.logasap() && envelope.repeated == 1, "{shown}");
    assert_eq!(record.raw_names(), Some(sketch.raw_names()), "{shown}");
    let number = |place| record.number(place).unwrap_or(0);
    let last = if record.layout().has(Place::TimeActive) { Place::TimeActive } else { Place::TimeTotal };
    let timers = [Place::TimeRequest, Place::TimeQueue, Place::TimeConnect, Place::TimeResponse, last].map(number);
    assert_eq!(sketch.timers_ms().map(i64::from), timers, "{shown}");
    let status = if record.layout().has(Place::StatusCode) { number(Place::StatusCode) } else { -2 };
    assert_eq!(i64::from(sketch.status_code()), status, "{shown}");
    assert_eq!(sketch.bytes_read() as i64, number(Place::BytesRead), "{shown}");
    assert_eq!(i64::from(sketch.retries()), number(Place::Retries), "{shown}");
    assert_eq!(sketch.queues().map(i64::from), [Place::SrvQueue, Place::BackendQueue].map(number), "{shown}");
    let redispatched = record.text(Place::Retries).is_some_and(|text| text.starts_with(b"+"));
    assert_eq!(sketch.redispatched(), redispatched, "{shown}");
    let state = record.text(Place::TerminationState);
    let has_method = [Place::HttpRequestMethod, Place::HttpRequest].iter().any(|place| record.layout().has(*place));
    let key = match state.filter(|_| !has_method) {
        Some(state) => termination_key(state),
        None => Method::key(method(&record)),
    };
    assert_eq!(sketch.method_key(), key, "{shown}");
    if let Some(state) = state {
        assert_eq!(sketch.termination_state(record.layout().termination_length()), state, "{shown}");
    }
    assert_eq!(sketch.ended_normally(), state.is_none_or(|state| state.starts_with(b"-")), "{shown}");
}

/// Sketches `text` in every way; returns how many lines had no sketch at last.
fn check(layouts: &Arc<Layouts>, text: &[u8]) -> usize {
    let mut left = 0;
    for mut sketcher in Sketcher::all(layouts) {
        // Twice: the second time every envelope is known.
        for _ in 0..2 {
            left = 0;
            let mut lines = text.split(|byte| *byte == b'\n').collect::<Vec<_>>();
            if lines.last().is_some_and(|line| line.is_empty()) {
                lines.pop();
            }
            let mut expected = lines.into_iter();
            sketcher.scan(text, &mut |batch| {
                for (index, (line, sketch)) in batch.lines().iter().zip(batch.slots()).enumerate() {
                    assert_eq!(Some(*line), expected.next());
                    if batch.left() >> index & 1 == 1 {
                        left += 1;
                    } else {
                        compare(layouts, line, sketch);
                    }
                }
            });
            assert_eq!(expected.next(), None);
        }
    }
    left
}

fn layouts(format: &str) -> Arc<Layouts> {
    Arc::new(Layouts::of_log_format(format).expect(format))
}

/// Room behind the last line, which vector instructions need.
const ROOM: [u8; 256] = [b'\n'; 256];

#[test]
fn usual_lines_have_sketches() {
    for (format, lines) in KNOWN {
        let layouts = layouts(format);
        if !std::is_x86_feature_detected!("avx512vbmi2") {
            return;
        }
        for (line, envelope) in lines.iter().flat_map(|line| ENVELOPES.iter().map(move |envelope| (line, envelope))) {
            let mut text = format!("{envelope}{line}\n").into_bytes();
            text.extend(ROOM);
            let left = check(&layouts, &text) - ROOM.len();
            // Few words may as well be more of an envelope that has no tag.
            let is_unsure = !envelope.ends_with(": ") && line.split(' ').count() < 4;
            println!("{left} {envelope}{line}");
            assert!(left == 0 || is_unsure, "{envelope}{line}");
        }
    }
}

#[test]
fn every_changed_byte_reads_the_same() {
    let seed = 0x9e37_79b9_7f4a_7c15;
    let mut random = Random(seed);
    const BYTES: &[u8] = b" /\"-+:[]{}|~#0123456789aZ\0\xff\r\t<>.,J\n1";
    for (format, lines) in KNOWN {
        let layouts = layouts(format);
        for line in *lines {
            for envelope in ENVELOPES {
                let line = format!("{envelope}{line}").into_bytes();
                let mut text = line.clone();
                for _ in 0..1500 {
                    text.push(b'\n');
                    text.extend(random.change(&line, 0, BYTES));
                }
                check(&layouts, &text);
            }
        }
    }
}

#[test]
fn every_prefix_and_fixture_reads_the_same() {
    let corpus = fixtures::logs(|_| true);
    for (format, lines) in KNOWN {
        let layouts = layouts(format);
        check(&layouts, &corpus);
        for line in *lines {
            let line = format!("{}{line}", ENVELOPES[0]);
            let prefixes = (0..=line.len()).rev().map(|length| line.get(..length).unwrap_or_default());
            check(&layouts, prefixes.collect::<Vec<_>>().join("\n").as_bytes());
        }
    }
}
