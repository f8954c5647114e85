//! The end of a one-shot run: all of its values as one group of a Pushgateway.
//!
//! A group is named by the path: `/metrics/job/NAME/LABEL/VALUE…`. Values that a path cannot have as they are stand there in
//! base64: `/metrics/job@base64/…`. The gateway puts the group's labels over those of the metrics, so none may be in both.

use std::collections::BTreeSet;

use hyper::Method;
use hyper::body::Bytes;
use tokio::runtime::Builder;

use super::client::{Client, Headers, check};
use super::text::{Line, lines};
use super::{Server, base64, is_label_name};
use crate::exposition::{Format, Protocol};

const TEXT: Format = Format { protocol: Protocol::Text004, escaping: None };
const HEADERS: Headers = &[("content-type", TEXT.content_type())];

/// What becomes of values that the gateway has of the group already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// All go (PUT).
    Replaced,
    /// Those of metrics that are not pushed stay (POST).
    Kept,
}

/// Pushes the exposition `text` to the gateway at `server` as `group`.
///
/// # Errors
/// Why the gateway does not have it, with what it says itself.
pub fn push(server: &Server, group: &Group, existing: Existing, text: Vec<u8>) -> Result<(), String> {
    let shown = &server.url;
    let failed = |why: String| format!("cannot push to {shown}: {why}");
    if let Some((label, metric)) = group.clash(&String::from_utf8_lossy(&text)) {
        return Err(failed(format!(
            "the group and {metric} both have the label `{label}`: give the group another one"
        )));
    }
    let path = format!("{}{}", server.url.path.trim_end_matches('/'), group.path());
    let server = Server { url: server.url.with_path(path), ..server.clone() };
    let method = match existing {
        Existing::Replaced => Method::PUT,
        Existing::Kept => Method::POST,
    };
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| failed(error.to_string()))?;
    let content = Bytes::from(text);
    let answer = runtime.block_on(async { Client::new(&server).send(&method, HEADERS, &content).await });
    // A name that is still being looked up holds nobody up.
    runtime.shutdown_background();
    match answer {
        Ok(answer) if answer.status.is_success() => Ok(()),
        Ok(answer) => Err(failed(answer.shown())),
        Err(silence) => Err(failed(silence.to_string())),
    }
}

/// Makes sure that requests to the gateway at `server` can be made at all, before there is anything to push.
///
/// # Errors
/// Which file is unusable, and why.
pub fn prepare(server: &Server) -> Result<(), String> {
    if server.url.path.contains('?') {
        return Err("the address of a Pushgateway has no `?`".to_owned());
    }
    check(server)
}

/// A group of a Pushgateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The first is the job.
    labels: Vec<(String, String)>,
}

impl Group {
    /// The group of `job` with these labels besides.
    ///
    /// # Errors
    /// There can be no such group.
    pub fn new(job: &str, labels: &[(String, String)]) -> Result<Self, String> {
        if job.is_empty() {
            return Err("a job needs a name".to_owned());
        }
        let mut seen = BTreeSet::from(["job"]);
        for (name, _) in labels {
            match name.as_str() {
                "job" => return Err("the label `job` is the name of the job".to_owned()),
                name if !is_label_name(name) => {
                    return Err(format!(
                        "`{name}` is no name of a label: letters, digits and `_`, two of which may not be the beginning"
                    ));
                }
                name if !seen.insert(name) => return Err(format!("the label `{name}` is there twice")),
                _ => {}
            }
        }
        let job = [("job".to_owned(), job.to_owned())];
        Ok(Self { labels: job.into_iter().chain(labels.iter().cloned()).collect() })
    }

    /// The path behind that of the gateway.
    fn path(&self) -> String {
        let mut path = "/metrics".to_owned();
        for (name, value) in &self.labels {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'~');
            // Servers take dots alone for directions.
            let is_plain = !value.trim_matches('.').is_empty() && value.bytes().all(is_plain);
            match value.as_str() {
                value if is_plain => path.push_str(&format!("/{name}/{value}")),
                "" => path.push_str(&format!("/{name}@base64/=")),
                value => path.push_str(&format!("/{name}@base64/{}", base64::for_paths(value.as_bytes()))),
            }
        }
        path
    }

    /// A label of the group that some of the metrics in `text` have, too, and such a metric.
    fn clash<'t>(&self, text: &'t str) -> Option<(&'t str, &'t str)> {
        lines(text).find_map(|line| {
            let Line::Sample(sample) = line else { return None };
            let is_ours = |name: &str| self.labels.iter().any(|(label, _)| label == name);
            sample.labels().find(|(name, _)| is_ours(name)).map(|(name, _)| (name, sample.name))
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test, a panic is the failure")]
mod tests {
    use super::*;

    fn group(job: &str, labels: &[(&str, &str)]) -> Result<Group, String> {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>();
        Group::new(job, &labels)
    }

    #[test]
    fn odd_values_are_in_base64() {
        let path = |job: &str, labels: &[(&str, &str)]| group(job, labels).unwrap().path();
        assert_eq!(path("nightly", &[("a", "b-1.c")]), "/metrics/job/nightly/a/b-1.c");
        assert_eq!(
            path("a/b", &[("x", ""), ("y", ".."), ("z", "é ?")]),
            "/metrics/job@base64/YS9i/x@base64/=/y@base64/Li4=/z@base64/w6kgPw=="
        );
    }

    #[test]
    fn there_can_be_no_such_groups() {
        for labels in [
            [("job", "x")].as_slice(),
            &[("a", "1"), ("a", "2")],
            &[("a-b", "1")],
            &[("1a", "1")],
            &[("", "1")],
            &[("__a", "1")],
        ] {
            assert!(group("j", labels).is_err(), "{labels:?}");
        }
        assert!(group("", &[]).is_err());
    }

    #[test]
    fn labels_of_the_metrics_are_not_the_group_s() {
        let group = group("j", &[("source", "x")]).unwrap();
        assert_eq!(group.clash("a{b=\"1\"} 1\nlines_total{b=\"1\",source=\"y\"} 1\n"), Some(("source", "lines_total")));
        assert_eq!(group.clash("a{b=\"source=\"} 1\n"), None);
    }
}
