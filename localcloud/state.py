"""Where a cloud lives, and whether it does: <tmp>/localcloud-<uid>/<name>/ with its state.json."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import stat
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from localcloud.processes import end_strays, process_start

DEFAULT_NAME = "default"
_STATE = "state.json"
_TRIES = 5
_UNBORN_SECONDS = 5.0  # between a directory's making and its first state lie milliseconds


class NotOurs(Exception):
    """The place where clouds live belongs to somebody else."""


class Taken(Exception):
    """A cloud of this name is running, or starting."""


@dataclass(frozen=True)
class State:
    """What others need to know of a cloud: `pid` supervises it, `port` is 0 until it answers."""

    name: str
    pid: int
    started: str
    region: str
    port: int = 0

    @property
    def alive(self) -> bool:
        """Whether the supervisor runs; a process that got the number later does not count."""
        return process_start(self.pid) == self.started


@dataclass(frozen=True)
class Home:
    """The directory of one cloud. Others may pass through it (0711), as its database runs as another user."""

    name: str

    def __post_init__(self) -> None:
        """ValueError for what is no name: it becomes a part of paths that are deleted."""
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", self.name):
            raise ValueError(f"name {self.name!r}: use 1 to 32 of a-z, 0-9 and -, not beginning with -")

    @property
    def directory(self) -> Path:
        """Where everything of the cloud lies."""
        return base_directory() / self.name

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.directory / "server.log"

    def claim(self) -> None:
        """Make the directory; Taken when another cloud of the name runs. What a killed one left goes."""
        for _ in range(_TRIES):
            _make_base()
            try:
                self.directory.mkdir(mode=0o711)
            except FileNotFoundError:
                continue  # the last cloud beside this one just ended, and took the place of all with it
            except FileExistsError:
                if self.running() is not None or self._unborn():
                    raise Taken(f"a local cloud named {self.name} is running or starting") from None
                end_strays(self.directory)
                self.remove()
            else:
                self.directory.chmod(0o711)  # whatever the umask says
                return
        raise Taken(f"somebody else starts a local cloud named {self.name}")

    def read(self) -> State | None:
        """Return what was written last; None when nothing was."""
        try:
            return State(**json.loads((self.directory / _STATE).read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, state: State) -> None:
        """Publish the state, in one piece."""
        draft = self.directory / f"{_STATE}.{os.getpid()}"
        draft.write_text(json.dumps(asdict(state)))
        draft.replace(self.directory / _STATE)

    def running(self) -> State | None:
        """Return the state of a cloud that is alive."""
        state = self.read()
        return state if state is not None and state.alive else None

    def remove(self) -> None:
        """Delete everything of the cloud, and the place of all clouds with the last one."""
        shutil.rmtree(self.directory, ignore_errors=True)
        with contextlib.suppress(OSError):  # other clouds live there
            base_directory().rmdir()

    def _unborn(self) -> bool:
        try:
            age = time.time() - self.directory.stat().st_mtime
        except FileNotFoundError:
            return False
        return self.read() is None and age < _UNBORN_SECONDS


def base_directory() -> Path:
    """Return where this user's clouds live."""
    return Path(tempfile.gettempdir()) / f"localcloud-{os.getuid()}"


def _make_base() -> None:
    """Make the place of all clouds; NotOurs when another user was there first, as /tmp is everybody's."""
    base = base_directory()
    try:
        base.mkdir(mode=0o711)
        base.chmod(0o711)
    except FileExistsError:
        found = base.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise NotOurs(f"{base} belongs to another user; set TMPDIR to a directory of yours") from None
