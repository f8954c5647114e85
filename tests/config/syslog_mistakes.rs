//! Sockets for syslog with mistakes, each beside the whole message that it gets.

use crate::mistakes::Case;

/// Every kind of mistake in the address or the settings of a socket.
pub(crate) const SYSLOG_MISTAKES: &[Case] = &[
    (
        "bad addresses",
        r#"sources:
  - {syslog: 5514, format: haproxy}
  - {syslog: , format: haproxy}
  - {syslog: {address: 'udp://0.0.0.0:5514'}, format: haproxy}
  - {syslog: http://0.0.0.0:5514, format: haproxy}
  - syslog: udp://0.0.0.0:5514x
    format: haproxy
  - syslog: 'tcp://localhost:5514'
    format: haproxy
  - syslog: "tcp://0.0.0.0"
    format: haproxy
  - syslog: unix://run/log
    format: haproxy
  - syslog: "udp://\u0030.0.0.0"
    format: haproxy
"#,
        r#"tailmeter.yml:2:14: `5514` must begin with udp://, tcp://, tls://, unix:// or unixgram://
  |
2 |   - {syslog: 5514, format: haproxy}
  |              ^

tailmeter.yml:3:6: expected an address such as udp://0.0.0.0:5514, found nothing
  |
3 |   - {syslog: , format: haproxy}
  |      ^^^^^^

tailmeter.yml:4:14: expected an address such as udp://0.0.0.0:5514, found a mapping
  |
4 |   - {syslog: {address: 'udp://0.0.0.0:5514'}, format: haproxy}
  |              ^

tailmeter.yml:5:14: `http://` is unknown: use udp://, tcp://, tls://, unix:// or unixgram://
  |
5 |   - {syslog: http://0.0.0.0:5514, format: haproxy}
  |              ^

tailmeter.yml:6:27: `5514x` is not a port, a number from 0 to 65535
  |
6 |   - syslog: udp://0.0.0.0:5514x
  |                           ^

tailmeter.yml:8:20: `localhost` is not an IP address: use 0.0.0.0 or [::] for every address of this machine
  |
8 |   - syslog: 'tcp://localhost:5514'
  |                    ^

tailmeter.yml:10:27: `0.0.0.0` has no port, as in 0.0.0.0:5514
   |
10 |   - syslog: "tcp://0.0.0.0"
   |                           ^

tailmeter.yml:12:20: `run/log` is not an absolute path, as in unix:///dev/log
   |
12 |   - syslog: unix://run/log
   |                    ^

tailmeter.yml:14:13: `0.0.0.0` has no port, as in 0.0.0.0:5514
   |
14 |   - syslog: "udp://\u0030.0.0.0"
   |             ^^^^^^^^^^^^^^^^^^^^"#,
    ),
    (
        "address that is too long to be shown",
        r"sources:
  - {syslog: udp://xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx, format: haproxy}
",
        r"tailmeter.yml:2:20: this is no address such as udp://0.0.0.0:5514
  |
2 |   - {syslog: udp://xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
  |                    ^",
    ),
    (
        "settings of another transport",
        r"sources:
  - {syslog: 'udp://0.0.0.0:1', framing: lines, max_connections: 1, socket_mode: '0600', tls: {}, format: haproxy}
  - {syslog: 'tcp://0.0.0.0:1', receive_buffer_bytes: 65536, format: haproxy}
  - {syslog: 'unix:///run/log', senders: [10.0.0.0/8], format: haproxy}
",
        r"tailmeter.yml:2:33: `framing` goes with tcp://, tls:// and unix://, not with udp://
  |
2 |   - {syslog: 'udp://0.0.0.0:1', framing: lines, max_connections: 1, socket_mode: '0600', tls: {}, fo…
  |                                 ^^^^^^^

tailmeter.yml:2:49: `max_connections` goes with tcp://, tls:// and unix://, not with udp://
  |
2 | …log: 'udp://0.0.0.0:1', framing: lines, max_connections: 1, socket_mode: '0600', tls: {}, format: ha…
  |                                          ^^^^^^^^^^^^^^^

tailmeter.yml:2:69: `socket_mode` goes with unix:// and unixgram://, not with udp://
  |
2 | …1', framing: lines, max_connections: 1, socket_mode: '0600', tls: {}, format: haproxy}
  |                                          ^^^^^^^^^^^

tailmeter.yml:2:90: `tls` goes with tls://, not with udp://
  |
2 | …ax_connections: 1, socket_mode: '0600', tls: {}, format: haproxy}
  |                                          ^^^

tailmeter.yml:3:33: `receive_buffer_bytes` goes with udp:// and unixgram://, not with tcp://
  |
3 |   - {syslog: 'tcp://0.0.0.0:1', receive_buffer_bytes: 65536, format: haproxy}
  |                                 ^^^^^^^^^^^^^^^^^^^^

tailmeter.yml:4:33: `senders` goes with udp://, tcp:// and tls://, not with unix://
  |
4 |   - {syslog: 'unix:///run/log', senders: [10.0.0.0/8], format: haproxy}
  |                                 ^^^^^^^",
    ),
    (
        "bad settings of a socket",
        r"sources:
  - syslog: tcp://0.0.0.0:5514
    framing: line
    senders: [10.0.0.0/33, lan, [], 10.0.0.1]
    max_connections: 0
    format: haproxy
  - syslog: udp://0.0.0.0:5514
    receive_buffer_bytes: 8MiB
    senders: 10.0.0.0/8
    format: haproxy
  - {syslog: 'udp://0.0.0.0:5515', senders: [], format: haproxy}
  - {syslog: 'tcp://0.0.0.0:5515', senders: , framing: octets, format: haproxy}
",
        r"tailmeter.yml:3:14: unknown framing `line`; did you mean `lines`?
  |
3 |     framing: line
  |              ^^^^
  = known framings: detected, counted, lines

tailmeter.yml:4:15: expected a network, found `10.0.0.0/33`
  |
4 |     senders: [10.0.0.0/33, lan, [], 10.0.0.1]
  |               ^^^^^^^^^^^
  = an IP address, or one with the number of its fixed bits, as in 10.0.0.0/8

tailmeter.yml:4:28: expected a network, found `lan`
  |
4 |     senders: [10.0.0.0/33, lan, [], 10.0.0.1]
  |                            ^^^
  = an IP address, or one with the number of its fixed bits, as in 10.0.0.0/8

tailmeter.yml:4:33: expected a network, found a list
  |
4 |     senders: [10.0.0.0/33, lan, [], 10.0.0.1]
  |                                 ^
  = an IP address, or one with the number of its fixed bits, as in 10.0.0.0/8

tailmeter.yml:5:22: expected a whole number from 1 to 100000, found `0`
  |
5 |     max_connections: 0
  |                      ^

tailmeter.yml:8:27: expected a whole number from 4096 to 1073741824, found `8MiB`
  |
8 |     receive_buffer_bytes: 8MiB
  |                           ^^^^

tailmeter.yml:9:14: expected a list, found `10.0.0.0/8`
  |
9 |     senders: 10.0.0.0/8
  |              ^^^^^^^^^^
  = for example senders: [10.0.0.0/8]

tailmeter.yml:11:36: an empty list of senders would let everybody send
   |
11 |   - {syslog: 'udp://0.0.0.0:5515', senders: [], format: haproxy}
   |                                    ^^^^^^^
   = leave `senders` out to say so

tailmeter.yml:12:36: an empty list of senders would let everybody send
   |
12 |   - {syslog: 'tcp://0.0.0.0:5515', senders: , framing: octets, format: haproxy}
   |                                    ^^^^^^^
   = leave `senders` out to say so

tailmeter.yml:12:56: unknown framing `octets`
   |
12 |   - {syslog: 'tcp://0.0.0.0:5515', senders: , framing: octets, format: haproxy}
   |                                                        ^^^^^^
   = known framings: detected, counted, lines",
    ),
    (
        "settings are checked although the address is wrong",
        r"sources:
  - {syslog: udp://, framing: words, socket_mode: '0999', format: haproxy}
",
        r"tailmeter.yml:2:20: an IP address and a port are missing, as in 0.0.0.0:5514
  |
2 |   - {syslog: udp://, framing: words, socket_mode: '0999', format: haproxy}
  |                    ^

tailmeter.yml:2:31: unknown framing `words`
  |
2 |   - {syslog: udp://, framing: words, socket_mode: '0999', format: haproxy}
  |                               ^^^^^
  = known framings: detected, counted, lines

tailmeter.yml:2:51: expected permissions as an octal number in quotes, such as '0660', found `0999`
  |
2 |   - {syslog: udp://, framing: words, socket_mode: '0999', format: haproxy}
  |                                                   ^^^^^^",
    ),
    (
        "bad permissions",
        r"sources:
  - {syslog: 'unix:///run/a', socket_mode: 0660, format: haproxy}
  - {syslog: 'unix:///run/b', socket_mode: 0o660, format: haproxy}
  - {syslog: 'unix:///run/c', socket_mode: '0680', format: haproxy}
  - {syslog: 'unix:///run/d', socket_mode: '7777', format: haproxy}
  - {syslog: 'unix:///run/e', socket_mode: '66', format: haproxy}
  - {syslog: 'unix:///run/f', socket_mode: 'rw-rw----', format: haproxy}
",
        r"tailmeter.yml:2:44: expected permissions as an octal number in quotes, such as '0660', found `0660`
  |
2 |   - {syslog: 'unix:///run/a', socket_mode: 0660, format: haproxy}
  |                                            ^^^^
  = write it in quotes: '0660'

tailmeter.yml:3:44: expected permissions as an octal number in quotes, such as '0660', found `0o660`
  |
3 |   - {syslog: 'unix:///run/b', socket_mode: 0o660, format: haproxy}
  |                                            ^^^^^

tailmeter.yml:4:44: expected permissions as an octal number in quotes, such as '0660', found `0680`
  |
4 |   - {syslog: 'unix:///run/c', socket_mode: '0680', format: haproxy}
  |                                            ^^^^^^

tailmeter.yml:5:44: expected permissions as an octal number in quotes, such as '0660', found `7777`
  |
5 |   - {syslog: 'unix:///run/d', socket_mode: '7777', format: haproxy}
  |                                            ^^^^^^

tailmeter.yml:6:44: expected permissions as an octal number in quotes, such as '0660', found `66`
  |
6 |   - {syslog: 'unix:///run/e', socket_mode: '66', format: haproxy}
  |                                            ^^^^

tailmeter.yml:7:44: expected permissions as an octal number in quotes, such as '0660', found `rw-rw----`
  |
7 |   - {syslog: 'unix:///run/f', socket_mode: 'rw-rw----', format: haproxy}
  |                                            ^^^^^^^^^^^",
    ),
    (
        "TLS without its files",
        r"sources:
  - {syslog: 'tls://0.0.0.0:1', format: haproxy}
  - {syslog: 'tls://0.0.0.0:2', tls: , format: haproxy}
  - {syslog: 'tls://0.0.0.0:3', tls: {}, format: haproxy}
  - {syslog: 'tls://0.0.0.0:4', tls: {certificat: /a, key: '', ca: /b}, format: haproxy}
  - {syslog: 'tls://0.0.0.0:5', tsl: {certificate: /a, key: /b}, format: haproxy}
",
        r"tailmeter.yml:2:14: tls:// needs `tls`, with a certificate and a key
  |
2 |   - {syslog: 'tls://0.0.0.0:1', format: haproxy}
  |              ^^^^^^^^^^^^^^^^^
  = tls: {certificate: /etc/tailmeter/tls.crt, key: /etc/tailmeter/tls.key}

tailmeter.yml:3:33: expected a mapping with `certificate` and `key`, found nothing
  |
3 |   - {syslog: 'tls://0.0.0.0:2', tls: , format: haproxy}
  |                                 ^^^

tailmeter.yml:4:33: `tls` has no `certificate`
  |
4 |   - {syslog: 'tls://0.0.0.0:3', tls: {}, format: haproxy}
  |                                 ^^^

tailmeter.yml:4:33: `tls` has no `key`
  |
4 |   - {syslog: 'tls://0.0.0.0:3', tls: {}, format: haproxy}
  |                                 ^^^

tailmeter.yml:5:39: unknown key `certificat`; did you mean `certificate`?
  |
5 |   - {syslog: 'tls://0.0.0.0:4', tls: {certificat: /a, key: '', ca: /b}, format: haproxy}
  |                                       ^^^^^^^^^^

tailmeter.yml:5:60: expected the path of a PEM file, found an empty text
  |
5 |   - {syslog: 'tls://0.0.0.0:4', tls: {certificat: /a, key: '', ca: /b}, format: haproxy}
  |                                                            ^^

tailmeter.yml:5:64: unknown key `ca`; did you mean `client_ca`?
  |
5 |   - {syslog: 'tls://0.0.0.0:4', tls: {certificat: /a, key: '', ca: /b}, format: haproxy}
  |                                                                ^^

tailmeter.yml:6:33: unknown key `tsl`; did you mean `tls`?
  |
6 |   - {syslog: 'tls://0.0.0.0:5', tsl: {certificate: /a, key: /b}, format: haproxy}
  |                                 ^^^",
    ),
];
