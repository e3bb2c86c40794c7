"""Ends a statement of the worker's that takes too long: max_execution_time would end a SELECT alone."""

from __future__ import annotations

import copy
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pymysql
from pymysql.connections import Connection

from apply_schema.limits import Limits

GRACE_SECONDS = 5.0
"""In which a statement that was told to end has to end; then its connection does."""


class Watch:
    """A thread with a connection of its own, which both begin with the first statement that has a limit."""

    def __init__(self, like: Connection[Any], session: int, limits: Limits) -> None:
        self._like = like
        self._session = session
        self._limits = limits
        self._changed = threading.Condition()
        self._until = math.inf
        self._reason = ""
        self._thread: threading.Thread | None = None
        self._ended = False
        self.fired = ""
        """Why the statement that ran last was ended: `deadline` or `timeout`; empty if it was not."""

    @contextmanager
    def over_a_statement(self) -> Iterator[None]:
        """End what runs inside once it has taken what it may take."""
        timeout = self._limits.statement_timeout_seconds or math.inf
        remaining = self._limits.remaining_seconds()
        self.fired = ""
        if min(timeout, remaining) == math.inf:
            yield
            return
        self._begin(
            time.monotonic() + min(timeout, remaining), "timeout" if timeout < remaining else "deadline"
        )
        try:
            yield
        finally:
            with self._changed:
                self._until = math.inf

    def move_to(self, session: int) -> None:
        """Watch over another session from now on."""
        self._session = session

    def end(self) -> None:
        """End the thread."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread:
            self._thread.join(GRACE_SECONDS)

    def _begin(self, until: float, reason: str) -> None:
        with self._changed:
            self._until, self._reason = until, reason
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, daemon=True, name="migrations watch")
                self._thread.start()
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while not self._ended:
                left = self._until - time.monotonic()
                if left > 0:
                    self._changed.wait(None if left == math.inf else left)
                    continue
                # while this holds the condition, the statement cannot end and another one begin
                hard = bool(self.fired)
                self.fired = self._reason
                self._until = math.inf if hard else time.monotonic() + GRACE_SECONDS
                self._kill("CONNECTION" if hard else "QUERY")

    def _kill(self, what: str) -> None:
        own = copy.copy(self._like)
        own._sock = own._rfile = own._result = None  # type: ignore[attr-defined]
        own._read_timeout = own._write_timeout = GRACE_SECONDS  # type: ignore[attr-defined]
        with suppress(pymysql.Error):  # the server is gone: the worker will notice by itself
            own.connect()
            with own.cursor() as cursor:
                cursor.execute(f"KILL {what} {self._session:d}")
            own.close()
