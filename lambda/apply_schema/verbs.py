"""The verbs, and what each of them ended as: for the command line and for a function that is invoked.

A verb imports what it alone needs: most runs find nothing to do, and then reading code is what takes the time
(docs/adr/0026).
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple

from apply_schema import answers
from apply_schema.failures import DatabaseUnknown, MigrationFailed, RehearsalRefused
from apply_schema.history import HistoryRefused, compare
from apply_schema.migration_files import FilesRefused, MigrationFiles, read_files

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from apply_schema.answers import Answer
    from apply_schema.database import MigrationDatabase
    from apply_schema.migrations import Report

    Ending = tuple["Exit", Answer]


class Exit(enum.IntEnum):
    """What a run ended as."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    PENDING = 3
    REFUSED = 4


SETTLEMENTS = ("statement_done", "statement_undone", "start_over")
"""What repair can be told of the file that is applied in part."""


class Order(NamedTuple):
    """A verb and what it is told."""

    verb: str
    allow_late: bool = False
    files_only: bool = False
    rehearse: bool = False
    version: int | None = None
    statement_done: bool = False
    statement_undone: bool = False
    start_over: bool = False

    @property
    def problem(self) -> str | None:
        """What does not belong to the verb, or is missing."""
        if self.verb not in VERBS:
            return f"{self.verb!r} is no verb: expected one of {', '.join(VERBS)}"
        if (self.version is not None) != (self.verb == "baseline"):
            return "baseline needs --version, and no other verb takes it"
        if self.files_only and self.verb != "validate":
            return "--files-only belongs to validate"
        if self.rehearse and self.verb != "dry-run":
            return "--rehearse belongs to dry-run"
        if self.allow_late and self.verb in ("repair", "baseline"):
            return f"--allow-late does not belong to {self.verb}"
        return self._problem_of_settlements()

    def _problem_of_settlements(self) -> str | None:
        options = [f"--{name.replace('_', '-')}" for name in SETTLEMENTS if getattr(self, name)]
        if options and self.verb != "repair":
            return f"{options[0]} belongs to repair"
        return f"{options[0]} and {options[1]} contradict each other" if len(options) > 1 else None


def run(
    order: Order,
    directory: str,
    connect: Callable[[], MigrationDatabase],
    report: Report,
    *,
    engine: str = "postgresql",
    optional: Sequence[str] = (),
) -> Ending:
    """Do what is ordered. However it ends, short of a defect, there is an answer.

    `engine` says whose client's scripts these are where no database does; `optional` names sets of files that
    are to be there too.
    """
    try:
        files = read_files(directory, optional)
        if order.files_only:
            return _validate_files(files, engine)
        database = connect()
        try:
            return VERBS[order.verb](database, files, order, report)
        finally:
            database.close()
    except (FilesRefused, HistoryRefused, RehearsalRefused) as error:
        return Exit.REFUSED, answers.of_error("refused", error)
    except DatabaseUnknown as error:
        return Exit.USAGE, answers.of_error("usage", error)
    except MigrationFailed as error:
        return Exit.FAILED, answers.of_error("failed", error)


def _status(database: MigrationDatabase, files: MigrationFiles, order: Order, _report: Report) -> Ending:
    from apply_schema.tables import of_status

    comparison = compare(files, database.history(), allow_late=order.allow_late)
    code = Exit.PENDING if comparison.pending else Exit.DONE
    return Exit.REFUSED if comparison.problems else code, of_status(comparison)


def _validate(database: MigrationDatabase, files: MigrationFiles, order: Order, report: Report) -> Ending:
    from apply_schema.planning import read_scripts

    read_scripts(database.read_script, files.migrations)
    return _status(database, files, order, report)


def _validate_files(files: MigrationFiles, engine: str) -> Ending:
    from apply_schema.engines import script_reader
    from apply_schema.planning import read_scripts

    read_scripts(script_reader(engine), files.migrations)
    return Exit.DONE, answers.of_files(files.migrations)


def _apply(database: MigrationDatabase, files: MigrationFiles, order: Order, report: Report) -> Ending:
    from apply_schema.migrations import apply

    return Exit.DONE, answers.of_outcome(apply(database, files, report=report, allow_late=order.allow_late))


def _dry_run(database: MigrationDatabase, files: MigrationFiles, order: Order, report: Report) -> Ending:
    from apply_schema import planning
    from apply_schema.tables import of_plan, of_rehearsal

    if order.rehearse:
        tried, left = planning.rehearse(database, files, report=report, allow_late=order.allow_late)
        return Exit.PENDING if tried or left else Exit.DONE, of_rehearsal(tried, left)
    planned = planning.dry_run(database, files, allow_late=order.allow_late)
    return Exit.PENDING if planned else Exit.DONE, of_plan(planned)


def _repair(database: MigrationDatabase, files: MigrationFiles, order: Order, report: Report) -> Ending:
    from apply_schema.corrections import repair, settle

    for settlement in SETTLEMENTS:
        if getattr(order, settlement):
            return Exit.DONE, answers.of_settled(*settle(database, files, settlement, report=report))
    repaired = repair(database, files, report=report)
    return Exit.DONE, answers.of_names("repaired", [entry.name for entry in repaired])


def _baseline(database: MigrationDatabase, files: MigrationFiles, order: Order, report: Report) -> Ending:
    from apply_schema.corrections import baseline

    present = baseline(database, files, order.version or 0, report=report)
    return Exit.DONE, answers.of_names("recorded", [one.name for one in present])


VERBS = {
    "status": _status,
    "validate": _validate,
    "apply": _apply,
    "dry-run": _dry_run,
    "repair": _repair,
    "baseline": _baseline,
}
