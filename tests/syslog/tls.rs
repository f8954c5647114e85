//! TLS on TCP: who is let in, and what is wrong with files.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tailmeter::source::syslog::{Error, Options, Syslog, Tls};
use tempfile::TempDir;

use crate::harness::{Received, Running, eventually, options};
use crate::lab::find;

/// A CA, and what it issued for `localhost`: `server.pem`, `client.pem` and their keys.
pub(crate) struct Certificates {
    directory: TempDir,
    openssl: PathBuf,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let [openssl] = find([("openssl", "openssl")]);
        let made = Certificates { directory: tempfile::tempdir().unwrap(), openssl };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        made.openssl(&format!("req -x509 {key} -days 30 -subj /CN=ca -keyout ca.key -out ca.pem"));
        fs::write(made.path("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").unwrap();
        for name in ["server", "client"] {
            made.openssl(&format!("req -new {key} -subj /CN=localhost -keyout {name}.key -out {name}.csr"));
            let issue = "x509 -req -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile names";
            made.openssl(&format!("{issue} -in {name}.csr -out {name}.pem"));
        }
        made
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn options(&self, is_mutual: bool) -> Options {
        let tls = Tls {
            certificate: self.path("server.pem"),
            key: self.path("server.key"),
            client_ca: is_mutual.then(|| self.path("ca.pem")),
        };
        Options { tls: Some(tls), ..options("tls://127.0.0.1:0") }
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new(&self.openssl);
        command.current_dir(self.directory.path()).args(arguments.split(' '));
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Sends a line with the openssl program, which may be refused.
    fn send(&self, running: &Running, line: &str, arguments: &str) {
        let to = format!("s_client -connect {} -CAfile ca.pem -quiet -no_ign_eof {arguments}", running.address());
        let mut command = Command::new(&self.openssl);
        command.current_dir(self.directory.path()).args(to.split_whitespace());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Refused before it has written.
        let _ = child.stdin.take().unwrap().write_all(line.as_bytes());
        child.wait().unwrap();
    }
}

#[test]
fn both_versions_are_spoken() {
    let certificates = Certificates::new();
    let running = Running::start(certificates.options(false));
    for version in ["-tls1_2", "-tls1_3"] {
        certificates.send(&running, &format!("<1>{version}\n"), version);
    }
    running.received.has(&["<1>-tls1_2", "<1>-tls1_3"]);
    assert_eq!(running.status.errors(), 0);
    certificates.send(&running, "<1>old\n", "-tls1_1");
    let mut plain = TcpStream::connect(running.address()).unwrap();
    plain.write_all(b"<1>plain\n").unwrap();
    eventually("two refused", || running.status.errors() == 2);
    assert_eq!(running.stop().count(), 2);
}

#[test]
fn a_sender_shows_its_certificate() {
    let certificates = Certificates::new();
    let running = Running::start(certificates.options(true));
    certificates.send(&running, "<1>nobody\n", "");
    eventually("one refused", || running.status.errors() == 1);
    certificates.send(&running, "<1>known\n", "-cert client.pem -key client.key");
    running.received.has(&["<1>known"]);
    assert_eq!(running.status.errors(), 1);
}

#[test]
fn a_file_that_is_wrong_is_named() {
    let certificates = Certificates::new();
    let path = |name: &str| certificates.path(name);
    fs::write(path("empty.pem"), "").unwrap();
    fs::write(path("torn.pem"), "-----BEGIN CERTIFICATE-----\nMIIB\n").unwrap();
    fs::write(path("secret.key"), "-----BEGIN PRIVATE KEY-----\nhidden!\n-----END PRIVATE KEY-----\n").unwrap();
    fs::write(path("bad.pem"), "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n").unwrap();
    for (certificate, key, client_ca, expected) in [
        ("none.pem", "server.key", None, "none.pem: No such file or directory (os error 2)"),
        ("server.pem", "none.key", None, "none.key: No such file or directory (os error 2)"),
        ("server.key", "server.key", None, "server.key: no certificate in PEM is in it"),
        ("server.pem", "server.pem", None, "server.pem: no private key in PEM is in it"),
        ("server.pem", "server.key", Some("empty.pem"), "empty.pem: no certificate in PEM is in it"),
        ("torn.pem", "server.key", None, "torn.pem: a section of PEM has no end"),
        ("server.pem", "secret.key", None, "secret.key: a section of PEM is not base64"),
        ("server.pem", "server.key", Some("bad.pem"), "bad.pem: invalid peer certificate"),
    ] {
        let tls = Tls { certificate: path(certificate), key: path(key), client_ca: client_ca.map(path) };
        let options = Options { tls: Some(tls), ..options("tls://127.0.0.1:0") };
        let error = Syslog::bind(options, Box::<Received>::default()).err().expect(expected).to_string();
        let expected = format!("cannot listen on tls://127.0.0.1:0: {}", path(expected).display());
        assert!(error.starts_with(&expected), "{error}\nis not\n{expected}");
    }
    let tls = Tls { certificate: path("server.pem"), key: path("client.key"), client_ca: None };
    let other_key = Options { tls: Some(tls), ..options("tls://127.0.0.1:0") };
    let error = Syslog::bind(other_key, Box::<Received>::default()).err().unwrap().to_string();
    let both = format!("{} with {}: keys may not", path("server.pem").display(), path("client.key").display());
    assert!(error.contains(&both), "{error}");
    let error = Syslog::bind(options("tls://127.0.0.1:0"), Box::<Received>::default()).err();
    assert!(matches!(error, Some(Error::NoCertificate(_))), "{error:?}");
}
