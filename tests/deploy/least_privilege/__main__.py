"""python -m tests.deploy.least_privilege [PART-OF-A-NAME …]: try the rights, print what fails without each."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.deploy.least_privilege.running import Tried, trial


def main(parts: list[str]) -> int:
    """Print a line for each right; return 1 when nothing noticed that one was missing."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, trial(Path(scratch)) as prepared:
        wanted = [one for one in prepared.rights if not parts or any(part in one.name for part in parts)]
        print(f"{len(wanted)} rights; ready after {time.monotonic() - started:.0f} s")
        if not parts and (wrong := prepared.control()):
            print(f"with every right in place, {wrong.by} fails: {wrong.reason}")
            return 1
        tried = prepared.try_all(wanted, _tell)
    unnoticed = [one for one in tried if one.notice is None]
    print(f"{len(tried)} tried in {time.monotonic() - started:.0f} s; {len(unnoticed)} noticed by nothing")
    return 1 if unnoticed else 0


def _tell(one: Tried) -> None:
    said = f"{one.notice.by}: {one.notice.reason}" if one.notice else "NOTHING NOTICES"
    print(f"{one.seconds:5.1f} s  {one.right.name}\n         {' '.join(said.split())[:300]}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
