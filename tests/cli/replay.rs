//! `tailmeter replay`.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

use crate::harness::{LOG, fed, peak_memory, request, run, samples, sum, tailmeter, wait};

const REPLAY: [&str; 3] = ["replay", "--format", "haproxy"];

#[test]
fn every_line_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.log");
    fs::write(&log, LOG).unwrap();
    let log = log.to_str().unwrap();
    let replayed = run(REPLAY.into_iter().chain([log]));
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    let text = &replayed.stdout;
    assert_eq!(sum(text, "tailmeter_lines_total"), 5.0);
    assert_eq!(sum(text, "haproxy_log_requests_total"), 2.0);
    assert_eq!(sum(text, "haproxy_log_sessions_total"), 1.0);
    assert_eq!(sum(text, "haproxy_log_response_bytes_total"), 2962.0);
    let rejected: Vec<_> = samples(text, "tailmeter_rejected_lines_total").collect();
    let labels = format!("{{source=\"{log}\",format=\"haproxy\",reason=\"unknown_form\"}}");
    assert_eq!(rejected, [(labels.as_str(), 1.0)]);
    assert!(replayed.stderr.contains("5 lines: 3 parsed, 1 ignored, 1 rejected"), "{replayed:?}");
    assert!(!replayed.stderr.contains("secret"), "{replayed:?}");
    // Nothing that depends on anything but the input.
    for volatile in ["process_", "tailmeter_build_info", "tailmeter_source_"] {
        assert!(!text.contains(volatile), "{text}");
    }
    assert_eq!(run(REPLAY.into_iter().chain([log])).stdout, *text);
}

#[test]
fn promtool_has_no_complaint() {
    let replayed = fed(&["replay", "--format", "haproxy", "-"], LOG.as_bytes());
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, of the package prometheus, must be installed");
    let mut stdin = promtool.stdin.take().unwrap();
    stdin.write_all(replayed.stdout.as_bytes()).unwrap();
    drop(stdin);
    let said = promtool.wait_with_output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

#[test]
fn several_files_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let named = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (first, second) = (named("1"), named("2"));
    fs::write(&first, LOG).unwrap();
    fs::write(&second, request()).unwrap();
    let replayed = run(REPLAY.into_iter().chain([&*first, &*second]));
    assert_eq!(sum(&replayed.stdout, "tailmeter_lines_total"), 6.0);
    assert_eq!(sum(&replayed.stdout, "haproxy_log_requests_total"), 3.0);
    assert!(replayed.stderr.contains("6 lines: 4 parsed"), "{replayed:?}");
}

#[test]
fn nothing_is_nothing() {
    let replayed = fed(&["replay", "--format", "haproxy", "-"], b"");
    assert_eq!(replayed.code, Some(0));
    assert_eq!(sum(&replayed.stdout, "tailmeter_lines_total"), 0.0);
    assert!(replayed.stderr.starts_with("0 lines: "), "{replayed:?}");
}

#[test]
fn an_unreadable_file_is_a_failure() {
    for (path, reason) in [("/nowhere/a.log", "No such file"), ("/", "Is a directory")] {
        let failed = run(REPLAY.into_iter().chain([path]));
        assert_eq!(failed.code, Some(1), "{failed:?}");
        assert_eq!(failed.stdout, "");
        assert!(failed.stderr.starts_with(&format!("error: cannot read {path}: {reason}")), "{failed:?}");
        assert_eq!(failed.stderr.lines().count(), 1, "{failed:?}");
    }
}

#[test]
fn any_bytes_are_lines() {
    let mut input = Vec::new();
    input.extend_from_slice(b"\0\0\n\n\xff\xfe\n\r\n<\n[\n{\n\"\n");
    input.extend_from_slice(request().replace("/index", "/\0\u{7f}").as_bytes());
    input.extend_from_slice(request().as_bytes());
    let garbled = input.len() - 40;
    input[garbled] = 0xff;
    let lines = input.split(|byte| *byte == b'\n').count() - 1;
    let replayed = fed(&["replay", "--format", "haproxy", "-"], &input);
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    assert_eq!(sum(&replayed.stdout, "tailmeter_lines_total"), lines as f64);
}

#[test]
fn the_configuration_chooses_labels_and_limits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.yml");
    let config = "\
max_line_bytes: 1024
labels:
  frontend_name: {allow: [http-in]}
metrics:
  haproxy_log_requests_total: {labels: [frontend_name]}
  haproxy_log_sessions_total: {labels: [frontend_name]}
  haproxy_log_retries_total: {enabled: false}
";
    fs::write(&path, config).unwrap();
    let arguments = ["replay", "--format", "haproxy", "--config", path.to_str().unwrap(), "-"];
    let input = format!("{LOG}\n{}\n", "x".repeat(5000));
    let text = fed(&arguments, input.as_bytes()).stdout;
    assert!(text.contains("\nhaproxy_log_requests_total{frontend_name=\"http-in\"} 2\n"), "{text}");
    assert!(text.contains("\nhaproxy_log_sessions_total{frontend_name=\"other\"} 1\n"), "{text}");
    assert!(!text.contains("haproxy_log_retries_total"), "{text}");
    assert!(text.contains("\ntailmeter_truncated_lines_total{source=\"stdin\"} 1\n"), "{text}");
    assert_eq!(sum(&text, "tailmeter_lines_total"), 6.0);
    assert!(sum(&text, "tailmeter_label_overflow_total") >= 1.0, "{text}");
}

#[test]
fn checks_have_their_reasons_for_the_asking() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.yml");
    let config = "\
metrics:
  haproxy_log_health_checks_total: {labels: [backend_name, reason]}
";
    fs::write(&path, config).unwrap();
    let arguments = ["replay", "--format", "haproxy", "--config", path.to_str().unwrap(), "-"];
    let check = "Health check for server app/app1 failed, reason:";
    let input = format!(
        "{check} Layer4 timeout, status: 1/2 UP.\nmessage repeated 2 times: [ {check} Layer4 timeout, status: 1/2 UP.]\n\
         {check} Layer4 tremor, status: 1/2 UP.\n{check} Layer4 ti\n"
    );
    let text = fed(&arguments, input.as_bytes()).stdout;
    let row = |reason: &str| format!("\nhaproxy_log_health_checks_total{{backend_name=\"app\",reason=\"{reason}\"}}");
    assert!(text.contains(&format!("{} 3\n", row("layer4_timeout"))), "{text}");
    assert!(text.contains(&format!("{} 2\n", row("other"))), "{text}");
    assert!(text.contains("\nhaproxy_log_incomplete_records_total{reason=\"truncated\"} 1\n"), "{text}");
}

#[test]
fn a_line_of_a_gigabyte_needs_no_memory() {
    let mut child = tailmeter()
        .args(REPLAY)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..1 << 10 {
        stdin.write_all(&zeros).unwrap();
    }
    stdin.write_all(format!("\n{}", request()).as_bytes()).unwrap();
    let peak = peak_memory(child.id());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(sum(&text, "tailmeter_lines_total"), 2.0);
    assert_eq!(sum(&text, "tailmeter_truncated_lines_total"), 1.0);
    assert_eq!(sum(&text, "haproxy_log_requests_total"), 1.0);
    assert!(peak < 32 << 20, "{peak} bytes");
}

#[test]
fn a_closed_stdout_is_no_failure() {
    let mut child = tailmeter()
        .args(REPLAY)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    let feeding = thread::spawn(move || stdin.write_all(request().as_bytes()));
    assert_eq!(wait(&mut child).code(), Some(0));
    feeding.join().unwrap().unwrap();
    let said = child.wait_with_output().unwrap().stderr;
    let said = String::from_utf8(said).unwrap();
    assert!(said.starts_with("1 lines: 1 parsed"), "{said}");
}
