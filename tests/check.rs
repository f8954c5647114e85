//! `tailmeter check`: what it prints stands in `tests/check`; `UPDATE=1 cargo test --test check` writes it. What it proposes is
//! pasted into the configuration, and counted again.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "cli/harness.rs"]
#[allow(dead_code, reason = "the tests of the command line use the rest")]
mod harness;

use std::fs;
use std::path::Path;

use serde_json::Value;

use harness::{Ended, ended, samples, tailmeter};

const PATHS: &str = "\
metrics:
  haproxy_log_requests_total:
    labels:
      - frontend_name
      - http_request_path: {unbounded: true}
    max_series: 500
    expire_after: 7d
";
const CLIENTS: &str = "\
labels:
  client_ip: {unbounded: true}
metrics:
  haproxy_log_requests_total:
    labels: [frontend_name, client_ip]
";

/// A folder with a configuration and a log of many clients and paths, which are the same each time.
struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    fn new(rules: &str) -> Self {
        let lab = Self { folder: tempfile::tempdir().unwrap() };
        let log = (0..3000u32).map(|number| {
            let mixed = number.wrapping_mul(2_654_435_761);
            let path = match number % 5 {
                0 => format!("/users/{}/orders", mixed % 1000),
                1 => format!("/users/{}", mixed % 1000),
                2 => format!("/files/{mixed:08x}{number:08x}?download=1"),
                3 => ["/", "/login", "/logout", "/about"][number as usize / 5 % 4].to_owned(),
                _ => format!("/static/v{}/app.js", number % 3),
            };
            let client = format!("10.{}.{}.{}", mixed % 4, mixed / 4 % 8, mixed / 32 % 250);
            format!(
                "Feb  6 12:14:14 lb1 haproxy[9]: {client}:33317 [06/Feb/2009:12:14:14.655] www app/srv{} \
                 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 \"GET {path} HTTP/1.1\"\n",
                number % 3
            )
        });
        fs::write(lab.folder.path().join("haproxy.log"), log.collect::<String>()).unwrap();
        lab.configure(rules);
        lab
    }

    fn configure(&self, rules: &str) {
        let source = "sources:\n  - file: haproxy.log\n    format: haproxy\n";
        fs::write(self.folder.path().join("c.yml"), format!("{source}{rules}")).unwrap();
    }

    /// Runs the program in the folder, so that names are the same each time.
    fn run(&self, arguments: &[&str]) -> Ended {
        ended(tailmeter().args(arguments).current_dir(self.folder.path()))
    }

    fn check(&self, arguments: &[&str]) -> String {
        let checked = self.run(&[&["check", "--config", "c.yml"], arguments].concat());
        assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""), "{checked:?}");
        checked.stdout
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.check(&["--sample", "haproxy.log", "--json"])).unwrap()
    }

    /// Series of a metric when the log is counted under the configuration.
    fn series(&self) -> usize {
        let replayed = self.run(&["replay", "--format", "haproxy", "--config", "c.yml", "haproxy.log"]);
        assert_eq!(replayed.code, Some(0), "{replayed:?}");
        samples(&replayed.stdout, "haproxy_log_requests_total").count()
    }
}

#[track_caller]
fn is_golden(name: &str, found: &str) {
    for line in found.lines() {
        assert!(line.chars().count() <= 120 && line.trim_end() == line, "{line:?}");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check").join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == found, "{name} is another text now:\n{found}");
}

#[test]
fn a_configuration_is_told() {
    is_golden("plan.txt", &Lab::new(PATHS).check(&[]));
}

#[test]
fn a_sample_tells_which_label_explodes() {
    is_golden("paths.txt", &Lab::new(PATHS).check(&["--sample", "haproxy.log"]));
    is_golden("clients.txt", &Lab::new(CLIENTS).check(&["--sample", "haproxy.log"]));
}

fn number(value: &Value, key: &str) -> usize {
    value[key].as_u64().unwrap_or_else(|| panic!("{key} of {value}")) as usize
}

/// What is proposed brings the series down to what is said.
#[test]
fn a_proposal_can_be_pasted() {
    for (rules, label) in [(PATHS, "http_request_path"), (CLIENTS, "client_ip")] {
        let lab = Lab::new(rules);
        let found = lab.json();
        let (sample, explosion) = (&found["sample"], &found["sample"]["explosions"][0]);
        assert_eq!(explosion["label"].as_str(), Some(label), "{explosion}");
        assert_eq!(number(explosion, "series_without"), 1);
        let (now, then) = (number(explosion, "series"), number(explosion, "series_with_rules"));
        assert!(now > 200 && then < 50, "{explosion}");
        let yaml = sample["proposal"]["yaml"].as_str().unwrap();
        let metric = if rules == CLIENTS { &rules[rules.find("metrics:").unwrap()..] } else { "" };
        lab.configure(&format!("{yaml}{metric}"));
        assert_eq!(lab.series(), then, "{yaml}");
        let again = lab.json();
        assert_eq!(again["sample"]["explosions"], Value::Array(Vec::new()), "{again}");
        assert!(again["sample"]["proposal"].is_null());
        let requests = again["sample"]["metrics"].as_array().unwrap().iter();
        let mut requests = requests.filter(|metric| metric["name"] == "haproxy_log_requests_total");
        assert_eq!(number(requests.next().unwrap(), "series"), then);
        // As it is folded for people, it is the same.
        lab.configure(rules);
        let text = lab.check(&["--sample", "haproxy.log"]);
        let folded = text.split("For the configuration:\n\n").nth(1).unwrap();
        lab.configure(&format!("{folded}{metric}"));
        assert_eq!(lab.series(), then, "{folded}");
    }
}

/// The limits of the configuration do not hide what is beyond them.
#[test]
fn a_prediction_knows_no_limits() {
    let lab = Lab::new(&PATHS.replace("max_series: 500", "max_series: 10"));
    assert_eq!(lab.series(), 10);
    let found = lab.json();
    assert!(number(&found["sample"]["explosions"][0], "values") > 1000);
    let found = found["sample"]["metrics"].as_array().unwrap()[0].clone();
    assert_eq!((number(&found, "max_series"), number(&found, "series") > 1000), (10, true), "{found}");
}

#[test]
fn rules_that_are_there_already_are_told_to_be_too_wide() {
    let lab = Lab::new(&PATHS.replace("{unbounded: true}", "{hash: random}"));
    let text = lab.check(&["--sample", "haproxy.log"]).replace("\n    ", " ");
    assert!(text.contains("so add max_values, or leave it out") && !text.contains("Proposal"), "{text}");
}

#[test]
fn mistakes_end_it() {
    let lab = Lab::new("metrics: {haproxy_log_requests_total: {labels: [http_request_path]}}\nlisten: x\n");
    let checked = lab.run(&["check", "--config", "c.yml"]);
    assert_eq!((checked.code, checked.stdout.as_str()), (Some(2), ""), "{checked:?}");
    assert!(checked.stderr.contains("c.yml:4:49") && checked.stderr.contains("c.yml:5:9"), "{checked:?}");

    let lab = Lab::new(PATHS);
    let checked = lab.run(&["check", "--sample", "haproxy.log"]);
    assert_eq!(checked.code, Some(2), "{checked:?}");
    assert!(checked.stderr.contains("haproxy.log belongs to no source of the configuration"), "{checked:?}");
    let checked = lab.run(&["check", "--config", "c.yml", "--sample", "nothing.log"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    assert!(checked.stderr.contains("cannot read nothing.log"), "{checked:?}");
    let checked = lab.run(&["check", "--format", "haproxy", "--sample", "haproxy.log"]);
    assert!(checked.code == Some(0) && checked.stdout.contains("No label explodes."), "{checked:?}");
}
