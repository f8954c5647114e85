//! Shows events by the names that Postfix's documentation and lines have for their fields.

use super::commands::COMMANDS;
use super::event::{Commands, Event, Peer};
use crate::event::Field;

impl crate::Event for Event<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::Disconnect(_) => "disconnect",
            Self::Client(_) => "client",
            Self::Reject(_) => "reject",
            Self::SaslFailure(_) => "sasl_failure",
            Self::LostConnection(_) => "lost_connection",
            Self::Tls(_) => "tls",
            Self::Pickup(_) => "pickup",
            Self::MessageId(_) => "message_id",
            Self::Queued(_) => "queued",
            Self::Removed(_) => "removed",
            Self::Expired(_) => "expired",
            Self::Delivery(_) => "delivery",
            Self::Bounce(_) => "bounce",
            Self::ConnectFailure(_) => "connect_failure",
            Self::Passed(_) => "postscreen_pass",
            Self::TestFailed(_) => "postscreen_test",
            Self::Listed(_) => "dnsbl",
            Self::Warning(_) => "warning",
            Self::Known(kind) => kind,
        }
    }

    fn is_ignored(&self) -> bool {
        matches!(self, Self::Known(_) | Self::MessageId(_))
    }

    fn visit(&self, see: &mut dyn FnMut(&'static str, Field<'_>)) {
        let word = |word: &'static str| Field::Text(word.as_bytes());
        match *self {
            Self::Connect(connect) => peer("client", connect.client, see),
            Self::Disconnect(event) => {
                peer("client", event.client, see);
                commands(event.commands, see);
                see("clean", event.clean.map_or(Field::Missing, Field::Truth));
                see("notes", Field::text(event.notes));
            }
            Self::Client(event) => {
                see("queue_id", Field::text(event.queue_id.unwrap_or_default()));
                peer("client", event.client, see);
                see("sasl_method", event.sasl_method.map_or(Field::Missing, word));
                see("sasl_username", Field::text(event.sasl_username));
                see("sasl_sender", Field::text(event.sasl_sender));
                see("orig_queue_id", Field::text(event.orig_queue_id));
                see("orig_client", Field::text(event.orig_client));
            }
            Self::Reject(event) => {
                see("queue_id", Field::text(event.queue_id.unwrap_or_default()));
                see("action", word(event.action.as_str()));
                see("stage", word(event.stage.as_str()));
                peer("client", event.client, see);
                see("code", Field::number(event.code));
                see("enhanced_code", Field::text(event.enhanced));
                see("reason", word(event.cause.as_str()));
                see("text", Field::text(event.text));
                see("content", Field::text(event.content));
                see("from", event.from.map_or(Field::Missing, Field::Text));
                see("to", event.to.map_or(Field::Missing, Field::Text));
                see("proto", Field::text(event.proto));
                see("helo", Field::text(event.helo));
                see("sasl_method", Field::text(event.sasl_method));
                see("sasl_username", Field::text(event.sasl_username));
            }
            Self::SaslFailure(event) => {
                peer("client", event.client, see);
                see("sasl_method", word(event.method));
                see("reason", Field::text(event.reason));
                see("sasl_username", Field::text(event.sasl_username));
                see("aborted", Field::Truth(event.is_aborted));
            }
            Self::LostConnection(event) => {
                see("queue_id", Field::text(event.queue_id.unwrap_or_default()));
                see("reason", word(event.reason.as_str()));
                see("stage", word(event.stage.as_str()));
                see("bytes", Field::number(event.bytes.map(|bytes| bytes as i64)));
                peer("client", event.client, see);
            }
            Self::Tls(event) => {
                see("queue_id", Field::text(event.queue_id));
                see("trust", word(event.trust.as_str()));
                see("reused", Field::Truth(event.reused));
                see("direction", word(event.direction.as_str()));
                peer("peer", event.peer, see);
                see("sni", Field::text(event.sni));
                see("protocol", Field::text(event.protocol));
                see("cipher", Field::text(event.cipher));
                see("used_bits", Field::Number(event.bits[0].into()));
                see("algorithm_bits", Field::Number(event.bits[1].into()));
            }
            Self::Pickup(event) => {
                see("queue_id", Field::text(event.queue_id));
                see("uid", Field::Number(event.uid.into()));
                see("from", Field::Text(event.from));
                see("orig_id", Field::text(event.orig_id));
            }
            Self::MessageId(event) => {
                see("queue_id", Field::text(event.queue_id));
                see("message_id", Field::text(event.message_id));
                see("resent", Field::Truth(event.resent));
            }
            Self::Queued(event) => {
                see("queue_id", Field::text(event.queue_id));
                see("from", Field::Text(event.from));
                see("size", Field::Number(event.size as i64));
                see("nrcpt", Field::Number(event.nrcpt.into()));
            }
            Self::Removed(event) => {
                see("queue_id", Field::text(event.queue_id));
                see("how", word(event.how.as_str()));
            }
            Self::Expired(event) => {
                see("queue_id", Field::text(event.queue_id));
                see("from", Field::Text(event.from));
                see("forced", Field::Truth(event.forced));
            }
            Self::Delivery(event) => {
                see("queue_id", Field::text(event.queue_id));
                see("to", Field::Text(event.to));
                see("orig_to", Field::text(event.orig_to));
                see("relay", Field::text(event.relay));
                see("conn_use", Field::number((event.conn_use > 1).then_some(event.conn_use)));
                see("delay", Field::Seconds(event.delay_ms));
                see("delays", Field::AllSeconds(&event.delays_ms));
                see("tls", Field::text(event.tls));
                see("dsn", Field::text(event.dsn));
                see("status", word(event.status.as_str()));
                see("text", Field::text(event.text));
                see("queued_as", Field::text(event.queued_as));
                see("truncated", Field::Truth(event.truncated));
            }
            Self::Bounce(event) => {
                see("queue_id", Field::text(event.queue_id));
                see("kind", word(event.kind.as_str()));
                see("to_postmaster", Field::Truth(event.to_postmaster));
                see("notification", Field::text(event.notification));
            }
            Self::ConnectFailure(event) => {
                see("queue_id", Field::text(event.queue_id));
                peer("peer", event.peer, see);
                see("reason", word(event.reason.as_str()));
                see("text", Field::text(event.text));
            }
            Self::Passed(event) => {
                see("kind", word(event.kind.as_str()));
                peer("client", event.client, see);
            }
            Self::TestFailed(event) => {
                see("test", word(event.test.as_str()));
                see("rank", Field::number(event.rank));
                see("after", event.after_ms.map_or(Field::Missing, Field::Seconds));
                peer("client", event.client, see);
                see("text", Field::text(event.text));
            }
            Self::Listed(event) => {
                see("addr", Field::text(event.address));
                see("domain", Field::text(event.list));
                see("answer", Field::text(event.answer));
            }
            Self::Warning(event) => {
                see("severity", word(event.severity.as_str()));
                see("kind", word(event.kind));
                see("text", Field::text(event.text));
            }
            Self::Known(_) => {}
        }
    }
}

/// The three parts of the other side.
fn peer(side: &'static str, peer: Peer<'_>, see: &mut dyn FnMut(&'static str, Field<'_>)) {
    let [name, address, port] = match side {
        "client" => ["client_name", "client_address", "client_port"],
        _ => ["peer_name", "peer_address", "peer_port"],
    };
    see(name, Field::text(peer.name));
    see(address, Field::text(peer.address));
    see(port, Field::number(peer.port));
}

/// How often each command succeeded, and how often it did not.
fn commands(commands: Commands<'_>, see: &mut dyn FnMut(&'static str, Field<'_>)) {
    for command in commands {
        see(command.name, Field::Number(command.accepted.into()));
        let rejected = command.total.saturating_sub(command.accepted);
        if let Some((_, field)) = COMMANDS.iter().find(|(name, _)| rejected > 0 && *name == command.name) {
            see(field, Field::Number(rejected.into()));
        }
    }
}
