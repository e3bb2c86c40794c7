"""One session on the writer: what is applied, and the way to the lock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pymysql

from apply_schema.history import Applied, Progress
from apply_schema.limits import Limits
from aurora.mysql_migrations.history import READ

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from pymysql.connections import Connection

    from apply_schema.database import LockedDatabase, Script

__all__ = ["Limits", "MysqlMigrations"]

_NOTHING_THERE = {1049, 1146}  # no such schema, no such table


class MysqlMigrations:
    """A MigrationDatabase on a connection to the writer, which it owns from now on."""

    def __init__(self, connection: Connection[Any], limits: Limits) -> None:
        self._connection = connection
        self._limits = limits

    def read_script(self, text: str) -> Script:
        """Cut a file as the mysql client and the server do."""
        from aurora.mysql_migrations.script import read_script

        return read_script(text)

    def history(self) -> list[Applied]:
        """Return what is applied, then what was begun: one query."""
        with self._connection.cursor() as cursor:
            try:
                cursor.execute(READ)
            except pymysql.Error as error:
                if error.args and error.args[0] in _NOTHING_THERE:
                    return []
                from aurora.mysql_migrations.errors import failure

                raise failure("migrations.history", error) from error
            return [_applied(row) for row in cursor.fetchall()]

    def locked(self, waiting: Callable[[str], None]) -> AbstractContextManager[LockedDatabase]:
        """Hold the migrator's lock and have a history to write to."""
        from aurora.mysql_migrations.locked import locked

        return locked(self._connection, self._limits, waiting)

    def close(self) -> None:
        """End the session."""
        if self._connection.open:
            self._connection.close()


def _applied(row: tuple[Any, ...]) -> Applied:
    name, version, checksum, kind, at, by, seconds, statements, *progress = row
    if isinstance(at, datetime) and at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    if statements is None:
        return Applied(name, version, checksum, kind, at, by, seconds)
    done, sent, failed_at, said, running, _ = progress
    standing = Progress(statements, done, sent, failed_at, said or "", bool(running))
    return Applied(name, version, checksum, kind, at, by, seconds, standing)
