"""A network that takes its time: a Unix socket in front of another, whose bytes come later by a constant.

`python -m bench.orders.relay SOCKET TARGET SECONDS` is a process of its own, with one thread and one queue:
every packet is late by the same time, so the one that came first is due first. It sleeps to the microsecond
by select on an epoll descriptor, since epoll itself counts in milliseconds.
"""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measuring import PYTHON
from bench.orders.ways_in import Socket
from operate.deployment import PROJECT

BACKLOG = 512


@contextmanager
def delayed(target: Socket, *, round_trip_milliseconds: float) -> Iterator[Socket]:
    """Put a socket in front of the target, half of the delay in each direction."""
    with tempfile.TemporaryDirectory(prefix="relay-") as directory:
        path = Path(directory) / Path(target.path).name
        one_way_seconds = round_trip_milliseconds / 2000
        relay = subprocess.Popen(
            [PYTHON, "-m", "bench.orders.relay", path, target.path, str(one_way_seconds)],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            if relay.stdout is None or not relay.stdout.readline():
                raise RuntimeError("the relay did not start")
            yield Socket(target.engine, str(path))
        finally:
            relay.kill()
            relay.wait()


class Relay:
    """Passes on what comes from either side, later."""

    def __init__(self, listener: socket.socket, target: str, seconds: float) -> None:
        self._listener = listener
        self._target = target
        self._seconds = seconds
        self._events = select.epoll()
        self._events.register(listener, select.EPOLLIN)
        self._events.register(sys.stdin, select.EPOLLIN)
        self._opposite: dict[int, tuple[socket.socket, socket.socket]] = {}
        self._late: deque[tuple[float, socket.socket, bytes]] = deque()

    def run(self) -> None:
        """Return when standard input ends."""
        while True:
            select.select([self._events], [], [], self._until_due())
            for descriptor, _ in self._events.poll(0):
                if descriptor == sys.stdin.fileno():  # whoever started it is gone
                    return
                if descriptor == self._listener.fileno():
                    self._accept()
                else:
                    self._receive(descriptor)
            self._deliver()

    def _until_due(self) -> float | None:
        return max(0.0, self._late[0][0] - time.monotonic()) if self._late else None

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._target)
        for source, opposite in ((client, server), (server, client)):
            self._opposite[source.fileno()] = (source, opposite)
            self._events.register(source, select.EPOLLIN)

    def _receive(self, descriptor: int) -> None:
        source, opposite = self._opposite[descriptor]
        try:
            data = source.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._events.unregister(source)
        self._late.append((time.monotonic() + self._seconds, opposite, data))

    def _deliver(self) -> None:
        now = time.monotonic()
        while self._late and self._late[0][0] <= now:
            _, receiver, data = self._late.popleft()
            with contextlib.suppress(OSError):
                if data:
                    receiver.sendall(data)
                else:
                    receiver.shutdown(socket.SHUT_WR)


def main(path: str, target: str, seconds: str) -> None:
    """Listen, say so, and pass on for as long as standard input is open."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(BACKLOG)
    print("listening", flush=True)
    Relay(listener, target, float(seconds)).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
