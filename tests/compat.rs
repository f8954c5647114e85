//! `--compat haproxy-log-exporter`: the metrics are those of the Python prometheus-haproxy-log-exporter; and, in
//! `compat/postfix_exporter.rs`, the same for postfix_exporter.
//!
//! `compat/CASE.original.prom` is what that program showed for a log (`compat/SOURCES.md`), `compat/CASE.prom` is what
//! tailmeter shows for it. `UPDATE=1 cargo test --test compat` writes the latter: read the difference before committing it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "compat/postfix_exporter.rs"]
mod postfix_exporter;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tailmeter::config::Config;
use tailmeter::metrics::{Compat, Dialect, FAMILIES};
use tailmeter::pipeline::Pipeline;
use tailmeter::source::{Block, End, Sink};

const COMPAT: Compat = Compat::HaproxyLogExporter;

/// What the case `labels` was recorded with, as a configuration says it.
const LABELS: &str = "
labels:
  client_ip: {unbounded: true}
  client_port: {unbounded: true}
metrics:
  haproxy_log_request_wait_milliseconds: {labels: [frontend_name]}
  haproxy_log_request_abort_total: {labels: [frontend_name]}
  haproxy_log_server_tcp_connection_establish_milliseconds: {labels: [backend_name, server_name]}
  haproxy_log_request_pre_server_connection_abort: {labels: [backend_name, server_name]}
  haproxy_log_request_queued_milliseconds: {labels: [frontend_name, backend_name]}
  haproxy_log_request_pre_queue_abort_total: {labels: [frontend_name, backend_name]}
  haproxy_log_response_processing_milliseconds: {labels: [server_name]}
  haproxy_log_request_response_abort_total: {labels: [server_name]}
  haproxy_log_session_duration_milliseconds: {labels: [frontend_name, logasap]}
  haproxy_log_requests_total: {labels: [client_ip, client_port]}
  haproxy_log_bytes_read_total: {labels: [status_code]}
  haproxy_log_backend_queue_length: {labels: [backend_name]}
  haproxy_log_server_queue_length: {labels: [backend_name, server_name]}
";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn log(case: &str) -> Vec<u8> {
    let case = if case == "labels" { "http" } else { case };
    fs::read(path(&format!("fixtures/haproxy/{case}.log"))).unwrap()
}

fn tailmeter(arguments: &[&str], variables: &[(&str, &str)], input: &[u8]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_tailmeter"))
        .args(arguments)
        .env_remove("TAILMETER_CONFIG")
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = program.stdin.take().unwrap();
    // Who is wrongly used does not read.
    let _ = stdin.write_all(input);
    drop(stdin);
    program.wait_with_output().unwrap()
}

/// What `replay --compat` shows for `lines`.
fn replay(lines: &[u8], config: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tailmeter.yml");
    fs::write(&file, config).unwrap();
    let arguments =
        ["replay", "--format", "haproxy", "--compat", COMPAT.name(), "--config", file.to_str().unwrap(), "-"];
    let run = tailmeter(&arguments, &[], lines);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

/// Metrics of the log by name: type, and values by series, whose labels are put in order.
type Metrics = BTreeMap<String, String>;
type Samples = BTreeMap<String, f64>;

fn read(exposition: &str) -> (Metrics, Samples) {
    let (mut types, mut samples) = (Metrics::new(), Samples::new());
    for line in exposition.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE haproxy_log_").and_then(|rest| rest.split_once(' ')) {
            assert_eq!(types.insert(name.to_owned(), kind.to_owned()), None);
        }
        let Some((series, value)) = line.strip_prefix("haproxy_log_").and_then(|rest| rest.rsplit_once(' ')) else {
            continue;
        };
        // No value in these logs has a comma.
        let (name, labels) = series.strip_suffix('}').and_then(|series| series.split_once('{')).unwrap_or((series, ""));
        let mut labels: Vec<_> = labels.split(',').collect();
        labels.sort_unstable();
        let series = format!("{name}{{{}}}", labels.join(","));
        assert_eq!(samples.insert(series, value.parse().unwrap()), None, "{line}");
    }
    (types, samples)
}

/// True when the other program can read the line: a request of an IPv4 client in `option httplog`.
fn is_read_there(line: &str) -> bool {
    let Some((_, message)) = line.split_once("]: ") else { return false };
    let client = message.split(' ').next().unwrap_or_default();
    let is_ipv4 = client.split(':').count() == 2 && client.split('.').count() == 4;
    is_ipv4 && message.ends_with('"') && message.split(' ').nth(4).is_some_and(|timers| timers.split('/').count() == 5)
}

#[test]
fn every_sample_is_as_the_original_has_it() {
    let mut compared = 0;
    for (case, config) in [("http", ""), ("badreq", ""), ("logasap", ""), ("tcplog", ""), ("labels", LABELS)] {
        let log = String::from_utf8_lossy(&log(case)).into_owned();
        let (common, others): (Vec<_>, Vec<_>) = log.lines().partition(|line| is_read_there(line));
        let lines: String = common.iter().map(|line| format!("{line}\n")).collect();
        let (types, mut shown) = read(&replay(lines.as_bytes(), config));
        let original = fs::read_to_string(path(&format!("tests/compat/{case}.original.prom"))).unwrap();
        let (original_types, mut original) = read(&original);
        // Three things differ: see METRICS.md. A metric without a series has a type there all the same.
        assert_eq!(original.insert("processing_errors_total{}".into(), 0.0), Some(others.len() as f64), "{case}");
        let is_bytes = |series: &&String| series.starts_with("bytes_read_total{");
        let bytes = |samples: &Samples| samples.keys().filter(is_bytes).cloned().collect::<Vec<_>>();
        assert_eq!(bytes(&shown), bytes(&original), "{case}");
        let lines: f64 = original.iter().filter(|(series, _)| is_bytes(series)).map(|(_, value)| value).sum();
        assert_eq!(lines, common.len() as f64, "{case}: lines, not bytes");
        for samples in [&mut shown, &mut original] {
            samples.retain(|series, _| !is_bytes(&series));
        }
        for (name, kind) in &types {
            assert_eq!(original_types.get(name), Some(kind), "{case}: {name}");
        }
        for series in original.keys().chain(shown.keys()) {
            assert_eq!(shown.get(series), original.get(series), "{case}: {series}");
        }
        compared += shown.len();
    }
    assert!(compared > 1000, "only {compared} samples");
}

#[test]
fn bytes_are_bytes() {
    let lines = b"192.0.2.1:1 [21/Nov/2026:05:10:27.087] in~ app/a1 0/0/0/0/0 200 59 - - ---- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\"\n\
        192.0.2.1:1 [21/Nov/2026:05:10:27.087] in~ app/a1 0/0/0/0/+7 200 +100 - - ---- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\"\n";
    let (_, samples) = read(&replay(lines, ""));
    let series = "bytes_read_total{backend_name=\"app\",server_name=\"a1\",status_code=\"200\"}";
    assert_eq!(samples.get(series), Some(&159.0), "also those of `option logasap`, as far as they are known");
    assert_eq!(samples.get("session_duration_milliseconds_sum{logasap=\"True\"}"), Some(&7.0));
}

#[test]
fn label_values_are_as_the_original_has_them() {
    let lines = b"192.0.2.1:1 [21/Nov/2026:05:10:27.087] in~ app/a1 0/0/0/0/0 200 59 - - ---- 1/1/0/0/0 0/0 \"GET /a?b=c HTTP/1.1\"\n\
        192.0.2.1:1 [21/Nov/2026:05:10:27.087] in app/a1 -1/-1/-1/-1/0 400 0 - - PR-- 1/1/0/0/0 0/0 \"<BADREQ>\"\n\
        192.0.2.1:1 [21/Nov/2026:05:10:27.087] in app/a1 0/0/0/0/0 200 0 - - ---- 1/1/0/0/0 0/0 \"BREW /pot HTTP/1.1\"\n\
        no line of HAProxy\n";
    let config = "metrics:\n  haproxy_log_requests_total:\n    \
        labels: [frontend_name, http_request_method, http_request_path: {unbounded: true}]\n";
    let shown = replay(lines, config);
    let requests: Vec<_> = shown.lines().filter(|line| line.starts_with("haproxy_log_requests_total{")).collect();
    let expected = [
        r#"haproxy_log_requests_total{frontend_name="in",http_request_method="invalid",http_request_path="invalid"} 1"#,
        r#"haproxy_log_requests_total{frontend_name="in",http_request_method="other",http_request_path="/pot"} 1"#,
        r#"haproxy_log_requests_total{frontend_name="in~",http_request_method="GET",http_request_path="/a"} 1"#,
    ];
    assert_eq!(requests, expected);
    assert!(shown.contains("\nhaproxy_log_processing_errors_total 1\n"), "{shown}");
}

#[test]
fn scrapes_are_as_expected() {
    let is_update = std::env::var_os("UPDATE").is_some_and(|update| update == "1");
    for case in ["http", "badreq", "logasap", "tcplog", "clf", "httpslog", "captures", "truncated"] {
        let found = replay(&log(case), "");
        let file = path(&format!("tests/compat/{case}.prom"));
        if is_update {
            fs::write(&file, &found).unwrap();
            continue;
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        assert!(found == expected, "{case}: if the new output is right: UPDATE=1 cargo test --test compat\n{found}");
    }
}

#[test]
fn lines_of_every_layout_and_any_configuration_count_alike() {
    // The scanner reads the usual layouts, the layouts all others: the same lines by a log-format that says the same.
    let lines = log("http");
    let format =
        "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r";
    let run = tailmeter(&["replay", "--compat", COMPAT.name(), "--log-format", format, "-"], &[], &lines);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let (_, by_format) = read(std::str::from_utf8(&run.stdout).unwrap());
    let (_, usual) = read(&replay(&lines, ""));
    assert_eq!(by_format, usual);
}

#[test]
fn every_line_of_any_log_is_a_request_known_or_an_error() {
    let mut logs = 0;
    for entry in fs::read_dir(path("fixtures/haproxy")).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "log") {
            continue;
        }
        let shown = replay(&fs::read(&file).unwrap(), "");
        let outcome = |outcome: &str| -> f64 {
            let is_it = |line: &&str| line.starts_with("tailmeter_lines_total{") && line.contains(outcome);
            shown.lines().filter(is_it).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
        };
        let (_, samples) = read(&shown);
        let requests = samples.iter().filter(|(series, _)| series.starts_with("requests_total{"));
        let requests: f64 = requests.map(|(_, value)| value).sum();
        // "message repeated 2 times" is a line that counts twice.
        let repeated = if file.ends_with("envelopes.log") { 1.0 } else { 0.0 };
        assert_eq!(requests, outcome("\"parsed\"") + repeated, "{}", file.display());
        assert_eq!(samples["processing_errors_total{}"], outcome("\"rejected\""), "{}", file.display());
        logs += 1;
    }
    assert!(logs > 10);
}

#[test]
fn nothing_of_tailmeters_own_log_metrics_is_shown() {
    let shown = replay(&log("http"), "");
    let own = FAMILIES.iter().flat_map(|family| family.metrics.iter().map(|metric| metric.name));
    let others = ["haproxy_log_requests_total", "haproxy_log_server_queue_length", "haproxy_log_backend_queue_length"];
    for name in own.filter(|name| !others.contains(name)) {
        assert!(!shown.contains(&format!("# TYPE {name} ")), "{name}");
    }
    assert!(shown.contains("tailmeter_lines_total{"), "{shown}");
}

#[test]
fn it_is_asked_for_by_option_variable_or_file() {
    let lines = log("http");
    let by_option = replay(&lines, "");
    let usual = tailmeter(&["replay", "--format", "haproxy", "-"], &[], &lines).stdout;
    assert_ne!(by_option.as_bytes(), usual);
    let by_variable =
        tailmeter(&["replay", "--format", "haproxy", "-"], &[("TAILMETER_COMPAT", COMPAT.name())], &lines);
    assert_eq!(String::from_utf8_lossy(&by_variable.stdout), by_option);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tailmeter.yml");
    // The metric stands before the word that makes it known.
    let text = "metrics:\n  haproxy_log_request_wait_milliseconds: {labels: []}\ncompat: haproxy-log-exporter\n";
    fs::write(&file, text).unwrap();
    let by_file = tailmeter(&["replay", "--format", "haproxy", "--config", file.to_str().unwrap(), "-"], &[], &lines);
    assert_eq!(String::from_utf8_lossy(&by_file.stdout), by_option);
}

#[test]
fn mistakes_are_told() {
    for variables in [&[][..], &[("TAILMETER_COMPAT", "haproxy_exporter")][..]] {
        let option: &[&str] = if variables.is_empty() { &["--compat", "haproxy_exporter"] } else { &[] };
        let run = tailmeter(&[&["replay", "--format", "haproxy"][..], option, &["-"]].concat(), variables, b"");
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(2), "{said}");
        assert!(said.contains("'haproxy_exporter'") && said.contains("haproxy-log-exporter"), "{said}");
    }
    let refuse = |text| Config::parse(text, "c.yml", FAMILIES).expect_err("refused").to_string();
    let said = refuse("compat: haproxy-log-exportr\n");
    assert!(
        said.contains("c.yml:1:9: unknown program `haproxy-log-exportr`; did you mean `haproxy-log-exporter`?"),
        "{said}"
    );
    assert!(said.contains("known programs: haproxy-log-exporter"), "{said}");
    assert!(refuse("compat: [a]\n").contains("expected the name of a program, found a list"));
    let said = refuse("compat: haproxy-log-exporter\nmetrics:\n  haproxy_log_sessions_total: {enabled: false}\n");
    assert!(said.contains("unknown metric `haproxy_log_sessions_total`"), "{said}");
    let said = refuse("compat: haproxy-log-exporter\nmetrics:\n  haproxy_log_requests_total: {labels: [client_ip]}\n");
    assert!(said.contains("it needs a policy"), "{said}");
    let said = refuse("metrics:\n  haproxy_log_bytes_read_total: {enabled: false}\n");
    assert!(said.contains("unknown metric `haproxy_log_bytes_read_total`"), "{said}");
}

fn config(text: &str) -> Config {
    Config::parse(text, "c.yml", FAMILIES).unwrap()
}

fn shown(pipeline: &Pipeline) -> String {
    pipeline.checkpoint().unwrap();
    let mut text = Vec::new();
    pipeline.render(&mut text);
    String::from_utf8(text).unwrap()
}

fn count(pipeline: &Pipeline, lines: &[u8]) {
    let mut feed = pipeline.shard("haproxy", &Dialect::Usual).unwrap().feed("test", "test");
    feed.block(Block { lines, bytes: lines.len() as u64, end: End::Nowhere, cut: false });
}

#[test]
fn counts_of_both_stay_apart_when_the_configuration_changes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tailmeter.db");
    // Without labels, as the metrics of the other program are.
    let usual = config("metrics:\n  haproxy_log_request_header_duration_seconds: {labels: []}\n");
    let compat = config("compat: haproxy-log-exporter\n");
    for path in [None, Some(file.as_path())] {
        let pipeline = match path {
            Some(path) => Pipeline::with_state(&usual, path, |_| {}).unwrap(),
            None => Pipeline::new(&usual, |_| {}),
        };
        count(&pipeline, &log("http"));
        let before = shown(&pipeline);
        assert!(pipeline.fits(&usual) && !pipeline.fits(&compat));
        let pipeline = pipeline.reconfigured(&compat, path).unwrap();
        assert!(pipeline.fits(&compat) && !pipeline.fits(&usual));
        let (_, samples) = read(&shown(&pipeline));
        assert!(samples.values().all(|value| *value == 0.0), "{samples:?}");
        count(&pipeline, &log("http"));
        assert_eq!(read(&shown(&pipeline)), read(&replay(&log("http"), "")));
        let pipeline = pipeline.reconfigured(&usual, path).unwrap();
        let expected = if path.is_some() { before } else { String::new() };
        assert_eq!(shown(&pipeline), expected, "the state keeps what is not shown");
    }
}

#[test]
fn promtool_complains_of_the_names_alone() {
    for case in ["http", "logasap"] {
        let file = fs::File::open(path(&format!("tests/compat/{case}.prom"))).unwrap();
        let run = Command::new("promtool").args(["check", "metrics"]).stdin(file).output();
        let run = run.expect("promtool starts (Debian package prometheus)");
        let said = String::from_utf8_lossy(&[run.stdout, run.stderr].concat()).into_owned();
        let expected =
            ["use base unit \"seconds\" instead of \"milliseconds\"", "counter metrics should have \"_total\" suffix"];
        for line in said.lines() {
            assert!(expected.iter().any(|known| line.ends_with(known)), "{said}");
        }
        assert_eq!(said.lines().count(), 6, "{said}");
    }
}
