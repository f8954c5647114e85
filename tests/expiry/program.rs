//! The program with series that expire: restarts, crashes and reloads.

use std::fs;
use std::path::Path;

use crate::harness::{Exporter, append, request, samples, until, wait};

const REQUESTS: &str = "haproxy_log_requests_total";

/// A request of the frontend called `name`.
fn request_of(name: &str) -> String {
    request().replace(" http-in ", &format!(" {name} "))
}

/// Requests of a frontend as they are shown, if they are.
fn shown(text: &str, name: &str) -> Option<f64> {
    let label = format!("frontend_name=\"{name}\"");
    samples(text, REQUESTS).find(|(labels, _)| labels.contains(&label)).map(|(_, value)| value)
}

fn own(text: &str, metric: &str) -> f64 {
    let label = format!("metric=\"{REQUESTS}\"");
    samples(text, metric).find(|(labels, _)| labels.contains(&label)).map_or(-1.0, |(_, value)| value)
}

struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn log(&self) -> std::path::PathBuf {
        self.folder.path().join("a.log")
    }

    fn configure(&self, expire_after: &str) {
        let source = format!("sources: [{{file: {}, format: haproxy}}]", self.log().display());
        fs::write(self.folder.path().join("c.yml"), format!("{source}\nexpire_after: {expire_after}\n")).unwrap();
    }

    fn start(&self, state: &[&str]) -> Exporter {
        let configuration = self.folder.path().join("c.yml").display().to_string();
        let arguments = ["--config".to_owned(), configuration];
        Exporter::start(arguments.iter().map(String::as_str).chain(state.iter().copied()))
    }

    /// Adds requests of `busy` until `idle` is not shown any more; returns that scrape.
    fn until_expired(&self, exporter: &Exporter, idle: &str, busy: &str) -> String {
        let mut text = String::new();
        until("the end of the idle series", || {
            append(&self.log(), &request_of(busy));
            text = exporter.metrics();
            shown(&text, idle).is_none()
        });
        text
    }
}

fn state_of(folder: &Path) -> String {
    folder.join("state").display().to_string()
}

#[test]
fn idle_series_survive_a_crash_unseen_and_come_back() {
    let lab = Lab::new();
    lab.configure("2s");
    append(&lab.log(), &[request_of("busy"), request_of("idle"), request_of("idle")].concat());
    let directory = state_of(lab.folder.path());
    let state = ["--state-dir", directory.as_str()];
    let mut exporter = lab.start(&state);
    let text = exporter.until_sum(REQUESTS, 3.0);
    assert_eq!((shown(&text, "idle"), own(&text, "tailmeter_series_expired")), (Some(2.0), 0.0));

    let text = lab.until_expired(&exporter, "idle", "busy");
    let busy = shown(&text, "busy").unwrap();
    let held = ["tailmeter_series", "tailmeter_series_expired"].map(|metric| own(&text, metric));
    assert_eq!(held, [2.0, 1.0], "it keeps its place: {text}");
    assert!(!text.contains("\"idle\""), "{text}");

    exporter.signal("KILL");
    wait(&mut exporter.child);
    let exporter = lab.start(&state);
    let text = exporter.metrics();
    assert_eq!(shown(&text, "idle"), None, "{text}");
    until("the other series", || shown(&exporter.metrics(), "busy").is_some_and(|now| now >= busy));

    append(&lab.log(), &request_of("idle"));
    until("the series", || shown(&exporter.metrics(), "idle") == Some(3.0));

    lab.until_expired(&exporter, "idle", "busy");
    lab.configure("never");
    exporter.signal("HUP");
    until("what had expired", || shown(&exporter.metrics(), "idle") == Some(3.0));
}

#[test]
fn idle_series_expire_without_a_state_and_over_a_reload() {
    let lab = Lab::new();
    lab.configure("2s");
    fs::write(lab.log(), "").unwrap();
    let exporter = lab.start(&["--no-state"]);
    // What is written before the source has found the file's end does not count.
    until("readiness", || exporter.get("/-/ready").0.starts_with("HTTP/1.1 200"));
    append(&lab.log(), &[request_of("busy"), request_of("idle")].concat());
    exporter.until_sum(REQUESTS, 2.0);
    lab.until_expired(&exporter, "idle", "busy");
    // Idle rows stay what they are when other metrics change.
    lab.configure("2s\nmetrics: {haproxy_log_retries_total: {enabled: false}}");
    exporter.signal("HUP");
    until("the reload", || {
        let text = exporter.metrics();
        assert_eq!(shown(&text, "idle"), None, "{text}");
        !text.contains("# TYPE haproxy_log_retries_total ")
    });
    append(&lab.log(), &request_of("idle"));
    until("the series", || shown(&exporter.metrics(), "idle") == Some(2.0));
}
