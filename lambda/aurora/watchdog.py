"""Ends a session that is not answered in time, which no driver does by itself.

A network that swallows packets sends no error. libpq has no limit for an answer, PyMySQL has one for each
read; and both leave their caller waiting inside one call, where nothing but another thread can act.
"""

from __future__ import annotations

import heapq
import itertools
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
    def __init__(self, descriptor: int) -> None:
        self.descriptor: int | None = descriptor


class _Watchdog:
    """One thread for all sessions of the process, which sleeps until the next alarm."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._alarms: list[tuple[float, int, _Alarm]] = []
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None

    def arm(self, descriptor: int, at: float) -> _Alarm:
        """Shut the connection down at this time of the monotonic clock."""
        alarm = _Alarm(descriptor)
        with self._changed:
            heapq.heappush(self._alarms, (at, next(self._numbers), alarm))
            if self._thread is None or not self._thread.is_alive():  # a forked process has none
                self._thread = threading.Thread(target=self._watch, name="session-watchdog", daemon=True)
                self._thread.start()
            elif self._alarms[0][2] is alarm:
                self._changed.notify()
        return alarm

    def disarm(self, alarm: _Alarm) -> None:
        """Never shut it down from here on."""
        with self._changed:
            alarm.descriptor = None

    def _watch(self) -> None:
        with self._changed:
            while True:
                while self._alarms and self._alarms[0][2].descriptor is None:
                    heapq.heappop(self._alarms)
                if not self._alarms:
                    self._changed.wait()
                    continue
                at, _, alarm = self._alarms[0]
                if at > (now := time.monotonic()):
                    self._changed.wait(at - now)
                    continue
                heapq.heappop(self._alarms)
                if alarm.descriptor is not None:
                    _shut_down(alarm.descriptor)


def _shut_down(descriptor: int) -> None:
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
        connection.shutdown(socket.SHUT_RDWR)


_watchdog = _Watchdog()
