"""Load an Online Retail file from the command line: `python -m seed_data online-retail.csv.gz`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import TextIO

from aurora.deadline import Deadline
from aurora.failures import ConnectionFailed, DatabaseError
from aurora.opening_by_url import UrlMalformed, connect_by_url
from seed_data.data_file import UnusableFile
from seed_data.generated import Generated
from seed_data.generator import DEFAULT_SEED
from seed_data.loader import LoadReport, LoadStopped, load
from seed_data.progress import Progress, Report, at_most_every
from seed_data.recording import TotalsDiffer
from seed_data.sources import SAMPLE, PathSource, S3Object, Source, StandardInput

LOADED, FAILED, REFUSED, STOPPED = 0, 1, 3, 4  # 2 is argparse's own
INTERRUPTED = 128 + signal.SIGINT
PLAIN_LINE_EVERY_SECONDS = 2.0
DESCRIPTION = "Load an Online Retail file: every line becomes an order line or a reject, or nothing changes."
EPILOG = f"""\
The database is named by its URL: postgresql://user@host:port/database or mysql://user@host:port/shop, with
?host=… or ?unix_socket=… for a socket; without it, by PostgreSQL's variables PGHOST, PGUSER and so on.
Its user is shop_loader, or another with the same rights. A password may stand in PGPASSWORD or MYSQL_PWD.

exit codes: {LOADED} loaded, or loaded before; {REFUSED} file refused; {STOPPED} out of time; {FAILED} any
other failure. Unless it is {LOADED}, nothing was changed.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Load what the arguments name, report to standard output, progress and errors to standard error."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        source = options.file if options.generate is None else Generated(options.generate, options.seed)
    except ValueError as error:
        parser.error(str(error))
    try:
        with (
            closing(connect_by_url(options.database, os.environ, application_name="seed_data")) as session,
            _progress_to(sys.stderr) as report_progress,
        ):
            deadline = Deadline.after(options.seconds)
            report = load(session, source, deadline=deadline, report=report_progress)
    except UnusableFile as error:
        return _failed(REFUSED, error)
    except LoadStopped as error:
        return _failed(STOPPED, error)
    except UrlMalformed as error:
        parser.error(str(error))
    except (ConnectionFailed, DatabaseError, TotalsDiffer) as error:
        return _failed(FAILED, error)
    except KeyboardInterrupt:
        return _failed(INTERRUPTED, "interrupted: nothing was changed")
    sys.stdout.write(_as_text(report))
    return LOADED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m seed_data",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "file",
        type=_source,
        nargs="?",
        default=PathSource(SAMPLE),
        help="CSV or CSV.gz: a path, s3://bucket/key, or - for standard input (default: the packaged sample)",
    )
    what.add_argument(
        "--generate", type=int, metavar="LINES", help="load so many generated lines in the shape of real ones"
    )
    parser.add_argument(
        "--seed", type=int, default=DEFAULT_SEED, help="what generated lines come from (default: %(default)s)"
    )
    parser.add_argument("--database", default="postgresql://", metavar="URL", help="where to load it to")
    parser.add_argument(
        "--seconds", type=_seconds, default=3600.0, help="give up after so long (default: %(default)s)"
    )
    return parser


def _source(text: str) -> Source:
    if text == "-":
        return StandardInput()
    if not text.startswith("s3://"):
        return PathSource(Path(text))
    import boto3  # noqa: PLC0415 - slow to import, and only needed here

    bucket, _, key = text.removeprefix("s3://").partition("/")
    return S3Object(boto3.client("s3"), bucket=bucket, key=key, name=Path(key).name)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text}: expected more than 0 and at most 86400")
    return seconds


def _progress_to(stream: TextIO) -> AbstractContextManager[Report]:
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        from seed_data.terminal import progress_bar  # noqa: PLC0415 - rich is large and not in the Lambda

        return progress_bar(stream)

    def write_line(progress: Progress) -> None:
        stream.write(f"{progress}\n")
        stream.flush()

    return nullcontext(at_most_every(PLAIN_LINE_EVERY_SECONDS, write_line))


def _as_text(report: LoadReport) -> str:
    found = report.load
    rows = [
        ("load", f"{found.load_id} ({found.source}){'' if report.is_new else ', loaded before'}"),
        ("lines", f"{found.lines:,}"),
        ("order lines", f"{found.order_lines:,}"),
        ("rejects", f"{found.rejects:,}"),
        *(("", f"{count:,}: {reason}") for reason, count in report.rejects_by_reason.items()),
        ("quantity", f"{found.quantity:,f}"),
        ("amount", f"{found.amount:,f}"),
    ]
    return "".join(f"{name:<12} {value}\n" for name, value in rows)


def _failed(code: int, error: object) -> int:
    sys.stderr.write(f"seed_data: {error}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
