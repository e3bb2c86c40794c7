"""How long a run waits, and for what; the same on every engine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from aurora.deadline import Deadline


class Limits(NamedTuple):
    """How long this run waits, and for what. 0 for `statement_timeout_seconds` is for ever."""

    wait_for_lock_seconds: float = 60.0
    """For another migrator to finish."""
    lock_timeout_seconds: float = 10.0
    """For a table that a statement needs: longer, and the queue behind it stops the application."""
    statement_timeout_seconds: float = 0.0
    deadline: Deadline | None = None
    """After which nothing begins; a statement that reaches it is cancelled."""

    def remaining_seconds(self) -> float:
        """Return the seconds until the deadline."""
        return self.deadline.remaining_seconds() if self.deadline else math.inf
