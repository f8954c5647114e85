"""Reads one exposition in three forms, each with a reader that is not tailmeter's, and compares every value.

    compare.py TEXT OPENMETRICS PROTOBUF

Text and OpenMetrics are read by Prometheus' official Python library, protobuf by Google's. Prints how many metrics and
samples there are. Ends with the first difference.
"""

import math
import sys
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.unknown_fields import UnknownFieldSet
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text

sys.dont_write_bytecode = True

PACKAGE = "io.prometheus.client"
# metrics.proto of prometheus/client_model: name, number, type, and R if repeated.
MESSAGES = {
    "LabelPair": [("name", 1, "string"), ("value", 2, "string")],
    "Timestamp": [("seconds", 1, "int64"), ("nanos", 2, "int32")],
    "Exemplar": [("label", 1, "LabelPair R"), ("value", 2, "double"), ("timestamp", 3, "Timestamp")],
    "Gauge": [("value", 1, "double")],
    "Counter": [("value", 1, "double"), ("exemplar", 2, "Exemplar"), ("created_timestamp", 3, "Timestamp")],
    "Quantile": [("quantile", 1, "double"), ("value", 2, "double")],
    "Summary": [
        ("sample_count", 1, "uint64"), ("sample_sum", 2, "double"), ("quantile", 3, "Quantile R"),
        ("created_timestamp", 4, "Timestamp"),
    ],
    "Untyped": [("value", 1, "double")],
    "Bucket": [
        ("cumulative_count", 1, "uint64"), ("cumulative_count_float", 4, "double"), ("upper_bound", 2, "double"),
        ("exemplar", 3, "Exemplar"),
    ],
    "BucketSpan": [("offset", 1, "sint32"), ("length", 2, "uint32")],
    "Histogram": [
        ("sample_count", 1, "uint64"), ("sample_count_float", 4, "double"), ("sample_sum", 2, "double"),
        ("bucket", 3, "Bucket R"), ("schema", 5, "sint32"), ("zero_threshold", 6, "double"),
        ("zero_count", 7, "uint64"), ("zero_count_float", 8, "double"), ("negative_span", 9, "BucketSpan R"),
        ("negative_delta", 10, "sint64 R"), ("negative_count", 11, "double R"), ("positive_span", 12, "BucketSpan R"),
        ("positive_delta", 13, "sint64 R"), ("positive_count", 14, "double R"),
        ("created_timestamp", 15, "Timestamp"), ("exemplars", 16, "Exemplar R"),
    ],
    "Metric": [
        ("label", 1, "LabelPair R"), ("gauge", 2, "Gauge"), ("counter", 3, "Counter"), ("summary", 4, "Summary"),
        ("untyped", 5, "Untyped"), ("histogram", 7, "Histogram"), ("timestamp_ms", 6, "int64"),
    ],
    "MetricFamily": [
        ("name", 1, "string"), ("help", 2, "string"), ("type", 3, "int32"), ("metric", 4, "Metric R"),
        ("unit", 5, "string"),
    ],
}
TYPES = ["counter", "gauge", "summary", "unknown", "histogram"]


def message_family():
    """The class of `MetricFamily`, from the table."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="metrics.proto", package=PACKAGE, syntax="proto2")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind in fields:
            kind, _, repeated = kind.partition(" ")
            added = message.field.add(name=field_name, number=number)
            added.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
            if kind in MESSAGES:
                added.type, added.type_name = field.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
            else:
                added.type = getattr(field, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.MetricFamily"))


def assert_known(message):
    assert not UnknownFieldSet(message), f"unknown fields in {message}"
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for inner in value if hasattr(value, "add") else [value]:
                assert_known(inner)


def delimited(data, message_class):
    at = 0
    while at < len(data):
        length = shift = 0
        while True:
            byte, at = data[at], at + 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        message = message_class.FromString(data[at : at + length])
        assert_known(message)
        at += length
        yield message
    assert at == len(data), "the last message is cut"


def key(name, labels):
    """A sample, wherever it comes from: bounds are numbers, however they are written."""
    number = lambda label, value: float(value) if label == "le" else value
    return name, tuple(sorted((label, number(label, value)) for label, value in labels.items()))


def put(samples, name, labels, value):
    place = key(name, labels)
    if place in samples:
        sys.exit(f"twice: {place}")
    # The library keeps whole numbers as they are, beyond what a float can hold.
    samples[place] = float(value)


def of_library(families):
    """Samples, and the types of metrics by their names without `_total`."""
    samples, types = {}, {}
    for family in families:
        types[family.name] = family.type
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                put(samples, sample.name, sample.labels, sample.value)
    return samples, types


def of_protobuf(data):
    samples, types, created = {}, {}, 0
    for family in delimited(data, message_family()):
        kind = TYPES[family.type]
        name = family.name.removesuffix("_total") if kind == "counter" else family.name
        types[name] = kind
        for metric in family.metric:
            labels = {pair.name: pair.value for pair in metric.label}
            assert len(labels) == len(metric.label), "a label comes twice"
            if kind != "histogram":
                value = getattr(metric, kind)
                put(samples, family.name, labels, value.value)
                created += kind == "counter" and value.HasField("created_timestamp")
                continue
            histogram = metric.histogram
            created += histogram.HasField("created_timestamp")
            for bucket in histogram.bucket:
                put(samples, f"{name}_bucket", {**labels, "le": bucket.upper_bound}, bucket.cumulative_count)
            put(samples, f"{name}_bucket", {**labels, "le": math.inf}, histogram.sample_count)
            put(samples, f"{name}_count", labels, histogram.sample_count)
            put(samples, f"{name}_sum", labels, histogram.sample_sum)
    return samples, types, created


def agree(what, ours, theirs):
    # The library for text adds `_total` to the names of counters that have none.
    total = lambda place: (f"{place[0]}_total", *place[1:]) if isinstance(place, tuple) else place
    theirs = {total(place) if place not in ours and total(place) in ours else place: value for place, value in theirs.items()}
    if ours == theirs:
        return
    for place in {*ours, *theirs}:
        if ours.get(place) != theirs.get(place):
            sys.exit(f"{what}: {place} is {theirs.get(place)}, in text {ours.get(place)}")


def main():
    paths = [Path(path) for path in sys.argv[1:]]
    expected, types = of_library(text(paths[0].read_text()))
    samples, types_there = of_library(openmetrics(paths[1].read_text()))
    agree("OpenMetrics", expected, samples)
    for name, kind in types_there.items():
        parts = [name.removesuffix(suffix) for suffix in ("_bucket", "_sum", "_count")]
        if kind != types.get(name) and not (kind == "unknown" and (name in types or {*parts} & {*types})):
            sys.exit(f"OpenMetrics: {name} is a {kind}, in text a {types.get(name)}")
    samples, types_there, created = of_protobuf(paths[2].read_bytes())
    agree("protobuf", expected, samples)
    agree("protobuf", types, types_there)
    print(f"{len(types)} metrics, {len(samples)} samples, {created} created timestamps")


if __name__ == "__main__":
    main()
