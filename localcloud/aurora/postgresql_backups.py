"""PostgreSQL's continuous backup: segments of the write-ahead log, archived as they fill, and replayed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from localcloud.aurora.continuous_backup import Recovered
from localcloud.aurora.database_server import DatabaseServer
from localcloud.aurora.postgresql_programs import ProgramFailed
from localcloud.aurora.postgresql_server import FIRST_DATA, PostgresqlServer
from localcloud.aurora.server_place import give_away, unpack_data

_ARCHIVED_WITHIN_SECONDS = 120.0
_START_OF_BACKUP = re.compile(r"^START WAL LOCATION: .* \(file ([0-9A-F]{24})\)$", re.MULTILINE)
_LINK_ATTEMPTS = 10
_TIMELINE = 8
"""Digits of a segment's name that say of which timeline it is; those behind them are its place in the log."""


class PostgresqlLog:
    """The archive has every segment that is full, also those that a dead writer had not archived."""

    def keep(self, former: DatabaseServer, archive: Path) -> None:
        """Also those that the archiver, which tries again after a minute only, would archive later."""
        segments = former.directory / "data" / "pg_wal"
        for ready in (segments / "archive_status").glob("*.ready"):
            _archive(segments / ready.stem, archive, ready)

    def link(self, writer: DatabaseServer, archive: Path, target: Path) -> None:
        """The segment under way ends here; the log goes on in a new one. Raises ProgramFailed."""
        server = _of(writer)
        last = server.end_segment()
        deadline = time.monotonic() + _ARCHIVED_WITHIN_SECONDS
        self.keep(server, archive)
        while not (archive / last).exists():
            if time.monotonic() > deadline:
                raise ProgramFailed(f"PostgreSQL in {server.directory} did not archive {last} in time")
            time.sleep(0.01)
            self.keep(server, archive)
        for file in archive.iterdir():
            if not file.name.startswith("."):
                _link(file, target / file.name)

    def size_bytes(self, writer: DatabaseServer, archive: Path) -> int:
        """What the writer has not archived yet is little, and its own affair."""
        return sum(entry.stat().st_size for entry in os.scandir(archive) if not entry.name.startswith("."))

    def begin_anew(
        self, writer: DatabaseServer, readers: Sequence[DatabaseServer], data: Path, archive: Path
    ) -> None:
        """Of timelines that are not in the base's past nothing is left: after an upgrade they begin anew."""
        writer.back_up(data)
        found = _START_OF_BACKUP.search((data / "backup_label").read_text())
        if found is None:
            raise ProgramFailed(f"{data / 'backup_label'} does not say where the log begins")
        first = found[1]
        (archive / FIRST_DATA).unlink(missing_ok=True)
        for file in archive.iterdir():
            if file.name.startswith("."):
                continue
            is_history = file.suffix == ".history"
            if (is_history and file.stem > first[:_TIMELINE]) or (
                not is_history and file.name[_TIMELINE:] < first[_TIMELINE:]
            ):
                file.unlink(missing_ok=True)

    def replay(
        self, base: Path | None, log: Path, until: datetime, directory: Path, recovered: Recovered
    ) -> DatabaseServer:
        """Follows the log through failovers, along the latest timeline."""
        if base is None:
            base = log.with_name("first-data")
            unpack_data(log / FIRST_DATA, base)
        recovery = {
            "restore_command": f"cp {shlex.quote(str(log)).replace('%', '%%')}/%f %p",
            "recovery_target_time": until.isoformat(" "),
            "recovery_target_timeline": "latest",
            "recovery_target_action": "promote",
            "hot_standby": "off",  # else it would wait for ever where the writer had room for more sessions
        }
        return PostgresqlServer.restore(
            base,
            directory,
            major=int(recovered.release),
            parameters=recovered.parameters,
            recovery=recovery,
        )


def _archive(segment: Path, archive: Path, ready: Path) -> None:
    """A segment is in the archive, unless the server's own archiver has put it there meanwhile.

    From then on the server removes it or fills it anew, so that what was copied is no segment any more.
    """
    partial = archive / f".kept.{segment.name}"
    with suppress(FileNotFoundError):
        shutil.copy2(segment, partial)
        give_away(partial)
        if ready.exists():
            partial.rename(archive / segment.name)
    partial.unlink(missing_ok=True)


def _link(segment: Path, target: Path) -> None:
    """Again where the archiver puts the same segment there at that moment: a replaced file takes no link."""
    for _ in range(_LINK_ATTEMPTS - 1):
        with suppress(FileNotFoundError):
            os.link(segment, target)
            return
    os.link(segment, target)


def _of(server: DatabaseServer) -> PostgresqlServer:
    if not isinstance(server, PostgresqlServer):
        raise TypeError(server)
    return server
