"""How a run can end early, other than by being refused."""

from __future__ import annotations


class DatabaseUnknown(Exception):
    """No database is named, or not in a way that can be understood."""


class RehearsalRefused(Exception):
    """This engine cannot roll back what a rehearsal would run."""


class MigrationFailed(Exception):
    """A run that did not reach its end. What it says was applied stands; the next run goes on from there."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.applied: tuple[str, ...] = ()
        """The files of this run that are known to stand."""
        self.pending: tuple[str, ...] = ()
        """The files that this run set out to apply, those included."""
        self.remarks: list[str] = []

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *self.remarks])


class StatementFailed(MigrationFailed):
    """The database refused a statement; file, line, column and the statement stand in the message."""


class InDoubt(MigrationFailed):
    """Whether a statement of an earlier run was done is known to nobody; the message says what to do."""


class LockHeld(MigrationFailed):
    """Another session kept the migrator's lock for longer than this run would wait; it is named."""


class OutOfTime(MigrationFailed):
    """The deadline came near. What was applied stands, the rest waits for the next run."""


class ConnectionLost(MigrationFailed):
    """The connection broke. What was in flight is rolled back, or found applied by the next run."""
