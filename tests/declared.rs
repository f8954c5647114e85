//! A haproxy.cfg tells which names lines can have: their series begin at zero, and other names are `other`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "cli/harness.rs"]
#[allow(dead_code, reason = "the tests of the command line use the rest")]
mod harness;
#[path = "end_to_end/lab.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod lab;

use std::fs;
use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{Exporter, append, run, samples, until};
use lab::{Lab, find, free_ports};

const SITE: &str = include_str!("declared/site.cfg");

/// A line of `option httplog`.
fn line(frontend: &str, names: &str, state: &str) -> String {
    format!(
        "Feb  6 12:14:14 lb1 haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] {frontend} {names} \
         10/0/30/69/109 200 2750 - - {state} 1/1/1/1/0 0/0 \"GET / HTTP/1.1\"\n"
    )
}

/// The value of the series of `metric` with exactly these labels.
fn value(text: &str, metric: &str, labels: &str) -> Option<f64> {
    let labels = format!("{{{labels}}}");
    samples(text, metric).find(|(found, _)| *found == labels).map(|(_, value)| value)
}

fn names(frontend: &str, backend: &str, server: &str) -> String {
    format!("frontend_name=\"{frontend}\",backend_name=\"{backend}\",server_name=\"{server}\"")
}

/// What `replay` makes of `lines` under `site` and `settings`, and what it says.
fn replay(site: &str, settings: &str, lines: &str) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (site, settings) = (path("haproxy.cfg", site), path("tailmeter.yml", settings));
    let ended = run(["replay", "--haproxy-config", &site, "--config", &settings, &path("haproxy.log", lines)]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    (ended.stdout, ended.stderr)
}

#[test]
fn what_can_be_expected_begins_at_zero() {
    let (text, _) = replay(SITE, "", "");
    let is_meant =
        |line: &&str| !line.starts_with('#') && !line.starts_with("tailmeter_") && !line.contains("_bucket{");
    let found = text.lines().filter(is_meant).map(|line| format!("{line}\n")).collect::<String>();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/declared/beginning.prom");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &found).unwrap();
    }
    assert_eq!(found, fs::read_to_string(&path).unwrap(), "UPDATE=1 writes {}", path.display());
    assert!(found.lines().all(|line| line.ends_with(" 0")));
}

#[test]
fn other_names_are_other() {
    let lines = [
        line("www~", "app/web1", "----"),
        line("www", "app/web3", "----"),
        line("www", "api/web1", "----"),
        line("www", "forged/web1", "----"),
        line("forged", "app/web1", "----"),
        line("www", "www/<NOSRV>", "PR--"),
        line("tenants", "tenants/<STATS>", "LR--"),
        line("www", "app/<forged>", "----"),
        // Again, by the fast way.
        line("www", "app/web3", "----"),
    ];
    let (text, _) = replay(SITE, "", &lines.concat());
    let bytes = "haproxy_log_response_bytes_total";
    for (names, count) in [
        (names("www", "app", "web1"), 1),
        (names("www", "app", "other"), 3),
        (names("www", "api", "other"), 1),
        (names("www", "other", "other"), 1),
        (names("other", "app", "web1"), 1),
        (names("www", "www", "<NOSRV>"), 1),
        (names("tenants", "tenants", "<STATS>"), 1),
    ] {
        assert_eq!(value(&text, bytes, &names), Some(2750.0 * f64::from(count)), "{names} in\n{text}");
    }
    assert!(!text.contains("forged") && !text.contains("web3"), "{text}");
    let overflow = |metric: &str| value(&text, "tailmeter_label_overflow_total", &format!("metric=\"{metric}\""));
    assert_eq!(overflow(bytes), Some(6.0));
    assert_eq!(overflow("haproxy_log_requests_total"), Some(6.0));
    assert_eq!(overflow("haproxy_log_connect_duration_seconds"), Some(2.0));
    assert_eq!(overflow("haproxy_log_retries_total"), Some(5.0));
}

#[test]
fn the_operators_policies_come_first() {
    let settings = "\
labels:
  server_name: {unbounded: true}
  backend_name: {allow: [app, forged]}
metrics:
  haproxy_log_requests_total: {labels: [frontend_name, backend_name]}
  haproxy_log_terminations_total: {labels: [frontend_name]}
";
    let lines = [line("www", "forged/added", "----"), line("www", "app/added", "----"), line("www", "api/one", "----")];
    let (text, _) = replay(SITE, settings, &lines.concat());
    let bytes = "haproxy_log_response_bytes_total";
    for (backend, server, expected) in [
        ("forged", "added", Some(2750.0)),
        ("app", "added", Some(2750.0)),
        ("other", "one", Some(2750.0)),
        ("app", "web1", Some(0.0)),
        ("other", "<NOSRV>", Some(0.0)),
        ("api", "one", None),
    ] {
        assert_eq!(value(&text, bytes, &names("www", backend, server)), expected, "{backend}/{server} in\n{text}");
    }
    // These have status codes or states otherwise.
    let of_pair = "frontend_name=\"tenants\",backend_name=\"app\"";
    assert_eq!(value(&text, "haproxy_log_requests_total", of_pair), Some(0.0), "{text}");
    assert_eq!(value(&text, "haproxy_log_terminations_total", "frontend_name=\"tenants\""), Some(0.0), "{text}");
}

#[test]
fn half_of_the_series_are_kept_for_others() {
    let (text, said) = replay(SITE, "max_series: 12\n", &line("www", "app/web2", "----"));
    let series = |metric: &str| value(&text, "tailmeter_series", &format!("metric=\"haproxy_log_{metric}\""));
    assert_eq!(series("response_bytes_total"), Some(7.0), "{text}");
    assert_eq!(series("server_state_changes_total"), Some(6.0), "{text}");
    assert_eq!(series("no_server_available_total"), Some(2.0), "{text}");
    assert_eq!(value(&text, "haproxy_log_response_bytes_total", &names("www", "app", "web2")), Some(2750.0), "{text}");
    let warning = said.lines().find(|line| line.contains("max_series")).expect("a warning");
    assert!(warning.contains("haproxy_log_response_bytes_total") && !warning.contains("no_server_available"), "{said}");
    let (_, said) = replay(SITE, "", "");
    assert!(!said.contains("max_series"), "{said}");
}

/// A program that follows a file.
struct Followed {
    folder: tempfile::TempDir,
    arguments: Vec<String>,
}

impl Followed {
    fn new(site: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let arguments = ["--haproxy-config", &path("haproxy.cfg"), "--haproxy", &path("haproxy.log"), "--state-dir"];
        let mut arguments = arguments.map(str::to_owned).to_vec();
        arguments.extend([path("state"), "--enable-lifecycle".to_owned()]);
        fs::write(folder.path().join("haproxy.cfg"), site).unwrap();
        fs::write(folder.path().join("haproxy.log"), "").unwrap();
        Self { folder, arguments }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self) -> Exporter {
        Exporter::start(&self.arguments)
    }

    /// Has `exporter` read `site` in place of the configuration before.
    fn reload(&self, exporter: &Exporter, site: &str) {
        let time = |text: &str| {
            let times = samples(text, "tailmeter_config_last_reload_success_timestamp_seconds");
            times.map(|(_, time)| time).sum::<f64>()
        };
        let before = time(&exporter.metrics());
        fs::write(self.path("haproxy.cfg"), site).unwrap();
        until("the reload", || {
            exporter.signal("HUP");
            time(&exporter.metrics()) > before
        });
    }
}

#[test]
fn a_reload_adds_what_is_new_and_takes_nothing_away() {
    let followed = Followed::new(SITE);
    let exporter = followed.start();
    let bytes = "haproxy_log_response_bytes_total";
    let of = |text: &str, backend: &str, server: &str| value(text, bytes, &names("www", backend, server));
    until("zero before any line", || of(&exporter.metrics(), "app", "web1") == Some(0.0));
    // Twice each: the second time by the fast way.
    let log = followed.path("haproxy.log");
    let lines = [line("www", "app/web1", "CD--"), line("www", "app/web3", "----")].concat();
    append(&log, &lines);
    exporter.until_sum("haproxy_log_requests_total", 2.0);
    append(&log, &lines);
    let text = exporter.until_sum("haproxy_log_requests_total", 4.0);
    assert_eq!((of(&text, "app", "web1"), of(&text, "app", "other")), (Some(5500.0), Some(5500.0)), "{text}");

    let larger = SITE.replace("server-template web 2", "server-template web 3").replace("server one", "server two");
    followed.reload(&exporter, &larger);
    // What was committed within the last second is shown as it is.
    until("zero for the new servers", || {
        let text = exporter.metrics();
        of(&text, "app", "web3") == Some(0.0) && of(&text, "api", "two") == Some(0.0)
    });
    let text = exporter.metrics();
    assert_eq!(of(&text, "api", "one"), Some(0.0), "{text}");
    // Names are numbered anew: what ends abnormally must not be counted by the number of another.
    let lines = [line("www", "api/two", "CD--"), line("www", "app/web3", "----"), line("www", "api/one", "----")];
    append(&log, &lines.concat());
    exporter.until_sum("haproxy_log_requests_total", 7.0);
    append(&log, &lines.concat());
    let text = exporter.until_sum("haproxy_log_requests_total", 10.0);
    assert_eq!(of(&text, "app", "web3"), Some(5500.0), "{text}");
    assert_eq!(of(&text, "app", "other"), Some(5500.0), "{text}");
    assert_eq!((of(&text, "api", "one"), of(&text, "api", "other")), (Some(0.0), Some(5500.0)), "{text}");
    let ended = |backend: &str| {
        let labels = format!("frontend_name=\"www\",backend_name=\"{backend}\",termination_state=\"CD\"");
        value(&text, "haproxy_log_terminations_total", &labels)
    };
    assert_eq!((ended("app"), ended("api")), (Some(2.0), Some(2.0)), "{text}");
    let page = exporter.get("/").1;
    let row = "<td><code>CD</code></td><td class=\"n\">4</td><td class=\"w\">By the client, which closed or broke its \
               connection; while data were being passed on.</td>";
    assert!(page.contains(row), "{page}");

    // What the state has is not doubled, and what is not declared any more is still there.
    let mut exporter = exporter;
    exporter.signal("TERM");
    assert!(harness::wait(&mut exporter.child).success());
    fs::write(followed.path("haproxy.cfg"), SITE).unwrap();
    let again = followed.start();
    until("the counts", || of(&again.metrics(), "app", "web3") == Some(5500.0));
    let log_derived = |text: &str| {
        let lines = text.lines().filter(|line| line.starts_with("haproxy_"));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    assert_eq!(log_derived(&again.metrics()), log_derived(&text));
}

/// A real HAProxy whose frontends log failed connections in several ways.
#[test]
fn failed_connections_are_counted_however_they_are_told() {
    let [program, openssl] = find([("haproxy", "haproxy"), ("openssl", "openssl")]);
    let mut lab = Lab::new();
    let made = Command::new(openssl)
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"])
        .args(["-subj", "/CN=localhost", "-keyout", "site.pem.key", "-out", "site.pem"])
        .current_dir(lab.path(""))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let log = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let formats = [
        ("usual", ""),
        ("message", "error-log-format \"%ci:%cp %f %[fc_err_str]\""),
        ("number", "error-log-format \"%ci:%cp [%t] %f %[fc_err] x\""),
        ("openssl", "error-log-format \"%ci %f <%[ssl_fc_err_str]>\""),
        ("code", "error-log-format \"%ci:%cp|%f|%[ssl_fc_err,hex]\""),
        ("base", "error-log-format \"%ci|%f|%[fc_err,hex]|%[ssl_fc_err_str]\""),
        ("nothing", "error-log-format \"%f failed for %ci\""),
    ];
    let ports: [u16; 7] = free_ports();
    let mut text = format!(
        "global\n log 127.0.0.1:{log} len 65535 format rfc3164 local0\n\
         defaults\n mode http\n log global\n option httplog\n timeout client 5s\n timeout server 5s\n timeout connect 1s\n"
    );
    for ((name, format), port) in formats.iter().zip(ports) {
        text += &format!("frontend {name}\n bind 127.0.0.1:{port} ssl crt {{directory}}/site.pem\n {format}\n");
    }
    let file = lab.write("haproxy.cfg", &text);
    let (file, state) = (file.to_str().unwrap().to_owned(), lab.path("state").to_str().unwrap().to_owned());
    let socket = format!("udp://127.0.0.1:{log}");
    let exporter = Exporter::start(["--haproxy-config", &file, "--haproxy", &socket, "--state-dir", &state]);
    let errors = "haproxy_log_connection_errors_total";
    let count = |text: &str, name: &str, reason: &str| {
        value(text, errors, &format!("frontend_name=\"{name}\",reason=\"{reason}\""))
    };
    let reason = |name: &str| if name == "nothing" { "other" } else { "ssl_handshake_failure" };
    until("zeros", || {
        let text = exporter.metrics();
        formats.iter().all(|(name, _)| count(&text, name, reason(name)) == Some(0.0))
    });
    lab.start("haproxy", &program, &["-db", "-f", &file]);
    for port in ports {
        let mut stream = lab.until("HAProxy listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        // No TLS at all.
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let _ = std::io::Read::read(&mut stream, &mut [0; 64]);
    }
    until("every failure", || {
        let text = exporter.metrics();
        formats.iter().all(|(name, _)| count(&text, name, reason(name)) >= Some(1.0))
    });
    let text = exporter.metrics();
    let rejected: f64 = samples(&text, "tailmeter_lines_total")
        .filter(|(labels, _)| labels.contains("outcome=\"rejected\""))
        .map(|(_, value)| value)
        .sum();
    assert_eq!(rejected, 0.0, "{text}");
    // One connection each.
    assert_eq!(samples(&text, errors).map(|(_, value)| value).sum::<f64>(), 7.0, "{text}");
}

/// Rules that only change or take away values leave it to the haproxy.cfg which names there are; those that say so do not.
#[test]
fn a_policy_that_decides_comes_before_what_is_declared() {
    let settings =
        |policy: &str| format!("metrics: {{haproxy_log_requests_total: {{labels: [{{backend_name: {policy}}}]}}}}");
    let lines = [line("www", "app/web1", "----"), line("www", "forged/web1", "----")].concat();
    let cases = [
        ("{lower: true}", ["app", "other"]),
        ("{rewrite: [{pattern: app, to: APP}]}", ["APP", "other"]),
        ("{allow: [forged]}", ["other", "forged"]),
        ("{allow: [{prefix: forg}], deny: [app]}", ["other", "forged"]),
        ("{max_values: 50}", ["app", "forged"]),
        ("{unbounded: true}", ["app", "forged"]),
    ];
    for (policy, shown) in cases {
        let (text, _) = replay(SITE, &settings(policy), &lines);
        for name in shown {
            let labels = format!("backend_name=\"{name}\"");
            assert_eq!(value(&text, "haproxy_log_requests_total", &labels), Some(1.0), "{policy}: {name}");
        }
    }
}
