//! Where values are pushed to.

use std::collections::{BTreeMap, BTreeSet};

use super::Schema;
use super::sources::entry;
use crate::config::error::{clip, clip_to};
use crate::config::yaml::{Key, Node, Value};
use crate::push::{
    Header, INTERVAL_RANGE, Login, MAX_BUFFER_BYTES_RANGE, Receiver, ServerTls, TIMEOUT_RANGE, Url, is_label_name,
};

const KEYS: &[&str] = &["remote_write", "otlp"];
/// Of both; what tells us from others has a name of its own in each.
const RECEIVER_KEYS: [&str; 8] =
    ["url", "interval", "timeout", "headers", "basic_auth", "bearer_token_file", "tls", "max_buffer_bytes"];
const BASIC_AUTH_KEYS: &[&str] = &["username", "password_file"];
const TLS_KEYS: &[&str] = &["ca", "certificate", "key", "server_name"];
/// Longest message about a header that is shown.
const MAX_MESSAGE_BYTES: usize = 120;

/// A protocol: what it calls that which tells us from others, an address, and which names are possible.
struct Protocol {
    identity: &'static str,
    address: &'static str,
    is_name: fn(&str) -> bool,
}

const REMOTE_WRITE: Protocol = Protocol {
    identity: "external_labels",
    address: "http://prometheus.example:9090/api/v1/write",
    is_name: is_label_name,
};
const OTLP: Protocol = Protocol {
    identity: "resource_attributes",
    address: "http://collector.example:4318/v1/metrics",
    is_name: |name| !name.trim().is_empty(),
};

impl Schema<'_> {
    pub(super) fn push(&mut self, key: &Key, node: &Node) {
        for (key, node) in self.reader.map(key.place, node) {
            match key.name.as_str() {
                "remote_write" => self.config.push.remote_write = self.receiver(&REMOTE_WRITE, key, node),
                "otlp" => self.config.push.otlp = self.receiver(&OTLP, key, node),
                _ => {
                    self.reader.unknown_key(key, KEYS);
                }
            }
        }
    }

    /// A server; `None` where its address has a mistake.
    fn receiver(&mut self, protocol: &Protocol, key: &Key, node: &Node) -> Option<Receiver> {
        let entries = self.reader.map(key.place, node);
        let mut known = RECEIVER_KEYS.to_vec();
        known.push(protocol.identity);
        let mut meant = BTreeSet::new();
        for (key, _) in entries.iter().filter(|(key, _)| !known.contains(&key.name.as_str())) {
            meant.extend(self.reader.unknown_key(key, &known));
        }
        let url = match entry(entries, "url") {
            Some((key, node)) => self.url(key, node),
            None => {
                if !meant.contains("url") && matches!(node.value, Value::Map(_) | Value::Null) {
                    let help = format!("url: {}", protocol.address);
                    self.reader.report(key.place, format!("`{}` has no `url`", key.name), Some(help));
                }
                None
            }
        };
        // Where the address has a mistake, the settings are still read for theirs.
        let is_sure = url.is_some();
        let url = url.or_else(|| protocol.address.parse().ok())?;
        let mut receiver = Receiver::new(url);
        for (key, node) in entries {
            self.push_setting(protocol, &mut receiver, is_sure, key, node);
        }
        if let (Some((key, _)), true) = (entry(entries, "bearer_token_file"), entry(entries, "basic_auth").is_some()) {
            let message = "`bearer_token_file` contradicts `basic_auth`: keep one of them".to_owned();
            self.reader.report(key.place, message, None);
        }
        is_sure.then_some(receiver)
    }

    /// Puts one setting where it belongs, unless it has a mistake.
    fn push_setting(&mut self, protocol: &Protocol, receiver: &mut Receiver, is_sure: bool, key: &Key, node: &Node) {
        match key.name.as_str() {
            "interval" => {
                if let Some(interval) = self.reader.span(key, node, INTERVAL_RANGE, None) {
                    receiver.interval = interval;
                }
            }
            "timeout" => {
                if let Some(timeout) = self.reader.span(key, node, TIMEOUT_RANGE, None) {
                    receiver.server.timeout = timeout;
                }
            }
            "max_buffer_bytes" => {
                if let Some(bytes) = self.reader.number(key, node, MAX_BUFFER_BYTES_RANGE) {
                    receiver.max_buffer_bytes = bytes;
                }
            }
            "headers" => receiver.server.headers = self.headers(key, node),
            "basic_auth" | "bearer_token_file" => {
                if is_sure && receiver.server.url.has_login() {
                    let message = format!("the address has a login already: `{}` would be another one", key.name);
                    self.reader.report(key.place, message, None);
                }
                let login = match key.name.as_str() {
                    "basic_auth" => self.basic_auth(key, node),
                    _ => self.path("the path of a file", key, node).map(Login::BearerFile),
                };
                receiver.server.login = login.unwrap_or_default();
            }
            "tls" => {
                if is_sure && !receiver.server.url.is_https() {
                    let message = "`tls` goes with https://, not with http://".to_owned();
                    self.reader.report(key.place, message, None);
                }
                receiver.server.tls = self.server_tls(key, node);
            }
            name if name == protocol.identity => receiver.identity = self.identity(protocol, key, node),
            _ => {}
        }
    }

    fn url(&mut self, key: &Key, node: &Node) -> Option<Url> {
        let text = self.reader.word("an address that begins with http:// or https://", key.place, node)?;
        match text.parse() {
            Ok(url) => Some(url),
            Err(error) => {
                self.reader.report(node.place, format!("{error}"), None);
                None
            }
        }
    }

    fn headers(&mut self, key: &Key, node: &Node) -> Vec<Header> {
        let mut headers = Vec::new();
        for (key, node) in self.reader.map(key.place, node) {
            let Some(value) = self.reader.word("the value of a header", key.place, node) else { continue };
            match Header::new(&key.name, &value) {
                Ok(header) => headers.push(header),
                Err(error) => {
                    let message = clip_to(&error.to_string(), MAX_MESSAGE_BYTES);
                    self.reader.report(key.place, message, None);
                }
            }
        }
        headers
    }

    fn basic_auth(&mut self, key: &Key, node: &Node) -> Option<Login> {
        let entries = self.reader.map(key.place, node);
        let mut meant = BTreeSet::new();
        for (key, _) in entries.iter().filter(|(key, _)| !BASIC_AUTH_KEYS.contains(&key.name.as_str())) {
            meant.extend(self.reader.unknown_key(key, BASIC_AUTH_KEYS));
        }
        for name in BASIC_AUTH_KEYS.iter().filter(|name| entry(entries, name).is_none() && !meant.contains(*name)) {
            self.reader.report(key.place, format!("`basic_auth` has no `{name}`"), None);
        }
        let (user_key, user) = entry(entries, "username")?;
        let username = self.filled("a name", user_key, user);
        if let Some(name) = username.as_deref().filter(|name| name.contains(':')) {
            self.reader.report(user.place, format!("the name `{}` has a colon, which ends it", clip(name)), None);
        }
        let (key, node) = entry(entries, "password_file")?;
        let password_file = self.path("the path of a file", key, node)?;
        Some(Login::Basic { username: username?, password_file })
    }

    fn server_tls(&mut self, key: &Key, node: &Node) -> ServerTls {
        let mut tls = ServerTls::default();
        let (mut certificate, mut private_key) = (None, None);
        let entries = self.reader.map(key.place, node);
        for (key, node) in entries {
            match key.name.as_str() {
                "ca" => tls.ca = self.path("the path of a PEM file", key, node),
                "certificate" => certificate = self.path("the path of a PEM file", key, node),
                "key" => private_key = self.path("the path of a PEM file", key, node),
                "server_name" => tls.server_name = self.filled("the name of a server", key, node),
                _ => {
                    self.reader.unknown_key(key, TLS_KEYS);
                }
            }
        }
        for (name, other) in [("certificate", "key"), ("key", "certificate")] {
            if let (Some((key, _)), None) = (entry(entries, name), entry(entries, other)) {
                self.reader.report(key.place, format!("`{name}` needs a `{other}` beside it"), None);
            }
        }
        tls.identity = certificate.zip(private_key);
        tls
    }

    fn identity(&mut self, protocol: &Protocol, key: &Key, node: &Node) -> BTreeMap<String, String> {
        let mut identity = BTreeMap::new();
        for (key, node) in self.reader.map(key.place, node) {
            if !(protocol.is_name)(&key.name) {
                self.reader.report(key.place, format!("`{}` cannot be a name here", clip(&key.name)), None);
                continue;
            }
            if let Some(value) = self.reader.word("a text", key.place, node) {
                identity.insert(key.name.clone(), value);
            }
        }
        identity
    }
}
