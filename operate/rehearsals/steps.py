"""One step after another, each told when it begins, timed, and waited for by its state."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from rich.console import Console

from operate.aws import Refused

PLAIN_LINE_EVERY_SECONDS = 60.0
FAILED_STATES = ("failed", "incompatible", "inaccessible", "restore-error", "stopped", "storage-full")
LONGEST_SETTLING_SECONDS = 900.0
"""For a backup, or a change, that a cluster is at when a rehearsal begins."""


class RehearsalFailed(Refused):
    """The rehearsal could not be finished; the message says where, and what to do."""


class Steps:
    """What a rehearsal has done so far, and how long each step took."""

    def __init__(self, console: Console, *, poll_seconds: float) -> None:
        self.console = console
        self.poll_seconds = poll_seconds
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Time what runs inside, and say so."""
        started = time.monotonic()
        shown = self.console.status(f"{title} …") if self.console.is_terminal else nullcontext()
        with shown:
            yield
        self.seconds[title] = time.monotonic() - started
        self.console.print(f"  {self.seconds[title]:>7.1f} s  {title}", soft_wrap=True, markup=False)

    def wait_for(self, what: str, look: Callable[[], str], wanted: str, *, longest_seconds: float) -> None:
        """Wait until `look` gives the state that is wanted; raises RehearsalFailed where it never will.

        Tells each new state, and once a minute that it still waits.
        """
        started, state, told_at = time.monotonic(), "", time.monotonic()
        while (seen := look()) != wanted:
            if seen.startswith(FAILED_STATES):
                raise RehearsalFailed(f"{what}: {seen}; its events tell why (aws rds describe-events)")
            now = time.monotonic()
            if now - started > longest_seconds:
                raise RehearsalFailed(
                    f"{what} is {seen or 'not there'}, not {wanted}, after {longest_seconds / 60:.0f} minutes"
                )
            if seen != state or now - told_at > PLAIN_LINE_EVERY_SECONDS:
                self._tell(f"  {now - started:>7.1f} s  … {what}: {seen or 'not there yet'}")
                state, told_at = seen, now
            time.sleep(self.poll_seconds)

    def until(self, what: str, condition: Callable[[], bool], *, longest_seconds: float) -> None:
        """Wait until a condition holds; raises RehearsalFailed where it takes too long."""
        self.wait_for(
            what, lambda: "so" if condition() else "waited for", "so", longest_seconds=longest_seconds
        )

    def _tell(self, line: str) -> None:
        self.console.print(line, style="dim", soft_wrap=True, markup=False)
