//! Label policies with mistakes, each beside the whole message that it gets.

use super::mistakes::Case;

/// Every kind of mistake.
pub(crate) const POLICY_MISTAKES: &[Case] = &[
    (
        "lists of values",
        r"labels:
  server_name: {allow: [{prefix: ''}, {regex: 'a('}, {prefx: a}, {prefix: a, regex: b}, {regex: [a]}, {}]}
  backend_name: {deny: []}
  frontend_name: {deny: [{prefix: a}, a, {prefix: a}]}
",
        r"tailmeter.yml:2:26: `prefix` needs a text
  |
2 |   server_name: {allow: [{prefix: ''}, {regex: 'a('}, {prefx: a}, {prefix: a, regex: b}, {regex: [a]}…
  |                          ^^^^^^

tailmeter.yml:2:47: bad regular expression: unclosed group
  |
2 | …er_name: {allow: [{prefix: ''}, {regex: 'a('}, {prefx: a}, {prefix: a, regex: b}, {regex: [a]}, {}]}
  |                                          ^^^^

tailmeter.yml:2:55: unknown key `prefx`; did you mean `prefix`?
  |
2 | … {allow: [{prefix: ''}, {regex: 'a('}, {prefx: a}, {prefix: a, regex: b}, {regex: [a]}, {}]}
  |                                          ^^^^^

tailmeter.yml:2:66: expected one of {prefix: …} and {regex: …}
  |
2 | …prefix: ''}, {regex: 'a('}, {prefx: a}, {prefix: a, regex: b}, {regex: [a]}, {}]}
  |                                          ^

tailmeter.yml:2:97: expected a text, found a list
  |
2 | …efx: a}, {prefix: a, regex: b}, {regex: [a]}, {}]}
  |                                          ^

tailmeter.yml:2:103: expected one of {prefix: …} and {regex: …}
  |
2 | …}, {prefix: a, regex: b}, {regex: [a]}, {}]}
  |                                          ^

tailmeter.yml:3:18: an empty `deny` does nothing
  |
3 |   backend_name: {deny: []}
  |                  ^^^^

tailmeter.yml:4:51: `a` is listed twice
  |
4 |   frontend_name: {deny: [{prefix: a}, a, {prefix: a}]}
  |                                                   ^",
    ),
    (
        "rewrites",
        r"labels:
  server_name: {rewrite: ~}
  backend_name: {rewrite: [{pattern: a}, {pattern: '[a', to: b}, {pattern: '(a)', to: 'b-$2'}, {patern: a, to: b}]}
  frontend_name: {rewrite: {pattern: a, to: b}}
",
        r"tailmeter.yml:2:17: expected a list of rules, found nothing
  |
2 |   server_name: {rewrite: ~}
  |                 ^^^^^^^
  = for example [{pattern: '(.+)@.+', to: '$1'}]

tailmeter.yml:3:28: a rule needs a `pattern` and what it becomes, `to`
  |
3 |   backend_name: {rewrite: [{pattern: a}, {pattern: '[a', to: b}, {pattern: '(a)', to: 'b-$2'}, {pate…
  |                            ^
  = for example [{pattern: '(.+)@.+', to: '$1'}]

tailmeter.yml:3:52: bad regular expression: unclosed character class
  |
3 | …ame: {rewrite: [{pattern: a}, {pattern: '[a', to: b}, {pattern: '(a)', to: 'b-$2'}, {patern: a, to: …
  |                                          ^^^^

tailmeter.yml:3:90: the expression has no group `2`
  |
3 | …: '[a', to: b}, {pattern: '(a)', to: 'b-$2'}, {patern: a, to: b}]}
  |                                          ^
  = a group is `${1}` or `${name}`, for example

tailmeter.yml:3:97: unknown key `patern`; did you mean `pattern`?
  |
3 | … to: b}, {pattern: '(a)', to: 'b-$2'}, {patern: a, to: b}]}
  |                                          ^^^^^^

tailmeter.yml:4:28: expected a list, found a mapping
  |
4 |   frontend_name: {rewrite: {pattern: a, to: b}}
  |                            ^
  = for example [{pattern: '(.+)@.+', to: '$1'}]",
    ),
    (
        "templates",
        r"labels:
  http_request_path: {template: [/a, users, '/a/:', '/a/']}
  server_name: {template: []}
  backend_name: {template: all}
  frontend_name: {template: {detect: [number, hashes], path: [/a]}}
  status_code: {template: ['/a/:id', '/b/*/c']}
  http_request_method: {template: ['/a/:id', '/b', '/a/:name']}
",
        r"tailmeter.yml:2:38: a pattern begins with `/`
  |
2 |   http_request_path: {template: [/a, users, '/a/:', '/a/']}
  |                                      ^^^^^

tailmeter.yml:3:17: a template without a path turns every value into `other`
  |
3 |   server_name: {template: []}
  |                 ^^^^^^^^
  = for example [/users/:id, /static/*], or {paths: [/users/:id], detect: [number, uuid]}, or auto

tailmeter.yml:4:28: expected `auto` or a list of paths, found `all`
  |
4 |   backend_name: {template: all}
  |                            ^^^
  = for example [/users/:id, /static/*], or {paths: [/users/:id], detect: [number, uuid]}, or auto

tailmeter.yml:5:47: unknown detector `hashes`
  |
5 |   frontend_name: {template: {detect: [number, hashes], path: [/a]}}
  |                                               ^^^^^^
  = for example all, or [number, uuid, hash, id]

tailmeter.yml:5:56: unknown key `path`; did you mean `paths`?
  |
5 |   frontend_name: {template: {detect: [number, hashes], path: [/a]}}
  |                                                        ^^^^

tailmeter.yml:6:42: `*` stands alone, and at the end; `:name` stands for one segment
  |
6 |   status_code: {template: ['/a/:id', '/b/*/c']}
  |                                          ^

tailmeter.yml:7:52: it fits the same paths as `/a/:id`
  |
7 |   http_request_method: {template: ['/a/:id', '/b', '/a/:name']}
  |                                                    ^^^^^^^^^^",
    ),
    (
        "addresses",
        r"labels:
  client_ip: {ip_prefix: 24}
  server_name: {ip_prefix: {v4: 33, v6: -1, v5: 1}}
  http_request_path: {ip_prefix: {v4: 24}, template: [/a]}
",
        r"tailmeter.yml:2:26: expected the lengths of networks, found `24`
  |
2 |   client_ip: {ip_prefix: 24}
  |                          ^^
  = for example {v4: 24, v6: 48}

tailmeter.yml:3:33: expected a whole number from 0 to 32, found `33`
  |
3 |   server_name: {ip_prefix: {v4: 33, v6: -1, v5: 1}}
  |                                 ^^

tailmeter.yml:3:41: expected a whole number from 0 to 128, found `-1`
  |
3 |   server_name: {ip_prefix: {v4: 33, v6: -1, v5: 1}}
  |                                         ^^

tailmeter.yml:3:45: unknown key `v5`; did you mean `v4`?
  |
3 |   server_name: {ip_prefix: {v4: 33, v6: -1, v5: 1}}
  |                                             ^^

tailmeter.yml:4:23: a value is a path or an address: keep one of `template` and `ip_prefix`
  |
4 |   http_request_path: {ip_prefix: {v4: 24}, template: [/a]}
  |                       ^^^^^^^^^",
    ),
    (
        "hashes",
        r"labels:
  client_ip: {hash: {}}
  server_name: {hash: {rotate: 30s, keyfile: a}}
  backend_name: {hash: {rotate: 2y}}
  frontend_name: {hash: {key_file: ''}}
  http_request_path: {hash: {rotate: 24h}, max_values: 5}
",
        r"tailmeter.yml:2:21: expected where the key is from, found a mapping
  |
2 |   client_ip: {hash: {}}
  |                     ^
  = for example {rotate: 24h}, {key_file: /etc/tailmeter/hash.key}, or random

tailmeter.yml:3:32: expected a time from 1m to 366d, found `30s`
  |
3 |   server_name: {hash: {rotate: 30s, keyfile: a}}
  |                                ^^^
  = for example 90s, 15m, 1h30m or 7d

tailmeter.yml:3:37: unknown key `keyfile`; did you mean `key_file`?
  |
3 |   server_name: {hash: {rotate: 30s, keyfile: a}}
  |                                     ^^^^^^^

tailmeter.yml:4:33: expected a time from 1m to 366d, found `2y`
  |
4 |   backend_name: {hash: {rotate: 2y}}
  |                                 ^^
  = for example 90s, 15m, 1h30m or 7d

tailmeter.yml:5:36: expected the path of a file, found an empty text
  |
5 |   frontend_name: {hash: {key_file: ''}}
  |                                    ^^

tailmeter.yml:6:44: the values of a hash that rotates are always new, and `max_values` keeps the first ones: keep one of them
  |
6 |   http_request_path: {hash: {rotate: 24h}, max_values: 5}
  |                                            ^^^^^^^^^^",
    ),
    (
        "numbers of values",
        r"labels:
  client_ip: {max_values: 0}
  server_name: {max_values: 10, unbounded: true}
  backend_name: {from_file: [a]}
  frontend_name: {from_file: a, unbounded: true}
  status_code: {lower: 1}
",
        r"tailmeter.yml:2:27: expected a whole number from 1 to 1000000, found `0`
  |
2 |   client_ip: {max_values: 0}
  |                           ^

tailmeter.yml:3:33: `unbounded: true` contradicts `max_values`: keep one of them
  |
3 |   server_name: {max_values: 10, unbounded: true}
  |                                 ^^^^^^^^^

tailmeter.yml:4:29: expected the path of a file, found a list
  |
4 |   backend_name: {from_file: [a]}
  |                             ^

tailmeter.yml:5:33: `unbounded: true` contradicts `from_file`: keep one of them
  |
5 |   frontend_name: {from_file: a, unbounded: true}
  |                                 ^^^^^^^^^

tailmeter.yml:6:24: expected true or false, found `1`
  |
6 |   status_code: {lower: 1}
  |                        ^",
    ),
    (
        "rules that let everything else through",
        r"labels:
  client_ip: {rewrite: [{pattern: '10\..*', to: internal}]}
metrics:
  haproxy_log_requests_total:
    labels: [client_ip, {http_request_path: {lower: true}}, {request_header_1: {deny: [a]}}]
",
        r"tailmeter.yml:5:14: label `client_ip` identifies people or grows with traffic: it needs a policy that says which values there may be
  |
5 |     labels: [client_ip, {http_request_path: {lower: true}}, {request_header_1: {deny: [a]}}]
  |              ^^^^^^^^^
  = write {client_ip: {ip_prefix: {v4: 24, v6: 48}}} to show networks, or {client_ip: {unbounded: true}} to keep all

tailmeter.yml:5:26: label `http_request_path` identifies people or grows with traffic: it needs a policy that says which values there may be
  |
5 |     labels: [client_ip, {http_request_path: {lower: true}}, {request_header_1: {deny: [a]}}]
  |                          ^^^^^^^^^^^^^^^^^
  = write {http_request_path: {template: auto, max_values: 100}} to show patterns such as /users/:number, or {http_request_path: {unbounded: true}} to keep all

tailmeter.yml:5:62: label `request_header_1` identifies people or grows with traffic: it needs a policy that says which values there may be
  |
5 |     labels: [client_ip, {http_request_path: {lower: true}}, {request_header_1: {deny: [a]}}]
  |                                                              ^^^^^^^^^^^^^^^^
  = write {request_header_1: {allow: [a, b]}} to keep those values, or {request_header_1: {unbounded: true}} to keep all",
    ),
];
