//! The aliases of log-format, `%ci` and its kin, of HAProxy 2.4 to 3.2: which field each is, and how it is written.
//!
//! Field names are those of the catalogue; where it is silent, the manual's, with the unit behind. Several aliases can
//! be one field: `%t` and `%tr` are both the date (the second is that of the request, which differs from the first on
//! a connection that was kept alive), `%hr` and `%hrl` both the request's captures.

use super::grammar::Grammar::{self, *};

/// One alias. `%o`, which only sets flags, is none.
#[derive(Debug, PartialEq, Eq)]
pub struct Alias {
    /// What stands behind the `%`.
    pub letters: &'static str,
    /// Our name for the field.
    pub field: &'static str,
    /// The sample expression that yields the same, if there is one. (What it writes may differ: `+`, `?`, `HTTP/`.)
    pub fetch: Option<&'static str>,
    /// The first version of HAProxy that has it; `2.4` for that one or an earlier one.
    pub since: &'static str,
    /// True when the proxy's mode must be `http`. HAProxy 3.0 and later only warn.
    pub is_http: bool,
    /// How its values are written.
    pub grammar: Grammar,
}

impl Alias {
    /// The alias of these letters.
    pub fn of(letters: &str) -> Option<&'static Self> {
        ALIASES.iter().find(|alias| alias.letters == letters)
    }

    /// True when `+Q` puts its values between quotes (a port only when it is missing).
    pub const fn is_quotable(&self) -> bool {
        self.grammar.is_quotable()
    }

    const fn tcp(letters: &'static str, field: &'static str, fetch: Option<&'static str>, grammar: Grammar) -> Self {
        Self { letters, field, fetch, since: "2.4", is_http: false, grammar }
    }

    const fn http(letters: &'static str, field: &'static str, fetch: Option<&'static str>, grammar: Grammar) -> Self {
        Self { is_http: true, ..Self::tcp(letters, field, fetch, grammar) }
    }
}

/// What somebody may have meant by letters that are no alias; a sentence's end, or nothing.
pub(super) fn advice(letters: &str) -> String {
    let near = |alias: &&Alias| alias.letters.eq_ignore_ascii_case(letters);
    if let Some((_, now)) = REMOVED.iter().find(|(before, _)| *before == letters) {
        return format!("; it was removed in HAProxy 2.4: write %{now}");
    }
    if let Some(alias) = ALIASES.iter().find(near) {
        return format!("; did you mean %{} ({})?", alias.letters, alias.field);
    }
    let starts = ALIASES.iter().filter(|alias| letters.starts_with(alias.letters));
    match starts.max_by_key(|alias| alias.letters.len()) {
        Some(alias) => {
            let rest = letters.get(alias.letters.len()..).unwrap_or_default();
            let letters = alias.letters;
            format!(
                "; did you mean %{letters} ({})? What follows it, '{rest}', must not be a letter or digit",
                alias.field
            )
        }
        None => "; a percent sign is written %%".to_owned(),
    }
}

/// Letters of old, and those that took their place.
const REMOVED: &[(&str, &str)] = &[
    ("Bi", "bi"),
    ("Bp", "bp"),
    ("Ci", "ci"),
    ("Cp", "cp"),
    ("Fi", "fi"),
    ("Fp", "fp"),
    ("Si", "si"),
    ("Sp", "sp"),
    ("cc", "CC"),
    ("cs", "CS"),
    ("st", "ST"),
];

/// Every alias.
pub static ALIASES: &[Alias] = &[
    // Addresses and names.
    Alias::tcp("ci", "client_ip", Some("src"), Address),
    Alias::tcp("cp", "client_port", Some("src_port"), Port),
    Alias::tcp("fi", "frontend_ip", Some("dst"), Address),
    Alias::tcp("fp", "frontend_port", Some("dst_port"), Port),
    Alias::tcp("bi", "backend_source_ip", Some("bc_src"), Address),
    Alias::tcp("bp", "backend_source_port", Some("bc_src_port"), Port),
    Alias::tcp("si", "server_ip", Some("bc_dst"), Address),
    Alias::tcp("sp", "server_port", Some("bc_dst_port"), Port),
    Alias::tcp("f", "frontend_name", Some("fe_name"), Name),
    Alias::tcp("ft", "frontend_name", None, NameTls),
    Alias::tcp("b", "backend_name", Some("be_name"), Name),
    Alias::tcp("s", "server_name", Some("srv_name"), Name),
    // Dates.
    Alias::tcp("t", "accept_date", Some("accept_date(ms),ms_ltime(\"%d/%b/%Y:%H:%M:%S.%3N\")"), Date),
    Alias::tcp("T", "accept_date", Some("accept_date,utime(\"%d/%b/%Y:%H:%M:%S %z\")"), DateUtc),
    Alias::tcp("Tl", "accept_date", Some("accept_date,ltime(\"%d/%b/%Y:%H:%M:%S %z\")"), DateLocal),
    Alias::http("tr", "accept_date", Some("request_date(ms),ms_ltime(\"%d/%b/%Y:%H:%M:%S.%3N\")"), Date),
    Alias::http("trg", "accept_date", Some("request_date,utime(\"%d/%b/%Y:%H:%M:%S %z\")"), DateUtc),
    Alias::http("trl", "accept_date", Some("request_date,ltime(\"%d/%b/%Y:%H:%M:%S %z\")"), DateLocal),
    Alias::tcp("Ts", "accept_date_seconds", Some("accept_date"), Seconds),
    Alias::tcp("ms", "accept_date_ms", Some("accept_date(ms),ms_utime(\"%3N\")"), Milliseconds),
    // Timers, in milliseconds.
    Alias::http("TR", "time_request_ms", Some("req.timer.hdr"), Timer),
    Alias::tcp("Tw", "time_queue_ms", Some("req.timer.queue"), Timer),
    Alias::tcp("Tc", "time_connect_ms", Some("bc.timer.connect"), Timer),
    Alias::http("Tr", "time_response_ms", Some("res.timer.hdr"), Timer),
    Alias::http("Ta", "time_active_ms", Some("txn.timer.total"), TotalTimer),
    Alias::tcp("Tt", "time_total_ms", Some("fc.timer.total"), TotalTimer),
    Alias::tcp("Tu", "time_user_ms", Some("txn.timer.user"), TotalTimer),
    Alias::tcp("Th", "time_handshake_ms", Some("fc.timer.handshake"), Timer),
    Alias::http("Ti", "time_idle_ms", Some("req.timer.idle"), Timer),
    Alias::http("Tq", "time_until_request_ms", Some("req.timer.tq"), Timer),
    Alias::tcp("Td", "time_data_ms", Some("res.timer.data"), Timer),
    // How it ended.
    Alias::tcp("ST", "status_code", Some("txn.status"), Status),
    Alias::tcp("B", "bytes_read", Some("bytes_out"), Bytes),
    Alias::tcp("U", "request_bytes", Some("bytes_in"), Number),
    Alias::tcp("ts", "termination_state", Some("txn.sess_term_state"), Termination(2)),
    Alias::tcp("tsc", "termination_state", None, Termination(4)),
    // Connections and queues.
    Alias::tcp("ac", "actconn", Some("act_conn"), Number),
    Alias::tcp("fc", "feconn", Some("fe_conn"), Number),
    Alias::tcp("bc", "beconn", Some("be_conn"), Number),
    Alias::tcp("sc", "srv_conn", None, Number),
    Alias::tcp("rc", "retries", Some("txn.conn_retries"), Retries),
    Alias::tcp("sq", "srv_queue", Some("bc_srv_queue"), Number),
    Alias::tcp("bq", "backend_queue", Some("bc_be_queue"), Number),
    // The request.
    Alias::http("r", "http_request", None, Request),
    Alias::http("HM", "http_request_method", Some("method"), Method),
    Alias::http("HP", "http_request_path", None, Path),
    Alias::http("HPO", "http_request_path", Some("path"), Path),
    Alias::http("HQ", "http_request_query", Some("query"), Query),
    Alias::http("HU", "http_request_uri", Some("capture.req.uri"), Uri),
    Alias::http("HV", "http_version", Some("req.ver"), Version),
    // Captures.
    Alias::http("CC", "request_cookie", None, Cookie),
    Alias::http("CS", "response_cookie", None, Cookie),
    Alias::tcp("hr", "request_headers", None, Captures),
    Alias::tcp("hrl", "request_headers", None, CaptureList),
    Alias::tcp("hs", "response_headers", None, Captures),
    Alias::tcp("hsl", "response_headers", None, CaptureList),
    // TLS.
    Alias::tcp("sslv", "ssl_version", Some("ssl_fc_protocol"), Word),
    Alias::tcp("sslc", "ssl_ciphers", Some("ssl_fc_cipher"), Word),
    // The process and its lines.
    Alias::tcp("H", "hostname", Some("hostname"), Word),
    Alias::tcp("ID", "unique_id", Some("unique-id"), Text),
    Alias::tcp("pid", "pid", Some("pid"), Counter),
    Alias::tcp("lc", "log_counter", None, Counter),
    Alias::tcp("rt", "request_counter", Some("txn.id32"), Counter),
    Alias { since: "3.1", ..Alias::tcp("OG", "log_origin", None, Word) },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_unique_and_alphabetic() {
        for (index, alias) in ALIASES.iter().enumerate() {
            assert!(alias.letters.bytes().all(|byte| byte.is_ascii_alphabetic()), "{alias:?}");
            assert!(ALIASES[..index].iter().all(|other| other.letters != alias.letters), "{alias:?}");
            assert!(alias.field.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{alias:?}");
        }
        assert_eq!(ALIASES.len(), 64);
    }

    #[test]
    fn times_carry_their_unit() {
        for alias in ALIASES.iter().filter(|alias| matches!(alias.grammar, Timer | TotalTimer)) {
            assert!(alias.field.starts_with("time_") && alias.field.ends_with("_ms"), "{alias:?}");
        }
    }

    #[test]
    fn removed_letters_name_their_heirs() {
        for (before, now) in REMOVED {
            assert!(Alias::of(before).is_none() && Alias::of(now).is_some(), "{before}");
        }
        assert_eq!(advice("Ci"), "; it was removed in HAProxy 2.4: write %ci");
        assert_eq!(advice("sT"), "; did you mean %ST (status_code)?");
        assert_eq!(
            advice("cims"),
            "; did you mean %ci (client_ip)? What follows it, 'ms', must not be a letter or digit"
        );
        assert_eq!(advice("x"), "; a percent sign is written %%");
    }
}
