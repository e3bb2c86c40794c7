"""The migrator's verbs, the same from CloudFormation, from the command line and from a test."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from apply_schema.database import ConnectionLost, MigrationDatabase, MigrationFailed, Script, ScriptRefused
from apply_schema.history import Comparison, Entry, HistoryRefused, State, compare
from apply_schema.migration_files import FilesRefused, Migration, MigrationFiles, version_of

if TYPE_CHECKING:
    from aurora.deadline import Deadline

Report = Callable[[str], None]
"""Takes a line about what happens, for a terminal or a log."""

RECONNECT_PAUSE_SECONDS = 1.0


class Outcome(NamedTuple):
    """What one run left behind: nothing is pending any more."""

    applied: tuple[str, ...]
    """The files that this run applied, in their order."""
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
    with database.locked(report):
        # another migrator may have been here while this one waited
        comparison = compare(files, database.history(), allow_late=allow_late)
        comparison.refuse_problems()
        applied = _apply_each(database, comparison.pending, report)
        return _outcome(applied, compare(files, database.history(), allow_late=allow_late))


def apply_reconnecting(
    connect: Callable[[], MigrationDatabase], files: MigrationFiles, *, report: Report, deadline: Deadline
) -> Outcome:
    """Apply what is pending by the deadline, over as many connections as a failing-over database takes.

    A file whose commit was in doubt is found applied, or applied again from nothing: never half.
    """
    applied: tuple[str, ...] = ()
    while True:
        database = connect()
        try:
            outcome = apply(database, files, report=report)
            return outcome._replace(applied=applied + outcome.applied)
        except ConnectionLost as lost:
            if deadline.remaining_seconds() < RECONNECT_PAUSE_SECONDS:
                raise
            report(f"{lost}; connecting again")
            applied += lost.applied
            time.sleep(RECONNECT_PAUSE_SECONDS)
        finally:
            database.close()


def dry_run(database: MigrationDatabase, files: MigrationFiles, *, allow_late: bool = False) -> list[Planned]:
    """Return what an apply would run, with every statement, or raise what it would refuse; nothing is run."""
    comparison = compare(files, database.history(), allow_late=allow_late)
    comparison.refuse_problems()
    return read_scripts(database.read_script, comparison.pending)


def repair(database: MigrationDatabase, files: MigrationFiles, *, report: Report) -> tuple[Entry, ...]:
    """Have the history agree with the files: edited files get their new checksum, removed ones are forgotten.

    Runs no migration and undoes none. Returns what it changed, as it stood before.
    """
    with database.locked(report):
        wrong = compare(files, database.history()).of(State.EDITED, State.REMOVED)
        database.correct(
            edited=[entry.file for entry in wrong if entry.file],
            removed=[entry.row for entry in wrong if entry.row and not entry.file],
        )
    return wrong


def baseline(
    database: MigrationDatabase, files: MigrationFiles, version: int, *, report: Report
) -> tuple[Migration, ...]:
    """Record the files up to this version as there already: for a database built without the migrator.

    Raises HistoryRefused where a history exists, FilesRefused where no file has the version.
    """
    known = [one for one in files.migrations if one.version is not None]
    if version not in {one.version for one in known}:
        raise FilesRefused(f"no file has version {version}: there are {', '.join(one.name for one in known)}")
    with database.locked(report):
        history = database.history()
        if history:
            raise HistoryRefused(
                f"the database has a history of {len(history)} rows: only one without can begin"
            )
        present = tuple(one for one in known if (one.version or 0) <= version)
        database.record("baseline", present)
    return present


class Planned(NamedTuple):
    """A pending file and its statements."""

    migration: Migration
    script: Script


def _apply_each(database: MigrationDatabase, pending: Sequence[Migration], report: Report) -> tuple[str, ...]:
    """Apply the files in turn. All are read first: a malformed last one is refused before any runs."""
    applied: list[str] = []
    for migration, script in read_scripts(database.read_script, pending):
        try:
            seconds = database.apply(migration, script)
        except MigrationFailed as failure:
            failure.applied = tuple(applied)
            failure.remarks.append(f"{len(applied)} of {len(pending)} pending files were applied before")
            raise
        applied.append(migration.name)
        report(f"applied {migration.name} in {seconds * 1000:.0f} ms")
    return tuple(applied)


def read_scripts(read_script: Callable[[str], Script], migrations: Sequence[Migration]) -> list[Planned]:
    """Cut files into statements, or raise FilesRefused naming every file and line at fault."""
    planned, problems = [], []
    for one in migrations:
        try:
            planned.append(Planned(one, read_script(one.text)))
        except ScriptRefused as refused:
            problems.append(f"{one.name}:{refused.line}: {refused}")
    if problems:
        raise FilesRefused("\n".join(problems))
    return planned


def _outcome(applied: tuple[str, ...], comparison: Comparison) -> Outcome:
    """Say what the database has; the entries stand in the order of their versions."""
    versions = [entry.name for entry in comparison.of(State.APPLIED, State.AHEAD) if version_of(entry.name)]
    return Outcome(applied, comparison.is_ahead, version_of(versions[-1]) if versions else "")
