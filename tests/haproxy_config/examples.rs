//! Configurations that come with HAProxy.

use std::path::PathBuf;

use tailmeter_parsers::haproxy::config::{Format, Mode, Process, read};

use crate::lab::Lab;
use crate::program::{accepts, facts, variable};

/// What Debian installs as an example. Systems without documentation have the first one only.
fn files() -> Vec<PathBuf> {
    let mut files = vec![PathBuf::from("/etc/haproxy/haproxy.cfg")];
    for folder in ["/usr/share/doc/haproxy/examples", "/usr/share/doc/haproxy-doc/examples"] {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        let paths = entries.map(|entry| entry.expect("an entry").path());
        files.extend(paths.filter(|path| path.extension().is_some_and(|extension| extension == "cfg")));
    }
    files
}

#[test]
fn are_read() {
    let lab = Lab::new();
    let (version, features) = facts(&lab);
    let process = Process { environment: &variable, version: Some(&version), features: Some(&features) };
    for file in files() {
        let text = std::fs::read(&file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
        let config = read(&[("a.cfg", &text)], &process);
        // HAProxy refuses some for other reasons: certificates that are not there, modules that it was built without.
        if accepts(&lab, &file) {
            config.as_ref().unwrap_or_else(|mistakes| panic!("{file:?}: {mistakes:?}"));
        }
        let proxies = config.map_or(0, |config| config.proxies.len());
        println!("{file:?}: {proxies} proxies");
    }
}

/// What Debian's own configuration begins with, and a site's proxies below.
#[test]
fn a_site_on_debian() {
    let text = "global\n\tlog /dev/log\tlocal0\n\tlog /dev/log\tlocal1 notice\n\tuser haproxy\n\ndefaults\n\tlog\tglobal\n\
                \tmode\thttp\n\toption\thttplog\n\toption\tdontlognull\n        timeout connect 5000\n\terrorfile 400 \
                /etc/haproxy/errors/400.http\n\nfrontend www\n\tbind :80\n\tdefault_backend apps\n\nbackend apps\n\
                \tserver a 10.0.0.1:80\n\nlisten mail\n\tmode tcp\n\toption tcplog\n\tbind :25\n\tserver m 10.0.0.2:25\n";
    let process = Process { environment: &variable, version: None, features: None };
    let config = read(&[("haproxy.cfg", text.as_bytes())], &process).expect("a configuration");
    assert_eq!(config.warnings, []);
    let www = config.frontend(b"www").expect("a frontend");
    assert_eq!((www.mode, www.targets.len(), www.dontlognull), (Mode::Http, 2, true));
    assert_eq!(www.log_format.as_ref().map(|format| &format.format), Some(&Format::HttpLog));
    let mail = config.frontend(b"mail").expect("a listen");
    assert_eq!(mail.log_format.as_ref().map(|format| &format.format), Some(&Format::TcpLog));
    assert_eq!(config.backend(b"apps").expect("a backend").servers, [b"a"]);
}
