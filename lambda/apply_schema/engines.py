"""What each engine's own modules give the migrator, imported when it is wanted: a run needs one driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from apply_schema.database import MigrationDatabase, Script
    from apply_schema.limits import Limits
    from aurora.session import Session

ENGINES = ("postgresql", "mysql")


def script_reader(engine: str) -> Callable[[str], Script]:
    """Return what cuts files into statements as this engine's own client does."""
    if engine == "mysql":
        from aurora.mysql_migrations.script import read_script as read_mysql

        return read_mysql
    from apply_schema.sql_script import read_script

    return read_script


def migrations_over(session: Session, limits: Limits) -> MigrationDatabase:
    """Return the migrator's view of a session's database; the session is its own from now on."""
    if session.engine == "mysql":
        from aurora.mysql_migrations import MysqlMigrations

        return MysqlMigrations(session.connection, limits)
    from aurora.postgresql_migrations import PostgresqlMigrations

    return PostgresqlMigrations(session.connection, limits)
