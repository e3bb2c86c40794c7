"""What a load tool or our customers report of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """One run, before the database is asked what it holds."""

    acknowledged: int
    """All orders that somebody was told of."""
    orders_per_second: float
    milliseconds: tuple[float, ...]
    """From asking to acknowledgement, of each order, the shortest first."""
    tried_again: int = 0
    lags: tuple[tuple[float, float], ...] = ()
    """Seconds since the beginning, and milliseconds from an acknowledgement to the order on the reader."""


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which this share of the ordered values lies, 0 of none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
