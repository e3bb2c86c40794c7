"""Statistics over the samples of a period.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from localcloud.metrics.samples import Sample, Summary

_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,10})?|100)")


class UnknownStatistic(ValueError):
    """A statistic that CloudWatch does not have, or that is not computed here."""


def statistic(name: str) -> Callable[[Sequence[Sample | Summary]], float | None]:
    """Return what computes a statistic, Average or p99.9; None comes of no samples."""
    if name in _PLAIN:
        return _PLAIN[name]
    found = _PERCENTILE.fullmatch(name)
    if found is None:
        raise UnknownStatistic(
            f"The statistic {name} is not known here: there are {', '.join(_PLAIN)} and percentiles (p99)"
        )
    share = float(found[1]) / 100
    return lambda samples: _percentile(samples, share)


def by_period(
    samples: Sequence[Sample | Summary], name: str, *, start: float, period: float
) -> dict[float, float]:
    """Return the statistic of each period that has samples, by the period's beginning."""
    compute, periods = statistic(name), dict[float, list[Sample | Summary]]()
    for one in samples:
        periods.setdefault(start + (one.at - start) // period * period, []).append(one)
    found = {beginning: compute(inside) for beginning, inside in sorted(periods.items())}
    return {beginning: value for beginning, value in found.items() if value is not None}


def _count(samples: Sequence[Sample | Summary]) -> float:
    return sum(
        one.count if isinstance(one, Summary) else sum(count for _, count in one.weighted) for one in samples
    )


def _sum(samples: Sequence[Sample | Summary]) -> float:
    return math.fsum(
        one.total if isinstance(one, Summary) else math.fsum(value * count for value, count in one.weighted)
        for one in samples
    )


def _average(samples: Sequence[Sample | Summary]) -> float | None:
    count = _count(samples)
    return _sum(samples) / count if count else None


def _minimum(samples: Sequence[Sample | Summary]) -> float | None:
    return min(
        (one.minimum if isinstance(one, Summary) else min(one.values) for one in samples), default=None
    )


def _maximum(samples: Sequence[Sample | Summary]) -> float | None:
    return max(
        (one.maximum if isinstance(one, Summary) else max(one.values) for one in samples), default=None
    )


def _percentile(samples: Sequence[Sample | Summary], share: float) -> float | None:
    """Return the smallest value that at least this share of the values does not exceed."""
    single = (
        (one.minimum, one.count) for one in samples if isinstance(one, Summary) and one.minimum == one.maximum
    )
    listed = (pair for one in samples if isinstance(one, Sample) for pair in one.weighted)
    ordered = sorted([*single, *listed])
    reached, wanted = 0.0, share * sum(count for _, count in ordered)
    for value, count in ordered:
        reached += count
        if reached >= wanted:
            return value
    return None


_PLAIN: dict[str, Callable[[Sequence[Sample | Summary]], float | None]] = {
    "Average": _average,
    "Maximum": _maximum,
    "Minimum": _minimum,
    "SampleCount": _count,
    "Sum": _sum,
}
