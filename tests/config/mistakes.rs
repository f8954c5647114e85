//! Configuration files with mistakes, each beside the whole message that it gets.

/// Name of the case, text of the file, and the message.
pub(crate) type Case = (&'static str, &'static str, &'static str);

/// Every kind of mistake.
pub(crate) const MISTAKES: &[Case] = &[
    (
        "misspelt key",
        r"sources:
  - file: /var/log/haproxy.log
    formt: haproxy
",
        r"tailmeter.yml:3:5: unknown key `formt`; did you mean `format`?
  |
3 |     formt: haproxy
  |     ^^^^^",
    ),
    (
        "unknown key far from any",
        r"verbosity: 3
",
        r"tailmeter.yml:1:1: unknown key `verbosity`
  |
1 | verbosity: 3
  | ^^^^^^^^^
  = known keys: listen, max_line_bytes, max_series, max_series_total, expire_after, compat, sources, labels, metrics, postfix, created_samples, push, formats",
    ),
    (
        "misspelt root key after a byte order mark",
        "\u{feff}listn: 127.0.0.1:9129\n",
        r"tailmeter.yml:1:1: unknown key `listn`; did you mean `listen`?
  |
1 | listn: 127.0.0.1:9129
  | ^^^^^",
    ),
    (
        "duplicate key",
        r"listen: 127.0.0.1:9129
listen: 127.0.0.1:9130
",
        r"tailmeter.yml:2:1: duplicate key `listen`
  |
2 | listen: 127.0.0.1:9130
  | ^^^^^^",
    ),
    (
        "listen without an address",
        r"listen: 9129
",
        r"tailmeter.yml:1:9: expected an IP address and a port, found `9129`
  |
1 | listen: 9129
  |         ^^^^
  = for example 127.0.0.1:9129, 0.0.0.0:9129 or '[::]:9129'",
    ),
    (
        "listen with a host name",
        r"listen: localhost:9129
",
        r"tailmeter.yml:1:9: expected an IP address and a port, found `localhost:9129`
  |
1 | listen: localhost:9129
  |         ^^^^^^^^^^^^^^
  = for example 127.0.0.1:9129, 0.0.0.0:9129 or '[::]:9129'",
    ),
    (
        "ipv6 address without quotes",
        r"listen: [::]:9129
",
        r"tailmeter.yml:1:13: while parsing a block mapping, did not find expected key
  |
1 | listen: [::]:9129
  |             ^
  = an IPv6 address needs quotes: listen: '[::]:9129'",
    ),
    (
        "numbers out of range",
        r"max_line_bytes: 1023
max_series: 0
",
        r"tailmeter.yml:1:17: expected a whole number from 1024 to 16777216, found `1023`
  |
1 | max_line_bytes: 1023
  |                 ^^^^

tailmeter.yml:2:13: expected a whole number from 1 to 1000000000, found `0`
  |
2 | max_series: 0
  |             ^",
    ),
    (
        "number above the range",
        r"max_line_bytes: 16777217
",
        r"tailmeter.yml:1:17: expected a whole number from 1024 to 16777216, found `16777217`
  |
1 | max_line_bytes: 16777217
  |                 ^^^^^^^^",
    ),
    (
        "times that are none",
        r"expire_after: 90
max_series_total: 0
metrics:
  haproxy_log_requests_total: {expire_after: 500ms}
  haproxy_log_queue_duration_seconds: {expire_after: 1m1h}
  haproxy_log_incomplete_records_total: {expire_after: 11y}
",
        r"tailmeter.yml:1:15: expected a time from 1s to 10y, found `90`
  |
1 | expire_after: 90
  |               ^^
  = for example 90s, 15m, 1h30m or 7d, or never

tailmeter.yml:2:19: expected a whole number from 1 to 1000000000, found `0`
  |
2 | max_series_total: 0
  |                   ^

tailmeter.yml:4:46: expected a time from 1s to 10y, found `500ms`
  |
4 |   haproxy_log_requests_total: {expire_after: 500ms}
  |                                              ^^^^^
  = for example 90s, 15m, 1h30m or 7d, or never

tailmeter.yml:5:54: expected a time from 1s to 10y, found `1m1h`
  |
5 |   haproxy_log_queue_duration_seconds: {expire_after: 1m1h}
  |                                                      ^^^^
  = for example 90s, 15m, 1h30m or 7d, or never

tailmeter.yml:6:56: expected a time from 1s to 10y, found `11y`
  |
6 |   haproxy_log_incomplete_records_total: {expire_after: 11y}
  |                                                        ^^^
  = for example 90s, 15m, 1h30m or 7d, or never",
    ),
    (
        "number in quotes",
        r#"max_series: "5000"
"#,
        r#"tailmeter.yml:1:13: expected a whole number from 1 to 1000000000, found `5000`
  |
1 | max_series: "5000"
  |             ^^^^^^
  = leave out the quotes"#,
    ),
    (
        "number with a unit",
        r"max_line_bytes: 64KiB
",
        r"tailmeter.yml:1:17: expected a whole number from 1024 to 16777216, found `64KiB`
  |
1 | max_line_bytes: 64KiB
  |                 ^^^^^",
    ),
    (
        "number as a list",
        r"max_series: [5]
",
        r"tailmeter.yml:1:13: expected a whole number from 1 to 1000000000, found a list
  |
1 | max_series: [5]
  |             ^",
    ),
    (
        "nothing for a number",
        r"max_series:
",
        r"tailmeter.yml:1:1: expected a whole number from 1 to 1000000000, found nothing
  |
1 | max_series:
  | ^^^^^^^^^^",
    ),
    (
        "root is a list",
        r"- listen: 127.0.0.1:9129
",
        r"tailmeter.yml:1:1: expected a mapping, found a list
  |
1 | - listen: 127.0.0.1:9129
  | ^",
    ),
    (
        "sources without a dash",
        r"sources:
  file: /var/log/haproxy.log
",
        r"tailmeter.yml:2:3: expected a list, found a mapping
  |
2 |   file: /var/log/haproxy.log
  |   ^
  = each source begins with a dash: - file: /var/log/haproxy.log",
    ),
    (
        "unknown metrics",
        r"metrics:
  haproxy_log_request_total: {enabled: false}
  queue_duration_seconds: {enabled: false}
  nginx_requests: {enabled: false}
",
        r"tailmeter.yml:2:3: unknown metric `haproxy_log_request_total`; did you mean `haproxy_log_requests_total`?
  |
2 |   haproxy_log_request_total: {enabled: false}
  |   ^^^^^^^^^^^^^^^^^^^^^^^^^

tailmeter.yml:3:3: unknown metric `queue_duration_seconds`; did you mean `haproxy_log_queue_duration_seconds`?
  |
3 |   queue_duration_seconds: {enabled: false}
  |   ^^^^^^^^^^^^^^^^^^^^^^

tailmeter.yml:4:3: unknown metric `nginx_requests`
  |
4 |   nginx_requests: {enabled: false}
  |   ^^^^^^^^^^^^^^",
    ),
    (
        "unknown label of a metric",
        r"metrics:
  haproxy_log_queue_duration_seconds:
    labels: [frontend_nam, colour]
",
        r"tailmeter.yml:3:14: unknown label `frontend_nam`; did you mean `frontend_name`?
  |
3 |     labels: [frontend_nam, colour]
  |              ^^^^^^^^^^^^
  = haproxy_log_queue_duration_seconds can have: frontend_name, backend_name, server_name

tailmeter.yml:3:28: unknown label `colour`
  |
3 |     labels: [frontend_nam, colour]
  |                            ^^^^^^
  = haproxy_log_queue_duration_seconds can have: frontend_name, backend_name, server_name",
    ),
    (
        "label of another metric",
        r"metrics:
  haproxy_log_queue_duration_seconds:
    labels: [status_code]
  haproxy_log_incomplete_records_total:
    labels: [frontend_name]
",
        r"tailmeter.yml:3:14: `haproxy_log_queue_duration_seconds` cannot have the label `status_code`
  |
3 |     labels: [status_code]
  |              ^^^^^^^^^^^
  = haproxy_log_queue_duration_seconds can have: frontend_name, backend_name, server_name

tailmeter.yml:5:14: `haproxy_log_incomplete_records_total` cannot have the label `frontend_name`
  |
5 |     labels: [frontend_name]
  |              ^^^^^^^^^^^^^
  = haproxy_log_incomplete_records_total has no labels",
    ),
    (
        "private labels without a policy",
        r"metrics:
  haproxy_log_requests_total:
    labels: [frontend_name, client_ip, request_header_7, {http_request_path: {unbounded: false}}]
",
        r"tailmeter.yml:3:29: label `client_ip` identifies people or grows with traffic: it needs a policy
  |
3 |     labels: [frontend_name, client_ip, request_header_7, {http_request_path: {unbounded: false}}]
  |                             ^^^^^^^^^
  = write {client_ip: {ip_prefix: {v4: 24, v6: 48}}} to show networks, or {client_ip: {unbounded: true}} to keep all

tailmeter.yml:3:40: label `request_header_7` identifies people or grows with traffic: it needs a policy
  |
3 |     labels: [frontend_name, client_ip, request_header_7, {http_request_path: {unbounded: false}}]
  |                                        ^^^^^^^^^^^^^^^^
  = write {request_header_7: {allow: [a, b]}} to keep those values, or {request_header_7: {unbounded: true}} to keep all

tailmeter.yml:3:59: label `http_request_path` identifies people or grows with traffic: it needs a policy
  |
3 |     labels: [frontend_name, client_ip, request_header_7, {http_request_path: {unbounded: false}}]
  |                                                           ^^^^^^^^^^^^^^^^^
  = write {http_request_path: {template: auto, max_values: 100}} to show patterns such as /users/:number, or {http_request_path: {unbounded: true}} to keep all",
    ),
    (
        "header labels without a number",
        r"labels:
  request_header_0: {unbounded: true}
  request_header_65: {unbounded: true}
  request_header_N: {unbounded: true}
  request_header: {unbounded: true}
",
        r"tailmeter.yml:2:3: unknown label `request_header_0`; `request_header_` ends in a number from 1 to 64
  |
2 |   request_header_0: {unbounded: true}
  |   ^^^^^^^^^^^^^^^^

tailmeter.yml:3:3: unknown label `request_header_65`; `request_header_` ends in a number from 1 to 64
  |
3 |   request_header_65: {unbounded: true}
  |   ^^^^^^^^^^^^^^^^^

tailmeter.yml:4:3: unknown label `request_header_N`; `request_header_` ends in a number from 1 to 64
  |
4 |   request_header_N: {unbounded: true}
  |   ^^^^^^^^^^^^^^^^

tailmeter.yml:5:3: unknown label `request_header`; `request_header_` ends in a number from 1 to 64
  |
5 |   request_header: {unbounded: true}
  |   ^^^^^^^^^^^^^^",
    ),
    (
        "label twice",
        r"metrics:
  haproxy_log_requests_total:
    labels: [status_code, {status_code: {allow: [200]}}]
",
        r"tailmeter.yml:3:28: label `status_code` is listed twice
  |
3 |     labels: [status_code, {status_code: {allow: [200]}}]
  |                            ^^^^^^^^^^^",
    ),
    (
        "policy not indented",
        r"metrics:
  haproxy_log_requests_total:
    labels:
      - http_request_path:
        allow: [/, /login]
",
        r"tailmeter.yml:5:9: `allow` must be indented below its label
  |
5 |         allow: [/, /login]
  |         ^^^^^",
    ),
    (
        "labels as one word",
        r"metrics:
  haproxy_log_requests_total:
    labels: status_code
",
        r"tailmeter.yml:3:13: expected a list, found `status_code`
  |
3 |     labels: status_code
  |             ^^^^^^^^^^^
  = for example [frontend_name]",
    ),
    (
        "enabled is not a truth value",
        r"metrics:
  haproxy_log_requests_total: {enabled: yes}
",
        r"tailmeter.yml:2:41: expected true or false, found `yes`
  |
2 |   haproxy_log_requests_total: {enabled: yes}
  |                                         ^^^",
    ),
    (
        "created_samples is not a truth value",
        "created_samples: 1\n",
        r"tailmeter.yml:1:18: expected true or false, found `1`
  |
1 | created_samples: 1
  |                  ^",
    ),
    (
        "policies that say nothing usable",
        r"labels:
  server_name: {}
  status_code:
  backend_name: {allow: []}
  frontend_name: {allow: www}
  http_request_method: {allow: [GET, GET, [POST]]}
  client_ip: {allow: [192.0.2.1], unbounded: true}
",
        r"tailmeter.yml:2:3: the policy of `server_name` is empty
  |
2 |   server_name: {}
  |   ^^^^^^^^^^^
  = write {server_name: {allow: [a, b]}} to keep those values, or {server_name: {unbounded: true}} to keep all

tailmeter.yml:3:3: expected a policy such as {allow: [a, b]}, found nothing
  |
3 |   status_code:
  |   ^^^^^^^^^^^
  = write {status_code: {allow: [a, b]}} to keep those values, or {status_code: {unbounded: true}} to keep all

tailmeter.yml:4:18: an empty `allow` turns every value into `other`
  |
4 |   backend_name: {allow: []}
  |                  ^^^^^
  = leave the label out instead

tailmeter.yml:5:26: expected a list of values, found `www`
  |
5 |   frontend_name: {allow: www}
  |                          ^^^
  = for example allow: [GET, POST, {prefix: X-}, {regex: 'P.*'}]

tailmeter.yml:6:38: `GET` is listed twice
  |
6 |   http_request_method: {allow: [GET, GET, [POST]]}
  |                                      ^^^

tailmeter.yml:6:43: expected a value, found a list
  |
6 |   http_request_method: {allow: [GET, GET, [POST]]}
  |                                           ^

tailmeter.yml:7:35: `unbounded: true` contradicts `allow`: keep one of them
  |
7 |   client_ip: {allow: [192.0.2.1], unbounded: true}
  |                                   ^^^^^^^^^",
    ),
    (
        "unknown label and policy key",
        r"labels:
  client_ipp: {allow: [192.0.2.1]}
  client_ip: {alow: [192.0.2.1]}
",
        r"tailmeter.yml:2:3: unknown label `client_ipp`; did you mean `client_ip`?
  |
2 |   client_ipp: {allow: [192.0.2.1]}
  |   ^^^^^^^^^^

tailmeter.yml:3:15: unknown key `alow`; did you mean `allow`?
  |
3 |   client_ip: {alow: [192.0.2.1]}
  |               ^^^^",
    ),
    (
        "tab for indentation",
        "sources:\n\t- file: /var/log/haproxy.log\n",
        r"tailmeter.yml:2:2: tabs disallowed within this context (block indentation)
  |
2 |     - file: /var/log/haproxy.log
  |     ^
  = indent with spaces: YAML allows no tabs there",
    ),
    (
        "indentation that does not fit",
        r"listen: 127.0.0.1:9129
 max_series: 4
",
        r"tailmeter.yml:2:12: mapping values are not allowed in this context
  |
2 |  max_series: 4
  |            ^",
    ),
    (
        "unclosed bracket",
        r"sources: [
",
        r"tailmeter.yml:1:10: unclosed bracket '['
  |
1 | sources: [
  |          ^",
    ),
    (
        "two documents",
        r"max_series: 1
---
max_series: 2
",
        r"tailmeter.yml:2:1: a second YAML document starts here; a configuration is one document
  |
2 | ---
  | ^^^",
    ),
    (
        "nested too deeply",
        r"[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]
",
        r"tailmeter.yml:1:17: the configuration is nested too deeply or has too many values
  |
1 | [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]
  |                 ^",
    ),
    (
        "aliases that explode",
        r"a: &a [1,1,1,1,1,1,1,1,1,1]
b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]
c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]
d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]
e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]
f: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]
",
        r"tailmeter.yml:5:14: the aliases of this configuration expand to too many values
  |
5 | e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]
  |              ^^",
    ),
    (
        "alias of itself",
        r"labels: &a {client_ip: *a}
",
        r"tailmeter.yml:1:24: this alias stands inside its own anchor
  |
1 | labels: &a {client_ip: *a}
  |                        ^^",
    ),
    (
        "mistake behind an alias is said once",
        r"labels:
  client_ip: &policy {alow: [a]}
  http_request_path: *policy
",
        r"tailmeter.yml:2:23: unknown key `alow`; did you mean `allow`?
  |
2 |   client_ip: &policy {alow: [a]}
  |                       ^^^^",
    ),
    (
        "unknown tag",
        r"listen: !address 127.0.0.1:9129
",
        r"tailmeter.yml:1:18: unsupported tag `!address`
  |
1 | listen: !address 127.0.0.1:9129
  |                  ^^^^^^^^^^^^^^
  = text that begins with `!` needs quotes",
    ),
    (
        "value that does not fit its tag",
        r"max_series: !!int many
",
        r"tailmeter.yml:1:19: this value does not fit its tag
  |
1 | max_series: !!int many
  |                   ^^^^",
    ),
    (
        "key that is a list",
        r"? [listen]
: 127.0.0.1:9129
",
        r"tailmeter.yml:1:3: a key must be a word
  |
1 | ? [listen]
  |   ^",
    ),
    (
        "control characters",
        "listen: \"127.0.0.1:9129\u{1b}[31m\"\n",
        r#"tailmeter.yml:1:24: unexpected character: `\u{1b}'
  |
1 | listen: "127.0.0.1:9129�[31m"
  |                        ^"#,
    ),
    (
        "carriage returns",
        "max_series: 5\r\nmax_serie: 5\r\n",
        r"tailmeter.yml:2:1: unknown key `max_serie`; did you mean `max_series`?
  |
2 | max_serie: 5
  | ^^^^^^^^^",
    ),
    (
        "long line is cut",
        r"metrics: {haproxy_log_requests_total: {labels: [frontend_name, backend_name, server_name, status_code, http_request_method, termination_stat]}, haproxy_log_queue_duration_seconds: {enabled: false}}
",
        r"tailmeter.yml:1:125: unknown label `termination_stat`; did you mean `termination_state`?
  |
1 | …name, status_code, http_request_method, termination_stat]}, haproxy_log_queue_duration_seconds: {ena…
  |                                          ^^^^^^^^^^^^^^^^
  = haproxy_log_requests_total can have: frontend_name, backend_name, server_name, status_code, http_request_method, termination_state, http_request_path, client_ip, request_header_N",
    ),
    (
        "order of the file",
        r"metrics:
  haproxy_log_requests_total: {enable: false}
max_series: none
labels:
  sttatus_code: {allow: [200]}
listen: nowhere
",
        r"tailmeter.yml:2:32: unknown key `enable`; did you mean `enabled`?
  |
2 |   haproxy_log_requests_total: {enable: false}
  |                                ^^^^^^

tailmeter.yml:3:13: expected a whole number from 1 to 1000000000, found `none`
  |
3 | max_series: none
  |             ^^^^

tailmeter.yml:5:3: unknown label `sttatus_code`; did you mean `status_code`?
  |
5 |   sttatus_code: {allow: [200]}
  |   ^^^^^^^^^^^^

tailmeter.yml:6:9: expected an IP address and a port, found `nowhere`
  |
6 | listen: nowhere
  |         ^^^^^^^
  = for example 127.0.0.1:9129, 0.0.0.0:9129 or '[::]:9129'",
    ),
];
