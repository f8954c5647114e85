//! `replay --push-gateway` to Debian's Pushgateway.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::harness::{Ended, LOG, ended, fed, tailmeter};
use crate::servers::{Certificates, Program, Puppet, assert_same, file, free_port};

fn gateway(arguments: &[&str]) -> Program {
    let port = free_port();
    let mut command = Command::new("prometheus-pushgateway");
    // Debian's keeps everything in one place otherwise.
    command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg("--persistence.file=").args(arguments);
    Program::start(command, port)
}

/// Replays `log` with `options`.
fn pushed(log: &str, options: &[&str]) -> Ended {
    let folder = TempDir::new().unwrap();
    let path = file(folder.path(), "a.log", log);
    let mut command = tailmeter();
    command.args(["replay", "--format", "haproxy"]).args(options).arg(path);
    ended(&mut command)
}

/// Samples that come from logs: name and labels, the group's left out, and values.
fn of_logs(text: &str) -> BTreeMap<(String, Vec<String>), f64> {
    let mut samples = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("haproxy_log_")) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) =
            series.split_once('{').map_or((series, ""), |(name, rest)| (name, &rest[..rest.len() - 1]));
        let labels = labels.split("\",").map(|label| label.trim_end_matches('"').to_owned());
        let is_own = |label: &String| !["job=", "instance=", "host=", "odd="].iter().any(|own| label.starts_with(own));
        let mut labels = labels.filter(|label| !label.is_empty() && is_own(label)).collect::<Vec<_>>();
        labels.sort();
        samples.insert((name.to_owned(), labels), value.parse().unwrap());
    }
    samples
}

#[test]
fn a_one_shot_run_arrives_whole() {
    let gateway = gateway(&[]);
    let url = format!("http://127.0.0.1:{}/", gateway.port);
    let group = ["--push-job", "a/b", "--push-label", "host=mx1", "--push-label", "odd=é /?\"\\"];
    let pushed = pushed(LOG, &[["--push-gateway", &url].as_slice(), &group].concat());
    assert_eq!((pushed.code, pushed.stdout.as_str()), (Some(0), ""), "{pushed:?}");
    assert!(pushed.stderr.contains("\n5 lines: 3 parsed"), "{pushed:?}");
    let shown = gateway.get("/metrics");
    let truth = fed(&["replay", "--format", "haproxy", "-"], LOG.as_bytes()).stdout;
    assert!(of_logs(&truth).len() > 100, "{truth}");
    assert_same(&of_logs(&shown), &of_logs(&truth));
    let request = shown.lines().find(|line| line.starts_with("haproxy_log_requests_total{")).unwrap();
    for label in ["job=\"a/b\"", "host=\"mx1\"", "odd=\"é /?\\\"\\\\\""] {
        assert!(request.contains(label), "{request}");
    }
}

#[test]
fn put_replaces_the_group_and_post_does_not() {
    let gateway = gateway(&[]);
    let url = format!("http://127.0.0.1:{}", gateway.port);
    let (both, one) = (LOG, LOG.lines().next().unwrap());
    let has_sessions = || gateway.get("/metrics").contains("haproxy_log_sessions_total{");
    for (log, method, expected) in [(both, "put", true), (one, "post", true), (one, "put", false)] {
        let pushed = pushed(log, &["--push-gateway", &url, "--push-method", method]);
        assert_eq!((pushed.code, has_sessions()), (Some(0), expected), "{method}: {pushed:?}");
    }
}

#[test]
fn tls_and_a_login_are_as_the_gateway_wants_them() {
    let certificates = Certificates::new();
    let folder = TempDir::new().unwrap();
    // `se:cret`, by bcrypt.
    let hash = "$2b$04$..YrRCvdisnPXrtP.Y9gReiipLSDHZE1BsXInsonFifW7U9EhFqze";
    let (certificate, key) = (certificates.path("server.pem"), certificates.path("server.key"));
    let web = format!(
        "tls_server_config: {{cert_file: {certificate:?}, key_file: {key:?}}}\nbasic_auth_users: {{me: {hash}}}\n"
    );
    let web = file(folder.path(), "web.yml", &web);
    let gateway = gateway(&["--web.config.file", web.to_str().unwrap()]);
    let login = file(folder.path(), "login", "me:se:cret\n");
    let wrong = file(folder.path(), "wrong", "me:secret\n");
    let ca = certificates.path("ca.pem");
    let [login, wrong, ca] = [&login, &wrong, &ca].map(|path| path.to_str().unwrap());
    let port = gateway.port;
    let (plain, with_login) = (format!("https://localhost:{port}"), format!("https://me:se%3Acret@localhost:{port}"));
    for options in [
        ["--push-gateway", &plain, "--push-ca", ca, "--push-credentials", login].as_slice(),
        &["--push-gateway", &with_login, "--push-ca", ca],
    ] {
        let pushed = pushed(LOG, options);
        assert_eq!(pushed.code, Some(0), "{pushed:?}");
    }
    // The system's roots, here a file that the environment names.
    let log = file(folder.path(), "a.log", LOG);
    let system = |roots: &str| {
        let mut command = tailmeter();
        command.args(["replay", "--format", "haproxy", "--push-gateway", &with_login]).arg(&log);
        ended(command.env("SSL_CERT_FILE", roots))
    };
    assert_eq!(system(ca).code, Some(0));
    let other = Certificates::new();
    let cases = [
        (pushed(LOG, &["--push-gateway", &plain, "--push-ca", ca, "--push-credentials", wrong]), "401 Unauthorized"),
        (pushed(LOG, &["--push-gateway", &plain, "--push-ca", ca]), "401 Unauthorized"),
        (system(other.path("ca.pem").to_str().unwrap()), "invalid peer certificate"),
        (
            pushed(LOG, &["--push-gateway", &with_login.replace("localhost", "127.0.0.1"), "--push-ca", ca]),
            "not valid for",
        ),
    ];
    for (failed, why) in cases {
        assert_eq!(failed.code, Some(1), "{failed:?}");
        assert!(failed.stderr.contains(why) && !failed.stderr.contains("cret"), "{failed:?}");
    }
}

#[test]
fn what_the_gateway_says_is_shown() {
    const TEXT: &str =
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 42\r\n\r\npushed metrics are\n invalid or inconsistent";
    let puppet = Puppet::saying(&[TEXT]);
    let failed = pushed(LOG, &["--push-gateway", &format!("http://127.0.0.1:{}/base/", puppet.port)]);
    assert_eq!((failed.code, failed.stdout.as_str()), (Some(1), ""), "{failed:?}");
    let said = failed.stderr.lines().last().unwrap();
    let expected = format!(
        "error: cannot push to http://127.0.0.1:{}/base/: the server answers 400 Bad Request: pushed metrics are invalid or inconsisten",
        puppet.port
    );
    assert_eq!(said, expected);
    let request = puppet.request();
    assert!(request.head.starts_with("PUT /base/metrics/job/tailmeter HTTP/1.1\r\n"), "{}", request.head);
    assert!(request.head.contains("content-type: text/plain; version=0.0.4"), "{}", request.head);
    assert!(puppet.is_quiet(), "it is not tried again");
}

#[test]
fn what_cannot_work_is_said_before_anything_is_read() {
    let folder = TempDir::new().unwrap();
    let log = file(folder.path(), "a.log", LOG);
    let empty = file(folder.path(), "empty", "");
    let (log, empty) = (log.to_str().unwrap(), empty.to_str().unwrap());
    let there = "http://127.0.0.1:1";
    for (options, why) in [
        (["--push-job", "x"].as_slice(), "--push-gateway <URL>"),
        (&["--push-gateway", "127.0.0.1:9091"], "an address begins with http:// or https://"),
        (&["--push-gateway", there, "--push-job", ""], "a job needs a name"),
        (&["--push-gateway", there, "--push-label", "a"], "LABEL=VALUE is needed"),
        (&["--push-gateway", there, "--push-label", "a-b=c"], "`a-b` is no name of a label"),
        (&["--push-gateway", there, "--push-label", "job=c"], "the label `job` is the name of the job"),
        (&["--push-gateway", there, "--push-method", "get"], "possible values: put, post"),
        (&["--push-gateway", there, "--push-timeout", "0"], "0 is not in 1..=300"),
        (&["--push-gateway", there, "--push-credentials", "/nowhere"], "cannot read /nowhere"),
        (&["--push-gateway", there, "--push-credentials", empty], "is empty"),
        (&["--push-gateway", there, "--push-ca", empty], "--push-ca goes with https://"),
        (&["--push-gateway", "https://a", "--push-ca", empty], "no certificate in PEM is in it"),
        (&["--push-gateway", "http://a:b@c", "--push-credentials", log], "has a login already"),
        (&["--push-gateway", "http://a/?b"], "the address of a Pushgateway has no `?`"),
    ] {
        let mut command = tailmeter();
        let failed = ended(command.args(["replay", "--format", "haproxy", "/nowhere/a.log"]).args(options));
        assert_eq!((failed.code, failed.stdout.as_str()), (Some(2), ""), "{options:?}: {failed:?}");
        assert!(failed.stderr.contains(why), "{options:?}: {failed:?}");
    }
    // Secrets are not shown, not even in help.
    let mut command = tailmeter();
    let help = ended(command.args(["replay", "--help"]).env("TAILMETER_PUSH_GATEWAY", "http://me:hidden@h"));
    assert!(help.stdout.contains("TAILMETER_PUSH_GATEWAY") && !help.stdout.contains("hidden"), "{}", help.stdout);
    assert!(fs::metadata(log).is_ok());
}

#[test]
fn a_label_of_the_metrics_is_not_overwritten() {
    let gateway = gateway(&[]);
    let url = format!("http://127.0.0.1:{}", gateway.port);
    let failed = pushed(LOG, &["--push-gateway", &url, "--push-label", "source=x"]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.stderr.contains("both have the label `source`"), "{failed:?}");
    assert!(!gateway.get("/metrics").contains("haproxy_log_"));
}
