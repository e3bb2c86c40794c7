"""Where a database server lives: its directory, its files' owner, its port."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

from localcloud.aurora.postgresql_programs import (
    ProgramFailed,
    as_unprivileged,
    can_enter,
    unprivileged_account,
)

_LONGEST_SOCKET_PATH_BYTES = 103  # sun_path: 104 bytes with its final NUL on macOS, 108 on Linux


def create_directory(directory: Path, *, longest_socket_name: str) -> None:
    """Make a directory that the servers' account alone may enter, fit for a Unix socket of this name."""
    length = len(os.fsencode(directory / longest_socket_name))
    if length > _LONGEST_SOCKET_PATH_BYTES:
        raise ProgramFailed(
            f"{directory}: too long for a Unix socket in it ({length} bytes, "
            f"at most {_LONGEST_SOCKET_PATH_BYTES}); use a directory with a shorter path"
        )
    directory.mkdir(parents=True, mode=0o700)
    give_away(directory)
    if not can_enter(directory):
        directory.rmdir()
        raise ProgramFailed(
            f"{directory}: database servers run as nobody where we are root, and nobody cannot enter there; "
            "make its parents passable (chmod o+x) or use another directory"
        )


def give_away(path: Path) -> None:
    """Let the account that servers run as own this file, where that is not ourselves."""
    account = unprivileged_account()
    if account:
        os.chown(path, account.pw_uid, account.pw_gid)


def archive_of(server: Path) -> Path:
    """Where the log of a cluster's servers is archived, which have their directories beside it."""
    return server.with_name("archive")


def pack_data(data: Path, packed: Path) -> None:
    """A data directory that no server runs in is in one file too: a tenth of a copy's time, of many files."""
    _tar("--create", f"--file={packed}", f"--directory={data}", ".")


def unpack_data(packed: Path, data: Path) -> None:
    """The data directory is here again, for the servers' account."""
    data.mkdir(mode=0o700)
    give_away(data)
    _tar("--extract", f"--file={packed}", f"--directory={data}")


def _tar(*arguments: str) -> None:
    done = subprocess.run(
        ["tar", *arguments], capture_output=True, text=True, check=False, **as_unprivileged()
    )
    if done.returncode:
        raise ProgramFailed(f"tar failed: {done.stderr.strip()[-1500:]}")


def copy_data(data: Path, target: Path, *, copy: Callable[[str, str], object] = shutil.copy2) -> None:
    """A data directory that no server runs in is here too, for the servers' account.

    With os.link as `copy` both have the same files, which takes no room: for what nobody will ever change.
    """
    shutil.copytree(data, target, symlinks=True, copy_function=copy)
    for root, directories, files in os.walk(target):
        for name in (".", *directories, *files):
            give_away(Path(root) / name)


def free_port() -> int:
    """A port nobody listens on, below the range from which the kernel serves outgoing connections."""
    while True:
        port = random.randrange(10_000, 32_000)  # noqa: S311 - any port will do
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
