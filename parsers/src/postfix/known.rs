//! Lines that nothing counts: what they begin with, and a word for each kind.

use super::scan;
use super::words::Daemon;
use crate::cursor::Cursor;

/// Lines of any program, without a queue id.
const LINES: &[(&[u8], &str)] = &[
    (b"table ", "restart"),
    (b"using backwards-compatible default setting ", "compatibility"),
    (b"Postfix is using backwards-compatible ", "compatibility"),
    (b"See http", "compatibility"),
    (b"To disable backwards compatibility ", "compatibility"),
    (b"discarding EHLO keywords", "ehlo_keywords"),
    (b"mapping DSN status ", "dsn_mapping"),
    (b"skipping ", "address_skipped"),
    (b"ignoring DNS RR: ", "dns_filter"),
    (b"Host offered STARTTLS: ", "starttls_offered"),
    (b"host ", "server_note"),
    (b"SMTPS wrappermode ", "server_note"),
    (b"lost connection with ", "server_lost"),
    (b"conversation with ", "server_lost"),
    (b"certificate verification failed for ", "certificate"),
    (b"Client certificate verification failed for ", "certificate"),
    (b"Server certificate verification failed for ", "certificate"),
    (b"server certificate verification failed for ", "certificate"),
    (b"client certificate verification failed for ", "certificate"),
    (b"Server certificate ", "certificate"),
    (b"cannot load ", "certificate"),
    (b"cannot set default ", "certificate"),
    (b"subject=", "certificate"),
    (b"issuer=", "certificate"),
    (b"Verified ", "certificate"),
    (b"Peer certificate ", "certificate"),
    (b"Peer verification: ", "certificate"),
    (b"Unverified: ", "certificate"),
    (b"SSL_accept error from ", "tls_failure"),
    (b"SSL_connect error to ", "tls_failure"),
    (b"SSL_set_fd error ", "tls_failure"),
    (b"TLS handshake failed for ", "tls_failure"),
    (b"Cannot start TLS: ", "tls_failure"),
    (b"TLS SNI ", "tls_sni"),
    (b"TLSRPT: ", "tlsrpt"),
    (b"TLS support is not compiled in", "tls_session"),
    (b"setting up TLS connection ", "tls_session"),
    (b"starting TLS engine", "tls_session"),
    (b"initializing the ", "tls_session"),
    (b"Reusing old session", "tls_session"),
    (b"looking for session ", "tls_session"),
    (b"looking up session ", "tls_session"),
    (b"reloaded session ", "tls_session"),
    (b"save session ", "tls_session"),
    (b"remove session ", "tls_session"),
    (b"write ", "tls_trace"),
    (b"read ", "tls_trace"),
    (b"Read ", "tls_trace"),
    (b"Write ", "tls_trace"),
    (b"SSL_", "tls_trace"),
    (b"SSL3 ", "tls_trace"),
    (b"lookup ", "tls_cache"),
    (b"put ", "tls_cache"),
    (b"delete ", "tls_cache"),
    (b"open ", "tls_cache"),
    (b"close ", "tls_cache"),
    (b"statistics: ", "statistics"),
    (b"cache ", "cache_cleanup"),
    (b"database ", "database"),
    (b"close database ", "database"),
    (b"daemon started ", "start"),
    (b"starting the Postfix ", "command"),
    (b"stopping the Postfix ", "command"),
    (b"refreshing the Postfix ", "command"),
    (b"aborting the Postfix ", "command"),
    (b"waiting for the Postfix ", "command"),
    (b"the Postfix ", "command"),
    (b"reload ", "reload"),
    (b"terminating on signal ", "stop"),
    (b"master exit time has arrived", "stop"),
    (b"ignoring status update ", "process"),
    (b"reject: ETRN ", "etrn"),
    (b"done ", "queue_scan"),
    (b"entering STRESS mode ", "stress"),
    (b"leaving STRESS mode ", "stress"),
    (b"CONNECT ", "tlsproxy_session"),
    (b"DISCONNECT ", "postscreen_disconnect"),
    (b"cannot read from entropy device ", "entropy"),
    (b"lost connection to EGD server ", "entropy"),
    (b"exiting to reopen external entropy source ", "entropy"),
    (b"cannot write to EGD server ", "entropy"),
    (b"cannot read ", "entropy"),
    (b"EGD server ", "entropy"),
    (b"milter ", "milter"),
    (b"event: ", "milter"),
    (b"running: ", "debugger"),
    (b"premature end-of-input ", "lost_client"),
    (b"client ", "lost_client"),
    (b"unable to ", "server_note"),
    (b"mail for ", "server_note"),
    (b"client TLS configuration problem", "server_note"),
];

/// Lines about a message, behind its queue id. `smtp.rs` has those that say more.
const ABOUT_MESSAGES: &[(&[u8], &str)] = &[
    (b"skipped, still being delivered", "still_active"),
    (b"status=deferred (", "deferred"),
    (b"passing <", "passed_on"),
    (b"requeued", "requeued"),
    (b"placed on hold", "held"),
    (b"released from hold", "released"),
    (b"expired", "force_expired"),
    (b"not sending trace/success notification", "no_notification"),
    (b"enabling PIX workarounds: ", "pix_workaround"),
    (b"breaking line > ", "long_line"),
    (b"host ", "server_reply"),
    (b"lost connection with ", "server_lost"),
    (b"conversation with ", "server_lost"),
    (b"connect to ", "server_lost"),
    (b"TLS is required, ", "tls_failure"),
    (b"Cannot start TLS: ", "tls_failure"),
    (b"Server certificate not ", "certificate"),
    (b"SASL authentication failed", "server_login"),
    (b"Sender requires verified TLS", "tls_failure"),
    (b"client TLS configuration problem", "server_note"),
    (b"mail for ", "server_note"),
    (b"message size ", "server_note"),
    (b"local data error while talking to ", "server_note"),
    (b"unexpected server message", "server_note"),
    (b"SMTPUTF8 is required", "server_note"),
    (b"unable to ", "server_note"),
    (b"Server configuration error", "server_note"),
    (b"server configuration error", "server_note"),
    (b"server unavailable ", "server_note"),
    (b"Temporary lookup error", "server_note"),
    (b"TLSA lookup error ", "tls_failure"),
    (b"network address conversion failed", "server_note"),
    (b"masquerade_exceptions map lookup problem", "lookup"),
];

/// The kind of a line without a queue id.
pub(super) fn line(cursor: Cursor<'_>, daemon: Daemon) -> Option<&'static str> {
    let text = cursor.rest();
    match daemon {
        // They pass on what others give them, or are run by hand.
        Daemon::Postlog | Daemon::Postlogd => return Some("text"),
        Daemon::Postfix
        | Daemon::PostfixScript
        | Daemon::PostTls
        | Daemon::PostWrapper
        | Daemon::PostInstall
        | Daemon::PostTlsFinger
        | Daemon::Postmulti
        | Daemon::Postsuper
        | Daemon::Postconf
        | Daemon::Postmap
        | Daemon::Postalias
        | Daemon::Postqueue
        | Daemon::Postkick
        | Daemon::Postlock
        | Daemon::Postcat
        | Daemon::Postdrop
        | Daemon::Sendmail => return Some("command"),
        Daemon::Tlsproxy if text.starts_with(b"DISCONNECT ") => return Some("tlsproxy_session"),
        _ => {}
    }
    if let Some((_, kind)) = LINES.iter().find(|(start, _)| scan::begins(text, start)) {
        return Some(kind);
    }
    // `smtpd_tls_loglevel`, `smtpd_command_filter` and their like write the other side first.
    let mut ahead = cursor;
    if scan::peer(&mut ahead, "client").is_ok() && ahead.take_text(b": ") {
        return Some("session_note");
    }
    // `verbose`: `> NAME[ADDRESS]: 250 …` and `< NAME[ADDRESS]: EHLO …`.
    if text.starts_with(b"> ") || text.starts_with(b"< ") {
        return Some("transcript");
    }
    // Tables and caches: `hash:/etc/aliases cache cleanup …`, `begin … address list`.
    const WITHIN: [&[u8]; 2] = [b" TLS cache", b" cache cleanup"];
    let is_cache = WITHIN.iter().any(|part| memchr::memmem::find(text, part).is_some());
    is_cache.then_some("cache_cleanup")
}

/// The kind of a line about a message: what stands behind its queue id.
pub(super) fn of_message(text: &[u8], daemon: Daemon) -> Option<&'static str> {
    if daemon == Daemon::Postsuper {
        return Some("command");
    }
    if daemon == Daemon::Qmqpd {
        return Some("lost_client");
    }
    ABOUT_MESSAGES.iter().find(|(start, _)| scan::begins(text, start)).map(|(_, kind)| *kind)
}
