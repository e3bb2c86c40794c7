"""One session on the writer: what is applied, and the way to the lock."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import psycopg2

from apply_schema.history import Applied
from aurora.postgresql_migrations.history import READ

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from psycopg2 import extensions

    from apply_schema.database import LockedDatabase, Script
    from aurora.deadline import Deadline

_UNDEFINED_TABLE = "42P01"


class Limits(NamedTuple):
    """How long this run waits, and for what. 0 for `statement_timeout_seconds` is for ever."""

    wait_for_lock_seconds: float = 60.0
    """For another migrator to finish."""
    lock_timeout_seconds: float = 10.0
    """For a table that a statement needs: longer, and the queue behind it stops the application."""
    statement_timeout_seconds: float = 0.0
    deadline: Deadline | None = None
    """After which nothing begins; a statement that reaches it is cancelled."""

    def remaining_seconds(self) -> float:
        """Return the seconds until the deadline."""
        return self.deadline.remaining_seconds() if self.deadline else math.inf


class PostgresqlMigrations:
    """A MigrationDatabase on one connection to the writer, which it owns from now on."""

    def __init__(self, connection: extensions.connection, limits: Limits) -> None:
        self._connection = connection
        self._limits = limits
        connection.autocommit = True  # BEGIN and COMMIT travel with statements, a round trip less each
        connection.set_client_encoding("UTF8")  # no query where it is so already

    def read_script(self, text: str) -> Script:
        """Cut a file as psql does."""
        from apply_schema.sql_script import read_script

        return read_script(text)

    def history(self) -> list[Applied]:
        """Return what is applied: one query."""
        with self._connection.cursor() as cursor:
            try:
                cursor.execute(READ)
            except psycopg2.Error as error:
                if error.pgcode == _UNDEFINED_TABLE:
                    return []
                from aurora.postgresql_migrations.session import Session

                raise Session(self._connection, self._limits).failure("migrations.history", error) from error
            return [Applied(*row) for row in cursor.fetchall()]

    def locked(self, waiting: Callable[[str], None]) -> AbstractContextManager[LockedDatabase]:
        """Hold the migrator's lock and have a history to write to."""
        from aurora.postgresql_migrations.locked import locked

        return locked(self._connection, self._limits, waiting)

    def close(self) -> None:
        """End the session."""
        self._connection.close()
