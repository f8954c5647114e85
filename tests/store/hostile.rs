//! Lines whose every label has what a form of the exposition, an escape or a careless reader might trip over, and a
//! configuration that shows them all.

use tailmeter::config::{Config, LabelChoice, LabelPolicy, MetricConfig};

use super::lines::{Line, Random};

/// Pieces of label values.
const HOSTILE: &[&[u8]] = &[
    b"\\",
    b"\\\\",
    b"\"",
    b"\\x",
    b"\\n",
    b"x0a",
    b"5c",
    b"\x00",
    b"\x7f",
    b"\r",
    b"\t",
    b",",
    b"{",
    b"=",
    b"\xff",
    b"\xc3",
    b"\xa9",
    b"\xc3\xa9",
    b"\xed\xa0\x80",
    b"\xe2\x80\xa8",
    b"\xf4\x90\x80\x80",
    b"\xef\xbb\xbf",
    b"le=",
    b"# HELP",
    b"other",
];

/// Up to eight pieces, without the bytes in `delimiters` and newlines.
fn hostile(random: &mut Random, delimiters: &[u8]) -> Vec<u8> {
    let mut value = Vec::new();
    for _ in 0..1 + random.below(8) {
        match random.below(3) {
            0 => value.push(random.number() as u8),
            _ => value.extend_from_slice(random.pick(HOSTILE)),
        }
    }
    value.retain(|byte| *byte != b'\n' && !delimiters.contains(byte));
    value
}

/// A request whose every label has hostile bytes; parsed or not.
pub(crate) fn hostile_request(seed: u64) -> Line {
    let mut random = Random(seed);
    let mut value = |delimiters: &[u8]| hostile(&mut random, delimiters);
    let parts = [
        b"Feb  1 12:14:14 lb1 haproxy[1]: c".to_vec(),
        value(b" "),
        b":5 [01/Feb/2026:12:14:14.001] f".to_vec(),
        value(b" "),
        b" b".to_vec(),
        value(b" /"),
        b"/s".to_vec(),
        value(b" /"),
        b" 0/0/1/2/3 200 100 - - ---- 1/1/1/1/0 0/0 {".to_vec(),
        value(b"}"),
        b"} {".to_vec(),
        value(b"}"),
        b"} \"GET /".to_vec(),
        value(b"\""),
        b" HTTP/1.1\" 0/0000000000000000/0/0/0 n".to_vec(),
        value(b"\""),
        b"/TLSv1.3/TLS".to_vec(),
        value(b"/ \""),
    ];
    Line(parts.concat())
}

/// Sets the labels of `metric`; private ones are shown unbounded.
pub(crate) fn with_labels(config: &mut Config, metric: &str, labels: &[&str]) {
    let unbounded = Some(LabelPolicy { allow: None, unbounded: true });
    let labels = labels.iter().map(|name| LabelChoice { name: (*name).into(), policy: unbounded.clone() });
    let own = MetricConfig { labels: Some(labels.collect()), ..MetricConfig::default() };
    config.metrics.insert(metric.into(), own);
}

/// Every label that may hold anything, on the metrics that may have it.
pub(crate) fn all_labels() -> Config {
    let mut config = Config { max_series: 1_000_000, ..Config::default() };
    let names = ["frontend_name", "backend_name", "server_name", "client_ip", "http_request_path", "request_header_1"];
    let more = ["request_header_2", "response_header_1", "ssl_fc_sni"];
    with_labels(&mut config, "haproxy_log_requests_total", &[&names[..], &more].concat());
    with_labels(&mut config, "haproxy_log_response_duration_seconds", &["http_request_path"]);
    with_labels(&mut config, "haproxy_log_tls_connections_total", &["ssl_version", "ssl_ciphers"]);
    config
}

/// The bytes of a label value, as Prometheus knows it: what was not printable text is `\xNN` there.
pub(crate) fn bytes(value: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), value.as_bytes());
    while let Some((byte, behind)) = rest.split_first() {
        let digits = behind.strip_prefix(b"x").and_then(|digits| digits.get(..2)).filter(|_| *byte == b'\\');
        let number = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(number.unwrap_or(*byte));
        rest = if number.is_some() { &behind[3..] } else { behind };
    }
    bytes
}
