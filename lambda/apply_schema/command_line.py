"""The migrator's command line: any PostgreSQL or MySQL database, any folder of migrations."""

from __future__ import annotations

import argparse
import functools
import os
import signal
import sys
from typing import TYPE_CHECKING

from apply_schema.engines import ENGINES
from apply_schema.opening import engine_meant, open_database, packaged_directory
from apply_schema.verbs import VERBS, Order, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apply_schema.answers import Answer

DESCRIPTION = """\
Bring a PostgreSQL or MySQL database's schema to what plain .sql files say.

verbs:
  status          each migration and how it stands
  validate        status, after reading every file's statements
  apply           apply what is pending, each file whole or not at all; on MySQL, whose DDL commits by
                  itself, a file that failed goes on at its failed statement
  dry-run         print the statements that apply would run; --rehearse: run them and roll back
  repair          have the history agree with edited and removed files; runs nothing.
                  of a file that MySQL has in part: --statement-done or --statement-undone says of the
                  statement where it stands that it was done or not, --start-over that you undid the file
  baseline        record files as there already, in a database without a history
"""
EPILOG = """\
the database, by the first of these that is given:
  --url           postgresql://user@host:port/database or mysql://user@host:port/database; a password
                  is safer in PGPASSWORD, ~/.pgpass or MYSQL_PWD
  --secret-arn    an RDS secret in Secrets Manager with host, port, dbname, username and password
  DATABASE_URL    a URL, as above
  DATABASE_ENGINE, DATABASE_NAME, CLUSTER_ENDPOINT, ADMIN_SECRET_ARN, ... as the Lambda function has them

exit codes:
  0  up to date, or done        3  migrations are pending
  1  failed                     4  refused: files contradict the history, or are no migrations
  2  wrong usage
"""


def main(arguments: Sequence[str]) -> int:
    """Run one verb and return its exit code. Results go to standard output, progress to standard error."""
    # The driver keeps Ctrl-C waiting until the server answers. Ending at once is safe: the server rolls back.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    options, order = _understood(arguments)
    engine = engine_meant(options, os.environ)
    directory = options.directory or packaged_directory(engine)
    code, answer = run(
        order,
        directory,
        lambda: open_database(options, os.environ),
        _progress,
        engine=engine,
        optional=options.optional,
    )
    _print(answer, as_json=options.json)
    return code


def _understood(arguments: Sequence[str]) -> tuple[argparse.Namespace, Order]:
    """Return the options, or end with a usage error where one does not belong to the verb."""
    parser = _parser()
    options = parser.parse_args(arguments)
    order = Order(*(getattr(options, field) for field in Order._fields))
    if order.problem:
        parser.error(order.problem)
    return options, order


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
    parser.add_argument("verb", choices=VERBS, metavar="VERB", help=argparse.SUPPRESS)
    parser.add_argument("--directory", help="the folder of .sql files (the shop's)")
    parser.add_argument(
        "--optional", action="append", default=[], metavar="SET", help="a set in the folder's optional/, too"
    )
    parser.add_argument("--engine", choices=ENGINES, help="whose files these are (by URL, variables, folder)")
    parser.add_argument("--url", help="the database's URL")
    parser.add_argument("--secret-arn", help="the database's secret")
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    parser.add_argument("--allow-late", action="store_true", help="take files inserted before applied ones")
    parser.add_argument("--files-only", action="store_true", help="validate: look at no database")
    parser.add_argument("--rehearse", action="store_true", help="dry-run: run it, and roll it back")
    parser.add_argument("--version", type=int, metavar="N", help="baseline: the last version that is there")
    parser.add_argument("--statement-done", action="store_true", help="repair: what it stands at was done")
    parser.add_argument("--statement-undone", action="store_true", help="repair: what it stands at was not")
    parser.add_argument("--start-over", action="store_true", help="repair: what the file left was undone")
    for name, default, meaning in (
        ("--wait-seconds", 60.0, "how long to wait for another migrator (60)"),
        ("--lock-timeout-seconds", 10.0, "how long a statement may wait for a table (10)"),
        ("--statement-timeout-seconds", 0.0, "how long a statement may run (0: for ever)"),
        ("--deadline-seconds", None, "when to stop; the next run goes on (never)"),
    ):
        parser.add_argument(name, type=_seconds, default=default, metavar="S", help=meaning)
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text}: expected 0 to 86400 seconds")
    return seconds


def _print(answer: Answer, *, as_json: bool) -> None:
    if as_json:
        import json

        sys.stdout.write(json.dumps(answer.data, indent=2) + "\n")
    else:
        sys.stdout.write(answer.text + "\n")


def _progress(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
