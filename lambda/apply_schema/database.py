"""What the migrator asks of a database, whatever its engine; aurora/<engine>_migrations answers it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
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
    """The lines that follow a COPY … FROM STDIN, as pg_dump writes them; only on PostgreSQL."""

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
    remark: str = ""
    """What sets this file apart from others of its engine."""


class Planned(NamedTuple):
    """A pending file and its statements."""

    migration: Migration
    script: Script


class MigrationDatabase(Protocol):
    """One session with one database, on the writer and past any proxy: locks live in it."""

    def read_script(self, text: str) -> Script:
        """Cut a file into statements as this engine's own client does, or raise ScriptRefused."""

    def history(self) -> list[Applied]:
        """Return what is applied, the oldest first, and last what was begun: one query, without a lock."""

    def locked(self, waiting: Callable[[str], None]) -> AbstractContextManager[LockedDatabase]:
        """Hold the migrator's lock, or raise LockHeld; `waiting` is told who holds it as a wait begins."""

    def close(self) -> None:
        """End the session, and with it the lock."""


class LockedDatabase(Protocol):
    """The same session while it holds the lock: only through this can anything be changed."""

    def apply(self, planned: Sequence[Planned]) -> Iterator[float]:
        """Run each file and record it, and yield the seconds that it took.

        Where DDL can be rolled back, a file is applied and recorded, both or neither. Where it cannot, a
        journal tells how far a file came, and it goes on from there; HistoryRefused is raised before any file
        runs if one of them cannot. Nothing that a file does to the session outlives it. What fails is raised
        in its place: all files yielded before it stand.
        """

    def rehearse(self, planned: Sequence[Planned]) -> None:
        """Run the files in one transaction and roll all of it back; raise what an apply would raise.

        Raises RehearsalRefused on an engine whose DDL commits by itself.
        """

    def record(self, kind: str, migrations: Sequence[Migration]) -> None:
        """Add rows to the history without running anything, all or none."""

    def correct(self, edited: Sequence[Migration], removed: Sequence[Applied]) -> None:
        """Give edited files their new checksums and forget removed ones, all or none."""

    def settle(self, planned: Planned, done: int | None) -> None:
        """Have a file that was begun go on behind so many of its statements; None: it was never begun."""
