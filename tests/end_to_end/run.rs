//! Everything that runs: HAProxy, rsyslog, logrotate, tailmeter and Prometheus, with their configurations, and the
//! run itself from the first start to the last scrape.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::lab::{Lab, find, free_ports, is_udp_bound, text};
use crate::origin::{Delay, Origin};
use crate::prometheus::Prometheus;
use crate::traffic::{Client, Request, Traffic, now};

/// Seconds that rates and percentiles look back.
pub(crate) const WINDOW: f64 = 15.0;

/// How much later than a request Prometheus may know of it, in seconds: it scrapes every second, the line
/// takes a moment through rsyslog and tailmeter, and the machine may be busy.
pub(crate) const LAG: f64 = 2.0;

/// How long the last lines may take on their way before the numbers that do not fit are shown.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often logrotate rotates the log while it is written.
pub(crate) const ROTATIONS: u32 = 5;

/// Debian's configuration, but for addresses, shorter waits and the proxies.
const HAPROXY: &str = "
global
    log 127.0.0.1:{syslog} local0
    nbthread 2
    maxconn 500

defaults
    log global
    mode http
    option httplog
    option dontlognull
    option abortonclose
    retries 1
    timeout connect 200ms
    timeout client 50s
    timeout server 50s

frontend web
    bind 127.0.0.1:{web}
    http-request return status 204 if { path /ping }
    use_backend retired if { path_beg /retired/ }
    use_backend lost if { path_beg /lost/ }
    default_backend site

frontend api
    bind 127.0.0.1:{api}
    use_backend site if { path_beg /site/ }
    default_backend service

backend site
    balance roundrobin
    server a 127.0.0.1:{origin_a}
    server b 127.0.0.1:{origin_b}

backend service
    server c 127.0.0.1:{origin_c}

# Nobody listens: the system gives port 1 to nobody who does not ask for it.
backend retired
    server old 127.0.0.1:1 check inter 100ms
backend lost
    server nobody 127.0.0.1:1
";

/// The template is the one Debian uses since version 12.
const RSYSLOG: &str = r#"
global(workDirectory="{directory}")
module(load="imudp")
module(load="builtin:omfile" template="RSYSLOG_FileFormat" fileCreateMode="0640")
input(type="imudp" address="127.0.0.1" port="{syslog}" rcvbufSize="4m")
local0.* action(type="omfile" file="{directory}/haproxy.log")
"#;

/// Debian's stanza, with `create` from its main file, and a signal to the rsyslog of this run.
const LOGROTATE: &str = "
{directory}/haproxy.log {
    daily
    rotate 7
    create 0640
    missingok
    notifempty
    compress
    delaycompress
    postrotate
        kill -HUP $(cat {directory}/rsyslogd.pid)
    endscript
}
";

const PROMETHEUS: &str = "
global:
  scrape_interval: 1s
  scrape_timeout: 1s
scrape_configs:
  - job_name: tailmeter
    static_configs:
      - targets: ['{tailmeter}']
";

const TAILMETER: &str = "
metrics:
  haproxy_log_response_duration_seconds: {labels: [backend_name, server_name]}
";

/// Everything that runs, and where it is.
pub(crate) struct Run {
    lab: Lab,
    pub(crate) log: PathBuf,
    logrotate: PathBuf,
    zcat: PathBuf,
    pub(crate) prometheus: Prometheus,
    pub(crate) origins: BTreeMap<&'static str, Origin>,
    ports: BTreeMap<&'static str, u16>,
}

/// What is true, by the books.
pub(crate) struct Truth {
    pub(crate) book: Vec<Request>,
    /// The end of the window of rates and percentiles, in Unix seconds.
    pub(crate) window_end: f64,
    /// All generations of the log.
    pub(crate) written: String,
}

impl Run {
    /// Starts everything, up to the first scrape. `delays` are those of the servers a, b and c.
    pub(crate) fn start(delays: [Delay; 3]) -> Self {
        let [haproxy, rsyslogd, logrotate, prometheus, _, zcat] = find([
            ("haproxy", "haproxy"),
            ("rsyslogd", "rsyslog"),
            ("logrotate", "logrotate"),
            ("prometheus", "prometheus"),
            ("setpriv", "util-linux"),
            ("zcat", "gzip"),
        ]);
        let mut lab = Lab::new();
        let log = lab.path("haproxy.log");
        let [web, api, syslog, prometheus_port] = free_ports();
        let [a, b, c] = delays;
        let origins = [("a", a), ("b", b), ("c", c)];
        let origins = origins.map(|(name, delay)| (name, Origin::start(name, delay)));
        let origins = BTreeMap::from(origins);
        let numbers = [
            ("{syslog}", syslog),
            ("{web}", web),
            ("{api}", api),
            ("{origin_a}", origins["a"].port),
            ("{origin_b}", origins["b"].port),
            ("{origin_c}", origins["c"].port),
        ];
        let filled = |text: &str| {
            let fill = |text: String, (name, port): &(&str, u16)| text.replace(name, &port.to_string());
            numbers.iter().fold(text.to_owned(), fill)
        };
        lab.write("rsyslog.conf", &filled(RSYSLOG));
        let pid_file = lab.path("rsyslogd.pid");
        let pid_file = pid_file.to_str().unwrap();
        lab.start("rsyslogd", &rsyslogd, &["-n", "-C", "-f", "rsyslog.conf", "-i", pid_file]);
        lab.until("rsyslog listens", || is_udp_bound(syslog).then_some(()));
        lab.write("haproxy.cfg", &filled(HAPROXY));
        lab.start("haproxy", &haproxy, &["-db", "-f", "haproxy.cfg"]);
        for port in [web, api] {
            let connects = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok().map(drop);
            lab.until("HAProxy listens", connects);
        }
        lab.until("HAProxy has found a server down, and rsyslog has written so", || {
            text(&log).contains("has no server available").then_some(())
        });
        let tailmeter = Self::start_tailmeter(&mut lab, &log);
        lab.write("prometheus.yml", &PROMETHEUS.replace("{tailmeter}", &tailmeter));
        let listen = format!("--web.listen-address=127.0.0.1:{prometheus_port}");
        let options = ["--config.file=prometheus.yml", "--storage.tsdb.path=tsdb", &listen];
        lab.start("prometheus", &prometheus, &options);
        let prometheus = Prometheus { port: prometheus_port };
        lab.until("Prometheus has scraped tailmeter", || prometheus.value(r#"up{job="tailmeter"} == 1"#, now()));
        lab.write("logrotate.conf", LOGROTATE);
        Self { lab, log, logrotate, zcat, prometheus, origins, ports: BTreeMap::from([("web", web), ("api", api)]) }
    }

    /// Returns the address that tailmeter says it serves on.
    fn start_tailmeter(lab: &mut Lab, log: &Path) -> String {
        let config = lab.write("tailmeter.yml", TAILMETER);
        let state = lab.path("state");
        let [config, state, log] = [&config, &state, log].map(|path| path.to_str().unwrap());
        let arguments = ["run", "--config", config, "--haproxy", log, "--listen", "127.0.0.1:0", "--state-dir", state];
        lab.start("tailmeter", env!("CARGO_BIN_EXE_tailmeter").as_ref(), &arguments);
        let output = lab.path("tailmeter.output");
        lab.until("tailmeter says where it listens", || {
            let output = text(&output);
            let (_, rest) = output.split_once("http://")?;
            rest.split_once("/metrics").map(|(address, _)| address.to_owned())
        })
    }

    /// Runs the clients for a window and some, with rotations meanwhile; then waits until Prometheus knows
    /// everything.
    pub(crate) fn drive(&mut self, clients: &[Client]) -> Truth {
        let traffic = Traffic::start(clients, &self.ports, &self.origins["c"]);
        let began = now();
        // The window begins when Prometheus has surely seen every series once.
        let length = LAG + WINDOW + 1.0;
        for rotation in 1..=ROTATIONS {
            let due = began + length * f64::from(rotation) / f64::from(ROTATIONS + 1);
            let log = &self.log;
            self.lab.until("lines in the file between two rotations", || {
                assert!(!traffic.has_failed(), "a client failed");
                (now() >= due && log.metadata().is_ok_and(|file| file.len() > 0)).then_some(())
            });
            self.rotate();
        }
        // The clients go on for a while after the window: its end is no different from its beginning.
        let window_end = began + length;
        self.lab.until("the end of the traffic", || {
            assert!(!traffic.has_failed(), "a client failed");
            (now() >= window_end + LAG).then_some(())
        });
        let book = traffic.stop();
        let written = self.wait_for_lines(book.len());
        self.wait_for_scrapes(written.lines().count(), window_end);
        Truth { book, window_end, written }
    }

    fn rotate(&self) {
        let run = Command::new(&self.logrotate)
            .args(["--force", "--state", "logrotate.state", "logrotate.conf"])
            .current_dir(self.log.parent().unwrap())
            .output()
            .expect("logrotate starts");
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success() && said.is_empty(), "logrotate: {said}");
    }

    /// Waits until rsyslog has written a line for each request; everything it has written then.
    fn wait_for_lines(&mut self, requests: usize) -> String {
        let (zcat, log) = (&self.zcat, &self.log);
        let waited = Instant::now();
        self.lab.until("a line for each request", || {
            let written = written(zcat, log);
            let lines = written.lines().filter(|line| is_about_request(line)).count();
            let is_late = waited.elapsed() > PATIENCE;
            assert!(!is_late, "{requests} requests, but {lines} lines about requests in the log");
            (lines >= requests).then_some(written)
        })
    }

    /// Waits until Prometheus has scraped all lines once, and then again: a scrape may meet a block of
    /// lines half way.
    fn wait_for_scrapes(&mut self, lines: usize, window_end: f64) {
        let prometheus = self.prometheus;
        let mut seen = 0.0;
        let waited = Instant::now();
        let all = self.lab.until("tailmeter has counted every line", || {
            seen = prometheus.value("sum(tailmeter_lines_total)", now()).unwrap_or(seen);
            let is_late = waited.elapsed() > PATIENCE;
            assert!(!is_late, "{lines} lines were written, tailmeter has counted {seen}");
            (seen >= lines as f64).then(now)
        });
        let after = all.max(window_end);
        self.lab.until("another scrape", || {
            let scraped = prometheus.value(r#"timestamp(up{job="tailmeter"})"#, now())?;
            (scraped > after).then_some(())
        });
    }
}

/// What stands in all generations of the log together.
fn written(zcat: &Path, log: &Path) -> String {
    let entries = log.parent().unwrap().read_dir().unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_generation = |path: &PathBuf| path.to_str().unwrap().starts_with(log.to_str().unwrap());
    let run = Command::new(zcat).arg("-f").args(paths.filter(is_generation)).output();
    let run = run.expect("zcat starts");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

/// True for a line that a request of a client left.
pub(crate) fn is_about_request(line: &str) -> bool {
    line.contains("]: 127.0.0.1:")
}
