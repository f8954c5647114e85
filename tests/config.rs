//! The configuration file, read as an operator writes it: what is accepted, the exact text of every kind of
//! mistake, and that no bytes whatever make reading fail otherwise than by saying so.

#![allow(clippy::expect_used, reason = "a test that cannot go on fails by panicking")]

#[path = "config/format_mistakes.rs"]
mod format_mistakes;
#[path = "config/histogram_mistakes.rs"]
mod histogram_mistakes;
#[path = "config/mistakes.rs"]
mod mistakes;
#[path = "config/policies.rs"]
mod policies;
#[path = "config/policy_mistakes.rs"]
mod policy_mistakes;
#[path = "config/push_mistakes.rs"]
mod push_mistakes;
#[path = "config/source_mistakes.rs"]
mod source_mistakes;
#[path = "config/sources.rs"]
mod sources;
#[path = "config/syslog_mistakes.rs"]
mod syslog_mistakes;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tailmeter::config::{
    Config, ConfigErrors, ExemplarSource, Input, LabelPolicy, MAX_FILE_BYTES, MetricConfig, NativeConfig, Source,
    SummaryConfig, SyslogInput,
};
use tailmeter::metrics::{Family, Kind, Label, Metric, Unit};
use tailmeter::push::Receiver;
use tailmeter::series::{Pattern, Patterns};

const fn metric(name: &'static str, labels: &'static [&'static str], opt_in: &'static [&'static str]) -> Metric {
    Metric { name, help: "Help.", kind: Kind::Counter, unit: Unit::None, labels, opt_in, is_on: true }
}

const fn label(name: &'static str, private: bool) -> Label {
    Label { name, help: "Help.", private }
}

/// A few rows of a catalogue, so that a new metric does not change the messages expected here.
const HAPROXY: Family = Family {
    member: None,
    name: "haproxy",
    compat: None,
    metrics: &[
        metric(
            "haproxy_log_requests_total",
            &["frontend_name", "backend_name", "server_name", "status_code", "http_request_method"],
            &["termination_state", "http_request_path", "client_ip", "request_header_N"],
        ),
        metric("haproxy_log_queue_duration_seconds", &["frontend_name", "backend_name"], &["server_name"]),
        metric("haproxy_log_incomplete_records_total", &[], &[]),
    ],
    labels: &[
        label("frontend_name", false),
        label("backend_name", false),
        label("server_name", false),
        label("status_code", false),
        label("http_request_method", false),
        label("termination_state", false),
        label("http_request_path", true),
        label("client_ip", true),
        label("request_header_N", true),
    ],
};

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse(text, "tailmeter.yml", &[&HAPROXY])
}

#[track_caller]
fn accept(text: &str) -> Config {
    parse(text).unwrap_or_else(|errors| panic!("refused:\n{text}\n{errors}"))
}

/// The same with every family that there is.
#[track_caller]
fn accept_all(text: &str) -> Config {
    let parsed = Config::parse(text, "tailmeter.yml", tailmeter::metrics::FAMILIES);
    parsed.unwrap_or_else(|errors| panic!("refused:\n{text}\n{errors}"))
}

#[track_caller]
fn refuse(text: &str) -> ConfigErrors {
    match parse(text) {
        Ok(config) => panic!("accepted:\n{text}\n{config:?}"),
        Err(errors) => errors,
    }
}

fn example_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/tailmeter.yml")
}

fn example() -> String {
    std::fs::read_to_string(example_path()).expect("the example can be read")
}

/// The example with every setting in use: a `#` that a space and a word follow begins prose, any other
/// one hides a setting.
fn example_in_full() -> String {
    let mut text = String::new();
    for line in example().lines() {
        let rest = line.strip_prefix('#').unwrap_or(line);
        let indent = rest.len() - rest.trim_start().len();
        let shown = if indent == 1 { line } else { rest };
        text.push_str(shown);
        text.push('\n');
    }
    text
}

#[test]
fn nothing_written_means_the_defaults() {
    for text in ["", "\n", "# only a comment\n", "\u{feff}", "---\n", "{}", "~"] {
        assert_eq!(accept(text), Config::default(), "{text:?}");
    }
    assert_eq!(accept("sources:\nlabels:\nmetrics: ~\n"), Config::default());
    let config = Config::default();
    assert_eq!(config.listen.to_string(), "127.0.0.1:9129");
    assert_eq!((config.max_line_bytes, config.max_series), (65536, 10000));
}

#[test]
fn every_setting_arrives() {
    let config = accept(
        "listen: '[::1]:80'
max_line_bytes: 16777216
max_series: 1
max_series_total: 70
expire_after: 1h30m
sources:
  - {file: '/var/log/*.log', format: haproxy}
  - {file: /var/log/haproxy.log, format: haproxy}
labels:
  client_ip: {allow: [192.0.2.1]}
  frontend_name: {allow: [www]}
metrics:
  haproxy_log_requests_total:
    labels: [frontend_name, client_ip, {request_header_64: {unbounded: true}}, {status_code: {allow: [200]}}]
    max_series: 1000
    expire_after: 2d
  haproxy_log_queue_duration_seconds: {enabled: false, labels: []}
  haproxy_log_incomplete_records_total: {expire_after: never}
",
    );
    assert_eq!(config.listen.to_string(), "[::1]:80");
    assert_eq!((config.max_line_bytes, config.max_series, config.max_series_total), (16_777_216, 1, 70));
    let files: Vec<_> = config.sources.iter().map(Source::label).collect();
    assert_eq!(files, ["/var/log/*.log", "/var/log/haproxy.log"]);

    let allow = |value: &str| LabelPolicy::allow([value]);
    let all = LabelPolicy::open();
    let [requests, queue, incomplete] = HAPROXY.metrics else {
        panic!("three metrics");
    };
    assert_eq!(
        config.labels_of(requests),
        [
            ("frontend_name", Some(&allow("www"))),
            ("client_ip", Some(&allow("192.0.2.1"))),
            ("request_header_64", Some(&all)),
            ("status_code", Some(&allow("200"))),
        ]
    );
    assert_eq!(config.labels_of(queue), []);
    assert!(config.is_enabled(requests) && !config.is_enabled(queue));
    assert_eq!(config.max_series_of(requests.name), 1000);
    assert_eq!(config.max_series_of(incomplete.name), 1);
    let spans = [requests, queue, incomplete].map(|metric| config.expire_after(metric).map(|span| span.as_secs()));
    // The second one has no labels here, so its one series stays.
    assert_eq!(spans, [Some(172_800), None, None]);
    assert_eq!(accept("expire_after: 90s").expire_after(queue).map(|span| span.as_secs()), Some(90));
    assert_eq!(Config::default().expire_after(queue), None);
    assert_eq!(Config::default().labels_of(queue), [("frontend_name", None), ("backend_name", None)]);
}

#[test]
fn a_policy_of_its_own_comes_before_the_shared_one() {
    let config = accept(
        "metrics:
  haproxy_log_requests_total: {labels: [{client_ip: {allow: [b]}}]}
labels: {client_ip: {unbounded: true}}
",
    );
    let [(name, Some(policy))] = config.labels_of(&HAPROXY.metrics[0])[..] else {
        panic!("one label with a policy");
    };
    assert_eq!((name, policy.unbounded), ("client_ip", false));
}

#[test]
fn allowed_values_are_the_text_they_look_like() {
    let config = accept(
        r#"labels: {status_code: {allow: [200, -1, 0200, 1e3, no, True, .nan, null, ~, 0x10, 1_000,
  2024-01-01, "q", 'it''s', !!str 5, 99999999999999999999999999999999999999999999, <NOSRV>, &a 7, 1.50]}}
"#,
    );
    let values = config.labels["status_code"].allow.as_ref().map(Patterns::written);
    let values = values.map(|values| values.iter().map(Pattern::text).collect::<Vec<_>>());
    let expected = "200 -1 0200 1e3 no True .nan null ~ 0x10 1_000 2024-01-01 q it's 5 \
        99999999999999999999999999999999999999999999 <NOSRV> 7 1.50";
    assert_eq!(values.expect("values").join(" "), expected, "each value as written");
}

#[test]
fn anchors_and_merge_keys_work() {
    let config = accept(
        "labels:
  client_ip: &policy {allow: [200]}
  status_code: *policy
  http_request_path: {<<: *policy, unbounded: false}
",
    );
    let allowed: Vec<_> = config.labels.values().map(|policy| &policy.allow).collect();
    assert_eq!(allowed, [&Some(Patterns::values(["200"])); 3]);
}

#[test]
fn the_example_works_as_it_is() {
    let config = accept(&example());
    let [source] = &config.sources[..] else {
        panic!("one source");
    };
    assert_eq!(source.label(), "/var/log/haproxy.log");
    assert_eq!(source.format, "haproxy");
    let rest = Config { sources: Vec::new(), ..config };
    assert_eq!(rest, Config::default());
}

#[test]
fn the_example_works_with_every_setting_in_use() {
    let text = example_in_full();
    let config = accept_all(&text);
    let defaults = Config::default();
    assert_eq!(config.listen, defaults.listen, "the example shows defaults");
    assert_eq!(config.max_line_bytes, defaults.max_line_bytes);
    assert_eq!((config.max_series, config.max_series_total), (defaults.max_series, defaults.max_series_total));
    assert_eq!(config.expire_after, defaults.expire_after);
    let labels: Vec<_> = config.sources.iter().map(Source::label).collect();
    let expected = "/var/log/haproxy.log /var/log/mail.log /var/log/haproxy-custom.log /var/log/haproxy-other.log edge journal:haproxy \
        udp://0.0.0.0:5514 tls://0.0.0.0:6514 unixgram:///run/tailmeter/log /run/haproxy.fifo";
    assert_eq!(labels.join(" "), expected);
    let defaults = SyslogInput::new("udp://0.0.0.0:5514".parse().expect("an address"));
    for source in &config.sources {
        if let Input::Syslog(syslog) = &source.input {
            assert_eq!(syslog.framing, defaults.framing, "the example shows defaults");
            assert_eq!(syslog.receive_buffer_bytes, defaults.receive_buffer_bytes);
            assert_eq!(syslog.max_connections, defaults.max_connections);
            assert_eq!(syslog.socket_mode, defaults.socket_mode);
        }
    }
    assert!(!config.labels.is_empty() && config.metrics.len() == 5);
    let of_metrics = "enabled: unbounded: allow: max_series: expire_after: labels: buckets: native: schema: max_buckets: zero_threshold: \
        classic: summary: quantiles: window_seconds: exemplars:";
    let of_policies = "deny: rewrite: pattern: to: template: paths: detect: ip_prefix: v4: v6: hash: key_file: rotate: lower: \
        max_values: from_file: prefix: regex:";
    let of_sources = "file: exclude: journal: identifiers: units: matches: directory: syslog: framing: senders: \
        receive_buffer_bytes: max_connections: socket_mode: tls: certificate: key: client_ca: pipe: format: name:";
    let of_pushes = "push: remote_write: otlp: url: interval: timeout: headers: basic_auth: username: password_file: bearer_token_file: \
        ca: server_name: external_labels: resource_attributes: max_buffer_bytes:";
    let receivers =
        [&config.push.remote_write, &config.push.otlp].map(|receiver| receiver.as_ref().expect("a receiver"));
    for receiver in receivers {
        let defaults = Receiver::new(receiver.server.url.clone());
        assert_eq!((receiver.interval, receiver.max_buffer_bytes), (defaults.interval, defaults.max_buffer_bytes));
        assert_eq!(receiver.server.timeout, defaults.server.timeout, "the example shows defaults");
    }
    for key in [of_metrics, of_policies, of_sources, of_pushes].into_iter().flat_map(|keys| keys.split(' ')) {
        assert!(text.contains(key), "the example does not show {key}");
    }
}

#[test]
fn mistakes_are_told_exactly() {
    let mut wrong = String::new();
    let kinds = [
        mistakes::MISTAKES,
        policy_mistakes::POLICY_MISTAKES,
        push_mistakes::PUSH_MISTAKES,
        source_mistakes::SOURCE_MISTAKES,
        syslog_mistakes::SYSLOG_MISTAKES,
        format_mistakes::FORMAT_MISTAKES,
    ];
    for (name, text, expected) in kinds.into_iter().flatten() {
        let told = refuse(text).to_string();
        if told != *expected {
            let _ = writeln!(wrong, "== {name}\n{told}\n-- expected\n{expected}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn mistakes_about_what_is_observed_are_told_exactly() {
    let mut wrong = String::new();
    for (name, text, expected) in histogram_mistakes::HISTOGRAM_MISTAKES {
        let parsed = Config::parse(text, "tailmeter.yml", tailmeter::metrics::FAMILIES);
        let told = parsed.err().map(|errors| errors.to_string()).unwrap_or_default();
        if told != *expected {
            let _ = writeln!(wrong, "== {name}\n{told}\n-- expected\n{expected}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn what_is_observed_arrives() {
    let config = accept_all(
        "metrics:
  haproxy_log_queue_duration_seconds: {buckets: [0, 1e-3, .5, 2], native: true, exemplars: unique_id}
  haproxy_log_request_duration_seconds:
    native: {schema: -4, max_buckets: 16, zero_threshold: 0.001, classic: false}
  haproxy_log_connect_duration_seconds: {native: false, summary: false}
  postfix_log_delivery_delay_seconds: {summary: {quantiles: [0, 1], window_seconds: 60}}
  postfix_log_deliveries_total: {exemplars: queue_id}
  amavis_log_score: {buckets: [-5.5, 0, 1], native: {}}
",
    );
    let metric = |name: &str| config.metric(name).cloned().unwrap_or_default();
    let queue = metric("haproxy_log_queue_duration_seconds");
    assert_eq!(queue.buckets, Some(vec![0.0, 0.001, 0.5, 2.0]));
    assert_eq!((queue.native, queue.exemplars), (Some(NativeConfig::default()), Some(ExemplarSource::UniqueId)));
    let native = NativeConfig { schema: -4, max_buckets: 16, zero_threshold: 0.001, classic: false };
    assert_eq!(metric("haproxy_log_request_duration_seconds").native, Some(native));
    assert_eq!(metric("haproxy_log_connect_duration_seconds"), MetricConfig::default());
    let summary = SummaryConfig { quantiles: vec![0.0, 1.0], window_seconds: 60 };
    assert_eq!(metric("postfix_log_delivery_delay_seconds").summary, Some(summary));
    assert_eq!(metric("postfix_log_deliveries_total").exemplars, Some(ExemplarSource::QueueId));
    assert_eq!(metric("amavis_log_score").native, Some(NativeConfig::default()));
}

#[test]
fn mistakes_are_data_too() {
    let errors = refuse("max_series: 5\nlisten: [a]\nsorces: 5\n");
    let [listen, sources] = errors.errors() else {
        panic!("two errors: {errors}");
    };
    assert_eq!(listen.file(), "tailmeter.yml");
    assert_eq!((listen.line(), listen.column()), (Some(2), Some(9)));
    let message = "expected an IP address and a port, found a list";
    assert_eq!(listen.message(), message);
    assert!(listen.help().is_some_and(|help| help.contains("'[::]:9129'")));
    assert_eq!((sources.line(), sources.column()), (Some(3), Some(1)));
    assert_eq!(sources.help(), None);
}

#[test]
fn files_that_cannot_be_read_say_why() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("tailmeter.yml");
    let name = path.display().to_string();
    let load = || Config::load(&path).expect_err("refused");

    let missing = load();
    let message = "cannot read the configuration: No such file or directory (os error 2)";
    assert_eq!(missing.to_string(), format!("{name}: {message}"));
    assert_eq!(missing.errors()[0].line(), None);
    let folder = Config::load(directory.path()).expect_err("refused");
    assert!(folder.to_string().contains("Is a directory"), "{folder}");

    std::fs::write(&path, b"max_series: 5\nlisten: \xff\n").expect("written");
    let told = format!("{name}:2:9: byte 0xff is not UTF-8 text\n  |\n2 | listen: \u{fffd}\n  |         ^");
    assert_eq!(load().to_string(), told);

    std::fs::write(&path, vec![b'#'; MAX_FILE_BYTES]).expect("written");
    assert_eq!(Config::load(&path), Ok(Config::default()));
    std::fs::write(&path, vec![b'#'; MAX_FILE_BYTES + 1]).expect("written");
    let message = "the configuration is larger than 1 MiB";
    assert_eq!(load().to_string(), format!("{name}: {message}"));
}

#[test]
fn many_mistakes_stay_readable() {
    let text: String = (0..2000).fold(String::new(), |text, index| format!("{text}x{index}: 1\n"));
    let errors = refuse(&text);
    assert_eq!(errors.errors().len(), 50);
    assert!(errors.to_string().ends_with("\n\nand 1950 more errors"));
}

#[test]
fn hostile_files_take_bounded_time_and_space() {
    let fill = |head: &str, unit: &str| {
        let count = (MAX_FILE_BYTES - head.len()) / unit.len();
        format!("{head}{}", unit.repeat(count))
    };
    let names = |head: &str, before: &str, after: &str| {
        let mut text = head.to_owned();
        for index in 10_000..20_000 {
            let _ = writeln!(text, "{before}haproxy_log_{index}_total{after}");
        }
        text
    };
    let in_requests = "metrics:\n haproxy_log_requests_total:\n  labels:\n";
    let texts = [
        fill("", "["),
        fill("", "{"),
        fill("", "- "),
        fill("", "? "),
        fill("", ": "),
        fill("", "a: "),
        fill("", "\""),
        fill("", "'"),
        fill("", "&a "),
        fill("", "*a "),
        fill("", "!"),
        fill("", "\t"),
        fill("", "- a\n"),
        fill("", "---\n"),
        fill("", "%YAML 1.2\n"),
        fill("", "x"),
        fill("", "\u{1}"),
        fill("a: &a [1]\n", "? *a\n"),
        fill("sources:\n", "- {}\n"),
        fill("sources:\n", "- {file: a, format: haproxy}\n"),
        fill("sources: [{syslog: 'udp://", "x"),
        fill("sources: [{file: ", "a["),
        fill("sources: [{journal: {matches: [", "+,"),
        fill("labels: {client_ip: {allow: [", "1,"),
        fill("listen: |\n", " \n"),
        fill("max_series: 5 #", " "),
        names("", "", ": 1"),
        names("metrics:\n", "  ", ": {labels: [clinet_ip]}"),
        names("labels:\n", "  ", ": {allow: [1]}"),
        names(in_requests, "  - ", ""),
    ];
    for text in &texts {
        assert!(text.len() <= MAX_FILE_BYTES);
        let start = Instant::now();
        let told = parse(text).map_or_else(|errors| errors.to_string(), |_| String::new());
        let head: String = text.chars().take(40).collect();
        // Unoptimised and on a busy machine; what must not happen is time growing with the square.
        assert!(start.elapsed() < Duration::from_secs(20), "{head:?}");
        assert!(told.len() < 100_000, "{head:?}: {} bytes", told.len());
    }
}

#[test]
fn every_prefix_of_the_example_is_read_without_panic() {
    let text = example_in_full();
    for end in 0..=text.len() {
        let _ = Config::parse_bytes(&text.as_bytes()[..end], "tailmeter.yml", &[&HAPROXY]);
    }
}

/// Every error points into the file, at a line and column that exist, and shows no control characters.
fn check_errors(bytes: &[u8]) {
    let Err(errors) = Config::parse_bytes(bytes, "tailmeter.yml", &[&HAPROXY]) else {
        return;
    };
    let text = String::from_utf8_lossy(bytes);
    let mut last = (0, 0);
    assert!(!errors.errors().is_empty());
    for error in errors.errors() {
        let (line, column) = (error.line().expect("a line"), error.column().expect("a column"));
        assert!((line, column) >= last, "out of order: {errors}");
        last = (line, column);
        let row = text.split('\n').nth(line - 1).expect("the line exists");
        assert!(column <= row.chars().count() + 1, "{error}");
    }
    let told = errors.to_string();
    assert!(!told.contains(|c: char| c.is_control() && c != '\n'), "{told:?}");
}

proptest! {
    // No file of past failures: what a failure prints is enough to repeat it.
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bytes_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = example_in_full().into_bytes();
        for (index, byte) in flips {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        check_errors(&bytes);
    }

    #[test]
    fn yaml_shaped_noise_never_panics(words in prop::collection::vec(prop::sample::select(vec![
        "listen", "sources", "labels", "metrics", "allow", "unbounded", "deny", "rewrite", "template", "ip_prefix", "hash",
        "max_values", "from_file", "key_file", "rotate", "paths", "detect", "regex", "prefix", "/a/:b", "$1", "haproxy_log_requests_total",
        "client_ip", "file", "exclude", "journal", "matches", "syslog", "senders", "socket_mode", "tls", "pipe", "name",
        "format", "haproxy", "udp://", "tls://0.0.0.0:1", "/a", "a[", "-", ": ", ":", "- ", "\n", "\n  ", "\n    ", "{", "}", "[", "]", ", ",
        "'", "\"", "&a ", "*a", "!!int ", "<<: ", "? ", "|", ">-", "#", "\t", "\r\n", "~", "true", "5", "é",
        "日本", "\u{feff}", "---\n", "\u{1b}", "\0",
    ]), 0..60)) {
        check_errors(words.concat().as_bytes());
    }
}
