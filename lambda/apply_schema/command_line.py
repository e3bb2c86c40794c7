"""The migrator's command line: any PostgreSQL database, any folder of migrations."""

from __future__ import annotations

import argparse
import enum
import functools
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from apply_schema import migrations, reports
from apply_schema.database import DatabaseUnknown, MigrationFailed
from apply_schema.history import HistoryRefused, compare
from apply_schema.migration_files import FilesRefused, read_files
from apply_schema.opening import open_database, packaged_directory
from apply_schema.reports import Answer

if TYPE_CHECKING:
    from apply_schema.database import MigrationDatabase
    from apply_schema.migration_files import MigrationFiles

DESCRIPTION = """\
Bring a PostgreSQL database's schema to what plain .sql files say.

verbs:
  status          each migration and how it stands
  validate        status, after reading every file's statements
  apply           apply what is pending, each file whole or not at all
  dry-run         print the statements that apply would run
  repair          have the history agree with edited and removed files; runs nothing
  baseline        record files as there already, in a database without a history
"""
EPILOG = """\
the database, by the first of these that is given:
  --url           postgresql://user@host:port/database; a password is safer in PGPASSWORD or ~/.pgpass
  --secret-arn    an RDS secret in Secrets Manager with host, port, dbname, username and password
  DATABASE_URL    a URL, as above
  DATABASE_ENGINE, DATABASE_NAME, CLUSTER_ENDPOINT, ADMIN_SECRET_ARN, ... as the Lambda function has them

exit codes:
  0  up to date, or done        3  migrations are pending
  1  failed                     4  refused: files contradict the history, or are no migrations
  2  wrong usage
"""


class Exit(enum.IntEnum):
    """What a run ended as."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    PENDING = 3
    REFUSED = 4


def main(arguments: Sequence[str]) -> int:
    """Run one verb and return its exit code. Results go to standard output, progress to standard error."""
    # The driver keeps Ctrl-C waiting until the server answers. Ending at once is safe: the server rolls back.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    options = _options(arguments)
    try:
        code, answer = _run(options)
    except (FilesRefused, HistoryRefused) as error:
        code, answer = Exit.REFUSED, reports.of_error("refused", error)
    except DatabaseUnknown as error:
        code, answer = Exit.USAGE, reports.of_error("usage", error)
    except MigrationFailed as error:
        code, answer = Exit.FAILED, reports.of_error("failed", error)
    _print(answer, as_json=options.json)
    return code


def _run(options: argparse.Namespace) -> tuple[Exit, Answer]:
    files = read_files(options.directory or packaged_directory())
    if options.verb == "validate" and options.files_only:
        return _validate_files(files)
    database = open_database(options, os.environ)
    try:
        return _VERBS[options.verb](database, files, options)
    finally:
        database.close()


def _status(
    database: MigrationDatabase, files: MigrationFiles, options: argparse.Namespace
) -> tuple[Exit, Answer]:
    comparison = compare(files, database.history(), allow_late=options.allow_late)
    code = Exit.PENDING if comparison.pending else Exit.DONE
    return Exit.REFUSED if comparison.problems else code, reports.of_status(comparison)


def _validate(
    database: MigrationDatabase, files: MigrationFiles, options: argparse.Namespace
) -> tuple[Exit, Answer]:
    _validate_files(files)
    return _status(database, files, options)


def _validate_files(files: MigrationFiles) -> tuple[Exit, Answer]:
    # a run with nothing to do reads no script, and the patterns take long to compile
    from apply_schema.sql_script import read_script  # noqa: PLC0415

    migrations.read_scripts(read_script, files.migrations)
    return Exit.DONE, reports.of_files(files.migrations)


def _apply(
    database: MigrationDatabase, files: MigrationFiles, options: argparse.Namespace
) -> tuple[Exit, Answer]:
    outcome = migrations.apply(database, files, report=_progress, allow_late=options.allow_late)
    return Exit.DONE, reports.of_outcome(outcome)


def _dry_run(
    database: MigrationDatabase, files: MigrationFiles, options: argparse.Namespace
) -> tuple[Exit, Answer]:
    planned = migrations.dry_run(database, files, allow_late=options.allow_late)
    return Exit.PENDING if planned else Exit.DONE, reports.of_plan(planned)


def _repair(
    database: MigrationDatabase, files: MigrationFiles, _options: argparse.Namespace
) -> tuple[Exit, Answer]:
    repaired = migrations.repair(database, files, report=_progress)
    return Exit.DONE, reports.of_names("repaired", [entry.name for entry in repaired])


def _baseline(
    database: MigrationDatabase, files: MigrationFiles, options: argparse.Namespace
) -> tuple[Exit, Answer]:
    present = migrations.baseline(database, files, options.version, report=_progress)
    return Exit.DONE, reports.of_names("recorded", [one.name for one in present])


_Verb = Callable[["MigrationDatabase", "MigrationFiles", argparse.Namespace], tuple[Exit, Answer]]
_VERBS: dict[str, _Verb] = {
    "status": _status,
    "validate": _validate,
    "apply": _apply,
    "dry-run": _dry_run,
    "repair": _repair,
    "baseline": _baseline,
}


def _parser() -> argparse.ArgumentParser:
    """Return one parser for all verbs: one for each would double the time of a run with nothing to do."""
    parser = argparse.ArgumentParser(
        prog="python -m apply_schema",
        usage="%(prog)s VERB [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
        # a width of its own spares the import that finds out the terminal's
        formatter_class=functools.partial(argparse.RawDescriptionHelpFormatter, width=100),
    )
    parser.add_argument("verb", choices=_VERBS, metavar="VERB", help=argparse.SUPPRESS)
    parser.add_argument("--directory", help="the folder of .sql files (the shop's)")
    parser.add_argument("--url", help="the database's URL")
    parser.add_argument("--secret-arn", help="the database's secret")
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    parser.add_argument("--allow-late", action="store_true", help="take files inserted before applied ones")
    parser.add_argument("--files-only", action="store_true", help="validate: look at no database")
    parser.add_argument("--version", type=int, metavar="N", help="baseline: the last version that is there")
    for name, default, meaning in (
        ("--wait-seconds", 60.0, "how long to wait for another migrator (60)"),
        ("--lock-timeout-seconds", 10.0, "how long a statement may wait for a table (10)"),
        ("--statement-timeout-seconds", 0.0, "how long a statement may run (0: for ever)"),
        ("--deadline-seconds", None, "when to stop; the next run goes on (never)"),
    ):
        parser.add_argument(name, type=_seconds, default=default, metavar="S", help=meaning)
    return parser


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options, or end with a usage error where one does not belong to the verb."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if (options.version is not None) != (options.verb == "baseline"):
        parser.error("baseline needs --version, and no other verb takes it")
    if options.files_only and options.verb != "validate":
        parser.error("--files-only belongs to validate")
    if options.allow_late and options.verb in ("repair", "baseline"):
        parser.error(f"--allow-late does not belong to {options.verb}")
    return options


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text}: expected 0 to 86400 seconds")
    return seconds


def _print(answer: Answer, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(answer.data, indent=2) + "\n")
    else:
        sys.stdout.write(answer.text + "\n")


def _progress(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
