//! The real rsyslogd sends to every transport that it knows.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use tailmeter::source::syslog::{Options, Transport};

use crate::harness::{Running, options};
use crate::lab::{Lab, find};
use crate::tls::Certificates;

/// Messages sent to each.
const MESSAGES: usize = 4_000;

const RSYSLOG: &str = r#"
global(workDirectory="{directory}" defaultNetstreamDriverCAFile="{certificates}/ca.pem"
       defaultNetstreamDriverCertFile="{certificates}/client.pem"
       defaultNetstreamDriverKeyFile="{certificates}/client.key")
module(load="imptcp")
module(load="omuxsock")
$OMUxSockSocket {unixgram}
input(type="imptcp" path="{directory}/input")
*.* action(type="omfwd" target="127.0.0.1" port="{udp}" protocol="udp")
*.* action(type="omfwd" target="127.0.0.1" port="{lines}" protocol="tcp" TCP_Framing="traditional")
*.* action(type="omfwd" target="127.0.0.1" port="{counted}" protocol="tcp" TCP_Framing="octet-counted"
       template="RSYSLOG_SyslogProtocol23Format")
*.* action(type="omfwd" target="127.0.0.1" port="{ossl}" protocol="tcp" StreamDriver="ossl" StreamDriverMode="1"
       StreamDriverAuthMode="x509/name" StreamDriverPermittedPeers="localhost")
*.* action(type="omfwd" target="127.0.0.1" port="{gtls}" protocol="tcp" StreamDriver="gtls" StreamDriverMode="1"
       StreamDriverAuthMode="x509/name" StreamDriverPermittedPeers="localhost" TCP_Framing="octet-counted")
*.* :omuxsock:
"#;

/// Fails naming the package of the driver, which brings no program that could be looked for.
fn need_driver(file: &str, package: &str) {
    let folders = fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path().join("rsyslog"));
    let is_there = folders.chain([PathBuf::from("/usr/lib/rsyslog")]).any(|folder| folder.join(file).exists());
    assert!(is_there, "this test needs a driver of rsyslog that is not installed: apt-get install {package}");
}

#[test]
fn every_message_of_rsyslog_arrives() {
    let [rsyslogd, _] = find([("rsyslogd", "rsyslog"), ("setpriv", "util-linux")]);
    need_driver("lmnsd_ossl.so", "rsyslog-openssl");
    need_driver("lmnsd_gtls.so", "rsyslog-gnutls");
    let certificates = Certificates::new();
    let mut lab = Lab::new();
    let unixgram = Transport::UnixDatagram(lab.path("socket"));
    let sources = [
        ("udp", Running::start(options("udp://127.0.0.1:0"))),
        ("lines", Running::start(options("tcp://127.0.0.1:0"))),
        ("counted", Running::start(options("tcp://127.0.0.1:0"))),
        ("ossl", Running::start(certificates.options(true))),
        ("gtls", Running::start(certificates.options(false))),
        ("unixgram", Running::start(Options::new(unixgram))),
    ];

    let mut configuration = RSYSLOG
        .replace("{certificates}", certificates.directory().to_str().unwrap())
        .replace("{unixgram}", lab.path("socket").to_str().unwrap());
    for (name, source) in sources.iter().filter(|(name, _)| *name != "unixgram") {
        configuration = configuration.replace(&format!("{{{name}}}"), &source.address().port().to_string());
    }
    let file = lab.write("rsyslog.conf", &configuration);
    let (pid, input) = (lab.path("rsyslogd.pid"), lab.path("input"));
    lab.start("rsyslogd", &rsyslogd, &["-n", "-f", file.to_str().unwrap(), "-i", pid.to_str().unwrap()]);

    let mut to_rsyslog = lab.until("rsyslogd listens", || UnixStream::connect(&input).ok());
    for number in 0..MESSAGES {
        writeln!(to_rsyslog, "<134>Feb  1 12:14:14 lb1 haproxy[73411]: message {number} end").unwrap();
    }
    for (name, source) in &sources {
        let has_all = || source.received.count_of(" end") as u64 + source.received.dropped() >= MESSAGES as u64;
        lab.until(&format!("all messages over {name}"), || has_all().then_some(()));
        assert_eq!(source.status.errors(), 0, "{name}");
        let lines = source.received.lines();
        let lines = lines.iter().filter(|line| line.contains(" end")).collect::<Vec<_>>();
        assert_eq!(lines.len() as u64 + source.received.dropped(), MESSAGES as u64, "{name}");
        let version = if *name == "counted" { "<134>1 " } else { "<134>Feb  1 12:14:14 lb1 haproxy[73411]: " };
        let mut numbers = Vec::new();
        for line in lines {
            assert!(line.starts_with(version) && line.ends_with(" end"), "{name}: {line}");
            let number = line.split(' ').rev().nth(1).unwrap().parse::<usize>().unwrap();
            numbers.push(number);
        }
        // In order, and none twice.
        assert!(numbers.is_sorted_by(|one, next| one < next), "{name}");
    }
}
