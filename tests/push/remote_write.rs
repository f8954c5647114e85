//! `remote_write` to Debian's Prometheus: what it answers to queries is what the logs say, whatever dies meanwhile.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Exporter, append, request, samples, sum, until, wait};
use crate::servers::{Certificates, Program, file, free_port, get};

/// A Prometheus on `port` that scrapes nothing.
fn prometheus(port: u16, folder: &Path) -> Program {
    let config = file(folder, "prometheus.yml", "scrape_configs: []\n");
    let mut command = Command::new("prometheus");
    command.arg("--web.enable-remote-write-receiver").arg(format!("--web.listen-address=127.0.0.1:{port}"));
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()));
    let program = Program::start(command, port);
    until("a ready Prometheus", || program.get("/-/ready").contains("Ready"));
    program
}

/// What a query returns.
fn query(port: u16, query: &str) -> Vec<Value> {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    let encoded = query.bytes().map(encode).collect::<String>();
    let answer: Value = serde_json::from_str(&get(port, &format!("/api/v1/query?query={encoded}"))).unwrap();
    assert_eq!(answer["status"], "success", "{query}: {answer}");
    answer["data"]["result"].as_array().unwrap().clone()
}

/// The only value of a query, if there is one.
fn value(port: u16, text: &str) -> Option<f64> {
    let result = query(port, text);
    result.first().map(|sample| sample["value"][1].as_str().unwrap().parse().unwrap())
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Series with their values, as an exposition has them.
fn shown(text: &str) -> BTreeMap<BTreeMap<String, String>, f64> {
    let series = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.trim_end_matches('}').split(',').filter_map(|label| label.split_once('='));
        let labels = labels.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()));
        // To Prometheus an empty label is none.
        let mut labels = labels.filter(|(_, value)| !value.is_empty()).collect::<BTreeMap<_, _>>();
        labels.insert("__name__".to_owned(), name.to_owned());
        (labels, value.parse().unwrap())
    };
    text.lines().filter(|line| line.starts_with("haproxy_log_")).map(series).collect()
}

/// The same from Prometheus, which has them as of `instance`.
fn taken(port: u16, instance: &str) -> BTreeMap<BTreeMap<String, String>, f64> {
    let series = |sample: Value| {
        let mut labels: BTreeMap<String, String> = serde_json::from_value(sample["metric"].clone()).unwrap();
        for (name, value) in [("job", "tailmeter"), ("instance", instance), ("cluster", "web")] {
            assert_eq!(labels.remove(name).as_deref(), Some(value), "{labels:?}");
        }
        (labels, sample["value"][1].as_str().unwrap().parse().unwrap())
    };
    query(port, "{__name__=~\"haproxy_log_.*\"}").into_iter().map(series).collect()
}

#[test]
fn every_line_counts_once_whatever_dies() {
    let folder = TempDir::new().unwrap();
    let (port, log) = (free_port(), folder.path().join("a.log"));
    let config = format!(
        "sources: [{{file: {log:?}, format: haproxy}}]
push:
  remote_write:
    url: http://127.0.0.1:{port}/api/v1/write
    interval: 1s
    external_labels: {{cluster: web, instance: here}}
"
    );
    let config = file(folder.path(), "c.yml", &config);
    let state = folder.path().join("state");
    let start = || Exporter::start(["--config", config.to_str().unwrap(), "--state-dir", state.to_str().unwrap()]);
    let write = |lines: usize| append(&log, &request().repeat(lines));
    let metric = "haproxy_log_requests_total";
    let has = |total: f64| until("all lines", || value(port, &format!("sum({metric})")) == Some(total));

    write(100);
    let receiver = prometheus(port, folder.path());
    let exporter = start();
    has(100.0);

    // The receiver goes away for a while: what it missed comes later, as of when it was.
    receiver.terminate();
    let gone = now();
    write(10);
    exporter.until_sum(metric, 110.0);
    until("failures", || sum(&exporter.metrics(), "tailmeter_push_buffered_bytes") > 10_000.0);
    let back = now();
    let receiver = prometheus(port, folder.path());
    has(110.0);
    until("what it missed", || {
        let series = query(port, &format!("{metric}[1h]"));
        let times = series.iter().flat_map(|series| series["values"].as_array().unwrap());
        times.filter_map(|sample| sample[0].as_f64()).any(|time| time > gone && time < back)
    });

    // Both die, one of them without a word.
    write(10);
    drop(receiver);
    drop(exporter);
    write(10);
    let mut exporter = start();
    write(10);
    let receiver = prometheus(port, folder.path());
    has(140.0);
    let text = exporter.until_sum(metric, 140.0);
    until("the same values", || taken(port, "here") == shown(&text));
    assert!(shown(&text).len() > 30, "{text}");
    assert_eq!(value(port, &format!("sum(resets({metric}[1h]))")), Some(0.0));

    // An orderly end comes with the last values, and ends all series.
    write(10);
    exporter.until_sum(metric, 150.0);
    exporter.signal("TERM");
    assert_eq!(wait(&mut exporter.child).code(), Some(0));
    until("the end of all series", || value(port, "count({job=\"tailmeter\"})").is_none());
    assert_eq!(value(port, &format!("sum(last_over_time({metric}[1h]))")), Some(150.0));
    drop(receiver);
}

#[test]
fn a_server_that_wants_a_certificate_gets_one() {
    let (certificates, folder, port) = (Certificates::new(), TempDir::new().unwrap(), free_port());
    let [ca, certificate, key] = ["ca.pem", "server.pem", "server.key"].map(|name| certificates.path(name));
    let web = format!(
        "tls_server_config: {{cert_file: {certificate:?}, key_file: {key:?}, client_ca_file: {ca:?}, \
        client_auth_type: RequireAndVerifyClientCert}}\n"
    );
    let web = file(folder.path(), "web.yml", &web);
    let config = file(folder.path(), "prometheus.yml", "scrape_configs: []\n");
    let mut command = Command::new("prometheus");
    command.arg("--web.enable-remote-write-receiver").arg(format!("--web.listen-address=127.0.0.1:{port}"));
    command.arg(format!("--config.file={}", config.display())).arg(format!("--web.config.file={}", web.display()));
    command.arg(format!("--storage.tsdb.path={}", folder.path().join("tsdb").display()));
    let _receiver = Program::start(command, port);
    let pushing = |tls: &str| {
        let log = file(folder.path(), "a.log", "");
        let config = format!(
            "sources: [{{file: {log:?}, format: haproxy}}]
push: {{remote_write: {{url: 'https://127.0.0.1:{port}/api/v1/write', interval: 1s, tls: {{ca: {ca:?}, server_name: localhost{tls}}}}}}}
"
        );
        let config = file(folder.path(), "c.yml", &config);
        Exporter::start(["--config", config.to_str().unwrap()])
    };
    let exporter = pushing(&format!(", certificate: {certificate:?}, key: {key:?}"));
    let outcome = |outcome: &str, text: &str| {
        let samples = samples(text, "tailmeter_push_requests_total");
        samples.filter(|(labels, _)| labels.contains(outcome)).map(|(_, value)| value).sum::<f64>()
    };
    until("a delivery", || outcome("delivered", &exporter.metrics()) > 0.0);
    let exporter = pushing("");
    until("a failure", || outcome("failed", &exporter.metrics()) > 0.0);
    assert_eq!(outcome("delivered", &exporter.metrics()), 0.0);
}
