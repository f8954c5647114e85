//! Questions to Prometheus, over its HTTP API.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Label values in the order asked for.
pub(crate) type Labels = Vec<String>;

/// Values by all labels, the name among them.
pub(crate) type Series = BTreeMap<BTreeMap<String, String>, f64>;

/// A Prometheus on the loopback address.
#[derive(Clone, Copy)]
pub(crate) struct Prometheus {
    pub(crate) port: u16,
}

impl Prometheus {
    /// The vector that `query` is at `time` (Unix seconds), by the values of `labels`. `None` when
    /// Prometheus does not answer. Values of `NaN` are kept.
    pub(crate) fn query(self, query: &str, labels: &[&str], time: f64) -> Option<BTreeMap<Labels, f64>> {
        let path = format!("/api/v1/query?time={time:.3}&query={}", encoded(query));
        let answer: Value = serde_json::from_str(&get(self.port, &path).ok()?).ok()?;
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        let samples = answer["data"]["result"].as_array().expect("a vector");
        let mut vector = BTreeMap::new();
        for sample in samples {
            let label = |name: &&str| sample["metric"][*name].as_str().unwrap_or("").to_owned();
            let value = sample["value"][1].as_str().expect("a value");
            let value = value.parse::<f64>().expect("a number");
            let before = vector.insert(labels.iter().map(label).collect(), value);
            assert_eq!(before, None, "{query}: two samples differ in no label");
        }
        Some(vector)
    }

    /// The vector that `query` is at `time` with all labels; `None` when Prometheus does not answer.
    #[allow(dead_code, reason = "one of the tests that share this file asks so")]
    pub(crate) fn series(self, query: &str, time: f64) -> Option<Series> {
        let path = format!("/api/v1/query?time={time:.3}&query={}", encoded(query));
        let answer: Value = serde_json::from_str(&get(self.port, &path).ok()?).ok()?;
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        let sample = |sample: &Value| {
            let labels = serde_json::from_value(sample["metric"].clone()).expect("labels");
            (labels, sample["value"][1].as_str().expect("a value").parse().expect("a number"))
        };
        Some(answer["data"]["result"].as_array().expect("a vector").iter().map(sample).collect())
    }

    /// What the targets of `job` tell of `metric`; `None` when they have not told anything yet.
    #[allow(dead_code, reason = "as above")]
    pub(crate) fn metadata(self, job: &str, metric: &str) -> Option<String> {
        let job = encoded(&format!("{{job=\"{job}\"}}"));
        let path = format!("/api/v1/targets/metadata?match_target={job}&metric={}", encoded(metric));
        let answer: Value = serde_json::from_str(&get(self.port, &path).ok()?).ok()?;
        answer["data"].as_array().filter(|told| !told.is_empty()).map(|told| format!("{told:?}"))
    }

    /// The only sample of `query` at `time`; `None` when there is none.
    pub(crate) fn value(self, query: &str, time: f64) -> Option<f64> {
        let vector = self.query(query, &[], time)?;
        vector.into_values().next()
    }
}

/// Asks a server of the loopback address. HTTP 1.0: the answer ends with the connection.
pub(crate) fn get(port: u16, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    body.map(str::to_owned).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Percent-encodes everything that is not a letter or a digit.
fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}
