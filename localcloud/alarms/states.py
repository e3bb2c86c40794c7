"""What state an alarm should be in.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html and "Configuring how
CloudWatch alarms treat missing data", whose two tables are the tests of this module.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"

FURTHER_BACK = 2
"""How many datapoints beyond the evaluation periods are looked at where some are missing. AWS says only that
it depends on the alarm; its tables have 5 for 3 periods."""

_COMPARISONS: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
}
_TREATED = {"breaching": "Breaching", "notBreaching": "NonBreaching"}


@dataclass(frozen=True)
class Datapoint:
    """The value of one period."""

    at: float
    value: float


@dataclass(frozen=True)
class Threshold:
    """When an alarm rings: this many of that many datapoints, and what missing ones count for."""

    comparison: str
    value: float
    periods: int
    to_alarm: int
    missing: str = "missing"

    @property
    def is_known(self) -> bool:
        """Whether it compares with a fixed value; anomaly bands do not."""
        return self.comparison in _COMPARISONS

    def is_breached_by(self, value: float) -> bool:
        """Whether a datapoint is on the wrong side."""
        return _COMPARISONS[self.comparison][0](value, self.value)

    @property
    def words(self) -> str:
        """What a datapoint is that breaches."""
        return _COMPARISONS[self.comparison][1]


@dataclass(frozen=True)
class Verdict:
    """The state and the reason for it; None where the present state stays."""

    state: str | None
    reason: str = ""
    datapoints: tuple[Datapoint, ...] = ()


def judge(threshold: Threshold, points: Sequence[Datapoint | None]) -> Verdict:
    """Return the state after these datapoints, the oldest first, None where one is missing."""
    used = _most_recent(points, threshold.periods)
    absent = max(0, threshold.periods - len(used))
    breaching = sum(threshold.is_breached_by(one.value) for one in used)
    if absent == 0:
        return _by_count(threshold, used, breaching >= threshold.to_alarm)
    if threshold.missing in _TREATED:
        counted = breaching + (absent if threshold.missing == "breaching" else 0)
        return _by_count(threshold, used, counted >= threshold.to_alarm, absent)
    if threshold.missing == "ignore" and breaching == len(used) < threshold.to_alarm:
        return Verdict(None)
    if not used:
        unknown = "1 datapoint was" if threshold.periods == 1 else f"{threshold.periods} datapoints were"
        return Verdict(INSUFFICIENT_DATA, f"Insufficient Data: {unknown} unknown.")
    return _by_count(threshold, used, breaching >= min(threshold.to_alarm, len(used)))


def _most_recent(points: Sequence[Datapoint | None], periods: int) -> tuple[Datapoint, ...]:
    """Return the latest of the datapoints that are there, the latest first, at most as many as periods."""
    latest = [one for one in reversed(points[-periods:]) if one is not None]
    if len(latest) == periods:
        return tuple(latest)
    return tuple([one for one in reversed(points) if one is not None][:periods])


def _by_count(threshold: Threshold, used: tuple[Datapoint, ...], is_alarm: bool, absent: int = 0) -> Verdict:
    if not used:
        return Verdict(ALARM if is_alarm else OK, _nothing_came(threshold, absent))
    state, former = (ALARM, OK) if is_alarm else (OK, ALARM)
    shown = [one for one in used if threshold.is_breached_by(one.value) is is_alarm] or list(used)
    listed = ", ".join(f"{one.value} ({_moment(one.at)})" for one in shown)
    were = ("was" if len(shown) == 1 else "were") + ("" if is_alarm else " not")
    least = threshold.to_alarm if is_alarm else threshold.periods - threshold.to_alarm + 1
    plural = "" if least == 1 else "s"
    reason = (
        f"Threshold Crossed: {len(shown)} out of the last {threshold.periods} datapoints [{listed}] {were}"
        f" {threshold.words} the threshold ({threshold.value}) (minimum {least} datapoint{plural} for"
        f" {former} -> {state} transition)."
    )
    return Verdict(state, reason, used)


def _nothing_came(threshold: Threshold, absent: int) -> str:
    treated = _TREATED[threshold.missing]
    many = threshold.periods != 1
    periods = f"{threshold.periods} periods" if many else "1 period"
    missing = f"{absent} missing datapoints were" if absent != 1 else "1 missing datapoint was"
    return (
        f"Threshold Crossed: no datapoints were received for {periods} and {missing} treated as [{treated}]."
    )


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%d/%m/%y %H:%M:%S")
