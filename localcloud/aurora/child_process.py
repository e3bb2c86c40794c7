"""Database servers as our direct children: they lose root's rights, and do not outlive us."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from localcloud.aurora.postgresql_programs import as_unprivileged

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None

# A child's death signal comes when the *thread* that started it ends, so all servers are started from one
# thread that lives as long as the process.
_launcher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="server-launcher")


def launch(command: Sequence[str], *, log: Path) -> subprocess.Popen[bytes]:
    """A running server that writes to `log`. On Linux it gets SIGQUIT when we end, however that is."""
    with log.open("ab") as output:
        start: functools.partial[subprocess.Popen[bytes]] = functools.partial(
            subprocess.Popen,
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,  # Ctrl-C is for us; we end the servers in order
            preexec_fn=_die_with_parent if _libc else None,
            **as_unprivileged(),
        )
        return _launcher.submit(start).result()


def kill_with_children(process: subprocess.Popen[bytes]) -> None:
    """The server and the processes that it started are ended by SIGKILL."""
    children = _children_of(process.pid)
    process.kill()
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    process.wait()


def _die_with_parent() -> None:
    """In the child, after its rights were dropped (that would clear the death signal again)."""
    if _libc:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def _children_of(pid: int) -> list[int]:
    """Process ids of a process's children; empty where /proc does not tell (they then end by themselves)."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
