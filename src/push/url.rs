//! The address of a server: `http://` or `https://`, a host, and perhaps a login, a port and a path.

use std::fmt;
use std::str::FromStr;

/// An address that can be pushed to. Shown without its login.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    pub(super) is_https: bool,
    /// Without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
    /// With the query; begins with a slash.
    pub(super) path: String,
    /// Name and password.
    pub(super) login: Option<(String, String)>,
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UrlError(&'static str);

impl Url {
    /// True for `https://`.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// True when the address itself has a name and a password.
    pub fn has_login(&self) -> bool {
        self.login.is_some()
    }

    /// Host and port as the Host header has them.
    pub(super) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let usual = if self.is_https { 443 } else { 80 };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }

    /// The same server with another path.
    pub(super) fn with_path(&self, path: String) -> Self {
        Self { path, ..self.clone() }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        write!(formatter, "{scheme}://{}{}", self.authority(), self.path)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let begins_with = |scheme: &str| text.get(..scheme.len()).filter(|begin| begin.eq_ignore_ascii_case(scheme));
        let (is_https, scheme) = match (begins_with("https://"), begins_with("http://")) {
            (Some(scheme), _) => (true, scheme),
            (_, Some(scheme)) => (false, scheme),
            _ => return Err(UrlError("an address begins with http:// or https://")),
        };
        let rest = text.get(scheme.len()..).unwrap_or_default();
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UrlError("an address has only ASCII letters, digits and signs; %20 is a space"));
        }
        if rest.contains('#') {
            return Err(UrlError("the address of a server has no `#`"));
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (Some(self::login(login)?), place),
            None => (None, authority),
        };
        let (host, port) = host_and_port(place)?;
        let port = match port {
            None | Some("") => {
                if is_https {
                    443
                } else {
                    80
                }
            }
            Some(port) => {
                port.parse().ok().filter(|port| *port > 0).ok_or(UrlError("a port is a number from 1 to 65535"))?
            }
        };
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { is_https, host, port, path, login })
    }
}

fn host_and_port(place: &str) -> Result<(String, Option<&str>), UrlError> {
    let (host, port) = match place.strip_prefix('[') {
        Some(inside) => {
            let (host, rest) = inside.split_once(']').ok_or(UrlError("the `[` of an IPv6 address has no `]`"))?;
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(UrlError("between brackets stands an IPv6 address"));
            }
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(UrlError("behind an IPv6 address stands a port or nothing")),
            }
        }
        None => match place.split_once(':') {
            Some((_, port)) if port.contains(':') => return Err(UrlError("an IPv6 address stands between [ and ]")),
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    match host {
        "" => Err(UrlError("the address has no host")),
        host if host.bytes().all(is_name) => Ok((host.to_owned(), port)),
        _ => Err(UrlError("a host has only letters, digits, `.`, `-` and `_`")),
    }
}

/// Name and password, with what is percent-encoded in them.
fn login(text: &str) -> Result<(String, String), UrlError> {
    let (name, password) = text.split_once(':').unwrap_or((text, ""));
    let decoded = |text: &str| {
        decoded(text).ok_or(UrlError("the login has a `%` without two hexadecimal digits, or is no UTF-8"))
    };
    Ok((decoded(name)?, decoded(password)?))
}

fn decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let digits = rest.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = rest.get(2..)?;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test, a panic is the failure")]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let cases = [
            ("http://h", "http://h/", ("h", 80)),
            ("HTTPS://h.example:8443/a/b?c=d", "https://h.example:8443/a/b?c=d", ("h.example", 8443)),
            ("https://h:443/x", "https://h/x", ("h", 443)),
            ("http://[::1]:9091?a", "http://[::1]:9091/?a", ("::1", 9091)),
            ("http://u:p@h:80", "http://h/", ("h", 80)),
            ("http://h:/", "http://h/", ("h", 80)),
        ];
        for (text, shown, (host, port)) in cases {
            let url: Url = text.parse().unwrap();
            assert_eq!((url.to_string().as_str(), url.host.as_str(), url.port), (shown, host, port), "{text}");
        }
        let url: Url = "http://us%65r:p%40%3A:s@h/".parse().unwrap();
        assert_eq!(url.login, Some(("user".to_owned(), "p@::s".to_owned())));
        assert!(!format!("{url:?}{url}").contains("p@"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "h:9091",
            "ftp://h",
            "http://",
            "http:///x",
            "http://h/a b",
            "http://h/\u{e9}",
            "http://h/#x",
            "http://::1/",
            "http://[::1",
            "http://[x]/",
            "http://[::1]x/",
            "http://h:0/",
            "http://h:65536/",
            "http://h:x/",
            "http://a,b/",
            "http://%zz@h/",
            "http://%ff@h/",
            "http://a%4",
        ] {
            assert!(text.parse::<Url>().is_err(), "{text}");
        }
    }
}
