//! A haproxy.cfg with formats of its own, the real HAProxy that it is for, and tailmeter that is pointed at it: every
//! request counts with the labels that the configuration makes known, also after both have been changed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "cli/harness.rs"]
#[allow(dead_code, reason = "the tests of the command line use the rest")]
mod harness;
#[path = "end_to_end/lab.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod lab;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use harness::{Exporter, samples, until};
use lab::{Lab, find, free_ports};
use rustix::process::Signal;

const FIRST: &str = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %U %tsc %rc %hr %{+Q}r id=%ID";
const SECOND: &str = "%{+Q}r|%ST|%U|%Ta|%f|%b|%s|%hr";

/// Ports: of the syslog socket, and of three frontends.
fn configuration([log, www, api, raw]: [u16; 4], format: &str) -> String {
    format!(
        r#"
global
    log 127.0.0.1:{log} len 65535 format rfc3164 local0

defaults
    mode http
    log global
    timeout client 10s
    timeout server 10s
    timeout connect 1s
    retries 0

frontend www
    bind 127.0.0.1:{www}
    unique-id-format %{{+X}}o\ %ci:%cp_%Ts_%rt:%pid
    capture request header Host len 64
    capture request header User-Agent len 64
    log-format "{format}"
    default_backend app

frontend api
    bind 127.0.0.1:{api}
    log-format api\ %f|%b|%s|%ST|%HM|%HPO|%Ta|%B
    use_backend app if {{ path_beg /v1 }}
    default_backend nothing

listen raw
    mode tcp
    option tcplog
    bind 127.0.0.1:{raw}
    server one 127.0.0.1:{www}

backend app
    http-request return status 200 content-type text/plain string hello if {{ path /hello /v1/hello }}
    http-request deny deny_status 404

backend nothing
    server down 127.0.0.1:1
"#
    )
}

fn get(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: te{{s}}t|\"1\"\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The value of the series of `metric` that has all of `labels`, `name="value"` each.
fn value(text: &str, metric: &str, labels: &[&str]) -> f64 {
    samples(text, metric)
        .filter(|(found, _)| labels.iter().all(|label| found.contains(label)))
        .map(|(_, value)| value)
        .sum()
}

#[test]
fn a_haproxy_cfg_says_how_its_lines_are_read() {
    let [program] = find([("haproxy", "haproxy")]);
    let mut lab = Lab::new();
    let ports: [u16; 3] = free_ports();
    let log = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ports = [log, ports[0], ports[1], ports[2]];
    let file = lab.write("haproxy.cfg", &configuration(ports, FIRST));
    let labels = lab.write(
        "tailmeter.yml",
        "metrics:\n  haproxy_log_requests_total:\n    labels: [frontend_name, backend_name, server_name, status_code, \
         http_request_method, request_header_host: {allow: [shop.example]}]\n",
    );
    let (state, socket) = (lab.path("state"), format!("udp://127.0.0.1:{log}"));
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let arguments = [
        "--haproxy-config".to_owned(),
        path(&file),
        "--haproxy".to_owned(),
        socket,
        "--config".to_owned(),
        path(&labels),
        "--state-dir".to_owned(),
        path(&state),
    ];
    let exporter = Exporter::start(arguments.iter().map(String::as_str));

    start(&mut lab, &program, &file, ports[1]);
    drive(ports);
    check(&exporter, 1.0);

    // Both are changed: HAProxy first, as it happens.
    lab.end("haproxy", Signal::TERM);
    fs::write(&file, configuration(ports, SECOND)).unwrap();
    exporter.signal("HUP");
    until("the reload", || exporter.metrics().contains("tailmeter_config_last_reload_successful 1"));
    until("another reload time", || reloads(&exporter) > 0.0);
    start(&mut lab, &program, &file, ports[1]);
    drive(ports);
    check(&exporter, 2.0);

    // A log-format that cannot be changes nothing.
    fs::write(&file, configuration(ports, "%ST %xyz")).unwrap();
    exporter.signal("HUP");
    until("the refusal", || exporter.metrics().contains("tailmeter_config_last_reload_successful 0"));
    drive(ports);
    check(&exporter, 3.0);
}

fn reloads(exporter: &Exporter) -> f64 {
    samples(&exporter.metrics(), "tailmeter_config_last_reload_success_timestamp_seconds").map(|(_, value)| value).sum()
}

fn start(lab: &mut Lab, program: &Path, file: &Path, port: u16) {
    lab.start("haproxy", program, &["-db", "-f", file.to_str().unwrap()]);
    lab.until("HAProxy listens", || TcpStream::connect(("127.0.0.1", port)).ok());
}

/// Sends one of each kind.
fn drive([_, www, api, raw]: [u16; 4]) {
    assert!(get(www, "GET /hello").contains("200 OK"));
    assert!(get(www, "POST /lost?a=|b").contains("404"));
    assert!(get(api, "GET /v1/hello").contains("200 OK"));
    assert!(get(api, "BREW /pot").contains("503"));
    assert!(get(raw, "GET /hello").contains("200 OK"));
}

/// Everything has counted `times`.
fn check(exporter: &Exporter, times: f64) {
    let requests = "haproxy_log_requests_total";
    let hello = [r#"frontend_name="www""#, r#"backend_name="app""#, r#"server_name="<NOSRV>""#, r#"status_code="200""#];
    until("all lines", || {
        let text = exporter.metrics();
        value(&text, requests, &hello) >= 2.0 * times
            && value(&text, requests, &[r#"frontend_name="api""#]) >= 2.0 * times
            && value(&text, "haproxy_log_sessions_total", &[]) >= times
    });
    let text = exporter.metrics();
    let count = |metric: &str, labels: &[&str]| value(&text, metric, labels);
    assert_eq!(count(requests, &hello), 2.0 * times, "{text}");
    assert_eq!(
        count(requests, &[r#"frontend_name="www""#, r#"request_header_host="shop.example""#]),
        3.0 * times,
        "{text}"
    );
    assert_eq!(count(requests, &[r#"status_code="404""#, r#"http_request_method="POST""#]), times, "{text}");
    assert_eq!(count(requests, &[r#"frontend_name="api""#, r#"status_code="200""#]), times, "{text}");
    let brewed = [r#"backend_name="nothing""#, r#"server_name="down""#, r#"http_request_method="other""#];
    assert_eq!(count(requests, &brewed), times, "{text}");
    assert_eq!(count("haproxy_log_request_duration_seconds_count", &[r#"frontend_name="api""#]), 2.0 * times, "{text}");
    assert!(count("haproxy_log_request_bytes_total", &[r#"frontend_name="www""#]) > 0.0, "{text}");
    assert_eq!(count("haproxy_log_request_bytes_total", &[r#"frontend_name="api""#]), 0.0, "{text}");
    assert_eq!(
        count("haproxy_log_sessions_total", &[r#"frontend_name="raw""#, r#"server_name="one""#]),
        times,
        "{text}"
    );
    assert_eq!(count("tailmeter_lines_total", &[r#"outcome="rejected""#]), 0.0, "{text}");
}
