"""python -m tests.deploy.least_privilege [--write] [PART OF A NAME …]: what fails without each right."""

# ruff: noqa: T201 - it prints what it is asked for

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.deploy.least_privilege import table
from tests.deploy.least_privilege.rights import actions_of
from tests.deploy.least_privilege.running import Tried, trial


def main() -> int:
    """Print a line for each right; return 1 when nothing noticed that one was missing that nothing needs."""
    given = _given()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, trial(Path(scratch)) as prepared:
        found = actions_of(prepared.rights) if given.actions else prepared.rights
        rights = [one for one in found if all(part in one.name for part in given.parts)]
        if given.write:
            table.check(rights)
        print(f"{len(rights)} to try; ready after {time.monotonic() - started:.0f} s", flush=True)
        tried = prepared.try_all(rights, _tell)
    if given.write:
        table.PAGE.write_text(table.page(tried))
    unnoticed = [one.right for one in tried if one.notice is None]
    superfluous = [one.name for one in unnoticed if not one.aws_asks_for_it]
    print(
        f"{len(tried)} tried in {time.monotonic() - started:.0f} s. Nothing local notices {len(unnoticed)};"
        f" AWS asks for {len(unnoticed) - len(superfluous)} of them. Superfluous: {superfluous or 'none'}"
    )
    return 1 if superfluous else 0


def _tell(one: Tried) -> None:
    said = f"{one.notice.by}: {one.notice.reason}" if one.notice else "NOTHING NOTICES"
    print(f"{one.seconds:5.1f} s  {one.right.name}\n         {' '.join(said.split())[:300]}", flush=True)


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.deploy.least_privilege", description=__doc__)
    parser.add_argument("parts", nargs="*", help="only rights whose name has all of these in it")
    parser.add_argument("--actions", action="store_true", help="try single actions instead of statements")
    parser.add_argument("--write", action="store_true", help=f"write docs/{table.PAGE.name}")
    given = parser.parse_args()
    if given.write and (given.parts or given.actions):
        parser.error("--write is for all rights, statement by statement")
    return given


if __name__ == "__main__":
    sys.exit(main())
