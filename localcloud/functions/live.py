"""Which processes of functions exist right now: whoever asks whose a connection is starts here."""

from __future__ import annotations

import threading

from localcloud.cloud import Cloud
from localcloud.functions.environment import ExecutionEnvironment


class LiveEnvironments:
    """Every execution environment whose process runs: loading, working or idle. A part of the cloud."""

    def __init__(self, _: Cloud) -> None:
        self._lock = threading.Lock()
        self._started: list[ExecutionEnvironment] = []

    def add(self, environment: ExecutionEnvironment) -> None:
        """Take up an environment that has been started; it leaves by ending."""
        with self._lock:
            self._started = [*self._alive(), environment]

    def all(self) -> list[ExecutionEnvironment]:
        """Return those whose process runs now."""
        with self._lock:
            self._started = self._alive()
            return list(self._started)

    def _alive(self) -> list[ExecutionEnvironment]:
        return [one for one in self._started if one.alive]
