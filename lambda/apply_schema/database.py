"""What the migrator asks of a database, whatever its engine; aurora/<engine>_migrations.py answers it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from apply_schema.history import Applied
from apply_schema.migration_files import Migration


class ScriptRefused(Exception):
    """What a script may not hold; `line` tells where."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


class Statement(NamedTuple):
    """One statement without its semicolon, and where it begins: line and column count from 1."""

    text: str
    line: int
    column: int
    copy_data: str | None = None
    """The lines that follow a COPY … FROM STDIN, as pg_dump writes them."""

    def place_of(self, position: int) -> tuple[int, int]:
        """Return line and column in the file of a position in the statement, counted in characters from 1."""
        before = self.text[: position - 1]
        line_breaks = before.count("\n")
        if line_breaks:
            return self.line + line_breaks, len(before) - before.rindex("\n")
        return self.line, self.column + len(before)


class Script(NamedTuple):
    """The statements in their order, and whether they run in one transaction."""

    statements: tuple[Statement, ...]
    transactional: bool


class DatabaseUnknown(Exception):
    """No database is named, or not in a way that can be understood."""


class MigrationFailed(Exception):
    """A run that did not reach its end. What it says was applied stands; the next run goes on from there."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.applied: tuple[str, ...] = ()
        self.remarks: list[str] = []

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *self.remarks])


class StatementFailed(MigrationFailed):
    """The database refused a statement; file, line, column and the statement stand in the message."""


class LockHeld(MigrationFailed):
    """Another session kept the migrator's lock for longer than this run would wait; it is named."""


class OutOfTime(MigrationFailed):
    """The deadline came near. What was applied stands, the rest waits for the next run."""


class ConnectionLost(MigrationFailed):
    """The connection broke. What was in flight is rolled back, or found applied by the next run."""


class MigrationDatabase(Protocol):
    """One session with one database, on the writer and past any proxy: locks live in it."""

    def read_script(self, text: str) -> Script:
        """Cut a file into statements as this engine's own client does, or raise ScriptRefused."""

    def history(self) -> list[Applied]:
        """Return what is applied, the oldest first: a constant number of queries, without a lock."""

    def locked(self, waiting: Callable[[str], None]) -> AbstractContextManager[None]:
        """Hold the migrator's lock, or raise LockHeld; `waiting` is told who holds it as a wait begins."""

    def apply(self, migration: Migration, script: Script) -> float:
        """Run one file and record it, both or neither; return the seconds that it took.

        Nothing that the file does to the session outlives it.
        """

    def record(self, kind: str, migrations: Sequence[Migration]) -> None:
        """Add rows to the history without running anything, all or none."""

    def correct(self, edited: Sequence[Migration], removed: Sequence[Applied]) -> None:
        """Give edited files their new checksums and forget removed ones, all or none."""

    def close(self) -> None:
        """End the session, and with it the lock."""
