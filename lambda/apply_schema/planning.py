"""What an apply would run: read, listed and, if asked for, tried out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from apply_schema.database import Planned, Script, ScriptRefused
from apply_schema.history import compare
from apply_schema.migration_files import FilesRefused, Migration, MigrationFiles

if TYPE_CHECKING:
    from apply_schema.database import MigrationDatabase


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


def dry_run(database: MigrationDatabase, files: MigrationFiles, *, allow_late: bool = False) -> list[Planned]:
    """Return what an apply would run, with every statement, or raise what it would refuse; nothing is run."""
    comparison = compare(files, database.history(), allow_late=allow_late)
    comparison.refuse_problems()
    return read_scripts(database.read_script, comparison.pending)


def rehearse(
    database: MigrationDatabase,
    files: MigrationFiles,
    *,
    report: Callable[[str], None],
    allow_late: bool = False,
) -> tuple[list[Planned], list[Planned]]:
    """Run what is pending in one transaction and roll it back; return what was tried, and what could not be.

    Files up to the first one without a transaction can be tried: that one cannot, and those after it may need
    it. Locks are held until the end, as long as an apply would hold them for its longest file or longer.
    """
    with database.locked(report) as locked:
        planned = dry_run(database, files, allow_late=allow_late)
        tried = list(itertools.takewhile(lambda one: one.script.transactional, planned))
        locked.rehearse(tried)
    return tried, planned[len(tried) :]
