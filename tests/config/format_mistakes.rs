//! Mistakes in the formats of a configuration, each beside the whole message that it gets.

use crate::mistakes::Case;

/// Every kind of mistake in `formats`.
pub(crate) const FORMAT_MISTAKES: &[Case] = &[
    (
        "a format's name is taken",
        r"formats:
  haproxy: {json: {a: /a}, metrics: {a_total: {type: counter}}}
",
        r"tailmeter.yml:2:3: tailmeter has a format `haproxy` of its own
  |
2 |   haproxy: {json: {a: /a}, metrics: {a_total: {type: counter}}}
  |   ^^^^^^^
  = give this one another name",
    ),
    (
        "a format's name with a space",
        r"formats:
  My app: {json: {a: /a}, metrics: {a_total: {type: counter}}}
",
        r"tailmeter.yml:2:3: `My app` is no name for a format
  |
2 |   My app: {json: {a: /a}, metrics: {a_total: {type: counter}}}
  |   ^^^^^^
  = lower case letters, digits, `_` and `-`, a letter first",
    ),
    (
        "a format without messages",
        r"formats:
  app:
    metrics: {a_total: {type: counter}}
",
        r"tailmeter.yml:2:3: the format `app` has neither `pattern` nor `json`
  |
2 |   app:
  |   ^^^
  = `pattern` is a regular expression with named groups, `json` names values by JSON pointers",
    ),
    (
        "a format with both kinds of messages",
        r"formats:
  app:
    json: {a: /a}
    pattern: '(?P<a>x)'
    metrics: {a_total: {type: counter}}
",
        r"tailmeter.yml:3:5: a format has either `pattern` or `json`
  |
3 |     json: {a: /a}
  |     ^^^^",
    ),
    (
        "a format without metrics",
        r"formats:
  app:
    json: {a: /a}
",
        r"tailmeter.yml:2:3: the format `app` has no `metrics`
  |
2 |   app:
  |   ^^^",
    ),
    (
        "a misspelt key of a format",
        r"formats:
  app:
    jsn: {a: /a}
    json: {a: /a}
    metrics: {a_total: {type: counter}}
",
        r"tailmeter.yml:3:5: unknown key `jsn`; did you mean `json`?
  |
3 |     jsn: {a: /a}
  |     ^^^",
    ),
    (
        "a pattern that is none",
        r"formats:
  app:
    pattern: '^(?P<a>[0-9]+ x'
    metrics: {a_total: {type: counter}}
",
        r"tailmeter.yml:3:16: bad regular expression: unclosed group
  |
3 |     pattern: '^(?P<a>[0-9]+ x'
  |                ^",
    ),
    (
        "a pattern of another alphabet",
        r"formats:
  app:
    pattern: '^(?P<a>\pL+)'
    metrics: {a_total: {type: counter}}
",
        r"tailmeter.yml:3:22: bad regular expression: Unicode not allowed here
  |
3 |     pattern: '^(?P<a>\pL+)'
  |                      ^",
    ),
    (
        "a pattern without groups",
        r"formats:
  app:
    pattern: '^GET [0-9]+'
    metrics: {a_total: {type: counter}}
",
        r"tailmeter.yml:3:5: no pattern has a named group: there would be no field
  |
3 |     pattern: '^GET [0-9]+'
  |     ^^^^^^^
  = a group is named so: (?P<status>\d+)",
    ),
    (
        "a group that is no name",
        r"formats:
  app:
    pattern: '^GET (?P<http.status>[0-9]+)'
    metrics: {a_total: {type: counter}}
",
        r"tailmeter.yml:3:24: a group's name is made of letters, digits and `_`, not `http.status`
  |
3 |     pattern: '^GET (?P<http.status>[0-9]+)'
  |                        ^",
    ),
    (
        "an item without a pattern",
        r"formats:
  app:
    pattern:
      - '(?P<a>x)'
      - {name: b}
    metrics: {a_total: {type: counter}}
",
        r"tailmeter.yml:5:9: this item has no `pattern`
  |
5 |       - {name: b}
  |         ^",
    ),
    (
        "a pattern that is too large",
        r"formats:
  app:
    pattern: '^(?P<a>(?:x{999}){999})'
    metrics: {a_total: {type: counter}}
",
        r"tailmeter.yml:3:15: the pattern is too large
  |
3 |     pattern: '^(?P<a>(?:x{999}){999})'
  |               ^",
    ),
    (
        "a pointer without a slash",
        r"formats:
  app:
    json: {a: b.c}
    metrics: {a_total: {type: counter}}
",
        r"tailmeter.yml:3:15: a JSON pointer begins with `/`
  |
3 |     json: {a: b.c}
  |               ^
  = for example /request/method",
    ),
    (
        "a pointer twice",
        r"formats:
  app:
    json: {a: /a, b: /a}
    metrics: {a_total: {type: counter}}
",
        r"tailmeter.yml:3:22: another field has the same pointer
  |
3 |     json: {a: /a, b: /a}
  |                      ^
  = for example /request/method",
    ),
    (
        "an unknown type of a field",
        r"formats:
  app:
    json: {a: /a}
    fields: {a: number}
    metrics: {a_total: {type: counter}}
",
        r"tailmeter.yml:4:17: unknown type `number`
  |
4 |     fields: {a: number}
  |                 ^^^^^^
  = known: string, integer, float, bytes, duration, timestamp",
    ),
    (
        "a type for no field",
        r"formats:
  app:
    json: {status: /a}
    fields: {stauts: integer}
    metrics: {a_total: {type: counter}}
",
        r"tailmeter.yml:4:14: unknown field `stauts`; did you mean `status`?
  |
4 |     fields: {stauts: integer}
  |              ^^^^^^
  = fields of this format: status",
    ),
    (
        "a unit of a number",
        r"formats:
  app:
    json: {a: /a}
    fields: {a: {type: integer, unit: ms}}
    metrics: {a_total: {type: counter}}
",
        r"tailmeter.yml:4:33: `unit` goes with `type: duration` and `type: timestamp`
  |
4 |     fields: {a: {type: integer, unit: ms}}
  |                                 ^^^^",
    ),
    (
        "an unknown unit",
        r"formats:
  app:
    json: {a: /a}
    fields: {a: {type: duration, unit: min}}
    metrics: {a_total: {type: counter}}
",
        r"tailmeter.yml:4:40: unknown unit `min`
  |
4 |     fields: {a: {type: duration, unit: min}}
  |                                        ^^^
  = known: s, ms, us",
    ),
    (
        "records without a beginning",
        r"formats:
  app:
    json: {a: /a}
    multiline: {max_lines: 10}
    metrics: {a_total: {type: counter}}
",
        r"tailmeter.yml:4:5: `multiline` needs a `start`: what the first line of a record looks like
  |
4 |     multiline: {max_lines: 10}
  |     ^^^^^^^^^
  = for example start: '^\d{4}-\d\d-\d\d '",
    ),
    (
        "an unknown envelope",
        r"formats:
  app:
    json: {a: /a}
    envelope: docker
    metrics: {a_total: {type: counter}}
",
        r"tailmeter.yml:4:15: unknown envelope `docker`
  |
4 |     envelope: docker
  |               ^^^^^^
  = known: none, syslog, cri",
    ),
    (
        "a metric without a type",
        r"formats:
  app:
    json: {a: /a}
    metrics: {a_total: {help: All of them.}}
",
        r"tailmeter.yml:4:15: the metric `a_total` has no `type`
  |
4 |     metrics: {a_total: {help: All of them.}}
  |               ^^^^^^^
  = counter, gauge, histogram or summary",
    ),
    (
        "a counter without its ending",
        r"formats:
  app:
    json: {a: /a}
    metrics: {app_requests: {type: counter}}
",
        r"tailmeter.yml:4:15: `app_requests` cannot be the name of this metric: a counter's name ends in `_total`
  |
4 |     metrics: {app_requests: {type: counter}}
  |               ^^^^^^^^^^^^",
    ),
    (
        "a gauge with a counter's ending",
        r"formats:
  app:
    json: {a: /a}
    fields: {a: integer}
    metrics: {app_total: {type: gauge, value: a}}
",
        r"tailmeter.yml:5:15: `app_total` cannot be the name of this metric: only a counter's name ends in `_total`
  |
5 |     metrics: {app_total: {type: gauge, value: a}}
  |               ^^^^^^^^^",
    ),
    (
        "a metric's name with a colon",
        r"formats:
  app:
    json: {a: /a}
    metrics: {'app:requests_total': {type: counter}}
",
        r"tailmeter.yml:4:15: `app:requests_total` cannot be the name of this metric: a metric's name is made of letters, digits and `_`, and begins with no digit
  |
4 |     metrics: {'app:requests_total': {type: counter}}
  |               ^^^^^^^^^^^^^^^^^^^^",
    ),
    (
        "a metric of tailmeter's own",
        r"formats:
  app:
    json: {a: /a}
    metrics: {tailmeter_lines_total: {type: counter}}
",
        r"tailmeter.yml:4:15: `tailmeter_lines_total` cannot be the name of this metric: names with `tailmeter_` and `process_` are those of tailmeter's own metrics
  |
4 |     metrics: {tailmeter_lines_total: {type: counter}}
  |               ^^^^^^^^^^^^^^^^^^^^^",
    ),
    (
        "a metric of a family",
        r"formats:
  app:
    json: {a: /a}
    metrics: {postfix_log_deliveries_total: {type: counter}}
",
        r"tailmeter.yml:4:15: `postfix_log_deliveries_total` cannot be the name of this metric: postfix has a metric of this name
  |
4 |     metrics: {postfix_log_deliveries_total: {type: counter}}
  |               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
    ),
    (
        "a metric of another format",
        r"formats:
  app: {json: {a: /a}, metrics: {app_total: {type: counter}}}
  web: {json: {a: /a}, metrics: {app_total: {type: counter}}}
",
        r"tailmeter.yml:3:34: `app_total` cannot be the name of this metric: app has a metric of this name
  |
3 |   web: {json: {a: /a}, metrics: {app_total: {type: counter}}}
  |                                  ^^^^^^^^^",
    ),
    (
        "a histogram that is a part of one",
        r"formats:
  app:
    json: {a: /a}
    fields: {a: duration}
    metrics: {app_sum: {type: histogram, value: a}}
",
        r"tailmeter.yml:5:15: `app_sum` cannot be the name of this metric: `_sum` is the ending of a series of other metrics
  |
5 |     metrics: {app_sum: {type: histogram, value: a}}
  |               ^^^^^^^",
    ),
    (
        "a histogram without a value",
        r"formats:
  app:
    json: {a: /a}
    metrics: {app_seconds: {type: histogram, buckets: [1]}}
",
        r"tailmeter.yml:4:15: the metric `app_seconds` needs a `value`: the field whose numbers it shows
  |
4 |     metrics: {app_seconds: {type: histogram, buckets: [1]}}
  |               ^^^^^^^^^^^",
    ),
    (
        "a histogram without buckets",
        r"formats:
  app:
    json: {a: /a}
    fields: {a: integer}
    metrics: {app_size: {type: histogram, value: a}}
",
        r"tailmeter.yml:5:15: the histogram `app_size` needs `buckets`
  |
5 |     metrics: {app_size: {type: histogram, value: a}}
  |               ^^^^^^^^
  = upper bounds in the unit of its samples: buckets: [1, 5, 10]",
    ),
    (
        "buckets that do not grow",
        r"formats:
  app:
    json: {a: /a}
    fields: {a: duration}
    metrics: {app_seconds: {type: histogram, value: a, buckets: [1, 5, 2]}}
",
        r"tailmeter.yml:5:72: buckets grow, from 0 to 9e9
  |
5 |     metrics: {app_seconds: {type: histogram, value: a, buckets: [1, 5, 2]}}
  |                                                                        ^",
    ),
    (
        "buckets of a counter",
        r"formats:
  app:
    json: {a: /a}
    metrics: {app_total: {type: counter, buckets: [1]}}
",
        r"tailmeter.yml:4:42: `buckets` go with `type: histogram`
  |
4 |     metrics: {app_total: {type: counter, buckets: [1]}}
  |                                          ^^^^^^^",
    ),
    (
        "a value that is text",
        r"formats:
  app:
    json: {took: /a}
    metrics: {app_seconds: {type: histogram, value: took}}
",
        r"tailmeter.yml:4:53: `took` is text, not a number
  |
4 |     metrics: {app_seconds: {type: histogram, value: took}}
  |                                                     ^^^^
  = say what it is under `fields`, for example took: {type: duration, unit: s}",
    ),
    (
        "a sum of points in time",
        r"formats:
  app:
    json: {a: /a}
    fields: {a: timestamp}
    metrics: {app_total: {type: counter, value: a}}
",
        r"tailmeter.yml:5:49: a point in time can only be shown by a gauge
  |
5 |     metrics: {app_total: {type: counter, value: a}}
  |                                                 ^",
    ),
    (
        "a label of free text",
        r"formats:
  app:
    json: {path: /a}
    metrics: {app_total: {type: counter, labels: [path]}}
",
        r"tailmeter.yml:4:51: label `path` identifies people or grows with traffic: it needs a policy
  |
4 |     metrics: {app_total: {type: counter, labels: [path]}}
  |                                                   ^^^^
  = write {path: {template: auto, max_values: 100}} to show patterns such as /users/:number, or {path: {unbounded: true}} to keep all",
    ),
    (
        "a label that is no field",
        r"formats:
  app:
    json: {status: /a}
    metrics: {app_total: {type: counter, labels: [satus]}}
",
        r"tailmeter.yml:4:51: unknown field `satus`; did you mean `status`?
  |
4 |     metrics: {app_total: {type: counter, labels: [satus]}}
  |                                                   ^^^^^
  = fields of this format: status",
    ),
    (
        "a label with a meaning",
        r"formats:
  app:
    json: {le: /a}
    metrics: {app_total: {type: counter, labels: [le]}}
",
        r"tailmeter.yml:4:51: `le` cannot be a label: Prometheus gives this label a meaning of its own
  |
4 |     metrics: {app_total: {type: counter, labels: [le]}}
  |                                                   ^^",
    ),
    (
        "a constant label that is a field, too",
        r"formats:
  app:
    json: {a: /a}
    fields: {a: {fits: x|y}}
    metrics: {app_total: {type: counter, labels: [a], constant_labels: {a: x}}}
",
        r"tailmeter.yml:5:51: label `a` is there twice
  |
5 |     metrics: {app_total: {type: counter, labels: [a], constant_labels: {a: x}}}
  |                                                   ^",
    ),
    (
        "a condition that is no expression",
        r"formats:
  app:
    json: {a: /a}
    metrics: {app_total: {type: counter, when: {a: '['}}}
",
        r"tailmeter.yml:4:53: bad regular expression: unclosed character class
  |
4 |     metrics: {app_total: {type: counter, when: {a: '['}}}
  |                                                     ^",
    ),
    (
        "a condition on no field",
        r"formats:
  app:
    json: {level: /a}
    metrics: {app_total: {type: counter, when: {levl: x}}}
",
        r"tailmeter.yml:4:49: unknown field `levl`; did you mean `level`?
  |
4 |     metrics: {app_total: {type: counter, when: {levl: x}}}
  |                                                 ^^^^
  = fields of this format: level",
    ),
    (
        "a condition of another kind",
        r"formats:
  app:
    json: {level: /a}
    metrics: {app_total: {type: counter, when: {level: {above: 5}}}}
",
        r"tailmeter.yml:4:56: expected a regular expression, or `not` with one, found a mapping
  |
4 |     metrics: {app_total: {type: counter, when: {level: {above: 5}}}}
  |                                                        ^
  = for example {status: {not: '^2'}}",
    ),
    (
        "help of several lines",
        r#"formats:
  app:
    json: {a: /a}
    metrics: {app_total: {type: counter, help: "a\nb"}}
"#,
        r#"tailmeter.yml:4:48: the help is one line, without backslashes
  |
4 |     metrics: {app_total: {type: counter, help: "a\nb"}}
  |                                                ^^^^^^"#,
    ),
    (
        "a source of a format that is misspelt",
        r"formats:
  webshop: {json: {a: /a}, metrics: {app_total: {type: counter}}}
sources:
  - {file: a.log, format: webshp}
",
        r"tailmeter.yml:4:27: unknown format `webshp`; did you mean `webshop`?
  |
4 |   - {file: a.log, format: webshp}
  |                           ^^^^^^
  = known formats: haproxy, webshop",
    ),
    (
        "settings of a format's metric",
        r"formats:
  app: {json: {path: /a}, metrics: {app_total: {type: counter, labels: [{path: {allow: [/]}}]}}}
metrics:
  app_total: {labels: [path]}
",
        r"tailmeter.yml:4:24: label `path` identifies people or grows with traffic: it needs a policy
  |
4 |   app_total: {labels: [path]}
  |                        ^^^^
  = write {path: {template: auto, max_values: 100}} to show patterns such as /users/:number, or {path: {unbounded: true}} to keep all",
    ),
];
