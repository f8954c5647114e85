//! Where to listen, as people write it.
//!
//! ```text
//! udp://0.0.0.0:5514   tcp://[::]:5514   tls://0.0.0.0:6514   unix:///dev/log   unixgram:///run/tailmeter/log
//! ```

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// Longest path of a Unix socket (bytes): `sun_path` without its NUL.
const MAX_PATH_BYTES: usize = 107;

/// The kind of socket, and its address.
///
/// `[::]` takes IPv4 as well, unless the system says otherwise (`net.ipv6.bindv6only`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams over UDP.
    Udp(SocketAddr),
    /// Connections over TCP.
    Tcp(SocketAddr),
    /// Connections over TCP, encrypted.
    Tls(SocketAddr),
    /// Connections to a Unix socket.
    Unix(PathBuf),
    /// Datagrams to a Unix socket.
    UnixDatagram(PathBuf),
}

impl fmt::Display for Transport {
    /// As it is parsed. Bytes of a path that are not UTF-8 are replaced.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(address) => write!(f, "udp://{address}"),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Tls(address) => write!(f, "tls://{address}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::UnixDatagram(path) => write!(f, "unixgram://{}", path.display()),
        }
    }
}

/// What is wrong with an address, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AddressError {
    /// Offset (bytes) in the address.
    pub offset: usize,
    /// For people; names the part that is wrong.
    pub message: String,
}

impl AddressError {
    fn new(offset: usize, message: impl Into<String>) -> Self {
        AddressError { offset, message: message.into() }
    }
}

impl FromStr for Transport {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        const SCHEMES: &str = "udp://, tcp://, tls://, unix:// or unixgram://";
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(AddressError::new(0, format!("`{text}` must begin with {SCHEMES}")));
        };
        let offset = scheme.len() + "://".len();
        match scheme {
            "udp" => Ok(Self::Udp(socket_address(rest, offset)?)),
            "tcp" => Ok(Self::Tcp(socket_address(rest, offset)?)),
            "tls" => Ok(Self::Tls(socket_address(rest, offset)?)),
            "unix" => Ok(Self::Unix(socket_path(rest, offset)?)),
            "unixgram" => Ok(Self::UnixDatagram(socket_path(rest, offset)?)),
            _ => Err(AddressError::new(0, format!("`{scheme}://` is unknown: use {SCHEMES}"))),
        }
    }
}

/// `IP:PORT`, an IPv6 address in brackets.
fn socket_address(text: &str, offset: usize) -> Result<SocketAddr, AddressError> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if text.is_empty() {
        return Err(AddressError::new(offset, "an IP address and a port are missing, as in 0.0.0.0:5514"));
    }
    if text.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()) {
        let message = format!("`{text}` has no port, or no brackets around the address, as in [::]:5514");
        return Err(AddressError::new(offset, message));
    }
    // The colons of an IPv6 address are within its brackets.
    let colon = text.rfind(':').filter(|&colon| !text[colon..].contains(']'));
    let (host, port) = match colon {
        Some(colon) => (&text[..colon], Some(&text[colon + 1..])),
        None => (text, None),
    };
    let ip = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if ip.parse::<IpAddr>().is_err() {
        let message = format!("`{host}` is not an IP address: use 0.0.0.0 or [::] for every address of this machine");
        return Err(AddressError::new(offset, message));
    }
    match port {
        None => Err(AddressError::new(offset + host.len(), format!("`{text}` has no port, as in {text}:5514"))),
        Some(port) if port.parse::<u16>().is_ok() => {
            let message = match host.starts_with('[') {
                true => format!("`{host}` takes no brackets, as in {ip}:{port}"),
                false => format!("`{host}` needs brackets, as in [{ip}]:{port}"),
            };
            Err(AddressError::new(offset, message))
        }
        Some(port) => {
            let message = format!("`{port}` is not a port, a number from 0 to 65535");
            Err(AddressError::new(offset + host.len() + 1, message))
        }
    }
}

/// The absolute path of a Unix socket.
fn socket_path(text: &str, offset: usize) -> Result<PathBuf, AddressError> {
    if !text.starts_with('/') {
        let message = format!("`{text}` is not an absolute path, as in unix:///dev/log");
        return Err(AddressError::new(offset, message));
    }
    if text.len() > MAX_PATH_BYTES {
        let message = format!("the path has {} bytes; a Unix socket's may have {MAX_PATH_BYTES}", text.len());
        return Err(AddressError::new(offset + MAX_PATH_BYTES, message));
    }
    if let Some(nul) = text.find('\0') {
        return Err(AddressError::new(offset + nul, "a path cannot hold a NUL byte"));
    }
    Ok(PathBuf::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_parsed_is_shown_again() {
        for text in [
            "udp://0.0.0.0:5514",
            "udp://[::]:514",
            "tcp://[fe80::1%3]:1",
            "tls://127.0.0.1:6514",
            "unix:///dev/log",
            "unixgram:///run/tailmeter/log",
        ] {
            assert_eq!(text.parse::<Transport>().map(|transport| transport.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let long = format!("unix:///{}", "x".repeat(120));
        for (text, offset, part) in [
            ("", 0, "must begin with udp://"),
            ("127.0.0.1:514", 0, "`127.0.0.1:514` must begin with"),
            ("syslog://0.0.0.0:514", 0, "`syslog://` is unknown"),
            ("udp://", 6, "are missing"),
            ("udp://::1", 6, "brackets"),
            ("udp://::1:514x", 10, "`514x` is not a port"),
            ("udp://1:2:3:4:5:6:7:8:514", 6, "`1:2:3:4:5:6:7:8` needs brackets, as in [1:2:3:4:5:6:7:8]:514"),
            ("udp://[127.0.0.1]:514", 6, "`[127.0.0.1]` takes no brackets, as in 127.0.0.1:514"),
            ("udp://[::1]", 11, "has no port"),
            ("tcp://127.0.0.1", 15, "has no port, as in 127.0.0.1:5514"),
            ("tcp://127.0.0.1:99999", 16, "`99999` is not a port"),
            ("tcp://127.0.0.1:", 16, "`` is not a port"),
            ("tls://localhost:6514", 6, "`localhost` is not an IP address"),
            ("tls://[127.0.0.1]:6514x", 18, "`6514x` is not a port"),
            ("unix://dev/log", 7, "not an absolute path"),
            ("unixgram:///a\0b", 13, "NUL"),
            (&long, 114, "the path has 121 bytes"),
        ] {
            let error = text.parse::<Transport>().expect_err(text);
            assert!(error.message.contains(part), "{text}: {error}");
            assert_eq!(error.offset, offset, "{text}: {error}");
        }
    }
}
