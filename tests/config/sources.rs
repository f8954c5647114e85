//! Sources of every kind, from the file and from one argument of the command line, and what they are called.

use std::path::PathBuf;

use tailmeter::config::{Input, JournalInput, Source, SyslogInput, Written};
use tailmeter::source::syslog::{Framing, Tls, Transport};

use super::accept;

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn socket(address: &str) -> SyslogInput {
    SyslogInput::new(address.parse().expect("an address"))
}

fn inputs(text: &str) -> Vec<Input> {
    accept(text).sources.into_iter().map(|source| source.input).collect()
}

#[test]
fn every_setting_of_every_kind_arrives() {
    let config = accept(
        "sources:
  - name: edge
    file: /var/log/haproxy*.log
    format: haproxy
    exclude: [/var/log/haproxy-test.log, '*.old']
  - journal:
      identifiers: [haproxy, 200]
      units: [haproxy.service]
      matches: [PRIORITY=6, +, _UID=0]
      directory: /var/log/journal/remote
    format: haproxy
  - syslog: udp://[::]:5514
    senders: [10.0.0.0/8, '::1']
    receive_buffer_bytes: 4096
    format: haproxy
  - syslog: tls://0.0.0.0:6514
    framing: counted
    max_connections: 1
    tls: {certificate: /a, key: b, client_ca: /c}
    format: haproxy
  - {syslog: 'unix:///run/a', framing: lines, socket_mode: '600', format: haproxy}
  - {syslog: 'unixgram:///run/b', socket_mode: '0777', receive_buffer_bytes: 1073741824, format: haproxy}
  - {pipe: /run/haproxy.fifo, format: haproxy}
  - {pipe: '-', name: 7, format: haproxy}
",
    );
    let tls = Tls { certificate: "/a".into(), key: "b".into(), client_ca: Some("/c".into()) };
    let expected = [
        Input::File {
            path: "/var/log/haproxy*.log".to_owned(),
            exclude: texts(&["/var/log/haproxy-test.log", "*.old"]),
        },
        Input::Journal(JournalInput {
            identifiers: texts(&["haproxy", "200"]),
            units: texts(&["haproxy.service"]),
            matches: texts(&["PRIORITY=6", "+", "_UID=0"]),
            directory: Some("/var/log/journal/remote".into()),
        }),
        Input::Syslog(SyslogInput {
            senders: ["10.0.0.0/8", "::1"].map(|text| text.parse().expect("a network")).to_vec(),
            receive_buffer_bytes: 4096,
            ..socket("udp://[::]:5514")
        }),
        Input::Syslog(SyslogInput {
            framing: Framing::Counted,
            max_connections: 1,
            tls: Some(tls),
            ..socket("tls://0.0.0.0:6514")
        }),
        Input::Syslog(SyslogInput { framing: Framing::Lines, socket_mode: 0o600, ..socket("unix:///run/a") }),
        Input::Syslog(SyslogInput { socket_mode: 0o777, receive_buffer_bytes: 1 << 30, ..socket("unixgram:///run/b") }),
        Input::Pipe("/run/haproxy.fifo".into()),
        Input::Pipe("-".into()),
    ];
    let names = [Some("edge"), None, None, None, None, None, None, Some("7")];
    let expected = expected.into_iter().zip(names).map(|(input, name)| Source {
        input,
        format: "haproxy".to_owned(),
        written: Written::Usual,
        name: name.map(str::to_owned),
    });
    assert_eq!(config.sources, expected.collect::<Vec<_>>());
    let labels: Vec<_> = config.sources.iter().map(Source::label).collect();
    let expected = "edge journal:haproxy,200 udp://[::]:5514 tls://0.0.0.0:6514 unix:///run/a unixgram:///run/b \
        /run/haproxy.fifo 7";
    assert_eq!(labels.join(" "), expected);
}

#[test]
fn what_is_not_written_has_its_default() {
    let text = "sources:
  - {file: a.log, format: haproxy, exclude: }
  - {journal: {}, format: haproxy}
  - {journal: {identifiers: [], units: , directory: /j}, name: other, format: haproxy}
  - {syslog: 'tcp://0.0.0.0:1', format: haproxy}
";
    let other = JournalInput { directory: Some("/j".into()), ..JournalInput::default() };
    let expected = [
        Input::File { path: "a.log".to_owned(), exclude: Vec::new() },
        Input::Journal(JournalInput::default()),
        Input::Journal(other),
        Input::Syslog(socket("tcp://0.0.0.0:1")),
    ];
    assert_eq!(inputs(text), expected);
    // Without braces, too.
    assert_eq!(inputs("sources:\n- journal:\n  format: haproxy\n"), [Input::Journal(JournalInput::default())]);
    let defaults = socket("udp://0.0.0.0:1");
    assert_eq!((defaults.framing, defaults.receive_buffer_bytes), (Framing::Detected, 8 * 1024 * 1024));
    assert_eq!((defaults.max_connections, defaults.socket_mode), (256, 0o666));
    assert!(defaults.senders.is_empty() && defaults.tls.is_none());
}

#[test]
fn settings_are_shared_by_anchors() {
    let text = "sources:
  - &edge {syslog: 'tcp://0.0.0.0:1', senders: &lan [10.0.0.0/8], framing: lines, format: haproxy}
  - {<<: *edge, syslog: 'tcp://0.0.0.0:2'}
  - {syslog: 'udp://0.0.0.0:1', senders: *lan, format: haproxy}
";
    let senders = vec!["10.0.0.0/8".parse().expect("a network")];
    let stream = |address| SyslogInput { framing: Framing::Lines, senders: senders.clone(), ..socket(address) };
    let datagrams = SyslogInput { senders: senders.clone(), ..socket("udp://0.0.0.0:1") };
    let expected = [stream("tcp://0.0.0.0:1"), stream("tcp://0.0.0.0:2"), datagrams];
    assert_eq!(inputs(text), expected.map(Input::Syslog));
}

#[test]
fn one_argument_says_it_all() {
    let file = |path: &str| Input::File { path: path.to_owned(), exclude: Vec::new() };
    let journal = |identifiers: &[&str]| {
        Input::Journal(JournalInput { identifiers: texts(identifiers), ..JournalInput::default() })
    };
    for (text, expected, label) in [
        ("-", Input::Pipe(PathBuf::from("-")), "-"),
        ("journal:", journal(&[]), "journal"),
        ("journal:haproxy", journal(&["haproxy"]), "journal:haproxy"),
        ("journal:postfix/smtpd,dovecot", journal(&["postfix/smtpd", "dovecot"]), "journal:postfix/smtpd,dovecot"),
        ("udp://0.0.0.0:5514", Input::Syslog(socket("udp://0.0.0.0:5514")), "udp://0.0.0.0:5514"),
        ("tcp://[::]:5514", Input::Syslog(socket("tcp://[::]:5514")), "tcp://[::]:5514"),
        ("unix:///dev/log", Input::Syslog(socket("unix:///dev/log")), "unix:///dev/log"),
        ("unixgram:///run/a", Input::Syslog(socket("unixgram:///run/a")), "unixgram:///run/a"),
        ("./journal:x", file("./journal:x"), "./journal:x"),
        ("./udp://x", file("./udp://x"), "./udp://x"),
        ("/var/log/*.log", file("/var/log/*.log"), "/var/log/*.log"),
        ("journal", file("journal"), "journal"),
        (r"/a\xff", file(r"/a\xff"), r"/a\x5cxff"),
    ] {
        let input = Input::of(text).expect(text);
        assert_eq!((&input, input.label().as_str()), (&expected, label), "{text}");
        assert_eq!(input.is_standard_input(), text == "-");
    }
    assert_eq!(socket("unix:///dev/log").transport, Transport::Unix("/dev/log".into()));
}

#[test]
fn an_argument_with_a_mistake_is_told_with_its_place() {
    for (text, offset, message) in [
        ("", 0, "the path is empty"),
        ("a[", 1, "bad glob pattern: invalid range pattern"),
        ("ö/***", 5, "bad glob pattern: wildcards are either regular `*` or recursive `**`"),
        ("a\0", 1, "a path cannot contain a null character"),
        ("journal:a,,b", 10, "an identifier is missing, as in journal:haproxy,postfix"),
        ("journal:,", 8, "an identifier is missing, as in journal:haproxy,postfix"),
        ("udp://0.0.0.0:x", 14, "`x` is not a port, a number from 0 to 65535"),
        ("syslog://a", 0, "`syslog://` is unknown: use udp://, tcp://, tls://, unix:// or unixgram://"),
        ("tls://0.0.0.0:1", 0, "tls:// needs a certificate and a key, which a configuration file can name"),
    ] {
        let error = Input::of(text).expect_err(text);
        assert_eq!((error.offset, error.message.as_str()), (offset, message), "{text}");
    }
}

#[test]
fn a_file_that_looks_like_a_broken_pattern_can_be_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a[b.log");
    let text = path.to_str().expect("text");
    assert!(Input::of(text).is_err());
    std::fs::write(&path, "").expect("written");
    assert_eq!(Input::of(text).map(|input| input.label()), Ok(text.to_owned()));
}

#[test]
fn how_lines_are_written_can_be_said() {
    let config = accept(
        "sources:\n  - {file: /a, format: {log_format: '%ci %ST'}}\n  - {file: /b, format: {haproxy_config: /c.cfg}}\n  \
         - {file: /d, format: {haproxy_config: [/e.cfg, conf.d]}}\n",
    );
    let written: Vec<_> =
        config.sources.iter().map(|source| (source.format.as_str(), source.written.clone())).collect();
    let expected = [
        Written::LogFormat("%ci %ST".to_owned()),
        Written::HaproxyConfig(vec!["/c.cfg".into()]),
        Written::HaproxyConfig(vec!["/e.cfg".into(), "conf.d".into()]),
    ];
    assert_eq!(written, expected.map(|written| ("haproxy", written)));
}
