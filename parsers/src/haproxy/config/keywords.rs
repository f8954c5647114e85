//! The keywords of proxies and `defaults` that the log depends on (`cfg_parse_listen` in HAProxy's `cfgparse-listen.c`).
//! Where a keyword is given again, the last one counts.

use super::proxy::{Bind, Capture, Mode, Proxy};
use super::reader::{Line, Notes};
use super::target::{self, Target, decimal};
use super::{Format, LogFormat, Word};

/// Servers of all proxies that are kept, at most.
const SERVERS: usize = 65_536;

/// How many servers there are.
#[derive(Default)]
pub(super) struct Servers {
    count: usize,
}

/// Keywords of `bind` that a value follows.
const BIND_VALUES: [&str; 55] = [
    "alpn",
    "backlog",
    "ca-file",
    "ca-ignore-err",
    "ca-sign-file",
    "ca-sign-pass",
    "ca-verify-file",
    "cc",
    "ciphers",
    "ciphersuites",
    "client-sigalgs",
    "crl-file",
    "crt",
    "crt-ignore-err",
    "crt-list",
    "curves",
    "default-crt",
    "ecdhe",
    "ecdh",
    "expose-fd",
    "gid",
    "group",
    "guid-prefix",
    "id",
    "idle-ping",
    "interface",
    "ktls",
    "label",
    "level",
    "maxconn",
    "mode",
    "mss",
    "namespace",
    "nbconn",
    "nice",
    "npn",
    "ocsp-update",
    "process",
    "proto",
    "quic-cc-algo",
    "quic-socket",
    "severity-output",
    "shards",
    "sigalgs",
    "ssl-max-ver",
    "ssl-min-ver",
    "tcp-md5sig",
    "tcp-ss",
    "tcp-ut",
    "thread",
    "tls-ticket-keys",
    "uid",
    "user",
    "verify",
    "generate-certificates-file",
];

/// Reads a line of `proxy`, which is a `defaults` section if `is_defaults`. `globals` has the targets of `global` so far.
pub(super) fn read(
    line: &Line<'_>,
    proxy: &mut Proxy,
    is_defaults: bool,
    globals: &[Target],
    servers: &mut Servers,
    notes: &mut Notes,
) {
    match line.text(0) {
        b"mode" => mode(line, proxy, notes),
        b"disabled" => proxy.is_disabled = true,
        b"enabled" => proxy.is_disabled = false,
        b"option" => option(line, proxy, is_defaults, notes),
        b"log" => target::read(line, &mut proxy.targets, Some(globals), notes),
        b"log-format" => {
            let place = line.place(0);
            if let Some(word) = only_word(line, notes).filter(|_| is_logged(line, proxy, notes)) {
                set_format(line, proxy, is_defaults, LogFormat { format: Format::Custom(word), place }, notes);
            }
        }
        b"error-log-format" => {
            if let Some(word) = only_word(line, notes).filter(|_| is_logged(line, proxy, notes)) {
                proxy.error_log_format = Some(word);
            }
        }
        b"log-format-sd" => {
            if let Some(word) = only_word(line, notes).filter(|_| is_logged(line, proxy, notes)) {
                proxy.log_format_sd = Some(word);
            }
        }
        b"unique-id-format" => proxy.unique_id_format = only_word(line, notes).or(proxy.unique_id_format.take()),
        b"unique-id-header" => proxy.unique_id_header = Some(line.text(1).to_vec()),
        b"log-tag" => match line.word(1) {
            Some(tag) => proxy.log_tag = Some(tag.clone()),
            None => notes.mistake(line.place(0), "log-tag needs a tag"),
        },
        b"log-steps" => {
            proxy.log_steps = Some(line.text(1).split(|byte| *byte == b',').map(<[u8]>::to_vec).collect());
        }
        b"capture" => capture(line, proxy, is_defaults, notes),
        b"declare" => declare(line, proxy, is_defaults, notes),
        b"http-request" | b"http-response" | b"http-after-response" | b"tcp-request" => rule(line, proxy, notes),
        b"bind" => bind(line, proxy),
        b"default_backend" => proxy.default_backend = Some(line.text(1).to_vec()).filter(|name| !name.is_empty()),
        b"use_backend" => use_backend(line, proxy),
        b"server" => add_server(line, proxy, line.text(1).to_vec(), servers, notes),
        b"server-template" => server_template(line, proxy, servers, notes),
        b"stats" => add_applet(proxy, b"<STATS>".to_vec()),
        _ => {}
    }
}

fn mode(line: &Line<'_>, proxy: &mut Proxy, notes: &mut Notes) {
    proxy.mode = match line.text(1) {
        b"tcp" => Mode::Tcp,
        b"http" => Mode::Http,
        b"log" => Mode::Log,
        b"spop" => Mode::Spop,
        _ => {
            notes.warn(line.place(1), "this mode is not known here");
            Mode::Other
        }
    };
}

/// The argument of a keyword that has exactly one: a format.
fn only_word(line: &Line<'_>, notes: &mut Notes) -> Option<Word> {
    let keyword = String::from_utf8_lossy(line.text(0));
    if line.text(1).is_empty() {
        notes.mistake(line.place(1), format!("{keyword} needs a format"));
        return None;
    }
    if !line.text(2).is_empty() {
        let message = format!("{keyword} has one argument: put it in quotes, or a backslash before each space");
        notes.mistake(line.place(2), message);
        return None;
    }
    line.word(1).cloned()
}

/// False for backends: their sessions are logged by frontends.
fn is_logged(line: &Line<'_>, proxy: &Proxy, notes: &mut Notes) -> bool {
    let is_logged = proxy.kind.takes_connections();
    if !is_logged {
        notes.remark(line.place(0), "this has no effect in a backend");
    }
    is_logged
}

fn set_format(line: &Line<'_>, proxy: &mut Proxy, is_defaults: bool, format: LogFormat, notes: &mut Notes) {
    if let Some(before) = proxy.log_format.replace(format).filter(|_| is_defaults) {
        notes.remark(line.place(0), format!("this takes the place of {} above", before.format.as_str()));
    }
}

fn option(line: &Line<'_>, proxy: &mut Proxy, is_defaults: bool, notes: &mut Notes) {
    let name = line.text(1);
    let is_clf = match (name, line.text(2)) {
        (b"httplog" | b"tcplog", b"clf") => true,
        (b"httplog" | b"tcplog" | b"httpslog", b"") => false,
        (b"httplog" | b"tcplog" | b"httpslog", _) => return notes.mistake(line.place(2), "only clf may stand here"),
        _ => return switch(line, proxy),
    };
    if !line.is_plain() {
        return notes.mistake(line.place(0), "no and default do not work with formats");
    }
    let format = match (name, is_clf) {
        (b"httplog", false) => Format::HttpLog,
        (b"httplog", true) => Format::HttpLogClf,
        (b"tcplog", false) => Format::TcpLog,
        (b"tcplog", true) => Format::TcpLogClf,
        _ => Format::HttpsLog,
    };
    if is_logged(line, proxy, notes) {
        set_format(line, proxy, is_defaults, LogFormat { format, place: line.place(0) }, notes);
    }
}

/// Options that are on or off. `default` makes them what they are without a line: off.
fn switch(line: &Line<'_>, proxy: &mut Proxy) {
    let takes_connections = proxy.kind.takes_connections();
    let switch = match line.text(1) {
        b"dontlognull" => &mut proxy.dontlognull,
        b"dontlog-normal" => &mut proxy.dontlog_normal,
        b"log-separate-errors" => &mut proxy.log_separate_errors,
        b"logasap" => &mut proxy.logasap,
        b"socket-stats" => &mut proxy.socket_stats,
        b"log-health-checks" if proxy.kind.has_servers() => {
            proxy.log_health_checks = line.is_plain();
            return;
        }
        _ => return,
    };
    if takes_connections {
        *switch = line.is_plain();
    }
}

/// `capture cookie NAME len N`, `capture request|response header NAME len N`
fn capture(line: &Line<'_>, proxy: &mut Proxy, is_defaults: bool, notes: &mut Notes) {
    let (name, length) = match (line.text(1), line.text(2)) {
        (b"cookie", _) => (2, 4),
        (b"request" | b"response", b"header") => (3, 5),
        _ => return notes.mistake(line.place(1), "capture has cookie, request header or response header"),
    };
    let Some(bytes) = decimal(line.text(length)).filter(|_| line.text(length - 1) == b"len") else {
        return notes.mistake(line.place(length - 1), "the length of a capture is missing: len and a number of bytes");
    };
    if is_defaults {
        return notes.mistake(line.place(0), "captures stand in frontends only");
    }
    let capture = Capture { name: Some(line.text(name).to_vec()), length: bytes, place: line.place(0) };
    match line.text(1) {
        b"cookie" => proxy.cookie_capture = Some(capture),
        b"request" => proxy.request_captures.push(capture),
        _ => proxy.response_captures.push(capture),
    }
}

/// `declare capture request|response len N`
fn declare(line: &Line<'_>, proxy: &mut Proxy, is_defaults: bool, notes: &mut Notes) {
    let slots = match (line.text(1), line.text(2)) {
        (b"capture", b"request") => &mut proxy.request_captures,
        (b"capture", b"response") => &mut proxy.response_captures,
        _ => return notes.mistake(line.place(1), "declare has capture request or capture response"),
    };
    let Some(length) = decimal(line.text(4)).filter(|length| *length > 0 && line.text(3) == b"len") else {
        return notes.mistake(line.place(3), "the length of a capture is missing: len and a number of bytes");
    };
    if is_defaults {
        return notes.mistake(line.place(0), "captures stand in frontends only");
    }
    slots.push(Capture { name: None, length, place: line.place(0) });
}

/// `http-request capture SAMPLE len N` makes a slot; `id N` fills one. Services and the cache stand in the place of servers.
fn rule(line: &Line<'_>, proxy: &mut Proxy, notes: &mut Notes) {
    let (action, is_request) = match (line.text(0), line.text(1)) {
        (b"tcp-request", b"content") => (2, true),
        (b"tcp-request", _) => return,
        (b"http-request", _) => (1, true),
        _ => (1, false),
    };
    // `http-request use-service lua.x` and `cache-use x` are words of their own in every version.
    match line.text(action) {
        b"capture" => {}
        b"use-service" => {
            let applet = match line.text(action + 1) {
                b"prometheus-exporter" => b"<PROMEX>".to_vec(),
                service => [b"<", service, b">"].concat(),
            };
            return add_applet(proxy, applet);
        }
        b"cache-use" => return add_applet(proxy, b"<CACHE>".to_vec()),
        _ => return,
    }
    let sample = action + 1;
    // Converters of a sample may be words of their own.
    let is_end = |index: &usize| matches!(line.text(*index), b"len" | b"id");
    let Some(end) = (sample + 1..line.len()).find(is_end) else {
        return notes
            .mistake(line.place(sample), "a capture needs len and a number of bytes, or id and that of a slot");
    };
    let number = decimal(line.text(end + 1));
    let name = header_of(line.text(sample));
    let slots = if is_request { &mut proxy.request_captures } else { &mut proxy.response_captures };
    match (line.text(end), number) {
        (b"len", Some(length)) if length > 0 && is_request => {
            slots.push(Capture { name, length, place: line.place(0) });
        }
        (b"id", Some(id)) => {
            // A slot of the frontend can be filled in a backend, too: then this proxy does not have it.
            if let Some(slot) = slots.get_mut(id as usize) {
                slot.name = slot.name.take().or(name);
            }
        }
        _ => notes.mistake(line.place(end), "a capture needs len and a number of bytes, or id and that of a slot"),
    }
}

/// The header that a sample fetches: `Host` of `req.hdr(Host),lower`.
fn header_of(sample: &[u8]) -> Option<Vec<u8>> {
    let fetches: [&[u8]; 7] = [b"req.hdr(", b"req.fhdr(", b"hdr(", b"fhdr(", b"res.hdr(", b"res.fhdr(", b"shdr("];
    let argument = fetches.iter().find_map(|fetch| sample.strip_prefix(*fetch))?;
    let length = argument.iter().position(|byte| matches!(byte, b',' | b')'))?;
    let name = argument.get(..length)?.trim_ascii();
    let name = name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")).unwrap_or(name);
    (!name.is_empty()).then(|| name.to_vec())
}

fn bind(line: &Line<'_>, proxy: &mut Proxy) {
    let addresses = line.text(1).to_vec();
    let is_quic = addresses.starts_with(b"quic4@") || addresses.starts_with(b"quic6@");
    let mut bind = Bind { addresses, name: None, id: None, is_tls: is_quic, place: line.place(0) };
    let mut at = 2;
    while at < line.len() {
        let word = line.text(at);
        match word {
            b"ssl" => bind.is_tls = true,
            b"name" => bind.name = Some(line.text(at + 1).to_vec()),
            b"id" => bind.id = decimal(line.text(at + 1)),
            _ => {}
        }
        let has_value = word == b"name" || BIND_VALUES.iter().any(|known| known.as_bytes() == word);
        at += 1 + usize::from(has_value);
    }
    proxy.binds.push(bind);
}

fn use_backend(line: &Line<'_>, proxy: &mut Proxy) {
    let name = line.text(1);
    if name.contains(&b'%') {
        proxy.computes_backend = true;
    } else if !proxy.use_backends.iter().any(|known| known == name) {
        proxy.use_backends.push(name.to_vec());
    }
}

fn add_applet(proxy: &mut Proxy, applet: Vec<u8>) {
    if !proxy.applets.contains(&applet) {
        proxy.applets.push(applet);
    }
}

fn add_server(line: &Line<'_>, proxy: &mut Proxy, name: Vec<u8>, servers: &mut Servers, notes: &mut Notes) {
    if !proxy.kind.has_servers() || name.is_empty() {
        return;
    }
    servers.count += 1;
    proxy.has_unsure_servers |= servers.count > SERVERS;
    if servers.count <= SERVERS {
        proxy.servers.push(name);
    } else if servers.count == SERVERS + 1 {
        notes.remark(
            line.place(0),
            format!("there are more than {SERVERS} servers: the names of the others are not kept"),
        );
    }
}

/// `server-template PREFIX NUMBER|LOW-HIGH …`
fn server_template(line: &Line<'_>, proxy: &mut Proxy, servers: &mut Servers, notes: &mut Notes) {
    let (prefix, range) = (line.text(1), line.text(2));
    let dash = memchr::memchr(b'-', range);
    let number = |digits: Option<&[u8]>| decimal(digits?);
    let bounds = match dash {
        Some(dash) => number(range.get(..dash)).zip(number(range.get(dash + 1..))),
        None => Some(1).zip(number(Some(range))),
    };
    let Some((low, high)) = bounds.filter(|(low, high)| low <= high) else {
        return notes
            .mistake(line.place(2), "a server-template has a number of servers, or the first and the last number");
    };
    for number in low..=high {
        add_server(line, proxy, [prefix, number.to_string().as_bytes()].concat(), servers, notes);
        if servers.count > SERVERS {
            break;
        }
    }
}
