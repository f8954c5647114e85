//! What a real HAProxy writes for every alias, under several flags, held against its grammar: every byte of a value is
//! one that it may hold, quotes stand where they are said to, and what is missing looks as it is said to.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tailmeter_parsers::haproxy::format::alias::ALIASES;
use tailmeter_parsers::haproxy::format::{Grammar, Item, Missing, lex};

/// Flags that the whole format is written with.
const FLAGS: &[&str] = &["+M", "+Q", "+X", "+E", "-M", "+Q,+E", "+Q,+X,-M"];

/// Expressions beside the aliases. HAProxy has no fetch of the request in a log, only what was kept of it.
const EXPRESSIONS: &[&str] = &[
    "%[src]",
    "%[src_port]",
    "%[capture.req.uri]",
    "%[capture.req.method]",
    "%[capture.req.ver]",
    "%[capture.req.hdr(0)]",
    "%[capture.req.hdr(1),json]",
    "%[capture.req.hdr(1),url_enc]",
    "%[capture.req.hdr(1),base64]",
    "%[capture.req.hdr(1),hex]",
    "%[capture.req.hdr(2)]",
    "%[capture.req.hdr(0),length]",
    "%[var(txn.none)]",
    "%[fe_name]",
    "%[be_name]",
    "%[srv_name]",
    "%[fc_err]",
    "%[ssl_fc_err,hex]",
    "%[ssl_fc_is_resumed]",
    "%[ssl_fc_sni]",
    "%[fe_conn]",
    "%[src,ipmask(24)]",
    "%[unique-id]",
    "%[hostname]",
    "%[src,table_conn_cnt(none)]",
];

/// Requests: usual, without a query, refused by the server, malformed, for the statistics page, empty.
const REQUESTS: &[&str] = &[
    "GET /ok/a?b=\"c\"&d=[e]{f}#g HTTP/1.1\r\nconnection: close\r\nhost: a {b}|c\r\nx-text: q\"uote\\ ]#1 \u{e9}\tx\r\ncookie: a=\"v;w\" x\r\n\r\n",
    "POST /ok HTTP/1.0\r\ncontent-length: 0\r\n\r\n",
    "GET /dead?x HTTP/1.1\r\nconnection: close\r\nhost: h\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nconnection: close\r\nhost: h\r\n\r\n",
    "GET http://host/ok?q HTTP/1.1\r\nconnection: close\r\nhost: host\r\n\r\n",
    "GET /stats HTTP/1.1\r\nconnection: close\r\nhost: h\r\n\r\n",
    "NONSENSE\r\n\r\n",
    "",
];

/// Stands between two values; no grammar but that of raw text holds it, and no request here.
const SEPARATOR: char = '\u{1}';

fn pieces() -> Vec<String> {
    let aliases = ALIASES.iter().filter(|alias| alias.since == "2.4").map(|alias| format!("%{}", alias.letters));
    aliases.chain(EXPRESSIONS.iter().map(|text| (*text).to_owned())).collect()
}

fn config(ports: &[u16]) -> String {
    let mut config = "global\n log stdout len 16384 format raw daemon\n".to_owned();
    config += "defaults\n mode http\n log global\n timeout client 100ms\n timeout server 2s\n timeout connect 1s\n \
               unique-id-format %pid-%rt\n";
    for (index, (port, flags)) in ports.iter().zip(FLAGS).enumerate() {
        // The flags' place comes first: HAProxy may log a session after it has answered the next one.
        let format = format!("{index}{SEPARATOR}%{{{flags}}}o{}", pieces().join(&SEPARATOR.to_string()));
        writeln!(
            config,
            "frontend www.{port}\n bind 127.0.0.1:{port}\n log-format '{format}'\n \
             capture cookie a len 32\n capture request header host len 32\n capture request header x-text len 64\n \
             capture request header x-none len 8\n capture response header x-reply len 8\n stats uri /stats\n \
             http-request return status 200 hdr x-reply yes if {{ path_beg /ok }}\n default_backend dead"
        )
        .unwrap();
    }
    config
        + "backend dead\n retries 0\n server s1 127.0.0.1:1\nbackend none\n stick-table type ip size 10 store conn_cnt\n"
}

/// Asks once; the answer does not matter, but it is awaited.
fn ask<S: Read + Write>(connect: impl Fn() -> std::io::Result<S>, request: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut stream = loop {
        match connect() {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < deadline, "haproxy does not listen: {error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    stream.write_all(request.as_bytes()).unwrap();
    // HAProxy closes: at the end, or when a timeout of its own is over. A reset is an answer, too.
    let _ = stream.read_to_end(&mut Vec::new());
}

/// A program that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What HAProxy logs under `config` while `drive` goes on, line by line.
fn run(config: &str, drive: impl FnOnce()) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("haproxy.cfg");
    std::fs::write(&path, config).unwrap();
    let haproxy =
        Command::new("haproxy").args(["-db", "-f"]).arg(&path).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut haproxy = Running(haproxy.expect("haproxy is installed"));
    let mut stdout = haproxy.0.stdout.take().unwrap();
    let output = std::thread::spawn(move || {
        let mut output = Vec::new();
        stdout.read_to_end(&mut output).map(|_| output)
    });
    drive();
    // It ends when its last session has been logged.
    kill_process(Pid::from_child(&haproxy.0), Signal::USR1).unwrap();
    assert!(haproxy.0.wait().unwrap().success());
    let output = output.join().unwrap().unwrap();
    // It also tells of its proxies that they stop.
    let is_ours = |line: &&[u8]| !line.is_empty() && !line.starts_with(b"Proxy ");
    output.split(|byte| *byte == b'\n').filter(is_ours).map(<[u8]>::to_vec).collect()
}

/// Why `value` is none that `item` writes; nothing when it is one.
fn complaint(item: &Item, grammar: Grammar, value: &[u8]) -> Option<String> {
    let missing = match item.missing() {
        Missing::Never | Missing::Null => None,
        Missing::Dash => Some(&b"-"[..]),
        Missing::Quotes => Some(&b"\"\""[..]),
        Missing::Nothing => Some(&b""[..]),
    };
    if missing == Some(value) {
        return None;
    }
    let inside = match value {
        [b'"', inside @ .., b'"'] if item.is_quoted() => inside,
        _ if item.is_quoted() => return Some("no quotes".to_owned()),
        [] => return Some("empty".to_owned()),
        _ => value,
    };
    let wrong = inside.iter().find(|byte| !grammar.may_hold(**byte, item.flags));
    wrong.map(|byte| format!("{:?} inside", char::from(*byte)))
}

#[test]
fn values_fit_their_grammar() {
    let listeners = FLAGS.iter().map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect::<Vec<_>>();
    let ports = listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect::<Vec<_>>();
    drop(listeners);
    let lines = run(&config(&ports), || {
        for request in REQUESTS {
            ports.iter().for_each(|port| ask(|| TcpStream::connect(("127.0.0.1", *port)), request));
        }
    });
    assert_eq!(lines.len(), FLAGS.len() * REQUESTS.len(), "a line for every request");
    let pieces = pieces();
    let mut complaints = BTreeSet::new();
    let mut absent = BTreeSet::new();
    for line in &lines {
        let mut values = line.split(|byte| *byte == SEPARATOR as u8).collect::<Vec<_>>();
        let flags = FLAGS[std::str::from_utf8(values.remove(0)).unwrap().parse::<usize>().unwrap()];
        assert_eq!(values.len(), pieces.len(), "{flags} {}", String::from_utf8_lossy(line));
        for (piece, value) in pieces.iter().zip(values) {
            let format = lex(&format!("%{{{flags}}}o{piece}")).unwrap();
            let [item] = format.items.as_slice() else { panic!("{piece}: {format:?}") };
            let grammar = item.grammar().unwrap();
            if let Some(why) = complaint(item, grammar, value) {
                complaints.insert(format!("{flags} {piece} {grammar:?}: {why}: {}", String::from_utf8_lossy(value)));
            }
            if matches!(value, b"-" | b"\"\"" | b"") {
                absent.insert(piece.clone());
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.into_iter().collect::<Vec<_>>().join("\n"));
    for piece in ["%CC", "%CS", "%HQ", "%HPO", "%si", "%sslv", "%[var(txn.none)]", "%[capture.req.hdr(2)]"] {
        assert!(absent.contains(piece), "{piece} was never missing");
    }
}

#[test]
fn an_address_without_hexadecimal_form_ends_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let config = format!(
        "global\n log stdout format raw daemon\nfrontend www\n mode http\n log global\n timeout client 1s\n bind unix@{}\n \
         log-format '%ci:%cp %{{+X}}ci:%cp'\n http-request return status 200\n",
        socket.display()
    );
    let lines = run(&config, || {
        ask(|| UnixStream::connect(&socket), REQUESTS[1]);
    });
    assert_eq!(lines, [b"unix:1 ".to_vec()]);
}
