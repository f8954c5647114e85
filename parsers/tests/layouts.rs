//! Log-formats that are compiled against lines that are known.

use tailmeter_parsers::envelope;
use tailmeter_parsers::haproxy::format::{Layout, Place, Spans, Value};
use tailmeter_parsers::haproxy::{Event, parse};

const HTTP: &str = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r";

#[test]
fn shows() {
    let layout = Layout::of(HTTP).unwrap();
    for note in layout.notes() { println!("{note:?}"); }
    println!("{layout:#?}");
    let mut spans = Spans::default();
    let mut seen = [0; 3];
    for name in ["http", "captures", "hostile", "truncated", "badreq", "ipv6", "logasap", "unix-client", "envelopes"] {
        let Ok(text) = std::fs::read(format!("{}/../fixtures/haproxy/{name}.log", env!("CARGO_MANIFEST_DIR"))) else { println!("no {name}"); continue };
        for line in text.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            let envelope = envelope::detect(line);
            let ours = layout.read(line, &envelope, &mut spans);
            match (parse(line), &ours) {
                (Ok(Event::Http(http)), Ok(record)) => {
                    seen[0] += 1;
                    if http.tls().is_some() { println!("TLS {}", String::from_utf8_lossy(line)); continue; }
                    let text = |place| record.text(place);
                    let shown = String::from_utf8_lossy(line);
                    assert_eq!(http.truncated, record.truncated(), "{shown}");
                    assert_eq!(Some(http.frontend_name()), text(Place::FrontendName).map(|t| t.strip_suffix(b"~").unwrap_or(t)), "{shown}");
                    assert_eq!(Some(http.server_name()), text(Place::ServerName), "{shown}");
                    assert_eq!(Some(i64::from(http.status_code)), record.number(Place::StatusCode), "{shown}");
                    assert_eq!(Some(http.termination_state()), text(Place::TerminationState), "{shown}");
                    if !http.truncated { assert_eq!(Some(http.raw_request()), text(Place::HttpRequest), "{shown}"); }
                    let mut other = false;
                    record.visit(&mut |name, value| {
                        if name == "request_cookie" { other = value != (if http.request_cookie() == b"-" { Value::Missing } else { Value::Text(http.request_cookie()) }); }
                    });
                    assert!(!other, "{shown}");
                }
                (Ok(Event::Http(_)), Err(reject)) => println!("OLD ONLY {reject} {}", String::from_utf8_lossy(line)),
                (other, Ok(record)) => { seen[1] += 1; println!("only us {} {other:?} {}", record.truncated(), String::from_utf8_lossy(line)) },
                (other, Err(reject)) => { seen[2] += 1; if seen[2] < 20 { println!("neither: {reject} {}", String::from_utf8_lossy(line)) } },
            }
        }
    }
    println!("{seen:?}");
}

#[test]
fn one() {
    let layout = Layout::of("%{+X,-E}o%%%{+E,-M}sq%%%sc %fp %hrl %{+Q}[ssl_c_ca_err]%%").unwrap();
    let mut spans = Spans::default();
    let line = b"%0%43 01BB \"0\"%";
    let record = layout.read(line, &envelope::detect(line), &mut spans).unwrap();
    for x in record.written() { println!("{x:?}"); }
    println!("{:?}", record.truncated());
}

#[test]
fn two() {
    let layout = Layout::of("(%{-Q}Tc %[var(txn.host)]\" \"%r %(name_3)sc+").unwrap();
    let mut spans = Spans::default();
    let line = b"(1 www.example.net\" \"GET / HTTP/1.1 18+";
    let record = layout.read(line, &envelope::detect(line), &mut spans);
    println!("{:#?}", layout);
    for x in record.unwrap().written() { println!("{x:?}"); }
}
