//! What the configuration says of Postfix.

use std::sync::Arc;

use super::Schema;
use crate::config::error::clip;
use crate::config::yaml::{Key, Node};
use crate::config::{MAX_MESSAGES_RANGE, PostfixConfig, RejectReason};

const KEYS: &[&str] = &["exclude_services", "reject_reasons", "max_messages", "compat_services"];
const REASON_KEYS: &[&str] = &["pattern", "reason"];

impl Schema<'_> {
    pub(super) fn postfix(&mut self, key: &Key, node: &Node) {
        let mut postfix = PostfixConfig::default();
        for (key, node) in self.reader.map(key.place, node) {
            match key.name.as_str() {
                "exclude_services" => {
                    for item in self.reader.list(key.place, node, "for example [amavis, scan/smtpd]") {
                        postfix.exclude_services.extend(self.reader.word("a service", key.place, item));
                    }
                }
                "reject_reasons" => {
                    for item in self.reader.list(key.place, node, "for example [{pattern: mailspike, reason: dnsbl}]") {
                        postfix.reject_reasons.extend(self.reject_reason(key, item));
                    }
                }
                "compat_services" => {
                    for item in self.reader.list(key.place, node, "for example [submission/smtpd, relay/smtp]") {
                        postfix.compat_services.extend(self.reader.word("a service", key.place, item));
                    }
                }
                "max_messages" => {
                    if let Some(number) = self.reader.number(key, node, MAX_MESSAGES_RANGE) {
                        postfix.max_messages = number;
                    }
                }
                _ => {
                    self.reader.unknown_key(key, KEYS);
                }
            }
        }
        self.config.postfix = Arc::new(postfix);
    }

    fn reject_reason(&mut self, list: &Key, item: &Node) -> Option<RejectReason> {
        let (mut pattern, mut reason) = (None, None);
        for (key, node) in self.reader.map(list.place, item) {
            match key.name.as_str() {
                "pattern" => {
                    pattern = self.reader.word("a regular expression", key.place, node);
                    let wrong = pattern.as_deref().and_then(|text| regex::bytes::Regex::new(text).err());
                    if let Some(error) = wrong {
                        let error = error.to_string();
                        let last = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
                        self.reader.report(node.place, format!("bad regular expression: {last}"), None);
                        pattern = None;
                    }
                }
                "reason" => {
                    reason = self.reader.word("a word", key.place, node);
                    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
                    if let Some(word) = reason.as_deref().filter(|word| !word.bytes().all(is_word)) {
                        let message = format!("`{}` is no word of lower case letters, digits and `_`", clip(word));
                        self.reader.report(node.place, message, None);
                    }
                }
                _ => {
                    self.reader.unknown_key(key, REASON_KEYS);
                    return None;
                }
            }
        }
        if pattern.is_none() || reason.is_none() {
            let help = "for example {pattern: mailspike, reason: dnsbl}".to_owned();
            self.reader.report(item.place, "a rule needs a `pattern` and a `reason`".to_owned(), Some(help));
        }
        Some(RejectReason { pattern: pattern?, reason: reason? })
    }
}
