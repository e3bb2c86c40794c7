"""One session on the writer: what is applied, and the way to the lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg2

from apply_schema.history import Applied
from apply_schema.limits import Limits
from aurora.postgresql_migrations.history import READ

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from psycopg2 import extensions

    from apply_schema.database import LockedDatabase, Script

__all__ = ["Limits", "PostgresqlMigrations"]

_UNDEFINED_TABLE = "42P01"


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
