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
        r"tailmeter.yml:2:3: unknown key `remote-write`; did you mean `remote_write`?
  |
2 |   remote-write: {url: http://a}
  |   ^^^^^^^^^^^^

tailmeter.yml:3:18: unknown key `urll`; did you mean `url`?
  |
3 |   remote_write: {urll: http://a}
  |                  ^^^^

tailmeter.yml:4:3: `otlp` has no `url`
  |
4 |   otlp:
  |   ^^^^
  = url: http://collector.example:4318/v1/metrics",
    ),
    (
        "addresses that are none",
        r"push:
  remote_write: {url: prometheus:9090}
  otlp: {url: [http://a], interval: 0s}
",
        r"tailmeter.yml:2:23: an address begins with http:// or https://
  |
2 |   remote_write: {url: prometheus:9090}
  |                       ^^^^^^^^^^^^^^^

tailmeter.yml:3:15: expected an address that begins with http:// or https://, found a list
  |
3 |   otlp: {url: [http://a], interval: 0s}
  |               ^

tailmeter.yml:3:37: expected a time from 1s to 1h, found `0s`
  |
3 |   otlp: {url: [http://a], interval: 0s}
  |                                     ^^
  = for example 90s, 15m, 1h30m or 7d",
    ),
    (
        "numbers and times out of range",
        r"push:
  remote_write: {url: http://a, interval: 500ms, timeout: 10, max_buffer_bytes: 5}
  otlp: {url: http://a, interval: 2h}
",
        r"tailmeter.yml:2:43: expected a time from 1s to 1h, found `500ms`
  |
2 |   remote_write: {url: http://a, interval: 500ms, timeout: 10, max_buffer_bytes: 5}
  |                                           ^^^^^
  = for example 90s, 15m, 1h30m or 7d

tailmeter.yml:2:59: expected a time from 1s to 5m, found `10`
  |
2 |   remote_write: {url: http://a, interval: 500ms, timeout: 10, max_buffer_bytes: 5}
  |                                                           ^^
  = for example 90s, 15m, 1h30m or 7d

tailmeter.yml:2:81: expected a whole number from 2097152 to 1073741824, found `5`
  |
2 |   remote_write: {url: http://a, interval: 500ms, timeout: 10, max_buffer_bytes: 5}
  |                                                                                 ^

tailmeter.yml:3:35: expected a time from 1s to 1h, found `2h`
  |
3 |   otlp: {url: http://a, interval: 2h}
  |                                   ^^
  = for example 90s, 15m, 1h30m or 7d",
    ),
    (
        "headers that cannot be",
        r"push:
  remote_write:
    url: http://a
    headers: {Content-Type: text/plain, 'a b': c, X-Ok: fine, X-Null: }
",
        r"tailmeter.yml:4:15: the header `content-type` is written by tailmeter
  |
4 |     headers: {Content-Type: text/plain, 'a b': c, X-Ok: fine, X-Null: }
  |               ^^^^^^^^^^^^

tailmeter.yml:4:41: this cannot be the name of a header
  |
4 |     headers: {Content-Type: text/plain, 'a b': c, X-Ok: fine, X-Null: }
  |                                         ^^^^^

tailmeter.yml:4:63: expected the value of a header, found nothing
  |
4 |     headers: {Content-Type: text/plain, 'a b': c, X-Ok: fine, X-Null: }
  |                                                               ^^^^^^",
    ),
    (
        "logins",
        r"push:
  remote_write: {url: http://a, basic_auth: {username: 'a:b', pasword_file: /p}, bearer_token_file: /t}
  otlp: {url: 'http://u:p@a', basic_auth: {password_file: ''}}
",
        r"tailmeter.yml:2:56: the name `a:b` has a colon, which ends it
  |
2 | … {url: http://a, basic_auth: {username: 'a:b', pasword_file: /p}, bearer_token_file: /t}
  |                                          ^^^^^

tailmeter.yml:2:63: unknown key `pasword_file`; did you mean `password_file`?
  |
2 | …http://a, basic_auth: {username: 'a:b', pasword_file: /p}, bearer_token_file: /t}
  |                                          ^^^^^^^^^^^^

tailmeter.yml:2:82: `bearer_token_file` contradicts `basic_auth`: keep one of them
  |
2 | …h: {username: 'a:b', pasword_file: /p}, bearer_token_file: /t}
  |                                          ^^^^^^^^^^^^^^^^^

tailmeter.yml:3:31: the address has a login already: `basic_auth` would be another one
  |
3 |   otlp: {url: 'http://u:p@a', basic_auth: {password_file: ''}}
  |                               ^^^^^^^^^^

tailmeter.yml:3:31: `basic_auth` has no `username`
  |
3 |   otlp: {url: 'http://u:p@a', basic_auth: {password_file: ''}}
  |                               ^^^^^^^^^^",
    ),
    (
        "TLS",
        r"push:
  remote_write: {url: http://a, tls: {ca: /ca.pem}}
  otlp: {url: https://a, tls: {certificate: /c.pem, cert: /c.pem}}
",
        r"tailmeter.yml:2:33: `tls` goes with https://, not with http://
  |
2 |   remote_write: {url: http://a, tls: {ca: /ca.pem}}
  |                                 ^^^

tailmeter.yml:3:32: `certificate` needs a `key` beside it
  |
3 |   otlp: {url: https://a, tls: {certificate: /c.pem, cert: /c.pem}}
  |                                ^^^^^^^^^^^

tailmeter.yml:3:53: unknown key `cert`
  |
3 |   otlp: {url: https://a, tls: {certificate: /c.pem, cert: /c.pem}}
  |                                                     ^^^^
  = known keys: ca, certificate, key, server_name",
    ),
    (
        "names of labels",
        r"push:
  remote_write: {url: http://a, external_labels: {a-b: c, __name__: d, ok: }, resource_attributes: {a: b}}
  otlp: {url: http://a, resource_attributes: {'': a, service.name: [b]}}
",
        r"tailmeter.yml:2:51: `a-b` cannot be a name here
  |
2 | …rite: {url: http://a, external_labels: {a-b: c, __name__: d, ok: }, resource_attributes: {a: b}}
  |                                          ^^^

tailmeter.yml:2:59: `__name__` cannot be a name here
  |
2 | …rl: http://a, external_labels: {a-b: c, __name__: d, ok: }, resource_attributes: {a: b}}
  |                                          ^^^^^^^^

tailmeter.yml:2:72: expected a text, found nothing
  |
2 | … external_labels: {a-b: c, __name__: d, ok: }, resource_attributes: {a: b}}
  |                                          ^^

tailmeter.yml:2:79: unknown key `resource_attributes`
  |
2 | …al_labels: {a-b: c, __name__: d, ok: }, resource_attributes: {a: b}}
  |                                          ^^^^^^^^^^^^^^^^^^^
  = known keys: url, interval, timeout, headers, basic_auth, bearer_token_file, tls, max_buffer_bytes, external_labels

tailmeter.yml:3:47: `` cannot be a name here
  |
3 |   otlp: {url: http://a, resource_attributes: {'': a, service.name: [b]}}
  |                                               ^^

tailmeter.yml:3:68: expected a text, found a list
  |
3 |   otlp: {url: http://a, resource_attributes: {'': a, service.name: [b]}}
  |                                                                    ^",
    ),
];
