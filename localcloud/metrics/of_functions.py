"""AWS/Lambda: what real invocations measure.

https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
"""

from __future__ import annotations

import time
from typing import Any

from localcloud.cloud import Cloud
from localcloud.metrics.samples import Metrics, Sample, SeriesName

NAMESPACE = "AWS/Lambda"


class FunctionMetrics:
    """Writes a sample for each invocation, of its function and of all functions."""

    def __init__(self, cloud: Cloud) -> None:
        self._metrics = Metrics.of(cloud)

    def invoked(self, function: Any, *, milliseconds: float, failed: bool, at_once: int) -> None:
        """An invocation is over; `at_once` ran at its beginning, itself among them."""
        self._put(function, "Invocations", 1.0, "Count")
        self._put(function, "Errors", float(failed), "Count")
        self._put(function, "Throttles", 0.0, "Count")
        self._put(function, "Duration", milliseconds, "Milliseconds")
        self._put(function, "ConcurrentExecutions", float(at_once), "Count")

    def throttled(self, function: Any) -> None:
        """There was no room for an invocation: it counts as a throttle and as nothing else."""
        self._put(function, "Throttles", 1.0, "Count")

    def _put(self, function: Any, metric: str, value: float, unit: str) -> None:
        sample = Sample(time.time(), (value,), unit=unit)
        for dimensions in ({"FunctionName": function.function_name}, {}):
            self._metrics.put(function.region, SeriesName.of(NAMESPACE, metric, dimensions), sample)
