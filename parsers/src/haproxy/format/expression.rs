//! Sample expressions in log-format: `%[fetch(arguments),converter(arguments),…]`.
//!
//! ```text
//! %[ssl_fc_err,hex]  %[req.hdr(host),lower]  %[capture.req.hdr(0)]  %[path,regsub("[0-9]+",N,g)]
//! ```
//!
//! A fetch that is known gives its field and its grammar. The field stays under that name as long as the converters
//! leave its meaning alone: `%[txn.timer.total,div(1000)]` is no longer milliseconds, and is called by its own text.
//! What the request itself says (`path`, `method`, `req.hdr`) HAProxy refuses in a log-format, since it is gone when the
//! log is written: there, `capture.req.*` and `var` stand for it. They are known all the same.
//!
//! An unknown fetch is no mistake, since Lua and later versions add more: it is text that can hold anything.

use super::grammar::Grammar::{self, *};
use super::lexer::Mistake;

/// What stands between `%[` and `]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    /// The sample fetch's name.
    pub fetch: String,
    /// Its arguments, without quotes and backslashes.
    pub arguments: Vec<String>,
    /// The converters, in their order.
    pub converters: Vec<Converter>,
    /// All of it, as it is written.
    pub text: String,
    /// Our name for the field; `text` where there is none.
    pub field: String,
    /// How its values are written. All of them can be missing.
    pub grammar: Grammar,
}

/// One converter of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converter {
    /// Its name.
    pub name: String,
    /// Its arguments, without quotes and backslashes.
    pub arguments: Vec<String>,
}

impl Expression {
    /// Reads the expression at `start` of `format`, behind `%[`; also tells where its `]` stands.
    pub(super) fn read(format: &str, start: usize) -> Result<(Self, usize), Mistake> {
        let mut cursor = Cursor { format, at: start };
        let fetch = cursor.name();
        if fetch.is_empty() {
            return cursor.mistake("a sample fetch must follow %[ at once, for example %[src]");
        }
        let arguments = cursor.arguments(fetch)?;
        let mut converters = Vec::new();
        while cursor.peek() == Some(b',') {
            while cursor.peek() == Some(b',') {
                cursor.at += 1;
            }
            let name = cursor.name();
            if name.is_empty() {
                return cursor.mistake("a converter must follow the comma, for example %[src,ipmask(24)]");
            }
            converters.push(Converter { name: name.to_owned(), arguments: cursor.arguments(name)? });
        }
        if cursor.peek() != Some(b']') {
            let message = match cursor.rest().chars().next() {
                Some(found) => format!("expected ']' or ',' after this part of the expression, but found '{found}'"),
                None => "the expression's ']' is missing".to_owned(),
            };
            return Err(Mistake { column: cursor.at, message });
        }
        let text = format.get(start..cursor.at).unwrap_or_default().to_owned();
        let (field, grammar) = classify(fetch, &arguments);
        let is_kept = converters.iter().all(|converter| KEEPING.contains(&converter.name.as_str()));
        let field = field.filter(|_| is_kept).unwrap_or_else(|| text.clone());
        let grammar = converters.iter().fold(grammar, convert);
        Ok((Self { fetch: fetch.to_owned(), arguments, converters, text, field, grammar }, cursor.at))
    }
}

/// A sample fetch that is a field of ours when it has no arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Its name.
    pub name: &'static str,
    /// Our name for the field.
    pub field: &'static str,
    /// The first version of HAProxy that has it; `2.4` for that one or an earlier one.
    pub since: &'static str,
    /// How its values are written, before any converter.
    pub grammar: Grammar,
    /// HAProxy refuses it in a log-format: what it fetches is gone when the line is written.
    pub is_gone: bool,
}

/// All of them.
pub fn fetches() -> impl Iterator<Item = Fetch> {
    KNOWN.iter().map(|(name, field, grammar)| {
        let is_of = |(_, names): &&(&str, &str)| names.split_ascii_whitespace().any(|listed| listed == *name);
        let since = LATER.iter().find(is_of).map_or("2.4", |(since, _)| since);
        Fetch { name, field, since, grammar: *grammar, is_gone: GONE.contains(name) }
    })
}

/// A place in the format.
struct Cursor<'a> {
    format: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        self.format.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.format.as_bytes().get(self.at).copied()
    }

    fn mistake<T>(&self, message: &str) -> Result<T, Mistake> {
        Err(Mistake { column: self.at, message: message.to_owned() })
    }

    /// The name of a fetch or a converter.
    fn name(&mut self) -> &'a str {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+' | b':');
        let rest = self.rest();
        let length = rest.bytes().take_while(|byte| is_part(*byte)).count();
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// `(a,"b c",'d')` or nothing. The first `)` outside of quotes ends it: HAProxy does not count brackets.
    fn arguments(&mut self, owner: &str) -> Result<Vec<String>, Mistake> {
        let start = self.at;
        if self.peek() != Some(b'(') {
            return Ok(Vec::new());
        }
        self.at += 1;
        let mut arguments = Vec::new();
        let mut argument = String::new();
        let mut quote = None;
        let mut is_escaped = false;
        for character in self.rest().chars() {
            self.at += character.len_utf8();
            if core::mem::take(&mut is_escaped) {
                match character {
                    '\\' | ' ' | '"' | '\'' => argument.push(character),
                    'r' => argument.push('\r'),
                    'n' => argument.push('\n'),
                    't' => argument.push('\t'),
                    // A lone backslash: what follows keeps its meaning.
                    _ => argument.push('\\'),
                }
                if matches!(character, '\\' | ' ' | '"' | '\'' | 'r' | 'n' | 't') {
                    continue;
                }
            }
            match (character, quote) {
                ('"' | '\'', None) => quote = Some(character),
                ('"' | '\'', Some(open)) if open == character => quote = None,
                ('\\', None | Some('"')) => is_escaped = true,
                (',', None) => arguments.push(core::mem::take(&mut argument)),
                (')', None) => {
                    if !arguments.is_empty() || !argument.is_empty() {
                        arguments.push(argument);
                    }
                    return Ok(arguments);
                }
                _ => argument.push(character),
            }
        }
        let why = match quote {
            Some(quote) => format!("a {quote} inside of it is not closed"),
            None => "its ')' is missing".to_owned(),
        };
        Err(Mistake { column: start, message: format!("the arguments of {owner} do not end: {why}") })
    }
}

/// The field and the grammar of a fetch.
fn classify(fetch: &str, arguments: &[String]) -> (Option<String>, Grammar) {
    let first = arguments.first().map_or("", String::as_str);
    let known = KNOWN.iter().find(|(name, ..)| *name == fetch);
    // With arguments, most are something else: another proxy's connections, a date in other units.
    if let Some((_, field, grammar)) = known.filter(|_| first.is_empty()) {
        return (Some((*field).to_owned()), *grammar);
    }
    let header = |prefix: &str| {
        let name = first.chars().map(|part| if part.is_ascii_alphanumeric() { part.to_ascii_lowercase() } else { '_' });
        (!first.is_empty()).then(|| prefix.chars().chain(name).collect())
    };
    let capture = |prefix: &str| {
        let number = first.parse::<u32>().ok()?.checked_add(1)?;
        Some(format!("{prefix}{number}"))
    };
    match fetch {
        "req.hdr" | "req.fhdr" | "hdr" => (header("request_header_"), Text),
        "res.hdr" | "res.fhdr" | "shdr" => (header("response_header_"), Text),
        "capture.req.hdr" => (capture("request_header_"), Text),
        "capture.res.hdr" => (capture("response_header_"), Text),
        "var" if !first.is_empty() => (Some(first.to_owned()), Text),
        _ => (None, type_of(fetch)),
    }
}

/// The grammar of a fetch that is no field of ours.
fn type_of(fetch: &str) -> Grammar {
    // What stick tables count: sc0_conn_cnt, sc_conn_cnt(0), src_conn_cnt.
    let counter = ["sc0_", "sc1_", "sc2_", "sc_", "src_"].iter().find_map(|prefix| fetch.strip_prefix(prefix));
    let is_listed = |list: &str, name: &str| list.split_ascii_whitespace().any(|listed| listed == name);
    match fetch {
        _ if is_listed(INTEGERS, fetch) => Integer,
        _ if is_listed(BOOLEANS, fetch) => Boolean,
        _ if is_listed(ADDRESSES, fetch) => Address,
        _ if counter.is_some_and(|counter| is_listed(COUNTERS, counter)) => Integer,
        _ => Text,
    }
}

/// The grammar behind a converter.
fn convert(before: Grammar, converter: &Converter) -> Grammar {
    let is_listed = |list: &str| list.split_ascii_whitespace().any(|listed| listed == converter.name);
    match converter.name.as_str() {
        "hex" => Hexadecimal,
        "base64" | "ub64enc" => Base64,
        "url_enc" => UrlEncoded,
        // The same as came in, or less of it.
        "lower" | "upper" | "ltrim" | "rtrim" | "cut_crlf" | "debug" | "set-var" | "when" if before != Hexadecimal => {
            before
        }
        "debug" | "set-var" | "when" => before,
        name if name.starts_with("table_") => Integer,
        name if name.starts_with("map") && name.ends_with("_int") && name != "map_int" => Integer,
        name if name.starts_with("map") && name.ends_with("_ip") && name != "map_ip" => Address,
        _ if is_listed(TO_INTEGER) => Integer,
        _ if is_listed(TO_BOOLEAN) => Boolean,
        "ipmask" => Address,
        _ => Text,
    }
}

/// Converters that leave a field what it is.
const KEEPING: &[&str] = &[
    "cut_crlf", "debug", "hex", "ipmask", "json", "lower", "ltrim", "rtrim", "set-var", "upper", "url_dec", "url_enc",
    "when",
];

/// Fetches that are a field of ours when they have no arguments.
const KNOWN: &[(&str, &str, Grammar)] = &[
    ("src", "client_ip", Address),
    ("src_port", "client_port", Integer),
    ("dst", "frontend_ip", Address),
    ("dst_port", "frontend_port", Integer),
    ("bc_src", "backend_source_ip", Address),
    ("bc_src_port", "backend_source_port", Integer),
    ("bc_dst", "server_ip", Address),
    ("bc_dst_port", "server_port", Integer),
    ("fe_name", "frontend_name", Name),
    ("be_name", "backend_name", Name),
    ("srv_name", "server_name", Name),
    ("accept_date", "accept_date_seconds", Integer),
    ("req.timer.hdr", "time_request_ms", Timer),
    ("req.timer.queue", "time_queue_ms", Timer),
    ("bc.timer.connect", "time_connect_ms", Timer),
    ("res.timer.hdr", "time_response_ms", Timer),
    ("txn.timer.total", "time_active_ms", Timer),
    ("fc.timer.total", "time_total_ms", Timer),
    ("txn.timer.user", "time_user_ms", Timer),
    ("fc.timer.handshake", "time_handshake_ms", Timer),
    ("req.timer.idle", "time_idle_ms", Timer),
    ("req.timer.tq", "time_until_request_ms", Timer),
    ("res.timer.data", "time_data_ms", Timer),
    ("status", "status_code", Integer),
    ("txn.status", "status_code", Integer),
    ("bytes_out", "bytes_read", Integer),
    ("res.bytes_in", "bytes_read", Integer),
    ("bytes_in", "request_bytes", Integer),
    ("req.bytes_in", "request_bytes", Integer),
    ("txn.sess_term_state", "termination_state", Termination(2)),
    ("act_conn", "actconn", Integer),
    ("fe_conn", "feconn", Integer),
    ("be_conn", "beconn", Integer),
    ("txn.conn_retries", "retries", Integer),
    ("txn.redispatched", "redispatched", Boolean),
    ("bc_srv_queue", "srv_queue", Integer),
    ("bc_be_queue", "backend_queue", Integer),
    ("method", "http_request_method", Word),
    ("capture.req.method", "http_request_method", Word),
    ("path", "http_request_path", Word),
    ("query", "http_request_query", Word),
    ("pathq", "http_request_uri", Word),
    ("url", "http_request_uri", Word),
    ("capture.req.uri", "http_request_uri", Word),
    ("req.ver", "http_version", Word),
    ("req_ver", "http_version", Word),
    ("capture.req.ver", "http_version", Word),
    ("unique-id", "unique_id", Text),
    ("hostname", "hostname", Word),
    ("pid", "pid", Integer),
    ("txn.id32", "request_counter", Integer),
    ("fc_err", "fc_err", Integer),
    ("ssl_fc_err", "ssl_fc_err", Integer),
    ("ssl_c_err", "ssl_c_err", Integer),
    ("ssl_c_ca_err", "ssl_c_ca_err", Integer),
    ("ssl_fc_is_resumed", "ssl_fc_is_resumed", Boolean),
    // The client says it, and HAProxy does not escape it.
    ("ssl_fc_sni", "ssl_fc_sni", Text),
    ("ssl_fc_protocol", "ssl_version", Word),
    ("ssl_fc_cipher", "ssl_ciphers", Word),
];

/// Of those, what belongs to a request that is over.
const GONE: &[&str] = &["path", "pathq", "query", "req.ver", "req_ver", "url"];

/// The versions that brought those which 2.4 does not have.
const LATER: &[(&str, &str)] = &[
    ("2.5", "fc_err ssl_fc_err"),
    (
        "2.9",
        "accept_date act_conn bytes_in bytes_out pid txn.conn_retries txn.id32 txn.sess_term_state txn.status \
         req.timer.hdr req.timer.queue req.timer.idle req.timer.tq bc.timer.connect res.timer.hdr res.timer.data \
         txn.timer.total txn.timer.user fc.timer.total fc.timer.handshake",
    ),
    ("3.0", "bc_be_queue bc_srv_queue txn.redispatched"),
    ("3.3", "req.bytes_in res.bytes_in"),
];

/// Other fetches that yield whole numbers.
const INTEGERS: &str = "accept_date request_date date date_us rand thread uptime nbsrv queue avg_queue connslots \
    base32 url32 bc_err bc_glitches bc_http_major bc_nb_streams bc_rtt bc_rttvar be_conn be_conn_free be_id \
    be_server_timeout be_sess_rate be_tunnel_timeout cook_cnt cook_val cur_client_timeout cur_server_timeout \
    cur_tunnel_timeout dst_conn fc_dst_port fc_glitches fc_http_major fc_lost fc_nb_streams fc_reordering fc_retrans \
    fc_rtt fc_rttvar fc_sacked fc_src_port fc_unacked fe_client_timeout fe_conn fe_id fe_req_rate fe_sess_rate \
    fs.aborted fs.rst_code bs.aborted bs.rst_code hdr_cnt hdr_val int prio_class prio_offset req.body_len \
    req.body_size req.cook_cnt req.cook_val req.fhdr_cnt req.hdr_cnt req.hdr_val req.len res.body_len res.body_size \
    res.cook_cnt res.cook_val res.fhdr_cnt res.hdr_cnt res.hdr_val res.len server_status so_id srv_conn srv_conn_free \
    srv_id srv_iweight srv_queue srv_sess_rate srv_uweight srv_weight ssl_bc_alg_keysize ssl_bc_err \
    ssl_bc_use_keysize ssl_c_ca_err_depth ssl_c_verify ssl_c_version ssl_f_version ssl_fc_alg_keysize \
    ssl_fc_cipherlist_xxh ssl_fc_use_keysize table_avl table_cnt url_port urlp_val";

/// Fetches that yield `0` or `1`.
const BOOLEANS: &str = "always_false always_true bool dst_is_local fc_rcvd_proxy http_first_req quic_enabled \
    res.cache_hit res.comp sc0_tracked sc1_tracked sc2_tracked sc_tracked src_is_local srv_is_up ssl_bc \
    ssl_bc_is_resumed ssl_c_used ssl_fc ssl_fc_has_crt ssl_fc_has_early ssl_fc_has_sni stopping";

/// Other fetches that yield addresses.
const ADDRESSES: &str = "fc_src fc_dst req.hdr_ip res.hdr_ip hdr_ip shdr_ip url_ip ipv4 ipv6";

/// What stick tables count, without the prefix.
const COUNTERS: &str = "bytes_in_rate bytes_out_rate clr_gpc clr_gpc0 clr_gpc1 conn_cnt conn_cur conn_rate get_gpc \
    get_gpc0 get_gpc1 get_gpt get_gpt0 glitch_cnt glitch_rate gpc0_rate gpc1_rate gpc_rate http_err_cnt http_err_rate \
    http_fail_cnt http_fail_rate http_req_cnt http_req_rate inc_gpc inc_gpc0 inc_gpc1 kbytes_in kbytes_out sess_cnt \
    sess_rate trackers updt_conn_cnt";

/// Converters that yield whole numbers.
const TO_INTEGER: &str = "add and cpl crc32 crc32c div djb2 hex2i jwt_verify length mod mul nbsrv neg or port_only \
    sdbm srv_queue strcmp sub wt6 xor xxh3 xxh32 xxh64";

/// Converters that yield `0` or `1`.
const TO_BOOLEAN: &str = "bool even fix_is_valid in_table mqtt_is_valid not odd rfc7239_is_valid secure_memcmp";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Expression {
        let (expression, end) = Expression::read(text, 0).unwrap_or_else(|mistake| panic!("{text}: {mistake:?}"));
        assert_eq!(end + 1, text.len(), "{text}");
        expression
    }

    #[track_caller]
    fn is(text: &str, field: &str, grammar: Grammar) {
        let expression = read(text);
        assert_eq!((expression.field.as_str(), expression.grammar), (field, grammar), "{text}");
    }

    #[test]
    fn known_fetches_have_their_field() {
        is("src]", "client_ip", Address);
        is("src_port]", "client_port", Integer);
        is("ssl_fc_err,hex]", "ssl_fc_err", Hexadecimal);
        is("txn.timer.total]", "time_active_ms", Timer);
        is("ssl_fc_protocol]", "ssl_version", Word);
        is("capture.req.hdr(0)]", "request_header_1", Text);
        is("capture.res.hdr(2),lower]", "response_header_3", Text);
        is("req.hdr(Host),lower]", "request_header_host", Text);
        is("req.fhdr(\"User-Agent\",-1)]", "request_header_user_agent", Text);
        is("res.hdr(x-a)]", "response_header_x_a", Text);
        is("var(txn.host)]", "txn.host", Text);
        is("src,ipmask(24,64)]", "client_ip", Address);
        is("fe_conn()]", "feconn", Integer);
    }

    #[test]
    fn another_meaning_is_another_field() {
        is("txn.timer.total,div(1000)]", "txn.timer.total,div(1000)", Integer);
        is("fe_conn(other)]", "fe_conn(other)", Integer);
        is("accept_date(ms)]", "accept_date(ms)", Integer);
        is("capture.req.hdr(x)]", "capture.req.hdr(x)", Text);
        is("capture.req.hdr(4294967295)]", "capture.req.hdr(4294967295)", Text);
        is("path,word(1,/)]", "path,word(1,/)", Text);
        is("lua.mine]", "lua.mine", Text);
        is("sc0_conn_cnt]", "sc0_conn_cnt", Integer);
        is("sc_http_req_rate(1)]", "sc_http_req_rate(1)", Integer);
        is("ssl_c_used]", "ssl_c_used", Boolean);
    }

    #[test]
    fn the_last_converter_decides_what_is_written() {
        is("req.hdr(a),length]", "req.hdr(a),length", Integer);
        is("req.hdr(a),base64]", "req.hdr(a),base64", Base64);
        is("req.hdr(a),base64,json]", "req.hdr(a),base64,json", Text);
        is("req.hdr(a),url_enc]", "request_header_a", UrlEncoded);
        is("path,url_dec]", "http_request_path", Text);
        is("method,lower]", "http_request_method", Word);
        is("src,map_ip_int(f,0)]", "src,map_ip_int(f,0)", Integer);
        is("src,map_ip(f)]", "src,map_ip(f)", Text);
        is("req.hdr(a),sha1,hex,lower]", "req.hdr(a),sha1,hex,lower", Text);
        is("status,set-var(txn.s)]", "status_code", Integer);
        is("src,table_conn_cnt(t)]", "src,table_conn_cnt(t)", Integer);
    }

    #[test]
    fn arguments_lose_quotes_and_backslashes() {
        let arguments = |text: &str| read(text).converters.remove(0).arguments;
        assert_eq!(arguments("path,regsub(\"a,)b\",'c\"\\',g)]"), ["a,)b", "c\"\\", "g"]);
        assert_eq!(arguments("path,regsub(a\\ b\\\"\\t\\d,)]"), ["a b\"\t\\d", ""]);
        assert_eq!(arguments("path,regsub((a)]"), ["(a"]);
        assert_eq!(arguments("path,,lower()]"), [""; 0]);
        assert_eq!(arguments("path,concat(\"\\\"\",'',)]"), ["\"", "", ""]);
        assert_eq!(read("src,ipmask(24)]").text, "src,ipmask(24)");
    }
}
