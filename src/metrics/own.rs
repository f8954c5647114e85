//! tailmeter's own telemetry: the one table that defines it, the handles through which the stages record it, and
//! its tables for the exposition.
//!
//! It goes through the `metrics` facade into the recorder of `metrics-exporter-prometheus`, which runs without
//! a listener and without a periodic task: [`Telemetry::expose`] does its upkeep, and takes its text apart. Samples derived from
//! logs do not pass here. The `process_*` samples are read from the system at each scrape, because
//! the facade's counters are integers, and CPU time is not.
//!
//! The recorder's escaping of label values is not injective: it takes `\"` for an escaped quote, merges `\\` with
//! `\`, and moves a backslash behind a line break that follows it. Two sources could become one series. Values
//! with their backslashes doubled come out right, so every value recorded here goes through [`label_value`].

mod handles;
mod ledger;
mod push;
mod shown;

pub use handles::{SeriesTelemetry, SourceTelemetry, StateTelemetry};
pub use ledger::Ledger;
pub use push::{PushOutcome, PushTelemetry};

use push::{PUSH_BUFFERED, PUSH_BYTES, PUSH_DROPPED, PUSH_DURATION, PUSH_REQUESTS, PUSH_SUCCESS};

use std::collections::BTreeSet;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use metrics::{SharedString, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::{Family, Kind, Label, Metric, Unit};
use crate::exposition::{Exposition, Protocol, Rendering, Selection, Table};

/// tailmeter itself, as a family of the catalogue. No log has this format.
pub const FAMILY: Family = Family { name: "tailmeter", metrics: METRICS, labels: LABELS, compat: None, member: None };

/// Every metric of tailmeter itself, in the order of the exposition.
pub const METRICS: &[Metric] = &[
    BUILD_INFO,
    SOURCE_UP,
    LINES,
    REJECTED_LINES,
    IGNORED_PROGRAM_LINES,
    TRUNCATED_LINES,
    SOURCE_READ_BYTES,
    SOURCE_LAG_BYTES,
    SOURCE_LAG_SECONDS,
    ROTATIONS,
    LOST_BYTES,
    DROPPED_MESSAGES,
    SOURCE_ERRORS,
    SERIES,
    SERIES_LIMIT,
    SERIES_EXPIRED,
    LABEL_OVERFLOW,
    CHECKPOINT_AGE,
    CHECKPOINT_DURATION,
    CHECKPOINT_ERRORS,
    ROWS_KEPT_ASIDE,
    RELOAD_SUCCESSFUL,
    RELOAD_TIME,
    PUSH_REQUESTS,
    PUSH_BYTES,
    PUSH_DROPPED,
    PUSH_BUFFERED,
    PUSH_DURATION,
    PUSH_SUCCESS,
    PROCESS_CPU_SECONDS,
    PROCESS_OPEN_FDS,
    PROCESS_MAX_FDS,
    PROCESS_VIRTUAL_MEMORY,
    PROCESS_VIRTUAL_MEMORY_MAX,
    PROCESS_RESIDENT_MEMORY,
    PROCESS_START_TIME,
    PROCESS_THREADS,
];

const fn metric(
    name: &'static str,
    kind: Kind,
    unit: Unit,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, help, kind, unit, labels, opt_in: &[], is_on: true }
}

const BUILD_INFO: Metric = metric(
    "tailmeter_build_info",
    Kind::Gauge,
    Unit::None,
    &["version", "revision", "rustc"],
    "Always 1; the labels tell which tailmeter runs.",
);
const SOURCE_UP: Metric =
    metric("tailmeter_source_up", Kind::Gauge, Unit::None, &["source"], "1 while the source can be read, otherwise 0.");
const LINES: Metric = metric(
    "tailmeter_lines_total",
    Kind::Counter,
    Unit::None,
    &["source", "format", "outcome"],
    "Lines by what became of them: parsed, ignored (known, nothing to count) or rejected.",
);
const REJECTED_LINES: Metric = metric(
    "tailmeter_rejected_lines_total",
    Kind::Counter,
    Unit::None,
    &["source", "format", "reason"],
    "Lines that are not of the source's format, by reason.",
);
const IGNORED_PROGRAM_LINES: Metric = metric(
    "tailmeter_ignored_program_lines_total",
    Kind::Counter,
    Unit::None,
    &["source", "format", "program"],
    "Of the ignored lines, those of programs that no log family knows; `other` for all programs beyond 32.",
);
const TRUNCATED_LINES: Metric = metric(
    "tailmeter_truncated_lines_total",
    Kind::Counter,
    Unit::None,
    &["source"],
    "Lines longer than the limit, of which only the beginning was read.",
);
const SOURCE_READ_BYTES: Metric =
    metric("tailmeter_source_read_bytes_total", Kind::Counter, Unit::Bytes, &["source"], "Bytes read from the source.");
const SOURCE_LAG_BYTES: Metric = metric(
    "tailmeter_source_lag_bytes",
    Kind::Gauge,
    Unit::Bytes,
    &["source"],
    "Bytes written to the source that have not been read yet.",
);
const SOURCE_LAG_SECONDS: Metric = metric(
    "tailmeter_source_lag_seconds",
    Kind::Gauge,
    Unit::Seconds,
    &["source"],
    "Time for which data have been waiting in the source; 0 when everything has been read.",
);
const ROTATIONS: Metric = metric(
    "tailmeter_rotations_total",
    Kind::Counter,
    Unit::None,
    &["source", "kind"],
    "Rotations of the source that were followed, by kind.",
);
const LOST_BYTES: Metric = metric(
    "tailmeter_source_lost_bytes_total",
    Kind::Counter,
    Unit::Bytes,
    &["source", "reason"],
    "Bytes that are known to have been in the source and can never be read, by reason.",
);
const DROPPED_MESSAGES: Metric = metric(
    "tailmeter_source_dropped_messages_total",
    Kind::Counter,
    Unit::None,
    &["source"],
    "Messages that the kernel threw away because they came faster than they were read.",
);
const SOURCE_ERRORS: Metric = metric(
    "tailmeter_source_errors_total",
    Kind::Counter,
    Unit::None,
    &["source", "kind"],
    "Failures to find, open or read the source, by kind.",
);
const SERIES: Metric =
    metric("tailmeter_series", Kind::Gauge, Unit::None, &["metric"], "Label combinations that the metric holds.");
const SERIES_LIMIT: Metric = metric(
    "tailmeter_series_limit",
    Kind::Gauge,
    Unit::None,
    &["metric"],
    "Most label combinations that the metric may hold.",
);
const SERIES_EXPIRED: Metric = metric(
    "tailmeter_series_expired",
    Kind::Gauge,
    Unit::None,
    &["metric"],
    "Label combinations that the metric holds and does not show, since nothing was added for as long as expire_after says.",
);
const LABEL_OVERFLOW: Metric = metric(
    "tailmeter_label_overflow_total",
    Kind::Counter,
    Unit::None,
    &["metric"],
    "Samples of the metric counted under the label value other because a policy or a limit did not admit them.",
);
const CHECKPOINT_AGE: Metric = metric(
    "tailmeter_checkpoint_age_seconds",
    Kind::Gauge,
    Unit::Seconds,
    &[],
    "Time since the state was last known to hold everything counted until then.",
);
const CHECKPOINT_DURATION: Metric = metric(
    "tailmeter_checkpoint_duration_seconds",
    Kind::Gauge,
    Unit::Seconds,
    &[],
    "How long the last commit to the state took.",
);
const CHECKPOINT_ERRORS: Metric = metric(
    "tailmeter_checkpoint_errors_total",
    Kind::Counter,
    Unit::None,
    &[],
    "Failures to commit to the state. Meanwhile the last committed values are shown.",
);
const ROWS_KEPT_ASIDE: Metric = metric(
    "tailmeter_state_rows_kept_aside",
    Kind::Gauge,
    Unit::None,
    &[],
    "Rows of the state that do not fit the configuration: not shown, and kept until they fit again.",
);
const RELOAD_SUCCESSFUL: Metric = metric(
    "tailmeter_config_last_reload_successful",
    Kind::Gauge,
    Unit::None,
    &[],
    "1 when the last attempt to load the configuration succeeded, otherwise 0: then the one before is in use.",
);
const RELOAD_TIME: Metric = metric(
    "tailmeter_config_last_reload_success_timestamp_seconds",
    Kind::Gauge,
    Unit::Seconds,
    &[],
    "When the configuration in use was loaded, in seconds since unix epoch.",
);
const PROCESS_CPU_SECONDS: Metric = metric(
    "process_cpu_seconds_total",
    Kind::Counter,
    Unit::Seconds,
    &[],
    "Total user and system CPU time spent in seconds.",
);
const PROCESS_OPEN_FDS: Metric =
    metric("process_open_fds", Kind::Gauge, Unit::None, &[], "Number of open file descriptors.");
const PROCESS_MAX_FDS: Metric =
    metric("process_max_fds", Kind::Gauge, Unit::None, &[], "Maximum number of open file descriptors.");
const PROCESS_VIRTUAL_MEMORY: Metric =
    metric("process_virtual_memory_bytes", Kind::Gauge, Unit::Bytes, &[], "Virtual memory size in bytes.");
const PROCESS_VIRTUAL_MEMORY_MAX: Metric = metric(
    "process_virtual_memory_max_bytes",
    Kind::Gauge,
    Unit::Bytes,
    &[],
    "Maximum amount of virtual memory available in bytes.",
);
const PROCESS_RESIDENT_MEMORY: Metric =
    metric("process_resident_memory_bytes", Kind::Gauge, Unit::Bytes, &[], "Resident memory size in bytes.");
const PROCESS_START_TIME: Metric = metric(
    "process_start_time_seconds",
    Kind::Gauge,
    Unit::Seconds,
    &[],
    "Start time of the process since unix epoch in seconds.",
);
const PROCESS_THREADS: Metric =
    metric("process_threads", Kind::Gauge, Unit::None, &[], "Number of OS threads in the process.");

const fn label(name: &'static str, help: &'static str) -> Label {
    Label { name, help, private: false }
}

/// True for a counter that begins at 0 with each run, even with a state.
pub(crate) fn is_of_this_run(name: &str) -> bool {
    let of_this_run =
        [&SOURCE_ERRORS, &CHECKPOINT_ERRORS, &PUSH_REQUESTS, &PUSH_BYTES, &PUSH_DROPPED, &PROCESS_CPU_SECONDS];
    of_this_run.iter().any(|metric| metric.name == name)
}

/// The labels of [`METRICS`].
pub const LABELS: &[Label] = &[
    label("source", "Configured path or name of the source, never a rotated one."),
    label("format", "What the source is read as: a log family, or `mail`."),
    label("program", "Program that wrote the line."),
    label("outcome", "parsed, ignored or rejected; of a push: delivered, refused or failed."),
    label("reason", "Why a line was rejected, or why bytes were lost."),
    label("kind", "Which rotation or error it was."),
    label("metric", "Name of the metric that the sample is about."),
    label("push", "How values are pushed: `remote_write` or `otlp`."),
    label("version", "Version of tailmeter."),
    label("revision", "Commit that tailmeter was built from."),
    label("rustc", "Compiler that built tailmeter."),
];

/// What the recorder holds, as text.
#[derive(Debug)]
pub struct Telemetry {
    recorded: PrometheusHandle,
    /// The recorder's unsorted text; kept for its memory, and to render one at a time.
    unsorted: Mutex<Vec<u8>>,
    /// Labels of samples that are not shown.
    hidden: Mutex<BTreeSet<Vec<u8>>>,
}

/// Installs the recorder for the whole program, at the first call; every call returns access to the same one.
///
/// If the program already has a recorder of somebody else's, the samples go to that one, and only
/// `tailmeter_build_info` and `process_*` are rendered here.
pub fn install() -> Telemetry {
    static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();
    let recorded = INSTALLED.get_or_init(|| {
        let (recorder, telemetry) = build();
        // The documented consequence of a failure is all there is to it.
        let _ = metrics::set_global_recorder(recorder);
        telemetry.recorded
    });
    Telemetry::of(recorded.clone())
}

/// A recorder of its own, for `metrics::with_local_recorder`: tests, and anything that must not mix with the
/// program's telemetry.
pub fn build() -> (PrometheusRecorder, Telemetry) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let telemetry = Telemetry::of(recorder.handle());
    metrics::with_local_recorder(&recorder, || {
        for metric in METRICS {
            match metric.kind {
                Kind::Counter => describe_counter!(metric.name, metric.help),
                // There are no histograms: the recorder would hold their samples until the next rendering.
                Kind::Gauge | Kind::Last | Kind::Histogram(_) | Kind::Summary(_) => {
                    describe_gauge!(metric.name, metric.help)
                }
            }
        }
        gauge!(
            BUILD_INFO.name,
            "version" => label_value(env!("CARGO_PKG_VERSION")),
            "revision" => label_value(env!("TAILMETER_REVISION")),
            "rustc" => label_value(env!("TAILMETER_RUSTC")),
        )
        .set(1.0);
    });
    (recorder, telemetry)
}

/// Records an attempt to load the configuration, which was made now.
pub fn record_reload(is_successful: bool) {
    gauge!(RELOAD_SUCCESSFUL.name).set(f64::from(u8::from(is_successful)));
    if is_successful {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        gauge!(RELOAD_TIME.name).set(now.as_secs_f64());
    }
}

impl Telemetry {
    fn of(recorded: PrometheusHandle) -> Self {
        Self { recorded, unsorted: Mutex::default(), hidden: Mutex::default() }
    }

    /// Shows nothing more of the source named `source`, which is read no more; or shows it again. The recorder itself
    /// forgets nothing.
    pub fn hide(&self, source: &str, is_hidden: bool) {
        // As the recorder writes it: backslashes have been doubled, see `label_value`.
        let value = label_value(source).replace('"', "\\\"").replace('\n', "\\n");
        let label = format!("source=\"{value}\"").into_bytes();
        let mut hidden = self.hidden.lock().unwrap_or_else(PoisonError::into_inner);
        if is_hidden {
            hidden.insert(label);
        } else {
            hidden.remove(&label);
        }
    }

    /// Adds everything recorded so far, and the `process_*` samples of this moment, to `exposition`. Metrics come in the order of
    /// [`METRICS`], the samples of each sorted by their labels; metrics without samples are left out.
    pub fn expose(&self, exposition: &mut Exposition) {
        let mut tables = self.recorded();
        tables.extend(shown::process());
        exposition.add(FAMILY.name, tables);
    }

    /// Appends the same to `out` in the Prometheus text format 0.0.4.
    pub fn render(&self, out: &mut Vec<u8>) {
        let mut exposition = Exposition::default();
        self.expose(&mut exposition);
        Rendering::new(exposition.into(), Protocol::Text004, Selection::default()).write_all(out);
    }

    fn recorded(&self) -> Vec<Table> {
        let mut unsorted = self.unsorted.lock().unwrap_or_else(PoisonError::into_inner);
        self.recorded.run_upkeep();
        unsorted.clear();
        // Writing to a Vec cannot fail.
        let _ = self.recorded.render_to_write(&mut *unsorted);
        let hidden = self.hidden.lock().unwrap_or_else(PoisonError::into_inner);
        let is_hidden = |line: &str| hidden.iter().any(|label| memchr::memmem::find(line.as_bytes(), label).is_some());
        shown::recorded(&String::from_utf8_lossy(&unsorted), is_hidden)
    }
}

/// The name of a source as a label value and on the status page. A path may hold any bytes: those that are not
/// UTF-8 become `\xHH`, and so does a backslash before an `x`, so that two paths never share a name.
pub fn source_name(path: &[u8]) -> String {
    let mut name = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        // An `x` that follows in the next chunk cannot be: between chunks stand invalid bytes.
        name.push_str(&chunk.valid().replace(r"\x", r"\x5cx"));
        for byte in chunk.invalid() {
            name.push_str(&format!(r"\x{byte:02x}"));
        }
    }
    name
}

/// `value` as the recorder must get it, for its text to be `value` escaped once.
pub fn label_value(value: &str) -> SharedString {
    if value.contains('\\') {
        SharedString::from(value.replace('\\', r"\\"))
    } else {
        SharedString::from(value.to_owned())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is the failure")]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Write;
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use tailmeter_parsers::Reason;

    use super::super::Totals;
    use super::*;

    /// The text after `record` has run with a recorder of its own, twice rendered.
    fn rendered(record: impl FnOnce()) -> String {
        let (recorder, telemetry) = build();
        metrics::with_local_recorder(&recorder, record);
        let text = |tables| {
            let (mut exposition, mut out) = (Exposition::default(), Vec::new());
            exposition.add(FAMILY.name, tables);
            Rendering::new(exposition.into(), Protocol::Text004, Selection::default()).write_all(&mut out);
            String::from_utf8(out).unwrap()
        };
        let recorded = text(telemetry.recorded());
        assert_eq!(recorded, text(telemetry.recorded()));
        recorded + &text(shown::process())
    }

    fn record_everything() {
        for name in ["/var/log/mail.log", "/var/log/haproxy.log", "stdin"] {
            let source = SourceTelemetry::new(name, "haproxy");
            source.up.set(1.0);
            source.lag_seconds.set(0.25);
            let mut totals = Totals { parsed: 3, read_bytes: 100, rotations: [1, 0], ..Totals::default() };
            totals.rejected[1] = 2;
            totals.strangers.count(b"cron", 2);
            source.show_lines(&totals);
            source.show_source(&totals);
            source.error("open");
        }
        let series = SeriesTelemetry::new("haproxy_log_requests_total");
        series.held.set(12.0);
        series.limit.set(10_000.0);
        series.expired.set(3.0);
        series.overflow.absolute(1);
        StateTelemetry::new().age.set(0.5);
        PushTelemetry::new("otlp").record(PushOutcome::Failed, 1, std::time::Duration::from_secs(1));
        record_reload(true);
    }

    #[test]
    fn promtool_has_no_complaint() {
        let text = rendered(record_everything);
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("promtool, of the package prometheus, must be installed");
        let mut stdin = promtool.stdin.take().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        drop(stdin);
        let result = promtool.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&result.stderr) + String::from_utf8_lossy(&result.stdout);
        assert!(result.status.success() && said.is_empty(), "{said}\n{text}");
    }

    #[test]
    fn the_exposition_is_the_table() {
        let text = rendered(record_everything);
        let mut described = Vec::new();
        for metric in METRICS {
            let kind = if metric.kind == Kind::Counter { "counter" } else { "gauge" };
            described.push(format!("# HELP {} {}", metric.name, metric.help));
            described.push(format!("# TYPE {} {kind}", metric.name));
        }
        let comments: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
        assert_eq!(comments, described);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            let metric = METRICS.iter().find(|metric| metric.name == name).unwrap();
            let labels: Vec<&str> =
                line.split(['{', ',']).filter_map(|part| part.split_once("=\"").map(|(label, _)| label)).collect();
            assert_eq!(labels, metric.labels, "{line}");
            for label in labels {
                assert!(LABELS.iter().any(|known| known.name == label), "{label}");
            }
        }
    }

    #[test]
    fn a_rejected_line_is_counted_in_both_places() {
        let mut totals = Totals::default();
        totals.rejected[Reason::Number.index()] = 2;
        let text = rendered(|| SourceTelemetry::new("a", "exim").show_lines(&totals));
        for sample in [
            "\ntailmeter_lines_total{source=\"a\",format=\"exim\",outcome=\"rejected\"} 2\n",
            "\ntailmeter_rejected_lines_total{source=\"a\",format=\"exim\",reason=\"number\"} 2\n",
            "\ntailmeter_lines_total{source=\"a\",format=\"exim\",outcome=\"parsed\"} 0\n",
            "\ntailmeter_source_up{source=\"a\"} 0\n",
        ] {
            assert!(text.contains(sample), "{sample} in {text}");
        }
    }

    #[test]
    fn installing_twice_gives_the_same_telemetry() {
        let (first, second) = (install(), install());
        gauge!("tailmeter_series", "metric" => "installed").set(7.0);
        for telemetry in [first, second] {
            let mut out = Vec::new();
            telemetry.render(&mut out);
            let text = String::from_utf8(out).unwrap();
            assert!(text.contains("tailmeter_series{metric=\"installed\"} 7\n"));
        }
    }

    /// What the text format demands of a label value.
    fn escaped(value: &str) -> String {
        value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
    }

    proptest! {
        #[test]
        fn label_values_are_escaped_exactly(values in prop::collection::btree_set("[\\\\\"\nnxé]{0,6}", 1..20)) {
            let text = rendered(|| {
                for value in &values {
                    SeriesTelemetry::new(value).held.set(1.0);
                }
            });
            let shown: BTreeSet<&str> = text
                .lines()
                .filter_map(|line| line.strip_prefix("tailmeter_series{metric=\"")?.strip_suffix("\"} 1"))
                .collect();
            let wanted: Vec<String> = values.iter().map(|value| escaped(value)).collect();
            prop_assert_eq!(shown, wanted.iter().map(String::as_str).collect());
        }

        #[test]
        fn every_path_has_its_own_name(a in "[\\\\x0-9a-f]{0,8}", b in prop::collection::vec(prop::sample::select(b"\\xf\xff\xc3\xa9".to_vec()), 0..8)) {
            for path in [a.as_bytes(), &b] {
                prop_assert_eq!(decoded(&source_name(path)), path);
            }
        }
    }

    /// The path that has this name: proof that it is the only one.
    fn decoded(name: &str) -> Vec<u8> {
        let mut path = Vec::new();
        let mut rest = name;
        while let Some(at) = rest.find("\\x") {
            path.extend_from_slice(&rest.as_bytes()[..at]);
            path.push(u8::from_str_radix(&rest[at + 2..at + 4], 16).unwrap());
            rest = &rest[at + 4..];
        }
        path.extend_from_slice(rest.as_bytes());
        path
    }

    #[test]
    fn usual_paths_are_their_own_names() {
        for path in ["/var/log/haproxy.log", "C:\\logs\\mail", "/srv/ü \"1\"\n"] {
            assert_eq!(source_name(path.as_bytes()), path);
        }
        assert_eq!(source_name(b"/a\xff\\xff"), r"/a\xff\x5cxff");
    }
}
