//! Help, version, mistakes, environment.

use std::fs;
use std::net::TcpListener;

use crate::harness::{Exporter, LOG, ended, run, tailmeter};

#[test]
fn help_is_on_stdout() {
    for (arguments, words) in [
        (&["--help"][..], &["run", "replay", "parse", "explain", "Exit codes"][..]),
        (&["-h"], &["run", "replay", "parse"]),
        (&["run", "--help"], &["--haproxy", "--state-dir", "--no-state", "TAILMETER_LISTEN", "Examples:"]),
        (&["replay", "--help"], &["--format", "haproxy", "Examples:"]),
        (&["parse", "--help"], &["--only", "Examples:"]),
        (&["explain", "--help"], &["--haproxy-config", "--json", "Examples:"]),
    ] {
        let help = run(arguments);
        assert_eq!(help.code, Some(0), "{help:?}");
        assert_eq!(help.stderr, "");
        for word in words {
            assert!(help.stdout.contains(word), "{word} in {}", help.stdout);
        }
    }
}

#[test]
fn the_version_names_the_revision() {
    let version = run(["--version"]);
    assert_eq!(version.code, Some(0));
    let expected = concat!("tailmeter ", env!("CARGO_PKG_VERSION"), " (");
    assert!(version.stdout.starts_with(expected), "{version:?}");
    assert!(version.stdout.ends_with(")\n"), "{version:?}");
}

/// Exit code 2 and a message with `words`, nothing else.
fn is_refused(arguments: &[&str], words: &[&str]) {
    let refused = run(arguments);
    assert_eq!(refused.code, Some(2), "{arguments:?}: {refused:?}");
    assert_eq!(refused.stdout, "", "{arguments:?}");
    for word in words {
        assert!(refused.stderr.contains(word), "{word} in {refused:?}");
    }
    for word in ["panicked", "backtrace", "Error("] {
        assert!(!refused.stderr.contains(word), "{refused:?}");
    }
}

#[test]
fn wrong_usage_is_explained() {
    is_refused(&[], &["Usage: tailmeter"]);
    is_refused(&["rum"], &["rum", "'run'"]);
    // Without a configuration it would look for logs of this machine.
    is_refused(&["run", "--config", "/dev/null"], &["nothing to read", "--haproxy", "--config"]);
    is_refused(&["explain", "--format", "postfix"], &["METRICS.md", "explain is for haproxy"]);
    is_refused(&["run", "--haproxi", "a"], &["--haproxi", "--haproxy"]);
    is_refused(&["run", "--haproxy", ""], &["--haproxy"]);
    is_refused(&["run", "--haproxy", "a["], &["--haproxy a[", "bad glob pattern"]);
    is_refused(&["run", "--haproxy", "a", "--listen", "x"], &["127.0.0.1:9129"]);
    is_refused(
        &["run", "--haproxy", "a", "--no-state", "--state-dir", "/nowhere"],
        &["--state-dir", "--no-state", "contradict"],
    );
    is_refused(&["run", "--haproxy", "a", "--state-dir", "/dev/null/state"], &["state directory /dev/null/state"]);
    is_refused(&["replay", "a"], &["--format"]);
    is_refused(&["replay", "--format", "haproxy"], &["<FILE>"]);
    is_refused(&["replay", "--format", "haprox", "a"], &["haprox", "[possible values: ", " haproxy,"]);
    is_refused(&["parse", "--format", "x", "a"], &["[possible values: ", " haproxy,"]);
    is_refused(&["parse", "--format", "haproxy", "--only", "x", "a"], &["rejected"]);
}

#[test]
fn a_mistake_in_the_configuration_is_located() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tailmeter.yml");
    let name = path.to_str().unwrap();
    for (text, words) in [
        ("sources: [", &["tailmeter.yml:1:"][..]),
        ("souces: []\n", &["tailmeter.yml:1:1:", "souces", "sources"]),
        (
            "metrics:\n  haproxy_log_request_total: {enabled: false}\n",
            &[":2:3:", "unknown metric", "haproxy_log_requests_total"],
        ),
        (
            "metrics:\n  haproxy_log_requests_total:\n    labels: [fronted_name]\n",
            &[":3:14:", "unknown label", "frontend_name"],
        ),
        (
            "metrics:\n  haproxy_log_requests_total:\n    labels: [client_ip]\n",
            &[":3:14:", "needs a policy", "unbounded: true"],
        ),
        ("sources:\n  - file: a\n    format: haprox\n", &[":3:13:", "unknown format", "haproxy"]),
    ] {
        fs::write(&path, text).unwrap();
        is_refused(&["run", "--haproxy", "a", "--config", name], words);
        is_refused(&["replay", "--format", "haproxy", "--config", name, "a"], words);
    }
    let missing = folder.path().join("missing.yml");
    let missing = missing.to_str().unwrap();
    is_refused(&["run", "--config", missing], &[missing, "No such file"]);
}

#[test]
fn an_address_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let words = format!("cannot listen on {address}: address in use\n");
    is_refused(&["run", "--haproxy", "a", "--listen", &address], &[&words]);
}

#[test]
fn everything_can_come_from_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let (log, config) = (folder.path().join("a.log"), folder.path().join("c.yml"));
    fs::write(&log, format!("{LOG}\n")).unwrap();
    fs::write(&config, "metrics: {haproxy_log_requests_total: {labels: []}}\n").unwrap();
    let exporter = Exporter::started(
        tailmeter()
            .arg("run")
            .env("TAILMETER_HAPROXY", &log)
            .env("TAILMETER_CONFIG", &config)
            .env("TAILMETER_LISTEN", "127.0.0.1:0")
            .env("TAILMETER_NO_STATE", "false")
            .env("TAILMETER_STATE_DIR", folder.path().join("state")),
    );
    let text = exporter.until_sum("tailmeter_lines_total", 5.0);
    assert!(text.contains("\nhaproxy_log_requests_total 2\n"), "{text}");
    assert!(folder.path().join("state/lock").exists());

    let parsed =
        ended(tailmeter().arg("parse").arg(&log).env("TAILMETER_FORMAT", "haproxy").env("TAILMETER_ONLY", "rejected"));
    assert_eq!(parsed.code, Some(0), "{parsed:?}");
    assert_eq!(parsed.stdout.lines().count(), 1, "{parsed:?}");
}

#[test]
fn an_option_wins_over_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.log");
    let mut command = tailmeter();
    command.args(["run", "--listen", "127.0.0.1:0", "--haproxy"]);
    command.arg(&log).env("TAILMETER_LISTEN", "192.0.2.1:1");
    let exporter = Exporter::started(command.env("TAILMETER_HAPROXY", "/nowhere"));
    assert_eq!(exporter.said.len(), 2, "{:?}", exporter.said);
    assert!(exporter.said[0].contains(log.to_str().unwrap()));
}
