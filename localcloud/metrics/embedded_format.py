"""Lines in CloudWatch's embedded metric format: what such a line of a log measures.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from localcloud.metrics.samples import Sample, SeriesName

MOST_DIMENSIONS = 30
MOST_METRICS = 100
MOST_VALUES = 100
OLDEST_SECONDS = 14 * 86_400
LATEST_SECONDS = 2 * 3600
# fmt: off
UNITS = frozenset((
    "Seconds", "Microseconds", "Milliseconds", "Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes",
    "Bits", "Kilobits", "Megabits", "Gigabits", "Terabits", "Percent", "Count", "Bytes/Second",
    "Kilobytes/Second", "Megabytes/Second", "Gigabytes/Second", "Terabytes/Second", "Bits/Second",
    "Kilobits/Second", "Megabits/Second", "Gigabits/Second", "Terabits/Second", "Count/Second", "None",
))
# fmt: on


class NotMeasured(ValueError):
    """The line claims to be in the format and is not: CloudWatch takes no metric from it."""


def measured(line: str, *, now: float) -> list[tuple[SeriesName, Sample]]:
    """Return what a line measures; nothing for one that is not in the format. NotMeasured, all or nothing."""
    if '"_aws"' not in line:
        return []
    try:
        root = json.loads(line)
    except ValueError:
        return []  # a line of text that happens to mention it
    if not isinstance(root, dict) or "_aws" not in root:
        return []
    metadata = _object(root["_aws"], "_aws")
    if "CloudWatchMetrics" not in metadata:
        return []
    at = _moment(metadata, now)
    directives = _array(metadata["CloudWatchMetrics"], "CloudWatchMetrics")
    return [found for one in directives for found in _directive(_object(one, "a directive"), root, at)]


def _directive(
    directive: Mapping[str, Any], root: Mapping[str, Any], at: float
) -> Iterator[tuple[SeriesName, Sample]]:
    namespace = directive.get("Namespace")
    if not isinstance(namespace, str) or not 1 <= len(namespace) <= 1024:
        raise NotMeasured("Namespace has to be a text of 1 to 1024 characters")
    sets = [_dimensions(one, root) for one in _array(directive.get("Dimensions"), "Dimensions")]
    metrics = _array(directive.get("Metrics"), "Metrics")
    if len(metrics) > MOST_METRICS:
        raise NotMeasured(f"Metrics has {len(metrics)} members: {MOST_METRICS} are allowed")
    for metric in metrics:
        name, unit = _definition(_object(metric, "a metric"))
        if name not in root:
            continue  # a metric without a value is no error
        sample = Sample(at, _values(name, root[name]), unit=unit)
        for dimensions in sets:
            yield SeriesName.of(namespace, name, dimensions), sample


def _definition(metric: Mapping[str, Any]) -> tuple[str, str]:
    name, unit = metric.get("Name"), metric.get("Unit", "None")
    if not isinstance(name, str) or not 1 <= len(name) <= 1024:
        raise NotMeasured("a metric's Name has to be a text of 1 to 1024 characters")
    if unit not in UNITS:
        raise NotMeasured(f"{name}: {unit!r} is no unit of CloudWatch's")
    if metric.get("StorageResolution", 60) not in (1, 60):
        raise NotMeasured(f"{name}: StorageResolution is 1 or 60")
    return name, unit


def _dimensions(names: Any, root: Mapping[str, Any]) -> dict[str, str]:
    keys = _array(names, "a set of dimensions")
    if len(keys) > MOST_DIMENSIONS:
        raise NotMeasured(f"a set has {len(keys)} dimensions: {MOST_DIMENSIONS} are allowed")
    for key in keys:
        value = root.get(key) if isinstance(key, str) else None
        if not isinstance(value, str) or not 1 <= len(value) <= 1024:
            raise NotMeasured(f"the dimension {key!r} needs a text of 1 to 1024 characters as its value")
    return {key: root[key] for key in keys}


def _values(name: str, given: Any) -> tuple[float, ...]:
    values = given if isinstance(given, list) else [given]
    if not 1 <= len(values) <= MOST_VALUES:
        raise NotMeasured(f"{name} has {len(values)} values: 1 to {MOST_VALUES} are allowed")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise NotMeasured(f"{name}: {value!r} is no number")
    return tuple(float(value) for value in values)


def _moment(metadata: Mapping[str, Any], now: float) -> float:
    given = metadata.get("Timestamp")
    if isinstance(given, bool) or not isinstance(given, int):
        raise NotMeasured("_aws.Timestamp has to be a number of milliseconds since 1970")
    at = given / 1000
    if not now - OLDEST_SECONDS <= at <= now + LATEST_SECONDS:
        raise NotMeasured("_aws.Timestamp is more than 14 days ago, or more than 2 hours ahead")
    return at


def _object(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise NotMeasured(f"{name} has to be an object")
    return value


def _array(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise NotMeasured(f"{name} has to be an array")
    return value
