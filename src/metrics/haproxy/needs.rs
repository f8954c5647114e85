//! What a log-format must have for each metric to count its lines, and for each label to have a value. Defined here
//! once: `count/records` counts by it, `tailmeter explain` tells it.

use tailmeter_parsers::haproxy::Means;
use tailmeter_parsers::haproxy::format::{Grammar, Layout, Place};

use super::{ABORTED, METRICS, SESSION_DURATION};
use Means::{Error, Http, Tcp};
use Place::*;

/// What a metric comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Lines about this, whatever they say.
    Lines(&'static [Means]),
    /// One of these fields, in lines about requests or sessions.
    Field(&'static [Place]),
    /// Messages that HAProxy writes by no log-format.
    Messages,
}

const TIMES: &[Place] = &[TimeRequest, TimeQueue, TimeConnect, TimeResponse, TimeActive, TimeTotal];

/// By metric.
const NEEDS: [Needs; METRICS.len()] = [
    Needs::Lines(&[Http]),
    Needs::Lines(&[Tcp]),
    Needs::Field(&[BytesRead]),
    Needs::Field(&[TimeRequest]),
    Needs::Field(&[TimeQueue]),
    Needs::Field(&[TimeConnect]),
    Needs::Field(&[TimeResponse]),
    Needs::Field(&[TimeActive]),
    Needs::Field(&[TimeTotal]),
    Needs::Field(TIMES),
    Needs::Field(&[TerminationState]),
    Needs::Field(&[Retries]),
    Needs::Field(&[Retries]),
    Needs::Field(&[SrvQueue]),
    Needs::Field(&[BackendQueue]),
    Needs::Lines(&[Error]),
    Needs::Field(&[SslVersion]),
    Needs::Messages,
    Needs::Messages,
    Needs::Messages,
    Needs::Field(&[RequestBytes]),
    Needs::Lines(&[Http, Tcp]),
];

/// What `metric` comes from.
pub fn needs(metric: usize) -> Needs {
    NEEDS.get(metric).copied().unwrap_or(Needs::Messages)
}

/// True when lines of `layout`, which are about `means`, count in `metric`.
pub fn feeds(layout: &Layout, means: Means, metric: usize) -> bool {
    match needs(metric) {
        Needs::Lines(kinds) => kinds.contains(&means),
        // Where both totals are, that of the request is counted.
        Needs::Field(_) if metric == SESSION_DURATION && layout.has(TimeActive) => false,
        Needs::Field(places) => matches!(means, Http | Tcp) && places.iter().any(|place| layout.has(*place)),
        Needs::Messages => false,
    }
}

/// Where the value of the label `name` comes from: one of these fields. `None` for labels that come from elsewhere.
pub fn sources(name: &str, metric: usize) -> Option<&'static [Place]> {
    Some(match name {
        "frontend_name" | "ssl" => &[FrontendName],
        "backend_name" => &[BackendName],
        "server_name" => &[ServerName],
        "status_code" => &[StatusCode],
        "http_request_method" => &[HttpRequest, HttpRequestMethod],
        "termination_state" => &[TerminationState],
        "http_version" => &[HttpRequest, HttpVersion],
        "http_request_path" => &[HttpRequest, HttpRequestPath, HttpRequestUri],
        "client_ip" => &[ClientIp],
        "client_port" => &[ClientPort],
        "ssl_version" => &[SslVersion],
        "resumed" => &[SslFcIsResumed],
        "ssl_ciphers" => &[SslCiphers],
        "ssl_fc_sni" => &[SslFcSni],
        "reason" if matches!(needs(metric), Needs::Lines([Error])) => &[FcErrStr, FcErr, SslFcErr, SslFcErrStr],
        "phase" if metric == ABORTED => TIMES,
        _ if name.starts_with("request_header_") => &[RequestHeaders],
        _ if name.starts_with("response_header_") => &[ResponseHeaders],
        _ => return None,
    })
}

/// True when lines of `layout` give the label `name` of `metric` a value.
pub fn gives(layout: &Layout, name: &str, metric: usize) -> bool {
    match sources(name, metric) {
        Some(places) if name == "ssl" => places.iter().any(|place| layout.grammar(*place) == Some(Grammar::NameTls)),
        Some(places) => places.iter().any(|place| layout.has(*place)),
        None => true,
    }
}
