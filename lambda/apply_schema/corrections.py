"""What changes a database's history without running anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from apply_schema.history import HALF_APPLIED, Entry, HistoryRefused, State, compare
from apply_schema.migration_files import FilesRefused, Migration, MigrationFiles

if TYPE_CHECKING:
    from apply_schema.database import MigrationDatabase


def repair(
    database: MigrationDatabase, files: MigrationFiles, *, report: Callable[[str], None]
) -> tuple[Entry, ...]:
    """Have the history agree with the files: edited files get their new checksum, removed ones are forgotten.

    Runs no migration and undoes none. Returns what it changed, as it stood before.
    """
    with database.locked(report) as locked:
        wrong = compare(files, database.history()).of(State.EDITED, State.REMOVED)
        locked.correct(
            edited=[entry.file for entry in wrong if entry.file],
            removed=[entry.row for entry in wrong if entry.row and not entry.file],
        )
    return wrong


def settle(
    database: MigrationDatabase, files: MigrationFiles, settlement: str, *, report: Callable[[str], None]
) -> tuple[str, int | None, int]:
    """Say of the statement at which a file stands whether it was done, or that the file was never begun.

    Returns the file's name, how many of its statements stand from now on, and how many it has. Runs nothing.
    """
    from apply_schema.planning import read_scripts

    with database.locked(report) as locked:
        half_applied = compare(files, database.history()).of(*HALF_APPLIED)
        found = [
            (one.file, one.row.progress) for one in half_applied if one.file and one.row and one.row.progress
        ]
        if not found:
            raise HistoryRefused("no file is applied in part: there is nothing to say about a statement")
        migration, progress = found[0]
        (planned,) = read_scripts(database.read_script, [migration])
        count = len(planned.script.statements)
        done: int | None = None
        if settlement != "start_over":
            at = progress.sent or progress.failed_at or progress.done + 1
            done = min(count, at if settlement == "statement_done" else progress.done)
        locked.settle(planned, done)
    return migration.name, done, count


def baseline(
    database: MigrationDatabase, files: MigrationFiles, version: int, *, report: Callable[[str], None]
) -> tuple[Migration, ...]:
    """Record the files up to this version as there already: for a database built without the migrator.

    Raises HistoryRefused where a history exists, FilesRefused where no file has the version.
    """
    known = [one for one in files.migrations if one.version is not None]
    if version not in {one.version for one in known}:
        raise FilesRefused(f"no file has version {version}: there are {', '.join(one.name for one in known)}")
    with database.locked(report) as locked:
        history = database.history()
        if history:
            raise HistoryRefused(
                f"the database has a history of {len(history)} rows: only one without can begin"
            )
        present = tuple(one for one in known if (one.version or 0) <= version)
        locked.record("baseline", present)
    return present
