"""Ends a session that is not answered in time, which no driver does by itself.

A network that swallows packets sends no error. libpq has no limit for an answer, PyMySQL has one for each
read; and both leave their caller waiting inside one call, where nothing but another thread can act.
"""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from aurora.session import Session


@contextmanager
def cut_off_after(session: Session, seconds: float) -> Iterator[None]:
    """Lose the session where what runs inside takes longer: its driver then finds the connection closed.

    What was sent may have been carried out all the same.
    """
    # a descriptor of its own: the session's might belong to another connection by the time it fires
    descriptor = os.dup(session.fileno())
    alarm = _watchdog.arm(descriptor, time.monotonic() + seconds)
    try:
        yield
    finally:
        _watchdog.disarm(alarm)
        os.close(descriptor)


class _Alarm:
    """Shuts a connection down at a time of the monotonic clock."""

    __slots__ = ("at_seconds", "descriptor")

    def __init__(self, descriptor: int, at_seconds: float) -> None:
        self.descriptor = descriptor
        self.at_seconds = at_seconds


class _Watchdog:
    """One thread for all sessions of the process, which sleeps until the next alarm.

    There are as many alarms as there are sessions at work, so that a search through all of them, a few times
    a minute, costs less than to keep them in order with every order.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._alarms: set[_Alarm] = set()
        self._wakes_at_seconds = math.inf
        self._thread: threading.Thread | None = None

    def arm(self, descriptor: int, at_seconds: float) -> _Alarm:
        """Shut the connection down at this time of the monotonic clock."""
        alarm = _Alarm(descriptor, at_seconds)
        with self._changed:
            self._alarms.add(alarm)
            if self._thread is None or not self._thread.is_alive():  # a forked process has none
                self._thread = threading.Thread(target=self._watch, name="session-watchdog", daemon=True)
                self._thread.start()
            elif at_seconds < self._wakes_at_seconds:
                self._changed.notify()
        return alarm

    def disarm(self, alarm: _Alarm) -> None:
        """Never shut it down from here on."""
        with self._changed:
            self._alarms.discard(alarm)

    def _watch(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for alarm in [each for each in self._alarms if each.at_seconds <= now]:
                    self._alarms.discard(alarm)
                    _shut_down(alarm.descriptor)
                self._wakes_at_seconds = min((each.at_seconds for each in self._alarms), default=math.inf)
                idle = self._wakes_at_seconds == math.inf
                self._changed.wait(None if idle else self._wakes_at_seconds - now)


def _shut_down(descriptor: int) -> None:
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
        connection.shutdown(socket.SHUT_RDWR)


_watchdog = _Watchdog()
