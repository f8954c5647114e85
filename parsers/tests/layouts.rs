//! Compiled log-formats: the usual ones against the plain parser, and any of them on lines that were cut.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod fixtures;

use tailmeter_parsers::envelope::{self, Envelope};
use tailmeter_parsers::haproxy::format::{Layout, Place, Record, Spans};
use tailmeter_parsers::haproxy::{Event, Http, Layouts, Reading, Tcp, parse};

/// The lines of the logs, but for those that no HAProxy writes.
fn lines() -> Vec<Vec<u8>> {
    let logs = fixtures::logs(|name| !name.starts_with("hostile"));
    let lines = logs.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
    assert!(lines.len() > 300, "{}", lines.len());
    lines
}

#[track_caller]
fn assert_common(record: &Record<'_>, names: [&[u8]; 3], ending: &[u8], numbers: &[(Place, i64)], line: &str) {
    let [frontend, backend, server] = names;
    let shown = record.text(Place::FrontendName).map(|name| name.strip_suffix(b"~").unwrap_or(name));
    assert_eq!(shown, Some(frontend), "{line}");
    assert_eq!(record.text(Place::BackendName), Some(backend), "{line}");
    assert_eq!(record.text(Place::ServerName), Some(server), "{line}");
    assert_eq!(record.text(Place::TerminationState), Some(ending), "{line}");
    for (place, number) in numbers {
        assert_eq!(record.number(*place), Some(*number), "{place:?} {line}");
    }
}

fn assert_http(record: &Record<'_>, http: &Http<'_>, line: &str) {
    let [request, queue, connect, response, active] = http.timers_ms.map(i64::from);
    let [server_queue, backend_queue] = http.queues.map(i64::from);
    let numbers = [
        (Place::TimeRequest, request),
        (Place::TimeQueue, queue),
        (Place::TimeConnect, connect),
        (Place::TimeResponse, response),
        (Place::TimeActive, active),
        (Place::StatusCode, http.status_code.into()),
        (Place::BytesRead, http.bytes_read as i64),
        (Place::Retries, http.retries.into()),
        (Place::SrvQueue, server_queue),
        (Place::BackendQueue, backend_queue),
    ];
    let names = [http.frontend_name(), http.backend_name(), http.server_name()];
    assert_common(record, names, http.termination_state(), &numbers, line);
    assert_eq!(record.logasap(), http.logasap, "{line}");
    if !http.truncated {
        assert_eq!(record.text(Place::HttpRequest), Some(http.raw_request()), "{line}");
        let captured = |place| record.captures(place).collect::<Vec<_>>();
        let headers = |headers: Option<Vec<_>>| headers.unwrap_or_default();
        assert_eq!(captured(Place::RequestHeaders), headers(http.request_headers().map(Iterator::collect)), "{line}");
        assert_eq!(captured(Place::ResponseHeaders), headers(http.response_headers().map(Iterator::collect)), "{line}");
        assert_eq!(
            record.text(Place::SslFcSni),
            http.tls().map(|tls| tls.ssl_fc_sni).filter(|sni| sni != b"-"),
            "{line}"
        );
    }
}

fn assert_tcp(record: &Record<'_>, tcp: &Tcp<'_>, line: &str) {
    let [queue, connect, total] = tcp.timers_ms.map(i64::from);
    let numbers = [
        (Place::TimeQueue, queue),
        (Place::TimeConnect, connect),
        (Place::TimeTotal, total),
        (Place::BytesRead, tcp.bytes_read as i64),
        (Place::Retries, tcp.retries.into()),
    ];
    let names = [tcp.frontend_name(), tcp.backend_name(), tcp.server_name()];
    assert_common(record, names, tcp.termination_state(), &numbers, line);
}

/// What the plain parser reads of the usual formats, the compiled ones read, too, and see the same in it.
#[test]
fn the_usual_layouts_are_those_of_the_plain_parser() {
    let (layouts, mut spans) = (Layouts::usual(), Spans::default());
    let mut seen = [0; 2];
    // Half of a container's wrapping looks like a client to the plain parser.
    for whole in lines().into_iter().filter(|line| !line.starts_with(b"{")) {
        for end in (0..=whole.len()).rev() {
            let line = &whole[..end];
            let (Ok(event), shown) = (parse(line), line.escape_ascii().to_string()) else { continue };
            let reading = match event {
                Event::Notice(_) => continue,
                _ => layouts.read(line, &envelope::detect(line), &mut spans),
            };
            let record = match reading {
                Ok(Reading::Record { record, .. }) => record,
                // What looks like a cut in the TLS fields may be something else.
                Err(_) if matches!(event, Event::Http(http) if http.truncated) => continue,
                other => panic!("{other:?} {shown}"),
            };
            match event {
                Event::Http(http) => assert_http(&record, &http, &shown),
                Event::Tcp(tcp) => assert_tcp(&record, &tcp, &shown),
                Event::Notice(_) => {}
            }
            seen[usize::from(matches!(event, Event::Tcp(_)))] += 1;
            // Every cut of a few, the whole of all.
            if whole.len() % 7 != 0 {
                break;
            }
        }
    }
    assert!(seen[0] > 1000 && seen[1] > 20, "{seen:?}");
}

const CASES: &[(&str, &str)] = &[
    (
        "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r",
        r#"10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 a=b - ---- 1/1/1/1/+2 3/4 {1wt.eu|x} {} "GET /index.html?a=1 HTTP/1.1""#,
    ),
    (
        "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq",
        "2001:db8::1:33320 [06/Feb/2009:12:12:56.319] fnt~ bck/srv1 0/0/+5007 +212 CD 0/0/0/0/3 1/2",
    ),
    (
        r#"{"f":"%f","s":%ST,"r":"%HM %HU","sni":%{+Q}[ssl_fc_sni],"t":%Ta,"b":"%b"}"#,
        r#"{"f":"www","s":404,"r":"GET /a/b?c=d","sni":"shop.example","t":17,"b":"app"}"#,
    ),
    ("%f|%b|%s|%HM|%HPO|%HQ|%ST|%Ta|%{+Q}[capture.req.hdr(0)]", r#"www|app|one|GET|/x|?y=1|200|5|"curl/7 (x)""#),
];

/// However a line is cut: what is left of the cut is right, and the more is left the more is known.
#[test]
fn a_cut_line_says_what_is_left_of_the_cut() {
    for (format, line) in CASES {
        let layout = Layout::of(format).expect("a log-format");
        let (mut spans, mut most) = (Spans::default(), 0);
        let of = |record: &Record<'_>| {
            let fields = record.written().take(record.len());
            fields.map(|(field, value, _)| (field.to_owned(), value.map(<[u8]>::to_vec))).collect::<Vec<_>>()
        };
        let whole = layout.read(line.as_bytes(), &Envelope::none(line.as_bytes()), &mut spans).expect(line);
        assert!(!whole.truncated(), "{line}");
        let whole = of(&whole);
        for end in 0..line.len() {
            let cut = &line.as_bytes()[..end];
            let Ok(record) = layout.read(cut, &Envelope::none(cut), &mut spans) else {
                // Once it was known for one of this format it stays so.
                assert_eq!(most, 0, "{}", &line[..end]);
                continue;
            };
            // The last digits of a line that ends with a number may be missing unseen.
            assert!(record.truncated() || format.ends_with("%bq"), "{}", &line[..end]);
            let fields = of(&record);
            let known = fields.iter().filter(|(_, value)| value.is_some()).count();
            assert!(known >= most, "{}", &line[..end]);
            most = known;
            for (found, expected) in fields.iter().zip(&whole) {
                // What may not be there at all looks so at the cut.
                assert!(
                    found == expected || (found.1.is_none() && end < line.len()),
                    "{found:?} {expected:?} {}",
                    &line[..end]
                );
            }
        }
        let known = whole.iter().filter(|(_, value)| value.is_some()).count();
        assert!(most + 1 >= known, "{format}: {most} of {known}");
    }
}
