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
        self._wanted: dict[str, FunctionConfiguration | None] = {}
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
        """Keep the environment for later, unless it is outdated; the longest idle gives way."""
        with self._changed:
            environment.idle_since = time.monotonic()
            self._idle.append(environment)
            ended = self._surplus()
            self._changed.notify()
        _close(ended)

    def want(self, function_arn: str, configuration: FunctionConfiguration | None) -> None:
        """Keep of this function's $LATEST this configuration only; with None nothing, it is deleted."""
        with self._changed:
            self._wanted[function_arn] = configuration
            ended = self._surplus()
        _close(ended)

    def close(self) -> None:
        """End every idle environment, and from now on every one that is given back."""
        with self._changed:
            self._closed = True
            ended = self._surplus()
            self._changed.notify()
        _close(ended)

    def _surplus(self) -> list[ExecutionEnvironment]:
        """Take out and return what must not stay."""
        kept = [] if self._closed else [one for one in self._idle if not self._outdated(one.configuration)]
        kept = kept[-self._most_idle :]
        ended = [one for one in self._idle if one not in kept]
        self._idle = kept
        return ended

    def _outdated(self, configuration: FunctionConfiguration) -> bool:
        wanted = self._wanted.get(configuration.function_arn, configuration)
        return wanted is None or (configuration.arn == wanted.arn and configuration != wanted)

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
