//! `--compat postfix-exporter`: the metrics are those of postfix_exporter.
//!
//! `postfix/CASE.original.prom` is what that program showed for a log (`SOURCES.md`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use tailmeter::config::{Config, DEFAULT_LISTEN};
use tailmeter::metrics::{Compat, FAMILIES};

use super::{path, tailmeter};

const COMPAT: Compat = Compat::PostfixExporter;

const CASES: [&str; 29] = [
    "basic",
    "basic-3-11",
    "checks",
    "delivery",
    "delivery-3-11",
    "filter",
    "handmade",
    "labels",
    "master",
    "milter",
    "milter-3-10",
    "multi",
    "postscreen",
    "queue",
    "rates",
    "rejects",
    "rejects-3-11",
    "rsyslog-noslash",
    "rsyslog-rfc3164",
    "rsyslog-rfc3339",
    "rsyslog-rfc5424",
    "rsyslog-short",
    "sasl",
    "services",
    "sessions",
    "sessions-3-10",
    "tls",
    "tls-3-11",
    "verify",
];

/// What the case `labels` was recorded with, as a configuration says it.
const SERVICES: &str = "postfix: {compat_services: [submission/smtpd, smtps/smtpd]}\n";

/// Metrics that nothing counts, there either.
const NEVER: [&str; 2] = ["postfix_cleanup_messages_not_accepted_total", "postfix_smtp_deferred_messages_total"];

fn log(case: &str) -> String {
    let file = match case {
        "labels" => "fixtures/postfix/tls.log".to_owned(),
        "services" => "tests/compat/postfix/services.log".to_owned(),
        case => format!("fixtures/postfix/{case}.log"),
    };
    fs::read_to_string(path(&file)).unwrap()
}

fn original(case: &str) -> String {
    fs::read_to_string(path(&format!("tests/compat/postfix/{case}.original.prom"))).unwrap()
}

/// What `replay --compat` shows for `lines`.
fn replay(lines: &str, config: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tailmeter.yml");
    fs::write(&file, config).unwrap();
    let arguments =
        ["replay", "--format", "postfix", "--compat", COMPAT.name(), "--config", file.to_str().unwrap(), "-"];
    let run = tailmeter(&arguments, &[], lines.as_bytes());
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

fn is_of_log(line: &str) -> bool {
    line.starts_with("postfix_") || line.starts_with("opendkim_")
}

/// Values by series, whose labels are put in order.
type Samples = BTreeMap<String, f64>;

fn samples(exposition: &str) -> Samples {
    let mut samples = Samples::new();
    for line in exposition.lines().filter(|line| is_of_log(line)) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        // No value in these logs has a comma.
        let (name, labels) = series.strip_suffix('}').and_then(|series| series.split_once('{')).unwrap_or((series, ""));
        let mut labels: Vec<_> = labels.split(',').collect();
        labels.sort_unstable();
        let series = format!("{name}{{{}}}", labels.join(","));
        assert_eq!(samples.insert(series, value.parse().unwrap()), None, "{line}");
    }
    samples
}

/// HELP and TYPE lines of the log's metrics.
fn heads(exposition: &str) -> BTreeSet<&str> {
    let is_head = |line: &&str| {
        let name = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE "));
        name.is_some_and(is_of_log)
    };
    exposition.lines().filter(is_head).collect()
}

fn unsupported(level: &str, service: &str) -> String {
    format!("postfix_unsupported_log_entries_total{{level=\"{level}\",service=\"{service}\"}}")
}

/// For a line that the other program cannot read and tailmeter can, the service by which it is an unsupported entry there.
fn service_there(line: &str) -> Option<&'static str> {
    if line.contains("]: message repeated ") {
        assert!(line.contains(" postfix/smtpd["), "{line}");
        return Some("smtpd");
    }
    // RFC 5424: no process id in brackets.
    line.starts_with('<').then_some("")
}

#[test]
fn every_sample_is_as_the_original_has_it() {
    let (mut compared, mut differing, mut counted) = (0, 0, BTreeSet::new());
    let (mut heads_here, mut heads_there) = (BTreeSet::new(), BTreeSet::new());
    for case in CASES {
        let log = log(case);
        let (common, others): (Vec<_>, Vec<_>) = log.lines().partition(|line| service_there(line).is_none());
        let lines: String = common.iter().map(|line| format!("{line}\n")).collect();
        let exposition = replay(&lines, if case == "labels" { SERVICES } else { "" });
        let mut shown = samples(&exposition);
        for line in &others {
            *shown.entry(unsupported("", service_there(line).unwrap())).or_default() += 1.0;
        }
        differing += others.len();
        let original = original(case);
        heads_here.extend(heads(&exposition).into_iter().map(str::to_owned));
        heads_there.extend(heads(&original).into_iter().map(str::to_owned));
        let original = samples(&original);
        for series in original.keys().chain(shown.keys()) {
            let (here, there) = (shown.get(series), original.get(series));
            // Its sums of seconds are not exact.
            let is_equal = here.zip(there).is_some_and(|(here, there)| (here - there).abs() < 1e-6 * there.max(1.0));
            assert!(is_equal, "{case}: {series}: {here:?} here, {there:?} there");
        }
        compared += shown.len();
        let more = shown.iter().filter(|(series, value)| **value > 0.0 && !series.contains("_bucket{"));
        counted.extend(more.filter_map(|(series, _)| Some(series.split_once('{')?.0.to_owned())));
    }
    assert_eq!(heads_here, heads_there);
    assert!(compared > 1500 && differing > 90, "only {compared} samples, {differing} lines");
    for metric in tailmeter::metrics::postfix::compat::FAMILY.metrics {
        let is_counted = counted.contains(metric.name) || counted.contains(&format!("{}_count", metric.name));
        assert_eq!(is_counted, !NEVER.contains(&metric.name), "{}", metric.name);
    }
}

#[test]
fn lines_that_only_this_program_reads_count_as_what_they_are() {
    for (case, sample) in [
        ("rsyslog-rfc5424", "postfix_smtpd_connects_total 4"),
        ("rsyslog-short", "postfix_smtpd_messages_rejected_total{code=\"550\"} 15"),
    ] {
        let shown = replay(&log(case), "");
        assert!(shown.contains(&format!("\n{sample}\n")) && !original(case).contains(sample), "{case}\n{shown}");
    }
    let shown =
        replay("Nov 21 05:10:31 mx1 postfix/smtpd[7]: message repeated 3 times: [ connect from a[192.0.2.1]]\n", "");
    assert!(shown.contains("\npostfix_smtpd_connects_total 3\n"), "{shown}");
}

#[test]
fn text_of_strangers_counts_nothing() {
    let lines = "\
        Nov 21 05:10:31 mx1 postfix/cleanup[7]: 4F1AB6C02D: warning: header Subject: a: reject: b from c[192.0.2.1]; from=<a@b> to=<c@d> proto=ESMTP helo=<x>\n\
        Nov 21 05:10:31 mx1 postfix/qmgr[7]: 4F1AB6C02D: to=<x, size=1, nrcpt=1 @b>: removed\n\
        Nov 21 05:10:31 mx1 postfix/smtpd[7]: 4F1AB6C02D: client=x[192.0.2.1], sasl_method=UNHEARD, sasl_username=a, sasl_method=PLAIN\n\
        Nov 21 05:10:31 mx1 postfix/smtpd[7]: gibberish\n\
        Nov 21 05:10:31 mx1 dovecot: imap: connect from x\n";
    let shown = replay(lines, "");
    let shown = samples(&shown);
    let shown: Vec<_> = shown.iter().filter(|(_, value)| **value > 0.0).map(|(series, _)| series.as_str()).collect();
    let expected = [
        "postfix_smtpd_messages_processed_total{sasl_method=\"other\"}",
        &unsupported("", "cleanup"),
        &unsupported("", "qmgr"),
        &unsupported("", "smtpd"),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn hostile_lines_count_once_each() {
    let log = fs::read(path("fixtures/postfix/hostile.log")).unwrap();
    let run = tailmeter(&["replay", "--format", "postfix", "--compat", COMPAT.name(), "-"], &[], &log);
    assert!(run.status.success());
    let shown = String::from_utf8(run.stdout).unwrap();
    let of = |start: &str| -> f64 {
        let values = shown.lines().filter(|line| line.starts_with(start));
        values.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    };
    let lines = log.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(of("tailmeter_lines_total{"), lines as f64);
    let rejected = of("tailmeter_rejected_lines_total{");
    assert!(rejected > 0.0 && of("postfix_unsupported_log_entries_total{") >= rejected, "{shown}");
}

#[test]
fn services_can_be_left_out() {
    let lines = log("tls");
    let shown = samples(&replay(&lines, "postfix: {exclude_services: [submission, smtp]}\n"));
    let has = |part: &str| shown.keys().any(|series| series.contains(part));
    assert!(has("smtps/smtpd") && !has("submission/smtpd") && !has("smtp_messages_processed_total"), "{shown:?}");
}

#[test]
fn other_formats_keep_their_metrics() {
    let haproxy = fs::read(path("fixtures/haproxy/http.log")).unwrap();
    let usual = tailmeter(&["replay", "--format", "haproxy", "-"], &[], &haproxy);
    let compat = tailmeter(&["replay", "--format", "haproxy", "--compat", COMPAT.name(), "-"], &[], &haproxy);
    let lines = |shown: &[u8]| {
        let is_haproxy = |line: &&str| line.starts_with("haproxy_log_");
        String::from_utf8_lossy(shown).lines().filter(is_haproxy).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(lines(&usual.stdout).len() > 100);
    assert_eq!(lines(&compat.stdout), lines(&usual.stdout));
    // And Postfix's with the other program for HAProxy.
    let log = log("basic");
    let usual = tailmeter(&["replay", "--format", "postfix", "-"], &[], log.as_bytes());
    let other = Compat::HaproxyLogExporter.name();
    let compat = tailmeter(&["replay", "--format", "postfix", "--compat", other, "-"], &[], log.as_bytes());
    let lines = |shown: &[u8]| String::from_utf8_lossy(shown).lines().filter(|line| is_of_log(line)).count();
    assert!(lines(&usual.stdout) > 100);
    assert_eq!(lines(&compat.stdout), lines(&usual.stdout));
    // All of the mail room in one log.
    let mail = format!("{log}Nov 21 05:10:31 mx1 postgrey[7]: action=pass, reason=triplet found, client_name=a\n");
    let shown = tailmeter(&["replay", "--format", "mail", "--compat", COMPAT.name(), "-"], &[], mail.as_bytes()).stdout;
    let shown = String::from_utf8(shown).unwrap();
    assert!(shown.contains("\npostgrey_log_actions_total{") && shown.contains("\npostfix_smtpd_connects_total 10\n"));
    assert!(!shown.contains("postfix_log_"), "{shown}");
}

#[test]
fn it_listens_where_the_original_does() {
    let parse = |text: &str| Config::parse(text, "c.yml", FAMILIES).unwrap().listen.to_string();
    assert_eq!(parse("compat: postfix-exporter\n"), "127.0.0.1:9154");
    assert_eq!(parse("compat: haproxy-log-exporter\n"), "127.0.0.1:9129");
    assert_eq!(parse("listen: 0.0.0.0:9129\ncompat: postfix-exporter\n"), "0.0.0.0:9129");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tailmeter.yml");
    for (text, expected) in [
        ("", "127.0.0.1:9154"),
        ("listen: 127.0.0.1:9129\n", "127.0.0.1:9129"),
        // The option comes first, also for the names of metrics.
        ("compat: haproxy-log-exporter\nmetrics: {postfix_smtpd_connects_total: {enabled: false}}\n", "127.0.0.1:9154"),
    ] {
        fs::write(&file, text).unwrap();
        let config = Config::load_for(&file, Some(COMPAT)).unwrap();
        assert_eq!((config.listen.to_string().as_str(), config.compat), (expected, Some(COMPAT)), "{text}");
        assert_ne!(Config::load_for(&file, None).map(|config| config.listen.port()).unwrap_or(9129), 9154);
    }
    assert_eq!(Config::with_compat(None).listen, DEFAULT_LISTEN);
    assert_eq!(Config::with_compat(Some(COMPAT)).listen.port(), 9154);
}

#[test]
fn promtool_complains_of_the_names_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shown.prom");
    fs::write(&file, replay(&log("basic"), "")).unwrap();
    let run = Command::new("promtool").args(["check", "metrics"]).stdin(fs::File::open(&file).unwrap()).output();
    let run = run.expect("promtool starts (Debian package prometheus)");
    let said = String::from_utf8_lossy(&[run.stdout, run.stderr].concat()).into_owned();
    let expected = ["postfix_smtp_status_deferred counter metrics should have \"_total\" suffix"];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
}
