"""What a function writes, line by line and at once, in CloudWatch Logs."""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from moto.logs.exceptions import ResourceNotFoundException

TAIL_BYTES = 4096
"""What Invoke returns of the log: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html (LogType)."""


class LogsBackend(Protocol):
    """The part of moto's CloudWatch Logs that a stream needs."""

    def ensure_log_group(self, log_group_name: str) -> None:
        """Create the group unless it exists."""

    def create_log_stream(self, log_group_name: str, log_stream_name: str) -> None:
        """Create a stream in an existing group."""

    def put_log_events(
        self, log_group_name: str, log_stream_name: str, log_events: list[dict[str, Any]]
    ) -> object:
        """Append events to a stream."""


class LogStream:
    """The log of one execution environment.

    The group comes into being with the first invocation, as on AWS, not with the function: a template may
    still create it under that name. What is written before is kept until then.
    """

    def __init__(
        self, backend: LogsBackend, group: str, version: str, may: Callable[[str], bool] = lambda _: True
    ) -> None:
        """`may` tells whether the function's role has a right of CloudWatch Logs, by the action's name."""
        self.group = group
        self._may = may
        self._is_silent = False
        self.name = f"{datetime.now(UTC):%Y/%m/%d}/[{version}]{secrets.token_hex(16)}"
        self._backend = backend
        self._lock = threading.Lock()
        self._waiting: list[dict[str, Any]] | None = []
        self._tail: deque[str] = deque()
        self._tail_bytes = 0

    def open(self) -> None:
        """Start an invocation: from here on lines arrive live, and `tail` is of this invocation."""
        with self._lock:
            self._tail.clear()
            self._tail_bytes = 0
            if self._waiting is None:
                self._is_silent = not self._may("PutLogEvents")
                return
            waiting, self._waiting = self._waiting, None
            self._is_silent = not self._create()
            self._put(waiting)

    def write(self, line: str) -> None:
        """Append one line, stamped with the present time."""
        event = {"timestamp": int(time.time() * 1000), "message": line}
        with self._lock:
            self._remember(line)
            if self._waiting is None:
                self._put([event])
            else:
                self._waiting.append(event)

    def tail(self) -> str:
        """Return the last 4 KB of the invocation's log."""
        with self._lock:
            text = "\n".join(self._tail)
        return text.encode()[-TAIL_BYTES:].decode(errors="ignore")

    def _create(self) -> bool:
        """Create the stream, and the group where it is missing; False where the role lacks a right for it."""
        if not self._may("CreateLogStream"):
            return False
        try:
            self._backend.create_log_stream(self.group, self.name)
        except ResourceNotFoundException:
            if not self._may("CreateLogGroup"):
                return False
            self._backend.ensure_log_group(self.group)
            self._backend.create_log_stream(self.group, self.name)
        return self._may("PutLogEvents")

    def _put(self, events: list[dict[str, Any]]) -> None:
        """Without the rights a function works on, and its lines go nowhere: so it is on AWS too."""
        try:
            if events and not self._is_silent:
                self._backend.put_log_events(self.group, self.name, events)
        except ResourceNotFoundException:
            pass  # the group was deleted while the function ran: its last lines go nowhere, as on AWS

    def _remember(self, line: str) -> None:
        self._tail.append(line)
        self._tail_bytes += len(line) + 1
        while self._tail_bytes > 2 * TAIL_BYTES and len(self._tail) > 1:
            self._tail_bytes -= len(self._tail.popleft()) + 1
