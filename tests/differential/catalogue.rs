//! What formats are made of: HAProxy's aliases, and sample expressions that say the same each time they are asked
//! within a line.

/// Which proxies know an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Http,
    Tcp,
}

/// Aliases that every proxy knows, in 2.4 to 3.2.
const ANY: &[&str] = &[
    "B", "H", "ID", "ST", "T", "Tc", "Td", "Th", "Tl", "Ts", "Tt", "Tu", "Tw", "U", "ac", "b", "bc", "bi", "bp", "bq",
    "ci", "cp", "f", "fc", "fi", "fp", "ft", "hr", "hrl", "hs", "hsl", "lc", "ms", "pid", "rc", "rt", "s", "sc", "si",
    "sp", "sq", "sslc", "sslv", "t", "ts", "tsc",
];

/// Aliases of HTTP proxies.
const HTTP: &[&str] =
    &["CC", "CS", "HM", "HP", "HPO", "HQ", "HU", "HV", "TR", "Ta", "Ti", "Tq", "Tr", "r", "tr", "trg", "trl"];

/// Aliases that write an address: with `+X` and a client on a Unix socket HAProxy ends the line there.
pub(crate) const CLIENT_ADDRESSES: &[&str] = &["ci", "fi"];

/// Aliases that write nothing, and after which spaces are still merged, when nothing was captured.
pub(crate) const CAPTURES: &[&str] = &["hr", "hrl", "hs", "hsl"];

/// Expressions that some HAProxy accepts. Which of them this one does is asked before they are used.
pub(crate) const EXPRESSIONS: &[&str] = &[
    // Of the connection and the proxies.
    "src",
    "src_port",
    "dst",
    "dst_port",
    "src,ipmask(24,64)",
    "fe_name",
    "fe_id",
    "be_name",
    "be_id",
    "srv_name",
    "srv_id",
    "so_id",
    "so_name",
    "fc_err",
    "fc_err_str",
    "bc_err",
    "fc_http_major",
    "unique-id",
    "hostname",
    "pid",
    "accept_date",
    "accept_date(ms)",
    "request_date",
    r#"accept_date,ltime("%Y %b")"#,
    "fc_rcvd_proxy",
    "fc_pp_authority",
    "last_rule_file",
    "last_rule_line",
    "lat_ns_tot",
    "txn.conn_retries",
    "txn.redispatched",
    "txn.sess_term_state",
    "term_events",
    "act_conn",
    "fe_conn",
    // Of TLS.
    "ssl_fc",
    "ssl_fc_sni",
    "ssl_fc_sni,lower",
    "ssl_fc_protocol",
    "ssl_fc_cipher",
    "ssl_fc_alpn",
    "ssl_fc_err",
    "ssl_fc_err,hex",
    "ssl_fc_err_str",
    "ssl_fc_is_resumed",
    "ssl_fc_has_sni",
    "ssl_fc_session_id,hex",
    "ssl_fc_use_keysize",
    "ssl_c_err",
    "ssl_c_ca_err",
    "ssl_c_used",
    "ssl_f_sha1,hex",
    "ssl_f_s_dn",
    // Of the transaction.
    "status",
    "txn.status",
    "method",
    "http_first_req",
    "capture.req.method",
    "capture.req.uri",
    "capture.req.uri,url_dec",
    "capture.req.ver",
    "capture.res.ver",
    "capture.req.hdr(0)",
    "capture.req.hdr(1)",
    "capture.req.hdr(0),lower",
    "capture.req.hdr(0),json(utf8s)",
    "capture.req.hdr(0),hex",
    "capture.req.hdr(0),base64",
    "capture.req.hdr(0),length",
    "capture.req.hdr(0),field(2,|)",
    "capture.res.hdr(0)",
    "var(txn.agent)",
    "var(txn.agent),hex",
    "var(txn.agent),word(1,/)",
    "var(txn.host)",
    "var(txn.path)",
    "var(txn.query)",
    "var(txn.cookies)",
    "var(txn.number)",
    "var(txn.number),add(1)",
    "var(txn.flag)",
    "var(txn.binary)",
    "var(txn.unset)",
    r#"var(txn.unset,"none here")"#,
    // Timers and sizes of later versions.
    "bc.timer.connect",
    "fc.timer.handshake",
    "fc.timer.total",
    "req.timer.hdr",
    "req.timer.idle",
    "req.timer.queue",
    "req.timer.tq",
    "res.timer.data",
    "res.timer.hdr",
    "txn.timer.total",
    "txn.timer.user",
    "req.bytes_in",
    "res.bytes_in",
    "bytes_in",
    "bytes_out",
    // Constants.
    "str(constant)",
    r#"str("two words, quoted")"#,
    "str(a]b)",
    "str(),length",
    "int(-5)",
    "bool(true)",
    "ipv4(192.0.2.7)",
    "ipv6(2001:db8::7)",
    "bin(00ff41)",
    "bin(4100ff)",
];

/// What said that a line is to be written: `txn_close`, `sess_error`. Since 3.1.
const ORIGIN: &str = "OG";

/// The aliases of a proxy in a version.
pub(crate) fn aliases(mode: Mode, version: (u32, u32)) -> Vec<&'static str> {
    let http: &[&str] = if mode == Mode::Http { HTTP } else { &[] };
    let later: &[&str] = if version >= (3, 1) { &[ORIGIN] } else { &[] };
    [ANY, http, later].concat()
}
