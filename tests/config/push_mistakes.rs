//! Mistakes in what is said of pushes, each beside the whole message that it gets.

use crate::mistakes::Case;

/// Every kind of mistake.
pub(crate) const PUSH_MISTAKES: &[Case] = &[
    (
        "nowhere to push to",
        r"push:
  remote-write: {url: http://a}
  remote_write: {urll: http://a}
  otlp:
",
        "",
    ),
    (
        "addresses that are none",
        r"push:
  remote_write: {url: prometheus:9090}
  otlp: {url: [http://a], interval: 0s}
",
        "",
    ),
    (
        "numbers and times out of range",
        r"push:
  remote_write: {url: http://a, interval: 500ms, timeout: 10, max_buffer_bytes: 5}
  otlp: {url: http://a, interval: 2h}
",
        "",
    ),
    (
        "headers that cannot be",
        r"push:
  remote_write:
    url: http://a
    headers: {Content-Type: text/plain, 'a b': c, X-Ok: fine, X-Null: }
",
        "",
    ),
    (
        "logins",
        r"push:
  remote_write: {url: http://a, basic_auth: {username: 'a:b', pasword_file: /p}, bearer_token_file: /t}
  otlp: {url: 'http://u:p@a', basic_auth: {password_file: ''}}
",
        "",
    ),
    (
        "TLS",
        r"push:
  remote_write: {url: http://a, tls: {ca: /ca.pem}}
  otlp: {url: https://a, tls: {certificate: /c.pem, cert: /c.pem}}
",
        "",
    ),
    (
        "names of labels",
        r"push:
  remote_write: {url: http://a, external_labels: {a-b: c, __name__: d, ok: }, resource_attributes: {a: b}}
  otlp: {url: http://a, resource_attributes: {'': a, service.name: [b]}}
",
        "",
    ),
];
