//! The names that a configuration declares, and which of them can stand together in a line: what can be expected of the
//! log before it has a line, and what only a forger would write.
//!
//! ```text
//! frontend www
//!     use_backend api if { path_beg /v1 }
//!     default_backend app
//! backend app
//!     server-template web 2 app.example:80
//! ```
//!
//! Lines of `www` have `www/<NOSRV>` (no backend was reached), `app/web1`, `app/web2`, `app/<NOSRV>`, and those of `api`.
//!
//! # Which names are known
//!
//! - *Frontends* and *backends* are known for good: no HAProxy adds a frontend while it runs, and what adds backends
//!   (`add backend`, 3.4) is an experiment that has to be switched on each time.
//! - *Servers* are known by backend. They can be added while HAProxy runs (`add server` on an administrator's socket), which
//!   the configuration does not show: nearly every one has such a socket. What it shows is whether a backend lives of such
//!   servers: a backend without any server of its own may have any. In all others, what is not declared is not known. The
//!   servers of a `server-template` have fixed names, whatever addresses its resolver finds.
//! - A name that depends on a variable which is not set here is not known, so any may be it.
//! - HAProxy's own words are no names of proxies or servers, since those cannot hold `<`.

use std::collections::{BTreeMap, BTreeSet};

use super::{Config, Mode, Proxy};

/// What HAProxy writes where there is no server of the configuration's: its applets, and the servers and proxies that it
/// makes for itself (their `.name` and `id` in its sources, 2.4 to 3.x). A dash stands where nothing does.
const WORDS: [&str; 18] = [
    "",
    "-",
    "other",
    NO_SERVER,
    "<STATS>",
    "<CACHE>",
    "<PROMEX>",
    "<LUA_TCP>",
    "<HTTPCLIENT>",
    "<HTTPSCLIENT>",
    "<OCSP-UPDATE>",
    "<CLI>",
    "<MCLI>",
    "<PEER>",
    "<SPOE>",
    "<SYSLOG>",
    "<SINKFWD>",
    "<SINKFWDOC>",
];

/// What stands in the place of a server where none was reached.
pub const NO_SERVER: &str = "<NOSRV>";

/// What a configuration declares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// By name.
    frontends: BTreeMap<Vec<u8>, Frontend>,
    /// Numbers of `backends`, by name.
    numbers: BTreeMap<Vec<u8>, usize>,
    backends: Vec<Backend>,
    /// Names of proxies may be others than were read.
    is_open: bool,
}

/// A frontend or a listen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontend {
    /// Numbers of what its lines may have for a backend, its own first, each once. Nothing if it is not started.
    pub reaches: Vec<usize>,
    /// One of its listeners has TLS.
    pub has_tls: bool,
    /// Its lines may be written before the end.
    pub logasap: bool,
    /// Its failed connections are logged in its own format.
    pub has_error_format: bool,
}

/// What may stand for a backend: a backend or a listen, and a frontend, of what never reached one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backend {
    /// Its name.
    pub name: Vec<u8>,
    /// Names of its servers.
    pub servers: BTreeSet<Vec<u8>>,
    /// Words that stand in the place of a server besides [`NO_SERVER`].
    pub applets: BTreeSet<Vec<u8>>,
    /// Results of its health checks are logged.
    pub logs_checks: bool,
    /// It may have servers of any name.
    is_open: bool,
}

impl Declared {
    /// What `config` declares.
    pub fn of(config: &Config) -> Self {
        let mut declared = Self { is_open: config.has_unsure_names, ..Self::default() };
        for proxy in &config.proxies {
            declared.add_backend(proxy);
        }
        for proxy in config.proxies.iter().filter(|proxy| proxy.kind.takes_connections()) {
            let frontend = Frontend {
                reaches: if proxy.is_disabled { Vec::new() } else { declared.reached_from(proxy, config) },
                has_tls: proxy.binds.iter().any(|bind| bind.is_tls),
                logasap: proxy.logasap,
                has_error_format: proxy.error_log_format.is_some(),
            };
            declared.frontends.insert(proxy.name.clone(), frontend);
        }
        declared
    }

    /// A frontend and a backend of the same name are the same in a line.
    fn add_backend(&mut self, proxy: &Proxy) {
        let backends = &mut self.backends;
        let number = *self.numbers.entry(proxy.name.clone()).or_insert_with(|| {
            backends.push(Backend { name: proxy.name.clone(), ..Backend::default() });
            backends.len() - 1
        });
        let Some(backend) = backends.get_mut(number) else { return };
        backend.applets.extend(proxy.applets.iter().cloned());
        if proxy.kind.has_servers() {
            backend.servers.extend(proxy.servers.iter().cloned());
            backend.logs_checks |= proxy.log_health_checks;
            backend.is_open |= proxy.servers.is_empty() || proxy.has_unsure_servers;
        }
    }

    /// What lines of `proxy` may have for a backend.
    fn reached_from(&self, proxy: &Proxy, config: &Config) -> Vec<usize> {
        let usable = |other: &&Proxy| other.kind.has_servers() && !other.is_disabled;
        let mut names = vec![&proxy.name];
        names.extend(proxy.use_backends.iter().chain(&proxy.default_backend));
        if proxy.computes_backend {
            // HAProxy looks for backends of the same mode only.
            let same_mode = |other: &&Proxy| other.mode == proxy.mode && proxy.mode != Mode::Other;
            names.extend(config.proxies.iter().filter(usable).filter(same_mode).map(|other| &other.name));
        }
        let is_reached = |name: &&Vec<u8>| **name == proxy.name || config.backend(name).as_ref().is_some_and(usable);
        let mut seen = BTreeSet::new();
        let numbers = names.into_iter().filter(is_reached).filter_map(|name| self.numbers.get(name).copied());
        numbers.filter(|number| seen.insert(*number)).collect()
    }

    /// The frontends, by name.
    pub fn frontends(&self) -> impl Iterator<Item = (&[u8], &Frontend)> {
        self.frontends.iter().map(|(name, frontend)| (name.as_slice(), frontend))
    }

    /// The frontend called `name`.
    pub fn frontend(&self, name: &[u8]) -> Option<&Frontend> {
        self.frontends.get(name)
    }

    /// The backends, by number.
    pub fn backends(&self) -> &[Backend] {
        &self.backends
    }

    /// True when a line may have this for its frontend.
    pub fn knows_frontend(&self, name: &[u8]) -> bool {
        self.is_open || self.frontends.contains_key(name) || is_word(name)
    }

    /// True when a line may have this for its backend.
    pub fn knows_backend(&self, name: &[u8]) -> bool {
        self.is_open || self.numbers.contains_key(name) || is_word(name)
    }

    /// True when a line that has `backend` may have `server`.
    pub fn knows_server(&self, backend: &[u8], server: &[u8]) -> bool {
        let knows =
            |backend: &Backend| backend.is_open || backend.servers.contains(server) || backend.applets.contains(server);
        let number = self.numbers.get(backend);
        self.is_open
            || is_word(server)
            || match number.and_then(|number| self.backends.get(*number)) {
                Some(backend) => knows(backend),
                // The line does not say it.
                None => is_word(backend) && self.backends.iter().any(knows),
            }
    }
}

fn is_word(name: &[u8]) -> bool {
    WORDS.iter().any(|word| word.as_bytes() == name)
}

#[cfg(test)]
mod tests {
    use super::super::{Process, read};
    use super::*;

    fn declared(text: &str) -> Declared {
        let process = Process { environment: &|_| None, version: None, features: None };
        Declared::of(&read(&[("a.cfg", text.as_bytes())], &process).expect("a configuration"))
    }

    /// Names of what lines of `frontend` may have for a backend.
    fn reached<'d>(declared: &'d Declared, frontend: &str) -> Vec<&'d str> {
        let reaches = &declared.frontend(frontend.as_bytes()).expect("a frontend").reaches;
        reaches.iter().map(|number| core::str::from_utf8(&declared.backends()[*number].name).expect("UTF-8")).collect()
    }

    const CONFIG: &str = "\
defaults
    mode http
    stats uri /stats
frontend www
    bind :80
    use_backend api if { path_beg /v1 }
    use_backend api if { path_beg /v2 }
    use_backend off if FALSE
    default_backend app
frontend any
    bind :81 ssl crt site.pem
    use_backend %[req.hdr(host),lower]
    option logasap
frontend stopped
    disabled
    default_backend app
listen raw
    mode tcp
    server one 192.0.2.1:1
backend app
    default-server check
    server-template web 2-3 app.example:80
    server extra 192.0.2.1:80
    option log-health-checks
backend api
backend off
    disabled
    server x 192.0.2.1:80
";

    #[test]
    fn frontends_reach_what_they_name() {
        let declared = declared(CONFIG);
        assert_eq!(reached(&declared, "www"), ["www", "api", "app"]);
        assert_eq!(reached(&declared, "any"), ["any", "app", "api"]);
        assert_eq!(reached(&declared, "raw"), ["raw"]);
        assert_eq!(reached(&declared, "stopped"), <[&str; 0]>::default());
        let any = declared.frontend(b"any").expect("a frontend");
        assert!(any.has_tls && any.logasap && !any.has_error_format);
    }

    #[test]
    fn servers_are_known_by_backend() {
        let declared = declared(CONFIG);
        for (backend, server, is_known) in [
            ("app", "web2", true),
            ("app", "web3", true),
            ("app", "web1", false),
            ("app", "extra", true),
            ("app", "default-server", false),
            ("app", "one", false),
            ("raw", "one", true),
            ("app", "<NOSRV>", true),
            ("app", "<STATS>", true),
            ("app", "<forged>", false),
            // It may have been given servers.
            ("api", "anything", true),
            ("www", "web2", false),
            ("forged", "web2", false),
            ("", "web2", true),
            ("-", "-", true),
        ] {
            assert_eq!(declared.knows_server(backend.as_bytes(), server.as_bytes()), is_known, "{backend}/{server}");
        }
        assert!(declared.knows_frontend(b"www") && declared.knows_frontend(b"raw") && !declared.knows_frontend(b"app"));
        assert!(declared.knows_backend(b"www") && declared.knows_backend(b"app") && !declared.knows_backend(b"App"));
    }

    #[test]
    fn names_with_unknown_variables_may_be_any() {
        let text = "listen a\n server \"${UNKNOWN}1\" 192.0.2.1:80\n server two 192.0.2.2:80\n\
                    backend b\n server \"${UNKNOWN-one}\" \"${UNKNOWN}:80\"\n";
        let one = declared(text);
        assert!(one.knows_server(b"a", b"any") && !one.knows_server(b"b", b"any") && one.knows_server(b"b", b"one"));
        assert!(!one.knows_backend(b"any"));
        assert!(declared("backend \"b${UNKNOWN}\"\n").knows_backend(b"bx"));
    }
}
