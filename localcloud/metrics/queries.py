"""GetMetricData's queries: series read from the samples, and expressions over them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localcloud.metrics.expressions import BadExpression, Evaluated, Series, Value, evaluate
from localcloud.metrics.samples import Metrics, SeriesName
from localcloud.metrics.statistics import by_period


@dataclass(frozen=True)
class Window:
    """The time that is asked for, in seconds since 1970."""

    start: float
    end: float
    is_aligned: bool = True
    """Whether periods begin at multiples of their length, as in CloudWatch's answers; an alarm's do not."""

    def beginning(self, period: float) -> float:
        """Return when the first period begins."""
        return math.floor(self.start / period) * period if self.is_aligned else self.start

    def times(self, period: float) -> list[float]:
        """Return when each period begins."""
        first = self.beginning(period)
        return [first + number * period for number in range(math.ceil((self.end - first) / period))]


class Answers:
    """What queries yield over a window; each is computed once, when it is first asked for."""

    def __init__(
        self, metrics: Metrics, region: str, queries: Sequence[Mapping[str, Any]], window: Window
    ) -> None:
        self._metrics = metrics
        self._region = region
        self._queries = {str(query["Id"]): query for query in queries}
        self._window = window
        self._found: dict[str, Value] = {}
        self._under_way: list[str] = []

    def series(self, query_id: str) -> list[Series]:
        """Return the series of a query: one, but for expressions that yield several."""
        value = self._value(query_id)
        if isinstance(value, list):
            return value
        if isinstance(value, float):
            plain = {} if math.isnan(value) else dict.fromkeys(self.times(query_id), value)
            return [plain]
        return [value]

    def times(self, query_id: str) -> list[float]:
        """Return the periods of a query, with or without values."""
        return self._window.times(self.period(query_id))

    def period(self, query_id: str) -> float:
        """Return how long a period of a query is."""
        query = self._queries[query_id]
        own = query.get("Period") or query.get("MetricStat", {}).get("Period")
        if own:
            return float(own)
        given = [one["MetricStat"]["Period"] for one in self._queries.values() if one.get("MetricStat")]
        return float(min(map(int, given), default=60))

    def _value(self, query_id: str) -> Value:
        if query_id not in self._found:
            self._found[query_id] = self._computed(query_id)
        return self._found[query_id]

    def _computed(self, query_id: str) -> Value:
        query = self._queries[query_id]
        stat = query.get("MetricStat")
        if stat:
            return self._read(stat)
        if query_id in self._under_way:
            raise BadExpression(f"Error in expression {query_id!r}: it needs itself")
        self._under_way.append(query_id)
        try:
            known = Evaluated(_Lazily(self, query_id), _Periods(self), self.times(query_id))
            return evaluate(str(query["Expression"]), known)
        finally:
            self._under_way.pop()

    def _read(self, stat: Mapping[str, Any]) -> Series:
        metric, period = stat["Metric"], float(stat["Period"])
        dimensions = {one["Name"]: one["Value"] for one in metric.get("Dimensions") or []}
        name = SeriesName.of(metric["Namespace"], metric["MetricName"], dimensions)
        start = self._window.beginning(period)
        samples = self._metrics.between(self._region, name, start, self._window.end, stat.get("Unit"))
        return by_period(samples, stat["Stat"], start=start, period=period)


class _Lazily(Mapping[str, Series]):
    """The other queries, by id, for an expression; METRICS() reads the ones that are no expressions."""

    def __init__(self, answers: Answers, reader: str) -> None:
        self._answers = answers
        self._reader = reader

    def __getitem__(self, name: str) -> Series:
        if name not in self._answers._queries:
            raise KeyError(name)
        [series, *others] = self._answers.series(name) or [{}]
        if others:
            raise BadExpression(f"Error in expression {name!r}: an array of series has to be reduced first")
        return series

    def __contains__(self, name: object) -> bool:
        return name in self._answers._queries

    def __iter__(self) -> Iterator[str]:
        return (name for name, query in self._answers._queries.items() if query.get("MetricStat"))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _Periods(Mapping[str, float]):
    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def __getitem__(self, name: str) -> float:
        return self._answers.period(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._answers._queries)

    def __len__(self) -> int:
        return len(self._answers._queries)
