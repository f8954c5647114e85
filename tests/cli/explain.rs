//! `tailmeter explain`. What it prints stands beside this file; `UPDATE=1 cargo test --test cli explain` writes it.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Ended, ended, fed, run, samples, sum, tailmeter};

const SITE: &str = "tests/cli/explain/site.cfg";

/// Explains by `arguments`, in the folder of the project, so that names are the same everywhere.
fn explain(arguments: &[&str]) -> Ended {
    let mut command = tailmeter();
    command.arg("explain").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("ADMIN_ADDRESS");
    ended(command.env_remove("OMITTED"))
}

#[track_caller]
fn is_golden(name: &str, arguments: &[&str]) {
    let explained = explain(arguments);
    assert_eq!((explained.code, explained.stderr.as_str()), (Some(0), ""), "{explained:?}");
    for line in explained.stdout.lines() {
        // A log-format is never broken.
        let is_format = line.starts_with("  %");
        assert!(is_format || line.chars().count() <= 120 && line.trim_end() == line, "{line:?}");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/explain").join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &explained.stdout).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == explained.stdout, "{name} is another text now:\n{}", explained.stdout);
}

#[test]
fn a_configuration_is_explained() {
    is_golden("site.txt", &["--haproxy-config", SITE]);
}

#[test]
fn an_ambiguity_is_explained() {
    let format = "%ci %{+Q}f %[capture.req.hdr(0)] %[var(txn.tenant),lower] %B%Ta %&%HP%HQ %CC %ST";
    is_golden("ambiguous.txt", &["--log-format", format]);
}

#[test]
fn the_usual_formats_are_explained() {
    is_golden("usual.txt", &["--format", "haproxy"]);
}

#[test]
fn haproxy_takes_that_configuration() {
    let haproxy = Command::new("haproxy").args(["-c", "-f", SITE]).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let haproxy = haproxy.expect("haproxy must be installed");
    assert!(haproxy.status.success(), "{}", String::from_utf8_lossy(&haproxy.stderr));
}

#[test]
fn mistakes_are_told_as_by_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("haproxy.cfg");
    fs::write(&path, "frontend f\n mode http\n log-format \"%ci %xy\"\n").unwrap();
    let config = path.to_str().unwrap();
    for options in [
        ["--log-format", "%ci %xy"],
        ["--log-format", "x"],
        ["--haproxy-config", config],
        ["--haproxy-config", "/nowhere"],
    ] {
        let explained = explain(&options);
        let followed = run(["run", "--haproxy", "a", "--no-state"].into_iter().chain(options));
        assert_eq!((explained.code, followed.code), (Some(2), Some(2)), "{explained:?}");
        assert_eq!((explained.stdout.as_str(), &explained.stderr), ("", &followed.stderr));
    }
    let refused = explain(&[]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("--format"), "{refused:?}");
}

#[test]
fn only_what_is_lost_is_a_warning_elsewhere() {
    let warnings = |options: &[&str]| {
        let arguments: Vec<_> = ["parse"].iter().chain(options).chain(&["-"]).copied().collect();
        let parsed = fed(&arguments, b"");
        assert_eq!(parsed.code, Some(0), "{parsed:?}");
        parsed.stderr
    };
    assert_eq!(warnings(&["--log-format", "%CC %CS %ST%& %{+Q}[var(txn.a)] %{+Q}[var(txn.b)]"]), "");
    let told = warnings(&["--log-format", "%ci%cp %CC %CS"]);
    assert_eq!(
        told,
        "warning: log-format, column 4: nothing stands between client_ip and client_port to tell where one ends: neither is read\n"
    );
    // Of variables only those in lines that shape the log.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("haproxy.cfg");
    let text = "defaults\n option httplog\n mode http\nfrontend a\n bind \"$TAILMETER_NONE\"\nfrontend b\n log-format \"$TAILMETER_NONE%ci\"\n";
    fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    let told = warnings(&["--haproxy-config", path]);
    assert_eq!(told, format!("warning: {path}:7:14: the variable TAILMETER_NONE is not set: it is read as empty\n"));
    let explained = explain(&["--haproxy-config", path]).stdout;
    assert!(explained.contains(":5:8: note: the variable"), "{explained}");
}

/// Items, each with a value as HAProxy writes it.
const ITEMS: &[(&str, &str)] = &[
    ("%ci:%cp", "192.0.2.7:4321"),
    ("%f", "www"),
    ("%ft", "www~"),
    ("%b/%s", "site/web1"),
    ("%TR", "1"),
    ("%Tw", "2"),
    ("%Tc", "3"),
    ("%Tr", "4"),
    ("%Ta", "5"),
    ("%Tt", "6"),
    ("%ST", "200"),
    ("%B", "1234"),
    ("%U", "99"),
    ("%tsc", "sH--"),
    ("%rc", "+1"),
    ("%sq", "1"),
    ("%bq", "2"),
    ("%hr", "{a|b}"),
    ("%hs", "{c}"),
    ("%{+Q}r", "\"GET /a?b HTTP/1.1\""),
    ("%HM", "POST"),
    ("%HP", "/a"),
    ("%HU", "/a?b"),
    ("%HV", "HTTP/2.0"),
    ("%sslv", "TLSv1.3"),
    ("%sslc", "TLS_AES_256_GCM_SHA384"),
    ("%[ssl_fc_is_resumed]", "1"),
    ("%[ssl_fc_sni]", "a.example"),
];

/// Names of a list of objects.
fn names<'v>(explained: &'v Value, list: &str, key: &str) -> Vec<&'v str> {
    explained[list].as_array().unwrap().iter().map(|entry| entry[key].as_str().unwrap()).collect()
}

/// What is said to be counted is counted, and nothing else; with those labels.
#[test]
fn what_is_promised_is_what_is_counted() {
    let pairs = ITEMS.iter().enumerate().flat_map(|(index, one)| ITEMS.get(index + 1).map(|two| vec![*one, *two]));
    let all = std::iter::once(ITEMS.to_vec());
    for items in ITEMS.iter().map(|item| vec![*item]).chain(pairs).chain(all) {
        let format = items.iter().map(|(item, _)| *item).collect::<Vec<_>>().join(" ");
        let line = items.iter().map(|(_, value)| *value).collect::<Vec<_>>().join(" ");
        // And one that is written before the end, without a request.
        let unusual = items.iter().map(|(item, value)| match *item {
            "%TR" => "-1",
            "%Tt" => "+6",
            _ => value,
        });
        let unusual = unusual.collect::<Vec<_>>().join(" ");
        let explained = explain(&["--log-format", &format, "--json"]);
        let explained: Value = serde_json::from_str(&explained.stdout).unwrap_or_else(|_| panic!("{explained:?}"));
        let layout = &explained["layouts"][0];
        let counted = fed(&["replay", "--log-format", &format, "-"], format!("{line}\n{unusual}\n").as_bytes());
        assert_eq!(counted.code, Some(0), "{counted:?}");
        let families = counted.stdout.lines().filter_map(|line| line.strip_prefix("# TYPE haproxy_log_"));
        let has_samples = |name: &&str| {
            let name = format!("haproxy_log_{name}");
            [name.clone(), format!("{name}_count")].iter().any(|name| sum(&counted.stdout, name) > 0.0)
        };
        let families: Vec<_> = families.filter_map(|line| line.split(' ').next()).filter(has_samples).collect();
        for promised in layout["metrics"].as_array().unwrap() {
            let metric = promised["metric"].as_str().unwrap();
            let stem = metric.strip_prefix("haproxy_log_").unwrap();
            // Only some lines abort, end abnormally or are incomplete.
            let is_rare = match stem {
                "aborted_requests_total" => !format.contains("%TR"),
                "incomplete_records_total" => !format.contains("%Tt"),
                _ => false,
            };
            assert!(is_rare || families.contains(&stem), "{format}: {metric} is promised\n{}", counted.stdout);
            if let Some((labels, _)) = samples(&counted.stdout, metric).next() {
                for label in promised["labels"].as_array().unwrap() {
                    let label = label.as_str().unwrap();
                    assert!(!labels.contains(&format!("{label}=\"\"")), "{format}: {label} in {metric}{labels}");
                }
                for label in promised["empty_labels"].as_array().unwrap() {
                    let label = label.as_str().unwrap();
                    assert!(labels.contains(&format!("{label}=\"\"")), "{format}: {label} in {metric}{labels}");
                }
            }
        }
        let promised = names(layout, "metrics", "metric");
        for stem in families {
            assert!(promised.contains(&&*format!("haproxy_log_{stem}")), "{format}: {stem} is counted, too");
        }
        // What would have to be added is not there.
        for missing in layout["not_counted"].as_array().unwrap() {
            let added = missing["add"].as_str().unwrap();
            assert!(
                !items.iter().any(|(item, _)| added.split(" or ").any(|added| added == *item)),
                "{format}: {missing}"
            );
        }
    }
}

#[test]
fn every_label_is_given_or_asked_for() {
    let given = |format: &str| {
        let explained = explain(&["--log-format", format, "--json"]);
        let explained: Value = serde_json::from_str(&explained.stdout).unwrap();
        let layout = &explained["layouts"][0];
        let labels = names(layout, "labels", "label").into_iter().map(str::to_owned).collect::<Vec<_>>();
        let missing = names(layout, "labels_without_value", "name").into_iter().map(str::to_owned).collect::<Vec<_>>();
        (labels, missing)
    };
    for (item, label) in [
        ("%ft", "ssl"),
        ("%{+Q}r", "http_version"),
        ("%HV", "http_version"),
        ("%HU", "http_request_path"),
        ("%ci", "client_ip"),
        ("%hr", "request_header_N"),
        ("%hsl", "response_header_N"),
        ("%[ssl_fc_sni]", "ssl_fc_sni"),
    ] {
        let with = given(&format!("%TR %ST {item}"));
        let without = given("%TR %ST");
        assert!(with.0.iter().any(|given| given == label) && !with.1.iter().any(|given| given == label), "{item}");
        assert!(
            !without.0.iter().any(|given| given == label) && without.1.iter().any(|given| given == label),
            "{item}"
        );
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = tailmeter()
        .args(["explain", "--format", "haproxy"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
}
