"""MySQL's part of the migrator: statement by statement, with a journal, since DDL commits by itself.

Two connections work: one runs the files and holds a lock for as long as the server executes for it, the other
keeps the journal and the lock of the whole run. Reading the history needs one of them and `database` alone;
what changes something is loaded when the lock is asked for (docs/adr/0026, 0062).
"""

from aurora.mysql_migrations.database import Limits, MysqlMigrations

__all__ = ["Limits", "MysqlMigrations"]
