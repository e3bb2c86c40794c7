"""What was measured: values with a time and a unit, in series of one name and one set of dimensions."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from localcloud.cloud import Cloud

MOST_SAMPLES = 20_000
"""Of a series; the oldest go first. One a second for more than five hours, or one a minute for two weeks."""

Dimensions = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """Values of one moment, each with how often it was seen."""

    at: float
    values: tuple[float, ...]
    counts: tuple[float, ...] = ()
    unit: str = "None"

    @property
    def weighted(self) -> Iterable[tuple[float, float]]:
        """Return each value with its count."""
        return zip(self.values, self.counts or (1.0,) * len(self.values), strict=True)


@dataclass(frozen=True, slots=True)
class Summary:
    """Values of which only this is known (StatisticValues of PutMetricData): they have no percentiles."""

    at: float
    count: float
    total: float
    minimum: float
    maximum: float
    unit: str = "None"


@dataclass(frozen=True, slots=True)
class SeriesName:
    """A metric: what CloudWatch tells apart."""

    namespace: str
    metric: str
    dimensions: Dimensions = ()

    @classmethod
    def of(cls, namespace: str, metric: str, dimensions: Mapping[str, str] | None = None) -> SeriesName:
        """Return the name, whatever the order of the dimensions."""
        return cls(namespace, metric, tuple(sorted((dimensions or {}).items())))


class Metrics:
    """Every series of a cloud, by region. A part of it; safe to use from several threads."""

    def __init__(self, _: Cloud) -> None:
        self._lock = threading.Lock()
        self._series: dict[tuple[str, SeriesName], deque[Sample | Summary]] = {}

    @classmethod
    def of(cls, cloud: Cloud) -> Metrics:
        """Return the metrics of a cloud."""
        return cloud.part(cls, cls)

    def put(self, region: str, series: SeriesName, sample: Sample | Summary) -> None:
        """Add a sample, which need not be the latest."""
        with self._lock:
            found = self._series.setdefault((region, series), deque(maxlen=MOST_SAMPLES))
            found.append(sample)

    def between(
        self, region: str, series: SeriesName, start: float, end: float, unit: str | None = None
    ) -> list[Sample | Summary]:
        """Return what was measured from `start` on and before `end`, in one unit or in any."""
        with self._lock:
            found = self._series.get((region, series), ())
            return [one for one in found if start <= one.at < end and unit in (None, one.unit)]

    def names(self, region: str) -> list[SeriesName]:
        """Return every series of a region."""
        with self._lock:
            return [name for of, name in self._series if of == region]
