//! One HAProxy with a frontend for each format, and the lines that it logs.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::net::sockopt;

use crate::catalogue::{EXPRESSIONS, Mode};
use crate::format::{Dialect, Format};
use crate::lab::{Lab, free_ports};
use crate::random::Random;

/// Asked for, so that no line is lost while this test is not scheduled; the kernel may give less.
const RECEIVE_BUFFER_BYTES: usize = 8 << 20;

/// The longest datagram.
const LONGEST: usize = 65_536;

/// HAProxy's name among the lab's programs.
const NAME: &str = "haproxy";

const GLOBAL: &str = "
global
    log {log} len 65535 format raw local0
    nbthread 1
    maxconn 2000
    tune.http.cookielen 100
    hard-stop-after 10s
";

const DEFAULTS: &str = "
defaults
    mode {mode}
    log global
    retries 1
    option redispatch 1
    timeout connect 50ms
    timeout queue 50ms
    timeout client 300ms
    timeout server 200ms
    timeout tunnel 200ms
    timeout tarpit 50ms
    timeout http-request 100ms
    timeout http-keep-alive 100ms
    unique-id-format '%pid/%rt %ts'
";

const BACKENDS: &str = "
backend web-{mode}
    server w1 {origin}

backend down-{mode}
    server d1 {nobody}
    server d2 {nobody_else}

backend none-{mode}
";

/// A backend with cookies of its own.
const STICKY: &str = "
backend sticky
    cookie SERVED insert indirect
    server s1 {origin} cookie one
    server s2 {origin} cookie two
";

/// What each HTTP frontend does beside logging.
const HTTP_RULES: &str = "
    option accept-invalid-http-request
    stats enable
    stats uri /stats
    http-request set-var(txn.agent) req.hdr(user-agent)
    http-request set-var(txn.host) req.hdr(host)
    http-request set-var(txn.path) path
    http-request set-var(txn.query) query
    http-request set-var(txn.cookies) req.hdr(cookie)
    http-request set-var(txn.number) req.hdr_cnt(x-one)
    http-request set-var(txn.flag) bool(true)
    http-request set-var(txn.binary) req.hdr(user-agent),sha1
    http-request redirect location /elsewhere if { path /redirect }
    http-request deny if { path /deny }
    http-request return status 204 if { path /return }
    http-request tarpit if { path /tarpit }
    use_backend none-http if { path /none }
    use_backend down-http if { path /down }
    use_backend sticky if { path /sticky }
    default_backend web-http
";

/// A proxy of the configuration, and how clients reach it.
pub(crate) struct Frontend {
    pub(crate) mode: Mode,
    /// A Unix socket; `None` when its format cannot be written for such clients.
    pub(crate) unix: Option<PathBuf>,
    pub(crate) tcp: SocketAddr,
    /// A Unix socket that wants the PROXY protocol.
    pub(crate) proxied: PathBuf,
    /// The same with TLS.
    pub(crate) tls: Option<PathBuf>,
}

/// Asks HAProxy for its version, and which of the expressions it accepts.
pub(crate) fn dialect(program: &Path) -> Dialect {
    let output = Command::new(program).arg("-v").output().unwrap_or_else(|error| panic!("{program:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = said.strip_prefix("HAProxy version ").unwrap_or_else(|| panic!("{said}"));
    let mut numbers = version.split('.').map_while(|number| number.parse().ok());
    let version = (numbers.next().unwrap(), numbers.next().unwrap());
    let lab = Lab::new();
    let mut expressions = Vec::new();
    for (mode, name) in [(Mode::Http, "http"), (Mode::Tcp, "tcp")] {
        let mut configuration = DEFAULTS.replace("{mode}", name);
        let first = configuration.lines().count() + 1;
        for (number, expression) in EXPRESSIONS.iter().enumerate() {
            writeln!(configuration, "frontend f{number}\n log-format '%[{expression}]'").unwrap();
        }
        let said = check(&lab, program, &configuration);
        let is_wrong = |number: usize| said.contains(&format!("[haproxy.cfg:{}]", first + 2 * number + 1));
        let accepted = EXPRESSIONS.iter().enumerate().filter(|(number, _)| !is_wrong(*number));
        expressions.extend(accepted.map(|(_, expression)| (mode, *expression)));
    }
    Dialect { version, expressions }
}

/// What `haproxy -c` says.
fn check(lab: &Lab, program: &Path, configuration: &str) -> String {
    let path = lab.write("haproxy.cfg", configuration);
    let mut check = Command::new(program);
    let output = check.args(["-c", "-f", "haproxy.cfg"]).current_dir(path.parent().unwrap()).output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// Starts HAProxy with a frontend for each format.
pub(crate) fn start(
    lab: &mut Lab,
    random: &mut Random,
    program: &Path,
    formats: &[Format],
    log: &Log,
    origin: SocketAddr,
) -> Vec<Frontend> {
    let [port, nobody, nobody_else] = free_ports();
    let mut configuration = GLOBAL.replace("{log}", &log.address.to_string());
    let mut frontends = Vec::new();
    for (mode, name) in [(Mode::Http, "http"), (Mode::Tcp, "tcp")] {
        let sections = [DEFAULTS, BACKENDS, if mode == Mode::Http { STICKY } else { "" }].concat();
        let sections = sections.replace("{mode}", name).replace("{origin}", &origin.to_string());
        let address = |port: u16| format!("127.0.0.1:{port}");
        configuration +=
            &sections.replace("{nobody}", &address(nobody)).replace("{nobody_else}", &address(nobody_else));
        for (number, format) in formats.iter().enumerate().filter(|(_, format)| format.mode == mode) {
            let is_tls = random.one_in(3);
            let frontend = frontend(lab, number, format, port, is_tls);
            configuration += &section(random, number, format, &frontend);
            frontends.push(frontend);
        }
    }
    let said = check(lab, program, &configuration);
    assert!(!said.contains("ALERT"), "HAProxy refuses a configuration:\n{said}");
    let file = lab.write("haproxy.cfg", &configuration);
    lab.start(NAME, program, &["-db", "-f", file.to_str().unwrap()]);
    let last = &frontends.last().expect("formats").proxied;
    lab.until("HAProxy listens", || last.exists().then_some(()));
    frontends
}

/// Lets HAProxy end what it has begun, and waits until it is gone: then it has logged everything.
pub(crate) fn stop(lab: &mut Lab) {
    lab.end(NAME, rustix::process::Signal::USR1);
}

fn frontend(lab: &Lab, number: usize, format: &Format, port: u16, is_tls: bool) -> Frontend {
    // Addresses of its own on loopback: one free port is enough for all frontends.
    let [high, low] = u16::try_from(number + 2).unwrap().to_be_bytes();
    Frontend {
        mode: format.mode,
        unix: (!format.needs_addresses()).then(|| lab.path(&format!("u{number}"))),
        tcp: (Ipv4Addr::new(127, 88, high, low), port).into(),
        proxied: lab.path(&format!("p{number}")),
        tls: is_tls.then(|| lab.path(&format!("s{number}"))),
    }
}

fn section(random: &mut Random, number: usize, format: &Format, frontend: &Frontend) -> String {
    let name = *random.pick(&["f", "www.example.net-", "a:b_"]);
    let mut text = format!("\nfrontend {name}{number}\n");
    let mut say = |line: &str| writeln!(text, "    {line}").unwrap();
    say(&format!("bind {}", frontend.tcp));
    if let Some(path) = &frontend.unix {
        say(&format!("bind unix@{}", path.display()));
    }
    if let Some(path) = &frontend.tls {
        say(&format!("bind unix@{} accept-proxy ssl crt server.pem", path.display()));
    }
    let with_truth = format.with_truth(number);
    say(&format!("log-format '{with_truth}'"));
    if random.one_in(2) {
        say(&format!("error-log-format '{with_truth}'"));
    }
    if random.one_in(6) {
        say("option logasap");
    }
    match format.mode {
        Mode::Http => {
            for header in ["X-One", "X-Two", "X-Three"].iter().take(random.below(4)) {
                say(&format!("capture request header {header} len {}", random.pick(&[5, 200])));
            }
            for header in ["X-Four", "X-Five"].iter().take(random.below(3)) {
                say(&format!("capture response header {header} len {}", random.pick(&[5, 200])));
            }
            if random.one_in(2) {
                say(&format!("capture cookie SID len {}", random.pick(&[8, 100])));
            }
        }
        Mode::Tcp => {
            if random.one_in(2) {
                say("tcp-request inspect-delay 50ms");
                say("tcp-request content capture req.payload(0,12) len 40");
            }
            say(&format!("default_backend {}-tcp", random.pick(&["web", "web", "web", "down", "none"])));
        }
    }
    // The last: when its socket is there, all others are.
    let bind = format!("bind unix@{} accept-proxy", frontend.proxied.display());
    if format.mode == Mode::Http {
        text += HTTP_RULES;
    }
    writeln!(text, "    {bind}").unwrap();
    text
}

/// Receives what HAProxy logs.
pub(crate) struct Log {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    receiver: JoinHandle<Vec<Vec<u8>>>,
}

impl Log {
    pub(crate) fn new() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        if sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER_BYTES).is_err() {
            sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER_BYTES).unwrap();
        }
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let address = socket.local_addr().unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let receiver = {
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || receive(&socket, &is_over))
        };
        Self { address, is_over, receiver }
    }

    /// All lines, once HAProxy has ended.
    pub(crate) fn lines(self) -> Vec<Vec<u8>> {
        self.is_over.store(true, Relaxed);
        self.receiver.join().unwrap()
    }
}

/// Datagrams until it is over and none is left: what was sent on loopback has arrived.
fn receive(socket: &UdpSocket, is_over: &AtomicBool) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    let mut datagram = vec![0; LONGEST];
    loop {
        let was_over = is_over.load(Relaxed);
        match socket.recv(&mut datagram) {
            Ok(length) => {
                let line = &datagram[..length];
                lines.push(line.strip_suffix(b"\n").unwrap_or(line).to_vec());
            }
            Err(_) if was_over => return lines,
            Err(_) => {}
        }
    }
}
