"""What Aurora's continuous backup is: a base, the log since then, and clusters as of a moment between."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from localcloud.aurora.database_server import DatabaseServer
from localcloud.aurora.postgresql_programs import ProgramFailed
from localcloud.aurora.server_place import archive_of, copy_data, create_directory

LOG_LIMIT_BYTES = 1 << 30
"""A longer log gives way to a new base: the earliest restorable time moves on, and the disk does not fill."""


class Log(Protocol):
    """How an engine's log is kept beside its writers, and replayed."""

    def keep(self, former: DatabaseServer, archive: Path) -> None:
        """What only this stopped writer still has of the log is in the archive: its directory may go."""

    def link(self, writer: DatabaseServer, archive: Path, target: Path) -> None:
        """The log up to this moment is in another directory too, where nothing changes any more."""

    def size_bytes(self, writer: DatabaseServer, archive: Path) -> int:
        """What the log takes."""

    def begin_anew(
        self, writer: DatabaseServer, readers: Sequence[DatabaseServer], data: Path, archive: Path
    ) -> None:
        """The writer's data of this moment are in `data`, and the log before it is gone."""

    def replay(
        self, base: Path | None, log: Path, until: datetime, directory: Path, recovered: Recovered
    ) -> DatabaseServer:
        """A new running writer with all that was committed up to and at a moment, and nothing later.

        Without a base it begins as every new cluster's data do. Raises ProgramFailed.
        """


@dataclass(frozen=True)
class Recovered:
    """What a server is to be that replays a log."""

    release: str
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class Moments:
    """A base and the log up to some moment, in a directory of their own, whatever becomes of the cluster."""

    directory: Path
    log: Log

    def begin(self, until: datetime, directory: Path, recovered: Recovered) -> DatabaseServer:
        """A new cluster's first server, with the data of a moment; raises ProgramFailed."""
        base = self.base if self.base.is_dir() else None
        return self.log.replay(base, self.directory / "log", until, directory, recovered)

    @property
    def base(self) -> Path:
        """The data where the log begins; not there where it begins with the cluster."""
        return self.directory / "data"

    def remove(self) -> None:
        """Nothing is left of it."""
        shutil.rmtree(self.directory, ignore_errors=True)


class ContinuousBackup:
    """The continuous backup of one cluster, in the cluster's directory. Used by one thread at a time."""

    def __init__(self, directory: Path, log: Log) -> None:
        """`directory` is the cluster's, where its servers have theirs."""
        self._directory = directory
        self._archive, self._base = archive_of(directory / "server"), directory / "base"
        self._log = log
        self._numbers = itertools.count(1)
        self._is_broken = False
        self.earliest = datetime.now(UTC)
        """From here on a moment can be restored."""
        for made in (self._archive, self._base):
            create_directory(made, longest_socket_name="")

    def begin(self) -> None:
        """The cluster is there, and its log has been from its very beginning."""
        self.earliest = datetime.now(UTC)

    def begin_anew(self, writer: DatabaseServer, readers: Sequence[DatabaseServer] = ()) -> None:
        """The base is of this moment, and what the log had before it is gone; raises ProgramFailed."""
        data, former = self._base / "new", self._base / "data"
        self._is_broken = True
        try:
            self._log.begin_anew(writer, readers, data, self._archive)
            shutil.rmtree(former, ignore_errors=True)
            data.rename(former)
        finally:
            shutil.rmtree(data, ignore_errors=True)
        self._is_broken = False
        self.begin()

    def keep_log_of(self, former: DatabaseServer) -> None:
        """The directory of this stopped writer may go."""
        self._log.keep(former, self._archive)

    def is_due(self, writer: DatabaseServer) -> bool:
        """Whether a new base is: the log has become too long, or the last new base failed."""
        return self._is_broken or self._log.size_bytes(writer, self._archive) > LOG_LIMIT_BYTES

    def link(self, writer: DatabaseServer) -> Moments:
        """All that it takes to restore any moment from the earliest one up to now; raises ProgramFailed."""
        if self._is_broken:
            raise ProgramFailed("the continuous backup is being begun anew; try again in a few seconds")
        moments = Moments(self._directory / f"restoring-{next(self._numbers)}", self._log)
        create_directory(moments.directory, longest_socket_name="")
        try:
            create_directory(moments.directory / "log", longest_socket_name="")
            self._log.link(writer, self._archive, moments.directory / "log")
            if (self._base / "data").is_dir():
                copy_data(self._base / "data", moments.base, copy=os.link)
        except BaseException:
            moments.remove()
            raise
        return moments
