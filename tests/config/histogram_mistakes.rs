//! Mistakes in what the configuration says of buckets, native histograms, summaries and exemplars.

use super::mistakes::Case;

/// Every kind of them.
pub(crate) const HISTOGRAM_MISTAKES: &[Case] = &[
    (
        "bounds out of order, twice, and too few",
        r"metrics:
  haproxy_log_queue_duration_seconds:
    buckets: [0.1, 0.5, 0.2]
  haproxy_log_connect_duration_seconds:
    buckets: [0.1, 0.10, 1]
  haproxy_log_response_duration_seconds:
    buckets: []
  haproxy_log_request_duration_seconds:
    buckets:
",
        r"tailmeter.yml:3:25: the bound `0.2` is not above the one before it, `0.5`
  |
3 |     buckets: [0.1, 0.5, 0.2]
  |                         ^^^

tailmeter.yml:5:20: the bound `0.1` is not above the one before it, `0.1`
  |
5 |     buckets: [0.1, 0.10, 1]
  |                    ^^^^

tailmeter.yml:7:5: `buckets` has 0 numbers: there may be from 1 to 250
  |
7 |     buckets: []
  |     ^^^^^^^
  = upper bounds in the metric's unit, for example [0.1, 0.5, 1]; +Inf follows by itself

tailmeter.yml:9:5: expected a list of numbers, found nothing
  |
9 |     buckets:
  |     ^^^^^^^
  = upper bounds in the metric's unit, for example [0.1, 0.5, 1]; +Inf follows by itself",
    ),
    (
        "bounds that are no finite numbers",
        r"metrics:
  haproxy_log_queue_duration_seconds:
    buckets: [0.1, .inf]
  haproxy_log_connect_duration_seconds:
    buckets: [0.1, '1']
  haproxy_log_response_duration_seconds:
    buckets: 0.5
  haproxy_log_request_duration_seconds:
    buckets: [1s]
  haproxy_log_session_duration_seconds:
    buckets: [1e999]
  haproxy_log_server_queue_length:
    buckets: [-1, 5]
",
        r"tailmeter.yml:3:20: expected a finite number, found `.inf`
  |
3 |     buckets: [0.1, .inf]
  |                    ^^^^
  = upper bounds in the metric's unit, for example [0.1, 0.5, 1]; +Inf follows by itself

tailmeter.yml:5:20: expected a finite number, found `1`
  |
5 |     buckets: [0.1, '1']
  |                    ^^^
  = leave out the quotes

tailmeter.yml:7:14: expected a list of numbers, found `0.5`
  |
7 |     buckets: 0.5
  |              ^^^
  = upper bounds in the metric's unit, for example [0.1, 0.5, 1]; +Inf follows by itself

tailmeter.yml:9:15: expected a finite number, found `1s`
  |
9 |     buckets: [1s]
  |               ^^
  = upper bounds in the metric's unit, for example [0.1, 0.5, 1]; +Inf follows by itself

tailmeter.yml:11:15: expected a finite number, found `.inf`
   |
11 |     buckets: [1e999]
   |               ^^^^^
   = upper bounds in the metric's unit, for example [0.1, 0.5, 1]; +Inf follows by itself

tailmeter.yml:13:15: `-1`: this metric has no values below zero
   |
13 |     buckets: [-1, 5]
   |               ^^",
    ),
    (
        "settings of histograms at others",
        r"metrics:
  haproxy_log_requests_total:
    buckets: [1, 2]
    native: true
    summary: true
  amavis_log_score:
    summary: true
",
        r"tailmeter.yml:3:5: `haproxy_log_requests_total` is no histogram: it has no `buckets`
  |
3 |     buckets: [1, 2]
  |     ^^^^^^^

tailmeter.yml:4:5: `haproxy_log_requests_total` is no histogram: it has no `native`
  |
4 |     native: true
  |     ^^^^^^

tailmeter.yml:5:5: `haproxy_log_requests_total` is no histogram: it has no `summary`
  |
5 |     summary: true
  |     ^^^^^^^

tailmeter.yml:7:5: `amavis_log_score` has values below zero: it cannot be a summary
  |
7 |     summary: true
  |     ^^^^^^^",
    ),
    (
        "native histograms that are none",
        r"metrics:
  haproxy_log_queue_duration_seconds:
    native: {schema: 9, max_buckets: 15, zero_threshold: -1, classic: no, factor: 1.1}
  haproxy_log_connect_duration_seconds:
    native: {schema: 2.5}
  haproxy_log_request_duration_seconds:
    native: 3
",
        r"tailmeter.yml:3:22: expected a whole number from -4 to 8, found `9`
  |
3 |     native: {schema: 9, max_buckets: 15, zero_threshold: -1, classic: no, factor: 1.1}
  |                      ^
  = a schema has 2^schema buckets for every doubling

tailmeter.yml:3:38: expected a whole number from 16 to 2048, found `15`
  |
3 |     native: {schema: 9, max_buckets: 15, zero_threshold: -1, classic: no, factor: 1.1}
  |                                      ^^

tailmeter.yml:3:58: expected a number from 0 on, in the metric's unit, found `-1`
  |
3 |     native: {schema: 9, max_buckets: 15, zero_threshold: -1, classic: no, factor: 1.1}
  |                                                          ^^

tailmeter.yml:3:71: expected true or false, found `no`
  |
3 |     native: {schema: 9, max_buckets: 15, zero_threshold: -1, classic: no, factor: 1.1}
  |                                                                       ^^

tailmeter.yml:3:75: unknown key `factor`
  |
3 |     native: {schema: 9, max_buckets: 15, zero_threshold: -1, classic: no, factor: 1.1}
  |                                                                           ^^^^^^
  = known keys: schema, max_buckets, zero_threshold, classic

tailmeter.yml:5:22: expected a whole number from -4 to 8, found `2.5`
  |
5 |     native: {schema: 2.5}
  |                      ^^^
  = a schema has 2^schema buckets for every doubling

tailmeter.yml:7:13: expected true, false or a mapping, found `3`
  |
7 |     native: 3
  |             ^
  = for example native: {schema: 3, max_buckets: 160}, or native: true for these",
    ),
    (
        "summaries that are none",
        r"metrics:
  haproxy_log_queue_duration_seconds:
    summary: {quantiles: [0.5, 1.5], window_seconds: 5}
  haproxy_log_connect_duration_seconds:
    summary: {quantiles: [0.9, 0.5]}
  haproxy_log_request_duration_seconds:
    summary: [0.5]
",
        r"tailmeter.yml:3:32: `1.5`: quantiles are from 0 to 1
  |
3 |     summary: {quantiles: [0.5, 1.5], window_seconds: 5}
  |                                ^^^

tailmeter.yml:3:54: expected a whole number from 10 to 86400, found `5`
  |
3 |     summary: {quantiles: [0.5, 1.5], window_seconds: 5}
  |                                                      ^

tailmeter.yml:5:32: the quantile `0.5` is not above the one before it, `0.9`
  |
5 |     summary: {quantiles: [0.9, 0.5]}
  |                                ^^^

tailmeter.yml:7:14: expected true, false or a mapping, found a list
  |
7 |     summary: [0.5]
  |              ^
  = for example summary: {quantiles: [0.5, 0.9, 0.99], window_seconds: 600}, or summary: true for these",
    ),
    (
        "settings that contradict one another",
        r"metrics:
  haproxy_log_queue_duration_seconds:
    summary: true
    buckets: [1]
    native: true
    exemplars: unique_id
  haproxy_log_connect_duration_seconds:
    native: {classic: false}
    buckets: [1]
",
        r"tailmeter.yml:4:5: a summary has no buckets: keep `buckets` or `summary`
  |
4 |     buckets: [1]
  |     ^^^^^^^

tailmeter.yml:5:5: a metric is a histogram or a summary: keep `native` or `summary`
  |
5 |     native: true
  |     ^^^^^^

tailmeter.yml:6:5: a summary has no exemplars
  |
6 |     exemplars: unique_id
  |     ^^^^^^^^^

tailmeter.yml:9:5: with `classic: false` there are no such buckets: leave one of them out
  |
9 |     buckets: [1]
  |     ^^^^^^^",
    ),
    (
        "sources of exemplars that are not there",
        r"metrics:
  haproxy_log_requests_total:
    exemplars: unique
  haproxy_log_sessions_total:
    exemplars: queue_id
  postfix_log_deliveries_total:
    exemplars: traceparent
  postfix_log_correlator_messages:
    exemplars: queue_id
  haproxy_log_retries_total:
    exemplars:
",
        r"tailmeter.yml:3:16: unknown source of exemplars `unique`; did you mean `unique_id`?
  |
3 |     exemplars: unique
  |                ^^^^^^
  = known sources: unique_id, traceparent, queue_id

tailmeter.yml:5:16: lines that `haproxy_log_sessions_total` counts have no `queue_id`: only those of postfix do
  |
5 |     exemplars: queue_id
  |                ^^^^^^^^

tailmeter.yml:7:16: lines that `postfix_log_deliveries_total` counts have no `traceparent`: only those of haproxy do
  |
7 |     exemplars: traceparent
  |                ^^^^^^^^^^^

tailmeter.yml:9:16: `postfix_log_correlator_messages` is a gauge: it has no exemplars
  |
9 |     exemplars: queue_id
  |                ^^^^^^^^

tailmeter.yml:11:5: expected a source of exemplars, found nothing
   |
11 |     exemplars:
   |     ^^^^^^^^^",
    ),
];
