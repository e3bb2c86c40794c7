"""`make acid`: shows atomicity, consistency, isolation, durability and replication, with counts.

Real servers of this machine, started and ended by the run. Exits with 1 where something is not as it should
be, or where a control, which must fail, did not.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from acid.page import write_page
from acid.showing import SHORT, WHOLE, show
from acid.stage import ENGINES
from acid.tables import print_report

OUTPUT = Path("build") / "acid"


def main() -> int:
    """Show it on one engine or on both."""
    parser = argparse.ArgumentParser(prog="python -m acid", description=__doc__)
    parser.add_argument("--engine", choices=ENGINES, action="append", help="which to show; both without it")
    parser.add_argument("--short", action="store_true", help="a tenth of the counts, as CI runs it")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where the page goes (%(default)s)")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 110)
    extent = SHORT if options.short else WHOLE
    all_shown = []
    for engine in options.engine or ENGINES:
        console.print(f"[bold]{engine}[/bold]")
        all_shown.append(show(engine, extent, lambda line: console.print(f"  {line}", highlight=False)))
        print_report(console, all_shown[-1])
    page = write_page(options.output, all_shown)
    problems = [f"{shown.engine}: {problem}" for shown in all_shown for problem in shown.problems]
    for problem in problems:
        console.print(f"[red]{problem}[/red]", highlight=False)
    console.print(f"{'FAILED' if problems else 'All as it should be'}; the page: {page}", highlight=False)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
