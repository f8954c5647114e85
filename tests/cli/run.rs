//! `tailmeter run`.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::harness::{DEADLINE, Exporter, LOG, append, request, run, samples, sum, tailmeter, until, wait};

#[test]
fn every_line_is_counted_once() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.log");
    fs::write(&log, format!("{LOG}\n")).unwrap();
    let exporter = Exporter::start(["--haproxy", log.to_str().unwrap()]);
    let version = env!("CARGO_PKG_VERSION");
    let first = format!("tailmeter {version}: reading {} as haproxy, from its beginning", log.display());
    assert_eq!(exporter.said[0], first);
    assert!(exporter.said[1].starts_with("a new state begins in "), "{:?}", exporter.said);
    assert!(exporter.said[1].ends_with("/.local/state/tailmeter/tailmeter.db: counters start at zero"));
    exporter.until_sum("tailmeter_lines_total", 5.0);
    let sample = exporter.says();
    assert!(sample.contains("aaaaaa 0000 aa aaaaaa"), "{sample}");
    assert!(!sample.contains("secret"), "{sample}");

    for _ in 0..100 {
        append(&log, &request());
    }
    let text = exporter.until_sum("tailmeter_lines_total", 105.0);
    assert_eq!(sum(&text, "haproxy_log_requests_total"), 102.0);
    let lines = fs::read_to_string(&log).unwrap().lines().count();
    assert_eq!(lines, 105);
    let of = |outcome: &str| {
        let found = samples(&text, "tailmeter_lines_total");
        let mut found = found.filter(|(labels, _)| labels.contains(outcome));
        found.next().unwrap().1
    };
    assert_eq!((of("parsed"), of("ignored"), of("rejected")), (103.0, 1.0, 1.0));
}

#[test]
fn the_endpoint_shows_the_sources() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a & b.log");
    fs::write(&log, format!("{LOG}\n")).unwrap();
    let exporter = Exporter::start(["--haproxy", log.to_str().unwrap()]);
    until("readiness", || exporter.get("/-/ready").0.starts_with("HTTP/1.1 200"));
    let (head, text) = exporter.get("/metrics");
    let content_type = "content-type: text/plain; version=0.0.4; charset=utf-8";
    assert!(head.to_lowercase().contains(content_type), "{head}");
    let own = text.find("# HELP tailmeter_build_info").unwrap();
    let log_derived = text.find("# HELP haproxy_log_requests_total").unwrap();
    assert!(log_derived < own && own < text.find("# HELP process_").unwrap());
    assert_eq!(sum(&text, "tailmeter_source_up"), 1.0);
    let (_, page) = exporter.get("/");
    assert!(page.contains("a &amp; b.log</th>"), "{page}");
    assert!(page.contains(">3</td><td class=\"n\">1</td><td class=\"n some\">1</td>"), "{page}");
}

#[test]
fn a_missing_log_is_picked_up() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("later.log");
    let exporter = Exporter::start(["--no-state", "--haproxy", log.to_str().unwrap()]);
    assert!(exporter.said[0].ends_with("which does not exist yet"), "{:?}", exporter.said);
    until("readiness", || exporter.get("/-/ready").0.starts_with("HTTP/1.1 200"));
    let text = exporter.metrics();
    let up: Vec<_> = samples(&text, "tailmeter_source_up").collect();
    assert_eq!(up, [(format!("{{source=\"{}\"}}", log.display()).as_str(), 0.0)]);
    append(&log, &format!("{LOG}\n"));
    exporter.until_sum("tailmeter_lines_total", 5.0);
    // Lines count before the look at the file is over.
    exporter.until_sum("tailmeter_source_up", 1.0);
}

#[test]
fn without_state_only_new_lines_count() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.log");
    fs::write(&log, format!("{LOG}\n")).unwrap();
    let exporter = Exporter::start(["--no-state", "--haproxy", log.to_str().unwrap()]);
    assert!(exporter.said[0].ends_with("from its end"), "{:?}", exporter.said);
    until("readiness", || exporter.get("/-/ready").0.starts_with("HTTP/1.1 200"));
    append(&log, &request());
    let text = exporter.until_sum("tailmeter_lines_total", 1.0);
    assert_eq!(sum(&text, "haproxy_log_requests_total"), 1.0);
}

#[test]
fn patterns_name_several_logs() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["b.log", "a.log", "[x].log"] {
        fs::write(folder.path().join(name), request()).unwrap();
    }
    fs::create_dir(folder.path().join("c.log")).unwrap();
    let named = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (all, one, literal) = (named("*.log"), named("a.log"), named("[x].log"));
    let none = named("*.none");
    let mut arguments = Vec::new();
    for value in [&all, &one, &literal, &none] {
        arguments.extend(["--haproxy", value]);
    }
    let exporter = Exporter::start(arguments);
    assert!(exporter.said[3].ends_with(&format!("reading {none} as haproxy, which no file matches yet")));
    assert_eq!(exporter.said.len(), 5, "{:?}", exporter.said);
    let text = exporter.until_sum("tailmeter_lines_total", 3.0);
    assert_eq!(samples(&text, "tailmeter_source_up").count(), 4, "{text}");
    exporter.until_sum("tailmeter_source_up", 3.0);
    // One that comes later is followed, too, and counts once, whoever else might read it.
    fs::write(folder.path().join("z.log"), request()).unwrap();
    fs::write(folder.path().join("z.none"), request()).unwrap();
    exporter.until_sum("tailmeter_lines_total", 5.0);
    exporter.until_sum("tailmeter_source_up", 4.0);
}

/// Lines of a source with an outcome.
fn lines_of(text: &str, source: &Path, outcome: &str) -> f64 {
    let (source, outcome) = (format!("source=\"{}\"", source.display()), format!("outcome=\"{outcome}\""));
    let is_asked = |labels: &str| labels.contains(&source) && labels.contains(&outcome);
    samples(text, "tailmeter_lines_total").filter(|(labels, _)| is_asked(labels)).map(|(_, value)| value).sum()
}

#[test]
fn an_option_says_how_the_logs_of_the_configuration_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let [configuration, cfg, usual, other, added] =
        ["tailmeter.yml", "haproxy.cfg", "usual.log", "other.log", "added.log"].map(|name| folder.path().join(name));
    fs::write(&cfg, "frontend f\n mode http\n log-format \"%ci %ST\"\n").unwrap();
    let sources = format!("sources:\n  - {{file: {}, format: haproxy}}\n", usual.display());
    let own = format!("  - {{file: {}, format: {{log_format: '%ST %ci'}}}}\n", other.display());
    fs::write(&configuration, sources + &own).unwrap();
    for log in [&usual, &added] {
        fs::write(log, "192.0.2.7 200\n").unwrap();
    }
    fs::write(&other, "200 192.0.2.7\n").unwrap();

    let config = ["--config", configuration.to_str().unwrap()];
    let by_environment = |name: &str, value: &Path| {
        let mut command = tailmeter();
        command.args(["run", "--listen", "127.0.0.1:0"]).args(config).env(name, value);
        Exporter::started(&mut command)
    };
    let by_options = |more: &[&str]| Exporter::start(config.iter().chain(more));
    let (cfg_name, usual_name, added_name) = (cfg.to_str().unwrap(), usual.to_str().unwrap(), added.to_str().unwrap());
    for (exporter, logs) in [
        (by_options(&["--haproxy-config", cfg_name]), &[&usual, &other][..]),
        (by_options(&["--log-format", "%ci %ST"]), &[&usual, &other]),
        (by_environment("TAILMETER_HAPROXY_CONFIG", &cfg), &[&usual, &other]),
        (by_environment("TAILMETER_LOG_FORMAT", Path::new("%ci %ST")), &[&usual, &other]),
        (by_options(&["--haproxy-config", cfg_name, "--haproxy", usual_name]), &[&usual, &other]),
        (by_options(&["--haproxy-config", cfg_name, "--haproxy", added_name]), &[&usual, &other, &added]),
    ] {
        let text = exporter.until_sum("tailmeter_lines_total", logs.len() as f64);
        for log in logs {
            assert_eq!(lines_of(&text, log, "parsed"), 1.0, "{}\n{text}", log.display());
        }
        // Nothing else is read: not the log that is usual where none is named.
        let read = exporter.said.iter().filter(|line| line.contains(": reading "));
        assert_eq!(read.count(), logs.len(), "{:?}", exporter.said);
    }
}

#[test]
fn a_warning_is_told_once_for_all_logs() {
    let exporter = Exporter::start(["--no-state", "--log-format", "%ci%cp %ST", "--haproxy", "/a", "--haproxy", "/b"]);
    let warnings = exporter.said.iter().filter(|line| line.starts_with("warning: log-format, column 4: "));
    assert_eq!(warnings.count(), 1, "{:?}", exporter.said);
}

#[test]
fn an_option_alone_means_the_usual_log() {
    let exporter = Exporter::start(["--no-state", "--log-format", "%ci %ST"]);
    let usual = ["/var/log/haproxy.log", "journal:haproxy"].map(|name| format!(": reading {name} as haproxy, "));
    let read = exporter.said.iter().filter(|line| line.contains(": reading ")).collect::<Vec<_>>();
    assert!(read.len() == 1 && usual.iter().any(|usual| read[0].contains(usual)), "{:?}", exporter.said);
}

#[test]
fn a_state_directory_is_of_one_exporter() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("deep/state");
    let arguments = ["--haproxy", "/nowhere", "--state-dir", state.to_str().unwrap()];
    let exporter = Exporter::start(arguments);
    let listen = ["run", "--listen", "127.0.0.1:0"];
    let second = run(listen.into_iter().chain(arguments));
    assert_eq!(second.code, Some(2), "{second:?}");
    assert!(second.stderr.contains("another tailmeter uses the state directory"), "{second:?}");
    drop(exporter);
    Exporter::start(arguments);
}

#[test]
fn signals_end_it_within_a_second() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("a.log");
        fs::write(&log, request()).unwrap();
        let mut exporter = Exporter::start(["--haproxy", log.to_str().unwrap()]);
        exporter.until_sum("tailmeter_lines_total", 1.0);
        let started = Instant::now();
        exporter.signal(signal);
        let status = wait(&mut exporter.child);
        assert_eq!(status.code(), Some(0), "{signal}");
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    }
}

/// A connection whose request is not complete yet, accepted by the exporter.
fn begun(exporter: &Exporter) -> TcpStream {
    let mut stream = TcpStream::connect(&exporter.address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost:").unwrap();
    // An answer to a later connection shows that this one has been accepted and read.
    exporter.metrics();
    stream
}

fn until_closed(exporter: &Exporter) {
    until("the closed door", || TcpStream::connect(&exporter.address).is_err());
}

#[test]
fn a_scrape_under_way_is_answered_at_the_end() {
    let mut exporter = Exporter::start(["--haproxy", "/nowhere"]);
    let mut stream = begun(&exporter);
    exporter.signal("TERM");
    until_closed(&exporter);
    stream.write_all(b" x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("\ntailmeter_source_up"), "{answer}");
    assert_eq!(wait(&mut exporter.child).code(), Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut exporter = Exporter::start(["--haproxy", "/nowhere"]);
    let stream = begun(&exporter);
    exporter.signal("TERM");
    until_closed(&exporter);
    let started = Instant::now();
    exporter.signal("INT");
    assert_eq!(wait(&mut exporter.child).code(), Some(1));
    let took = started.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    drop(stream);
}
