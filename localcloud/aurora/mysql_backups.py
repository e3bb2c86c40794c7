"""MySQL's continuous backup: the binary logs of one writer after the other, replayed up to a transaction."""

from __future__ import annotations

import mmap
import os
import shutil
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from localcloud.aurora.continuous_backup import Recovered
from localcloud.aurora.database_server import CATCH_UP_SECONDS, DatabaseServer
from localcloud.aurora.mysql_pristine import make_pristine
from localcloud.aurora.mysql_programs import MysqlPrograms
from localcloud.aurora.mysql_server import BINARY_LOG, RELAY_LOG, MysqlServer
from localcloud.aurora.server_place import give_away

# libs/mysql/binlog/event/binlog_event.h and control_events.h of MySQL's sources
_MAGIC_BYTES = 4
_HEADER = struct.Struct("<IBIIIH")  # timestamp, type, server, size, position, flags
_GTID = struct.Struct("<B16sqBqq7s7s")  # flags, uuid, number, clock, its two values, commit times
_GTID_EVENT = 33
_HAS_ORIGINAL_TIME = 1 << 55
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Transaction:
    """Where a transaction begins in a binary log, and which it is."""

    position: int
    gtid: str
    committed: datetime
    """On the writer that executed it first."""


class MysqlLog:
    """The archive has the logs of former writers, the writer its own; what both have is replayed once."""

    def keep(self, former: DatabaseServer, archive: Path) -> None:
        """They move, behind those of the writers before."""
        number = 1 + max((int(file.name.partition(".")[0]) for file in archive.iterdir()), default=0)
        for file in _logs_in(former.directory / "data"):
            file.rename(archive / f"{number:06}.{file.name}")

    def link(self, writer: DatabaseServer, archive: Path, target: Path) -> None:
        """The log under way ends here; the writer goes on in a new one. Raises ProgramFailed."""
        server = _of(writer)
        server.end_binary_log()
        for file in archive.iterdir():
            os.link(file, target / file.name)
        for file in _logs_in(server.directory / "data")[:-1]:
            os.link(file, target / f"last.{file.name}")

    def size_bytes(self, writer: DatabaseServer, archive: Path) -> int:
        """Of former writers, and of this one."""
        files = (*archive.iterdir(), *_logs_in(writer.directory / "data"))
        return sum(file.stat().st_size for file in files)

    def begin_anew(
        self, writer: DatabaseServer, readers: Sequence[DatabaseServer], data: Path, archive: Path
    ) -> None:
        """A log that a reader still needs stays for now."""
        servers = [_of(server) for server in (writer, *readers)]
        for server in servers:
            server.end_binary_log()
        first = [_logs_in(server.directory / "data")[-1].name for server in servers]
        writer.back_up(data)
        for file in archive.iterdir():
            file.unlink()
        if all(reader.catch_up(writer, timeout_seconds=CATCH_UP_SECONDS) for reader in readers):
            for server, name in zip(servers, first, strict=True):
                server.purge_binary_logs(name)

    def replay(
        self, base: Path | None, log: Path, until: datetime, directory: Path, recovered: Recovered
    ) -> DatabaseServer:
        """Without a base MySQL's own empty data, in which rdsadmin is still called root."""
        data = base or make_pristine(MysqlPrograms.find())
        return MysqlServer.replay(
            data,
            directory,
            lambda target: _lay_down(sorted(log.iterdir()), until, target),
            is_pristine=base is None,
            parameters=recovered.parameters,
        )


def transactions(log: Path) -> Iterator[Transaction]:
    """The transactions of a binary log, in the order of their commits."""
    with log.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = _MAGIC_BYTES
        while at + _HEADER.size <= len(content):
            _, kind, _, size, _, _ = _HEADER.unpack_from(content, at)
            if kind == _GTID_EVENT:
                yield _transaction(content, at)
            at += size


def _transaction(content: mmap.mmap, at: int) -> Transaction:
    _, uuid, number, _, _, _, here, original = _GTID.unpack_from(content, at + _HEADER.size)
    microseconds = int.from_bytes(here, "little")
    if microseconds & _HAS_ORIGINAL_TIME:
        microseconds = int.from_bytes(original, "little")
    return Transaction(at, f"{UUID(bytes=uuid)}:{number}", _EPOCH + timedelta(microseconds=microseconds))


def _lay_down(logs: Sequence[Path], until: datetime, data: Path) -> str | None:
    """The logs are a server's relay logs, without what was committed after a moment; the last transaction."""
    last: str | None = None
    names: list[str] = []
    for log in logs:
        end = None
        for transaction in transactions(log):
            if transaction.committed > until:
                end = transaction.position
                break
            last = transaction.gtid
        names.append(f"{RELAY_LOG}.{len(names) + 1:06}")
        _copy(log, data / names[-1], end)
        if end is not None:
            break
    index = data / f"{RELAY_LOG}.index"
    index.write_text("".join(f"./{name}\n" for name in names))
    give_away(index)
    return last


def _copy(log: Path, target: Path, end: int | None) -> None:
    shutil.copyfile(log, target)
    if end is not None:
        os.truncate(target, end)
    give_away(target)


def _logs_in(data: Path) -> list[Path]:
    """A server's binary logs, the oldest first."""
    return sorted(file for file in data.glob(f"{BINARY_LOG}.*") if file.suffix != ".index")


def _of(server: DatabaseServer) -> MysqlServer:
    if not isinstance(server, MysqlServer):
        raise TypeError(server)
    return server
