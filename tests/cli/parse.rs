//! `tailmeter parse`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::thread;

use serde_json::{Value, json};

use crate::harness::{LOG, fed, request, run, tailmeter, wait};

/// The objects that are printed for `input`.
fn parsed(input: &[u8]) -> Vec<Value> {
    let output = fed(&["parse", "--format", "haproxy", "-"], input);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(output.stderr, "");
    let lines = output.stdout.lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn each_outcome_has_its_form() {
    let rows = parsed(LOG.as_bytes());
    assert_eq!(rows.len(), 5);
    assert_eq!(
        rows[0],
        json!({
            "line": 1, "outcome": "parsed", "family": "haproxy", "kind": "http",
            "envelope": {"timestamp": "Feb  6 12:14:14", "hostname": "lb1", "program": "haproxy", "pid": 14389, "severity": null},
            "fields": {
                "client_ip": "10.0.1.2", "client_port": 33317, "accept_date": "06/Feb/2009:12:14:14.655",
                "frontend_name": "http-in", "ssl": false, "backend_name": "static", "server_name": "srv1",
                "time_request_ms": 10, "time_queue_ms": 0, "time_connect_ms": 30, "time_response_ms": 69,
                "time_active_ms": 109, "logasap": false, "status_code": 200, "bytes_read": 2750,
                "request_cookie": null, "response_cookie": null, "termination_state": "----",
                "actconn": 1, "feconn": 1, "beconn": 1, "srv_conn": 1, "retries": 0, "redispatched": false,
                "srv_queue": 0, "backend_queue": 0, "request_headers": ["1wt.eu"], "response_headers": [""],
                "http_request_method": "GET", "http_request_path": "/index.html", "http_request_query": "a=1",
                "http_version": "HTTP/1.1", "truncated": false,
            },
        })
    );
    assert_eq!(
        rows[1]["fields"],
        json!({
            "client_ip": "10.0.1.2", "client_port": 33313, "accept_date": "06/Feb/2009:12:12:51.443",
            "frontend_name": "fnt", "ssl": false, "backend_name": "bck", "server_name": "srv1",
            "time_queue_ms": 0, "time_connect_ms": 0, "time_total_ms": 5007, "logasap": false, "bytes_read": 212,
            "termination_state": "--", "actconn": 0, "feconn": 0, "beconn": 0, "srv_conn": 0, "retries": 3,
            "redispatched": false, "srv_queue": 0, "backend_queue": 0, "truncated": false,
        })
    );
    assert_eq!(rows[1]["kind"], "tcp");
    let ignored = json!({"line": 3, "outcome": "ignored", "family": "haproxy", "kind": "proxy"});
    assert_eq!(rows[2], ignored);
    assert_eq!(
        rows[3],
        json!({"line": 4, "outcome": "rejected", "reason": "unknown_form", "field": "client_ip", "offset": 0})
    );
}

#[test]
fn what_does_not_apply_is_null() {
    let row = &parsed(LOG.as_bytes())[4];
    assert_eq!(
        row["envelope"],
        json!({"timestamp": "Feb  6 12:12:56", "hostname": null, "program": "haproxy", "pid": 14387, "priority": 134, "severity": "info"})
    );
    let fields = row["fields"].as_object().unwrap();
    for name in [
        "server_name",
        "time_request_ms",
        "time_queue_ms",
        "time_connect_ms",
        "time_response_ms",
        "request_cookie",
        "response_cookie",
        "request_headers",
        "response_headers",
        "http_request_method",
        "http_request_path",
        "http_request_query",
        "http_version",
    ] {
        assert_eq!(fields[name], Value::Null, "{name}");
    }
    assert_eq!((&fields["time_active_ms"], &fields["status_code"]), (&json!(0), &json!(400)));
    assert!(!fields.contains_key("ssl_fc_sni"), "{row}");
}

#[test]
fn https_lines_have_the_fields_of_tls() {
    let tls = " 0/1A/0/0/1 a.example/TLSv1.3/TLS_AES_256_GCM_SHA384\n";
    let line = request().replace("http-in", "http-in~").replace('\n', tls);
    let row = &parsed(line.as_bytes())[0];
    let fields = &row["fields"];
    assert_eq!(fields["frontend_name"], "http-in");
    for (name, value) in [
        ("ssl", json!(true)),
        ("fc_err", json!(0)),
        ("ssl_fc_err", json!("1A")),
        ("ssl_c_err", json!(0)),
        ("ssl_c_ca_err", json!(0)),
        ("ssl_fc_is_resumed", json!(true)),
        ("ssl_fc_sni", json!("a.example")),
        ("ssl_version", json!("TLSv1.3")),
        ("ssl_ciphers", json!("TLS_AES_256_GCM_SHA384")),
    ] {
        assert_eq!(fields[name], value, "{name} in {row}");
    }
}

#[test]
fn any_bytes_can_be_told_apart() {
    let mut line = request().replace("/index", r"/\x").into_bytes();
    let path = line.iter().position(|byte| *byte == b'\\').unwrap();
    line.splice(path + 2..path + 2, *b"\xff\0\xc3\xa9|\x7f");
    let row = &parsed(&line)[0];
    let shown = "/\\x5cx\\xff\0\u{e9}|\u{7f}.html";
    assert_eq!(row["fields"]["http_request_path"], shown, "{row}");
}

#[test]
fn repeated_and_over_long_lines_say_so() {
    let message = request();
    let start = message.find("10.0.1.2").unwrap();
    let (envelope, message) = message.trim_end().split_at(start);
    let repeated = format!("{envelope}message repeated 3 times: [ {message}]\n");
    let row = &parsed(repeated.as_bytes())[0];
    assert_eq!((&row["repeated"], &row["kind"]), (&json!(3), &json!("http")), "{row}");

    let long = format!("{}\nx\n", "x".repeat(100_000));
    let rows = parsed(long.as_bytes());
    assert_eq!(rows[0]["truncated_to"], 65_536);
    assert_eq!((rows[1]["line"].as_u64(), &rows[1]["truncated_to"]), (Some(2), &Value::Null));
}

#[test]
fn outcomes_can_be_chosen() {
    for (outcome, lines) in [("parsed", &[1, 2, 5][..]), ("ignored", &[3]), ("rejected", &[4])] {
        let arguments = ["parse", "--format", "haproxy", "--only", outcome, "-"];
        let output = fed(&arguments, LOG.as_bytes()).stdout;
        let rows = output.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let found: Vec<_> = rows.map(|row| row["line"].as_u64().unwrap()).collect();
        assert_eq!(found, lines, "{outcome}");
    }
}

#[test]
fn several_files_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let named = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (first, second) = (named("1"), named("2"));
    fs::write(&first, LOG).unwrap();
    fs::write(&second, request()).unwrap();
    let output = run(["parse", "--format", "haproxy", &first, &second]).stdout;
    let rows = output.lines().map(|line| serde_json::from_str(line).unwrap());
    let rows: Vec<Value> = rows.collect();
    assert_eq!(rows.len(), 6);
    assert_eq!((&rows[0]["source"], &rows[0]["line"]), (&json!(first), &json!(1)));
    assert_eq!((&rows[5]["source"], &rows[5]["line"]), (&json!(second), &json!(1)));
    let failed = run(["parse", "--format", "haproxy", &second, "/nowhere/a"]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert_eq!(failed.stdout.lines().count(), 1);
}

#[test]
fn a_line_is_seen_before_the_next_one_is_written() {
    let mut child = tailmeter()
        .args(["parse", "--format", "haproxy", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for line in 1..=3 {
        stdin.write_all(request().as_bytes()).unwrap();
        let mut text = String::new();
        stdout.read_line(&mut text).unwrap();
        let row: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(row["line"], line);
    }
    drop(stdin);
    assert!(wait(&mut child).success());
}

#[test]
fn a_closed_stdout_ends_it_quietly() {
    let mut child = tailmeter()
        .args(["parse", "--format", "haproxy", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Without an end: the program has to stop reading by itself.
    let feeding = thread::spawn(move || while stdin.write_all(request().as_bytes()).is_ok() {});
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    drop(stdout);
    assert_eq!(wait(&mut child).code(), Some(0));
    feeding.join().unwrap();
    assert_eq!(child.wait_with_output().unwrap().stderr, b"");
}

#[test]
fn every_fixture_gives_a_row_per_line() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/haproxy");
    let files = fs::read_dir(folder).into_iter().flatten();
    let paths = files.map(|file| file.unwrap().path());
    for path in paths.filter(|path| path.extension().is_some_and(|end| end == "log")) {
        let bytes = fs::read(&path).unwrap();
        let rows = parsed(&bytes);
        let lines = bytes.split_inclusive(|byte| *byte == b'\n').count();
        assert_eq!(rows.len(), lines, "{}", path.display());
    }
}
