//! Sockets for syslog messages: their address, and the settings that go with its transport.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::super::super::error::clip_to;
use super::super::super::reader::Entries;
use super::super::super::sources::SyslogInput;
use super::super::super::yaml::{Key, Node, Value};
use super::super::Schema;
use super::entry;
use crate::source::syslog::{AddressError, Framing, Network, Tls, Transport};

/// Settings, each with the transports that it goes with.
const TRANSPORTS: &[(&str, &[&str])] = &[
    ("framing", &["tcp", "tls", "unix"]),
    ("senders", &["udp", "tcp", "tls"]),
    ("receive_buffer_bytes", &["udp", "unixgram"]),
    ("max_connections", &["tcp", "tls", "unix"]),
    ("socket_mode", &["unix", "unixgram"]),
    ("tls", &["tls"]),
];
const FRAMINGS: &[(&str, Framing)] =
    &[("detected", Framing::Detected), ("counted", Framing::Counted), ("lines", Framing::Lines)];
/// Longest message about an address that is shown.
const MAX_MESSAGE_BYTES: usize = 240;
const TLS_KEYS: &[&str] = &["certificate", "key", "client_ca"];

impl Schema<'_> {
    pub(super) fn syslog(
        &mut self,
        key: &Key,
        node: &Node,
        entries: &Entries,
        meant: &BTreeSet<&str>,
    ) -> Option<SyslogInput> {
        let transport = self.transport(key, node);
        // Where the address has a mistake, the settings are still read for theirs.
        let stand_in = Transport::Unix(PathBuf::new());
        let mut input = SyslogInput::new(transport.clone().unwrap_or(stand_in));
        for (key, node) in entries {
            let Some((_, transports)) = TRANSPORTS.iter().find(|(setting, _)| *setting == key.name) else {
                continue;
            };
            if let Some(transport) = &transport
                && !transports.contains(&scheme(transport))
            {
                let message =
                    format!("`{}` goes with {}, not with {}://", key.name, listed(transports), scheme(transport));
                self.reader.report(key.place, message, None);
                continue;
            }
            self.setting(&mut input, key, node);
        }
        let transport = transport?;
        if matches!(transport, Transport::Tls(_)) && entry(entries, "tls").is_none() && !meant.contains("tls") {
            let message = "tls:// needs `tls`, with a certificate and a key".to_owned();
            let help = "tls: {certificate: /etc/tailmeter/tls.crt, key: /etc/tailmeter/tls.key}".to_owned();
            self.reader.report(node.place, message, Some(help));
        }
        Some(input)
    }

    fn transport(&mut self, key: &Key, node: &Node) -> Option<Transport> {
        let text = self.reader.word("an address such as udp://0.0.0.0:5514", key.place, node)?;
        match text.parse() {
            Ok(transport) => Some(transport),
            Err(AddressError { offset, message }) => {
                let place = self.reader.within(node, &text, offset);
                // The message repeats what is wrong, however long that is.
                let message = match message.len() <= MAX_MESSAGE_BYTES {
                    true => clip_to(&message, MAX_MESSAGE_BYTES),
                    false => "this is no address such as udp://0.0.0.0:5514".to_owned(),
                };
                self.reader.report(place, message, None);
                None
            }
        }
    }

    /// Puts one setting where it belongs, unless it has a mistake.
    fn setting(&mut self, input: &mut SyslogInput, key: &Key, node: &Node) {
        match key.name.as_str() {
            "framing" => input.framing = self.framing(key, node).unwrap_or_default(),
            "senders" => input.senders = self.senders(key, node),
            "receive_buffer_bytes" => {
                if let Some(bytes) = self.reader.number(key, node, SyslogInput::RECEIVE_BUFFER_BYTES_RANGE) {
                    input.receive_buffer_bytes = bytes;
                }
            }
            "max_connections" => {
                if let Some(number) = self.reader.number(key, node, SyslogInput::MAX_CONNECTIONS_RANGE) {
                    input.max_connections = number;
                }
            }
            "socket_mode" => {
                if let Some(mode) = self.socket_mode(key, node) {
                    input.socket_mode = mode;
                }
            }
            _ => input.tls = self.tls(key, node),
        }
    }

    fn framing(&mut self, key: &Key, node: &Node) -> Option<Framing> {
        let text = self.reader.word("detected, counted or lines", key.place, node)?;
        let framing = FRAMINGS.iter().find(|(name, _)| *name == text).map(|(_, framing)| *framing);
        if framing.is_none() {
            let known = FRAMINGS.iter().map(|(name, _)| *name);
            let help = "known framings: detected, counted, lines".to_owned();
            self.reader.unknown("framing", &text, node.place, known, Some(help));
        }
        framing
    }

    fn senders(&mut self, key: &Key, node: &Node) -> Vec<Network> {
        let items = self.reader.list(key.place, node, "for example senders: [10.0.0.0/8]");
        let is_empty = match &node.value {
            Value::Null => true,
            Value::List(items) => items.is_empty(),
            _ => false,
        };
        if is_empty {
            let message = "an empty list of senders would let everybody send".to_owned();
            let help = "leave `senders` out to say so".to_owned();
            self.reader.report(key.place, message, Some(help));
        }
        let mut senders = Vec::new();
        for item in items {
            match self.reader.text(item).and_then(|text| text.parse().ok()) {
                Some(network) => senders.push(network),
                None => {
                    let help = "an IP address, or one with the number of its fixed bits, as in 10.0.0.0/8";
                    self.reader.expected("a network", key.place, item, Some(help));
                }
            }
        }
        senders
    }

    /// Permissions as `chmod` takes them. Without quotes, YAML would take them for a decimal number.
    fn socket_mode(&mut self, key: &Key, node: &Node) -> Option<u32> {
        let of = |text: &str| {
            let is_octal = matches!(text.len(), 3 | 4) && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
            u32::from_str_radix(text, 8).ok().filter(|mode| is_octal && *mode <= 0o777)
        };
        let help = match &node.value {
            Value::Text(text) => match of(text) {
                Some(mode) => return Some(mode),
                None => None,
            },
            Value::Number(text) if of(text).is_some() => Some(format!("write it in quotes: '{text}'")),
            _ => None,
        };
        let what = "permissions as an octal number in quotes, such as '0660'";
        self.reader.expected(what, key.place, node, help.as_deref());
        None
    }

    fn tls(&mut self, key: &Key, node: &Node) -> Option<Tls> {
        let Value::Map(entries) = &node.value else {
            let what = "a mapping with `certificate` and `key`";
            self.reader.expected(what, key.place, node, None);
            return None;
        };
        let mut meant = BTreeSet::new();
        for (key, _) in entries.iter().filter(|(key, _)| !TLS_KEYS.contains(&key.name.as_str())) {
            meant.extend(self.reader.unknown_key(key, TLS_KEYS));
        }
        let mut file = |name| match entry(entries, name) {
            Some((key, node)) => self.path("the path of a PEM file", key, node),
            None => {
                if name != "client_ca" && !meant.contains(name) {
                    self.reader.report(key.place, format!("`tls` has no `{name}`"), None);
                }
                None
            }
        };
        let (certificate, private_key, client_ca) = (file("certificate"), file("key"), file("client_ca"));
        Some(Tls { certificate: certificate?, key: private_key?, client_ca })
    }
}

/// `udp` of `udp://…`.
fn scheme(transport: &Transport) -> &'static str {
    match transport {
        Transport::Udp(_) => "udp",
        Transport::Tcp(_) => "tcp",
        Transport::Tls(_) => "tls",
        Transport::Unix(_) => "unix",
        Transport::UnixDatagram(_) => "unixgram",
    }
}

/// `tcp://, tls:// and unix://`.
fn listed(schemes: &[&str]) -> String {
    let schemes: Vec<_> = schemes.iter().map(|scheme| format!("{scheme}://")).collect();
    match schemes.as_slice() {
        [others @ .., last] if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        schemes => schemes.concat(),
    }
}
