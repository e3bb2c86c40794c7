"""Problems of a log group's settings."""

from __future__ import annotations

from collections.abc import Iterator

LOG_RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1827, 3653)
"""The retentions that CloudWatch Logs offers and this project uses."""


def of_log_retention(name: str, days: int) -> Iterator[str]:
    """Yield days that are none of CloudWatch's."""
    if days not in LOG_RETENTION_DAYS:
        allowed = ", ".join(map(str, LOG_RETENTION_DAYS))
        yield f"{name}={days} is not a retention that CloudWatch Logs has; choose one of {allowed}"
