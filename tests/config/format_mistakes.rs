//! Mistakes in the formats of a configuration, each beside the whole message that it gets.

use crate::mistakes::Case;

/// Every kind of mistake in `formats`.
pub(crate) const FORMAT_MISTAKES: &[Case] = &[
    (
        "a format's name is taken",
        r"formats:
  haproxy: {json: {a: /a}, metrics: {a_total: {type: counter}}}
",
        "TODO",
    ),
    (
        "a format's name with a space",
        r"formats:
  My app: {json: {a: /a}, metrics: {a_total: {type: counter}}}
",
        "TODO",
    ),
    (
        "a format without messages",
        r"formats:
  app:
    metrics: {a_total: {type: counter}}
",
        "TODO",
    ),
    (
        "a format with both kinds of messages",
        r"formats:
  app:
    json: {a: /a}
    pattern: '(?P<a>x)'
    metrics: {a_total: {type: counter}}
",
        "TODO",
    ),
    (
        "a format without metrics",
        r"formats:
  app:
    json: {a: /a}
",
        "TODO",
    ),
    (
        "a misspelt key of a format",
        r"formats:
  app:
    jsn: {a: /a}
    json: {a: /a}
    metrics: {a_total: {type: counter}}
",
        "TODO",
    ),
    (
        "a pattern that is none",
        r"formats:
  app:
    pattern: '^(?P<a>[0-9]+ x'
    metrics: {a_total: {type: counter}}
",
        "TODO",
    ),
    (
        "a pattern of another alphabet",
        r"formats:
  app:
    pattern: '^(?P<a>\pL+)'
    metrics: {a_total: {type: counter}}
",
        "TODO",
    ),
    (
        "a pattern without groups",
        r"formats:
  app:
    pattern: '^GET [0-9]+'
    metrics: {a_total: {type: counter}}
",
        "TODO",
    ),
    (
        "a group that is no name",
        r"formats:
  app:
    pattern: '^GET (?P<http.status>[0-9]+)'
    metrics: {a_total: {type: counter}}
",
        "TODO",
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
        "TODO",
    ),
    (
        "a pattern that is too large",
        r"formats:
  app:
    pattern: '^(?P<a>(?:x{999}){999})'
    metrics: {a_total: {type: counter}}
",
        "TODO",
    ),
    (
        "a pointer without a slash",
        r"formats:
  app:
    json: {a: b.c}
    metrics: {a_total: {type: counter}}
",
        "TODO",
    ),
    (
        "a pointer twice",
        r"formats:
  app:
    json: {a: /a, b: /a}
    metrics: {a_total: {type: counter}}
",
        "TODO",
    ),
    (
        "an unknown type of a field",
        r"formats:
  app:
    json: {a: /a}
    fields: {a: number}
    metrics: {a_total: {type: counter}}
",
        "TODO",
    ),
    (
        "a type for no field",
        r"formats:
  app:
    json: {status: /a}
    fields: {stauts: integer}
    metrics: {a_total: {type: counter}}
",
        "TODO",
    ),
    (
        "a unit of a number",
        r"formats:
  app:
    json: {a: /a}
    fields: {a: {type: integer, unit: ms}}
    metrics: {a_total: {type: counter}}
",
        "TODO",
    ),
    (
        "an unknown unit",
        r"formats:
  app:
    json: {a: /a}
    fields: {a: {type: duration, unit: min}}
    metrics: {a_total: {type: counter}}
",
        "TODO",
    ),
    (
        "records without a beginning",
        r"formats:
  app:
    json: {a: /a}
    multiline: {max_lines: 10}
    metrics: {a_total: {type: counter}}
",
        "TODO",
    ),
    (
        "an unknown envelope",
        r"formats:
  app:
    json: {a: /a}
    envelope: docker
    metrics: {a_total: {type: counter}}
",
        "TODO",
    ),
    (
        "a metric without a type",
        r"formats:
  app:
    json: {a: /a}
    metrics: {a_total: {help: All of them.}}
",
        "TODO",
    ),
    (
        "a summary",
        r"formats:
  app:
    json: {a: /a}
    fields: {a: duration}
    metrics: {a_seconds: {type: summary, value: a}}
",
        "TODO",
    ),
    (
        "a counter without its ending",
        r"formats:
  app:
    json: {a: /a}
    metrics: {app_requests: {type: counter}}
",
        "TODO",
    ),
    (
        "a gauge with a counter's ending",
        r"formats:
  app:
    json: {a: /a}
    fields: {a: integer}
    metrics: {app_total: {type: gauge, value: a}}
",
        "TODO",
    ),
    (
        "a metric's name with a colon",
        r"formats:
  app:
    json: {a: /a}
    metrics: {'app:requests_total': {type: counter}}
",
        "TODO",
    ),
    (
        "a metric of tailmeter's own",
        r"formats:
  app:
    json: {a: /a}
    metrics: {tailmeter_lines_total: {type: counter}}
",
        "TODO",
    ),
    (
        "a metric of a family",
        r"formats:
  app:
    json: {a: /a}
    metrics: {postfix_log_deliveries_total: {type: counter}}
",
        "TODO",
    ),
    (
        "a metric of another format",
        r"formats:
  app: {json: {a: /a}, metrics: {app_total: {type: counter}}}
  web: {json: {a: /a}, metrics: {app_total: {type: counter}}}
",
        "TODO",
    ),
    (
        "a histogram that is a part of one",
        r"formats:
  app:
    json: {a: /a}
    fields: {a: duration}
    metrics: {app_sum: {type: histogram, value: a}}
",
        "TODO",
    ),
    (
        "a histogram without a value",
        r"formats:
  app:
    json: {a: /a}
    metrics: {app_seconds: {type: histogram, buckets: [1]}}
",
        "TODO",
    ),
    (
        "a histogram without buckets",
        r"formats:
  app:
    json: {a: /a}
    fields: {a: integer}
    metrics: {app_size: {type: histogram, value: a}}
",
        "TODO",
    ),
    (
        "buckets that do not grow",
        r"formats:
  app:
    json: {a: /a}
    fields: {a: duration}
    metrics: {app_seconds: {type: histogram, value: a, buckets: [1, 5, 2]}}
",
        "TODO",
    ),
    (
        "buckets of a counter",
        r"formats:
  app:
    json: {a: /a}
    metrics: {app_total: {type: counter, buckets: [1]}}
",
        "TODO",
    ),
    (
        "a value that is text",
        r"formats:
  app:
    json: {took: /a}
    metrics: {app_seconds: {type: histogram, value: took}}
",
        "TODO",
    ),
    (
        "a sum of points in time",
        r"formats:
  app:
    json: {a: /a}
    fields: {a: timestamp}
    metrics: {app_total: {type: counter, value: a}}
",
        "TODO",
    ),
    (
        "a label of free text",
        r"formats:
  app:
    json: {path: /a}
    metrics: {app_total: {type: counter, labels: [path]}}
",
        "TODO",
    ),
    (
        "a label that is no field",
        r"formats:
  app:
    json: {status: /a}
    metrics: {app_total: {type: counter, labels: [satus]}}
",
        "TODO",
    ),
    (
        "a label with a meaning",
        r"formats:
  app:
    json: {le: /a}
    metrics: {app_total: {type: counter, labels: [le]}}
",
        "TODO",
    ),
    (
        "a constant label that is a field, too",
        r"formats:
  app:
    json: {a: /a}
    fields: {a: {fits: x|y}}
    metrics: {app_total: {type: counter, labels: [a], constant_labels: {a: x}}}
",
        "TODO",
    ),
    (
        "a condition that is no expression",
        r"formats:
  app:
    json: {a: /a}
    metrics: {app_total: {type: counter, when: {a: '['}}}
",
        "TODO",
    ),
    (
        "a condition on no field",
        r"formats:
  app:
    json: {level: /a}
    metrics: {app_total: {type: counter, when: {levl: x}}}
",
        "TODO",
    ),
    (
        "a condition of another kind",
        r"formats:
  app:
    json: {level: /a}
    metrics: {app_total: {type: counter, when: {level: {above: 5}}}}
",
        "TODO",
    ),
    (
        "help of several lines",
        r#"formats:
  app:
    json: {a: /a}
    metrics: {app_total: {type: counter, help: "a\nb"}}
"#,
        "TODO",
    ),
    (
        "a source of a format that is misspelt",
        r"formats:
  webshop: {json: {a: /a}, metrics: {app_total: {type: counter}}}
sources:
  - {file: a.log, format: webshp}
",
        "TODO",
    ),
    (
        "settings of a format's metric",
        r"formats:
  app: {json: {path: /a}, metrics: {app_total: {type: counter, labels: [{path: {allow: [/]}}]}}}
metrics:
  app_total: {labels: [path]}
",
        "TODO",
    ),
];
