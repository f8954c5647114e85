//! What Prometheus makes of it: one server scrapes native histograms, another one OpenMetrics with classic ones.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use rustix::process::Signal;
use serde_json::Value;

use crate::lab::{Lab, find, free_ports, text};
use crate::lines::Random;
use crate::prometheus::Prometheus;

/// Requests in the log.
const REQUESTS: usize = 4000;

const TAILMETER: &str = "
listen: 127.0.0.1:{port}
sources:
  - {file: '{directory}/haproxy.log', format: haproxy}
  - {file: '{directory}/ids.log', format: {log_format: '%ci:%cp [%tr] %ft %b/%s %Tq/%Tw/%Tc/%Tr/%Ta %ST %B %tsc %rc %ID'}}
  - {file: '{directory}/mail.log', format: postfix}
metrics:
  haproxy_log_requests_total: {labels: [frontend_name], exemplars: traceparent}
  # Both kinds of buckets.
  haproxy_log_request_duration_seconds: {labels: [], native: true, exemplars: traceparent}
  # Buckets of the operator's own.
  haproxy_log_connect_duration_seconds: {labels: [], buckets: [0.002, 0.0075, 0.02, 0.05, 0.3, 3, 7.5]}
  # Only native ones, made coarser.
  haproxy_log_response_duration_seconds:
    labels: []
    native: {schema: 6, max_buckets: 40, zero_threshold: 0.002, classic: false}
    exemplars: traceparent
  haproxy_log_queue_duration_seconds: {labels: [], summary: {quantiles: [0.5, 0.99], window_seconds: 86400}}
  haproxy_log_retries_total: {labels: [], exemplars: unique_id}
  postfix_log_deliveries_total: {labels: [status], exemplars: queue_id}
  postfix_log_delivery_delay_seconds: {labels: [], native: true, exemplars: queue_id}
";

const PROMETHEUS: &str = "
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
  - job_name: tailmeter
    static_configs:
      - targets: ['127.0.0.1:{port}']
";

/// Nine hours before UTC, without a summer time.
const ZONE: &str = "TZ=JST-9";

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Values from 1 ms to 10 s, of which each power of ten has as many.
fn values(seed: u64) -> Vec<u64> {
    let mut random = Random(seed);
    (0..REQUESTS).map(|_| 10f64.powf(4.0 * (random.below(1 << 20) as f64 / f64::from(1 << 20))) as u64).collect()
}

/// `%d/%b/%Y:%H:%M:%S.%f` of a time in milliseconds, as HAProxy has it there.
fn haproxy_time(ms: i64) -> String {
    let zone = TimeZone::fixed(Offset::from_seconds(9 * 3600).unwrap());
    Timestamp::from_millisecond(ms).unwrap().to_zoned(zone).strftime("%d/%b/%Y:%H:%M:%S%.3f").to_string()
}

/// The quantile of what `values` are, in seconds: it lies between these two.
fn truth(values: &[u64], quantile: f64) -> (f64, f64) {
    let mut values = values.to_vec();
    values.sort_unstable();
    let rank = quantile * values.len() as f64;
    let at = |rank: f64| values[(rank as usize).clamp(1, values.len()) - 1] as f64 / 1000.0;
    (at(rank.floor()), at(rank.floor() + 1.0))
}

#[track_caller]
fn assert_between(found: f64, (low, high): (f64, f64), what: &str) {
    assert!(low <= found && found <= high, "{what} is {found}, not from {low} to {high}");
}

/// The exemplars of `query`: series, labels, value, time.
fn exemplars(prometheus: Prometheus, query: &str) -> Vec<(Value, Value, f64, f64)> {
    let path = format!("/api/v1/query_exemplars?query={query}&start={}&end={}", now() - 36_000.0, now() + 60.0);
    let answer: Value = serde_json::from_str(&crate::prometheus::get(prometheus.port, &path).unwrap()).unwrap();
    assert_eq!(answer["status"], "success", "{query}: {answer}");
    let mut all = Vec::new();
    for series in answer["data"].as_array().unwrap() {
        for exemplar in series["exemplars"].as_array().unwrap() {
            let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok()).unwrap();
            let (value, time) = (number(&exemplar["value"]), number(&exemplar["timestamp"]));
            all.push((series["seriesLabels"].clone(), exemplar["labels"].clone(), value, time));
        }
    }
    all
}

fn start_tailmeter(lab: &mut Lab) {
    let config = lab.path("tailmeter.yml");
    let state = lab.path("state");
    let [config, state] = [&config, &state].map(|path| path.to_str().unwrap());
    let arguments = [ZONE, env!("CARGO_BIN_EXE_tailmeter"), "run", "--config", config, "--state-dir", state];
    lab.start("tailmeter", Path::new("/usr/bin/env"), &arguments);
}

#[test]
fn prometheus_finds_the_quantiles_and_the_lines() {
    let [prometheus, _] = find([("prometheus", "prometheus"), ("setpriv", "util-linux")]);
    let mut lab = Lab::new();
    let [port, native_port, classic_port] = free_ports();
    lab.write("tailmeter.yml", &TAILMETER.replace("{port}", &port.to_string()));

    let began = (now() * 1000.0) as i64 - 600_000;
    let (total, connect, response, queue) = (values(1), values(2), values(3), values(4));
    let mut log = String::new();
    for request in 0..REQUESTS {
        let (time, id) = (haproxy_time(began + 100 * request as i64), request + 1);
        let (total, connect) = (total[request], connect[request]);
        let (response, queue) = (response[request], queue[request]);
        log += &format!(
            "Nov 21 12:14:14 lb haproxy[1]: 10.0.0.1:5 [{time}] web app/a 0/{queue}/{connect}/{response}/{total} 200 99 - - ---- 1/1/1/1/0 0/0 \
             {{www.example.net|00-{id:032x}-{id:016x}-01}} \"GET / HTTP/1.1\"\n"
        );
    }
    lab.write("haproxy.log", &log);
    let time = haproxy_time(began + 5);
    lab.write("ids.log", &format!("10.0.0.1:5 [{time}] web app/a 0/0/1/1/2 200 9 ---- 2 4F-1/x\n"));
    let mail_time = Timestamp::from_millisecond(began).unwrap().strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string();
    let delivered = |id: &str, delay: &str| {
        format!(
            "{mail_time} mx postfix/smtp[7]: {id}: to=<b@example.org>, relay=mx.example.org[203.0.113.1]:25, delay={delay}, \
             delays=0.1/0/0.2/0.3, dsn=2.0.0, status=sent (250 2.0.0 Ok)\n"
        )
    };
    lab.write("mail.log", &(delivered("4F1AB6C02D", "0.6") + &delivered("4F1AB6C02E", "60")));
    start_tailmeter(&mut lab);
    lab.write("prometheus.yml", &PROMETHEUS.replace("{port}", &port.to_string()));
    for (name, port, features) in [
        ("native", native_port, "--enable-feature=native-histograms,exemplar-storage"),
        ("classic", classic_port, "--enable-feature=exemplar-storage"),
    ] {
        let listen = format!("--web.listen-address=127.0.0.1:{port}");
        let tsdb = format!("--storage.tsdb.path={name}");
        lab.start(name, &prometheus, &["--config.file=prometheus.yml", &tsdb, &listen, features]);
    }
    let [native, classic] = [native_port, classic_port].map(|port| Prometheus { port });
    let count =
        |prometheus: Prometheus, query: &str| prometheus.value(query, now()).filter(|count| *count >= REQUESTS as f64);
    let duration = "haproxy_log_request_duration_seconds";
    let only = "haproxy_log_response_duration_seconds";
    // Custom formats have no total time that differs: two lines more, of other logs, are in none of these but the first.
    lab.until("both have scraped it all", || {
        count(native, &format!("histogram_count({duration})"))?;
        count(native, &format!("histogram_count({only})"))?;
        count(classic, &format!("{duration}_count"))
    });

    // One line more is in the other log.
    let with = |values: &[u64], more: u64| values.iter().copied().chain([more]).collect::<Vec<_>>();
    let (total, connect, response, queue) = (with(&total, 2), with(&connect, 1), with(&response, 1), with(&queue, 0));
    let classic_bounds = [0.0, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
    let own_bounds = [0.0, 0.002, 0.0075, 0.02, 0.05, 0.3, 3.0, 7.5];
    let around = |bounds: &[f64], (low, high): (f64, f64)| {
        let below = bounds.iter().rev().find(|bound| **bound < low).copied().unwrap_or(0.0);
        (below, bounds.iter().find(|bound| **bound >= high).copied().unwrap_or(f64::INFINITY))
    };
    for quantile in [0.05, 0.25, 0.5, 0.9, 0.95, 0.99] {
        let of = |prometheus: Prometheus, of: &str| {
            prometheus.value(&format!("histogram_quantile({quantile}, {of})"), now()).expect("a quantile")
        };
        let name = format!("quantile {quantile}");
        let (low, high) = truth(&total, quantile);
        // Schema 3: bounds are a factor of 2^(1/8) apart.
        let factor = 2f64.powf(1.0 / 8.0);
        assert_between(of(native, duration), (low / factor, high * factor), &format!("native {name}"));
        assert_between(
            of(classic, &format!("{duration}_bucket")),
            around(&classic_bounds, (low, high)),
            &format!("classic {name}"),
        );
        let bounds = around(&own_bounds, truth(&connect, quantile));
        for prometheus in [native, classic] {
            let found = of(prometheus, "haproxy_log_connect_duration_seconds_bucket");
            assert_between(found, bounds, &format!("own {name}"));
        }
        // Four powers of ten are 13.3 doublings: 40 buckets are enough for schema 1, which has two for each.
        let (low, high) = truth(&response, quantile);
        let factor = 2f64.powf(1.0 / 2.0);
        if low > 0.002 {
            assert_between(of(native, only), (low / factor, high * factor), &format!("coarser {name}"));
        }
    }
    for (quantile, number) in [("0.5", 0.5), ("0.99", 0.99)] {
        for prometheus in [native, classic] {
            let query = format!("haproxy_log_queue_duration_seconds{{quantile=\"{quantile}\"}}");
            let (low, high) = truth(&queue, number);
            let found = prometheus.value(&query, now()).expect("a quantile");
            assert_between(found, (low * 0.99 - 0.001, high * 1.01 + 0.001), &query);
        }
    }
    for (name, values) in [(duration, &total), (only, &response)] {
        let sum = native.value(&format!("histogram_sum({name})"), now()).unwrap();
        assert_between(sum, (values.iter().sum::<u64>() as f64 / 1000.0 - 1e-6, f64::MAX), "the sum");
        assert_eq!(native.value(&format!("histogram_count({name})"), now()), Some(values.len() as f64));
    }
    // None is below what is near zero.
    let fraction =
        native.value(&format!("histogram_fraction(-1, 0.002, {only}) * histogram_count({only})"), now()).unwrap();
    let near = response.iter().filter(|ms| **ms <= 2).count() as f64;
    assert_between(fraction, (near - 0.5, near + 0.5), "what is near zero");

    assert_exemplars(native, classic, began);
    goes_on_after_a_crash(&mut lab, native, duration);
}

fn assert_exemplars(native: Prometheus, classic: Prometheus, began: i64) {
    let duration = "haproxy_log_request_duration_seconds";
    let (total, response) = (values(1), values(3));
    // Traces are numbered by line, from which everything else follows.
    let assert_trace = |(series, labels, value, time): &(Value, Value, f64, f64), values: Option<&[u64]>| {
        let trace = labels["trace_id"].as_str().unwrap_or_else(|| panic!("{labels} of {series}"));
        let request = u64::from_str_radix(trace, 16).unwrap() - 1;
        assert_eq!(labels["span_id"], format!("{:016x}", request + 1));
        let expected = values.map_or(1.0, |values| values[request as usize] as f64 / 1000.0);
        assert!((value - expected).abs() < 1e-9, "{value}, not {expected}");
        assert!((time - (began + 100 * request as i64) as f64 / 1000.0).abs() < 0.002, "{time} of request {request}");
        if let Some(bound) = series["le"].as_str() {
            assert!(*value <= bound.replace("+Inf", "inf").parse().unwrap(), "{value} in {bound}");
        }
    };
    let of_buckets = exemplars(classic, &format!("{duration}_bucket"));
    assert!(of_buckets.len() >= 10, "{of_buckets:?}");
    of_buckets.iter().for_each(|exemplar| assert_trace(exemplar, Some(&total)));
    let of_native = exemplars(native, duration);
    assert!(!of_native.is_empty());
    of_native.iter().for_each(|exemplar| assert_trace(exemplar, Some(&total)));
    let of_only = exemplars(classic, "haproxy_log_response_duration_seconds_bucket");
    assert_eq!(of_only.len(), 1, "{of_only:?}");
    of_only.iter().for_each(|exemplar| assert_trace(exemplar, Some(&response)));
    for prometheus in [native, classic] {
        let of_counter = exemplars(prometheus, "haproxy_log_requests_total");
        assert_eq!(of_counter.len(), 1, "{of_counter:?}");
        assert_trace(&of_counter[0], None);
        assert_eq!(of_counter[0].1["trace_id"], format!("{REQUESTS:032x}"), "the last line");
        let of_retries = exemplars(prometheus, "haproxy_log_retries_total");
        let [(_, labels, value, time)] = &of_retries[..] else { panic!("{of_retries:?}") };
        assert_eq!((&labels["unique_id"], *value), (&Value::from("4F-1/x"), 2.0));
        assert!((time - (began + 5) as f64 / 1000.0).abs() < 0.002);
        let of_mail = exemplars(prometheus, "postfix_log_deliveries_total");
        let [(_, labels, ..)] = &of_mail[..] else { panic!("{of_mail:?}") };
        assert_eq!(labels["queue_id"], "4F1AB6C02E");
    }
    let of_delays = exemplars(classic, "postfix_log_delivery_delay_seconds_bucket");
    let ids = of_delays
        .iter()
        .map(|(series, labels, ..)| (series["le"].as_str().unwrap(), labels["queue_id"].as_str().unwrap()));
    let mut ids = ids.collect::<Vec<_>>();
    ids.sort_unstable();
    assert_eq!(ids, [("1.0", "4F1AB6C02D"), ("60.0", "4F1AB6C02E")]);
}

/// No bucket is lost when tailmeter is killed, and none is counted twice.
fn goes_on_after_a_crash(lab: &mut Lab, native: Prometheus, duration: &str) {
    let quantile = format!("histogram_quantile(0.9, {duration})");
    let before = (native.value(&quantile, now()), native.value(&format!("histogram_count({duration})"), now()));
    lab.end("tailmeter", Signal::KILL);
    let killed = now();
    start_tailmeter(lab);
    lab.until("Prometheus scrapes it again", || native.value(&format!("timestamp(up == 1) > {killed}"), now()));
    let state = lab.path("state/tailmeter.db");
    assert!(!text(&state).is_empty());
    let after = lab.until("and has its histogram", || {
        native.value(&format!("timestamp({duration}) > {killed}"), now())?;
        Some((native.value(&quantile, now()), native.value(&format!("histogram_count({duration})"), now())))
    });
    assert_eq!(before, after);
}
