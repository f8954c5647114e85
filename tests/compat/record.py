#!/usr/bin/env python3
"""What the Python prometheus-haproxy-log-exporter shows for a log, as an exposition on standard output.

Usage: record.py LOG [METRIC=LABEL,LABEL…]…

The original must be importable; tests/compat/SOURCES.md says which one, and with which libraries. It is called as its own command line
calls it: every metric enabled, default buckets, and default labels unless an argument gives a metric others.
"""

import contextlib
import logging
import os
import sys

from prometheus_client import REGISTRY, generate_latest
from prometheus_haproxy_log_exporter import log_processing, metrics

COUNTED = ["status_code", "backend_name", "server_name"]


def main():
    log, *choices = sys.argv[1:]
    chosen = {}
    for choice in choices:
        metric, labels = choice.split("=")
        chosen[metric] = labels.split(",")
    logging.disable(logging.CRITICAL)
    updaters = [
        metrics.timer(timer, chosen.get(timer, []), metrics.DEFAULT_TIMER_BUCKETS) for timer in metrics.TIMERS
    ]
    updaters += [
        counter(chosen.get(counter.__name__, COUNTED)) for counter in (metrics.bytes_read_total, metrics.requests_total)
    ]
    updaters += [
        queue(chosen.get(queue.__name__, []), metrics.DEFAULT_QUEUE_LENGTH_BUCKETS)
        for queue in (metrics.backend_queue_length, metrics.server_queue_length)
    ]
    processor = log_processing.AbstractLogProcessor(updaters)
    # Its parser prints requests that it does not understand.
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        with open(log, encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
            for line in lines:
                processor.update_metrics(line)
    # Without those of the process itself.
    shown = generate_latest(REGISTRY).splitlines(keepends=True)
    sys.stdout.buffer.writelines(line for line in shown if b"haproxy_log_" in line and not line.startswith(b"# HELP"))


main()
