"""PostgreSQL's major upgrade, by pg_upgrade: checked while the former serves, done on a copy of its data.

The former data stay as they are until the caller removes them, so that a failure costs nothing but the time.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from localcloud.aurora.postgresql_configuration import SUPERUSER
from localcloud.aurora.postgresql_programs import ProgramFailed, Programs
from localcloud.aurora.postgresql_server import PostgresqlServer
from localcloud.aurora.server_place import create_directory

_log = logging.getLogger(__name__)
_TIMEOUT_SECONDS = 1800.0
_SHUTDOWN_SECONDS = 600.0
_FINDINGS = "pg_upgrade_output.d/*/*.txt"
_LONGEST_REASON = 1000
_NAMES_A_FILE = re.compile(r"^/|in the file:$")
_LONGEST_SOCKET_NAME = ".s.PGSQL.65535.lock"
_CARRIES_SLOTS = 17
"""The first version whose logical slots pg_upgrade takes along; it silently leaves those of older ones."""


def upgrade(
    former: PostgresqlServer,
    directory: Path,
    *,
    major: int,
    settings: Mapping[str, str],
    take_down: Callable[[], None],
) -> PostgresqlServer:
    """A running writer of this major version, with the former one's data, roles, passwords and rights.

    `take_down` is called when everything has been checked: from then on nothing may be written any more.
    Raises ProgramFailed; the former server then may have stopped, and its data are whole.
    """
    create_directory(directory, longest_socket_name=_LONGEST_SOCKET_NAME)
    try:
        programs = Programs.find(major).reachable_in(directory)
        _refuse_slots(former)
        _initialize(former, directory, programs)
        _pg_upgrade(former, directory, programs, "--check")
        take_down()
        former.stop("fast", timeout_seconds=_SHUTDOWN_SECONDS)  # pg_upgrade takes no data of a killed one
        _pg_upgrade(former, directory, programs, "--copy", "--no-sync")
        server = PostgresqlServer(directory, programs, {**former.durability, **settings})
        server.start()
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    return server


def _refuse_slots(former: PostgresqlServer) -> None:
    """As Aurora does: who reads from a slot would miss, without a word, what was written meanwhile."""
    if former.programs.major >= _CARRIES_SLOTS:
        return
    slots = former.execute("SELECT slot_name FROM pg_replication_slots WHERE slot_type = 'logical'")
    if slots:
        raise ProgramFailed(
            "The instance could not be upgraded because one or more databases have logical replication slots."
            f" Please drop all logical replication slots and try again: {', '.join(slots.split())}"
        )


def _initialize(former: PostgresqlServer, directory: Path, programs: Programs) -> None:
    """Empty data of the new version; locale and encoding pg_upgrade takes from the former ones."""
    programs.run(
        "initdb",
        f"--pgdata={directory / 'data'}",
        f"--username={SUPERUSER}",
        *_checksums(former, programs),
        "--auth=trust",  # replaced by our own rules before its clients come
        "--no-sync",
        "--no-instructions",
    )


def _checksums(former: PostgresqlServer, programs: Programs) -> list[str]:
    """pg_upgrade copies pages as they are, so both versions have to agree on checksums."""
    described = former.programs.run("pg_controldata", former.directory / "data")
    version = next(line.split()[-1] for line in described.splitlines() if "checksum version" in line)
    if version != "0":
        return ["--data-checksums"]
    return ["--no-data-checksums"] if programs.major >= 18 else []  # on by default since 18


def _pg_upgrade(former: PostgresqlServer, directory: Path, programs: Programs, *mode: str) -> None:
    try:
        programs.run(
            "pg_upgrade",
            f"--old-datadir={former.directory / 'data'}",
            f"--old-bindir={former.programs.directory}",
            f"--new-datadir={directory / 'data'}",
            f"--new-bindir={programs.directory}",
            f"--socketdir={directory}",
            f"--username={SUPERUSER}",
            *mode,
            timeout_seconds=_TIMEOUT_SECONDS,
            directory=directory,
        )
    except ProgramFailed as error:
        _log.warning("%s", error)
        raise ProgramFailed(
            f"PostgreSQL {former.programs.major} was not upgraded to {programs.major}:"
            f" {_reason(str(error), directory / 'data')}"
        ) from error


def _reason(said: str, data: Path) -> str:
    """What pg_upgrade says of the check that failed, with what it found: its files go with its directory."""
    lines = [line.strip() for line in said.splitlines()]
    checks = [number for number, line in enumerate(lines) if line.startswith("Checking ")]
    told = [one for one in (lines[checks[-1] + 1 :] if checks else lines) if not _NAMES_A_FILE.search(one)]
    found = [file.read_text(errors="replace") for file in sorted(data.glob(_FINDINGS))]
    words = " ".join([*told, *found]).replace("Failure, exiting", "").split()
    return " ".join(words)[:_LONGEST_REASON]
