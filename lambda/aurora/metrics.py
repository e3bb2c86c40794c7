"""Metrics as lines of a function's log, which CloudWatch takes for metrics: its embedded metric format.

Whoever calls is named by dimensions of few values only, for each combination of values is a metric that is
paid for: the deployment, who orders, why an order was refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

NAMESPACE = "Shop"
DEPLOYMENT = "Deployment"
UNITS: Mapping[str, MetricUnit] = {
    "Orders": MetricUnit.Count,
    "OrderLines": MetricUnit.Count,
    "Revenue": MetricUnit.NoUnit,  # a sum of money: CloudWatch has no unit for it
    "OrderLatency": MetricUnit.Milliseconds,
    "Refusals": MetricUnit.Count,
    "Retries": MetricUnit.Count,
    "OrderFailures": MetricUnit.Count,
    "SmokeTestPassed": MetricUnit.Count,
    "SmokeTestFailed": MetricUnit.Count,
    "SmokeTestDuration": MetricUnit.Milliseconds,
    "SeedLines": MetricUnit.Count,
    "SeedDuration": MetricUnit.Seconds,
    "MigrationsApplied": MetricUnit.Count,
    "MigrationDuration": MetricUnit.Seconds,
}
"""Every metric that there is, with its unit."""


class Metrics(Protocol):
    """Takes what is counted or measured."""

    def add(self, name: str, value: float = 1, **dimensions: str) -> None:
        """Take one value of a metric of UNITS, under these dimensions beside the deployment's."""


class EmbeddedMetrics:
    """Collects values, and writes them to standard output when it is told to, or has a hundred of one."""

    def __init__(self, deployment: str) -> None:
        self._deployment = deployment
        self._sets: dict[frozenset[tuple[str, str]], AmazonCloudWatchEMFProvider] = {}

    def add(self, name: str, value: float = 1, **dimensions: str) -> None:
        """Take one value; each is kept, so that percentiles are of values and not of averages."""
        key = frozenset(dimensions.items())
        collected = self._sets.get(key)
        if collected is None:
            collected = self._sets[key] = _collector({DEPLOYMENT: self._deployment, **dimensions})
        collected.add_metric(name=name, unit=UNITS[name], value=value)

    def flush(self) -> None:
        """Write what was not written yet: a line for each combination of dimensions."""
        sets, self._sets = self._sets, {}
        for collected in sets.values():
            if collected.metric_set:  # a hundred values are written at once, and then there are none
                collected.flush_metrics()


class NoMetrics:
    """Takes everything and keeps nothing."""

    def add(self, name: str, value: float = 1, **dimensions: str) -> None:
        """Take nothing."""


@contextmanager
def written(variables: Mapping[str, str]) -> Iterator[Metrics]:
    """Collect metrics, and write them in the end, also where what was measured failed.

    Without DEPLOYMENT in the environment there is no deployment to name, and nothing is written.
    """
    deployment = variables.get("DEPLOYMENT")
    if not deployment:
        yield NoMetrics()
        return
    metrics = EmbeddedMetrics(deployment)
    try:
        yield metrics
    finally:
        metrics.flush()


def _collector(dimensions: Mapping[str, str]) -> AmazonCloudWatchEMFProvider:
    collector = AmazonCloudWatchEMFProvider(namespace=NAMESPACE)
    collector.service = ""  # else POWERTOOLS_SERVICE_NAME would add a dimension of that name
    for name, value in dimensions.items():
        collector.add_dimension(name=name, value=value)
    return collector
