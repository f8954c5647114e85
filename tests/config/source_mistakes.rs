//! Sources with mistakes, each beside the whole message that it gets.

use crate::mistakes::Case;

/// Every kind of mistake in a source.
pub(crate) const SOURCE_MISTAKES: &[Case] = &[
    (
        "source is a path",
        r"sources: [/var/log/haproxy.log]
",
        r"tailmeter.yml:1:11: expected a source with `file` and `format`, found `/var/log/haproxy.log`
  |
1 | sources: [/var/log/haproxy.log]
  |           ^^^^^^^^^^^^^^^^^^^^",
    ),
    (
        "source is empty",
        r"sources:
  - {}
",
        r"tailmeter.yml:2:5: this source has none of `file`, `journal`, `syslog` and `pipe`
  |
2 |   - {}
  |     ^

tailmeter.yml:2:5: this source has no `format`
  |
2 |   - {}
  |     ^
  = known formats: haproxy",
    ),
    (
        "unknown formats",
        r"sources:
  - file: /var/log/haproxy.log
    format: haprox
  - file: /var/log/nginx/access.log
    format: nginx
",
        r"tailmeter.yml:3:13: unknown format `haprox`; did you mean `haproxy`?
  |
3 |     format: haprox
  |             ^^^^^^
  = known formats: haproxy

tailmeter.yml:5:13: unknown format `nginx`
  |
5 |     format: nginx
  |             ^^^^^
  = known formats: haproxy",
    ),
    (
        "empty paths",
        r#"sources:
  - file: ""
    format: haproxy
  - file:
    format: haproxy
"#,
        r#"tailmeter.yml:2:11: expected a path or a glob pattern, found an empty text
  |
2 |   - file: ""
  |           ^^

tailmeter.yml:4:5: expected a path or a glob pattern, found nothing
  |
4 |   - file:
  |     ^^^^"#,
    ),
    (
        "bad globs",
        r#"sources:
  - file: /var/log/[haproxy.log
    format: haproxy
  - file: "/var/log/***"
    format: haproxy
"#,
        r#"tailmeter.yml:2:20: bad glob pattern: invalid range pattern
  |
2 |   - file: /var/log/[haproxy.log
  |                    ^
  = a bracket of the file's name is written [[]

tailmeter.yml:4:23: bad glob pattern: wildcards are either regular `*` or recursive `**`
  |
4 |   - file: "/var/log/***"
  |                       ^"#,
    ),
    (
        "pattern without quotes",
        r"sources:
  - file: *.log
    format: haproxy
",
        r"tailmeter.yml:2:11: this alias names no anchor above it
  |
2 |   - file: *.log
  |           ^
  = text that begins with `*` needs quotes",
    ),
    (
        "same source twice",
        r"sources:
  - {file: /var/log/haproxy.log, format: haproxy}
  - {file: /var/log/haproxy.log, format: haproxy}
",
        r"tailmeter.yml:3:12: `/var/log/haproxy.log` is read as haproxy twice: lines would count twice
  |
3 |   - {file: /var/log/haproxy.log, format: haproxy}
  |            ^^^^^^^^^^^^^^^^^^^^",
    ),
    (
        "source of two kinds",
        r"sources:
  - file: /var/log/haproxy.log
    syslog: udp://0.0.0.0:514x
    framing: lines
    format: haprox
",
        r"tailmeter.yml:3:5: a source reads one thing: it has `file` already
  |
3 |     syslog: udp://0.0.0.0:514x
  |     ^^^^^^
  = begin another source with a dash: - syslog: …

tailmeter.yml:5:13: unknown format `haprox`; did you mean `haproxy`?
  |
5 |     format: haprox
  |             ^^^^^^
  = known formats: haproxy",
    ),
    (
        "misspelt kind is said once",
        r"sources:
  - {jornal: {identifiers: [haproxy]}, format: haproxy}
  - {path: /var/log/haproxy.log, format: haproxy}
",
        r"tailmeter.yml:2:6: unknown key `jornal`; did you mean `journal`?
  |
2 |   - {jornal: {identifiers: [haproxy]}, format: haproxy}
  |      ^^^^^^

tailmeter.yml:3:6: unknown key `path`
  |
3 |   - {path: /var/log/haproxy.log, format: haproxy}
  |      ^^^^
  = known keys: file, exclude, journal, syslog, framing, senders, receive_buffer_bytes, max_connections, socket_mode, tls, pipe, format, name

tailmeter.yml:3:6: this source has none of `file`, `journal`, `syslog` and `pipe`
  |
3 |   - {path: /var/log/haproxy.log, format: haproxy}
  |      ^^^^",
    ),
    (
        "settings of another kind",
        r"sources:
  - file: /var/log/haproxy.log
    framing: lines
    directory: /var/log/journal
    format: haproxy
  - journal: {}
    exclude: [/var/log/haproxy.log]
    format: haproxy
  - {pipe: /run/haproxy.fifo, tls: {}, fromat: haproxy}
",
        r"tailmeter.yml:3:5: `framing` goes with `syslog`, not with `file`
  |
3 |     framing: lines
  |     ^^^^^^^

tailmeter.yml:4:5: `directory` stands within `journal`
  |
4 |     directory: /var/log/journal
  |     ^^^^^^^^^
  = for example journal: {directory: …}

tailmeter.yml:7:5: `exclude` goes with `file`, not with `journal`
  |
7 |     exclude: [/var/log/haproxy.log]
  |     ^^^^^^^

tailmeter.yml:9:31: `tls` goes with `syslog`, not with `pipe`
  |
9 |   - {pipe: /run/haproxy.fifo, tls: {}, fromat: haproxy}
  |                               ^^^

tailmeter.yml:9:40: unknown key `fromat`; did you mean `format`?
  |
9 |   - {pipe: /run/haproxy.fifo, tls: {}, fromat: haproxy}
  |                                        ^^^^^^",
    ),
    (
        "excluded paths",
        r#"sources:
  - file: /var/log/*.log
    exclude: /var/log/test.log
    format: haproxy
  - file: /var/log/*.log
    exclude: ['', '/var/log/[a', "/var/l\u00f6g/[a", /var/lög/***, {}]
    format: haproxy
"#,
        r#"tailmeter.yml:3:14: expected a list, found `/var/log/test.log`
  |
3 |     exclude: /var/log/test.log
  |              ^^^^^^^^^^^^^^^^^
  = for example exclude: [/var/log/haproxy-test.log]

tailmeter.yml:6:15: expected a path or a glob pattern, found an empty text
  |
6 |     exclude: ['', '/var/log/[a', "/var/l\u00f6g/[a", /var/lög/***, {}]
  |               ^^

tailmeter.yml:6:29: bad glob pattern: invalid range pattern
  |
6 |     exclude: ['', '/var/log/[a', "/var/l\u00f6g/[a", /var/lög/***, {}]
  |                             ^
  = a bracket of the file's name is written [[]

tailmeter.yml:6:34: bad glob pattern: invalid range pattern
  |
6 |     exclude: ['', '/var/log/[a', "/var/l\u00f6g/[a", /var/lög/***, {}]
  |                                  ^^^^^^^^^^^^^^^^^^

tailmeter.yml:6:65: bad glob pattern: wildcards are either regular `*` or recursive `**`
  |
6 |     exclude: ['', '/var/log/[a', "/var/l\u00f6g/[a", /var/lög/***, {}]
  |                                                                 ^

tailmeter.yml:6:68: expected a path or a glob pattern, found a mapping
  |
6 |     exclude: ['', '/var/log/[a', "/var/l\u00f6g/[a", /var/lög/***, {}]
  |                                                                    ^"#,
    ),
    (
        "address in the place of a path",
        r"sources:
  - {file: '-', format: haproxy}
  - {file: 'udp://0.0.0.0:5514', format: haproxy}
",
        r"tailmeter.yml:2:12: `-` is standard input, not a file
  |
2 |   - {file: '-', format: haproxy}
  |            ^^^
  = write pipe: '-', or ./- for a file

tailmeter.yml:3:12: `udp://0.0.0.0:5514` is an address, not a path
  |
3 |   - {file: 'udp://0.0.0.0:5514', format: haproxy}
  |            ^^^^^^^^^^^^^^^^^^^^
  = sockets are read with `syslog`; a path is written ./udp://0.0.0.0:5514",
    ),
    (
        "standard input without quotes",
        r"sources:
  - pipe: -
    format: haproxy
",
        r"tailmeter.yml:2:11: block sequence entries are not allowed in this context
  |
2 |   - pipe: -
  |           ^
  = standard input needs quotes: pipe: '-'",
    ),
    (
        "bad pipes",
        r#"sources:
  - {pipe: '', format: haproxy}
  - {pipe: "/run/\0", format: haproxy}
  - {pipe: [a], format: haproxy}
"#,
        r#"tailmeter.yml:2:12: expected a path, or '-' for standard input, found an empty text
  |
2 |   - {pipe: '', format: haproxy}
  |            ^^

tailmeter.yml:3:12: a null character cannot stand here
  |
3 |   - {pipe: "/run/\0", format: haproxy}
  |            ^^^^^^^^^

tailmeter.yml:4:12: expected a path, or '-' for standard input, found a list
  |
4 |   - {pipe: [a], format: haproxy}
  |            ^"#,
    ),
    (
        "bad journals",
        r"sources:
  - {journal: haproxy, format: haproxy}
  - {journal: {identifiers: haproxy, unit: [haproxy.service]}, format: haproxy}
  - {journal: {units: [''], directory: , identifiers: [[a]]}, format: haproxy}
",
        r"tailmeter.yml:2:15: expected a mapping, found `haproxy`
  |
2 |   - {journal: haproxy, format: haproxy}
  |               ^^^^^^^
  = for example journal: {identifiers: [haproxy]}, or journal: {} for everything

tailmeter.yml:3:29: expected a list, found `haproxy`
  |
3 |   - {journal: {identifiers: haproxy, unit: [haproxy.service]}, format: haproxy}
  |                             ^^^^^^^
  = for example identifiers: [haproxy]

tailmeter.yml:3:38: unknown key `unit`; did you mean `units`?
  |
3 |   - {journal: {identifiers: haproxy, unit: [haproxy.service]}, format: haproxy}
  |                                      ^^^^

tailmeter.yml:4:24: expected a unit, found an empty text
  |
4 |   - {journal: {units: [''], directory: , identifiers: [[a]]}, format: haproxy}
  |                        ^^

tailmeter.yml:4:29: expected the path of a directory, found nothing
  |
4 |   - {journal: {units: [''], directory: , identifiers: [[a]]}, format: haproxy}
  |                             ^^^^^^^^^

tailmeter.yml:4:56: expected a syslog identifier, found a list
  |
4 |   - {journal: {units: [''], directory: , identifiers: [[a]]}, format: haproxy}
  |                                                        ^",
    ),
    (
        "bad matches",
        r"sources:
  - journal:
      matches: [+, PRIORITY=6, +, +, priority=6, --flush, __CURSOR=a, /usr/sbin/haproxy, =a, A=, +]
    format: haproxy
",
        r"tailmeter.yml:3:17: `+` stands between two matches
  |
3 |       matches: [+, PRIORITY=6, +, +, priority=6, --flush, __CURSOR=a, /usr/sbin/haproxy, =a, A=, +]
  |                 ^

tailmeter.yml:3:35: `+` stands between two matches
  |
3 |       matches: [+, PRIORITY=6, +, +, priority=6, --flush, __CURSOR=a, /usr/sbin/haproxy, =a, A=, +]
  |                                   ^

tailmeter.yml:3:38: expected FIELD=VALUE or +, found `priority=6`
  |
3 |       matches: [+, PRIORITY=6, +, +, priority=6, --flush, __CURSOR=a, /usr/sbin/haproxy, =a, A=, +]
  |                                      ^^^^^^^^^^
  = a field has capital letters, digits and underscores, and not two at its beginning

tailmeter.yml:3:50: expected FIELD=VALUE or +, found `--flush`
  |
3 |       matches: [+, PRIORITY=6, +, +, priority=6, --flush, __CURSOR=a, /usr/sbin/haproxy, =a, A=, +]
  |                                                  ^^^^^^^
  = a field has capital letters, digits and underscores, and not two at its beginning

tailmeter.yml:3:59: expected FIELD=VALUE or +, found `__CURSOR=a`
  |
3 |       matches: [+, PRIORITY=6, +, +, priority=6, --flush, __CURSOR=a, /usr/sbin/haproxy, =a, A=, +]
  |                                                           ^^^^^^^^^^
  = a field has capital letters, digits and underscores, and not two at its beginning

tailmeter.yml:3:71: expected FIELD=VALUE or +, found `/usr/sbin/haproxy`
  |
3 |       matches: [+, PRIORITY=6, +, +, priority=6, --flush, __CURSOR=a, /usr/sbin/haproxy, =a, A=, +]
  |                                                                       ^^^^^^^^^^^^^^^^^
  = a field has capital letters, digits and underscores, and not two at its beginning

tailmeter.yml:3:90: expected FIELD=VALUE or +, found `=a`
  |
3 |       matches: [+, PRIORITY=6, +, +, priority=6, --flush, __CURSOR=a, /usr/sbin/haproxy, =a, A=, +]
  |                                                                                          ^^
  = a field has capital letters, digits and underscores, and not two at its beginning

tailmeter.yml:3:98: `+` stands between two matches
  |
3 |       matches: [+, PRIORITY=6, +, +, priority=6, --flush, __CURSOR=a, /usr/sbin/haproxy, =a, A=, +]
  |                                                                                                  ^",
    ),
    (
        "the same twice, of every kind",
        r"sources:
  - {file: /var/log/./a.log, format: haproxy}
  - {file: /var//log/a.log, name: other, format: haproxy}
  - {journal: {identifiers: [a, b]}, format: haproxy}
  - {journal: {identifiers: [b, a, b]}, name: again, format: haproxy}
  - {syslog: 'udp://0.0.0.0:514', format: haproxy}
  - {syslog: 'udp://0.0.0.0:0514', format: haproxy}
  - {pipe: /run/a, format: haproxy}
  - {pipe: /run/a, name: b, format: haproxy}
  - {pipe: '-', format: haproxy}
  - {pipe: '-', name: stdin, format: haproxy}
",
        r"tailmeter.yml:3:12: `/var//log/a.log` is read as haproxy twice: lines would count twice
  |
3 |   - {file: /var//log/a.log, name: other, format: haproxy}
  |            ^^^^^^^^^^^^^^^

tailmeter.yml:5:15: `journal:b,a,b` is read as haproxy twice: lines would count twice
  |
5 |   - {journal: {identifiers: [b, a, b]}, name: again, format: haproxy}
  |               ^

tailmeter.yml:7:14: `udp://0.0.0.0:514` is listened on twice: only one source can have it
  |
7 |   - {syslog: 'udp://0.0.0.0:0514', format: haproxy}
  |              ^^^^^^^^^^^^^^^^^^^^

tailmeter.yml:9:12: `/run/a` is read twice: each source would get only some of its lines
  |
9 |   - {pipe: /run/a, name: b, format: haproxy}
  |            ^^^^^^

tailmeter.yml:11:12: standard input is read twice: each source would get only some of its lines
   |
11 |   - {pipe: '-', name: stdin, format: haproxy}
   |            ^^^",
    ),
    (
        "the same twice behind an alias",
        r"sources:
  - &a {file: /var/log/a.log, format: haproxy}
  - *a
",
        r"tailmeter.yml:2:15: `/var/log/a.log` is read as haproxy twice: lines would count twice
  |
2 |   - &a {file: /var/log/a.log, format: haproxy}
  |               ^^^^^^^^^^^^^^",
    ),
    (
        "the same name twice",
        r"sources:
  - {file: /var/log/a.log, name: edge, format: haproxy}
  - {file: /var/log/b.log, name: edge, format: haproxy}
  - {journal: {units: [a.service]}, format: haproxy}
  - {journal: {units: [b.service]}, format: haproxy}
  - {pipe: /run/a, name: /var/log/c.log, format: haproxy}
  - {file: /var/log/c.log, format: haproxy}
",
        r"tailmeter.yml:3:34: another source of haproxy is called `edge`, too: they would be mixed up in the metrics
  |
3 |   - {file: /var/log/b.log, name: edge, format: haproxy}
  |                                  ^^^^
  = give it another `name`

tailmeter.yml:5:15: another source of haproxy is called `journal`, too: they would be mixed up in the metrics
  |
5 |   - {journal: {units: [b.service]}, format: haproxy}
  |               ^
  = give it a `name`

tailmeter.yml:7:12: another source of haproxy is called `/var/log/c.log`, too: they would be mixed up in the metrics
  |
7 |   - {file: /var/log/c.log, format: haproxy}
  |            ^^^^^^^^^^^^^^
  = give it a `name`",
    ),
    (
        "bad names",
        r"sources:
  - {file: /var/log/a.log, name: ' ', format: haproxy}
  - {file: /var/log/b.log, name: , format: haproxy}
  - {file: /var/log/c.log, name: [a], format: haproxy}
",
        r"tailmeter.yml:2:34: expected a name, found an empty text
  |
2 |   - {file: /var/log/a.log, name: ' ', format: haproxy}
  |                                  ^^^

tailmeter.yml:3:28: expected a name, found nothing
  |
3 |   - {file: /var/log/b.log, name: , format: haproxy}
  |                            ^^^^

tailmeter.yml:4:34: expected a name, found a list
  |
4 |   - {file: /var/log/c.log, name: [a], format: haproxy}
  |                                  ^",
    ),
    (
        "bad ways of writing",
        r"sources:
  - {file: /var/log/a.log, format: {log_format: '%ci %xy'}}
  - {file: /var/log/b.log, format: {log_formt: '%ci'}}
  - {file: /var/log/c.log, format: {}}
",
        r"tailmeter.yml:2:54: unknown alias %xy; a percent sign is written %%
  |
2 |   - {file: /var/log/a.log, format: {log_format: '%ci %xy'}}
  |                                                      ^

tailmeter.yml:3:37: unknown key `log_formt`; did you mean `log_format`?
  |
3 |   - {file: /var/log/b.log, format: {log_formt: '%ci'}}
  |                                     ^^^^^^^^^

tailmeter.yml:4:36: expected one of `log_format` and `haproxy_config`, found a mapping
  |
4 |   - {file: /var/log/c.log, format: {}}
  |                                    ^",
    ),
];
