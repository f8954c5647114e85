//! Protocols, encodings and choices of metrics, as a client on the network asks for them.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use tailmeter::exposition::{Protocol, Rendering, Selection};
use tailmeter::http::Options;

use super::{Fixture, Response, Server, answer, ask, large};

/// What `/metrics` answers to these headers, and the content without its encoding.
fn scraped(server: &Server, path: &str, headers: &str) -> (Response, Vec<u8>) {
    let mut stream = server.connect();
    ask(&mut stream, "GET", path, &format!("Connection: close\r\n{headers}"));
    let response = answer(stream);
    let content = match response.header("content-encoding") {
        None => response.body.clone(),
        Some(encoding @ ("gzip" | "zstd")) => unpacked(encoding, &response.body),
        Some(other) => panic!("{other}"),
    };
    (response, content)
}

/// What `program`, the usual one for its format, unpacks.
fn unpacked(program: &str, packed: &[u8]) -> Vec<u8> {
    let mut child =
        Command::new(program).arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it is installed");
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(packed).unwrap());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{program}");
        output.stdout
    })
}

#[test]
fn metrics_come_in_the_protocol_and_encoding_that_are_asked_for() {
    let protobuf = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
    for fixture in [Fixture::default(), large(4)] {
        let server = Server::with(fixture, Options::default());
        for (accept, protocol, content_type) in [
            ("*/*", Protocol::Text004, "text/plain; version=0.0.4; charset=utf-8"),
            (
                "application/openmetrics-text;version=1.0.0;escaping=values,text/plain;q=0.9",
                Protocol::OpenMetrics100,
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=values",
            ),
            (protobuf, Protocol::Protobuf, protobuf),
        ] {
            let mut expected = Vec::new();
            let exposition = Arc::clone(&server.pages.exposition);
            Rendering::new(exposition, protocol, Selection::default()).write_all(&mut expected);
            for (accepted, encoding) in [("identity", None), ("gzip", Some("gzip")), ("gzip, zstd", Some("zstd"))] {
                let headers = format!("Accept: {accept}\r\nAccept-Encoding: {accepted}\r\n");
                let (response, content) = scraped(&server, "/metrics", &headers);
                assert_eq!(response.status, 200);
                assert_eq!(response.header("content-type"), Some(content_type));
                assert_eq!(response.header("content-encoding"), encoding);
                assert_eq!(response.header("vary"), Some("Accept, Accept-Encoding"));
                assert!(content == expected, "{accept} as {encoding:?}: {} bytes", content.len());
                // What is not all there at once is sent as it is written.
                let is_whole = response.header("content-length").is_some();
                assert_eq!(is_whole, response.header("transfer-encoding").is_none());
                if encoding.is_none() {
                    assert_eq!(is_whole, expected.len() < 64 * 1024);
                }
            }
        }
    }
}

#[test]
fn queries_choose_metrics() {
    let server = Server::start(Options::default());
    let openmetrics = "Accept: application/openmetrics-text;version=1.0.0\r\n";
    for query in ["name[]=a_total", "name%5B%5D=a_total&name[]=x", "family=a", "family=b&family=a&name[]=a", "x=y"] {
        let (response, content) = scraped(&server, &format!("/metrics?{query}"), "");
        assert!(response.status == 200 && content == server.pages.text(), "{query}");
    }
    for query in ["name[]=unknown", "name[]=", "family=b", "family=b&name[]=a_total"] {
        let (response, content) = scraped(&server, &format!("/metrics?{query}"), "");
        assert!(response.status == 200 && content.is_empty(), "{query}");
        assert_eq!(response.header("content-length"), Some("0"));
        assert_eq!(scraped(&server, &format!("/metrics?{query}"), openmetrics).1, b"# EOF\n", "{query}");
    }
    let response = server.get("/metrics?family=a&family=c");
    assert_eq!((response.status, response.text()), (400, "Unknown family: c. Known are a, b.\n"));
}
