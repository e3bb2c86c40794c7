"""How far a load is: lines, rate, time left."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """A moment of a load."""

    doing: str
    """What is going on, for a person: `loading`, `adding keys`."""
    lines: int
    lines_per_second: int
    done: float | None
    """Share of the file that was read, 0 to 1; None where its size is unknown."""
    seconds_left: float | None
    """Until the file is read; None where that cannot be told."""

    @property
    def figures(self) -> str:
        """The numbers, for a person."""
        left = "" if self.seconds_left is None else f", {self.seconds_left:.0f} s left"
        return f"{self.lines:,} lines, {self.lines_per_second:,} lines/s{left}" if self.lines else ""

    def __str__(self) -> str:
        return f"{self.doing}: {self.figures}" if self.figures else self.doing


Report = Callable[[Progress], None]


class Meter:
    """Measures a load and reports it."""

    def __init__(self, report: Report, *, size_bytes: int | None) -> None:
        self.lines = 0
        self.doing = "starting"
        self._report = report
        self._size_bytes = size_bytes
        self._started = time.monotonic()

    def begin(self, doing: str) -> None:
        """Report the part of the work that starts now."""
        self.doing = doing
        self._tell(done=None)

    def read(self, *, lines: int, bytes_read: int) -> None:
        """Report how far the file is read."""
        self.lines = lines
        self._tell(done=bytes_read / self._size_bytes if self._size_bytes else None)

    def _tell(self, *, done: float | None) -> None:
        seconds = time.monotonic() - self._started
        self._report(
            Progress(
                doing=self.doing,
                lines=self.lines,
                lines_per_second=round(self.lines / seconds) if seconds else 0,
                done=done,
                seconds_left=round(seconds * (1 - done) / done, 1) if done else None,
            )
        )


def at_most_every(seconds: float, report: Report) -> Report:
    """Return a report that passes on the first moment of each part of the work, and others only so often."""
    last_at, last_doing = float("-inf"), ""

    def report_seldom(progress: Progress) -> None:
        nonlocal last_at, last_doing
        now = time.monotonic()
        if progress.doing != last_doing or now - last_at >= seconds:
            last_at, last_doing = now, progress.doing
            report(progress)

    return report_seldom
