"""Processes of this machine: whether they are still the same, and their end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

_GONE_WITHIN_SECONDS = 10.0
_STATE, _PARENT, _TERMINAL, _START = 0, 1, 4, 19  # proc(5), counted from behind the command's name


def process_start(pid: int) -> str | None:
    """Return when a process started, in the system's own words; None when there is no such process."""
    try:
        fields = _fields(pid)
    except OSError:
        return _start_by_ps(pid)
    return None if fields[_STATE] == "Z" else fields[_START]


def _fields(pid: int) -> list[str]:
    """Return what Linux says of a process, from behind its command's name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _start_by_ps(pid: int) -> str | None:
    """Ask ps where there is no /proc."""
    if Path("/proc/self/stat").exists():
        return None
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None


def end_descendants() -> None:
    """Kill and reap every process below this one."""
    deadline = time.monotonic() + _GONE_WITHIN_SECONDS
    while (below := descendants(os.getpid())) and time.monotonic() < deadline:
        for pid in below:
            send(pid, signal.SIGKILL)
        _reap()
        time.sleep(0.01)


def end_strays(directory: Path) -> list[int]:
    """Kill what still works in the directory of a cloud that was killed together with its supervisor.

    A process with a terminal is a person looking around there: it is left alone.
    """
    killed = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            working = Path(os.readlink(process / "cwd").removesuffix(" (deleted)"))
            if working.is_relative_to(directory) and _fields(int(process.name))[_TERMINAL] == "0":
                os.kill(int(process.name), signal.SIGKILL)
                killed.append(int(process.name))
    return killed


def descendants(pid: int) -> set[int]:
    """Return every process below one."""
    children: dict[int, list[int]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            children.setdefault(int(_fields(int(process.name))[_PARENT]), []).append(int(process.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found.add(child)
            waiting.append(child)
    return found


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def send(pid: int, number: int) -> None:
    """Send a signal; a process that is gone does not mind."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def command(pid: int) -> str:
    """Return a process's command line, as far as it can be read."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""
