//! `/api/cardinality` and the table of series on the status page, held against the exposition of the same moment.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "cli/harness.rs"]
#[allow(dead_code, reason = "the tests of the command line use the rest")]
mod harness;
#[path = "store/lines.rs"]
#[allow(dead_code, reason = "the tests of the store use the rest")]
mod lines;
#[path = "store/strict.rs"]
#[allow(dead_code, reason = "the tests of the store use the rest")]
mod strict;

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use harness::{Exporter, request};
use lines::Line;

/// A label value as a client of Prometheus reads it: bytes that are none of UTF-8 were written as `\xNN`.
fn shown(value: &[u8]) -> String {
    let mut text = Vec::new();
    tailmeter::series::escape_into(value, &mut text);
    let text = String::from_utf8(text).unwrap();
    text.replace("\\\\", "\0").replace("\\\"", "\"").replace('\0', "\\")
}

fn number(value: &Value, key: &str) -> usize {
    value[key].as_u64().unwrap_or_else(|| panic!("{key} of {value}")) as usize
}

#[test]
fn the_endpoint_tells_what_the_exposition_shows() {
    let folder = tempfile::tempdir().unwrap();
    let (log, config) = (folder.path().join("a.log"), folder.path().join("c.yml"));
    let mut block = Vec::new();
    for number in 0..400 {
        block.extend(Line::of(number).0);
        block.push(b'\n');
    }
    fs::write(&log, &block).unwrap();
    let text = format!(
        "sources: [{{file: {}, format: haproxy}}]\nmax_series_total: 5000\nexpire_after: 1h\nmetrics:\n  \
         haproxy_log_requests_total: {{labels: [frontend_name, client_ip: {{allow: [10.0.0.1]}}], max_series: 12}}\n  \
         haproxy_log_retries_total: {{expire_after: never}}\n",
        log.display()
    );
    fs::write(&config, text).unwrap();
    let state = folder.path().join("state").display().to_string();
    let exporter = Exporter::start(["--config", config.to_str().unwrap(), "--state-dir", &state]);
    let scrape = exporter.until_sum("tailmeter_lines_total", 400.0);
    let (head, body) = exporter.get("/api/cardinality");
    assert!(head.to_lowercase().contains("content-type: application/json"), "{head}");
    let told: Value = serde_json::from_str(&body).unwrap();

    let of_log = scrape.split("# HELP tailmeter_").next().unwrap();
    let metrics = strict::read(of_log.as_bytes());
    let told_metrics = told["metrics"].as_array().unwrap();
    let told_metrics = told_metrics.iter().map(|metric| (metric["name"].as_str().unwrap(), metric));
    let told_metrics = told_metrics.collect::<BTreeMap<_, _>>();
    assert!(told_metrics.keys().copied().eq(metrics.keys().map(String::as_str)));
    assert!(metrics.len() > 10);
    let own = |name: &str, metric: &str| {
        let label = format!("metric=\"{metric}\"");
        let mut samples = harness::samples(&scrape, name);
        samples.find(|(labels, _)| labels.contains(&label)).map(|(_, value)| value as usize).unwrap()
    };
    for (name, metric) in &metrics {
        let told = told_metrics[name.as_str()];
        assert_eq!(number(told, "series"), metric.rows.len(), "{name}");
        assert_eq!(number(told, "limit"), own("tailmeter_series_limit", name), "{name}");
        assert_eq!(number(told, "overflow"), own("tailmeter_label_overflow_total", name), "{name}");
        assert_eq!((number(told, "expired"), told["family"].as_str()), (0, Some("haproxy")), "{name}");
        let lines = of_log.lines().filter(|line| {
            let rest = line.strip_prefix(name.as_str()).unwrap_or("");
            ["{", "_bucket{", "_sum{", "_count{"].iter().any(|begin| rest.starts_with(begin))
        });
        assert_eq!(number(told, "samples"), lines.count(), "{name}");
        assert!(number(told, "bytes") >= 8 * metric.rows.len(), "{name}");
        let span = if name == "haproxy_log_retries_total" { None } else { Some(3600) };
        assert_eq!(told["expire_after_seconds"].as_u64(), span, "{name}");
        let mut values: BTreeMap<&str, BTreeMap<String, usize>> = BTreeMap::new();
        for (label, value) in metric.rows.keys().flatten() {
            *values.entry(label).or_default().entry(shown(value)).or_default() += 1;
        }
        let labels = told["labels"].as_array().unwrap();
        assert_eq!(labels.len(), values.len(), "{name}");
        for label in labels {
            let (of_label, top) = (&values[label["name"].as_str().unwrap()], label["top"].as_array().unwrap());
            assert_eq!((number(label, "values"), top.len()), (of_label.len(), of_label.len().min(10)), "{label}");
            let mut before = usize::MAX;
            for value in top {
                assert_eq!(Some(&number(value, "series")), of_label.get(value["value"].as_str().unwrap()), "{value}");
                assert!(number(value, "series") <= before, "the commonest first: {label}");
                before = number(value, "series");
            }
            let rest = of_label.values().sum::<usize>();
            assert!(rest == metric.rows.len(), "{label}");
        }
    }
    let total = metrics.values().map(|metric| metric.rows.len()).sum::<usize>();
    assert_eq!((number(&told, "series"), number(&told, "limit")), (total, 5000));
    // What a policy took out stays out.
    assert!(body.contains("10.0.0.1") && !body.contains("10.0.0.2"), "{body}");

    let page = exporter.get("/").1;
    let begin = format!(
        "<th scope=\"row\">haproxy_log_requests_total</th><td class=\"n\">{}</td>",
        metrics["haproxy_log_requests_total"].rows.len()
    );
    assert!(metrics["haproxy_log_requests_total"].rows.len() > 6);
    assert!(page.contains(&begin) && page.contains("href=\"api/cardinality\""), "{page}");
    assert!(!page.contains("10.0.0.2"), "{page}");
}

#[test]
fn nothing_read_means_no_series() {
    let exporter = Exporter::start(["--haproxy", "/nowhere/a.log", "--no-state"]);
    let told: Value = serde_json::from_str(&exporter.get("/api/cardinality").1).unwrap();
    assert_eq!((number(&told, "series"), number(&told, "limit")), (0, 1_000_000));
    assert_eq!(told["metrics"], Value::Array(Vec::new()));
    assert!(!exporter.get("/").1.contains("<h2>Series"));
    let head = exporter.get("/api/cardinality/").0;
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
}

/// Names may be anything, also what would end the table.
#[test]
fn values_are_escaped_on_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.log");
    fs::write(&log, request().replace(" http-in ", " <b>&\"' ")).unwrap();
    let state = folder.path().join("state").display().to_string();
    let exporter = Exporter::start(["--haproxy", log.to_str().unwrap(), "--state-dir", &state]);
    exporter.until_sum("haproxy_log_requests_total", 1.0);
    let page = exporter.get("/").1;
    assert!(page.contains("<code>&lt;b&gt;&amp;&quot;&#39;</code> (1)") && !page.contains("<b>"), "{page}");
    let told: Value = serde_json::from_str(&exporter.get("/api/cardinality").1).unwrap();
    assert!(told.to_string().contains("<b>&\\\"'"), "{told}");
}
