//! What a client wants of the exposition, from the head of its request: form, encoding and metrics.

use hyper::HeaderMap;
use hyper::header::{self, HeaderName};

use super::encoding::Encoding;
use crate::exposition::{Escaping, Format, Protocol, Selection};

/// One thing that a client accepts.
struct Wish<'h> {
    /// In lower case.
    name: String,
    /// Names in lower case.
    parameters: Vec<(String, &'h str)>,
    /// From 0, which means never, to 1.
    quality: f64,
}

impl Wish<'_> {
    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(other, _)| other == name).map(|(_, value)| *value)
    }
}

/// What the client accepts, the most wanted first; among equals, what is named first. Nothing that it refuses.
fn wishes(headers: &HeaderMap, name: HeaderName) -> Vec<Wish<'_>> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    let items = values.flat_map(|value| value.split(',')).filter(|item| !item.trim().is_empty());
    let mut wishes = items.map(wish).collect::<Vec<_>>();
    wishes.sort_by(|one, other| other.quality.total_cmp(&one.quality));
    wishes
}

/// `text/plain;version=0.0.4;q=0.5`. No value that matters here has a comma or semicolon between quotes.
fn wish(item: &str) -> Wish<'_> {
    let mut parts = item.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    let parameters = parts.filter_map(|part| part.split_once('='));
    let parameters = parameters.map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().trim_matches('"')));
    let mut wish = Wish { name, parameters: parameters.collect(), quality: 1.0 };
    // What is no number counts as if it were not there, as for Prometheus' own libraries.
    let quality = wish.parameter("q").and_then(|quality| quality.parse::<f64>().ok());
    wish.quality = quality.filter(|quality| quality.is_finite()).map_or(1.0, |quality| quality.clamp(0.0, 1.0));
    wish
}

/// The form to answer in: of those that tailmeter writes, the one that the client wants most; text 0.0.4 if it wants
/// none of them.
pub(super) fn format(headers: &HeaderMap) -> Format {
    let wishes = wishes(headers, header::ACCEPT);
    let acceptable = wishes.iter().filter(|wish| wish.quality > 0.0);
    let formats = acceptable.filter_map(|wish| {
        let protocol = protocol(wish)?;
        Some(Format { protocol, escaping: wish.parameter("escaping").and_then(Escaping::named) })
    });
    formats.into_iter().next().unwrap_or_default()
}

fn protocol(wish: &Wish<'_>) -> Option<Protocol> {
    let version = wish.parameter("version");
    match wish.name.as_str() {
        "text/plain" => match version {
            None | Some("0.0.4") => Some(Protocol::Text004),
            Some("1.0.0") => Some(Protocol::Text100),
            Some(_) => None,
        },
        "application/openmetrics-text" => match version {
            // As for Prometheus' own libraries.
            None | Some("0.0.1") => Some(Protocol::OpenMetrics001),
            Some("1.0.0") => Some(Protocol::OpenMetrics100),
            Some(_) => None,
        },
        "application/vnd.google.protobuf" => {
            let is_ours = wish.parameter("proto") == Some("io.prometheus.client.MetricFamily")
                && wish.parameter("encoding") == Some("delimited");
            is_ours.then_some(Protocol::Protobuf)
        }
        "text/*" | "*/*" => Some(Protocol::Text004),
        _ => None,
    }
}

/// The encoding to answer in: the one that the client wants most, zstd before gzip among equals. Nothing is refused: who
/// accepts none of them gets the content as it is.
pub(super) fn encoding(headers: &HeaderMap) -> Encoding {
    let wishes = wishes(headers, header::ACCEPT_ENCODING);
    let quality = |names: &[&str]| {
        let named = wishes.iter().find(|wish| names.contains(&wish.name.as_str()));
        named.map(|wish| wish.quality)
    };
    // Whoever takes anything takes gzip for sure.
    let gzip = quality(&["gzip", "x-gzip"]).or_else(|| quality(&["*"])).unwrap_or(0.0);
    let zstd = quality(&["zstd"]).unwrap_or(0.0);
    // What is not named is acceptable, but not what was asked for.
    let identity = quality(&["identity"]).unwrap_or(0.0);
    match () {
        () if zstd > 0.0 && zstd >= gzip && zstd >= identity => Encoding::Zstd,
        () if gzip > 0.0 && gzip >= identity => Encoding::Gzip,
        () => Encoding::Identity,
    }
}

/// The metrics that the query of a request asks for. Parameters that mean nothing here are ignored.
pub(super) fn selection(query: Option<&str>) -> Selection {
    let mut selection = Selection::default();
    for pair in query.unwrap_or_default().split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match decoded(name).as_str() {
            "name[]" => selection.names.push(decoded(value)),
            "family" => selection.families.push(decoded(value)),
            _ => {}
        }
    }
    selection
}

/// Undoes the encoding of queries: `%5B`, and `+` for a space. What is no escape stays.
fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        bytes.push(match (byte, behind) {
            (b'%', [high, low, behind @ ..]) => match (hexadecimal(*high), hexadecimal(*low)) {
                (Some(high), Some(low)) => {
                    rest = behind;
                    high << 4 | low
                }
                _ => b'%',
            },
            (b'+', _) => b' ',
            _ => *byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(name: HeaderName, values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name.clone(), HeaderValue::from_static(value));
        }
        headers
    }

    #[track_caller]
    fn assert_format(accept: &[&'static str], content_type: &str) {
        assert_eq!(format(&headers(header::ACCEPT, accept)).content_type(), content_type, "{accept:?}");
    }

    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
    const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    const PROTOBUF: &str =
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

    #[test]
    fn what_prometheus_sends_is_answered_with_what_it_wants_most() {
        // 2.42 and 2.42 with native histograms.
        assert_format(
            &[
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            ],
            OPENMETRICS,
        );
        assert_format(
            &[
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            ],
            PROTOBUF,
        );
        // 2.53 with scrape_protocols: [PrometheusText0.0.4].
        assert_format(&["text/plain;version=0.0.4;q=0.5,*/*;q=0.1"], TEXT);
        // 3.x.
        assert_format(
            &[
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            ],
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
        );
        assert_format(
            &["text/plain;version=1.0.0;escaping=underscores;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.2"],
            "text/plain; version=1.0.0; charset=utf-8; escaping=underscores",
        );
    }

    #[test]
    fn whoever_asks_for_nothing_in_particular_gets_text() {
        for accept in [
            &[][..],
            &[""],
            &["*/*"],
            &["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"],
            &["application/json"],
            &["application/openmetrics-text;version=2.0.0"],
            &["application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text"],
            &["application/vnd.google.protobuf;encoding=delimited"],
            &["text/plain;version=0.0.3"],
            &["application/openmetrics-text;version=1.0.0;q=0"],
            &[";;==,,;q"],
        ] {
            assert_format(accept, TEXT);
        }
    }

    #[test]
    fn qualities_decide_and_then_the_order() {
        assert_format(&["text/plain;q=0.5", "application/openmetrics-text; version=1.0.0; q=0.6"], OPENMETRICS);
        assert_format(&["text/plain;q=0.5, application/openmetrics-text;version=1.0.0;q=0.5"], TEXT);
        assert_format(&["APPLICATION/OpenMetrics-Text; VERSION=\"1.0.0\", text/plain"], OPENMETRICS);
        assert_format(&["text/plain;q=0.5,application/openmetrics-text;version=1.0.0;q=high"], OPENMETRICS);
        assert_format(&["text/plain;q=nan,application/openmetrics-text;version=1.0.0;q=9"], TEXT);
        assert_format(&["application/openmetrics-text"], "application/openmetrics-text; version=0.0.1; charset=utf-8");
        assert_format(
            &["text/plain;version=1.0.0;escaping=made-up"],
            "text/plain; version=1.0.0; charset=utf-8; escaping=underscores",
        );
    }

    #[test]
    fn encodings_are_those_that_are_asked_for() {
        for (accept, expected) in [
            (&[][..], Encoding::Identity),
            (&["gzip"], Encoding::Gzip),
            (&["gzip, deflate, br, zstd"], Encoding::Zstd),
            (&["zstd;q=0.5, gzip"], Encoding::Gzip),
            (&["gzip;q=0.5", "zstd;q=0.4"], Encoding::Gzip),
            (&["gzip;q=0.5, identity"], Encoding::Identity),
            (&["gzip;q=0, zstd;q=0.0"], Encoding::Identity),
            (&["identity;q=0"], Encoding::Identity),
            (&["identity;q=0, *"], Encoding::Gzip),
            (&["*;q=0"], Encoding::Identity),
            (&["X-GZIP"], Encoding::Gzip),
            (&["deflate"], Encoding::Identity),
        ] {
            assert_eq!(encoding(&headers(header::ACCEPT_ENCODING, accept)), expected, "{accept:?}");
        }
    }

    proptest! {
        /// Whatever comes is answered; made of pieces that mean something, and of any bytes.
        #[test]
        fn any_header_and_query_is_read(
            pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..12),
            bytes: Vec<u8>,
            query: String,
        ) {
            for value in [pieces.concat().into_bytes(), bytes] {
                let Ok(value) = HeaderValue::from_bytes(&value) else { continue };
                let mut headers = HeaderMap::new();
                headers.insert(header::ACCEPT, value.clone());
                headers.insert(header::ACCEPT_ENCODING, value);
                prop_assert!(format(&headers).content_type().is_ascii());
                encoding(&headers);
            }
            selection(Some(&query));
        }

        #[test]
        fn what_is_encoded_is_decoded(text: String) {
            let encoded = text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
            prop_assert_eq!(decoded(&encoded), text);
        }
    }

    const PIECES: [&str; 12] = [
        "text/plain",
        "*/*",
        "application/openmetrics-text",
        ";",
        ",",
        "q=",
        "0.5",
        "-1",
        "version=1.0.0",
        "gzip",
        "=",
        "\"",
    ];

    #[test]
    fn queries_name_metrics_and_families() {
        let strings = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let asked = selection(Some("name[]=a_total&name%5B%5D=b+c%&x=y&family=postfix&&family"));
        assert_eq!(asked, Selection { names: strings(&["a_total", "b c%"]), families: strings(&["postfix", ""]) });
        assert_eq!(selection(None), Selection::default());
        assert_eq!(decoded("%c3%a9%ff%2"), "é\u{fffd}%2");
    }
}
