"""Bringing a database up to date, the same from CloudFormation, from the command line and from a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from apply_schema.history import Comparison, State, compare
from apply_schema.migration_files import Migration, MigrationFiles, version_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from apply_schema.database import LockedDatabase, MigrationDatabase, Planned
    from aurora.deadline import Deadline

    Report = Callable[[str], None]
    """Takes a line about what happens, for a terminal or a log."""

RECONNECT_PAUSE_SECONDS = 1.0


class Outcome(NamedTuple):
    """What one run left behind: nothing is pending any more."""

    applied: tuple[str, ...]
    """The files that this run applied, in their order; where it lost a connection, all that it set out to."""
    is_ahead: bool
    schema_version: str
    """The highest version in the database, as its file's name writes it; empty where there is none."""

    @property
    def state(self) -> str:
        """`up-to-date`, `applied` or `database-ahead`."""
        if self.is_ahead:
            return "database-ahead"
        return "applied" if self.applied else "up-to-date"


def apply(
    database: MigrationDatabase, files: MigrationFiles, *, report: Report, allow_late: bool = False
) -> Outcome:
    """Apply what is pending, each file whole or not at all, and return when the database has all files.

    With nothing pending it takes one query and no lock. Raises HistoryRefused or FilesRefused before anything
    ran; a MigrationFailed after the files that the message counts.
    """
    comparison = compare(files, database.history(), allow_late=allow_late)
    comparison.refuse_problems()
    if not comparison.pending:
        return _outcome((), comparison)
    with database.locked(report) as locked:
        # another migrator may have been here while this one waited
        comparison = compare(files, database.history(), allow_late=allow_late)
        comparison.refuse_problems()
        applied = _apply_each(locked, read_pending(database, comparison.pending), report)
        return _outcome(applied, compare(files, database.history(), allow_late=allow_late))


def read_pending(database: MigrationDatabase, pending: Sequence[Migration]) -> list[Planned]:
    """Read all files before any runs: a malformed last one is refused while the database is as it was."""
    from apply_schema.planning import read_scripts

    return read_scripts(database.read_script, pending)


def apply_reconnecting(
    connect: Callable[[], MigrationDatabase], files: MigrationFiles, *, report: Report, deadline: Deadline
) -> Outcome:
    """Apply what is pending by the deadline, over as many connections as a failing-over database takes.

    A file whose commit was in doubt is found applied, or applied again from nothing: never half.
    """
    import time

    from apply_schema.failures import ConnectionLost

    pending: tuple[str, ...] = ()
    while True:
        database = connect()
        try:
            outcome = apply(database, files, report=report)
            return outcome._replace(applied=pending or outcome.applied)
        except ConnectionLost as lost:
            if deadline.remaining_seconds() < RECONNECT_PAUSE_SECONDS:
                raise
            report(f"{lost}; connecting again")
            pending = pending or lost.pending
            time.sleep(RECONNECT_PAUSE_SECONDS)
        finally:
            database.close()


def _apply_each(locked: LockedDatabase, planned: Sequence[Planned], report: Report) -> tuple[str, ...]:
    from apply_schema.failures import ConnectionLost, MigrationFailed

    applied: list[str] = []
    try:
        for seconds in locked.apply(planned):
            name = planned[len(applied)].migration.name
            applied.append(name)
            report(f"applied {name} in {seconds * 1000:.0f} ms")
    except MigrationFailed as failure:
        failure.applied = tuple(applied)
        failure.pending = tuple(one.migration.name for one in planned)
        known = "at least " if isinstance(failure, ConnectionLost) else ""
        failure.remarks.append(f"{known}{len(applied)} of {len(planned)} pending files were applied before")
        raise
    return tuple(applied)


def _outcome(applied: tuple[str, ...], comparison: Comparison) -> Outcome:
    """Say what the database has; the entries stand in the order of their versions."""
    versions = [entry.name for entry in comparison.of(State.APPLIED, State.AHEAD) if version_of(entry.name)]
    return Outcome(applied, comparison.is_ahead, version_of(versions[-1]) if versions else "")
