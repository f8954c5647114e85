//! Clients that ask for another path of another host by another method with every request: memory has its bound, and every
//! request counts. `ATTACK_LINES=10000000` is the long one, in a release build; `benches/compare/attack` measures its speed.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use crate::strict;

/// Mebibytes of memory, at most, under the default limits: of two memos of 40,000 raw tuples of 128 bytes and what leads to
/// them, 10,000 rows, and the program itself.
const BOUND_MIB: u64 = 64;

/// Under these rules most values fall out of the second label, and too many come of the third.
const RULES: &str = "metrics:
  haproxy_log_requests_total:
    labels:
      - http_request_method
      - request_header_1: {lower: true, allow: [www.example.net, {regex: 'host-[0-9]\\.example\\.net'}]}
      - http_request_path: {template: auto, max_values: 500}
  haproxy_log_response_bytes_total: {labels: [{request_header_1: {unbounded: true}}]}
  haproxy_log_request_duration_seconds: {labels: [{http_request_path: {template: [/users/:id, /static/*]}}]}
";

/// Line number `number`: no other has its path, host or method.
fn write_line(number: u64, block: &mut String) {
    let word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let place = ["users", "static/css", "orders", "x"][number as usize % 4];
    writeln!(
        block,
        "Feb  1 12:14:14 lb1 haproxy[1]: 10.0.0.1:5 [01/Feb/2026:12:14:14.001] in b/s 1/0/1/2/8 200 100 - - ---- \
         1/1/1/1/0 0/0 {{HOST-{number}.example.net}} \"M{word:X} /{place}/{}-{word:x} HTTP/1.1\"",
        ["page", "a", ""][number as usize % 3],
    )
    .unwrap();
}

#[test]
fn endless_values_take_bounded_memory_and_all_count() {
    let lines = std::env::var("ATTACK_LINES").map_or(300_000, |lines| lines.parse::<u64>().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tailmeter.yml");
    fs::write(&path, RULES).unwrap();
    let mut replay = Command::new(env!("CARGO_BIN_EXE_tailmeter"))
        .args(["replay", "--format", "haproxy", "-", "--config"])
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = replay.stdin.take().unwrap();
    let mut block = String::new();
    for number in 0..lines {
        write_line(number, &mut block);
        if block.len() > 1 << 20 || number + 1 == lines {
            input.write_all(block.as_bytes()).unwrap();
            block.clear();
        }
    }
    // What is left in the pipe is no more than what was there before.
    let status = fs::read_to_string(format!("/proc/{}/status", replay.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak_mib = peak.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() / 1024;
    drop(input);
    let mut text = String::new();
    replay.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(replay.wait().unwrap().success());
    println!("{lines} lines: {peak_mib} MiB");
    assert!(peak_mib <= BOUND_MIB, "{peak_mib} MiB");

    let metrics = strict::read(text.as_bytes());
    let requests = &metrics["haproxy_log_requests_total"];
    assert_eq!(requests.thousandths(), 1000 * u128::from(lines));
    // Methods are `other`; ten hosts and the rest; 500 paths and the rest, of which each host has some.
    assert!(requests.rows.len() <= 11 * 501, "{}", requests.rows.len());
    let bytes = &metrics["haproxy_log_response_bytes_total"];
    assert_eq!((bytes.thousandths(), bytes.rows.len()), (100_000 * u128::from(lines), 10_000));
    let durations = &metrics["haproxy_log_request_duration_seconds"];
    assert_eq!((durations.observations(), durations.rows.len()), (lines, 3));
    let overflow = &metrics["tailmeter_label_overflow_total"];
    let of = |metric: &str| {
        let row = overflow.rows.iter().find(|(labels, _)| labels[0].1 == metric.as_bytes());
        row.map_or(0, |(_, row)| (row.thousandths / 1000) as u64)
    };
    assert_eq!(of("haproxy_log_response_bytes_total"), lines - 9_999);
    assert_eq!(of("haproxy_log_request_duration_seconds"), lines / 2);
    assert!(of("haproxy_log_requests_total") >= lines - 10);
}
