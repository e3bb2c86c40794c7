"""MySQL's own programs: of this machine where it has them, else of the cache that mysql_packages fills."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from localcloud.aurora import mysql_packages
from localcloud.aurora.mysql_packages import NotAvailable, Tell
from localcloud.aurora.postgresql_programs import ProgramFailed, as_unprivileged

SERVER_VARIABLE = "LOCALCLOUD_MYSQLD"
OLDEST = (8, 0)


@dataclass(frozen=True)
class MysqlPrograms:
    """How to run mysqld and mysql of one installation."""

    version: str
    mysqld: tuple[str, ...]
    """The command, with the loader before it where the system's own libraries do not fit."""
    mysql: tuple[str, ...]
    server_options: tuple[str, ...]
    """Where this installation keeps what mysqld looks for in fixed places."""
    plugin_directory: Path

    @classmethod
    def find(cls, tell: Tell = lambda _: None) -> MysqlPrograms:
        """Return LOCALCLOUD_MYSQLD, or a mysqld of PATH, else Debian's packages, fetched once.

        `tell` hears of what takes long. Raises ProgramFailed, saying how to get a MySQL server.
        """
        return _on_this_machine(os.environ.get(SERVER_VARIABLE), os.environ.get("PATH", "")) or _fetched(tell)

    @classmethod
    def here(cls) -> MysqlPrograms | None:
        """Return what `find` would, unless it had to fetch that."""
        found = _on_this_machine(os.environ.get(SERVER_VARIABLE), os.environ.get("PATH", ""))
        root = mysql_packages.unpacked_before()
        return found or (_of_packages(root) if root else None)

    def run(self, command: Sequence[str], *, timeout_seconds: float = 60) -> str:
        """Return what a program wrote; ProgramFailed with its own words when it failed or took too long."""
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                cwd="/",
                stdin=subprocess.DEVNULL,
                timeout=timeout_seconds,
                check=False,
                **as_unprivileged(),
            )
        except subprocess.TimeoutExpired as error:
            raise ProgramFailed(f"{command[0]} did not end within {timeout_seconds:g} s") from error
        except OSError as error:
            raise ProgramFailed(f"{command[0]} cannot be run: {error.strerror}") from error
        if done.returncode:
            raise ProgramFailed(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-1500:]}")
        return done.stdout


def _fetched(tell: Tell) -> MysqlPrograms:
    try:
        root = mysql_packages.unpacked(tell)
    except NotAvailable as error:
        raise ProgramFailed(
            f"there is no MySQL server of version {_text(OLDEST)} or newer here, and none can be fetched:"
            f" {error}. Install one so that mysqld is on PATH, or set {SERVER_VARIABLE} to it."
        ) from error
    return _of_packages(root)


@functools.cache
def _on_this_machine(chosen: str | None, search_path: str) -> MysqlPrograms | None:
    """Return what `chosen` or PATH names; MariaDB is not MySQL."""
    mysqld = chosen or shutil.which("mysqld", path=search_path)
    if not mysqld:
        return None
    version = _version((mysqld,))
    if version is None or tuple(map(int, version.split(".")[:2])) < OLDEST:
        if chosen:
            raise ProgramFailed(f"{SERVER_VARIABLE}={chosen}: not MySQL {_text(OLDEST)} or newer")
        return None
    mysql = shutil.which("mysql", path=f"{Path(mysqld).parent}:{search_path}") or "mysql"
    plugins = re.search(r"^plugin-dir\s+(\S+)", _run_text((mysqld, "--verbose", "--help")), re.MULTILINE)
    return MysqlPrograms(version, (mysqld,), (mysql,), (), Path(plugins[1] if plugins else "/nowhere"))


@functools.cache
def _of_packages(root: Path) -> MysqlPrograms:
    usr = root / "usr"
    libraries = next((usr / "lib").glob("*-linux-gnu*"))
    loader = next(libraries.glob("ld-linux*"))
    private = usr / "lib" / "mysql" / "private"
    prefix = (str(loader), "--library-path", f"{libraries}:{private}")
    mysqld = (*prefix, str(usr / "sbin" / "mysqld"))
    version = _version(mysqld)
    if version is None:
        raise ProgramFailed(f"{usr / 'sbin' / 'mysqld'} does not run: remove {root} to have it fetched anew")
    share, plugins = usr / "share" / "mysql", usr / "lib" / "mysql" / "plugin"
    return MysqlPrograms(
        version,
        mysqld,
        (*prefix, str(usr / "bin" / "mysql")),
        (f"--lc-messages-dir={share}", f"--character-sets-dir={share / 'charsets'}"),
        plugins,
    )


def _version(mysqld: Sequence[str]) -> str | None:
    """Return 8.4.7 of a MySQL server, None for anything else."""
    text = _run_text((*mysqld, "--version"))
    found = re.search(r"Ver (\d+\.\d+\.\d+)", text)
    return found[1] if found and "MariaDB" not in text else None


def _run_text(command: Sequence[str]) -> str:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
