"""python -m tests.deploy.least_privilege [--write] [PART OF A NAME …]: what fails without each right."""

# ruff: noqa: T201 - it prints what it is asked for

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.deploy.least_privilege import table
from tests.deploy.least_privilege.running import Tried, trial


def main() -> int:
    """Print a line for each right; return 1 when nothing noticed that one was missing."""
    given = _parser().parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, trial(Path(scratch)) as prepared:
        rights = [one for one in prepared.rights if all(part in one.name for part in given.parts)]
        print(f"{len(rights)} rights; ready after {time.monotonic() - started:.0f} s", flush=True)
        table.check(rights)
        tried = prepared.try_all(rights, _tell)
    unnoticed = [one for one in tried if one.notice is None]
    print(f"{len(tried)} tried in {time.monotonic() - started:.0f} s; {len(unnoticed)} noticed by nothing")
    if given.write:
        table.PAGE.write_text(table.page(tried))
    return 1 if unnoticed else 0


def _tell(one: Tried) -> None:
    said = f"{one.notice.by}: {one.notice.reason}" if one.notice else "NOTHING NOTICES"
    print(f"{one.seconds:5.1f} s  {one.right.name}\n         {' '.join(said.split())[:300]}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.deploy.least_privilege", description=__doc__)
    parser.add_argument("parts", nargs="*", help="only rights whose name has all of these in it")
    parser.add_argument("--write", action="store_true", help=f"write {table.PAGE.name}; for all rights")
    return parser


if __name__ == "__main__":
    sys.exit(main())
