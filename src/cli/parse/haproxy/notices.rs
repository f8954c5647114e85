//! The fields of HAProxy's lines that are neither requests nor sessions, and are counted.

use serde::Serialize;
use tailmeter_parsers::haproxy::{ConnectionError, Details, HealthCheck, Notice, ServerState};

use super::Fields;
use crate::cli::parse::Text;

/// The fields of a line that is counted; `None` for one that is ignored.
pub(super) fn fields<'a>(notice: &Notice<'a>) -> Option<Fields<'a>> {
    match notice {
        Notice::ConnectionError(error) => Some(Fields::ConnectionError(ErrorFields::of(error))),
        Notice::HealthCheck(check) => Some(Fields::HealthCheck(CheckFields::of(check))),
        Notice::ServerState(server) => Some(Fields::ServerState(Box::new(ServerFields::of(server)))),
        Notice::BackendState(backend) => Some(Fields::BackendState(BackendFields {
            backend_name: Text(backend.backend_name),
            state: "no_server_available",
            truncated: backend.truncated,
        })),
        _ => None,
    }
}

/// A connection that failed before it had a session.
#[derive(Serialize)]
pub(in crate::cli::parse) struct ErrorFields<'a> {
    /// Null when HAProxy does not know it.
    client_ip: Option<Text<'a>>,
    client_port: Option<u32>,
    accept_date: Text<'a>,
    frontend_name: Text<'a>,
    /// The name of the `bind` line, or its number.
    listener: Text<'a>,
    reason: &'static str,
    message: Text<'a>,
    /// What stands in parentheses behind the message.
    detail: Option<Text<'a>>,
    truncated: bool,
}

impl<'a> ErrorFields<'a> {
    fn of(error: &ConnectionError<'a>) -> Self {
        let client_port = error.client_port();
        Self {
            client_ip: client_port.map(|_| Text(error.client_ip())),
            client_port,
            accept_date: Text(error.accept_date()),
            frontend_name: Text(error.frontend_name()),
            listener: Text(error.listener()),
            reason: error.reason,
            message: Text(error.message()),
            detail: error.detail().map(Text),
            truncated: error.truncated(),
        }
    }
}

/// What a check found out.
#[derive(Serialize)]
struct DetailFields<'a> {
    reason: Option<&'static str>,
    code: Option<i64>,
    info: Option<Text<'a>>,
    check_duration_ms: Option<u64>,
}

impl<'a> DetailFields<'a> {
    fn of(details: Details<'a>) -> Self {
        Self {
            reason: details.reason,
            code: details.code,
            info: details.info.map(Text),
            check_duration_ms: details.check_duration_ms,
        }
    }
}

/// A health or agent check.
#[derive(Serialize)]
pub(in crate::cli::parse) struct CheckFields<'a> {
    /// `health` or `agent`.
    check: &'static str,
    backend_name: Text<'a>,
    server_name: Text<'a>,
    backup: bool,
    result: &'static str,
    #[serde(flatten)]
    details: DetailFields<'a>,
    /// Checks in a row that speak for the status.
    health: Option<u64>,
    /// The checks that it takes.
    threshold: Option<u64>,
    status: Option<Text<'a>>,
    truncated: bool,
}

impl<'a> CheckFields<'a> {
    fn of(check: &HealthCheck<'a>) -> Self {
        let status = check.status();
        Self {
            check: if check.is_agent { "agent" } else { "health" },
            backend_name: Text(check.backend_name()),
            server_name: Text(check.server_name()),
            backup: check.is_backup,
            result: check.result.as_str(),
            details: DetailFields::of(check.details()),
            health: status.map(|status| status.health),
            threshold: status.map(|status| status.threshold),
            status: status.map(|status| Text(status.state)),
            truncated: check.truncated(),
        }
    }
}

/// A change of a server's state.
#[derive(Serialize)]
pub(in crate::cli::parse) struct ServerFields<'a> {
    backend_name: Text<'a>,
    server_name: Text<'a>,
    backup: bool,
    state: &'static str,
    /// Why, unless a check is to blame.
    cause: Option<Text<'a>>,
    #[serde(flatten)]
    details: DetailFields<'a>,
    /// The server that it follows.
    via: Option<Text<'a>>,
    active_servers: Option<u64>,
    backup_servers: Option<u64>,
    sessions_active: Option<u64>,
    sessions_requeued: Option<u64>,
    sessions_queued: Option<u64>,
    truncated: bool,
}

impl<'a> ServerFields<'a> {
    fn of(server: &ServerState<'a>) -> Self {
        let remaining = server.remaining();
        Self {
            backend_name: Text(server.backend_name()),
            server_name: Text(server.server_name()),
            backup: server.is_backup,
            state: server.change.as_str(),
            cause: server.cause().map(Text),
            details: DetailFields::of(server.details()),
            via: server.via().map(Text),
            active_servers: remaining.map(|remaining| remaining.active_servers),
            backup_servers: remaining.map(|remaining| remaining.backup_servers),
            sessions_active: remaining.and_then(|remaining| remaining.sessions_active),
            sessions_requeued: remaining.and_then(|remaining| remaining.sessions_requeued),
            sessions_queued: remaining.and_then(|remaining| remaining.sessions_queued),
            truncated: server.truncated(),
        }
    }
}

/// A backend that lost its last server.
#[derive(Serialize)]
pub(in crate::cli::parse) struct BackendFields<'a> {
    backend_name: Text<'a>,
    state: &'static str,
    truncated: bool,
}
