//! Starting the program, and looking at it from outside.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Nothing takes this long unless it hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A line of each outcome, the last without its newline: three parsed, one ignored, one rejected.
pub(crate) const LOG: &str = "\
Feb  6 12:14:14 lb1 haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} \"GET /index.html?a=1 HTTP/1.1\"
Feb  6 12:12:56 lb1 haproxy[14387]: 10.0.1.2:33313 [06/Feb/2009:12:12:51.443] fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0
Feb  6 12:12:56 lb1 haproxy[14387]: Proxy http-in started.
secret 1234 of nobody
<134>Feb  6 12:12:56 haproxy[14387]: 10.0.1.2:33318 [15/Jul/2024:12:12:51.443] http-in http-in/<NOSRV> -1/-1/-1/-1/0 400 0 - - PR-- 1/1/0/0/0 0/0 \"<BADREQ>\"";

/// Its first line, with the newline.
pub(crate) fn request() -> String {
    format!("{}\n", LOG.lines().next().unwrap())
}

/// The program, without what the environment of the tests says to it. It has no usual place for its state.
pub(crate) fn tailmeter() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tailmeter"));
    for name in ["STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"] {
        command.env_remove(name);
    }
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TAILMETER_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// What a run of the program left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the program to its end.
pub(crate) fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ended {
    ended(tailmeter().args(arguments))
}

pub(crate) fn ended(command: &mut Command) -> Ended {
    let home = tempfile::tempdir().unwrap();
    let output = command.env("HOME", home.path()).output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs the program to its end with `input` as its standard input.
pub(crate) fn fed(arguments: &[&str], input: &[u8]) -> Ended {
    let mut child = tailmeter()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeding = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Polls `condition` until it holds.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < DEADLINE, "{what} did not happen");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for the end of `child`.
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let mut status = None;
    until("the end of the program", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

/// Sum of the samples of `metric` in `text`.
pub(crate) fn sum(text: &str, metric: &str) -> f64 {
    samples(text, metric).map(|(_, value)| value).sum()
}

/// Label block and value of each sample of `metric`.
pub(crate) fn samples<'a>(text: &'a str, metric: &'a str) -> impl Iterator<Item = (&'a str, f64)> + 'a {
    text.lines().filter_map(move |line| {
        let rest = line.strip_prefix(metric)?;
        let (labels, value) = rest.rsplit_once(' ')?;
        let is_sample = labels.is_empty() || labels.starts_with('{');
        is_sample.then(|| (labels, value.parse().unwrap()))
    })
}

/// Most memory that the process has had resident, in bytes.
pub(crate) fn peak_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<u64>().unwrap() * 1024
}

/// A running exporter, ended when dropped.
pub(crate) struct Exporter {
    pub(crate) child: Child,
    /// Address and port.
    pub(crate) address: String,
    /// What it said before it was ready.
    pub(crate) said: Vec<String>,
    lines: Receiver<String>,
    /// Where it keeps its state unless it is told otherwise.
    _home: TempDir,
}

/// The content of `chunks`; `None` unless all are there.
pub(crate) fn unchunked(mut chunks: &str) -> Option<String> {
    let mut content = String::new();
    loop {
        let (length, rest) = chunks.split_once("\r\n")?;
        let (chunk, rest) = rest.split_at_checked(usize::from_str_radix(length, 16).ok()?)?;
        content += chunk;
        chunks = rest.strip_prefix("\r\n")?;
        if chunk.is_empty() {
            return Some(content);
        }
    }
}

impl Exporter {
    /// Starts `tailmeter run` with `arguments` on a free port, and waits until it serves.
    pub(crate) fn start<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Self {
        let mut command = tailmeter();
        command.args(["run", "--listen", "127.0.0.1:0"]);
        Self::started(command.args(arguments))
    }

    pub(crate) fn started(command: &mut Command) -> Self {
        let home = tempfile::tempdir().unwrap();
        command.env("HOME", home.path());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (send, lines) = channel();
        thread::spawn(move || {
            for line in stderr.lines() {
                if send.send(line.unwrap()).is_err() {
                    break;
                }
            }
        });
        let mut exporter = Self { child, address: String::new(), said: Vec::new(), lines, _home: home };
        while exporter.address.is_empty() {
            let line = exporter.says();
            let url = line.strip_prefix("http://");
            if let Some(address) = url.and_then(|url| url.strip_suffix("/metrics")) {
                exporter.address = address.to_owned();
            } else {
                exporter.said.push(line);
            }
        }
        exporter
    }

    /// The next line on its standard error.
    pub(crate) fn says(&self) -> String {
        let line = self.lines.recv_timeout(DEADLINE);
        line.expect("the exporter says something more")
    }

    /// Head and body of the answer to a GET.
    pub(crate) fn get(&self, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        if !head.contains("\r\ntransfer-encoding: chunked") {
            return (head.to_owned(), body.to_owned());
        }
        (head.to_owned(), unchunked(body).expect("a whole answer"))
    }

    pub(crate) fn metrics(&self) -> String {
        self.get("/metrics").1
    }

    /// Waits until `metric` sums up to `value`, and returns that scrape.
    pub(crate) fn until_sum(&self, metric: &str, value: f64) -> String {
        let mut text = String::new();
        let started = Instant::now();
        while sum(&text, metric) != value {
            assert!(started.elapsed() < DEADLINE, "{metric} is {} and not {value}\n{text}", sum(&text, metric));
            thread::sleep(Duration::from_millis(5));
            text = self.metrics();
        }
        text
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(kill.unwrap().success());
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Appends to a file, as a log writer does.
pub(crate) fn append(path: &Path, text: &str) {
    let mut file = std::fs::File::options().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
