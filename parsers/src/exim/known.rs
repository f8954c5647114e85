//! What Exim writes besides: how known lines begin, or what they hold, and a word for each kind.
//!
//! Nothing counts them. Lines that are about a message are looked up without its id.

/// How lines begin.
const BEGINNINGS: [(&[u8], &str); 71] = [
    (b"Start queue run: ", "queue_run"),
    (b"Start '", "queue_run"),
    (b"End queue run: ", "queue_run"),
    (b"End '", "queue_run"),
    (b"Abandon queue run: ", "queue_run"),
    (b"notify triggered queue run", "queue_run"),
    (b"exim ", "daemon"),
    (b"pid ", "daemon"),
    (b"socket bind() to port ", "daemon"),
    (b"listen backlog ", "daemon"),
    (b"cwd=", "arguments"),
    (b"SMTP connection ", "connection"),
    (b"SMTP connection from ", "connection"),
    (b"no MAIL in ", "connection"),
    (b"unexpected disconnection while reading SMTP command from ", "lost_connection"),
    (b"unexpected EOF while reading SMTP command from ", "lost_connection"),
    (b"SMTP command timeout on ", "lost_connection"),
    (b"SMTP data timeout (", "lost_connection"),
    (b"timed out while reading local message", "lost_connection"),
    (b"SIGTERM received while reading local message", "lost_connection"),
    (b"SIGINT received while reading local message", "lost_connection"),
    (b"TLS error ", "tls_error"),
    (b"TLS ALPN (", "tls_error"),
    (b"SSL_write", "tls_error"),
    (b"SSL verify ", "tls_error"),
    (b"SSL channel closed on write", "tls_error"),
    (b"Server certificate ", "tls_error"),
    (b"Required TLS certificate status not received", "tls_error"),
    (b"Received TLS cert status response", "tls_error"),
    (b"DANE error: ", "tls_error"),
    (b"DANE attempt failed; ", "tls_error"),
    (b"SMTP syntax error in ", "smtp_error"),
    (b"SMTP protocol error in ", "smtp_error"),
    (b"ETRN ", "etrn"),
    (b"VRFY failed for ", "vrfy"),
    (b"ignoring AUTH=", "smtp_error"),
    (b"no host name found for IP address ", "host_lookup"),
    (b"no IP address found for host ", "host_lookup"),
    (b"host name alias list truncated for ", "host_lookup"),
    (b"ident connection to ", "host_lookup"),
    (b"dnssec fail on ", "host_lookup"),
    (b"Long ", "slow_lookup"),
    (b"no immediate delivery: ", "delayed"),
    (b"Message is frozen", "frozen"),
    (b"Frozen", "frozen"),
    (b"frozen by ", "frozen"),
    (b"unfrozen by ", "frozen"),
    (b"Unfrozen by ", "frozen"),
    (b"removed by ", "removed"),
    (b"cancelled by ", "removed"),
    (b"Message removed because older than ", "removed"),
    (b"address <", "changed"),
    (b"recipient <", "changed"),
    (b"sender address changed to <", "changed"),
    (b"original recipients ignored (system filter)", "changed"),
    (b"Delivery deferred by system filter", "changed"),
    (b"Spool file ", "spool"),
    (b"Spool ", "spool"),
    (b"Format error in spool file ", "spool"),
    (b"Error reading spool file ", "spool"),
    (b"Message abandoned: ", "spool"),
    (b"spool directory space check failed", "spool"),
    (b"log directory space check failed", "spool"),
    (b"retry time not reached", "delayed"),
    (b"DKIM: ", "dkim"),
    (b"DMARC ", "dmarc"),
    (b"ARC: ", "arc"),
    (b"PRDR ", "prdr"),
    (b"qualify/rewrite: ", "rewritten"),
    (b"Process failed (", "process"),
    (b"Warning: ", "warning"),
];

/// What lines hold that begin with a name.
const HELD: [(&[u8], &str); 9] = [
    (b": error ignored", "error_ignored"),
    (b" authenticator failed H=", "client_authentication_failure"),
    (b" authenticator cancelled authentication H=", "client_authentication_failure"),
    (b" transport output: ", "transport_output"),
    (b" transport process ", "process"),
    (b" rewritten as \"", "rewritten"),
    (b" from env-from rewritten as ", "rewritten"),
    (b" router: ", "router_error"),
    (b"SSL verify error", "tls_error"),
];

/// The kind of a message, if it is known.
pub(super) fn kind(text: &[u8]) -> Option<&'static str> {
    if let Some((_, kind)) = BEGINNINGS.iter().find(|(words, _)| text.starts_with(words)) {
        return Some(kind);
    }
    HELD.iter().find(|(words, _)| memchr::memmem::find(text, words).is_some()).map(|(_, kind)| *kind)
}

/// The kind of a message on a host that mail could not be delivered to.
pub(super) const HOST_ERROR: &str = "host_error";

/// The kind of a message that starts with a client, by what stands behind it.
pub(super) fn of_client(text: &[u8]) -> &'static str {
    const KINDS: [(&[u8], &str); 7] = [
        (b"sender verify ", "sender_verify"),
        (b"Warning: ", "warning"),
        (b"RCPT ", "discarded"),
        (b"incomplete transaction (", "incomplete_transaction"),
        (b"dropped by ", "dropped"),
        (b"TLS error on connection ", "tls_error"),
        (b"discarded by ", "discarded"),
    ];
    KINDS.iter().find(|(words, _)| text.starts_with(words)).map_or(HOST_ERROR, |(_, kind)| kind)
}
