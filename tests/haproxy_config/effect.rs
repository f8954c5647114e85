//! What HAProxy writes is what the reader says: every frontend of a tricky configuration is asked once, and its lines are
//! compared.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::Duration;

use tailmeter_parsers::haproxy::config::{Capture, Config, Format, Header, Process, Proxy, read};
use tailmeter_parsers::haproxy::{self, Event};

use crate::lab::{Lab, find};
use crate::program::facts;

/// Formats, their inheritance, and quoting. Formats of literals only begin with the name of their frontend, as no other does.
const FORMATS: &str = r#"
global
    setenv SITE "east  side"
    log {directory}/log format raw local0
    log-tag "the tag"

defaults base
    mode http
    log global
    option httplog
    timeout client 5s
    timeout server 5s
    timeout connect 5s
    log-tag base\ tag

frontend f1
    log global
    bind {directory}/f1
    http-request return status 200
frontend f2
    bind {directory}/f2
    log-format "f2 $HOME-'\x41'\ # $SITE" # comment
    http-request return status 200
frontend f3
    bind {directory}/f3
    log-format first
    option httpslog
    log-format f3\ last\#wins\ '"'\$x"${NONE-no ne}"
    http-request return status 200
frontend f4
    bind {directory}/f4
    log-format f4
    option httplog clf
    log {directory}/log format local local1
    http-request return status 200

defaults other from base
    log-format "inherited"
    no log
    log {directory}/log format raw local1 info
frontend f5
    bind {directory}/f5
    http-request return status 200
frontend f6 from base
    bind {directory}/f6
    option httpslog
    .if streq("$SITE","east  side") && !version_before(2.4)
    log {directory}/log format short local2
    .else
    log-format wrong
    .endif
    http-request return status 200

defaults
    log {directory}/log format raw local3
    mode http
    timeout client 5s
frontend f7
    bind {directory}/f7
    http-request return status 200
frontend f8
    bind {directory}/f8
    mode tcp
    option httplog
    tcp-request content reject
listen f9 from base
    log global
    bind {directory}/f9
    log-tag f9\'s\ "own"
    log {directory}/log format local local5
    no log
    log {directory}/log format local local6
    log-format 'f9 has '"mixed ${NONE-quotes}"
    http-request return status 200
"#;

/// Captures, servers and applets.
const NAMES: &str = r#"
global
    log {directory}/log format raw local0
defaults
    mode http
    log global
    timeout client 5s
    timeout server 5s
    timeout connect 5s
    retries 0
frontend web
    bind {directory}/web
    declare capture request len 40
    capture request header X-One len 40
    http-request capture req.hdr(X-Two) len 40
    tcp-request inspect-delay 1s
    tcp-request content capture req.hdr(X-Three),lower len 40
    http-request capture req.fhdr(X-Four) id 0
    declare capture response len 40
    capture response header X-Five len 40
    http-response capture res.hdr(X-Six) id 0
    capture cookie sid= len 40
    stats uri /stats
    use_backend pool if { path /pool }
    default_backend answers
    log-format "%b/%s %hr %hs %CC"
backend answers
    server origin unix@{directory}/origin
frontend origin
    no log
    bind {directory}/origin
    http-request return status 200 hdr X-Five x-five-value hdr X-Six x-six-value
backend pool
    server-template app 3-3 127.0.0.1:1
"#;

/// A running HAProxy, its configuration as it is read here, and its log.
struct Site {
    lab: Lab,
    config: Config,
    log: UnixDatagram,
}

impl Site {
    fn start(text: &str) -> Self {
        let mut lab = Lab::new();
        let log = UnixDatagram::bind(lab.path("log")).unwrap();
        log.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let file = lab.write("haproxy.cfg", text);
        let [haproxy, _] = find([("haproxy", "haproxy"), ("setpriv", "util-linux")]);
        lab.start("haproxy", &haproxy, &["-db", "-f", file.to_str().unwrap()]);
        let (version, _) = facts(&lab);
        let environment = |name: &str| std::env::var(name).ok().map(String::into_bytes);
        let process = Process { environment: &environment, version: Some(&version), features: None };
        let text = std::fs::read(&file).unwrap();
        let config = read(&[("haproxy.cfg", &text)], &process);
        let config = config.unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        Self { lab, config, log }
    }

    /// Sends a request to the frontend that listens on a socket of this name, and waits for the end of the answer.
    fn ask(&mut self, name: &str, path: &str) {
        let socket = self.lab.path(name);
        let mut stream = self.lab.until("HAProxy listens", || UnixStream::connect(&socket).ok());
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-One: x-one-value\r\nX-Two: x-two-value\r\n\
             X-Three: x-three-value\r\nX-Four: x-four-value\r\nCookie: sid=sid-value\r\n\r\n"
        );
        // A connection that is rejected may be closed before.
        let _ = stream.write_all(request.as_bytes());
        let _ = stream.read_to_end(&mut Vec::new());
    }

    /// The next line, but for those about HAProxy itself.
    fn line(&self) -> String {
        let mut buffer = [0; 4096];
        loop {
            let length = self.log.recv(&mut buffer).expect("a line in the log");
            let line = String::from_utf8(buffer[..length].to_vec()).expect("UTF-8");
            if !line.contains("Proxy ") {
                return line.trim_end_matches('\n').to_owned();
            }
        }
    }
}

/// True when the message of a line has the format that the proxy has by the reader.
fn has_format(message: &str, proxy: &Proxy) -> bool {
    let name = String::from_utf8_lossy(&proxy.name);
    let event = haproxy::parse(message.as_bytes());
    match proxy.log_format.as_ref().map(|format| &format.format) {
        // HAProxy makes one space of several.
        Some(Format::Custom(word)) => {
            let words = |text: &str| text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
            words(message) == words(&String::from_utf8_lossy(word.text()))
        }
        Some(Format::HttpLog) => matches!(event, Ok(Event::Http(http)) if http.tls().is_none()),
        Some(Format::HttpsLog) => matches!(event, Ok(Event::Http(http)) if http.tls().is_some()),
        Some(Format::TcpLog) => matches!(event, Ok(Event::Tcp(_))),
        Some(Format::HttpLogClf) => message.contains(" - - [") && message.contains(&format!(" \"{name}\" ")),
        Some(Format::TcpLogClf) => false,
        None => message.starts_with("Connect to unix:") && message.ends_with(&format!(" ({name}/HTTP)")),
    }
}

/// Takes the header off a line; `None` where it is not the one that is said.
fn message<'l>(line: &'l str, header: Header, tag: &str) -> Option<&'l str> {
    match header {
        Header::Raw => Some(line).filter(|line| !line.starts_with('<')),
        Header::Short => line.strip_prefix("<6>"),
        Header::Local => {
            let rest = line.strip_prefix('<')?.get("134>Jan  1 00:00:00 ".len()..)?;
            let (pid, message) = rest.strip_prefix(tag)?.strip_prefix('[')?.split_once("]: ")?;
            pid.bytes().all(|byte| byte.is_ascii_digit()).then_some(message)
        }
        other => panic!("{other:?} is not in this test"),
    }
}

#[test]
fn lines_have_their_formats() {
    let mut site = Site::start(FORMATS);
    let proxies = site.config.proxies.clone();
    let mut counts = BTreeMap::new();
    for proxy in &proxies {
        let name = String::from_utf8(proxy.name.clone()).unwrap();
        let tag = proxy.log_tag.as_ref().or(site.config.log_tag.as_ref()).unwrap();
        let tag = String::from_utf8(tag.text().to_vec()).unwrap();
        site.ask(&name, "/");
        for target in &proxy.targets {
            let line = site.line();
            let message = message(&line, target.header, &tag);
            let message = message.unwrap_or_else(|| panic!("{name}: {:?} of tag {tag} in {line:?}", target.header));
            assert!(has_format(message, proxy), "{name}: {:?} in {line:?}", proxy.log_format);
        }
        counts.insert(name, proxy.targets.len());
    }
    let expected = [("f1", 1), ("f2", 1), ("f3", 1), ("f4", 2), ("f5", 1), ("f6", 2), ("f7", 1), ("f8", 1), ("f9", 1)];
    assert_eq!(counts, expected.map(|(name, count)| (name.to_owned(), count)).into());
    // Nothing more was written than was said.
    site.log.set_nonblocking(true).unwrap();
    assert!(site.log.recv(&mut [0; 64]).is_err(), "a line too many");
}

#[test]
fn captures_and_names_are_where_they_are_said_to_be() {
    let mut site = Site::start(NAMES);
    let web = site.config.frontend(b"web").expect("a frontend").clone();
    let pool = site.config.backend(b"pool").expect("a backend").clone();
    let name = |names: &[Vec<u8>]| String::from_utf8(names[0].clone()).unwrap();
    for (path, expected) in [
        ("/", "answers/origin".to_owned()),
        ("/stats", format!("web/{}", name(&web.applets))),
        ("/pool", format!("pool/{}", name(&pool.servers))),
    ] {
        site.ask("web", path);
        let line = site.line();
        let [server, request, response, cookie] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line:?}") };
        assert_eq!(server, expected);
        assert_slots(request, &web.request_captures);
        // The statistics page answers before cookies are read, and has none of these headers.
        if path == "/" {
            assert_slots(response, &web.response_captures);
            assert_eq!(cookie, "sid=sid-value");
        }
    }
    assert_eq!((web.request_captures.len(), web.response_captures.len()), (4, 2));
    assert_eq!(web.cookie_capture.and_then(|capture| capture.name), Some(b"sid=".to_vec()));
}

/// A header's value tells its name.
#[track_caller]
fn assert_slots(written: &str, captures: &[Capture]) {
    let values = written.trim_matches(['{', '}']).split('|').collect::<Vec<_>>();
    let name = |capture: &Capture| String::from_utf8(capture.name.clone().expect("a name")).unwrap();
    let expected = captures.iter().map(|capture| format!("{}-value", name(capture).to_lowercase()));
    assert_eq!(values, expected.collect::<Vec<_>>(), "{written}");
}
