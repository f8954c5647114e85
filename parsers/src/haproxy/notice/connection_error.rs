//! Connections that failed before they had a session. The default since ever; `error-log-format` replaces it.
//!
//! ```text
//! 192.0.2.7:40001 [01/Feb/2024:01:33:38.571] https-in/1: SSL handshake failure (error:0A000076:SSL routines::no suitable signature algorithm)
//! ```
//!
//! The name behind the slash is that of the `bind` line, or its number. No name holds a space.

use super::OTHER;
use crate::cursor::Cursor;
use crate::haproxy::{date, split_at, split_client};
use crate::{Reason, Reject};

/// What `session.c` says by itself, and the word that labels have for it.
const UNKNOWN: (&str, &str) = ("unknown connection error", "unknown_connection_error");

/// Messages of `conn_err_code_str` (`connection.c` of 2.6 and 3.0), and the words that labels have for them. Each is at the
/// place of its number, which `fc_err` fetches (`CO_ER_…` in `connection-t.h`): no version gives another meaning to one.
const REASONS: [(&str, &str); 57] = [
    ("Success", "success"),
    ("Reached configured maxconn value", "configured_maxconn_reached"),
    ("Too many sockets on the process", "too_many_process_sockets"),
    ("Too many sockets on the system", "too_many_system_sockets"),
    ("Out of system buffers", "out_of_system_buffers"),
    ("Protocol or address family not supported", "protocol_not_supported"),
    ("General socket error", "socket_error"),
    ("Source port range exhausted", "source_ports_exhausted"),
    ("Can't bind to source address", "cannot_bind_source_address"),
    ("Out of local source ports on the system", "out_of_local_ports"),
    ("Local source address already in use", "local_address_in_use"),
    ("Connection closed while waiting for PROXY protocol header", "proxy_protocol_closed"),
    ("Connection error while waiting for PROXY protocol header", "proxy_protocol_error"),
    ("Timeout while waiting for PROXY protocol header", "proxy_protocol_timeout"),
    ("Truncated PROXY protocol header received", "proxy_protocol_truncated"),
    ("Received something which does not look like a PROXY protocol header", "proxy_protocol_missing"),
    ("Received an invalid PROXY protocol header", "proxy_protocol_invalid"),
    ("Received an unhandled protocol in the PROXY protocol header", "proxy_protocol_unhandled"),
    ("Connection closed while waiting for NetScaler Client IP header", "netscaler_cip_closed"),
    ("Connection error while waiting for NetScaler Client IP header", "netscaler_cip_error"),
    ("Timeout while waiting for a NetScaler Client IP header", "netscaler_cip_timeout"),
    ("Truncated NetScaler Client IP header received", "netscaler_cip_truncated"),
    ("Received an invalid NetScaler Client IP magic number", "netscaler_cip_invalid"),
    ("Received an unhandled protocol in the NetScaler Client IP header", "netscaler_cip_unhandled"),
    ("Connection closed during SSL handshake", "closed_during_ssl_handshake"),
    ("Connection error during SSL handshake", "error_during_ssl_handshake"),
    ("Timeout during SSL handshake", "timeout_during_ssl_handshake"),
    ("Too many SSL connections", "too_many_ssl_connections"),
    ("Out of memory when initializing an SSL connection", "out_of_ssl_memory"),
    ("Rejected a client-initiated SSL renegotiation attempt", "ssl_renegotiation"),
    ("SSL client CA chain cannot be verified", "ssl_client_ca_unverified"),
    ("SSL client certificate not trusted", "ssl_client_certificate_untrusted"),
    ("Server presented an SSL certificate different from the configured one", "ssl_server_certificate_mismatch"),
    ("Server presented an SSL certificate different from the expected one", "ssl_server_name_mismatch"),
    ("SSL handshake failure", "ssl_handshake_failure"),
    ("SSL handshake failure after heartbeat", "ssl_handshake_failure_after_heartbeat"),
    ("Stopped a TLSv1 heartbeat attack (CVE-2014-0160)", "ssl_heartbeat_attack"),
    ("Attempt to use SSL on an unknown target (internal error)", "ssl_unknown_target"),
    ("Server refused early data", "ssl_early_data_refused"),
    ("SOCKS4 Proxy write error during handshake", "socks4_write_error"),
    ("SOCKS4 Proxy read error during handshake", "socks4_read_error"),
    ("SOCKS4 Proxy deny the request", "socks4_denied"),
    ("SOCKS4 Proxy handshake aborted by server", "socks4_aborted"),
    ("SSL fatal error", "ssl_fatal_error"),
    ("Reverse connect failure", "reverse_connect_failure"),
    ("Poller reported POLLERR", "poll_error"),
    ("ECONNREFUSED returned by OS", "connection_refused"),
    ("ECONNRESET returned by OS", "connection_reset"),
    ("ENETUNREACH returned by OS", "network_unreachable"),
    ("ENOMEM returned by OS", "out_of_memory"),
    ("EBADF returned by OS", "bad_file_descriptor"),
    ("EFAULT returned by OS", "bad_address"),
    ("EINVAL returned by OS", "invalid_argument"),
    ("ENCONN returned by OS", "not_connected"),
    ("ENSOCK returned by OS", "not_a_socket"),
    ("ENOBUFS returned by OS", "out_of_buffers"),
    ("EPIPE returned by OS", "broken_pipe"),
];

/// A connection that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionError<'a> {
    /// From the client on.
    text: &'a [u8],
    /// Where the client ends; a space and the date follow.
    client_end: u32,
    /// Where the message starts.
    message_start: u32,
    /// Why, as a word, for example `ssl_handshake_failure`; `other` for a message that is not known.
    pub reason: &'static str,
}

impl<'a> ConnectionError<'a> {
    fn span(&self, start: u32, end: u32) -> &'a [u8] {
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }

    /// The client's address, `unix`, or `unknown`.
    pub fn client_ip(&self) -> &'a [u8] {
        split_client(self.span(0, self.client_end)).0
    }

    /// The client's port, or the listener's number for a unix socket; `None` for a client that is not known.
    pub fn client_port(&self) -> Option<u32> {
        let client = self.span(0, self.client_end);
        client.contains(&b':').then(|| split_client(client).1)
    }

    /// When the connection was accepted, `dd/Mon/yyyy:hh:mm:ss.mmm`, local time.
    pub fn accept_date(&self) -> &'a [u8] {
        self.span(self.client_end + 2, self.client_end + 26)
    }

    /// The frontend's name.
    pub fn frontend_name(&self) -> &'a [u8] {
        split_at(self.names(), b'/').0
    }

    /// The name of the `bind` line, or its number.
    pub fn listener(&self) -> &'a [u8] {
        split_at(self.names(), b'/').1
    }

    fn names(&self) -> &'a [u8] {
        self.span(self.client_end + 28, self.message_start.saturating_sub(2))
    }

    /// What HAProxy says, whole.
    pub fn message(&self) -> &'a [u8] {
        self.span(self.message_start, self.text.len() as u32)
    }

    /// What HAProxy adds to a known message in parentheses, such as OpenSSL's own words.
    pub fn detail(&self) -> Option<&'a [u8]> {
        let detail = look_up(self.message())?.1.strip_prefix(b" (")?;
        Some(detail.strip_suffix(b")").unwrap_or(detail))
    }

    /// True when the line ends inside the detail.
    pub fn truncated(&self) -> bool {
        self.detail().is_some() && !self.text.ends_with(b")")
    }
}

/// The word for `message`, and what follows the text that it stands for: nothing, or parentheses.
fn look_up(message: &[u8]) -> Option<(&'static str, &[u8])> {
    let all = REASONS.iter().chain([&UNKNOWN]);
    let known = all.filter_map(|(text, word)| Some((*word, message.strip_prefix(text.as_bytes())?)));
    known.into_iter().find(|(_, rest)| rest.is_empty() || rest.starts_with(b" ("))
}

/// The word for what HAProxy says about a connection that failed; `other` for what is not known.
pub(in crate::haproxy) fn reason_of(message: &[u8]) -> &'static str {
    look_up(message).map_or(OTHER, |(reason, _)| reason)
}

/// The word for the number that `fc_err` fetches; `other` for one that is not known.
pub(in crate::haproxy) fn reason_of_number(number: i64) -> &'static str {
    let known = usize::try_from(number).ok().and_then(|number| REASONS.get(number));
    known.map_or(OTHER, |(_, word)| *word)
}

/// The word for what OpenSSL complains of, whatever that is: HAProxy says more only in `fc_err` and `fc_err_str`.
pub(in crate::haproxy) const TLS_REASON: &str = "ssl_handshake_failure";

/// Reads on from the message, behind `FRONTEND/BIND: `. The client starts at `start` of the line.
pub(in crate::haproxy) fn parse<'a>(
    cursor: Cursor<'a>,
    start: usize,
    client_end: u32,
) -> Result<ConnectionError<'a>, Reject> {
    let message = cursor.rest();
    let reason = match look_up(message) {
        Some((reason, _)) => reason,
        None if REASONS.iter().chain([&UNKNOWN]).any(|(text, _)| text.as_bytes().starts_with(message)) => {
            return cursor.reject(Reason::Truncated, "reason");
        }
        None => OTHER,
    };
    let (text, start) = (cursor.line().get(start..).unwrap_or_default(), start as u32);
    let error = ConnectionError {
        text,
        client_end: client_end.saturating_sub(start),
        message_start: (cursor.at() as u32).saturating_sub(start),
        reason,
    };
    Ok(error)
}

/// Reads `unknown [DATE] FRONTEND/BIND: MESSAGE`.
pub(super) fn parse_unknown(line: &[u8], start: usize) -> Result<ConnectionError<'_>, Reject> {
    let mut cursor = Cursor::new(line, start);
    cursor.expect_text(b"unknown ", "client_ip")?;
    let client_end = cursor.field_end();
    date(&mut cursor)?;
    let names_start = cursor;
    let names = cursor.until(b' ', "frontend_name")?;
    if !is_listener(names) {
        return names_start.reject(Reason::Grammar, "frontend_name");
    }
    parse(cursor, start, client_end)
}

/// True for `FRONTEND/BIND:`.
pub(in crate::haproxy) fn is_listener(names: &[u8]) -> bool {
    let (frontend, listener) = split_at(names, b'/');
    !frontend.is_empty() && listener.len() > 1 && listener.ends_with(b":")
}
