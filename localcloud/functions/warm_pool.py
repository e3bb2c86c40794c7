"""Which execution environments stay for the next invocation, as Lambda keeps them: few, and not for long."""

from __future__ import annotations

import threading
import time

from localcloud.functions.configuration import FunctionConfiguration
from localcloud.functions.environment import ExecutionEnvironment

MOST_IDLE = 16
IDLE_SECONDS = 300.0
"""Lambda promises no figure; some minutes are what its users see."""


class WarmPool:
    """Keeps idle environments: at most `most_idle`, each at most `idle_seconds`, none after `close`."""

    def __init__(self, *, most_idle: int = MOST_IDLE, idle_seconds: float = IDLE_SECONDS) -> None:
        self._most_idle = most_idle
        self._idle_seconds = idle_seconds
        self._idle: list[ExecutionEnvironment] = []  # the longest idle first
        self._changed = threading.Condition()
        self._closed = False
        threading.Thread(target=self._end_expired, name="lambda-idle", daemon=True).start()

    def take(self, configuration: FunctionConfiguration) -> ExecutionEnvironment | None:
        """Return an idle environment of exactly this configuration, most recently used first."""
        with self._changed:
            for environment in reversed(self._idle):
                if environment.configuration == configuration:
                    self._idle.remove(environment)
                    if environment.alive:
                        return environment
                    environment.close()
        return None

    def give(self, environment: ExecutionEnvironment) -> None:
        """Keep the environment for later; the one that has been idle longest gives way."""
        with self._changed:
            environment.idle_since = time.monotonic()
            self._idle.append(environment)
            surplus = self._idle if self._closed else self._idle[: -self._most_idle]
            self._idle = [] if self._closed else self._idle[-self._most_idle :]
            self._changed.notify()
        _close(surplus)

    def discard(self, function_name: str, *, unless: FunctionConfiguration | None = None) -> None:
        """End the function's idle environments: it is deleted, or changed to the configuration `unless`."""
        with self._changed:
            outdated = [
                environment
                for environment in self._idle
                if environment.configuration.name == function_name and environment.configuration != unless
            ]
            self._idle = [environment for environment in self._idle if environment not in outdated]
        _close(outdated)

    def close(self) -> None:
        """End every idle environment, and from now on every one that is given back."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
            self._changed.notify()
        _close(idle)

    def _end_expired(self) -> None:
        while not self._closed:
            with self._changed:
                oldest = self._idle[0].idle_since if self._idle else None
                wait = None if oldest is None else oldest + self._idle_seconds - time.monotonic()
                if wait is None or wait > 0:
                    self._changed.wait(wait)
                    continue
                expired = self._idle.pop(0)
            _close([expired])


def _close(environments: list[ExecutionEnvironment]) -> None:
    for environment in environments:
        environment.close()
