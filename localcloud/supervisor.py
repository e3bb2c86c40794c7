"""Nothing of a cloud outlives it: a small process that cleans up after the server, however that one ends."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from localcloud.processes import end_descendants, process_start, send
from localcloud.state import Home, State

_ENDING = (signal.SIGTERM, signal.SIGINT)
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h


def supervise(home: Home, region: str, serve: Callable[[], None]) -> int:
    """Run `serve` in a child process until it ends, then end all processes below it and remove its home.

    SIGTERM and SIGINT are passed on: the child shuts down in order. When the child is killed, its processes
    come to this one (their subreaper) and are killed. When this process is killed, the child ends in order.
    Returns the child's exit status.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    supervisor = os.getpid()
    home.write(State(home.name, supervisor, process_start(supervisor) or "", region))
    # a signal between fork and handler would be lost: it waits instead
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    child = os.fork()
    if child == 0:
        _be_the_server(home, serve, supervisor)
    for number in _ENDING:
        signal.signal(number, lambda *_: send(child, signal.SIGTERM))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
    try:
        return _exit_status(child)
    finally:
        end_descendants()
        home.remove()


class Starter:
    """The server's end of the line to the process that starts it in the background.

    As long as the starter has not heard that the server is ready and said that it may stay, the server ends
    with the starter: a Ctrl-C in the middle leaves nothing.
    """

    def __init__(self, line: socket.socket | None) -> None:
        self._line = line

    def tell(self, text: str) -> None:
        """Report progress; a starter that is gone does not hear it. In the foreground, everybody does."""
        if self._line is None:
            sys.stderr.write(f"localcloud: {text}\n")
            return
        with contextlib.suppress(OSError):
            self._line.sendall(text.encode() + b"\n")

    def released(self) -> bool:
        """Wait for the starter's leave to stay; False when it ended instead."""
        if self._line is None:
            return True
        with self._line:
            try:
                return self._line.recv(1) == b"."
            except OSError:
                return False


def _be_the_server(home: Home, serve: Callable[[], None], supervisor: int) -> NoReturn:
    status = 1
    try:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        for number in _ENDING:
            signal.signal(number, _end_once)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        if os.getppid() == supervisor:
            serve()
        status = 0
    except KeyboardInterrupt:
        status = 0
    except BaseException:
        traceback.print_exc()
    if os.getppid() != supervisor:
        end_descendants()
        home.remove()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _end_once(*_: object) -> None:
    """End the server in order; a second signal does not interrupt what the first one began."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _exit_status(child: int) -> int:
    """Wait for the child, reaping whatever else comes to this process meanwhile."""
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status)


def _prctl(option: int, value: int) -> None:
    """Ask Linux; elsewhere the server's own shutdown has to do."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
