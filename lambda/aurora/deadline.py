"""A point in time that work must not pass."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol


class LambdaContext(Protocol):
    """What Lambda tells about an invocation, as far as a deadline needs it."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the function."""


@dataclass(frozen=True)
class Deadline:
    """Never moves, whatever the wall clock does: it stands on the monotonic clock."""

    at_seconds: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the deadline so many seconds from now."""
        return cls(time.monotonic() + seconds)

    @classmethod
    def of_lambda(cls, context: LambdaContext, *, reserve_seconds: float) -> Deadline:
        """Return the invocation's end less a reserve in which the function can still report what it did."""
        return cls.after(context.get_remaining_time_in_millis() / 1000 - reserve_seconds)

    def remaining_seconds(self) -> float:
        """Return the seconds left, 0 once the deadline has passed."""
        return max(0.0, self.at_seconds - time.monotonic())

    def passed(self) -> bool:
        """Tell whether no time is left."""
        return self.remaining_seconds() == 0.0
