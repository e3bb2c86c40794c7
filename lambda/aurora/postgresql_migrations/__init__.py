"""PostgreSQL's part of the migrator: one transaction per file, a clean session for each, the history.

One connection does everything, the lock included. Reading the history needs `database` alone. What changes
something is loaded when the lock is asked for, since most runs have nothing to change (docs/adr/0026).
"""

from aurora.postgresql_migrations.database import Limits, PostgresqlMigrations

__all__ = ["Limits", "PostgresqlMigrations"]
