//! Real Prometheus servers scrape every protocol, and know the same values from each.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "store/hostile.rs"]
mod hostile;
#[path = "end_to_end/lab.rs"]
#[allow(dead_code, reason = "this test needs less of it than the whole run")]
mod lab;
#[path = "store/lines.rs"]
#[allow(dead_code, reason = "as above")]
mod lines;
#[path = "end_to_end/prometheus.rs"]
#[allow(dead_code, reason = "as above")]
mod prometheus;
#[path = "store/strict.rs"]
#[allow(dead_code, reason = "as above")]
mod strict;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tailmeter::http::{Options, serve};
use tailmeter::metrics::{Dialect, own};
use tailmeter::pipeline::{Exporter, Pipeline, Shown};
use tailmeter::source::{Block, End, Sink};

use hostile::{all_labels, hostile_request};
use lab::{Lab, find, free_ports};
use lines::Line;
use prometheus::{Prometheus, Series};

/// What Prometheus 2.53 can be told to scrape, and how its bounds and the names of its counters look then.
const PROTOCOLS: [(&str, Looks); 4] = [
    ("PrometheusText0.0.4", Looks { bound: "10", counter: "haproxy_log_requests_total" }),
    ("OpenMetricsText0.0.1", Looks { bound: "10.0", counter: "haproxy_log_requests" }),
    ("OpenMetricsText1.0.0", Looks { bound: "10.0", counter: "haproxy_log_requests" }),
    ("PrometheusProto", Looks { bound: "10.0", counter: "haproxy_log_requests_total" }),
];

#[derive(Clone, Copy)]
struct Looks {
    bound: &'static str,
    counter: &'static str,
}

/// An endpoint with counts that stay as they are, until it is dropped.
struct Endpoint {
    port: u16,
    pipeline: Arc<Pipeline>,
    _runtime: tokio::runtime::Runtime,
}

impl Endpoint {
    fn start() -> Self {
        let telemetry = own::install();
        let pipeline = Arc::new(Pipeline::new(&all_labels(), |_| {}));
        let lines = (0..300).map(|number| if number % 2 == 0 { Line::whole(number) } else { hostile_request(number) });
        let mut feed = pipeline.shard("haproxy", &Dialect::Usual).unwrap().feed("test", "test");
        let lines = lines::block(&lines.collect::<Vec<_>>(), true);
        feed.block(Block { lines: &lines, bytes: 0, end: End::Nowhere, cut: false });
        let shown = Shown { pipeline: Arc::clone(&pipeline), sources: Vec::new(), has_created_samples: false };
        let exporter = Exporter::new(shown, telemetry, None);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(serve(listener, Arc::new(exporter), Options::default(), std::future::pending()));
        Self { port, pipeline, _runtime: runtime }
    }

    /// What Prometheus must know of it, values as bytes: names are labels, and bounds are as in the text format.
    fn truth(&self) -> Series {
        let mut text = Vec::new();
        self.pipeline.render(&mut text);
        let mut truth = Series::new();
        for metric in strict::read(&text).into_values() {
            for (labels, row) in metric.rows {
                let labels = labels.into_iter().map(|(name, value)| (name, value.escape_ascii().to_string()));
                let labels = labels.collect::<BTreeMap<_, _>>();
                let mut put = |suffix: &str, bound: Option<&str>, value: f64| {
                    let mut labels = labels.clone();
                    labels.insert("__name__".to_owned(), format!("{}{suffix}", metric.name));
                    labels.extend(bound.map(|bound| ("le".to_owned(), bound.to_owned())));
                    // Prometheus has no labels without a value.
                    labels.retain(|_, value| !value.is_empty());
                    assert_eq!(truth.insert(labels, value), None);
                };
                let value = row.thousandths as f64 / 1000.0;
                if metric.kind != "histogram" {
                    put("", None, value);
                    continue;
                }
                for (bound, count) in &row.buckets {
                    put("_bucket", Some(bound), *count as f64);
                }
                put("_count", None, row.observations() as f64);
                put("_sum", None, value);
            }
        }
        truth
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// A Prometheus that scrapes `target` once a second, with a job for each item of `jobs`: its name, and more settings.
fn start(
    lab: &mut Lab,
    name: &'static str,
    program: &Path,
    target: u16,
    jobs: &[(&str, String)],
    features: &str,
) -> Prometheus {
    let job = |(job, more): &(&str, String)| {
        format!(
            "  - job_name: {job}\n{more}    scrape_interval: 1s\n    static_configs: [{{targets: ['127.0.0.1:{target}']}}]\n"
        )
    };
    let config = format!("scrape_configs:\n{}", jobs.iter().map(job).collect::<String>());
    let config = lab.write(&format!("{name}.yml"), &config);
    let [port] = free_ports();
    let options = [
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", lab.path(&format!("{name}.tsdb")).display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
        format!("--enable-feature={features}"),
    ];
    lab.start(name, program, &options.each_ref().map(String::as_str));
    Prometheus { port }
}

/// What the job knows of the log-derived metrics, bounds as in the text format.
fn known(prometheus: Prometheus, job: &str) -> Option<Series> {
    let series = prometheus.series(&format!("{{__name__=~'haproxy_log_.+',job='{job}'}}"), now())?;
    let plain = |(mut labels, value): (BTreeMap<String, String>, f64)| {
        labels.remove("job");
        labels.remove("instance");
        labels.values_mut().for_each(|value| *value = hostile::bytes(value).escape_ascii().to_string());
        if let Some(bound) = labels.get_mut("le").filter(|bound| *bound != "+Inf") {
            *bound = bound.parse::<f64>().unwrap().to_string();
        }
        (labels, value)
    };
    Some(series.into_iter().map(plain).collect())
}

#[track_caller]
fn assert_looks(prometheus: Prometheus, job: &str, looks: Looks) {
    let Looks { bound, counter } = looks;
    let bounds = prometheus.series(&format!("haproxy_log_response_duration_seconds_bucket{{job='{job}'}}"), now());
    let bounds = bounds.unwrap();
    assert!(bounds.keys().any(|labels| labels["le"] == bound), "{job} has no bound {bound}");
    let told = prometheus.metadata(job, counter).expect("an answer");
    assert!(told.contains("counter"), "{job} knows of no counter {counter}: {told}");
}

#[test]
fn every_protocol_tells_prometheus_the_same() {
    let [installed] = find([("prometheus", "prometheus")]);
    let newer = Path::new("target/prometheus/trixie/prometheus");
    assert!(newer.is_file(), "this test runs another Prometheus, which is not here: fixtures/record/prometheus");
    let newer = newer.canonicalize().unwrap();
    let endpoint = Endpoint::start();
    let (target, truth) = (endpoint.port, endpoint.truth());
    let mut lab = Lab::new();

    let chosen = PROTOCOLS.map(|(protocol, _)| (protocol, format!("    scrape_protocols: [{protocol}]\n")));
    // It shows what the moments when counting began are good for, too.
    let features = "created-timestamp-zero-ingestion";
    let newer = start(&mut lab, "prometheus_of_trixie", &newer, target, &chosen, features);
    // The installed one cannot be told, but wants protobuf when it may have native histograms.
    let usual = [("usual", String::new())];
    let openmetrics = start(&mut lab, "prometheus", &installed, target, &usual, "");
    let protobuf = start(&mut lab, "prometheus_with_histograms", &installed, target, &usual, "native-histograms");

    let jobs = PROTOCOLS.map(|(protocol, looks)| (newer, protocol, looks));
    let [_, (_, text), _, (_, proto)] = PROTOCOLS;
    let more = [(openmetrics, "usual", text), (protobuf, "usual", proto)];
    for (prometheus, job, looks) in jobs.into_iter().chain(more) {
        let found = lab.until(&format!("{job} is scraped"), || {
            known(prometheus, job).filter(|series| series.len() == truth.len())
        });
        assert!(found == truth, "{job} has other values");
        lab.until(&format!("{job} is known"), || prometheus.metadata(job, looks.counter));
        assert_looks(prometheus, job, looks);
    }
    let least = |job: &str| {
        let query = format!("max(min_over_time(haproxy_log_requests_total{{job='{job}'}}[10m]))");
        newer.value(&query, now()).unwrap()
    };
    // Only protobuf tells that every counter was zero once.
    assert_eq!(least("PrometheusProto"), 0.0);
    assert!(least("PrometheusText0.0.4") > 0.0);
}
