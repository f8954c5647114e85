//! `otlp` to a receiver that reads with OpenTelemetry's own messages.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{DEADLINE, Exporter, LOG, append, sum, until, wait};
use crate::servers::{assert_same, file};

/// The receiver, ended when dropped.
struct Otlp {
    child: Child,
    port: u16,
    requests: Receiver<Value>,
}

impl Otlp {
    fn start(turned_away: usize) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("target/python/bin/python");
        assert!(python.is_file(), "this test reads with PyPI's opentelemetry-proto: tests/forms/python");
        let mut command = Command::new(python);
        command.arg(root.join("tests/push/otlp_receiver.py")).arg(turned_away.to_string());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap().parse().unwrap();
        let (send, requests) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if send.send(serde_json::from_str(&line).unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { child, port, requests }
    }

    /// The next request.
    fn request(&self) -> Value {
        self.requests.recv_timeout(DEADLINE).expect("a request comes")
    }

    /// The next request in which `name` has the value `wanted`, all points added up.
    fn until(&self, name: &str, wanted: u64) -> Value {
        loop {
            let request = self.request();
            let points = points(&request, name);
            if points.iter().map(|point| number(&point["asInt"])).sum::<u64>() == wanted {
                return request;
            }
        }
    }
}

impl Drop for Otlp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Numbers of 64 bits are texts in JSON, and 0 is left out.
fn number(value: &Value) -> u64 {
    value.as_str().map_or(0, |text| text.parse().unwrap())
}

fn metrics(request: &Value) -> &Vec<Value> {
    request["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array().unwrap()
}

fn points<'r>(request: &'r Value, name: &str) -> Vec<&'r Value> {
    let of_name = metrics(request).iter().filter(|metric| metric["name"] == name);
    let data = of_name.filter_map(|metric| {
        ["sum", "gauge", "histogram"].iter().find_map(|kind| metric[kind]["dataPoints"].as_array())
    });
    data.flatten().collect()
}

/// Every series as the exposition would write it, of metrics from logs.
fn series(request: &Value) -> BTreeMap<String, f64> {
    let mut series = BTreeMap::new();
    for metric in metrics(request) {
        let name = metric["name"].as_str().unwrap();
        if !name.starts_with("haproxy_log_") {
            continue;
        }
        assert_ne!(metric["description"], Value::Null, "{metric}");
        let data = if metric["sum"].is_null() { &metric["histogram"] } else { &metric["sum"] };
        assert_eq!(data["aggregationTemporality"], "AGGREGATION_TEMPORALITY_CUMULATIVE", "{metric}");
        assert_eq!(data["isMonotonic"].as_bool(), (!metric["sum"].is_null()).then_some(true), "{metric}");
        for point in data["dataPoints"].as_array().unwrap() {
            let label = |attribute: &Value| {
                format!(
                    "{}=\"{}\"",
                    attribute["key"].as_str().unwrap(),
                    attribute["value"]["stringValue"].as_str().unwrap()
                )
            };
            let labels = point["attributes"].as_array().map(|all| all.iter().map(label).collect::<Vec<_>>().join(","));
            let labels = labels.unwrap_or_default();
            let block = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
            if !metric["sum"].is_null() {
                let value = if point["asDouble"].is_null() {
                    number(&point["asInt"]) as f64
                } else {
                    point["asDouble"].as_f64().unwrap()
                };
                series.insert(format!("{name}{block}"), value);
                continue;
            }
            let separator = if labels.is_empty() { "" } else { "," };
            let bounds = point["explicitBounds"].as_array().unwrap();
            let counts = point["bucketCounts"].as_array().unwrap();
            assert_eq!(counts.len(), bounds.len() + 1, "{point}");
            let mut count = 0;
            for (bound, in_bucket) in
                bounds.iter().map(|bound| bound.as_f64().unwrap().to_string()).chain(["+Inf".to_owned()]).zip(counts)
            {
                count += number(in_bucket);
                series.insert(format!("{name}_bucket{{{labels}{separator}le=\"{bound}\"}}"), count as f64);
            }
            series.insert(format!("{name}_sum{block}"), point["sum"].as_f64().unwrap());
            series.insert(format!("{name}_count{block}"), number(&point["count"]) as f64);
        }
    }
    series
}

fn of_text(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| line.starts_with("haproxy_log_")).filter_map(|line| line.rsplit_once(' '));
    lines.map(|(series, value)| (series.to_owned(), value.parse().unwrap())).collect()
}

/// The one start time of all points of `name`.
fn start(request: &Value, name: &str) -> u64 {
    let mut starts = points(request, name).iter().map(|point| number(&point["startTimeUnixNano"])).collect::<Vec<_>>();
    starts.dedup();
    assert_eq!(starts.len(), 1, "{name}");
    starts[0]
}

#[test]
fn points_are_those_of_the_exposition() {
    let receiver = Otlp::start(2);
    let folder = TempDir::new().unwrap();
    let log = file(folder.path(), "a.log", &format!("{LOG}\n"));
    let config = format!(
        "sources: [{{file: {log:?}, format: haproxy}}]
push:
  otlp:
    url: http://127.0.0.1:{}/v1/metrics
    interval: 1s
    resource_attributes: {{service.namespace: web, service.instance.id: here, service.version: ''}}
",
        receiver.port
    );
    let config = file(folder.path(), "c.yml", &config);
    let state = folder.path().join("state");
    let run = || Exporter::start(["--config", config.to_str().unwrap(), "--state-dir", state.to_str().unwrap()]);

    let exporter = run();
    let requests = "haproxy_log_requests_total";
    let text = exporter.until_sum(requests, 2.0);
    let request = receiver.until(requests, 2);
    assert_same(&series(&request), &of_text(&text));
    assert!(of_text(&text).len() > 30, "{text}");
    let attributes = request["resourceMetrics"][0]["resource"]["attributes"].as_array().unwrap();
    let attributes = attributes
        .iter()
        .map(|attribute| (attribute["key"].as_str().unwrap(), attribute["value"]["stringValue"].as_str().unwrap()));
    let expected = [("service.instance.id", "here"), ("service.name", "tailmeter"), ("service.namespace", "web")];
    assert_eq!(attributes.collect::<Vec<_>>(), expected);
    assert_eq!(points(&request, "process_open_fds").len(), 1);
    assert_eq!(sum(&exporter.metrics(), "tailmeter_push_dropped_samples_total"), 0.0);
    until("two failures", || {
        exporter.metrics().contains("tailmeter_push_requests_total{push=\"otlp\",outcome=\"failed\"} 2\n")
    });

    // With a state, counts go on where they were: they began when they began. What a run counts for itself begins with it.
    let (counts, process) = (start(&request, requests), start(&request, "process_cpu_seconds_total"));
    assert!(counts <= process);
    drop(exporter);
    append(&log, &format!("{LOG}\n"));
    let mut exporter = run();
    let request = receiver.until(requests, 4);
    assert_eq!(start(&request, requests), counts);
    assert!(start(&request, "process_cpu_seconds_total") > process);

    exporter.signal("TERM");
    assert_eq!(wait(&mut exporter.child).code(), Some(0));
    let last = std::iter::repeat_with(|| receiver.request())
        .find(|request| points(request, requests)[0]["flags"] == 1)
        .unwrap();
    for point in metrics(&last).iter().flat_map(|metric| points(&last, metric["name"].as_str().unwrap())) {
        let has_value = ["asInt", "asDouble", "count", "sum"].iter().any(|value| !point[value].is_null());
        assert!(point["flags"] == 1 && !has_value, "{point}");
    }
}
